# ZIP archives as they stream by: local headers, members stored or deflated, the central directory. What a member holds is
# walked through by what its name says: pickles (torch: <name>/data.pkl), .npy arrays, config.json of Keras. Source: PKWARE's
# APPNOTE.TXT 6.3.
#
# A member whose length stands only behind it ends where its data does, when deflated; when stored, where a descriptor says
# exactly the length that has passed. Names and places of local headers must be those of the central directory: loaders go by
# that one.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from fastpath.dataplane.applayer.model.facts cimport (
    FOUND_ZIP_BOMB, FOUND_ZIP_MALFORMED, FOUND_ZIP_MISMATCH, FOUND_ZIP_PATH, FOUND_ZIP_SYMLINK, MODEL_ARCHIVE, MODEL_KERAS,
    MODEL_NONE, MODEL_NPZ, MODEL_PYTORCH, find_word, model_facts_t, note_finding,
)
from fastpath.dataplane.applayer.model.keras cimport keras_end, keras_feed, keras_open, keras_t
from fastpath.dataplane.applayer.model.npy cimport npy_end, npy_feed, npy_open, npy_t
from fastpath.dataplane.applayer.model.paths cimport leads_out
from fastpath.dataplane.applayer.model.pickle cimport pickle_end, pickle_feed, pickle_open, pickle_t
from fastpath.dataplane.applayer.pooled cimport pool_free, pool_zalloc
from fastpath.dataplane.zlib cimport (
    Z_BUF_ERROR, Z_NO_FLUSH, Z_OK, Z_STREAM_END, inflate, inflateEnd, inflateInit2, z_stream,
)

cdef enum:
    ZIP_NAME = 256
    ZIP_EXTRA = 64
    ZIP_OUT = 4096
    ZIP_INFLATED_MAX = 1 << 26          # bytes of one file
    ZIP_MEMBERS_MAX = 1 << 16
    LOCAL_HEADER = 0x04034b50, CENTRAL_HEADER = 0x02014b50, DESCRIPTOR = 0x08074b50
    CENTRAL_END = 0x06054b50, CENTRAL_END64 = 0x06064b50, CENTRAL_LOCATOR64 = 0x07064b50

cdef enum zip_state:
    ZIP_SIGNATURE, ZIP_LOCAL, ZIP_LOCAL_NAME, ZIP_LOCAL_EXTRA, ZIP_STORED, ZIP_STORED_OPEN, ZIP_DEFLATED, ZIP_DESCRIPTOR
    ZIP_CENTRAL, ZIP_CENTRAL_NAME, ZIP_CENTRAL_SKIP, ZIP_END, ZIP_BROKEN

cdef enum zip_member:
    MEMBER_OTHER, MEMBER_PICKLE, MEMBER_NPY, MEMBER_JSON

cdef struct zip_t:
    uint8_t state, member, inflating, lost      # lost: where a member ends was not known for sure
    uint32_t have, wanted       # bytes of a header
    uint64_t older, latest      # the latest sixteen bytes, where a descriptor is sought
    uint32_t method, flags, name_length, extra_length, comment_length
    uint64_t seen, start        # bytes of the file; where the header at work begins
    uint64_t packed             # compressed bytes of the member
    uint64_t passed             # of them, those that have come
    uint64_t inflated
    uint64_t locals, centrals, local_sum, central_sum
    uint64_t central_at         # where the central header at work says that its member is
    uint8_t is_link, has_config
    uint8_t header[46]
    uint8_t name[256]
    uint8_t extra[64]
    z_stream stream
    uint8_t out[4096]
    pickle_t pickle
    npy_t npy
    keras_t keras


cdef inline void zip_open(zip_t *z) noexcept nogil:
    memset(z, 0, sizeof(zip_t))
    z.wanted = 4


cdef inline void zip_close(zip_t *z) noexcept nogil:
    if z.inflating:
        inflateEnd(&z.stream)
        z.inflating = False


cdef inline uint32_t u16_at(const uint8_t *at) noexcept nogil:
    return at[0] | <uint32_t> at[1] << 8


cdef inline uint64_t u32_at(const uint8_t *at) noexcept nogil:
    return u16_at(at) | <uint64_t> u16_at(at + 2) << 16


cdef inline uint64_t u64_at(const uint8_t *at) noexcept nogil:
    return u32_at(at) | u32_at(at + 4) << 32


