/* SPDX-License-Identifier: Apache-2.0 */
/* See program.h. */
#include "program.h"

#include <string.h>

#include "cpu/features.h"
#include "native.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R14 = 14, R15 };

#define BASE_ADDRESS (NATIVE_WINDOW + 0x1800u)
#define COUNTERS     (NATIVE_WINDOW + 0x40u)   /* of loops, 4 bytes each */
#define IMAGE        (NATIVE_WINDOW + 0x2c00u) /* of FXSAVE and its kin */
#define STACK_TOP    (NATIVE_WINDOW + 0x3f00u)

struct maker {
    struct program *p;
    struct random *r;
    uint8_t base, scratch; /* window's address; free for offsets */
    unsigned budget;       /* instructions left to make */
    unsigned depth;        /* of loops and calls */
    unsigned loops;        /* made so far: each has its counter */
    bool full;             /* the code has a hole */
};

/* --- emitting ------------------------------------------------------------ */

static void emit(struct maker *m, const void *bytes, unsigned n)
{
    if (m->p->len + n > PROGRAM_BYTES) {
        m->budget = 0;
        m->full = true;
        return;
    }
    memcpy(m->p->code + m->p->len, bytes, n);
    m->p->len += n;
}

#define EMIT(m, ...)                          \
    emit(m, (const uint8_t[]){ __VA_ARGS__ }, \
         sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void emit32(struct maker *m, uint32_t v)
{
    emit(m, &v, 4);
}

/* A 32-bit displacement at `at`, to where the code now ends. */
static void patch(struct maker *m, unsigned at)
{
    uint32_t d = m->p->len - (at + 4);

    if (at + 4 <= m->p->len)
        memcpy(m->p->code + at, &d, 4);
}

/* [disp32] in both code sizes: ModRM and address. */
static void emit_absolute(struct maker *m, unsigned reg, uint32_t addr)
{
    if (m->p->bits == 32)
        EMIT(m, (uint8_t)(reg << 3 | 5));
    else
        EMIT(m, (uint8_t)(reg << 3 | 4), 0x25);
    emit32(m, addr);
}

/* mov scratch32, imm32 */
static void emit_load(struct maker *m, unsigned reg, uint32_t v)
{
    if (reg >= 8)
        EMIT(m, 0x41);
    EMIT(m, (uint8_t)(0xb8 + (reg & 7)));
    emit32(m, v);
}

static void note_item(struct maker *m, unsigned from)
{
    struct program *p = m->p;

    if (p->items == PROGRAM_ITEMS || p->len == from)
        return;
    p->item[p->items].at = (uint16_t)from;
    p->item[p->items].len = (uint16_t)(p->len - from);
    p->items++;
}

/* --- single instructions ------------------------------------------------- */

static bool is_any(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strncmp(name, *list, strlen(*list)) == 0)
            return true;
    return false;
}

/* Rows that need more than the promises of struct trial_limits. */
static bool is_fit(const struct x86_row *row, unsigned bits)
{
    static const char *const other[] = {
        "push",    "pop",    "enter",   "leave",  "xlat",       "mask",
        "vmask",   "div",    "idiv",    "aam",    "ldmxcsr",    "vldmxcsr",
        "fldcw",   "fldenv", "fnstenv", "fnsave", "frstor",     "fxsave",
        "fxrstor", "xsave",  "xrstor",  "ud",     "cmpxchg16b", "pause",
        "clflush", "clwb",   "lar",     "lsl",    "ver",        NULL,
    };
    static const char *const bit[] = { "bt", NULL };

    if (!(row->attrs & X86_A_USER) || row->notest ||
        (row->attrs & (X86_A_END | X86_A_COND | X86_A_IO | X86_A_CPL0)) ||
        row->valid == (bits == 64 ? X86_VALID_NO64 : X86_VALID_ONLY64) ||
        (bits != 64 && row->w == 1 && !row->vex) ||
        is_any(row->mnemonic, other))
        return false;
    if (is_any(row->mnemonic, bit) && row->opcode != 0xba)
        return false;
    return !trial_operand(row, X86_OP_X) && !trial_operand(row, X86_OP_Y) &&
           !trial_operand(row, X86_OP_O) && !trial_operand(row, X86_OP_S) &&
           !trial_operand(row, X86_OP_VSIB_X) &&
           !trial_operand(row, X86_OP_VSIB_Y);
}

