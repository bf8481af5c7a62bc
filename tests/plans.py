"""Plans for tests: rules of given steps, without their text."""
from __future__ import annotations

from fastpath.rules.plan import AddressSet, Block, Place, PortSet, RulePlan, Step

ANY = AddressSet(((0, 2**32 - 1),), ((0, 2**128 - 1),))
ANY_PORT = PortSet(((0, 65535),))


def plan(steps: list[Step] = (), *, sid: int = 1, proto: str = "udp", decoded: list[Step] = (), **over) -> RulePlan:
    """A rule from anywhere to anywhere over its payload; `decoded`: steps over base64_data."""
    blocks = [Block("payload", list(steps))] if steps else []
    blocks += [Block("base64_data", list(decoded))] if decoded else []
    given = dict(place=Place("test.rules", sid, 1), text="", action="alert", proto=proto, src=ANY, sport=ANY_PORT, dst=ANY,
                 dport=ANY_PORT, bidirectional=False, sid=sid, blocks=blocks, order=sid)
    return RulePlan(**(given | over))
