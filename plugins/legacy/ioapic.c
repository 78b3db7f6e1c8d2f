/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ioapic: Intel 82093AA I/O advanced programmable interrupt controller.
 *
 * Datasheet: Intel 82093AA, order 290566; PIIX4 wiring: ISA IRQ n on input
 * n, but the timer (IRQ 0) on input 2, input 0 unused; inputs 16..23 "gsi".
 *
 * Modelled: 24 redirection entries, edge and level sense, both polarities,
 * mask, remote IRR with EOI from the local APICs, directed EOI register
 * (version 20h), arbitration ID register.
 * Not modelled: delivery-status bit (reads 0: delivery is immediate);
 * ExtINT entries deliver through the 8259 pair's own INTR line instead.
 */
#include <errno.h>
#include <stddef.h>

#include "export.h"

#define IOAPIC_BASE  0xfec00000u
#define IOAPIC_BYTES 0x1000u
#define PINS         24u

#define IOREGSEL 0x00
#define IOWIN    0x10
#define IOEOI    0x40

#define RTE_VECTOR   0x000000ffull
#define RTE_MODE(e)  ((unsigned)((e) >> 8) & 7)
#define RTE_LOGICAL  0x00000800ull
#define RTE_STATUS   0x00001000ull
#define RTE_LOW      0x00002000ull /* polarity: active low */
#define RTE_IRR      0x00004000ull
#define RTE_LEVEL    0x00008000ull
#define RTE_MASKED   0x00010000ull
#define RTE_READONLY (RTE_STATUS | RTE_IRR)
#define RTE_WRITABLE 0xff0000000001ffffull

struct ioapic_state {
    uint64_t entry[PINS];
    uint32_t level; /* bit n: input n is asserted */
    uint32_t irr;   /* bit n: request not yet delivered */
    uint8_t id;
    uint8_t index;
};

struct ioapic {
    /* Wiring */
    const struct bp_irq *irq;
    const struct bp_intc *intc;
    const struct bp_mmio *mmio;
    struct bp_dev *dev;
    /* State */
    struct ioapic_state st;
};

/* Sends what input n asks for, if it may. */
static void ioapic_service(struct ioapic *s, unsigned n)
{
    uint64_t e = s->st.entry[n];
    uint32_t bit = 1u << n;

    if (!(s->st.irr & bit) || e & RTE_MASKED)
        return;
    if (e & RTE_LEVEL) {
        if (e & RTE_IRR)
            return; /* until the EOI */
        s->st.entry[n] |= RTE_IRR;
    } else {
        s->st.irr &= ~bit;
    }
    s->intc->send(s->dev, e >> 56, !!(e & RTE_LOGICAL), RTE_MODE(e),
                  e & RTE_VECTOR, !!(e & RTE_LEVEL));
}

static void ioapic_set(struct ioapic *s, unsigned n, int level)
{
    uint32_t bit = 1u << n;
    uint64_t e = s->st.entry[n];
    int was = !!(s->st.level & bit);

    if (e & RTE_LEVEL) {
        if (level)
            s->st.irr |= bit;
        else
            s->st.irr &= ~bit;
    } else if (level && !was && !(e & RTE_MASKED)) {
        /* An edge on a masked input is not remembered. */
        s->st.irr |= bit;
    }
    s->st.level = level ? s->st.level | bit : s->st.level & ~bit;
    ioapic_service(s, n);
}

/*
 * Lines carry assertion, not voltage: PCI lines are "high" while asserted and
 * the board's firmware tables may call the same input active high or low.  So
 * polarity changes nothing.
 */
static void isa_input(void *ctx, uint32_t number, int32_t level)
{
    if (number == 2)
        return; /* the cascade is not an ISA line */
    ioapic_set(ctx, number ? number : 2, level);
}

static void gsi_input(void *ctx, uint32_t number, int32_t level)
{
    ioapic_set(ctx, number, level);
}

static void ioapic_eoi(void *ctx, uint8_t vector)
{
    struct ioapic *s = ctx;

    for (unsigned n = 0; n < PINS; n++) {
        uint64_t e = s->st.entry[n];

        if ((e & (RTE_LEVEL | RTE_IRR)) != (RTE_LEVEL | RTE_IRR) ||
            (e & RTE_VECTOR) != vector)
            continue;
        s->st.entry[n] &= ~RTE_IRR;
        ioapic_service(s, n);
    }
}

static uint32_t register_read(const struct ioapic_state *st)
{
    unsigned n = (st->index - 0x10u) >> 1;

    switch (st->index) {
    case 0: return (uint32_t)st->id << 24;
    case 1: return 0x20 | (PINS - 1) << 16;
    case 2: return (uint32_t)st->id << 24; /* arbitration ID */
    case 0x10 ... 0x10 + 2 * PINS - 1:
        return st->entry[n] >> (st->index & 1 ? 32 : 0);
    default: return 0;
    }
}

