/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8254: Intel 8254 programmable interval timer, and port 61h beside it.
 *
 * Datasheet: Intel 82C54, order 231244 ("Programming the 82C54", "Mode
 * Definitions"); 82371AB (PIIX4) section 4.2.5 for port 61h.
 *
 * Modelled: three counters, modes 0-5, binary and BCD, read/write of low,
 * high and both bytes, counter latch and read-back commands, null count,
 * gate of counter 2, output of counter 0 on ISA IRQ 0, refresh toggle and
 * speaker bits of port 61h.
 * Not modelled: sound of the speaker (guests hear nothing); NMI sources in
 * port 61h (always read 0: no parity or channel-check errors exist); counting
 * sequence inside one clock.
 */
#include <errno.h>

#include "export.h"

#define PIT_HZ     1193182u /* 14.31818 MHz / 12 */
#define PIT_PORT   0x40
#define PORT_B     0x61
#define REFRESH_NS 15085u /* port 61h bit 4 toggles at each refresh */
/* Edges are delivered at most this often, so that a guest that programs a
 * count of 2 does not own a host thread. */
#define EDGE_GAP_NS 20000u
/* Edges older than this are dropped: the host was too slow. */
#define BACKLOG_NS 1000000000ull

#define RW_LATCH 0
#define RW_LOW   1
#define RW_HIGH  2
#define RW_BOTH  3

#define PORTB_GATE2    0x01
#define PORTB_SPEAKER  0x02
#define PORTB_WRITABLE 0x0f
#define PORTB_REFRESH  0x10
#define PORTB_OUT2     0x20

struct pit_counter {
    uint64_t start;     /* tick at which counting (re)started */
    uint64_t held;      /* ticks counted before the gate closed */
    uint64_t switch_at; /* tick at which CE takes a pending count */
    uint16_t reload;    /* CR */
    uint16_t count;     /* what CE counts down from */
    uint16_t latch;     /* OL */
    uint8_t mode;       /* as written: 6 and 7 are 2 and 3 */
    uint8_t bcd;
    uint8_t rw; /* RW_* */
    uint8_t gate;
    uint8_t loaded;         /* a count was written since the mode was */
    uint8_t running;        /* start is valid */
    uint8_t pending;        /* CE was not yet loaded from CR */
    uint8_t low_byte;       /* first half of a two-byte write */
    uint8_t write_high;     /* the next write is the high byte */
    uint8_t read_high;      /* the next read is the high byte */
    uint8_t latched;        /* bytes of OL still to be read */
    uint8_t status;         /* latched status byte ... */
    uint8_t status_latched; /* ... is to be read first */
};

struct pit_state {
    struct pit_counter counter[3];
    uint8_t port_b;
    uint64_t edge; /* tick of the counter 0 change now due */
    uint8_t edge_armed;
};

struct pit {
    /* Wiring */
    const struct bp_timer *timer;
    const struct bp_irq *irq;
    const struct bp_pio *pio;
    struct bp_dev *dev;
    struct bp_timer_handle *event;
    struct bp_irq_line *irq0;
    /* State */
    struct pit_state st;
};

static uint64_t pit_now(struct pit *s)
{
    return bp_muldiv(s->timer->now(s->dev, BP_CLOCK_VIRTUAL), PIT_HZ,
                     1000000000u);
}

/* First nanosecond at which pit_now() is at least `tick`. */
static uint64_t tick_to_ns(uint64_t tick)
{
    return bp_muldiv(tick, 1000000000u, PIT_HZ) + 1;
}

static uint32_t from_bcd(uint32_t v)
{
    return (v & 15) + (v >> 4 & 15) * 10 + (v >> 8 & 15) * 100 +
           (v >> 12 & 15) * 1000;
}

static uint32_t to_bcd(uint32_t v)
{
    return v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12;
}

/* Bit 2 of modes 2 and 3 is "don't care". */
static unsigned counter_mode(const struct pit_counter *c)
{
    return c->mode > 5 ? c->mode - 4u : c->mode;
}

/* The number of clocks a count stands for: 0 is the largest. */
static uint32_t counter_n(const struct pit_counter *c)
{
    uint32_t n = c->bcd ? from_bcd(c->count) : c->count;

    return n ? n : c->bcd ? 10000 : 0x10000;
}

static uint64_t counter_elapsed(const struct pit_counter *c, uint64_t now)
{
    if (!c->running)
        return c->held;
    return c->held + (now > c->start ? now - c->start : 0);
}

static int counter_out(const struct pit_counter *c, uint64_t now)
{
    uint64_t t = counter_elapsed(c, now);
    uint32_t n = counter_n(c);

    switch (counter_mode(c)) {
    case 0: return c->loaded && t >= n;
    case 1: return !c->running || t >= n;
    case 2: return !c->running || t % n != n - 1;
    case 3: return !c->running || t % n < (n + 1) / 2;
    default: return !c->loaded || (!c->running && !c->held) || t != n;
    }
}

/* Mode 3 counts by two from the even part of N, once for each half; the
 * first half of an odd N goes on to 0. */
static uint32_t square_value(uint64_t t, uint32_t n)
{
    uint32_t phase = t % n, half = (n + 1) / 2;

    return (n & ~1u) - 2 * (phase < half ? phase : phase - half);
}

static uint16_t counter_value(const struct pit_counter *c, uint64_t now)
{
    uint64_t t = counter_elapsed(c, now);
    uint32_t n = counter_n(c);
    uint32_t wrap = c->bcd ? 10000 : 0x10000;
    uint32_t v;

    switch (counter_mode(c)) {
    case 2: v = n - (uint32_t)(t % n); break;
    case 3: v = square_value(t, n); break;
    default: v = (n + wrap - (uint32_t)(t % wrap)) % wrap; break;
    }
    return c->bcd ? to_bcd(v % wrap) : v;
}

/* The end of the period (mode 2) or half period (mode 3) under way. */
static uint64_t counter_period_end(const struct pit_counter *c, uint64_t now)
{
    uint32_t n = counter_n(c), half = (n + 1) / 2;
    uint32_t phase = counter_elapsed(c, now) % n;
    uint64_t from = now > c->start ? now : c->start;

    if (counter_mode(c) == 3 && phase < half)
        return from + half - phase;
    return from + n - phase;
}

/* Takes a pending count into CE when its time has come. */
static void counter_settle(struct pit_counter *c, uint64_t now)
{
    if (!c->pending || now < c->switch_at)
        return;
    if (c->running && c->switch_at > c->start) {
        int low_half = counter_elapsed(c, c->switch_at) % counter_n(c) != 0;

        c->count = c->reload;
        c->start = c->switch_at;
        c->held = low_half ? (counter_n(c) + 1) / 2 : 0;
    }
    c->pending = 0;
}

/*
 * Tick of the next change of OUT after `now` that IRQ 0 is to see; UINT64_MAX
 * when there is none.  The one-clock pulse of mode 2 counts as one change, at
 * its rising end.
 */
static uint64_t counter_next_edge(const struct pit_counter *c, uint64_t now)
{
    uint64_t t = counter_elapsed(c, now);
    uint32_t n = counter_n(c);
    uint64_t to;

    if (!c->loaded || !c->running)
        return UINT64_MAX;
    switch (counter_mode(c)) {
    case 0:
    case 1:
        if (t >= n)
            return UINT64_MAX;
        to = n - t;
        break;
    case 2:
    case 3: return n > 1 ? counter_period_end(c, now) : UINT64_MAX;
    default:
        if (t > n)
            return UINT64_MAX;
        to = t < n ? n - t : 1;
        break;
    }
    return (now > c->start ? now : c->start) + to;
}

/* Drives IRQ 0 as it is at `tick` and arms the change after it. */
static void pit_sync_at(struct pit *s, uint64_t tick)
{
    struct pit_counter *c = &s->st.counter[0];
    uint64_t now = s->timer->now(s->dev, BP_CLOCK_VIRTUAL);
    uint64_t next, due;

    counter_settle(c, tick);
    next = counter_next_edge(c, tick);
    s->irq->set(s->irq0, counter_mode(c) == 2 || counter_out(c, tick));
    s->st.edge_armed = next != UINT64_MAX;
    s->st.edge = next;
    if (!s->st.edge_armed) {
        s->timer->cancel(s->event);
        return;
    }
    due = tick_to_ns(next);
    if (due < now + EDGE_GAP_NS)
        due = now + EDGE_GAP_NS;
    s->timer->arm(s->event, due);
}

static void pit_sync(struct pit *s)
{
    pit_sync_at(s, pit_now(s));
}

static void pit_event(void *ctx)
{
    struct pit *s = ctx;
    uint64_t now = pit_now(s);
    uint64_t backlog = bp_muldiv(BACKLOG_NS, PIT_HZ, 1000000000u);
    uint64_t edge = s->st.edge;

    if (!s->st.edge_armed)
        return;
    if (edge + backlog < now)
        edge = now;
    if (counter_mode(&s->st.counter[0]) == 2)
        s->irq->set(s->irq0, 0);
    pit_sync_at(s, edge);
}

/* The count reaches CE one clock after it was written. */
static void counter_start(struct pit_counter *c, uint64_t now)
{
    c->count = c->reload;
    c->start = c->switch_at = now + 1;
    c->held = 0;
    c->running = 1;
}

static void counter_set_gate(struct pit_counter *c, int gate, uint64_t now)
{
    int rising = gate && !c->gate;
    unsigned mode = counter_mode(c);

    if (!gate && c->gate && mode != 1 && mode != 5 && c->running) {
        c->held = counter_elapsed(c, now);
        c->running = 0;
    }
    c->gate = gate;
    if (!rising || !c->loaded)
        return;
    if (mode == 0 || mode == 4) {
        c->start = now;
        c->running = 1;
    } else {
        counter_start(c, now);
    }
}

static void counter_load(struct pit_counter *c, uint16_t value, uint64_t now)
{
    unsigned mode = counter_mode(c);
    int periodic = mode == 2 || mode == 3;

    c->reload = value;
    c->pending = 1;
    if (mode == 1 || mode == 5) {
        c->loaded = 1;
        c->switch_at = UINT64_MAX; /* waits for the gate */
    } else if (periodic && c->loaded) {
        if (c->running && now >= c->start)
            c->switch_at = counter_period_end(c, now);
        else if (!c->running)
            c->switch_at = UINT64_MAX;
        else
            counter_start(c, now);
    } else {
        c->loaded = 1;
        counter_start(c, now);
        c->running = c->gate;
    }
}

static void counter_latch(struct pit_counter *c, uint64_t now)
{
    if (c->latched)
        return; /* "ignored until the first is read" */
    c->latch = counter_value(c, now);
    c->latched = c->rw == RW_BOTH ? 2 : 1;
}

static void counter_latch_status(struct pit_counter *c, uint64_t now)
{
    int null_count = c->pending || !c->loaded;

    if (c->status_latched)
        return;
    c->status = counter_out(c, now) << 7 | null_count << 6 | c->rw << 4 |
                c->mode << 1 | c->bcd;
    c->status_latched = 1;
}

static uint8_t counter_read(struct pit_counter *c, uint64_t now)
{
    uint16_t v;

    if (c->status_latched) {
        c->status_latched = 0;
        return c->status;
    }
    if (c->latched) {
        c->latched--;
        if (c->rw == RW_HIGH || (c->rw == RW_BOTH && !c->latched))
            return c->latch >> 8;
        return c->latch;
    }
    v = counter_value(c, now);
    if (c->rw == RW_BOTH)
        c->read_high ^= 1;
    return c->rw == RW_HIGH || (c->rw == RW_BOTH && !c->read_high) ? v >> 8 : v;
}

static void counter_write(struct pit_counter *c, uint8_t v, uint64_t now)
{
    switch (c->rw) {
    case RW_LOW: counter_load(c, v, now); break;
    case RW_HIGH: counter_load(c, v << 8, now); break;
    default:
        if (!c->write_high) {
            c->low_byte = v;
            c->write_high = 1;
            if (counter_mode(c) == 0) {
                /* "Writing the first byte disables counting.  OUT is set
                 * low immediately." */
                c->held = counter_elapsed(c, now);
                c->running = 0;
                c->loaded = 0;
            }
            break;
        }
        c->write_high = 0;
        counter_load(c, v << 8 | c->low_byte, now);
        break;
    }
}

static void pit_control(struct pit *s, uint8_t v, uint64_t now)
{
    unsigned select = v >> 6;
    struct pit_counter *c;
    unsigned i;

    if (select == 3) { /* read-back command */
        for (i = 0; i < 3; i++) {
            if (!(v & 2u << i))
                continue;
            if (!(v & 0x20))
                counter_latch(&s->st.counter[i], now);
            if (!(v & 0x10))
                counter_latch_status(&s->st.counter[i], now);
        }
        return;
    }
    c = &s->st.counter[select];
    if ((v >> 4 & 3) == RW_LATCH) {
        counter_latch(c, now);
        return;
    }
    *c = (struct pit_counter){ .rw = v >> 4 & 3,
                               .mode = v >> 1 & 7,
                               .bcd = v & 1,
                               .gate = c->gate,
                               .reload = c->reload,
                               .count = c->count };
}

/* The present tick, with all counters brought up to it. */
static uint64_t pit_settle(struct pit *s)
{
    uint64_t now = pit_now(s);

    for (unsigned i = 0; i < 3; i++)
        counter_settle(&s->st.counter[i], now);
    return now;
}

static uint32_t pit_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct pit *s = ctx;

    (void)width;
    if (offset == 3)
        return 0xff; /* the control word cannot be read */
    return counter_read(&s->st.counter[offset], pit_settle(s));
}

