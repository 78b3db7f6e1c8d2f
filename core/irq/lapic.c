/* SPDX-License-Identifier: Apache-2.0 */
#include "irq/lapic.h"

#include <glib.h>
#include <string.h>

#include "cpu/mode.h"
#include "cpu/sync.h"
#include "cpu/tsc.h"
#include "cpu/vcpu.h"
#include "hv/hv.h"
#include "irq/lapic_regs.h"
#include "sched/vcpu.h"
#include "vm/vm.h"

static const struct lapic_state lapic_power_on = {
    .dfr = 0xffffffffu,
    .svr = 0xff,
    .lvt_timer = LVT_MASKED,
    .lvt_thermal = LVT_MASKED,
    .lvt_perf = LVT_MASKED,
    .lvt_lint0 = LVT_MASKED,
    .lvt_lint1 = LVT_MASKED,
    .lvt_error = LVT_MASKED,
};

/*
 * Senders on other threads look at a target's registers while its own thread
 * may write them; which value they get is a race in the guest.
 */
#define REG(a, name) __atomic_load_n(&(a)->st.name, __ATOMIC_RELAXED)

static uint64_t base(const struct lapic *a)
{
    return __atomic_load_n(&a->cpu->st.apic_base, __ATOMIC_RELAXED);
}

static bool is_enabled(const struct lapic *a)
{
    return base(a) & APIC_BASE_ENABLE;
}

static bool is_x2(const struct lapic *a)
{
    return base(a) & APIC_BASE_X2APIC;
}

static bool is_accepting(const struct lapic *a)
{
    return is_enabled(a) && (REG(a, svr) & SVR_ENABLE);
}

static uint64_t now(const struct lapic *a)
{
    return virtual_now(a->cpu);
}

/* --- bit vectors of 256 -------------------------------------------------- */

static void bit_set(uint32_t *v, unsigned n)
{
    __atomic_fetch_or(&v[n / 32], 1u << n % 32, __ATOMIC_SEQ_CST);
}

static void bit_clear(uint32_t *v, unsigned n)
{
    __atomic_fetch_and(&v[n / 32], ~(1u << n % 32), __ATOMIC_SEQ_CST);
}

static bool bit_test(const uint32_t *v, unsigned n)
{
    return __atomic_load_n(&v[n / 32], __ATOMIC_SEQ_CST) >> n % 32 & 1;
}

static int bit_highest(const uint32_t *v)
{
    for (int w = 7; w >= 0; w--) {
        uint32_t bits = __atomic_load_n(&v[w], __ATOMIC_SEQ_CST);

        if (bits)
            return w * 32 + 31 - __builtin_clz(bits);
    }
    return -1;
}

/* --- priorities ---------------------------------------------------------- */

static unsigned ppr(const struct lapic *a)
{
    int isr = bit_highest(a->st.isr);
    unsigned tpr = REG(a, tpr) & 0xff;

    if (isr < 0 || (tpr & 0xf0) >= ((unsigned)isr & 0xf0))
        return tpr;
    return (unsigned)isr & 0xf0;
}

/* SDM 3A 10.8.3.1: the vector's class must be above the PPR's. */
static int deliverable(const struct lapic *a)
{
    int irr = bit_highest(a->st.irr);

    if (irr < 0 || ((unsigned)irr & 0xf0) <= (ppr(a) & 0xf0))
        return -1;
    return irr;
}

/* May the PIC's interrupt pass?  Virtual wire through LINT0, or directly
 * when the APIC is off. */
static bool has_extint(const struct lapic *a)
{
    uint32_t lint0 = REG(a, lvt_lint0);

    if (!__atomic_load_n(&a->st.extint_line, __ATOMIC_SEQ_CST))
        return false;
    if (!is_enabled(a))
        return true;
    return !(lint0 & LVT_MASKED) && LVT_MODE(lint0) == APIC_EXTINT;
}

