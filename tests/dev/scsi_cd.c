/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of CD/DVD drives (plugins/scsi/scsi_cd.c) as a plain function:
 * replies byte by byte as in MMC-3 and SPC-3, and every way to fail.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

#include "scsi/scsi_cd.h"

#define BLOCKS 300000u /* a CD of 600 MB */

static struct scsi_cd cd;
static struct scsi_command c;

struct cdb {
    uint8_t b[12];
};

static void execute(struct cdb cdb, uint64_t blocks)
{
    scsi_cd_execute(&cd, &scsi_cd_atapi, cdb.b, blocks, &c);
}

static void run(struct cdb cdb)
{
    execute(cdb, BLOCKS);
}

static const char *reply(void)
{
    static char text[3 * SCSI_REPLY_MAX];
    size_t n = 0;

    text[0] = 0;
    for (uint32_t i = 0; i < c.reply_bytes; i++)
        n += snprintf(text + n, sizeof text - n, "%s%02x", n ? " " : "",
                      c.reply[i]);
    return text;
}

/* Sense key, code and qualifier as REQUEST SENSE gives them. */
static unsigned sense(void)
{
    run((struct cdb){ { 0x03, 0, 0, 0, 18 } });
    CHECK_EQ(c.action, SCSI_DATA);
    CHECK_EQ(c.reply_bytes, 18);
    CHECK_EQ(c.reply[0], 0x70);
    CHECK_EQ(c.reply[7], 10);
    return c.reply[2] << 16 | c.reply[12] << 8 | c.reply[13];
}

/* --- replies ------------------------------------------------------------- */

