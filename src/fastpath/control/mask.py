"""What leak rules look for is never written out: the one place through which every output goes.

A Masker is made from the rules of a run that find data (rules/leaks.py). Whatever their expressions and validators find in what is about
to be written is starred out, byte for byte, as it stands and in percent escapes, quoted-printable, JSON escapes, base64, hex and HTTP
chunks. It does so whether an alert has been raised or not: an http event is often written before the packet that raises one. What was
found once is known for the rest of the run, by its 8-byte windows, and pieces of it are starred out too; the table is bounded.
Bytes that cannot be read (compressed, say) cannot be searched, and are starred out where leak rules look.
"""
from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from itertools import pairwise
from typing import Any

from fastpath.dataplane.match.secrets import Finder
from fastpath.rules.leaks import Sought

STAR = 0x2A
APART = b"\n" + bytes(100) + b"\n"       # between texts that have nothing to do with each other
LEARNT_MAX = 8192           # bytes of a secret by whose windows it is known
FLOWS_MAX = 100_000         # whose bytes are withheld; beyond, all are
BLOCK = 32                  # bytes that are readable or not
UNREADABLE = 4              # bytes of a block that are no text, at most
SHORTEST = 8                # bytes of a text in which there could be something

_PERCENT = re.compile(rb"%[0-9A-Fa-f]{2}")
_QUOTED = re.compile(rb"=(?:[0-9A-Fa-f]{2}|\r?\n)")
_JSON = re.compile(rb"\\(?:u[0-9A-Fa-f]{4}|[\"\\/nrt])")
_CHUNK = re.compile(rb"\r\n[0-9A-Fa-f]{1,8}(?:;[^\r\n]{0,64})?\r\n")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{2,}(?:\r?\n[A-Za-z0-9+/_-]+)*")
_HEX = re.compile(rb"[0-9A-Fa-f]{16,}|[0-9A-Fa-f]{2}(?:[ :][0-9A-Fa-f]{2}){7,}")
_BREAKS = re.compile(rb"[\r\n :]+")
_ENCODED_MIN = 11           # characters of base64 that hold 8 bytes
_TOKEN = rb"(?:[A-Za-z0-9_+/=-]{12,}|(?:[0-9][ .-]?){6,})"
_EDGES = re.compile(rb"\A" + _TOKEN + rb"|" + _TOKEN + rb"(?:\r\n)?\Z")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


class View:
    """Bytes read in another way: `data`, and which of the bytes it was read from each of them comes from."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._starts: list[int] = []
        self._origins: list[Callable[[int], tuple[int, int]]] = []
        self.length = 0
        self.data = b""

    def add(self, part: bytes, origin: Callable[[int], tuple[int, int]]) -> None:
        """origin: of a byte of this part, where it comes from: start and end."""
        if part:
            self._starts.append(self.length)
            self._parts.append(part)
            self._origins.append(origin)
            self.length += len(part)

    def done(self) -> View:
        self.data = b"".join(self._parts)
        return self

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Where the bytes from start to end come from."""
        ends = []
        for at in (start, end - 1):
            part = bisect_right(self._starts, at) - 1
            ends.append(self._origins[part](at - self._starts[part]))
        return ends[0][0], ends[1][1]


def _same(raw: int) -> Callable[[int], tuple[int, int]]:
    return lambda at: (raw + at, raw + at + 1)


def _all_of(start: int, end: int) -> Callable[[int], tuple[int, int]]:
    return lambda at: (start, end)


def _replaced(data: bytes, pattern: re.Pattern[bytes], meaning: Callable[[bytes], bytes]) -> View | None:
    """The bytes with each match replaced by what it means; None where there is no match."""
    found = list(pattern.finditer(data))
    if not found:
        return None
    view, done = View(), 0
    for one in found:
        view.add(data[done:one.start()], _same(done))
        view.add(meaning(one[0]), _all_of(*one.span()))
        done = one.end()
    view.add(data[done:], _same(done))
    return view.done()


def _unescaped(text: bytes) -> bytes:
    if text[1:2] == b"u":
        return chr(int(text[2:], 16)).encode("utf-8", "replace")
    return _ESCAPED.get(text[1:], text[1:])


