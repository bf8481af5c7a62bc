"""What each keyword of the rule language means. TABLE holds every keyword of Suricata 7.0.10, honoured or refused."""
from . import bytes, flow, header, limits, meta, payload, pcre, rooms  # noqa: F401  (each enters its rows)
from .table import TABLE, Keyword

__all__ = ["TABLE", "Keyword"]
