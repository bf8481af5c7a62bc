"""Prefix-preserving pseudonyms of addresses, and keyed ones of numbers: Crypto-PAn (Xu, Fan, Ammar, Moon: "Prefix-Preserving IP Address
Anonymization", ICNP 2002) over AES-128. Two addresses that share their first n bits have pseudonyms that share their first n bits."""
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from fastpath.dataplane.types cimport NET_IPV4, NET_IPV6

cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_CIPHER:
        pass
    ctypedef struct EVP_CIPHER_CTX:
        pass
    const EVP_CIPHER *EVP_aes_128_ecb()
    EVP_CIPHER_CTX *EVP_CIPHER_CTX_new()
    void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *context)
    int EVP_EncryptInit_ex(EVP_CIPHER_CTX *context, const EVP_CIPHER *kind, void *engine, const uint8_t *key, const uint8_t *iv)
    int EVP_EncryptUpdate(EVP_CIPHER_CTX *context, uint8_t *out, int *written, const uint8_t *data, int length)

KEY_BYTES = 32

cdef enum:
    BLOCK = 16
    BITS_MAX = 128


cdef class CryptoPan:
    """key: 32 bytes, the first half for AES, the second for what pads addresses. ValueError for another length, RuntimeError where
    libcrypto has no AES."""
    cdef EVP_CIPHER_CTX *context
    cdef uint8_t pad[BLOCK]

    def __cinit__(self, bytes key not None):
        cdef const uint8_t *at = key
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key of {KEY_BYTES} bytes was expected, not of {len(key)}")
        self.context = EVP_CIPHER_CTX_new()
        if self.context == NULL or EVP_EncryptInit_ex(self.context, EVP_aes_128_ecb(), NULL, at, NULL) != 1:
            raise RuntimeError("libcrypto does not give AES-128")
        self.encrypt(self.pad, at + BLOCK, BLOCK)

    def __dealloc__(self):
        if self.context != NULL:
            EVP_CIPHER_CTX_free(self.context)

    cdef int encrypt(self, uint8_t *out, const uint8_t *data, int length) except -1:
        cdef int written = 0
        if EVP_EncryptUpdate(self.context, out, &written, data, length) != 1 or written != length:
            raise RuntimeError("libcrypto fails to encrypt")
        return 0

    cdef int turn(self, uint8_t *address, int size) except -1:
        """Maps an address of so many bytes in place: bit n is flipped by a function of the n bits before it."""
        cdef uint8_t blocks[BITS_MAX * BLOCK]
        cdef uint8_t out[BITS_MAX * BLOCK]
        cdef int bit, whole
        cdef uint8_t left
        for bit in range(8 * size):
            memcpy(blocks + bit * BLOCK, self.pad, BLOCK)
            whole = bit >> 3
            memcpy(blocks + bit * BLOCK, address, whole)
            left = <uint8_t> (0xff00 >> (bit & 7))
            blocks[bit * BLOCK + whole] = (address[whole] & left) | (self.pad[whole] & ~left)
        self.encrypt(out, blocks, 8 * size * BLOCK)
        for bit in range(8 * size):
            address[bit >> 3] ^= (out[bit * BLOCK] >> 7) << (7 - (bit & 7))
        return 0

    def map(self, bytes address not None):
        """The pseudonym of an address of 4 or 16 bytes."""
        cdef uint8_t made[16]
        if len(address) not in (4, 16):
            raise ValueError(f"an address has 4 or 16 bytes, not {len(address)}")
        memcpy(made, <const char *> address, len(address))
        self.turn(made, <int> len(address))
        return made[:len(address)]

    def map_rows(self, uint8_t[:, ::1] addresses not None, const uint8_t[::1] net not None):
        """Maps addresses of (n, 16) bytes in place; net: NET_IPV4 or NET_IPV6, of anything else they stay."""
        cdef Py_ssize_t i
        if addresses.shape[1] != 16 or net.shape[0] != addresses.shape[0]:
            raise ValueError("addresses of (n, 16) bytes and n numbers were expected")
        for i in range(addresses.shape[0]):
            if net[i] == NET_IPV4:
                self.turn(&addresses[i, 0], 4)
            elif net[i] == NET_IPV6:
                self.turn(&addresses[i, 0], 16)

    def map_numbers(self, uint64_t[::1] numbers not None, uint64_t mask):
        """Puts the bits `mask` of a keyed pseudonym in the place of each number that is not 0."""
        cdef Py_ssize_t i
        cdef uint8_t block[BLOCK]
        cdef uint8_t out[BLOCK]
        cdef uint64_t made
        memcpy(block, self.pad, BLOCK)
        for i in range(numbers.shape[0]):
            if numbers[i] == 0:
                continue
            memcpy(block, &numbers[i], sizeof(uint64_t))
            self.encrypt(out, block, BLOCK)
            memcpy(&made, out, sizeof(uint64_t))
            made &= mask
            numbers[i] = made if made else 1
