"""Versions in the inventory: what recorded servers and clients say that they are, every entry of versions.toml, and what must not be taken
for a version."""
from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from captures import conversation, write_pcap
from packs.test_ai_grpc import call

import fastpath as fp
from fastpath.control import inventory
from fastpath.control.anonymise import Anonymiser
from fastpath.outputs import report, terminal
from fastpath.outputs.eve import EveWriter
from fastpath.packs.ai_factory import versions

RECORDED = Path(__file__).resolve().parents[2] / "pcaps/services/versions.pcap"
JSON = "Content-Type: application/json"
#: By id: what gives the service away (a header of the answer, a body), then what tells its version, and which.
SERVERS = {
    1: (("x-litellm-call-id: 1", "{}"), ("x-litellm-version: 1.55.3", "{}"), "1.55.3"),
    2: (("Server: gunicorn", "<title>MLflow</title>"), ("Server: gunicorn", "2.9.2"), "2.9.2"),
    3: ((JSON, "Ollama is running"), (JSON, '{"version":"0.5.1"}'), "0.5.1"),
    4: ((JSON, '[{"submission_id":"raysubmit_1","entrypoint":"x"}]'), (JSON, '{"version":"4","ray_version":"2.9.0","ray_commit":"a"}'), "2.9.0"),
    5: ((JSON, '{"nanosecond heartbeat":17}'), (JSON, '"1.0.0"'), "1.0.0"),
    6: ((JSON, '{"nanosecond heartbeat":17}'), (JSON, '"0.5.23"'), "0.5.23"),
    7: (("Mcp-Session-Id: 7", "{}"), (JSON, '{"jsonrpc":"2.0","id":1,"result":{"serverInfo":{"name":"files","title":"Files","version":"1.2.0"}}}'),
        "1.2.0"),
    8: ((JSON, '{"generated_text":"x","details":{"finish_reason":"length","generated_tokens":20}}'),
        (JSON, '{"model_id":"m","max_total_tokens":4096,"router":"text-generation-router","version":"2.4.1","sha":"a"}'), "2.4.1"),
    9: ((JSON, 'nv_inference_request_success{model="m"} 1\n'), (JSON, '{"name":"triton","version":"2.34.0","extensions":["classification"]}'), "2.34.0"),
    10: ((JSON, '{"models":[{"modelName":"m","modelUrl":"m.mar"}]}'),
         (JSON, '{"openapi": "3.0.1", "info": {"title": "TorchServe APIs", "description": "x", "version": "0.8.1"}}'), "0.8.1"),
    11: (("Server: llama.cpp", "{}"), ("Server: llama.cpp", '{"total_slots":1,"build_info":"b4567-ae8de6d5"}'), "4567-ae8de6d5"),
    12: ((JSON, "<title>ComfyUI</title>"), (JSON, '{"system": {"os": "posix", "comfyui_version": "0.3.10", "python_version": "3.11.7"}}'), "0.3.10"),
    13: ((JSON, "<title>Open WebUI</title>"), (JSON, '{"status":true,"name":"Open WebUI","version":"0.5.4","oauth":{}}'), "0.5.4"),
    14: ((JSON, "<title>Kubeflow Central Dashboard</title>"),
         (JSON, '{"platform":{"provider":"other://","providerName":"other","kubeflowVersion":"1.8.0"}}'), "1.8.0"),
    15: ((JSON, "<title>TensorBoard</title>"), (JSON, '{"version": "2.15.1", "data_location": "logs", "window_title": ""}'), "2.15.1"),
    16: ((JSON, "qdrant - vector search engine"), (JSON, '{"title":"qdrant - vector search engine","version":"1.9.0","commit":"a"}'), "1.9.0"),
    17: ((JSON, '{"grpcMaxMessageSize":1}'), (JSON, '{"grpcMaxMessageSize":10485760,"modules":{"a":{"version":"9"}},"version":"1.24.1"}'), "1.24.1"),
    18: ((JSON, '{"kind":"NodeList","apiVersion":"v1"}'), (JSON, '{\n  "major": "1",\n  "gitVersion": "v1.28.2+k3s1"\n}'), "v1.28.2+k3s1"),
    19: ((JSON, '{"object":"health.response","message":"ready"}'), (JSON, '{"release":"1.3.0","api":"1.0.0"}'), "1.3.0"),
    20: ((JSON, '{"model_name":"m","outputs":[{"name":"o","datatype":"FP32"}]}'), (JSON, '{"name":"mlserver","version":"1.7.1","extensions":[]}'), "1.7.1"),
    23: ((JSON, '{"collectionName":"c","consistencyLevel":"x"}'), (JSON, 'milvus_build_info{built="Wed",git_commit="f46a0",version="3.0.0"} 1\n'), "3.0.0"),
    24: ((JSON, "vllm:num_requests_running 1\n"), (JSON, '{"system_fingerprint":"vllm-0.23.0-tp2-39ad13f9"}'), "0.23.0"),
    25: (("Server: llama.cpp", "{}"), (JSON, '{"system_fingerprint":"b4963-02082f15"}'), "4963-02082f15"),
    26: ((JSON, '{"model_id":"m","max_total_tokens":4096}'), (JSON, '{"system_fingerprint":"3.0.1-native"}'), "3.0.1"),
}
#: By id: method of gRPC, the message of its answer, which version; what is recorded of both: pcaps/services/inference.pcap.
CALLS = {
    21: ("/inference.GRPCInferenceService/ServerMetadata", b"\x0a\x06triton\x12\x062.34.0\x1a\x0eclassification", "2.34.0"),
    22: ("/milvus.proto.milvus.MilvusService/GetVersion", b"\x0a\x00\x12\x06v2.4.1", "v2.4.1"),
}
#: By id: a header of the request, its body, what is told.
CLIENTS = {
    101: ("User-Agent: AsyncOpenAI/Python 1.51.0", "", ("AsyncOpenAI/Python", "1.51.0")),
    102: ("User-Agent: Anthropic/JS 0.32.1", "", ("Anthropic/JS", "0.32.1")),
    103: ("User-Agent: mlflow-python-client/2.9.2", "", ("mlflow-python-client", "2.9.2")),
    104: ("User-Agent: Chroma Python Client v0.5.23 (https://github.com/chroma-core/chroma)", "", ("Chroma Python Client", "v0.5.23")),
    105: ("User-Agent: ollama-python/0.4.4 (x86_64 linux) Python/3.11.7", "", ("ollama-python", "0.4.4")),
    106: ("User-Agent: transformers/4.46.0; hf_hub/0.26.2; python/3.11.7", "", ("hf_hub", "0.26.2")),
    107: ("User-Agent: litellm/1.55.3", "", ("litellm", "1.55.3")),
    108: (JSON, '{"method":"initialize","params":{"clientInfo":{"name":"factory agent","version":"0.9.2"}}}', ("factory agent", "0.9.2")),
    109: ("User-Agent: grpc-go/1.60.1", "", ("grpc-go", "1.60.1")),
}


