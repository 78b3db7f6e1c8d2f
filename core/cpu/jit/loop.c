/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops without checks.
 *
 * A unit that jumps to its own start is a loop, and most loops walk along
 * arrays.  The check of each access in each iteration is then the same work
 * again and again: an address that moves on by 8 bytes leaves its page once in
 * 512 iterations.  So the way from the start to the first jump back is emitted
 * a second time, without checks, and before it is entered one look at all the
 * pages says how far it may go.
 *
 *     unit:   the prologue                              <----+
 *             jmp  before                                    |
 *     body:   ..., with checks                               |
 *             jcc  unit                                      |
 *     after:  ...                                            |
 *
 *     before: each walk: its page, what to add to addresses, |
 *             how far it is to the page's end;               |
 *             to body if it is not worth it                  |
 *     top:    ..., without checks                            |
 *             jncc after                                     |
 *             cmp  counter, gs:[limit]; jle top  ------------+
 *
 * A loop of few iterations is better off without, so a unit that could have
 * one begins with counting how often it is entered and how often it jumps to
 * its start (loop_probe()), and is made again when that is known.
 *
 * Walks.  The value of each register is followed through one iteration as a
 * sum of registers at its start (struct expr).  A register that is then what
 * it was plus a constant is steady.  An access whose address is a sum of
 * steady registers moves by a constant in each iteration; neighbouring ones
 * with the same registers make one walk.  A walk has a host register, with
 * what has to be added to that operand register which is different in each
 * iteration; so nothing has to be done for it in the loop.  Accesses that are
 * in no walk are checked as usual.
 *
 * Registers.  S1 and S2 are not enough for many walks, but few loops use all
 * guest registers.  Those that are not used are parked in the state for the
 * time, and their host registers serve walks, and guest registers that are
 * usually in the state.  Whatever leaves this code brings them back
 * (loop_unpark(); for faults of the host fault.c).
 *
 * Leaving.  What needs the interpreter (a fault of the host, an access that
 * is checked and misses) goes on in the code with checks, behind the
 * instruction, where the same registers have the same values.  Jumps out of
 * the loop are links.
 *
 * Requests are not looked for between the iterations, unless no walk moves:
 * the limit is a page's worth of iterations.  Nothing can change a TLB entry
 * meanwhile, because others wait for this processor to answer a request, and
 * its own handlers do not come back into this code.  A store into code finds
 * no TLB entry, so it is not in a walk.  In exact mode each iteration is
 * counted, and looks for requests.
 */
#include <glib.h>

#include "cpu/interp/interp.h"
#include "cpu/jit/loop.h"

/* With fewer iterations the way in costs more than the checks. */
#define WORTH 3

/* --- probing ------------------------------------------------------------- */

#define PROBE 8192 /* iterations */
#define SHORT 4    /* ... of a loop that is not worth it, in the mean */

static void emit_count(struct tr *t, const void *at)
{
    static const struct host_mem m = { H_S0, H_NONE, 0, false, 0 };

    emit_mov_imm(&t->e, H_S0, (uint64_t)(uintptr_t)at);
    emit_mi(&t->e, false, ALU_ADD, &m, 1);
}

void loop_probe_entry(struct tr *t)
{
    t->jb->iterations = -PROBE;
    emit_count(t, &t->jb->entries);
}

void loop_probe(struct tr *t, struct stub *out)
{
    emit_count(t, &t->jb->iterations);
    stub_jcc(t, out, CC_NS);
}

bool loop_probed(const struct jit_block *jb)
{
    if (!jb->probe || jb->iterations < 0)
        return false;
    jb->b->loop = jb->entries > PROBE / SHORT ? LOOP_SHORT : LOOP_LONG;
    return true;
}

/* --- before the loop ----------------------------------------------------- */

static void fail_if(struct tr *t, struct loop *l, enum host_cc cc)
{
    l->fail[l->fails++] = emit_jcc(&t->e, cc);
}

