/* The events of the application layers: identifier, protocol as rules write it ("" for those of recognition), name.
   app-layer-event:http.<name>, app-layer-event:applayer_<name>. One list a room. */
#ifndef FASTPATH_APP_EVENTS_H
#define FASTPATH_APP_EVENTS_H

#define APPLAYER_EVENTS(X) \
    X(APP_MISMATCH_PROTOCOL_BOTH_DIRECTIONS, "applayer", "mismatch_protocol_both_directions") \
    X(APP_WRONG_DIRECTION_FIRST_DATA, "applayer", "wrong_direction_first_data") \
    X(APP_DETECT_PROTOCOL_ONLY_ONE_DIRECTION, "applayer", "detect_protocol_only_one_direction") \
    X(APP_PROTO_DETECTION_SKIPPED, "applayer", "proto_detection_skipped") \
    X(APP_NO_TLS_AFTER_STARTTLS, "applayer", "no_tls_after_starttls") \
    X(APP_UNEXPECTED_PROTOCOL, "applayer", "unexpected_protocol")

#define HTTP1_EVENTS(X) \
    X(HTTP1_UNKNOWN_ERROR, "http", "unknown_error") \
    X(HTTP1_GZIP_DECOMPRESSION_FAILED, "http", "gzip_decompression_failed") \
    X(HTTP1_REQUEST_FIELD_MISSING_COLON, "http", "request_field_missing_colon") \
    X(HTTP1_RESPONSE_FIELD_MISSING_COLON, "http", "response_field_missing_colon") \
    X(HTTP1_INVALID_REQUEST_CHUNK_LEN, "http", "invalid_request_chunk_len") \
    X(HTTP1_INVALID_RESPONSE_CHUNK_LEN, "http", "invalid_response_chunk_len") \
    X(HTTP1_INVALID_TRANSFER_ENCODING_VALUE_IN_REQUEST, "http", "invalid_transfer_encoding_value_in_request") \
    X(HTTP1_INVALID_TRANSFER_ENCODING_VALUE_IN_RESPONSE, "http", "invalid_transfer_encoding_value_in_response") \
    X(HTTP1_INVALID_CONTENT_LENGTH_FIELD_IN_REQUEST, "http", "invalid_content_length_field_in_request") \
    X(HTTP1_INVALID_CONTENT_LENGTH_FIELD_IN_RESPONSE, "http", "invalid_content_length_field_in_response") \
    X(HTTP1_DUPLICATE_CONTENT_LENGTH_FIELD_IN_REQUEST, "http", "duplicate_content_length_field_in_request") \
    X(HTTP1_DUPLICATE_CONTENT_LENGTH_FIELD_IN_RESPONSE, "http", "duplicate_content_length_field_in_response") \
    X(HTTP1_CONTINUE_ALREADY_SEEN, "http", "100_continue_already_seen") \
    X(HTTP1_UNABLE_TO_MATCH_RESPONSE_TO_REQUEST, "http", "unable_to_match_response_to_request") \
    X(HTTP1_INVALID_SERVER_PORT_IN_REQUEST, "http", "invalid_server_port_in_request") \
    X(HTTP1_INVALID_AUTHORITY_PORT, "http", "invalid_authority_port") \
    X(HTTP1_REQUEST_HEADER_INVALID, "http", "request_header_invalid") \
    X(HTTP1_RESPONSE_HEADER_INVALID, "http", "response_header_invalid") \
    X(HTTP1_MISSING_HOST_HEADER, "http", "missing_host_header") \
    X(HTTP1_HOST_HEADER_AMBIGUOUS, "http", "host_header_ambiguous") \
    X(HTTP1_INVALID_REQUEST_FIELD_FOLDING, "http", "invalid_request_field_folding") \
    X(HTTP1_INVALID_RESPONSE_FIELD_FOLDING, "http", "invalid_response_field_folding") \
    X(HTTP1_REQUEST_FIELD_TOO_LONG, "http", "request_field_too_long") \
    X(HTTP1_RESPONSE_FIELD_TOO_LONG, "http", "response_field_too_long") \
    X(HTTP1_REQUEST_SERVER_PORT_TCP_PORT_MISMATCH, "http", "request_server_port_tcp_port_mismatch") \
    X(HTTP1_REQUEST_URI_HOST_INVALID, "http", "request_uri_host_invalid") \
    X(HTTP1_REQUEST_HEADER_HOST_INVALID, "http", "request_header_host_invalid") \
    X(HTTP1_REQUEST_AUTH_UNRECOGNIZED, "http", "request_auth_unrecognized") \
    X(HTTP1_REQUEST_HEADER_REPETITION, "http", "request_header_repetition") \
    X(HTTP1_RESPONSE_HEADER_REPETITION, "http", "response_header_repetition") \
    X(HTTP1_DOUBLE_ENCODED_URI, "http", "double_encoded_uri") \
    X(HTTP1_URI_DELIM_NON_COMPLIANT, "http", "uri_delim_non_compliant") \
    X(HTTP1_METHOD_DELIM_NON_COMPLIANT, "http", "method_delim_non_compliant") \
    X(HTTP1_REQUEST_LINE_LEADING_WHITESPACE, "http", "request_line_leading_whitespace") \
    X(HTTP1_TOO_MANY_ENCODING_LAYERS, "http", "too_many_encoding_layers") \
    X(HTTP1_ABNORMAL_CE_HEADER, "http", "abnormal_ce_header") \
    X(HTTP1_RESPONSE_MULTIPART_BYTERANGES, "http", "response_multipart_byteranges") \
    X(HTTP1_RESPONSE_ABNORMAL_TRANSFER_ENCODING, "http", "response_abnormal_transfer_encoding") \
    X(HTTP1_RESPONSE_CHUNKED_OLD_PROTO, "http", "response_chunked_old_proto") \
    X(HTTP1_RESPONSE_INVALID_PROTOCOL, "http", "response_invalid_protocol") \
    X(HTTP1_RESPONSE_INVALID_STATUS, "http", "response_invalid_status") \
    X(HTTP1_REQUEST_LINE_INCOMPLETE, "http", "request_line_incomplete") \
    X(HTTP1_REQUEST_LINE_INVALID, "http", "request_line_invalid") \
    X(HTTP1_REQUEST_BODY_UNEXPECTED, "http", "request_body_unexpected") \
    X(HTTP1_REQUEST_TOO_MANY_HEADERS, "http", "request_too_many_headers") \
    X(HTTP1_RESPONSE_TOO_MANY_HEADERS, "http", "response_too_many_headers") \
    X(HTTP1_REQUEST_CHUNK_EXTENSION, "http", "request_chunk_extension") \
    X(HTTP1_LZMA_MEMLIMIT_REACHED, "http", "lzma_memlimit_reached") \
    X(HTTP1_COMPRESSION_BOMB, "http", "compression_bomb") \
    X(HTTP1_RANGE_INVALID, "http", "range_invalid") \
    X(HTTP1_MULTIPART_GENERIC_ERROR, "http", "multipart_generic_error") \
    X(HTTP1_MULTIPART_NO_FILEDATA, "http", "multipart_no_filedata") \
    X(HTTP1_MULTIPART_INVALID_HEADER, "http", "multipart_invalid_header") \
    X(HTTP1_TOO_MANY_WARNINGS, "http", "too_many_warnings") \
    X(HTTP1_FILE_NAME_TOO_LONG, "http", "file_name_too_long") \
    X(HTTP1_FAILED_PROTOCOL_CHANGE, "http", "failed_protocol_change")
