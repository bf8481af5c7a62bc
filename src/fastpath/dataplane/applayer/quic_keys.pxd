# The keys of Initial packets, which follow from the connection id that the client chose for the server: RFC 9001 section 5,
# RFC 9369 section 3.3; what drafts and others took for a salt.
#
# Errors: a packet that does not open. The two cipher contexts of a worker are made with its first Initial packet and kept: a
# context costs memory when it is made and when its cipher changes, none when its key does.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastpath.dataplane.applayer.quic_wire cimport GQUIC_Q050, QUIC_V1, QUIC_V2
from fastpath.dataplane.ciphers cimport (
    EVP_aes_128_gcm, EVP_CIPHER, EVP_CIPHER_CTX, EVP_CIPHER_CTX_free, EVP_CIPHER_CTX_new, EVP_DecryptInit_ex, EVP_sha256, HMAC,
    NONCE_LENGTH, TAG_LENGTH, expand_label, open_aead,
)
from fastpath.dataplane.types cimport TO_CLIENT, TO_SERVER

cdef extern from "openssl/evp.h" nogil:
    const EVP_CIPHER *EVP_aes_128_ecb()
    int EVP_EncryptInit_ex(EVP_CIPHER_CTX *context, const EVP_CIPHER *kind, void *engine, const uint8_t *key,
                           const uint8_t *nonce)
    int EVP_EncryptUpdate(EVP_CIPHER_CTX *context, uint8_t *out, int *written, const uint8_t *data, int length)

cdef extern from * nogil:
    """
    static const unsigned char quic_salts[] = {
        0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
        0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
        0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99,
        0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02,
        0x50, 0x45, 0x74, 0xef, 0xd0, 0x66, 0xfe, 0x2f, 0x9d, 0x94, 0x5c, 0xfc, 0xdb, 0xd3, 0xa7, 0xf0, 0xd3, 0xb5, 0x6b, 0x45};
    """
    const uint8_t quic_salts[]

cdef enum:
    SALT_LENGTH = 20
    SALT_V1 = 0, SALT_V2 = 20, SALT_DRAFT_29 = 40, SALT_DRAFT_23 = 60, SALT_Q050 = 80      # where each stands
    SECRET_LENGTH = 32
    QUIC_KEY = 16
    SAMPLE = 16                 # of the ciphertext, four bytes behind the beginning of the packet number
    NUMBER_MAX = 4              # bytes of a packet number
    NOT_OPENED = 0xffffffff
    QUIC_MVFST = 0xfaceb002

cdef struct quic_key_t:         # of one direction
    uint8_t mask[16]            # of header protection
    uint8_t key[16]
    uint8_t iv[12]

cdef struct quic_ciphers_t:     # of a worker
    EVP_CIPHER_CTX *mask        # of headers: AES-128-ECB
    EVP_CIPHER_CTX *seal        # AES-128-GCM


cdef inline const uint8_t *salt_of(uint32_t version) noexcept nogil:
    """NULL for a version whose Initial packets are not encrypted, or nobody knows how."""
    cdef uint32_t draft = version & 0xffffff if version >> 24 == 0xff else 0
    if version == QUIC_V1 or 33 <= draft <= 34:
        return quic_salts + SALT_V1
    if version == QUIC_V2:
        return quic_salts + SALT_V2
    if 29 <= draft <= 32:
        return quic_salts + SALT_DRAFT_29
    if 23 <= draft <= 28 or version == <uint32_t> QUIC_MVFST:
        return quic_salts + SALT_DRAFT_23
    return quic_salts + SALT_Q050 if version == GQUIC_Q050 else NULL


