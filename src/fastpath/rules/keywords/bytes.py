"""byte_test, byte_jump, byte_extract, byte_math and base64. User guide, "Payload Keywords", "Base64 Keywords"."""
from __future__ import annotations

import re

from ..draft import Draft, number, words
from ..lexer import RuleError
from ..plan import Base64Decode, ByteExtract, ByteJump, ByteMath, ByteTest
from .table import keyword

_U16, _U32, _U64 = 2**16 - 1, 2**32 - 1, 2**64 - 1
_BASES = {"hex": 16, "dec": 10, "oct": 8}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")

#: The most digits that a 64-bit number has, by base.
_DIGITS = {8: 23, 10: 20, 16: 14}

Words = list[tuple[str, int]]


class _Options:
    """The words that the byte keywords share, read one by one."""

    def __init__(self, draft: Draft):
        self._draft = draft
        self.relative = False
        self.endian = "big"
        self.string = False
        self.base = 0
        self.bitmask = 0
        self.dce_at = -1

    def take(self, word: str, where: int) -> bool:
        """Reads a word; False if it is not one of the shared ones."""
        name = word.lower()
        if name == "relative":
            self.relative = True
        elif name in ("big", "little"):
            self.endian = name
        elif name == "string":
            self.string = True
        elif name in _BASES:
            self.base = _BASES[name]
        elif name == "dce":
            self.dce_at = where
            self._draft.refuse(where, "needs the dcerpc room (dce)")
        else:
            return False
        return True

    def settle(self, at: int) -> None:
        """Checks that hold when all words are read."""
        if self.base and not self.string:
            raise RuleError(at, "hex, dec and oct need 'string'")
        if self.string and not self.base:
            self.base = 10


def _split(text: str, at: int, least: int, form: str) -> Words:
    parts = words(text, at)
    if len(parts) < least:
        raise RuleError(at, f"found {text!r} where {form} was expected")
    return parts


def _count(nbytes: int | str, options: _Options, at: int, longest: dict[int, int] = _DIGITS) -> None:
    if isinstance(nbytes, int):
        if not options.string and nbytes > 8:
            raise RuleError(at, f"found {nbytes} where at most 8 bytes were expected (more need 'string')")
        if options.string and nbytes > longest[options.base]:
            raise RuleError(at, f"found {nbytes} where at most {longest[options.base]} digits were expected")


@keyword("byte_test", "payload", note="dce is refused")
def byte_test(draft: Draft, text: str, at: int) -> None:
    parts = _split(text, at, 4, "bytes, operator, value, offset")
    nbytes = draft.value(*parts[0], 0, 23)
    op, where = parts[1]
    negated = op.startswith("!")
    op = op[negated:].strip() or "="
    if op not in ("<", ">", "=", "<=", ">=", "&", "^"):
        raise RuleError(where, f"found {parts[1][0]!r} where one of < > = <= >= & ^, or ! before it, was expected")
    value = draft.value(*parts[2], 0, _U64)
    offset = draft.value(*parts[3], -2**31, 2**31 - 1)
    options = _Options(draft)
    for word, where in parts[4:]:
        if word.lower().startswith("bitmask"):
            options.bitmask = _mask(word, where)
        elif not options.take(word, where):
            raise RuleError(where, f"found {word!r} where relative, big, little, string, hex, dec, oct, dce or bitmask was expected")
    options.settle(at)
    _count(nbytes, options, at)
    draft.steps().append(ByteTest(nbytes, op, value, offset, negated, options.relative, options.endian, options.base, options.bitmask))


@keyword("byte_jump", "payload", note="dce is refused")
def byte_jump(draft: Draft, text: str, at: int) -> None:
    parts = _split(text, at, 2, "bytes, offset")
    nbytes = draft.value(*parts[0], 0, 23)
    offset = draft.value(*parts[1], -_U16, _U16)
    options, multiplier, post_offset, align, from_beginning, from_end = _Options(draft), 1, 0, False, False, False
    for word, where in parts[2:]:
        name, _, argument = word.partition(" ")
        name, argument = name.lower(), argument.strip()
        if name == "align":
            align = True
        elif name == "from_beginning":
            from_beginning = True
        elif name == "from_end":
            from_end = True
        elif name == "multiplier":
            multiplier = number(argument, where, 1, _U16)
        elif name == "post_offset":
            post_offset = draft.value(argument, where, -_U16, _U16)
        elif name == "bitmask":
            options.bitmask = _mask(word, where)
        elif not options.take(word, where):
            raise RuleError(where, f"found {word!r} where relative, multiplier, big, little, string, hex, dec, oct, dce, align, "
                                   "from_beginning, from_end, post_offset or bitmask was expected")
    if from_beginning and from_end:
        raise RuleError(at, "from_beginning and from_end contradict each other")
    options.settle(at)
    _count(nbytes, options, at)
    draft.steps().append(ByteJump(nbytes, offset, options.relative, multiplier, options.endian, options.base, align, from_beginning,
                                  from_end, post_offset, options.bitmask))