#define TLS_EVENTS(X) \
    X(TLS_INVALID_SSLV2_HEADER, "tls", "invalid_sslv2_header") \
    X(TLS_INVALID_TLS_HEADER, "tls", "invalid_tls_header") \
    X(TLS_INVALID_RECORD_VERSION, "tls", "invalid_record_version") \
    X(TLS_INVALID_RECORD_TYPE, "tls", "invalid_record_type") \
    X(TLS_INVALID_RECORD_LENGTH, "tls", "invalid_record_length") \
    X(TLS_INVALID_HANDSHAKE_MESSAGE, "tls", "invalid_handshake_message") \
    X(TLS_HEARTBEAT_MESSAGE, "tls", "heartbeat_message") \
    X(TLS_INVALID_HEARTBEAT_MESSAGE, "tls", "invalid_heartbeat_message") \
    X(TLS_OVERFLOW_HEARTBEAT_MESSAGE, "tls", "overflow_heartbeat_message") \
    X(TLS_DATALEAK_HEARTBEAT_MISMATCH, "tls", "dataleak_heartbeat_mismatch") \
    X(TLS_HANDSHAKE_INVALID_LENGTH, "tls", "handshake_invalid_length") \
    X(TLS_MULTIPLE_SNI_EXTENSIONS, "tls", "multiple_sni_extensions") \
    X(TLS_INVALID_SNI_TYPE, "tls", "invalid_sni_type") \
    X(TLS_INVALID_SNI_LENGTH, "tls", "invalid_sni_length") \
    X(TLS_TOO_MANY_RECORDS_IN_PACKET, "tls", "too_many_records_in_packet") \
    X(TLS_INVALID_CERTIFICATE, "tls", "invalid_certificate") \
    X(TLS_CERTIFICATE_INVALID_LENGTH, "tls", "certificate_invalid_length") \
    X(TLS_CERTIFICATE_INVALID_VERSION, "tls", "certificate_invalid_version") \
    X(TLS_CERTIFICATE_INVALID_SERIAL, "tls", "certificate_invalid_serial") \
    X(TLS_CERTIFICATE_INVALID_ALGORITHMIDENTIFIER, "tls", "certificate_invalid_algorithmidentifier") \
    X(TLS_CERTIFICATE_INVALID_X509NAME, "tls", "certificate_invalid_x509name") \
    X(TLS_CERTIFICATE_INVALID_DATE, "tls", "certificate_invalid_date") \
    X(TLS_CERTIFICATE_INVALID_EXTENSIONS, "tls", "certificate_invalid_extensions") \
    X(TLS_CERTIFICATE_INVALID_DER, "tls", "certificate_invalid_der") \
    X(TLS_CERTIFICATE_INVALID_SUBJECT, "tls", "certificate_invalid_subject") \
    X(TLS_CERTIFICATE_INVALID_ISSUER, "tls", "certificate_invalid_issuer") \
    X(TLS_CERTIFICATE_INVALID_VALIDITY, "tls", "certificate_invalid_validity") \
    X(TLS_ERROR_MESSAGE_ENCOUNTERED, "tls", "error_message_encountered") \
    X(TLS_INVALID_SSL_RECORD, "tls", "invalid_ssl_record") \
    X(TLS_DECRYPT_FAILED, "tls", "decrypt_failed")
