/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a unit of decoded blocks (unit.c) to host code.
 *
 * One guest instruction after the other is emitted, in three ways: the same
 * instruction with other registers and another memory operand (alu.c, most
 * of them), a short sequence (mem.c, branch.c), or a call of the
 * interpreter's handler (all the rest).  The last one is always possible, so
 * nothing here has to be complete.
 *
 * Registers.  Guest registers are in host registers by a fixed map
 * (target.h); between two instructions every one of them is where the map
 * says and has its right value.  So code may leave a unit at any
 * instruction, and whatever is unusual about an access (no TLB entry, a
 * device, a page crossing, a fault, code that is written) is left to the
 * interpreter: a stub behind the unit saves the registers, lets the handler
 * do the whole instruction from its start, and goes on behind it.  A fault
 * leaves by longjmp as it always does; the saved state is that before the
 * instruction.
 *
 * Flags.  Guest flags are the host's.  The TLB look-up destroys them, so
 * where they are still needed they are saved before (LAHF, SETO: to
 * vcpu.jit_flags) and fetched when an instruction wants them.  `in_host` and
 * `in_state` say at each point where they are right.  What is needed comes
 * from the flag columns of x86.def: live[k] are the flags that some later
 * instruction reads before they are written.  At a way out all are live unless
 * the instructions at the target, if they are in the same page, write them
 * first.  At a fault, flags that are dead may be wrong in what the handler
 * sees; in exact mode all flags are always live.
 *
 * Vector registers are the guest's own while vcpu.vec_live says so: a unit
 * looks before the first part that uses them.  The slow path saves them.  The
 * x87 unit is looked at in the same way, and stays as it is (interp/x87.h,
 * x87.c).
 *
 * Entering.  At the entry a unit looks for requests, unless it only goes on
 * forward; so every loop passes one look.  In exact mode instructions are
 * counted there, too.
 *
 * Leaving.  See branch.c for targets; every jump that is not linked leads to
 * a stub which returns the struct jit_link to the run loop.  Where the flags
 * are in jit_flags only they are left there, and the jump leads to the
 * target's second entry, which fetches them if they are live.
 */
#include <string.h>

#include "cpu/decode.h"
#include "cpu/interp/interp.h"
#include "cpu/jit/translate.h"
#include "cpu/sync.h"

/* --- flags --------------------------------------------------------------- */

static bool changes(const struct x86_insn *i)
{
    const struct x86_row *row = &x86_rows[i->row];

    return (row->fl_written | row->fl_undefined) & FL_ARITH;
}

void flags_to_state(struct emit *e)
{
    emit_rr(e, true, 0x8b, H_S0, H_RAX);
    emit_flags_pack(e);
    emit_store(e, false, H_RAX, offsetof(struct vcpu, jit_flags));
    emit_rr(e, true, 0x8b, H_RAX, H_S0);
}

void flags_from_state(struct emit *e)
{
    emit_rr(e, true, 0x8b, H_S0, H_RAX);
    emit_load(e, false, H_RAX, offsetof(struct vcpu, jit_flags));
    emit_flags_unpack(e);
    emit_rr(e, true, 0x8b, H_RAX, H_S0);
}

static void flags_save(struct tr *t)
{
    if (!t->in_host || t->in_state)
        return;
    flags_to_state(&t->e);
    t->in_state = true;
}

void flags_keep(struct tr *t)
{
    if (t->live[t->k])
        flags_save(t);
}

void flags_lost(struct tr *t)
{
    t->in_host = false;
}

void flags_back(struct tr *t)
{
    if (!t->in_host && t->in_state)
        flags_from_state(&t->e);
    t->in_host = true;
}

bool flags_wanted(const struct tr *t)
{
    uint32_t kill = flags_killed(t->i);

    return !t->in_host &&
           (flags_read(t->i) || (changes(t->i) && (live_after(t) & ~kill)));
}

void flags_done(struct tr *t)
{
    if (changes(t->i)) {
        t->in_host = true;
        t->in_state = false;
    }
}

