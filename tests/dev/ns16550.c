/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns16550 against the PC16550D datasheet: table II (reset), 8.4 (line status),
 * 8.5 (FIFO control), table IV (interrupt identification), 8.8 (modem status),
 * 8.10 (FIFO interrupt mode).
 */
#include "tests/dev/ports.h"

#include <stdio.h>
#include <string.h>

#include "char/port.h"
#include "vm/vm.h"

enum {
    RBR = 0x3f8,
    THR = 0x3f8,
    DLL = 0x3f8,
    IER = 0x3f9,
    DLM = 0x3f9,
    IIR = 0x3fa,
    FCR = 0x3fa,
    LCR = 0x3fb,
    MCR = 0x3fc,
    LSR = 0x3fd,
    MSR = 0x3fe,
    SCR = 0x3ff
};

#define DR         0x01
#define OE         0x02
#define BI         0x10
#define THRE       0x20
#define TEMT       0x40
#define FIFO_ERROR 0x80
#define LOOP       0x10
#define OUT2       0x08

#define CHARACTER_NS 86805ull /* 115200 baud, 10 bits */

static struct char_port *port;
static struct char_backend_ops spy;
static unsigned lines_out, baud, bits, parity, stops;
static int breaks = -1;

static void see_lines(void *backend, uint32_t lines)
{
    lines_out = lines;
}

static void see_params(void *backend, uint32_t rate, uint32_t data_bits,
                       uint32_t parity_bits, uint32_t stop_bits)
{
    baud = rate;
    bits = data_bits;
    parity = parity_bits;
    stops = stop_bits;
}

static void see_break(void *backend, bool on)
{
    breaks = on;
}

static void power_on(void)
{
    b = bench_empty();
    bench_add_port(b, "com");
    port = bench_vm(b)->ports->pdata[0];
    spy = *port->ops;
    spy.set_lines = see_lines;
    spy.set_params = see_params;
    spy.send_break = see_break;
    port->ops = &spy;
    bench_add_device(b, "ns16550", "uart", "char=com", NULL);
    bench_port_lines(b, "com", 0);
    in8(MSR);
}

static void set_speed(unsigned divisor)
{
    out8(LCR, 0x83);
    out8(DLL, divisor);
    out8(DLM, divisor >> 8);
    out8(LCR, 0x03);
}

/* 115200 baud, 8 data bits, interrupt line driven, nothing pending. */
static void open_port(uint8_t fcr, uint8_t ier)
{
    power_on();
    set_speed(1);
    out8(FCR, fcr);
    out8(MCR, OUT2);
    out8(IER, ier);
    in8(MSR);
    in8(IIR);
}

static void send(const char *text)
{
    bench_send(b, "com", text, strlen(text));
}

static const char *sent(void)
{
    static char text[256];

    text[bench_received(b, "com", text, sizeof text - 1)] = 0;
    return text;
}

static bool irq(void)
{
    return bench_line(b, "isa", 4);
}

/* --- reset --------------------------------------------------------------- */

/* Table II. */
static const struct {
    uint16_t port;
    uint8_t value;
} reset_values[] = {
    { IER, 0x00 }, { IIR, 0x01 }, { LCR, 0x00 },
    { MCR, 0x00 }, { LSR, 0x60 }, { MSR, 0x00 },
};

TEST_P(register_has_its_value_after_reset, reset_values)
{
    power_on();
    for (unsigned again = 0; again < 2; again++) {
        CHECK_EQ(in8(row->port), row->value);
        CHECK(!irq());
        out8(LCR, 0x1f);
        out8(IER, 0x0f);
        out8(FCR, 0xc1);
        out8(MCR, 0x1f);
        out8(THR, 'x');
        bench_reset(b, 0);
    }
}