static const struct {
    const char *name;
    struct cdb cdb;
    uint64_t blocks;
    const char *reply;
} replies[] = {
    { "INQUIRY, head", { { 0x12, 0, 0, 0, 8 } }, 0, "05 80 00 21 1f 00 00 00" },
    { "INQUIRY, nothing wanted", { { 0x12, 0, 0, 0, 0 } }, BLOCKS, "" },
    { "READ CAPACITY", { { 0x25 } }, BLOCKS, "00 04 93 df 00 00 08 00" },
    { "REQUEST SENSE",
      { { 0x03, 0, 0, 0, 255 } },
      BLOCKS,
      "70 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 00 00 00" },
    { "REQUEST SENSE, 4 bytes",
      { { 0x03, 0, 0, 0, 4 } },
      BLOCKS,
      "70 00 00 00" },
    /* 300000 = 66:42:00 after two seconds of lead-in */
    { "READ TOC, LBA",
      { { 0x43, 0, 0, 0, 0, 0, 0, 0, 100 } },
      BLOCKS,
      "00 12 01 01 00 14 01 00 00 00 00 00 00 14 aa 00 00 04 93 e0" },
    { "READ TOC, MSF",
      { { 0x43, 2, 0, 0, 0, 0, 0, 0, 100 } },
      BLOCKS,
      "00 12 01 01 00 14 01 00 00 00 02 00 00 14 aa 00 00 42 2a 00" },
    { "READ TOC from track 1",
      { { 0x43, 0, 0, 0, 0, 0, 1, 0, 100 } },
      BLOCKS,
      "00 12 01 01 00 14 01 00 00 00 00 00 00 14 aa 00 00 04 93 e0" },
    { "READ TOC from the lead-out",
      { { 0x43, 0, 0, 0, 0, 0, 0xaa, 0, 100 } },
      BLOCKS,
      "00 0a 01 01 00 14 aa 00 00 04 93 e0" },
    { "READ TOC, 4 bytes",
      { { 0x43, 0, 0, 0, 0, 0, 0, 0, 4 } },
      BLOCKS,
      "00 12 01 01" },
    { "READ TOC, sessions",
      { { 0x43, 0, 1, 0, 0, 0, 0, 0, 100 } },
      BLOCKS,
      "00 0a 01 01 00 14 01 00 00 00 00 00" },
    { "READ TOC, sessions, old",
      { { 0x43, 0, 0, 0, 0, 0, 0, 0, 100, 0x40 } },
      BLOCKS,
      "00 0a 01 01 00 14 01 00 00 00 00 00" },
    { "READ TOC, raw",
      { { 0x43, 2, 2, 0, 0, 0, 1, 0, 100 } },
      BLOCKS,
      "00 2e 01 01 "
      "01 14 00 a0 00 00 00 00 01 00 00 "
      "01 14 00 a1 00 00 00 00 01 00 00 "
      "01 14 00 a2 00 00 00 00 42 2a 00 "
      "01 14 00 01 00 00 00 00 00 02 00" },
    { "READ TRACK INFORMATION by address",
      { { 0x52, 0, 0, 0, 1, 0, 0, 0, 255 } },
      BLOCKS,
      "00 22 01 01 00 04 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
      "00 00 04 93 e0 00 00 00 00 00 00 00 00" },
    { "READ TRACK INFORMATION by number",
      { { 0x52, 1, 0, 0, 0, 1, 0, 0, 4 } },
      BLOCKS,
      "00 22 01 01" },
    { "MODE SENSE(6) page 1",
      { { 0x1a, 0, 0x01, 0, 100 } },
      BLOCKS,
      "0b 01 00 00 01 06 00 05 00 00 00 00" },
    { "MODE SENSE(10) page 1",
      { { 0x5a, 0, 0x01, 0, 0, 0, 0, 0, 100 } },
      BLOCKS,
      "00 0e 01 00 00 00 00 00 01 06 00 05 00 00 00 00" },
    { "MODE SENSE(10) without a disc",
      { { 0x5a, 0, 1, 0, 0, 0, 0, 0, 8 } },
      0,
      "00 0e 70 00 00 00 00 00" },
    { "MODE SENSE(10), what can be changed",
      { { 0x5a, 0, 0x41, 0, 0, 0, 0, 0, 100 } },
      BLOCKS,
      "00 0e 01 00 00 00 00 00 01 06 00 00 00 00 00 00" },
    { "MODE SENSE(10) page 2A, head",
      { { 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 16 } },
      BLOCKS,
      "00 1c 01 00 00 00 00 00 2a 14 3b 00 70 00 29 00" },
    { "MODE SENSE(10), all, head",
      { { 0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 2 } },
      BLOCKS,
      "00 34" },
    { "READ DISC INFORMATION, head",
      { { 0x51, 0, 0, 0, 0, 0, 0, 0, 8 } },
      BLOCKS,
      "00 20 0e 01 01 01 01 20" },
    { "MECHANISM STATUS",
      { { 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8 } },
      BLOCKS,
      "00 00 00 00 00 00 00 00" },
    { "READ SUB-CHANNEL",
      { { 0x42, 2, 0x40, 1, 0, 0, 0, 0, 4 } },
      BLOCKS,
      "00 15 00 00" },
    { "GET EVENT, no event",
      { { 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 } },
      BLOCKS,
      "00 06 04 10 00 02 00 00" },
    { "GET EVENT, no medium",
      { { 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 } },
      0,
      "00 06 04 10 00 00 00 00" },
    { "GET EVENT, other class",
      { { 0x4a, 1, 0, 0, 0x08, 0, 0, 0, 8 } },
      BLOCKS,
      "00 02 80 10" },
    { "GET CONFIGURATION, CD",
      { { 0x46, 0, 0, 0, 0, 0, 0, 0, 8 } },
      BLOCKS,
      "00 00 00 24 00 00 00 08" },
    { "GET CONFIGURATION, DVD",
      { { 0x46, 0, 0, 0, 0, 0, 0, 0, 8 } },
      2000000,
      "00 00 00 24 00 00 00 10" },
    { "GET CONFIGURATION, no medium",
      { { 0x46, 0, 0, 0, 0, 0, 0, 0, 8 } },
      0,
      "00 00 00 24 00 00 00 00" },
    { "GET CONFIGURATION, profiles only",
      { { 0x46, 2, 0, 0, 0, 0, 0, 0, 100 } },
      BLOCKS,
      "00 00 00 10 00 00 00 08 00 00 03 08 00 10 00 00 00 08 01 00" },
    { "GET CONFIGURATION, core only",
      { { 0x46, 2, 0, 1, 0, 0, 0, 0, 100 } },
      BLOCKS,
      "00 00 00 10 00 00 00 08 00 01 0b 08 00 00 00 02 01 00 00 00" },
    { "GET CONFIGURATION from feature 2",
      { { 0x46, 0, 0, 2, 0, 0, 0, 0, 100 } },
      BLOCKS,
      "00 00 00 0c 00 00 00 08 00 03 0b 04 29 00 00 00" },
    { "GET CONFIGURATION, a feature it has not",
      { { 0x46, 2, 0, 0x25, 0, 0, 0, 0, 100 } },
      BLOCKS,
      "00 00 00 04 00 00 00 08" },
};

