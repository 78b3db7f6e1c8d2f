/* SPDX-License-Identifier: Apache-2.0 */
/* bp.block/1, bp.char/1, bp.display/1 and bp.input/1: thin tables over the
 * core-side objects. */
#include "plugin/host.h"

#include "block/block.h"
#include "char/port.h"
#include "display/screen.h"
#include "input/input.h"
#include "plugin/device.h"
#include "vm/vm.h"

/* --- disks ----------------------------------------------------------------*/

/* The handle of a drive is the core's object. */
static struct block_drive *drive_of(struct bp_block_drive *d)
{
    return (struct block_drive *)d;
}

static void host_block_info(struct bp_block_drive *d,
                            struct bp_block_info *info)
{
    block_drive_info(drive_of(d), info);
}

static void host_block_submit(struct bp_block_drive *d,
                              struct bp_block_request *request)
{
    block_drive_submit(drive_of(d), request);
}

static void host_block_listen(struct bp_block_drive *d,
                              void (*changed)(void *ctx),
                              void (*eject_request)(void *ctx), void *ctx)
{
    block_drive_listen(drive_of(d), changed, eject_request, ctx);
}

static void host_block_lock(struct bp_block_drive *d, int32_t locked)
{
    block_drive_lock(drive_of(d), locked);
}

static void host_block_eject(struct bp_block_drive *d, int32_t open)
{
    block_drive_tray(drive_of(d), open);
}

const struct bp_block host_block = {
    .size = sizeof(struct bp_block),
    .info = host_block_info,
    .submit = host_block_submit,
    .listen = host_block_listen,
    .lock = host_block_lock,
    .eject = host_block_eject,
    .bay = host_block_bay,
};

/* --- byte streams ---------------------------------------------------------*/

static struct char_port *port_of(struct bp_char_port *p)
{
    return (struct char_port *)p;
}

static void host_char_listen(struct bp_char_port *p,
                             const struct bp_char_events *ev, void *ctx)
{
    char_port_listen(port_of(p), ev, ctx);
}

static uint32_t host_char_write(struct bp_char_port *p, const uint8_t *data,
                                uint32_t n)
{
    return char_port_write(port_of(p), data, n);
}

static void host_char_ready(struct bp_char_port *p)
{
    char_port_ready(port_of(p));
}

static void host_char_set_lines(struct bp_char_port *p, uint32_t dtr_rts)
{
    char_port_set_lines(port_of(p), dtr_rts);
}

static void host_char_set_params(struct bp_char_port *p, uint32_t baud,
                                 uint32_t data_bits, uint32_t parity,
                                 uint32_t stops)
{
    char_port_set_params(port_of(p), baud, data_bits, parity, stops);
}

static void host_char_send_break(struct bp_char_port *p, int32_t on)
{
    char_port_send_break(port_of(p), on);
}

static uint32_t host_char_get_lines(struct bp_char_port *p)
{
    return char_port_get_lines(port_of(p));
}

const struct bp_char host_char = {
    .size = sizeof(struct bp_char),
    .listen = host_char_listen,
    .write = host_char_write,
    .ready = host_char_ready,
    .set_lines = host_char_set_lines,
    .set_params = host_char_set_params,
    .send_break = host_char_send_break,
    .get_lines = host_char_get_lines,
};

/* --- screens --------------------------------------------------------------*/

struct screen_claim {
    struct device *dev;
    struct screen *screen;
};

static struct screen *screen_of(struct bp_screen *s)
{
    return (struct screen *)s;
}

static void release_screen(void *claim)
{
    struct screen_claim *c = claim;

    screens_remove(c->dev->vm->screens, c->screen);
    screen_destroy(c->screen);
    g_free(c);
}

static struct bp_screen *host_screen_create(struct bp_dev *dev,
                                            const struct bp_screen_ops *ops,
                                            void *ctx)
{
    struct device *d = device_of(dev);

    if (!device_may_claim(d))
        return NULL;
    struct screen_claim *c = g_new0(struct screen_claim, 1);
    c->dev = d;
    c->screen = screen_create(d->name, d->lane, ops, ctx);
    screens_add(d->vm->screens, c->screen);
    device_claim(d, release_screen, c);
    return (struct bp_screen *)c->screen;
}

static int32_t host_set_mode(struct bp_screen *s, uint32_t width,
                             uint32_t height, struct bp_surface *out)
{
    return screen_set_mode(screen_of(s), width, height, out);
}

static void host_screen_dirty(struct bp_screen *s, uint32_t x, uint32_t y,
                              uint32_t width, uint32_t height)
{
    screen_dirty(screen_of(s), x, y, width, height);
}

static void host_set_text(struct bp_screen *s, const struct bp_text *text)
{
    screen_set_text(screen_of(s), text);
}

static void host_set_pointer(struct bp_screen *s, const uint32_t *argb,
                             uint32_t width, uint32_t height, uint32_t hot_x,
                             uint32_t hot_y, int32_t x, int32_t y)
{
    screen_set_pointer(screen_of(s), argb, width, height, hot_x, hot_y, x, y);
}

static void host_show(struct bp_screen *s, int32_t shown)
{
    screen_show(screen_of(s), shown);
}

const struct bp_display host_display = {
    .size = sizeof(struct bp_display),
    .create = host_screen_create,
    .set_mode = host_set_mode,
    .dirty = host_screen_dirty,
    .set_text = host_set_text,
    .set_pointer = host_set_pointer,
    .show = host_show,
};

/* --- keyboards and pointers -----------------------------------------------*/

static void release_receiver(void *claim)
{
    receiver_destroy(claim);
}

static struct bp_receiver *host_receiver_create(
    struct bp_dev *dev, const char *name, const struct bp_receiver_ops *ops,
    void *ctx)
{
    struct device *d = device_of(dev);

    if (!device_may_claim(d))
        return NULL;
    struct receiver *r =
        receiver_create(d->vm->inputs, name, d->lane, ops, ctx);
    device_claim(d, release_receiver, r);
    return (struct bp_receiver *)r;
}

static void host_receiver_enable(struct bp_receiver *r, int32_t enabled)
{
    receiver_enable((struct receiver *)r, enabled);
}

static void host_set_leds(struct bp_receiver *r, uint32_t leds)
{
    receiver_set_leds((struct receiver *)r, leds);
}

const struct bp_input host_input = {
    .size = sizeof(struct bp_input),
    .create = host_receiver_create,
    .enable = host_receiver_enable,
    .set_leds = host_set_leds,
};
