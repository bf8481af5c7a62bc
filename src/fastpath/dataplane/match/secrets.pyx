"""What leak rules look for, found in bytes that are about to be written: expressions with their validators, and what is known already.

Made for outputs, not for packets: a Finder belongs to one thread and holds the GIL."""
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fastpath.dataplane.match.validators cimport is_valid
from fastpath.dataplane.pcre2 cimport (
    PCRE2_CASELESS, PCRE2_DOLLAR_ENDONLY, PCRE2_DOTALL, PCRE2_EXTENDED, PCRE2_MULTILINE, PCRE2_UNGREEDY, pcre2_code, pcre2_code_free,
    pcre2_compile, pcre2_get_error_message, pcre2_get_ovector_pointer, pcre2_jit_compile, pcre2_match, pcre2_match_context,
    pcre2_match_context_create, pcre2_match_context_free, pcre2_match_data, pcre2_match_data_create, pcre2_match_data_free,
    pcre2_set_depth_limit, pcre2_set_heap_limit, pcre2_set_match_limit, PCRE2_JIT_COMPLETE,
)

cdef extern from "pcre2.h" nogil:
    const uint32_t PCRE2_PARTIAL_HARD, PCRE2_JIT_PARTIAL_HARD
    const int PCRE2_ERROR_PARTIAL, PCRE2_ERROR_NOMATCH

cdef extern from *:
    """
    #define _GNU_SOURCE
    #include <string.h>
    """
    void *memmem(const void *data, size_t length, const void *text, size_t size) nogil

cdef enum:
    WINDOW = 8                  # bytes of a known secret by which a piece of it is recognised
    KNOWN_ROOM = 1 << 17        # windows that are known at most: 3 of 4 places
    TAIL = 4096                 # bytes before the end in which a secret may begin that goes on beyond it
    CUT_MIN = 8                 # of which at least so many are there
    MATCH_LIMIT = 100_000
    DEPTH_LIMIT = 10_000
    HEAP_KIB = 4096

#: Bits of an expression's options, as compiled rules have them (match/program.h, EXPRESSION_*).
OPTIONS = {"i": PCRE2_CASELESS, "m": PCRE2_MULTILINE, "s": PCRE2_DOTALL, "x": PCRE2_EXTENDED, "E": PCRE2_DOLLAR_ENDONLY, "G": PCRE2_UNGREEDY}


