/* Looking for bytes among many, as wide as the processor goes: chosen at run time, plain C elsewhere. */
#ifndef FASTPATH_SIMD_H
#define FASTPATH_SIMD_H

#include <stdint.h>
#include <string.h>

/* What is looked for. Where case does not count the text is in lower case, and `fold` is 0xff; else 0. */
typedef struct needle {
    const uint8_t *text;
    uint32_t size;              /* 1 or more */
    uint16_t probe[2];          /* two places in it, the bytes there seldom: where both are found the rest is compared */
    uint8_t fold;
} needle_t;

static inline uint8_t lower_byte(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c | 32 : c;
}

/* The bit by which the cases of a letter differ, 0 of what is none: of lower-case letters alone `byte | case_bit(c) == c`
   holds for both cases. */
static inline uint8_t case_bit(uint8_t c)
{
    return c >= 'a' && c <= 'z' ? 32 : 0;
}

static inline int needle_here(const needle_t *needle, const uint8_t *at)
{
    if (!needle->fold)
        return memcmp(at, needle->text, needle->size) == 0;
    for (uint32_t i = 0; i < needle->size; i++)
        if (lower_byte(at[i]) != needle->text[i])
            return 0;
    return 1;
}

static inline const uint8_t *find_plainly(const needle_t *needle, const uint8_t *at, const uint8_t *last)
{
    const uint8_t a = needle->text[needle->probe[0]], fold = needle->fold & case_bit(a);
    for (; at <= last; at++)
        if ((at[needle->probe[0]] | fold) == a && needle_here(needle, at))
            return at;
    return NULL;
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2"), noinline))
static const uint8_t *find_avx2(const needle_t *needle, const uint8_t *at, const uint8_t *last)
{
    const uint8_t first = needle->text[needle->probe[0]], second = needle->text[needle->probe[1]];
    const __m256i a = _mm256_set1_epi8((char)first), b = _mm256_set1_epi8((char)second);
    const __m256i fold_a = _mm256_set1_epi8((char)(needle->fold & case_bit(first)));
    const __m256i fold_b = _mm256_set1_epi8((char)(needle->fold & case_bit(second)));
    for (; last - at >= 31; at += 32) {
        __m256i x = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(at + needle->probe[0])), fold_a);
        __m256i y = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(at + needle->probe[1])), fold_b);
        uint32_t hits = (uint32_t)_mm256_movemask_epi8(_mm256_and_si256(_mm256_cmpeq_epi8(x, a), _mm256_cmpeq_epi8(y, b)));
        for (; hits; hits &= hits - 1)
            if (needle_here(needle, at + __builtin_ctz(hits)))
                return at + __builtin_ctz(hits);
    }
    return find_plainly(needle, at, last);
}

static inline const uint8_t *find_sse2(const needle_t *needle, const uint8_t *at, const uint8_t *last)
{
    const uint8_t first = needle->text[needle->probe[0]], second = needle->text[needle->probe[1]];
    const __m128i a = _mm_set1_epi8((char)first), b = _mm_set1_epi8((char)second);
    const __m128i fold_a = _mm_set1_epi8((char)(needle->fold & case_bit(first)));
    const __m128i fold_b = _mm_set1_epi8((char)(needle->fold & case_bit(second)));
    for (; last - at >= 15; at += 16) {
        __m128i x = _mm_or_si128(_mm_loadu_si128((const __m128i *)(at + needle->probe[0])), fold_a);
        __m128i y = _mm_or_si128(_mm_loadu_si128((const __m128i *)(at + needle->probe[1])), fold_b);
        uint32_t hits = (uint32_t)_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(x, a), _mm_cmpeq_epi8(y, b)));
        for (; hits; hits &= hits - 1)
            if (needle_here(needle, at + __builtin_ctz(hits)))
                return at + __builtin_ctz(hits);
    }
    return find_plainly(needle, at, last);
}

/* The first occurrence in these bytes, NULL for none. */
static inline const uint8_t *find_needle(const needle_t *needle, const uint8_t *data, uint32_t length)
{
    if (needle->size > length)
        return NULL;
    const uint8_t *last = data + (length - needle->size);
    if (last - data >= 31 && __builtin_cpu_supports("avx2"))
        return find_avx2(needle, data, last);
    return find_sse2(needle, data, last);
}
#else
static inline const uint8_t *find_needle(const needle_t *needle, const uint8_t *data, uint32_t length)
{
    return needle->size > length ? NULL : find_plainly(needle, data, data + (length - needle->size));
}
#endif

#endif
