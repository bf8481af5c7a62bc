"""The digest: what it depends on and what not."""
from __future__ import annotations

import numpy as np
import pytest
from made_rows import alert, flow, key

from fastpath.control.digest import Digest
from fastpath.dataplane import rows

IT = key("10.0.0.1", 1234, "192.0.2.9", 80)
ALERTS = np.concatenate([alert(IT, ordinal=n) for n in range(1, 8)])
FLOWS = np.concatenate([flow(IT, flow=n) for n in range(3)])
RUNS = np.zeros(6, rows.RUN)
RUNS["packets"] = (5, 1, 3, 2, 4, 9)
RUNS["action"] = (0, 1, 0, 0, 0, 1)
RULES = b"rules"


def digest(*batches: dict, rules: bytes = RULES, first: int = 1) -> str:
    made = Digest()
    made.rules(first, rules)
    for batch in batches:
        made.add({name: np.empty(0, dtype) for name, dtype in rows.DTYPES.items()} | batch)
    return made.value()


WHOLE = digest({"alerts": ALERTS, "flows": FLOWS, "runs": RUNS})


def test_form():
    assert WHOLE.startswith("v1:") and len(WHOLE) == 35 and int(WHOLE[3:], 16)


@pytest.mark.parametrize("cut", range(7))
def test_how_rows_were_batched_does_not_count(cut):
    parts = [{"alerts": ALERTS[:cut]}, {"flows": FLOWS[:1], "runs": RUNS[:cut]}, {"alerts": ALERTS[cut:], "runs": RUNS[cut:]}, {"flows": FLOWS[1:]}]
    assert digest(*parts) == WHOLE


def test_neighbouring_runs_are_one():
    split = np.concatenate([RUNS[:2], RUNS[2:3], RUNS[2:3], RUNS[3:]])
    split["packets"][2:4] = (1, 2)
    assert digest({"alerts": ALERTS, "flows": FLOWS, "runs": split}) == WHOLE
    assert digest({"runs": RUNS[:1]}, {"runs": RUNS[:1]}) == digest({"runs": np.array([(10, 0, 0, 0, 0, 0)], rows.RUN)})


@pytest.mark.parametrize("change", [{"alerts": ALERTS[::-1]}, {"alerts": ALERTS[:-1]}, {"flows": FLOWS[::-1]}, {"runs": RUNS[::-1]},
                                    {"runs": RUNS[:-1]}, {"events": np.zeros(1, rows.EVENT)}])
def test_every_row_counts(change):
    assert digest({"alerts": ALERTS, "flows": FLOWS, "runs": RUNS} | change) != WHOLE


def test_rules_count():
    batch = {"alerts": ALERTS, "flows": FLOWS, "runs": RUNS}
    assert digest(batch, rules=b"others") != WHOLE
    assert digest(batch, first=2) != WHOLE


def test_rows_of_packets_do_not_count():
    assert digest({"alerts": ALERTS, "flows": FLOWS, "runs": RUNS, "packets": np.zeros(3, rows.PACKET)}) == WHOLE
