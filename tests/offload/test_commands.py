"""`fastpath offload` and `fastpath project`: what they teach, refuse and write."""
from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import pytest
from captures import udp
from typer.testing import CliRunner

from fastpath.cli import app

RULES = 'alert udp any any -> any 53 (msg:"the word"; content:"word"; sid:1;)\n'


def run(*arguments, code: int = 0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + (repr(result.exception) if result.exception else "")
    return result


@pytest.fixture
def traffic(capture):
    return capture([(0.0, udp(bytes(1200))), *[(1.5 + at, udp(b"word %d" % at)) for at in range(5)]])


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "a.rules"
    path.write_text(RULES)
    return path


def test_help_teaches():
    said = run("offload", "--help").output
    for word in ("--confirm", "--picture", "--policies", "encrypted", "elephant=BYTES", "missed", "real device"):
        assert word in said
    said = run("project", "--help").output
    for word in ("--calibration", "Measured", "Simulated", "Projected", "--check"):
        assert word in said


def test_a_table_a_picture_a_page_and_json(traffic, rules, tmp_path):
    files = {name: tmp_path / f"out.{name}" for name in ("json", "svg", "html")}
    said = run("offload", traffic, "-S", rules, "--sizes", "1,10", "--policies", "elephant=1kb", "--json", files["json"], "--picture", files["svg"],
               "--report", files["html"]).output
    assert "5 alerts missed by 1 rules" in said and "1:1" in said and "the word" in said and "agrees" in said
    assert json.loads(files["json"].read_bytes())["confirmed"][0]["alerts_missed"] == 5
    ElementTree.parse(files["svg"])
    assert "the word" in files["html"].read_text()
    run("offload", traffic, "-S", rules, "--json", files["json"], code=2)       # it is there
    run("offload", traffic, "-S", rules, "--sizes", "1", "--confirm", "0", "--json", files["json"], "--overwrite")


def test_json_on_standard_output(traffic, rules):
    result = run("offload", traffic, "-S", rules, "--json", "-", "--confirm", "0")
    assert json.loads(result.stdout)["simulation"]["settings"] > 10


@pytest.mark.parametrize(("options", "said"), [
    (("--sizes", "0"), "from 1 to 268,435,456"), (("--sizes", "many"), "a number such as"), (("--rates", "0"), "between 1 and 1,000,000,000"),
    (("--latencies", "2parsec"), "a time such as"), (("--timeouts", "0"), "between 0.001"), (("--policies", "mice"), "a policy is made of"),
    (("--policies", "elephant=0"), "offload.elephant must lie between"), (("--sizes", ",".join(map(str, range(1, 9000)))), "at most 20,000"),
])
def test_settings_out_of_range_are_refused_with_the_range(traffic, rules, options, said):
    assert said in " ".join(run("offload", traffic, "-S", rules, *options, code=2).output.split())


def test_a_capture_that_is_not_there(rules, tmp_path):
    run("offload", tmp_path / "none.pcap", "-S", rules, code=2)
    run("project", tmp_path / "none.pcap", "-S", rules, code=2)


def test_project(traffic, rules, tmp_path):
    said = run("project", traffic, "-S", rules, "--rounds", "1", "--json", tmp_path / "p.json").output
    for word in ("measured", "projected", "simulated", "binds", "3.2 Tbit/s", "pps(N) = "):
        assert word in said.replace("3.20", "3.2")
    assert json.loads((tmp_path / "p.json").read_bytes())["calibration"] is None
    said = run("project", traffic, "-S", rules, "--rounds", "1", "--calibration", "Other CPU=2", "--device", "bf3").output
    assert "Other CPU" in said and "offloaded, simulated with" in said


@pytest.mark.parametrize("options", [("--calibration", "2"), ("--calibration", "x=0"), ("--rounds", "0"), ("--device", "none.yaml")])
def test_project_refuses(traffic, rules, options):
    run("project", traffic, "-S", rules, *options, code=2)