TEST(divisor_and_scratch_are_not_reset)
{
    power_on();
    set_speed(0x1234);
    out8(SCR, 0x5a);
    bench_reset(b, 0);
    CHECK_EQ(in8(SCR), 0x5a);
    out8(LCR, 0x80);
    CHECK_EQ(in8(DLL), 0x34);
    CHECK_EQ(in8(DLM), 0x12);
}

/* Bits that can be written and read back. */
static const struct {
    uint16_t port;
    uint8_t mask;
} writable[] = {
    { IER, 0x0f },
    { MCR, 0x1f },
    { SCR, 0xff },
    { LCR, 0xff },
};

TEST_P(register_reads_back_its_writable_bits, writable)
{
    power_on();
    for (unsigned v = 0; v < 256; v++) {
        out8(row->port, v);
        CHECK_EQ(in8(row->port), v & row->mask);
    }
}

TEST(dlab_switches_to_the_divisor)
{
    power_on();
    out8(IER, 0x05);
    out8(LCR, 0x80);
    out8(DLL, 0x0c);
    out8(DLM, 0x34);
    CHECK_EQ(in8(DLL), 0x0c);
    CHECK_EQ(in8(DLM), 0x34);
    out8(LCR, 0x00);
    CHECK_EQ(in8(IER), 0x05);
    CHECK_STR_EQ(sent(), "");
}

static const struct {
    uint8_t lcr;
    unsigned divisor, baud, bits, parity, stops;
} formats[] = {
    { 0x03, 1, 115200, 8, 0, 1 }, { 0x03, 12, 9600, 8, 0, 1 },
    { 0x1a, 384, 300, 7, 3, 1 },  { 0x07, 2, 57600, 8, 0, 2 },
    { 0x0c, 1, 115200, 5, 1, 2 },
};

TEST_P(other_side_learns_speed_and_format, formats)
{
    power_on();
    set_speed(row->divisor);
    out8(LCR, row->lcr);
    CHECK_EQ(baud, row->baud);
    CHECK_EQ(bits, row->bits);
    CHECK_EQ(parity, row->parity);
    CHECK_EQ(stops, row->stops);
}

/* --- sending ------------------------------------------------------------- */

TEST(bytes_are_sent)
{
    open_port(0, 0);
    out8(THR, 'H');
    CHECK_EQ(in8(LSR), THRE | TEMT);
    out8(THR, 'i');
    CHECK_STR_EQ(sent(), "Hi");
}

/* Without room on the other side: how many bytes wait. */
static const struct {
    uint8_t fcr;
    unsigned room;
    const char *sent;
} transmitters[] = {
    { 0x00, 0, "a" },
    { 0x01, 0, "abcdefghijklmnop" },
    { 0x01, 3, "abcdefghijklmnopqrs" },
};

TEST_P(transmitter_holds_what_does_not_go_out, transmitters)
{
    open_port(row->fcr, 0);
    bench_port_room(b, "com", row->room);
    for (char c = 'a'; c <= 'z'; c++)
        out8(THR, c);
    CHECK_EQ(in8(LSR), 0);
    bench_port_room(b, "com", UINT32_MAX);
    CHECK_STR_EQ(sent(), row->sent);
    CHECK_EQ(in8(LSR), THRE | TEMT);
}

TEST(clearing_the_transmit_fifo_drops_what_waits)
{
    open_port(0x01, 0);
    bench_port_room(b, "com", 0);
    out8(THR, 'a');
    CHECK_EQ(in8(LSR), 0);
    out8(FCR, 0x05);
    CHECK_EQ(in8(LSR), THRE | TEMT);
    bench_port_room(b, "com", UINT32_MAX);
    CHECK_STR_EQ(sent(), "");
}

TEST(break_bit_sends_a_break)
{
    open_port(0, 0);
    out8(LCR, 0x43);
    CHECK_EQ(breaks, 1);
    out8(LCR, 0x03);
    CHECK_EQ(breaks, 0);
}

/* --- THRE interrupt ------------------------------------------------------ */

