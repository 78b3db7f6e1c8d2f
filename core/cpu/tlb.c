/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software TLB: address spaces, and what is forgotten when.
 *
 * A table serves one access mode (user, supervisor, supervisor that may
 * touch user pages) and has separate entries for reads, writes and fetches,
 * so that a matching tag means "allowed" and nothing is left to check.  A
 * write entry exists only when the dirty bit is set in the guest's page
 * table.  Large pages are entered as 4 KiB slices; the range they cover is
 * remembered so that INVLPG knows when it has to look for more than one entry.
 *
 * With CR4.PCIDE a few address spaces are kept, each with its own tables;
 * without it there is one.
 *
 * Where code is found by its linear address (chains, jump caches), that holds
 * for one generation, which is in vcpu.key.  A new one begins only when a
 * translation goes by which code was found in the present one: most INVLPG
 * are for data.  Code of the kernel is in global pages, so its generation
 * outlives writes of CR3.
 *
 * Source: Intel SDM volume 3A section 4.10.
 */
#include <glib.h>
#include <string.h>

#include "cpu/mmu.h"

/* --- entries and spaces --------------------------------------------------- */

static void tlb_clear(struct tlb *t, bool keep_global)
{
    for (unsigned a = 0; a < ACCESS_COUNT; a++) {
        for (unsigned w = 0; w < TLB_ENTRIES / 64; w++) {
            uint64_t live = t->live[a][w], kept = 0;

            while (live) {
                unsigned n = w * 64 + (unsigned)__builtin_ctzll(live);

                if (keep_global && t->info[a][n].global)
                    kept |= live & -live;
                else
                    t->e[a][n].tag = TLB_EMPTY(n);
                live &= live - 1;
            }
            t->live[a][w] = kept;
        }
    }
}

static struct tlb *tlb_new(void)
{
    struct tlb *t = g_try_malloc0(sizeof *t);

    if (!t)
        return NULL;
    for (unsigned a = 0; a < ACCESS_COUNT; a++)
        for (unsigned n = 0; n < TLB_ENTRIES; n++)
            t->e[a][n].tag = TLB_EMPTY(n);
    return t;
}

static bool space_alloc(struct tlb_space *s)
{
    for (unsigned m = 0; m < TLB_MODES; m++) {
        if (!s->mode[m])
            s->mode[m] = tlb_new();
        if (!s->mode[m])
            return false;
    }
    return true;
}

/* --- generations of code -------------------------------------------------- */

/* A fresh generation makes every chain and jump-cache entry stale. */
static void code_renew(struct vcpu *cpu, struct code_pages *c)
{
    c->gen = ++cpu->gen_counter;
    if (c->first > c->last)
        return;
    c->first = c->large_first = ~0ull;
    c->last = c->large_last = 0;
    memset(c->bits, 0, sizeof c->bits);
}

static uint64_t *code_word(struct code_pages *c, uint64_t page)
{
    return &c->bits[page >> 6 & 63];
}

void tlb_code_note(struct code_pages *c, uint64_t lin, unsigned shift)
{
    uint64_t page = lin >> PAGE_SHIFT, mask;

    *code_word(c, page) |= 1ull << (page & 63);
    if (page < c->first)
        c->first = page;
    if (page > c->last)
        c->last = page;
    if (shift == PAGE_SHIFT)
        return;
    mask = (1ull << (shift - PAGE_SHIFT)) - 1;
    if ((page & ~mask) < c->large_first)
        c->large_first = page & ~mask;
    if ((page | mask) > c->large_last)
        c->large_last = page | mask;
}

/* The translation of lin goes. */
static void code_drop(struct vcpu *cpu, struct code_pages *c, uint64_t lin)
{
    uint64_t page = lin >> PAGE_SHIFT;

    if ((page >= c->first && page <= c->last &&
         (*code_word(c, page) >> (page & 63) & 1)) ||
        (page >= c->large_first && page <= c->large_last))
        code_renew(cpu, c);
}

static void kernel_code_renew(struct vcpu *cpu)
{
    code_renew(cpu, &cpu->kernel);
    cpu->kernel_local = false;
}

/* --- slots of translated code --------------------------------------------- */

/* Empties slots that hold this page, or all. */
static void slots_drop(struct vcpu *cpu, bool all, uint64_t page)
{
    for (unsigned w = 0; w < SLOTS / 64; w++) {
        uint64_t used = cpu->slot_used[w] | cpu->slot_kept[w];

        for (; used; used &= used - 1) {
            unsigned n = w * 64 + (unsigned)__builtin_ctzll(used);

            if (all || cpu->slot_tag[n] == page) {
                cpu->slot_tag[n] = SLOT_EMPTY;
                cpu->slot_used[w] &= ~(used & -used);
                cpu->slot_kept[w] &= ~(used & -used);
            }
        }
    }
}

static void slots_clear(struct vcpu *cpu)
{
    slots_drop(cpu, true, 0);
}

