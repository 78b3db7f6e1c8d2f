/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops without checks: which accesses of a loop are walks, and what register
 * each has.  The essay is in loop.c.
 */
#include <glib.h>

#include "cpu/interp/interp.h"
#include "cpu/jit/loop.h"

#define WALK_SPAN 1024 /* from the lowest to the highest byte */
/* So fast it gets to the next page too soon for a slot. */
#define LOOKUP_STEP 64

/* --- values -------------------------------------------------------------- */

static struct expr expr_of(unsigned reg)
{
    return (struct expr){ .known = true,
                          .terms = 1,
                          .term = { { .reg = (uint8_t)reg } } };
}

static struct expr expr_const(int64_t c)
{
    return (struct expr){ .known = true, .c = c };
}

static struct expr expr_add(struct expr a, const struct expr *b)
{
    if (!a.known || !b->known || a.terms + b->terms > TERMS)
        return (struct expr){ .known = false };
    for (unsigned n = 0; n < b->terms; n++)
        a.term[a.terms++] = b->term[n];
    a.c = (int64_t)((uint64_t)a.c + (uint64_t)b->c);
    return a;
}

static struct expr expr_shift(struct expr a, unsigned by)
{
    for (unsigned n = 0; n < a.terms; n++) {
        a.term[n].scale = (uint8_t)(a.term[n].scale + by);
        a.known &= a.term[n].scale <= 3;
    }
    a.c = (int64_t)((uint64_t)a.c << by);
    return a;
}

/* What a 32-bit instruction makes of it. */
static struct expr expr_low(struct expr a)
{
    if (a.terms != 1 || a.term[0].scale || a.c != (int32_t)a.c)
        return (struct expr){ .known = false };
    a.term[0].delta = (int32_t)((uint32_t)a.term[0].delta + (uint32_t)a.c);
    a.term[0].low = true;
    a.c = 0;
    return a;
}

static bool same_terms(const struct expr *a, const struct expr *b)
{
    if (a->terms != b->terms)
        return false;
    for (unsigned n = 0; n < a->terms; n++)
        if (a->term[n].reg != b->term[n].reg ||
            a->term[n].scale != b->term[n].scale ||
            a->term[n].low != b->term[n].low ||
            a->term[n].delta != b->term[n].delta)
            return false;
    return true;
}

static struct expr value_of(const struct loop *l, unsigned guest)
{
    return guest == X86_NOREG ? expr_const(0) : l->reg[guest];
}

/* What an instruction without a memory operand gives, and to which register;
 * X86_NOREG: something else. */
static struct expr result(const struct loop *l, const struct x86_insn *i,
                          uint8_t *to)
{
    const struct x86_row *row = &x86_rows[i->row];
    unsigned n = i->modrm >> 3 & 7;
    struct expr e;

    *to = X86_NOREG;
    if (row->vex || row->map != 0 || i->osz < 4)
        return (struct expr){ .known = false };
    if (row->opcode == 0x8d) {
        *to = i->reg;
        if (i->base == X86_RIP)
            return (struct expr){ .known = false };
        e = expr_shift(value_of(l, i->index), i->scale);
        return expr_plus(expr_add(value_of(l, i->base), &e), i->disp);
    }
    if (i->flags & X86_I_MEM)
        return (struct expr){ .known = false };
    *to = i->rm;
    switch (row->opcode) {
    case 0x89: return l->reg[i->reg];
    case 0x8b: *to = i->reg; return l->reg[i->rm];
    case 0x01: return expr_add(l->reg[i->rm], &l->reg[i->reg]);
    case 0x03: *to = i->reg; return expr_add(l->reg[i->reg], &l->reg[i->rm]);
    case 0x05:
    case 0x2d:
        *to = RAX;
        return expr_plus(l->reg[RAX], row->opcode == 0x05 ? (int64_t)i->imm
                                                          : -(int64_t)i->imm);
    case 0x81:
    case 0x83:
        if (n == 0 || n == 5)
            return expr_plus(l->reg[i->rm],
                             n ? -(int64_t)i->imm : (int64_t)i->imm);
        break;
    case 0xc1:
        if (n == 4 && i->imm <= 3)
            return expr_shift(l->reg[i->rm], (unsigned)i->imm);
        break;
    case 0xff:
        if (n < 2)
            return expr_plus(l->reg[i->rm], n ? -1 : 1);
        break;
    }
    *to = X86_NOREG;
    return (struct expr){ .known = false };
}

