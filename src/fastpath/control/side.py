"""One engine among several that go through the same captures together, each with a data plane and a run of its own."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fastpath.control.engine import STEP, Engine
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
