/* SPDX-License-Identifier: Apache-2.0 */
/* The partition as a whole: creation, reset, CPUID, saved state. */
#include "hv/hv.h"

#include <glib.h>
#include <string.h>

#include "cpu/vcpu.h"
#include "sched/clock.h"
#include "vm/vm.h"

#define MAX_LEAF       0x40000006u
#define MAX_PROCESSORS 64u
/* Windows Server 2019; guests look at nothing but log it. */
#define HOST_BUILD   17763u
#define HOST_VERSION (10u << 16 | 0u)
#define NEVER_SPIN   0xffffffffu

static const struct {
    const char *name;
    uint32_t bit;
} names[] = {
    { "synic", HV_F_SYNIC },
    { "stimer", HV_F_STIMER },
    { "stimer-direct", HV_F_STIMER_DIRECT },
    { "apic", HV_F_APIC },
    { "ref-count", HV_F_REF_COUNT },
    { "ref-tsc", HV_F_REF_TSC },
    { "frequency", HV_F_FREQUENCY },
    { "crash", HV_F_CRASH },
    { "reset", HV_F_RESET },
    { "idle", HV_F_IDLE },
    { "runtime", HV_F_RUNTIME },
    { "flush", HV_F_FLUSH },
    { "ipi", HV_F_IPI },
    { "xmm-input", HV_F_XMM_INPUT },
};

uint32_t hv_feature(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].bit;
    return 0;
}

/* --- life ---------------------------------------------------------------- */

struct hv *hv_create(struct vm *vm, unsigned processors, uint32_t features)
{
    struct hv *hv = g_new0(struct hv, 1);

    /* timers speak through the SynIC */
    if (!(features & HV_F_SYNIC))
        features &= ~HV_F_STIMER;
    if (!(features & HV_F_STIMER))
        features &= ~HV_F_STIMER_DIRECT;
    hv->vm = vm;
    hv->features = features;
    hv->count = processors;
    hv->vp = g_new0(struct hv_vp, processors);
    pthread_mutex_init(&hv->lock, NULL);
    for (unsigned n = 0; n < processors; n++) {
        struct hv_vp *vp = &hv->vp[n];

        vp->hv = hv;
        vp->index = n;
        pthread_mutex_init(&vp->lock, NULL);
        hv_stimers_create(vp);
    }
    hv_reset(hv);
    return hv;
}

void hv_destroy(struct hv *hv)
{
    if (!hv)
        return;
    for (unsigned n = 0; n < hv->count; n++) {
        hv_stimers_destroy(&hv->vp[n]);
        pthread_mutex_destroy(&hv->vp[n].lock);
    }
    pthread_mutex_destroy(&hv->lock);
    g_free(hv->vp);
    g_free(hv);
}

void hv_reset(struct hv *hv)
{
    memset(&hv->st, 0, sizeof hv->st);
    for (unsigned n = 0; n < hv->count; n++) {
        struct hv_vp *vp = &hv->vp[n];

        memset(&vp->st, 0, sizeof vp->st);
        for (unsigned k = 0; k < HV_SINTS; k++)
            vp->st.sint[k] = HV_SINT_MASKED;
        hv_synic_loaded(vp);
        hv_stimers_loaded(vp);
    }
}

void hv_loaded(struct hv *hv)
{
    for (unsigned n = 0; n < hv->count; n++) {
        hv_synic_loaded(&hv->vp[n]);
        hv_stimers_loaded(&hv->vp[n]);
    }
    /* another host's TSC, for all the guest knows */
    hv_reference_tsc_renew(hv);
}

uint64_t hv_reference_time(struct vm *vm)
{
    return clock_now(vm->clocks, CLOCK_VIRTUAL) / 100;
}

/* --- CPUID --------------------------------------------------------------- */

struct bit {
    uint32_t feature, bit; /* feature 0: always */
};

static uint32_t bits_of(const struct hv *hv, const struct bit *b, unsigned n)
{
    uint32_t value = 0;

    for (; n > 0; n--, b++)
        if (!b->feature || hv_has(hv, b->feature))
            value |= b->bit;
    return value;
}

#define BITS(hv, table) bits_of(hv, table, G_N_ELEMENTS(table))