static void execute(struct loop *l, const struct x86_insn *i,
                    const struct loop_insn *li)
{
    uint8_t to;
    struct expr e = result(l, i, &to);

    if (i->osz == 4)
        e = expr_low(e);
    for (unsigned n = 0; n < 16; n++)
        if (li->written >> n & 1)
            l->reg[n].known = false;
    if (to != X86_NOREG && li->written >> to & 1)
        l->reg[to] = e;
}

/* --- the plan ------------------------------------------------------------ */

static bool is_jump(const struct x86_row *row)
{
    if (row->jit != X86_JIT_BRANCH)
        return false;
    return row->map == 1 ? (row->opcode & 0xf0) == 0x80
                         : (row->opcode & 0xf0) == 0x70 ||
                               row->opcode == 0xe9 || row->opcode == 0xeb;
}

/* Looks at all instructions; false: one of them cannot be here. */
static bool look(struct tr *t, struct loop *l)
{
    for (unsigned n = 0; n < 16; n++)
        l->reg[n] = expr_of(n);
    for (unsigned k = 0; k <= l->last; k++) {
        insn_at(t, k);
        if (is_jump(t->row)) {
            l->insn[k] = (struct loop_insn){ .mem = false };
            continue;
        }
        if (t->i->flags & X86_I_END || !loop_insn(t, &l->insn[k]))
            return false;
        l->used |= l->insn[k].used;
        execute(l, t->i, &l->insn[k]);
    }
    for (unsigned n = 0; n < 16; n++) {
        const struct expr *e = &l->reg[n];
        const struct term *m = &e->term[0];

        l->steady[n] = e->known && e->terms == 1 && m->reg == n && !m->scale;
        l->low[n] = m->low;
        l->step[n] = m->low ? m->delta : e->c;
        if (m->low && e->c)
            l->steady[n] = false;
        if (l->step[n] > STEP_MAX || l->step[n] < -STEP_MAX)
            l->steady[n] = false;
    }
    return true;
}

/* By how much it changes in an iteration; false: that is not known, or
 * nothing although its parts do: without an end one of them might wrap. */
static bool step_of(const struct loop *l, const struct expr *e, int64_t *step)
{
    bool moves = false;

    *step = 0;
    if (!e->known)
        return false;
    for (unsigned n = 0; n < e->terms; n++) {
        const struct term *m = &e->term[n];

        if (!l->steady[m->reg])
            return false;
        /* see emit_term() */
        if ((m->low || l->low[m->reg]) && l->step[m->reg] < 0)
            return false;
        *step += l->step[m->reg] * (1 << m->scale);
        moves |= l->step[m->reg] != 0;
    }
    return !moves || *step;
}

/* Its operands apart: what changes, what stays. */
static bool walk_operands(const struct loop *l, struct walk *w)
{
    const struct mem_ref *r = &w->ref;
    struct expr base = value_of(l, r->base);
    struct expr index = expr_shift(value_of(l, r->index), r->scale);
    int64_t of_base, of_index;

    if (!step_of(l, &base, &of_base) || !step_of(l, &index, &of_index) ||
        (of_base && of_index))
        return false;
    w->var = of_base ? r->base : of_index ? r->index : X86_NOREG;
    w->fixed = of_base ? index : of_index ? base : expr_add(base, &index);
    if (!has_register(r))
        w->fixed.c = r->disp;
    w->at = expr_plus(expr_add(base, &index), r->disp);
    w->hi = r->n;
    return step_of(l, &w->at, &w->step) && w->fixed.known &&
           (w->step != 0 || w->var == X86_NOREG) && w->step <= PAGE_BYTES &&
           w->step >= -(int64_t)PAGE_BYTES &&
           (w->var == X86_NOREG || r->disp == (int32_t)r->disp);
}

