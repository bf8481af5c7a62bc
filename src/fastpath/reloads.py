"""Reloads as the command line asks for them: `--reload-at PACKET:RULES`, and SIGHUP while captures are read."""
from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastpath.outputs.terminal import plain, print_refusals


def read_reloads(errors: Any, rules: Any, asked: list[str], verbose: bool) -> tuple[dict[int, Any], bool]:
    """What `--reload-at` asks for, by packet: rules read as `rules` were. False beside it when some cannot be read or are malformed,
    which is said: the rules before stay in force there. ValueError for what is no packet and a path."""
    made: dict[int, Any] = {}
    sound = True
    for text in asked:
        number, colon, path = text.partition(":")
        if not colon or not path or not number.isascii() or not number.isdigit() or int(number) < 1:
            raise ValueError(f"--reload-at takes PACKET:RULES, with packets counted from 1, not {text}")
        if int(number) in made:
            raise ValueError(f"--reload-at names packet {int(number)} twice")
        reading = dict(rules.reading)
        limits = reading.pop("limits", ())
        try:
            found = type(rules).load(path, **reading)
            for limit in limits:
                found.limit(limit)
        except (OSError, ValueError) as error:
            errors.print(f"[yellow]--reload-at {int(number)}[/]: {plain(error, 600)}; the rules before stay in force", soft_wrap=True)
            sound = False
            continue
        if found.refusals:
            errors.print(f"[yellow]--reload-at {int(number)}[/]: {len(found):,} rules loaded, {len(found.refusals):,} not")
            print_refusals(errors, found, verbose)
        sound = sound and not found.malformed
        made[int(number)] = found
    return made, sound


@contextmanager
def on_hangup(errors: Any, engine: Any, files: list[str]) -> Iterator[None]:
    """Meanwhile SIGHUP has these rule files read and compiled again, in a process of their own, while packets go on. What fails is
    said, and the rules stay."""
    files = [file for file in files if Path(file).exists()]

    def reload() -> None:
        try:
            engine.reload(files)
        except Exception as error:
            errors.print(f"[yellow]reload failed[/]: {plain(error, 600)}; the rules before stay in force", soft_wrap=True)

    if threading.current_thread() is not threading.main_thread() or not files:
        yield
        return
    before = signal.signal(signal.SIGHUP, lambda number, frame: threading.Thread(target=reload, daemon=True).start())
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
