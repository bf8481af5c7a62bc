# What bytes are that recognition knows nothing about: protocols of the cluster's fabric, of plants and of mobile networks, on any
# port where their shape alone tells, else on their own. They have no room: what is found stands in app_t.beyond, beside
# app_t.proto, so that rules see a flow as Suricata does. Asked only where app_config_t.beyond says so.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp

from fastpath.dataplane.applayer.applayer cimport (
    ALPROTO_BACNET, ALPROTO_COAP, ALPROTO_DNP3, ALPROTO_ENIP, ALPROTO_GTPC, ALPROTO_IPMI, ALPROTO_MODBUS, ALPROTO_MQTT,
    ALPROTO_NCCL, ALPROTO_NFS, ALPROTO_NVME_TCP, ALPROTO_OPCUA, ALPROTO_PFCP, ALPROTO_S7, ALPROTO_UNKNOWN, PARSE_DATAGRAM,
    RECOGNISED_REVERSED, RECOGNISED_YES, app_t,
)
from fastpath.dataplane.applayer.cursor cimport cursor_left, cursor_over, cursor_t, read_be16, read_bytes, read_u8
from fastpath.dataplane.applayer.probes cimport probe_dnp3, probe_enip, probe_modbus, probe_nfs
from fastpath.dataplane.types cimport FLOW_REVERSED, TO_SERVER, flow_t
from fastpath.dataplane.wire.load cimport be16, be32, le32, le64

cdef enum:
    LOOKS_MAX = 4               # of a direction
    PORT_COAP = 5683, PORT_MODBUS = 502, PORT_S7 = 102, PORT_GTPC = 2123, PORT_PFCP = 8805, PORT_ENIP = 44818
    COAP_URI_HOST = 3, COAP_URI_PATH = 11
    RMCP_IPMI = 7
    NCCL_BOOTSTRAP = 1          # types of its connections, 1 to 5
    NCCL_TYPES = 5
    NCCL_RANKS_MAX = 1 << 20
    OPCUA_HELLO_MAX = 8192

cdef extern from *:
    """
    #define NCCL_MAGIC 0x564ab9f2fc4b9d6cULL
    """
    const uint64_t NCCL_MAGIC


# ---- over TCP ----

cdef inline bint is_mqtt(uint32_t direction, const uint8_t *data, uint32_t length) noexcept nogil:
    """CONNECT (MQTT 3.1.1 and 5.0, section 3.1): type and flags, the length, the protocol's name, its level."""
    cdef uint32_t at = 1
    if direction != TO_SERVER or length < 9 or data[0] != 0x10:
        return False
    while data[at] & 0x80 and at < 4:
        at += 1
    at += 1
    if length - at >= 7 and memcmp(data + at, b"\x00\x04MQTT", 6) == 0:
        return 4 <= data[at + 6] <= 5
    return length - at >= 9 and memcmp(data + at, b"\x00\x06MQIsdp", 8) == 0 and data[at + 8] == 3


cdef inline bint is_modbus(uint32_t direction, const uint8_t *data, uint32_t length, uint16_t port) noexcept nogil:
    """On its port by its header; elsewhere by a request alone whose length is that of its function."""
    cdef uint8_t function
    if probe_modbus(direction, data, length, 0, True) != RECOGNISED_YES:
        return False
    if port == PORT_MODBUS:
        return True
    if direction != TO_SERVER or be16(data + 4) + 6 != <int>length:
        return False
    function = data[7]
    if 1 <= function <= 6:
        return length == 12 and (function > 4 or 1 <= be16(data + 10) <= 2000)
    if function == 15 or function == 16:
        return length > 13 and length == 13 + data[12]
    if function == 22:
        return length == 14
    return function == 43 and length == 11 and data[8] == 14


cdef inline bint is_s7(const uint8_t *data, uint32_t length, uint16_t port) noexcept nogil:
    """S7 over COTP over TPKT (RFC 1006): data that begin with one of its protocol numbers; or a connection to a TSAP as S7 names
    them."""
    cdef uint32_t at, end
    if length < 11 or data[0] != 3 or data[1] != 0 or be16(data + 2) < 7:
        return False
    if data[4] == 2 and data[5] == 0xf0:
        return data[6] & 0x80 != 0 and (data[7] == 0x32 and (1 <= data[8] <= 3 or data[8] == 7)
                                        or data[7] == 0x72 and 1 <= data[8] <= 3)
    if data[5] & 0xf0 != 0xe0 or port != PORT_S7:
        return False
    end = min(<uint32_t>data[4] + 5, length)
    at = 11
    while at + 2 <= end:
        if data[at] == 0xc2 and at + 4 <= end and data[at + 1] == 2:
            return 1 <= data[at + 2] <= 3
        if data[at] == 0xc2 and at + 9 <= end and memcmp(data + at + 2, b"SIMATIC", 7) == 0:
            return True
        at += 2 + data[at + 1]
    return False


