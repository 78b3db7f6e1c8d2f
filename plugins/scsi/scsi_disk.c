/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources: INCITS SBC-3 (commands of direct-access block devices, block
 * limits and provisioning pages), SPC-3 (the others, unit attentions).
 *
 * Not modelled: protection information, reservations, GET LBA STATUS,
 * COMPARE AND WRITE, FORMAT UNIT, log pages, long reads and writes, defect
 * lists, REPORT SUPPORTED OPERATION CODES.
 */
#include "scsi/scsi_disk.h"

#include <string.h>

#define VPD_LIMITS          0xb0
#define VPD_CHARACTERISTICS 0xb1
#define VPD_PROVISIONING    0xb2

/* Also what one such command may do; a multiple of any block size. */
#define UNMAP_BYTES_MAX (UINT64_C(1) << 32)
#define FILL_BYTES_MAX  (UINT64_C(1) << 27)
#define UNMAP_HEAD      8u
#define UNMAP_ROW       16u

#define SA_READ_CAPACITY_16 0x10

void scsi_disk_fail(struct scsi_disk *d, uint8_t sense, uint8_t asc,
                    uint8_t ascq)
{
    d->sense = sense;
    d->asc = asc;
    d->ascq = ascq;
}

void scsi_disk_reset(struct scsi_disk *d)
{
    memset(d, 0, sizeof(*d));
    d->attention = DISK_POWER_ON;
}

void scsi_disk_refuse(struct scsi_disk *d, struct scsi_command *out,
                      uint8_t sense, uint8_t asc)
{
    scsi_disk_fail(d, sense, asc, 0);
    out->action = SCSI_FAILED;
}

/* --- what it is -----------------------------------------------------------*/

