"""The walk through pickles, against one that CPython's own tables of opcodes make (pickletools), and against picklescan."""
from __future__ import annotations

import collections
import datetime
import decimal
import io
import os
import pickle
import pickletools
import random
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_models import Runs

from fastpath.dataplane.applayer.models import examine

UNRESOLVED = None


def cut(data: bytes, rng: random.Random) -> list[bytes]:
    """In pieces of any size."""
    pieces, at = [], 0
    while at < len(data):
        size = rng.choice((1, 1, 2, 3, 7, 64, 1000))
        pieces.append(data[at:at + size])
        at += size
    return pieces


def imported(data: bytes) -> list[tuple[str, str] | None]:
    """What a pickle imports, in order, by pickletools: stack effects as its tables say them. ValueError where it is none."""
    stack: list[object] = []
    memo: dict[int, object] = {}
    found: list[tuple[str, str] | None] = []
    mark = pickletools.markobject
    for opcode, argument, _ in pickletools.genops(data):
        name, taken, given_back = opcode.name, list(opcode.stack_before), list(opcode.stack_after)
        if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            if not stack or stack[-1] is mark:
                raise ValueError(name)
            memo[len(memo) if name == "MEMOIZE" else int(argument)] = stack[-1]
            continue
        if name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo.get(int(argument), "unknown:"))
            continue
        if name == "STACK_GLOBAL":
            if len(stack) < 2 or mark in stack[-2:]:
                raise ValueError(name)
            what, module = stack.pop(), stack.pop()
            is_text = isinstance(what, tuple) and isinstance(module, tuple)
            found.append((module[0], what[0]) if is_text else UNRESOLVED)
            stack.append("class:")
            continue
        if name in ("GLOBAL", "INST"):
            found.append(tuple(argument.split(" ", 1)))
        if name.startswith("EXT"):
            found.append(UNRESOLVED)
        if name == "POP" and stack and stack[-1] is mark:
            stack.pop()
            continue
        if name == "DUP":
            if not stack or stack[-1] is mark:
                raise ValueError(name)
            stack.append(stack[-1])
            continue
        if mark in taken or name == "POP_MARK":
            if mark not in stack:
                raise ValueError(name)
            values = 0
            while stack.pop() is not mark:
                values += 1
            if name == "OBJ" and not values:
                raise ValueError(name)
            taken = taken[:taken.index(mark)] if mark in taken else []
        if len(stack) < len(taken) or any(stack[-1 - i] is mark for i in range(len(taken))):
            raise ValueError(name)
        del stack[len(stack) - len(taken):]
        if name == "MARK":
            stack.append(mark)
        elif opcode.name in ("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"):
            stack.append((argument,))
        else:
            stack += ["value:"] * len(given_back)
    return found


def told(data: bytes, seed: int = 0) -> dict:
    """What the walk says, whatever the pieces."""
    whole = examine([data])
    assert examine(cut(data, random.Random(seed))) == whole
    return whole


def modules(found: dict) -> set[str]:
    return {one.partition(" ")[2] for one in found["unsafe"] if one.startswith(("pickle_import ", "pickle_unknown_import "))}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20) | st.binary(max_size=300)
    | st.sampled_from([collections.OrderedDict, decimal.Decimal("1.5"), datetime.date(2020, 1, 1), Runs(), Runs(subprocess.call, ["a"]), Runs(eval, "1"),
                       collections.deque([1]), io.BytesIO, np.float32(3), np.arange(3), os.getcwd]),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=5), inner, max_size=4) | st.frozensets(
        st.integers(), max_size=3), max_leaves=30)


@settings(max_examples=200, deadline=None)
@given(value=values, protocol=st.integers(0, 5), seed=st.integers(0, 1000))
def test_random_objects(value, protocol, seed):
    data = pickle.dumps(value, protocol)
    expected = imported(data)
    found = told(data, seed)
    if protocol < 2 and not expected:
        assert found["format"] in ("", "pickle")
        return
    if found["format"] == "":
        assert len(data) < 16 or not expected
        return
    assert found["imports"] == len(expected) and not any(one.startswith("pickle_malformed") for one in found["unsafe"])
    dangerous = {"posix.system", "subprocess.call", "commands.call", "builtins.eval", "__builtin__.eval", "_io.BytesIO", "posix.getcwd"}
    assert {f"{module}.{name}" for module, name in expected} & dangerous == {
        one.partition(" ")[2] for one in found["unsafe"] if one.startswith("pickle_import ")}


TEXTS = ("os", "system", "builtins", "eval", "collections", "OrderedDict", "odd", "name", "x" * 200)


@st.composite
def programs(draw):
    """Opcodes in any order, most of which fit what is on the stack."""
    made = b"\x80\x04"
    for _ in range(draw(st.integers(1, 40))):
        text = draw(st.sampled_from(TEXTS)).encode()
        number = draw(st.integers(0, 5))
        made += draw(st.sampled_from([
            b"\x8c" + bytes([len(text)]) + text, b"X" + len(text).to_bytes(4, "little") + text, b"V" + text + b"\n", b"S'" + text + b"'\n",
            b"U" + bytes([len(text)]) + text, b"\x8d" + len(text).to_bytes(8, "little") + text, b"\x94", b"h" + bytes([number]), b"N", b"0", b"2", b"(",
            b"t", b"\x93", b"\x93", b"\x85", b"\x86", b"R", b"b", b")", b"cos\n" + text + b"\n", b"K\x01", b"1", b"}", b"C\x02ab", b"l", b"o"]))
    return made + b"."