/*
 * The register with the value of a term but for its scale; uses tmp.  If it
 * is counted in 32 bits and grows it must not wrap: it is below half of them,
 * and 4096 iterations of STEP_MAX do not get it to the end.
 */
static unsigned emit_term(struct tr *t, struct loop *l, const struct term *m,
                          unsigned tmp)
{
    unsigned reg = reg_use(t, m->reg, tmp);

    if (m->low) {
        emit_lea(&t->e, false, tmp, reg, m->delta);
        reg = tmp;
    }
    if (m->low ? l->step[m->reg] != 0 : l->low[m->reg]) {
        emit_ri(&t->e, true, ALU_CMP, reg, INT32_MAX);
        fail_if(t, l, CC_A);
    }
    return reg;
}

/* reg += e, or reg = e; uses tmp */
static void emit_expr(struct tr *t, struct loop *l, const struct expr *e,
                      unsigned reg, unsigned tmp, bool add)
{
    bool near = e->c == (int32_t)e->c;

    if (!e->terms && !add) {
        emit_mov_imm(&t->e, reg, (uint64_t)e->c);
        return;
    }
    for (unsigned n = 0; n < e->terms; n++) {
        unsigned from = emit_term(t, l, &e->term[n], tmp);
        struct host_mem m = { add ? (uint8_t)reg : H_NONE, (uint8_t)from,
                              e->term[n].scale, false,
                              n + 1 == e->terms && near ? (int32_t)e->c : 0 };

        if (!add && !m.scale) {
            m.base = m.index;
            m.index = H_NONE;
        }
        emit_rm(&t->e, true, 0x8d, reg, &m);
        add = true;
    }
    if (!near) {
        emit_mov_imm(&t->e, tmp, (uint64_t)e->c);
        emit_rr(&t->e, true, 0x03, reg, tmp);
    } else if (!e->terms && e->c) {
        emit_lea(&t->e, true, reg, reg, (int32_t)e->c);
    }
}

/* Does emit_expr() use tmp, at most? */
static bool wants_tmp(const struct expr *e)
{
    for (unsigned n = 0; n < e->terms; n++)
        if (e->term[n].low || host_of[e->term[n].reg] == H_NONE)
            return true;
    return e->c != (int32_t)e->c;
}

/*
 * S0 is the offset of a walk's lowest byte in its page; becomes how far it
 * may go from there, in terms of the counter.  If not all walks keep in step
 * with one (l->equal) it becomes the number of iterations behind the first.
 */
static void emit_iterations(struct tr *t, struct loop *l, const struct walk *w)
{
    uint32_t by = (uint32_t)(w->step < 0 ? -w->step : w->step);
    int shift = l->equal ? 0 : walk_speed(w, l->step[l->counter]);
    struct host_insn multiply = { .op = 0x69,
                                  .reg = H_S0,
                                  .rm = H_S0,
                                  .imm = STEP_MAX / by,
                                  .imm_bytes = 4 };

    if (w->step > 0) {
        emit_insn(&t->e,
                  &(struct host_insn){ .op = 0xf7, .reg = 3, .rm = H_S0 });
        emit_ri(&t->e, false, ALU_ADD, H_S0,
                (int32_t)(PAGE_BYTES - (w->hi - w->lo)));
    }
    if (l->equal && by & (by - 1)) {
        emit_insn(&t->e, &multiply); /* not more than the quotient */
        shift = 16;
    } else if (l->equal) {
        shift = __builtin_ctz(by);
    }
    if (shift)
        emit_shift(&t->e, false, 5, H_S0, (unsigned)shift);
}

/* S0 becomes the least of those of walks up to the nth that moves. */
static void emit_least(struct tr *t, struct loop *l, unsigned nth)
{
    struct host_mem budget = state_mem(offsetof(struct vcpu, jit_budget));

    if (nth > 1) {
        emit_rm(&t->e, false, 0x3b, H_S0, &budget);
        emit_insn(&t->e, &(struct host_insn){ .map = 1,
                                              .op = 0x43, /* cmovae */
                                              .reg = H_S0,
                                              .mem = &budget });
    }
    if (nth < l->moving)
        emit_rm(&t->e, false, 0x89, H_S0, &budget);
}

