/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory accesses that the inline paths of interp.h do not serve: checks of
 * segments and alignment, TLB misses, page crossings, devices, code and
 * tracked pages, data breakpoints.
 */
#include <string.h>

#include "cpu/interp/engine.h"
#include "cpu/interp/interp.h"
#include "cpu/mmu.h"
#include "cpu/mode.h"
#include "cpu/segment.h"
#include "cpu/sync.h"
#include "irq/lapic.h"

/* --- one page ------------------------------------------------------------ */

static uint64_t slot_ld(struct vcpu *cpu, const struct tlb_slot *s,
                        uint64_t lin, unsigned n)
{
    unsigned off = lin & 0xfff;

    if (s->info->mem)
        return host_ld(s->e->host + off, n);
    return phys_ld(cpu, s->info->phys + off, n);
}

/* When nothing asks for care any more, the entry becomes a fast one. */
static void slot_calm(const struct tlb_slot *s, uint64_t lin)
{
    if (!page_is_slow(s->info->mem, s->info->mem_page))
        s->e->tag = lin & ~0xfffull;
}

static void slot_st(struct vcpu *cpu, const struct tlb_slot *s, uint64_t lin,
                    uint64_t value, unsigned n)
{
    unsigned off = lin & 0xfff;

    if (s->info->kind == TLB_ROM)
        return;
    if (s->info->kind != TLB_RAM) {
        phys_st(cpu, s->info->phys + off, value, n);
        return;
    }
    host_st(s->e->host + off, value, n);
    if (s->e->tag != (lin & ~0xfffull)) {
        code_written(cpu, s->info->mem, s->info->mem_page, off, n);
        slot_calm(s, lin);
    }
}

/* --- by linear address --------------------------------------------------- */

static inline uint64_t lin_trim(const struct vcpu *cpu, uint64_t lin)
{
    return cpu->long_mode ? lin : (uint32_t)lin;
}

static bool crosses(uint64_t lin, unsigned n)
{
    return (lin & 0xfff) + n > PAGE_BYTES;
}

uint64_t lin_ld_slow(struct vcpu *cpu, uint64_t lin, unsigned n,
                     enum tlb_mode mode)
{
    struct tlb_slot s;
    uint64_t v = 0;

    lin = lin_trim(cpu, lin);
    s = mmu_find(cpu, lin, ACCESS_READ, mode);
    if (!crosses(lin, n) && (n & (n - 1)) == 0)
        return slot_ld(cpu, &s, lin, n);
    for (unsigned k = 0; k < n; k++) {
        uint64_t at = lin_trim(cpu, lin + k);

        s = mmu_find(cpu, at, ACCESS_READ, mode);
        v |= slot_ld(cpu, &s, at, 1) << k * 8;
    }
    return v;
}

void lin_probe(struct vcpu *cpu, uint64_t lin, unsigned n,
               enum tlb_access access, enum tlb_mode mode)
{
    lin = lin_trim(cpu, lin);
    mmu_find(cpu, lin, access, mode);
    if (crosses(lin, n))
        mmu_find(cpu, lin_trim(cpu, (lin + n - 1) & ~0xfffull), access, mode);
}

void lin_st_slow(struct vcpu *cpu, uint64_t lin, uint64_t value, unsigned n,
                 enum tlb_mode mode)
{
    struct tlb_slot s;

    lin = lin_trim(cpu, lin);
    s = mmu_find(cpu, lin, ACCESS_WRITE, mode);
    if (!crosses(lin, n)) {
        slot_st(cpu, &s, lin, value, n);
        return;
    }
    mmu_find(cpu, lin_trim(cpu, (lin + n - 1) & ~0xfffull), ACCESS_WRITE, mode);
    for (unsigned k = 0; k < n; k++) {
        uint64_t at = lin_trim(cpu, lin + k);

        s = mmu_find(cpu, at, ACCESS_WRITE, mode);
        slot_st(cpu, &s, at, value >> k * 8, 1);
    }
}

void lin_or8(struct vcpu *cpu, uint64_t lin, uint8_t set, uint8_t clear)
{
    struct tlb_slot s;
    uint8_t *p;

    lin = lin_trim(cpu, lin);
    s = mmu_find(cpu, lin, ACCESS_WRITE, TLB_SUPER);
    if (s.info->kind != TLB_RAM) {
        slot_st(cpu, &s, lin, (slot_ld(cpu, &s, lin, 1) | set) & ~clear, 1);
        return;
    }
    p = s.e->host + (lin & 0xfff);
    if (set)
        __atomic_fetch_or(p, set, __ATOMIC_SEQ_CST);
    if (clear)
        __atomic_fetch_and(p, (uint8_t)~clear, __ATOMIC_SEQ_CST);
    code_written(cpu, s.info->mem, s.info->mem_page, lin & 0xfff, 1);
}

/* --- by segment ---------------------------------------------------------- */

