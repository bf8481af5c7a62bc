"""Text that came off the wire or out of a rule, made safe to look at: what would steer a terminal or turn the reading
direction is shown as its number. Markup of rich and HTML is escaped by those who print it."""
from __future__ import annotations

import unicodedata

CONTROL = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def visible(text: object, limit: int = 200) -> str:
    """At most `limit` characters, each of which only stands for itself."""
    made = "".join(one if one == " " or unicodedata.category(one) not in CONTROL else f"\\u{ord(one):04x}" if ord(one) > 255
                   else f"\\x{ord(one):02x}" for one in str(text)[:limit + 1])
    return made if len(made) <= limit else made[:limit - 1] + "…"