/* --- stubs --------------------------------------------------------------- */

struct stub *stub_new(struct tr *t, enum stub_kind kind)
{
    struct stub *s = &t->stub[t->stubs++];

    *s = (struct stub){
        .kind = kind,
        .first = t->k,
        .last = t->k,
        .x87 = t->x87,
        .fast = t->fast != NULL,
    };
    return s;
}

void stub_jcc(struct tr *t, struct stub *s, enum host_cc cc)
{
    s->rel[s->rels++] = emit_jcc(&t->e, cc);
    s->in_state = t->in_state;
}

struct stub *stub_slow(struct tr *t)
{
    return stub_new(t, STUB_SLOW);
}

static void call_slow(struct tr *t, unsigned first, unsigned count,
                      uint32_t what)
{
    emit_mov_imm(&t->e, H_S1, first | count << 8 | what);
    emit_call_to(&t->e, t->slow_tail);
}

static void leave_by(struct tr *t, struct jit_link *l)
{
    emit_mov_imm(&t->e, H_S0, (uint64_t)(uintptr_t)l);
    emit_jmp_to(&t->e, t->jit->leave);
}

/* For leaving behind instruction k. */
static struct jit_link *link_new(struct tr *t, unsigned k, uint64_t rip)
{
    struct jit_link *l = cache_alloc(t->jit, sizeof *l);
    uint64_t base = t->cpu->fast[SEG_CS].base;

    *l = (struct jit_link){ .rip = rip, .from = t->jb };
    l->flags = t->live_after[k] != 0;
    l->cross = ((base + rip) ^ (base + t->jb->rip)) >> PAGE_SHIFT != 0;
    return l;
}

/* A slot missed.  The trampoline leaves S0 as it is and says by the carry
 * flag that there is no TLB entry either. */
static void emit_fill(struct tr *t, struct stub *s)
{
    struct host_mem tag =
        state_mem(offsetof(struct vcpu, slot_tag) + s->slot * sizeof(uint64_t));
    uint8_t *rel;

    if (s->lookup) {
        struct host_mem entry = { H_S0, H_NONE, 0, false,
                                  tlb_table(s->slot & 1) };

        emit_rm(&t->e, true, 0x33, s->reg, &entry);
        emit_rr(&t->e, true, 0x8b, H_S0, s->reg);
        emit_call_to(&t->e, t->jit->tlb_fill[s->slot & 1]);
        rel = emit_jcc(&t->e, CC_B);
        emit_patch(rel, s->owner->at);
        emit_jmp_to(&t->e, s->check);
        return;
    }
    if (s->constant)
        emit_rr(&t->e, true, 0x8b, H_S0, s->reg);
    else
        emit_rm(&t->e, true, 0x33, H_S0, &tag);
    emit_mov_imm(&t->e, s->reg, s->slot);
    emit_call_to(&t->e, t->jit->fill[s->reg == H_S1][s->slot & 1]);
    rel = emit_jcc(&t->e, CC_B);
    emit_patch(rel, s->owner->at);
    if (s->linear)
        emit_rr(&t->e, true, 0x8b, s->reg, H_S0);
    emit_jmp_to(&t->e, s->check);
}

void insn_at(struct tr *t, unsigned k)
{
    t->k = k;
    t->i = t->insn[k];
    t->row = &x86_rows[t->i->row];
    t->next = t->at[k] + t->i->len;
}

/* Can the instructions of a stub be emitted once more, access by access? */
static bool can_split(const struct tr *t, const struct stub *s)
{
    if (!t->split || s->last == s->first || s->fast ||
        t->stubs + 6 * (s->last - s->first + 1) > MAX_STUBS ||
        t->faults + 3 * (s->last - s->first + 1) > MAX_FAULTS)
        return false;
    /* instructions are counted between blocks */
    if (t->exact && unit_part(t->jb, s->first) != unit_part(t->jb, s->last))
        return false;
    for (unsigned k = s->first; k <= s->last; k++) {
        const struct x86_row *row = &x86_rows[t->insn[k]->row];

        if (t->insn[k]->flags & X86_I_END &&
            (row->jit != X86_JIT_BRANCH || !row->fl_read))
            return false;
    }
    return true;
}

