"""Models on the wire: what a file is, by its first bytes, and what of it is not safe to load, by a walk through it as it comes.

Every walk is bounded, keeps a state of fixed size and gives the same findings however the bytes are cut. `examine` is its door
for tests and tools.
"""
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset, strlen

from fastpath.dataplane.applayer.applayer cimport (
    FILE_MODEL_LIMIT, FILE_MODEL_MALFORMED, FILE_SHA256, app_config_t, app_context_t, file_t, files_config_t, tx_t,
)
from fastpath.dataplane.applayer.files cimport SHA256_CTX, SHA256_Final, SHA256_Init, SHA256_Update
from fastpath.dataplane.applayer.model.facts cimport *
from fastpath.dataplane.applayer.model.gguf cimport gguf_end, gguf_feed, gguf_open, gguf_t
from fastpath.dataplane.applayer.model.hdf5 cimport hdf5_feed, hdf5_open, hdf5_t
from fastpath.dataplane.applayer.model.npy cimport npy_end, npy_feed, npy_open, npy_t
from fastpath.dataplane.applayer.model.pickle cimport PHASE_BROKEN, pickle_end, pickle_feed, pickle_open, pickle_t
from fastpath.dataplane.applayer.model.protobuf cimport PROTO_BROKEN, proto_end, proto_feed, proto_open, proto_t
from fastpath.dataplane.applayer.model.recognise cimport (
    PREFIX_LEAST, WALK_BARE_PICKLE, WALK_GGUF, WALK_GZIP, WALK_HDF5, WALK_MORE, WALK_NONE, WALK_NPY, WALK_ONNX, WALK_PICKLE,
    WALK_SAFETENSORS, WALK_SAVEDMODEL, WALK_TAR, WALK_TENSORRT, WALK_TENSORRT_LED, WALK_ZIP, recognise_file, recognise_walk,
)
from fastpath.dataplane.applayer.model.safetensors cimport safetensors_end, safetensors_feed, safetensors_open, safetensors_t
from fastpath.dataplane.applayer.model.tar cimport TAR_BLOCK, TAR_MEMBER, is_tar_header, tar_end, tar_passed, tar_read, tar_t
from fastpath.dataplane.applayer.model.tensorrt cimport tensorrt_feed, tensorrt_t
from fastpath.dataplane.applayer.model.zip cimport zip_close, zip_end, zip_feed, zip_open, zip_t
from fastpath.dataplane.applayer.pooled cimport pool_free, pool_zalloc
from fastpath.dataplane.applayer.transaction cimport tx_event
from fastpath.dataplane.pool cimport close_pool, pool_give, pool_take
from fastpath.dataplane.types cimport ACCOUNT_APPLAYER, pool_t
from fastpath.dataplane.zlib cimport (
    Z_BUF_ERROR, Z_DATA_ERROR, Z_NO_FLUSH, Z_OK, Z_STREAM_END, inflate, inflateEnd, inflateInit2, inflateReset, z_stream,
)

cdef enum:
    OPCODES_SURE = 16           # so many in a row are no accident
    UNPACKED_FREE = 1 << 26     # bytes that gzip may make of however few
    UNPACKED_RATIO = 256        # and above that, of one
    INFLATE_GZIP = 15 + 16      # window bits, and a header of gzip

cdef enum gzip_state:
    STREAM_RUNS, STREAM_ENDED, STREAM_AWAITED, STREAM_LAST      # awaited: another may begin; last: none does

cdef enum member_state:
    MEMBER_BEGINS, MEMBER_WALKED, MEMBER_PASSED

cdef struct array_t:
    npy_t npy
    pickle_t pickle

cdef union walker_t:
    pickle_t pickle
    zip_t zip
    safetensors_t safetensors
    gguf_t gguf
    proto_t proto
    hdf5_t hdf5
    array_t array
    tensorrt_t tensorrt

cdef struct walk_t:
    model_facts_t facts
    uint8_t kind                # enum walk_kind
    uint8_t told                # findings that have become events
    uint8_t hashing
    SHA256_CTX sha256
    void *unpacked              # unpacked_t, of gzip and tar; NULL for others
    walker_t walker

