"""YAML with places: nodes in, plain values out, every error with file, line and column."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastpath.control.policy.model import PolicyError
from fastpath.rules.plan import Place

TEXT_MAX = 64 << 20         # bytes


class Node:
    """A value and where it stands."""
    __slots__ = ("_node", "file")

    def __init__(self, node: Any, file: str):
        self._node = node
        self.file = file

    @property
    def place(self) -> Place:
        mark = self._node.start_mark
        return Place(self.file, mark.line + 1, mark.column + 1)

    @property
    def kind(self) -> str:
        return {"MappingNode": "mapping", "SequenceNode": "list"}.get(type(self._node).__name__, "value")

    def fail(self, message: str, other: Place | None = None) -> PolicyError:
        return PolicyError(self.place, message, other)

    @property
    def is_null(self) -> bool:
        return self.kind == "value" and str(self._node.tag).endswith(":null")

    def text(self, what: str) -> str:
        if self.kind != "value" or self.is_null:
            raise self.fail(f"expected {what}, found {'nothing' if self.is_null else f'a {self.kind}'}")
        return str(self._node.value)

    def number(self, what: str, low: int, high: int) -> int:
        text = self.text(what)
        if not text.isascii() or not text.isdigit() or len(text) > 20 or not low <= int(text) <= high:
            raise self.fail(f"expected {what} from {low} to {high}, found {text[:60]!r}")
        return int(text)

    def boolean(self, what: str) -> bool:
        text = self.text(what)
        if text not in ("true", "false"):
            raise self.fail(f"expected true or false, found {text[:60]!r}")
        return text == "true"

    def items(self, what: str) -> list[Node]:
        """The items of a list; a single value is a list of one."""
        if self.kind == "list":
            return [Node(one, self.file) for one in self._node.value]
        if self.kind == "mapping" or self.is_null:
            raise self.fail(f"expected {what}, found {'nothing' if self.is_null else 'a mapping'}")
        return [self]

    def listed(self, what: str) -> list[Node]:
        """The items of what must be a list."""
        if self.kind != "list":
            raise self.fail(f"expected a list of {what}, found {'nothing' if self.is_null else f'a {self.kind}'}")
        return [Node(one, self.file) for one in self._node.value]

    def pairs(self, what: str) -> Iterator[tuple[Node, str, Node]]:
        """(key's node, key, value) of a mapping; a key twice is an error with both places."""
        if self.kind != "mapping":
            raise self.fail(f"expected {what}, found {'nothing' if self.is_null else f'a {self.kind}'}")
        seen: dict[str, Place] = {}
        for name, value in self._node.value:
            key = Node(name, self.file)
            text = key.text("a key")
            if text in seen:
                raise key.fail(f"{text!r} is said twice", seen[text])
            seen[text] = key.place
            yield key, text, Node(value, self.file)

    def mapping(self, what: str, keys: tuple[str, ...], needed: tuple[str, ...] = ()) -> dict[str, Node]:
        """A mapping of these keys and no others."""
        found: dict[str, Node] = {}
        for key, text, value in self.pairs(what):
            if text not in keys:
                raise key.fail(f"{what} has no {text[:60]!r}; it has {', '.join(keys)}")
            found[text] = value
        for name in needed:
            if name not in found:
                raise self.fail(f"{what} needs {name!r}")
        return found


def document(text: str | bytes, file: str, what: str) -> Node:
    """The one document of a YAML text, which is `what` ("a policy"). Raises PolicyError for none, for a second at its place, and as
    `documents`."""
    found = documents(text, file)
    if not found:
        raise PolicyError(Place(file, 1, 1), f"expected {what}, found nothing")
    if len(found) > 1:
        raise found[1].fail(f"expected {what} in one document, found {len(found)} documents")
    return found[0]


def documents(text: str | bytes, file: str) -> list[Node]:
    """The documents of a YAML text, without the empty ones. Raises PolicyError for what is no YAML, at its place."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError
    start = Place(file, 1, 1)
    if len(text) > TEXT_MAX:
        raise PolicyError(start, f"a policy has at most {TEXT_MAX} bytes, not {len(text)}")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise PolicyError(Place(file, text.count(b"\n", 0, error.start) + 1, 1), "not UTF-8") from None
    try:
        nodes = [node for node in YAML(typ="safe", pure=True).compose_all(text) if node is not None]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Place(file, mark.line + 1, mark.column + 1) if mark else start
        raise PolicyError(where, f"not YAML: {error.problem or error.context}") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        where = Place(file, line, error.position - text.rfind("\n", 0, error.position))
        raise PolicyError(where, f"not YAML: {error.reason}") from None
    except YAMLError as error:
        raise PolicyError(start, f"not YAML: {str(error).splitlines()[0]}") from None
    except (RecursionError, ValueError) as error:
        raise PolicyError(start, f"not YAML: {'nested too deep' if isinstance(error, RecursionError) else error}") from None
    return [Node(node, file) for node in nodes]
