/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access checks: from a guest address to a host address.
 *
 * Slots.  Each place in the code that checks an address has a slot, which
 * holds the page it had last and what has to be added to a linear address in
 * that page to get the host's.  Nine accesses in ten stay in the page of the
 * access before at the same place, and comparing with that page is shorter
 * than a look-up by address, whose load also stands between the address and
 * the data.  A miss takes the page from the TLB (emit_slot_fill() in
 * runtime.c) and looks again; what the TLB does not serve is left to the
 * interpreter.  Slots are numbered; places share them when there are more
 * places than slots.  Those of reads and of writes are never shared, nor
 * those of user and kernel code, so a slot that matches also permits.  The
 * stack has one pair for all, and so has each page of addresses that are in
 * the code.
 *
 *     lea  s0, [address]              one register in the address, 64 bits:
 *     xor  s0, gs:[tag of slot]       offset inside the page if it matches
 *     cmp  s0, 4096 - size / ja miss
 *     mov  s2, gs:[addend of slot]
 *     op   [s2 + register + displacement]
 *
 * All other addresses are computed into S2, and the addend is added to it.
 * A place that changes pages all the time, as a walk along pointers does, is
 * made again with a look-up in the TLB (slot.c says when).
 *
 * Windows.  Neighbouring accesses from the same registers share one check of
 * everything between the lowest and the highest of them.  The check is made
 * for the first; when another one follows while the registers are unchanged,
 * or changed by known amounts, the check is patched to cover it, too.  If it
 * fails, the interpreter does all instructions up to the last one that
 * relies on it; if it fails often, the unit is made again with separate checks
 * for these instructions behind it (emit_split()).  A guest register that is
 * written closes the windows of addresses it is part of; an emitter that is
 * not known to leave S1 and S2 alone closes them all.
 *
 * Empty slots have a tag that only a non-canonical address can match.  That
 * access faults on the host and ends up in the interpreter (fault.c), as does
 * one that lacks the alignment its instruction demands.
 */
#include "cpu/interp/interp.h"
#include "cpu/jit/translate.h"

/* The farther apart accesses are, the more often one check for both fails at
 * a page's end. */
#define WINDOW_SPAN 256
#define FORCE_DISP  0x7fffffff /* to be patched */

static size_t tag_at(unsigned slot)
{
    return offsetof(struct vcpu, slot_tag) + slot * sizeof(uint64_t);
}

static size_t addend_at(unsigned slot)
{
    return offsetof(struct vcpu, slot_addend) + slot * sizeof(uint64_t);
}

static void put32(uint8_t *at, int64_t v)
{
    int32_t v32 = (int32_t)v;

    memcpy(at, &v32, 4);
}

/* --- closing ------------------------------------------------------------- */

void windows_close(struct tr *t)
{
    for (unsigned n = 0; n < WINDOWS; n++)
        t->win[n].open = false;
}

void window_close_reg(struct tr *t, unsigned host_reg)
{
    if (t->fast)
        loop_clobbers(t, host_reg);
    for (unsigned n = 0; n < WINDOWS; n++)
        if (t->win[n].reg == host_reg)
            t->win[n].open = false;
}

void window_written(struct tr *t, unsigned guest)
{
    for (unsigned n = 0; n < WINDOWS; n++)
        if (t->win[n].ref.base == guest || t->win[n].ref.index == guest)
            t->win[n].open = false;
}

void window_added(struct tr *t, unsigned guest, int64_t delta)
{
    for (unsigned n = 0; n < WINDOWS; n++) {
        struct window *w = &t->win[n];

        if (w->ref.index == guest)
            w->open = false;
        else if (w->ref.base == guest)
            w->adj += delta;
        if (w->adj > WINDOW_SPAN || w->adj < -WINDOW_SPAN)
            w->open = false;
    }
}

/* --- checks -------------------------------------------------------------- */

#define PAIRS          (SLOTS / 4) /* of user or kernel code */
#define PAIRS_CONSTANT (PAIRS / 4)

