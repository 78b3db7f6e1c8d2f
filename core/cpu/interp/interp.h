/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The execution environment of the interpreter's handlers: operands,
 * memory, stack, exceptions.
 *
 * Everything here that can fault does so by cpu_raise(), which does not
 * return: a handler calls it before it changes any state.  Memory functions
 * have an inline path for a TLB hit; core/cpu/access.c has the rest.
 * All functions: [vcpu thread].
 */
#ifndef CPU_INTERP_H
#define CPU_INTERP_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "cpu/gen/handlers.h"
#include "cpu/insn.h"
#include "cpu/state.h"
#include "cpu/vcpu.h"

#ifndef likely
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif

/* --- exceptions ---------------------------------------------------------- */

_Noreturn void cpu_raise(struct vcpu *cpu, unsigned vector);
_Noreturn void cpu_raise_err(struct vcpu *cpu, unsigned vector, uint32_t error);
_Noreturn void cpu_gp0(struct vcpu *cpu);
_Noreturn void cpu_ud(struct vcpu *cpu);

_Noreturn void cpu_fp_denied(struct vcpu *cpu, unsigned deny);
/* Brings the x87 registers home; raises what there is to raise. */
void cpu_fpu_wait(struct vcpu *cpu, unsigned deny);

/* x87: #NM, or #MF of an earlier instruction */
static inline void check_fpu(struct vcpu *cpu)
{
    if (unlikely((cpu->deny & (DENY_X87 | DENY_AWAY)) |
                 (cpu->st.x87.sw & 0x80)))
        cpu_fpu_wait(cpu, DENY_X87);
}

void x87_from_host(struct vcpu *cpu);

/* The x87 state, with the registers in it and not in the host's unit. */
static inline struct x86_x87 *x87_here(struct vcpu *cpu)
{
    if (unlikely(cpu->deny & DENY_AWAY))
        x87_from_host(cpu);
    return &cpu->st.x87;
}

/* x87 instructions that do not wait: no #MF */
static inline void check_fpu_nowait(struct vcpu *cpu)
{
    if (unlikely(cpu->deny & DENY_X87))
        cpu_raise(cpu, EXC_NM);
    x87_here(cpu);
}

static inline void check_mmx(struct vcpu *cpu)
{
    if (unlikely((cpu->deny & (DENY_MMX | DENY_AWAY)) |
                 (cpu->st.x87.sw & 0x80)))
        cpu_fpu_wait(cpu, DENY_MMX);
}

static inline void check_sse(struct vcpu *cpu)
{
    if (unlikely(cpu->deny & DENY_SSE))
        cpu_fp_denied(cpu, DENY_SSE);
}

static inline void check_avx(struct vcpu *cpu)
{
    if (unlikely(cpu->deny & DENY_AVX))
        cpu_fp_denied(cpu, DENY_AVX);
}

/* --- registers ----------------------------------------------------------- */

static inline uint64_t reg_get8(struct vcpu *cpu, const struct x86_insn *i,
                                unsigned n)
{
    if (n >= 4 && n < 8 && !(i->flags & X86_I_REX))
        return (uint8_t)(cpu->st.gpr[n - 4] >> 8);
    return (uint8_t)cpu->st.gpr[n];
}

static inline void reg_set8(struct vcpu *cpu, const struct x86_insn *i,
                            unsigned n, uint8_t value)
{
    uint8_t *p = (uint8_t *)cpu->st.gpr;

    if (n >= 4 && n < 8 && !(i->flags & X86_I_REX))
        p[(n - 4) * 8 + 1] = value;
    else
        p[n * 8] = value;
}

/* osz 2, 4 or 8; byte registers have their own functions */
static inline uint64_t reg_get(struct vcpu *cpu, unsigned n, unsigned osz)
{
    uint64_t v = cpu->st.gpr[n];

    return osz == 8 ? v : osz == 4 ? (uint32_t)v : (uint16_t)v;
}

