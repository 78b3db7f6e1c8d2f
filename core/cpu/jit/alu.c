/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions that run on the host as they are: the same opcode with other
 * registers and what emit_mem() says for the memory operand.  Integer and
 * vector instructions alike; vector registers have their own numbers.
 */
#include "cpu/decode.h"
#include "cpu/interp/interp.h"
#include "cpu/jit/translate.h"

/* What the row's operands come to. */
struct shape {
    const struct x86_operand *mem; /* the operand in memory */
    bool vec;      /* vector or MMX registers: W is an opcode extension */
    bool xmm, mmx; /* which of them */
    bool high;     /* AH, CH, DH, BH is used */
    bool ok;
    bool has_reg, has_rm, has_vvvv;
    uint8_t imm_bytes;
    uint64_t imm;
};

static bool is_high(const struct x86_insn *i, const struct x86_operand *op,
                    unsigned n)
{
    return op->size == X86_SZ_B && n >= 4 && n < 8 &&
           !(i->flags & (X86_I_REX | X86_I_VEX));
}

static unsigned imm_bytes(const struct x86_insn *i,
                          const struct x86_operand *op)
{
    switch (op->size) {
    case X86_SZ_B:
    case X86_SZ_BS: return 1;
    case X86_SZ_W: return 2;
    case X86_SZ_Z: return i->osz == 2 ? 2 : 4;
    case X86_SZ_V: return i->osz;
    default: return 0;
    }
}

static void take_operand(struct shape *s, const struct x86_insn *i,
                         const struct x86_operand *op)
{
    bool mem = i->flags & X86_I_MEM;

    switch (op->kind) {
    case X86_OP_NONE:
    case X86_OP_ONE: break;
    case X86_OP_E:
    case X86_OP_R:
    case X86_OP_Z:
    case X86_OP_M:
        if (mem) {
            s->mem = op;
        } else {
            s->has_rm = true;
            s->high |= is_high(i, op, i->rm);
        }
        break;
    case X86_OP_G:
        s->has_reg = true;
        s->high |= is_high(i, op, i->reg);
        break;
    case X86_OP_B: s->has_vvvv = true; break;
    case X86_OP_I:
        s->imm_bytes = (uint8_t)imm_bytes(i, op);
        s->imm = i->imm;
        s->ok &= s->imm_bytes != 0;
        break;
    case X86_OP_GPR: /* AL, CL, DX, rAX are where they should be */
        s->ok &= op->reg != RSP;
        break;
    case X86_OP_V:
    case X86_OP_H:
    case X86_OP_U: s->vec = s->xmm = true; break;
    case X86_OP_W:
        s->vec = s->xmm = true;
        if (mem)
            s->mem = op;
        break;
    case X86_OP_P:
    case X86_OP_N: s->vec = s->mmx = true; break;
    case X86_OP_Q:
        s->vec = s->mmx = true;
        if (mem)
            s->mem = op;
        break;
    case X86_OP_L:
        s->vec = s->xmm = true;
        s->imm_bytes = 1;
        s->imm = (uint64_t)i->is4 << 4;
        break;
    default: s->ok = false;
    }
}

static struct shape shape_of(const struct x86_insn *i,
                             const struct x86_row *row)
{
    struct shape s = { .ok = true };

    for (unsigned n = 0; n < X86_MAX_OPERANDS; n++)
        take_operand(&s, i, &row->op[n]);
    return s;
}

static bool is_division(const struct x86_row *row)
{
    return row->map == 0 && !row->vex && (row->opcode & 0xfe) == 0xf6 &&
           row->ext >= 6;
}

/* Reads its first operand only. */
static bool is_read_only(const struct x86_row *row)
{
    static const char *const names[] = { "cmp",  "test", "bt",  "mul",
                                         "imul", "div",  "idiv" };

    for (unsigned n = 0; n < sizeof names / sizeof names[0]; n++)
        if (!strcmp(row->mnemonic, names[n]))
            return true;
    return false;
}

static bool implied_w(const struct tr *t, const struct shape *s)
{
    const struct x86_row *row = t->row;

    if (row->vex && t->bits != 64)
        return row->w == 1;
    if (row->w >= 0)
        return row->w;
    return s->vec || row->vex ? t->i->vw : t->i->osz == 8;
}

