/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disassembler.  Mnemonic and operands come from the instruction's row;
 * what is here is the spelling of objdump where it depends on more than that.
 * Prefixes without a meaning are not shown.
 */
#include "cpu/disasm.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cpu/decode.h"
#include "cpu/state.h"

struct text {
    char *buf;
    size_t size, len; /* len as if buf were long enough */
};

struct line {
    struct text out;
    const struct x86_insn *i;
    const struct x86_row *row;
    uint64_t rip;  /* behind the instruction */
    unsigned mode; /* X86_MODE_16, _32, _64 */
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t,
                                                      const char *fmt, ...)
{
    bool room = t->len < t->size;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(room ? t->buf + t->len : NULL, room ? t->size - t->len : 0,
                  fmt, ap);
    va_end(ap);
    t->len += (size_t)n;
}

/* --- registers ----------------------------------------------------------- */

static const char *const seg_names[8] = {
    "es", "cs", "ss", "ds", "fs", "gs", "?", "?",
};

static void put_gpr(struct line *l, unsigned reg, unsigned bytes)
{
    static const char *const names[8] = { "ax", "cx", "dx", "bx",
                                          "sp", "bp", "si", "di" };
    static const char *const high[4] = { "ah", "ch", "dh", "bh" };
    struct text *t = &l->out;

    if (reg >= 8) {
        put(t, "r%u%s", reg,
            bytes == 1   ? "b"
            : bytes == 2 ? "w"
            : bytes == 4 ? "d"
                         : "");
    } else if (bytes != 1) {
        put(t, "%s%s", bytes == 2 ? "" : bytes == 4 ? "e" : "r", names[reg]);
    } else if (reg < 4) {
        put(t, "%cl", names[reg][0]);
    } else if (l->i->flags & (X86_I_REX | X86_I_VEX)) {
        put(t, "%sl", names[reg]);
    } else {
        put(t, "%s", high[reg - 4]);
    }
}

static void put_vector(struct line *l, unsigned reg, unsigned size)
{
    bool ymm = size == X86_SZ_QQ || (size == X86_SZ_X && l->i->vl == 32);

    put(&l->out, "%cmm%u", ymm ? 'y' : 'x', reg);
}

/* --- memory -------------------------------------------------------------- */

static bool is_vector(const struct x86_row *row)
{
    for (unsigned k = 0; k < X86_MAX_OPERANDS; k++) {
        switch (row->op[k].kind) {
        case X86_OP_V:
        case X86_OP_W:
        case X86_OP_H:
        case X86_OP_U: return true;
        }
    }
    return false;
}

static void put_pointer_size(struct line *l, unsigned bytes)
{
    const char *name = NULL;

    switch (bytes) {
    case 1: name = "BYTE"; break;
    case 2: name = "WORD"; break;
    case 4: name = "DWORD"; break;
    case 6: name = "FWORD"; break;
    case 8: name = "QWORD"; break;
    case 10: name = "TBYTE"; break;
    case 16: name = is_vector(l->row) ? "XMMWORD" : "OWORD"; break;
    case 32: name = "YMMWORD"; break;
    }
    if (name)
        put(&l->out, "%s PTR ", name);
}

static uint64_t truncate_to(uint64_t v, unsigned bytes)
{
    return bytes >= 8 ? v : v & ((1ull << bytes * 8) - 1);
}

/* The index; objdump shows one that is none when SIB need not be there. */
static void put_index(struct line *l, unsigned vector)
{
    const struct x86_insn *i = l->i;

    if (i->asz == 2) {
        if (i->index != X86_NOREG) {
            put(&l->out, "+");
            put_gpr(l, i->index, 2);
        }
        return;
    }
    if (i->index == X86_NOREG && i->scale == 0 && (i->base & 7) == RSP)
        return;
    if (i->base != X86_NOREG)
        put(&l->out, "+");
    if (vector)
        put(&l->out, "%cmm%u", vector == X86_OP_VSIB_Y ? 'y' : 'x', i->index);
    else if (i->index == X86_NOREG)
        put(&l->out, "%s", i->asz == 8 ? "riz" : "eiz");
    else
        put_gpr(l, i->index, i->asz);
    put(&l->out, "*%u", 1u << i->scale);
}

/*
 * A SIB without base and index is told from a bare disp32 by a pseudo index,
 * where there is a bare disp32.
 */
