/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop of the software engine.
 *
 * Blocks are executed one after the other; between them, and only there, the
 * loop looks at cpu->requests: everything that has to interrupt the straight
 * run (interrupts, flushes, kicks, single steps) sets a bit in it.  A fault
 * comes back through the one sigsetjmp() of run().
 *
 * From block to block there are three ways: a chain (two successors kept in
 * each block), the jump cache by linear address, the block cache by host
 * address after a translation of rip.  The first two are valid for one TLB
 * generation and one set of mode bits (cpu->key).  On each way the page's
 * code generation is compared, which is how stores into code are noticed.
 */
#include <stddef.h>

#include "cpu/except.h"
#include "cpu/interp/blocks.h"
#include "cpu/interp/engine.h"
#include "cpu/interp/interp.h"
#include "cpu/jit/jit.h"
#include "cpu/mmu.h"
#include "cpu/mode.h"
#include "cpu/sync.h"
#include "irq/lapic.h"
#include "sched/vcpu.h"

_Static_assert(offsetof(struct x86_state, gpr) == 0 &&
                   offsetof(struct x86_state, rip) == X86_RIP * 8,
               "ea() takes rip for register 16");
_Static_assert(offsetof(struct vcpu, st) == 0, "st is first");

/* What attend() found: go on, or leave run(). */
#define GO_ON -1

/* --- finding the next block ---------------------------------------------- */

static void chain(struct vcpu *cpu, struct block *from, uint64_t lin,
                  struct block *to)
{
    unsigned n = from->succ_next;

    from->succ_next = (uint8_t)(n ^ 1);
    from->succ[n] = to;
    from->succ_lin[n] = lin;
    from->succ_key[n] = cpu->key;
}

/* NULL: something has to be attended first. */
static __attribute__((noinline)) struct block *find_block(struct vcpu *cpu,
                                                          struct block *from,
                                                          uint64_t lin)
{
    struct jump_entry *j =
        &cpu->jumps[(lin ^ lin >> JUMP_BITS) & ((1u << JUMP_BITS) - 1)];
    struct block *b;

    if (j->lin == lin && j->key == cpu->key && block_is_valid(j->block)) {
        if (from)
            chain(cpu, from, lin, j->block);
        return j->block;
    }
    /* a fault from here on is one of the fetch, at rip itself */
    cpu->cur = from;
    cpu->fetching = true;
    b = blocks_find(cpu, cpu->long_mode ? lin : (uint32_t)lin);
    cpu->fetching = false;
    from = cpu->cur; /* NULL after a flush of all blocks */
    if (!b || !block_is_valid(b))
        return b;
    *j = (struct jump_entry){ lin, cpu->key, b };
    if (from)
        chain(cpu, from, lin, b);
    return b;
}

/*
 * Some of the block is behind the end of the code segment: how many of its
 * instructions are not.  Raises #GP when it is the first one.
 */
static unsigned inside_segment(struct vcpu *cpu, const struct block *b)
{
    uint64_t at = cpu->st.rip;
    unsigned n;

    for (n = 0; n < b->count; n++) {
        at += b->insn[n].len;
        if (at > cpu->code_end)
            break;
    }
    if (!n) {
        cpu->cur = NULL;
        cpu_gp0(cpu);
    }
    return n;
}

static inline void execute(struct vcpu *cpu, struct block *b, unsigned count)
{
    const struct x86_insn *i = b->insn, *end = i + count;
    uint64_t rip = cpu->st.rip;

    cpu->cur = b;
    cpu->cur_rip = rip;
    cpu->cur_count = count;
    cpu->insns += count;
    do {
        rip += i->len;
        cpu->st.rip = rip;
        i->fn(cpu, i);
    } while (++i != end);
}

/* --- one instruction, with everything that can come with it -------------- */

static void check_breakpoints(struct vcpu *cpu, uint64_t lin)
{
    uint64_t dr7 = cpu->st.dr[7];
    uint32_t hit = 0;

    if ((cpu->st.rflags & FL_RF) || cpu->st.movss_shadow)
        return;
    for (unsigned k = 0; k < 4; k++)
        if ((dr7 >> k * 2 & 3) && !(dr7 >> (16 + k * 4) & 15) &&
            cpu->st.dr[k] == lin)
            hit |= 1u << k;
    if (hit) {
        cpu->cur = NULL;
        except_debug_fault(cpu, hit);
    }
}

