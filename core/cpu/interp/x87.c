/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x87 unit: execution with the whole state on the host, and the control
 * instructions.  x87_fast.c has the frequent instructions' ordinary cases.
 */
#include "cpu/interp/x87.h"

/*
 * Every x87 instruction: D8..DF with a register form ModRM (C0..FF), then
 * with the memory operand at (%rcx), /0../7.
 */
__asm__(".pushsection .text\n\t"
        ".balign 64\n"
        "x87_register_forms:\n\t"
        ".set x87_n, 0\n\t"
        ".rept 512\n\t"
        ".byte 0xd8 + x87_n / 64, 0xc0 + x87_n % 64, 0xc3, 0x90\n\t"
        ".set x87_n, x87_n + 1\n\t"
        ".endr\n"
        "x87_memory_forms:\n\t"
        ".set x87_n, 0\n\t"
        ".rept 64\n\t"
        ".byte 0xd8 + x87_n / 8, 1 + x87_n % 8 * 8, 0xc3, 0x90\n\t"
        ".set x87_n, x87_n + 1\n\t"
        ".endr\n\t"
        ".popsection");
extern const uint8_t x87_register_forms[], x87_memory_forms[];
#define FORM_STRIDE 4

static const uint8_t *native_code(const struct x86_insn *i)
{
    unsigned op = i->opcode & 7u;

    if (i->modrm >= 0xc0)
        return x87_register_forms + (op * 64 + (i->modrm & 63u)) * FORM_STRIDE;
    return x87_memory_forms + (op * 8 + (i->modrm >> 3 & 7u)) * FORM_STRIDE;
}

/* --- the state as FSAVE writes it in 32-bit protected and 64-bit mode ---- */

struct x87_image {
    uint16_t cw, reserved1, sw, reserved2, tag, reserved3;
    uint32_t ip;
    uint16_t ip_sel, opcode;
    uint32_t dp;
    uint16_t dp_sel, reserved4;
    uint8_t st[8][10]; /* from ST(0) on */
};
_Static_assert(sizeof(struct x87_image) == 108, "as FSAVE writes it");

uint16_t x87_full_tag(const struct x86_x87 *f)
{
    unsigned full = 0;

    for (unsigned n = 0; n < 8; n++) {
        const uint8_t *r = f->st[n];
        uint64_t mantissa;
        unsigned exponent = (r[8] | r[9] << 8) & 0x7fff, tag;

        memcpy(&mantissa, r, 8);
        if (!(f->tag >> n & 1))
            tag = 3;
        else if (exponent == 0 && mantissa == 0)
            tag = 1;
        else if (exponent == 0 || exponent == 0x7fff || !(mantissa >> 63))
            tag = 2;
        else
            tag = 0;
        full |= tag << n * 2;
    }
    return (uint16_t)full;
}

void x87_set_full_tag(struct x86_x87 *f, uint16_t tag)
{
    f->tag = 0;
    for (unsigned n = 0; n < 8; n++)
        f->tag |= (uint8_t)((tag >> n * 2 & 3) != 3) << n;
}

void x87_set_sw(struct x86_x87 *f, uint16_t sw)
{
    sw &= (uint16_t) ~(X87_SW_ES | X87_SW_BUSY);
    if (sw & ~f->cw & X87_SW_FLAGS)
        sw |= X87_SW_ES | X87_SW_BUSY;
    f->sw = sw;
}

void x87_set_cw(struct x86_x87 *f, uint16_t cw)
{
    f->cw = (cw & X87_CW_VALID) | X87_CW_ONE;
    x87_set_sw(f, f->sw);
}

void x87_init(struct x86_x87 *f)
{
    f->cw = X87_CW_INIT;
    f->sw = 0;
    f->tag = 0;
    f->opcode = f->ip_sel = f->dp_sel = 0;
    f->ip = f->dp = 0;
}

/*
 * Flags that were set before stay out of the image: with one of them
 * unmasked (the guest runs on with IGNNE#) the host would trap.
 */
static void native_load(const struct x86_x87 *f, struct x87_image *m)
{
    unsigned top = (f->sw & X87_SW_TOP) >> X87_SW_TOP_SHIFT;
    unsigned tag = 0;

    memset(m, 0, 28);
    m->cw = f->cw;
    m->sw = f->sw & (X87_SW_TOP | X87_SW_COND);
    for (unsigned n = 0; n < 8; n++) {
        tag |= (f->tag >> n & 1 ? 0u : 3u) << n * 2;
        memcpy(m->st[n], f->st[(top + n) & 7], 10);
    }
    m->tag = (uint16_t)tag;
}

