"""The digest of a run: `v1:` and BLAKE2b over its verdicts, alerts, flows and events, each in global order.

It is fed batch by batch and does not depend on how rows were batched: neighbouring runs with the same verdict are joined.
Rows name rules by index, so the rule sets themselves (gid, sid and rev of each rule, and from which packet on) are hashed too.
File names, file-local counts and clocks are in none of it.
"""
from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np

from fastpath.dataplane import rows

LATER = ("policy", "denials")      # without a policy there are none, and the digest is what it was
STREAMS = ("rules", "runs", "alerts", "flows", "events")


class Digest:
    def __init__(self) -> None:
        self._streams = {name: blake2b(digest_size=32) for name in STREAMS}
        self._run: np.ndarray | None = None     # the last run, which may go on

    def rules(self, first_ordinal: int, identity: bytes) -> None:
        """A rule set that holds from this packet on."""
        self._streams["rules"].update(first_ordinal.to_bytes(8, "little") + len(identity).to_bytes(8, "little") + identity)

    def policy(self, first_ordinal: int, identity: bytes) -> None:
        """A policy that holds from this packet on; b"" for none."""
        self._stream("policy").update(first_ordinal.to_bytes(8, "little") + len(identity).to_bytes(8, "little") + identity)

    def _stream(self, name: str) -> Any:
        """One that is hashed only where there is something in it."""
        if name not in self._streams:
            self._streams[name] = blake2b(digest_size=32)
        return self._streams[name]

    def add(self, batch: dict[str, np.ndarray]) -> None:
        """The next rows, as DataPlane.rows() gives them."""
        for name in ("alerts", "flows", "events"):
            if len(batch[name]):
                self._streams[name].update(np.ascontiguousarray(batch[name]).view("u1").data)
        if len(batch["denials"]):
            self._stream("denials").update(np.ascontiguousarray(batch["denials"]).view("u1").data)
        self._add_runs(batch["runs"])

    def _add_runs(self, runs: np.ndarray) -> None:
        if not len(runs):
            return
        if self._run is not None:
            runs = np.concatenate([self._run, runs])
        same = np.ones(len(runs), bool)
        same[0] = False
        for name in ("rule", "action", "reason", "ledger"):
            same[1:] &= runs[name][1:] == runs[name][:-1]
        starts = np.flatnonzero(~same)
        joined = runs[starts].copy()
        joined["packets"] = np.add.reduceat(runs["packets"], starts)
        self._streams["runs"].update(joined[:-1].view("u1").data)
        self._run = joined[-1:]

    def value(self) -> str:
        """The digest of all that was added so far."""
        runs = self._streams["runs"].copy()
        if self._run is not None:
            runs.update(self._run.view("u1").data)
        whole = blake2b(digest_size=16)
        for name in (*STREAMS, *(name for name in LATER if name in self._streams)):
            whole.update((runs if name == "runs" else self._streams[name]).digest())
        return "v1:" + whole.hexdigest()


def empty_rows() -> dict[str, np.ndarray]:
    """A batch without rows."""
    return {name: np.empty(0, dtype) for name, dtype in rows.DTYPES.items()}
