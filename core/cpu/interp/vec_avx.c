/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VEX-encoded rows that run a stub.  Names of shapes as in vec_sse.c.
 *
 * The stub itself clears the upper half of its destination when it is a
 * VEX.128 one, so all registers are loaded and stored with 32 bytes; only
 * memory operands have their size.  VEX forms do not demand alignment.
 */
#include "cpu/interp/vec.h"

#define CALL_F \
    "lea -128(%%rsp), %%rsp\n\tcall *%[f]\n\tlea 128(%%rsp), %%rsp\n\t"

/* VZEROUPPER spoils them all, as far as a compiler might know them. */
#define ALL_XMM                                                             \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/*
 * v: destination and third source; h: VEX.vvvv; w: ModRM.rm.  The _f kind
 * keeps the old destination in `old` and returns the host's MXCSR.
 */
#define AVX_CALL(name, load)                                                   \
    static inline void avx_call_##name(const void *stub, uint8_t *v,           \
                                       const uint8_t *h, const void *w)        \
    {                                                                          \
        __asm__ volatile("vmovdqu (%[v]), %%ymm0\n\t"                          \
                         "vmovdqu (%[h]), %%ymm2\n\t" load "\n\t" CALL_F       \
                         "vmovdqu %%ymm0, (%[v])\n\t"                          \
                         "vzeroupper"                                          \
                         :                                                     \
                         : [v] "r"(v), [h] "r"(h), [w] "r"(w), [f] "r"(stub)   \
                         : "cc", "memory", ALL_XMM);                           \
    }                                                                          \
    static inline uint32_t avx_call_f##name(const void *stub, uint8_t *v,      \
                                            const uint8_t *h, const void *w,   \
                                            uint8_t *old)                      \
    {                                                                          \
        uint32_t mxcsr;                                                        \
                                                                               \
        __asm__ volatile("vmovdqu (%[v]), %%ymm0\n\t"                          \
                         "vmovdqu (%[h]), %%ymm2\n\t"                          \
                         "vmovdqu %%ymm0, (%[old])\n\t" load "\n\t" CALL_F     \
                         "vmovdqu %%ymm0, (%[v])\n\t"                          \
                         "stmxcsr %[mxcsr]\n\t"                                \
                         "vzeroupper"                                          \
                         : [mxcsr] "=m"(mxcsr)                                 \
                         : [v] "r"(v), [h] "r"(h), [w] "r"(w), [old] "r"(old), \
                           [f] "r"(stub)                                       \
                         : "cc", "memory", ALL_XMM);                           \
        return mxcsr;                                                          \
    }
AVX_CALL(32, "vmovdqu (%[w]), %%ymm1")
AVX_CALL(16, "vmovdqu (%[w]), %%xmm1")
AVX_CALL(8, "vmovq (%[w]), %%xmm1")
AVX_CALL(4, "vmovd (%[w]), %%xmm1")

/* --- memory operands ----------------------------------------------------- */

/* The operand in guest memory itself, or a copy of it in buf. */
static inline const void *avx_mem(struct vcpu *cpu, const struct x86_insn *i,
                                  uint8_t *buf, unsigned n)
{
    uint64_t off = ea(cpu, i);
    const uint8_t *p = tlb_hit_r(cpu, i->seg, off, n);

    if (likely(p != NULL))
        return p;
    ld_bytes(cpu, i->seg, off, buf, n);
    return buf;
}

static inline uint32_t avx_mem_small(struct vcpu *cpu, const struct x86_insn *i,
                                     unsigned n)
{
    uint64_t off = ea(cpu, i);

    return n == 2 ? ld16(cpu, i->seg, off) : ld8(cpu, i->seg, off);
}

/* --- V, H, W: nearly everything ------------------------------------------ */

/* For vec_run_avx(): w has n bytes. */
static void avx_fill(struct vcpu *cpu, const struct x86_insn *i, const void *w,
                     unsigned n, struct vec_op *o)
{
    memset(o, 0, sizeof *o);
    memcpy(o->x[0], cpu->st.ymm[i->reg], 32);
    memcpy(o->x[1], w, n);
    memcpy(o->x[2], cpu->st.ymm[i->vvvv], 32);
}

static __attribute__((noinline)) void avxf_again(struct vcpu *cpu,
                                                 const struct x86_insn *i,
                                                 const void *w, unsigned n)
{
    struct vec_op o;

    avx_fill(cpu, i, w, n, &o);
    vec_run_fp(cpu, vec_run_avx, vec_stub(i), &o);
    memcpy(cpu->st.ymm[i->reg], o.x[0], 32);
}

