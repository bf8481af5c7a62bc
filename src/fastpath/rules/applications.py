"""The application protocols that rules may ask for, and what buffers say about protocol and direction of a rule.

Names and defaults: Suricata 7.0.10. Buffers, protocols and directions: dataplane/applayer/buffers.h.
"""
from __future__ import annotations

from fastpath.dataplane.applayer.tables import APP_BUFFERS, APP_EVENTS, APP_INSPECTIONS, MANY_OF, PROTOCOL_NUMBERS

#: Known, and not looked for in Suricata's stock configuration, where a rule that names one is refused.
OFF = ("bittorrent", "dnp3", "enip", "modbus", "pgsql", "template")

#: Those that a rule's header may name. "http" is any version.
PROTOCOLS = ("bittorrent-dht", "dcerpc", "dhcp", "dns", "ftp", "ftp-data", "http", "http1", "http2", "ike", "ikev2", "imap", "krb5",
             "mqtt", "nfs", "ntp", "quic", "rdp", "rfb", "sip", "smb", "smtp", "snmp", "ssh", "telnet", "tftp", "tls", *OFF)

_NAMES = {number: name for name, number in PROTOCOL_NUMBERS.items()}
#: buffer -> {protocol: directions (0 to server, 1 to client)}
_WHERE: dict[str, dict[str, set[int]]] = {}
for _buffer, (_number, _) in APP_BUFFERS.items():
    for _proto, _direction, _ in APP_INSPECTIONS[_number]:
        _WHERE.setdefault(_buffer, {}).setdefault(_NAMES[_proto], set()).add(_direction)

#: Those that have a room: a parser, transactions, buffers.
BUILT = frozenset(proto for protos in _WHERE.values() for proto in protos)


def missing(proto: str) -> str:
    """Why a rule cannot ask for this protocol; "" if it can."""
    if proto in OFF:
        return f"recognition of {proto} is off in the stock configuration"
    return "" if proto == "http1" or proto in BUILT else f"needs the {proto} room"


def common(said: str, more: str) -> str | None:
    """The protocol of a rule that asks for both of two; None where no flow is both. "" asks for none. A rule on SMB may
    look at the DCERPC that it carries; one on DCERPC takes flows of either."""
    if more in ("", said) or said in ("http1", "http2") and more == "http":
        return said
    if said == "" or said == "http" and more in ("http1", "http2"):
        return more
    return said if (said, more) == ("smb", "dcerpc") else None


#: Protocols of a rule that mean more than the one of their name.
_CARRIED_BY = {"http": ("http", "http2"), "http1": ("http",), "dcerpc": ("dcerpc", "smb")}


def is_buffer(name: str) -> bool:
    return name in APP_BUFFERS


def is_many(name: str) -> bool:
    """May there be several of this buffer in one transaction?"""
    return name in APP_BUFFERS and bool(APP_BUFFERS[name][1] & MANY_OF)


def directions(buffer: str, proto: str) -> set[int]:
    """The directions in which the buffer exists, for a rule that asks for `proto` ("" for any)."""
    found: set[int] = set()
    for each, ways in _WHERE.get(buffer, {}).items():
        if not proto or each in _CARRIED_BY.get(proto, (proto,)):
            found |= ways
    return found


def has_event(proto: str, name: str) -> bool:
    return (proto, name) in APP_EVENTS
