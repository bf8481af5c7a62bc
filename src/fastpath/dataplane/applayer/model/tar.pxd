# tar archives as they stream by, such as the layers of container images: headers of 512 bytes, what they describe behind them.
# Source: POSIX.1-2017, pax: ustar and extended headers; GNU tar's manual: long names (L), numbers in base 256.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastpath.dataplane.applayer.model.facts cimport FOUND_TAR_MALFORMED, FOUND_TAR_PATH, find_word, model_facts_t, note_finding
from fastpath.dataplane.applayer.model.paths cimport climbs, leads_out

cdef enum:
    TAR_BLOCK = 512
    TAR_MAGIC_AT = 257
    TAR_NAME = 256
    TAR_EXTRA = 1024            # bytes of an extended header that are read

cdef enum tar_state:
    TAR_HEADER, TAR_MEMBER, TAR_EXTENDED, TAR_LONG_NAME, TAR_SKIP, TAR_PADDING, TAR_OVER

cdef struct tar_t:
    uint8_t state, named        # named: an extended header has told the name of what comes
    uint32_t have               # bytes of a header, or of extra
    uint32_t name_length, padding
    uint64_t left               # bytes of what is at hand that are still to come
    uint64_t told_size          # by an extended header, + 1; 0: not told
    uint64_t members
    uint8_t header[512]
    uint8_t name[256]
    uint8_t extra[1024]


cdef inline bint may_begin_tar(const uint8_t *data, uint32_t length) noexcept nogil:
    """A name, and nothing behind its end within the first bytes."""
    cdef uint32_t i
    cdef bint over = False
    for i in range(min(length, <uint32_t> 16)):
        if data[i] == 0:
            over = True
        elif over or data[i] < 32:
            return False
    return length > 0 and data[0] != 0


cdef inline uint64_t tar_number(const uint8_t *at, uint32_t length) noexcept nogil:
    """Octal digits between blanks, or base 256 where the first bit is set; what is too large is the largest."""
    cdef uint64_t value = 0
    cdef uint32_t i
    if at[0] & 0x80:
        for i in range(1, length):
            if value >> 55:
                return <uint64_t> -1 >> 1
            value = value << 8 | at[i]
        return value
    for i in range(length):
        if 48 <= at[i] <= 55:
            value = value << 3 | at[i] - 48
        elif at[i] != 32 or value:
            break
    return value


cdef inline bint is_tar_header(const uint8_t *block) noexcept nogil:
    """Does the sum of its bytes, its own field taken as blanks, say what the header says?"""
    cdef uint64_t sum = 0
    cdef uint32_t i
    for i in range(TAR_BLOCK):
        sum += 32 if 148 <= i < 156 else block[i]
    return sum == tar_number(block + 148, 8)


cdef inline uint32_t text_length(const uint8_t *text, uint32_t room) noexcept nogil:
    cdef uint32_t i
    for i in range(room):
        if text[i] == 0:
            return i
    return room


cdef inline void take_pax(tar_t *tar) noexcept nogil:
    """Records of an extended header: LENGTH KEY=VALUE and a newline."""
    cdef uint32_t at = 0, size, digits, end, value
    while at < tar.have:
        size = digits = 0
        while at + digits < tar.have and digits < 6 and 48 <= tar.extra[at + digits] <= 57:
            size = size * 10 + tar.extra[at + digits] - 48
            digits += 1
        if digits == 0 or size < digits + 5 or at + size > tar.have or tar.extra[at + digits] != 32:
            return
        end = at + size - 1
        value = at + digits + 6
        if memcmp(tar.extra + at + digits, b" path=", 6) == 0:
            tar.name_length = min(end - value, <uint32_t> TAR_NAME)
            memcpy(tar.name, tar.extra + value, tar.name_length)
            tar.named = True
        elif memcmp(tar.extra + at + digits, b" size=", 6) == 0:
            tar.told_size = tar_number_of_digits(tar.extra + value, end - value) + 1
        at += size


cdef inline uint64_t tar_number_of_digits(const uint8_t *at, uint32_t length) noexcept nogil:
    cdef uint64_t value = 0
    cdef uint32_t i
    for i in range(min(length, <uint32_t> 18)):
        if not 48 <= at[i] <= 57:
            break
        value = value * 10 + at[i] - 48
    return value


