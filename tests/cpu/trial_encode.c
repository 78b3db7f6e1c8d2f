/* SPDX-License-Identifier: Apache-2.0 */
/* Random encodings of a row of the table; see trial.h. */
#include "trial.h"

#include <string.h>

#include "native.h"

const struct x86_operand *trial_operand(const struct x86_row *row,
                                        enum x86_operand_kind kind)
{
    for (unsigned n = 0; n < X86_MAX_OPERANDS; n++)
        if (row->op[n].kind == kind)
            return &row->op[n];
    return NULL;
}

static unsigned operand_size(const struct trial *t)
{
    if (t->row->attrs & X86_A_BYTE)
        return 1;
    if (t->rex_w)
        return 8;
    if ((t->p66 && t->row->prefix <= X86_PFX_NF) != (t->bits == 16))
        return 2;
    if (t->bits == 64 && (t->row->attrs & (X86_A_DF64 | X86_A_F64)))
        return 8;
    return 4;
}

static unsigned size_bytes(const struct trial *t, unsigned size)
{
    unsigned osz = operand_size(t), vl = t->row->vex && t->l ? 32 : 16;

    switch (size) {
    case X86_SZ_B:
    case X86_SZ_BS: return 1;
    case X86_SZ_W: return 2;
    case X86_SZ_D: return 4;
    case X86_SZ_Q: return 8;
    case X86_SZ_T: return 10;
    case X86_SZ_DQ: return 16;
    case X86_SZ_QQ: return 32;
    case X86_SZ_V: return osz;
    case X86_SZ_Z: return osz == 8 ? 4 : osz;
    case X86_SZ_Y: return t->rex_w ? 8 : 4;
    case X86_SZ_X: return vl;
    case X86_SZ_P: return osz + 2;
    case X86_SZ_A: return osz * 2;
    case X86_SZ_S: return t->bits == 64 ? 10 : 6;
    case X86_SZ_ENV: return osz == 2 ? 14 : 28;
    case X86_SZ_SAVE: return osz == 2 ? 94 : 108;
    case X86_SZ_FX: return 512;
    default: return 0;
    }
}

unsigned trial_operand_bytes(const struct trial *t,
                             const struct x86_operand *op)
{
    bool mem = t->has_mem && op->mem_size != X86_SZ_NONE;

    return size_bytes(t, mem ? op->mem_size : op->size);
}

static void add(struct trial *t, unsigned byte)
{
    if (t->len < sizeof t->insn)
        t->insn[t->len++] = (uint8_t)byte;
}

static void add_le(struct trial *t, uint64_t v, unsigned n)
{
    for (; n; n--, v >>= 8)
        add(t, (uint8_t)v);
}

static bool wants_memory(const struct x86_row *row, struct random *r)
{
    bool mem = percent(r, 50);

    for (unsigned n = 0; n < X86_MAX_OPERANDS; n++) {
        switch (row->op[n].kind) {
        case X86_OP_M:
        case X86_OP_VSIB_X:
        case X86_OP_VSIB_Y: mem = true; break;
        case X86_OP_R:
        case X86_OP_U:
        case X86_OP_N:
        case X86_OP_STI: mem = false; break;
        }
    }
    if (row->form)
        mem = row->form == 'm';
    if (row->exact >= 0)
        mem = row->exact < 0xc0;
    return mem;
}

static unsigned memory_size(const struct trial *t)
{
    unsigned size = 0;

    for (unsigned n = 0; n < X86_MAX_OPERANDS; n++) {
        const struct x86_operand *op = &t->row->op[n];
        switch (op->kind) {
        case X86_OP_E:
        case X86_OP_M:
        case X86_OP_W:
        case X86_OP_Q:
        case X86_OP_O:
        case X86_OP_X:
        case X86_OP_Y:
        case X86_OP_VSIB_X:
        case X86_OP_VSIB_Y: size = trial_operand_bytes(t, op); break;
        }
    }
    return size ? size : trial_is_state_image(t->row) ? 832 : 8;
}

/* Addresses in the window: mostly harmless, some at every kind of border. */
static uint64_t pick_target(unsigned size, struct random *r)
{
    const uint64_t middle = NATIVE_WINDOW + 0x1000;
    const uint64_t ro = NATIVE_WINDOW + NATIVE_WINDOW_PAGES * 4096;
    unsigned dice = random_below(r, 100);

    if (dice < 55)
        return middle + (random_below(r, 0x1800) & ~31u);
    if (dice < 80)
        return middle + random_below(r, 0x1800);
    if (dice < 92)
        return middle + 0x1000 - random_below(r, size + 1);
    if (dice < 95)
        return ro - random_below(r, size + 1);
    if (dice < 97)
        return ro + 64 + random_below(r, 512);
    if (dice < 99)
        return NATIVE_WINDOW - random_below(r, size + 1);
    return ro + 4096 - random_below(r, size + 1);
}

