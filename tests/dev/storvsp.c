/* SPDX-License-Identifier: Apache-2.0 */
/* SCSI controllers on VMBus, as a guest's driver uses them.  What comes and
 * goes is in storvsp_life.c. */
#include "tests/lib/test.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "tests/dev/storvsp_rig.h"

/* --- negotiation ----------------------------------------------------------*/

static const struct {
    const char *name;
    uint16_t version;
    uint32_t status;
} versions[] = {
    { "2.0", 0x0200, 0 },          { "4.2", 0x0402, 0 },
    { "5.1", 0x0501, 0 },          { "6.0", 0x0600, 0 },
    { "6.2", 0x0602, 0 },          { "6.3", 0x0603, 0xc0000059 },
    { "0.0", 0x0000, 0xc0000059 }, { "1.0", 0x0100, 0xc0000059 },
};

TEST_P(version, versions)
{
    struct vstor p = { .op = VSTOR_BEGIN };

    machine(1);
    connect_to(&scsi);
    CHECK_EQ(vstor_ask(ch, &p), 0);
    p = (struct vstor){ .op = VSTOR_VERSION,
                        .query = { .version = row->version } };
    CHECK_EQ(vstor_ask(ch, &p), row->status);
    /* A refusal leaves the question open. */
    p = (struct vstor){ .op = VSTOR_VERSION, .query = { .version = 0x0501 } };
    CHECK_EQ(vstor_ask(ch, &p), 0);
    finish();
}

TEST(properties)
{
    struct vstor p = { .op = VSTOR_BEGIN };

    machine(3);
    connect_to(&scsi);
    vstor_ask(ch, &p);
    p = (struct vstor){ .op = VSTOR_VERSION, .query = { .version = 0x0602 } };
    vstor_ask(ch, &p);
    p = (struct vstor){ .op = VSTOR_PROPERTIES };
    CHECK_EQ(vstor_ask(ch, &p), 0);
    CHECK_EQ(p.properties.subchannels, 2);
    CHECK_EQ(p.properties.flags, 1);
    CHECK_EQ(p.properties.transfer, MB);
    finish();
}

TEST(steps_out_of_order_are_refused)
{
    static const uint32_t ops[] = { VSTOR_VERSION, VSTOR_PROPERTIES,
                                    VSTOR_END,     VSTOR_SUBCHANNELS,
                                    VSTOR_EXECUTE, VSTOR_RESET_BUS };
    struct vstor p;

    machine(2);
    connect_to(&scsi);
    for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++) {
        p = (struct vstor){ .op = ops[i], .query = { .version = 0x0602 } };
        CHECK_EQ(vstor_ask(ch, &p), 0xc0000184);
    }
    vstor_start(ch, 0x0602);
    for (unsigned i = 0; i < 3; i++) {
        p = (struct vstor){ .op = ops[i], .query = { .version = 0x0602 } };
        CHECK_EQ(vstor_ask(ch, &p), 0xc0000184);
    }
    p = (struct vstor){ .op = VSTOR_BEGIN };
    CHECK_EQ(vstor_ask(ch, &p), 0xc0000184);
    p = (struct vstor){ .op = 99 };
    CHECK_EQ(vstor_ask(ch, &p), 0xc0000010);
    finish();
}

TEST(a_channel_opened_again_begins_anew)
{
    begin();
    vg_close(ch);
    ch = vg_open(g, vg_offer(g, &scsi, 0), 16);
    vstor_start(ch, 0x0501);
    vg_close(ch);
    vg_unload(g);
    vg_end(g);
    connect_to(&scsi);
    vstor_start(ch, 0x0602);
    finish();
}

/* --- units ----------------------------------------------------------------*/

TEST(units_are_listed)
{
    uint8_t *ram;
    uint64_t page;
    struct vstor p = COMMAND(0xa0, 0, 0, 0, 0, 0, 0, 0, 2, 0);

    begin();
    page = vg_page(g, &ram);
    CHECK_EQ(vstor_execute(ch, &p, page, 512), SUCCESS);
    CHECK_EQ(p.srb.transfer, 8 + 3 * 8);
    CHECK_MEM_EQ(ram,
                 "\0\0\0\x18\0\0\0\0"
                 "\0\0\0\0\0\0\0\0"
                 "\0\x05\0\0\0\0\0\0"
                 "\0\x07\0\0\0\0\0\0",
                 32);
    /* Other targets have none; this is no error. */
    p = COMMAND(0xa0, 0, 0, 0, 0, 0, 0, 0, 2, 0);
    p.srb.target = 1;
    CHECK_EQ(vstor_execute(ch, &p, page, 512), SUCCESS);
    CHECK_EQ(p.srb.transfer, 8);
    finish();
}

