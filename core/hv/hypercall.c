/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hypercalls: the calling conventions, the table of calls, and the two that
 * everything else needs, HvPostMessage and HvSignalEvent.
 *
 * Source: TLFS chapters 3, 10 and 11.
 */
#include "hv/hypercall.h"

#include <errno.h>
#include <string.h>

#include "cpu/sync.h"
#include "cpu/vcpu.h"
#include "hv/ports.h"
#include "mem/map.h"
#include "sched/vcpu.h"
#include "vm/vm.h"

/* --- input and output ---------------------------------------------------- */

/* Parameters are in one page, 8-byte aligned. */
static bool is_placed(uint64_t gpa, uint32_t bytes)
{
    return gpa % 8 == 0 && (gpa & (PAGE_BYTES - 1)) + bytes <= PAGE_BYTES;
}

uint16_t hv_call_input(struct hv_call *c, void *to, uint32_t bytes)
{
    if (c->fast) {
        if (bytes > c->fast_bytes)
            return HV_STATUS_INVALID_HYPERCALL_INPUT;
        memcpy(to, c->in, bytes);
        return HV_STATUS_SUCCESS;
    }
    if (!is_placed(c->in_gpa, bytes) ||
        !map_dma_read(c->cpu->vm->map, c->in_gpa, to, bytes))
        return HV_STATUS_INVALID_ALIGNMENT;
    return HV_STATUS_SUCCESS;
}

uint16_t hv_call_output(struct hv_call *c, uint32_t at, const void *from,
                        uint32_t bytes)
{
    if (c->fast)
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    if (!is_placed(c->out_gpa, at + bytes) ||
        !map_dma_write(c->cpu->vm->map, c->out_gpa + at, from, bytes))
        return HV_STATUS_INVALID_ALIGNMENT;
    return HV_STATUS_SUCCESS;
}

/* --- messages and events ------------------------------------------------- */

static uint16_t status_of(int32_t error)
{
    switch (error) {
    case 0: return HV_STATUS_SUCCESS;
    case -ENOENT: return HV_STATUS_INVALID_CONNECTION_ID;
    case -EAGAIN: return HV_STATUS_INSUFFICIENT_BUFFERS;
    case -EINVAL: return HV_STATUS_INVALID_PARAMETER;
    }
    return HV_STATUS_ACCESS_DENIED;
}

static uint16_t post_message(struct hv_call *c)
{
    struct {
        uint32_t connection, reserved, type, bytes;
        uint8_t payload[HV_PAYLOAD_BYTES];
    } in;
    uint16_t status = hv_call_input(c, &in, sizeof in);

    if (status)
        return status;
    /* types with the high bit are the hypervisor's own */
    if (in.reserved || in.bytes > HV_PAYLOAD_BYTES || !in.type || in.type >> 31)
        return HV_STATUS_INVALID_PARAMETER;
    return status_of(hv_port_message(c->cpu->vm, in.connection, in.type,
                                     in.payload, in.bytes));
}

static uint16_t signal_event(struct hv_call *c)
{
    struct {
        uint32_t connection;
        uint16_t flag, reserved;
    } in;
    uint16_t status = hv_call_input(c, &in, sizeof in);

    if (status)
        return status;
    if (in.reserved)
        return HV_STATUS_INVALID_PARAMETER;
    return status_of(hv_port_signal(c->cpu->vm, in.connection, in.flag));
}

/* --- the table ----------------------------------------------------------- */

static uint16_t long_spin(struct hv_call *c)
{
    vcpu_yield(c->cpu);
    return HV_STATUS_SUCCESS;
}

#define REPS    0x1u /* a rep hypercall */
#define VARHEAD 0x2u /* with a variable header */