static uint32_t clamp32(uint64_t v)
{
    return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static uint32_t put_limits(const struct scsi_disk_medium *m, uint8_t *p)
{
    uint32_t per_physical = m->physical_bytes / m->block_bytes;

    p[4] = 1;                        /* WSNZ: WRITE SAME wants a length */
    scsi_put16(p + 6, per_physical); /* optimal granularity */
    scsi_put32(p + 8, m->transfer_bytes / m->block_bytes);
    if (m->thin) {
        scsi_put32(p + 20, clamp32(UNMAP_BYTES_MAX / m->block_bytes));
        scsi_put32(p + 24, SCSI_RANGES_MAX);
        scsi_put32(p + 28, per_physical); /* optimal unmap granularity */
        scsi_put32(p + 32, 0x80000000u);  /* its alignment is 0 */
    }
    scsi_put64(p + 36, FILL_BYTES_MAX / m->block_bytes);
    return 64;
}

static uint32_t put_characteristics(uint8_t *p)
{
    scsi_put16(p + 4, 1); /* nothing rotates */
    return 64;
}

static uint32_t put_provisioning(const struct scsi_disk_medium *m, uint8_t *p)
{
    if (m->thin) {
        p[5] = 0xe4; /* UNMAP, WRITE SAME 16 and 10; zeros afterwards */
        p[6] = 2;    /* thin */
    }
    return 8;
}

static void inquiry(struct scsi_disk *d, const struct scsi_identity *id,
                    const struct scsi_disk_medium *m, const uint8_t *cdb,
                    struct scsi_command *out)
{
    static const uint8_t pages[] = { VPD_LIMITS, VPD_CHARACTERISTICS,
                                     VPD_PROVISIONING, 0 };
    uint8_t *r = out->reply;
    uint32_t n = scsi_inquiry(id, cdb, pages, r);

    if (!n && cdb[1] & 1) {
        memset(r, 0, 64);
        switch (cdb[2]) {
        case VPD_LIMITS: n = put_limits(m, r); break;
        case VPD_CHARACTERISTICS: n = put_characteristics(r); break;
        case VPD_PROVISIONING: n = put_provisioning(m, r); break;
        default: break;
        }
        r[0] = id->type;
        r[1] = cdb[2];
        scsi_put16(r + 2, n - 4);
    }
    if (n)
        scsi_reply(out, n, scsi_be16(cdb + 3));
    else
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
}

static void read_capacity_10(struct scsi_disk *d,
                             const struct scsi_disk_medium *m,
                             const uint8_t *cdb, struct scsi_command *out)
{
    if (!(cdb[8] & 1) && scsi_be32(cdb + 2)) {
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    scsi_put32(out->reply, clamp32(m->blocks - 1));
    scsi_put32(out->reply + 4, m->block_bytes);
    scsi_reply(out, 8, 8);
}

static void read_capacity_16(const struct scsi_disk_medium *m,
                             const uint8_t *cdb, struct scsi_command *out)
{
    uint8_t *r = out->reply;

    memset(r, 0, 32);
    scsi_put64(r, m->blocks - 1);
    scsi_put32(r + 8, m->block_bytes);
    r[13] = (uint8_t)__builtin_ctz(m->physical_bytes / m->block_bytes);
    if (m->thin)
        r[14] = 0xc0; /* unmapped blocks read as zeros */
    scsi_reply(out, 32, scsi_be32(cdb + 10));
}

static void request_sense(struct scsi_disk *d, const uint8_t *cdb,
                          struct scsi_command *out)
{
    if (cdb[1] & 1) { /* descriptor format */
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    scsi_put_sense(out->reply, d->sense, d->asc, d->ascq);
    scsi_disk_fail(d, SENSE_NONE, ASC_NONE, 0);
    scsi_reply(out, SCSI_SENSE_BYTES, cdb[4]);
}

/* --- the medium -----------------------------------------------------------*/

/* Where command and length stand in a command block of this group. */
static void decode_place(const uint8_t *cdb, struct scsi_command *out)
{
    switch (cdb[0] >> 5) {
    case 0:
        out->lba = scsi_be32(cdb) & 0x1fffff;
        out->blocks = cdb[4] ? cdb[4] : 256;
        break;
    case 4:
        out->lba = scsi_be64(cdb + 2);
        out->blocks = scsi_be32(cdb + 10);
        break;
    case 5:
        out->lba = scsi_be32(cdb + 2);
        out->blocks = scsi_be32(cdb + 6);
        break;
    default:
        out->lba = scsi_be32(cdb + 2);
        out->blocks = scsi_be16(cdb + 7);
        break;
    }
}

static int is_inside(const struct scsi_disk_medium *m, uint64_t lba,
                     uint64_t blocks)
{
    return lba <= m->blocks && blocks <= m->blocks - lba;
}

/* The range of the command; 0, and refused, when it is none. */
static int place(struct scsi_disk *d, const struct scsi_disk_medium *m,
                 const uint8_t *cdb, struct scsi_command *out)
{
    decode_place(cdb, out);
    /* The 6-byte commands have no flags; 10 and more have protection. */
    if (cdb[0] >> 5 && cdb[1] >> 5) {
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return 0;
    }
    if (!is_inside(m, out->lba, out->blocks)) {
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_OUT_OF_RANGE);
        return 0;
    }
    return 1;
}

static void transfer(struct scsi_disk *d, const struct scsi_disk_medium *m,
                     const uint8_t *cdb, enum scsi_action action,
                     struct scsi_command *out)
{
    if (!place(d, m, cdb, out) || !out->blocks)
        return;
    if (out->blocks > m->transfer_bytes / m->block_bytes) {
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    out->action = action;
    if (action != SCSI_WRITE)
        return;
    out->durable = d->write_through || (cdb[0] >> 5 && cdb[1] & 8);
}

static void write_verify(struct scsi_disk *d, const struct scsi_disk_medium *m,
                         const uint8_t *cdb, struct scsi_command *out)
{
    uint8_t plain[SCSI_CDB_MAX];

    memcpy(plain, cdb, sizeof(plain));
    plain[1] &= ~8; /* there is no FUA bit, it is implied */
    transfer(d, m, plain, SCSI_WRITE, out);
    out->durable = out->action == SCSI_WRITE;
}

static void verify(struct scsi_disk *d, const struct scsi_disk_medium *m,
                   const uint8_t *cdb, struct scsi_command *out)
{
    switch (cdb[1] >> 1 & 3) {
    case 0: transfer(d, m, cdb, SCSI_VERIFY, out); break;
    case 1: transfer(d, m, cdb, SCSI_COMPARE, out); break;
    default: scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_INVALID_FIELD); break;
    }
}

static void prefetch(struct scsi_disk *d, const struct scsi_disk_medium *m,
                     const uint8_t *cdb, struct scsi_command *out)
{
    place(d, m, cdb, out); /* and the cache is the host's */
}

static int all_zero(const uint8_t *p, uint32_t bytes)
{
    return !bytes || (p[0] == 0 && memcmp(p, p + 1, bytes - 1) == 0);
}

static void write_same(struct scsi_disk *d, const struct scsi_disk_medium *m,
                       const uint8_t *cdb, const uint8_t *block, uint32_t bytes,
                       struct scsi_command *out)
{
    int no_data = cdb[0] == SCSI_WRITE_SAME_16 && cdb[1] & 1;
    int unmap = cdb[1] & 8, anchor = cdb[1] & 16;

    if (!place(d, m, cdb, out))
        return;
    if (!out->blocks || out->blocks > FILL_BYTES_MAX / m->block_bytes ||
        anchor || (unmap && !m->thin) || (!no_data && bytes < m->block_bytes)) {
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    out->durable = d->write_through;
    if (!no_data && !all_zero(block, m->block_bytes)) {
        out->action = SCSI_FILL;
    } else if (unmap) {
        out->action = SCSI_UNMAPPED;
        out->ranges[0] = (struct scsi_range){ out->lba, out->blocks };
        out->range_count = 1;
    } else {
        out->action = SCSI_ZERO;
    }
}

/* Row i of the list that UNMAP came with; 0: it is refused. */
static int unmap_row(struct scsi_disk *d, const struct scsi_disk_medium *m,
                     const uint8_t *row, uint64_t *sum,
                     struct scsi_command *out)
{
    struct scsi_range r = { scsi_be64(row), scsi_be32(row + 8) };

    if (!is_inside(m, r.lba, r.blocks)) {
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_OUT_OF_RANGE);
        return 0;
    }
    *sum += r.blocks;
    if (*sum > UNMAP_BYTES_MAX / m->block_bytes) {
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_INVALID_PARAMETER);
        return 0;
    }
    if (r.blocks)
        out->ranges[out->range_count++] = r;
    return 1;
}

static void unmap(struct scsi_disk *d, const struct scsi_disk_medium *m,
                  const uint8_t *cdb, const uint8_t *list, uint32_t bytes,
                  struct scsi_command *out)
{
    uint32_t rows;
    uint64_t sum = 0;

    if (!m->thin || cdb[1] & 1) {
        scsi_disk_refuse(d, out, SENSE_ILLEGAL,
                         m->thin ? ASC_INVALID_FIELD : ASC_INVALID_COMMAND);
        return;
    }
    if (!scsi_be16(cdb + 7))
        return;
    if (scsi_be16(cdb + 7) < UNMAP_HEAD || bytes < UNMAP_HEAD) {
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_PARAMETER_LENGTH);
        return;
    }
    rows = scsi_be16(list + 2) / UNMAP_ROW;
    /* An incomplete row at the end is left alone. */
    if (rows > (bytes - UNMAP_HEAD) / UNMAP_ROW)
        rows = (bytes - UNMAP_HEAD) / UNMAP_ROW;
    if (rows > SCSI_RANGES_MAX) {
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_INVALID_PARAMETER);
        return;
    }
    for (uint32_t i = 0; i < rows; i++) {
        if (!unmap_row(d, m, list + UNMAP_HEAD + i * UNMAP_ROW, &sum, out))
            return;
    }
    if (out->range_count)
        out->action = SCSI_UNMAPPED;
}