/* The instructions of a stub without shared checks; then back to where the
 * main code goes on, with all as it is there. */
static void emit_split(struct tr *t, const struct stub *s)
{
    struct host_mem tired = state_mem(offsetof(struct vcpu, slot_tired));
    uint8_t saved[offsetof(struct tr, insn)];
    unsigned last = s->last;

    memcpy(saved, t, sizeof saved);
    emit_insn(&t->e,
              &(struct host_insn){ .op = 0xc7, .mem = &tired, .imm_bytes = 4 });
    windows_close(t);
    t->apart = true;
    t->in_host = false;
    t->in_state = s->in_state;
    t->x87 = s->x87;
    for (unsigned k = s->first; k <= last; k++) {
        insn_at(t, k);
        if (t->row->jit == X86_JIT_BRANCH)
            x87_record(t, &t->x87);
        insn_emit(t);
    }
    if (t->flags_at[last] & FLAGS_IN_STATE)
        flags_save(t);
    if (t->flags_at[last] & FLAGS_IN_HOST)
        flags_back(t);
    if (!t->x87_after[last])
        x87_record(t, &t->x87);
    emit_jmp_to(&t->e, t->after[last]);
    memcpy(saved + offsetof(struct tr, e), &t->e, sizeof t->e);
    memcpy(t, saved, sizeof saved);
    windows_close(t);
    t->apart = false;
}

static void emit_stub(struct tr *t, struct stub *s)
{
    s->at = t->e.p;
    for (unsigned n = 0; n < s->rels; n++)
        emit_patch(s->rel[n], t->e.p);
    if (s->fast && s->kind != STUB_FILL)
        loop_unpark(t);
    switch (s->kind) {
    case STUB_SLOW:
        if (can_split(t, s)) {
            emit_split(t, s);
            break;
        }
        x87_record(t, &s->x87);
        call_slow(t, s->first, s->last - s->first + 1, s->what);
        emit_jmp_to(&t->e, s->resume);
        break;
    case STUB_END:
        x87_record(t, &s->x87);
        call_slow(t, s->first, s->last - s->first + 1, SLOW_END);
        leave_by(t,
                 link_new(t, s->last, t->at[s->last] + t->insn[s->last]->len));
        break;
    case STUB_LINK:
        if (s->jump)
            s->link->site = emit_jcc(&t->e, CC_ALWAYS);
        s->link->stub = t->e.p;
        if (s->jump)
            emit_patch(s->link->site, t->e.p);
        if (s->restore)
            flags_from_state(&t->e);
        leave_by(t, s->link);
        break;
    case STUB_VEC:
        emit_mov_imm(&t->e, H_S0, (uint64_t)(uintptr_t)s->link);
        emit_mov_imm(&t->e, H_S1, s->vec);
        emit_call_to(&t->e, t->jit->vec_enter);
        emit_jmp_to(&t->e, s->resume);
        break;
    case STUB_FILL: emit_fill(t, s); break;
    }
}

/*
 * How far the interpreter has to go for a stub: windows that are open where
 * it would come back are gone, so it does all that relies on them, too.
 */
static void settle_ranges(struct tr *t)
{
    struct stub *wide[UNIT_INSNS];
    unsigned wides = 0;
    bool more;

    for (unsigned n = 0; n < t->stubs; n++)
        if (t->stub[n].fast)
            t->stub[n].last = t->stub[n].first;
        else if (t->stub[n].last > t->stub[n].first && wides < UNIT_INSNS)
            wide[wides++] = &t->stub[n];
    for (unsigned n = 0; wides && n < t->stubs; n++) {
        struct stub *s = &t->stub[n];

        if (s->kind != STUB_SLOW && s->kind != STUB_END)
            continue;
        do {
            more = false;
            for (unsigned k = 0; k < wides; k++) {
                if (wide[k]->first <= s->last && wide[k]->last > s->last) {
                    s->last = wide[k]->last;
                    more = true;
                }
            }
        } while (more);
    }
    for (unsigned n = 0; n < t->stubs; n++) {
        struct stub *s = &t->stub[n];

        if (s->kind != STUB_SLOW || (s->last == s->first && !s->fast))
            continue;
        s->resume = t->after[s->last];
        /* nothing comes back behind what leaves the unit */
        if (t->ended && s->last + 1 == t->count)
            s->kind = STUB_END;
    }
}