static struct host_insn host_form(const struct tr *t, const struct shape *s)
{
    const struct x86_insn *i = t->i;
    const struct x86_row *row = t->row;
    bool mandatory = row->prefix == X86_PFX_66;
    struct host_insn h = {
        .vex = row->vex,
        .map = row->map,
        .op = row->opcode,
        .lock = i->flags & X86_I_LOCK,
        .rex = i->flags & X86_I_REX,
        .w = implied_w(t, s),
        .l = row->l == 1,
        .vvvv = i->vvvv,
        .plus_r = row->plus_r,
        .bare = !row->has_modrm && !row->plus_r,
        .reg = i->modrm >> 3 & 7,
        .rm = i->rm,
        .imm_bytes = s->imm_bytes,
        .imm = s->imm,
    };

    h.p66 = mandatory ||
            (!row->vex && !s->vec && i->osz == 2 && row->prefix != X86_PFX_NP);
    h.rep = row->prefix == X86_PFX_F3   ? 0xf3
            : row->prefix == X86_PFX_F2 ? 0xf2
                                        : 0;
    if (row->ext < 0)
        h.reg = i->reg;
    if (row->map == 0 && row->opcode == 0x82)
        h.op = 0x80; /* the same, but not in 64-bit code */
    if (row->plus_r && row->map == 0 && (row->opcode & 0xf0) == 0x40) {
        h.op = 0xff; /* INC, DEC: these bytes are REX here */
        h.reg = row->opcode >> 3 & 1;
        h.plus_r = false;
    }
    return h;
}

/* AH and the like with memory: no operand may need REX, so the address is
 * in RBP for a moment; byte registers are in the first four. */
static void with_high(struct tr *t, struct host_insn *h, struct stub *stub,
                      const struct host_mem *at)
{
    static const struct host_mem m = { H_RBP, H_NONE, 0, false, 0 };

    /* if it faults, it has to be here, where all registers are right */
    fault_note(t, stub);
    emit_insn(&t->e, &(struct host_insn){
                         .map = 1, .op = 0xb6, .reg = H_S0, .mem = at });
    window_close_reg(t, H_S1);
    emit_rm(&t->e, true, 0x8d, H_S1, at);
    emit_rr(&t->e, true, 0x87, H_S1, m.base);
    h->mem = &m;
    emit_insn(&t->e, h);
    h->mem = NULL;
    emit_rr(&t->e, true, 0x87, H_S1, m.base);
}

#define BITS(a, b) (1u << (a) | 1u << (b))
#define FIRST_FOUR (BITS(RAX, RCX) | BITS(RDX, RBX))

/* General registers that the row writes although they are not among its
 * operands, at most. */
static uint32_t writes_implied(const struct x86_row *row)
{
    unsigned op = row->opcode;
    bool some;

    switch (row->map) {
    case 0:
        if ((op & 0xfe) == 0x98)
            return BITS(RAX, RDX);
        if ((op & 0xfe) == 0xf6)
            return row->ext >= 4 ? BITS(RAX, RDX) : 0;
        some = !(op < 0x98 || (op & 0xfe) == 0xa8 || (op & 0xf0) == 0xb0 ||
                 (op & 0xf8) == 0xc0 || (op & 0xfc) == 0xd0 || op >= 0xfe);
        break;
    case 1:
        some = op < 0x10 || (op & 0xf0) == 0x20 ? (op & 0xf8) != 0x28
               : op >= 0x30 && op < 0x38
                   ? true
                   : op == 0xb0 || op == 0xb1 || op == 0xc7 || op == 0xa2;
        break;
    default: some = row->map == 3 && (op & 0xfc) == 0x60;
    }
    return some ? FIRST_FOUR : 0;
}

/*
 * The general registers that a verbatim instruction writes, as bits.
 * Operands that are only read count as written where that is not sure.
 */
static uint32_t gprs_written(const struct tr *t, const struct shape *s)
{
    const struct x86_insn *i = t->i;
    const struct x86_row *row = t->row;
    unsigned op0 = row->op[0].kind;
    bool xchg = row->map == 0 &&
                ((row->opcode & 0xfe) == 0x86 || (row->opcode & 0xf8) == 0x90);
    /* MOV, the ALU group, MOVZX and so on write the first one only */
    bool first = !row->vex && !xchg && (row->map == 0 || op0 == X86_OP_G);
    bool read = is_read_only(row) &&
                !(op0 == X86_OP_G && !strcmp(row->mnemonic, "imul"));
    uint32_t written = writes_implied(row);

    for (unsigned n = 0; n < X86_MAX_OPERANDS; n++) {
        const struct x86_operand *op = &row->op[n];

        if (n == 0 ? read : first)
            continue;
        if (op->kind == X86_OP_G)
            written |= 1u << (s->high && i->reg < 8 ? i->reg & 3 : i->reg);
        if (op->kind == X86_OP_R || op->kind == X86_OP_Z ||
            (op->kind == X86_OP_E && !(i->flags & X86_I_MEM)))
            written |= 1u << (s->high && i->rm < 8 ? i->rm & 3 : i->rm);
        if (op->kind == X86_OP_B)
            written |= 1u << i->vvvv;
        if (op->kind == X86_OP_GPR)
            written |= 1u << op->reg;
    }
    return written;
}

