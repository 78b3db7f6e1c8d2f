/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers 40000000h..400001FFh: those of the partition, and the way to the
 * others.
 */
#include <string.h>

#include "cpu/sync.h"
#include "cpu/vcpu.h"
#include "hv/hv.h"
#include "irq/lapic.h"
#include "mem/map.h"
#include "vm/vm.h"

/* vmcall; ret */
static const uint8_t hypercall_code[] = { 0x0f, 0x01, 0xc1, 0xc3 };

/* The page is filled with breakpoints behind the code. */
static bool hypercall_write(struct vcpu *cpu, uint64_t value)
{
    struct hv *hv = cpu->vm->hv;
    uint8_t page[PAGE_BYTES];
    uint8_t *host;
    bool ok = true;

    if (hv->st.hypercall & HV_HYPERCALL_LOCKED)
        return true;
    /* without an identity the page stays disabled */
    if (!hv->st.guest_os_id)
        value &= ~HV_PAGE_ENABLE;
    if (value & HV_PAGE_ENABLE) {
        memset(page, 0xcc, sizeof page);
        memcpy(page, hypercall_code, sizeof hypercall_code);
        guest_leave(cpu);
        ok = hv_page_find(hv, value, &host);
        if (ok) {
            memcpy(host, page, sizeof page);
            hv_page_done(hv, host, sizeof page);
        }
        guest_enter(cpu);
    }
    if (ok)
        __atomic_store_n(&hv->st.hypercall, value, __ATOMIC_RELAXED);
    return ok;
}

static bool os_id_write(struct hv *hv, uint64_t value)
{
    hv->st.guest_os_id = value;
    if (!value)
        __atomic_and_fetch(&hv->st.hypercall, ~HV_PAGE_ENABLE,
                           __ATOMIC_RELAXED);
    return true;
}

/* Nothing is ever reported in the page: its bits are hints for the guest to
 * leave out work. */
static bool vp_assist_write(struct vcpu *cpu, struct hv_vp *vp, uint64_t value)
{
    uint8_t *host;
    bool ok;

    guest_leave(cpu);
    ok = hv_page_find(vp->hv, value, &host);
    if (ok && host && !(vp->st.vp_assist & HV_PAGE_ENABLE)) {
        memset(host, 0, PAGE_BYTES);
        hv_page_done(vp->hv, host, PAGE_BYTES);
    }
    guest_enter(cpu);
    if (ok)
        vp->st.vp_assist = value;
    return ok;
}

bool hv_msr_read(struct vcpu *cpu, uint32_t msr, uint64_t *value)
{
    struct hv *hv = cpu->vm->hv;
    struct hv_vp *vp = &hv->vp[cpu->index];

    switch (msr) {
    case HV_MSR_GUEST_OS_ID: *value = hv->st.guest_os_id; return true;
    case HV_MSR_HYPERCALL: *value = hv->st.hypercall; return true;
    case HV_MSR_VP_INDEX: *value = cpu->index; return true;
    case HV_MSR_RESET: *value = 0; return hv_has(hv, HV_F_RESET);
    case HV_MSR_VP_RUNTIME:
        *value = hv_run_time(cpu);
        return hv_has(hv, HV_F_RUNTIME);
    case HV_MSR_REFERENCE_TSC:
        *value = hv->st.reference_tsc;
        return hv_has(hv, HV_F_REF_TSC);
    case HV_MSR_ICR:
        *value = lapic_icr_read(cpu->lapic);
        return hv_has(hv, HV_F_APIC);
    case HV_MSR_TPR:
        *value = lapic_tpr_read(cpu->lapic);
        return hv_has(hv, HV_F_APIC);
    case HV_MSR_TIME_REF_COUNT:
        *value = hv_reference_count(cpu);
        return hv_has(hv, HV_F_REF_COUNT);
    case HV_MSR_TSC_FREQUENCY:
        *value = cpu->vm->tsc_hz;
        return hv_has(hv, HV_F_FREQUENCY);
    case HV_MSR_APIC_FREQUENCY:
        *value = lapic_timer_hz();
        return hv_has(hv, HV_F_FREQUENCY);
    case HV_MSR_VP_ASSIST_PAGE: *value = vp->st.vp_assist; return true;
    case HV_MSR_SCONTROL ... HV_MSR_SINT15:
        return hv_has(hv, HV_F_SYNIC) && hv_synic_read(vp, msr, value);
    case HV_MSR_STIMER0_CONFIG ... HV_MSR_STIMER3_COUNT:
        *value = hv_stimer_read(vp, msr);
        return hv_has(hv, HV_F_STIMER);
    case HV_MSR_GUEST_IDLE: *value = 0; return hv_has(hv, HV_F_IDLE);
    case HV_MSR_CRASH_P0 ... HV_MSR_CRASH_P4:
        *value = hv->st.crash[msr - HV_MSR_CRASH_P0];
        return hv_has(hv, HV_F_CRASH);
    case HV_MSR_CRASH_CTL:
        *value = HV_CRASH_NOTIFY | HV_CRASH_MESSAGE;
        return hv_has(hv, HV_F_CRASH);
    }
    return false;
}

static bool apic_write(struct vcpu *cpu, uint32_t msr, uint64_t value)
{
    if (!hv_has(cpu->vm->hv, HV_F_APIC))
        return false;
    switch (msr) {
    case HV_MSR_EOI: lapic_eoi(cpu->lapic); break;
    case HV_MSR_ICR: lapic_icr_write(cpu->lapic, value); break;
    case HV_MSR_TPR: lapic_tpr_write(cpu->lapic, (uint8_t)value); break;
    }
    return true;
}

static bool reset_write(struct vcpu *cpu, uint64_t value)
{
    if (!hv_has(cpu->vm->hv, HV_F_RESET))
        return false;
    if (value & 1)
        vm_request_reset(cpu->vm);
    return true;
}

bool hv_msr_write(struct vcpu *cpu, uint32_t msr, uint64_t value)
{
    struct hv *hv = cpu->vm->hv;
    struct hv_vp *vp = &hv->vp[cpu->index];

    switch (msr) {
    case HV_MSR_GUEST_OS_ID: return os_id_write(hv, value);
    case HV_MSR_HYPERCALL: return hypercall_write(cpu, value);
    case HV_MSR_VP_ASSIST_PAGE: return vp_assist_write(cpu, vp, value);
    case HV_MSR_SCONTROL ... HV_MSR_SINT15:
        return hv_has(hv, HV_F_SYNIC) && hv_synic_write(vp, msr, value);
    case HV_MSR_RESET: return reset_write(cpu, value);
    case HV_MSR_REFERENCE_TSC:
        return hv_has(hv, HV_F_REF_TSC) && hv_reference_tsc_write(cpu, value);
    case HV_MSR_EOI ... HV_MSR_TPR: return apic_write(cpu, msr, value);
    case HV_MSR_STIMER0_CONFIG ... HV_MSR_STIMER3_COUNT:
        if (!hv_has(hv, HV_F_STIMER))
            return false;
        hv_stimer_write(vp, msr, value);
        return true;
    case HV_MSR_CRASH_P0 ... HV_MSR_CRASH_P4:
        hv->st.crash[msr - HV_MSR_CRASH_P0] = value;
        return hv_has(hv, HV_F_CRASH);
    case HV_MSR_CRASH_CTL:
        if (hv_has(hv, HV_F_CRASH))
            hv_crash_notify(cpu, value);
        return hv_has(hv, HV_F_CRASH);
    }
    return false;
}
