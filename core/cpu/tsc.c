/* SPDX-License-Identifier: Apache-2.0 */
/* The time-stamp counter beside that of the host, which translated code
 * reads. */
#include "cpu/tsc.h"

#include <stdbool.h>

#define TSC_APART_NS 500u

/*
 * The rate of the guest's counter against the host's, each hundredth of a
 * second.  The guest's may have stood still meanwhile, so a rate counts when
 * it is that of the last time, about.  The window is so short, 20 us, that an
 * error of the rate is less than a nanosecond.
 */
static void tsc_measure(struct vcpu *cpu, struct tsc_anchor *a)
{
    uint64_t guest = a->guest - a->guest0, host = a->host - a->host0;
    uint64_t hz = cpu->vm->tsc_hz, mult;

    if (a->host0 && (guest < hz / 100 || !host))
        return;
    if (a->host0 && guest < hz * 4) {
        mult = (uint64_t)(((unsigned __int128)guest << 32) / host);
        a->window = mult - a->mult + (mult >> 10) < mult >> 9
                        ? ((hz / 50000) << 32) / mult
                        : 0;
        a->mult = mult;
    }
    a->host0 = a->host;
    a->guest0 = a->guest;
}

/*
 * The guest's counter, and the host's just before it was read.  False: this
 * thread was off the processor in between, so they do not belong together.
 */
static bool tsc_sample(struct vcpu *cpu, uint64_t *host, uint64_t *guest)
{
    uint64_t end, apart = 0;

    for (unsigned n = 0; n < 3; n++) {
        *host = __builtin_ia32_rdtsc();
        *guest = tsc_virtual(cpu);
        end = __builtin_ia32_rdtsc();
        apart = (end - *host) * cpu->tsc.mult >> 32;
        if (apart < TSC_APART_NS * (cpu->vm->tsc_hz / 1000000) / 1000)
            return true;
    }
    return false;
}

/* Translated code goes on from here.  It may be a little ahead: time must not
 * go backwards. */
uint64_t tsc_shown(struct vcpu *cpu)
{
    struct tsc_anchor *a = &cpu->tsc;
    uint64_t host, guest, since, shown;
    bool exact;

    if (!a->steady)
        return tsc_virtual(cpu) + cpu->st.tsc_offset;
    exact = tsc_sample(cpu, &host, &guest);
    since = host - a->host;
    shown =
        a->guest + ((since < a->window ? since : a->window) * a->mult >> 32);
    if (a->window && guest < shown)
        guest = shown;
    if (exact) {
        a->host = host;
        a->guest = guest;
        tsc_measure(cpu, a);
    }
    return guest + cpu->st.tsc_offset;
}
