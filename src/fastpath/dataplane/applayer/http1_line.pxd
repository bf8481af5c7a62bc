# The first lines of requests and responses, and the host that a request is for.
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memchr, memcmp, strlen

from fastpath.dataplane.applayer.applayer cimport (
    HTTP1_DOUBLE_ENCODED_URI, HTTP1_HOST_HEADER_AMBIGUOUS, HTTP1_METHOD_DELIM_NON_COMPLIANT, HTTP1_MISSING_HOST_HEADER,
    HTTP1_REQUEST_HEADER_HOST_INVALID, HTTP1_REQUEST_LINE_LEADING_WHITESPACE, HTTP1_REQUEST_URI_HOST_INVALID,
    HTTP1_RESPONSE_INVALID_PROTOCOL, HTTP1_RESPONSE_INVALID_STATUS,
    HTTP1_URI_DELIM_NON_COMPLIANT, app_context_t,
)
from fastpath.dataplane.applayer.http1_headers cimport find_header
from fastpath.dataplane.applayer.http1_state cimport (
    HTTP1_HAS_HOST, METHOD_CONNECT, METHOD_OTHER, METHOD_UNKNOWN,
    PROTOCOL_0_9, PROTOCOL_1_0, PROTOCOL_1_1, PROTOCOL_INVALID, bytes_of, header_t, http1_tx_t, is_space, lower, message_t,
    span_t,
)
from fastpath.dataplane.applayer.http1_uri cimport decode_inplace, normalise_path, part, split_uri, uri_t
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER, bytes_t

cdef extern from *:
    """
    /* RFC 9110 section 9.3, RFC 5789, RFC 4918, RFC 3253; the numbered ones first, in the order of method_number */
    static const char *const http1_methods[] = {"HEAD", "GET", "PUT", "POST", "CONNECT", "DELETE", "OPTIONS", "TRACE", "PATCH",
        "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "VERSION-CONTROL", "CHECKOUT", "UNCHECKOUT",
        "CHECKIN", "UPDATE", "LABEL", "REPORT", "MKWORKSPACE", "MKACTIVITY", "BASELINE-CONTROL", "MERGE", "INVALID"};
    #define HTTP1_METHODS (sizeof(http1_methods) / sizeof(http1_methods[0]))
    """
    const char *const http1_methods[]
    const uint32_t HTTP1_METHODS