TEST_P(command_has_its_reply, replies)
{
    test_note("%s", row->name);
    execute(row->cdb, row->blocks);
    CHECK_EQ(c.action, row->reply[0] ? SCSI_DATA : SCSI_DONE);
    CHECK_STR_EQ(reply(), row->reply);
}

TEST(inquiry_names_the_drive)
{
    run((struct cdb){ { 0x12, 0, 0, 0, 255 } });
    CHECK_EQ(c.reply_bytes, 36);
    CHECK_MEM_EQ(c.reply + 8, "BCKPLANEVirtual CD/DVD  1.0 ", 28);
}

TEST(configuration_length_is_that_of_its_features)
{
    run((struct cdb){ { 0x46, 0, 0, 0, 0, 0, 0, 2, 0 } });
    CHECK_EQ(c.reply_bytes, 4 + c.reply[3]);
    for (uint32_t at = 8; at < c.reply_bytes; at += 4 + c.reply[at + 3])
        CHECK_LE(at + 4 + c.reply[at + 3], c.reply_bytes);
}

/* --- what is left to the transport --------------------------------------- */

static const struct {
    struct cdb cdb;
    enum scsi_action action;
    uint32_t lba, blocks, raw;
} actions[] = {
    { { { 0x00 } }, SCSI_DONE, 0, 0, 0 },             /* TEST UNIT READY */
    { { { 0x2b, 0, 0, 0, 1 } }, SCSI_DONE, 0, 0, 0 }, /* SEEK */
    { { { 0x28, 0, 0, 1, 2, 3, 0, 0x01, 0x02 } },
      SCSI_READ,
      0x10203,
      0x102,
      0 },
    { { { 0x28, 0, 0, 0, 0, 5, 0, 0, 0 } }, SCSI_DONE, 5, 0, 0 },
    { { { 0x28, 0, 0, 4, 0x93, 0xdf, 0, 0, 1 } }, SCSI_READ, BLOCKS - 1, 1, 0 },
    { { { 0xa8, 0, 0, 0, 0, 7, 0, 1, 0, 0 } }, SCSI_READ, 7, 0x10000, 0 },
    { { { 0xbe, 0, 0, 0, 0, 9, 0, 0, 2, 0x10 } }, SCSI_READ, 9, 2, 0 },
    { { { 0xbe, 0, 0, 0, 0, 9, 0, 0, 2, 0xf8 } }, SCSI_READ, 9, 2, 1 },
    { { { 0xbe, 0, 0, 0, 0, 9, 0, 0, 2, 0x00 } }, SCSI_DONE, 0, 0, 0 },
    { { { 0x1b, 0, 0, 0, 1 } }, SCSI_DONE, 0, 0, 0 }, /* start */
    { { { 0x1b, 0, 0, 0, 0 } }, SCSI_DONE, 0, 0, 0 }, /* stop */
    { { { 0x1b, 0, 0, 0, 2 } }, SCSI_EJECT, 0, 0, 0 },
    { { { 0x1b, 0, 0, 0, 3 } }, SCSI_LOAD, 0, 0, 0 },
    { { { 0x1e, 0, 0, 0, 1 } }, SCSI_LOCK, 0, 0, 0 },
    { { { 0x35 } }, SCSI_FLUSH, 0, 0, 0 },
    { { { 0xbb, 0, 0xff, 0xff } }, SCSI_DONE, 0, 0, 0 },
};

TEST_P(command_asks_its_transport, actions)
{
    run(row->cdb);
    CHECK_EQ(c.action, row->action);
    CHECK_EQ(c.lba, row->lba);
    CHECK_EQ(c.blocks, row->blocks);
    CHECK_EQ(c.raw, row->raw);
    CHECK_EQ(sense(), 0);
}

/* --- failures ------------------------------------------------------------ */