static bool joins(struct walk *w, const struct walk *v)
{
    int64_t from = v->at.c - w->at.c, to = from + v->hi;
    int64_t lo = from < w->lo ? from : w->lo, hi = to > w->hi ? to : w->hi;

    if (w->ref.base != v->ref.base || w->ref.index != v->ref.index ||
        w->ref.scale != v->ref.scale || w->var != v->var ||
        !same_terms(&w->at, &v->at) || !same_terms(&w->fixed, &v->fixed) ||
        (has_register(&w->ref) && w->fixed.c != v->fixed.c) ||
        hi - lo > WALK_SPAN)
        return false;
    w->lo = lo;
    w->hi = hi;
    w->ref.write |= v->ref.write;
    return true;
}

static bool is_plain(const struct mem_ref *r)
{
    return r->asz == 8 && r->seg != SEG_FS && r->seg != SEG_GS;
}

static int8_t walk_find(struct loop *l, const struct mem_ref *r)
{
    struct walk w = { .ref = *r };

    if (!is_plain(r) || !walk_operands(l, &w))
        return -1;
    for (unsigned n = 0; n < l->walks; n++)
        if (joins(&l->walk[n], &w))
            return (int8_t)n;
    if (l->walks == WALKS)
        return -1;
    l->walk[l->walks] = w;
    l->moving += w.step != 0;
    return (int8_t)l->walks++;
}

static void find_walks(struct tr *t, struct loop *l)
{
    for (unsigned n = 0; n < 16; n++)
        l->reg[n] = expr_of(n);
    for (unsigned k = 0; k <= l->last; k++) {
        const struct loop_insn *li = &l->insn[k];

        l->walk_of[k] = li->mem ? walk_find(l, &li->ref) : -1;
        l->checked |= li->mem && l->walk_of[k] < 0;
        execute(l, t->insn[k], li);
    }
}

/* Registers that no instruction has without saying so. */
#define PARKABLE                                                           \
    (1u << RBX | 1u << RSP | 1u << RBP | 1u << RSI | 1u << RDI | 1u << 8 | \
     1u << 9 | 1u << 12 | 1u << 13)

/* A host register that is free in the loop, or H_NONE. */
static uint8_t park(struct tr *t, struct loop *l, unsigned other)
{
    struct jit_block *jb = t->jb;
    struct jit_park *p = &jb->park[jb->parks];

    for (unsigned n = 0; n < 16; n++) {
        if (l->used >> n & 1 || !(PARKABLE >> n & 1))
            continue;
        if (jb->parks == JIT_PARKS)
            return H_NONE;
        l->used |= 1u << n;
        jb->parks++;
        *p = (struct jit_park){ .host = host_of[n],
                                .guest = (uint8_t)n,
                                .other = (uint8_t)other };
        for (unsigned k = 0; other != X86_NOREG && k <= l->last; k++)
            p->written |= l->insn[k].written >> other & 1;
        return host_of[n];
    }
    return H_NONE;
}

#define IN_STATE (1u << 10 | 1u << 11 | 1u << 14 | 1u << 15)

static bool promote(struct tr *t, struct loop *l, unsigned guest)
{
    for (unsigned n = 0; n < t->jb->parks; n++)
        if (t->jb->park[n].other == guest)
            return true;
    return park(t, l, guest) != H_NONE;
}

/* Is there an instruction with two registers that are in the state? */
static bool wants_s1(const struct loop *l)
{
    for (unsigned k = 0; k <= l->last; k++) {
        uint32_t used = l->insn[k].used & IN_STATE;

        if (used & (used - 1))
            return true;
    }
    return false;
}

