"""One engine among several that go through the same captures together, each with a data plane and a run of its own; and how they go."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from fastpath.control.engine import STEP, Engine, Progress, _fed, _opened
from fastpath.control.result import KEPT, Damage, Result, Run, Sink, check_keep


class Side:
    """engine: whose rules, policy and settings hold; a reload of it takes effect with the next step. keep, limit, sinks: as in
    Engine.replay."""

    def __init__(self, engine: Engine, keep: Iterable[str] = (), limit: int = KEPT, sinks: Sequence[Sink] = ()):
        self.engine = engine
        self.run = Run(check_keep(keep), limit, sinks)
        self.plane = engine._new_plane(self.run)
        self.bursts = max(1, STEP // engine._settings["burst"])

    def begin(self, path: str) -> None:
        """A capture begins."""
        self.plane.begin_capture()
        self.run.capture = self.run.captures.begin(path, self.plane.next_ordinal)

    def take(self) -> dict[str, np.ndarray]:
        """The rows that have retired."""
        return self.run.take(self.plane.rows(), self.plane.kept()).rows

    def step(self, source: Any) -> tuple[bool, dict[str, np.ndarray]]:
        """Some packets of the source: whether there may be more now, and what came of them."""
        staged = self.engine._staged
        if staged.is_behind(self.plane):
            self.take()
            staged.follow(self.plane, self.run)
        more = self.plane.step(source, self.bursts)
        staged.expire(self.plane.time)
        return more, self.take()

    def flush(self) -> tuple[bool, dict[str, np.ndarray]]:
        """Ends the flows of the next bucket: whether there are more, and what came of it."""
        more = self.plane.flush()
        return more, self.take()

    def finish(self, damages: list[Damage], partial: bool) -> Result:
        """What came of it all; sinks are closed."""
        return self.engine._finish(self.plane, self.run, damages, partial)

    def close(self) -> None:
        self.engine._staged.detach(self.plane)
        self.plane.close()


def walk(captures: Any, damages: list[Damage], begin: Callable[[Any], Callable[[], bool]],
         between: Callable[[], None] | None) -> Iterator[tuple[Any, int]]:
    """Goes through captures (captures.open_captures) step by step; yields, after each, the capture and the bytes of those before it.

    begin: begins with a capture, and gives what takes a step of it and says whether there may be more now. between: is called before each
    capture but the first; None: they are one stream. Damages are noted. FilterError where the filter does not fit the first capture.
    """
    from fastpath.dataplane.rx import Status
    done = number = 0
    for number, capture in enumerate(_opened(captures, damages), 1):
        if number > 1 and between is not None:
            between()
        step = begin(capture)
        more = True
        while more:
            more = step()
            yield capture, done
            if not more and capture.source.status == Status.NEED:
                more = _fed(capture, number == 1, damages)
        if capture.damage is not None:
            damages.append(Damage(capture.path, *capture.damage))
        done += capture.bytes_total or 0


class Clock:
    """Says how far a walk is. progress: as in Engine.replay, or None."""

    def __init__(self, captures: Any, progress: Callable[[Progress], None] | None):
        self._total, self._progress, self._started = captures.bytes_total, progress, time.perf_counter()

    def tell(self, capture: Any, done: int, packets: int, size: int, alerts: int) -> None:
        """done: bytes of the captures before this one. packets, size: read so far."""
        if self._progress is not None:
            self._progress(Progress(capture.path, packets, size, alerts, time.perf_counter() - self._started,
                                    (done + capture.bytes_done) / self._total if self._total else None))
