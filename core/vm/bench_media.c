/* SPDX-License-Identifier: Apache-2.0 */
/* The bench's back ends: media in memory, the far ends of ports, and a look
 * at the screen. */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "char/port.h"
#include "display/screen.h"
#include "vm/bench_own.h"

/* --- media ----------------------------------------------------------------*/

struct bench_medium {
    struct block_medium head;
    struct block_drive *drive;
    uint8_t *data;
    int32_t fail; /* status of all requests, when not 0 */
};

static int32_t execute(struct bench_medium *m, const struct bp_block_request *r)
{
    uint8_t *at = m->data + r->offset;

    if (m->fail)
        return m->fail;
    if (r->op == BP_BLOCK_DISCARD || r->op == BP_BLOCK_ZERO) {
        memset(at, 0, r->bytes);
        return 0;
    }
    for (uint32_t i = 0; r->op != BP_BLOCK_FLUSH && i < r->iov_count; i++) {
        if (r->op == BP_BLOCK_READ)
            memcpy(r->iov[i].base, at, r->iov[i].bytes);
        else
            memcpy(at, r->iov[i].base, r->iov[i].bytes);
        at += r->iov[i].bytes;
    }
    return 0;
}

static void medium_submit(struct block_medium *head, struct bp_block_request *r)
{
    block_request_done(r, execute((struct bench_medium *)head, r));
}

static void medium_close(struct block_medium *head)
{
    struct bench_medium *m = (struct bench_medium *)head;

    g_free(m->data);
    g_free(m);
}

static const struct block_medium_ops medium_ops = {
    .name = "bench",
    .submit = medium_submit,
    .close = medium_close,
};

static struct block_drive *drive_named(struct bench *b, const char *name)
{
    for (guint i = 0; i < b->vm.drives->len; i++) {
        struct block_drive *d = b->vm.drives->pdata[i];
        if (strcmp(d->name, name) == 0)
            return d;
    }
    bench_die("there is no drive '%s'", name);
}

static struct block_medium *medium_new(struct block_drive *d, uint64_t bytes,
                                       uint8_t **data)
{
    struct bench_medium *m = g_new0(struct bench_medium, 1);
    bool cdrom = d->kind == BLOCK_CDROM;

    m->head.ops = &medium_ops;
    m->head.bytes = bytes;
    m->head.flags = cdrom ? BP_BLOCK_READONLY : BP_BLOCK_THIN;
    m->head.logical_block = m->head.physical_block = cdrom ? 2048 : 512;
    m->drive = d;
    m->data = g_malloc0(bytes);
    if (data)
        *data = m->data;
    return &m->head;
}

void bench_add_drive(struct bench *b, const char *name, int kind,
                     uint64_t bytes, uint8_t **data)
{
    struct block_drive *d =
        block_drive_create(name, (enum block_drive_kind)kind);

    block_drive_set_clocks(d, b->vm.clocks);
    if (bytes)
        d->medium = medium_new(d, bytes, data);
    g_ptr_array_add(b->vm.drives, d);
}

void bench_drive_fail(struct bench *b, const char *name, int32_t status)
{
    struct block_drive *d = drive_named(b, name);

    if (!d->medium || d->medium->ops != &medium_ops)
        bench_die("drive '%s' is empty", name);
    ((struct bench_medium *)d->medium)->fail = status;
}

static void tell_changed(void *opaque)
{
    struct block_drive *d = opaque;

    d->changed(d->ctx);
}

static void tell_eject(void *opaque)
{
    struct block_drive *d = opaque;

    d->eject_request(d->ctx);
}

bool bench_change_medium(struct bench *b, const char *name, uint64_t bytes,
                         uint8_t **data)
{
    struct block_drive *d = drive_named(b, name);
    bool locked = d->locked && d->medium && !d->tray_open;

    bench_power_on(b);
    if (locked) {
        if (d->eject_request)
            lane_post(d->lane, tell_eject, d);
        bench_run(b);
        return false;
    }
    block_drive_drain(d);
    if (d->medium)
        d->medium->ops->close(d->medium);
    d->medium = bytes ? medium_new(d, bytes, data) : NULL;
    d->tray_open = bytes ? false : d->tray_open;
    d->generation++;
    if (d->changed && d->lane)
        lane_post(d->lane, tell_changed, d);
    bench_run(b);
    return true;
}

