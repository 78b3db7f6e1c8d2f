/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instruction decoder.
 *
 * Prefixes are collected, the opcode leads to a list of matches
 * (decode_tables.h), the first that fits the key names the row, and the row's
 * form says what else to fetch.  Every byte fetched is first checked against
 * two limits: 15 bytes, behind which the instruction is #GP, and the end of
 * what the caller could read.
 *
 * Where processors differ this follows AMD's: see the end of the essay in
 * x86.def for branches; a VEX prefix after 66, F2, F3, LOCK or REX is #UD.
 *
 * Source: Intel SDM volume 2 chapter 2, AMD APM volume 3 chapter 1.
 */
#include "cpu/decode.h"

#include <string.h>

#include "cpu/decode_tables.h"
#include "cpu/gen/handlers.h"
#include "cpu/state.h"

/* What a byte is before the opcode. */
enum { BYTE_OPCODE, BYTE_SEG, BYTE_66, BYTE_67, BYTE_LOCK, BYTE_REP, BYTE_REX };

static const uint8_t byte_class[256] = {
    [0x26] = BYTE_SEG, [0x2e] = BYTE_SEG, [0x36] = BYTE_SEG,
    [0x3e] = BYTE_SEG, [0x64] = BYTE_SEG, [0x65] = BYTE_SEG,
    [0x66] = BYTE_66,  [0x67] = BYTE_67,  [0xf0] = BYTE_LOCK,
    [0xf2] = BYTE_REP, [0xf3] = BYTE_REP, [0x40 ... 0x4f] = BYTE_REX,
};

#define REX_B 0x1
#define REX_X 0x2
#define REX_R 0x4
#define REX_W 0x8

#define NO_SEG 0xff

struct decode {
    const uint8_t *bytes;
    unsigned pos, avail;
    unsigned mode; /* X86_MODE_16, _32, _64 */
    bool real;
    uint8_t rex; /* the low four bits; VEX has them, too */
    bool has_rex;
    bool opsize, adsize, lock;
    uint8_t rep; /* F3, F2 or 0 */
    uint8_t seg; /* override, or NO_SEG */
    uint8_t map; /* index into x86_opcodes[] */
    bool vex;
    uint8_t vex_p, vex_l, vvvv;
    int error; /* 0, MORE or BAD */
};

enum { MORE = 1, BAD };

/* --- fetching ------------------------------------------------------------ */

static bool can_fetch(struct decode *d, unsigned n)
{
    if (d->pos + n <= d->avail)
        return true;
    if (!d->error)
        d->error = MORE;
    return false;
}

/* n is 1, 2, 4 or 8. */
static uint64_t fetch(struct decode *d, unsigned n)
{
    const uint8_t *p = d->bytes + d->pos;
    bool ok = can_fetch(d, n);
    uint64_t v = 0;

    d->pos += n;
    if (!ok)
        return 0;
    switch (n) { /* fixed sizes: each is one load */
    case 1: return *p;
    case 2: memcpy(&v, p, 2); return v;
    case 4: memcpy(&v, p, 4); return v;
    default: memcpy(&v, p, 8); return v;
    }
}

static uint8_t fetch8(struct decode *d)
{
    uint8_t v = can_fetch(d, 1) ? d->bytes[d->pos] : 0;

    d->pos++;
    return v;
}

static int64_t fetch_signed(struct decode *d, unsigned n)
{
    uint64_t v = fetch(d, n);

    switch (n) {
    case 1: return (int8_t)v;
    case 2: return (int16_t)v;
    case 4: return (int32_t)v;
    default: return (int64_t)v;
    }
}

/* --- prefixes and opcode ------------------------------------------------- */

static void take_segment(struct decode *d, uint8_t b)
{
    if (b >= 0x64)
        d->seg = b == 0x64 ? SEG_FS : SEG_GS;
    else if (d->mode != X86_MODE_64)
        d->seg = b >> 3 & 3; /* 26 2E 36 3E: ES CS SS DS */
}

