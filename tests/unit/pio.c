/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/test.h"

#include <glib.h>
#include <string.h>

#include "bus/pio.h"

static char order[512];
static struct pio *pio;

static void note(const char *format, ...) G_GNUC_PRINTF(1, 2);

static void note(const char *format, ...)
{
    size_t at = strlen(order);
    va_list ap;

    va_start(ap, format);
    g_vsnprintf(order + at, sizeof order - at, format, ap);
    va_end(ap);
}

/* Each port's byte is its offset plus `opaque`. */
static uint32_t probe_read(void *opaque, uint16_t offset, unsigned size)
{
    uint32_t value = 0;

    note("r%u@%x ", size, offset);
    for (unsigned i = 0; i < 4; i++)
        value |= (uint32_t)(uint8_t)(GPOINTER_TO_UINT(opaque) + offset + i)
                 << (8 * i);
    return value;
}

static void probe_write(void *opaque, uint16_t offset, uint32_t value,
                        unsigned size)
{
    note("w%u@%x=%x ", size, offset, value);
}

static const struct pio_ops probe = { probe_read, probe_write };

static struct pio_range *claim(uint16_t first, uint32_t count, unsigned sizes,
                               int priority, unsigned base)
{
    return pio_claim(pio, "probe", first, count, sizes, priority, &probe,
                     GUINT_TO_POINTER(base));
}

static const struct {
    unsigned sizes, size;
    uint16_t port;
    const char *reads;
    uint32_t value;
    const char *writes; /* of 44332211 */
} sizes[] = {
    { 7, 1, 0x100, "r1@0 ", 0x00, "w1@0=11 " },
    { 7, 4, 0x104, "r4@4 ", 0x07060504, "w4@4=44332211 " },
    { 1, 2, 0x100, "r1@0 r1@1 ", 0x0100, "w1@0=11 w1@1=22 " },
    { 1, 4, 0x100, "r1@0 r1@1 r1@2 r1@3 ", 0x03020100,
      "w1@0=11 w1@1=22 w1@2=33 w1@3=44 " },
    { 3, 4, 0x104, "r2@4 r2@6 ", 0x07060504, "w2@4=2211 w2@6=4433 " },
    { 2, 4, 0x104, "r2@4 r2@6 ", 0x07060504, "w2@4=2211 w2@6=4433 " },
    /* unaligned: as a bus without the wide cycle does it */
    { 7, 2, 0x101, "r1@1 r1@2 ", 0x0201, "w1@1=11 w1@2=22 " },
    { 7, 4, 0x102, "r2@2 r2@4 ", 0x05040302, "w2@2=2211 w2@4=4433 " },
    /* only wider ones: parts of them */
    { 2, 1, 0x103, "r2@2 ", 0x03, "r2@2 w2@2=1102 " },
    { 4, 1, 0x106, "r4@4 ", 0x06, "r4@4 w4@4=7110504 " },
    { 4, 2, 0x106, "r4@4 ", 0x0706, "r4@4 w4@4=22110504 " },
    { 6, 1, 0x100, "r2@0 ", 0x00, "r2@0 w2@0=111 " },
};

TEST_P(accesses_are_cut_to_the_sizes_a_range_takes, sizes)
{
    pio = pio_create();
    CHECK(claim(0x100, 8, row->sizes, 0, 0));
    CHECK_EQ(pio_read(pio, row->port, row->size), row->value);
    CHECK_STR_EQ(order, row->reads);
    order[0] = '\0';
    pio_write(pio, row->port, 0x44332211, row->size);
    CHECK_STR_EQ(order, row->writes);
    pio_destroy(pio);
}

TEST(unclaimed_ports_float_high_and_are_counted)
{
    pio = pio_create();
    CHECK_EQ(pio_read(pio, 0x80, 1), 0xff);
    CHECK_EQ(pio_read(pio, 0x80, 2), 0xffff);
    CHECK_EQ(pio_read(pio, 0x80, 4), 0xffffffff);
    pio_write(pio, 0x80, 0, 1);
    CHECK_EQ(pio_unassigned(pio), 4);
    pio_destroy(pio);
}

