/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MOVS STOS LODS CMPS SCAS, with and without REP.
 *
 * A repeated instruction works on runs of host memory up to the end of a
 * page. At a fault the registers tell exactly how far it came, because they
 * are brought up to date after each run, and the flags, too, as AMD's do
 * (Intel's restore the flags; no program can rely on either).
 *
 * One call does at most REP_WORK bytes and then lets the run loop have a
 * look, as if it had been interrupted: rip is set back to the instruction.
 * The bound does not depend on what is pending, so that the number of calls,
 * each of which counts as one instruction, is the same in every
 * deterministic run.
 */
#include "cpu/gen/handlers.h"
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"

#define REP_WORK 16384u

/* What CMPS and SCAS pass from run to run. */
struct compare {
    bool go_on_equal; /* REPE; else REPNE */
    bool stop;
};

typedef unsigned some_elements(struct vcpu *cpu, const struct x86_insn *i,
                               unsigned max, struct compare *c);

static inline uint64_t index_get(const struct vcpu *cpu,
                                 const struct x86_insn *i, unsigned reg)
{
    return ea_trunc(i, cpu->st.gpr[reg]);
}

static inline void index_add(struct vcpu *cpu, const struct x86_insn *i,
                             unsigned reg, int64_t delta)
{
    uint64_t old = cpu->st.gpr[reg], v = ea_trunc(i, old + (uint64_t)delta);

    cpu->st.gpr[reg] = i->asz == 2 ? (old & ~0xffffull) | v : v;
}

/*
 * Host memory for up to *n elements from off upwards, as many as lie before
 * the end of the page, the segment and the address size; *n is reduced.
 * NULL when there is not even one, or for single elements, which are faster
 * the ordinary way, or when the direction is down.
 */
static void *run_ptr(struct vcpu *cpu, const struct x86_insn *i, unsigned seg,
                     uint64_t off, bool write, unsigned size, unsigned *n)
{
    uint64_t last = ea_trunc(i, ~0ull) - off;
    unsigned bytes;

    if (*n < 2 || (cpu->st.rflags & FL_DF))
        return NULL;

    uint8_t *p = rep_ptr(cpu, seg, off, write, &bytes);
    if (!p)
        return NULL;
    if (bytes - 1ull > last)
        bytes = (unsigned)last + 1;
    if (bytes / size < *n)
        *n = bytes / size;
    return *n ? p : NULL;
}

static inline void repeat(struct vcpu *cpu, const struct x86_insn *i,
                          unsigned size, some_elements *some, struct compare *c)
{
    uint64_t left = index_get(cpu, i, RCX);
    unsigned work = REP_WORK / size;

    /* Traps come after each iteration. */
    if (unlikely((cpu->st.rflags & FL_TF) || cpu->bp_enabled))
        work = 1;
    if (!left)
        return;
    do {
        unsigned n = some(cpu, i, left < work ? (unsigned)left : work, c);
        left -= n;
        work -= n;
        index_add(cpu, i, RCX, -(int64_t)n);
    } while (left && work && !c->stop);
    if (left && !c->stop)
        cpu->st.rip = (cpu->st.rip - i->len) & cpu->rip_mask;
}

static inline uint64_t get64(const uint8_t *p, unsigned at)
{
    uint64_t v;

    memcpy(&v, p + at, 8);
    return v;
}

#define WIDTH 8
#include "cpu/interp/string.c.inc"
#undef WIDTH
#define WIDTH 16
#include "cpu/interp/string.c.inc"
#undef WIDTH
#define WIDTH 32
#include "cpu/interp/string.c.inc"
#undef WIDTH
#define WIDTH 64
#include "cpu/interp/string.c.inc"
#undef WIDTH
