"""The scenes: each replays captures through one engine in ips mode and shows what came out."""
from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fastpath.control.columns import address_text
from fastpath.control.engine import Engine
from fastpath.control.result import Result
from fastpath.demo import BENIGN, MADE, capture, rule_files
from fastpath.outputs.terminal import console as standard_output
from fastpath.outputs.terminal import print_summary, scaled
from fastpath.outputs.visible import visible
from fastpath.rules import RuleSet
from fastpath.rules.plan import Content, RulePlan

WIDTH = 116
ROUNDS = 50
PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}
TUNNELS = {"vxlan": ("VXLAN", "VNI"), "geneve": ("GENEVE", "VNI"), "gtpu": ("GTP-U", "TEID")}
VERDICTS = {"pass": "green", "drop": "bold red"}


def tell(console: Console | None = None) -> Result:
    out = console if console is not None else standard_output()
    out.width = min(out.width, WIDTH)
    rules = RuleSet.load(rule_files())
    with Engine(rules, mode="ips") as engine:
        loaded = f"{rules.exact} rules in Suricata's language, compiled in {engine.load_seconds * 1e3:.0f} ms; inline: drop means drop"
        out.print(Panel(Text.assemble(("fastpath", "bold"), "  the inspection stage of a DPU, in software\n", (loaded, "dim")),
                        border_style="cyan"))
        benign(out, engine)
        attack(out, engine, {plan.sid: plan for plan in rules.plans})
        tunnels(out, engine)
        hostile(out, engine)
        return closing(out, engine)


# ---- the scenes ----

def benign(out: Console, engine: Engine) -> None:
    heading(out, 1, "Benign traffic passes", "Real programs, recorded between two network namespaces. When TLS has become "
            "unreadable, a rule with `bypass` takes the session off the inspectors, as a DPU would.")
    table = columns("recorded", ">packets", ">flows", ">passed", ">dropped", ">offloaded", ">alerts")
    for name, programs in BENIGN.items():
        stats = engine.replay(capture(name)).stats
        ledger = stats["ledger"]
        table.add_row(f"{name}: {programs}", *map(str, (
            stats["packets"], stats["flows"]["rows"], stats["verdicts"].get("pass", 0), ledger["dropped"]["packets"],
            ledger["offloaded"]["packets"], stats["alerts"])))
    out.print(table)


def attack(out: Console, engine: Engine, plans: dict[int, RulePlan]) -> None:
    heading(out, 2, "An attack is stopped", "A scan, then attempts on a web, an FTP, a DNS and a SIP server. A match in the stream cuts the "
            "whole flow, a match on one packet that packet; a visitor of the same web server notices nothing.")
    path = capture("attack")
    result = engine.replay(path)
    table = columns(">packet", "rule", "flow", "verdict", wraps="rule")
    for alert in result.alerts:
        table.add_row(str(alert["pcap_cnt"]), f"{alert['sid']} {visible(alert['msg'])}", ends(alert), verdict(alert["action"]))
    out.print(table)
    shown = next(alert for alert in result.alerts if alert["action"] == "drop")
    excerpt = matched(packet(path, shown["pcap_cnt"]), plans[shown["sid"]])
    out.print(Panel(excerpt, title=f"packet {shown['pcap_cnt']}: what rule {shown['sid']} found", title_align="left", border_style="red",
                    expand=False))
    table = columns("flow", ">to server", ">to client", ">dropped", "why")
    for flow in sorted(result.flows, key=lambda flow: flow["first_ordinal"]):
        if flow["pkts_toclient"] or flow["dropped_pkts"]:
            dropped = flow["dropped_pkts"]
            why = "" if not dropped else f"cut by rule {flow['sid']}" if flow["sid"] else "the packet that matched"
            table.add_row(ends(flow), str(flow["pkts_toserver"]), str(flow["pkts_toclient"]), str(dropped), why,
                          style="red" if dropped else "green")
    out.print(table)


def tunnels(out: Console, engine: Engine) -> None:
    heading(out, 3, "Tunnels are opened", "The same request goes through VXLAN, GENEVE (with an option) and GTP-U (with a PDU session "
            "container), once innocent and once with the attack. What is inside is inspected as if there were no tunnel.")
    result = engine.replay(capture("tunnels"))
    table = columns(">packet", "tunnel", "around", "inside", "verdict")
    for alert, row in zip(result.alerts, result.alerts.rows, strict=True):
        name, number = TUNNELS[alert["tunnel"]]
        table.add_row(str(alert["pcap_cnt"]), f"{name}, {number} {alert['tunnel_id']}", around(row), ends(alert), verdict(alert["action"]))
    out.print(table)
    inner = [flow for flow in result.flows if flow["tunnel"]]
    cut = sum(flow["dropped_pkts"] > 0 for flow in inner)
    out.print(f"{len(inner)} flows inside tunnels: [green]{len(inner) - cut} untouched[/], [red]{cut} cut[/]")