static const struct {
    const char *name;
    uint8_t path, target, lun, first;
} places[] = {
    { "disk", 0, 0, 0, 0x00 },
    { "second disk", 0, 0, 5, 0x00 },
    { "CD", 0, 0, 7, 0x05 },
    { "empty place", 0, 0, 1, 0x7f },
    { "beyond the last", 0, 0, 64, 0x7f },
    { "another path", 1, 0, 0, 0x7f },
    { "another target", 0, 1, 0, 0x7f },
};

TEST_P(inquiry, places)
{
    uint8_t *ram;
    uint64_t page;
    struct vstor p = COMMAND(0x12, 0, 0, 0, 36);

    begin();
    page = vg_page(g, &ram);
    p.srb.path = row->path;
    p.srb.target = row->target;
    p.srb.lun = row->lun;
    CHECK_EQ(vstor_execute(ch, &p, page, 36), SUCCESS);
    CHECK_EQ(p.srb.transfer, 36);
    CHECK_EQ(ram[0], row->first);
    if (row->first != 0x7f || row->lun == 0)
        CHECK_MEM_EQ(ram + 8, "Msft    ", 8);
    else
        CHECK_EQ(ram[8], 0);
    finish();
}

TEST(absent_units_answer_nothing_else)
{
    struct vstor p = COMMAND(0x00);

    begin();
    p.srb.lun = 1;
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), NO_LUN);
    CHECK_EQ(p.srb.scsi_status, 2);
    CHECK_EQ(p.status, 0xc00000c0);
    finish();
}

TEST(old_protocols_have_short_packets)
{
    uint8_t *ram;
    uint64_t page;
    struct vstor p = COMMAND(0x12, 0, 0, 0, 36);
    struct vg_packet packet;

    machine(1);
    connect_to(&scsi);
    vstor_start(ch, 0x0200);
    page = vg_page(g, &ram);
    p.op = VSTOR_EXECUTE;
    p.srb.cdb_bytes = 6;
    p.srb.transfer = 36;
    CHECK(vg_send_gpa(ch, 1, &p, 48, page, 36));
    vg_completion(ch, 1, &packet);
    CHECK_EQ(packet.bytes, 48);
    CHECK_MEM_EQ(ram + 8, "Msft    ", 8);
    finish();
}

/* --- reading and writing --------------------------------------------------*/

TEST(what_is_written_is_read)
{
    enum { N = 65536 };
    uint8_t *from, *to;
    uint64_t out, in;
    struct vstor p;

    begin();
    out = vg_pages(g, N / 4096 + 1, &from);
    in = vg_pages(g, N / 4096 + 1, &to);
    fill(from + 100, N, 7);
    p = COMMAND(0x2a, 0, 0, 0, 0, 16, 0, 0, 128);
    CHECK_EQ(vstor_execute(ch, &p, out + 100, N), SUCCESS);
    CHECK_EQ(p.srb.transfer, N);
    CHECK_EQ(p.status, 0);
    CHECK_MEM_EQ(disk + 8192, from + 100, N);
    p = COMMAND(0x28, 0, 0, 0, 0, 16, 0, 0, 128);
    p.srb.data_in = 1;
    CHECK_EQ(vstor_execute(ch, &p, in + 3, N), SUCCESS);
    CHECK_MEM_EQ(to + 3, from + 100, N);
    CHECK_EQ(to[2], 0);
    CHECK_EQ(to[N + 3], 0);
    finish();
}

/* Pieces that are no multiple of a sector: pages that are no neighbours, and
 * an offset in the first. */