static const struct {
    const char *name;
    struct cdb cdb;
    uint64_t blocks;
    unsigned sense;
} failures[] = {
    { "READ TRACK INFORMATION, second track",
      { { 0x52, 1, 0, 0, 0, 2, 0, 0, 36 } },
      BLOCKS,
      0x52400 },
    { "READ TRACK INFORMATION behind the end",
      { { 0x52, 0, 0, 4, 0x93, 0xe0, 0, 0, 36 } },
      BLOCKS,
      0x52400 },
    { "unknown command", { { 0xff } }, BLOCKS, 0x52000 },
    { "unknown command, no medium", { { 0xff } }, 0, 0x52000 },
    { "WRITE(10)", { { 0x2a, 0, 0, 0, 0, 0, 0, 0, 1 } }, BLOCKS, 0x52000 },
    { "TEST UNIT READY, no medium", { { 0x00 } }, 0, 0x23a00 },
    { "READ CAPACITY, no medium", { { 0x25 } }, 0, 0x23a00 },
    { "READ TOC, no medium", { { 0x43 } }, 0, 0x23a00 },
    { "READ(10), no medium", { { 0x28, 0, 0, 0, 0, 0, 0, 0, 1 } }, 0, 0x23a00 },
    { "READ(10) behind the end",
      { { 0x28, 0, 0, 4, 0x93, 0xe0, 0, 0, 1 } },
      BLOCKS,
      0x52100 },
    { "READ(10) across the end",
      { { 0x28, 0, 0, 4, 0x93, 0xdf, 0, 0, 2 } },
      BLOCKS,
      0x52100 },
    { "READ(12), all bits",
      { { 0xa8, 0, 255, 255, 255, 255, 255, 255, 255, 255 } },
      BLOCKS,
      0x52100 },
    { "READ CD, headers only",
      { { 0xbe, 0, 0, 0, 0, 9, 0, 0, 2, 0x20 } },
      BLOCKS,
      0x52400 },
    { "READ CD with sub-channel",
      { { 0xbe, 0, 0, 0, 0, 9, 0, 0, 2, 0x10, 1 } },
      BLOCKS,
      0x52400 },
    { "READ CD behind the end",
      { { 0xbe, 0, 0, 0xff, 0, 9, 0, 0, 2, 0x10 } },
      BLOCKS,
      0x52100 },
    { "INQUIRY, vital data", { { 0x12, 1, 0, 0, 255 } }, BLOCKS, 0x52400 },
    { "INQUIRY, page", { { 0x12, 0, 0x80, 0, 255 } }, BLOCKS, 0x52400 },
    { "MODE SENSE, saved",
      { { 0x5a, 0, 0xc1, 0, 0, 0, 0, 0, 100 } },
      BLOCKS,
      0x53900 },
    { "MODE SENSE, unknown page",
      { { 0x5a, 0, 0x05, 0, 0, 0, 0, 0, 100 } },
      BLOCKS,
      0x52400 },
    { "READ TOC, unknown format",
      { { 0x43, 0, 5, 0, 0, 0, 0, 0, 100 } },
      BLOCKS,
      0x52400 },
    { "READ TOC, track 2",
      { { 0x43, 0, 0, 0, 0, 0, 2, 0, 100 } },
      BLOCKS,
      0x52400 },
    { "GET EVENT, asynchronous",
      { { 0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8 } },
      BLOCKS,
      0x52400 },
};

TEST_P(command_fails_with_its_sense, failures)
{
    test_note("%s", row->name);
    execute(row->cdb, row->blocks);
    CHECK_EQ(c.action, SCSI_FAILED);
    CHECK_EQ(c.reply_bytes, 0);
    CHECK_EQ(sense(), row->sense);
    CHECK_EQ(sense(), 0); /* reported once */
}

TEST(next_command_clears_the_sense)
{
    run((struct cdb){ { 0xff } });
    run((struct cdb){ { 0x00 } });
    CHECK_EQ(c.action, SCSI_DONE);
    CHECK_EQ(sense(), 0);
}

TEST(transport_may_report_an_error_of_its_own)
{
    scsi_cd_fail(&cd, SENSE_MEDIUM, ASC_READ_ERROR);
    CHECK_EQ(sense(), 0x31100);
}

