"""What bytes are that recognition knows nothing about: by their shape on any port, or on their own port; and what they are not."""
import random
import struct

import pytest

from fastpath.dataplane.applayer.room_trial import RoomTrial

TO_SERVER, TO_CLIENT = 0, 1
CONNECT = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04ab12"
COAP_GET = b"\x41\x01\x12\x34\x07\xb4lamp"
MODBUS_READ = bytes.fromhex("000100000006010300010004")
MODBUS_WRITE = bytes.fromhex("00020000000b0110000100020400120013")
OPCUA_HELLO = b"HELF" + struct.pack("<IIIIIII", 32 + 25, 0, 65536, 65536, 0, 0, 25) + b"opc.tcp://10.20.0.1:4840/"
S7_SETUP = bytes.fromhex("0300001902f08032010000000000080000f0000001000101e0")
S7_CONNECT = bytes.fromhex("0300001611e00000000100c0010ac1020100c2020102")
NVME_ASKS = b"\x00\x00\x80\x00\x80\x00\x00\x00" + bytes(120)
NVME_ANSWERS = b"\x01" + NVME_ASKS[1:]
NFS_CALL = struct.pack(">I", 0x80000000 | 40) + struct.pack(">10I", 7, 0, 2, 100003, 3, 1, 0, 0, 0, 0)
NCCL_NET = struct.pack("<QI", 0x564AB9F2FC4B9D6C, 3)
NCCL_BOOTSTRAP = struct.pack("<QIIII", 0x1122334455667788, 1, 136, 3, 8) + bytes(128)
BACNET_READ = bytes.fromhex("810a001101040005010c0c008000011955")
IPMI_ASKS = bytes.fromhex("0600ff07000000000000000009") + bytes.fromhex("2018c88104388e04b5")
GTPC_ECHO = bytes.fromhex("40010009000001000300010005")
PFCP_BEAT = bytes.fromhex("2001000c0000010000600004e0000000")


def dnp3(control: int) -> bytes:
    header = bytes((5, 0x64, 5, control, 1, 0, 2, 0))
    crc = 0
    for byte in header:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA6BC if crc & 1 else crc >> 1
    return header + struct.pack("<H", ~crc & 0xFFFF)


#: (application, over UDP, direction, server's port, bytes)
SPOKEN = [
    ("mqtt", False, TO_SERVER, 18830, CONNECT),
    ("mqtt", False, TO_SERVER, 18830, b"\x10\x10\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x02ab"),
    ("coap", True, TO_SERVER, 9, COAP_GET),
    ("coap", True, TO_CLIENT, 5683, b"\x61\x45\x12\x34\x07\xffoff"),
    ("modbus", False, TO_SERVER, 1502, MODBUS_READ),
    ("modbus", False, TO_SERVER, 1502, MODBUS_WRITE),
    ("opcua", False, TO_SERVER, 4841, OPCUA_HELLO),
    ("opcua", False, TO_CLIENT, 4841, b"ACKF" + struct.pack("<6I", 28, 0, 65536, 65536, 0, 0)),
    ("s7", False, TO_SERVER, 1102, S7_SETUP),
    ("s7", False, TO_SERVER, 102, S7_CONNECT),
    ("s7", False, TO_SERVER, 102, bytes.fromhex("030000241fe00000000100c1020600c20f53494d415449432d524f4f542d45530001")),
    ("nvme-tcp", False, TO_SERVER, 4421, NVME_ASKS),
    ("nvme-tcp", False, TO_CLIENT, 4421, NVME_ANSWERS),
    ("nfs", False, TO_SERVER, 12049, NFS_CALL),
    ("nfs", True, TO_SERVER, 12049, NFS_CALL[4:]),
    ("nccl", False, TO_SERVER, 45000, NCCL_NET),
    ("nccl", False, TO_SERVER, 45000, NCCL_BOOTSTRAP),
    ("dnp3", False, TO_SERVER, 20001, dnp3(0xC4)),
    ("dnp3", True, TO_SERVER, 20000, dnp3(0xC4)),
    ("enip", False, TO_SERVER, 44819, struct.pack("<HHII8sI", 0x65, 4, 0, 0, bytes(8), 0) + b"\1\0\0\0"),
    ("bacnet", True, TO_SERVER, 47809, BACNET_READ),
    ("ipmi", True, TO_SERVER, 9623, IPMI_ASKS),
    ("gtpc", True, TO_SERVER, 2123, GTPC_ECHO),
    ("pfcp", True, TO_SERVER, 8805, PFCP_BEAT),
]

