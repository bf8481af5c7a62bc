/* The code of HPACK (RFC 7541, appendix B) and its static table (appendix A).

   The code is canonical: codes of one length are consecutive numbers, in the order of hpack_symbols, so that the length of a code and
   where its first one stands say which symbol it is. */
#ifndef FASTPATH_HPACK_TABLES_H
#define FASTPATH_HPACK_TABLES_H

#include <stdint.h>

typedef struct hpack_length {   /* the codes of one length */
    uint32_t below;             /* all of them are below this, with their first bit where a uint32_t has its highest */
    uint32_t first;             /* the lowest of them, likewise */
    uint16_t symbol;            /* where its symbol stands in hpack_symbols */
    uint8_t bits;
} hpack_length_t;

static const hpack_length_t hpack_lengths[] = {
    {0x50000000u, 0x00000000u, 0, 5},
    {0xb8000000u, 0x50000000u, 10, 6},
    {0xf8000000u, 0xb8000000u, 36, 7},
    {0xfe000000u, 0xf8000000u, 68, 8},
    {0xff400000u, 0xfe000000u, 74, 10},
    {0xffa00000u, 0xff400000u, 79, 11},
    {0xffc00000u, 0xffa00000u, 82, 12},
    {0xfff00000u, 0xffc00000u, 84, 13},
    {0xfff80000u, 0xfff00000u, 90, 14},
    {0xfffe0000u, 0xfff80000u, 92, 15},
    {0xfffe6000u, 0xfffe0000u, 95, 19},
    {0xfffee000u, 0xfffe6000u, 98, 20},
    {0xffff4800u, 0xfffee000u, 106, 21},
    {0xffffb000u, 0xffff4800u, 119, 22},
    {0xffffea00u, 0xffffb000u, 145, 23},
    {0xfffff600u, 0xffffea00u, 174, 24},
    {0xfffff800u, 0xfffff600u, 186, 25},
    {0xfffffbc0u, 0xfffff800u, 190, 26},
    {0xfffffe20u, 0xfffffbc0u, 205, 27},
    {0xfffffff0u, 0xfffffe20u, 224, 28},
    {0xffffffffu, 0xfffffff0u, 253, 30},
};
enum { HPACK_LENGTHS = sizeof(hpack_lengths) / sizeof(hpack_lengths[0]), HPACK_EOS = 256 };

static const uint16_t hpack_symbols[257] = {
    48, 49, 50, 97, 99, 101, 105, 111, 115, 116, 32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65, 95, 98, 100, 102, 103,
    104, 108, 109, 110, 112, 114, 117, 58, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86,
    87, 89, 106, 107, 113, 118, 119, 120, 121, 122, 38, 42, 44, 59, 88, 90, 33, 34, 40, 41, 63, 39, 43, 124, 35, 62, 0, 36, 64,
    91, 93, 126, 94, 125, 60, 96, 123, 92, 195, 208, 128, 130, 131, 162, 184, 194, 224, 226, 153, 161, 167, 172, 176, 177, 179,
    209, 216, 217, 227, 229, 230, 129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187,
    189, 190, 196, 198, 228, 232, 233, 1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166,
    168, 174, 175, 180, 182, 183, 188, 191, 197, 231, 239, 9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237, 199, 207,
    234, 235, 192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255, 203, 204, 211, 212, 214, 221, 222, 223,
    241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24,
    25, 26, 27, 28, 29, 30, 31, 127, 220, 249, 10, 13, 22, 256,
};

typedef struct hpack_pair { const char *name, *value; uint16_t name_length, value_length; } hpack_pair_t;
#define PAIR(name, value) {name, value, sizeof(name) - 1, sizeof(value) - 1}

static const hpack_pair_t hpack_static[] = {     /* from index 1 on */
    PAIR(":authority", ""), PAIR(":method", "GET"), PAIR(":method", "POST"), PAIR(":path", "/"), PAIR(":path", "/index.html"),
    PAIR(":scheme", "http"), PAIR(":scheme", "https"), PAIR(":status", "200"), PAIR(":status", "204"), PAIR(":status", "206"),
    PAIR(":status", "304"), PAIR(":status", "400"), PAIR(":status", "404"), PAIR(":status", "500"), PAIR("accept-charset", ""),
    PAIR("accept-encoding", "gzip, deflate"), PAIR("accept-language", ""), PAIR("accept-ranges", ""), PAIR("accept", ""),
    PAIR("access-control-allow-origin", ""), PAIR("age", ""), PAIR("allow", ""), PAIR("authorization", ""),
    PAIR("cache-control", ""), PAIR("content-disposition", ""), PAIR("content-encoding", ""), PAIR("content-language", ""),
    PAIR("content-length", ""), PAIR("content-location", ""), PAIR("content-range", ""), PAIR("content-type", ""),
    PAIR("cookie", ""), PAIR("date", ""), PAIR("etag", ""), PAIR("expect", ""), PAIR("expires", ""), PAIR("from", ""),
    PAIR("host", ""), PAIR("if-match", ""), PAIR("if-modified-since", ""), PAIR("if-none-match", ""), PAIR("if-range", ""),
    PAIR("if-unmodified-since", ""), PAIR("last-modified", ""), PAIR("link", ""), PAIR("location", ""),
    PAIR("max-forwards", ""), PAIR("proxy-authenticate", ""), PAIR("proxy-authorization", ""), PAIR("range", ""),
    PAIR("referer", ""), PAIR("refresh", ""), PAIR("retry-after", ""), PAIR("server", ""), PAIR("set-cookie", ""),
    PAIR("strict-transport-security", ""), PAIR("transfer-encoding", ""), PAIR("user-agent", ""), PAIR("vary", ""),
    PAIR("via", ""), PAIR("www-authenticate", ""),
};
enum { HPACK_STATIC = sizeof(hpack_static) / sizeof(hpack_static[0]) };

#endif