/* Guest registers that are in the state, for the time of an instruction. */
struct homes {
    unsigned count;
    uint8_t guest[2]; /* in S0, S1 */
    bool load[2], store[2];
    struct host_mem rm; /* one that is only read can stay there */
};

/* Where the encoding has the first operand. */
static const uint8_t *destination(const struct tr *t, const struct host_insn *h)
{
    unsigned kind = t->row->op[0].kind;

    return kind == X86_OP_G                       ? &h->reg
           : kind == X86_OP_E || kind == X86_OP_Z ? &h->rm
                                                  : NULL;
}

/* Does the instruction write all of its first operand, and not read it? */
static bool overwrites(const struct tr *t)
{
    const struct x86_row *row = t->row;
    unsigned op = row->opcode;

    if (row->vex || t->i->osz < 4)
        return false;
    if (row->map == 0)
        return op == 0x89 || op == 0x8b || op == 0xc7 || op == 0x63 ||
               (op & 0xf8) == 0xb8;
    return row->map == 1 &&
           (op == 0xb6 || op == 0xb7 || op == 0xbe || op == 0xbf);
}

/* A register operand that is read, as a memory operand in the state. */
static bool stays_in_state(const struct tr *t, const struct shape *s,
                           uint32_t written)
{
    const struct x86_insn *i = t->i;
    const struct x86_row *row = t->row;
    bool bits =
        row->map == 1 && ((row->opcode & 0xc7) == 0x83 || row->opcode == 0xba);

    return s->has_rm && row->has_modrm && !row->plus_r && row->form == 0 &&
           t->home[i->rm] == H_NONE && !(written >> i->rm & 1) && !bits &&
           !(s->has_reg && i->reg == i->rm) &&
           !(s->has_vvvv && i->vvvv == i->rm);
}

/* Registers of the instruction; false: more are in the state than there are
 * scratch registers. */
static bool registers(struct tr *t, struct host_insn *h, const struct shape *s,
                      bool in_mem, struct homes *homes)
{
    static const uint8_t tmp[2] = { H_S0, H_S1 };
    uint32_t written = gprs_written(t, s);
    uint8_t *field[3];
    unsigned n = 0;

    if (s->has_reg)
        field[n++] = &h->reg;
    if (!in_mem && stays_in_state(t, s, written)) {
        homes->rm = state_mem(gpr_at(t->i->rm));
        h->mem = &homes->rm;
    } else if (s->has_rm) {
        field[n++] = &h->rm;
    }
    if (s->has_vvvv)
        field[n++] = &h->vvvv;
    for (unsigned k = 0; k < n; k++) {
        unsigned guest = *field[k], x;

        if (s->high && guest < 8)
            continue; /* checked: as encoded */
        if (t->home[guest] != H_NONE) {
            *field[k] = t->home[guest];
            continue;
        }
        for (x = 0; x < homes->count && homes->guest[x] != guest; x++)
            ;
        if (x == homes->count) {
            if (x == (in_mem ? 1 : 2))
                return false;
            homes->guest[x] = (uint8_t)guest;
            homes->store[x] = written >> guest & 1;
            homes->count++;
        }
        homes->load[x] |=
            !homes->store[x] || !overwrites(t) || field[k] != destination(t, h);
        *field[k] = tmp[x];
    }
    return true;
}

/* Byte registers without REX: only AL to BH, as they are on the host. */
static bool high_possible(const struct tr *t, const struct shape *s)
{
    const struct x86_insn *i = t->i;

    for (unsigned n = 0; n < X86_MAX_OPERANDS; n++) {
        const struct x86_operand *op = &t->row->op[n];
        unsigned reg = op->kind == X86_OP_G ? i->reg : i->rm;

        if (op->kind != X86_OP_G && op->kind != X86_OP_E &&
            op->kind != X86_OP_R && op->kind != X86_OP_Z)
            continue;
        if (op->kind != X86_OP_G && (i->flags & X86_I_MEM))
            continue;
        /* movzx r32, ah: the other one must not need REX */
        if (op->size != X86_SZ_B &&
            (t->home[reg] == H_NONE || t->home[reg] > 7 || i->osz == 8))
            return false;
    }
    return !s->has_vvvv;
}

