"""Decoder events against what Suricata 7.0.10 said of the same captures: counts per capture and event, all captures."""
from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict

import fastpath as fp

RULE = re.compile(r"^alert .*?decode-event:\s*([\w.]+)\s*;.*?sid:\s*(\d+)\s*;", re.MULTILINE)
# of defrag; and those whose alerts a threshold thins out
LEFT_OUT = {"ipv4.frag_overlap", "ipv4.frag_pkt_too_large", "ipv6.frag_overlap", "ipv6.frag_pkt_too_large", "ipv6.frag_invalid_length",
            "ethernet.unknown_ethertype", "ipv4.unknown_protocol"}
# libpcap stops at the second interface of a section when snapshot length or link type differ; ours are read on
SEVERAL_INTERFACES = {"test005.pcapng", "test008.pcapng", "pcapng-example.pcapng"}
# raised on the reassembled packet
REASSEMBLED = {("ip_fragmented_garbage.pcap", "tcp.invalid_optlen"), ("ip_fragmented_garbage.pcap", "tcp.opt_invalid_len")}


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
                if (capture.rpartition("/")[2], name) in REASSEMBLED:
                    assert ours == 0
                elif ours != wanted[capture][name]:
                    wrong.append(f"{capture}: {name}: {ours}, Suricata has {wanted[capture][name]}")
                else:
                    agreed += ours
    assert not wrong, "\n".join(wrong)
    assert agreed > 1000
