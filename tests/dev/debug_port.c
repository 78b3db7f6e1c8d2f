/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dev/ports.h"

#include <string.h>

static const char *received(void)
{
    static char text[512];

    text[bench_received(b, "log", text, sizeof text - 1)] = 0;
    return text;
}

static void power_on(const char *port)
{
    b = bench_empty();
    bench_add_port(b, "log");
    bench_add_device(b, "debug-port", "debug", "char=log", port, NULL);
}

static const struct {
    const char *setting;
    uint16_t port;
} places[] = {
    { "port=0x402", 0x402 },
    { "port=0xe9", 0xe9 },
};

TEST_P(bytes_go_out_as_they_are, places)
{
    power_on(row->setting);
    for (const char *p = "ab\r\n\x01\xff"; *p; p++)
        out8(row->port, *p);
    CHECK_STR_EQ(received(), "ab\r\n\x01\xff");
}

TEST(firmware_finds_the_port_by_what_it_reads)
{
    b = bench_create("debug-port", NULL);
    CHECK_EQ(in8(0x402), 0xe9);
    CHECK_EQ(in8(0x403), 0xff);
}

TEST(line_without_end_is_no_trouble)
{
    b = bench_create("debug-port", NULL);
    for (unsigned i = 0; i < 1000; i++)
        out8(0x402, 'x');
    bench_save_load(b);
    for (unsigned i = 0; i < 1000; i++)
        out8(0x402, i);
    CHECK_EQ(in8(0x402), 0xe9);
}
