"""The ops on state that outlives the packet. Its names are numbered like flowbits, for the engine's life, and never mistaken for
one: a flowbit's name has no blank."""
from __future__ import annotations

from fastpath.rules import program as p
from fastpath.rules.plan import Asn1, Flowint, FlowvarIs, Keep, StoreFiles, Unlog, Xbits

_WORD = 64      # bits of a flow's word


_DIRECTIONS = {"": 0, "to_server": 1, "to_client": 2, "both": 3}


def variable_op(said: Flowint | Xbits | Asn1 | Keep | StoreFiles | Unlog, names: dict[str, int]) -> bytes:
    """The op of a condition or an action; names that are new are numbered in `names`."""
    if isinstance(said, Keep):
        return p.CAPTURE_OP.pack(p.OP_CAPTURE, 0, p.CAPTURES[said.what], text_name(said.what, said.name, names))
    if isinstance(said, Unlog):
        return p.PLAIN_OP.pack(p.OP_UNLOG, 0, 0)
    if isinstance(said, StoreFiles):
        return p.FILESTORE_OP.pack(p.OP_FILESTORE, 0, p.STORE_SCOPES[said.scope], _DIRECTIONS[said.direction])
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


def flowvar_op(said: FlowvarIs, names: dict[str, int], at: int) -> bytes:
    """at: where its pattern is in SECTION_BYTES."""
    what = "packet" if said.packet else "flow"
    return p.FLOWVAR_OP.pack(p.OP_FLOWVAR, 0, p.CAPTURES[what], text_name(what, said.name, names), at, len(said.pattern))


def text_name(what: str, name: str, names: dict[str, int]) -> int:
    """The number of a text's name; a key has none, and those of the inventory are fixed."""
    if what == "key":
        return 0
    if what == "note":
        return p.NOTES[name]
    return names.setdefault(f"{'flowvar' if what == 'flow' else 'pktvar'} {name}", len(names))


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
