"""OISF's conformance tests (suricata-verify), as far as the rules of a test are loaded exactly and wholly.

    python tests/differential/suricata_verify.py [--all] [--write] [NAME...]

Prints how many of the eligible tests pass. --all takes those with refused rules too, --write records the passing ones in
passing.txt, which test_suricata_alerts.py holds fastpath to. The corpus is found as in tests/conftest.py.
"""
from __future__ import annotations

import argparse
import csv
import json
import operator
import os
import re
import shlex
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
PASSING = HERE / "passing.txt"
SURICATA = (7, 0, 10)
COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "==": operator.eq, "!=": operator.ne}


@dataclass(frozen=True, slots=True)
class Case:
    """One test: its folder, capture, rules, the arguments it gives, and its checks on alerts: (what to match, how many)."""
    name: str
    folder: Path
    capture: Path
    rules: Path
    args: tuple[str, ...]
    checks: tuple[tuple[dict, int | str], ...]

    @property
    def config(self) -> Path | None:
        path = self.folder / "suricata.yaml"
        return path if path.exists() else None


def release(text: Any) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", str(text))[:3]))


def applies(requires: dict | None) -> bool:
    """Whether a check is meant for the release of Suricata that parity is held with."""
    requires = requires or {}
    return release(requires.get("min-version", 0)) <= SURICATA < release(requires.get("lt-version", 99))


def cases(root: Path) -> Iterator[Case]:
    """The certified tests below `root` that check alerts."""
    with (root / "certified.tsv").open() as listed:
        rows = list(csv.DictReader(listed, delimiter="\t"))
    for row in rows:
        folder = root / "tests" / row["test"]
        told = yaml.safe_load((folder / "test.yaml").read_text()) or {}
        args = told.get("args") or []
        words = [word for arg in ([args] if isinstance(args, str) else args) for word in shlex.split(str(arg))]
        checks = []
        for check in told.get("checks") or []:
            wanted = check.get("filter") if isinstance(check, dict) else None
            if wanted and wanted["match"].get("event_type") == "alert" and applies(wanted.get("requires")) \
                    and wanted.get("filename", "eve.json") == "eve.json":
                checks.append((wanted["match"], wanted["count"]))
        if checks:
            yield Case(row["test"], folder, root / row["pcap"], root / row["rules"], tuple(words), tuple(checks))


MISSING = object()
HOW = {
    "": lambda value, wanted: value == wanted or str(value) == str(wanted),
    "len": lambda value, wanted: len(value) == wanted,
    "contains": lambda value, wanted: wanted in value,
    "find": lambda value, wanted: wanted in value,
    "startswith": lambda value, wanted: str(value).startswith(str(wanted)),
    "endswith": lambda value, wanted: str(value).endswith(str(wanted)),
}


def at(event: Any, path: str) -> Any:
    """What stands at a path such as "flow.pkts_toclient" or "ether.src_macs[0]"; MISSING for nothing."""
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        if name and isinstance(event, dict) and name in event:
            event = event[name]
        elif index and isinstance(event, list) and int(index) < len(event):
            event = event[int(index)]
        else:
            return MISSING
    return event


def matches(event: dict, match: dict) -> bool:
    """Whether an EVE event has all that a filter names."""
    for key, wanted in match.items():
        if key in ("has-key", "not-has-key"):
            names = wanted if isinstance(wanted, list) else [wanted]
            if any((at(event, name) is not MISSING) != (key == "has-key") for name in names):
                return False
            continue
        path, _, how = key.partition("__")
        value = at(event, path.rstrip("."))
        if value is MISSING:
            if wanted is not None:
                return False
            continue
        if not HOW[how](value, wanted):
            return False
    return True


def is_count(counted: int, wanted: int | str) -> bool:
    comparison, number = re.fullmatch(r"\s*([<>=!]*)\s*(\d+)\s*", str(wanted)).groups()
    return COMPARISONS[comparison or "="](counted, int(number))


def run_command(args: list[str], folder: Path) -> tuple[int, str]:
    """Exit code of `fastpath ARGS`, run in that folder, and what it said. In a fork: the modules are loaded once for all tests."""
    from fastpath.__main__ import main as fastpath
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        child = os.fork()
        if child == 0:
            code = 70
            try:
                os.chdir(folder)
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
                sys.argv = ["fastpath", *args]
                signal.alarm(120)
                fastpath()
            except SystemExit as done:
                code = done.code if isinstance(done.code, int) else 0 if done.code is None else 2
            except BaseException:       # a child of pytest must not become a second pytest
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        return code, said.read()


def run(case: Case) -> str:
    """"" when the case passes, else why not."""
    with tempfile.TemporaryDirectory() as out:
        args = [word.replace("${TEST_DIR}", str(case.folder)).replace("${OUTPUT_DIR}", out) for word in case.args]
        config = ["-c", str(case.config)] if case.config else []
        command = ["replay", "--compat", "suricata-7.0", str(case.capture), "-S", str(case.rules), "-l", out, *config, *args]
        code, said = run_command(command, case.folder)
        if code not in (0, 1):
            return f"exit code {code}: {(said.strip().splitlines() or [''])[-1]}"
        eve = Path(out) / "eve.json"
        events = [json.loads(line) for line in eve.read_text().splitlines()] if eve.exists() else []
    for match, wanted in case.checks:
        counted = sum(matches(event, match) for event in events)
        if not is_count(counted, wanted):
            return f"{counted} instead of {wanted} of {json.dumps(match)}"
    return ""


def refused(case: Case) -> int:
    """Rules of the case that fastpath refuses; its configuration counts as one."""
    import fastpath as fp
    try:
        config = fp.Config.load(case.config)
    except fp.ConfigError:
        return 1
    return len(fp.RuleSet.load([str(case.rules)], variables=config.variables).refusals)


def eligible(root: Path) -> list[Case]:
    return [case for case in cases(root) if not refused(case)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    root = Path(os.environ.get("FASTPATH_CORPUS") or HERE.parents[2] / "shared" / "corpus") / "suricata-verify"
    every = list(cases(root))
    chosen = [case for case in (every if options.all else eligible(root)) if not options.names or case.name in options.names]
    passing = []
    for case in chosen:
        why = run(case)
        if why:
            print(f"{case.name}: {why}")
        else:
            passing.append(case.name)
    print(f"{len(passing)} of {len(chosen)} pass; {len(every)} are certified for alerts")
    if options.write:
        PASSING.write_text("".join(f"{name}\n" for name in sorted(passing)))


if __name__ == "__main__":
    main()
