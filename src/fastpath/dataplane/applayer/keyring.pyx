"""Key logs in the format of NSS and OpenSSL (SSLKEYLOGFILE, draft-ietf-tls-keylogfile): which lines say what."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy, strlen

from fastpath.dataplane.applayer.keyring cimport *

cdef extern from "openssl/crypto.h" nogil:
    void OPENSSL_cleanse(void *data, size_t length)

cdef enum line:                 # what a line is
    LINE_SECRET
    LINE_OTHER                  # nothing for us: blank, a comment, a secret of another kind
    LINE_LABEL, LINE_RANDOM, LINE_BYTES, LINE_LENGTH, LINE_MORE     # bad, and why

#: What was expected where a line is bad, by enum line.
EXPECTED = {
    LINE_LABEL: "expected a label such as CLIENT_RANDOM",
    LINE_RANDOM: "expected the client random, 64 hexadecimal digits, and a blank",
    LINE_BYTES: "expected a secret in hexadecimal digits",
    LINE_LENGTH: "expected a secret of 48 bytes (CLIENT_RANDOM) or of 32 or 48 (TLS 1.3)",
    LINE_MORE: "expected the end of the line behind the secret",
}


# ---- the table ----

cdef secrets_t *new_table(uint64_t slots, secrets_t *before) noexcept nogil:
    cdef secrets_t *table = <secrets_t *> calloc(1, sizeof(secrets_t))
    if table == NULL:
        return NULL
    table.slot = <secret_t *> calloc(slots, sizeof(secret_t))
    if table.slot == NULL:
        free(table)
        return NULL
    table.slots = slots
    table.before = before
    return table


cdef secret_t *place_for(const secrets_t *table, uint32_t kind, const uint8_t *random) noexcept nogil:
    """Its slot, or a free one; NULL where all that may be looked at are taken."""
    cdef uint64_t at = secret_place(kind, random)
    cdef secret_t *slot
    cdef uint32_t i
    for i in range(PROBES_MAX):
        slot = &table.slot[(at + i) & (table.slots - 1)]
        if slot.tag == 0 or slot.tag & 0xff == kind and memcmp(slot.random, random, RANDOM_LENGTH) == 0:
            return slot
    return NULL


cdef void fill_slot(secret_t *slot, const secret_t *secret) noexcept nogil:
    slot.since = secret.since
    memcpy(slot.random, secret.random, RANDOM_LENGTH)
    memcpy(slot.bytes, secret.bytes, SECRET_MAX)
    store_release(&slot.tag, secret.tag)


cdef secrets_t *table_with_room(keyring_t *keyring) noexcept nogil:
    """The table, or one twice its size with the same secrets: half of it is free at least. NULL at the limit."""
    cdef secrets_t *table = <secrets_t *> keyring.table
    cdef secrets_t *grown
    cdef secret_t *slot
    cdef uint64_t i
    if table != NULL and keyring.used < table.slots // 2:
        return table
    if table != NULL and table.slots >= KEYRING_MAX:
        return NULL
    grown = new_table(2 * table.slots if table != NULL else <uint64_t> KEYRING_FIRST, table)
    if grown == NULL:
        return NULL
    for i in range(table.slots if table != NULL else 0):
        if table.slot[i].tag:
            slot = place_for(grown, <uint32_t> (table.slot[i].tag & 0xff), table.slot[i].random)
            if slot != NULL:
                fill_slot(slot, &table.slot[i])
            else:
                keyring.refused += 1
    store_release(&keyring.table, <uint64_t> grown)
    return grown


cdef bint put_secret(keyring_t *keyring, uint32_t kind, const uint8_t *random, const uint8_t *bytes, uint32_t length,
                     uint64_t since) noexcept nogil:
    """The first secret of a kind for a client random stays. False, and counted, where there is no room."""
    cdef secrets_t *table = table_with_room(keyring)
    cdef secret_t *slot = place_for(table, kind, random) if table != NULL else NULL
    cdef secret_t secret
    if slot == NULL or length > SECRET_MAX:
        keyring.refused += 1
        return False
    if slot.tag:
        return True
    secret.tag = kind | <uint64_t> length << 8
    secret.since = since
    memcpy(secret.random, random, RANDOM_LENGTH)
    memcpy(secret.bytes, bytes, length)
    fill_slot(slot, &secret)
    OPENSSL_cleanse(&secret, sizeof(secret_t))
    keyring.used += 1
    return True


cdef void empty_keyring(keyring_t *keyring) noexcept nogil:
    """Nobody reads it any more."""
    cdef secrets_t *table = <secrets_t *> keyring.table
    cdef secrets_t *before
    while table != NULL:
        before = table.before
        OPENSSL_cleanse(table.slot, table.slots * sizeof(secret_t))
        free(table.slot)
        free(table)
        table = before
    keyring.table = keyring.used = 0


# ---- lines ----

cdef inline int digit_of(uint8_t byte) noexcept nogil:
    if 48 <= byte <= 57:
        return byte - 48
    byte |= 32
    return byte - 87 if 97 <= byte <= 102 else -1


cdef uint32_t read_digits(const uint8_t *line, uint32_t length, uint32_t at, uint8_t *into, uint32_t room,
                          uint32_t *end) noexcept nogil:
    """Pairs of hexadecimal digits up to another byte, at `end` then; how many pairs, of which `room` are kept. An odd digit is
    left before the end."""
    cdef uint32_t count = 0
    while at + 1 < length and digit_of(line[at]) >= 0 and digit_of(line[at + 1]) >= 0:
        if count < room:
            into[count] = <uint8_t> (digit_of(line[at]) << 4 | digit_of(line[at + 1]))
        count += 1
        at += 2
    end[0] = at
    return count


cdef bint is_label(const uint8_t *line, uint32_t length, const char *label) noexcept nogil:
    return strlen(label) == length and memcmp(line, label, length) == 0


cdef uint32_t kind_of(const uint8_t *line, uint32_t length) noexcept nogil:
    if is_label(line, length, b"CLIENT_RANDOM"):
        return SECRET_MASTER
    if is_label(line, length, b"CLIENT_HANDSHAKE_TRAFFIC_SECRET"):
        return SECRET_CLIENT_HANDSHAKE
    if is_label(line, length, b"SERVER_HANDSHAKE_TRAFFIC_SECRET"):
        return SECRET_SERVER_HANDSHAKE
    if is_label(line, length, b"CLIENT_TRAFFIC_SECRET_0"):
        return SECRET_CLIENT_TRAFFIC
    if is_label(line, length, b"SERVER_TRAFFIC_SECRET_0"):
        return SECRET_SERVER_TRAFFIC
    return SECRET_NONE


cdef uint32_t read_line(const uint8_t *line, uint32_t length, secret_t *secret, uint32_t *column) noexcept nogil:
    """enum line; `column`, from 0, is where a bad line goes wrong. Blanks at the end count as nothing."""
    cdef uint32_t at = 0, kind, count
    column[0] = 0
    while length and (line[length - 1] == 13 or line[length - 1] == 32 or line[length - 1] == 9):
        length -= 1
    if length == 0 or line[0] == 35:
        return LINE_OTHER
    while at < length and (65 <= line[at] <= 90 or 48 <= line[at] <= 57 or line[at] == 95):
        at += 1
    column[0] = at
    if at == 0 or at == length or line[at] != 32:
        return LINE_LABEL
    kind = kind_of(line, at)
    if kind == SECRET_NONE:
        return LINE_OTHER
    at += 1
    count = read_digits(line, length, at, secret.random, RANDOM_LENGTH, column)
    if count != RANDOM_LENGTH or column[0] == length or line[column[0]] != 32:
        column[0] = min(column[0], at + 2 * RANDOM_LENGTH)
        return LINE_RANDOM
    at = column[0] + 1
    count = read_digits(line, length, at, secret.bytes, SECRET_MAX, column)
    if count == 0:
        return LINE_BYTES
    if column[0] != length:
        return LINE_BYTES if line[column[0]] != 32 else LINE_MORE
    if count != SECRET_MAX and (count != 32 or kind == SECRET_MASTER):
        column[0] = at
        return LINE_LENGTH
    secret.tag = kind | <uint64_t> count << 8
    return LINE_SECRET


cdef uint32_t length_of_line(const uint8_t *at, uint64_t left) noexcept nogil:
    cdef const uint8_t *end = <const uint8_t *> memchr(at, 10, left)
    return <uint32_t> min(<uint64_t> (end - at) if end != NULL else left, <uint64_t> 0x7fffffff)


cdef void take_key_log(keyring_t *keyring, const uint8_t *text, uint64_t length, uint64_t since) noexcept nogil:
    cdef uint32_t size, column, said
    cdef secret_t secret
    while length:
        size = length_of_line(text, length)
        said = read_line(text, size, &secret, &column)
        keyring.lines += 1
        if said == LINE_SECRET:
            put_secret(keyring, <uint32_t> (secret.tag & 0xff), secret.random, secret.bytes, secret_length(&secret), since)
        elif said != LINE_OTHER:
            keyring.bad_lines += 1
        text += size
        length -= size
        if length:
            text += 1
            length -= 1
    OPENSSL_cleanse(&secret, sizeof(secret_t))


cdef class KeyRing:
    """Secrets that were given, for any number of data planes: they only read it. It shows how many there are, and no more."""

    def __dealloc__(self):
        empty_keyring(&self.ring)

    def __len__(self):
        return self.ring.used

    def __repr__(self):
        return f"<KeyRing of {self.ring.used} secrets>"

    def __reduce__(self):
        raise TypeError("a key ring is not written anywhere")

    def take(self, text not None):
        """Reads the lines of a key log (bytes). Returns the bad ones as (line from 1, column from 1, what was expected); all
        others count. No data plane may be reading the ring."""
        cdef const uint8_t[::1] view = text
        cdef uint64_t at = 0, size
        cdef uint32_t column, said, number = 0
        cdef secret_t secret
        bad = []
        while at < <uint64_t> view.shape[0]:
            size = length_of_line(&view[at], view.shape[0] - at)
            number += 1
            said = read_line(&view[at], <uint32_t> size, &secret, &column)
            if said == LINE_SECRET:
                if not put_secret(&self.ring, <uint32_t> (secret.tag & 0xff), secret.random, secret.bytes,
                                  secret_length(&secret), 0):
                    bad.append((number, 1, "no room for another secret"))
            elif said != LINE_OTHER:
                bad.append((number, column + 1, EXPECTED[said]))
            at += size + 1
        OPENSSL_cleanse(&secret, sizeof(secret_t))
        return bad
