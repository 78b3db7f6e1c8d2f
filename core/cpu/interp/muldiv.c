/* SPDX-License-Identifier: Apache-2.0 */
/* MUL IMUL MULX DIV IDIV */
#include "cpu/gen/handlers.h"
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"

#define WIDTH 8
#include "cpu/interp/muldiv.c.inc"
#undef WIDTH
#define WIDTH 16
#include "cpu/interp/muldiv.c.inc"
#undef WIDTH
#define WIDTH 32
#include "cpu/interp/muldiv.c.inc"
#undef WIDTH
#define WIDTH 64
#include "cpu/interp/muldiv.c.inc"
#undef WIDTH

/* The high half is written last and wins when both are one register. */
static void mulx32(struct vcpu *cpu, const struct x86_insn *i, uint32_t v)
{
    uint64_t product = (uint64_t)(uint32_t)cpu->st.gpr[RDX] * v;

    cpu->st.gpr[i->vvvv] = (uint32_t)product;
    cpu->st.gpr[i->reg] = product >> 32;
}

static void mulx64(struct vcpu *cpu, const struct x86_insn *i, uint64_t v)
{
    unsigned __int128 product = (unsigned __int128)cpu->st.gpr[RDX] * v;

    cpu->st.gpr[i->vvvv] = (uint64_t)product;
    cpu->st.gpr[i->reg] = (uint64_t)(product >> 64);
}

void h_mulx_GBE_32_r(struct vcpu *cpu, const struct x86_insn *i)
{
    mulx32(cpu, i, (uint32_t)cpu->st.gpr[i->rm]);
}

void h_mulx_GBE_32_m(struct vcpu *cpu, const struct x86_insn *i)
{
    mulx32(cpu, i, ld32(cpu, i->seg, ea(cpu, i)));
}

void h_mulx_GBE_64_r(struct vcpu *cpu, const struct x86_insn *i)
{
    mulx64(cpu, i, cpu->st.gpr[i->rm]);
}

void h_mulx_GBE_64_m(struct vcpu *cpu, const struct x86_insn *i)
{
    mulx64(cpu, i, ld64(cpu, i->seg, ea(cpu, i)));
}
