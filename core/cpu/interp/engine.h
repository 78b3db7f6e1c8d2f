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

#include "cpu/vcpu.h"
#include "hwaccel/accel.h"

struct interp_vm {
    pthread_mutex_t bus; /* bus_lock(): split and device locks */
    uint32_t marking;    /* [any] flushes for new code under way */
};

static inline struct interp_vm *engine_of(const struct vcpu *cpu);

enum accel_exit interp_run(struct vcpu *cpu, uint64_t budget,
                           uint64_t *executed);

/* Something about the guest worth a line, once. */
void cpu_report(struct vcpu *cpu, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#include "vm/vm.h"

static inline struct interp_vm *engine_of(const struct vcpu *cpu)
{
    return cpu->vm->accel_data;
}

#endif
