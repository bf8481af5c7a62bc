"""The compiled form: both sides hold the same structs, and a broken blob is refused or harmless."""
from __future__ import annotations

import re
from pathlib import Path
from random import Random

import numpy as np
import pytest
from captures import tcp, udp
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import plan

import fastpath
from fastpath.dataplane.match.database import Database, read_struct
from fastpath.dataplane.trial import Trial
from fastpath.rules import program as p
from fastpath.rules.compile import compile_blob, compile_rules
from fastpath.rules.plan import (
    Base64Decode,
    Bits,
    ByteExtract,
    ByteJump,
    ByteMath,
    ByteTest,
    Content,
    Flowbits,
    FlowState,
    HasEvent,
    IsDataAt,
    Number,
    Pcre,
    PortSet,
    Presence,
    Threshold,
)

HEADER = (Path(fastpath.__file__).parent / "dataplane/match/program.h").read_text()


def every_kind():
    """Rules that together use every op."""
    return [
        plan([Content(b"abc", nocase=True), Content(b"d", distance=1, within=4), Pcre(b"x[0-9]+", "i"), IsDataAt(2)], sid=1),
        plan([ByteExtract(1, 0, "n"), ByteTest(2, ">", "n", 1), ByteMath(1, 0, "+", "n", "m"), ByteJump(1, 0), Content(b"q", offset="m")],
             sid=2),
        plan([Content(b"z"), Base64Decode(relative=True)], decoded=[Content(b"hidden")], sid=3),
        plan(proto="tcp", conditions=[Number("ttl", ((1, 5), (9, 255))), Bits("tcp.flags", "+", 2), FlowState("to_server"),
                                      Flowbits("isset", ("a", "b"))], after=[Flowbits("set", ("c",))], sid=4,
             threshold=Threshold("limit", "by_src", 1, 60), dport=PortSet(((80, 90),))),
        plan(proto="ip", conditions=[Presence("sameip"), Presence("ipopts:rr"), HasEvent("odd")], sid=5),
        plan(proto="icmp", sid=6), plan([Content(b"longer pattern")], proto="tcp", sid=7, bidirectional=True, sport=PortSet(((1, 9),)))]


BLOB, NAMES, _ = compile_blob(every_kind(), {"odd": 4})
PACKETS = [udp(b"abcXd x12"), udp(b"\x05aaaaaaaaaaqq"), udp(b"zaGlkZGVu"), tcp(b"longer pattern", sport=3), tcp(flags=2, dport=85), b"\0" * 20]


def enum_values() -> dict[str, int]:
    """The enumerators of program.h."""
    values: dict[str, int] = {}
    for body in re.findall(r"enum\s*\w*\s*\{(.*?)\}", re.sub(r"/\*.*?\*/", "", HEADER, flags=re.DOTALL), re.DOTALL):
        number = 0
        for item in filter(None, (item.strip() for item in body.split(","))):
            name, _, given_value = (part.strip() for part in item.partition("="))
            number = eval(given_value, {}, values) if given_value else number
            values[name] = number
            number += 1
    return values


def test_numbers_are_those_of_the_header():
    known = enum_values()
    for name, number in known.items():
        if isinstance(getattr(p, name, None), int):
            assert getattr(p, name) == number, name
        elif hasattr(p, name):
            assert len(set(getattr(p, name).values())) == number, name
    assert [known[f"SECTION_{name}"] for name in p.SECTIONS] == list(range(known["SECTION_MAX"]))
    assert known["PROGRAM_VERSION"] == p.VERSION
    assert {"RULE_FLOW_ACTION", "OP_BASE64", "CONTENT_ALONE", "HAS_BITMASK"} <= {name for name in known if hasattr(p, name)}
    for prefix, names in (("FIELD_", p.FIELDS), ("BUFFER_", p.BUFFERS)):
        assert sorted(set(names.values())) == list(range(known[f"{prefix}MAX"]))


@pytest.mark.parametrize("name", ["RULES", "SETS", "V4", "V6", "PORT_SETS", "PORT_RANGES", "NUMBERS", "GROUPS", "PATTERNS", "EXPRESSIONS",
                                  "THRESHOLDS", "IPONLY"])
def test_structs_are_those_of_the_header(name):
    """What numpy packs, field by field, C reads under the same names."""
    dtype = p.WIDTHS[name]
    record = np.frombuffer(Random(1).randbytes(dtype.itemsize), dtype)[0]

    def plain(value):
        if isinstance(value, np.void) and value.dtype.names:
            return {field: plain(value[field]) for field in value.dtype.names}
        return value.tolist()
    assert read_struct(name, record.tobytes()) == plain(record)


@pytest.mark.parametrize(("name", "packer", "fields"), [
    ("content", p.CONTENT_OP, "code flags at length offset depth distance within probe"),
    ("byte", p.BYTE_OP, "code flags nbytes base what result offset bitmask post multiplier value"),
    ("bits", p.BITS_OP, "code flags field mode value ignore"), ("base64", p.BASE64_OP, "code flags bytes offset block"),
    ("block", p.BLOCK_OP, "code flags buffer next chain"),
    ("interface", p.INTERFACE_OP, "code flags uuid versions"), ("file", p.FILE_OP, "code flags what ranges at count"),
    ("plain", p.PLAIN_OP, "code flags value"),
    ("pcre", p.PCRE_OP, "code flags expression captures"), ("capture", p.CAPTURE_OP, "code flags what name"),
    ("dataset", p.DATASET_OP, "code flags what entries rank name memcap kind"), ("flowvar", p.FLOWVAR_OP, "code flags what name at length"),
    ("filestore", p.FILESTORE_OP, "code flags scope directions"),
    ("isdataat", p.ISDATAAT_OP, "code flags at"), ("number", p.NUMBER_OP, "code flags field ranges"),
    ("flowbits", p.FLOWBITS_OP, "code flags what bits")])