/* --- medium changes, lock, tray ------------------------------------------ */

TEST(new_medium_is_reported_as_unit_attention_once)
{
    scsi_cd_medium_changed(&cd, 1);
    run((struct cdb){ { 0x00 } });
    CHECK_EQ(c.action, SCSI_FAILED);
    CHECK_EQ(sense(), 0x62800);
    run((struct cdb){ { 0x00 } });
    CHECK_EQ(c.action, SCSI_DONE);
}

/* Commands that do not report, and do not clear, a unit attention. */
static const struct cdb exempt[] = {
    { { 0x12, 0, 0, 0, 36 } },
    { { 0x03, 0, 0, 0, 18 } },
    { { 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 } },
    { { 0x46, 0, 0, 0, 0, 0, 0, 0, 8 } },
};

TEST_P(unit_attention_waits_behind_commands_that_ask_about_the_drive, exempt)
{
    scsi_cd_medium_changed(&cd, 1);
    run(*row);
    CHECK_EQ(c.action, SCSI_DATA);
    run((struct cdb){ { 0x00 } });
    CHECK_EQ(c.action, SCSI_FAILED);
    CHECK_EQ(sense(), 0x62800);
}

static const struct {
    int present;
    uint64_t blocks;
    const char *event;
} events[] = {
    { 1, BLOCKS, "00 06 04 10 02 02 00 00" },
    { 0, 0, "00 06 04 10 03 00 00 00" },
};

TEST_P(medium_event_is_given_once, events)
{
    const struct cdb get_event = { { 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 } };

    scsi_cd_medium_changed(&cd, row->present);
    execute(get_event, row->blocks);
    CHECK_STR_EQ(reply(), row->event);
    execute(get_event, row->blocks);
    CHECK_EQ(c.reply[4], 0);
}

TEST(taking_the_medium_out_is_not_ready_rather_than_attention)
{
    scsi_cd_medium_changed(&cd, 0);
    execute((struct cdb){ { 0x00 } }, 0);
    CHECK_EQ(sense(), 0x23a00);
}

TEST(locked_tray_does_not_open)
{
    run((struct cdb){ { 0x1e, 0, 0, 0, 1 } });
    CHECK_EQ(cd.locked, 1);
    run((struct cdb){ { 0x1b, 0, 0, 0, 2 } });
    CHECK_EQ(c.action, SCSI_FAILED);
    CHECK_EQ(sense(), 0x55302);
    run((struct cdb){ { 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 100 } });
    CHECK_EQ(c.reply[8 + 6] & 2, 2);
    run((struct cdb){ { 0x1e, 0, 0, 0, 0 } });
    run((struct cdb){ { 0x1b, 0, 0, 0, 2 } });
    CHECK_EQ(c.action, SCSI_EJECT);
}

TEST(open_tray_is_seen_in_the_media_status)
{
    const struct cdb get_event = { { 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 } };

    run((struct cdb){ { 0x1b, 0, 0, 0, 2 } });
    execute(get_event, 0);
    CHECK_EQ(c.reply[5], 0x01);
    run((struct cdb){ { 0x1b, 0, 0, 0, 3 } });
    run(get_event);
    CHECK_EQ(c.reply[5], 0x02);
}

/* --- raw sectors --------------------------------------------------------- */

static const struct {
    uint32_t lba;
    uint8_t msf[3];
} raws[] = {
    { 0, { 0x00, 0x02, 0x00 } },
    { 74, { 0x00, 0x02, 0x74 } },
    { 75, { 0x00, 0x03, 0x00 } },
    { 299999, { 0x66, 0x41, 0x74 } },
};

TEST_P(raw_sector_has_sync_address_and_data, raws)
{
    static const uint8_t sync[12] = { 0,   255, 255, 255, 255, 255,
                                      255, 255, 255, 255, 255, 0 };
    uint8_t data[2048], out[2352];

    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = i * 7;
    scsi_cd_raw_sector(out, data, row->lba);
    CHECK_MEM_EQ(out, sync, 12);
    CHECK_MEM_EQ(out + 12, row->msf, 3);
    CHECK_EQ(out[15], 1);
    CHECK_MEM_EQ(out + 16, data, 2048);
}
