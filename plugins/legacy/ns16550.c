/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns16550: National Semiconductor PC16550D serial port.
 *
 * Datasheet: PC16550D (TL/C/8652), sections 8.1-8.8.
 *
 * Modelled: all registers, 16-byte FIFOs with trigger levels and character
 * time-out, line status with overrun and break, modem control and status
 * with deltas, loopback, interrupt priorities, OUT2 gating the interrupt as
 * on a PC board.
 * Not modelled: parity and framing errors (back ends deliver whole bytes);
 * transmission takes no time: the transmitter is empty as soon as the back
 * end took the byte.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "export.h"

#define FIFO    16u
#define UART_HZ 1843200u

enum { R_DATA, R_IER, R_IIR, R_LCR, R_MCR, R_LSR, R_MSR, R_SCR };

#define IER_RDA        0x01
#define IER_THRE       0x02
#define IER_RLS        0x04
#define IER_MS         0x08
#define IIR_NONE       0x01
#define IIR_MS         0x00
#define IIR_THRE       0x02
#define IIR_RDA        0x04
#define IIR_RLS        0x06
#define IIR_TIMEOUT    0x0c
#define IIR_FIFOS      0xc0
#define FCR_ENABLE     0x01
#define FCR_CLEAR_RX   0x02
#define FCR_CLEAR_TX   0x04
#define FCR_KEPT       0xc9 /* enable, DMA mode, trigger level */
#define LCR_BREAK      0x40
#define LCR_DLAB       0x80
#define MCR_DTR        0x01
#define MCR_RTS        0x02
#define MCR_OUT1       0x04
#define MCR_OUT2       0x08
#define MCR_LOOP       0x10
#define LSR_DR         0x01
#define LSR_OE         0x02
#define LSR_BI         0x10
#define LSR_THRE       0x20
#define LSR_TEMT       0x40
#define LSR_FIFO_ERROR 0x80
#define MSR_DCTS       0x01
#define MSR_DDSR       0x02
#define MSR_TERI       0x04
#define MSR_DDCD       0x08
#define MSR_CTS        0x10
#define MSR_DSR        0x20
#define MSR_RI         0x40
#define MSR_DCD        0x80

struct uart_state {
    uint8_t ier, fcr, lcr, mcr, msr, scr;
    uint8_t lsr; /* OE, BI; the rest is derived */
    uint16_t divisor;
    uint8_t rx[FIFO];
    uint8_t rx_head, rx_count;
    uint8_t rx_break[FIFO]; /* 1: this character is a break */
    uint8_t tx[FIFO];
    uint8_t tx_head, tx_count;
    uint8_t thre_pending; /* THRE interrupt not yet seen in IIR */
    uint8_t timeout;      /* character time-out is signalled */
};

struct uart {
    /* Configuration */
    uint32_t port, irq_number;
    struct bp_char_port *chr;
    /* Wiring */
    const struct bp_log *log;
    const struct bp_timer *timer;
    const struct bp_irq *irq;
    const struct bp_pio *pio;
    const struct bp_char *chars;
    struct bp_dev *dev;
    struct bp_irq_line *line;
    struct bp_timer_handle *timeout;
    /* State */
    struct uart_state st;
};

static unsigned rx_capacity(const struct uart_state *st)
{
    return st->fcr & FCR_ENABLE ? FIFO : 1;
}

static unsigned rx_trigger(const struct uart_state *st)
{
    static const uint8_t level[4] = { 1, 4, 8, 14 };

    return st->fcr & FCR_ENABLE ? level[st->fcr >> 6] : 1;
}

/* Section 8.6: the pending interrupt of the highest priority. */
static uint8_t pending_interrupt(const struct uart_state *st)
{
    if (st->ier & IER_RLS && st->lsr & (LSR_OE | LSR_BI))
        return IIR_RLS;
    if (st->ier & IER_RDA && st->rx_count >= rx_trigger(st))
        return IIR_RDA;
    if (st->ier & IER_RDA && st->timeout)
        return IIR_TIMEOUT;
    if (st->ier & IER_THRE && st->thre_pending)
        return IIR_THRE;
    if (st->ier & IER_MS && st->msr & 0x0f)
        return IIR_MS;
    return IIR_NONE;
}

