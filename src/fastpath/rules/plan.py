"""What a rule asks, decided: the form that the keyword table writes and the compiler reads.

Everything textual is resolved here: variables are ranges, escapes are bytes, numbers are numbers. A plan is exact: a rule
that cannot be honoured exactly has a refusal and no plan.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .datasets import Dataset

#: A number, or the name of a variable that byte_extract or byte_math of the same rule sets.
Value = int | str


Action = Literal["alert", "pass", "drop", "reject", "rejectsrc", "rejectdst", "rejectboth", "config"]


ISOLATE_DST = 1 << 31
ISOLATE_MAX = ISOLATE_DST - 1   # seconds


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands; lines and columns count from 1."""
    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a rule was not loaded. `malformed`: the text is broken; otherwise it is good but cannot be honoured exactly."""
    place: Place
    sid: int            # 0 where it could not be read
    keyword: str        # "" where it is about the header or the whole rule
    reason: str
    malformed: bool


@dataclass(frozen=True, slots=True)
class AddressSet:
    """Sorted, disjoint, inclusive ranges of integers. `any` is the full range of both versions. negated: there is a negation
    in how they are written, which makes a rule on headers alone look at every packet."""
    v4: tuple[tuple[int, int], ...]
    v6: tuple[tuple[int, int], ...]
    negated: bool = False

    @property
    def is_any(self) -> bool:
        return self.v4 == ((0, 2**32 - 1),) and self.v6 == ((0, 2**128 - 1),)


@dataclass(frozen=True, slots=True)
class PortSet:
    """Sorted, disjoint, inclusive ranges."""
    ranges: tuple[tuple[int, int], ...]

    @property
    def is_any(self) -> bool:
        return self.ranges == ((0, 65535),)


#: How flag bits are looked at.
Mode = Literal["=", "+", "*", "!"]


# ---- conditions on headers: no order among them ----

@dataclass(frozen=True, slots=True)
class Number:
    """A header number against one value or two. `field`: ttl ip.id seq ack window tcp.mss itype icode icmp_id icmp_seq
    icmpv6.mtu dsize ip_proto fragoffset ipv6_hopcount ... `ranges` are inclusive; negation is resolved into them."""
    field: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Bits:
    """A header's flag bits. mode: "=" all and no others, "+" all of them, "*" any of them, "!" not all of them.
    `field`: tcp.flags, or fragbits (of the 16-bit field of the header: 0x8000, 0x4000 DF, 0x2000 MF). Bits in `ignore` are
    masked away from the packet's first, not from `value`."""
    field: str
    mode: Mode
    value: int
    ignore: int = 0


@dataclass(frozen=True, slots=True)
class Presence:
    """Something that is there or not: `what` is "sameip", or "ipopts:rr", "ipopts:any" and so on."""
    what: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class HasEvent:
    """decode-event (and, later, stream-event and app-layer-event): the full name, such as decoder.ipv4.pkt_too_small."""
    name: str


@dataclass(frozen=True, slots=True)
class FlowState:
    """The flow keyword. direction: "", "to_server", "to_client"; state: "", "established", "not_established", "stateless"."""
    direction: str = ""
    state: str = ""
    stream: Literal["", "only_stream", "no_stream"] = ""
    frag: Literal["", "only_frag", "no_frag"] = ""


@dataclass(frozen=True, slots=True)
class Flowbits:
    """op: set unset toggle isset isnotset. Several names mean any of them (a|b)."""
    op: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AppProtocol:
    """app-layer-protocol: that of the flow. `name`: of applayer.tables.PROTOCOL_NUMBERS ("failed", "unknown" too)."""
    name: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AppEvent:
    """app-layer-event. (proto, name) of applayer.tables.APP_EVENTS; proto "applayer" for what recognition itself raises, of the
    entry at hand; the rest are those of a transaction."""
    proto: str
    name: str


@dataclass(frozen=True, slots=True)
class StreamSize:
    """Bytes of a TCP stream so far, by sequence numbers. side: server client both either; op: < <= = != > >=."""
    side: str
    op: str
    size: int


@dataclass(frozen=True, slots=True)
class FlowAge:
    """Seconds since the first packet of the flow; inclusive ranges."""
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Flowint:
    """A number that a flow keeps. As a condition op is < <= == != >= > isset notset, as an action + - =. value: a number, or
    the name of another such variable; 0 for isset and notset."""
    op: str
    name: str
    value: Value = 0


@dataclass(frozen=True, slots=True)
class FlowvarIs:
    """A text that a flow (or, `packet`, this packet) keeps, as pcre captured it, holds these bytes."""
    name: str
    pattern: bytes
    packet: bool = False


@dataclass(frozen=True, slots=True)
class Xbits:
    """op: set unset toggle isset isnotset. track: ip_src ip_dst ip_pair. expire: seconds. by_host: it is hostbits that says so; the
    bits are the same, the order in which rules run is not."""
    op: str
    name: str
    track: str
    expire: int
    by_host: bool = False