/* Returns the first byte that is no prefix. A REX counts only before it. */
static uint8_t take_prefixes(struct decode *d)
{
    for (;;) {
        uint8_t b = fetch8(d);

        switch (byte_class[b]) {
        case BYTE_OPCODE: return b;
        case BYTE_SEG: take_segment(d, b); break;
        case BYTE_66: d->opsize = true; break;
        case BYTE_67: d->adsize = true; break;
        case BYTE_LOCK: d->lock = true; break;
        case BYTE_REP: d->rep = b; break;
        case BYTE_REX:
            if (d->mode != X86_MODE_64)
                return b;
            d->rex = b & 0xf;
            d->has_rex = true;
            continue;
        }
        d->rex = 0;
        d->has_rex = false;
        if (d->error)
            return 0;
    }
}

/* C5 and C4 are LDS and LES when the next byte is no register ModRM. */
static bool is_vex(struct decode *d, uint8_t b)
{
    if (b != 0xc4 && b != 0xc5)
        return false;
    if (d->mode == X86_MODE_64)
        return true;
    return can_fetch(d, 1) && d->bytes[d->pos] >= 0xc0;
}

static uint8_t take_vex(struct decode *d, uint8_t b)
{
    uint8_t p1 = fetch8(d), p2 = p1;

    d->vex = true;
    d->map = 4;
    if (d->opsize || d->rep || d->lock || d->has_rex)
        d->error = d->error ? d->error : BAD;
    if (b == 0xc4) {
        unsigned map = p1 & 0x1f;

        p2 = fetch8(d);
        if (map < 1 || map > 3)
            d->error = d->error ? d->error : BAD;
        d->map = (uint8_t)(3 + map);
        d->rex = (p2 & 0x80 ? REX_W : 0) | (~p1 >> 5 & (REX_X | REX_B));
    }
    if (!(p1 & 0x80))
        d->rex |= REX_R;
    d->vvvv = ~p2 >> 3 & 0xf;
    d->vex_l = p2 >> 2 & 1;
    d->vex_p = p2 & 3;
    if (d->mode != X86_MODE_64)
        d->rex &= REX_W;
    return fetch8(d);
}

static uint8_t take_opcode(struct decode *d)
{
    uint8_t b = take_prefixes(d);

    if (b == 0x0f) {
        d->map = 1;
        b = fetch8(d);
        if (b == 0x38 || b == 0x3a) {
            d->map = b == 0x38 ? 2 : 3;
            b = fetch8(d);
        }
    } else if (is_vex(d, b)) {
        b = take_vex(d, b);
    }
    return b;
}

/* --- choosing the row ---------------------------------------------------- */

/* 0, 1, 2 for 2, 4, 8 bytes; df64: the size of an instruction with df64. */
static unsigned size_index(const struct decode *d, bool df64)
{
    if (d->mode == X86_MODE_64) {
        if (d->rex & REX_W)
            return 2;
        return d->opsize ? 0 : df64 ? 2 : 1;
    }
    return (d->mode == X86_MODE_32) != d->opsize;
}

static uint32_t make_key(const struct decode *d, uint8_t modrm)
{
    uint32_t key = modrm;

    if (d->vex) {
        static const uint16_t pp[] = { X86_KEY_NP, X86_KEY_66, X86_KEY_F3,
                                       X86_KEY_F2 };
        key |= pp[d->vex_p];
    } else if (d->rep) {
        key |= d->rep == 0xf3 ? X86_KEY_F3 : X86_KEY_F2;
    } else if (d->opsize) {
        key |= X86_KEY_66;
    }
    if (d->rex & REX_W)
        key |= X86_KEY_W;
    if (d->rex & REX_B)
        key |= X86_KEY_REX_B;
    if (d->vex_l)
        key |= X86_KEY_L;
    if (d->mode == X86_MODE_64)
        key |= X86_KEY_64;
    return key | size_index(d, false) << X86_KEY_OSZ_SHIFT |
           size_index(d, true) << X86_KEY_DF64_SHIFT;
}