TEST(enabling_thre_interrupts_while_the_transmitter_is_empty)
{
    open_port(0, 0);
    out8(IER, 0x02);
    CHECK(irq());
    CHECK_EQ(in8(IIR), 0x02);
}

TEST(reading_iir_takes_the_thre_interrupt_away)
{
    open_port(0, 0);
    out8(IER, 0x02);
    CHECK_EQ(in8(IIR), 0x02);
    CHECK(!irq());
    CHECK_EQ(in8(IIR), 0x01);
    CHECK_EQ(in8(LSR), THRE | TEMT);
}

TEST(reading_iir_for_another_source_keeps_the_thre_interrupt)
{
    open_port(0, 0x01);
    send("x");
    out8(IER, 0x03);
    CHECK_EQ(in8(IIR), 0x04);
    CHECK_EQ(in8(RBR), 'x');
    CHECK(irq());
    CHECK_EQ(in8(IIR), 0x02);
}

TEST(writing_a_character_takes_the_thre_interrupt_away)
{
    open_port(0, 0x02);
    bench_port_room(b, "com", 0);
    out8(IER, 0x00);
    out8(IER, 0x02);
    CHECK(irq());
    out8(THR, 'a');
    CHECK(!irq());
    bench_port_room(b, "com", UINT32_MAX);
    CHECK(irq()); /* it is empty again */
}

TEST(each_character_sent_interrupts_anew)
{
    open_port(0, 0x02);
    for (unsigned i = 0; i < 3; i++) {
        CHECK(!irq());
        out8(THR, 'a');
        CHECK(irq());
        CHECK_EQ(in8(IIR), 0x02);
    }
}

/* --- receiving ----------------------------------------------------------- */

TEST(characters_are_received_one_by_one)
{
    open_port(0, 0);
    send("abc");
    for (char c = 'a'; c <= 'c'; c++) {
        CHECK_EQ(in8(LSR), THRE | TEMT | DR);
        CHECK_EQ(in8(RBR), c);
    }
    CHECK_EQ(in8(LSR), THRE | TEMT);
}

TEST(paste_longer_than_the_fifo_arrives_whole)
{
    open_port(0x01, 0);
    send("0123456789abcdefghijklmnopqrstuvwxyz");
    for (const char *p = "0123456789abcdefghijklmnopqrstuvwxyz"; *p; p++) {
        CHECK_EQ(in8(LSR), THRE | TEMT | DR);
        CHECK_EQ(in8(RBR), *p);
    }
    CHECK_EQ(in8(LSR), THRE | TEMT);
}

/* Section 8.5: FCR bits 6 and 7. */
static const struct {
    uint8_t fcr;
    unsigned level;
} triggers[] = {
    { 0x00, 1 }, { 0x01, 1 }, { 0x41, 4 }, { 0x81, 8 }, { 0xc1, 14 },
};

TEST_P(data_interrupt_comes_at_the_trigger_level, triggers)
{
    open_port(row->fcr, 0x01);
    for (unsigned i = 1; i < row->level; i++) {
        send("x");
        CHECK(!irq());
        CHECK_EQ(in8(LSR) & DR, DR);
    }
    send("x");
    CHECK(irq());
    CHECK_EQ(in8(IIR), row->fcr ? 0xc4 : 0x04);
    in8(RBR);
    CHECK(!irq()); /* below the level again */
}

TEST(receive_timeout_comes_after_four_character_times)
{
    open_port(0x41, 0x01);
    send("x");
    bench_step(b, 4 * CHARACTER_NS - 1);
    CHECK(!irq());
    bench_step(b, 8);
    CHECK(irq());
    CHECK_EQ(in8(IIR), 0xcc);
    CHECK_EQ(in8(RBR), 'x');
    CHECK(!irq());
    CHECK_EQ(in8(IIR), 0xc1);
}

/* What starts the four character times anew. */
static const bool by_reading[] = { false, true };