cdef struct unpacked_t:         # a file that is packed: gzip, tar, or both
    uint8_t inflating, broken, is_tar, decided
    uint8_t gzip                # enum gzip_state
    uint8_t state               # of the member at hand, enum member_state
    uint8_t merged              # of its findings, those that the file has
    uint32_t have               # bytes of block, or of the member's first ones in prefix
    uint64_t packed, inflated
    z_stream stream
    tar_t tar
    walk_t member
    uint8_t prefix[16]
    uint8_t block[512]
    uint8_t out[4096]


# ---- one walk ----

cdef void open_walk(walk_t *walk, uint32_t kind) noexcept nogil:
    """walk: zeroed."""
    walk.kind = <uint8_t> kind
    if kind == WALK_SAFETENSORS:
        safetensors_open(&walk.walker.safetensors)
        walk.facts.format = MODEL_SAFETENSORS
    elif kind == WALK_GGUF:
        gguf_open(&walk.walker.gguf)
        walk.facts.format = MODEL_GGUF
    elif kind == WALK_ZIP:
        zip_open(&walk.walker.zip)
    elif kind == WALK_PICKLE or kind == WALK_BARE_PICKLE:
        pickle_open(&walk.walker.pickle)
    elif kind == WALK_ONNX or kind == WALK_SAVEDMODEL:
        proto_open(&walk.walker.proto, kind == WALK_ONNX)
    elif kind == WALK_HDF5:
        hdf5_open(&walk.walker.hdf5)
        walk.facts.format = MODEL_HDF5
    elif kind == WALK_NPY:
        npy_open(&walk.walker.array.npy)
        walk.facts.format = MODEL_NPY
    elif kind == WALK_TENSORRT:
        walk.facts.format = MODEL_TENSORRT


cdef void settle_pickle(walk_t *walk) noexcept nogil:
    """Bytes without a magic of their own are a pickle once they have done what pickles do."""
    cdef const pickle_t *pickle = &walk.walker.pickle
    cdef bint harms = walk.facts.count > 0 and walk.facts.findings[0].kind in (FOUND_PICKLE_BOMB, FOUND_PICKLE_LIMIT)
    if walk.kind == WALK_PICKLE and (harms or pickle.pickles or walk.facts.imports or pickle.ops >= OPCODES_SURE) \
            or walk.facts.imports and (pickle.pickles or pickle.calls):
        walk.facts.format = MODEL_PICKLE


cdef void settle_graph(walk_t *walk) noexcept nogil:
    if walk.walker.proto.has_graph and (walk.facts.inner or walk.facts.tensors):
        walk.facts.format = MODEL_ONNX if walk.kind == WALK_ONNX else MODEL_SAVEDMODEL


