"""The numbers and structs of dataplane/match/program.h, for the compiler. A test holds the two equal."""
from __future__ import annotations

import struct

import numpy as np

MAGIC = b"fprules\n"
VERSION = 7
NOTHING = 0xFFFFFFFF
VALUES_MAX = 32
PORTS = 65536

SECTIONS = ("RULES", "OPS", "BYTES", "SETS", "V4", "V6", "PORT_SETS", "PORT_RANGES", "NUMBERS", "LISTS", "GROUPS", "PROTOS",
            "PORT_TABLES", "PATTERNS", "DATABASES", "SERIALIZED", "EXPRESSIONS", "THRESHOLDS", "IPONLY", "ENGINES", "PREFILTERS", "APPS",
            "CHAINS", "TRANSFORMS", "SHAPES")

RULE_ANY_PROTO, RULE_IPV4, RULE_IPV6, RULE_IPONLY, RULE_PACKET, RULE_STREAM = 1, 2, 4, 8, 16, 32
RULE_PAYLOAD, RULE_NOALERT, RULE_BYPASS, RULE_EVENT, RULE_FLOW_ACTION = 64, 128, 256, 512, 1024
RULE_APP, RULE_PROTO_ONLY, RULE_FILE, RULE_REAL, RULE_NOTE, RULE_STREAM_ALONE, RULE_MARKED = (
    2048, 4096, 8192, 16384, 32768, 65536, 131072)

KINDS = {"pass": 0, "drop": 1, "reject": 2, "rejectsrc": 2, "rejectdst": 2, "rejectboth": 2, "alert": 3, "config": 3}
ACTIONS = {"alert": 0, "config": 0, "pass": 0, "drop": 1, "reject": 2, "rejectsrc": 2, "rejectdst": 3, "rejectboth": 4}

EXPRESSION_NAMED_ONLY = 128
EXPRESSION_OPTIONS = {"i": 1, "m": 2, "s": 4, "x": 8, "A": 16, "E": 32, "G": 64, "R": 0}

THRESHOLD_KINDS = {"limit": 0, "threshold": 1, "both": 2, "detection_filter": 3, "llm_requests": 4, "llm_prompt_bytes": 5}
SUPPRESSIONS = {"by_src": 0, "by_dst": 1, "by_either": 2}
#: By the numbers of enum validator.
VALIDATORS = {name: i for i, name in enumerate(("card", "iban", "us_ssn", "uk_nino", "de_tax", "fr_nir", "es_dni", "it_fiscal"))}
VALIDATOR_BITS = 8          # of the value of OP_VALIDATE; above them, how many numbers must follow the first
TRACKS = {"by_src": 0, "by_dst": 1, "by_both": 2, "by_rule": 3, "by_flow": 4, "by_client": 5, "by_key": 6,
          "by_model": 7}

(OP_MATCH, OP_NUMBER, OP_BITS, OP_SAMEIP, OP_IPOPT, OP_EVENT, OP_FLOW, OP_FLOWBITS, OP_BLOCK, OP_END, OP_CONTENT, OP_PCRE,
 OP_BYTE_TEST, OP_BYTE_JUMP, OP_BYTE_EXTRACT, OP_BYTE_MATH, OP_ISDATAAT, OP_BASE64, OP_APP_PROTO, OP_APP_EVENT,
 OP_STREAM_SIZE, OP_FLOW_AGE, OP_SIZE, OP_VALUE, OP_INTERFACE, OP_FILE, OP_FLOWINT, OP_XBITS, OP_FLOWVAR, OP_REPUTATION, OP_ASN1,
 OP_CLOCK, OP_DATASET, OP_VALIDATE, OP_CAPTURE, OP_FILESTORE, OP_UNLOG) = range(37)

ENGINE_BUFFER, ENGINE_STREAM, ENGINE_EVENT = range(3)
ENGINE_FAST, ENGINE_FILE = 1, 2
ENGINES_MAX = 24
TRANSFORMS = {"compress_whitespace": 0, "strip_whitespace": 1, "strip_pseudo_headers": 2, "to_md5": 3, "to_sha1": 4, "to_sha256": 5,
              "dotprefix": 6, "pcrexform": 7, "url_decode": 8, "xor": 9, "header_lowercase": 10, "to_lowercase": 11,
              "to_uppercase": 12}
SIDES = {"server": 0, "client": 1, "both": 2, "either": 3}
INTERFACE_ANY_FRAG = 4
FILE_IS = {"size": 0, "md5": 1, "sha1": 2, "sha256": 3, "extension": 4, "name": 5, "store": 6}

#: name in a plan -> FIELD_*
FIELDS = {"ttl": 0, "ipv6_hopcount": 0, "tos": 1, "ip.id": 2, "id": 2, "ip_proto": 3, "fragoffset": 4, "seq": 5, "tcp.seq": 5,
          "ack": 6, "tcp.ack": 6, "window": 7, "tcp.window": 7, "tcp.mss": 8, "itype": 9, "icode": 10, "icmp_id": 11,
          "icmp_seq": 12, "icmpv6.mtu": 13, "dsize": 14, "tcp.flags": 15, "fragbits": 16}