static bool shows_lone_sib(const struct line *l)
{
    return l->mode == X86_MODE_32 || (l->mode == X86_MODE_64 && l->i->asz == 4);
}

static void put_address(struct line *l, unsigned vector)
{
    const struct x86_insn *i = l->i;
    unsigned mod = i->modrm >> 6;
    bool sib = i->asz != 2 && (i->modrm & 7) == 4;
    bool has_disp = mod == 1 || mod == 2 || i->disp != 0 ||
                    i->base == X86_NOREG || i->base == X86_RIP;
    bool bracket = i->base != X86_NOREG || i->index != X86_NOREG ||
                   (sib && (i->scale != 0 || shows_lone_sib(l)));

    if (i->flags & X86_I_SEGOVR)
        put(&l->out, "%s:", seg_names[i->seg]);
    if (!bracket) {
        if (!(i->flags & X86_I_SEGOVR))
            put(&l->out, "ds:");
        put(&l->out, "0x%" PRIx64,
            truncate_to((uint64_t)i->disp,
                        l->mode == X86_MODE_64 ? 8 : i->asz));
        return;
    }
    put(&l->out, "[");
    if (i->base == X86_RIP)
        put(&l->out, i->asz == 8 ? "rip" : "eip");
    else if (i->base != X86_NOREG)
        put_gpr(l, i->base, i->asz);
    if (sib || i->asz == 2)
        put_index(l, vector);
    if (has_disp && (i->disp >= 0 || i->base == X86_RIP))
        put(&l->out, "+0x%" PRIx64, (uint64_t)i->disp);
    else if (has_disp)
        put(&l->out, "-0x%" PRIx64, -(uint64_t)i->disp);
    put(&l->out, "]");
}

static void put_memory(struct line *l, const struct x86_operand *op)
{
    bool vsib = op->kind == X86_OP_VSIB_X || op->kind == X86_OP_VSIB_Y;

    if (op->mem_size != X86_SZ_S)
        put_pointer_size(l, x86_operand_bytes(op, l->i));
    put_address(l, vsib ? op->kind : 0);
}

static void put_string(struct line *l, const struct x86_operand *op)
{
    bool dest = op->kind == X86_OP_Y;

    put_pointer_size(l, x86_operand_bytes(op, l->i));
    put(&l->out, "%s:[", dest ? "es" : seg_names[l->i->seg]);
    put_gpr(l, dest ? RDI : RSI, l->i->asz);
    put(&l->out, "]");
}

/* --- operands ------------------------------------------------------------ */

static void put_immediate(struct line *l, const struct x86_operand *op)
{
    const struct x86_insn *i = l->i;
    unsigned bytes = i->osz;

    if (op->size == X86_SZ_B)
        bytes = 1;
    else if (op->size == X86_SZ_W)
        bytes = 2;
    if (op != &l->row->op[0] && op[-1].kind == X86_OP_I)
        put(&l->out, "0x%x", i->imm2);
    else
        put(&l->out, "0x%" PRIx64, truncate_to(i->imm, bytes));
}

static void put_target(struct line *l)
{
    uint64_t target = l->rip + l->i->imm;

    put(&l->out, "0x%" PRIx64, truncate_to(target, l->i->osz));
}

static void put_gpr_operand(struct line *l, const struct x86_operand *op,
                            unsigned reg)
{
    put_gpr(l, reg, x86_operand_bytes(op, l->i));
}

/* Operands in ModRM.rm. */
static void put_rm(struct line *l, const struct x86_operand *op)
{
    const struct x86_insn *i = l->i;

    if (i->flags & X86_I_MEM) {
        put_memory(l, op);
        return;
    }
    switch (op->kind) {
    case X86_OP_E:
    case X86_OP_R: put_gpr_operand(l, op, i->rm); break;
    case X86_OP_W:
    case X86_OP_U: put_vector(l, i->rm, op->size); break;
    default: put(&l->out, "mm%u", i->rm & 7); break;
    }
}

