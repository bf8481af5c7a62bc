"""The engine over the real data plane: packets from Python, reload under traffic, Ctrl-C, standard input."""
from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from captures import conversation, tcp, udp, write_pcap

import fastpath as fp
from fastpath.outputs.eve import EveWriter

pytest.importorskip("fastpath._core", reason="the data plane is not built")

RULES = """
alert tcp any any -> any any (msg:"get"; content:"GET "; sid:1;)
reject udp any any -> any 53 (msg:"question"; content:"q"; sid:2;)
reject tcp any any -> any 6667 (msg:"irc"; flags:S; sid:3;)
"""
START = 1_700_000_000_000_000_000
PACKETS = [*conversation([(b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n")]), udp(b"q"), tcp(dport=6667, flags=2, seq=41)]


def rules() -> fp.RuleSet:
    return fp.RuleSet.parse(RULES)


def test_inspect_and_replay_agree(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", PACKETS)
    stamps = START + np.arange(len(PACKETS)) * 1_000_000
    with fp.Engine(rules(), mode="ips") as engine:
        result = engine.replay(path, keep=("alerts", "packets"))
        whole = engine.inspect(PACKETS, ts=stamps)
        assert whole.action.tolist() == [fp.Action[name.upper()] for name in result.packets["action"]]
        assert whole.alerts["sid"].tolist() == result.alerts["sid"].tolist()
        assert whole.flow.tolist() == result.packets["flow"].tolist()
    with fp.Engine(rules(), mode="ips") as engine:
        one_by_one = [engine.inspect([packet], ts=int(stamp)).action[0] for packet, stamp in zip(PACKETS, stamps, strict=True)]
        assert one_by_one == whole.action.tolist()
        assert engine.stats["ledger"]["dropped"]["packets"] == (whole.action > 0).sum()


def test_replies_of_rejects():
    with fp.Engine(rules(), mode="ips") as engine:
        verdicts = engine.inspect(PACKETS)
    assert verdicts.rule[-2:].tolist() == [2, 3]
    icmp, reset = verdicts.replies
    assert (icmp.packet, icmp.to, icmp.frame[34:36]) == (len(PACKETS) - 2, "src", b"\x03\x0d")
    assert (reset.packet, reset.frame[47] & 4, int.from_bytes(reset.frame[42:46], "big")) == (len(PACKETS) - 1, 4, 42)


def test_what_scapy_and_dpkt_give(tmp_path):
    dpkt, scapy = pytest.importorskip("dpkt"), pytest.importorskip("scapy.all")
    path = write_pcap(tmp_path / "a.pcap", PACKETS)
    with path.open("rb") as file, fp.Engine(rules(), mode="ips") as engine:
        from_dpkt = engine.inspect(dpkt.pcap.Reader(file)).action.tolist()
    with fp.Engine(rules(), mode="ips") as engine:
        assert engine.inspect(scapy.rdpcap(str(path))).action.tolist() == from_dpkt
    assert max(from_dpkt) == fp.Action.REJECT


def test_tick_ends_flows():
    with fp.Engine(rules()) as engine:
        engine.inspect([udp(b"x")], ts=START)
        assert len(engine.tick(START + 5_000_000_000)) == 0
        ended = engine.tick(START + 60_000_000_000)
        assert ended["end"].tolist() == ["timeout"] and ended["src_port"].tolist() == [40000]
        assert len(engine.tick(START + 90_000_000_000)) == 0


def test_reload_from_another_thread_loses_nothing(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [udp(b"x%d" % n, sport=1024 + n % 500) for n in range(100_000)], step=0.0001)
    sets = [fp.RuleSet.parse(f'alert udp any any -> any any (content:"x9"; sid:{sid};)') for sid in (1, 2)]
    reloaded = threading.Event()

    def reload():
        for n in range(20):
            engine.reload(sets[n % 2])
        reloaded.set()
    with fp.Engine(sets[0], burst=16) as engine:
        thread = threading.Thread(target=reload)
        result = engine.replay(path, progress=lambda at: at.packets < 50_000 and (thread.ident or thread.start()))
        thread.join()
    assert reloaded.is_set() and set(result.alerts["sid"].tolist()) <= {1, 2}
    expected = [n + 1 for n in range(100_000) if b"x9" in b"x%d" % n]
    assert result.alerts["ordinal"].tolist() == expected
    assert result.stats["packets"] == result.flows["pkts_toserver"].sum() == 100_000


def test_stream_gives_the_same_rows(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", PACKETS * 50)
    with fp.Engine(rules()) as engine:
        whole = engine.replay(path, keep=("alerts", "flows")).flows
        parts = [part["flow"] for part in engine.stream(path, what="flows", rows=7)]
    assert max(map(len, parts)) <= 7
    assert np.concatenate(parts).tolist() == whole["flow"].tolist()


def command(*arguments, **options) -> subprocess.Popen:
    """Ctrl-C reaches it, also where the shell that runs the tests in the background has it ignored."""
    return subprocess.Popen([sys.executable, "-m", "fastpath", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler), **options)


def test_standard_input_and_ctrl_c(tmp_path):
    (tmp_path / "r.rules").write_text(RULES)
    capture = write_pcap(tmp_path / "a.pcap", PACKETS).read_bytes()
    process = command("replay", "-", "-S", tmp_path / "r.rules", "-l", tmp_path / "out", stdin=subprocess.PIPE)
    process.stdin.write(capture)
    process.stdin.flush()
    eve = tmp_path / "out" / "eve.json"
    while process.poll() is None and (not eve.exists() or eve.read_bytes().count(b"\n") < 3):
        threading.Event().wait(0.05)
    os.kill(process.pid, signal.SIGINT)     # the engine waits for more
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert b"interrupted" in out and f"{len(PACKETS)} packets =".encode() in out
    *lines, last = [json.loads(line) for line in eve.read_bytes().splitlines()]
    assert [line["alert"]["signature_id"] for line in lines] == [1, 2, 3]
    assert last["event_type"] == "stats" and last["stats"]["partial"] is True


def test_standard_input_to_its_end(tmp_path):
    (tmp_path / "r.rules").write_text(RULES)
    path = write_pcap(tmp_path / "a.pcap", PACKETS)
    digests = []
    for arguments, data in ((["-"], path.read_bytes()), ([path], None)):
        out, _ = command("replay", *arguments, "-S", tmp_path / "r.rules", stdin=subprocess.PIPE).communicate(data, timeout=60)
        digests.append(out.splitlines()[-1])
    assert digests[0] == digests[1] and digests[0].startswith(b"digest: v1:")


def test_the_port_of_a_call_stands_in_its_alerts():
    out = io.BytesIO()
    eve = EveWriter(out)
    with fp.Engine(rules()) as engine:
        first, second, without = engine.inspect(PACKETS, port=7), engine.inspect(PACKETS, port=np.uint32(2 ** 32 - 1)), engine.inspect(PACKETS)
        for verdicts in (first, second, without):
            eve.write(verdicts.batch)
        assert len(engine.inspect([PACKETS[0]], port=7).batch.rows["alerts"]) == len(engine.inspect([PACKETS[0]], port=7).alerts)
        for port, error in ((-1, ValueError), (2 ** 32, ValueError), ("eth0", TypeError), (1.5, TypeError)):
            with pytest.raises(error, match="port must"):
                engine.inspect(PACKETS, port=port)
    assert len(first.alerts) and set(first.alerts["port"].tolist()) == {7} and first.alerts[0]["port"] == 7
    assert set(second.alerts[1:]["port"].tolist()) <= {2 ** 32 - 1} and set(without.alerts["port"].tolist()) == {0}
    assert first.array.tobytes() != b"" and first.action.tolist() == second.action.tolist()
    faces = [json.loads(line).get("in_iface") for line in out.getvalue().splitlines()]
    assert faces == ["7"] * len(first.alerts) + [str(2 ** 32 - 1)] * len(second.alerts) + [None] * len(without.alerts)
