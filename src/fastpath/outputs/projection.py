"""What `fastpath project` says on a terminal: what was measured here, and what follows from it for more cores and higher rates."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fastpath.offload.projection import CORES, CORES_MAX, FORMULAS, INGEST, RATES, SYMBOLS, WORKER, Projection
from fastpath.outputs.terminal import plain
from fastpath.outputs.visible import scaled


def print_projection(out: Console, made: Projection, checked: list[dict[str, float]] | None = None) -> None:
    names = ", ".join(plain(Path(name).name, 60) for name in made.captures[:3]) + (" …" if len(made.captures) > 3 else "")
    out.print(f"[bold]{names}[/]  {made.packets:,} packets of {made.mean_bytes:,.0f} bytes, {made.flows:,} flows, {made.alerts:,} alerts", soft_wrap=True)
    if made.calibration:
        out.print(f"projected on [bold]{plain(made.calibration[0])}[/]: a packet takes {made.calibration[1]:g} times as long as here", soft_wrap=True)
    if made.setting is not None:
        out.print(f"offloaded, [bold]simulated[/] with {made.setting}: {made.packet_share:.1%} of packets, {made.time_share:.1%} of the inspectors' time", soft_wrap=True)
    out.print()
    out.print(_stages(made))
    out.print()
    out.print(_cores(made))
    out.print()
    out.print(_rates(made))
    out.print()
    out.print(_queueing(made))
    if checked:
        out.print()
        out.print(_checked(checked))
    out.print()
    for name, formula in FORMULAS.items():
        out.print(f"[dim]{name}:[/] {formula}", soft_wrap=True)
    for name, about in SYMBOLS.items():
        out.print(f"[dim]  {name}: {about}[/]", soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
    for at, name in enumerate(columns):
        made.add_column(name, justify="right" if at else "left", no_wrap=True)
    return made


def _stages(made: Projection) -> Table:
    after = made.stage_costs()
    shown = _table("ns a packet, one core", "stage", "measured", "projected, after offload" + (f", on {plain(made.calibration[0], 40)}" if made.calibration else ""), "")
    for name in (*INGEST[:-1], *WORKER, INGEST[-1]):
        shown.add_row(name, f"{made.stages[name]:,.1f}", f"{after[name]:,.1f}", "[bold]binds[/]" if name == made.binds else "")
    shown.add_row("[bold]all[/]", f"[bold]{sum(made.stages.values()):,.1f}[/]", f"[bold]{made.cost:,.1f}[/]", f"[dim]passes: {made.spread[0]:,.0f} to {made.spread[1]:,.0f}[/]")
    return shown


def _cores(made: Projection) -> Table:
    shown = _table("projected: with these flows", "cores", "busiest has", "even", "packets/s", "bits/s")
    for cores in CORES:
        shown.add_row(str(cores), f"{made.share(cores):.2%}", f"[dim]{1 / cores:.2%}[/]", scaled(made.packets_a_second(cores)), scaled(made.bits_a_second(cores), "bit/s"))
    return shown


def _rates(made: Projection) -> Table:
    shown = _table("projected: cores for a rate on the wire", "rate", "evenly loaded", "with these flows alone")
    for rate in RATES:
        even, cores = made.cores_for(rate)
        shown.add_row(scaled(rate, "bit/s"), f"{even:,.1f}", f"{cores:,}" if cores is not None else f"[dim]more than {CORES_MAX:,}: one flow outgrows a core[/]")
    return shown


def _queueing(made: Projection) -> Table:
    rows: list[dict[str, Any]] = made.queueing(2)
    depths = list(dict.fromkeys(row["depth"] for row in rows))
    shown = _table("simulated: packets lost by two cores, by load and ring", "load", *(f"{depth:,} packets" for depth in depths))
    for load in dict.fromkeys(row["load"] for row in rows):
        shown.add_row(f"{load:.0%}", *(f"{row['loss']:.2%}" for row in rows if row["load"] == load))
    return shown


def _checked(rows: list[dict[str, float]]) -> Table:
    shown = _table(f"measured: two live engines, rings of {rows[0]['depth']:,.0f} packets, {rows[0]['service_ns']:,.0f} ns a packet from Python", "load", "lost, simulated", "lost, live")
    for row in rows:
        shown.add_row(f"{row['load']:.0%}", f"{row['simulated']:.2%}", f"{row['live']:.2%}")
    return shown


def as_json(made: Projection, checked: list[dict[str, float]] | None = None) -> bytes:
    import msgspec
    return msgspec.json.format(msgspec.json.encode(made.as_dict() | {"live_check": {"how": "measured", "rows": checked} if checked else None})) + b"\n"