/* Compares the address in S0 with the page of the walk's slot or of its TLB
 * entry; S0 becomes the offset, and its register what to add to addresses. */
static void emit_page(struct tr *t, struct walk *w)
{
    int32_t table = tlb_table(w->ref.write);
    struct host_mem tlb = state_mem(offsetof(struct vcpu, tlb));
    struct host_mem tag =
        state_mem(offsetof(struct vcpu, slot_tag) + w->slot * sizeof(uint64_t));
    struct host_mem host = { w->reg, H_NONE, 0, false,
                             table + (int)offsetof(struct tlb_entry, host) };

    if (w->lookup) {
        tag = (struct host_mem){ w->reg, H_NONE, 0, false, table };
        emit_rr(&t->e, false, 0x8b, w->reg, H_S0);
        emit_shift(&t->e, false, 5, w->reg, PAGE_SHIFT - 4);
        emit_ri(&t->e, false, ALU_AND, w->reg, (int32_t)(TLB_ENTRIES - 1) << 4);
        emit_rm(&t->e, true, 0x03, w->reg, &tlb);
    }
    emit_rm(&t->e, true, 0x33, H_S0, &tag);
    emit_ri(&t->e, true, ALU_CMP, H_S0,
            (int32_t)(PAGE_BYTES - (w->hi - w->lo)));
    w->miss = emit_jcc(&t->e, CC_A);
    if (wants_tmp(&w->fixed) || w->lookup)
        emit_store(&t->e, true, H_S0, offsetof(struct vcpu, jit_tmp));
    if (w->lookup) {
        emit_rm(&t->e, true, 0x8b, H_S0, &host);
        emit_rm(&t->e, true, 0x2b, H_S0, &tag);
        emit_rr(&t->e, true, 0x8b, w->reg, H_S0);
    } else {
        emit_load(&t->e, true, w->reg,
                  offsetof(struct vcpu, slot_addend) +
                      w->slot * sizeof(uint64_t));
    }
}

static void emit_walk(struct tr *t, struct loop *l, struct walk *w)
{
    struct expr low = expr_plus(w->at, w->lo);

    emit_expr(t, l, &low, H_S0, w->reg, false);
    emit_page(t, w);
    emit_expr(t, l, &w->fixed, w->reg, H_S0, true);
    if (w->step && (wants_tmp(&w->fixed) || w->lookup))
        emit_load(&t->e, true, H_S0, offsetof(struct vcpu, jit_tmp));
}

/* S0 becomes what the counter must not pass, or reach if l->equal. */
static void emit_limit(struct tr *t, struct loop *l)
{
    unsigned counter = host_of[l->counter];
    int32_t step = (int32_t)l->step[l->counter];
    int32_t by = step < 0 ? -step : step;
    bool w = !l->low[l->counter];
    struct host_mem sum = { H_S0, (uint8_t)counter, 0, false, step };

    emit_ri(&t->e, false, ALU_CMP, H_S0, l->equal ? WORTH : by * WORTH);
    fail_if(t, l, CC_B);
    if (l->equal) {
        emit_insn(&t->e, &(struct host_insn){ .w = true,
                                              .op = 0x69,
                                              .reg = H_S0,
                                              .rm = H_S0,
                                              .imm = (uint32_t)step,
                                              .imm_bytes = 4 });
        emit_rm(&t->e, true, 0x8d, H_S0, &sum);
    } else {
        if (step < 0)
            emit_insn(&t->e, &(struct host_insn){
                                 .w = true, .op = 0xf7, .reg = 3, .rm = H_S0 });
        emit_rr(&t->e, w, 0x03, H_S0, counter);
        fail_if(t, l, CC_O);
    }
    emit_store(&t->e, true, H_S0, offsetof(struct vcpu, jit_limit));
}

