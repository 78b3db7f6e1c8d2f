/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vector instructions: registers, memory operands, MXCSR and the way to the
 * stubs that tools/gen-x86-vec.c makes from the table.
 *
 * A stub is the guest's instruction on registers 0, 1, 2, 3 and a RET.  The
 * host's MXCSR has its power-on value while the emulator's own code runs; its
 * sticky flags may hold anything.
 *
 * Rows that cannot raise SIMD floating-point exceptions just run.  For the
 * others the common case is a guest that masks all exceptions, rounds to
 * nearest and has seen the flags that the instruction raises before: then the
 * host's sticky flags are a superset of what the instruction raised, and if
 * they are a subset of the guest's there is nothing to do.  In all other
 * cases the instruction runs again in vec_run_fp() with clean flags.
 *
 * Source: Intel SDM volume 1 chapters 10, 11 and 14.
 */
#ifndef CPU_INTERP_VEC_H
#define CPU_INTERP_VEC_H

#include <emmintrin.h>

#include "cpu/interp/interp.h"
#include "cpu/gen/handlers.h"

/* gen/vec.S */
extern const uint8_t x86_vec_code[], x86_vec_end[];
extern const uint32_t x86_vec_at[]; /* by row: offset in x86_vec_code */
#define VEC_STRIDE 8                /* from one immediate to the next */

#define MXCSR_FLAGS      0x003fu
#define MXCSR_MASKS      0x1f80u
#define MXCSR_MASK_SHIFT 7
#define MXCSR_DEFAULT    0x1f80u
#define MXCSR_VALID      0xffffu
#define MXCSR_MM         0x20000u /* AMD: no #GP for unaligned sources */

#define HANDLER_OF(name) \
    void h_##name(struct vcpu *cpu, const struct x86_insn *i)

/* imm is zero in rows without one */
static inline const void *vec_stub(const struct x86_insn *i)
{
    return x86_vec_code + x86_vec_at[i->row] + i->imm * VEC_STRIDE;
}

/* Not the intrinsics: these keep their place among other volatile asm. */
static inline uint32_t host_mxcsr(void)
{
    uint32_t v;

    __asm__ volatile("stmxcsr %0" : "=m"(v));
    return v;
}

static inline void host_mxcsr_set(uint32_t v)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(v));
}

/* Everything a stub can read or write. */
struct vec_op {
    uint8_t x[4][32];
    uint64_t mm[2];
    uint64_t rax, rcx, rdx;
    uint64_t flags; /* out: the host's RFLAGS */
};

/* The whole register file goes through memory: for the rarer shapes. */
void vec_run_sse(const void *stub, struct vec_op *o);
void vec_run_avx(const void *stub, struct vec_op *o);
void vec_run_mmx(const void *stub, struct vec_op *o);

/*
 * The same with the guest's MXCSR.  Accumulates its flags; an unmasked
 * exception is raised here and does not return, so that the caller commits
 * nothing.
 */
typedef void vec_runner(const void *stub, struct vec_op *o);
void vec_run_fp(struct vcpu *cpu, vec_runner *run, const void *stub,
                struct vec_op *o);

/* May the instruction run at once, with its flags looked at afterwards? */
static inline bool fp_plain(const struct vcpu *cpu)
{
    return likely((cpu->st.mxcsr & ~MXCSR_FLAGS) == MXCSR_DEFAULT);
}

/* Did that raise nothing that the guest has not got? */
static inline bool fp_quiet(const struct vcpu *cpu, uint32_t host_mxcsr)
{
    return likely(!(host_mxcsr & MXCSR_FLAGS & ~cpu->st.mxcsr));
}

/* The bits that LDMXCSR, FXRSTOR and XRSTOR accept. */
static inline uint32_t mxcsr_valid(const struct vcpu *cpu)
{
    return x86_has(&cpu->model->features, X86_F_misalignsse)
               ? MXCSR_VALID | MXCSR_MM
               : MXCSR_VALID;
}

static inline void vec_flags(struct vcpu *cpu, uint64_t host)
{
    cpu->st.rflags = (cpu->st.rflags & ~(uint64_t)FL_ARITH) | (host & FL_ARITH);
}

/* --- registers ----------------------------------------------------------- */

static inline __m128i xmm_get(const struct vcpu *cpu, unsigned n)
{
    return _mm_loadu_si128((const __m128i *)cpu->st.ymm[n]);
}

/* Legacy encodings leave the upper half alone ... */
static inline void xmm_set(struct vcpu *cpu, unsigned n, __m128i v)
{
    _mm_storeu_si128((__m128i *)cpu->st.ymm[n], v);
}

