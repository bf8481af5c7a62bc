"""Writes literals.rules: 1,000 literal rules from a fixed seed, the same list everywhere. Run it only to change the list.

    python bench/definitions/make_literals.py

Words of web, mail, name and file protocols, joined the way such protocols join them, so that some literals are met in real
traffic and most are not; the rest are short runs of bytes as binary protocols have them.
"""
from __future__ import annotations

import random
from pathlib import Path

SEED, COUNT = 1000, 1000
METHODS = ["GET /", "POST /", "HEAD /", "PUT /", "OPTIONS /"]
WORDS = ["admin", "login", "index", "config", "upload", "download", "search", "images", "static", "api", "user", "account", "shell", "cmd", "exec", "passwd", "backup", "update", "gate", "panel", "setup", "install", "proxy", "report", "session", "token", "cart", "checkout", "wp-content", "wp-includes", "cgi-bin", "scripts", "assets", "media", "video", "stream", "live", "player", "news", "forum", "blog", "mail", "webmail", "remote", "desktop", "server", "status", "health", "metrics", "debug", "console", "manager", "query", "export", "import", "data", "cache", "temp", "logs"]
SUFFIXES = [".php", ".asp", ".aspx", ".jsp", ".cgi", ".exe", ".dll", ".zip", ".js", ".css", ".png", ".json", ".xml", ".bin", "/", "?id=", "?q="]
HEADERS = ["Host", "User-Agent", "Content-Type", "Content-Length", "Server", "Cookie", "Set-Cookie", "Accept-Encoding", "Referer", "Location",
           "X-Forwarded-For", "Cache-Control", "ETag", "Connection", "Transfer-Encoding", "Authorization"]
VALUES = ["text/html", "image/gif", "application/json", "application/octet-stream", "Mozilla/4.0", "curl/7", "python-requests", "nginx/1.",
          "Apache/2.", "gzip, deflate", "keep-alive", "close", "chunked", "Basic ", "Bearer ", "no-cache", "max-age=0", "evil.example"]
COMMANDS = ["EHLO ", "MAIL FROM:<", "RCPT TO:<", "USER ", "PASS ", "RETR ", "STOR ", "LIST ", "NICK ", "JOIN #", "SIP/2.0 ", "INVITE sip:",
            "SSH-2.0-", "BitTorrent protocol", "REGISTER sip:", "NOTIFY * HTTP/1.1", "M-SEARCH * HTTP/1.1", "220 ", "250 OK", "331 "]
PREFIXES = [b"\x16\x03\x01", b"\x16\x03\x03", b"\x17\x03\x03", b"\x00\x00\x00", b"\xff\xfe", b"\xffSMB", b"\xfeSMB", b"MZ\x90\x00", b"PK\x03\x04", b"\x7fELF"]


def literal(rng: random.Random) -> bytes:
    kind = rng.choices(["path", "header", "command", "bytes"], [40, 20, 10, 30])[0]
    if kind == "path":
        parts = [rng.choice(WORDS) for _ in range(rng.randint(1, 3))]
        return (rng.choice([*METHODS, "/", ""]) + "/".join(parts) + rng.choice(SUFFIXES)).encode()
    if kind == "header":
        return f"{rng.choice(HEADERS)}: {rng.choice(VALUES)}{rng.choice(['', rng.choice(WORDS)])}".encode()
    if kind == "command":
        return (rng.choice(COMMANDS) + rng.choice(WORDS)).encode()
    head = rng.choice(PREFIXES) if rng.random() < 0.3 else b""
    return head + bytes(rng.randrange(256) for _ in range(rng.randint(4, 8)))


def written(pattern: bytes) -> str:
    """A pattern as `content` spells it: letters, digits and spaces as they are, all else in hex."""
    out, hexadecimal = "", False
    for byte in pattern:
        plain = chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in " /.-_=?*#<")
        if plain and hexadecimal:
            out, hexadecimal = out + "|", False
        elif not plain and not hexadecimal:
            out, hexadecimal = out + "|", True
        elif not plain:
            out += " "
        out += chr(byte) if plain else f"{byte:02x}"
    return out + ("|" if hexadecimal else "")


def rules() -> list[str]:
    rng, seen, out = random.Random(SEED), set(), []
    while len(out) < COUNT:
        pattern = literal(rng)
        if pattern in seen:
            continue
        seen.add(pattern)
        proto = rng.choices(["tcp", "udp"], [8, 2])[0]
        nocase = " nocase;" if rng.random() < 0.3 else ""
        sid = 1_000_000 + len(out)
        out.append(f'alert {proto} any any -> any any (msg:"literal {len(out)}"; content:"{written(pattern)}";{nocase} sid:{sid};)')
    return out


if __name__ == "__main__":
    (Path(__file__).parent / "literals.rules").write_text("\n".join(rules()) + "\n")