TEST(scattered_pages)
{
    enum { N = 32768, PAGES = N / 4096 + 1 };
    uint64_t pages[PAGES];
    uint8_t *ram[PAGES], *unused, expected[N];
    struct vstor p;
    uint32_t at = 0, offset = 4096 - 513;

    begin();
    for (unsigned i = 0; i < PAGES; i++) {
        pages[PAGES - 1 - i] = vg_page(g, &ram[PAGES - 1 - i]);
        vg_page(g, &unused);
    }
    fill(disk + 512, N, 99);
    memcpy(expected, disk + 512, N);
    p = COMMAND(0x88, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 64);
    p.op = VSTOR_EXECUTE;
    p.srb.cdb_bytes = 16;
    p.srb.data_in = 1;
    p.srb.transfer = N;
    CHECK(vg_send_pages(ch, 1, &p, sizeof(p), pages, offset, N));
    CHECK_EQ(vstor_wait(ch, &p), 1);
    CHECK_EQ(p.srb.srb_status, SUCCESS);
    for (unsigned i = 0; i < PAGES; i++) {
        uint32_t begin_at = i ? 0 : offset;
        uint32_t n = MIN(4096 - begin_at, N - at);

        CHECK_MEM_EQ(ram[i] + begin_at, expected + at, n);
        at += n;
    }
    CHECK_EQ(at, N);
    finish();
}

TEST(the_longest_transfer)
{
    uint8_t *ram;
    uint64_t pages;
    struct vstor p;

    begin();
    pages = vg_pages(g, 257, &ram);
    fill(disk + MB, MB, 5);
    p = COMMAND(0x28, 0, 0, 0, 8, 0, 0, 8, 0);
    p.srb.data_in = 1;
    CHECK_EQ(vstor_execute(ch, &p, pages + 5, MB), SUCCESS);
    CHECK_EQ(p.srb.transfer, MB);
    CHECK_MEM_EQ(ram + 5, disk + MB, MB);
    /* One block more is refused by the disk. */
    p = COMMAND(0x28, 0, 0, 0, 8, 0, 0, 8, 1);
    CHECK_EQ(vstor_execute(ch, &p, pages, MB), ERROR);
    CHECK_EQ(sense_of(&p), 0x52400);
    finish();
}

TEST(buffers_that_are_too_short)
{
    uint8_t *ram;
    uint64_t page;
    struct vstor p;

    begin();
    page = vg_page(g, &ram);
    p = COMMAND(0x28, 0, 0, 0, 0, 0, 0, 0, 8);
    CHECK_EQ(vstor_execute(ch, &p, page, 2048), OVERRUN);
    CHECK_EQ(p.status, 0x80000005);
    p = COMMAND(0x28, 0, 0, 0, 0, 0, 0, 0, 8);
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), OVERRUN);
    p = COMMAND(0x12, 0, 0, 0, 36); /* gets what has room */
    CHECK_EQ(vstor_execute(ch, &p, page, 5), SUCCESS);
    CHECK_EQ(p.srb.transfer, 5);
    CHECK_EQ(ram[5], 0);
    p = COMMAND(0x41, 0, 0, 0, 0, 0, 0, 0, 8); /* its block is missing */
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), ERROR);
    finish();
}

TEST(buffers_that_are_no_memory)
{
    struct vstor p;

    begin();
    p = COMMAND(0x28, 0, 0, 0, 0, 0, 0, 0, 8);
    CHECK_NE(vstor_execute(ch, &p, UINT64_C(1) << 40, 4096), SUCCESS);
    p = COMMAND(0x12, 0, 0, 0, 36);
    CHECK_NE(vstor_execute(ch, &p, UINT64_C(1) << 40, 36), SUCCESS);
    p = COMMAND(0x28, 0, 0, 0, 0, 0, 0, 0, 8); /* ends in the middle */
    CHECK_NE(vstor_execute(ch, &p, BENCH_RAM - 2048, 4096), SUCCESS);
    finish();
}