static void emit_before(struct tr *t, struct loop *l)
{
    struct jit_block *jb = t->jb;
    unsigned moving = 0;

    for (unsigned n = 0; n < jb->parks; n++)
        emit_store(&t->e, true, jb->park[n].host, gpr_at(jb->park[n].guest));
    for (unsigned n = 0; n < l->walks; n++)
        if (!l->walk[n].step)
            emit_walk(t, l, &l->walk[n]);
    for (unsigned n = 0; n < l->walks; n++) {
        if (!l->walk[n].step)
            continue;
        emit_walk(t, l, &l->walk[n]);
        emit_iterations(t, l, &l->walk[n]);
        emit_least(t, l, ++moving);
    }
    if (moving)
        emit_limit(t, l);
    for (unsigned n = 0; n < jb->parks; n++) {
        const struct jit_park *p = &jb->park[n];

        t->home[p->guest] = H_NONE;
        if (p->other == X86_NOREG)
            continue;
        t->home[p->other] = p->host;
        emit_load(&t->e, true, p->host, gpr_at(p->other));
    }
}

/* --- the loop ------------------------------------------------------------ */

bool loop_operand(const struct tr *t, const struct mem_ref *r,
                  struct host_mem *m)
{
    const struct loop *l = t->fast;
    const struct walk *w = &l->walk[0];

    if (l->walk_of[t->k] < 0)
        return false;
    w += l->walk_of[t->k];
    *m = (struct host_mem){ w->reg, H_NONE, 0, false, (int32_t)r->disp };
    if (!has_register(r))
        m->disp = (int32_t)(r->disp - w->ref.disp);
    if (w->var == X86_NOREG)
        return true;
    m->index = t->home[w->var];
    m->scale = w->var == r->base ? 0 : r->scale;
    return true;
}

void loop_clobbers(struct tr *t, unsigned host_reg)
{
    struct loop *l = t->fast;

    for (unsigned n = 0; n < l->walks; n++)
        l->failed |= l->walk[n].reg == host_reg;
}

void loop_unpark(struct tr *t)
{
    for (unsigned n = 0; n < t->jb->parks; n++) {
        const struct jit_park *p = &t->jb->park[n];

        if (p->other != X86_NOREG && p->written)
            emit_store(&t->e, true, p->host, gpr_at(p->other));
        emit_load(&t->e, true, p->host, gpr_at(p->guest));
    }
}

/* Do accesses on both sides of instruction k share a check in the code with
 * checks? */
static bool is_crossed(const struct tr *t, unsigned k)
{
    for (unsigned n = 0; n < t->stubs; n++)
        if (!t->stub[n].fast && t->stub[n].first <= k && t->stub[n].last > k)
            return true;
    return false;
}

/* Out of the loop, behind its jump back. */
static void emit_out(struct tr *t, struct loop *l)
{
    unsigned flags = t->flags_at[l->last];

    if (is_crossed(t, l->last) || l->last + 1 == t->count) {
        exit_to(t, CC_ALWAYS, l->out);
        return;
    }
    if (flags & FLAGS_IN_STATE)
        flags_keep(t);
    if (flags & FLAGS_IN_HOST)
        flags_back(t);
    loop_unpark(t);
    emit_jmp_to(&t->e, t->after[l->last]);
}

static void emit_back(struct tr *t, struct loop *l, const uint8_t *top)
{
    struct host_mem requests = state_mem(offsetof(struct vcpu, requests));
    struct host_mem limit = state_mem(offsetof(struct vcpu, jit_limit));
    uint8_t *out = NULL;

    if (flags_wanted(t))
        flags_back(t);
    if (l->cc != CC_ALWAYS)
        out = emit_jcc(&t->e, l->cc ^ 1);
    if (l->moving) {
        emit_rm(&t->e, !l->low[l->counter], 0x3b, t->home[l->counter], &limit);
        emit_patch(emit_jcc(&t->e, l->equal                  ? CC_NE
                                   : l->step[l->counter] > 0 ? CC_LE
                                                             : CC_GE),
                   top);
    } else {
        emit_mi(&t->e, false, ALU_CMP, &requests, 0);
        emit_patch(emit_jcc(&t->e, CC_E), top);
    }
    loop_unpark(t);
    emit_jmp_to(&t->e, t->loop);
    if (!out)
        return;
    emit_patch(out, t->e.p);
    emit_out(t, l);
}

