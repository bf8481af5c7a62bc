"""What each keyword of the rule language means. TABLE holds every keyword of Suricata 7.0.10, honoured or refused."""
from . import application, buffers, bytes, datasets, files, flow, header, limits, meta, numbers, payload, pcre, reputation, rooms, state, stream  # noqa: F401  (each enters its rows)
from .fitness import settle
from .table import TABLE, Keyword

__all__ = ["TABLE", "Keyword", "settle"]