@settings(max_examples=400, deadline=None)
@given(program=programs(), seed=st.integers(0, 1000))
def test_random_programs(program, seed):
    found = told(program, seed)
    try:
        expected = imported(program)
    except (ValueError, IndexError):
        expected = None
    if expected is None:
        assert found["format"] == "" or any(one.startswith("pickle_malformed") for one in found["unsafe"])
        return
    if found["format"] != "pickle":
        assert found["format"] == "" and not expected
        return
    texts = {f"{module}.{name}" for one in expected if one is not None for module, name in [one] if len(module) <= 112 and len(name) <= 112}
    assert found["imports"] == len(expected)
    assert modules(found) == {one for one in texts if one != "collections.OrderedDict"}
    unresolved = any(one is None or max(map(len, one)) > 112 for one in expected)
    assert unresolved == any(one.startswith("pickle_unresolved_import") for one in found["unsafe"])


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("call", [os.system, subprocess.Popen, eval, getattr, __import__])
def test_calls_are_found(protocol, call):
    found = told(pickle.dumps({"a": [1, Runs(call, "os")]}, protocol))
    assert found["format"] == "pickle" and any(one.startswith("pickle_import ") for one in found["unsafe"])


@pytest.mark.parametrize("data, finding", [
    (b"cos\nsystem\n(S'id'\ntR.", "pickle_import os.system"),
    (b"(S'id'\nios\nsystem\n.", "pickle_import os.system"),
    (b"(cos\nsystem\nS'id'\no.", "pickle_import os.system"),
    (b"\x80\x04S'o\\x73'\nS'\\163ystem'\n\x93K\x01\x85R.", "pickle_import os.system"),
    (b"\x80\x04V\\u006fs\nVsystem\n\x93K\x01\x85R.", "pickle_import os.system"),
    (b"\x80\x04\x8c\x02os\x940h\x00\x8c\x06system\x93.", "pickle_import os.system"),
    (b"\x80\x04\x8c\x05torch\x8c\x09os.system\x93.", "pickle_import torch.os.system"),
    (b"\x80\x04\x8c\x0bcollections\x8c\x1aOrderedDict.__reduce_ex__x\x93.", "pickle_unknown_import collections.OrderedDict.__reduce_ex__x"),
    (b"\x80\x04NN\x93.", "pickle_unresolved_import"),
    (b"\x80\x02\x82\x07N0.", "pickle_extension"),
    (b"\x80\x02Nr\xff\xff\xff\xff00000000000000000000", "pickle_bomb memo index"),
    (b"\x80\x02cos\nsystem\n\x8b\xff\xff\xff\xff", "pickle_bomb length"),
    (b"\x80\x02cos\nsystem\nI" + b"9" * 5000 + b"\n.", "pickle_bomb numeral"),
    (b"\x80\x02cos\nsystem\n" + b"(" * 300, "pickle_limit marks"),
    (b"\x80\x02cos\nsystem\nRRRR", "pickle_malformed stack underflow"),
    (b"\x80\x02cos\nsystem\n\xff", "pickle_malformed opcode"),
])
def test_what_is_found(data, finding):
    assert finding in told(data)["unsafe"]


def test_a_name_outlives_many_strings():
    """Module names that the memo holds stay known, however many strings come between."""
    between = b"".join(b"\x8c\x06" + b"k%05d" % number + b"\x940" for number in range(3000))
    data = b"\x80\x04\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x930" + between + b"h\x00\x8c\x05deque\x93."
    assert told(data)["unsafe"] == [] and told(data)["imports"] == 2


def test_ordinary_pickles_are_safe():
    for value in (collections.OrderedDict(a=np.arange(5), b=np.float32(1)), np.random.default_rng(1), {"x": np.dtype("f4"), "d": datetime.datetime(2020, 1, 1)},
                  [set([1]), frozenset([2]), complex(1, 2), bytearray(b"x"), range(3), slice(1)]):
        for protocol in range(2, 6):
            assert told(pickle.dumps(value, protocol))["unsafe"] == [], (value, protocol)


@settings(max_examples=60, deadline=None)
@given(value=values, protocol=st.integers(2, 5))
def test_against_picklescan(value, protocol):
    """What picklescan holds to be dangerous is never ordinary here; what it names is named."""
    scanner = pytest.importorskip("picklescan.scanner")
    data = pickle.dumps(value, protocol)
    result = scanner.scan_pickle_bytes(io.BytesIO(data), "x")
    found = told(data)
    bad = {f"{one.module}.{one.name}" for one in result.globals if one.safety == scanner.SafetyLevel.Dangerous}
    assert bad <= modules(found)


def test_lists_are_sorted_and_apart():
    """They are searched by halving."""
    import re
    from importlib.resources import files
    text = files("fastpath.dataplane.applayer.model").joinpath("imports.h").read_text()
    lists = [re.findall(r'"([^"]+)"', part.partition("};")[0]) for part in text.split("[] = {")[1:]]
    for one in lists:
        assert one == sorted(set(one), key=str.encode) and all(re.fullmatch(r"[\w.]+[.+]|[\w.]+ [\w.]+", entry) for entry in one)
    assert not set(lists[0]) & set(lists[1])
