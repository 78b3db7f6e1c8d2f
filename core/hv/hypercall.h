/* SPDX-License-Identifier: Apache-2.0 */
/* One hypercall that is being done.  [vcpu thread, outside of guest code] */
#ifndef HV_HYPERCALL_H
#define HV_HYPERCALL_H

#include "hv/hv.h"

#define HV_FAST_BYTES 112u /* two registers and six XMM registers */

struct hv_call {
    struct vcpu *cpu;
    uint64_t control, in_gpa, out_gpa;
    bool fast;
    unsigned varhead;           /* variable header, in units of 8 bytes */
    unsigned reps, start, done; /* of a rep hypercall */
    uint8_t in[HV_FAST_BYTES];  /* fast: the registers */
    uint32_t fast_bytes;
};

/* The first `bytes` of the input, read once.  A status. */
uint16_t hv_call_input(struct hv_call *c, void *to, uint32_t bytes);
/* From `at` of the output on. */
uint16_t hv_call_output(struct hv_call *c, uint32_t at, const void *from,
                        uint32_t bytes);

/* hypercall_vp.c */
uint16_t hv_call_flush(struct hv_call *c);
uint16_t hv_call_flush_ex(struct hv_call *c);
uint16_t hv_call_send_ipi(struct hv_call *c);
uint16_t hv_call_send_ipi_ex(struct hv_call *c);
uint16_t hv_call_start_vp(struct hv_call *c);
uint16_t hv_call_index_from_apic_id(struct hv_call *c);
uint16_t hv_call_get_registers(struct hv_call *c);
uint16_t hv_call_set_registers(struct hv_call *c);

#endif
