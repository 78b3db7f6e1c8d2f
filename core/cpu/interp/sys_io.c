/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers: port I/O.
 *
 * Source: Intel SDM volume 1 chapter 18 (18.5.2 for the permission map).
 */
#include "cpu/gen/handlers.h"
#include "cpu/interp/engine.h"
#include "cpu/interp/sys.h"
#include "cpu/mmu.h"
#include "cpu/segment.h"
#include "cpu/sync.h"

static void check_map(struct vcpu *cpu, uint16_t port, unsigned n)
{
    const struct x86_segment *tr = &cpu->st.tr;
    uint32_t map, bits;

    if (!(tr->attr & 8) || tr->limit < 0x67) /* needs a 32-bit TSS */
        cpu_gp0(cpu);
    map = (uint32_t)lin_ld(cpu, tr->base + 0x66, 2, TLB_SUPER);
    if (map + port / 8 + 1 > tr->limit)
        cpu_gp0(cpu);
    bits = (uint32_t)lin_ld(cpu, tr->base + map + port / 8, 2, TLB_SUPER);
    if (bits >> port % 8 & ((1u << n) - 1))
        cpu_gp0(cpu);
}

static void check_port(struct vcpu *cpu, uint16_t port, unsigned n)
{
    if ((cpu->st.cr0 & CR0_PE) && (cpu->cpl > iopl(cpu) || is_v86(cpu)))
        check_map(cpu, port, n);
}

static uint32_t port_in(struct vcpu *cpu, uint16_t port, unsigned n)
{
    uint32_t v;

    cpu->n_pio++;
    guest_leave(cpu);
    v = pio_read(cpu->vm->pio, port, n);
    guest_enter(cpu);
    return v;
}

static void port_out(struct vcpu *cpu, uint16_t port, uint32_t v, unsigned n)
{
    cpu->n_pio++;
    guest_leave(cpu);
    pio_write(cpu->vm->pio, port, v, n);
    guest_enter(cpu);
}

/*
 * In deterministic mode the clock moves between runs only: an access that is
 * not the first instruction of its run ends the run before it, and is done
 * at the exact time.  The run ends after it, too, as it may have set a timer.
 * True: not now.
 */
bool sys_postponed(struct vcpu *cpu, const struct x86_insn *i)
{
    if (likely(!cpu->vm->deterministic))
        return false;
    if (cpu->insns - 1 == cpu->insn_start) {
        cpu->insn_limit = cpu->insns;
        return false;
    }
    cpu->st.rip -= i->len;
    cpu->insns--;
    cpu->insn_limit = cpu->insns;
    return true;
}

static void in(struct vcpu *cpu, const struct x86_insn *i, uint16_t port,
               unsigned n)
{
    uint32_t v;

    check_port(cpu, port, n);
    if (sys_postponed(cpu, i))
        return;
    v = port_in(cpu, port, n);
    if (n == 1)
        *(uint8_t *)&cpu->st.gpr[RAX] = (uint8_t)v;
    else
        reg_set(cpu, RAX, n, v);
}

static void out(struct vcpu *cpu, const struct x86_insn *i, uint16_t port,
                unsigned n)
{
    check_port(cpu, port, n);
    if (!sys_postponed(cpu, i))
        port_out(cpu, port, (uint32_t)cpu->st.gpr[RAX], n);
}

#define IO_HANDLERS(bits, n)                                        \
    void h_in_I_##bits(struct vcpu *cpu, const struct x86_insn *i)  \
    {                                                               \
        in(cpu, i, (uint8_t)i->imm, n);                             \
    }                                                               \
    void h_in_D_##bits(struct vcpu *cpu, const struct x86_insn *i)  \
    {                                                               \
        in(cpu, i, (uint16_t)cpu->st.gpr[RDX], n);                  \
    }                                                               \
    void h_out_I_##bits(struct vcpu *cpu, const struct x86_insn *i) \
    {                                                               \
        out(cpu, i, (uint8_t)i->imm, n);                            \
    }                                                               \
    void h_out_D_##bits(struct vcpu *cpu, const struct x86_insn *i) \
    {                                                               \
        out(cpu, i, (uint16_t)cpu->st.gpr[RDX], n);                 \
    }
IO_HANDLERS(8, 1)
IO_HANDLERS(16, 2)
IO_HANDLERS(32, 4)
IO_HANDLERS(64, 4)
#undef IO_HANDLERS

/* --- strings ------------------------------------------------------------- */

static void advance(struct vcpu *cpu, const struct x86_insn *i, unsigned reg,
                    unsigned n)
{
    uint64_t step = cpu->st.rflags & FL_DF ? 0 - (uint64_t)n : n;

    reg_set(cpu, reg, i->asz, reg_get(cpu, reg, i->asz) + step);
}

/* One element.  The location is checked before the port is read, as reading
 * it may have effects. */
static void ins_one(struct vcpu *cpu, const struct x86_insn *i, unsigned n)
{
    uint64_t di = reg_addr(cpu, RDI, i->asz);

    probe_write(cpu, SEG_ES, di, n);
    st_n(cpu, SEG_ES, di, port_in(cpu, (uint16_t)cpu->st.gpr[RDX], n), n);
    advance(cpu, i, RDI, n);
}

static void outs_one(struct vcpu *cpu, const struct x86_insn *i, unsigned n)
{
    uint64_t v = ld_n(cpu, i->seg, reg_addr(cpu, RSI, i->asz), n);

    port_out(cpu, (uint16_t)cpu->st.gpr[RDX], (uint32_t)v, n);
    advance(cpu, i, RSI, n);
}

static void string_io(struct vcpu *cpu, const struct x86_insn *i,
                      void one(struct vcpu *, const struct x86_insn *,
                               unsigned))
{
    unsigned n = i->osz > 4 ? 4 : i->osz;
    uint64_t count;

    check_port(cpu, (uint16_t)cpu->st.gpr[RDX], n);
    if (sys_postponed(cpu, i))
        return;
    if (!(i->flags & (X86_I_REP | X86_I_REPNE))) {
        one(cpu, i, n);
        return;
    }
    while ((count = reg_addr(cpu, RCX, i->asz)) != 0) {
        one(cpu, i, n);
        reg_set(cpu, RCX, i->asz, count - 1);
        if (count > 1 && rep_interrupted(cpu)) {
            cpu->st.rip -= i->len;
            return;
        }
    }
}

void h_ins(struct vcpu *cpu, const struct x86_insn *i)
{
    string_io(cpu, i, ins_one);
}

void h_outs(struct vcpu *cpu, const struct x86_insn *i)
{
    string_io(cpu, i, outs_one);
}
