"""What the first bytes of a flow are recognised as, by a direction at a time."""
import random
import struct

import pytest

from fastpath.dataplane.applayer.room_trial import RoomTrial

TO_SERVER, TO_CLIENT = 0, 1


def dnp3_header(control):
    header = bytes((5, 0x64, 5, control, 1, 0, 2, 0))
    crc = 0
    for byte in header:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA6BC if crc & 1 else crc >> 1
    return header + struct.pack("<H", ~crc & 0xFFFF)


KRB5_BODY = b"\x6a\x81\x6e\x30\x81\x6b\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0a" + bytes(20)
RPC_CALL = struct.pack(">8I", 7, 0, 2, 100003, 3, 1, 1, 0) + bytes(24)
RPC_REPLY = struct.pack(">6I", 7, 1, 0, 0, 0, 0) + bytes(16)
SIP_REQUEST = b"OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1\r\n\r\n"
ENIP = struct.pack("<HHII8sI", 0x65, 4, 0, 0, bytes(8), 0) + bytes(4)
IKE2 = bytes(range(1, 9)) + bytes(8) + bytes((33, 0x20, 34, 8)) + bytes(4) + struct.pack(">I", 28)
QUIC = b"\xc3\0\0\0\1\x08" + bytes(8) + b"\0\0\x10" + bytes(16)