bool lapic_has_interrupt(struct vcpu *cpu)
{
    const struct lapic *a = cpu->lapic;

    return has_extint(a) || (is_accepting(a) && deliverable(a) >= 0);
}

static void attend(struct lapic *a)
{
    if (lapic_has_interrupt(a->cpu))
        __atomic_fetch_or(&a->cpu->requests, REQ_INTR, __ATOMIC_SEQ_CST);
}

static int ack_pic(struct vcpu *cpu)
{
    struct vm *vm = cpu->vm;
    int vector;

    if (!vm->pic_ack)
        return -1;
    guest_leave(cpu);
    vector = vm->pic_ack(vm->pic_opaque);
    guest_enter(cpu);
    return vector;
}

int lapic_ack(struct vcpu *cpu)
{
    struct lapic *a = cpu->lapic;
    int vector = -1;

    if (is_accepting(a))
        vector = deliverable(a);
    if (vector >= 0) {
        bit_clear(a->st.irr, (unsigned)vector);
        if (!bit_test(a->auto_eoi, (unsigned)vector))
            bit_set(a->st.isr, (unsigned)vector);
        return vector;
    }
    return has_extint(a) ? ack_pic(cpu) : -1;
}

void lapic_eoi(struct lapic *a)
{
    struct vm *vm = a->cpu->vm;
    int vector = bit_highest(a->st.isr);

    if (vector < 0)
        return;
    bit_clear(a->st.isr, (unsigned)vector);
    if (bit_test(a->st.tmr, (unsigned)vector) && vm->ioapic_eoi) {
        guest_leave(a->cpu);
        vm->ioapic_eoi(vm->ioapic_opaque, (uint8_t)vector);
        guest_enter(a->cpu);
    }
    attend(a);
}

void lapic_set_auto_eoi(struct lapic *a, const uint32_t vectors[8])
{
    memcpy(a->auto_eoi, vectors, sizeof a->auto_eoi);
}

/* --- acceptance: [any] --------------------------------------------------- */

static void error_set(struct lapic *a, uint32_t bit);

static void accept_fixed(struct lapic *a, uint8_t vector, bool level)
{
    if (vector < 16) {
        error_set(a, ESR_RECV_VECTOR);
        return;
    }
    if (level)
        bit_set(a->st.tmr, vector);
    else
        bit_clear(a->st.tmr, vector);
    bit_set(a->st.irr, vector);
    vcpu_request(a->cpu, REQ_INTR);
}

/* A second one before the first was delivered is not lost: a processor takes
 * the first at once and keeps the second until that one's IRET. */
