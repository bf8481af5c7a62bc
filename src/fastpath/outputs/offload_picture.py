"""The picture of a study: share offloaded and alerts missed over the size of the session table. One SVG file that needs nothing else,
light and dark."""
from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from fastpath.offload.study import Row, Study
from fastpath.outputs.report import nice
from fastpath.outputs.visible import scaled, visible

WIDTH = 1000
LEFT, RIGHT, TOP, GAP, FOOT = 74, 292, 116, 58, 92
UPPER, LOWER = 250, 150         # heights of the two plots
#: Of the policies, in turn: told apart by eyes that do not see red and green, on light and on dark.
COLOURS = ("#2f6fdb", "#d98e1f", "#1a9e8f", "#c2477f", "#7b5cd6", "#6b7785", "#a3641d", "#3b8a3e")
CURVES = len(COLOURS)

STYLE = """
svg { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.paper { fill: #ffffff; } .ink { fill: #16202c; } .soft { fill: #5b6b7d; }
.grid { stroke: #e2e7ed; stroke-width: 1; } .axis { stroke: #9aa8b7; stroke-width: 1; }
.line { fill: none; stroke-width: 2.25; stroke-linejoin: round; stroke-linecap: round; }
.stem { stroke-width: 1.5; stroke-dasharray: 2 4; } .ring { fill: #ffffff; stroke-width: 2.5; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #0f141a; } .ink { fill: #e6ecf3; } .soft { fill: #93a3b5; }
  .grid { stroke: #263140; } .axis { stroke: #55657a; } .ring { fill: #0f141a; }
}
"""


class Axis:
    """From values to places. `log` scales by powers."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool = False):
        self.log = log
        self.low, self.high = (math.log(low), math.log(high)) if log else (low, high)
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        at = math.log(value) if self.log else value
        return round(self.start + (at - self.low) / ((self.high - self.low) or 1) * (self.end - self.start), 2)


def draw(study: Study, *, title: str = "") -> str:
    """The SVG: a curve a policy (at most CURVES), all else as in the first setting; confirmed settings are ringed."""
    table = study.settings[0].table
    policies = list(dict.fromkeys(setting.requests for setting in study.settings))[:CURVES]
    curves = [(policy, curve, COLOURS[at]) for at, policy in enumerate(policies) if (curve := study.curve(policy, table))]
    sizes = sorted({row.setting.sessions for _, curve, _ in curves for row in curve})
    across = Axis(sizes[0], max(sizes[-1], sizes[0] + 1), LEFT, WIDTH - RIGHT, log=True)
    base = TOP + UPPER + GAP + LOWER
    plots = [Plot(curves, across, sizes, TOP, UPPER, "share of all bytes offloaded", lambda row: row.byte_share * 100, lambda value: f"{value:g} %",
                   min(100.0, _top(max(row.byte_share * 100 for _, curve, _ in curves for row in curve)))),
             Plot(curves, across, sizes, TOP + UPPER + GAP, LOWER, "alerts missed, at most", lambda row: row.missed_count, lambda value: f"{value:,.0f}",
                   _top(max(row.missed_count for _, curve, _ in curves for row in curve), whole=True))]
    parts = [*map(str, plots), _confirmed(study, curves, across, plots), _ticks(across, sizes, base), _legend(curves), _heading(study, title, table)]
    height = base + FOOT
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
            f'aria-label="share offloaded and alerts missed over table size">\n<style>{STYLE}</style>\n'
            f'<rect class="paper" width="{WIDTH}" height="{height}" rx="12"/>\n' + "\n".join(part for part in parts if part) + "\n</svg>\n")


def _top(value: float, whole: bool = False) -> float:
    """The end of a scale of four or five steps."""
    step = nice(max(value, 4 if whole else 1e-6) / 4)
    if whole:
        step = max(1, step)
    return math.ceil(value / step) * step or step * 4


class Plot:
    """A grid and its lines."""

    def __init__(self, curves: Any, across: Axis, sizes: Sequence[int], top: int, height: int, about: str, value: Any, text: Any, most: float):
        self.up = Axis(0, most, top + height, top)
        self.value = value
        made = [f'<text x="20" y="{top - 18}" class="ink" font-size="14" font-weight="600">{about}</text>']
        step = nice(most / 5 * 0.999)
        for line in range(round(most / step) + 1):
            y = self.up(line * step)
            made.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" class="{"axis" if line == 0 else "grid"}"/>'
                        f'<text x="{LEFT - 10}" y="{y + 4}" class="soft" font-size="12" text-anchor="end">{text(line * step)}</text>')
        for _, curve, colour in reversed(curves):
            points = " ".join(f"{across(row.setting.sessions)},{self.up(value(row))}" for row in curve)
            made.append(f'<polyline points="{points}" class="line" stroke="{colour}"/>')
            for row in curve:
                made.append(f'<circle cx="{across(row.setting.sessions)}" cy="{self.up(value(row))}" r="2.75" fill="{colour}">'
                            f'<title>{escape(_about(row))}</title></circle>')
        self.text = "\n".join(made)

    def __str__(self) -> str:
        return self.text


def _about(row: Row) -> str:
    return (f"{row.setting}: {row.byte_share:.1%} of bytes, {row.packet_share:.1%} of packets, {row.missed_count:,} alerts missed, "
            f"{row.full:,} requests refused")


def _confirmed(study: Study, curves: Any, across: Axis, plots: Sequence[Any]) -> str:
    colours = {id(row): colour for _, curve, colour in curves for row in curve}
    made = []
    for one in study.confirmed:
        colour = colours.get(id(one.row))
        if colour is None:
            continue
        x = across(one.row.setting.sessions)
        for plot, value, text in ((plots[0], one.byte_share * 100, f"{one.byte_share:.1%} of bytes"),
                                  (plots[1], len(one.missed), f"{len(one.missed):,} alerts missed")):
            made.append(f'<line x1="{x}" x2="{x}" y1="{plot.up(plot.value(one.row))}" y2="{plot.up(value)}" class="stem" stroke="{colour}"/>')
            made.append(f'<circle cx="{x}" cy="{plot.up(value)}" r="6.5" class="ring" stroke="{colour}"><title>confirmed by a pass with a device: '
                        f'{text}</title></circle>')
    return "\n".join(made)


def _ticks(across: Axis, sizes: Sequence[int], base: int) -> str:
    made = []
    last = -100.0
    for size in sizes:
        x = across(size)
        made.append(f'<line x1="{x}" x2="{x}" y1="{base}" y2="{base + 5}" class="axis"/>')
        if x - last >= 44:
            made.append(f'<text x="{x}" y="{base + 21}" class="soft" font-size="12" text-anchor="middle">{_tick(size)}</text>')
            last = x
    made.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{base + 44}" class="ink" font-size="14" font-weight="600" text-anchor="middle">'
                "sessions that the table holds</text>")
    return "\n".join(made)


def _tick(size: int) -> str:
    """1024 -> 1k: a table's size, as it is asked for."""
    for unit, scale in (("M", 1 << 20), ("k", 1 << 10)):
        if size >= scale and size % scale == 0:
            return f"{size // scale}{unit}i" if size >= 16 * scale else f"{size:,}"
    return scaled(size) if size >= 100_000 else f"{size:,}"


