/* SPDX-License-Identifier: MIT */
/*
 * hello: an example device for Backplane, written against the installed
 * headers only.  It shows port I/O, memory-mapped I/O, an interrupt, DMA, a
 * timer, properties and saved state.
 *
 * Ports (property "port", 4 of them):
 *   +0  read: the letters "HELLO!", one a read; write: start over
 *   +1  control: bit 0 enables the interrupt; bit 7 (write 1) starts a copy
 *   +2  status: bit 0 a copy was finished (write 1 to clear)
 *   +3  number of copies made
 *
 * Memory (property "address", 4 KiB), 32-bit registers:
 *   +0  source, +4 destination, +8 length of a copy (at most 4096 bytes)
 *
 * A copy takes one microsecond a byte of the machine's time.
 */
#include <errno.h>
#include <stddef.h>

#include <backplane/backplane.h>

#define LETTERS     "HELLO!"
#define MAX_COPY    4096u
#define NS_PER_BYTE 1000u

enum { CONTROL_IRQ = 0x01, CONTROL_COPY = 0x80 };
enum { STATUS_DONE = 0x01 };

/* All that a guest can observe, and nothing else. */
struct hello_state {
    uint32_t source, destination, length;
    uint8_t letter;  /* index of the next one */
    uint8_t control; /* CONTROL_IRQ */
    uint8_t status;  /* STATUS_DONE */
    uint8_t copies;
};

struct hello {
    /* Configuration: filled by the host from the properties */
    uint32_t port, irq;
    uint64_t address;
    /* Wiring */
    const struct bp_log *log;
    const struct bp_timer *timer;
    const struct bp_irq *lines;
    const struct bp_dma *dma;
    struct bp_dev *dev;
    struct bp_irq_line *line;
    struct bp_timer_handle *copy_timer;
    /* State */
    struct hello_state st;
};

/* The only place that drives the interrupt: it follows from the state. */
static void hello_sync(struct hello *s)
{
    s->lines->set(s->line, (s->st.status & STATUS_DONE) &&
                               (s->st.control & CONTROL_IRQ));
}

/* --- the copy ------------------------------------------------------------ */

static void copy_start(struct hello *s)
{
    uint64_t now = s->timer->now(s->dev, BP_CLOCK_VIRTUAL);

    if (s->st.length > MAX_COPY) {
        s->log->guest_error(s->dev, "a copy of %u bytes is too long",
                            s->st.length);
        return;
    }
    s->timer->arm(s->copy_timer, now + (uint64_t)s->st.length * NS_PER_BYTE);
}

static void copy_finish(void *ctx)
{
    struct hello *s = ctx;
    uint8_t buffer[MAX_COPY];

    if (s->dma->read(s->dev, s->st.source, buffer, s->st.length) == 0)
        s->dma->write(s->dev, s->st.destination, buffer, s->st.length);
    s->st.copies++;
    s->st.status |= STATUS_DONE;
    hello_sync(s);
}

/* --- registers ----------------------------------------------------------- */

static uint32_t port_read(void *ctx, uint32_t offset, uint32_t width)
{
    struct hello *s = ctx;
    uint8_t letter = s->st.letter;

    (void)width;
    switch (offset) {
    case 0:
        s->st.letter = (uint8_t)((letter + 1) % (sizeof(LETTERS) - 1));
        return (uint8_t)LETTERS[letter];
    case 1: return s->st.control;
    case 2: return s->st.status;
    default: return s->st.copies;
    }
}

static void port_write(void *ctx, uint32_t offset, uint32_t value,
                       uint32_t width)
{
    struct hello *s = ctx;

    (void)width;
    switch (offset) {
    case 0: s->st.letter = 0; break;
    case 1:
        s->st.control = value & CONTROL_IRQ;
        if (value & CONTROL_COPY)
            copy_start(s);
        break;
    case 2: s->st.status &= (uint8_t)~value; break;
    }
    hello_sync(s);
}

static uint32_t *register_at(struct hello *s, uint64_t offset)
{
    switch (offset) {
    case 0: return &s->st.source;
    case 4: return &s->st.destination;
    case 8: return &s->st.length;
    default: return NULL;
    }
}

static uint64_t mmio_read(void *ctx, uint64_t offset, uint32_t width)
{
    struct hello *s = ctx;
    uint32_t *r = width == 4 ? register_at(s, offset) : NULL;

    return r ? *r : UINT64_MAX;
}

static void mmio_write(void *ctx, uint64_t offset, uint64_t value,
                       uint32_t width)
{
    struct hello *s = ctx;
    uint32_t *r = width == 4 ? register_at(s, offset) : NULL;

    if (!r) {
        s->log->guest_error(s->dev, "there is no register %llx",
                            (unsigned long long)offset);
        return;
    }
    *r = (uint32_t)value;
}

