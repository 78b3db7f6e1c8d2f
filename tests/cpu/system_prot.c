/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protected mode: exceptions with their error codes, segments, gates, task
 * switches, paging without PAE, virtual-8086 mode.
 */
#include <string.h>

#include "cpu/segment.h"
#include "tests/cpu/guest.h"
#include "tests/lib/test.h"

static struct guest *start(const uint8_t *code, size_t n)
{
    struct guest *g = guest_create(1, NULL);

    guest_protected(g, true);
    guest_load(g, GUEST_CODE_AT, code, n);
    return g;
}

/* --- exceptions and error codes ------------------------------------------ */

GUEST_CODE(divide, 32, "xor %ecx,%ecx; div %ecx; hlt");
GUEST_CODE(undefined, 32, "nop; ud2");
GUEST_CODE(bound, 32, "mov $5,%eax; bound %eax,0x20000; hlt");
GUEST_CODE(gp_null, 32, "xor %eax,%eax; mov %ax,%ds; mov 0x20000,%eax; hlt");
GUEST_CODE(gp_sel, 32, "mov $0x1000,%eax; mov %ax,%ds; hlt");
GUEST_CODE(np_sel, 32, "mov $0x78,%eax; mov %ax,%es; hlt");
GUEST_CODE(ss_sel, 32, "mov $0x78,%eax; mov %ax,%ss; hlt");
GUEST_CODE(cs_write, 32, "mov %eax,%cs:0x20000; hlt");
GUEST_CODE(ss_code, 32, "mov $8,%eax; mov %ax,%ss; hlt");
GUEST_CODE(int_absent, 32, "int $0x30; hlt");
GUEST_CODE(int3, 32, "int3; hlt");
GUEST_CODE(into, 32, "mov $0x7fffffff,%eax; inc %eax; into; hlt");
GUEST_CODE(int1, 32, ".byte 0xf1; hlt");
GUEST_CODE(pf_read, 32, "mov 0x800000,%eax; hlt");
GUEST_CODE(pf_write, 32, "mov %eax,0x800000; hlt");
GUEST_CODE(pf_exec, 32, "mov $0x800000,%eax; jmp *%eax");
GUEST_CODE(call_limit, 32, "lcall $0x48,$0x20000; hlt");
GUEST_CODE(bad_cr0, 32, "mov $0x80000000,%eax; mov %eax,%cr0; hlt");
GUEST_CODE(bad_cr4, 32, "mov $0x80000000,%eax; mov %eax,%cr4; hlt");
GUEST_CODE(bad_msr, 32, "mov $0x12345,%ecx; rdmsr; hlt");
GUEST_CODE(nm, 32, "mov %cr0,%eax; or $8,%eax; mov %eax,%cr0; fld1; hlt");
GUEST_CODE(sse_off, 32, "xorps %xmm0,%xmm0; hlt");
GUEST_CODE(dr_cr4, 32, "mov $8,%eax; mov %eax,%cr4; mov %dr4,%eax; hlt");
GUEST_CODE(long_insn, 32, ".fill 15,1,0x3e; nop; hlt");
GUEST_CODE(lock_reg, 32, ".byte 0xf0,0x01,0xc0; hlt");
GUEST_CODE(far_null, 32, "ljmp $0,$0x10000; hlt");
GUEST_CODE(far_data, 32, "ljmp $0x10,$0x10000; hlt");

static const struct {
    const char *name;
    const uint8_t *code;
    const uint8_t *end;
    unsigned vector;
    int error;    /* -1: none is pushed */
    uint32_t eip; /* pushed, relative to GUEST_CODE_AT */
} faults[] = {
#define ROW(name, vector, error, eip)                       \
    {                                                       \
#name, name##_start, name##_end, vector, error, eip \
    }
    ROW(divide, EXC_DE, -1, 2),
    ROW(undefined, EXC_UD, -1, 1),
    ROW(bound, EXC_BR, -1, 5),
    ROW(gp_null, EXC_GP, 0, 4),
    ROW(gp_sel, EXC_GP, 0x1000, 5),
    ROW(np_sel, EXC_NP, 0x78, 5),
    ROW(ss_sel, EXC_SS, 0x78, 5),
    ROW(cs_write, EXC_GP, 0, 0),
    ROW(ss_code, EXC_GP, 0x08, 5),
    ROW(int_absent, EXC_NP, 0x30 * 8 + 2, 0),
    ROW(int3, EXC_BP, -1, 1),
    ROW(into, EXC_OF, -1, 7),
    ROW(int1, EXC_DB, -1, 1),
    ROW(pf_read, EXC_PF, 0, 0),
    ROW(pf_write, EXC_PF, 2, 0),
    ROW(pf_exec, EXC_PF, 0, 0x800000 - GUEST_CODE_AT),
    ROW(call_limit, EXC_GP, 0, 0),
    ROW(bad_cr0, EXC_GP, 0, 5),
    ROW(bad_cr4, EXC_GP, 0, 5),
    ROW(bad_msr, EXC_GP, 0, 5),
    ROW(nm, EXC_NM, -1, 9),
    ROW(sse_off, EXC_UD, -1, 0),
    ROW(dr_cr4, EXC_UD, -1, 8),
    ROW(long_insn, EXC_GP, 0, 0),
    ROW(lock_reg, EXC_UD, -1, 0),
    ROW(far_null, EXC_GP, 0, 0),
    ROW(far_data, EXC_GP, 0x10, 0),
#undef ROW
};