@dataclass(frozen=True, slots=True)
class Reputation:
    """iprep: the addresses whose reputation is as asked. side: src dst any both."""
    side: str
    addresses: AddressSet


@dataclass(frozen=True, slots=True)
class Asn1:
    """BER elements of the packet's payload, once all blocks hold: one of them is as asked. offset: where they begin; `relative`,
    from the end of the last step over the payload. oversize: an element longer than this, None for not asked."""
    bitstring_overflow: bool = False
    double_overflow: bool = False
    oversize: int | None = None
    offset: int = 0
    relative: bool = False
    frames: int = 256           # elements, and their depth, at most


Condition = (Number | Bits | Presence | HasEvent | FlowState | Flowbits | AppEvent | AppProtocol | StreamSize | FlowAge | Flowint
             | FlowvarIs | Xbits | Reputation | Asn1)

@dataclass(frozen=True, slots=True)
class Keep:
    """A text that an expression of the rule captured under this name is kept: what: "flow", "packet", "note" (the inventory), or "key"
    (without a name) for all that is left."""
    what: str
    name: str


@dataclass(frozen=True, slots=True)
class StoreFiles:
    """filestore. scope: "file" at which the rule matched, "tx" or "flow" for all of them, those to come too. direction: "to_server",
    "to_client", "both", or "" for that of the packet."""
    scope: str = "file"
    direction: str = ""


@dataclass(frozen=True, slots=True)
class Unlog:
    """config: no event is written of the transaction at which the rule matched; of a rule on packets, of the flow's first one."""


#: What a rule does when it matches.
After = Flowbits | Flowint | Xbits | Keep | StoreFiles | Unlog


# ---- steps over a buffer: run in order, with backtracking over relative ones ----

@dataclass(frozen=True, slots=True)
class Content:
    pattern: bytes
    negated: bool = False
    nocase: bool = False
    offset: Value | None = None
    depth: Value | None = None
    distance: Value | None = None
    within: Value | None = None
    startswith: bool = False
    endswith: bool = False
    fast_pattern: bool = False                          # asked for by the rule
    fast_pattern_chop: tuple[int, int] | None = None    # (offset, length)

    @property
    def relative(self) -> bool:
        return self.distance is not None or self.within is not None


@dataclass(frozen=True, slots=True)
class Pcre:
    expression: bytes
    options: str                # of i m s x A E G and R (relative); buffer letters are resolved into the buffer
    negated: bool = False
    captures: tuple[tuple[str, str], ...] = ()  # of its groups from the first on: "flow", "packet", "note" or "key", and a name
    named_only: bool = False    # groups without a name are none

    @property
    def relative(self) -> bool:
        return "R" in self.options


@dataclass(frozen=True, slots=True)
class ByteTest:
    nbytes: Value
    op: str                     # < > = <= >= & ^
    value: Value
    offset: Value
    negated: bool = False
    relative: bool = False
    endian: Literal["big", "little", "dce"] = "big"     # dce: as the PDU says
    base: Literal[0, 8, 10, 16] = 0     # 0: binary, else a number written in that base
    bitmask: int = 0


@dataclass(frozen=True, slots=True)
class ByteJump:
    nbytes: Value
    offset: Value
    relative: bool = False
    multiplier: int = 1
    endian: Literal["big", "little", "dce"] = "big"
    base: Literal[0, 8, 10, 16] = 0
    align: bool = False
    from_beginning: bool = False
    from_end: bool = False
    post_offset: Value = 0
    bitmask: int = 0


@dataclass(frozen=True, slots=True)
class ByteExtract:
    nbytes: int
    offset: int
    name: str
    relative: bool = False
    multiplier: int = 1
    endian: Literal["big", "little", "dce"] = "big"
    base: Literal[0, 8, 10, 16] = 0
    align: int = 0              # 0, 2 or 4


@dataclass(frozen=True, slots=True)
class ByteMath:
    nbytes: Value
    offset: int
    oper: str                   # + - * / << >>
    rvalue: Value
    result: str
    relative: bool = False
    endian: Literal["big", "little", "dce"] = "big"
    base: Literal[0, 8, 10, 16] = 0
    bitmask: int = 0


@dataclass(frozen=True, slots=True)
class IsDataAt:
    at: Value
    negated: bool = False
    relative: bool = False


@dataclass(frozen=True, slots=True)
class Base64Decode:
    """Decodes from the payload; what follows under base64_data is a block of its own over the result."""
    bytes: int = 0              # 0: all there is
    offset: int = 0
    relative: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    """bsize, urilen: the length of the buffer, inclusive ranges; 2**64 - 1 for no upper end."""
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class InDataset:
    """dataset: the whole buffer as an entry of a set. change: "set" or "unset" for a rule that changes it, and holds where that
    changed anything."""
    dataset: Dataset
    negated: bool = False
    change: str = ""


@dataclass(frozen=True, slots=True)
class HasRank:
    """datarep: the rank that a set gives to the buffer. op: < > ==."""
    dataset: Dataset
    op: str
    rank: int


