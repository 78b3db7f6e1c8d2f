/* SPDX-License-Identifier: Apache-2.0 */
/* A bench with a SCSI controller and a guest that is connected to it: what
 * the tests of storvsp begin with. */
#ifndef TESTS_DEV_STORVSP_RIG_H
#define TESTS_DEV_STORVSP_RIG_H

#include "block/block.h"
#include "tests/dev/storvsp_guest.h"
#include "vm/bench.h"

#define MB      (1u << 20)
#define SUCCESS 0x01
#define ERROR   0x84 /* with sense data */
#define OVERRUN 0x12
#define NO_LUN  0x20

static const struct bp_guid scsi = { { 0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04, 0x29,
                                       0x4d, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1,
                                       0xdc, 0x7f } };
__attribute__((unused)) static const struct bp_guid ide = {
    { 0x32, 0x26, 0x41, 0x32, 0xcb, 0x86, 0xa2, 0x44, 0x9b, 0x5c, 0x50, 0xd1,
      0x41, 0x73, 0x54, 0xf5 }
};

static struct bench *b;
static struct vmbus_guest *g;
static struct vg_channel *ch;
static uint8_t *disk; /* data of unit 0 */

/* Disks of 8 MiB at unit 0 and of 1 MiB at unit 5, an empty CD at unit 7. */
static inline void machine(uint32_t processors)
{
    b = vg_bench(processors);
    bench_add_drive(b, "disk0", BLOCK_DISK, 8 * MB, &disk);
    bench_add_drive(b, "disk1", BLOCK_DISK, MB, NULL);
    bench_add_drive(b, "cd0", BLOCK_CDROM, 0, NULL);
    bench_add_device(b, "storvsp", "scsi0", "lun0=disk0", "lun5=disk1",
                     "lun7=cd0", NULL);
}

static inline void connect_to(const struct bp_guid *type)
{
    g = vg_connect(b, VG_5_3);
    ch = vg_open(g, vg_offer(g, type, 0), 16);
}

static inline void begin(void)
{
    machine(1);
    connect_to(&scsi);
    vstor_start(ch, 0x0602);
}

static inline void finish(void)
{
    vg_close(ch);
    vg_end(g);
    bench_destroy(b);
}

/* A command block, for unit 0 unless said otherwise. */
#define COMMAND(...)                     \
    (struct vstor)                       \
    {                                    \
        .srb = {.cdb = { __VA_ARGS__ } } \
    }

static inline unsigned sense_of(const struct vstor *p)
{
    return (unsigned)p->srb.cdb[2] << 16 | p->srb.cdb[12] << 8 | p->srb.cdb[13];
}

static inline void fill(uint8_t *p, uint32_t bytes, uint32_t seed)
{
    for (uint32_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)((i + seed) * 2654435761u >> 24);
}

#endif
