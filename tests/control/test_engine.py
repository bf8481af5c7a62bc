"""The engine's own doings, over a double of the data plane: calls, interruption, reload, fork, threads, faults at the door."""
from __future__ import annotations

import os
import sys
import threading
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from made_rows import START, alert, flow, key, rules

import fastpath as fp
from fastpath.control import engine as engine_module
from fastpath.control.stats import InternalError
from fastpath.dataplane import rows

IT = key("10.0.0.1", 1234, "192.0.2.9", 80)


class Plane:
    """A data plane of two buckets: every packet of a source passes; every tenth raises alert 0; one flow a capture."""

    made: ClassVar[list[Plane]] = []
    lie = 0                     # bytes by which the ledger is wrong

    def __init__(self, settings):
        self.settings, self.next_ordinal, self.databases, self.waiting, self.flushed, self.closed = settings, 1, [], [], 0, False
        Plane.made.append(self)

    time = 0
    queue_pairs_seen: ClassVar[list[object]] = []

    def services(self):
        return []

    def load(self, database):
        self.databases.append((self.next_ordinal, database))

    def isolate(self, ranges4, ranges6):
        return 0

    def call(self):
        self.called = True

    def heed(self):
        self.called = False

    def begin_capture(self):
        self.flushed = 0

    def prepare(self, database):
        pass

    def publish(self, ring, rule_base):
        pass

    def load_policy(self, classifier):
        return 0

    def find_data(self, data):
        pass

    def policy_counts(self):
        return np.zeros(0)

    def respond(self, responses):
        assert responses is None

    def spent(self):
        return []

    def rule_costs(self):
        return None

    def step(self, source, bursts, stop_at):
        if source.interrupt_at and self.next_ordinal > source.interrupt_at:
            raise KeyboardInterrupt
        for _ in range(min(bursts * self.settings["burst"], 10, source.left)):
            if self.next_ordinal % 10 == 0:
                self.waiting.append(alert(IT, ordinal=self.next_ordinal))
            self.next_ordinal += 1
            source.left -= 1
        return source.left > 0

    def inspect(self, source, out):
        out[:] = 0
        out["rule"] = rows.NO_RULE
        for i in range(len(out)):
            if self.next_ordinal % 10 == 0:
                out[i]["alerts"], out[i]["rule"], out[i]["action"] = 1, 0, 2
                self.waiting.append(alert(IT, ordinal=self.next_ordinal))
            self.next_ordinal += 1
        return len(out)

    def tick(self, now):
        self.now = now

    def changed_sets(self):
        return {}

    def flush(self):
        self.flushed += 1
        return self.flushed < 2

    def alerts(self):
        return self.rows()["alerts"]

    def rows(self):
        taken = {name: np.empty(0, dtype) for name, dtype in rows.DTYPES.items()}
        if self.waiting:
            taken["alerts"] = np.concatenate(self.waiting)
            self.waiting = []
        if self.flushed == 1:
            taken["flows"] = flow(IT, end_ordinal=self.next_ordinal - 1)
        return taken

    def kept(self):
        return b""

    def last_run(self):
        run = np.zeros(1, rows.RUN)
        run["packets"], run["rule"] = self.next_ordinal - 1, rows.NO_RULE
        return run

    def stats(self):
        n = self.next_ordinal - 1
        zero = {"packets": 0, "bytes": 0}
        return {"packets": n, "bytes": n * 100, "entries": n, "run_ns": n * 1000, "events": {}, "stages": {}, "device": {}, "defrag": {},
                "exceptions": {}, "held_up": {}, "decryption": {}, "throughput": [], "throughput_width": 0, "events_lost": 0,
                "ledger": {"inspected": {"packets": n, "bytes": n * 100 + self.lie}, "offloaded": zero, "dropped": zero, "errored": zero},
                "rows_lost": 0, "rules": None, "flows": {"created": 0, "active": 0, "forced": 0, "memcap_hits": 0, "ended": {}}}

    def close(self):
        self.closed = True


