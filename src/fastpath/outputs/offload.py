"""What `fastpath offload` says, on a terminal, as JSON and as a page: what tables take, what they miss, how far that is confirmed."""
from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fastpath.offload.study import Confirmation, Row, Study
from fastpath.outputs.offload_picture import draw
from fastpath.outputs.terminal import SEVERITY, plain
from fastpath.outputs.visible import scaled, visible

RULES = 12          # of the missed alerts, that are shown
SIZES = 5           # of a policy's curve
MISSED = 500        # alerts that the page names


def print_study(out: Console, study: Study) -> None:
    """The curves, the confirmations and the missed alerts."""
    stats = study.stats
    names = ", ".join(plain(Path(name).name, 60) for name in study.captures[:3]) + (" …" if len(study.captures) > 3 else "")
    if study.partial:
        out.print("[bold yellow]interrupted: this is of what was inspected until then[/]")
    for damage in study.damages:
        out.print(f"[bold red]damaged[/] {plain(damage, 400)}")
    out.print(f"[bold]{names}[/]  {stats['packets']:,} packets, {scaled(stats['bytes'], 'B')}, {stats['flows']['rows']:,} flows, "
              f"{study.alert_count:,} alerts", soft_wrap=True)
    out.print(f"[dim]measured: one pass without a device, {study.log_seconds:.2f} s of processor time; "
              f"simulated: {len(study):,} settings over its log of {study.entries:,} rows in {study.simulation_seconds:.2f} s[/]", soft_wrap=True)
    table = study.settings[0].table
    out.print()
    out.print(_curves(study, table))
    out.print(_others(study))
    for number, one in enumerate(study.confirmed, 1):
        out.print()
        _print_confirmation(out, study, one, number)
    out.print()
    _print_missed(out, study, *worst(study))


def _rate(rate: float | None) -> str:
    return "any rate" if rate is None else f"{scaled(rate)}/s"


def _curves(study: Study, table: tuple[float | None, float, float]) -> Table:
    rate, latency, timeout = table
    shown = Table(title=f"inserted at {_rate(rate)}, in force after {latency * 1000:g} ms, idle timeout {timeout:g} s", title_justify="left",
                  title_style="bold", box=None, header_style="dim", pad_edge=False)
    for name in ("offloaded on request of", "table", "packets", "bytes", "sessions", "table full", "time saved", "missed, at most"):
        shown.add_column(name, justify="left" if name.startswith("off") else "right", no_wrap=True)
    for requests in dict.fromkeys(setting.requests for setting in study.settings):
        for at, row in enumerate(_thinned(study.curve(requests, table))):
            missed = f"[bold red]{row.missed_count:,}[/]" if row.missed_count else "[green]0[/]"
            shown.add_row(str(requests) if at == 0 else "", f"{row.setting.sessions:,}", f"{row.packet_share:.1%}", f"{row.byte_share:.1%}",
                          f"{row.inserted:,}", f"{row.full:,}" if row.full else "[dim]0[/]", f"{row.saved:.1%}", missed)
    return shown


def _thinned(curve: list[Row]) -> list[Row]:
    """Where the curve changes, evenly, its ends among them."""
    end = next((at for at, row in enumerate(curve) if (row.packets, row.full, row.missed_count)
                == (curve[-1].packets, curve[-1].full, curve[-1].missed_count)), len(curve) - 1)
    curve = curve[:end + 1]
    if len(curve) <= SIZES:
        return curve
    return [curve[round(at * (len(curve) - 1) / (SIZES - 1))] for at in range(SIZES)]


def _others(study: Study) -> str:
    """A line on what the fixed parts of the setting are worth."""
    said = []
    best: dict[tuple[float | None, float, float], Row] = {}
    for row in study.rows:
        if row.setting.table not in best or row.bytes > best[row.setting.table].bytes:
            best[row.setting.table] = row
    if len(best) > 1:
        low, high = (pick(best.values(), key=lambda row: row.bytes) for pick in (min, max))
        for word, row in (("most", high), ("least", low)):
            rate, latency, timeout = row.setting.table
            said.append(f"{word} {row.byte_share:.1%} of bytes ({_rate(rate)}, {latency * 1000:g} ms, {timeout:g} s)")
    return f"[dim]of {len(best)} combinations of rate, latency and timeout, at best: {'; '.join(said)}. --json has all[/]" if said else ""


