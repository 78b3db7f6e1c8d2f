/* SPDX-License-Identifier: Apache-2.0 */
/* SCSI controllers on VMBus: resets, channels and units that come and go,
 * saved state, and guests that mean no good. */
#include "tests/lib/test.h"

#include <glib.h>
#include <string.h>

#include "plugin/bay.h"
#include "plugin/device.h"
#include "tests/dev/storvsp_rig.h"
#include "vm/vm.h"

/* --- resets ---------------------------------------------------------------*/

TEST(bus_reset_waits_for_requests)
{
    uint8_t *ram;
    uint64_t page;
    struct vstor p;

    begin();
    page = vg_page(g, &ram);
    p = COMMAND(0x28, 0, 0, 0, 0, 0, 0, 0, 8);
    p.op = VSTOR_EXECUTE;
    p.srb.cdb_bytes = 10;
    vstor_submit(ch, 1, &p, page, 4096);
    p = (struct vstor){ .op = VSTOR_RESET_BUS };
    vstor_submit(ch, 2, &p, 0, 0);
    p = COMMAND(0x28, 0, 0, 0, 0, 0, 0, 0, 8);
    p.op = VSTOR_EXECUTE;
    p.srb.cdb_bytes = 10;
    p.srb.sense_bytes = 20;
    vstor_submit(ch, 3, &p, page, 4096);
    CHECK_EQ(vstor_wait(ch, &p), 1);
    CHECK_EQ(p.srb.srb_status, SUCCESS);
    CHECK_EQ(vstor_wait(ch, &p), 2);
    CHECK_EQ(p.status, 0);
    CHECK_EQ(vstor_wait(ch, &p), 3);
    CHECK_EQ(p.srb.srb_status, ERROR);
    CHECK_EQ(sense_of(&p), 0x62902);
    p = COMMAND(0x28, 0, 0, 0, 0, 0, 0, 0, 8);
    CHECK_EQ(vstor_execute(ch, &p, page, 4096), SUCCESS);
    finish();
}

TEST(unit_reset_is_for_one_unit)
{
    struct vstor p = { .op = VSTOR_RESET_LUN, .srb = { .lun = 5 } };

    begin();
    CHECK_EQ(vstor_ask(ch, &p), 0);
    p = COMMAND(0x00);
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), SUCCESS);
    p = COMMAND(0x00);
    p.srb.lun = 5;
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), ERROR);
    CHECK_EQ(sense_of(&p), 0x62903);
    finish();
}

/* Requests under way end before the rings are given back, so nothing is
 * written to memory that the guest uses for something else. */
TEST(closing_waits_for_requests)
{
    uint8_t *ram;
    uint64_t page;
    struct vstor p = COMMAND(0x28, 0, 0, 0, 0, 0, 0, 0, 8);

    begin();
    memset(disk, 0x77, 4096);
    page = vg_page(g, &ram);
    p.op = VSTOR_EXECUTE;
    p.srb.cdb_bytes = 10;
    vstor_submit(ch, 1, &p, page, 4096);
    CHECK_EQ(vg_post(g, VMBUS_CLOSE, &ch->offer.relid, 4), 0);
    CHECK(!vg_try_teardown(g, ch->offer.relid, ch->gpadl));
    bench_step(b, 1000000); /* the drive is done */
    vg_poll(g);
    CHECK(vg_take(g, VMBUS_GPADL_TORNDOWN, NULL, 0));
    vg_forget(ch);
    ch = vg_open(g, vg_offer(g, &scsi, 0), 16);
    vstor_start(ch, 0x0602);
    finish();
}

/* --- sub-channels ---------------------------------------------------------*/

static struct vg_channel *open_subchannel(uint16_t index)
{
    return vg_open(g, vg_subchannel(g, &ch->offer, index), 16);
}

TEST(subchannels_carry_requests)
{
    struct vstor p = { .op = VSTOR_SUBCHANNELS, .subchannels = 2 };
    struct vg_channel *sub[2];
    uint8_t *ram;
    uint64_t page;

    machine(4);
    connect_to(&scsi);
    vstor_start(ch, 0x0602);
    CHECK_EQ(vstor_ask(ch, &p), 0);
    sub[0] = open_subchannel(1);
    sub[1] = open_subchannel(2);
    page = vg_page(g, &ram);
    for (unsigned i = 0; i < 2; i++) {
        memset(disk, (int)(0x11 + i), 4096);
        p = COMMAND(0x28, 0, 0, 0, 0, 0, 0, 0, 8);
        CHECK_EQ(vstor_execute(sub[i], &p, page, 4096), SUCCESS);
        CHECK_EQ(ram[0], 0x11 + i);
    }
    p = (struct vstor){ .op = VSTOR_BEGIN };
    CHECK_EQ(vstor_ask(sub[0], &p), 0xc0000184);
    p = (struct vstor){ .op = VSTOR_SUBCHANNELS, .subchannels = 1 };
    CHECK_EQ(vstor_ask(ch, &p), 0xc0000184); /* once is enough */
    vg_close(sub[0]);
    sub[0] = open_subchannel(1);
    p = COMMAND(0x00);
    CHECK_EQ(vstor_execute(sub[0], &p, 0, 0), SUCCESS);
    /* The primary takes them with it. */
    uint32_t relid = sub[1]->offer.relid;
    vg_close(sub[0]);
    vg_close(sub[1]);
    vg_close(ch);
    vg_poll(g);
    CHECK(vg_is_rescinded(g, relid));
    ch = vg_open(g, vg_offer(g, &scsi, 0), 16);
    vstor_start(ch, 0x0602);
    finish();
}