static void put_operand(struct line *l, const struct x86_operand *op)
{
    const struct x86_insn *i = l->i;
    struct text *t = &l->out;

    switch ((enum x86_operand_kind)op->kind) {
    case X86_OP_NONE: break;
    case X86_OP_E:
    case X86_OP_R:
    case X86_OP_M:
    case X86_OP_W:
    case X86_OP_U:
    case X86_OP_Q:
    case X86_OP_N:
    case X86_OP_VSIB_X:
    case X86_OP_VSIB_Y: put_rm(l, op); break;
    case X86_OP_G: put_gpr_operand(l, op, i->reg); break;
    case X86_OP_B: put_gpr_operand(l, op, i->vvvv); break;
    case X86_OP_Z: put_gpr_operand(l, op, i->rm); break;
    case X86_OP_GPR: put_gpr_operand(l, op, op->reg); break;
    case X86_OP_I: put_immediate(l, op); break;
    case X86_OP_J: put_target(l); break;
    case X86_OP_A: put(t, "0x%x:0x%" PRIx64, i->imm2, i->imm); break;
    case X86_OP_O:
        put(t, "%s:0x%" PRIx64, seg_names[i->seg], (uint64_t)i->disp);
        break;
    case X86_OP_X:
    case X86_OP_Y: put_string(l, op); break;
    case X86_OP_S: put(t, "%s", seg_names[i->reg]); break;
    case X86_OP_SEG: put(t, "%s", seg_names[op->reg]); break;
    case X86_OP_C: put(t, "cr%u", i->reg); break;
    case X86_OP_D: put(t, "dr%u", i->reg); break;
    case X86_OP_V: put_vector(l, i->reg, op->size); break;
    case X86_OP_H: put_vector(l, i->vvvv, op->size); break;
    case X86_OP_L: put_vector(l, i->is4, op->size); break;
    case X86_OP_P: put(t, "mm%u", i->reg & 7); break;
    case X86_OP_ST0: put(t, "st"); break;
    case X86_OP_STI: put(t, "st(%u)", i->rm & 7); break;
    case X86_OP_ONE: put(t, "%u", op->reg); break;
    }
}

/* --- mnemonics ----------------------------------------------------------- */

/* Names by operand size 2, 4, 8. */
static const char *const sized_names[][3] = {
    { "cbw", "cwde", "cdqe" },
    { "cwd", "cdq", "cqo" },
};

/*
 * These get a suffix when their operand size is not the mode's: the first
 * ones unless an operand shows it.
 */
static const char *const suffixed_names[] = {
    "pusha", "popa", "push", "pop",  "pushf", "popf",  "call",
    "jmp",   "ret",  "retf", "iret", "enter", "leave",
};
static const char *const suffixed_x87_names[] = {
    "fldenv",
    "fnstenv",
    "frstor",
    "fnsave",
};

/* These get "64" with REX.W. */
static const char *const wide_names[] = {
    "fxsave", "fxrstor", "xsave", "xrstor", "xsaveopt", "xsavec",
};

static const char *const jcxz_names[3] = { "jcxz", "jecxz", "jrcxz" };

/* Predicates of CMPPS and so on; without VEX there are eight. */
static const char *const predicates[32] = {
    "eq",     "lt",     "le",    "unord",   "neq",    "nlt",     "nle",
    "ord",    "eq_uq",  "nge",   "ngt",     "false",  "neq_oq",  "ge",
    "gt",     "true",   "eq_os", "lt_oq",   "le_oq",  "unord_s", "neq_us",
    "nlt_uq", "nle_uq", "ord_s", "eq_us",   "nge_uq", "ngt_uq",  "false_os",
    "neq_os", "ge_oq",  "gt_oq", "true_us",
};

/* PCLMULQDQ by bits 4 and 0 of its immediate. */
static const char *const halves[4] = { "lql", "hql", "lqh", "hqh" };

static unsigned size_index(unsigned bytes)
{
    return bytes == 2 ? 0 : bytes == 4 ? 1 : 2;
}

static unsigned default_size(const struct line *l)
{
    if (l->mode == X86_MODE_64)
        return l->row->attrs & (X86_A_DF64 | X86_A_F64) ? 8 : 4;
    return l->mode == X86_MODE_32 ? 4 : 2;
}

static bool is_among(const char *name, const char *const *names, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        if (strcmp(names[k], name) == 0)
            return true;
    }
    return false;
}

#define IS_AMONG(name, names) \
    is_among(name, names, sizeof(names) / sizeof *(names))

static bool shows_size(const struct x86_operand *op)
{
    return op->kind == X86_OP_E || op->kind == X86_OP_Z || op->kind == X86_OP_M;
}

