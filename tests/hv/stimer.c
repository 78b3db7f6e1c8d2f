/* SPDX-License-Identifier: Apache-2.0 */
/* Synthetic timers. */
#include "guest.h"

#define CONFIG(n)   (HV_STIMER0 + 2 * (n))
#define COUNT(n)    (HV_STIMER0 + 2 * (n) + 1)
#define ENABLE      0x1u
#define PERIODIC    0x2u
#define AUTO        0x8u
#define DIRECT(v)   (0x1000u | (uint32_t)(v) << 4)
#define ON_SINT(n)  ((uint32_t)(n) << 16)
#define MS          10000u
#define SINT        4u
#define VECTOR      0x70
#define SINT_VECTOR 0x71

struct expiry {
    uint32_t index, reserved;
    uint64_t expired, delivered;
};

static volatile struct message *slot(void)
{
    return &messages[cpu_index()][SINT];
}

static const volatile struct expiry *expiry(void)
{
    return (const volatile void *)slot()->payload;
}

static void off(void)
{
    for (unsigned n = 0; n < 4; n++) {
        wrmsr(CONFIG(n), 0);
        wrmsr(COUNT(n), 0);
    }
    slot()->type = 0;
    wrmsr(HV_EOM, 0);
}

static void direct(void *arg)
{
    unsigned cpu = cpu_index();
    uint32_t seen = irqs[cpu][VECTOR];
    uint64_t begin = hv_time();

    wrmsr(CONFIG(0), DIRECT(VECTOR) | AUTO);
    /* long, so that a host that looks away does not miss it */
    wrmsr(COUNT(0), begin + 60000 * MS);
    CHECK_EQ(rdmsr(CONFIG(0)), DIRECT(VECTOR) | AUTO | ENABLE);
    wrmsr(COUNT(0), begin + 5 * MS);
    CHECK(irq_wait(cpu, VECTOR, seen + 1, 1000));
    CHECK(hv_time() >= begin + 5 * MS);
    CHECK_EQ(rdmsr(CONFIG(0)), DIRECT(VECTOR) | AUTO);
    hv_delay(2 * MS);
    CHECK_EQ(irqs[cpu][VECTOR], seen + 1);

    /* in the past */
    wrmsr(COUNT(0), 1);
    CHECK(irq_wait(cpu, VECTOR, seen + 2, 1000));
    /* 0 stops */
    wrmsr(COUNT(0), hv_time() + 200 * MS);
    wrmsr(COUNT(0), 0);
    CHECK_EQ(rdmsr(CONFIG(0)) & ENABLE, 0);
    hv_delay(250 * MS);
    CHECK_EQ(irqs[cpu][VECTOR], seen + 2);
    off();
}

static void message(void *arg)
{
    unsigned cpu = cpu_index();
    uint32_t seen = irqs[cpu][SINT_VECTOR];
    uint64_t due = hv_time() + 3 * MS, now;

    wrmsr(COUNT(2), due);
    wrmsr(CONFIG(2), ON_SINT(SINT) | ENABLE);
    CHECK(irq_wait(cpu, SINT_VECTOR, seen + 1, 1000));
    CHECK_EQ(slot()->type, 0x80000010u);
    CHECK_EQ(slot()->bytes, 24);
    CHECK_EQ(expiry()->index, 2);
    CHECK_EQ(expiry()->expired, due);
    CHECK(expiry()->delivered >= due && expiry()->delivered <= hv_time());

    /* the slot is taken: the next one waits for EOM */
    due = hv_time() + MS;
    wrmsr(COUNT(3), due);
    wrmsr(CONFIG(3), ON_SINT(SINT) | ENABLE);
    UNTIL(slot()->flags & 1);
    CHECK_EQ(irqs[cpu][SINT_VECTOR], seen + 1);
    CHECK_EQ(expiry()->index, 2);
    CHECK_EQ(slot()->flags & 1, 1);
    now = hv_time();
    slot()->type = 0;
    wrmsr(HV_EOM, 0);
    CHECK(irq_wait(cpu, SINT_VECTOR, seen + 2, 1000));
    CHECK_EQ(expiry()->index, 3);
    CHECK_EQ(expiry()->expired, due);
    CHECK(expiry()->delivered >= now);
    off();
}

static void periodic(void *arg)
{
    unsigned cpu = cpu_index();
    uint32_t seen = irqs[cpu][VECTOR], n;

    wrmsr(COUNT(1), 2 * MS);
    wrmsr(CONFIG(1), DIRECT(VECTOR) | PERIODIC | ENABLE);
    CHECK(irq_wait(cpu, VECTOR, seen + 5, 5000));
    CHECK_EQ(rdmsr(CONFIG(1)) & ENABLE, ENABLE);
    wrmsr(CONFIG(1), 0);
    n = irqs[cpu][VECTOR];
    hv_delay(5 * MS);
    CHECK(irqs[cpu][VECTOR] <= n + 1);

    /* no host is kept busy by a period of nothing */
    seen = irqs[cpu][VECTOR];
    wrmsr(COUNT(1), 1);
    wrmsr(CONFIG(1), DIRECT(VECTOR) | PERIODIC | ENABLE);
    hv_delay(10 * MS);
    wrmsr(CONFIG(1), 0);
    CHECK(irq_wait(cpu, VECTOR, seen + 1, 5000));
    CHECK(irqs[cpu][VECTOR] < seen + 200);
    off();
}

static void prepare(void *arg)
{
    synic_on();
    wrmsr(HV_SINT0 + SINT, SINT_VECTOR);
}

static void on_both(void (*fn)(void *))
{
    fn(NULL);
    if (second())
        call(fn, NULL);
}

CASE(prepared)
{
    hv_on();
    on_both(prepare);
}

CASE(direct_timers)
{
    on_both(direct);
}

CASE(timers_with_messages)
{
    on_both(message);
}

CASE(periodic_timers)
{
    on_both(periodic);
}

CASE(sint_0_is_not_for_timers)
{
    wrmsr(COUNT(0), hv_time() + MS);
    wrmsr(CONFIG(0), ENABLE);
    CHECK_EQ(rdmsr(CONFIG(0)), 0);
}
