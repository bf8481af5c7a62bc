# A walk over JSON (RFC 8259) that can stop and go on between any two bytes. It keeps no value but the strings that are text.
#
# Values may follow one another, as in NDJSON. Numbers and literals are passed over without being checked; a byte below 0x20 may
# stand in a string.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastpath.dataplane.applayer.applayer cimport app_context_t
from fastpath.dataplane.applayer.llm_shape cimport place_of
from fastpath.dataplane.applayer.llm_state cimport *
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER


cdef inline void take_text(app_context_t *context, llm_side_t *side, const uint8_t *data, uint32_t length) noexcept nogil:
    """What is over the limit, or refused, is counted."""
    cdef uint32_t limit = context.config.llm.text_limit
    cdef uint32_t room = limit - side.text.length if side.text.length < limit else 0
    side.bytes += length
    if room:
        bytes_append(context.pool, ACCOUNT_APPLAYER, &side.text, data, min(length, room))


cdef inline void emit(app_context_t *context, llm_t *llm, llm_side_t *side, const uint8_t *data, uint32_t length) noexcept nogil:
    """Bytes of the string at work, unescaped."""
    cdef json_t *json = &side.json
    if json.sink == SINK_TEXT:
        take_text(context, side, data, length)
    elif json.sink == SINK_KEY:
        if json.key_length + length > KEY_MAX:
            json.key_length = KEY_MAX + 1
        else:
            memcpy(json.key + json.key_length, data, length)
            json.key_length += <uint8_t> length
    elif json.sink == SINK_MODEL:
        length = min(length, <uint32_t> (MODEL_MAX - llm.model_length))
        memcpy(llm.model + llm.model_length, data, length)
        llm.model_length += <uint8_t> length


cdef inline void emit_point(app_context_t *context, llm_t *llm, llm_side_t *side, uint32_t point) noexcept nogil:
    """A code point, as UTF-8."""
    cdef uint8_t out[4]
    cdef uint32_t length
    if point < 0x80:
        out[0] = <uint8_t> point
        length = 1
    elif point < 0x800:
        out[0] = <uint8_t> (0xc0 | point >> 6)
        out[1] = <uint8_t> (0x80 | point & 63)
        length = 2
    elif point < 0x10000:
        out[0] = <uint8_t> (0xe0 | point >> 12)
        out[1] = <uint8_t> (0x80 | point >> 6 & 63)
        out[2] = <uint8_t> (0x80 | point & 63)
        length = 3
    else:
        out[0] = <uint8_t> (0xf0 | point >> 18)
        out[1] = <uint8_t> (0x80 | point >> 12 & 63)
        out[2] = <uint8_t> (0x80 | point >> 6 & 63)
        out[3] = <uint8_t> (0x80 | point & 63)
        length = 4
    emit(context, llm, side, out, length)


cdef inline void emit_alone(app_context_t *context, llm_t *llm, llm_side_t *side) noexcept nogil:
    """A surrogate that waited, and whose other half did not come, is no character."""
    if side.json.high:
        side.json.high = 0
        emit_point(context, llm, side, 0xfffd)


cdef inline void emit_unit(app_context_t *context, llm_t *llm, llm_side_t *side, uint16_t unit) noexcept nogil:
    """A \\uXXXX; two of them may be one character (RFC 8259 section 7)."""
    cdef json_t *json = &side.json
    if json.high and 0xdc00 <= unit <= 0xdfff:
        emit_point(context, llm, side, 0x10000 + (<uint32_t> (json.high - 0xd800) << 10) + (unit - 0xdc00))
        json.high = 0
        return
    emit_alone(context, llm, side)
    if 0xd800 <= unit <= 0xdbff:
        json.high = unit
    else:
        emit_point(context, llm, side, 0xfffd if 0xdc00 <= unit <= 0xdfff else unit)


cdef inline int unescaped(uint8_t c) noexcept nogil:
    """What stands behind a backslash; -1 for what may not."""
    if c == 34 or c == 92 or c == 47:
        return c
    if c == 110:
        return 10
    if c == 116:
        return 9
    if c == 114:
        return 13
    if c == 98:
        return 8
    return 12 if c == 102 else -1


