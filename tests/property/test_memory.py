"""Memory is bounded: at a cap the run goes on and says how often the cap was met."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from captures import syn_flood, tcp
from runs import replay

MEGABYTE = 1 << 20


def test_syn_flood_meets_the_flow_memcap(tmp_path):
    """100,000 flows where 8 MiB hold fewer: evicted or refused and counted, and every packet is in the ledger."""
    path = syn_flood(tmp_path / "flood.pcap", 100_000)
    result = replay(path, "", sets=["flow.memcap=8mb"])
    assert result.stats["packets"] == 100_000
    assert sum(result.stats["exceptions"].get(name, 0) for name in ("forced", "memcap_hits", "flow.memcap.ignore"))
    assert result.stats["ledger"]["errored"]["packets"] == 0


def test_rules_match_at_the_cap(tmp_path):
    """What needs no flow still matches when there is no room for one."""
    path = syn_flood(tmp_path / "flood.pcap", 100_000, last=tcp(b"needle", dport=81))
    result = replay(path, 'alert tcp-pkt any any -> any 81 (content:"needle"; sid:1;)', sets=["flow.memcap=8mb"])
    assert result.alerts["sid"].tolist() == [1]


MEASURE = """
import sys
import fastpath as fp

def anonymous():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon:"))

class Watch:
    # looks at the memory while the run goes on
    most = 0

    def __call__(self, progress):
        self.most = max(self.most, anonymous())

watch = Watch()
with fp.Engine(config=fp.Config.load(None, ["flow.memcap=1gb"])) as engine:
    result = engine.replay(sys.argv[1], keep=(), progress=watch)
print(watch.most, result.stats["packets"], result.stats["exceptions"] == {})
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.skipif(os.environ.get("FASTPATH_SANITIZED") == "1", reason="the sanitizer's own memory would be measured")
def test_a_million_flows_fit_in_300_megabytes(tmp_path):
    """One million TCP flows after their handshake, no data buffered: at most 300 MB of anonymous memory."""
    path = syn_flood(tmp_path / "million.pcap", 1_000_000, handshake=True)
    done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
    used, packets, whole = done.stdout.split()
    assert (packets, whole) == ("3000000", "True")
    used = int(used)
    assert used <= 300 * MEGABYTE, f"{used / MEGABYTE:.0f} MiB"