TEST(no_more_subchannels_than_offered)
{
    struct vstor p = { .op = VSTOR_SUBCHANNELS, .subchannels = 2 };

    machine(2);
    connect_to(&scsi);
    vstor_start(ch, 0x0602);
    CHECK_EQ(vstor_ask(ch, &p), 0xc000000d);
    finish();
}

/* --- units that come and go -----------------------------------------------*/

static void expect_notice(void)
{
    struct vg_packet packet;
    uint32_t op;

    bench_run(b);
    CHECK(vg_receive(ch, &packet));
    CHECK_EQ(packet.type, BP_VMBUS_INBAND);
    CHECK_EQ(packet.transaction, 0);
    memcpy(&op, packet.data, sizeof(op));
    CHECK_EQ(op, VSTOR_ENUMERATE);
}

TEST(disk_is_added_and_removed)
{
    struct device *d;
    struct block_drive *drive;
    struct vstor p = COMMAND(0x00);
    uint8_t *ram;
    uint64_t page;

    machine(1);
    bench_add_drive(b, "hot", BLOCK_DISK, MB, NULL);
    drive = bench_vm(b)->drives->pdata[3];
    connect_to(&scsi);
    vstor_start(ch, 0x0602);
    page = vg_page(g, &ram);
    d = device_find(bench_vm(b), "scsi0");
    CHECK_EQ(bay_places(d), 64);
    CHECK_EQ(bay_free_place(d), 1);
    CHECK(bay_plug(d, 1, drive, NULL));
    CHECK(!bay_plug(d, 1, drive, NULL));
    expect_notice();
    p.srb.lun = 1;
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), SUCCESS);
    /* With a request in flight: it ends, then the unit is gone. */
    p = COMMAND(0x28, 0, 0, 0, 0, 0, 0, 0, 8);
    p.srb.lun = 1;
    p.op = VSTOR_EXECUTE;
    p.srb.cdb_bytes = 10;
    vstor_submit(ch, 1, &p, page, 4096);
    CHECK(bay_unplug(d, 1, NULL) == drive);
    CHECK(!bay_unplug(d, 1, NULL));
    bool notice = false, completion = false;
    for (struct vg_packet packet; vg_receive(ch, &packet);) {
        notice |= packet.type == BP_VMBUS_INBAND;
        completion |= packet.type == BP_VMBUS_COMPLETION;
    }
    CHECK(notice);
    CHECK(completion);
    p = COMMAND(0x00);
    p.srb.lun = 1;
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), NO_LUN);
    CHECK(bay_unplug(d, 5, NULL) != NULL); /* one of the first ones, too */
    finish();
}

/* --- the IDE kind ---------------------------------------------------------*/

TEST(ide_disk)
{
    struct vstor p = COMMAND(0x28, 0, 0, 0, 0, 0, 0, 0, 8);
    const struct vmbus_offer *o;
    uint8_t *ram;
    uint64_t page;

    b = vg_bench(4);
    bench_add_drive(b, "disk0", BLOCK_DISK, MB, &disk);
    bench_add_device(b, "storvsp", "ide3", "kind=ide", "controller=1",
                     "target=1", "lun0=disk0", NULL);
    connect_to(&ide);
    o = vg_offer(g, &ide, 0);
    CHECK_MEM_EQ(o->instance.b, "\1\0\0\0\1\0\x99\x88\0\0\0\0\0\0\0\0", 16);
    CHECK_EQ(o->user[8], 2);
    vstor_start(ch, 0x0602);
    page = vg_page(g, &ram);
    disk[100] = 0x55;
    p.srb.target = 1; /* Linux takes it from the instance's name */
    CHECK_EQ(vstor_execute(ch, &p, page, 4096), SUCCESS);
    CHECK_EQ(ram[100], 0x55);
    p = COMMAND(0x00);
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), NO_LUN);
    finish();
}