static void pit_write(void *ctx, uint32_t offset, uint32_t value,
                      uint32_t width)
{
    struct pit *s = ctx;
    uint64_t now = pit_settle(s);

    (void)width;
    if (offset == 3)
        pit_control(s, value, now);
    else
        counter_write(&s->st.counter[offset], value, now);
    if (offset == 0 || offset == 3)
        pit_sync(s);
}

static uint32_t port_b_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct pit *s = ctx;
    uint64_t ns = s->timer->now(s->dev, BP_CLOCK_VIRTUAL);
    uint8_t v = s->st.port_b;

    (void)offset, (void)width;
    if (ns / REFRESH_NS & 1)
        v |= PORTB_REFRESH;
    if (counter_out(&s->st.counter[2], pit_settle(s)))
        v |= PORTB_OUT2;
    return v;
}

static void port_b_write(void *ctx, uint32_t offset, uint32_t value,
                         uint32_t width)
{
    struct pit *s = ctx;

    (void)offset, (void)width;
    s->st.port_b = value & PORTB_WRITABLE;
    counter_set_gate(&s->st.counter[2], value & PORTB_GATE2, pit_settle(s));
}

static const struct bp_pio_ops pit_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = pit_read,
    .write = pit_write,
};

static const struct bp_pio_ops port_b_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = port_b_read,
    .write = port_b_write,
};

