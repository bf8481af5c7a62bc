# What packets of Google's versions of QUIC say in the open: the tags of CHLO, REJ and the others, and their fingerprint CYU
# (https://github.com/salesforce/GQUIC_Protocol_Analyzer, BSD-3).
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp

from fastpath.dataplane.applayer.cursor cimport (
    cursor_left, cursor_over, cursor_t, read_be16, read_be32, read_bytes, read_le16, read_le32, read_u8,
)
from fastpath.dataplane.applayer.quic_state cimport keep_text, quic_tx_t
from fastpath.dataplane.applayer.quic_wire cimport GQUIC_Q043, GQUIC_Q046, is_gquic
from fastpath.dataplane.pool cimport bytes_append
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, pool_t

cdef extern from * nogil:
    """
    static const char gquic_tags[][5] = {
        "AEAD", "CCRT", "CCS", "CETV", "CFCW", "CHLO", "COPT", "CSCT", "CTIM", "ICSL", "IRTT", "KEXS", "MIDS", "MSPC", "NONC",
        "NONP",
        "PAD", "PDMD", "PUBS", "SCID", "SCLS", "SFCW", "SMHL", "SNI", "SNO", "STK", "TCID", "UAID", "VER", "XLCT"};
    #define GQUIC_TAGS (sizeof(gquic_tags) / sizeof(gquic_tags[0]))
    """
    const char gquic_tags[][5]
    const uint32_t GQUIC_TAGS

cdef enum:
    TAG_SNI = 0x534e4900, TAG_UAID = 0x55414944


cdef inline bint is_tag(const uint8_t *tag) noexcept nogil:
    """One of those that are known: four characters, or three and a NUL."""
    cdef uint32_t i
    for i in range(GQUIC_TAGS):
        if memcmp(tag, gquic_tags[i], 4) == 0:
            return True
    return False


cdef inline bint tags_fit(const uint8_t *data, uint32_t length, uint32_t *count) noexcept nogil:
    """A message: its tag, how many there are in it, each with where its value ends; then the values, and nothing else."""
    cdef cursor_t cursor = cursor_over(data, length)
    cdef const uint8_t *tag = read_bytes(&cursor, 4)
    cdef uint32_t i, end, before = 0
    if tag == NULL or not is_tag(tag):
        return False
    count[0] = read_le16(&cursor)
    read_be16(&cursor)
    for i in range(count[0]):  # no-cython-lint
        tag = read_bytes(&cursor, 4)
        end = read_le32(&cursor)
        if tag == NULL or cursor.failed or not is_tag(tag) or end < before:
            return False
        before = end
    return cursor_left(&cursor) == before and not cursor.failed


cdef inline void read_tags(pool_t *pool, quic_tx_t *tx, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint32_t count = 0, i, end, before = 0, tag
    cdef cursor_t cursor
    cdef const uint8_t *values
    cdef bint printed = is_gquic(tx.version)
    cdef const char *version = b"44,"       # of 45 too
    if not tags_fit(data, length, &count):
        return
    cursor = cursor_over(data + 8, length - 8)
    values = data + 8 + 8 * count
    if printed:
        if tx.version == GQUIC_Q043:
            version = b"43,"
        if tx.version == GQUIC_Q046:
            version = b"46,"
        bytes_append(pool, ACCOUNT_APPLAYER, &tx.fingerprints, <const uint8_t *> version, 3)
    for i in range(count):
        if printed:
            if i:
                bytes_append(pool, ACCOUNT_APPLAYER, &tx.fingerprints, <const uint8_t *> b"-", 1)
            bytes_append(pool, ACCOUNT_APPLAYER, &tx.fingerprints, cursor.at, 4 if cursor.at[3] else 3)
        tag = read_be32(&cursor)
        end = read_le32(&cursor)
        if tag == TAG_SNI:
            keep_text(pool, &tx.name, values + before, end - before)
            tx.has_name = True
        elif tag == TAG_UAID:
            keep_text(pool, &tx.agent, values + before, end - before)
            tx.has_agent = True
        before = end
    if printed:
        bytes_append(pool, ACCOUNT_APPLAYER, &tx.fingerprints, <const uint8_t *> b"\0", 1)


cdef inline void read_stream_frame(pool_t *pool, quic_tx_t *tx, cursor_t *cursor, uint8_t kind) noexcept nogil:
    """STREAM as Google's versions have it: 1FDOOOSS."""
    cdef uint32_t length
    cdef const uint8_t *data
    read_bytes(cursor, 1 + (kind & 3))
    read_bytes(cursor, (kind >> 2 & 7) + 1 if kind >> 2 & 7 else 0)
    length = read_be16(cursor) if kind & 0x20 else cursor_left(cursor)
    data = read_bytes(cursor, length)
    if data != NULL:
        read_tags(pool, tx, data, length)
