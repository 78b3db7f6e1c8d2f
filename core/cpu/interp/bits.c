/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BT BTS BTR BTC BSF BSR TZCNT LZCNT POPCNT CRC32 and the BMI1 and BMI2
 * instructions other than shifts and MULX.
 *
 * The host's own instructions do the work. A feature that the host lacks is
 * not offered to the guest, so they are never reached without it.
 */
#include "cpu/gen/handlers.h"
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"

/* The checksum has 32 bits whatever the operand's size. */
#define CRC32(width, suffix, ctype)                                       \
    static inline uint64_t crc32_##width(uint64_t crc, uint##width##_t v) \
    {                                                                     \
        ctype c = (ctype)crc;                                             \
        __asm__("crc32" suffix " %1, %0" : "+r"(c) : "r"(v));             \
        return (uint32_t)c;                                               \
    }

CRC32(8, "b", uint32_t)
CRC32(16, "w", uint32_t)
CRC32(32, "l", uint32_t)
CRC32(64, "q", uint64_t)

void h_crc32_GE_8_r(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t crc = cpu->st.gpr[i->reg];

    cpu->st.gpr[i->reg] = crc32_8(crc, reg_get8(cpu, i, i->rm));
}

void h_crc32_GE_8_m(struct vcpu *cpu, const struct x86_insn *i)
{
    uint8_t v = ld8(cpu, i->seg, ea(cpu, i));

    cpu->st.gpr[i->reg] = crc32_8(cpu->st.gpr[i->reg], v);
}

#define WIDTH 16
#include "cpu/interp/bits.c.inc"
#undef WIDTH
#define WIDTH 32
#include "cpu/interp/bits.c.inc"
#undef WIDTH
#define WIDTH 64
#include "cpu/interp/bits.c.inc"
#undef WIDTH