cdef inline void take_tar_header(tar_t *tar, model_facts_t *facts) noexcept nogil:
    """A header is whole."""
    cdef uint8_t kind = tar.header[156]
    cdef uint32_t i, length
    tar.have = 0
    for i in range(TAR_BLOCK):
        if tar.header[i]:
            break
    else:
        tar.state = TAR_OVER    # a block of zeros
        return
    if not is_tar_header(tar.header):
        find_word(facts, FOUND_TAR_MALFORMED, b"checksum")
        tar.state = TAR_OVER
        return
    tar.left = tar_number(tar.header + 124, 12)
    if kind == 120 or kind == 103 or kind == 76 or kind == 75:
        # x, g: extended headers; L, K: long names of it and of its target
        tar.padding = <uint32_t> (-tar.left & 511)
        tar.state = TAR_EXTENDED if kind == 120 else TAR_LONG_NAME if kind == 76 else TAR_SKIP
        return
    if tar.told_size:
        tar.left = tar.told_size - 1
        tar.told_size = 0
    if not tar.named:
        length = text_length(tar.header + 345, 155) if memcmp(tar.header + TAR_MAGIC_AT, b"ustar\0", 6) == 0 else 0
        memcpy(tar.name, tar.header + 345, length)
        if length:
            tar.name[length] = 47
            length += 1
        tar.name_length = min(length + text_length(tar.header, 100), <uint32_t> TAR_NAME)
        memcpy(tar.name + length, tar.header, tar.name_length - length)
    tar.named = False
    tar.members += 1
    if leads_out(tar.name, tar.name_length):
        note_finding(facts, FOUND_TAR_PATH, tar.name, tar.name_length, NULL, 0)
    if kind == 50 and climbs(tar.name, tar.name_length, tar.header + 157, text_length(tar.header + 157, 100)):
        note_finding(facts, FOUND_TAR_PATH, tar.header + 157, text_length(tar.header + 157, 100), NULL, 0)
    if 49 <= kind <= 54:        # links, devices, folders: nothing behind them
        tar.left = 0
    tar.padding = <uint32_t> (-tar.left & 511)
    tar.state = TAR_MEMBER if kind == 48 or kind == 0 or kind == 55 else TAR_SKIP


cdef inline uint32_t tar_read(tar_t *tar, model_facts_t *facts, const uint8_t *data, uint32_t length) noexcept nogil:
    """The next bytes; how many were taken. Never called in the state TAR_MEMBER: then the next `left` bytes are the member's, and
    the caller's to look at, who says by tar_passed that they have passed."""
    cdef uint32_t take
    if tar.state == TAR_HEADER:
        take = min(length, <uint32_t> TAR_BLOCK - tar.have)
        memcpy(tar.header + tar.have, data, take)
        tar.have += take
        if tar.have == TAR_BLOCK:
            take_tar_header(tar, facts)
        return take
    if tar.state == TAR_OVER:
        return length
    if tar.state == TAR_PADDING:
        take = min(length, tar.padding)
        tar.padding -= take
        if tar.padding == 0:
            tar.state = TAR_HEADER
        return take
    take = <uint32_t> min(<uint64_t> length, tar.left)
    if (tar.state == TAR_EXTENDED or tar.state == TAR_LONG_NAME) and tar.have < TAR_EXTRA:
        memcpy(tar.extra + tar.have, data, min(take, <uint32_t> TAR_EXTRA - tar.have))
        tar.have += min(take, <uint32_t> TAR_EXTRA - tar.have)
    tar_passed(tar, take)
    return take


cdef inline void tar_passed(tar_t *tar, uint32_t length) noexcept nogil:
    """So many bytes of what is at hand have passed; at its end comes what fills its last block."""
    tar.left -= length
    if tar.left:
        return
    if tar.state == TAR_EXTENDED:
        take_pax(tar)
    elif tar.state == TAR_LONG_NAME:
        tar.name_length = min(text_length(tar.extra, tar.have), <uint32_t> TAR_NAME)
        memcpy(tar.name, tar.extra, tar.name_length)
        tar.named = True
    tar.have = 0
    tar.state = TAR_PADDING if tar.padding else TAR_HEADER


cdef inline void tar_end(tar_t *tar, model_facts_t *facts) noexcept nogil:
    """No bytes are missing, and none come."""
    if tar.state != TAR_OVER and (tar.state != TAR_HEADER or tar.have):
        find_word(facts, FOUND_TAR_MALFORMED, b"truncated")
