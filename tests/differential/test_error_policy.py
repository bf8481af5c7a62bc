"""The error policy of parsers held against Suricata's, where it is installed: a session whose parser fails, and what is still
alerted on behind that."""
from __future__ import annotations

import json
import shutil
import struct
import subprocess

import pytest
from captures import tcp
from runs import replay

SURICATA = shutil.which("suricata")
RULES = """alert tcp-pkt any any -> any any (content:"MARK"; sid:1;)
alert tcp any any -> any any (content:"MARK"; sid:2;)
alert dns any any -> any any (dns.query; content:"asked for, so that it is parsed"; sid:3;)
alert smb any any -> any any (smb.share; content:"asked for, so that it is parsed"; sid:4;)
"""
#: Protocol -> (port, what is said: direction and bytes), the last of which no parser takes.
FAILING = {
    "ssh": (22, [(1, b"SSH-2.0-OpenSSH_8\r\n"), (0, b"SSH-2.0-foo\r\n"), (0, bytes(4) + b"\x14" * 40)]),
    "dns": (53, [(0, bytes.fromhex("001d12340100000100000000000007") + b"example\3com\0\0\1\0\1"), (0, b"\0\x20" + b"\xff" * 32)]),
    "smb": (445, [(0, struct.pack(">I", 64) + b"\xfeSMB\x40" + bytes(59)), (0, struct.pack(">I", 64) + b"zzzz\x40\0" + b"\1" * 58)]),
}
POLICIES = ("ignore", "drop-packet", "drop-flow", "pass-packet", "pass-flow", "bypass", "reject", "auto")


def session(port, said):
    ends = (("10.0.0.1", 40000, "10.0.0.2", port), ("10.0.0.2", port, "10.0.0.1", 40000))
    seqs = [1001, 5001]
    frames = [tcp(b"", *ends[0], flags=2, seq=1000), tcp(b"", *ends[1], flags=18, seq=5000, ack=1001),
              tcp(b"", *ends[0], flags=16, seq=1001, ack=5001)]
    for side, data in [*said, (0, b"MARK" + b"a" * 30), (1, b"MARK" + b"b" * 30), (0, b"MARK" + b"c" * 30)]:
        frames.append(tcp(data, *ends[side], flags=24, seq=seqs[side], ack=seqs[1 - side]))
        seqs[side] += len(data)
        frames.append(tcp(b"", *ends[1 - side], flags=16, seq=seqs[1 - side], ack=seqs[side]))
    return [(1.0 + number, frame) for number, frame in enumerate(frames)]


def is_installed() -> bool:
    return SURICATA is not None and b"version 7.0.10" in subprocess.run([SURICATA, "-V"], check=True, capture_output=True).stdout


@pytest.mark.skipif(not is_installed(), reason="needs Suricata 7.0.10")
@pytest.mark.parametrize("mode", ["ids", "ips"])
@pytest.mark.parametrize("protocol", FAILING)
def test_what_is_still_alerted_on(protocol, mode, capture, tmp_path):
    path = capture(session(*FAILING[protocol]))
    (tmp_path / "mark.rules").write_text(RULES)
    for setting in ("app-layer.error-policy", "exception-policy"):
        for policy in POLICIES:
            out = tmp_path / f"{setting}-{policy}"
            out.mkdir()
            subprocess.run([SURICATA, "-r", str(path), "-S", str(tmp_path / "mark.rules"), "-l", str(out), "-k", "none", "--runmode",
                            "single", "--set", f"{setting}={policy}", *(["--simulate-ips"] if mode == "ips" else [])], check=True,
                           capture_output=True)
            events = [json.loads(line) for line in (out / "eve.json").read_text().splitlines()]
            theirs = sorted((one["alert"]["signature_id"], one.get("pcap_cnt", 0)) for one in events if one["event_type"] == "alert")
            result = replay(path, RULES, sets=[f"{setting}={policy}"], engine={"mode": mode, "checksums": "none", "compat": True})
            assert sorted(zip(result.alerts["sid"].tolist(), result.alerts["ordinal"].tolist(), strict=True)) == theirs, (setting, policy)
            assert any(name.startswith("app_layer.error") for name in result.stats["exceptions"])
