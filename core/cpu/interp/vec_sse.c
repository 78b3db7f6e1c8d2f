/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Legacy-encoded SSE rows that run a stub, one pair of handlers for each
 * shape of operands.  In the names: V the register of ModRM.reg, W that of
 * ModRM.rm or memory, G and E the same for general registers, f a row that
 * can raise SIMD floating-point exceptions, the number the bytes in memory.
 */
#include "cpu/interp/vec.h"

/* See CALL_STUB in vec.c. */
#define CALL(stub) \
    "lea -128(%%rsp), %%rsp\n\tcall *%[" #stub "]\n\tlea 128(%%rsp), %%rsp"

static inline __m128i sse_call(const void *stub, __m128i d, __m128i s)
{
    register __m128i x0 __asm__("xmm0") = d;
    register __m128i x1 __asm__("xmm1") = s;

    __asm__ volatile(CALL(f) : "+x"(x0) : "x"(x1), [f] "r"(stub) : "cc");
    return x0;
}

/* --- V, W ---------------------------------------------------------------- */

static inline void sse_op(struct vcpu *cpu, const struct x86_insn *i, __m128i s)
{
    xmm_set(cpu, i->reg, sse_call(vec_stub(i), xmm_get(cpu, i->reg), s));
}

static __attribute__((noinline)) void ssef_again(struct vcpu *cpu,
                                                 const struct x86_insn *i,
                                                 __m128i s)
{
    struct vec_op o;

    _mm_storeu_si128((__m128i *)o.x[0], xmm_get(cpu, i->reg));
    _mm_storeu_si128((__m128i *)o.x[1], s);
    vec_run_fp(cpu, vec_run_sse, vec_stub(i), &o);
    xmm_set(cpu, i->reg, _mm_loadu_si128((__m128i *)o.x[0]));
}

static inline void ssef_op(struct vcpu *cpu, const struct x86_insn *i,
                           __m128i s)
{
    if (fp_plain(cpu)) {
        __m128i r = sse_call(vec_stub(i), xmm_get(cpu, i->reg), s);

        if (fp_quiet(cpu, host_mxcsr())) {
            xmm_set(cpu, i->reg, r);
            return;
        }
    }
    ssef_again(cpu, i, s);
}

