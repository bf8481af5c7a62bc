"""The command line: options, exit codes, what it writes, and that it answers quickly."""
from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from captures import conversation, udp, write_pcap
from typer.testing import CliRunner

from fastpath.cli import app, split_filter
from fastpath.dataplane.rx import FileSource

RULES = """
alert tcp any any -> any any (msg:"get [red]\x1b[31m"; content:"GET "; sid:1; rev:2;)
drop udp any any -> any 53 (msg:"question"; content:"q"; sid:2;)
"""


def run(*arguments, code: int = 0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + (repr(result.exception) if result.exception else "")
    return result


@pytest.fixture
def traffic(tmp_path):
    packets = [*conversation([(b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n")]), udp(b"q"), udp(b"q", sport=40001)]
    return write_pcap(tmp_path / "traffic.pcap", packets)


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "test.rules"
    path.write_text(RULES)
    return path


@pytest.fixture
def core():
    pytest.importorskip("fastpath._core", reason="the data plane is not built")


# ---- what needs no data plane ----

def test_help_teaches():
    assert "fastpath replay traffic.pcap" in run("--help").output
    assert "Exit: 0 done" in run("replay", "-h").output
    assert "fastpath 0." in run("--version").output


def test_help_imports_nothing_heavy():
    """Time decides no test: what takes the time does."""
    code = "import sys; from fastpath.cli import app\ntry: app(['--help'])\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split())
    assert not {"numpy", "rich.console", "msgspec", "nanoarrow", "ruamel.yaml", "jinja2", "fastpath._core"} & loaded


@pytest.mark.parametrize("arguments, message", [
    (["replay", "x.pcap", "--device", "no.yaml"], "neither a profile (bf2, bf3, unlimited) nor a file that can be read"),
    (["replay", "-S", "x.rules"], "no capture"), (["replay", "x.pcap", "--fail-on", "tuesday"], "--fail-on takes alert or drop"),
    (["replay", "x.pcap", "--compat", "snort"], "--compat takes suricata-7.0"),
    (["replay", "x.pcap", "--append", "--overwrite"], "exclude each other"),
    (["replay", "x.pcap", "--set", "flow.memcap=x"], "--set:1:13: flow.memcap: expected a size"),
    (["replay", "x.pcap", "-c", "gone.yaml"], "gone.yaml: No such file"),
    (["replay", "x.pcap", "-S", "gone.rules"], "no rules at gone.rules"),
    (["rules", "check", "gone.rules"], "no rules at gone.rules"),
    (["bench", "--bursts", "many"], "--bursts takes numbers"),
    (["replay", "x.pcap", "--colour"], "No such option"), (["replay", "x.pcap", "--burst", "300"], "Invalid value for '--burst'"),
])
def test_usage(arguments, message):
    result = run(*arguments, code=2)
    assert message in result.output + result.stderr


@pytest.mark.parametrize("captures, read, expected", [
    (["a.pcap"], [], (["a.pcap"], None)), (["a.pcap", "tcp port 80"], [], (["a.pcap"], "tcp port 80")),
    (["a.pcap", "udp"], [], (["a.pcap"], "udp")), (["a.pcap", "b.pcap"], [], (["a.pcap", "b.pcap"], None)),
    (["udp"], [], (["udp"], None)), (["-"], [], (["-"], None)), (["tcp", "port", "80"], ["a.pcap"], (["a.pcap"], "tcp port 80")),
    ([], ["a.pcap"], (["a.pcap"], None)),
])
def test_filter_is_told_from_captures(captures, read, expected):
    assert split_filter(captures, read) == expected


def test_rules_check(rules, tmp_path):
    assert "2 rules: 2 exact, 0 refused" in run("rules", "check", rules).output
    (tmp_path / "bad.rules").write_text('alert tcp any any -> any any (msg:"x"; sid:1;)\nalert tcp any any -> any (sid:2;)\n'
                                        'alert tcp any any -> any any (lua:a.lua; sid:3;)\n')
    result = run("rules", "check", tmp_path / "bad.rules", "--json", code=1)
    counts = json.loads(result.output)
    assert (counts["rules"], counts["exact"], counts["refused"]) == (3, 1, 2)
    assert {(one["line"], one["sid"]) for one in counts["refusals"]} == {(2, 2), (3, 3)}
    assert set(counts["refusals"][0]) == {"file", "line", "column", "sid", "keyword", "reason"}
    text = run("rules", "check", tmp_path / "bad.rules", "-v", code=1).output
    assert "bad.rules:2:" in text and "malformed" in text and "bad.rules:3:" in text


# ---- runs ----

def test_replay_prints(core, traffic, rules):
    result = run("replay", traffic, "-S", rules, "-k", "none")
    assert "1:1:2" in result.output and "get [red]\\x1b[31m" in result.output
    assert "inspected" in result.output and result.output.rstrip().splitlines()[-1].startswith("digest: v1:")


def test_digest_is_the_same_for_workers_and_bursts(core, traffic, rules):
    def digest(*options):
        return run("replay", traffic, "-S", rules, *options).output.rstrip().splitlines()[-1]
    assert len({digest(), digest("--workers", 2), digest("--burst", 1), digest("--workers", 2, "--burst", 7)}) == 1


def test_outputs(core, traffic, rules, tmp_path):
    out = tmp_path / "out"
    run("replay", traffic, "-S", rules, "-l", out, "--events", "all", "--report", tmp_path / "r.html", "--parquet", tmp_path / "p")
    kinds = [json.loads(line)["event_type"] for line in (out / "eve.json").read_text().splitlines()]
    assert {"alert", "flow", "stats"} <= set(kinds)
    assert "Throughput" in (tmp_path / "r.html").read_text()
    assert {path.name for path in (tmp_path / "p").iterdir()} == {"alerts.parquet", "flows.parquet", "events.parquet"}
    assert "exists: --append writes on" in run("replay", traffic, "-S", rules, "-l", out, code=2).stderr
    run("replay", traffic, "-S", rules, "-l", out, "--append", "--events", "all")
    assert len((out / "eve.json").read_text().splitlines()) == 2 * len(kinds)
    run("replay", traffic, "-S", rules, "-l", out, "--overwrite")
    assert {json.loads(line)["event_type"] for line in (out / "eve.json").read_text().splitlines()} == {"alert"}


def test_progress_is_shown_on_a_terminal_and_only_there(core, traffic, rules):
    command = [sys.executable, "-m", "fastpath", "replay", str(traffic), "-S", str(rules)]
    try:
        ours, theirs = os.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminals here: {error}")
    with open(ours, "rb", buffering=0) as screen:
        shown = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=True, env=os.environ | {"TERM": "xterm", "COLUMNS": "120"})
        os.close(theirs)
        drawn = screen.read(65536)
    plain = subprocess.run(command, capture_output=True, check=True)
    assert b"\x1b[" in drawn and not plain.stderr
    assert plain.stdout.splitlines()[-1] == shown.stdout.splitlines()[-1]


def test_eve_on_standard_output(core, traffic, rules):
    result = run("replay", traffic, "-S", rules, "-l", "-")
    assert {json.loads(line)["alert"]["signature_id"] for line in result.stdout.splitlines()} == {1, 2}
    assert "digest: v1:" in result.stderr


def test_fail_on(core, traffic, rules, tmp_path):
    run("replay", traffic, "-S", rules, "--fail-on", "alert", code=3)
    run("replay", traffic, "-S", rules, "--fail-on", "drop")
    run("replay", traffic, "-S", rules, "--fail-on", "drop", "--simulate-ips", code=3)
    quiet = tmp_path / "quiet.rules"
    quiet.write_text('alert tcp any any -> any any (content:"nowhere"; sid:1;)\n')
    run("replay", traffic, "-S", quiet, "--fail-on", "alert")


def test_malformed_and_refused_rules(core, traffic, tmp_path):
    bad = tmp_path / "bad.rules"
    bad.write_text('alert udp any any -> any any (msg:"good"; content:"q"; sid:1;)\nalert tcp any any -> any (sid:2;)\n')
    result = run("replay", traffic, "-S", bad, code=1)
    assert "bad.rules:2:" in result.stderr and "good" in result.stdout
    refused = tmp_path / "refused.rules"
    refused.write_text('alert tcp any any -> any any (lua:a.lua; sid:3;)\n')
    assert "1 are not supported yet" in run("replay", traffic, "-S", refused).stderr
    result = run("replay", traffic, "-S", refused, "--strict", code=1)
    assert "digest" not in result.stdout


def test_damaged_capture(core, traffic, rules, tmp_path):
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(traffic.read_bytes()[:-3])
    result = run("replay", cut, "-S", rules, code=1)
    assert "damaged" in result.stdout and "digest: v1:" in result.stdout


def test_filter_and_test_mode(core, traffic, rules):
    assert "question" not in run("replay", traffic, "tcp", "-S", rules).output
    assert "2 rules loaded" in run("replay", "-T", "-S", rules).output


def test_demo_rules_load_without_any(core, traffic):
    assert "those of the demo are loaded" in run("replay", traffic).stderr


def test_missing_capture(core, rules):
    run("replay", "gone.pcap", "-S", rules, code=2)


def test_packets_are_written(core, traffic, rules, tmp_path):
    alerts, drops = tmp_path / "alerts.pcapng", tmp_path / "drops.pcapng"
    run("replay", traffic, "-S", rules, "--simulate-ips", "--write", f"alerts:{alerts}", "--write", f"drops:{drops}")
    assert len(FileSource(alerts).read()) == 3 and len(FileSource(drops).read()) == 2
    assert "--overwrite replaces it" in run("replay", traffic, "-S", rules, "--write", f"alerts:{alerts}", code=2).stderr
    run("replay", traffic, "-S", rules, "--write", f"drops:{drops}", "--overwrite")
    assert FileSource(drops).read() == []       # in ids mode nothing is dropped
    assert "--write takes alerts:FILE.pcapng or drops:FILE.pcapng" in run("replay", traffic, "-S", rules, "--write", "all:x", code=2).stderr


def test_a_device_takes_what_is_dropped(core, traffic, tmp_path):
    (tmp_path / "bypass.rules").write_text('drop udp any any -> any 53 (msg:"leave"; content:"q"; bypass; sid:1;)')
    (tmp_path / "small.yaml").write_text("sessions: 1600\nidle_timeout: 30\n")
    twice = write_pcap(tmp_path / "twice.pcap", [udp(b"q")] * 3, step=1.1)
    for device in ("unlimited", tmp_path / "small.yaml"):
        result = run("replay", twice, "-S", tmp_path / "bypass.rules", "--simulate-ips", "--device", device, "--report", tmp_path / "r.html", "--overwrite")
        assert "sessions added" in (tmp_path / "r.html").read_text() and result.exit_code == 0