TEST_P(exception_pushes_code_and_address, faults)
{
    struct guest *g = start(row->code, (size_t)(row->end - row->code));
    unsigned n = 0;

    test_note("%s", row->name);
    guest_write32(g, GUEST_DATA, 10); /* bounds 10..20 */
    guest_write32(g, GUEST_DATA + 4, 20);
    guest_gate(g, 0x30, SEL_CODE0, 0, 0x0e); /* not present */
    guest_expect(g, row->vector);
    if (row->error >= 0)
        CHECK_EQ(guest_stack(g, n++), row->error);
    CHECK_EQ(guest_stack(g, n), GUEST_CODE_AT + row->eip);
    CHECK_EQ(guest_stack(g, n + 1), SEL_CODE0);
    guest_destroy(g);
}

GUEST_CODE(cr2, 32, "mov 0x812345,%eax; hlt");
TEST(page_fault_sets_cr2_and_rf)
{
    struct guest *g = start(GUEST_BYTES(cr2));

    guest_expect(g, EXC_PF);
    CHECK_EQ(g->st->cr2, 0x812345);
    CHECK_EQ(guest_stack(g, 3) & FL_RF, FL_RF);
    CHECK_EQ(g->st->rflags & FL_RF, 0);
    guest_destroy(g);
}

/* --- level 3 ------------------------------------------------------------- */

GUEST_CODE(user_cli, 32, "cli; hlt");
GUEST_CODE(user_hlt, 32, "hlt");
GUEST_CODE(user_in, 32, "in $0x80,%al; hlt");
GUEST_CODE(user_int, 32, "int $0x40; hlt");
GUEST_CODE(user_mem, 32, "mov 0x21000,%eax; hlt");
GUEST_CODE(user_wr, 32, "mov %eax,0x22000; hlt");
GUEST_CODE(user_cr, 32, "mov %cr0,%eax; hlt");
GUEST_CODE(user_ds, 32, "mov $0x10,%eax; mov %ax,%ds; hlt");

static const struct {
    const char *name;
    const uint8_t *code, *end;
    unsigned vector;
    int error;
} user_faults[] = {
#define ROW(name, vector, error)                       \
    {                                                  \
#name, name##_start, name##_end, vector, error \
    }
    ROW(user_cli, EXC_GP, 0), ROW(user_hlt, EXC_GP, 0),
    ROW(user_in, EXC_GP, 0),  ROW(user_int, EXC_GP, 0x40 * 8 + 2),
    ROW(user_mem, EXC_PF, 5), ROW(user_wr, EXC_PF, 7),
    ROW(user_cr, EXC_GP, 0),  ROW(user_ds, EXC_GP, 0x10),
#undef ROW
};

TEST_P(level_3_is_refused, user_faults)
{
    struct guest *g = start(row->code, (size_t)(row->end - row->code));

    test_note("%s", row->name);
    guest_write32(g, GUEST_PT + 0x21 * 4, 0x21000 | 3); /* supervisor */
    guest_write32(g, GUEST_PT + 0x22 * 4, 0x22000 | 5); /* read-only */
    guest_user(g);
    guest_expect(g, row->vector);
    CHECK_EQ(g->st->gpr[RSP], GUEST_STACK0 - 24);
    CHECK_EQ(guest_stack(g, 0), row->error);
    CHECK_EQ(guest_stack(g, 2), SEL_CODE3);
    CHECK_EQ(guest_stack(g, 4), GUEST_STACK3);
    CHECK_EQ(guest_stack(g, 5), SEL_DATA3);
    CHECK_EQ(g->st->seg[SEG_SS].selector, SEL_DATA0);
    CHECK_EQ(g->cpu->cpl, 0);
    guest_destroy(g);
}

GUEST_CODE(allowed_in, 32, "in $0x80,%al; in $0x81,%al; hlt");
TEST(port_map_of_the_tss_is_obeyed)
{
    struct guest *g = start(GUEST_BYTES(allowed_in));

    memset(g->ram + GUEST_TSS + 0x68, 0xff, 32);
    g->ram[GUEST_TSS + 0x68 + 0x10] = 0xfe; /* 80h only */
    guest_user(g);
    guest_expect(g, EXC_GP);
    CHECK_EQ(guest_stack(g, 1), GUEST_CODE_AT + 2);
    guest_destroy(g);
}

GUEST_CODE(round_trip, 32, "int $0x40; mov $7,%ebx; int $0x40");
GUEST_CODE(count_iret, 32, "inc %esi; cmp $2,%esi; je 1f; iret; 1: hlt");
TEST(interrupt_from_level_3_and_iret)
{
    struct guest *g = start(GUEST_BYTES(round_trip));

    guest_load(g, 0x18000, GUEST_BYTES(count_iret));
    guest_gate(g, 0x40, SEL_CODE0, 0x18000, 0xee);
    guest_user(g);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RSI], 2);
    CHECK_EQ(g->st->gpr[RBX], 7);
    CHECK_EQ(guest_stack(g, 3), GUEST_STACK3);
    guest_destroy(g);
}