TEST_P(traffic_puts_the_receive_timeout_off, by_reading)
{
    open_port(0x81, 0x01);
    send("xyz");
    bench_step(b, 3 * CHARACTER_NS);
    if (*row)
        in8(RBR);
    else
        send("x");
    bench_step(b, 3 * CHARACTER_NS);
    CHECK(!irq());
    bench_step(b, CHARACTER_NS + 8);
    CHECK_EQ(in8(IIR), 0xcc);
}

static const struct {
    unsigned divisor;
    uint8_t lcr;
    uint64_t ns;
} timeouts[] = {
    { 12, 0x03, 4166666 },  /* 9600 8N1: 40 bits */
    { 12, 0x1f, 5000000 },  /* 8E2: 48 bits */
    { 96, 0x00, 23333333 }, /* 1200 5N1: 28 bits */
};

TEST_P(receive_timeout_depends_on_the_format, timeouts)
{
    open_port(0x41, 0x01);
    set_speed(row->divisor);
    out8(LCR, row->lcr);
    send("x");
    bench_step(b, row->ns - 10);
    CHECK(!irq());
    bench_step(b, 20);
    CHECK(irq());
}

TEST(timeout_of_an_empty_fifo_does_not_come)
{
    open_port(0x41, 0x01);
    send("x");
    in8(RBR);
    bench_step(b, 100 * CHARACTER_NS);
    CHECK(!irq());
}

TEST(no_timeout_without_fifos)
{
    open_port(0x00, 0x00);
    send("x");
    bench_step(b, 100 * CHARACTER_NS);
    out8(IER, 0x01);
    CHECK_EQ(in8(IIR), 0x04);
}

/* --- FIFO control -------------------------------------------------------- */

/* FIFO contents after a write to FCR in the state `from`. */
static const struct {
    uint8_t from, fcr;
    bool kept, enabled;
} fcrs[] = {
    { 0x01, 0x01, true, true },   { 0x01, 0x41, true, true },
    { 0x01, 0x03, false, true },  { 0x01, 0x05, true, true },
    { 0x01, 0x00, false, false }, { 0x01, 0x06, false, false },
    { 0x00, 0x01, false, true },  { 0x00, 0x02, true, false },
};

TEST_P(fcr_clears_what_it_says, fcrs)
{
    open_port(row->from, 0x01);
    send("x");
    out8(FCR, row->fcr);
    CHECK_EQ(in8(LSR) & DR, row->kept ? DR : 0);
    CHECK_EQ(in8(IIR) & 0xc0, row->enabled ? 0xc0 : 0);
}

TEST(fcr_is_not_programmed_unless_it_enables)
{
    open_port(0x00, 0x01);
    out8(FCR, 0xc0);
    out8(FCR, 0x01);
    send("x");
    CHECK(irq());
}

/* --- interrupt priorities ------------------------------------------------ */

enum {
    SOURCE_LINE = 1,
    SOURCE_DATA = 2,
    SOURCE_TIMEOUT = 4,
    SOURCE_THRE = 8,
    SOURCE_MODEM = 16
};

