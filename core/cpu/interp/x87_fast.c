/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frequent x87 instructions: their ordinary case on the one or two
 * registers involved, everything else through x87_native().  See x87.h.
 *
 * Rounding up is reported in C1, which FNSTSW has to fetch before FSTP of
 * the result clears it.
 */
#include "cpu/interp/x87.h"

/* These sequences leave the host's stack as they found it: empty. */
#define X87_CLOBBERS "st", "st(1)"
#define EXT(reg)     (*(uint8_t(*)[10])(reg))

static inline void c1_clear(struct vcpu *cpu)
{
    cpu->st.x87.sw &= (uint16_t)~X87_SW_C1;
}

/* --- arithmetic ---------------------------------------------------------- */

#define ARITH_MEM(name, insn, bits)                           \
    HANDLER_OF(name)                                          \
    {                                                         \
        uint64_t off = ea(cpu, i);                            \
        uint##bits##_t m;                                     \
        uint8_t *a, r[16];                                    \
        uint16_t sw;                                          \
                                                              \
        check_fpu(cpu);                                       \
        m = ld##bits(cpu, i->seg, off);                       \
        x87_track_mem(cpu, i, off);                           \
        a = x87_reg(cpu, 0);                                  \
        if (likely(x87_maskable(cpu) && x87_used(cpu, 0))) {  \
            x87_round_in(cpu);                                \
            __asm__ volatile("fldt %[a]\n\t" insn " %[m]\n\t" \
                             "fnstsw %[sw]\n\t"               \
                             "fstpt %[r]"                     \
                             : [r] "=m"(r), [sw] "=a"(sw)     \
                             : [a] "m"(EXT(a)), [m] "m"(m)    \
                             : X87_CLOBBERS);                 \
            x87_round_out(cpu);                               \
            if (x87_quiet(cpu, sw)) {                         \
                memcpy(a, r, 10);                             \
                x87_cond(cpu, X87_SW_C1, sw);                 \
                return;                                       \
            }                                                 \
        }                                                     \
        x87_native(cpu, i, &m);                               \
    }

