/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x87 unit: registers, status, and the two ways of executing.
 *
 * The host's unit computes.  x87_native() loads the guest's whole x87 state
 * with FRSTOR, executes the very instruction and reads everything back: that
 * covers stack faults, unmasked exceptions and all odd cases, exactly, in
 * about 100 ns.  The frequent instructions have handlers that treat the
 * ordinary case (registers in use or free as needed, all exceptions masked,
 * no flag raised that was not set before) on one or two operands and leave
 * the rest to x87_native().
 *
 * Source: Intel SDM volume 1 chapter 8.
 */
#ifndef CPU_INTERP_X87_H
#define CPU_INTERP_X87_H

#include "cpu/interp/interp.h"
#include "cpu/gen/handlers.h"

#define HANDLER_OF(name) \
    void h_##name(struct vcpu *cpu, const struct x86_insn *i)

#define X87_SW_FLAGS     0x003fu /* IE DE ZE OE UE PE */
#define X87_SW_IE        0x0001u
#define X87_SW_OE        0x0008u
#define X87_SW_UE        0x0010u
#define X87_SW_SF        0x0040u
#define X87_SW_ES        0x0080u
#define X87_SW_C1        0x0200u
#define X87_SW_C2        0x0400u
#define X87_SW_COND      0x4700u /* C3 C2 C1 C0 */
#define X87_SW_TOP       0x3800u
#define X87_SW_TOP_SHIFT 11
#define X87_SW_BUSY      0x8000u

#define X87_CW_MASKS 0x003fu /* same places as the flags */
#define X87_CW_VALID 0x1f3fu
#define X87_CW_ONE   0x0040u /* reads as one */
#define X87_CW_ROUND 0x0f00u /* precision and rounding control */
#define X87_CW_INIT  0x037fu /* the host's too, outside of handlers */

/* --- for FXSAVE, XSAVE and the save file --------------------------------- */

/* Sets the control word; unmasking a set flag makes an exception pending. */
void x87_set_cw(struct x86_x87 *f, uint16_t cw);
/* Sets the status word; ES and B follow from flags and masks. */
void x87_set_sw(struct x86_x87 *f, uint16_t sw);
/* The tag word with two bits a register: valid, zero, special, empty. */
uint16_t x87_full_tag(const struct x86_x87 *f);
void x87_set_full_tag(struct x86_x87 *f, uint16_t tag);
void x87_init(struct x86_x87 *f); /* FNINIT */

/* --- the guest's registers in the host's unit ----------------------------- */

/*
 * Translated code computes in the host's unit, with the guest's registers,
 * status and control words in it.  They stay there while C code runs: the
 * ABI's C code does not touch the unit but for long double, which only the
 * handlers of x87 and MMX rows have; the kernel saves it around signals.  So
 * neither an access that misses the TLB nor a system call costs anything.
 *
 * DENY_AWAY says that they are there.  Handlers of x87 and MMX rows find it
 * with the checks that they begin with; whoever else reads or writes st.x87
 * calls x87_here().  The run loop does so before it returns, so outside of it
 * and on other threads st.x87 is always right.
 *
 * They go only while no exception is pending; one that comes there is found
 * when they are fetched.  The pointers to the last instruction and operand
 * (ip, dp and what belongs to them) stay in st.x87.
 */
void x87_to_host(struct vcpu *cpu);

static inline bool x87_can_go(const struct vcpu *cpu)
{
    return !(cpu->deny & (DENY_X87 | DENY_MMX)) &&
           !(cpu->st.x87.sw & X87_SW_ES);
}

/* --- execution ----------------------------------------------------------- */

/*
 * Executes a row on the host with the guest's x87 state and RFLAGS.  mem is
 * the memory operand, if any.  Returns false when an unmasked exception kept
 * the instruction from storing its result.
 */
bool x87_native(struct vcpu *cpu, const struct x86_insn *i, void *mem);