/* Table IV: highest of what is pending, if enabled. */
static const struct {
    unsigned pending;
    uint8_t ier, iir;
} priorities[] = {
    { SOURCE_LINE | SOURCE_DATA | SOURCE_THRE | SOURCE_MODEM, 0x0f, 0xc6 },
    { SOURCE_LINE | SOURCE_DATA | SOURCE_THRE | SOURCE_MODEM, 0x0b, 0xc4 },
    { SOURCE_LINE | SOURCE_DATA | SOURCE_THRE | SOURCE_MODEM, 0x0a, 0xc2 },
    { SOURCE_LINE | SOURCE_DATA | SOURCE_THRE | SOURCE_MODEM, 0x08, 0xc0 },
    { SOURCE_LINE | SOURCE_DATA | SOURCE_THRE | SOURCE_MODEM, 0x00, 0xc1 },
    { SOURCE_DATA | SOURCE_THRE | SOURCE_MODEM, 0x0f, 0xc4 },
    { SOURCE_DATA | SOURCE_THRE | SOURCE_MODEM, 0x0e, 0xc2 },
    { SOURCE_TIMEOUT | SOURCE_THRE | SOURCE_MODEM, 0x0f, 0xcc },
    { SOURCE_TIMEOUT | SOURCE_THRE | SOURCE_MODEM, 0x0e, 0xc2 },
    { SOURCE_THRE | SOURCE_MODEM, 0x0f, 0xc2 },
    { SOURCE_THRE | SOURCE_MODEM, 0x0d, 0xc0 },
    { SOURCE_MODEM, 0x08, 0xc0 },
    { SOURCE_MODEM, 0x07, 0xc1 },
    { SOURCE_LINE, 0x04, 0xc6 },
    { SOURCE_LINE, 0x0b, 0xc1 },
};

TEST_P(iir_names_the_highest_enabled_interrupt, priorities)
{
    open_port(0x41, 0x00);
    if (row->pending & SOURCE_LINE) {
        char_port_break(port);
        bench_run(b);
        in8(RBR); /* the error stays, the character goes */
    }
    if (row->pending & SOURCE_DATA)
        send("data");
    if (row->pending & SOURCE_TIMEOUT) {
        send("x");
        bench_step(b, 10 * CHARACTER_NS);
    }
    if (row->pending & SOURCE_MODEM)
        bench_port_lines(b, "com", BP_CHAR_CTS);
    if (!(row->pending & SOURCE_THRE)) {
        out8(IER, 0x02);
        in8(IIR);
    } else {
        out8(THR, 'x');
    }
    out8(IER, row->ier | (row->pending & SOURCE_THRE ? 0 : 0x02));
    out8(IER, row->ier);
    CHECK_EQ(in8(IIR), row->iir);
}

/* What clears each source. */
static const struct {
    unsigned source;
    uint8_t ier;
    uint16_t read;
} clears[] = {
    { SOURCE_LINE, 0x04, LSR },
    { SOURCE_DATA, 0x01, RBR },
    { SOURCE_THRE, 0x02, IIR },
    { SOURCE_MODEM, 0x08, MSR },
};

TEST_P(interrupt_is_reset_by_reading_its_register, clears)
{
    open_port(0, row->ier);
    if (row->source == SOURCE_LINE)
        char_port_break(port);
    else if (row->source == SOURCE_DATA)
        send("x");
    else if (row->source == SOURCE_THRE)
        out8(THR, 'x');
    else
        bench_port_lines(b, "com", BP_CHAR_DSR);
    bench_run(b);
    CHECK(irq());
    in8(SCR);
    CHECK(irq());
    in8(row->read);
    CHECK(!irq());
}

static const struct {
    uint8_t mcr;
    bool irq;
} gates[] = {
    { OUT2, true },
    { 0x00, false },
    { 0x07, false },
    { OUT2 | LOOP, false },
};

TEST_P(out2_gates_the_interrupt_line, gates)
{
    open_port(0, 0x01);
    send("x");
    out8(MCR, row->mcr);
    CHECK_EQ(irq(), row->irq);
    CHECK_EQ(in8(IIR), 0x04);
}

/* --- line status --------------------------------------------------------- */

TEST(break_is_a_character_of_zeros_with_its_flag)
{
    open_port(0, 0);
    char_port_break(port);
    bench_run(b);
    CHECK_EQ(in8(LSR), THRE | TEMT | BI | DR);
    CHECK_EQ(in8(LSR), THRE | TEMT | DR);
    CHECK_EQ(in8(RBR), 0);
}