TEST(many_requests_at_once)
{
    enum { N = 400 };
    uint8_t *ram, seen[N + 1] = { 0 };
    uint64_t pages;
    struct vstor p;
    unsigned sent = 0, done = 0;

    begin();
    vg_close(ch);
    ch = vg_open(g, vg_offer(g, &scsi, 0), 40);
    vstor_start(ch, 0x0602);
    pages = vg_pages(g, N, &ram);
    fill(disk, N * 4096, 3);
    /* More than there are requests: the rest waits in the ring. */
    while (sent < N) {
        p = COMMAND(0x28, 0, 0, 0, sent >> 5, sent << 3, 0, 0, 8);
        p.op = VSTOR_EXECUTE;
        p.srb.cdb_bytes = 10;
        p.srb.data_in = 1;
        if (!vg_send_gpa(ch, sent + 1, &p, sizeof(p), pages + sent * 4096,
                         4096))
            break;
        sent++;
    }
    CHECK_EQ(sent, N);
    for (; done < N; done++) {
        uint64_t t = vstor_wait(ch, &p);

        CHECK_EQ(p.srb.srb_status, SUCCESS);
        CHECK(t >= 1 && t <= N && !seen[t]);
        seen[t] = 1;
    }
    CHECK_MEM_EQ(ram, disk, N * 4096);
    finish();
}

/* --- errors ---------------------------------------------------------------*/

static const struct {
    const char *name;
    int32_t error;
    uint8_t opcode;
    unsigned sense;
} errors[] = {
    { "read", -EIO, 0x28, 0x31100 },        { "write", -EIO, 0x2a, 0x30c00 },
    { "no space", -ENOSPC, 0x2a, 0x72707 }, { "flush", -EIO, 0x35, 0x30c00 },
    { "unmap", -EIO, 0x42, 0x30c00 },
};

TEST_P(host_fails, errors)
{
    uint8_t *ram;
    uint64_t page;
    struct vstor p;

    begin();
    page = vg_page(g, &ram);
    ram[1] = 22; /* for UNMAP: one row */
    ram[3] = 16;
    ram[19] = 8;
    bench_drive_fail(b, "disk0", row->error);
    p = COMMAND(row->opcode, 0, 0, 0, 0, 0, 0, 0, row->opcode == 0x42 ? 24 : 1);
    CHECK_EQ(vstor_execute(ch, &p, page, 512), ERROR);
    CHECK_EQ(p.srb.scsi_status, 2);
    CHECK_EQ(p.srb.sense_bytes, 18);
    CHECK_EQ(p.status, 0xc0000185);
    CHECK_EQ(sense_of(&p), row->sense);
    bench_drive_fail(b, "disk0", 0);
    p = COMMAND(0x28, 0, 0, 0, 0, 0, 0, 0, 1);
    CHECK_EQ(vstor_execute(ch, &p, page, 512), SUCCESS);
    finish();
}

TEST(sense_data_is_given_as_asked)
{
    struct vstor p = COMMAND(0x28, 0, 0xff, 0, 0, 0, 0, 0, 1);

    begin();
    p.srb.sense_bytes = 8;
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), ERROR);
    CHECK_EQ(p.srb.sense_bytes, 8);
    p = COMMAND(0x28, 0, 0xff, 0, 0, 0, 0, 0, 1);
    p.srb.srb_flags = 0x20; /* no autosense */
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), 0x04);
    CHECK_EQ(p.srb.sense_bytes, 0);
    CHECK_EQ(p.srb.cdb[2], 0xff);
    finish();
}

/* --- commands of several steps --------------------------------------------*/

TEST(write_same_repeats_its_block)
{
    uint8_t *ram;
    uint64_t page;
    struct vstor p;

    begin();
    page = vg_page(g, &ram);
    fill(ram, 512, 1);
    /* 200 KiB and a sector: four steps */
    p = COMMAND(0x93, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 1, 0x91);
    CHECK_EQ(vstor_execute(ch, &p, page, 512), SUCCESS);
    for (unsigned i = 3; i < 3 + 0x191; i++)
        CHECK_MEM_EQ(disk + i * 512, ram, 512);
    CHECK_EQ(disk[2 * 512], 0);
    CHECK_EQ(disk[(3 + 0x191) * 512], 0);
    /* Zeros, without data */
    p = COMMAND(0x93, 1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 1, 0x8f);
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), SUCCESS);
    CHECK_EQ(disk[4 * 512], 0);
    CHECK_MEM_EQ(disk + 3 * 512, ram, 512);
    CHECK_MEM_EQ(disk + (3 + 0x190) * 512, ram, 512);
    finish();
}

