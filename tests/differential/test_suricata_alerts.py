"""Alerts held against Suricata's: its conformance tests, its recorded alerts on real captures, and, where it is installed, itself."""
from __future__ import annotations

import csv
import ipaddress
import json
import os
import random
import re
import shutil
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from captures import read_packets, write_pcap
from differential import suricata_verify
from runs import assert_ledger

import fastpath as fp

PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "IPv6-ICMP", 132: "SCTP", 47: "GRE", 50: "ESP"}


# ---- OISF's conformance tests ----

def passing() -> list[str]:
    """Those to run: of the hundreds of http-evader, which are alike, every eighth, unless FASTPATH_CONFORMANCE is "all"."""
    names = suricata_verify.PASSING.read_text().split() if suricata_verify.PASSING.exists() else []
    alike = [name for name in names if name.startswith("http-evader/")]
    skipped = set() if os.environ.get("FASTPATH_CONFORMANCE") == "all" else set(alike) - set(alike[::8])
    return [name for name in names if name not in skipped]


@pytest.fixture(scope="module")
def verify_cases(corpus):
    return {case.name: case for case in suricata_verify.cases(corpus / "suricata-verify")}


@pytest.mark.parametrize("name", passing())
def test_conformance(verify_cases, name):
    """Every test that has passed once passes; suricata_verify.py --write adds new ones."""
    assert suricata_verify.run(verify_cases[name]) == ""


# ---- what Suricata 7.0.10 said of the corpus ----

def flows_of(alerts: fp.Columns) -> Counter:
    """(sid, both ends without direction, protocol) -> alerts."""
    counted = Counter()
    for alert in alerts:
        ends = frozenset([(alert["src_ip"], alert["src_port"]), (alert["dest_ip"], alert["dest_port"])])
        counted[alert["sid"], ends, alert["proto"]] += 1
    return counted


def expected_alerts(path: Path) -> dict[str, Counter]:
    """Capture -> (sid -> alerts)."""
    found: dict[str, Counter] = defaultdict(Counter)
    with path.open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            found[row["pcap"]][int(row["sid"])] += int(row["alerts"])
    return found


def read_by_suricata(corpus: Path) -> dict[str, int]:
    """Captures that Suricata read, with its count of their packets. libpcap stops where a capture changes its link type."""
    with (corpus / "expected" / "captures.tsv").open() as file:
        return {row["capture"]: int(row["packets"]) for row in csv.DictReader(file, delimiter="\t")
                if row["read_by_suricata"] == "yes" and row["capture"].startswith("pcaps/") and row["packets"]}


def parity_config() -> fp.Config:
    return fp.Config.load(None, ["vars.address-groups.HOME_NET=any", "vars.address-groups.EXTERNAL_NET=any", "packet-alert-max=255"])


def test_decoder_events_on_real_captures(corpus):
    """Every decoder event of Suricata on every capture it read, by capture and sid, and how many times. Those of defragmentation
    are left out: the stage is not there."""
    rules = fp.RuleSet.load([str(corpus / "rules" / "suricata-events" / "rules" / "decoder-events.rules")], variables=parity_config().variables)
    sids = {plan.sid for plan in rules.plans if " FRAG " not in plan.msg}
    wanted = expected_alerts(corpus / "expected" / "suricata-7.0.10-events.tsv")
    agreed = missed = extra = 0
    wrong = []
    with fp.Engine(rules, config=parity_config(), checksums="none", compat=True) as engine:
        for capture, packets in sorted(read_by_suricata(corpus).items()):
            result = engine.replay(str(corpus / capture))
            assert_ledger(result.stats)
            if result.stats["packets"] != packets:
                continue
            found = Counter(sid for sid in result.alerts["sid"].tolist() if sid in sids)
            told = Counter({sid: count for sid, count in wanted.get(capture, {}).items() if sid in sids})
            agreed += sum((found & told).values())
            missed += sum((told - found).values())
            extra += sum((found - told).values())
            if found != told:
                wrong.append(f"{capture}: missed {dict(told - found)}, extra {dict(found - told)}")
    assert agreed / max(1, agreed + missed + extra) >= 0.98, f"agreed {agreed}, missed {missed}, extra {extra}\n" + "\n".join(wrong[:40])


# ---- Suricata itself ----

