/* SPDX-License-Identifier: Apache-2.0 */
/* Random registers and memory for a trial; see trial.h. */
#include "trial.h"

#include <string.h>

#include "native.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

#define FLAGS_ARITH 0x8d5u
#define FLAG_DF     0x400u
#define FLAG_TF     0x100u
#define FLAGS_FIXED 0x202u

/* --- values -------------------------------------------------------------- */

uint64_t random_integer(struct random *r)
{
    static const uint64_t corner[] = {
        0,
        1,
        2,
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0x8000,
        0xffff,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x7fffffffffffffff,
        0x8000000000000000,
        0xffffffffffffffff,
        0xfffffffffffffffe,
        0xffffffff80000000,
        0x9,
        0x10,
        0x5555555555555555,
        0xaaaaaaaaaaaaaaaa,
    };
    uint64_t v = random64(r);

    switch (random_below(r, 8)) {
    case 0: return corner[random_below(r, sizeof corner / sizeof corner[0])];
    case 1: return (uint64_t)(int8_t)v;
    case 2: return 1ull << (v & 63);
    case 3: return v >> (v & 63);
    case 4: return (uint64_t)(int32_t)v;
    default: return v;
    }
}

static uint32_t random_single(struct random *r)
{
    static const uint32_t corner[] = {
        0,          0x3f800000, 0x7f800000, 0x7fc00000, 0x7f800001, 0x7fbfffff,
        0x00000001, 0x007fffff, 0x00800000, 0x7f7fffff, 0x4b000000, 0x4effffff,
        0x4f000000, 0x5f000000, 0x3f000000, 0x3fc00000, 0x4b7fffff,
    };
    uint32_t v = (uint32_t)random64(r), sign = v & 0x80000000;

    switch (random_below(r, 6)) {
    case 0:
        return corner[random_below(r, sizeof corner / sizeof corner[0])] | sign;
    case 1: return sign | ((120 + random_below(r, 20)) << 23) | (v & 0x7fffff);
    case 2: return sign | ((120 + random_below(r, 20)) << 23) | (v & 0x700000);
    case 3: return sign | ((v & 3) ? 1 : 0xfe) << 23 | (v >> 9 & 0x7fffff);
    default: return v;
    }
}

static uint64_t random_double(struct random *r)
{
    static const uint64_t corner[] = {
        0,
        0x3ff0000000000000,
        0x7ff0000000000000,
        0x7ff8000000000000,
        0x7ff0000000000001,
        0x7ff7ffffffffffff,
        1,
        0x000fffffffffffff,
        0x0010000000000000,
        0x7fefffffffffffff,
        0x4330000000000000,
        0x41dfffffffc00000,
        0x41e0000000000000,
        0x43e0000000000000,
        0x3fe0000000000000,
        0x3ff8000000000000,
        0x36a0000000000000,
        0x47efffffe0000000,
        0x380fffffffffffff,
    };
    uint64_t v = random64(r), sign = v & 0x8000000000000000;
    uint64_t fraction = v & 0xfffffffffffff;

    switch (random_below(r, 6)) {
    case 0:
        return corner[random_below(r, sizeof corner / sizeof corner[0])] | sign;
    case 1:
        return sign | (uint64_t)(1016 + random_below(r, 20)) << 52 | fraction;
    case 2:
        return sign | (uint64_t)(1016 + random_below(r, 40)) << 52 |
               (v & 0xff00000000000);
    case 3:
        return sign | (uint64_t)(890 + random_below(r, 270)) << 52 | fraction;
    default: return v;
    }
}