static int32_t pit_create(void *self, struct bp_dev *dev,
                          const struct bp_host *host)
{
    struct pit *s = self;

    s->dev = dev;
    s->timer = host->query(host, BP_TIMER);
    s->irq = host->query(host, BP_IRQ);
    s->pio = host->query(host, BP_PIO);
    return 0;
}

static int32_t pit_realize(void *self)
{
    struct pit *s = self;
    struct bp_dev *dev = s->dev;

    s->irq0 = s->irq->output(dev, "isa", 0);
    s->event =
        s->timer->create(dev, BP_CLOCK_VIRTUAL, "counter0", pit_event, s);
    if (!s->irq0 || !s->event ||
        !s->pio->claim(dev, "pit", PIT_PORT, 4, BP_SIZE_1, 0, &pit_ops, s) ||
        !s->pio->claim(dev, "port-b", PORT_B, 1, BP_SIZE_1, 0, &port_b_ops, s))
        return -EBUSY;
    return 0;
}

static void pit_reset(void *self, uint32_t kind)
{
    struct pit *s = self;

    (void)kind;
    s->st = (struct pit_state){ 0 };
    s->st.counter[0].gate = 1;
    s->st.counter[1].gate = 1;
    for (int i = 0; i < 3; i++)
        s->st.counter[i].rw = RW_BOTH;
    /* Undefined on the chip until it is programmed: mode 3 keeps OUT high,
     * so that no interrupt is pending when the firmware starts. */
    s->st.counter[0].mode = 3;
    pit_sync(s);
}