static int64_t random_disp(const struct trial *t, struct random *r,
                           unsigned bytes)
{
    /* In a program addresses stay near, and aligned for the sake of SSE. */
    if (t->limits)
        return bytes ? (int)(random_below(r, bytes == 1 ? 8 : 64) * 32) -
                           (bytes == 1 ? 128 : 1024)
                     : 0;
    switch (bytes) {
    case 0: return 0;
    case 1: return (int8_t)random64(r);
    default:
        return percent(r, 50) ? (int32_t)random64(r) : (int16_t)random64(r);
    }
}

/* The parts of an address; trial_state.c computes registers to fit. */
static void pick_address(struct trial *t, struct random *r)
{
    unsigned regs = t->bits == 64 ? 16 : 8;

    t->size = memory_size(t);
    if (t->limits) {
        t->base = t->limits->base;
        t->index = t->limits->index;
        return;
    }
    t->target = pick_target(t->size, r);
    t->base = t->index = TRIAL_NOREG;
    t->scale = random_below(r, 4);
    if (t->vsib || percent(r, 85))
        t->base = (uint8_t)random_below(r, regs);
    if (t->vsib || percent(r, 40))
        t->index = (uint8_t)random_below(r, regs);
    if (!t->vsib && t->index == 4)
        t->index = TRIAL_NOREG;
}

/* The fixed pairs of registers of 16-bit addresses. */
static void add_memory16(struct trial *t, unsigned reg, struct random *r)
{
    static const uint8_t bases[] = { 3, 3, 5, 5, 6, 7, 5, 3 };
    static const uint8_t indexes[] = { 6,           7,           6,
                                       7,           TRIAL_NOREG, TRIAL_NOREG,
                                       TRIAL_NOREG, TRIAL_NOREG };
    unsigned mod = random_below(r, 3), rm = random_below(r, 8);

    t->scale = 0;
    t->base = bases[rm];
    t->index = indexes[rm];
    t->disp = random_disp(t, r, mod);
    if (mod == 0 && rm == 6) {
        t->base = TRIAL_NOREG;
        t->disp = (int64_t)(t->target - t->seg_base);
        mod = 0;
        add(t, (reg & 7) << 3 | 6);
        add_le(t, (uint64_t)t->disp, 2);
        return;
    }
    add(t, mod << 6 | (reg & 7) << 3 | rm);
    add_le(t, (uint64_t)t->disp, mod);
}

/* Memory form.  imm: bytes that follow, for an address relative to rip. */
static void add_memory(struct trial *t, unsigned reg, unsigned imm,
                       struct random *r)
{
    unsigned mod = random_below(r, 3), sib_index = 4;
    bool sib = t->index != TRIAL_NOREG || percent(r, 5);

    if (t->limits)
        t->scale = 0;

    reg = (reg & 7) << 3;
    if (t->base == TRIAL_NOREG) {
        bool relative = t->index == TRIAL_NOREG && percent(r, 60);
        uint64_t end = NATIVE_INSN + t->len + 5 + imm;

        add(t, reg | (relative ? 5 : 4));
        if (!relative)
            add(t, t->scale << 6 |
                       (t->index == TRIAL_NOREG ? 4u : t->index & 7u) << 3 | 5);
        /* No register to make good for the displacement. */
        t->disp = (int64_t)(t->target - t->seg_base);
        if (t->index != TRIAL_NOREG)
            t->disp = (random_disp(t, r, 4) & ~7) | (t->disp & 7);
        if (relative && t->bits == 64)
            t->disp -= (int64_t)end;
        add_le(t, (uint64_t)t->disp, 4);
        t->disp = (int32_t)t->disp;
        if (relative && t->bits == 64)
            t->disp += (int64_t)end;
        return;
    }

    if ((t->base & 7) == 5 && mod == 0)
        mod = 1;
    if ((t->base & 7) == 4)
        sib = true;
    t->disp = random_disp(t, r, mod == 2 ? 4 : mod);
    /* base + base must come out right */
    if (t->base == t->index && t->scale == 0 &&
        ((uint64_t)t->disp ^ t->target ^ t->seg_base) & 1) {
        t->scale = 1;
    }
    if (t->index != TRIAL_NOREG)
        sib_index = t->index & 7;
    add(t, mod << 6 | reg | (sib ? 4 : t->base & 7u));
    if (sib)
        add(t, t->scale << 6 | sib_index << 3 | (t->base & 7u));
    add_le(t, (uint64_t)t->disp, mod == 2 ? 4 : mod);
}