static unsigned slot_new(struct tr *t, const struct window *w)
{
    const struct mem_ref *r = &w->ref;
    unsigned user = t->jb->mode & MODE_USER ? SLOTS / 2 : 0;
    unsigned pair;

    if (r->base == RSP && r->index == X86_NOREG && !t->apart)
        pair = 0;
    else if (w->form == WIN_CONSTANT)
        pair = 1 + ((uint64_t)r->disp >> PAGE_SHIFT) % PAIRS_CONSTANT;
    else
        pair = 1 + PAIRS_CONSTANT +
               t->jit->slot_next++ % (PAIRS - PAIRS_CONSTANT - 1);
    return user + pair * 2 + r->write;
}

unsigned slot_for_walk(struct tr *t, bool write)
{
    struct window w = { .form = WIN_POINTER,
                        .ref = { .base = X86_NOREG, .write = write } };

    return slot_new(t, &w);
}

static struct stub *fill_new(struct tr *t, struct stub *owner,
                             const struct window *w, uint8_t *check)
{
    struct stub *s = stub_new(t, STUB_FILL);

    s->owner = owner;
    owner->needed = true;
    owner->in_state = t->in_state;
    s->check = check;
    s->slot = w->slot;
    s->reg = w->reg;
    s->constant = w->form == WIN_CONSTANT;
    return s;
}

/* Jumps to the slot's stub unless what is checked fits behind the offset. */
static void compare_span(struct tr *t, struct window *w, unsigned offset)
{
    emit_insn(&t->e, &(struct host_insn){ .w = true,
                                          .op = 0x81,
                                          .reg = ALU_CMP,
                                          .rm = (uint8_t)offset,
                                          .imm = PAGE_BYTES - (uint32_t)w->hi,
                                          .imm_bytes = 4 });
    w->span_at = t->e.p - 4;
    stub_jcc(t, w->fill, CC_A);
}

/* Linear (or offset) lo + displacement of the reference into S0, compares its
 * page with the slot's; jumps to the stub unless [lo, hi) is inside. */
static void compare_page(struct tr *t, struct window *w, uint8_t *check)
{
    struct host_mem tag = state_mem(tag_at(w->slot));
    struct stub *fill = fill_new(t, w->owner, w, check);

    emit_rm(&t->e, true, 0x33, H_S0, &tag);
    w->tag_at = t->e.p - 4;
    emit_insn(&t->e, &(struct host_insn){ .w = true,
                                          .op = 0x81,
                                          .reg = ALU_CMP,
                                          .rm = H_S0,
                                          .imm = PAGE_BYTES - (uint32_t)w->hi,
                                          .imm_bytes = 4 });
    w->span_at = t->e.p - 4;
    stub_jcc(t, fill, CC_A);
    w->fill = fill;
}

static void set_low(struct window *w)
{
    put32(w->low_at, w->low_disp + w->lo);
    if (w->back_at)
        put32(w->back_at, -w->lo);
}

static bool is_addend_form(const struct tr *t, const struct mem_ref *r)
{
    unsigned regs = (r->base != X86_NOREG) + (r->index != X86_NOREG);
    unsigned reg = r->base != X86_NOREG ? r->base : r->index;

    return t->bits == 64 && r->asz == 8 && r->seg != SEG_FS &&
           r->seg != SEG_GS && regs == 1 && reg < 16 &&
           t->home[reg] != H_NONE && r->disp == (int32_t)r->disp &&
           r->disp < INT32_MAX - 4096 && r->disp > INT32_MIN + 4096;
}

/* The address needs no register and its segment no look. */
static bool is_constant_form(const struct tr *t, const struct mem_ref *r)
{
    uint64_t at = (uint64_t)r->disp;

    if (r->base != X86_NOREG || r->index != X86_NOREG)
        return false;
    if (t->bits == 64 ? r->seg == SEG_FS || r->seg == SEG_GS
                      : !t->flat || r->seg == SEG_FS || r->seg == SEG_GS ||
                            (r->write && r->seg == SEG_CS))
        return false;
    return (at & (PAGE_BYTES - 1)) <= PAGE_BYTES - r->n;
}

static bool segment_is_plain(const struct tr *t, const struct mem_ref *r)
{
    if (r->seg == SEG_FS || r->seg == SEG_GS)
        return false;
    return t->bits == 64 || (t->flat && !(r->write && r->seg == SEG_CS));
}