static const struct bp_pio_ops port_ops = {
    .size = sizeof(struct bp_pio_ops),
    .read = port_read,
    .write = port_write,
};

static const struct bp_mmio_ops mmio_ops = {
    .size = sizeof(struct bp_mmio_ops),
    .read = mmio_read,
    .write = mmio_write,
};

/* --- life ---------------------------------------------------------------- */

static int32_t hello_create(void *self, struct bp_dev *dev,
                            const struct bp_host *host)
{
    struct hello *s = self;

    s->dev = dev;
    s->log = host->query(host, BP_LOG);
    s->timer = host->query(host, BP_TIMER);
    s->lines = host->query(host, BP_IRQ);
    s->dma = host->query(host, BP_DMA);
    const struct bp_pio *pio = host->query(host, BP_PIO);
    const struct bp_mmio *mmio = host->query(host, BP_MMIO);

    if (s->address % 4096)
        return host->fail(dev, -EINVAL,
                          "address %llx is not a multiple of "
                          "4096",
                          (unsigned long long)s->address);
    s->line = s->lines->output(dev, "isa", s->irq);
    s->copy_timer =
        s->timer->create(dev, BP_CLOCK_VIRTUAL, "copy", copy_finish, s);
    if (!s->line || !s->copy_timer ||
        !pio->claim(dev, "registers", s->port, 4, BP_SIZE_1, 0, &port_ops, s) ||
        !mmio->add_device(dev, "copier", s->address, 4096, BP_PRIO_DEVICE, 0,
                          &mmio_ops, s))
        return -EINVAL; /* the host has recorded the reason */
    return 0;
}

static void hello_reset(void *self, uint32_t kind)
{
    struct hello *s = self;

    (void)kind;
    s->st = (struct hello_state){ 0 };
    s->timer->cancel(s->copy_timer);
    hello_sync(s);
}

/* A saved file may hold anything: check what the code relies on. */
static int32_t hello_loaded(void *self, uint32_t version)
{
    struct hello *s = self;

    (void)version;
    if (s->st.letter >= sizeof(LETTERS) - 1)
        return -EINVAL;
    if (s->st.length > MAX_COPY &&
        s->timer->deadline(s->copy_timer) != UINT64_MAX)
        return -EINVAL;
    s->st.control &= CONTROL_IRQ;
    s->st.status &= STATUS_DONE;
    hello_sync(s);
    return 0;
}

/* --- description --------------------------------------------------------- */

static const struct bp_field hello_fields[] = {
    BP_FIELD(struct hello, st.source, "source"),
    BP_FIELD(struct hello, st.destination, "destination"),
    BP_FIELD(struct hello, st.length, "length"),
    BP_FIELD(struct hello, st.letter, "letter"),
    BP_FIELD(struct hello, st.control, "control"),
    BP_FIELD(struct hello, st.status, "status"),
    BP_FIELD(struct hello, st.copies, "copies"),
    BP_FIELD_END,
};

static const struct bp_property hello_properties[] = {
    { "port", "first I/O port", BP_PROP_UINT, offsetof(struct hello, port),
      0x100, 0xfffc, 0x300, NULL, NULL },
    { "irq", "ISA interrupt", BP_PROP_UINT, offsetof(struct hello, irq), 3, 15,
      5, NULL, NULL },
    { "address", "of the copier's registers", BP_PROP_SIZE,
      offsetof(struct hello, address), 0, 0, 0xd0000000, NULL, NULL },
    { 0 },
};

static const char *const hello_requires[] = {
    BP_LOG, BP_TIMER, BP_IRQ, BP_DMA, BP_PIO, BP_MMIO, NULL,
};

static const struct bp_device_desc hello_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_OTHER,
    .id = "hello-port",
    .title = "example of a device",
    .instance_size = sizeof(struct hello),
    .state_offset = offsetof(struct hello, st),
    .state_size = sizeof(struct hello_state),
    .state_version = 1,
    .fields = hello_fields,
    .properties = hello_properties,
    .requires_ = hello_requires,
    .create = hello_create,
    .reset = hello_reset,
    .loaded = hello_loaded,
};

static const struct bp_device_desc *const devices[] = { &hello_desc, NULL };

BP_EXPORT const struct bp_plugin bp_plugin = {
    .size = sizeof(struct bp_plugin),
    .abi_major = BP_ABI_MAJOR,
    .abi_minor = BP_ABI_MINOR,
    .id = "org.example.hello",
    .title = "Example plugin",
    .licence = "MIT",
    .devices = devices,
};
