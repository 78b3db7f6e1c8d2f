/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8259: the two Intel 8259A interrupt controllers of a PC.
 *
 * Datasheet: Intel 8259A, order 231468; 82371AB (PIIX4) section 4.2.3 for
 * the ELCR registers 4D0h/4D1h.
 *
 * Modelled: initialisation sequence, fully nested and special fully nested
 * mode, specific and non-specific EOI, automatic EOI, rotation, special mask
 * mode, polling, edge and level sense (ICW1.LTIM and ELCR), spurious IRQ 7
 * and 15, cascade on IRQ 2.
 * Not modelled: MCS-80 mode (ICW4.uPM = 0 behaves like 8086 mode), buffered
 * mode bits (no effect on a PC).
 */
#include <errno.h>

#include "export.h"

#define ICW1_IC4  0x01
#define ICW1_SNGL 0x02
#define ICW1_LTIM 0x08
#define ICW1_INIT 0x10
#define ICW4_AEOI 0x02
#define ICW4_SFNM 0x10
#define OCW3      0x08
#define OCW3_P    0x04
#define OCW3_RR   0x02
#define OCW3_RIS  0x01
#define OCW3_ESMM 0x40
#define OCW3_SMM  0x20

#define CASCADE 2

/* Lines that stay edge-sensed whatever the ELCR says (PIIX4). */
static const uint8_t elcr_mask[2] = { 0xf8, 0xde };

struct pic_state {
    uint8_t irr, imr, isr;
    uint8_t level; /* lines that are high now */
    uint8_t elcr;
    uint8_t vector; /* ICW2, low three bits 0 */
    uint8_t lowest; /* IRQ with the lowest priority */
    uint8_t icw1, icw4;
    uint8_t step; /* ICW expected next: 0 none, 2, 3, 4 */
    uint8_t read_isr;
    uint8_t poll;
    uint8_t special_mask;
    uint8_t rotate_on_aeoi;
};

struct pics_state {
    struct pic_state pic[2]; /* master, slave */
};

struct pics {
    /* Wiring */
    const struct bp_irq *irq;
    const struct bp_intc *intc;
    const struct bp_pio *pio;
    struct bp_dev *dev;
    struct bp_irq_line *intr;
    /* State */
    struct pics_state st;
};

/* 0 is the highest priority, 8 none. */
static unsigned priority_of(const struct pic_state *p, uint8_t mask)
{
    for (unsigned i = 0; i < 8; i++)
        if (mask & 1u << ((p->lowest + 1 + i) & 7))
            return i;
    return 8;
}

static unsigned irq_at(const struct pic_state *p, unsigned priority)
{
    return (p->lowest + 1 + priority) & 7;
}

/* The request to be presented to the processor, or -1. */
static int pic_request(const struct pic_state *p, int is_master)
{
    uint8_t serving = p->special_mask ? p->isr & ~p->imr : p->isr;
    unsigned want = priority_of(p, p->irr & ~p->imr);
    unsigned limit = priority_of(p, serving);

    /* Special fully nested: the slave may interrupt its own service. */
    if (is_master && p->icw4 & ICW4_SFNM && limit < 8 &&
        irq_at(p, limit) == CASCADE)
        limit++;
    return want < 8 && want < limit ? (int)irq_at(p, want) : -1;
}

static void pic_line(struct pic_state *p, unsigned n, int level)
{
    uint8_t bit = 1u << n;
    int level_sensed = p->icw1 & ICW1_LTIM || p->elcr & bit;

    if (level) {
        if (level_sensed || !(p->level & bit))
            p->irr |= bit;
        p->level |= bit;
    } else {
        /* "The IR inputs must remain high until [...] INTA": a short pulse
         * leaves nothing but the spurious vector behind, on edge lines
         * too. */
        p->irr &= ~bit;
        p->level &= ~bit;
    }
}

/*
 * The only place that drives the cascade and INTR.  The slave drops INT at
 * each acknowledge and raises it for the next request, so to the master its
 * input acts like a level.
 */
static void pics_sync(struct pics *s)
{
    struct pic_state *m = &s->st.pic[0];

    m->irr &= ~(1u << CASCADE);
    if (pic_request(&s->st.pic[1], 0) >= 0)
        m->irr |= 1u << CASCADE;
    s->irq->set(s->intr, pic_request(m, 1) >= 0);
}

static void pics_input(void *ctx, uint32_t number, int32_t level)
{
    struct pics *s = ctx;

    if (number == CASCADE)
        return;
    pic_line(&s->st.pic[number >> 3], number & 7, level);
    pics_sync(s);
}

