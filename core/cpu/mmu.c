/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page tables, and the physical memory behind them; tlb.c keeps what is found.
 *
 * Source: Intel SDM volume 3A chapter 4.
 */
#include "cpu/mmu.h"

#include <string.h>

#include "cpu/interp/interp.h"
#include "cpu/sync.h"
#include "irq/lapic.h"
#include "vm/vm.h"

/* Page-table entry bits, all levels */
#define PTE_P  0x001u
#define PTE_W  0x002u
#define PTE_U  0x004u
#define PTE_A  0x020u
#define PTE_D  0x040u
#define PTE_PS 0x080u
#define PTE_G  0x100u
#define PTE_NX (1ull << 63)

/* --- physical ------------------------------------------------------------ */

static void range_hit(const struct phys_range *r, uint64_t page,
                      struct phys_entry *e)
{
    e->hit = r->hit;
    e->hit.host += page - r->first;
    e->hit.mem_page += (page - r->first) >> PAGE_SHIFT;
    e->page = page | 1;
}

/* What is there, if that can be said without asking the map; or NULL. */
static const struct map_hit *phys_known(struct vcpu *cpu, uint64_t phys,
                                        unsigned claim)
{
    uint64_t page = phys & ~(uint64_t)(PAGE_BYTES - 1);
    bool write = claim == REGION_WRITE;
    struct phys_entry *e = &cpu->phys[write][page / PAGE_BYTES % PHYS_CACHE];

    if (likely(e->page == (page | 1)))
        return &e->hit;
    for (unsigned n = 0; n < PHYS_RANGES; n++) {
        const struct phys_range *r = &cpu->ranges[write][n];

        if (r->hit.mem && page >= r->first && page <= r->last) {
            range_hit(r, page, e);
            return &e->hit;
        }
    }
    return NULL;
}

const struct map_hit *phys_find(struct vcpu *cpu, uint64_t phys, unsigned claim)
{
    uint64_t page = phys & ~(uint64_t)(PAGE_BYTES - 1);
    bool write = claim == REGION_WRITE;
    struct phys_entry *e = &cpu->phys[write][page / PAGE_BYTES % PHYS_CACHE];
    const struct map_hit *hit = phys_known(cpu, phys, claim);
    struct phys_range r;

    if (likely(hit != NULL))
        return hit;
    map_find_range(cpu->vm->map, page, claim, &r.hit, &r.first, &r.last);
    if (r.hit.mem) {
        cpu->ranges[write][cpu->range_next++ % PHYS_RANGES] = r;
        range_hit(&r, page, e);
    } else {
        e->hit = r.hit;
        e->page = page | 1;
    }
    return &e->hit;
}

static uint64_t a20(struct vcpu *cpu, uint64_t phys)
{
    return phys & __atomic_load_n(&cpu->vm->a20_mask, __ATOMIC_RELAXED);
}

static bool is_apic_page(struct vcpu *cpu, uint64_t phys)
{
    uint64_t base = cpu->st.apic_base;

    return cpu->lapic && (base & APIC_BASE_ENABLE) &&
           !(base & APIC_BASE_X2APIC) && (phys ^ base) >> PAGE_SHIFT == 0;
}

static uint64_t io_ld(struct vcpu *cpu, uint64_t phys, unsigned n)
{
    uint64_t v;

    cpu->n_mmio++;
    guest_leave(cpu);
    v = map_io_read(cpu->vm->map, phys, n);
    guest_enter(cpu);
    return v;
}

static void io_st(struct vcpu *cpu, uint64_t phys, uint64_t value, unsigned n)
{
    cpu->n_mmio++;
    guest_leave(cpu);
    map_io_write(cpu->vm->map, phys, value, n);
    guest_enter(cpu);
}

uint64_t phys_ld(struct vcpu *cpu, uint64_t phys, unsigned n)
{
    const struct map_hit *hit;

    phys = a20(cpu, phys);
    if (is_apic_page(cpu, phys))
        return lapic_mmio_read(cpu->lapic, phys & 0xfff, n);
    hit = phys_find(cpu, phys, REGION_READ);
    if (hit->mem)
        return host_ld(hit->host + (phys & 0xfff), n);
    return io_ld(cpu, phys, n);
}

