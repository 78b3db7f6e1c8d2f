/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug-port: the byte port on which firmware writes its log (402h, read as
 * E9h by which SeaBIOS detects it).
 */
#include <errno.h>
#include <stddef.h>

#include "export.h"

#define LINE_BYTES 120
#define READS_AS   0xe9

struct port_state {
    uint8_t line[LINE_BYTES]; /* not yet ended */
    uint8_t used;
};

struct port {
    /* Configuration */
    uint32_t port;
    struct bp_char_port *chr;
    /* Wiring */
    const struct bp_log *log;
    const struct bp_pio *pio;
    const struct bp_char *chars;
    struct bp_dev *dev;
    /* State */
    struct port_state st;
};

static uint32_t port_read(void *ctx, uint32_t offset, uint32_t width)
{
    (void)ctx, (void)offset, (void)width;
    return READS_AS;
}

static void port_write(void *ctx, uint32_t offset, uint32_t value,
                       uint32_t width)
{
    struct port *s = ctx;
    uint8_t byte = value;

    (void)offset, (void)width;
    if (s->chr) {
        s->chars->write(s->chr, &byte, 1);
        return;
    }
    if (byte >= ' ' && byte < 127)
        s->st.line[s->st.used++] = byte;
    if (s->st.used == LINE_BYTES || (byte == '\n' && s->st.used)) {
        s->log->log(s->dev, BP_LOG_DEBUG, "%.*s", (int)s->st.used,
                    (const char *)s->st.line);
        s->st.used = 0;
    }
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
    s->log = host->query(host, BP_LOG);
    s->pio = host->query(host, BP_PIO);
    s->chars = host->query(host, BP_CHAR);
    return 0;
}

static int32_t port_realize(void *self)
{
    struct port *s = self;

    return s->pio->claim(s->dev, "debug", s->port, 1, BP_SIZE_1, 0, &port_ops,
                         s)
               ? 0
               : -EBUSY;
}

static void port_reset(void *self, uint32_t kind)
{
    struct port *s = self;

    (void)kind;
    s->st = (struct port_state){ 0 };
}

static int32_t port_loaded(void *self, uint32_t version)
{
    struct port *s = self;

    (void)version;
    return s->st.used < LINE_BYTES ? 0 : -EINVAL;
}

static const struct bp_field port_fields[] = {
    BP_FIELD_BLOB(struct port, st.line, "line"),
    BP_FIELD(struct port, st.used, "used"), BP_FIELD_END
};

static const struct bp_property port_properties[] = {
    { .name = "port",
      .help = "I/O port",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct port, port),
      .max = 0xffff,
      .number = 0x402 },
    { .name = "char",
      .help = "where the bytes go; none: debug lines in the log",
      .type = BP_PROP_CHAR,
      .offset = offsetof(struct port, chr) },
    { .name = NULL },
};

static const char *const port_requires[] = { BP_LOG, BP_PIO, BP_CHAR, NULL };

static const struct bp_device_desc debug_port_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_FIRMWARE,
    .id = "debug-port",
    .title = "firmware debug port",
    .instance_size = sizeof(struct port),
    .state_offset = offsetof(struct port, st),
    .state_size = sizeof(struct port_state),
    .state_version = 1,
    .fields = port_fields,
    .properties = port_properties,
    .requires_ = port_requires,
    .create = port_create,
    .realize = port_realize,
    .reset = port_reset,
    .loaded = port_loaded,
};

EXPORT_DEVICES("debug-port", "firmware debug port", &debug_port_desc);