/* clang-format off */
static const struct call {
    uint16_t code;
    uint8_t kind;
    uint32_t feature; /* 0: always there */
    uint16_t (*fn)(struct hv_call *c);
} calls[] = {
    { HV_CALL_SIGNAL_EVENT, 0, HV_F_SYNIC, signal_event },
    { HV_CALL_POST_MESSAGE, 0, HV_F_SYNIC, post_message },
    { HV_CALL_FLUSH_SPACE, 0, HV_F_FLUSH, hv_call_flush },
    { HV_CALL_FLUSH_LIST, REPS, HV_F_FLUSH, hv_call_flush },
    { HV_CALL_FLUSH_SPACE_EX, VARHEAD, HV_F_FLUSH, hv_call_flush_ex },
    { HV_CALL_FLUSH_LIST_EX, REPS | VARHEAD, HV_F_FLUSH, hv_call_flush_ex },
    { HV_CALL_SEND_IPI, 0, HV_F_IPI, hv_call_send_ipi },
    { HV_CALL_SEND_IPI_EX, VARHEAD, HV_F_IPI, hv_call_send_ipi_ex },
    { HV_CALL_LONG_SPIN, 0, 0, long_spin },
    { HV_CALL_START_VP, 0, 0, hv_call_start_vp },
    { HV_CALL_VP_INDEX_FROM_APIC_ID, REPS, 0, hv_call_index_from_apic_id },
    { HV_CALL_GET_VP_REGISTERS, REPS, 0, hv_call_get_registers },
    { HV_CALL_SET_VP_REGISTERS, REPS, 0, hv_call_set_registers },
};
/* clang-format on */

static uint16_t dispatch(struct hv_call *c)
{
    const struct hv *hv = c->cpu->vm->hv;
    const struct call *call = NULL;

    for (unsigned n = 0; n < sizeof calls / sizeof calls[0] && !call; n++)
        if (calls[n].code == HV_CALL_CODE(c->control))
            call = &calls[n];
    if (!call || (call->feature && !hv_has(hv, call->feature)))
        return HV_STATUS_INVALID_HYPERCALL_CODE;
    if ((c->control & HV_CALL_RESERVED) ||
        (!(call->kind & VARHEAD) && c->varhead))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    if (call->kind & REPS ? c->start >= c->reps : c->reps || c->start)
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    c->done = c->start;
    return call->fn(c);
}

/* --- registers ----------------------------------------------------------- */

static uint64_t pair(const struct x86_state *st, unsigned high, unsigned low)
{
    return st->gpr[high] << 32 | (uint32_t)st->gpr[low];
}

static void get_registers(struct hv_call *c, bool is_64)
{
    const struct x86_state *st = &c->cpu->st;

    c->control = is_64 ? st->gpr[RCX] : pair(st, RDX, RAX);
    c->in_gpa = is_64 ? st->gpr[RDX] : pair(st, RBX, RCX);
    c->out_gpa = is_64 ? st->gpr[R8] : pair(st, RDI, RSI);
    c->fast = c->control & HV_CALL_FAST;
    c->varhead = HV_CALL_VARHEAD(c->control);
    c->reps = HV_CALL_REPS(c->control);
    c->start = HV_CALL_REP_START(c->control);
    memcpy(c->in, &c->in_gpa, 8);
    memcpy(c->in + 8, &c->out_gpa, 8);
    c->fast_bytes = 16;
    if (!c->fast || !hv_has(c->cpu->vm->hv, HV_F_XMM_INPUT))
        return;
    for (unsigned n = 0; n < 6; n++)
        memcpy(c->in + 16 + 16 * n, st->ymm[n], 16);
    c->fast_bytes = HV_FAST_BYTES;
}

static void put_result(struct hv_call *c, bool is_64, uint64_t result)
{
    struct x86_state *st = &c->cpu->st;

    if (is_64) {
        st->gpr[RAX] = result;
        return;
    }
    st->gpr[RAX] = (uint32_t)result;
    st->gpr[RDX] = result >> 32;
}

/* Any processor may enable the page for all. */
static bool is_set_up(const struct hv *hv)
{
    return __atomic_load_n(&hv->st.hypercall, __ATOMIC_RELAXED) &
           HV_PAGE_ENABLE;
}

bool hv_hypercall(struct vcpu *cpu)
{
    struct hv *hv = cpu->vm->hv;
    struct hv_call c = { .cpu = cpu };
    bool is_64 = cpu->code64;
    uint16_t status;

    if (!hv || !is_set_up(hv) || cpu->cpl || !(cpu->st.cr0 & CR0_PE) ||
        (cpu->st.rflags & FL_VM))
        return false;
    get_registers(&c, is_64);
    guest_leave(cpu);
    status = dispatch(&c);
    guest_enter(cpu);
    put_result(&c, is_64, status | (uint64_t)c.done << 32);
    return true;
}
