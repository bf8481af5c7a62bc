"""Statistics of an engine at work, over HTTP: as Prometheus scrapes them, as JSON, as text.

Names follow Prometheus' conventions (Metric and label naming): seconds and bytes as base units, `_total` on what only grows. Counters
begin anew with each replay, which Prometheus takes for a restart.
"""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

SECOND = 1_000_000_000
RULES_MOST = 1000           # that are told apart: those that took most time
Snapshot = Callable[[], dict[str, Any]]

#: name, what it says, label, and where it is in a snapshot: counters with one label, a value each.
_BY_LABEL = (
    ("verdicts", "Packets by what was done with them", "action", "verdicts"),
    ("reasons", "Packets by why it was done", "reason", "reasons"),
    ("events", "Decoder and stream events", "event", "events"),
    ("exceptions", "What limits and the lack of memory did", "exception", "exceptions"),
    ("orders", "Orders of the control plane that were carried out", "kind", "orders"),
)
_POLICY = (("packets", "Packets by line of the policy"), ("bytes", "Bytes by line of the policy"), ("flows", "Flows that a line decided"),
           ("denied", "Packets that a line denied"))
_RULE = (("checks", "Times that a rule's program was run"), ("candidates", "Times that a rule's fast pattern was found"),
         ("confirms", "Times that a rule's program held"), ("alerts", "Alerts of a rule"))


def check_prometheus() -> None:
    """ImportError saying what to install, where prometheus-client is not there."""
    try:
        import prometheus_client  # noqa: F401
    except ImportError:
        raise ImportError("metrics need prometheus-client: pip install 'fastpath-dpu[metrics]'") from None


