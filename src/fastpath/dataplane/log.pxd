# log: what `fastpath offload` needs to know of each entry, in global order: one row an entry, and one where a flow ends. From it
# any session table can be simulated without looking at a packet again.
#
# While a log is kept, requests for offload are noted and nobody acts on them: every packet is inspected.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum log_flag:             # mirrored by rows.py
    LOG_LAST = 1 << 0           # the last entry of its wire packet: whose bytes count
    LOG_FLOW = 1 << 1           # belongs to a flow
    LOG_BEGIN = 1 << 2          # the flow's first entry: its number may have been another's before
    LOG_END = 1 << 3            # no entry: the flow ended here, by a timeout, a newer one with its key or the end of the run
    LOG_EMPTY = 1 << 4          # no entry: a capture is over, all state is forgotten, time begins anew
    LOG_CLOSED = 1 << 5         # the TCP session closed with this entry
    LOG_OVER = 1 << 6           # the flow is closed, and asks for nothing more
    LOG_TCP = 1 << 7
    LOG_QUOTED = 1 << 8         # an ICMP error about the flow
    LOG_REJECTED = 1 << 9       # a TCP segment that the inspectors did not accept
    LOG_TO_CLIENT = 1 << 10
    LOG_DATA = 1 << 11          # carries payload
    LOG_INVALID = 1 << 12       # malformed: errored in the ledger, wherever it went
    LOG_CUT = 1 << 13           # dropped by the inspectors
    LOG_BYPASS = 1 << 14        # asked for by a rule with `bypass`, or by an exception policy. Told once
    LOG_DROP = 1 << 15          # the flow has been dropped
    LOG_PASS = 1 << 16          # the flow has been passed
    LOG_ENCRYPTED = 1 << 17     # payload is encrypted from here on
    LOG_DEPTH = 1 << 18         # the stream is beyond its reassembly depth in this direction
    LOG_LAST_ACK = 1 << 19      # with LOG_CLOSED: its last acknowledgment is still to come

cdef struct log_row_t:          # mirrored by rows.LOG
    uint64_t now                # engine time, ns
    uint64_t flow_bytes         # of the flow so far, this entry among them
    uint32_t flow_pkts
    uint32_t flow               # number of its place in the flow table
    uint32_t size               # bytes on the wire, of the entry
    uint32_t stream             # bytes so far of the TCP stream in this direction
    uint32_t ns                 # that the inspectors took for it, as measured
    uint32_t flags              # LOG_*
    uint16_t alerts             # raised with it: as many of the rows of alerts, in order
    uint16_t stateful           # of them, by bit, those on a stream or a transaction: they hang on more than this packet
    uint16_t rss                # upper half of the symmetric hash of the entry's key; 0 without one
    uint8_t tcp_flags           # those of a segment; 0 otherwise
    uint8_t reserved
