/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dev/ports.h"

#include "vm/vm.h"

static const struct {
    unsigned size;
    uint32_t value;
    int status;
} exits[] = {
    { 1, 0, 1 },      { 1, 1, 3 },      { 1, 0x10, 33 }, { 1, 0x7f, 255 },
    { 1, 0xff, 255 }, { 2, 0x0002, 5 }, { 4, 3, 7 },     { 4, 0x80000000, 1 },
};

TEST_P(value_becomes_the_exit_status, exits)
{
    b = bench_create("exit-port", NULL);
    CHECK_EQ(bench_requests(b), 0);
    bench_out(b, 0xf4, row->size, row->value);
    CHECK_EQ(bench_requests(b), VM_REQUEST_END);
    CHECK_EQ(bench_exit_status(b), row->status);
}

TEST(reading_does_not_end_the_machine)
{
    b = bench_create("exit-port", "port=0x500", NULL);
    CHECK_EQ(in8(0x500), 0);
    CHECK_EQ(in32(0x500), 0);
    out8(0x501, 1);
    out8(0xf4, 1);
    CHECK_EQ(bench_requests(b), 0);
    out8(0x500, 1);
    CHECK_EQ(bench_requests(b), VM_REQUEST_END);
}
