/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that the host's processor cannot be asked about from a user program
 * and that the other system tests do not come across: each does what the
 * manual says.
 */
#include <string.h>

#include "bus/pio.h"
#include "tests/cpu/guest.h"
#include "tests/lib/test.h"

static struct guest *start32(const uint8_t *code, size_t n)
{
    struct guest *g = guest_create(1, NULL);

    guest_protected(g, true);
    guest_load(g, GUEST_CODE_AT, code, n);
    return g;
}

static struct guest *start64(const uint8_t *code, size_t n)
{
    struct guest *g = guest_create(1, NULL);

    guest_long(g);
    guest_load(g, GUEST_CODE_AT, code, n);
    return g;
}

static void run(struct guest *g)
{
    CHECK_EQ(guest_run(g, 1000), ACCEL_HALTED);
    CHECK_LT(g->st->rip, GUEST_CODE_AT + 0x8000);
    CHECK_GE(g->st->rip, GUEST_CODE_AT);
}

/* --- ports --------------------------------------------------------------- */

static struct {
    uint16_t port;
    uint32_t value;
    unsigned size;
} wrote[8];
static unsigned writes;

static uint32_t port_read(void *opaque, uint16_t offset, unsigned size)
{
    (void)opaque;
    return (0x44332211u + 0x01010101u * offset) &
           (size == 4 ? ~0u : (1u << 8 * size) - 1);
}

static void port_write(void *opaque, uint16_t offset, uint32_t value,
                       unsigned size)
{
    (void)opaque;
    wrote[writes].port = offset;
    wrote[writes].value = value;
    wrote[writes++].size = size;
}

static const struct pio_ops ports = { port_read, port_write };

GUEST_CODE(in_all, 64,
           "mov $-1,%rax; mov %rax,%rbx; mov %rax,%rcx;"
           "in $0x40,%al; mov %rax,%rsi; mov %rbx,%rax; in $0x40,%ax;"
           "mov %rax,%rdi; mov %rbx,%rax; in $0x40,%eax; mov %rax,%r8;"
           "mov $0x41,%edx; mov %rbx,%rax; in %dx,%al; mov %rax,%r9;"
           "mov $0x42,%edx; mov %rbx,%rax; in %dx,%ax; mov %rax,%r10;"
           "mov $0x44,%edx; mov %rbx,%rax; in %dx,%eax; mov %rax,%r11;"
           "mov %rbx,%rax; .byte 0x48; in $0x40,%eax; mov %rax,%r12;"
           "mov %rbx,%rax; .byte 0x48; in %dx,%eax; hlt");
TEST(in_of_each_width_keeps_or_clears_the_rest_of_rax)
{
    struct guest *g = start64(GUEST_BYTES(in_all));

    pio_claim(g->vm.pio, "test", 0x40, 16, 7, 0, &ports, NULL);
    run(g);
    CHECK_EQ(g->st->gpr[RSI], 0xffffffffffffff11);
    CHECK_EQ(g->st->gpr[RDI], 0xffffffffffff2211);
    CHECK_EQ(g->st->gpr[R8], 0x44332211);
    CHECK_EQ(g->st->gpr[R9], 0xffffffffffffff12);
    CHECK_EQ(g->st->gpr[R10], 0xffffffffffff2413);
    CHECK_EQ(g->st->gpr[R11], 0x48372615);
    CHECK_EQ(g->st->gpr[R12], 0x44332211); /* REX.W changes nothing */
    CHECK_EQ(g->st->gpr[RAX], 0x48372615);
    guest_destroy(g);
}

GUEST_CODE(out_all, 64,
           "mov $0x123456789abcdef0,%rax; out %al,$0x40; out %ax,$0x42;"
           "out %eax,$0x44; mov $0x41,%edx; out %al,%dx; mov $0x4a,%edx;"
           "out %ax,%dx; mov $0x48,%edx; out %eax,%dx; .byte 0x48;"
           "out %eax,$0x44; .byte 0x48; out %eax,%dx; hlt");