static void native_take(struct x86_x87 *f, const struct x87_image *m)
{
    unsigned top = (m->sw & X87_SW_TOP) >> X87_SW_TOP_SHIFT;
    unsigned old = f->sw & (X87_SW_FLAGS | X87_SW_SF);

    for (unsigned n = 0; n < 8; n++)
        memcpy(f->st[(top + n) & 7], m->st[n], 10);
    x87_set_full_tag(f, m->tag);
    x87_set_sw(f, (uint16_t)(m->sw | old));
}

void x87_to_host(struct vcpu *cpu)
{
    const struct x86_x87 *f = &cpu->st.x87;
    struct x87_image m;

    native_load(f, &m);
    m.sw |= f->sw & (X87_SW_FLAGS | X87_SW_SF);
    cpu->deny |= DENY_AWAY;
    __asm__ volatile("frstor %0" : : "m"(m));
}

/* FNSAVE leaves the host's unit as FNINIT does. */
void x87_from_host(struct vcpu *cpu)
{
    struct x86_x87 *f = &cpu->st.x87;
    struct x87_image m;

    __asm__ volatile("fnsave %0" : "=m"(m));
    cpu->deny &= (uint8_t)~DENY_AWAY;
    cpu->vec_live &= (uint8_t)~VEC_LIVE_X87;
    f->sw = 0;
    native_take(f, &m);
    x87_set_cw(f, m.cw);
}

void x87_round_guest(const struct vcpu *cpu)
{
    uint16_t cw = cpu->st.x87.cw | X87_CW_MASKS;

    __asm__ volatile("fldcw %0" : : "m"(cw));
}

void x87_round_host(void)
{
    static const uint16_t init = X87_CW_INIT;

    __asm__ volatile("fldcw %0" : : "m"(init));
}

bool x87_native(struct vcpu *cpu, const struct x86_insn *i, void *mem)
{
    struct x86_x87 *f = &cpu->st.x87;
    uint64_t flags = cpu->st.rflags & FL_ARITH;
    const uint8_t *code = native_code(i);
    struct x87_image m;
    unsigned unmasked;

    native_load(f, &m);
    /* FNSAVE leaves the host's unit as FNINIT does */
    __asm__ volatile("frstor %[m]\n\t"
                     "lea -128(%%rsp), %%rsp\n\t"
                     "push %[flags]\n\t"
                     "popf\n\t"
                     "call *%[code]\n\t"
                     "pushf\n\t"
                     "pop %[flags]\n\t"
                     "lea 128(%%rsp), %%rsp\n\t"
                     "fnsave (%[p])"
                     : [flags] "+r"(flags)
                     : [m] "m"(m), [p] "r"(&m), [code] "r"(code), "c"(mem)
                     : "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)",
                       "st(5)", "st(6)", "st(7)");
    unmasked = m.sw & ~f->cw & X87_SW_FLAGS;
    native_take(f, &m);
    cpu->st.rflags =
        (cpu->st.rflags & ~(uint64_t)FL_ARITH) | (flags & FL_ARITH);
    return !(unmasked & (X87_SW_IE | X87_SW_OE | X87_SW_UE));
}

/* --- rows that always go this way ---------------------------------------- */

HANDLER_OF(x87_r)
{
    check_fpu(cpu);
    x87_track(cpu, i);
    x87_native(cpu, i, NULL);
}

static void native_ld(struct vcpu *cpu, const struct x86_insn *i, unsigned n)
{
    uint64_t off = ea(cpu, i);
    uint8_t mem[16];

    check_fpu(cpu);
    ld_bytes(cpu, i->seg, off, mem, n);
    x87_track_mem(cpu, i, off);
    x87_native(cpu, i, mem);
}

static void native_st(struct vcpu *cpu, const struct x86_insn *i, unsigned n)
{
    uint64_t off = ea(cpu, i);
    uint8_t mem[16];

    check_fpu(cpu);
    probe_write(cpu, i->seg, off, n);
    x87_track_mem(cpu, i, off);
    if (x87_native(cpu, i, mem))
        st_bytes(cpu, i->seg, off, mem, n);
}

HANDLER_OF(x87_ld10)
{
    native_ld(cpu, i, 10);
}

HANDLER_OF(x87_st10)
{
    native_st(cpu, i, 10);
}

