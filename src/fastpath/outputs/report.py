"""A report of a run as one HTML file: no script, nothing loaded from elsewhere, light and dark.

Made with Jinja2 (the extra `report`); everything that came off the wire or out of a rule is stripped of control characters
here and escaped there.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from fastpath.control.bindings import segment_text
from fastpath.control.result import Result
from fastpath.control.stats import EXCEPTIONS
from fastpath.outputs.visible import scaled, visible

RULES, EVENTS, CAPTURES, TALKERS, SERVICES = 20, 20, 12, 20, 40         # lines that a table shows
WIDTH, HEIGHT = 1000, 220                   # of the chart, SVG units
LEFT, BOTTOM = 70, 26                       # room for its labels
COLUMNS = 170                               # of the chart at most

#: What each stage of the way does, in the order of the way.
STAGES = (("rx", "takes packets from the capture"), ("decode", "reads headers, makes flow keys"), ("defrag", "makes fragments whole"), ("decap", "opens tunnels"),
          ("steer", "hashes keys to buckets"), ("flow", "looks up flows, keeps their state"),
          ("stream", "puts TCP bytes in order"), ("applayer", "protocols, transactions, files"),
          ("match", "Hyperscan, then the rules' programs"), ("telemetry", "verdicts, rows, the ledger"))
LEDGER = ("inspected", "offloaded", "dropped", "errored")


def check_jinja2() -> None:
    """ImportError without Jinja2: to be asked before a long run."""
    try:
        import jinja2  # noqa: F401
    except ImportError:
        raise ImportError("a report needs Jinja2: pip install 'fastpath-dpu[report]'") from None


@dataclass(frozen=True, slots=True)
class Bar:
    """A line with a bar: share is of the whole, width of the longest bar."""
    name: str
    value: str
    share: float
    width: float
    note: str = ""
    kind: str = ""


def render(result: Result, *, captures: Sequence[str] = (), rules: Any = None, mode: str = "ids") -> str:
    """The report of a run, as HTML."""
    from jinja2 import Environment, StrictUndefined

    stats = result.stats
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"count": count, "scaled": scaled, "visible": visible}
    template = environment.from_string(files("fastpath.outputs").joinpath("report.html").read_text(encoding="utf-8"))
    packets = max(stats["packets"], 1)
    alerts = [rule for rule in stats["rules"] if rule["alerts"]]
    most = max((rule["alerts"] for rule in alerts), default=1)
    stages = [(name, about, stats["stages"].get(name, 0)) for name, about in STAGES]
    return template.render(
        result=result, stats=stats, mode=mode, rules=rules,
        captures=[visible(name, 300) for name in (captures or result.captures)][:CAPTURES], captures_more=max(0, len(captures) - CAPTURES),
        tiles=tiles(result), span=span(stats["throughput"]),
        ledger=[Bar(name, count(stats["ledger"][name]["packets"]), stats["ledger"][name]["packets"] / packets, 0,
                    f"{count(stats['ledger'][name]['bytes'])} bytes", name) for name in LEDGER],
        verdicts=bars(stats["verdicts"], kinds=True), reasons=bars(stats["reasons"]), ends=bars(stats["flows"].get("ended", {})),
        stages=[Bar(name, f"{ns / packets:,.1f}", ns / max(sum(one[2] for one in stages), 1), ns / max(*(one[2] for one in stages), 1), about)
                for name, about, ns in stages],
        per_packet=sum(ns for _, _, ns in stages) / packets,
        alerts=[rule | {"width": rule["alerts"] / most, "msg": visible(rule["msg"]), "category": visible(rule["category"])}
                for rule in alerts[:RULES]],
        alerts_more=max(0, len(alerts) - RULES),
        events=bars(stats["events"], EVENTS), events_more=max(0, len(stats["events"]) - EVENTS),
        device=device(stats["device"]), policy=policy_section(stats.get("policy")), talkers=stats.get("llm", [])[:TALKERS],
        roce=queue_pairs(stats["roce"]), roce_more=max(0, len(stats["roce"]) - RULES),
        models=[{"name": visible(model.name), "format": model.format, "size": count(model.size) + ("" if model.whole else " of more"),
                 "source": model.client if model.upload else model.server, "target": model.server if model.upload else model.client,
                 "sha256": model.sha256[:16], "unsafe": visible(", ".join(model.unsafe), 200)}
                for model in sorted(result.models, key=lambda one: not one.unsafe)[:RULES]],
        inventory=inventory_section(stats.get("inventory", [])),
        sealed=sealed_section(stats["uninspected"]), decryption=stats["decryption"],
        chart=chart(stats["throughput"]), damages=[visible(damage, 400) for damage in result.damages],
        exceptions={EXCEPTIONS[name]: value for name, value in stats["exceptions"].items()},
    )


def inventory_section(items: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """What was found, those with most bytes first; None where nothing was."""
    if not items:
        return None
    return {
        "services": len({(item["kind"], item["service"]) for item in items}), "more": max(0, len(items) - SERVICES),
        "statuses": any(item["status"] for item in items),
        "items": [item | {name: visible(item[name]) for name in ("service", "version", "kind", "by")} | {
            "client": visible(f"{item['client']} {item['client_version']}".strip()),
            "peer": f"[{item['peer']}]:{item['port']}" if ":" in item["peer"] else f"{item['peer']}:{item['port']}",
            "first": clock(item["first"] // 10 ** 9, True), "last": clock(item["last"] // 10 ** 9, True)} for item in items[:SERVICES]],
    }


def queue_pairs(pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """RoCE by queue pair: those seen in another segment than their first, then those that carried most."""
    most = sorted(pairs, key=lambda pair: (not pair["foreign"], -pair["bytes"]))[:RULES]
    return [pair | {"segment": visible(segment_text(pair["segment"])), "opcodes": ", ".join(f"{name} {number:,}" for name, number in pair["opcodes"].items()),
                    "elsewhere": f"{pair['foreign']:,} packets in {visible(segment_text(pair['elsewhere']))}" if pair["foreign"] else ""}
            for pair in most]


def sealed_section(sealed: dict[str, Any]) -> dict[str, Any] | None:
    """What could not be looked into, by service and by segment; None where there was nothing encrypted."""
    if not sealed["of"]:
        return None
    most = max((one["bytes"] for one in sealed["by_service"]), default=0)
    services = [Bar(visible(one["service"]), count(one["bytes"]), one["share"], one["bytes"] / max(most, 1), visible(one["hosted"] or ""))
                for one in sealed["by_service"] if one["bytes"]]
    return {"bytes": sealed["bytes"], "share": sealed["share"], "flows": sealed["flows"], "services": services[:EVENTS],
            "more": max(0, len(services) - EVENTS),
            "pairs": [{"source": visible(one["from"]), "target": visible(one["to"]), "bytes": one["bytes"], "share": one["share"]}
                      for one in sealed["by_segment"] if one["bytes"]][:RULES]}


def policy_section(policy: dict[str, Any] | None) -> dict[str, Any] | None:
    """The lines that counted most, and the pairs of segments that were denied most."""
    if policy is None:
        return None
    most = sorted((line for line in policy["lines"] if line["packets"]), key=lambda line: (-line["denied"], -line["packets"]))
    return {
        "name": visible(policy["name"]), "denied_packets": policy["denied_packets"], "flows": sum(policy["denied_flows"].values()),
        "lines": [{"name": visible(line["name"] or line["place"], 200), "source": visible(", ".join(line.get("from", ["any"]))),
                   "target": visible(", ".join(line.get("to", ["any"]))), "flows": line["flows"], "packets": line["packets"],
                   "denied": line["denied"]} for line in most[:RULES]],
        "pairs": [{"source": visible(pair["from"]), "target": visible(pair["to"]), "flows": pair["flows"]} for pair in policy["pairs"][:5]],
    }


def device(table: dict[str, Any]) -> list[tuple[str, str]] | None:
    """What the session table did: (what, how much); None where nothing was asked of it."""
    asked = {reason: number for reason, number in table.get("asked", {}).items() if number}
    if not asked:
        return None
    said = [(f"sessions asked for by {reason}", count(number)) for reason, number in asked.items()]
    said += [("sessions added", count(table["added"])), ("refused, the table was full", count(table["full"])),
             ("packets offloaded", count(table["packets"])), ("bytes offloaded", count(table["bytes"]))]
    if table["added"]:
        said += [("of all packets", f"{table['share']['packets']:.1%}"), ("of all bytes", f"{table['share']['bytes']:.1%}"),
                 ("s until in force, on average", f"{table['lag']['mean']:.3f}")]
    return said


def tiles(result: Result) -> list[tuple[str, str, str]]:
    """(label, number, what it is in full)."""
    stats = result.stats
    return [
        ("packets", scaled(stats["packets"]), f"{count(stats['packets'])} packets"),
        ("traffic", scaled(stats["bytes"], "B"), f"{count(stats['bytes'])} bytes"),
        ("flows", scaled(stats["flows"]["rows"]), f"{count(stats['flows']['rows'])} flows"),
        ("alerts", scaled(stats["alerts"]), f"{count(stats['alerts'])} alerts"),
        ("inspected at", scaled(stats["rates"]["packets_per_second"], "pps"), scaled(stats["rates"]["bits_per_second"], "bit/s")),
        ("in", scaled(stats["seconds"], "s"), f"rules in {scaled(stats['load_seconds'], 's')}"),
    ]


def bars(values: dict[str, int], most: int = 12, kinds: bool = False) -> list[Bar]:
    """The largest first."""
    total, longest = max(sum(values.values()), 1), max(values.values(), default=1)
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:most]
    return [Bar(visible(name), count(value), value / total, value / max(longest, 1), kind=visible(name) if kinds else "")
            for name, value in ordered if value]


def count(value: float) -> str:
    """1234567 -> 1,234,567."""
    return f"{value:,.0f}"


def clock(second: int, full: bool = False) -> str:
    text = str(np.datetime64(second, "s"))
    return text.replace("T", " ") + " UTC" if full else text[11:]


def lasting(seconds: int) -> str:
    """A length of time in its largest unit."""
    if seconds == 1:
        return "second"
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds} seconds"


def span(bins: list[dict[str, int]]) -> str:
    """From when to when the packets go, by their stamps."""
    if not bins:
        return ""
    last = bins[-1]["second"] + bins[-1]["width"] - 1
    return clock(bins[0]["second"], True) if last == bins[0]["second"] else f"{clock(bins[0]['second'], True)} to {clock(last, True)}"


def chart(bins: list[dict[str, int]]) -> dict[str, Any] | None:
    """Columns of bits a second over packet time, with what was dropped, and the lines of the scale."""
    if not bins:
        return None
    join = math.ceil(len(bins) / COLUMNS)
    joined = [bins[at:at + join] for at in range(0, len(bins), join)]
    seconds = join * bins[0]["width"]
    values = [(group[0]["second"], sum(one["bytes"] for one in group) * 8 / seconds, sum(one["packets"] for one in group),
               sum(one["dropped"] for one in group)) for group in joined]
    highest = max(max(rate for _, rate, _, _ in values), 1)
    step = nice(highest / 4)
    top = math.ceil(highest / step) * step
    pitch = (WIDTH - LEFT) / len(values)
    plot = HEIGHT - BOTTOM - 8
    columns = []
    for at, (second, rate, packets, dropped) in enumerate(values):
        tall = rate / top * plot
        cut = tall * dropped / packets if packets else 0
        columns.append({"x": round(LEFT + at * pitch, 2), "width": round(max(pitch - min(2, pitch * 0.15), 0.8), 2),
                        "y": round(HEIGHT - BOTTOM - tall, 2), "height": round(tall, 2), "cut": round(cut, 2),
                        "about": f"{clock(second, True)}: {scaled(rate, 'bit/s')}, {count(packets)} packets"
                                 + (f", {count(dropped)} dropped" if dropped else "")})
    lines = [{"y": round(HEIGHT - BOTTOM - at * step / top * plot, 2), "text": scaled(at * step, "bit/s")} for at in range(round(top / step) + 1)]
    days = len(values) * seconds > 86400 * 2
    ticks = sorted({0, len(values) // 4, len(values) // 2, len(values) * 3 // 4} if len(values) >= 8 else {0, len(values) // 2})
    return {"columns": columns, "lines": lines, "width": WIDTH, "height": HEIGHT, "left": LEFT, "base": HEIGHT - BOTTOM,
            "ticks": [{"x": round(LEFT + at * pitch, 2), "text": clock(values[at][0], True)[:10] if days else clock(values[at][0])} for at in ticks],
            "every": lasting(seconds), "dropped": any(one["cut"] for one in columns)}


def nice(value: float) -> float:
    """The next number of 1, 2, 5, 10, 20 ... that is not smaller."""
    scale = 10.0 ** math.floor(math.log10(max(value, 1e-9)))
    return next(step * scale for step in (1, 2, 5, 10) if step * scale >= value * 0.999999)
