# A walk through the opcodes of a pickle, as its bytes come: what it imports, without running it. A string search would not do:
# names are put together on the stack and out of the memo.
#
# The machine is that of CPython's unpickler, but values are kept only where they are strings that could name something: a ring
# of the latest ones, and those that have named a module stay. The stack is known exactly in its depth and its marks, and in its
# values as far down as they are remembered. State is of a fixed size, each byte is looked at once, and how bytes are cut into
# pieces changes nothing.
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastpath.dataplane.applayer.model.facts cimport (
    FOUND_PICKLE_BOMB, FOUND_PICKLE_EXTENSION, FOUND_PICKLE_IMPORT, FOUND_PICKLE_LIMIT, FOUND_PICKLE_MALFORMED,
    FOUND_PICKLE_UNKNOWN, FOUND_PICKLE_UNRESOLVED, find_word, model_facts_t, note_finding,
)
from fastpath.dataplane.applayer.model.imports cimport IMPORT_DANGEROUS, IMPORT_UNKNOWN, judge_import

cdef extern from "applayer/model/pickle.h" nogil:
    enum:
        ARG_BAD, ARG_NONE, ARG_1, ARG_2, ARG_4, ARG_8, ARG_LINE, ARG_LINES, ARG_COUNT1, ARG_COUNT4, ARG_COUNT8
        PICKLE_SPECIAL
    const uint8_t *pickle_arguments
    const uint8_t *pickle_effects

cdef enum:
    TEXT_MAX = 112              # of a string that could name something
    TEXTS = 96                  # the ring of them
    KEPT = 24                   # those that have named a module
    STACK = 512                 # values remembered, from the top
    MEMO = 512
    MARKS = 256                 # one in another; pickles of lists in lists have some
    OPS_MAX = 1 << 24           # of one file
    NUMERAL_MAX = 4300          # digits of a number written as text, which take for ever: CPython's limit too
    MEMO_INDEX_MAX = 1 << 26    # an unpickler makes room up to the index that it is told
    PICKLES_MAX = 4096          # one behind the other

cdef enum pickle_phase:
    PHASE_OPCODE, PHASE_FIXED, PHASE_LINE, PHASE_COUNTED, PHASE_OVER, PHASE_BEHIND, PHASE_BROKEN

cdef struct text_t:
    uint32_t number             # from 1; 0 for none
    uint32_t length             # beyond TEXT_MAX: it is not kept
    uint8_t bytes[112]

cdef struct slot_t:             # of stack and memo: valid where `at` is the place that is asked for
    uint32_t at, text           # number of a text, 0 for what is not known

cdef struct pickle_t:
    uint8_t phase, opcode, wanted, have, lines
    uint8_t framed              # it began with PROTO: another one may follow
    uint8_t ended               # a STOP was reached
    uint8_t sparse              # the memo has holes: what MEMOIZE counts is not known
    uint8_t argument[8]
    uint32_t marks, depth, texts, memoized, kept, pickles, calls
    uint64_t left               # of a counted argument
    uint64_t ops
    text_t line[2]              # the text at work; of two lines, the first and the second
    text_t text[96]
    text_t keep[24]
    slot_t stack[512]
    slot_t memo[512]
    uint32_t mark[256]          # depths


cdef inline void pickle_open(pickle_t *p) noexcept nogil:
    memset(p, 0, sizeof(pickle_t))


cdef inline void break_off(pickle_t *p, model_facts_t *facts, uint8_t kind, const char *why) noexcept nogil:
    """Behind a pickle that is whole, what is none is data of another kind."""
    if p.phase != PHASE_BROKEN:
        p.phase = PHASE_BROKEN
        if kind != FOUND_PICKLE_MALFORMED or p.pickles == 0:
            find_word(facts, kind, why)


# ---- values ----

