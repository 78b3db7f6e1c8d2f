/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference TSC page against TIME_REF_COUNT: never back, not between the
 * two either; over processors never more than 1 us off.  "seconds=" of the
 * command line says how long.
 */
#include "guest.h"

#define SECOND 10000000ull
#define NEAR   10u /* 1 us */

struct tsc_page {
    volatile uint32_t sequence, reserved;
    volatile uint64_t scale;
    volatile int64_t offset;
};

static struct tsc_page page page_aligned;

static uint64_t high_product(uint64_t a, uint64_t b)
{
#ifdef __x86_64__
    return (uint64_t)((unsigned __int128)a * b >> 64);
#else
    uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
    uint64_t low = al * bl, m1 = ah * bl, m2 = al * bh;
    uint64_t carry = (low >> 32) + (uint32_t)m1 + (uint32_t)m2;

    return ah * bh + (m1 >> 32) + (m2 >> 32) + (carry >> 32);
#endif
}

static uint64_t page_time(void)
{
    uint32_t sequence;
    uint64_t t;

    do {
        sequence = page.sequence;
        t = high_product(rdtsc(), page.scale) + (uint64_t)page.offset;
    } while (sequence != page.sequence || !sequence);
    return t;
}

static volatile uint32_t latest; /* of all processors, the low bits */
static volatile uint32_t turns[CPUS];

static void compare(void *arg)
{
    uint64_t end = hv_time() + *(uint64_t *)arg, before, paged, after, last = 0;
    uint64_t early = 0, late = 0, back = 0, behind = 0;
    uint32_t seen;
    unsigned cpu = cpu_index();

    do {
        seen = __atomic_load_n(&latest, __ATOMIC_SEQ_CST);
        before = hv_time();
        paged = page_time();
        after = hv_time();
        if (paged < before)
            late++;
        if (paged > after)
            early++;
        if (paged < last)
            back++;
        if ((int32_t)((uint32_t)paged + NEAR - seen) < 0)
            behind++;
        last = paged;
        __atomic_store_n(&latest, (uint32_t)paged, __ATOMIC_SEQ_CST);
        turns[cpu]++;
    } while (after < end);
    CHECK_EQ(late, 0);
    CHECK_EQ(early, 0);
    CHECK_EQ(back, 0);
    /* in counted time, processors take turns */
    if (!option("turns", 0))
        CHECK_EQ(behind, 0);
}

/* Only the page, as fast as possible: what guests' clocks do. */
static void ascend(void *arg)
{
    uint64_t last = 0, back = 0, t;

    for (unsigned n = 0; n < 1000000; n++) {
        t = page_time();
        back += t < last;
        last = t;
    }
    CHECK_EQ(back, 0);
    CHECK(page_time() <= hv_time());
}

CASE(page_is_made)
{
    hv_on();
    wrmsr(HV_TSC_PAGE, address(&page) | 1);
    CHECK(page.sequence != 0);
    CHECK(page.scale != 0);
    CHECK_EQ(rdmsr(HV_TSC_PAGE), address(&page) | 1);
    /* 10 MHz = TSC * scale / 2^64 */
    CHECK_EQ(high_product(rdmsr(HV_TSC_HZ), page.scale), SECOND);
}

CASE(page_and_register_agree)
{
    uint64_t ticks = option("seconds", 1) * SECOND;

    if (second())
        call_begin(compare, &ticks);
    compare(&ticks);
    call_end();
    for (unsigned n = 0; n <= second(); n++)
        CHECK(turns[n] > 1000);
}

CASE(page_alone_never_goes_back)
{
    ascend(NULL);
    if (second())
        call(ascend, NULL);
}

CASE(counter_by_instruction_and_by_register)
{
    uint64_t back = 0, before, by_register, after;

    for (unsigned n = 0; n < 100000; n++) {
        before = rdtsc();
        by_register = rdmsr(0x10);
        after = rdtsc();
        back += by_register < before || after < by_register;
    }
    CHECK_EQ(back, 0);
}

/* TSC_ADJUST tells what the counter was when it was written. */
CASE(the_counter_is_written_where_it_was)
{
    uint64_t back = 0, before, adjust, first = rdmsr(0x3b);

    for (unsigned n = 0; n < 1000; n++) {
        adjust = rdmsr(0x3b);
        before = rdtsc();
        wrmsr(0x10, 100000000000ull);
        back += 100000000000ull - (rdmsr(0x3b) - adjust) < before;
        back += rdtsc() < 100000000000ull;
    }
    CHECK_EQ(back, 0);
    wrmsr(0x3b, first);
}

CASE(writing_the_tsc_renews_the_page)
{
    uint32_t sequence = page.sequence;
    uint64_t t;

    wrmsr(0x10, 12345);
    if (second()) {
        /* the two differ now: the page is void */
        CHECK_EQ(page.sequence, 0);
        return;
    }
    CHECK(page.sequence != sequence && page.sequence != 0);
    t = hv_time();
    CHECK(page_time() >= t && page_time() < t + SECOND);
    t = page_time();
    CHECK(hv_time() >= t);
}
