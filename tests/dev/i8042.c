/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8042, the controller: IBM PS/2 Technical Reference, "Keyboard and Auxiliary
 * Device Controller" (status, command byte, commands, output port).
 * Keyboard and mouse behind it are in ps2_keyboard.c and ps2_mouse.c.
 */
#include "tests/dev/ports.h"

#include "vm/vm.h"

#define DATA   0x60
#define STATUS 0x64

#define OBF 0x01
#define SYS 0x04
#define CMD 0x08
#define AUX 0x20

#define KBD_IRQ   0x01
#define AUX_IRQ   0x02
#define KBD_OFF   0x10
#define AUX_OFF   0x20
#define TRANSLATE 0x40

#define KEY_A 0x04

static void power_on(void)
{
    b = bench_create("i8042", NULL);
    bench_requests(b);
}

static void command(uint8_t v)
{
    out8(STATUS, v);
}

static void command_byte(uint8_t v)
{
    command(0x60);
    out8(DATA, v);
}

static int get(void)
{
    return in8(STATUS) & OBF ? in8(DATA) : -1;
}

static void drain(void)
{
    for (unsigned i = 0; i < 64 && get() >= 0; i++)
        ;
    CHECK_EQ(in8(STATUS) & OBF, 0);
}

static int reply_to(uint8_t v)
{
    command(v);
    return get();
}

static bool irq(unsigned n)
{
    return bench_line(b, "isa", n);
}

/* --- commands ------------------------------------------------------------ */

static const struct {
    uint8_t command;
    int reply;
} replies[] = {
    { 0xaa, 0x55 }, /* self test */
    { 0xab, 0x00 }, /* keyboard interface test */
    { 0xa9, 0x00 }, /* auxiliary interface test */
    { 0xa4, 0xf1 }, /* no password */
    { 0xc0, 0x80 }, /* input port: keyboard not locked */
    { 0xa7, -1 },   { 0xa8, -1 }, { 0xad, -1 },
    { 0xae, -1 },   { 0xff, -1 }, { 0x99, -1 },
};

TEST_P(command_has_its_reply, replies)
{
    power_on();
    CHECK_EQ(reply_to(row->command), row->reply);
    CHECK_EQ(get(), -1);
    CHECK_EQ(bench_requests(b), 0);
}

TEST(command_byte_is_written_and_read)
{
    power_on();
    for (unsigned v = 0; v < 256; v++) {
        command_byte(v);
        CHECK_EQ(reply_to(0x20), v);
    }
}

static const struct {
    uint8_t command;
    uint8_t before, after;
} enables[] = {
    { 0xad, 0x00, KBD_OFF },
    { 0xae, KBD_OFF, 0x00 },
    { 0xa7, 0x00, AUX_OFF },
    { 0xa8, AUX_OFF, 0x00 },
};

TEST_P(interface_is_switched_in_the_command_byte, enables)
{
    power_on();
    command_byte(row->before);
    command(row->command);
    CHECK_EQ(reply_to(0x20), row->after);
}

TEST(controller_memory_keeps_its_bytes)
{
    power_on();
    for (unsigned i = 1; i < 32; i++) {
        command(0x60 + i);
        out8(DATA, 0xc0 + i);
    }
    for (unsigned i = 1; i < 32; i++)
        CHECK_EQ(reply_to(0x20 + i), 0xc0 + i);
}

static const struct {
    uint8_t command;
    uint8_t status; /* with the byte in the buffer */
    unsigned irq;
} loops[] = {
    { 0xd2, OBF, 1 },
    { 0xd3, OBF | AUX, 12 },
};

TEST_P(byte_comes_back_as_if_from_a_device, loops)
{
    power_on();
    command_byte(KBD_IRQ | AUX_IRQ);
    command(row->command);
    CHECK(!irq(row->irq));
    out8(DATA, 0x5a);
    CHECK_EQ(in8(STATUS) & (OBF | AUX), row->status);
    CHECK(irq(row->irq));
    CHECK(!irq(13 - row->irq));
    CHECK_EQ(in8(DATA), 0x5a);
    CHECK_EQ(in8(STATUS) & (OBF | AUX), 0);
    CHECK(!irq(row->irq));
}

