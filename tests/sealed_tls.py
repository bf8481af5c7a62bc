"""TLS sessions sealed by hand, with `cryptography`: whatever is to be said inside, down to the types of records and their padding; the
key schedule of RFC 8446 once more, and independently."""
from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from made_tls import CHANGE, DATA, HANDSHAKE, client_hello, extension, message, record, server_hello, server_name, u16

CLIENT_RANDOM, SERVER_RANDOM = bytes(range(100, 132)), bytes(range(32, 64))
#: TLS 1.3's suites: number -> (hash, key bytes)
SUITES13 = {0x1301: ("sha256", 16), 0x1302: ("sha384", 32), 0x1303: ("sha256", 32)}
#: TLS 1.2's: number -> (hash, key bytes, bytes of the implicit nonce)
SUITES12 = {0xC02F: ("sha256", 16, 4), 0xC030: ("sha384", 32, 4), 0xCCA8: ("sha256", 32, 12)}
FINISHED, KEY_UPDATE = 20, 24


def expand_label(digest: str, secret: bytes, label: bytes, length: int) -> bytes:
    info = u16(length) + bytes([6 + len(label)]) + b"tls13 " + label + b"\0"
    return hmac.new(secret, info + b"\1", digest).digest()[:length]


def prf(digest: str, secret: bytes, seed: bytes, length: int) -> bytes:
    out, link = b"", seed
    while len(out) < length:
        link = hmac.new(secret, link, digest).digest()
        out += hmac.new(secret, link + seed, digest).digest()
    return out[:length]


def _aead(suite: int, key: bytes):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
    return ChaCha20Poly1305(key) if suite in (0x1303, 0xCCA8) else AESGCM(key)


@dataclass
class Side13:
    """One direction of TLS 1.3."""
    suite: int
    secret: bytes = b""
    following: bytes = b""      # the traffic secret, for after Finished
    sequence: int = 0
    said: bytes = b""           # of the handshake inside, what has not made a message yet

    def use(self, secret: bytes) -> None:
        self.secret, self.sequence = secret, 0

    def seal(self, kind: int, data: bytes, padding: int = 0) -> bytes:
        """A record; the keys change where what it says changes them."""
        digest, length = SUITES13[self.suite]
        key, vector = expand_label(digest, self.secret, b"key", length), expand_label(digest, self.secret, b"iv", 12)
        nonce = (int.from_bytes(vector, "big") ^ self.sequence).to_bytes(12, "big")
        inner = data + bytes([kind]) + bytes(padding)
        head = bytes([DATA]) + u16(0x0303, len(inner) + 16)
        self.sequence += 1
        sealed = head + _aead(self.suite, key).encrypt(nonce, inner, head)
        if kind == HANDSHAKE:
            self._heed(data)
        return sealed

    def _heed(self, data: bytes) -> None:
        self.said += data
        while len(self.said) >= 4 and len(self.said) >= 4 + int.from_bytes(self.said[1:4], "big"):
            kind = self.said[0]
            self.said = self.said[4 + int.from_bytes(self.said[1:4], "big"):]
            if kind == FINISHED and self.following:
                self.use(self.following)
                self.following = b""
            elif kind == KEY_UPDATE and not self.following:
                digest = SUITES13[self.suite][0]
                self.use(expand_label(digest, self.secret, b"traffic upd", len(self.secret)))


@dataclass
class Sealed13:
    """A session of TLS 1.3. flights: its hellos. sides: to the server, to the client."""
    suite: int = 0x1301
    name: bytes = b"inside.example"
    early: bool = False
    sides: tuple[Side13, Side13] = field(init=False)
    keylog: str = field(init=False)

    def __post_init__(self) -> None:
        digest = SUITES13[self.suite][0]
        secrets = {label: hashlib.new(digest, label.encode()).digest() for label in (
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0")}
        client, server, client_traffic, server_traffic = secrets.values()
        self.sides = Side13(self.suite, client, client_traffic), Side13(self.suite, server, server_traffic)
        self.keylog = "".join(f"{label} {CLIENT_RANDOM.hex()} {secret.hex()}\n" for label, secret in secrets.items())

    @property
    def hellos(self) -> list[tuple[int, bytes]]:
        more = (extension(42),) if self.early else ()
        return [(0, record(HANDSHAKE, client_hello(server_name(self.name), extension(43, b"\2\3\4"), *more, ciphers=(self.suite,), random=CLIENT_RANDOM))),
                (1, record(HANDSHAKE, server_hello(extension(43, b"\3\4"), cipher=self.suite, random=SERVER_RANDOM)) + record(CHANGE, b"\1"))]

    @property
    def handshake(self) -> list[tuple[int, bytes]]:
        """What is left of it: both sides use their traffic keys afterwards."""
        done = message(FINISHED, bytes(32))
        return [(1, self.sides[1].seal(HANDSHAKE, message(8, b"\0\0") + done)), (0, record(CHANGE, b"\1") + self.sides[0].seal(HANDSHAKE, done))]


@dataclass
class Side12:
    """One direction of TLS 1.2."""
    suite: int
    key: bytes
    vector: bytes
    sequence: int = 0

    def seal(self, kind: int, data: bytes, padding: int = 0) -> bytes:
        beside = self.sequence.to_bytes(8, "big") + bytes([kind]) + u16(0x0303, len(data))
        if len(self.vector) == 4:
            explicit = (self.sequence * 7919).to_bytes(8, "big")
            body = explicit + _aead(self.suite, self.key).encrypt(self.vector + explicit, data, beside)
        else:
            nonce = (int.from_bytes(self.vector, "big") ^ self.sequence).to_bytes(12, "big")
            body = _aead(self.suite, self.key).encrypt(nonce, data, beside)
        self.sequence += 1
        return record(kind, body)


@dataclass
class Sealed12:
    """A session of TLS 1.2."""
    suite: int = 0xC02F
    name: bytes = b"inside.example"
    sides: tuple[Side12, Side12] = field(init=False)
    keylog: str = field(init=False)

    def __post_init__(self) -> None:
        digest, length, vector = SUITES12[self.suite]
        master = hashlib.sha384(b"master").digest()
        block = prf(digest, master, b"key expansion" + SERVER_RANDOM + CLIENT_RANDOM, 2 * length + 2 * vector)
        keys, vectors = block[:2 * length], block[2 * length:]
        self.sides = (Side12(self.suite, keys[:length], vectors[:vector]), Side12(self.suite, keys[length:], vectors[vector:]))
        self.keylog = f"CLIENT_RANDOM {CLIENT_RANDOM.hex()} {master.hex()}\n"

    @property
    def hellos(self) -> list[tuple[int, bytes]]:
        return [(0, record(HANDSHAKE, client_hello(server_name(self.name), ciphers=(self.suite,), random=CLIENT_RANDOM))),
                (1, record(HANDSHAKE, server_hello(cipher=self.suite, random=SERVER_RANDOM)) + record(HANDSHAKE, message(14)))]

    @property
    def handshake(self) -> list[tuple[int, bytes]]:
        done = message(FINISHED, bytes(12))
        return [(side, record(CHANGE, b"\1") + self.sides[side].seal(HANDSHAKE, done)) for side in (0, 1)]
