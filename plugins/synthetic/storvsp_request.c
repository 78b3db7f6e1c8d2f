/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests in flight.
 *
 * Reads and writes go straight between the guest's pages and the drive, in
 * one step.  What looks at the data, or repeats it, goes through a buffer of
 * ours, 64 KiB a step.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storvsp.h"

int32_t storvsp_requests_create(struct storvsp *s)
{
    s->requests = calloc(REQUESTS, sizeof(s->requests[0]));
    if (!s->requests)
        return -ENOMEM;
    for (uint32_t i = REQUESTS; i-- > 0;) {
        s->requests[i].next = s->free;
        s->free = &s->requests[i];
    }
    return 0;
}

void storvsp_requests_destroy(struct storvsp *s)
{
    for (uint32_t i = 0; s->requests && i < REQUESTS; i++)
        free(s->requests[i].buffer);
    free(s->requests);
}

struct storvsp_request *storvsp_request_take(struct storvsp_channel *channel,
                                             const struct bp_vmbus_packet *p)
{
    struct storvsp *s = channel->s;
    struct storvsp_request *r = s->free;
    uint32_t bytes = p->bytes < PACKET_MAX ? p->bytes : PACKET_MAX;

    if (!r)
        return NULL;
    s->free = r->next;
    r->next = NULL;
    r->channel = channel;
    r->transaction = p->transaction;
    r->wants_completion = !!(p->flags & BP_VMBUS_WANTS_COMPLETION);
    /* An answer is as long as its question. */
    r->packet_bytes = bytes < PACKET_OLD ? PACKET_OLD : bytes;
    memset(r->packet, 0, sizeof(r->packet));
    memcpy(r->packet, p->data, bytes);
    r->unit = NULL;
    r->range_count = r->piece_count = 0;
    r->range_bytes = r->moved = 0;
    channel->in_flight++;
    s->in_flight++;
    return r;
}

/* --- the guest's buffer ---------------------------------------------------*/

int storvsp_request_ranges(struct storvsp_request *r,
                           const struct bp_vmbus_packet *p)
{
    if (p->type != BP_VMBUS_GPA_DIRECT)
        return 1;
    if (p->range_count > RANGES_MAX)
        return 0;
    memcpy(r->ranges, p->ranges, p->range_count * sizeof(r->ranges[0]));
    r->range_count = p->range_count;
    r->range_bytes = p->range_bytes;
    return 1;
}

static int32_t copy(struct storvsp_request *r, uint64_t offset, uint8_t *data,
                    uint32_t bytes, int out)
{
    const struct storvsp *s = r->channel->s;

    for (uint32_t i = 0; i < r->range_count && bytes; i++) {
        const struct bp_gpa_range *g = &r->ranges[i];
        uint32_t n;
        int32_t status;

        if (offset >= g->bytes) {
            offset -= g->bytes;
            continue;
        }
        n = g->bytes - offset < bytes ? (uint32_t)(g->bytes - offset) : bytes;
        status = out ? s->dma->write(s->dev, g->gpa + offset, data, n)
                     : s->dma->read(s->dev, g->gpa + offset, data, n);
        if (status)
            return status;
        data += n;
        bytes -= n;
        offset = 0;
    }
    return bytes ? -EFAULT : 0;
}

int32_t storvsp_copy_in(struct storvsp_request *r, uint64_t offset, void *dst,
                        uint32_t bytes)
{
    return copy(r, offset, dst, bytes, 0);
}

int32_t storvsp_copy_out(struct storvsp_request *r, uint64_t offset,
                         const void *src, uint32_t bytes)
{
    return copy(r, offset, (uint8_t *)(uintptr_t)src, bytes, 1);
}

