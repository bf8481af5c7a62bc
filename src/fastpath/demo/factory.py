"""The day of an AI factory, as `fastpath demo --ai` tells it: one run over captures of real servers (pcaps/record_ai.py), inline, with the
pack ai_factory, two house rules, a policy, a manifest of models, and the secrets of the TLS sessions. Every number is taken from the run."""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from fastpath.control.engine import Engine
from fastpath.control.manifest import Manifest
from fastpath.control.policy import Policy
from fastpath.control.reload import Order
from fastpath.control.result import Result
from fastpath.demo.story import WIDTH, columns, heading, verdict
from fastpath.outputs.terminal import console as standard_output
from fastpath.outputs.terminal import print_inventory, print_summary
from fastpath.outputs.timeline import Timeline, print_timeline
from fastpath.outputs.visible import visible
from fastpath.rules import RuleSet

HERE = Path(__file__).parent / "ai"
DAY = ("exfiltration", "chat", "flood", "cluster", "registry")
SUSPECT = "10.20.0.4"
#: How a security lead calls the workloads of the recording.
WHO = {"10.20.0.2": "the trainer", "10.20.0.3": "the agent", SUSPECT: "a laptop", "10.20.0.1": "the chat server", "10.20.0.10": "the model registry",
       "10.20.0.11": "the cluster", "203.0.113.5": "a server outside"}


@dataclass(frozen=True, slots=True)
class Day:
    """What a run over the day has given."""
    result: Result
    orders: tuple[Order, ...]
    timeline: Timeline


def run_day(**options: Any) -> Day:
    """options: of the Engine."""
    rules = RuleSet.load([HERE / "factory.rules"], packs=["ai_factory"], texts=Manifest.load(HERE / "manifest.yaml").texts(),
                         variables={"HOME_NET": "10.20.0.0/24"})
    timeline = Timeline(SUSPECT, "ips")
    with Engine(rules, policy=Policy.load(HERE / "policy.yaml"), mode="ips", keylog=[HERE / "chat.keylog"], models=True, **options) as engine:
        result = engine.replay([HERE / f"{name}.pcap" for name in DAY], continuous=True, keep=("alerts", "flows", "packets"),
                               sinks=(timeline.sink,))
        return Day(result, tuple(one for one in engine.orders if one.isolation is not None), timeline)


def tell_factory(console: Console | None = None) -> Day:
    out = console if console is not None else standard_output()
    out.width = min(out.width, WIDTH)
    out.print(Panel(Text.assemble(("fastpath", "bold"), "  one day of an AI factory\n", (
        "LiteLLM, MLflow, Ray, Chroma, Jupyter and an MCP server, recorded; inspected inline: drop means drop", "dim")), border_style="cyan"))
    day = run_day()
    inventory(out, day.result)
    prompts(out, day.result)
    weights(out, day.result)
    poisoned(out, day.result)
    flood(out, day.result)
    isolated(out, day)
    out.print()
    out.rule("[bold]The day in numbers", align="left", style="cyan")
    print_summary(out, day.result)
    return day


# ---- the scenes ----

def inventory(out: Console, result: Result) -> None:
    heading(out, 1, "What AI runs here, and who uses it", "Nobody has written this list: the servers gave themselves away by what they "
            "answered, on whatever port. The policy says what is thought of each.")
    print_inventory(out, result.inventory)


def prompts(out: Console, result: Result) -> None:
    stats = result.stats
    opened, sealed = stats["decryption"], stats["uninspected"]
    heading(out, 2, "What is said to the models, inside TLS", f"The keys of {opened['sessions']} TLS sessions are known here: {opened['bytes']:,} bytes "
            f"were opened and inspected like any others; " + (f"{sealed['bytes']:,} bytes ({sealed['share']:.0%} of all) could not be looked into, and are "
            "not called clean." if sealed["bytes"] else "nothing encrypted was left unread."))
    table = columns("what a prompt tried", "who", "seen in", "verdict", wraps="what a prompt tried")
    for alert in _of(result, "AI factory prompt"):
        table.add_row(_short(alert), who(alert["src_ip"]), "decrypted TLS" if alert["decrypted"] else alert["app_proto"], verdict(alert["action"]))
    out.print(table)
    table = columns("client", "model", ">questions", ">prompt bytes", ">answer bytes")
    for talker in result.llm:
        table.add_row(who(talker.client), visible(talker.model) or "tools (MCP)", f"{talker.requests:,}", f"{talker.prompt_bytes:,}",
                      f"{talker.response_bytes:,}")
    out.print()
    out.print(table)


