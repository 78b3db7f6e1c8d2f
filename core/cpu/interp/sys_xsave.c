/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers: FXSAVE and XSAVE images, XCR0.
 *
 * Components are x87 (0), SSE (1) and AVX (2); with these the compacted
 * image has the layout of the standard one.
 *
 * Source: Intel SDM volume 1 10.5 and chapter 13.
 */
#include <string.h>

#include "cpu/gen/handlers.h"
#include "cpu/interp/sys.h"
#include "cpu/interp/vec.h"
#include "cpu/interp/x87.h"

#define XC_X87      1u
#define XC_SSE      2u
#define XC_AVX      4u
#define MXCSR_RESET 0x1f80u
#define COMPACT     (1ull << 63)

struct image {
    uint8_t b[832]; /* legacy 512, header 64, AVX 256 */
};
#define HEADER 512
#define AVX    576

static void put(struct image *m, unsigned at, uint64_t v, unsigned n)
{
    memcpy(m->b + at, &v, n);
}

static uint64_t get(const struct image *m, unsigned at, unsigned n)
{
    uint64_t v = 0;

    memcpy(&v, m->b + at, n);
    return v;
}

uint64_t xsave_supported(const struct vcpu *cpu)
{
    return XC_X87 | XC_SSE |
           (x86_has(&cpu->model->features, X86_F_avx) ? XC_AVX : 0);
}

unsigned xsave_bytes(uint64_t components)
{
    return components & XC_AVX ? AVX + 256 : AVX;
}

/* --- components to and from an image ------------------------------------- */

static void save_x87(struct vcpu *cpu, const struct x86_insn *i,
                     struct image *m)
{
    const struct x86_x87 *f = &cpu->st.x87;
    unsigned top = f->sw >> 11 & 7;

    put(m, 0, f->cw, 2);
    put(m, 2, f->sw, 2);
    put(m, 4, f->tag, 2);
    put(m, 6, f->opcode, 2);
    if (i->vw) {
        put(m, 8, f->ip, 8);
        put(m, 16, f->dp, 8);
    } else {
        put(m, 8, (uint32_t)f->ip, 4);
        put(m, 12, f->ip_sel, 4);
        put(m, 16, (uint32_t)f->dp, 4);
        put(m, 20, f->dp_sel, 4);
    }
    for (unsigned n = 0; n < 8; n++) {
        memset(m->b + 32 + n * 16, 0, 16);
        memcpy(m->b + 32 + n * 16, f->st[(top + n) & 7], 10);
    }
}

static void load_x87(struct vcpu *cpu, const struct x86_insn *i,
                     const struct image *m)
{
    struct x86_x87 *f = &cpu->st.x87;
    unsigned top;

    x87_set_cw(f, (uint16_t)get(m, 0, 2));
    x87_set_sw(f, (uint16_t)get(m, 2, 2));
    f->tag = m->b[4];
    f->opcode = get(m, 6, 2) & 0x7ff;
    if (i->vw) {
        f->ip = get(m, 8, 8);
        f->dp = get(m, 16, 8);
        f->ip_sel = f->dp_sel = 0;
    } else {
        f->ip = get(m, 8, 4);
        f->ip_sel = (uint16_t)get(m, 12, 2);
        f->dp = get(m, 16, 4);
        f->dp_sel = (uint16_t)get(m, 20, 2);
    }
    top = f->sw >> 11 & 7;
    for (unsigned n = 0; n < 8; n++) {
        memset(f->st[(top + n) & 7], 0, 16);
        memcpy(f->st[(top + n) & 7], m->b + 32 + n * 16, 10);
    }
}

/* More than FNINIT: the registers become zero, too. */
static void reset_x87(struct x86_x87 *f)
{
    memset(f->st, 0, sizeof f->st);
    x87_init(f);
}

static unsigned vector_count(const struct vcpu *cpu)
{
    return cpu->code64 ? 16 : 8;
}

static void save_sse(struct vcpu *cpu, struct image *m)
{
    for (unsigned n = 0; n < vector_count(cpu); n++)
        memcpy(m->b + 160 + n * 16, cpu->st.ymm[n], 16);
}

static void load_sse(struct vcpu *cpu, const struct image *m)
{
    for (unsigned n = 0; n < vector_count(cpu); n++)
        memcpy(cpu->st.ymm[n], m->b + 160 + n * 16, 16);
}

static void save_avx(struct vcpu *cpu, struct image *m)
{
    for (unsigned n = 0; n < vector_count(cpu); n++)
        memcpy(m->b + AVX + n * 16, cpu->st.ymm[n] + 16, 16);
}

