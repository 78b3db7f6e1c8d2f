/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of the guest benchmark: each is a function that does one kind of
 * work n times over and returns a number that depends on all of it, so that
 * no compiler can leave it out and no emulator can get it wrong unnoticed.
 */
#ifndef TESTS_BENCH_GUEST_ROWS_H
#define TESTS_BENCH_GUEST_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct row {
    const char *name;
    const char *group; /* rows that are averaged together */
    uint64_t (*run)(unsigned n);
    unsigned n;           /* about 0.1 s on a PC of 2023 */
    bool (*usable)(void); /* NULL: everywhere */
};

/* Each ends with a row without a name. */
extern const struct row integer_rows[], float_rows[], vector_rows[];
extern const struct row memory_rows[], system_rows[];

/* Says what went wrong in a row, and ends the row. */
void row_failed(const char *what) __attribute__((noreturn));

/* The same sequence everywhere. */
static inline uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* FNV-1a by words. */
static inline uint64_t mix(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * 0x100000001b3u;
}

static inline uint64_t mix_double(uint64_t sum, double value)
{
    uint64_t bits;

    __builtin_memcpy(&bits, &value, sizeof(bits));
    return mix(sum, bits);
}

uint64_t mix_bytes(uint64_t sum, const void *data, size_t bytes);

#endif
