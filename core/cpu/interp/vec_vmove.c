/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VEX-encoded moves, masked moves, broadcasts of 128 bits and gathers.
 */
#include "cpu/interp/vec.h"

/* --- whole registers ----------------------------------------------------- */

static inline void copy32(void *d, const void *s)
{
    __asm__ volatile("vmovdqu (%1), %%ymm0\n\t"
                     "vmovdqu %%ymm0, (%0)\n\t"
                     "vzeroupper"
                     :
                     : "r"(d), "r"(s)
                     : "memory", "xmm0");
}

static inline void load32(struct vcpu *cpu, const struct x86_insn *i,
                          uint64_t off)
{
    const uint8_t *p = tlb_hit_r(cpu, i->seg, off, 32);
    uint8_t buf[32];

    if (unlikely(p == NULL)) {
        ld_bytes(cpu, i->seg, off, buf, 32);
        p = buf;
    }
    copy32(cpu->st.ymm[i->reg], p);
}

static inline void store32(struct vcpu *cpu, const struct x86_insn *i,
                           uint64_t off)
{
    uint8_t *p = tlb_hit_w(cpu, i->seg, off, 32);

    if (likely(p != NULL))
        copy32(p, cpu->st.ymm[i->reg]);
    else
        st_bytes(cpu, i->seg, off, cpu->st.ymm[i->reg], 32);
}