static inline void reg_set(struct vcpu *cpu, unsigned n, unsigned osz,
                           uint64_t value)
{
    if (osz == 8)
        cpu->st.gpr[n] = value;
    else if (osz == 4)
        cpu->st.gpr[n] = (uint32_t)value;
    else
        cpu->st.gpr[n] = (cpu->st.gpr[n] & ~0xffffull) | (uint16_t)value;
}

/* A register used as an address or count of asz bytes (rCX, rSI, rDI). */
static inline uint64_t reg_addr(struct vcpu *cpu, unsigned n, unsigned asz)
{
    return reg_get(cpu, n, asz);
}

/* To the address size, as every computed offset is. */
static inline uint64_t ea_trunc(const struct x86_insn *i, uint64_t a)
{
    if (likely(i->asz == 8))
        return a;
    return i->asz == 4 ? (uint32_t)a : (uint16_t)a;
}

static inline uint64_t ea(struct vcpu *cpu, const struct x86_insn *i)
{
    /* rip follows gpr[15], so that number X86_RIP is it (checked in run.c) */
    const uint64_t *reg = (const uint64_t *)&cpu->st;
    uint64_t a = (uint64_t)i->disp;

    if (i->base != X86_NOREG)
        a += reg[i->base];
    if (i->index != X86_NOREG)
        a += reg[i->index] << i->scale;
    return ea_trunc(i, a);
}

/* --- memory -------------------------------------------------------------- */

uint64_t ld_slow(struct vcpu *cpu, unsigned seg, uint64_t off, unsigned n);
/* also checks that it may be written */
uint64_t ldw_slow(struct vcpu *cpu, unsigned seg, uint64_t off, unsigned n);
void st_slow(struct vcpu *cpu, unsigned seg, uint64_t off, uint64_t value,
             unsigned n);
void *ptr_slow(struct vcpu *cpu, unsigned seg, uint64_t off, unsigned n);

/* Host address of a readable/writable location by the TLB alone, or NULL. */
static inline uint8_t *tlb_hit_r(struct vcpu *cpu, unsigned seg, uint64_t off,
                                 unsigned n)
{
    const struct seg_fast *s = &cpu->fast[seg];
    uint64_t lin = s->base + off;
    const struct tlb_entry *e = &cpu->tlb->e[ACCESS_READ][TLB_INDEX(lin)];
    uint64_t d = lin ^ e->tag;

    if (likely(d <= PAGE_BYTES - n && off + n <= s->read_end))
        return e->host + d;
    return NULL;
}

static inline uint8_t *tlb_hit_w(struct vcpu *cpu, unsigned seg, uint64_t off,
                                 unsigned n)
{
    const struct seg_fast *s = &cpu->fast[seg];
    uint64_t lin = s->base + off;
    const struct tlb_entry *e = &cpu->tlb->e[ACCESS_WRITE][TLB_INDEX(lin)];
    uint64_t d = lin ^ e->tag;

    if (likely(d <= PAGE_BYTES - n && off + n <= s->write_end))
        return e->host + d;
    return NULL;
}

/*
 * Guest data may lie at any address.  The access is still one instruction, so
 * that other processors see all or nothing of an aligned one.
 */
typedef uint8_t guest8;
typedef uint16_t guest16 __attribute__((aligned(1), may_alias));
typedef uint32_t guest32 __attribute__((aligned(1), may_alias));
typedef uint64_t guest64 __attribute__((aligned(1), may_alias));

static inline uint64_t host_ld(const uint8_t *p, unsigned n)
{
    return n == 8   ? *(const volatile guest64 *)p
           : n == 4 ? *(const volatile guest32 *)p
           : n == 2 ? *(const volatile guest16 *)p
                    : *(const volatile guest8 *)p;
}