static bool needs_steps(struct vcpu *cpu)
{
    return (cpu->st.rflags & (FL_TF | FL_RF)) || cpu->bp_enabled ||
           cpu->st.sti_shadow || cpu->st.movss_shadow || cpu->db_pending;
}

/*
 * Executes one instruction.  Shadows of the one before end with it, RF too;
 * a trap it causes is left in db_pending.
 */
static void step(struct vcpu *cpu)
{
    uint64_t rip = cpu->st.rip & cpu->rip_mask;
    uint64_t lin = cpu->fast[SEG_CS].base + rip;
    bool trap = cpu->st.rflags & FL_TF;
    struct block *b;

    cpu->st.rip = rip;
    if (cpu->bp_enabled)
        check_breakpoints(cpu, lin);
    b = find_block(cpu, NULL, lin);
    if (!b)
        return;
    if (rip + b->bytes > cpu->code_end)
        inside_segment(cpu, b);
    cpu->st.sti_shadow = 0;
    cpu->st.movss_shadow = 0;
    cpu->st.rflags &= ~(uint64_t)FL_RF;
    cpu->no_step = false;
    execute(cpu, b, 1);
    if (trap && !cpu->st.movss_shadow && !cpu->no_step)
        cpu->db_pending |= DB_STEP;
}

/* --- between blocks ------------------------------------------------------ */

static void clear_request(struct vcpu *cpu, uint32_t req)
{
    __atomic_fetch_and(&cpu->requests, ~req, __ATOMIC_SEQ_CST);
}

/* STI keeps NMIs off for an instruction, too, as many processors do. */
static void take_nmi(struct vcpu *cpu)
{
    uint32_t req =
        __atomic_fetch_and(&cpu->requests, ~(uint32_t)(REQ_NMI | REQ_NMI_AGAIN),
                           __ATOMIC_SEQ_CST);

    if (cpu->st.nmi_blocked || cpu->st.activity == X86_WAIT_SIPI) {
        cpu->st.nmi_pending = 1;
    } else if (cpu->st.movss_shadow || cpu->st.sti_shadow) {
        cpu_attend(cpu, req & (REQ_NMI | REQ_NMI_AGAIN));
    } else {
        cpu->st.nmi_pending = (req & REQ_NMI_AGAIN) != 0;
        cpu->st.activity = X86_RUNNING;
        except_nmi(cpu);
    }
}

/* INIT, SIPI, SMI and NMI, in the order of their priority.  SDM 3A 6.9 */
static void take_signals(struct vcpu *cpu, uint32_t req)
{
    /* there is no system-management mode to enter, see docs/limits.md */
    if (req & REQ_SMI)
        clear_request(cpu, REQ_SMI);
    if (req & REQ_INIT) {
        clear_request(cpu, REQ_INIT);
        lapic_take_init(cpu);
    }
    if (req & REQ_SIPI) {
        clear_request(cpu, REQ_SIPI);
        lapic_take_sipi(cpu);
    }
    if (req & REQ_NMI)
        take_nmi(cpu);
}

static void take_interrupt(struct vcpu *cpu)
{
    int vector;

    clear_request(cpu, REQ_INTR);
    cpu->intr_waiting = false;
    if (cpu->st.activity == X86_WAIT_SIPI)
        return;
    if (!(cpu->st.rflags & FL_IF) || cpu->st.sti_shadow ||
        cpu->st.movss_shadow) {
        cpu->intr_waiting = lapic_has_interrupt(cpu);
        if (cpu->intr_waiting && (cpu->st.rflags & FL_IF))
            cpu_attend(cpu, REQ_INTR); /* only the shadow is in the way */
        return;
    }
    vector = lapic_ack(cpu);
    if (vector < 0)
        return;
    if (lapic_has_interrupt(cpu))
        cpu->intr_waiting = true;
    cpu->st.activity = X86_RUNNING;
    except_external(cpu, (unsigned)vector);
}

static void take_pending_event(struct vcpu *cpu)
{
    struct x86_state *st = &cpu->st;

    st->event_pending = 0;
    cpu->cur = NULL;
    event_deliver(cpu, st->event_vector, EVENT_FAULT, st->event_has_error,
                  st->event_error);
}

