/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segmentation: descriptors, loads of segment registers, far transfers.
 * Everything raises the exception that the manual names before it changes
 * state.  [vcpu thread]
 */
#ifndef CPU_SEGMENT_H
#define CPU_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/mmu.h"
#include "cpu/vcpu.h"

/* Types of system descriptors */
enum {
    SYS_TSS16 = 1,
    SYS_LDT = 2,
    SYS_TSS16_BUSY = 3,
    SYS_CALL16 = 4,
    SYS_TASK_GATE = 5,
    SYS_INT16 = 6,
    SYS_TRAP16 = 7,
    SYS_TSS32 = 9,
    SYS_TSS32_BUSY = 11,
    SYS_CALL32 = 12,
    SYS_INT32 = 14,
    SYS_TRAP32 = 15,
};

/* A descriptor as it is in memory. */
static inline unsigned desc_type(uint64_t d)
{
    return d >> 40 & 15;
}
static inline bool desc_is_code_or_data(uint64_t d)
{
    return d >> 44 & 1;
}
static inline bool desc_is_code(uint64_t d)
{
    return (d >> 43 & 3) == 3;
}
static inline bool desc_is_conforming(uint64_t d)
{
    return (d >> 42 & 7) == 7;
}
static inline unsigned desc_dpl(uint64_t d)
{
    return d >> 45 & 3;
}
static inline bool desc_is_present(uint64_t d)
{
    return d >> 47 & 1;
}
static inline bool desc_is_long(uint64_t d)
{
    return d >> 53 & 1;
}
static inline bool desc_is_32(uint64_t d)
{
    return d >> 54 & 1;
}
/* data: S set, not code, W set */
static inline bool desc_is_writable(uint64_t d)
{
    return (d >> 41 & 0xd) == 0x9;
}
static inline uint32_t desc_base(uint64_t d)
{
    return (uint32_t)(d >> 16 & 0xffffff) | (uint32_t)(d >> 56) << 24;
}
static inline uint32_t desc_limit(uint64_t d)
{
    uint32_t limit = (uint32_t)(d & 0xffff) | (uint32_t)(d >> 32 & 0xf0000);

    return d >> 55 & 1 ? limit << 12 | 0xfff : limit;
}
static inline uint16_t desc_attr(uint64_t d)
{
    return (uint16_t)((d >> 40 & 0xff) | (d >> 44 & 0xf00));
}
static inline uint32_t gate_offset(uint64_t d)
{
    return (uint32_t)(d & 0xffff) | (uint32_t)(d >> 32 & 0xffff0000u);
}
static inline uint16_t gate_selector(uint64_t d)
{
    return (uint16_t)(d >> 16);
}

static inline bool sel_is_null(uint16_t sel)
{
    return !(sel & 0xfffc);
}

/* False: outside its table.  `lin`, when not NULL: where it is. */
bool desc_read(struct vcpu *cpu, uint16_t sel, uint64_t *desc, uint64_t *lin);
/* The upper half of a 16-byte system descriptor behind `lin`. */
uint64_t desc_read_high(struct vcpu *cpu, uint64_t lin);
void desc_set_accessed(struct vcpu *cpu, uint16_t sel, uint64_t *desc);
void desc_to_segment(struct x86_segment *s, uint16_t sel, uint64_t desc);

/* Whether [off, off + n) is inside a segment (not 64-bit mode). */
bool segment_holds(const struct x86_segment *s, uint64_t off, unsigned n);

/* MOV Sw, POP, LDS..: loads ES, SS, DS, FS or GS. */
void segment_load(struct vcpu *cpu, unsigned seg, uint16_t sel);
/* Loads SS during transfers and task switches with `fault` (#TS, #GP) for
 * what is wrong with it; only checks and reads when out is given. */
void segment_check_stack(struct vcpu *cpu, uint16_t sel, unsigned cpl,
                         unsigned fault, unsigned ext, struct x86_segment *out);
/* After a return to an outer level: drops segments it may not use.  True:
 * there were some. */
bool segment_drop_inner(struct vcpu *cpu);
/* Sets CS (RPL becomes cpl) and, when not NULL, SS. */
void segment_enter(struct vcpu *cpu, uint16_t cs_sel, uint64_t cs_desc,
                   unsigned cpl, const struct x86_segment *ss);

void far_jump(struct vcpu *cpu, uint16_t sel, uint64_t off, unsigned osz);
void far_call(struct vcpu *cpu, uint16_t sel, uint64_t off, unsigned osz);
void far_return(struct vcpu *cpu, unsigned osz, unsigned drop);

void load_ldtr(struct vcpu *cpu, uint16_t sel);
void load_tr(struct vcpu *cpu, uint16_t sel);

/* --- a stack under construction ------------------------------------------ */

struct frame {
    struct x86_segment ss;
    uint64_t sp;
    unsigned width; /* of the stack pointer: 2, 4, 8 */
    enum tlb_mode mode;
    uint32_t error; /* of #SS */
};

/* The current stack. */
void frame_current(struct vcpu *cpu, struct frame *f);
/* The stack for privilege level `cpl` from the TSS (32- or 16-bit). */
void frame_inner(struct vcpu *cpu, struct frame *f, unsigned cpl, unsigned ext);
/* The same in long mode: RSPn, or IST `ist` when that is not 0. */
void frame_long(struct vcpu *cpu, struct frame *f, unsigned cpl, unsigned ist,
                unsigned ext);
void frame_push(struct vcpu *cpu, struct frame *f, unsigned osz,
                uint64_t value);
uint64_t frame_pop(struct vcpu *cpu, struct frame *f, unsigned osz);

/* --- task switches (task.c) ---------------------------------------------- */

enum task_source { TASK_JUMP, TASK_CALL, TASK_IRET, TASK_EVENT };

/*
 * Switches to the task of `sel` (a TSS descriptor; the caller followed task
 * gates and checked privilege).  has_error: pushes the error code on the new
 * task's stack.  ext: EXT bit of faults.
 */
void task_switch(struct vcpu *cpu, uint16_t sel, enum task_source source,
                 bool has_error, uint32_t error, unsigned ext);

#endif
