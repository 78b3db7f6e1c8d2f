/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping the caches of several vCPUs true: the flush protocol, and code
 * that is written to.
 *
 * Flush.  Whoever needs all vCPUs to forget translations raises their
 * flush_asked and REQ_TLB and waits until each one has answered or is
 * outside guest execution.  A vCPU that comes in says so first and looks at
 * its requests then; the asker does it in the other order; both with full
 * barriers, so that one of them sees the other (Dekker).  A vCPU is outside
 * while it is halted or stopped, performs a device access, or waits for the
 * others itself.
 *
 * Code.  A page from which blocks were decoded carries MEM_CODE; code_lines
 * has a bit for each 64 bytes of it that a block covers; code_gen counts the
 * times such a line was written, and a block is valid while code_gen is what
 * it was at decoding (or its bytes are still the same).  Write entries of
 * such pages are slow: the store is done, then the line's bit is looked at.
 * The decoder sets the bit before it reads the bytes, so either the store
 * sees the bit or the decoder sees the new bytes.  A page becomes MEM_CODE
 * only by a flush of everybody's write entries.
 */
#ifndef CPU_SYNC_H
#define CPU_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/vcpu.h"

/* Requests of other threads that concern cached translations. */
void sync_process(struct vcpu *cpu);

void code_late_check(struct vcpu *cpu);

/* From here on nobody waits for this vCPU. */
static inline void guest_leave(struct vcpu *cpu)
{
    /* the memory of a late store might be gone when it comes back */
    if (cpu->late_count)
        code_late_check(cpu);
    __atomic_store_n(&cpu->in_guest, 0, __ATOMIC_RELEASE);
}

static inline void guest_enter(struct vcpu *cpu)
{
    __atomic_store_n(&cpu->in_guest, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&cpu->requests, __ATOMIC_SEQ_CST) & REQ_TLB)
        sync_process(cpu);
}

/* All vCPUs forget their translations; returns when they have.  The caller
 * is in no guest execution.  [any] */
void sync_flush(struct vm *vm);

/* The same for some, a bit each.  A caller on a vCPU's thread is outside of
 * guest execution; its own vCPU forgets when it comes back. */
void sync_flush_some(struct vm *vm, uint64_t mask);

/* accel_ops.invalidate and .code_hit */
void sync_invalidate(void *vm, struct memory *mem, uint64_t first_page,
                     uint64_t pages);
void sync_code_hit(void *vm, struct memory *mem, uint64_t page);

static inline bool page_is_slow(const struct memory *mem, uint64_t page)
{
    return __atomic_load_n(&mem->page_flags[page], __ATOMIC_SEQ_CST) &
           (MEM_CODE | MEM_TRACKED);
}

/* A store of n bytes at `offset` of a page was done: keep flags and code. */
void code_written_slow(struct vcpu *cpu, struct memory *mem, uint64_t page,
                       unsigned offset, unsigned n);

static inline void code_written(struct vcpu *cpu, struct memory *mem,
                                uint64_t page, unsigned offset, unsigned n)
{
    if (page_is_slow(mem, page))
        code_written_slow(cpu, mem, page, offset, n);
}

/* The same for a store that is done through a pointer later, but before the
 * next block. */
void code_written_late(struct vcpu *cpu, struct memory *mem, uint64_t page,
                       unsigned offset, unsigned n);

/*
 * Makes [offset, offset + n) of a page known as code.  False: the vCPU was
 * outside guest execution meanwhile, so translations have to be looked up
 * again (and then it returns true).
 */
bool code_mark(struct vcpu *cpu, struct memory *mem, uint64_t page,
               unsigned offset, unsigned n);

/* The same for more of a page in which the caller has code already. */
void code_mark_more(struct memory *mem, uint64_t page, unsigned offset,
                    unsigned n);

#endif