/* --- double and triple faults -------------------------------------------- */

GUEST_CODE(fault_chain, 32, "mov $0x1000,%eax; mov %ax,%ds; hlt");
TEST(not_present_gate_of_gp_is_a_double_fault)
{
    struct guest *g = start(GUEST_BYTES(fault_chain));

    guest_gate(g, EXC_GP, SEL_CODE0, 0, 0x0e);
    guest_expect(g, EXC_DF);
    CHECK_EQ(guest_stack(g, 0), 0);
    CHECK_EQ(guest_stack(g, 1), GUEST_CODE_AT + 5);
    guest_destroy(g);
}

TEST(no_way_out_of_a_double_fault_is_shutdown)
{
    struct guest *g = start(GUEST_BYTES(fault_chain));

    g->st->idt.limit = 0;
    CHECK_EQ(guest_run(g, 100), ACCEL_SHUTDOWN);
    guest_destroy(g);
}

TEST(page_fault_while_delivering_gp_is_delivered)
{
    struct guest *g = start(GUEST_BYTES(fault_chain));

    g->st->gpr[RSP] = 0x800010;               /* stack not mapped */
    guest_gate(g, EXC_PF, SEL_TSS2, 0, 0x85); /* would fault again: DF */
    guest_gate(g, EXC_DF, SEL_TSS2, 0, 0x85); /* by task gate */
    guest_write32(g, GUEST_TSS2 + 0x1c, GUEST_PD);
    guest_write32(g, GUEST_TSS2 + 0x20, GUEST_HANDLERS + EXC_PF);
    guest_write32(g, GUEST_TSS2 + 0x38, GUEST_IST1);
    for (unsigned n = 0; n < 6; n++)
        guest_write32(g, GUEST_TSS2 + 0x48 + n * 4,
                      n == 1 ? SEL_CODE0 : SEL_DATA0);
    guest_expect(g, EXC_PF);
    CHECK_EQ(guest_stack(g, 0), 2);
    CHECK_EQ(g->st->tr.selector, SEL_TSS2);
    guest_destroy(g);
}

/* --- single step, breakpoints, shadows ----------------------------------- */

GUEST_CODE(step, 32, "pushf; orl $0x100,(%esp); popf; nop; nop; hlt");
TEST(trap_flag_traps_after_the_next_instruction)
{
    struct guest *g = start(GUEST_BYTES(step));

    guest_expect(g, EXC_DB);
    CHECK_EQ(guest_stack(g, 0), GUEST_CODE_AT + 10);
    CHECK_EQ(g->st->dr[6] & DB_STEP, DB_STEP);
    CHECK_EQ(guest_stack(g, 2) & FL_TF, FL_TF);
    CHECK_EQ(g->st->rflags & FL_TF, 0);
    guest_destroy(g);
}

GUEST_CODE(step_ss, 32,
           "mov %ss,%ecx; pushf; orl $0x100,(%esp); popf;"
           "mov %cx,%ss; nop; hlt");
TEST(mov_ss_holds_back_the_step_trap)
{
    struct guest *g = start(GUEST_BYTES(step_ss));

    guest_expect(g, EXC_DB);
    CHECK_EQ(guest_stack(g, 0), GUEST_CODE_AT + 2 + 9 + 2 + 1);
    guest_destroy(g);
}

GUEST_CODE(step_rep, 32,
           "mov $3,%ecx; mov $0x20000,%edi; pushf;"
           "orl $0x100,(%esp); popf; rep stosb; hlt");
TEST(rep_traps_after_each_iteration)
{
    struct guest *g = start(GUEST_BYTES(step_rep));

    guest_expect(g, EXC_DB);
    CHECK_EQ(g->st->gpr[RCX], 2);
    CHECK_EQ(guest_stack(g, 0), GUEST_CODE_AT + 19); /* again */
    guest_destroy(g);
}

GUEST_CODE(step_int, 32, "pushf; orl $0x100,(%esp); popf; int $0x40; hlt");
TEST(software_interrupts_are_not_traced)
{
    struct guest *g = start(GUEST_BYTES(step_int));

    guest_expect(g, 0x40);
    CHECK_EQ(guest_stack(g, 0), GUEST_CODE_AT + 11);
    CHECK_EQ(guest_stack(g, 2) & FL_TF, FL_TF);
    guest_destroy(g);
}

GUEST_CODE(step_icebp, 32, "pushf; orl $0x100,(%esp); popf; .byte 0xf1; hlt");
TEST(icebp_is_not_traced_either)
{
    struct guest *g = start(GUEST_BYTES(step_icebp));

    guest_expect(g, EXC_DB);
    CHECK_EQ(guest_stack(g, 0), GUEST_CODE_AT + 10);
    CHECK_EQ(g->st->dr[6] & DB_STEP, 0);
    guest_destroy(g);
}