/* Returns a row number; 0 when no row fits. */
static unsigned find_row(const struct decode *d, const struct x86_opcode *o,
                         uint8_t modrm, const struct x86_features *feat)
{
    uint32_t key = make_key(d, modrm);
    const struct x86_match *m;
    unsigned list = o->list;

    if (o->flags & X86_OPC_GROUPS) {
        list = x86_groups[list][(modrm >= 0xc0 ? 8 : 0) | (modrm >> 3 & 7)];
    }
    for (m = &x86_matches[list]; m->row; m++) {
        unsigned feature;

        if ((key & m->mask) != m->value)
            continue;
        feature = x86_forms[m->row].feature;
        if (feature == X86_NO_FEATURE || x86_has(feat, feature))
            break;
    }
    return m->row;
}

/* Is a use of the row that its opcode and ModRM allow forbidden after all? */
static bool is_forbidden(const struct decode *d, const struct x86_form *f,
                         const struct x86_insn *i)
{
    if (d->lock && !((f->flags & X86_F_LOCK) && (i->flags & X86_I_MEM)))
        return true;
    if ((f->flags & X86_F_PROT) && d->real)
        return true;
    if ((f->flags & X86_F_NO_VVVV) && d->vvvv != 0)
        return true;
    if (f->flags & X86_F_VSIB) {
        return i->reg == i->vvvv || i->reg == i->index || i->vvvv == i->index;
    }
    if ((f->flags & X86_F_SEG_DEST) && i->reg == SEG_CS)
        return true;
    if (f->flags & X86_F_SEG_REG)
        return i->reg > SEG_GS;
    if (f->flags & X86_F_CTRL_REG)
        return i->reg > 8 || !(1u << i->reg & 0x11d); /* 0 2 3 4 8 */
    if (f->flags & X86_F_DEBUG_REG)
        return i->reg > 7;
    return false;
}

/* --- addresses ----------------------------------------------------------- */

static void take_address16(struct decode *d, struct x86_insn *i)
{
    static const uint8_t bases[] = { RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX };
    static const uint8_t indices[] = { RSI,       RDI,       RSI,
                                       RDI,       X86_NOREG, X86_NOREG,
                                       X86_NOREG, X86_NOREG };
    unsigned mod = i->modrm >> 6, rm = i->modrm & 7;

    i->base = bases[rm];
    i->index = indices[rm];
    if (mod == 0 && rm == 6) {
        i->base = X86_NOREG;
        mod = 2;
    }
    if (mod == 1)
        i->disp = fetch_signed(d, 1);
    else if (mod == 2)
        i->disp = fetch_signed(d, 2);
    if (i->base == RBP && d->seg == NO_SEG)
        i->seg = SEG_SS;
}

static void take_sib(struct decode *d, struct x86_insn *i, bool vsib)
{
    uint8_t sib = fetch8(d);

    i->scale = sib >> 6;
    i->index = (sib >> 3 & 7) | (d->rex & REX_X ? 8 : 0);
    if (i->index == RSP && !vsib)
        i->index = X86_NOREG;
    i->base = sib & 7;
}

static void take_address(struct decode *d, struct x86_insn *i, bool vsib)
{
    unsigned mod = i->modrm >> 6;
    bool sib = (i->modrm & 7) == 4;

    i->base = i->modrm & 7;
    if (sib)
        take_sib(d, i, vsib);
    else if (vsib)
        d->error = d->error ? d->error : BAD;
    if (mod == 0 && i->base == 5) {
        i->base = !sib && d->mode == X86_MODE_64 ? X86_RIP : X86_NOREG;
        mod = 2;
    }
    if (mod == 1)
        i->disp = fetch_signed(d, 1);
    else if (mod == 2)
        i->disp = fetch_signed(d, 4);
    if (i->base > RDI) /* none or RIP */
        return;
    if (d->rex & REX_B)
        i->base |= 8;
    else if ((i->base == RSP || i->base == RBP) && d->seg == NO_SEG)
        i->seg = SEG_SS;
}