static int32_t map_range(struct storvsp_request *r, uint64_t gpa,
                         uint64_t bytes)
{
    const struct storvsp *s = r->channel->s;

    while (bytes) {
        void *host;
        int64_t n;

        if (r->piece_count == PIECES_MAX)
            return -EFAULT;
        n = s->dma->map(s->dev, gpa, bytes, r->maps_for_writing, &host);
        if (n <= 0)
            return -EFAULT;
        r->piece[r->piece_count].base = host;
        r->piece[r->piece_count].bytes = (uint64_t)n;
        r->piece_gpa[r->piece_count++] = gpa;
        gpa += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    return 0;
}

/* The first `bytes` of the buffer, which has that many. */
static int32_t map(struct storvsp_request *r, uint64_t bytes, int for_writing)
{
    int32_t status = 0;

    r->maps_for_writing = (uint32_t)for_writing;
    for (uint32_t i = 0; i < r->range_count && bytes && !status; i++) {
        uint64_t n = r->ranges[i].bytes < bytes ? r->ranges[i].bytes : bytes;

        status = map_range(r, r->ranges[i].gpa, n);
        bytes -= n;
    }
    return status;
}

static void unmap(struct storvsp_request *r)
{
    const struct storvsp *s = r->channel->s;

    for (uint32_t i = 0; i < r->piece_count; i++) {
        const struct bp_iovec *p = &r->piece[i];

        s->dma->unmap(s->dev, r->piece_gpa[i], p->base, p->bytes,
                      r->maps_for_writing, p->bytes);
    }
    r->piece_count = 0;
}

/* --- the end --------------------------------------------------------------*/

/* Packets that waited for a request or for a reset come again. */
static void resume_starved(struct storvsp *s)
{
    for (uint32_t i = 0; i < CHANNELS; i++) {
        struct storvsp_channel *c = &s->channel[i];

        if (!c->starved)
            continue;
        c->starved = 0;
        if (c->ch && !c->closing)
            s->bus->resume(c->ch);
    }
}

void storvsp_request_release(struct storvsp_request *r)
{
    struct storvsp_channel *c = r->channel;
    struct storvsp *s = c->s;

    unmap(r);
    free(r->buffer);
    r->buffer = NULL;
    r->next = s->free;
    s->free = r;
    c->in_flight--;
    s->in_flight--;
    if (!s->resets)
        resume_starved(s);
    storvsp_close_on(s);
}

/* --- steps ----------------------------------------------------------------*/

static void step(struct storvsp_request *r);

static void block_done(struct bp_block_request *block)
{
    step(block->ctx);
}

static void submit(struct storvsp_request *r, uint32_t op, uint64_t offset,
                   uint64_t bytes, const struct bp_iovec *iov, uint32_t count)
{
    struct bp_block_request *b = &r->block;

    if (r->unit->drive != r->drive) { /* it was taken out meanwhile */
        storvsp_srb_error(r, SRB_INVALID_LUN, 0);
        return;
    }
    b->size = sizeof(*b);
    b->op = op;
    b->offset = offset;
    b->bytes = bytes;
    b->iov = iov;
    b->iov_count = count;
    b->done = block_done;
    b->ctx = r;
    b->flags = BP_BLOCK_INLINE;
    r->channel->s->block->submit(r->drive, b);
}

static void fail_by_errno(struct storvsp_request *r, int32_t status)
{
    int reads = r->block.op == BP_BLOCK_READ;

    switch (status) {
    case -ENOMEDIUM:
        storvsp_check_condition(r, SENSE_NOT_READY, ASC_NO_MEDIUM, 0);
        break;
    case -EROFS:
        storvsp_check_condition(r, SENSE_PROTECT, ASC_WRITE_PROTECTED, 0);
        break;
    case -ENOSPC: /* space allocation failed */
        storvsp_check_condition(r, SENSE_PROTECT, ASC_WRITE_PROTECTED, 7);
        break;
    case -ERANGE: /* the medium is another one meanwhile */
        storvsp_check_condition(r, SENSE_ILLEGAL, ASC_OUT_OF_RANGE, 0);
        break;
    default:
        storvsp_check_condition(r, SENSE_MEDIUM,
                                reads ? ASC_READ_ERROR : ASC_WRITE_ERROR, 0);
        break;
    }
}

/* 2352-byte sectors around what was read. */
static int32_t put_raw_sectors(struct storvsp_request *r)
{
    uint8_t sector[2352];
    int32_t status = 0;

    for (uint32_t i = 0; i < r->step_bytes / CD_BLOCK && !status; i++) {
        uint32_t lba = (uint32_t)(r->offset / CD_BLOCK) + i;

        scsi_cd_raw_sector(sector, r->buffer + i * CD_BLOCK, lba);
        status = storvsp_copy_out(r, r->moved, sector, sizeof(sector));
        r->moved += sizeof(sector);
    }
    return status;
}

/* What comes from the guest against what was read; -EILSEQ: it differs. */
static int32_t compare(struct storvsp_request *r)
{
    uint8_t part[4096];
    uint32_t n;
    int32_t status;

    for (uint32_t at = 0; at < r->step_bytes; at += n) {
        n = r->step_bytes - at < sizeof(part) ? r->step_bytes - at
                                              : (uint32_t)sizeof(part);
        status = storvsp_copy_in(r, r->moved, part, n);
        if (status)
            return status;
        if (memcmp(part, r->buffer + at, n) != 0)
            return -EILSEQ;
        r->moved += n;
    }
    return 0;
}

/* After a step succeeded: its data, if anybody looks at it. */
static int32_t take_step(struct storvsp_request *r)
{
    int32_t status = 0;

    if (r->action == SCSI_READ && r->raw)
        status = put_raw_sectors(r);
    else if (r->action == SCSI_COMPARE)
        status = compare(r);
    else if (r->action == SCSI_READ || r->action == SCSI_WRITE)
        r->moved += r->step_bytes;
    r->offset += r->step_bytes;
    r->left -= r->step_bytes;
    r->step_bytes = 0;
    return status;
}

static int is_direct(const struct storvsp_request *r)
{
    return (r->action == SCSI_READ && !r->raw) || r->action == SCSI_WRITE;
}

static void next_transfer(struct storvsp_request *r)
{
    uint32_t n = STEP_BYTES;

    if (is_direct(r)) {
        r->step_bytes = (uint32_t)r->left;
        submit(r, r->action == SCSI_READ ? BP_BLOCK_READ : BP_BLOCK_WRITE,
               r->offset, 0, r->piece, r->piece_count);
        return;
    }
    r->step_bytes = r->left < n ? (uint32_t)r->left : n;
    r->own = (struct bp_iovec){ r->buffer, r->step_bytes };
    submit(r, r->action == SCSI_FILL ? BP_BLOCK_WRITE : BP_BLOCK_READ,
           r->offset, 0, &r->own, 1);
}

static void next_discard(struct storvsp_request *r)
{
    const struct scsi_range *d = &r->discards[r->next_discard++];
    uint32_t bytes = r->unit->medium.block_bytes;

    submit(r, BP_BLOCK_DISCARD, d->lba * bytes, d->blocks * bytes, NULL, 0);
}

/* The next step of a command, whatever the last one was. */
static void go_on(struct storvsp_request *r)
{
    if (r->next_discard < r->discard_count) {
        next_discard(r);
    } else if (r->left && r->action == SCSI_ZERO) {
        uint64_t bytes = r->left;

        r->left = 0;
        submit(r, BP_BLOCK_ZERO, r->offset, bytes, NULL, 0);
    } else if (r->left) {
        next_transfer(r);
    } else if (r->flush_after) {
        r->flush_after = 0;
        submit(r, BP_BLOCK_FLUSH, 0, 0, NULL, 0);
    } else {
        storvsp_good(r, (uint32_t)r->moved);
    }
}

static void step(struct storvsp_request *r)
{
    int32_t status = r->block.status;

    if (status) {
        fail_by_errno(r, status);
        return;
    }
    if (r->step_bytes)
        status = take_step(r);
    if (status == -EILSEQ)
        storvsp_check_condition(r, SENSE_MISCOMPARE, ASC_MISCOMPARE, 0);
    else if (status)
        storvsp_srb_error(r, SRB_INVALID_REQUEST, 0);
    else
        go_on(r);
}

/* --- commands -------------------------------------------------------------*/

static uint32_t block_bytes(const struct storvsp_unit *u)
{
    return u->identity.type == 0 ? u->medium.block_bytes : CD_BLOCK;
}

/* A buffer of ours, with the block that fills it. */
static int get_buffer(struct storvsp_request *r, const uint8_t *block)
{
    uint32_t n = block_bytes(r->unit);

    r->buffer = malloc(STEP_BYTES);
    for (uint32_t at = 0; r->buffer && block && at < STEP_BYTES; at += n)
        memcpy(r->buffer + at, block, n);
    return r->buffer != NULL;
}

/* What the guest's buffer must have room for, or hold. */
static uint64_t wanted(const struct storvsp_request *r)
{
    switch (r->action) {
    case SCSI_READ: return r->raw ? r->left / CD_BLOCK * 2352 : r->left;
    case SCSI_WRITE:
    case SCSI_COMPARE: return r->left;
    default: return 0;
    }
}

static void transfer(struct storvsp_request *r, const struct scsi_command *c,
                     const uint8_t *block)
{
    uint32_t bytes = block_bytes(r->unit);
    uint64_t want;

    r->offset = c->lba * bytes;
    r->left = c->blocks * bytes;
    want = wanted(r);
    if (want > r->range_bytes || want > MAX_TRANSFER) {
        storvsp_srb_error(r, SRB_OVERRUN, 0);
        return;
    }
    if (is_direct(r)) {
        if (map(r, want, r->action == SCSI_READ)) {
            storvsp_srb_error(r, SRB_INVALID_REQUEST, 0);
            return;
        }
    } else if (c->action != SCSI_ZERO &&
               !get_buffer(r, c->action == SCSI_FILL ? block : NULL)) {
        storvsp_check_condition(r, SENSE_HARDWARE, ASC_TARGET_FAILURE, 0);
        return;
    }
    go_on(r);
}

static void discard(struct storvsp_request *r, const struct scsi_command *c)
{
    r->discard_count = c->range_count;
    memcpy(r->discards, c->ranges, c->range_count * sizeof(r->discards[0]));
    go_on(r);
}

static void reply(struct storvsp_request *r, const struct scsi_command *c)
{
    uint32_t n = c->reply_bytes;

    if (n > r->range_bytes)
        n = (uint32_t)r->range_bytes;
    if (storvsp_copy_out(r, 0, c->reply, n))
        storvsp_srb_error(r, SRB_INVALID_REQUEST, 0);
    else
        storvsp_good(r, n);
}

/* The tray's and the lock's new position. */
static void move_tray(struct storvsp_request *r, enum scsi_action action)
{
    struct storvsp_unit *u = r->unit;
    const struct bp_block *block = u->s->block;
    uint32_t before = u->info.flags & BP_BLOCK_PRESENT;

    if (action == SCSI_LOCK)
        block->lock(u->drive, u->st->cd.locked);
    else
        block->eject(u->drive, action == SCSI_EJECT);
    storvsp_unit_refresh(u);
    if (!before && u->info.flags & BP_BLOCK_PRESENT) /* it was still inside */
        scsi_cd_medium_changed(&u->st->cd, 1);
    storvsp_good(r, 0);
}

void storvsp_perform(struct storvsp_request *r, const struct scsi_command *c,
                     const uint8_t *block)
{
    r->action = c->action;
    r->raw = c->raw;
    r->flush_after = c->durable;
    r->offset = r->left = 0;
    r->step_bytes = 0;
    r->next_discard = r->discard_count = 0;
    switch (c->action) {
    case SCSI_DATA: reply(r, c); break;
    case SCSI_READ:
    case SCSI_WRITE:
    case SCSI_VERIFY:
    case SCSI_COMPARE:
    case SCSI_FILL:
    case SCSI_ZERO: transfer(r, c, block); break;
    case SCSI_UNMAPPED: discard(r, c); break;
    case SCSI_FLUSH:
        r->flush_after = r->unit->identity.type == 0; /* CDs are not written */
        go_on(r);
        break;
    case SCSI_LOCK:
    case SCSI_EJECT:
    case SCSI_LOAD: move_tray(r, c->action); break;
    default: storvsp_good(r, 0); break;
    }
}