/* --- status -------------------------------------------------------------- */

TEST(status_tells_commands_from_data)
{
    power_on();
    command(0xae);
    CHECK_EQ(in8(STATUS) & CMD, CMD);
    command(0x60);
    out8(DATA, 0x00);
    CHECK_EQ(in8(STATUS) & CMD, 0);
}

TEST(system_flag_follows_command_byte_and_self_test)
{
    power_on();
    CHECK_EQ(in8(STATUS) & SYS, 0);
    command_byte(SYS);
    CHECK_EQ(in8(STATUS) & SYS, SYS);
    command_byte(0);
    CHECK_EQ(in8(STATUS) & SYS, 0);
    CHECK_EQ(reply_to(0xaa), 0x55);
    CHECK_EQ(in8(STATUS) & SYS, SYS);
}

TEST(keyboard_is_not_locked)
{
    power_on();
    CHECK_EQ(in8(STATUS) & 0x10, 0x10);
}

/* --- interrupts ---------------------------------------------------------- */

static const struct {
    uint8_t command_byte;
    bool irq1, irq12;
} irqs[] = {
    { 0, false, false },
    { KBD_IRQ, true, false },
    { AUX_IRQ, false, true },
    { KBD_IRQ | AUX_IRQ, true, true },
};

TEST_P(command_byte_enables_interrupts, irqs)
{
    power_on();
    command_byte(row->command_byte);
    bench_key(b, KEY_A, true);
    CHECK_EQ(in8(STATUS) & (OBF | AUX), OBF);
    CHECK_EQ(irq(1), row->irq1);
    CHECK(!irq(12));
    CHECK_EQ(in8(DATA), 0x1c);
    CHECK(!irq(1));
    command(0xd4);
    out8(DATA, 0xf4);
    CHECK_EQ(in8(STATUS) & (OBF | AUX), OBF | AUX);
    CHECK_EQ(irq(12), row->irq12);
    CHECK(!irq(1));
    CHECK_EQ(in8(DATA), 0xfa);
    CHECK(!irq(12));
}

TEST(each_byte_has_an_edge_of_its_own)
{
    power_on();
    command_byte(KBD_IRQ);
    bench_edges(b, "isa", 1);
    bench_key(b, KEY_A, true);
    bench_key(b, KEY_A, false);
    CHECK_EQ(bench_edges(b, "isa", 1), 1);
    CHECK_EQ(in8(DATA), 0x1c);
    CHECK_EQ(bench_edges(b, "isa", 1), 1);
    CHECK_EQ(in8(DATA), 0xf0);
    CHECK_EQ(bench_edges(b, "isa", 1), 1);
    CHECK_EQ(in8(DATA), 0x1c);
    CHECK_EQ(bench_edges(b, "isa", 1), 0);
}

TEST(enabling_the_interrupt_with_a_full_buffer_raises_it)
{
    power_on();
    bench_key(b, KEY_A, true);
    CHECK(!irq(1));
    command_byte(KBD_IRQ);
    CHECK(irq(1));
}

/* --- interfaces ---------------------------------------------------------- */

TEST(disabled_keyboard_keeps_its_bytes)
{
    power_on();
    command_byte(KBD_OFF);
    bench_key(b, KEY_A, true);
    CHECK_EQ(get(), -1);
    command(0xae);
    CHECK_EQ(get(), 0x1c);
}

TEST(writing_to_the_keyboard_enables_it)
{
    power_on();
    command_byte(KBD_OFF);
    out8(DATA, 0xee);
    CHECK_EQ(get(), 0xee);
    CHECK_EQ(reply_to(0x20), 0x00);
}

TEST(disabled_mouse_keeps_its_bytes)
{
    power_on();
    command_byte(0);
    command(0xd4);
    out8(DATA, 0xf4);
    CHECK_EQ(get(), 0xfa);
    command(0xa7);
    bench_motion(b, 1, 0, 0, 0);
    CHECK_EQ(get(), -1);
    command(0xa8);
    CHECK_EQ(get(), 0x08);
}

