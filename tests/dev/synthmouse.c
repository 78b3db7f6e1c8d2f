/* SPDX-License-Identifier: Apache-2.0 */
/* The pointer on VMBus, through the bus. */
#include "tests/lib/test.h"

#include <string.h>

#include <backplane/input.h>

#include "input/input.h"
#include "plugins/synthetic/wire.h"
#include "tests/lib/vmbus_guest.h"
#include "vm/bench.h"
#include "vm/vm.h"

#define HEAD 8u

static const struct bp_guid type = { { 0x9e, 0xb6, 0xa8, 0xcf, 0x4a, 0x5b, 0xc0,
                                       0x4c, 0xb9, 0x8b, 0x8b, 0xa1, 0xa1, 0xf3,
                                       0xf9, 0x5a } };

static struct bench *b;
static struct vmbus_guest *g;
static struct vg_channel *ch;

static void set_up(void)
{
    const struct vmbus_offer *offer;

    b = vg_bench(1);
    bench_add_device(b, "synthmouse", "synthmouse", NULL);
    g = vg_connect(b, VG_5_3);
    offer = vg_offer(g, &type, 0);
    CHECK_EQ(offer->flags, BP_VMBUS_PIPE);
    CHECK_EQ(wire_u32(offer->user), 4);
    ch = vg_open(g, offer, 4);
}

static void tear_down(void)
{
    vg_end(g);
    bench_destroy(b);
}

static void send_message(uint32_t message, uint32_t value, uint32_t bytes)
{
    uint8_t m[PIPE_HEAD + HEAD + 4];

    pipe_head(m, HEAD + bytes);
    wire_put32(m + PIPE_HEAD, message);
    wire_put32(m + PIPE_HEAD + 4, bytes);
    wire_put32(m + PIPE_HEAD + HEAD, value);
    CHECK(vg_send(ch, 3, m, PIPE_HEAD + HEAD + bytes, false));
}

static struct vg_packet got;
static const uint8_t *body;
static uint32_t body_bytes;

/* The type of the next message; -1: none. */
static int receive(void)
{
    if (!vg_receive(ch, &got))
        return -1;
    CHECK_EQ(got.type, BP_VMBUS_INBAND);
    CHECK_EQ(wire_u32(got.data), PIPE_DATA);
    body_bytes = wire_u32(got.data + 4) - HEAD;
    CHECK_LE(body_bytes + HEAD + PIPE_HEAD, got.bytes);
    CHECK_EQ(wire_u32(got.data + PIPE_HEAD + 4), body_bytes);
    body = got.data + PIPE_HEAD + HEAD;
    return (int)wire_u32(got.data + PIPE_HEAD);
}

static void ready(void)
{
    set_up();
    send_message(0, 0x20000, 4);
    CHECK_EQ(receive(), 1);
    CHECK_EQ(body_bytes, 5);
    CHECK_EQ(wire_u32(body), 0x20000);
    CHECK_EQ(body[4], 1);
    CHECK_EQ(receive(), 2);
    CHECK_EQ(receive(), -1);
    CHECK(!inputs_take_position(bench_vm(b)->inputs));
    send_message(3, 0, 1);
    CHECK(inputs_take_position(bench_vm(b)->inputs));
}

static void expect(uint32_t x, uint32_t y, int wheel, uint32_t buttons)
{
    CHECK_EQ(receive(), 4);
    CHECK_EQ(body_bytes, 6);
    CHECK_EQ(body[0], buttons);
    CHECK_EQ(wire_u16(body + 1), x);
    CHECK_EQ(wire_u16(body + 3), y);
    CHECK_EQ((int8_t)body[5], wheel);
}

TEST(other_versions_are_refused)
{
    set_up();
    send_message(0, 0x10000, 4);
    CHECK_EQ(receive(), 1);
    CHECK_EQ(body[4], 0);
    CHECK_EQ(receive(), -1);
    send_message(3, 0, 1); /* an acknowledgement of nothing */
    CHECK(!inputs_take_position(bench_vm(b)->inputs));
    vg_close(ch);
    tear_down();
}

/* What hid-hyperv checks and takes. */
TEST(device_info_has_descriptors)
{
    const uint8_t *hid;

    set_up();
    send_message(0, 0x20000, 4);
    CHECK_EQ(receive(), 1);
    CHECK_EQ(receive(), 2);
    CHECK_EQ(wire_u32(body), 32);
    CHECK_EQ(wire_u16(body + 4), 0x045e);
    CHECK_EQ(wire_u16(body + 6), 0x0621);
    hid = body + 32;
    CHECK_EQ(hid[0], 9);
    CHECK_EQ(hid[1], 0x21);
    CHECK_EQ(hid[5], 1);
    CHECK_EQ(hid[6], 0x22);
    CHECK_EQ(wire_u16(hid + 7), body_bytes - 32 - 9);
    /* Linux patches this byte of another report descriptor. */
    CHECK_NE(hid[9 + 14], 0x25);
    vg_close(ch);
    tear_down();
}

