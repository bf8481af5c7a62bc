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
    LOG_CLOSED = 1 << 4         # the TCP session closed with this entry
    LOG_TCP = 1 << 5
    LOG_TO_CLIENT = 1 << 6
    LOG_DATA = 1 << 7           # carries payload
    LOG_BYPASS = 1 << 8         # asked for by a rule with `bypass`, or by an exception policy
    LOG_DROP = 1 << 9           # the flow was dropped
    LOG_PASS = 1 << 10          # the flow was passed
    LOG_ENCRYPTED = 1 << 11     # the payload is encrypted from here on
    LOG_DEPTH = 1 << 12         # the reassembly depth was reached, in either direction
    LOG_INVALID = 1 << 13       # malformed: errored in the ledger, wherever it went
    LOG_CUT = 1 << 14           # dropped by the inspectors

cdef struct log_row_t:          # mirrored by rows.LOG
    uint64_t now                # engine time, ns
    uint64_t flow_bytes         # of the flow so far, this entry among them
    uint32_t flow               # number of its place in the flow table
    uint32_t size               # bytes on the wire, of the entry
    uint32_t stream             # bytes so far of the TCP stream's longer direction
    uint32_t ns                 # that the inspectors took for it, as measured
    uint16_t flags              # LOG_*
    uint16_t alerts             # raised with it: as many of the rows of alerts, in order
    uint16_t stateful           # of them, by bit, those on a stream or a transaction: they hang on bytes before
    uint8_t tcp_flags           # those of a segment; 0 otherwise
    uint8_t reserved