TEST(break_in_the_fifo_is_shown_when_it_is_on_top)
{
    open_port(0x01, 0);
    send("ab");
    char_port_break(port);
    bench_run(b);
    send("c");
    CHECK_EQ(in8(LSR), THRE | TEMT | DR | FIFO_ERROR);
    CHECK_EQ(in8(RBR), 'a');
    CHECK_EQ(in8(LSR), THRE | TEMT | DR | FIFO_ERROR);
    CHECK_EQ(in8(RBR), 'b');
    CHECK_EQ(in8(LSR), THRE | TEMT | DR | BI | FIFO_ERROR);
    CHECK_EQ(in8(LSR), THRE | TEMT | DR);
    CHECK_EQ(in8(RBR), 0);
    CHECK_EQ(in8(LSR), THRE | TEMT | DR);
    CHECK_EQ(in8(RBR), 'c');
}

static const struct {
    uint8_t fcr;
    unsigned capacity;
    char first, last;
} overruns[] = {
    { 0x00, 1, 'q', 'q' },  /* the new character replaces the old */
    { 0x01, 16, 'a', 'p' }, /* the FIFO stays as it was */
};

TEST_P(overrun_loses_a_character_and_says_so, overruns)
{
    open_port(row->fcr, 0);
    out8(MCR, LOOP);
    if (row->fcr)
        for (char c = 'a'; c <= 'p'; c++)
            out8(THR, c);
    else
        out8(THR, 'a');
    CHECK_EQ(in8(LSR) & OE, 0);
    out8(THR, 'q');
    CHECK_EQ(in8(LSR) & OE, OE);
    CHECK_EQ(in8(LSR) & OE, 0);
    for (unsigned i = 1; i < row->capacity; i++)
        CHECK_EQ(in8(RBR), row->first + (int)i - 1);
    CHECK_EQ(in8(RBR), row->last);
    CHECK_EQ(in8(LSR) & DR, 0);
}

/* --- modem --------------------------------------------------------------- */

/* Section 8.8: levels and deltas after the outside lines change. */
static const struct {
    uint32_t before, after;
    uint8_t msr;
} deltas[] = {
    { 0, BP_CHAR_CTS, 0x11 },
    { 0, BP_CHAR_DSR, 0x22 },
    { 0, BP_CHAR_RI, 0x40 }, /* no leading edge */
    { 0, BP_CHAR_DCD, 0x88 },
    { BP_CHAR_CTS, 0, 0x01 },
    { BP_CHAR_DSR, 0, 0x02 },
    { BP_CHAR_RI, 0, 0x04 }, /* the trailing edge */
    { BP_CHAR_DCD, 0, 0x08 },
    { BP_CHAR_CTS | BP_CHAR_DSR, BP_CHAR_DSR | BP_CHAR_DCD, 0xa9 },
    { BP_CHAR_CTS, BP_CHAR_CTS, 0x10 },
};

TEST_P(modem_status_has_levels_and_deltas, deltas)
{
    open_port(0, 0x08);
    bench_port_lines(b, "com", row->before);
    in8(MSR);
    CHECK(!irq());
    bench_port_lines(b, "com", row->after);
    CHECK_EQ(irq(), (row->msr & 15) != 0);
    CHECK_EQ(in8(MSR), row->msr);
    CHECK_EQ(in8(MSR), row->msr & 0xf0);
    CHECK(!irq());
}

TEST(deltas_add_up_until_they_are_read)
{
    open_port(0, 0);
    bench_port_lines(b, "com", BP_CHAR_CTS);
    bench_port_lines(b, "com", 0);
    bench_port_lines(b, "com", BP_CHAR_RI);
    bench_port_lines(b, "com", 0);
    CHECK_EQ(in8(MSR), 0x05);
}

static const struct {
    uint8_t mcr;
    uint32_t lines;
} outputs[] = {
    { 0x01, BP_CHAR_DTR },
    { 0x02, BP_CHAR_RTS },
    { 0x03, BP_CHAR_DTR | BP_CHAR_RTS },
    { 0x0c, 0 },
    { 0x13, 0 }, /* in loopback the pins are inactive */
};

