/* SPDX-License-Identifier: Apache-2.0 */
/* A test's one bench, and accesses to it as a processor makes them. */
#ifndef TESTS_DEV_PORTS_H
#define TESTS_DEV_PORTS_H

#include "tests/lib/test.h"
#include "vm/bench.h"

static struct bench *b;

static inline uint8_t in8(uint16_t port)
{
    return bench_in(b, port, 1);
}

static inline uint16_t in16(uint16_t port)
{
    return bench_in(b, port, 2);
}

static inline uint32_t in32(uint16_t port)
{
    return bench_in(b, port, 4);
}

static inline void out8(uint16_t port, uint8_t value)
{
    bench_out(b, port, 1, value);
}

static inline void out16(uint16_t port, uint16_t value)
{
    bench_out(b, port, 2, value);
}

static inline void out32(uint16_t port, uint32_t value)
{
    bench_out(b, port, 4, value);
}

#endif
