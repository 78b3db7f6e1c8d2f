/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi-pm: what a Generation 2 machine has of a chipset: the fixed ACPI
 * registers at 400h, the reset register at 433h and the generation id.
 *
 * Ports, from the base: 00h PM1 status, 02h PM1 enable, 04h PM1 control
 * (SCI_EN reads 1: there is no mode but ACPI), 08h timer of 32 bits, 0Ch
 * general-purpose status (16 bits), 0Eh enable, 33h reset (value 1).  SCI is
 * IRQ 9.  Of sleep states there is S5 (SLP_TYP 0).
 *
 * The generation id is 16 bytes of guest memory whose address the ACPI
 * tables give.  It is another one after the machine was restored, and then
 * general-purpose event 0 tells the guest to stir its random numbers.
 *
 * Sources: ACPI 6.4 sections 4.7 and 4.8; "Virtual Machine Generation ID",
 * Microsoft 2012; reference/hyperv.md 2.6 for the ports.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "export.h"

#define PM_PORTS 64u
#define PMTMR_HZ 3579545u
#define SCI_IRQ  9

#define PM_STS   0x00
#define PM_EN    0x02
#define PM_CNTRL 0x04
#define PM_TMR   0x08
#define PM_GPSTS 0x0c
#define PM_GPEN  0x0e
#define PM_RESET 0x33

#define STS_TMROF      0x0001
#define STS_PWRBTN     0x0100
#define STS_CLEAR      0x8531 /* write one to clear */
#define EN_WRITABLE    0x0521
#define CNTRL_SCI_EN   0x0001
#define CNTRL_WRITABLE 0x1c03
#define CNTRL_SLP_EN   0x2000
#define SLP_TYP(v)     ((v) >> 10 & 7)
#define SLP_TYP_S5     0
#define RESET_VALUE    1
#define GPE_GENERATION 0x0001

#define ID_BYTES 16u

struct pm_state {
    uint16_t sts, en, cntrl;
    uint16_t gpsts, gpen;
    uint64_t overflows; /* half periods of the timer seen */
};

struct pm {
    /* Configuration */
    uint32_t base;
    const char *generation; /* 32 hexadecimal digits */
    uint64_t generation_at; /* 0: nowhere */
    /* Wiring */
    const struct bp_log *log;
    const struct bp_timer *timer;
    const struct bp_pio *pio;
    const struct bp_irq *irq;
    const struct bp_dma *dma;
    const struct bp_power *power;
    struct bp_dev *dev;
    struct bp_irq_line *sci;
    struct bp_timer_handle *overflow;
    uint8_t id[ID_BYTES];
    int restored; /* the guest has not been told yet */
    /* State */
    struct pm_state st;
};

static uint64_t pm_ticks(struct pm *s)
{
    return bp_muldiv(s->timer->now(s->dev, BP_CLOCK_VIRTUAL), PMTMR_HZ,
                     1000000000u);
}

/* TMROF is set whenever the timer's highest bit changes. */
static void pm_take_overflow(struct pm *s)
{
    uint64_t half = pm_ticks(s) >> 31;

    if (half != s->st.overflows)
        s->st.sts |= STS_TMROF;
    s->st.overflows = half;
}

static void pm_sync(struct pm *s)
{
    int pending = (s->st.sts & s->st.en) || (s->st.gpsts & s->st.gpen);

    s->irq->set(s->sci, pending);
    if (s->st.en & STS_TMROF && !(s->st.sts & STS_TMROF))
        s->timer->arm(s->overflow, bp_muldiv((s->st.overflows + 1) << 31,
                                             1000000000u, PMTMR_HZ) +
                                       1);
    else
        s->timer->cancel(s->overflow);
}

static void pm_overflow(void *ctx)
{
    struct pm *s = ctx;

    pm_take_overflow(s);
    pm_sync(s);
}

static void pm_button(void *ctx)
{
    struct pm *s = ctx;

    s->st.sts |= STS_PWRBTN;
    pm_sync(s);
}

static void pm_sleep(struct pm *s, uint16_t v)
{
    if (SLP_TYP(v) == SLP_TYP_S5)
        s->power->poweroff(s->dev);
    else
        s->log->guest_error(s->dev, "sleep type %u is not offered", SLP_TYP(v));
}

static uint16_t pm_read16(struct pm *s, uint32_t reg)
{
    switch (reg) {
    case PM_STS: pm_take_overflow(s); return s->st.sts;
    case PM_EN: return s->st.en;
    case PM_CNTRL: return s->st.cntrl | CNTRL_SCI_EN;
    case PM_TMR: return pm_ticks(s);
    case PM_TMR + 2: return pm_ticks(s) >> 16;
    case PM_GPSTS: return s->st.gpsts;
    case PM_GPEN: return s->st.gpen;
    default: return 0;
    }
}

static void pm_write16(struct pm *s, uint32_t reg, uint16_t v)
{
    switch (reg) {
    case PM_STS:
        pm_take_overflow(s);
        s->st.sts &= ~(v & STS_CLEAR);
        break;
    case PM_EN: s->st.en = v & EN_WRITABLE; break;
    case PM_CNTRL:
        s->st.cntrl = v & CNTRL_WRITABLE;
        if (v & CNTRL_SLP_EN)
            pm_sleep(s, v);
        break;
    case PM_GPSTS: s->st.gpsts &= ~v; break;
    case PM_GPEN: s->st.gpen = v & GPE_GENERATION; break;
    default: break; /* the timer is read only */
    }
    pm_sync(s);
}