/* --- saved state ----------------------------------------------------------*/

TEST(saved_in_the_middle_of_work)
{
    struct vstor p = { .op = VSTOR_SUBCHANNELS, .subchannels = 1 };
    struct vg_channel *sub;
    uint8_t *ram;
    uint64_t pages;
    unsigned done = 0;

    machine(2);
    connect_to(&scsi);
    vstor_start(ch, 0x0602);
    CHECK_EQ(vstor_ask(ch, &p), 0);
    sub = open_subchannel(1);
    pages = vg_pages(g, 8, &ram);
    fill(disk, 8 * 4096, 1);
    for (unsigned i = 0; i < 8; i++) {
        p = COMMAND(0x28, 0, 0, 0, 0, (uint8_t)(i * 8), 0, 0, 8);
        p.op = VSTOR_EXECUTE;
        p.srb.cdb_bytes = 10;
        vstor_submit(i & 1 ? sub : ch, i + 1, &p, pages + i * 4096, 4096);
    }
    p = (struct vstor){ .op = VSTOR_RESET_LUN, .srb = { .lun = 5 } };
    vstor_submit(ch, 100, &p, 0, 0);
    bench_save_load(b);
    for (unsigned i = 0; i < 5; i++) {
        uint64_t t = vstor_wait(ch, &p);

        CHECK(t == 100 || p.srb.srb_status == SUCCESS);
        done++;
    }
    for (; done < 9; done++)
        vstor_wait(sub, &p);
    CHECK_MEM_EQ(ram, disk, 8 * 4096);
    p = COMMAND(0x00);
    p.srb.lun = 5;
    CHECK_EQ(vstor_execute(sub, &p, 0, 0), ERROR);
    CHECK_EQ(sense_of(&p), 0x62903);
    vg_close(sub);
    finish();
}

TEST(machine_reset_forgets_all)
{
    struct vstor p = { .op = VSTOR_SUBCHANNELS, .subchannels = 1 };

    machine(2);
    connect_to(&scsi);
    vstor_start(ch, 0x0602);
    CHECK_EQ(vstor_ask(ch, &p), 0);
    vg_forget(open_subchannel(1));
    vg_forget(ch);
    vg_end(g);
    bench_reset(b, BP_RESET_COLD);
    connect_to(&scsi);
    CHECK(!vg_try_offer(g, &scsi, 1));
    vstor_start(ch, 0x0602);
    p = (struct vstor){ .op = VSTOR_SUBCHANNELS, .subchannels = 1 };
    CHECK_EQ(vstor_ask(ch, &p), 0);
    finish();
}

/* What the guest locked in is the user's again. */
TEST(machine_reset_unlocks)
{
    struct vstor p = COMMAND(0x1e, 0, 0, 0, 1);

    begin();
    CHECK(bench_change_medium(b, "cd0", 20480, NULL));
    p.srb.lun = 7;
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), ERROR); /* medium changed */
    p = COMMAND(0x1e, 0, 0, 0, 1);
    p.srb.lun = 7;
    CHECK_EQ(vstor_execute(ch, &p, 0, 0), SUCCESS);
    CHECK(!bench_change_medium(b, "cd0", 0, NULL));
    vg_forget(ch);
    vg_end(g);
    bench_reset(b, BP_RESET_COLD);
    CHECK(bench_change_medium(b, "cd0", 0, NULL));
    connect_to(&scsi);
    finish();
}

/* --- hostile guests -------------------------------------------------------*/

/* Whatever comes, each packet that wants a completion gets one. */
TEST(random_packets)
{
    uint32_t x = 4711;
    uint8_t *ram;
    uint64_t pages;
    struct vstor p;

    machine(2);
    connect_to(&scsi);
    vstor_start(ch, 0x0602);
    pages = vg_pages(g, 64, &ram);
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t *raw = (uint8_t *)&p;
        uint32_t bytes;

        for (unsigned k = 0; k < sizeof(p); k++) {
            x = x * 1664525 + 1013904223;
            raw[k] = x >> 30 ? 0 : (uint8_t)(x >> 16);
        }
        x = x * 1664525 + 1013904223;
        if (x >> 28)
            p.op = VSTOR_EXECUTE;
        p.srb.lun &= 7;
        if (x >> 27 & 1)
            p.srb.path = p.srb.target = 0;
        bytes = x >> 12 & 1 ? 0 : x >> 4 & 0x3ffff;
        if (bytes > 63 * 4096)
            bytes = 63 * 4096;
        vstor_submit(ch, i + 1, &p, pages + (x >> 20), bytes);
        CHECK_EQ(vstor_wait(ch, &p), i + 1);
    }
    finish();
}