static bool is_possible(const struct tr *t, const struct shape *s)
{
    const struct x86_insn *i = t->i;
    const struct x86_row *row = t->row;

    if (!s->ok || (i->flags & X86_I_MEM && !s->mem))
        return false;
    if (is_x87(row))
        return false;
    if ((row->fl_written | row->fl_read) & ~FL_ARITH)
        return false; /* DF is in the state */
    if (s->high && !high_possible(t, s))
        return false;
    return row->jit == X86_JIT_COPY || row->jit == X86_JIT_COPYM;
}

static void load_homes(struct tr *t, const struct homes *homes)
{
    for (unsigned x = 0; x < homes->count; x++)
        if (homes->load[x])
            emit_load(&t->e, true, x ? H_S1 : H_S0, gpr_at(homes->guest[x]));
}

static void store_homes(struct tr *t, const struct homes *homes)
{
    for (unsigned x = 0; x < homes->count; x++)
        if (homes->store[x])
            emit_store(&t->e, true, x ? H_S1 : H_S0, gpr_at(homes->guest[x]));
}

/* An immediate that is added to a register, in full width. */
static bool adds_constant(const struct tr *t, int64_t *delta)
{
    const struct x86_insn *i = t->i;
    const struct x86_row *row = t->row;
    unsigned n = i->modrm >> 3 & 7;

    if ((i->flags & (X86_I_MEM | X86_I_LOCK)) || row->map != 0 || row->vex ||
        i->osz != (t->bits == 64 ? 8 : 4))
        return false;
    if ((row->opcode == 0x83 || row->opcode == 0x81) && (n == 0 || n == 5)) {
        *delta = n ? -(int64_t)i->imm : (int64_t)i->imm;
        return i->imm + 4096 <= 8192;
    }
    *delta = row->opcode == 0xff && n == 1 ? -1 : 1;
    return row->opcode == 0xff && n < 2;
}

static void generic_effect(struct tr *t, const struct shape *s)
{
    uint32_t written = gprs_written(t, s);
    int64_t delta;

    if (adds_constant(t, &delta))
        window_added(t, t->i->rm, delta);
    else
        for (; written; written &= written - 1)
            window_written(t, (unsigned)__builtin_ctz(written));
    t->keep = true;
}

static bool memory_form(struct tr *t, struct host_insn *h,
                        const struct shape *s, const struct homes *homes)
{
    unsigned n = x86_operand_bytes(s->mem, t->i);
    bool write = s->mem == &t->row->op[0] && !is_read_only(t->row);
    struct host_mem m;
    struct mem_ref r;
    struct stub *stub;

    if (!n || n > 32)
        return false;
    stub = stub_slow(t);
    r = mem_ref_of(t, n, write);
    m = emit_mem(t, stub, &r);
    if (flags_wanted(t))
        flags_back(t);
    load_homes(t, homes);
    if (s->high) {
        with_high(t, h, stub, &m);
    } else {
        h->mem = &m;
        fault_note(t, stub);
        emit_insn(&t->e, h);
        h->mem = NULL;
    }
    store_homes(t, homes);
    stub->resume = t->e.p;
    flags_done(t);
    generic_effect(t, s);
    return true;
}

bool emit_generic(struct tr *t)
{
    struct shape s = shape_of(t->i, t->row);
    struct host_insn h;
    struct homes homes = { .count = 0 };
    struct stub *stub = NULL;

    if (!is_possible(t, &s))
        return false;
    h = host_form(t, &s);
    if (!registers(t, &h, &s, t->i->flags & X86_I_MEM, &homes))
        return false;
    if (s.mem)
        return memory_form(t, &h, &s, &homes);
    if (flags_wanted(t))
        flags_back(t);
    load_homes(t, &homes);
    /* an exception that the guest has not masked; #DE */
    if (vec_needs(t->i) || is_division(t->row))
        fault_note(t, stub = stub_slow(t));
    emit_insn(&t->e, &h);
    store_homes(t, &homes);
    if (stub)
        stub->resume = t->e.p;
    flags_done(t);
    if (homes.count > 1)
        window_close_reg(t, H_S1);
    generic_effect(t, &s);
    return true;
}

