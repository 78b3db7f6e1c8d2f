/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors by intrinsics: what codecs, ciphers and games do. */
#include <immintrin.h>

#include "rows.h"

#define PIXELS 16384u

/* Blend, brighten and compare pictures of bytes. */
static uint64_t bytes(unsigned n)
{
    static uint8_t a[PIXELS], b[PIXELS];
    uint64_t seed = 9, sum = 0;

    for (unsigned i = 0; i < PIXELS; i++) {
        a[i] = (uint8_t)next_random(&seed);
        b[i] = (uint8_t)next_random(&seed);
    }
    while (n--) {
        __m128i total = _mm_setzero_si128(), one = _mm_set1_epi8(1);
        for (unsigned i = 0; i < PIXELS; i += 16) {
            __m128i x = _mm_loadu_si128((const __m128i *)(a + i));
            __m128i y = _mm_loadu_si128((const __m128i *)(b + i));
            total = _mm_add_epi64(total, _mm_sad_epu8(x, y));
            __m128i mean = _mm_avg_epu8(x, y);
            __m128i less = _mm_cmpeq_epi8(_mm_min_epu8(x, y), x);
            x = _mm_adds_epu8(_mm_subs_epu8(x, one), _mm_and_si128(less, one));
            y = _mm_xor_si128(mean, _mm_unpacklo_epi8(x, y));
            _mm_storeu_si128((__m128i *)(a + i), x);
            _mm_storeu_si128((__m128i *)(b + i), y);
        }
        sum = mix(sum, (uint64_t)_mm_cvtsi128_si64(total));
    }
    return sum;
}

const struct row vector_rows[] = {
    { "bytes", "vector", bytes, 80000, NULL },
    { 0 },
};
