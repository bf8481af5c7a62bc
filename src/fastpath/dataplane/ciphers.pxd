# What fastpath uses of OpenSSL's libcrypto (evp.h, hmac.h) to open records: AEAD ciphers, and the key derivations of TLS.
#
# Errors: True or False. A cipher context costs memory when it is made and when its cipher changes, none when it decrypts.
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_CIPHER:
        pass
    ctypedef struct EVP_CIPHER_CTX:
        pass
    ctypedef struct EVP_MD:
        pass
    EVP_CIPHER_CTX *EVP_CIPHER_CTX_new()
    void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *context)
    int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *context, int what, int number, void *data)
    int EVP_DecryptInit_ex(EVP_CIPHER_CTX *context, const EVP_CIPHER *kind, void *engine, const uint8_t *key,
                           const uint8_t *nonce)
    int EVP_DecryptUpdate(EVP_CIPHER_CTX *context, uint8_t *out, int *written, const uint8_t *data, int length)
    int EVP_DecryptFinal_ex(EVP_CIPHER_CTX *context, uint8_t *out, int *written)
    const EVP_CIPHER *EVP_aes_128_gcm()
    const EVP_CIPHER *EVP_aes_256_gcm()
    const EVP_CIPHER *EVP_chacha20_poly1305()
    const EVP_MD *EVP_sha256()
    const EVP_MD *EVP_sha384()
    int EVP_CTRL_AEAD_SET_TAG

cdef extern from "openssl/hmac.h" nogil:
    uint8_t *HMAC(const EVP_MD *kind, const void *key, int key_length, const uint8_t *data, size_t length, uint8_t *into,
                  unsigned int *size)

cdef extern from "openssl/crypto.h" nogil:
    void OPENSSL_cleanse(void *data, size_t length)

cdef enum:
    TAG_LENGTH = 16
    NONCE_LENGTH = 12
    KEY_MAX = 32
    HASH_MAX = 48               # SHA-384
    LABEL_MAX = 32              # of what derivations are told
    SEED_MAX = 96


cdef inline bint open_aead(EVP_CIPHER_CTX *context, const uint8_t *nonce, const uint8_t *beside, uint32_t beside_length,
                           const uint8_t *data, uint32_t length, uint8_t *plain) noexcept nogil:
    """`data` ends with its tag; `plain` has room for `length` bytes. False where the tag does not fit."""
    cdef int written = 0
    cdef uint8_t tag[TAG_LENGTH]
    if length < TAG_LENGTH:
        return False
    length -= TAG_LENGTH
    memcpy(tag, data + length, TAG_LENGTH)
    return (EVP_DecryptInit_ex(context, NULL, NULL, NULL, nonce) == 1
            and EVP_DecryptUpdate(context, NULL, &written, beside, <int> beside_length) == 1
            and EVP_DecryptUpdate(context, plain, &written, data, <int> length) == 1
            and EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_LENGTH, tag) == 1
            and EVP_DecryptFinal_ex(context, plain + length, &written) == 1)


cdef inline bint expand_label(const EVP_MD *hash, const uint8_t *secret, uint32_t secret_length, const char *label,
                              uint32_t label_length, uint8_t *into, uint32_t length) noexcept nogil:
    """HKDF-Expand-Label with an empty context (RFC 8446 section 7.1), for no more than one block of the hash."""
    cdef uint8_t info[LABEL_MAX]
    cdef uint8_t block[64]
    cdef unsigned int size = 0
    info[0] = <uint8_t> (length >> 8)
    info[1] = <uint8_t> length
    info[2] = <uint8_t> (6 + label_length)
    memcpy(info + 3, b"tls13 ", 6)
    memcpy(info + 9, label, label_length)
    info[9 + label_length] = 0
    info[10 + label_length] = 1             # the number of the block
    if HMAC(hash, secret, <int> secret_length, info, 11 + label_length, block, &size) == NULL or size < length:
        return False
    memcpy(into, block, length)
    OPENSSL_cleanse(block, sizeof(block))
    return True


cdef inline bint expand_secret(const EVP_MD *hash, const uint8_t *secret, uint32_t secret_length, const uint8_t *seed,
                               uint32_t seed_length, uint8_t *into, uint32_t length) noexcept nogil:
    """P_hash (RFC 5246 section 5). The seed, its label before it, has no more than SEED_MAX bytes."""
    cdef uint8_t chain[HASH_MAX + SEED_MAX]     # A(i), then the seed
    cdef uint8_t block[64]
    cdef unsigned int size = 0
    cdef uint32_t taken
    if HMAC(hash, secret, <int> secret_length, seed, seed_length, block, &size) == NULL:
        return False
    while length:
        memcpy(chain, block, size)
        memcpy(chain + size, seed, seed_length)
        if HMAC(hash, secret, <int> secret_length, chain, size + seed_length, block, &size) == NULL:
            return False
        taken = min(length, <uint32_t> size)
        memcpy(into, block, taken)
        into += taken
        length -= taken
        if length and HMAC(hash, secret, <int> secret_length, chain, size, block, &size) == NULL:
            return False
    OPENSSL_cleanse(block, sizeof(block))
    OPENSSL_cleanse(chain, sizeof(chain))
    return True
