/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hypercalls that concern other processors: translations, interrupts,
 * starting; and registers by name.
 *
 * Source: TLFS 9.4, 10.5, 7.11, appendix B.
 */
#include <glib.h>
#include <string.h>

#include "cpu/interp/sys.h"
#include "cpu/sync.h"
#include "cpu/vcpu.h"
#include "hv/hypercall.h"
#include "hwaccel/accel.h"
#include "irq/lapic.h"
#include "mem/map.h"
#include "sched/vcpu.h"
#include "vm/vm.h"

#define BANK_BITS 64u

/* --- sets of processors -------------------------------------------------- */

enum { SET_SPARSE, SET_ALL }; /* format */

struct vp_set {
    uint64_t format, banks; /* a bit each bank that is given */
};

/* A machine has at most 64 processors: bank 0 is all that counts.  It
 * begins at `at` in the input. */
static uint16_t read_set(struct hv_call *c, const struct vp_set *set,
                         uint32_t at, uint64_t *mask)
{
    uint8_t in[64];
    uint16_t status;

    if (set->format == SET_ALL) {
        *mask = UINT64_MAX;
        return HV_STATUS_SUCCESS;
    }
    if (set->format != SET_SPARSE ||
        (unsigned)__builtin_popcountll(set->banks) != c->varhead)
        return HV_STATUS_INVALID_PARAMETER;
    *mask = 0;
    if (!(set->banks & 1))
        return HV_STATUS_SUCCESS;
    status = hv_call_input(c, in, at + 8);
    if (!status)
        memcpy(mask, in + at, 8);
    return status;
}

/* --- translations -------------------------------------------------------- */

#define FLUSH_ALL_PROCESSORS 0x1ull
#define FLUSH_KNOWN          0xfull

/* Which translations is only a matter of how many: all go. */
static uint16_t flush(struct hv_call *c, uint64_t flags, uint64_t mask)
{
    if (flags & ~FLUSH_KNOWN)
        return HV_STATUS_INVALID_PARAMETER;
    sync_flush_some(c->cpu->vm,
                    flags & FLUSH_ALL_PROCESSORS ? UINT64_MAX : mask);
    c->done = c->reps;
    return HV_STATUS_SUCCESS;
}

uint16_t hv_call_flush(struct hv_call *c)
{
    struct {
        uint64_t space, flags, mask;
    } in;
    uint16_t status = hv_call_input(c, &in, sizeof in);

    return status ? status : flush(c, in.flags, in.mask);
}

uint16_t hv_call_flush_ex(struct hv_call *c)
{
    struct {
        uint64_t space, flags;
        struct vp_set set;
    } in;
    uint64_t mask = 0;
    uint16_t status = hv_call_input(c, &in, sizeof in);

    if (!status && !(in.flags & FLUSH_ALL_PROCESSORS))
        status = read_set(c, &in.set, sizeof in, &mask);
    return status ? status : flush(c, in.flags, mask);
}

/* --- interrupts ---------------------------------------------------------- */

static uint16_t send(struct hv_call *c, uint32_t vector, uint64_t mask)
{
    struct vm *vm = c->cpu->vm;

    if (vector < 16 || vector > 255)
        return HV_STATUS_INVALID_PARAMETER;
    for (unsigned n = 0; n < vm->vcpu_count && n < BANK_BITS; n++)
        if (mask >> n & 1)
            lapic_inject(vm->vcpus[n]->lapic, (uint8_t)vector);
    return HV_STATUS_SUCCESS;
}

uint16_t hv_call_send_ipi(struct hv_call *c)
{
    struct {
        uint32_t vector, reserved;
        uint64_t mask;
    } in;
    uint16_t status = hv_call_input(c, &in, sizeof in);

    return status ? status : send(c, in.vector, in.mask);
}

uint16_t hv_call_send_ipi_ex(struct hv_call *c)
{
    struct {
        uint32_t vector, reserved;
        struct vp_set set;
    } in;
    uint64_t mask = 0;
    uint16_t status = hv_call_input(c, &in, sizeof in);

    if (!status)
        status = read_set(c, &in.set, sizeof in, &mask);
    return status ? status : send(c, in.vector, mask);
}

/* --- starting ------------------------------------------------------------ */

static bool is_self(uint64_t partition)
{
    return partition == HV_PARTITION_SELF;
}

/* RFLAGS without VM */
#define FLAGS 0x003d7fd5u

