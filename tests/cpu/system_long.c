/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long mode: exceptions, IST, system calls, 4-level paging with NX, SMEP,
 * SMAP, PCID, state images, MSRs, CPUID.
 */
#include <string.h>

#include "cpu/segment.h"
#include "tests/cpu/guest.h"
#include "tests/lib/test.h"

static struct guest *start(const uint8_t *code, size_t n)
{
    struct guest *g = guest_create(1, NULL);

    guest_long(g);
    guest_load(g, GUEST_CODE_AT, code, n);
    return g;
}

/* --- exceptions ---------------------------------------------------------- */

GUEST_CODE(divide, 64, "xor %ecx,%ecx; div %ecx; hlt");
GUEST_CODE(noncanon, 64, "mov $0x800000000000,%rax; mov (%rax),%rbx; hlt");
GUEST_CODE(noncanon_ss, 64, "mov $0x800000001000,%rsp; push %rax; hlt");
GUEST_CODE(jump_noncanon, 64, "mov $0x800000000000,%rax; jmp *%rax");
GUEST_CODE(pf_nx, 64, "mov $0x30000,%eax; jmp *%rax");
GUEST_CODE(pf_rsvd, 64, "mov 0x31000,%eax; hlt");
GUEST_CODE(no64, 64, ".byte 0x06; hlt");
GUEST_CODE(cr4_pae, 64, "xor %eax,%eax; mov %rax,%cr4; hlt");
GUEST_CODE(efer_bits, 64,
           "mov $0xc0000080,%ecx; xor %edx,%edx;"
           "mov $0x10000,%eax; wrmsr; hlt");
GUEST_CODE(lstar_noncanon, 64,
           "mov $0xc0000082,%ecx; mov $0x8000,%edx;"
           "wrmsr; hlt");
GUEST_CODE(cr8_high, 64, "mov $16,%eax; mov %rax,%cr8; hlt");
GUEST_CODE(int_high, 64, "int $0xf0; hlt");

static const struct {
    const char *name;
    const uint8_t *code, *end;
    unsigned vector;
    int error;
    uint64_t rip;
} faults[] = {
#define ROW(name, vector, error, rip)                       \
    {                                                       \
#name, name##_start, name##_end, vector, error, rip \
    }
    ROW(divide, EXC_DE, -1, GUEST_CODE_AT + 2),
    ROW(noncanon, EXC_GP, 0, GUEST_CODE_AT + 10),
    ROW(noncanon_ss, EXC_SS, 0, GUEST_CODE_AT + 10),
    ROW(jump_noncanon, EXC_GP, 0, GUEST_CODE_AT + 10),
    ROW(pf_nx, EXC_PF, 0x11, 0x30000),
    ROW(pf_rsvd, EXC_PF, 0x09, GUEST_CODE_AT),
    ROW(no64, EXC_UD, -1, GUEST_CODE_AT),
    ROW(cr4_pae, EXC_GP, 0, GUEST_CODE_AT + 2),
    ROW(efer_bits, EXC_GP, 0, GUEST_CODE_AT + 12),
    ROW(lstar_noncanon, EXC_GP, 0, GUEST_CODE_AT + 10),
    ROW(cr8_high, EXC_GP, 0, GUEST_CODE_AT + 5),
    ROW(int_high, EXC_GP, 0xf0 * 8 + 2, GUEST_CODE_AT),
#undef ROW
};

TEST_P(exception_in_64_bit_mode, faults)
{
    struct guest *g = start(row->code, (size_t)(row->end - row->code));
    unsigned n = 0;

    test_note("%s", row->name);
    guest_write64(g, GUEST_PT + 0x30 * 8, 0x30003 | 1ull << 63);
    guest_write64(g, GUEST_PT + 0x31 * 8, 0x31003 | 1ull << 50);
    if (row->vector == EXC_SS)
        guest_write64(g, GUEST_IDT + EXC_SS * 16,
                      guest_read64(g, GUEST_IDT + EXC_SS * 16) | 1ull << 32);
    g->st->idt.limit = 0xeff;
    guest_expect(g, row->vector);
    if (row->error >= 0)
        CHECK_EQ(guest_stack(g, n++), row->error);
    CHECK_EQ(guest_stack(g, n), row->rip);
    CHECK_EQ(guest_stack(g, n + 1), SEL_CODE0);
    CHECK_EQ(guest_stack(g, n + 4), SEL_DATA0);
    CHECK_EQ(g->st->gpr[RSP] % 16, row->error >= 0 ? 0 : 8);
    guest_destroy(g);
}

