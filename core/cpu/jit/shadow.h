/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that a vCPU may write without anybody noticing; see shadow.c.
 * [vcpu thread]
 */
#ifndef CPU_JIT_SHADOW_H
#define CPU_JIT_SHADOW_H

#include "cpu/vcpu.h"

/* What cannot be done in the shadow */
enum shadow_stop {
    STOP_NONE,
    STOP_DEVICE, /* an access outside of memory */
    STOP_ROOM,   /* too many pages */
};
#define SHADOW_JUMP 2 /* what sigsetjmp(cpu->jump) returns then */

#define SHADOW_PAGES 64
#define SHADOW_FILLS 512

struct shadow_page {
    const struct memory *mem;
    uint64_t mem_page;
    uint8_t *host;
    /* the host's instructions may want the guest's alignment */
    _Alignas(64) uint8_t now[PAGE_BYTES];
    uint8_t orig[PAGE_BYTES];
};

struct shadow {
    struct tlb_space space;
    struct tlb_space *real;
    struct tlb_entry *fill[SHADOW_FILLS];
    uint8_t fill_access[SHADOW_FILLS];
    unsigned fills, pages;
    bool walking; /* in the page tables */
    enum shadow_stop stop;
    struct shadow_page page[SHADOW_PAGES];
};

struct shadow *shadow_new(void); /* NULL: no memory */
void shadow_free(struct shadow *s);

/* From begin to end the vCPU reads the machine's memory and writes to the
 * shadow.  Nothing may have been written there when it begins: */
void shadow_begin(struct vcpu *cpu, struct shadow *s);
/* ... and what depends on the address space has to be set anew then. */
void shadow_end(struct vcpu *cpu, struct shadow *s);
/* Nothing is written any more; the pages are still known. */
void shadow_rewind(struct shadow *s);
/* Nor are they. */
void shadow_clear(struct shadow *s);
/* Has code of the machine been written? */
bool shadow_has_code(const struct shadow *s);
/* Has something else written to a page that the vCPU has written to? */
bool shadow_is_stale(const struct shadow *s);
/* Out of it, by the jump. */
_Noreturn void shadow_leave(struct vcpu *cpu, enum shadow_stop why);

#endif
