"""Writes the captures of the golden cases, and on request what is expected of them.

    PYTHONPATH=tests python tests/golden/make.py [--expected] [CASE...]

--expected runs Suricata 7.0.10 and writes what it says into expected.tsv.
"""
from __future__ import annotations

import argparse
import gzip
import json
import re
import struct
import subprocess
import tempfile
from base64 import b64encode
from collections import Counter
from pathlib import Path
from random import Random

from captures import checksum, conversation, ethernet, fragment, fragments, ipv4, ipv6, tcp, udp, write_pcap

HERE = Path(__file__).resolve().parent


def echo(src: str, dst: str, kind: int = 8, ttl: int = 64) -> bytes:
    body = struct.pack(">HH", 7, 1) + b"abcdefgh"
    return ethernet(ipv4(1, struct.pack(">BBH", kind, 0, checksum(struct.pack(">BBH", kind, 0, 0) + body)) + body, src, dst, ttl=ttl))


def content() -> list[bytes]:
    """Positions: offset, depth, distance, within, nocase, negation, hex, isdataat."""
    texts = [b"GET /index.html HTTP/1.1", b"get /INDEX.html", b"xxGET /", b"abc123def456", b"abcdef", b"user=root;pass=toor", b"pass=toor;user=root",
             b"\x00\x01\x02\xff", b"", b"end"]
    return [udp(text, dport=9000) for text in texts]


def bytes_() -> list[bytes]:
    """byte_test, byte_jump, byte_extract, byte_math over lengths in the payload."""
    def record(kind: int, *values: bytes) -> bytes:
        return struct.pack(">BB", kind, len(values)) + b"".join(struct.pack(">H", len(value)) + value for value in values)
    texts = [record(1, b"alpha", b"beta"), record(1, b"alphabet", b"beta"), record(2, b"x" * 300, b"beta"), struct.pack("<I", 1000) + b"little",
             b"0042 decimal", b"\x05\x03hello", b"\x05\x09hello"]
    return [udp(text, dport=9001) for text in texts]


def flow() -> list[bytes]:
    """Direction and state: a whole connection, a datagram and its answer, a segment out of nowhere."""
    return [*conversation([(b"login: root", b"welcome"), (b"quit", b"bye")], dport=2323), udp(b"question", dport=53),
            udp(b"answer", "10.0.0.2", 53, "10.0.0.1", 40000), tcp(b"stray", "10.0.0.3", 5555, "10.0.0.4", 80, flags=0x18, seq=9, ack=9)]


def closed() -> list[bytes]:
    """What flow:established says around the end of a connection: by FIN, by RST, and refused."""
    refused = [tcp(b"", sport=40002, flags=0x02, seq=10), tcp(b"", "10.0.0.2", 80, "10.0.0.1", 40002, flags=0x14, ack=11),
               tcp(b"late", sport=40002, flags=0x18, seq=11, ack=1)]
    reset = conversation([(b"one", b"two")], sport=40001)[:-3]
    reset += [tcp(b"", sport=40001, flags=0x14, seq=1004, ack=9004), tcp(b"", sport=40001, flags=0x04, seq=1004)]
    ended = conversation([(b"one", b"two")])
    return [*ended, tcp(b"", flags=0x10, seq=1005, ack=9005), *reset, *refused]


def flowbits() -> list[bytes]:
    """A bit set by one rule, asked for by another, in two flows of which one sets it."""
    return [udp(b"hello", sport=1000), udp(b"secret", sport=1000), udp(b"secret", sport=1001), udp(b"forget", sport=1000), udp(b"secret", sport=1000)]


def headers() -> list[bytes]:
    """ttl, id, flags, itype, sameip, fragbits, ip_proto, dsize."""
    return [tcp(flags=0x02), tcp(flags=0x12), tcp(flags=0x29), tcp(flags=0), echo("10.0.0.1", "10.0.0.2"), echo("10.0.0.2", "10.0.0.1", 0),
            echo("10.0.0.1", "10.0.0.2", ttl=1), udp(b"x", "10.0.0.9", 7, "10.0.0.9", 7), ethernet(ipv4(47, b"\0\0\x08\0")),
            udp(b"y" * 100), ethernet(ipv4(17, udp(b"z" * 24)[34:], ident=99, fragment=0x2000))]