TEST_P(modem_control_drives_its_pins, outputs)
{
    open_port(0, 0);
    out8(MCR, 0x03);
    out8(MCR, row->mcr);
    CHECK_EQ(lines_out, row->lines);
}

/* --- loopback ------------------------------------------------------------ */

static const struct {
    uint8_t mcr, msr;
} loops[] = {
    { 0x00, 0x00 }, { 0x01, 0x20 }, { 0x02, 0x10 },
    { 0x04, 0x40 }, { 0x08, 0x80 }, { 0x0f, 0xf0 },
};

TEST_P(loopback_connects_modem_outputs_to_inputs, loops)
{
    open_port(0, 0);
    bench_port_lines(b, "com", BP_CHAR_CTS | BP_CHAR_DCD);
    out8(MCR, LOOP | row->mcr);
    CHECK_EQ(in8(MSR) & 0xf0, row->msr);
    bench_port_lines(b, "com", BP_CHAR_DSR);
    CHECK_EQ(in8(MSR) & 0xf0, row->msr);
    out8(MCR, row->mcr);
    CHECK_EQ(in8(MSR) & 0xf0, 0x20);
}

TEST(loopback_makes_deltas_of_its_own)
{
    open_port(0, 0);
    out8(MCR, LOOP | 0x0f);
    in8(MSR);
    out8(MCR, LOOP);
    CHECK_EQ(in8(MSR), 0x0f);
}

TEST(loopback_returns_characters_and_sends_none)
{
    open_port(0x01, 0);
    out8(MCR, LOOP);
    out8(THR, 'x');
    out8(THR, 'y');
    CHECK_EQ(in8(LSR), THRE | TEMT | DR);
    CHECK_EQ(in8(RBR), 'x');
    CHECK_EQ(in8(RBR), 'y');
    CHECK_STR_EQ(sent(), "");
}

TEST(what_arrives_in_loopback_waits)
{
    open_port(0x01, 0);
    out8(MCR, LOOP);
    send("x");
    CHECK_EQ(in8(LSR) & DR, 0);
    out8(MCR, OUT2);
    bench_run(b);
    CHECK_EQ(in8(RBR), 'x');
}

/* --- the rest ------------------------------------------------------------ */

static const struct {
    const char *port, *irq;
    uint16_t first;
    unsigned line;
} places[] = {
    { "port=0x3f8", "irq=4", 0x3f8, 4 },
    { "port=0x2f8", "irq=3", 0x2f8, 3 },
    { "port=0x3e8", "irq=5", 0x3e8, 5 },
};

TEST_P(port_and_irq_are_properties, places)
{
    b = bench_create("ns16550", row->port, row->irq, NULL);
    out8(row->first + 7, 0x42);
    CHECK_EQ(in8(row->first + 7), 0x42);
    out8(row->first + 4, OUT2);
    out8(row->first + 1, 0x02);
    CHECK(bench_line(b, "isa", row->line));
}

TEST(port_without_other_side_sends_into_the_void)
{
    b = bench_create("ns16550", NULL);
    out8(THR, 'x');
    CHECK_EQ(in8(LSR), THRE | TEMT);
    CHECK_EQ(in8(MSR), 0);
}

TEST(port_goes_on_after_save_and_load)
{
    open_port(0x41, 0x01);
    send("ab");
    bench_port_room(b, "com", 0);
    out8(THR, 'z');
    bench_step(b, 2 * CHARACTER_NS);
    bench_save_load(b);
    CHECK(!irq());
    bench_step(b, 2 * CHARACTER_NS + 8);
    CHECK(irq());
    CHECK_EQ(in8(IIR), 0xcc);
    CHECK_EQ(in8(RBR), 'a');
    CHECK_EQ(in8(RBR), 'b');
    bench_port_room(b, "com", UINT32_MAX);
    CHECK_STR_EQ(sent(), "z");
}
