"""Who talks to language models: requests and bytes by client, API key and model, from the rows that the HTTP room writes of them."""
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import numpy as np

from fastpath.control.columns import address_text

TALKERS_MAX = 100_000
#: app_row_t.kind of such a row.
APP_ROW_LLM = 16

_decode = msgspec.msgpack.Decoder().decode


@dataclass(slots=True)
class Talker:
    """A client as it uses one model with one API key. key: eight bytes of the key's SHA-256, in hex, "" for none; model: "" where
    none is named. prompt_bytes, response_bytes: of text. first, last: ns since 1970, of when an answer was complete."""
    client: str
    key: str
    model: str
    first: int
    last: int
    requests: int = 0
    streamed: int = 0
    prompt_bytes: int = 0
    response_bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Talkers:
    """Takes rows of apps in global order; `left_out` counts requests that found no room."""

    def __init__(self) -> None:
        self._talkers: dict[tuple[str, str, str], Talker] = {}
        self.left_out = 0

    def take(self, rows: np.ndarray, held: bytes) -> None:
        """Rows of rows.APP, and the bytes that they point into."""
        if not len(rows):
            return
        for row in rows[rows["kind"] == APP_ROW_LLM]:
            start = int(row["offset"])
            said = _decode(held[start:start + int(row["length"])])["llm"]
            client = address_text(int(row["key"]["net"]), row["key"]["addr"][int(row["reversed"])].tobytes())
            key = client, said.get("key", ""), said.get("model", b"").decode("utf-8", "backslashreplace")
            talker = self._talkers.get(key)
            ts = int(row["ts"])
            if talker is None:
                if len(self._talkers) == TALKERS_MAX:
                    self.left_out += 1
                    continue
                talker = self._talkers[key] = Talker(*key, ts, ts)
            talker.first, talker.last = min(talker.first, ts), max(talker.last, ts)
            talker.requests += 1
            talker.streamed += said["streamed"]
            talker.prompt_bytes += said["prompt_bytes"]
            talker.response_bytes += said["response_bytes"]

    def top(self) -> list[Talker]:
        """Most prompt bytes first."""
        return sorted(self._talkers.values(), key=lambda each: (-each.prompt_bytes, -each.requests, each.client, each.key, each.model))