static void take_memory(struct decode *d, struct x86_insn *i, bool vsib)
{
    if (i->asz != 2)
        take_address(d, i, vsib);
    else if (vsib)
        d->error = d->error ? d->error : BAD;
    else
        take_address16(d, i);
}

/* --- the rest ------------------------------------------------------------ */

static void take_immediate(struct decode *d, const struct x86_form *f,
                           struct x86_insn *i)
{
    switch ((enum x86_imm)f->imm) {
    case X86_IMM_NONE: break;
    case X86_IMM_B: i->imm = fetch8(d); break;
    case X86_IMM_BS: i->imm = (uint64_t)fetch_signed(d, 1); break;
    case X86_IMM_W: i->imm = fetch(d, 2); break;
    case X86_IMM_Z:
        i->imm = (uint64_t)fetch_signed(d, i->osz == 2 ? 2 : 4);
        break;
    case X86_IMM_V: i->imm = fetch(d, i->osz); break;
    case X86_IMM_FAR:
        i->imm = fetch(d, i->osz);
        i->imm2 = (uint16_t)fetch(d, 2);
        break;
    case X86_IMM_WB:
        i->imm = fetch(d, 2);
        i->imm2 = fetch8(d);
        break;
    case X86_IMM_MOFFS:
        i->disp = (int64_t)fetch(d, i->asz);
        i->flags |= X86_I_MEM;
        break;
    case X86_IMM_IS4:
        i->imm = fetch8(d);
        i->is4 = (uint8_t)(i->imm >> 4);
        if (d->mode != X86_MODE_64)
            i->is4 &= 7;
        break;
    }
}

static uint8_t operand_size(const struct decode *d, const struct x86_form *f)
{
    bool long_mode = d->mode == X86_MODE_64;

    switch ((enum x86_osz_rule)f->osz) {
    case X86_OSZ_BYTE: return 1;
    case X86_OSZ_Y: return long_mode && (d->rex & REX_W) ? 8 : 4;
    case X86_OSZ_DF64: return (uint8_t)(2 << size_index(d, true));
    case X86_OSZ_F64:
        if (long_mode)
            return 8;
        break;
    case X86_OSZ_PLAIN: break;
    }
    return (uint8_t)(2 << size_index(d, false));
}

static x86_handler *handler_of(const struct x86_form *f,
                               const struct x86_insn *i)
{
    unsigned slot = 0;

    if (f->flags & X86_F_BY_SIZE)
        slot = i->osz >> 2; /* 2, 4, 8 */
    if (f->flags & X86_F_BY_FORM)
        slot = slot * 2 + (i->flags & X86_I_MEM ? 1 : 0);
    return x86_handlers[f->fn + slot];
}

/* The fields that come from prefixes and ModRM. */
static void fill(const struct decode *d, const struct x86_form *f,
                 struct x86_insn *i)
{
    bool wide = d->mode != X86_MODE_16, rex_b = d->rex & REX_B;

    i->flags |= (f->flags & X86_F_END ? X86_I_END : 0) |
                (d->lock ? X86_I_LOCK : 0) | (d->has_rex ? X86_I_REX : 0) |
                (d->vex ? X86_I_VEX : 0) |
                (d->seg != NO_SEG ? X86_I_SEGOVR : 0);
    if (d->rep && !(f->flags & X86_F_TOOK_REP))
        i->flags |= d->rep == 0xf3 ? X86_I_REP : X86_I_REPNE;
    i->osz = operand_size(d, f);
    if (d->mode == X86_MODE_64)
        i->asz = d->adsize ? 4 : 8;
    else
        i->asz = wide != d->adsize ? 4 : 2;
    i->seg = d->seg != NO_SEG ? d->seg : SEG_DS;
    i->vvvv = d->vvvv & (d->mode == X86_MODE_64 ? 15 : 7);
    i->vl = d->vex_l ? 32 : 16;
    i->vw = d->rex & REX_W ? 1 : 0;
    if (f->flags & X86_F_PLUS_R)
        i->rm = (i->opcode & 7) | (rex_b ? 8 : 0);
    if (f->flags & X86_F_SEG_REG)
        i->reg &= 7;
}