def threshold() -> list[tuple[float, bytes]]:
    """limit, threshold, both and detection_filter over ten packets a second apart."""
    return [(1_700_000_000.0 + second, udp(b"tick", dport=9002)) for second in range(10)]


def verdicts() -> list[bytes]:
    """drop, pass and reject in inline mode: by packet and by flow."""
    return [udp(b"bad", dport=1), udp(b"good", dport=1), udp(b"bad good", dport=2), *conversation([(b"nick", b"ok")], dport=6667),
            *conversation([(b"telnet", b"ok")], dport=23, sport=40001), *conversation([(b"x", b"y")], dport=24, sport=40002)]


def tunnels() -> list[bytes]:
    """The same datagram bare, in GRE, in IP, in VXLAN, in GENEVE; alerts are the inner packet's and the outer one's."""
    inner = udp(b"inside", "192.168.0.1", 1111, "192.168.0.2", 2222)
    return [inner, ethernet(ipv4(47, struct.pack(">HH", 0, 0x0800) + inner[14:])), ethernet(ipv4(4, inner[14:])),
            udp(struct.pack(">II", 0x08000000, 5 << 8) + inner, sport=50000, dport=4789),
            udp(struct.pack(">BBHI", 0, 0, 0x6558, 5 << 8) + inner, sport=50000, dport=6081)]


def events() -> list[bytes]:
    """Malformed packets, each a named event."""
    good = udp(b"payload")
    short = bytearray(good)
    short[16:18] = struct.pack(">H", 10)            # the IPv4 length is less than the header
    long = bytearray(good)
    long[16:18] = struct.pack(">H", 2000)
    beyond, within = bytearray(tcp(b"")), bytearray(tcp(b""))
    beyond[46] = 15 << 4                            # the TCP header is longer than the packet
    within[46] = 4 << 4                             # and shorter than any TCP header
    return [good, bytes(short), bytes(long), good[:30], bytes(beyond), good[:36], bytes(within)]


def steps() -> list[bytes]:
    """What is odd about steps: a payload or more for each remark in the rules."""
    texts = ["baab", "b", "xbbbx", "01BA0Bd021b", "ba", "ab", "abab", "aab", "abb", "abba", "aabba", "xaba", "abax", "xxxxaba", "zzzab", "aXbb",
             "aXXaXb", "ab1 abb", "xxxxxxxxxxxxxQRxxxx", "xQxxxxxxxxxxxQRxxxx", "xxxxQxxQxxxxxQRxxxx", "aQxxxaQR", "0123456789", "3123456789",
             "5123456789", "2012345678901234567890", "1123334444", "ab\x03", "\0abcdef", "\x07abcdef", " 17 ", "0x1f", "017 ", "+17 ", "-1  ",
             "37  ", "21  ", "1f  ", "12\x003", "xyz ", "\x01\x80", "\x02\x04", "\x08\x00", "YWJj", "YQ==YWJj", "YWJ", "Y", "b\x01", "YWJjY\x01",
             " YWJj", "xYWJj", "YW=j", "", "x" * 200, "x" * 12, "x" * 16, "xxxxxy", "ab\n", "Ab", "bA", "a" * 60]
    return [udp(text.encode("latin-1"), sport=1000 + i, dport=9000) for i, text in enumerate(texts)]


def random() -> list[bytes]:
    """Random payloads over small alphabets."""
    choice = Random(1)
    alphabets = (b"ab", b"abc01", b"aAbB0129", b"\0\1\2\3\4ab", b"abcdABC012\0\1\2\xff =Zz+/")
    return [udp(bytes(choice.choices(choice.choice(alphabets), k=choice.choice((1, 3, 5, 8, 13, 20, 30, 50)))), sport=1000 + i, dport=9000)
            for i in range(150)]


