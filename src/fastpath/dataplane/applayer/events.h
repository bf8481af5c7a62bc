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
#define TLS_EVENTS(X)
#define DNS_EVENTS(X)
#define SMTP_EVENTS(X)
#define FTP_EVENTS(X)
#define SSH_EVENTS(X)
#define SMB_EVENTS(X)
#define DCERPC_EVENTS(X)
#define FILE_EVENTS(X)

#define FASTPATH_APP_EVENTS(X) APPLAYER_EVENTS(X) HTTP1_EVENTS(X) TLS_EVENTS(X) DNS_EVENTS(X) SMTP_EVENTS(X) FTP_EVENTS(X) \
    SSH_EVENTS(X) SMB_EVENTS(X) DCERPC_EVENTS(X) FILE_EVENTS(X)

#define FASTPATH_APP_EVENT_FIRST(name, ...) name,
enum app_event { APP_EVENT_NONE, FASTPATH_APP_EVENTS(FASTPATH_APP_EVENT_FIRST) APP_EVENT_MAX };

#endif