static void emit_stubs(struct tr *t)
{
    settle_ranges(t);
    /* a fault of an instruction that goes on elsewhere needs code */
    for (unsigned n = 0; n < t->faults; n++)
        if (t->fault[n].stub->kind == STUB_END)
            t->fault[n].stub->needed = true;
    /* more may come while they are emitted */
    for (unsigned n = 0; n < t->stubs; n++) {
        struct stub *s = &t->stub[n];

        if ((s->kind != STUB_SLOW && s->kind != STUB_END) || s->needed ||
            s->rels)
            emit_stub(t, s);
    }
}

/* The table for fault.c. */
static void keep_faults(struct tr *t)
{
    struct jit_block *jb = t->jb;

    jb->faults = (uint16_t)t->faults;
    jb->fault = cache_alloc(t->jit, t->faults * sizeof *jb->fault);
    for (unsigned n = 0; n < t->faults; n++) {
        const struct fault_note *f = &t->fault[n];
        const struct stub *s = f->stub;
        bool end = s->kind == STUB_END;

        jb->fault[n] = (struct jit_fault){
            .at = (uint16_t)(f->at - jb->code),
            .to = (uint16_t)((end ? s->at : s->resume) - jb->code),
            .first = (uint8_t)s->first,
            .last = (uint8_t)s->last,
            .end = end,
            .fast = s->fast,
            .in_host = f->in_host,
            .x87 = f->x87,
        };
    }
}

/* --- fallbacks and exits ------------------------------------------------- */

void use_handler(struct tr *t)
{
    flags_keep(t);
    x87_record(t, &t->x87);
    call_slow(t, t->k, 1, SLOW_ROW);
    t->in_host = t->in_state = true;
}

void end_by_handler(struct tr *t)
{
    flags_keep(t);
    x87_record(t, &t->x87);
    call_slow(t, t->k, 1, SLOW_END | SLOW_ROW);
    t->in_host = t->in_state = true;
    exit_to(t, CC_ALWAYS, t->next);
    t->ended = true;
}

/* Flags that are not the host's stay where they are.  Behind a call it is not
 * known here which are live. */
static struct stub *stub_link(struct tr *t, uint64_t rip)
{
    struct stub *s = stub_new(t, STUB_LINK);
    bool back = t->paired[t->k] && rip == t->next;

    s->link = link_new(t, t->k, rip);
    s->link->flags |= back;
    s->link->state = (back || live_after(t)) && !t->in_host && t->in_state;
    s->restore = s->link->state;
    return s;
}

void exit_to(struct tr *t, enum host_cc cc, uint64_t rip)
{
    struct stub *s;

    if (rip == t->jb->rip) {
        if (t->live[0])
            flags_back(t);
        emit_patch(emit_jcc(&t->e, cc), t->called ? t->jb->code : t->loop);
        return;
    }
    s = stub_link(t, rip);
    stub_jcc(t, s, cc);
    if (s->fast)
        s->jump = true;
    else
        s->link->site = s->rel[0];
}

void exit_by_call(struct tr *t, uint64_t rip)
{
    struct stub *s;

    if (rip == t->jb->rip) {
        if (t->live[0])
            flags_back(t);
        emit_call_to(&t->e, t->jb->code);
        return;
    }
    s = stub_link(t, rip);
    s->rel[s->rels++] = s->link->site = emit_call(&t->e);
}

/* --- a unit -------------------------------------------------------------- */

