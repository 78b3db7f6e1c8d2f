/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of the storage protocol.
 *
 * Sources: Linux drivers/scsi/storvsc_drv.c and FreeBSD's hv_vstorage.h
 * (layouts, codes), the Windows driver kit's names of SRB and NT status.
 */
#include <errno.h>
#include <string.h>

#include "storvsp.h"
#include "wire.h"

enum {
    OP_COMPLETE_IO = 1,
    OP_EXECUTE_SRB = 3,
    OP_RESET_LUN = 4,
    OP_RESET_ADAPTER = 5,
    OP_RESET_BUS = 6,
    OP_BEGIN_INITIALIZATION = 7,
    OP_END_INITIALIZATION = 8,
    OP_QUERY_PROTOCOL_VERSION = 9,
    OP_QUERY_PROPERTIES = 10,
    OP_ENUMERATE_BUS = 11,
    OP_CREATE_SUBCHANNELS = 13,
};

/* Head of a packet: operation, flags, status */
#define HEAD_STATUS 8u
#define BODY        PACKET_HEAD

/* SCSI request block, from BODY on */
#define SRB_STATUS      2u
#define SRB_SCSI_STATUS 3u
#define SRB_PATH        5u
#define SRB_TARGET      6u
#define SRB_LUN         7u
#define SRB_CDB_BYTES   8u
#define SRB_SENSE_BYTES 9u
#define SRB_TRANSFER    12u
#define SRB_CDB         16u /* and the sense data of an answer */
#define SRB_FLAGS       40u /* from 5.1 on */
#define SRB_SENSE_MAX   20u
#define SRB_BYTES_OLD   36u
#define SRB_BYTES       52u

#define FLAG_NO_AUTOSENSE 0x20u

#define SCSI_GOOD            0
#define SCSI_CHECK_CONDITION 2

/* Channel properties, from BODY on */
#define PROP_SUBCHANNELS  4u
#define PROP_FLAGS        8u
#define PROP_TRANSFER     12u
#define FLAG_MULTICHANNEL 1u

#define NT_SUCCESS         0x00000000u
#define NT_DATA_OVERRUN    0x80000005u
#define NT_INVALID_PARAM   0xc000000du
#define NT_INVALID_REQUEST 0xc0000010u
#define NT_REVISION        0xc0000059u
#define NT_NO_SUCH_DEVICE  0xc00000c0u
#define NT_INVALID_STATE   0xc0000184u
#define NT_IO_DEVICE_ERROR 0xc0000185u

#define VERSION_5_1 0x0501u

static const uint16_t versions[] = { 0x0200, 0x0402, VERSION_5_1, 0x0600,
                                     0x0602 };

/* --- answers --------------------------------------------------------------*/

static void answer(struct storvsp_request *r, uint32_t status)
{
    const struct storvsp *s = r->channel->s;

    wire_put32(r->packet, OP_COMPLETE_IO);
    wire_put32(r->packet + 4, 0);
    wire_put32(r->packet + HEAD_STATUS, status);
    if (r->wants_completion)
        s->bus->complete(r->channel->ch, r->transaction, r->packet,
                         r->packet_bytes);
    storvsp_request_release(r);
}

static void answer_srb(struct storvsp_request *r, uint8_t srb_status,
                       uint8_t scsi_status, uint32_t moved, uint32_t status)
{
    uint8_t *srb = r->packet + BODY;

    srb[SRB_STATUS] = srb_status;
    srb[SRB_SCSI_STATUS] = scsi_status;
    wire_put32(srb + SRB_TRANSFER, moved);
    answer(r, status);
}

void storvsp_good(struct storvsp_request *r, uint32_t moved)
{
    r->packet[BODY + SRB_SENSE_BYTES] = 0;
    answer_srb(r, SRB_SUCCESS, SCSI_GOOD, moved, NT_SUCCESS);
}

static int wants_sense(const struct storvsp_request *r)
{
    const uint8_t *srb = r->packet + BODY;
    int flags = r->channel->s->st.version >= VERSION_5_1;

    return srb[SRB_SENSE_BYTES] &&
           !(flags && wire_u32(srb + SRB_FLAGS) & FLAG_NO_AUTOSENSE);
}

