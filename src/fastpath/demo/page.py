"""The day of an AI factory as a page for who has to decide: what happened, what was done about it, what is left to do, and then how it is
known. Made with Jinja2 (the extra `report`) from the same run as the terminal's; day.html holds the words, this file the facts."""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from fastpath.demo.factory import SUSPECT, Day, let_through, who
from fastpath.outputs.visible import visible

FLOOD, PUT, FETCHED = 9_900_002, 9_900_001, 9_900_003


@dataclass(frozen=True, slots=True)
class Found:
    """Something that a rule or the policy said. rule: its sid, or "policy"; about: what it is a risk of, by MITRE ATLAS and OWASP."""
    what: str
    who: str
    stopped: bool
    rule: str
    about: str


def render(day: Day) -> str:
    """The page. ImportError without Jinja2."""
    from fastpath.outputs.report import check_jinja2
    check_jinja2()
    from jinja2 import Environment, StrictUndefined
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"visible": visible, "who": who, "count": "{:,}".format, "clock": clock, "minute": lambda ns: clock(ns)[:16]}
    template = environment.from_string(files(__package__).joinpath("day.html").read_text(encoding="utf-8"))
    result, stats = day.result, day.result.stats
    order = next(order for order in day.orders if order.isolation is not None)
    poisoned = [model for model in result.models if model.unsafe]
    leaving = next(model for model in result.models if who(model.server) == "a server outside")
    asked = {talker.client: talker.requests for talker in result.llm if talker.model}
    dropped = Counter(alert["src_ip"] for alert in result.alerts if alert["sid"] == FLOOD)
    return template.render(
        date=clock(int(result.packets[0]["ts"].astype("datetime64[ns]").astype("int64")))[:10], suspect=SUSPECT, stats=stats, digest=result.digest,
        services=services(result.inventory), found=found(day), leaving=leaving, got_out=let_through(result, leaving.flow),
        sealed=stats["uninspected"], opened=stats["decryption"], poisoned=poisoned,
        talkers=[(who(client), count, dropped[client]) for client, count in sorted(asked.items(), key=lambda one: -one[1])],
        flooding=asked[SUSPECT], flood_dropped=dropped[SUSPECT], order=order, isolation=order.isolation,
        isolated=sum(1 for row in result.packets if row["reason"] == "isolated"),
        moments=[(visible(time), kind, who(peer[2:]), peer[:1], visible(said, 300)) for time, kind, peer, said in
                 day.timeline.rows(("alert", "blocked", "policy", "isolation", "tls"))],
    )


def services(items: Any) -> list[dict[str, Any]]:
    """The inventory by service: its kind, version, what the policy says of it, who uses it, and how much."""
    made: dict[str, dict[str, Any]] = {}
    for item in items:
        one = made.setdefault(item.service, {"service": item.service, "kind": item.kind.replace("_", " "), "version": "", "status": item.status, "users": [],
                                             "flows": 0, "bytes": 0})
        one["version"] = one["version"] or item.version
        one["flows"] += item.flows
        one["bytes"] += item.bytes_out + item.bytes_in
        if who(item.workload) not in one["users"]:
            one["users"].append(who(item.workload))
    return list(made.values())


def found(day: Day) -> dict[str, list[Found]]:
    """What rules said, by the scene that it belongs to; each once."""
    of_house = "AML.T0011.000, LLM03"           # rules of the house that the suspect's story does not tell of
    about = {PUT: of_house, FETCHED: of_house} | {alert["signature_id"]: ", ".join(one for name in ("mitre_atlas", "owasp_llm") for one in alert.get("metadata", {}).get(name, ()))
             for event in day.timeline.moments if event["event_type"] == "alert" for alert in (event["alert"],)}
    made: dict[str, dict[tuple[int, str], Found]] = {"prompt": {}, "weights": {}, "poison": {}}
    for alert in day.result.alerts:
        sid, said = int(alert["sid"]), visible(alert["msg"]).removeprefix("AI factory ")
        scene = ("prompt" if said.startswith("prompt") else "weights" if said.startswith("exfiltration") else
                 "poison" if sid in (PUT, FETCHED) or said.startswith(("manifest", "model")) else "")
        if scene:
            made[scene].setdefault((sid, alert["src_ip"]), Found(said.partition(": ")[2] or said, who(alert["src_ip"]), alert["action"] == "drop", str(sid),
                                                                about.get(sid, "")))
    denied = [Found(f"{visible(line['name'])}: {line['denied']} packets denied", who(SUSPECT), True, "policy", "")
              for line in day.result.stats["policy"]["lines"] if line["denied"]]
    return {scene: list(one.values()) + denied * (scene == "weights") for scene, one in made.items()}


def clock(ns: int) -> str:
    """Of nanoseconds since 1970, in UTC."""
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