cdef inline const text_t *text_of(const pickle_t *p, uint32_t number) noexcept nogil:
    cdef uint32_t i
    if number == 0:
        return NULL
    if p.text[number % TEXTS].number == number:
        return &p.text[number % TEXTS]
    for i in range(p.kept):
        if p.keep[i].number == number:
            return &p.keep[i]
    return NULL


cdef inline void keep_text(pickle_t *p, const text_t *text) noexcept nogil:
    cdef uint32_t i
    for i in range(p.kept):
        if p.keep[i].number == text.number:
            return
    if p.kept < KEPT:
        p.keep[p.kept] = text[0]
        p.kept += 1


cdef inline uint32_t floor_of(const pickle_t *p) noexcept nogil:
    return p.mark[p.marks - 1] if p.marks else 0


cdef inline void push(pickle_t *p, model_facts_t *facts, uint32_t text) noexcept nogil:
    if p.depth == <uint32_t> -2:
        break_off(p, facts, FOUND_PICKLE_LIMIT, b"stack")
        return
    p.stack[p.depth % STACK].at = p.depth + 1
    p.stack[p.depth % STACK].text = text
    p.depth += 1


cdef inline uint32_t top_of(const pickle_t *p) noexcept nogil:
    cdef const slot_t *slot = &p.stack[(p.depth - 1) % STACK]
    return slot.text if p.depth and slot.at == p.depth else 0


cdef inline bint takes(pickle_t *p, model_facts_t *facts, uint32_t count) noexcept nogil:
    """Takes so many values off; below the latest mark there are none."""
    if p.depth - floor_of(p) < count:
        break_off(p, facts, FOUND_PICKLE_MALFORMED, b"stack underflow")
        return False
    p.depth -= count
    return True


cdef inline bint takes_mark(pickle_t *p, model_facts_t *facts) noexcept nogil:
    if p.marks == 0:
        break_off(p, facts, FOUND_PICKLE_MALFORMED, b"no mark")
        return False
    p.marks -= 1
    p.depth = p.mark[p.marks]
    return True


cdef inline void push_text(pickle_t *p, model_facts_t *facts) noexcept nogil:
    """The string at work, p.line[0]."""
    cdef text_t *text
    if p.line[0].length > TEXT_MAX:
        push(p, facts, 0)
        return
    p.texts += 1
    text = &p.text[p.texts % TEXTS]
    text[0] = p.line[0]
    text.number = p.texts
    push(p, facts, p.texts)


cdef inline void put_memo(pickle_t *p, uint32_t key, uint32_t text) noexcept nogil:
    """A name that is kept is not displaced by one that may never be one."""
    cdef slot_t *slot = &p.memo[key % MEMO]
    cdef uint32_t i
    if slot.at != key + 1:
        if text == 0:
            return
        for i in range(p.kept):
            if slot.text and p.keep[i].number == slot.text:
                return
    slot.at = key + 1
    slot.text = text


cdef inline void memo_put(pickle_t *p, model_facts_t *facts, uint64_t key) noexcept nogil:
    if p.depth == floor_of(p):
        break_off(p, facts, FOUND_PICKLE_MALFORMED, b"stack underflow")
        return
    if key > MEMO_INDEX_MAX:
        find_word(facts, FOUND_PICKLE_BOMB, b"memo index")
        key &= 0xffffff
    if key > p.memoized:
        p.sparse = True
    p.memoized += key >= p.memoized
    put_memo(p, <uint32_t> key, top_of(p))


cdef inline void memo_get(pickle_t *p, model_facts_t *facts, uint64_t key) noexcept nogil:
    cdef const slot_t *slot = &p.memo[key % MEMO]
    push(p, facts, slot.text if slot.at == key + 1 else 0)


# ---- imports ----

