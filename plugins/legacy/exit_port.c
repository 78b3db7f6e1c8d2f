/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit-port: a guest that writes a value ends the machine; the exit status
 * of `backplane run` becomes value * 2 + 1 (never 0, which means that the
 * guest powered off).  For tests; not part of any real PC.
 */
#include <errno.h>
#include <stddef.h>

#include "export.h"

struct port {
    /* Configuration */
    uint32_t port;
    /* Wiring */
    const struct bp_pio *pio;
    const struct bp_power *power;
    struct bp_dev *dev;
};

static uint32_t port_read(void *ctx, uint32_t offset, uint32_t width)
{
    (void)ctx, (void)offset, (void)width;
    return 0;
}

static void port_write(void *ctx, uint32_t offset, uint32_t value,
                       uint32_t width)
{
    struct port *s = ctx;

    (void)width;
    if (offset == 0)
        s->power->exit(s->dev, (int32_t)((value << 1 | 1) & 0xff));
}

static const struct bp_pio_ops port_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = port_read,
    .write = port_write,
};

static int32_t port_create(void *self, struct bp_dev *dev,
                           const struct bp_host *host)
{
    struct port *s = self;

    s->dev = dev;
    s->pio = host->query(host, BP_PIO);
    s->power = host->query(host, BP_POWER);
    return 0;
}

static int32_t port_realize(void *self)
{
    struct port *s = self;

    return s->pio->claim(s->dev, "exit", s->port, 4, BP_SIZE_ANY, 1, &port_ops,
                         s)
               ? 0
               : -EBUSY;
}

static void port_reset(void *self, uint32_t kind)
{
    (void)self, (void)kind;
}

static const struct bp_property port_properties[] = {
    { .name = "port",
      .help = "first of four I/O ports",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct port, port),
      .max = 0xfffc,
      .number = 0xf4 },
    { .name = NULL },
};

static const char *const port_requires[] = { BP_PIO, BP_POWER, NULL };

static const struct bp_device_desc exit_port_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_OTHER,
    .id = "exit-port",
    .title = "port that ends the machine (for tests)",
    .instance_size = sizeof(struct port),
    .state_version = 1,
    .properties = port_properties,
    .requires_ = port_requires,
    .create = port_create,
    .realize = port_realize,
    .reset = port_reset,
};

EXPORT_DEVICES("exit-port", "exit port for tests", &exit_port_desc);
