/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real mode, and the ways from it into the others and back.
 */
#include <string.h>

#include "tests/cpu/guest.h"
#include "tests/lib/test.h"

static struct guest *start(const uint8_t *code, size_t n)
{
    struct guest *g = guest_create(1, NULL);

    guest_real(g);
    guest_load(g, GUEST_CODE_AT, code, n);
    return g;
}

TEST(power_on_state)
{
    struct guest *g = guest_create(2, NULL);
    struct x86_state *st = g->st;

    CHECK_EQ(st->seg[SEG_CS].base + st->rip, 0xfffffff0);
    CHECK_EQ(st->seg[SEG_CS].selector, 0xf000);
    CHECK_EQ(st->cr0, 0x60000010);
    CHECK_EQ(st->rflags, 2);
    CHECK_EQ(st->gpr[RDX], g->cpu->model->signature);
    CHECK_EQ(st->dr[6], 0xffff0ff0);
    CHECK_EQ(st->dr[7], 0x400);
    CHECK_EQ(st->mxcsr, 0x1f80);
    CHECK_EQ(st->apic_base, 0xfee00900);
    CHECK_EQ(g->vm.vcpus[1]->st.apic_base, 0xfee00800);
    CHECK_EQ(g->vm.vcpus[1]->st.activity, X86_WAIT_SIPI);
    guest_destroy(g);
}

GUEST_CODE(divide, 16, "nop; xor %cx,%cx; div %cx; hlt");
TEST(exception_pushes_flags_cs_ip)
{
    struct guest *g = start(GUEST_BYTES(divide));

    guest_expect(g, EXC_DE);
    CHECK_EQ(guest_stack(g, 0), 3);
    CHECK_EQ(guest_stack(g, 1), GUEST_CODE_AT >> 4);
    CHECK_EQ(g->st->gpr[RSP], 0x8000 - 6);
    guest_destroy(g);
}

GUEST_CODE(limit, 16, "mov $0xffff,%bx; mov (%bx),%ax; hlt");
TEST(word_at_ffff_is_beyond_the_limit)
{
    struct guest *g = start(GUEST_BYTES(limit));

    guest_expect(g, EXC_GP);
    CHECK_EQ(guest_stack(g, 0), 3);
    guest_destroy(g);
}

GUEST_CODE(int_iret, 16, "mov $0x1234,%ax; int $0x60; mov %ax,%bx; hlt");
GUEST_CODE(handler, 16, "inc %ax; iret");
TEST(int_and_iret)
{
    struct guest *g = start(GUEST_BYTES(int_iret));

    guest_load(g, 0x5000, GUEST_BYTES(handler));
    guest_write32(g, 0x60 * 4, 0x05000000);
    g->st->rflags |= FL_IF;
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RBX], 0x1235);
    CHECK_EQ(g->st->rflags & FL_IF, FL_IF);
    guest_destroy(g);
}

GUEST_CODE(far, 16, "lcall $0x500,$0x10; mov %cs,%ax; hlt");
GUEST_CODE(far_body, 16, "mov %cs,%bx; lret");
TEST(far_call_and_return)
{
    struct guest *g = start(GUEST_BYTES(far));

    guest_load(g, 0x5010, GUEST_BYTES(far_body));
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RBX], 0x500);
    CHECK_EQ(g->st->gpr[RAX] & 0xffff, GUEST_CODE_AT >> 4);
    guest_destroy(g);
}

GUEST_CODE(a20, 16, "mov $0xffff,%ax; mov %ax,%ds; mov 0x10,%bx; hlt");
TEST(a20_gate_wraps_at_one_mib)
{
    struct guest *g = start(GUEST_BYTES(a20));

    guest_write32(g, 0x100000, 0x5678);
    guest_write32(g, 0x000000, 0x1234);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RBX], 0x5678);
    vcpus_a20(&g->vm, false);
    g->st->rip = 0;
    g->st->activity = X86_RUNNING;
    guest_settle(g);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RBX], 0x1234);
    guest_destroy(g);
}