#define AVX_VHW(n)                                                           \
    HANDLER_OF(avx_##n##_r)                                                  \
    {                                                                        \
        check_avx(cpu);                                                      \
        avx_call_32(vec_stub(i), cpu->st.ymm[i->reg], cpu->st.ymm[i->vvvv],  \
                    cpu->st.ymm[i->rm]);                                     \
    }                                                                        \
    HANDLER_OF(avx_##n##_m)                                                  \
    {                                                                        \
        uint8_t buf[n];                                                      \
                                                                             \
        check_avx(cpu);                                                      \
        avx_call_##n(vec_stub(i), cpu->st.ymm[i->reg], cpu->st.ymm[i->vvvv], \
                     avx_mem(cpu, i, buf, n));                               \
    }

/*
 * The source may be the destination or a source that the first run has
 * overwritten: what the second run needs is read from the copy.
 */
#define AVXF_VHW(n)                                                            \
    static inline void avxf_op_##n(struct vcpu *cpu, const struct x86_insn *i, \
                                   const void *w)                              \
    {                                                                          \
        uint8_t *v = cpu->st.ymm[i->reg], old[32];                             \
                                                                               \
        if (!fp_plain(cpu)) {                                                  \
            avxf_again(cpu, i, w, n);                                          \
            return;                                                            \
        }                                                                      \
        if (!fp_quiet(cpu, avx_call_f##n(vec_stub(i), v, cpu->st.ymm[i->vvvv], \
                                         w, old))) {                           \
            memcpy(v, old, 32);                                                \
            avxf_again(cpu, i, w, n);                                          \
        }                                                                      \
    }
AVXF_VHW(4)
AVXF_VHW(8)
AVXF_VHW(16)
AVXF_VHW(32)