cdef void feed_walk(walk_t *walk, pool_t *pool, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef walker_t *walker = &walk.walker
    cdef model_facts_t *facts = &walk.facts
    if walk.kind == WALK_PICKLE or walk.kind == WALK_BARE_PICKLE:
        pickle_feed(&walker.pickle, facts, data, length)
        if facts.format == MODEL_NONE:
            settle_pickle(walk)
    elif walk.kind == WALK_ZIP:
        zip_feed(&walker.zip, facts, pool, data, length)
    elif walk.kind == WALK_SAFETENSORS:
        safetensors_feed(&walker.safetensors, facts, data, length)
    elif walk.kind == WALK_GGUF:
        gguf_feed(&walker.gguf, facts, data, length)
    elif walk.kind == WALK_ONNX or walk.kind == WALK_SAVEDMODEL:
        proto_feed(&walker.proto, facts, data, length)
        if facts.format == MODEL_NONE:
            settle_graph(walk)
    elif walk.kind == WALK_HDF5:
        hdf5_feed(&walker.hdf5, facts, data, length)
    elif walk.kind == WALK_NPY:
        npy_feed(&walker.array.npy, &walker.array.pickle, facts, data, length)
    elif walk.kind == WALK_TENSORRT_LED:
        tensorrt_feed(&walker.tensorrt, facts, data, length)
    elif walk.kind == WALK_GZIP:
        feed_gzip(walk, pool, data, length)
    elif walk.kind == WALK_TAR:
        feed_tar(walk, pool, data, length)


cdef bint is_hopeless(const walk_t *walk) noexcept nogil:
    """Begun on a guess, and it is something else."""
    if walk.facts.format != MODEL_NONE:
        return False
    if walk.kind == WALK_PICKLE or walk.kind == WALK_BARE_PICKLE:
        return walk.walker.pickle.phase == PHASE_BROKEN or walk.walker.pickle.pickles > 0
    if walk.kind == WALK_TENSORRT_LED:
        return walk.walker.tensorrt.broken != 0
    if walk.unpacked != NULL:
        return (<unpacked_t *> walk.unpacked).broken != 0
    return walk.kind in (WALK_ONNX, WALK_SAVEDMODEL) and walk.walker.proto.state == PROTO_BROKEN


cdef void end_walk(walk_t *walk, bint whole) noexcept nogil:
    cdef walker_t *walker = &walk.walker
    if walk.kind == WALK_PICKLE or walk.kind == WALK_BARE_PICKLE:
        pickle_end(&walker.pickle, &walk.facts, whole)
    elif walk.kind == WALK_ZIP:
        zip_end(&walker.zip, &walk.facts, whole)
    elif walk.kind == WALK_SAFETENSORS:
        safetensors_end(&walker.safetensors, &walk.facts, whole)
    elif walk.kind == WALK_GGUF:
        gguf_end(&walker.gguf, &walk.facts, whole)
    elif walk.kind == WALK_ONNX or walk.kind == WALK_SAVEDMODEL:
        proto_end(&walker.proto, &walk.facts, whole)
    elif walk.kind == WALK_NPY:
        npy_end(&walker.array.npy, &walker.array.pickle, &walk.facts, whole)
    elif walk.unpacked != NULL:
        end_unpacked(walk, whole)


# ---- what is packed: layers of images, archives of models ----

cdef bint open_unpacked(walk_t *walk, pool_t *pool) noexcept nogil:
    cdef unpacked_t *unpacked = <unpacked_t *> pool_take(pool, ACCOUNT_APPLAYER, sizeof(unpacked_t))
    if unpacked == NULL:
        return False
    walk.unpacked = unpacked
    unpacked.stream.opaque = pool
    if walk.kind == WALK_TAR:
        unpacked.is_tar = unpacked.decided = True
        return True
    unpacked.stream.zalloc = pool_zalloc
    unpacked.stream.zfree = pool_free
    unpacked.inflating = inflateInit2(&unpacked.stream, INFLATE_GZIP) == Z_OK
    return unpacked.inflating


cdef void close_zip(walk_t *walk, pool_t *pool) noexcept nogil:
    if walk.kind == WALK_ZIP:
        walk.walker.zip.stream.opaque = pool
        zip_close(&walk.walker.zip)


cdef void close_member(unpacked_t *unpacked, pool_t *pool) noexcept nogil:
    close_zip(&unpacked.member, pool)
    unpacked.member.kind = WALK_NONE


cdef void close_unpacked(walk_t *walk, pool_t *pool) noexcept nogil:
    cdef unpacked_t *unpacked = <unpacked_t *> walk.unpacked
    if unpacked == NULL:
        return
    close_member(unpacked, pool)
    if unpacked.inflating:
        unpacked.stream.opaque = pool
        inflateEnd(&unpacked.stream)
    pool_give(pool, ACCOUNT_APPLAYER, unpacked, sizeof(unpacked_t))
    walk.unpacked = NULL


cdef bint holds_weights(uint32_t format) noexcept nogil:
    return format not in (MODEL_NONE, MODEL_PICKLE, MODEL_NPY, MODEL_NPZ, MODEL_ARCHIVE, MODEL_HDF5)


cdef void merge_member(walk_t *walk) noexcept nogil:
    """What the member at hand has shown so far is the file's; its format where that is the first, or the first of weights."""
    cdef unpacked_t *unpacked = <unpacked_t *> walk.unpacked
    cdef model_facts_t *facts = &unpacked.member.facts
    cdef const model_finding_t *found
    cdef uint32_t word
    if facts.format == MODEL_NONE:
        return
    if walk.facts.format == MODEL_NONE or holds_weights(facts.format) and not holds_weights(walk.facts.format):
        walk.facts.format = facts.format
        walk.facts.version = facts.version
    while unpacked.merged < facts.count:
        found = &facts.findings[unpacked.merged]
        unpacked.merged += 1
        word = <uint32_t> min(strlen(model_found_names[found.kind]) + 1, <size_t> found.length)
        note_finding(&walk.facts, found.kind, <const uint8_t *> found.text + word, found.length - word, NULL, 0)


cdef void begin_member(walk_t *walk, pool_t *pool, uint32_t kind) noexcept nogil:
    cdef unpacked_t *unpacked = <unpacked_t *> walk.unpacked
    unpacked.state = MEMBER_PASSED
    if kind == WALK_NONE:
        return
    memset(&unpacked.member, 0, sizeof(walk_t))
    open_walk(&unpacked.member, kind)
    unpacked.state = MEMBER_WALKED
    unpacked.merged = 0
    feed_member(walk, pool, unpacked.prefix, unpacked.have)


cdef void feed_member(walk_t *walk, pool_t *pool, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef unpacked_t *unpacked = <unpacked_t *> walk.unpacked
    cdef uint32_t take
    if unpacked.state == MEMBER_BEGINS:
        take = min(length, <uint32_t> PREFIX_LEAST - unpacked.have)
        memcpy(unpacked.prefix + unpacked.have, data, take)
        unpacked.have += take
        if unpacked.have < PREFIX_LEAST:
            return
        begin_member(walk, pool, recognise_walk(unpacked.prefix, PREFIX_LEAST, False))
        data += take
        length -= take
    if unpacked.state == MEMBER_WALKED and length:
        feed_walk(&unpacked.member, pool, data, length)
        if is_hopeless(&unpacked.member):
            close_member(unpacked, pool)
            unpacked.state = MEMBER_PASSED
        else:
            merge_member(walk)


cdef void end_member(walk_t *walk, pool_t *pool, bint whole) noexcept nogil:
    cdef unpacked_t *unpacked = <unpacked_t *> walk.unpacked
    cdef const model_facts_t *facts = &unpacked.member.facts
    if unpacked.state == MEMBER_BEGINS and unpacked.have:
        begin_member(walk, pool, recognise_walk(unpacked.prefix, unpacked.have, True))
    if unpacked.state == MEMBER_WALKED:
        end_walk(&unpacked.member, whole)
        merge_member(walk)
        if facts.format != MODEL_NONE:
            walk.facts.tensors += facts.tensors
            walk.facts.parameters += facts.parameters
            walk.facts.imports += facts.imports
            note_told(&walk.facts, <const uint8_t *> facts.note, facts.note_length)
        close_member(unpacked, pool)
    unpacked.state = MEMBER_BEGINS
    unpacked.have = 0


cdef void feed_tar(walk_t *walk, pool_t *pool, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef unpacked_t *unpacked = <unpacked_t *> walk.unpacked
    cdef uint32_t at = 0, take
    while at < length:
        if unpacked.tar.state == TAR_MEMBER:
            take = <uint32_t> min(<uint64_t> (length - at), unpacked.tar.left)
            feed_member(walk, pool, data + at, take)
            tar_passed(&unpacked.tar, take)
            if unpacked.tar.state != TAR_MEMBER:
                end_member(walk, pool, True)
        else:
            take = tar_read(&unpacked.tar, &walk.facts, data + at, length - at)
        at += take
    walk.facts.inner = unpacked.tar.members


cdef void decide_unpacked(walk_t *walk, pool_t *pool, bint ended) noexcept nogil:
    """What gzip has made first: a tar, or a model by itself."""
    cdef unpacked_t *unpacked = <unpacked_t *> walk.unpacked
    cdef uint32_t kind
    unpacked.decided = True
    if unpacked.have == TAR_BLOCK and is_tar_header(unpacked.block):
        unpacked.is_tar = True
        unpacked.have = 0
        feed_tar(walk, pool, unpacked.block, TAR_BLOCK)
        return
    kind = recognise_walk(unpacked.block, unpacked.have, ended)
    if kind == WALK_NONE:
        unpacked.broken = True
        return
    memset(&unpacked.member, 0, sizeof(walk_t))
    open_walk(&unpacked.member, kind)
    unpacked.state = MEMBER_WALKED
    feed_member(walk, pool, unpacked.block, unpacked.have)
    unpacked.broken = unpacked.state == MEMBER_PASSED


cdef void feed_inflated(walk_t *walk, pool_t *pool, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef unpacked_t *unpacked = <unpacked_t *> walk.unpacked
    cdef uint32_t take
    if not unpacked.decided:
        take = min(length, <uint32_t> TAR_BLOCK - unpacked.have)
        memcpy(unpacked.block + unpacked.have, data, take)
        unpacked.have += take
        if unpacked.have < TAR_BLOCK:
            return
        decide_unpacked(walk, pool, False)
        data += take
        length -= take
    if unpacked.broken or length == 0:
        return
    if unpacked.is_tar:
        feed_tar(walk, pool, data, length)
    else:
        feed_member(walk, pool, data, length)
        unpacked.broken = unpacked.state == MEMBER_PASSED


cdef void feed_gzip(walk_t *walk, pool_t *pool, const uint8_t *data, uint32_t length) noexcept nogil:
    """One stream of gzip, or several, one behind the other."""
    cdef unpacked_t *unpacked = <unpacked_t *> walk.unpacked
    cdef z_stream *stream = &unpacked.stream
    cdef uint32_t made
    cdef int said
    stream.next_in = <uint8_t *> data
    stream.avail_in = length
    unpacked.packed += length
    while not unpacked.broken and unpacked.gzip != STREAM_LAST:
        if unpacked.gzip != STREAM_RUNS and stream.avail_in == 0:
            return
        if unpacked.gzip == STREAM_ENDED:
            inflateReset(stream)
            unpacked.gzip = STREAM_AWAITED
        stream.next_out = unpacked.out
        stream.avail_out = sizeof(unpacked.out)
        said = inflate(stream, Z_NO_FLUSH)
        made = <uint32_t> sizeof(unpacked.out) - stream.avail_out
        unpacked.inflated += made
        feed_inflated(walk, pool, unpacked.out, made)
        if made:
            unpacked.gzip = STREAM_RUNS
        if unpacked.inflated > UNPACKED_FREE and unpacked.inflated // UNPACKED_RATIO > unpacked.packed - stream.avail_in:
            find_word(&walk.facts, FOUND_ZIP_BOMB, b"inflated")
            unpacked.broken = True
        elif said == Z_STREAM_END:
            unpacked.gzip = STREAM_ENDED
        elif said == Z_DATA_ERROR and unpacked.gzip == STREAM_AWAITED:
            unpacked.gzip = STREAM_LAST         # what stands behind is no gzip
        elif said == Z_DATA_ERROR:
            find_word(&walk.facts, FOUND_GZIP_MALFORMED, b"deflate")
            unpacked.broken = True
        elif said == Z_BUF_ERROR or said == Z_OK and made < sizeof(unpacked.out) and stream.avail_in == 0:
            return
        elif said != Z_OK:
            unpacked.broken = True      # no memory


cdef void end_unpacked(walk_t *walk, bint whole) noexcept nogil:
    cdef unpacked_t *unpacked = <unpacked_t *> walk.unpacked
    cdef pool_t *pool = <pool_t *> unpacked.stream.opaque
    if unpacked.broken:
        return
    if walk.kind == WALK_GZIP and whole and unpacked.gzip == STREAM_RUNS:
        find_word(&walk.facts, FOUND_GZIP_MALFORMED, b"truncated")
        whole = False
    if not unpacked.decided:
        decide_unpacked(walk, pool, True)
    if unpacked.is_tar and whole:
        tar_end(&unpacked.tar, &walk.facts)
    if not unpacked.broken and (not unpacked.is_tar or unpacked.tar.state == TAR_MEMBER):
        end_member(walk, pool, whole and not unpacked.is_tar)


# ---- of a file ----

cdef void raise_events(tx_t *tx, walk_t *walk) noexcept nogil:
    cdef uint8_t kind
    if walk.facts.format == MODEL_NONE:
        return
    while walk.told < walk.facts.count:
        kind = walk.facts.findings[walk.told].kind
        walk.told += 1
        if kind in (FOUND_PICKLE_BOMB, FOUND_PICKLE_LIMIT, FOUND_ZIP_BOMB):
            tx_event(tx, FILE_MODEL_LIMIT)
        elif kind in (FOUND_PICKLE_MALFORMED, FOUND_GGUF_HEADER, FOUND_SAFETENSORS_HEADER, FOUND_SAFETENSORS_LENGTH,
                      FOUND_ONNX_MALFORMED, FOUND_SAVEDMODEL_MALFORMED, FOUND_ZIP_MALFORMED, FOUND_ZIP_MISMATCH,
                      FOUND_JSON_MALFORMED, FOUND_TAR_MALFORMED, FOUND_GZIP_MALFORMED):
            tx_event(tx, FILE_MODEL_MALFORMED)


cdef void release_walk(app_context_t *context, model_t *model) noexcept nogil:
    cdef walk_t *walk = <walk_t *> model.walk
    if walk != NULL:
        close_zip(walk, context.pool)
        close_unpacked(walk, context.pool)
        pool_give(context.pool, ACCOUNT_APPLAYER, walk, sizeof(walk_t))
        model.walk = NULL
        model.facts = NULL


cdef void free_model(app_context_t *context, file_t *file) noexcept nogil:
    cdef model_t *model = file.model
    if model.walk != NULL:
        release_walk(context, model)
    elif model.facts != NULL:
        pool_give(context.pool, ACCOUNT_APPLAYER, model.facts, sizeof(model_facts_t))
    pool_give(context.pool, ACCOUNT_APPLAYER, model, sizeof(model_t))
    file.model = NULL


cdef void go_on(app_context_t *context, tx_t *tx, file_t *file, const uint8_t *data, uint32_t length) noexcept nogil:
    cdef walk_t *walk = <walk_t *> file.model.walk
    feed_walk(walk, context.pool, data, length)
    if walk.hashing:
        SHA256_Update(&walk.sha256, data, length)
    if is_hopeless(walk):
        free_model(context, file)
    else:
        raise_events(tx, walk)


cdef bint begin_walk(app_context_t *context, file_t *file, uint32_t kind) noexcept nogil:
    cdef walk_t *walk = <walk_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(walk_t))
    if walk == NULL:
        return False
    open_walk(walk, kind)
    if (kind == WALK_GZIP or kind == WALK_TAR) and not open_unpacked(walk, context.pool):
        close_unpacked(walk, context.pool)
        pool_give(context.pool, ACCOUNT_APPLAYER, walk, sizeof(walk_t))
        return False
    walk.hashing = file.hashes == NULL or not context.config.files.hashes & FILE_SHA256
    if walk.hashing:
        SHA256_Init(&walk.sha256)
    file.model.walk = walk
    file.model.facts = &walk.facts
    return True


cdef void decide(app_context_t *context, tx_t *tx, file_t *file, const uint8_t *data, uint32_t length, bint ended) noexcept nogil:
    """The first bytes, or more of them."""
    cdef model_t *model = file.model
    cdef uint32_t kind, take
    cdef uint8_t prefix[264]
    if model == NULL:
        kind = recognise_file(data, length, ended)
        if kind == WALK_NONE:
            return
        file.model = model = <model_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(model_t))
        if model == NULL:
            return
        if kind != WALK_MORE:
            if begin_walk(context, file, kind):
                go_on(context, tx, file, data, length)
            else:
                free_model(context, file)
            return
    take = min(length, <uint32_t> MODEL_PREFIX - model.prefix_length)
    if take:
        memcpy(model.prefix + model.prefix_length, data, take)
        model.prefix_length += take
    kind = recognise_file(model.prefix, model.prefix_length, ended)
    if kind == WALK_MORE:
        return
    if kind == WALK_NONE or not begin_walk(context, file, kind):
        free_model(context, file)
        return
    memcpy(prefix, model.prefix, MODEL_PREFIX)
    go_on(context, tx, file, prefix, model.prefix_length)
    if file.model != NULL and length > take:
        go_on(context, tx, file, data + take, length - take)


cdef void feed_model(app_context_t *context, tx_t *tx, file_t *file, const uint8_t *data, uint32_t length) noexcept nogil:
    """file.size does not count these bytes yet. A file whose beginning was not seen is not looked at."""
    if length == 0:
        return
    if file.model == NULL:
        if file.size == 0 and file.start == 0:
            decide(context, tx, file, data, length, False)
    elif file.model.walk != NULL:
        if not file.model.stopped:
            go_on(context, tx, file, data, length)
    elif file.model.facts == NULL:
        decide(context, tx, file, data, length, False)


cdef void keep_facts(app_context_t *context, file_t *file) noexcept nogil:
    """The walk is over: what it has found stays, its memory goes."""
    cdef model_facts_t *facts = <model_facts_t *> pool_take(context.pool, ACCOUNT_APPLAYER, sizeof(model_facts_t))
    if facts == NULL:
        return
    memcpy(facts, file.model.facts, sizeof(model_facts_t))
    release_walk(context, file.model)
    file.model.facts = facts


cdef void end_model(app_context_t *context, tx_t *tx, file_t *file, uint32_t whole) noexcept nogil:
    cdef walk_t *walk
    if file.model.walk == NULL and file.model.facts == NULL:
        decide(context, tx, file, NULL, 0, True)
    if file.model == NULL or file.model.walk == NULL:
        return
    walk = <walk_t *> file.model.walk
    if not file.model.stopped:
        end_walk(walk, whole)
        raise_events(tx, walk)
        if walk.hashing and whole:
            SHA256_Final(file.sha256, &walk.sha256)
            file.flags |= FILE_SHA256
    if walk.facts.format == MODEL_NONE:
        free_model(context, file)
    else:
        keep_facts(context, file)


cdef void describe_models(files_config_t *config) noexcept nogil:
    config.feed_model = feed_model
    config.end_model = end_model
    config.free_model = free_model


# ---- the door ----

def formats():
    """The names of formats, by number; the first, "", is that of none."""
    return [model_format_names[i].decode() for i in range(MODEL_FORMATS)]


def examine(chunks, *, bint whole=True, uint64_t memory=1 << 22):
    """What these bytes, in pieces, are told to be: a dict with "format" ("" for no model), "version", "tensors",
    "parameters", "imports", "inner", "note" and "unsafe" (a list of findings), or None where memory (bytes) was refused.
    whole: no bytes are missing at the end."""
    cdef pool_t pool
    cdef app_config_t config
    cdef app_context_t context
    cdef tx_t tx
    cdef file_t file
    cdef bytes piece
    cdef const char *data
    memset(&pool, 0, sizeof(pool))
    memset(&config, 0, sizeof(config))
    memset(&context, 0, sizeof(context))
    memset(&tx, 0, sizeof(tx))
    memset(&file, 0, sizeof(file))
    pool.cap[ACCOUNT_APPLAYER] = memory
    context.pool = &pool
    context.config = &config
    try:
        for chunk in chunks:
            piece = bytes(chunk)
            data = piece
            feed_model(&context, &tx, &file, <const uint8_t *> data, <uint32_t> len(piece))
            file.size += len(piece)
        if file.model != NULL:
            end_model(&context, &tx, &file, whole)
        if pool.refused[ACCOUNT_APPLAYER]:
            return None
        found = facts_of(file.model.facts) if file.model != NULL else facts_of(NULL)
    finally:
        if file.model != NULL:
            free_model(&context, &file)
        left = pool.used[ACCOUNT_APPLAYER]
        close_pool(&pool)
    assert left == 0, "memory of a walk was not given back"
    return found


cdef dict facts_of(const model_facts_t *facts):
    if facts == NULL:
        return {"format": "", "version": 0, "tensors": 0, "parameters": 0, "imports": 0, "inner": 0, "note": "", "unsafe": []}
    return {"format": model_format_names[facts.format].decode(), "version": facts.version, "tensors": facts.tensors,
            "parameters": facts.parameters, "imports": facts.imports, "inner": facts.inner,
            "note": facts.note[:facts.note_length].decode(),
            "unsafe": [facts.findings[i].text[:facts.findings[i].length].decode() for i in range(facts.count)]}