/* Loads a 4 GiB data segment in protected mode, goes back, uses it. */
GUEST_CODE(unreal, 16,
           "cli; lgdtl %cs:0x100; mov %cr0,%eax; or $1,%al; mov %eax,%cr0;"
           "mov $0x10,%bx; mov %bx,%ds; and $0xfe,%al; mov %eax,%cr0;"
           "xor %bx,%bx; mov %bx,%ds; mov $0x200000,%esi;"
           "addr32 mov (%esi),%edx; hlt");
TEST(big_real_mode_keeps_the_limit)
{
    struct guest *g = start(GUEST_BYTES(unreal));

    guest_write64(g, 0x30000, 0);
    guest_write64(g, 0x30008, guest_descriptor(0, 0xfffff, 0x9b, 0xc));
    guest_write64(g, 0x30010, guest_descriptor(0, 0xfffff, 0x93, 0xc));
    guest_write32(g, GUEST_CODE_AT + 0x100, 0x00000017);
    guest_write32(g, GUEST_CODE_AT + 0x104, 0x0003);
    guest_write32(g, 0x200000, 0xcafe);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RDX], 0xcafe);
    guest_destroy(g);
}

GUEST_CODE(to_prot, 16,
           "cli; lgdtl %cs:0x100; mov %cr0,%eax; or $1,%al; mov %eax,%cr0;"
           "ljmpl $8,$0x10040");
GUEST_CODE(in_prot, 32,
           "mov $0x10,%eax; mov %ax,%ss; mov $0x9000,%esp;"
           "push %cs; pop %ebx; hlt");
TEST(into_protected_mode)
{
    struct guest *g = start(GUEST_BYTES(to_prot));

    guest_load(g, 0x10040, GUEST_BYTES(in_prot));
    guest_write64(g, 0x30008, guest_descriptor(0, 0xfffff, 0x9b, 0xc));
    guest_write64(g, 0x30010, guest_descriptor(0, 0xfffff, 0x93, 0xc));
    guest_write32(g, GUEST_CODE_AT + 0x100, 0x00000017);
    guest_write32(g, GUEST_CODE_AT + 0x104, 0x0003);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RBX], 8);
    CHECK_EQ(g->cpu->mode & (MODE_CODE | MODE_REAL | MODE_USER), MODE_CODE32);
    guest_destroy(g);
}

GUEST_CODE(prot_only, 16, "sldt %ax; hlt");
TEST(protected_mode_instructions_are_undefined)
{
    struct guest *g = start(GUEST_BYTES(prot_only));

    guest_expect(g, EXC_UD);
    guest_destroy(g);
}

GUEST_CODE(wrap, 16, "mov $2,%sp; push $0x1122; push $0x3344; hlt");
TEST(the_stack_pointer_wraps_at_64_kib)
{
    struct guest *g = start(GUEST_BYTES(wrap));

    g->st->seg[SEG_SS].selector = 0x3000;
    g->st->seg[SEG_SS].base = 0x30000;
    g->st->gpr[RSP] = 0xabcd0000;
    guest_settle(g);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RSP], 0xabcdfffe);
    CHECK_EQ(guest_read32(g, 0x3fffe) & 0xffff, 0x3344);
    guest_destroy(g);
}

GUEST_CODE(rep_out, 16,
           "mov $4,%cx; xor %si,%si; mov $0x80,%dx; cld;"
           "rep outsb; mov $3,%cx; mov $0x100,%di; rep insb; hlt");
TEST(string_io_counts_down)
{
    struct guest *g = start(GUEST_BYTES(rep_out));

    CHECK_EQ(guest_run(g, 1000), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RCX], 0);
    CHECK_EQ(g->st->gpr[RSI], 4);
    CHECK_EQ(g->st->gpr[RDI], 0x103);
    CHECK_EQ(guest_read32(g, 0x100) & 0xffffff, 0xffffff);
    guest_destroy(g);
}
