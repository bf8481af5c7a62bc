# unseal: the records of a TLS session, opened where its secrets are known. RFC 5246 (TLS 1.2) with RFC 5288 (AES-GCM) and
# RFC 7905 (ChaCha20-Poly1305), RFC 8446 (TLS 1.3).
#
# One cipher context a direction, from the allowance of the bucket (sight.pxd). Keys are taken when the first sealed record of a
# direction comes, and change where the handshake inside says so: at TLS 1.3's Finished and KeyUpdate, at the change of ciphers
# with which a renegotiation of TLS 1.2 ends.
#
# Errors: a record whose tag does not fit ends decryption of its direction.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastpath.dataplane.applayer.applayer cimport PLAIN_ROOM, app_context_t
from fastpath.dataplane.applayer.sight cimport sight_t
from fastpath.dataplane.ciphers cimport *
from fastpath.dataplane.applayer.keyring cimport (
    RANDOM_LENGTH, SECRET_CLIENT_HANDSHAKE, SECRET_CLIENT_TRAFFIC, SECRET_MASTER, SECRET_MAX, find_secret, keyring_t,
    secret_length, secret_t,
)
from fastpath.dataplane.pool cimport pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, TO_CLIENT, TO_SERVER
from fastpath.dataplane.wire.load cimport be16, be24

cdef enum aead:
    AEAD_NONE, AEAD_AES_128_GCM, AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305

cdef enum opener_state:
    OPENER_NEW                  # no sealed record so far
    OPENER_OPEN
    OPENER_SHUT                 # for good: no secret, or a tag that did not fit

cdef enum:
    CONTENT_CHANGE = 20, CONTENT_HANDSHAKE = 22
    INSIDE_CLIENT_HELLO = 1, INSIDE_SERVER_HELLO = 2, INSIDE_FINISHED = 20, INSIDE_KEY_UPDATE = 24
    HELLO_KEPT = 72             # bytes of a hello, up to the suite: version, random, session id of at most 32, suite
    EXPLICIT_NONCE = 8          # of AES-GCM in TLS 1.2, before the ciphertext

cdef struct opener_t:           # of one direction
    EVP_CIPHER_CTX *cipher
    uint64_t sequence
    uint8_t state               # enum opener_state
    uint8_t in_traffic          # TLS 1.3: the handshake's keys have been left behind
    uint8_t secret_length
    uint8_t aead                # enum aead of the keys in use: another suite may be agreed on meanwhile
    uint8_t iv[12]              # of AES-GCM in TLS 1.2 four bytes
    uint8_t secret[48]          # TLS 1.3: of the keys in use; the next ones come from it
    # handshake messages inside, which may go on from record to record
    uint8_t head[4]             # type and length
    uint8_t head_used
    uint8_t kept_used
    uint32_t left               # bytes of the message still to come
    uint8_t kept[72]            # its beginning

cdef struct unseal_t:           # of a session
    opener_t opener[2]
    uint8_t randoms[2][32]      # of client and server, of the handshake at work
    uint16_t suite
    uint8_t tls13
    uint8_t early               # the client may have sent early data, whose key is another


# ---- suites ----

cdef inline uint32_t aead_of(uint16_t suite, bint tls13) noexcept nogil:
    if tls13:
        return (AEAD_AES_128_GCM if suite == 0x1301 else AEAD_AES_256_GCM if suite == 0x1302
                else AEAD_CHACHA20_POLY1305 if suite == 0x1303 else AEAD_NONE)
    # the two AES-GCM suites of a key exchange are neighbours (RFC 5288, 5289, 5487), that of 128 bits first
    if 0x009c <= suite <= 0x00ad:
        return AEAD_AES_256_GCM if suite & 1 else AEAD_AES_128_GCM
    if 0xc02b <= suite <= 0xc032:
        return AEAD_AES_128_GCM if suite & 1 else AEAD_AES_256_GCM
    return AEAD_CHACHA20_POLY1305 if 0xcca8 <= suite <= 0xccae else AEAD_NONE


cdef inline const EVP_CIPHER *cipher_of(uint32_t aead) noexcept nogil:
    return (EVP_aes_128_gcm() if aead == AEAD_AES_128_GCM else EVP_aes_256_gcm() if aead == AEAD_AES_256_GCM
            else EVP_chacha20_poly1305())


cdef inline uint32_t key_length(uint32_t aead) noexcept nogil:
    return 16 if aead == AEAD_AES_128_GCM else 32


cdef inline const EVP_MD *hash_of(uint32_t aead) noexcept nogil:
    return EVP_sha384() if aead == AEAD_AES_256_GCM else EVP_sha256()


