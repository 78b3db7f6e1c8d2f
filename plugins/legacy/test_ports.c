/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-ports: what bare-metal test guests drive a machine with.  Not part of
 * any real PC, and of no machine that did not ask for it.
 *
 *   f4         exit: the status of `backplane run` becomes value * 2 + 1
 *   e0, e8     echo: a dword, a byte that read back as written
 *   e4         flush: the page of this address counts as written, so what
 *              the processor kept of it is void
 *   2000-2017  line n of the I/O APIC: 1 high, 0 low
 *   3000       commands for the SynIC, below; reads 0, or the negative errno
 *              of the last one
 *   FF000000h  64 KiB of memory
 *
 * A command is SINT, processor << 8, what << 16, connection << 24.  A message
 * posted to a connection comes back through its SINT; an event signalled on
 * it sets the flag of the connection's number.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "export.h"

#define EXIT_PORT    0xf4u
#define ECHO_PORT    0xe0u
#define FLUSH_PORT   0xe4u
#define BYTE_PORT    0xe8u
#define LINE_PORT    0x2000u
#define COMMAND_PORT 0x3000u
#define MEMORY_AT    0xff000000u
#define MEMORY_BYTES 0x10000u
#define PAGE         4096u

#define LINES       24u
#define ISA_LINES   16u /* the I/O APIC takes the others as "gsi" */
#define PROCESSORS  64u
#define CONNECTIONS 16u

enum command {
    ROUTE_CREATE = 1,
    ROUTE_DESTROY = 2,
    RAISE = 3,
    MESSAGE_CREATE = 4,
    MESSAGE_DESTROY = 5,
    EVENT_CREATE = 6,
    EVENT_DESTROY = 7,
};

enum kind { NONE, MESSAGES, EVENTS };

struct connection_state {
    uint8_t kind; /* enum kind */
    uint8_t id, vp, sint;
    uint8_t waiting; /* a message that found the slot taken */
    uint32_t type, bytes;
    uint8_t payload[BP_HV_MESSAGE_BYTES];
};

struct ports_state {
    uint32_t echo;
    uint8_t echo_byte;
    int32_t result;
    uint16_t routes[PROCESSORS]; /* SINTs, a bit each */
    struct connection_state connection[CONNECTIONS];
};

struct connection {
    struct test_ports *ports;
    struct connection_state *st;
};

struct test_ports {
    struct ports_state st;
    /* Wiring */
    struct connection connection[CONNECTIONS];
    struct bp_irq_line *line[LINES];
    const struct bp_pio *pio;
    const struct bp_mmio *mmio;
    const struct bp_irq *irq;
    const struct bp_dma *dma;
    const struct bp_power *power;
    const struct bp_hv *hv;
    struct bp_dev *dev;
};

/* --- connections ----------------------------------------------------------*/

/* One message waits for each connection; the guest tries again with more. */
static int32_t message_posted(void *ctx, uint32_t type, const void *payload,
                              uint32_t bytes)
{
    struct connection *c = ctx;
    struct connection_state *st = c->st;
    int32_t r;

    if (st->waiting)
        return -EAGAIN;
    r = c->ports->hv->post(c->ports->dev, st->vp, st->sint, type, payload,
                           bytes);
    if (r != -EAGAIN)
        return r;
    st->waiting = 1;
    st->type = type;
    st->bytes = bytes;
    memcpy(st->payload, payload, bytes);
    return 0;
}

static void room(void *ctx, uint32_t vp, uint32_t sint)
{
    struct test_ports *s = ctx;

    for (unsigned n = 0; n < CONNECTIONS; n++) {
        struct connection_state *st = &s->st.connection[n];

        if (!st->waiting || st->vp != vp || st->sint != sint)
            continue;
        if (s->hv->post(s->dev, vp, sint, st->type, st->payload, st->bytes) !=
            -EAGAIN)
            st->waiting = 0;
    }
}

static void event_signalled(void *ctx, uint32_t flag)
{
    struct connection *c = ctx;

    (void)flag;
    c->ports->hv->signal(c->ports->dev, c->st->vp, c->st->sint, c->st->id);
}

static int32_t port_open(struct test_ports *s, struct connection *c)
{
    if (c->st->kind == MESSAGES)
        return s->hv->message_port(s->dev, c->st->id, message_posted, c);
    return s->hv->event_port(s->dev, c->st->id, 1, event_signalled, c);
}

static struct connection *find(struct test_ports *s, uint8_t kind, uint8_t id)
{
    for (unsigned n = 0; n < CONNECTIONS; n++) {
        const struct connection_state *st = &s->st.connection[n];

        if (st->kind == kind && (kind == NONE || st->id == id))
            return &s->connection[n];
    }
    return NULL;
}

static int32_t create(struct test_ports *s, uint8_t kind, uint32_t command)
{
    struct connection *c = find(s, NONE, 0);
    int32_t r;

    if (!c)
        return -ENOSPC;
    *c->st = (struct connection_state){
        .kind = kind,
        .id = (uint8_t)(command >> 24),
        .vp = (uint8_t)(command >> 8),
        .sint = (uint8_t)command,
    };
    r = port_open(s, c);
    if (r < 0)
        c->st->kind = NONE;
    return r;
}

