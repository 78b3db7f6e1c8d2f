/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dev/vmbus_fuzz.h"

#include <glib.h>
#include <string.h>

#include "tests/lib/test.h"

void fuzz_begin(struct fuzz *f, double seconds)
{
    const char *time = g_getenv("BP_FUZZ_SECONDS");
    const char *seed = g_getenv("BP_FUZZ_SEED");

    if (time)
        seconds = g_ascii_strtod(time, NULL);
    test_time_limit((unsigned)seconds + 120);
    f->end = (uint64_t)g_get_monotonic_time() + (uint64_t)(seconds * 1e6);
    f->seed = seed ? (uint32_t)g_ascii_strtoull(seed, NULL, 0) - 1 : 0;
}

bool fuzz_round(struct fuzz *f)
{
    if ((uint64_t)g_get_monotonic_time() >= f->end)
        return false;
    f->seed++;
    f->chance = f->seed * 0x9e3779b97f4a7c15ull;
    test_note("BP_FUZZ_SEED=%u", f->seed);
    return true;
}

/* splitmix64 */
uint32_t fuzz_u32(struct fuzz *f)
{
    uint64_t z = f->chance += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (uint32_t)((z ^ z >> 31) >> 16);
}

uint32_t fuzz_below(struct fuzz *f, uint32_t n)
{
    return (uint32_t)((uint64_t)fuzz_u32(f) * n >> 32);
}

uint32_t fuzz_value(struct fuzz *f)
{
    switch (fuzz_below(f, 8)) {
    case 0: return 0;
    case 1: return UINT32_MAX - fuzz_below(f, 9);
    case 2: return (1u << fuzz_below(f, 32)) - 4 + fuzz_below(f, 9);
    case 3: return fuzz_below(f, 64) * 4096;
    case 4: return fuzz_u32(f);
    default: return fuzz_below(f, 32);
    }
}

void fuzz_bytes(struct fuzz *f, void *to, size_t n)
{
    uint8_t *p = to;

    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)fuzz_u32(f);
}

void fuzz_mutate(struct fuzz *f, void *to, size_t n)
{
    uint8_t *p = to;

    for (uint32_t i = 1 + fuzz_below(f, 3); i && n >= 4; i--) {
        uint32_t value = fuzz_value(f);

        if (fuzz_one_in(f, 2))
            p[fuzz_below(f, (uint32_t)n)] = (uint8_t)value;
        else
            memcpy(p + fuzz_below(f, (uint32_t)n / 4) * 4, &value, 4);
    }
}