_Noreturn static void segment_fault(struct vcpu *cpu, unsigned seg)
{
    cpu_raise_err(cpu, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
}

static uint64_t check_legacy(struct vcpu *cpu, unsigned seg, uint64_t off,
                             unsigned n, bool write)
{
    const struct x86_segment *s = &cpu->st.seg[seg];

    if (is_protected(cpu)) {
        if ((s->attr & SEG_UNUSABLE) || !(s->attr & SEG_P))
            cpu_gp0(cpu);
        if (s->attr & SEG_TYPE_CODE ? write || !(s->attr & SEG_TYPE_WRITE)
                                    : write && !(s->attr & SEG_TYPE_WRITE))
            cpu_gp0(cpu);
        if (!segment_holds(s, off, n))
            segment_fault(cpu, seg);
    } else if (off + n - 1 > s->limit) {
        segment_fault(cpu, seg);
    }
    return (uint32_t)(s->base + off);
}

/* The linear address of an access, or the fault that forbids it. */
static uint64_t seg_lin(struct vcpu *cpu, unsigned seg, uint64_t off,
                        unsigned n, bool write)
{
    uint64_t lin;

    if (cpu->code64) {
        lin = cpu->fast[seg].base + off;
        if (!is_canonical(lin) || !is_canonical(lin + n - 1))
            segment_fault(cpu, seg);
    } else {
        lin = check_legacy(cpu, seg, off, n, write);
    }
    if (cpu->cpl == 3 && n <= 8 && (lin & (n - 1)) && (cpu->st.cr0 & CR0_AM) &&
        (cpu->st.rflags & FL_AC))
        cpu_raise_err(cpu, EXC_AC, 0);
    return lin;
}

/* Data breakpoints: a trap after the instruction.  SDM 3B 17.2.5 */
static void watch(struct vcpu *cpu, uint64_t lin, unsigned n, bool write)
{
    uint64_t dr7 = cpu->st.dr[7];

    for (unsigned k = 0; k < 4; k++) {
        unsigned rw = dr7 >> (16 + k * 4) & 3;
        unsigned len = dr7 >> (18 + k * 4) & 3;
        uint64_t bytes = len == 2 ? 8 : len + 1;
        uint64_t base = cpu->st.dr[k] & ~(bytes - 1);

        if (!(dr7 >> k * 2 & 3) || !(rw == 3 || (rw == 1 && write)))
            continue;
        if (lin < base + bytes && base < lin + n)
            cpu->db_pending |= 1u << k;
    }
}

uint64_t ld_slow(struct vcpu *cpu, unsigned seg, uint64_t off, unsigned n)
{
    uint64_t lin = seg_lin(cpu, seg, off, n, false);
    uint64_t v = lin_ld(cpu, lin, n, mmu_mode(cpu));

    if (cpu->bp_data)
        watch(cpu, lin, n, false);
    return v;
}

uint64_t ldw_slow(struct vcpu *cpu, unsigned seg, uint64_t off, unsigned n)
{
    uint64_t lin = seg_lin(cpu, seg, off, n, true);

    lin_probe(cpu, lin, n, ACCESS_WRITE, mmu_mode(cpu));
    return lin_ld(cpu, lin, n, mmu_mode(cpu));
}

void st_slow(struct vcpu *cpu, unsigned seg, uint64_t off, uint64_t value,
             unsigned n)
{
    uint64_t lin = seg_lin(cpu, seg, off, n, true);

    lin_st(cpu, lin, value, n, mmu_mode(cpu));
    if (cpu->bp_data)
        watch(cpu, lin, n, true);
}

void probe_write(struct vcpu *cpu, unsigned seg, uint64_t off, unsigned n)
{
    lin_probe(cpu, seg_lin(cpu, seg, off, n, true), n, ACCESS_WRITE,
              mmu_mode(cpu));
}

/* --- blocks of bytes ----------------------------------------------------- */

/* One piece inside a page, memory or device. */
static void piece_ld(struct vcpu *cpu, uint64_t lin, uint8_t *dst, unsigned n)
{
    struct tlb_slot s = mmu_find(cpu, lin, ACCESS_READ, mmu_mode(cpu));

    if (s.info->mem) {
        memcpy(dst, s.e->host + (lin & 0xfff), n);
        return;
    }
    while (n) {
        unsigned k = n >= 8 && !(lin & 7)   ? 8
                     : n >= 4 && !(lin & 3) ? 4
                     : n >= 2 && !(lin & 1) ? 2
                                            : 1;
        uint64_t v = phys_ld(cpu, s.info->phys + (lin & 0xfff), k);

        memcpy(dst, &v, k);
        dst += k;
        lin += k;
        n -= k;
    }
}

static void piece_st(struct vcpu *cpu, uint64_t lin, const uint8_t *src,
                     unsigned n)
{
    struct tlb_slot s = mmu_find(cpu, lin, ACCESS_WRITE, mmu_mode(cpu));

    if (s.info->kind == TLB_ROM)
        return;
    if (s.info->kind == TLB_RAM) {
        memcpy(s.e->host + (lin & 0xfff), src, n);
        code_written(cpu, s.info->mem, s.info->mem_page, lin & 0xfff, n);
        return;
    }
    while (n) {
        unsigned k = n >= 8 && !(lin & 7)   ? 8
                     : n >= 4 && !(lin & 3) ? 4
                     : n >= 2 && !(lin & 1) ? 2
                                            : 1;
        uint64_t v = 0;

        memcpy(&v, src, k);
        phys_st(cpu, s.info->phys + (lin & 0xfff), v, k);
        src += k;
        lin += k;
        n -= k;
    }
}

void ld_bytes(struct vcpu *cpu, unsigned seg, uint64_t off, void *dst,
              unsigned n)
{
    uint8_t *p = tlb_hit_r(cpu, seg, off, n), *d = dst;
    uint64_t lin;
    unsigned first;

    if (p) {
        memcpy(dst, p, n);
        return;
    }
    lin = seg_lin(cpu, seg, off, n, false);
    first = PAGE_BYTES - (lin & 0xfff);
    if (first > n)
        first = n;
    /* both pages before either is read: devices must not see half */
    lin_probe(cpu, lin, n, ACCESS_READ, mmu_mode(cpu));
    piece_ld(cpu, lin, d, first);
    if (n > first)
        piece_ld(cpu, lin_trim(cpu, lin + first), d + first, n - first);
    if (cpu->bp_data)
        watch(cpu, lin, n, false);
}

void st_bytes(struct vcpu *cpu, unsigned seg, uint64_t off, const void *src,
              unsigned n)
{
    uint8_t *p = tlb_hit_w(cpu, seg, off, n);
    const uint8_t *s = src;
    uint64_t lin;
    unsigned first;

    if (p) {
        memcpy(p, src, n);
        return;
    }
    lin = seg_lin(cpu, seg, off, n, true);
    first = PAGE_BYTES - (lin & 0xfff);
    if (first > n)
        first = n;
    lin_probe(cpu, lin, n, ACCESS_WRITE, mmu_mode(cpu));
    piece_st(cpu, lin, s, first);
    if (n > first)
        piece_st(cpu, lin_trim(cpu, lin + first), s + first, n - first);
    if (cpu->bp_data)
        watch(cpu, lin, n, true);
}

/* --- host pointers ------------------------------------------------------- */

void *ptr_slow(struct vcpu *cpu, unsigned seg, uint64_t off, unsigned n)
{
    uint64_t lin = seg_lin(cpu, seg, off, n, true);
    struct tlb_slot s;

    lin_probe(cpu, lin, n, ACCESS_WRITE, mmu_mode(cpu));
    if (crosses(lin, n) || cpu->bp_data)
        return NULL;
    s = mmu_find(cpu, lin, ACCESS_WRITE, mmu_mode(cpu));
    if (s.info->kind != TLB_RAM)
        return NULL;
    if (page_is_slow(s.info->mem, s.info->mem_page))
        code_written_late(cpu, s.info->mem, s.info->mem_page, lin & 0xfff, n);
    return s.e->host + (lin & 0xfff);
}

/* Bytes from `off` to the end of the segment as the inline paths know it. */
static uint64_t segment_room(struct vcpu *cpu, unsigned seg, uint64_t off,
                             bool write)
{
    const struct seg_fast *f = &cpu->fast[seg];
    uint64_t end = write ? f->write_end : f->read_end;

    return off < end ? end - off : 0;
}

void *rep_ptr(struct vcpu *cpu, unsigned seg, uint64_t off, bool write,
              unsigned *bytes)
{
    uint64_t room = segment_room(cpu, seg, off, write);
    uint64_t lin = cpu->fast[seg].base + off;
    unsigned page_room = PAGE_BYTES - (lin & 0xfff);
    enum tlb_access access = write ? ACCESS_WRITE : ACCESS_READ;
    struct tlb_slot s;

    if (!room)
        return NULL;
    if (cpu->code64 ? !is_canonical(lin) : lin > 0xffffffffu)
        return NULL;
    /* no fill: a fault here would come before the iterations that were done
     * are in the registers */
    s.e = &cpu->tlb->e[access][TLB_INDEX(lin)];
    s.info = &cpu->tlb->info[access][TLB_INDEX(lin)];
    if (((lin ^ s.e->tag) & ~TLB_SLOW) >= PAGE_BYTES || s.info->kind != TLB_RAM)
        return NULL;
    *bytes = room < page_room ? (unsigned)room : page_room;
    if (write && page_is_slow(s.info->mem, s.info->mem_page)) {
        if (__atomic_load_n(&s.info->mem->code_lines[s.info->mem_page],
                            __ATOMIC_SEQ_CST))
            return NULL;
        code_written_late(cpu, s.info->mem, s.info->mem_page, lin & 0xfff,
                          *bytes);
    }
    return s.e->host + (lin & 0xfff);
}

/* --- locks that no host instruction can do ------------------------------- */

void bus_lock(struct vcpu *cpu)
{
    /* the holder may be in a device that waits for this vCPU to flush */
    guest_leave(cpu);
    pthread_mutex_lock(&engine_of(cpu)->bus);
    guest_enter(cpu);
    cpu->bus_locked = 1;
}

void bus_unlock(struct vcpu *cpu)
{
    cpu->bus_locked = 0;
    pthread_mutex_unlock(&engine_of(cpu)->bus);
}