/* 80 bits; among them the encodings that only old processors made. */
static void random_extended(struct random *r, uint8_t out[10])
{
    static const struct {
        uint64_t significand;
        uint16_t exponent;
    } corner[] = {
        { 0, 0 },
        { 0x8000000000000000, 0x3fff }, /* 1 */
        { 0x8000000000000000, 0x7fff }, /* infinity */
        { 0xc000000000000000, 0x7fff }, /* quiet NaN */
        { 0x8000000000000001, 0x7fff }, /* signalling NaN */
        { 1, 0 },                       /* denormal */
        { 0x8000000000000000, 0 },      /* pseudo-denormal */
        { 0x8000000000000000, 1 },
        { 0x4000000000000000, 0x3fff }, /* unnormal */
        { 0x0000000000000001, 0x7fff }, /* pseudo-NaN */
        { 0, 0x7fff },                  /* pseudo-infinity */
        { 0xffffffffffffffff, 0x7ffe },
        { 0xc90fdaa22168c235, 0x4000 }, /* pi */
        { 0x8000000000000000, 0x403e }, /* 2^63 */
        { 0xc000000000000000, 0x3fff },
    };
    uint64_t significand = random64(r);
    uint16_t exponent = (uint16_t)(random64(r) & 0x8000);
    unsigned pick;

    switch (random_below(r, 5)) {
    case 0:
        pick = random_below(r, sizeof corner / sizeof corner[0]);
        significand = corner[pick].significand;
        exponent |= corner[pick].exponent;
        break;
    case 1:
        significand = random_integer(r) | 0x8000000000000000;
        exponent |= (uint16_t)(0x3fff + random_below(r, 70));
        break;
    case 2:
        significand |= 0x8000000000000000;
        exponent |= (uint16_t)random64(r);
        break;
    default:
        significand |= 0x8000000000000000;
        exponent |= (uint16_t)(0x3fe0 + random_below(r, 0x50));
    }
    memcpy(out, &significand, 8);
    memcpy(out + 8, &exponent, 2);
}

/* n bytes of one kind of numbers. */
static void random_vector(struct random *r, uint8_t *out, unsigned n)
{
    unsigned kind = random_below(r, 4);

    for (unsigned k = 0; k < n; k += 8) {
        uint64_t v = kind == 0 ? random_double(r)
                     : kind == 1
                         ? random_single(r) | (uint64_t)random_single(r) << 32
                     : kind == 2 ? random_integer(r)
                                 : random64(r);
        memcpy(out + k, &v, n - k < 8 ? n - k : 8);
    }
}

/* --- register files ------------------------------------------------------ */

static uint32_t random_mxcsr(struct random *r)
{
    uint32_t v = 0x1f80 | random_below(r, 4) << 13;

    if (percent(r, 15))
        v &= ~(random_below(r, 64) << 7); /* exceptions unmasked */
    if (percent(r, 15))
        v |= 0x8000; /* flush to zero */
    if (percent(r, 15))
        v |= 0x40; /* denormals are zero */
    if (percent(r, 30))
        v |= random_below(r, 64);
    return v;
}

static void random_x87(struct native_x *x, struct random *r)
{
    static const uint16_t precision[] = { 0x300, 0x300, 0x200, 0x000 };
    uint16_t flags = 0;

    x->fcw = (uint16_t)(0x7f | precision[random_below(r, 4)] |
                        random_below(r, 4) << 10);
    if (percent(r, 12))
        x->fcw &= (uint16_t)~random_below(r, 64);
    if (percent(r, 25))
        flags = (uint16_t)random_below(r, 64);
    if (percent(r, 95))
        flags &= x->fcw; /* nothing pending */
    x->fsw = (uint16_t)((random64(r) & 0x7f00) | flags);
    if (flags & ~x->fcw & 0x3f)
        x->fsw |= 0x8080;
    x->ftw = percent(r, 60) ? 0xff : (uint8_t)random64(r);
    for (unsigned n = 0; n < 8; n++)
        random_extended(r, x->st[n]);
}

static void random_registers(struct native_regs *in, struct random *r)
{
    memset(in, 0, sizeof *in);
    for (unsigned n = 0; n < 16; n++)
        in->gpr[n] = random_integer(r);
    in->rflags = FLAGS_FIXED | (random64(r) & FLAGS_ARITH);
    in->x.xstate_bv = 7;
    in->x.mxcsr = random_mxcsr(r);
    random_x87(&in->x, r);
    random_vector(r, in->x.xmm[0], sizeof in->x.xmm);
    random_vector(r, in->x.ymm_high[0], sizeof in->x.ymm_high);
    for (unsigned n = 0; n < 16; n++)
        random_vector(r, in->x.xmm[n], 16);
}

/* Linear addresses of most registers become offsets of 16-bit segments. */
static uint64_t to_offset(const struct trial *t, uint64_t linear)
{
    return t->bits == 16 ? (uint16_t)(linear - NATIVE_DATA_BASE) : linear;
}

static void random_stack(const struct trial *t, struct native_regs *in,
                         struct random *r)
{
    uint64_t at = NATIVE_WINDOW + 0x1000 + (random_below(r, 0x2000) & ~7u);

    if (percent(r, 6))
        at += random_below(r, 8);
    if (percent(r, 3))
        at = NATIVE_WINDOW + random_below(r, 16);
    in->gpr[RSP] = to_offset(t, at);
    if (t->bits == 16)
        in->gpr[RSP] |= random64(r) << 16;
}

