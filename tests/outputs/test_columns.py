"""Rows as numpy columns, dicts, Arrow and Parquet."""
from __future__ import annotations

import numpy as np
import pytest
from made_rows import START, alert, batch, flow, key

from fastpath.control.columns import SCHEMAS, Captures, Columns
from fastpath.control.signatures import Signatures
from fastpath.dataplane import rows

MADE = batch(alerts=[alert(key("10.0.0.1", 1234, "192.0.2.9", 80)), alert(key("fd00::2", 5, "fd00::1", 6, 17), rule=1, action=1, to_client=1)],
             flows=[flow(key("192.0.2.9", 80, "10.0.0.1", 1234))])


def test_numpy():
    alerts = MADE.columns("alerts")
    assert len(alerts) == 2
    assert alerts["sid"].tolist() == [1, 2]
    assert alerts["src_ip"].tolist() == ["10.0.0.1", "fd00::2"]
    assert alerts["dest_port"].tolist() == [80, 6]
    assert alerts["msg"].tolist() == ["one", 'two <b>[red]; "quoted"']
    assert alerts["action"].tolist() == ["pass", "drop"]
    assert alerts["ts"].dtype == "M8[ns]" and alerts["ts"][0].astype("i8") == START
    assert alerts.rows["rule"].tolist() == [0, 1]
    with pytest.raises(KeyError, match="alerts have no column 'colour'; they have ordinal"):
        alerts["colour"]


def test_dicts_and_slices():
    alerts = MADE.columns("alerts")
    assert [one["sid"] for one in alerts] == [1, 2]
    assert alerts[-1]["sid"] == 2 and alerts[1:]["sid"].tolist() == [2]
    assert set(alerts[0]) == set(alerts.names)
    with pytest.raises(IndexError):
        alerts[2]


def test_flows_are_seen_from_their_initiator():
    flows = MADE.columns("flows")
    assert (flows["src_ip"][0], flows["src_port"][0], flows["sid"][0]) == ("192.0.2.9", 80, 0)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_no_rows(kind):
    empty = Columns(kind, [], Signatures(), Captures())
    assert len(empty) == 0 and list(empty) == []
    for name in empty.names:
        assert len(empty[name]) == 0


@pytest.mark.parametrize("kind", SCHEMAS)
def test_arrow(kind):
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table(Columns(kind, [MADE.rows[kind]], MADE.signatures, MADE.captures))
    assert table.column_names == list(MADE.columns(kind).names)
    assert len(table) == len(MADE.rows[kind])
    table.validate(full=True)
    for name in table.column_names if len(table) else ():
        column = MADE.columns(kind)[name]
        shown = table[name].cast("int64") if column.dtype.kind == "M" else table[name]
        assert shown.to_pylist() == (column.astype("i8") if column.dtype.kind == "M" else column).tolist()


def test_arrow_of_several_parts():
    pyarrow = pytest.importorskip("pyarrow")
    part = MADE.rows["alerts"]
    table = pyarrow.table(Columns("alerts", [part, part[:1]], MADE.signatures, MADE.captures))
    assert table["sid"].to_pylist() == [1, 2, 1]


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    from fastpath.outputs.columns import ParquetWriter
    writer = ParquetWriter(tmp_path)
    writer.write(MADE)
    writer.write(MADE)
    writer.close({"partial": False})
    assert b"fastpath.partial" not in parquet.read_metadata(tmp_path / "alerts.parquet").metadata
    assert parquet.read_table(tmp_path / "alerts.parquet")["sid"].to_pylist() == [1, 2, 1, 2]
    assert parquet.read_table(tmp_path / "events.parquet").num_rows == 0
    with pytest.raises(FileExistsError):
        ParquetWriter(tmp_path)
    ParquetWriter(tmp_path, overwrite=True).close({"partial": True})
    assert parquet.read_metadata(tmp_path / "alerts.parquet").metadata[b"fastpath.partial"] == b"true"


def test_rules_that_follow_each_other_keep_their_numbers():
    from made_rows import rules
    signatures = Signatures(rules())
    assert signatures.extend(rules()) == 2
    assert signatures.sid[signatures.at(np.array([0, 3, rows.NO_RULE], "u4"))].tolist() == [1, 2, 0]
    assert signatures[3].msg == signatures[1].msg
    with pytest.raises(IndexError):
        signatures[rows.NO_RULE]
