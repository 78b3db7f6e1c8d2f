/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers: segment registers, far control flow, software interrupts, fast
 * system calls.
 */
#include "cpu/except.h"
#include "cpu/gen/handlers.h"
#include "cpu/interp/sys.h"
#include "cpu/interp/interp.h"
#include "cpu/mode.h"
#include "cpu/segment.h"

/* --- segment registers --------------------------------------------------- */

/* Opcodes 06 0E 16 1E, 0F A0, 0F A8: bits 3..5 are the register. */
void h_push_seg(struct vcpu *cpu, const struct x86_insn *i)
{
    uint16_t sel = cpu->st.seg[i->opcode >> 3 & 7].selector;
    uint64_t sp = sp_trim(cpu, cpu->st.gpr[RSP] - i->osz);

    /* AMD's write all of a 32-bit operand, Intel's the low word only */
    st_n(cpu, SEG_SS, sp, sel, i->osz);
    sp_set(cpu, sp);
}

static void movss_shadow(struct vcpu *cpu)
{
    cpu->st.movss_shadow = 1;
    cpu_attend(cpu, REQ_SLOW);
}

void h_pop_seg(struct vcpu *cpu, const struct x86_insn *i)
{
    unsigned seg = i->opcode >> 3 & 7;
    uint64_t sp = sp_get(cpu);
    uint16_t sel = ld16(cpu, SEG_SS, sp);
    unsigned width = cpu->sp_size;

    segment_load(cpu, seg, sel);
    reg_set(cpu, RSP, width, sp + i->osz);
    if (seg == SEG_SS)
        movss_shadow(cpu);
}

void h_mov_ESw_r(struct vcpu *cpu, const struct x86_insn *i)
{
    reg_set(cpu, i->rm, i->osz, cpu->st.seg[i->reg].selector);
}

void h_mov_ESw_m(struct vcpu *cpu, const struct x86_insn *i)
{
    st16(cpu, i->seg, ea(cpu, i), cpu->st.seg[i->reg].selector);
}

static void mov_seg(struct vcpu *cpu, const struct x86_insn *i, uint16_t sel)
{
    if (i->reg == SEG_CS)
        cpu_ud(cpu);
    segment_load(cpu, i->reg, sel);
    if (i->reg == SEG_SS)
        movss_shadow(cpu);
}

void h_mov_SwE_r(struct vcpu *cpu, const struct x86_insn *i)
{
    mov_seg(cpu, i, (uint16_t)cpu->st.gpr[i->rm]);
}

void h_mov_SwE_m(struct vcpu *cpu, const struct x86_insn *i)
{
    mov_seg(cpu, i, ld16(cpu, i->seg, ea(cpu, i)));
}

/* LES, LDS, LSS, LFS, LGS */
void h_load_far(struct vcpu *cpu, const struct x86_insn *i)
{
    unsigned seg = i->opcode == 0xc4   ? SEG_ES
                   : i->opcode == 0xc5 ? SEG_DS
                                       : i->opcode & 7;
    uint64_t at = ea(cpu, i);
    uint64_t off = ld_n(cpu, i->seg, at, i->osz);
    uint16_t sel = ld16(cpu, i->seg, at + i->osz);

    segment_load(cpu, seg, sel);
    reg_set(cpu, i->reg, i->osz, off);
}

/* --- far control flow ---------------------------------------------------- */

void h_call_far_A(struct vcpu *cpu, const struct x86_insn *i)
{
    far_call(cpu, i->imm2, i->imm, i->osz);
}

void h_jmp_far_A(struct vcpu *cpu, const struct x86_insn *i)
{
    far_jump(cpu, i->imm2, i->imm, i->osz);
}

static uint16_t far_pointer(struct vcpu *cpu, const struct x86_insn *i,
                            uint64_t *off)
{
    uint64_t at = ea(cpu, i);

    *off = ld_n(cpu, i->seg, at, i->osz);
    return ld16(cpu, i->seg, at + i->osz);
}

void h_call_far_M(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t off;
    uint16_t sel = far_pointer(cpu, i, &off);

    far_call(cpu, sel, off, i->osz);
}

void h_jmp_far_M(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t off;
    uint16_t sel = far_pointer(cpu, i, &off);

    far_jump(cpu, sel, off, i->osz);
}

void h_retf(struct vcpu *cpu, const struct x86_insn *i)
{
    far_return(cpu, i->osz, 0);
}

void h_retf_I(struct vcpu *cpu, const struct x86_insn *i)
{
    far_return(cpu, i->osz, (uint16_t)i->imm);
}

void h_iret(struct vcpu *cpu, const struct x86_insn *i)
{
    iret(cpu, i->osz);
}