static void uart_sync(struct uart *s)
{
    int level = pending_interrupt(&s->st) != IIR_NONE;

    /* On PCs OUT2 gates the interrupt; in loopback OUT2 is off the pin. */
    if (!(s->st.mcr & MCR_OUT2) || s->st.mcr & MCR_LOOP)
        level = 0;
    s->irq->set(s->line, level);
}

static uint64_t character_ns(const struct uart_state *st)
{
    uint32_t divisor = st->divisor ? st->divisor : 1;
    uint32_t bits = 7 + (st->lcr & 3) + !!(st->lcr & 4) + !!(st->lcr & 8);

    return bp_muldiv((uint64_t)divisor * 16 * bits, 1000000000u, UART_HZ);
}

/* Section 8.5.1: four character times without traffic. */
static void rearm_timeout(struct uart *s)
{
    if (s->st.fcr & FCR_ENABLE && s->st.rx_count)
        s->timer->arm(s->timeout, s->timer->now(s->dev, BP_CLOCK_VIRTUAL) +
                                      4 * character_ns(&s->st));
    else
        s->timer->cancel(s->timeout);
}

static void timeout_event(void *ctx)
{
    struct uart *s = ctx;

    s->st.timeout = s->st.rx_count != 0;
    uart_sync(s);
}

static void rx_push(struct uart *s, uint8_t byte, int is_break)
{
    struct uart_state *st = &s->st;
    unsigned at;

    if (st->rx_count == rx_capacity(st)) {
        st->lsr |= LSR_OE;
        /* Without FIFO the new character replaces the old one. */
        if (!(st->fcr & FCR_ENABLE))
            st->rx[st->rx_head] = byte;
        return;
    }
    at = (st->rx_head + st->rx_count++) % FIFO;
    st->rx[at] = byte;
    st->rx_break[at] = is_break;
    if (is_break && st->rx_count == 1)
        st->lsr |= LSR_BI;
    rearm_timeout(s);
}

static uint8_t rx_pop(struct uart *s)
{
    struct uart_state *st = &s->st;
    uint8_t v;

    if (!st->rx_count)
        return 0;
    v = st->rx[st->rx_head];
    st->rx_head = (st->rx_head + 1) % FIFO;
    st->rx_count--;
    if (st->rx_count && st->rx_break[st->rx_head])
        st->lsr |= LSR_BI; /* revealed when it reaches the top */
    st->timeout = 0;
    rearm_timeout(s);
    if (s->chr && !(st->mcr & MCR_LOOP))
        s->chars->ready(s->chr);
    return v;
}

static uint32_t uart_receive(void *ctx, const uint8_t *data, uint32_t n)
{
    struct uart *s = ctx;
    uint32_t taken = 0;

    /* The other side waits (as with flow control) rather than losing
     * characters: a paste into a console must arrive whole. */
    while (taken < n && s->st.rx_count < rx_capacity(&s->st) &&
           !(s->st.mcr & MCR_LOOP))
        rx_push(s, data[taken++], 0);
    uart_sync(s);
    return taken;
}

/* Gives the back end what waits; THRE follows. */
static void tx_drain(struct uart *s)
{
    struct uart_state *st = &s->st;

    while (st->tx_count) {
        uint8_t byte = st->tx[st->tx_head];

        if (s->chr && !s->chars->write(s->chr, &byte, 1))
            break;
        st->tx_head = (st->tx_head + 1) % FIFO;
        st->tx_count--;
    }
    if (!st->tx_count)
        st->thre_pending = 1;
}

static void uart_writable(void *ctx)
{
    struct uart *s = ctx;

    if (s->st.tx_count)
        tx_drain(s);
    uart_sync(s);
}

static void uart_break(void *ctx)
{
    struct uart *s = ctx;

    if (!(s->st.mcr & MCR_LOOP))
        rx_push(s, 0, 1);
    uart_sync(s);
}