def hostile(out: Console, engine: Engine) -> None:
    heading(out, 4, "Hostile packets are named", "Headers that are too short, lengths that cannot be, extension headers twice. Nothing "
            "raises: a malformed packet is an event with a name, counted, and a rule may act on the name (decode-event).")
    result = engine.replay(capture("hostile"), keep=("alerts", "events", "packets"))
    names: dict[int, list[str]] = {}
    for event in result.events:
        names.setdefault(event["ordinal"], []).append(event["event"])
    first = int(result.packets["ordinal"][0])
    table = columns(">packet", "events", "ledger", "verdict", wraps="events")
    for row in result.packets:
        if row["ordinal"] in names:
            rule = f" by rule {row['sid']}" if row["action"] != "pass" and row["reason"] == "rule" else ""
            events = ", ".join(dict.fromkeys(names[row["ordinal"]]))
            table.add_row(str(row["ordinal"] - first + 1), events, row["ledger"], verdict(row["action"], rule))
    out.print(table)


def closing(out: Console, engine: Engine) -> Result:
    captures = [capture(name) for name in (*BENIGN, *MADE)]
    out.print()
    out.rule(f"[bold]Where the time goes[/], over {ROUNDS} rounds of everything", align="left", style="cyan")
    stats = engine.replay(captures * ROUNDS, keep=()).stats
    stages = {name: ns for name, ns in stats["stages"].items() if ns}
    most = max(stages.values(), default=0)
    table = columns("stage", ">ns a packet", "")
    for name, ns in stages.items():
        table.add_row(name, f"{ns / stats['packets']:,.0f}", "█" * max(1, round(24 * ns / most)))
    table.add_row("all", f"{stats['seconds'] * 1e9 / stats['packets']:,.0f}", scaled(stats["rates"]["packets_per_second"], "packets/s"))
    out.print(table)
    out.print("[dim]Captures as short as these say little about speed: fastpath bench measures your own.[/]")
    out.print()
    out.rule("[bold]Everything once more, in one run", align="left", style="cyan")
    result = engine.replay(captures)
    print_summary(out, result)
    return result


# ---- how things are shown ----

def heading(out: Console, number: int, title: str, about: str) -> None:
    out.print()
    out.rule(f"[bold]{number}  {title}", align="left", style="cyan")
    out.print(Text(about, style="dim"))
    out.print()


def columns(*names: str, wraps: str | None = None) -> Table:
    """A table with these columns; ">" before a name aligns it to the right, `wraps` is the one that gives way."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left", no_wrap=name != wraps)
    return table


def endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def ends(row: dict[str, Any]) -> str:
    if not row["src_ip"]:
        return "no address"
    return (f"{PROTOCOLS.get(row['proto'], row['proto'])} {endpoint(row['src_ip'], row['src_port'])} → "
            f"{endpoint(row['dest_ip'], row['dest_port'])}")


def around(row: Any) -> str:
    """The addresses of the packet around the one that matched; row is of rows.ALERT."""
    key, source = row["outer"], int(row["outer_reversed"])
    first, second = (address_text(int(key["net"]), key["addr"][end].tobytes()) for end in (source, 1 - source))
    return f"{first} → {second}"


def verdict(action: str, suffix: str = "") -> Text:
    return Text(action + suffix, style=VERDICTS.get(action, ""))


def packet(path: Path, number: int) -> bytes:
    """Packet `number`, from 1, of one of the demo's own captures (pcap, little-endian)."""
    data = path.read_bytes()
    at = 24
    for _ in range(number - 1):
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
    return data[at + 16:at + 16 + struct.unpack_from("<I", data, at + 8)[0]]


def matched(frame: bytes, plan: RulePlan) -> Group:
    """A hex dump of the packet around the rule's fast pattern, the pattern marked."""
    contents = [step for block in plan.blocks for step in block.steps if isinstance(step, Content) and not step.negated]
    content = max(contents, key=lambda content: (content.fast_pattern, len(content.pattern)))
    haystack, needle = (frame.lower(), content.pattern.lower()) if content.nocase else (frame, content.pattern)
    start = haystack.index(needle)
    return Group(*dump(frame, start, start + len(needle)))


def dump(frame: bytes, start: int, end: int, beside: int = 16) -> Iterator[Text]:
    """Lines of 16 bytes, from `beside` bytes before the span to as many behind it; what lies in the span is marked."""
    for at in range(max(0, start - beside) & ~15, min(len(frame), end + beside), 16):
        line, text = Text(f"{at:04x}  ", style="dim"), Text(" ")
        for index in range(at, at + 16):
            style = "bold white on red" if start <= index < end else ""
            inside = index < len(frame)
            line.append(f"{frame[index]:02x}" if inside else "  ", style)
            line.append(" ", style if index + 1 < end else "")
            text.append(chr(frame[index]) if inside and 32 <= frame[index] < 127 else "." if inside else " ", style)
        yield Text.assemble(line, text)
        under = "".join("^^ " if start <= index < end else "   " for index in range(at, at + 16))
        if under.strip():
            yield Text(" " * 6 + under.rstrip(), style="red")
