/* SPDX-License-Identifier: Apache-2.0 */
/* In place of the translator, for --disable-jit. */
#include "cpu/jit/jit.h"

bool jit_init(struct vcpu *cpu, bool exact, unsigned hot)
{
    return false;
}

bool jit_check(struct vcpu *cpu)
{
    return false;
}

void jit_finish(struct vcpu *cpu)
{
}

void jit_flush(struct vcpu *cpu)
{
}

bool jit_execute(struct vcpu *cpu, struct block *b)
{
    return false;
}

void jit_code_hit(struct vcpu *cpu, const uint8_t *page)
{
}

void jit_code_hit_later(struct vcpu *cpu, const uint8_t *page)
{
}

void jit_code_hits(struct vcpu *cpu)
{
}

void jit_perf_map(struct vcpu *cpu)
{
}

void jit_counters(const struct vcpu *cpu, accel_counter_fn *put, void *opaque)
{
}