static void entry_write(struct ioapic *s, unsigned n, unsigned high, uint32_t v)
{
    uint64_t e = s->st.entry[n], keep = e & RTE_READONLY;
    uint32_t bit = 1u << n;

    if (high)
        e = (e & 0xffffffffu) | (uint64_t)v << 32;
    else
        e = (e & ~0xffffffffull) | v;
    e = (e & RTE_WRITABLE & ~RTE_READONLY) | keep;
    if (!(e & RTE_LEVEL))
        e &= ~RTE_IRR; /* edge sense has no remote IRR */
    s->st.entry[n] = e;
    if (e & RTE_LEVEL) {
        if (s->st.level & bit)
            s->st.irr |= bit;
        else
            s->st.irr &= ~bit;
    } else if (e & RTE_MASKED) {
        s->st.irr &= ~bit;
    }
    ioapic_service(s, n);
}

static uint64_t ioapic_read(void *ctx, uint64_t offset, uint32_t width)
{
    struct ioapic *s = ctx;

    (void)width;
    switch (offset) {
    case IOREGSEL: return s->st.index;
    case IOWIN: return register_read(&s->st);
    default: return 0;
    }
}

static void ioapic_write(void *ctx, uint64_t offset, uint64_t value,
                         uint32_t width)
{
    struct ioapic *s = ctx;

    (void)width;
    switch (offset) {
    case IOREGSEL: s->st.index = value; break;
    case IOWIN:
        if (s->st.index == 0)
            s->st.id = value >> 24 & 0xf;
        else if (s->st.index >= 0x10 && s->st.index < 0x10 + 2 * PINS)
            entry_write(s, (s->st.index - 0x10u) >> 1, s->st.index & 1, value);
        break;
    case IOEOI: ioapic_eoi(s, value); break;
    }
}

static const struct bp_mmio_ops ioapic_ops = {
    .size = sizeof(struct bp_mmio_ops),
    .read = ioapic_read,
    .write = ioapic_write,
};

static int32_t ioapic_create(void *self, struct bp_dev *dev,
                             const struct bp_host *host)
{
    struct ioapic *s = self;

    s->dev = dev;
    s->irq = host->query(host, BP_IRQ);
    s->intc = host->query(host, BP_INTC);
    s->mmio = host->query(host, BP_MMIO);
    return 0;
}

static int32_t ioapic_realize(void *self)
{
    struct ioapic *s = self;
    int32_t r = 0;

    for (uint32_t n = 0; n < 16 && r >= 0; n++)
        r = s->irq->input(s->dev, "isa", n, isa_input, s);
    for (uint32_t n = 16; n < PINS && r >= 0; n++)
        r = s->irq->input(s->dev, "gsi", n, gsi_input, s);
    if (r < 0)
        return r;
    if (!s->mmio->add_device(s->dev, "ioapic", IOAPIC_BASE, IOAPIC_BYTES,
                             BP_PRIO_DEVICE, 0, &ioapic_ops, s))
        return -EBUSY;
    return s->intc->on_eoi(s->dev, ioapic_eoi, s);
}

static void ioapic_reset(void *self, uint32_t kind)
{
    struct ioapic *s = self;

    (void)kind;
    s->st = (struct ioapic_state){ .level = s->st.level };
    for (unsigned n = 0; n < PINS; n++)
        s->st.entry[n] = RTE_MASKED;
}

static int32_t ioapic_loaded(void *self, uint32_t version)
{
    struct ioapic *s = self;

    (void)version;
    for (unsigned n = 0; n < PINS; n++)
        s->st.entry[n] &= RTE_WRITABLE;
    s->st.level &= (1u << PINS) - 1;
    s->st.irr &= (1u << PINS) - 1;
    return 0;
}

static const struct bp_field ioapic_fields[] = {
    BP_FIELD_ARRAY(struct ioapic, st.entry, "entry"),
    BP_FIELD(struct ioapic, st.level, "level"),
    BP_FIELD(struct ioapic, st.irr, "irr"),
    BP_FIELD(struct ioapic, st.id, "id"),
    BP_FIELD(struct ioapic, st.index, "index"),
    BP_FIELD_END
};

static const char *const ioapic_requires[] = { BP_IRQ, BP_INTC, BP_MMIO, NULL };

static const struct bp_device_desc ioapic_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_INTERRUPT,
    .id = "ioapic",
    .title = "Intel 82093AA I/O APIC",
    .instance_size = sizeof(struct ioapic),
    .state_offset = offsetof(struct ioapic, st),
    .state_size = sizeof(struct ioapic_state),
    .state_version = 1,
    .fields = ioapic_fields,
    .requires_ = ioapic_requires,
    .create = ioapic_create,
    .realize = ioapic_realize,
    .reset = ioapic_reset,
    .loaded = ioapic_loaded,
    .lane_rank = 2,
};

EXPORT_DEVICES("ioapic", "Intel 82093AA I/O APIC", &ioapic_desc);
