/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an engine that executes guest code offers: the software engine
 * (core/cpu) and KVM (hwaccel/kvm) implement the same table, and the state
 * moves between them as struct x86_state.
 *
 * Life of a vCPU thread (core/sched/vcpu.c):
 *
 *   vcpu_create -> { run -> handle exit }* -> vcpu_destroy
 *
 * run() returns only when something outside the engine has to be done.  Port
 * and memory-mapped I/O are performed inside it through core/bus and
 * core/mem.
 */
#ifndef HWACCEL_ACCEL_H
#define HWACCEL_ACCEL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/state.h"
#include "mem/map.h"

struct vm;
struct vcpu;

enum accel_exit {
    ACCEL_KICKED,   /* kick() was called or a request is pending */
    ACCEL_HALTED,   /* HLT or wait-for-SIPI, nothing to deliver */
    ACCEL_SHUTDOWN, /* triple fault: the board resets */
    ACCEL_BUDGET,   /* the instruction budget is used up */
    ACCEL_DEBUG,    /* breakpoint or single step for a debugger */
    ACCEL_ERROR,    /* the engine cannot go on; text was logged */
};

typedef void accel_counter_fn(void *opaque, const char *group, const char *name,
                              uint64_t value);

struct accel_ops {
    const char *name; /* "interp", "kvm" */

    bool (*vm_create)(struct vm *vm, GError **error);
    void (*vm_destroy)(struct vm *vm);
    bool (*vcpu_create)(struct vcpu *cpu, GError **error);
    void (*vcpu_destroy)(struct vcpu *cpu);

    /*
     * Runs guest code on the calling thread, which is this vCPU's own, until
     * an exit.  budget: instructions at most, 0 = no limit (an engine that
     * cannot count refuses deterministic mode in vm_create).  *executed is
     * increased by what ran.
     */
    enum accel_exit (*run)(struct vcpu *cpu, uint64_t budget,
                           uint64_t *executed);
    /* Makes run() return or look at its requests soon.  [any] */
    void (*kick)(struct vcpu *cpu);

    /* Only while the vCPU is not running. */
    void (*get_state)(struct vcpu *cpu, struct x86_state *out);
    void (*set_state)(struct vcpu *cpu, const struct x86_state *in);

    /* As map_invalidate_fn and map_code_hit_fn of core/mem/map.h. */
    map_invalidate_fn *invalidate;
    map_code_hit_fn *code_hit;

    /* One line a counter for `backplane ctl info cpu`; may be NULL. */
    char *(*describe)(struct vm *vm);
    /* Calls put() for each counter of the translation to host code; false:
     * this vCPU does none.  [any] */
    bool (*translation)(const struct vcpu *cpu, accel_counter_fn *put,
                        void *opaque);
};

extern const struct accel_ops accel_interp;

#endif