/* Integer instructions make up most of real programs.  With p->file most are
 * from there. */
static const struct x86_row *pick_row(struct maker *m)
{
    const struct x86_row *row;

    do
        row = &x86_rows[1 + random_below(m->r, x86_row_count - 1)];
    while (!is_fit(row, m->p->bits) ||
           (m->p->file
                ? strcmp(row->file, m->p->file) && percent(m->r, 90)
                : strcmp(row->file, "x86-int.def") && percent(m->r, 60)));
    return row;
}

static void emit_plain(struct maker *m)
{
    struct trial_limits limits = {
        .base = m->base,
        .index = TRIAL_NOREG,
        .keep = 1u << m->base | 1u << RSP,
    };
    const struct x86_row *row = pick_row(m);
    unsigned from = m->p->len;
    struct trial t;

    /* A byte register's number may mean the second byte of these. */
    if (m->p->bits == 32)
        limits.keep |= 1u << (m->base - 4) | 1u << (m->base & 3);
    if (percent(m->r, 30)) {
        /* mov scratch, some register; and scratch, 0x1e0 */
        unsigned reg = random_below(m->r, 8);
        limits.index = m->scratch;
        if (m->p->bits == 64)
            EMIT(m, 0x41);
        EMIT(m, 0x89, (uint8_t)(0xc0 | reg << 3 | (m->scratch & 7)));
        if (m->p->bits == 64)
            EMIT(m, 0x41);
        EMIT(m, 0x81, (uint8_t)(0xe0 | (m->scratch & 7)), 0xe0, 1, 0, 0);
    }
    if (trial_encode(&t, row, m->p->bits, &limits, m->r))
        emit(m, t.insn, t.len);
    note_item(m, from);
}

static void emit_string(struct maker *m)
{
    static const uint8_t opcodes[] = { 0xa4, 0xa5, 0xa6, 0xa7, 0xaa,
                                       0xab, 0xac, 0xad, 0xae, 0xaf };
    unsigned from = m->p->len, dice = random_below(m->r, 10);

    emit_load(m, RSI, BASE_ADDRESS + random_below(m->r, 0x400));
    emit_load(m, RDI, BASE_ADDRESS + random_below(m->r, 0x400));
    emit_load(m, RCX, random_below(m->r, 80));
    EMIT(m, (uint8_t)(0xfc + random_below(m->r, 2)));
    if (dice < 8)
        EMIT(m, (uint8_t)(0xf2 + (dice & 1)));
    if (m->p->bits == 64 && percent(m->r, 30))
        EMIT(m, 0x48);
    EMIT(m, opcodes[random_below(m->r, sizeof opcodes)]);
    note_item(m, from);
}

/* mov dword [addr], v */
static void emit_store(struct maker *m, uint32_t addr, uint32_t v)
{
    EMIT(m, 0xc7);
    emit_absolute(m, 0, addr);
    emit32(m, v);
}

/* Now and then an exception that ends the program is unmasked. */
static uint32_t random_masks(struct maker *m)
{
    return percent(m->r, 10) ? (uint32_t)random64(m->r) & 0x3f : 0x3f;
}

/*
 * Control words with most exceptions masked; the whole state to memory and
 * back, without the pointers to the last instruction: the host's kernel may
 * lose them.
 */