def _print_confirmation(out: Console, study: Study, one: Confirmation, number: int) -> None:
    row = one.row
    out.print(f"[bold]confirmed {number}: {row.setting}[/]", soft_wrap=True)
    shown = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("", "packets", "bytes", "sessions", "table full", "time saved", "alerts missed"):
        shown.add_column(name, justify="right" if name else "left", no_wrap=True)
    shown.add_row("simulated", f"{row.packets:,}", f"{row.bytes:,}", f"{row.inserted:,}", f"{row.full:,}", f"{row.saved:.1%} projected",
                  f"{row.missed_count:,}")
    shown.add_row("a real pass", f"{one.packets:,}", f"{one.bytes:,}", f"{one.inserted:,}", f"{one.full:,}", "too short" if one.saved is None else f"{one.saved:.1%} measured", f"{len(one.missed):,}")
    out.print(shown)
    said = []
    if one.only_simulated:
        said.append(f"{len(one.only_simulated):,} that the simulation held missed were raised all the same{_named(study, one.only_simulated)}")
    if one.only_confirmed:
        said.append(f"{len(one.only_confirmed):,} more were missed than simulated{_named(study, one.only_confirmed)}")
    if one.anew:
        rules = dict.fromkeys(f"{alert.gid}:{alert.sid}" for alert in one.anew)
        said.append(f"{len(one.anew):,} were raised that the pass without a device does not raise (rules {', '.join(list(rules)[:5])})")
    for line in said or ["the same alerts, one by one"]:
        out.print(f"  [dim]{'differs' if said else 'agrees'}:[/] {line}", soft_wrap=True)


def _named(study: Study, indices: Sequence[int]) -> str:
    rules = dict.fromkeys(f"{alert.gid}:{alert.sid}" for alert in map(study.alert, indices[:200]))
    return f" (rules {', '.join(list(rules)[:5])}{' …' if len(rules) > 5 else ''})"


def _print_missed(out: Console, study: Study, missed: Sequence[int], of: str) -> None:
    if not missed:
        out.print(f"[green]no alert is missed[/]: {of}")
        return
    rules = study.by_rule(missed)
    out.print(f"[bold]{len(missed):,} alerts missed by {len(rules):,} rules[/]: {of}", soft_wrap=True)
    shown = Table(box=None, header_style="dim", pad_edge=False)
    for name, right in (("missed", True), ("flows", True), ("rule", True), ("message", False), ("one of the flows", False)):
        shown.add_column(name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for rule in rules[:RULES]:
        style = SEVERITY.get(rule["severity"], "")
        one = rule["example"]
        message = plain(rule["msg"])
        shown.add_row(f"{rule['alerts']:,}", f"{rule['flows']:,}", f"{rule['gid']}:{rule['sid']}", f"[{style}]{message}[/]" if style else message,
                      f"{one.flow} {plain(one.src)} → {plain(one.dest)}")
    out.print(shown)
    if len(rules) > RULES:
        out.print(f"[dim]and {len(rules) - RULES:,} rules more; --json names every alert with its flow[/]")


def as_json(study: Study) -> bytes:
    import msgspec
    made: Any = study.as_dict()
    return msgspec.json.format(msgspec.json.encode(made)) + b"\n"


def page(study: Study) -> str:
    """Everything as one HTML file, made with Jinja2 (the extra `report`)."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from fastpath import __version__
    from fastpath.outputs.report import count

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"count": count, "scaled": scaled, "visible": visible, "percent": lambda share: f"{share:.1%}"}
    missed, of = worst(study)
    return environment.from_string(files("fastpath.outputs").joinpath("offload.html").read_text(encoding="utf-8")).render(
        study=study, captures=[visible(name, 200) for name in study.captures], picture=Markup(draw(study)), missed=[study.alert(one) for one in missed],
        of=of, most=MISSED, version=__version__)


def worst(study: Study) -> tuple[list[int], str]:
    """The missed alerts that are named, and of which setting they are."""
    if study.confirmed:
        one = max(study.confirmed, key=lambda one: len(one.missed))
        return one.missed, f"confirmed, with {one.row.setting}"
    row = max(study.rows, key=lambda row: row.missed_count)
    return row.missed, f"simulated, with {row.setting}"


def write_files(out: Console, study: Study, *, json: Path | None, picture: Path | None, report: Path | None) -> None:
    """What the options ask for. OSError where a file cannot be written."""
    for path, made in ((json, as_json), (picture, lambda study: draw(study).encode()), (report, lambda study: page(study).encode())):
        if path is not None:
            path.write_bytes(made(study))
            out.print(f"{plain(path, 400)} written")