/* --- addresses ----------------------------------------------------------- */

/* x * v = 1 modulo 2^64, for odd v (Newton's iteration). */
static uint64_t inverse(uint64_t v)
{
    uint64_t x = v;

    for (unsigned n = 0; n < 6; n++)
        x *= 2 - v * x;
    return x;
}

static void set_address(const struct trial *t, struct native_regs *in,
                        unsigned reg, uint64_t v, struct random *r)
{
    uint64_t mask = t->addr_bits == 64 ? ~0ull : (1ull << t->addr_bits) - 1;

    in->gpr[reg] = (v & mask) | (random64(r) & ~mask);
}

/* Registers such that the memory operand is at the target. */
static void fit_address(const struct trial *t, struct native_regs *in,
                        struct random *r)
{
    uint64_t left = t->target - t->seg_base - (uint64_t)t->disp;

    if (t->vsib || t->index == TRIAL_NOREG) {
        if (t->base != TRIAL_NOREG)
            set_address(t, in, t->base, left, r);
        return;
    }
    if (t->base == TRIAL_NOREG) {
        left >>= t->scale;
        if (t->addr_bits == 64 && t->scale)
            left |= random64(r) << (64 - t->scale);
        set_address(t, in, t->index, left, r);
        return;
    }
    if (t->base == t->index) {
        left = t->scale ? left * inverse(1 + (1u << t->scale)) : left >> 1;
        set_address(t, in, t->base, left, r);
        return;
    }
    if (percent(r, 60))
        in->gpr[t->index] = (uint64_t)(int8_t)random64(r);
    left -= in->gpr[t->index] << t->scale;
    set_address(t, in, t->base, left, r);
}

static void fit_gather(const struct trial *t, struct native_regs *in,
                       struct random *r)
{
    const struct x86_operand *op = trial_operand(t->row, X86_OP_VSIB_X);
    unsigned index_bytes, mask = t->vvvv;

    if (!op)
        op = trial_operand(t->row, X86_OP_VSIB_Y);
    /* Q-indexed mnemonics have "q" before the element's letters. */
    index_bytes = strstr(t->row->mnemonic, "gatherq") ? 8 : 4;
    for (unsigned k = 0; k < 32; k += index_bytes) {
        uint8_t *half = k < 16 ? in->x.xmm[t->index] : in->x.ymm_high[t->index];
        int64_t v = (int)random_below(r, 600) - 300;
        memcpy(half + (k & 15), &v, index_bytes);
    }
    if (percent(r, 70)) {
        memset(in->x.xmm[mask], 0xff, 16);
        memset(in->x.ymm_high[mask], 0xff, 16);
    }
}

/* --- what single instructions need --------------------------------------- */

static uint64_t in_window(const struct trial *t, struct random *r)
{
    return to_offset(t, NATIVE_WINDOW + 0x400 + random_below(r, 0x3800)) -
           (t->gs ? t->seg_base : 0);
}

/* On an INT3 of the code page, away from the instruction itself. */
static uint64_t in_code(const struct trial *t, struct random *r)
{
    uint64_t base =
        t->bits == 16 ? NATIVE_CODE_PAGE - NATIVE_CS16_BASE : NATIVE_CODE_PAGE;

    return base + (percent(r, 50) ? random_below(r, 0x700)
                                  : 0x900 + random_below(r, 0x600));
}

static uint64_t stack_linear(const struct trial *t,
                             const struct native_regs *in)
{
    return t->bits == 16 ? NATIVE_DATA_BASE + (in->gpr[RSP] & 0xffff)
                         : in->gpr[RSP];
}

static bool is(const struct trial *t, const char *mnemonic)
{
    return strcmp(t->row->mnemonic, mnemonic) == 0;
}

static bool begins(const struct trial *t, const char *start)
{
    return strncmp(t->row->mnemonic, start, strlen(start)) == 0;
}

