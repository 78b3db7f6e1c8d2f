/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources: INCITS MMC-3 (commands, table of contents, features), SPC-3
 * (INQUIRY, REQUEST SENSE, MODE SENSE), SFF-8020i for what older systems
 * still expect of ATAPI drives.
 */
#include "scsi/scsi_cd.h"

#include <string.h>

#define EVENT_NONE          0
#define EVENT_EJECT_REQUEST 1
#define EVENT_NEW_MEDIA     2
#define EVENT_REMOVED       3

#define LEAD_OUT      0xaa
#define PROFILE_CD    0x0008
#define PROFILE_DVD   0x0010
#define CD_BLOCKS_MAX 450000u /* beyond it the medium must be a DVD */

void scsi_cd_fail(struct scsi_cd *cd, uint8_t sense, uint8_t asc)
{
    cd->sense = sense;
    cd->asc = asc;
    cd->ascq = 0;
}

void scsi_cd_reset(struct scsi_cd *cd)
{
    memset(cd, 0, sizeof(*cd));
}

void scsi_cd_medium_changed(struct scsi_cd *cd, int present)
{
    cd->attention = present;
    cd->event = present ? EVENT_NEW_MEDIA : EVENT_REMOVED;
    if (present)
        cd->tray_open = 0;
}

void scsi_cd_eject_request(struct scsi_cd *cd)
{
    cd->event = EVENT_EJECT_REQUEST;
}

static void failed(struct scsi_cd *cd, struct scsi_command *out, uint8_t sense,
                   uint8_t asc)
{
    scsi_cd_fail(cd, sense, asc);
    out->action = SCSI_FAILED;
}

static void request_sense(struct scsi_cd *cd, const uint8_t *cdb,
                          struct scsi_command *out)
{
    scsi_put_sense(out->reply, cd->sense, cd->asc, cd->ascq);
    scsi_cd_fail(cd, SENSE_NONE, ASC_NONE);
    scsi_reply(out, SCSI_SENSE_BYTES, cdb[4]);
}

const struct scsi_identity scsi_cd_atapi = {
    .type = 0x05,
    .removable = 1,
    .format = 0x21, /* ATAPI, response format 1 */
    .vendor = "BCKPLANE",
    .product = "Virtual CD/DVD  ",
    .serial = "",
};

