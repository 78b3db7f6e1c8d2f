/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flags of translated code that somebody sees after all.  Most of it is code
 * that writes into the code right behind the store: the new one must find
 * the flags as they were, although the old one did not want them.  ADD
 * becomes ADC, 83 C3 00 becomes 83 D3 00.  And the x87 unit, where a loop
 * whose flags are dead goes on at its head.
 */
#include "cpu/jit/jit.h"
#include "tests/cpu/guest.h"
#include "tests/lib/test.h"

static struct guest *start(const uint8_t *code, size_t n)
{
    struct guest *g = guest_create_jit(1, NULL);

    /* as usual: not all flags are kept */
    jit_finish(g->cpu);
    if (!jit_init(g->cpu, false, 0))
        SKIP("no translation here");
    guest_long(g);
    guest_load(g, GUEST_CODE_AT, code, n);
    return g;
}

static void expect_carry(const uint8_t *code, size_t n)
{
    struct guest *g = start(code, n);

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

/* Nobody but R11 sees the flags of CMP; the second time, the access between
 * them does not leave the code. */
GUEST_CODE(call, 64, "mov $7,%eax; cmp $9,%eax; mov 0x20000,%edx; syscall");
TEST(flags_that_syscall_saves)
{
    struct guest *g = start(GUEST_BYTES(call));

    g->st->efer |= EFER_SCE;
    g->st->star = (uint64_t)SEL_CODE0 << 32;
    g->st->lstar = GUEST_HANDLERS;
    guest_settle(g);
    for (unsigned n = 0; n < 2; n++) {
        g->st->activity = X86_RUNNING;
        g->st->rip = GUEST_CODE_AT;
        g->st->rflags &= ~(uint64_t)FL_CF;
        g->st->gpr[R11] = 0;
        CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
        CHECK(g->st->gpr[R11] & FL_CF);
    }
    guest_destroy(g);
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

/* FNINIT is the last of 32 instructions, which is as long as a block can be,
 * and the head of the loop is right behind it. */
GUEST_CODE(init_in_loop, 64,
           "movw $0x77f,0x20100; mov $4,%ecx; jmp 1f;"
           "1: .rept 31; nop; .endr; fninit;"
           "2: xor %eax,%eax; fldcw 0x20100; dec %ecx; jnz 1b; hlt");
TEST(a_handler_takes_the_x87_unit_at_the_end_of_a_loop)
{
    struct guest *g = start(GUEST_BYTES(init_in_loop));

    CHECK_EQ(guest_run(g, 0), ACCEL_HALTED);
    CHECK_EQ(g->st->x87.cw, 0x77f);
    guest_destroy(g);
}
