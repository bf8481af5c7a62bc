"""AI services by their calls of gRPC, on any port: every rule finds what it is for once it is answered; recorded calls; HTTP/2 inside TLS."""
from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from captures import conversation, write_pcap
from made_http2 import OK, POST, data, headers, hello, message, settings

import fastpath as fp
from fastpath.packs.ai_factory import grpc

RECORDED = Path(__file__).parents[2] / "pcaps" / "http2"
SERVICES = tomllib.loads(files("fastpath.packs.ai_factory").joinpath("grpc.toml").read_text())["service"]
GRPC = ("content-type", "application/grpc")


@pytest.fixture(scope="module")
def pack():
    return fp.RuleSet.pack("ai_factory")


@pytest.fixture(scope="module")
def alone():
    rules = fp.RuleSet.parse(grpc.rules())
    assert not rules.refusals and len({plan.sid for plan in rules.plans}) == len(rules.plans)
    return rules


def call(path: str, *, status: str = "0", answered: bytes = b"answer") -> list[tuple[bytes, bytes]]:
    """One call and its answer; status 12: there is no such method."""
    answer = headers(1, *OK, GRPC, ("grpc-status", "12"), end=True) if status == "12" else (
        headers(1, *OK, GRPC) + data(1, message(answered)) + headers(1, ("grpc-status", status), end=True))
    return [(hello() + headers(1, *POST[:2], (":path", path), GRPC) + data(1, message(b"ask"), end=True), settings((3, 100)) + answer), (settings(), settings())]


def names() -> list[tuple[str, str]]:
    """(path of a call, service that it tells of)"""
    found = []
    for service in SERVICES:
        methods = service.get("methods", ["AnyMethod"])
        found += [(f"/{name}/{method}", service["name"]) for name in service.get("names", ()) for method in methods]
        found += [(f"/{package}.deep.Service/{method}", service["name"]) for package in service.get("packages", ()) for method in methods]
    return found


def test_every_rule_finds_its_service_on_any_port(alone, tmp_path):
    paths = names()
    assert len(paths) == len(alone.plans)
    frames = [frame for at, (path, _) in enumerate(paths) for frame in conversation(call(path), sport=40000 + at, dport=1000 + at)]
    frames += [frame for at, (path, _) in enumerate(paths)
               for frame in conversation(call(path, status="12"), src="10.0.0.9", sport=40000 + at, dport=1000 + at)]
    frames += conversation(call("/plain.Greeter/SayHello"), src="10.0.0.8")
    with fp.Engine(alone) as engine:
        items = engine.replay(write_pcap(tmp_path / "calls.pcap", frames)).inventory
    found = {(item.service, item.port) for item in items}
    assert {(service, 1000 + at) for at, (_, service) in enumerate(paths)} <= found
    assert {service for service, _ in found} == {service for _, service in paths} and {item.workload for item in items} == {"10.0.0.1"}
    # Triton's own methods tell of the protocol that it shares, and nothing else tells of two services
    shared = {port for service, port in found if service == "Triton Inference Server"}
    assert {(service, port) for service, port in found if port in shared} == {
        (name, port) for port in shared for name in ("Triton Inference Server", "Open Inference Protocol server")}
    assert len(found) == len(paths) + len(shared)


def test_recorded_calls(pack):
    """pcaps/record_http2.py: grpcio, whose server has Triton's service by its name, Milvus', and one that is asked for another's in vain."""
    with fp.Engine(pack) as engine:
        result = engine.replay(RECORDED / "grpc.pcap")
    assert {(item.service, item.by, item.port, item.flows) for item in result.inventory} == {
        ("Open Inference Protocol server", "grpc", 8001, 2), ("Triton Inference Server", "grpc", 8001, 1), ("Milvus", "grpc", 19530, 1)}
    assert len(result.alerts) == 0


def test_http2_without_a_model_is_no_service(pack):
    with fp.Engine(pack) as engine:
        result = engine.replay(RECORDED / "web.pcap")
    assert list(result.inventory) == [] and len(result.alerts) == 0


def test_prompts_in_http2_inside_tls(pack):
    """The same with the secrets of its session: an OpenAI-compatible server, and an injected prompt."""
    with fp.Engine(pack) as engine:
        assert len(engine.replay(RECORDED / "chat.pcap").alerts) == 0
    with fp.Engine(pack, keylog=RECORDED / "chat.keylog") as engine:
        result = engine.replay(RECORDED / "chat.pcap")
    assert {item.service for item in result.inventory} == {"OpenAI-compatible server"}
    assert len(result.alerts) and all(result.alerts["decrypted"])


@pytest.mark.parametrize("name", ["grpc", "web", "chat"])
def test_workers_and_bursts_change_nothing(pack, name):
    digests = set()
    for workers, burst in ((1, 1), (1, 7), (2, 128), (4, 256)):
        with fp.Engine(pack, workers=workers, burst=burst, keylog=RECORDED / "chat.keylog") as engine:
            digests.add(engine.replay(RECORDED / f"{name}.pcap").digest)
    assert len(digests) == 1
