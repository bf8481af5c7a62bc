"""Records and their comparison; what is measured is not tested, only that it is measured."""
from __future__ import annotations

import json

import pytest
from captures import conversation, udp

from fastpath.control import bench


def record(**works):
    return {"format": 1, "works": {name: {"packets": 10, "bytes": 100, "seconds": seconds, "median": sorted(seconds)[len(seconds) // 2]}
                                   for name, seconds in works.items()}}


@pytest.mark.parametrize("before, now, slower, faster", [
    ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], False, False),
    ([1.0, 1.0, 1.0], [1.2, 1.2, 1.2], True, False),
    ([1.2, 1.2, 1.2], [1.0, 1.0, 1.0], False, True),
    ([1.0, 1.0, 1.0], [1.08, 1.08, 1.08], False, False),       # within ten per cent
    ([1.0, 1.0, 1.3], [1.2, 1.2, 1.2], False, False),          # the old run met this time too
    ([1.0, 1.0, 1.0], [0.9, 1.2, 1.2], False, False),          # the new run met the old time too
])
def test_compare(before, now, slower, faster):
    change, = bench.compare(record(a=now), record(a=before))
    assert (change.slower, change.faster) == (slower, faster)
    assert change.factor == pytest.approx(sorted(now)[1] / sorted(before)[1])


def test_compare_takes_only_the_same_work():
    other = record(a=[1.0], b=[1.0])
    other["works"]["a"]["packets"] = 11
    assert [change.name for change in bench.compare(record(a=[2.0], b=[1.0]), other)] == ["b"]
    with pytest.raises(ValueError, match="no work in common"):
        bench.compare(record(a=[1.0]), record(c=[1.0]))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "works": {"a": {}}}', '{"format": 2, "works": {}}'])
def test_what_is_no_record_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match="not a record"):
        bench.read_record(tmp_path / "x.json")


def test_interleave_runs_in_turn_and_warms_up():
    seen = []
    works = [bench.Work(name, lambda name=name: seen.append(name) or 1.0, 1, 1) for name in "ab"]
    bench.interleave(works, rounds=2)
    assert "".join(seen) == "aabbabab"
    assert [len(work.times) for work in works] == [2, 2]


def test_a_work_that_needs_no_warming_up_is_run_so_often_as_it_counts():
    seen = []
    bench.interleave([bench.Work("a", lambda: seen.append(1) or 0.001, 1, 1, warms=False)], rounds=3)
    assert len(seen) == 3


def test_a_short_work_is_run_several_times():
    seen = []
    work = bench.Work("a", lambda: seen.append(1) or bench.LEAST / 4, 1, 1)
    bench.interleave([work], rounds=2)
    assert len(seen) == 2 + 2 * 4
    assert work.times == [bench.LEAST / 4] * 2


def test_libpcap_loop_reads_the_capture(capture):
    path = capture([udp(b"x")] * 10)
    assert bench.libpcap_loop(path)() == 0
    path.write_bytes(b"nothing that libpcap knows")
    with pytest.raises(OSError, match="."):
        bench.libpcap_loop(path)


def test_run_bench_writes_a_record_and_compares(capture, tmp_path, capsys):
    path = capture(conversation([(b"GET /", b"200 OK")]))
    rules = tmp_path / "a.rules"
    rules.write_text('alert tcp any any -> any 80 (msg:"x"; content:"GET"; depth:3; sid:1;)\n')
    out = tmp_path / "record.json"
    assert bench.run_bench([path], rules, bursts=[1, 256], peers=["libpcap"], json_out=out) == 0
    written = bench.read_record(out)
    assert len(written["works"]) == 5
    assert all(len(work["seconds"]) == bench.ROUNDS and work["packets"] == 10 for work in written["works"].values())
    assert "libpcap" in capsys.readouterr().out
    for work in written["works"].values():
        work["seconds"], work["median"] = [1e-9] * bench.ROUNDS, 1e-9
    out.write_text(json.dumps(written))
    assert bench.run_bench([path], rules, bursts=[1, 256], peers=["libpcap"], json_out="-", against=out) == bench.SLOWER
    shown = json.loads(capsys.readouterr().out)
    assert all(change["slower"] for change in shown["changes"])


def test_run_bench_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.pcap"):
        bench.run_bench([tmp_path / "none.pcap"])
    with pytest.raises(ValueError, match="no peer 'tcpdump'"):
        bench.peer_works(["tcpdump"], [], 0, 0)