/* INTA: moves the request into service. */
static void pic_take(struct pic_state *p, unsigned n)
{
    uint8_t bit = 1u << n;

    if (!(p->icw1 & ICW1_LTIM || p->elcr & bit))
        p->irr &= ~bit;
    if (!(p->icw4 & ICW4_AEOI))
        p->isr |= bit;
    else if (p->rotate_on_aeoi)
        p->lowest = n;
}

static int32_t pics_acknowledge(void *ctx)
{
    struct pics *s = ctx;
    struct pic_state *m = &s->st.pic[0], *sl = &s->st.pic[1];
    int n = pic_request(m, 1);
    int vector;

    if (n < 0) {
        vector = m->vector | 7;
    } else if (n == CASCADE) {
        int k = pic_request(sl, 0);

        pic_take(m, CASCADE);
        vector = sl->vector | (k < 0 ? 7 : k);
        if (k >= 0)
            pic_take(sl, k);
    } else {
        pic_take(m, n);
        vector = m->vector | n;
    }
    pics_sync(s);
    return vector;
}

static void pic_icw1(struct pic_state *p, uint8_t v)
{
    uint8_t level = p->level, elcr = p->elcr, vector = p->vector;

    /* Edge sense starts anew: a line that is already high gives no edge. */
    *p = (struct pic_state){ .level = level,
                             .elcr = elcr,
                             .vector = vector,
                             .icw1 = v,
                             .lowest = 7,
                             .step = 2 };
    p->irr = v & ICW1_LTIM ? level : level & elcr;
}

static void pic_eoi(struct pic_state *p, unsigned n, int rotate)
{
    p->isr &= ~(1u << n);
    if (rotate)
        p->lowest = n;
}

static void pic_ocw2(struct pic_state *p, uint8_t v)
{
    uint8_t serving = p->special_mask ? p->isr & ~p->imr : p->isr;
    unsigned top = priority_of(p, serving);

    switch (v >> 5) {
    case 0: p->rotate_on_aeoi = 0; break;
    case 4: p->rotate_on_aeoi = 1; break;
    case 1:
    case 5:
        if (top < 8)
            pic_eoi(p, irq_at(p, top), v >> 5 == 5);
        break;
    case 3: pic_eoi(p, v & 7, 0); break;
    case 7: pic_eoi(p, v & 7, 1); break;
    case 6: p->lowest = v & 7; break;
    default: break; /* 2: no operation */
    }
}

static void pic_ocw3(struct pic_state *p, uint8_t v)
{
    if (v & OCW3_P)
        p->poll = 1;
    if (v & OCW3_RR)
        p->read_isr = v & OCW3_RIS;
    if (v & OCW3_ESMM)
        p->special_mask = !!(v & OCW3_SMM);
}

static void pic_write_odd(struct pic_state *p, uint8_t v)
{
    switch (p->step) {
    case 2:
        p->vector = v & 0xf8;
        p->step = !(p->icw1 & ICW1_SNGL) ? 3 : p->icw1 & ICW1_IC4 ? 4 : 0;
        break;
    case 3: /* the cascade is wired, not programmed */
        p->step = p->icw1 & ICW1_IC4 ? 4 : 0;
        break;
    case 4:
        p->icw4 = v;
        p->step = 0;
        break;
    default: p->imr = v; break;
    }
}

static void pics_write(void *ctx, uint32_t chip, uint32_t offset,
                       uint32_t value)
{
    struct pics *s = ctx;
    struct pic_state *p = &s->st.pic[chip];

    if (offset)
        pic_write_odd(p, value);
    else if (value & ICW1_INIT)
        pic_icw1(p, value);
    else if (value & OCW3)
        pic_ocw3(p, value);
    else
        pic_ocw2(p, value);
    pics_sync(s);
}

static uint32_t pics_read(struct pics *s, uint32_t chip, uint32_t offset)
{
    struct pic_state *p = &s->st.pic[chip];

    if (p->poll) {
        int n = pic_request(p, !chip);

        p->poll = 0;
        if (n < 0)
            return 0;
        pic_take(p, n);
        pics_sync(s);
        return 0x80 | n;
    }
    if (offset)
        return p->imr;
    return p->read_isr ? p->isr : p->irr;
}

static uint32_t master_read(void *ctx, uint32_t offset, uint32_t width)
{
    (void)width;
    return pics_read(ctx, 0, offset);
}

static void master_write(void *ctx, uint32_t offset, uint32_t value,
                         uint32_t width)
{
    (void)width;
    pics_write(ctx, 0, offset, value);
}

static uint32_t slave_read(void *ctx, uint32_t offset, uint32_t width)
{
    (void)width;
    return pics_read(ctx, 1, offset);
}

