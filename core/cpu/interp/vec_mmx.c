/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MMX rows: those that run a stub, by shape of operands as in vec_sse.c (P
 * the MMX register of ModRM.reg, Q that of ModRM.rm or memory), and moves.
 *
 * An MMX register is the mantissa of the x87 register of the same physical
 * number; writing one sets sign and exponent to ones.
 */
#include "cpu/interp/vec.h"

/* --- P, Q ---------------------------------------------------------------- */

/*
 * EMMS leaves the host's x87 unit as the ABI wants it.  The compiler uses
 * neither x87 nor MMX registers in this file.
 */
static inline uint64_t mmx_call(const void *stub, uint64_t d, uint64_t s)
{
    __asm__ volatile("movq %[d], %%mm0\n\t"
                     "movq %[s], %%mm1\n\t"
                     "lea -128(%%rsp), %%rsp\n\t"
                     "call *%[f]\n\t"
                     "lea 128(%%rsp), %%rsp\n\t"
                     "movq %%mm0, %[d]\n\t"
                     "emms"
                     : [d] "+r"(d)
                     : [s] "r"(s), [f] "r"(stub)
                     : "cc", "mm0", "mm1", "st");
    return d;
}

static inline void mmx_op(struct vcpu *cpu, const struct x86_insn *i,
                          uint64_t s)
{
    mmx_enter(cpu);
    mmx_set(cpu, i->reg, mmx_call(vec_stub(i), mmx_get(cpu, i->reg), s));
}