def source(name: str, packets: int, interrupt_at: int = 0, damage=None):
    them = SimpleNamespace(left=packets, interrupt_at=interrupt_at, status="end")
    return Capture(source=them, path=name, damage=damage, bytes_total=packets * 100, bytes_done=packets * 50)


class Capture(SimpleNamespace):
    """An open capture; a string in its place is a file that cannot be opened."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.source = None


def opened(capture, bpf):
    if isinstance(capture, str):
        raise OSError(f"{capture}: no")
    return capture


class Rules:
    """A rule set whose compiled form is its name."""

    def __init__(self, name: str = "first", broken: bool = False):
        self.numbers, self.text, self.classifications, self.refusals = rules().numbers, rules().text, rules().classifications, []
        self.name, self.broken, self.reading, self.finding = name, broken, {}, []
        self.sought = {}, frozenset()

    def __len__(self):
        return 1

    def compiled(self, event_codes, **options):
        return None

    def compile(self, event_codes, **options):
        if self.broken:
            raise ValueError("no")
        assert event_codes["decoder.ipv4.pkt_too_small"] >= 0 and options["action_order"][0] == "pass"
        return SimpleNamespace(sets=(), name=self.name, names=(*options["flowbits"], self.name))


@pytest.fixture(autouse=True)
def double(monkeypatch):
    Plane.made = []
    monkeypatch.setitem(sys.modules, "fastpath._core", SimpleNamespace(DataPlane=Plane))
    monkeypatch.setitem(sys.modules, "fastpath.dataplane.rx",
                        SimpleNamespace(BatchSource=lambda *them: SimpleNamespace(close=lambda: None), Status=SimpleNamespace(NEED="need")))
    monkeypatch.setitem(sys.modules, "fastpath.control.captures", SimpleNamespace(
        open_captures=lambda paths, bpf: SimpleNamespace(paths=paths, bpf=bpf, bytes_total=5000), Capture=opened, CaptureError=OSError))
    monkeypatch.setattr(engine_module, "check_matcher", lambda: None)


def test_replay():
    with fp.Engine(Rules()) as engine:
        result = engine.replay([source("a.pcap", 25), source("b.pcap", 15)])
    assert result.alerts["ordinal"].tolist() == [10, 20, 30, 40]
    assert result.alerts["pcap_cnt"].tolist() == [10, 20, 5, 15]
    assert result.alerts["sid"].tolist() == [1] * 4
    assert len(result.flows) == 2           # one a capture: flushed in between
    assert (result.stats["packets"], result.stats["alerts"], result.stats["verdicts"]) == (40, 4, {"pass": 40})
    assert result.stats["rules"][0]["alerts"] == 4
    assert result.captures == ["a.pcap", "b.pcap"] and not result.partial
    assert Plane.made[0].closed
    with pytest.raises(LookupError, match="events were not kept"):
        _ = result.events


def test_continuous_captures_are_not_flushed_in_between():
    with fp.Engine(Rules()) as engine:
        assert len(engine.replay([source("a", 5), source("b", 5)], continuous=True).flows) == 1


def test_settings_reach_the_data_plane():
    with fp.Engine(None, mode="ips", workers=2, burst=7, checksums="none", device=fp.Device(sessions=5, idle_timeout=1.5),
                   config=fp.Config.load(None, ["flow.memcap=1gb"])) as engine:
        engine.replay([source("a", 5)], keep=("packets",))
    settings = Plane.made[0].settings
    assert {name: settings[name] for name in ("mode", "workers", "burst", "checksums", "device", "flow_memcap", "keep_packets")} == {
        "mode": "ips", "workers": 2, "burst": 7, "checksums": "none", "device": fp.Device(5, idle_timeout=1.5).settings(),
        "flow_memcap": 1 << 30, "keep_packets": True}
    assert Plane.made[0].databases == []


def test_the_digest_does_not_depend_on_what_is_kept_or_on_earlier_runs():
    with fp.Engine(Rules()) as engine:
        digests = {engine.replay([source("a", 25)], keep=keep).digest for keep in ((), ("alerts",), ("alerts", "flows", "packets"))}
        assert len(digests) == 1
        assert engine.replay([source("renamed", 25)]).digest in digests
        assert engine.replay([source("a", 26)]).digest not in digests


def test_what_is_kept_is_bounded():
    with fp.Engine(Rules()) as engine:
        result = engine.replay([source("a", 95)], limit=4)
    assert len(result.alerts) == 4 and result.truncated == {"alerts": 5} and result.stats["alerts"] == 9


def test_ctrl_c_gives_a_partial_result():
    closed = []
    sink = SimpleNamespace(wants=frozenset(), write=lambda batch: closed.append(len(batch.rows["alerts"])), close=closed.append)
    with fp.Engine(Rules()) as engine:
        result = engine.replay([source("a", 1000, interrupt_at=30)], sinks=[sink])
    assert result.partial and result.stats["partial"]
    assert result.stats["packets"] == 30 and len(result.alerts) == 3 and len(result.flows) == 1
    assert closed[-1] is result.stats and sum(closed[:-1]) == 3


def test_a_damaged_capture_is_told():
    with fp.Engine() as engine:
        result = engine.replay([source("a", 5, damage=(77, "cut")), "locked", source("b", 4)])
    assert [str(damage) for damage in result.damages] == ["a: cut at byte 77", "locked: no"] and result.stats["packets"] == 9


def test_stream_is_bounded():
    with fp.Engine(Rules()) as engine:
        assert [len(part) for part in engine.stream([source("a", 45)], rows=3)] == [1, 1, 1, 1]
        assert [part["end"].tolist() for part in engine.stream([source("a", 5)], what="flows")] == [["timeout"]]
        abandoned = engine.stream([source("a", 45)])
        next(abandoned)
        with pytest.raises(RuntimeError, match="busy"):
            engine.replay([])
        abandoned.close()
        engine.replay([])


def test_progress():
    seen = []
    with fp.Engine(Rules()) as engine:
        engine.replay([source("a", 25)], progress=seen.append)
    assert [(at.capture, at.packets, at.alerts, at.fraction) for at in seen] == [("a", 10, 1, 0.25), ("a", 20, 2, 0.25), ("a", 25, 2, 0.25)]


def test_reload_during_a_replay_holds_from_the_next_step():
    with fp.Engine(Rules()) as engine:
        result = engine.replay([source("a", 30)], progress=lambda at: at.packets == 10 and engine.reload(Rules("second")))
    assert [(first, database.name) for first, database in Plane.made[0].databases] == [(1, "first"), (11, "second")]
    assert Plane.made[0].databases[1][1].names == ("first", "second")       # flowbits keep their numbers
    assert result.alerts.rows["rule"].tolist() == [0, 2, 2]
    assert result.alerts["sid"].tolist() == [1, 1, 1]


def test_a_failed_reload_leaves_the_rules():
    with fp.Engine(Rules()) as engine:
        with pytest.raises(ValueError, match="no"):
            engine.reload(Rules("second", broken=True))
        with pytest.raises(TypeError, match="rules must be a RuleSet"):
            engine.reload(5)
        engine.replay([source("a", 5)])
    assert Plane.made[0].databases[0][1].name == "first"


def test_inspect():
    with fp.Engine(Rules(), mode="ips") as engine:
        verdicts = engine.inspect([b"packet"] * 25)
        assert verdicts.action.tolist() == [0] * 9 + [2] + [0] * 9 + [2] + [0] * 5
        assert verdicts.rule.tolist()[8:10] == [-1, 1]
        assert verdicts.alerts["sid"].tolist() == [1, 1] and verdicts.raised.sum() == 2
        assert (verdicts.action == fp.Action.REJECT).sum() == 2 and verdicts.replies == []
        assert verdicts.reasons[verdicts.reason[0]] == "none"
        assert engine.stats["packets"] == 25 and engine.stats["alerts"] == 2
        out = np.empty(3, rows.VERDICT)
        assert engine.inspect([b"a"] * 3, out=out).array is out
        assert len(engine.inspect([]).action) == 0
        engine.tick(START)
        assert Plane.made[0].now == START
        engine.reload(Rules("second"))
        assert engine.inspect([b"x"] * 10).rule.tolist().count(1) == 1
    assert len(Plane.made) == 1 and Plane.made[0].closed


@pytest.mark.parametrize("arguments, error, message", [
    ({"rules": "alert"}, TypeError, "rules must be a RuleSet, not str"), ({"mode": "inline"}, ValueError, "mode must be"),
    ({"workers": 0}, ValueError, "workers must lie"), ({"workers": "2"}, TypeError, "workers must be an int"),
    ({"burst": 257}, ValueError, "burst must lie"), ({"burst": True}, TypeError, "burst must be an int"),
    ({"checksums": "some"}, ValueError, "checksums must be"), ({"device": 5}, TypeError, "device must be a Device"),
    ({"config": "x.yaml"}, TypeError, "config must be a Config"),
])
def test_faults_name_the_argument(arguments, error, message):
    with pytest.raises(error, match=message):
        fp.Engine(**arguments)


def test_faults_of_calls_name_the_argument():
    with fp.Engine() as engine:
        for error, message, call in [
            (TypeError, "keep must be", lambda: engine.replay([], keep="alerts")),
            (ValueError, "keep names 'colours'", lambda: engine.replay([], keep=("colours",))),
            (ValueError, "rows must be", lambda: next(engine.stream([], rows=0))),
            (TypeError, "out must be", lambda: engine.inspect([b"a"], out=np.zeros(1))),
            (ValueError, "out must be contiguous.* length 1", lambda: engine.inspect([b"a"], out=np.zeros(2, rows.VERDICT))),
            (TypeError, "packets must be", lambda: engine.inspect(b"abc")),
            (TypeError, "paths must be", lambda: engine.replay(5)),
            (TypeError, "paths must be", lambda: engine.replay(None)),
            (TypeError, "limit must be", lambda: engine.replay([], limit="a")),
            (ValueError, "limit must be", lambda: engine.replay([], limit=-1)),
            (TypeError, "progress must be", lambda: engine.replay([], progress=5)),
        ]:
            with pytest.raises(error, match=message):
                call()
        engine.replay([])       # none of it left the engine busy
    for sessions, timeout in ((-1, 1), (1, 0)):
        with pytest.raises(ValueError, match="sessions|idle_timeout"):
            fp.Device(sessions, idle_timeout=timeout)


def test_a_closed_engine_says_so():
    engine = fp.Engine(Rules())
    engine.close()
    engine.close()
    for call in (lambda: engine.replay([]), lambda: engine.inspect([]), lambda: engine.tick(), lambda: engine.reload(Rules()),
                 lambda: list(engine.stream([])), lambda: engine.stats):
        with pytest.raises(ValueError, match="the engine is closed"):
            call()


def test_a_second_thread_is_refused():
    caught = []

    def second(at):
        def call():
            try:
                engine.inspect([b"a"])
            except RuntimeError as error:
                caught.append(str(error))
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    with fp.Engine() as engine:
        engine.replay([source("a", 5)], progress=second)
        assert caught == ["the engine is busy with another call; an engine serves one call at a time"]
        engine.inspect([b"a"])


def test_a_fork_may_not_use_the_engine():
    engine = fp.Engine(Rules())
    child = os.fork()
    if child == 0:
        try:
            engine.inspect([b"a"])
        except RuntimeError as error:
            os._exit(0 if "made in another process" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    engine.inspect([b"a"])
    engine.close()


def test_a_ledger_that_does_not_close_is_an_internal_error(monkeypatch):
    monkeypatch.setattr(Plane, "lie", 1)
    with fp.Engine() as engine, pytest.raises(InternalError, match="the ledger does not close"):
        engine.replay([source("a", 5)])