cdef inline bint make_key(const uint8_t *initial, const char *side, bint second, quic_key_t *key) noexcept nogil:
    """Labels of version 2 have two letters more."""
    cdef uint8_t secret[SECRET_LENGTH]
    cdef const char *word = b"quicv2 key"
    cdef const char *vector = b"quicv2 iv"
    cdef const char *mask = b"quicv2 hp"
    cdef uint32_t longer = 2
    if not second:
        word, vector, mask = b"quic key", b"quic iv", b"quic hp"
        longer = 0
    return (expand_label(EVP_sha256(), initial, SECRET_LENGTH, side, 9, secret, SECRET_LENGTH)
            and expand_label(EVP_sha256(), secret, SECRET_LENGTH, word, 8 + longer, key.key, QUIC_KEY)
            and expand_label(EVP_sha256(), secret, SECRET_LENGTH, vector, 7 + longer, key.iv, NONCE_LENGTH)
            and expand_label(EVP_sha256(), secret, SECRET_LENGTH, mask, 7 + longer, key.mask, QUIC_KEY))


cdef inline bint make_quic_keys(uint32_t version, const uint8_t *connection, uint32_t length, quic_key_t *keys) noexcept nogil:
    """Of both directions; False for a version without."""
    cdef const uint8_t *salt = salt_of(version)
    cdef uint8_t initial[64]
    cdef unsigned int size = 0
    cdef uint8_t none = 0
    if salt == NULL or HMAC(EVP_sha256(), salt, SALT_LENGTH, connection if length else &none, length, initial, &size) == NULL:
        return False
    return (make_key(initial, b"client in", version == QUIC_V2, &keys[TO_SERVER])
            and make_key(initial, b"server in", version == QUIC_V2, &keys[TO_CLIENT]))


cdef inline void free_quic_ciphers(quic_ciphers_t *ciphers) noexcept nogil:
    """NULL for none."""
    if ciphers != NULL:
        EVP_CIPHER_CTX_free(ciphers.mask)
        EVP_CIPHER_CTX_free(ciphers.seal)
        free(ciphers)


cdef inline quic_ciphers_t *make_quic_ciphers() noexcept nogil:
    """NULL where libcrypto has no memory, or not these ciphers."""
    cdef quic_ciphers_t *ciphers = <quic_ciphers_t *> calloc(1, sizeof(quic_ciphers_t))
    if ciphers == NULL:
        return NULL
    ciphers.mask = EVP_CIPHER_CTX_new()
    ciphers.seal = EVP_CIPHER_CTX_new()
    if (ciphers.mask == NULL or EVP_EncryptInit_ex(ciphers.mask, EVP_aes_128_ecb(), NULL, NULL, NULL) != 1
            or ciphers.seal == NULL or EVP_DecryptInit_ex(ciphers.seal, EVP_aes_128_gcm(), NULL, NULL, NULL) != 1):
        free_quic_ciphers(ciphers)
        return NULL
    return ciphers


cdef inline uint32_t open_initial(quic_ciphers_t *ciphers, const quic_key_t *key, uint8_t *packet, uint32_t header,
                                  uint32_t length, uint8_t *plain) noexcept nogil:
    """`packet`: its header and `length` bytes behind it, of which the header is unmasked where it stands. Returns how many bytes
    of frames there are, NOT_OPENED where the key does not fit. Numbers are taken for those of the first packets (RFC 9000
    A.3)."""
    cdef uint8_t mask[SAMPLE]
    cdef uint8_t nonce[NONCE_LENGTH]
    cdef uint32_t size, i
    cdef int written = 0
    if length < NUMBER_MAX + SAMPLE:
        return NOT_OPENED
    if (EVP_EncryptInit_ex(ciphers.mask, NULL, NULL, key.mask, NULL) != 1
            or EVP_EncryptUpdate(ciphers.mask, mask, &written, packet + header + NUMBER_MAX, SAMPLE) != 1):
        return NOT_OPENED
    packet[0] ^= mask[0] & 0x0f
    size = 1 + (packet[0] & 3)
    memcpy(nonce, key.iv, NONCE_LENGTH)
    for i in range(size):
        packet[header + i] ^= mask[1 + i]
        nonce[NONCE_LENGTH - size + i] ^= packet[header + i]
    if EVP_DecryptInit_ex(ciphers.seal, NULL, NULL, key.key, NULL) != 1:
        return NOT_OPENED
    if not open_aead(ciphers.seal, nonce, packet, header + size, packet + header + size, length - size, plain):
        return NOT_OPENED
    return length - size - TAG_LENGTH
