# What all of TCP shares: flags, states, settings, and what is said of a segment.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.dataplane.hosts cimport hosts_t

cdef enum tcp_flag:
    TCP_FIN = 0x01
    TCP_SYN = 0x02
    TCP_RST = 0x04
    TCP_PSH = 0x08
    TCP_ACK = 0x10
    TCP_URG = 0x20

# RFC 9293, section 3.3.2, of the side that the state is named after in it; TCP_NONE is also a session not picked up. Those
# from TCP_TIME_WAIT on but CLOSE_WAIT and CLOSING are over: what follows is their order's doing, and it is relied upon.
cdef enum tcp_state:
    TCP_NONE, TCP_SYN_SENT, TCP_SYN_RECV, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_TIME_WAIT, TCP_LAST_ACK
    TCP_CLOSE_WAIT, TCP_CLOSING, TCP_CLOSED

cdef enum urgent_policy:
    URGENT_INLINE, URGENT_DROP, URGENT_OOB, URGENT_GAP

cdef struct stream_config_t:
    const hosts_t *hosts        # host-os-policy; NULL: none
    uint32_t depth              # stream.reassembly.depth, bytes a direction; 0: no end
    uint32_t chunk[2]           # to server, to client: bytes that a raw window waits for
    uint8_t passive             # bytes wait for their acknowledgment
    uint8_t midstream, async_oneside, checksums, raw, compare_overlaps, liberal_timestamps, bypass
    uint8_t urgent, urgent_limit        # enum urgent_policy
    uint8_t max_syn, max_synack         # of differing SYN or SYN/ACK that are remembered
    uint64_t fail_session       # ordinals of packets that are refused memory, to try what happens then; ~0 for none
    uint64_t fail_segment

cdef enum:                      # what take_segment says, together
    STREAM_IN = 1 << 0          # the payload entered the stream: not to be inspected as payload as well
    STREAM_FED_TO_SERVER = 1 << 1       # next_bytes is due; FED_TO_SERVER << direction
    STREAM_FED_TO_CLIENT = 1 << 2
    STREAM_CLOSED_NOW = 1 << 3  # the flow's timeout is a shorter one now
    STREAM_REJECTED = 1 << 4    # not a part of the session (inline: to be dropped, with its event)
    STREAM_BEGUN = 1 << 5       # the session began here
    STREAM_MIDSTREAM = 1 << 7   # there is no session, and this segment does not begin one: an exception
    STREAM_DEPTH_REACHED = 1 << 6       # of either direction; with config.bypass the rest may be offloaded
    STREAM_NO_SESSION = 1 << 8  # memory for the session was refused
    STREAM_NO_SEGMENT = 1 << 9  # memory for the segment's bytes was refused