TEST(out_of_each_width_takes_the_low_part_of_rax)
{
    static const struct {
        uint16_t port;
        uint32_t value;
        unsigned size;
    } want[] = { { 0, 0xf0, 1 },       { 2, 0xdef0, 2 },
                 { 4, 0x9abcdef0, 4 }, { 1, 0xf0, 1 },
                 { 10, 0xdef0, 2 },    { 8, 0x9abcdef0, 4 },
                 { 4, 0x9abcdef0, 4 }, { 8, 0x9abcdef0, 4 } };
    struct guest *g = start64(GUEST_BYTES(out_all));

    pio_claim(g->vm.pio, "test", 0x40, 16, 7, 0, &ports, NULL);
    run(g);
    CHECK_EQ(writes, 8);
    for (unsigned n = 0; n < 8; n++) {
        CHECK_EQ(wrote[n].port, want[n].port);
        CHECK_EQ(wrote[n].value, want[n].value);
        CHECK_EQ(wrote[n].size, want[n].size);
    }
    guest_destroy(g);
}

/* --- segment registers and far transfers --------------------------------- */

GUEST_CODE(far_loads, 32,
           "les 0x20000,%eax; lds %cs:0x20008,%ebx; lss 0x20010,%esp;"
           "lfs 0x20018,%ecx; lgs 0x20020,%edx; hlt");
TEST(far_pointers_load_a_register_and_a_segment)
{
    struct guest *g = start32(GUEST_BYTES(far_loads));

    for (unsigned n = 0; n < 5; n++) {
        guest_write32(g, GUEST_DATA + 8 * n, 0x1000 + n);
        guest_write32(g, GUEST_DATA + 8 * n + 4, n == 3 ? 0 : SEL_DATA0);
    }
    guest_write32(g, GUEST_DATA + 16, GUEST_STACK0 - 64);
    run(g);
    CHECK_EQ(g->st->gpr[RAX], 0x1000);
    CHECK_EQ(g->st->gpr[RBX], 0x1001);
    CHECK_EQ(g->st->gpr[RSP], GUEST_STACK0 - 64);
    CHECK_EQ(g->st->gpr[RCX], 0x1003);
    CHECK_EQ(g->st->gpr[RDX], 0x1004);
    CHECK_EQ(g->st->seg[SEG_ES].selector, SEL_DATA0);
    CHECK_EQ(g->st->seg[SEG_FS].selector, 0);
    CHECK_EQ(g->st->seg[SEG_FS].attr & SEG_UNUSABLE, SEG_UNUSABLE);
    CHECK_EQ(g->st->seg[SEG_GS].selector, SEL_DATA0);
    guest_destroy(g);
}

GUEST_CODE(pop_segs, 32,
           "pushl $0x10; pop %ds; pushl $0x10; pop %es; push $0; pop %fs;"
           "push $0x10; pop %gs; pushl $0x10; pop %ss; mov %gs,0x20000;"
           "mov 0x20004,%fs; mov %fs,%eax; hlt");
TEST(segments_move_through_stack_memory_and_registers)
{
    struct guest *g = start32(GUEST_BYTES(pop_segs));

    guest_write32(g, GUEST_DATA, 0xffffffff);
    guest_write32(g, GUEST_DATA + 4, SEL_DATA0);
    g->st->gpr[RAX] = 0xffffffff;
    run(g);
    CHECK_EQ(g->st->gpr[RSP], GUEST_STACK0);
    CHECK_EQ(g->st->seg[SEG_DS].selector, SEL_DATA0);
    CHECK_EQ(g->st->seg[SEG_SS].selector, SEL_DATA0);
    CHECK_EQ(guest_read32(g, GUEST_DATA), 0xffff0010); /* 16 bits */
    CHECK_EQ(g->st->gpr[RAX], SEL_DATA0);
    guest_destroy(g);
}

