"""What each keyword of the rule language means. TABLE holds every keyword of Suricata 7.0.10, honoured or refused."""
from . import (  # noqa: F401  (each enters its rows)
    application,
    buffers,
    bytes,
    datasets,
    files,
    flow,
    header,
    http2,
    limits,
    llm,
    meta,
    numbers,
    payload,
    pcre,
    reputation,
    rooms,
    state,
    stream,
    validate,
    variables,
)
from .fitness import settle
from .table import TABLE, Keyword

__all__ = ["TABLE", "Keyword", "settle"]
