# Which walk a file's first bytes ask for; what is packed (recognise_file), and what is not (recognise_walk).
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from fastpath.dataplane.applayer.model.tar cimport TAR_MAGIC_AT, may_begin_tar
from fastpath.dataplane.wire.load cimport le32

cdef enum walk_kind:
    WALK_NONE, WALK_MORE, WALK_SAFETENSORS, WALK_GGUF, WALK_ZIP, WALK_PICKLE, WALK_BARE_PICKLE, WALK_ONNX, WALK_SAVEDMODEL
    WALK_HDF5, WALK_TENSORRT, WALK_TENSORRT_LED, WALK_NPY, WALK_GZIP, WALK_TAR

cdef enum:
    PREFIX_LEAST = 16           # bytes that decide; a shorter file is decided by all it has
    SAFETENSORS_MAX = 100_000_000
    TENSORRT_LEAD_MAX = 1 << 20


cdef inline bint begins(const uint8_t *data, uint32_t length, const char *text, uint32_t size) noexcept nogil:
    return length >= size and memcmp(data, text, size) == 0


cdef inline bint may_begin_pickle(const uint8_t *data, uint32_t length) noexcept nogil:
    """Without a protocol byte: an import, or a mark, list or dict and an opcode that may follow. The walk decides."""
    cdef uint32_t i
    if length < 3:
        return False
    if data[0] == 99:           # c: a name, which is a module's
        for i in range(1, length):
            if data[i] == 10:
                return i > 1
            if not (97 <= data[i] | 32 <= 122 or 48 <= data[i] <= 57 or data[i] == 95 or data[i] == 46):
                return False
        return True
    if data[0] == 40:
        return data[1] in (99, 100, 105, 108, 116, 83, 86, 73, 75, 88, 85, 40, 93, 125, 78, 70, 71, 74, 76, 77, 84, 66, 67, 41)
    if data[0] == 93 or data[0] == 125:
        return data[1] in (40, 112, 113, 114, 99)
    return False


cdef inline uint32_t recognise_walk(const uint8_t *data, uint32_t length, bint ended) noexcept nogil:
    cdef uint64_t size = 0
    cdef uint32_t i
    if length < PREFIX_LEAST and not ended:
        return WALK_MORE
    if length < 2:
        return WALK_NONE
    if begins(data, length, b"GGUF", 4):
        return WALK_GGUF
    if begins(data, length, b"PK\x03\x04", 4):
        return WALK_ZIP
    if begins(data, length, b"\x89HDF\r\n\x1a\n", 8):
        return WALK_HDF5
    if begins(data, length, b"\x93NUMPY", 6):
        return WALK_NPY
    if begins(data, length, b"ftrt", 4):
        # NVIDIA publishes no format: Torch-TensorRT (pytorch/TensorRT, TRTEngine) and others know an engine by this
        return WALK_TENSORRT
    if data[0] == 0x80 and 2 <= data[1] <= 5:
        return WALK_PICKLE
    if length >= 10 and data[8] == 123 and data[9] in (34, 125, 32):
        for i in range(8):
            size |= <uint64_t> data[i] << (8 * i)
        if 2 <= size <= SAFETENSORS_MAX:
            return WALK_SAFETENSORS
    if length >= 6 and data[4] == 123 and data[5] == 34 and 2 <= le32(data) <= TENSORRT_LEAD_MAX:
        return WALK_TENSORRT_LED
    if data[0] == 8 and 1 <= data[1] <= 31 and length >= 6:
        if data[1] == 1 and data[2] == 0x12:
            i = 3
            while i < length and data[i] > 127:
                i += 1
            if i + 1 < length and data[i + 1] == 10:
                return WALK_SAVEDMODEL
        if data[2] in (0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42):
            return WALK_ONNX
    return WALK_BARE_PICKLE if may_begin_pickle(data, length) else WALK_NONE


cdef inline uint32_t recognise_file(const uint8_t *data, uint32_t length, bint ended) noexcept nogil:
    """The same, but that it may be packed: gzip, or a tar, which is known by what stands behind 257 bytes."""
    if length >= 4 and data[0] == 0x1f and data[1] == 0x8b and data[2] == 8 and data[3] < 32:
        return WALK_GZIP
    if may_begin_tar(data, length):
        if length >= TAR_MAGIC_AT + 5:
            if begins(data + TAR_MAGIC_AT, length - TAR_MAGIC_AT, b"ustar", 5):
                return WALK_TAR
        elif not ended:
            return WALK_MORE
    return recognise_walk(data, length, ended)
