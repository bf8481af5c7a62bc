"""The examples of the documentation run as they stand."""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from captures import udp, write_pcap

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def test_control(tmp_path, monkeypatch):
    """They are given `packets`, four questions of 10.0.0.1, and `capture`, a file of them."""
    pytest.importorskip("prometheus_client")
    monkeypatch.chdir(tmp_path)
    packets = [udp(b"question", sport=40000 + i) for i in range(4)]
    known = {"packets": packets, "capture": write_pcap(tmp_path / "four.pcap", packets)}
    text = (DOCS / "control.md").read_text()
    examples = list(re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    assert len(examples) == 6
    for example in examples:
        line = text.count("\n", 0, example.start(1))
        exec(compile("\n" * line + example[1], str(DOCS / "control.md"), "exec"), known)


def test_replay_prints_what_the_readme_shows():
    command, shown = re.search(r"^\$ fastpath (replay .*)\n((?:.*\n)*?)```", (ROOT / "README.md").read_text(), re.MULTILINE).groups()
    ran = subprocess.run([sys.executable, "-m", "fastpath", *command.split()], cwd=ROOT, check=True, capture_output=True, text=True)
    printed = {line.rstrip() for line in ran.stdout.splitlines()}
    lines = [line for line in shown.splitlines() if line.strip() != "..."]
    assert len(lines) > 5 and not [line for line in lines if line not in printed]
