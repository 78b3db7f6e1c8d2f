/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions and interrupts: from the moment something is raised to the
 * first instruction of its handler.
 *
 * Source: Intel SDM volume 3A chapter 6 (6.12 procedures, 6.14 in 64-bit
 * mode, 6.15 "Interrupt 8" for the double-fault rules), chapter 20 for
 * real and virtual-8086 mode, volume 2 "INT n".
 */
#include "cpu/except.h"

#include "cpu/interp/blocks.h"
#include "cpu/interp/engine.h"
#include "cpu/interp/interp.h"
#include "cpu/mode.h"
#include "cpu/segment.h"

/* --- raising ------------------------------------------------------------- */

void cpu_raise(struct vcpu *cpu, unsigned vector)
{
    cpu->exc_vector = (uint8_t)vector;
    cpu->exc_has_error = false;
    cpu->exc_error = 0;
    siglongjmp(cpu->jump, 1);
}

void cpu_raise_err(struct vcpu *cpu, unsigned vector, uint32_t error)
{
    cpu->exc_vector = (uint8_t)vector;
    cpu->exc_has_error = true;
    cpu->exc_error = error;
    siglongjmp(cpu->jump, 1);
}

void cpu_gp0(struct vcpu *cpu)
{
    cpu_raise_err(cpu, EXC_GP, 0);
}

void cpu_ud(struct vcpu *cpu)
{
    cpu_raise(cpu, EXC_UD);
}

void cpu_fpu_wait(struct vcpu *cpu, unsigned deny)
{
    struct x86_x87 *f = x87_here(cpu);

    if ((cpu->deny & deny) | (f->sw & 0x80))
        cpu_fp_denied(cpu, deny);
}

void cpu_fp_denied(struct vcpu *cpu, unsigned deny)
{
    uint64_t cr0 = cpu->st.cr0;

    if (deny == DENY_MMX && (cr0 & CR0_EM))
        cpu_ud(cpu);
    if (deny == DENY_SSE && ((cr0 & CR0_EM) || !(cpu->st.cr4 & CR4_OSFXSR)))
        cpu_ud(cpu);
    if (deny == DENY_AVX &&
        (!is_protected(cpu) || !(cpu->st.cr4 & CR4_OSXSAVE) ||
         (cpu->st.xcr0 & 6) != 6))
        cpu_ud(cpu);
    if (cr0 & (CR0_TS | (deny == DENY_X87 ? CR0_EM : 0)))
        cpu_raise(cpu, EXC_NM);
    /*
     * An unmasked x87 error.  With CR0.NE clear the PC signals it through
     * FERR# and IRQ 13; this machine has no such wire and reports it the
     * modern way, see docs/limits.md.
     */
    cpu_raise(cpu, EXC_MF);
}

/* --- gates --------------------------------------------------------------- */

struct event {
    unsigned vector;
    enum event_kind kind;
    bool has_error;
    uint32_t error;
    unsigned ext; /* EXT bit of faults during delivery */
};

static uint64_t pushed_flags(struct vcpu *cpu, const struct event *e)
{
    uint64_t fl = cpu->st.rflags;

    /* SDM 3A 17.3.1.1; an instruction breakpoint leaves RF as it is */
    if (e->kind == EVENT_FAULT && e->vector != EXC_DB)
        fl |= FL_RF;
    return fl;
}

