/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear and physical memory as the processor sees it: paging, the software
 * TLB, and accesses that the inline paths of interp.h do not serve.
 * All functions: [vcpu thread], inside guest execution.
 */
#ifndef CPU_MMU_H
#define CPU_MMU_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/interp/interp.h"
#include "cpu/vcpu.h"

/* Page-fault error code */
#define PFE_P    0x01u
#define PFE_W    0x02u
#define PFE_U    0x04u
#define PFE_RSVD 0x08u
#define PFE_I    0x10u

bool mmu_init(struct vcpu *cpu); /* false: no memory */
void mmu_finish(struct vcpu *cpu);

/* --- flushing (tlb.c) ---------------------------------------------------- */

void mmu_flush_all(struct vcpu *cpu);
void mmu_flush_page(struct vcpu *cpu, uint64_t lin); /* INVLPG */
/* INVPCID type 0; types 1 to 3 are flushes of spaces */
void mmu_flush_pcid(struct vcpu *cpu, unsigned pcid);
/* Drops non-global entries of every space. */
void mmu_flush_nonglobal(struct vcpu *cpu);
/* CR3 was written (st.cr3 holds the new value): picks the address space. */
void mmu_cr3_written(struct vcpu *cpu, bool keep);
/* Reads PDPTRs from `cr3`; false: reserved bits set (#GP). */
bool mmu_load_pdptrs(struct vcpu *cpu, uint64_t cr3);
/* Makes write entries of a page slow: it holds code now. */
void mmu_slow_writes(struct vcpu *cpu, struct memory *mem, uint64_t page);

/* Code was looked up in the page of lin, `shift` of which is its size. */
void tlb_code_note(struct code_pages *c, uint64_t lin, unsigned shift);

/* The tag of an entry that needs care at each access. */
static inline uint64_t tlb_slow_tag(uint64_t tag, unsigned index)
{
    return (tag & ~TLB_SLOW) | (~(uint64_t)index & 1) << PAGE_SHIFT;
}

/* --- translation --------------------------------------------------------- */

struct tlb_slot {
    struct tlb_entry *e;
    struct tlb_info *info;
};

/* Finds or fills the entry of `lin`; raises #PF. */
struct tlb_slot mmu_find(struct vcpu *cpu, uint64_t lin, enum tlb_access access,
                         enum tlb_mode mode);
/*
 * The same for translated code, which calls it without having saved its
 * vector registers: enters the page into the TLB if that takes no more than
 * reading page tables in memory.  False: take the ordinary way.
 */
bool mmu_refill(struct vcpu *cpu, uint64_t lin, unsigned access);

/* For a debugger: no faults, no accessed bits.  False: not mapped. */
bool mmu_peek(struct vcpu *cpu, uint64_t lin, uint64_t *phys);
/* Do the page tables allow a store there?  As mmu_peek(). */
bool mmu_may_write(struct vcpu *cpu, uint64_t lin);

/* cpu->key follows the mode and what was flushed. */
static inline void mmu_key(struct vcpu *cpu)
{
    const struct code_pages *c =
        cpu->cpl == 3 ? &cpu->cur_space->user : &cpu->kernel;

    cpu->key = (uint64_t)c->gen << 32 | cpu->mode;
}
/* cpu->tlb follows CPL, EFLAGS.AC and the address space. */
void mmu_select(struct vcpu *cpu);

static inline enum tlb_mode mmu_mode(const struct vcpu *cpu)
{
    if (cpu->cpl == 3)
        return TLB_USER;
    return (cpu->st.cr4 & CR4_SMAP) && !(cpu->st.rflags & FL_AC) ? TLB_SUPER
                                                                 : TLB_SUPER_AC;
}

/* --- accesses ------------------------------------------------------------ */

uint64_t lin_ld_slow(struct vcpu *cpu, uint64_t lin, unsigned n,
                     enum tlb_mode mode);
void lin_st_slow(struct vcpu *cpu, uint64_t lin, uint64_t value, unsigned n,
                 enum tlb_mode mode);

/* Where [lin, lin + n) is, if the TLB says so and nothing asks for care. */
static inline uint8_t *lin_hit(const struct vcpu *cpu, uint64_t lin, unsigned n,
                               enum tlb_access access, enum tlb_mode mode)
{
    const struct tlb_entry *e =
        &cpu->cur_space->mode[mode]->e[access][TLB_INDEX(lin)];
    uint64_t d = lin ^ e->tag;

    return d <= PAGE_BYTES - n ? e->host + d : NULL;
}

/* By linear address (wraps at 4 GiB outside long mode); n <= 8 */
static inline uint64_t lin_ld(struct vcpu *cpu, uint64_t lin, unsigned n,
                              enum tlb_mode mode)
{
    const uint8_t *p = lin_hit(cpu, lin, n, ACCESS_READ, mode);

    return p && !(n & (n - 1)) ? host_ld(p, n) : lin_ld_slow(cpu, lin, n, mode);
}

static inline void lin_st(struct vcpu *cpu, uint64_t lin, uint64_t value,
                          unsigned n, enum tlb_mode mode)
{
    uint8_t *p = lin_hit(cpu, lin, n, ACCESS_WRITE, mode);

    if (p && !(n & (n - 1)))
        host_st(p, value, n);
    else
        lin_st_slow(cpu, lin, value, n, mode);
}

/* Faults now if a write of n <= 4096 bytes would. */
void lin_probe(struct vcpu *cpu, uint64_t lin, unsigned n,
               enum tlb_access access, enum tlb_mode mode);
/* A locked "or" of one byte: busy and accessed bits of descriptors. */
void lin_or8(struct vcpu *cpu, uint64_t lin, uint8_t set, uint8_t clear);

/* Guest-physical, through A20, the APIC page and the map */
uint64_t phys_ld(struct vcpu *cpu, uint64_t phys, unsigned n);
void phys_st(struct vcpu *cpu, uint64_t phys, uint64_t value, unsigned n);
/* What is at a page: cached map_find(). */
const struct map_hit *phys_find(struct vcpu *cpu, uint64_t phys,
                                unsigned claim);

#endif