TEST(ranges_outside_the_port_space_are_refused)
{
    pio = pio_create();
    CHECK(!claim(0xffff, 2, 7, 0, 0));
    CHECK(!claim(0, 0, 7, 0, 0));
    CHECK(!claim(0, 65537, 7, 0, 0));
    CHECK(!claim(0, 1, 0, 0, 0));
    CHECK(claim(0, 65536, 7, 0, 0));
    pio_destroy(pio);
}

TEST(an_access_past_ffff_wraps)
{
    pio = pio_create();
    claim(0, 2, 7, 0, 0x10);
    claim(0xfffe, 2, 7, 0, 0x20);
    CHECK_EQ(pio_read(pio, 0xffff, 2), 0x1021);
    CHECK_EQ(pio_read(pio, 0xfffe, 4), 0x11102120);
    pio_destroy(pio);
}

TEST(priority_hides_and_uncovers)
{
    struct pio_range *low, *high, *same;

    pio = pio_create();
    low = claim(0x300, 16, 7, 0, 0x10);
    high = claim(0x304, 4, 7, 10, 0x80);
    CHECK_EQ(pio_read(pio, 0x303, 1), 0x13);
    CHECK_EQ(pio_read(pio, 0x304, 1), 0x80);
    CHECK_EQ(pio_read(pio, 0x308, 1), 0x18);
    pio_range_enable(high, false);
    CHECK_EQ(pio_read(pio, 0x304, 1), 0x14);
    pio_range_enable(high, true);
    same = claim(0x300, 16, 7, 0, 0x40);
    CHECK_EQ(pio_read(pio, 0x303, 1), 0x43);
    CHECK_EQ(pio_read(pio, 0x304, 1), 0x80);
    pio_release(same);
    pio_release(high);
    CHECK_EQ(pio_read(pio, 0x304, 1), 0x14);
    pio_release(low);
    CHECK_EQ(pio_read(pio, 0x304, 1), 0xff);
    pio_destroy(pio);
}

/* CF9, the reset control of the PIIX, lies inside CONFIG_ADDRESS. */
TEST(a_wide_access_is_of_the_range_it_starts_in)
{
    pio = pio_create();
    claim(0xcf8, 8, 7, 0, 0x10);
    claim(0xcf9, 1, 1, 10, 0x80);
    CHECK_EQ(pio_read(pio, 0xcf8, 4), 0x13121110);
    CHECK_EQ(pio_read(pio, 0xcf9, 1), 0x80);
    pio_destroy(pio);
}

TEST(an_access_across_two_ranges_is_shared)
{
    pio = pio_create();
    claim(0x1f0, 2, 7, 0, 0x10);
    claim(0x1f2, 2, 7, 0, 0x80);
    CHECK_EQ(pio_read(pio, 0x1f0, 4), 0x81801110);
    CHECK_STR_EQ(order, "r2@0 r2@0 ");
    pio_destroy(pio);
}

TEST(a_moved_range_answers_only_where_it_is)
{
    struct pio_range *r, *below;
    char *text;

    pio = pio_create();
    below = claim(0xc000, 0x100, 7, -1, 0x20);
    r = claim(0xc000, 16, 7, 0, 0x90);
    CHECK(below);
    CHECK_EQ(pio_read(pio, 0xc001, 1), 0x91);
    pio_range_move(r, 0xc008);
    CHECK_EQ(pio_read(pio, 0xc001, 1), 0x21);
    CHECK_EQ(pio_read(pio, 0xc009, 1), 0x91);
    CHECK_EQ(pio_read(pio, 0xc017, 1), 0x9f);
    CHECK_EQ(pio_read(pio, 0xc018, 1), 0x38);
    text = pio_describe(pio);
    CHECK(strstr(text, "c008-c017"));
    g_free(text);
    pio_range_move(r, 0xfff8); /* does not fit: it is nowhere */
    CHECK_EQ(pio_read(pio, 0xc009, 1), 0x29);
    CHECK_EQ(pio_read(pio, 0xfff8, 1), 0xff);
    pio_destroy(pio);
}
