"""The bill of materials: what was fetched, held against CycloneDX's own schema."""
from __future__ import annotations

import hashlib
import json
from pathlib import Path

import made_models as made
import pytest
from captures import write_pcap

import fastpath as fp
from fastpath.outputs.bom import Fetch, Fetches, identify, write_bom

pytest.importorskip("cyclonedx")
RECORDED = Path(__file__).parents[2] / "pcaps" / "models" / "models.pcap"


def fetched(path) -> list[Fetch]:
    fetches = Fetches()
    with fp.Engine(None, models=True) as engine:
        engine.replay(path, keep=(), sinks=[fetches])
    return fetches.items


def checked(text: str) -> dict:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)


def test_recorded_models():
    items = fetched(RECORDED)
    text = write_bom(items, "1.0")
    bom = checked(text)
    assert text == write_bom(items, "1.0")
    found = {one["name"]: one for one in bom["components"]}
    assert found["small.gguf"]["type"] == "machine-learning-model" and found["data.npy"]["type"] == "data"
    assert found["small.gguf"]["externalReferences"] == [{"type": "distribution", "url": "http://10.20.0.1:8000/small.gguf"}]
    properties = [(one["name"], one["value"]) for one in found["running.pkl"]["properties"]]
    assert ("fastpath:unsafe", "pickle_import posix.system") in properties
    assert any(name == "fastpath:fetch" and value.endswith("http download from 10.20.0.1 to 10.20.0.2, 249 bytes") for name, value in properties)
    assert len([one for one in found["small.safetensors"]["properties"] if one["name"] == "fastpath:fetch"]) == 2
    assert {one["hashes"][0]["alg"] for one in bom["components"]} == {"SHA-256"}


def test_packages_images_and_data(tmp_path):
    digest = hashlib.sha256(b"x").hexdigest()
    turns = [("/packages/aa/bb/Flask_Login-0.6.3-py3-none-any.whl", "pypi.org"), ("/packages/aa/requests-2.31.0.tar.gz", "pypi.org"),
             ("/@types/node/-/node-20.1.0.tgz", "registry.npmjs.org"), ("/conda-forge/noarch/tqdm-4.66.1-pyhd8ed1ab_0.conda", "conda.anaconda.org"),
             ("/v2/library/nginx/manifests/latest", "registry.local"), (f"/v2/library/nginx/blobs/sha256:{digest}", "registry.local"),
             ("/sets/c4.parquet", "data.local"), ("/index.html", "data.local")]
    packets = [packet for number, (path, host) in enumerate(turns) for packet in made.download(b"x", path, host, sport=40000 + number)]
    bom = checked(write_bom(fetched(write_pcap(tmp_path / "a.pcap", packets)), "1.0"))
    assert [(one["type"], one["name"], one.get("version"), one.get("purl")) for one in sorted(bom["components"], key=lambda one: one["name"])] == [
        ("library", "@types/node", "20.1.0", "pkg:npm/%40types/node@20.1.0"),
        ("data", "c4.parquet", None, None),
        ("library", "flask-login", "0.6.3", "pkg:pypi/flask-login@0.6.3"),
        ("container", "library/nginx", "latest", "pkg:oci/nginx?repository_url=registry.local/library/nginx"),
        ("file", "library/nginx layer", f"sha256:{digest}", f"pkg:oci/nginx@sha256:{digest}?repository_url=registry.local/library/nginx"),
        ("library", "requests", "2.31.0", "pkg:pypi/requests@2.31.0"), ("library", "tqdm", "4.66.1", "pkg:conda/tqdm@4.66.1")]


def test_hostile_names_stay_text():
    fetch = Fetch(0, "10.0.0.1", "10.0.0.2", 80, "http", "http://a/x\x1b[31m\n<script>.onnx?é", "x\x1b.onnx", 1, "a" * 64, False, {"format": "onnx"})
    bom = checked(write_bom([fetch], "1"))
    assert "\x1b" not in json.dumps(bom, ensure_ascii=False)


def test_what_is_none_of_its_business():
    assert identify(Fetch(0, "", "", 80, "http", "http://a/index.html", "/index.html", 1, "", False)) is None


def test_nothing_fetched():
    assert checked(write_bom([], "1"))["specVersion"] == "1.6"


def test_command_line(tmp_path):
    from typer.testing import CliRunner

    from fastpath.cli import app
    said = CliRunner().invoke(app, ["bom", str(RECORDED), "-o", str(tmp_path / "bom.json")])
    assert said.exit_code == 0 and len(checked((tmp_path / "bom.json").read_text())["components"]) == 12
    assert CliRunner().invoke(app, ["bom", str(tmp_path / "none.pcap")]).exit_code == 2


def by_command(tmp_path, *words: str) -> dict:
    from typer.testing import CliRunner

    from fastpath.cli import app
    said = CliRunner().invoke(app, ["bom", *map(str, words), "-o", str(tmp_path / "bom.json")])
    assert said.exit_code == 0, said.output
    return checked((tmp_path / "bom.json").read_text())


def test_recorded_registries(tmp_path):
    """docker-registry and pypiserver: an image, its layer with the pickle in it, a package."""
    found = {one["name"]: one for one in by_command(tmp_path, RECORDED.parents[1] / "services" / "registries.pcap")["components"]}
    assert found["shift-plan"]["purl"] == "pkg:pypi/shift-plan@1.0" and found["night-shift"]["type"] == "container"
    unsafe = [one["name"] for one in found.values() if ("fastpath:unsafe", "pickle_import posix.system") in [(p["name"], p["value"]) for p in one.get("properties", ())]]
    assert "night-shift layer" in unsafe


def test_a_credential_in_a_url_is_starred_out(tmp_path):
    secret = "hf_" + "aZbYcXdWeVfUgThSiRjQkPlOmNnMoLpKqJ"
    capture = write_pcap(tmp_path / "a.pcap", made.download(made.safetensors(), f"/model.safetensors?token={secret}", "203.0.113.9"))
    text = json.dumps(by_command(tmp_path, capture))
    assert "model.safetensors?token=hf_****" in text and secret[3:12] not in text


def test_what_was_fetched_inside_tls(tmp_path):
    from tls_sessions import SUITES, frames_of, web_session
    body = made.gguf()
    exchange = b"GET /small.gguf HTTP/1.1\r\nHost: inside.example\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    talk, keys = web_session(tmp_path, "1.3", SUITES["1.3"][0], [exchange])
    capture = write_pcap(tmp_path / "a.pcap", frames_of(talk.flights))
    assert "components" not in by_command(tmp_path, capture)
    [found] = by_command(tmp_path, capture, "--keylog", keys)["components"]
    assert found["name"] == "small.gguf" and found["hashes"][0]["content"] == hashlib.sha256(body).hexdigest()
