/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic flags, computed by the host.
 *
 * A handler executes the guest's own instruction in inline assembly and
 * then fetches the flags by LAHF and SETO, which costs less than computing
 * them, and gives what real processors give where the manual says
 * "undefined".
 *
 * The flags travel in "packed" form: bits 8..15 as LAHF leaves them (SF ZF -
 * AF - PF - CF), bit 0 is OF.  All other bits are to be ignored.
 */
#ifndef CPU_INTERP_FLAGS_H
#define CPU_INTERP_FLAGS_H

#include "cpu/vcpu.h"

/*
 * The packed flags are operand 0, always in EAX.  FLAGS_LOAD makes them the
 * host's: 0x7f + 1 overflows, 0x7f + 0 does not.
 */
#define FLAGS_LOAD "addb $0x7f, %%al\n\tsahf\n\t"
#define FLAGS_SAVE "\n\tlahf\n\tseto %%al"

#define FLAGS_LAHF (FL_SF | FL_ZF | FL_AF | FL_PF | FL_CF)

static inline uint32_t flags_pack(const struct vcpu *cpu)
{
    uint32_t fl = (uint32_t)cpu->st.rflags;

    return (fl & 0xff) << 8 | (fl >> 11 & 1);
}

static inline void flags_set(struct vcpu *cpu, uint32_t packed)
{
    uint64_t rest = cpu->st.rflags & ~(uint64_t)FL_ARITH;

    cpu->st.rflags = rest | (packed >> 8 & FLAGS_LAHF) | (packed & 1) << 11;
}

/* Replaces the flags in mask by those in value. */
static inline void flags_put(struct vcpu *cpu, uint32_t mask, uint32_t value)
{
    cpu->st.rflags = (cpu->st.rflags & ~(uint64_t)mask) | value;
}

/*
 * The sixteen conditions, in the order of the opcodes and by the names the
 * mnemonics end in.  X(name, expression on the flags f)
 */
#define FLAG_CONDITIONS(X)                       \
    X(o, (f & FL_OF))                            \
    X(no, !(f & FL_OF))                          \
    X(b, (f & FL_CF))                            \
    X(ae, !(f & FL_CF))                          \
    X(e, (f & FL_ZF))                            \
    X(ne, !(f & FL_ZF))                          \
    X(be, (f & (FL_CF | FL_ZF)))                 \
    X(a, !(f & (FL_CF | FL_ZF)))                 \
    X(s, (f & FL_SF))                            \
    X(ns, !(f & FL_SF))                          \
    X(p, (f & FL_PF))                            \
    X(np, !(f & FL_PF))                          \
    X(l, (f >> 4 ^ f) & FL_SF)                   \
    X(ge, !((f >> 4 ^ f) & FL_SF))               \
    X(le, ((f >> 4 ^ f) & FL_SF) || (f & FL_ZF)) \
    X(g, !((f >> 4 ^ f) & FL_SF) && !(f & FL_ZF))

#endif