GUEST_CODE(ist, 64, "ud2");
TEST(ist_switches_stacks_at_the_same_level)
{
    struct guest *g = start(GUEST_BYTES(ist));

    guest_write64(g, GUEST_IDT + EXC_UD * 16,
                  guest_read64(g, GUEST_IDT + EXC_UD * 16) | 1ull << 32);
    guest_expect(g, EXC_UD);
    CHECK_EQ(g->st->gpr[RSP], GUEST_IST1 - 40);
    CHECK_EQ(guest_stack(g, 3), GUEST_STACK0);
    guest_destroy(g);
}

GUEST_CODE(user64, 64, "mov $5,%ebx; ud2");
TEST(exception_from_level_3)
{
    struct guest *g = start(GUEST_BYTES(user64));

    guest_user(g);
    guest_expect(g, EXC_UD);
    CHECK_EQ(g->st->gpr[RSP], GUEST_STACK0 - 40);
    CHECK_EQ(guest_stack(g, 1), SEL_CODE3);
    CHECK_EQ(guest_stack(g, 3), GUEST_STACK3);
    CHECK_EQ(guest_stack(g, 4), SEL_DATA3);
    CHECK_EQ(g->st->seg[SEG_SS].selector, 0); /* null, RPL 0 */
    guest_destroy(g);
}

/* --- system calls -------------------------------------------------------- */

GUEST_CODE(call, 64, "mov $1,%eax; syscall; mov $2,%ebx; ud2");
GUEST_CODE(serve, 64,
           "mov %rcx,%rsi; mov %r11,%rdi; mov %cs,%edx;"
           "rex.w sysret");
TEST(syscall_and_sysret)
{
    struct guest *g = start(GUEST_BYTES(call));

    guest_load(g, 0x18000, GUEST_BYTES(serve));
    g->st->star = (uint64_t)SEL_CODE0 << 32 | (uint64_t)(SEL_DATA3 - 11) << 48;
    g->st->lstar = 0x18000;
    g->st->sfmask = FL_IF | FL_DF;
    g->st->rflags |= FL_IF | FL_DF;
    guest_user(g);
    guest_expect(g, EXC_UD);
    CHECK_EQ(g->st->gpr[RBX], 2);
    CHECK_EQ(g->st->gpr[RSI], GUEST_CODE_AT + 7);
    CHECK_EQ(g->st->gpr[RDI] & (FL_IF | FL_DF), FL_IF | FL_DF);
    CHECK_EQ(g->st->gpr[RDX], SEL_CODE0);
    CHECK_EQ(guest_stack(g, 1) & 3, 3);
    CHECK_EQ(guest_stack(g, 2) & (FL_IF | FL_DF), FL_IF | FL_DF);
    guest_destroy(g);
}

GUEST_CODE(traced, 64, "pushf; orl $0x100,(%rsp); popf; syscall; nop; ud2");
/* TF is off in the kernel, and counts when SYSRET brings it back. */
TEST(syscall_and_sysret_are_traced_by_their_ends)
{
    struct guest *g = start(GUEST_BYTES(traced));

    guest_load(g, 0x18000, GUEST_BYTES(serve));
    g->st->star = (uint64_t)SEL_CODE0 << 32 | (uint64_t)(SEL_DATA3 - 11) << 48;
    g->st->lstar = 0x18000;
    g->st->sfmask = FL_IF | FL_TF;
    guest_user(g);
    guest_expect(g, EXC_DB);
    CHECK_EQ(g->st->gpr[RSI], GUEST_CODE_AT + 11);
    CHECK_EQ(guest_stack(g, 0), GUEST_CODE_AT + 11);
    CHECK_EQ(guest_stack(g, 1) & 3, 3);
    CHECK_EQ(g->st->dr[6] & DB_STEP, DB_STEP);
    guest_destroy(g);
}

