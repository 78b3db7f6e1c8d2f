/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors by intrinsics: what codecs, ciphers and games do. */
#include <cpuid.h>
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

/* Points through 4x4 matrices of floats. */
static uint64_t matrix(unsigned n)
{
    static float points[1024][4], moved[1024][4];
    float m[4][4];
    uint64_t seed = 10, sum = 0;

    for (unsigned i = 0; i < 1024; i++) {
        for (unsigned k = 0; k < 4; k++)
            points[i][k] = next_random(&seed) * 0x1p-31f;
    }
    for (unsigned i = 0; i < 16; i++)
        m[i / 4][i % 4] = next_random(&seed) * 0x1p-33f;
    while (n--) {
        __m128 a = _mm_loadu_ps(m[0]), b = _mm_loadu_ps(m[1]);
        __m128 c = _mm_loadu_ps(m[2]), d = _mm_loadu_ps(m[3]);
        for (unsigned i = 0; i < 1024; i++) {
            __m128 p = _mm_load_ps(points[i]);
            __m128 x = _mm_mul_ps(a, _mm_shuffle_ps(p, p, 0x00));
            __m128 y = _mm_mul_ps(b, _mm_shuffle_ps(p, p, 0x55));
            __m128 z = _mm_mul_ps(c, _mm_shuffle_ps(p, p, 0xaa));
            __m128 w = _mm_mul_ps(d, _mm_shuffle_ps(p, p, 0xff));
            p = _mm_add_ps(_mm_add_ps(x, y), _mm_add_ps(z, w));
            p = _mm_sub_ps(p, _mm_set1_ps(0.125f));
            _mm_store_ps(moved[i], _mm_max_ps(p, _mm_setzero_ps()));
        }
        const float *one = moved[n & 1023];
        m[n & 3][n >> 2 & 3] = one[n & 3] * 0.5f;
        sum = mix_double(sum, one[0] + one[1] + one[2] + one[3]);
    }
    return sum;
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* Sums of products of 16-bit numbers, 32 bytes at a time. */
static __attribute__((target("avx2"))) uint64_t avx2(unsigned n)
{
    static int16_t a[4096], b[4096];
    uint64_t seed = 21, sum = 0;

    for (unsigned i = 0; i < 4096; i++) {
        a[i] = (int16_t)next_random(&seed);
        b[i] = (int16_t)next_random(&seed);
    }
    while (n--) {
        __m256i total = _mm256_setzero_si256();
        for (unsigned i = 0; i < 4096; i += 16) {
            __m256i x = _mm256_loadu_si256((const __m256i *)(a + i));
            __m256i y = _mm256_loadu_si256((const __m256i *)(b + i));
            total = _mm256_add_epi32(total, _mm256_madd_epi16(x, y));
            x = _mm256_xor_si256(_mm256_slli_epi16(x, 1),
                                 _mm256_srli_epi16(x, 15));
            x = _mm256_shuffle_epi8(x, _mm256_permute4x64_epi64(y, 0x1b));
            _mm256_storeu_si256((__m256i *)(a + i), _mm256_adds_epi16(x, y));
        }
        uint64_t part[4];
        _mm256_storeu_si256((__m256i *)part, total);
        sum = mix(sum, part[0] ^ part[1] ^ part[2] ^ part[3]);
    }
    return sum;
}

/* A matrix product by fused multiplies and adds of four doubles. */
static __attribute__((target("avx2,fma"))) uint64_t fused(unsigned n)
{
    static double a[32][32], b[32][32], c[32][32];
    uint64_t seed = 22;

    for (unsigned i = 0; i < 32 * 32; i++) {
        a[i / 32][i % 32] = next_random(&seed) * 0x1p-31;
        b[i / 32][i % 32] = next_random(&seed) * 0x1p-36;
    }
    while (n--) {
        for (unsigned i = 0; i < 32; i++) {
            for (unsigned k = 0; k < 32; k += 8) {
                __m256d s = _mm256_setzero_pd(), t = s;
                for (unsigned j = 0; j < 32; j++) {
                    __m256d f = _mm256_broadcast_sd(&a[i][j]);
                    s = _mm256_fmadd_pd(f, _mm256_loadu_pd(&b[j][k]), s);
                    t = _mm256_fmadd_pd(f, _mm256_loadu_pd(&b[j][k + 4]), t);
                }
                _mm256_storeu_pd(&c[i][k], s);
                _mm256_storeu_pd(&c[i][k + 4], t);
            }
        }
        a[n & 31][n >> 5 & 31] = c[n & 31][31] * 0x1p-4;
    }
    return mix_bytes(0, c, sizeof(c));
}

static bool has_aes(void)
{
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
}

/* AES rounds in counter mode and a carry-less product for each block. */
static __attribute__((target("aes,pclmul"))) uint64_t aes(unsigned n)
{
    __m128i key[11], count = _mm_set_epi64x(1, 2), tag = count;
    uint64_t seed = 23;

    for (unsigned i = 0; i < 11; i++) {
        int word = (int)next_random(&seed);
        key[i] = _mm_aeskeygenassist_si128(_mm_set_epi32(word, 1, word, 7), 4);
    }
    for (n *= 100; n; n--) {
        __m128i x = _mm_xor_si128(count, key[0]);
        for (unsigned i = 1; i < 10; i++)
            x = _mm_aesenc_si128(x, key[i]);
        x = _mm_aesenclast_si128(x, key[10]);
        tag = _mm_xor_si128(_mm_clmulepi64_si128(tag, key[3], 0x10), x);
        count = _mm_add_epi32(count, _mm_set_epi32(0, 0, 0, 1));
    }
    return (uint64_t)_mm_cvtsi128_si64(tag) ^
           (uint64_t)_mm_cvtsi128_si64(_mm_srli_si128(tag, 8));
}

static bool has_sha(void)
{
    unsigned a, b, c, d;

    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b >> 29 & 1 &&
           __builtin_cpu_supports("sse4.1");
}

/* The rounds of SHA-256 by its instructions, on words of no matter. */
static __attribute__((target("sha,sse4.1"))) uint64_t sha_ni(unsigned n)
{
    __m128i a = _mm_set_epi32(1, 2, 3, 4), b = _mm_set_epi32(5, 6, 7, 8);
    __m128i w[4] = { a, b, _mm_xor_si128(a, b), _mm_add_epi32(a, b) };

    for (n *= 100; n; n--) {
        for (unsigned i = 0; i < 16; i++) {
            __m128i next = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);
            next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) & 3],
                                                       w[(i + 2) & 3], 4));
            w[i & 3] = _mm_sha256msg2_epu32(next, w[(i + 3) & 3]);
            b = _mm_sha256rnds2_epu32(b, a, w[i & 3]);
            a = _mm_sha256rnds2_epu32(a, b, _mm_srli_si128(w[i & 3], 8));
        }
    }
    a = _mm_xor_si128(a, b);
    return (uint64_t)_mm_cvtsi128_si64(a) ^
           (uint64_t)_mm_cvtsi128_si64(_mm_srli_si128(a, 8));
}

const struct row vector_rows[] = {
    { "bytes", "vector", bytes, 60000, NULL },
    { "matrix", "vector", matrix, 40000, NULL },
    { "avx2", "vector", avx2, 250000, has_avx2 },
    { "fma", "vector", fused, 20000, has_avx2 },
    { "aes", "vector", aes, 150000, has_aes },
    { "sha-ni", "vector", sha_ni, 10000, has_sha },
    { 0 },
};