GUEST_CODE(far_mem32, 32,
           "lcall *0x20000; inc %ebx; ljmp *0x20008; hlt;"
           ".org far_mem32_start + 0x40; inc %eax; lret;"
           ".org far_mem32_start + 0x60; inc %ecx; hlt");
TEST(far_call_and_jump_through_memory)
{
    struct guest *g = start32(GUEST_BYTES(far_mem32));

    memset(g->st->gpr, 0, 4 * sizeof g->st->gpr[0]);
    guest_write32(g, GUEST_DATA, GUEST_CODE_AT + 0x40);
    guest_write32(g, GUEST_DATA + 4, SEL_CODE0);
    guest_write32(g, GUEST_DATA + 8, GUEST_CODE_AT + 0x60);
    guest_write32(g, GUEST_DATA + 12, SEL_CODE0);
    run(g);
    CHECK_EQ(g->st->gpr[RAX], 1);
    CHECK_EQ(g->st->gpr[RBX], 1);
    CHECK_EQ(g->st->gpr[RCX], 1);
    CHECK_EQ(g->st->gpr[RSP], GUEST_STACK0);
    guest_destroy(g);
}

/* --- tables -------------------------------------------------------------- */

GUEST_CODE(tables, 32,
           "sgdt 0x20000; sidt 0x20008; lgdt 0x20010; lidt 0x20018; hlt");
TEST(table_registers_are_stored_and_loaded)
{
    struct guest *g = start32(GUEST_BYTES(tables));
    uint64_t gdt = g->st->gdt.base, idt = g->st->idt.base;
    uint16_t limit = g->st->gdt.limit;

    guest_write32(g, GUEST_DATA + 0x10, 0x56780123);
    guest_write32(g, GUEST_DATA + 0x14, 0x00001234);
    guest_write32(g, GUEST_DATA + 0x18, 0xabcd0456);
    guest_write32(g, GUEST_DATA + 0x1c, 0x0000ef01);
    run(g);
    CHECK_EQ(guest_read32(g, GUEST_DATA) & 0xffff, limit);
    CHECK_EQ(guest_read64(g, GUEST_DATA) >> 16 & 0xffffffff, gdt);
    CHECK_EQ(guest_read64(g, GUEST_DATA + 8) >> 16 & 0xffffffff, idt);
    CHECK_EQ(g->st->gdt.limit, 0x123);
    CHECK_EQ(g->st->gdt.base, 0x12345678);
    CHECK_EQ(g->st->idt.limit, 0x456);
    CHECK_EQ(g->st->idt.base, 0xef01abcd);
    guest_destroy(g);
}

GUEST_CODE(system_segs, 32,
           "mov $0x38,%eax; ltr %ax; str %ebx; mov $0x40,%eax; lldt %ax;"
           "sldt %ecx; mov $0xffffffff,%edx; str %dx; hlt");
TEST(task_and_local_table_registers)
{
    struct guest *g = start32(GUEST_BYTES(system_segs));

    g->st->gpr[RBX] = g->st->gpr[RCX] = ~0ull;
    run(g);
    CHECK_EQ(g->st->tr.selector, SEL_TSS2);
    CHECK_EQ(g->st->gpr[RBX], SEL_TSS2);
    CHECK_EQ(g->st->gpr[RCX], SEL_LDT);
    CHECK_EQ(g->st->gpr[RDX], 0xffff0000u | SEL_TSS2);
    /* LTR makes the descriptor busy. */
    CHECK_EQ(guest_read32(g, GUEST_GDT + SEL_TSS2 + 4) >> 9 & 1, 1);
    guest_destroy(g);
}

/* --- control registers --------------------------------------------------- */

GUEST_CODE(msw, 32,
           "mov $-1,%ebx; smsw %bx; smsw %ecx; smsw 0x20000; mov $0x0e,%eax;"
           "lmsw %ax; mov %cr0,%edx; clts; mov %cr0,%esi; mov $1,%eax;"
           "lmsw %ax; mov %cr0,%edi; hlt");
