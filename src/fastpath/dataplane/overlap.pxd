# Overlapping fragments: whose bytes hold, by what the receiving host runs.
#
# A new fragment is weighed against those held, one after the other by offset, until one of them decides. It may lose bytes at
# its front, or all; a held one may lose bytes at its front, or go. What is left may still overlap: it is copied in the order
# of offsets, the later over the earlier. The rules are those of Suricata 7.0.10, as its reassembled packets show them.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.dataplane.hosts cimport (
    OS_FIRST, OS_HPUX11, OS_LAST, OS_LINUX, OS_MACOS, OS_OLD_LINUX, OS_OLD_SOLARIS, OS_SOLARIS, OS_BSD_RIGHT, OS_VISTA,
    OS_WINDOWS, OS_WINDOWS2K3,
)

cdef enum overlap_policy:
    POLICY_BSD, POLICY_BSD_RIGHT, POLICY_LINUX, POLICY_WINDOWS, POLICY_SOLARIS, POLICY_FIRST, POLICY_LAST

cdef enum weighing:
    WEIGH_ON                    # this one does not decide
    WEIGH_TAKE                  # the new fragment is taken, as trimmed so far
    WEIGH_REFUSE                # nothing of it is

ctypedef struct fragment_t:
    uint32_t offset, length     # of its data in the datagram, bytes
    uint32_t before, after      # in its datagram, by offset. Numbers, 0 for none
    uint32_t cells              # the first that holds its bytes
    uint16_t trim               # bytes of its front that do not hold
    uint16_t head               # bytes in front of the data that are kept as well: of a first fragment its headers
    uint16_t l3                 # offset of the IP header in them
    uint16_t linktype
    uint8_t more                # more fragments follow


cdef inline uint8_t policy_of(uint8_t os) noexcept nogil:
    if os in (OS_WINDOWS, OS_VISTA, OS_WINDOWS2K3):
        return POLICY_WINDOWS
    if os == OS_LINUX or os == OS_OLD_LINUX:
        return POLICY_LINUX
    if os in (OS_FIRST, OS_OLD_SOLARIS, OS_HPUX11, OS_MACOS):
        return POLICY_FIRST
    if os == OS_SOLARIS:
        return POLICY_SOLARIS
    if os == OS_LAST:
        return POLICY_LAST
    if os == OS_BSD_RIGHT:
        return POLICY_BSD_RIGHT
    return POLICY_BSD


cdef inline uint32_t end_of(const fragment_t *fragment) noexcept nogil:
    return fragment.offset + fragment.length


cdef inline uint32_t front_of(const fragment_t *fragment) noexcept nogil:
    """Where what holds of it begins."""
    return fragment.offset + fragment.trim


cdef inline uint32_t weigh_bsd(fragment_t *new, fragment_t *held, fragment_t *after) noexcept nogil:
    """What was there first holds, but for what begins before it."""
    if new.offset >= end_of(held):
        return WEIGH_ON
    if held.offset <= new.offset:
        if end_of(held) > end_of(new):
            return WEIGH_REFUSE
        new.trim = <uint16_t>(end_of(held) - new.offset)
    elif end_of(new) > front_of(held):
        held.trim = <uint16_t>(end_of(new) - held.offset)
    if after != NULL and end_of(new) > after.offset:
        after.trim = <uint16_t>(end_of(new) - after.offset)
    return WEIGH_TAKE


cdef inline uint32_t weigh_linux(fragment_t *new, fragment_t *held, bint *gone) noexcept nogil:
    """The one that begins first holds; of two that begin together, the later."""
    if front_of(held) < front_of(new) and end_of(held) > front_of(new):
        new.trim = <uint16_t>(new.trim + end_of(held) - new.offset)
    if front_of(new) < front_of(held) and end_of(new) > front_of(held):
        held.trim = <uint16_t>(end_of(new) - held.offset)
        return WEIGH_TAKE
    if front_of(new) <= front_of(held) and end_of(new) >= end_of(held):
        gone[0] = True
        return WEIGH_TAKE
    return WEIGH_ON


cdef inline uint32_t weigh_windows(fragment_t *new, fragment_t *held, bint *gone) noexcept nogil:
    """What was there first holds, but for what a new one covers on both sides."""
    if new.offset >= held.offset and end_of(new) <= end_of(held):
        return WEIGH_REFUSE
    if new.offset < held.offset and end_of(new) > end_of(held):
        gone[0] = True
        return WEIGH_TAKE
    if new.offset > front_of(held) and new.offset < end_of(held) or new.offset == held.offset and end_of(new) > end_of(held):
        new.trim = <uint16_t>(end_of(held) - new.offset)
        return WEIGH_TAKE
    return WEIGH_ON


cdef inline uint32_t weigh_solaris(fragment_t *new, fragment_t *held, bint *gone) noexcept nogil:
    """What was there first holds, but for what a new one that begins earlier covers."""
    if new.offset >= end_of(held):
        return WEIGH_ON
    if new.offset >= held.offset:
        new.trim = <uint16_t>(end_of(held) - new.offset)
    elif end_of(new) >= end_of(held):
        gone[0] = True
    return WEIGH_TAKE


cdef inline uint32_t weigh_first(fragment_t *new, fragment_t *held) noexcept nogil:
    if new.offset < held.offset:
        return WEIGH_TAKE
    if end_of(new) <= end_of(held):
        return WEIGH_REFUSE
    if new.offset < end_of(held):
        new.trim = <uint16_t>(end_of(held) - new.offset)
        return WEIGH_TAKE
    return WEIGH_ON


cdef inline uint32_t weigh_last(fragment_t *new, fragment_t *held) noexcept nogil:
    if new.offset > held.offset:
        return WEIGH_ON
    if end_of(new) > held.offset:
        held.trim = <uint16_t>(end_of(new) - held.offset)
    return WEIGH_TAKE


cdef inline uint32_t weigh(uint8_t policy, fragment_t *new, fragment_t *held, fragment_t *after, bint *gone) noexcept nogil:
    """enum weighing of a new fragment against one that is held; `after` follows it, or is NULL. `gone`: nothing of the held one
    is left."""
    cdef uint32_t outcome = WEIGH_ON
    gone[0] = False
    if policy == POLICY_BSD:
        outcome = weigh_bsd(new, held, after)
    elif policy == POLICY_LINUX:
        outcome = weigh_linux(new, held, gone)
    elif policy == POLICY_WINDOWS:
        outcome = weigh_windows(new, held, gone)
    elif policy == POLICY_SOLARIS:
        outcome = weigh_solaris(new, held, gone)
    elif policy == POLICY_FIRST:
        outcome = weigh_first(new, held)
    elif policy == POLICY_LAST:
        outcome = weigh_last(new, held)
    gone[0] = outcome == WEIGH_TAKE and (gone[0] or held.trim >= held.length)
    return outcome