#: (over UDP, direction, server's port, bytes): nearly so, or so on another port.
OTHERS = [
    (False, TO_SERVER, 18830, b"\x10\x10\x00\x04MQTX\x04\x02\x00\x3c\x00\x04ab12"),
    (False, TO_SERVER, 18830, b"\x10\x10\x00\x04MQTT\x09\x02\x00\x3c\x00\x04ab12"),
    (False, TO_CLIENT, 18830, CONNECT),
    (True, TO_SERVER, 9, b"\x41\x01\x12\x34\x07\xd0"),                     # an option without its length
    (True, TO_SERVER, 9, b"\x41\x41\x12\x34\x07\xffoff"),                  # an answer, off its port
    (True, TO_SERVER, 5683, b"\x4f\x01\x12\x34" + bytes(20)),              # a token of 15 bytes
    (False, TO_SERVER, 1502, MODBUS_READ + b"\0"),
    (False, TO_SERVER, 1502, MODBUS_READ[:7] + b"\x63" + MODBUS_READ[8:]),
    (False, TO_CLIENT, 1502, MODBUS_READ),
    (False, TO_SERVER, 4841, OPCUA_HELLO.replace(b"opc.tcp", b"opc.udp")),
    (False, TO_SERVER, 3390, bytes.fromhex("030000130ee000000000000100080003000000")),      # a desktop: COTP without TSAPs
    (False, TO_SERVER, 102, bytes.fromhex("0300001611e00000000100c0010ac1020001c2020001")),  # MMS
    (False, TO_SERVER, 4421, b"\x02" + NVME_ASKS[1:]),
    (False, TO_SERVER, 12049, NFS_CALL.replace(struct.pack(">I", 100003), struct.pack(">I", 100005))),
    (False, TO_SERVER, 45000, struct.pack("<QIIII", 0x1122334455667788, 1, 136, 8, 8) + bytes(128)),    # rank 8 of 8
    (False, TO_SERVER, 45000, struct.pack("<QI", 0x564AB9F2FC4B9D6C, 9)),
    (False, TO_SERVER, 20001, dnp3(0xC4)[:-1] + b"\xff"),
    (True, TO_SERVER, 47808, BACNET_READ + b"\0"),
    (True, TO_SERVER, 623, b"\x06\0\xff\x06" + bytes(12)),                 # ASF
    (True, TO_SERVER, 2124, GTPC_ECHO),
    (True, TO_SERVER, 8806, PFCP_BEAT),
    (True, TO_SERVER, 8805, b"\x40" + PFCP_BEAT[1:]),
]


def spoken(udp, direction, port, *pieces, **settings):
    room = RoomTrial(ports=(40000, port), udp=udp, **({"beyond": True} | settings))
    for piece in pieces:
        room.feed(direction, piece)
    return room.application, room.proto


@pytest.mark.parametrize(("application", "udp", "direction", "port", "data"), SPOKEN)
def test_its_shape_tells(application, udp, direction, port, data):
    assert spoken(udp, direction, port, data)[0] == application


@pytest.mark.parametrize(("udp", "direction", "port", "data"), OTHERS)
def test_what_is_nearly_so_is_not(udp, direction, port, data):
    assert spoken(udp, direction, port, data)[0] in ("unknown", "failed")


@pytest.mark.parametrize(("application", "udp", "direction", "port", "data"), SPOKEN)
def test_only_where_it_is_asked_for(application, udp, direction, port, data):
    found, proto = spoken(udp, direction, port, data, beyond=False)
    assert found == proto


@pytest.mark.parametrize(("application", "udp", "direction", "port", "data"), SPOKEN)
def test_cut_anywhere_it_is_that_or_nothing_yet(application, udp, direction, port, data):
    for length in range(len(data)):
        assert spoken(udp, direction, port, data[:length])[0] in (application, "unknown", "failed")


def test_what_rules_see_stays_as_it_was():
    """app.proto is recognition's alone: what is beyond changes no rule."""
    for _, udp, direction, port, data in SPOKEN:
        assert spoken(udp, direction, port, data)[1] == spoken(udp, direction, port, data, beyond=False)[1]


def test_what_recognition_knows_has_the_last_word():
    assert spoken(False, TO_SERVER, 1883, CONNECT)[0] == "mqtt"
    assert spoken(False, TO_SERVER, 1502, b"GET / HTTP/1.1\r\n\r\n") == ("http", "http")


def test_bytes_by_chance_are_nothing():
    rng = random.Random(5)
    for _ in range(4000):
        data, udp = rng.randbytes(rng.randrange(1, 64)), rng.random() < 0.5
        application, proto = spoken(udp, rng.randrange(2), rng.choice((9, 4000, 30000)), data)
        assert application == proto