void phys_st(struct vcpu *cpu, uint64_t phys, uint64_t value, unsigned n)
{
    const struct map_hit *hit;

    phys = a20(cpu, phys);
    if (is_apic_page(cpu, phys)) {
        lapic_mmio_write(cpu->lapic, phys & 0xfff, value, n);
        return;
    }
    hit = phys_find(cpu, phys, REGION_WRITE);
    if (!hit->mem) {
        io_st(cpu, phys, value, n);
        return;
    }
    if (hit->readonly)
        return;
    host_st(hit->host + (phys & 0xfff), value, n);
    code_written(cpu, hit->mem, hit->mem_page, phys & 0xfff, n);
}

/* --- walk ---------------------------------------------------------------- */

struct walk {
    uint64_t phys; /* of the 4 KiB page */
    unsigned levels;
    uint64_t entry_phys[4]; /* of each entry used, for accessed bits */
    uint64_t entry[4];
    unsigned entry_size;
    uint64_t leaf_bytes;
    bool user, writable, nx, global;
    uint32_t error; /* page-fault code when the walk failed */
    bool quick;     /* give up where it is not memory that is known */
};

/* Memory of which the map need not be asked */
static bool is_plain(struct vcpu *cpu, uint64_t phys, unsigned claim)
{
    const struct map_hit *hit = phys_known(cpu, phys, claim);

    if (!hit || !hit->mem || is_apic_page(cpu, phys))
        return false;
    return claim != REGION_WRITE ||
           !(hit->readonly || page_is_slow(hit->mem, hit->mem_page));
}

static uint64_t walk_reserved(struct vcpu *cpu, bool legacy_pae)
{
    uint64_t r = 0xfffffffffffffull & ~cpu->phys_mask & ~0xfffull;

    if (legacy_pae)
        r |= 0x7ff0000000000000ull;
    if (!(cpu->st.efer & EFER_NXE))
        r |= PTE_NX;
    return r;
}

static bool walk_entry(struct vcpu *cpu, struct walk *w, uint64_t phys)
{
    unsigned n = w->levels++;

    if (w->quick && !is_plain(cpu, a20(cpu, phys), REGION_READ))
        return false;
    w->entry_phys[n] = phys;
    w->entry[n] = phys_ld(cpu, phys, w->entry_size);
    if (!(w->entry[n] & PTE_P)) {
        w->error = 0;
        return false;
    }
    w->user &= (w->entry[n] & PTE_U) != 0;
    w->writable &= (w->entry[n] & PTE_W) != 0;
    w->nx |= w->entry_size == 8 && w->entry[n] >> 63;
    return true;
}

static bool walk_leaf(struct walk *w, uint64_t lin, unsigned shift,
                      uint64_t base)
{
    w->leaf_bytes = 1ull << shift;
    w->phys = base | (lin & (w->leaf_bytes - 1) & ~0xfffull);
    w->global = (w->entry[w->levels - 1] & PTE_G) != 0;
    return true;
}

/* 32-bit paging */
static bool walk_2level(struct vcpu *cpu, uint64_t lin, struct walk *w)
{
    uint64_t pde, base;

    w->entry_size = 4;
    if (!walk_entry(cpu, w, (cpu->st.cr3 & 0xfffff000u) | (lin >> 20 & 0xffc)))
        return false;
    pde = w->entry[0];
    if ((pde & PTE_PS) && (cpu->st.cr4 & CR4_PSE)) {
        /* PSE-36: bits 13..20 are address bits 32..39 */
        base = (pde & 0xffc00000u) | (pde & 0x1fe000) << 19;
        if ((pde & 0x200000) || (base & ~cpu->phys_mask & ~0xfffull)) {
            w->error = PFE_P | PFE_RSVD;
            return false;
        }
        return walk_leaf(w, lin, 22, base);
    }
    if (!walk_entry(cpu, w, (pde & 0xfffff000u) | (lin >> 10 & 0xffc)))
        return false;
    return walk_leaf(w, lin, 12, w->entry[1] & 0xfffff000u);
}