cdef class Finder:
    """expressions: (PCRE2 expression, option letters, number of a validator or None, a text that is in all that it matches or b"").
    ValueError for one that PCRE2 refuses.

    overflows: how often what was known had to be forgotten, because there was no room for more; limits: matches that a limit of PCRE2
    ended, which counts as found from where the search began.
    """
    cdef pcre2_code **codes
    cdef long *validators
    cdef list literals
    cdef uint32_t count, known_count
    cdef uint64_t *known
    cdef pcre2_match_data *match
    cdef pcre2_match_context *context
    cdef readonly uint64_t overflows, limits

    def __cinit__(self, list expressions not None):
        cdef int error
        cdef size_t offset
        cdef uint8_t message[256]
        cdef uint32_t bits
        cdef bytes text
        cdef Py_ssize_t n = len(expressions)
        self.codes = <pcre2_code **> calloc(n + 1, sizeof(void *))
        self.validators = <long *> calloc(n + 1, sizeof(long))
        self.known = <uint64_t *> calloc(KNOWN_ROOM, sizeof(uint64_t))
        self.match = pcre2_match_data_create(1, NULL)
        self.context = pcre2_match_context_create(NULL)
        if self.codes == NULL or self.validators == NULL or self.known == NULL or self.match == NULL or self.context == NULL:
            raise MemoryError
        pcre2_set_match_limit(self.context, MATCH_LIMIT)
        pcre2_set_depth_limit(self.context, DEPTH_LIMIT)
        pcre2_set_heap_limit(self.context, HEAP_KIB)
        self.literals = []
        for expression, options, validator, literal in expressions:
            text, bits = expression, 0
            self.literals.append(literal)
            for letter in options:
                bits |= <uint32_t> OPTIONS[letter]
            self.codes[self.count] = pcre2_compile(<const uint8_t *> <const char *> text, len(text), bits, &error, &offset, NULL)
            if self.codes[self.count] == NULL:
                pcre2_get_error_message(error, message, sizeof(message))
                raise ValueError(f"{text!r}, offset {offset}: {(<const char *> message).decode()}")
            pcre2_jit_compile(self.codes[self.count], PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD)
            self.validators[self.count] = -1 if validator is None else validator
            self.count += 1

    def __dealloc__(self):
        cdef uint32_t i
        if self.codes != NULL:
            for i in range(self.count):
                pcre2_code_free(self.codes[i])
        free(self.codes)
        free(self.validators)
        free(self.known)
        pcre2_match_data_free(self.match)
        pcre2_match_context_free(self.context)

    cdef list found(self, uint32_t i, const uint8_t *data, size_t length, bint cut, list out):
        cdef const size_t *ends = pcre2_get_ovector_pointer(self.match)
        cdef size_t at = 0, start, end
        cdef int status
        while at <= length:
            status = pcre2_match(self.codes[i], data, length, at, 0, self.match, self.context)
            if status == PCRE2_ERROR_NOMATCH:
                break
            if status < 0:          # a limit: what cannot be looked through is not shown
                self.limits += 1
                out.append((at, length, i))
                break
            start, end = ends[0], ends[1]
            if end <= start:
                at = max(start, at) + 1
            elif self.validators[i] >= 0 and not is_valid(<uint32_t> self.validators[i], data + start, <uint32_t> (end - start)):
                at = start + 1
            else:
                out.append((start, end, i))
                at = end
        if not cut:
            return out
        at = length - TAIL if length > TAIL else 0
        while at < length:
            status = pcre2_match(self.codes[i], data, length, at, PCRE2_PARTIAL_HARD, self.match, self.context)
            if status == PCRE2_ERROR_PARTIAL:
                if length - ends[0] >= CUT_MIN:
                    out.append((ends[0], length, i))
                break
            if status < 0:
                break
            at = max(ends[1], at + 1)
        return out

    def find(self, bytes data not None, bint cut=False):
        """(start, end, index of the expression) of what is found; index -1 for pieces of what is known. cut: the bytes may go on
        elsewhere, and what a secret at their end may begin with counts."""
        cdef const uint8_t *at = data
        cdef size_t length = len(data)
        cdef uint32_t i
        cdef bytes literal
        cdef list out = []
        for i in range(self.count):
            literal = self.literals[i]
            if cut or len(literal) == 0 or memmem(at, length, <const char *> literal, len(literal)) != NULL:
                self.found(i, at, length, cut, out)
        if self.known_count:
            self.pieces(at, length, out)
        return out

    # ---- what is known ----

    cdef bint has(self, uint64_t window) noexcept:
        cdef uint32_t at = <uint32_t> ((window * 0x9E3779B97F4A7C15ULL) >> 40) & (KNOWN_ROOM - 1)
        while self.known[at]:
            if self.known[at] == window:
                return True
            at = (at + 1) & (KNOWN_ROOM - 1)
        return False

    def learn(self, bytes secret not None):
        """From now on pieces of it are found: every run of 8 bytes or more."""
        cdef const uint8_t *data = secret
        cdef Py_ssize_t i
        cdef uint64_t window
        cdef uint32_t at
        for i in range(len(secret) - WINDOW + 1):
            memcpy(&window, data + i, WINDOW)
            if window == 0 or self.has(window):
                continue
            if self.known_count > KNOWN_ROOM // 4 * 3:
                memset(self.known, 0, KNOWN_ROOM * sizeof(uint64_t))
                self.known_count = 0
                self.overflows += 1
            at = <uint32_t> ((window * 0x9E3779B97F4A7C15ULL) >> 40) & (KNOWN_ROOM - 1)
            while self.known[at]:
                at = (at + 1) & (KNOWN_ROOM - 1)
            self.known[at] = window
            self.known_count += 1

    def know(self, Finder other not None):
        """Knows what the other knows, and nothing else."""
        memcpy(self.known, other.known, KNOWN_ROOM * sizeof(uint64_t))
        self.known_count, self.overflows = other.known_count, other.overflows

    cdef void pieces(self, const uint8_t *data, size_t length, list out):
        cdef size_t i = 0, start
        cdef uint64_t window
        while i + WINDOW <= length:
            memcpy(&window, data + i, WINDOW)
            if not self.has(window):
                i += 1
                continue
            start = i
            while i + WINDOW <= length:
                memcpy(&window, data + i, WINDOW)
                if not self.has(window):
                    break
                i += 1
            out.append((start, i + WINDOW - 1, -1))
