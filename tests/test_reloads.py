"""Reloads and metrics from the command line."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from captures import udp, write_pcap
from typer.testing import CliRunner

from fastpath.cli import app

pytest.importorskip("fastpath._core", reason="the data plane is not built")


def run(*arguments, code: int = 0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + (repr(result.exception) if result.exception else "")
    return result


@pytest.fixture
def rules(tmp_path):
    for sid in (1, 2, 3):
        (tmp_path / f"{sid}.rules").write_text(f'alert udp $HOME_NET any -> any 53 (msg:"set {sid}"; dsize:>0; sid:{sid};)\n')
    (tmp_path / "bad.rules").write_text('alert udp any any -> any any (msg:"never closed; sid:9;)\n')
    return tmp_path


@pytest.fixture
def traffic(tmp_path):
    return write_pcap(tmp_path / "traffic.pcap", [udp(b"x")] * 10)


def test_reload_at(rules, traffic, tmp_path):
    said = [run("replay", traffic, "-S", rules / "1.rules", "--no-cache", "--burst", burst, "--workers", workers, "--reload-at",
                f"4:{rules / '2.rules'}", "--reload-at", f"9:{rules / '3.rules'}", "-l", tmp_path / f"out{burst}").output
            for burst, workers in ((1, 1), (7, 2), (256, 4))]
    digests = {line for text in said for line in text.splitlines() if line.startswith("digest: ")}
    assert len(digests) == 1
    lines = (tmp_path / "out1" / "eve.json").read_text().splitlines()
    assert [line for line in lines if '"reload"' in line][0].count('"what":["rules"]') == 1
    assert [sum(f'"signature_id":{sid}' in line for line in lines) for sid in (1, 2, 3)] == [3, 5, 2]


def test_a_file_that_fails_leaves_the_rules(rules, traffic):
    result = run("replay", traffic, "-S", rules / "1.rules", "--no-cache", "--reload-at", f"4:{rules / 'gone.rules'}", code=1)
    assert "the rules before stay in force" in result.stderr + result.output and "set 1" in result.output
    result = run("replay", traffic, "-S", rules / "1.rules", "--no-cache", "--reload-at", f"4:{rules / 'bad.rules'}", code=1)
    assert "1 not" in result.stderr + result.output
    result = run("replay", traffic, "-S", rules / "1.rules", "--no-cache", "--reload-at", f"40:{rules / '2.rules'}")
    assert "there were 10 packets" in result.stderr + result.output


@pytest.mark.parametrize("asked, message", [
    (["4"], "--reload-at takes PACKET:RULES"), (["0:x"], "counted from 1"), (["x:1"], "takes PACKET:RULES"), (["4:"], "takes PACKET:RULES"),
])
def test_usage(rules, traffic, asked, message):
    result = run("replay", traffic, "-S", rules / "1.rules", "--no-cache", *(part for one in asked for part in ("--reload-at", one)), code=2)
    assert message in result.stderr + result.output


def test_hangup_and_metrics_while_captures_are_read(rules, traffic):
    """The capture comes through a pipe that stays open, so that there is time to ask and to reload."""
    pytest.importorskip("prometheus_client")
    path = rules / "1.rules"
    command = [sys.executable, "-m", "fastpath", "replay", "-", "-S", str(path), "--no-cache", "--metrics", "0", "-l", "-"]
    data = traffic.read_bytes()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        address = ""
        while "metrics:" not in address:
            address = process.stderr.readline().decode()
            assert address, "it ended"
        port = address.rpartition(":")[2].partition("/")[0]
        process.stdin.write(data)
        process.stdin.flush()

        def metrics() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                return answer.read().decode()

        def wait_for(text: str) -> None:
            while text not in metrics():
                assert process.poll() is None
                time.sleep(0.02)

        wait_for("fastpath_read_packets_total 10.0")
        path.write_text((rules / "2.rules").read_text())
        os.kill(process.pid, signal.SIGHUP)
        record = data[24:24 + 16 + len(udp(b"x"))]
        while 'fastpath_orders_total{kind="reload"} 1.0' not in metrics():     # the swap needs a packet to be met by
            process.stdin.write(record)
            process.stdin.flush()
            time.sleep(0.05)
        process.stdin.write(record * 3)
        process.stdin.close()
        out = process.stdout.read().decode()
        process.stderr.read()
    assert process.returncode == 0
    assert '"signature_id":1,' in out and out.count('"signature_id":2,') >= 3
