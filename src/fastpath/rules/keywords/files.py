"""Keywords that look at the files of a transaction. User guide, "File Keywords"."""
from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from ..draft import Draft, Pattern
from ..lexer import RuleError, pattern_bytes
from ..plan import FileIs, StoreFiles
from .header import unsigned
from .table import Keyword, add, keyword

_U64 = 2**64 - 1
_FACTS = "file.facts"


@keyword("filename", "file", quotes="optional", negatable=True)
def filename(draft: Draft, text: str, at: int) -> None:
    _name(draft, pattern_bytes(text, at, "filename"), at)


@keyword("fileext", "file", quotes="optional", negatable=True)
def fileext(draft: Draft, text: str, at: int) -> None:
    _name(draft, b"." + pattern_bytes(text, at, "fileext"), at, endswith=True)


def _name(draft: Draft, pattern: bytes, at: int, endswith: bool = False) -> None:
    if pattern in (b"", b"."):
        raise RuleError(at, "found nothing where a text was expected")
    draft.over("file.name", at, Pattern(pattern, at, draft.negated, nocase=True, endswith=endswith))


@keyword("filemagic", "file", quotes="must", negatable=True)
def filemagic(draft: Draft, text: str, at: int) -> None:
    pattern = pattern_bytes(text, at, "filemagic")
    if not pattern:
        raise RuleError(at, "found nothing where a text was expected")
    draft.over("file.magic", at, Pattern(pattern, at, draft.negated, nocase=True))
    _ask_magic(draft, at)


def _file_magic(draft: Draft, text: str, at: int) -> None:
    draft.enter("file.magic", at)
    _ask_magic(draft, at)


def _ask_magic(draft: Draft, at: int) -> None:
    if reason := draft.datasets.magic_problem():
        draft.refuse(at, reason)


add(Keyword("file.magic", "file", "none", _file_magic, "optional", True, kind="sticky"))


@keyword("filesize", "file")
def filesize(draft: Draft, text: str, at: int) -> None:
    if any(letter.isalpha() for letter in text):
        raise RuleError(at, f"found {text!r} where a number of bytes, without a unit, was expected")
    draft.over(_FACTS, at, FileIs("size", ranges=unsigned(text, at, _U64)))


_WAYS = {"request": "to_server", "to_server": "to_server", "response": "to_client", "to_client": "to_client", "both": "both"}
_SCOPES: dict[str, Literal["file", "tx", "flow"]] = {"file": "file", "tx": "tx", "ssn": "flow", "flow": "flow"}


@keyword("filestore", "file", value="optional", note="files are written where file-store is enabled")
def filestore(draft: Draft, text: str, at: int) -> None:
    parts = [part.strip() for part in text.split(",")] if text else []
    if len(parts) > 2 or parts and parts[0] not in _WAYS or len(parts) == 2 and parts[1] not in _SCOPES:
        draft.refuse(at, f"found {text!r} where a direction (request, response, both) and a scope (file, tx, flow) were expected")
        parts = []
    draft.over(_FACTS, at, FileIs("store"))
    draft.after.append(StoreFiles(_SCOPES[parts[1]] if len(parts) == 2 else "file", _WAYS[parts[0]] if parts else ""))


def _digests(kind: Literal["md5", "sha1", "sha256"], length: int) -> None:
    @keyword(f"file{kind}", "file")
    def setup(draft: Draft, text: str, at: int) -> None:
        negated = text.startswith("!")
        path = Path(draft.folder) / text[negated:].strip()
        try:
            lines = draft.datasets.lines(path)
        except OSError as error:
            raise RuleError(at + negated, f"the list {path} cannot be read: {error.strerror}") from None
        found = set()
        for line, row in enumerate(lines, 1):
            if not row or row[0] in "# ":
                continue
            digest = re.match(r"[0-9a-fA-F]*", row)[0]      # type: ignore[index]
            if len(digest) != 2 * length:
                raise RuleError(at + negated, f"{path}:{line} holds no {kind} digest", malformed=False)
            found.add(bytes.fromhex(digest))
        draft.over(_FACTS, at, FileIs(kind, texts=tuple(sorted(found)), negated=negated))


_digests("md5", 16)
_digests("sha1", 20)
_digests("sha256", 32)


@keyword("file.sha256", "file", note="fastpath's own: digests in the rule itself")
def file_sha256(draft: Draft, text: str, at: int) -> None:
    """file.sha256:[!]HEX[,HEX...]: the SHA-256 of a file of which all was seen is one of these, or with ! none of them."""
    negated = text.startswith("!")
    digests = [part.strip() for part in text[negated:].split(",")]
    for digest in digests:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
            raise RuleError(at, f"found {digest[:80]!r} where a SHA-256 of 64 hex digits was expected")
    draft.over(_FACTS, at, FileIs("sha256", texts=tuple(sorted(map(bytes.fromhex, digests))), negated=negated))