/* Base and limit of a segment that is not flat; the offset is in `reg`. */
static void apply_segment(struct tr *t, struct stub *s, unsigned reg,
                          const struct mem_ref *r)
{
    size_t at = offsetof(struct vcpu, fast) + r->seg * sizeof(struct seg_fast);
    struct host_mem base = state_mem(at + offsetof(struct seg_fast, base));
    struct host_mem end =
        state_mem(at + (r->write ? offsetof(struct seg_fast, write_end)
                                 : offsetof(struct seg_fast, read_end)));

    if (t->bits == 64) {
        emit_rm(&t->e, true, 0x03, reg, &base);
        return;
    }
    emit_lea(&t->e, true, H_S0, reg, r->n);
    emit_rm(&t->e, true, 0x3b, H_S0, &end);
    stub_jcc(t, s, CC_A);
    emit_rm(&t->e, false, 0x03, reg, &base);
}

/* Register `reg` holds the offset, or (linear) the address itself: makes it
 * the host address. */
static void check_pointer(struct tr *t, struct window *w, uint8_t *check)
{
    struct host_mem from = { w->reg, H_NONE, 0, false, FORCE_DISP };
    struct host_mem addend = state_mem(addend_at(w->slot));
    bool linear = !check; /* the address cannot be computed again */

    if (!segment_is_plain(t, &w->ref))
        apply_segment(t, w->owner, w->reg, &w->ref);
    if (linear)
        check = t->e.p;
    emit_rm(&t->e, t->bits == 64, 0x8d, H_S0, &from);
    w->low_at = t->e.p - 4;
    set_low(w);
    compare_page(t, w, check);
    w->fill->linear = linear;
    emit_rm(&t->e, true, 0x03, w->reg, &addend);
    w->addend_at = t->e.p - 4;
}

/* The lowest address that is checked into the window's register. */
static void emit_low(struct tr *t, struct window *w)
{
    const struct mem_ref *r = &w->ref;
    struct host_mem m = { H_NONE, H_NONE, r->scale, false, FORCE_DISP };
    bool regs = r->base != X86_NOREG || r->index != X86_NOREG;
    bool near = r->disp < INT32_MAX - 4096 && r->disp > INT32_MIN + 4096;

    if (regs && near && !w->fixed && segment_is_plain(t, r)) {
        if (r->base != X86_NOREG)
            m.base = (uint8_t)reg_use(t, r->base, w->reg);
        if (r->index != X86_NOREG)
            m.index = (uint8_t)reg_use(t, r->index, H_S0);
        w->low_disp = r->disp;
    } else {
        emit_offset(t, w->reg, H_S0, r);
        if (!segment_is_plain(t, r))
            apply_segment(t, w->owner, w->reg, r);
        m.base = w->reg;
        m.scale = 0;
    }
    emit_rm(&t->e, t->bits == 64, 0x8d, w->reg, &m);
    w->low_at = t->e.p - 4;
}

/*
 * Without a slot: by the TLB's entry for the address.
 */
static void check_lookup(struct tr *t, struct window *w, uint8_t *check)
{
    struct host_mem entry = { H_S0, H_NONE, 0, false, FORCE_DISP };
    struct host_mem sum = { w->reg, H_S0, 0, false, FORCE_DISP };
    struct host_mem tlb = state_mem(offsetof(struct vcpu, tlb));
    int32_t table = tlb_table(w->ref.write);

    emit_low(t, w);
    w->fill = fill_new(t, w->owner, w, check);
    w->fill->lookup = true;
    emit_rr(&t->e, false, 0x8b, H_S0, w->reg);
    emit_shift(&t->e, false, 5, H_S0, PAGE_SHIFT - 4);
    emit_ri(&t->e, false, ALU_AND, H_S0, (int32_t)(TLB_ENTRIES - 1) << 4);
    emit_rm(&t->e, true, 0x03, H_S0, &tlb);
    emit_rm(&t->e, true, 0x33, w->reg, &entry);
    w->tag_at = t->e.p - 4;
    put32(w->tag_at, table);
    compare_span(t, w, w->reg);
    emit_rm(&t->e, true, 0x8b, H_S0, &entry);
    w->addend_at = t->e.p - 4;
    put32(w->addend_at, table + (int)offsetof(struct tlb_entry, host));
    emit_rm(&t->e, true, 0x8d, w->reg, &sum);
    w->back_at = t->e.p - 4;
    set_low(w);
}