/* New modem input levels (MSR bits 4..7): deltas as in section 8.8. */
static void set_modem_inputs(struct uart *s, uint8_t lines)
{
    uint8_t old = s->st.msr;
    uint8_t changed = (old ^ lines) & 0xf0;

    s->st.msr = lines | (old & 0x0f);
    if (changed & MSR_CTS)
        s->st.msr |= MSR_DCTS;
    if (changed & MSR_DSR)
        s->st.msr |= MSR_DDSR;
    if (changed & MSR_DCD)
        s->st.msr |= MSR_DDCD;
    if (old & MSR_RI && !(lines & MSR_RI))
        s->st.msr |= MSR_TERI; /* trailing edge only */
}

static void update_modem(struct uart *s)
{
    uint8_t mcr = s->st.mcr, lines = 0;
    uint32_t outside;

    if (mcr & MCR_LOOP) {
        lines |= mcr & MCR_RTS ? MSR_CTS : 0;
        lines |= mcr & MCR_DTR ? MSR_DSR : 0;
        lines |= mcr & MCR_OUT1 ? MSR_RI : 0;
        lines |= mcr & MCR_OUT2 ? MSR_DCD : 0;
    } else if (s->chr) {
        outside = s->chars->get_lines(s->chr);
        lines |= outside & BP_CHAR_CTS ? MSR_CTS : 0;
        lines |= outside & BP_CHAR_DSR ? MSR_DSR : 0;
        lines |= outside & BP_CHAR_RI ? MSR_RI : 0;
        lines |= outside & BP_CHAR_DCD ? MSR_DCD : 0;
    }
    set_modem_inputs(s, lines);
}

static void uart_lines(void *ctx, uint32_t lines)
{
    struct uart *s = ctx;

    (void)lines;
    if (!(s->st.mcr & MCR_LOOP))
        update_modem(s);
    uart_sync(s);
}

static void tx_write(struct uart *s, uint8_t v)
{
    struct uart_state *st = &s->st;
    unsigned room = st->fcr & FCR_ENABLE ? FIFO : 1;

    st->thre_pending = 0;
    if (st->mcr & MCR_LOOP) {
        rx_push(s, v, 0);
        st->thre_pending = 1;
        return;
    }
    if (st->tx_count < room) /* an overrun character is lost */
        st->tx[(st->tx_head + st->tx_count++) % FIFO] = v;
    tx_drain(s);
}

static void fcr_write(struct uart *s, uint8_t v)
{
    struct uart_state *st = &s->st;

    /* "When FCR0 changes, both FIFOs are cleared." */
    if ((v ^ st->fcr) & FCR_ENABLE)
        v |= FCR_CLEAR_RX | FCR_CLEAR_TX;
    else if (!(v & FCR_ENABLE))
        v = 0; /* "bit 0 must be a 1 when other FCR bits are written" */
    if (v & FCR_CLEAR_RX) {
        st->rx_count = st->rx_head = 0;
        st->timeout = 0;
        s->timer->cancel(s->timeout);
    }
    if (v & FCR_CLEAR_TX && st->tx_count) {
        st->tx_count = st->tx_head = 0;
        st->thre_pending = 1;
    }
    st->fcr = v & FCR_KEPT;
    if (v & FCR_CLEAR_RX && s->chr)
        s->chars->ready(s->chr);
}

static void announce_params(struct uart *s)
{
    uint8_t lcr = s->st.lcr;
    uint32_t divisor = s->st.divisor ? s->st.divisor : 1;

    if (!s->chr)
        return;
    s->chars->set_params(s->chr, UART_HZ / 16 / divisor, 5 + (lcr & 3),
                         lcr >> 3 & 7, lcr & 4 ? 2 : 1);
}

static void mcr_write(struct uart *s, uint8_t v)
{
    uint8_t was = s->st.mcr;

    s->st.mcr = v & 0x1f;
    if (v & MCR_LOOP)
        v = 0; /* the pins are inactive */
    if (s->chr)
        s->chars->set_lines(s->chr, (v & MCR_DTR ? BP_CHAR_DTR : 0) |
                                        (v & MCR_RTS ? BP_CHAR_RTS : 0));
    update_modem(s);
    if (was & MCR_LOOP && !(s->st.mcr & MCR_LOOP) && s->chr)
        s->chars->ready(s->chr);
}