cdef inline uint8_t method_of(const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint32_t i
    for i in range(HTTP1_METHODS):
        if strlen(http1_methods[i]) == length and memcmp(http1_methods[i], data, length) == 0:
            return <uint8_t> min(i + 1, <uint32_t> METHOD_OTHER)
    return METHOD_UNKNOWN


cdef inline int protocol_of(const uint8_t *data, uint32_t length) noexcept nogil:
    while length and is_space(data[0]):
        data += 1
        length -= 1
    while length and is_space(data[length - 1]):
        length -= 1
    if length != 8 or memcmp(data, b"HTTP/", 5) or data[6] != 46:
        return PROTOCOL_INVALID
    if data[5] == 48 and data[7] == 57:
        return PROTOCOL_0_9
    if data[5] == 49 and data[7] == 48:
        return PROTOCOL_1_0
    return PROTOCOL_1_1 if data[5] == 49 and data[7] == 49 else PROTOCOL_INVALID


cdef inline int64_t number_of(const uint8_t *data, uint32_t length) noexcept nogil:
    """A decimal number with blanks around it, nothing else; -1 for anything else."""
    cdef int64_t value = 0
    cdef uint32_t at = 0, first
    while at < length and (data[at] == 32 or data[at] == 9):
        at += 1
    first = at
    while at < length and 48 <= data[at] <= 57 and value < (<int64_t> 1 << 58):
        value = value * 10 + data[at] - 48
        at += 1
    if at == first:
        return -1
    while at < length:
        if data[at] != 32 and data[at] != 9:
            return -1
        at += 1
    return value


cdef inline int port_of(const uint8_t *data, uint32_t length) noexcept nogil:
    cdef int64_t value = number_of(data, length)
    return <int> value if 0 < value < 65536 else -1


cdef inline bint valid_ipv6(const uint8_t *data, uint32_t length) noexcept nogil:
    """What stands between the brackets: up to eight groups, at most one run of them left out, an IPv4 address at the end."""
    cdef uint32_t groups = 0, digits = 0, dots = 0, i
    cdef bint gap = False
    if length < 2:
        return False
    for i in range(length):
        if data[i] == 58:
            if dots:
                return False
            if i + 1 < length and data[i + 1] == 58:
                if gap:
                    return False
                gap = True
            elif i == 0 and data[1] != 58:
                return False
            elif i == length - 1 and data[i - 1] != 58:
                return False
            groups += 1 if digits else 0
            digits = 0
        elif data[i] == 46:
            dots += 1
            digits = 0
        elif 48 <= data[i] <= 57 or 97 <= lower(data[i]) <= 102:
            digits += 1
            if digits > 4:
                return False
        else:
            return False
    groups += (2 if dots == 3 else 1) if digits else 0
    if dots and dots != 3:
        return False
    return groups == 8 if not gap else groups < 8


cdef inline bint valid_host(const uint8_t *data, uint32_t length) noexcept nogil:
    """Labels of letters, digits, hyphens and underscores, with one dot between them; or an IPv6 address in brackets."""
    cdef uint32_t label = 0, i
    cdef int byte
    if length == 0 or length > 255:
        return False
    if data[0] == 91:
        return length > 2 and data[length - 1] == 93 and valid_ipv6(data + 1, length - 2)
    for i in range(length):
        byte = lower(data[i])
        if byte == 46:
            if label == 0:
                return False
            label = 0
            continue
        label += 1
        if label > 63 or not (97 <= byte <= 122 or 48 <= byte <= 57 or byte == 45 or byte == 95):
            return False
    return True


cdef struct host_t:
    span_t host
    int port                    # -1 for none
    bint found, invalid, lowered


cdef inline host_t split_host(const uint8_t *data, uint32_t length) noexcept nogil:
    """host:port. Names are lowered only where no port follows; brackets and all of an IPv6 address are the host."""
    cdef host_t out
    cdef uint32_t start = 0, end = length, close
    cdef const uint8_t *colon
    out.port = -1
    out.found = out.invalid = out.lowered = False
    out.host = part(0, 0)
    while start < end and is_space(data[start]):
        start += 1
    while end > start and is_space(data[end - 1]):
        end -= 1
    if start == end:
        out.invalid = True
        return out
    if data[start] == 91:
        close = start
        while close < end and data[close] != 93:
            close += 1
        if close == end:
            out.invalid = True
            return out
        out.host = part(start, close + 1)
        out.found = True
        if close + 1 < end:
            if data[close + 1] == 58:
                out.port = port_of(data + close + 2, end - close - 2)
            out.invalid = out.port < 0
        return out
    colon = <const uint8_t *> memchr(data + start, 58, end - start)
    out.found = True
    if colon == NULL:
        out.host = part(start, end)
        out.lowered = True
        return out
    out.port = port_of(colon + 1, <uint32_t> (data + end - colon) - 1)
    out.invalid = out.port < 0
    end = <uint32_t> (colon - data)
    while end > start and is_space(data[end - 1]):
        end -= 1
    out.host = part(start, end)
    if start == end:
        out.found = False
        out.invalid = True
    return out


cdef inline bint set_host(app_context_t *context, bytes_t *host, const uint8_t *data, uint32_t length,
                          bint lowered) noexcept nogil:
    cdef uint32_t i
    host.length = 0
    if not bytes_append(context.pool, ACCOUNT_APPLAYER, host, data, length):
        return False
    if lowered:
        for i in range(length):
            host.data[i] = <uint8_t> lower(host.data[i])
    return True


cdef inline void read_request_line(http1_tx_t *tx) noexcept nogil:
    """method SP URI SP protocol, of tx.side[TO_SERVER].line. More than spaces may stand between, as servers let it; a URI ends
    at the first space, and where there is none at the first blank of any kind."""
    cdef message_t *request = &tx.side[TO_SERVER]
    cdef const uint8_t *data = request.line.data
    cdef uint32_t length = request.line.length, at = 0, start
    cdef bint odd = False
    request.has_line = True
    request.protocol = PROTOCOL_0_9
    while at < length and is_space(data[at]):
        at += 1
    if at:
        tx_event(&tx.head, HTTP1_REQUEST_LINE_LEADING_WHITESPACE)
    start = at
    while at < length and not is_space(data[at]):
        at += 1
    request.first = part(start, at)
    tx.method = method_of(data + start, at - start)
    while at < length and is_space(data[at]):
        odd |= data[at] != 32
        at += 1
    if odd:
        tx_event(&tx.head, HTTP1_METHOD_DELIM_NON_COMPLIANT)
    if at == length:
        tx.is_0_9 = True
        return
    start = at
    odd = False
    while at < length and data[at] != 32:
        odd |= is_space(data[at])
        at += 1
    if odd:
        tx_event(&tx.head, HTTP1_URI_DELIM_NON_COMPLIANT)
        if at == length:
            at = start
            while at < length and not is_space(data[at]):
                at += 1
    request.second = part(start, at)
    request.has_uri = True
    while at < length and is_space(data[at]):
        at += 1
    if at == length:
        tx.is_0_9 = True
        return
    request.third = part(at, length)
    request.has_protocol = True
    request.protocol = protocol_of(data + at, length - at)


cdef inline bint append_span(app_context_t *context, bytes_t *bytes, const bytes_t *of, span_t span) noexcept nogil:
    return bytes_append(context.pool, ACCOUNT_APPLAYER, bytes, of.data + span.at, span.length)


cdef inline bint read_uri(app_context_t *context, http1_tx_t *tx) noexcept nogil:
    """Normalises the URI of the request line: the path, with query and fragment, is http.uri. False where memory is refused."""
    cdef message_t *request = &tx.side[TO_SERVER]
    cdef const uint8_t *data = bytes_of(&request.line, request.second)
    cdef bytes_t *normal = &tx.uri
    cdef uri_t uri
    cdef host_t host
    cdef uint32_t at, length
    tx.uri_port = -1
    if not request.has_uri:
        return True
    if tx.method == METHOD_CONNECT:
        host = split_host(data, request.second.length)
        if host.found:
            if not set_host(context, &tx.uri_host, data + host.host.at, host.host.length, True):
                return False
            tx.flags |= HTTP1_HAS_HOST
        tx.uri_port = host.port
        if host.invalid or (host.found and not valid_host(tx.uri_host.data, tx.uri_host.length)):
            tx_event(&tx.head, HTTP1_REQUEST_URI_HOST_INVALID)
        return True
    uri = split_uri(data, request.second.length)
    if uri.has_host:
        if not set_host(context, &tx.uri_host, data + uri.host.at, uri.host.length, False):
            return False
        tx.uri_host.length = decode_inplace(tx.uri_host.data, tx.uri_host.length)
        for at in range(tx.uri_host.length):
            tx.uri_host.data[at] = <uint8_t> lower(tx.uri_host.data[at])
        while tx.uri_host.length and tx.uri_host.data[tx.uri_host.length - 1] == 46:
            tx.uri_host.length -= 1
        tx.flags |= HTTP1_HAS_HOST
        if not valid_host(tx.uri_host.data, tx.uri_host.length):
            tx_event(&tx.head, HTTP1_REQUEST_URI_HOST_INVALID)
    if uri.has_port:
        tx.uri_port = port_of(data + uri.port.at, uri.port.length)
        if tx.uri_port < 0:
            tx_event(&tx.head, HTTP1_REQUEST_URI_HOST_INVALID)
    if uri.has_path:
        if not bytes_append(context.pool, ACCOUNT_APPLAYER, &tx.path, data + uri.path.at, uri.path.length):
            return False
        tx.has_path = True
        tx.path.length = normalise_path(tx.path.data, tx.path.length)
        if context.config.http1.double_decode_path:
            length = tx.path.length
            tx.path.length = decode_inplace(tx.path.data, length)
            if tx.path.length < length:
                tx_event(&tx.head, HTTP1_DOUBLE_ENCODED_URI)
        if not bytes_append(context.pool, ACCOUNT_APPLAYER, normal, tx.path.data, tx.path.length):
            return False
    if uri.has_query:
        at = normal.length + 1
        if not (bytes_append(context.pool, ACCOUNT_APPLAYER, normal, <const uint8_t *> b"?", 1)
                and bytes_append(context.pool, ACCOUNT_APPLAYER, normal, data + uri.query.at, uri.query.length)):
            return False
        normal.length = at + decode_inplace(normal.data + at, normal.length - at)
        if context.config.http1.double_decode_query:
            length = normal.length
            normal.length = at + decode_inplace(normal.data + at, length - at)
            if normal.length < length:
                tx_event(&tx.head, HTTP1_DOUBLE_ENCODED_URI)
    if uri.has_fragment:
        at = normal.length + 1
        if not (bytes_append(context.pool, ACCOUNT_APPLAYER, normal, <const uint8_t *> b"#", 1)
                and bytes_append(context.pool, ACCOUNT_APPLAYER, normal, data + uri.fragment.at, uri.fragment.length)):
            return False
        normal.length = at + decode_inplace(normal.data + at, normal.length - at)
    return True


cdef inline bint equal_caseless(const uint8_t *data, uint32_t length, const bytes_t *other) noexcept nogil:
    cdef uint32_t i
    if length != other.length:
        return False
    for i in range(length):
        if lower(data[i]) != lower(other.data[i]):
            return False
    return True


cdef inline bint find_host(app_context_t *context, http1_tx_t *tx) noexcept nogil:
    """Once the headers are there: the host of the URI goes before that of the Host header. False where memory is refused."""
    cdef message_t *request = &tx.side[TO_SERVER]
    cdef header_t *header = find_header(request, b"host", 4)
    cdef const uint8_t *data
    cdef host_t host
    cdef bint of_uri = tx.flags & HTTP1_HAS_HOST
    tx.port = tx.uri_port
    if of_uri:
        if not set_host(context, &tx.host, tx.uri_host.data, tx.uri_host.length, False):
            return False
        tx.has_host = True
    if header == NULL:
        if request.protocol >= PROTOCOL_1_1:
            tx_event(&tx.head, HTTP1_MISSING_HOST_HEADER)
        return True
    data = bytes_of(&request.text, header.value)
    host = split_host(data, header.value.length)
    if host.invalid or (host.found and not valid_host(data + host.host.at, host.host.length)):
        tx_event(&tx.head, HTTP1_REQUEST_HEADER_HOST_INVALID)
    if not of_uri:
        tx.port = host.port
        if host.found:
            tx.has_host = True
            return set_host(context, &tx.host, data + host.host.at, host.host.length, host.lowered)
        return True
    if (not host.found or not equal_caseless(data + host.host.at, host.host.length, &tx.host)
            or (tx.uri_port >= 0 and host.port >= 0 and tx.uri_port != host.port)):
        tx_event(&tx.head, HTTP1_HOST_HEADER_AMBIGUOUS)
    return True


cdef inline bint looks_like_response(const uint8_t *data, uint32_t length) noexcept nogil:
    """As browsers have it: "HTTP" in any case, behind any blanks and NULs."""
    while length and (data[0] == 0 or is_space(data[0])):
        data += 1
        length -= 1
    return length >= 4 and lower(data[0]) == 104 and lower(data[1]) == 116 and lower(data[2]) == 116 and lower(data[3]) == 112


cdef inline void read_response_line(http1_tx_t *tx) noexcept nogil:
    """protocol SP status SP message, of tx.side[TO_CLIENT].line."""
    cdef message_t *response = &tx.side[TO_CLIENT]
    cdef const uint8_t *data = response.line.data
    cdef uint32_t length = response.line.length, at = 0, start
    cdef int64_t status
    response.has_line = True
    response.has_protocol = response.has_status = response.has_message = False
    response.protocol = PROTOCOL_INVALID
    tx.status = -1
    while at < length and is_space(data[at]):
        at += 1
    start = at
    while at < length and not is_space(data[at]):
        at += 1
    if at > start:
        response.first = part(start, at)
        response.has_protocol = True
        response.protocol = protocol_of(data + start, at - start)
    while at < length and is_space(data[at]):
        at += 1
    start = at
    while at < length and not is_space(data[at]):
        at += 1
    if at > start:
        response.second = part(start, at)
        response.has_status = True
        status = number_of(data + start, at - start)
        if 100 <= status <= 999:
            tx.status = <int> status
        while at < length and is_space(data[at]):
            at += 1
        if at < length:
            response.third = part(at, length)
            response.has_message = True
    if response.protocol == PROTOCOL_INVALID:
        tx_event(&tx.head, HTTP1_RESPONSE_INVALID_PROTOCOL)
    if tx.status < 0:
        tx_event(&tx.head, HTTP1_RESPONSE_INVALID_STATUS)