static void deliver_real(struct vcpu *cpu, const struct event *e)
{
    struct x86_segment *cs = &cpu->st.seg[SEG_CS];
    struct frame f;
    uint32_t ivt;

    if (e->vector * 4 + 3 > cpu->st.idt.limit)
        cpu_raise_err(cpu, EXC_GP, e->vector * 8 + 2 + e->ext);
    ivt = (uint32_t)lin_ld(cpu, cpu->st.idt.base + e->vector * 4, 4, TLB_SUPER);
    frame_current(cpu, &f);
    frame_push(cpu, &f, 2, pushed_flags(cpu, e));
    frame_push(cpu, &f, 2, cs->selector);
    frame_push(cpu, &f, 2, cpu->st.rip);
    cpu->st.gpr[RSP] = f.sp;
    cs->selector = (uint16_t)(ivt >> 16);
    cs->base = ivt >> 16 << 4;
    cs->attr = (cs->attr & (SEG_DB | SEG_G)) | 0x93;
    cpu->st.rip = ivt & 0xffff;
    mode_segment(cpu, SEG_CS);
    mode_set_flags(cpu, 0, FL_IF | FL_TF | FL_AC | FL_RF);
}

/* The code segment that a gate leads to; returns its new privilege. */
static unsigned gate_target(struct vcpu *cpu, const struct event *e,
                            uint16_t sel, uint64_t *desc)
{
    uint32_t error = (sel & 0xfffcu) | e->ext;
    unsigned dpl;

    if (sel_is_null(sel))
        cpu_raise_err(cpu, EXC_GP, e->ext);
    if (!desc_read(cpu, sel, desc, NULL) || !desc_is_code(*desc) ||
        desc_dpl(*desc) > cpu->cpl)
        cpu_raise_err(cpu, EXC_GP, error);
    if (cpu->long_mode && (!desc_is_long(*desc) || desc_is_32(*desc)))
        cpu_raise_err(cpu, EXC_GP, error);
    if (!desc_is_present(*desc))
        cpu_raise_err(cpu, EXC_NP, error);
    dpl = desc_is_conforming(*desc) ? cpu->cpl : desc_dpl(*desc);
    /* a virtual-8086 task is left to level 0 only */
    if (is_v86(cpu) && dpl != 0)
        cpu_raise_err(cpu, EXC_GP, error);
    return dpl;
}

static void push_v86_segments(struct vcpu *cpu, struct frame *f, unsigned osz)
{
    static const uint8_t order[] = { SEG_GS, SEG_FS, SEG_DS, SEG_ES };

    for (unsigned n = 0; n < sizeof order; n++)
        frame_push(cpu, f, osz, cpu->st.seg[order[n]].selector);
}

static void drop_v86_segments(struct vcpu *cpu)
{
    static const uint8_t order[] = { SEG_GS, SEG_FS, SEG_DS, SEG_ES };

    for (unsigned n = 0; n < sizeof order; n++)
        cpu->st.seg[order[n]] = (struct x86_segment){ .attr = SEG_UNUSABLE };
}

/* Interrupt and trap gates outside long mode */
static void deliver_gate(struct vcpu *cpu, const struct event *e, uint64_t gate)
{
    unsigned osz = desc_type(gate) & 8 ? 4 : 2;
    uint16_t sel = gate_selector(gate);
    uint64_t off = osz == 4 ? gate_offset(gate) : gate & 0xffff;
    uint64_t flags = pushed_flags(cpu, e), desc;
    unsigned cpl = gate_target(cpu, e, sel, &desc);
    bool inner = cpl != cpu->cpl, v86 = is_v86(cpu);
    struct frame f;

    if (inner) {
        frame_inner(cpu, &f, cpl, e->ext);
        if (v86)
            push_v86_segments(cpu, &f, osz);
        frame_push(cpu, &f, osz, cpu->st.seg[SEG_SS].selector);
        frame_push(cpu, &f, osz, cpu->st.gpr[RSP]);
    } else {
        frame_current(cpu, &f);
        f.error = e->ext;
    }
    frame_push(cpu, &f, osz, flags);
    frame_push(cpu, &f, osz, cpu->st.seg[SEG_CS].selector);
    frame_push(cpu, &f, osz, cpu->st.rip);
    if (e->has_error)
        frame_push(cpu, &f, osz, e->error);
    if (off > desc_limit(desc))
        cpu_raise_err(cpu, EXC_GP, e->ext);
    if (v86) {
        drop_v86_segments(cpu);
        mode_set_flags(cpu, 0, FL_VM);
    }
    segment_enter(cpu, sel, desc, cpl, inner ? &f.ss : NULL);
    cpu->st.gpr[RSP] = f.sp;
    cpu->st.rip = off;
    mode_set_flags(cpu, 0,
                   FL_TF | FL_NT | FL_RF | (desc_type(gate) & 1 ? 0 : FL_IF));
}

