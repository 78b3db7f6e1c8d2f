/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instruction table as the program sees it: one struct x86_row for each
 * row of core/cpu/x86.def, written by tools/gen-x86 into gen/rows.c.  Read by
 * the disassembler, the translator and the tests; the decoder itself works on
 * the compact tables of decode_tables.h, which come from the same rows.
 */
#ifndef CPU_TABLE_H
#define CPU_TABLE_H

#include <stdint.h>

/* Where an operand is: the capital letters of the manuals' operand codes. */
enum x86_operand_kind {
    X86_OP_NONE,
    X86_OP_E,      /* ModRM.rm: general register or memory */
    X86_OP_G,      /* ModRM.reg: general register */
    X86_OP_R,      /* ModRM.rm: general register only */
    X86_OP_M,      /* ModRM.rm: memory only */
    X86_OP_VSIB_X, /* memory, each element by an index in an XMM */
    X86_OP_VSIB_Y, /* ... in a YMM */
    X86_OP_B,      /* VEX.vvvv: general register */
    X86_OP_Z,      /* general register in the opcode's low three bits */
    X86_OP_I,      /* immediate */
    X86_OP_J,      /* branch displacement */
    X86_OP_A,      /* far address in the instruction */
    X86_OP_O,      /* memory at an address in the instruction */
    X86_OP_X,      /* string source, seg:rSI */
    X86_OP_Y,      /* string destination, ES:rDI */
    X86_OP_S,      /* ModRM.reg: segment register */
    X86_OP_C,      /* ModRM.reg: control register */
    X86_OP_D,      /* ModRM.reg: debug register */
    X86_OP_V,      /* ModRM.reg: vector register */
    X86_OP_W,      /* ModRM.rm: vector register or memory */
    X86_OP_H,      /* VEX.vvvv: vector register */
    X86_OP_U,      /* ModRM.rm: vector register only */
    X86_OP_L,      /* imm8[7:4]: vector register */
    X86_OP_P,      /* ModRM.reg: MMX register */
    X86_OP_Q,      /* ModRM.rm: MMX register or memory */
    X86_OP_N,      /* ModRM.rm: MMX register only */
    X86_OP_ST0,
    X86_OP_STI, /* ModRM.rm: ST(i) */
    X86_OP_GPR, /* implied general register, number in .reg */
    X86_OP_SEG, /* implied segment register, number in .reg */
    X86_OP_ONE, /* the constant in .reg */
};

/* How wide it is: the small letters. */
enum x86_operand_size {
    X86_SZ_NONE, /* no size of its own: LEA, INVLPG, XSAVE areas */
    X86_SZ_B,
    X86_SZ_W,
    X86_SZ_D,
    X86_SZ_Q,    /* 1, 2, 4, 8 bytes */
    X86_SZ_T,    /* 10: x87 extended, BCD */
    X86_SZ_DQ,   /* 16 */
    X86_SZ_QQ,   /* 32 */
    X86_SZ_BS,   /* immediate byte, sign-extended */
    X86_SZ_V,    /* operand size: 2, 4, 8 */
    X86_SZ_Z,    /* operand size, but 4 for 8 */
    X86_SZ_Y,    /* 4 or 8 */
    X86_SZ_X,    /* vector length: 16, 32 */
    X86_SZ_P,    /* far pointer: operand size + 2 */
    X86_SZ_A,    /* BOUND: two operand sizes */
    X86_SZ_S,    /* pseudo-descriptor: 6, in 64-bit mode 10 */
    X86_SZ_ENV,  /* x87 environment: 14 or 28 */
    X86_SZ_SAVE, /* x87 state: 94 or 108 */
    X86_SZ_FX,   /* FXSAVE area: 512 */
};

struct x86_operand {
    uint8_t kind;     /* enum x86_operand_kind */
    uint8_t size;     /* enum x86_operand_size */
    uint8_t reg;      /* register or constant of implied ones */
    uint8_t mem_size; /* enum x86_operand_size in memory form */
};

#define X86_MAX_OPERANDS 4

enum x86_valid {
    X86_VALID_ALL,
    X86_VALID_NO64,
    X86_VALID_ONLY64,
    X86_VALID_PROT
};

enum x86_jit_class {
    X86_JIT_NONE,
    X86_JIT_COPY,
    X86_JIT_COPYM,
    X86_JIT_BRANCH,
    X86_JIT_STRING,
    X86_JIT_CALL,
    X86_JIT_SPECIAL
};

/* x86_row.attrs: the names of the ATTRS column */
#define X86_A_LOCK   0x0001u
#define X86_A_REP    0x0002u
#define X86_A_REPZ   0x0004u
#define X86_A_DF64   0x0008u
#define X86_A_F64    0x0010u
#define X86_A_BYTE   0x0020u
#define X86_A_END    0x0040u
#define X86_A_CPL0   0x0080u
#define X86_A_IO     0x0100u
#define X86_A_ALIGN  0x0200u
#define X86_A_COND   0x0400u
#define X86_A_USER   0x0800u
#define X86_A_NOTEST 0x1000u

struct x86_row {
    const char *mnemonic;
    const char *enc; /* columns of x86.def as written */
    const char *operands;
    const char *handler; /* without the size and form suffixes */
    const char *notest;  /* why no test can run it, or NULL */
    const char *file;
    struct x86_operand op[X86_MAX_OPERANDS];
    uint32_t attrs;   /* X86_A_* */
    uint32_t fl_read; /* RFLAGS masks */
    uint32_t fl_written;
    uint32_t fl_undefined;
    uint16_t feature; /* enum x86_feature, or 0xffff */
    uint16_t line;    /* where in file */
    uint8_t valid;    /* enum x86_valid */
    uint8_t jit;      /* enum x86_jit_class */
    uint8_t map;      /* 0 one-byte, 1 0F, 2 0F38, 3 0F3A */
    uint8_t opcode;
    uint8_t prefix; /* enum x86_prefix */
    uint8_t vex;    /* boolean */
    int8_t l, w;    /* 0, 1 or -1: any */
    int8_t ext;     /* ModRM.reg, or -1 */
    int8_t form;    /* 'r', 'm' or 0: both */
    int16_t exact;  /* whole ModRM, or -1 */
    uint8_t has_modrm;
    uint8_t plus_r;
    uint8_t osz; /* 16, 32, 64 of .o16...; 0: any */
};

/* What a row demands of the prefixes 66, F3 and F2. */
enum x86_prefix {
    X86_PFX_ANY, /* nothing: 66 is the operand size */
    X86_PFX_NF,  /* no F3, no F2; 66 is the operand size */
    X86_PFX_NP,  /* none of them */
    X86_PFX_66,
    X86_PFX_F3,
    X86_PFX_F2,
};

extern const struct x86_row x86_rows[];
extern const unsigned x86_row_count; /* row 0 is "(bad)" */

#endif
