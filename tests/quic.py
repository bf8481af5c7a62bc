"""QUIC packets for tests: hellos, and Initial packets sealed as RFC 9001 section 5 and RFC 9369 section 3 say."""
from __future__ import annotations

import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

V1, V2 = 1, 0x6B3343CF
SALTS = {V1: bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"), V2: bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9")}
CONNECTION = bytes.fromhex("8394c8f03e515708")      # of the examples in both RFCs


def _expand(secret: bytes, label: bytes, length: int) -> bytes:
    label = b"tls13 " + label
    return hmac.digest(secret, length.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0\1", "sha256")[:length]


def varint(value: int) -> bytes:
    size = next(size for size in range(4) if value < 1 << (8 << size) - 2)
    return (value | size << (8 << size) - 2).to_bytes(1 << size, "big")


def initial(frames: bytes, *, version: int = V1, number: int = 0, client: bool = True, connection: bytes = CONNECTION, least: int = 1162,
            target: bytes | None = None, size: int = 4) -> bytes:
    """An Initial packet under the keys of `connection`, padded with frames to `least` bytes; its number has `size` bytes. target: the
    connection id that it bears."""
    secret = _expand(hmac.digest(SALTS[version], connection, "sha256"), b"client in" if client else b"server in", 32)
    word = b"quicv2 " if version == V2 else b"quic "
    key, vector, mask = (_expand(secret, word + part, length) for part, length in ((b"key", 16), (b"iv", 12), (b"hp", 16)))
    frames = frames.ljust(least, b"\0")
    target = connection if target is None else target
    head = (bytes([0xC0 | (version == V2) << 4 | size - 1]) + version.to_bytes(4, "big") + bytes([len(target)]) + target + b"\0\0"
            + (0x4000 | len(frames) + size + 16).to_bytes(2, "big") + number.to_bytes(size, "big"))
    nonce = (int.from_bytes(vector, "big") ^ number).to_bytes(12, "big")
    sealed = AESGCM(key).encrypt(nonce, frames, head)
    cipher = Cipher(algorithms.AES(mask), modes.ECB()).encryptor()      # noqa: S305 (header protection)
    hidden = cipher.update(sealed[4 - size:20 - size])
    masked = bytes(a ^ b for a, b in zip(head[-size:], hidden[1:], strict=False))
    return bytes([head[0] ^ hidden[0] & 15]) + head[1:-size] + masked + sealed


def crypto(offset: int, data: bytes) -> bytes:
    return b"\x06" + varint(offset) + varint(len(data)) + data


def hello(name: str = "example.com", more: bytes = b"") -> bytes:
    """A client's, with server name, ALPN h3, versions and groups."""
    host = name.encode()
    extensions = b"\0\0" + (len(host) + 5).to_bytes(2, "big") + (len(host) + 3).to_bytes(2, "big") + b"\0" + len(host).to_bytes(2, "big") + host
    extensions += bytes.fromhex("001000050003026833" "002b0003020304" "000a00060004001d0017") + more
    body = b"\3\3" + bytes(32) + b"\0\0\4\x13\1\x13\2\1\0" + len(extensions).to_bytes(2, "big") + extensions
    return b"\1" + len(body).to_bytes(3, "big") + body