/* "At least one [...] break indication in the FIFO." */
static int fifo_error(const struct uart_state *st)
{
    if (!(st->fcr & FCR_ENABLE))
        return 0;
    for (unsigned i = 0; i < st->rx_count; i++)
        if (st->rx_break[(st->rx_head + i) % FIFO])
            return 1;
    return !!(st->lsr & LSR_BI);
}

static uint8_t lsr_read(struct uart_state *st)
{
    uint8_t v = st->lsr;

    if (st->rx_count)
        v |= LSR_DR;
    if (!st->tx_count)
        v |= LSR_THRE | LSR_TEMT;
    if (fifo_error(st))
        v |= LSR_FIFO_ERROR;
    st->lsr &= ~(LSR_OE | LSR_BI);
    st->rx_break[st->rx_head] = 0; /* that of the top was seen */
    return v;
}

static uint32_t uart_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct uart *s = ctx;
    struct uart_state *st = &s->st;
    uint8_t v;

    (void)width;
    switch (offset) {
    case R_DATA: v = st->lcr & LCR_DLAB ? st->divisor : rx_pop(s); break;
    case R_IER: v = st->lcr & LCR_DLAB ? st->divisor >> 8 : st->ier; break;
    case R_IIR:
        v = pending_interrupt(st);
        if (v == IIR_THRE)
            st->thre_pending = 0;
        v |= st->fcr & FCR_ENABLE ? IIR_FIFOS : 0;
        break;
    case R_LCR: v = st->lcr; break;
    case R_MCR: v = st->mcr; break;
    case R_LSR: v = lsr_read(st); break;
    case R_MSR:
        v = st->msr;
        st->msr &= 0xf0;
        break;
    default: v = st->scr; break;
    }
    uart_sync(s);
    return v;
}

static void ier_write(struct uart_state *st, uint8_t v)
{
    /* Enabling THRE while the transmitter is empty interrupts at once: the
     * Linux driver tests for it. */
    if (v & IER_THRE && !(st->ier & IER_THRE) && !st->tx_count)
        st->thre_pending = 1;
    st->ier = v & 0x0f;
}

static void uart_write(void *ctx, uint32_t offset, uint32_t value,
                       uint32_t width)
{
    struct uart *s = ctx;
    struct uart_state *st = &s->st;
    uint8_t v = value;

    (void)width;
    switch (offset) {
    case R_DATA:
        if (st->lcr & LCR_DLAB) {
            st->divisor = (st->divisor & 0xff00) | v;
            announce_params(s);
        } else {
            tx_write(s, v);
        }
        break;
    case R_IER:
        if (st->lcr & LCR_DLAB) {
            st->divisor = (st->divisor & 0xff) | v << 8;
            announce_params(s);
        } else {
            ier_write(st, v);
        }
        break;
    case R_IIR: fcr_write(s, v); break;
    case R_LCR:
        if (s->chr && (v ^ st->lcr) & LCR_BREAK)
            s->chars->send_break(s->chr, !!(v & LCR_BREAK));
        st->lcr = v;
        announce_params(s);
        break;
    case R_MCR: mcr_write(s, v); break;
    case R_LSR: /* factory test */
    case R_MSR: break;
    default: st->scr = v; break;
    }
    uart_sync(s);
}

static const struct bp_pio_ops uart_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = uart_read,
    .write = uart_write,
};

static const struct bp_char_events uart_events = {
    .size = sizeof(struct bp_char_events),
    .receive = uart_receive,
    .writable = uart_writable,
    .lines = uart_lines,
    .break_ = uart_break,
};

static int32_t uart_create(void *self, struct bp_dev *dev,
                           const struct bp_host *host)
{
    struct uart *s = self;

    s->dev = dev;
    s->log = host->query(host, BP_LOG);
    s->timer = host->query(host, BP_TIMER);
    s->irq = host->query(host, BP_IRQ);
    s->pio = host->query(host, BP_PIO);
    s->chars = host->query(host, BP_CHAR);
    return 0;
}

