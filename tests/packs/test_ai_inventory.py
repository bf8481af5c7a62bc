"""The inventory of packs/ai_factory: every rule finds what it is for, and leaves alone what only asks for it."""
from __future__ import annotations

import json
import tomllib
from importlib.resources import files

import pytest
from captures import conversation, udp, write_pcap

import fastpath as fp
from fastpath.outputs.eve import EveWriter
from fastpath.packs import texts

#: By sid: a header of the answer, or "", and its body.
ANSWERS = {
    9120001: ("", '{"id":"c1","object":"chat.completion","choices":[]}'),
    9120002: ("", '{"id":"c1","object": "text_completion","choices":[]}'),
    9120003: ("", '{"object":"list","data":[{"object":"embedding","index":0}],"usage":{"prompt_tokens":8}}'),
    9120010: ("", '{"object":"list","data":[{"id":"m","owned_by":"vllm"}]}'),
    9120011: ("", '# TYPE vllm:num_requests_running gauge\n'),
    9120012: ("", '{"object":"chat.completion","system_fingerprint":"vllm-0.23.0-tp2-39ad13f9"}'),
    9120020: ("", "Ollama is running"),
    9120021: ("", '{"model":"llama3","created_at":"2026-01-01T00:00:00Z","response":"x","done":false}'),
    9120030: ("", '{"generated_text":"x","details":{"finish_reason":"length","generated_tokens":20}}'),
    9120031: ("", '{"model_id":"m","max_total_tokens":4096}'),
    9120032: ("", '{"object":"chat.completion","system_fingerprint":"3.0.1-sha-bb9095a"}'),
    9120040: ("", '{"name":"triton","version":"2.5","extensions":["classification"]}'),
    9120041: ("", '{"model_name":"m","model_version":"1","outputs":[{"name":"o","datatype":"FP32"}]}'),
    9120042: ("", 'nv_inference_request_success{model="m"} 1\n'),
    9120043: ("", '{"name":"mlserver","version":"1.7.1","extensions":[]}'),
    9120050: ("", '{"object":"health.response","message":"ready"}'),
    9120060: ("", '{"models":[{"modelName":"m","modelUrl":"m.mar"}]}'),
    9120070: ("", '{"model_version_status":[{"state":"AVAILABLE"}]}'),
    9120080: ("Server: llama.cpp", "{}"),
    9120082: ("", 'data: {"object":"chat.completion.chunk","system_fingerprint": "b4963-02082f15"}'),
    9120081: ("", "<html><title>LocalAI API</title>"),
    9120100: ("x-litellm-version: 1.2", "{}"),
    9120101: ("", "<title>LiteLLM API - Swagger UI</title>"),
    9120110: ("", '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-03-26","serverInfo":{"name":"x"}}}'),
    9120111: ("Mcp-Session-Id: 7", "{}"),
    9120112: ("", '{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"x","inputSchema":{}}]}}'),
    9120113: ("", '{"jsonrpc":"2.0","id":1,"result":{"cacheScope":"private","resultType":"complete"}}'),
    9120120: ("", "<title>ComfyUI</title>"),
    9120121: ("", '{"prompt_id":"1","number":2,"node_errors":{}}'),
    9120130: ("", "<title>Open WebUI</title>"),
    9120200: ("", "<title>Ray Dashboard</title>"),
    9120201: ("", '{"version":"4","ray_version":"2.9.0","ray_commit":"abc"}'),
    9120202: ("", '[{"type":"SUBMISSION","submission_id":"raysubmit_1","entrypoint":"python x.py"}]'),
    9120203: ("", '{"job_id": "raysubmit_1", "submission_id": "raysubmit_1"}'),
    9120210: ("", "<title>MLflow</title>"),
    9120211: ("", '{"experiments":[{"experiment_id":"0","lifecycle_stage":"active"}]}'),
    9120220: ("Server: TornadoServer/6.4", '<script id="jupyter-config-data" type="application/json">'),
    9120221: ("Server: TornadoServer/6.4", '[{"id":"k","execution_state":"idle"}]'),
    9120222: ("Server: TornadoServer/6.6.1\r\nSet-Cookie: username-a-test-8888=2", "[]"),
    9120230: ("", "<title>Kubeflow Central Dashboard</title>"),
    9120240: ("", "<title>TensorBoard</title>"),
    9120300: ("", '{"title":"qdrant - vector search engine","version":"1.9"}'),
    9120310: ("", '{"nanosecond heartbeat":1700000000}'),
    9120320: ("", '{"grpcMaxMessageSize":10485760,"version":"1.24"}'),
    9120330: ("", '{"data":{"collectionName":"c","consistencyLevel":"Bounded"}}'),
    9120331: ("", 'milvus_build_info{built="x",git_commit="f46a032855",version="3.0.0"} 1\n'),
}


@pytest.fixture(scope="module")
def engine():
    rules = fp.RuleSet.pack("ai_factory")
    assert not rules.refusals, [f"{refusal.place}: {refusal.reason}" for refusal in rules.refusals]
    with fp.Engine(rules) as made:
        yield made