static void emit_control(struct maker *m)
{
    unsigned from = m->p->len;

    switch (random_below(m->r, 4)) {
    case 0:
        emit_store(m, IMAGE, 0x40 | random_masks(m) | (random64(m->r) & 0xf00));
        EMIT(m, 0xd9);
        emit_absolute(m, 5, IMAGE);
        break;
    case 1:
        emit_store(m, IMAGE, random_masks(m) << 7 | (random64(m->r) & 0xe07f));
        EMIT(m, 0x0f, 0xae);
        emit_absolute(m, 2, IMAGE);
        break;
    case 2:
        EMIT(m, 0x0f, 0xae);
        emit_absolute(m, 0, IMAGE);
        EMIT(m, 0x66, 0xc7); /* the opcode */
        emit_absolute(m, 0, IMAGE + 6);
        EMIT(m, 0, 0);
        for (unsigned k = 8; k < 24; k += 4)
            emit_store(m, IMAGE + k, 0);
        emit_store(m, IMAGE + 28, 0xffff); /* which bits MXCSR has */
        EMIT(m, 0x0f, 0xae);
        emit_absolute(m, 1, IMAGE);
        break;
    case 3:
        EMIT(m, 0xdd);
        emit_absolute(m, 6, IMAGE);
        for (unsigned k = 12; k < 28; k += 4)
            emit_store(m, IMAGE + k, 0);
        EMIT(m, 0xdd);
        emit_absolute(m, 4, IMAGE);
        break;
    }
    note_item(m, from);
}

/* Changes the immediate of the instruction after next. */
static void emit_patching(struct maker *m)
{
    unsigned from = m->p->len, at;

    EMIT(m, 0xc6);
    emit_absolute(m, 0, 0);
    EMIT(m, (uint8_t)random64(m->r));
    EMIT(m, 0xb8 + RDX);
    at = m->p->len;
    emit32(m, (uint32_t)random64(m->r));
    if (m->p->len == at + 4) {
        uint32_t addr = NATIVE_INSN + at + random_below(m->r, 4);
        memcpy(m->p->code + at - 6, &addr, 4);
    }
    note_item(m, from);
}

/* --- structure ----------------------------------------------------------- */

static void emit_items(struct maker *m, unsigned n);

static void emit_skip(struct maker *m)
{
    unsigned at;

    EMIT(m, 0x0f, (uint8_t)(0x80 | random_below(m->r, 16)));
    at = m->p->len;
    emit32(m, 0);
    emit_items(m, 1 + random_below(m->r, 6));
    patch(m, at);
}

static void emit_loop(struct maker *m)
{
    uint32_t counter = COUNTERS + m->loops++ % 64 * 4;
    unsigned top;

    EMIT(m, 0xc7);
    emit_absolute(m, 0, counter);
    emit32(m, 1 + random_below(m->r, 6));
    top = m->p->len;
    m->depth++;
    emit_items(m, 1 + random_below(m->r, 10));
    m->depth--;
    EMIT(m, 0x83);
    emit_absolute(m, 5, counter);
    EMIT(m, 1, 0x0f, 0x85);
    emit32(m, top - (m->p->len + 4));
}

/* Registers of a loop that walks along memory. */
struct walk {
    uint8_t p, q;    /* pointers */
    uint8_t i, copy; /* index, of which there may be a copy */
    bool stores;     /* so it must keep away from the stack */
};

/* op reg, [base + index << scale + disp]; a map of 1 is 0F */
static void emit_indexed(struct maker *m, bool w, unsigned map, unsigned op,
                         unsigned reg, unsigned base, unsigned index,
                         unsigned scale, int32_t disp)
{
    EMIT(m, (uint8_t)(0x40 | w << 3 | reg >> 3 << 2 | index >> 3 << 1 |
                      base >> 3));
    if (map)
        EMIT(m, 0x0f);
    EMIT(m, (uint8_t)op, (uint8_t)(0x84 | (reg & 7) << 3),
         (uint8_t)(scale << 6 | (index & 7) << 3 | (base & 7)));
    emit32(m, (uint32_t)disp);
}

/* op rm, reg of two registers */
static void emit_pair(struct maker *m, bool w, unsigned op, unsigned reg,
                      unsigned rm)
{
    EMIT(m, (uint8_t)(0x40 | w << 3 | reg >> 3 << 2 | rm >> 3), (uint8_t)op,
         (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7)));
}

