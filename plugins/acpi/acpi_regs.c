/* SPDX-License-Identifier: Apache-2.0 */
#include "acpi/acpi_regs.h"

#include <errno.h>

#define PMTMR_HZ 3579545u

#define PM_STS   0x00
#define PM_EN    0x02
#define PM_CNTRL 0x04
#define PM_TMR   0x08
#define PM_GPSTS 0x0c
#define PM_GPEN  0x0e
#define PM_OTHER 0x10

#define STS_TMROF    0x0001
#define STS_PWRBTN   0x0100
#define EN_WRITABLE  0x0521
#define CNTRL_SLP_EN 0x2000
#define SLP_TYP(v)   ((v) >> 10 & 7)
#define SLP_TYP_S5   0

static uint64_t ticks(struct acpi_regs *r)
{
    return bp_muldiv(r->timer->now(r->dev, BP_CLOCK_VIRTUAL), PMTMR_HZ,
                     1000000000u);
}

static uint32_t timer_value(struct acpi_regs *r)
{
    return (uint32_t)(ticks(r) & ((1ull << r->timer_bits) - 1));
}

static uint64_t half_periods(struct acpi_regs *r)
{
    return ticks(r) >> (r->timer_bits - 1);
}

/* TMROF is set whenever the timer's highest bit changes. */
static void take_overflow(struct acpi_regs *r)
{
    uint64_t half = half_periods(r);

    if (half != r->st->overflows)
        r->st->sts |= STS_TMROF;
    r->st->overflows = half;
}

static uint16_t control(const struct acpi_regs *r)
{
    uint16_t always = ACPI_CNTRL_SCI_EN & ~r->cntrl_writable;

    return r->st->cntrl | always;
}

void acpi_regs_sync(struct acpi_regs *r)
{
    const struct acpi_regs_state *st = r->st;
    int pending = (st->sts & st->en) || (st->gpsts & st->gpen);

    r->irq->set(r->sci, pending && control(r) & ACPI_CNTRL_SCI_EN);
    if (st->en & STS_TMROF && !(st->sts & STS_TMROF))
        r->timer->arm(r->overflow,
                      bp_muldiv((st->overflows + 1) << (r->timer_bits - 1),
                                1000000000u, PMTMR_HZ) +
                          1);
    else
        r->timer->cancel(r->overflow);
}

static void overflowed(void *ctx)
{
    struct acpi_regs *r = ctx;

    take_overflow(r);
    acpi_regs_sync(r);
}

static void button(void *ctx)
{
    struct acpi_regs *r = ctx;

    r->st->sts |= STS_PWRBTN;
    acpi_regs_sync(r);
}

static void sleep_entered(struct acpi_regs *r, uint16_t v)
{
    if (SLP_TYP(v) == SLP_TYP_S5)
        r->power->poweroff(r->dev);
    else
        r->log->guest_error(r->dev, "sleep type %u is not offered", SLP_TYP(v));
}

/* --- registers ------------------------------------------------------------*/

static uint16_t read16(struct acpi_regs *r, uint32_t reg)
{
    switch (reg) {
    case PM_STS: take_overflow(r); return r->st->sts;
    case PM_EN: return r->st->en;
    case PM_CNTRL: return control(r);
    case PM_TMR: return (uint16_t)timer_value(r);
    case PM_TMR + 2: return (uint16_t)(timer_value(r) >> 16);
    case PM_GPSTS: return r->st->gpsts;
    case PM_GPEN: return r->st->gpen;
    }
    return reg >= PM_OTHER && r->other_read ? r->other_read(r->ctx, reg) : 0;
}

static void write16(struct acpi_regs *r, uint32_t reg, uint16_t v)
{
    switch (reg) {
    case PM_STS:
        take_overflow(r);
        r->st->sts &= ~(v & r->sts_clear);
        break;
    case PM_EN: r->st->en = v & EN_WRITABLE; break;
    case PM_CNTRL:
        r->st->cntrl = v & r->cntrl_writable;
        if (v & CNTRL_SLP_EN)
            sleep_entered(r, v);
        break;
    case PM_GPSTS: r->st->gpsts &= ~v; break;
    case PM_GPEN: r->st->gpen = v & r->gpen_writable; break;
    default: /* the timer is read only */
        if (reg >= PM_OTHER && r->other_write)
            r->other_write(r->ctx, reg, v);
        break;
    }
    acpi_regs_sync(r);
}

uint32_t acpi_regs_read(struct acpi_regs *r, uint32_t offset, uint32_t width)
{
    uint32_t v;

    if (width == 4 && offset == PM_TMR)
        return timer_value(r); /* one instant, not two */
    if (width == 4)
        return read16(r, offset) | (uint32_t)read16(r, offset + 2) << 16;
    v = read16(r, offset & ~1u);
    return width == 2 ? v : (offset & 1 ? v >> 8 : v & 0xff);
}

void acpi_regs_write(struct acpi_regs *r, uint32_t offset, uint32_t value,
                     uint32_t width)
{
    uint32_t reg = offset & ~1u;
    uint16_t old;

    if (width == 4) {
        write16(r, offset, (uint16_t)value);
        write16(r, offset + 2, (uint16_t)(value >> 16));
        return;
    }
    if (width == 2) {
        write16(r, offset, (uint16_t)value);
        return;
    }
    /* The other byte of a status register must not be cleared. */
    old = reg == PM_STS || reg == PM_GPSTS ? 0 : read16(r, reg);
    if (offset & 1)
        write16(r, reg, (uint16_t)((old & 0x00ff) | (value & 0xff) << 8));
    else
        write16(r, reg, (uint16_t)((old & 0xff00) | (value & 0xff)));
}

/* --- life -----------------------------------------------------------------*/

void acpi_regs_create(struct acpi_regs *r, struct bp_dev *dev,
                      const struct bp_host *host)
{
    r->dev = dev;
    r->log = host->query(host, BP_LOG);
    r->timer = host->query(host, BP_TIMER);
    r->irq = host->query(host, BP_IRQ);
    r->power = host->query(host, BP_POWER);
}

int32_t acpi_regs_realize(struct acpi_regs *r)
{
    r->sci = r->irq->output(r->dev, "isa", ACPI_SCI_IRQ);
    r->overflow =
        r->timer->create(r->dev, BP_CLOCK_VIRTUAL, "overflow", overflowed, r);
    return r->sci && r->overflow ? r->power->on_button(r->dev, button, r)
                                 : -EBUSY;
}

void acpi_regs_reset(struct acpi_regs *r)
{
    *r->st = (struct acpi_regs_state){ .overflows = half_periods(r) };
    acpi_regs_sync(r);
}
