/* SPDX-License-Identifier: Apache-2.0 */
/* Hypercalls: conventions, statuses, and what the calls do. */
#include "guest.h"

#define FLUSH_SPACE    0x02ull
#define FLUSH_LIST     0x03ull
#define LONG_SPIN      0x08ull
#define SEND_IPI       0x0bull
#define FLUSH_SPACE_EX 0x13ull
#define SEND_IPI_EX    0x15ull
#define GET_REGISTERS  0x50ull
#define SET_REGISTERS  0x51ull
#define POST           0x5cull
#define SIGNAL         0x5dull
#define START_VP       0x99ull
#define FROM_APIC_ID   0x9aull
#define REPS(n)        ((uint64_t)(n) << 32)
#define START(n)       ((uint64_t)(n) << 48)
#define VARHEAD(n)     ((uint64_t)(n) << 17)

#define VECTOR 0x60

static uint64_t in[512] page_aligned, out[512] page_aligned;

CASE(statuses)
{
    hv_on();
    CHECK_EQ(hypercall(0x7777, 0, 0), 2);
    CHECK_EQ(hypercall(0x8001, address(in), address(out)), 2);
    CHECK_EQ(hypercall(0x46, address(in), address(out)), 2);
    CHECK_EQ(hypercall(POST | 1ull << 27, address(in), 0), 3);
    CHECK_EQ(hypercall(POST | 1ull << 31, address(in), 0), 3);
    CHECK_EQ(hypercall(POST | 1ull << 60, address(in), 0), 3);
    CHECK_EQ(hypercall(POST | REPS(1), address(in), 0), 3);
    CHECK_EQ(hypercall(POST | VARHEAD(1), address(in), 0), 3);
    CHECK_EQ(hypercall(POST, address(in) + 4, 0), 4);
    CHECK_EQ(hypercall(POST, address(in) + 4096 - 248, 0), 4);
    CHECK_EQ(hypercall(POST, 0xfffffffffffff000ull, 0), 4);
    CHECK_EQ(hypercall(POST, 0xfe000000ull, 0), 4);
    CHECK_EQ(hypercall(POST | FAST, 1, 2), 3);
    in[0] = 0x1234; /* connection */
    in[1] = 1 | 8ull << 32;
    CHECK_EQ(hypercall(POST, address(in), 0), 0x12);
    in[1] = 1 | 241ull << 32;
    CHECK_EQ(hypercall(POST, address(in), 0), 5);
    in[1] = 0;
    CHECK_EQ(hypercall(POST, address(in), 0), 5);
    in[1] = 0x80000001u;
    CHECK_EQ(hypercall(POST, address(in), 0), 5);
    CHECK_EQ(hypercall(SIGNAL, address(in), 0), 0x12);
    CHECK_EQ(hypercall(SIGNAL | FAST, 0x1234, 0), 0x12);
    CHECK_EQ(hypercall(GET_REGISTERS, address(in), address(out)), 3);
    CHECK_EQ(hypercall(GET_REGISTERS | REPS(2) | START(2), address(in),
                       address(out)),
             3);
    CHECK_EQ(hypercall(LONG_SPIN | FAST, 100, 0), 0);
}

CASE(registers_by_name)
{
    uint32_t *name = (uint32_t *)&in[2];

    in[0] = ~0ull;
    in[1] = 0xfffffffeu;
    name[0] = 0x00090003; /* VP index */
    name[1] = 0x00090002; /* identity */
    name[2] = 0x12345678;
    out[0] = out[2] = ~0ull;
    CHECK_EQ(hypercall(GET_REGISTERS | REPS(2), address(in), address(out)),
             REPS(2));
    CHECK_EQ(out[0], 0);
    CHECK_EQ(out[2], rdmsr(HV_GUEST_OS_ID));
    CHECK_EQ(hypercall(GET_REGISTERS | REPS(3), address(in), address(out)),
             REPS(2) | 5);
    /* from a repetition on */
    out[0] = 77;
    CHECK_EQ(hypercall(GET_REGISTERS | REPS(2) | START(1), address(in),
                       address(out)),
             REPS(2));
    CHECK_EQ(out[0], 77);
    in[0] = 1;
    CHECK_EQ(hypercall(GET_REGISTERS | REPS(1), address(in), address(out)),
             0x0d);
    in[0] = ~0ull;
    in[1] = 63;
    CHECK_EQ(hypercall(GET_REGISTERS | REPS(1), address(in), address(out)),
             0x0e);

    in[1] = 0xfffffffeu;
    in[2] = 0x000a0005; /* SINT 5 */
    in[3] = 0;
    in[4] = 0x10055;
    CHECK_EQ(hypercall(SET_REGISTERS | REPS(1), address(in), 0), REPS(1));
    CHECK_EQ(rdmsr(HV_SINT0 + 5), 0x10055);
    in[4] = 3; /* no vector for that */
    CHECK_EQ(hypercall(SET_REGISTERS | REPS(1), address(in), 0), 0x50);
}

CASE(processors_by_apic_id)
{
    uint32_t *id = (uint32_t *)&in[2], *vp = (uint32_t *)out;

    in[0] = ~0ull;
    in[1] = 0;
    id[0] = 0;
    id[1] = 200;
    CHECK_EQ(hypercall(FROM_APIC_ID | REPS(2), address(in), address(out)),
             REPS(1) | 5);
    CHECK_EQ(vp[0], 0);
}

