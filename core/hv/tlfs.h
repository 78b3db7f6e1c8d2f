/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of the hypervisor interface, by the names of their source: the
 * Hypervisor Top-Level Functional Specification (TLFS), versions 6.0b.
 */
#ifndef HV_TLFS_H
#define HV_TLFS_H

#include <stdint.h>

/* --- registers ----------------------------------------------------------- */

#define HV_MSR_FIRST 0x40000000u
#define HV_MSR_LAST  0x400001ffu

#define HV_MSR_GUEST_OS_ID    0x40000000u
#define HV_MSR_HYPERCALL      0x40000001u
#define HV_MSR_VP_INDEX       0x40000002u
#define HV_MSR_RESET          0x40000003u
#define HV_MSR_VP_RUNTIME     0x40000010u
#define HV_MSR_TIME_REF_COUNT 0x40000020u
#define HV_MSR_REFERENCE_TSC  0x40000021u
#define HV_MSR_TSC_FREQUENCY  0x40000022u
#define HV_MSR_APIC_FREQUENCY 0x40000023u
#define HV_MSR_EOI            0x40000070u
#define HV_MSR_ICR            0x40000071u
#define HV_MSR_TPR            0x40000072u
#define HV_MSR_VP_ASSIST_PAGE 0x40000073u
#define HV_MSR_SCONTROL       0x40000080u
#define HV_MSR_SVERSION       0x40000081u
#define HV_MSR_SIEFP          0x40000082u
#define HV_MSR_SIMP           0x40000083u
#define HV_MSR_EOM            0x40000084u
#define HV_MSR_SINT0          0x40000090u
#define HV_MSR_SINT15         0x4000009fu
#define HV_MSR_STIMER0_CONFIG 0x400000b0u
#define HV_MSR_STIMER3_COUNT  0x400000b7u
#define HV_MSR_GUEST_IDLE     0x400000f0u
#define HV_MSR_CRASH_P0       0x40000100u
#define HV_MSR_CRASH_P4       0x40000104u
#define HV_MSR_CRASH_CTL      0x40000105u

/* Those that name a page: bit 0 enables, bits 12.. are its address. */
#define HV_PAGE_ENABLE      0x1ull
#define HV_PAGE_MASK        0xfffffffffffff000ull
#define HV_HYPERCALL_LOCKED 0x2ull

#define HV_SCONTROL_ENABLE 0x1ull

#define HV_SINT_VECTOR   0xffull
#define HV_SINT_MASKED   0x10000ull
#define HV_SINT_AUTO_EOI 0x20000ull
#define HV_SINT_POLLING  0x40000ull

#define HV_STIMER_ENABLE      0x1ull
#define HV_STIMER_PERIODIC    0x2ull
#define HV_STIMER_LAZY        0x4ull
#define HV_STIMER_AUTO_ENABLE 0x8ull
#define HV_STIMER_VECTOR(c)   ((uint8_t)((c) >> 4))
#define HV_STIMER_DIRECT      0x1000ull
#define HV_STIMER_SINT(c)     ((unsigned)((c) >> 16) & 0xf)
#define HV_STIMER_CONFIG_MASK 0xf1fffull
#define HV_STIMERS            4u

#define HV_CRASH_NOTIFY  (1ull << 63)
#define HV_CRASH_MESSAGE (1ull << 62) /* P3 is its address, P4 its length */
#define HV_CRASH_REGS    5u

/* --- SynIC pages --------------------------------------------------------- */

#define HV_SINTS           16u
#define HV_MESSAGE_SIZE    256u
#define HV_PAYLOAD_BYTES   240u
#define HV_EVENT_FLAGS     2048u
#define HV_MESSAGE_PENDING 0x1u
#define HV_MESSAGE_NONE    0u
#define HV_MESSAGE_TIMER   0x80000010u

struct hv_message {
    uint32_t type;
    uint8_t bytes;
    uint8_t flags;
    uint16_t reserved;
    uint64_t sender;
    uint8_t payload[HV_PAYLOAD_BYTES];
};

struct hv_timer_payload {
    uint32_t index;
    uint32_t reserved;
    uint64_t expired, delivered; /* reference time */
};

/* REFERENCE_TSC: time = (tsc * scale >> 64) + offset; sequence 0: void */
struct hv_tsc_page {
    uint32_t sequence;
    uint32_t reserved;
    uint64_t scale;
    int64_t offset;
};

/* --- HvCallStartVirtualProcessor ----------------------------------------- */

struct hv_segment {
    uint64_t base;
    uint32_t limit;
    uint16_t selector, attributes; /* as in a descriptor's second dword */
};

