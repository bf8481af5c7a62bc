"""What the application layers say of a flow: app-layer-protocol and app-layer-event. User guide, "Generic App Layer Keywords"."""
from __future__ import annotations

from ..applications import PROTOCOLS, has_event, missing
from ..draft import Draft
from ..lexer import BLANK, RuleError
from ..plan import AppEvent, AppProtocol
from .table import keyword

_FAMILY = "application-layer"


@keyword("app-layer-protocol", _FAMILY, note="protocols that have a room, and failed")
def app_layer_protocol(draft: Draft, text: str, at: int) -> None:
    negated = text.startswith("!")
    name = text[negated:].strip(BLANK)
    if draft.app_proto:
        raise RuleError(at, f"the rule asks for {draft.app_proto} already")
    if name != "failed":
        if name not in PROTOCOLS:
            raise RuleError(at + negated, f"found {name!r} where a protocol of the application layers was expected")
        if reason := missing(name):
            draft.refuse(at + negated, reason)
    if any(isinstance(each, AppProtocol) and (not each.negated or not negated or each.name == name) for each in draft.conditions):
        raise RuleError(at, "says again, or contradicts, what an app-layer-protocol before it says")
    draft.conditions.append(AppProtocol(name, negated))


@keyword("app-layer-event", _FAMILY, note="events that the rooms raise")
def app_layer_event(draft: Draft, text: str, at: int) -> None:
    proto, dot, name = text.lower().partition(".")
    proto = "ike" if proto == "ikev2" else proto
    if not dot and text.lower().startswith("applayer_"):
        proto, name = "applayer", text.lower().removeprefix("applayer_")
    elif not dot or not name:
        raise RuleError(at, f"found {text!r} where protocol.event or applayer_event was expected")
    elif proto not in PROTOCOLS and proto != "file":
        raise RuleError(at, f"found {proto!r} where a protocol of the application layers was expected")
    if not has_event(proto, name):
        draft.refuse(at, f"the engine has no event {text}")
    if proto not in ("applayer", "file"):
        draft.protocol(proto, at)
    draft.conditions.append(AppEvent(proto, name))
