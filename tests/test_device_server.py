"""The session table over gRPC, asked by a client that the compiler of protobuf generated from the published file."""
from __future__ import annotations

import importlib
import ipaddress
import subprocess
import sys
from pathlib import Path

import pytest
from captures import udp

import fastpath as fp
from fastpath import openoffload

grpc = pytest.importorskip("grpc", reason="needs the extra grpc")
pytest.importorskip("grpc_tools", reason="needs grpcio-tools")

PROTO = Path(openoffload.__file__).with_name("openoffload.proto")
START = 1_700_000_000
TABLE_FULL, ALREADY_EXISTS, REJECTED = 2, 4, 1
NONEXISTENT = 2


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """The messages and the stub of openoffload.proto."""
    folder = tmp_path_factory.mktemp("generated")
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO.parent}", f"--python_out={folder}", f"--grpc_python_out={folder}",
                    PROTO.name], check=True)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("openoffload_pb2"), importlib.import_module("openoffload_pb2_grpc")
    sys.path.remove(str(folder))


@pytest.fixture
def served(generated):
    """Serves a device; gives the engine and a client of it."""
    from fastpath.openoffload.server import serve
    open_ = []

    def start(**device):
        engine = fp.Engine(None, config=fp.Config.load(None, ["flow.memcap=8mb"]), device=fp.Device(**device))
        server, port = serve(engine.device, "127.0.0.1:0")
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        open_.append((channel, server, engine))
        return engine, generated[1].SessionTableStub(channel)
    yield start
    for channel, server, engine in open_:
        channel.close()
        server.stop(None)
        engine.close()


def ip(text):
    return int.from_bytes(ipaddress.ip_address(text).packed, "little")


def asked(pb, number, *, port=None, action=None, protocol=17):
    return pb.SessionRequest(session_id=number, in_lif=1, out_lif=2, ip_version=pb._IPV4, source_ip=ip("10.0.0.1"),
                             source_port=port if port is not None else 40000 + number, destination_ip=ip("10.0.0.2"), destination_port=53,
                             protocol_id=protocol, action=pb.ActionParameters(action_type=pb._FORWARD if action is None else action))


def test_the_file_and_the_interface_say_the_same(generated):
    from google.protobuf import descriptor_pb2

    from fastpath.openoffload.interface import describe
    compiled = descriptor_pb2.FileDescriptorProto()
    generated[0].DESCRIPTOR.CopyToProto(compiled)
    for message in compiled.message_type:
        for field in message.field:
            field.ClearField("json_name")
    mine = describe()
    for method in (*mine.service[0].method, *compiled.service[0].method):
        method.ClearField("options")
    assert mine == compiled


def test_a_session_over_its_life(generated, served):
    pb = generated[0]
    engine, client = served(sessions=100, idle_timeout=5)
    answer = client.AddSession(iter([asked(pb, 1), asked(pb, 2, action=pb._DROP)]))
    assert answer.request_status == 0 and answer.error_status == 0 and not answer.response_error
    verdicts = engine.inspect([udp(b"x", sport=40001), udp(b"y", "10.0.0.2", 53, "10.0.0.1", 40001), udp(b"z", sport=40002)], ts=START * 10**9)
    assert verdicts.action.tolist() == [0, 0, 1] and verdicts.array["ledger"].tolist() == [1, 1, 2]
    told = client.GetSession(pb.SessionId(session_id=1))
    assert (told.in_packets, told.out_packets, told.in_bytes, told.request_status, told.session_state) == (1, 1, len(udp(b"x")), 0, pb._ESTABLISHED)
    assert told.start_time.seconds == START
    assert client.GetSession(pb.SessionId(session_id=9)).request_status == NONEXISTENT
    gone = client.DeleteSession(pb.SessionId(session_id=2))
    assert gone.in_packets == 1 and gone.session_state == pb._CLOSED
    assert client.DeleteSession(pb.SessionId(session_id=2)).request_status == NONEXISTENT
    assert list(client.GetClosedSessions(pb.SessionRequestArgs())) == []
    engine.tick((START + 6) * 10**9)
    closed = list(client.GetClosedSessions(pb.SessionRequestArgs()))
    assert [(one.session_id, one.session_close_code, one.end_time.seconds) for one in closed] == [(1, pb._TIMEOUT, START + 6)]
    assert list(client.GetClosedSessions(pb.SessionRequestArgs())) == []


def test_a_batch_that_does_not_fit_is_refused_whole(generated, served):
    pb = generated[0]
    _, client = served(sessions=3)
    assert client.AddSession(iter([asked(pb, number) for number in (1, 2)])).request_status == 0
    answer = client.AddSession(iter([asked(pb, number) for number in (3, 4)]))
    assert answer.request_status == TABLE_FULL and answer.error_status == 0b11
    assert [one.session_id for one in client.GetAllSessions(pb.SessionRequestArgs()).session_info] == [1, 2]


def test_what_is_wrong_of_a_batch_is_marked(generated, served):
    pb = generated[0]
    _, client = served(sessions=100)
    client.AddSession(iter([asked(pb, 1)]))
    answer = client.AddSession(iter([asked(pb, 2), asked(pb, 1, port=5), asked(pb, 3, port=40001), asked(pb, 4)]))
    assert answer.request_status == ALREADY_EXISTS and answer.error_status == 0b0110
    assert [(one.session_id, one.error_status) for one in answer.response_error] == [(1, ALREADY_EXISTS), (3, ALREADY_EXISTS)]
    bad = asked(pb, 5)
    bad.ip_version, bad.source_ipv6 = pb._IPV6, b"short"
    answer = client.AddSession(iter([bad, asked(pb, 6)]))
    assert answer.request_status == REJECTED and answer.error_status == 0b01
    assert client.AddSession(iter([asked(pb, number) for number in range(100, 165)])).request_status == REJECTED
    assert {one.session_id for one in client.GetAllSessions(pb.SessionRequestArgs()).session_info} == {1, 2, 4, 6}


def test_pages(generated, served):
    pb = generated[0]
    _, client = served(sessions=500)
    for first in range(0, 192, 64):
        assert client.AddSession(iter([asked(pb, number) for number in range(first, first + 64)])).request_status == 0
    seen, start = [], 0
    while True:
        page = client.GetAllSessions(pb.SessionRequestArgs(page_size=50, start_session=start))
        assert len(page.session_info) <= 50
        seen += [one.session_id for one in page.session_info]
        start = page.next_key
        if start == 0:
            break
    assert sorted(seen) == list(range(192))


def test_ipv6(generated, served):
    pb = generated[0]
    engine, client = served(sessions=4)
    ends = [ipaddress.ip_address(text).packed for text in ("2001:db8::2", "2001:db8::1")]
    answer = client.AddSession(iter([pb.SessionRequest(
        session_id=7, ip_version=pb._IPV6, source_ipv6=ends[0], source_port=9, destination_ipv6=ends[1], destination_port=80, protocol_id=pb._TCP,
        action=pb.ActionParameters(action_type=pb._SNOOP), cache_timeout=30)]))
    assert answer.request_status == 0
    session = engine.device.get(7)
    assert (session.source, session.destination, session.protocol, session.action.name) == ("2001:db8::2", "2001:db8::1", 6, "SNOOP")