static int attend(struct vcpu *cpu)
{
    uint32_t req = __atomic_load_n(&cpu->requests, __ATOMIC_SEQ_CST);

    cpu->cur = NULL;
    if (req & REQ_TLB)
        sync_process(cpu);
    if (req & REQ_BLOCKS) {
        clear_request(cpu, REQ_BLOCKS);
        blocks_flush(cpu);
    }
    if (req & REQ_LATE_CODE)
        code_late_check(cpu);
    if (req & REQ_CODE)
        jit_code_hits(cpu);
    if (cpu->st.event_pending)
        take_pending_event(cpu);
    if (cpu->db_pending && !cpu->st.movss_shadow &&
        cpu->st.activity <= X86_HALTED) {
        uint32_t dr6 = cpu->db_pending;

        cpu->db_pending = 0;
        cpu->st.activity = X86_RUNNING; /* HLT was traced */
        except_debug_trap(cpu, dr6);
    }
    /* not earlier: the trap is no part of the state that can be saved */
    if (req & REQ_KICK) {
        clear_request(cpu, REQ_KICK);
        return cpu->failed ? ACCEL_ERROR : ACCEL_KICKED;
    }
    if (req & (REQ_INIT | REQ_SIPI | REQ_NMI | REQ_SMI))
        take_signals(cpu, req);
    if (req & REQ_INTR)
        take_interrupt(cpu);
    if (cpu->st.activity != X86_RUNNING) {
        clear_request(cpu, REQ_SLOW);
        return cpu->st.activity == X86_SHUTDOWN ? ACCEL_SHUTDOWN : ACCEL_HALTED;
    }
    if (req & REQ_SLOW) {
        if (!needs_steps(cpu))
            clear_request(cpu, REQ_SLOW);
        else if (cpu->insns >= cpu->insn_limit)
            return ACCEL_BUDGET;
        else
            step(cpu);
    }
    return GO_ON;
}

/* --- the loop ------------------------------------------------------------ */

static enum accel_exit run_blocks(struct vcpu *cpu)
{
    struct block *b = NULL;

    for (;;) {
        uint64_t rip, lin;
        struct block *next;
        unsigned count;

        if (unlikely(__atomic_load_n(&cpu->requests, __ATOMIC_RELAXED))) {
            int exit = attend(cpu);

            if (exit != GO_ON)
                return (enum accel_exit)exit;
            b = NULL;
            continue;
        }
        rip = cpu->st.rip & cpu->rip_mask;
        cpu->st.rip = rip;
        lin = cpu->fast[SEG_CS].base + rip;
        next = NULL;
        if (likely(b)) {
            if (b->succ_lin[0] == lin && b->succ_key[0] == cpu->key)
                next = b->succ[0];
            else if (b->succ_lin[1] == lin && b->succ_key[1] == cpu->key)
                next = b->succ[1];
        }
        if (unlikely(!next || !block_is_valid(next))) {
            next = find_block(cpu, b, lin);
            if (!next) {
                b = NULL;
                continue;
            }
        }
        count = next->count;
        if (unlikely(rip + next->bytes > cpu->code_end))
            count = inside_segment(cpu, next);
        if (unlikely(cpu->insns + count > cpu->insn_limit)) {
            count = (unsigned)(cpu->insn_limit - cpu->insns);
            if (cpu->insns >= cpu->insn_limit)
                return ACCEL_BUDGET;
        }
        if (cpu->jit && count == next->count && jit_execute(cpu, next)) {
            b = NULL;
            continue;
        }
        execute(cpu, next, count);
        b = cpu->cur;
    }
}

enum accel_exit interp_run(struct vcpu *cpu, uint64_t budget,
                           uint64_t *executed)
{
    enum accel_exit exit;

    cpu->insn_start = cpu->insns;
    cpu->insn_limit = budget ? cpu->insns + budget : ~0ull;
    guest_enter(cpu);
    cpu->delivering = false;
    cpu->fetching = false;
    cpu->cur = NULL;
    if (cpu->st.activity != X86_RUNNING)
        cpu_attend(cpu, REQ_SLOW);
    if (sigsetjmp(cpu->jump, 0) && !except_handle(cpu)) {
        cpu->delivering = false;
        cpu->st.activity = X86_SHUTDOWN;
        cpu_attend(cpu, REQ_SLOW);
    }
    /* vectors were saved before anything could be raised */
    cpu->vec_live &= VEC_LIVE_X87;
    exit = run_blocks(cpu);
    x87_here(cpu);
    if (cpu->late_count)
        code_late_check(cpu);
    guest_leave(cpu);
    *executed += cpu->insns - cpu->insn_start;
    cpu->insn_start = cpu->insns;
    return exit;
}
