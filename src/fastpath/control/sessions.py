"""The session table of a device, as OpenOffload has it: five calls on an engine at work.

Source: opiproject/sessionOffload, openoffload.proto v2. What the actions do is said in dataplane/device.pxd.
"""
from __future__ import annotations

import ipaddress
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from fastpath.control.device import Device

BATCH = 64                  # requests of one call
PAGE = 1024
ID_MAX = (1 << 63) - 1      # above are the sessions that the engine itself asked for
REASONS = ("rule", "drop", "pass", "encrypted", "depth", "elephant", "outside")
_PROTOCOLS = {"tcp": 6, "udp": 17}


class SessionAction(IntEnum):
    """What the device does with the packets of a session."""
    DROP, FORWARD, MIRROR, SNOOP = range(4)


class SessionState(IntEnum):
    """How far a session has come. TCP: one side has sent its FIN, both have, it is over."""
    ESTABLISHED, CLOSING_1, CLOSING_2, CLOSED = range(4)


class CloseCode(IntEnum):
    """Why a session ended. UNKNOWN: it was deleted."""
    NOT_CLOSED, FINACK, RST, TIMEOUT, UNKNOWN = range(5)


class AddStatus(IntEnum):
    """What became of a batch."""
    ACCEPTED, REJECTED, TABLE_FULL, TABLE_UNAVAILABLE, ALREADY_EXISTS = range(5)


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """A session to be added: the packets of one flow without tunnel, in both directions.

    id: a name of the caller's choice, up to 2**63 - 1. protocol: "tcp", "udp" or its number. timeout: whole seconds without a
    packet after which it ends, up to 65535; 0 for the device's. vlans: identifiers, outermost first.
    Raises ValueError naming the field.
    """
    id: int
    source: str
    source_port: int
    destination: str
    destination_port: int
    protocol: str | int = "tcp"
    action: SessionAction = SessionAction.FORWARD
    timeout: int = 0
    vlans: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, most in (("id", ID_MAX), ("source_port", 65535), ("destination_port", 65535), ("timeout", 65535)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
                raise ValueError(f"{name} must be a whole number from 0 to {most}, not {value!r}")
        protocol = _PROTOCOLS.get(self.protocol.lower(), -1) if isinstance(self.protocol, str) else self.protocol
        if not isinstance(protocol, int) or not 0 <= protocol <= 255:
            raise ValueError(f"protocol must be 'tcp', 'udp' or a number from 0 to 255, not {self.protocol!r}")
        object.__setattr__(self, "protocol", protocol)
        object.__setattr__(self, "action", SessionAction(self.action))
        if len(self.vlans) > 3 or not all(isinstance(vlan, int) and 0 <= vlan <= 4095 for vlan in self.vlans):
            raise ValueError(f"vlans must be up to three numbers from 0 to 4095, not {self.vlans!r}")
        if ipaddress.ip_address(self.source).version != ipaddress.ip_address(self.destination).version:
            raise ValueError(f"source and destination must be of one IP version, not {self.source} and {self.destination}")

    def key(self) -> tuple[bytes, bool]:
        """The flow key (types.h, flow_key_t), and whether the source is its second end."""
        source, destination = ipaddress.ip_address(self.source), ipaddress.ip_address(self.destination)
        ends = [(source.packed.ljust(16, b"\0"), self.source_port), (destination.packed.ljust(16, b"\0"), self.destination_port)]
        reversed_ = ends[0] > ends[1]
        low, high = reversed(ends) if reversed_ else ends
        vlans = (*self.vlans, 0, 0, 0)[:3]
        return struct.pack("=16s16s2H3HBBB3x", low[0], high[0], low[1], high[1], *vlans, int(self.protocol), 0, source.version), reversed_


class Session(NamedTuple):
    """A session as the table tells of it. packets, bytes: of the source (who began the flow), and of the answers. start, end: ns of
    packet time; end is 0 while it stands. The ends are empty in what GetClosedSessions gives."""
    id: int
    action: SessionAction
    reason: str
    state: SessionState
    code: CloseCode
    packets: tuple[int, int]
    bytes: tuple[int, int]
    start: int
    end: int
    source: str = ""
    source_port: int = 0
    destination: str = ""
    destination_port: int = 0
    protocol: int = 0
    vlans: tuple[int, ...] = ()


class Added(NamedTuple):
    """What became of a batch: its status, the places in it of sessions that exist already, and the ids of those."""
    status: AddStatus
    failed: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()


class Page(NamedTuple):
    """Some sessions, and where the next page starts; 0 for the end."""
    sessions: list[Session]
    next: int


class SessionTable:
    """The session table of an engine: `engine.device`. Any thread may call: an engine at rest answers at once, one at work between two
    steps. A call is about the table of the run that is going on, or else that of `inspect`; a run of captures begins with an empty one."""

    def __init__(self, settings: Device, run: Callable[[Callable[[Any], Any]], Any]):
        self.settings = settings
        self._run = run

    def __repr__(self) -> str:
        return f"SessionTable({self.settings!r})"

    def add(self, requests: Iterable[SessionRequest]) -> Added:
        """Adds a batch of up to 64 sessions (AddSession). TABLE_FULL: there is no room for all, and none was added. ALREADY_EXISTS: those
        named in `failed` were there, by their id or their flow; the others were added. A session is in force after the insert latency,
        and later where the insert rate says so. Raises ValueError for more than 64 requests."""
        batch = list(requests)
        if len(batch) > BATCH:
            raise ValueError(f"a batch has at most {BATCH} requests, not {len(batch)}")
        rows = [(one.id, *one.key(), int(one.action), one.timeout) for one in batch]
        failed = self._run(lambda plane: plane.add_sessions(rows))
        if failed is None:
            return Added(AddStatus.TABLE_FULL)
        return Added(AddStatus.ALREADY_EXISTS if failed else AddStatus.ACCEPTED, tuple(failed), tuple(batch[at].id for at in failed))

    def get(self, session_id: int) -> Session | None:
        """One session (GetSession); None where there is none of that id."""
        return _session(self._run(lambda plane: plane.session(_id(session_id))))

    def delete(self, session_id: int) -> Session | None:
        """Ends a session (DeleteSession) and gives it as it was; None where there is none. Its flow goes to the inspectors."""
        return _session(self._run(lambda plane: plane.delete_session(_id(session_id))))

    def page(self, start: int = 0, size: int = PAGE) -> Page:
        """Up to `size` sessions from a place on (GetAllSessions): 0, or the `next` of the page before. A session that comes or goes
        in between is or is not among them."""
        if size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        rows, after = self._run(lambda plane: plane.sessions_from(start, size))
        return Page([_made(row) for row in rows], after)

    def __iter__(self) -> Iterator[Session]:
        """All of them, page by page."""
        start = 0
        while True:
            sessions, start = self.page(start)
            yield from sessions
            if start == 0:
                return

    def advance(self, now: int | None = None) -> None:
        """Moves the time of a table without traffic on (ns; None for the clock), so that batches close and sessions time out."""
        self._run(lambda plane: plane.tick(time.time_ns() if now is None else now))

    def closed(self) -> list[Session]:
        """The sessions that the device has ended since the last call (GetClosedSessions): closed by FIN or RST, or timed out. Each is given
        once; of more than some ten thousand that wait, the oldest are lost, and counted in the statistics (`closed_lost`)."""
        return [_made(row) for row in self._run(lambda plane: plane.closed_sessions())]


def _id(session_id: int) -> int:
    if not isinstance(session_id, int) or not 0 <= session_id < 1 << 64:
        raise ValueError(f"a session's id is a number from 0 to {(1 << 64) - 1}, not {session_id!r}")
    return session_id


def _session(row: dict[str, Any] | None) -> Session | None:
    return None if row is None else _made(row)


def _made(row: dict[str, Any]) -> Session:
    base = (row["id"], SessionAction(row["action"]), REASONS[row["reason"]], SessionState(row["state"]), CloseCode(row["code"]),
            row["packets"], row["bytes"], row["start"], row["end"])
    if "key" not in row:
        return Session(*base)
    low, high, low_port, high_port, *vlans, protocol, _, version = struct.unpack("=16s16s2H3HBBB3x", row["key"])
    ends = [(str(ipaddress.ip_address(end[:4] if version == 4 else end)), port) for end, port in ((low, low_port), (high, high_port))]
    (source, source_port), (destination, destination_port) = reversed(ends) if row["reversed"] else ends
    return Session(*base, source, source_port, destination, destination_port, protocol, tuple(vlan for vlan in vlans if vlan))
