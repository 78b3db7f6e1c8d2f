/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT, ADCX ADOX.
 *
 * Handler names: E is the ModRM operand, G the register one, I an immediate,
 * A the accumulator; in the order of the instruction's operands.
 */
#include "cpu/gen/handlers.h"
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"

/* CF from bit 0 of operand 0, which holds RFLAGS or packed flags >> 8. */
#define LOAD_CF "bt $0, %0\n\t"

#define WIDTH  8
#define SUFFIX "b"
#include "cpu/interp/alu.c.inc"
#undef WIDTH
#undef SUFFIX
#define WIDTH  16
#define SUFFIX "w"
#include "cpu/interp/alu.c.inc"
#undef WIDTH
#undef SUFFIX
#define WIDTH  32
#define SUFFIX "l"
#include "cpu/interp/alu.c.inc"
#undef WIDTH
#undef SUFFIX
#define WIDTH  64
#define SUFFIX "q"
#include "cpu/interp/alu.c.inc"
#undef WIDTH
#undef SUFFIX

/*
 * ADCX and ADOX: an addition whose carry goes through one flag only, so
 * that two chains can run side by side.
 */
#define ADX(name, width, flag)                                                 \
    static void name##width(struct vcpu *cpu, const struct x86_insn *i,        \
                            uint##width##_t b)                                 \
    {                                                                          \
        uint64_t carry = !!(cpu->st.rflags & (flag));                          \
        unsigned __int128 sum = (unsigned __int128)b + carry +                 \
                                (uint##width##_t)cpu->st.gpr[i->reg];          \
        cpu->st.gpr[i->reg] = (uint##width##_t)sum;                            \
        flags_put(cpu, flag, (sum >> width) ? (flag) : 0);                     \
    }                                                                          \
    void h_##name##_GE_##width##_r(struct vcpu *cpu, const struct x86_insn *i) \
    {                                                                          \
        name##width(cpu, i, (uint##width##_t)cpu->st.gpr[i->rm]);              \
    }                                                                          \
    void h_##name##_GE_##width##_m(struct vcpu *cpu, const struct x86_insn *i) \
    {                                                                          \
        name##width(cpu, i, ld##width(cpu, i->seg, ea(cpu, i)));               \
    }

ADX(adcx, 32, FL_CF)
ADX(adcx, 64, FL_CF)
ADX(adox, 32, FL_OF)
ADX(adox, 64, FL_OF)
