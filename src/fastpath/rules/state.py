"""The ops on state that outlives the packet. Its names are numbered like flowbits, for the engine's life, and never mistaken for
one: a flowbit's name has no blank."""
from __future__ import annotations

from fastpath.rules import program as p
from fastpath.rules.plan import Asn1, Flowint, Xbits

_WORD = 64      # bits of a flow's word


def variable_op(said: Flowint | Xbits | Asn1, names: dict[str, int]) -> bytes:
    """The op of a condition or an action; names that are new are numbered in `names`."""
    if isinstance(said, Xbits):
        return p.XBITS_OP.pack(p.OP_XBITS, 0, p.FLOWBITS_OPS[said.op], names.setdefault(f"xbit {said.name}", len(names)),
                               p.XBITS_TRACKS[said.track], said.expire)
    if isinstance(said, Flowint):
        flags, value = 0, said.value
        if isinstance(value, str):
            flags, value = p.FLOWINT_OF_NAME, word(value, names)
        return p.FLOWINT_OP.pack(p.OP_FLOWINT, flags, p.FLOWINT_OPS[said.op], word(said.name, names), value)
    flags = p.RELATIVE if said.relative else 0
    flags |= p.ASN1_BITSTRING if said.bitstring_overflow else 0
    flags |= p.ASN1_DOUBLE if said.double_overflow else 0
    flags |= p.ASN1_OVERSIZE if said.oversize is not None else 0
    return p.ASN1_OP.pack(p.OP_ASN1, flags, said.offset, said.oversize or 0, said.frames)


def word(name: str, names: dict[str, int]) -> int:
    """The word of a flow's bits that a flowint has to itself: 64 numbers from a multiple of 64 on."""
    first = f"flowint {name}"
    if first not in names:
        while len(names) % _WORD:
            names[f"flowint {name}, spare {len(names)}"] = len(names)
        names[first] = len(names)
        for bit in range(1, _WORD):
            names[f"{first}, bit {bit}"] = len(names)
    return names[first] // _WORD
