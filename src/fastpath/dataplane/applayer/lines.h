/* Where lines end, and words: many bytes looked at together. */
#ifndef FASTPATH_LINES_H
#define FASTPATH_LINES_H

#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Does a line end here? */
static inline int is_line_end(uint8_t c)
{
    return c == '\n' || c == '\r';
}

#if defined(__SSE2__)
/* Which of sixteen bytes are one of two? */
static inline __m128i either_among(const uint8_t *data, char one, char other)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)data);
    return _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(one)), _mm_cmpeq_epi8(bytes, _mm_set1_epi8(other)));
}

/* A bit for each of sixteen bytes with which a line ends. */
static inline uint32_t ends_among(const uint8_t *data)
{
    return (uint32_t)_mm_movemask_epi8(either_among(data, '\n', '\r'));
}

/* Likewise for each '.' or '-' that a line begins with. The byte before them is read. */
static inline uint32_t starts_among(const uint8_t *data)
{
    return (uint32_t)_mm_movemask_epi8(_mm_and_si128(either_among(data, '.', '-'), either_among(data - 1, '\n', '\r')));
}

/* How far sixteen bytes stand behind '-', which '.' follows: 0 or 1 is one of both. */
static inline __m128i beyond_dash(const uint8_t *data)
{
    return _mm_sub_epi8(_mm_loadu_si128((const __m128i *)data), _mm_set1_epi8('-'));
}
#endif

/* Below, what is left of many bytes, fewer than sixteen, is looked at with some that were seen before and hold nothing. */

/* Bytes before the first line feed or carriage return; all of them where there is none. */
static inline uint32_t line_length(const uint8_t *data, uint32_t length)
{
    uint32_t at = 0;
#if defined(__SSE2__)
    if (length >= 16) {
        for (; length - at >= 16; at += 16) {
            const uint32_t found = ends_among(data + at);
            if (found)
                return at + (uint32_t)__builtin_ctz(found);
        }
        const uint32_t found = ends_among(data + length - 16);
        return found ? length - 16 + (uint32_t)__builtin_ctz(found) : length;
    }
#endif
    while (at < length && !is_line_end(data[at]))
        at++;
    return at;
}

/* Where the last line feed or carriage return stands; -1 for nowhere. */
static inline int32_t last_line_end(const uint8_t *data, uint32_t length)
{
#if defined(__SSE2__)
    if (length >= 16) {
        for (uint32_t at = length; at >= 16; at -= 16) {
            const uint32_t found = ends_among(data + at - 16);
            if (found)
                return (int32_t)at + 15 - __builtin_clz(found);
        }
        const uint32_t found = ends_among(data);
        return found ? 31 - __builtin_clz(found) : -1;
    }
#endif
    while (length && !is_line_end(data[length - 1]))
        length--;
    return (int32_t)length - 1;
}

/* Where a line begins with '.' or '-' first, of bytes that others stand before; all of them where none does. */
static inline uint32_t marked_line(const uint8_t *data, uint32_t length)
{
    uint32_t at = 0;
#if defined(__SSE2__)
    for (; length - at >= 64; at += 64) {
        const uint8_t *next = data + at;
        const __m128i least = _mm_min_epu8(_mm_min_epu8(beyond_dash(next), beyond_dash(next + 16)),
                                           _mm_min_epu8(beyond_dash(next + 32), beyond_dash(next + 48)));
        if (!_mm_movemask_epi8(_mm_cmpeq_epi8(least, _mm_min_epu8(least, _mm_set1_epi8(1)))))
            continue;                       /* of base64 nearly always */
        for (uint32_t i = 0; i < 64; i += 16) {
            const uint32_t starts = starts_among(next + i);
            if (starts)
                return at + i + (uint32_t)__builtin_ctz(starts);
        }
    }
    if (length >= 16) {
        for (; length - at >= 16; at += 16) {
            const uint32_t starts = starts_among(data + at);
            if (starts)
                return at + (uint32_t)__builtin_ctz(starts);
        }
        const uint32_t starts = starts_among(data + length - 16);
        return starts ? length - 16 + (uint32_t)__builtin_ctz(starts) : length;
    }
#endif
    while (at < length && !((data[at] == '.' || data[at] == '-') && is_line_end(*(data + at - 1))))
        at++;
    return at;
}

/* Of a text that begins with a line: the bytes of the lines before the first one that is not whole, has more than `most` bytes,
   or begins with '.' or '-'. A carriage return with which the text ends may be half of an end. */
static inline uint32_t plain_lines(const uint8_t *data, uint32_t length, uint32_t most)
{
    uint32_t start = 0;
    if (length == 0 || data[0] == '.' || data[0] == '-')
        return 0;
    const uint32_t shown = length - (data[length - 1] == '\r');
    for (;;) {
        /* the lines that end among so many bytes are short enough, and none is where no line ends */
        const uint32_t left = shown - start, within = left <= most ? left : most + 1;
        const uint32_t whole = (uint32_t)(last_line_end(data + start, within) + 1);
        if (whole == 0)
            return start;
        const uint32_t looked = whole - (start + whole == length);      /* with the first byte behind them */
        const uint32_t marked = marked_line(data + start + 1, looked);
        start += marked < looked ? marked + 1 : whole;
        if (marked < looked)
            return start;
    }
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