NEGATED, RELATIVE = 1, 2
BITS_MODES = {"=": 0, "+": 1, "*": 2, "!": 3}
IPOPTS = {"eol": 0, "nop": 1, "rr": 7, "ts": 68, "sec": 130, "lsrr": 131, "esec": 133, "cipso": 134, "satid": 136, "ssrr": 137,
          "rtralt": 148, "any": 0xFFFF}
STATE_TO_SERVER, STATE_TO_CLIENT, STATE_ESTABLISHED, STATE_NOT_ESTABLISHED = 1, 2, 4, 8
STATE_REASSEMBLED, STATE_NOT_REASSEMBLED, STATE_FLOW = 16, 32, 64
FLOWBITS_OPS = {"set": 0, "unset": 1, "toggle": 2, "isset": 3, "isnotset": 4}
BUFFERS = {"payload": 0, "ipv4.hdr": 1, "ipv6.hdr": 2, "tcp.hdr": 3, "udp.hdr": 4, "icmpv4.hdr": 5, "icmpv6.hdr": 6,
           "ip.src": 7, "ip.dst": 8, "base64_data": 9}

#: op in a plan -> FLOWINT_*
FLOWINT_OPS = {"=": 0, "+": 1, "-": 2, "<": 3, "<=": 4, "==": 5, "!=": 6, ">=": 7, ">": 8, "isset": 9, "notset": 10}
FLOWINT_OF_NAME = 4
#: "" for a member
DATASET_OPS = {"": 0, "<": 1, ">": 2, "==": 3, "set": 4, "unset": 5}
DATASET_KINDS = {"string": 0, "md5": 1, "sha256": 2, "ipv4": 3, "ip": 4}
DATASET_CHANGES = 4
#: What an expression captures a text for; the texts of "key" have their name beside them.
CAPTURES = {"flow": 0, "packet": 1, "key": 2, "note": 3}
#: enum note_what: what a text for the inventory is.
NOTES = {"version": 0, "client": 1, "client_version": 2}
CAPTURES_MAX = 8
STORE_SCOPES = {"file": 0, "tx": 1, "flow": 2}
XBITS_TRACKS = {"ip_src": 0, "ip_dst": 1, "ip_pair": 2}
REPUTATION_SIDES = {"src": 0, "dst": 1, "any": 2, "both": 3}
ASN1_BITSTRING, ASN1_DOUBLE, ASN1_OVERSIZE = 4, 8, 16

CONTENT_NOCASE, CONTENT_ENDSWITH, HAS_RELATIVE_NEXT, HAS_DISTANCE, HAS_WITHIN, HAS_DEPTH = 4, 8, 16, 32, 64, 128
OFFSET_VAR, DEPTH_VAR, DISTANCE_VAR, WITHIN_VAR, CONTENT_ALONE = 256, 512, 1024, 2048, 4096

LITTLE_ENDIAN_BYTES, NBYTES_VAR, VALUE_VAR, BYTE_OFFSET_VAR, FROM_BEGINNING, FROM_END, HAS_BITMASK, DCE_BYTES = (
    4, 8, 16, 32, 64, 128, 256, 512)
TESTS = {"<": 0, ">": 1, "=": 2, "<=": 3, ">=": 4, "&": 5, "^": 6}
MATHS = {"+": 0, "-": 1, "*": 2, "/": 3, "<<": 4, ">>": 5}

SPAN = [("first", "u4"), ("count", "u4")]
HEADER = np.dtype([("magic", "S8"), ("version", "u4"), ("sections", "u4"), ("size", "u8"), ("plans", "u4"), ("flowbits", "u4"),
                   ("step_limit", "u4"), ("reserved", "u4"), ("iponly", SPAN, 4), ("iponly_anywhere", SPAN)])
SECTION = np.dtype([("offset", "u8"), ("count", "u4"), ("width", "u4")])
RULE = np.dtype([("plan", "u4"), ("flags", "u4"), ("ops", "u4"), ("after", "u4"), ("src", "u4"), ("dst", "u4"), ("sport", "u4"),
                 ("dport", "u4"), ("threshold", "u4"), ("detection_filter", "u4"), ("sid", "u4"), ("gid", "u4"),
                 ("kind", "u1"), ("action", "u1"), ("proto", "u1"), ("proto2", "u1"), ("app", "u1"), ("app2", "u1"),
                 ("engine_count", "u2"), ("engines", "u4"), ("suppressed", "u4")])