static int fail(struct x86_insn *out, const struct decode *d, bool too_long)
{
    *out = (struct x86_insn){
        .fn = too_long ? h_gp0 : h_ud,
        .len = (uint8_t)(d->pos < X86_MAX_INSN ? d->pos : X86_MAX_INSN),
        .flags = X86_I_END,
        .base = X86_NOREG,
        .index = X86_NOREG,
        .seg = SEG_DS,
        .osz = 4,
        .asz = 4,
        .vl = 16,
    };
    return -1;
}

/* An end before the 15th byte is for the caller to read on. */
static int stop(struct x86_insn *out, const struct decode *d)
{
    if (d->error == BAD)
        return fail(out, d, false);
    return d->pos > X86_MAX_INSN ? fail(out, d, true) : 0;
}

int x86_decode(struct x86_insn *out, const uint8_t *bytes, unsigned avail,
               unsigned mode_bits, const struct x86_features *feat)
{
    struct decode d = {
        .bytes = bytes,
        .avail = avail < X86_MAX_INSN ? avail : X86_MAX_INSN,
        .mode = mode_bits & X86_MODE_SIZE,
        .real = mode_bits & X86_MODE_REAL,
        .seg = NO_SEG,
    };
    const struct x86_opcode *o;
    const struct x86_form *f;
    struct x86_insn i = { .base = X86_NOREG, .index = X86_NOREG };
    bool modrm;

    i.opcode = take_opcode(&d);
    if (d.error)
        return stop(out, &d);
    o = &x86_opcodes[d.map][i.opcode];
    modrm = o->flags & X86_OPC_MODRM;
    if (modrm) {
        i.modrm = fetch8(&d);
        if (d.error)
            return stop(out, &d);
        i.reg = (i.modrm >> 3 & 7) | (d.rex & REX_R ? 8 : 0);
        i.rm = (i.modrm & 7) | (d.rex & REX_B ? 8 : 0);
    }
    i.row = (uint16_t)find_row(&d, o, i.modrm, feat);
    if (!i.row)
        return fail(out, &d, false);
    f = &x86_forms[i.row];
    fill(&d, f, &i);
    if (modrm && i.modrm < 0xc0 && !(f->flags & X86_F_ANY_MOD)) {
        i.flags |= X86_I_MEM;
        take_memory(&d, &i, f->flags & X86_F_VSIB);
    }
    take_immediate(&d, f, &i);
    if (d.error)
        return stop(out, &d);
    if (is_forbidden(&d, f, &i))
        return fail(out, &d, false);
    i.len = (uint8_t)d.pos;
    i.fn = handler_of(f, &i);
    *out = i;
    return i.len;
}

unsigned x86_operand_bytes(const struct x86_operand *op,
                           const struct x86_insn *i)
{
    unsigned size = i->flags & X86_I_MEM ? op->mem_size : op->size;

    switch ((enum x86_operand_size)size) {
    case X86_SZ_NONE: return 0;
    case X86_SZ_B:
    case X86_SZ_BS: return 1;
    case X86_SZ_W: return 2;
    case X86_SZ_D: return 4;
    case X86_SZ_Q: return 8;
    case X86_SZ_T: return 10;
    case X86_SZ_DQ: return 16;
    case X86_SZ_QQ: return 32;
    case X86_SZ_V: return i->osz;
    case X86_SZ_Z: return i->osz == 2 ? 2 : 4;
    case X86_SZ_Y: return i->osz == 8 || (i->osz == 1 && i->vw) ? 8 : 4;
    case X86_SZ_X: return i->vl;
    case X86_SZ_P: return i->osz + 2u;
    case X86_SZ_A: return i->osz * 2u;
    case X86_SZ_S: return i->osz == 8 ? 10 : 6;
    case X86_SZ_ENV: return i->osz == 2 ? 14 : 28;
    case X86_SZ_SAVE: return i->osz == 2 ? 94 : 108;
    case X86_SZ_FX: return 512;
    }
    return 0;
}