/* --- software interrupts ------------------------------------------------- */

/*
 * SDM 3B 20.3: in virtual-8086 mode with VME, an INT n whose bit in the
 * TSS's redirection map is clear goes through the task's own vector table.
 * True when that was done.
 */
static bool redirected(struct vcpu *cpu, unsigned vector)
{
    const struct x86_segment *tr = &cpu->st.tr;
    uint64_t fl = cpu->st.rflags & 0xffff;
    uint32_t map, target;
    struct frame f;

    if (!(cpu->st.cr4 & CR4_VME) || tr->limit < 0x67)
        return false;
    map = (uint32_t)lin_ld(cpu, tr->base + 0x66, 2, TLB_SUPER);
    if (map < 32 || map - 32 + vector / 8 > tr->limit)
        return false;
    if (lin_ld(cpu, tr->base + map - 32 + vector / 8, 1, TLB_SUPER) >>
            vector % 8 &
        1)
        return false;
    target = (uint32_t)lin_ld(cpu, vector * 4, 4, TLB_USER);
    if (iopl(cpu) < 3) {
        /* the task sees VIF as IF, and IOPL 3 */
        fl = (fl & ~(uint64_t)FL_IF) | FL_IOPL |
             (cpu->st.rflags & FL_VIF ? FL_IF : 0);
    }
    frame_current(cpu, &f);
    frame_push(cpu, &f, 2, fl);
    frame_push(cpu, &f, 2, cpu->st.seg[SEG_CS].selector);
    frame_push(cpu, &f, 2, cpu->st.rip);
    cpu->st.gpr[RSP] = f.sp;
    cpu->st.seg[SEG_CS].selector = (uint16_t)(target >> 16);
    cpu->st.seg[SEG_CS].base = target >> 16 << 4;
    cpu->st.rip = target & 0xffff;
    mode_segment(cpu, SEG_CS);
    mode_set_flags(cpu, 0, FL_TF | FL_NT | (iopl(cpu) < 3 ? FL_VIF : FL_IF));
    return true;
}

/* Its delivery clears TF, and that is the end of tracing: no trap waits at the
 * handler.  SDM 3B 17.3.1.4 */
static void software_interrupt(struct vcpu *cpu, unsigned vector)
{
    cpu->no_step = true;
    event_deliver(cpu, vector, EVENT_SOFT, false, 0);
}

void h_int_n(struct vcpu *cpu, const struct x86_insn *i)
{
    unsigned vector = (uint8_t)i->imm;

    if (is_v86(cpu)) {
        cpu->no_step = true;
        if (redirected(cpu, vector))
            return;
        if (iopl(cpu) < 3)
            cpu_gp0(cpu);
    }
    software_interrupt(cpu, vector);
}

void h_int3(struct vcpu *cpu, const struct x86_insn *i)
{
    software_interrupt(cpu, EXC_BP);
}

void h_into(struct vcpu *cpu, const struct x86_insn *i)
{
    if (cpu->st.rflags & FL_OF)
        software_interrupt(cpu, EXC_OF);
}

void h_int1(struct vcpu *cpu, const struct x86_insn *i)
{
    cpu->no_step = true;
    except_icebp(cpu);
}

void h_bound(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t at = ea(cpu, i);
    int64_t index, low, high;

    if (i->osz == 2) {
        index = (int16_t)cpu->st.gpr[i->reg];
        low = (int16_t)ld16(cpu, i->seg, at);
        high = (int16_t)ld16(cpu, i->seg, at + 2);
    } else {
        index = (int32_t)cpu->st.gpr[i->reg];
        low = (int32_t)ld32(cpu, i->seg, at);
        high = (int32_t)ld32(cpu, i->seg, at + 4);
    }
    if (index < low || index > high)
        cpu_raise(cpu, EXC_BR);
}

void h_ud(struct vcpu *cpu, const struct x86_insn *i)
{
    report_undefined(cpu, i);
    cpu_ud(cpu);
}

void h_gp0(struct vcpu *cpu, const struct x86_insn *i)
{
    cpu_gp0(cpu);
}

/* --- fast system calls --------------------------------------------------- */

static void flat_code(struct vcpu *cpu, unsigned sel, unsigned cpl, bool is_64)
{
    cpu->st.seg[SEG_CS] = (struct x86_segment){
        .selector = (uint16_t)((sel & ~3u) | cpl),
        .limit = 0xffffffffu,
        .attr = (uint16_t)(0x9b | cpl << SEG_DPL_SHIFT | SEG_G |
                           (is_64 ? SEG_L : SEG_DB)),
    };
}