GUEST_CODE(swap, 64, "swapgs; mov %gs:8,%rax; swapgs; mov %gs:8,%rbx; hlt");
TEST(swapgs_swaps)
{
    struct guest *g = start(GUEST_BYTES(swap));

    g->st->kernel_gs_base = 0x30000;
    g->st->seg[SEG_GS].base = 0x31000;
    guest_write64(g, 0x30008, 0x30);
    guest_write64(g, 0x31008, 0x31);
    guest_settle(g);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RAX], 0x30);
    CHECK_EQ(g->st->gpr[RBX], 0x31);
    guest_destroy(g);
}

GUEST_CODE(bases, 64,
           "mov $0x30000,%eax; wrgsbase %rax; mov %gs:0,%rbx;"
           "rdgsbase %rcx; mov $0x800000000000,%rax; wrfsbase %rax; hlt");
TEST(fsgsbase_instructions)
{
    struct guest *g = start(GUEST_BYTES(bases));

    g->st->cr4 |= CR4_FSGSBASE;
    guest_write64(g, 0x30000, 0x1234);
    guest_settle(g);
    guest_expect(g, EXC_GP);
    CHECK_EQ(g->st->gpr[RBX], 0x1234);
    CHECK_EQ(g->st->gpr[RCX], 0x30000);
    guest_destroy(g);
}

GUEST_CODE(to_compat, 64,
           "sub $8,%rsp; movl $0x10020,(%rsp);"
           "movl $0x68,4(%rsp); lretl");
GUEST_CODE(compat, 32,
           "mov $0xffffffff,%eax; inc %eax; push %eax;"
           "ljmp $0x08,$0x10040");
GUEST_CODE(back_in_64, 64, "mov $-1,%rbx; hlt");
TEST(compatibility_mode_and_back)
{
    struct guest *g = start(GUEST_BYTES(to_compat));

    guest_set_descriptor(g, SEL_FREE, guest_descriptor(0, 0xfffff, 0x9b, 0xc));
    /* the far return takes 4-byte operands without REX.W */
    guest_load(g, 0x10020, GUEST_BYTES(compat));
    guest_load(g, 0x10040, GUEST_BYTES(back_in_64));
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RAX], 0);
    CHECK_EQ(g->st->gpr[RBX], ~0ull);
    CHECK_EQ(g->cpu->code64, true);
    guest_destroy(g);
}

/* --- paging -------------------------------------------------------------- */

GUEST_CODE(read_user, 64,
           "mov 0x30000,%eax; stac; mov 0x30000,%ebx; clac;"
           "mov 0x30000,%ecx; hlt");
TEST(smap_guards_user_pages)
{
    struct guest *g = start(GUEST_BYTES(read_user));

    g->st->cr4 |= CR4_SMAP;
    g->st->rflags |= FL_AC;
    for (unsigned n = 0; n < 512; n++)
        if (n != 0x30)
            guest_write64(g, GUEST_PT + n * 8, n << 12 | 3);
    guest_settle(g);
    guest_expect(g, EXC_PF);
    CHECK_EQ(guest_stack(g, 0), 1);
    CHECK_EQ(guest_stack(g, 1), GUEST_CODE_AT + 7 + 3 + 7 + 3);
    guest_destroy(g);
}

GUEST_CODE(run_user, 64, "mov $0x30000,%eax; jmp *%rax");
TEST(smep_refuses_user_code)
{
    struct guest *g = start(GUEST_BYTES(run_user));

    g->st->cr4 |= CR4_SMEP;
    for (unsigned n = 0; n < 512; n++)
        if (n != 0x30)
            guest_write64(g, GUEST_PT + n * 8, n << 12 | 3);
    guest_settle(g);
    guest_expect(g, EXC_PF);
    CHECK_EQ(guest_stack(g, 0), 0x11);
    guest_destroy(g);
}

GUEST_CODE(user_super, 64, "mov 0x30000,%eax");
TEST(supervisor_pages_are_not_for_level_3)
{
    struct guest *g = start(GUEST_BYTES(user_super));

    guest_write64(g, GUEST_PT + 0x30 * 8, 0x30003);
    guest_user(g);
    guest_expect(g, EXC_PF);
    CHECK_EQ(guest_stack(g, 0), 5);
    guest_destroy(g);
}