static void count_insns(struct tr *t, struct stub *out, unsigned count)
{
    struct host_mem limit = state_mem(offsetof(struct vcpu, insn_limit));

    emit_load(&t->e, true, H_S0, offsetof(struct vcpu, insns));
    emit_lea(&t->e, true, H_S0, H_S0, (int32_t)count);
    emit_rm(&t->e, true, 0x3b, H_S0, &limit);
    stub_jcc(t, out, CC_A);
    emit_store(&t->e, true, H_S0, offsetof(struct vcpu, insns));
}

/* Which parts of the vector unit a block needs. */
unsigned needs_vec(const struct block *b)
{
    unsigned needs = 0;

    for (unsigned k = 0; k < b->count; k++)
        needs |= vec_needs(&b->insn[k]) | x87_needs(&b->insn[k]);
    return needs;
}

/* At the start of a part: are the vector registers there, if it uses them? */
static void vec_check(struct tr *t, struct jit_part *p)
{
    struct host_mem live = state_mem(offsetof(struct vcpu, vec_live));
    unsigned vec = needs_vec(p->b) & ~t->vec, bits;
    struct stub *s;

    t->vec |= vec;
    p->vec = (uint8_t)t->vec;
    if (!vec)
        return;
    bits = vec_live_bits(vec);
    windows_close(t);
    flags_keep(t);
    flags_lost(t);
    s = stub_new(t, STUB_VEC);
    s->vec = vec;
    s->link = &t->jb->self;
    if (p->first) {
        s->link = cache_alloc(t->jit, sizeof *s->link);
        *s->link = (struct jit_link){ .rip = p->rip, .from = t->jb };
    }
    for (unsigned bit = 1; bit <= bits; bit <<= 1) {
        if (!(bits & bit))
            continue;
        emit_insn(&t->e,
                  &(struct host_insn){
                      .op = 0xf6, .mem = &live, .imm_bytes = 1, .imm = bit });
        stub_jcc(t, s, CC_E);
    }
    s->resume = t->e.p;
}

/*
 * The instruction goes on in the next page: is that still the page there, and
 * are its bytes still the same?  The unit is taken back for stores into the
 * first page only.
 */
static void tail_check(struct tr *t)
{
    const struct block_tail *tail = t->jb->b->tail;
    uint64_t lin = jit_tail_lin(t->jb->rip);
    struct host_mem entry = { H_S1, H_NONE, 0, false,
                              (int32_t)offsetof(struct tlb, e[ACCESS_EXEC]) +
                                  (int32_t)(TLB_INDEX(lin) *
                                            sizeof(struct tlb_entry)) };
    struct host_mem at_s1 = { H_S1, H_NONE, 0, false, 0 };
    struct stub *out;

    flags_keep(t);
    flags_lost(t);
    out = stub_new(t, STUB_LINK);
    out->link = &t->jb->self;
    out->restore = t->in_state;
    emit_load(&t->e, true, H_S1, offsetof(struct vcpu, tlb));
    emit_mov_imm(&t->e, H_S0, lin);
    emit_rm(&t->e, true, 0x3b, H_S0, &entry);
    stub_jcc(t, out, CC_NE);
    entry.disp += (int32_t)offsetof(struct tlb_entry, host);
    emit_mov_imm(&t->e, H_S0, (uint64_t)(uintptr_t)tail->host);
    emit_rm(&t->e, true, 0x3b, H_S0, &entry);
    stub_jcc(t, out, CC_NE);
    emit_mov_imm(&t->e, H_S1, (uint64_t)(uintptr_t)&tail->gen);
    emit_rm(&t->e, false, 0x8b, H_S0, &at_s1);
    emit_mov_imm(&t->e, H_S1, (uint64_t)(uintptr_t)tail->gen_now);
    emit_rm(&t->e, false, 0x3b, H_S0, &at_s1);
    stub_jcc(t, out, CC_NE);
}