TEST(verify_compares)
{
    uint8_t *ram;
    uint64_t pages;
    struct vstor p;

    begin();
    pages = vg_pages(g, 33, &ram);
    fill(ram + 7, 131072, 1);
    memcpy(disk + 1024, ram + 7, 131072);
    p = COMMAND(0x2f, 2, 0, 0, 0, 2, 0, 1, 0);
    CHECK_EQ(vstor_execute(ch, &p, pages + 7, 131072), SUCCESS);
    disk[1024 + 131071] ^= 1;
    p = COMMAND(0x2f, 2, 0, 0, 0, 2, 0, 1, 0);
    CHECK_EQ(vstor_execute(ch, &p, pages + 7, 131072), ERROR);
    CHECK_EQ(sense_of(&p), 0xe1d00);
    p = COMMAND(0x2f, 0, 0, 0, 0, 2, 0, 1, 0); /* only that it can be read */
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), SUCCESS);
    finish();
}

TEST(unmap_discards)
{
    uint8_t *ram;
    uint64_t page;
    struct vstor p;

    begin();
    page = vg_page(g, &ram);
    memset(disk, 0xee, 65536);
    ram[1] = 38;
    ram[3] = 32;
    ram[15] = 8;  /* lba 8.. */
    ram[19] = 8;  /* 8 blocks */
    ram[31] = 64; /* lba 64.. */
    ram[35] = 1;
    p = COMMAND(0x42, 0, 0, 0, 0, 0, 0, 0, 40);
    CHECK_EQ(vstor_execute(ch, &p, page, 40), SUCCESS);
    CHECK_EQ(disk[8 * 512 - 1], 0xee);
    CHECK_EQ(disk[8 * 512], 0);
    CHECK_EQ(disk[16 * 512 - 1], 0);
    CHECK_EQ(disk[16 * 512], 0xee);
    CHECK_EQ(disk[64 * 512], 0);
    CHECK_EQ(disk[65 * 512], 0xee);
    finish();
}

/* --- CDs ------------------------------------------------------------------*/

TEST(medium_comes_and_goes)
{
    uint8_t *ram, *cd;
    uint64_t page;
    struct vstor p;

    begin();
    page = vg_page(g, &ram);
#define ON_CD(...)            \
    p = COMMAND(__VA_ARGS__); \
    p.srb.lun = 7
    ON_CD(0x00);
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), ERROR);
    CHECK_EQ(sense_of(&p), 0x23a00);
    CHECK(bench_change_medium(b, "cd0", 100 * 2048, &cd));
    fill(cd, 100 * 2048, 9);
    ON_CD(0x00);
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), ERROR);
    CHECK_EQ(sense_of(&p), 0x62800);
    ON_CD(0x28, 0, 0, 0, 0, 9, 0, 0, 2);
    CHECK_EQ(vstor_execute(ch, &p, page, 4096), SUCCESS);
    CHECK_MEM_EQ(ram, cd + 9 * 2048, 4096);
    ON_CD(0xbe, 0, 0, 0, 0, 9, 0, 0, 1, 0xf8); /* a raw sector */
    CHECK_EQ(vstor_execute(ch, &p, page, 2352), SUCCESS);
    CHECK_EQ(p.srb.transfer, 2352);
    CHECK_EQ(ram[15], 1);
    CHECK_MEM_EQ(ram + 16, cd + 9 * 2048, 2048);
    ON_CD(0x1e, 0, 0, 0, 1); /* locked */
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), SUCCESS);
    CHECK(!bench_change_medium(b, "cd0", 0, NULL));
    ON_CD(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
    CHECK_EQ(vstor_execute(ch, &p, page, 8), SUCCESS);
    CHECK_EQ(ram[4], 1); /* the user wants it */
    ON_CD(0x1e);
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), SUCCESS);
    ON_CD(0x1b, 0, 0, 0, 2); /* ejected by the guest */
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), SUCCESS);
    ON_CD(0x00);
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), ERROR);
    CHECK_EQ(sense_of(&p), 0x23a00);
    ON_CD(0x12, 1, 0x80, 0, 64);
    CHECK_EQ(vstor_execute(ch, &p, page, 64), SUCCESS);
    CHECK_EQ(ram[0], 5);
#undef ON_CD
    finish();
}