cdef inline bint is_opcua(const uint8_t *data, uint32_t length) noexcept nogil:
    """OPC UA, part 6, section 7.1.2: hello with a URL, its acknowledgement, or an error."""
    cdef uint32_t size
    if length < 16 or data[3] != b"F":
        return False
    size = le32(data + 4)
    if memcmp(data, b"HEL", 3) == 0:
        return 32 <= size <= OPCUA_HELLO_MAX and length >= 42 and memcmp(data + 32, b"opc.tcp://", 10) == 0
    return memcmp(data, b"ACK", 3) == 0 and size == 28


cdef inline bint is_nvme(const uint8_t *data, uint32_t length) noexcept nogil:
    """NVMe over TCP, section 3.6.2.2: initialize connection, asked or answered: 128 bytes, version 0."""
    return (length >= 10 and data[0] <= 1 and data[1] == 0 and data[2] == 128 and data[3] == 0 and le32(data + 4) == 128
            and data[8] == 0 and data[9] == 0)


cdef inline bint is_nccl(uint32_t direction, const uint8_t *data, uint32_t length) noexcept nogil:
    """Who connects says a magic number and what the connection is for. The magic is a constant, or drawn for a communicator: then
    the rank and the number of ranks that follow must fit."""
    cdef uint32_t kind
    if direction != TO_SERVER or length < 12:
        return False
    kind = le32(data + 8)
    if le64(data) == NCCL_MAGIC:
        return kind <= NCCL_TYPES
    return (kind == NCCL_BOOTSTRAP and length >= 24 and 64 <= le32(data + 12) <= 4096 and 1 <= le32(data + 20) <= NCCL_RANKS_MAX
            and le32(data + 16) < le32(data + 20) and be32(data) != 0 and be32(data + 4) != 0)