cdef inline void imports(pickle_t *p, model_facts_t *facts, const text_t *module, const text_t *name) noexcept nogil:
    cdef uint32_t judged
    facts.imports += 1
    if module == NULL or name == NULL or module.length > TEXT_MAX or name.length > TEXT_MAX:
        find_word(facts, FOUND_PICKLE_UNRESOLVED, b"")
        return
    judged = judge_import(module.bytes, module.length, name.bytes, name.length)
    if judged == IMPORT_DANGEROUS:
        note_finding(facts, FOUND_PICKLE_IMPORT, module.bytes, module.length, name.bytes, name.length)
    elif judged == IMPORT_UNKNOWN:
        note_finding(facts, FOUND_PICKLE_UNKNOWN, module.bytes, module.length, name.bytes, name.length)


cdef inline void stack_global(pickle_t *p, model_facts_t *facts) noexcept nogil:
    cdef const text_t *module
    cdef const text_t *name
    if p.depth - floor_of(p) < 2:
        break_off(p, facts, FOUND_PICKLE_MALFORMED, b"stack underflow")
        return
    name = text_of(p, top_of(p))
    p.depth -= 1
    module = text_of(p, top_of(p))
    p.depth -= 1
    if module != NULL:
        keep_text(p, module)
    imports(p, facts, module, name)
    push(p, facts, 0)


# ---- opcodes ----

cdef inline uint64_t little(const uint8_t *bytes, uint32_t count) noexcept nogil:
    cdef uint64_t value = 0
    while count:
        count -= 1
        value = value << 8 | bytes[count]
    return value


cdef inline bint is_numeral(const text_t *text, uint64_t *value) noexcept nogil:
    cdef uint32_t i
    value[0] = 0
    if text.length == 0 or text.length > 18:
        return False
    for i in range(text.length):
        if not 48 <= text.bytes[i] <= 57:
            return False
        value[0] = value[0] * 10 + text.bytes[i] - 48
    return True


cdef inline int32_t hex_digits(const uint8_t *at, uint32_t length, uint32_t count) noexcept nogil:
    """The number that so many hex digits write, -1 where they are none."""
    cdef int32_t value = 0
    cdef uint32_t i
    cdef uint8_t c
    if length < count:
        return -1
    for i in range(count):
        c = at[i] | 32
        if 48 <= at[i] <= 57:
            value = value << 4 | (at[i] - 48)
        elif 97 <= c <= 102:
            value = value << 4 | (c - 87)
        else:
            return -1
    return value


cdef inline void unescape(text_t *text, bint quoted) noexcept nogil:
    """The text of STRING (quoted: Python's own escapes) or of UNICODE (those of code points alone), as it will be."""
    cdef uint32_t i = 0, out = 0, digits
    cdef int32_t value
    cdef uint8_t c
    if text.length > TEXT_MAX:
        return
    if quoted and text.length >= 2 and text.bytes[0] in (34, 39) and text.bytes[text.length - 1] == text.bytes[0]:
        text.length -= 1
        i = 1
    while i < text.length:
        c = text.bytes[i]
        i += 1
        if c == 92 and i < text.length:
            c = text.bytes[i]
            digits = 2 if c == 120 and quoted else 4 if c == 117 and not quoted else 8 if c == 85 and not quoted else 0
            if digits:
                value = hex_digits(text.bytes + i + 1, text.length - i - 1, digits)
                if 0 <= value < 128:
                    c = <uint8_t> value
                    i += 1 + digits
                else:
                    c = 92
            elif quoted and 48 <= c <= 55:
                value = 0
                digits = 0
                while digits < 3 and i < text.length and 48 <= text.bytes[i] <= 55:
                    value = value * 8 + text.bytes[i] - 48
                    i += 1
                    digits += 1
                c = <uint8_t> value
            elif quoted and c in (34, 39, 92):
                i += 1
            else:
                c = 92
        text.bytes[out] = c
        out += 1
    text.length = out


cdef inline void stop(pickle_t *p, model_facts_t *facts) noexcept nogil:
    if not takes(p, facts, 1):
        return
    p.phase = PHASE_OVER
    p.ended = True
    p.pickles += 1


