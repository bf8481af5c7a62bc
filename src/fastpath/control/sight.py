"""What inspection could not look into: bytes of encrypted sessions for which there were no keys, by service and by segment."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastpath.control.inventory import Services
from fastpath.dataplane.applayer.tables import PROTOCOL_NUMBERS

LISTED = 200            # services, and pairs of segments; what more there are is one row

_PROTOCOLS = {number: name for name, number in PROTOCOL_NUMBERS.items()}
_COUNTED = ("flows", "bytes", "of")


def uninspected(found: Iterable[tuple[bytes | None, int, int, int, int, int, int, int]], run: Any, total: int) -> dict[str, Any]:
    """What DataPlane.services() gave, of flows that have ended. Counted is what the streams carried (of QUIC: whole packets): `bytes`
    that nobody looked into, `of` so many of the same flows; `share` of all bytes read.

    by_service: service (the name that the session asks for, or its protocol where it asks for none), protocol, hosted (what rules with
    `inventory` call a service of that name, else None). by_segment, where there is a policy: from, to (its innermost segments). Both
    with flows, bytes, of and share (bytes / of), most bytes first; beyond LISTED one row with the name "(others)".
    """
    services: dict[tuple[str, str], list[int]] = {}
    segments: dict[tuple[str, str], list[int]] = {}
    flows = sealed_bytes = of = 0
    hosted = Services(run.signatures)
    anonymiser = run.captures.anonymiser
    named: dict[tuple[str, str], str | None] = {}
    for name, proto, source, target, epoch, number, sealed, carried in found:
        protocol = _PROTOCOLS.get(proto, "")
        said = name.decode("latin-1") if name is not None else ""
        shown = said if anonymiser is None or not said else anonymiser.mapped(said)
        service = ("(others)", "") if name is None else (shown or protocol, protocol)
        named[service] = hosted.named(said) if said else None
        _add(services, service, number, sealed, carried)
        if epoch:
            policy = run.judges[epoch].policy
            _add(segments, (policy.names_of(source)[0], policy.names_of(target)[0]), number, sealed, carried)
        flows += number
        sealed_bytes += sealed
        of += carried
    return {
        "flows": flows, "bytes": sealed_bytes, "of": of, "share": sealed_bytes / total if total else 0.0,
        "by_service": [{"service": service, "protocol": protocol, "hosted": named.get((service, protocol))} | counts
                       for (service, protocol), counts in _listed(services)],
        "by_segment": [{"from": source, "to": target} | counts for (source, target), counts in _listed(segments)],
    }


def _add(into: dict[tuple[str, str], list[int]], key: tuple[str, str], *numbers: int) -> None:
    counts = into.setdefault(key, [0] * len(_COUNTED))
    for at, number in enumerate(numbers):
        counts[at] += number


def _listed(counted: dict[tuple[str, str], list[int]]) -> list[tuple[tuple[str, str], dict[str, Any]]]:
    ordered = sorted(counted.items(), key=lambda one: (-one[1][1], -one[1][2], one[0]))
    if len(ordered) > LISTED:
        others = [sum(column) for column in zip(*(counts for _, counts in ordered[LISTED:]), strict=True)]
        ordered = [*ordered[:LISTED], (("(others)", ""), others)]
    return [(key, dict(zip(_COUNTED, counts, strict=True)) | {"share": counts[1] / counts[2] if counts[2] else 0.0})
            for key, counts in ordered]
