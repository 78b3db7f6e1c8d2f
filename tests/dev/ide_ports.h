/* SPDX-License-Identifier: Apache-2.0 */
/* The PIIX4's primary channel as a driver uses it: task file, waiting, bus
 * master. */
#ifndef TESTS_DEV_IDE_PORTS_H
#define TESTS_DEV_IDE_PORTS_H

#include <string.h>

#include "tests/dev/ports.h"

enum {
    DATA = 0x1f0,
    ERROR = 0x1f1,
    FEATURE = 0x1f1,
    COUNT = 0x1f2,
    LBA_LOW = 0x1f3,
    LBA_MID = 0x1f4,
    LBA_HIGH = 0x1f5,
    DEVICE = 0x1f6,
    STATUS = 0x1f7,
    COMMAND = 0x1f7,
    CONTROL = 0x3f6,
    BM = 0xc000,
    BM_STATUS = 0xc002,
    BM_TABLE = 0xc004,
};

#define BSY 0x80
#define DRQ 0x08
#define ERR 0x01

#define READY   0x50 /* DRDY, DSC */
#define WANTS   0x58 /* and DRQ */
#define FAILED  0x51
#define ABRT    0x04
#define IDNF    0x10
#define UNC     0x40
#define NIEN    0x02
#define SRST    0x04
#define HOB     0x80
#define USE_LBA 0x40
#define SLAVE   0x10

#define BM_START  0x01
#define BM_READ   0x08 /* to memory */
#define BM_ACTIVE 0x01
#define BM_ERROR  0x02
#define BM_IRQ    0x04
#define TABLE     0x8000u

/* Decoding, I/O and bus mastering on, as a BIOS leaves it. */
static inline void enable_controller(void)
{
    bench_pci_write(b, 7, 1, 0x40, 4, 0x80008000);
    bench_pci_write(b, 7, 1, 0x20, 4, BM);
    bench_pci_write(b, 7, 1, 0x04, 2, 0x0005);
}

static inline bool irq14(void)
{
    return bench_line(b, "isa", 14);
}

/* Status when it is not busy any more. */
static inline uint8_t wait_idle(void)
{
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t v = in8(CONTROL);

        if (!(v & BSY))
            return v;
        bench_step(b, 100000);
    }
    FAIL("the drive is busy for ever");
}

static inline uint8_t command(uint8_t v)
{
    out8(COMMAND, v);
    return wait_idle();
}

static inline void task_file(uint8_t count, uint32_t lba, uint8_t device)
{
    out8(DEVICE, device | (lba >> 24 & 15));
    out8(COUNT, count);
    out8(LBA_LOW, lba);
    out8(LBA_MID, lba >> 8);
    out8(LBA_HIGH, lba >> 16);
}

static inline void task_file_ext(uint16_t count, uint64_t lba)
{
    out8(DEVICE, USE_LBA);
    out8(COUNT, count >> 8);
    out8(COUNT, count);
    out8(LBA_LOW, lba >> 24);
    out8(LBA_LOW, lba);
    out8(LBA_MID, lba >> 32);
    out8(LBA_MID, lba >> 8);
    out8(LBA_HIGH, lba >> 40);
    out8(LBA_HIGH, lba >> 16);
}

static inline void read_data(uint8_t *to, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 2) {
        uint16_t v = in16(DATA);

        to[i] = v;
        to[i + 1] = v >> 8;
    }
}

static inline void write_data(const uint8_t *from, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 2)
        out16(DATA, from[i] | from[i + 1] << 8);
}

/* Entry `n` of the table at TABLE. */
static inline void prd(unsigned n, uint32_t address, uint32_t bytes, bool last)
{
    uint8_t *p = bench_ram(b) + TABLE + 8 * n;
    uint32_t entry[2] = { address, (bytes & 0xffff) | (last ? 1u << 31 : 0) };

    memcpy(p, entry, 8);
}

static inline void fill_pattern(uint8_t *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        p[i] = i * 31 + i / 512 * 7 + 5;
}

static inline uint16_t word(const uint8_t *p, unsigned n)
{
    return p[2 * n] | p[2 * n + 1] << 8;
}

static inline void identify(uint8_t *out)
{
    CHECK_EQ(command(0xec), WANTS);
    CHECK(irq14());
    CHECK_EQ(in8(STATUS), WANTS);
    read_data(out, 512);
    CHECK_EQ(in8(STATUS), READY);
    CHECK(!irq14());
}

#endif