/* --- ports ----------------------------------------------------------------*/

struct bench_end {
    struct char_port *port;
    GByteArray *written;
    uint32_t room;
};

static uint32_t end_write(void *backend, const uint8_t *data, uint32_t n)
{
    struct bench_end *end = backend;
    uint32_t taken = MIN(n, end->room);

    g_byte_array_append(end->written, data, taken);
    if (end->room != UINT32_MAX)
        end->room -= taken;
    return taken;
}

static const struct char_backend_ops end_ops = {
    .name = "bench",
    .write = end_write,
};

void bench_add_port(struct bench *b, const char *name)
{
    struct bench_end *end = g_new0(struct bench_end, 1);

    end->port = char_port_create(name);
    end->written = g_byte_array_new();
    end->room = UINT32_MAX;
    char_port_connect(end->port, &end_ops, end);
    g_ptr_array_add(b->vm.ports, end->port);
    g_ptr_array_add(b->ends, end);
}

static struct bench_end *end_named(struct bench *b, const char *name)
{
    for (guint i = 0; i < b->ends->len; i++) {
        struct bench_end *end = b->ends->pdata[i];
        if (strcmp(end->port->name, name) == 0)
            return end;
    }
    bench_die("there is no port '%s'", name);
}

/* The ports themselves went with the board. */
void bench_free_ends(struct bench *b)
{
    for (guint i = 0; i < b->ends->len; i++) {
        struct bench_end *end = b->ends->pdata[i];
        g_byte_array_free(end->written, TRUE);
        g_free(end);
    }
}

void bench_send(struct bench *b, const char *name, const void *data,
                size_t bytes)
{
    struct bench_end *end = end_named(b, name);

    bench_power_on(b);
    if (char_port_receive(end->port, data, (uint32_t)bytes) != bytes)
        bench_die("port '%s' has no room for %zu bytes", name, bytes);
    bench_run(b);
}

size_t bench_received(struct bench *b, const char *name, void *data, size_t max)
{
    struct bench_end *end = end_named(b, name);
    guint n = (guint)MIN(max, (size_t)end->written->len);

    if (n)
        memcpy(data, end->written->data, n);
    g_byte_array_remove_range(end->written, 0, n);
    return n;
}

void bench_port_room(struct bench *b, const char *name, uint32_t bytes)
{
    struct bench_end *end = end_named(b, name);

    bench_power_on(b);
    end->room = bytes;
    if (bytes)
        char_port_writable(end->port);
    bench_run(b);
}

void bench_port_lines(struct bench *b, const char *name, uint32_t lines)
{
    bench_power_on(b);
    char_port_lines(end_named(b, name)->port, lines);
    bench_run(b);
}

/* --- screens --------------------------------------------------------------*/

static struct screen *seen_screen(struct bench *b)
{
    struct screen *s;

    bench_power_on(b);
    s = screens_seen(b->vm.screens);
    if (!s)
        bench_die("no device on the bench has a screen");
    return s;
}

char *bench_screen_text(struct bench *b)
{
    return screen_text_lines(seen_screen(b));
}

struct look {
    uint32_t x, y;
    uint32_t width, height;
    uint32_t pixel;
};

static void look(void *opaque, const struct bp_surface *surface,
                 const struct bp_text *text)
{
    struct look *l = opaque;

    l->width = surface->width;
    l->height = surface->height;
    if (l->x < surface->width && l->y < surface->height)
        l->pixel =
            surface->pixels[(size_t)l->y * (surface->stride / 4) + l->x] &
            0xffffff;
}

bool bench_screen_size(struct bench *b, uint32_t *width, uint32_t *height)
{
    struct look l = { 0 };

    screen_look(seen_screen(b), look, &l);
    *width = l.width;
    *height = l.height;
    return l.width != 0;
}

uint32_t bench_pixel(struct bench *b, uint32_t x, uint32_t y)
{
    struct look l = { .x = x, .y = y };

    screen_look(seen_screen(b), look, &l);
    if (x >= l.width || y >= l.height)
        bench_die("there is no pixel %u, %u", x, y);
    return l.pixel;
}
