"""The session table of an engine at work: five calls, from any thread."""
from __future__ import annotations

import threading

import pytest
from captures import conversation, tcp, udp, write_pcap
from runs import rules_of

import fastpath as fp
from fastpath.control.sessions import AddStatus, CloseCode, SessionAction, SessionState

START = 1_700_000_000
NS = 1_000_000_000
OFFLOADED, INSPECTED, DROPPED = 1, 0, 2
ASKS = 'alert udp any any -> any 53 (content:"first"; bypass; sid:1;)\nalert udp any any -> any any (content:"seen"; sid:2;)\n' \
       'alert tcp any any -> any any (content:"seen"; sid:3;)'


def request(number, sport=40000, **more):
    return fp.SessionRequest(number, "10.0.0.1", sport, "10.0.0.2", more.pop("dport", 53), more.pop("protocol", "udp"), **more)


@pytest.fixture
def engine():
    with fp.Engine(rules_of(ASKS), config=fp.Config.load(None, ["flow.memcap=8mb"]), device=fp.Device(sessions=100, idle_timeout=5)) as made:
        yield made


def inspect(engine, *packets, at=0.0):
    return engine.inspect(packets, ts=float(START + at))


def ledger(verdicts):
    return verdicts.array["ledger"].tolist()


def test_a_session_before_its_first_packet(engine):
    assert engine.device.add([request(1)]).status == AddStatus.ACCEPTED
    verdicts = inspect(engine, udp(b"seen"), udp(b"seen", "10.0.0.2", 53, "10.0.0.1", 40000), udp(b"seen", sport=40001))
    assert ledger(verdicts) == [OFFLOADED, OFFLOADED, INSPECTED]
    assert len(verdicts.alerts) == 1
    session = engine.device.get(1)
    assert (session.packets, session.reason, session.source, session.source_port) == ((1, 1), "outside", "10.0.0.1", 40000)


def test_a_session_of_a_flow_that_is_there(engine):
    assert ledger(inspect(engine, udp(b"seen"))) == [INSPECTED]
    engine.device.add([request(1, action=SessionAction.DROP)])
    assert ledger(inspect(engine, udp(b"seen"), at=1)) == [DROPPED]
    engine.device.delete(1)
    assert ledger(inspect(engine, udp(b"seen"), at=2)) == [INSPECTED]


def test_a_session_is_of_a_direction(engine):
    """in is what its source sends, whoever began the flow."""
    inspect(engine, udp(b"x"))
    engine.device.add([fp.SessionRequest(1, "10.0.0.2", 53, "10.0.0.1", 40000, "udp")])
    inspect(engine, udp(b"xx"), udp(b"yyy", "10.0.0.2", 53, "10.0.0.1", 40000), udp(b"xx"), at=1)
    assert engine.device.get(1).packets == (1, 2)


def test_a_session_outlives_its_flow(engine):
    engine.device.add([request(1, timeout=4000)])
    for at in (0, 500, 1000):       # a flow of UDP ends after 300 s at the latest
        assert ledger(inspect(engine, udp(b"seen"), at=at)) == [OFFLOADED]
    assert engine.device.get(1).packets == (3, 0)
    assert engine.stats["flows"]["created"] == 3


def test_the_engines_own_sessions_can_be_asked_for(engine):
    inspect(engine, udp(b"first"))
    assert list(engine.device) == []        # the batch is open until the second is over
    assert ledger(inspect(engine, udp(b"first"), at=1.5)) == [OFFLOADED]
    session, = engine.device
    assert session.id >> 63 and session.reason == "rule" and session == engine.device.get(session.id)
    assert engine.device.add([request(1)]).status == AddStatus.ALREADY_EXISTS
    assert engine.device.delete(session.id).code == CloseCode.UNKNOWN
    assert engine.device.get(session.id) is None and engine.device.delete(session.id) is None
    assert engine.device.closed() == []
    assert engine.device.add([request(1)]) == (AddStatus.ACCEPTED, (), ())


