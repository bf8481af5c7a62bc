/* How protocols are recognised: bytes at a fixed place, and probing functions by port. One row each; see recognition.pxd. */
#ifndef FASTPATH_RECOGNITION_H
#define FASTPATH_RECOGNITION_H

#include "applayer.h"

enum { OVER_TCP, OVER_UDP };
enum { PATTERN_MAX = 24, PROBE_HEADER = 36 };

typedef struct pattern_row {
    uint8_t proto, transport, direction;
    uint8_t cased;              /* as written; else in either case, and `text` is in lower case */
    uint8_t offset, length;
    uint8_t probed;             /* the room's recognise has the last word, once `least` bytes are there */
    uint8_t least, most;        /* with more than `most`, what it leaves open is a no */
    char text[PATTERN_MAX];
} pattern_row_t;

#define TEXT(proto, direction, text) {proto, OVER_TCP, direction, 0, 0, sizeof(text) - 1, 0, 0, 0, text}
#define EXACT(proto, transport, direction, offset, text) {proto, transport, direction, 1, offset, sizeof(text) - 1, 0, 0, 0, text}
#define PROBED(proto, transport, direction, offset, text, least) \
    {proto, transport, direction, 1, offset, sizeof(text) - 1, 1, least, least, text}
#define METHOD(text) TEXT(ALPROTO_HTTP1, TO_SERVER, text " "), TEXT(ALPROTO_HTTP1, TO_SERVER, text "\t")
#define HELLO(version) EXACT(ALPROTO_TLS, OVER_TCP, TO_SERVER, 0, "\1\3" version), \
    EXACT(ALPROTO_TLS, OVER_TCP, TO_SERVER, 0, "\x16\3" version), EXACT(ALPROTO_TLS, OVER_TCP, TO_CLIENT, 0, "\x15\3" version), \
    EXACT(ALPROTO_TLS, OVER_TCP, TO_CLIENT, 0, "\x16\3" version), EXACT(ALPROTO_TLS, OVER_TCP, TO_CLIENT, 0, "\x17\3" version)

static const pattern_row_t pattern_rows[] = {
    METHOD("get"), METHOD("put"), METHOD("post"), METHOD("head"), METHOD("trace"), METHOD("options"), METHOD("connect"),
    METHOD("delete"), METHOD("patch"), METHOD("propfind"), METHOD("proppatch"), METHOD("mkcol"), METHOD("copy"), METHOD("move"),
    METHOD("lock"), METHOD("unlock"), METHOD("checkout"), METHOD("uncheckout"), METHOD("checkin"), METHOD("update"),
    METHOD("label"), METHOD("report"), METHOD("mkworkspace"), METHOD("mkactivity"), METHOD("merge"), METHOD("invalid"),
    METHOD("version-control"), METHOD("baseline-control"),
    TEXT(ALPROTO_HTTP1, TO_CLIENT, "http/0.9"), TEXT(ALPROTO_HTTP1, TO_CLIENT, "http/1.0"),
    TEXT(ALPROTO_HTTP1, TO_CLIENT, "http/1.1"),
    EXACT(ALPROTO_TLS, OVER_TCP, TO_SERVER, 2, "\1\0\2"),           /* SSL 2.0 */
    HELLO("\0"), HELLO("\1"), HELLO("\2"), HELLO("\3"),
    PROBED(ALPROTO_DCERPC, OVER_TCP, TO_SERVER, 0, "\5\0", 0), PROBED(ALPROTO_DCERPC, OVER_TCP, TO_CLIENT, 0, "\5\0", 0),
    PROBED(ALPROTO_DCERPC, OVER_UDP, TO_SERVER, 0, "\4\0", 0),
    PROBED(ALPROTO_SMB, OVER_TCP, TO_SERVER, 4, "\377SMB", PROBE_HEADER),
    PROBED(ALPROTO_SMB, OVER_TCP, TO_CLIENT, 4, "\377SMB", PROBE_HEADER),
    PROBED(ALPROTO_SMB, OVER_TCP, TO_SERVER, 4, "\376SMB", PROBE_HEADER),
    PROBED(ALPROTO_SMB, OVER_TCP, TO_CLIENT, 4, "\376SMB", PROBE_HEADER),
    PROBED(ALPROTO_SMB, OVER_TCP, TO_SERVER, 4, "\375SMB", PROBE_HEADER),
    PROBED(ALPROTO_SMB, OVER_TCP, TO_CLIENT, 4, "\375SMB", PROBE_HEADER),
    TEXT(ALPROTO_FTP, TO_CLIENT, "220 ("), TEXT(ALPROTO_FTP, TO_SERVER, "feat"), TEXT(ALPROTO_FTP, TO_SERVER, "user "),
    TEXT(ALPROTO_FTP, TO_SERVER, "pass "), TEXT(ALPROTO_FTP, TO_SERVER, "port "),
    EXACT(ALPROTO_SSH, OVER_TCP, TO_SERVER, 0, "SSH-"), EXACT(ALPROTO_SSH, OVER_TCP, TO_CLIENT, 0, "SSH-"),
    TEXT(ALPROTO_SMTP, TO_SERVER, "ehlo"), TEXT(ALPROTO_SMTP, TO_SERVER, "helo"), TEXT(ALPROTO_SMTP, TO_SERVER, "quit"),
    TEXT(ALPROTO_IMAP, TO_SERVER, "1 capability"),
    EXACT(ALPROTO_RFB, OVER_TCP, TO_SERVER, 0, "RFB "), EXACT(ALPROTO_RFB, OVER_TCP, TO_CLIENT, 0, "RFB "),
    TEXT(ALPROTO_HTTP2, TO_SERVER, "pri * http/2.0\r\n"),
    EXACT(ALPROTO_BITTORRENT_DHT, OVER_UDP, TO_SERVER, 0, "d1:ad2:id20:"),
    EXACT(ALPROTO_BITTORRENT_DHT, OVER_UDP, TO_CLIENT, 0, "d1:ad2:id20:"),
};
enum { PATTERN_ROWS = sizeof(pattern_rows) / sizeof(pattern_rows[0]) };

