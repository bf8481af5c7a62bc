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

#define HTTP1_EVENTS(X)
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
    X(TLS_INVALID_SSL_RECORD, "tls", "invalid_ssl_record")
#define DNS_EVENTS(X) \
    X(DNS_MALFORMED_DATA, "dns", "malformed_data") \
    X(DNS_NOT_REQUEST, "dns", "not_request") \
    X(DNS_NOT_RESPONSE, "dns", "not_response") \
    X(DNS_Z_FLAG_SET, "dns", "z_flag_set") \
    X(DNS_INVALID_OPCODE, "dns", "invalid_opcode") \
    X(DNS_NAME_TOO_LONG, "dns", "name_too_long") \
    X(DNS_INFINITE_LOOP, "dns", "infinite_loop") \
    X(DNS_TOO_MANY_LABELS, "dns", "too_many_labels")
#define SMTP_EVENTS(X)
#define FTP_EVENTS(X)
#define SSH_EVENTS(X) \
    X(SSH_INVALID_BANNER, "ssh", "invalid_banner") \
    X(SSH_LONG_BANNER, "ssh", "long_banner") \
    X(SSH_INVALID_RECORD, "ssh", "invalid_record")
#define SMB_EVENTS(X)
#define DCERPC_EVENTS(X)
#define FILE_EVENTS(X)

#define FASTPATH_APP_EVENTS(X) APPLAYER_EVENTS(X) HTTP1_EVENTS(X) TLS_EVENTS(X) DNS_EVENTS(X) SMTP_EVENTS(X) FTP_EVENTS(X) \
    SSH_EVENTS(X) SMB_EVENTS(X) DCERPC_EVENTS(X) FILE_EVENTS(X)

#define FASTPATH_APP_EVENT_FIRST(name, ...) name,
enum app_event { APP_EVENT_NONE, FASTPATH_APP_EVENTS(FASTPATH_APP_EVENT_FIRST) APP_EVENT_MAX };

#endif
