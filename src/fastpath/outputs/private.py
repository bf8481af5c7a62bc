"""Counts of a run that may be given away: differentially private, by OpenDP (the extra `privacy`).

What is protected is a workload: the address that began a flow. In each query it counts `contribution` times at most, whatever it did, so
that its presence changes a query's counts by no more than that in sum; discrete Laplace noise of the scale contribution / epsilon of the
query hides it. Queries add up: together they cost the epsilon that was asked for. Which keys there are follows from the rules and the
protocols that fastpath knows, never from traffic: each gets its noise, those too that nobody used.
"""
from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from fastpath.control.inventory import ITEMS_MAX, tells_alone
from fastpath.control.result import Batch
from fastpath.control.signatures import Signatures
from fastpath.dataplane import rows
from fastpath.outputs.eve_app import APP_PROTOS

QUERIES = ("alerts_by_rule", "flows_by_app_proto", "flows_by_service")
CONTRIBUTION = 20
WORKLOADS_MAX = 1_000_000       # beyond, what one of them adds could push out another: nothing is exported


def check_opendp() -> None:
    """ImportError without OpenDP: to be asked before a long run."""
    try:
        import opendp.prelude  # noqa: F401
    except ImportError:
        raise ImportError("differentially private exports need opendp: pip install 'fastpath-dpu[privacy]'") from None


def noisy(values: list[int], contribution: int, epsilon: float) -> tuple[list[int], float]:
    """The values with noise, and what that costs by OpenDP's own reckoning: its epsilon for a change of `contribution` in sum."""
    import opendp.prelude as dp
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l1_distance(T=int)
    measurement = space >> dp.m.then_laplace(scale=contribution / epsilon)
    return (list(measurement(values)) if values else []), float(measurement.map(contribution))


class Bounded:
    """Counts by key, of which each workload adds a bounded number: its first."""

    def __init__(self, contribution: int):
        self._contribution = contribution
        self._used: dict[Any, int] = {}
        self.counts: Counter[Any] = Counter()
        self.full = False

    def add(self, workload: Any, key: Any, times: int = 1) -> None:
        used = self._used.get(workload)
        if used is None and len(self._used) == WORKLOADS_MAX:
            self.full = True
            return
        taken = min(times, self._contribution - (used or 0))
        if taken > 0:
            self._used[workload] = (used or 0) + taken
            self.counts[key] += taken


class PrivateCounts:
    """A sink that writes one JSON file when the run is over. epsilon: of all that is in it. contribution: of a workload to a query.

    refused: why nothing was written, once the run is over. Raises ImportError without OpenDP, ValueError for an epsilon or a contribution
    that is none, FileExistsError for a file that is there unless overwrite is set.
    """
    wants: frozenset[str] = frozenset()

    def __init__(self, path: str | Path, epsilon: float, contribution: int = CONTRIBUTION, overwrite: bool = False):
        check_opendp()
        if not (math.isfinite(epsilon) and epsilon > 0):
            raise ValueError(f"epsilon must be a number above 0, not {epsilon}")
        if contribution < 1:
            raise ValueError(f"a contribution must be at least 1, not {contribution}")
        self._path = Path(path)
        if self._path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists")
        self.epsilon, self.contribution = epsilon, contribution
        self._alerts, self._flows, self._services = (Bounded(contribution) for _ in QUERIES)
        self._signatures = Signatures()
        self.refused = ""
        self.budget: list[dict[str, Any]] = []

    def write(self, batch: Batch) -> None:
        self._signatures = batch.signatures
        alerts, flows = batch.rows["alerts"], batch.rows["flows"]
        if len(alerts):
            of = batch.signatures.at(alerts["rule"])
            for workload, gid, sid in zip(_began(alerts, alerts["reversed"] ^ alerts["to_client"]), batch.signatures.gid[of].tolist(),
                                          batch.signatures.sid[of].tolist(), strict=True):
                self._alerts.add(workload, (gid, sid))
        if len(flows):
            for workload, proto in zip(_began(flows, flows["flags"] & rows.FLOW_REVERSED), flows["app_proto"][:, 0].tolist(), strict=True):
                self._flows.add(workload, APP_PROTOS.get(proto, "unknown") if proto else "unknown")

    def close(self, stats: dict[str, Any]) -> None:
        for item in sorted(stats["inventory"], key=lambda item: (item["first"], item["service"])):
            self._services.add(item["workload"], item["service"], item["flows"])
        if len(stats["inventory"]) >= ITEMS_MAX or any(one.full for one in (self._alerts, self._flows, self._services)):
            self.refused = f"there are more than {WORKLOADS_MAX:,} workloads, or {ITEMS_MAX:,} services of them: their counts are not independent"
            return
        services = {said.get("service", "unknown").replace("_", " ") for said in self._notes()}
        rules = {(gid, sid): None for gid, sid in zip(*(getattr(self._signatures, name)[:-1][self._signatures.note[:-1] == 0].tolist()
                                                        for name in ("gid", "sid")), strict=True)}
        made = {"alerts_by_rule": self._query("alerts_by_rule", rules, self._alerts.counts, lambda key: f"{key[0]}:{key[1]}", True),
                "flows_by_app_proto": self._query("flows_by_app_proto", sorted({"unknown", *APP_PROTOS.values()}), self._flows.counts, str, False),
                "flows_by_service": self._query("flows_by_service", sorted(services), self._services.counts, str, False)}
        spent = sum(one["epsilon"] for one in self.budget)
        self._path.write_bytes(msgspec.json.format(msgspec.json.encode({
            "epsilon": self.epsilon, "spent": spent, "unit": "workload: the address that began a flow", "contribution": self.contribution,
            "neighbours": "two runs that differ by all that one workload did", "budget": self.budget, "counts": made})) + b"\n")

    def _notes(self) -> Iterable[dict[str, str]]:
        return (dict(metadata) for rule in np.flatnonzero(self._signatures.note[:-1]).tolist()
                if not tells_alone(metadata := self._signatures[rule].metadata))

    def _query(self, name: str, keys: Iterable[Any], counts: Counter[Any], spelled: Any, sparse: bool) -> dict[str, int]:
        """One query over these keys. sparse: of many keys those are told that stand out of the noise, which costs nothing more."""
        keys = list(keys)
        share = self.epsilon / len(QUERIES)
        values, cost = noisy([counts[key] for key in keys], self.contribution, share)
        scale = self.contribution / share
        least = math.ceil(scale * math.log(max(len(keys), 1) * 20)) if sparse else None
        self.budget.append({"query": name, "epsilon": cost, "sensitivity": self.contribution, "scale": scale, "mechanism": "discrete Laplace",
                            "keys": len(keys)} | ({"told_from": least} if least is not None else {}))
        return {spelled(key): value for key, value in zip(keys, values, strict=True) if least is None or value >= least}


def _began(array: np.ndarray, second: np.ndarray) -> list[Any]:
    """The address that began each flow. second: where true, it is endpoint 1."""
    keys = array["key"]
    return np.ascontiguousarray(keys["addr"][np.arange(len(keys)), (second != 0).astype("u1")]).view("V16").ravel().tolist()