#define SSE_VW(name, op, load)           \
    HANDLER_OF(name##_r)                 \
    {                                    \
        check_sse(cpu);                  \
        op(cpu, i, xmm_get(cpu, i->rm)); \
    }                                    \
    HANDLER_OF(name##_m)                 \
    {                                    \
        check_sse(cpu);                  \
        op(cpu, i, load(cpu, i));        \
    }
SSE_VW(sse_16, sse_op, vec_ld16a)
SSE_VW(sse_16u, sse_op, vec_ld16u)
SSE_VW(sse_8, sse_op, vec_ld8)
SSE_VW(sse_4, sse_op, vec_ld4)
SSE_VW(sse_2, sse_op, vec_ld2)
SSE_VW(ssef_16, ssef_op, vec_ld16a)
SSE_VW(ssef_8, ssef_op, vec_ld8)
SSE_VW(ssef_4, ssef_op, vec_ld4)

/* Shift by an immediate: the destination is ModRM.rm. */
HANDLER_OF(sse_us)
{
    __m128i d;

    check_sse(cpu);
    d = xmm_get(cpu, i->rm);
    xmm_set(cpu, i->rm, sse_call(vec_stub(i), d, d));
}

/* BLENDV and SHA256RNDS2: XMM0 is an operand, ModRM.reg is register 2. */
static void sse_x0(struct vcpu *cpu, const struct x86_insn *i, __m128i s)
{
    struct vec_op o;

    _mm_storeu_si128((__m128i *)o.x[0], xmm_get(cpu, 0));
    _mm_storeu_si128((__m128i *)o.x[1], s);
    _mm_storeu_si128((__m128i *)o.x[2], xmm_get(cpu, i->reg));
    vec_run_sse(vec_stub(i), &o);
    xmm_set(cpu, i->reg, _mm_loadu_si128((__m128i *)o.x[2]));
}
SSE_VW(sse_x0, sse_x0, vec_ld16a)
SSE_VW(sse_x0u, sse_x0, vec_ld16u)

/*
 * INSERTPS from memory has one element to choose from; the bits of the
 * immediate that choose it in the register form are ignored.
 */
HANDLER_OF(sse_ips_r)
{
    check_sse(cpu);
    sse_op(cpu, i, xmm_get(cpu, i->rm));
}

HANDLER_OF(sse_ips_m)
{
    struct x86_insn low = *i;
    __m128i s;

    check_sse(cpu);
    s = vec_ld4(cpu, i);
    low.imm &= 0x3f;
    sse_op(cpu, &low, s);
}

/* --- G from vector registers --------------------------------------------- */

static inline uint64_t sse_call_g(const void *stub, __m128i s)
{
    register __m128i x1 __asm__("xmm1") = s;
    uint64_t r;

    __asm__ volatile(CALL(f) : "=&a"(r) : "x"(x1), [f] "r"(stub) : "cc");
    return r;
}

/* The stubs write EAX or RAX: the upper half is right in both cases. */
HANDLER_OF(sse_gu)
{
    check_sse(cpu);
    cpu->st.gpr[i->reg] = sse_call_g(vec_stub(i), xmm_get(cpu, i->rm));
}

static __attribute__((noinline)) void ssef_gw_again(struct vcpu *cpu,
                                                    const struct x86_insn *i,
                                                    __m128i s)
{
    struct vec_op o;

    _mm_storeu_si128((__m128i *)o.x[1], s);
    vec_run_fp(cpu, vec_run_sse, vec_stub(i), &o);
    cpu->st.gpr[i->reg] = o.rax;
}

static inline void ssef_gw(struct vcpu *cpu, const struct x86_insn *i,
                           __m128i s)
{
    if (fp_plain(cpu)) {
        uint64_t r = sse_call_g(vec_stub(i), s);

        if (fp_quiet(cpu, host_mxcsr())) {
            cpu->st.gpr[i->reg] = r;
            return;
        }
    }
    ssef_gw_again(cpu, i, s);
}
SSE_VW(ssef_gw8, ssef_gw, vec_ld8)
SSE_VW(ssef_gw4, ssef_gw, vec_ld4)

/* --- V from general registers -------------------------------------------- */

static inline __m128i sse_call_ve(const void *stub, __m128i d, uint64_t e)
{
    register __m128i x0 __asm__("xmm0") = d;

    __asm__ volatile(CALL(f) : "+x"(x0) : "c"(e), [f] "r"(stub) : "cc");
    return x0;
}

static inline void sse_ve(struct vcpu *cpu, const struct x86_insn *i,
                          uint64_t e)
{
    xmm_set(cpu, i->reg, sse_call_ve(vec_stub(i), xmm_get(cpu, i->reg), e));
}

static __attribute__((noinline)) void ssef_ve_again(struct vcpu *cpu,
                                                    const struct x86_insn *i,
                                                    uint64_t e)
{
    struct vec_op o;

    _mm_storeu_si128((__m128i *)o.x[0], xmm_get(cpu, i->reg));
    o.rcx = e;
    vec_run_fp(cpu, vec_run_sse, vec_stub(i), &o);
    xmm_set(cpu, i->reg, _mm_loadu_si128((__m128i *)o.x[0]));
}

static inline void ssef_ve(struct vcpu *cpu, const struct x86_insn *i,
                           uint64_t e)
{
    if (fp_plain(cpu)) {
        __m128i r = sse_call_ve(vec_stub(i), xmm_get(cpu, i->reg), e);

        if (fp_quiet(cpu, host_mxcsr())) {
            xmm_set(cpu, i->reg, r);
            return;
        }
    }
    ssef_ve_again(cpu, i, e);
}

#define SSE_VE(name, op, bits)                         \
    HANDLER_OF(name##_r)                               \
    {                                                  \
        check_sse(cpu);                                \
        op(cpu, i, cpu->st.gpr[i->rm]);                \
    }                                                  \
    HANDLER_OF(name##_m)                               \
    {                                                  \
        check_sse(cpu);                                \
        op(cpu, i, ld##bits(cpu, i->seg, ea(cpu, i))); \
    }
SSE_VE(sse_ve1, sse_ve, 8)
SSE_VE(sse_ve2, sse_ve, 16)
SSE_VE(sse_ve4, sse_ve, 32)
SSE_VE(sse_ve8, sse_ve, 64)
SSE_VE(ssef_ve4, ssef_ve, 32)
SSE_VE(ssef_ve8, ssef_ve, 64)

/* --- E from vector registers: PEXTR, EXTRACTPS --------------------------- */

static inline uint64_t sse_call_ev(const void *stub, __m128i s)
{
    register __m128i x0 __asm__("xmm0") = s;
    uint64_t r;

    __asm__ volatile(CALL(f) : "=&c"(r) : "x"(x0), [f] "r"(stub) : "cc");
    return r;
}

#define SSE_EV(name, bits)                                                   \
    HANDLER_OF(name##_r)                                                     \
    {                                                                        \
        check_sse(cpu);                                                      \
        cpu->st.gpr[i->rm] = sse_call_ev(vec_stub(i), xmm_get(cpu, i->reg)); \
    }                                                                        \
    HANDLER_OF(name##_m)                                                     \
    {                                                                        \
        check_sse(cpu);                                                      \
        st##bits(cpu, i->seg, ea(cpu, i),                                    \
                 (uint##bits##_t)sse_call_ev(vec_stub(i),                    \
                                             xmm_get(cpu, i->reg)));         \
    }
SSE_EV(sse_ev1, 8)
SSE_EV(sse_ev2, 16)
SSE_EV(sse_ev4, 32)
SSE_EV(sse_ev8, 64)

/* --- results in RFLAGS --------------------------------------------------- */

static inline uint64_t sse_call_fl(const void *stub, __m128i a, __m128i b)
{
    register __m128i x0 __asm__("xmm0") = a;
    register __m128i x1 __asm__("xmm1") = b;
    uint64_t fl;

    __asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
                     "call *%[f]\n\t"
                     "pushf\n\t"
                     "pop %[fl]\n\t"
                     "lea 128(%%rsp), %%rsp"
                     : [fl] "=&r"(fl)
                     : "x"(x0), "x"(x1), [f] "r"(stub)
                     : "cc");
    return fl;
}

static inline void sse_fl(struct vcpu *cpu, const struct x86_insn *i, __m128i s)
{
    vec_flags(cpu, sse_call_fl(vec_stub(i), xmm_get(cpu, i->reg), s));
}

static __attribute__((noinline)) void ssef_fl_again(struct vcpu *cpu,
                                                    const struct x86_insn *i,
                                                    __m128i s)
{
    struct vec_op o;

    _mm_storeu_si128((__m128i *)o.x[0], xmm_get(cpu, i->reg));
    _mm_storeu_si128((__m128i *)o.x[1], s);
    vec_run_fp(cpu, vec_run_sse, vec_stub(i), &o);
    vec_flags(cpu, o.flags);
}

static inline void ssef_fl(struct vcpu *cpu, const struct x86_insn *i,
                           __m128i s)
{
    if (fp_plain(cpu)) {
        uint64_t fl = sse_call_fl(vec_stub(i), xmm_get(cpu, i->reg), s);

        if (fp_quiet(cpu, host_mxcsr())) {
            vec_flags(cpu, fl);
            return;
        }
    }
    ssef_fl_again(cpu, i, s);
}
SSE_VW(sse_fl16, sse_fl, vec_ld16a)
SSE_VW(ssef_fl8, ssef_fl, vec_ld8)
SSE_VW(ssef_fl4, ssef_fl, vec_ld4)

/* --- PCMPxSTRx: lengths in rAX and rDX, memory need not be aligned ------- */

static void sse_str(struct vcpu *cpu, const struct x86_insn *i, __m128i s,
                    struct vec_op *o)
{
    _mm_storeu_si128((__m128i *)o->x[0], xmm_get(cpu, i->reg));
    _mm_storeu_si128((__m128i *)o->x[1], s);
    o->rax = cpu->st.gpr[RAX];
    o->rcx = cpu->st.gpr[RCX];
    o->rdx = cpu->st.gpr[RDX];
    vec_run_sse(vec_stub(i), o);
    vec_flags(cpu, o->flags);
}

static void sse_strm(struct vcpu *cpu, const struct x86_insn *i, __m128i s)
{
    struct vec_op o;

    sse_str(cpu, i, s, &o);
    xmm_set(cpu, 0, _mm_loadu_si128((__m128i *)o.x[0]));
}

static void sse_stri(struct vcpu *cpu, const struct x86_insn *i, __m128i s)
{
    struct vec_op o;

    sse_str(cpu, i, s, &o);
    cpu->st.gpr[RCX] = o.rcx;
}
SSE_VW(sse_strm, sse_strm, vec_ld16u)
SSE_VW(sse_stri, sse_stri, vec_ld16u)