static void emit_nop(struct emit *e)
{
    static const uint8_t nop[JIT_ENTRY] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

    memcpy(e->p, nop, sizeof nop);
    e->p += sizeof nop;
}

/*
 * The entry.  A jump from the unit to its own start need not look for vector
 * registers again, but it must look for requests: a store into code of this
 * page makes one, because the entry that was patched is not passed.
 */
static void prologue(struct tr *t)
{
    struct host_mem requests = state_mem(offsetof(struct vcpu, requests));
    struct host_mem floor = state_mem(offsetof(struct vcpu, jit_floor));
    struct host_mem end = state_mem(offsetof(struct vcpu, code_end));
    bool limited = t->jb->mode & MODE_LIMIT;
    bool poll = t->exact || !unit_goes_forward(t);
    struct stub *out;

    t->jb->code_end = unit_code_end(t);
    t->loop = t->jb->code = t->e.p;
    vec_check(t, t->jb->part);
    if (t->jb->b->tail)
        tail_check(t);
    if (!poll && !limited && t->e.p == t->jb->code) {
        emit_nop(&t->e); /* that no link changes */
    }
    if (!poll && !limited)
        return;
    flags_keep(t);
    flags_lost(t);
    out = stub_new(t, STUB_LINK);
    out->link = &t->jb->self;
    out->restore = t->in_state;
    if (t->jb->probe)
        loop_probe_entry(t);
    if (!t->live[0] && !t->jb->b->tail)
        t->loop = t->e.p;
    if (t->jb->probe)
        loop_probe(t, out);
    if (poll) {
        emit_mi(&t->e, false, ALU_CMP, &requests, 0);
        stub_jcc(t, out, CC_NE);
    }
    if (limited) {
        emit_mi(&t->e, false, ALU_CMP, &end, (int32_t)t->jb->code_end);
        stub_jcc(t, out, CC_B);
    }
    if (unit_calls(t)) {
        emit_rm(&t->e, true, 0x3b, H_RSP, &floor);
        stub_jcc(t, out, CC_B);
    }
    /* last: who leaves before has executed nothing */
    if (t->exact)
        count_insns(t, out, t->jb->b->count);
}

/* The count of a block in the middle of a unit, and the look for requests
 * that the interpreter has there: interrupts must not depend on units. */
void count_part(struct tr *t, const struct jit_part *p)
{
    struct host_mem requests = state_mem(offsetof(struct vcpu, requests));
    struct stub *out;

    if (!t->exact)
        return;
    /* nobody may get to a later block by the way of a shared check */
    windows_close(t);
    flags_keep(t);
    flags_lost(t);
    out = stub_new(t, STUB_LINK);
    out->link = p->first ? link_new(t, t->k, p->rip) : &t->jb->self;
    out->restore = t->in_state;
    emit_mi(&t->e, false, ALU_CMP, &requests, 0);
    stub_jcc(t, out, CC_NE);
    count_insns(t, out, p->b->count);
}

void insn_emit(struct tr *t)
{
    bool end = t->i->flags & X86_I_END;
    bool done = false;
    struct emit before = t->e;
    unsigned stubs = t->stubs, faults = t->faults, last[WINDOWS];
    bool in_host = t->in_host, in_state = t->in_state;
    struct x87_last x87 = t->x87;

    for (unsigned n = 0; n < WINDOWS; n++)
        last[n] = t->win[n].open ? t->win[n].owner->last : 0;
    t->keep = false;
    switch ((enum x86_jit_class)t->row->jit) {
    case X86_JIT_COPY:
    case X86_JIT_COPYM:
        done = !end && (emit_x87(t) || emit_special(t) || emit_generic(t));
        break;
    case X86_JIT_BRANCH: done = emit_branch(t); break;
    case X86_JIT_STRING: done = emit_string(t); break;
    case X86_JIT_SPECIAL:
    case X86_JIT_CALL:
        done = emit_system(t) || (!end && (emit_x87(t) || emit_special(t)));
        break;
    default: break;
    }
    if (done && t->keep)
        return;
    if (done) {
        windows_close(t);
        return;
    }
    for (unsigned n = 0; n < WINDOWS; n++)
        if (t->win[n].open && t->win[n].owner < &t->stub[stubs])
            t->win[n].owner->last = last[n];
    windows_close(t);
    t->e = before;
    t->stubs = stubs;
    t->faults = faults;
    t->in_host = in_host;
    t->in_state = in_state;
    t->x87 = x87;
    if (end || t->k + 1 == t->count)
        end_by_handler(t);
    else
        use_handler(t);
}

