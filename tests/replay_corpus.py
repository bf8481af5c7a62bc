"""Replays every folder of captures of the corpus from end to end, with workers 1 and 2 and bursts 1 and 256: no crash, a closing
ledger, one digest.

    PYTHONPATH=src python tests/replay_corpus.py [--rules FILE...] [--corpus DIR] [FOLDER...]

Each run is a process of its own, so that a crash names its folder and its settings. Prints a line a folder; exit code 1 when
anything went wrong.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHAPES = [(1, 256), (2, 256), (1, 1), (2, 1)]       # workers, burst


def one(folder: str, workers: int, burst: int, rules: list[str]) -> None:
    """The child: prints what a run of one folder gave, as JSON."""
    import fastpath as fp
    config = fp.Config()
    loaded = fp.RuleSet.load(rules, variables=config.variables) if rules else None
    with fp.Engine(loaded, config=config, workers=workers, burst=burst) as engine:
        result = engine.replay(folder, keep=())
    stats = result.stats
    closes = all(sum(account[unit] for account in stats["ledger"].values()) == stats[unit] for unit in ("packets", "bytes"))
    print(json.dumps({"digest": result.digest, "packets": stats["packets"], "bytes": stats["bytes"], "alerts": stats["alerts"],
                      "flows": stats["flows"]["rows"], "captures": len(result.captures), "damaged": len(result.damages), "closes": closes,
                      "partial": result.partial, "seconds": stats["seconds"], "exceptions": stats["exceptions"]}))


def run(folder: Path, workers: int, burst: int, rules: list[str]) -> dict | str:
    """What the run gave, or what went wrong."""
    done = subprocess.run([sys.executable, __file__, "--one", f"{workers},{burst}", *(word for rule in rules for word in ("--rules", rule)),
                           str(folder)], check=False, capture_output=True, text=True, errors="replace")
    if done.returncode:
        return f"workers {workers}, burst {burst}: status {done.returncode}: {(done.stderr.strip().splitlines() or ['nothing said'])[-1]}"
    found = json.loads(done.stdout)
    if not found["closes"] or found["partial"]:
        return f"workers {workers}, burst {burst}: the ledger does not close: {found}"
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", action="append", default=[])
    parser.add_argument("--corpus", type=Path, default=Path(os.environ.get("FASTPATH_CORPUS") or ROOT.parent / "shared" / "corpus"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("folders", nargs="*")
    options = parser.parse_args()
    if options.one:
        one(options.folders[0], *map(int, options.one.split(",")), options.rules)
        return 0
    folders = [Path(folder) for folder in options.folders] or sorted(path for path in (options.corpus / "pcaps").iterdir() if path.is_dir())
    wrong = 0
    for folder in folders:
        found = [run(folder, workers, burst, options.rules) for workers, burst in SHAPES]
        errors = [each for each in found if isinstance(each, str)]
        digests = {each["digest"] for each in found if isinstance(each, dict)}
        if len(digests) > 1:
            errors.append(f"{len(digests)} digests: " + ", ".join(f"workers {workers} burst {burst} {each['digest'][:19]}"
                          for (workers, burst), each in zip(SHAPES, found, strict=True) if isinstance(each, dict)))
        if errors:
            wrong += 1
            print(f"{folder.name}: WRONG", *errors, sep="\n    ")
        else:
            first = found[0]
            print(f"{folder.name}: {first['captures']} captures ({first['damaged']} damaged), {first['packets']} packets, {first['flows']} flows, "
                  f"{first['alerts']} alerts, {first['digest']}")
        sys.stdout.flush()
    print(f"{len(folders) - wrong} of {len(folders)} folders are well")
    return 1 if wrong or not folders else 0


if __name__ == "__main__":
    sys.exit(main())
