/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Execution on trial.
 *
 * While a vCPU is in the shadow its translations come from a TLB of its own,
 * which is filled from the real one: reads lead to the machine's memory,
 * writes to copies of its pages.  So whatever the interpreter does there can
 * be forgotten, or done once more, and the memory is as it was.
 *
 * An access to a device cannot be done that way, it ends the trial by a jump.
 * Code is read from the machine's memory, so a trial that has written code
 * is worth nothing: shadow_has_code().  The same goes for a page fault after
 * something was written, for the page tables could be what was written.  (A
 * translation that is found although its entry has just been changed is one
 * that a processor might have had in its TLB.)  Accessed and dirty bits are
 * set in the real page tables; twice is as good as once, but for a table of
 * which there is a copy already: shadow_is_stale().
 */
#include "cpu/jit/shadow.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/mmu.h"
#include "cpu/sync.h"

void shadow_leave(struct vcpu *cpu, enum shadow_stop why)
{
    struct shadow *s = (struct shadow *)cpu->fill_opaque;

    s->stop = why;
    siglongjmp(cpu->jump, SHADOW_JUMP);
}

static struct shadow_page *page_of(struct shadow *s, const uint8_t *host)
{
    for (unsigned n = 0; n < s->pages; n++)
        if (s->page[n].host == host)
            return &s->page[n];
    return NULL;
}

/* The copy to write to; who reads this page reads it from now on. */
static struct shadow_page *page_for(struct vcpu *cpu, struct shadow *s,
                                    const struct tlb_slot *slot)
{
    uint8_t *host = slot->e->host;
    struct shadow_page *p = page_of(s, host);

    if (p)
        return p;
    if (s->pages == SHADOW_PAGES)
        shadow_leave(cpu, STOP_ROOM);
    p = &s->page[s->pages++];
    p->mem = slot->info->mem;
    p->mem_page = slot->info->mem_page;
    p->host = host;
    memcpy(p->orig, host, PAGE_BYTES);
    memcpy(p->now, p->orig, PAGE_BYTES);
    for (unsigned n = 0; n < s->fills; n++) {
        if (s->fill[n]->host == host && s->fill_access[n] != ACCESS_EXEC)
            s->fill[n]->host = p->now;
    }
    return p;
}

/* vcpu.fill: see mmu_find() */
static void shadow_fill(struct vcpu *cpu, uint64_t lin, enum tlb_access access,
                        enum tlb_mode mode)
{
    struct shadow *s = cpu->fill_opaque;
    struct tlb *t = s->space.mode[mode];
    unsigned n = TLB_INDEX(lin);
    struct tlb_entry *e = &t->e[access][n];
    struct shadow_page *p;
    struct tlb_slot slot;

    cpu->cur_space = s->real;
    cpu->fill = NULL;
    s->walking = true;
    slot = mmu_find(cpu, lin, access, mode);
    s->walking = false;
    cpu->fill = shadow_fill;
    cpu->cur_space = &s->space;

    if (slot.info->kind == TLB_IO || slot.info->kind == TLB_APIC)
        shadow_leave(cpu, STOP_DEVICE);
    if (s->fills == SHADOW_FILLS)
        shadow_leave(cpu, STOP_ROOM);
    p = page_of(s, slot.e->host);
    if (access == ACCESS_WRITE && slot.info->kind == TLB_RAM)
        p = page_for(cpu, s, &slot);
    t->info[access][n] = *slot.info;
    *e = *slot.e;
    if (slot.info->kind == TLB_RAM)
        e->tag = lin & ~(uint64_t)(PAGE_BYTES - 1);
    if (p && access != ACCESS_EXEC)
        e->host = p->now;
    s->fill_access[s->fills] = (uint8_t)access;
    s->fill[s->fills++] = e;
}

static void forget_fills(struct shadow *s)
{
    for (unsigned m = 0; m < TLB_MODES; m++) {
        struct tlb *t = s->space.mode[m];

        for (unsigned n = 0; n < s->fills; n++) {
            struct tlb_entry *e = s->fill[n];
            size_t at = (size_t)(e - &t->e[0][0]);

            if (e >= &t->e[0][0] && at < ACCESS_COUNT * TLB_ENTRIES)
                e->tag = TLB_EMPTY(at % TLB_ENTRIES);
        }
    }
    s->fills = 0;
}

struct shadow *shadow_new(void)
{
    struct shadow *s = aligned_alloc(64, sizeof *s);

    if (!s)
        return NULL;
    memset(s, 0, sizeof *s);
    for (unsigned m = 0; m < TLB_MODES; m++) {
        struct tlb *t = g_try_malloc0(sizeof *t);

        s->space.mode[m] = t;
        if (!t) {
            shadow_free(s);
            return NULL;
        }
        for (unsigned n = 0; n < ACCESS_COUNT * TLB_ENTRIES; n++)
            t->e[n / TLB_ENTRIES][n % TLB_ENTRIES].tag =
                TLB_EMPTY(n % TLB_ENTRIES);
    }
    return s;
}

void shadow_free(struct shadow *s)
{
    if (!s)
        return;
    for (unsigned m = 0; m < TLB_MODES; m++)
        g_free(s->space.mode[m]);
    free(s);
}

void shadow_begin(struct vcpu *cpu, struct shadow *s)
{
    s->real = cpu->cur_space;
    s->space.user = s->real->user;
    s->stop = STOP_NONE;
    s->walking = false;
    cpu->cur_space = &s->space;
    mmu_select(cpu);
    cpu->fill = shadow_fill;
    cpu->fill_opaque = s;
}

void shadow_end(struct vcpu *cpu, struct shadow *s)
{
    cpu->fill = NULL;
    cpu->cur_space = s->real;
    /* a flush that somebody asked for took the shadow for the current one */
    s->real->valid = true;
}

void shadow_rewind(struct shadow *s)
{
    for (unsigned n = 0; n < s->pages; n++)
        memcpy(s->page[n].now, s->page[n].orig, PAGE_BYTES);
}

void shadow_clear(struct shadow *s)
{
    forget_fills(s);
    s->pages = 0;
}

bool shadow_has_code(const struct shadow *s)
{
    for (unsigned n = 0; n < s->pages; n++) {
        const struct shadow_page *p = &s->page[n];
        uint64_t lines =
            __atomic_load_n(&p->mem->code_lines[p->mem_page], __ATOMIC_SEQ_CST);

        for (; lines; lines &= lines - 1) {
            unsigned at = (unsigned)__builtin_ctzll(lines) * 64;

            if (memcmp(p->orig + at, p->now + at, 64))
                return true;
        }
    }
    return false;
}

bool shadow_is_stale(const struct shadow *s)
{
    for (unsigned n = 0; n < s->pages; n++)
        if (memcmp(s->page[n].orig, s->page[n].host, PAGE_BYTES))
            return true;
    return false;
}
