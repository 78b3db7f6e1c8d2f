/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --jit=check: every run of translated code is compared with what the
 * interpreter makes of the same instructions.
 *
 * A window begins where the run loop would enter translated code:
 *
 *  1. The interpreter executes up to CHECK_WINDOW instructions in the shadow
 *     (shadow.c), until something that must not be done twice.
 *  2. Registers are set back; translated code runs for real, linked as
 *     always, with that number as its limit: it counts instructions as in
 *     deterministic mode (but without that mode's flags).
 *  3. If it left earlier, as it may between any two blocks, the interpreter
 *     repeats that many instructions, from the pages as they were.
 *  4. Registers, what follows from them (modes, segments), the fault that
 *     ended the window, and all pages that the interpreter wrote to have to
 *     be equal.
 *
 * Then the machine goes on with what translated code left, or the fault is
 * raised.  What could not be compared is executed once, by the interpreter,
 * and counted.
 *
 * Flags that are dead at the end of a window may differ.  They are dead only
 * if nobody looks at them, so the interpreter begins the next window with the
 * right ones and translated code with its own: if they were not dead,
 * something else differs soon.
 *
 * Where an instruction leaves flags undefined the two may differ; what reads
 * them then is not compared.
 *
 * Not seen: a store of translated code to a page that the interpreter does
 * not write to.  One processor only: others would write to memory meanwhile.
 */
#include "cpu/jit/check.h"

#include <string.h>

#include "cpu/interp/blocks.h"
#include "cpu/interp/interp.h"
#include "cpu/jit/translate.h"
#include "cpu/mode.h"
#include "cpu/sync.h"
#include "cpu/table.h"

/* --- attempts ------------------------------------------------------------ */

/* What sigsetjmp() returned: 0, 1 for a fault, SHADOW_JUMP. */
static int attempt(struct vcpu *cpu, void run(struct vcpu *cpu))
{
    int how = sigsetjmp(cpu->jump, 0);

    if (!how)
        run(cpu);
    cpu->vec_live &= VEC_LIVE_X87;
    x87_here(cpu);
    return how;
}

static void note_modes(const struct vcpu *cpu, struct check_outcome *o)
{
    memcpy(o->fast, cpu->fast, sizeof o->fast);
    o->code_end = cpu->code_end;
    o->rip_mask = cpu->rip_mask;
    o->cpl = cpu->cpl;
    o->deny = cpu->deny;
    o->mode = cpu->mode;
    o->sp_size = cpu->sp_size;
}

/*
 * Where it came out.  The instruction that raised something is counted, as
 * except_handle() does; one that left the shadow is not.
 */
static void note_outcome(struct vcpu *cpu, int how, struct check_outcome *o)
{
    const struct x86_insn *i = NULL;
    unsigned done;

    if (how && cpu->bus_locked)
        bus_unlock(cpu);
    if (how && !cpu->fetching && !cpu->delivering)
        i = blocks_current(cpu, &done);
    if (i) {
        cpu->insns -= cpu->cur_count - done - (how == 1);
        cpu->st.rip = (cpu->st.rip - i->len) & cpu->rip_mask;
    } else if (cpu->delivering) {
        cpu->insns--;
    }
    cpu->fetching = false;
    cpu->delivering = false;
    cpu->cur = NULL;
    o->fault = how == 1;
    o->vector = cpu->exc_vector;
    o->has_error = cpu->exc_has_error;
    o->error = cpu->exc_error;
    o->st = cpu->st;
    o->insns = cpu->insns - cpu->jit->check->base;
    note_modes(cpu, o);
}

/* All but what the timer's thread may change at any time. */
static void set_state(struct vcpu *cpu, const struct x86_state *st)
{
    const size_t at = offsetof(struct x86_state, tsc_deadline);
    const size_t behind = at + sizeof st->tsc_deadline;

    memcpy(&cpu->st, st, at);
    memcpy((uint8_t *)&cpu->st + behind, (const uint8_t *)st + behind,
           sizeof *st - behind);
    cpu->cur = NULL;
    mode_segments(cpu);
    mode_deny(cpu);
}

/* --- the interpreter ----------------------------------------------------- */

/* A task switch changes the address space, and half of it is done then. */
static bool may_switch_task(const struct vcpu *cpu)
{
    return is_protected(cpu) && !cpu->long_mode;
}

static bool is_once(const struct vcpu *cpu, const struct x86_insn *i)
{
    const char *h = x86_rows[i->row].handler;

    if (cpu->jit->check->once[i->row])
        return true;
    if (!(i->flags & X86_I_END) || !may_switch_task(cpu))
        return false;
    if (!strcmp(h, "iret"))
        return cpu->st.rflags & FL_NT;
    return !strncmp(h, "int", 3) || !strncmp(h, "call_far", 8) ||
           !strncmp(h, "jmp_far", 7);
}

/* Does it read flags that an instruction before left undefined? */
static bool is_unsure(struct check *c, const struct x86_insn *i)
{
    const struct x86_row *row = &x86_rows[i->row];

    if (!c->unsure && !c->undefined[i->row])
        return false;
    if (c->unsure & row->fl_read)
        return true;
    c->unsure &= ~(flags_killed(i) & ~row->fl_undefined);
    c->unsure |= row->fl_undefined & FL_ARITH;
    return false;
}

/* Instructions of the block that may be done here. */
static unsigned harmless(struct vcpu *cpu, const struct block *b,
                         unsigned count)
{
    struct check *c = cpu->jit->check;

    for (unsigned n = 0; n < count; n++) {
        if (is_once(cpu, &b->insn[n])) {
            c->skip = SKIP_SYSTEM;
            return n;
        }
        if (is_unsure(c, &b->insn[n])) {
            c->skip = SKIP_FLAGS;
            return n;
        }
    }
    return count;
}

static struct block *block_here(struct vcpu *cpu)
{
    uint64_t rip = cpu->st.rip & cpu->rip_mask;
    uint64_t lin = cpu->fast[SEG_CS].base + rip;
    struct block *b;

    cpu->st.rip = rip;
    cpu->cur = NULL;
    cpu->fetching = true;
    b = blocks_find(cpu, cpu->long_mode ? lin : (uint32_t)lin);
    cpu->fetching = false;
    return b && rip + b->bytes <= cpu->code_end ? b : NULL;
}

static void interpret_block(struct vcpu *cpu, struct block *b, unsigned count)
{
    uint64_t rip = cpu->st.rip;

    cpu->cur = b;
    cpu->cur_rip = rip;
    cpu->cur_count = count;
    cpu->insns += count;
    for (const struct x86_insn *i = b->insn; i < b->insn + count; i++) {
        rip += i->len;
        cpu->st.rip = rip;
        i->fn(cpu, i);
    }
}

/* Until insn_limit, in the shadow. */
static void interpret(struct vcpu *cpu)
{
    struct check *c = cpu->jit->check;

    while (cpu->insns < cpu->insn_limit) {
        uint64_t room = cpu->insn_limit - cpu->insns;
        struct block *b = block_here(cpu);
        uint32_t unsure = c->unsure;
        unsigned count;

        c->skip = SKIP_REQUEST;
        if (!b)
            return;
        count = harmless(cpu, b, b->count);
        /* translated code begins no block that it cannot end */
        if (!count || (c->tracing && count > room)) {
            c->unsure = unsure;
            return;
        }
        if (c->tracing && c->traced < CHECK_TRACE)
            c->trace[c->traced++] =
                (struct check_block){ cpu->st.rip, cpu->insns - c->base };
        interpret_block(cpu, b, count < room ? count : (unsigned)room);
        if (cpu->requests & REQ_SLOW)
            return;
    }
}

/* Own requests that were made in the shadow are made again outside. */
static void drop_requests(struct vcpu *cpu, uint32_t before)
{
    if (cpu->late_count)
        code_late_check(cpu);
    if (cpu->requests & ~before & REQ_CODE)
        jit_code_hits(cpu);
    if (!(before & REQ_SLOW))
        __atomic_fetch_and(&cpu->requests, ~REQ_SLOW, __ATOMIC_SEQ_CST);
    cpu->db_pending = 0;
}

static enum check_skip skip_of(const struct shadow *s, enum check_skip other)
{
    switch (s->stop) {
    case STOP_DEVICE: return SKIP_DEVICE;
    case STOP_ROOM: return SKIP_ROOM;
    default: return other;
    }
}

void check_interpret(struct vcpu *cpu, uint64_t n)
{
    struct check *c = cpu->jit->check;
    struct shadow *s = c->shadow;
    uint32_t requests = cpu->requests;
    struct x86_state st = c->before;
    int how;

    c->unsure = 0;
    shadow_rewind(s);
    if (st.rip == c->true_rip && (st.rflags & FL_ARITH) == c->real_flags)
        st.rflags = (st.rflags & ~(uint64_t)FL_ARITH) | c->true_flags;
    set_state(cpu, &st);
    cpu->insns = c->base;
    cpu->insn_limit = c->base + n;
    shadow_begin(cpu, s);
    how = attempt(cpu, interpret);
    if (how == 1 && cpu->fetching)
        how = SHADOW_JUMP; /* it belongs to the next window */
    if (how == 1 && (cpu->delivering || (s->walking && s->pages))) {
        how = SHADOW_JUMP;
        c->skip = SKIP_FAULT;
    }
    note_outcome(cpu, how, &c->ref);
    c->ref.cut = how == SHADOW_JUMP;
    shadow_end(cpu, s);
    drop_requests(cpu, requests);
    c->skip = skip_of(s, c->skip);
    if (shadow_has_code(s)) {
        c->ref.insns = 0;
        c->skip = SKIP_CODE;
    }
}

/* --- the translator ------------------------------------------------------ */

static void run_code(struct vcpu *cpu)
{
    struct check *c = cpu->jit->check;

    while (cpu->insns < c->stop_at) {
        struct block *b;

        if (__atomic_load_n(&cpu->requests, __ATOMIC_RELAXED))
            return;
        b = block_here(cpu);
        if (!b || cpu->insns + b->count > cpu->insn_limit || !jit_enter(cpu, b))
            return;
    }
}

void check_translated(struct vcpu *cpu, uint64_t n)
{
    struct check *c = cpu->jit->check;
    /* with room for the block that raises the fault, to be entered */
    uint64_t room = c->ref.fault ? CHECK_WINDOW : 0;

    set_state(cpu, &c->before);
    cpu->insns = c->base;
    c->stop_at = c->base + n;
    cpu->insn_limit = c->stop_at + room;
    if (cpu->insn_limit > c->limit)
        cpu->insn_limit = c->limit;
    note_outcome(cpu, attempt(cpu, run_code), &c->jit);
}

/* --- comparison ---------------------------------------------------------- */

static bool same_state(const struct x86_state *a, const struct x86_state *b)
{
    struct x86_state x = *a;

    x.rflags = (x.rflags & ~(uint64_t)FL_ARITH) | (b->rflags & FL_ARITH);
    x.tsc_deadline = b->tsc_deadline;
    return !memcmp(&x, b, sizeof x);
}

static bool same_modes(const struct check_outcome *a,
                       const struct check_outcome *b)
{
    return !memcmp(a->fast, b->fast, sizeof a->fast) &&
           a->code_end == b->code_end && a->rip_mask == b->rip_mask &&
           a->cpl == b->cpl && a->deny == b->deny && a->mode == b->mode &&
           a->sp_size == b->sp_size;
}

static bool same_fault(const struct check_outcome *a,
                       const struct check_outcome *b)
{
    if (a->fault != b->fault)
        return false;
    return !a->fault || (a->vector == b->vector &&
                         a->has_error == b->has_error && a->error == b->error);
}

static bool same_memory(const struct shadow *s)
{
    for (unsigned n = 0; n < s->pages; n++)
        if (memcmp(s->page[n].now, s->page[n].host, PAGE_BYTES))
            return false;
    return true;
}

bool check_is_same(const struct check *c)
{
    return c->ref.insns == c->jit.insns && same_fault(&c->ref, &c->jit) &&
           same_state(&c->ref.st, &c->jit.st) && same_modes(&c->ref, &c->jit) &&
           same_memory(c->shadow);
}

/* --- a window ------------------------------------------------------------ */

/* Mostly long ones, for speed; but links must not hide what is at entries. */
static uint64_t window(struct check *c, const struct block *b)
{
    uint64_t room = c->limit - c->base, n;

    c->random = c->random * 1664525 + 1013904223;
    n = b->count + (c->random >> 30 ? CHECK_WINDOW : c->random >> 22);
    return n < room ? n : room;
}

/* Nothing was done: the interpreter has to do it, if its block is still there.
 */
static bool give_back(struct vcpu *cpu, struct block *b, uint64_t flushes)
{
    struct check *c = cpu->jit->check;

    if (__atomic_load_n(&cpu->requests, __ATOMIC_RELAXED))
        c->skip = SKIP_REQUEST;
    c->n_skipped[c->skip]++;
    set_state(cpu, &c->before);
    cpu->insns = c->base;
    return cpu->jit->n_flushes != flushes || b->dead;
}

static void keep_flags(struct check *c)
{
    uint32_t ref = (uint32_t)c->ref.st.rflags & FL_ARITH;
    uint32_t jit = (uint32_t)c->jit.st.rflags & FL_ARITH;

    c->true_rip = c->jit.st.rip;
    c->true_flags = (ref & ~c->unsure) | (jit & c->unsure);
    c->real_flags = jit;
}

static void go_on(struct vcpu *cpu)
{
    struct check *c = cpu->jit->check;
    const struct check_outcome *o = &c->jit;

    c->n_windows++;
    c->n_blocks += c->traced;
    c->n_insns += o->insns;
    keep_flags(c);
    set_state(cpu, &o->st);
    cpu->insns = c->base + o->insns;
    cpu->insn_limit = c->limit;
    if (!o->fault)
        return;
    c->n_faults++;
    cpu->exc_vector = o->vector;
    cpu->exc_has_error = o->has_error;
    cpu->exc_error = o->error;
    siglongjmp(cpu->jump, 1);
}

static void fail(struct vcpu *cpu)
{
    struct check *c = cpu->jit->check;

    check_report(cpu);
    memcpy(&cpu->jump, &c->outer, sizeof c->outer);
    set_state(cpu, &c->before);
    cpu->insns = c->base;
    cpu->insn_limit = c->limit;
    cpu->failed = true;
    cpu_attend(cpu, REQ_KICK);
}

bool check_execute(struct vcpu *cpu, struct block *b)
{
    struct check *c = cpu->jit->check;
    uint64_t flushes;

    if (!jit_code_for(cpu, b))
        return false;
    flushes = cpu->jit->n_flushes;
    memcpy(&c->outer, &cpu->jump, sizeof c->outer);
    x87_here(cpu);
    c->before = cpu->st;
    c->base = cpu->insns;
    c->limit = cpu->insn_limit;
    c->traced = 0;
    c->tracing = true;
    shadow_clear(c->shadow);
    check_interpret(cpu, window(c, b));
    c->tracing = false;
    if (shadow_is_stale(c->shadow)) {
        c->ref.insns = 0;
        c->ref.fault = false;
        c->skip = SKIP_TABLES;
    }
    c->jit.insns = 0;
    c->jit.fault = false;
    if (c->ref.insns || c->ref.fault)
        check_translated(cpu, c->ref.insns);
    if (c->jit.insns && !c->jit.fault &&
        (c->jit.insns < c->ref.insns || c->ref.cut)) {
        c->n_again++;
        check_interpret(cpu, c->jit.insns);
    }
    memcpy(&cpu->jump, &c->outer, sizeof c->outer);
    cpu->insn_limit = c->limit;
    if (!c->jit.insns && !c->jit.fault)
        return give_back(cpu, b, flushes);
    if (check_is_same(c))
        go_on(cpu);
    else
        fail(cpu);
    return true;
}

/* --- creation, counters -------------------------------------------------- */

/* What changes from one time to the next, or more than st holds. */
static bool is_once_row(const struct x86_row *row)
{
    static const char *const again[] = { "swapgs", "clts", "sysret",
                                         "sysexit" };
    static const char *const once[] = { "rdtsc",  "rdtscp", "rdrand",
                                        "rdseed", "rdpmc",  "cpuid" };

    for (unsigned n = 0; n < G_N_ELEMENTS(again); n++)
        if (!strcmp(row->mnemonic, again[n]))
            return false;
    for (unsigned n = 0; n < G_N_ELEMENTS(once); n++)
        if (!strcmp(row->mnemonic, once[n]))
            return true;
    return row->attrs & (X86_A_CPL0 | X86_A_IO);
}

struct check *check_new(void)
{
    struct check *c = g_try_malloc0(sizeof *c);

    if (!c)
        return NULL;
    c->shadow = shadow_new();
    c->once = g_try_malloc0(2 * x86_row_count * sizeof *c->once);
    if (!c->shadow || !c->once) {
        check_free(c);
        return NULL;
    }
    c->undefined = c->once + x86_row_count;
    for (unsigned n = 1; n < x86_row_count; n++) {
        c->once[n] = is_once_row(&x86_rows[n]);
        c->undefined[n] = x86_rows[n].fl_undefined & FL_ARITH;
    }
    c->random = 1;
    return c;
}

void check_free(struct check *c)
{
    if (!c)
        return;
    shadow_free(c->shadow);
    g_free(c->once);
    g_free(c);
}

void check_counters(const struct check *c, accel_counter_fn *put, void *opaque)
{
    static const char *const skipped[SKIP_COUNT] = {
        [SKIP_DEVICE] = "not compared: device",
        [SKIP_SYSTEM] = "not compared: system instruction",
        [SKIP_FLAGS] = "not compared: undefined flags",
        [SKIP_CODE] = "not compared: code written",
        [SKIP_TABLES] = "not compared: page tables written",
        [SKIP_FAULT] = "not compared: fault after stores",
        [SKIP_ROOM] = "not compared: many pages",
        [SKIP_REQUEST] = "not compared: request",
    };

    put(opaque, "check", "windows compared", c->n_windows);
    put(opaque, "check", "blocks compared", c->n_blocks);
    put(opaque, "check", "instructions compared", c->n_insns);
    put(opaque, "check", "faults compared", c->n_faults);
    put(opaque, "check", "windows interpreted twice", c->n_again);
    for (unsigned n = 0; n < SKIP_COUNT; n++)
        put(opaque, "check", skipped[n], c->n_skipped[n]);
}