GUEST_CODE(two_mib, 64, "mov 0x212340,%eax; mov %eax,0x212348; hlt");
TEST(two_mib_pages_get_their_bits)
{
    struct guest *g = start(GUEST_BYTES(two_mib));

    guest_write32(g, 0x212340, 0x77);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RAX], 0x77);
    CHECK_EQ(guest_read64(g, GUEST_PD + 8) & 0x60, 0x60);
    guest_destroy(g);
}

/* 4 MiB apart, two places have one slot: each side fills once. */
GUEST_CODE(copy_far, 64,
           "mov $32,%ecx; 1: mov 0x430000(,%rcx,8),%rax;"
           "mov %rax,0x30000(,%rcx,8); dec %ecx; jnz 1b; hlt");
TEST(a_copy_does_not_fill_the_tlb_by_the_word)
{
    struct guest *g = start(GUEST_BYTES(copy_far));

    guest_write64(g, GUEST_PD + 16, 0x200000 | 0xc3);
    guest_write64(g, 0x230008, 0x1234);
    CHECK_EQ(guest_run(g, 1000), ACCEL_HALTED);
    CHECK_EQ(guest_read64(g, 0x30008), 0x1234);
    CHECK(g->cpu->n_tlb_fills < 16);
    guest_destroy(g);
}

GUEST_CODE(drop_large, 64,
           "mov 0x212340,%eax; movl $0x000083,0x6008;"
           "invlpg 0x200000; mov 0x212340,%ebx; hlt");
TEST(invlpg_drops_all_of_a_large_page)
{
    struct guest *g = start(GUEST_BYTES(drop_large));

    guest_write32(g, 0x212340, 1);
    guest_write32(g, 0x012340, 2);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RAX], 1);
    CHECK_EQ(g->st->gpr[RBX], 2);
    guest_destroy(g);
}

/* Code that was found many times by its address is another when that leads
 * elsewhere: RSI is called, before with INC EBX there, then INC ECX. */
#define CALL_NINE_TIMES "mov $9,%edi; 1: call *%rsi; dec %edi; jnz 1b;"
GUEST_CODE(code_invlpg, 64,
           CALL_NINE_TIMES
           "movl $0x31003,0x7180; invlpg 0x30fff; call *%rsi; hlt");
GUEST_CODE(code_cr3, 64,
           CALL_NINE_TIMES "movl $0x31003,0x7180; mov %cr3,%rax; mov %rax,%cr3;"
                           "call *%rsi; hlt");
GUEST_CODE(code_global, 64,
           CALL_NINE_TIMES "movl $0x31103,0x7180; mov %cr3,%rax; mov %rax,%cr3;"
                           "invlpg 0x30000; call *%rsi; hlt");
GUEST_CODE(code_large, 64,
           CALL_NINE_TIMES
           "movl $0x83,0x6008; invlpg 0x3ff000; call *%rsi; hlt");

static void check_code_moves(const uint8_t *code, size_t n, uint32_t from,
                             uint32_t to, unsigned pte)
{
    static const uint8_t inc_ebx[] = { 0xff, 0xc3, 0xc3 };
    static const uint8_t inc_ecx[] = { 0xff, 0xc1, 0xc3 };
    struct guest *g = start(code, n);

    guest_load(g, from, inc_ebx, sizeof inc_ebx);
    guest_load(g, to, inc_ecx, sizeof inc_ecx);
    guest_write64(g, 0x7180, 0x30000 | pte);
    g->st->cr4 |= CR4_PGE;
    guest_settle(g);
    g->st->gpr[RBX] = g->st->gpr[RCX] = 0;
    g->st->gpr[RSI] = from;
    CHECK_EQ(guest_run(g, 1000), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RBX], 9);
    CHECK_EQ(g->st->gpr[RCX], 1);
    guest_destroy(g);
}

TEST(code_goes_with_its_translation)
{
    check_code_moves(GUEST_BYTES(code_invlpg), 0x30000, 0x31000, 3);
    check_code_moves(GUEST_BYTES(code_cr3), 0x30000, 0x31000, 3);
    check_code_moves(GUEST_BYTES(code_global), 0x30000, 0x31000, 0x103);
    check_code_moves(GUEST_BYTES(code_large), 0x212340, 0x12340, 3);
}

