/* SPDX-License-Identifier: Apache-2.0 */
/* What the hypervisor interface costs a guest: "bench NAME TICKS TIMES". */
#include "guest.h"

#define TIMES  200000u
#define VECTOR 0x50
#define SINT   2u

static void say(const char *name, uint64_t ticks)
{
    print("bench ");
    print(name);
    print(" ");
    print_number(ticks / (TIMES / 100000u)); /* in ps, of 100 ns */
    print("\n");
}

#define MEASURE(name, code)                     \
    do {                                        \
        uint64_t begin_ = hv_time();            \
        for (unsigned n_ = 0; n_ < TIMES; n_++) \
            code;                               \
        say(name, hv_time() - begin_);          \
    } while (0)

CASE(speed)
{
    uint64_t v;
    uint32_t seen;

    hv_on();
    synic_on();
    wrmsr(HV_SINT0 + SINT, VECTOR | SINT_MASKED);
    MEASURE("time_register", v = hv_time());
    MEASURE("eoi_register", wrmsr(HV_EOI, 0));
    MEASURE("hypercall", hypercall(0x7777, 0, 0)); /* no such one */
    outl(0x3000, SINT | 6u << 16 | 0x2bu << 24);
    /* the flag stays set: the way there and back without an interrupt */
    MEASURE("signal_event", hypercall(0x5d | FAST, 0x2b, 0));
    wrmsr(HV_SINT0 + SINT, VECTOR);
    seen = irqs[0][VECTOR];
    MEASURE("signal_and_interrupt", {
        events[0][SINT][0x2b / 8] = 0;
        hypercall(0x5d | FAST, 0x2b, 0);
    });
    CHECK(irqs[0][VECTOR] > seen);
    (void)v;
}