static bool is_pat(uint64_t pat)
{
    for (unsigned n = 0; n < 64; n += 8) {
        unsigned type = pat >> n & 0xff;

        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

/* Modes that a processor can begin in: real, protected and long. */
static bool is_startable(const struct vcpu *cpu, const struct hv_vp_context *x)
{
    bool paging = x->cr0 & CR0_PG, lme = x->efer & EFER_LME;

    if (x->cr0 >> 32 || (paging && !(x->cr0 & CR0_PE)) ||
        (x->cr4 & ~x86_cr4_allowed(cpu)) || (x->cr4 & CR4_PCIDE) ||
        (x->cr3 & ~cpu->phys_mask) || !is_canonical(x->rip) ||
        !is_pat(x->pat) ||
        (x->efer & ~(uint64_t)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)))
        return false;
    if (lme && !x86_has(&cpu->model->features, X86_F_lm))
        return false;
    if (!(x->efer & EFER_LMA) != !(lme && paging))
        return false;
    /* PAE without long mode would have to load page-directory pointers */
    return !paging || !(x->cr4 & CR4_PAE) == !lme;
}

uint16_t hv_call_start_vp(struct hv_call *c)
{
    struct {
        uint64_t partition;
        uint32_t vp;
        uint8_t vtl, reserved[3];
        struct hv_vp_context context;
    } in;
    struct hv *hv = c->cpu->vm->hv;
    uint16_t status = hv_call_input(c, &in, sizeof in);
    struct hv_vp *vp;
    struct vcpu *cpu;
    bool waits;

    if (status)
        return status;
    if (!is_self(in.partition))
        return HV_STATUS_INVALID_PARTITION_ID;
    if (in.vp >= c->cpu->vm->vcpu_count)
        return HV_STATUS_INVALID_VP_INDEX;
    if (in.vtl || !is_startable(c->cpu, &in.context))
        return HV_STATUS_INVALID_PARAMETER;
    vp = &hv->vp[in.vp];
    cpu = c->cpu->vm->vcpus[in.vp];
    pthread_mutex_lock(&vp->lock);
    waits =
        __atomic_load_n(&cpu->st.activity, __ATOMIC_RELAXED) == X86_WAIT_SIPI &&
        !vp->st.starting;
    if (waits) {
        vp->st.start = in.context;
        vp->st.starting = 1;
    }
    pthread_mutex_unlock(&vp->lock);
    if (!waits)
        return HV_STATUS_INVALID_VP_STATE;
    vcpu_request(cpu, REQ_SIPI);
    return HV_STATUS_SUCCESS;
}

static struct x86_segment segment(const struct hv_segment *s)
{
    uint16_t attr =
        (uint16_t)((s->attributes & 0xff) | (s->attributes >> 12 & 0xf) << 8);

    return (struct x86_segment){ s->base, s->limit, s->selector,
                                 attr & SEG_P ? attr : attr | SEG_UNUSABLE };
}

static struct x86_table table(const struct hv_table *t)
{
    return (struct x86_table){ t->base, t->limit };
}

static void apply(struct x86_state *st, const struct hv_vp_context *x)
{
    st->seg[SEG_ES] = segment(&x->es);
    st->seg[SEG_CS] = segment(&x->cs);
    st->seg[SEG_SS] = segment(&x->ss);
    st->seg[SEG_DS] = segment(&x->ds);
    st->seg[SEG_FS] = segment(&x->fs);
    st->seg[SEG_GS] = segment(&x->gs);
    st->tr = segment(&x->tr);
    st->ldt = segment(&x->ldtr);
    st->idt = table(&x->idtr);
    st->gdt = table(&x->gdtr);
    st->rip = x->rip;
    st->gpr[RSP] = x->rsp;
    st->rflags = (x->rflags & FLAGS) | FL_ONE;
    st->cr0 = x->cr0 | CR0_ET;
    st->cr3 = x->cr3;
    st->cr4 = x->cr4;
    st->efer = x->efer;
    st->pat = x->pat;
    st->activity = X86_RUNNING;
}

bool hv_take_start(struct vcpu *cpu)
{
    struct hv_vp *vp = &cpu->vm->hv->vp[cpu->index];
    struct hv_vp_context context;
    struct x86_state st;
    bool starting;

    pthread_mutex_lock(&vp->lock);
    starting = vp->st.starting;
    context = vp->st.start;
    vp->st.starting = 0;
    pthread_mutex_unlock(&vp->lock);
    if (!starting || cpu->st.activity != X86_WAIT_SIPI)
        return starting;
    cpu->vm->accel->get_state(cpu, &st);
    apply(&st, &context);
    cpu->vm->accel->set_state(cpu, &st);
    return true;
}

uint16_t hv_call_index_from_apic_id(struct hv_call *c)
{
    struct {
        uint64_t partition;
        uint8_t vtl, reserved[7];
        uint32_t id[(PAGE_BYTES - 16) / 4];
    } in;
    uint32_t out[G_N_ELEMENTS(in.id)];
    uint16_t status;

    if (c->reps > G_N_ELEMENTS(out))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    status = hv_call_input(c, &in, 16 + 4 * c->reps);
    if (status)
        return status;
    if (!is_self(in.partition))
        return HV_STATUS_INVALID_PARTITION_ID;
    if (in.vtl)
        return HV_STATUS_INVALID_PARAMETER;
    /* the two are the same here */
    for (; c->done < c->reps; c->done++) {
        if (in.id[c->done] >= c->cpu->vm->vcpu_count) {
            status = HV_STATUS_INVALID_PARAMETER;
            break;
        }
        out[c->done] = in.id[c->done];
    }
    if (c->done > c->start) {
        uint16_t bad = hv_call_output(c, 4 * c->start, out + c->start,
                                      4 * (c->done - c->start));

        if (bad)
            return bad;
    }
    return status;
}

/* --- registers ----------------------------------------------------------- */

struct value {
    uint64_t low, high;
};

/* Ranges of register names that are model-specific registers, too */
static const struct {
    uint32_t first, count, msr;
} named[] = {
    { 0x00000210, 6, HV_MSR_CRASH_P0 },
    { 0x00090000, 1, HV_MSR_VP_RUNTIME },
    { 0x00090001, 1, HV_MSR_HYPERCALL },
    { 0x00090002, 1, HV_MSR_GUEST_OS_ID },
    { 0x00090003, 1, HV_MSR_VP_INDEX },
    { 0x00090004, 1, HV_MSR_TIME_REF_COUNT },
    { 0x00090013, 1, HV_MSR_VP_ASSIST_PAGE },
    { 0x00090017, 1, HV_MSR_REFERENCE_TSC },
    { 0x000a0000, 16, HV_MSR_SINT0 },
    { 0x000a0010, 5, HV_MSR_SCONTROL },
    { 0x000b0000, 8, HV_MSR_STIMER0_CONFIG },
};

static uint32_t msr_of(uint32_t name)
{
    for (unsigned n = 0; n < G_N_ELEMENTS(named); n++)
        if (name - named[n].first < named[n].count)
            return named[n].msr + (name - named[n].first);
    return 0;
}

static bool get(struct vcpu *cpu, uint32_t name, struct value *v)
{
    uint32_t msr = msr_of(name), leaf = 0;

    v->high = 0;
    if (msr)
        return hv_msr_read(cpu, msr, &v->low);
    if (name == 0x100)
        leaf = 0x40000002u; /* version */
    else if (name >= 0x200 && name <= 0x203)
        leaf = 0x40000003u + (name - 0x200);
    if (leaf) {
        uint32_t r[4];

        hv_cpuid(cpu, leaf, r);
        v->low = r[0] | (uint64_t)r[1] << 32;
        v->high = r[2] | (uint64_t)r[3] << 32;
    }
    return leaf;
}

struct registers_head {
    uint64_t partition;
    uint32_t vp;
    uint8_t vtl, reserved[3];
};

/* Only of the processor that asks: the others run. */
static uint16_t check_head(const struct hv_call *c,
                           const struct registers_head *h)
{
    if (!is_self(h->partition))
        return HV_STATUS_INVALID_PARTITION_ID;
    if (h->vp != HV_VP_SELF && h->vp != c->cpu->index)
        return h->vp < c->cpu->vm->vcpu_count ? HV_STATUS_ACCESS_DENIED
                                              : HV_STATUS_INVALID_VP_INDEX;
    return h->vtl & 0x1f ? HV_STATUS_INVALID_PARAMETER : HV_STATUS_SUCCESS;
}

uint16_t hv_call_get_registers(struct hv_call *c)
{
    struct {
        struct registers_head head;
        uint32_t name[PAGE_BYTES / sizeof(struct value)];
    } in;
    struct value out[G_N_ELEMENTS(in.name)];
    uint16_t status, bad = HV_STATUS_SUCCESS;

    if (c->reps > G_N_ELEMENTS(out))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    status = hv_call_input(c, &in, sizeof in.head + 4 * c->reps);
    if (!status)
        status = check_head(c, &in.head);
    if (status)
        return status;
    for (; !status && c->done < c->reps; c->done++)
        if (!get(c->cpu, in.name[c->done], &out[c->done])) {
            status = HV_STATUS_INVALID_PARAMETER;
            break;
        }
    if (c->done > c->start)
        bad = hv_call_output(c, 16 * c->start, out + c->start,
                             16 * (c->done - c->start));
    return bad ? bad : status;
}

uint16_t hv_call_set_registers(struct hv_call *c)
{
    struct {
        struct registers_head head;
        struct {
            uint32_t name, reserved[3];
            struct value value;
        } set[(PAGE_BYTES - sizeof(struct registers_head)) / 32];
    } in;
    uint16_t status;

    if (c->reps > G_N_ELEMENTS(in.set))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    status = hv_call_input(c, &in, sizeof in.head + 32 * c->reps);
    if (!status)
        status = check_head(c, &in.head);
    if (status)
        return status;
    for (; c->done < c->reps; c->done++) {
        uint32_t msr = msr_of(in.set[c->done].name);

        if (!msr)
            return HV_STATUS_INVALID_PARAMETER;
        if (!hv_msr_write(c->cpu, msr, in.set[c->done].value.low))
            return HV_STATUS_INVALID_REGISTER_VALUE;
    }
    return HV_STATUS_SUCCESS;
}