@pytest.fixture(scope="module")
def rules():
    made = fp.RuleSet.pack("ai_factory")
    assert not made.refusals
    return made


@pytest.fixture(scope="module")
def engine(rules):
    with fp.Engine(rules) as made:
        yield made


def pair(answer: tuple[str, str], header: str = "Accept: */*", body: str = "") -> tuple[bytes, bytes]:
    request = f"POST /x HTTP/1.1\r\nHost: a.test\r\n{header}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    return request.encode(), f"HTTP/1.1 200 OK\r\n{answer[0]}\r\nContent-Length: {len(answer[1])}\r\n\r\n{answer[1]}".encode()


def told(engine, path, *pairs) -> set[tuple[str, str]]:
    return {(item.service, item.version) for item in engine.replay(write_pcap(path, conversation(pairs))).inventory}


def test_every_entry_has_a_case_and_a_source():
    entries = versions.told()
    assert [each["id"] for each in entries] == sorted({each["id"] for each in entries})
    assert {each["id"] for each in entries} == set(SERVERS) | set(CALLS) | set(CLIENTS) and all(each["source"] for each in entries)


def test_it_speaks_of_services_that_the_pack_finds(rules):
    found = {name.replace("_", " ") for plan in rules.plans for key, name in plan.metadata if key == "service"}
    assert {name for each in versions.told() for name in each.get("of", ())} <= found


def test_what_recorded_servers_and_clients_say(engine):
    said = {(item.service, item.version, f"{item.client} {item.client_version}".strip()) for item in engine.replay(RECORDED).inventory}
    assert said == {("LiteLLM", "1.106.2", "OpenAI/Python 2.54.0"), ("OpenAI-compatible server", "", "OpenAI/Python 2.54.0"),
                    ("MLflow", "3.17.2", "mlflow-python-client 3.17.2"), ("MLflow", "3.17.2", ""), ("Ray", "2.60.0", ""),
                    ("Chroma", "1.0.0", "Chroma Python Client v1.5.9"), ("Chroma", "1.0.0", ""), ("Jupyter", "2.21.1", ""),
                    ("MCP server", "7.4.1", "factory-agent 0.9.2")}