#define MMX_PQ(name, bits)                                 \
    HANDLER_OF(name##_r)                                   \
    {                                                      \
        check_mmx(cpu);                                    \
        mmx_op(cpu, i, mmx_get(cpu, i->rm));               \
    }                                                      \
    HANDLER_OF(name##_m)                                   \
    {                                                      \
        check_mmx(cpu);                                    \
        mmx_op(cpu, i, ld##bits(cpu, i->seg, ea(cpu, i))); \
    }
MMX_PQ(mmx_8, 64)
MMX_PQ(mmx_4, 32)

HANDLER_OF(mmx_us)
{
    check_mmx(cpu);
    mmx_enter(cpu);
    mmx_set(cpu, i->rm, mmx_call(vec_stub(i), mmx_get(cpu, i->rm), 0));
}

/* --- with general registers ---------------------------------------------- */

HANDLER_OF(mmx_gu)
{
    struct vec_op o;

    check_mmx(cpu);
    mmx_enter(cpu);
    o.mm[1] = mmx_get(cpu, i->rm);
    vec_run_mmx(vec_stub(i), &o);
    cpu->st.gpr[i->reg] = o.rax;
}

static void mmx_ve(struct vcpu *cpu, const struct x86_insn *i, uint64_t e)
{
    struct vec_op o;

    mmx_enter(cpu);
    o.mm[0] = mmx_get(cpu, i->reg);
    o.rcx = e;
    vec_run_mmx(vec_stub(i), &o);
    mmx_set(cpu, i->reg, o.mm[0]);
}

HANDLER_OF(mmx_ve2_r)
{
    check_mmx(cpu);
    mmx_ve(cpu, i, cpu->st.gpr[i->rm]);
}

HANDLER_OF(mmx_ve2_m)
{
    check_mmx(cpu);
    mmx_ve(cpu, i, ld16(cpu, i->seg, ea(cpu, i)));
}

/* --- conversions between MMX and XMM registers --------------------------- */

/* CVTPI2PS, CVTPI2PD: with a source in memory MMX is not involved. */
static void mmxf_vq(struct vcpu *cpu, const struct x86_insn *i, uint64_t s)
{
    struct vec_op o;

    x87_here(cpu);
    o.mm[1] = s;
    _mm_storeu_si128((__m128i *)o.x[0], xmm_get(cpu, i->reg));
    vec_run_fp(cpu, vec_run_mmx, vec_stub(i), &o);
    xmm_set(cpu, i->reg, _mm_loadu_si128((__m128i *)o.x[0]));
}

HANDLER_OF(mmxf_vq_r)
{
    check_sse(cpu);
    check_mmx(cpu);
    mmx_enter(cpu);
    mmxf_vq(cpu, i, mmx_get(cpu, i->rm));
}

HANDLER_OF(mmxf_vq_m)
{
    check_sse(cpu);
    mmxf_vq(cpu, i, ld64(cpu, i->seg, ea(cpu, i)));
}

static void mmxf_pw(struct vcpu *cpu, const struct x86_insn *i, __m128i s)
{
    struct vec_op o;

    mmx_enter(cpu);
    _mm_storeu_si128((__m128i *)o.x[1], s);
    vec_run_fp(cpu, vec_run_mmx, vec_stub(i), &o);
    mmx_set(cpu, i->reg, o.mm[0]);
}

#define MMXF_PW(n, load)                      \
    HANDLER_OF(mmxf_pw##n##_r)                \
    {                                         \
        check_sse(cpu);                       \
        check_mmx(cpu);                       \
        mmxf_pw(cpu, i, xmm_get(cpu, i->rm)); \
    }                                         \
    HANDLER_OF(mmxf_pw##n##_m)                \
    {                                         \
        check_sse(cpu);                       \
        check_mmx(cpu);                       \
        mmxf_pw(cpu, i, load(cpu, i));        \
    }
MMXF_PW(8, vec_ld8)
MMXF_PW(16, vec_ld16a)

/* --- moves --------------------------------------------------------------- */

#define MMX_MOVE_IN(name, reg_form, bits)                 \
    HANDLER_OF(name##_r)                                  \
    {                                                     \
        check_mmx(cpu);                                   \
        mmx_enter(cpu);                                   \
        mmx_set(cpu, i->reg, (uint##bits##_t)(reg_form)); \
    }                                                     \
    HANDLER_OF(name##_m)                                  \
    {                                                     \
        uint64_t v;                                       \
                                                          \
        check_mmx(cpu);                                   \
        v = ld##bits(cpu, i->seg, ea(cpu, i));            \
        mmx_enter(cpu);                                   \
        mmx_set(cpu, i->reg, v);                          \
    }
MMX_MOVE_IN(movd_PE, cpu->st.gpr[i->rm], 32)
MMX_MOVE_IN(movq_PE, cpu->st.gpr[i->rm], 64)
MMX_MOVE_IN(movq_PQ, mmx_get(cpu, i->rm), 64)

#define MMX_MOVE_OUT(name, bits)                        \
    HANDLER_OF(name##_m)                                \
    {                                                   \
        check_mmx(cpu);                                 \
        st##bits(cpu, i->seg, ea(cpu, i),               \
                 (uint##bits##_t)mmx_get(cpu, i->reg)); \
        mmx_enter(cpu);                                 \
    }
MMX_MOVE_OUT(movd_EP, 32)
MMX_MOVE_OUT(movq_EP, 64)
MMX_MOVE_OUT(movq_QP, 64)

HANDLER_OF(movd_EP_r)
{
    check_mmx(cpu);
    mmx_enter(cpu);
    cpu->st.gpr[i->rm] = (uint32_t)mmx_get(cpu, i->reg);
}

HANDLER_OF(movq_EP_r)
{
    check_mmx(cpu);
    mmx_enter(cpu);
    cpu->st.gpr[i->rm] = mmx_get(cpu, i->reg);
}

HANDLER_OF(movq_QP_r)
{
    check_mmx(cpu);
    mmx_enter(cpu);
    mmx_set(cpu, i->rm, mmx_get(cpu, i->reg));
}

HANDLER_OF(movq2dq)
{
    check_sse(cpu);
    check_mmx(cpu);
    mmx_enter(cpu);
    xmm_set(cpu, i->reg, _mm_cvtsi64_si128((int64_t)mmx_get(cpu, i->rm)));
}

HANDLER_OF(movdq2q)
{
    check_sse(cpu);
    check_mmx(cpu);
    mmx_enter(cpu);
    mmx_set(cpu, i->reg, (uint64_t)_mm_cvtsi128_si64(xmm_get(cpu, i->rm)));
}

/* EMMS empties all registers; TOP becomes 0 as with the others (Zen 4). */
HANDLER_OF(emms)
{
    (void)i;
    check_mmx(cpu);
    mmx_enter(cpu);
    cpu->st.x87.tag = 0;
}

/* --- MASKMOVQ, MASKMOVDQU ------------------------------------------------ */

/*
 * Bytes whose mask is clear are not accessed.  All bytes are probed before
 * the first is written, so that a fault leaves memory as it was.
 */
static void mask_store(struct vcpu *cpu, const struct x86_insn *i,
                       const uint8_t *data, const uint8_t *mask, unsigned n)
{
    uint64_t base = reg_addr(cpu, RDI, i->asz);
    uint64_t limit = i->asz == 8 ? ~0ull : i->asz == 4 ? 0xffffffffu : 0xffff;

    for (unsigned k = 0; k < n; k++) {
        if (mask[k] & 0x80)
            probe_write(cpu, i->seg, (base + k) & limit, 1);
    }
    for (unsigned k = 0; k < n; k++) {
        if (mask[k] & 0x80)
            st8(cpu, i->seg, (base + k) & limit, data[k]);
    }
}

HANDLER_OF(maskmovq)
{
    uint64_t data, mask;

    check_mmx(cpu);
    data = mmx_get(cpu, i->reg);
    mask = mmx_get(cpu, i->rm);
    mask_store(cpu, i, (uint8_t *)&data, (uint8_t *)&mask, 8);
    mmx_enter(cpu);
}

HANDLER_OF(maskmovdqu)
{
    check_sse(cpu);
    mask_store(cpu, i, cpu->st.ymm[i->reg], cpu->st.ymm[i->rm], 16);
}

HANDLER_OF(vmaskmovdqu)
{
    check_avx(cpu);
    mask_store(cpu, i, cpu->st.ymm[i->reg], cpu->st.ymm[i->rm], 16);
}