@keyword("byte_extract", "payload", note="dce is refused")
def byte_extract(draft: Draft, text: str, at: int) -> None:
    parts = _split(text, at, 3, "bytes, offset, name")
    nbytes = number(*parts[0], 1, 23)
    offset = number(*parts[1], -_U16, _U16)
    name = _name(*parts[2])
    options, multiplier, align = _Options(draft), 1, 0
    for word, where in parts[3:]:
        first, _, argument = word.partition(" ")
        first, argument = first.lower(), argument.strip()
        if first == "multiplier":
            multiplier = number(argument, where, 1, _U16)
        elif first == "align":
            align = number(argument, where, 2, 4)
            if align == 3:
                raise RuleError(where, "found 3 where 2 or 4 was expected")
        elif not options.take(word, where):
            raise RuleError(where, f"found {word!r} where relative, multiplier, big, little, string, hex, dec, oct, dce or align "
                                   "was expected")
    options.settle(at)
    _count(nbytes, options, at)
    draft.steps().append(ByteExtract(nbytes, offset, name, options.relative, multiplier, options.endian, options.base, align))
    draft.names.add(name)


@keyword("byte_math", "payload", note="dce is refused")
def byte_math(draft: Draft, text: str, at: int) -> None:
    said: dict[str, tuple[str, int]] = {}
    options = _Options(draft)
    for word, where in words(text, at):
        name, _, argument = word.partition(" ")
        name = name.lower()
        if name in said:
            raise RuleError(where, f"{name} is said twice")
        if name in ("bytes", "offset", "oper", "rvalue", "result", "endian", "string", "bitmask") and argument.strip():
            said[name] = argument.strip(), where
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
        options.endian, where = said["endian"]
        if options.endian not in ("big", "little"):
            raise RuleError(where, f"found {options.endian!r} where big or little was expected")
    if "string" in said:
        base, where = said["string"]
        if base not in _BASES:
            raise RuleError(where, f"found {base!r} where hex, dec or oct was expected")
        options.string, options.base = True, _BASES[base]
    if "bitmask" in said:
        options.bitmask = number(*said["bitmask"], 0, _U32)
    nbytes = draft.value(*said["bytes"], 1, 10)
    if isinstance(nbytes, int) and not options.string and nbytes > 8:
        draft.refuse(said["bytes"][1], f"found {nbytes} bytes where at most 8 make a number (more need 'string')")
    offset = number(*said["offset"], -_U16, _U16)
    rvalue = draft.value(*said["rvalue"], 0, _U32)
    result = _name(*said["result"])
    if oper == "/" and rvalue == 0:
        draft.refuse(said["rvalue"][1], "divides by zero")
    draft.steps().append(ByteMath(nbytes, offset, oper, rvalue, result, options.relative, options.endian, options.base,
                                  options.bitmask))
    draft.names.add(result)


@keyword("base64_decode", "payload", value="optional")
def base64_decode(draft: Draft, text: str, at: int) -> None:
    nbytes, offset, relative = 0, 0, False
    for word, where in words(text, at) if text else []:
        name, _, argument = word.partition(" ")
        if name == "bytes":
            nbytes = number(argument.strip(), where, 0, _U32)
        elif name == "offset":
            offset = number(argument.strip(), where, 0, _U32)
        elif word == "relative":
            relative = True
        else:
            raise RuleError(where, f"found {word!r} where bytes, offset or relative was expected")
    draft.steps().append(Base64Decode(nbytes, offset, relative))


@keyword("base64_data", "payload", value="none")
def base64_data(draft: Draft, text: str, at: int) -> None:
    if not any(isinstance(step, Base64Decode) for room in draft.rooms for step in room.steps):
        raise RuleError(at, "there is no base64_decode before it")
    draft.room = draft.base64_data()


def _mask(word: str, at: int) -> int:
    argument = word[len("bitmask"):].strip()
    return number(argument if argument[:2].lower() == "0x" else "0x" + argument, at, 0, _U32)


def _name(text: str, at: int) -> str:
    if not _NAME.match(text):
        raise RuleError(at, f"found {text!r} where the name of a variable was expected")
    return text
