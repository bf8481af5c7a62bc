"""Rules read and compiled in a process of their own, while this one has packets to inspect.

Reading and compiling thousands of rules is seconds of Python, and of calls that hold the interpreter's lock; whoever waits for that
lock meanwhile waits long. The other process leaves what it made in a cache (cache.py), and here it is mapped, which takes
milliseconds.
"""
from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from fastpath.rules.cache import Cache
from fastpath.rules.ruleset import Paths, RuleSet

if TYPE_CHECKING:
    from fastpath.dataplane.match.database import Database

NICE = 10       # of the other process: packets come first
FEW = 128       # rules that are compiled sooner than a process begins, and that hold nobody up
KEY = bytes(32)     # of the one compiled form in a folder of its own


def load_apart(paths: Paths, event_codes: Mapping[str, int], options: Mapping[str, Any], *, cache: bool | str | Path = False,
               **reading: Any) -> tuple[RuleSet, Database]:
    """RuleSet.load(paths, **reading) and its compile(event_codes, **options). cache: where what was made is kept; False: nowhere.

    Raises what they raise: OSError for what cannot be read, ValueError for what does not compile, RuntimeError when the other process
    ends by itself.
    """
    limits = reading.pop("limits", ())
    with nullcontext(cache) if cache is not False else TemporaryDirectory(prefix="fastpath-") as where:
        folder = where if cache is not False else os.path.join(str(where), "rules")
        _there(_load_there, paths, reading, limits, dict(event_codes), dict(options), folder)
        rules = _load(paths, reading, limits, folder)
        database = rules.compile(event_codes, **options)
        if cache is False:
            rules.forget_cache()
    return rules, database


def compile_apart(rules: RuleSet, event_codes: Mapping[str, int], options: Mapping[str, Any]) -> Database:
    """rules.compile(event_codes, **options): at once where they have been compiled alike before or are few, else in a process of its own.

    That process reads them from their texts. Should it find other rules there, for a file of a data set has changed since, they are
    compiled here. Raises as load_apart.
    """
    made = rules.compiled(event_codes, **options)
    if made is not None:
        return made
    if len(rules) > FEW:
        texts, reading, lines = rules.told()
        with TemporaryDirectory(prefix="fastpath-") as where:
            names = [name for _, name in texts]
            for number, (text, _) in enumerate(texts):
                Path(where, str(number)).write_bytes(text)      # in pieces of their own: no single copy of all holds the lock
            folder = os.path.join(where, "rules")
            if _there(_compile_there, where, names, reading, lines, dict(event_codes), dict(options), folder) == _facts(rules):
                rules.adopt(Cache(folder), KEY, event_codes, options)
    return rules.compile(event_codes, **options)


def _load_there(paths: Paths, reading: dict[str, Any], limits: Any, event_codes: dict[str, int], options: dict[str, Any], folder: Any) -> None:
    _load(paths, reading, limits, folder).compile(event_codes, **options)


def _compile_there(where: str, names: list[str], reading: dict[str, Any], lines: Any, event_codes: dict[str, int], options: dict[str, Any],
                   folder: str) -> bytes:
    rules = RuleSet.retold([(Path(where, str(number)).read_bytes(), name) for number, name in enumerate(names)], reading, lines)
    rules.compile_into(Cache(folder), KEY, event_codes, options)
    return _facts(rules)


def _facts(rules: RuleSet) -> bytes:
    """What two rule sets of the same texts differ in, if they do."""
    return blake2b(rules.numbers.tobytes() + repr(sorted(rules.lists.items())).encode()).digest()


def _load(paths: Paths, reading: dict[str, Any], limits: Any, folder: Any) -> RuleSet:
    rules = RuleSet.load(paths, **reading, cache=folder)
    for path in limits:
        rules.limit(path)
    return rules


def _there(what: Callable[..., Any], *job: Any) -> Any:
    """What a function of this module gives in another process."""
    root = str(Path(__file__).resolve().parents[2])
    there = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    done = subprocess.run([sys.executable, "-m", __name__], check=False, input=pickle.dumps((what.__name__, job)), capture_output=True, env=there)
    if done.returncode:
        raise RuntimeError(f"the process that compiles ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
    failed, made = pickle.loads(done.stdout)
    if failed is not None:
        kind, text = failed
        raise {"OSError": OSError, "ValueError": ValueError}.get(kind, RuntimeError)(text)
    return made


def main() -> None:
    """The other process: a job on standard input, what went wrong (or None) and what was made on standard output."""
    failed = made = None
    os.nice(NICE)
    what, job = pickle.load(sys.stdin.buffer)
    try:
        made = {"_load_there": _load_there, "_compile_there": _compile_there}[what](*job)
    except Exception as error:
        kind = next(one.__name__ for one in (OSError, ValueError, Exception) if isinstance(error, one))
        failed = kind, str(error)
    sys.stdout.buffer.write(pickle.dumps((failed, made)))


if __name__ == "__main__":
    main()