static int32_t destroy(struct test_ports *s, uint8_t kind, uint32_t command)
{
    struct connection *c = find(s, kind, (uint8_t)(command >> 24));

    if (!c)
        return -ENOENT;
    s->hv->close_port(s->dev, c->st->id);
    memset(c->st, 0, sizeof *c->st);
    return 0;
}

/* --- commands -------------------------------------------------------------*/

static int32_t route(struct test_ports *s, uint32_t what, unsigned vp,
                     unsigned sint)
{
    uint16_t bit = (uint16_t)(1u << sint);
    bool known = s->st.routes[vp] & bit;

    switch (what) {
    case ROUTE_CREATE: s->st.routes[vp] |= bit; return known ? -EEXIST : 0;
    case ROUTE_DESTROY:
        s->st.routes[vp] &= (uint16_t)~bit;
        return known ? 0 : -ENOENT;
    default: return known ? s->hv->raise(s->dev, vp, sint) : -ENOENT;
    }
}

static int32_t command(struct test_ports *s, uint32_t value)
{
    unsigned sint = value & 0xff, vp = value >> 8 & 0xff;
    unsigned what = value >> 16 & 0xff;

    if (sint >= BP_HV_SINTS || vp >= PROCESSORS ||
        vp >= s->hv->processors(s->dev))
        return -EINVAL;
    switch (what) {
    case ROUTE_CREATE:
    case ROUTE_DESTROY:
    case RAISE: return route(s, what, vp, sint);
    case MESSAGE_CREATE: return create(s, MESSAGES, value);
    case MESSAGE_DESTROY: return destroy(s, MESSAGES, value);
    case EVENT_CREATE: return create(s, EVENTS, value);
    case EVENT_DESTROY: return destroy(s, EVENTS, value);
    }
    return -EINVAL;
}

/* --- ports ----------------------------------------------------------------*/

static void flush(struct test_ports *s, uint32_t address)
{
    uint64_t page = address & ~(uint64_t)(PAGE - 1);
    void *host;
    int64_t n = s->dma->map(s->dev, page, PAGE, 1, &host);

    if (n > 0)
        s->dma->unmap(s->dev, page, host, (uint64_t)n, 1, (uint64_t)n);
}

static uint32_t exit_read(void *ctx, uint32_t offset, uint32_t width)
{
    (void)ctx, (void)offset, (void)width;
    return 0;
}

static void exit_write(void *ctx, uint32_t offset, uint32_t value,
                       uint32_t width)
{
    struct test_ports *s = ctx;

    (void)width;
    if (offset == 0)
        s->power->exit(s->dev, (int32_t)((value << 1 | 1) & 0xff));
}

static const struct bp_pio_ops exit_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = exit_read,
    .write = exit_write,
};

/* E0-EB; a part of the dword reads and writes that part. */
static uint32_t echo_read(void *ctx, uint32_t offset, uint32_t width)
{
    const struct test_ports *s = ctx;

    (void)width;
    if (offset < FLUSH_PORT - ECHO_PORT)
        return s->st.echo >> 8 * offset;
    return offset == BYTE_PORT - ECHO_PORT ? s->st.echo_byte : 0xffffffffu;
}

static void echo_write(void *ctx, uint32_t offset, uint32_t value,
                       uint32_t width)
{
    struct test_ports *s = ctx;
    uint32_t mask = width == 4 ? 0xffffffffu : (1u << 8 * width) - 1;

    if (offset < FLUSH_PORT - ECHO_PORT) {
        mask <<= 8 * offset;
        s->st.echo = (s->st.echo & ~mask) | (value << 8 * offset & mask);
    } else if (offset == FLUSH_PORT - ECHO_PORT && width == 4) {
        flush(s, value);
    } else if (offset == BYTE_PORT - ECHO_PORT) {
        s->st.echo_byte = (uint8_t)value;
    }
}

static const struct bp_pio_ops echo_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = echo_read,
    .write = echo_write,
};

static uint32_t line_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct test_ports *s = ctx;

    (void)width;
    return (uint32_t)s->irq->level(s->dev, offset < ISA_LINES ? "isa" : "gsi",
                                   offset);
}

static void line_write(void *ctx, uint32_t offset, uint32_t value,
                       uint32_t width)
{
    struct test_ports *s = ctx;

    (void)width;
    s->irq->set(s->line[offset], value & 1);
}

static const struct bp_pio_ops line_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = line_read,
    .write = line_write,
};

static uint32_t command_read(void *ctx, uint32_t offset, uint32_t width)
{
    const struct test_ports *s = ctx;

    (void)offset, (void)width;
    return (uint32_t)s->st.result;
}

static void command_write(void *ctx, uint32_t offset, uint32_t value,
                          uint32_t width)
{
    struct test_ports *s = ctx;

    (void)offset, (void)width;
    s->st.result = command(s, value);
}

static const struct bp_pio_ops command_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = command_read,
    .write = command_write,
};

/* --- life -----------------------------------------------------------------*/