@dataclass(frozen=True, slots=True)
class NumberIs:
    """Over a buffer that is a number (BUFFER_NUMBER: dns.opcode, tls.version, dcerpc.opnum ...): inclusive ranges."""
    ranges: tuple[tuple[int, int], ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Clock:
    """Over a number that is a time in seconds since 1970: whether it has passed, by the time of the packet."""
    passed: bool


@dataclass(frozen=True, slots=True)
class Validate:
    """Over what the content or expression before it took: whether it is a number of that kind, as its checksum or the rules of
    numbering say. kind: of program.VALIDATORS. count: that so many of them are there, of what an expression takes one after the
    other."""
    kind: str
    count: int = 1
    relative: bool = True       # what it follows is tried further on where this fails


@dataclass(frozen=True, slots=True)
class Interface:
    """dcerpc.iface, over its record: the 16 bytes of the uuid, versions as inclusive ranges, and whether a fragment that is not
    the first counts (any_frag)."""
    uuid: bytes
    versions: tuple[tuple[int, int], ...] = ((0, 65535),)
    any_frag: bool = False


@dataclass(frozen=True, slots=True)
class FileIs:
    """Over file.facts, for the keywords that ask a file for what it is. `what`: "size" with ranges; "md5", "sha1", "sha256" with
    the sorted digests of a list, negated for those that must not be in it; "extension" (lower case) and "name" (nocase) with
    one text; "store" for filestore."""
    what: Literal["size", "md5", "sha1", "sha256", "extension", "name", "store"]
    ranges: tuple[tuple[int, int], ...] = ()
    texts: tuple[bytes, ...] = ()
    negated: bool = False


Step = (Content | Pcre | ByteTest | ByteJump | ByteExtract | ByteMath | IsDataAt | Base64Decode | Size | NumberIs | Interface
        | FileIs | Clock | InDataset | HasRank | Validate)


@dataclass(frozen=True, slots=True)
class Transform:
    """What is done to a buffer before it is looked at. name: compress_whitespace strip_whitespace strip_pseudo_headers to_md5
    to_sha1 to_sha256 dotprefix pcrexform url_decode xor header_lowercase to_lowercase to_uppercase. argument: the expression of
    pcrexform without delimiters, the key of xor as bytes."""
    name: str
    argument: bytes = b""


@dataclass(slots=True)
class Block:
    """Steps over one inspect buffer. `buffer`: payload, ipv4.hdr, ipv6.hdr, tcp.hdr, udp.hdr, icmpv4.hdr, icmpv6.hdr,
    base64_data, or one of the application layers (applayer.tables.APP_BUFFERS). A plan has at most one block a packet buffer,
    headers in the order in which they are written, then payload, then base64_data: they are looked at in this order, which
    decides what a variable holds. Blocks over application buffers are told apart by buffer and transforms; over a buffer that
    there may be several of (MANY_OF) there may be several blocks, each of which holds over some instance."""
    buffer: str
    steps: list[Step] = field(default_factory=list)
    transforms: tuple[Transform, ...] = ()


Track = Literal["by_src", "by_dst", "by_both", "by_rule", "by_flow", "by_client", "by_key", "by_model"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """kind: limit threshold both (only hide alerts), detection_filter and those of llm_rate (conditions)."""
    kind: Literal["limit", "threshold", "both", "detection_filter", "llm_requests", "llm_prompt_bytes"]
    track: Track
    count: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Suppression:
    """suppress of threshold.config: no alerts for these addresses."""
    track: str                  # by_src by_dst by_either
    addresses: AddressSet


@dataclass(frozen=True, slots=True)
class Tag:
    kind: Literal["session", "host"]
    count: int
    metric: Literal["packets", "seconds", "bytes"]
    direction: str = ""         # src or dst, for host


@dataclass(slots=True)
class RulePlan:
    place: Place
    text: str                   # as written, for outputs
    action: Action
    proto: str                  # lower case: ip tcp udp icmp ... tcp-pkt tcp-stream pkthdr ipv4 ipv6 sctp, or app_proto
    src: AddressSet
    sport: PortSet
    dst: AddressSet
    dport: PortSet
    bidirectional: bool
    sid: int
    gid: int = 1
    rev: int = 0
    msg: str = ""
    classtype: str = ""
    priority: int | None = None     # None: that of the classtype
    references: list[tuple[str, str]] = field(default_factory=list)
    metadata: list[tuple[str, str]] = field(default_factory=list)
    target: Literal["", "src_ip", "dest_ip"] = ""
    conditions: list[Condition] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    after: list[After] = field(default_factory=list)        # done when the rule matches
    threshold: Threshold | None = None
    detection_filter: Threshold | None = None
    suppressions: list[Suppression] = field(default_factory=list)
    tag: Tag | None = None
    noalert: bool = False
    note: bool = False
    isolate: int = 0            # seconds for which an alert isolates the source, with ISOLATE_DST the destination; 0: it does not
    bypass: bool = False
    app_proto: str = ""         # what the flow must be recognised as (buffers.h): of the header or of a keyword
    order: int = 0              # of loading, from 0
