"""One workload's story, in the order of time: what it spoke and with whom, what it asked for and moved, what rules and policy said of
it, and when it was cut off. Made of EVE events, so that it says what EVE says, under the same names, masks and pseudonyms."""
from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from fastpath.outputs.eve import EVENTS, EveWriter
from fastpath.outputs.terminal import plain

MOMENTS = 100_000           # that are kept
SHOWN = 500                 # that are printed, the first and the last
STYLES = {"alert": "yellow", "blocked": "bold red", "policy": "red", "isolation": "bold red", "anomaly": "dim", "model": "cyan", "llm": "cyan"}
EVERYDAY = frozenset(("stats", "inventory", "roce"))      # told of at the end, not of a moment


class Timeline:
    """`sink` takes the rows of a run; then `moments` are those of the host. Raises ValueError for what is no address."""

    def __init__(self, host: str, mode: str = "ids"):
        try:
            self.host = str(ipaddress.ip_address(host))
        except ValueError:
            raise ValueError(f"--timeline takes an address, not {host!r}") from None
        self.moments: list[dict[str, Any]] = []
        self.left_out = 0
        self.sink = EveWriter(self, set(EVENTS) - EVERYDAY, mode)      # type: ignore[arg-type]

    # what EveWriter writes to

    def write(self, lines: bytes) -> None:
        for line in lines.splitlines():
            if self.host.encode() not in line:
                continue
            event = msgspec.json.decode(line)
            if self.host not in (event.get("src_ip"), event.get("dest_ip"), event.get("isolation", {}).get("workload")):
                continue
            if len(self.moments) == MOMENTS:
                self.left_out += 1
            else:
                self.moments.append(event)

    def flush(self) -> None:
        pass

    def rows(self, kinds: Collection[str] = ()) -> list[tuple[str, str, str, str]]:
        """Of these kinds, or of all: (time, what kind, with whom, in words), by time; what repeats itself with the same peer is one row, counted."""
        made: list[list[Any]] = []
        latest: dict[tuple[str, str, str], list[Any]] = {}
        for time, kind, peer, said in sorted(_moment(event, self.host) for event in self.moments):
            if kinds and kind not in kinds:
                continue
            row = latest.get((kind, peer, said))
            if row is not None:
                row[4] += 1
                continue
            made.append([time, kind, peer, said, 1])
            latest[kind, peer, said] = made[-1]
        return [(time, kind, peer, said + (f" ({count:,} times)" if count > 1 else "")) for time, kind, peer, said, count in made]


def _moment(event: dict[str, Any], host: str) -> tuple[str, str, str, str]:
    kind = event["event_type"]
    out = event.get("src_ip") == host
    peer = event.get("dest_ip" if out else "src_ip", "")
    at = f"{'→' if out else '←'} {peer}" if peer and peer != host else ""
    if kind == "flow":
        return (event["flow"]["start"], "flow", at, " ".join(filter(None, (
            event.get("proto", ""), event.get("app_proto", ""), f"port {event['dest_port']}" if "dest_port" in event else ""))))
    if kind == "alert":
        alert = event["alert"]
        return event["timestamp"], "blocked" if alert["action"] == "blocked" else "alert", at, f"{alert['signature']} [{alert['gid']}:{alert['signature_id']}]"
    return event["timestamp"], kind, at, _said(kind, event.get(kind, {}))


def _said(kind: str, told: Any) -> str:
    """An event in a few words."""
    if kind == "http":
        return " ".join(str(told[name]) for name in ("http_method", "hostname", "url", "status") if name in told)
    if kind == "tls":
        return f"{told.get('sni', 'no name')} {told.get('version', '')}".strip()
    if kind == "dns":
        return " ".join(filter(None, (told.get("type", ""), told.get("rrtype", ""), told.get("rrname", ""), told.get("rcode", ""))))
    if kind == "fileinfo":
        return f"{told.get('filename') or 'a file'}, {told.get('size', 0):,} bytes"
    if kind == "policy":
        return f"{told['action']}: {told.get('name') or told['why']} ({', '.join(told['from'])} to {', '.join(told['to'])})"
    if kind == "isolation":
        return " ".join(filter(None, (told["action"], f"until {told['until']}" if "until" in told else "", told.get("why", ""),
                                      f"standby {told['standby']}" if "standby" in told else "")))
    if kind == "anomaly":
        return told.get("event", "")
    if isinstance(told, dict):
        return ", ".join(f"{name} {value}" for name, value in told.items() if isinstance(value, (str, int)) and value not in ("", 0))[:200]
    return ""


def print_timeline(out: Console, timeline: Timeline, kinds: Collection[str] = ()) -> None:
    rows = timeline.rows(kinds)
    table = Table(title=f"{timeline.host}: {len(rows):,} moments", title_justify="left", title_style="bold", box=None, header_style="dim",
                  pad_edge=False)
    for name in ("time", "what", "with", ""):
        table.add_column(name, no_wrap=name != "", overflow="ellipsis" if name != "" else "fold")
    left = len(rows) - SHOWN
    for time, kind, peer, said in _ends(rows):
        style = STYLES.get(kind, "")
        table.add_row(plain(time[:23].replace("T", " ")), f"[{style}]{kind}[/]" if style else kind, plain(peer), plain(said, 400))
    out.print(table)
    if left > 0:
        out.print(f"[dim]{left:,} moments in between are left out[/]")
    if timeline.left_out:
        out.print(f"[dim]and {timeline.left_out:,} events beyond the {MOMENTS:,} that are kept[/]")


def _ends(rows: list[tuple[str, str, str, str]]) -> Iterable[tuple[str, str, str, str]]:
    return rows if len(rows) <= SHOWN else [*rows[:SHOWN // 2], *rows[-SHOWN // 2:]]
