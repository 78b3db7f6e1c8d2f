/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC and NMIs as small kernels use them. */
#include "guest.h"

#define APIC_BASE    0x1bu
#define BASE_ON      0x800u
#define BASE_X2      0x400u
#define DEFAULT      0xfee00000u
#define ELSEWHERE    0xfed40000u
#define APIC_VERSION 0x030u
#define APIC_TPR     0x080u
#define ICR_LOW      0x300u
#define ICR_HIGH     0x310u
#define LVT_TIMER    0x320u
#define TIMER_INIT   0x380u
#define TIMER_COUNT  0x390u
#define TIMER_DIVIDE 0x3e0u
#define PERIODIC     0x20000u
#define DEADLINE     0x40000u
#define TSC          0x10u
#define TSC_DEADLINE 0x6e0u
#define VECTOR       0x55u
#define SEND_NMI     0x4400u

static uint32_t at(uintptr_t base, unsigned reg)
{
    return *(volatile uint32_t *)(base + reg);
}

static void base_write(uint64_t value, bool works)
{
    CHECK_EQ(msr_write(APIC_BASE, value), works);
}

static void restore(uint64_t base)
{
    wrmsr(APIC_BASE, base & ~(uint64_t)(BASE_ON | BASE_X2));
    wrmsr(APIC_BASE, base);
    apic_write(APIC_SVR, 0x1ff);
}

/* --- base ----------------------------------------------------------------*/

CASE(prepared)
{
    hv_on();
    second();
}

CASE(ways_between_its_modes)
{
    uint64_t base = rdmsr(APIC_BASE);
    uint64_t off = base & ~(uint64_t)(BASE_ON | BASE_X2);
    uint32_t r[4];

    irq_off();
    cpuid(0x80000008u, r);
    base_write(base | 1, false);
    base_write(base | 1ull << (r[0] & 0xff), false);
    base_write(off | BASE_X2, false);
    base_write(base | BASE_X2, true);
    base_write(off | BASE_X2, false);
    base_write(off | BASE_ON, false);
    base_write(off, true);
    base_write(off | BASE_X2, false);
    base_write(off | BASE_ON | BASE_X2, false);
    base_write(off | BASE_ON, true);
    base_write(off | BASE_X2, false);
    restore(base);
    irq_on();
}

static void has_no_registers(void)
{
    volatile uint32_t *page = (volatile uint32_t *)(uintptr_t)DEFAULT;

    for (unsigned i = 0; i < PAGE / 4; i++)
        page[i] = 0;
    CHECK_EQ(at(DEFAULT, APIC_VERSION), UINT32_MAX);
    CHECK_EQ(at(DEFAULT, APIC_TPR), UINT32_MAX);
}

CASE(registers_are_in_memory_in_one_mode)
{
    uint64_t base = rdmsr(APIC_BASE);
    uint32_t version = at(DEFAULT, APIC_VERSION), r[4];

    irq_off();
    base_write(base & ~(uint64_t)BASE_ON, true);
    cpuid(1, r);
    CHECK_EQ(r[3] >> 9 & 1, 0);
    has_no_registers();
    base_write(base, true);
    cpuid(1, r);
    CHECK_EQ(r[3] >> 9 & 1, 1);
    CHECK_EQ(at(DEFAULT, APIC_VERSION), version);
    base_write(base | BASE_X2, true);
    has_no_registers();
    restore(base);
    irq_on();
}

CASE(it_may_lie_elsewhere)
{
    uint64_t base = rdmsr(APIC_BASE);
    uint32_t version = at(DEFAULT, APIC_VERSION);

    irq_off();
    base_write((base & 0xfff) | ELSEWHERE, true);
    CHECK_EQ(at(ELSEWHERE, APIC_VERSION), version);
    CHECK_EQ(at(DEFAULT, APIC_VERSION), UINT32_MAX);
    restore(base);
    CHECK_EQ(at(DEFAULT, APIC_VERSION), version);
    CHECK(at(ELSEWHERE, APIC_VERSION) != version);
    irq_on();
}

#ifdef __x86_64__
CASE(cr8_is_the_task_priority)
{
    uint64_t base = rdmsr(APIC_BASE), cr8;

    irq_off();
    for (unsigned on = 0; on < 2; on++) {
        __asm__ volatile("mov %0, %%cr8" : : "r"(9ull));
        __asm__ volatile("mov %%cr8, %0" : "=r"(cr8));
        CHECK_EQ(cr8, 9);
        CHECK_EQ(at(DEFAULT, APIC_TPR), on ? UINT32_MAX : 0x90);
        base_write(base & ~(uint64_t)BASE_ON, true);
    }
    __asm__ volatile("mov %0, %%cr8" : : "r"(0ull));
    restore(base);
    irq_on();
}
#endif

/* --- timer ---------------------------------------------------------------*/

