/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The translator as the rest of the engine sees it.  It hangs on the
 * interpreter's blocks: a block that has run a few times gets host code, and
 * the run loop enters that instead.  [vcpu thread] unless said otherwise.
 */
#ifndef CPU_JIT_JIT_H
#define CPU_JIT_JIT_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/vcpu.h"
#include "hwaccel/accel.h"

struct block;
struct vm;

/* hot: how often a block is interpreted before it is translated, < 255.
 * exact: instructions are counted and flags are right at every fault, as
 * deterministic mode wants it.  False: no memory, or not allowed. */
bool jit_init(struct vcpu *cpu, bool exact, unsigned hot);
/* From now on all that runs is compared with the interpreter; false: no
 * memory.  Only for machines with one processor. */
bool jit_check(struct vcpu *cpu);
void jit_finish(struct vcpu *cpu);

/* Forgets all code: blocks are about to go. */
void jit_flush(struct vcpu *cpu);

/*
 * Runs host code from the block at st.rip on, as long as it goes.  False:
 * this block has none, the interpreter has to execute it.
 */
bool jit_execute(struct vcpu *cpu, struct block *b);

/* Code in the page at this host address was changed. */
void jit_code_hit(struct vcpu *cpu, const uint8_t *page);
/* The same from another thread: the vCPU does it before its next block. */
void jit_code_hit_later(struct vcpu *cpu, const uint8_t *page); /* [any] */
void jit_code_hits(struct vcpu *cpu);                           /* REQ_CODE */

/* From now on writes a line of /tmp/perf-PID.map for each block made. */
void jit_perf_map(struct vcpu *cpu);
/* Calls put() for each counter; the group "handlers" has the rows that the
 * interpreter executed most often, the first one first. */
void jit_counters(const struct vcpu *cpu, accel_counter_fn *put,
                  void *opaque); /* [any] */

#endif
