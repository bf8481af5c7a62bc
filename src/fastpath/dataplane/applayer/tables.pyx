"""The lists of buffers.h and events.h for Python: what rules may name, and the numbers behind the names."""
from libc.stdint cimport uint32_t

cdef extern from *:
    """
    #include "applayer/config.h"
    typedef struct { const char *name; unsigned number, flags; } named_t;
    typedef struct { unsigned buffer, proto, direction, progress; } inspection_t;
    typedef struct { const char *proto, *name; unsigned number; } event_t;
    #define PROTOCOL(id, name) {name, id, 0},
    static const named_t app_protocols[] = { FASTPATH_PROTOCOLS(PROTOCOL) };
    #define BUFFER(id, name, flags) {name, id, flags},
    static const named_t app_buffers[] = { FASTPATH_BUFFERS(BUFFER) };
    #define INSPECTION(buffer, proto, direction, progress) {buffer, proto, direction, progress},
    static const inspection_t app_inspections[] = { FASTPATH_INSPECTIONS(INSPECTION) };
    #define EVENT(id, proto, name) {proto, name, id},
    static const event_t app_events[] = { FASTPATH_APP_EVENTS(EVENT) };
    #define COUNT(list) (sizeof(list) / sizeof(list[0]))
    """
    ctypedef struct named_t:
        const char *name
        uint32_t number, flags
    ctypedef struct inspection_t:
        uint32_t buffer, proto, direction, progress
    ctypedef struct event_t:
        const char *proto
        const char *name
        uint32_t number
    const named_t app_protocols[]
    const named_t app_buffers[]
    const inspection_t app_inspections[]
    const event_t app_events[]
    uint32_t PROTOCOLS "COUNT(app_protocols)"
    uint32_t BUFFERS "COUNT(app_buffers)"
    uint32_t INSPECTIONS "COUNT(app_inspections)"
    uint32_t EVENTS "COUNT(app_events)"
    const uint32_t MANY "BUFFER_MANY"
    const uint32_t NUMBER "BUFFER_NUMBER"
    const uint32_t RECORD "BUFFER_RECORD"
    const uint32_t BODY "BUFFER_BODY"

#: flags of a buffer: there may be several; a number; a struct of its room; it grows while the transaction goes on
MANY_OF, NUMERIC, STRUCTURED, GROWING = MANY, NUMBER, RECORD, BODY
#: protocol -> its number
PROTOCOL_NUMBERS = {app_protocols[i].name.decode(): app_protocols[i].number for i in range(PROTOCOLS)}
#: buffer -> (its number, its flags)
APP_BUFFERS = {app_buffers[i].name.decode(): (app_buffers[i].number, app_buffers[i].flags) for i in range(BUFFERS)}
#: buffer number -> ((protocol number, direction, progress), ...): where and from when on it can be looked at
APP_INSPECTIONS = {number: tuple((app_inspections[i].proto, app_inspections[i].direction, app_inspections[i].progress)
                                 for i in range(INSPECTIONS) if app_inspections[i].buffer == number)
                   for number, _ in APP_BUFFERS.values()}
#: (protocol, event) -> its number; protocol "applayer" for those of recognition
APP_EVENTS = {(app_events[i].proto.decode(), app_events[i].name.decode()): app_events[i].number for i in range(EVENTS)}