#define DNS_EVENTS(X) \
    X(DNS_MALFORMED_DATA, "dns", "malformed_data") \
    X(DNS_NOT_REQUEST, "dns", "not_request") \
    X(DNS_NOT_RESPONSE, "dns", "not_response") \
    X(DNS_Z_FLAG_SET, "dns", "z_flag_set") \
    X(DNS_INVALID_OPCODE, "dns", "invalid_opcode") \
    X(DNS_NAME_TOO_LONG, "dns", "name_too_long") \
    X(DNS_INFINITE_LOOP, "dns", "infinite_loop") \
    X(DNS_TOO_MANY_LABELS, "dns", "too_many_labels")
#define SMTP_EVENTS(X) \
    X(SMTP_INVALID_REPLY, "smtp", "invalid_reply") \
    X(SMTP_UNABLE_TO_MATCH_REPLY_WITH_REQUEST, "smtp", "unable_to_match_reply_with_request") \
    X(SMTP_MAX_COMMAND_LINE_LEN_EXCEEDED, "smtp", "max_command_line_len_exceeded") \
    X(SMTP_MAX_REPLY_LINE_LEN_EXCEEDED, "smtp", "max_reply_line_len_exceeded") \
    X(SMTP_INVALID_PIPELINED_SEQUENCE, "smtp", "invalid_pipelined_sequence") \
    X(SMTP_BDAT_CHUNK_LEN_EXCEEDED, "smtp", "bdat_chunk_len_exceeded") \
    X(SMTP_NO_SERVER_WELCOME_MESSAGE, "smtp", "no_server_welcome_message") \
    X(SMTP_TLS_REJECTED, "smtp", "tls_rejected") \
    X(SMTP_DATA_COMMAND_REJECTED, "smtp", "data_command_rejected") \
    X(SMTP_FAILED_PROTOCOL_CHANGE, "smtp", "failed_protocol_change") \
    X(SMTP_MIME_PARSE_FAILED, "smtp", "mime_parse_failed") \
    X(SMTP_MIME_MALFORMED_MSG, "smtp", "mime_malformed_msg") \
    X(SMTP_MIME_INVALID_BASE64, "smtp", "mime_invalid_base64") \
    X(SMTP_MIME_INVALID_QP, "smtp", "mime_invalid_qp") \
    X(SMTP_MIME_LONG_LINE, "smtp", "mime_long_line") \
    X(SMTP_MIME_LONG_ENC_LINE, "smtp", "mime_long_enc_line") \
    X(SMTP_MIME_LONG_HEADER_NAME, "smtp", "mime_long_header_name") \
    X(SMTP_MIME_LONG_HEADER_VALUE, "smtp", "mime_long_header_value") \
    X(SMTP_MIME_LONG_BOUNDARY, "smtp", "mime_long_boundary") \
    X(SMTP_MIME_LONG_FILENAME, "smtp", "mime_long_filename") \
    X(SMTP_DUPLICATE_FIELDS, "smtp", "duplicate_fields") \
    X(SMTP_UNPARSABLE_CONTENT, "smtp", "unparsable_content") \
    X(SMTP_TRUNCATED_LINE, "smtp", "truncated_line")
