"""Decoder events against what Suricata 7.0.10 said of the same captures: counts per capture and event, all captures."""
from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict

import fastpath as fp

RULE = re.compile(r"^alert .*?decode-event:\s*([\w.]+)\s*;.*?sid:\s*(\d+)\s*;", re.MULTILINE)
# those whose alerts a threshold thins out
LEFT_OUT = {"ethernet.unknown_ethertype", "ipv4.unknown_protocol"}
# libpcap stops at the second interface of a section when snapshot length or link type differ; ours are read on
SEVERAL_INTERFACES = {"test005.pcapng", "test008.pcapng", "pcapng-example.pcapng"}

# 285 seconds lie between the two fragments; whether Suricata has given up the first by then hangs on how fast it reads
TIMED_OUT = {("fuzz-2006-06-26-2594.pcap", "ipv4.frag_overlap")}


def test_events_agree_with_suricata(corpus):
    rules = (corpus / "rules/suricata-events/rules/decoder-events.rules").read_text()
    names = {int(sid): name for name, sid in RULE.findall(rules)}
    wanted = defaultdict(Counter)
    with (corpus / "expected/suricata-7.0.10-events.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["sid"]) in names:
                wanted[row["pcap"]][names[int(row["sid"])]] += int(row["alerts"])
    with (corpus / "expected/captures.tsv").open() as file:
        captures = [row["capture"] for row in csv.DictReader(file, delimiter="\t") if row["read_by_suricata"] == "yes" and (corpus / row["capture"]).is_file()]
    agreed, wrong = 0, []
    with fp.Engine(compat=True, checksums="none") as engine:
        for capture in captures:
            if capture.rpartition("/")[2] in SEVERAL_INTERFACES:
                continue
            events = engine.replay(corpus / capture).stats["events"]
            for name in set(names.values()) - LEFT_OUT:
                ours = events.get(f"decoder.{name}", 0)
                if (capture.rpartition("/")[2], name) in TIMED_OUT:
                    assert ours == 1
                elif ours != wanted[capture][name]:
                    wrong.append(f"{capture}: {name}: {ours}, Suricata has {wanted[capture][name]}")
                else:
                    agreed += ours
    assert not wrong, "\n".join(wrong)
    assert agreed > 1000
