"""What stands between rows and files: secrets are masked (control/mask.py), then, where that is asked for, persons' names and addresses
give way to pseudonyms (control/anonymise.py). Every writer of bytes or texts off the wire goes through here."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fastpath.control.mask import Masker
from fastpath.control.result import Batch
from fastpath.outputs.eve_app import AppRows, app_proto
from fastpath.rules.leaks import finds_data


class Guard:
    """Of one batch. To make one looks through all that the batch holds, so that a secret in its last event is masked in its first."""

    def __init__(self, batch: Batch, apps: AppRows):
        self._masker: Masker | None = batch.signatures.masker
        self._anonymiser = batch.captures.anonymiser
        self._alerts = batch.rows["alerts"]
        self._flows: dict[int, tuple[int, str]] | None = None      # by packet, once it is asked for
        if self._masker is not None:
            self._masker.study(value for record in apps.raw() for value in _bytes_of(record))
            self._withhold(batch, apps)

    def _withhold(self, batch: Batch, apps: AppRows) -> None:
        """Flows in which a leak rule has found what their bytes do not show as they stand: it came compressed, say."""
        alerts = batch.rows["alerts"]
        if not len(alerts) or self._masker is None:
            return
        signatures = {rule: batch.signatures[rule] for rule in np.unique(alerts["rule"]).tolist()}
        rules = [rule for rule, signature in signatures.items() if finds_data(signature.metadata)]
        for row in alerts[np.isin(alerts["rule"], rules)]:
            found, signature = apps.bytes_of(*(int(row[name]) for name in ("ordinal", "entry", "index", "flow"))), signatures[int(row["rule"])]
            if found is not None and not self._masker.locates(b"\n".join(_bytes_of(found)), (signature.gid, signature.sid)):
                self._masker.withhold(int(row["flow"]))

    def bytes(self, found: dict[str, Any], flow: int, protocols: list[int]) -> dict[str, Any] | None:
        """What an alert may show of its payload, stream and packet (AppRows.bytes_of); None: nothing."""
        masker = self._masker
        if masker is None:
            return found
        if masker.withholds(flow):
            return None
        protocol = app_proto(protocols).get("app_proto", "")
        payload, packet = found["payload"], found["packet"]
        at = packet.rfind(payload) if payload else len(packet)
        shown = masker.payload(payload, protocol)
        if at < 0:
            packet = masker.payload(packet, protocol)
        else:
            packet = packet[:at] + shown + masker.payload(packet[at + len(payload):], protocol)
        made = found | {"payload": shown, "packet": packet}
        if "stream" in found:
            made["stream"] = [one if isinstance(one, int) else masker.payload(one, protocol) for one in _pieces(found["stream"])]
        return made

    def packet(self, packet: bytes, linktype: int, ordinal: int) -> bytes:
        """A whole packet; what it carries is masked as of a flow in which leak rules look, unless its alerts say that it is another."""
        masker = self._masker
        if masker is None:
            return packet
        if self._flows is None:
            alerts = self._alerts
            self._flows = {at: (flow, app_proto(protocols).get("app_proto", "")) for at, flow, protocols in zip(
                *(alerts[name].tolist() for name in ("ordinal", "flow", "app_proto")), strict=True)}
        from fastpath.dataplane.dissect import dissect
        [entries] = dissect([packet], linktype)
        payload = entries[-1]["payload"] if entries else packet
        at = packet.rfind(payload) if payload else len(packet)
        flow, protocol = self._flows.get(ordinal, (0, ""))
        if masker.withholds(flow):
            return packet[:at] + b"*" * len(payload) + packet[at + len(payload):]
        shown = masker.payload(payload, protocol or next(iter(masker.protocols), ""))
        return packet[:at] + shown + packet[at + len(payload):]

    def events(self, events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """The events as they may be written."""
        made = list(events)
        for treat in (self._masker, self._anonymiser):
            if treat is not None:
                made = [treat.event(event) for event in made]
        return made


def _pieces(stream: list[Any]) -> Iterator[Any]:
    """Bytes that follow each other as one, and between them how many are missing."""
    held: list[bytes] = []
    for one in stream:
        if isinstance(one, int):
            yield b"".join(held)
            held = []
            yield one
        else:
            held.append(one)
    yield b"".join(held)


def _bytes_of(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, str):
        yield value.encode("utf-8", "surrogatepass")
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _bytes_of(list(_pieces(one)) if key == "stream" and isinstance(one, list) else one)
    elif isinstance(value, list):
        for one in value:
            yield from _bytes_of(one)
