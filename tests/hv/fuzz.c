/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that means harm: registers with any value, hypercalls with any
 * control word and input, pages anywhere, on all processors at once.  The
 * host must stay alive, and so must the guest's own loop.  "seed=" and
 * "turns=" of the command line.
 */
#include "guest.h"

static uint64_t state[CPUS];
static uint8_t pages[8][PAGE] page_aligned;

/* xorshift64* (Vigna 2016) */
static uint64_t any(void)
{
    uint64_t *s = &state[cpu_index()];

    *s ^= *s >> 12;
    *s ^= *s << 25;
    *s ^= *s >> 27;
    return *s * 0x2545f4914f6cdd1dull;
}

static uint64_t any_value(void)
{
    static const uint64_t odd[] = { 0,           1,           0x10050,
                                    ~0ull,       1ull << 63,  0xfee00001u,
                                    0xff000001u, 0xfe000001u, 0x1000000,
                                    0x80000000u };

    switch (any() % 6) {
    case 0: return any();
    case 1: return odd[any() % (sizeof odd / sizeof odd[0])];
    case 2: return any() & 0xff;
    default: return address(pages[any() % 8]) + (any() & 7) * (any() & 1);
    }
}

/* Not those that end the guest, halt it or take its hypercalls away. */
static bool is_tame(uint32_t msr)
{
    return msr != 0x40000003u && msr != 0x40000000u && msr != 0x40000001u &&
           msr != 0x400000f0u;
}

static void one_register(void)
{
    uint32_t msr = 0x40000000u + (uint32_t)(any() % 0x108);
    uint64_t v;

    if (!is_tame(msr))
        return;
    if (any() & 1) {
        msr_read(msr, &v);
        return;
    }
    v = any_value();
    if (msr == 0x40000071u) /* no INIT, no NMI */
        v &= 0xffffffff000000ffull;
    /* interrupts as exceptions are only this guest's problem */
    if (msr >= HV_STIMER0)
        v |= 0x400;
    else if (msr >= HV_EOI && (uint8_t)v < 32)
        v |= 0x40;
    msr_write(msr, v);
}

static void one_hypercall(void)
{
    static const uint16_t codes[] = { 0x02, 0x03, 0x08, 0x0b,  0x13, 0x14,
                                      0x15, 0x46, 0x50, 0x51,  0x5c, 0x5d,
                                      0x7e, 0x99, 0x9a, 0x8001 };
    uint64_t control = codes[any() % (sizeof codes / sizeof codes[0])];
    uint8_t *page = pages[any() % 8];

    for (unsigned n = 0; n < 64; n++)
        ((uint64_t *)page)[n] = any() & 3 ? any_value() : ~0ull;
    *(uint64_t *)page |= 0x40; /* a vector */
    if (any() & 1)
        control |= (any() & 0xfff) << 32;
    if (!(any() & 7))
        control |= any() & ~0xffffull;
    if ((control & 0xffff) == 0x0b || (control & 0xffff) == 0x15)
        control &= ~FAST;
    else if (any() & 1)
        control |= FAST;
    hypercall(control, any() & 3 ? address(page) : any_value() & ~0xfffull,
              any_value());
}

static void storm(void *arg)
{
    uint64_t turns = option("turns", 20000);

    (void)arg;
    state[cpu_index()] = option("seed", 1) * 2654435761u + cpu_index() + 1;
    for (uint64_t n = 0; n < turns; n++) {
        if (any() & 1)
            one_register();
        else
            one_hypercall();
        if (!(any() & 63))
            outl(0x3000, (uint32_t)any());
    }
}

CASE(the_host_lives)
{
    for (unsigned v = 0; v < 256; v++)
        no_eoi[v] = false;
    hv_on();
    if (second())
        call_begin(storm, NULL);
    storm(NULL);
    call_end();
}
