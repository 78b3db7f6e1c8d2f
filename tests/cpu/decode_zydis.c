/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder against Zydis, an independent one: validity, length, mnemonic,
 * operands, and the FLAGS column of the rows.
 */
#include "tests/cpu/decode_zydis.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "cpu/decode.h"
#include "cpu/state.h"
#include "tests/cpu/decode_bytes.h"

/* --- reports ------------------------------------------------------------- */

/* Differences of one kind are counted and shown once. */
#define MAX_KINDS 400

static struct {
    char what[64];
    uint8_t bytes[CASE_BYTES];
    unsigned count, mode;
} kinds[MAX_KINDS];
static unsigned kind_count;

static void difference(const struct zydis_case *c, const char *what,
                       const char *ours, const char *theirs)
{
    char key[64];
    unsigned k;

    c->totals->different++;
    snprintf(key, sizeof key, "%s: %s / %s", what, ours, theirs);
    for (k = 0; k < kind_count; k++) {
        if (strcmp(kinds[k].what, key) == 0)
            break;
    }
    if (k == MAX_KINDS)
        return;
    if (k == kind_count) {
        kind_count++;
        memcpy(kinds[k].what, key, sizeof key);
        memcpy(kinds[k].bytes, c->bytes, CASE_BYTES);
        kinds[k].mode = c->mode;
    }
    kinds[k].count++;
}

void zydis_report(void)
{
    static const char *const modes[] = { "16", "32", "64" };

    for (unsigned k = 0; k < kind_count; k++) {
        fprintf(stderr, "# %6u %s [%s:", kinds[k].count, kinds[k].what,
                modes[kinds[k].mode]);
        for (unsigned b = 0; b < X86_MAX_INSN; b++)
            fprintf(stderr, " %02x", kinds[k].bytes[b]);
        fputs("]\n", stderr);
    }
}

/* --- names --------------------------------------------------------------- */

/* Ours on the left. Conditions: after j, set, cmov. */
static const char *const conditions[][2] = {
    { "ae", "nb" }, { "e", "z" },   { "ne", "nz" },
    { "a", "nbe" }, { "ge", "nl" }, { "g", "nle" },
};

/* One row of ours, several names of theirs. */
static const char *const names[][2] = {
    { "cbw", "cwde" },
    { "cbw", "cdqe" },
    { "cwd", "cdq" },
    { "cwd", "cqo" },
    { "jcxz", "jecxz" },
    { "jcxz", "jrcxz" },
    { "xchg", "nop" },
    { "retf", "ret" },
    { "fneni", "feni8087_nop" },
    { "fndisi", "fdisi8087_nop" },
    { "fnsetpm", "fsetpm287_nop" },
    /* Second encodings of the 8087 that the names tell apart. */
    { "fcom2", "fcom" },
    { "fcomp3", "fcomp" },
    { "fcomp5", "fcomp" },
    { "fxch4", "fxch" },
    { "fxch7", "fxch" },
    { "fstp8", "fstp" },
    { "fstp9", "fstp" },
};

static bool same_condition(const char *ours, const char *theirs)
{
    static const char *const stems[] = { "cmov", "set", "j" };

    for (unsigned s = 0; s < 3; s++) {
        size_t n = strlen(stems[s]);

        if (strncmp(ours, stems[s], n) != 0 ||
            strncmp(theirs, stems[s], n) != 0)
            continue;
        for (unsigned k = 0; k < 6; k++) {
            if (strcmp(ours + n, conditions[k][0]) == 0 &&
                strcmp(theirs + n, conditions[k][1]) == 0)
                return true;
        }
    }
    return false;
}

/* Strings, PUSHF, IRET and the like carry their size as a suffix. */
static bool same_name(const struct x86_row *row, const char *theirs)
{
    const char *ours = row->mnemonic;
    bool suffix = row->op[0].kind == X86_OP_NONE ||
                  (row->attrs & (X86_A_REP | X86_A_REPZ));
    size_t n = strlen(ours);

    if (strcmp(ours, theirs) == 0 || same_condition(ours, theirs))
        return true;
    if (strncmp(ours, theirs, n) == 0 && strcmp(theirs + n, "64") == 0)
        return true; /* FXSAVE64 and the like */
    for (unsigned k = 0; k < sizeof names / sizeof *names; k++) {
        if (strcmp(names[k][0], ours) == 0 && strcmp(names[k][1], theirs) == 0)
            return true;
    }
    return suffix && strncmp(ours, theirs, n) == 0 &&
           strchr("bwdq", theirs[n]) && theirs[n] && !theirs[n + 1];
}