# ---- keys ----

cdef inline const secret_t *known_secret(const app_context_t *context, uint32_t kind, const uint8_t *random) noexcept nogil:
    cdef const secret_t *secret = find_secret(<const keyring_t *> context.config.tls.keys[0], kind, random, context.ordinal)
    if secret == NULL:
        secret = find_secret(<const keyring_t *> context.config.tls.keys[1], kind, random, context.ordinal)
    return secret


cdef inline bint use_key(opener_t *opener, uint32_t aead, const uint8_t *key) noexcept nogil:
    opener.sequence = 0
    opener.aead = <uint8_t> aead
    opener.state = OPENER_OPEN if EVP_DecryptInit_ex(opener.cipher, cipher_of(aead), NULL, key, NULL) == 1 else OPENER_SHUT
    return opener.state == OPENER_OPEN


cdef inline bint use_secret(unseal_t *unseal, opener_t *opener) noexcept nogil:
    """The keys of opener.secret (RFC 8446 section 7.3)."""
    cdef uint32_t aead = aead_of(unseal.suite, True)
    cdef const EVP_MD *hash = hash_of(aead)
    cdef uint8_t key[KEY_MAX]
    cdef bint good = (expand_label(hash, opener.secret, opener.secret_length, b"key", 3, key, key_length(aead))
                      and expand_label(hash, opener.secret, opener.secret_length, b"iv", 2, opener.iv, NONCE_LENGTH)
                      and use_key(opener, aead, key))
    OPENSSL_cleanse(key, sizeof(key))
    if not good:
        opener.state = OPENER_SHUT
    return good


cdef inline bint take_secret(app_context_t *context, unseal_t *unseal, uint32_t direction, uint32_t kind) noexcept nogil:
    """TLS 1.3: goes on with the secret of the client's side of `kind`, or the server's, whose number is the next."""
    cdef opener_t *opener = &unseal.opener[direction]
    cdef const secret_t *secret = known_secret(context, kind + (direction == TO_CLIENT), unseal.randoms[TO_SERVER])
    opener.state = OPENER_SHUT
    if secret == NULL or secret_length(secret) != (48 if aead_of(unseal.suite, True) == AEAD_AES_256_GCM else 32):
        return False
    opener.secret_length = <uint8_t> secret_length(secret)
    memcpy(opener.secret, secret.bytes, opener.secret_length)
    return use_secret(unseal, opener)


cdef inline bint next_secret(unseal_t *unseal, opener_t *opener) noexcept nogil:
    """KeyUpdate (RFC 8446 section 7.2)."""
    cdef uint8_t following[HASH_MAX]
    if not expand_label(hash_of(aead_of(unseal.suite, True)), opener.secret, opener.secret_length, b"traffic upd", 11, following,
                        opener.secret_length):
        opener.state = OPENER_SHUT
        return False
    memcpy(opener.secret, following, opener.secret_length)
    OPENSSL_cleanse(following, sizeof(following))
    return use_secret(unseal, opener)


cdef inline bint take_master(app_context_t *context, unseal_t *unseal, uint32_t direction) noexcept nogil:
    """TLS 1.2: the key of a direction (RFC 5246 section 6.3)."""
    cdef opener_t *opener = &unseal.opener[direction]
    cdef uint32_t aead = aead_of(unseal.suite, False)
    cdef uint32_t length = key_length(aead), iv_length = NONCE_LENGTH if aead == AEAD_CHACHA20_POLY1305 else 4
    cdef const secret_t *secret = known_secret(context, SECRET_MASTER, unseal.randoms[TO_SERVER])
    cdef uint8_t seed[13 + 64]
    cdef uint8_t keys[2 * KEY_MAX + 2 * NONCE_LENGTH]
    opener.state = OPENER_SHUT
    if secret == NULL or aead == AEAD_NONE:
        return False
    memcpy(seed, b"key expansion", 13)
    memcpy(seed + 13, unseal.randoms[TO_CLIENT], RANDOM_LENGTH)
    memcpy(seed + 13 + RANDOM_LENGTH, unseal.randoms[TO_SERVER], RANDOM_LENGTH)
    if expand_secret(hash_of(aead), secret.bytes, secret_length(secret), seed, sizeof(seed), keys, 2 * length + 2 * iv_length):
        memcpy(opener.iv, keys + 2 * length + direction * iv_length, iv_length)
        use_key(opener, aead, keys + direction * length)
    OPENSSL_cleanse(keys, sizeof(keys))
    return opener.state == OPENER_OPEN