CASE(interrupts)
{
    uint64_t both = option("cpus", 1) > 1 ? 3 : 1;

    if (both == 3)
        CHECK(second());
    CHECK_EQ(hypercall(SEND_IPI | FAST, VECTOR, both), 0);
    CHECK(irq_wait(0, VECTOR, 1, 1000));
    if (both == 3)
        CHECK(irq_wait(1, VECTOR, 1, 1000));
    CHECK_EQ(hypercall(SEND_IPI | FAST, 15, 1), 5);
    CHECK_EQ(hypercall(SEND_IPI | FAST, 256, 1), 5);
    CHECK_EQ(hypercall(SEND_IPI | FAST, VECTOR, ~3ull), 0); /* nobody */

    in[0] = VECTOR;
    in[1] = 0; /* sparse */
    in[2] = 1; /* bank 0 */
    in[3] = both;
    CHECK_EQ(hypercall(SEND_IPI_EX | VARHEAD(1), address(in), 0), 0);
    CHECK(irq_wait(0, VECTOR, 2, 1000));
    in[2] = 3; /* two banks, one given */
    CHECK_EQ(hypercall(SEND_IPI_EX | VARHEAD(1), address(in), 0), 5);
    in[2] = 2; /* another bank than that of these processors */
    CHECK_EQ(hypercall(SEND_IPI_EX | VARHEAD(1), address(in), 0), 0);
    in[1] = 1; /* all */
    CHECK_EQ(hypercall(SEND_IPI_EX, address(in), 0), 0);
    CHECK(irq_wait(0, VECTOR, 3, 1000));
    in[1] = 2;
    CHECK_EQ(hypercall(SEND_IPI_EX, address(in), 0), 5);
}

/* Sparse sets do not fit into two registers. */
CASE(input_in_xmm_registers)
{
    uint32_t n = irqs[0][VECTOR];
    const uint64_t xmm[2] = { 1, 1 }; /* banks, bank 0 */

    __asm__ volatile("movdqu %0, %%xmm0" : : "m"(xmm) : "memory");
    CHECK_EQ(hypercall(SEND_IPI_EX | FAST | VARHEAD(1), VECTOR, 0), 0);
    CHECK(irq_wait(0, VECTOR, n + 1, 1000));
}

#ifdef __x86_64__
extern uint64_t pd[];
static uint8_t two[2][0x200000] __attribute__((aligned(0x200000)));

/* The last 2 MiB below 1 GiB are one of these or the other. */
#define WINDOW 0x3fe00000u

static void map_window(unsigned n)
{
    __atomic_store_n(&pd[WINDOW >> 21], address(two[n]) | 0x83,
                     __ATOMIC_SEQ_CST);
}

static void look(void *result)
{
    *(volatile uint8_t *)result = *(volatile uint8_t *)(uintptr_t)WINDOW;
}

static void flush_case(uint64_t control, unsigned vp)
{
    volatile uint8_t seen = 0;

    two[0][0] = 10;
    two[1][0] = 11;
    for (unsigned n = 0; n < 2; n++) {
        map_window(n);
        CHECK_EQ(hypercall(control, address(in), 0) & 0xffff, 0);
        if (vp)
            call(look, (void *)&seen);
        else
            look((void *)&seen);
        CHECK_EQ(seen, 10 + n);
    }
}

CASE(flushes)
{
    for (unsigned vp = 0; vp <= second(); vp++) {
        in[0] = 0;
        in[1] = 2;        /* all spaces */
        in[2] = 1u << vp; /* mask */
        flush_case(FLUSH_SPACE, vp);
        in[3] = WINDOW | 0x1ff;
        flush_case(FLUSH_LIST | REPS(1), vp);
        CHECK_EQ(hypercall(FLUSH_LIST | REPS(1), address(in), 0), REPS(1));
        in[1] = 3; /* all processors */
        in[2] = 0;
        flush_case(FLUSH_SPACE, vp);
        in[1] = 2;
        in[2] = 0; /* sparse */
        in[3] = 1;
        in[4] = 1u << vp;
        flush_case(FLUSH_SPACE_EX | VARHEAD(1), vp);
        in[1] = 0x10;
        CHECK_EQ(hypercall(FLUSH_SPACE, address(in), 0), 5);
    }
}
#endif

CASE(only_waiting_processors_start)
{
    for (unsigned n = 0; n < 512; n++)
        in[n] = 0;
    in[0] = ~0ull;
    in[1] = 0;
    CHECK_EQ(hypercall(START_VP, address(in), 0), 0x15);
    in[1] = 5;
    CHECK_EQ(hypercall(START_VP, address(in), 0), 0x0e);
    in[1] = 1;
    if (second()) {
        CHECK_EQ(hypercall(START_VP, address(in), 0), 0x15);
        in[28] = 1ull << 63; /* CR4 */
        CHECK_EQ(hypercall(START_VP, address(in), 0), 5);
        in[28] = 0;
        in[29] = 2; /* PAT: no such type */
        CHECK_EQ(hypercall(START_VP, address(in), 0), 5);
    }
}
