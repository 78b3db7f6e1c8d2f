/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Units: which instructions are translated together.
 *
 * A unit begins with a block and goes on through others of the same page, the
 * way that the program seems to go: over a branch that is not taken, to the
 * target of one that is, or of a jump.  Only blocks that have run
 * are added, so what is cold is not translated, and at a branch the side
 * that has run more often is taken.  The other one is a way out in the middle.
 * No block is in a unit twice, but many may be in several units: loops get one
 * of their own because their head is jumped to.
 *
 * Behind a call a unit goes on where it returns to (branch.c).
 *
 * A unit hangs on its first block.  It is valid as long as all its blocks
 * are, and what was assumed of the flags at its ways out holds; all that is
 * in one page, so any store into code of this page takes back its entry, and
 * unit_holds() looks again.
 *
 * Code that may be written by its own unit is a special case: what is behind
 * the store then may want flags that the old code did not.  So where the page
 * tables allow stores to the unit's page, all flags are live behind each
 * store but those to the stack.
 *
 * In exact mode instructions are counted at the start of each block of a unit,
 * as the interpreter does, and it is left there if it may not be executed.
 */
#include "cpu/decode.h"
#include "cpu/interp/interp.h"
#include "cpu/jit/translate.h"
#include "cpu/mmu.h"
#include "cpu/sync.h"

/* --- what instructions do with the flags --------------------------------- */

/*
 * Are the flags that a row leaves undefined those of before?  So it is on
 * AMD's processors for MUL, DIV, BT, BSF and their kin.
 */
static bool leaves_undefined(const struct x86_row *row)
{
    if (row->vex || row->map > 1)
        return false;
    if (row->map == 1)
        return row->opcode == 0xaf || (row->opcode & 0xc7) == 0x83 ||
               (row->opcode & 0xf8) == 0xb8;
    return row->opcode == 0x69 || row->opcode == 0x6b ||
           ((row->opcode & 0xfe) == 0xf6 && row->ext >= 4);
}

/* SHL, SHR, SAR by a known count that is not zero */
static bool is_sure_shift(const struct x86_insn *i, const struct x86_row *row)
{
    if (row->vex || row->map != 0 || row->ext < 4)
        return false;
    if ((row->opcode & 0xfe) == 0xd0)
        return true;
    return (row->opcode & 0xfe) == 0xc0 && (i->imm & (i->osz == 8 ? 63 : 31));
}

uint32_t flags_killed(const struct x86_insn *i)
{
    const struct x86_row *row = &x86_rows[i->row];

    if (is_sure_shift(i, row))
        return FL_ARITH;
    if (leaves_undefined(row))
        return row->fl_written & ~row->fl_undefined & FL_ARITH;
    /* a count of zero leaves them */
    if (i->flags & (X86_I_REP | X86_I_REPNE))
        return 0;
    return (row->fl_written | row->fl_undefined) & FL_ARITH;
}

/* Shifts by an immediate leave the flags only if the count is zero. */
static bool shifts_for_sure(const struct x86_insn *i)
{
    const struct x86_row *row = &x86_rows[i->row];
    bool shift = row->map == 0 && (row->opcode & 0xfe) == 0xc0;
    bool twice = row->map == 1 && (row->opcode & 0xf7) == 0xa4;

    return !row->vex && (shift || twice) && (i->imm & (i->osz == 8 ? 63 : 31));
}

uint32_t flags_read(const struct x86_insn *i)
{
    const struct x86_row *row = &x86_rows[i->row];

    /* RCL and RCR count modulo nine or 17 if the operand is short */
    if (shifts_for_sure(i) && (row->map == 1 || (row->ext & 6) != 2))
        return 0;
    return row->fl_read & FL_ARITH;
}

/* --- the ways on from an instruction ------------------------------------- */

struct ways {
    bool next, target; /* possible, and known beforehand */
    bool other;        /* it may go elsewhere, too */
};

static bool is_end(const struct x86_insn *i)
{
    return i->flags & X86_I_END;
}

static struct ways ways_of(const struct x86_insn *i)
{
    const struct x86_row *row = &x86_rows[i->row];

    if (!is_end(i))
        return (struct ways){ .next = true };
    if (row->jit != X86_JIT_BRANCH || row->op[0].kind != X86_OP_J)
        return (struct ways){ .other = true };
    if (row->fl_read || (row->opcode & 0xfc) == 0xe0)
        return (struct ways){ .next = true, .target = true };
    return (struct ways){ .target = true };
}

static uint64_t target_of(const struct x86_insn *i, uint64_t next)
{
    return jump_trunc(next + i->imm, i->osz);
}

/* --- flags that are live at a way out ------------------------------------ */

/* How far behind a target it is worth looking. */
#define AHEAD_BYTES 48u
#define AHEAD_INSNS 8u

struct ahead {
    uint32_t open, live;
};

