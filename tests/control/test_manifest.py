"""The manifest of approved models and data sets: what it says, what is wrong with one, and what it stops."""
from __future__ import annotations

import hashlib

import made_models as made
import pytest
from captures import write_pcap

import fastpath as fp
from fastpath.control.manifest import FIRST_SID, Manifest

GOOD = made.safetensors()
TEXT = f"""
version: 1
segments:
  trainers: [10.1.0.0/16, 10.0.0.1]
models:
- name: "llama*.safetensors"
  sha256: {hashlib.sha256(GOOD).hexdigest()}
  writers: [trainers]
  readers: [10.0.0.0/24]
datasets:
- {{name: train/c4-?.npy, writers: []}}
"""


@pytest.fixture(scope="module")
def rules():
    made = fp.RuleSet.load([], texts=Manifest.parse(TEXT).texts())
    assert len(made) == 13 and not made.refusals
    return made


OTHER = made.safetensors({"w": ("U8", [20_000], 20_000)})


@pytest.mark.parametrize("packets, expected", [
    (made.download(GOOD, "/m/llama-3.safetensors"), set()),
    (made.download(OTHER, "/m/llama-3.safetensors"), {0}),
    (made.download(OTHER, "/m/LLAMA-3.safetensors"), {0}),
    (made.download(OTHER, "/m/xllama-3.safetensors"), set()),
    (made.download(OTHER, "/m/llama-3.safetensors.txt"), set()),
    (made.upload(GOOD, "/m/llama-3.safetensors"), set()),
    (made.upload(GOOD, "/m/llama-3.safetensors", src="10.1.2.3"), set()),
    (made.upload(OTHER, "/m/llama-3.safetensors"), {1}),
    (made.upload(GOOD, "/m/llama-3.safetensors", src="10.9.9.9", method="POST"), {4}),
    (made.download(GOOD, "/m/llama-3.safetensors", src="10.9.9.9"), {7}),
    (made.upload(made.npy(), "/sets/train/c4-1.npy"), {20}),
    (made.upload(made.npy(), "/sets/train/c4-10.npy"), set()),
    (made.download(made.npy(), "/sets/train/c4-1.npy"), set()),
])
def test_what_it_finds(rules, packets, expected, tmp_path):
    with fp.Engine(rules, models=True) as engine:
        result = engine.replay(write_pcap(tmp_path / "a.pcap", packets))
    assert {alert["sid"] - FIRST_SID for alert in result.alerts} == expected


def test_a_page_that_says_no_is_no_model(rules, tmp_path):
    packets = made.transfer([(b"GET /llama-3.safetensors HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno")])
    with fp.Engine(rules, models=True) as engine:
        assert not len(engine.replay(write_pcap(tmp_path / "a.pcap", packets)).alerts)


def test_a_broken_transfer_is_not_judged(rules, tmp_path):
    with fp.Engine(rules, models=True) as engine:
        assert not len(engine.replay(write_pcap(tmp_path / "a.pcap", made.download(GOOD + bytes(9000), "/llama-3.safetensors")[:10])).alerts)


def test_in_ips_mode_it_drops(rules, tmp_path):
    """A writer who may not is cut off with the first bytes of the file; of a wrong digest, what ends the file is dropped."""
    with fp.Engine(rules, models=True, mode="ips") as engine:
        written = engine.replay(write_pcap(tmp_path / "a.pcap", made.upload(OTHER, "/llama-3.safetensors", src="10.9.9.9")))
        wrong = engine.replay(write_pcap(tmp_path / "b.pcap", made.download(OTHER, "/llama-3.safetensors")))
    assert written.stats["verdicts"]["pass"] == 3 and written.stats["verdicts"]["drop"] == written.stats["packets"] - 3
    assert wrong.stats["verdicts"]["drop"] == 5


@pytest.mark.parametrize("text, error", [
    ("version: 2", "m.yaml:1:10: expected version 1"),
    ("models: []", "m.yaml:1:1: a manifest needs 'version'"),
    ("version: 1\nmodels: 3", "m.yaml:2:9: expected a list of models, found a value"),
    ("version: 1\nmodels:\n- name: x", "m.yaml:3:3: says nothing of the model: expected sha256, writers or readers"),
    ("version: 1\nmodels:\n- {name: '***', writers: []}", "m.yaml:3:10: expected a name of at most 200 printable characters"),
    ("version: 1\nmodels:\n- {name: x, sha256: zz}", "m.yaml:3:21: expected a SHA-256 of 64 hex digits, found 'zz'"),
    ("version: 1\nmodels:\n- {name: x, writers: [nobody]}", "m.yaml:3:23: expected an address, a network or the name of a segment, found 'nobody'"),
    ("version: 1\nmodels:\n- {name: x, reader: []}", "m.yaml:3:13: a model has no 'reader'"),
    ("version: 1\n---\nversion: 1", "m.yaml:3:1: expected a manifest in one document, found 2"),
    ("version: [", "m.yaml:1:11: not YAML"),
])
def test_what_is_wrong_with_one(text, error):
    with pytest.raises(ValueError) as caught:
        Manifest.parse(text, "m.yaml")
    assert str(caught.value).startswith(error)


@pytest.mark.parametrize("name", ["a b.bin", "x;y.pt", 'q"uote.pt', "colon:name.pt", "pipe|name.pt", "[brackets].pt", "$home.pt", "100%.pt"])
def test_names_of_all_kinds(name, tmp_path):
    """Whatever a name holds, it is matched as it is, and its rules are read."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    rules = fp.RuleSet.load([], texts=Manifest.parse(f'version: 1\nmodels:\n- {{name: "{quoted}", writers: []}}').texts())
    assert not rules.refusals
    packets = made.transfer([(b"PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", b"")]) if " " in name else made.upload(GOOD, f"/{name}")
    with fp.Engine(rules, models=True) as engine:
        found = len(engine.replay(write_pcap(tmp_path / "a.pcap", packets)).alerts)
    assert found == (0 if " " in name else 1)


def test_command_line(tmp_path):
    from typer.testing import CliRunner

    from fastpath.cli import app
    (tmp_path / "m.yaml").write_text(TEXT)
    capture = write_pcap(tmp_path / "a.pcap", made.download(made.safetensors({"w": ("U8", [2_000_000], 2_000_000)}), "/llama-3.safetensors"))
    said = CliRunner().invoke(app, ["replay", str(capture), "--manifest", str(tmp_path / "m.yaml"), "--no-cache", "--fail-on", "alert"])
    assert said.exit_code == 3 and "is not what was approved" in said.output
    (tmp_path / "m.yaml").write_text("version: 7")
    said = CliRunner().invoke(app, ["replay", str(capture), "--manifest", str(tmp_path / "m.yaml")])
    assert said.exit_code == 2 and "m.yaml:1:10: expected version 1" in said.output.replace("\n", "")