TEST(reply_does_not_lose_the_key_that_waits)
{
    power_on();
    command_byte(0);
    bench_key(b, KEY_A, true);
    CHECK_EQ(reply_to(0x20), 0x00);
    CHECK_EQ(in8(STATUS) & (OBF | AUX), OBF);
    CHECK_EQ(get(), 0x1c);
    CHECK_EQ(get(), -1);
}

TEST(reply_does_not_lose_the_mouse_byte_that_waits)
{
    power_on();
    command_byte(0);
    command(0xd4);
    out8(DATA, 0xf4);
    CHECK_EQ(reply_to(0xaa), 0x55);
    CHECK_EQ(in8(STATUS) & (OBF | AUX), OBF | AUX);
    CHECK_EQ(get(), 0xfa);
}

/* Set 2 as it comes and translated to set 1. */
static const struct {
    uint8_t command_byte;
    int down, up[2];
} translations[] = {
    { 0, 0x1c, { 0xf0, 0x1c } },
    { TRANSLATE, 0x1e, { 0x9e, -1 } },
};

TEST_P(translation_is_switched_in_the_command_byte, translations)
{
    power_on();
    command_byte(row->command_byte);
    bench_key(b, KEY_A, true);
    CHECK_EQ(get(), row->down);
    CHECK_EQ(get(), -1);
    bench_key(b, KEY_A, false);
    CHECK_EQ(get(), row->up[0]);
    CHECK_EQ(get(), row->up[1]);
}

/* --- output port: A20 and reset ------------------------------------------ */

static const struct {
    uint8_t command;
    int data;
    bool a20;
} a20s[] = {
    { 0xdf, -1, true },
    { 0xdd, -1, false },
    { 0xd1, 0xdf, true },
    { 0xd1, 0xdd, false },
};

TEST_P(output_port_gates_a20, a20s)
{
    power_on();
    command(row->a20 ? 0xdd : 0xdf);
    CHECK_EQ(bench_line(b, "a20", 0), !row->a20);
    command(row->command);
    if (row->data >= 0)
        out8(DATA, row->data);
    CHECK_EQ(bench_line(b, "a20", 0), row->a20);
    CHECK_EQ(reply_to(0xd0) & 2, row->a20 ? 2 : 0);
    CHECK_EQ(bench_requests(b), 0);
}

static const struct {
    uint8_t command;
    int data;
    bool reset;
} resets[] = {
    { 0xfe, -1, true },  { 0xf0, -1, true },   { 0xff, -1, false },
    { 0xfd, -1, false }, { 0xd1, 0xde, true }, { 0xd1, 0xdf, false },
};

TEST_P(low_bit_0_of_the_output_port_resets, resets)
{
    power_on();
    command(row->command);
    if (row->data >= 0)
        out8(DATA, row->data);
    CHECK_EQ(bench_requests(b), row->reset ? VM_REQUEST_RESET : 0);
}

TEST(output_port_shows_full_buffers)
{
    power_on();
    command_byte(0);
    CHECK_EQ(reply_to(0xd0) & 0x30, 0x00);
    command(0xd2);
    out8(DATA, 0x11);
    CHECK_EQ(reply_to(0xd0) & 0x30, 0x10);
    drain();
    command(0xd3);
    out8(DATA, 0x11);
    CHECK_EQ(reply_to(0xd0) & 0x30, 0x20);
}

TEST(new_command_forgets_the_one_that_waits_for_data)
{
    power_on();
    command_byte(0);
    command(0x60);
    command(0xae);
    out8(DATA, 0xee); /* to the keyboard: echo */
    CHECK_EQ(get(), 0xee);
    CHECK_EQ(reply_to(0x20), 0x00);
}

TEST(everything_survives_save_and_load)
{
    power_on();
    command_byte(KBD_IRQ);
    command(0xdf);
    bench_key(b, KEY_A, true);
    bench_key(b, KEY_A, false);
    command(0x61); /* waits for data */
    bench_save_load(b);
    out8(DATA, 0x77);
    CHECK(irq(1));
    CHECK(bench_line(b, "a20", 0));
    CHECK_EQ(get(), 0x1c);
    CHECK_EQ(get(), 0xf0);
    CHECK_EQ(get(), 0x1c);
    CHECK_EQ(reply_to(0x21), 0x77);
}
