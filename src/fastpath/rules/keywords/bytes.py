"""byte_test, byte_jump, byte_extract, byte_math and base64. User guide, "Payload Keywords", "Base64 Keywords"."""
from __future__ import annotations

import re
from typing import Any, Literal, cast

from ..draft import Draft, Pattern, number, words
from ..lexer import BLANK, RuleError
from ..plan import Base64Decode, ByteExtract, ByteJump, ByteMath, ByteTest, Pcre
from .table import keyword

_U16, _U32, _U64 = 2**16 - 1, 2**32 - 1, 2**64 - 1
_BASES: dict[str, Literal[8, 10, 16]] = {"hex": 16, "dec": 10, "oct": 8}
_ONE_OF = {"big": "endian", "little": "endian", "hex": "base", "dec": "base", "oct": "base"}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")

_LONGEST = 23      # digits of a number written as text
_EXTRACTED = {8: 23, 10: 20, 16: 14}    # the same, for byte_extract

Words = list[tuple[str, int]]


class _Options:
    """The words that the byte keywords share, read one by one."""

    def __init__(self, draft: Draft):
        self._draft = draft
        self.relative = False
        self.endian: Literal["big", "little", "dce"] = "big"
        self.string = False
        self.base: Literal[0, 8, 10, 16] = 0
        self.bitmask = 0
        self.ordered = False        # big or little was said
        self.dce_at = -1

    def take(self, word: str, where: int) -> bool:
        """Reads a word; False if it is not one of the shared ones."""
        if word == "relative":
            self.relative = True
        elif word in ("big", "little"):
            self.endian, self.ordered = cast(Any, word), True
        elif word == "string":
            self.string = True
        elif word in _BASES:
            self.base = _BASES[word]
        elif word == "dce":
            self.dce_at = where
        else:
            return False
        return True

    def settle(self, at: int) -> None:
        """Checks that hold when all words are read."""
        if self.base and not self.string:
            raise RuleError(at, "hex, dec and oct need 'string'")
        if self.dce_at >= 0:
            if self.string or self.ordered:
                raise RuleError(self.dce_at, "dce says itself how a number stands there: big, little and 'string' contradict it")
            self.endian = "dce"
            if self._draft.room is None:
                self._draft.protocol("dcerpc", self.dce_at)
        if self.string and not self.base:
            self.base = 10


def _split(text: str, at: int, least: int, form: str) -> Words:
    parts = words(text, at)
    if len(parts) < least:
        raise RuleError(at, f"found {text!r} where {form} was expected")
    return parts


def _count(nbytes: int | str, options: _Options, at: int, longest: int = _LONGEST) -> None:
    if isinstance(nbytes, int):
        if not options.string and nbytes > 8:
            raise RuleError(at, f"found {nbytes} where at most 8 bytes were expected (more need 'string')")
        if options.string and nbytes > longest:
            raise RuleError(at, f"found {nbytes} where at most {longest} digits were expected")


@keyword("byte_test", "payload")
def byte_test(draft: Draft, text: str, at: int) -> None:
    parts = _split(text, at, 4, "bytes, operator, value, offset")
    nbytes = draft.value(*parts[0], 0, _U16)
    op, where = parts[1]
    negated = op.startswith("!")
    op = op[negated:].strip(BLANK) or "="
    if op not in ("<", ">", "=", "<=", ">=", "&", "^"):
        raise RuleError(where, f"found {parts[1][0]!r} where one of < > = <= >= & ^, or ! before it, was expected")
    value = draft.value(*parts[2], -_U64, _U64, base=0)
    if isinstance(value, int):
        value &= _U64       # a negative number counts from the top of 64 bits
    offset = draft.value(*parts[3], -2**31, 2**31 - 1)
    options = _Options(draft)
    for word, where in parts[4:]:
        if word.startswith("bitmask"):
            options.bitmask = number(word[len("bitmask"):].strip(BLANK), where, 0, _U32, 0)
        elif not options.take(word, where):
            raise RuleError(where,
                f"found {word!r} where relative, big, little, string, hex, dec, oct, dce or bitmask was expected")
    options.settle(at)
    _count(nbytes, options, at)
    draft.steps(options.relative).append(ByteTest(nbytes, op, value, offset, negated, options.relative, options.endian, options.base,
        options.bitmask))


@keyword("byte_jump", "payload")
def byte_jump(draft: Draft, text: str, at: int) -> None:
    parts = _split(text, at, 2, "bytes, offset")
    nbytes = draft.value(*parts[0], 0, _U16)
    offset = draft.value(*parts[1], -_U16, _U16)
    options, multiplier, post_offset, align, from_beginning, from_end = _Options(draft), 1, 0, False, False, False
    for word, where in parts[2:]:
        name, _, argument = word.partition(" ")
        argument = argument.strip(BLANK)
        if word == "align":
            align = True
        elif word == "from_beginning":
            from_beginning = True
        elif word == "from_end":
            from_end = True
        elif name == "multiplier":
            multiplier = number(argument, where, 1, _U16)
        elif name == "post_offset":
            post_offset = number(argument, where, -_U16, _U16)
        elif not options.take(word, where):
            raise RuleError(where, f"found {word!r} where relative, multiplier, big, little, string, hex, dec, oct, dce, align, "
                                   "from_beginning, from_end or post_offset was expected")
    if from_beginning and from_end:
        raise RuleError(at, "from_beginning and from_end contradict each other")
    options.settle(at)
    _count(nbytes, options, at)
    draft.steps(options.relative).append(ByteJump(nbytes, offset, options.relative, multiplier, options.endian, options.base, align,
        from_beginning,
                                  from_end, post_offset))


