/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/sync.h"

#include <sched.h>
#include <time.h>

#include "cpu/interp/blocks.h"
#include "cpu/interp/engine.h"
#include "cpu/jit/jit.h"
#include "cpu/mmu.h"
#include "sched/vcpu.h"
#include "vm/vm.h"

void sync_process(struct vcpu *cpu)
{
    uint32_t ticket;

    __atomic_fetch_and(&cpu->requests, ~REQ_TLB, __ATOMIC_SEQ_CST);
    ticket = __atomic_load_n(&cpu->flush_asked, __ATOMIC_SEQ_CST);
    mmu_flush_all(cpu);
    __atomic_store_n(&cpu->flush_done, ticket, __ATOMIC_RELEASE);
}

static bool is_flushed(struct vcpu *cpu, uint32_t ticket)
{
    if (!__atomic_load_n(&cpu->in_guest, __ATOMIC_SEQ_CST))
        return true;
    return (int32_t)(__atomic_load_n(&cpu->flush_done, __ATOMIC_ACQUIRE) -
                     ticket) >= 0;
}

/* Blocks are short, so the answer is near unless its thread lost the CPU. */
static void wait_flushed(struct vcpu *cpu)
{
    uint32_t ticket = __atomic_load_n(&cpu->flush_asked, __ATOMIC_SEQ_CST);
    struct timespec pause = { 0, 20000 };

    for (unsigned n = 0; !is_flushed(cpu, ticket); n++) {
        if (n < 200)
            __builtin_ia32_pause();
        else if (n < 220)
            sched_yield();
        else
            nanosleep(&pause, NULL);
    }
}

#define ALL UINT64_MAX /* a machine has at most 64 processors */

static bool is_meant(const struct vcpu *cpu, uint64_t mask)
{
    return mask >> cpu->index & 1;
}

static void flush(struct vm *vm, uint64_t mask, uint32_t requests)
{
    for (unsigned n = 0; n < vm->vcpu_count; n++) {
        struct vcpu *cpu = vm->vcpus[n];

        if (!is_meant(cpu, mask))
            continue;
        __atomic_fetch_add(&cpu->flush_asked, 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_or(&cpu->requests, requests, __ATOMIC_SEQ_CST);
    }
    for (unsigned n = 0; n < vm->vcpu_count; n++)
        if (is_meant(vm->vcpus[n], mask))
            wait_flushed(vm->vcpus[n]);
}

/*
 * The caller is device code or the control thread.  When it is device code
 * inside a vCPU's access, that vCPU is outside: it finds its request when it
 * comes back.
 */
void sync_invalidate(void *opaque, struct memory *mem, uint64_t first_page,
                     uint64_t pages)
{
    struct vm *vm = opaque;
    uint32_t req = REQ_TLB;

    /* Blocks point into the memory; it may be about to go. */
    if (!mem || pages >= mem->size >> PAGE_SHIFT)
        req |= REQ_BLOCKS;
    flush(vm, ALL, req);
}

void sync_flush(struct vm *vm)
{
    flush(vm, ALL, REQ_TLB);
}

void sync_flush_some(struct vm *vm, uint64_t mask)
{
    flush(vm, mask, REQ_TLB);
}

/* `self`, on whose thread this is, or NULL, forgets at once. */
static void code_hit(struct vm *vm, struct vcpu *self, struct memory *mem,
                     uint64_t page)
{
    const uint8_t *host = mem->host + (page << PAGE_SHIFT);

    /* in this order: who marks lines after this reads the new count */
    __atomic_store_n(&mem->code_lines[page], 0, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&mem->code_gen[page], 1, __ATOMIC_SEQ_CST);
    for (unsigned n = 0; n < vm->vcpu_count; n++) {
        struct vcpu *cpu = vm->vcpus[n];

        if (!cpu->jit)
            continue;
        if (cpu == self)
            jit_code_hit(cpu, host);
        else
            jit_code_hit_later(cpu, host);
    }
}

void sync_code_hit(void *opaque, struct memory *mem, uint64_t page)
{
    code_hit(opaque, NULL, mem, page);
}

/* --- code ---------------------------------------------------------------- */

#define COLD_STORES 64

static uint64_t line_bits(unsigned offset, unsigned n)
{
    unsigned first = offset / 64, last = (offset + n - 1) / 64;

    return (~0ull >> (63 - (last - first))) << first;
}

/*
 * A page that no block is left of, and that is written again and again, is
 * data: its stores may be fast again.  A block that is decoded from it in
 * this moment sets its lines before it looks at MEM_CODE, so that either it
 * marks the page anew or is seen here.
 */
static void cold_store(struct vcpu *cpu, struct memory *mem, uint64_t page)
{
    uint8_t *flags = &mem->page_flags[page];

    if (cpu->cold_mem != mem || cpu->cold_page != page) {
        cpu->cold_mem = mem;
        cpu->cold_page = page;
        cpu->cold_stores = 0;
    }
    if (++cpu->cold_stores < COLD_STORES ||
        !(__atomic_load_n(flags, __ATOMIC_SEQ_CST) & MEM_CODE))
        return;
    cpu->cold_stores = 0;
    __atomic_fetch_and(flags, ~MEM_CODE, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&mem->code_lines[page], __ATOMIC_SEQ_CST))
        return;
    __atomic_fetch_or(flags, MEM_CODE, __ATOMIC_SEQ_CST);
    guest_leave(cpu);
    flush(cpu->vm, ~(1ull << cpu->index), REQ_TLB);
    guest_enter(cpu);
    mmu_slow_writes(cpu, mem, page);
}