def iponly() -> list[bytes]:
    """Rules on headers alone, over both directions of flows, an ICMP echo and a protocol without ports."""
    def there(i: int) -> bytes:
        return udp(b"x", "10.0.0.1", 1000 + i, "10.0.0.2", 53)

    def back(i: int) -> bytes:
        return udp(b"y", "10.0.0.2", 53, "10.0.0.1", 1000 + i)
    return [there(0), there(0), back(0), back(0), there(1), back(1), udp(b"z", "192.168.1.7", 5, "8.8.8.8", 80), echo("10.0.0.1", "8.8.8.8"),
            echo("10.0.0.1", "8.8.8.8"), echo("8.8.8.8", "10.0.0.1", 0), ethernet(ipv4(47, b"\0\0\x08\0", "10.0.0.1", "10.0.0.9")),
            ethernet(ipv4(103, b"abcd", "10.0.0.9", "10.0.0.1")), *conversation([(b"x", b"y")], dport=80)]


def order() -> list[bytes]:
    """What runs before what: actions, flowbits set and asked for in one packet, pass."""
    return [udp(text, sport=1000 + i % 3, dport=9000) for i, text in enumerate([b"ab", b"ab", b"a", b"c", b"abc", b"b", b"pass ab", b"ab", b"t", b"t", b"t"])]


def defrag() -> list[bytes]:
    """Fragments in and out of order, in and around tunnels, overlapping, too long, empty; VLANs; what whole packets carry."""
    whole = udp(b"payload " * 10)[34:]
    parts = fragments(17, whole, [24, 48])
    syn, ping = tcp(b"payload", flags=2)[34:], b"\x08\0\0\0\0\1\0\1" + b"payload " * 8
    tunnel = ipv4(47, b"\0\0\x08\0" + udp(b"payload " * 10)[14:], "1.1.1.1", "1.1.1.2")[20:]

    def gre(frame: bytes) -> bytes:
        return ethernet(ipv4(47, b"\0\0\x08\0" + frame[14:], "1.1.1.1", "1.1.1.2"))

    def vlan(frame: bytes, tag: int) -> bytes:
        return frame[:12] + struct.pack(">HH", 0x8100, tag) + frame[12:]

    return [
        *parts, *parts[::-1], *fragments(17, whole, [24, 48], net=6), *fragments(17, whole, [25, 48], net=6, ident=8), *fragments(6, syn, [8, 16], ident=9),
        *fragments(1, ping, [16, 32], ident=10), *(gre(part) for part in parts), parts[0], gre(parts[1]), parts[2], *(vlan(part, 5) for part in parts),
        vlan(parts[0], 5), vlan(parts[1], 6), *fragments(47, tunnel, [24, 48], ident=11),
        *(one for at, part in enumerate(parts) for one in fragments(47, gre(part)[34:], [24], ident=20 + at)),
        fragment(1, 65528, b"x" * 480, False, ident=12), fragment(58, 65528, b"x" * 64, False, ident=13, net=6),
        fragment(17, 0, whole[:36], True, ident=14), fragment(17, 24, whole[:4], False, ident=14),
        fragment(17, 8, b"", True, ident=15), *fragments(17, whole, [24], ident=15), fragment(17, 24, b"", False, ident=16),
        parts[0], fragment(17, 24, whole[24:48], True, src="10.0.0.2", dst="10.0.0.1"), parts[2],
        ethernet(ipv6(0, b"\x2c\0\1\4\0\0\0\0" + struct.pack(">BBHI", 17, 0, 1, 17) + whole[:24]), 0x86DD),
        ethernet(ipv6(0, b"\x2c\0\1\4\0\0\0\0" + struct.pack(">BBHI", 6, 0, 24, 17) + whole[24:]), 0x86DD),
        *fragments(17, whole[:4] + b"\0\xff" + whole[6:], [24, 48], ident=18)]


def directions() -> list[bytes]:
    """There and back in protocols where neither end is the client: ESP, IPv6 in IPv4; and SCTP, where one is."""
    ends = [("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1")] * 2
    sctp = {src: struct.pack(">HH", *ports) + bytes(28) for src, ports in (("10.0.0.1", (1, 2)), ("10.0.0.2", (2, 1)))}
    return [ethernet(ipv4(proto, body or sctp[src], src, dst)) for proto, body in ((50, b"\0\0\x77\x77" + b"abcd" * 6), (41, b"not ipv6"), (132, b""))
            for src, dst in ends]


