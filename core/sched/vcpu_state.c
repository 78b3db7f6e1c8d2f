/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a processor at power-on and after INIT, and its table for
 * save and load.
 *
 * Source: Intel SDM volume 3A table 9-1.
 */
#include <string.h>

#include "cpu/vcpu.h"
#include "hv/hv.h"
#include "hwaccel/accel.h"
#include "irq/lapic.h"
#include "sched/vcpu.h"
#include "vm/vm.h"

static void reset_segments(struct x86_state *st)
{
    for (unsigned n = 0; n < SEG_COUNT; n++)
        st->seg[n] = (struct x86_segment){ .limit = 0xffff, .attr = 0x93 };
    st->seg[SEG_CS].selector = 0xf000;
    st->seg[SEG_CS].base = 0xffff0000u;
    st->ldt = (struct x86_segment){ .limit = 0xffff, .attr = 0x82 };
    st->tr = (struct x86_segment){ .limit = 0xffff, .attr = 0x8b };
    st->gdt = st->idt = (struct x86_table){ .limit = 0xffff };
}

static void reset_execution(struct vcpu *cpu, struct x86_state *st)
{
    memset(st->gpr, 0, sizeof st->gpr);
    st->gpr[RDX] = cpu->model->signature;
    st->rip = 0xfff0;
    st->rflags = FL_ONE;
    reset_segments(st);
    st->cr2 = st->cr3 = st->cr4 = st->cr8 = 0;
    st->efer = 0;
    memset(st->pdptr, 0, sizeof st->pdptr);
    memset(st->dr, 0, sizeof st->dr);
    st->dr[6] = 0xffff0ff0u;
    st->dr[7] = 0x400;
    st->activity = cpu->index ? X86_WAIT_SIPI : X86_RUNNING;
    st->sti_shadow = st->movss_shadow = 0;
    st->nmi_blocked = st->nmi_pending = 0;
    st->event_pending = 0;
}

static void reset_power(struct vcpu *cpu, struct x86_state *st)
{
    memset(st, 0, sizeof *st);
    st->cr0 = CR0_CD | CR0_NW | CR0_ET;
    st->xcr0 = 1;
    st->x87.cw = 0x37f;
    st->mxcsr = 0x1f80;
    st->pat = 0x0007040600070406ull;
    st->misc_enable = 1; /* fast strings */
    st->smbase = 0x30000;
    st->apic_base =
        0xfee00000u | APIC_BASE_ENABLE | (cpu->index ? 0 : APIC_BASE_BSP);
    if (!x86_has(&cpu->model->features, X86_F_apic))
        st->apic_base = 0;
}