cdef inline int hex_of(uint8_t c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    c |= 32
    return c - 87 if 97 <= c <= 102 else -1


cdef inline bint is_bare(uint8_t c) noexcept nogil:
    """Of a number or a literal."""
    return 48 <= c <= 57 or 97 <= c | 32 <= 122 or c == 43 or c == 45 or c == 46


cdef inline bint is_piece(const llm_side_t *side) noexcept nogil:
    """Is a string here a piece of the text before it? So it is where a response comes in pieces, but for messages of JSON-RPC."""
    return (side.form == FORM_EVENTS or side.values > 0) and not side.evidence & SAYS_RPC


cdef inline void begin_string(app_context_t *context, llm_t *llm, llm_side_t *side) noexcept nogil:
    cdef json_t *json = &side.json
    cdef uint8_t newline = 10
    json.state = JSON_STRING
    json.sink = SINK_NONE
    if json.place == PLACE_PROSE or json.place == PLACE_ALL:
        json.sink = SINK_TEXT
        if side.text.length and not is_piece(side):
            take_text(context, side, &newline, 1)
    elif json.place == PLACE_MODEL and llm.model_length == 0:
        json.sink = SINK_MODEL


cdef inline void value_over(llm_side_t *side) noexcept nogil:
    if side.json.depth:
        side.json.state = JSON_NEXT
    else:
        side.json.state = JSON_START
        side.values += 1


cdef inline void open_container(llm_side_t *side, bint is_object) noexcept nogil:
    cdef json_t *json = &side.json
    if json.depth == JSON_DEPTH:
        json.state = JSON_DEEP
        return
    json.open[json.depth] = json.place | PLACE_OBJECT if is_object else json.place
    json.depth += 1
    json.state = JSON_KEY if is_object else JSON_FIRST


cdef inline void close_container(llm_side_t *side, bint is_object) noexcept nogil:
    cdef json_t *json = &side.json
    if json.depth == 0 or (json.open[json.depth - 1] & PLACE_OBJECT != 0) != is_object:
        json.state = JSON_BROKEN
        return
    json.depth -= 1
    value_over(side)


cdef inline void begin_key(llm_side_t *side) noexcept nogil:
    cdef json_t *json = &side.json
    cdef uint8_t within = json.open[json.depth - 1] & PLACE_MASK
    json.state = JSON_STRING
    json.sink = SINK_KEY
    json.key_length = 0
    if within == PLACE_SKIP or within == PLACE_ALL:     # whatever it is
        json.key_length = KEY_MAX + 1


cdef inline void restart(llm_side_t *side) noexcept nogil:
    """Another value at the root."""
    side.json.state = JSON_START
    side.json.depth = 0
    side.json.high = 0


cdef inline void step(app_context_t *context, llm_t *llm, llm_side_t *side, uint32_t direction, uint8_t c) noexcept nogil:
    """A byte outside of strings."""
    cdef json_t *json = &side.json
    cdef uint8_t within = json.open[json.depth - 1] if json.depth else 0
    if c == 32 or c == 10 or c == 13 or c == 9:
        return
    if json.state == JSON_START:
        json.place = PLACE_ROOT
        if c == 123 or c == 91:
            open_container(side, c == 123)
        elif not (c == 0xef or c == 0xbb or c == 0xbf) or side.values:     # but for a byte order mark
            json.state = JSON_BROKEN
    elif json.state == JSON_VALUE or json.state == JSON_FIRST:
        if c == 34:
            begin_string(context, llm, side)
        elif c == 123 or c == 91:
            open_container(side, c == 123)
        elif c == 93 and json.state == JSON_FIRST:
            close_container(side, False)
        else:
            json.state = JSON_BARE if is_bare(c) else JSON_BROKEN
    elif json.state == JSON_KEY or json.state == JSON_KEY_NEXT:
        if c == 34:
            begin_key(side)
        elif c == 125 and json.state == JSON_KEY:
            close_container(side, True)
        else:
            json.state = JSON_BROKEN
    elif json.state == JSON_COLON:
        json.state = JSON_VALUE if c == 58 else JSON_BROKEN
        json.place = place_of(side, direction, within & PLACE_MASK)
    elif c == 44:
        json.place = within & PLACE_MASK
        json.state = JSON_KEY_NEXT if within & PLACE_OBJECT else JSON_VALUE
    elif c == 125 or c == 93:
        close_container(side, c == 125)
    else:
        json.state = JSON_BROKEN


cdef inline void walk(app_context_t *context, llm_t *llm, uint32_t direction, const uint8_t *data,
                      uint32_t length) noexcept nogil:
    """Stops where json.state becomes JSON_BROKEN or JSON_DEEP."""
    cdef llm_side_t *side = &llm.side[direction]
    cdef json_t *json = &side.json
    cdef uint32_t at = 0, start
    cdef int value
    cdef uint8_t c
    while at < length and json.state < JSON_BROKEN:
        c = data[at]
        if json.state == JSON_STRING:
            start = at
            while at < length and data[at] != 34 and data[at] != 92:
                at += 1
            if at > start:
                emit_alone(context, llm, side)
                emit(context, llm, side, data + start, at - start)
            if at == length:
                return
            if data[at] == 92:
                json.state = JSON_ESCAPE
            else:
                emit_alone(context, llm, side)
                if json.sink == SINK_KEY:
                    json.state = JSON_COLON
                else:
                    value_over(side)
            at += 1
            continue
        if json.state == JSON_BARE and not is_bare(c):
            value_over(side)
            continue
        at += 1
        if json.state == JSON_ESCAPE:
            if c == 117:
                json.state = JSON_HEX
                json.digits = 4
                json.unit = 0
                continue
            value = unescaped(c)
            json.state = JSON_STRING if value >= 0 else JSON_BROKEN
            if value >= 0:
                emit_alone(context, llm, side)
                emit_point(context, llm, side, <uint32_t> value)
        elif json.state == JSON_HEX:
            value = hex_of(c)
            if value < 0:
                json.state = JSON_BROKEN
                continue
            json.unit = <uint16_t> (json.unit << 4 | value)
            json.digits -= 1
            if json.digits == 0:
                json.state = JSON_STRING
                emit_unit(context, llm, side, json.unit)
        elif json.state != JSON_BARE:
            step(context, llm, side, direction, c)
