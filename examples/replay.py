#!/usr/bin/env python3
"""A capture in, alerts and flows out: examples/replay.py CAPTURE [RULES...]"""
import sys
from pathlib import Path

import fastpath as fp
from fastpath.demo import capture, rule_files

captures = [Path(name) for name in sys.argv[1:2]] or [capture("attack")]
rules = [Path(name) for name in sys.argv[2:]] or rule_files()

with fp.Engine(fp.RuleSet.load(rules), mode="ips") as engine:
    result = engine.replay(captures)

for alert in result.alerts:                                         # a dict a row ...
    print(f"packet {alert['pcap_cnt']}: {alert['action']}, {alert['sid']} {alert['msg']}")

flows = result.flows                                                # ... or numpy by column (or Arrow: pyarrow.table(flows))
cut = flows["dropped_pkts"] > 0
print(f"{len(flows)} flows, {cut.sum()} of them cut; {flows['bytes_toserver'].sum()} bytes went to servers")
print({name: entry["packets"] for name, entry in result.stats["ledger"].items()}, result.digest)