/* PCID 1 and 2 map 30000h differently; bit 63 keeps what is cached. */
GUEST_CODE(pcid, 64,
           "mov $0x4001,%eax; mov %rax,%cr3; mov 0x30000,%esi;"
           "mov $0x200002,%eax; mov %rax,%cr3; mov 0x30000,%edi;"
           "movl $0x34003,0x7180;" /* change the first's table */
           "mov $0x8000000000004001,%rax; mov %rax,%cr3;"
           "mov 0x30000,%r8d;" /* may still be the old one */
           "mov $0x4001,%eax; mov %rax,%cr3; mov 0x30000,%r9d; hlt");
TEST(pcid_keeps_address_spaces_apart)
{
    struct guest *g = start(GUEST_BYTES(pcid));

    memcpy(g->ram + 0x200000, g->ram + GUEST_PML4, 4096);
    guest_write64(g, 0x200000, 0x201007);
    guest_write64(g, 0x201000, 0x202007);
    guest_write64(g, 0x202000, 0x203007);
    memcpy(g->ram + 0x203000, g->ram + GUEST_PT, 4096);
    guest_write64(g, 0x203000 + 0x30 * 8, 0x32003);
    guest_write32(g, 0x30000, 0x30);
    guest_write32(g, 0x32000, 0x32);
    guest_write32(g, 0x34000, 0x34);
    g->st->cr4 |= CR4_PCIDE;
    guest_settle(g);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RSI], 0x30);
    CHECK_EQ(g->st->gpr[RDI], 0x32);
    CHECK_EQ(g->st->gpr[R8], 0x30);
    CHECK_EQ(g->st->gpr[R9], 0x34);
    guest_destroy(g);
}

GUEST_CODE(global, 64,
           "mov 0x30000,%ebx; movl $0x31003,0x7180;"
           "mov %cr3,%rax; mov %rax,%cr3; mov 0x30000,%ecx;"
           "mov %cr4,%rax; xor $0x80,%rax; mov %rax,%cr4;"
           "mov 0x30000,%edx; hlt");
TEST(global_pages_survive_cr3)
{
    struct guest *g = start(GUEST_BYTES(global));

    guest_write64(g, GUEST_PT + 0x30 * 8, 0x30103);
    guest_write32(g, 0x30000, 0x30);
    guest_write32(g, 0x31000, 0x31);
    g->st->cr4 |= CR4_PGE;
    guest_settle(g);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RBX], 0x30);
    CHECK_EQ(g->st->gpr[RCX], 0x30);
    CHECK_EQ(g->st->gpr[RDX], 0x31);
    guest_destroy(g);
}

GUEST_CODE(invpcid, 64,
           "mov 0x30000,%ebx; movl $0x31003,0x7180;"
           "mov $0,%eax; mov $0x20000,%esi; invpcid (%rsi),%rax;"
           "mov 0x30000,%ecx; mov $9,%eax; invpcid (%rsi),%rax");
TEST(invpcid_types)
{
    struct guest *g = start(GUEST_BYTES(invpcid));

    guest_write32(g, 0x30000, 0x30);
    guest_write32(g, 0x31000, 0x31);
    guest_write64(g, GUEST_DATA + 8, 0x30000);
    guest_expect(g, EXC_GP);
    CHECK_EQ(g->st->gpr[RBX], 0x30);
    CHECK_EQ(g->st->gpr[RCX], 0x31);
    guest_destroy(g);
}

/* REP MOVS goes on in the third page, which is not there. */
GUEST_CODE(rep_fault, 64, "rep movsb; hlt");
TEST(rep_movs_faults_in_its_middle)
{
    struct guest *g = start(GUEST_BYTES(rep_fault));

    for (unsigned n = 0; n < 0x300; n++)
        g->ram[0x30f00 + n] = (uint8_t)(n * 7);
    guest_write64(g, GUEST_PT + 0x36 * 8, 0);
    g->st->gpr[RSI] = 0x30f00;
    g->st->gpr[RDI] = 0x35f80;
    g->st->gpr[RCX] = 0x200;
    guest_expect(g, EXC_PF);
    CHECK_EQ(g->st->cr2, 0x36000);
    CHECK_EQ(g->st->gpr[RCX], 0x180);
    CHECK_EQ(g->st->gpr[RSI], 0x30f80);
    CHECK_EQ(g->st->gpr[RDI], 0x36000);
    CHECK(!memcmp(g->ram + 0x35f80, g->ram + 0x30f00, 0x80));
    guest_destroy(g);
}