/* False: no further. */
static bool look_at(struct ahead *a, const struct x86_insn *i)
{
    a->live |= flags_read(i) & a->open;
    a->open &= ~flags_killed(i);
    return a->open && !(i->flags & (X86_I_END | X86_I_REP | X86_I_REPNE));
}

/* The bytes are made known as code before they are read, so that a store into
 * them takes back the entries of this page's units. */
static void look_at_bytes(struct vcpu *cpu, const struct block *b,
                          const uint8_t *host, struct ahead *a)
{
    unsigned at = (uintptr_t)host & (PAGE_BYTES - 1), end = at + AHEAD_BYTES;
    struct x86_insn i;

    if (end > PAGE_BYTES)
        end = PAGE_BYTES;
    code_mark_more(b->mem, b->mem_page, at, end - at);
    for (unsigned n = 0; n < AHEAD_INSNS && at < end; n++) {
        if (x86_decode(&i, host, end - at, b->mode & (MODE_CODE | MODE_REAL),
                       &cpu->model->features) <= 0 ||
            !look_at(a, &i))
            return;
        host += i.len;
        at += i.len;
    }
}

/* What the code at `host`, in the page of b, reads before it writes it. */
static uint32_t live_at(struct vcpu *cpu, const struct block *b,
                        const uint8_t *host)
{
    struct ahead a = { FL_ARITH, 0 };
    const struct block *there;

    if (((uintptr_t)host ^ (uintptr_t)b->host) >> PAGE_SHIFT)
        return FL_ARITH;
    there = blocks_known(cpu, b, host);
    if (there) {
        for (unsigned k = 0; k < there->count; k++)
            if (!look_at(&a, &there->insn[k]))
                break;
    } else {
        look_at_bytes(cpu, b, host, &a);
    }
    return a.live | a.open;
}

/* Flags that have to be right where instruction k leaves the unit. */
static uint32_t live_out(struct vcpu *cpu, const struct jit_part *p,
                         const struct x86_insn *i, uint64_t next,
                         enum follow follow)
{
    struct ways w = ways_of(i);
    const uint8_t *host = p->b->host + (next - p->rip);
    uint32_t live = w.other ? FL_ARITH : 0;

    if (w.next && follow != FOLLOW_NEXT)
        live |= live_at(cpu, p->b, host);
    if (w.target && follow != FOLLOW_TARGET)
        live |= live_at(cpu, p->b, host + (target_of(i, next) - next));
    return live;
}

const struct jit_part *unit_part(const struct jit_block *jb, unsigned k)
{
    const struct jit_part *p = jb->part;

    while (p + 1 < jb->part + jb->parts && p[1].first <= k)
        p++;
    return p;
}

static bool part_holds(struct vcpu *cpu, const struct jit_part *p)
{
    const struct x86_insn *i = &p->b->insn[p->b->count - 1];
    uint32_t live;

    if (!blocks_same(cpu, p->b))
        return false;
    live = live_out(cpu, p, i, p->rip + p->b->bytes, p->follow);
    return p->live_out == FL_ARITH || !(live & ~p->live_out);
}

bool unit_holds(struct vcpu *cpu, const struct jit_block *jb)
{
    for (unsigned n = 0; n < jb->parts; n++)
        if (!part_holds(cpu, &jb->part[n]))
            return false;
    return true;
}

/* --- choosing ------------------------------------------------------------ */

static bool is_in(const struct jit_block *jb, uint64_t rip)
{
    for (unsigned n = 0; n < jb->parts; n++)
        if (jb->part[n].rip == rip)
            return true;
    return false;
}

/* The block at rip, if it may be added. */
static struct block *candidate(struct tr *t, const struct jit_part *p,
                               uint64_t rip)
{
    const uint8_t *host = p->b->host + (rip - p->rip);
    struct block *b;

    if (((uintptr_t)host ^ (uintptr_t)p->b->host) >> PAGE_SHIFT ||
        is_in(t->jb, rip))
        return NULL;
    b = blocks_known(t->cpu, p->b, host);
    if (!b || !b->runs || t->count + b->count > UNIT_INSNS ||
        rip + b->bytes > t->cpu->code_end)
        return NULL;
    return b;
}

/* Adds a block. */
static void add(struct tr *t, struct block *b, uint64_t rip)
{
    struct jit_block *jb = t->jb;

    jb->part[jb->parts++] =
        (struct jit_part){ .b = b, .rip = rip, .first = (uint8_t)t->count };
    for (unsigned k = 0; k < b->count; k++) {
        t->insn[t->count] = &b->insn[k];
        t->at[t->count] = rip;
        t->follow[t->count++] = FOLLOW_NEXT;
        rip += b->insn[k].len;
    }
}