static bool assign(struct tr *t, struct loop *l)
{
    uint32_t in_state = l->used & IN_STATE;
    bool s1 = !wants_s1(l), s2 = !l->checked;

    for (unsigned n = 0; n < l->walks; n++) {
        unsigned var = l->walk[n].var;

        if (var != X86_NOREG && host_of[var] == H_NONE && !promote(t, l, var))
            return false;
    }
    for (unsigned n = 0; n < l->walks; n++) {
        struct walk *w = &l->walk[n];

        w->reg = s2 ? H_S2 : s1 ? H_S1 : park(t, l, X86_NOREG);
        if (w->reg == H_NONE)
            return false;
        w->lookup = w->step >= LOOKUP_STEP || w->step <= -LOOKUP_STEP;
        w->slot = (uint16_t)slot_for_walk(t, w->ref.write);
        if (s2)
            s2 = false;
        else
            s1 = false;
    }
    for (unsigned n = 0; n < 16; n++)
        if (in_state >> n & 1)
            promote(t, l, n);
    return true;
}

int walk_speed(const struct walk *w, int64_t step)
{
    for (int k = 0; k <= 3; k++)
        if (w->step == step * (1 << k))
            return k;
    return -1;
}

/* A register that tells the iterations; at best one that all walks keep in
 * step with. */
static bool find_counter(struct loop *l)
{
    l->equal = true;
    for (unsigned n = 16; n-- > 0;) {
        bool good = true;

        if (!l->steady[n] || !l->step[n] || host_of[n] == H_NONE)
            continue;
        for (unsigned k = 0; k < l->walks; k++)
            good &=
                !l->walk[k].step || walk_speed(&l->walk[k], l->step[n]) >= 0;
        if (l->equal || good)
            l->counter = (uint8_t)n;
        l->equal &= !good;
    }
    return !l->moving || l->step[l->counter];
}

static bool is_always(const struct x86_row *row)
{
    return row->map == 0 && row->opcode >= 0xe0;
}

static uint64_t jump_target(const struct tr *t)
{
    return jump_trunc(t->next + t->i->imm, t->i->osz);
}

/* The jump back: when, and where to otherwise.  False: it always does. */
static bool find_end(struct tr *t, struct loop *l)
{
    l->out = jump_target(t);
    if (is_always(t->row)) {
        l->cc = CC_ALWAYS;
        return true;
    }
    l->cc = t->row->opcode & 15;
    if (l->out == t->jb->rip)
        l->out = t->next;
    else
        l->cc ^= 1; /* the start is behind it */
    return l->out != t->jb->rip;
}

/* The first jump to the start; false: there is none, or not in a loop that
 * can be here. */
static bool find_back(struct tr *t, struct loop *l)
{
    const struct jit_block *jb = t->jb;

    for (unsigned n = 0; n < jb->parts; n++) {
        const struct jit_part *p = &jb->part[n];

        l->last = p->first + p->b->count - 1u;
        /* what is here is looked for at the start only */
        if (p->paired || (needs_vec(p->b) & ~needs_vec(jb->b)))
            return false;
        insn_at(t, l->last);
        if (is_jump(t->row) && (jump_target(t) == jb->rip ||
                                (t->next == jb->rip && !is_always(t->row))))
            return find_end(t, l);
    }
    return false;
}

void loop_plan(struct tr *t)
{
    struct loop *l;

    if (t->bits != 64 || t->live[0] || t->jb->b->tail ||
        t->jb->b->loop == LOOP_SHORT)
        return;
    l = g_new0(struct loop, 1);
    if (find_back(t, l) && look(t, l)) {
        find_walks(t, l);
        if (l->walks && find_counter(l) && assign(t, l))
            t->plan = l;
    }
    /* tests that translate at once want it at once */
    t->jb->probe = t->plan && t->jb->b->loop == LOOP_UNKNOWN && t->jit->hot > 1;
    if (!t->plan || t->jb->probe) {
        g_free(l);
        t->plan = NULL;
        t->jb->parks = 0;
    }
    insn_at(t, 0);
}