static int32_t pit_loaded(void *self, uint32_t version)
{
    struct pit *s = self;

    (void)version;
    for (int i = 0; i < 3; i++) {
        const struct pit_counter *c = &s->st.counter[i];

        if (c->mode > 7 || c->rw > RW_BOTH || c->rw == RW_LATCH)
            return -EINVAL;
    }
    return 0;
}

static const struct bp_field counter_fields[] = {
    BP_FIELD(struct pit_counter, start, "start"),
    BP_FIELD(struct pit_counter, held, "held"),
    BP_FIELD(struct pit_counter, switch_at, "switch_at"),
    BP_FIELD(struct pit_counter, reload, "reload"),
    BP_FIELD(struct pit_counter, count, "count"),
    BP_FIELD(struct pit_counter, latch, "latch"),
    BP_FIELD(struct pit_counter, mode, "mode"),
    BP_FIELD(struct pit_counter, bcd, "bcd"),
    BP_FIELD(struct pit_counter, rw, "rw"),
    BP_FIELD(struct pit_counter, gate, "gate"),
    BP_FIELD(struct pit_counter, loaded, "loaded"),
    BP_FIELD(struct pit_counter, running, "running"),
    BP_FIELD(struct pit_counter, pending, "pending"),
    BP_FIELD(struct pit_counter, low_byte, "low_byte"),
    BP_FIELD(struct pit_counter, write_high, "write_high"),
    BP_FIELD(struct pit_counter, read_high, "read_high"),
    BP_FIELD(struct pit_counter, latched, "latched"),
    BP_FIELD(struct pit_counter, status, "status"),
    BP_FIELD(struct pit_counter, status_latched, "status_latched"),
    BP_FIELD_END
};

static const struct bp_field pit_fields[] = {
    BP_FIELD_TABLE(struct pit, st.counter, "counter", 3, counter_fields),
    BP_FIELD(struct pit, st.port_b, "port_b"),
    BP_FIELD(struct pit, st.edge, "edge"),
    BP_FIELD(struct pit, st.edge_armed, "edge_armed"), BP_FIELD_END
};

static const char *const pit_requires[] = { BP_TIMER, BP_IRQ, BP_PIO, NULL };

static const struct bp_device_desc i8254_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_TIMER,
    .id = "i8254",
    .title = "Intel 8254 interval timer and port 61h",
    .instance_size = sizeof(struct pit),
    .state_offset = offsetof(struct pit, st),
    .state_size = sizeof(struct pit_state),
    .state_version = 1,
    .fields = pit_fields,
    .requires_ = pit_requires,
    .create = pit_create,
    .realize = pit_realize,
    .reset = pit_reset,
    .loaded = pit_loaded,
};

EXPORT_DEVICES("i8254", "Intel 8254 interval timer", &i8254_desc);