typedef struct probe_row {      /* a room's recognise, asked where the server has one of its ports */
    uint8_t proto, transport;
    uint8_t directions;         /* 1 << direction of those that it can tell */
    uint16_t least, most;       /* bytes that it needs; with more than `most`, what it leaves open is a no (0: never) */
    uint16_t port[2];           /* unless settings name others */
    uint16_t source;            /* of a client that is asked about as well */
} probe_row_t;

/* In the order in which those of one port are asked. */
static const probe_row_t probe_rows[] = {
    {ALPROTO_TLS, OVER_TCP, 1, 0, 3, {443}, 0},
    {ALPROTO_SMB, OVER_TCP, 3, 0, PROBE_HEADER, {445}, 0},
    {ALPROTO_DNS, OVER_UDP, 3, 0, 12, {53}, 0},
    {ALPROTO_DNS, OVER_TCP, 3, 0, 14, {53}, 0},
    {ALPROTO_MODBUS, OVER_TCP, 3, 0, 16, {502}, 0},
    {ALPROTO_ENIP, OVER_UDP, 3, 24, 0, {44818}, 44818},
    {ALPROTO_ENIP, OVER_TCP, 3, 24, 0, {44818}, 44818},
    {ALPROTO_DNP3, OVER_TCP, 3, 10, 0, {20000}, 0},
    {ALPROTO_NFS, OVER_TCP, 3, 0, 16, {2049}, 0},
    {ALPROTO_NFS, OVER_UDP, 3, 0, 16, {2049}, 0},
    {ALPROTO_NTP, OVER_UDP, 3, 0, 16, {123}, 0},
    {ALPROTO_TFTP, OVER_UDP, 3, 4, 0, {69}, 0},
    {ALPROTO_IKE, OVER_UDP, 3, 0, 16, {500}, 0},
    {ALPROTO_KRB5, OVER_UDP, 3, 0, 16, {88}, 0},
    {ALPROTO_KRB5, OVER_TCP, 3, 0, 16, {88}, 0},
    {ALPROTO_DHCP, OVER_UDP, 3, 0, 16, {67, 68}, 0},
    {ALPROTO_SNMP, OVER_UDP, 3, 0, 16, {161, 162}, 0},
    {ALPROTO_SIP, OVER_UDP, 3, 0, 16, {5060, 5061}, 0},
    {ALPROTO_QUIC, OVER_UDP, 3, 0, 16, {443, 80}, 0},
    {ALPROTO_MQTT, OVER_TCP, 3, 0, 16, {1883}, 0},
    {ALPROTO_PGSQL, OVER_TCP, 3, 0, 16, {5432}, 0},
    {ALPROTO_TELNET, OVER_TCP, 3, 0, 16, {23}, 0},
    {ALPROTO_RDP, OVER_TCP, 3, 0, 16, {3389}, 0},
    {ALPROTO_HTTP2, OVER_TCP, 2, 9, 24, {80}, 0},
};
enum { PROBE_ROWS = sizeof(probe_rows) / sizeof(probe_rows[0]) };

#endif
