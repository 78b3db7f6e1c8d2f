/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of host code.
 *
 * Each vCPU has its own.  Shared code would be translated once for all, but
 * then every patch of a jump would have to be safe against the other threads
 * that run it, and nothing could be thrown away before all of them had come
 * out.  So a vCPU patches and frees only what nobody else can be in.
 *
 * The buffer is one memfd mapped twice, writable and executable, so no page
 * is ever both.  It is filled from its start; when it is full everything goes
 * and begins anew, as in the cache of decoded blocks, on which this one hangs:
 * what is hot is back within milliseconds, and the guest's working set seldom
 * fills it.
 *
 * Key and validity.  A unit's code is found through its first block (host
 * address of its bytes, mode bits) and rip, because rip is in the code.  It
 * is valid as long as the decoded blocks are: the run loop compares code_gen.
 * Linked code does not pass the run loop.  So when a page's code is written,
 * the entry of each unit in it is overwritten by a jump out; the run loop
 * finds the bytes unchanged, or not, and puts the entry back in the first
 * case.  Other threads (processors, DMA) put the page into a list and raise
 * REQ_CODE.  A unit that runs while its entry is overwritten is left behind
 * the store, or when it looks for requests.
 *
 * Links.  A jump inside one page goes directly to the entry: whoever runs in
 * this page has its translation.  To another page of the kernel it does, too,
 * until something changes about the translations of kernel code: then all
 * such links are undone before code is entered again.  To another page of a
 * user program it goes over a bridge that compares the TLB's entry for the
 * target with what it was when the link was made; that outlives flushes of
 * other translations.
 */
#include "cpu/jit/cache.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/interp/interp.h"
#include "cpu/jit/translate.h"
#include "cpu/mmu.h"

static unsigned page_hash(const uint8_t *host)
{
    uint64_t page = (uintptr_t)host >> PAGE_SHIFT;

    return page * 0x9e3779b97f4a7c15ull >> (64 - JIT_PAGE_BITS);
}

struct jit_block *cache_lookup(const struct block *b, uint64_t rip)
{
    struct jit_block *jb = b->jit;

    while (jb && jb->rip != rip)
        jb = jb->next;
    return jb;
}

void cache_drop(struct block *b, struct jit_block *jb)
{
    struct jit_block **p = &b->jit;

    while (*p && *p != jb)
        p = &(*p)->next;
    if (*p)
        *p = jb->next;
}

void *cache_alloc(struct jit *j, size_t n)
{
    void *p = j->data_at;

    j->data_at += (n + 15) & ~(size_t)15;
    return p;
}

static void jumps_clear(struct jit_jump *table)
{
    /* addresses that are looked for in another place */
    for (uint64_t n = 0; n < 1u << JIT_JUMP_BITS; n++)
        table[n] = (struct jit_jump){ n == 0, NULL };
}

static void jumps_clear_all(struct jit *j)
{
    for (unsigned n = 0; n < JIT_TABLES; n++)
        jumps_clear(j->jumps[n]);
}

void jit_flush(struct vcpu *cpu)
{
    struct jit *j = cpu->jit;

    if (!j)
        return;
    for (struct jit_block *jb = j->all; jb; jb = jb->all_next)
        jb->b->jit = NULL;
    j->all = NULL;
    memset(j->page, 0, sizeof j->page);
    jumps_clear_all(j);
    j->at = j->start;
    j->data_at = j->data;
    j->pending = NULL;
    j->direct = NULL;
    j->interpret = NULL;
    j->n_flushes++;
}

bool cache_room(struct vcpu *cpu)
{
    struct jit *j = cpu->jit;

    if ((size_t)(j->end - j->at) >= JIT_CODE_ROOM &&
        (size_t)(j->data_end - j->data_at) >= JIT_DATA_ROOM)
        return true;
    jit_flush(cpu);
    return false;
}

/* It can be entered: stores into its page have to find it. */
static void page_add(struct jit *j, struct jit_block *jb)
{
    struct jit_block **head = &j->page[page_hash(jb->b->host)];

    jb->page_next = *head;
    *head = jb;
}

void cache_add(struct vcpu *cpu, struct jit_block *jb)
{
    struct jit *j = cpu->jit;

    jb->next = jb->b->jit;
    jb->b->jit = jb;
    jb->all_next = j->all;
    j->all = jb;
    page_add(j, jb);
    memcpy(jb->entry, jb->code, JIT_ENTRY);
    j->n_blocks++;
    j->n_parts += jb->parts;
    if (j->perf)
        fprintf(j->perf,
                "%" G_GINT64_MODIFIER "x %x guest-%" G_GINT64_MODIFIER "x\n",
                (uint64_t)(uintptr_t)(jb->code + j->rx), jb->code_bytes,
                jb->rip);
}

static void jump_forget(struct jit *j, struct jit_block *jb)
{
    for (unsigned n = 0; n < JIT_TABLES; n++) {
        struct jit_jump *e = jump_slot(j->jumps[n], jb->lin);

        if (e->code == jb->state + j->rx)
            e->lin = jb->lin ^ 1;
    }
}