static void start_stop(struct scsi_disk *d, const uint8_t *cdb,
                       struct scsi_command *out)
{
    if (cdb[4] & 2) { /* it cannot be taken out */
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    if (cdb[4] >> 4)
        return; /* power conditions make no difference */
    if (!(cdb[4] & 1) && !d->stopped)
        out->action = SCSI_FLUSH;
    d->stopped = !(cdb[4] & 1);
}

/* --- dispatch -------------------------------------------------------------*/

#define MEDIUM 1u /* not while it is stopped */
#define WRITES 2u

static unsigned needs(uint8_t opcode)
{
    switch (opcode) {
    case SCSI_WRITE_6:
    case SCSI_WRITE_10:
    case SCSI_WRITE_12:
    case SCSI_WRITE_16:
    case SCSI_WRITE_VERIFY_10:
    case SCSI_WRITE_VERIFY_12:
    case SCSI_WRITE_VERIFY_16:
    case SCSI_WRITE_SAME_10:
    case SCSI_WRITE_SAME_16:
    case SCSI_UNMAP: return MEDIUM | WRITES;
    case SCSI_TEST_UNIT_READY:
    case SCSI_READ_6:
    case SCSI_READ_10:
    case SCSI_READ_12:
    case SCSI_READ_16:
    case SCSI_VERIFY_10:
    case SCSI_VERIFY_12:
    case SCSI_VERIFY_16:
    case SCSI_PREFETCH_10:
    case SCSI_PREFETCH_16:
    case SCSI_SEEK_10: return MEDIUM;
    default: return 0;
    }
}

/* Commands on blocks; 0 when it is none of them. */
static int on_blocks(struct scsi_disk *d, const struct scsi_disk_medium *m,
                     const uint8_t *cdb, const uint8_t *parameters,
                     uint32_t bytes, struct scsi_command *out)
{
    switch (cdb[0]) {
    case SCSI_READ_6:
    case SCSI_READ_10:
    case SCSI_READ_12:
    case SCSI_READ_16: transfer(d, m, cdb, SCSI_READ, out); return 1;
    case SCSI_WRITE_6:
    case SCSI_WRITE_10:
    case SCSI_WRITE_12:
    case SCSI_WRITE_16: transfer(d, m, cdb, SCSI_WRITE, out); return 1;
    case SCSI_WRITE_VERIFY_10:
    case SCSI_WRITE_VERIFY_12:
    case SCSI_WRITE_VERIFY_16: write_verify(d, m, cdb, out); return 1;
    case SCSI_VERIFY_10:
    case SCSI_VERIFY_12:
    case SCSI_VERIFY_16: verify(d, m, cdb, out); return 1;
    case SCSI_PREFETCH_10:
    case SCSI_PREFETCH_16: prefetch(d, m, cdb, out); return 1;
    case SCSI_WRITE_SAME_10:
    case SCSI_WRITE_SAME_16:
        write_same(d, m, cdb, parameters, bytes, out);
        return 1;
    case SCSI_UNMAP: unmap(d, m, cdb, parameters, bytes, out); return 1;
    default: return 0;
    }
}

static void service_action_in(struct scsi_disk *d,
                              const struct scsi_disk_medium *m,
                              const uint8_t *cdb, struct scsi_command *out)
{
    if ((cdb[1] & 31) == SA_READ_CAPACITY_16)
        read_capacity_16(m, cdb, out);
    else
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
}

static void on_unit(struct scsi_disk *d, const struct scsi_identity *id,
                    const struct scsi_disk_medium *m, const uint8_t *cdb,
                    const uint8_t *parameters, uint32_t bytes,
                    struct scsi_command *out)
{
    switch (cdb[0]) {
    case SCSI_TEST_UNIT_READY:
    case SCSI_SEND_DIAGNOSTIC:
    case SCSI_SEEK_10: break;
    case SCSI_REQUEST_SENSE: request_sense(d, cdb, out); break;
    case SCSI_INQUIRY: inquiry(d, id, m, cdb, out); break;
    case SCSI_MODE_SENSE_6:
    case SCSI_MODE_SENSE_10: scsi_disk_mode_sense(d, m, cdb, out); break;
    case SCSI_MODE_SELECT_6:
    case SCSI_MODE_SELECT_10:
        scsi_disk_mode_select(d, m, cdb, parameters, bytes, out);
        break;
    case SCSI_START_STOP: start_stop(d, cdb, out); break;
    case SCSI_READ_CAPACITY_10: read_capacity_10(d, m, cdb, out); break;
    case SCSI_SERVICE_ACTION_IN: service_action_in(d, m, cdb, out); break;
    case SCSI_SYNC_CACHE_10:
    case SCSI_SYNC_CACHE_16:
        if (place(d, m, cdb, out))
            out->action = SCSI_FLUSH; /* all of it, whatever the range */
        break;
    default:
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_INVALID_COMMAND);
        break;
    }
}