/* --- the others ---------------------------------------------------------- */

static bool lea(struct tr *t)
{
    const struct x86_insn *i = t->i;
    unsigned dst = t->home[i->reg];

    emit_ea(t);
    window_written(t, i->reg);
    t->keep = true;
    if (i->osz == 2) {
        if (dst == H_NONE)
            return false;
        emit_insn(&t->e, &(struct host_insn){ .p66 = true,
                                              .op = 0x8b,
                                              .reg = (uint8_t)dst,
                                              .rm = H_S0 });
    } else if (dst == H_NONE) {
        if (i->osz == 4)
            emit_rr(&t->e, false, 0x8b, H_S0, H_S0);
        emit_store(&t->e, true, H_S0, gpr_at(i->reg));
    } else {
        emit_rr(&t->e, i->osz == 8, 0x8b, dst, H_S0);
    }
    return true;
}

/* LEA in one instruction, where the registers are all at hand. */
static bool lea_plain(struct tr *t)
{
    const struct x86_insn *i = t->i;
    struct host_mem m = { H_NONE, H_NONE, i->scale, false, (int32_t)i->disp };

    if (i->osz == 2 || i->asz == 2 || i->base == X86_RIP ||
        t->home[i->reg] == H_NONE || i->asz < i->osz)
        return false;
    if (i->base != X86_NOREG)
        m.base = t->home[i->base];
    if (i->index != X86_NOREG)
        m.index = t->home[i->index];
    if ((i->base != X86_NOREG && m.base == H_NONE) ||
        (i->index != X86_NOREG && m.index == H_NONE) ||
        (m.base == H_NONE && m.index == H_NONE))
        return false;
    emit_rm(&t->e, i->osz == 8, 0x8d, t->home[i->reg], &m);
    if (i->base == i->reg && i->index == X86_NOREG &&
        i->osz == (t->bits == 64 ? 8 : 4) && i->disp == (int16_t)i->disp)
        window_added(t, i->reg, i->disp);
    else
        window_written(t, i->reg);
    t->keep = true;
    return true;
}

/* A row that has become one to copy */
static bool as_copy(struct tr *t)
{
    struct x86_row row = *t->row;
    const struct x86_row *was = t->row;
    bool done;

    row.jit = X86_JIT_COPYM;
    t->row = &row;
    done = emit_generic(t);
    t->row = was;
    return done;
}

static bool bit_reg(struct tr *t)
{
    if (!(t->i->flags & X86_I_MEM))
        return as_copy(t);
    emit_bit_mem(t);
    return true;
}

/* MOV between the accumulator and an address in the instruction. */
static bool moffs(struct tr *t)
{
    const struct x86_insn *i = t->i;
    bool store = i->opcode & 2;
    struct host_mem m;
    struct mem_ref r;
    struct stub *s;

    s = stub_slow(t);
    r = mem_ref_of(t, i->osz, store);
    r.base = r.index = X86_NOREG;
    m = emit_mem(t, s, &r);
    fault_note(t, s);
    emit_insn(&t->e, &(struct host_insn){ .p66 = i->osz == 2,
                                          .w = i->osz == 8,
                                          .mem = &m,
                                          .op = (uint8_t)(store ? 0x88 : 0x8a) |
                                                (i->osz > 1) });
    s->resume = t->e.p;
    window_written(t, RAX);
    t->keep = true;
    return true;
}

static bool direction(struct tr *t)
{
    struct host_mem m = state_mem(offsetof(struct vcpu, st.rflags));

    flags_keep(t);
    flags_lost(t);
    if (t->row->opcode == 0xfc)
        emit_mi(&t->e, false, ALU_AND, &m, ~(int32_t)FL_DF);
    else
        emit_mi(&t->e, false, ALU_OR, &m, FL_DF);
    return true;
}

static bool vzero(struct tr *t)
{
    /* outside 64-bit code registers 8 to 15 keep their upper halves */
    emit8(&t->e, 0xc5);
    emit8(&t->e, t->row->l == 1 ? 0xfc : 0xf8);
    emit8(&t->e, 0x77);
    return true;
}

static bool is_vzero(const struct x86_row *row)
{
    return row->vex && row->map == 1 && row->opcode == 0x77;
}