struct hv_table {
    uint16_t reserved[3], limit;
    uint64_t base;
};

struct hv_vp_context {
    uint64_t rip, rsp, rflags;
    struct hv_segment cs, ds, es, fs, gs, ss, tr, ldtr;
    struct hv_table idtr, gdtr;
    uint64_t efer, cr0, cr3, cr4, pat;
};

/* --- CPUID --------------------------------------------------------------- */

/* 40000003.EAX */
#define HV_PRIV_VP_RUNTIME 0x001u
#define HV_PRIV_REF_COUNT  0x002u
#define HV_PRIV_SYNIC      0x004u
#define HV_PRIV_STIMER     0x008u
#define HV_PRIV_APIC       0x010u
#define HV_PRIV_HYPERCALL  0x020u
#define HV_PRIV_VP_INDEX   0x040u
#define HV_PRIV_RESET      0x080u
#define HV_PRIV_REF_TSC    0x200u
#define HV_PRIV_GUEST_IDLE 0x400u
#define HV_PRIV_FREQUENCY  0x800u
/* 40000003.EBX */
#define HV_PRIV_POST_MESSAGES 0x000010u
#define HV_PRIV_SIGNAL_EVENTS 0x000020u
#define HV_PRIV_START_VP      0x200000u
/* 40000003.EDX */
#define HV_FEAT_XMM_INPUT     0x00010u
#define HV_FEAT_GUEST_IDLE    0x00020u
#define HV_FEAT_FREQUENCY     0x00100u
#define HV_FEAT_CRASH         0x00400u
#define HV_FEAT_STIMER_DIRECT 0x80000u
/* 40000004.EAX */
#define HV_HINT_REMOTE_FLUSH 0x004u
#define HV_HINT_APIC_MSRS    0x008u
#define HV_HINT_RESET        0x010u
#define HV_HINT_RELAXED_TIME 0x020u
#define HV_HINT_NO_AUTO_EOI  0x200u
#define HV_HINT_CLUSTER_IPI  0x400u
#define HV_HINT_EX_MASKS     0x800u

/* --- hypercalls ---------------------------------------------------------- */

#define HV_CALL_CODE(c)      ((uint16_t)(c))
#define HV_CALL_FAST         0x10000ull
#define HV_CALL_VARHEAD(c)   ((unsigned)((c) >> 17) & 0x3ff)
#define HV_CALL_REPS(c)      ((unsigned)((c) >> 32) & 0xfff)
#define HV_CALL_REP_START(c) ((unsigned)((c) >> 48) & 0xfff)
#define HV_CALL_RESERVED     0xf000f000f8000000ull

enum {
    HV_CALL_FLUSH_SPACE = 0x0002,
    HV_CALL_FLUSH_LIST = 0x0003,
    HV_CALL_LONG_SPIN = 0x0008,
    HV_CALL_SEND_IPI = 0x000b,
    HV_CALL_FLUSH_SPACE_EX = 0x0013,
    HV_CALL_FLUSH_LIST_EX = 0x0014,
    HV_CALL_SEND_IPI_EX = 0x0015,
    HV_CALL_GET_VP_REGISTERS = 0x0050,
    HV_CALL_SET_VP_REGISTERS = 0x0051,
    HV_CALL_POST_MESSAGE = 0x005c,
    HV_CALL_SIGNAL_EVENT = 0x005d,
    HV_CALL_START_VP = 0x0099,
    HV_CALL_VP_INDEX_FROM_APIC_ID = 0x009a,
};

enum {
    HV_STATUS_SUCCESS = 0x00,
    HV_STATUS_INVALID_HYPERCALL_CODE = 0x02,
    HV_STATUS_INVALID_HYPERCALL_INPUT = 0x03,
    HV_STATUS_INVALID_ALIGNMENT = 0x04,
    HV_STATUS_INVALID_PARAMETER = 0x05,
    HV_STATUS_ACCESS_DENIED = 0x06,
    HV_STATUS_INVALID_PARTITION_ID = 0x0d,
    HV_STATUS_INVALID_VP_INDEX = 0x0e,
    HV_STATUS_INVALID_PORT_ID = 0x11,
    HV_STATUS_INVALID_CONNECTION_ID = 0x12,
    HV_STATUS_INSUFFICIENT_BUFFERS = 0x13,
    HV_STATUS_INVALID_VP_STATE = 0x15,
    HV_STATUS_INVALID_REGISTER_VALUE = 0x50,
};

#define HV_PARTITION_SELF UINT64_MAX
#define HV_VP_SELF        0xfffffffeu

#endif