def test_mirror_and_snoop(engine):
    engine.device.add([request(1, action=SessionAction.MIRROR), request(2, 40001, action=SessionAction.SNOOP)])
    long = udp(b"seen" + bytes(3000), sport=40001)
    verdicts = inspect(engine, udp(b"seen"), udp(b"seen"), long, long, long)
    assert ledger(verdicts) == [INSPECTED, INSPECTED, INSPECTED, INSPECTED, OFFLOADED]
    assert len(verdicts.alerts) == 4
    assert engine.device.get(1).packets == (2, 0) and engine.device.get(2).packets == (3, 0)
    assert engine.stats["device"]["copied_packets"] == 4 and engine.stats["device"]["packets"] == 1


def test_closing(engine):
    packets = conversation([(b"seen", b"ok")])
    engine.device.add([request(1, dport=80, protocol="tcp")])
    states = []
    for packet in packets:
        inspect(engine, packet)
        session = engine.device.get(1)
        states.append(session.state if session is not None else None)
    assert states[-3:] == [SessionState.CLOSING_1, SessionState.CLOSING_2, None]
    closed, = engine.device.closed()
    assert (closed.id, closed.code, closed.state) == (1, CloseCode.FINACK, SessionState.CLOSED)
    assert closed.packets == (3, 2)         # all but SYN, SYN/ACK, both FINs and what acknowledges the second
    assert len(engine.device.closed()) == 0


def test_reset(engine):
    packets = conversation([(b"seen", b"ok")])[:4]
    engine.device.add([request(1, dport=80, protocol="tcp")])
    inspect(engine, *packets, tcp(b"", flags=0x14, seq=1005, ack=9001))
    assert [closed.code for closed in engine.device.closed()] == [CloseCode.RST]


def test_other_threads_are_served_while_a_replay_goes_on(tmp_path):
    """What they add holds from the next step on; every call is answered."""
    path = write_pcap(tmp_path / "a.pcap", [udp(b"x", sport=1 + number % 60000) for number in range(200_000)], step=0.00001)
    answers, found = [], []
    with fp.Engine(None, device=fp.Device(sessions=1_000_000)) as engine:
        started, done = threading.Event(), threading.Event()

        def client(first):
            started.wait()
            for number in range(20):
                answers.append(engine.device.add([request(first + number, sport=first + number)]).status)
                found.append(engine.device.get(first + number))
        threads = [threading.Thread(target=client, args=(first,)) for first in (1000, 2000, 3000)]
        for thread in threads:
            thread.start()
        engine.replay(str(path), progress=lambda at: started.set())
        done.set()
        for thread in threads:
            thread.join(30)
    assert answers == [AddStatus.ACCEPTED] * 60
    assert all(session is not None for session in found[:1])


def test_who_iterates_a_stream_may_ask(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [udp(b"seen", sport=1 + number % 60000) for number in range(100_000)], step=0.00001)
    with fp.Engine(rules_of(ASKS), device=fp.Device(sessions=1_000_000)) as engine:
        alerts = 0
        for columns in engine.stream(str(path)):
            alerts += len(columns)
            if alerts == len(columns):
                assert engine.device.add([request(1, sport=1)]).status == AddStatus.ACCEPTED
                assert engine.device.get(1).id == 1
    assert alerts == 100_000 - 1        # the second packet of that flow


def test_errors(engine):
    with pytest.raises(ValueError, match="at most 64 requests, not 65"):
        engine.device.add(request(number) for number in range(65))
    for wrong, message in ((dict(number=-1), "id must be"), (dict(number=1 << 63), "id must be"), (dict(number=1, sport=65536), "source_port must be"),
                           (dict(number=1, protocol="sctp"), "protocol must be"), (dict(number=1, vlans=(4096,)), "vlans must be"),
                           (dict(number=1, action=7), "7 is not a valid SessionAction"), (dict(number=1, timeout=-1), "timeout must be")):
        with pytest.raises(ValueError, match=message):
            request(**wrong)
    with pytest.raises(ValueError, match="one IP version"):
        fp.SessionRequest(1, "10.0.0.1", 1, "::1", 2)
    with pytest.raises(ValueError, match="a session's id"):
        engine.device.get(-1)
    assert fp.Engine(None).device is None


def test_a_closed_engine_answers_nobody():
    engine = fp.Engine(None, device=fp.Device())
    engine.close()
    with pytest.raises(ValueError, match="closed"):
        engine.device.get(1)