void storvsp_check_condition(struct storvsp_request *r, uint8_t sense,
                             uint8_t asc, uint8_t ascq)
{
    uint8_t *srb = r->packet + BODY, data[SRB_SENSE_MAX] = { 0 };
    uint8_t status = SRB_ERROR;

    if (wants_sense(r)) {
        scsi_put_sense(data, sense, asc, ascq);
        memcpy(srb + SRB_CDB, data, sizeof(data));
        if (srb[SRB_SENSE_BYTES] > SCSI_SENSE_BYTES)
            srb[SRB_SENSE_BYTES] = SCSI_SENSE_BYTES;
        status |= SRB_AUTOSENSE;
    } else {
        srb[SRB_SENSE_BYTES] = 0;
    }
    answer_srb(r, status, SCSI_CHECK_CONDITION, 0, NT_IO_DEVICE_ERROR);
}

void storvsp_srb_error(struct storvsp_request *r, uint8_t srb_status,
                       uint8_t scsi_status)
{
    uint32_t status = srb_status == SRB_OVERRUN       ? NT_DATA_OVERRUN
                      : srb_status == SRB_INVALID_LUN ? NT_NO_SUCH_DEVICE
                                                      : NT_IO_DEVICE_ERROR;

    r->packet[BODY + SRB_SENSE_BYTES] = 0;
    answer_srb(r, srb_status, scsi_status, 0, status);
}

/* --- commands -------------------------------------------------------------*/

static void send_reply(struct storvsp_request *r, const uint8_t *data,
                       uint32_t bytes, uint32_t allocation)
{
    if (bytes > allocation)
        bytes = allocation;
    if (bytes > r->range_bytes)
        bytes = (uint32_t)r->range_bytes;
    if (storvsp_copy_out(r, 0, data, bytes))
        storvsp_srb_error(r, SRB_INVALID_REQUEST, SCSI_GOOD);
    else
        storvsp_good(r, bytes);
}

/* The controller's own answer, also where there is no unit. */
static void report_luns(struct storvsp_request *r, const uint8_t *srb,
                        const uint8_t *cdb)
{
    struct storvsp *s = r->channel->s;
    uint8_t list[8 + 8 * LUNS] = { 0 };
    uint32_t n = 8;

    if (cdb[2] > 2) {
        storvsp_check_condition(r, SENSE_ILLEGAL, ASC_INVALID_FIELD, 0);
        return;
    }
    for (uint32_t i = 0; i < LUNS && cdb[2] != 1; i++) {
        if (!storvsp_unit_at(s, srb[SRB_PATH], srb[SRB_TARGET], (uint8_t)i))
            continue;
        list[n + 1] = (uint8_t)i;
        n += 8;
    }
    scsi_put32(list, n - 8);
    send_reply(r, list, n, scsi_be32(cdb + 6));
}

/* Where there is no unit: INQUIRY says so, nothing else is answered. */
static void no_unit(struct storvsp_request *r, uint8_t lun, const uint8_t *cdb)
{
    uint8_t reply[36] = { 0x7f, 0, 5, 2, 31 };

    if (cdb[0] != SCSI_INQUIRY || cdb[1] & 1 || cdb[2]) {
        storvsp_srb_error(r, SRB_INVALID_LUN, SCSI_CHECK_CONDITION);
        return;
    }
    if (lun == 0) {
        memcpy(reply + 8, "Msft    ", 8);
        memcpy(reply + 16, "Virtual Disk    ", 16);
        memcpy(reply + 32, "1.0 ", 4);
    }
    send_reply(r, reply, sizeof(reply), scsi_be16(cdb + 3));
}

static void execute_disk(struct storvsp_request *r, const uint8_t *cdb)
{
    struct storvsp_unit *u = r->unit;
    struct scsi_disk *d = &u->st->disk;
    uint8_t parameters[SCSI_PARAMETERS_MAX];
    struct scsi_command c;
    uint32_t n = scsi_disk_parameter_bytes(cdb, &u->medium);

    if (n > r->range_bytes)
        n = (uint32_t)r->range_bytes;
    if (n && storvsp_copy_in(r, 0, parameters, n)) {
        storvsp_srb_error(r, SRB_INVALID_REQUEST, SCSI_GOOD);
        return;
    }
    scsi_disk_execute(d, &u->identity, &u->medium, cdb, parameters, n, &c);
    if (c.action != SCSI_FAILED) {
        storvsp_perform(r, &c, parameters);
        return;
    }
    storvsp_check_condition(r, d->sense, d->asc, d->ascq);
    scsi_disk_fail(d, SENSE_NONE, ASC_NONE, 0); /* it is told */
}