static void check_addend(struct tr *t, struct window *w, uint8_t *check)
{
    const struct mem_ref *r = &w->ref;
    struct host_mem m = { H_NONE, H_NONE, r->scale, false, FORCE_DISP };

    if (r->base != X86_NOREG)
        m.base = t->home[r->base];
    else
        m.index = t->home[r->index];
    emit_rm(&t->e, true, 0x8d, H_S0, &m);
    w->low_at = t->e.p - 4;
    w->low_disp = r->disp;
    set_low(w);
    compare_page(t, w, check);
    emit_load(&t->e, true, w->reg, addend_at(w->slot));
    w->addend_at = t->e.p - 4;
}

static void check_constant(struct tr *t, struct window *w, uint8_t *check)
{
    struct host_mem tag = state_mem(tag_at(w->slot));
    struct host_mem addend = state_mem(addend_at(w->slot));
    uint64_t at = (uint64_t)w->ref.disp;

    if (t->bits != 64)
        at = (uint32_t)at;
    emit_mov_imm(&t->e, w->reg, at & ~(uint64_t)(PAGE_BYTES - 1));
    emit_rm(&t->e, true, 0x3b, w->reg, &tag);
    w->tag_at = t->e.p - 4;
    w->fill = fill_new(t, w->owner, w, check);
    stub_jcc(t, w->fill, CC_NE);
    emit_rm(&t->e, true, 0x03, w->reg, &addend);
    w->addend_at = t->e.p - 4;
}

/* --- operands ------------------------------------------------------------ */

static struct host_mem operand(const struct tr *t, const struct window *w,
                               const struct mem_ref *r)
{
    struct host_mem m = { w->reg, H_NONE, 0, false, 0 };

    switch (w->form) {
    case WIN_CONSTANT:
        m.disp = (int32_t)((uint64_t)r->disp & (PAGE_BYTES - 1));
        break;
    case WIN_ADDEND:
        m.disp = (int32_t)r->disp;
        m.index = t->home[r->base != X86_NOREG ? r->base : r->index];
        m.scale = r->base != X86_NOREG ? 0 : r->scale;
        break;
    case WIN_LOOKUP:
    case WIN_POINTER: m.disp = (int32_t)(r->disp + w->adj - w->ref.disp); break;
    }
    return m;
}

/* From now on the window permits writes. */
static void make_writable(struct window *w)
{
    w->slot |= 1;
    w->fill->slot = w->slot;
    w->ref.write = true;
    if (w->form == WIN_LOOKUP) {
        put32(w->tag_at, tlb_table(true));
        put32(w->addend_at,
              tlb_table(true) + (int)offsetof(struct tlb_entry, host));
        return;
    }
    put32(w->tag_at, (int64_t)tag_at(w->slot));
    put32(w->addend_at, (int64_t)addend_at(w->slot));
}

static bool covers_constant(struct tr *t, struct window *w,
                            const struct mem_ref *r)
{
    return is_constant_form(t, r) &&
           ((uint64_t)w->ref.disp ^ (uint64_t)r->disp) >> PAGE_SHIFT == 0;
}

/* Is the operand in the window, or can the window be made to cover it? */
static bool covers(struct tr *t, struct window *w, const struct mem_ref *r)
{
    int64_t from = r->disp + w->adj - w->ref.disp;
    int64_t lo = from < w->lo ? from : w->lo;
    int64_t hi = from + r->n > w->hi ? from + r->n : w->hi;
    bool wider = lo != w->lo || hi != w->hi;

    if (!w->open || t->apart)
        return false;
    /* code that is read in flat segments is not written: #GP */
    if (r->write && !w->ref.write && r->seg == SEG_CS && t->bits != 64)
        return false;
    if (w->form == WIN_CONSTANT)
        return covers_constant(t, w, r);
    if (r->base != w->ref.base || r->index != w->ref.index ||
        r->scale != w->ref.scale || r->seg != w->ref.seg ||
        r->asz != w->ref.asz)
        return false;
    if (!wider)
        return true;
    if (hi - lo > WINDOW_SPAN || w->fixed)
        return false;
    w->lo = lo;
    w->hi = hi;
    set_low(w);
    put32(w->span_at, PAGE_BYTES - (hi - lo));
    return true;
}

/* Does the current instruction change pages too often for a slot? */
static bool roams(const struct tr *t)
{
    const struct jit_part *p = unit_part(t->jb, t->k);

    return p->b->roams >> (t->k - p->first) & 1;
}

/* One that is closed, or the one not used for longer; never one that the
 * current instruction uses. */
