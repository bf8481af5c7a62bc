"""Writes overlaps.tsv: what Suricata 7.0.10 makes of overlapping fragments, by the system of the host that they go to.

    PYTHONPATH=tests python tests/dataplane/record_overlaps.py

A line has the system, the fragments in order (offset+length, a trailing m for "more fragments"), which of them overlap (their
decoder events), and the whole packets: number of the fragment that completes it, then its bytes. Fragment n is filled with the
n-th letter. Needs Suricata, its stock suricata.yaml and PyYAML. Left out is what Suricata fills with whatever its memory held.
"""
from __future__ import annotations

import base64
import json
import random
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

import yaml
from captures import fragment, write_pcap

HERE = Path(__file__).resolve().parent
SYSTEMS = ("", "bsd", "bsd-right", "old-linux", "linux", "old-solaris", "solaris", "hpux10", "hpux11", "irix", "macos", "windows", "vista",
           "windows2k3")
TRAINS = 60
EVENTS = ("alert ip any any -> any any (sid:1;)\n"
          "alert pkthdr any any -> any any (decode-event:ipv4.frag_overlap; sid:2;)\n"
          "alert pkthdr any any -> any any (decode-event:ipv6.frag_overlap; sid:3;)\n")


def train(rng: random.Random) -> list[tuple[int, int, bool]]:
    """Offset, length and "more" of fragments that overlap and mostly make a whole."""
    parts = [(8 * rng.randint(0, 8), 8 * rng.randint(1, 4) - rng.choice((0, 0, 0, 0, 0, 3)), True) for _ in range(rng.randint(2, 6))]
    last = max(offset + length for offset, length, _ in parts) // 8 * 8
    parts += [(last, 8, False), (0, 8, True)] + [(8, last, True)] * rng.randint(0, 1)
    rng.shuffle(parts)
    return parts


def frames(number: int, parts: list[tuple[int, int, bool]]) -> list[bytes]:
    net = 4 + 2 * (number % 3 == 0)
    src, dst = (f"10.0.{number}.1", "10.255.0.1") if net == 4 else (f"2001:{number:x}::1", "2002::1")
    return [fragment(253, offset, bytes([65 + at]) * length, more, ident=number, net=net, src=src, dst=dst)
            for at, (offset, length, more) in enumerate(parts)]


def ask(system: str, trains: list[list[tuple[int, int, bool]]]) -> list[tuple[list[int], list[tuple[int, bytes]]]]:
    """Of each train: the fragments that overlap, and the whole packets."""
    owner = [(number, at) for number, parts in enumerate(trains) for at in range(len(parts))]
    found: list = [(set(), []) for _ in trains]
    with tempfile.TemporaryDirectory() as out:
        capture = write_pcap(Path(out) / "a.pcap", [frame for number, parts in enumerate(trains) for frame in frames(number, parts)])
        config = yaml.safe_load(Path("/etc/suricata/suricata.yaml").read_text())
        config["host-os-policy"] = {system: ["0.0.0.0/0", "2000::/3"]} if system else {}
        config["outputs"] = [{"eve-log": {"enabled": "yes", "filetype": "regular", "filename": "eve.json",
                                          "types": [{"alert": {"packet": "yes"}}]}}]
        (Path(out) / "a.yaml").write_text("%YAML 1.1\n---\n" + yaml.safe_dump(config))
        (Path(out) / "a.rules").write_text(EVENTS)
        subprocess.run(["suricata", "-c", f"{out}/a.yaml", "-r", str(capture), "-S", f"{out}/a.rules", "-l", out, "-k", "none", "--runmode", "single"],
                       check=True, capture_output=True)
        for line in (Path(out) / "eve.json").read_text().splitlines():
            event = json.loads(line)
            packet = event.get("pcap_cnt") or event["tunnel"]["pcap_cnt"]
            number, at = owner[packet - 1]
            if event["alert"]["signature_id"] != 1:
                found[number][0].add(at)
            elif event["pkt_src"] == "defrag":
                found[number][1].append((at, base64.b64decode(event["packet"])[14 + (40 if event["src_ip"].count(":") else 20):]))
    return [(sorted(overlaps), wholes) for overlaps, wholes in found]


def main() -> None:
    rng = random.Random(7)
    trains = [train(rng) for _ in range(TRAINS)]
    twice = defaultdict(list)
    for system in SYSTEMS:
        # the second time among others, so that what memory happens to hold shows
        twice[system] = list(zip(ask(system, trains), ask(system, trains[::-1])[::-1], strict=True))
    with (HERE / "overlaps.tsv").open("w") as file:
        print("system", "train", "fragments", "overlaps", "wholes", sep="\t", file=file)
        for system, answers in twice.items():
            for number, (parts, (one, other)) in enumerate(zip(trains, answers, strict=True)):
                if one != other:
                    continue
                print(system, number, " ".join(f"{offset}+{length}{'m' * more}" for offset, length, more in parts), " ".join(map(str, one[0])),
                      " ".join(f"{at}:{whole.decode()}" for at, whole in one[1]), sep="\t", file=file)


if __name__ == "__main__":
    main()