static void slave_write(void *ctx, uint32_t offset, uint32_t value,
                        uint32_t width)
{
    (void)width;
    pics_write(ctx, 1, offset, value);
}

static uint32_t elcr_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct pics *s = ctx;

    (void)width;
    return s->st.pic[offset].elcr;
}

static void elcr_write(void *ctx, uint32_t offset, uint32_t value,
                       uint32_t width)
{
    struct pics *s = ctx;
    struct pic_state *p = &s->st.pic[offset];

    (void)width;
    p->elcr = value & elcr_mask[offset];
    p->irr |= p->level & p->elcr;
    pics_sync(s);
}

static const struct bp_pio_ops master_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = master_read,
    .write = master_write,
};

static const struct bp_pio_ops slave_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = slave_read,
    .write = slave_write,
};

static const struct bp_pio_ops elcr_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = elcr_read,
    .write = elcr_write,
};

static int32_t pics_create(void *self, struct bp_dev *dev,
                           const struct bp_host *host)
{
    struct pics *s = self;

    s->dev = dev;
    s->irq = host->query(host, BP_IRQ);
    s->intc = host->query(host, BP_INTC);
    s->pio = host->query(host, BP_PIO);
    return 0;
}

static int32_t pics_realize(void *self)
{
    struct pics *s = self;
    struct bp_dev *dev = s->dev;
    int32_t r;

    s->intr = s->irq->output(dev, "intr", 0);
    if (!s->intr)
        return -EBUSY;
    for (uint32_t n = 0; n < 16; n++) {
        r = s->irq->input(dev, "isa", n, pics_input, s);
        if (r < 0)
            return r;
    }
    if (!s->pio->claim(dev, "pic1", 0x20, 2, BP_SIZE_1, 0, &master_ops, s) ||
        !s->pio->claim(dev, "pic2", 0xa0, 2, BP_SIZE_1, 0, &slave_ops, s) ||
        !s->pio->claim(dev, "elcr", 0x4d0, 2, BP_SIZE_1, 0, &elcr_ops, s))
        return -EBUSY;
    return s->intc->set_acknowledge(dev, pics_acknowledge, s);
}

static void pics_reset(void *self, uint32_t kind)
{
    struct pics *s = self;

    (void)kind;
    for (int i = 0; i < 2; i++)
        s->st.pic[i] = (struct pic_state){ .lowest = 7,
                                           .level = s->st.pic[i].level,
                                           .imr = 0xff };
    pics_sync(s);
}

static int32_t pics_loaded(void *self, uint32_t version)
{
    struct pics *s = self;

    (void)version;
    for (int i = 0; i < 2; i++)
        if (s->st.pic[i].lowest > 7 || s->st.pic[i].step > 4)
            return -EINVAL;
    return 0;
}

static const struct bp_field pic_fields[] = {
    BP_FIELD(struct pic_state, irr, "irr"),
    BP_FIELD(struct pic_state, imr, "imr"),
    BP_FIELD(struct pic_state, isr, "isr"),
    BP_FIELD(struct pic_state, level, "level"),
    BP_FIELD(struct pic_state, elcr, "elcr"),
    BP_FIELD(struct pic_state, vector, "vector"),
    BP_FIELD(struct pic_state, lowest, "lowest"),
    BP_FIELD(struct pic_state, icw1, "icw1"),
    BP_FIELD(struct pic_state, icw4, "icw4"),
    BP_FIELD(struct pic_state, step, "step"),
    BP_FIELD(struct pic_state, read_isr, "read_isr"),
    BP_FIELD(struct pic_state, poll, "poll"),
    BP_FIELD(struct pic_state, special_mask, "special_mask"),
    BP_FIELD(struct pic_state, rotate_on_aeoi, "rotate_on_aeoi"),
    BP_FIELD_END
};

static const struct bp_field pics_fields[] = {
    BP_FIELD_TABLE(struct pics, st.pic, "pic", 2, pic_fields), BP_FIELD_END
};

static const char *const pics_requires[] = { BP_IRQ, BP_INTC, BP_PIO, NULL };

static const struct bp_device_desc i8259_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_INTERRUPT,
    .id = "i8259",
    .title = "Intel 8259A interrupt controllers (pair)",
    .instance_size = sizeof(struct pics),
    .state_offset = offsetof(struct pics, st),
    .state_size = sizeof(struct pics_state),
    .state_version = 1,
    .fields = pics_fields,
    .requires_ = pics_requires,
    .create = pics_create,
    .realize = pics_realize,
    .reset = pics_reset,
    .loaded = pics_loaded,
    .lane_rank = 2,
};

EXPORT_DEVICES("i8259", "Intel 8259A interrupt controllers", &i8259_desc);
