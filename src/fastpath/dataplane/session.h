/* A session of the device in one cache line, all that a packet of it touches: in bit fields, which Cython cannot say. */
#ifndef FASTPATH_SESSION_H
#define FASTPATH_SESSION_H

#include <stdint.h>

typedef struct session {
    uint64_t last;              /* of the latest packet, ns; before it is in force, when it will be */
    uint64_t told : 48;         /* with a counter lag: of the latest packet that was reported; the low bits (told_last) */
    uint64_t timeout : 16;      /* idle, s; 0: the device's */
    uint32_t bytes[2];          /* to server, to client; `bytes[0]` of one that is outgrown is the number of its row */
    uint32_t pkts[2];
    uint32_t fresh_bytes[2];    /* with a counter lag: of these, what has not been reported */
    uint16_t fresh_pkts[2];
    uint32_t owner;             /* as whoever asked named it */
    uint32_t start;             /* second at which it comes into force */
    uint32_t next : 31;         /* in the wheel; of a free one, the next free one */
    uint32_t outgrown : 1;      /* its counters stand in a row of their own (grown_t) */
    uint32_t prev;              /* in the wheel */
    uint32_t serial : 24;       /* of all that were ever inserted; 0: a free one */
    uint32_t state : 3;         /* enum session_state, SIDE_CLOSED_FIRST */
    uint32_t action : 2;        /* enum offload_action */
    uint32_t reason : 3;        /* enum ask_reason */
} session_t;
_Static_assert(sizeof(session_t) == 64, "one cache line");

#endif