static void flat_stack(struct vcpu *cpu, unsigned sel, unsigned cpl)
{
    cpu->st.seg[SEG_SS] = (struct x86_segment){
        .selector = (uint16_t)((sel & ~3u) | cpl),
        .limit = 0xffffffffu,
        .attr = (uint16_t)(0x93 | cpl << SEG_DPL_SHIFT | SEG_G | SEG_DB),
    };
}

/* SYSCALL and SYSRET are traced if TF is set at their end. */
static void trace_by_end(struct vcpu *cpu)
{
    cpu->no_step = true;
    if (cpu->st.rflags & FL_TF)
        cpu->db_pending |= DB_STEP; /* mode_set_flags() has it looked at */
}

/* Outside 64-bit mode as AMD defines it; Intel has it in 64-bit mode only. */
void h_syscall(struct vcpu *cpu, const struct x86_insn *i)
{
    struct x86_state *st = &cpu->st;
    unsigned sel = st->star >> 32 & 0xffff;

    if (!(st->efer & EFER_SCE) || !(st->cr0 & CR0_PE))
        cpu_ud(cpu);
    if (cpu->long_mode) {
        st->gpr[RCX] = st->rip;
        st->gpr[R11] = st->rflags & ~(uint64_t)FL_RF;
        st->rip = cpu->code64 ? st->lstar : st->cstar;
        flat_code(cpu, sel, 0, true);
        flat_stack(cpu, sel + 8, 0);
        mode_segments(cpu);
        mode_set_flags(cpu, 0, st->sfmask | FL_RF);
        trace_by_end(cpu);
        return;
    }
    st->gpr[RCX] = (uint32_t)st->rip;
    st->rip = (uint32_t)st->star;
    flat_code(cpu, sel, 0, false);
    flat_stack(cpu, sel + 8, 0);
    mode_segments(cpu);
    mode_set_flags(cpu, 0, FL_VM | FL_IF | FL_RF);
    trace_by_end(cpu);
}

void h_sysret(struct vcpu *cpu, const struct x86_insn *i)
{
    struct x86_state *st = &cpu->st;
    unsigned sel = st->star >> 48;
    uint64_t mask = ~(uint64_t)(FL_RF | FL_VM) & 0x3f7fd5;

    if (!(st->efer & EFER_SCE) || !is_protected(cpu))
        cpu_ud(cpu);
    if (cpu->cpl != 0 || (i->osz == 8 && !is_canonical(st->gpr[RCX])))
        cpu_gp0(cpu);
    if (i->osz == 8) {
        flat_code(cpu, sel + 16, 3, true);
        st->rip = st->gpr[RCX];
    } else {
        flat_code(cpu, sel, 3, false);
        st->rip = (uint32_t)st->gpr[RCX];
    }
    flat_stack(cpu, sel + 8, 3);
    mode_segments(cpu);
    if (cpu->long_mode)
        mode_set_flags(cpu, st->gpr[R11], mask);
    else
        mode_set_flags(cpu, FL_IF, FL_IF);
    trace_by_end(cpu);
}

void h_sysenter(struct vcpu *cpu, const struct x86_insn *i)
{
    struct x86_state *st = &cpu->st;
    unsigned sel = st->sysenter_cs & 0xfffc;

    if (!(st->cr0 & CR0_PE) || !sel)
        cpu_gp0(cpu);
    mode_set_flags(cpu, 0, FL_VM | FL_IF | FL_RF);
    flat_code(cpu, sel, 0, cpu->long_mode);
    flat_stack(cpu, sel + 8, 0);
    st->gpr[RSP] =
        cpu->long_mode ? st->sysenter_esp : (uint32_t)st->sysenter_esp;
    st->rip = cpu->long_mode ? st->sysenter_eip : (uint32_t)st->sysenter_eip;
    mode_segments(cpu);
}

void h_sysexit(struct vcpu *cpu, const struct x86_insn *i)
{
    struct x86_state *st = &cpu->st;
    unsigned sel = st->sysenter_cs & 0xfffc;
    uint64_t rip = st->gpr[RDX], rsp = st->gpr[RCX];

    if (!is_protected(cpu) || cpu->cpl != 0 || !sel)
        cpu_gp0(cpu);
    if (i->osz == 8) {
        if (!is_canonical(rip) || !is_canonical(rsp))
            cpu_gp0(cpu);
        flat_code(cpu, sel + 32, 3, true);
        flat_stack(cpu, sel + 40, 3);
    } else {
        rip = (uint32_t)rip;
        rsp = (uint32_t)rsp;
        flat_code(cpu, sel + 16, 3, false);
        flat_stack(cpu, sel + 24, 3);
    }
    st->gpr[RSP] = rsp;
    st->rip = rip;
    mode_segments(cpu);
}
