/* SPDX-License-Identifier: Apache-2.0 */
/* The time-stamp counter: the virtual clock at the guest's frequency. */
#ifndef CPU_TSC_H
#define CPU_TSC_H

#include "cpu/vcpu.h"
#include "vm/vm.h"

static inline uint64_t tsc_read(struct vcpu *cpu)
{
    uint64_t ns = clock_now(cpu->vm->clocks, CLOCK_VIRTUAL);

    return (uint64_t)((unsigned __int128)ns * cpu->vm->tsc_hz / NS_PER_SEC) +
           cpu->st.tsc_offset;
}

/* The virtual time at which the counter reaches `tsc`; past: 0 */
static inline uint64_t tsc_to_virtual(struct vcpu *cpu, uint64_t tsc)
{
    uint64_t t = tsc - cpu->st.tsc_offset;
    unsigned __int128 ns;

    if ((int64_t)t < 0)
        return tsc >> 63 ? ~0ull >> 1 : 0;
    ns = ((unsigned __int128)t * NS_PER_SEC + cpu->vm->tsc_hz - 1) /
         cpu->vm->tsc_hz;
    return ns > ~0ull >> 1 ? ~0ull >> 1 : (uint64_t)ns;
}

#endif