static void body(struct tr *t)
{
    struct jit_part *p = t->jb->part;

    for (t->k = 0;; t->k++) {
        insn_at(t, t->k);
        if (p + 1 < t->jb->part + t->jb->parts && t->k == p[1].first) {
            x87_record(t, &t->x87);
            vec_check(t, ++p);
            count_part(t, p);
        }
        if (t->row->jit == X86_JIT_BRANCH)
            x87_record(t, &t->x87);
        insn_emit(t);
        t->after[t->k] = t->e.p;
        t->flags_at[t->k] = (t->in_host ? FLAGS_IN_HOST : 0) |
                            (t->in_state ? FLAGS_IN_STATE : 0);
        t->x87_after[t->k] = t->x87.pending;
        if (t->ended || t->k + 1 == t->count)
            break;
    }
    if (t->ended) {
        unit_cut(t, t->k + 1);
        return;
    }
    x87_record(t, &t->x87);
    exit_to(t, CC_ALWAYS, t->next);
}

static void prepare(struct tr *t, struct vcpu *cpu, struct block *b,
                    struct jit_block *jb)
{
    unsigned code = b->mode & MODE_CODE;

    memset(t, 0, offsetof(struct tr, insn));
    t->cpu = cpu;
    t->jit = cpu->jit;
    t->jb = jb;
    t->bits = code == MODE_CODE64 ? 64 : code == MODE_CODE32 ? 32 : 16;
    t->sp_size = cpu->sp_size;
    memcpy(t->home, host_of, sizeof t->home);
    t->flat = b->mode & MODE_FLAT;
    t->exact = t->jit->exact;
    t->in_host = true;
    t->stubs = t->faults = 0;
    memset(t->win, 0, sizeof t->win);
    t->plan = t->fast = NULL;
    t->split = b->split;
    t->apart = false;
    t->e.p = t->jit->at;
}

struct jit_block *translate(struct vcpu *cpu, struct block *b, uint64_t rip)
{
    struct tr t;
    struct jit *j = cpu->jit;
    struct jit_block *jb;

    if ((b->mode & MODE_NOJIT) || !b->host || b->dead ||
        rip + b->bytes > cpu->code_end)
        return NULL;
    cache_room(cpu);
    jb = cache_alloc(j, sizeof *jb);
    *jb = (struct jit_block){ .b = b, .rip = rip, .mode = b->mode };
    jb->self = (struct jit_link){ .rip = rip, .from = jb };
    prepare(&t, cpu, b, jb);
    unit_form(&t, b, rip);
    t.slow_tail = t.e.p;
    emit_mov_imm(&t.e, H_S0, (uint64_t)(uintptr_t)jb);
    emit_jmp_to(&t.e, j->slow);
    loop_plan(&t);
    prologue(&t);
    if (t.plan)
        emit_nop(&t.e); /* or a jump: loop_emit() */
    t.body = t.e.p;
    body(&t);
    loop_emit(&t);
    emit_stubs(&t);
    keep_faults(&t);
    /* where a patched entry leads */
    jb->self_stub = t.e.p;
    leave_by(&t, &jb->self);
    jb->state = jb->code;
    if (t.live[0]) {
        jb->state = t.e.p;
        flags_from_state(&t.e);
        emit_jmp_to(&t.e, jb->code);
    }
    jb->code_bytes = (uint32_t)(t.e.p - j->at);
    j->at = t.e.p;
    j->n_insns += t.count;
    cache_add(cpu, jb);
    return jb;
}