static bool is_emms(const struct x86_row *row)
{
    return !row->vex && row->map == 1 && row->opcode == 0x77;
}

bool emit_special(struct tr *t)
{
    const struct x86_row *row = t->row;

    if (!strcmp(row->handler, "nop"))
        return t->keep = true;
    if (is_vzero(row))
        return t->bits == 64 && (t->keep = vzero(t));
    if (vector_needs(row))
        return emit_vector(t);
    if (row->map == 0 && row->has_modrm == 0 && (row->opcode & 0xfe) == 0xfc)
        return direction(t);
    if (row->map == 0 && (row->opcode & 0xfc) == 0xa0 && !row->vex)
        return moffs(t);
    if (row->map == 0 && row->opcode == 0x8d)
        return lea_plain(t) || lea(t);
    if (is_division(row))
        return as_copy(t);
    if (emit_legacy(t))
        return true;
    if (row->map == 1 && (row->opcode == 0xa3 || row->opcode == 0xab ||
                          row->opcode == 0xb3 || row->opcode == 0xbb))
        return bit_reg(t);
    return row->map == 0 && emit_stack(t);
}

/* Rows that emit_special() takes before emit_generic() sees them, besides
 * those that are harmless in a loop. */
static bool is_special(const struct x86_insn *i, const struct x86_row *row)
{
    unsigned op = row->opcode;

    if (is_vzero(row) || is_emms(row) || vector_needs(row) || is_division(row))
        return true;
    if (row->vex)
        return false;
    if (row->map == 1)
        return op == 0xa3 || op == 0xab || op == 0xb3 || op == 0xbb;
    return row->map == 0 &&
           ((op & 0xf0) == 0x50 || (op & 0xfe) == 0x60 || op == 0x68 ||
            op == 0x6a || op == 0x8f || (op & 0xfc) == 0xa0 || op == 0xc9 ||
            (op & 0xfc) == 0xd4 || (op & 0xfe) == 0xfc ||
            (op == 0xff && (i->modrm >> 3 & 7) > 1));
}

static uint32_t bit_of(unsigned guest)
{
    return guest < 16 ? 1u << guest : 0;
}

bool loop_insn(struct tr *t, struct loop_insn *li)
{
    const struct x86_insn *i = t->i;
    const struct x86_row *row = t->row;
    struct shape s = shape_of(i, row);
    unsigned n;

    *li = (struct loop_insn){ .mem = false };
    if (!strcmp(row->handler, "nop"))
        return true;
    li->used = bit_of(i->base) | bit_of(i->index);
    if (row->map == 0 && row->opcode == 0x8d && !row->vex) {
        li->written = 1u << i->reg;
        li->used |= li->written;
        return i->osz != 2 && i->asz == 8;
    }
    if (is_special(i, row) || !is_possible(t, &s) || (s.high && s.mem) ||
        (vec_needs(i) & ~(DENY_SSE | DENY_AVX)))
        return false;
    li->written = gprs_written(t, &s);
    li->used |= li->written;
    if (s.has_reg)
        li->used |= 1u << i->reg;
    if (s.has_rm)
        li->used |= 1u << i->rm;
    if (s.has_vvvv)
        li->used |= 1u << i->vvvv;
    if (s.high)
        li->used |= FIRST_FOUR;
    for (unsigned k = 0; k < X86_MAX_OPERANDS; k++)
        if (row->op[k].kind == X86_OP_GPR)
            li->used |= 1u << row->op[k].reg;
    li->mem = s.mem != NULL;
    if (!li->mem)
        return true;
    n = x86_operand_bytes(s.mem, i);
    li->ref = mem_ref_of(t, n, s.mem == &row->op[0] && !is_read_only(row));
    return n && n <= 32;
}

/* DENY_* bits that must be clear for an instruction that runs on the host's
 * vector registers; 0: it is none of those. */
unsigned vec_needs(const struct x86_insn *i)
{
    const struct x86_row *row = &x86_rows[i->row];
    struct shape s = shape_of(i, row);

    if (is_vzero(row))
        return DENY_AVX;
    if (is_emms(row))
        return DENY_MMX;
    if (vector_needs(row))
        return vector_needs(row);
    if (!s.vec || !s.ok ||
        (row->jit != X86_JIT_COPY && row->jit != X86_JIT_COPYM))
        return 0;
    return (s.mmx ? DENY_MMX : 0u) | (!s.xmm     ? 0u
                                      : row->vex ? DENY_AVX
                                                 : DENY_SSE);
}
