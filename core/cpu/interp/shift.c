/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ROL ROR RCL RCR SHL SHR SAR SHLD SHRD and BMI2's shifts without flags.
 *
 * The guest's flags go into the host instruction and come out of it, because
 * a count of zero keeps them and larger counts leave some undefined.
 */
#include "cpu/gen/handlers.h"
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"

#define WIDTH 8
#include "cpu/interp/shift.c.inc"
#undef WIDTH
#define WIDTH 16
#include "cpu/interp/shift.c.inc"
#undef WIDTH
#define WIDTH 32
#include "cpu/interp/shift.c.inc"
#undef WIDTH
#define WIDTH 64
#include "cpu/interp/shift.c.inc"
#undef WIDTH

#define BMI2_SHIFT(name, width, expression, count)                          \
    void h_##name##_##width##_r(struct vcpu *cpu, const struct x86_insn *i) \
    {                                                                       \
        uint##width##_t v = (uint##width##_t)cpu->st.gpr[i->rm];            \
        unsigned n = (unsigned)(count) & (width - 1);                       \
        cpu->st.gpr[i->reg] = (uint##width##_t)(expression);                \
    }                                                                       \
    void h_##name##_##width##_m(struct vcpu *cpu, const struct x86_insn *i) \
    {                                                                       \
        uint##width##_t v = ld##width(cpu, i->seg, ea(cpu, i));             \
        unsigned n = (unsigned)(count) & (width - 1);                       \
        cpu->st.gpr[i->reg] = (uint##width##_t)(expression);                \
    }

BMI2_SHIFT(shlx_GEB, 32, v << n, cpu->st.gpr[i->vvvv])
BMI2_SHIFT(shlx_GEB, 64, v << n, cpu->st.gpr[i->vvvv])
BMI2_SHIFT(shrx_GEB, 32, v >> n, cpu->st.gpr[i->vvvv])
BMI2_SHIFT(shrx_GEB, 64, v >> n, cpu->st.gpr[i->vvvv])
BMI2_SHIFT(sarx_GEB, 32, (int32_t)v >> n, cpu->st.gpr[i->vvvv])
BMI2_SHIFT(sarx_GEB, 64, (int64_t)v >> n, cpu->st.gpr[i->vvvv])
BMI2_SHIFT(rorx_GEI, 32, v >> n | v << (-n & 31), i->imm)
BMI2_SHIFT(rorx_GEI, 64, v >> n | v << (-n & 63), i->imm)
