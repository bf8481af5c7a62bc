# gRPC over HTTP/2: its messages within DATA, and service and method out of :path.
#
# Source: grpc/doc/PROTOCOL-HTTP2.md: a message is a byte that says whether it is compressed, its length (uint32_t, big-endian),
# its bytes, wherever DATA frames part them; a call's path is /Service-Name/method, its content-type application/grpc.
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.applayer.http1_headers cimport find_header
from fastpath.dataplane.applayer.http1_state cimport bytes_of, header_t, message_t, same
from fastpath.dataplane.applayer.http2_state cimport grpc_t, http2_tx_t
from fastpath.dataplane.applayer.msgpack cimport close_nested, open_map, put_key, say_bytes, say_uint, writer_t
from fastpath.dataplane.types cimport TO_CLIENT, TO_SERVER
from fastpath.dataplane.wire.load cimport be32

cdef enum:
    PREFIX = 5
    GRPC_UNIMPLEMENTED = 12     # grpc/doc/statuscodes.md


cdef inline bint is_grpc(const uint8_t *data, uint32_t length) noexcept nogil:
    """A content-type. Not that of gRPC-Web, whose answers carry their trailers in the body."""
    return length >= 16 and same(data, 16, b"application/grpc", 16) and (length == 16 or data[16] != 45)


cdef inline void grpc_bytes(grpc_t *grpc, const uint8_t *data, uint32_t length) noexcept nogil:
    """Bytes of DATA as they came."""
    cdef uint32_t passed
    while length:
        if grpc.left:
            passed = min(grpc.left, length)
            grpc.left -= passed
            data += passed
            length -= passed
            continue
        grpc.prefix[grpc.held] = data[0]
        grpc.held += 1
        data += 1
        length -= 1
        if grpc.held == PREFIX:
            grpc.held = 0
            grpc.messages += 1
            grpc.compressed += grpc.prefix[0] & 1
            grpc.left = be32(grpc.prefix + 1)


cdef inline bint split_path(const http2_tx_t *tx, const uint8_t **service, uint32_t *service_length, const uint8_t **method,
                            uint32_t *method_length) noexcept nogil:
    """/package.Service/Method"""
    cdef const uint8_t *path = tx.http.path.data
    cdef uint32_t length = tx.http.path.length, at
    if length < 4 or path[0] != 47:
        return False
    at = length - 1
    while at and path[at] != 47:
        at -= 1
    if at < 2 or at == length - 1:
        return False
    service[0] = path + 1
    service_length[0] = at - 1
    method[0] = path + at + 1
    method_length[0] = length - at - 1
    return True


cdef inline int status_of(const message_t *response) noexcept nogil:
    """grpc-status, which stands among the headers or in the trailers; -1 for none yet."""
    cdef header_t *header = find_header(response, b"grpc-status", 11)
    cdef const uint8_t *data
    cdef int value = 0
    cdef uint32_t i
    if header == NULL or not 0 < header.value.length <= 3:
        return -1
    data = bytes_of(&response.text, header.value)
    for i in range(header.value.length):
        if not 48 <= data[i] <= 57:
            return -1
        value = value * 10 + data[i] - 48
    return value


cdef inline bint is_call(const http2_tx_t *tx, uint32_t direction) noexcept nogil:
    """To the server: a call. To the client: one that is answered by who has the method."""
    if not tx.grpc[TO_SERVER].here:
        return False
    return direction == TO_SERVER or (tx.grpc[TO_CLIENT].here and status_of(&tx.http.side[TO_CLIENT]) != GRPC_UNIMPLEMENTED)


cdef inline void grpc_record(writer_t *writer, const http2_tx_t *tx) noexcept nogil:
    """The object `grpc`, where it is one."""
    cdef const uint8_t *service
    cdef const uint8_t *method
    cdef uint32_t service_length, method_length
    cdef int status = status_of(&tx.http.side[TO_CLIENT])
    if not tx.grpc[TO_SERVER].here or not split_path(tx, &service, &service_length, &method, &method_length):
        return
    put_key(writer, b"grpc")
    open_map(writer)
    say_bytes(writer, b"service", service, service_length)
    say_bytes(writer, b"method", method, method_length)
    say_uint(writer, b"requests", tx.grpc[TO_SERVER].messages)
    say_uint(writer, b"responses", tx.grpc[TO_CLIENT].messages)
    if tx.grpc[TO_SERVER].compressed or tx.grpc[TO_CLIENT].compressed:
        say_uint(writer, b"compressed", tx.grpc[TO_SERVER].compressed + tx.grpc[TO_CLIENT].compressed)
    if status >= 0:
        say_uint(writer, b"status", <uint32_t> status)
    close_nested(writer)
