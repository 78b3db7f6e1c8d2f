/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of disks (plugins/scsi/scsi_disk.c) as a plain function:
 * replies byte by byte as in SBC-3 and SPC-3, and every way to fail.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

#include "scsi/scsi_disk.h"

#define BLOCKS UINT64_C(0x200000) /* 1 GiB */

static const struct scsi_identity identity = {
    .version = 5,
    .format = 2,
    .vendor = "Msft    ",
    .product = "Virtual Disk    ",
    .serial = "BP-00000001",
};

static const struct scsi_disk_medium plain = {
    .blocks = BLOCKS,
    .block_bytes = 512,
    .physical_bytes = 4096,
    .transfer_bytes = 1 << 20,
    .thin = 1,
};

static struct scsi_disk disk;
static struct scsi_disk_medium medium;
static struct scsi_command c;

struct cdb {
    uint8_t b[SCSI_CDB_MAX];
};

static void before(void)
{
    memset(&disk, 0, sizeof(disk));
    medium = plain;
}

static void run_with(struct cdb cdb, const void *parameters, uint32_t bytes)
{
    scsi_disk_execute(&disk, &identity, &medium, cdb.b, parameters, bytes, &c);
}

static void run(struct cdb cdb)
{
    run_with(cdb, NULL, 0);
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

static unsigned sense(void)
{
    return (unsigned)disk.sense << 16 | disk.asc << 8 | disk.ascq;
}

/* --- replies ------------------------------------------------------------- */

static const struct {
    const char *name;
    struct cdb cdb;
    const char *reply;
} replies[] = {
    { "INQUIRY",
      { { 0x12, 0, 0, 0, 255 } },
      "00 00 05 02 1f 00 00 02 4d 73 66 74 20 20 20 20 56 69 72 74 75 61 6c "
      "20 44 69 73 6b 20 20 20 20 31 2e 30 20" },
    { "INQUIRY, 5 bytes", { { 0x12, 0, 0, 0, 5 } }, "00 00 05 02 1f" },
    { "INQUIRY, pages",
      { { 0x12, 1, 0, 0, 255 } },
      "00 00 00 06 00 80 83 b0 b1 b2" },
    { "INQUIRY, serial number",
      { { 0x12, 1, 0x80, 0, 255 } },
      "00 80 00 0b 42 50 2d 30 30 30 30 30 30 30 31" },
    { "INQUIRY, device identification",
      { { 0x12, 1, 0x83, 0, 27 } },
      "00 83 00 23 02 01 00 13 4d 73 66 74 20 20 20 20 42 50 2d 30 30 30 30 "
      "30 30 30 31" },
    { "INQUIRY, block limits",
      { { 0x12, 1, 0xb0, 0, 64 } },
      "00 b0 00 3c 01 00 00 08 00 00 08 00 00 00 00 00 00 00 00 00 00 80 00 "
      "00 00 00 00 40 00 00 00 08 80 00 00 00 00 00 00 00 00 04 00 00 00 00 "
      "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00" },
    { "INQUIRY, characteristics",
      { { 0x12, 1, 0xb1, 0, 8 } },
      "00 b1 00 3c 00 01 00 00" },
    { "INQUIRY, provisioning",
      { { 0x12, 1, 0xb2, 0, 255 } },
      "00 b2 00 04 00 e4 02 00" },
    { "REQUEST SENSE",
      { { 0x03, 0, 0, 0, 255 } },
      "70 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 00 00 00" },
    { "READ CAPACITY(10)", { { 0x25 } }, "00 1f ff ff 00 00 02 00" },
    { "READ CAPACITY(16)",
      { { 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32 } },
      "00 00 00 00 00 1f ff ff 00 00 02 00 00 03 c0 00 00 00 00 00 00 00 00 "
      "00 00 00 00 00 00 00 00 00" },
    { "MODE SENSE(6), caching",
      { { 0x1a, 8, 0x08, 0, 255 } },
      "17 00 10 00 08 12 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
      "00" },
    { "MODE SENSE(6), caching, changeable",
      { { 0x1a, 8, 0x48, 0, 8 } },
      "17 00 10 00 08 12 04 00" },
    { "MODE SENSE(6), control, changeable",
      { { 0x1a, 8, 0x4a, 0, 255 } },
      "0f 00 10 00 0a 0a 00 00 00 00 00 00 00 00 00 00" },
    { "MODE SENSE(6) with a block descriptor",
      { { 0x1a, 0, 0x01, 0, 255 } },
      "17 00 10 08 00 20 00 00 00 00 02 00 01 0a 00 00 00 00 00 00 00 00 00 "
      "00" },
    { "MODE SENSE(10), all",
      { { 0x5a, 8, 0x3f, 0, 0, 0, 0, 0, 255 } },
      "00 32 00 10 00 00 00 00 01 0a 00 00 00 00 00 00 00 00 00 00 08 12 04 "
      "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 0a 0a 00 10 00 00 "
      "00 00 00 00 00 00" },
};

TEST_P(command_replies, replies)
{
    before();
    run(row->cdb);
    CHECK_EQ(c.action, SCSI_DATA);
    CHECK_STR_EQ(reply(), row->reply);
}

/* --- what the transport has to do ------------------------------------------*/

static const struct {
    const char *name;
    struct cdb cdb;
    enum scsi_action action;
    uint64_t lba, blocks;
    uint32_t durable;
} actions[] = {
    { "TEST UNIT READY", { { 0x00 } }, SCSI_DONE, 0, 0, 0 },
    { "READ(6)", { { 0x08, 0x1f, 0xff, 0xf0, 8 } }, SCSI_READ, 0x1ffff0, 8, 0 },
    { "READ(6), 256 blocks", { { 0x08, 0, 0, 9, 0 } }, SCSI_READ, 9, 256, 0 },
    { "READ(10)",
      { { 0x28, 0, 0, 1, 2, 3, 0, 1, 4 } },
      SCSI_READ,
      0x10203,
      260,
      0 },
    { "READ(10), nothing",
      { { 0x28, 0, 0, 1, 2, 3 } },
      SCSI_DONE,
      0x10203,
      0,
      0 },
    { "READ(12)",
      { { 0xa8, 0, 0, 1, 2, 3, 0, 0, 1, 4 } },
      SCSI_READ,
      0x10203,
      260,
      0 },
    { "READ(16)",
      { { 0x88, 0, 0, 0, 0, 0, 0, 1, 2, 3, 0, 0, 1, 4 } },
      SCSI_READ,
      0x10203,
      260,
      0 },
    { "READ(10) to the last block",
      { { 0x28, 0, 0, 0x1f, 0xff, 0xff, 0, 0, 1 } },
      SCSI_READ,
      0x1fffff,
      1,
      0 },
    { "WRITE(6)", { { 0x0a, 0, 0, 1, 2 } }, SCSI_WRITE, 1, 2, 0 },
    { "WRITE(10)", { { 0x2a, 0, 0, 0, 0, 1, 0, 0, 2 } }, SCSI_WRITE, 1, 2, 0 },
    { "WRITE(10), FUA",
      { { 0x2a, 8, 0, 0, 0, 1, 0, 0, 2 } },
      SCSI_WRITE,
      1,
      2,
      1 },
    { "WRITE(12)",
      { { 0xaa, 0, 0, 0, 0, 1, 0, 0, 0, 2 } },
      SCSI_WRITE,
      1,
      2,
      0 },
    { "WRITE(16)",
      { { 0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2 } },
      SCSI_WRITE,
      1,
      2,
      1 },
    { "WRITE AND VERIFY(10)",
      { { 0x2e, 0, 0, 0, 0, 1, 0, 0, 2 } },
      SCSI_WRITE,
      1,
      2,
      1 },
    { "VERIFY(10)",
      { { 0x2f, 0, 0, 0, 0, 1, 0, 1, 0 } },
      SCSI_VERIFY,
      1,
      256,
      0 },
    { "VERIFY(16) of data",
      { { 0x8f, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2 } },
      SCSI_COMPARE,
      1,
      2,
      0 },
    { "SYNCHRONIZE CACHE(10)", { { 0x35 } }, SCSI_FLUSH, 0, 0, 0 },
    { "SYNCHRONIZE CACHE(16)", { { 0x91 } }, SCSI_FLUSH, 0, 0, 0 },
    { "PRE-FETCH(10)",
      { { 0x34, 0, 0, 0, 0, 1, 0, 0, 2 } },
      SCSI_DONE,
      1,
      2,
      0 },
    { "WRITE SAME(16) without data",
      { { 0x93, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0 } },
      SCSI_ZERO,
      1,
      0x10000,
      0 },
    { "WRITE SAME(16) without data, unmapped",
      { { 0x93, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0 } },
      SCSI_UNMAPPED,
      1,
      0x10000,
      0 },
    { "START STOP UNIT, stop", { { 0x1b } }, SCSI_FLUSH, 0, 0, 0 },
    { "START STOP UNIT, start", { { 0x1b, 0, 0, 0, 1 } }, SCSI_DONE, 0, 0, 0 },
};

TEST_P(command_asks_its_transport, actions)
{
    before();
    run(row->cdb);
    CHECK_EQ(c.action, row->action);
    CHECK_EQ(c.lba, row->lba);
    CHECK_EQ(c.blocks, row->blocks);
    CHECK_EQ(c.durable, row->durable);
    CHECK_EQ(sense(), 0);
}

/* --- refusals -------------------------------------------------------------*/

static const struct {
    const char *name;
    struct cdb cdb;
    unsigned sense;
} refusals[] = {
    { "an unknown command", { { 0x04 } }, 0x52000 },
    { "PREVENT ALLOW of a fixed disk", { { 0x1e } }, 0x52000 },
    { "INQUIRY, page without EVPD", { { 0x12, 0, 0x80, 0, 9 } }, 0x52400 },
    { "INQUIRY, page that is none", { { 0x12, 1, 0xb7, 0, 9 } }, 0x52400 },
    { "REQUEST SENSE, descriptors", { { 0x03, 1, 0, 0, 9 } }, 0x52400 },
    { "READ(10) from the end",
      { { 0x28, 0, 0, 0x20, 0, 0, 0, 0, 1 } },
      0x52100 },
    { "READ(10) over the end",
      { { 0x28, 0, 0, 0x1f, 0xff, 0xff, 0, 0, 2 } },
      0x52100 },
    { "READ(16), lba -1",
      { { 0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1 } },
      0x52100 },
    { "READ(16), too long",
      { { 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 1 } },
      0x52400 },
    { "READ(10), protected", { { 0x28, 0x20, 0, 0, 0, 1, 0, 0, 1 } }, 0x52400 },
    { "VERIFY(16), too long",
      { { 0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 1 } },
      0x52400 },
    { "VERIFY(10), bytes 2", { { 0x2f, 4, 0, 0, 0, 1, 0, 0, 1 } }, 0x52400 },
    { "SYNCHRONIZE CACHE(10) behind the end",
      { { 0x35, 0, 0, 0x20, 0, 1 } },
      0x52100 },
    { "READ CAPACITY(10) with an address",
      { { 0x25, 0, 0, 0, 0, 1 } },
      0x52400 },
    { "SERVICE ACTION IN, another", { { 0x9e, 0x12 } }, 0x52400 },
    { "MODE SENSE, saved", { { 0x1a, 0, 0xc8, 0, 9 } }, 0x53900 },
    { "MODE SENSE, no such page", { { 0x1a, 0, 0x1c, 0, 9 } }, 0x52400 },
    { "MODE SENSE, subpage", { { 0x1a, 0, 0x0a, 1, 9 } }, 0x52400 },
    { "MODE SELECT, saving", { { 0x15, 0x11, 0, 0, 9 } }, 0x52400 },
    { "WRITE SAME(16), no blocks", { { 0x93, 1 } }, 0x52400 },
    { "WRITE SAME(16), too many",
      { { 0x93, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1 } },
      0x52400 },
    { "WRITE SAME(10), block is missing",
      { { 0x41, 0, 0, 0, 0, 0, 0, 0, 1 } },
      0x52400 },
    { "WRITE SAME(16), anchored",
      { { 0x93, 0x19, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } },
      0x52400 },
    { "UNMAP, anchored", { { 0x42, 1, 0, 0, 0, 0, 0, 0, 24 } }, 0x52400 },
    { "UNMAP, half a head", { { 0x42, 0, 0, 0, 0, 0, 0, 0, 7 } }, 0x51a00 },
    { "START STOP UNIT, eject", { { 0x1b, 0, 0, 0, 2 } }, 0x52400 },
};

TEST_P(command_is_refused, refusals)
{
    before();
    run(row->cdb);
    CHECK_EQ(c.action, SCSI_FAILED);
    CHECK_EQ(sense(), row->sense);
}

static const struct {
    const char *name;
    struct cdb cdb;
} writers[] = {
    { "WRITE(6)", { { 0x0a, 0, 0, 1, 2 } } },
    { "WRITE(10)", { { 0x2a, 0, 0, 0, 0, 1, 0, 0, 2 } } },
    { "WRITE(12)", { { 0xaa, 0, 0, 0, 0, 1, 0, 0, 0, 2 } } },
    { "WRITE(16)", { { 0x8a } } },
    { "WRITE AND VERIFY(10)", { { 0x2e } } },
    { "WRITE AND VERIFY(12)", { { 0xae } } },
    { "WRITE AND VERIFY(16)", { { 0x8e } } },
    { "WRITE SAME(10)", { { 0x41 } } },
    { "WRITE SAME(16)", { { 0x93, 1 } } },
    { "UNMAP", { { 0x42 } } },
};

TEST_P(write_protected_disk_refuses, writers)
{
    before();
    medium.readonly = 1;
    run(row->cdb);
    CHECK_EQ(c.action, SCSI_FAILED);
    CHECK_EQ(sense(), 0x72700);
    run((struct cdb){ { 0x1a, 8, 0x08, 0, 4 } });
    CHECK_STR_EQ(reply(), "17 00 90 00");
}

/* --- unmapping and filling ------------------------------------------------*/

TEST(unmap_takes_its_list)
{
    uint8_t list[8 + 3 * 16] = { 0 };

    before();
    scsi_put16(list, sizeof(list) - 2);
    scsi_put16(list + 2, sizeof(list) - 8);
    scsi_put64(list + 8, 100);
    scsi_put32(list + 16, 10);
    scsi_put64(list + 24, 7); /* nothing of it */
    scsi_put64(list + 40, BLOCKS - 1);
    scsi_put32(list + 48, 1);
    run_with((struct cdb){ { 0x42, 0, 0, 0, 0, 0, 0, 0, sizeof(list) } }, list,
             sizeof(list));
    CHECK_EQ(c.action, SCSI_UNMAPPED);
    CHECK_EQ(c.range_count, 2);
    CHECK_EQ(c.ranges[0].lba, 100);
    CHECK_EQ(c.ranges[0].blocks, 10);
    CHECK_EQ(c.ranges[1].lba, BLOCKS - 1);
    CHECK_EQ(c.ranges[1].blocks, 1);

    scsi_put32(list + 48, 2);
    run_with((struct cdb){ { 0x42, 0, 0, 0, 0, 0, 0, 0, sizeof(list) } }, list,
             sizeof(list));
    CHECK_EQ(sense(), 0x52100);
    /* The length in the list counts, and what came. */
    scsi_put16(list + 2, 16);
    run_with((struct cdb){ { 0x42, 0, 0, 0, 0, 0, 0, 0, sizeof(list) } }, list,
             sizeof(list));
    CHECK_EQ(c.range_count, 1);
    scsi_put16(list + 2, 0xffff);
    run_with((struct cdb){ { 0x42, 0, 0, 0, 0, 0, 0, 0, sizeof(list) } }, list,
             30);
    CHECK_EQ(c.range_count, 1);
    CHECK_EQ(c.action, SCSI_UNMAPPED);
}

TEST(unmap_is_bounded)
{
    static uint8_t list[8 + 65 * 16];
    struct cdb cdb = { { 0x42, 0, 0, 0, 0, 0, 0, sizeof(list) >> 8,
                         sizeof(list) & 255 } };

    before();
    scsi_put16(list + 2, sizeof(list) - 8);
    run_with(cdb, list, sizeof(list));
    CHECK_EQ(sense(), 0x52600);
    medium.blocks = UINT64_C(1) << 40;
    scsi_put16(list + 2, 32);
    scsi_put32(list + 16, 0x800000);
    run_with(cdb, list, sizeof(list));
    CHECK_EQ(c.action, SCSI_UNMAPPED);
    scsi_put32(list + 32, 1);
    run_with(cdb, list, sizeof(list));
    CHECK_EQ(sense(), 0x52600);
    run((struct cdb){ { 0x42 } }); /* an empty list */
    CHECK_EQ(c.action, SCSI_DONE);
}

TEST(fixed_provisioning_knows_no_unmap)
{
    before();
    medium.thin = 0;
    run((struct cdb){ { 0x42, 0, 0, 0, 0, 0, 0, 0, 24 } });
    CHECK_EQ(sense(), 0x52000);
    run((struct cdb){ { 0x93, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0 } });
    CHECK_EQ(sense(), 0x52400);
    run((struct cdb){ { 0x12, 1, 0xb2, 0, 255 } });
    CHECK_STR_EQ(reply(), "00 b2 00 04 00 00 00 00");
    run((struct cdb){ { 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32 } });
    CHECK_EQ(c.reply[14], 0);
}

TEST(write_same_looks_at_its_block)
{
    static uint8_t block[512];
    struct cdb ten = { { 0x41, 0, 0, 0, 0, 7, 0, 0, 9 } };
    struct cdb unmapping = { { 0x41, 8, 0, 0, 0, 7, 0, 0, 9 } };

    before();
    CHECK_EQ(scsi_disk_parameter_bytes(ten.b, &medium), 512);
    run_with(ten, block, 512);
    CHECK_EQ(c.action, SCSI_ZERO);
    CHECK_EQ(c.lba, 7);
    CHECK_EQ(c.blocks, 9);
    run_with(unmapping, block, 512);
    CHECK_EQ(c.action, SCSI_UNMAPPED);
    CHECK_EQ(c.ranges[0].lba, 7);
    CHECK_EQ(c.ranges[0].blocks, 9);
    block[511] = 1;
    run_with(unmapping, block, 512);
    CHECK_EQ(c.action, SCSI_FILL);
    run_with(ten, block, 511);
    CHECK_EQ(sense(), 0x52400);
}

/* --- mode pages -----------------------------------------------------------*/

static void select_cache(uint8_t wce)
{
    uint8_t list[4 + 20] = { 0, 0, 0, 0, 0x08, 18, wce };

    run_with((struct cdb){ { 0x15, 0x10, 0, 0, sizeof(list) } }, list,
             sizeof(list));
}

TEST(write_cache_can_be_switched_off)
{
    before();
    select_cache(0);
    CHECK_EQ(c.action, SCSI_FLUSH);
    CHECK_EQ(disk.write_through, 1);
    run((struct cdb){ { 0x2a, 0, 0, 0, 0, 1, 0, 0, 2 } });
    CHECK_EQ(c.durable, 1);
    run((struct cdb){ { 0x1a, 8, 0x08, 0, 8 } });
    CHECK_STR_EQ(reply(), "17 00 10 00 08 12 00 00");
    run((struct cdb){ { 0x1a, 8, 0x88, 0, 8 } }); /* defaults */
    CHECK_STR_EQ(reply(), "17 00 10 00 08 12 04 00");
    select_cache(4);
    CHECK_EQ(c.action, SCSI_DONE);
    CHECK_EQ(disk.write_through, 0);
}

static const struct {
    const char *name;
    uint8_t list[40];
    uint8_t bytes;
} bad_lists[] = {
    { "half a head", { 0 }, 3 },
    { "descriptor is cut off", { 0, 0, 0, 8 }, 8 },
    { "descriptor of another size", { 0, 0, 0, 16 }, 24 },
    { "another block size", { 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 4, 0 }, 12 },
    { "half a page", { 0, 0, 0, 0, 8, 18, 4 }, 10 },
    { "one byte of a page", { 0, 0, 0, 0, 8 }, 5 },
    { "wrong length", { 0, 0, 0, 0, 8, 19, 4 }, 25 },
    { "no such page", { 0, 0, 0, 0, 0x1c, 10 }, 16 },
    { "page 3F", { 0, 0, 0, 0, 0x3f, 18 }, 24 },
    { "bit that is fixed", { 0, 0, 0, 0, 8, 18, 5 }, 24 },
    { "bit of the control page", { 0, 0, 0, 0, 10, 10, 0, 0 }, 16 },
};

TEST_P(mode_select_refuses, bad_lists)
{
    before();
    run_with((struct cdb){ { 0x15, 0x10, 0, 0, row->bytes } }, row->list,
             row->bytes);
    CHECK_EQ(c.action, SCSI_FAILED);
    CHECK_EQ(sense(), 0x52600);
    CHECK_EQ(disk.write_through, 0);
}

TEST(mode_select_takes_back_what_mode_sense_gave)
{
    uint8_t list[SCSI_REPLY_MAX];
    uint32_t n;

    before();
    run((struct cdb){ { 0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 255 } });
    n = c.reply_bytes;
    memcpy(list, c.reply, n);
    run_with((struct cdb){ { 0x55, 0x10, 0, 0, 0, 0, 0, 0, (uint8_t)n } }, list,
             n);
    CHECK_EQ(sense(), 0);
    CHECK_EQ(c.action, SCSI_DONE);
}

/* --- conditions -----------------------------------------------------------*/

TEST(attentions_are_reported_once)
{
    before();
    scsi_disk_reset(&disk);
    run((struct cdb){ { 0x12, 0, 0, 0, 36 } }); /* tells nothing of it */
    CHECK_EQ(c.action, SCSI_DATA);
    run((struct cdb){ { 0x00 } });
    CHECK_EQ(c.action, SCSI_FAILED);
    CHECK_EQ(sense(), 0x62900);
    run((struct cdb){ { 0x00 } });
    CHECK_EQ(c.action, SCSI_DONE);

    disk.attention = DISK_CAPACITY | DISK_BUS_RESET;
    run((struct cdb){ { 0x28, 0, 0, 0, 0, 0, 0, 0, 1 } });
    CHECK_EQ(sense(), 0x62902);
    run((struct cdb){ { 0x03, 0, 0, 0, 18 } }); /* the sense of the READ */
    CHECK_EQ(c.reply[12], 0x29);
    run((struct cdb){ { 0x03, 0, 0, 0, 18 } }); /* what waits still */
    CHECK_EQ(c.action, SCSI_DATA);
    CHECK_EQ(c.reply[2], 6);
    CHECK_EQ(c.reply[12], 0x2a);
    CHECK_EQ(c.reply[13], 9);
    run((struct cdb){ { 0x00 } });
    CHECK_EQ(c.action, SCSI_DONE);
    disk.attention = 0x80; /* out of a saved file */
    run((struct cdb){ { 0x00 } });
    CHECK_EQ(c.action, SCSI_FAILED);
    CHECK_EQ(disk.attention, 0);
}

TEST(stopped_disk_is_not_ready)
{
    before();
    run((struct cdb){ { 0x1b } });
    CHECK_EQ(c.action, SCSI_FLUSH);
    run((struct cdb){ { 0x1b } });
    CHECK_EQ(c.action, SCSI_DONE);
    run((struct cdb){ { 0x28, 0, 0, 0, 0, 0, 0, 0, 1 } });
    CHECK_EQ(sense(), 0x20402);
    run((struct cdb){ { 0x25 } });
    CHECK_EQ(c.action, SCSI_DATA);
    run((struct cdb){ { 0x1b, 0, 0, 0, 1 } });
    run((struct cdb){ { 0x28, 0, 0, 0, 0, 0, 0, 0, 1 } });
    CHECK_EQ(c.action, SCSI_READ);
}

TEST(large_disks)
{
    before();
    medium.blocks = (UINT64_C(64) << 40) / 512;
    run((struct cdb){ { 0x25 } });
    CHECK_STR_EQ(reply(), "ff ff ff ff 00 00 02 00");
    run((struct cdb){ { 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8 } });
    CHECK_STR_EQ(reply(), "00 00 00 1f ff ff ff ff");
    run((struct cdb){
        { 0x88, 0, 0, 0, 0, 0x1f, 255, 255, 255, 255, 0, 0, 0, 1 } });
    CHECK_EQ(c.action, SCSI_READ);
    CHECK_EQ(c.lba, 0x1fffffffff);
    medium.block_bytes = 4096;
    run((struct cdb){ { 0x1a, 0, 0x01, 0, 12 } });
    CHECK_STR_EQ(reply(), "17 00 10 08 ff ff ff ff 00 00 10 00");
}

/* Any command block, any parameters: nothing outside of the disk comes out. */
TEST(random_commands_stay_inside)
{
    static uint8_t list[SCSI_PARAMETERS_MAX];
    uint32_t x = 12345;
    struct cdb cdb;

    before();
    for (unsigned i = 0; i < 300000; i++) {
        for (unsigned k = 0; k < sizeof(cdb.b); k++) {
            x = x * 1664525 + 1013904223;
            cdb.b[k] = x >> 29 == 0 ? 0 : (uint8_t)(x >> 16);
            list[(x >> 8) % sizeof(list)] = x >> 28 ? 0 : (uint8_t)(x >> 20);
        }
        medium.thin = x >> 30 & 1;
        run_with(cdb, list, scsi_disk_parameter_bytes(cdb.b, &medium));
        CHECK_LE(c.reply_bytes, SCSI_REPLY_MAX);
        CHECK_LE(c.range_count, SCSI_RANGES_MAX);
        switch (c.action) {
        case SCSI_READ:
        case SCSI_WRITE:
        case SCSI_COMPARE:
            CHECK_LE(c.blocks * 512, medium.transfer_bytes);
            CHECK_LE(c.lba + c.blocks, BLOCKS);
            break;
        case SCSI_VERIFY:
        case SCSI_FILL:
        case SCSI_ZERO: CHECK_LE(c.lba + c.blocks, BLOCKS); break;
        case SCSI_FAILED: CHECK(sense() != 0); break;
        default: break;
        }
        for (uint32_t k = 0; k < c.range_count; k++)
            CHECK_LE(c.ranges[k].lba + c.ranges[k].blocks, BLOCKS);
    }
}
