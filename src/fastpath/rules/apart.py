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
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from fastpath.rules.ruleset import Paths, RuleSet

if TYPE_CHECKING:
    from fastpath.dataplane.match.database import Database

NICE = 10       # of the other process: packets come first


def load_apart(paths: Paths, event_codes: Mapping[str, int], options: Mapping[str, Any], *, cache: bool | str | Path = False,
               **reading: Any) -> tuple[RuleSet, Database]:
    """RuleSet.load(paths, **reading) and its compile(event_codes, **options). cache: where what was made is kept; False: nowhere.

    Raises what they raise: OSError for what cannot be read, ValueError for what does not compile, RuntimeError when the other process
    ends by itself.
    """
    limits = reading.pop("limits", ())
    with nullcontext(cache) if cache is not False else TemporaryDirectory(prefix="fastpath-") as where:
        folder = where if cache is not False else os.path.join(str(where), "rules")
        job = (paths, reading, limits, dict(event_codes), dict(options), folder)
        _run(pickle.dumps(job))
        rules = _load(paths, reading, limits, folder)
        database = rules.compile(event_codes, **options)
        if cache is False:
            rules.forget_cache()
    return rules, database


def _load(paths: Paths, reading: dict[str, Any], limits: Any, folder: Any) -> RuleSet:
    rules = RuleSet.load(paths, **reading, cache=folder)
    for path in limits:
        rules.limit(path)
    return rules


def _run(job: bytes) -> None:
    root = str(Path(__file__).resolve().parents[2])
    there = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    done = subprocess.run([sys.executable, "-m", __name__], check=False, input=job, capture_output=True, env=there)
    if done.returncode:
        raise RuntimeError(f"the process that compiles ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
    failed = pickle.loads(done.stdout)
    if failed is not None:
        kind, text = failed
        raise {"OSError": OSError, "ValueError": ValueError}.get(kind, RuntimeError)(text)


def main() -> None:
    """The other process: a job on standard input, None or what went wrong on standard output."""
    failed = None
    os.nice(NICE)
    paths, reading, limits, event_codes, options, folder = pickle.load(sys.stdin.buffer)
    try:
        _load(paths, reading, limits, folder).compile(event_codes, **options)
    except Exception as error:
        kind = next(one.__name__ for one in (OSError, ValueError, Exception) if isinstance(error, one))
        failed = kind, str(error)
    sys.stdout.buffer.write(pickle.dumps(failed))


if __name__ == "__main__":
    main()
