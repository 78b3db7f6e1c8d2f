/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --jit=check: it goes through what is right, and finds what is not.  Wrong
 * translations are made by hand, in the code buffer.
 */
#include <string.h>

#include "cpu/jit/cache.h"
#include "cpu/jit/check.h"
#include "cpu/jit/jit.h"
#include "tests/cpu/guest.h"
#include "tests/lib/test.h"

static struct guest *start(const uint8_t *code, size_t n)
{
    struct guest *g = guest_create_jit(1, NULL);

    CHECK(jit_check(g->cpu));
    guest_long(g);
    guest_load(g, GUEST_CODE_AT, code, n);
    return g;
}

/* Makes one immediate of translated code another one. */
static void spoil(struct guest *g, uint32_t imm, uint32_t other)
{
    struct jit *j = g->cpu->jit;
    unsigned found = 0;

    for (uint8_t *p = j->start; p + 4 <= j->at; p++)
        if (!memcmp(p, &imm, 4)) {
            memcpy(p, &other, 4);
            found++;
        }
    CHECK(found > 0);
}

static uint64_t compared(struct guest *g)
{
    return g->cpu->jit->check->n_insns;
}

GUEST_CODE(sum, 64,
           "mov $2000,%ecx; xor %eax,%eax;"
           "1: add $0x12345,%eax; mov %eax,0x20000(,%rcx,4);"
           "push %rcx; pop %rdx; test $7,%cl; jnz 2f; lock xadd %rax,0x20000;"
           "2: dec %ecx; jnz 1b; hlt");
TEST(right_code_passes)
{
    struct guest *g = start(GUEST_BYTES(sum));

    CHECK_EQ(guest_run(g, 100000), ACCEL_HALTED);
    CHECK(compared(g) > 10000);
    CHECK_EQ(g->cpu->jit->check->n_skipped[SKIP_DEVICE], 0);
    guest_destroy(g);
}

TEST(a_wrong_register_is_found)
{
    struct guest *g = start(GUEST_BYTES(sum));

    CHECK_EQ(guest_run(g, 3000), ACCEL_BUDGET);
    spoil(g, 0x12345, 0x12346);
    CHECK_EQ(guest_run(g, 100000), ACCEL_ERROR);
    guest_destroy(g);
}

GUEST_CODE(stores, 64,
           "mov $2000,%ecx; 1: movl $0x3456789,0x20000; dec %ecx; jnz 1b; hlt");
TEST(a_wrong_store_is_found)
{
    struct guest *g = start(GUEST_BYTES(stores));

    CHECK_EQ(guest_run(g, 3000), ACCEL_BUDGET);
    spoil(g, 0x3456789, 0x345678a);
    CHECK_EQ(guest_run(g, 100000), ACCEL_ERROR);
    guest_destroy(g);
}

/* The flags of ADD are dead to who looks at its block alone. */
GUEST_CODE(dead, 64,
           "mov $2000,%ecx; 1: add $0x456789a,%eax; jmp 2f; 2: setc %dl;"
           "lea -1(%ecx),%ecx; jrcxz 3f; jmp 1b; 3: hlt");
TEST(right_flags_pass)
{
    struct guest *g = start(GUEST_BYTES(dead));

    CHECK_EQ(guest_run(g, 100000), ACCEL_HALTED);
    CHECK(compared(g) > 8000);
    guest_destroy(g);
}

/* Page 30h is not there; the handler halts. */
GUEST_CODE(faults, 64,
           "mov $600,%ecx; 1: mov %ecx,0x20000; dec %ecx; cmp $5,%ecx; jne 2f;"
           "mov 0x30000(,%rcx,8),%eax; 2: test %ecx,%ecx; jnz 1b; hlt");
TEST(a_fault_is_raised_once)
{
    struct guest *g = start(GUEST_BYTES(faults));

    guest_write64(g, GUEST_PT + 0x30 * 8, 0);
    guest_run(g, 100000);
    CHECK_EQ(g->st->cr2, 0x30028);
    CHECK_EQ(g->st->gpr[RCX], 5);
    guest_destroy(g);
}

GUEST_CODE(modify, 64,
           "mov $300,%ecx; 1: mov %ecx,2f+1(%rip); 2: mov $0,%eax;"
           "cmp %ecx,%eax; jne 3f; dec %ecx; jnz 1b; 3: hlt");
TEST(code_that_changes_itself_passes)
{
    struct guest *g = start(GUEST_BYTES(modify));

    CHECK_EQ(guest_run(g, 100000), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RCX], 0);
    CHECK(g->cpu->jit->check->n_skipped[SKIP_CODE] > 0);
    guest_destroy(g);
}

/* Each turn writes to a page table in which the walk then marks an entry. */
GUEST_CODE(tables, 64,
           "mov $200,%ecx; 1: mov %rcx,0x7ff8; mov %ecx,%eax; shl $12,%eax;"
           "mov 0x100000(%rax),%edx; dec %ecx; jnz 1b; hlt");
TEST(walks_that_mark_a_written_table_pass)
{
    struct guest *g = start(GUEST_BYTES(tables));

    for (unsigned n = 0x100; n < 0x1ff; n++)
        guest_write64(g, GUEST_PT + n * 8, n << 12 | 3);
    CHECK_EQ(guest_run(g, 100000), ACCEL_HALTED);
    CHECK(g->cpu->jit->check->n_skipped[SKIP_TABLES] > 0);
    guest_destroy(g);
}