# ---- the session ----

cdef inline bint has_secrets(const app_context_t *context, const uint8_t *random, bint tls13) noexcept nogil:
    cdef uint32_t kind
    if not tls13:
        return known_secret(context, SECRET_MASTER, random) != NULL
    for kind in range(SECRET_CLIENT_HANDSHAKE, SECRET_CLIENT_TRAFFIC):
        if known_secret(context, kind, random) != NULL:
            return True
    return False


cdef inline unseal_t *new_unseal(app_context_t *context, const uint8_t *client_random, const uint8_t *server_random,
                                 uint16_t suite, bint tls13, bint early) noexcept nogil:
    """NULL where nothing is known of the session's secrets, its suite is not among ours, or the allowance is spent."""
    cdef sight_t *sight = <sight_t *> context.sight
    cdef unseal_t *unseal
    cdef uint32_t direction
    if sight == NULL or aead_of(suite, tls13) == AEAD_NONE or not has_secrets(context, client_random, tls13):
        return NULL
    if sight.ciphers + 2 > sight.ciphers_max:
        sight.full += 1
        return NULL
    unseal = <unseal_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(unseal_t))
    if unseal == NULL:
        sight.full += 1
        return NULL
    for direction in range(2):
        unseal.opener[direction].cipher = EVP_CIPHER_CTX_new()
    sight.ciphers += 2
    sight.sessions += 1
    if unseal.opener[TO_SERVER].cipher == NULL or unseal.opener[TO_CLIENT].cipher == NULL:
        free_unseal(context, unseal)
        return NULL
    memcpy(unseal.randoms[TO_SERVER], client_random, RANDOM_LENGTH)
    memcpy(unseal.randoms[TO_CLIENT], server_random, RANDOM_LENGTH)
    unseal.suite = suite
    unseal.tls13 = tls13
    unseal.early = early
    return unseal


cdef inline void free_unseal(app_context_t *context, unseal_t *unseal) noexcept nogil:
    cdef uint32_t direction
    for direction in range(2):
        EVP_CIPHER_CTX_free(unseal.opener[direction].cipher)
    (<sight_t *> context.sight).ciphers -= 2
    OPENSSL_cleanse(unseal, sizeof(unseal_t))
    pool_give(context.pool, ACCOUNT_APPLAYER, unseal, sizeof(unseal_t))


# ---- the handshake inside ----

cdef inline void note_hello(unseal_t *unseal, const opener_t *opener) noexcept nogil:
    """A renegotiation of TLS 1.2: what its keys will be made of."""
    cdef uint32_t server = opener.head[0] == INSIDE_SERVER_HELLO, at
    if opener.kept_used < 2 + RANDOM_LENGTH + 1:
        return
    memcpy(unseal.randoms[TO_CLIENT if server else TO_SERVER], opener.kept + 2, RANDOM_LENGTH)
    at = 2 + RANDOM_LENGTH + 1 + opener.kept[2 + RANDOM_LENGTH]
    if server and at + 2 <= opener.kept_used:
        unseal.suite = be16(opener.kept + at)


cdef inline void heed_message(app_context_t *context, unseal_t *unseal, uint32_t direction) noexcept nogil:
    """A handshake message has come to its end."""
    cdef opener_t *opener = &unseal.opener[direction]
    cdef uint8_t kind = opener.head[0]
    if not unseal.tls13:
        if kind == INSIDE_CLIENT_HELLO or kind == INSIDE_SERVER_HELLO:
            note_hello(unseal, opener)
    elif kind == INSIDE_FINISHED and not opener.in_traffic:
        opener.in_traffic = True
        take_secret(context, unseal, direction, SECRET_CLIENT_TRAFFIC)
    elif kind == INSIDE_KEY_UPDATE and opener.in_traffic:
        next_secret(unseal, opener)


cdef inline void follow_handshake(app_context_t *context, unseal_t *unseal, uint32_t direction, const uint8_t *data,
                                  uint32_t length) noexcept nogil:
    cdef opener_t *opener = &unseal.opener[direction]
    cdef uint32_t taken, kept
    while True:
        if opener.head_used < 4:
            if length == 0:
                return
            opener.head[opener.head_used] = data[0]
            opener.head_used += 1
            data += 1
            length -= 1
            if opener.head_used < 4:
                continue
            opener.left = be24(opener.head + 1)
            opener.kept_used = 0
        taken = min(length, opener.left)
        kept = min(taken, <uint32_t> HELLO_KEPT - opener.kept_used)
        memcpy(opener.kept + opener.kept_used, data, kept)
        opener.kept_used += <uint8_t> kept
        data += taken
        length -= taken
        opener.left -= taken
        if opener.left:
            return
        opener.head_used = 0
        heed_message(context, unseal, direction)


