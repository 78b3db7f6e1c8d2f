/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Near control flow: Jcc JMP CALL RET LOOPcc JCXZ, and the instructions
 * that only touch flags.
 *
 * st.rip is behind the instruction on entry, so a displacement is added to
 * it.  jump_to() cuts the target to the operand size and checks it before
 * anything changes.
 */
#include "cpu/gen/handlers.h"
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"

static inline void jump_by_imm(struct vcpu *cpu, const struct x86_insn *i)
{
    jump_to(cpu, cpu->st.rip + i->imm, i->osz);
}

#define JCC(cc, condition)                                   \
    void h_j##cc(struct vcpu *cpu, const struct x86_insn *i) \
    {                                                        \
        uint32_t f = (uint32_t)cpu->st.rflags;               \
        if (condition)                                       \
            jump_by_imm(cpu, i);                             \
    }

FLAG_CONDITIONS(JCC)

void h_jmp_J(struct vcpu *cpu, const struct x86_insn *i)
{
    jump_by_imm(cpu, i);
}

/*
 * The forms that touch the stack, by operand size. A bad stack counts before
 * a bad target, but nothing is pushed for one.
 */
#define CALL_RET(width)                                                   \
    static inline void call_##width(struct vcpu *cpu, uint64_t target)    \
    {                                                                     \
        target = (uint##width##_t)target;                                 \
        if (unlikely(!jump_fits(cpu, target, width / 8))) {               \
            probe_write(cpu, SEG_SS,                                      \
                        sp_trim(cpu, cpu->st.gpr[RSP] - width / 8),       \
                        width / 8);                                       \
            cpu_gp0(cpu);                                                 \
        }                                                                 \
        push##width(cpu, (uint##width##_t)cpu->st.rip);                   \
        cpu->st.rip = target;                                             \
    }                                                                     \
    static inline void ret_##width(struct vcpu *cpu, uint16_t extra)      \
    {                                                                     \
        uint64_t sp = sp_get(cpu);                                        \
        jump_to(cpu, ld##width(cpu, SEG_SS, sp), width / 8);              \
        sp_set(cpu, sp + width / 8 + extra);                              \
    }                                                                     \
    void h_call_J_##width(struct vcpu *cpu, const struct x86_insn *i)     \
    {                                                                     \
        call_##width(cpu, cpu->st.rip + i->imm);                          \
    }                                                                     \
    void h_call_E_##width##_r(struct vcpu *cpu, const struct x86_insn *i) \
    {                                                                     \
        call_##width(cpu, cpu->st.gpr[i->rm]);                            \
    }                                                                     \
    void h_call_E_##width##_m(struct vcpu *cpu, const struct x86_insn *i) \
    {                                                                     \
        call_##width(cpu, ld##width(cpu, i->seg, ea(cpu, i)));            \
    }                                                                     \
    void h_ret_##width(struct vcpu *cpu, const struct x86_insn *i)        \
    {                                                                     \
        ret_##width(cpu, 0);                                              \
    }                                                                     \
    void h_ret_I_##width(struct vcpu *cpu, const struct x86_insn *i)      \
    {                                                                     \
        ret_##width(cpu, (uint16_t)i->imm);                               \
    }                                                                     \
    void h_jmp_E_##width##_r(struct vcpu *cpu, const struct x86_insn *i)  \
    {                                                                     \
        jump_to(cpu, cpu->st.gpr[i->rm], width / 8);                      \
    }                                                                     \
    void h_jmp_E_##width##_m(struct vcpu *cpu, const struct x86_insn *i)  \
    {                                                                     \
        jump_to(cpu, ld##width(cpu, i->seg, ea(cpu, i)), width / 8);      \
    }

CALL_RET(16)
CALL_RET(32)
CALL_RET(64)

/* CX, ECX or RCX as the address size says. */
static inline uint64_t counter(const struct vcpu *cpu, const struct x86_insn *i)
{
    return ea_trunc(i, cpu->st.gpr[RCX]);
}

static inline void loop(struct vcpu *cpu, const struct x86_insn *i, bool more)
{
    uint64_t old = cpu->st.gpr[RCX], left = ea_trunc(i, old - 1);

    if (left && more)
        jump_by_imm(cpu, i);
    cpu->st.gpr[RCX] = i->asz == 2 ? (old & ~0xffffull) | left : left;
}

void h_loop(struct vcpu *cpu, const struct x86_insn *i)
{
    loop(cpu, i, true);
}

void h_loope(struct vcpu *cpu, const struct x86_insn *i)
{
    loop(cpu, i, cpu->st.rflags & FL_ZF);
}

void h_loopne(struct vcpu *cpu, const struct x86_insn *i)
{
    loop(cpu, i, !(cpu->st.rflags & FL_ZF));
}

void h_jcxz(struct vcpu *cpu, const struct x86_insn *i)
{
    if (!counter(cpu, i))
        jump_by_imm(cpu, i);
}

void h_nop(struct vcpu *cpu, const struct x86_insn *i)
{
}

void h_sahf(struct vcpu *cpu, const struct x86_insn *i)
{
    flags_put(cpu, FLAGS_LAHF, (uint32_t)(cpu->st.gpr[RAX] >> 8) & FLAGS_LAHF);
}

void h_lahf(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t ah = (cpu->st.rflags & FLAGS_LAHF) | FL_ONE;

    cpu->st.gpr[RAX] = (cpu->st.gpr[RAX] & ~0xff00ull) | ah << 8;
}

void h_cmc(struct vcpu *cpu, const struct x86_insn *i)
{
    cpu->st.rflags ^= FL_CF;
}

void h_clc(struct vcpu *cpu, const struct x86_insn *i)
{
    cpu->st.rflags &= ~(uint64_t)FL_CF;
}

void h_stc(struct vcpu *cpu, const struct x86_insn *i)
{
    cpu->st.rflags |= FL_CF;
}

void h_cld(struct vcpu *cpu, const struct x86_insn *i)
{
    cpu->st.rflags &= ~(uint64_t)FL_DF;
}

void h_std(struct vcpu *cpu, const struct x86_insn *i)
{
    cpu->st.rflags |= FL_DF;
}
