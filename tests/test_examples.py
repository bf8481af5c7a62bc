"""The small example runs as its first line says."""
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_replay():
    ran = subprocess.run([sys.executable, EXAMPLES / "replay.py"], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[1].startswith("packet 36: drop, 9000001 ")
    assert "5 of them cut" in lines[-2]
    assert "v1:" in lines[-1]


def test_the_firewall_is_short():
    assert len((EXAMPLES / "firewall.py").read_text().splitlines()) < 80