static inline unsigned x87_top(const struct vcpu *cpu)
{
    return (cpu->st.x87.sw & X87_SW_TOP) >> X87_SW_TOP_SHIFT;
}

static inline uint8_t *x87_reg(struct vcpu *cpu, unsigned k)
{
    return cpu->st.x87.st[(x87_top(cpu) + k) & 7];
}

static inline bool x87_used(const struct vcpu *cpu, unsigned k)
{
    return cpu->st.x87.tag >> ((x87_top(cpu) + k) & 7) & 1;
}

/*
 * May the host compute with all exceptions masked?  If it then raises none
 * that the guest has unmasked, the result is the same; but an exact tiny
 * result is an underflow only when unmasked, and would go unnoticed.
 */
static inline bool x87_maskable(const struct vcpu *cpu)
{
    return cpu->st.x87.cw & X87_SW_UE;
}

static inline void x87_set_top(struct vcpu *cpu, unsigned top)
{
    cpu->st.x87.sw = (uint16_t)((cpu->st.x87.sw & ~X87_SW_TOP) |
                                (top & 7) << X87_SW_TOP_SHIFT);
}

static inline void x87_pop(struct vcpu *cpu)
{
    unsigned top = x87_top(cpu);

    cpu->st.x87.tag &= (uint8_t) ~(1u << top);
    x87_set_top(cpu, top + 1);
}

static inline bool x87_can_push(const struct vcpu *cpu)
{
    return !x87_used(cpu, 7);
}

/* Returns the new ST(0), to be filled. */
static inline uint8_t *x87_push(struct vcpu *cpu)
{
    unsigned top = (x87_top(cpu) - 1) & 7;

    cpu->st.x87.tag |= (uint8_t)(1u << top);
    x87_set_top(cpu, top);
    return cpu->st.x87.st[top];
}

/* Condition codes in mask from a host's status word. */
static inline void x87_cond(struct vcpu *cpu, uint16_t mask, uint16_t host_sw)
{
    cpu->st.x87.sw = (uint16_t)((cpu->st.x87.sw & ~mask) | (host_sw & mask));
}

/*
 * Did that raise nothing that the guest has not got?  What it has got is
 * masked, or #MF would have come before.  See vec.h.
 */
static inline bool x87_quiet(const struct vcpu *cpu, uint16_t host_sw)
{
    return likely(!(host_sw & X87_SW_FLAGS & ~cpu->st.x87.sw));
}

/* Last instruction and operand: all but the control instructions. */
static inline void x87_track(struct vcpu *cpu, const struct x86_insn *i)
{
    struct x86_x87 *f = &cpu->st.x87;

    f->ip = (cpu->st.rip - i->len) & cpu->rip_mask;
    f->ip_sel = cpu->st.seg[SEG_CS].selector;
    f->opcode = (uint16_t)((i->opcode & 7) << 8 | i->modrm);
}

static inline void x87_track_mem(struct vcpu *cpu, const struct x86_insn *i,
                                 uint64_t off)
{
    x87_track(cpu, i);
    cpu->st.x87.dp = off;
    cpu->st.x87.dp_sel = cpu->st.seg[i->seg].selector;
}

/*
 * The guest's precision and rounding around host instructions, with all
 * exceptions masked.
 *
 * FLDCW stands at two places only: the processor predicts the value by the
 * instruction's address, and a pair of them at the wrong ones costs 100 ns
 * (measured on Zen 4).
 */
void x87_round_guest(const struct vcpu *cpu);
void x87_round_host(void);

static inline bool x87_odd_round(const struct vcpu *cpu)
{
    return unlikely((cpu->st.x87.cw ^ X87_CW_INIT) & X87_CW_ROUND);
}

static inline void x87_round_in(const struct vcpu *cpu)
{
    if (x87_odd_round(cpu))
        x87_round_guest(cpu);
}

static inline void x87_round_out(const struct vcpu *cpu)
{
    if (x87_odd_round(cpu))
        x87_round_host();
}

#endif
