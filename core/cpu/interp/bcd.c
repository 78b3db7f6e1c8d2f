/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DAA DAS AAA AAS AAM AAD and SALC, which 64-bit processors run in 16- and
 * 32-bit code only.  Here the flags are computed, as the pseudo-code in
 * SDM volume 2 has it; the undefined ones as AMD's Zen 4 leaves them, which
 * are those of the addition or subtraction of the adjustment.
 */
#include "cpu/gen/handlers.h"
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"

static void set_al(struct vcpu *cpu, uint8_t al)
{
    cpu->st.gpr[RAX] = (cpu->st.gpr[RAX] & ~0xffull) | al;
}

static void set_ax(struct vcpu *cpu, uint16_t ax)
{
    cpu->st.gpr[RAX] = (cpu->st.gpr[RAX] & ~0xffffull) | ax;
}

/* SF, ZF and PF of a byte. */
static uint32_t result_flags(uint8_t v)
{
    return (v & 0x80 ? FL_SF : 0) | (v ? 0 : FL_ZF) |
           (__builtin_parity(v) ? 0 : FL_PF);
}

static void decimal_adjust(struct vcpu *cpu, int sign)
{
    uint32_t old = (uint32_t)cpu->st.rflags, fl = 0;
    uint8_t al = (uint8_t)cpu->st.gpr[RAX], result = al;
    int signed_result;

    if ((al & 15) > 9 || (old & FL_AF)) {
        fl |= FL_AF;
        /* Only DAS carries out of this step into CF. */
        if (sign < 0 && al < 6)
            fl |= FL_CF;
        result = (uint8_t)(result + sign * 6);
    }
    if (al > 0x99 || (old & FL_CF)) {
        fl |= FL_CF;
        result = (uint8_t)(result + sign * 0x60);
    }
    signed_result = (int8_t)al + sign * (uint8_t)(sign * (result - al));
    if (signed_result != (int8_t)result)
        fl |= FL_OF;
    set_al(cpu, result);
    flags_put(cpu, FL_ARITH, fl | result_flags(result));
}

void h_daa(struct vcpu *cpu, const struct x86_insn *i)
{
    decimal_adjust(cpu, 1);
}

void h_das(struct vcpu *cpu, const struct x86_insn *i)
{
    decimal_adjust(cpu, -1);
}

static void ascii_adjust(struct vcpu *cpu, int sign)
{
    int16_t ax = (int16_t)cpu->st.gpr[RAX];
    uint32_t fl = 0;
    int sum = ax;

    if ((ax & 15) > 9 || (cpu->st.rflags & FL_AF)) {
        sum += sign * 0x106;
        fl = FL_AF | FL_CF;
    }
    ax = (int16_t)sum;
    if (sum != ax)
        fl |= FL_OF;
    fl |= ax < 0 ? FL_SF : 0;
    fl |= ax ? 0 : FL_ZF;
    fl |= __builtin_parity((uint8_t)ax) ? 0 : FL_PF;
    set_ax(cpu, (uint16_t)ax & 0xff0f);
    flags_put(cpu, FL_ARITH, fl);
}

void h_aaa(struct vcpu *cpu, const struct x86_insn *i)
{
    ascii_adjust(cpu, 1);
}

void h_aas(struct vcpu *cpu, const struct x86_insn *i)
{
    ascii_adjust(cpu, -1);
}

void h_aam(struct vcpu *cpu, const struct x86_insn *i)
{
    uint8_t al = (uint8_t)cpu->st.gpr[RAX], base = (uint8_t)i->imm;

    if (!base)
        cpu_raise(cpu, EXC_DE); /* does not return */
    /* cppcheck-suppress zerodivcond */
    set_ax(cpu, (uint16_t)(al / base << 8 | al % base));
    /* cppcheck-suppress zerodivcond */
    flags_put(cpu, FL_ARITH, result_flags(al % base));
}

void h_aad(struct vcpu *cpu, const struct x86_insn *i)
{
    uint16_t ax = (uint16_t)cpu->st.gpr[RAX];
    uint8_t al = (uint8_t)ax, tens = (uint8_t)((ax >> 8) * (uint8_t)i->imm);
    uint32_t fl = 0;

    __asm__("add %2, %1" FLAGS_SAVE : "+&a"(fl), "+r"(al) : "r"(tens) : "cc");
    set_ax(cpu, al);
    flags_set(cpu, fl);
}

void h_salc(struct vcpu *cpu, const struct x86_insn *i)
{
    set_al(cpu, cpu->st.rflags & FL_CF ? 0xff : 0);
}