/* --- control ------------------------------------------------------------- */

/* FWAIT heeds CR0.TS only together with MP, and not EM. */
HANDLER_OF(fwait)
{
    (void)i;
    if ((cpu->st.cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
        cpu_raise(cpu, EXC_NM);
    if (unlikely(x87_here(cpu)->sw & X87_SW_ES))
        cpu_raise(cpu, EXC_MF);
}

HANDLER_OF(fnop)
{
    check_fpu(cpu);
    x87_track(cpu, i);
}

/* FNENI, FNDISI, FNSETPM: of the 8087 and 80287, ignored since. */
HANDLER_OF(fneni)
{
    (void)i;
    check_fpu_nowait(cpu);
}

HANDLER_OF(fnclex)
{
    (void)i;
    check_fpu_nowait(cpu);
    x87_set_sw(&cpu->st.x87, cpu->st.x87.sw & (X87_SW_TOP | X87_SW_COND));
}

HANDLER_OF(fninit)
{
    (void)i;
    check_fpu_nowait(cpu);
    x87_init(&cpu->st.x87);
}

HANDLER_OF(fldcw)
{
    check_fpu(cpu);
    x87_set_cw(&cpu->st.x87, ld16(cpu, i->seg, ea(cpu, i)));
}

HANDLER_OF(fnstcw)
{
    check_fpu_nowait(cpu);
    st16(cpu, i->seg, ea(cpu, i), cpu->st.x87.cw);
}

HANDLER_OF(fnstsw_m)
{
    check_fpu_nowait(cpu);
    st16(cpu, i->seg, ea(cpu, i), cpu->st.x87.sw);
}

HANDLER_OF(fnstsw_ax)
{
    (void)i;
    check_fpu_nowait(cpu);
    reg_set(cpu, RAX, 2, cpu->st.x87.sw);
}

/* --- environment --------------------------------------------------------- */

/*
 * Four layouts (SDM volume 1, figures 8-9 to 8-12): 16 or 32 bits by the
 * operand size; selectors and offsets in protected mode, linear addresses
 * with the opcode beside them in real and V86 mode.
 */
static bool selector_form(const struct vcpu *cpu)
{
    return (cpu->st.cr0 & CR0_PE) && !(cpu->st.rflags & FL_VM);
}

static unsigned env_size(const struct x86_insn *i)
{
    return i->osz == 2 ? 14 : 28;
}

static void put16(uint8_t *p, unsigned at, unsigned v)
{
    p[at] = (uint8_t)v;
    p[at + 1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, unsigned at, uint32_t v)
{
    memcpy(p + at, &v, 4);
}

static unsigned get16(const uint8_t *p, unsigned at)
{
    return p[at] | (unsigned)p[at + 1] << 8;
}

static uint32_t get32(const uint8_t *p, unsigned at)
{
    uint32_t v;

    memcpy(&v, p + at, 4);
    return v;
}

/* The words without a meaning read as ones. */
static void env_put32(const struct x86_x87 *f, bool selectors, uint8_t *e)
{
    uint32_t ip = (uint32_t)f->ip, dp = (uint32_t)f->dp;

    memset(e, 0xff, 28);
    put16(e, 0, f->cw);
    put16(e, 4, f->sw);
    put16(e, 8, x87_full_tag(f));
    if (selectors) {
        put32(e, 12, ip);
        put32(e, 16, f->ip_sel | (uint32_t)f->opcode << 16);
        put32(e, 20, dp);
        put16(e, 24, f->dp_sel);
        return;
    }
    ip += (uint32_t)f->ip_sel << 4;
    dp += (uint32_t)f->dp_sel << 4;
    put16(e, 12, ip & 0xffff);
    put32(e, 16, ip >> 16 << 12 | f->opcode);
    put16(e, 20, dp & 0xffff);
    put32(e, 24, dp >> 16 << 12);
}

static void env_put16(const struct x86_x87 *f, bool selectors, uint8_t *e)
{
    uint32_t ip = (uint32_t)f->ip, dp = (uint32_t)f->dp;

    put16(e, 0, f->cw);
    put16(e, 2, f->sw);
    put16(e, 4, x87_full_tag(f));
    if (selectors) {
        put16(e, 6, ip);
        put16(e, 8, f->ip_sel);
        put16(e, 10, dp);
        put16(e, 12, f->dp_sel);
        return;
    }
    ip += (uint32_t)f->ip_sel << 4;
    dp += (uint32_t)f->dp_sel << 4;
    put16(e, 6, ip);
    put16(e, 8, (ip >> 4 & 0xf000) | f->opcode);
    put16(e, 10, dp);
    put16(e, 12, dp >> 4 & 0xf000);
}

static void env_get32(struct x86_x87 *f, bool selectors, const uint8_t *e)
{
    f->ip = get32(e, 12);
    f->ip_sel = (uint16_t)get16(e, 16);
    f->opcode = get16(e, 18) & 0x7ff;
    f->dp = get32(e, 20);
    f->dp_sel = (uint16_t)get16(e, 24);
    if (selectors)
        return;
    f->opcode = get16(e, 16) & 0x7ff;
    f->ip = get16(e, 12) | (get32(e, 16) >> 12 & 0xffff) << 16;
    f->dp = get16(e, 20) | (get32(e, 24) >> 12 & 0xffff) << 16;
    f->ip_sel = f->dp_sel = 0;
}

static void env_get16(struct x86_x87 *f, bool selectors, const uint8_t *e)
{
    f->ip = get16(e, 6);
    f->ip_sel = (uint16_t)get16(e, 8);
    f->dp = get16(e, 10);
    f->dp_sel = (uint16_t)get16(e, 12);
    f->opcode = 0;
    if (selectors)
        return;
    f->opcode = get16(e, 8) & 0x7ff;
    f->ip |= (get16(e, 8) & 0xf000u) << 4;
    f->dp |= (get16(e, 12) & 0xf000u) << 4;
    f->ip_sel = f->dp_sel = 0;
}

static void env_put(struct vcpu *cpu, const struct x86_insn *i, uint8_t *e)
{
    if (i->osz == 2)
        env_put16(&cpu->st.x87, selector_form(cpu), e);
    else
        env_put32(&cpu->st.x87, selector_form(cpu), e);
}

static void env_get(struct vcpu *cpu, const struct x86_insn *i,
                    const uint8_t *e)
{
    struct x86_x87 *f = &cpu->st.x87;
    unsigned step = i->osz == 2 ? 2 : 4;

    f->sw = (uint16_t)get16(e, step);
    x87_set_cw(f, (uint16_t)get16(e, 0));
    x87_set_full_tag(f, (uint16_t)get16(e, 2 * step));
    if (i->osz == 2)
        env_get16(f, selector_form(cpu), e);
    else
        env_get32(f, selector_form(cpu), e);
}

/*
 * Across two pages the first word faults first, then the last byte (measured
 * on Zen 4).
 */
static void env_load(struct vcpu *cpu, const struct x86_insn *i, uint8_t *e,
                     unsigned size)
{
    uint64_t off = ea(cpu, i);

    ld16(cpu, i->seg, off);
    ld8(cpu, i->seg, off + size - 1);
    ld_bytes(cpu, i->seg, off, e, size);
}

static void env_store(struct vcpu *cpu, const struct x86_insn *i,
                      const uint8_t *e, unsigned size)
{
    uint64_t off = ea(cpu, i);

    probe_write(cpu, i->seg, off, 2);
    probe_write(cpu, i->seg, off + size - 1, 1);
    st_bytes(cpu, i->seg, off, e, size);
}

HANDLER_OF(fnstenv)
{
    struct x86_x87 *f = &cpu->st.x87;
    uint8_t e[28];

    check_fpu_nowait(cpu);
    env_put(cpu, i, e);
    env_store(cpu, i, e, env_size(i));
    x87_set_cw(f, f->cw | X87_CW_MASKS);
}

HANDLER_OF(fldenv)
{
    uint8_t e[28];

    check_fpu(cpu);
    env_load(cpu, i, e, env_size(i));
    env_get(cpu, i, e);
}

HANDLER_OF(fnsave)
{
    unsigned size = env_size(i);
    uint8_t e[108];

    check_fpu_nowait(cpu);
    env_put(cpu, i, e);
    for (unsigned k = 0; k < 8; k++)
        memcpy(e + size + k * 10, x87_reg(cpu, k), 10);
    env_store(cpu, i, e, size + 80);
    x87_init(&cpu->st.x87);
}

HANDLER_OF(frstor)
{
    unsigned size = env_size(i);
    uint8_t e[108];

    check_fpu(cpu);
    env_load(cpu, i, e, size + 80);
    env_get(cpu, i, e);
    for (unsigned k = 0; k < 8; k++)
        memcpy(x87_reg(cpu, k), e + size + k * 10, 10);
}
