/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the decoder works on, written by tools/gen-x86 into
 * gen/decode_tables.c from the rows of x86.def.
 *
 * An opcode leads to a list of matches, the most specific first.  When ModRM
 * has a say it leads to 16 lists: one for each ModRM.reg in memory form, then
 * one for each in register form.  A match compares some bits of a key made
 * of everything that may choose a row.  Opcodes share lists that are equal.
 */
#ifndef CPU_DECODE_TABLES_H
#define CPU_DECODE_TABLES_H

#include <stdint.h>

#include "cpu/insn.h"

/* The key: bits of struct x86_match.mask and .value */
#define X86_KEY_MODRM      0x000ffu
#define X86_KEY_PFX        0x00300u /* X86_KEY_NP .. X86_KEY_F2 */
#define X86_KEY_NP         0x00000u
#define X86_KEY_66         0x00100u
#define X86_KEY_F3         0x00200u
#define X86_KEY_F2         0x00300u
#define X86_KEY_REP        0x00200u /* F3 or F2 */
#define X86_KEY_W          0x00400u
#define X86_KEY_L          0x00800u
#define X86_KEY_64         0x01000u /* 64-bit mode */
#define X86_KEY_REX_B      0x02000u
#define X86_KEY_OSZ        0x0c000u /* operand size: 16, 32, 64 */
#define X86_KEY_OSZ_SHIFT  14
#define X86_KEY_DF64       0x30000u /* ... of an instruction with df64 */
#define X86_KEY_DF64_SHIFT 16

struct x86_match {
    uint32_t mask, value;
    uint16_t row; /* 0 ends the list */
};

#define X86_OPC_MODRM  0x1
#define X86_OPC_GROUPS 0x2 /* list is the first of 16 in x86_groups[] */

struct x86_opcode {
    uint16_t list;
    uint8_t flags; /* X86_OPC_* */
};

/* Immediate and other bytes behind ModRM and displacement */
enum x86_imm {
    X86_IMM_NONE,
    X86_IMM_B,  /* byte, zero-extended */
    X86_IMM_BS, /* byte, sign-extended: Ibs, Jb */
    X86_IMM_W,
    X86_IMM_Z,   /* 2 or 4 bytes, sign-extended: Iz, Jz */
    X86_IMM_V,   /* 2, 4 or 8 bytes */
    X86_IMM_FAR, /* Ap */
    X86_IMM_WB,  /* Iw,Ib */
    X86_IMM_MOFFS,
    X86_IMM_IS4, /* register in bits 7..4 */
};

enum x86_osz_rule {
    X86_OSZ_PLAIN, /* by mode, 66 and REX.W */
    X86_OSZ_BYTE,
    X86_OSZ_DF64, /* 64-bit mode: 8, with 66 2 */
    X86_OSZ_F64,  /* 64-bit mode: 8 */
    X86_OSZ_Y,    /* W: 8, else 4 */
};

/* x86_form.flags */
#define X86_F_LOCK      0x0001
#define X86_F_PROT      0x0002 /* #UD in real and V86 mode */
#define X86_F_END       0x0004
#define X86_F_BY_SIZE   0x0008
#define X86_F_BY_FORM   0x0010
#define X86_F_NO_VVVV   0x0020 /* VEX.vvvv must be 1111 */
#define X86_F_VSIB      0x0040
#define X86_F_ANY_MOD   0x0080 /* ModRM.mod counts as 3 */
#define X86_F_TOOK_REP  0x0100 /* F3 or F2 is part of the opcode */
#define X86_F_SEG_REG   0x0200 /* reg is a segment register */
#define X86_F_CTRL_REG  0x0400
#define X86_F_DEBUG_REG 0x0800
#define X86_F_PLUS_R    0x1000
#define X86_F_SEG_DEST  0x2000 /* loads it: not CS */

#define X86_NO_FEATURE 0xffff

/* The part of a row that the decoder needs, by row number. */
struct x86_form {
    uint16_t fn;      /* first of its handlers in x86_handlers[] */
    uint16_t feature; /* enum x86_feature or X86_NO_FEATURE */
    uint16_t flags;   /* X86_F_* */
    uint8_t imm;      /* enum x86_imm */
    uint8_t osz;      /* enum x86_osz_rule */
};

/* Legacy maps one-byte, 0F, 0F38, 0F3A, then VEX maps 1, 2, 3. */
#define X86_MAPS 7

extern const struct x86_opcode x86_opcodes[X86_MAPS][256];
extern const uint16_t x86_groups[][16];
extern const struct x86_match x86_matches[];
extern const struct x86_form x86_forms[];
/*
 * The handlers of a row: one, or one for each of the operand sizes 16, 32, 64
 * (of a byte instruction: one for 8), each once or for register and memory.
 */
extern x86_handler *const x86_handlers[];

#endif
