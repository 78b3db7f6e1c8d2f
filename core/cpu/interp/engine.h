/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all vCPUs of a VM share in the software engine (vm->accel_data), and
 * the run loop's entry points for the other parts of the engine.
 */
#ifndef CPU_INTERP_ENGINE_H
#define CPU_INTERP_ENGINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cpu/vcpu.h"
#include "hwaccel/accel.h"

/* What is written to the trace, by name in interp_trace() */
#define TRACE_EXC  0x1 /* exceptions and interrupts, with state */
#define TRACE_INSN 0x2 /* each instruction, disassembled: slow */
#define TRACE_MODE 0x4 /* changes of mode: CR0, CR4, EFER */
#define TRACE_MSR  0x8
#define TRACE_IO   0x10 /* ports */
#define TRACE_APIC 0x20

struct cpuid_result;

struct interp_vm {
    pthread_mutex_t bus; /* bus_lock(): split and device locks */
    uint32_t marking;    /* [any] flushes for new code under way */
    /* Leaves 40000000h and up: of the hypervisor interface; NULL: zeros */
    void (*hv_cpuid)(struct vcpu *cpu, uint32_t leaf, struct cpuid_result *r);
    unsigned trace; /* TRACE_* */
    FILE *log;
};

static inline struct interp_vm *engine_of(const struct vcpu *cpu);

enum accel_exit interp_run(struct vcpu *cpu, uint64_t budget,
                           uint64_t *executed);
void trace_insn(struct vcpu *cpu, const struct x86_insn *i);

/* Turns traces on: names with commas ("exc,msr"), to `log`.  False: a name
 * is not known.  The VM must be stopped. */
bool interp_trace(struct vm *vm, const char *names, FILE *log);

void cpu_trace(struct vcpu *cpu, unsigned what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define CPU_TRACE(cpu, what, ...)                                \
    do {                                                         \
        if (__builtin_expect(engine_of(cpu)->trace & (what), 0)) \
            cpu_trace(cpu, what, __VA_ARGS__);                   \
    } while (0)

/* Something about the guest worth a line, once. */
void cpu_report(struct vcpu *cpu, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#include "vm/vm.h"

static inline struct interp_vm *engine_of(const struct vcpu *cpu)
{
    return cpu->vm->accel_data;
}

#endif