static unsigned immediate_bytes(const struct trial *t)
{
    unsigned n = 0;

    for (unsigned k = 0; k < X86_MAX_OPERANDS; k++) {
        const struct x86_operand *op = &t->row->op[k];
        if (op->kind == X86_OP_I || op->kind == X86_OP_J)
            n += size_bytes(t, op->size);
        else if (op->kind == X86_OP_L)
            n++;
        else if (op->kind == X86_OP_O)
            n += t->addr_bits / 8;
    }
    return n;
}

/* Neither into this instruction nor into what native_run() puts behind it. */
static int64_t random_jump(struct random *r, unsigned bytes)
{
    int64_t d;

    if (percent(r, 5))
        return 0;
    if (bytes > 1 && percent(r, 10))
        return (int32_t)(random64(r) | 0x40000000);
    do
        d = (int8_t)random64(r) * (bytes > 1 && percent(r, 50) ? 13 : 1);
    while (d > -24 && d < 9);
    return d;
}

static void add_immediates(struct trial *t, struct random *r)
{
    for (unsigned k = 0; k < X86_MAX_OPERANDS; k++) {
        const struct x86_operand *op = &t->row->op[k];
        unsigned n = size_bytes(t, op->size);
        switch (op->kind) {
        case X86_OP_I: add_le(t, random_integer(r), n); break;
        case X86_OP_J: add_le(t, (uint64_t)random_jump(r, n), n); break;
        case X86_OP_L: add(t, (unsigned)random64(r)); break;
        case X86_OP_O:
            t->has_mem = true;
            t->size = operand_size(t);
            t->target = pick_target(t->size, r);
            t->base = t->index = TRIAL_NOREG;
            t->disp = (int64_t)(t->target - t->seg_base);
            add_le(t, (uint64_t)t->disp, t->addr_bits / 8);
            break;
        }
    }
}

static void add_vex(struct trial *t, struct random *r)
{
    const struct x86_row *row = t->row;
    static const uint8_t pp_of[] = {
        [X86_PFX_NP] = 0,
        [X86_PFX_66] = 1,
        [X86_PFX_F3] = 2,
        [X86_PFX_F2] = 3,
    };
    unsigned pp = pp_of[row->prefix];
    unsigned not_r = !(t->reg & 8), not_x = 1, not_b = !(t->rm & 8);
    unsigned low = (~t->vvvv & 15u) << 3 | t->l << 2 | pp;

    if (t->has_mem) {
        not_b = t->base == TRIAL_NOREG || !(t->base & 8);
        not_x = t->index == TRIAL_NOREG || !(t->index & 8);
    }
    if (not_x && not_b && !t->rex_w && row->map == 1 && percent(r, 70)) {
        add(t, 0xc5);
        add(t, not_r << 7 | low);
    } else {
        add(t, 0xc4);
        add(t, not_r << 7 | not_x << 6 | not_b << 5 | row->map);
        add(t, (unsigned)t->rex_w << 7 | low);
    }
}

/* What it touches for masks of zero, and when, is the processor's own. */
static bool is_masked_store(const struct x86_row *row)
{
    return strstr(row->mnemonic, "maskmovq") ||
           strstr(row->mnemonic, "maskmovdq");
}

static void add_legacy_prefixes(struct trial *t, struct random *r)
{
    const struct x86_row *row = t->row;
    static const uint8_t harmless[] = { 0x26, 0x36, 0x3e, 0x2e };

    bool no_segment = t->bits != 64 && is_masked_store(row);

    if (t->gs)
        add(t, 0x65);
    else if (!no_segment && percent(r, 3))
        add(t, harmless[random_below(r, t->bits == 16 ? 3 : 4)]);
    if (t->p67)
        add(t, 0x67);
    if (t->lock)
        add(t, 0xf0);
    if (row->vex)
        return;
    if (t->p66)
        add(t, 0x66);
    if (row->prefix == X86_PFX_F3)
        add(t, 0xf3);
    else if (row->prefix == X86_PFX_F2)
        add(t, 0xf2);
    else if ((row->attrs & (X86_A_REP | X86_A_REPZ)) && percent(r, 75))
        add(t, 0xf2 + random_below(r, 2));
    else if (row->prefix == X86_PFX_ANY && !trial_operand(row, X86_OP_J) &&
             percent(r, 2))
        add(t, 0xf2 + random_below(r, 2));
}

static void add_rex(struct trial *t, struct random *r)
{
    unsigned rex = 0x40 | (unsigned)t->rex_w << 3 | (t->reg & 8u) >> 1;

    if (t->has_mem) {
        if (t->base != TRIAL_NOREG)
            rex |= t->base >> 3;
        if (t->index != TRIAL_NOREG)
            rex |= (t->index & 8u) >> 2;
    } else {
        rex |= t->rm >> 3;
    }
    if (rex != 0x40 || t->rex)
        add(t, rex);
}

static uint8_t random_register(const struct trial *t, struct random *r)
{
    uint8_t n;

    do
        n = (uint8_t)random_below(r, t->bits == 64 ? 16 : 8);
    while (t->limits && (t->limits->keep >> n & 1));
    return n;
}