#define VMOVE_16(name, size)                              \
    HANDLER_OF(name##_VW16_r)                             \
    {                                                     \
        check_avx(cpu);                                   \
        xmm_set_zx(cpu, i->reg, xmm_get(cpu, i->rm));     \
    }                                                     \
    HANDLER_OF(name##_VW16_m)                             \
    {                                                     \
        uint64_t off = ea(cpu, i);                        \
                                                          \
        check_avx(cpu);                                   \
        check_align(cpu, i, off, size);                   \
        xmm_set_zx(cpu, i->reg, ld128(cpu, i->seg, off)); \
    }                                                     \
    HANDLER_OF(name##_WV16_r)                             \
    {                                                     \
        check_avx(cpu);                                   \
        xmm_set_zx(cpu, i->rm, xmm_get(cpu, i->reg));     \
    }                                                     \
    HANDLER_OF(name##_WV16_m)                             \
    {                                                     \
        uint64_t off = ea(cpu, i);                        \
                                                          \
        check_avx(cpu);                                   \
        check_align(cpu, i, off, size);                   \
        st128(cpu, i->seg, off, xmm_get(cpu, i->reg));    \
    }
VMOVE_16(vmova, 16)
VMOVE_16(vmovu, 1)

#define VMOVE_32(name, size)                             \
    HANDLER_OF(name##_VW32_r)                            \
    {                                                    \
        check_avx(cpu);                                  \
        copy32(cpu->st.ymm[i->reg], cpu->st.ymm[i->rm]); \
    }                                                    \
    HANDLER_OF(name##_VW32_m)                            \
    {                                                    \
        uint64_t off = ea(cpu, i);                       \
                                                         \
        check_avx(cpu);                                  \
        check_align(cpu, i, off, size);                  \
        load32(cpu, i, off);                             \
    }                                                    \
    HANDLER_OF(name##_WV32_r)                            \
    {                                                    \
        check_avx(cpu);                                  \
        copy32(cpu->st.ymm[i->rm], cpu->st.ymm[i->reg]); \
    }                                                    \
    HANDLER_OF(name##_WV32_m)                            \
    {                                                    \
        uint64_t off = ea(cpu, i);                       \
                                                         \
        check_avx(cpu);                                  \
        check_align(cpu, i, off, size);                  \
        store32(cpu, i, off);                            \
    }
VMOVE_32(vmova, 32)
VMOVE_32(vmovu, 1)

HANDLER_OF(vbroadcast128)
{
    uint8_t buf[32];
    __m128i v;

    check_avx(cpu);
    v = vec_ld16u(cpu, i);
    _mm_storeu_si128((__m128i *)buf, v);
    _mm_storeu_si128((__m128i *)(buf + 16), v);
    memcpy(cpu->st.ymm[i->reg], buf, 32);
}

/* --- parts of registers -------------------------------------------------- */

#define VMOVE_SCALAR(name, n, bits)                                        \
    HANDLER_OF(name##_VHU)                                                 \
    {                                                                      \
        check_avx(cpu);                                                    \
        xmm_set_zx(cpu, i->reg,                                            \
                   merge##n(xmm_get(cpu, i->vvvv), xmm_get(cpu, i->rm)));  \
    }                                                                      \
    HANDLER_OF(name##_VM)                                                  \
    {                                                                      \
        check_avx(cpu);                                                    \
        xmm_set_zx(cpu, i->reg, vec_ld##n(cpu, i));                        \
    }                                                                      \
    HANDLER_OF(name##_UHV)                                                 \
    {                                                                      \
        check_avx(cpu);                                                    \
        xmm_set_zx(cpu, i->rm,                                             \
                   merge##n(xmm_get(cpu, i->vvvv), xmm_get(cpu, i->reg))); \
    }                                                                      \
    HANDLER_OF(name##_MV)                                                  \
    {                                                                      \
        check_avx(cpu);                                                    \
        st##bits(cpu, i->seg, ea(cpu, i),                                  \
                 (uint##bits##_t)xmm_low(cpu, i->reg));                    \
    }
VMOVE_SCALAR(vmovss, 4, 32)
VMOVE_SCALAR(vmovsd, 8, 64)

HANDLER_OF(vmovl_VHM)
{
    check_avx(cpu);
    xmm_set_zx(cpu, i->reg, merge8(xmm_get(cpu, i->vvvv), vec_ld8(cpu, i)));
}

HANDLER_OF(vmovl_MV)
{
    check_avx(cpu);
    st64(cpu, i->seg, ea(cpu, i), xmm_low(cpu, i->reg));
}

HANDLER_OF(vmovh_VHM)
{
    check_avx(cpu);
    xmm_set_zx(cpu, i->reg,
               _mm_unpacklo_epi64(xmm_get(cpu, i->vvvv), vec_ld8(cpu, i)));
}

HANDLER_OF(vmovh_MV)
{
    __m128i v = xmm_get(cpu, i->reg);

    check_avx(cpu);
    st64(cpu, i->seg, ea(cpu, i),
         (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(v, v)));
}

HANDLER_OF(vmovhlps)
{
    __m128i s = xmm_get(cpu, i->rm);

    check_avx(cpu);
    xmm_set_zx(cpu, i->reg,
               merge8(xmm_get(cpu, i->vvvv), _mm_unpackhi_epi64(s, s)));
}

HANDLER_OF(vmovlhps)
{
    check_avx(cpu);
    xmm_set_zx(cpu, i->reg,
               _mm_unpacklo_epi64(xmm_get(cpu, i->vvvv), xmm_get(cpu, i->rm)));
}

HANDLER_OF(vmovq_VW_r)
{
    check_avx(cpu);
    xmm_set_zx(cpu, i->reg, low64(xmm_get(cpu, i->rm)));
}

HANDLER_OF(vmovq_VW_m)
{
    check_avx(cpu);
    xmm_set_zx(cpu, i->reg, vec_ld8(cpu, i));
}

HANDLER_OF(vmovq_WV_r)
{
    check_avx(cpu);
    xmm_set_zx(cpu, i->rm, low64(xmm_get(cpu, i->reg)));
}

HANDLER_OF(vmovq_WV_m)
{
    check_avx(cpu);
    st64(cpu, i->seg, ea(cpu, i), xmm_low(cpu, i->reg));
}

/* --- from and to general registers --------------------------------------- */

HANDLER_OF(vmovd_VE_r)
{
    check_avx(cpu);
    xmm_set_zx(cpu, i->reg, _mm_cvtsi32_si128((int32_t)cpu->st.gpr[i->rm]));
}

HANDLER_OF(vmovd_VE_m)
{
    check_avx(cpu);
    xmm_set_zx(cpu, i->reg, vec_ld4(cpu, i));
}

HANDLER_OF(vmovq_VE_r)
{
    check_avx(cpu);
    xmm_set_zx(cpu, i->reg, _mm_cvtsi64_si128((int64_t)cpu->st.gpr[i->rm]));
}

HANDLER_OF(vmovq_VE_m)
{
    check_avx(cpu);
    xmm_set_zx(cpu, i->reg, vec_ld8(cpu, i));
}

HANDLER_OF(vmovd_EV_r)
{
    check_avx(cpu);
    cpu->st.gpr[i->rm] = (uint32_t)xmm_low(cpu, i->reg);
}

HANDLER_OF(vmovd_EV_m)
{
    check_avx(cpu);
    st32(cpu, i->seg, ea(cpu, i), (uint32_t)xmm_low(cpu, i->reg));
}

HANDLER_OF(vmovq_EV_r)
{
    check_avx(cpu);
    cpu->st.gpr[i->rm] = xmm_low(cpu, i->reg);
}

HANDLER_OF(vmovq_EV_m)
{
    check_avx(cpu);
    st64(cpu, i->seg, ea(cpu, i), xmm_low(cpu, i->reg));
}

/* --- elements ------------------------------------------------------------ */

static inline bool mask_of(const uint8_t *reg, unsigned k, unsigned size)
{
    return reg[k * size + size - 1] & 0x80;
}

/* Address of an element behind one at `off`, wrapping as addresses do. */
static inline uint64_t wrap(const struct x86_insn *i, uint64_t off)
{
    return i->asz == 8 ? off : i->asz == 4 ? (uint32_t)off : (uint16_t)off;
}

static inline void element_set(uint8_t *reg, unsigned k, unsigned size,
                               uint64_t v)
{
    memcpy(reg + k * size, &v, size);
}

static inline uint64_t element(const uint8_t *reg, unsigned k, unsigned size)
{
    uint64_t v = 0;

    memcpy(&v, reg + k * size, size);
    return v;
}

/* VMASKMOV, VPMASKMOV: elements whose mask is clear cannot fault. */
static void mask_load(struct vcpu *cpu, const struct x86_insn *i, unsigned size)
{
    const uint8_t *mask = cpu->st.ymm[i->vvvv];
    uint8_t r[32] = { 0 };
    uint64_t off = ea(cpu, i);

    check_avx(cpu);
    for (unsigned k = 0; k < i->vl / size; k++) {
        if (mask_of(mask, k, size))
            element_set(r, k, size,
                        ld_n(cpu, i->seg, wrap(i, off + k * size), size));
    }
    memcpy(cpu->st.ymm[i->reg], r, 32);
}

static void mask_store(struct vcpu *cpu, const struct x86_insn *i,
                       unsigned size)
{
    const uint8_t *mask = cpu->st.ymm[i->vvvv];
    const uint8_t *data = cpu->st.ymm[i->reg];
    uint64_t off = ea(cpu, i);

    check_avx(cpu);
    for (unsigned k = 0; k < i->vl / size; k++) {
        if (mask_of(mask, k, size))
            probe_write(cpu, i->seg, wrap(i, off + k * size), size);
    }
    for (unsigned k = 0; k < i->vl / size; k++) {
        if (mask_of(mask, k, size))
            st_n(cpu, i->seg, wrap(i, off + k * size), element(data, k, size),
                 size);
    }
}

HANDLER_OF(vmaskmov_ld4)
{
    mask_load(cpu, i, 4);
}

HANDLER_OF(vmaskmov_ld8)
{
    mask_load(cpu, i, 8);
}

HANDLER_OF(vmaskmov_st4)
{
    mask_store(cpu, i, 4);
}

HANDLER_OF(vmaskmov_st8)
{
    mask_store(cpu, i, 8);
}

/* --- gathers ------------------------------------------------------------- */

static uint64_t gather_address(struct vcpu *cpu, const struct x86_insn *i,
                               unsigned k, unsigned index_size)
{
    const uint8_t *index = cpu->st.ymm[i->index];
    struct x86_insn base = *i;
    int64_t n = (int64_t)element(index, k, index_size);

    if (index_size == 4)
        n = (int32_t)n;
    base.index = X86_NOREG;
    return wrap(i, ea(cpu, &base) + ((uint64_t)n << i->scale));
}

/*
 * Elements are read in order.  One that faults leaves those before it in the
 * destination with their masks cleared, so that the instruction goes on from
 * there when it is restarted (SDM volume 2, VGATHERDPS). The other masks stay
 * as they are, as on AMD's; Intel's spread their sign bits first.
 */
static void gather(struct vcpu *cpu, const struct x86_insn *i,
                   unsigned index_size, unsigned size)
{
    uint8_t *dest = cpu->st.ymm[i->reg], *mask = cpu->st.ymm[i->vvvv];
    unsigned count = i->vl / (index_size > size ? index_size : size);

    check_avx(cpu);
    if (i->reg == i->vvvv || i->reg == i->index || i->vvvv == i->index)
        cpu_ud(cpu);
    for (unsigned k = 0; k < count; k++) {
        if (mask_of(mask, k, size))
            element_set(dest, k, size,
                        ld_n(cpu, i->seg, gather_address(cpu, i, k, index_size),
                             size));
        element_set(mask, k, size, 0);
    }
    memset(mask, 0, 32);
    memset(dest + count * size, 0, 32 - count * size);
}

HANDLER_OF(vgather_d4)
{
    gather(cpu, i, 4, 4);
}

HANDLER_OF(vgather_d8)
{
    gather(cpu, i, 4, 8);
}

HANDLER_OF(vgather_q4)
{
    gather(cpu, i, 8, 4);
}

HANDLER_OF(vgather_q8)
{
    gather(cpu, i, 8, 8);
}