def random_rules(rng: random.Random, payloads: list[bytes], count: int) -> list[str]:
    """Rules over packets: contents cut out of real payloads, and header rules."""
    rules = []
    while len(rules) < count:
        sid, proto = len(rules) + 1, rng.choice(["tcp", "udp", "ip"])
        options = []
        if rng.random() < 0.7 and payloads:
            proto = rng.choice(["tcp-pkt", "udp"])
            payload = rng.choice(payloads)
            start = rng.randrange(max(1, len(payload) - 8))
            piece = payload[start:start + rng.randint(3, 10)]
            if len(piece) < 3:
                continue
            text = "|" + " ".join(f"{byte:02x}" for byte in piece) + "|"
            position = rng.choice([f"offset:{start}; depth:{len(piece)};", f"depth:{start + len(piece)};", f"offset:{max(0, start - 3)};"])
            nocase = "nocase; " if rng.random() < 0.3 else ""
            options.append(f'content:"{text}"; {nocase}{position}')
            if rng.random() < 0.3:
                options.append(f'content:!"|{rng.randrange(256):02x} {rng.randrange(256):02x}|"; within:{rng.randint(4, 40)};')
            if rng.random() < 0.2:
                options.append(f"isdataat:{rng.choice(['', '!'])}{rng.randint(1, 60)},relative;")
        else:
            options.append(rng.choice([f"ttl:<{rng.randint(30, 130)};", f"dsize:{rng.choice(['<', '>'])}{rng.randint(1, 400)};",
                                       f"id:{rng.randint(0, 200)};"] + ([f"flags:{rng.choice(['S', 'SA', 'A', '+P', 'R', 'F+'])};",
                                       f"window:{rng.choice([0, 5840, 65535])};"] if proto == "tcp" else [])))
            if "dsize" in options[0] and proto == "ip":
                continue
        if proto in ("tcp", "tcp-pkt") and rng.random() < 0.3:
            options.append(f"flow:{rng.choice(['to_server', 'to_client', 'established', 'established,to_server', 'not_established', 'stateless'])};")
        port = rng.choice(["any", "any", "80", "443", "53", "!80", "[1:1024]"])
        if proto == "ip":
            port = "any"
        rules.append(f"alert {proto} any {port} -> any any ({' '.join(options)} sid:{sid};)")
    return rules


def suricata_alerts(capture: Path, rules: Path, folder: Path) -> tuple[Counter, set[int]]:
    """(sid, both ends, protocol) -> alerts, and the sids that Suricata did not load. TLS and SSH are off: of what is
    encrypted, Suricata looks at no payload."""
    done = subprocess.run(["suricata", "-r", str(capture), "-S", str(rules), "-l", str(folder), "-k", "none", "--runmode", "single",
                           "--set", "packet-alert-max=255", "--set", "app-layer.protocols.tls.enabled=no",
                           "--set", "app-layer.protocols.ssh.enabled=no"], check=True, capture_output=True, text=True, errors="replace", timeout=120)
    counted, eve = Counter(), folder / "eve.json"
    for line in eve.read_text().splitlines() if eve.exists() else []:
        event = json.loads(line)
        if event["event_type"] == "alert":
            ends = frozenset([(short(event.get("src_ip", "")), event.get("src_port", 0)), (short(event.get("dest_ip", "")), event.get("dest_port", 0))])
            counted[event["alert"]["signature_id"], ends, event.get("proto", "")] += 1
    refused = {int(sid) for sid in re.findall(r"sid:\s*(\d+);[^\n]*\" from file", done.stderr + done.stdout)}
    return counted, refused


def is_fragment(frame: bytes) -> bool:
    """Of IPv4 or IPv6, in Ethernet: what is reassembled from them is not inspected yet."""
    return frame[12:14] == b"\x08\0" and int.from_bytes(frame[20:22], "big") & 0x3FFF > 0 or frame[12:14] == b"\x86\xdd" and frame[20:21] == b"\x2c"


def short(address: str) -> str:
    return str(ipaddress.ip_address(address)) if address else ""


@pytest.mark.skipif(shutil.which("suricata") is None, reason="suricata is not installed")
@pytest.mark.parametrize("seed", range(8))
def test_random_rules_against_suricata(corpus, tmp_path, seed):
    """Random packet rules over a real capture: alerts equal, by sid and flow."""
    rng = random.Random(seed)
    captures = sorted(path for path in (corpus / "pcaps" / "ndpi").rglob("*.pcap") if 2_000 < path.stat().st_size < 200_000)
    packets: list[bytes] = []
    for path in rng.sample(captures, 3):
        packets += [packet for packet in read_packets(path, most=300).get(1, []) if not is_fragment(packet)]
    capture = write_pcap(tmp_path / "a.pcap", packets)
    payloads = [packet[54:] for packet in packets if len(packet) > 70]
    text = "\n".join(random_rules(rng, payloads, 60)) + "\n"
    (tmp_path / "a.rules").write_text(text)
    loaded = fp.RuleSet.parse(text)
    theirs, refused = suricata_alerts(capture, tmp_path / "a.rules", tmp_path)
    with fp.Engine(loaded, config=parity_config(), checksums="none", compat=True) as engine:
        result = engine.replay(str(capture))
    ours = Counter({(sid, frozenset((ip, 0 if proto in (1, 58) else port) for ip, port in ends), PROTOCOLS.get(proto, str(proto))): count
                    for (sid, ends, proto), count in flows_of(result.alerts).items()})
    both = {plan.sid for plan in loaded.plans} - refused
    lines = dict(enumerate(text.splitlines(), 1))
    # of encrypted sessions the packet after which payload is looked at no more may be another (docs/differences.md)
    encrypted = {ends for _, ends, _ in theirs | ours if any(port == 443 for _, port in ends)}
    differ = {key: (theirs[key], ours[key]) for key in theirs | ours
              if theirs[key] != ours[key] and key[0] in both and key[1] not in encrypted}
    assert not differ, "\n".join(f"suricata {a}, fastpath {b}: {set(ends)} {proto} {lines[sid]}" for (sid, ends, proto), (a, b) in list(differ.items())[:12])
    assert sum(ours.values()) > 0
