"""Statistics and what a Result lists, before they are told: every text goes through the masker (mask.py) and the anonymiser (anonymise.py)."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastpath.control.result import Run


def told(run: Run, value: Any, what: str = "") -> Any:
    """The value, plain or of dataclasses, as it may be told. what: where it stands in the statistics."""
    masker, anonymiser = run.signatures.masker, run.captures.anonymiser
    if masker is not None:
        text = masker.text
        value = each_text(value, lambda one, path: text(one))
    if anonymiser is not None:
        value = each_text(value, anonymiser.told, what)
    return value


def each_text(value: Any, made: Callable[[str, str], str], path: str = "") -> Any:
    """A value of the same form, each text in it replaced by made(text, path)."""
    if isinstance(value, str):
        return made(value, path)
    if isinstance(value, dict):
        return {key: each_text(one, made, f"{path}.{key}" if path else str(key)) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(each_text(one, made, path) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: each_text(getattr(value, one.name), made, f"{path}.{one.name}") for one in fields(value)})
    return value
