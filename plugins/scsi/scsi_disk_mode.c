/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mode pages of a disk: read-write error recovery (01h), caching (08h),
 * control (0Ah).  Only the write cache can be changed; nothing is saved.
 *
 * Sources: INCITS SPC-3 sections 6.7-6.10 and 7.4, SBC-3 section 6.4.
 */
#include <string.h>

#include "scsi/scsi_disk.h"

#define PAGE_RECOVERY 0x01
#define PAGE_CACHING  0x08
#define PAGE_CONTROL  0x0a
#define PAGE_ALL      0x3f

#define CACHE_WCE 0x04

#define HEAD_WP     0x80
#define HEAD_DPOFUA 0x10

#define DESCRIPTOR_BYTES 8u
#define PAGES_BYTES      44u /* of all pages */

enum { NOW, CHANGEABLE, DEFAULT, SAVED };

static uint32_t put_recovery(uint8_t *p)
{
    p[0] = PAGE_RECOVERY;
    p[1] = 10;
    return 12;
}

static uint32_t put_caching(const struct scsi_disk *d, unsigned control,
                            uint8_t *p)
{
    p[0] = PAGE_CACHING;
    p[1] = 18;
    if (control != NOW || !d->write_through)
        p[2] = CACHE_WCE;
    return 20;
}

static uint32_t put_control(uint8_t *p)
{
    p[0] = PAGE_CONTROL;
    p[1] = 10;
    p[3] = 0x10; /* commands may be reordered */
    return 12;
}

/* Page `code` if it is wanted. */
static uint32_t put_page(const struct scsi_disk *d, unsigned code,
                         unsigned wanted, unsigned control, uint8_t *p)
{
    uint32_t n;

    if (wanted != code && wanted != PAGE_ALL)
        return 0;
    switch (code) {
    case PAGE_RECOVERY: n = put_recovery(p); break;
    case PAGE_CACHING: return put_caching(d, control, p);
    default: n = put_control(p); break;
    }
    if (control == CHANGEABLE)
        memset(p + 2, 0, n - 2);
    return n;
}

static uint32_t put_descriptor(const struct scsi_disk_medium *m, uint8_t *p)
{
    scsi_put32(p, m->blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)m->blocks);
    scsi_put32(p + 4, m->block_bytes); /* its top byte is reserved */
    return DESCRIPTOR_BYTES;
}

static uint32_t put_pages(const struct scsi_disk *d, unsigned page,
                          unsigned control, uint8_t *p)
{
    static const uint8_t codes[] = { PAGE_RECOVERY, PAGE_CACHING,
                                     PAGE_CONTROL };
    uint32_t n = 0;

    for (unsigned i = 0; i < sizeof(codes); i++)
        n += put_page(d, codes[i], page, control, p + n);
    return n;
}

void scsi_disk_mode_sense(struct scsi_disk *d, const struct scsi_disk_medium *m,
                          const uint8_t *cdb, struct scsi_command *out)
{
    int ten = cdb[0] == SCSI_MODE_SENSE_10, no_descriptor = cdb[1] & 8;
    uint32_t head = ten ? 8 : 4, descriptor = 0, pages;
    uint8_t *r = out->reply;
    uint8_t specific = HEAD_DPOFUA | (m->readonly ? HEAD_WP : 0);

    if (cdb[2] >> 6 == SAVED) {
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_NO_SAVING);
        return;
    }
    memset(r, 0, 128);
    if (!no_descriptor)
        descriptor = put_descriptor(m, r + head);
    /* No page has subpages; FFh means all of them. */
    pages =
        cdb[3] == 0 || cdb[3] == 0xff
            ? put_pages(d, cdb[2] & 0x3f, cdb[2] >> 6, r + head + descriptor)
            : 0;
    if (!pages) {
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    if (ten) {
        scsi_put16(r, head + descriptor + pages - 2);
        r[3] = specific;
        scsi_put16(r + 6, descriptor);
        scsi_reply(out, head + descriptor + pages, scsi_be16(cdb + 7));
    } else {
        r[0] = (uint8_t)(head + descriptor + pages - 1);
        r[2] = specific;
        r[3] = (uint8_t)descriptor;
        scsi_reply(out, head + descriptor + pages, cdb[4]);
    }
}

/* A page as the initiator sent it: everything but the write cache must be as
 * it is.  Its bytes; 0 when it is refused. */
static uint32_t check_page(const struct scsi_disk *d, const uint8_t *p,
                           uint32_t left, uint8_t *write_through)
{
    uint8_t now[PAGES_BYTES] = { 0 };
    uint32_t n;

    if ((p[0] & 0x3f) == PAGE_ALL)
        return 0;
    n = put_pages(d, p[0] & 0x3f, NOW, now);
    if (!n || left < n || p[0] & 0x40 || p[1] != now[1])
        return 0;
    if (now[0] == PAGE_CACHING) {
        *write_through = !(p[2] & CACHE_WCE);
        now[2] = (now[2] & ~CACHE_WCE) | (p[2] & CACHE_WCE);
    }
    return memcmp(p + 2, now + 2, n - 2) == 0 ? n : 0;
}

/* The head and a block descriptor that changes nothing; 0: refused. */
static uint32_t check_head(const struct scsi_disk_medium *m, int ten,
                           const uint8_t *p, uint32_t bytes)
{
    uint32_t head = ten ? 8 : 4, descriptor;

    if (bytes < head || (ten && p[4] & 1))
        return 0;
    descriptor = ten ? scsi_be16(p + 6) : p[3];
    if (!descriptor)
        return head;
    if (descriptor != DESCRIPTOR_BYTES || bytes < head + descriptor ||
        (scsi_be32(p + head + 4) & 0xffffff) != m->block_bytes)
        return 0;
    return head + descriptor;
}

void scsi_disk_mode_select(struct scsi_disk *d,
                           const struct scsi_disk_medium *m, const uint8_t *cdb,
                           const uint8_t *parameters, uint32_t bytes,
                           struct scsi_command *out)
{
    int ten = cdb[0] == SCSI_MODE_SELECT_10;
    uint8_t write_through = d->write_through;
    uint32_t at, n;

    if (cdb[1] & 1 || !(cdb[1] & 0x10)) { /* save pages; vendor's format */
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    if (!bytes)
        return; /* nothing to select is no error */
    at = check_head(m, ten, parameters, bytes);
    for (n = at; n && at < bytes; at += n)
        n = bytes - at < 2
                ? 0
                : check_page(d, parameters + at, bytes - at, &write_through);
    if (!n) {
        scsi_disk_refuse(d, out, SENSE_ILLEGAL, ASC_INVALID_PARAMETER);
        return;
    }
    /* What was cached until now must not stay there. */
    if (write_through && !d->write_through)
        out->action = SCSI_FLUSH;
    d->write_through = write_through;
}
