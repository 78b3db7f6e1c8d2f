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

const struct row memory_rows[] = {
    { "memcpy", "memory", copy_large, 400, NULL },
    { "rep-movsb", "memory", rep_movsb, 500000, NULL },
    { 0 },
};