static void take_back(struct jit *j, struct jit_block *jb)
{
    struct emit e = { jb->code };

    jb->patched = true;
    emit_jmp_to(&e, jb->self_stub);
    jump_forget(j, jb);
    for (struct jit_link *l = jb->in; l; l = l->in_next)
        if (l->to == jb)
            emit_patch(l->site, l->stub);
    jb->in = NULL;
    j->n_unlinks++;
}

bool cache_jumps_init(struct jit *j)
{
    for (unsigned n = 0; n < JIT_TABLES; n++) {
        j->jumps[n] = g_try_malloc(sizeof **j->jumps << JIT_JUMP_BITS);
        if (!j->jumps[n])
            return false;
    }
    jumps_clear_all(j);
    return true;
}

void cache_jumps_finish(struct jit *j)
{
    for (unsigned n = 0; n < JIT_TABLES; n++)
        g_free(j->jumps[n]);
}

/*
 * One table for each key, so that nothing but the address has to be compared
 * and no address space drives out what another one has.
 */
void cache_jumps_choose(struct vcpu *cpu)
{
    struct jit *j = cpu->jit;
    unsigned best = 0;

    for (unsigned n = 0; n < JIT_TABLES; n++) {
        if (j->jumps_key[n] == cpu->key) {
            best = n;
            break;
        }
        if (j->jumps_used[n] < j->jumps_used[best])
            best = n;
    }
    if (j->jumps_key[best] != cpu->key) {
        j->jumps_key[best] = cpu->key;
        jumps_clear(j->jumps[best]);
    }
    j->jumps_used[best] = ++j->jumps_clock;
    cpu->jit_jumps = j->jumps[best];
}

void cache_jump(struct vcpu *cpu, struct jit_block *jb, uint64_t lin)
{
    struct jit *j = cpu->jit;

    if (jb->lin != lin)
        jump_forget(j, jb);
    jb->lin = lin;
    *jump_slot(cpu->jit_jumps, lin) =
        (struct jit_jump){ lin, jb->state + j->rx };
}

void cache_unlink(struct jit *j, struct jit_block *jb)
{
    struct jit_block **p = &j->page[page_hash(jb->b->host)];

    if (jb->patched)
        return;
    while (*p != jb)
        p = &(*p)->page_next;
    *p = jb->page_next;
    take_back(j, jb);
}

void cache_relink(struct jit *j, struct jit_block *jb)
{
    if (!jb->patched)
        return;
    memcpy(jb->code, jb->entry, JIT_ENTRY);
    jb->patched = false;
    page_add(j, jb);
}

/* All units of this page, or of all pages with this hash. */
static void unlink_list(struct jit *j, struct jit_block **p,
                        const uint8_t *page)
{
    while (*p) {
        struct jit_block *jb = *p;

        if (page && ((uintptr_t)jb->b->host ^ (uintptr_t)page) >> PAGE_SHIFT) {
            p = &jb->page_next;
            continue;
        }
        *p = jb->page_next;
        take_back(j, jb);
    }
}

static void unlink_page(struct jit *j, const uint8_t *page)
{
    unlink_list(j, &j->page[page_hash(page)], page);
}

void jit_code_hit(struct vcpu *cpu, const uint8_t *page)
{
    uint64_t before = cpu->jit->n_unlinks;

    unlink_page(cpu->jit, page);
    if (cpu->jit->n_unlinks != before)
        cpu_attend(cpu, REQ_CODE);
}

void jit_code_hit_later(struct vcpu *cpu, const uint8_t *page)
{
    struct jit *j = cpu->jit;

    pthread_mutex_lock(&j->lock);
    if (j->hits < JIT_HITS)
        j->hit[j->hits++] = page;
    else
        j->hit_all = true;
    pthread_mutex_unlock(&j->lock);
    __atomic_fetch_or(&cpu->requests, REQ_CODE, __ATOMIC_SEQ_CST);
}

void jit_code_hits(struct vcpu *cpu)
{
    struct jit *j = cpu->jit;
    const uint8_t *page[JIT_HITS];
    unsigned hits;
    bool all;

    __atomic_fetch_and(&cpu->requests, ~REQ_CODE, __ATOMIC_SEQ_CST);
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    hits = j->hits;
    all = j->hit_all;
    memcpy(page, j->hit, sizeof page);
    j->hits = 0;
    j->hit_all = false;
    pthread_mutex_unlock(&j->lock);
    for (unsigned n = 0; n < hits; n++)
        unlink_page(j, page[n]);
    if (!all)
        return;
    for (unsigned n = 0; n < 1u << JIT_PAGE_BITS; n++)
        unlink_list(j, &j->page[n], NULL);
}

/* --- links --------------------------------------------------------------- */

