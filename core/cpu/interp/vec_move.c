/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Legacy-encoded SSE moves, and the integer and bitwise operations that
 * string functions, memory copies and compilers' zeroing use all the time,
 * in C: they need neither a stub nor MXCSR.
 */
#include "cpu/interp/vec.h"

/* --- whole registers ----------------------------------------------------- */

HANDLER_OF(movu_VW_r)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg, xmm_get(cpu, i->rm));
}

HANDLER_OF(movu_VW_m)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg, vec_ld16u(cpu, i));
}

HANDLER_OF(movu_WV_r)
{
    check_sse(cpu);
    xmm_set(cpu, i->rm, xmm_get(cpu, i->reg));
}

HANDLER_OF(movu_WV_m)
{
    check_sse(cpu);
    st128(cpu, i->seg, ea(cpu, i), xmm_get(cpu, i->reg));
}

HANDLER_OF(mova_VW_r)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg, xmm_get(cpu, i->rm));
}

HANDLER_OF(mova_VW_m)
{
    uint64_t off = ea(cpu, i);

    check_sse(cpu);
    check_align(cpu, i, off, 16);
    xmm_set(cpu, i->reg, ld128(cpu, i->seg, off));
}

HANDLER_OF(mova_WV_r)
{
    check_sse(cpu);
    xmm_set(cpu, i->rm, xmm_get(cpu, i->reg));
}

HANDLER_OF(mova_WV_m)
{
    uint64_t off = ea(cpu, i);

    check_sse(cpu);
    check_align(cpu, i, off, 16);
    st128(cpu, i->seg, off, xmm_get(cpu, i->reg));
}

/* --- parts of registers -------------------------------------------------- */

static inline uint64_t xmm_high(const struct vcpu *cpu, unsigned n)
{
    __m128i v = xmm_get(cpu, n);

    return (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(v, v));
}

/* The register form merges, a load clears the rest. */
HANDLER_OF(movss_VW_r)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg, merge4(xmm_get(cpu, i->reg), xmm_get(cpu, i->rm)));
}

HANDLER_OF(movss_VW_m)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg, vec_ld4(cpu, i));
}

HANDLER_OF(movss_WV_r)
{
    check_sse(cpu);
    xmm_set(cpu, i->rm, merge4(xmm_get(cpu, i->rm), xmm_get(cpu, i->reg)));
}

HANDLER_OF(movss_WV_m)
{
    check_sse(cpu);
    st32(cpu, i->seg, ea(cpu, i), (uint32_t)xmm_low(cpu, i->reg));
}

HANDLER_OF(movsd_VW_r)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg, merge8(xmm_get(cpu, i->reg), xmm_get(cpu, i->rm)));
}

HANDLER_OF(movsd_VW_m)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg, vec_ld8(cpu, i));
}

HANDLER_OF(movsd_WV_r)
{
    check_sse(cpu);
    xmm_set(cpu, i->rm, merge8(xmm_get(cpu, i->rm), xmm_get(cpu, i->reg)));
}

HANDLER_OF(movsd_WV_m)
{
    check_sse(cpu);
    st64(cpu, i->seg, ea(cpu, i), xmm_low(cpu, i->reg));
}

HANDLER_OF(movl_VM)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg, merge8(xmm_get(cpu, i->reg), vec_ld8(cpu, i)));
}

HANDLER_OF(movl_MV)
{
    check_sse(cpu);
    st64(cpu, i->seg, ea(cpu, i), xmm_low(cpu, i->reg));
}

HANDLER_OF(movh_VM)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg,
            _mm_unpacklo_epi64(xmm_get(cpu, i->reg), vec_ld8(cpu, i)));
}

HANDLER_OF(movh_MV)
{
    check_sse(cpu);
    st64(cpu, i->seg, ea(cpu, i), xmm_high(cpu, i->reg));
}

HANDLER_OF(movhlps)
{
    __m128i s;

    check_sse(cpu);
    s = xmm_get(cpu, i->rm);
    xmm_set(cpu, i->reg,
            merge8(xmm_get(cpu, i->reg), _mm_unpackhi_epi64(s, s)));
}