/* PAE and 4-level paging: `shift` of the first table to look at. */
static bool walk_wide(struct vcpu *cpu, uint64_t lin, struct walk *w,
                      uint64_t table, unsigned shift, uint64_t reserved)
{
    bool huge = x86_has(&cpu->model->features, X86_F_pdpe1gb);

    for (;; shift -= 9) {
        uint64_t e, addr, bad = reserved;

        if (!walk_entry(cpu, w, table | (lin >> shift & 0x1ff) << 3))
            return false;
        e = w->entry[w->levels - 1];
        addr = e & 0xffffffffff000ull;
        if (shift == 39 || (shift == 30 && !huge))
            bad |= PTE_PS;
        if (shift > 12 && (e & PTE_PS))
            bad |= ((1ull << shift) - 1) & ~0x1fffull;
        if (e & bad) {
            w->error = PFE_P | PFE_RSVD;
            return false;
        }
        if (shift == 12)
            return walk_leaf(w, lin, 12, addr);
        if (e & PTE_PS)
            return walk_leaf(w, lin, shift, addr & ~((1ull << shift) - 1));
        table = addr;
    }
}

static bool walk_tables(struct vcpu *cpu, uint64_t lin, struct walk *w)
{
    struct x86_state *st = &cpu->st;

    /* member by member: no call of memset() in the quick case */
    w->levels = 0;
    w->nx = w->global = false;
    w->user = w->writable = true;
    w->error = 0;
    w->entry_size = 8;
    if (!(st->cr4 & CR4_PAE))
        return walk_2level(cpu, lin, w);
    if (cpu->long_mode)
        return walk_wide(cpu, lin, w, st->cr3 & 0xffffffffff000ull, 39,
                         walk_reserved(cpu, false));
    if (!(st->pdptr[lin >> 30 & 3] & PTE_P))
        return false;
    return walk_wide(cpu, lin, w, st->pdptr[lin >> 30 & 3] & 0xffffffffff000ull,
                     21, walk_reserved(cpu, true));
}

/* SDM 3A 4.6 "Access Rights" */
static bool walk_allowed(struct vcpu *cpu, const struct walk *w,
                         enum tlb_access access, enum tlb_mode mode)
{
    if (mode == TLB_USER) {
        if (!w->user)
            return false;
        if (access == ACCESS_WRITE)
            return w->writable;
        return access != ACCESS_EXEC || !w->nx;
    }
    if (access == ACCESS_EXEC)
        return !w->nx && !(w->user && (cpu->st.cr4 & CR4_SMEP));
    if (w->user && mode == TLB_SUPER && (cpu->st.cr4 & CR4_SMAP))
        return false;
    return access != ACCESS_WRITE || w->writable || !(cpu->st.cr0 & CR0_WP);
}

/*
 * Sets accessed and dirty bits by compare-and-exchange on the guest's page
 * table.  False: another processor changed an entry; walk again.
 */
