/* Where lines end, and words: many bytes looked at together. */
#ifndef FASTPATH_LINES_H
#define FASTPATH_LINES_H

#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Bytes before the first line feed or carriage return; all of them where there is none. */
static inline uint32_t line_length(const uint8_t *data, uint32_t length)
{
    uint32_t at = 0;
#if defined(__SSE2__)
    const __m128i feed = _mm_set1_epi8('\n'), carriage = _mm_set1_epi8('\r');
    for (; length - at >= 16; at += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(data + at));
        const int found = _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(bytes, feed), _mm_cmpeq_epi8(bytes, carriage)));
        if (found)
            return at + (uint32_t)__builtin_ctz((unsigned)found);
    }
#endif
    while (at < length && data[at] != '\n' && data[at] != '\r')
        at++;
    return at;
}

/* Of a text that begins with a line: the bytes of the lines before the first one that is not whole, has more than `most` bytes,
   or begins with '.' or '-'. A carriage return with which the text ends may be half of an end. `most`: 64 or more. */
static inline uint32_t plain_lines(const uint8_t *data, uint32_t length, uint32_t most)
{
    uint32_t start = 0, at = 0;         /* start: of the line at work */
    if (length == 0 || data[0] == '.' || data[0] == '-')
        return 0;
#if defined(__SSE2__)
    const __m128i feed = _mm_set1_epi8('\n'), carriage = _mm_set1_epi8('\r'), dot = _mm_set1_epi8('.'), dash = _mm_set1_epi8('-');
    for (; length - at > 64; at += 64) {
        uint64_t ends = 0, marks = 0;
        for (uint32_t i = 0; i < 64; i += 16) {
            const __m128i bytes = _mm_loadu_si128((const __m128i *)(data + at + i));
            const __m128i next = _mm_loadu_si128((const __m128i *)(data + at + i + 1));
            const __m128i end = _mm_or_si128(_mm_cmpeq_epi8(bytes, feed), _mm_cmpeq_epi8(bytes, carriage));
            const __m128i mark = _mm_or_si128(_mm_cmpeq_epi8(next, dot), _mm_cmpeq_epi8(next, dash));
            ends |= (uint64_t)(uint32_t)_mm_movemask_epi8(end) << i;
            marks |= (uint64_t)(uint32_t)_mm_movemask_epi8(mark) << i;
        }
        if (ends && at + (uint32_t)__builtin_ctzll(ends) - start > most)
            return start;
        if (ends & marks)
            return at + (uint32_t)__builtin_ctzll(ends & marks) + 1;
        if (ends)
            start = at + 64 - (uint32_t)__builtin_clzll(ends);
    }
#endif
    for (; at < length; at++) {
        if (data[at] != '\n' && (data[at] != '\r' || at + 1 == length))
            continue;
        if (at - start > most)
            return start;
        start = at + 1;
        if (start < length && (data[start] == '.' || data[start] == '-'))
            return start;
    }
    return start;
}

/* A byte of a token, as RFC 7230 section 3.2.6 has it, with what separates left out. */
static inline int is_token(uint8_t c)
{
    /* bit c % 64 of word c / 64 */
    static const uint64_t tokens[4] = {0x03ff6cfa00000000u, 0x57ffffffc7fffffeu};
    return tokens[c >> 6] >> (c & 63) & 1;
}

/* Bytes of the token that the data begins with. */
static inline uint32_t token_length(const uint8_t *data, uint32_t length)
{
    uint32_t at = 0;
    while (at < length && is_token(data[at]))
        at++;
    return at;
}

#endif
