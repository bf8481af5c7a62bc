"""Real TLS sessions, made in memory by Python's own OpenSSL, with their key logs; and what they look like on the wire.

What Python's ssl module does not offer (the suites of TLS 1.3, KeyUpdate, renegotiation) is asked of libssl itself: `native()` skips a
test where that cannot be done.
"""
from __future__ import annotations

import ctypes
import ssl
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from captures import tcp

SUITES = {
    "1.2": ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"),
    "1.3": ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"),
}
REQUEST = b"GET /secret/plans?x=1 HTTP/1.1\r\nHost: inside.example\r\nUser-Agent: test\r\n\r\n"
BODY = b"the model weights are here"
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
RULES = """
alert http any any -> any any (msg:"uri"; http.uri; content:"/secret/plans"; sid:1;)
alert http any any -> any any (msg:"body"; flow:established,to_client; file.data; content:"model weights"; sid:2;)
alert tls any any -> any any (msg:"name"; tls.sni; content:"inside.example"; sid:3;)
alert http any any -> any any (msg:"http at all"; sid:4;)
alert tls any any -> any any (msg:"cannot be opened"; flow:to_server; app-layer-event:tls.decrypt_failed; sid:5;)
"""


@cache
def _certificate(folder: Path) -> Path:
    """A key and its self-signed certificate, in one file."""
    x509 = pytest.importorskip("cryptography.x509")
    from datetime import datetime, timedelta

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "inside.example")])
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
            .not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2020, 1, 1) + timedelta(days=36500))
            .sign(key, hashes.SHA256()))
    path = folder / "server.pem"
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
                     + made.public_bytes(serialization.Encoding.PEM))
    return path


class Native:
    """libssl behind Python's objects: the pointers that they begin with."""

    def __init__(self) -> None:
        self.lib = ctypes.CDLL("libssl.so.3")
        self.lib.SSL_CTX_set_ciphersuites.argtypes = ctypes.c_void_p, ctypes.c_char_p
        self.lib.SSL_CTX_ctrl.argtypes = ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p
        self.lib.SSL_key_update.argtypes = ctypes.c_void_p, ctypes.c_int
        for name in ("SSL_renegotiate", "SSL_do_handshake"):
            getattr(self.lib, name).argtypes = (ctypes.c_void_p,)
        self.lib.SSL_version.argtypes = (ctypes.c_void_p,)

    @staticmethod
    def context(context: ssl.SSLContext) -> int:
        return ctypes.c_void_p.from_address(id(context) + 16).value

    @staticmethod
    def session(session: ssl.SSLObject) -> int:
        return ctypes.c_void_p.from_address(id(session._sslobj) + 24).value


@cache
def native() -> Native:
    import sys
    if sys.implementation.name != "cpython" or not ssl.OPENSSL_VERSION.startswith("OpenSSL 3"):
        pytest.skip("needs CPython with OpenSSL 3 as a library of its own")
    try:
        found = Native()
    except (OSError, AttributeError):
        pytest.skip("needs libssl.so.3")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    talk = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="x")
    if found.lib.SSL_version(Native.session(talk)) not in (0x0303, 0x0304):
        pytest.skip("this CPython lays its objects out in another way")
    return found


@dataclass
class Talk:
    """One session. flights: (direction, bytes), 0 to the server, in their order. plain: what was said inside, by direction."""
    client: ssl.SSLObject
    server: ssl.SSLObject
    wires: tuple[tuple[ssl.MemoryBIO, ssl.MemoryBIO], tuple[ssl.MemoryBIO, ssl.MemoryBIO]]
    flights: list[tuple[int, bytes]] = field(default_factory=list)
    plain: list[bytes] = field(default_factory=lambda: [b"", b""])

    def pump(self) -> bool:
        """What one side has to send is carried to the other: is there anything?"""
        moved = False
        for direction in range(2):
            data = self.wires[direction][1].read()
            if data:
                self.wires[1 - direction][0].write(data)
                self.flights.append((direction, data))
                moved = True
        return moved

    def shake(self) -> None:
        done = [False, False]
        for _ in range(20):
            for number, side in enumerate((self.client, self.server)):
                try:
                    side.do_handshake()
                    done[number] = True
                except ssl.SSLWantReadError:
                    pass
                self.pump()
            if all(done):
                return
        raise AssertionError("the handshake does not end")

    def say(self, direction: int, data: bytes) -> None:
        speaker, listener = (self.client, self.server) if direction == 0 else (self.server, self.client)
        self.plain[direction] += data
        for at in range(0, len(data), 16384):
            speaker.write(data[at:at + 16384])
            self.pump()
        heard = b""
        while len(heard) < len(data):
            heard += listener.read(65536)
        assert heard == data

    def listen(self, direction: int) -> None:
        """The receiver of this direction reads what is not application data (tickets, KeyUpdate, a hello)."""
        try:
            (self.server if direction == 0 else self.client).read(1)
        except ssl.SSLWantReadError:
            pass
        self.pump()