/* --- operands ------------------------------------------------------------ */

static ZydisRegister gpr(const struct zydis_case *c, unsigned n, unsigned bytes)
{
    switch (bytes) {
    case 1:
        if (c->insn->flags & (X86_I_REX | X86_I_VEX) || n < 4 || n >= 8) {
            return n < 4   ? ZYDIS_REGISTER_AL + n
                   : n < 8 ? ZYDIS_REGISTER_SPL + n - 4
                           : ZYDIS_REGISTER_R8B + n - 8;
        }
        return ZYDIS_REGISTER_AH + n - 4;
    case 2: return ZYDIS_REGISTER_AX + n;
    case 4: return ZYDIS_REGISTER_EAX + n;
    default: return ZYDIS_REGISTER_RAX + n;
    }
}

static ZydisRegister vector(const struct zydis_case *c, unsigned n,
                            unsigned size)
{
    bool ymm = size == X86_SZ_QQ || (size == X86_SZ_X && c->insn->vl == 32);

    return (ymm ? ZYDIS_REGISTER_YMM0 : ZYDIS_REGISTER_XMM0) + n;
}

/* Our operand as a register of theirs; NONE when it is no register. */
static ZydisRegister register_of(const struct zydis_case *c,
                                 const struct x86_operand *op)
{
    const struct x86_insn *i = c->insn;
    unsigned bytes = x86_operand_bytes(op, i);

    switch (op->kind) {
    case X86_OP_E:
    case X86_OP_R:
    case X86_OP_Z: return gpr(c, i->rm, bytes);
    case X86_OP_G: return gpr(c, i->reg, bytes);
    case X86_OP_B: return gpr(c, i->vvvv, bytes);
    case X86_OP_GPR: return gpr(c, op->reg, bytes);
    case X86_OP_V: return vector(c, i->reg, op->size);
    case X86_OP_H: return vector(c, i->vvvv, op->size);
    case X86_OP_L: return vector(c, i->is4, op->size);
    case X86_OP_W:
    case X86_OP_U: return vector(c, i->rm, op->size);
    case X86_OP_P: return ZYDIS_REGISTER_MM0 + (i->reg & 7);
    case X86_OP_Q:
    case X86_OP_N: return ZYDIS_REGISTER_MM0 + (i->rm & 7);
    case X86_OP_S: return ZYDIS_REGISTER_ES + i->reg;
    case X86_OP_SEG: return ZYDIS_REGISTER_ES + op->reg;
    case X86_OP_C: return ZYDIS_REGISTER_CR0 + i->reg;
    case X86_OP_D: return ZYDIS_REGISTER_DR0 + i->reg;
    case X86_OP_ST0: return ZYDIS_REGISTER_ST0;
    case X86_OP_STI: return ZYDIS_REGISTER_ST0 + (i->rm & 7);
    default: return ZYDIS_REGISTER_NONE;
    }
}

static ZydisRegister base_of(const struct zydis_case *c)
{
    const struct x86_insn *i = c->insn;

    if (i->base == X86_NOREG)
        return ZYDIS_REGISTER_NONE;
    if (i->base == X86_RIP)
        return i->asz == 8 ? ZYDIS_REGISTER_RIP : ZYDIS_REGISTER_EIP;
    return gpr(c, i->base, i->asz);
}

static ZydisRegister index_of(const struct zydis_case *c,
                              const struct x86_operand *op)
{
    const struct x86_insn *i = c->insn;

    if (op->kind == X86_OP_VSIB_X)
        return ZYDIS_REGISTER_XMM0 + i->index;
    if (op->kind == X86_OP_VSIB_Y)
        return ZYDIS_REGISTER_YMM0 + i->index;
    if (i->index == X86_NOREG)
        return ZYDIS_REGISTER_NONE;
    return gpr(c, i->index, i->asz);
}

static bool is_vsib(const struct x86_operand *op)
{
    return op->kind == X86_OP_VSIB_X || op->kind == X86_OP_VSIB_Y;
}

static uint64_t mask_of(unsigned bytes)
{
    return bytes >= 8 ? UINT64_MAX : (1ull << bytes * 8) - 1;
}