cdef inline uint64_t named(const zip_t *z, uint64_t at) noexcept nogil:
    """A number for a name at a place: their sum over all members is that of the central directory."""
    cdef uint64_t sum = (<uint64_t> 0xcbf29ce4 << 32 | <uint64_t> 0x84222325) ^ at
    cdef uint32_t i
    for i in range(min(z.name_length, <uint32_t> ZIP_NAME)):
        sum = (sum ^ z.name[i]) * (<uint64_t> 1 << 40 | 0x1b3)
    sum ^= sum >> 29
    return sum * (<uint64_t> 0xbf58476d << 32 | 0x1ce4e5b9)


cdef inline bint ends(const zip_t *z, const char *text, uint32_t length) noexcept nogil:
    cdef uint32_t kept = min(z.name_length, <uint32_t> ZIP_NAME)
    return kept >= length and memcmp(z.name + kept - length, text, length) == 0


cdef inline bint is_called(const zip_t *z, const char *text, uint32_t length) noexcept nogil:
    return z.name_length == length and ends(z, text, length)


cdef inline uint32_t slashes(const zip_t *z) noexcept nogil:
    cdef uint32_t i, n = 0
    for i in range(min(z.name_length, <uint32_t> ZIP_NAME)):
        n += z.name[i] == 47
    return n


cdef inline void look_at_name(zip_t *z, model_facts_t *facts) noexcept nogil:
    """What the archive is, by the members that it has."""
    z.member = MEMBER_OTHER
    if ends(z, b"/data.pkl", 9) and slashes(z) == 1:
        facts.format = MODEL_PYTORCH
    if ends(z, b".pkl", 4) or ends(z, b".pickle", 7) or ends(z, b".joblib", 7):
        z.member = MEMBER_PICKLE
        if facts.format == MODEL_NONE:
            facts.format = MODEL_ARCHIVE
    elif ends(z, b".npy", 4):
        z.member = MEMBER_NPY
        if facts.format == MODEL_NONE:
            facts.format = MODEL_NPZ
    elif is_called(z, b"config.json", 11):
        z.member = MEMBER_JSON
        z.has_config = True
    elif is_called(z, b"model.weights.h5", 16) and facts.format in (MODEL_NONE, MODEL_ARCHIVE):
        facts.format = MODEL_KERAS
    if leads_out(z.name, min(z.name_length, <uint32_t> ZIP_NAME)):
        note_finding(facts, FOUND_ZIP_PATH, z.name, min(z.name_length, <uint32_t> ZIP_NAME), NULL, 0)


# ---- members ----

cdef inline void open_member(zip_t *z) noexcept nogil:
    if z.member == MEMBER_PICKLE:
        pickle_open(&z.pickle)
    elif z.member == MEMBER_NPY:
        npy_open(&z.npy)
    elif z.member == MEMBER_JSON:
        keras_open(&z.keras)


cdef inline void feed_member(zip_t *z, model_facts_t *facts, const uint8_t *data, uint32_t length) noexcept nogil:
    if z.member == MEMBER_PICKLE:
        pickle_feed(&z.pickle, facts, data, length)
    elif z.member == MEMBER_NPY:
        npy_feed(&z.npy, &z.pickle, facts, data, length)
    elif z.member == MEMBER_JSON:
        keras_feed(&z.keras, facts, data, length)


cdef inline void end_member(zip_t *z, model_facts_t *facts, bint whole) noexcept nogil:
    if z.member == MEMBER_PICKLE:
        pickle_end(&z.pickle, facts, whole)
    elif z.member == MEMBER_NPY:
        npy_end(&z.npy, &z.pickle, facts, whole)
    elif z.member == MEMBER_JSON and facts.format == MODEL_KERAS:
        keras_end(&z.keras, facts)
    z.member = MEMBER_OTHER


cdef inline void await_header(zip_t *z, uint8_t state, uint32_t wanted) noexcept nogil:
    z.state = state
    z.have = 0
    z.wanted = wanted


cdef inline void zip_broken(zip_t *z, model_facts_t *facts, const char *why) noexcept nogil:
    zip_close(z)
    z.state = ZIP_BROKEN
    find_word(facts, FOUND_ZIP_MALFORMED, why)


cdef inline void member_over(zip_t *z, model_facts_t *facts) noexcept nogil:
    zip_close(z)
    end_member(z, facts, True)
    z.passed = 0
    await_header(z, ZIP_SIGNATURE, 4)