def _legend(curves: Any) -> str:
    """A line a policy, in the order in which the curves end."""
    x, y = WIDTH - RIGHT + 28, TOP - 18
    made = [f'<text x="{x}" y="{y}" class="ink" font-size="13" font-weight="600">what is offloaded</text>']
    for policy, curve, colour in sorted(curves, key=lambda one: -one[1][-1].byte_share):
        y += 27
        last = curve[-1]
        made.append(f'<line x1="{x}" x2="{x + 18}" y1="{y - 4}" y2="{y - 4}" class="line" stroke="{colour}"/>'
                    f'<text x="{x + 27}" y="{y}" class="ink" font-size="12.5">{escape(_short(str(policy)))}</text>')
        y += 17
        made.append(f'<text x="{x + 27}" y="{y}" class="soft" font-size="12">{last.byte_share:.1%} of bytes, at most {last.missed_count:,} '
                    f'missed</text>')
    return "\n".join(made)


def _short(policy: str) -> str:
    return policy.replace("bypass+verdict", "rules").replace("+", ", ").replace("=", " ")


def _heading(study: Study, title: str, table: tuple[float | None, float, float]) -> str:
    rate, latency, timeout = table
    names = ", ".join(visible(Path(name).name, 60) for name in study.captures[:3]) + (" …" if len(study.captures) > 3 else "")
    about = (f"{scaled(study.stats['packets'], 'packets')}, {scaled(study.stats['bytes'], 'B')}, {study.alert_count:,} alerts; inserted "
             + ("at any rate" if rate is None else f"at {rate:,.0f}/s") + f", in force after {latency * 1000:g} ms, idle timeout {timeout:g} s")
    foot = "lines: simulated over the log of one pass, an upper bound for what is missed"
    if study.confirmed:
        foot += "; rings: confirmed by a pass with a real device"
    base = TOP + UPPER + GAP + LOWER
    return (f'<text x="20" y="34" class="ink" font-size="18" font-weight="650">{escape(title or f"What offloading takes, and misses: {names}")}</text>'
            f'<text x="20" y="55" class="soft" font-size="13">{escape(about)}</text>'
            f'<text x="20" y="{base + 80}" class="soft" font-size="12">{foot} · fastpath offload</text>')