static void slots_drop_page(struct vcpu *cpu, uint64_t lin)
{
    slots_drop(cpu, false, lin & ~(uint64_t)(PAGE_BYTES - 1));
}

/* The slots of kernel code that it must not use without EFLAGS.AC */
static void slots_leave_ac(struct vcpu *cpu)
{
    if (cpu->slots_ac > SLOTS_AC)
        slots_clear(cpu);
    else
        for (unsigned n = 0; n < cpu->slots_ac; n++)
            cpu->slot_tag[cpu->slot_ac[n]] = SLOT_EMPTY;
    cpu->slots_ac = 0;
}

/*
 * CR3 was written.  Global pages stay what they are, and if all that is
 * mapped in the upper half is global, kernel code keeps its slots for that.
 * Those are looked at once: slot_kept has them from then on, until they are
 * filled again.
 */
static void slots_leave_space(struct vcpu *cpu)
{
    unsigned kernel = cpu->upper_local ? 0 : SLOTS / 128;

    if (!kernel) {
        slots_clear(cpu);
        return;
    }
    for (unsigned w = 0; w < SLOTS / 64; w++) {
        for (uint64_t used = cpu->slot_used[w]; used; used &= used - 1) {
            unsigned n = w * 64 + (unsigned)__builtin_ctzll(used);
            uint64_t bit = used & -used;

            cpu->slot_used[w] &= ~bit;
            if (w < kernel && cpu->slot_tag[n] >> 63) {
                cpu->slot_kept[w] |= bit;
                continue;
            }
            cpu->slot_tag[n] = SLOT_EMPTY;
            cpu->slot_kept[w] &= ~bit;
        }
    }
}

/* --- flushing ------------------------------------------------------------- */

static void space_empty(struct vcpu *cpu, struct tlb_space *s, bool keep_global)
{
    for (unsigned m = 0; m < TLB_MODES; m++)
        if (s->mode[m])
            tlb_clear(s->mode[m], keep_global);
    if (!keep_global) {
        s->large_base = 1;
        s->large_mask = ~0ull;
    }
    code_renew(cpu, &s->user);
    cpu->n_tlb_flushes++;
}

/* The guest's flush of it */
static void space_clear(struct vcpu *cpu, struct tlb_space *s, bool keep_global)
{
    space_empty(cpu, s, keep_global);
    if (!keep_global || cpu->kernel_local)
        kernel_code_renew(cpu);
}

void mmu_select(struct vcpu *cpu)
{
    enum tlb_mode mode = mmu_mode(cpu);

    cpu->tlb = cpu->cur_space->mode[mode];
    cpu->tlb_smap = (cpu->st.cr4 & CR4_SMAP) != 0;
    cpu->tlb_is_ac = mode == TLB_SUPER_AC && cpu->tlb_smap;
    cpu->tlb_ac[0] =
        cpu->cur_space->mode[cpu->tlb_smap ? TLB_SUPER : TLB_SUPER_AC];
    cpu->tlb_ac[1] = cpu->cur_space->mode[TLB_SUPER_AC];
    if (cpu->slots_ac && !cpu->tlb_is_ac)
        slots_leave_ac(cpu);
}

static void key_update(struct vcpu *cpu)
{
    mmu_key(cpu);
    mmu_select(cpu);
}

bool mmu_init(struct vcpu *cpu)
{
    cpu->phys = g_try_malloc0(2 * sizeof *cpu->phys);
    cpu->cur_space = &cpu->space[0];
    cpu->space[0].valid = true;
    if (!cpu->phys || !space_alloc(&cpu->space[0]))
        return false;
    for (unsigned n = 0; n < SLOTS; n++)
        cpu->slot_tag[n] = SLOT_EMPTY;
    mmu_flush_all(cpu);
    return true;
}

void mmu_finish(struct vcpu *cpu)
{
    for (unsigned n = 0; n < TLB_SPACES; n++) {
        for (unsigned m = 0; m < TLB_MODES; m++) {
            g_free(cpu->space[n].mode[m]);
            cpu->space[n].mode[m] = NULL;
        }
    }
    g_free(cpu->phys);
    cpu->phys = NULL;
}

void mmu_flush_all(struct vcpu *cpu)
{
    for (unsigned n = 0; n < TLB_SPACES; n++) {
        struct tlb_space *s = &cpu->space[n];

        if (s->valid)
            space_clear(cpu, s, false);
        if (s != cpu->cur_space)
            s->valid = false;
    }
    cpu->upper_local = false;
    memset(cpu->phys, 0, 2 * sizeof *cpu->phys);
    slots_clear(cpu);
    memset(cpu->ranges, 0, sizeof cpu->ranges);
    key_update(cpu);
}

void mmu_flush_nonglobal(struct vcpu *cpu)
{
    for (unsigned n = 0; n < TLB_SPACES; n++)
        if (cpu->space[n].valid)
            space_clear(cpu, &cpu->space[n], true);
    slots_clear(cpu);
    key_update(cpu);
}

