"""SMB and DCE RPC messages for the tests of their rooms (MS-SMB2, MS-CIFS, The Open Group C706)."""
from __future__ import annotations

import struct

TO_SERVER, TO_CLIENT = 0, 1
NEGOTIATE, SETUP, LOGOFF, TREE, TREE_OFF, CREATE, CLOSE, READ, WRITE, IOCTL, SET_INFO = 0, 1, 2, 3, 4, 5, 6, 8, 9, 11, 17
MORE, END_OF_FILE, NOT_FOUND = 0xC0000016, 0xC0000011, 0xC0000034
FID, PIPE_FID = bytes(range(16)), bytes(range(16, 32))
SAMR = bytes.fromhex("785734123412cdabef000123456789ac")


def nbss(message: bytes, kind: int = 0, length: int | None = None) -> bytes:
    return bytes([kind]) + (len(message) if length is None else length).to_bytes(3, "big") + message


def smb2(command: int, body: bytes, *, message: int, status: int = 0, response: bool = False, session: int = 7, tree: int = 1,
         following: int = 0) -> bytes:
    return (b"\xfeSMB" + struct.pack("<HHIHHIIQIIQ", 64, 0, status, command, 1, int(response), following, message, 0xFEFF, tree, session)
            + bytes(16) + body)


def wide(text: str) -> bytes:
    return text.encode("utf-16-le")


