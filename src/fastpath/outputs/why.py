"""What `why` says on a terminal. Bytes off the wire are shown as hex, with what is plain text beside it."""
from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from fastpath.control.why import Attempt, FlowStory, Look, Step, Why
from fastpath.outputs.eve import timestamp
from fastpath.outputs.protocols import PROTOCOLS
from fastpath.outputs.terminal import plain

YES, NO = "[green]yes[/]", "[bold red]no[/]"
WIDE = 32           # bytes of an excerpt
BEFORE = 8          # of them before what was found


def print_why(out: Console, why: Why, most: int) -> None:
    """The answer: the rule, then each flow that came near it, `most` of them."""
    out.print(f"[bold]{why.gid}:{why.sid}:{why.rev}[/] {plain(why.msg)}", soft_wrap=True)
    out.print(f"[dim]{plain(why.rule, 2000)}[/]", soft_wrap=True)
    for one in why.needs[:most]:
        out.print(f"[dim]with[/]  {one.gid}:{one.sid} {plain(one.msg)} [dim]({one.matches:,} matches)[/]", soft_wrap=True)
    if len(why.needs) > most:
        out.print(f"[dim]with[/]  {len(why.needs) - most:,} rules more")
    if why.lost:
        out.print(f"[yellow]{why.lost:,} steps were not noted: there was no room for them[/]")
    for story in why.near[:most]:
        out.print()
        print_flow(out, why, story)
    out.print()
    if len(why.near) > most:
        out.print(f"{len(why.near) - most:,} flows more came near (--most N shows more)")
    if why.far:
        out.print("other flows: " + ", ".join(f"{count:,} by {part}" for part, count in why.far.items()) + " [dim](--flow shows one)[/]")
    if not why.near and not why.far:
        out.print("no flow was inspected")


def print_flow(out: Console, why: Why, story: FlowStory) -> None:
    """One flow: matched or not, and how far the rule came."""
    color = "green" if story.match_count else "yellow"
    protocol = PROTOCOLS[story.proto] + (f" ({plain(story.app_proto)})" if story.app_proto else "")
    if story.flow and story.src_ip:
        where = f"{protocol} {_end(story.src_ip, story.src_port)} -> {_end(story.dest_ip, story.dest_port)}  {story.community_id}"
    else:
        where = "packets without a flow"
    out.print(f"[bold {color}]{'matched' if story.match_count else 'no match'}[/]  {where}, {story.entries:,} packets", soft_wrap=True)
    for match in story.matches:
        fate = f"[green]{match.fate}[/]" if match.fate == "alert" else f"[yellow]{match.fate}[/]"
        limits = f" ({plain(', '.join(why.limits))})" if why.limits and match.fate != "alert" else ""
        out.print(f"  match {_packet(match.pcap_cnt, match.capture, match.ts, match.tx)}: {fate}{limits}", soft_wrap=True)
    if story.match_count > len(story.matches):
        out.print(f"  and {story.match_count - len(story.matches):,} matches more")
    if story.best is not None:
        for line in attempt_lines(why, story.best):
            out.print(line, soft_wrap=True)


def attempt_lines(why: Why, attempt: Attempt) -> Iterator[str]:
    """Down to what failed first."""
    way = "to client" if attempt.to_client else "to server"
    yield f"  {_packet(attempt.pcap_cnt, attempt.capture, attempt.ts, attempt.tx)}, {way}"
    if attempt.header:
        yield f"    header        {NO}  the {attempt.header} is another"
        return
    yield f"    header        {YES}"
    if attempt.tx is None and not why.on_transactions:
        yield f"    group         {YES if attempt.in_group else NO}  {attempt.group}" + (
            "" if attempt.in_group else ": this rule is asked once a direction of a flow, by its addresses")
    if attempt.tx is None and why.on_transactions and not attempt.confirmed:
        yield f"    {NO} transaction of the flow came so far that this rule could be looked at"
        return
    yield from _pattern_lines(why, attempt)
    if attempt.stage == "fast pattern":
        return
    for step in attempt.conditions:
        yield f"    condition     {YES if step.holds else NO}  {plain(step.asks, 300)}" + (f" [dim]({step.value})[/]" if step.value is not None else "")
    for look in attempt.looks:
        yield from _look_lines(look)
    if attempt.matched:
        yield "    [green]matched[/]"


def _pattern_lines(why: Why, attempt: Attempt) -> Iterator[str]:
    if not why.pattern:
        yield "    fast pattern  [dim]none: the rule is looked at on its own[/]" + ("" if attempt.confirmed else ", and was not here")
        return
    found = [scan for scan in attempt.scans if scan.end is not None]
    if found:
        scan = found[-1]
        yield f"    fast pattern  {YES}  {plain(why.pattern)} in {scan.buffer}, ends at {scan.offset + (scan.end or 0)}"
        yield from _hex_lines(scan.excerpt, scan.excerpt_at, None, scan.end)
        return
    shown = ", ".join(f"{scan.buffer} ({scan.length:,} bytes)" for scan in attempt.scans[-4:])
    verdict = YES if attempt.confirmed else NO
    yield f"    fast pattern  {verdict}  {plain(why.pattern)} " + ("[dim](found before)[/]" if attempt.confirmed else
                                                                 f"is not in {shown}" if shown else "had nothing to be looked for in")


def _look_lines(look: Look) -> Iterator[str]:
    where = f"{look.length:,} bytes" + (f" from {look.offset:,}" if look.offset else "") + (f", the best of {look.views:,} views" if look.views > 1 else "")
    if not look.steps and look.state != "holds":
        where = ""
    yield f"    [bold]{plain(look.buffer)}[/]  {YES if look.state == 'holds' else f'[bold red]{look.state}[/]'}  [dim]{where}[/]"
    for step in look.steps:
        yield from _step_lines(step)
    if look.limit:
        yield f"      {NO}  inspection-recursion-limit: too many steps were taken"


def _step_lines(step: Step) -> Iterator[str]:
    place = f" at {step.start}-{step.end}" if step.start is not None else ""
    value = f", read {step.value} ({step.value:#x})" if step.value is not None else ""
    tries = f" [dim]({step.tries:,} tries)[/]" if step.tries > 1 else ""
    yield f"      {YES if step.holds else NO}  {plain(step.asks, 300)}[dim]{place}{value}[/]{tries}"
    yield from _hex_lines(step.excerpt, step.excerpt_at, step.start, step.end)


def _hex_lines(data: bytes, at: int, start: int | None, end: int | None) -> Iterator[str]:
    """A line of hex, what was found in it underlined, and the plain text of it."""
    if start is not None and start > at + BEFORE:
        data, at = data[start - at - BEFORE:], start - BEFORE
    data = data[:WIDE]
    if not data:
        return
    shown = [f"[underline]{byte:02x}[/]" if start is not None and end is not None and start <= at + i < end else f"{byte:02x}"
             for i, byte in enumerate(data)]
    text = "".join(chr(byte) if 0x20 < byte < 0x7f else "." for byte in data)
    yield f"           [dim]{at:6d}[/]  {' '.join(shown)}  [dim]{plain(text)}[/]"


def _packet(number: int, capture: str, ts: int, tx: int | None) -> str:
    where = f"packet {number:,} of {plain(capture, 120)}" if number else f"at the end of the flow, {plain(capture, 120)}"
    return f"{where}, {timestamp(ts)}" + (f", transaction {tx}" if tx is not None else "")


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}".replace("[", "\\[") if ":" in address else f"{address}:{port}"