static void inquiry(struct scsi_cd *cd, const struct scsi_identity *id,
                    const uint8_t *cdb, struct scsi_command *out)
{
    uint32_t n = scsi_inquiry(id, cdb, NULL, out->reply);

    if (n)
        scsi_reply(out, n, scsi_be16(cdb + 3));
    else
        failed(cd, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
}

enum { PAGE_CURRENT, PAGE_CHANGEABLE, PAGE_DEFAULT, PAGE_SAVED };

static uint32_t put_page_1(uint8_t *p)
{
    p[0] = 0x01; /* read error recovery */
    p[1] = 6;
    p[3] = 5;
    return 8;
}

static uint32_t put_page_0e(uint8_t *p)
{
    p[0] = 0x0e; /* audio control */
    p[1] = 14;
    p[2] = 4;
    p[8] = 1;
    p[9] = 0xff;
    p[10] = 2;
    p[11] = 0xff;
    return 16;
}

static uint32_t put_page_2a(const struct scsi_cd *cd, uint8_t *p)
{
    p[0] = 0x2a; /* capabilities */
    p[1] = 20;
    p[2] = 0x3b;                        /* reads CD-R, CD-RW, DVD-ROM */
    p[4] = 0x70;                        /* mode 2 forms, multi-session */
    p[6] = 0x29 | (cd->locked ? 2 : 0); /* tray, eject, lock */
    scsi_put16(p + 8, 706);             /* 4x */
    scsi_put16(p + 10, 2);
    scsi_put16(p + 12, 512);
    scsi_put16(p + 14, 706);
    return 22;
}

/* Page `code` if it is wanted; 3Fh wants all.  None can be changed. */
static uint32_t put_page(const struct scsi_cd *cd, unsigned code,
                         unsigned wanted, unsigned control, uint8_t *p)
{
    uint32_t n;

    if (wanted != code && wanted != 0x3f)
        return 0;
    switch (code) {
    case 0x01: n = put_page_1(p); break;
    case 0x0e: n = put_page_0e(p); break;
    default: n = put_page_2a(cd, p); break;
    }
    if (control == PAGE_CHANGEABLE)
        memset(p + 2, 0, n - 2);
    return n;
}

static void mode_sense(struct scsi_cd *cd, const uint8_t *cdb, uint64_t blocks,
                       struct scsi_command *out)
{
    int ten = cdb[0] == 0x5a;
    unsigned head = ten ? 8 : 4, page = cdb[2] & 0x3f, control = cdb[2] >> 6;
    uint8_t *r = out->reply;
    uint32_t n = head;

    if (control == PAGE_SAVED) {
        failed(cd, out, SENSE_ILLEGAL, 0x39);
        return;
    }
    n += put_page(cd, 0x01, page, control, r + n);
    n += put_page(cd, 0x0e, page, control, r + n);
    n += put_page(cd, 0x2a, page, control, r + n);
    if (n == head) {
        failed(cd, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    if (ten) {
        scsi_put16(r, n - 2);
        r[2] = blocks ? 0x01 : 0x70; /* data disc, or no disc */
        scsi_reply(out, n, scsi_be16(cdb + 7));
    } else {
        r[0] = n - 1;
        r[1] = blocks ? 0x01 : 0x70;
        scsi_reply(out, n, cdb[4]);
    }
}

static void put_address(uint8_t *p, uint32_t lba, int msf)
{
    if (!msf) {
        scsi_put32(p, lba);
        return;
    }
    lba += 150; /* two seconds of lead-in */
    p[0] = 0;
    p[1] = lba / 75 / 60;
    p[2] = lba / 75 % 60;
    p[3] = lba % 75;
}

static void toc_track(uint8_t *p, uint8_t track, uint32_t lba, int msf)
{
    p[1] = 0x14; /* data track, copying forbidden */
    p[2] = track;
    put_address(p + 4, lba, msf);
}

static void read_toc(struct scsi_cd *cd, const uint8_t *cdb, uint64_t blocks,
                     struct scsi_command *out)
{
    unsigned format = cdb[2] & 15;
    int msf = cdb[1] >> 1 & 1;
    uint8_t *r = out->reply;
    uint32_t n = 4;

    if (!format)
        format = cdb[9] >> 6; /* where SFF-8020i had it */
    r[2] = r[3] = 1;          /* first and last track or session */
    switch (format) {
    case 0:
        if (cdb[6] > 1 && cdb[6] != LEAD_OUT) {
            failed(cd, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
            return;
        }
        if (cdb[6] <= 1) {
            toc_track(r + n, 1, 0, msf);
            n += 8;
        }
        toc_track(r + n, LEAD_OUT, blocks, msf);
        n += 8;
        break;
    case 1:
        toc_track(r + n, 1, 0, msf);
        n += 8;
        break;
    case 2: /* raw: A0, A1, A2, track 1 */
        for (unsigned i = 0; i < 4; i++, n += 11) {
            r[n] = 1;
            r[n + 1] = 0x14;
            r[n + 3] = i < 3 ? 0xa0 + i : 1;
            if (i < 2)
                r[n + 8] = 1;
            else
                put_address(r + n + 7, i == 2 ? blocks : 0, 1);
        }
        break;
    default: failed(cd, out, SENSE_ILLEGAL, ASC_INVALID_FIELD); return;
    }
    scsi_put16(r, n - 2);
    scsi_reply(out, n, scsi_be16(cdb + 7));
}

static uint32_t put_feature(uint8_t *p, uint16_t code, uint8_t flags,
                            uint8_t bytes)
{
    scsi_put16(p, code);
    p[2] = flags;
    p[3] = bytes;
    return 4 + bytes;
}

static void get_configuration(struct scsi_cd *cd, const uint8_t *cdb,
                              uint64_t blocks, struct scsi_command *out)
{
    uint16_t profile = !blocks                  ? 0
                       : blocks > CD_BLOCKS_MAX ? PROFILE_DVD
                                                : PROFILE_CD;
    uint16_t first = scsi_be16(cdb + 2);
    unsigned rt = cdb[1] & 3;
    uint8_t *r = out->reply;
    uint32_t n = 8;

    (void)cd;
    scsi_put16(r + 6, profile);
    if (first == 0) { /* profile list */
        uint8_t *p = r + n;

        n += put_feature(p, 0, 0x03, 8);
        scsi_put16(p + 4, PROFILE_DVD);
        p[6] = profile == PROFILE_DVD;
        scsi_put16(p + 8, PROFILE_CD);
        p[10] = profile == PROFILE_CD;
    }
    if (rt == 2 ? first == 1 : first <= 1) { /* core: ATAPI */
        uint8_t *p = r + n;

        n += put_feature(p, 1, 0x0b, 8);
        scsi_put32(p + 4, 2);
        p[8] = 1;
    }
    if (rt == 2 ? first == 3 : first <= 3) { /* removable, tray */
        uint8_t *p = r + n;

        n += put_feature(p, 3, 0x0b, 4);
        p[4] = 0x29;
    }
    scsi_put32(r, n - 4);
    scsi_reply(out, n, scsi_be16(cdb + 7));
}

static void get_event(struct scsi_cd *cd, const uint8_t *cdb, uint64_t blocks,
                      struct scsi_command *out)
{
    uint8_t *r = out->reply;

    if (!(cdb[1] & 1)) { /* asynchronous operation is not offered */
        failed(cd, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    r[3] = 0x10; /* the media class is supported */
    if (!(cdb[4] & 0x10)) {
        r[1] = 2;
        r[2] = 0x80; /* no event available */
        scsi_reply(out, 4, scsi_be16(cdb + 7));
        return;
    }
    r[1] = 6;
    r[2] = 4;
    r[4] = cd->event;
    r[5] = (blocks ? 2 : 0) | (cd->tray_open ? 1 : 0);
    cd->event = EVENT_NONE;
    scsi_reply(out, 8, scsi_be16(cdb + 7));
}

static void read_disc_information(const uint8_t *cdb, struct scsi_command *out)
{
    uint8_t *r = out->reply;

    scsi_put16(r, 32);
    r[2] = 0x0e; /* complete, last session complete */
    r[3] = r[4] = r[5] = r[6] = 1;
    r[7] = 0x20; /* unrestricted use */
    scsi_reply(out, 34, scsi_be16(cdb + 7));
}

/* There is one track in one session, asked for by an address in it, its
 * number or its session's. */
static void read_track_information(struct scsi_cd *cd, const uint8_t *cdb,
                                   uint64_t blocks, struct scsi_command *out)
{
    uint32_t address = scsi_be32(cdb + 2);
    uint8_t *r = out->reply;
    int known;

    switch (cdb[1] & 3) {
    case 0: known = address < blocks; break;
    case 1:
    case 2: known = address == 1; break;
    default: known = 0; break;
    }
    if (!known) {
        failed(cd, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    scsi_put16(r, 34);
    r[2] = r[3] = 1;
    r[5] = 4; /* data, recorded without a break */
    r[6] = 1; /* mode 1 */
    scsi_put32(r + 24, blocks);
    scsi_reply(out, 36, scsi_be16(cdb + 7));
}

static void read_blocks(struct scsi_cd *cd, uint64_t lba, uint64_t count,
                        uint64_t medium, struct scsi_command *out)
{
    if (lba > medium || count > medium - lba) {
        failed(cd, out, SENSE_ILLEGAL, ASC_OUT_OF_RANGE);
        return;
    }
    out->action = count ? SCSI_READ : SCSI_DONE;
    out->lba = lba;
    out->blocks = count;
}

static void read_cd(struct scsi_cd *cd, const uint8_t *cdb, uint64_t medium,
                    struct scsi_command *out)
{
    uint32_t count = cdb[6] << 16 | scsi_be16(cdb + 7);

    if (cdb[10] & 7) { /* there are no sub-channels */
        failed(cd, out, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    switch (cdb[9] & 0xf8) {
    case 0x00: out->action = SCSI_DONE; return;
    case 0x10: break; /* user data */
    case 0xf8: out->raw = 1; break;
    default: failed(cd, out, SENSE_ILLEGAL, ASC_INVALID_FIELD); return;
    }
    read_blocks(cd, scsi_be32(cdb + 2), count, medium, out);
}

static void start_stop(struct scsi_cd *cd, const uint8_t *cdb,
                       struct scsi_command *out)
{
    out->action = SCSI_DONE;
    if (!(cdb[4] & 2))
        return; /* spinning up or down takes no time */
    if (cdb[4] & 1) {
        cd->tray_open = 0;
        out->action = SCSI_LOAD;
    } else if (cd->locked) {
        scsi_cd_fail(cd, SENSE_ILLEGAL, ASC_LOCKED);
        cd->ascq = 2;
        out->action = SCSI_FAILED;
    } else {
        cd->tray_open = 1;
        out->action = SCSI_EJECT;
    }
}

static void mechanism_status(const uint8_t *cdb, struct scsi_command *out)
{
    scsi_reply(out, 8, scsi_be16(cdb + 8));
}

static void sub_channel(const uint8_t *cdb, struct scsi_command *out)
{
    out->reply[1] = 0x15; /* no audio status */
    scsi_reply(out, 4, scsi_be16(cdb + 7));
}

static int needs_medium(uint8_t command)
{
    switch (command) {
    case 0x00:
    case 0x25:
    case 0x28:
    case 0x2b:
    case 0x42:
    case 0x43:
    case 0x51:
    case 0x52:
    case 0xa8:
    case 0xbe: return 1;
    default: return 0;
    }
}

/* Commands that look at the medium. */
static void with_medium(struct scsi_cd *cd, const uint8_t *cdb, uint64_t blocks,
                        struct scsi_command *out)
{
    switch (cdb[0]) {
    case 0x00:                                 /* TEST UNIT READY */
    case 0x2b: out->action = SCSI_DONE; break; /* SEEK */
    case 0x25:
        scsi_put32(out->reply, blocks - 1);
        scsi_put32(out->reply + 4, CD_BLOCK);
        scsi_reply(out, 8, 8);
        break;
    case 0x28:
        read_blocks(cd, scsi_be32(cdb + 2), scsi_be16(cdb + 7), blocks, out);
        break;
    case 0xa8:
        read_blocks(cd, scsi_be32(cdb + 2), scsi_be32(cdb + 6), blocks, out);
        break;
    case 0xbe: read_cd(cd, cdb, blocks, out); break;
    case 0x42: sub_channel(cdb, out); break;
    case 0x43: read_toc(cd, cdb, blocks, out); break;
    case 0x52: read_track_information(cd, cdb, blocks, out); break;
    default: read_disc_information(cdb, out); break;
    }
}

/* Commands that any drive state answers; 0 when it is none of them. */
static int without_medium(struct scsi_cd *cd, const struct scsi_identity *id,
                          const uint8_t *cdb, uint64_t blocks,
                          struct scsi_command *out)
{
    switch (cdb[0]) {
    case 0x03: request_sense(cd, cdb, out); return 1;
    case 0x12: inquiry(cd, id, cdb, out); return 1;
    case 0x46: get_configuration(cd, cdb, blocks, out); return 1;
    case 0x4a: get_event(cd, cdb, blocks, out); return 1;
    case 0x1a:
    case 0x5a: mode_sense(cd, cdb, blocks, out); return 1;
    case 0x1b: start_stop(cd, cdb, out); return 1;
    case 0x1e:
        cd->locked = cdb[4] & 1;
        out->action = SCSI_LOCK;
        return 1;
    case 0x35: out->action = SCSI_FLUSH; return 1;
    case 0xbb: out->action = SCSI_DONE; return 1; /* speed */
    case 0xbd: mechanism_status(cdb, out); return 1;
    default: return 0;
    }
}

void scsi_cd_execute(struct scsi_cd *cd, const struct scsi_identity *id,
                     const uint8_t *cdb, uint64_t medium_blocks,
                     struct scsi_command *out)
{
    scsi_command_init(out);
    memset(out->reply, 0, sizeof(out->reply));
    /* INQUIRY, REQUEST SENSE and GET EVENT do not clear the condition. */
    if (cd->attention && cdb[0] != 0x12 && cdb[0] != 0x03 && cdb[0] != 0x4a &&
        cdb[0] != 0x46) {
        cd->attention = 0;
        failed(cd, out, SENSE_ATTENTION, ASC_MEDIUM_CHANGED);
        return;
    }
    if (cdb[0] != 0x03)
        scsi_cd_fail(cd, SENSE_NONE, ASC_NONE);
    if (without_medium(cd, id, cdb, medium_blocks, out))
        return;
    if (!needs_medium(cdb[0]))
        failed(cd, out, SENSE_ILLEGAL, ASC_INVALID_COMMAND);
    else if (!medium_blocks)
        failed(cd, out, SENSE_NOT_READY, ASC_NO_MEDIUM);
    else
        with_medium(cd, cdb, medium_blocks, out);
}

void scsi_cd_raw_sector(uint8_t *out, const uint8_t *data, uint32_t lba)
{
    memset(out, 0, 2352);
    memset(out + 1, 0xff, 10); /* sync */
    out[12] = (lba + 150) / 75 / 60;
    out[13] = (lba + 150) / 75 % 60;
    out[14] = (lba + 150) % 75;
    for (unsigned i = 12; i < 15; i++)
        out[i] = out[i] / 10 << 4 | out[i] % 10;
    out[15] = 1; /* mode 1 */
    memcpy(out + 16, data, CD_BLOCK);
}
