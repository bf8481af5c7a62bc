"""classification.config and reference.config: what classtypes and reference systems mean.

User guide, "Meta Keywords": classtype, reference.
"""
from __future__ import annotations

import re
from pathlib import Path

_CLASSIFICATION = re.compile(r"\s*config\s+classification\s*:\s*([a-zA-Z][a-zA-Z0-9_-]*)\s*,\s*(.+?)\s*,\s*([0-9]+)\s*\Z")
_REFERENCE = re.compile(r"\s*config\s+reference\s*:\s*([a-zA-Z][a-zA-Z0-9_-]*)\s+(\S.*?)\s*\Z")


def parse_classifications(text: str, file: str = "classification.config") -> dict[str, tuple[str, int]]:
    """Name -> (description, priority), the first of a name counting. ValueError with file and line for a broken line."""
    out: dict[str, tuple[str, int]] = {}
    for number, line in _settings(text):
        form = _CLASSIFICATION.match(line)
        if form is None:
            raise ValueError(f"{file}:{number}: found {line!r} where 'config classification: name,description,priority' "
                             "was expected")
        out.setdefault(form[1].lower(), (form[2], int(form[3])))
    return out


def parse_references(text: str, file: str = "reference.config") -> dict[str, str]:
    """System, lower case -> prefix of the link, the first of a name counting. ValueError with file and line for a broken line."""
    out: dict[str, str] = {}
    for number, line in _settings(text):
        form = _REFERENCE.match(line)
        if form is None:
            raise ValueError(f"{file}:{number}: found {line!r} where 'config reference: system prefix' was expected")
        out.setdefault(form[1].lower(), form[2])
    return out


def load_classifications(path: str | Path) -> dict[str, tuple[str, int]]:
    """As parse_classifications, of a file."""
    return parse_classifications(Path(path).read_text("latin-1"), str(path))


def load_references(path: str | Path) -> dict[str, str]:
    """As parse_references, of a file."""
    return parse_references(Path(path).read_text("latin-1"), str(path))


def _settings(text: str) -> list[tuple[int, str]]:
    """The lines that say something, with their numbers."""
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(number, line) for number, line in lines if line and not line.startswith("#")]