static int32_t uart_realize(void *self)
{
    struct uart *s = self;

    s->line = s->irq->output(s->dev, "isa", s->irq_number);
    s->timeout =
        s->timer->create(s->dev, BP_CLOCK_VIRTUAL, "timeout", timeout_event, s);
    if (!s->line || !s->timeout ||
        !s->pio->claim(s->dev, "uart", s->port, 8, BP_SIZE_1, 0, &uart_ops, s))
        return -EBUSY;
    if (s->chr)
        s->chars->listen(s->chr, &uart_events, s);
    return 0;
}

static void uart_reset(void *self, uint32_t kind)
{
    struct uart *s = self;

    (void)kind;
    /* Section 8.2; divisor and scratch are not changed by MR. */
    s->st = (struct uart_state){ .divisor = s->st.divisor, .scr = s->st.scr };
    s->timer->cancel(s->timeout);
    update_modem(s);
    s->st.msr &= 0xf0;
    uart_sync(s);
}

static int32_t uart_loaded(void *self, uint32_t version)
{
    struct uart *s = self;
    struct uart_state *st = &s->st;

    (void)version;
    if (st->rx_head >= FIFO || st->rx_count > FIFO || st->tx_head >= FIFO ||
        st->tx_count > FIFO)
        return -EINVAL;
    announce_params(s);
    uart_sync(s);
    return 0;
}

static void uart_start(void *self)
{
    struct uart *s = self;

    if (s->chr)
        s->chars->ready(s->chr);
}

static const struct bp_field uart_fields[] = {
    BP_FIELD(struct uart, st.ier, "ier"),
    BP_FIELD(struct uart, st.fcr, "fcr"),
    BP_FIELD(struct uart, st.lcr, "lcr"),
    BP_FIELD(struct uart, st.mcr, "mcr"),
    BP_FIELD(struct uart, st.msr, "msr"),
    BP_FIELD(struct uart, st.scr, "scr"),
    BP_FIELD(struct uart, st.lsr, "lsr"),
    BP_FIELD(struct uart, st.divisor, "divisor"),
    BP_FIELD_BLOB(struct uart, st.rx, "rx"),
    BP_FIELD(struct uart, st.rx_head, "rx_head"),
    BP_FIELD(struct uart, st.rx_count, "rx_count"),
    BP_FIELD_BLOB(struct uart, st.rx_break, "rx_break"),
    BP_FIELD_BLOB(struct uart, st.tx, "tx"),
    BP_FIELD(struct uart, st.tx_head, "tx_head"),
    BP_FIELD(struct uart, st.tx_count, "tx_count"),
    BP_FIELD(struct uart, st.thre_pending, "thre_pending"),
    BP_FIELD(struct uart, st.timeout, "timeout"),
    BP_FIELD_END
};

static const struct bp_property uart_properties[] = {
    { .name = "port",
      .help = "first I/O port",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct uart, port),
      .min = 0x100,
      .max = 0xfff8,
      .number = 0x3f8 },
    { .name = "irq",
      .help = "ISA interrupt",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct uart, irq_number),
      .min = 1,
      .max = 15,
      .number = 4 },
    { .name = "char",
      .help = "where the bytes go",
      .type = BP_PROP_CHAR,
      .offset = offsetof(struct uart, chr) },
    { .name = NULL },
};

static const char *const uart_requires[] = { BP_LOG, BP_TIMER, BP_IRQ,
                                             BP_PIO, BP_CHAR,  NULL };

static const struct bp_device_desc ns16550_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_CHARACTER,
    .id = "ns16550",
    .title = "National Semiconductor 16550A serial port",
    .instance_size = sizeof(struct uart),
    .state_offset = offsetof(struct uart, st),
    .state_size = sizeof(struct uart_state),
    .state_version = 1,
    .fields = uart_fields,
    .properties = uart_properties,
    .requires_ = uart_requires,
    .create = uart_create,
    .realize = uart_realize,
    .reset = uart_reset,
    .loaded = uart_loaded,
    .start = uart_start,
};

EXPORT_DEVICES("ns16550", "16550A serial port", &ns16550_desc);