static const char *compare_memory(const struct zydis_case *c,
                                  const struct x86_operand *op,
                                  const ZydisDecodedOperand *z)
{
    const struct x86_insn *i = c->insn;
    unsigned bytes = x86_operand_bytes(op, i);
    ZydisRegister index = index_of(c, op);
    unsigned scale = index ? 1u << i->scale : 0;

    if (z->type != ZYDIS_OPERAND_TYPE_MEMORY)
        return "not memory";
    if ((int)z->mem.segment != ZYDIS_REGISTER_ES + i->seg &&
        z->mem.type != ZYDIS_MEMOP_TYPE_AGEN)
        return "segment";
    /* Zydis 4.0: [EDI * 2 + 8] with REX.B is [R13D + EDI * 2]. */
    if (i->base == X86_NOREG && z->mem.base == ZYDIS_REGISTER_R13D &&
        i->asz == 4)
        return NULL;
    if (z->mem.base != base_of(c))
        return "base";
    if (z->mem.index != index)
        return "index";
    if (z->mem.scale != scale)
        return "scale";
    if (((uint64_t)z->mem.disp.value ^ (uint64_t)i->disp) & mask_of(i->asz))
        return "displacement";
    if (strncmp(x86_rows[i->row].mnemonic, "cl", 2) == 0)
        return NULL; /* CLFLUSH, CLWB: a byte or its cache line */
    if (bytes && !is_vsib(op) && z->size != bytes * 8)
        return "memory size";
    if (is_vsib(op) && z->element_size != bytes * 8)
        return "element size";
    return NULL;
}

