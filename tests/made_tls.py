"""Records, handshake messages and certificates of TLS, put together byte by byte."""
from __future__ import annotations

HANDSHAKE, ALERT, CHANGE, DATA, HEARTBEAT = 22, 21, 20, 23, 24
COMMON_NAME, COUNTRY, ORGANISATION = "2.5.4.3", "2.5.4.6", "2.5.4.10"
UTF8, PRINTABLE, UTC_TIME, GENERALIZED_TIME = 0x0C, 0x13, 0x17, 0x18


def u16(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def u24(number: int) -> bytes:
    return number.to_bytes(3, "big")


def record(kind: int, body: bytes, version: int = 0x0303) -> bytes:
    return bytes([kind]) + u16(version, len(body)) + body


def message(kind: int, body: bytes = b"") -> bytes:
    return bytes([kind]) + u24(len(body)) + body


def extension(kind: int, body: bytes = b"") -> bytes:
    return u16(kind, len(body)) + body


def server_name(name: bytes, kind: int = 0) -> bytes:
    return extension(0, u16(len(name) + 3) + bytes([kind]) + u16(len(name)) + name)


def groups(*numbers: int) -> bytes:
    return extension(10, u16(2 * len(numbers), *numbers))


def algorithms(*numbers: int) -> bytes:
    return extension(13, u16(2 * len(numbers), *numbers))


def alpn(*names: bytes) -> bytes:
    listed = b"".join(bytes([len(name)]) + name for name in names)
    return extension(16, u16(len(listed)) + listed)


def client_hello(*extensions: bytes, ciphers=(0xC02F, 0x1301), version: int = 0x0303, session: bytes = b"", random: bytes = bytes(range(32))) -> bytes:
    listed = b"".join(extensions)
    return message(1, u16(version) + random + bytes([len(session)]) + session + u16(2 * len(ciphers), *ciphers) + b"\1\0"
                   + u16(len(listed)) + listed)


def server_hello(*extensions: bytes, cipher: int = 0xC02F, version: int = 0x0303, session: bytes = b"", random: bytes = bytes(range(32, 64))) -> bytes:
    listed = b"".join(extensions)
    return message(2, u16(version) + random + bytes([len(session)]) + session + u16(cipher) + b"\0" + u16(len(listed)) + listed)


def chain(*certificates: bytes) -> bytes:
    listed = b"".join(u24(len(one)) + one for one in certificates)
    return message(11, u24(len(listed)) + listed)


# ---- DER ----

def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 else b"\x82" + u16(size)
    return bytes([tag]) + length + body


def oid(text: str) -> bytes:
    first, second, *rest = (int(arc) for arc in text.split("."))
    body = bytes([40 * first + second])
    for arc in rest:
        coded = [arc & 127]
        while arc := arc >> 7:
            coded.insert(0, arc & 127 | 128)
        body += bytes(coded)
    return der(6, body)


def attribute(kind: str, value: bytes, tag: int = UTF8) -> bytes:
    return der(0x30, oid(kind), der(tag, value))


def name(*attributes: bytes) -> bytes:
    return der(0x30, *(der(0x31, one) for one in attributes))


ALGORITHM = der(0x30, oid("1.2.840.113549.1.1.11"), b"\5\0")
KEY = der(0x30, der(0x30, oid("1.2.840.113549.1.1.1"), b"\5\0"), der(3, b"\0" + der(0x30, der(2, b"\1\2"), der(2, b"\3"))))
EXTENSIONS = der(0xA3, der(0x30, der(0x30, oid("2.5.29.14"), der(4, der(4, b"12345678901234567890")))))
SUBJECT = name(attribute(COUNTRY, b"US", PRINTABLE), attribute(ORGANISATION, b"Example, Inc."), attribute(COMMON_NAME, b"www.example.org"))
ISSUER = name(attribute(COMMON_NAME, b"Example CA"))


def certificate(*, subject: bytes = SUBJECT, issuer: bytes = ISSUER, serial: bytes = b"\x0a\x1b", begin: bytes = der(UTC_TIME, b"200102030405Z"),
                end: bytes = der(UTC_TIME, b"300102030405Z"), version: bytes = der(0xA0, der(2, b"\2")), algorithm: bytes = ALGORITHM,
                key: bytes = KEY, extensions: bytes = EXTENSIONS, signature: bytes = der(3, bytes(33))) -> bytes:
    signed = der(0x30, version, der(2, serial), algorithm, issuer, der(0x30, begin, end), subject, key, extensions)
    return der(0x30, signed, algorithm, signature)


# ---- sessions: (direction, bytes) ----

def session(*certificates: bytes) -> list[tuple[int, bytes]]:
    """A handshake of TLS 1.2 and the beginning of what is said then."""
    return [
        (0, record(HANDSHAKE, client_hello(server_name(b"www.example.org"), groups(29, 23), extension(11, b"\1\0"), algorithms(0x0403), alpn(b"h2")), 0x0301)),
        (1, record(HANDSHAKE, server_hello(extension(65281, b"\0")) + chain(*(certificates or [certificate()])) + message(14))),
        (0, record(HANDSHAKE, message(16, bytes(34))) + record(CHANGE, b"\1") + record(HANDSHAKE, b"\x77" * 40)),
        (1, record(CHANGE, b"\1") + record(HANDSHAKE, b"\x66" * 40)),
        (0, record(DATA, b"\xaa" * 60)),
        (1, record(DATA, b"\xbb" * 60)),
    ]


def newer_session() -> list[tuple[int, bytes]]:
    """TLS 1.3, with a hello asked for twice."""
    versions = extension(43, b"\4\3\4\3\3")
    return [
        (0, record(HANDSHAKE, client_hello(server_name(b"new.example"), versions, session=b"s" * 32), 0x0301)),
        (1, record(HANDSHAKE, server_hello(extension(43, b"\3\4"), extension(51, u16(23)), cipher=0x1301, session=b"s" * 32)) + record(CHANGE, b"\1")),
        (0, record(CHANGE, b"\1") + record(HANDSHAKE, client_hello(server_name(b"new.example"), versions, extension(51, bytes(6)), session=b"s" * 32))),
        (1, record(HANDSHAKE, server_hello(extension(43, b"\3\4"), cipher=0x1301, session=b"s" * 32)) + record(DATA, b"\xcc" * 80)),
        (0, record(DATA, b"\xdd" * 80)),
    ]


def older_hello(version: int = 0x0002) -> bytes:
    """Of SSL 2.0."""
    body = b"\1" + u16(version, 3, 0, 16) + b"\1\0\x80" + b"c" * 16
    return u16(0x8000 | len(body)) + body
