/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mc146818: the real-time clock and CMOS memory of a PC.
 *
 * Datasheet: Motorola MC146818A; 82371AB (PIIX4) section 4.2.6 for the
 * second bank at 72h/73h.
 *
 * Modelled: time of day in BCD or binary, 12 or 24 hours, alarm with "don't
 * care" codes, update cycle with UIP, periodic interrupt, update-ended and
 * alarm interrupt on IRQ 8, SET and divider reset, 256 bytes of memory, the
 * bytes by which a PC BIOS learns its memory and drives.
 * Not modelled: daylight saving (DSE is stored and ignored); square-wave
 * output (not wired on a PC); the contents are kept in saved state, not over
 * the end of the process.
 */
#include <errno.h>
#include <stddef.h>

#include "export.h"

#define NS 1000000000ll

enum {
    R_SECOND,
    R_SECOND_ALARM,
    R_MINUTE,
    R_MINUTE_ALARM,
    R_HOUR,
    R_HOUR_ALARM,
    R_WEEKDAY,
    R_DAY,
    R_MONTH,
    R_YEAR,
    R_A,
    R_B,
    R_C,
    R_D,
    R_CENTURY = 0x32,
};

#define A_UIP    0x80
#define A_DV     0x70
#define A_DV_RUN 0x20 /* 32.768 kHz crystal, counting */
#define A_RS     0x0f
#define B_SET    0x80
#define B_PIE    0x40
#define B_AIE    0x20
#define B_UIE    0x10
#define B_SQWE   0x08
#define B_DM     0x04 /* binary */
#define B_24     0x02
#define C_IRQF   0x80
#define C_PF     0x40
#define C_AF     0x20
#define C_UF     0x10
#define D_VRT    0x80

/* UIP rises 244 us before the update cycle, which takes 1984 us; both end
 * with the second. */
#define UIP_NS ((244 + 1984) * 1000ll)

#define DAY_SECONDS 86400ll

struct rtc_state {
    int64_t offset;          /* RTC time = wall clock + offset, ns */
    int64_t halted_at;       /* RTC time while it does not count, ns */
    int64_t update_seen;     /* second of the last update in reg C */
    uint64_t periodic_start; /* virtual ns of the last period taken */
    uint8_t weekday_shift;   /* day of the week as set, against the date */
    uint8_t index, index2;   /* ports 70h, 72h */
    uint8_t ram[256];
};

struct rtc {
    /* Configuration */
    uint64_t below_4g, above_4g;
    uint32_t cpus;
    uint32_t floppy[2];
    /* Wiring */
    const struct bp_timer *timer;
    const struct bp_irq *irq;
    const struct bp_pio *pio;
    struct bp_dev *dev;
    struct bp_irq_line *irq8;
    struct bp_timer_handle *second, *period;
    /* State */
    struct rtc_state st;
};