static const char *compare_immediate(const struct zydis_case *c,
                                     const struct x86_operand *op,
                                     const ZydisDecodedOperand *z)
{
    const struct x86_insn *i = c->insn;
    uint64_t imm = op->kind == X86_OP_ONE ? op->reg : i->imm;

    if (op != x86_rows[i->row].op && op[-1].kind == X86_OP_I &&
        op->kind == X86_OP_I)
        imm = i->imm2;
    if (z->type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
        return "not an immediate";
    if (z->imm.is_relative != (op->kind == X86_OP_J))
        return "relative";
    if ((z->imm.value.u ^ imm) & mask_of(i->osz))
        return "immediate";
    return NULL;
}

static const char *compare_operand(const struct zydis_case *c,
                                   const struct x86_operand *op,
                                   const ZydisDecodedOperand *z)
{
    const struct x86_insn *i = c->insn;
    bool in_rm = op->kind == X86_OP_E || op->kind == X86_OP_W ||
                 op->kind == X86_OP_Q || op->kind == X86_OP_M || is_vsib(op);

    if ((in_rm && (i->flags & X86_I_MEM)) || op->kind == X86_OP_O)
        return compare_memory(c, op, z);
    if (op->kind == X86_OP_I || op->kind == X86_OP_J || op->kind == X86_OP_ONE)
        return compare_immediate(c, op, z);
    if (op->kind == X86_OP_A) {
        return z->type == ZYDIS_OPERAND_TYPE_POINTER &&
                       z->ptr.segment == i->imm2 && z->ptr.offset == i->imm
                   ? NULL
                   : "pointer";
    }
    if (z->type != ZYDIS_OPERAND_TYPE_REGISTER)
        return "not a register";
    return z->reg.value == register_of(c, op) ? NULL : "register";
}

/*
 * Known differences: for Zydis, a 66 prefix makes the relative near branches
 * of AMD's processors 16 bits wide, but not the indirect ones; and MOVSXD
 * then has a 16-bit source. REX.W widens the destination of MOVMSKPS, but not
 * of PMOVMSKB, and the source of LAR, but not of LSL.
 */
static bool is_known_operand(const struct zydis_case *c)
{
    const struct x86_row *row = &x86_rows[c->insn->row];

    if (strstr(row->mnemonic, "movmsk") || strcmp(row->mnemonic, "lsl") == 0)
        return c->mode == X86_MODE_64 && c->insn->osz == 8;
    return c->mode == X86_MODE_64 && c->insn->osz == 2 &&
           ((row->map == 0 && row->opcode == 0xff && row->ext != 6) ||
            strcmp(row->mnemonic, "movsxd") == 0);
}

/*
 * Known differences: Zydis gives UD0, UD1 and some NOPs other operands and
 * does not show those of XCHG when it is a NOP.
 */
static bool has_idle_operands(const struct x86_row *row)
{
    return strcmp(row->handler, "ud") == 0 || strcmp(row->mnemonic, "nop") == 0;
}

static void compare_operands(const struct zydis_case *c, const char *name,
                             const ZydisDecodedInstruction *z,
                             const ZydisDecodedOperand *zops)
{
    const struct x86_operand *op = x86_rows[c->insn->row].op;
    unsigned n = 0;
    char what[80];

    if (has_idle_operands(&x86_rows[c->insn->row]) ||
        z->mnemonic == ZYDIS_MNEMONIC_NOP)
        return;
    /* String operands are implied by the mnemonic for Zydis. */
    while (n < X86_MAX_OPERANDS && op[n].kind) {
        if (op[n].kind == X86_OP_X || op[n].kind == X86_OP_Y)
            return;
        n++;
    }
    /* Zydis names the ST0 of comparisons that the manual leaves out. */
    if (n == 1 && z->operand_count_visible == 2 && op[0].kind == X86_OP_STI &&
        zops[0].reg.value == ZYDIS_REGISTER_ST0)
        zops++;
    else if (n != z->operand_count_visible) {
        difference(c, "operand count", name, x86_rows[c->insn->row].operands);
        return;
    }
    for (unsigned k = 0; k < n; k++) {
        const char *bad = compare_operand(c, &op[k], &zops[k]);

        if (!bad || is_known_operand(c))
            continue;
        snprintf(what, sizeof what, "operand %u %s", k, bad);
        difference(c, what, name, x86_rows[c->insn->row].operands);
    }
}

/* --- flags --------------------------------------------------------------- */

/*
 * Known differences: for Zydis, VPTEST, VTESTPS and VTESTPD do not clear the
 * other flags, and MOV of control registers leaves the flags alone that the
 * manual calls undefined.  VMCALL sets flags in a virtual machine monitor
 * only.
 */
static bool has_known_flags(const struct x86_row *row)
{
    return (row->vex && strstr(row->mnemonic, "test")) ||
           !strcmp(row->mnemonic, "vmcall") ||
           (row->map == 1 && row->opcode >= 0x20 && row->opcode <= 0x23);
}

static void compare_flags(const struct zydis_case *c, const char *name,
                          const ZydisDecodedInstruction *z)
{
    const uint32_t all = FL_ARITH | FL_DF;
    const struct x86_row *row = &x86_rows[c->insn->row];
    const ZydisAccessedFlags *f = z->cpu_flags;
    uint32_t undefined = f ? f->undefined & all : 0;
    uint32_t written = f ? (f->modified | f->set_0 | f->set_1) & all : 0;
    uint32_t changed = undefined | written;
    char theirs[64];

    snprintf(theirs, sizeof theirs, "%03x:%03x ours %03x:%03x", written,
             undefined, row->fl_written & all, row->fl_undefined & all);
    if (has_known_flags(row))
        return;
    if (((row->fl_written | row->fl_undefined) & all) != changed)
        difference(c, "flags changed", name, theirs);
    else if (f && (f->tested & all & ~row->fl_read))
        difference(c, "flags read", name, theirs);
}

/* --- a case -------------------------------------------------------------- */

/* Instruction sets that no CPU model of ours has.  VMCALL alone of VT-x is
 * there, for hypercalls. */
static bool is_foreign(const ZydisDecodedInstruction *z)
{
    if (z->meta.isa_ext == ZYDIS_ISA_EXT_VTX)
        return z->mnemonic != ZYDIS_MNEMONIC_VMCALL;
    if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
        z->encoding != ZYDIS_INSTRUCTION_ENCODING_VEX)
        return true;
    switch (z->meta.isa_ext) {
    case ZYDIS_ISA_EXT_AMD_INVLPGB:
    case ZYDIS_ISA_EXT_AMX_BF16:
    case ZYDIS_ISA_EXT_AMX_INT8:
    case ZYDIS_ISA_EXT_AMX_TILE:
    case ZYDIS_ISA_EXT_AVX512VEX:
    case ZYDIS_ISA_EXT_AVX_VNNI:
    case ZYDIS_ISA_EXT_CLZERO:
    case ZYDIS_ISA_EXT_ENQCMD:
    case ZYDIS_ISA_EXT_FMA4:
    case ZYDIS_ISA_EXT_HRESET:
    case ZYDIS_ISA_EXT_KEYLOCKER:
    case ZYDIS_ISA_EXT_KEYLOCKER_WIDE:
    case ZYDIS_ISA_EXT_KNC:
    case ZYDIS_ISA_EXT_KNCE:
    case ZYDIS_ISA_EXT_KNCV:
    case ZYDIS_ISA_EXT_MCOMMIT:
    case ZYDIS_ISA_EXT_MONITORX:
    case ZYDIS_ISA_EXT_MOVDIR:
    case ZYDIS_ISA_EXT_PADLOCK:
    case ZYDIS_ISA_EXT_PCONFIG:
    case ZYDIS_ISA_EXT_PKU:
    case ZYDIS_ISA_EXT_PT:
    case ZYDIS_ISA_EXT_RDPRU:
    case ZYDIS_ISA_EXT_RTM:
    case ZYDIS_ISA_EXT_SERIALIZE:
    case ZYDIS_ISA_EXT_SGX:
    case ZYDIS_ISA_EXT_SGX_ENCLV:
    case ZYDIS_ISA_EXT_SMX:
    case ZYDIS_ISA_EXT_SNP:
    case ZYDIS_ISA_EXT_SSE4A:
    case ZYDIS_ISA_EXT_SVM:
    case ZYDIS_ISA_EXT_TBM:
    case ZYDIS_ISA_EXT_TDX:
    case ZYDIS_ISA_EXT_TSX_LDTRK:
    case ZYDIS_ISA_EXT_UINTR:
    case ZYDIS_ISA_EXT_VMFUNC:
    case ZYDIS_ISA_EXT_WAITPKG:
    case ZYDIS_ISA_EXT_XSAVES:
    case ZYDIS_ISA_EXT_AMD3DNOW:
    case ZYDIS_ISA_EXT_CET:
    case ZYDIS_ISA_EXT_XOP: return true;
    default: return z->meta.isa_set == ZYDIS_ISA_SET_LWP;
    }
}