/* Tells of the most important condition and forgets it. */
static void tell_attention(struct scsi_disk *d, struct scsi_command *out)
{
    static const struct {
        uint8_t bit, clears, asc, ascq;
    } rows[] = {
        { DISK_POWER_ON, 0xff, ASC_RESET, 0 },
        { DISK_BUS_RESET, DISK_BUS_RESET | DISK_UNIT_RESET, ASC_RESET, 2 },
        { DISK_UNIT_RESET, DISK_UNIT_RESET, ASC_RESET, 3 },
        { DISK_CAPACITY, DISK_CAPACITY, ASC_CHANGED, 9 },
    };

    out->action = SCSI_FAILED;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!(d->attention & rows[i].bit))
            continue;
        d->attention &= ~rows[i].clears;
        scsi_disk_fail(d, SENSE_ATTENTION, rows[i].asc, rows[i].ascq);
        return;
    }
    d->attention = 0;
    scsi_disk_fail(d, SENSE_ATTENTION, ASC_RESET, 0);
}

/* REQUEST SENSE gives the condition as data instead. */
static int reports_attention(struct scsi_disk *d, const uint8_t *cdb,
                             struct scsi_command *out)
{
    if (!d->attention || cdb[0] == SCSI_INQUIRY)
        return 0;
    if (cdb[0] == SCSI_REQUEST_SENSE) {
        if (d->sense == SENSE_NONE)
            tell_attention(d, out);
        out->action = SCSI_DONE;
        return 0;
    }
    tell_attention(d, out);
    return 1;
}