void vcpu_reset(struct vcpu *cpu, bool init)
{
    struct x86_state st;

    cpu->vm->accel->get_state(cpu, &st);
    if (init)
        st.cr0 = (st.cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
    else
        reset_power(cpu, &st);
    reset_execution(cpu, &st);
    cpu->vm->accel->set_state(cpu, &st);
    lapic_reset(cpu->lapic, init);
}

void vcpus_reset(struct vm *vm)
{
    for (unsigned n = 0; n < vm->vcpu_count; n++) {
        struct vcpu *cpu = vm->vcpus[n];

        vcpu_reset(cpu, false);
        cpu->random = 0x42 + cpu->index;
        __atomic_fetch_and(&cpu->requests,
                           REQ_KICK | REQ_TLB | REQ_BLOCKS | REQ_SLOW,
                           __ATOMIC_SEQ_CST);
    }
    if (vm->hv)
        hv_reset(vm->hv);
}

void vcpu_loaded(struct vcpu *cpu)
{
    struct x86_state st = cpu->st;

    cpu->vm->accel->set_state(cpu, &st);
    lapic_loaded(cpu->lapic);
}

/* --- tables -------------------------------------------------------------- */

static const struct bp_field segment_fields[] = {
    BP_FIELD(struct x86_segment, base, "base"),
    BP_FIELD(struct x86_segment, limit, "limit"),
    BP_FIELD(struct x86_segment, selector, "selector"),
    BP_FIELD(struct x86_segment, attr, "attr"), BP_FIELD_END
};

static const struct bp_field table_fields[] = {
    BP_FIELD(struct x86_table, base, "base"),
    BP_FIELD(struct x86_table, limit, "limit"), BP_FIELD_END
};

static const struct bp_field x87_fields[] = {
    BP_FIELD_BLOB(struct x86_x87, st, "st"),
    BP_FIELD(struct x86_x87, cw, "cw"),
    BP_FIELD(struct x86_x87, sw, "sw"),
    BP_FIELD(struct x86_x87, tag, "tag"),
    BP_FIELD(struct x86_x87, opcode, "opcode"),
    BP_FIELD(struct x86_x87, ip_sel, "ip-sel"),
    BP_FIELD(struct x86_x87, dp_sel, "dp-sel"),
    BP_FIELD(struct x86_x87, ip, "ip"),
    BP_FIELD(struct x86_x87, dp, "dp"),
    BP_FIELD_END
};

#define S struct x86_state
const struct bp_field x86_state_fields[] = {
    BP_FIELD_ARRAY(S, gpr, "gpr"),
    BP_FIELD(S, rip, "rip"),
    BP_FIELD(S, rflags, "rflags"),
    BP_FIELD_TABLE(S, seg, "seg", SEG_COUNT, segment_fields),
    BP_FIELD_TABLE(S, ldt, "ldt", 1, segment_fields),
    BP_FIELD_TABLE(S, tr, "tr", 1, segment_fields),
    BP_FIELD_TABLE(S, gdt, "gdt", 1, table_fields),
    BP_FIELD_TABLE(S, idt, "idt", 1, table_fields),
    BP_FIELD(S, cr0, "cr0"),
    BP_FIELD(S, cr2, "cr2"),
    BP_FIELD(S, cr3, "cr3"),
    BP_FIELD(S, cr4, "cr4"),
    BP_FIELD(S, cr8, "cr8"),
    BP_FIELD(S, efer, "efer"),
    BP_FIELD(S, xcr0, "xcr0"),
    BP_FIELD_ARRAY(S, pdptr, "pdptr"),
    BP_FIELD_ARRAY(S, dr, "dr"),
    BP_FIELD_TABLE(S, x87, "x87", 1, x87_fields),
    BP_FIELD_BLOB(S, ymm, "ymm"),
    BP_FIELD(S, mxcsr, "mxcsr"),
    BP_FIELD(S, star, "star"),
    BP_FIELD(S, lstar, "lstar"),
    BP_FIELD(S, cstar, "cstar"),
    BP_FIELD(S, sfmask, "sfmask"),
    BP_FIELD(S, kernel_gs_base, "kernel-gs-base"),
    BP_FIELD(S, sysenter_cs, "sysenter-cs"),
    BP_FIELD(S, sysenter_esp, "sysenter-esp"),
    BP_FIELD(S, sysenter_eip, "sysenter-eip"),
    BP_FIELD(S, pat, "pat"),
    BP_FIELD(S, mtrr_def_type, "mtrr-def-type"),
    BP_FIELD_ARRAY(S, mtrr_fixed, "mtrr-fixed"),
    BP_FIELD_ARRAY(S, mtrr_base, "mtrr-base"),
    BP_FIELD_ARRAY(S, mtrr_mask, "mtrr-mask"),
    BP_FIELD(S, apic_base, "apic-base"),
    BP_FIELD(S, tsc_adjust, "tsc-adjust"),
    BP_FIELD(S, tsc_aux, "tsc-aux"),
    BP_FIELD(S, tsc_deadline, "tsc-deadline"),
    BP_FIELD(S, tsc_offset, "tsc-offset"),
    BP_FIELD(S, misc_enable, "misc-enable"),
    BP_FIELD(S, feature_control, "feature-control"),
    BP_FIELD(S, xss, "xss"),
    BP_FIELD(S, debugctl, "debugctl"),
    BP_FIELD(S, smbase, "smbase"),
    BP_FIELD(S, activity, "activity"),
    BP_FIELD(S, sti_shadow, "sti-shadow"),
    BP_FIELD(S, movss_shadow, "movss-shadow"),
    BP_FIELD(S, nmi_blocked, "nmi-blocked"),
    BP_FIELD(S, nmi_pending, "nmi-pending"),
    BP_FIELD(S, in_smm, "in-smm"),
    BP_FIELD(S, smi_pending, "smi-pending"),
    BP_FIELD(S, event_pending, "event-pending"),
    BP_FIELD(S, event_vector, "event-vector"),
    BP_FIELD(S, event_has_error, "event-has-error"),
    BP_FIELD(S, event_error, "event-error"),
    BP_FIELD_END
};
#undef S