static void leaf_features(const struct hv *hv, uint32_t r[4])
{
    static const struct bit eax[] = {
        { HV_F_RUNTIME, HV_PRIV_VP_RUNTIME },
        { HV_F_REF_COUNT, HV_PRIV_REF_COUNT },
        { HV_F_SYNIC, HV_PRIV_SYNIC },
        { HV_F_STIMER, HV_PRIV_STIMER },
        { HV_F_APIC, HV_PRIV_APIC },
        { 0, HV_PRIV_HYPERCALL },
        { 0, HV_PRIV_VP_INDEX },
        { HV_F_RESET, HV_PRIV_RESET },
        { HV_F_REF_TSC, HV_PRIV_REF_TSC },
        { HV_F_IDLE, HV_PRIV_GUEST_IDLE },
        { HV_F_FREQUENCY, HV_PRIV_FREQUENCY },
    };
    static const struct bit ebx[] = {
        { HV_F_SYNIC, HV_PRIV_POST_MESSAGES },
        { HV_F_SYNIC, HV_PRIV_SIGNAL_EVENTS },
        { 0, HV_PRIV_START_VP },
    };
    static const struct bit edx[] = {
        { HV_F_XMM_INPUT, HV_FEAT_XMM_INPUT },
        { HV_F_IDLE, HV_FEAT_GUEST_IDLE },
        { HV_F_FREQUENCY, HV_FEAT_FREQUENCY },
        { HV_F_CRASH, HV_FEAT_CRASH },
        { HV_F_STIMER_DIRECT, HV_FEAT_STIMER_DIRECT },
    };

    r[0] = BITS(hv, eax);
    r[1] = BITS(hv, ebx);
    r[3] = BITS(hv, edx);
}

static void leaf_hints(const struct vcpu *cpu, uint32_t r[4])
{
    static const struct bit eax[] = {
        { 0, HV_HINT_RELAXED_TIME },
        { 0, HV_HINT_NO_AUTO_EOI },
        { HV_F_FLUSH, HV_HINT_REMOTE_FLUSH },
        { HV_F_IPI, HV_HINT_CLUSTER_IPI },
        { HV_F_FLUSH | HV_F_IPI, HV_HINT_EX_MASKS },
    };
    const struct hv *hv = cpu->vm->hv;

    r[0] = BITS(hv, eax);
    /* x2APIC has registers of its own */
    if (hv_has(hv, HV_F_APIC) && !x86_has(&cpu->model->features, X86_F_x2apic))
        r[0] |= HV_HINT_APIC_MSRS;
    r[1] = NEVER_SPIN;
}

void hv_cpuid(struct vcpu *cpu, uint32_t leaf, uint32_t r[4])
{
    const struct hv *hv = cpu->vm->hv;

    memset(r, 0, 4 * sizeof r[0]);
    switch (leaf) {
    case 0x40000000u:
        r[0] = MAX_LEAF;
        memcpy(&r[1], "Microsoft Hv", 12);
        break;
    case 0x40000001u: memcpy(&r[0], "Hv#1", 4); break;
    case 0x40000002u:
        r[0] = HOST_BUILD;
        r[1] = HOST_VERSION;
        break;
    case 0x40000003u: leaf_features(hv, r); break;
    case 0x40000004u: leaf_hints(cpu, r); break;
    case 0x40000005u: r[0] = r[1] = MAX_PROCESSORS; break;
    }
}

/* --- saved state --------------------------------------------------------- */

static const struct bp_field stimer_fields[] = {
    BP_FIELD(struct hv_stimer_state, config, "config"),
    BP_FIELD(struct hv_stimer_state, count, "count"),
    BP_FIELD(struct hv_stimer_state, due, "due"),
    BP_FIELD(struct hv_stimer_state, pending, "pending"), BP_FIELD_END
};

const struct bp_field hv_vp_state_fields[] = {
    BP_FIELD(struct hv_vp_state, scontrol, "scontrol"),
    BP_FIELD(struct hv_vp_state, siefp, "siefp"),
    BP_FIELD(struct hv_vp_state, simp, "simp"),
    BP_FIELD(struct hv_vp_state, vp_assist, "vp-assist"),
    BP_FIELD_ARRAY(struct hv_vp_state, sint, "sint"),
    BP_FIELD_TABLE(struct hv_vp_state, stimer, "stimer", HV_STIMERS,
                   stimer_fields),
    BP_FIELD(struct hv_vp_state, waiting, "waiting"),
    BP_FIELD(struct hv_vp_state, run_time, "run-time"),
    BP_FIELD(struct hv_vp_state, starting, "starting"),
    BP_FIELD_BLOB(struct hv_vp_state, start, "start"),
    BP_FIELD_END
};

const struct bp_field hv_state_fields[] = {
    BP_FIELD(struct hv_state, guest_os_id, "guest-os-id"),
    BP_FIELD(struct hv_state, hypercall, "hypercall"),
    BP_FIELD(struct hv_state, reference_tsc, "reference-tsc"),
    BP_FIELD(struct hv_state, tsc_sequence, "tsc-sequence"),
    BP_FIELD_ARRAY(struct hv_state, crash, "crash"),
    BP_FIELD_END
};