/* Compares [S2 + at] with a value; jumps at *rel if it differs. */
static uint8_t *compare_tlb(struct emit *e, size_t at, uint64_t value)
{
    struct host_mem m = { H_S2, H_NONE, 0, false, (int32_t)at };

    emit_mov_imm(e, H_S1, value);
    emit_rm(e, true, 0x3b, H_S1, &m);
    return emit_jcc(e, CC_NE);
}

/* The way to a block in another page. */
static void bridge(struct vcpu *cpu, struct jit_link *l,
                   const struct jit_block *to, const struct tlb_entry *entry)
{
    struct jit *j = cpu->jit;
    struct emit e = { j->at };
    uint64_t base = cpu->fast[SEG_CS].base;
    size_t at = (size_t)((const uint8_t *)entry - (const uint8_t *)cpu->tlb);
    uint8_t *rel[3];
    unsigned rels = 0;

    l->bridge = e.p;
    if (l->flags && !l->state)
        flags_to_state(&e);
    emit_load(&e, true, H_S2, offsetof(struct vcpu, tlb));
    rel[rels++] = compare_tlb(&e, at, entry->tag);
    rel[rels++] = compare_tlb(&e, at + 8, (uint64_t)(uintptr_t)entry->host);
    if (base || cpu->rip_mask != ~0ull) {
        struct host_mem m = state_mem(offsetof(struct vcpu, fast) +
                                      SEG_CS * sizeof(struct seg_fast));

        emit_mov_imm(&e, H_S1, base);
        emit_rm(&e, true, 0x3b, H_S1, &m);
        rel[rels++] = emit_jcc(&e, CC_NE);
    }
    emit_jmp_to(&e, l->flags ? to->state : to->code);
    for (unsigned n = 0; n < rels; n++)
        emit_patch(rel[n], e.p);
    if (l->flags && !l->state)
        flags_from_state(&e);
    emit_jmp_to(&e, l->stub);
    j->at = e.p;
    l->bridge_to = to;
    l->bridge_host = entry->host;
    l->bridge_lin = base + l->rip;
    j->n_bridges++;
}

/* `to` will be told if its entry is taken back: who jumps to it does so with
 * the flags in jit_flags, which it would not find. */
static void note_in(struct jit_link *l, struct jit_block *to)
{
    struct jit_link **p;

    if (l->to) {
        for (p = &l->to->in; *p && *p != l; p = &(*p)->in_next)
            ;
        if (*p)
            *p = l->in_next;
    }
    l->to = to;
    l->in_next = to->in;
    to->in = l;
}

static void link_directly(struct jit *j, struct jit_link *l,
                          struct jit_block *to)
{
    if (l->state)
        note_in(l, to);
    emit_patch(l->site, l->state ? to->state : to->code);
    j->n_links++;
}

void cache_check_direct(struct vcpu *cpu)
{
    struct jit *j = cpu->jit;

    if (likely(j->direct_gen == cpu->kernel.gen))
        return;
    j->direct_gen = cpu->kernel.gen;
    for (struct jit_link *l = j->direct; l; l = l->direct_next) {
        l->direct = false;
        emit_patch(l->site, l->stub);
    }
    j->direct = NULL;
}

/* Kernel code changes its place so seldom that its links need no bridges. */
static bool is_kernel_link(const struct vcpu *cpu, const struct jit_block *to)
{
    return !(to->mode & MODE_USER) && (cpu->code64 || (to->mode & MODE_FLAT));
}

void cache_link(struct vcpu *cpu, struct jit_link *l, struct jit_block *to)
{
    struct jit *j = cpu->jit;
    uint64_t lin = cpu->fast[SEG_CS].base + l->rip;
    struct tlb_slot s;

    if (l->rip != to->rip || l->from->mode != to->mode)
        return;
    if (!l->site) {
        struct emit e = { l->from->code };

        if (l->from != to && l->from->patched &&
            l->from->b->host == to->b->host)
            emit_jmp_to(&e, to->code);
        return;
    }
    if (!l->cross) {
        link_directly(j, l, to);
        return;
    }
    if (!cpu->long_mode)
        lin = (uint32_t)lin;
    /* the run loop may know the way without the TLB having an entry; a fault
     * here is one of the fetch */
    cpu->fetching = true;
    s = mmu_find(cpu, lin, ACCESS_EXEC, mmu_mode(cpu));
    cpu->fetching = false;
    if ((lin ^ s.e->tag) >= PAGE_BYTES ||
        s.e->host + (lin & 0xfff) != to->b->host)
        return;
    if (is_kernel_link(cpu, to)) {
        cache_check_direct(cpu);
        if (!l->direct) {
            l->direct = true;
            l->direct_next = j->direct;
            j->direct = l;
        }
        link_directly(j, l, to);
        return;
    }
    if (l->bridge_to != to || l->bridge_host != s.e->host ||
        l->bridge_lin != lin) {
        if ((size_t)(j->end - j->at) < JIT_CODE_ROOM)
            return;
        bridge(cpu, l, to, s.e);
    }
    if (l->flags)
        note_in(l, to);
    emit_patch(l->site, l->bridge);
    j->n_links++;
}
