"""What `fastpath diff` says: on a terminal, as JSON, as Parquet."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from fastpath.control.diff import Change, Diff, Flow, rows_of
from fastpath.outputs.terminal import SEVERITY, plain
from fastpath.outputs.visible import scaled

CHANGES = 25        # of a kind, that are shown
#: Heading, its style, and what is counted, by kind.
TITLES = {"dropped": ("newly dropped", "bold red", "packets"), "allowed": ("newly allowed", "bold yellow", "packets"),
          "alerted": ("newly alerted", "bold cyan", "alerts"), "silent": ("no longer alerted", "bold magenta", "alerts")}
SCHEMA = {"kind": "string", "what": "string", "name": "string", "gid": "uint32", "sid": "uint32", "rev": "uint32", "msg": "string",
          "severity": "uint8", "flow": "string", "proto": "uint8", "src": "string", "dest": "string", "capture": "string",
          "packet": "uint64", "ts": "timestamp", "count": "uint64", "bytes": "uint64"}


def print_diff(out: Console, found: Diff) -> None:
    """What was compared, then a table a kind, then one line that sums it up."""
    old, new = found.stats
    if found.partial:
        out.print("[bold yellow]interrupted: this is of what was inspected until then[/]")
    for damage in found.damages:
        out.print(f"[bold red]damaged[/] {plain(damage, 400)}")
    names = ", ".join(plain(name, 60) for name in found.captures[:3]) + (" …" if len(found.captures) > 3 else "")
    out.print(f"[bold]{names}[/]  {old['packets']:,} packets, {scaled(old['bytes'], 'B')}, {old['flows']['rows']:,} flows, "
              f"as {'inline (ips)' if found.mode == 'ips' else 'watched (ids)'}", soft_wrap=True)
    sets = found.sets
    out.print(f"[bold]rules[/]   {sets.old:,} old, {sets.new:,} new: [green]+{len(sets.added):,}[/] [red]-{len(sets.removed):,}[/] "
              f"[yellow]~{len(sets.revised):,}[/]", soft_wrap=True)
    out.print(f"[bold]alerts[/]  {old['alerts']:,} → {new['alerts']:,}    [bold]dropped[/] {sum(old['drops'].values()):,} → "
              f"{sum(new['drops'].values()):,} packets", soft_wrap=True)
    for kind in TITLES:
        changes = found.of(kind)
        if changes:
            out.print()
            out.print(_table(kind, changes))
            if len(changes) > CHANGES:
                out.print(f"[dim]and {len(changes) - CHANGES:,} more[/]")
    out.print()
    out.print(_sum(found), soft_wrap=True)


def _sum(found: Diff) -> str:
    if not found:
        return "[bold green]no difference[/]: every packet has the same verdict, every flow the same alerts"
    said = []
    for kind, (title, style, unit) in TITLES.items():
        changes = found.of(kind)
        if changes:
            said.append(f"[{style}]{title}[/] {sum(one.count for one in changes):,} {unit} in "
                        f"{sum(one.flow_count for one in changes):,} flows by {len(changes):,} {'rule' if len(changes) == 1 else 'rules'}")
    return "; ".join(said)


def _table(kind: str, changes: list[Change]) -> Table:
    title, style, unit = TITLES[kind]
    shown = [(f"{one.flow_count:,}", f"{one.count:,}", _who(one), one) for one in changes[:CHANGES]]
    table = Table(title=title, title_justify="left", title_style=style, box=None, header_style="dim", pad_edge=False)
    for at, name in enumerate(("flows", unit)):
        table.add_column(name, justify="right", no_wrap=True, min_width=max(len(name), *(len(row[at]) for row in shown)))
    table.add_column("by", no_wrap=True, min_width=max(len(row[2]) for row in shown))
    table.add_column("message", overflow="ellipsis", no_wrap=True)
    examples = [_ends(one.flows[0]) if one.flows else "" for *_, one in shown]
    table.add_column("for example", no_wrap=True, style="dim", min_width=min(48, max(map(len, examples))), overflow="ellipsis")
    table.add_column("packet", justify="right", no_wrap=True, style="dim", min_width=6)
    for (flows, count, who, change), example in zip(shown, examples, strict=True):
        colour = SEVERITY.get(change.severity, "")
        message = f"[{colour}]{plain(change.msg)}[/]" if colour and change.msg else plain(change.msg)
        packet = f"{change.flows[0].packet:,}" if change.flows and change.flows[0].packet else "end"
        table.add_row(flows, count, plain(who), message, plain(example), packet)
    return table


def _ends(flow: Flow) -> str:
    return f"{flow.src} → {flow.dest}" if flow.src else "no flow"


def _who(change: Change) -> str:
    return f"policy {change.name}" if change.what == "policy" else change.name


def as_json(found: Diff) -> bytes:
    return msgspec.json.format(msgspec.json.encode(found.as_dict())) + b"\n"


def write_parquet(found: Diff, path: Path) -> None:
    """One row for each flow of each change. ImportError without pyarrow."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ImportError("Parquet needs pyarrow: pip install 'fastpath-dpu[parquet]'") from None
    types: dict[str, Any] = {name: pyarrow.timestamp("ns", "UTC") if kind == "timestamp" else pyarrow.type_for_alias(kind)
                             for name, kind in SCHEMA.items()}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows_of(found)), schema=pyarrow.schema(list(types.items()))), path)
