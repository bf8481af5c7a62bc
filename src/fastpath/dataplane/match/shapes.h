/* Shapes: classes of bytes for a few places in a row, what an expression asks for where it has no literal (rules/shapes.py). Eight
   at once: bit k of a byte stands for shape k, and a place is looked at by one `and`. */
#ifndef FASTPATH_SHAPES_H
#define FASTPATH_SHAPES_H

#include <stdint.h>
#include <string.h>

enum { SHAPE_PLACES = 16, SHAPE_EARLY = 8, SHAPES_TOGETHER = 8 };

typedef struct shapes {
    uint32_t count;
    uint32_t reserved[5];
    uint8_t size[SHAPES_TOGETHER];          /* places of each; at those beyond, any byte will do */
    uint32_t pattern[SHAPES_TOGETHER];      /* as which of its set each reports */
    uint8_t low[SHAPE_EARLY][16];           /* by the lower half of the byte at a place, and by the upper: the shapes that it may be of */
    uint8_t high[SHAPE_EARLY][16];
    uint8_t exact[SHAPE_PLACES][256];       /* by the byte: those that it is of */
} shapes_t;
_Static_assert(sizeof(shapes_t) == 4416, "packed by rules/program.py");

/* The shapes that begin here, of those asked for; `rest` bytes are left, 1 or more. */
static inline uint32_t shapes_here(const shapes_t *shapes, const uint8_t *at, uint32_t rest, uint32_t asked)
{
    const uint32_t places = rest < SHAPE_PLACES ? rest : SHAPE_PLACES;
    for (uint32_t place = 0; place < places && asked; place++)
        asked &= shapes->exact[place][at[place]];
    if (rest < SHAPE_PLACES)
        for (uint32_t k = 0; k < shapes->count; k++)
            if (shapes->size[k] > rest)
                asked &= ~(1u << k);
    return asked;
}

/* Notes the shapes that begin at a place: which, and where each ends. */
static inline uint32_t shapes_noted(const shapes_t *shapes, const uint8_t *data, uint32_t at, uint32_t length, uint32_t asked, uint32_t *ends)
{
    const uint32_t found = shapes_here(shapes, data + at, length - at, asked);
    for (uint32_t bits = found; bits; bits &= bits - 1) {
        const uint32_t k = (uint32_t)__builtin_ctz(bits);
        ends[k] = at + shapes->size[k];
    }
    return found;
}

static inline uint32_t shapes_plainly(const shapes_t *shapes, const uint8_t *data, uint32_t length, uint32_t *ends)
{
    const uint32_t all = (1u << shapes->count) - 1;
    uint32_t found = 0;
    for (uint32_t at = 0; at < length && found != all; at++)
        if (shapes->exact[0][data[at]] & all & ~found)
            found |= shapes_noted(shapes, data, at, length, all & ~found, ends);
    return found;
}

#if defined(__x86_64__)
#include <immintrin.h>

/* Which of the first four places, or the four after them, the bytes from each of 32 on may fill. */
__attribute__((target("avx2")))
static inline __m256i shapes_may(const shapes_t *shapes, const uint8_t *at, uint32_t from, __m256i may)
{
    const __m256i half = _mm256_set1_epi8(15);
    for (uint32_t place = from; place < from + SHAPE_EARLY / 2; place++) {
        const __m256i bytes = _mm256_loadu_si256((const __m256i *)(at + place));
        const __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)shapes->low[place]));
        const __m256i high = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)shapes->high[place]));
        may = _mm256_and_si256(may, _mm256_and_si256(
            _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, half)),
            _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half))));
    }
    return may;
}

__attribute__((target("avx2"), noinline))
static uint32_t shapes_avx2(const shapes_t *shapes, const uint8_t *data, uint32_t length, uint32_t *ends)
{
    const uint32_t all = (1u << shapes->count) - 1;
    uint8_t last[2 * 32 + SHAPE_EARLY];     /* what is too short for a whole look, and blank behind it */
    uint32_t found = 0;
    for (uint32_t at = 0; at < length && found != all; at += 32) {
        const uint8_t *here = data + at;
        uint32_t starts = 0xffffffffu;
        if (length - at < 32 + SHAPE_EARLY) {
            memset(last, 0, sizeof last);
            memcpy(last, here, length - at);
            here = last;
            if (length - at < 32)
                starts = (1u << (length - at)) - 1;
        }
        __m256i may = shapes_may(shapes, here, 0, _mm256_set1_epi8((char)(all & ~found)));
        if (_mm256_testz_si256(may, may))
            continue;
        may = shapes_may(shapes, here, SHAPE_EARLY / 2, may);
        starts &= ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(may, _mm256_setzero_si256()));
        for (; starts; starts &= starts - 1)
            found |= shapes_noted(shapes, data, at + (uint32_t)__builtin_ctz(starts), length, all & ~found, ends);
    }
    return found;
}
#endif

/* The shapes that are in these bytes, as bits, and where each that is there first ends. ends: room for SHAPES_TOGETHER. */
static inline uint32_t shapes_in(const shapes_t *shapes, const uint8_t *data, uint32_t length, uint32_t *ends)
{
#if defined(__x86_64__)
    if (length > SHAPE_EARLY && __builtin_cpu_supports("avx2"))
        return shapes_avx2(shapes, data, length, ends);
#endif
    return shapes_plainly(shapes, data, length, ends);
}

#endif