cdef inline bint is_dnp3(uint32_t direction, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint32_t said = probe_dnp3(direction, data, length, 0, True)
    return said == RECOGNISED_YES or said == RECOGNISED_REVERSED


cdef inline bint is_enip(uint32_t direction, const uint8_t *data, uint32_t length, uint16_t port) noexcept nogil:
    """On its port by its header; elsewhere by the registration of a session."""
    if probe_enip(direction, data, length, 0, True) != RECOGNISED_YES:
        return False
    return port == PORT_ENIP or length == 28 and data[0] == 0x65 and le32(data + 24) == 1


cdef inline uint8_t beyond_stream(uint32_t direction, const uint8_t *data, uint32_t length, uint16_t port) noexcept nogil:
    if is_mqtt(direction, data, length):
        return ALPROTO_MQTT
    if is_opcua(data, length):
        return ALPROTO_OPCUA
    if is_s7(data, length, port):
        return ALPROTO_S7
    if is_nvme(data, length):
        return ALPROTO_NVME_TCP
    if is_dnp3(direction, data, length):
        return ALPROTO_DNP3
    if is_modbus(direction, data, length, port):
        return ALPROTO_MODBUS
    if is_enip(direction, data, length, port):
        return ALPROTO_ENIP
    if direction == TO_SERVER and probe_nfs(direction, data, length, 0, True) == RECOGNISED_YES:
        return ALPROTO_NFS
    if is_nccl(direction, data, length):
        return ALPROTO_NCCL
    return ALPROTO_UNKNOWN


# ---- over UDP ----

cdef inline uint32_t coap_number(cursor_t *cursor, uint32_t nibble) noexcept nogil:
    """An option's delta or length (RFC 7252, section 3.1); 15 is reserved."""
    if nibble < 13:
        return nibble
    if nibble == 13:
        return 13 + read_u8(cursor)
    if nibble == 14:
        return 269 + read_be16(cursor)
    cursor.failed = True
    return 0


cdef inline bint is_coap(uint32_t direction, const uint8_t *data, uint32_t length, uint16_t port) noexcept nogil:
    """RFC 7252, section 3: the header, a known class of code, options to their end. Off its port a request with a path."""
    cdef cursor_t cursor = cursor_over(data, length)
    cdef uint8_t first = read_u8(&cursor), code = read_u8(&cursor), option
    cdef uint32_t number = 0, size, options = 0
    cdef bint has_path = False
    if first >> 6 != 1 or first & 15 > 8 or code >> 5 in (1, 3, 6) or code >> 5 == 0 and code > 7:
        return False
    read_bytes(&cursor, 2 + (first & 15))
    while cursor_left(&cursor):
        option = read_u8(&cursor)
        if option == 0xff:
            if cursor_left(&cursor) == 0:
                return False
            break
        number += coap_number(&cursor, option >> 4)
        size = coap_number(&cursor, option & 15)
        if number > 65535:
            return False
        read_bytes(&cursor, size)
        has_path = has_path or number == COAP_URI_PATH or number == COAP_URI_HOST
        options += 1
    if cursor.failed or code == 0 and length != 4:
        return False
    return port == PORT_COAP or 1 <= code <= 7 and has_path and length > 6


cdef inline bint is_bacnet(const uint8_t *data, uint32_t length) noexcept nogil:
    """BACnet/IP (ASHRAE 135, annex J): BVLL type, a function, the length of the datagram; version 1 of the network layer."""
    cdef uint8_t function
    cdef uint32_t network
    if length < 6 or data[0] != 0x81 or be16(data + 2) != length:
        return False
    function = data[1]
    if function == 9 or function == 10 or function == 11:
        network = 4
    elif function == 4:
        network = 10
    else:
        return function <= 12 and length <= 64
    return length >= network + 2 and data[network] == 1


cdef inline bint is_ipmi(const uint8_t *data, uint32_t length) noexcept nogil:
    """RMCP (DSP0136, section 3.2.2.2) that carries IPMI, with a known kind of authentication."""
    return length >= 14 and data[0] == 6 and data[1] == 0 and data[2] == 0xff and data[3] & 0x7f == RMCP_IPMI and data[4] <= 6


cdef inline bint is_gtpc(const uint8_t *data, uint32_t length) noexcept nogil:
    """GTPv2-C (3GPP TS 29.274, section 5.1)"""
    return length >= 8 and data[0] >> 5 == 2 and be16(data + 2) + <uint32_t>4 <= length and be16(data + 2) >= 4


cdef inline bint is_pfcp(const uint8_t *data, uint32_t length) noexcept nogil:
    """PFCP (3GPP TS 29.244, section 7.2.2)"""
    return (length >= 8 and data[0] >> 5 == 1 and be16(data + 2) + <uint32_t>4 <= length
            and (1 <= data[1] <= 12 or 50 <= data[1] <= 57))


cdef inline uint8_t beyond_datagram(uint32_t direction, const uint8_t *data, uint32_t length, uint16_t port) noexcept nogil:
    if port == PORT_GTPC:
        return ALPROTO_GTPC if is_gtpc(data, length) else ALPROTO_UNKNOWN
    if port == PORT_PFCP:
        return ALPROTO_PFCP if is_pfcp(data, length) else ALPROTO_UNKNOWN
    if is_bacnet(data, length):
        return ALPROTO_BACNET
    if is_ipmi(data, length):
        return ALPROTO_IPMI
    if is_dnp3(direction, data, length):
        return ALPROTO_DNP3
    if port == PORT_ENIP and probe_enip(direction, data, length, 0, True) == RECOGNISED_YES:
        return ALPROTO_ENIP
    if direction == TO_SERVER and probe_nfs(direction, data, length, PARSE_DATAGRAM, True) == RECOGNISED_YES:
        return ALPROTO_NFS
    if is_coap(direction, data, length, port):
        return ALPROTO_COAP
    return ALPROTO_UNKNOWN


cdef inline void look_beyond(app_t *app, const flow_t *flow, uint32_t direction, const uint8_t *data, uint32_t length,
                             bint datagram) noexcept nogil:
    """Bytes of a session that recognition knows nothing about, or nothing yet."""
    cdef uint32_t client = flow.flags // FLOW_REVERSED & 1
    cdef uint16_t port = flow.key.port[1 - client]
    if app.beyond or app.looked[direction] >= LOOKS_MAX or length == 0:
        return
    app.looked[direction] += 1
    app.beyond = beyond_datagram(direction, data, length, port) if datagram else beyond_stream(direction, data, length, port)