class Sessions:
    """Makes sessions of one client and one server. keylog: the file that all of their secrets go to."""

    def __init__(self, folder: Path, version: str, suite: str, *, keylog: str = "keys.log", alpn: Sequence[str] = ()):
        folder.mkdir(parents=True, exist_ok=True)
        self.keylog = folder / keylog
        pem = _certificate(folder)
        self.client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.client_context.check_hostname = False
        self.client_context.verify_mode = ssl.CERT_NONE
        self.client_context.keylog_filename = str(self.keylog)
        self.server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server_context.load_cert_chain(pem)
        number = ssl.TLSVersion.TLSv1_2 if version == "1.2" else ssl.TLSVersion.TLSv1_3
        for context in (self.client_context, self.server_context):
            context.minimum_version = context.maximum_version = number
            if alpn:
                context.set_alpn_protocols(list(alpn))
            if version == "1.2":
                context.set_ciphers(suite + ":@SECLEVEL=0")
                if suite.startswith("DHE"):
                    native().lib.SSL_CTX_ctrl(Native.context(context), 118, 1, None)       # SSL_CTRL_SET_DH_AUTO
            elif suite != SUITES["1.3"][1]:         # the first choice of OpenSSL
                assert native().lib.SSL_CTX_set_ciphersuites(Native.context(context), suite.encode()) == 1
        self.ticket: ssl.SSLSession | None = None

    def talk(self, *, resume: bool = False) -> Talk:
        ways = tuple((ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in range(2))
        client = self.client_context.wrap_bio(*ways[0], server_hostname="inside.example", session=self.ticket if resume else None)
        made = Talk(client, self.server_context.wrap_bio(*ways[1], server_side=True), ways)
        made.shake()
        return made

    def end(self, talk: Talk) -> None:
        """The client hears the tickets, and keeps one."""
        talk.listen(1)
        self.ticket = talk.client.session


def web_session(folder: Path, version: str, suite: str, exchanges: Iterable[tuple[bytes, bytes]] = ((REQUEST, REPLY),), **options) -> tuple[Talk, Path]:
    """A session with these requests and replies, and its key log."""
    sessions = Sessions(folder, version, suite, **options)
    talk = sessions.talk()
    for request, reply in exchanges:
        talk.say(0, request)
        talk.say(1, reply)
    sessions.end(talk)
    return talk, sessions.keylog


# ---- on the wire ----

def frames_of(flights: Iterable[tuple[int, bytes]], cut: Callable[[bytes], Iterable[bytes]] | None = None, *, sport: int = 40000, dport: int = 443,
              opened: bool = True, closed: bool = True) -> list[bytes]:
    """Ethernet frames of a TCP connection that carries the flights. cut: how one is cut into segments, of 1,400 bytes else; each is
    acknowledged."""
    client, server = ("10.0.0.1", sport, "10.0.0.2", dport), ("10.0.0.2", dport, "10.0.0.1", sport)
    at = [1001, 9001]
    frames = [tcp(b"", *client, flags=0x02, seq=1000), tcp(b"", *server, flags=0x12, seq=9000, ack=1001),
              tcp(b"", *client, seq=1001, ack=9001)] if opened else []
    for direction, data in flights:
        ends = (client, server) if direction == 0 else (server, client)
        for piece in cut(data) if cut is not None else (data[low:low + 1400] for low in range(0, len(data), 1400)):
            frames.append(tcp(piece, *ends[0], flags=0x18, seq=at[direction], ack=at[1 - direction]))
            at[direction] += len(piece)
            frames.append(tcp(b"", *ends[1], seq=at[1 - direction], ack=at[direction]))
    if closed:
        frames += [tcp(b"", *client, flags=0x11, seq=at[0], ack=at[1]), tcp(b"", *server, flags=0x11, seq=at[1], ack=at[0] + 1),
                   tcp(b"", *client, seq=at[0] + 1, ack=at[1] + 1)]
    return frames


def _block(kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def write_pcapng(path: Path, parts: Iterable[bytes | tuple[str, bytes]]) -> Path:
    """A pcapng of Ethernet frames; ("secrets", a key log) is a Decryption Secrets Block in between."""
    with path.open("wb") as file:
        file.write(_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + _block(1, struct.pack("<HHI", 1, 0, 262144)))
        for number, part in enumerate(parts):
            if isinstance(part, tuple):
                file.write(_block(10, struct.pack("<II", 0x544C534B, len(part[1])) + part[1]))
                continue
            stamp = 1_700_000_000_000_000 + number * 1000
            file.write(_block(6, struct.pack("<IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, len(part), len(part)) + part))
    return path