static void accept_nmi(struct lapic *a)
{
    uint32_t *requests = &a->cpu->requests;
    uint32_t old = __atomic_load_n(requests, __ATOMIC_SEQ_CST), add;

    do {
        add = old & REQ_NMI ? REQ_NMI_AGAIN : REQ_NMI;
    } while (!__atomic_compare_exchange_n(requests, &old, old | add, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    vcpu_request(a->cpu, 0);
}

static void accept(struct lapic *a, unsigned mode, uint8_t vector, bool level)
{
    switch (mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        if (is_accepting(a))
            accept_fixed(a, vector, level);
        break;
    case APIC_SMI: vcpu_request(a->cpu, REQ_SMI); break;
    case APIC_NMI: accept_nmi(a); break;
    case APIC_INIT: /* a start-up message before it is void */
        __atomic_fetch_and(&a->cpu->requests, ~REQ_SIPI, __ATOMIC_SEQ_CST);
        vcpu_request(a->cpu, REQ_INIT);
        break;
    case APIC_STARTUP:
        __atomic_store_n(&a->st.sipi_vector, vector, __ATOMIC_RELAXED);
        vcpu_request(a->cpu, REQ_SIPI);
        break;
    case APIC_EXTINT: /* an I/O APIC pin that carries the PIC */
        vcpu_intr_line(a->cpu->vm, true);
        break;
    }
}

void lapic_inject(struct lapic *a, uint8_t vector)
{
    accept(a, APIC_FIXED, vector, false);
}

static void error_set(struct lapic *a, uint32_t bit)
{
    __atomic_fetch_or(&a->st.esr_pending, bit, __ATOMIC_SEQ_CST);
    if (!(a->st.lvt_error & LVT_MASKED) && (a->st.lvt_error & 0xff) >= 16)
        accept_fixed(a, (uint8_t)a->st.lvt_error, false);
}

static bool matches_logical(const struct lapic *a, uint32_t dest)
{
    uint32_t ldr = REG(a, ldr);

    if (is_x2(a))
        return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff);
    if (REG(a, dfr) >> 28 == 0xf)
        return dest & ldr >> 24;
    /* cluster model: four bits each of cluster and member */
    return ((dest & 0xf0) == 0xf0 || (dest & 0xf0) == (ldr >> 24 & 0xf0)) &&
           (dest & ldr >> 24 & 0x0f);
}

static bool matches(const struct lapic *a, uint32_t dest, bool logical)
{
    bool broadcast = is_x2(a) ? dest == 0xffffffffu : (dest & 0xff) == 0xff;

    if (broadcast)
        return true;
    if (logical)
        return matches_logical(a, dest);
    return dest == REG(a, id);
}

/* Of all that match, the one with the lowest priority; ties go round. */
static void deliver_lowest(struct vm *vm, uint32_t dest, bool logical,
                           uint8_t vector, bool level)
{
    struct lapic *best = NULL;

    for (unsigned n = 0; n < vm->vcpu_count; n++) {
        struct lapic *a = vm->vcpus[(n + vector) % vm->vcpu_count]->lapic;

        if (!is_accepting(a) || !matches(a, dest, logical))
            continue;
        if (!best || ppr(a) < ppr(best))
            best = a;
    }
    if (best)
        accept(best, APIC_LOWEST, vector, level);
}

void apic_deliver(struct vm *vm, uint32_t dest, bool logical, unsigned mode,
                  uint8_t vector, bool level)
{
    if (mode == APIC_LOWEST) {
        deliver_lowest(vm, dest, logical, vector, level);
        return;
    }
    for (unsigned n = 0; n < vm->vcpu_count; n++)
        if (matches(vm->vcpus[n]->lapic, dest, logical))
            accept(vm->vcpus[n]->lapic, mode, vector, level);
}

void vcpu_intr_line(struct vm *vm, bool level)
{
    struct lapic *a;

    if (!vm->vcpu_count)
        return;
    a = vm->vcpus[0]->lapic;
    __atomic_store_n(&a->st.extint_line, level, __ATOMIC_SEQ_CST);
    if (level)
        vcpu_request(a->cpu, REQ_INTR);
}

/* The board's NMI comes in at LINT1. */
void vcpu_nmi(struct vm *vm)
{
    for (unsigned n = 0; n < vm->vcpu_count; n++) {
        struct lapic *a = vm->vcpus[n]->lapic;
        uint32_t lint1 = REG(a, lvt_lint1);

        if (is_enabled(a) ? !(lint1 & LVT_MASKED) && LVT_MODE(lint1) == APIC_NMI
                          : n == 0)
            accept_nmi(a);
    }
}

void vcpu_smi(struct vm *vm)
{
    for (unsigned n = 0; n < vm->vcpu_count; n++)
        vcpu_request(vm->vcpus[n], REQ_SMI);
}

/* --- inter-processor interrupts ------------------------------------------ */

void lapic_icr_write(struct lapic *a, uint64_t icr)
{
    struct vm *vm = a->cpu->vm;
    uint32_t dest = is_x2(a) ? (uint32_t)(icr >> 32) : (uint32_t)(icr >> 56);
    unsigned mode = icr >> 8 & 7, shorthand = icr >> 18 & 3;
    uint8_t vector = (uint8_t)icr;
    bool level = icr >> 15 & 1, assert = icr >> 14 & 1;

    a->st.icr = icr & ~(uint64_t)ICR_PENDING;
    /* INIT level de-assert only synchronised arbitration IDs */
    if (mode == APIC_INIT && level && !assert)
        return;
    if ((mode == APIC_FIXED || mode == APIC_LOWEST) && vector < 16) {
        error_set(a, ESR_SEND_VECTOR);
        return;
    }
    if (shorthand == ICR_NONE) {
        apic_deliver(vm, dest, icr >> 11 & 1, mode, vector, false);
        return;
    }
    for (unsigned n = 0; n < vm->vcpu_count; n++) {
        struct lapic *to = vm->vcpus[n]->lapic;

        if (shorthand == ICR_SELF ? to == a : shorthand == ICR_ALL || to != a)
            accept(to, mode, vector, false);
    }
}

uint64_t lapic_icr_read(const struct lapic *a)
{
    return a->st.icr;
}

uint8_t lapic_tpr_read(const struct lapic *a)
{
    return (uint8_t)a->st.tpr;
}

void lapic_tpr_write(struct lapic *a, uint8_t value)
{
    a->st.tpr = value;
    attend(a);
}

/* --- timer --------------------------------------------------------------- */

uint64_t lapic_timer_hz(void)
{
    return NS_PER_SEC / APIC_TICK_NS;
}

static unsigned divide_shift(const struct lapic *a)
{
    unsigned d = (a->st.timer_divide & 3) | (a->st.timer_divide >> 1 & 4);

    return (d + 1) & 7;
}

static uint64_t period(const struct lapic *a)
{
    uint64_t ns =
        ((uint64_t)a->st.timer_init << divide_shift(a)) * APIC_TICK_NS;

    /* a guest must not be able to keep the timer thread busy */
    return ns < APIC_MIN_PERIOD_NS ? APIC_MIN_PERIOD_NS : ns;
}

static void timer_set(struct lapic *a, uint64_t deadline)
{
    a->st.timer_deadline = deadline;
    if (!deadline) {
        timer_cancel(a->timer);
        return;
    }
    timer_arm(a->timer, deadline);
    turn_until(a->cpu, deadline);
}

static void timer_interrupt(struct lapic *a, uint32_t lvt)
{
    if (!(lvt & LVT_MASKED))
        accept(a, APIC_FIXED, (uint8_t)lvt, false);
}

/* [timer thread]; lock protects the timer's registers */
static void timer_fired(void *opaque)
{
    struct lapic *a = opaque;
    uint32_t lvt;
    bool fire;

    pthread_mutex_lock(&a->lock);
    lvt = a->st.lvt_timer;
    fire = a->st.timer_deadline && now(a) >= a->st.timer_deadline;
    if (fire && LVT_TIMER_MODE(lvt) == TIMER_PERIODIC && a->st.timer_init) {
        uint64_t next = a->st.timer_deadline + period(a);

        /* late by more than a period: skip what was missed */
        if (next < now(a))
            next = now(a) + period(a);
        a->st.timer_start = next - period(a);
        timer_set(a, next);
    } else if (fire) {
        a->st.timer_deadline = 0;
        a->cpu->st.tsc_deadline = 0;
    }
    pthread_mutex_unlock(&a->lock);
    if (fire)
        timer_interrupt(a, lvt);
}

static void timer_start(struct lapic *a)
{
    pthread_mutex_lock(&a->lock);
    a->st.timer_start = now(a);
    timer_set(a, a->st.timer_init ? a->st.timer_start + period(a) : 0);
    pthread_mutex_unlock(&a->lock);
}

static uint32_t timer_count(struct lapic *a)
{
    uint64_t t, left;
    unsigned mode = LVT_TIMER_MODE(a->st.lvt_timer);

    if (mode == TIMER_DEADLINE || !a->st.timer_deadline)
        return 0;
    t = now(a);
    if (t >= a->st.timer_deadline)
        return 0;
    left = (a->st.timer_deadline - t) / APIC_TICK_NS >> divide_shift(a);
    return left > a->st.timer_init ? a->st.timer_init : (uint32_t)left;
}

/* [vcpu thread] */
void lapic_deadline_write(struct lapic *a, uint64_t tsc)
{
    uint32_t lvt = a->st.lvt_timer;
    bool past = tsc && (int64_t)(tsc_shown(a->cpu) - tsc) >= 0;

    if (LVT_TIMER_MODE(lvt) != TIMER_DEADLINE)
        return;
    if (past)
        tsc = 0;
    pthread_mutex_lock(&a->lock);
    a->cpu->st.tsc_deadline = tsc;
    timer_set(a, tsc ? tsc_to_virtual(a->cpu, tsc) | 1 : 0);
    pthread_mutex_unlock(&a->lock);
    if (past)
        timer_interrupt(a, lvt);
}

uint64_t lapic_deadline_read(struct lapic *a)
{
    uint64_t v;

    pthread_mutex_lock(&a->lock);
    v = a->cpu->st.tsc_deadline;
    pthread_mutex_unlock(&a->lock);
    return v;
}

static void timer_lvt_write(struct lapic *a, uint32_t value)
{
    pthread_mutex_lock(&a->lock);
    /* SDM 3A 10.5.4.1: to or from TSC-deadline mode disarms */
    if ((LVT_TIMER_MODE(value) == TIMER_DEADLINE) !=
        (LVT_TIMER_MODE(a->st.lvt_timer) == TIMER_DEADLINE)) {
        a->cpu->st.tsc_deadline = 0;
        timer_set(a, 0);
    }
    a->st.lvt_timer = value;
    pthread_mutex_unlock(&a->lock);
}

/* --- registers ----------------------------------------------------------- */

static uint32_t lvt_disabled(const struct lapic *a, uint32_t value)
{
    return a->st.svr & SVR_ENABLE ? value : value | LVT_MASKED;
}

static void svr_write(struct lapic *a, uint32_t value)
{
    struct lapic_state *st = &a->st;

    st->svr = value & 0x3ff;
    if (st->svr & SVR_ENABLE) {
        attend(a);
        return;
    }
    st->lvt_timer |= LVT_MASKED;
    st->lvt_thermal |= LVT_MASKED;
    st->lvt_perf |= LVT_MASKED;
    st->lvt_lint0 |= LVT_MASKED;
    st->lvt_lint1 |= LVT_MASKED;
    st->lvt_error |= LVT_MASKED;
}

static uint32_t reg_read(struct lapic *a, unsigned reg)
{
    const struct lapic_state *st = &a->st;

    switch (reg) {
    case APIC_ID: return is_x2(a) ? st->id : st->id << 24;
    case APIC_VERSION: return 0x00050014; /* 6 LVTs */
    case APIC_TPR: return st->tpr;
    case APIC_APR: return 0;
    case APIC_PPR: return ppr(a);
    case APIC_LDR: return st->ldr;
    case APIC_DFR: return st->dfr;
    case APIC_SVR: return st->svr;
    case APIC_ISR ... APIC_ISR + 7: return st->isr[reg - APIC_ISR];
    case APIC_TMR ... APIC_TMR + 7: return st->tmr[reg - APIC_TMR];
    case APIC_IRR ... APIC_IRR + 7: return st->irr[reg - APIC_IRR];
    case APIC_ESR: return st->esr;
    case APIC_ICR: return (uint32_t)st->icr;
    case APIC_ICR_HIGH: return (uint32_t)(st->icr >> 32);
    case APIC_LVT_TIMER: return st->lvt_timer;
    case APIC_LVT_THERMAL: return st->lvt_thermal;
    case APIC_LVT_PERF: return st->lvt_perf;
    case APIC_LVT_LINT0: return st->lvt_lint0;
    case APIC_LVT_LINT1: return st->lvt_lint1;
    case APIC_LVT_ERROR: return st->lvt_error;
    case APIC_TIMER_INIT: return st->timer_init;
    case APIC_TIMER_COUNT: return timer_count(a);
    case APIC_TIMER_DIV: return st->timer_divide;
    }
    error_set(a, ESR_ILLEGAL_REG);
    return 0;
}

static void reg_write(struct lapic *a, unsigned reg, uint32_t value)
{
    struct lapic_state *st = &a->st;

    switch (reg) {
    case APIC_ID: st->id = value >> 24; break;
    case APIC_TPR:
        st->tpr = value & 0xff;
        attend(a);
        break;
    case APIC_EOI: lapic_eoi(a); break;
    case APIC_LDR: st->ldr = value & 0xff000000u; break;
    case APIC_DFR: st->dfr = value | 0x0fffffffu; break;
    case APIC_SVR: svr_write(a, value); break;
    case APIC_ESR: /* a write latches what came up since */
        st->esr = __atomic_exchange_n(&st->esr_pending, 0, __ATOMIC_SEQ_CST);
        break;
    case APIC_ICR:
        lapic_icr_write(a, (st->icr & 0xffffffff00000000ull) | value);
        break;
    case APIC_ICR_HIGH:
        st->icr = (uint32_t)st->icr | (uint64_t)value << 32;
        break;
    case APIC_LVT_TIMER:
        timer_lvt_write(a, lvt_disabled(a, value & 0x700ff));
        break;
    case APIC_LVT_THERMAL:
        st->lvt_thermal = lvt_disabled(a, value & 0x107ff);
        break;
    case APIC_LVT_PERF: st->lvt_perf = lvt_disabled(a, value & 0x107ff); break;
    case APIC_LVT_LINT0:
        st->lvt_lint0 = lvt_disabled(a, value & 0x1a7ff);
        attend(a);
        break;
    case APIC_LVT_LINT1:
        st->lvt_lint1 = lvt_disabled(a, value & 0x1a7ff);
        break;
    case APIC_LVT_ERROR:
        st->lvt_error = lvt_disabled(a, value & 0x100ff);
        break;
    case APIC_TIMER_INIT:
        if (LVT_TIMER_MODE(st->lvt_timer) == TIMER_DEADLINE)
            break;
        st->timer_init = value;
        timer_start(a);
        break;
    case APIC_TIMER_DIV: st->timer_divide = value & 0xb; break;
    default: error_set(a, ESR_ILLEGAL_REG);
    }
}

/* Registers are 32 bits wide, one every 16 bytes. */
uint64_t lapic_mmio_read(struct lapic *a, unsigned offset, unsigned size)
{
    uint64_t v;

    if ((offset & 15) >= 4)
        return 0;
    v = reg_read(a, offset >> 4);
    v >>= (offset & 3) * 8;
    return size < 4 ? v & ((1u << size * 8) - 1) : v;
}

void lapic_mmio_write(struct lapic *a, unsigned offset, uint64_t value,
                      unsigned size)
{
    /* narrower writes are undefined (SDM 3A 10.4.1); they are ignored */
    if ((offset & 15) || size < 4)
        return;
    reg_write(a, offset >> 4, (uint32_t)value);
}

/* Registers that x2APIC mode does not have, or that are read-only there */
static bool x2_has(unsigned reg, bool write)
{
    switch (reg) {
    case APIC_ID:
    case APIC_VERSION:
    case APIC_PPR:
    case APIC_LDR:
    case APIC_ISR ... APIC_ISR + 7:
    case APIC_TMR ... APIC_TMR + 7:
    case APIC_IRR ... APIC_IRR + 7:
    case APIC_TIMER_COUNT: return !write;
    case APIC_EOI:
    case APIC_SELF_IPI: return write;
    case APIC_TPR:
    case APIC_SVR:
    case APIC_ESR:
    case APIC_ICR:
    case APIC_LVT_TIMER:
    case APIC_LVT_THERMAL:
    case APIC_LVT_PERF:
    case APIC_LVT_LINT0:
    case APIC_LVT_LINT1:
    case APIC_LVT_ERROR:
    case APIC_TIMER_INIT:
    case APIC_TIMER_DIV: return true;
    }
    return false;
}

bool lapic_msr_read(struct lapic *a, uint32_t msr, uint64_t *value)
{
    unsigned reg = msr - 0x800;

    if (!is_enabled(a) || !is_x2(a) || !x2_has(reg, false))
        return false;
    *value = reg == APIC_ICR ? a->st.icr : reg_read(a, reg);
    return true;
}

bool lapic_msr_write(struct lapic *a, uint32_t msr, uint64_t value)
{
    unsigned reg = msr - 0x800;

    if (!is_enabled(a) || !is_x2(a) || !x2_has(reg, true))
        return false;
    if (reg == APIC_ICR) {
        lapic_icr_write(a, value);
        return true;
    }
    if (value >> 32 || (reg == APIC_EOI && value) || (reg == APIC_ESR && value))
        return false;
    if (reg == APIC_SELF_IPI)
        accept_fixed(a, (uint8_t)value, false);
    else
        reg_write(a, reg, (uint32_t)value);
    return true;
}

/* --- base, CR8 ----------------------------------------------------------- */

static uint32_t x2_ldr(uint32_t id)
{
    return (id >> 4) << 16 | 1u << (id & 15);
}

bool lapic_base_write(struct vcpu *cpu, uint64_t value)
{
    struct lapic *a = cpu->lapic;
    uint64_t old = cpu->st.apic_base;
    bool was_x2 = old & APIC_BASE_X2APIC, x2 = value & APIC_BASE_X2APIC;
    bool on = value & APIC_BASE_ENABLE;

    if ((value & ~cpu->phys_mask & ~0xfffull) || (value & 0x2ff))
        return false;
    if (x2 && (!on || !x86_has(&cpu->model->features, X86_F_x2apic)))
        return false;
    /* from x2APIC the way leads only through "off"; and not from off */
    if (was_x2 && on && !x2)
        return false;
    if (!(old & APIC_BASE_ENABLE) && x2)
        return false;
    cpu->st.apic_base =
        (value & ~(uint64_t)APIC_BASE_BSP) | (old & APIC_BASE_BSP);
    if (!on && (old & APIC_BASE_ENABLE))
        lapic_reset(a, true);
    if (x2 && !was_x2) {
        a->st.id = cpu->index;
        a->st.ldr = x2_ldr(a->st.id);
    }
    __atomic_fetch_or(&cpu->requests, REQ_INTR, __ATOMIC_SEQ_CST);
    return true;
}

unsigned lapic_cr8_read(struct lapic *a)
{
    return a->st.tpr >> 4 & 15;
}

void lapic_cr8_write(struct lapic *a, unsigned value)
{
    a->st.tpr = value << 4;
    attend(a);
}

/* --- life ---------------------------------------------------------------- */

struct lapic *lapic_create(struct vcpu *cpu)
{
    struct lapic *a = g_new0(struct lapic, 1);
    char name[24];

    a->cpu = cpu;
    pthread_mutex_init(&a->lock, NULL);
    g_snprintf(name, sizeof name, "lapic%u", cpu->index);
    a->name = g_strdup(name);
    a->timer = timer_create_on(cpu->vm->clocks, CLOCK_VIRTUAL, NULL, a->name,
                               timer_fired, a);
    lapic_reset(a, false);
    return a;
}

void lapic_destroy(struct lapic *a)
{
    if (!a)
        return;
    timer_destroy(a->timer);
    pthread_mutex_destroy(&a->lock);
    g_free(a->name);
    g_free(a);
}

void lapic_reset(struct lapic *a, bool init)
{
    uint8_t line = a->st.extint_line, sipi = a->st.sipi_vector;
    uint32_t id = init ? a->st.id : a->cpu->index;

    timer_cancel(a->timer);
    pthread_mutex_lock(&a->lock);
    a->st = lapic_power_on;
    a->st.id = id;
    /* LINT0 as the PC's firmware expects it when the APIC is left alone:
     * virtual wire of the boot processor (MP 1.4, 3.6.2.2) */
    if (!init && a->cpu->index == 0)
        a->st.lvt_lint0 = APIC_EXTINT << 8;
    if (init) {
        a->st.extint_line = line;
        a->st.sipi_vector = sipi; /* may have come already */
    }
    pthread_mutex_unlock(&a->lock);
}

/* SDM 3A 8.4: INIT leaves the boot processor running at the reset vector and
 * the others waiting for a start-up message. */
void lapic_take_init(struct vcpu *cpu)
{
    vcpu_reset(cpu, true);
}

void lapic_take_sipi(struct vcpu *cpu)
{
    struct x86_segment *cs = &cpu->st.seg[SEG_CS];
    unsigned page = cpu->lapic->st.sipi_vector;

    if (cpu->vm->hv && hv_take_start(cpu))
        return;
    if (cpu->st.activity != X86_WAIT_SIPI)
        return;
    cs->selector = (uint16_t)(page << 8);
    cs->base = page << 12;
    cpu->st.rip = 0;
    cpu->st.activity = X86_RUNNING;
    mode_segment(cpu, SEG_CS);
}

#define SIGNALS (REQ_NMI | REQ_NMI_AGAIN | REQ_SMI | REQ_INIT | REQ_SIPI)

struct lapic_state *lapic_get_state(struct lapic *a)
{
    a->st.signals =
        __atomic_load_n(&a->cpu->requests, __ATOMIC_SEQ_CST) & SIGNALS;
    return &a->st;
}

void lapic_loaded(struct lapic *a)
{
    pthread_mutex_lock(&a->lock);
    a->st.id &= is_x2(a) ? 0xffffffffu : 0xff;
    timer_set(a, a->st.timer_deadline);
    pthread_mutex_unlock(&a->lock);
    vcpu_request(a->cpu, REQ_INTR | (a->st.signals & SIGNALS));
}

const struct bp_field lapic_state_fields[] = {
    BP_FIELD(struct lapic_state, id, "id"),
    BP_FIELD(struct lapic_state, tpr, "tpr"),
    BP_FIELD(struct lapic_state, ldr, "ldr"),
    BP_FIELD(struct lapic_state, dfr, "dfr"),
    BP_FIELD(struct lapic_state, svr, "svr"),
    BP_FIELD(struct lapic_state, esr, "esr"),
    BP_FIELD(struct lapic_state, esr_pending, "esr-pending"),
    BP_FIELD_ARRAY(struct lapic_state, isr, "isr"),
    BP_FIELD_ARRAY(struct lapic_state, tmr, "tmr"),
    BP_FIELD_ARRAY(struct lapic_state, irr, "irr"),
    BP_FIELD(struct lapic_state, icr, "icr"),
    BP_FIELD(struct lapic_state, lvt_timer, "lvt-timer"),
    BP_FIELD(struct lapic_state, lvt_thermal, "lvt-thermal"),
    BP_FIELD(struct lapic_state, lvt_perf, "lvt-perf"),
    BP_FIELD(struct lapic_state, lvt_lint0, "lvt-lint0"),
    BP_FIELD(struct lapic_state, lvt_lint1, "lvt-lint1"),
    BP_FIELD(struct lapic_state, lvt_error, "lvt-error"),
    BP_FIELD(struct lapic_state, timer_init, "timer-init"),
    BP_FIELD(struct lapic_state, timer_divide, "timer-divide"),
    BP_FIELD(struct lapic_state, timer_start, "timer-start"),
    BP_FIELD(struct lapic_state, timer_deadline, "timer-deadline"),
    BP_FIELD(struct lapic_state, extint_line, "extint-line"),
    BP_FIELD(struct lapic_state, sipi_vector, "sipi-vector"),
    BP_FIELD(struct lapic_state, signals, "signals"),
    BP_FIELD_END
};