static void emit_walk_access(struct maker *m, const struct walk *w)
{
    static const struct {
        uint8_t map, op;
    } ops[] = {
        { 0, 0x8b }, { 0, 0x03 }, { 0, 0x13 }, { 0, 0x39 }, { 1, 0xb6 },
        { 1, 0x10 }, { 1, 0xaf }, { 1, 0x58 }, { 0, 0x8d }, { 1, 0x28 },
        { 0, 0x63 }, { 0, 0x2b }, { 1, 0xbe }, /* stores: */
        { 0, 0x89 }, { 0, 0x01 }, { 0, 0x31 }, { 0, 0x88 }, { 1, 0x11 },
        { 0, 0x87 }, { 1, 0x29 },
    };
    enum { STORES = 7 };
    static const uint8_t regs[] = { RAX, RDX, 13 };
    unsigned n = random_below(m->r, sizeof ops / sizeof ops[0] -
                                        (w->stores ? 0 : STORES));
    unsigned index = 4; /* none */
    unsigned from = m->p->len;

    if (percent(m->r, 40))
        index = percent(m->r, 50) ? w->i : w->copy;
    if (index == w->copy)
        emit_pair(m, percent(m->r, 50), 0x89, w->i, w->copy);
    if (percent(m->r, 10)) {
        EMIT(m, 0xff);
        emit_absolute(m, 0, COUNTERS - 4);
    } else {
        emit_indexed(m, percent(m->r, 50), ops[n].map, ops[n].op,
                     regs[random_below(m->r, sizeof regs)],
                     percent(m->r, 60) ? w->p : w->q, index,
                     index == 4 ? 0 : random_below(m->r, 4),
                     (int32_t)random_below(m->r, 200) - 100);
    }
    note_item(m, from);
}

/* reg += something, 32 at most if it is to go slowly */
static void emit_walk_step(struct maker *m, unsigned reg, bool up, bool slow)
{
    static const uint8_t steps[] = { 1, 2, 4, 8, 16, 24, 32, 96, 127 };
    uint8_t by = steps[random_below(m->r, sizeof steps - (slow ? 2 : 0))];
    bool w = up || percent(m->r, 70);
    uint8_t rex = (uint8_t)(0x40 | w << 3 | reg >> 3);
    unsigned from = m->p->len, low = reg & 7;

    switch (random_below(m->r, 5)) {
    case 0: EMIT(m, rex, 0x83, (uint8_t)(0xe8 | low), up ? -by : by); break;
    case 1: EMIT(m, rex, 0xff, (uint8_t)(up ? 0xc0 | low : 0xc8 | low)); break;
    case 2:
        EMIT(m, rex, 0x81, (uint8_t)(0xc0 | low));
        emit32(m, by * (!slow && percent(m->r, 20) ? 16u : 1u));
        break;
    case 3:
        emit_indexed(m, w, 0, 0x8d, reg, reg, 4, 0, up ? by : -(int32_t)by);
        break;
    default: EMIT(m, rex, 0x83, (uint8_t)(0xc0 | low), by);
    }
    note_item(m, from);
}

/* A loop over memory as compilers make them, often to its end or beyond. */
static void emit_walk(struct maker *m)
{
    static const uint8_t regs[] = { RBX, RSI, RDI, RBP, 8, 9, 10, 11, 12 };
    unsigned k = random_below(m->r, sizeof regs);
    struct walk w = { .p = regs[k],
                      .q = regs[(k + 1) % sizeof regs],
                      .i = regs[(k + 4) % sizeof regs],
                      .copy = m->scratch };
    unsigned top, at, over = 0;

    w.stores = percent(m->r, 50);
    /* and away from loops' counters */
    emit_load(m, w.p, NATIVE_WINDOW + 0x1000 + random_below(m->r, 0x1800));
    emit_load(m, w.q, NATIVE_WINDOW + 0x1000 + random_below(m->r, 0x1800));
    emit_load(m, w.i, random_below(m->r, 64));
    emit_load(m, RCX, 1 + random_below(m->r, w.stores ? 100 : 300));
    top = m->p->len;
    for (unsigned n = 1 + random_below(m->r, 4); n; n--) {
        at = 0;
        if (percent(m->r, 15)) {
            EMIT(m, 0x0f, (uint8_t)(0x80 | random_below(m->r, 16)));
            at = m->p->len;
            emit32(m, 0);
        }
        emit_walk_access(m, &w);
        if (at && percent(m->r, 50))
            patch(m, at);
        else if (at)
            over = at;
    }
    emit_walk_step(m, w.p, percent(m->r, 70), w.stores);
    if (percent(m->r, 70))
        emit_walk_step(m, w.q, percent(m->r, 80), w.stores);
    if (percent(m->r, 70) && !w.stores)
        emit_walk_step(m, w.i, percent(m->r, 80), false);
    if (over && percent(m->r, 50))
        patch(m, over);
    EMIT(m, 0x83, 0xe8 | RCX, 1, 0x0f, 0x85);
    emit32(m, top - (m->p->len + 4));
    if (over)
        patch(m, over);
}

