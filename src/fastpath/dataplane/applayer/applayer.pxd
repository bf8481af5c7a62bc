# The structs of applayer.h, config.h and buffers.h for Cython. What a field means is said there.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.dataplane.applayer.model.facts cimport MODEL_NONE, model_facts_t, model_format_names, model_t
from fastpath.dataplane.types cimport bytes_t, flow_t, pool_t

cdef extern from "applayer/config.h" nogil:
    enum alproto:
        ALPROTO_UNKNOWN, ALPROTO_FAILED, ALPROTO_HTTP1, ALPROTO_TLS, ALPROTO_DNS, ALPROTO_SMTP, ALPROTO_FTP, ALPROTO_FTP_DATA
        ALPROTO_SSH, ALPROTO_SMB, ALPROTO_DCERPC, ALPROTO_HTTP2, ALPROTO_IMAP, ALPROTO_KRB5, ALPROTO_SIP, ALPROTO_SNMP
        ALPROTO_DHCP, ALPROTO_TFTP, ALPROTO_NFS, ALPROTO_RFB, ALPROTO_RDP, ALPROTO_MQTT, ALPROTO_QUIC, ALPROTO_IKE
        ALPROTO_MODBUS, ALPROTO_DNP3, ALPROTO_ENIP, ALPROTO_NTP, ALPROTO_PGSQL, ALPROTO_TELNET, ALPROTO_BITTORRENT_DHT
        ALPROTO_BITTORRENT, ALPROTO_COAP, ALPROTO_S7, ALPROTO_OPCUA, ALPROTO_BACNET, ALPROTO_NVME_TCP, ALPROTO_NCCL
        ALPROTO_GTPC, ALPROTO_PFCP, ALPROTO_IPMI, ALPROTO_MAX
    enum:
        BUFFER_APP_FIRST, BUFFER_APP_END
        BUFFER_HTTP_URI, BUFFER_HTTP_URI_RAW, BUFFER_HTTP_METHOD, BUFFER_HTTP_REQUEST_LINE, BUFFER_HTTP_PROTOCOL
        BUFFER_HTTP_START, BUFFER_HTTP_HEADER, BUFFER_HTTP_HEADER_RAW, BUFFER_HTTP_HEADER_NAMES, BUFFER_HTTP_COOKIE
        BUFFER_HTTP_CONNECTION, BUFFER_HTTP_CONTENT_LEN, BUFFER_HTTP_CONTENT_TYPE, BUFFER_HTTP_ACCEPT, BUFFER_HTTP_ACCEPT_LANG
        BUFFER_HTTP_ACCEPT_ENC, BUFFER_HTTP_REFERER, BUFFER_HTTP_USER_AGENT, BUFFER_HTTP_HOST, BUFFER_HTTP_HOST_RAW
        BUFFER_HTTP_LOCATION, BUFFER_HTTP_SERVER, BUFFER_HTTP_STAT_CODE, BUFFER_HTTP_STAT_MSG, BUFFER_HTTP_RESPONSE_LINE
        BUFFER_HTTP_REQUEST_HEADER, BUFFER_HTTP_RESPONSE_HEADER, BUFFER_HTTP_REQUEST_BODY, BUFFER_HTTP_RESPONSE_BODY
        BUFFER_FILE_DATA, BUFFER_FILE_NAME, BUFFER_FILE_MAGIC, BUFFER_FILE_FACTS, BUFFER_FILE_MODEL, BUFFER_FILE_MODEL_UNSAFE
        BUFFER_TLS_SNI, BUFFER_TLS_CERT_SUBJECT
        BUFFER_TLS_CERT_ISSUER, BUFFER_TLS_CERT_SERIAL, BUFFER_TLS_CERT_FINGERPRINT, BUFFER_TLS_CERTS, BUFFER_TLS_RANDOM
        BUFFER_TLS_RANDOM_TIME, BUFFER_TLS_RANDOM_BYTES, BUFFER_JA3_HASH, BUFFER_JA3_STRING, BUFFER_JA4_HASH, BUFFER_JA3S_HASH
        BUFFER_JA3S_STRING, BUFFER_TLS_VERSION, BUFFER_SSL_VERSION, BUFFER_SSL_STATE, BUFFER_TLS_CERT_NOTBEFORE
        BUFFER_TLS_CERT_NOTAFTER, BUFFER_TLS_CERT_CHAIN_LEN, BUFFER_DNS_QUERY, BUFFER_DNS_OPCODE, BUFFER_SSH_PROTO
        BUFFER_SSH_SOFTWARE, BUFFER_SSH_HASSH, BUFFER_SSH_HASSH_STRING, BUFFER_SSH_HASSH_SERVER, BUFFER_SSH_HASSH_SERVER_STRING
        BUFFER_SMB_NAMED_PIPE, BUFFER_SMB_SHARE, BUFFER_SMB_NTLMSSP_USER, BUFFER_SMB_NTLMSSP_DOMAIN, BUFFER_DCERPC_STUB_DATA
        BUFFER_DCERPC_IFACE, BUFFER_DCERPC_OPNUM, BUFFER_FTP_BOUNCE, BUFFER_FTPDATA_COMMAND
        BUFFER_QUIC_VERSION, BUFFER_QUIC_SNI, BUFFER_QUIC_UA, BUFFER_QUIC_CYU_HASH, BUFFER_QUIC_CYU_STRING
        BUFFER_HTTP2_FRAMETYPE, BUFFER_HTTP2_ERRORCODE, BUFFER_HTTP2_PRIORITY, BUFFER_HTTP2_WINDOW, BUFFER_HTTP2_SIZE_UPDATE
        BUFFER_HTTP2_SETTINGS, BUFFER_HTTP2_HEADER_NAME, BUFFER_GRPC_SERVICE, BUFFER_GRPC_METHOD
        BUFFER_LLM_PROMPT, BUFFER_LLM_RESPONSE, BUFFER_LLM_MODEL, BUFFER_LLM_FACTS, BUFFER_LLM_SECONDS
    enum:
        BUFFER_MANY, BUFFER_NUMBER, BUFFER_RECORD, BUFFER_BODY
    enum:
        HTTP1_NONE, HTTP1_LINE, HTTP1_HEADERS, HTTP1_BODY, HTTP1_TRAILER, HTTP1_COMPLETE
        HTTP2_IDLE, HTTP2_OPEN, HTTP2_RESERVED, HTTP2_DATA_CLIENT, HTTP2_HALF_CLOSED_CLIENT, HTTP2_DATA_SERVER
        HTTP2_HALF_CLOSED_SERVER, HTTP2_CLOSED, HTTP2_GLOBAL
        TLS_IN_PROGRESS, TLS_CERT_READY, TLS_HANDSHAKE_DONE, TLS_FINISHED
        DNS_NONE, DNS_COMPLETE
        SMTP_STARTED, SMTP_COMPLETE
        FTP_STARTED, FTP_COMPLETE
        FTP_DATA_STARTED, FTP_DATA_COMPLETE
        SSH_STARTED, SSH_BANNER_WAIT_EOL, SSH_BANNER_DONE, SSH_FINISHED
        SMB_STARTED, SMB_COMPLETE
        DCERPC_STARTED, DCERPC_COMPLETE
        QUIC_NONE, QUIC_COMPLETE
    enum:
        FILE_MODEL_MALFORMED, FILE_MODEL_LIMIT
        QUIC_FAILED_DECRYPT, QUIC_ERROR_ON_DATA, QUIC_CRYPTO_FRAG_TOO_LONG
        APP_EVENT_NONE, APP_MISMATCH_PROTOCOL_BOTH_DIRECTIONS, APP_WRONG_DIRECTION_FIRST_DATA
        APP_DETECT_PROTOCOL_ONLY_ONE_DIRECTION, APP_PROTO_DETECTION_SKIPPED, APP_NO_TLS_AFTER_STARTTLS
        APP_UNEXPECTED_PROTOCOL, APP_EVENT_MAX
        DNS_MALFORMED_DATA, DNS_NOT_REQUEST, DNS_NOT_RESPONSE, DNS_Z_FLAG_SET, DNS_INVALID_OPCODE, DNS_NAME_TOO_LONG
        DNS_INFINITE_LOOP, DNS_TOO_MANY_LABELS
    enum:                           # events of the TLS and SSH rooms
        TLS_INVALID_SSLV2_HEADER, TLS_INVALID_TLS_HEADER, TLS_INVALID_RECORD_VERSION, TLS_INVALID_RECORD_TYPE
        TLS_INVALID_RECORD_LENGTH, TLS_INVALID_HANDSHAKE_MESSAGE, TLS_HEARTBEAT_MESSAGE, TLS_INVALID_HEARTBEAT_MESSAGE
        TLS_OVERFLOW_HEARTBEAT_MESSAGE, TLS_DATALEAK_HEARTBEAT_MISMATCH, TLS_HANDSHAKE_INVALID_LENGTH
        TLS_MULTIPLE_SNI_EXTENSIONS, TLS_INVALID_SNI_TYPE, TLS_INVALID_SNI_LENGTH, TLS_TOO_MANY_RECORDS_IN_PACKET
        TLS_INVALID_CERTIFICATE, TLS_CERTIFICATE_INVALID_LENGTH, TLS_CERTIFICATE_INVALID_VERSION
        TLS_CERTIFICATE_INVALID_SERIAL, TLS_CERTIFICATE_INVALID_ALGORITHMIDENTIFIER, TLS_CERTIFICATE_INVALID_X509NAME
        TLS_CERTIFICATE_INVALID_DATE, TLS_CERTIFICATE_INVALID_EXTENSIONS, TLS_CERTIFICATE_INVALID_DER
        TLS_CERTIFICATE_INVALID_SUBJECT, TLS_CERTIFICATE_INVALID_ISSUER, TLS_CERTIFICATE_INVALID_VALIDITY
        TLS_ERROR_MESSAGE_ENCOUNTERED, TLS_INVALID_SSL_RECORD, TLS_DECRYPT_FAILED
        SSH_INVALID_BANNER, SSH_LONG_BANNER, SSH_INVALID_RECORD
        SMTP_INVALID_REPLY, SMTP_UNABLE_TO_MATCH_REPLY_WITH_REQUEST, SMTP_MAX_COMMAND_LINE_LEN_EXCEEDED
        SMTP_MAX_REPLY_LINE_LEN_EXCEEDED, SMTP_INVALID_PIPELINED_SEQUENCE, SMTP_BDAT_CHUNK_LEN_EXCEEDED
        SMTP_NO_SERVER_WELCOME_MESSAGE, SMTP_TLS_REJECTED, SMTP_DATA_COMMAND_REJECTED, SMTP_FAILED_PROTOCOL_CHANGE
        SMTP_MIME_PARSE_FAILED, SMTP_MIME_MALFORMED_MSG, SMTP_MIME_INVALID_BASE64, SMTP_MIME_INVALID_QP
        SMTP_MIME_LONG_LINE, SMTP_MIME_LONG_ENC_LINE, SMTP_MIME_LONG_HEADER_NAME, SMTP_MIME_LONG_HEADER_VALUE
        SMTP_MIME_LONG_BOUNDARY, SMTP_MIME_LONG_FILENAME, SMTP_DUPLICATE_FIELDS, SMTP_UNPARSABLE_CONTENT
        SMTP_TRUNCATED_LINE, FTP_REQUEST_COMMAND_TOO_LONG, FTP_RESPONSE_COMMAND_TOO_LONG
    enum:
        SMB_INTERNAL_ERROR, SMB_MALFORMED_DATA, SMB_RECORD_OVERFLOW, SMB_MALFORMED_NTLMSSP_REQUEST
        SMB_MALFORMED_NTLMSSP_RESPONSE, SMB_DUPLICATE_NEGOTIATE, SMB_NEGOTIATE_MALFORMED_DIALECTS, SMB_FILE_OVERLAP
        SMB_RESPONSE_TO_SERVER, SMB_REQUEST_TO_CLIENT, SMB_NEGOTIATE_MAX_READ_SIZE_TOO_LARGE
        SMB_NEGOTIATE_MAX_WRITE_SIZE_TOO_LARGE, SMB_READ_REQUEST_TOO_LARGE, SMB_READ_RESPONSE_TOO_LARGE
        SMB_READ_QUEUE_SIZE_EXCEEDED, SMB_READ_QUEUE_CNT_EXCEEDED, SMB_WRITE_REQUEST_TOO_LARGE, SMB_WRITE_QUEUE_SIZE_EXCEEDED
        SMB_WRITE_QUEUE_CNT_EXCEEDED, SMB_TOO_MANY_TRANSACTIONS
    enum:
        HTTP1_UNKNOWN_ERROR, HTTP1_GZIP_DECOMPRESSION_FAILED, HTTP1_REQUEST_FIELD_MISSING_COLON
        HTTP1_RESPONSE_FIELD_MISSING_COLON, HTTP1_INVALID_REQUEST_CHUNK_LEN, HTTP1_INVALID_RESPONSE_CHUNK_LEN
        HTTP1_INVALID_TRANSFER_ENCODING_VALUE_IN_REQUEST, HTTP1_INVALID_TRANSFER_ENCODING_VALUE_IN_RESPONSE
        HTTP1_INVALID_CONTENT_LENGTH_FIELD_IN_REQUEST, HTTP1_INVALID_CONTENT_LENGTH_FIELD_IN_RESPONSE
        HTTP1_DUPLICATE_CONTENT_LENGTH_FIELD_IN_REQUEST, HTTP1_DUPLICATE_CONTENT_LENGTH_FIELD_IN_RESPONSE
        HTTP1_CONTINUE_ALREADY_SEEN, HTTP1_UNABLE_TO_MATCH_RESPONSE_TO_REQUEST, HTTP1_INVALID_SERVER_PORT_IN_REQUEST
        HTTP1_INVALID_AUTHORITY_PORT, HTTP1_REQUEST_HEADER_INVALID, HTTP1_RESPONSE_HEADER_INVALID, HTTP1_MISSING_HOST_HEADER
        HTTP1_HOST_HEADER_AMBIGUOUS, HTTP1_INVALID_REQUEST_FIELD_FOLDING, HTTP1_INVALID_RESPONSE_FIELD_FOLDING
        HTTP1_REQUEST_FIELD_TOO_LONG, HTTP1_RESPONSE_FIELD_TOO_LONG, HTTP1_REQUEST_SERVER_PORT_TCP_PORT_MISMATCH
        HTTP1_REQUEST_URI_HOST_INVALID, HTTP1_REQUEST_HEADER_HOST_INVALID, HTTP1_REQUEST_AUTH_UNRECOGNIZED
        HTTP1_REQUEST_HEADER_REPETITION, HTTP1_RESPONSE_HEADER_REPETITION, HTTP1_DOUBLE_ENCODED_URI
        HTTP1_URI_DELIM_NON_COMPLIANT, HTTP1_METHOD_DELIM_NON_COMPLIANT, HTTP1_REQUEST_LINE_LEADING_WHITESPACE
        HTTP1_TOO_MANY_ENCODING_LAYERS, HTTP1_ABNORMAL_CE_HEADER, HTTP1_RESPONSE_MULTIPART_BYTERANGES
        HTTP1_RESPONSE_ABNORMAL_TRANSFER_ENCODING, HTTP1_RESPONSE_CHUNKED_OLD_PROTO, HTTP1_RESPONSE_INVALID_PROTOCOL
        HTTP1_RESPONSE_INVALID_STATUS, HTTP1_REQUEST_LINE_INCOMPLETE, HTTP1_REQUEST_LINE_INVALID
        HTTP1_REQUEST_BODY_UNEXPECTED, HTTP1_REQUEST_TOO_MANY_HEADERS, HTTP1_RESPONSE_TOO_MANY_HEADERS
        HTTP1_REQUEST_CHUNK_EXTENSION, HTTP1_LZMA_MEMLIMIT_REACHED, HTTP1_COMPRESSION_BOMB, HTTP1_RANGE_INVALID
        HTTP1_MULTIPART_GENERIC_ERROR, HTTP1_MULTIPART_NO_FILEDATA, HTTP1_MULTIPART_INVALID_HEADER, HTTP1_TOO_MANY_WARNINGS
        HTTP1_FILE_NAME_TOO_LONG, HTTP1_FAILED_PROTOCOL_CHANGE, LLM_INVALID_JSON, LLM_TOO_DEEP, LLM_TEXT_LIMIT
    enum:
        HTTP2_INVALID_FRAME_HEADER, HTTP2_INVALID_CLIENT_MAGIC, HTTP2_INVALID_FRAME_DATA, HTTP2_INVALID_HEADER
        HTTP2_INVALID_FRAME_LENGTH, HTTP2_EXTRA_HEADER_DATA, HTTP2_LONG_FRAME_DATA, HTTP2_STREAM_ID_REUSE
        HTTP2_INVALID_HTTP1_SETTINGS, HTTP2_FAILED_DECOMPRESSION, HTTP2_INVALID_RANGE, HTTP2_HEADER_INTEGER_OVERFLOW
        HTTP2_TOO_MANY_STREAMS, HTTP2_AUTHORITY_HOST_MISMATCH, HTTP2_USERINFO_IN_URI, HTTP2_REASSEMBLY_LIMIT_REACHED
        HTTP2_HEADER_LIST_LIMIT
    enum:
        TX_LOGGED_TO_SERVER, TX_LOGGED_TO_CLIENT, TX_DETECTED_TO_SERVER, TX_DETECTED_TO_CLIENT, TX_DONE, TX_NO_INSPECTION
        TX_NEW, TX_DECRYPTED, TX_STORE_TO_SERVER, TX_STORE_TO_CLIENT, TX_UNLOGGED
    enum:
        TX_EVENTS_MAX, APP_EVENTS_MAX, WORK_ROOM, PLAIN_ROOM
    enum:
        FILE_OPEN, FILE_CLOSED, FILE_TRUNCATED, FILE_ERROR
    enum:
        FILE_HELD, FILE_HAS_GAPS, FILE_STORED, FILE_LOGGED, FILE_MD5, FILE_SHA1, FILE_SHA256, FILE_NO_INSPECTION, FILE_STORE
    enum:
        APP_SOUGHT_TO_SERVER, APP_SOUGHT_TO_CLIENT, APP_STOPPED_TO_SERVER, APP_STOPPED_TO_CLIENT, APP_RAW_TO_SERVER
        APP_TOLD_TO_SERVER, APP_TOLD_TO_CLIENT, APP_STORE_TO_SERVER, APP_STORE_TO_CLIENT
        APP_STORING, APP_UNASKED
        APP_RAW_TO_CLIENT, APP_NO_PAYLOAD, APP_NO_REASSEMBLY, APP_BYPASS, APP_UPGRADE, APP_SHOWN, APP_TURN_TO_SERVER
        APP_TURN_TO_CLIENT, APP_ERROR, APP_DECRYPTED, APP_OPENED
    enum:
        PARSE_GAP, PARSE_EOF, PARSE_START, PARSE_DATAGRAM
    enum:
        PARSE_OK, PARSE_NEED, PARSE_ERROR, PARSE_DONE
    enum:
        RECOGNISED_NO, RECOGNISED_YES, RECOGNISED_MORE, RECOGNISED_REVERSED
    enum:
        VIEW_START, VIEW_END, VIEW_LITTLE
    enum:
        VIEW_NONE, VIEW_READY, VIEW_LATER
    enum:
        LOG_TO_SERVER, LOG_TO_CLIENT, LOG_ALERT, LOG_LLM
        APP_ROW_LLM

    ctypedef struct llm_facts_t:
        uint64_t prompt_bytes, model
        uint8_t key[8]
        uint8_t has_key

    ctypedef struct app_context_t

    ctypedef struct file_t:
        file_t *next
        uint32_t id
        uint8_t direction, state
        uint16_t flags
        uint64_t size, start, end
        bytes_t name, data
        uint64_t base, inspected
        void *hashes
        model_t *model
        uint8_t md5[16]
        uint8_t sha1[20]
        uint8_t sha256[32]
        uint64_t closed_ordinal
        bytes_t sids, magic

    ctypedef struct tx_t:
        tx_t *next
        uint64_t id
        uint32_t size
        uint16_t flags
        uint8_t progress[2]
        uint8_t inspected[2]
        uint8_t event_count, events_logged
        uint16_t events[12]
        uint64_t first_ordinal
        void *detect[2]
        file_t *files[2]
        uint64_t ts[2]

    ctypedef struct app_t:
        uint8_t proto
        uint8_t seen[2]
        uint8_t next_proto, original_proto, event_count
        uint8_t tried[2]
        uint32_t probed[2]
        uint16_t events[8]
        uint32_t flags, files, txs
        void *state
        tx_t *first
        tx_t *last
        uint64_t next_tx
        uint64_t fed[2]
        uint32_t need[2]
        uint32_t events_logged
        uint8_t beyond
        uint8_t looked[2]
        void *expected
        app_t *inner
        bytes_t carried
        uint64_t opened[2]

    ctypedef struct http1_config_t:
        uint32_t body_limit[2]
        uint32_t inspect_min[2]
        uint32_t inspect_window[2]
        uint32_t layers, bomb_limit, max_txs
        uint8_t body_inline, double_decode_path, double_decode_query, brotli
        uint32_t lzma_memlimit

    ctypedef struct http2_config_t:
        uint32_t max_streams, max_table, max_block

    ctypedef struct tls_config_t:
        uint8_t ja3, ja4, log_ja4, encryption_handling
        const void *keys[2]

    ctypedef struct dns_config_t:
        uint32_t reserved

    ctypedef struct smtp_config_t:
        uint32_t content_limit, content_inspect_min_size, content_inspect_window

    ctypedef struct ftp_config_t:
        uint32_t max_txs, max_line

    ctypedef struct ssh_config_t:
        uint8_t hassh

    ctypedef struct smb_config_t:
        uint32_t stream_depth, max_tx

    ctypedef struct dcerpc_config_t:
        uint32_t max_tx, max_stub

    ctypedef struct files_config_t:
        uint8_t hashes, force_store, stores, models, force_magic
        uint32_t store_depth
        void (*feed_model)(app_context_t *context, tx_t *tx, file_t *file, const uint8_t *data, uint32_t length) noexcept nogil
        void (*end_model)(app_context_t *context, tx_t *tx, file_t *file, uint32_t whole) noexcept nogil
        void (*free_model)(app_context_t *context, file_t *file) noexcept nogil

    ctypedef struct llm_config_t:
        uint32_t text_limit
        uint8_t always

    ctypedef struct app_config_t:
        uint8_t enabled[64]
        uint8_t beyond
        http1_config_t http1
        http2_config_t http2
        tls_config_t tls
        dns_config_t dns
        smtp_config_t smtp
        ftp_config_t ftp
        ssh_config_t ssh
        smb_config_t smb
        dcerpc_config_t dcerpc
        files_config_t files
        llm_config_t llm

    ctypedef struct app_asked_t:
        uint64_t protos, contents

    ctypedef struct app_work_t:
        app_asked_t asked
        uint8_t *room
        void *of_room[64]
        void *worker
        uint32_t (*meet)(app_context_t *context, uint32_t direction) noexcept nogil
        void *announced
        uint8_t *plain
        void (*deliver)(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                        uint32_t flags) noexcept nogil
        uint8_t llm
        void (*store)(app_context_t *context, const tx_t *tx, const file_t *file, const uint8_t *data,
                      uint32_t length) noexcept nogil
        void *magic
        void (*tell_magic)(app_context_t *context, file_t *file) noexcept nogil

    ctypedef struct app_context_t:
        flow_t *flow
        app_t *app
        pool_t *pool
        const app_config_t *config
        app_work_t *work
        uint64_t now, ordinal
        uint32_t held[2]
        uint32_t hold_max[2]
        uint8_t spoke_first, changing
        void *sight

    ctypedef struct parsed_t:
        uint32_t consumed, need, status

    ctypedef struct view_t:
        const uint8_t *data
        uint32_t length, flags
        uint64_t offset

    ctypedef struct room_t:
        const char *name
        uint8_t proto
        uint8_t complete[2]
        uint8_t log_at[2]
        uint8_t first_data, datagrams, gaps, inert
        uint32_t (*recognise)(uint32_t direction, const uint8_t *data, uint32_t length, uint32_t flags,
                              uint32_t hint) noexcept nogil
        parsed_t (*parse)(app_context_t *context, uint32_t direction, const uint8_t *data, uint32_t length,
                          uint32_t flags) noexcept nogil
        uint32_t (*buffer)(app_context_t *context, tx_t *tx, uint32_t direction, uint32_t buffer, uint32_t index,
                           view_t *view) noexcept nogil
        void (*inspected)(app_context_t *context, tx_t *tx, uint32_t direction) noexcept nogil
        uint32_t (*log)(app_context_t *context, tx_t *tx, uint32_t kind, void *writer) noexcept nogil
        void (*free_tx)(app_context_t *context, tx_t *tx) noexcept nogil
        void (*free_state)(app_context_t *context) noexcept nogil


cdef inline uint8_t application_of(const app_t *app) noexcept nogil:
    """What a session speaks, by all that looks at its bytes."""
    return app.beyond if app.proto <= ALPROTO_FAILED and app.beyond else app.proto