uint32_t scsi_disk_parameter_bytes(const uint8_t *cdb,
                                   const struct scsi_disk_medium *m)
{
    uint32_t n;

    switch (cdb[0]) {
    case SCSI_MODE_SELECT_6: n = cdb[4]; break;
    case SCSI_MODE_SELECT_10:
    case SCSI_UNMAP: n = scsi_be16(cdb + 7); break;
    case SCSI_WRITE_SAME_10: n = m->block_bytes; break;
    case SCSI_WRITE_SAME_16: n = cdb[1] & 1 ? 0 : m->block_bytes; break;
    default: n = 0; break;
    }
    return n < SCSI_PARAMETERS_MAX ? n : SCSI_PARAMETERS_MAX;
}

void scsi_disk_execute(struct scsi_disk *d, const struct scsi_identity *id,
                       const struct scsi_disk_medium *m, const uint8_t *cdb,
                       const uint8_t *parameters, uint32_t bytes,
                       struct scsi_command *out)
{
    unsigned need = needs(cdb[0]);

    scsi_command_init(out);
    if (reports_attention(d, cdb, out))
        return;
    if (cdb[0] != SCSI_REQUEST_SENSE)
        scsi_disk_fail(d, SENSE_NONE, ASC_NONE, 0);
    if (need & MEDIUM && d->stopped) {
        scsi_disk_fail(d, SENSE_NOT_READY, ASC_NOT_READY, 2);
        out->action = SCSI_FAILED;
    } else if (need & WRITES && m->readonly) {
        scsi_disk_refuse(d, out, SENSE_PROTECT, ASC_WRITE_PROTECTED);
    } else if (!on_blocks(d, m, cdb, parameters, bytes, out)) {
        on_unit(d, id, m, cdb, parameters, bytes, out);
    }
}