@pytest.mark.parametrize("number", sorted(SERVERS))
def test_a_server_tells_its_version(engine, tmp_path, number):
    """In whatever order it is recognised and asked; and what tells the version alone is that of no other service."""
    seen, telling, version = SERVERS[number]
    each = next(each for each in versions.told() if each["id"] == number)
    for pairs in ((pair(seen), pair(telling)), (pair(telling), pair(seen))):
        services = dict(told(engine, tmp_path / "a.pcap", *pairs))
        assert {name for name, said in services.items() if said} == {name for name in each["of"] if name in services}
        assert {services[name] for name in each["of"] if name in services} == {version}
    strange = told(engine, tmp_path / "b.pcap", pair((JSON, "<title>LocalAI API</title>") if number != 3 else (JSON, '{"data":{"collectionName":"c",'
                                                                                            '"consistencyLevel":"x"}}')), pair(telling))
    assert not {said for name, said in strange if name not in each["of"]} - {""}


@pytest.mark.parametrize("number", sorted(SERVERS))
def test_what_is_no_version_is_not_taken_for_one(engine, tmp_path, number):
    seen, (header, body), version = SERVERS[number]
    wrong = pair((header.replace(version, "latest"), body.replace(version, "latest")))
    assert {said for _, said in told(engine, tmp_path / "a.pcap", pair(seen), wrong)} == {""}
    asked = pair(seen, f"X-Note: {version}", body)
    assert {said for _, said in told(engine, tmp_path / "b.pcap", asked)} == {""}, "who asks has told nothing"


@pytest.mark.parametrize("number", sorted(CALLS))
def test_a_call_of_grpc_tells_its_version(engine, tmp_path, number):
    path, message, version = CALLS[number]
    of = next(each["of"] for each in versions.told() if each["id"] == number)
    said = told(engine, tmp_path / "a.pcap", *call(path, answered=message))
    assert version in {said for name, said in said if name in of} and {name for name, said in said if said} <= set(of)
    wrong = message.replace(version.encode(), b"x" * len(version))
    assert {said for _, said in told(engine, tmp_path / "b.pcap", *call(path, answered=wrong))} == {""}
    assert {said for _, said in told(engine, tmp_path / "c.pcap", *call(path.rpartition("/")[0] + "/Other", answered=message))} == {""}


def test_what_recorded_inference_servers_say(engine):
    """MLServer by REST and by gRPC, and Milvus Lite."""
    found = engine.replay(RECORDED.with_name("inference.pcap")).inventory
    assert {(item.service, item.by, item.port, item.version) for item in found} == {
        ("Open Inference Protocol server", "http", 8080, "1.7.1"), ("Open Inference Protocol server", "grpc", 8081, "1.7.1"), ("Milvus", "grpc", 19530, "3.2.2")}


@pytest.mark.parametrize("number", sorted(CLIENTS))
def test_a_client_tells_what_it_is(engine, tmp_path, number):
    header, body, said = CLIENTS[number]
    [item] = engine.replay(write_pcap(tmp_path / "a.pcap", conversation([pair((JSON, "Ollama is running"), header, body)]))).inventory
    assert (item.client, item.client_version) == said
    wrong = [pair((JSON, "Ollama is running"), header.replace(said[1], "x"), body.replace(said[1], "x"))]
    [item] = engine.replay(write_pcap(tmp_path / "b.pcap", conversation(wrong))).inventory
    assert (item.client, item.client_version) == ("", "")


def test_another_server_is_another_version(engine, tmp_path):
    frames = []
    for number, version in ((1, "0.5.1"), (2, "0.6.0")):
        frames += conversation([pair((JSON, "Ollama is running")), pair((JSON, f'{{"version":"{version}"}}'))], dst=f"10.0.1.{number}", sport=4000 + number)
    frames += conversation([pair((JSON, "Ollama is running"))], dst="10.0.1.1", dport=8080)
    found = engine.replay(write_pcap(tmp_path / "a.pcap", frames)).inventory
    assert {(item.peer, item.port, item.version) for item in found} == {("10.0.1.1", 80, "0.5.1"), ("10.0.1.2", 80, "0.6.0"), ("10.0.1.1", 8080, "")}


def test_the_latest_holds(engine, tmp_path):
    found = told(engine, tmp_path / "a.pcap", pair((JSON, "Ollama is running")), *(pair((JSON, f'{{"version":"0.{number}"}}')) for number in (5, 4)))
    assert found == {("Ollama", "0.4")}


def test_workers_and_bursts_change_nothing(rules):
    said = set()
    for workers, burst in ((1, 1), (1, 256), (2, 7), (4, 128)):
        with fp.Engine(rules, workers=workers, burst=burst) as engine:
            result = engine.replay(RECORDED)
        said.add((result.digest, tuple(map(str, result.inventory))))
    assert len(said) == 1