void code_written_slow(struct vcpu *cpu, struct memory *mem, uint64_t page,
                       unsigned offset, unsigned n)
{
    uint64_t bits = line_bits(offset, n);
    uint64_t lines;

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    lines = __atomic_load_n(&mem->code_lines[page], __ATOMIC_SEQ_CST);
    if (!lines)
        cold_store(cpu, mem, page);
    if (lines & bits) {
        cpu->n_code_hits++;
        code_hit(cpu->vm, cpu, mem, page);
        blocks_code_hit(cpu, mem->host + (page << PAGE_SHIFT) + offset, n);
    }
    if (__atomic_load_n(&mem->page_flags[page], __ATOMIC_RELAXED) & MEM_TRACKED)
        memory_written(cpu->vm->map, mem, page);
}

/*
 * The store comes after this look, so other vCPUs could decode the old bytes
 * in between: the lines are looked at once more before the next block.
 */
void code_written_late(struct vcpu *cpu, struct memory *mem, uint64_t page,
                       unsigned offset, unsigned n)
{
    if (cpu->late_count == sizeof cpu->late / sizeof cpu->late[0])
        code_late_check(cpu);
    cpu->late[cpu->late_count++] =
        (struct late_code){ mem, page, line_bits(offset, n) };
    __atomic_fetch_or(&cpu->requests, REQ_LATE_CODE, __ATOMIC_RELAXED);
    code_written_slow(cpu, mem, page, offset, n);
}

void code_late_check(struct vcpu *cpu)
{
    __atomic_fetch_and(&cpu->requests, ~REQ_LATE_CODE, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (unsigned n = 0; n < cpu->late_count; n++) {
        struct late_code *l = &cpu->late[n];

        if (__atomic_load_n(&l->mem->code_lines[l->page], __ATOMIC_SEQ_CST) &
            l->lines)
            code_hit(cpu->vm, cpu, l->mem, l->page);
    }
    cpu->late_count = 0;
}

void code_mark_more(struct memory *mem, uint64_t page, unsigned offset,
                    unsigned n)
{
    uint64_t bits = line_bits(offset, n);

    if ((__atomic_load_n(&mem->code_lines[page], __ATOMIC_SEQ_CST) & bits) !=
        bits)
        __atomic_fetch_or(&mem->code_lines[page], bits, __ATOMIC_SEQ_CST);
}

bool code_mark(struct vcpu *cpu, struct memory *mem, uint64_t page,
               unsigned offset, unsigned n)
{
    struct interp_vm *engine = engine_of(cpu);
    uint64_t bits = line_bits(offset, n);
    bool first;

    if ((__atomic_load_n(&mem->code_lines[page], __ATOMIC_RELAXED) & bits) !=
        bits)
        __atomic_fetch_or(&mem->code_lines[page], bits, __ATOMIC_SEQ_CST);
    if ((__atomic_load_n(&mem->page_flags[page], __ATOMIC_SEQ_CST) &
         MEM_CODE) &&
        !__atomic_load_n(&engine->marking, __ATOMIC_SEQ_CST))
        return true;
    if (cpu->vm->vcpu_count < 2) {
        __atomic_fetch_or(&mem->page_flags[page], MEM_CODE, __ATOMIC_SEQ_CST);
        mmu_slow_writes(cpu, mem, page);
        return true;
    }
    /*
     * The flag alone does not mean that nobody has a fast write entry any
     * more: it does when no marking is under way.
     */
    guest_leave(cpu);
    __atomic_fetch_add(&engine->marking, 1, __ATOMIC_SEQ_CST);
    first = !(
        __atomic_fetch_or(&mem->page_flags[page], MEM_CODE, __ATOMIC_SEQ_CST) &
        MEM_CODE);
    if (first)
        flush(cpu->vm, ~(1ull << cpu->index), REQ_TLB);
    __atomic_fetch_sub(&engine->marking, 1, __ATOMIC_SEQ_CST);
    if (!first)
        sched_yield();
    guest_enter(cpu);
    if (first)
        mmu_slow_writes(cpu, mem, page);
    return false;
}