static struct window *window_new(struct tr *t)
{
    struct window *a = &t->win[0], *b = &t->win[1], *w;

    if (t->fast || (!a->open && a->used != t->k + 1))
        w = a;
    else if (!b->open && b->used != t->k + 1)
        w = b;
    else
        w = a->used < b->used ? a : b;
    memset(w, 0, sizeof *w);
    w->reg = w == a ? H_S2 : H_S1;
    return w;
}

struct host_mem emit_mem(struct tr *t, struct stub *s, const struct mem_ref *r)
{
    struct window *w;
    struct host_mem m;
    uint8_t *check;

    if (t->fast && loop_operand(t, r, &m))
        return m;
    for (unsigned n = 0; n < WINDOWS; n++) {
        w = &t->win[n];
        if (!covers(t, w, r))
            continue;
        if (r->write && !w->ref.write)
            make_writable(w);
        w->owner->last = t->k;
        w->used = t->k + 1;
        return operand(t, w, r);
    }
    flags_keep(t);
    flags_lost(t);
    w = window_new(t);
    w->ref = *r;
    w->owner = s;
    w->hi = r->n;
    w->used = t->k + 1;
    w->form = roams(t)                 ? WIN_LOOKUP
              : is_constant_form(t, r) ? WIN_CONSTANT
              : is_addend_form(t, r)   ? WIN_ADDEND
                                       : WIN_POINTER;
    w->slot = w->form == WIN_LOOKUP ? r->write : (uint16_t)slot_new(t, w);
    check = t->e.p;
    if (w->form == WIN_CONSTANT) {
        check_constant(t, w, check);
    } else if (w->form == WIN_ADDEND) {
        check_addend(t, w, check);
    } else {
        /* a limit is checked for one access; short addresses wrap */
        w->fixed = r->asz == 2 || (t->bits == 64 && r->asz != 8) ||
                   (t->bits != 64 && !segment_is_plain(t, r));
        if (w->form == WIN_LOOKUP) {
            check_lookup(t, w, check);
        } else {
            emit_offset(t, w->reg, H_S0, r);
            check_pointer(t, w, check);
        }
    }
    w->open = !w->fixed;
    return operand(t, w, r);
}

void emit_check(struct tr *t, struct stub *s, unsigned seg, unsigned n,
                bool write)
{
    struct window w = { .reg = H_S1,
                        .owner = s,
                        .hi = n,
                        .form = WIN_POINTER,
                        .ref = { .seg = (uint8_t)seg,
                                 .base = X86_NOREG,
                                 .index = X86_NOREG,
                                 .n = (uint8_t)n,
                                 .write = write } };

    window_close_reg(t, H_S1);
    flags_lost(t);
    w.slot = (uint16_t)slot_new(t, &w);
    emit_rr(&t->e, true, 0x8b, H_S1, H_S0);
    check_pointer(t, &w, NULL);
}

void fault_note(struct tr *t, struct stub *s)
{
    t->fault[t->faults++] = (struct fault_note){
        .at = t->e.p,
        .stub = s,
        .in_host = t->in_host,
        .x87 = (uint8_t)(t->x87.pending ? t->x87.k + 1 : 0),
    };
}

struct mem_ref mem_ref_of(const struct tr *t, unsigned n, bool write)
{
    const struct x86_insn *i = t->i;
    struct mem_ref r = { .seg = i->seg,
                         .base = i->base,
                         .index = i->index,
                         .scale = i->scale,
                         .asz = i->asz,
                         .disp = i->disp,
                         .n = (uint8_t)n,
                         .write = write };

    if (i->base == X86_RIP) {
        r.base = X86_NOREG;
        r.disp = (int64_t)(t->next + (uint64_t)i->disp);
    }
    if (r.base == X86_NOREG && r.index == X86_NOREG && r.asz < 8)
        r.disp = (int64_t)((uint64_t)r.disp & ((1ull << r.asz * 8) - 1));
    return r;
}

struct mem_ref stack_ref(const struct tr *t, int32_t delta, unsigned n,
                         bool write)
{
    return (struct mem_ref){ .seg = SEG_SS,
                             .base = RSP,
                             .index = X86_NOREG,
                             .asz = t->sp_size,
                             .disp = delta,
                             .n = (uint8_t)n,
                             .write = write };
}