/* 16-bit addresses need segments that bring them to the window. */
static void choose_address_size(struct trial *t, struct random *r)
{
    t->addr_bits = t->bits;
    if (t->bits == 64) {
        t->p67 = percent(r, 10);
        t->addr_bits = t->p67 ? 32 : 64;
        t->gs = !t->limits && !is_masked_store(t->row) && percent(r, 6);
        if (t->gs)
            t->seg_base = percent(r, 50) ? (uint64_t)(int32_t)random64(r)
                                         : random64(r) >> 17;
    } else if (t->bits == 16) {
        t->p67 = t->vsib || percent(r, 30);
        t->addr_bits = t->p67 ? 32 : 16;
        t->seg_base = NATIVE_DATA_BASE;
    }
}

/* What the row leaves open: prefixes, registers, form. */
static void choose(struct trial *t, struct random *r)
{
    const struct x86_row *row = t->row;
    bool sized = !row->vex && row->prefix <= X86_PFX_NF;

    t->reg = random_register(t, r);
    t->rm = random_register(t, r);
    t->l = row->l >= 0 ? (unsigned)row->l : random_below(r, 2);
    t->vvvv = 0;
    if (row->vex &&
        (trial_operand(row, X86_OP_H) || trial_operand(row, X86_OP_B) ||
         (!t->limits && percent(r, 1))))
        t->vvvv = random_register(t, r);
    if (trial_operand(row, X86_OP_VSIB_X) ||
        trial_operand(row, X86_OP_VSIB_Y)) {
        t->vsib = true;
        t->vvvv = random_register(t, r);
    }
    t->rex = t->bits == 64 && percent(r, 15);
    if (row->w >= 0)
        t->rex_w = row->w;
    else if (row->vex)
        t->rex_w = percent(r, 30);
    else
        t->rex_w =
            t->bits == 64 && row->osz != 16 && row->osz != 32 && percent(r, 35);
    if (row->osz == 64 && !(row->attrs & X86_A_DF64))
        t->rex_w = true;
    if (t->bits != 64 && !row->vex)
        t->rex_w = false;
    if (row->vex || row->prefix == X86_PFX_NP)
        t->p66 = false;
    else if (row->prefix == X86_PFX_66)
        t->p66 = true;
    else if (row->osz)
        t->p66 = (row->osz == 16) != (t->bits == 16);
    else
        t->p66 = percent(r, sized ? 25 : 5);
    choose_address_size(t, r);
    t->has_mem = row->has_modrm && wants_memory(row, r);
    if (row->attrs & X86_A_LOCK)
        t->lock = t->has_mem ? percent(r, 30) : !t->limits && percent(r, 1);
    /* Where LOCK is no mere mistake: it makes CR0 CR8, and VERW takes it. */
    else if (!trial_operand(row, X86_OP_C) && !trial_takes_selector(row))
        t->lock = !t->limits && percent(r, 1) && percent(r, 30);
}

bool trial_encode(struct trial *t, const struct x86_row *row, unsigned bits,
                  const struct trial_limits *limits, struct random *r)
{
    memset(t, 0, sizeof *t);
    t->limits = limits;
    t->row = row;
    t->bits = bits;
    choose(t, r);
    if (t->has_mem)
        pick_address(t, r);
    /* EDX:EAX says which components; it cannot be an address, too. */
    if (trial_is_state_image(row) && t->has_mem)
        while (t->base == 0 || t->base == 2 || t->index == 0 || t->index == 2)
            pick_address(t, r);
    /* A selector has to be put there. */
    if (trial_takes_selector(row) && t->has_mem && !limits)
        while (t->target - NATIVE_WINDOW > NATIVE_WINDOW_PAGES * 4096 - 2)
            pick_address(t, r);

    add_legacy_prefixes(t, r);
    if (row->vex)
        add_vex(t, r);
    else if (bits == 64)
        add_rex(t, r);
    if (!row->vex && row->map)
        add(t, 0x0f);
    if (!row->vex && row->map >= 2)
        add(t, row->map == 2 ? 0x38 : 0x3a);
    add(t, row->plus_r ? (row->opcode & ~7u) | (t->rm & 7u) : row->opcode);

    unsigned reg = row->ext >= 0 ? (unsigned)row->ext : t->reg;
    if (row->exact >= 0)
        add(t, (unsigned)row->exact);
    else if (t->has_mem && t->addr_bits == 16)
        add_memory16(t, reg, r);
    else if (t->has_mem)
        add_memory(t, reg, immediate_bytes(t), r);
    else if (row->has_modrm)
        add(t, 0xc0 | (reg & 7) << 3 | (t->rm & 7u));
    add_immediates(t, r);
    return t->len <= 15;
}