def test_a_reload_keeps_rules_apart(rules, tmp_path):
    """The number of a rule counts within its own set."""
    with fp.Engine(fp.RuleSet.parse('alert ip any any -> any any (msg:"x"; sid:1;)')) as engine:
        engine.reload(rules)
        assert told(engine, tmp_path / "a.pcap", pair((JSON, "Ollama is running")), pair((JSON, '{"version":"0.5.1"}'))) == {("Ollama", "0.5.1")}


def test_it_is_bounded(rules, tmp_path, monkeypatch):
    monkeypatch.setattr(inventory, "ITEMS_MAX", 2)
    frames = [frame for number in range(4) for frame in conversation(
        [pair((JSON, "Ollama is running")), pair((JSON, '{"version":"0.5.1"}'))], dst=f"10.0.1.{number + 1}", sport=4000 + number)]
    with fp.Engine(rules) as engine:
        found = engine.replay(write_pcap(tmp_path / "a.pcap", frames)).inventory
    assert [item.version for item in found] == ["0.5.1", "0.5.1"]


def test_a_rule_of_ones_own(tmp_path):
    """Long texts are cut to 64 bytes, and what is no text is escaped; a packet tells of 16 at most."""
    text = "".join(f'alert http any any -> any any (msg:"{number}"; flow:to_client; file.data; pcre:"/v=([^ ]+)/, inventory:version"; inventory; '
                   f"metadata:service Thing_{number}; sid:{number};)\n" for number in range(1, 20))
    with fp.Engine(fp.RuleSet.parse(text)) as engine:
        found = engine.replay(write_pcap(tmp_path / "a.pcap", conversation([pair((JSON, "v=" + "x" * 70 + " "))]))).inventory
        assert len(found) == 15, "no more than packet-alert-max notes of a packet"
        assert {item.version for item in found} == {"x" * 64}
        request, answer = pair((JSON, "v=123 "))
        found = engine.replay(write_pcap(tmp_path / "b.pcap", conversation([(request, answer.replace(b"123", b"\xff\n2"))]))).inventory
        assert {item.version for item in found} == {"\\xff\n2"}


@pytest.mark.parametrize(("rule", "why"), [
    ('pcre:"/a(b)/, inventory:version"', "captures for the inventory, and has no inventory"),
    ('pcre:"/a(b)/, inventory:name"; inventory', "inventory:version, :client or :client_version was expected"),
])
def test_rules_that_cannot_be_honoured(rule, why):
    refused = fp.RuleSet.parse(f'alert http any any -> any any (msg:"x"; file.data; {rule}; sid:1;)')
    assert not refused.plans and why in refused.refusals[0].reason


# ---- where it is told ----

def test_events_terminal_and_report(rules):
    from rich.console import Console
    out = io.BytesIO()
    with fp.Engine(rules) as engine:
        result = engine.replay(RECORDED, sinks=[EveWriter(out, ["inventory"], "ids")])
    events = {event["inventory"]["service"]: event["inventory"] for event in map(json.loads, out.getvalue().splitlines())}
    assert (events["LiteLLM"]["version"], events["LiteLLM"]["client"], events["LiteLLM"]["client_version"]) == ("1.106.2", "OpenAI/Python", "2.54.0")
    assert "version" not in events["OpenAI-compatible server"]
    shown = Console(file=io.StringIO(), width=160)
    terminal.print_inventory(shown, result.inventory)
    assert "3.17.2" in shown.file.getvalue()
    html = report.render(result)
    assert "Inventory" in html and "<td>3.17.2</td>" in html and "mlflow-python-client 3.17.2" in html


def test_pseudonyms(rules):
    with fp.Engine(rules, anonymiser=Anonymiser(bytes(range(32)))) as engine:
        found = {item.service: item for item in engine.replay(RECORDED).inventory}
    assert found["LiteLLM"].version == "1.106.2" and found["LiteLLM"].client_version == "2.54.0"
    assert found["LiteLLM"].client.startswith("n-") and not found["LiteLLM"].peer.startswith("10.20.")


@pytest.mark.parametrize(("version", "kept"), [
    ("1.106.2", True), ("0.6.3.post1", True), ("2.0.0rc1", True), ("v1.28.2", True), ("24.08", True), ("1.0.0-beta.2", True),
    ("10.20.0.1", False), ("1.2.3.4.5", False), ("4567-ae8de6d5", False), ("1.2-host7.corp", False), ("7", True), ("12:34", False), ("", True),
])
def test_what_could_be_an_address_or_a_name_is_mapped(version, kept):
    assert (Anonymiser(bytes(range(32))).version(version) == version) is kept
