"""What `replay` and `rules check` say on a terminal: alerts by rule, the ledger, the rates, the digest."""
from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fastpath.control.bindings import segment_text
from fastpath.control.inventory import Item
from fastpath.control.llm import Talker
from fastpath.control.models import Model
from fastpath.control.result import Result
from fastpath.control.stats import EXCEPTIONS
from fastpath.outputs.visible import scaled, visible

ALERTS = 40         # rules that the table shows
WIDE = 110          # columns of a terminal from which on the class is shown
SERVICES = 40       # of the inventory
QUEUE_PAIRS = 20
TALKERS = 10        # of those who talk to models
MODELS = 40
REFUSALS = 20       # refused rules that are shown without -v
SEVERITY = {1: "bold red", 2: "yellow", 3: "cyan"}


def console(stderr: bool = False) -> Console:
    """The standard stream; wide where it is no terminal, so that nothing is cut."""
    made = Console(stderr=stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=200)


def plain(text: object, limit: int = 200) -> str:
    """Hostile text for rich: neither markup nor control characters."""
    return escape(visible(text, limit))


def print_alerts(out: Console, result: Result) -> None:
    """A line a rule, most alerts first."""
    rules = [rule for rule in result.stats["rules"] if rule["alerts"]]
    if not rules:
        out.print("no alerts")
        return
    table = Table(title=f"{result.stats['alerts']:,} alerts by {len(rules):,} rules", title_justify="left", title_style="bold", box=None,
                  header_style="dim", pad_edge=False)
    wide = out.width >= WIDE
    shown = [(f"{rule['alerts']:,}", f"{rule['gid']}:{rule['sid']}:{rule['rev']}", rule) for rule in rules[:ALERTS]]
    table.add_column("alerts", justify="right", no_wrap=True, min_width=max(6, *(len(alerts) for alerts, _, _ in shown)))
    table.add_column("rule", justify="right", no_wrap=True, min_width=max(len(name) for _, name, _ in shown))
    table.add_column("message", overflow="ellipsis", no_wrap=True)
    if wide:
        table.add_column("class", overflow="ellipsis", no_wrap=True, style="dim")
    for alerts, name, rule in shown:
        style = SEVERITY.get(rule["severity"], "")
        message = f"[{style}]{plain(rule['msg'])}[/]" if style else plain(rule["msg"])
        table.add_row(alerts, name, message, *([plain(rule["category"])] if wide else []))
    out.print(table)
    if len(rules) > ALERTS:
        out.print(f"[dim]and {len(rules) - ALERTS:,} rules more[/]")


def print_inventory(out: Console, items: list[Item]) -> None:
    """What rules with `inventory` have found: a line for each service, its workloads and peers counted."""
    if not items:
        return
    by_service: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        by_service.setdefault((item.kind, item.service), []).append(item)
    table = Table(title=f"inventory: {len(by_service):,} services", title_justify="left", title_style="bold", box=None, header_style="dim",
                  pad_edge=False)
    listed, told = any(item.status for item in items), any(item.version for item in items)
    for name, justify in (("service", "left"), *([("version", "left")] if told else []), ("kind", "left"), *([("policy", "left")] if listed else []),
                          ("by", "left"), ("used from", "left"), ("peers", "right"), ("flows", "right"), ("sent", "right"),
                          ("received", "right")):
        table.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis", min_width=len(name))
    for (kind, service), found in list(by_service.items())[:SERVICES]:
        workloads = list(dict.fromkeys(item.workload for item in found))
        status = ", ".join(sorted({item.status or "unlisted" for item in found}))
        versions = plain(", ".join(sorted({item.version for item in found if item.version})))
        table.add_row(plain(service), *([versions] if told else []), plain(kind),
                      *([f"[red]{status}[/]" if "forbidden" in status else status] if listed else []), plain(", ".join(sorted({item.by for item in found}))),
                      plain(workloads[0]) + (f" +{len(workloads) - 1:,}" if len(workloads) > 1 else ""),
                      f"{len({(item.peer, item.port) for item in found}):,}", f"{sum(item.flows for item in found):,}",
                      f"{sum(item.bytes_out for item in found):,}", f"{sum(item.bytes_in for item in found):,}")
    out.print(table)
    if len(by_service) > SERVICES:
        out.print(f"[dim]and {len(by_service) - SERVICES:,} services more[/]")