static uint32_t pm_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct pm *s = ctx;
    uint32_t v;

    if (width == 4 && offset == PM_TMR)
        return pm_ticks(s); /* one instant, not two */
    if (width == 4)
        return pm_read16(s, offset) | (uint32_t)pm_read16(s, offset + 2) << 16;
    v = pm_read16(s, offset & ~1u);
    return width == 2 ? v : (offset & 1 ? v >> 8 : v & 0xff);
}

static void write_byte(struct pm *s, uint32_t offset, uint8_t value)
{
    uint32_t reg = offset & ~1u;
    /* The other byte of a status register must not be cleared. */
    uint16_t old = reg == PM_STS || reg == PM_GPSTS ? 0 : pm_read16(s, reg);

    if (offset & 1)
        pm_write16(s, reg, (uint16_t)((old & 0x00ff) | value << 8));
    else
        pm_write16(s, reg, (uint16_t)((old & 0xff00) | value));
}

static void pm_write(void *ctx, uint32_t offset, uint32_t value, uint32_t width)
{
    struct pm *s = ctx;

    if (offset == PM_RESET && width == 1) {
        if (value == RESET_VALUE)
            s->power->reset(s->dev);
    } else if (width == 4) {
        pm_write16(s, offset, value);
        pm_write16(s, offset + 2, value >> 16);
    } else if (width == 2) {
        pm_write16(s, offset, value);
    } else {
        write_byte(s, offset, value);
    }
}

static const struct bp_pio_ops pm_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = pm_read,
    .write = pm_write,
};

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_id(const char *text, uint8_t id[ID_BYTES])
{
    for (unsigned i = 0; i < ID_BYTES; i++) {
        int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);

        if (low < 0)
            return 0;
        id[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    return text[0] == 0;
}

static int32_t pm_create(void *self, struct bp_dev *dev,
                         const struct bp_host *host)
{
    struct pm *s = self;

    s->dev = dev;
    s->log = host->query(host, BP_LOG);
    s->timer = host->query(host, BP_TIMER);
    s->pio = host->query(host, BP_PIO);
    s->irq = host->query(host, BP_IRQ);
    s->dma = host->query(host, BP_DMA);
    s->power = host->query(host, BP_POWER);
    if (s->generation_at && !parse_id(s->generation, s->id))
        return host->fail(dev, -EINVAL,
                          "the generation id '%s' is not 32 hexadecimal "
                          "digits",
                          s->generation);
    return 0;
}

static int32_t pm_realize(void *self)
{
    struct pm *s = self;

    s->sci = s->irq->output(s->dev, "isa", SCI_IRQ);
    s->overflow =
        s->timer->create(s->dev, BP_CLOCK_VIRTUAL, "overflow", pm_overflow, s);
    if (!s->sci || !s->overflow ||
        !s->pio->claim(s->dev, "pm", s->base, PM_PORTS,
                       BP_SIZE_1 | BP_SIZE_2 | BP_SIZE_4, 0, &pm_ops, s))
        return -EBUSY;
    return s->power->on_button(s->dev, pm_button, s);
}

static void pm_reset(void *self, uint32_t kind)
{
    struct pm *s = self;

    (void)kind;
    s->st = (struct pm_state){ .overflows = pm_ticks(s) >> 31 };
    s->restored = 0;
    pm_sync(s);
}

static int32_t pm_loaded(void *self, uint32_t version)
{
    struct pm *s = self;

    (void)version;
    s->restored = 1;
    pm_sync(s);
    return 0;
}

/* Here memory has its content, after a reset as after a restore. */
static void pm_start(void *self)
{
    struct pm *s = self;

    if (!s->generation_at)
        return;
    s->dma->write(s->dev, s->generation_at, s->id, ID_BYTES);
    if (s->restored)
        s->st.gpsts |= GPE_GENERATION;
    s->restored = 0;
    pm_sync(s);
}

static const struct bp_field pm_fields[] = {
    BP_FIELD(struct pm, st.sts, "sts"),
    BP_FIELD(struct pm, st.en, "en"),
    BP_FIELD(struct pm, st.cntrl, "cntrl"),
    BP_FIELD(struct pm, st.gpsts, "gpsts"),
    BP_FIELD(struct pm, st.gpen, "gpen"),
    BP_FIELD(struct pm, st.overflows, "overflows"),
    BP_FIELD_END
};

static const struct bp_property pm_properties[] = {
    { .name = "base",
      .help = "first of 64 I/O ports",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct pm, base),
      .max = 0xffc0,
      .number = 0x400 },
    { .name = "generation",
      .help = "the generation id, 32 hexadecimal digits",
      .type = BP_PROP_STRING,
      .offset = offsetof(struct pm, generation),
      .text = "00000000000000000000000000000000" },
    { .name = "generation-at",
      .help = "its address in guest memory; 0: there is none",
      .type = BP_PROP_SIZE,
      .offset = offsetof(struct pm, generation_at) },
    { .name = NULL },
};

static const char *const pm_requires[] = { BP_LOG, BP_TIMER, BP_PIO, BP_IRQ,
                                           BP_DMA, BP_POWER, NULL };

static const struct bp_device_desc acpi_pm_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_BRIDGE,
    .id = "acpi-pm",
    .title = "ACPI power management of Generation 2, generation id",
    .instance_size = sizeof(struct pm),
    .state_offset = offsetof(struct pm, st),
    .state_size = sizeof(struct pm_state),
    .state_version = 1,
    .fields = pm_fields,
    .properties = pm_properties,
    .requires_ = pm_requires,
    .create = pm_create,
    .realize = pm_realize,
    .reset = pm_reset,
    .loaded = pm_loaded,
    .start = pm_start,
};

EXPORT_DEVICES("acpi-pm", "ACPI power management", &acpi_pm_desc);