#: by bytes alone, on any port: (protocol, direction, over UDP, bytes)
BY_PATTERN = [
    ("http", TO_SERVER, False, b"GET / HTTP/1.1\r\n"),
    ("http", TO_SERVER, False, b"baseline-control\t/ "),
    ("http", TO_CLIENT, False, b"HTTP/1.1 200 OK\r\n"),
    ("tls", TO_SERVER, False, b"\x16\x03\x01\x02\x00\x01"),
    ("tls", TO_SERVER, False, b"\x80\x2e\x01\x00\x02\x00\x15\x00"),
    ("tls", TO_CLIENT, False, b"\x15\x03\x03\x00\x02\x02\x28"),
    ("dcerpc", TO_SERVER, False, b"\x05\x00\x0b\x03\x10\x00\x00\x00\x48\x00\x00\x00\x01\x00\x00\x00"),
    ("dcerpc", TO_CLIENT, False, b"\x05\x00\x0c\x03\x10\x00\x00\x00\x48\x00\x00\x00\x01\x00\x00\x00"),
    ("dcerpc", TO_SERVER, True, b"\x04\x00\x08\x00\x10\x00\x00\x00" + bytes(72)),
    ("smb", TO_SERVER, False, b"\x00\x00\x00\x40\xfeSMB\x40\x00" + bytes(58)),
    ("smb", TO_CLIENT, False, b"\x00\x00\x00\x40\xffSMB\x72\x00" + bytes(58)),
    ("ftp", TO_SERVER, False, b"user anonymous\r\n"),
    ("ftp", TO_CLIENT, False, b"220 (vsFTPd 3.0.3)\r\n"),
    ("ssh", TO_SERVER, False, b"SSH-2.0-x\r\n"),
    ("ssh", TO_CLIENT, False, b"SSH-2.0-x\r\n"),
    ("smtp", TO_SERVER, False, b"EHLO example.com\r\n"),
    ("imap", TO_SERVER, False, b"1 capability\r\n"),
    ("rfb", TO_CLIENT, False, b"RFB 003.008\n"),
    ("http2", TO_SERVER, False, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("bittorrent-dht", TO_SERVER, True, b"d1:ad2:id20:" + bytes(20)),
    ("bittorrent-dht", TO_CLIENT, True, b"d1:ad2:id20:" + bytes(20)),
]

#: by a port of the server's: (protocol, port, direction, over UDP, bytes)
BY_PORT = [
    ("tls", 443, TO_SERVER, False, b"\x80\x2e\x01\x03\x01\x00\x15\x00"),
    ("dns", 53, TO_SERVER, True, b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\x01a\x00\x00\x01\x00\x01"),
    ("smb", 445, TO_SERVER, False, b"\x81\x00\x00\x04" + bytes(4) + b"\x00\x00\x00\x40\xffSMB" + bytes(40)),
    ("modbus", 502, TO_SERVER, False, b"\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00\x00\x01"),
    ("enip", 44818, TO_SERVER, False, ENIP),
    ("enip", 44818, TO_CLIENT, True, ENIP),
    ("dnp3", 20000, TO_SERVER, False, dnp3_header(0xC4)),
    ("dnp3", 20000, TO_CLIENT, False, dnp3_header(0x44)),
    ("nfs", 2049, TO_SERVER, False, struct.pack(">I", 0x80000000 | len(RPC_CALL)) + RPC_CALL),
    ("nfs", 2049, TO_CLIENT, False, struct.pack(">I", 0x80000000 | len(RPC_REPLY)) + RPC_REPLY),
    ("nfs", 2049, TO_SERVER, True, RPC_CALL),
    ("ntp", 123, TO_SERVER, True, b"\x23" + bytes(47)),
    ("ntp", 123, TO_CLIENT, True, b"\x24" + bytes(47 + 20)),
    ("tftp", 69, TO_SERVER, True, b"\x00\x01a\x00octet\x00"),
    ("ike", 500, TO_SERVER, True, IKE2),
    ("krb5", 88, TO_SERVER, True, KRB5_BODY),
    ("krb5", 88, TO_SERVER, False, struct.pack(">I", len(KRB5_BODY)) + KRB5_BODY),
    ("dhcp", 67, TO_SERVER, True, b"\x01\x01\x06\x00" + bytes(240)),
    ("snmp", 161, TO_SERVER, True, b"\x30\x1a\x02\x01\x01\x04\x06public" + bytes(12)),
    ("sip", 5060, TO_SERVER, True, SIP_REQUEST),
    ("sip", 5060, TO_CLIENT, True, b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1\r\n\r\n"),
    ("quic", 443, TO_SERVER, True, QUIC),
    ("mqtt", 1883, TO_SERVER, False, b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c"),
    ("pgsql", 5432, TO_SERVER, False, b"\x00\x00\x00\x08\x04\xd2\x16\x2f"),
    ("pgsql", 5432, TO_CLIENT, False, b"S"),
    ("telnet", 23, TO_CLIENT, False, b"\xff\xfd\x18\xff\xfd\x20"),
    ("rdp", 3389, TO_SERVER, False, b"\x03\x00\x00\x13\x0e\xe0"),
    ("http2", 80, TO_CLIENT, False, b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18)),
]


def recognised(data, direction, *, port=9999, udp=False):
    trial = RoomTrial(ports=(40000, port), udp=udp)
    trial.feed(direction, data)
    return trial.seen[direction]


@pytest.mark.parametrize(("proto", "direction", "udp", "data"), BY_PATTERN)
def test_bytes_tell_on_any_port(proto, direction, udp, data):
    assert recognised(data, direction, udp=udp) == proto


METHODS = """get put post head trace options connect delete patch propfind proppatch mkcol copy move lock unlock checkout uncheckout
checkin update label report mkworkspace mkactivity merge invalid version-control baseline-control""".split()


@pytest.mark.parametrize("end", [b" ", b"\t"])
@pytest.mark.parametrize("method", METHODS)
def test_methods_in_any_case(method, end):
    for text in (method, method.upper(), method.title()):
        assert recognised(text.encode() + end, TO_SERVER) == "http"
        assert recognised(bytes([text.encode()[0] ^ 0x40]) + text.encode()[1:] + end, TO_SERVER) == "unknown"
    assert recognised(method.encode(), TO_SERVER) == "unknown"


@pytest.mark.parametrize(("proto", "port", "direction", "udp", "data"), BY_PORT)
def test_a_port_tells(proto, port, direction, udp, data):
    assert recognised(data, direction, port=port, udp=udp) == proto
    assert recognised(data, direction, udp=udp) in ("unknown", "failed")


@pytest.mark.parametrize(("port", "udp", "data"), [
    (123, True, b"\x23" + bytes(47 + 4)),           # an authenticator of another length
    (123, True, b"\x0b" + bytes(47)),               # version 1
    (502, False, b"\x00\x00\x00\x00\x00\x04\x00\x5a\x00\x02"),  # a reserved function
    (5060, True, SIP_REQUEST.replace(b"Via", b"Vi\x1d")),
    (500, True, IKE2[:-1] + b"\x1d"),               # another length than it says
    (2049, True, RPC_CALL.replace(struct.pack(">I", 100003), struct.pack(">I", 100005))),
    (20000, False, dnp3_header(0xC4)[:-1] + b"\x00"),
    (443, True, QUIC[:-4]),                         # shorter than it says
    (88, True, KRB5_BODY.replace(b"\x02\x01\x05", b"\x02\x01\x04")),
])
def test_what_is_almost_it(port, udp, data):
    assert recognised(data, TO_SERVER, port=port, udp=udp) in ("unknown", "failed")


@pytest.mark.parametrize(("proto", "direction", "udp", "data"), [row for row in BY_PATTERN if not row[2]])
def test_pieces_change_nothing(proto, direction, udp, data):
    for size in (1, 2, 3):
        trial = RoomTrial(ports=(40000, 9999))
        trial.stream(direction, [data[at:at + size] for at in range(0, len(data), size)])
        assert trial.seen[direction] == proto


@pytest.mark.parametrize("udp", [False, True])
def test_random_bytes_are_survived(udp):
    chance = random.Random(7)
    seeds = [row[-1] for row in BY_PATTERN + BY_PORT]
    ports = [9999, *sorted({row[1] for row in BY_PORT})]
    for _ in range(3000):
        data = bytearray(chance.choice(seeds) if chance.random() < 0.7 else chance.randbytes(chance.randrange(64)))
        for _ in range(chance.randrange(4)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        cut = bytes(data[:chance.randrange(len(data) + 1)])
        trial = RoomTrial(ports=(40000, chance.choice(ports)), udp=udp)
        for direction in chance.sample((TO_SERVER, TO_CLIENT), 2):
            assert 0 <= trial.feed(direction, cut) & 0x7FFFFFFF <= len(cut)
        assert trial.proto
        assert trial.close() == {"flow": 0, "applayer": 0}


# ---- two directions ----

def test_both_sides_unknown_is_given_up():
    trial = RoomTrial()
    trial.feed(TO_SERVER, b"\x01" * 40)
    assert (trial.proto, trial.seen) == ("unknown", ("unknown", "unknown"))
    trial.feed(TO_CLIENT, b"\x02" * 40)
    assert (trial.proto, trial.seen) == ("failed", ("failed", "failed"))
    assert trial.events == []


def test_little_is_not_given_up():
    trial = RoomTrial()
    trial.feed(TO_SERVER, b"\x01" * 3)
    trial.feed(TO_CLIENT, b"\x02" * 3)
    assert trial.proto == "unknown"


def test_one_side_alone_is_enough():
    trial = RoomTrial()
    trial.feed(TO_SERVER, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    trial.feed(TO_CLIENT, b"no such thing as an answer\r\n")
    assert trial.proto == "http"
    assert trial.seen == ("http", "failed")
    assert trial.events == ["applayer.detect_protocol_only_one_direction"]


def test_a_short_answer_waits():
    trial = RoomTrial()
    trial.feed(TO_SERVER, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert trial.feed(TO_CLIENT, b"no") == 0
    assert trial.seen == ("http", "unknown")


def test_sides_that_differ():
    trial = RoomTrial()
    trial.feed(TO_SERVER, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    trial.feed(TO_CLIENT, b"SSH-2.0-x\r\n")
    assert trial.proto == "http"
    assert trial.seen == ("http", "ssh")
    assert trial.events == ["applayer.mismatch_protocol_both_directions"]


def test_who_must_not_speak_first():
    trial = RoomTrial()
    trial.feed(TO_CLIENT, b"\x16\x03\x03\x00\x04\x0e\x00\x00\x00")
    assert trial.proto == "failed"
    assert trial.events == ["applayer.wrong_direction_first_data"]


def test_what_came_first_is_parsed_first():
    trial = RoomTrial()
    banner = b"220 mail.example.com ESMTP\r\n"
    assert trial.feed(TO_CLIENT, banner) == 0
    trial.feed(TO_SERVER, b"EHLO a\r\n")
    assert trial.proto == "smtp"
    assert trial.seen == ("smtp", "failed")
    assert trial.feed(TO_CLIENT, banner) == len(banner)     # was parsed before the command


def test_one_side_may_not_fill_memory():
    trial = RoomTrial()
    trial.feed(TO_CLIENT, b"\x02" * 100_001)
    assert trial.proto == "failed"
    assert trial.events == ["applayer.proto_detection_skipped"]


def test_a_gap_hides_a_side_but_not_the_other():
    trial = RoomTrial()
    trial.feed(TO_SERVER, gap=10)
    assert trial.proto == "unknown"
    trial.feed(TO_CLIENT, b"SSH-2.0-x\r\n")
    assert trial.seen == ("unknown", "ssh")


# ---- datagrams ----

def test_a_datagram_decides():
    trial = RoomTrial(ports=(40000, 9999), udp=True)
    trial.feed(TO_SERVER, b"\x01")
    assert (trial.proto, trial.seen) == ("failed", ("failed", "unknown"))
    trial.feed(TO_CLIENT, b"d1:ad2:id20:" + bytes(20))
    assert (trial.proto, trial.seen) == ("bittorrent-dht", ("failed", "bittorrent-dht"))


def test_an_unknown_answer_is_that_of_the_protocol():
    trial = RoomTrial(ports=(40000, 123), udp=True)
    trial.feed(TO_SERVER, b"\x23" + bytes(47))
    trial.feed(TO_CLIENT, b"\x01")
    assert (trial.proto, trial.seen) == ("ntp", ("ntp", "ntp"))


def test_an_initiator_seen_late_turns_the_flow_round():
    trial = RoomTrial(ports=(40000, 53), udp=True)
    answer = b"\x12\x34\x81\x80\x00\x01" + bytes(6) + b"\x01a\x00\x00\x01\x00\x01"
    assert trial.feed(TO_SERVER, answer) >> 31 == 1
    assert trial.seen == ("unknown", "dns")


# ---- settings ----

def test_what_is_off_is_not_recognised():
    trial = RoomTrial(enabled={"ssh": "no"})
    trial.feed(TO_SERVER, b"SSH-2.0-x\r\n" + bytes(40))
    assert trial.seen[TO_SERVER] == "unknown"


def test_ports_are_settings():
    modbus = b"\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00\x00\x01"
    trial = RoomTrial(ports=(40000, 1502), tcp_ports={"modbus": [1502]})
    trial.feed(TO_SERVER, modbus)
    assert trial.proto == "modbus"
    trial = RoomTrial(ports=(40000, 502), tcp_ports={"modbus": [1502]})
    trial.feed(TO_SERVER, modbus)
    assert trial.proto == "unknown"


def test_too_many_protocols_at_a_port_are_refused():
    names = ("modbus", "dnp3", "nfs", "krb5", "mqtt", "pgsql", "telnet")
    with pytest.raises(ValueError, match="more than 6 protocols"):
        RoomTrial(tcp_ports={name: [7] for name in names})