def print_queue_pairs(out: Console, pairs: list[dict[str, Any]]) -> None:
    """RoCE by queue pair: those seen in another segment than their first, then those that carried most."""
    if not pairs:
        return
    table = Table(title=f"RoCE: {len(pairs):,} queue pairs", title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
    for name, justify in (("to", "left"), ("pair", "right"), ("segment", "left"), ("packets", "right"), ("bytes", "right"), ("opcodes", "left"),
                          ("elsewhere", "left")):
        table.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis")
    shown = sorted(pairs, key=lambda pair: (not pair["foreign"], -pair["bytes"]))[:QUEUE_PAIRS]
    for pair in shown:
        elsewhere = f"[red]{pair['foreign']:,} in {plain(segment_text(pair['elsewhere']))}[/]" if pair["foreign"] else ""
        table.add_row(pair["address"], f"{pair['queue_pair']:,}", plain(segment_text(pair["segment"])), f"{pair['packets']:,}", f"{pair['bytes']:,}",
                      ", ".join(f"{name} {count:,}" for name, count in pair["opcodes"].items()), elsewhere)
    out.print(table)
    if len(pairs) > len(shown):
        out.print(f"[dim]and {len(pairs) - len(shown):,} queue pairs more[/]")


def print_talkers(out: Console, talkers: list[Talker]) -> None:
    """Who talked to language models: a line for each client, API key and model, most prompt bytes first."""
    if not talkers:
        return
    table = Table(title=f"language models: {sum(each.requests for each in talkers):,} requests", title_justify="left", title_style="bold",
                  box=None, header_style="dim", pad_edge=False)
    for name, justify in (("client", "left"), ("key", "left"), ("model", "left"), ("requests", "right"), ("streamed", "right"),
                          ("prompt bytes", "right"), ("response bytes", "right")):
        table.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis")
    for each in talkers[:TALKERS]:
        table.add_row(plain(each.client), each.key or "-", plain(each.model) or "-", f"{each.requests:,}", f"{each.streamed:,}",
                      f"{each.prompt_bytes:,}", f"{each.response_bytes:,}")
    out.print(table)
    if len(talkers) > TALKERS:
        out.print(f"[dim]and {len(talkers) - TALKERS:,} more[/]")


def print_models(out: Console, models: list[Model]) -> None:
    """The model files that were seen, those that are not safe to load first."""
    if not models:
        return
    table = Table(title=f"models: {len(models):,}", title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
    for name, justify in (("name", "left"), ("format", "left"), ("bytes", "right"), ("from", "left"), ("to", "left"), ("sha256", "left"),
                          ("unsafe", "left")):
        table.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis")
    for model in sorted(models, key=lambda one: not one.unsafe)[:MODELS]:
        ends = (model.client, model.server) if model.upload else (model.server, model.client)
        table.add_row(plain(model.name), plain(model.format), f"{model.size:,}" + ("" if model.whole else " of more"), *map(plain, ends),
                      model.sha256[:12], plain(", ".join(model.unsafe)))
    out.print(table)
    if len(models) > MODELS:
        out.print(f"[dim]and {len(models) - MODELS:,} models more[/]")


def print_summary(out: Console, result: Result) -> None:
    """The ledger, what was odd, the rates, and the digest as the last line."""
    stats = result.stats
    out.print()
    if result.partial:
        out.print("[bold yellow]interrupted: this is what was inspected until then[/]")
    for damage in result.damages:
        out.print(f"[bold red]damaged[/] {plain(damage, 400)}")
    ledger = stats["ledger"]
    out.print(f"[bold]ledger[/]  {stats['packets']:,} packets = " + " + ".join(
        f"{ledger[name]['packets']:,} {name}" for name in ("inspected", "offloaded", "dropped", "errored")), soft_wrap=True)
    out.print(f"        {stats['bytes']:,} bytes = " + " + ".join(
        f"{ledger[name]['bytes']:,}" for name in ("inspected", "offloaded", "dropped", "errored")), soft_wrap=True)
    if stats["device"].get("asked") and any(stats["device"]["asked"].values()):
        out.print("[bold]device[/]  " + "; ".join(device_lines(stats["device"])), soft_wrap=True)
    if "policy" in stats:
        print_denials(out, stats["policy"])
    print_sight(out, stats)
    if stats["events"]:
        most = sorted(stats["events"].items(), key=lambda item: (-item[1], item[0]))
        shown = ", ".join(f"{count:,} {plain(name)}" for name, count in most[:5])
        out.print(f"[bold]events[/]  {shown}" + (f", and {len(most) - 5} kinds more" if len(most) > 5 else ""), soft_wrap=True)
    if stats["exceptions"]:
        out.print("[bold yellow]limits[/]  " + ", ".join(f"{count:,} {EXCEPTIONS[name]}" for name, count in stats["exceptions"].items()))
    out.print(f"[bold]rates[/]   {scaled(stats['rates']['packets_per_second'], 'packets/s')}, "
              f"{scaled(stats['rates']['bits_per_second'], 'bit/s')}, {stats['seconds']:.3f} s inspecting, "
              f"{stats['load_seconds']:.3f} s loading rules; {stats['flows']['rows']:,} flows", soft_wrap=True)
    out.print(f"digest: {result.digest}", highlight=False)


def print_budget(out: Console, budget: list[dict[str, Any]], contribution: int) -> None:
    """What a differentially private export has cost."""
    said = " + ".join(f"{one['epsilon']:.4g} {one['query'].replace('_', ' ')}" for one in budget)
    out.print(f"[bold]privacy[/] epsilon {sum(one['epsilon'] for one in budget):.4g} = {said}; a workload counts at most {contribution} times in "
              f"each, noise of scale {budget[0]['scale']:.4g}", soft_wrap=True)


def print_sight(out: Console, stats: dict[str, Any]) -> None:
    """What was decrypted, and what could not be looked into."""
    decryption, sealed = stats["decryption"], stats["uninspected"]
    if decryption["sessions"]:
        out.print(f"[bold]opened[/]  {decryption['bytes']:,} bytes of {decryption['sessions']:,} TLS sessions"
                  + (f"; [yellow]{decryption['failed']:,} did not fit their keys[/]" if decryption["failed"] else ""), soft_wrap=True)
    if decryption["capture_bad_lines"]:
        out.print(f"        [yellow]{decryption['capture_bad_lines']:,} bad lines in the secrets that captures brought[/]")
    if not sealed["bytes"]:
        return
    services = [one for one in sealed["by_service"] if one["bytes"]]
    out.print(f"[bold yellow]sealed[/]  {sealed['bytes']:,} bytes, {sealed['share']:.1%} of all, could not be looked into: "
              + ", ".join(f"{service_name(one)} {one['bytes']:,}" for one in services[:5])
              + (f", and {len(services) - 5:,} services more" if len(services) > 5 else ""), soft_wrap=True)
    pairs = [one for one in sealed["by_segment"] if one["bytes"]]
    if pairs:
        out.print("        " + ", ".join(f"{plain(one['from'], 40)} → {plain(one['to'], 40)} {one['bytes']:,}" for one in pairs[:5]),
                  soft_wrap=True)


def service_name(service: dict[str, Any]) -> str:
    """A service of stats["uninspected"]: its server name, and what the inventory calls it."""
    hosted = f" ({plain(service['hosted'], 60)})" if service["hosted"] else ""
    return plain(service["service"], 80) + hosted


def print_denials(out: Console, policy: dict[str, Any]) -> None:
    """What policy denied: by line, and between which segments."""
    flows = sum(policy["denied_flows"].values())
    by_line = sorted((line for line in policy["lines"] if line["denied"]), key=lambda line: -line["denied"])
    out.print(f"[bold]policy[/]  {policy['denied_packets']:,} packets of {flows:,} flows denied"
              + (": " + ", ".join(f"{line['denied']:,} by {plain(line_name(line))}" for line in by_line[:5]) if by_line else "")
              + (f", and {len(by_line) - 5} lines more" if len(by_line) > 5 else ""), soft_wrap=True)
    if policy["pairs"]:
        out.print("        " + ", ".join(f"{plain(pair['from'], 40)} → {plain(pair['to'], 40)} {pair['flows']:,}"
                                         for pair in policy["pairs"][:5]), soft_wrap=True)


def line_name(line: dict[str, Any]) -> str:
    """A line of a policy in a few words: its name, or where it stands."""
    return line["name"] or line["place"]


def print_policy(out: Console, policy: dict[str, Any]) -> None:
    """`policy check`: lines in their order, and what the whole comes to. policy: Policy.describe()."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("line", "", "from", "to", "what", "until", "place"):
        table.add_column(name, overflow="fold", style="dim" if name == "place" else "")
    for line in policy["lines"]:
        what = [*line.get("services", ()), *line.get("application", ()), *line.get("server_name", ())]
        if line["kind"] == "residency":
            what = [f"data {line['data']}"]
        elif line["kind"] == "services":
            what = ["services of the list"]
        style = "red" if line["action"] == "deny" else "green"
        table.add_row(plain(line["name"]) or f"{line['line'] + 1}", f"[{style}]{line['action']}[/]", plain(", ".join(line["from"])),
                      plain(", ".join(line["to"])), plain(", ".join(what), 400), line.get("until", ""), plain(line["place"], 400))
    table.add_row("default", "[red]deny[/]", "any", "any", "any", "", "")
    out.print(table)
    out.print(f"[bold]{len(policy['segments']):,} segments[/], {len(policy['lines']):,} lines; {policy['classes']:,} classes of "
              f"endpoints, {scaled(policy['memory'], 'B')}; {len(policy['warnings']):,} warnings", soft_wrap=True)


def device_lines(device: dict[str, Any]) -> list[str]:
    """What the session table did, in phrases."""
    asked = {reason: count for reason, count in device["asked"].items() if count}
    said = [f"asked for {sum(asked.values()):,} sessions (" + ", ".join(f"{count:,} by {reason}" for reason, count in asked.items()) + ")"]
    if device["added"]:
        said.append(f"{device['share']['packets']:.1%} of packets and {device['share']['bytes']:.1%} of bytes offloaded")
        said.append(f"{device['added']:,} added, in force after {device['lag']['mean']:.3f} s on average")
    if device["full"]:
        said.append(f"{device['full']:,} refused, the table was full")
    return said


def print_tenants(out: Console, result: Any) -> None:
    """`replay --tenants`: a line a tenant, what nobody claimed, and the ledger of all. result: a TenantsResult."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("tenant", "packets", "bytes", "flows", "alerts", "dropped", "limits", "digest"):
        table.add_column(name, justify="left" if name in ("tenant", "digest") else "right", no_wrap=True, overflow="ellipsis")
    for name, one in result.items():
        stats = one.stats
        table.add_row(plain(name), f"{stats['packets']:,}", scaled(stats["bytes"], "B"), f"{stats['flows']['rows']:,}",
                      f"{stats['alerts']:,}", f"{stats['ledger']['dropped']['packets']:,}", f"{sum(stats['exceptions'].values()):,}",
                      one.digest)
    unclaimed = result.stats["unclaimed"]
    if unclaimed["packets"]:
        table.add_row("[yellow]unclaimed[/]", f"{unclaimed['packets']:,}", scaled(unclaimed["bytes"], "B"))
    out.print(table)
    for damage in result.damages:
        out.print(f"[bold red]damaged[/] {plain(damage, 400)}")
    if result.partial:
        out.print("[bold yellow]interrupted: this is what was inspected until then[/]")
    ledger = result.stats["ledger"]
    out.print(f"[bold]ledger[/]  {result.stats['packets']:,} packets = " + " + ".join(
        f"{ledger[name]['packets']:,} {name}" for name in ("inspected", "offloaded", "dropped", "errored")), soft_wrap=True)


def print_refusals(out: Console, rules: Any, everything: bool) -> None:
    """Refused rules, each with its place; malformed ones always."""
    shown = [one for one in rules.refusals if one.malformed or everything]
    for one in shown[:None if everything else REFUSALS]:
        kind = "[red]malformed[/]" if one.malformed else "[yellow]refused[/]"
        about = f" [dim]sid {one.sid}[/]" if one.sid else ""
        out.print(f"{plain(one.place, 300)}: {kind}{about} {plain(one.reason, 300)}", soft_wrap=True)
    if len(shown) > REFUSALS and not everything:
        out.print(f"[dim]and {len(shown) - REFUSALS:,} malformed rules more; -v lists them[/]")


def print_keywords(out: Console, rows: Any) -> None:
    """`rules keywords`: every keyword of the rule language."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("keyword", "also", "family", "", "note"):
        table.add_column(name, no_wrap=name == "keyword")
    for row in rows:
        table.add_row(row.name, " ".join(row.aliases), row.family, "[green]exact[/]" if row.exact else "[yellow]refused[/]", plain(row.note, 200))
    out.print(table)


def print_check(out: Console, rules: Any, counts: dict[str, Any], everything: bool) -> None:
    """`rules check`: how many rules are exact, why the others are refused, and what they cost. counts: RuleSet.assess()."""
    out.print(f"[bold]{counts['rules']:,} rules[/]: [green]{counts['exact']:,} exact[/], "
              f"{'[yellow]' if counts['refused'] else ''}{counts['refused']:,} refused{'[/]' if counts['refused'] else ''}")
    reasons: dict[tuple[str, str], int] = {}
    for one in rules.refusals:
        reasons[one.keyword, one.reason] = reasons.get((one.keyword, one.reason), 0) + 1
    if reasons:
        table = Table(box=None, header_style="dim", pad_edge=False)
        table.add_column("rules", justify="right")
        table.add_column("keyword", no_wrap=True)
        table.add_column("why", ratio=1)
        for (keyword, reason), count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:None if everything else REFUSALS]:
            table.add_row(f"{count:,}", plain(keyword), plain(reason))
        out.print(table)
        if len(reasons) > REFUSALS and not everything:
            out.print(f"[dim]and {len(reasons) - REFUSALS:,} reasons more; -v lists every refusal with its place[/]")
    cost = counts["cost"]
    if counts["exact"]:
        out.print("[bold]reached[/] by " + ", ".join(f"{name} {count:,}" for name, count in cost["reached"].items())
                  + f"; {counts['groups']:,} groups; {cost['ordered']:,} touch state that spans flows", soft_wrap=True)
        out.print(f"[bold]cost[/]    about {cost['estimate']:,} steps in a thousand entries; most for sid "
                  + ", ".join(f"{one['sid']} ({one['estimate']:,}, {one['reached']})" for one in cost["dearest"][:5]), soft_wrap=True)
    print_refusals(out, rules, everything)
