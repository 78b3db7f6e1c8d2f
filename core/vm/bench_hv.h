/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor interface on a bench: what a guest would post and signal by
 * hypercall, and the SynIC that takes what devices post and signal.
 */
#ifndef VM_BENCH_HV_H
#define VM_BENCH_HV_H

#include <stdbool.h>
#include <stdint.h>

#include <backplane/hv.h>

struct bench;

#define BENCH_VPS 64u

/* Shows the interface, with this many virtual processors whose SynIC is set
 * up.  Before devices are realized. */
void bench_hv(struct bench *b, uint32_t processors);
/* A processor's SynIC off (devices get -ENODEV) or on again; what was in it
 * is lost. */
void bench_hv_synic(struct bench *b, uint32_t vp, bool on);

/* HvPostMessage and HvSignalEvent; 0 or what the guest would get as status:
 * -ENOENT, -EINVAL, -EAGAIN, .. .  Lanes are run. */
int32_t bench_hv_post(struct bench *b, uint32_t connection, uint32_t type,
                      const void *payload, uint32_t bytes);
int32_t bench_hv_signal(struct bench *b, uint32_t connection, uint32_t flag);

struct bench_hv_message {
    uint32_t type, bytes;
    uint8_t payload[BP_HV_MESSAGE_BYTES];
};
/* Takes the message out of the slot of this SINT, and writes EOM; false:
 * there is none. */
bool bench_hv_message(struct bench *b, uint32_t vp, uint32_t sint,
                      struct bench_hv_message *out);
/* Was the flag set?  It is clear then. */
bool bench_hv_flag(struct bench *b, uint32_t vp, uint32_t sint, uint32_t flag);
/* How often it was signalled since the last call, set or not. */
uint32_t bench_hv_signals(struct bench *b, uint32_t vp);

#endif