cdef inline void begin_data(zip_t *z, model_facts_t *facts, void *pool) noexcept nogil:
    """The local header is whole, with name and extra fields."""
    cdef uint32_t at = 0, size, field
    cdef bint open_ended = z.flags & 8 != 0 and z.packed == 0
    look_at_name(z, facts)
    while at + 4 <= min(z.extra_length, <uint32_t> ZIP_EXTRA):       # the sizes of large members, id 1
        size = u16_at(z.extra + at + 2)
        field = u16_at(z.extra + at)
        if field == 1 and z.packed == <uint32_t> -1 and at + 4 + size <= ZIP_EXTRA:
            if size >= 16:
                z.packed = u64_at(z.extra + at + 12)
            elif size >= 8:
                z.packed = u64_at(z.extra + at + 4)
            open_ended = open_ended or z.flags & 8 != 0 and z.packed == 0
        at += 4 + size
    z.locals += 1
    z.local_sum += named(z, z.start)
    if z.locals > ZIP_MEMBERS_MAX:
        find_word(facts, FOUND_ZIP_BOMB, b"members")
        z.state = ZIP_BROKEN
        return
    z.passed = 0
    z.older = z.latest = 0
    z.have = 0
    open_member(z)
    if z.method == 8 and (z.member != MEMBER_OTHER or open_ended):
        z.stream.zalloc = pool_zalloc
        z.stream.zfree = pool_free
        z.stream.opaque = pool
        z.stream.next_in = NULL
        z.stream.avail_in = 0
        if inflateInit2(&z.stream, -15) != Z_OK:
            z.state = ZIP_BROKEN
            return
        z.inflating = True
        z.state = ZIP_DEFLATED
    elif z.method != 0:
        z.member = MEMBER_OTHER
        if open_ended:
            z.state = ZIP_BROKEN        # nobody knows where it ends
            return
        z.state = ZIP_STORED
    else:
        z.state = ZIP_STORED_OPEN if open_ended else ZIP_STORED
    if z.state == ZIP_STORED and z.packed == 0:
        member_over(z, facts)