GUEST_CODE(icebp_ss, 32,
           "mov %ss,%eax; mov %eax,0x20000; mov $0x20000,%eax;"
           "mov %eax,%dr1; mov $0x00f00008,%eax; mov %eax,%dr7;"
           "mov 0x20000,%ss; .byte 0xf1; hlt");
TEST(icebp_takes_along_what_mov_ss_held_back)
{
    struct guest *g = start(GUEST_BYTES(icebp_ss));

    guest_expect(g, EXC_DB);
    CHECK_EQ(guest_stack(g, 0), GUEST_CODE_AT + 30);
    CHECK_EQ(g->st->dr[6] & 15, 2);
    guest_destroy(g);
}

GUEST_CODE(step_hlt, 32, "pushf; orl $0x100,(%esp); popf; hlt; nop; hlt");
TEST(a_traced_hlt_does_not_wait)
{
    struct guest *g = start(GUEST_BYTES(step_hlt));

    guest_expect(g, EXC_DB);
    CHECK_EQ(guest_stack(g, 0), GUEST_CODE_AT + 10);
    CHECK_EQ(g->st->dr[6] & DB_STEP, DB_STEP);
    guest_destroy(g);
}

GUEST_CODE(breakpoint, 32,
           "mov $0x10011,%eax; mov %eax,%dr0;"
           "mov $1,%eax; mov %eax,%dr7; nop; nop; hlt");
TEST(instruction_breakpoint_is_a_fault)
{
    struct guest *g = start(GUEST_BYTES(breakpoint));

    guest_expect(g, EXC_DB);
    CHECK_EQ(guest_stack(g, 0), 0x10011);
    CHECK_EQ(g->st->dr[6] & 15, 1);
    guest_destroy(g);
}

GUEST_CODE(watchpoint, 32,
           "mov $0x20004,%eax; mov %eax,%dr1;"
           "mov $0x00d00004,%eax; mov %eax,%dr7; mov %eax,0x20000;"
           "mov %eax,0x20006; nop; hlt");
TEST(data_breakpoint_is_a_trap)
{
    struct guest *g = start(GUEST_BYTES(watchpoint));

    guest_expect(g, EXC_DB);
    CHECK_EQ(guest_stack(g, 0), GUEST_CODE_AT + 26);
    CHECK_EQ(g->st->dr[6] & 15, 2);
    CHECK_EQ(guest_read32(g, 0x20006), 0xd00004);
    guest_destroy(g);
}

GUEST_CODE(gd, 32, "mov $0x2000,%eax; mov %eax,%dr7; mov %dr0,%eax; hlt");
TEST(general_detect_guards_debug_registers)
{
    struct guest *g = start(GUEST_BYTES(gd));

    guest_expect(g, EXC_DB);
    CHECK_EQ(guest_stack(g, 0), GUEST_CODE_AT + 8);
    CHECK_EQ(g->st->dr[6] & DB_ACCESS, DB_ACCESS);
    CHECK_EQ(g->st->dr[7] & 0x2000, 0);
    guest_destroy(g);
}

/* --- segments ------------------------------------------------------------ */

GUEST_CODE(expand_down, 32,
           "mov $0x68,%eax; mov %ax,%es; mov %es:0x2000,%ebx;"
           "mov %es:0x0fff,%ebx; hlt");
TEST(expand_down_segments_end_where_they_begin)
{
    struct guest *g = start(GUEST_BYTES(expand_down));

    guest_set_descriptor(g, SEL_FREE, guest_descriptor(0, 0xfff, 0x97, 4));
    guest_write32(g, 0x2000, 0x1234);
    guest_expect(g, EXC_GP);
    CHECK_EQ(guest_stack(g, 1), GUEST_CODE_AT + 14);
    guest_destroy(g);
}

GUEST_CODE(limit, 32,
           "mov $0x68,%eax; mov %ax,%es; mov %es:0xffc,%ebx;"
           "mov %es:0xffd,%ebx; hlt");
TEST(the_limit_holds_for_every_byte)
{
    struct guest *g = start(GUEST_BYTES(limit));

    guest_set_descriptor(g, SEL_FREE,
                         guest_descriptor(GUEST_DATA, 0xfff, 0x93, 4));
    guest_write32(g, GUEST_DATA + 0xffc, 77);
    guest_expect(g, EXC_GP);
    CHECK_EQ(g->st->gpr[RBX], 77);
    CHECK_EQ(guest_stack(g, 1), GUEST_CODE_AT + 14);
    guest_destroy(g);
}

GUEST_CODE(accessed, 32, "mov $0x68,%eax; mov %ax,%es; hlt");
TEST(loading_a_segment_sets_accessed)
{
    struct guest *g = start(GUEST_BYTES(accessed));

    guest_set_descriptor(g, SEL_FREE, guest_descriptor(0, 1, 0x92, 0));
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->ram[GUEST_GDT + SEL_FREE + 5], 0x93);
    guest_destroy(g);
}

