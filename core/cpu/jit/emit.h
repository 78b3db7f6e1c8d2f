/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encoder.  Code is written through one mapping of the code buffer and
 * runs in another; all addresses here are those of the writable one.
 * Nothing checks for room: who begins a block makes sure of BLOCK_ROOM.
 */
#ifndef CPU_JIT_EMIT_H
#define CPU_JIT_EMIT_H

#include <string.h>

#include "cpu/jit/target.h"

struct emit {
    uint8_t *p; /* where the next byte goes */
};

static inline void emit8(struct emit *e, unsigned v)
{
    *e->p++ = (uint8_t)v;
}

static inline void emit32(struct emit *e, uint32_t v)
{
    memcpy(e->p, &v, 4);
    e->p += 4;
}

static inline void emit64(struct emit *e, uint64_t v)
{
    memcpy(e->p, &v, 8);
    e->p += 8;
}

void emit_insn(struct emit *e, const struct host_insn *i);

/* One-byte opcodes with ModRM: w is REX.W */
void emit_rr(struct emit *e, bool w, unsigned op, unsigned reg, unsigned rm);
void emit_rm(struct emit *e, bool w, unsigned op, unsigned reg,
             const struct host_mem *m);
/* The ALU group: op /n with an immediate */
void emit_ri(struct emit *e, bool w, unsigned n, unsigned rm, int32_t imm);
void emit_mi(struct emit *e, bool w, unsigned n, const struct host_mem *m,
             int32_t imm);
enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

void emit_mov_imm(struct emit *e, unsigned reg, uint64_t v);
void emit_shift(struct emit *e, bool w, unsigned n, unsigned rm, unsigned by);

/* A field of the state: gs:[offset] */
static inline struct host_mem state_mem(size_t offset)
{
    return (struct host_mem){ H_NONE, H_NONE, 0, true, (int32_t)offset };
}

/* The arithmetic flags into AX, as vcpu.jit_flags keeps them; and back. */
void emit_flags_pack(struct emit *e);
void emit_flags_unpack(struct emit *e);

void emit_push(struct emit *e, unsigned reg);
void emit_pop(struct emit *e, unsigned reg);
void emit_load(struct emit *e, bool w, unsigned reg, size_t offset);
void emit_store(struct emit *e, bool w, unsigned reg, size_t offset);
void emit_lea(struct emit *e, bool w, unsigned reg, unsigned base,
              int32_t disp);

/* Jumps return the place of their 32-bit displacement. */
uint8_t *emit_jcc(struct emit *e, enum host_cc cc);
uint8_t *emit_call(struct emit *e);
void emit_patch(uint8_t *rel, const uint8_t *target);
void emit_call_to(struct emit *e, const uint8_t *target);
void emit_jmp_to(struct emit *e, const uint8_t *target);

#endif