static void deliver_long(struct vcpu *cpu, const struct event *e, uint64_t gate,
                         uint64_t gate_high)
{
    uint16_t sel = gate_selector(gate);
    uint64_t off = gate_offset(gate) | gate_high << 32;
    uint64_t flags = pushed_flags(cpu, e), desc;
    unsigned ist = gate >> 32 & 7;
    unsigned cpl = gate_target(cpu, e, sel, &desc);
    bool inner = cpl != cpu->cpl;
    struct frame f;

    if (inner || ist) {
        frame_long(cpu, &f, cpl, ist, e->ext);
    } else {
        frame_current(cpu, &f);
        f.width = 8;
        f.error = e->ext;
    }
    f.sp &= ~15ull;
    frame_push(cpu, &f, 8, cpu->st.seg[SEG_SS].selector);
    frame_push(cpu, &f, 8, cpu->st.gpr[RSP]);
    frame_push(cpu, &f, 8, flags);
    frame_push(cpu, &f, 8, cpu->st.seg[SEG_CS].selector);
    frame_push(cpu, &f, 8, cpu->st.rip);
    if (e->has_error)
        frame_push(cpu, &f, 8, e->error);
    if (!is_canonical(off))
        cpu_raise_err(cpu, EXC_GP, e->ext);
    segment_enter(cpu, sel, desc, cpl, inner ? &f.ss : NULL);
    cpu->st.gpr[RSP] = f.sp;
    cpu->st.rip = off;
    mode_set_flags(cpu, 0,
                   FL_TF | FL_NT | FL_RF | (desc_type(gate) & 1 ? 0 : FL_IF));
}

static void deliver_protected(struct vcpu *cpu, const struct event *e)
{
    unsigned bytes = cpu->long_mode ? 16 : 8;
    uint32_t error = e->vector * 8 + 2 + e->ext;
    uint64_t lin = cpu->st.idt.base + e->vector * bytes, gate, high = 0;
    unsigned type;

    if (e->vector * bytes + bytes - 1 > cpu->st.idt.limit)
        cpu_raise_err(cpu, EXC_GP, error);
    gate = lin_ld(cpu, lin, 8, TLB_SUPER);
    if (cpu->long_mode)
        high = lin_ld(cpu, lin + 8, 8, TLB_SUPER);
    type = desc_type(gate);
    if (desc_is_code_or_data(gate) ||
        (type != SYS_INT32 && type != SYS_TRAP32 &&
         (cpu->long_mode ||
          (type != SYS_INT16 && type != SYS_TRAP16 && type != SYS_TASK_GATE))))
        cpu_raise_err(cpu, EXC_GP, error);
    if (e->kind == EVENT_SOFT && desc_dpl(gate) < cpu->cpl)
        cpu_raise_err(cpu, EXC_GP, error);
    if (!desc_is_present(gate))
        cpu_raise_err(cpu, EXC_NP, error);
    if (cpu->long_mode)
        deliver_long(cpu, e, gate, high);
    else if (type == SYS_TASK_GATE)
        task_switch(cpu, gate_selector(gate), TASK_EVENT, e->has_error,
                    e->error, e->ext);
    else
        deliver_gate(cpu, e, gate);
}

void event_deliver(struct vcpu *cpu, unsigned vector, enum event_kind kind,
                   bool has_error, uint32_t error)
{
    struct event e = {
        .vector = vector,
        .kind = kind,
        .has_error = has_error,
        .error = error,
        .ext = kind != EVENT_SOFT,
    };

    if (cpu->st.cr0 & CR0_PE)
        deliver_protected(cpu, &e);
    else
        deliver_real(cpu, &e);
}