GUEST_CODE(ldt, 32,
           "mov $0x40,%eax; lldt %ax; mov $0x0c,%eax; mov %ax,%es;"
           "mov %es:0,%ebx; sldt %ecx; hlt");
TEST(segments_come_from_the_ldt)
{
    struct guest *g = start(GUEST_BYTES(ldt));

    guest_write64(g, GUEST_LDT + 8,
                  guest_descriptor(GUEST_DATA, 0xff, 0x93, 4));
    guest_write32(g, GUEST_DATA, 99);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RBX], 99);
    CHECK_EQ(g->st->gpr[RCX], SEL_LDT);
    guest_destroy(g);
}

GUEST_CODE(questions, 32,
           "mov $0x70,%eax; lar %ax,%ebx; lsl %ax,%ecx;"
           "mov $0x78,%eax; verr %ax; setz %dl; mov $8,%eax; verw %ax;"
           "setz %dh; mov $0x1000,%eax; lsl %ax,%esi; setz %ah; hlt");
TEST(lar_lsl_verr_verw_tell)
{
    struct guest *g = start(GUEST_BYTES(questions));

    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RBX], 0x00cf9f00);
    CHECK_EQ(g->st->gpr[RCX], 0xffffffff);
    CHECK_EQ(g->st->gpr[RDX] & 0xffff, 1);
    CHECK_EQ(g->st->gpr[RAX], 0); /* no such selector */
    guest_destroy(g);
}

/* --- call gates ---------------------------------------------------------- */

static void call_gate(struct guest *g, unsigned params, unsigned type)
{
    guest_set_descriptor(g, SEL_GATE,
                         0x8000 | (uint64_t)SEL_CODE0 << 16 |
                             (uint64_t)params << 32 | (uint64_t)type << 40 |
                             (uint64_t)1 << 48); /* 0x18000 */
}

GUEST_CODE(gate_call, 32,
           "push $0x11; push $0x22; lcall $0x5b,$0;"
           "mov $5,%edi; int $0x40");
GUEST_CODE(gate_body, 32, "mov 8(%esp),%eax; mov 12(%esp),%ebx; lret $8");
TEST(call_gate_switches_stacks_and_copies_parameters)
{
    struct guest *g = start(GUEST_BYTES(gate_call));

    guest_load(g, 0x18000, GUEST_BYTES(gate_body));
    call_gate(g, 2, 0xec);
    guest_gate(g, 0x40, SEL_CODE0, GUEST_HANDLERS + 0x40, 0xee);
    guest_user(g);
    guest_expect(g, 0x40);
    CHECK_EQ(g->st->gpr[RAX], 0x22);
    CHECK_EQ(g->st->gpr[RBX], 0x11);
    CHECK_EQ(g->st->gpr[RDI], 5);
    CHECK_EQ(guest_stack(g, 3), GUEST_STACK3); /* RET 8 dropped both */
    CHECK_EQ(guest_stack(g, 1), SEL_CODE3);
    guest_destroy(g);
}

TEST(call_gate_of_a_lower_level_is_refused)
{
    struct guest *g = start(GUEST_BYTES(gate_call));

    call_gate(g, 2, 0x8c); /* DPL 0 */
    guest_user(g);
    guest_expect(g, EXC_GP);
    CHECK_EQ(guest_stack(g, 0), 0x58);
    guest_destroy(g);
}

GUEST_CODE(conforming, 32, "lcall $0x70,$0x18000; hlt");
GUEST_CODE(see_cs, 32, "mov %cs,%eax; mov 4(%esp),%ebx; ud2");
TEST(conforming_code_keeps_the_level)
{
    struct guest *g = start(GUEST_BYTES(conforming));

    guest_load(g, 0x18000, GUEST_BYTES(see_cs));
    guest_user(g);
    guest_expect(g, EXC_UD);
    CHECK_EQ(g->st->gpr[RAX], SEL_CONF | 3);
    CHECK_EQ(g->st->gpr[RBX], SEL_CODE3);
    guest_destroy(g);
}

/* --- tasks --------------------------------------------------------------- */

static void make_task(struct guest *g, uint32_t eip, uint32_t eflags)
{
    guest_write32(g, GUEST_TSS2 + 0x1c, GUEST_PD);
    guest_write32(g, GUEST_TSS2 + 0x20, eip);
    guest_write32(g, GUEST_TSS2 + 0x24, eflags);
    for (unsigned n = 0; n < 8; n++)
        guest_write32(g, GUEST_TSS2 + 0x28 + n * 4, 0x100 + n);
    guest_write32(g, GUEST_TSS2 + 0x38, GUEST_IST1); /* ESP */
    for (unsigned n = 0; n < 6; n++)
        guest_write32(g, GUEST_TSS2 + 0x48 + n * 4,
                      n == 1 ? SEL_CODE0 : SEL_DATA0);
    guest_write32(g, GUEST_TSS2 + 0x60, 0);
}