/* All slices of the large page of lin, if it is one. */
static void tlb_drop_large(struct tlb *t, uint64_t lin)
{
    for (unsigned k = 0; k < ACCESS_COUNT * TLB_ENTRIES / 64; k++) {
        unsigned a = k / (TLB_ENTRIES / 64), w = k % (TLB_ENTRIES / 64);
        uint64_t live = t->live[a][w];

        for (; live; live &= live - 1) {
            unsigned n = w * 64 + (unsigned)__builtin_ctzll(live);
            unsigned shift = t->info[a][n].shift;

            if (shift == PAGE_SHIFT || (t->e[a][n].tag ^ lin) >> shift)
                continue;
            t->e[a][n].tag = TLB_EMPTY(n);
            t->live[a][w] &= ~(1ull << n % 64);
        }
    }
}

static void tlb_drop_page(struct tlb *t, uint64_t lin)
{
    unsigned n = TLB_INDEX(lin);

    for (unsigned a = 0; a < ACCESS_COUNT; a++) {
        if (((lin ^ t->e[a][n].tag) & ~TLB_SLOW) < PAGE_BYTES) {
            t->e[a][n].tag = TLB_EMPTY(n);
            t->live[a][n / 64] &= ~(1ull << n % 64);
        }
    }
}

/* INVLPG drops global entries too, which any space may hold. */
void mmu_flush_page(struct vcpu *cpu, uint64_t lin)
{
    bool some_large = false;

    for (unsigned n = 0; n < TLB_SPACES; n++) {
        struct tlb_space *s = &cpu->space[n];
        bool large = (lin & s->large_mask) == s->large_base;

        if (!s->valid)
            continue;
        for (unsigned m = 0; m < TLB_MODES; m++) {
            tlb_drop_page(s->mode[m], lin);
            if (large)
                tlb_drop_large(s->mode[m], lin);
        }
        some_large |= large;
        code_drop(cpu, &s->user, lin);
    }
    code_drop(cpu, &cpu->kernel, lin);
    if (some_large)
        slots_clear(cpu);
    else
        slots_drop_page(cpu, lin);
    key_update(cpu);
}

void mmu_flush_pcid(struct vcpu *cpu, unsigned pcid)
{
    for (unsigned n = 0; n < TLB_SPACES; n++) {
        struct tlb_space *s = &cpu->space[n];

        if (s->valid && s->pcid == pcid)
            space_clear(cpu, s, true);
    }
    slots_clear(cpu);
    key_update(cpu);
}

static struct tlb_space *space_for(struct vcpu *cpu, unsigned pcid, bool *found)
{
    struct tlb_space *victim = &cpu->space[0];

    for (unsigned n = 0; n < TLB_SPACES; n++) {
        struct tlb_space *s = &cpu->space[n];

        if (s->valid && s->pcid == pcid) {
            *found = true;
            return s;
        }
        if (victim->valid && (!s->valid || s->last_used < victim->last_used))
            victim = s;
    }
    *found = false;
    if (!space_alloc(victim))
        victim = cpu->cur_space;
    return victim;
}

void mmu_cr3_written(struct vcpu *cpu, bool keep)
{
    unsigned pcid = cpu->st.cr4 & CR4_PCIDE ? cpu->st.cr3 & 0xfff : 0;
    bool found;
    struct tlb_space *s = space_for(cpu, pcid, &found);

    s->last_used = ++cpu->space_clock;
    if (!found) {
        /* global entries hold for every PCID */
        space_empty(cpu, s, s->valid);
        s->pcid = (uint16_t)pcid;
        s->valid = true;
    } else if (!keep) {
        space_clear(cpu, s, true);
    }
    if (cpu->kernel_local)
        kernel_code_renew(cpu);
    cpu->cur_space = s;
    slots_leave_space(cpu);
    key_update(cpu);
}

void mmu_slow_writes(struct vcpu *cpu, struct memory *mem, uint64_t page)
{
    slots_clear(cpu);
    for (unsigned n = 0; n < TLB_SPACES * TLB_MODES; n++) {
        struct tlb *t = cpu->space[n / TLB_MODES].mode[n % TLB_MODES];

        if (!t || !cpu->space[n / TLB_MODES].valid)
            continue;
        for (unsigned w = 0; w < TLB_ENTRIES / 64; w++) {
            uint64_t live = t->live[ACCESS_WRITE][w];

            for (; live; live &= live - 1) {
                unsigned k = w * 64 + (unsigned)__builtin_ctzll(live);
                struct tlb_info *info = &t->info[ACCESS_WRITE][k];

                if (info->mem == mem && info->mem_page == page)
                    t->e[ACCESS_WRITE][k].tag =
                        tlb_slow_tag(t->e[ACCESS_WRITE][k].tag, k);
            }
        }
    }
}