#define ARITH_MEMS(name)                         \
    ARITH_MEM(f##name##_m4, "f" #name "s", 32)   \
    ARITH_MEM(f##name##_m8, "f" #name "l", 64)   \
    ARITH_MEM(fi##name##_m2, "fi" #name "s", 16) \
    ARITH_MEM(fi##name##_m4, "fi" #name "l", 32)
ARITH_MEMS(add)
ARITH_MEMS(mul)
ARITH_MEMS(sub)
ARITH_MEMS(subr)
ARITH_MEMS(div)
ARITH_MEMS(divr)

/* ST(d) = ST(d) op ST(s), and a pop when asked for */
#define ARITH_REG(name, insn, d, s, pops)                              \
    HANDLER_OF(name)                                                   \
    {                                                                  \
        uint8_t *a, *b, r[16];                                         \
        uint16_t sw;                                                   \
                                                                       \
        check_fpu(cpu);                                                \
        x87_track(cpu, i);                                             \
        a = x87_reg(cpu, d);                                           \
        b = x87_reg(cpu, s);                                           \
        if (likely(x87_maskable(cpu) && x87_used(cpu, d) &&            \
                   x87_used(cpu, s))) {                                \
            x87_round_in(cpu);                                         \
            __asm__ volatile("fldt %[b]\n\t"                           \
                             "fldt %[a]\n\t" insn " %%st(1), %%st\n\t" \
                             "fnstsw %[sw]\n\t"                        \
                             "fstpt %[r]\n\t"                          \
                             "fstp %%st(0)"                            \
                             : [r] "=m"(r), [sw] "=a"(sw)              \
                             : [a] "m"(EXT(a)), [b] "m"(EXT(b))        \
                             : X87_CLOBBERS);                          \
            x87_round_out(cpu);                                        \
            if (x87_quiet(cpu, sw)) {                                  \
                memcpy(a, r, 10);                                      \
                x87_cond(cpu, X87_SW_C1, sw);                          \
                if (pops)                                              \
                    x87_pop(cpu);                                      \
                return;                                                \
            }                                                          \
        }                                                              \
        x87_native(cpu, i, NULL);                                      \
    }

#define STI (i->modrm & 7u)
#define ARITH_REGS(name)                              \
    ARITH_REG(f##name##_0i, "f" #name, 0, STI, false) \
    ARITH_REG(f##name##_i0, "f" #name, STI, 0, false) \
    ARITH_REG(f##name##p_i0, "f" #name, STI, 0, true)
ARITH_REGS(add)
ARITH_REGS(mul)
ARITH_REGS(sub)
ARITH_REGS(subr)
ARITH_REGS(div)
ARITH_REGS(divr)

/* ST(0) = f(ST(0)); cond: the condition codes that it sets */
#define UNARY(name, insn, cond)                              \
    HANDLER_OF(name)                                         \
    {                                                        \
        uint8_t *a, r[16];                                   \
        uint16_t sw;                                         \
                                                             \
        check_fpu(cpu);                                      \
        x87_track(cpu, i);                                   \
        a = x87_reg(cpu, 0);                                 \
        if (likely(x87_maskable(cpu) && x87_used(cpu, 0))) { \
            x87_round_in(cpu);                               \
            __asm__ volatile("fldt %[a]\n\t" insn "\n\t"     \
                             "fnstsw %[sw]\n\t"              \
                             "fstpt %[r]"                    \
                             : [r] "=m"(r), [sw] "=a"(sw)    \
                             : [a] "m"(EXT(a))               \
                             : X87_CLOBBERS);                \
            x87_round_out(cpu);                              \
            if (x87_quiet(cpu, sw)) {                        \
                memcpy(a, r, 10);                            \
                x87_cond(cpu, cond, sw);                     \
                return;                                      \
            }                                                \
        }                                                    \
        x87_native(cpu, i, NULL);                            \
    }
UNARY(fsqrt, "fsqrt", X87_SW_C1)
UNARY(frndint, "frndint", X87_SW_C1)
UNARY(f2xm1, "f2xm1", X87_SW_C1)
UNARY(fsin, "fsin", X87_SW_C1 | X87_SW_C2)
UNARY(fcos, "fcos", X87_SW_C1 | X87_SW_C2)

/*
 * ST(0) = f(ST(0), ST(1)); drop takes the old ST(1) off the host's stack when
 * the instruction does not pop.  FPREM is not among them: with a NaN it keeps
 * condition codes that only x87_native() gives to the host.
 */
#define BINARY(name, insn, pops, drop)                          \
    HANDLER_OF(name)                                            \
    {                                                           \
        uint8_t *a, *b, r[16];                                  \
        uint16_t sw;                                            \
                                                                \
        check_fpu(cpu);                                         \
        x87_track(cpu, i);                                      \
        a = x87_reg(cpu, 0);                                    \
        b = x87_reg(cpu, 1);                                    \
        if (likely(x87_maskable(cpu) && x87_used(cpu, 0) &&     \
                   x87_used(cpu, 1))) {                         \
            x87_round_in(cpu);                                  \
            __asm__ volatile("fldt %[b]\n\t"                    \
                             "fldt %[a]\n\t" insn "\n\t"        \
                             "fnstsw %[sw]\n\t"                 \
                             "fstpt %[r]\n\t" drop              \
                             : [r] "=m"(r), [sw] "=a"(sw)       \
                             : [a] "m"(EXT(a)), [b] "m"(EXT(b)) \
                             : X87_CLOBBERS);                   \
            x87_round_out(cpu);                                 \
            if (x87_quiet(cpu, sw)) {                           \
                memcpy(pops ? b : a, r, 10);                    \
                x87_cond(cpu, X87_SW_C1, sw);                   \
                if (pops)                                       \
                    x87_pop(cpu);                               \
                return;                                         \
            }                                                   \
        }                                                       \
        x87_native(cpu, i, NULL);                               \
    }
BINARY(fscale, "fscale", false, "fstp %%st(0)")
BINARY(fyl2x, "fyl2x", true, "")
BINARY(fyl2xp1, "fyl2xp1", true, "")
BINARY(fpatan, "fpatan", true, "")

/* FCHS and FABS touch the sign of anything, signalling NaNs too. */
HANDLER_OF(fchs)
{
    check_fpu(cpu);
    x87_track(cpu, i);
    if (unlikely(!x87_used(cpu, 0))) {
        x87_native(cpu, i, NULL);
        return;
    }
    x87_reg(cpu, 0)[9] ^= 0x80;
    c1_clear(cpu);
}

HANDLER_OF(fabs)
{
    check_fpu(cpu);
    x87_track(cpu, i);
    if (unlikely(!x87_used(cpu, 0))) {
        x87_native(cpu, i, NULL);
        return;
    }
    x87_reg(cpu, 0)[9] &= 0x7f;
    c1_clear(cpu);
}

/* --- comparison ---------------------------------------------------------- */

static inline void pop_n(struct vcpu *cpu, unsigned n)
{
    while (n--)
        x87_pop(cpu);
}

#define COMPARE_MEM(name, insn, bits, pops)                   \
    HANDLER_OF(name)                                          \
    {                                                         \
        uint64_t off = ea(cpu, i);                            \
        uint##bits##_t m;                                     \
        uint16_t sw;                                          \
                                                              \
        check_fpu(cpu);                                       \
        m = ld##bits(cpu, i->seg, off);                       \
        x87_track_mem(cpu, i, off);                           \
        if (likely(x87_maskable(cpu) && x87_used(cpu, 0))) {  \
            uint8_t *a = x87_reg(cpu, 0);                     \
                                                              \
            __asm__ volatile("fldt %[a]\n\t" insn " %[m]\n\t" \
                             "fnstsw %[sw]\n\t"               \
                             "fstp %%st(0)"                   \
                             : [sw] "=a"(sw)                  \
                             : [a] "m"(EXT(a)), [m] "m"(m)    \
                             : X87_CLOBBERS);                 \
            if (x87_quiet(cpu, sw)) {                         \
                x87_cond(cpu, X87_SW_COND, sw);               \
                pop_n(cpu, pops);                             \
                return;                                       \
            }                                                 \
        }                                                     \
        x87_native(cpu, i, &m);                               \
    }
COMPARE_MEM(fcom_m4, "fcoms", 32, 0)
COMPARE_MEM(fcom_m8, "fcoml", 64, 0)
COMPARE_MEM(ficom_m2, "ficoms", 16, 0)
COMPARE_MEM(ficom_m4, "ficoml", 32, 0)
COMPARE_MEM(fcomp_m4, "fcoms", 32, 1)
COMPARE_MEM(fcomp_m8, "fcoml", 64, 1)
COMPARE_MEM(ficomp_m2, "ficoms", 16, 1)
COMPARE_MEM(ficomp_m4, "ficoml", 32, 1)

#define COMPARE_REG(name, insn, s, pops)                         \
    HANDLER_OF(name)                                             \
    {                                                            \
        uint16_t sw;                                             \
                                                                 \
        check_fpu(cpu);                                          \
        x87_track(cpu, i);                                       \
        if (likely(x87_maskable(cpu) && x87_used(cpu, 0) &&      \
                   x87_used(cpu, s))) {                          \
            uint8_t *a = x87_reg(cpu, 0), *b = x87_reg(cpu, s);  \
                                                                 \
            __asm__ volatile("fldt %[b]\n\t"                     \
                             "fldt %[a]\n\t" insn " %%st(1)\n\t" \
                             "fnstsw %[sw]\n\t"                  \
                             "fstp %%st(0)\n\t"                  \
                             "fstp %%st(0)"                      \
                             : [sw] "=a"(sw)                     \
                             : [a] "m"(EXT(a)), [b] "m"(EXT(b))  \
                             : X87_CLOBBERS);                    \
            if (x87_quiet(cpu, sw)) {                            \
                x87_cond(cpu, X87_SW_COND, sw);                  \
                pop_n(cpu, pops);                                \
                return;                                          \
            }                                                    \
        }                                                        \
        x87_native(cpu, i, NULL);                                \
    }
COMPARE_REG(fcom, "fcom", STI, 0)
COMPARE_REG(fcomp, "fcom", STI, 1)
COMPARE_REG(fcompp, "fcom", 1, 2)
COMPARE_REG(fucom, "fucom", STI, 0)
COMPARE_REG(fucomp, "fucom", STI, 1)
COMPARE_REG(fucompp, "fucom", 1, 2)

#define EXAMINE(name, insn)                                  \
    HANDLER_OF(name)                                         \
    {                                                        \
        uint16_t sw;                                         \
                                                             \
        check_fpu(cpu);                                      \
        x87_track(cpu, i);                                   \
        if (likely(x87_maskable(cpu) && x87_used(cpu, 0))) { \
            __asm__ volatile("fldt %[a]\n\t" insn "\n\t"     \
                             "fnstsw %[sw]\n\t"              \
                             "fstp %%st(0)"                  \
                             : [sw] "=a"(sw)                 \
                             : [a] "m"(EXT(x87_reg(cpu, 0))) \
                             : X87_CLOBBERS);                \
            if (x87_quiet(cpu, sw)) {                        \
                x87_cond(cpu, X87_SW_COND, sw);              \
                return;                                      \
            }                                                \
        }                                                    \
        x87_native(cpu, i, NULL);                            \
    }
EXAMINE(ftst, "ftst")
EXAMINE(fxam, "fxam")

/* The condition codes stay as they are, C1 too (measured on Zen 4). */
#define COMPARE_FLAGS(name, insn, pops)                                       \
    HANDLER_OF(name)                                                          \
    {                                                                         \
        uint16_t sw;                                                          \
        uint64_t fl;                                                          \
                                                                              \
        check_fpu(cpu);                                                       \
        x87_track(cpu, i);                                                    \
        if (likely(x87_maskable(cpu) && x87_used(cpu, 0) &&                   \
                   x87_used(cpu, STI))) {                                     \
            uint8_t *a = x87_reg(cpu, 0), *b = x87_reg(cpu, STI);             \
                                                                              \
            __asm__ volatile("fldt %[b]\n\t"                                  \
                             "fldt %[a]\n\t"                                  \
                             "lea -128(%%rsp), %%rsp\n\t" insn                \
                             " %%st(1), %%st\n\t"                             \
                             "pushf\n\t"                                      \
                             "pop %[fl]\n\t"                                  \
                             "lea 128(%%rsp), %%rsp\n\t"                      \
                             "fnstsw %[sw]\n\t"                               \
                             "fstp %%st(0)\n\t"                               \
                             "fstp %%st(0)"                                   \
                             : [sw] "=a"(sw), [fl] "=&r"(fl)                  \
                             : [a] "m"(EXT(a)), [b] "m"(EXT(b))               \
                             : "cc", X87_CLOBBERS);                           \
            if (x87_quiet(cpu, sw)) {                                         \
                cpu->st.rflags =                                              \
                    (cpu->st.rflags & ~(uint64_t)FL_ARITH) | (fl & FL_ARITH); \
                pop_n(cpu, pops);                                             \
                return;                                                       \
            }                                                                 \
        }                                                                     \
        x87_native(cpu, i, NULL);                                             \
    }
COMPARE_FLAGS(fcomi, "fcomi", 0)
COMPARE_FLAGS(fcomip, "fcomi", 1)
COMPARE_FLAGS(fucomi, "fucomi", 0)
COMPARE_FLAGS(fucomip, "fucomi", 1)

/* --- loads --------------------------------------------------------------- */

static inline void ext_set(uint8_t *r, unsigned sign_exponent,
                           uint64_t mantissa)
{
    memcpy(r, &mantissa, 8);
    r[8] = (uint8_t)sign_exponent;
    r[9] = (uint8_t)(sign_exponent >> 8);
}

/*
 * Widening is exact and raises nothing but for denormals and NaNs, which
 * are left to the host, and infinities.
 */
static inline bool is_plain(unsigned exponent, unsigned max, uint64_t fraction)
{
    return exponent == 0 ? fraction == 0 : exponent != max;
}

static inline void widen(uint8_t *r, unsigned sign, unsigned exponent,
                         unsigned bias, uint64_t fraction)
{
    if (exponent == 0)
        ext_set(r, sign << 15, 0);
    else
        ext_set(r, sign << 15 | (exponent - bias + 16383),
                1ull << 63 | fraction);
}

HANDLER_OF(fld_m4)
{
    uint64_t off = ea(cpu, i);
    uint32_t m;

    check_fpu(cpu);
    m = ld32(cpu, i->seg, off);
    x87_track_mem(cpu, i, off);
    if (likely(x87_can_push(cpu) &&
               is_plain(m >> 23 & 0xff, 0xff, m & 0x7fffff))) {
        widen(x87_push(cpu), m >> 31, m >> 23 & 0xff, 127,
              (uint64_t)(m & 0x7fffff) << 40);
        c1_clear(cpu);
        return;
    }
    x87_native(cpu, i, &m);
}

HANDLER_OF(fld_m8)
{
    uint64_t off = ea(cpu, i), m;

    check_fpu(cpu);
    m = ld64(cpu, i->seg, off);
    x87_track_mem(cpu, i, off);
    if (likely(x87_can_push(cpu) &&
               is_plain(m >> 52 & 0x7ff, 0x7ff, m << 12))) {
        widen(x87_push(cpu), (unsigned)(m >> 63), m >> 52 & 0x7ff, 1023,
              m << 12 >> 1);
        c1_clear(cpu);
        return;
    }
    x87_native(cpu, i, &m);
}

/* FLD m80 raises nothing whatever it loads. */
HANDLER_OF(fld_m10)
{
    uint64_t off = ea(cpu, i);
    uint8_t m[16];

    check_fpu(cpu);
    ld_bytes(cpu, i->seg, off, m, 10);
    x87_track_mem(cpu, i, off);
    if (unlikely(!x87_can_push(cpu))) {
        x87_native(cpu, i, m);
        return;
    }
    memcpy(x87_push(cpu), m, 10);
    c1_clear(cpu);
}

#define FILD(bits, insn)                            \
    HANDLER_OF(fild_m##bits)                        \
    {                                               \
        uint64_t off = ea(cpu, i);                  \
        uint##bits##_t m;                           \
                                                    \
        check_fpu(cpu);                             \
        m = ld##bits(cpu, i->seg, off);             \
        x87_track_mem(cpu, i, off);                 \
        if (unlikely(!x87_can_push(cpu))) {         \
            x87_native(cpu, i, &m);                 \
            return;                                 \
        }                                           \
        __asm__ volatile(insn " %1\n\tfstpt %0"     \
                         : "=m"(EXT(x87_push(cpu))) \
                         : "m"(m)                   \
                         : X87_CLOBBERS);           \
        c1_clear(cpu);                              \
    }
FILD(16, "filds")
FILD(32, "fildl")
FILD(64, "fildll")

HANDLER_OF(fld_sti)
{
    const uint8_t *s;

    check_fpu(cpu);
    x87_track(cpu, i);
    s = x87_reg(cpu, STI);
    if (unlikely(!x87_can_push(cpu) || !x87_used(cpu, STI))) {
        x87_native(cpu, i, NULL);
        return;
    }
    memcpy(x87_push(cpu), s, 10);
    c1_clear(cpu);
}

static void load_constant(struct vcpu *cpu, const struct x86_insn *i,
                          unsigned sign_exponent, uint64_t mantissa)
{
    check_fpu(cpu);
    x87_track(cpu, i);
    if (unlikely(!x87_can_push(cpu))) {
        x87_native(cpu, i, NULL);
        return;
    }
    ext_set(x87_push(cpu), sign_exponent, mantissa);
    c1_clear(cpu);
}

HANDLER_OF(fld1)
{
    load_constant(cpu, i, 16383, 1ull << 63);
}

HANDLER_OF(fldz)
{
    load_constant(cpu, i, 0, 0);
}

/* --- stores -------------------------------------------------------------- */

#define STORE_MEM(name, insn, bits, pops)                     \
    HANDLER_OF(name)                                          \
    {                                                         \
        uint64_t off = ea(cpu, i);                            \
        uint##bits##_t m;                                     \
        uint16_t sw;                                          \
                                                              \
        check_fpu(cpu);                                       \
        if (likely(x87_maskable(cpu) && x87_used(cpu, 0))) {  \
            uint8_t *a = x87_reg(cpu, 0);                     \
                                                              \
            x87_round_in(cpu);                                \
            __asm__ volatile("fldt %[a]\n\t" insn " %[m]\n\t" \
                             "fnstsw %[sw]"                   \
                             : [m] "=m"(m), [sw] "=a"(sw)     \
                             : [a] "m"(EXT(a))                \
                             : X87_CLOBBERS);                 \
            x87_round_out(cpu);                               \
            if (x87_quiet(cpu, sw)) {                         \
                st##bits(cpu, i->seg, off, m);                \
                x87_track_mem(cpu, i, off);                   \
                x87_cond(cpu, X87_SW_C1, sw);                 \
                if (pops)                                     \
                    x87_pop(cpu);                             \
                return;                                       \
            }                                                 \
        }                                                     \
        probe_write(cpu, i->seg, off, bits / 8);              \
        x87_track_mem(cpu, i, off);                           \
        if (x87_native(cpu, i, &m))                           \
            st##bits(cpu, i->seg, off, m);                    \
    }
STORE_MEM(fst_m4, "fstps", 32, false)
STORE_MEM(fst_m8, "fstpl", 64, false)
STORE_MEM(fstp_m4, "fstps", 32, true)
STORE_MEM(fstp_m8, "fstpl", 64, true)
STORE_MEM(fist_m2, "fistps", 16, false)
STORE_MEM(fist_m4, "fistpl", 32, false)
STORE_MEM(fistp_m2, "fistps", 16, true)
STORE_MEM(fistp_m4, "fistpl", 32, true)
STORE_MEM(fistp_m8, "fistpll", 64, true)
STORE_MEM(fisttp_m2, "fisttps", 16, true)
STORE_MEM(fisttp_m4, "fisttpl", 32, true)
STORE_MEM(fisttp_m8, "fisttpll", 64, true)

HANDLER_OF(fstp_m10)
{
    uint64_t off = ea(cpu, i);
    uint8_t m[16];

    check_fpu(cpu);
    if (likely(x87_used(cpu, 0))) {
        st_bytes(cpu, i->seg, off, x87_reg(cpu, 0), 10);
        x87_track_mem(cpu, i, off);
        c1_clear(cpu);
        x87_pop(cpu);
        return;
    }
    probe_write(cpu, i->seg, off, 10);
    x87_track_mem(cpu, i, off);
    if (x87_native(cpu, i, m))
        st_bytes(cpu, i->seg, off, m, 10);
}

/* FST ST(i), with or without a pop: the target may be empty. */
static void store_sti(struct vcpu *cpu, const struct x86_insn *i, bool pop)
{
    unsigned n;

    check_fpu(cpu);
    x87_track(cpu, i);
    if (unlikely(!x87_used(cpu, 0))) {
        x87_native(cpu, i, NULL);
        return;
    }
    n = (x87_top(cpu) + STI) & 7;
    memmove(cpu->st.x87.st[n], x87_reg(cpu, 0), 10);
    cpu->st.x87.tag |= (uint8_t)(1u << n);
    c1_clear(cpu);
    if (pop)
        x87_pop(cpu);
}

HANDLER_OF(fst_sti)
{
    store_sti(cpu, i, false);
}

HANDLER_OF(fstp_sti)
{
    store_sti(cpu, i, true);
}

HANDLER_OF(fxch)
{
    uint8_t *a, *b, t[10];

    check_fpu(cpu);
    x87_track(cpu, i);
    if (unlikely(!x87_used(cpu, 0) || !x87_used(cpu, STI))) {
        x87_native(cpu, i, NULL);
        return;
    }
    a = x87_reg(cpu, 0);
    b = x87_reg(cpu, STI);
    memcpy(t, a, 10);
    memmove(a, b, 10);
    memcpy(b, t, 10);
    c1_clear(cpu);
}

/* --- FCMOVcc ------------------------------------------------------------- */

static void move_if(struct vcpu *cpu, const struct x86_insn *i, bool taken)
{
    check_fpu(cpu);
    x87_track(cpu, i);
    if (unlikely(!x87_used(cpu, 0) || !x87_used(cpu, STI))) {
        x87_native(cpu, i, NULL);
        return;
    }
    if (taken)
        memmove(x87_reg(cpu, 0), x87_reg(cpu, STI), 10);
}

#define FCMOV(cc, mask)                              \
    HANDLER_OF(fcmov##cc)                            \
    {                                                \
        move_if(cpu, i, cpu->st.rflags &(mask));     \
    }                                                \
    HANDLER_OF(fcmovn##cc)                           \
    {                                                \
        move_if(cpu, i, !(cpu->st.rflags & (mask))); \
    }
FCMOV(b, FL_CF)
FCMOV(e, FL_ZF)
FCMOV(be, FL_CF | FL_ZF)
FCMOV(u, FL_PF)
