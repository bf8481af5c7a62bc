"""What could not be looked into, and how it is told: by service, by what the inventory calls it, by segment."""
from __future__ import annotations

import io

import pytest
from captures import conversation, write_pcap
from made_tls import DATA, record
from runs import replay, rules_of
from sealed_tls import Sealed13
from tls_sessions import frames_of

import fastpath as fp

RULES = """
alert tls any any -> any any (msg:"hosted"; tls.sni; dotprefix; content:".hosted.example"; endswith; inventory; metadata:service A_Service, service_kind hosted, service_by tls, service_domain .hosted.example; sid:1;)
"""
SEALED = 5 * 2000


def frames(name: bytes, port: int, records: int = 5) -> list[bytes]:
    """A session without keys: its hellos, then records of 2,000 bytes from the server."""
    flights = Sealed13(name=name).hellos + [(1, record(DATA, bytes(1995)))] * records
    return frames_of(flights, sport=port)


@pytest.fixture
def capture_of_three(tmp_path):
    """Two sessions of one service, one of another, one that names nobody, and one in the clear."""
    return write_pcap(tmp_path / "a.pcap", frames(b"API.hosted.example", 40000) + frames(b"api.hosted.example", 40001) + frames(b"other.example", 40002, 1)
                      + frames(b"", 40003) + conversation([(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]))


def test_by_service(capture_of_three):
    result = replay(capture_of_three, RULES)
    told = result.stats["uninspected"]
    assert told["flows"] == 4
    assert told["bytes"] == 3 * SEALED + 2000
    assert told["share"] == pytest.approx(told["bytes"] / result.stats["bytes"])
    services = {one["service"]: one for one in told["by_service"]}
    assert set(services) == {"api.hosted.example", "other.example", "tls"}
    assert services["api.hosted.example"] == services["api.hosted.example"] | {
        "protocol": "tls", "hosted": "A Service", "flows": 2, "bytes": 2 * SEALED}
    assert (services["other.example"]["hosted"], services["other.example"]["bytes"]) == (None, 2000)
    assert services["tls"]["bytes"] == SEALED
    for one in services.values():
        assert one["bytes"] < one["of"]
        assert one["share"] == one["bytes"] / one["of"]
    assert [one["bytes"] for one in told["by_service"]] == sorted((one["bytes"] for one in told["by_service"]), reverse=True)
    assert told["by_segment"] == []


def test_the_same_for_any_workers_and_bursts(capture_of_three):
    told = [replay(capture_of_three, RULES, engine={"workers": workers, "burst": burst}).stats["uninspected"]
            for workers, burst in ((1, 1), (1, 128), (2, 7), (4, 256))]
    assert all(one == told[0] for one in told)


def test_by_segment(tmp_path, capture_of_three):
    policy = fp.Policy.parse("""
version: 1
segments:
  clients: 10.0.0.1
  servers: 10.0.0.2
lines:
- {name: all, from: clients, to: servers, protocol: tcp}
""")
    told = replay(capture_of_three, RULES, engine={"policy": policy}).stats["uninspected"]
    [pair] = told["by_segment"]
    assert (pair["from"], pair["to"], pair["bytes"], pair["flows"]) == ("clients", "servers", told["bytes"], 4)


def test_beyond_the_depth_nobody_looks(tmp_path):
    """What is past the depth of reassembly is not decrypted, and counts as sealed, with keys too."""
    session = Sealed13()
    flights = session.hellos + session.handshake + [(1, session.sides[1].seal(DATA, bytes(10_000))) for _ in range(20)]
    (tmp_path / "keys.log").write_text(session.keylog)
    path = write_pcap(tmp_path / "a.pcap", frames_of(flights))
    engine = {"keylog": tmp_path / "keys.log"}
    assert replay(path, RULES, engine=engine).stats["uninspected"]["bytes"] == 0
    told = replay(path, RULES, engine=engine, sets=("stream.reassembly.depth=50kb",)).stats["uninspected"]
    assert 140_000 < told["bytes"] < 160_000


def test_ssh_is_sealed_too(tmp_path):
    def packet(kind: int, size: int) -> bytes:
        return (size + 2).to_bytes(4, "big") + bytes([0, kind]) + bytes(size)
    clear = [(1, b"SSH-2.0-server\r\n"), (0, b"SSH-2.0-client\r\n"), (0, packet(20, 94)), (1, packet(20, 94)), (0, packet(21, 6)), (1, packet(21, 6))]
    path = write_pcap(tmp_path / "a.pcap", frames_of([*clear, (0, bytes(range(256)) * 4), (1, bytes(range(256)) * 8)], dport=22))
    told = replay(path, RULES).stats["uninspected"]
    [service] = told["by_service"]
    assert (service["service"], service["protocol"]) == ("ssh", "ssh")
    assert told["bytes"] == 12 * 256 + len(packet(21, 6))       # the message that says so counts as sealed


def test_in_the_summary_and_the_report(capture_of_three):
    from rich.console import Console

    from fastpath.outputs import terminal
    result = replay(capture_of_three, RULES)
    out = io.StringIO()
    terminal.print_summary(Console(file=out, width=200), result)
    assert f"sealed  {3 * SEALED + 2000:,} bytes" in out.getvalue()
    assert "api.hosted.example (A Service)" in out.getvalue()
    pytest.importorskip("jinja2")
    from fastpath.outputs.report import render
    page = render(result)
    assert "Not looked into" in page
    assert "api.hosted.example" in page


def test_live(capture_of_three, tmp_path):
    """Of packets from Python: once their flows have ended."""
    with fp.Engine(rules_of(RULES)) as engine:
        engine.inspect(frames(b"other.example", 40002, 1), ts=1_700_000_000.0)
        assert engine.stats["uninspected"]["flows"] == 0
        engine.tick(1_800_000_000.0)
        assert engine.stats["uninspected"]["bytes"] == 2000


def test_names_give_way_to_pseudonyms(capture_of_three):
    from fastpath.control.anonymise import Anonymiser
    told = replay(capture_of_three, RULES, engine={"anonymiser": Anonymiser(bytes(32))}).stats["uninspected"]
    assert "hosted.example" not in str(told)
    assert {one["hosted"] for one in told["by_service"]} == {"A Service", None}
    assert told["bytes"] == 3 * SEALED + 2000


def test_never_more_than_was_carried(corpus):
    """signal.pcap: a reset leaps ahead by gigabytes."""
    stats = replay(next(corpus.rglob("pcap/signal.pcap")), RULES).stats
    assert 0 < stats["uninspected"]["bytes"] < stats["bytes"]
