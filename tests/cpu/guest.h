/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tiny guests for tests of system behaviour: a VM without devices, RAM at 0,
 * and ready-made state for each mode.  Guest code is written as assembly in
 * the test itself:
 *
 *     GUEST_CODE(loop, 32, "1: dec %ecx; jnz 1b; hlt");
 *     guest_load(g, GUEST_CODE_AT, GUEST_BYTES(loop));
 *
 * It runs on the test's own thread (guest_run) unless threads are started.
 */
#ifndef TESTS_CPU_GUEST_H
#define TESTS_CPU_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/vcpu.h"
#include "hwaccel/accel.h"
#include "irq/lapic.h"
#include "sched/vcpu.h"
#include "vm/vm.h"

#define GUEST_RAM (4u << 20)

/* Where the ready-made modes keep things */
#define GUEST_IDT      0x1000u
#define GUEST_GDT      0x2000u
#define GUEST_TSS      0x3000u
#define GUEST_TSS2     0x3400u
#define GUEST_LDT      0x3800u
#define GUEST_PML4     0x4000u /* 4 KiB each; 4-level paging */
#define GUEST_PDPT     0x5000u
#define GUEST_PD       0x6000u
#define GUEST_APIC_PD  0xe000u
#define GUEST_PT       0x7000u /* the first 2 MiB in 4 KiB pages */
#define GUEST_STACK0   0xa000u /* top of level 0's stack */
#define GUEST_STACK3   0xb000u /* top of level 3's */
#define GUEST_IST1     0xc000u
#define GUEST_HANDLERS 0xd000u /* one HLT for each vector */
#define GUEST_CODE_AT  0x10000u
#define GUEST_DATA     0x20000u

/* Selectors of the ready-made GDT */
#define SEL_CODE0  0x08 /* 32-bit, or 64-bit in long mode */
#define SEL_DATA0  0x10
#define SEL_CODE3  0x1b
#define SEL_DATA3  0x23
#define SEL_TSS    0x28 /* 16 bytes in long mode */
#define SEL_TSS2   0x38
#define SEL_LDT    0x40
#define SEL_CODE16 0x48
#define SEL_DATA16 0x50
#define SEL_GATE   0x58 /* free for call gates; 16 bytes */
#define SEL_FREE   0x68
#define SEL_CONF   0x70 /* conforming code, DPL 0 */
#define SEL_ABSENT 0x78 /* data, not present */
#define SEL_COUNT  0x80

#define GUEST_CODE(name, bits, text)                                        \
    __asm__(".pushsection .rodata\n.code" #bits "\n" #name "_start:\n" text \
            "\n" #name "_end:\n.code64\n.popsection");                      \
    extern const uint8_t name##_start[], name##_end[]
/* Two symbols of the assembler, which C takes for two objects. */
#define GUEST_BYTES(name) \
    name##_start, (size_t)((uintptr_t)name##_end - (uintptr_t)name##_start)

struct guest {
    struct vm vm;
    uint8_t *ram;
    struct vcpu *cpu;     /* the first one */
    struct x86_state *st; /* its state */
};

/* model NULL: the best; tests run on the software engine. */
struct guest *guest_create(unsigned cpus, const char *model);
/* The same with a host thread for each, in real time. */
struct guest *guest_create_threads(unsigned cpus);
/* The same with everything translated; see guest_jit.h. */
struct guest *guest_create_jit(unsigned cpus, const char *model);
struct guest *guest_create_threads_jit(unsigned cpus);
void guest_destroy(struct guest *g);

/* Puts a processor into a mode, at GUEST_CODE_AT with a stack.  All interrupt
 * vectors lead to a HLT at GUEST_HANDLERS + vector. */
void guest_real(struct guest *g);
void guest_protected(struct guest *g, bool paging);
void guest_long(struct guest *g);
/* From protected or long mode: to level 3 of it. */
void guest_user(struct guest *g);
/* Software-enables the local APIC; maps its page at FEE00000h (long mode). */
void guest_enable_apic(struct guest *g);
void guest_map_apic(struct guest *g);
/* Call after the state was changed by hand. */
void guest_settle(struct guest *g);

void guest_load(struct guest *g, uint32_t at, const uint8_t *code, size_t n);
/* Until HLT or `limit` instructions. */
enum accel_exit guest_run(struct guest *g, uint64_t limit);
/* guest_run() that must end in the handler of `vector`. */
void guest_expect(struct guest *g, unsigned vector);

uint32_t guest_read32(struct guest *g, uint32_t at);
uint64_t guest_read64(struct guest *g, uint32_t at);
void guest_write32(struct guest *g, uint32_t at, uint32_t value);
void guest_write64(struct guest *g, uint32_t at, uint64_t value);
/* The n-th element of the stack: 4 bytes, in long mode 8, in real mode 2. */
uint64_t guest_stack(struct guest *g, unsigned n);

uint64_t guest_descriptor(uint32_t base, uint32_t limit, unsigned type,
                          unsigned flags);
void guest_set_descriptor(struct guest *g, unsigned sel, uint64_t value);
void guest_gate(struct guest *g, unsigned vector, unsigned sel, uint32_t offset,
                unsigned type_dpl_p);

#endif