TEST(machine_status_word_sets_but_does_not_clear_pe)
{
    struct guest *g = start32(GUEST_BYTES(msw));
    uint32_t cr0 = (uint32_t)g->st->cr0;

    guest_write32(g, GUEST_DATA, 0xffffffff);
    run(g);
    CHECK_EQ(g->st->gpr[RBX], 0xffff0000u | (cr0 & 0xffff));
    CHECK_EQ(g->st->gpr[RCX], cr0);
    CHECK_EQ(guest_read32(g, GUEST_DATA), 0xffff0000u | (cr0 & 0xffff));
    CHECK_EQ(g->st->gpr[RDX] & 0xf, 0xf);
    CHECK_EQ(g->st->gpr[RSI] & 0xf, 0x7);
    CHECK_EQ(g->st->gpr[RDI] & 0xf, 0x1);
    guest_destroy(g);
}

GUEST_CODE(caches, 64, "wbinvd; invd; mov $0x20000,%eax; clflush (%rax); hlt");
TEST(cache_control_changes_nothing)
{
    struct guest *g = start64(GUEST_BYTES(caches));

    guest_write32(g, GUEST_DATA, 0x55aa55aa);
    run(g);
    CHECK_EQ(guest_read32(g, GUEST_DATA), 0x55aa55aa);
    guest_destroy(g);
}

GUEST_CODE(xcr0, 64,
           "mov %cr4,%rax; or $0x40000,%eax; mov %rax,%cr4; xor %ecx,%ecx;"
           "mov $3,%eax; xor %edx,%edx; xsetbv; mov $-1,%rax;"
           "mov %rax,%rdx; xgetbv; hlt");
TEST(xgetbv_reads_what_xsetbv_wrote)
{
    struct guest *g = start64(GUEST_BYTES(xcr0));

    run(g);
    CHECK_EQ(g->st->xcr0, 3);
    CHECK_EQ(g->st->gpr[RAX], 3);
    CHECK_EQ(g->st->gpr[RDX], 0);
    guest_destroy(g);
}

/* --- system calls -------------------------------------------------------- */

GUEST_CODE(sysenter, 32,
           "mov $0x174,%ecx; xor %edx,%edx; mov $8,%eax; wrmsr; inc %ecx;"
           "mov $0xa000,%eax; wrmsr; inc %ecx; mov $0x10080,%eax; wrmsr;"
           "mov $0x10060,%edx; mov $0xb000,%ecx; sysexit;"
           ".org sysenter_start + 0x60; mov %cs,%esi; mov %ss,%edi; sysenter;"
           ".org sysenter_start + 0x80; mov %cs,%eax; mov %ss,%ebx; hlt");
TEST(sysexit_and_sysenter_go_to_level_3_and_back)
{
    struct guest *g = start32(GUEST_BYTES(sysenter));

    run(g);
    CHECK_EQ(g->st->gpr[RSI], SEL_CODE3);
    CHECK_EQ(g->st->gpr[RDI], SEL_DATA3);
    CHECK_EQ(g->st->gpr[RAX], SEL_CODE0);
    CHECK_EQ(g->st->gpr[RBX], SEL_DATA0);
    CHECK_EQ(g->st->gpr[RSP], 0xa000);
    CHECK_EQ(g->st->rflags & FL_IF, 0);
    guest_destroy(g);
}

/* --- processor identity, time, random ------------------------------------ */

GUEST_CODE(bases, 64,
           "mov %cr4,%rax; or $0x10000,%eax; mov %rax,%cr4;"
           "mov $0x123456789000,%rax; wrfsbase %rax; wrgsbase %rbx;"
           "rdfsbase %rcx; rdgsbase %edx; hlt");
