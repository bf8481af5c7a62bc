"""What the tests share: where the corpus is, and captures made on the spot (their packets: captures.py)."""
from __future__ import annotations

import os
from pathlib import Path

import pytest
from captures import write_pcap
from hypothesis import settings

settings.register_profile("fastpath", deadline=None)       # how long an example takes decides no test
settings.load_profile("fastpath")

ROOT = Path(__file__).resolve().parents[1]
CORPUS = Path(os.environ.get("FASTPATH_CORPUS") or ROOT.parent / "shared" / "corpus")


@pytest.fixture(scope="session", autouse=True)
def rule_cache(tmp_path_factory) -> None:
    """What tests compile is kept for this run alone."""
    os.environ["FASTPATH_CACHE"] = str(tmp_path_factory.mktemp("cache") / "rules")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of public captures and rules: FASTPATH_CORPUS, else ../shared/corpus beside the repository."""
    if not (CORPUS / "pcaps").is_dir():
        pytest.skip(f"no corpus at {CORPUS}; set FASTPATH_CORPUS")
    return CORPUS


@pytest.fixture
def capture(tmp_path):
    """Call it with packets, as write_pcap takes them, for the path of a pcap that holds them."""
    made = []

    def make(packets, **options) -> Path:
        made.append(tmp_path / f"{len(made)}.pcap")
        return write_pcap(made[-1], packets, **options)
    return make