def spoken(said: list[tuple[str, bytes | int]], sport: int, dport: int, end: bool = True) -> list[bytes]:
    """A connection of what client ("c") and server ("s") say, each acknowledged. A number: so many bytes never came, though they
    were acknowledged."""
    ends = {"c": ("10.0.0.1", sport, "10.0.0.2", dport), "s": ("10.0.0.2", dport, "10.0.0.1", sport)}
    at = {"c": 1001, "s": 9001}
    frames = [tcp(b"", *ends["c"], flags=0x02, seq=1000), tcp(b"", *ends["s"], flags=0x12, seq=9000, ack=1001),
              tcp(b"", *ends["c"], seq=1001, ack=9001)]
    for who, what in [*said, *([("c", b"")] if end else [])]:
        other = "s" if who == "c" else "c"
        if isinstance(what, bytes):
            frames.append(tcp(what, *ends[who], flags=0x18 if what else 0x11, seq=at[who], ack=at[other]))
        at[who] += what if isinstance(what, int) else len(what) or 1
        frames.append(tcp(b"", *ends[other], flags=0x10 if what else 0x11, seq=at[other], ack=at[who]))
    return [*frames, *([tcp(b"", *ends["c"], seq=at["c"], ack=at["s"] + 1)] if end else [])]


def lost() -> list[bytes]:
    """Bytes that never came: of a compressed body and of a plain one, to their end or not, either way; behind a line of which a part
    is there. And a line that the end of the connection cuts."""
    choice = Random(1)
    text = bytes(choice.choices(b"abcdefghijklmnopqrst", k=20000))
    packed = gzip.compress(text, mtime=0)
    get, following = b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n", [("c", b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"), ("s", answer(b"ok"))]

    def mail(*rest: bytes | int) -> list[tuple[str, bytes | int]]:
        talk: list[tuple[str, bytes | int]] = [("s", b"220 hi\r\n"), ("c", b"EHLO a\r\n"), ("s", b"250 ok\r\n"), ("c", b"MAIL FROM:<a@b>\r\n"),
            ("s", b"250 ok\r\n"), ("c", b"RCPT TO:<c@d>\r\n"), ("s", b"250 ok\r\n"), ("c", b"DATA\r\n"), ("s", b"354 go\r\n"),
            ("c", b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
                  b'Content-Disposition: attachment; filename="a.bin"\r\n\r\n')]
        return [*talk, *(("c", piece) for piece in rest)]

    lines = b"".join(b64encode(bytes(57)) + b"\r\n" for _ in range(3))
    part = b64encode(b"an attachment is cut")
    gz = answer(packed, b"Content-Encoding: gzip\r\n")
    head, cut = len(gz) - len(packed), 6000
    post = b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    plain = answer(text)
    return [
        *spoken([("c", get), ("s", gz[:head + cut]), ("s", 2000), ("s", gz[head + cut + 2000:]), *following], 40001, 80),
        *spoken([("c", get), ("s", gz[:head + cut]), ("s", len(packed) - cut), *following], 40002, 80),
        *spoken([("c", get), ("s", gz[:head]), ("s", 2000), ("s", gz[head + 2000:]), *following], 40003, 80),
        *spoken([("c", get), ("s", plain[:5000]), ("s", 2000), ("s", plain[7000:]), *following], 40004, 80),
        *spoken([("c", post + packed[:cut]), ("c", len(packed) - cut), ("s", answer(b"ok")), *following], 40005, 80),
        *spoken(mail(lines + part), 40006, 25), *spoken(mail(lines + part, 200, lines), 40007, 25)]


