/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time and chance of fuzzers.  A fuzzer runs rounds, each from a seed of its
 * own, counted from 1 (BP_FUZZ_SEED: from another one) until its time is over
 * (BP_FUZZ_SECONDS).  A failure names the seed that repeats it.
 */
#ifndef TESTS_DEV_VMBUS_FUZZ_H
#define TESTS_DEV_VMBUS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuzz {
    uint64_t end; /* monotonic us */
    uint64_t chance;
    uint32_t seed;
};

/* `seconds` unless the environment says otherwise. */
void fuzz_begin(struct fuzz *f, double seconds);
/* The next round; false: the time is over. */
bool fuzz_round(struct fuzz *f);

uint32_t fuzz_u32(struct fuzz *f);
uint32_t fuzz_below(struct fuzz *f, uint32_t n); /* n > 0 */
static inline bool fuzz_one_in(struct fuzz *f, uint32_t n)
{
    return fuzz_below(f, n) == 0;
}
/* A number as code goes wrong with: small, around a power of two, any. */
uint32_t fuzz_value(struct fuzz *f);
void fuzz_bytes(struct fuzz *f, void *to, size_t n);
/* Changes some bytes, or some aligned words to fuzz_value()s. */
void fuzz_mutate(struct fuzz *f, void *to, size_t n);

#endif