@keyword("byte_extract", "payload")
def byte_extract(draft: Draft, text: str, at: int) -> None:
    parts = _split(text, at, 3, "bytes, offset, name")
    nbytes = number(*parts[0], 0, _U16)
    offset = number(*parts[1], -_U16, _U16)
    name = _name(*parts[2])
    options, multiplier, align, said = _Options(draft), 1, 0, set()
    for word, where in parts[3:]:
        first, _, argument = word.partition(" ")
        meant = _ONE_OF.get(first, first)
        if meant in said:
            raise RuleError(where, f"found {word!r} where {meant} is said already")
        said.add(meant)
        if first == "multiplier":
            multiplier = number(argument.strip(BLANK), where, 1, _U16)
        elif first == "align":
            align = number(argument.strip(BLANK), where, 2, 4)
            if align == 3:
                raise RuleError(where, "found 3 where 2 or 4 was expected")
        elif not options.take(word, where):
            raise RuleError(where, f"found {word!r} where relative, multiplier, big, little, string, hex, dec, oct, dce or align "
                                   "was expected")
    options.settle(at)
    if options.string and "endian" in said:
        raise RuleError(at, "big and little have no meaning with 'string'")
    _count(nbytes, options, at, _EXTRACTED.get(options.base, 8))
    if nbytes == 0:
        draft.refuse(at, "nothing is extracted from 0 bytes")
    draft.steps(options.relative).append(ByteExtract(nbytes, offset, name, options.relative, multiplier, options.endian, options.base, align))
    draft.name(name, at)


@keyword("byte_math", "payload")
def byte_math(draft: Draft, text: str, at: int) -> None:
    said: dict[str, tuple[str, int]] = {}
    options = _Options(draft)
    for word, where in words(text, at):
        name, _, argument = word.partition(" ")
        if name in said:
            raise RuleError(where, f"{name} is said twice")
        if name in ("bytes", "offset", "oper", "rvalue", "result", "endian", "string", "bitmask") and argument.strip(BLANK):
            said[name] = argument.strip(BLANK), where
        elif name in ("relative", "dce") and not argument:
            said[name] = "", where
            options.take(name, where)
        else:
            raise RuleError(where, f"found {word!r} where bytes, offset, oper, rvalue, result, relative, endian, string, dce or "
                                   "bitmask was expected")
    for name in ("bytes", "offset", "oper", "rvalue", "result"):
        if name not in said:
            raise RuleError(at, f"{name} is missing")
    oper, where = said["oper"]
    if oper not in ("+", "-", "*", "/", "<<", ">>"):
        raise RuleError(where, f"found {oper!r} where one of + - * / << >> was expected")
    if "endian" in said:
        endian, where = said["endian"]
        if endian not in ("big", "little"):
            raise RuleError(where, f"found {endian!r} where big or little was expected")
        options.endian, options.ordered = cast(Any, endian), True
    if "string" in said:
        base, where = said["string"]
        if base not in _BASES:
            raise RuleError(where, f"found {base!r} where hex, dec or oct was expected")
        options.string, options.base = True, _BASES[base]
    if "bitmask" in said:
        mask, where = said["bitmask"]
        options.bitmask = number(mask if mask[:2].lower() == "0x" else "0x" + mask, where, 0, _U32, 16)
    options.settle(at)
    nbytes = draft.value(*said["bytes"], 1, 10)
    if isinstance(nbytes, int) and not options.string and nbytes > 8:
        draft.refuse(said["bytes"][1], f"found {nbytes} bytes where at most 8 make a number (more need 'string')")
    offset = number(*said["offset"], -_U16, _U16)
    rvalue = draft.value(*said["rvalue"], 0, _U32)
    result = _name(*said["result"])
    if options.relative and draft.room is not None and not any(isinstance(step, Pattern | Pcre) for step in draft.room.steps):
        raise RuleError(at, "relative needs a content or an expression before it")
    if oper == "/" and rvalue == 0:
        draft.refuse(said["rvalue"][1], "divides by zero")
    draft.steps(options.relative).append(ByteMath(nbytes, offset, oper, rvalue, result, options.relative, options.endian, options.base,
                                  options.bitmask))
    draft.name(result, at)


@keyword("base64_decode", "payload", value="optional")
def base64_decode(draft: Draft, text: str, at: int) -> None:
    nbytes, offset, relative = 0, 0, False
    for word, where in words(text, at) if text else []:
        name, _, argument = word.partition(" ")
        if name == "bytes":
            nbytes = number(argument.strip(BLANK), where, 0, _U32)
        elif name == "offset":
            offset = number(argument.strip(BLANK), where, 0, _U32)
        elif word == "relative":
            relative = True
        else:
            raise RuleError(where, f"found {word!r} where bytes, offset or relative was expected")
    if draft.room is not None and draft.room.buffer == "base64_data":
        draft.refuse(at, "what was decoded is not decoded again")
    draft.steps(relative=True).append(Base64Decode(nbytes, offset, relative))
    draft.decoded = True


@keyword("base64_data", "payload", value="none")
def base64_data(draft: Draft, text: str, at: int) -> None:
    if not draft.decoded:
        raise RuleError(at, "there is no base64_decode before it")
    draft.decoded = False
    draft.room = draft.base64_data()


def _name(text: str, at: int) -> str:
    if not _NAME.match(text):
        raise RuleError(at, f"found {text!r} where the name of a variable was expected")
    return text
