"""Runs of the engine as the tests want them: small rule sets from text, and every run's ledger held against its packets."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import fastpath as fp

#: One rule or more of each kind that the data plane runs: what a determinism test must not disturb.
MIXED_RULES = r"""
alert tcp any any -> any any (msg:"get"; content:"GET "; depth:4; sid:1;)
alert tcp any any -> any 80 (msg:"host, once"; flow:established,to_server; content:"Host|3a|"; nocase; threshold:type limit,track by_src,count 1,seconds 60; sid:2;)
alert udp any any -> any 53 (msg:"question"; content:"|01 00 00 01|"; offset:2; depth:8; sid:3;)
alert ip any any -> any any (msg:"far"; ttl:<5; sid:4;)
alert tcp any any -> any any (msg:"syn"; flags:S,CE; flow:stateless; sid:5;)
alert tcp any any -> any any (msg:"login seen"; content:"login"; nocase; flowbits:set,login; flowbits:noalert; sid:6;)
alert tcp any any -> any any (msg:"password after login"; flowbits:isset,login; content:"pass"; nocase; sid:7;)
drop tcp any any -> any 23 (msg:"telnet"; sid:8;)
pass udp any any -> any 5353 (msg:"mdns"; sid:9;)
reject tcp any any -> any 6667 (msg:"irc"; content:"NICK"; sid:10;)
alert icmp any any -> any any (msg:"echo"; itype:8; sid:11;)
alert tcp any any -> any any (msg:"digits"; pcre:"/[0-9]{6,}/"; sid:12;)
alert udp any any -> any any (msg:"length told"; byte_test:2,>,100,0; sid:13;)
alert tcp any any -> any any (msg:"many syns"; flags:S; detection_filter:track by_dst,count 5,seconds 10; sid:14;)
alert pkthdr any any -> any any (msg:"short ipv4"; decode-event:ipv4.trunc_pkt; sid:15;)
alert udp any any -> any any (msg:"leave it"; content:"bypass"; bypass; sid:16;)
"""


def rules_of(text: str) -> fp.RuleSet:
    """The rule set of a text of which nothing may be refused."""
    rules = fp.RuleSet.parse(text)
    assert not rules.refusals, [f"{refusal.place}: {refusal.reason}" for refusal in rules.refusals]
    return rules


def replay(paths: Path | str | Iterable[Path | str], rules: fp.RuleSet | str = "", *, engine: dict | None = None, sets: Sequence[str] = (),
           **options) -> fp.Result:
    """One run of a new engine. `engine` are its arguments, `sets` settings as key=value, `options` those of Engine.replay.
    The ledger is checked."""
    rules = rules_of(rules) if isinstance(rules, str) else rules
    paths = [paths] if isinstance(paths, (str, Path)) else list(paths)
    with fp.Engine(rules, config=fp.Config.load(None, sets), **(engine or {})) as made:
        result = made.replay([str(path) for path in paths], **options)
    assert_ledger(result.stats)
    return result


def assert_ledger(stats: dict) -> None:
    """Every packet counts once, in packets and in bytes (DESIGN: the ledger)."""
    assert set(stats["ledger"]) == {"inspected", "offloaded", "dropped", "errored"}
    assert sum(account["packets"] for account in stats["ledger"].values()) == stats["packets"]
    assert sum(account["bytes"] for account in stats["ledger"].values()) == stats["bytes"]


def alert_counts(result: fp.Result) -> Counter:
    """(sid, packet number, action) -> alerts; packet 0 is a flush at the flow's end."""
    alerts = result.alerts
    return Counter(zip(alerts["sid"].tolist(), alerts["ordinal"].tolist(), list(alerts["action"]), strict=True))