static void load_avx(struct vcpu *cpu, const struct image *m)
{
    for (unsigned n = 0; n < vector_count(cpu); n++)
        memcpy(cpu->st.ymm[n] + 16, m->b + AVX + n * 16, 16);
}

static void init_vector(struct vcpu *cpu, unsigned half)
{
    for (unsigned n = 0; n < vector_count(cpu); n++)
        memset(cpu->st.ymm[n] + half * 16, 0, 16);
}

static bool half_in_use(const struct vcpu *cpu, unsigned half)
{
    static const uint8_t zero[16];

    for (unsigned n = 0; n < 16; n++)
        if (memcmp(cpu->st.ymm[n] + half * 16, zero, 16))
            return true;
    return false;
}

/* Which components are not in their initial state */
static uint64_t in_use(const struct vcpu *cpu)
{
    const struct x86_x87 *f = &cpu->st.x87;
    uint64_t bits = 0;

    if (f->cw != 0x37f || f->sw || f->tag || f->opcode || f->ip || f->dp ||
        f->ip_sel || f->dp_sel)
        bits |= XC_X87;
    if (half_in_use(cpu, 0) || cpu->st.mxcsr != MXCSR_RESET)
        bits |= XC_SSE;
    if (half_in_use(cpu, 1))
        bits |= XC_AVX;
    return bits;
}

/* --- FXSAVE -------------------------------------------------------------- */

static void check_image(struct vcpu *cpu, const struct x86_insn *i, uint64_t at,
                        unsigned align)
{
    if ((cpu->fast[i->seg].base + at) & (align - 1))
        cpu_gp0(cpu);
}

void h_fxsave(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t at = ea(cpu, i);
    struct image m;

    if (cpu->st.cr0 & (CR0_TS | CR0_EM))
        cpu_raise(cpu, EXC_NM);
    x87_here(cpu);
    check_image(cpu, i, at, 16);
    /* The last byte first, as processors do: which page is missing shows. */
    probe_write(cpu, i->seg, ea_trunc(i, at + 511), 1);
    probe_write(cpu, i->seg, at, 512);
    ld_bytes(cpu, i->seg, at, &m, 512); /* what is reserved stays */
    save_x87(cpu, i, &m);
    put(&m, 24, cpu->st.mxcsr, 4);
    put(&m, 28, mxcsr_valid(cpu), 4);
    save_sse(cpu, &m);
    st_bytes(cpu, i->seg, at, &m, 512);
}

void h_fxrstor(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t at = ea(cpu, i);
    struct image m;

    if (cpu->st.cr0 & (CR0_TS | CR0_EM))
        cpu_raise(cpu, EXC_NM);
    x87_here(cpu);
    check_image(cpu, i, at, 16);
    (void)ld8(cpu, i->seg, ea_trunc(i, at + 511));
    ld_bytes(cpu, i->seg, at, &m, 512);
    if (get(&m, 24, 4) & ~(uint64_t)mxcsr_valid(cpu))
        cpu_gp0(cpu);
    load_x87(cpu, i, &m);
    cpu->st.mxcsr = (uint32_t)get(&m, 24, 4);
    load_sse(cpu, &m);
}

/* --- XSAVE --------------------------------------------------------------- */

static uint64_t requested(struct vcpu *cpu)
{
    if (!(cpu->st.cr4 & CR4_OSXSAVE))
        cpu_ud(cpu);
    if (cpu->st.cr0 & CR0_TS)
        cpu_raise(cpu, EXC_NM);
    x87_here(cpu);
    return ((uint32_t)cpu->st.gpr[RAX] | cpu->st.gpr[RDX] << 32) & cpu->st.xcr0;
}

/* `parts`: components to write; bv: what the header says about them. */
static void xsave(struct vcpu *cpu, const struct x86_insn *i, uint64_t rfbm,
                  uint64_t parts, bool compact)
{
    uint64_t at = ea(cpu, i);
    unsigned bytes = xsave_bytes(rfbm);
    struct image m;

    check_image(cpu, i, at, 64);
    probe_write(cpu, i->seg, at, bytes);
    ld_bytes(cpu, i->seg, at, &m, bytes);
    if (parts & XC_X87)
        save_x87(cpu, i, &m);
    if (compact ? parts & XC_SSE : rfbm & (XC_SSE | XC_AVX)) {
        put(&m, 24, cpu->st.mxcsr, 4);
        put(&m, 28, mxcsr_valid(cpu), 4);
    }
    if (parts & XC_SSE)
        save_sse(cpu, &m);
    if (parts & XC_AVX)
        save_avx(cpu, &m);
    if (compact) {
        put(&m, HEADER, rfbm & in_use(cpu), 8);
        put(&m, HEADER + 8, rfbm | COMPACT, 8);
    } else {
        put(&m, HEADER, (get(&m, HEADER, 8) & ~rfbm) | (rfbm & in_use(cpu)), 8);
    }
    st_bytes(cpu, i->seg, at, &m, bytes);
}