HANDLER_OF(movlhps)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg,
            _mm_unpacklo_epi64(xmm_get(cpu, i->reg), xmm_get(cpu, i->rm)));
}

HANDLER_OF(movq_VW_r)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg, low64(xmm_get(cpu, i->rm)));
}

HANDLER_OF(movq_VW_m)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg, vec_ld8(cpu, i));
}

HANDLER_OF(movq_WV_r)
{
    check_sse(cpu);
    xmm_set(cpu, i->rm, low64(xmm_get(cpu, i->reg)));
}

HANDLER_OF(movq_WV_m)
{
    check_sse(cpu);
    st64(cpu, i->seg, ea(cpu, i), xmm_low(cpu, i->reg));
}

/* --- from and to general registers --------------------------------------- */

HANDLER_OF(movd_VE_r)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg, _mm_cvtsi32_si128((int32_t)cpu->st.gpr[i->rm]));
}

HANDLER_OF(movd_VE_m)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg, vec_ld4(cpu, i));
}

HANDLER_OF(movq_VE_r)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg, _mm_cvtsi64_si128((int64_t)cpu->st.gpr[i->rm]));
}

HANDLER_OF(movq_VE_m)
{
    check_sse(cpu);
    xmm_set(cpu, i->reg, vec_ld8(cpu, i));
}

HANDLER_OF(movd_EV_r)
{
    check_sse(cpu);
    cpu->st.gpr[i->rm] = (uint32_t)xmm_low(cpu, i->reg);
}

HANDLER_OF(movd_EV_m)
{
    check_sse(cpu);
    st32(cpu, i->seg, ea(cpu, i), (uint32_t)xmm_low(cpu, i->reg));
}

HANDLER_OF(movq_EV_r)
{
    check_sse(cpu);
    cpu->st.gpr[i->rm] = xmm_low(cpu, i->reg);
}

HANDLER_OF(movq_EV_m)
{
    check_sse(cpu);
    st64(cpu, i->seg, ea(cpu, i), xmm_low(cpu, i->reg));
}

/* A store like any other: memory ordering is the host's. Needs no SSE state. */
HANDLER_OF(movnti)
{
    st_n(cpu, i->seg, ea(cpu, i), cpu->st.gpr[i->reg], i->osz);
}

/* --- operations ---------------------------------------------------------- */

#define SSE_DIRECT(name, expression)                                         \
    static inline void name##_op(struct vcpu *cpu, const struct x86_insn *i, \
                                 __m128i b)                                  \
    {                                                                        \
        __m128i a = xmm_get(cpu, i->reg);                                    \
                                                                             \
        xmm_set(cpu, i->reg, expression);                                    \
    }                                                                        \
    HANDLER_OF(name##_r)                                                     \
    {                                                                        \
        check_sse(cpu);                                                      \
        name##_op(cpu, i, xmm_get(cpu, i->rm));                              \
    }                                                                        \
    HANDLER_OF(name##_m)                                                     \
    {                                                                        \
        check_sse(cpu);                                                      \
        name##_op(cpu, i, vec_ld16a(cpu, i));                                \
    }
SSE_DIRECT(and_VW, _mm_and_si128(a, b))
SSE_DIRECT(andn_VW, _mm_andnot_si128(a, b))
SSE_DIRECT(or_VW, _mm_or_si128(a, b))
SSE_DIRECT(xor_VW, _mm_xor_si128(a, b))
SSE_DIRECT(pcmpeqb, _mm_cmpeq_epi8(a, b))
SSE_DIRECT(pcmpeqd, _mm_cmpeq_epi32(a, b))
SSE_DIRECT(pminub, _mm_min_epu8(a, b))
SSE_DIRECT(psubb, _mm_sub_epi8(a, b))
SSE_DIRECT(paddd, _mm_add_epi32(a, b))
SSE_DIRECT(paddq, _mm_add_epi64(a, b))
SSE_DIRECT(punpcklbw, _mm_unpacklo_epi8(a, b))
SSE_DIRECT(punpcklwd, _mm_unpacklo_epi16(a, b))
SSE_DIRECT(punpckldq, _mm_unpacklo_epi32(a, b))
SSE_DIRECT(punpcklqdq, _mm_unpacklo_epi64(a, b))
