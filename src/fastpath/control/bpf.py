"""Filter expressions (pcap-filter(7)), compiled by libpcap and run by rx.

libpcap is loaded when the first filter is compiled, so that an engine without filters does not need it.
"""
from __future__ import annotations

import ctypes
import ctypes.util
import struct
from functools import cache

#: Captures name the link type of a file (LINKTYPE_), libpcap compiles for that of a system (DLT_); these differ.
DLT_OF_LINKTYPE = {100: 11, 101: 12, 102: 15, 103: 16, 106: 19}

SNAPLEN = 262144
UNKNOWN_NETMASK = 0xffffffff

#: `ret #0`. libpcap calls it an error where no packet of the link type can pass ("arp" on bare IP); here such packets are rejected.
REJECT = struct.pack("=HBBI", 0x06, 0, 0, 0)


class FilterError(ValueError):
    """The filter cannot be compiled: the expression is wrong, or does not apply to the link type, or libpcap is missing."""


class _Program(ctypes.Structure):
    """struct bpf_program."""
    _fields_ = [("length", ctypes.c_uint), ("instructions", ctypes.c_void_p)]


@cache
def _libpcap() -> ctypes.CDLL:
    name = ctypes.util.find_library("pcap") or "libpcap.so.0.8"
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        raise FilterError(f"a filter needs libpcap, which cannot be loaded ({error}).\n"
                          "  apt install libpcap0.8 | dnf install libpcap | brew install libpcap") from None
    library.pcap_open_dead.argtypes = [ctypes.c_int, ctypes.c_int]
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_compile.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Program), ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32]
    library.pcap_geterr.argtypes = [ctypes.c_void_p]
    library.pcap_geterr.restype = ctypes.c_char_p
    library.pcap_freecode.argtypes = [ctypes.POINTER(_Program)]
    library.pcap_freecode.restype = None
    library.pcap_close.argtypes = [ctypes.c_void_p]
    library.pcap_close.restype = None
    return library


def compile_filter(expression: str, linktype: int) -> bytes:
    """The BPF program of a filter expression for a LINKTYPE_ number, as `Source.set_filter` takes it.

    FilterError with libpcap's message where it does not compile.
    """
    if "\0" in expression:
        raise FilterError("the filter holds a NUL character")
    library = _libpcap()
    handle = library.pcap_open_dead(DLT_OF_LINKTYPE.get(linktype, linktype), SNAPLEN)
    if not handle:
        raise MemoryError("libpcap cannot open a handle")
    try:
        program = _Program()
        if library.pcap_compile(handle, ctypes.byref(program), expression.encode(), 1, UNKNOWN_NETMASK) != 0:
            reason = library.pcap_geterr(handle).decode(errors="replace")
            if reason == "expression rejects all packets":
                return REJECT
            raise FilterError(f"filter {expression!r}, link type {linktype}: {reason}")
        try:
            return ctypes.string_at(program.instructions, program.length * 8)
        finally:
            library.pcap_freecode(ctypes.byref(program))
    finally:
        library.pcap_close(handle)