/* --- double faults ------------------------------------------------------- */

static bool is_contributory(unsigned vector)
{
    return vector == EXC_DE || (vector >= EXC_TS && vector <= EXC_GP);
}

/*
 * A fault came up while an event was being delivered; SDM 3A table 6-5.
 * False: triple fault.
 */
static bool combine(struct vcpu *cpu)
{
    unsigned first = cpu->deliver_vector, second = cpu->exc_vector;
    bool serious = is_contributory(second) || second == EXC_PF;

    if (first == EXC_DF && serious)
        return false;
    if ((is_contributory(first) && is_contributory(second)) ||
        (first == EXC_PF && serious)) {
        cpu->exc_vector = EXC_DF;
        cpu->exc_has_error = true;
        cpu->exc_error = 0;
    }
    return true;
}

static void start_delivery(struct vcpu *cpu, unsigned vector,
                           enum event_kind kind)
{
    cpu->cur = NULL;
    cpu->delivering = true;
    /* interrupts and traps are benign: any vector of that class */
    cpu->deliver_vector = kind == EVENT_FAULT ? (uint8_t)vector : EXC_DB;
}

bool except_handle(struct vcpu *cpu)
{
    enum event_kind kind = EVENT_FAULT;
    unsigned done;

    cpu->n_exceptions++;
    if (cpu->delivering) {
        if (!combine(cpu))
            return false;
    } else if (cpu->fetching) {
        cpu->fetching = false;
    } else {
        const struct x86_insn *i = blocks_current(cpu, &done);

        if (i) {
            cpu->insns -= cpu->cur_count - done - 1;
            cpu->st.rip = (cpu->st.rip - i->len) & cpu->rip_mask;
        }
    }
    if (cpu->bus_locked)
        bus_unlock(cpu);
    if (cpu->exc_vector == EXC_DB)
        cpu->st.dr[7] &= ~0x2000ull; /* GD */
    start_delivery(cpu, cpu->exc_vector, kind);
    event_deliver(cpu, cpu->exc_vector, kind,
                  cpu->exc_has_error && (cpu->st.cr0 & CR0_PE), cpu->exc_error);
    cpu->delivering = false;
    return true;
}

void except_external(struct vcpu *cpu, unsigned vector)
{
    cpu->n_interrupts++;
    start_delivery(cpu, vector, EVENT_EXTERNAL);
    event_deliver(cpu, vector, EVENT_EXTERNAL, false, 0);
    cpu->delivering = false;
}

void except_nmi(struct vcpu *cpu)
{
    start_delivery(cpu, EXC_NMI, EVENT_NMI);
    event_deliver(cpu, EXC_NMI, EVENT_NMI, false, 0);
    cpu->st.nmi_blocked = 1;
    cpu->delivering = false;
}

static void dr6_set(struct vcpu *cpu, uint32_t dr6)
{
    cpu->st.dr[6] = (cpu->st.dr[6] & ~(uint64_t)DB_HIT) | dr6;
}

void except_debug_trap(struct vcpu *cpu, uint32_t dr6)
{
    dr6_set(cpu, dr6);
    cpu->st.dr[7] &= ~0x2000ull;
    start_delivery(cpu, EXC_DB, EVENT_TRAP);
    event_deliver(cpu, EXC_DB, EVENT_TRAP, false, 0);
    cpu->delivering = false;
}

void except_icebp(struct vcpu *cpu)
{
    if (cpu->db_pending)
        dr6_set(cpu, cpu->db_pending);
    cpu->db_pending = 0;
    event_deliver(cpu, EXC_DB, EVENT_ICEBP, false, 0);
}

void except_debug_fault(struct vcpu *cpu, uint32_t dr6)
{
    dr6_set(cpu, dr6);
    cpu_raise(cpu, EXC_DB);
}
