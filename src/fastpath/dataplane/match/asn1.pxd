# BER elements (X.690) of a payload, for the asn1 keyword: is one longer, or stranger, than it should be?
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastpath.dataplane.match.program cimport ASN1_BITSTRING, ASN1_DOUBLE, ASN1_OVERSIZE, RELATIVE, asn1_op_t

cdef enum:
    TAG_BOOLEAN = 1, TAG_BIT_STRING = 3, TAG_NULL = 5, TAG_REAL = 9, TAG_SEQUENCE = 16, TAG_SET = 17
    CLASS_BITS = 0xc0, CONSTRUCTED = 0x20
    NESTING = 32                # elements within elements that are looked at

cdef struct element_t:
    uint32_t tag
    uint8_t leading             # class and form
    uint64_t length
    const uint8_t *data


cdef inline bint read_element(const uint8_t **at, const uint8_t *end, element_t *element) noexcept nogil:
    """The element at at[0], which moves behind it. False for what is no element, or ends beyond the data."""
    cdef const uint8_t *here = at[0]
    cdef uint32_t count, _i
    if end - here < 2:
        return False
    element.leading = here[0]
    element.tag = here[0] & 31
    here += 1
    if element.tag == 31:
        element.tag = 0
        while True:
            if here == end or element.tag >> 24:
                return False
            element.tag = element.tag << 7 | here[0] & 127
            here += 1
            if not here[-1] & 128:
                break
    if here == end:
        return False
    element.length = here[0]
    here += 1
    if element.length & 128:
        count = element.length & 127
        element.length = 0
        if count == 0 or count > 8 or end - here < count:
            return False
        for _i in range(count):
            element.length = element.length << 8 | here[0]
            here += 1
    if element.length > <uint64_t> (end - here):
        return False
    element.data = here
    at[0] = here + element.length
    return True


cdef inline bint is_sound(const element_t *element) noexcept nogil:
    """Has an element of a universal type the form that its type asks for?"""
    if element.leading & CLASS_BITS:
        return True
    if element.tag == TAG_SEQUENCE or element.tag == TAG_SET:
        return element.leading & CONSTRUCTED
    if element.tag == TAG_BOOLEAN:
        return element.length == 1 and not element.leading & CONSTRUCTED
    if element.tag == TAG_NULL or element.tag == 0:
        return element.length == 0 and not element.leading & CONSTRUCTED
    if element.tag == TAG_BIT_STRING:
        return element.length > 0 and not element.leading & CONSTRUCTED
    return True


cdef inline bint is_odd(const asn1_op_t *op, const element_t *element) noexcept nogil:
    """What the rule looks for: too long; more unused bits than there are; a number in text that is longer than a decoder's
    room."""
    if op.flags & ASN1_OVERSIZE and element.length > op.oversize:
        return True
    if element.leading & (CLASS_BITS | CONSTRUCTED) or element.length == 0:
        return False
    if op.flags & ASN1_BITSTRING and element.tag == TAG_BIT_STRING and element.data[0] > element.length * 8:
        return True
    return op.flags & ASN1_DOUBLE and element.tag == TAG_REAL and not element.data[0] & 0xc0 and element.length > 256


cdef inline bint asn1_holds(const asn1_op_t *op, const uint8_t *data, uint32_t length, uint32_t cursor) noexcept nogil:
    """Top-level elements one after the other, each with those inside sequences and sets, up to the first that is broken.
    More than the rule's limit of them are as if there were none."""
    cdef int64_t start = op.offset
    cdef const uint8_t *at
    cdef const uint8_t *ends[NESTING]
    cdef element_t element
    cdef uint32_t count = 0, depth
    cdef bint found = False, odd, broken
    if op.flags & RELATIVE:
        start += cursor
    if start < 0 or start > 65535 or start >= length:
        return False
    at = data + start
    ends[0] = data + length
    while at < ends[0]:
        if count == op.frames:
            return False
        odd = broken = False
        depth = 0
        while True:
            if not read_element(&at, ends[depth], &element) or not is_sound(&element):
                broken = True
                break
            odd |= is_odd(op, &element)
            if not element.leading & CLASS_BITS and (element.tag == TAG_SEQUENCE or element.tag == TAG_SET) and element.length:
                depth += 1
                if depth == NESTING or depth == op.frames:
                    broken = True
                    break
                ends[depth] = at
                at = element.data
            while depth and at == ends[depth]:
                depth -= 1
            if depth == 0:
                break
        if broken:
            break
        found |= odd
        count += 1
    return found