def answer(body: bytes, headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%sContent-Length: %d\r\n\r\n" % (headers, len(body)) + body


def magic() -> list[bytes]:
    """Files that libmagic knows by their first bytes: small, larger than what it waits for, in pieces, sent and fetched, by mail; DNS
    beside them."""
    png = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000100000000808020000007f14e8c0") + bytes(600)
    text, pdf = b"plain words and nothing else\n" * 40, b"%PDF-1.4\n" + b"1 0 obj << /Length 5 >>\n" * 300
    get = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
    attached = (b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\n"
                b"Content-Disposition: attachment; filename=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
    lines = b"".join(b64encode(pdf[at:at + 57]) + b"\r\n" for at in range(0, len(pdf), 57))
    letter: list[tuple[str, bytes | int]] = [("s", b"220 a\r\n"), ("c", b"EHLO b\r\n"), ("s", b"250 a\r\n"), ("c", b"MAIL FROM:<a@b>\r\n"), ("s", b"250 ok\r\n"),
                                             ("c", b"RCPT TO:<c@d>\r\n"), ("s", b"250 ok\r\n"), ("c", b"DATA\r\n"), ("s", b"354 go\r\n"),
                                             ("c", attached + lines + b"--x--\r\n.\r\n"), ("s", b"250 ok\r\n"), ("c", b"QUIT\r\n"), ("s", b"221 bye\r\n")]
    page = answer(pdf)
    question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00\x01\x00\x01"
    reply = b"\x12\x34\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00\x01\x00\x01"
    return [
        *conversation([(get % b"a.png", answer(png)), (get % b"b.txt", answer(text)), (get % b"c", answer(b"%PDF-1.4\n")), (get % b"d", answer(b"x"))],
                      sport=40001),
        *spoken([("c", get % b"e.pdf"), ("s", page[:200]), ("s", page[200:400]), ("s", page[400:700]), ("s", page[700:])], 40002, 80),
        *conversation([(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(png) + png, answer(text))], sport=40003),
        *spoken(letter, 40004, 25),
        udp(question, "10.0.0.1", 40005, "10.0.0.2", 53), udp(reply, "10.0.0.2", 53, "10.0.0.1", 40005)]


CAPTURES = {"magic": magic, "lost": lost, "defrag": defrag, "directions": directions, "steps": steps, "random": random, "iponly": iponly, "order": order, "content": content, "bytes": bytes_, "flow": flow, "closed": closed, "flowbits": flowbits, "headers": headers, "threshold": threshold,
            "verdicts": verdicts, "tunnels": tunnels, "events": events}


def oracle(case: Path) -> Counter:
    """What Suricata says: (sid, packet, action) -> alerts; packet 0 is a flush. In ids mode every action is pass."""
    args = json.loads((case / "args.json").read_text()) if (case / "args.json").exists() else {}
    inline = args.get("engine", {}).get("mode") == "ips"
    actions = {int(sid): action for action, sid in re.findall(r"^(\w+) .*\bsid:(\d+);", (case / "test.rules").read_text(), re.MULTILINE)}
    counted: Counter = Counter()
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(["suricata", "-r", str(case / "input.pcap"), "-S", str(case / "test.rules"), "-l", out, "-k", "none", "--runmode", "single",
                        *(["--simulate-ips"] if inline else []), *(word for setting in args.get("set", ()) for word in ("--set", setting))],
                       check=True, capture_output=True)
        for line in (Path(out) / "eve.json").read_text().splitlines():
            event = json.loads(line)
            if event["event_type"] == "alert":
                sid = event["alert"]["signature_id"]
                number = event.get("pcap_cnt", event.get("tunnel", {}).get("pcap_cnt", 0))
                counted[sid, number, actions[sid] if inline and actions[sid] != "alert" else "pass"] += 1
    return counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--expected", action="store_true", help="write expected.tsv, as Suricata says")
    parser.add_argument("cases", nargs="*")
    options = parser.parse_args()
    for name, make in CAPTURES.items():
        if options.cases and name not in options.cases:
            continue
        case = HERE / name
        case.mkdir(exist_ok=True)
        write_pcap(case / "input.pcap", make())
        if options.expected:
            lines = [f"{sid}\t{where}\t{count}\t{action}\n" for (sid, where, action), count in sorted(oracle(case).items())]
            (case / "expected.tsv").write_text("sid\twhere\tcount\taction\n" + "".join(lines))


if __name__ == "__main__":
    main()