#define FTP_EVENTS(X) \
    X(FTP_REQUEST_COMMAND_TOO_LONG, "ftp", "request_command_too_long") \
    X(FTP_RESPONSE_COMMAND_TOO_LONG, "ftp", "response_command_too_long")
#define SSH_EVENTS(X) \
    X(SSH_INVALID_BANNER, "ssh", "invalid_banner") \
    X(SSH_LONG_BANNER, "ssh", "long_banner") \
    X(SSH_INVALID_RECORD, "ssh", "invalid_record")
#define SMB_EVENTS(X) \
    X(SMB_INTERNAL_ERROR, "smb", "internal_error") \
    X(SMB_MALFORMED_DATA, "smb", "malformed_data") \
    X(SMB_RECORD_OVERFLOW, "smb", "record_overflow") \
    X(SMB_MALFORMED_NTLMSSP_REQUEST, "smb", "malformed_ntlmssp_request") \
    X(SMB_MALFORMED_NTLMSSP_RESPONSE, "smb", "malformed_ntlmssp_response") \
    X(SMB_DUPLICATE_NEGOTIATE, "smb", "duplicate_negotiate") \
    X(SMB_NEGOTIATE_MALFORMED_DIALECTS, "smb", "negotiate_malformed_dialects") \
    X(SMB_FILE_OVERLAP, "smb", "file_overlap") \
    X(SMB_RESPONSE_TO_SERVER, "smb", "response_to_server") \
    X(SMB_REQUEST_TO_CLIENT, "smb", "request_to_client") \
    X(SMB_NEGOTIATE_MAX_READ_SIZE_TOO_LARGE, "smb", "negotiate_max_read_size_too_large") \
    X(SMB_NEGOTIATE_MAX_WRITE_SIZE_TOO_LARGE, "smb", "negotiate_max_write_size_too_large") \
    X(SMB_READ_REQUEST_TOO_LARGE, "smb", "read_request_too_large") \
    X(SMB_READ_RESPONSE_TOO_LARGE, "smb", "read_response_too_large") \
    X(SMB_READ_QUEUE_SIZE_EXCEEDED, "smb", "read_queue_size_exceeded") \
    X(SMB_READ_QUEUE_CNT_EXCEEDED, "smb", "read_queue_cnt_exceeded") \
    X(SMB_WRITE_REQUEST_TOO_LARGE, "smb", "write_request_too_large") \
    X(SMB_WRITE_QUEUE_SIZE_EXCEEDED, "smb", "write_queue_size_exceeded") \
    X(SMB_WRITE_QUEUE_CNT_EXCEEDED, "smb", "write_queue_cnt_exceeded") \
    X(SMB_TOO_MANY_TRANSACTIONS, "smb", "too_many_transactions")