static void fit_string(const struct trial *t, struct native_regs *in,
                       struct random *r)
{
    in->gpr[RSI] = in_window(t, r);
    in->gpr[RDI] = in_window(t, r) + (t->gs ? t->seg_base : 0);
    if (percent(r, 50))
        in->gpr[RDI] =
            in->gpr[RSI] + (t->gs ? t->seg_base : 0) + random_below(r, 64) - 32;
    in->gpr[RCX] = percent(r, 80) ? random_below(r, 40) : random_below(r, 1500);
    if (percent(r, 1))
        in->gpr[RCX] = 3000 + random_below(r, 20000);
    if (percent(r, 3))
        in->gpr[RSI] = to_offset(t, NATIVE_WINDOW + random_below(r, 0x5000));
    if (percent(r, 3))
        in->gpr[RDI] = to_offset(t, NATIVE_WINDOW + random_below(r, 0x5000));
    if (percent(r, 35))
        in->rflags |= FLAG_DF;
}

/* Quotients that fit, for a good part of the trials. */
static void fit_division(const struct trial *t, struct native_regs *in,
                         struct random *r)
{
    bool is_signed = t->row->mnemonic[0] == 'i';

    if (percent(r, 25))
        return;
    if (t->row->attrs & X86_A_BYTE) {
        in->gpr[RAX] = (uint64_t)(int8_t)random64(r) * (random64(r) & 0x3f);
        return;
    }
    in->gpr[RDX] = is_signed && (random64(r) & 1) ? ~0ull : 0;
    if (percent(r, 40))
        in->gpr[RDX] ^= random64(r) & 0xff;
}

static void fit_control_flow(const struct trial *t, struct native_regs *in,
                             struct random *r, trial_put *put)
{
    uint64_t to = in_code(t, r);

    if (begins(t, "loop") || is(t, "jcxz"))
        in->gpr[RCX] = percent(r, 70) ? random_below(r, 3) : random_integer(r);
    if (begins(t, "ret")) {
        put(stack_linear(t, in), &to, 8);
    } else if (t->row->has_modrm && t->row->opcode == 0xff && !percent(r, 3)) {
        if (t->has_mem)
            put(t->target, &to, 8);
        else if (t->rm != RSP)
            in->gpr[t->rm] = to;
    }
}

static void fit_compare_exchange(const struct trial *t, struct native_regs *in,
                                 struct random *r, trial_put *put)
{
    if (percent(r, 40))
        return;
    if (is(t, "cmpxchg8b")) {
        uint32_t v[2] = { (uint32_t)in->gpr[RAX], (uint32_t)in->gpr[RDX] };
        put(t->target, v, 8);
    } else if (is(t, "cmpxchg16b")) {
        uint64_t v[2] = { in->gpr[RAX], in->gpr[RDX] };
        put(t->target, v, 16);
    } else if (t->has_mem) {
        put(t->target, &in->gpr[RAX], 8);
    } else if (t->rm != RSP) {
        in->gpr[t->rm] = in->gpr[RAX];
    }
}

bool trial_is_state_image(const struct x86_row *row)
{
    return !strncmp(row->mnemonic, "fxrstor", 7) ||
           !strncmp(row->mnemonic, "xrstor", 6) ||
           !strncmp(row->mnemonic, "fxsave", 6) ||
           !strncmp(row->mnemonic, "xsave", 5);
}

/* An image that FXRSTOR and XRSTOR take, but for some. */
static void fit_state_image(const struct trial *t, struct native_regs *in,
                            struct random *r, trial_put *put)
{
    struct native_x image;
    uint8_t *p = (uint8_t *)&image;

    for (unsigned k = 0; k < sizeof image; k++)
        p[k] = (uint8_t)random64(r);
    random_x87(&image, r);
    image.mxcsr = random_mxcsr(r);
    image.xstate_bv = random64(r) & 7;
    image.xcomp_bv = 0;
    memset(image.reserved, 0, sizeof image.reserved);
    switch (random_below(r, 24)) {
    case 0: image.mxcsr |= 0x10000; break;
    case 1: image.xstate_bv |= 1ull << 62; break;
    case 2: image.xcomp_bv = 1; break;
    case 3: ((uint8_t *)image.reserved)[random_below(r, 48)] = 1; break;
    case 4: image.xcomp_bv = 1ull << 63 | image.xstate_bv; break;
    case 5:
        image.xcomp_bv = 1ull << 63 | image.xstate_bv;
        ((uint8_t *)image.reserved)[random_below(r, 48)] = 1;
        break;
    }
    put(t->target, &image, sizeof image);
    /* The components that both sides have. */
    in->gpr[RAX] = (in->gpr[RAX] & ~0xffffffffull) | (random64(r) & 7);
    in->gpr[RDX] &= ~0xffffffffull;
}