static bool walk_mark(struct vcpu *cpu, struct walk *w, bool dirty)
{
    for (unsigned n = 0; n < w->levels; n++) {
        uint64_t old = w->entry[n], new = old | PTE_A, phys;
        const struct map_hit *hit;
        bool done;

        if (dirty && n == w->levels - 1)
            new |= PTE_D;
        if (new == old)
            continue;
        phys = a20(cpu, w->entry_phys[n]);
        if (w->quick && !is_plain(cpu, phys, REGION_WRITE))
            return false;
        hit = phys_find(cpu, phys, REGION_WRITE);
        w->entry[n] = new;
        if (!hit->mem || hit->readonly)
            continue; /* tables in ROM or a device: no bits */
        if (w->entry_size == 8) {
            done = __atomic_compare_exchange_n(
                (uint64_t *)(hit->host + (phys & 0xfff)), &old, new, false,
                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        } else {
            uint32_t old32 = (uint32_t)old;

            done = __atomic_compare_exchange_n(
                (uint32_t *)(hit->host + (phys & 0xfff)), &old32,
                (uint32_t) new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        }
        if (!done)
            return false;
        code_written(cpu, hit->mem, hit->mem_page, phys & 0xfff, w->entry_size);
    }
    return true;
}

_Noreturn static void page_fault(struct vcpu *cpu, uint64_t lin,
                                 enum tlb_access access, enum tlb_mode mode,
                                 uint32_t error)
{
    if (access == ACCESS_WRITE)
        error |= PFE_W;
    if (mode == TLB_USER)
        error |= PFE_U;
    if (access == ACCESS_EXEC &&
        ((cpu->st.cr4 & CR4_SMEP) ||
         ((cpu->st.cr4 & CR4_PAE) && (cpu->st.efer & EFER_NXE))))
        error |= PFE_I;
    cpu->st.cr2 = lin;
    cpu_raise_err(cpu, EXC_PF, error);
}

/* --- TLB fill ------------------------------------------------------------ */

static void tlb_enter(struct vcpu *cpu, uint64_t lin, enum tlb_access access,
                      enum tlb_mode mode, uint64_t phys, bool global,
                      unsigned shift)
{
    struct tlb *t = cpu->cur_space->mode[mode];
    unsigned n = TLB_INDEX(lin);
    struct tlb_entry *e = &t->e[access][n];
    struct tlb_info *info = &t->info[access][n];
    uint64_t tag = lin & ~0xfffull;

    *info = (struct tlb_info){ .phys = phys,
                               .global = global,
                               .shift = (uint8_t)shift };
    e->host = NULL;
    if (is_apic_page(cpu, phys)) {
        info->kind = TLB_APIC;
        tag = tlb_slow_tag(tag, n);
    } else {
        const struct map_hit *hit =
            phys_find(cpu, phys,
                      access == ACCESS_WRITE ? REGION_WRITE : REGION_READ);

        info->mem = hit->mem;
        info->mem_page = hit->mem_page;
        e->host = hit->host;
        info->kind = !hit->mem                                 ? TLB_IO
                     : access == ACCESS_WRITE && hit->readonly ? TLB_ROM
                                                               : TLB_RAM;
        if (info->kind != TLB_RAM ||
            (access == ACCESS_WRITE && page_is_slow(hit->mem, hit->mem_page)))
            tag = tlb_slow_tag(tag, n);
    }
    if (!global && lin >> 63)
        cpu->upper_local = true;
    e->tag = tag;
    t->live[access][n / 64] |= 1ull << n % 64;
}

static void note_large(struct tlb_space *s, uint64_t lin, uint64_t bytes)
{
    uint64_t mask = ~(bytes - 1);

    if (s->large_base == 1) {
        s->large_mask = mask;
    } else {
        mask &= s->large_mask;
        while ((s->large_base ^ lin) & mask)
            mask <<= 1;
        s->large_mask = mask;
    }
    s->large_base = lin & s->large_mask;
}

static bool tlb_is_free(const struct vcpu *cpu, uint64_t lin,
                        enum tlb_access access, enum tlb_mode mode)
{
    const struct tlb *t = cpu->cur_space->mode[mode];
    unsigned n = TLB_INDEX(lin);

    return !(t->live[access][n / 64] >> n % 64 & 1);
}

static void walk_enter(struct vcpu *cpu, uint64_t lin, enum tlb_access access,
                       enum tlb_mode mode, struct walk *w)
{
    unsigned shift = (unsigned)__builtin_ctzll(w->leaf_bytes);
    uint64_t phys = a20(cpu, w->phys);

    w->global &= (cpu->st.cr4 & CR4_PGE) != 0;
    if (w->leaf_bytes > PAGE_BYTES)
        note_large(cpu->cur_space, lin, w->leaf_bytes);
    tlb_enter(cpu, lin, access, mode, phys, w->global, shift);
    /*
     * Most pages that are read are written next, and the other way round; but
     * a page in use is not driven out for that, or a copy between places that
     * share a slot would do so with each word.
     */
    if (access == ACCESS_WRITE) {
        if (tlb_is_free(cpu, lin, ACCESS_READ, mode))
            tlb_enter(cpu, lin, ACCESS_READ, mode, phys, w->global, shift);
    } else if (access == ACCESS_READ && (w->entry[w->levels - 1] & PTE_D) &&
               tlb_is_free(cpu, lin, ACCESS_WRITE, mode) &&
               walk_allowed(cpu, w, ACCESS_WRITE, mode)) {
        tlb_enter(cpu, lin, ACCESS_WRITE, mode, phys, w->global, shift);
    }
}

static void tlb_fill(struct vcpu *cpu, uint64_t lin, enum tlb_access access,
                     enum tlb_mode mode)
{
    struct walk w = { 0 };
    bool dirty = access == ACCESS_WRITE;

    cpu->n_tlb_fills++;
    if (!(cpu->st.cr0 & CR0_PG)) {
        tlb_enter(cpu, lin, access, mode, a20(cpu, lin & ~0xfffull), false,
                  PAGE_SHIFT);
        return;
    }
    do {
        if (!walk_tables(cpu, lin, &w))
            page_fault(cpu, lin, access, mode, w.error);
        if (!walk_allowed(cpu, &w, access, mode))
            page_fault(cpu, lin, access, mode, PFE_P);
    } while (!walk_mark(cpu, &w, dirty));
    walk_enter(cpu, lin, access, mode, &w);
}

/*
 * This file is compiled without vector registers, and so is all that is
 * called from here: the caller is translated code that has its guest's in
 * them.
 */
bool mmu_refill(struct vcpu *cpu, uint64_t lin, unsigned access)
{
    enum tlb_mode mode = mmu_mode(cpu);
    struct walk w;
    uint64_t phys;

    w.quick = true;
    if (!cpu->long_mode)
        lin = (uint32_t)lin;
    if ((uint64_t)((int64_t)lin >> 47) + 1 > 1 || !(cpu->st.cr0 & CR0_PG) ||
        !walk_tables(cpu, lin, &w) || !walk_allowed(cpu, &w, access, mode))
        return false;
    phys = a20(cpu, w.phys);
    if (!is_plain(cpu, phys,
                  access == ACCESS_WRITE ? REGION_WRITE : REGION_READ) ||
        !phys_known(cpu, phys, REGION_READ) ||
        !phys_known(cpu, phys, REGION_WRITE) ||
        !walk_mark(cpu, &w, access == ACCESS_WRITE))
        return false;
    cpu->n_tlb_fills++;
    walk_enter(cpu, lin, (enum tlb_access)access, mode, &w);
    return true;
}

static void note_code(struct vcpu *cpu, uint64_t lin, enum tlb_mode mode,
                      const struct tlb_info *info)
{
    bool user = mode == TLB_USER;

    tlb_code_note(user ? &cpu->cur_space->user : &cpu->kernel, lin,
                  info->shift);
    if (!user && !info->global)
        cpu->kernel_local = true;
}

struct tlb_slot mmu_find(struct vcpu *cpu, uint64_t lin, enum tlb_access access,
                         enum tlb_mode mode)
{
    struct tlb *t = cpu->cur_space->mode[mode];
    unsigned n = TLB_INDEX(lin);

    if (((lin ^ t->e[access][n].tag) & ~TLB_SLOW) >= PAGE_BYTES)
        (cpu->fill ? cpu->fill : tlb_fill)(cpu, lin, access, mode);
    if (access == ACCESS_EXEC)
        note_code(cpu, lin, mode, &t->info[access][n]);
    return (struct tlb_slot){ &t->e[access][n], &t->info[access][n] };
}

bool mmu_peek(struct vcpu *cpu, uint64_t lin, uint64_t *phys)
{
    struct walk w = { 0 };

    if (!(cpu->st.cr0 & CR0_PG))
        w.phys = lin & ~0xfffull;
    else if (!walk_tables(cpu, lin, &w))
        return false;
    *phys = a20(cpu, w.phys) | (lin & 0xfff);
    return true;
}

bool mmu_may_write(struct vcpu *cpu, uint64_t lin)
{
    struct walk w = { 0 };

    if (!(cpu->st.cr0 & CR0_PG))
        return true;
    return walk_tables(cpu, lin, &w) &&
           walk_allowed(cpu, &w, ACCESS_WRITE, mmu_mode(cpu));
}

bool mmu_load_pdptrs(struct vcpu *cpu, uint64_t cr3)
{
    uint64_t p[4];
    uint64_t bad = 0x1e6 | (~cpu->phys_mask & ~0xfffull);

    for (unsigned n = 0; n < 4; n++) {
        p[n] = phys_ld(cpu, (cr3 & 0xffffffe0u) + n * 8, 8);
        if ((p[n] & PTE_P) && (p[n] & bad))
            return false;
    }
    memcpy(cpu->st.pdptr, p, sizeof p);
    return true;
}
