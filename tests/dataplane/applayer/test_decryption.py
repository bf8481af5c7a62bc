"""TLS sessions with their keys, whole: from packets to the alerts on what was said inside."""
from __future__ import annotations

import pytest
from captures import write_pcap
from runs import replay
from tls_sessions import RULES, SUITES, frames_of, web_session

ALL = [(version, suite) for version, suites in SUITES.items() for suite in suites]


def sids(result) -> list[int]:
    return sorted(result.alerts["sid"].tolist())


@pytest.mark.parametrize(("version", "suite"), ALL)
def test_rules_see_what_was_said(tmp_path, version, suite):
    talk, keylog = web_session(tmp_path, version, suite)
    assert talk.client.cipher()[0] == suite
    path = write_pcap(tmp_path / "a.pcap", frames_of(talk.flights))
    assert sids(replay(path, RULES)) == [3]
    result = replay(path, RULES, engine={"keylog": keylog})
    assert sids(result) == [1, 2, 3, 4, 4]
    assert result.stats["decryption"]["sessions"] == 1
    assert result.stats["decryption"]["failed"] == 0
    assert result.stats["uninspected"]["bytes"] == 0, result.stats["uninspected"]
