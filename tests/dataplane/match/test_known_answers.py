"""A library that misses is refused, by version and with the cure; the one in use here is not."""
from __future__ import annotations

import pytest

from fastpath.dataplane.match import known_answers
from fastpath.dataplane.match.prefilter import compile_literals, version


@pytest.fixture(autouse=True)
def anew():
    known_answers.failures.cache_clear()
    yield
    known_answers.failures.cache_clear()


def test_the_library_in_use_is_trusted():
    assert known_answers.failures() == ()
    known_answers.verify()


def test_a_library_that_misses_is_refused(monkeypatch):
    scan = known_answers.scan_literals
    monkeypatch.setattr(known_answers, "scan_literals", lambda serialized, data, count: [*scan(serialized, data, count)[:-1], 99])
    with pytest.raises(known_answers.UntrustedMatcher, match="1 of 1000 literals") as raised:
        known_answers.verify()
    assert version() in str(raised.value)
    assert "hyperscan 5.4" in str(raised.value) and "vectorscan 5.4.12" in str(raised.value)


def test_a_library_that_refuses_nul_is_refused(monkeypatch):
    def strict(patterns, nocase, **options):
        if any(pattern[0] == 0 for pattern in patterns):
            raise ValueError("Pure literal API doesn't support empty string.")
        return compile_literals(patterns, nocase, **options)
    monkeypatch.setattr(known_answers, "compile_literals", strict)
    with pytest.raises(known_answers.UntrustedMatcher, match="empty string"):
        known_answers.verify()


def test_answers_are_kept(monkeypatch):
    known_answers.verify()
    monkeypatch.setattr(known_answers, "compile_literals", None)
    known_answers.verify()


def test_occurrences_overlap():
    assert known_answers.occurrences(b"aa", b"aaaa") == 3
