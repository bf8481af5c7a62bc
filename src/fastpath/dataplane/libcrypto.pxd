# What fastpath uses of OpenSSL's libcrypto (evp.h): digests.
#
# Errors: True or False. A machine may forbid a digest (MD5 under FIPS); what hangs on it is then not there.
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_MD:
        pass
    const EVP_MD *EVP_md5()
    const EVP_MD *EVP_sha1()
    const EVP_MD *EVP_sha256()
    int EVP_Digest(const void *data, size_t count, uint8_t *digest, unsigned int *size, const EVP_MD *kind, void *engine)


cdef inline bint md5_of(const uint8_t *data, size_t length, uint8_t *digest) noexcept nogil:
    """16 bytes."""
    return EVP_Digest(data, length, digest, NULL, EVP_md5(), NULL) == 1


cdef inline bint sha1_of(const uint8_t *data, size_t length, uint8_t *digest) noexcept nogil:
    """20 bytes."""
    return EVP_Digest(data, length, digest, NULL, EVP_sha1(), NULL) == 1


cdef inline bint sha256_of(const uint8_t *data, size_t length, uint8_t *digest) noexcept nogil:
    """32 bytes."""
    return EVP_Digest(data, length, digest, NULL, EVP_sha256(), NULL) == 1


cdef inline void write_hex(uint8_t *text, const uint8_t *data, size_t length) noexcept nogil:
    """Two lower-case digits a byte."""
    cdef const char *digits = b"0123456789abcdef"
    cdef size_t i
    for i in range(length):
        text[2 * i] = digits[data[i] >> 4]
        text[2 * i + 1] = digits[data[i] & 15]