/*
 * Known differences in what is valid: Zydis refuses gathers in 16-bit code
 * even with 32-bit addresses, and takes 0F 0D with a register for a NOP; it
 * is #UD on the host.
 */
static bool is_known_validity(const struct zydis_case *c,
                              const ZydisDecodedInstruction *z, bool valid)
{
    if (!valid)
        return c->mode == X86_MODE_16 && is_vsib(&x86_rows[c->insn->row].op[1]);
    return z->mnemonic == ZYDIS_MNEMONIC_NOP &&
           z->opcode_map == ZYDIS_OPCODE_MAP_0F && z->opcode == 0x0d;
}

static ZydisDecoder decoders[3];

static const ZydisDecoder *decoder_for(unsigned mode)
{
    static const ZydisMachineMode modes[] = {
        ZYDIS_MACHINE_MODE_LEGACY_16,
        ZYDIS_MACHINE_MODE_LEGACY_32,
        ZYDIS_MACHINE_MODE_LONG_64,
    };
    static const ZydisStackWidth widths[] = {
        ZYDIS_STACK_WIDTH_16,
        ZYDIS_STACK_WIDTH_32,
        ZYDIS_STACK_WIDTH_64,
    };
    ZydisDecoder *d = &decoders[mode];

    if (d->stack_width == widths[mode] && d->machine_mode == modes[mode])
        return d;
    ZydisDecoderInit(d, modes[mode], widths[mode]);
    ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_TRUE);
    ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
    ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
    ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_WBNOINVD, ZYAN_FALSE);
    return d;
}

void zydis_compare(struct zydis_totals *totals, unsigned mode,
                   const uint8_t *bytes, const struct x86_features *feat,
                   bool whole)
{
    ZydisDecodedOperand zops[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecodedInstruction z;
    struct x86_insn insn;
    struct zydis_case c = {
        .totals = totals, .mode = mode, .bytes = bytes, .insn = &insn
    };
    int len = x86_decode(&insn, bytes, CASE_BYTES, mode, feat);
    bool valid = ZYAN_SUCCESS(
        ZydisDecoderDecodeFull(decoder_for(mode), bytes, CASE_BYTES, &z, zops));
    const char *theirs = valid ? ZydisMnemonicGetString(z.mnemonic) : "-";
    const char *name = "-";
    char lengths[2][24];

    totals->cases++;
    if (len > 0)
        name = x86_rows[insn.row].mnemonic;
    if (valid && is_foreign(&z)) {
        totals->foreign++;
        if (len > 0)
            difference(&c, "foreign", name, theirs);
    } else if (!valid && len < 0) {
        totals->both_invalid++;
    } else if (valid != (len > 0)) {
        if (!is_known_validity(&c, &z, valid))
            difference(&c, "validity", name, theirs);
    } else if (len != z.length) {
        snprintf(lengths[0], sizeof lengths[0], "%.16s %d", name, len);
        snprintf(lengths[1], sizeof lengths[1], "%.16s %d", theirs, z.length);
        difference(&c, "length", lengths[0], lengths[1]);
    } else {
        totals->valid++;
        if (!whole)
            return;
        if (!same_name(&x86_rows[insn.row], theirs))
            difference(&c, "name", name, theirs);
        compare_operands(&c, name, &z, zops);
        compare_flags(&c, name, &z);
    }
}
