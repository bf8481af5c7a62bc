"""Hosted AI services by QUIC: their rules, the inventory, what stays sealed, policies, and that nothing hangs on bursts or workers."""
from __future__ import annotations

import json

import pytest
from captures import udp, write_pcap
from runs import assert_ledger

import fastpath as fp

pytest.importorskip("cryptography", reason="seals the packets")

from quic import V1, V2, crypto, hello, initial  # noqa: E402

POLICY = """version: 1
segments: {all: 0.0.0.0/0}
lines:
- {from: all, to: all, application: quic, action: deny}
- {from: all, to: all}
"""


def asked(name: str, port: int = 443, sport: int = 40000, version: int = V1, cut: int = 40) -> list[bytes]:
    """The first flight of a client, its hello in two packets, the later part first."""
    whole = hello(name)
    return [udp(initial(frames, number=number, version=version), sport=sport, dport=port)
            for number, frames in enumerate((crypto(cut, whole[cut:]), crypto(0, whole[:cut])))]


@pytest.fixture(scope="module")
def rules():
    return fp.RuleSet.pack("ai_factory")


def run(rules, path, **options):
    with fp.Engine(rules, **options) as engine:
        result = engine.replay(path)
    assert_ledger(result.stats)
    return result


@pytest.mark.parametrize(("name", "service"), [("api.openai.com", "OpenAI"), ("api.anthropic.com", "Anthropic"), ("CLAUDE.ai", "Anthropic"),
                                               ("openai.com.example.org", None), ("example.com", None)])
@pytest.mark.parametrize(("port", "version"), [(443, V1), (443, V2), (8443, V1)])
def test_a_hosted_service(rules, tmp_path, name, service, port, version):
    result = run(rules, write_pcap(tmp_path / "a.pcap", asked(name, port, version=version)))
    assert [item.service for item in result.inventory] == ([service] if service else [])
    row, = result.stats["uninspected"]["by_service"]
    assert (row["service"], row["protocol"], row["hosted"]) == (name.lower(), "quic", service)


@pytest.mark.parametrize("workers", [1, 4])
def test_connections_side_by_side(rules, tmp_path, workers):
    """Each has keys of its own, by a connection id and a version of its own; their packets come in turn."""
    flights = []
    for number in range(60):
        name = ("api.openai.com", "api.anthropic.com", "example.com")[number % 3]
        whole, keys = hello(name), {"version": (V1, V2)[number % 2], "connection": number.to_bytes(8, "big")}
        flights.append([udp(initial(frames, number=at, **keys), sport=40000 + number, dport=443)
                        for at, frames in enumerate((crypto(40, whole[40:]), crypto(0, whole[:40])))])
    result = run(rules, write_pcap(tmp_path / "a.pcap", [flight[at] for at in range(2) for flight in flights]), workers=workers)
    assert {item.service: item.flows for item in result.inventory} == {"OpenAI": 20, "Anthropic": 20}


def test_every_name_has_a_rule_by_quic(rules):
    """A rule is written as for TLS, beside it."""
    from fastpath.packs.ai_factory import hosted
    texts = hosted.rules().splitlines()
    by = {kind: [line for line in texts if line.startswith(f"alert {kind} ")] for kind in ("tls", "quic")}
    assert len(by["tls"]) == len(by["quic"]) and len({line.rsplit("sid:")[1] for line in texts}) == len(texts)


def test_a_policy_of_the_application(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", asked("example.com") + asked("example.com")[:1])
    result = run(fp.RuleSet.parse(""), path, policy=fp.Policy.parse(POLICY, "policy.yaml"), mode="ips")
    assert result.stats["ledger"]["dropped"]["packets"]


def test_bursts_and_workers_change_nothing(rules, tmp_path):
    packets = [packet for i in range(12) for packet in asked(("api.openai.com", "example.com", "claude.ai")[i % 3], sport=40000 + i)]
    path = write_pcap(tmp_path / "a.pcap", packets[::2] + packets[1::2])
    digests = {run(rules, path, workers=workers, burst=burst).digest for workers in (1, 2, 4) for burst in (1, 7, 128, 256)}
    assert len(digests) == 1
    assert {item.service for item in run(rules, path).inventory} == {"OpenAI", "Anthropic"}


def test_events(tmp_path):
    from fastpath.outputs.eve import EveWriter
    path = write_pcap(tmp_path / "a.pcap", asked("api.openai.com"))
    with (tmp_path / "eve.json").open("wb") as out, fp.Engine(fp.RuleSet.parse("")) as engine:
        engine.replay(path, sinks=[EveWriter(out, events=["quic"])])
    first, second = map(json.loads, (tmp_path / "eve.json").read_bytes().splitlines())
    assert first["quic"] == {"version": "1"} and second["quic"]["sni"] == "api.openai.com" and second["pcap_cnt"] == 2