class Collector:
    """A collector for a prometheus_client registry. snapshot: Engine.snapshot."""

    def __init__(self, snapshot: Snapshot):
        self._snapshot = snapshot

    def describe(self) -> Iterable[Any]:
        """Nothing: what there is depends on the run."""
        return ()

    def collect(self) -> Iterator[Any]:
        """The metrics of this moment."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
        now = self._snapshot()

        def counter(name: str, text: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]) -> Any:
            family = CounterMetricFamily(f"fastpath_{name}", text, labels=labels)
            for label, value in values:
                family.add_metric(label, value)
            return family

        yield GaugeMetricFamily("fastpath_running", "1 while packets are inspected", value=float(now["running"]))
        yield GaugeMetricFamily("fastpath_isolated_workloads", "Workloads that are cut off", value=len(now["isolated"]))
        if "packets" not in now:
            return
        ledger = now["ledger"]
        yield counter("packets", "Packets by what became of them", ("ledger",), (((name,), one["packets"]) for name, one in ledger.items()))
        yield counter("bytes", "Bytes by what became of their packets", ("ledger",), (((name,), one["bytes"]) for name, one in ledger.items()))
        yield counter("read_packets", "Packets read", (), [((), now["packets"])])
        yield counter("read_bytes", "Bytes read", (), [((), now["bytes"])])
        yield counter("entries", "Packets read and packets found inside them", (), [((), now["entries"])])
        yield counter("alerts", "Alerts", (), [((), now["alerts"])])
        yield counter("inspection_seconds", "Time in which packets were inspected", (), [((), now["seconds"])])
        yield counter("held_up_seconds", "Time in which no packet was under way between two steps", (), [((), now["held_up"]["ns"] / SECOND)])
        yield GaugeMetricFamily("fastpath_held_up_longest_seconds", "The longest of these times", value=now["held_up"]["longest_ns"] / SECOND)
        yield counter("stage_seconds", "Time by stage", ("stage",), (((name,), ns / SECOND) for name, ns in now["stages"].items()))
        for name, text, label, place in _BY_LABEL:
            yield counter(name, text, (label,), (((one,), value) for one, value in now[place].items()))
        yield from self._flows(now, counter)
        yield from self._rules(now, counter)
        for name, text in _POLICY if "policy" in now else ():
            yield counter(f"policy_line_{name}", text, ("line", "name"),
                          (((str(number), one["name"]), one[name]) for number, one in enumerate(now["policy"]["lines"])))
        if "subscription" in now:
            yield counter("verdicts_lost", "Verdicts that found the ring full", (), [((), now["subscription"]["lost"])])
            yield counter("ring_wait_seconds", "Time in which inspection waited for the reader of verdicts", (),
                          [((), now["subscription"]["waited"])])

    @staticmethod
    def _flows(now: dict[str, Any], counter: Callable[..., Any]) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily
        flows, device = now["flows"], now["device"]
        yield GaugeMetricFamily("fastpath_flows", "Flows that are open", value=flows["active"])
        yield counter("flows_created", "Flows that began", (), [((), flows["created"])])
        yield counter("flows_ended", "Flows that ended", ("how",), (((name,), value) for name, value in flows["ended"].items()))
        yield GaugeMetricFamily("fastpath_device_sessions", "Sessions in the table of the device", value=device["sessions"])
        yield GaugeMetricFamily("fastpath_device_capacity", "Sessions that the table of the device holds", value=device["capacity"])
        for name, text in (("added", "Sessions inserted"), ("full", "Requests that the table was too full for"),
                           ("packets", "Packets that the device decided on"), ("bytes", "Bytes that the device decided on")):
            yield counter(f"device_{name}", text, (), [((), device[name])])

    @staticmethod
    def _rules(now: dict[str, Any], counter: Callable[..., Any]) -> Iterator[Any]:
        rules = sorted(now["rules"], key=lambda one: (-one["ns"], -one["alerts"], one["gid"], one["sid"]))[:RULES_MOST]
        labels = [(str(one["gid"]), str(one["sid"]), str(one["rev"])) for one in rules]
        for name, text in _RULE:
            yield counter(f"rule_{name}", text, ("gid", "sid", "rev"), ((label, one[name]) for label, one in zip(labels, rules, strict=True)))
        yield counter("rule_seconds", "Time in a rule's program, reckoned from the bursts that are timed", ("gid", "sid", "rev"),
                      ((label, one["ns"] / SECOND) for label, one in zip(labels, rules, strict=True)))


def text(now: dict[str, Any]) -> str:
    """A snapshot in some lines, for people."""
    if "packets" not in now:
        return "no packet yet\n"
    lines = [f"{'running' if now['running'] else 'at rest'}: {now['packets']:,} packets, {now['bytes']:,} bytes in {now['seconds']:.3f} s, "
             f"{now['rates']['packets_per_second']:,.0f} packets/s, {now['rates']['bits_per_second'] / 1e9:.3f} Gbit/s",
             "ledger: " + ", ".join(f"{one['packets']:,} {name}" for name, one in now["ledger"].items())
             + (f", {now['under_way']:,} under way" if now.get("under_way") else ""),
             f"alerts: {now['alerts']:,}; flows: {now['flows']['active']:,} open of {now['flows']['created']:,}",
             "stages: " + ", ".join(f"{name} {ns / SECOND:.3f} s" for name, ns in now["stages"].items())]
    lines += [f"{count:,} {name}" for name, count in now["exceptions"].items()]
    rules = sorted(now["rules"], key=lambda one: (-one["ns"], one["sid"]))[:10]
    lines += [f"rule {one['gid']}:{one['sid']}:{one['rev']}: {one['candidates']:,} candidates, {one['checks']:,} checks, "
              f"{one['confirms']:,} confirms, {one['alerts']:,} alerts, {one['ns'] / SECOND:.6f} s" for one in rules]
    if "policy" in now:
        lines += [f"policy {one['name'] or one['place']}: {one['packets']:,} packets, {one['flows']:,} flows, {one['denied']:,} denied"
                  for one in now["policy"]["lines"] if one["packets"]]
    if now["isolated"]:
        lines.append("isolated: " + ", ".join(now["isolated"]))
    return "\n".join(lines) + "\n"


class Server:
    """Serves /metrics (Prometheus), /stats.json and / (text) until it is closed. address: where it listens, `port`: 0 for any.

    Raises OSError where it cannot listen there, ImportError where prometheus-client is not there.
    """

    def __init__(self, snapshot: Snapshot, port: int, address: str = "127.0.0.1"):
        check_prometheus()
        from socketserver import ThreadingMixIn
        from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

        from prometheus_client import CollectorRegistry, make_wsgi_app

        class Quiet(WSGIRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                """Who asks is nobody's business here."""

        class Threads(ThreadingMixIn, WSGIServer):
            daemon_threads = True

        registry = CollectorRegistry()
        registry.register(Collector(snapshot))
        metrics = make_wsgi_app(registry)

        def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            path = environ["PATH_INFO"]
            if path == "/metrics":
                return metrics(environ, start)
            if path not in ("/", "/stats.json"):
                start("404 Not Found", [("Content-Type", "text/plain")])
                return [b"there are /metrics, /stats.json and /\n"]
            import msgspec
            now = snapshot()
            kind, body = ("application/json", msgspec.json.encode(now)) if path != "/" else ("text/plain; charset=utf-8", text(now).encode())
            start("200 OK", [("Content-Type", kind)])
            return [body]

        self._server = make_server(address, port, answer, Threads, Quiet)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