/* Shall the call i come back behind itself, see branch.c? */
static bool is_paired(const struct tr *t, const struct x86_insn *i)
{
    return branch_is_call(i) && (t->bits == 64 || t->flat) && t->sp_size != 2 &&
           i->osz == t->sp_size && (i->opcode != 0xe8 || i->imm);
}

/* Goes on behind the last part, if there is a way. */
static bool extend(struct tr *t)
{
    struct jit_part *p = &t->jb->part[t->jb->parts - 1];
    const struct x86_insn *i = t->insn[t->count - 1];
    struct ways w = ways_of(i);
    uint64_t next = p->rip + p->b->bytes, target = target_of(i, next);
    struct block *b_next = NULL, *b_target = NULL;

    p->follow = FOLLOW_NONE;
    p->paired = is_paired(t, i);
    if (p->paired)
        w = (struct ways){ .next = true };
    if (t->jb->parts == UNIT_PARTS || (!p->paired && !branch_goes_on(i)))
        return false;
    if (w.next)
        b_next = candidate(t, p, next);
    if (w.target)
        b_target = candidate(t, p, target);
    if (b_target && (!b_next || b_target->runs > b_next->runs)) {
        p->follow = FOLLOW_TARGET;
        add(t, b_target, target);
        return true;
    }
    if (!b_next)
        return false;
    p->follow = FOLLOW_NEXT;
    add(t, b_next, next);
    return true;
}

/* By an operand, or an instruction that kills all flags anyway. */
static bool stores(const struct x86_insn *i)
{
    switch (x86_rows[i->row].op[0].kind) {
    case X86_OP_E:
    case X86_OP_M:
    case X86_OP_W:
    case X86_OP_Q: return i->flags & X86_I_MEM;
    case X86_OP_O:
    case X86_OP_Y: return true;
    default: return false;
    }
}

static void liveness(struct tr *t)
{
    uint32_t live = 0;
    uint64_t base = t->cpu->fast[SEG_CS].base;
    bool own =
        mmu_may_write(t->cpu, t->cpu->code64 ? t->jb->rip
                                             : (uint32_t)(base + t->jb->rip));

    t->live[t->count] = 0;
    for (unsigned n = t->jb->parts; n-- > 0;) {
        struct jit_part *p = &t->jb->part[n];
        unsigned k = p->first + p->b->count - 1;

        p->live_out = t->jit->all_flags
                          ? FL_ARITH
                          : live_out(t->cpu, p, t->insn[k],
                                     p->rip + p->b->bytes, p->follow);
        t->follow[k] = p->follow;
        t->paired[k] = p->paired;
        live = p->paired ? p->live_out : live | p->live_out;
        for (;; k--) {
            if (own && stores(t->insn[k]))
                live = FL_ARITH;
            t->live_after[k] = live;
            live = (live & ~flags_killed(t->insn[k])) | flags_read(t->insn[k]);
            if (t->jit->all_flags)
                live = FL_ARITH;
            t->live[k] = live;
            if (k == p->first)
                break;
        }
    }
}

void unit_form(struct tr *t, struct block *b, uint64_t rip)
{
    struct jit_part part[UNIT_PARTS] = { { .b = NULL } };

    t->count = 0;
    t->jb->part = part;
    add(t, b, rip);
    while (extend(t))
        ;
    liveness(t);
    t->jb->part = cache_alloc(t->jit, t->jb->parts * sizeof *part);
    memcpy(t->jb->part, part, t->jb->parts * sizeof *part);
}

void unit_cut(struct tr *t, unsigned count)
{
    struct jit_block *jb = t->jb;

    t->count = count;
    while (jb->part[jb->parts - 1].first >= count)
        jb->parts--;
}

uint64_t unit_code_end(const struct tr *t)
{
    uint64_t end = 0;

    for (unsigned n = 0; n < t->jb->parts; n++) {
        const struct jit_part *p = &t->jb->part[n];
        const struct x86_insn *i = &p->b->insn[p->b->count - 1];
        uint64_t next = p->rip + p->b->bytes, target = target_of(i, next);

        if (next > end)
            end = next;
        if (ways_of(i).target && target >= end && target < t->cpu->code_end)
            end = target + 1;
    }
    return end;
}

bool unit_calls(const struct tr *t)
{
    for (unsigned n = 0; n < t->jb->parts; n++)
        if (t->jb->part[n].paired)
            return true;
    return false;
}

bool unit_goes_forward(const struct tr *t)
{
    for (unsigned n = 0; n < t->jb->parts; n++) {
        const struct jit_part *p = &t->jb->part[n];
        const struct x86_insn *i = &p->b->insn[p->b->count - 1];
        struct ways w = ways_of(i);

        if (w.other || p->paired || (i->flags & (X86_I_REP | X86_I_REPNE)) ||
            (w.target && ((int64_t)i->imm < 0 || i->osz < 4)))
            return false;
    }
    return true;
}