def test_ops_are_those_of_the_header(name, packer, fields):
    assert packer.size == 32
    values = list(range(3, 3 + len(packer.unpack(bytes(32)))))
    found = read_struct(name, packer.pack(*values))
    flat = [number for field in fields.split() for number in (
        found[field].values() if isinstance(found[field], dict) else found[field] if isinstance(found[field], list) else [found[field]])]
    assert flat == values


def test_round_trip():
    database = Database(BLOB, names=NAMES)
    assert (database.plans, database.rule_count, database.names) == (7, 8, ("a", "b", "c"))
    found = Trial(database).match(PACKETS)
    assert [[rule for rule, _ in matched] for matched in found] == [[0], [1], [2], [6], [], []]
    assert Trial(Database(bytearray(BLOB))).match(PACKETS) == found


def test_no_rules():
    database = compile_rules([])
    assert (database.plans, database.databases) == (0, 0)
    assert Trial(database).match(PACKETS) == [[]] * len(PACKETS)


@pytest.mark.parametrize("blob", [b"", b"x" * 500, BLOB[:-1], BLOB + b"\0", BLOB[:100], b"fprules\n" + b"\xff" * 1000])
def test_not_a_blob(blob):
    with pytest.raises(ValueError, match="rule database"):
        Database(blob)


def test_wrong_types():
    with pytest.raises(TypeError):
        Database("text")
    with pytest.raises(TypeError):
        Database(None)
    with pytest.raises(TypeError):
        Trial(None)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_a_mutated_blob_is_refused_or_harmless(seed):
    """Bytes changed outside the large tables: a ValueError, or a rule set that runs over packets without harm."""
    choice = Random(seed)
    blob = bytearray(BLOB)
    table = np.frombuffer(BLOB, p.SECTION, len(p.SECTIONS), p.HEADER.itemsize)
    for _ in range(choice.randint(1, 4)):
        section = choice.choice([s for s, name in zip(table, p.SECTIONS) if s["count"] and name != "SERIALIZED"] + [None])
        start, size = (0, 400) if section is None else (int(section["offset"]), int(section["count"] * section["width"]))
        at = start + choice.randrange(size)
        blob[at] = choice.choice((0, 1, 0xFF, 0x7F, blob[at] ^ 1 << choice.randrange(8)))
    try:
        trial = Trial(Database(blob))
    except ValueError:
        return
    for found in trial.match(PACKETS):
        assert all(rule < 7 for rule, _ in found)


def test_a_damaged_hyperscan_database_is_refused():
    table = np.frombuffer(BLOB, p.SECTION, len(p.SECTIONS), p.HEADER.itemsize)
    section = table[p.SECTIONS.index("SERIALIZED")]
    for at in (0, 5, 50, 200):
        blob = bytearray(BLOB)
        blob[int(section["offset"]) + at] ^= 0x55
        with pytest.raises(ValueError, match="Hyperscan refuses"):
            Database(blob)


def test_a_bad_expression_is_named():
    with pytest.raises(ValueError, match="offset"):
        compile_rules([plan([Pcre(b"(unclosed", "")])])


def test_counters_and_order():
    """Rules run by action, flowbits, priority and load order; counters are by the index of loading."""
    plans = [plan([Content(b"xx")], sid=1), plan([Content(b"xx")], sid=2, priority=1), plan([Content(b"xx")], sid=3, action="drop"),
             plan([Content(b"xx")], sid=4, after=[Flowbits("set", ("f",))]),
             plan([Content(b"xx")], sid=5, conditions=[Flowbits("isset", ("f",))])]
    trial = Trial(compile_rules(plans))
    assert [rule for rule, _ in trial.match([udp(b"xx")])[0]] == [2, 3, 4, 1, 0]
    trial.match([udp(b"yy"), udp(b"xx")])
    checks, candidates, matches, ns = trial.scratch.counters()
    assert checks.tolist() == candidates.tolist() == matches.tolist() == [2] * 5
    assert ns.tolist() == [0] * 5        # nobody asked for them to be timed


def test_pass_ends_the_list():
    plans = [plan([Content(b"x")], sid=1), plan([Content(b"xy")], sid=2, action="pass"), plan([Content(b"x")], sid=3, action="drop")]
    assert Trial(compile_rules(plans)).match([udp(b"xy"), udp(b"x")]) == [[(1, {"alert", "pass"})], [(2, {"alert"}), (0, {"alert"})]]


def test_flowbits_memory_is_bounded():
    """At the cap a flowbit is not set, the run goes on, and it is counted."""
    plans = [plan([Content(b"s")], sid=1, after=[Flowbits("set", ("f",))], noalert=True),
             plan([Content(b"s")], sid=2, conditions=[Flowbits("isset", ("f",))])]
    packets = [udp(b"s", sport=port) for port in range(10)]
    database = compile_rules(plans)
    free, tight = Trial(database), Trial(database, flowbits_memory=3 * 192)
    assert [len(found) for found in free.match(packets)] == [2] * 10
    assert [len(found) for found in tight.match(packets)] == [2] * 3 + [1] * 7
    assert (free.flowbits_refused, tight.flowbits_refused) == (0, 7)