TEST(fs_and_gs_bases_by_instruction)
{
    struct guest *g = start64(GUEST_BYTES(bases));

    g->st->gpr[RBX] = 0xffff800012345000;
    run(g);
    CHECK_EQ(g->st->gpr[RCX], 0x123456789000);
    CHECK_EQ(g->st->gpr[RDX], 0x12345000); /* 32 bits, zero-extended */
    CHECK_EQ(g->st->seg[SEG_GS].base, 0xffff800012345000);
    guest_destroy(g);
}

GUEST_CODE(time, 64,
           "mov $0xc0000103,%ecx; mov $0x77,%eax; xor %edx,%edx; wrmsr;"
           "rdtsc; shl $32,%rdx; lea (%rax,%rdx),%rbx; rdtscp;"
           "shl $32,%rdx; lea (%rax,%rdx),%rsi; mov %rcx,%rdi; hlt");
TEST(rdtscp_follows_rdtsc_and_gives_the_processor)
{
    struct guest *g = start64(GUEST_BYTES(time));

    run(g);
    CHECK_GT(g->st->gpr[RSI], g->st->gpr[RBX]);
    CHECK_LT(g->st->gpr[RSI], g->st->gpr[RBX] + 100);
    CHECK_EQ(g->st->gpr[RDI], 0x77);
    guest_destroy(g);
}

GUEST_CODE(rdpid, 64,
           "mov $0xc0000103,%ecx; mov $0x78,%eax; xor %edx,%edx; wrmsr;"
           ".byte 0xf3,0x0f,0xc7,0xfb; hlt"); /* rdpid %rbx */
TEST(rdpid_reads_tsc_aux)
{
    struct guest *g = start64(GUEST_BYTES(rdpid));

    if (!x86_has(&g->cpu->model->features, X86_F_rdpid))
        SKIP("this host has no RDPID");
    run(g);
    CHECK_EQ(g->st->gpr[RBX], 0x78);
    guest_destroy(g);
}

GUEST_CODE(random, 64,
           "stc; rdrand %rax; setc %cl; rdrand %rbx; setc %dl; hlt");
TEST(rdrand_gives_numbers_and_says_so)
{
    struct guest *g = start64(GUEST_BYTES(random));

    if (!x86_has(&g->cpu->model->features, X86_F_rdrand))
        SKIP("this host has no RDRAND");
    run(g);
    CHECK_EQ(g->st->gpr[RCX] & 0xff, 1);
    CHECK_EQ(g->st->gpr[RDX] & 0xff, 1);
    CHECK_NE(g->st->gpr[RAX], g->st->gpr[RBX]);
    CHECK_EQ(g->st->rflags & (FL_OF | FL_SF | FL_ZF | FL_AF | FL_PF), 0);
    guest_destroy(g);
}

/* --- what is not offered ------------------------------------------------- */

GUEST_CODE(monitor, 64,
           "mov $0x20000,%eax; xor %ecx,%ecx; xor %edx,%edx; monitor;"
           "xor %eax,%eax; mwait; mov $1,%ebx; hlt");
TEST(mwait_is_a_hint_for_models_that_have_it)
{
    struct guest *g = guest_create(1, "max,+monitor");

    guest_long(g);
    guest_load(g, GUEST_CODE_AT, GUEST_BYTES(monitor));
    run(g);
    CHECK_EQ(g->st->gpr[RBX], 1);
    guest_destroy(g);
}

TEST(monitor_is_undefined_for_models_without_it)
{
    struct guest *g = start64(GUEST_BYTES(monitor));

    guest_expect(g, EXC_UD);
    guest_destroy(g);
}

GUEST_CODE(rsm, 64, "rsm; hlt");
TEST(rsm_is_undefined_outside_of_system_management)
{
    struct guest *g = start64(GUEST_BYTES(rsm));

    guest_expect(g, EXC_UD);
    guest_destroy(g);
}

GUEST_CODE(rdpmc, 64, "xor %ecx,%ecx; rdpmc; hlt");
TEST(rdpmc_has_no_counter_to_read)
{
    struct guest *g = start64(GUEST_BYTES(rdpmc));

    guest_expect(g, EXC_GP);
    guest_destroy(g);
}
