/* SPDX-License-Identifier: Apache-2.0 */
/* fw-cfg against QEMU's docs/specs/fw_cfg: selector, data, directory, DMA. */
#include "tests/dev/ports.h"

#include <string.h>

#define SELECT   0x510
#define DATA     0x511
#define DMA_HIGH 0x514
#define DMA_LOW  0x518

#define BLOCK  0x1000u
#define TARGET 0x2000u

#define READ    0x02u
#define PASS_BY 0x04u
#define CHOOSE  0x08u
#define WRITE   0x10u
#define ERROR   1u

static const char digits[] = "0123456789abcdef";

static void power_on(void)
{
    b = bench_empty();
    bench_add_firmware(b, 0x05, "", "\x02\x00", 2);
    bench_add_firmware(b, 0xffff, "etc/digits", digits, 16);
    bench_add_firmware(b, 0xffff, "etc/empty", "", 0);
    bench_add_firmware(b, 0xffff,
                       "a/name/as/long/as/the/directory/can/hold/and/then/some",
                       "x", 1);
    bench_add_device(b, "fw-cfg", "fw-cfg", NULL);
}

static void put_be(uint8_t *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = v >> 8 * (bytes - 1 - i);
}

static uint32_t get_be(const uint8_t *p, unsigned bytes)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static uint32_t data_be(unsigned bytes)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | in8(DATA);
    return v;
}

/* Key of a file by the directory, 0 when there is none. */
static uint16_t find(const char *name, uint32_t *bytes)
{
    uint32_t n;

    out16(SELECT, 0x19);
    n = data_be(4);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t size = data_be(4);
        uint16_t key = data_be(2);
        char entry[56];

        CHECK_EQ(data_be(2), 0);
        for (unsigned k = 0; k < 56; k++)
            entry[k] = in8(DATA);
        if (strncmp(entry, name, 56) == 0) {
            *bytes = size;
            return key;
        }
    }
    return 0;
}

/* Gives the control word as it is afterwards. */
static uint32_t dma(uint32_t control, uint32_t bytes, uint64_t gpa)
{
    uint8_t *block = bench_ram(b) + BLOCK;

    put_be(block, control, 4);
    put_be(block + 4, bytes, 4);
    put_be(block + 8, gpa, 8);
    out32(DMA_HIGH, 0);
    out32(DMA_LOW, __builtin_bswap32(BLOCK));
    return get_be(block, 4);
}

/* --- bytes --------------------------------------------------------------- */

static const struct {
    uint16_t key;
    uint8_t bytes[6]; /* zeros follow the end */
} items[] = {
    { 0x0000, { 'Q', 'E', 'M', 'U', 0, 0 } },
    { 0x0001, { 3, 0, 0, 0, 0, 0 } },
    { 0x0005, { 2, 0, 0, 0, 0, 0 } },
    { 0x4005, { 2, 0, 0, 0, 0, 0 } }, /* the "write" bit does not select */
    { 0x0006, { 0, 0, 0, 0, 0, 0 } },
    { 0x8005, { 0, 0, 0, 0, 0, 0 } }, /* another architecture's set */
};

TEST_P(item_is_read_byte_by_byte, items)
{
    power_on();
    for (unsigned again = 0; again < 2; again++) {
        out16(SELECT, row->key);
        for (unsigned i = 0; i < 6; i++)
            CHECK_EQ(in8(DATA), row->bytes[i]);
    }
}

TEST(directory_names_files_with_size_and_key)
{
    uint32_t bytes = 99;
    uint16_t key;

    power_on();
    out16(SELECT, 0x19);
    CHECK_EQ(data_be(4), 3);
    key = find("etc/digits", &bytes);
    CHECK_GE(key, 0x20);
    CHECK_EQ(bytes, 16);
    out16(SELECT, key);
    for (unsigned i = 0; i < 16; i++)
        CHECK_EQ(in8(DATA), digits[i]);
    CHECK_EQ(in8(DATA), 0);
    CHECK_NE(find("etc/empty", &bytes), 0);
    CHECK_EQ(bytes, 0);
    CHECK_EQ(find("etc/other", &bytes), 0);
    CHECK_NE(find("a/name/as/long/as/the/directory/can/hold/and/then/some",
                  &bytes),
             0);
    CHECK_EQ(bytes, 1);
}

