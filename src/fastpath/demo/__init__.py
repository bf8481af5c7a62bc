"""The story that `fastpath demo` tells, from captures and rules that come with the package; nothing is written.

Benign traffic passes, an attack is stopped, tunnels are opened, packets that lie are named. How the captures were recorded
and made is said in pcaps/README.md of the repository.
"""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from fastpath.control.result import Result

HERE = Path(__file__).parent

#: The conversations of real programs, and what they are.
BENIGN = {"http": "nginx and curl", "dns": "dnsmasq and dig", "tls": "openssl s_server and s_client", "ssh": "sshd and ssh"}
MADE = ("attack", "tunnels", "hostile")


def rule_files() -> list[Path]:
    return [HERE / "demo.rules"]


def capture(name: str) -> Path:
    return HERE / f"{name}.pcap"


def run_demo(console: Console | None = None) -> Result:
    """Tells the story on the console (standard output where None); gives the Result of everything in one run."""
    from fastpath.demo.story import tell
    return tell(console)