struct civil {
    int year, month, day, hour, minute, second, weekday;
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days since 1970-01-01 of a Gregorian date (years from March). */
static int64_t days_from_civil(int y, int m, int d)
{
    int64_t era, doe, yoe;

    y -= m <= 2;
    era = floor_div(y, 400);
    yoe = y - era * 400;
    doe = yoe * 365 + yoe / 4 - yoe / 100 +
          (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + doe - 719468;
}

static struct civil civil_from_seconds(int64_t t)
{
    int64_t days = floor_div(t, DAY_SECONDS);
    int64_t rest = t - days * DAY_SECONDS;
    int64_t z = days + 719468;
    int64_t era = floor_div(z, 146097);
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    struct civil c;

    c.day = doy - (153 * mp + 2) / 5 + 1;
    c.month = mp < 10 ? mp + 3 : mp - 9;
    c.year = yoe + era * 400 + (c.month <= 2);
    c.hour = rest / 3600;
    c.minute = rest / 60 % 60;
    c.second = rest % 60;
    c.weekday = (days % 7 + 7 + 4) % 7 + 1; /* 1970 began on a Thursday */
    return c;
}

static int counting(const struct rtc_state *st)
{
    return !(st->ram[R_B] & B_SET) && (st->ram[R_A] & A_DV) == A_DV_RUN;
}

static int64_t rtc_time(struct rtc *s)
{
    if (!counting(&s->st))
        return s->st.halted_at;
    return (int64_t)s->timer->now(s->dev, BP_CLOCK_WALL) + s->st.offset;
}

static uint8_t encode(const struct rtc_state *st, int v)
{
    return st->ram[R_B] & B_DM ? v : v / 10 << 4 | v % 10;
}

static int decode(const struct rtc_state *st, uint8_t v)
{
    return st->ram[R_B] & B_DM ? v : (v >> 4) * 10 + (v & 15);
}

static uint8_t encode_hour(const struct rtc_state *st, int hour)
{
    if (st->ram[R_B] & B_24)
        return encode(st, hour);
    return encode(st, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0);
}

static int decode_hour(const struct rtc_state *st, uint8_t v)
{
    if (st->ram[R_B] & B_24)
        return decode(st, v);
    return decode(st, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

/* Time registers from the clock. */
static void registers_from_time(struct rtc_state *st, int64_t t)
{
    struct civil c = civil_from_seconds(floor_div(t, NS));

    st->ram[R_SECOND] = encode(st, c.second);
    st->ram[R_MINUTE] = encode(st, c.minute);
    st->ram[R_HOUR] = encode_hour(st, c.hour);
    st->ram[R_WEEKDAY] =
        encode(st, (c.weekday - 1 + st->weekday_shift) % 7 + 1);
    st->ram[R_DAY] = encode(st, c.day);
    st->ram[R_MONTH] = encode(st, c.month);
    st->ram[R_YEAR] = encode(st, c.year % 100);
    st->ram[R_CENTURY] = encode(st, c.year / 100 % 100);
}

/* ... and back.  What a guest writes may be no date: it is carried over. */
static int64_t time_from_registers(const struct rtc_state *st)
{
    int year =
        decode(st, st->ram[R_CENTURY]) * 100 + decode(st, st->ram[R_YEAR]);
    int month = decode(st, st->ram[R_MONTH]);
    int64_t days;

    if (month < 1 || month > 12)
        month = 1;
    days = days_from_civil(year, month, decode(st, st->ram[R_DAY]));
    return ((days * 24 + decode_hour(st, st->ram[R_HOUR])) * 3600 +
            decode(st, st->ram[R_MINUTE]) * 60 +
            decode(st, st->ram[R_SECOND])) *
           NS;
}

/* The day of the week is a counter of its own. */
static void keep_weekday(struct rtc_state *st, int64_t t)
{
    int want = decode(st, st->ram[R_WEEKDAY]) % 7;
    int is = civil_from_seconds(floor_div(t, NS)).weekday;

    st->weekday_shift = (want - is + 7) % 7;
}

static int alarm_matches(const struct rtc_state *st, const struct civil *c)
{
    const uint8_t *r = st->ram;

    /* The two top bits set mean "every". */
    return (r[R_SECOND_ALARM] >= 0xc0 ||
            decode(st, r[R_SECOND_ALARM]) == c->second) &&
           (r[R_MINUTE_ALARM] >= 0xc0 ||
            decode(st, r[R_MINUTE_ALARM]) == c->minute) &&
           (r[R_HOUR_ALARM] >= 0xc0 ||
            decode_hour(st, r[R_HOUR_ALARM]) == c->hour);
}

static uint64_t period_ns(const struct rtc_state *st)
{
    unsigned rs = st->ram[R_A] & A_RS;

    if (!rs || (st->ram[R_A] & A_DV) != A_DV_RUN)
        return 0;
    if (rs < 3)
        rs += 7; /* 256 and 128 Hz with this crystal */
    return bp_muldiv(1ull << (rs - 1), 1000000000u, 32768);
}

static void rtc_sync(struct rtc *s)
{
    uint8_t *r = s->st.ram;
    int64_t now = rtc_time(s);
    uint64_t wall = s->timer->now(s->dev, BP_CLOCK_WALL);
    uint64_t period = period_ns(&s->st);

    r[R_C] &= ~C_IRQF;
    if (r[R_C] & r[R_B] & (C_PF | C_AF | C_UF))
        r[R_C] |= C_IRQF;
    s->irq->set(s->irq8, !!(r[R_C] & C_IRQF));

    /* One event a second, only while somebody waits for it. */
    if (counting(&s->st) && r[R_B] & (B_UIE | B_AIE))
        s->timer->arm(s->second, wall + (floor_div(now, NS) + 1) * NS - now);
    else
        s->timer->cancel(s->second);
    if (r[R_B] & B_PIE && period)
        s->timer->arm(s->period, s->st.periodic_start + period);
    else
        s->timer->cancel(s->period);
}

/* Takes in all updates up to now. */
static void catch_up(struct rtc *s)
{
    int64_t now = floor_div(rtc_time(s), NS);
    uint64_t virtual_now = s->timer->now(s->dev, BP_CLOCK_VIRTUAL);
    uint64_t period = period_ns(&s->st);
    int64_t t;

    if (counting(&s->st) && now != s->st.update_seen) {
        s->st.ram[R_C] |= C_UF;
        /* A day of seconds holds every alarm there is. */
        t = s->st.update_seen;
        if (t > now || now - t > DAY_SECONDS)
            t = now - DAY_SECONDS;
        while (t < now && !(s->st.ram[R_C] & C_AF)) {
            struct civil c = civil_from_seconds(++t);

            if (alarm_matches(&s->st, &c))
                s->st.ram[R_C] |= C_AF;
        }
        s->st.update_seen = now;
    }
    if (period && virtual_now - s->st.periodic_start >= period) {
        s->st.ram[R_C] |= C_PF;
        s->st.periodic_start +=
            (virtual_now - s->st.periodic_start) / period * period;
    }
}

static void rtc_event(void *ctx)
{
    struct rtc *s = ctx;

    catch_up(s);
    rtc_sync(s);
}

static uint8_t cmos_read(struct rtc *s, uint8_t index)
{
    uint8_t *r = s->st.ram;
    int64_t now = rtc_time(s);
    uint8_t v;

    switch (index) {
    case R_A:
        v = r[R_A];
        if (counting(&s->st) && now - floor_div(now, NS) * NS >= NS - UIP_NS)
            v |= A_UIP;
        return v;
    case R_C:
        catch_up(s);
        rtc_sync(s);
        v = r[R_C];
        r[R_C] = 0;
        rtc_sync(s);
        return v;
    case R_SECOND:
    case R_MINUTE:
    case R_HOUR:
    case R_WEEKDAY:
    case R_DAY:
    case R_MONTH:
    case R_YEAR:
    case R_CENTURY:
        if (counting(&s->st))
            registers_from_time(&s->st, now);
        return r[index];
    default: return r[index];
    }
}

/* Where in its second the divider chain is. */
static int64_t divider_phase(struct rtc *s)
{
    int64_t t = (int64_t)s->timer->now(s->dev, BP_CLOCK_WALL) + s->st.offset;

    return t - floor_div(t, NS) * NS;
}

/* Starts or stops the count when SET or the divider changed. */
static void set_counting(struct rtc *s, int was, int64_t then)
{
    int is = counting(&s->st);

    if (was && !is) {
        registers_from_time(&s->st, then);
        s->st.halted_at = then;
    } else if (!was && is) {
        int64_t t = time_from_registers(&s->st);

        keep_weekday(&s->st, t);
        s->st.update_seen = floor_div(t, NS);
        t += divider_phase(s);
        s->st.offset = t - (int64_t)s->timer->now(s->dev, BP_CLOCK_WALL);
    }
}

static void write_a(struct rtc *s, uint8_t v)
{
    uint8_t was = s->st.ram[R_A];
    uint64_t now = s->timer->now(s->dev, BP_CLOCK_VIRTUAL);
    int64_t wall = (int64_t)s->timer->now(s->dev, BP_CLOCK_WALL);

    s->st.ram[R_A] = v & ~A_UIP;
    if ((v ^ was) & (A_RS | A_DV))
        s->st.periodic_start = now;
    /* "The first update occurs 500 ms after the divider is released." */
    if ((was & A_DV) != A_DV_RUN && (v & A_DV) == A_DV_RUN)
        s->st.offset = NS / 2 - wall;
}

static void write_control(struct rtc *s, uint8_t index, uint8_t v)
{
    int was = counting(&s->st);
    int64_t then = rtc_time(s);

    catch_up(s);
    if (index == R_A) {
        write_a(s, v);
    } else {
        if (v & B_SET)
            v &= ~B_UIE; /* "SET clears UIE" */
        s->st.ram[R_B] = v;
    }
    set_counting(s, was, then);
}

static void write_time(struct rtc *s, uint8_t index, uint8_t v)
{
    int64_t now = rtc_time(s);
    int64_t t;

    if (!counting(&s->st)) {
        s->st.ram[index] = v;
        s->st.halted_at = time_from_registers(&s->st);
        return;
    }
    catch_up(s);
    registers_from_time(&s->st, now);
    s->st.ram[index] = v;
    t = time_from_registers(&s->st);
    keep_weekday(&s->st, t);
    s->st.update_seen = floor_div(t, NS);
    s->st.offset += t + now - floor_div(now, NS) * NS - now;
}

static void cmos_write(struct rtc *s, uint8_t index, uint8_t v)
{
    switch (index) {
    case R_A:
    case R_B: write_control(s, index, v); break;
    case R_C:
    case R_D: return; /* read only */
    case R_SECOND:
    case R_MINUTE:
    case R_HOUR:
    case R_WEEKDAY:
    case R_DAY:
    case R_MONTH:
    case R_YEAR:
    case R_CENTURY: write_time(s, index, v); break;
    case R_SECOND_ALARM:
    case R_MINUTE_ALARM:
    case R_HOUR_ALARM:
        catch_up(s); /* up to now the old alarm counts */
        s->st.ram[index] = v;
        break;
    default: s->st.ram[index] = v; break;
    }
    rtc_sync(s);
}

static uint32_t rtc_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct rtc *s = ctx;

    (void)width;
    switch (offset) {
    case 1: return cmos_read(s, s->st.index);
    case 3: return s->st.ram[0x80 | s->st.index2];
    default: return 0xff; /* the index ports cannot be read */
    }
}

static void rtc_write(void *ctx, uint32_t offset, uint32_t value,
                      uint32_t width)
{
    struct rtc *s = ctx;

    (void)width;
    switch (offset) {
    case 0: s->st.index = value & 0x7f; break; /* bit 7: NMI mask */
    case 1: cmos_write(s, s->st.index, value); break;
    case 2: s->st.index2 = value & 0x7f; break;
    case 3: s->st.ram[0x80 | s->st.index2] = value; break;
    }
}

static void put_word(uint8_t *ram, unsigned index, uint64_t v)
{
    if (v > 0xffff)
        v = 0xffff;
    ram[index] = v;
    ram[index + 1] = v >> 8;
}

/* What an AT BIOS stores; SeaBIOS reads 34h, 5Bh and 5Fh. */
static void describe_board(struct rtc *s)
{
    uint8_t *r = s->st.ram;
    uint64_t above_1m = s->below_4g > 1 << 20 ? s->below_4g - (1 << 20) : 0;
    uint64_t above_16m = s->below_4g > 16 << 20 ? s->below_4g - (16 << 20) : 0;
    unsigned drives = (s->floppy[0] != 0) + (s->floppy[1] != 0);
    uint16_t sum = 0;

    r[0x10] = s->floppy[0] << 4 | s->floppy[1];
    /* Equipment: floppies, 80-column colour, coprocessor, keyboard. */
    r[0x14] = (drives ? 1 | (drives - 1) << 6 : 0) | 0x06;
    put_word(r, 0x15, 640);
    put_word(r, 0x17, above_1m >> 10);
    put_word(r, 0x30, above_1m >> 10);
    put_word(r, 0x34, above_16m >> 16);
    r[0x5b] = s->above_4g >> 16;
    r[0x5c] = s->above_4g >> 24;
    r[0x5d] = s->above_4g >> 32;
    r[0x5f] = s->cpus - 1;
    for (unsigned i = 0x10; i < 0x2e; i++)
        sum += r[i];
    r[0x2e] = sum >> 8;
    r[0x2f] = sum;
}

static const struct bp_pio_ops rtc_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = rtc_read,
    .write = rtc_write,
};

static int32_t rtc_create(void *self, struct bp_dev *dev,
                          const struct bp_host *host)
{
    struct rtc *s = self;

    s->dev = dev;
    s->timer = host->query(host, BP_TIMER);
    s->irq = host->query(host, BP_IRQ);
    s->pio = host->query(host, BP_PIO);
    return 0;
}

static int32_t rtc_realize(void *self)
{
    struct rtc *s = self;
    struct bp_dev *dev = s->dev;

    s->irq8 = s->irq->output(dev, "isa", 8);
    s->second = s->timer->create(dev, BP_CLOCK_WALL, "second", rtc_event, s);
    s->period = s->timer->create(dev, BP_CLOCK_VIRTUAL, "period", rtc_event, s);
    if (!s->irq8 || !s->second || !s->period ||
        !s->pio->claim(dev, "cmos", 0x70, 4, BP_SIZE_1, 0, &rtc_ops, s))
        return -EBUSY;
    /* The battery kept the clock running: set once, not at reset. */
    s->st.ram[R_A] = A_DV_RUN | 6;
    s->st.ram[R_B] = B_24;
    s->st.ram[R_D] = D_VRT;
    s->st.update_seen = floor_div(rtc_time(s), NS);
    registers_from_time(&s->st, rtc_time(s));
    describe_board(s);
    return 0;
}

/* RESET# clears the enables and flags; time and memory stay. */
static void rtc_reset(void *self, uint32_t kind)
{
    struct rtc *s = self;

    (void)kind;
    s->st.ram[R_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    s->st.ram[R_C] = 0;
    s->st.index = s->st.index2 = 0;
    s->st.periodic_start = s->timer->now(s->dev, BP_CLOCK_VIRTUAL);
    rtc_sync(s);
}

static int32_t rtc_loaded(void *self, uint32_t version)
{
    struct rtc *s = self;

    (void)version;
    s->st.index &= 0x7f;
    s->st.index2 &= 0x7f;
    s->st.weekday_shift %= 7;
    return 0;
}

static const struct bp_field rtc_fields[] = {
    BP_FIELD(struct rtc, st.offset, "offset"),
    BP_FIELD(struct rtc, st.halted_at, "halted_at"),
    BP_FIELD(struct rtc, st.update_seen, "update_seen"),
    BP_FIELD(struct rtc, st.periodic_start, "periodic_start"),
    BP_FIELD(struct rtc, st.weekday_shift, "weekday_shift"),
    BP_FIELD(struct rtc, st.index, "index"),
    BP_FIELD(struct rtc, st.index2, "index2"),
    BP_FIELD_BLOB(struct rtc, st.ram, "ram"),
    BP_FIELD_END
};

static const char *const floppy_types[] = { "none",  "360k",  "1.2m", "720k",
                                            "1.44m", "2.88m", NULL };

static const struct bp_property rtc_properties[] = {
    { .name = "ram-below-4g",
      .help = "bytes of memory from address 0",
      .type = BP_PROP_SIZE,
      .offset = offsetof(struct rtc, below_4g),
      .number = 128 << 20 },
    { .name = "ram-above-4g",
      .help = "bytes of memory from 4 GiB on",
      .type = BP_PROP_SIZE,
      .offset = offsetof(struct rtc, above_4g) },
    { .name = "cpus",
      .help = "number of processors",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct rtc, cpus),
      .min = 1,
      .max = 256,
      .number = 1 },
    { .name = "floppy0",
      .help = "type of the first floppy drive",
      .type = BP_PROP_CHOICE,
      .offset = offsetof(struct rtc, floppy[0]),
      .choices = floppy_types },
    { .name = "floppy1",
      .help = "type of the second floppy drive",
      .type = BP_PROP_CHOICE,
      .offset = offsetof(struct rtc, floppy[1]),
      .choices = floppy_types },
    { .name = NULL },
};

static const char *const rtc_requires[] = { BP_TIMER, BP_IRQ, BP_PIO, NULL };

static const struct bp_device_desc mc146818_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_TIMER,
    .id = "mc146818",
    .title = "Motorola MC146818 real-time clock and CMOS memory",
    .instance_size = sizeof(struct rtc),
    .state_offset = offsetof(struct rtc, st),
    .state_size = sizeof(struct rtc_state),
    .state_version = 1,
    .fields = rtc_fields,
    .properties = rtc_properties,
    .requires_ = rtc_requires,
    .create = rtc_create,
    .realize = rtc_realize,
    .reset = rtc_reset,
    .loaded = rtc_loaded,
};

EXPORT_DEVICES("mc146818", "MC146818 real-time clock", &mc146818_desc);