#define DCERPC_EVENTS(X)
#define LLM_EVENTS(X) \
    X(LLM_INVALID_JSON, "http", "llm_invalid_json") \
    X(LLM_TOO_DEEP, "http", "llm_too_deep") \
    X(LLM_TEXT_LIMIT, "http", "llm_text_limit")
#define QUIC_EVENTS(X) \
    X(QUIC_FAILED_DECRYPT, "quic", "failed_decrypt") \
    X(QUIC_ERROR_ON_DATA, "quic", "error_on_data") \
    X(QUIC_CRYPTO_FRAG_TOO_LONG, "quic", "crypto_frag_too_long")
#define HTTP2_EVENTS(X) \
    X(HTTP2_INVALID_FRAME_HEADER, "http2", "invalid_frame_header") \
    X(HTTP2_INVALID_CLIENT_MAGIC, "http2", "invalid_client_magic") \
    X(HTTP2_INVALID_FRAME_DATA, "http2", "invalid_frame_data") \
    X(HTTP2_INVALID_HEADER, "http2", "invalid_header") \
    X(HTTP2_INVALID_FRAME_LENGTH, "http2", "invalid_frame_length") \
    X(HTTP2_EXTRA_HEADER_DATA, "http2", "extra_header_data") \
    X(HTTP2_LONG_FRAME_DATA, "http2", "long_frame_data") \
    X(HTTP2_STREAM_ID_REUSE, "http2", "stream_id_reuse") \
    X(HTTP2_INVALID_HTTP1_SETTINGS, "http2", "invalid_http1_settings") \
    X(HTTP2_FAILED_DECOMPRESSION, "http2", "failed_decompression") \
    X(HTTP2_INVALID_RANGE, "http2", "invalid_range") \
    X(HTTP2_HEADER_INTEGER_OVERFLOW, "http2", "header_integer_overflow") \
    X(HTTP2_TOO_MANY_STREAMS, "http2", "too_many_streams") \
    X(HTTP2_AUTHORITY_HOST_MISMATCH, "http2", "authority_host_mismatch") \
    X(HTTP2_USERINFO_IN_URI, "http2", "userinfo_in_uri") \
    X(HTTP2_REASSEMBLY_LIMIT_REACHED, "http2", "reassembly_limit_reached") \
    X(HTTP2_HEADER_LIST_LIMIT, "http2", "header_list_limit")
#define FILE_EVENTS(X) \
    X(FILE_MODEL_MALFORMED, "file", "model_malformed") \
    X(FILE_MODEL_LIMIT, "file", "model_limit")

#define FASTPATH_APP_EVENTS(X) APPLAYER_EVENTS(X) HTTP1_EVENTS(X) TLS_EVENTS(X) DNS_EVENTS(X) SMTP_EVENTS(X) FTP_EVENTS(X) \
    SSH_EVENTS(X) SMB_EVENTS(X) DCERPC_EVENTS(X) FILE_EVENTS(X) LLM_EVENTS(X) QUIC_EVENTS(X) HTTP2_EVENTS(X)

#define FASTPATH_APP_EVENT_FIRST(name, ...) name,
enum app_event { APP_EVENT_NONE, FASTPATH_APP_EVENTS(FASTPATH_APP_EVENT_FIRST) APP_EVENT_MAX };

#endif