def ntlm(user: str, domain: str, host: str) -> bytes:
    parts, at = [b"", b"", wide(domain), wide(user), wide(host), bytes(16)], 72
    fields = b""
    for part in parts:
        fields += struct.pack("<HHI", len(part), len(part), at)
        at += len(part)
    return b"NTLMSSP\0" + struct.pack("<I", 3) + fields + bytes.fromhex("158288e2") + bytes([6, 1, 0xB0, 0x1D, 0, 0, 0, 15]) + b"".join(parts)


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    return bytes([tag]) + (bytes([size]) if size < 128 else b"\x81" + bytes([size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")) + body


def spnego(oid: str, token: bytes) -> bytes:
    mechanisms = der(0xA0, der(0x30, der(6, bytes.fromhex(oid))))
    return der(0x60, der(6, bytes.fromhex("2b0601050502")), der(0xA0, der(0x30, mechanisms, der(0xA2, der(4, token)))))


def ticket(realm: bytes, *names: bytes) -> bytes:
    service = der(0x30, der(0xA0, der(2, b"\2")), der(0xA1, der(0x30, *(der(0x1B, name) for name in names))))
    inner = der(0x61, der(0x30, der(0xA0, der(2, b"\5")), der(0xA1, der(0x1B, realm)), der(0xA2, service)))
    request = der(0x6E, der(0x30, der(0xA0, der(2, b"\5")), der(0xA1, der(2, b"\x0e")), der(0xA2, der(3, bytes(5))), der(0xA3, inner)))
    return der(0x60, der(6, bytes.fromhex("2a864886f712010202")), b"\1\0", request)


def ask_negotiate(*dialects: int) -> bytes:
    return struct.pack("<HHHHI16sIHH", 36, len(dialects), 1, 0, 0, bytes(range(16)), 0, 0, 0) + struct.pack(f"<{len(dialects)}H", *dialects)


def answer_negotiate(dialect: int, max_read: int = 1 << 20, max_write: int = 1 << 20) -> bytes:
    return struct.pack("<HHHH16sIIII", 65, 1, dialect, 0, bytes(16), 0, 1 << 20, max_read, max_write)


def ask_setup(blob: bytes) -> bytes:
    return struct.pack("<HBBIIHHQ", 25, 0, 1, 0, 0, 88, len(blob), 0) + blob


def ask_tree(path: str) -> bytes:
    return struct.pack("<HHHH", 9, 0, 72, 2 * len(path)) + wide(path)


def answer_tree(kind: int = 1) -> bytes:
    return struct.pack("<HBBIII", 16, kind, 0, 0, 0, 0)


def ask_create(name: str, disposition: int = 1, options: int = 0) -> bytes:
    return bytes(36) + struct.pack("<IIHHQ", disposition, options, 120, 2 * len(name), 0) + wide(name)


def answer_create(fid: bytes, size: int = 0) -> bytes:
    return struct.pack("<HBBIQQQQQQI", 89, 0, 0, 1, 133000000000000000, 0, 0, 0, 0, size, 0) + bytes(4) + fid + bytes(8)


def ask_read(fid: bytes, offset: int, size: int) -> bytes:
    return struct.pack("<HHIQ", 49, 0, size, offset) + fid + bytes(16)


def answer_read(data: bytes, size: int | None = None) -> bytes:
    return struct.pack("<HHIII", 17, 80, len(data) if size is None else size, 0, 0) + data


def ask_write(fid: bytes, offset: int, data: bytes, size: int | None = None) -> bytes:
    return struct.pack("<HHIQ", 49, 112, len(data) if size is None else size, offset) + fid + bytes(16) + data


def answer_write(size: int) -> bytes:
    return struct.pack("<HHIIHH", 17, 0, size, 0, 0, 0)


def ask_close(fid: bytes) -> bytes:
    return bytes(8) + fid


def ask_ioctl(function: int, fid: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<HHI", 57, 0, function) + fid + struct.pack("<IIIII", 120, len(data), 0, 0, 0) + bytes(12) + data


def answer_ioctl(function: int, fid: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<HHI", 49, 0, function) + fid + struct.pack("<IIII", 0, 0, 112, len(data)) + bytes(8) + data


def ask_rename(fid: bytes, name: str) -> bytes:
    body = bytes(16) + struct.pack("<I", 2 * len(name)) + wide(name)
    return struct.pack("<HBBIHHI", 33, 1, 10, len(body), 96, 0, 0) + fid + body


class Exchange:
    """Messages of one session, numbered."""

    def __init__(self) -> None:
        self.message = 0
        self.moves: list[tuple[int, bytes]] = []

    def ask(self, command: int, body: bytes, **more) -> Exchange:
        self.message += 1
        self.moves.append((TO_SERVER, nbss(smb2(command, body, message=self.message, **more))))
        return self

    def answer(self, command: int, body: bytes = b"\x09\0\0\0\0\0\0\0\0", **more) -> Exchange:
        self.moves.append((TO_CLIENT, nbss(smb2(command, body, message=self.message, response=True, **more))))
        return self

    def both(self, command: int, question: bytes, answer: bytes = b"\x04\0\0\0") -> Exchange:
        return self.ask(command, question).answer(command, answer)


def beginning(tree: str = "\\\\srv\\docs", kind: int = 1) -> Exchange:
    talk = Exchange()
    talk.ask(NEGOTIATE, ask_negotiate(0x0202, 0x0311), session=0, tree=0).answer(NEGOTIATE, answer_negotiate(0x0311), session=0, tree=0)
    talk.ask(SETUP, ask_setup(spnego("2b06010401823702020a", b"NTLMSSP\0\1\0\0\0")), session=0, tree=0).answer(SETUP, status=MORE, tree=0)
    talk.ask(SETUP, ask_setup(b"\xa1\x0a" + ntlm("user", "DOM", "HOST")), tree=0).answer(SETUP, tree=0)
    return talk.ask(TREE, ask_tree(tree), tree=0).answer(TREE, answer_tree(kind))


def session(data: bytes = b"x" * 3000) -> list[tuple[int, bytes]]:
    """A file that is written, read back and closed."""
    talk = beginning().both(CREATE, ask_create("dir\\a.txt", 2), answer_create(FID, len(data)))
    half = len(data) // 2
    talk.both(WRITE, ask_write(FID, 0, data[:half]), answer_write(half)).both(WRITE, ask_write(FID, half, data[half:]), answer_write(half))
    talk.both(READ, ask_read(FID, 0, len(data)), answer_read(data))
    talk.ask(READ, ask_read(FID, len(data), 10)).answer(READ, status=END_OF_FILE)
    return talk.both(CLOSE, ask_close(FID)).both(TREE_OFF, b"\4\0\0\0").both(LOGOFF, b"\4\0\0\0").moves


def pdu(kind: int, body: bytes, *, call: int = 1, flags: int = 3, length: int | None = None, little: bool = True) -> bytes:
    order = "<" if little else ">"
    size = 16 + len(body) if length is None else length
    return bytes([5, 0, kind, flags, 0x10 if little else 0, 0, 0, 0]) + struct.pack(order + "HHI", size, 0, call) + body


def bind(*uuids: bytes, kind: int = 11, call: int = 1, flags: int = 3) -> bytes:
    items = b"".join(struct.pack("<HBB", i, 1, 0) + uuid + struct.pack("<HH", 1, 0) + bytes(20) for i, uuid in enumerate(uuids))
    return pdu(kind, bytes(8) + bytes([len(uuids), 0, 0, 0]) + items, call=call, flags=flags)


def bind_ack(*results: int, kind: int = 12, call: int = 1) -> bytes:
    address = struct.pack("<H", 5) + b"1234\0" + b"\0"
    return pdu(kind, bytes(8) + address + bytes([len(results), 0, 0, 0])
               + b"".join(struct.pack("<HH", result, 0) + bytes(20) for result in results), call=call)


def request(stub: bytes, *, opnum: int = 5, item: int = 0, call: int = 1, flags: int = 3, little: bool = True) -> bytes:
    return pdu(0, bytes(4) + struct.pack(("<" if little else ">") + "HH", item, opnum) + stub, call=call, flags=flags, little=little)


def response(stub: bytes, *, call: int = 1, flags: int = 3) -> bytes:
    return pdu(2, bytes(8) + stub, call=call, flags=flags)


def pipe_session() -> list[tuple[int, bytes]]:
    """A bind by WRITE and READ, calls by IOCTL, on the pipe samr."""
    talk = beginning("\\\\srv\\IPC$", 2).both(CREATE, ask_create("samr"), answer_create(PIPE_FID))
    talk.both(WRITE, ask_write(PIPE_FID, 0, bind(SAMR)), answer_write(72))
    talk.both(READ, ask_read(PIPE_FID, 0, 1024), answer_read(bind_ack(0)))
    question, answer = request(b"stub" * 4, opnum=64, call=2), response(b"answer", call=2)
    return talk.both(IOCTL, ask_ioctl(0x0011C017, PIPE_FID, question), answer_ioctl(0x0011C017, PIPE_FID, answer)).moves


# ---- SMB 1 ----

def smb1(command: int, body: bytes, *, response: bool = False, status: int = 0, tree: int = 1, user: int = 2, message: int = 1,
         wide_text: bool = True) -> bytes:
    flags = 0x4001 | (0x8000 if wide_text else 0)
    return (b"\xffSMB" + struct.pack("<BIBHH8sHHHHH", command, status, 0x80 if response else 0, flags, 0, bytes(8), 0, tree, 9, user, message)
            + body)


def session1(data: bytes = b"y" * 1000) -> list[tuple[int, bytes]]:
    """Negotiation, a tree, and a file that is written and closed."""
    fid = b"\x34\x12"
    negotiate = b"\0" + struct.pack("<H", 30) + b"\2LANMAN1.0\0\2NT LM 0.12\0"
    chosen = b"\x11" + struct.pack("<H", 1) + bytes(32) + struct.pack("<H", 16) + bytes(range(16))
    tree = b"\4\xff\0\0\0\0\0" + struct.pack("<HH", 1, 0) + b"\0" + wide("\\\\srv\\c\0") + b"?????\0"
    connected = b"\3\xff\0\0\0\1\0" + struct.pack("<H", 6) + b"A:\0\0"
    name = wide("\\b.txt\0")
    create = (b"\x18\xff\0\0\0\0" + struct.pack("<H", len(name)) + bytes(28) + struct.pack("<II", 5, 0) + bytes(5)
              + struct.pack("<H", len(name) + 1) + b"\0" + name)
    created = (b"\x22\xff\0\0\0\0" + fid + bytes(4) + struct.pack("<QQQQ", 133000000000000000, 0, 0, 0) + bytes(4) + struct.pack("<QQ", 0, 0)
               + bytes(5) + struct.pack("<H", 0))
    write = (b"\x0e\xff\0\0\0" + fid + struct.pack("<I", 0) + bytes(8) + struct.pack("<HHH", 0, len(data), 64) + struct.pack("<I", 0)
             + struct.pack("<H", len(data) + 1) + b"\0" + data)
    close = b"\3" + fid + bytes(4) + b"\0\0"
    pairs = [(0x72, negotiate, chosen), (0x75, tree, connected), (0xA2, create, created), (0x2F, write, b"\6\xff\0\0\0" + bytes(10)),
             (0x04, close, b"\0\0\0")]
    moves = []
    for message, (command, question, answer) in enumerate(pairs, 1):
        moves += [(TO_SERVER, nbss(smb1(command, question, message=message))),
                  (TO_CLIENT, nbss(smb1(command, answer, message=message, response=True)))]
    return moves
