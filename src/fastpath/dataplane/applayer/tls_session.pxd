# What the TLS room remembers of a session. All of it hangs on app_t.state; a session is one transaction.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.applayer cimport app_context_t, tx_t
from fastpath.dataplane.applayer.ja4 cimport ja4_free, ja4_lists_t
from fastpath.dataplane.applayer.unseal cimport free_unseal, unseal_t
from fastpath.dataplane.pool cimport bytes_free
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, bytes_t

cdef enum:                          # session_t.flags
    SEEN_CLIENT_HELLO = 1 << 0      # these four are also the bits of ssl.state (buffers.h)
    SEEN_SERVER_HELLO = 1 << 1
    SEEN_CLIENT_KEYX = 1 << 2
    SEEN_SERVER_KEYX = 1 << 3
    WANTS_CLIENT_CERT = 1 << 5      # the server has asked for one
    CIPHER_CHANGED_TO_SERVER = 1 << 6, CIPHER_CHANGED_TO_CLIENT = 1 << 7
    SESSION_RESUMED = 1 << 8        # a ticket was offered, or a session id was accepted
    NO_CERTIFICATE = 1 << 9         # TLS 1.3: the certificate is encrypted
    EARLY_DATA = 1 << 10
    VERSIONS_OFFERED = 1 << 11      # the client hello has supported_versions
    HANDSHAKE_OVER = 1 << 12
    SESSION_OVER = 1 << 13
    HEARTBEAT_PENDING = 1 << 14, HEARTBEAT_OF_CLIENT = 1 << 15, HEARTBEAT_OF_SERVER = 1 << 16
    V2_CLIENT_HELLO = 1 << 17, V2_SERVER_HELLO = 1 << 18, V2_NO_SESSION_ID = 1 << 19, V2_MASTER_KEY = 1 << 20
    V2_CLIENT_ENCRYPTED = 1 << 21, V2_SERVER_ENCRYPTED = 1 << 22
    STATE_BITS = 15

cdef enum:
    NAME_MAX = 255                  # of a server name
    FINGERPRINT_LENGTH = 59
    JA3_NONE = 0, JA3_THERE, JA3_UNASKED        # side_t.has_ja3; unasked: its hello is over, and nobody wanted it

cdef struct side_t:                 # of one direction
    uint16_t version
    uint8_t content_type
    uint8_t ended                   # no more bytes will come
    uint8_t sealed                  # nobody can look into the record at work
    uint32_t record_length
    uint32_t left                   # bytes of an encrypted record still to pass
    uint8_t message_type            # of `message`, a handshake message that goes on in later records
    uint8_t in_message
    uint8_t session_id_length
    uint8_t has_name, has_random, has_chain, has_subject, has_issuer, has_serial, has_fingerprint, has_ja3
    uint32_t message_length
    uint32_t certificates           # in `chain`, each behind its length of three bytes
    bytes_t message, chain, subject, issuer, serial, ja3
    int64_t not_before, not_after   # seconds since 1970; 0 for unknown
    uint8_t random[32]
    uint8_t session_id[255]
    uint8_t fingerprint[59]
    uint8_t ja3_hash[32]

cdef struct session_t:
    tx_t *tx                        # NULL once it has been freed
    side_t side[2]
    uint32_t flags
    uint32_t latest                 # the flags that the latest records have set
    uint8_t changed                 # the latest bytes were more than application data
    uint8_t asked                   # whether its secrets are known: `unseal` says it
    uint16_t suite                  # that the server has chosen
    unseal_t *unseal                # NULL: it stays encrypted
    uint32_t heartbeat_length       # of an encrypted request on its way
    uint8_t name_length
    uint8_t has_ja4
    uint8_t name[255]
    uint8_t ja4[36]
    ja4_lists_t ja4_lists           # of all client hellos
    uint64_t number                 # holds a numeric buffer while it is looked at


cdef inline void free_session(app_context_t *context, session_t *session) noexcept nogil:
    """What hangs on it, not itself."""
    cdef uint32_t i
    cdef side_t *side
    for i in range(2):
        side = &session.side[i]
        bytes_free(context.pool, ACCOUNT_APPLAYER, &side.message)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &side.chain)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &side.subject)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &side.issuer)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &side.serial)
        bytes_free(context.pool, ACCOUNT_APPLAYER, &side.ja3)
    ja4_free(context.pool, &session.ja4_lists)
    if session.unseal != NULL:
        free_unseal(context, session.unseal)
        session.unseal = NULL


# ---- versions ----

cdef enum:
    SSL2 = 0x0200, SSL3 = 0x0300, TLS10 = 0x0301, TLS11 = 0x0302, TLS12 = 0x0303, TLS13 = 0x0304
    TLS13_EARLY_DRAFT = 0x7f01


cdef inline bint version_is_good(uint16_t version) noexcept nogil:
    """One that a record may bear: SSL 3.0 to TLS 1.3, its drafts, and those of Facebook's."""
    return (SSL3 <= version <= TLS13 or 0x7f10 <= version <= 0x7f1c or version == TLS13_EARLY_DRAFT
            or 0xfb14 <= version <= 0xfb17 or version == 0xfb1a)


cdef extern from * nogil:
    """
    static const struct { uint16_t version; const char *text; } version_texts[] = {
        {0, "UNDETERMINED"}, {0x0200, "SSLv2"}, {0x0300, "SSLv3"}, {0x0301, "TLSv1"}, {0x0302, "TLS 1.1"}, {0x0303, "TLS 1.2"},
        {0x0304, "TLS 1.3"}, {0x7f1c, "TLS 1.3 draft-28"}, {0x7f1b, "TLS 1.3 draft-27"}, {0x7f1a, "TLS 1.3 draft-26"},
        {0x7f19, "TLS 1.3 draft-25"}, {0x7f18, "TLS 1.3 draft-24"}, {0x7f17, "TLS 1.3 draft-23"}, {0x7f16, "TLS 1.3 draft-22"},
        {0x7f15, "TLS 1.3 draft-21"}, {0x7f14, "TLS 1.3 draft-20"}, {0x7f13, "TLS 1.3 draft-19"}, {0x7f12, "TLS 1.3 draft-18"},
        {0x7f11, "TLS 1.3 draft-17"}, {0x7f10, "TLS 1.3 draft-16"}, {0x7f01, "TLS 1.3 draft-<16"},
        {0xfb14, "TLS 1.3 draft-20-fb"}, {0xfb15, "TLS 1.3 draft-21-fb"}, {0xfb16, "TLS 1.3 draft-22-fb"},
        {0xfb17, "TLS 1.3 draft-23-fb"}, {0xfb1a, "TLS 1.3 draft-26-fb"}};
    #define VERSION_TEXTS (sizeof(version_texts) / sizeof(version_texts[0]))
    """
    ctypedef struct version_text_t:
        uint16_t version
        const char *text
    const version_text_t version_texts[]
    const uint32_t VERSION_TEXTS


cdef inline const char *version_text(uint16_t version) noexcept nogil:
    """As logs write it; NULL for one that is written in hexadecimal."""
    cdef uint32_t i
    for i in range(VERSION_TEXTS):
        if version_texts[i].version == version:
            return version_texts[i].text
    return NULL