TEST(positions_wheel_and_buttons)
{
    ready();
    bench_position(b, 100, 32767, 0, 0);
    expect(100, 32767, 0, 0);
    bench_position(b, 100, 32767, 0, BP_BUTTON_LEFT | BP_BUTTON_5);
    expect(100, 32767, 0, 0x11);
    bench_position(b, 0, 0, -3, 0);
    expect(0, 0, -3, 0);
    bench_position(b, 0, 0, 1000, 0xffffffff);
    expect(0, 0, 127, 0x1f);
    vg_close(ch);
    CHECK(!inputs_take_position(bench_vm(b)->inputs));
    tear_down();
}

TEST(movement_moves_the_position)
{
    ready();
    bench_position(b, 1000, 1000, 0, 0);
    expect(1000, 1000, 0, 0);
    bench_motion(b, 10, -5, 0, BP_BUTTON_RIGHT);
    expect(1320, 840, 0, 2);
    bench_motion(b, -100, INT32_MIN, 0, 0);
    expect(0, 0, 0, 0);
    bench_motion(b, INT32_MAX, INT32_MAX, 1, 0);
    expect(32767, 32767, 1, 0);
    vg_close(ch);
    tear_down();
}

/* A guest that does not read gets the last state, and the clicks before it
 * as long as there is room. */
TEST(full_ring_adds_movements_up)
{
    uint32_t last = 0, x = 0, clicks = 0, wheel = 0, n = 0;

    ready();
    for (unsigned i = 0; i < 2000; i++)
        bench_position(b, i, i, 0, 0);
    bench_position(b, 5, 5, 2, 0);
    bench_position(b, 5, 5, 3, 0);
    for (unsigned i = 0; i < 8; i++)
        bench_position(b, 6, 6, 0, i % 2 ? 0 : BP_BUTTON_LEFT);
    bench_save_load(b);
    bench_start(b);
    for (unsigned i = 0; i < 100; i++)
        bench_position(b, 7 + i, 7, 0, i % 2 ? 0 : BP_BUTTON_RIGHT);
    while (receive() == 4) {
        clicks += !(last & 1) && (body[0] & 1);
        last = body[0];
        x = wire_u16(body + 1);
        wheel += body[5];
        n++;
    }
    CHECK_EQ(last, 0);
    CHECK_EQ(x, 106);
    CHECK_EQ(clicks, 4);
    CHECK_EQ(wheel, 5);
    CHECK_LT(n, 700);
    vg_close(ch);
    tear_down();
}

TEST(buttons_held_when_it_was_saved_are_released)
{
    ready();
    bench_position(b, 50, 60, 0, BP_BUTTON_LEFT);
    expect(50, 60, 0, 1);
    bench_save_load(b);
    CHECK(inputs_take_position(bench_vm(b)->inputs));
    bench_start(b);
    expect(50, 60, 0, 0);
    CHECK_EQ(receive(), -1);
    vg_close(ch);
    tear_down();
}

TEST(saved_between_version_and_acknowledgement)
{
    set_up();
    send_message(0, 0x20000, 4);
    bench_save_load(b);
    bench_start(b);
    CHECK_EQ(receive(), 1);
    CHECK_EQ(receive(), 2);
    send_message(3, 0, 1);
    bench_position(b, 1, 2, 0, 0);
    expect(1, 2, 0, 0);
    vg_close(ch);
    tear_down();
}

/* The ring takes the answer to the version but not the descriptors. */
TEST(descriptors_come_when_there_is_room)
{
    unsigned versions = 0, infos = 0, sent = 0;
    int message;

    set_up();
    for (; sent < 200; sent++)
        send_message(0, 0x20000, 4);
    while ((message = receive()) >= 0) {
        CHECK(message == 1 || message == 2);
        versions += message == 1;
        infos += message == 2;
    }
    CHECK_EQ(versions, sent);
    CHECK_GE(infos, 1);
    send_message(3, 0, 1);
    CHECK(inputs_take_position(bench_vm(b)->inputs));
    vg_close(ch);
    tear_down();
}

TEST(nonsense_is_survived)
{
    uint8_t junk[64];

    ready();
    for (uint32_t kind = 0; kind < 3; kind++) {
        for (uint32_t message = 0; message < 8; message++) {
            for (uint32_t n = 0; n < sizeof junk; n += 4) {
                memset(junk, 0xff, sizeof junk);
                wire_put32(junk, kind);
                wire_put32(junk + 4, message % 2 ? n : n * 0x1000001);
                wire_put32(junk + 8, message);
                CHECK(vg_send(ch, 9, junk, n, false));
                while (receive() >= 0) {
                }
            }
        }
    }
    send_message(0, 0x20000, 4);
    CHECK_EQ(receive(), 1);
    CHECK_EQ(receive(), 2);
    send_message(3, 0, 1);
    bench_position(b, 1, 2, 0, 0);
    expect(1, 2, 0, 0);
    vg_close(ch);
    tear_down();
}