GUEST_CODE(task_call, 32, "mov $1,%eax; lcall $0x38,$0; mov $2,%ebx; hlt");
GUEST_CODE(task_body, 32, "mov %eax,%edx; iret; mov $9,%edi; hlt");
TEST(task_call_and_iret_back)
{
    struct guest *g = start(GUEST_BYTES(task_call));

    guest_load(g, 0x18000, GUEST_BYTES(task_body));
    make_task(g, 0x18000, 2);
    guest_write32(g, GUEST_TSS + 0x1c, GUEST_PD); /* never saved */
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RAX], 1);
    CHECK_EQ(g->st->gpr[RBX], 2);
    CHECK_EQ(g->st->tr.selector, SEL_TSS);
    CHECK_EQ(g->st->cr0 & CR0_TS, CR0_TS);
    CHECK_EQ(guest_read32(g, GUEST_TSS2) & 0xffff, SEL_TSS); /* link */
    CHECK_EQ(guest_read32(g, GUEST_TSS2 + 0x30), 0x100);     /* saved EDX */
    CHECK_EQ(g->ram[GUEST_GDT + SEL_TSS2 + 5], 0x89);        /* not busy */
    CHECK_EQ(g->ram[GUEST_GDT + SEL_TSS + 5], 0x8b);
    guest_destroy(g);
}

GUEST_CODE(task_jump, 32, "ljmp $0x38,$0");
GUEST_CODE(task_see, 32, "pushf; pop %eax; hlt");
TEST(task_jump_does_not_nest)
{
    struct guest *g = start(GUEST_BYTES(task_jump));

    guest_load(g, 0x18000, GUEST_BYTES(task_see));
    make_task(g, 0x18000, 2);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RAX] & FL_NT, 0);
    CHECK_EQ(g->st->gpr[RCX], 0x101);
    CHECK_EQ(g->ram[GUEST_GDT + SEL_TSS + 5], 0x89);
    CHECK_EQ(g->ram[GUEST_GDT + SEL_TSS2 + 5], 0x8b);
    CHECK_EQ(guest_read32(g, GUEST_TSS + 0x20), GUEST_CODE_AT + 7);
    guest_destroy(g);
}

TEST(task_with_a_bad_segment_faults_in_the_new_task)
{
    struct guest *g = start(GUEST_BYTES(task_jump));

    make_task(g, 0x18000, 2);
    guest_write32(g, GUEST_TSS2 + 0x54, 0x1000); /* DS */
    guest_expect(g, EXC_TS);
    CHECK_EQ(guest_stack(g, 0), 0x1000);
    CHECK_EQ(guest_stack(g, 1), 0x18000);
    CHECK_EQ(g->st->tr.selector, SEL_TSS2);
    guest_destroy(g);
}

TEST(busy_task_is_refused)
{
    struct guest *g = start(GUEST_BYTES(task_jump));

    g->ram[GUEST_GDT + SEL_TSS2 + 5] = 0x8b;
    guest_expect(g, EXC_GP);
    CHECK_EQ(guest_stack(g, 0), SEL_TSS2);
    guest_destroy(g);
}

/* --- paging -------------------------------------------------------------- */

GUEST_CODE(ad_bits, 32, "mov 0x30000,%eax; mov %eax,0x31000; hlt");
TEST(accessed_and_dirty_bits)
{
    struct guest *g = start(GUEST_BYTES(ad_bits));

    guest_write32(g, GUEST_PT + 0x30 * 4, 0x30003);
    guest_write32(g, GUEST_PT + 0x31 * 4, 0x31003);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(guest_read32(g, GUEST_PT + 0x30 * 4) & 0x60, 0x20);
    CHECK_EQ(guest_read32(g, GUEST_PT + 0x31 * 4) & 0x60, 0x60);
    CHECK_EQ(guest_read32(g, GUEST_PT + 0x32 * 4) & 0x60, 0);
    CHECK_EQ(guest_read32(g, GUEST_PD) & 0x20, 0x20);
    guest_destroy(g);
}

GUEST_CODE(read_write, 32, "mov 0x30000,%eax; mov %eax,0x30000; hlt");
TEST(a_read_entry_does_not_let_a_first_write_pass)
{
    struct guest *g = start(GUEST_BYTES(read_write));

    guest_write32(g, GUEST_PT + 0x30 * 4, 0x30003);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(guest_read32(g, GUEST_PT + 0x30 * 4) & 0x60, 0x60);
    guest_destroy(g);
}

GUEST_CODE(wp, 32,
           "mov %eax,0x30000; mov %cr0,%eax; or $0x10000,%eax;"
           "mov %eax,%cr0; mov %eax,0x30000; hlt");
TEST(write_protect_binds_the_supervisor)
{
    struct guest *g = start(GUEST_BYTES(wp));

    guest_write32(g, GUEST_PT + 0x30 * 4, 0x30001);
    guest_expect(g, EXC_PF);
    CHECK_EQ(guest_stack(g, 0), 3);
    CHECK_EQ(guest_stack(g, 1), GUEST_CODE_AT + 16);
    guest_destroy(g);
}

GUEST_CODE(large, 32,
           "mov %cr4,%eax; or $0x10,%eax; mov %eax,%cr4;"
           "mov 0x412340,%eax; hlt");