static inline void host_st(uint8_t *p, uint64_t value, unsigned n)
{
    if (n == 8)
        *(volatile guest64 *)p = value;
    else if (n == 4)
        *(volatile guest32 *)p = (uint32_t)value;
    else if (n == 2)
        *(volatile guest16 *)p = (uint16_t)value;
    else
        *(volatile guest8 *)p = (uint8_t)value;
}

#define INTERP_MEMORY(bits)                                                   \
    static inline uint##bits##_t ld##bits(struct vcpu *cpu, unsigned seg,     \
                                          uint64_t off)                       \
    {                                                                         \
        uint8_t *p = tlb_hit_r(cpu, seg, off, bits / 8);                      \
                                                                              \
        if (likely(p != NULL))                                                \
            return *(volatile guest##bits *)p;                                \
        return (uint##bits##_t)ld_slow(cpu, seg, off, bits / 8);              \
    }                                                                         \
    static inline uint##bits##_t ld##bits##w(struct vcpu *cpu, unsigned seg,  \
                                             uint64_t off)                    \
    {                                                                         \
        uint8_t *p = tlb_hit_w(cpu, seg, off, bits / 8);                      \
                                                                              \
        if (likely(p != NULL))                                                \
            return *(volatile guest##bits *)p;                                \
        return (uint##bits##_t)ldw_slow(cpu, seg, off, bits / 8);             \
    }                                                                         \
    static inline void st##bits(struct vcpu *cpu, unsigned seg, uint64_t off, \
                                uint##bits##_t value)                         \
    {                                                                         \
        uint8_t *p = tlb_hit_w(cpu, seg, off, bits / 8);                      \
                                                                              \
        if (likely(p != NULL))                                                \
            *(volatile guest##bits *)p = value;                               \
        else                                                                  \
            st_slow(cpu, seg, off, value, bits / 8);                          \
    }
INTERP_MEMORY(8)
INTERP_MEMORY(16)
INTERP_MEMORY(32)
INTERP_MEMORY(64)
#undef INTERP_MEMORY

/* n 1, 2, 4 or 8, known only at run time */
static inline uint64_t ld_n(struct vcpu *cpu, unsigned seg, uint64_t off,
                            unsigned n)
{
    return n == 8   ? ld64(cpu, seg, off)
           : n == 4 ? ld32(cpu, seg, off)
           : n == 2 ? ld16(cpu, seg, off)
                    : ld8(cpu, seg, off);
}

static inline void st_n(struct vcpu *cpu, unsigned seg, uint64_t off,
                        uint64_t value, unsigned n)
{
    if (n == 8)
        st64(cpu, seg, off, value);
    else if (n == 4)
        st32(cpu, seg, off, (uint32_t)value);
    else if (n == 2)
        st16(cpu, seg, off, (uint16_t)value);
    else
        st8(cpu, seg, off, (uint8_t)value);
}

/* n <= 4096; st_bytes writes all or nothing */
void ld_bytes(struct vcpu *cpu, unsigned seg, uint64_t off, void *dst,
              unsigned n);
void st_bytes(struct vcpu *cpu, unsigned seg, uint64_t off, const void *src,
              unsigned n);
/* Faults now if a later store of n bytes would. */
void probe_write(struct vcpu *cpu, unsigned seg, uint64_t off, unsigned n);

/*
 * Host pointer for a locked access, NULL when the location is a device or
 * crosses a page: then bracket ld..w/st by bus_lock() and bus_unlock().
 */
static inline void *atomic_ptr(struct vcpu *cpu, unsigned seg, uint64_t off,
                               unsigned n)
{
    uint8_t *p = tlb_hit_w(cpu, seg, off, n);

    return likely(p != NULL) ? p : ptr_slow(cpu, seg, off, n);
}
void bus_lock(struct vcpu *cpu);
void bus_unlock(struct vcpu *cpu);

/*
 * For string instructions: host pointer to the bytes from `off` to the end
 * of the page or segment (*bytes of them), or NULL: then one ld/st has to be
 * done the ordinary way, which also takes the fault.
 */
void *rep_ptr(struct vcpu *cpu, unsigned seg, uint64_t off, bool write,
              unsigned *bytes);

/* Should a rep instruction stop here and be continued by a new run?  Called
 * after each iteration or run of iterations, which it counts. */
static inline bool rep_interrupted(struct vcpu *cpu)
{
    return unlikely(__atomic_load_n(&cpu->requests, __ATOMIC_RELAXED) != 0 ||
                    ++cpu->insns >= cpu->insn_limit);
}

/* --- stack --------------------------------------------------------------- */

static inline uint64_t sp_get(struct vcpu *cpu)
{
    return reg_get(cpu, RSP, cpu->sp_size);
}

static inline uint64_t sp_trim(struct vcpu *cpu, uint64_t sp)
{
    return cpu->sp_size == 8   ? sp
           : cpu->sp_size == 4 ? (uint32_t)sp
                               : (uint16_t)sp;
}

static inline void sp_set(struct vcpu *cpu, uint64_t sp)
{
    /* a 32-bit stack pointer zero-extends, a 16-bit one leaves the rest */
    reg_set(cpu, RSP, cpu->sp_size, sp);
}

#define INTERP_STACK(bits)                                                \
    static inline void push##bits(struct vcpu *cpu, uint##bits##_t value) \
    {                                                                     \
        uint64_t sp = sp_trim(cpu, cpu->st.gpr[RSP] - bits / 8);          \
                                                                          \
        st##bits(cpu, SEG_SS, sp, value);                                 \
        sp_set(cpu, sp);                                                  \
    }                                                                     \
    static inline uint##bits##_t pop##bits(struct vcpu *cpu)              \
    {                                                                     \
        uint64_t sp = sp_get(cpu);                                        \
        uint##bits##_t value = ld##bits(cpu, SEG_SS, sp);                 \
                                                                          \
        sp_set(cpu, sp + bits / 8);                                       \
        return value;                                                     \
    }
INTERP_STACK(16)
INTERP_STACK(32)
INTERP_STACK(64)
#undef INTERP_STACK

static inline void push_osz(struct vcpu *cpu, unsigned osz, uint64_t value)
{
    if (osz == 8)
        push64(cpu, value);
    else if (osz == 4)
        push32(cpu, (uint32_t)value);
    else
        push16(cpu, (uint16_t)value);
}

static inline uint64_t pop_osz(struct vcpu *cpu, unsigned osz)
{
    return osz == 8 ? pop64(cpu) : osz == 4 ? pop32(cpu) : pop16(cpu);
}

/* --- control flow -------------------------------------------------------- */

/* A near target, cut to the operand size. */
static inline uint64_t jump_trunc(uint64_t target, unsigned osz)
{
    return osz == 8 ? target : osz == 4 ? (uint32_t)target : (uint16_t)target;
}

/* Whether it is canonical and inside the code segment. */
static inline bool jump_fits(const struct vcpu *cpu, uint64_t target,
                             unsigned osz)
{
    if (osz == 8 && unlikely((uint64_t)((int64_t)target >> 47) + 1 > 1))
        return false;
    return likely(cpu->code64 || target <= cpu->st.seg[SEG_CS].limit);
}

/* Near jump: truncates to osz, checks (#GP) and sets rip. */
static inline void jump_to(struct vcpu *cpu, uint64_t target, unsigned osz)
{
    target = jump_trunc(target, osz);
    if (unlikely(!jump_fits(cpu, target, osz)))
        cpu_gp0(cpu);
    cpu->st.rip = target;
}

/*
 * The next instruction must be looked at closely before it runs (interrupt
 * flag, trap flag, breakpoints changed).  Handlers of "end" rows only.
 */
static inline void cpu_attend(struct vcpu *cpu, uint32_t req)
{
    __atomic_fetch_or(&cpu->requests, req, __ATOMIC_RELAXED);
}

#endif