/* A page fault inside translated code: all is as before the instruction. */
GUEST_CODE(late_fault, 64,
           "mov $0x30000,%esi; mov $0x11,%eax;"
           "1: add $0x100,%esi; mov %eax,(%rsi); inc %eax; jmp 1b");
TEST(a_fault_after_many_accesses)
{
    struct guest *g = start(GUEST_BYTES(late_fault));

    guest_write64(g, GUEST_PT + 0x34 * 8, 0);
    guest_expect(g, EXC_PF);
    CHECK_EQ(g->st->cr2, 0x34000);
    CHECK_EQ(g->st->gpr[RSI], 0x34000);
    CHECK_EQ(g->st->gpr[RAX], 0x11 + 0x3f);
    CHECK_EQ(guest_read32(g, 0x33f00), 0x11 + 0x3e);
    guest_destroy(g);
}

/* --- interrupts and shadows ---------------------------------------------- */

GUEST_CODE(sti_hlt, 64, "sti; inc %eax; inc %ebx; hlt");
TEST(sti_lets_one_instruction_pass)
{
    struct guest *g = start(GUEST_BYTES(sti_hlt));

    g->st->gpr[RAX] = g->st->gpr[RBX] = 0;
    /* a fixed interrupt that waits from the start */
    guest_write32(g, GUEST_DATA, 0);
    guest_enable_apic(g);
    apic_deliver(&g->vm, 0, false, 0, 0x50, false);
    guest_expect(g, 0x50);
    CHECK_EQ(g->st->gpr[RAX], 1);
    CHECK_EQ(g->st->gpr[RBX], 0);
    guest_destroy(g);
}

GUEST_CODE(sti_nop_cli, 64, "sti; nop; cli; inc %eax; hlt");
TEST(sti_nop_cli_lets_an_interrupt_in)
{
    struct guest *g = start(GUEST_BYTES(sti_nop_cli));

    guest_enable_apic(g);
    apic_deliver(&g->vm, 0, false, 0, 0x50, false);
    guest_expect(g, 0x50);
    CHECK_EQ(guest_stack(g, 0), GUEST_CODE_AT + 2);
    guest_destroy(g);
}

GUEST_CODE(hlt_wakes, 64, "sti; hlt; inc %eax; jmp .");
TEST(an_interrupt_ends_hlt_behind_it)
{
    struct guest *g = start(GUEST_BYTES(hlt_wakes));

    guest_enable_apic(g);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->rip, GUEST_CODE_AT + 2);
    apic_deliver(&g->vm, 0, false, 0, 0x50, false);
    guest_expect(g, 0x50);
    CHECK_EQ(guest_stack(g, 0), GUEST_CODE_AT + 2);
    guest_destroy(g);
}

GUEST_CODE(spin, 64, "jmp .");
TEST(nmi_is_blocked_until_iret)
{
    struct guest *g = start(GUEST_BYTES(spin));

    vcpu_request(g->cpu, REQ_NMI);
    guest_expect(g, EXC_NMI);
    CHECK_EQ(g->st->nmi_blocked, 1);
    vcpu_request(g->cpu, REQ_NMI);
    CHECK_EQ(guest_run(g, 10), ACCEL_HALTED);
    CHECK_EQ(g->st->nmi_pending, 1);
    guest_destroy(g);
}

/* --- images -------------------------------------------------------------- */

GUEST_CODE(fxsave, 64,
           "fld1; fldpi; movq %rax,%xmm3; fxsave 0x20000;"
           "fninit; xorps %xmm3,%xmm3; fxrstor 0x20000; fxsave 0x20200;"
           "fxsave 0x20008; hlt");