static void execute_cd(struct storvsp_request *r, const uint8_t *cdb)
{
    struct storvsp_unit *u = r->unit;
    struct scsi_cd *d = &u->st->cd;
    struct scsi_command c;
    uint64_t blocks;

    storvsp_unit_refresh(u);
    blocks = u->info.flags & BP_BLOCK_PRESENT ? u->info.bytes / CD_BLOCK : 0;
    scsi_cd_execute(d, &u->identity, cdb, blocks, &c);
    if (c.action != SCSI_FAILED) {
        storvsp_perform(r, &c, NULL);
        return;
    }
    storvsp_check_condition(r, d->sense, d->asc, d->ascq);
    scsi_cd_fail(d, SENSE_NONE, ASC_NONE);
}

static uint32_t srb_bytes(const struct storvsp *s)
{
    return s->st.version >= VERSION_5_1 ? SRB_BYTES : SRB_BYTES_OLD;
}

static void execute_srb(struct storvsp_request *r,
                        const struct bp_vmbus_packet *p)
{
    struct storvsp *s = r->channel->s;
    uint8_t *srb = r->packet + BODY, cdb[SCSI_CDB_MAX] = { 0 };

    if (s->st.phase != PHASE_READY) {
        answer(r, NT_INVALID_STATE);
        return;
    }
    if (p->bytes < BODY + srb_bytes(s) || srb[SRB_CDB_BYTES] > SCSI_CDB_MAX ||
        !storvsp_request_ranges(r, p)) {
        storvsp_srb_error(r, SRB_INVALID_REQUEST, SCSI_GOOD);
        return;
    }
    memcpy(cdb, srb + SRB_CDB, srb[SRB_CDB_BYTES]);
    r->unit = storvsp_unit_at(s, srb[SRB_PATH], srb[SRB_TARGET], srb[SRB_LUN]);
    if (cdb[0] == SCSI_REPORT_LUNS) {
        report_luns(r, srb, cdb);
    } else if (!r->unit) {
        no_unit(r, srb[SRB_LUN], cdb);
    } else {
        r->drive = r->unit->drive;
        if (r->unit->identity.type == 0)
            execute_disk(r, cdb);
        else
            execute_cd(r, cdb);
    }
}

/* --- resets ---------------------------------------------------------------*/

static void reset_units(struct storvsp *s, const struct storvsp_request *r)
{
    const uint8_t *srb = r->packet + BODY;
    struct storvsp_unit *one =
        storvsp_unit_at(s, srb[SRB_PATH], srb[SRB_TARGET], srb[SRB_LUN]);

    if (wire_u32(r->packet) == OP_RESET_LUN) {
        if (one)
            one->st->disk.attention |= DISK_UNIT_RESET;
        return;
    }
    for (uint32_t i = 0; i < LUNS; i++)
        s->unit[i].st->disk.attention |= DISK_BUS_RESET;
}

/* All that was under way has ended: the resets that waited for it are done.
 * They were taken out of in_flight, and answering counts them down again. */
void storvsp_end_resets(struct storvsp *s)
{
    struct storvsp_request *r = s->resets, *next;

    s->resets = NULL;
    for (; r; r = next) {
        next = r->next;
        s->in_flight++;
        reset_units(s, r);
        answer(r, NT_SUCCESS);
    }
}

/* Meanwhile no packet is taken. */
static void reset(struct storvsp_request *r)
{
    struct storvsp *s = r->channel->s;

    r->next = s->resets;
    s->resets = r;
    if (--s->in_flight == 0)
        storvsp_end_resets(s);
}

/* --- negotiation ----------------------------------------------------------*/

static uint32_t query_version(struct storvsp *s, const uint8_t *body)
{
    uint16_t wanted = wire_u16(body);

    if (s->st.phase != PHASE_BEGUN && s->st.phase != PHASE_VERSION)
        return NT_INVALID_STATE;
    for (uint32_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        if (versions[i] != wanted)
            continue;
        s->st.version = wanted;
        s->st.phase = PHASE_VERSION;
        return NT_SUCCESS;
    }
    return NT_REVISION;
}

