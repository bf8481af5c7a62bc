"""What other threads ask of an engine that is at work: done by whoever runs it, between two steps."""
from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

PATIENCE = 0.005        # seconds between two looks at whether the engine has come to rest


class _Order:
    """One call, and what came of it."""

    def __init__(self, act: Callable[[Any], Any]):
        self.act = act
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None

    def obey(self, plane: Any) -> None:
        try:
            self.result = self.act(plane)
        except Exception as error:
            self.error = error
        finally:
            self.done.set()


class Boundary:
    """Calls on a data plane from any thread. `busy`: held by whoever runs the engine."""

    def __init__(self, busy: threading.Lock):
        self._busy = busy
        self._orders: deque[_Order] = deque()
        self._runner: int | None = None         # thread that runs captures, while it is between two steps
        self._plane: Any = None

    def obey(self, plane: Any) -> None:
        """By the running thread, between two steps."""
        while self._orders:
            self._orders.popleft().obey(plane)

    def at_rest(self, plane: Any) -> None:
        """The running thread is about to call others (sinks, progress, who iterates): what they ask is done at once."""
        self._runner, self._plane = threading.get_ident(), plane

    def ended(self) -> None:
        self._runner = self._plane = None

    def run(self, act: Callable[[Any], Any], live: Callable[[], Any]) -> Any:
        """Runs act(plane): at once where the engine is at rest, or in a callback of its own run; else at the next step.
        live: gives the plane of an engine at rest."""
        if self._runner == threading.get_ident():
            return act(self._plane)
        order = _Order(act)
        self._orders.append(order)
        while not order.done.is_set():
            if self._busy.acquire(blocking=False):
                try:
                    self.obey(live())
                except BaseException:
                    if order in self._orders:
                        self._orders.remove(order)
                    raise
                finally:
                    self._busy.release()
            else:
                order.done.wait(PATIENCE)
        if order.error is not None:
            raise order.error
        return order.result
