"""Parts of a plan as one would write them: what `why` shows beside each step. Bytes that are no plain text are hex."""
from __future__ import annotations

from dataclasses import fields

from .plan import (
    AppEvent,
    AppProtocol,
    Asn1,
    Base64Decode,
    Bits,
    ByteExtract,
    ByteJump,
    ByteMath,
    ByteTest,
    Clock,
    Content,
    FlowAge,
    Flowbits,
    Flowint,
    FlowState,
    FlowvarIs,
    HasEvent,
    HasRank,
    InDataset,
    IsDataAt,
    Keep,
    Number,
    NumberIs,
    Pcre,
    Presence,
    Size,
    StoreFiles,
    StreamSize,
    Threshold,
    Unlog,
    Validate,
    Xbits,
)

_PLAIN = frozenset(range(0x20, 0x7f)) - frozenset(b'";|\\:')
_TOP = 2**64 - 1


def quoted(data: bytes) -> str:
    """Bytes as content writes them: "GET |0d 0a|"."""
    out, hexed = [], False
    for byte in data:
        plain = byte in _PLAIN
        if plain == hexed:
            out.append("|")
            hexed = not hexed
        elif hexed:
            out.append(" ")
        out.append(chr(byte) if plain else f"{byte:02x}")
    return '"' + "".join(out) + ("|" if hexed else "") + '"'


def spelled(part: object) -> str:
    """A condition or step in the rule language, or nearly so."""
    if isinstance(part, Content):
        return _content(part)
    if isinstance(part, Pcre):
        return f'pcre:{_not(part)}"/{part.expression.decode("latin-1")}/{part.options}"'
    if isinstance(part, ByteTest):
        return f"byte_test:{_not(part)}{part.nbytes},{part.op},{part.value},{part.offset}{_number(part)}"
    if isinstance(part, ByteJump):
        extra = "".join(f",{name}" for name in ("align", "from_beginning", "from_end") if getattr(part, name))
        return f"byte_jump:{part.nbytes},{part.offset}{_number(part)}{extra}" + (f",post_offset {part.post_offset}" if part.post_offset else "")
    if isinstance(part, ByteExtract):
        return f"byte_extract:{part.nbytes},{part.offset},{part.name}{_number(part)}"
    if isinstance(part, ByteMath):
        return f"byte_math:bytes {part.nbytes}, offset {part.offset}, oper {part.oper}, rvalue {part.rvalue}, result {part.result}{_number(part)}"
    if isinstance(part, IsDataAt):
        return f"isdataat:{_not(part)}{part.at}{',relative' if part.relative else ''}"
    if isinstance(part, Base64Decode):
        return f"base64_decode:bytes {part.bytes or 'all'}, offset {part.offset}{', relative' if part.relative else ''}"
    if isinstance(part, Size):
        return f"bsize:{_ranges(part.ranges)}"
    if isinstance(part, NumberIs):
        return f"{_not(part)}{_ranges(part.ranges)}"
    if isinstance(part, InDataset):
        return f"dataset:{part.change or ('isnotset' if part.negated else 'isset')},{part.dataset.name}"
    if isinstance(part, HasRank):
        return f"datarep:{part.dataset.name},{part.op},{part.rank}"
    if isinstance(part, Validate):
        return f"validate:{part.kind}" + (f",{part.count}" if part.count > 1 else "")
    if isinstance(part, Clock):
        return "in the past" if part.passed else "in the future"
    if isinstance(part, FlowState):
        return "flow:" + ",".join(each for each in (part.direction, part.state, part.stream, part.frag) if each)
    if isinstance(part, Flowbits):
        return f"flowbits:{part.op},{'|'.join(part.names)}"
    if isinstance(part, Flowint):
        return f"flowint:{part.name},{part.op},{part.value}"
    if isinstance(part, FlowvarIs):
        return f"{'pktvar' if part.packet else 'flowvar'}:{part.name},{quoted(part.pattern)}"
    if isinstance(part, Keep):
        return f"keep:{part.what}" + (f",{part.name}" if part.name else "")
    if isinstance(part, StoreFiles):
        return "filestore:" + ",".join(filter(None, (part.direction, part.scope)))
    if isinstance(part, Unlog):
        return "config:logging disable"
    if isinstance(part, Xbits):
        return f"{'hostbits' if part.by_host else 'xbits'}:{part.op},{part.name},track {part.track}"
    if isinstance(part, Number):
        return f"{part.field}:{_ranges(part.ranges)}"
    if isinstance(part, Bits):
        mode = "" if part.mode == "=" else part.mode
        return f"{part.field}:{mode}{part.value:#x}" + (f",{part.ignore:#x}" if part.ignore else "")
    if isinstance(part, Presence):
        return f"{_not(part)}{part.what}"
    if isinstance(part, HasEvent):
        return f"event:{part.name}"
    if isinstance(part, AppEvent):
        return f"app-layer-event:{part.proto}.{part.name}"
    if isinstance(part, AppProtocol):
        return f"app-layer-protocol:{_not(part)}{part.name}"
    if isinstance(part, StreamSize):
        return f"stream_size:{part.side},{part.op},{part.size}"
    if isinstance(part, FlowAge):
        return f"flow.age:{_ranges(part.ranges)}"
    if isinstance(part, Threshold) and part.kind.startswith("llm_"):
        return f"llm_rate:{part.kind.removeprefix('llm_')} {part.count}, seconds {part.seconds}, {part.track.replace('_', ' ')}"
    if isinstance(part, Threshold):
        name = "detection_filter:" if part.kind == "detection_filter" else f"threshold:type {part.kind}, "
        return f"{name}track {part.track}, count {part.count}, seconds {part.seconds}"
    if isinstance(part, Asn1):
        return "asn1"
    shown = (f"{each.name} {value!r}" for each in fields(part) if (value := getattr(part, each.name)))  # type: ignore[arg-type]
    return f"{type(part).__name__.lower()}: " + ", ".join(shown)


def _not(part: object) -> str:
    return "!" if getattr(part, "negated", False) else ""


def _content(part: Content) -> str:
    words = [f"content:{_not(part)}{quoted(part.pattern)}"]
    words += [name for name in ("nocase", "startswith", "endswith") if getattr(part, name)]
    words += [f"{name}:{getattr(part, name)}" for name in ("offset", "depth", "distance", "within") if getattr(part, name) is not None]
    return "; ".join(words)


def _number(part: ByteTest | ByteJump | ByteExtract | ByteMath) -> str:
    words = [word for word, there in (("relative", part.relative), (part.endian, part.endian == "little"),
                                      (f"string {part.base}", part.base)) if there]
    words += [f"{name} {value:#x}" for name in ("bitmask",) if (value := getattr(part, name, 0))]
    words += [f"multiplier {value}" for value in (getattr(part, "multiplier", 1),) if value != 1]
    return "".join(f",{word}" for word in words)


def _ranges(ranges: tuple[tuple[int, int], ...]) -> str:
    """Inclusive ranges: 5, 1-9, >100."""
    return " or ".join(str(low) if low == high else f">{low - 1}" if high == _TOP else f"{low}-{high}" for low, high in ranges) or "nothing"
