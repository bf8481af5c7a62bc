/* base64 (RFC 2045 section 6.8), a character and a quantum of four at a time. */
#ifndef FASTPATH_BASE64_H
#define FASTPATH_BASE64_H
#include <stdint.h>

/* Of each byte its six bits, 64 for padding, 255 for what is skipped. */
static const uint8_t fastpath_base64[256] = {
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 62, 255, 255, 255, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 255, 255, 255, 64, 255, 255,
    255, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 255, 255, 255, 255, 255,
    255, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
};

#define FASTPATH_BASE64_BAD (1u << 24)

/* The 24 bits of four characters; FASTPATH_BASE64_BAD or more where one of them is padding or is skipped. */
static inline uint32_t fastpath_base64_quantum(const uint8_t *text) {
    uint32_t a = fastpath_base64[text[0]], b = fastpath_base64[text[1]], c = fastpath_base64[text[2]], d = fastpath_base64[text[3]];
    return a << 18 | b << 12 | c << 6 | d | ((a | b | c | d) & 0xc0) << 18;
}

enum { FASTPATH_BASE64_BLOCK = 32 };    /* characters; 24 bytes of them, and 8 more are written over */

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2")))
static inline __m256i fastpath_base64_between(__m256i text, char first, char last) {
    return _mm256_and_si256(_mm256_cmpgt_epi8(text, _mm256_set1_epi8((char)(first - 1))),
                            _mm256_cmpgt_epi8(_mm256_set1_epi8((char)(last + 1)), text));
}

/* Undoes the blocks up to the first that holds padding or what is skipped. Returns how many characters that were. */
__attribute__((target("avx2"), noinline))
static uint32_t fastpath_base64_blocks(const uint8_t *text, uint32_t length, uint8_t *out) {
    const __m256i order = _mm256_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1,
                                           2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
    uint32_t at = 0;
    for (; length - at >= FASTPATH_BASE64_BLOCK; at += FASTPATH_BASE64_BLOCK, out += 24) {
        const __m256i c = _mm256_loadu_si256((const __m256i *)(text + at));
        const __m256i upper = fastpath_base64_between(c, 'A', 'Z'), small = fastpath_base64_between(c, 'a', 'z');
        const __m256i digit = fastpath_base64_between(c, '0', '9');
        const __m256i plus = _mm256_cmpeq_epi8(c, _mm256_set1_epi8('+')), slash = _mm256_cmpeq_epi8(c, _mm256_set1_epi8('/'));
        const __m256i known = _mm256_or_si256(_mm256_or_si256(_mm256_or_si256(upper, small), _mm256_or_si256(digit, plus)), slash);
        if (_mm256_movemask_epi8(known) != -1)
            break;
        const __m256i away = _mm256_or_si256(
            _mm256_or_si256(_mm256_and_si256(upper, _mm256_set1_epi8(-'A')), _mm256_and_si256(small, _mm256_set1_epi8(26 - 'a'))),
            _mm256_or_si256(_mm256_and_si256(digit, _mm256_set1_epi8(52 - '0')),
                            _mm256_or_si256(_mm256_and_si256(plus, _mm256_set1_epi8(62 - '+')),
                                            _mm256_and_si256(slash, _mm256_set1_epi8(63 - '/')))));
        const __m256i twelve = _mm256_maddubs_epi16(_mm256_add_epi8(c, away), _mm256_set1_epi16(0x0140));    /* a << 6 | b */
        const __m256i quanta = _mm256_madd_epi16(twelve, _mm256_set1_epi32(0x00011000));                    /* of each 24 bits */
        const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(quanta, order),
                                                          _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
        _mm256_storeu_si256((__m256i *)out, bytes);
    }
    return at;
}

static inline uint32_t fastpath_base64_wide(const uint8_t *text, uint32_t length, uint8_t *out) {
    return length >= FASTPATH_BASE64_BLOCK && __builtin_cpu_supports("avx2") ? fastpath_base64_blocks(text, length, out) : 0;
}
#else
static inline uint32_t fastpath_base64_wide(const uint8_t *text, uint32_t length, uint8_t *out) {
    (void)text, (void)length, (void)out;
    return 0;
}
#endif
#endif