cdef inline uint32_t feed_deflated(zip_t *z, model_facts_t *facts, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef int said = Z_OK
    cdef uint32_t made
    z.stream.next_in = <uint8_t *> data
    z.stream.avail_in = length
    while said == Z_OK:
        z.stream.next_out = z.out
        z.stream.avail_out = ZIP_OUT
        said = inflate(&z.stream, Z_NO_FLUSH)
        made = ZIP_OUT - z.stream.avail_out
        z.inflated += made
        feed_member(z, facts, z.out, made)
        if z.inflated > ZIP_INFLATED_MAX:
            find_word(facts, FOUND_ZIP_BOMB, b"inflated")
            zip_close(z)
            z.state = ZIP_BROKEN
            return length
        if made < ZIP_OUT and z.stream.avail_in == 0:
            break
    made = length - z.stream.avail_in
    z.passed += made
    if said == Z_STREAM_END:
        if not z.flags & 8 and z.packed != z.passed:
            zip_broken(z, facts, b"length")
        else:
            member_over(z, facts)
    elif said != Z_OK and said != Z_BUF_ERROR:
        zip_broken(z, facts, b"deflate")
    return made


cdef inline uint32_t feed_open(zip_t *z, model_facts_t *facts, const uint8_t *data, uint32_t length) noexcept nogil:
    """Stored, of unknown length: up to its descriptor, which is told by its signature and by saying what has passed. The latest
    16 bytes are kept: signature, checksum, and two lengths of 32 bits, or the first of two of 64."""
    cdef uint32_t at = 0
    cdef uint64_t before
    cdef bint over = False, wide = False
    while at < length and not over:
        z.older = z.older >> 8 | z.latest << 56
        z.latest = z.latest >> 8 | <uint64_t> data[at] << 56
        at += 1
        if <uint32_t> z.older == DESCRIPTOR and z.passed + at >= 16:
            before = z.passed + at - 16
            wide = z.latest == before and before > 0
            over = wide or z.latest == (before << 32 | before) and not before >> 32
    feed_member(z, facts, data, at)
    z.passed += at
    if over:
        end_member(z, facts, False)
        z.passed = 0
        if wide:
            await_header(z, ZIP_DESCRIPTOR, 8)
        else:
            await_header(z, ZIP_SIGNATURE, 4)
    return at


# ---- headers ----

cdef inline void take_signature(zip_t *z, model_facts_t *facts) noexcept nogil:
    cdef uint32_t signature = <uint32_t> u32_at(z.header)
    z.start = z.seen - 4
    if signature == LOCAL_HEADER:
        await_header(z, ZIP_LOCAL, 26)
    elif signature == CENTRAL_HEADER:
        await_header(z, ZIP_CENTRAL, 42)
    elif signature == DESCRIPTOR:
        await_header(z, ZIP_DESCRIPTOR, 12)
    elif signature == CENTRAL_END or signature == CENTRAL_END64 or signature == CENTRAL_LOCATOR64:
        z.state = ZIP_END
        if not z.lost and (z.locals != z.centrals or z.local_sum != z.central_sum):
            find_word(facts, FOUND_ZIP_MISMATCH, b"")
    else:
        # the rest of a descriptor in 64 bits, or a descriptor without its signature: on to the next header
        z.header[0], z.header[1], z.header[2] = z.header[1], z.header[2], z.header[3]
        z.have = 3
        z.passed += 1
        if z.passed > 24:
            z.lost = True


cdef inline void take_local(zip_t *z) noexcept nogil:
    z.flags = u16_at(z.header + 2)
    z.method = u16_at(z.header + 4)
    z.packed = u32_at(z.header + 14)
    z.name_length = u16_at(z.header + 22)
    z.extra_length = u16_at(z.header + 24)
    await_header(z, ZIP_LOCAL_NAME, z.name_length)


cdef inline void take_central(zip_t *z) noexcept nogil:
    z.name_length = u16_at(z.header + 24)
    z.extra_length = u16_at(z.header + 26)
    z.comment_length = u16_at(z.header + 28)
    z.is_link = z.header[1] == 3 and (u32_at(z.header + 34) >> 28) == 10
    z.central_at = u32_at(z.header + 38)
    await_header(z, ZIP_CENTRAL_NAME, z.name_length)


cdef inline void take_central_name(zip_t *z, model_facts_t *facts) noexcept nogil:
    cdef uint32_t kept = min(z.name_length, <uint32_t> ZIP_NAME)
    z.centrals += 1
    z.central_sum += named(z, z.central_at)
    z.lost = z.lost or z.central_at == <uint32_t> -1
    if leads_out(z.name, kept):
        note_finding(facts, FOUND_ZIP_PATH, z.name, kept, NULL, 0)
    if z.is_link:
        note_finding(facts, FOUND_ZIP_SYMLINK, z.name, kept, NULL, 0)
    await_header(z, ZIP_CENTRAL_SKIP, z.extra_length + z.comment_length)


cdef inline void header_done(zip_t *z, model_facts_t *facts, void *pool) noexcept nogil:
    if z.state == ZIP_SIGNATURE:
        take_signature(z, facts)
    elif z.state == ZIP_LOCAL:
        take_local(z)
    elif z.state == ZIP_LOCAL_NAME:
        await_header(z, ZIP_LOCAL_EXTRA, z.extra_length)
    elif z.state == ZIP_LOCAL_EXTRA:
        z.wanted = 0
        begin_data(z, facts, pool)
    elif z.state == ZIP_CENTRAL:
        take_central(z)
    elif z.state == ZIP_CENTRAL_NAME:
        take_central_name(z, facts)
    else:                       # what was to be skipped, or a descriptor
        z.passed = 0
        await_header(z, ZIP_SIGNATURE, 4)


cdef inline bint reads_header(const zip_t *z) noexcept nogil:
    return z.state < ZIP_STORED or ZIP_DESCRIPTOR <= z.state < ZIP_END


cdef inline uint32_t feed_header(zip_t *z, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint32_t take = min(length, z.wanted - z.have), i
    cdef uint8_t *into = &z.header[0]
    cdef uint32_t room = 46
    if z.state == ZIP_LOCAL_NAME or z.state == ZIP_CENTRAL_NAME:
        into = &z.name[0]
        room = ZIP_NAME
    elif z.state == ZIP_LOCAL_EXTRA:
        into = &z.extra[0]
        room = ZIP_EXTRA
    for i in range(take):
        if z.have + i < room:
            into[z.have + i] = data[i]
    z.have += take
    return take


cdef inline void zip_feed(zip_t *z, model_facts_t *facts, void *pool, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef uint32_t at = 0, taken
    while at < length and z.state < ZIP_END:
        if reads_header(z):
            taken = feed_header(z, data + at, length - at)
        elif z.state == ZIP_STORED:
            taken = <uint32_t> min(z.packed - z.passed, <uint64_t> (length - at))
            feed_member(z, facts, data + at, taken)
            z.passed += taken
        elif z.state == ZIP_STORED_OPEN:
            taken = feed_open(z, facts, data + at, length - at)
        else:
            taken = feed_deflated(z, facts, data + at, length - at)
        at += taken
        z.seen += taken
        if z.state == ZIP_STORED and z.passed == z.packed:
            member_over(z, facts)
        while reads_header(z) and z.have >= z.wanted:
            header_done(z, facts, pool)
    z.seen += length - at
    facts.inner = z.locals


cdef inline void zip_end(zip_t *z, model_facts_t *facts, bint whole) noexcept nogil:
    """A configuration alone makes no model of an archive."""
    if z.state < ZIP_END:
        end_member(z, facts, whole)
        if whole:
            find_word(facts, FOUND_ZIP_MALFORMED, b"truncated")
    zip_close(z)
