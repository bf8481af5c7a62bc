# What the QUIC room remembers: of a session its keys and the handshake as far as it has come, of a packet what it said.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastpath.dataplane.applayer.applayer cimport app_context_t, tx_t
from fastpath.dataplane.applayer.quic_keys cimport quic_key_t
from fastpath.dataplane.pool cimport bytes_append, bytes_free
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, bytes_t, pool_t

cdef enum:
    CRYPTO_MAX = 65534          # bytes of a direction's handshake that are kept, until its hello is whole
    SERVICE_MAX = 255

cdef struct crypto_t:           # the stream of CRYPTO frames of a direction (RFC 9000 section 19.6)
    bytes_t data                # from offset 0; zeros where nothing has come yet
    bytes_t come                # a bit a byte: it has
    uint32_t whole              # bytes from the beginning without a hole

cdef struct quic_state_t:
    quic_key_t keys[2]
    crypto_t crypto[2]
    uint8_t has_keys, has_retried
    uint8_t hello[2]            # by direction: it has been seen, and what follows is sealed
    uint8_t name_length
    uint8_t name[255]           # that the client asked for

cdef struct quic_tx_t:
    tx_t head
    uint32_t version
    uint8_t from_client, has_hello, has_name, has_agent, has_ja3_hash, has_ja4
    bytes_t name, agent, ja3
    bytes_t extensions          # of the hello, as they came
    bytes_t fingerprints        # of Google's versions: strings of CYU, each with a NUL behind it
    uint8_t ja3_hash[32]
    uint8_t ja4[36]


cdef inline void free_crypto(pool_t *pool, crypto_t *crypto) noexcept nogil:
    bytes_free(pool, ACCOUNT_APPLAYER, &crypto.data)
    bytes_free(pool, ACCOUNT_APPLAYER, &crypto.come)
    crypto.whole = 0


cdef inline void empty_tx(pool_t *pool, quic_tx_t *tx) noexcept nogil:
    """What was read of a packet is taken back."""
    bytes_free(pool, ACCOUNT_APPLAYER, &tx.name)
    bytes_free(pool, ACCOUNT_APPLAYER, &tx.agent)
    bytes_free(pool, ACCOUNT_APPLAYER, &tx.ja3)
    bytes_free(pool, ACCOUNT_APPLAYER, &tx.extensions)
    bytes_free(pool, ACCOUNT_APPLAYER, &tx.fingerprints)
    tx.has_hello = tx.has_name = tx.has_agent = tx.has_ja3_hash = tx.has_ja4 = False


cdef inline void keep_text(pool_t *pool, bytes_t *into, const uint8_t *data, uint32_t length) noexcept nogil:
    into.length = 0
    bytes_append(pool, ACCOUNT_APPLAYER, into, data, length)


cdef inline bint reach(pool_t *pool, bytes_t *bytes, uint32_t length) noexcept nogil:
    """As long as that at least, with zeros behind; False where memory is refused."""
    cdef uint8_t zeros[256]
    memset(zeros, 0, sizeof(zeros))
    while bytes.length < length:
        if not bytes_append(pool, ACCOUNT_APPLAYER, bytes, zeros, min(length - bytes.length, <uint32_t> sizeof(zeros))):
            return False
    return True


cdef inline bint add_crypto(pool_t *pool, crypto_t *crypto, uint32_t offset, const uint8_t *data, uint32_t length) noexcept nogil:
    """Bytes of the stream, of which none lies beyond CRYPTO_MAX. What comes twice is as it came last."""
    cdef uint32_t i
    if not reach(pool, &crypto.data, offset + length) or not reach(pool, &crypto.come, (offset + length + 7) // 8):
        return False
    if length:
        memcpy(crypto.data.data + offset, data, length)
    for i in range(offset, offset + length):  # no-cython-lint
        crypto.come.data[i >> 3] |= <uint8_t> (1 << (i & 7))
    while crypto.whole < crypto.data.length and crypto.come.data[crypto.whole >> 3] >> (crypto.whole & 7) & 1:
        crypto.whole += 1
    return True
