"""What the walk through pickles is worth: dangerous imports by the lists of picklescan, which were not what its own lists were made from, and
harmless pickles. Prints a table for docs/models.md.

    python bench/pickles.py          # needs picklescan and numpy
"""
from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import importlib
import ipaddress
import pathlib
import pickle
import random
import uuid
from collections.abc import Iterator

import numpy as np

from fastpath.dataplane.applayer.models import examine

EACH = 25           # names of a module of which all are held to be dangerous, at most


def dangerous() -> Iterator[tuple[str, bytes]]:
    """Name of an import, and a pickle that calls it with a text."""
    from picklescan.scanner import _unsafe_globals
    for module, names in sorted(_unsafe_globals.items()):
        if names == "*":
            try:
                found = [name for name in dir(importlib.import_module(module)) if name[0] != "_"]
            except ImportError:
                found = ["run"]
            names = random.Random(module).sample(sorted(found), min(EACH, len(found)))
        for name in [names] if isinstance(names, str) else sorted(names):
            for protocol in (0, 4):
                called = f"c{module}\n{name}\n(Vx\ntR.".encode() if protocol == 0 else (
                    b"\x80\x04" + b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name)) + b"\x93\x8c\x01x\x85R.")
                yield f"{module}.{name}, protocol {protocol}", called


def harmless() -> Iterator[tuple[str, bytes]]:
    """What programs keep in pickles: containers, numbers, times, paths, arrays, what torch and scikit-learn put into theirs."""
    rng = np.random.default_rng(1)
    values = {
        "containers": {"a": [1, 2.5, "x", b"y", None, True, (1, 2), {3}, frozenset({4})]}, "OrderedDict": collections.OrderedDict(a=1),
        "defaultdict": collections.defaultdict(list, a=[1]), "Counter": collections.Counter("abca"), "deque": collections.deque([1, 2], 5),
        "datetime": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "timedelta": datetime.timedelta(3), "date": datetime.date(2026, 1, 2),
        "Decimal": decimal.Decimal("1.5"), "Fraction": fractions.Fraction(1, 3), "UUID": uuid.UUID(int=7), "path": pathlib.PurePosixPath("a/b"),
        "address": ipaddress.ip_address("10.0.0.1"), "complex": 1j, "range": range(3), "slice": slice(1, 2), "bytearray": bytearray(b"x"),
        "weights": {f"layer.{i}": rng.random((4, 4)) for i in range(9)}, "dtype": np.dtype([("a", "f4")]), "generator": rng, "scalar": np.float32(2),
        "random": random.Random(1),
    }
    for name, value in values.items():
        for protocol in range(6):
            yield f"{name}, protocol {protocol}", pickle.dumps(value, protocol)
    from picklescan.scanner import _safe_globals
    for module, names in sorted(_safe_globals.items()):
        for name in sorted(names):
            yield f"{module}.{name}", f"c{module}\n{name}\n.".encode() + b"\0" * 8


def judged(pickled: bytes) -> str:
    """high: runs code by the lists; medium: an import that no list knows; none."""
    words = {one.partition(" ")[0] for one in examine([pickled])["unsafe"]}
    return "high" if "pickle_import" in words else "medium" if words else "none"


def main() -> None:
    print("| pickles | of them | high | medium | nothing said |\n| --- | --- | --- | --- | --- |")
    for what, made in (("call what picklescan holds to be dangerous", dangerous()), ("harmless", harmless())):
        said = {name: judged(pickled) for name, pickled in made}
        count = collections.Counter(said.values())
        print(f"| {what} | {len(said)} | {count['high']} | {count['medium']} | {count['none']} |")
        for name, one in said.items():
            if (one == "none") is (what != "harmless"):
                print(f"    {one}: {name}")


if __name__ == "__main__":
    main()
