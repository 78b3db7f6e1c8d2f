/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translated code that writes into the code right behind the store: the new
 * code must find the flags as they were, although the old code did not want
 * them.  ADD becomes ADC, 83 C3 00 becomes 83 D3 00.
 */
#include "cpu/jit/jit.h"
#include "tests/cpu/guest.h"
#include "tests/lib/test.h"

static void expect_carry(const uint8_t *code, size_t n)
{
    struct guest *g = guest_create_jit(1, NULL);

    /* as usual: not all flags are kept */
    jit_finish(g->cpu);
    if (!jit_init(g->cpu, false, 0))
        SKIP("no translation here");
    guest_long(g);
    guest_load(g, GUEST_CODE_AT, code, n);
    CHECK_EQ(guest_run(g, 0), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RBX], 1);
    guest_destroy(g);
}

#define CARRY "xor %ebx,%ebx; mov $7,%eax; cmp $9,%eax; "

GUEST_CODE(same_block, 64, CARRY "movb $0xd3,1f+1(%rip); 1: add $0,%ebx; hlt");
TEST(in_the_same_block)
{
    expect_carry(GUEST_BYTES(same_block));
}

GUEST_CODE(next_block, 64,
           CARRY "movb $0xd3,1f+1(%rip); jmp 1f; nop; 1: add $0,%ebx; hlt");
TEST(in_the_block_that_follows)
{
    expect_carry(GUEST_BYTES(next_block));
}

GUEST_CODE(far_behind, 64,
           CARRY "movb $0xd3,1f+1(%rip); lea 8(%rcx),%rcx; mov %rcx,%rdx;"
                 "mov %rdx,0x20000; 1: add $0,%ebx; hlt");
TEST(behind_other_instructions)
{
    expect_carry(GUEST_BYTES(far_behind));
}

GUEST_CODE(string, 64,
           "lea 1f+1(%rip),%rdi; mov $0xd3,%eax; xor %ebx,%ebx; cmp $255,%eax;"
           "stosb; 1: add $0,%ebx; hlt");
TEST(by_a_string_instruction)
{
    expect_carry(GUEST_BYTES(string));
}

GUEST_CODE(exchange, 64,
           "mov $0xd3,%ecx; " CARRY "xchg %cl,1f+1(%rip);"
           "1: add $0,%ebx; hlt");
TEST(by_an_exchange)
{
    expect_carry(GUEST_BYTES(exchange));
}

/* C3 - F0 is D3 with a borrow. */
GUEST_CODE(itself, 64,
           "xor %ebx,%ebx; subb $0xf0,1f+1(%rip); 1: add $0,%ebx; hlt");
TEST(flags_of_the_store_itself)
{
    expect_carry(GUEST_BYTES(itself));
}

/* Already translated, and in a loop. */
GUEST_CODE(loop, 64,
           "mov $40,%ecx; 2: movb $0xc3,1f+1(%rip); cmp $1,%ecx; jne 3f;"
           "movb $0xd3,1f+1(%rip); 3: xor %ebx,%ebx; mov $7,%eax; cmp $9,%eax;"
           "movb $0,4f+6(%rip); 4: movb $0,0x20000; 1: add $0,%ebx;"
           "dec %ecx; jnz 2b; hlt");
TEST(after_many_times)
{
    expect_carry(GUEST_BYTES(loop));
}