static void emit_body(struct tr *t, struct loop *l)
{
    const struct jit_part *p = t->jb->part;
    uint8_t *enter = t->exact ? emit_jcc(&t->e, CC_ALWAYS) : NULL;
    const uint8_t *top = t->e.p;

    t->in_host = t->in_state = false;
    t->x87.pending = false;
    windows_close(t);
    t->apart = t->split;
    for (unsigned k = 0; k <= l->last; k++) {
        insn_at(t, k);
        if (p < t->jb->part + t->jb->parts && k == p->first)
            count_part(t, p++);
        if (!k && enter)
            emit_patch(enter, t->e.p); /* counted already */
        if (k == l->last) {
            emit_back(t, l, top);
            return;
        }
        insn_emit(t);
        l->failed |= !t->keep;
        if (l->failed)
            return;
    }
}

static void emit_parked(struct tr *t)
{
    for (unsigned n = 0; n < t->jb->parks; n++)
        emit_load(&t->e, true, t->jb->park[n].host,
                  gpr_at(t->jb->park[n].guest));
}

/* A walk's page is not in its slot. */
static void emit_miss(struct tr *t, const struct walk *w, const uint8_t *before)
{
    struct host_mem tag =
        state_mem(offsetof(struct vcpu, slot_tag) + w->slot * sizeof(uint64_t));
    struct host_mem tired = state_mem(offsetof(struct vcpu, slot_tired));

    emit_patch(w->miss, t->e.p);
    emit_parked(t);
    if (w->lookup) {
        emit_jmp_to(&t->e, t->body);
        return;
    }
    emit_rm(&t->e, true, 0x33, H_S0, &tag);
    emit_mov_imm(&t->e, H_S2, w->slot);
    emit_call_to(&t->e, t->jit->fill[0][w->slot & 1]);
    emit_patch(emit_jcc(&t->e, CC_AE), before);
    emit_insn(&t->e,
              &(struct host_insn){ .op = 0xc7, .mem = &tired, .imm_bytes = 4 });
    emit_jmp_to(&t->e, t->body);
}

/* The way in did not find what it wants: another round with checks. */
static void emit_fail(struct tr *t, struct loop *l)
{
    for (unsigned n = 0; n < l->fails; n++)
        emit_patch(l->fail[n], t->e.p);
    emit_parked(t);
    emit_jmp_to(&t->e, t->body);
}

void loop_emit(struct tr *t)
{
    struct loop *l = t->plan;
    uint8_t saved[offsetof(struct tr, insn)];
    struct emit e = t->e, enter = { t->body - JIT_ENTRY };
    const uint8_t *before = e.p;
    unsigned stubs = t->stubs, faults = t->faults;

    if (!l)
        return;
    memcpy(saved, t, sizeof saved);
    l->failed = l->last >= t->count ||
                stubs + 6 * (l->last + 1) + 16 > MAX_STUBS ||
                faults + 3 * (l->last + 1) > MAX_FAULTS;
    if (!l->failed) {
        emit_before(t, l);
        t->fast = l;
        emit_body(t, l);
        t->fast = NULL;
    }
    if (!l->failed) {
        emit_fail(t, l);
        for (unsigned n = 0; n < l->walks; n++)
            emit_miss(t, &l->walk[n], before);
        emit_jmp_to(&enter, before);
        t->jit->n_loops++;
        e = t->e;
    } else {
        t->stubs = stubs;
        t->faults = faults;
        t->jb->parks = 0;
    }
    g_free(l);
    memcpy(t, saved, sizeof saved);
    t->e = e;
    t->apart = false;
    windows_close(t);
}