# ---- records ----

cdef inline void nonce_of(const opener_t *opener, uint8_t *nonce) noexcept nogil:
    """The vector, the sequence number in its last eight bytes (RFC 8446 section 5.3, RFC 7905 section 2)."""
    cdef uint32_t i
    memcpy(nonce, opener.iv, NONCE_LENGTH)
    for i in range(8):
        nonce[4 + i] ^= <uint8_t> (opener.sequence >> (56 - 8 * i))


cdef inline bint open_tls12(const opener_t *opener, const uint8_t *record, uint32_t length, uint8_t *plain,
                            uint32_t *plain_length) noexcept nogil:
    cdef bint gcm = opener.aead != AEAD_CHACHA20_POLY1305
    cdef uint32_t before = EXPLICIT_NONCE if gcm else 0, i
    cdef uint8_t nonce[NONCE_LENGTH]
    cdef uint8_t beside[13]
    if length < before + TAG_LENGTH:
        return False
    plain_length[0] = length - before - TAG_LENGTH
    if gcm:
        memcpy(nonce, opener.iv, 4)
        memcpy(nonce + 4, record + 5, EXPLICIT_NONCE)
    else:
        nonce_of(opener, nonce)
    for i in range(8):
        beside[i] = <uint8_t> (opener.sequence >> (56 - 8 * i))
    memcpy(beside + 8, record, 3)
    beside[11] = <uint8_t> (plain_length[0] >> 8)
    beside[12] = <uint8_t> plain_length[0]
    return open_aead(opener.cipher, nonce, beside, 13, record + 5 + before, length - before, plain)


cdef inline bint open_tls13(opener_t *opener, const uint8_t *record, uint32_t length, uint8_t *plain, uint32_t *plain_length,
                            uint8_t *content) noexcept nogil:
    """Behind the content stands its type, then padding (RFC 8446 section 5.2)."""
    cdef uint8_t nonce[NONCE_LENGTH]
    cdef uint32_t left
    nonce_of(opener, nonce)
    if not open_aead(opener.cipher, nonce, record, 5, record + 5, length, plain):
        return False
    left = length - TAG_LENGTH
    while left and plain[left - 1] == 0:
        left -= 1
    content[0] = plain[left - 1] if left else 0
    plain_length[0] = left - 1 if left else 0
    return left != 0


cdef enum opened:
    RECORD_SEALED               # it stays so
    RECORD_OPENED
    RECORD_FAILED               # and nothing more of its direction will be opened


cdef inline uint32_t begin_opener(app_context_t *context, unseal_t *unseal, uint32_t direction) noexcept nogil:
    if unseal.tls13:
        return take_secret(context, unseal, direction, SECRET_CLIENT_HANDSHAKE)
    return take_master(context, unseal, direction)


cdef inline uint32_t open_record(app_context_t *context, unseal_t *unseal, uint32_t direction, const uint8_t *record,
                                 uint32_t length, uint8_t *content, uint32_t *plain_length) noexcept nogil:
    """A whole record, its five bytes of header before `length` others. What it holds is in context.work.plain; what the handshake
    in it says of keys has been heeded."""
    cdef opener_t *opener = &unseal.opener[direction]
    cdef sight_t *sight = <sight_t *> context.sight
    cdef uint8_t *plain = context.work.plain
    cdef bint good
    if opener.state == OPENER_NEW:
        begin_opener(context, unseal, direction)
    if opener.state != OPENER_OPEN or length > PLAIN_ROOM:
        opener.state = OPENER_SHUT
        return RECORD_SEALED
    content[0] = record[0]
    plain_length[0] = 0
    if unseal.tls13:
        good = open_tls13(opener, record, length, plain, plain_length, content)
    else:
        good = open_tls12(opener, record, length, plain, plain_length)
    if not good:
        if unseal.early and direction == TO_SERVER and opener.sequence == 0 and not opener.in_traffic:
            return RECORD_SEALED            # early data: the record that fits comes behind it
        opener.state = OPENER_SHUT
        sight.failed += 1
        return RECORD_FAILED
    opener.sequence += 1
    sight.records += 1
    sight.bytes += plain_length[0]
    if content[0] == CONTENT_HANDSHAKE:
        follow_handshake(context, unseal, direction, plain, plain_length[0])
    elif content[0] == CONTENT_CHANGE and not unseal.tls13:
        take_master(context, unseal, direction)
    return RECORD_OPENED