cdef inline void run_opcode(pickle_t *p, model_facts_t *facts) noexcept nogil:
    """The opcode at work, with its argument whole."""
    cdef uint8_t op = p.opcode, effect = pickle_effects[op]
    cdef uint64_t value = 0
    p.phase = PHASE_OPCODE
    p.ops += 1
    if p.ops > OPS_MAX:
        break_off(p, facts, FOUND_PICKLE_LIMIT, b"opcodes")
        return
    if effect != PICKLE_SPECIAL:
        p.calls += op in (82, 98, 0x81, 0x92)       # R b NEWOBJ NEWOBJ_EX
        if (op == 73 or op == 76) and p.line[0].length > NUMERAL_MAX:
            find_word(facts, FOUND_PICKLE_BOMB, b"numeral")
        if op == 0x80 and p.argument[0] > 5:
            break_off(p, facts, FOUND_PICKLE_MALFORMED, b"protocol")
        elif takes(p, facts, effect & 15) and effect >> 4:
            push(p, facts, 0)
    elif op == 40:                                  # (
        if p.marks == MARKS:
            break_off(p, facts, FOUND_PICKLE_LIMIT, b"marks")
            return
        p.mark[p.marks] = p.depth
        p.marks += 1
    elif op == 46:                                  # .
        stop(p, facts)
    elif op == 48:                                  # 0: a value, or a mark on top of all
        if p.depth == floor_of(p) and p.marks:
            p.marks -= 1
        else:
            takes(p, facts, 1)
    elif op == 49:                                  # 1
        takes_mark(p, facts)
    elif op == 50:                                  # 2
        if p.depth == floor_of(p):
            break_off(p, facts, FOUND_PICKLE_MALFORMED, b"stack underflow")
        else:
            push(p, facts, top_of(p))
    elif op == 83 or op == 86:                      # S V
        unescape(&p.line[0], op == 83)
        push_text(p, facts)
    elif op in (84, 85, 88, 0x8c, 0x8d):
        push_text(p, facts)
    elif op == 99:                                  # c
        imports(p, facts, &p.line[0], &p.line[1])
        push(p, facts, 0)
    elif op == 105:                                 # i
        if takes_mark(p, facts):
            p.calls += 1
            imports(p, facts, &p.line[0], &p.line[1])
            push(p, facts, 0)
    elif op == 0x93:
        stack_global(p, facts)
    elif op == 111:                                 # o: the class lies on the mark
        if p.depth == floor_of(p):
            break_off(p, facts, FOUND_PICKLE_MALFORMED, b"stack underflow")
        elif takes_mark(p, facts):
            p.calls += 1
            push(p, facts, 0)
    elif op in (100, 108, 116, 0x91):               # d l t FROZENSET
        if takes_mark(p, facts):
            push(p, facts, 0)
    elif op in (101, 117, 0x90):                    # e u ADDITEMS: to what lies below the mark
        if takes_mark(p, facts) and takes(p, facts, 1):
            push(p, facts, 0)
    elif op == 103 or op == 112:                    # g p
        if not is_numeral(&p.line[0], &value):
            break_off(p, facts, FOUND_PICKLE_MALFORMED, b"memo")
        elif op == 103:
            memo_get(p, facts, value)
        else:
            memo_put(p, facts, value)
    elif op == 104 or op == 106:                    # h j
        memo_get(p, facts, little(p.argument, p.wanted))
    elif op == 113 or op == 114:                    # q r
        memo_put(p, facts, little(p.argument, p.wanted))
    elif op == 0x94:
        if p.sparse:
            find_word(facts, FOUND_PICKLE_UNRESOLVED, b"memo")
        memo_put(p, facts, p.memoized)
    else:                                           # EXT1 EXT2 EXT4: what they stand for is known where it is loaded
        facts.imports += 1
        find_word(facts, FOUND_PICKLE_EXTENSION, b"")
        push(p, facts, 0)


# ---- bytes ----