static int32_t ports_create(void *self, struct bp_dev *dev,
                            const struct bp_host *host)
{
    struct test_ports *s = self;

    s->dev = dev;
    s->pio = host->query(host, BP_PIO);
    s->mmio = host->query(host, BP_MMIO);
    s->irq = host->query(host, BP_IRQ);
    s->dma = host->query(host, BP_DMA);
    s->power = host->query(host, BP_POWER);
    s->hv = host->query(host, BP_HV);
    for (unsigned n = 0; n < CONNECTIONS; n++)
        s->connection[n] = (struct connection){ s, &s->st.connection[n] };
    return 0;
}

static int32_t add_lines(struct test_ports *s)
{
    for (unsigned n = 0; n < LINES; n++) {
        s->line[n] = s->irq->output(s->dev, n < ISA_LINES ? "isa" : "gsi", n);
        if (!s->line[n])
            return -EBUSY;
    }
    return 0;
}

static int32_t ports_realize(void *self)
{
    static const struct {
        const char *name;
        uint32_t first, count, sizes;
        const struct bp_pio_ops *ops;
    } ranges[] = {
        { "exit", EXIT_PORT, 4, BP_SIZE_ANY, &exit_ops },
        { "echo", ECHO_PORT, 12, BP_SIZE_ANY, &echo_ops },
        { "lines", LINE_PORT, LINES, BP_SIZE_1, &line_ops },
        { "command", COMMAND_PORT, 4, BP_SIZE_4, &command_ops },
    };
    struct test_ports *s = self;
    uint8_t *host;

    for (unsigned n = 0; n < sizeof ranges / sizeof ranges[0]; n++)
        if (!s->pio->claim(s->dev, ranges[n].name, ranges[n].first,
                           ranges[n].count, ranges[n].sizes, 1, ranges[n].ops,
                           s))
            return -EBUSY;
    if (!s->mmio->add_memory(s->dev, "memory", MEMORY_AT, MEMORY_BYTES,
                             BP_PRIO_DEVICE, 0, &host) ||
        add_lines(s) < 0)
        return -EBUSY;
    return s->hv->on_room(s->dev, room, s);
}

static void close_all(struct test_ports *s)
{
    for (unsigned n = 0; n < CONNECTIONS; n++)
        if (s->st.connection[n].kind != NONE)
            s->hv->close_port(s->dev, s->st.connection[n].id);
}

static void ports_reset(void *self, uint32_t kind)
{
    struct test_ports *s = self;

    (void)kind;
    close_all(s);
    memset(&s->st, 0, sizeof s->st);
    for (unsigned n = 0; n < LINES; n++)
        s->irq->set(s->line[n], 0);
}

static int32_t ports_loaded(void *self, uint32_t version)
{
    struct test_ports *s = self;

    (void)version;
    for (unsigned n = 0; n < CONNECTIONS; n++) {
        struct connection_state *st = &s->st.connection[n];

        if (st->kind > EVENTS || st->bytes > BP_HV_MESSAGE_BYTES ||
            st->sint >= BP_HV_SINTS)
            return -EINVAL;
        if (st->kind != NONE && port_open(s, &s->connection[n]) < 0)
            return -EINVAL;
    }
    return 0;
}

static const struct bp_field connection_fields[] = {
    BP_FIELD(struct connection_state, kind, "kind"),
    BP_FIELD(struct connection_state, id, "id"),
    BP_FIELD(struct connection_state, vp, "vp"),
    BP_FIELD(struct connection_state, sint, "sint"),
    BP_FIELD(struct connection_state, waiting, "waiting"),
    BP_FIELD(struct connection_state, type, "type"),
    BP_FIELD(struct connection_state, bytes, "bytes"),
    BP_FIELD_BLOB(struct connection_state, payload, "payload"),
    BP_FIELD_END
};

static const struct bp_field ports_fields[] = {
    BP_FIELD(struct test_ports, st.echo, "echo"),
    BP_FIELD(struct test_ports, st.echo_byte, "echo-byte"),
    BP_FIELD(struct test_ports, st.result, "result"),
    BP_FIELD_ARRAY(struct test_ports, st.routes, "routes"),
    BP_FIELD_TABLE(struct test_ports, st.connection, "connection", CONNECTIONS,
                   connection_fields),
    BP_FIELD_END
};

static const char *const ports_requires[] = { BP_PIO, BP_MMIO,  BP_IRQ, BP_DMA,
                                              BP_HV,  BP_POWER, NULL };

static const struct bp_device_desc test_ports_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_OTHER,
    .id = "test-ports",
    .title = "ports that bare-metal tests use",
    .instance_size = sizeof(struct test_ports),
    .state_offset = offsetof(struct test_ports, st),
    .state_size = sizeof(struct ports_state),
    .state_version = 1,
    .fields = ports_fields,
    .requires_ = ports_requires,
    .create = ports_create,
    .realize = ports_realize,
    .reset = ports_reset,
    .loaded = ports_loaded,
};

EXPORT_DEVICES("test-ports", "ports for bare-metal tests", &test_ports_desc);
