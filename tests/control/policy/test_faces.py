"""What a policy says on the command line, in EVE, in the report, and in its documents."""
from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.resources import files

import pytest

import fastpath as fp

ATTACK = str(files("fastpath.demo").joinpath("attack.pcap"))


@pytest.fixture
def root(pytestconfig):
    return pytestconfig.rootpath


def command(*arguments):
    return subprocess.run([sys.executable, "-m", "fastpath", *map(str, arguments)], check=False, capture_output=True, text=True)


def test_the_example_is_a_policy_without_warnings(root):
    policy = fp.Policy.load(root / "examples" / "policy.yaml")
    assert policy.warnings == [] and policy.data_classes == ["pii"]
    ran = command("policy", "check", root / "examples" / "policy.yaml", "--json")
    assert ran.returncode == 0 and ran.stderr == ""
    told = json.loads(ran.stdout)
    assert [line["name"] for line in told["lines"]] == ["move", "web", "names", "updates", "administration", "guests", "ping", "personal data stays"]
    shown = command("policy", "check", root / "examples" / "policy.yaml")
    assert "personal data stays" in shown.stdout and "5 segments, 8 lines" in shown.stdout


def test_the_document_says_what_happens(root, tmp_path):
    """The first policy of docs/policy.md, and the summary shown below it."""
    text = (root / "docs" / "policy.md").read_text()
    first = re.search(r"```yaml\n(version: 1.*?)```", text, re.DOTALL)[1]
    (tmp_path / "policy.yaml").write_text(first)
    ran = command("replay", ATTACK, "--policy", tmp_path / "policy.yaml", "--simulate-ips", "--no-cache")
    assert ran.returncode == 0, ran.stderr
    shown = re.search(r"^policy  .*\n.*$", text, re.MULTILINE)[0]
    assert [line.split() for line in shown.splitlines()] == [
        line.split() for line in ran.stdout.splitlines() if line.startswith("policy") or "→" in line]


def test_other_parts_of_the_document_are_read(root):
    text = (root / "docs" / "policy.md").read_text()
    zone = re.search(r"```yaml\n(residency:.*?)```", text, re.DOTALL)[1]
    assert fp.Policy.parse("version: 1\nsegments: {inside: 10.0.0.0/8}\nlines: []\n" + zone).data_classes == ["pii"]
    rule = re.search(r"^alert tcp .*sid:1;\)$", text, re.MULTILINE)[0]
    assert not fp.RuleSet.parse(rule).refusals


def test_a_policy_that_cannot_be_read(tmp_path):
    (tmp_path / "p.yaml").write_text("version: 1\nsegments: {a: 10.0.0.0/8}\nlines:\n- {from: a, to: b}\n")
    for arguments in (("policy", "check", tmp_path / "p.yaml"), ("replay", ATTACK, "--policy", tmp_path / "p.yaml")):
        ran = command(*arguments)
        assert ran.returncode == 1 and "p.yaml:4:17: no segment or workload is named 'b'" in ran.stderr
    assert command("policy", "check", tmp_path / "nosuch.yaml").returncode == 2


def test_the_schema_is_printed():
    assert json.loads(command("policy", "schema").stdout)["title"] == "fastpath policy"


def test_eve_has_an_event_for_each_denied_flow(tmp_path):
    (tmp_path / "p.yaml").write_text("version: 1\nsegments: {servers: 10.20.0.0/16}\nlines:\n- {name: no telnet, from: any, to: servers, "
                                     "protocol: tcp, ports: 23, action: deny}\n")
    ran = command("replay", ATTACK, "--policy", tmp_path / "p.yaml", "--simulate-ips", "-l", tmp_path / "out", "--report", tmp_path / "r.html", "--no-cache")
    assert ran.returncode == 0, ran.stderr
    events = [json.loads(line) for line in (tmp_path / "out" / "eve.json").read_text().splitlines()]
    denied = [event for event in events if event["event_type"] == "policy"]
    assert len({event["flow_id"] for event in denied}) == len(denied) > 10
    telnet, = [event for event in denied if event.get("dest_port") == 23]
    assert telnet["policy"] == {"action": "blocked", "why": "line", "line": 0, "name": "no telnet", "place": f"{tmp_path / 'p.yaml'}:4:3",
                                "from": ["any"], "to": ["servers"]}
    assert {event["policy"]["why"] for event in denied} == {"line", "default"}
    assert "no telnet" in (tmp_path / "r.html").read_text()


def test_kubernetes_from_the_command_line(tmp_path):
    (tmp_path / "np").mkdir()
    (tmp_path / "np" / "a.yaml").write_text("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec: {podSelector: {}}\n")
    (tmp_path / "pods.yaml").write_text("pods:\n- {name: server, addresses: 10.20.0.1}\n")
    ran = command("replay", ATTACK, "--policy", tmp_path / "np", "--policy-labels", tmp_path / "pods.yaml", "--simulate-ips", "--no-cache")
    assert ran.returncode == 0 and "by default deny" in ran.stdout
    ran = command("policy", "check", tmp_path / "np", "--labels", tmp_path / "pods.yaml")
    assert ran.returncode == 0 and "not selected" in ran.stdout


def test_an_application_that_is_not_looked_for():
    policy = fp.Policy.parse("version: 1\nsegments: {}\nlines:\n- {from: any, to: any, application: modbus}", "p.yaml")
    with pytest.raises(ValueError, match="p.yaml:4:3: modbus is not recognised"):
        fp.Engine(None, policy=policy, compat=True)
    fp.Engine(None, policy=policy).close()          # on any port, beyond Suricata's recognition
    fp.Engine(None, policy=policy, compat=True, config=fp.Config.load(None, ["app-layer.protocols.modbus.enabled=yes"])).close()