/*
 * ... VEX.128 ones clear it.  One store of 32 bytes, because AVX code will
 * load the register in one piece, which two stores could not forward to.
 */
static inline void xmm_set_zx(struct vcpu *cpu, unsigned n, __m128i v)
{
    __asm__("vmovdqa %1, %%xmm0\n\t"
            "vmovdqu %%ymm0, %0\n\t"
            "vzeroupper"
            : "=m"(cpu->st.ymm[n])
            : "x"(v)
            : "xmm0");
}

static inline __m128i low64(__m128i v)
{
    return _mm_move_epi64(v);
}

static inline uint64_t xmm_low(const struct vcpu *cpu, unsigned n)
{
    return (uint64_t)_mm_cvtsi128_si64(xmm_get(cpu, n));
}

/* a with the low 4 or 8 bytes of b */
static inline __m128i merge4(__m128i a, __m128i b)
{
    return _mm_castps_si128(
        _mm_move_ss(_mm_castsi128_ps(a), _mm_castsi128_ps(b)));
}

static inline __m128i merge8(__m128i a, __m128i b)
{
    return _mm_castpd_si128(
        _mm_move_sd(_mm_castsi128_pd(a), _mm_castsi128_pd(b)));
}

/* --- memory operands ----------------------------------------------------- */

static inline __m128i ld128(struct vcpu *cpu, unsigned seg, uint64_t off)
{
    const uint8_t *p = tlb_hit_r(cpu, seg, off, 16);
    uint8_t buf[16];

    if (likely(p != NULL))
        return _mm_loadu_si128((const __m128i *)p);
    ld_bytes(cpu, seg, off, buf, 16);
    return _mm_loadu_si128((const __m128i *)buf);
}

static inline void st128(struct vcpu *cpu, unsigned seg, uint64_t off,
                         __m128i v)
{
    uint8_t *p = tlb_hit_w(cpu, seg, off, 16);
    uint8_t buf[16];

    if (likely(p != NULL)) {
        _mm_storeu_si128((__m128i *)p, v);
        return;
    }
    _mm_storeu_si128((__m128i *)buf, v);
    st_bytes(cpu, seg, off, buf, 16);
}

/* The linear address decides, not the offset. */
static inline void check_align(struct vcpu *cpu, const struct x86_insn *i,
                               uint64_t off, unsigned size)
{
    if (unlikely((cpu->st.seg[i->seg].base + off) & (size - 1)))
        cpu_gp0(cpu);
}

/* Source of an operation.  MXCSR.MM does not apply to moves. */
static inline __m128i vec_ld16a(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t off = ea(cpu, i);

    if (likely(!(cpu->st.mxcsr & MXCSR_MM)))
        check_align(cpu, i, off, 16);
    return ld128(cpu, i->seg, off);
}

static inline __m128i vec_ld16u(struct vcpu *cpu, const struct x86_insn *i)
{
    return ld128(cpu, i->seg, ea(cpu, i));
}

static inline __m128i vec_ld8(struct vcpu *cpu, const struct x86_insn *i)
{
    return _mm_cvtsi64_si128((int64_t)ld64(cpu, i->seg, ea(cpu, i)));
}

static inline __m128i vec_ld4(struct vcpu *cpu, const struct x86_insn *i)
{
    return _mm_cvtsi32_si128((int32_t)ld32(cpu, i->seg, ea(cpu, i)));
}

static inline __m128i vec_ld2(struct vcpu *cpu, const struct x86_insn *i)
{
    return _mm_cvtsi32_si128(ld16(cpu, i->seg, ea(cpu, i)));
}

static inline __m128i vec_ld1(struct vcpu *cpu, const struct x86_insn *i)
{
    return _mm_cvtsi32_si128(ld8(cpu, i->seg, ea(cpu, i)));
}

/* --- MMX ----------------------------------------------------------------- */

/* What every MMX instruction does to the x87 unit. */
static inline void mmx_enter(struct vcpu *cpu)
{
    cpu->st.x87.sw &= (uint16_t)~0x3800u;
    cpu->st.x87.tag = 0xff;
}

static inline uint64_t mmx_get(const struct vcpu *cpu, unsigned n)
{
    uint64_t v;

    memcpy(&v, cpu->st.x87.st[n & 7], 8);
    return v;
}

static inline void mmx_set(struct vcpu *cpu, unsigned n, uint64_t v)
{
    memcpy(cpu->st.x87.st[n & 7], &v, 8);
    cpu->st.x87.st[n & 7][8] = cpu->st.x87.st[n & 7][9] = 0xff;
}

#endif
