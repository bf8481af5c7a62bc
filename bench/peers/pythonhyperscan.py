"""python-hyperscan over payloads: one call from Python a payload, an empty callback in Python."""
from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path


def patterns(rules: Path) -> list[tuple[bytes, bool]]:
    """(literal, nocase) of each rule of a file of literal rules."""
    found = []
    for text, options in re.findall(r'content:"([^"]*)";([^)]*)', rules.read_text()):
        parts = text.split("|")
        literal = b"".join(bytes.fromhex(part) if number % 2 else part.encode() for number, part in enumerate(parts))
        found.append((literal, "nocase" in options))
    return found


def scanner(rules: Path) -> Callable[[list[bytes]], None]:
    import hyperscan

    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    wanted = patterns(rules)
    database.compile(expressions=["".join(f"\\x{byte:02x}" for byte in literal).encode() for literal, _ in wanted],
                     ids=list(range(len(wanted))), elements=len(wanted),
                     flags=[hyperscan.HS_FLAG_SINGLEMATCH | (hyperscan.HS_FLAG_CASELESS if nocase else 0) for _, nocase in wanted])
    scratch = hyperscan.Scratch(database)
    database.scratch = scratch

    def ignore(*match) -> None:
        return None

    def scan(payloads: list[bytes]) -> None:
        for payload in payloads:
            database.scan(payload, match_event_handler=ignore)
    return scan