void h_xsave(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t rfbm = requested(cpu);

    xsave(cpu, i, rfbm, rfbm, false);
}

void h_xsaveopt(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t rfbm = requested(cpu);

    xsave(cpu, i, rfbm, rfbm & in_use(cpu), false);
}

void h_xsavec(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t rfbm = requested(cpu);

    xsave(cpu, i, rfbm, rfbm & in_use(cpu), true);
}

static bool header_ok(struct vcpu *cpu, const struct image *m, uint64_t bv,
                      uint64_t comp)
{
    uint64_t rest = 0;

    /* the standard form has bytes 8 to 23 looked at, no more (SDM 1, 13.8) */
    for (unsigned n = 16; n < (comp & COMPACT ? 64u : 24u); n += 8)
        rest |= get(m, HEADER + n, 8);
    if (rest)
        return false;
    if (!(comp & COMPACT))
        return !comp && !(bv & ~cpu->st.xcr0);
    return x86_has(&cpu->model->features, X86_F_xsavec) &&
           !(comp & ~COMPACT & ~cpu->st.xcr0) && !(bv & ~comp);
}

void h_xrstor(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t rfbm = requested(cpu), at = ea(cpu, i), bv, comp;
    bool loads_mxcsr;
    struct image m;

    check_image(cpu, i, at, 64);
    ld_bytes(cpu, i->seg, at, &m, AVX);
    bv = get(&m, HEADER, 8);
    comp = get(&m, HEADER + 8, 8);
    if (!header_ok(cpu, &m, bv, comp))
        cpu_gp0(cpu);
    if (rfbm & bv & XC_AVX)
        ld_bytes(cpu, i->seg, at + AVX, m.b + AVX, 256);
    loads_mxcsr =
        comp & COMPACT ? rfbm & bv & XC_SSE : rfbm & (XC_SSE | XC_AVX);
    if (loads_mxcsr && (get(&m, 24, 4) & ~(uint64_t)mxcsr_valid(cpu)))
        cpu_gp0(cpu);
    if (rfbm & bv & XC_X87)
        load_x87(cpu, i, &m);
    else if (rfbm & XC_X87)
        reset_x87(&cpu->st.x87);
    if (loads_mxcsr)
        cpu->st.mxcsr = (uint32_t)get(&m, 24, 4);
    else if (rfbm & XC_SSE)
        cpu->st.mxcsr = MXCSR_RESET;
    if (rfbm & bv & XC_SSE)
        load_sse(cpu, &m);
    else if (rfbm & XC_SSE)
        init_vector(cpu, 0);
    if (rfbm & bv & XC_AVX)
        load_avx(cpu, &m);
    else if (rfbm & XC_AVX)
        init_vector(cpu, 1);
}

/* --- XCR0 ---------------------------------------------------------------- */

void h_xgetbv(struct vcpu *cpu, const struct x86_insn *i)
{
    uint32_t n = (uint32_t)cpu->st.gpr[RCX];
    uint64_t v = cpu->st.xcr0;

    if (!(cpu->st.cr4 & CR4_OSXSAVE))
        cpu_ud(cpu);
    if (n > 1 || (n == 1 && !x86_has(&cpu->model->features, X86_F_xgetbv1)))
        cpu_gp0(cpu);
    x87_here(cpu);
    if (n == 1)
        v &= in_use(cpu);
    cpu->st.gpr[RAX] = (uint32_t)v;
    cpu->st.gpr[RDX] = v >> 32;
}

void h_xsetbv(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t v = (uint32_t)cpu->st.gpr[RAX] | cpu->st.gpr[RDX] << 32;

    if (!(cpu->st.cr4 & CR4_OSXSAVE))
        cpu_ud(cpu);
    check_cpl0(cpu);
    if ((uint32_t)cpu->st.gpr[RCX] || !(v & XC_X87) ||
        (v & ~xsave_supported(cpu)) || (v & (XC_SSE | XC_AVX)) == XC_AVX)
        cpu_gp0(cpu);
    cpu->st.xcr0 = v;
    mode_deny(cpu);
}
