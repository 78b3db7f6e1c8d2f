/* SPDX-License-Identifier: Apache-2.0 */
/* Strings and memory. */
#include <stdlib.h>
#include <string.h>

#include "rows.h"

#define LARGE (4u << 20)

static unsigned char *buffers(uint64_t seed)
{
    static unsigned char *b;

    if (!b) {
        b = aligned_alloc(4096, 2 * LARGE);
        if (!b)
            row_failed("memory");
    }
    /* Nothing of the row before, which not all have run as often. */
    memset(b, 0, 2 * LARGE);
    for (unsigned i = 0; i < 2 * LARGE; i += 64)
        b[i] = (unsigned char)next_random(&seed);
    return b;
}

static uint64_t copy_large(unsigned n)
{
    unsigned char *b = buffers(1);
    uint64_t sum = 0;

    while (n--) {
        b[n % LARGE] ^= (unsigned char)n;
        memcpy(b + LARGE, b, LARGE);
        sum = mix(sum, b[LARGE + n % LARGE]);
    }
    return sum;
}

static uint64_t rep_movsb(unsigned n)
{
    unsigned char *b = buffers(2);
    uint64_t sum = 0;

    while (n--) {
        void *from = b + (n & 63) * 4096, *to = b + LARGE;
        size_t count = 4096;
        *(unsigned *)from = n;
        __asm__ volatile("rep movsb"
                         : "+S"(from), "+D"(to), "+c"(count)
                         :
                         : "memory");
        sum = mix(sum, b[LARGE]);
    }
    return sum;
}

static uint64_t copy_pages(unsigned n)
{
    unsigned char *b = buffers(3);
    uint64_t sum = 0;

    for (n *= 1000; n; n--) {
        unsigned char *from = b + (n & 31) * 4096;
        from[n & 4095] ^= (unsigned char)n;
        memcpy(b + LARGE + (n & 7) * 4096, from, 4096);
        sum = mix(sum, b[LARGE + (n & 7) * 4096 + (n & 4095)]);
    }
    return sum;
}

/* Lengths and places as programs copy their fields and lines. */
static uint64_t copy_small(unsigned n)
{
    unsigned char *b = buffers(4);
    uint64_t seed = 8, sum = 0;

    for (n *= 1000; n; n--) {
        uint32_t r = next_random(&seed);
        size_t length = r & 255;
        unsigned char *to = b + LARGE + (r >> 8 & 4095);
        memmove(to, b + (r >> 20), length);
        sum += to[length / 2];
    }
    return sum;
}

static uint64_t rep_stosq(unsigned n)
{
    unsigned char *b = buffers(5);
    uint64_t sum = 0;

    for (n *= 1000; n; n--) {
        void *to = b + (n & 63) * 4096;
        size_t count = 512;
        __asm__ volatile("rep stosq"
                         : "+D"(to), "+c"(count)
                         : "a"((uint64_t)n)
                         : "memory");
        sum = mix(sum, b[(n & 63) * 4096 + (n & 4095)]);
    }
    return sum;
}

/* The C library's, on lines of about a hundred letters. */
static uint64_t strings(unsigned n)
{
    static char lines[64][256], copy[256];
    uint64_t seed = 14, sum = 0;

    for (unsigned i = 0; i < 64; i++) {
        unsigned length = 40 + next_random(&seed) % 160;
        for (unsigned k = 0; k < length; k++)
            lines[i][k] = (char)('a' + next_random(&seed) % 20);
        lines[i][length] = 0;
        lines[i][length - 3] = '=';
    }
    for (n *= 1000; n; n--) {
        const char *line = lines[n & 63], *other = lines[(n >> 6) & 63];
        size_t length = strlen(line);
        const char *equals = strchr(line, '=');
        strcpy(copy, line);
        sum += length + (size_t)(equals - line);
        sum += !memcmp(copy, line, length) + !strcmp(copy, line);
        sum += strcmp(line, other) > 0;
        sum ^= (uintptr_t)memchr(other, 'z', 40);
        sum += strstr(line, "abc") ? 1 : 0;
    }
    return sum;
}

#define TRIAD (LARGE / 2 / sizeof(double))

/* Three arrays of two megabytes: a = b + s c, as doubles. */
static uint64_t stream(unsigned n)
{
    double *a = (double *)(void *)buffers(6), *b = a + TRIAD, *c = b + TRIAD;

    for (unsigned i = 0; i < TRIAD; i++) {
        a[i] = 0;
        b[i] = i & 1023;
        c[i] = i & 63;
    }
    while (n--) {
        double scale = n & 7;
        for (size_t i = 0; i < TRIAD; i++)
            a[i] = b[i] + scale * c[i];
        __asm__ volatile("" : : : "memory");
        b[n] = a[n + 1];
    }
    return mix_bytes(0, a, 4096) ^ mix_bytes(0, b, 4096);
}

/* From cell to cell of one cycle through them all, a line of cache each. */
static uint64_t chase(unsigned n, size_t bytes)
{
    unsigned char *b = buffers(7);
    uint32_t cells = (uint32_t)(bytes / 64), at = 0;
    uint64_t seed = 15;

    for (uint32_t i = 0; i < cells; i++)
        *(uint32_t *)(void *)(b + 64 * i) = i;
    /* Sattolo's shuffle makes one cycle. */
    for (uint32_t i = cells - 1; i; i--) {
        uint32_t k = next_random(&seed) % i;
        uint32_t *x = (uint32_t *)(void *)(b + 64 * i);
        uint32_t *y = (uint32_t *)(void *)(b + 64 * k);
        uint32_t t = *x;
        *x = *y;
        *y = t;
    }
    uint64_t sum = 0;
    for (n *= 1000; n; n--) {
        at = *(uint32_t *)(void *)(b + 64 * (size_t)at);
        sum += at;
    }
    return sum;
}

static uint64_t chase_256k(unsigned n)
{
    return chase(n, 256u << 10);
}

static uint64_t chase_8m(unsigned n)
{
    return chase(n, 8u << 20);
}

const struct row memory_rows[] = {
    { "memcpy", "memory", copy_large, 400, NULL },
    { "rep-movsb", "memory", rep_movsb, 500000, NULL },
    { "memcpy-page", "memory", copy_pages, 1000, NULL },
    { "memcpy-small", "memory", copy_small, 8000, NULL },
    { "rep-stosq", "memory", rep_stosq, 1000, NULL },
    { "strings", "memory", strings, 2500, NULL },
    { "stream", "memory", stream, 400, NULL },
    { "chase-256k", "memory", chase_256k, 10000, NULL },
    { "chase-8m", "memory", chase_8m, 1000, NULL },
    { 0 },
};