def _digits(data: bytes, pattern: re.Pattern[bytes], shortest: int, size: int, decode: Callable[[bytes], bytes],
            skipped: re.Pattern[bytes]) -> Iterator[View]:
    """Runs of digits of so many bits that stand for bytes, decoded from each place where a group of them may begin."""
    runs = [one.span() for one in pattern.finditer(data) if one.end() - one.start() >= shortest]
    for shift in range(4 if size == 6 else 2) if runs else ():
        view = View()
        for start, end in runs:
            run = data[start:end]
            places = [at for one in skipped.finditer(run) for at in range(*one.span())] if skipped.search(run) else None
            if places is None:
                view.add(decode(run[shift:]), lambda at, first=start + shift, last=end: (
                    first + 8 * at // size, min(first + (8 * at + 7) // size + 1, last)))
            else:
                gone = frozenset(places)
                kept = [at for at in range(len(run)) if at not in gone][shift:]
                view.add(decode(bytes(run[at] for at in kept)), lambda at, kept=kept, start=start: (
                    start + kept[8 * at // size], start + kept[min((8 * at + 7) // size, len(kept) - 1)] + 1))
            view.add(b"\n", _all_of(end, end))
        yield view.done()


def _from_base64(text: bytes) -> bytes:
    from binascii import a2b_base64
    text = text.translate(_STANDARD)
    rest = len(text) % 4
    return a2b_base64(text[:len(text) - 1] if rest == 1 else text + b"=" * (-rest % 4))


def _from_hex(text: bytes) -> bytes:
    return bytes.fromhex(text[:len(text) // 2 * 2].decode())


def views(data: bytes) -> Iterator[View]:
    """The ways in which these bytes can be read, but for as they stand."""
    for there, pattern, meaning in ((b"%", _PERCENT, lambda text: bytes((int(text[1:], 16),))),
                                    (b"=", _QUOTED, lambda text: b"" if text[-1:] == b"\n" else bytes((int(text[1:], 16),))),
                                    (b"\\", _JSON, _unescaped), (b"\r\n", _CHUNK, lambda text: b"")):
        if there in data:
            view = _replaced(data, pattern, meaning)
            if view is not None and view.length:
                yield view
    yield from _digits(data, _BASE64, _ENCODED_MIN, 6, _from_base64, _BREAKS)
    yield from _digits(data, _HEX, 2 * SHORTEST, 4, _from_hex, _BREAKS)


class Masker:
    """sought: what is looked for, and by which rules (gid, sid); protocols: where they look for it."""

    def __init__(self, sought: Mapping[Sought, Set[tuple[int, int]]], protocols: Iterable[str] = ()):
        self._sought = list(sought)
        self._rules = list(sought.values())
        self._finder = Finder([(one.expression, one.options, one.validator, one.literal) for one in self._sought])
        self.protocols = frozenset(protocols)
        self._withheld: set[int] = set()

    @classmethod
    def of(cls, rule_sets: Iterable[Any], before: Masker | None = None) -> Masker | None:
        """For the rules of a run (RuleSets); None where none of them finds data. before: the one of the run so far, whose knowledge it
        takes over."""
        found: dict[Sought, set[tuple[int, int]]] = {}
        protocols: set[str] = set()
        for rules in rule_sets:
            sought, places = rules.sought
            for one, by in sought.items():
                found.setdefault(one, set()).update(by)
            protocols |= places
        if not protocols:
            return None
        made = cls(found, protocols)
        if before is not None:
            made._finder.know(before._finder)
            made._withheld = before._withheld
        return made

    # ---- bytes ----

    def spans(self, data: bytes, cut: bool = False) -> list[tuple[int, int]]:
        """What is not to be shown: start and end, in order, apart from each other. What is found is known from here on."""
        others = list(views(data))
        if cut or not others:
            return _joined([span for view in (None, *others) for span in self._spans_in(data if view is None else view.data, cut, view)])
        whole = View()          # one after the other: one search costs less than many
        whole.add(data, _same(0))
        whole.add(APART, _all_of(len(data), len(data)))
        for view in others:
            _, end = view.origin(view.length - 1, view.length)
            whole.add(view.data, lambda at, view=view: view.origin(at, at + 1))
            whole.add(APART, _all_of(end, end))
        return _joined([(start, min(end, len(data))) for start, end in self._spans_in(whole.done().data, False, whole) if start < len(data)])

    def _spans_in(self, data: bytes, cut: bool, view: View | None) -> list[tuple[int, int]]:
        made = []
        for start, end, which in self._finder.find(data, cut):
            if which >= 0:
                start += self._sought[which].kept
                if start >= end:
                    continue
                if self._sought[which].known and end - start <= LEARNT_MAX:
                    self._finder.learn(data[start:end])
            made.append(view.origin(start, end) if view is not None else (start, end))
        return made

    def locates(self, data: bytes, rule: tuple[int, int]) -> bool:
        """Whether what this rule looks for is there, as a whole."""
        return any(which >= 0 and rule in self._rules[which] for read in (data, *(view.data for view in views(data)))
                   for _, _, which in self._finder.find(read))

    def bytes(self, data: bytes, cut: bool = False) -> bytes:
        """cut: they may go on elsewhere."""
        return _starred(data, self.spans(data, cut)) if len(data) >= SHORTEST else data

    def text(self, text: str) -> str:
        if len(text) < SHORTEST:
            return text
        raw = text.encode("utf-8", "surrogatepass")
        spans = self.spans(raw)
        return _starred(raw, spans).decode("utf-8", "replace") if spans else text

    # ---- what alerts show ----

    def payload(self, data: bytes, protocol: str) -> bytes:
        """Bytes of a flow of this protocol. Where leak rules look, what is no text is starred out, and so is what could be the
        beginning or the end of a secret at their edges."""
        made = _starred(data, self.spans(data, cut=True))
        if protocol not in self.protocols:
            return made
        return _EDGES.sub(lambda one: b"*" * len(one[0]), _readable(made))

    def withhold(self, flow: int) -> None:
        """A leak rule has found something in this flow that its bytes, as they stand, do not show: they are not shown either."""
        if len(self._withheld) <= FLOWS_MAX:
            self._withheld.add(flow)

    def withholds(self, flow: int) -> bool:
        return flow in self._withheld or len(self._withheld) > FLOWS_MAX

    # ---- events ----

    def study(self, values: Iterable[bytes]) -> bool:
        """Looks through bytes that events are going to be made of, so that what they hold is known; whether there was something."""
        return bool(self.spans(APART.join(values)))

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """An event with all its texts masked. The same object where there was nothing."""
        texts = [text for text in _texts(event) if len(text) >= SHORTEST]
        if not self.spans(APART.decode().join(texts).encode("utf-8", "surrogatepass")):
            return event
        return self._masked(event)      # type: ignore[no-any-return]

    def _masked(self, value: Any) -> Any:
        """Texts, and the keys of dicts."""
        if isinstance(value, dict):
            return {self.text(key): self._masked(one) for key, one in value.items()}
        return [self._masked(one) for one in value] if isinstance(value, list) else self.text(value) if isinstance(value, str) else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    if len(spans) < 2:
        return spans
    made: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if made and start <= made[-1][1]:
            made[-1] = made[-1][0], max(made[-1][1], end)
        else:
            made.append((start, end))
    return made


def _starred(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    if not spans:
        return data
    made = bytearray(data)
    for start, end in spans:
        made[start:end] = bytes((STAR,)) * (end - start)
    return bytes(made)


def _readable(data: bytes) -> bytes:
    """With stars for blocks that are no text: compressed bytes, say."""
    text = data.decode("utf-8", "surrogateescape")
    marks = bytearray()         # of each byte, whether it is no text
    for one in text:
        code = ord(one)
        odd = 0xDC80 <= code <= 0xDCFF or code < 0x20 and one not in "\t\n\r" or code == 0x7F
        marks += bytes((odd,)) * (1 if code < 0x80 or odd else len(one.encode()))
    made = bytearray(data)
    for start, end in pairwise((*range(0, len(data), BLOCK), len(data))):
        if sum(marks[start:end]) > UNREADABLE:
            made[start:end] = bytes((STAR,)) * (end - start)
    return bytes(made)