static bool put_sized_name(struct line *l)
{
    const char *name = l->row->mnemonic;
    char suffix = "wdq"[size_index(l->i->osz)];
    bool odd = l->i->osz != default_size(l);

    for (size_t k = 0; k < sizeof sized_names / sizeof *sized_names; k++) {
        if (strcmp(sized_names[k][0], name) == 0) {
            put(&l->out, "%s", sized_names[k][size_index(l->i->osz)]);
            return true;
        }
    }
    if (IS_AMONG(name, wide_names) && l->i->vw)
        put(&l->out, "%s64", name);
    else if (odd && IS_AMONG(name, suffixed_x87_names) && l->i->osz != 8)
        put(&l->out, "%s%c", name, suffix);
    else if (odd && IS_AMONG(name, suffixed_names) &&
             !shows_size(&l->row->op[0]))
        put(&l->out, "%s%c", name, suffix);
    else
        return false;
    return true;
}

/*
 * Vector comparisons and PCLMULQDQ have an immediate that is better read as
 * part of the name; the operand is then not shown.
 */
static bool put_predicate_name(struct line *l)
{
    bool vex = l->i->flags & X86_I_VEX;
    const char *name = l->row->mnemonic, *stem = vex ? name + 1 : name;
    uint64_t imm = l->i->imm;

    if (l->row->opcode == 0xc2 && l->row->map == 1 && imm < (vex ? 32 : 8)) {
        put(&l->out, "%scmp%s%s", vex ? "v" : "", predicates[imm], stem + 3);
        return true;
    }
    if (strcmp(stem, "pclmulqdq") == 0 && (imm & ~0x11ull) == 0) {
        put(&l->out, "%spclmul%sqdq", vex ? "v" : "",
            halves[(imm & 1) | (imm >> 3 & 2)]);
        return true;
    }
    return false;
}

/* MOV with eight bytes of immediate or address */
static bool is_movabs(const struct line *l)
{
    const struct x86_operand *op = l->row->op;

    return (l->mode == X86_MODE_64 && l->i->asz == 8 &&
            (op[0].kind == X86_OP_O || op[1].kind == X86_OP_O)) ||
           (op[1].kind == X86_OP_I && op[1].size == X86_SZ_V && l->i->osz == 8);
}

static bool is_nop(const struct line *l)
{
    return l->row->plus_r && l->i->opcode == 0x90 && l->i->rm == 0 &&
           l->row->map == 0 && l->i->osz == default_size(l);
}

/* Returns how many operands are to follow. */
static unsigned put_name(struct line *l)
{
    unsigned n = 0;

    while (n < X86_MAX_OPERANDS && l->row->op[n].kind)
        n++;
    if (is_nop(l)) {
        put(&l->out, "nop");
        return 0;
    }
    if (put_predicate_name(l))
        return n - 1;
    if (strcmp(l->row->mnemonic, jcxz_names[0]) == 0)
        put(&l->out, "%s", jcxz_names[size_index(l->i->asz)]);
    else if (is_movabs(l))
        put(&l->out, "movabs");
    else if (!put_sized_name(l))
        put(&l->out, "%s", l->row->mnemonic);
    return n;
}

static void put_prefixes(struct line *l)
{
    const struct x86_insn *i = l->i;
    bool repz = l->row->attrs & X86_A_REPZ;

    if (i->flags & X86_I_LOCK)
        put(&l->out, "lock ");
    if (!(l->row->attrs & (X86_A_REP | X86_A_REPZ)))
        return;
    if (i->flags & X86_I_REP)
        put(&l->out, repz ? "repz " : "rep ");
    else if (i->flags & X86_I_REPNE)
        put(&l->out, "repnz ");
}

int x86_disasm(char *buf, size_t n, const struct x86_insn *i, uint64_t rip,
               unsigned mode_bits)
{
    struct line l = {
        .out = { .buf = buf, .size = n },
        .i = i,
        .row = &x86_rows[i->row],
        .rip = rip + i->len,
        .mode = mode_bits & X86_MODE_SIZE,
    };

    unsigned operands;

    if (n)
        buf[0] = '\0';
    put_prefixes(&l);
    operands = put_name(&l);
    for (unsigned k = 0; k < operands; k++) {
        while (k == 0 && l.out.len < 6)
            put(&l.out, " ");
        put(&l.out, k == 0 ? " " : ",");
        put_operand(&l, &l.row->op[k]);
    }
    return (int)l.out.len;
}