TEST(four_mib_pages)
{
    struct guest *g = start(GUEST_BYTES(large));

    guest_write32(g, GUEST_PD + 4, 0x83); /* 4 MiB at 0 */
    guest_write32(g, 0x12340, 0x5555);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RAX], 0x5555);
    guest_destroy(g);
}

GUEST_CODE(stale, 32,
           "mov 0x30000,%eax; movl $0x31003,0x70c0;"
           "mov 0x30000,%ebx; invlpg 0x30000; mov 0x30000,%ecx;"
           "movl $0x32003,0x70c0; mov %cr3,%eax; mov %eax,%cr3;"
           "mov 0x30000,%edx; hlt");
TEST(invlpg_and_cr3_drop_translations)
{
    struct guest *g = start(GUEST_BYTES(stale));

    guest_write32(g, 0x30000, 0x30);
    guest_write32(g, 0x31000, 0x31);
    guest_write32(g, 0x32000, 0x32);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RCX], 0x31);
    CHECK_EQ(g->st->gpr[RDX], 0x32);
    guest_destroy(g);
}

GUEST_CODE(crossing, 32,
           "movl $0x11223344,0x30ffe; mov 0x30ffe,%eax;"
           "movl $5,0x31ffe; hlt");
TEST(accesses_cross_pages_or_fault_whole)
{
    struct guest *g = start(GUEST_BYTES(crossing));

    guest_write32(g, GUEST_PT + 0x31 * 4, 0x35003); /* not in order */
    guest_write32(g, GUEST_PT + 0x32 * 4, 0);
    guest_expect(g, EXC_PF);
    CHECK_EQ(g->st->gpr[RAX], 0x11223344);
    CHECK_EQ(guest_read32(g, 0x35000) & 0xffff, 0x1122);
    CHECK_EQ(g->st->cr2, 0x32000);
    CHECK_EQ(guest_read32(g, 0x35ffc) >> 16, 0); /* nothing written */
    guest_destroy(g);
}

GUEST_CODE(straddle, 32, "mov $0x30ffd,%eax; jmp *%eax");
GUEST_CODE(straddled, 32, "mov $0x12345678,%eax; hlt");
TEST(an_instruction_may_lie_in_two_pages)
{
    struct guest *g = start(GUEST_BYTES(straddle));

    guest_write32(g, GUEST_PT + 0x31 * 4, 0x35003);
    memcpy(g->ram + 0x30ffd, straddled_start, 3);
    memcpy(g->ram + 0x35000, straddled_start + 3, 3);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RAX], 0x12345678);
    guest_destroy(g);
}

TEST(fetch_fault_in_the_second_page)
{
    struct guest *g = start(GUEST_BYTES(straddle));

    guest_write32(g, GUEST_PT + 0x31 * 4, 0);
    memcpy(g->ram + 0x30ffd, straddled_start, 3);
    guest_expect(g, EXC_PF);
    CHECK_EQ(g->st->cr2, 0x31000);
    CHECK_EQ(guest_stack(g, 1), 0x30ffd);
    guest_destroy(g);
}

/* --- code that changes --------------------------------------------------- */

GUEST_CODE(smc_ahead, 32, "movb $0x42,0x10008; nop; inc %ecx; hlt");
TEST(a_store_into_the_running_block_counts_at_once)
{
    struct guest *g = start(GUEST_BYTES(smc_ahead));

    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RDX] & 0xff, (g->cpu->model->signature + 1) & 0xff);
    CHECK_EQ(g->st->gpr[RCX], 0);
    guest_destroy(g);
}

GUEST_CODE(smc_loop, 32,
           "mov $10,%ecx; 1: addl $1,%ebx; incb 0x10007;"
           "dec %ecx; jnz 1b; hlt");
TEST(a_loop_that_rewrites_its_own_operand)
{
    struct guest *g = start(GUEST_BYTES(smc_loop));

    CHECK_EQ(guest_run(g, 1000), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RBX], 55);
    guest_destroy(g);
}

GUEST_CODE(smc_data, 32,
           "mov $100000,%ecx; 1: incl 0x10800; dec %ecx;"
           "jnz 1b; hlt");
TEST(data_beside_code_does_not_void_it)
{
    struct guest *g = start(GUEST_BYTES(smc_data));

    CHECK_EQ(guest_run(g, 1000000), ACCEL_HALTED);
    CHECK_EQ(guest_read32(g, 0x10800), 100000);
    CHECK_EQ(g->cpu->n_code_hits, 0);
    guest_destroy(g);
}

GUEST_CODE(smc_rep, 32,
           "call 1f; mov $0x10020,%edi; mov $0x90,%al;"
           "mov $2,%ecx; rep stosb; call 1f; hlt;"
           ".skip 0x20-(.-smc_rep_start); 1: inc %ebx;"
           "inc %ebx; ret");
TEST(string_stores_void_code_too)
{
    struct guest *g = start(GUEST_BYTES(smc_rep));

    CHECK_EQ(guest_run(g, 1000), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RBX], 2);
    guest_destroy(g);
}