TEST(fxsave_image_round_trip)
{
    struct guest *g = start(GUEST_BYTES(fxsave));

    g->st->gpr[RAX] = 0x1122334455667788;
    guest_expect(g, EXC_GP);         /* not aligned */
    CHECK_EQ(g->ram[0x20004], 0xc0); /* two registers in use */
    CHECK_EQ(guest_read64(g, 0x20020), 0xc90fdaa22168c235); /* pi */
    CHECK_EQ(guest_read64(g, 0x20000 + 160 + 48), 0x1122334455667788);
    CHECK_EQ(guest_read32(g, 0x20018), 0x1f80);
    CHECK_MEM_EQ(g->ram + 0x20000, g->ram + 0x20200, 416);
    guest_destroy(g);
}

GUEST_CODE(xsave, 64,
           "xor %ecx,%ecx; xor %edx,%edx; mov $7,%eax; xsetbv;"
           "vpcmpeqd %ymm2,%ymm2,%ymm2; mov $7,%eax; xsave 0x20000;"
           "vzeroall; xrstor 0x20000; mov $4,%eax; xsavec 0x21000;"
           "movl $8,0x20208; xrstor 0x20000");
TEST(xsave_image_with_avx)
{
    struct guest *g = start(GUEST_BYTES(xsave));

    if (!x86_has(&g->cpu->model->features, X86_F_avx))
        SKIP("this host has no AVX");
    g->st->cr4 |= CR4_OSXSAVE;
    guest_settle(g);
    guest_expect(g, EXC_GP); /* XCOMP_BV not zero */
    CHECK_EQ(guest_read64(g, 0x20200) & 6, 6);
    CHECK_EQ(guest_read64(g, 0x20000 + 576 + 32), ~0ull);
    CHECK_EQ(guest_read64(g, 0x21200), 4);
    CHECK_EQ(guest_read64(g, 0x21208), 1ull << 63 | 4);
    CHECK_EQ(*(uint64_t *)(g->st->ymm[2] + 24), ~0ull);
    guest_destroy(g);
}

/* --- MSRs, CPUID --------------------------------------------------------- */

GUEST_CODE(cpuid, 64,
           "xor %eax,%eax; cpuid; mov %ebx,0x20000;"
           "mov %edx,0x20004; mov %ecx,0x20008; mov $1,%eax; cpuid;"
           "mov %ecx,%esi; mov %edx,%edi; hlt");
TEST(cpuid_tells_the_model)
{
    struct guest *g = guest_create(1, "pentium");

    guest_protected(g, false);
    /* the same bytes in 32-bit mode, but for the addresses */
    guest_load(
        g, GUEST_CODE_AT,
        (const uint8_t
             *)"\x31\xc0\x0f\xa2\x89\x1d\x00\x00\x02\x00\xb8\x01\x00\x00\x00"
               "\x0f\xa2\xf4",
        18);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(guest_read32(g, GUEST_DATA), 0x756e6547); /* "Genu" */
    CHECK_EQ(g->st->gpr[RAX], 0x52c);
    CHECK_EQ(g->st->gpr[RDX] & 1u << 15, 0); /* no CMOV */
    guest_destroy(g);
    g = start(GUEST_BYTES(cpuid));
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_MEM_EQ(g->ram + GUEST_DATA, "AuthenticAMD", 12);
    CHECK_EQ(g->st->gpr[RSI] >> 27 & 1, 0); /* OSXSAVE */
    CHECK_EQ(g->st->gpr[RSI] >> 31 & 1, 1); /* hypervisor */
    guest_destroy(g);
}

GUEST_CODE(tsc, 64,
           "rdtsc; mov %eax,%esi; mov $0x10,%ecx;"
           "mov $0x12345678,%eax; mov $9,%edx; wrmsr; rdtsc;"
           "mov $0x3b,%ecx; mov %rdx,%rdi; rdmsr; hlt");
TEST(tsc_can_be_written_and_adjust_follows)
{
    struct guest *g = start(GUEST_BYTES(tsc));

    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RDI], 9);
    CHECK_EQ(g->st->gpr[RDX], 9);
    guest_destroy(g);
}

GUEST_CODE(umip, 64, "sgdt 0x20000; hlt");
TEST(umip_hides_tables_from_level_3)
{
    struct guest *g = start(GUEST_BYTES(umip));

    g->st->cr4 |= CR4_UMIP;
    guest_user(g);
    guest_expect(g, EXC_GP);
    guest_destroy(g);
}
