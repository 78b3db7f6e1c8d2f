/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decoded x86 instruction: what the decoder (core/cpu/decode.c) makes of
 * up to 15 bytes, and what interpreter handlers, disassembler and translator
 * read.  It holds no guest address, so that one decoded block serves every
 * virtual alias of its physical page.
 */
#ifndef CPU_INSN_H
#define CPU_INSN_H

#include <stdint.h>

struct vcpu;
struct x86_insn;

/*
 * Executes one instruction.  On entry st.rip already points behind the
 * instruction (truncated to the code size).  A handler performs everything
 * that may fault before it changes any register, flag or rip; faults leave
 * it by cpu_raise() and friends, which do not return.  [vcpu thread]
 */
typedef void x86_handler(struct vcpu *cpu, const struct x86_insn *i);

#define X86_NOREG 0xff
#define X86_RIP   16 /* base: RIP-relative */

/* x86_insn.flags */
#define X86_I_MEM    0x01 /* the E/M/W/Q operand is in memory */
#define X86_I_LOCK   0x02
#define X86_I_REP    0x04 /* F3 present and not part of the opcode */
#define X86_I_REPNE  0x08 /* F2 likewise */
#define X86_I_REX    0x10 /* a REX prefix: SPL..DIL instead of AH..BH */
#define X86_I_VEX    0x20
#define X86_I_SEGOVR 0x40 /* a segment override was given */
#define X86_I_END    0x80 /* the row ends a block */

struct x86_insn {
    x86_handler *fn;
    uint64_t imm;        /* extended to 64 bits as the row says */
    int64_t disp;        /* address displacement; moffs in full */
    uint16_t row;        /* index into x86_rows[] */
    uint16_t imm2;       /* selector of Ap; second Ib of ENTER */
    uint8_t len;         /* 1..15 */
    uint8_t flags;       /* X86_I_* */
    uint8_t osz;         /* operand size in bytes: 1, 2, 4, 8 */
    uint8_t asz;         /* address size in bytes: 2, 4, 8 */
    uint8_t reg;         /* ModRM.reg with REX.R, 0..15 */
    uint8_t rm;          /* ModRM.rm with REX.B, or +r register */
    uint8_t seg;         /* SEG_* of the memory operand */
    uint8_t base, index; /* GPR number, X86_RIP or X86_NOREG */
    uint8_t scale;       /* shift: 0..3 */
    uint8_t vvvv;        /* VEX.vvvv, not inverted */
    uint8_t vl;          /* vector bytes: 16 or 32 */
    uint8_t vw;          /* VEX.W or REX.W */
    uint8_t modrm;       /* the byte itself, 0 when there is none */
    uint8_t opcode;      /* last opcode byte */
    uint8_t is4;         /* register in imm8[7:4] */
};

#endif
