"""The whole pack on captures that hold no AI traffic: what it raises there is what docs/packs/ai_factory.md explains, rule by rule."""
from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import fastpath as fp

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/packs/ai_factory.md"


def explained() -> dict[int, int]:
    """Alerts by sid, of the table in the document."""
    return {int(sid): int(count) for sid, count in re.findall(r"^\| (9\d{6}) \| (\d+) \|", DOCUMENT.read_text(), re.M)}


def test_it_raises_what_is_explained_and_nothing_else(corpus):
    with fp.Engine(fp.RuleSet.pack("ai_factory")) as engine:
        result = engine.replay(corpus / "pcaps", keep=("alerts",))
    assert dict(Counter(result.alerts["sid"].tolist())) == explained()
    assert not any(item.version or item.client for item in result.inventory)
    assert {item.by for item in result.inventory} == {"bytes"}
    assert result.models == [] and result.llm == []