PATTERN_SET = np.dtype([("database", "u4"), ("shortest", "u2"), ("reach", "u2"), ("patterns", SPAN), ("shapes", SPAN)])
GROUP = np.dtype([("packet", PATTERN_SET), ("stream", PATTERN_SET), ("bare", SPAN), ("marked", SPAN), ("payload", SPAN), ("event", SPAN)])

#: section -> the struct of its elements
WIDTHS = {
    "RULES": RULE, "OPS": np.dtype("V32"), "BYTES": np.dtype("u1"), "SETS": np.dtype([("v4", SPAN), ("v6", SPAN)]),
    "V4": np.dtype([("low", "u4"), ("high", "u4")]), "V6": np.dtype([("low", "u8", 2), ("high", "u8", 2)]),
    "PORT_SETS": np.dtype(SPAN), "PORT_RANGES": np.dtype([("low", "u2"), ("high", "u2")]),
    "NUMBERS": np.dtype([("low", "u8"), ("high", "u8")]), "LISTS": np.dtype("u4"), "GROUPS": GROUP, "PROTOS": np.dtype("u2"),
    "PORT_TABLES": np.dtype("u2"), "PATTERNS": np.dtype(SPAN), "DATABASES": np.dtype(SPAN), "SERIALIZED": np.dtype("u1"),
    "EXPRESSIONS": np.dtype([("at", "u4"), ("length", "u4"), ("options", "u4"), ("reserved", "u4")]),
    "THRESHOLDS": np.dtype([("kind", "u1"), ("track", "u1"), ("reserved", "u2"), ("count", "u4"), ("seconds", "u4"),
                            ("reserved2", "u4")]),
    "IPONLY": np.dtype([("low", "u8", 2), ("rules", SPAN)]),
    "ENGINES": np.dtype([("kind", "u1"), ("proto", "u1"), ("direction", "u1"), ("progress", "u1"), ("buffer", "u2"), ("flags", "u2"),
                         ("bit", "u4"), ("block", "u4"), ("event", "u4"), ("reserved", "u4")]),
    "PREFILTERS": np.dtype([("set", PATTERN_SET), ("rest", PATTERN_SET), ("src", "u4"), ("dst", "u4"), ("buffer", "u2"), ("progress", "u1"), ("flags", "u1"), ("chain", "u4")]),
    "APPS": np.dtype([("prefilters", SPAN), ("bare", SPAN)]), "CHAINS": np.dtype(SPAN),
    "TRANSFORMS": np.dtype([("kind", "u4"), ("expression", "u4"), ("key", SPAN)]),
    "SHAPES": np.dtype([("count", "u4"), ("reserved", "u4", 5), ("size", "u1", 8), ("pattern", "u4", 8), ("low", "u1", (8, 16)),
                        ("high", "u1", (8, 16)), ("exact", "u1", (16, 256))]),
}

# ops: code, flags, then as in program.h
PLAIN_OP = struct.Struct("=HHI24x")                # also number and bits where they are shorter
NUMBER_OP = struct.Struct("=HHIII16x")
BITS_OP = struct.Struct("=HHIIII12x")
FLOWBITS_OP = NUMBER_OP
BLOCK_OP = struct.Struct("=HHIII16x")
CONTENT_OP = struct.Struct("=HHIIiiiiHH")
PCRE_OP = struct.Struct("=HHIII16x")
CAPTURE_OP = struct.Struct("=HHII20x")
FLOWVAR_OP = struct.Struct("=HHIIII12x")
FILESTORE_OP = struct.Struct("=HHII20x")
BYTE_OP = struct.Struct("=HHBBBBiIiIQ")
ISDATAAT_OP = PLAIN_OP
DATASET_OP = struct.Struct("=HHIIIIIII")
FLOWINT_OP = struct.Struct("=HHIII16x")
XBITS_OP = struct.Struct("=HHIIII12x")
ASN1_OP = struct.Struct("=HHiII16x")
BASE64_OP = struct.Struct("=HHIII16x")
INTERFACE_OP = struct.Struct("=HHIII16x")
FILE_OP = struct.Struct("=HHIIIII8x")


def assemble(sections: dict[str, np.ndarray], **header: object) -> bytes:
    """Header, table of sections and the sections, each 64-byte aligned, as one blob."""
    table = np.zeros(len(SECTIONS), SECTION)
    at = -(-(HEADER.itemsize + table.nbytes) // 64) * 64
    parts = []
    for i, name in enumerate(SECTIONS):
        array = np.ascontiguousarray(sections[name], WIDTHS[name])
        table[i] = at, array.size, WIDTHS[name].itemsize
        padding = -array.nbytes % 64
        parts += [array.tobytes(), bytes(padding)]
        at += array.nbytes + padding
    front = np.zeros((), HEADER)
    front["magic"], front["version"], front["sections"], front["size"] = MAGIC, VERSION, len(SECTIONS), at
    for name, value in header.items():
        front[name] = value
    start = front.tobytes() + table.tobytes()
    return b"".join([start, bytes(-len(start) % 64), *parts])
