/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host as the translator sees it: registers, which of them hold guest
 * registers, operands in memory.
 *
 * The state is reached through GS, so it costs no register.  The first eight
 * guest registers but RSP are where the host has them, so that instructions
 * with implied operands (MUL, shifts by CL, CMPXCHG, CBW) need no care.
 * Compilers use R10, R11, R14 and R15 least: these stay in the state.
 */
#ifndef CPU_JIT_TARGET_H
#define CPU_JIT_TARGET_H

#include <stdbool.h>
#include <stdint.h>

enum host_reg {
    H_RAX,
    H_RCX,
    H_RDX,
    H_RBX,
    H_RSP,
    H_RBP,
    H_RSI,
    H_RDI,
    H_R8,
    H_R9,
    H_R10,
    H_R11,
    H_R12,
    H_R13,
    H_R14,
    H_R15,
    H_NONE = 0xff
};

#define H_S2 H_R12 /* scratch: a window (window.c) */
#define H_S0 H_R13 /* scratch: offsets, addresses, targets */
#define H_S1 H_R14 /* scratch: host addresses */
#define H_SP H_R15 /* guest RSP */

/* Host register of a guest one; H_NONE: it is in the state. */
static const uint8_t host_of[16] = {
    H_RAX, H_RCX, H_RDX,  H_RBX,  H_SP,  H_RBP, H_RSI,  H_RDI,
    H_R8,  H_R9,  H_NONE, H_NONE, H_R10, H_R11, H_NONE, H_NONE,
};

enum host_cc {
    CC_O,
    CC_NO,
    CC_B,
    CC_AE,
    CC_E,
    CC_NE,
    CC_BE,
    CC_A,
    CC_S,
    CC_NS,
    CC_P,
    CC_NP,
    CC_L,
    CC_GE,
    CC_LE,
    CC_G,
    CC_ALWAYS
};

/* [base + index << scale + disp], in the state when gs */
struct host_mem {
    uint8_t base, index; /* enum host_reg */
    uint8_t scale;
    bool gs;
    int32_t disp;
};

/* An instruction to encode. */
struct host_insn {
    bool p66, lock, w, vex, l;
    uint8_t rep; /* F2, F3 or 0 */
    uint8_t map; /* 0 none, 1 0F, 2 0F38, 3 0F3A */
    uint8_t op;
    uint8_t reg, rm; /* numbers; rm unused with mem */
    uint8_t vvvv;
    bool rex;    /* a REX prefix, whatever it holds */
    bool plus_r; /* rm is in the opcode, no ModRM */
    bool bare;   /* no ModRM at all */
    const struct host_mem *mem;
    uint8_t imm_bytes;
    uint64_t imm;
};

#endif