static void emit_call(struct maker *m)
{
    unsigned over, kind = random_below(m->r, 3), call;

    /* jmp over; function: ...; ret; over: call function */
    EMIT(m, 0xe9);
    over = m->p->len;
    emit32(m, 0);
    call = m->p->len;
    m->depth++;
    emit_items(m, 1 + random_below(m->r, 8));
    m->depth--;
    if (kind == 1)
        EMIT(m, 0xc2, 0, 0);
    else
        EMIT(m, 0xc3);
    patch(m, over);
    if (kind == 2) {
        emit_load(m, m->scratch, NATIVE_INSN + call);
        if (m->p->bits == 64)
            EMIT(m, 0x41);
        EMIT(m, 0xff, (uint8_t)(0xd0 | (m->scratch & 7)));
    } else {
        EMIT(m, 0xe8);
        emit32(m, call - (m->p->len + 4));
    }
}

static void emit_stack(struct maker *m)
{
    static const uint8_t regs[] = { RAX, RCX, RDX, RSI, RDI };

    EMIT(m, (uint8_t)(0x50 + random_below(m->r, 8)));
    emit_items(m, 1 + random_below(m->r, 3));
    EMIT(m, (uint8_t)(0x58 + regs[random_below(m->r, sizeof regs)]));
}

static void emit_items(struct maker *m, unsigned n)
{
    for (; n && m->budget; n--) {
        unsigned dice = random_below(m->r, 100);

        m->budget--;
        if (dice < 3 && m->p->bits == 64 && m->depth < 2)
            emit_walk(m);
        else if (dice < 7 && m->depth < 3)
            emit_loop(m);
        else if (dice < 12 && m->depth < 3)
            emit_call(m);
        else if (dice < 21)
            emit_skip(m);
        else if (dice < 25)
            emit_stack(m);
        else if (dice < 29)
            emit_string(m);
        else if (dice < 31)
            emit_patching(m);
        else if (dice < 33)
            emit_control(m);
        else
            emit_plain(m);
    }
}

static void no_memory(uint64_t addr, const void *bytes, unsigned n)
{
}

static void make_registers(const struct maker *m)
{
    static const struct x86_row plain = { .mnemonic = "" };
    struct native_regs *in = native_in;
    struct trial t = { .row = &plain,
                       .bits = m->p->bits,
                       .base = TRIAL_NOREG,
                       .index = TRIAL_NOREG };

    trial_state(&t, m->r, no_memory);
    in->gpr[m->base] = BASE_ADDRESS;
    in->gpr[RSP] = STACK_TOP;
    in->x.mxcsr |= 0x1f80; /* nothing ends the program early */
    in->x.fcw |= 0x3f;
    in->x.fsw &= 0x7f7f;
}

void program_make(struct program *p, unsigned bits, unsigned size,
                  struct random *r)
{
    struct maker m = {
        .p = p,
        .r = r,
        .base = bits == 64 ? R15 : RBP,
        .scratch = bits == 64 ? R14 : RBX,
    };

    p->bits = bits;
    make_registers(&m);
    do {
        p->len = p->items = 0;
        m.loops = 0;
        m.full = false;
        for (m.budget = size; m.budget;)
            emit_items(&m, m.budget);
    } while (m.full);
}
