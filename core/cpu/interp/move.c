/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MOV MOVZX MOVSX MOVBE LEA XCHG XADD CMPXCHG CMOVcc SETcc BSWAP CBW CWD
 * XLAT and the stack instructions.
 */
#include "cpu/gen/handlers.h"
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"

#define WIDTH 8
#include "cpu/interp/move.c.inc"
#undef WIDTH
#define WIDTH 16
#include "cpu/interp/move.c.inc"
#undef WIDTH
#define WIDTH 32
#include "cpu/interp/move.c.inc"
#undef WIDTH
#define WIDTH 64
#include "cpu/interp/move.c.inc"
#undef WIDTH

#define SETCC(cc, condition)                                         \
    void h_set##cc##_E_r(struct vcpu *cpu, const struct x86_insn *i) \
    {                                                                \
        uint32_t f = (uint32_t)cpu->st.rflags;                       \
        reg_set8(cpu, i, i->rm, !!(condition));                      \
    }                                                                \
    void h_set##cc##_E_m(struct vcpu *cpu, const struct x86_insn *i) \
    {                                                                \
        uint32_t f = (uint32_t)cpu->st.rflags;                       \
        st8(cpu, i->seg, ea(cpu, i), !!(condition));                 \
    }

FLAG_CONDITIONS(SETCC)

void h_xlat(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t off = ea_trunc(i, cpu->st.gpr[RBX] + (uint8_t)cpu->st.gpr[RAX]);
    uint8_t v = ld8(cpu, i->seg, off);

    cpu->st.gpr[RAX] = (cpu->st.gpr[RAX] & ~0xffull) | v;
}

/* ZF alone tells whether the 64 or 128 bits at the operand were as expected. */
void h_cmpxchg8b(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t off = ea(cpu, i);
    uint64_t *r = cpu->st.gpr;
    uint64_t want = r[RDX] << 32 | (uint32_t)r[RAX], found = want;
    uint64_t new = r[RCX] << 32 | (uint32_t)r[RBX];
    bool lock = i->flags & X86_I_LOCK;
    uint64_t *p = lock ? atomic_ptr(cpu, i->seg, off, 8) : NULL;

    if (p) {
        __atomic_compare_exchange_n(p, &found, new, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
    } else {
        probe_write(cpu, i->seg, off, 8);
        if (lock)
            bus_lock(cpu);
        found = ld64w(cpu, i->seg, off);
        st64(cpu, i->seg, off, found == want ? new : found);
        if (lock)
            bus_unlock(cpu);
    }
    if (found != want) {
        r[RAX] = (uint32_t)found;
        r[RDX] = found >> 32;
    }
    flags_put(cpu, FL_ZF, found == want ? FL_ZF : 0);
}

void h_cmpxchg16b(struct vcpu *cpu, const struct x86_insn *i)
{
    uint64_t off = ea(cpu, i);
    uint64_t *r = cpu->st.gpr;
    uint64_t lo = r[RAX], hi = r[RDX];
    bool same;

    if ((off + cpu->st.seg[i->seg].base) & 15)
        cpu_gp0(cpu);

    uint64_t *p = atomic_ptr(cpu, i->seg, off, 16);
    if (p) {
        __asm__ volatile("lock cmpxchg16b %1"
                         : "=@ccz"(same), "+m"(*(unsigned __int128 *)p),
                           "+a"(lo), "+d"(hi)
                         : "b"(r[RBX]), "c"(r[RCX])
                         : "memory");
    } else {
        probe_write(cpu, i->seg, off, 16);
        bus_lock(cpu);
        lo = ld64w(cpu, i->seg, off);
        hi = ld64w(cpu, i->seg, off + 8);
        same = lo == r[RAX] && hi == r[RDX];
        st64(cpu, i->seg, off, same ? r[RBX] : lo);
        st64(cpu, i->seg, off + 8, same ? r[RCX] : hi);
        bus_unlock(cpu);
    }
    if (!same) {
        r[RAX] = lo;
        r[RDX] = hi;
    }
    flags_put(cpu, FL_ZF, same ? FL_ZF : 0);
}