/* --- DMA ----------------------------------------------------------------- */

TEST(dma_port_says_that_it_exists)
{
    power_on();
    CHECK_EQ(in32(DMA_HIGH), 0x554d4551);
    CHECK_EQ(in32(DMA_LOW), 0x47464320);
}

TEST(dma_selects_and_reads)
{
    uint32_t bytes;
    uint32_t key;

    power_on();
    key = find("etc/digits", &bytes);
    CHECK_EQ(dma(key << 16 | CHOOSE | READ, 10, TARGET), 0);
    CHECK_MEM_EQ(bench_ram(b) + TARGET, "0123456789\0", 11);
    CHECK_EQ(dma(READ, 4, TARGET + 0x100), 0);
    CHECK_MEM_EQ(bench_ram(b) + TARGET + 0x100, "abcd\0", 5);
    CHECK_EQ(in8(DATA), 'e'); /* both ways share the position */
}

TEST(dma_read_behind_the_end_gives_zeros)
{
    uint32_t bytes;
    uint32_t key;

    power_on();
    key = find("etc/digits", &bytes);
    memset(bench_ram(b) + TARGET, 0xee, 64);
    CHECK_EQ(dma(key << 16 | CHOOSE | READ, 20, TARGET), 0);
    CHECK_MEM_EQ(bench_ram(b) + TARGET, "0123456789abcdef\0\0\0\0\xee", 21);
}

TEST(dma_read_of_an_unknown_item_gives_zeros)
{
    power_on();
    memset(bench_ram(b) + TARGET, 0xee, 64);
    CHECK_EQ(dma(0x3333u << 16 | CHOOSE | READ, 4, TARGET), 0);
    CHECK_MEM_EQ(bench_ram(b) + TARGET, "\0\0\0\0\xee", 5);
}

TEST(dma_skips)
{
    uint32_t bytes;
    uint32_t key;

    power_on();
    key = find("etc/digits", &bytes);
    CHECK_EQ(dma(key << 16 | CHOOSE | PASS_BY, 3, 0), 0);
    CHECK_EQ(in8(DATA), '3');
    CHECK_EQ(dma(PASS_BY, 0xffffffff, 0), 0);
    CHECK_EQ(dma(PASS_BY, 0xffffffff, 0), 0);
    CHECK_EQ(in8(DATA), 0); /* the position did not wrap */
}

TEST(dma_with_nothing_to_do_ends_well)
{
    power_on();
    CHECK_EQ(dma(0, 0, 0), 0);
}

static const struct {
    uint32_t control, bytes;
    uint64_t gpa;
} refused[] = {
    { 5u << 16 | CHOOSE | WRITE, 2, TARGET }, /* items are constant */
    { 0x3333u << 16 | CHOOSE | WRITE, 2, TARGET },
    { 5u << 16 | CHOOSE | READ, 2, 0xffffffff00000000 }, /* no memory there */
    { 5u << 16 | CHOOSE | READ, 0xfffffff0, TARGET },    /* absurd length */
};

TEST_P(dma_that_fails_sets_the_error_bit, refused)
{
    power_on();
    CHECK_EQ(dma(row->control, row->bytes, row->gpa) & ERROR, ERROR);
    out16(SELECT, 5);
    CHECK_EQ(in8(DATA), 2); /* and nothing was written */
}

TEST(dma_block_outside_of_memory_is_ignored)
{
    power_on();
    out16(SELECT, 0);
    out32(DMA_HIGH, 0xffffffff);
    out32(DMA_LOW, 0xf0ffffff);
    CHECK_EQ(in8(DATA), 'Q');
}

TEST(position_survives_save_and_load)
{
    uint32_t bytes;
    uint16_t key;

    power_on();
    key = find("etc/digits", &bytes);
    out16(SELECT, key);
    in8(DATA);
    bench_save_load(b);
    CHECK_EQ(in8(DATA), '1');
    bench_reset(b, 0);
    CHECK_EQ(in8(DATA), 'Q'); /* item 0 */
}