static uint32_t query_properties(struct storvsp *s, uint8_t *body)
{
    uint32_t subchannels = storvsp_subchannels_max(s);

    if (s->st.phase != PHASE_VERSION)
        return NT_INVALID_STATE;
    if (s->st.version < VERSION_5_1)
        subchannels = 0;
    memset(body, 0, PACKET_MAX - BODY);
    wire_put16(body + PROP_SUBCHANNELS, (uint16_t)subchannels);
    wire_put32(body + PROP_FLAGS, subchannels ? FLAG_MULTICHANNEL : 0);
    wire_put32(body + PROP_TRANSFER, MAX_TRANSFER);
    s->st.phase = PHASE_PROPERTIES;
    return NT_SUCCESS;
}

/* Before the end of the initialization, or behind it as Linux does. */
static uint32_t create_subchannels(struct storvsp *s, const uint8_t *body)
{
    uint32_t n = wire_u16(body);

    if (s->st.phase < PHASE_PROPERTIES || s->st.subchannels ||
        s->st.version < VERSION_5_1)
        return NT_INVALID_STATE;
    if (n > storvsp_subchannels_max(s))
        return NT_INVALID_PARAM;
    for (uint32_t i = 1; i <= n; i++) {
        if (storvsp_offer(s, i))
            break; /* fewer than it asked for */
        s->st.subchannels = (uint16_t)i;
    }
    return NT_SUCCESS;
}

static uint32_t move_on(struct storvsp *s, uint8_t from, uint8_t to)
{
    if (s->st.phase != from)
        return NT_INVALID_STATE;
    s->st.phase = to;
    return NT_SUCCESS;
}

static uint32_t negotiate(struct storvsp *s, uint32_t op, uint8_t *body)
{
    switch (op) {
    case OP_BEGIN_INITIALIZATION: return move_on(s, PHASE_CLOSED, PHASE_BEGUN);
    case OP_QUERY_PROTOCOL_VERSION: return query_version(s, body);
    case OP_QUERY_PROPERTIES: return query_properties(s, body);
    case OP_END_INITIALIZATION:
        s->st.announce = 0; /* it looks for units now anyway */
        return move_on(s, PHASE_PROPERTIES, PHASE_READY);
    case OP_CREATE_SUBCHANNELS: return create_subchannels(s, body);
    default: return NT_INVALID_REQUEST;
    }
}

/* --- packets --------------------------------------------------------------*/

static void control(struct storvsp_request *r, uint32_t op)
{
    struct storvsp *s = r->channel->s;

    switch (op) {
    case OP_RESET_LUN:
    case OP_RESET_ADAPTER:
    case OP_RESET_BUS:
        if (s->st.phase == PHASE_READY)
            reset(r);
        else
            answer(r, NT_INVALID_STATE);
        break;
    default:
        if (r->channel != &s->channel[0])
            answer(r, NT_INVALID_STATE); /* the primary's business */
        else
            answer(r, negotiate(s, op, r->packet + BODY));
        break;
    }
}

int32_t storvsp_packet(void *ctx, const struct bp_vmbus_packet *p)
{
    struct storvsp_channel *channel = ctx;
    struct storvsp_request *r;
    uint32_t op;

    if (p->bytes < PACKET_HEAD || p->type == BP_VMBUS_COMPLETION)
        return -EINVAL;
    r = channel->s->resets ? NULL : storvsp_request_take(channel, p);
    if (!r) {
        channel->starved = 1;
        return -EAGAIN;
    }
    op = wire_u32(r->packet);
    if (op == OP_EXECUTE_SRB)
        execute_srb(r, p);
    else
        control(r, op);
    return 0;
}

/* The guest looks for units that came or went, when it is told. */
void storvsp_announce(struct storvsp *s)
{
    uint8_t packet[PACKET_MAX] = { OP_ENUMERATE_BUS };

    if (!s->st.announce || s->st.phase != PHASE_READY)
        return;
    if (wire_send(s->bus, s->channel[0].ch, packet, sizeof(packet)) != -EAGAIN)
        s->st.announce = 0;
}