cdef inline void begin_opcode(pickle_t *p, model_facts_t *facts, uint8_t op) noexcept nogil:
    cdef uint8_t argument = pickle_arguments[op]
    p.opcode = op
    p.have = p.lines = 0
    p.line[0].length = p.line[1].length = 0
    p.wanted = 0
    if argument == ARG_BAD:
        break_off(p, facts, FOUND_PICKLE_MALFORMED, b"opcode")
    elif argument == ARG_NONE:
        run_opcode(p, facts)
    elif argument <= ARG_8:
        p.wanted = <uint8_t> (1 << (argument - ARG_1))
        p.phase = PHASE_FIXED
    elif argument <= ARG_LINES:
        p.wanted = 1 if argument == ARG_LINE else 2
        p.phase = PHASE_LINE
    else:
        p.wanted = 1 if argument == ARG_COUNT1 else 4 if argument == ARG_COUNT4 else 8
        p.phase = PHASE_FIXED


cdef inline void end_fixed(pickle_t *p, model_facts_t *facts) noexcept nogil:
    if pickle_arguments[p.opcode] < ARG_COUNT1:
        run_opcode(p, facts)
        return
    p.left = little(p.argument, p.wanted)
    if p.left > <uint64_t> 1 << 40 or (p.opcode == 84 or p.opcode == 0x8b) and p.left >> 31:
        break_off(p, facts, FOUND_PICKLE_BOMB, b"length")
    elif p.left == 0:
        run_opcode(p, facts)
    else:
        p.phase = PHASE_COUNTED


cdef inline void add_text(text_t *text, const uint8_t *data, uint32_t length) noexcept nogil:
    if text.length < TEXT_MAX:
        memcpy(text.bytes + text.length, data, min(length, TEXT_MAX - text.length))
    text.length = <uint32_t> min(<uint64_t> text.length + length, <uint64_t> <uint32_t> -1)


cdef inline uint32_t pickle_feed(pickle_t *p, model_facts_t *facts, const uint8_t *data, uint32_t length) noexcept nogil:
    """Walks on; the bytes taken: all of them, but those behind the end of the last pickle, or where it is none."""
    cdef uint32_t at = 0, size
    while at < length:
        if p.phase == PHASE_OPCODE:
            if p.ops == 0:
                p.framed = data[at] == 0x80
            begin_opcode(p, facts, data[at])
            at += 1
        elif p.phase == PHASE_FIXED:
            p.argument[p.have] = data[at]
            p.have += 1
            at += 1
            if p.have == p.wanted:
                end_fixed(p, facts)
        elif p.phase == PHASE_LINE:
            size = at
            while at < length and data[at] != 10:
                at += 1
            add_text(&p.line[p.lines], data + size, at - size)
            if at < length:
                at += 1
                p.lines += 1
                if p.lines == p.wanted:
                    run_opcode(p, facts)
        elif p.phase == PHASE_COUNTED:
            size = <uint32_t> min(p.left, <uint64_t> (length - at))
            add_text(&p.line[0], data + at, size)
            at += size
            p.left -= size
            if p.left == 0:
                run_opcode(p, facts)
        elif p.phase == PHASE_OVER and p.framed and data[at] == 0x80 and p.pickles < PICKLES_MAX:
            p.marks = p.depth = p.memoized = p.sparse = 0
            memset(p.memo, 0, sizeof(p.memo))
            p.phase = PHASE_OPCODE
        else:
            if p.phase == PHASE_OVER:
                p.phase = PHASE_BEHIND      # data of another kind
            break
    return at


cdef inline void pickle_end(pickle_t *p, model_facts_t *facts, bint whole) noexcept nogil:
    """No more bytes. whole: and none are missing."""
    if whole and p.phase < PHASE_OVER and (p.ops or p.have) and not (p.ended and p.phase == PHASE_OPCODE):
        break_off(p, facts, FOUND_PICKLE_MALFORMED, b"truncated")
