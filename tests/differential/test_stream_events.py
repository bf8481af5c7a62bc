"""Stream events held against Suricata's own, where it is installed: random sessions, each packet's events the same."""
from __future__ import annotations

import json
import random
import shutil
import subprocess

import pytest
from captures import write_pcap
from segments import wild_session

from fastpath.dataplane.decode import EVENT_NAMES
from fastpath.dataplane.stream_trial import StreamTrial

SURICATA = shutil.which("suricata")
GAP = "reassembly_seq_gap"      # depends on when the application layer gives up
CHOICES = [({}, []), ({"inline": True}, ["stream.inline=yes"]), ({"midstream": True}, ["stream.midstream=true"]),
           ({"async_oneside": True}, ["stream.async-oneside=true"])]


def suricata_events(path, folder, sets) -> dict[int, list[str]]:
    """Event names by packet number. A content keeps the raw stream going."""
    names = [name.removeprefix("stream.") for name in EVENT_NAMES if name.startswith("stream.")]
    rules = [f'alert tcp any any -> any any (msg:"{name}"; stream-event:{name}; sid:{sid};)' for sid, name in enumerate(names, 1)]
    rules.append('alert tcp any any -> any any (msg:"raw"; content:"zzzzzzzzzzzz"; sid:9999;)')
    (folder / "events.rules").write_text("\n".join(rules) + "\n")
    command = [SURICATA, "-r", str(path), "-S", str(folder / "events.rules"), "-l", str(folder), "-k", "none", "--runmode", "single",
               "--set", "packet-alert-max=255"]
    for one in sets:
        command += ["--set", one]
    subprocess.run(command, check=True, capture_output=True)
    found: dict[int, list[str]] = {}
    for line in (folder / "eve.json").read_text().splitlines():
        event = json.loads(line)
        if event["event_type"] == "alert":
            found.setdefault(event.get("pcap_cnt", 0), []).append(event["alert"]["signature"])
    return found


def is_installed() -> bool:
    return SURICATA is not None and b"version 7.0.10" in subprocess.run([SURICATA, "-V"], check=True, capture_output=True).stdout


@pytest.mark.skipif(not is_installed(), reason="needs Suricata 7.0.10")
@pytest.mark.parametrize("options, sets", CHOICES, ids=["stock", "inline", "midstream", "async"])
def test_events_of_random_sessions(options, sets, tmp_path):
    rng = random.Random(5)
    sessions = [wild_session(rng, 2000 + number) for number in range(150)]
    theirs = suricata_events(write_pcap(tmp_path / "wild.pcap", [frame for one in sessions for frame in one]), tmp_path, sets)
    made = StreamTrial(checksums=False, **options)
    number, same, different = 0, 0, []
    for session in sessions:
        pairs = []
        for frame in session:
            number += 1
            mine = sorted(name.removeprefix("stream.") for name in made.segment(frame)["events"] if name.startswith("stream."))
            pairs.append((number, mine, sorted(theirs.get(number, []))))
        if any((GAP in mine) != (GAP in other) for _, mine, other in pairs):
            continue
        same += 1
        different += [(at, [one for one in mine if one != GAP], [one for one in other if one != GAP]) for at, mine, other in pairs
                      if mine != other]
    assert same > 100
    assert different == []