def exchange(header: str, body: str, *, asked: str = "") -> list[bytes]:
    request = f"POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: {len(asked)}\r\n\r\n{asked}"
    answer = f"HTTP/1.1 200 OK\r\n{header}{chr(13) + chr(10) if header else ''}Content-Length: {len(body)}\r\n\r\n{body}"
    return conversation([(request.encode(), answer.encode())])


def found(engine, path, packets) -> set[int]:
    result = engine.replay(write_pcap(path, packets))
    assert not len(result.alerts)
    return {(item.service, item.by) for item in result.inventory}


def test_every_rule_on_answers_has_a_case():
    text = files("fastpath.packs.ai_factory").joinpath("selfhosted.rules").read_text()
    rules = fp.RuleSet.parse(text)
    assert {plan.sid for plan in rules.plans} == set(ANSWERS)


@pytest.mark.parametrize("sid", sorted(ANSWERS))
def test_an_answer_gives_the_service_away(engine, tmp_path, sid):
    header, body = ANSWERS[sid]
    named = {plan.sid: dict(plan.metadata).get("service", "").replace("_", " ") for plan in fp.RuleSet.pack("ai_factory").plans if plan.note}
    assert (named[sid], "http") in found(engine, tmp_path / "a.pcap", exchange(header, body))


def test_who_only_asks_has_found_nothing(engine, tmp_path):
    for number, (_, body) in enumerate(ANSWERS.values()):
        assert found(engine, tmp_path / f"{number}.pcap", exchange("", "<html>404</html>", asked=body)) == set()


@pytest.mark.parametrize(("header", "body"), [
    ("x-litellm-version: 1", '{"system_fingerprint":"vllm-0.23.0-39ad13f9"}'), ("", '{"system_fingerprint":"fp_44709d6fcb"}'),
    ("", '{"system_fingerprint":"backend-1234567"}'), ("", '{"system_fingerprint":"1.2-sha-x"}'), ("", '{"name":"triton","version":"2.4","extensions":[]}'),
    ("", '{"name":"an editor","version":"2.4","extensions":{}}')])
def test_what_is_like_it_is_not_it(engine, tmp_path, header, body):
    """A gateway hands fingerprints on; others have them too; not everything with extensions serves models."""
    services = {service for service, _ in found(engine, tmp_path / "a.pcap", exchange(header, body))}
    assert not services & {"vLLM", "llama.cpp", "Text Generation Inference", "Open Inference Protocol server"}


def question(name: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return udp(b"\0\1\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1")


def test_hosted_services_by_name(engine, tmp_path):
    """Every domain and what is below it, every host and nothing below it; nothing that only ends alike."""
    services = tomllib.loads(files("fastpath.packs.ai_factory").joinpath("services.toml").read_text())["service"]
    assert len({service["id"] for service in services}) == len(services)
    for service in services:
        for names, below in ((service.get("domains", ())[:1], True), (service.get("hosts", ())[:1], False)):
            for name in names:
                for asked, told in ((name, True), ("api." + name, below), ("x" + name, False)):
                    seen = found(engine, tmp_path / "d.pcap", [question(asked)])
                    assert seen == ({(service["name"], "dns")} if told else set())
    result = engine.replay(write_pcap(tmp_path / "h.pcap", conversation(
        [(b"GET / HTTP/1.1\r\nHost: API.OpenAI.com\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")])))
    [item] = result.inventory
    assert (item.service, item.kind, item.by, item.workload, item.peer, item.port) == ("OpenAI", "hosted", "http", "10.0.0.1", "10.0.0.2", 80)
    assert item.flows == 1 and item.bytes_out > 0 and item.bytes_in > 0 and item.first <= item.last


def test_the_inventory_is_no_alert_and_in_eve(engine, tmp_path):
    capture = write_pcap(tmp_path / "a.pcap", exchange("", "Ollama is running"))
    with (tmp_path / "eve.json").open("wb") as out:
        result = engine.replay(capture, sinks=(EveWriter(out, frozenset(("alert", "inventory"))),))
    assert result.stats["alerts"] == 0 and not any(flow["alerts"] for flow in result.flows)
    [event] = [json.loads(line) for line in (tmp_path / "eve.json").read_text().splitlines()]
    assert event["event_type"] == "inventory" and event["inventory"]["service"] == "Ollama" and event["src_ip"] == "10.0.0.1"


@pytest.mark.parametrize(("name", "services"), [
    ("chat", set()), ("flood", {"LiteLLM", "OpenAI-compatible server"}), ("registry", {"MLflow"}), ("exfiltration", set()),
    ("cluster", {"Ray", "Chroma", "Jupyter", "MCP server"})])
def test_real_servers(engine, name, services):
    """Recorded by pcaps/record_ai.py: LiteLLM, MLflow, Ray, Chroma, Jupyter, an MCP server."""
    result = engine.replay(files("fastpath.demo").joinpath("ai", f"{name}.pcap"))
    assert {item.service for item in result.inventory} == services


def test_an_unknown_pack():
    with pytest.raises(LookupError, match="there is ai_factory"):
        texts("nothing")