/* ... as soon as one instruction later. */
CASE(a_deadline_that_has_passed_is_at_once)
{
    uint32_t r[4], before, late = 0, armed = 0;

    cpuid(1, r);
    CHECK(r[2] >> 24 & 1);
    apic_write(LVT_TIMER, DEADLINE | VECTOR);
    for (unsigned n = 0; n < 1000; n++) {
        before = irqs[0][VECTOR];
        wrmsr(TSC_DEADLINE, n & 1 ? rdmsr(TSC) : rdtsc());
        late += irqs[0][VECTOR] != before + 1;
        armed += rdmsr(TSC_DEADLINE) != 0;
    }
    CHECK_EQ(late, 0);
    CHECK_EQ(armed, 0);
    before = irqs[0][VECTOR];
    wrmsr(TSC_DEADLINE, 1);
    CHECK_EQ(irqs[0][VECTOR], before + 1);
    /* Masked, it is lost. */
    apic_write(LVT_TIMER, DEADLINE | 0x10000u | VECTOR);
    wrmsr(TSC_DEADLINE, 1);
    apic_write(LVT_TIMER, DEADLINE | VECTOR);
    CHECK_EQ(rdmsr(TSC_DEADLINE), 0);
    CHECK_EQ(irqs[0][VECTOR], before + 1);
    apic_write(LVT_TIMER, 0x10000u);
}

static uint32_t wait_count(uint32_t from, uint32_t to)
{
    uint32_t count = 0;

    UNTIL((count = apic_read(TIMER_COUNT)) >= from && count <= to);
    CHECK(count >= from && count <= to);
    return count;
}

/* Between once and periodic it goes on where it was. */
CASE(the_mode_of_the_timer_changes)
{
    const uint32_t all = 0x1000000; /* 0.17 s */

    apic_write(LVT_TIMER, VECTOR);
    apic_write(TIMER_DIVIDE, 0xb);
    apic_write(TIMER_INIT, all);
    CHECK(apic_read(TIMER_COUNT) > 0);
    wait_count(0, 0);
    apic_write(TIMER_INIT, all);
    wait_count(1, all / 2);
    apic_write(LVT_TIMER, PERIODIC | VECTOR);
    CHECK_EQ(apic_read(TIMER_INIT), all);
    CHECK(apic_read(TIMER_COUNT) <= all / 2);
    wait_count(all / 2, all);
    wait_count(1, all / 2);
    apic_write(LVT_TIMER, VECTOR);
    CHECK(apic_read(TIMER_COUNT) <= all / 2);
    wait_count(0, 0);
    apic_write(LVT_TIMER, PERIODIC | VECTOR);
    CHECK_EQ(apic_read(TIMER_COUNT), 0);
    apic_write(LVT_TIMER, 0x10000u);
}

/* --- NMI -----------------------------------------------------------------*/

static void send(unsigned cpu, uint32_t what)
{
    apic_write(ICR_HIGH, cpu << 24);
    apic_write(ICR_LOW, what);
}

static volatile bool over;
/* Of the first and the second processor: begun and ended */
static volatile uint32_t begun[2], ended[2];

static void send_nmis(void *arg)
{
    uint32_t seen;

    (void)arg;
    while (!over) {
        seen = irqs[0][2];
        send(0, SEND_NMI);
        while (irqs[0][2] == seen && !over)
            pause();
    }
}

CASE(no_nmi_right_behind_sti)
{
    extern const uint8_t behind_sti[];
    unsigned wrong = 0;

    if (!second())
        return;
    over = false;
    call_begin(send_nmis, NULL);
    for (uint64_t end = hv_time() + 5000000; hv_time() < end;) {
        __asm__ volatile("cli\n\tsti\n"
                         ".globl behind_sti\nbehind_sti:\n\t"
                         "nop\n\tcli"
                         :
                         :
                         : "memory");
        if (nmi_at == (uintptr_t)behind_sti)
            wrong++;
        irq_on();
    }
    over = true;
    call_end();
    CHECK_EQ(wrong, 0);
    CHECK(irqs[0][2] > 1000);
}

static void meet(volatile uint32_t place[2], unsigned self, uint32_t n)
{
    place[self] = n;
    while (place[!self] < n && !over)
        pause();
}

static void send_one_a_turn(void *arg)
{
    (void)arg;
    for (uint32_t n = 1; !over; n++) {
        meet(begun, 1, n);
        if (over)
            return;
        send(0, SEND_NMI);
        send(0, 0x4000u | VECTOR);
        meet(ended, 1, n);
    }
}

/* Two at the same time, from here and from there, are two: one is delivered
 * and the other waits for the end of that one's handler. */
CASE(two_nmis_at_once_are_two)
{
    uint32_t nmis, seen, wrong = 0;

    if (!second())
        return;
    over = false;
    call_begin(send_one_a_turn, NULL);
    for (uint32_t n = 1; n <= 20000; n++) {
        nmis = irqs[0][2];
        seen = irqs[0][VECTOR];
        meet(begun, 0, n);
        send(0, SEND_NMI);
        while (irqs[0][VECTOR] == seen)
            pause();
        wrong += irqs[0][2] != nmis + 2;
        meet(ended, 0, n);
    }
    over = true;
    call_end();
    CHECK_EQ(wrong, 0);
}
