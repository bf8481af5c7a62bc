"""What people read. Text that came off the wire or out of a rule is made safe to look at: what would steer a terminal or turn
the reading direction is shown as its number. Markup of rich and HTML is escaped by those who print it."""
from __future__ import annotations

import unicodedata

CONTROL = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def visible(text: object, limit: int = 200) -> str:
    """At most `limit` characters, each of which only stands for itself."""
    made = "".join(one if one == " " or unicodedata.category(one) not in CONTROL else f"\\u{ord(one):04x}" if ord(one) > 255
                   else f"\\x{ord(one):02x}" for one in str(text)[:limit + 1])
    return made if len(made) <= limit else made[:limit - 1] + "…"


def scaled(value: float, unit: str = "") -> str:
    """1234567, "B" -> "1.23 MB"; 0.0035, "s" -> "3.5 ms"."""
    if 0 < value < 1 and unit == "s":
        return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"
    power = 0
    while value >= 999.5 and power < 4:
        value /= 1000
        power += 1
    digits = f"{value:.0f}" if value >= 100 or (not power and value == int(value)) else f"{value:.3g}"
    return f"{digits} {('', 'k', 'M', 'G', 'T')[power]}{unit}".rstrip()
