"""Keywords about the rule, not about traffic. User guide, "Meta Keywords"."""
from __future__ import annotations

import re
from typing import Any, cast

from ..draft import Draft, number, words
from ..lexer import BLANK, RuleError, readable
from ..plan import ISOLATE_DST, ISOLATE_MAX, Unlog
from ..requirements import unmet
from .table import TABLE, keyword

_U32 = 2**32 - 1
_ESCAPED = re.compile(r'\\([:;"\\])')
_CONFIG = re.compile(r"logging\s+disable\s*,\s*type\s+(tx|flow)\s*,\s*scope\s+(tx|flow)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@keyword("sid", "meta")
def sid(draft: Draft, text: str, at: int) -> None:
    if draft.sid is not None:
        raise RuleError(at, "stands once in a rule")
    draft.sid = number(text, at, 1, _U32 - 1)


@keyword("gid", "meta")
def gid(draft: Draft, text: str, at: int) -> None:
    draft.gid = number(text, at, 0, _U32 - 1)


@keyword("rev", "meta")
def rev(draft: Draft, text: str, at: int) -> None:
    if draft.rev is not None:
        raise RuleError(at, "stands once in a rule")
    draft.rev = number(text, at, 1, _U32 - 1)


@keyword("msg", "meta", quotes="must")
def msg(draft: Draft, text: str, at: int) -> None:
    if draft.msg is not None:
        raise RuleError(at, "stands once in a rule")
    if not text:
        raise RuleError(at, "found nothing where a text was expected")
    draft.msg = readable(_ESCAPED.sub(r"\1", text))


@keyword("classtype", "meta")
def classtype(draft: Draft, text: str, at: int) -> None:
    if not _NAME.fullmatch(text):
        raise RuleError(at, f"found {text!r} where the name of a classification was expected")
    if draft.classtype and draft.classtype != text:
        draft.refuse(at, "a second classtype is not known")
    draft.classtype = text


@keyword("priority", "meta")
def priority(draft: Draft, text: str, at: int) -> None:
    value = number(text, at, 0, _U32)
    if draft.priority not in (None, value):
        draft.refuse(at, "a second priority is not known")
    draft.priority = value


@keyword("reference", "meta")
def reference(draft: Draft, text: str, at: int) -> None:
    system, comma, key = (part.strip(BLANK) for part in text.partition(","))
    if not comma or not system or not key:
        raise RuleError(at, f"found {text!r} where a system and an identifier, parted by a comma, were expected")
    draft.references.append((system.lower(), readable(key)))


@keyword("metadata", "meta")
def metadata(draft: Draft, text: str, at: int) -> None:
    for part in text.split(","):
        key, _, value = part.strip(BLANK).partition(" ")
        if key:
            draft.metadata.append((readable(key), readable(value.strip(BLANK))))


@keyword("target", "meta")
def target(draft: Draft, text: str, at: int) -> None:
    if text not in ("src_ip", "dest_ip"):
        raise RuleError(at, f"found {text!r} where src_ip or dest_ip was expected")
    if draft.target not in ("", text):
        raise RuleError(at, "contradicts the target before it")
    draft.target = cast(Any, text)


@keyword("requires", "meta")
def requires(draft: Draft, text: str, at: int) -> None:
    for part, where in words(text, at):
        reason = unmet(part, where, TABLE)
        if reason:
            draft.refuse(where, reason)


@keyword("noalert", "meta", value="none")
def noalert(draft: Draft, text: str, at: int) -> None:
    draft.noalert = True


@keyword("alert", "meta", value="none", note="takes noalert back")
def alert(draft: Draft, text: str, at: int) -> None:
    draft.noalert = False


@keyword("inventory", "meta", value="none", note="fastpath's own: what matches is written into the inventory, and is no alert")
def inventory(draft: Draft, text: str, at: int) -> None:
    draft.note = True


@keyword("isolate", "meta", note="fastpath's own: src or dst, seconds N, standby NAME: an alert cuts that workload off")
def isolate(draft: Draft, text: str, at: int) -> None:
    parts = words(text, at)
    end, where = parts[0]
    if end not in ("src", "dst"):
        raise RuleError(where, f"found {end!r} where src or dst was expected")
    said = {}
    for part, place in parts[1:]:
        name, _, value = part.partition(" ")
        if name not in ("seconds", "standby") or name in said or not value.strip():
            raise RuleError(place, f"found {part!r} where seconds and a number, or standby and a name, were expected, each once")
        said[name] = value.strip(), place + len(name) + 1
    if "seconds" not in said:
        raise RuleError(at, "isolate needs seconds and a number: when it ends by itself")
    if draft.isolate:
        draft.refuse(at, "a second isolate is not known")
    seconds = number(*said["seconds"], 1, ISOLATE_MAX)
    draft.isolate = seconds | (ISOLATE_DST if end == "dst" else 0)
    if "standby" in said:
        draft.metadata.append(("standby", said["standby"][0]))


@keyword("bypass", "meta", value="none", note="asks for the flow to be offloaded")
def bypass(draft: Draft, text: str, at: int) -> None:
    draft.bypass = True


@keyword("config", "meta", note="whatever type and scope say, as in Suricata it is the transaction that is not logged")
def config(draft: Draft, text: str, at: int) -> None:
    if not _CONFIG.fullmatch(text):
        raise RuleError(at, f"found {text!r} where 'logging disable, type tx, scope tx' was expected (or flow for tx)")
    draft.after.append(Unlog())


@keyword("prefilter", "meta", value="none", note="which keyword is looked at first changes no result")
def prefilter(draft: Draft, text: str, at: int) -> None:
    """Suricata would rather start with the condition before it; the order in which a rule is checked is decided elsewhere."""
