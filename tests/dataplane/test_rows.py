"""The dtypes mirror types.h: same size, same fields in the same order, no padding."""
import re
from importlib.resources import files

import numpy as np
import pytest

from fastpath.dataplane import rows

HEADER = files("fastpath.dataplane").joinpath("types.h").read_text()
STRUCTS = {"flow_key": rows.FLOW_KEY, "verdict": rows.VERDICT, "alert_row": rows.ALERT, "flow_row": rows.FLOW,
           "event_row": rows.EVENT, "app_row": rows.APP, "verdict_run": rows.RUN}
BASES = {"uint8_t": "u1", "uint16_t": "u2", "uint32_t": "u4", "uint64_t": "u8", "flow_key_t": rows.FLOW_KEY}


@pytest.mark.parametrize("name", STRUCTS)
def test_size_is_the_one_asserted(name):
    asserted = int(re.search(rf"sizeof\({name}_t\) == (\d+)", HEADER).group(1))
    assert STRUCTS[name].itemsize == asserted


@pytest.mark.parametrize("name", STRUCTS)
def test_fields_are_those_of_the_struct(name):
    body = re.search(rf"typedef struct {name} {{(.*?)}} {name}_t;", HEADER, re.DOTALL).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL).replace("VLANS_MAX", "3")
    declared = []
    for base, names in re.findall(r"(\w+) ([^;]+);", body):
        for one in names.split(","):
            field, *shape = re.split(r"[\[\]]+", one.strip().rstrip("]"))
            declared.append((field, np.dtype((BASES[base], tuple(map(int, shape))) if shape else BASES[base])))
    assert [(field, STRUCTS[name][field]) for field in STRUCTS[name].names] == declared


@pytest.mark.parametrize("dtype", rows.DTYPES.values(), ids=list(rows.DTYPES))
def test_rows_have_no_padding(dtype):
    end = 0
    for field in dtype.names:
        kind, offset = dtype.fields[field][:2]
        assert offset == end
        end += kind.itemsize
    assert dtype.itemsize == end


def test_names_cover_the_enums():
    def members(kind):
        return re.search(rf"enum {kind} {{(.*?)}};", HEADER, re.DOTALL).group(1).split(",")
    assert len(rows.ACTIONS) == len(members("action"))
    assert len(rows.LEDGER) == len(members("ledger")) - 1
    assert len(rows.FLOW_STATES) == len(members("flow_state")) - 1
    assert len(rows.FLOW_ENDS) == len(members("flow_end")) - 1
    assert len(rows.TUNNELS) == len([m for m in members("tunnel") if m.strip()]) - 1
    assert rows.reasons()[:2] == ("none", "rule")
    assert "decoder.ipv4.pkt_too_small" in rows.events()


@pytest.mark.parametrize("file, name, dtype", [
    ("ring.pxd", "ring_row_t", rows.RING), ("isolation.pxd", "isolated4_t", rows.ISOLATED4), ("isolation.pxd", "isolated6_t", rows.ISOLATED6)])
def test_structs_of_pxd_files(file, name, dtype):
    body = re.search(rf"^cdef struct {name}:.*\n((?:    .*\n)+)", files("fastpath.dataplane").joinpath(file).read_text(), re.MULTILINE)[1]
    declared = []
    for base, names in re.findall(r"^ +(\w+) ([^#\n]+)", body, re.MULTILINE):
        for one in names.split(","):
            field, *shape = re.split(r"[\[\]]+", one.strip().rstrip("]"))
            declared.append((field, np.dtype((BASES[base], tuple(map(int, shape))) if shape else BASES[base])))
    assert [(field, dtype[field]) for field in dtype.names] == declared