GUEST_CODE(smc_cold, 32,
           "mov $0x30000,%edi; movb $0xc3,(%edi); call *%edi;"
           "mov $1000,%ecx; 1: incl (%edi); dec %ecx; jnz 1b;"
           "movb $0xc3,(%edi); call *%edi; movw $0xc343,(%edi);"
           "call *%edi; hlt");
TEST(a_page_that_was_code_becomes_data_and_code_again)
{
    struct guest *g = start(GUEST_BYTES(smc_cold));

    CHECK_EQ(guest_run(g, 10000), ACCEL_HALTED);
    CHECK_EQ(g->st->gpr[RBX], 1);
    guest_destroy(g);
}

TEST(dma_into_code_voids_it)
{
    struct guest *g = start(GUEST_BYTES(smc_data));
    static const uint8_t hlt = 0xf4;

    CHECK_EQ(guest_run(g, 100), ACCEL_BUDGET);
    map_dma_write(g->vm.map, GUEST_CODE_AT + 5, &hlt, 1);
    CHECK_EQ(guest_run(g, 100), ACCEL_HALTED);
    guest_destroy(g);
}

/* --- virtual-8086 mode --------------------------------------------------- */

/* Enters V86 at 1000:0000 (GUEST_CODE_AT) with a given EFLAGS. */
static struct guest *start_v86(const uint8_t *code, size_t n, uint32_t flags)
{
    struct guest *g = start(code, n);

    g->st->rflags = flags | FL_VM | FL_ONE;
    for (unsigned k = 0; k < SEG_COUNT; k++)
        g->st->seg[k] = (struct x86_segment){
            .selector = 0x1000,
            .base = 0x10000,
            .limit = 0xffff,
            .attr = 0xf3,
        };
    g->st->rip = 0;
    g->st->gpr[RSP] = 0x8000;
    guest_settle(g);
    return g;
}

GUEST_CODE(v86_cli, 16, "mov %cs,%ax; cli; hlt");
TEST(v86_traps_cli_below_iopl_3)
{
    struct guest *g = start_v86(GUEST_BYTES(v86_cli), 0);

    guest_expect(g, EXC_GP);
    CHECK_EQ(g->st->gpr[RAX] & 0xffff, 0x1000);
    CHECK_EQ(g->st->gpr[RSP], GUEST_STACK0 - 40);
    CHECK_EQ(guest_stack(g, 0), 0);
    CHECK_EQ(guest_stack(g, 1), 2);
    CHECK_EQ(guest_stack(g, 2), 0x1000);
    CHECK_EQ(guest_stack(g, 3) & FL_VM, FL_VM);
    CHECK_EQ(guest_stack(g, 6), 0x1000); /* ES */
    CHECK_EQ(guest_stack(g, 9), 0x1000); /* GS */
    CHECK_EQ(g->st->seg[SEG_DS].selector, 0);
    CHECK_EQ(g->st->rflags & FL_VM, 0);
    guest_destroy(g);
}

GUEST_CODE(v86_int, 16, "mov $3,%bx; int $0x21; hlt");
TEST(v86_int_at_iopl_3_uses_the_gate)
{
    struct guest *g = start_v86(GUEST_BYTES(v86_int), FL_IOPL);

    guest_gate(g, 0x21, SEL_CODE0, GUEST_HANDLERS + 0x21, 0xee);
    guest_expect(g, 0x21);
    CHECK_EQ(guest_stack(g, 0), 5);
    guest_destroy(g);
}

GUEST_CODE(v86_iret, 32, "iret");
TEST(iret_enters_v86)
{
    struct guest *g = start(GUEST_BYTES(v86_iret));
    static const uint32_t frame[] = {
        0x10,   0x1000, FL_VM | FL_ONE, 0x7ff0, 0x1111,
        0x2222, 0x3333, 0x4444,         0x5555,
    };

    memcpy(g->ram + 0x9000, frame, sizeof frame);
    memcpy(g->ram + 0x10010, "\x0f\x0b", 2);
    g->st->gpr[RSP] = 0x9000;
    guest_expect(g, EXC_UD);
    CHECK_EQ(guest_stack(g, 0), 0x10);
    CHECK_EQ(guest_stack(g, 3), 0x7ff0);
    CHECK_EQ(guest_stack(g, 4), 0x1111); /* SS */
    CHECK_EQ(guest_stack(g, 5), 0x2222);
    CHECK_EQ(guest_stack(g, 8), 0x5555);
    guest_destroy(g);
}

GUEST_CODE(vme, 16, "sti; pushf; pop %ax; cli; pushf; pop %bx; ud2");
TEST(vme_gives_a_virtual_interrupt_flag)
{
    struct guest *g = start_v86(GUEST_BYTES(vme), 0);

    g->st->cr4 = CR4_VME;
    guest_settle(g);
    guest_expect(g, EXC_UD);
    CHECK_EQ(g->st->gpr[RAX] & (FL_IF | FL_IOPL), FL_IF | FL_IOPL);
    CHECK_EQ(g->st->gpr[RBX] & FL_IF, 0);
    CHECK_EQ(guest_stack(g, 2) & FL_IF, 0);
    guest_destroy(g);
}