/* Linux's segments, those of the kernel, and what lies behind the table. */
static void fit_selector(const struct trial *t, struct native_regs *in,
                         struct random *r, trial_put *put)
{
    static const uint16_t some[] = { 0,    3,    0x08, 0x10, 0x18, 0x20,
                                     0x23, 0x28, 0x2b, 0x30, 0x33 };
    uint16_t v = some[random_below(r, sizeof some / sizeof some[0])];

    if (percent(r, 20))
        v = (uint16_t)((0x80 + random_below(r, 0xff00)) & ~4u);
    if (t->has_mem)
        put(t->target, &v, 2);
    else if (t->rm != RSP)
        in->gpr[t->rm] = (in->gpr[t->rm] & ~0xffffull) | v;
}

bool trial_takes_selector(const struct x86_row *row)
{
    return !strcmp(row->mnemonic, "lar") || !strcmp(row->mnemonic, "lsl") ||
           !strncmp(row->mnemonic, "ver", 3);
}

static void fit_row(const struct trial *t, struct native_regs *in,
                    struct random *r, trial_put *put)
{
    if (trial_operand(t->row, X86_OP_X) || trial_operand(t->row, X86_OP_Y))
        fit_string(t, in, r);
    else if (is(t, "div") || is(t, "idiv"))
        fit_division(t, in, r);
    else if (begins(t, "cmpxchg"))
        fit_compare_exchange(t, in, r, put);
    else if (trial_is_state_image(t->row))
        fit_state_image(t, in, r, put);
    else if (trial_takes_selector(t->row))
        fit_selector(t, in, r, put);
    else if (is(t, "xlat"))
        in->gpr[RBX] = in_window(t, r);
    else if (begins(t, "maskmov") || begins(t, "vmaskmovdq"))
        in->gpr[RDI] = in_window(t, r);
    else if (is(t, "enter") || is(t, "leave"))
        in->gpr[RBP] =
            (in_window(t, r) & ~7u) | (t->bits == 16 ? random64(r) << 16 : 0);
    else
        fit_control_flow(t, in, r, put);

    if (begins(t, "bt") && t->row->opcode != 0xba && t->has_mem &&
        t->reg != t->base && t->reg != t->index && t->reg != RSP)
        in->gpr[t->reg] = (uint64_t)(int)(random_below(r, 4000) - 2000);
    if (is(t, "ldmxcsr") || is(t, "vldmxcsr")) {
        uint32_t v = percent(r, 80) ? random_mxcsr(r) : (uint32_t)random64(r);
        put(t->target, &v, 4);
    }
    if (begins(t, "popf")) {
        /* No single steps, no alignment checks in this process. */
        uint64_t v = random64(r) & (FLAGS_ARITH | FLAG_DF | 0x200200);
        put(stack_linear(t, in), &v, 8);
    }
}

/* Sometimes two operands are equal, or one is of the other's making. */
static void fit_operands(const struct trial *t, struct native_regs *in,
                         struct random *r)
{
    if (percent(r, 10) && t->reg != RSP)
        in->gpr[t->reg] = in->gpr[RAX];
    if (!t->has_mem && percent(r, 8) && t->reg != RSP)
        in->gpr[t->reg] = in->gpr[t->rm];
    if (!t->has_mem && percent(r, 8)) {
        memcpy(in->x.xmm[t->reg], in->x.xmm[t->rm], 16);
        memcpy(in->x.ymm_high[t->reg], in->x.ymm_high[t->rm], 16);
    }
    if (percent(r, 4))
        in->rflags |= FLAG_DF;
}

void trial_state(const struct trial *t, struct random *r, trial_put *put)
{
    struct native_regs *in = native_in;
    uint8_t bytes[64];

    random_registers(in, r);
    random_stack(t, in, r);
    in->gs_base = t->gs ? t->seg_base : 0;
    if (t->has_mem || trial_operand(t->row, X86_OP_X)) {
        random_vector(r, bytes, sizeof bytes);
        if (t->size == 10)
            random_extended(r, bytes + 16);
        put((t->has_mem ? t->target : NATIVE_WINDOW + 0x1800) - 16, bytes,
            sizeof bytes);
    }
    fit_operands(t, in, r);
    if (t->has_mem)
        fit_address(t, in, r);
    if (t->vsib)
        fit_gather(t, in, r);
    fit_row(t, in, r, put);
    for (unsigned n = 0; t->bits != 64 && n < 16; n++)
        in->gpr[n] = n < 8 ? (uint32_t)in->gpr[n] : 0;
}