#define AVXF_HANDLERS(n)                              \
    HANDLER_OF(avxf_##n##_r)                          \
    {                                                 \
        check_avx(cpu);                               \
        avxf_op_32(cpu, i, cpu->st.ymm[i->rm]);       \
    }                                                 \
    HANDLER_OF(avxf_##n##_m)                          \
    {                                                 \
        uint8_t buf[n];                               \
                                                      \
        check_avx(cpu);                               \
        avxf_op_##n(cpu, i, avx_mem(cpu, i, buf, n)); \
    }

AVX_VHW(32)
AVX_VHW(16)
AVX_VHW(8)
AVX_VHW(4)
AVXF_HANDLERS(32)
AVXF_HANDLERS(16)
AVXF_HANDLERS(8)
AVXF_HANDLERS(4)

#define AVX_SMALL(n)                                                       \
    HANDLER_OF(avx_##n##_r)                                                \
    {                                                                      \
        h_avx_4_r(cpu, i);                                                 \
    }                                                                      \
    HANDLER_OF(avx_##n##_m)                                                \
    {                                                                      \
        uint32_t w;                                                        \
                                                                           \
        check_avx(cpu);                                                    \
        w = avx_mem_small(cpu, i, n);                                      \
        avx_call_4(vec_stub(i), cpu->st.ymm[i->reg], cpu->st.ymm[i->vvvv], \
                   &w);                                                    \
    }
AVX_SMALL(2)
AVX_SMALL(1)

/* Shift by an immediate: the destination is VEX.vvvv. */
HANDLER_OF(avx_us)
{
    check_avx(cpu);
    avx_call_32(vec_stub(i), cpu->st.ymm[i->vvvv], cpu->st.ymm[i->vvvv],
                cpu->st.ymm[i->rm]);
}

/* See sse_ips in vec_sse.c. */
HANDLER_OF(avx_ips_r)
{
    h_avx_16_r(cpu, i);
}

HANDLER_OF(avx_ips_m)
{
    struct x86_insn low = *i;
    uint32_t w;

    check_avx(cpu);
    w = ld32(cpu, i->seg, ea(cpu, i));
    low.imm &= 0x3f;
    avx_call_4(vec_stub(&low), cpu->st.ymm[i->reg], cpu->st.ymm[i->vvvv], &w);
}

/* --- BLENDV -------------------------------------------------------------- */

/* Runs op with the register or memory operand of n bytes. */
#define AVX_W(name, op, n)                      \
    HANDLER_OF(name##_r)                        \
    {                                           \
        check_avx(cpu);                         \
        op(cpu, i, cpu->st.ymm[i->rm], 32);     \
    }                                           \
    HANDLER_OF(name##_m)                        \
    {                                           \
        uint8_t buf[n];                         \
                                                \
        check_avx(cpu);                         \
        op(cpu, i, avx_mem(cpu, i, buf, n), n); \
    }

/* BLENDV with its fourth register. */
static void avx_l(struct vcpu *cpu, const struct x86_insn *i, const void *w,
                  unsigned n)
{
    struct vec_op o;

    avx_fill(cpu, i, w, n, &o);
    memcpy(o.x[3], cpu->st.ymm[i->is4], 32);
    vec_run_avx(x86_vec_code + x86_vec_at[i->row], &o);
    memcpy(cpu->st.ymm[i->reg], o.x[0], 32);
}
AVX_W(avx_l16, avx_l, 16)
AVX_W(avx_l32, avx_l, 32)

/* --- G from vector registers --------------------------------------------- */

#define AVX_CALL_G(n, load)                                               \
    static inline uint64_t avx_call_g##n(const void *stub, const void *w) \
    {                                                                     \
        uint64_t r;                                                       \
                                                                          \
        __asm__ volatile(load "\n\t" CALL_F "vzeroupper"                  \
                         : "=&a"(r)                                       \
                         : [w] "r"(w), [f] "r"(stub)                      \
                         : "cc", "memory", ALL_XMM);                      \
        return r;                                                         \
    }
AVX_CALL_G(32, "vmovdqu (%[w]), %%ymm1")
AVX_CALL_G(8, "vmovq (%[w]), %%xmm1")
AVX_CALL_G(4, "vmovd (%[w]), %%xmm1")

HANDLER_OF(avx_gu)
{
    check_avx(cpu);
    cpu->st.gpr[i->reg] = avx_call_g32(vec_stub(i), cpu->st.ymm[i->rm]);
}

static __attribute__((noinline)) void avxf_gw_again(struct vcpu *cpu,
                                                    const struct x86_insn *i,
                                                    const void *w, unsigned n)
{
    struct vec_op o;

    avx_fill(cpu, i, w, n, &o);
    vec_run_fp(cpu, vec_run_avx, vec_stub(i), &o);
    cpu->st.gpr[i->reg] = o.rax;
}

#define AVXF_GW(n)                                                             \
    static inline void avxf_gw_##n(struct vcpu *cpu, const struct x86_insn *i, \
                                   const void *w)                              \
    {                                                                          \
        if (fp_plain(cpu)) {                                                   \
            uint64_t r = avx_call_g##n(vec_stub(i), w);                        \
                                                                               \
            if (fp_quiet(cpu, host_mxcsr())) {                                 \
                cpu->st.gpr[i->reg] = r;                                       \
                return;                                                        \
            }                                                                  \
        }                                                                      \
        avxf_gw_again(cpu, i, w, n);                                           \
    }                                                                          \
    HANDLER_OF(avxf_gw##n##_r)                                                 \
    {                                                                          \
        check_avx(cpu);                                                        \
        avxf_gw_##n(cpu, i, cpu->st.ymm[i->rm]);                               \
    }                                                                          \
    HANDLER_OF(avxf_gw##n##_m)                                                 \
    {                                                                          \
        uint8_t buf[n];                                                        \
                                                                               \
        check_avx(cpu);                                                        \
        avxf_gw_##n(cpu, i, avx_mem(cpu, i, buf, n));                          \
    }
AVXF_GW(8)
AVXF_GW(4)

/* --- results in RFLAGS --------------------------------------------------- */

#define AVX_CALL_FL(n, load)                                                  \
    static inline uint64_t avx_call_fl##n(const void *stub, const uint8_t *v, \
                                          const void *w)                      \
    {                                                                         \
        uint64_t fl;                                                          \
                                                                              \
        __asm__ volatile("vmovdqu (%[v]), %%ymm0\n\t" load "\n\t"             \
                         "lea -128(%%rsp), %%rsp\n\t"                         \
                         "call *%[f]\n\t"                                     \
                         "pushf\n\t"                                          \
                         "pop %[fl]\n\t"                                      \
                         "lea 128(%%rsp), %%rsp\n\t"                          \
                         "vzeroupper"                                         \
                         : [fl] "=&r"(fl)                                     \
                         : [v] "r"(v), [w] "r"(w), [f] "r"(stub)              \
                         : "cc", "memory", ALL_XMM);                          \
        return fl;                                                            \
    }
AVX_CALL_FL(32, "vmovdqu (%[w]), %%ymm1")
AVX_CALL_FL(16, "vmovdqu (%[w]), %%xmm1")
AVX_CALL_FL(8, "vmovq (%[w]), %%xmm1")
AVX_CALL_FL(4, "vmovd (%[w]), %%xmm1")

#define AVX_FL(n)                                                       \
    HANDLER_OF(avx_fl##n##_r)                                           \
    {                                                                   \
        check_avx(cpu);                                                 \
        vec_flags(cpu, avx_call_fl32(vec_stub(i), cpu->st.ymm[i->reg],  \
                                     cpu->st.ymm[i->rm]));              \
    }                                                                   \
    HANDLER_OF(avx_fl##n##_m)                                           \
    {                                                                   \
        uint8_t buf[n];                                                 \
                                                                        \
        check_avx(cpu);                                                 \
        vec_flags(cpu, avx_call_fl##n(vec_stub(i), cpu->st.ymm[i->reg], \
                                      avx_mem(cpu, i, buf, n)));        \
    }
AVX_FL(16)
AVX_FL(32)

static __attribute__((noinline)) void avxf_fl_again(struct vcpu *cpu,
                                                    const struct x86_insn *i,
                                                    const void *w, unsigned n)
{
    struct vec_op o;

    avx_fill(cpu, i, w, n, &o);
    vec_run_fp(cpu, vec_run_avx, vec_stub(i), &o);
    vec_flags(cpu, o.flags);
}

#define AVXF_FL(n)                                                             \
    static inline void avxf_fl_##n(struct vcpu *cpu, const struct x86_insn *i, \
                                   const void *w)                              \
    {                                                                          \
        if (fp_plain(cpu)) {                                                   \
            uint64_t fl = avx_call_fl##n(vec_stub(i), cpu->st.ymm[i->reg], w); \
                                                                               \
            if (fp_quiet(cpu, host_mxcsr())) {                                 \
                vec_flags(cpu, fl);                                            \
                return;                                                        \
            }                                                                  \
        }                                                                      \
        avxf_fl_again(cpu, i, w, n);                                           \
    }                                                                          \
    HANDLER_OF(avxf_fl##n##_r)                                                 \
    {                                                                          \
        check_avx(cpu);                                                        \
        avxf_fl_##n(cpu, i, cpu->st.ymm[i->rm]);                               \
    }                                                                          \
    HANDLER_OF(avxf_fl##n##_m)                                                 \
    {                                                                          \
        uint8_t buf[n];                                                        \
                                                                               \
        check_avx(cpu);                                                        \
        avxf_fl_##n(cpu, i, avx_mem(cpu, i, buf, n));                          \
    }
AVXF_FL(8)
AVXF_FL(4)

/* --- V from general registers -------------------------------------------- */

static inline void avx_call_ve(const void *stub, uint8_t *v, const uint8_t *h,
                               uint64_t e)
{
    __asm__ volatile("vmovdqu (%[h]), %%ymm2\n\t" CALL_F
                     "vmovdqu %%ymm0, (%[v])\n\t"
                     "vzeroupper"
                     :
                     : [v] "r"(v), [h] "r"(h), "c"(e), [f] "r"(stub)
                     : "cc", "memory", ALL_XMM);
}

static inline void avx_ve(struct vcpu *cpu, const struct x86_insn *i,
                          uint64_t e)
{
    avx_call_ve(vec_stub(i), cpu->st.ymm[i->reg], cpu->st.ymm[i->vvvv], e);
}

static __attribute__((noinline)) void avxf_ve_again(struct vcpu *cpu,
                                                    const struct x86_insn *i,
                                                    uint64_t e)
{
    struct vec_op o;

    avx_fill(cpu, i, cpu->st.ymm[0], 32, &o);
    o.rcx = e;
    vec_run_fp(cpu, vec_run_avx, vec_stub(i), &o);
    memcpy(cpu->st.ymm[i->reg], o.x[0], 32);
}

static inline void avxf_ve(struct vcpu *cpu, const struct x86_insn *i,
                           uint64_t e)
{
    uint8_t r[32];

    if (fp_plain(cpu)) {
        avx_call_ve(vec_stub(i), r, cpu->st.ymm[i->vvvv], e);
        if (fp_quiet(cpu, host_mxcsr())) {
            xmm_set_zx(cpu, i->reg, _mm_loadu_si128((const __m128i *)r));
            return;
        }
    }
    avxf_ve_again(cpu, i, e);
}

#define AVX_VE(name, op, bits)                         \
    HANDLER_OF(name##_r)                               \
    {                                                  \
        check_avx(cpu);                                \
        op(cpu, i, cpu->st.gpr[i->rm]);                \
    }                                                  \
    HANDLER_OF(name##_m)                               \
    {                                                  \
        check_avx(cpu);                                \
        op(cpu, i, ld##bits(cpu, i->seg, ea(cpu, i))); \
    }
AVX_VE(avx_ve1, avx_ve, 8)
AVX_VE(avx_ve2, avx_ve, 16)
AVX_VE(avx_ve4, avx_ve, 32)
AVX_VE(avx_ve8, avx_ve, 64)
AVX_VE(avxf_ve4, avxf_ve, 32)
AVX_VE(avxf_ve8, avxf_ve, 64)

/* --- the rarest shapes go through memory --------------------------------- */

static uint64_t avx_ev(struct vcpu *cpu, const struct x86_insn *i)
{
    struct vec_op o;

    avx_fill(cpu, i, cpu->st.ymm[0], 32, &o);
    vec_run_avx(vec_stub(i), &o);
    return o.rcx;
}

#define AVX_EV(name, bits)                                                 \
    HANDLER_OF(name##_r)                                                   \
    {                                                                      \
        check_avx(cpu);                                                    \
        cpu->st.gpr[i->rm] = avx_ev(cpu, i);                               \
    }                                                                      \
    HANDLER_OF(name##_m)                                                   \
    {                                                                      \
        check_avx(cpu);                                                    \
        st##bits(cpu, i->seg, ea(cpu, i), (uint##bits##_t)avx_ev(cpu, i)); \
    }
AVX_EV(avx_ev1, 8)
AVX_EV(avx_ev2, 16)
AVX_EV(avx_ev4, 32)
AVX_EV(avx_ev8, 64)

/* W, V: the result, in register 1, is narrower than the source. */
static void avx_wv_to(struct vcpu *cpu, const struct x86_insn *i, bool fp,
                      struct vec_op *o)
{
    avx_fill(cpu, i, cpu->st.ymm[i->rm], 32, o);
    if (fp)
        vec_run_fp(cpu, vec_run_avx, vec_stub(i), o);
    else
        vec_run_avx(vec_stub(i), o);
}

#define AVX_WV(name, fp, n)                     \
    HANDLER_OF(name##_r)                        \
    {                                           \
        struct vec_op o;                        \
                                                \
        check_avx(cpu);                         \
        avx_wv_to(cpu, i, fp, &o);              \
        memcpy(cpu->st.ymm[i->rm], o.x[1], 32); \
    }                                           \
    HANDLER_OF(name##_m)                        \
    {                                           \
        struct vec_op o;                        \
        uint64_t off = ea(cpu, i);              \
                                                \
        check_avx(cpu);                         \
        probe_write(cpu, i->seg, off, n);       \
        avx_wv_to(cpu, i, fp, &o);              \
        st_bytes(cpu, i->seg, off, o.x[1], n);  \
    }
AVX_WV(avx_wv16, false, 16)
AVX_WV(avxf_wv16, true, 16)
AVX_WV(avxf_wv8, true, 8)

/* PCMPxSTRx, see vec_sse.c. */
static void avx_str(struct vcpu *cpu, const struct x86_insn *i, const void *w,
                    unsigned n, struct vec_op *o)
{
    avx_fill(cpu, i, w, n, o);
    o->rax = cpu->st.gpr[RAX];
    o->rcx = cpu->st.gpr[RCX];
    o->rdx = cpu->st.gpr[RDX];
    vec_run_avx(vec_stub(i), o);
    vec_flags(cpu, o->flags);
}

static void avx_strm(struct vcpu *cpu, const struct x86_insn *i, const void *w,
                     unsigned n)
{
    struct vec_op o;

    avx_str(cpu, i, w, n, &o);
    memcpy(cpu->st.ymm[0], o.x[0], 32);
}

static void avx_stri(struct vcpu *cpu, const struct x86_insn *i, const void *w,
                     unsigned n)
{
    struct vec_op o;

    avx_str(cpu, i, w, n, &o);
    cpu->st.gpr[RCX] = o.rcx;
}
AVX_W(avx_strm, avx_strm, 16)
AVX_W(avx_stri, avx_stri, 16)
