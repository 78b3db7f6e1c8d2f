/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual processors as threads: one host thread for each, or in
 * deterministic mode one for all of them.
 *
 * A vCPU thread alternates between the engine's run() and what its exit asks
 * for.  Stopping raises a flag and kicks everybody; vcpus_stop() returns when
 * each thread has reached the place where it waits to be started again.
 *
 * Deterministic mode: the vCPUs take turns of VCPU_QUANTUM instructions on
 * one thread.  Virtual time is the number of instructions executed, one
 * VCPU_INSN_NS each, and moves between turns only; a turn ends where the next
 * timer is due.  When all are halted time jumps to the next timer.
 */
#ifndef SCHED_VCPU_H
#define SCHED_VCPU_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include <backplane/state.h>

struct vm;
struct vcpu;

#define VCPU_INSN_NS 1
#define VCPU_QUANTUM 100000

/*
 * `count` processors of a model ("model,+feature..."; NULL: the best there
 * is), on the engine vm->accel (NULL: the software one).  [vm]
 */
bool vcpus_create(struct vm *vm, unsigned count, const char *model,
                  GError **error);
void vcpus_destroy(struct vm *vm);
void vcpus_start(struct vm *vm);
/* Returns when all are out of guest code; not from a vCPU thread.  [vm] */
void vcpus_stop(struct vm *vm);
/* Power-on state: the first starts at FFFFFFF0, others wait.  [stopped] */
void vcpus_reset(struct vm *vm);
/* Asks all of them to stop soon and returns at once.  [any] */
void vcpus_kick(struct vm *vm);
void vcpus_a20(struct vm *vm, bool on); /* [lane | vcpu | stopped] */

/* Sets request bits (REQ_*) and wakes the vCPU.  [any] */
void vcpu_request(struct vcpu *cpu, uint32_t req);
/* Lets others run: PAUSE, MWAIT.  [vcpu] */
void vcpu_yield(struct vcpu *cpu);
/* Sleeps until there is a request, for a millisecond at most.  Outside of
 * guest code.  [vcpu] */
void vcpu_nap(struct vcpu *cpu);
/* Reset state of one processor, the local APIC included.  [vcpu | stopped] */
void vcpu_reset(struct vcpu *cpu, bool init);

/* State of a processor that is not running, for save and load. */
extern const struct bp_field x86_state_fields[];

/* Loaded state was put into cpu->st and the APIC.  [stopped] */
void vcpu_loaded(struct vcpu *cpu);

#endif
