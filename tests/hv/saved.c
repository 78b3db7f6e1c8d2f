/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine that is saved and restored in between: run.py does so when it
 * reads "# save".  That is seen by the sequence of the TSC page.
 */
#include "guest.h"

#define SINT       2u
#define TIMER_SINT 3u
#define VECTOR     0x50
#define DIRECT     0x51
#define TIMER      0x52
#define MS         10000u
#define POST       0x5cull
#define CONFIG(n)  (HV_STIMER0 + 2 * (n))
#define COUNT(n)   (HV_STIMER0 + 2 * (n) + 1)

static volatile struct {
    uint32_t sequence, reserved;
    uint64_t scale;
    int64_t offset;
} page page_aligned;

static struct {
    uint32_t connection, reserved, type, bytes;
    uint8_t payload[240];
} post page_aligned;

static void prepare(void *arg)
{
    synic_on();
    wrmsr(HV_SINT0 + SINT, VECTOR);
    wrmsr(HV_SINT0 + TIMER_SINT, TIMER);
    /* a direct one that goes on, and a message that will have to wait */
    wrmsr(COUNT(0), 2 * MS);
    wrmsr(CONFIG(0), 0x1003u | DIRECT << 4);
    messages[cpu_index()][TIMER_SINT].type = 1;
    wrmsr(COUNT(1), hv_time() + MS);
    wrmsr(CONFIG(1), 1 | TIMER_SINT << 16);
    UNTIL(messages[cpu_index()][TIMER_SINT].flags & 1);
    CHECK_EQ(messages[cpu_index()][TIMER_SINT].flags & 1, 1);
}

static void go_on(void *arg)
{
    unsigned cpu = cpu_index();
    uint32_t seen = irqs[cpu][DIRECT], timer = irqs[cpu][TIMER];

    CHECK(irq_wait(cpu, DIRECT, seen + 3, 5000));
    messages[cpu][TIMER_SINT].type = 0;
    wrmsr(HV_EOM, 0);
    CHECK(irq_wait(cpu, TIMER, timer + 1, 5000));
    CHECK_EQ(messages[cpu][TIMER_SINT].type, 0x80000010u);
    CHECK_EQ(rdmsr(HV_SINT0 + SINT), VECTOR);
    CHECK_EQ(rdmsr(HV_SCONTROL), 1);
}

static void wait_for_restore(uint32_t sequence)
{
    uint64_t end = hv_time() + 60 * 10000000ull;

    print("# save\n");
    while (page.sequence == sequence && hv_time() < end)
        hv_delay(10 * MS);
}

CASE(goes_on_after_a_restore)
{
    uint32_t sequence, seen;
    uint64_t before;

    hv_on();
    wrmsr(HV_TSC_PAGE, address((void *)&page) | 1);
    sequence = page.sequence;
    prepare(NULL);
    if (second())
        call(prepare, NULL);

    /* a message in its slot, and another that waits at the device */
    outl(0x3000, SINT | 4u << 16 | 0x10u << 24);
    CHECK_EQ(inl(0x3000), 0);
    post.connection = 0x10;
    post.type = 7;
    post.bytes = 8;
    CHECK_EQ(hypercall(POST, address(&post), 0), 0);
    post.payload[0] = 99;
    CHECK_EQ(hypercall(POST, address(&post), 0), 0);
    CHECK_EQ(hypercall(POST, address(&post), 0), 0x13);
    outl(0xe0, 0x5678);

    before = hv_time();
    wait_for_restore(sequence);
    CHECK(page.sequence != sequence && page.sequence != 0);
    CHECK(hv_time() > before && hv_time() < before + 3000000000ull);
    go_on(NULL);
    if (second())
        call(go_on, NULL);

    seen = irqs[0][VECTOR];
    CHECK_EQ(messages[0][SINT].type, 7);
    CHECK_EQ(messages[0][SINT].payload[0], 0);
    messages[0][SINT].type = 0;
    wrmsr(HV_EOM, 0);
    CHECK(irq_wait(0, VECTOR, seen + 1, 5000));
    CHECK_EQ(messages[0][SINT].payload[0], 99);
    CHECK_EQ(inl(0xe0), 0x5678);
}
