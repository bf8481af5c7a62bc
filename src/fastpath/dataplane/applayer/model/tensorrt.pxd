# A TensorRT engine behind a header of JSON: its length in four bytes, little-endian, the JSON, the engine. So Ultralytics'
# exporter writes them (engine/exporter.py).
from libc.stdint cimport uint8_t, uint32_t

from fastpath.dataplane.applayer.model.facts cimport MODEL_TENSORRT, model_facts_t
from fastpath.dataplane.wire.load cimport le32

cdef enum:
    LEAD = 4                    # bytes of the length

cdef struct tensorrt_t:
    uint32_t seen               # bytes of length, header and magic
    uint32_t size               # of the header, once its length has been seen
    uint8_t lead[4]
    uint8_t broken              # what is behind the header is no engine


cdef inline void tensorrt_feed(tensorrt_t *walk, model_facts_t *facts, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef const uint8_t *magic = b"ftrt"
    cdef uint32_t at = 0, skipped
    while at < length and not walk.broken and facts.format != MODEL_TENSORRT:
        if walk.seen < LEAD:
            walk.lead[walk.seen] = data[at]
        elif walk.seen < LEAD + walk.size:
            skipped = min(length - at, LEAD + walk.size - walk.seen)
            walk.seen += skipped
            at += skipped
            continue
        elif data[at] != magic[walk.seen - LEAD - walk.size]:
            walk.broken = True
        walk.seen += 1
        at += 1
        if walk.seen == LEAD:
            walk.size = le32(walk.lead)
        elif walk.seen == LEAD + walk.size + 4 and not walk.broken:
            facts.format = MODEL_TENSORRT