def weights(out: Console, result: Result) -> None:
    heading(out, 3, "Weights that leave are stopped", "The file calls itself a picture. Its first bytes say safetensors, and the policy says that "
            "weights stay: from the packet that showed it, the flow is cut. A note to the same server went out before, untouched.")
    table = columns("file", "what it is", "from", "to", ">bytes seen", ">bytes that left")
    for model in result.models:
        if model.server == "203.0.113.5":
            table.add_row(visible(model.name), model.format, who(model.client), who(model.server), f"{model.size:,}",
                          f"{let_through(result, model.flow):,}")
    out.print(table)
    for line in result.stats["policy"]["lines"]:
        if line["denied"]:
            out.print(f"policy line [bold]{visible(line['name'])}[/]: [red]{line['denied']} packets denied[/]")


def poisoned(out: Console, result: Result) -> None:
    heading(out, 4, "A poisoned model is stopped", "A pickle is put in the place of one that was approved. Its opcodes call the system when "
            "it is loaded; its hash is not the manifest's; its writer is not allowed to write. Nobody opened it to find that out.")
    table = columns("file", "by", "calls", "sha256", wraps="file")
    for model in result.models:
        if model.unsafe:
            table.add_row(visible(model.name), who(model.client), visible(", ".join(one.partition(" ")[2] for one in model.unsafe)), model.sha256[:16])
    out.print(table)
    table = columns("what was found", "who", "verdict", wraps="what was found")
    for alert in result.alerts:
        if alert["sid"] in (9_900_001, 9_900_003) or "manifest" in alert["msg"]:
            table.add_row(_short(alert), who(alert["src_ip"]), verdict(alert["action"]))
    out.print()
    out.print(table)


def flood(out: Console, result: Result) -> None:
    blocked = Counter(who(alert["src_ip"]) for alert in result.alerts if alert["sid"] == 9_900_002)
    asked = {talker.client: talker.requests for talker in result.llm if talker.model}
    heading(out, 5, "A flood of questions is throttled", "The rule counts questions by who asks, over whatever connections: twenty in ten seconds "
            "pass, the rest is dropped, and others go on asking.")
    table = columns("client", ">questions", ">dropped")
    for client in sorted(asked):
        table.add_row(who(client), f"{asked[client]:,}", f"{blocked[who(client)]:,}", style="red" if blocked[who(client)] else "green")
    out.print(table)


def isolated(out: Console, day: Day) -> None:
    cut = sum(1 for row in day.result.packets if row["reason"] == "isolated")
    heading(out, 6, "A workload is isolated", "The rule that found the poisoned model cuts its sender off, for eight hours and for every connection, and "
            "names the standby to restore. This is the story for the investigation.")
    for order in day.orders:
        isolation = order.isolation
        if isolation is not None:
            out.print(f"[bold red]{order.kind}[/] {who(isolation.workload)} ({isolation.workload}) from packet {order.ordinal} on: {visible(isolation.why)}; "
                      f"standby [bold]{visible(isolation.standby)}[/]; [red]{cut} packets dropped[/] since")
    out.print()
    print_timeline(out, day.timeline, ("alert", "blocked", "policy", "isolation", "tls"))


def let_through(result: Result, flow: int) -> int:
    """Bytes of a flow's packets that passed after its first one was dropped."""
    rows = [row for row in result.packets if row["flow"] == flow]
    first = next((at for at, row in enumerate(rows) if row["action"] == "drop"), 0)
    return sum(int(row["wirelen"]) for row in rows[first:] if row["action"] != "drop")


# ---- how things are called ----

def who(address: str) -> str:
    return WHO.get(address, address)


def _short(alert: dict[str, Any]) -> str:
    """A message without the name of its pack."""
    return visible(alert["msg"]).removeprefix("AI factory ")


def _of(result: Result, begin: str) -> list[dict[str, Any]]:
    return [alert for alert in result.alerts if alert["msg"].startswith(begin)]
