/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/console_machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "display/console_proto.h"
#include "sched/lane.h"
#include "tests/lib/test.h"

__attribute__((format(printf, 2, 3))) static void note(struct machine *m,
                                                       const char *fmt, ...)
{
    size_t len;
    va_list ap;

    pthread_mutex_lock(&m->lock);
    len = strlen(m->log);
    va_start(ap, fmt);
    vsnprintf(m->log + len, sizeof m->log - len, fmt, ap);
    va_end(ap);
    pthread_mutex_unlock(&m->lock);
}

static void count(struct machine *m, uint32_t *number)
{
    pthread_mutex_lock(&m->lock);
    (*number)++;
    pthread_mutex_unlock(&m->lock);
}

/* Bars, a frame of one pixel, and the square in the middle. */
static void draw(struct bp_surface *s, uint32_t colour)
{
    static const uint32_t bars[8] = {
        0xffffff, 0xffff00, 0x00ffff, 0x00ff00,
        0xff00ff, 0xff0000, 0x0000ff, 0x202020,
    };

    for (uint32_t y = 0; y < s->height; y++) {
        uint32_t *line = s->pixels + (size_t)y * (s->stride / 4);

        for (uint32_t x = 0; x < s->width; x++) {
            line[x] = bars[x * 8 / s->width];
            if (!x || !y || x == s->width - 1 || y == s->height - 1)
                line[x] = 0xff8000;
            if (x / 32 == s->width / 64 && y / 32 == s->height / 64)
                line[x] = colour;
        }
    }
}

static void refresh(void *ctx, int32_t full)
{
    struct machine *m = ctx;
    static struct bp_surface s;
    uint32_t width, height, colour;
    bool redraw;

    pthread_mutex_lock(&m->lock);
    width = m->width;
    height = m->height;
    colour = m->colour;
    redraw = m->redraw;
    m->redraw = false;
    m->refreshes++;
    pthread_mutex_unlock(&m->lock);
    if (!redraw)
        return;
    if (s.width != width || s.height != height)
        CHECK_EQ(screen_set_mode(m->screen, width, height, &s), 0);
    draw(&s, colour);
    screen_dirty(m->screen, 0, 0, s.width, s.height);
}

static void resize_hint(void *ctx, uint32_t width, uint32_t height)
{
    struct machine *m = ctx;

    pthread_mutex_lock(&m->lock);
    m->hint_width = width;
    m->hint_height = height;
    pthread_mutex_unlock(&m->lock);
}

static void on_key(void *ctx, uint32_t usage, int32_t down)
{
    note(ctx, "%s %02x\n", down ? "down" : "up", usage);
}

static void on_motion(void *ctx, int32_t dx, int32_t dy, int32_t wheel,
                      uint32_t buttons)
{
    note(ctx, "motion %+d %+d %d %x\n", dx, dy, wheel, buttons);
}

static void on_position(void *ctx, uint32_t x, uint32_t y, int32_t wheel,
                        uint32_t buttons)
{
    note(ctx, "position %u %u %d %x\n", x, y, wheel, buttons);
}

static const struct bp_screen_ops screen_ops = {
    .size = sizeof screen_ops,
    .refresh = refresh,
    .resize_hint = resize_hint,
};
static const struct bp_receiver_ops keyboard_ops = {
    .size = sizeof keyboard_ops,
    .key = on_key,
};
static const struct bp_receiver_ops mouse_ops = {
    .size = sizeof mouse_ops,
    .motion = on_motion,
};
static const struct bp_receiver_ops tablet_ops = {
    .size = sizeof tablet_ops,
    .position = on_position,
};

static uint32_t run_state(void *opaque)
{
    struct machine *m = opaque;
    uint32_t run;

    pthread_mutex_lock(&m->lock);
    run = m->run;
    pthread_mutex_unlock(&m->lock);
    return run;
}

static bool power_button(void *opaque)
{
    struct machine *m = opaque;

    count(m, &m->presses);
    note(m, "button\n");
    return m->has_button;
}

static void turn_off(void *opaque)
{
    struct machine *m = opaque;

    count(m, &m->offs);
    note(m, "off\n");
}

static void reset(void *opaque)
{
    struct machine *m = opaque;

    count(m, &m->resets);
    note(m, "reset\n");
}

static void pause_machine(void *opaque, bool on)
{
    struct machine *m = opaque;

    count(m, &m->pauses);
    note(m, on ? "pause\n" : "resume\n");
    machine_set_run(m, on ? CONSOLE_PAUSED : CONSOLE_RUNNING);
}

static const struct console_ops console_ops = {
    .run_state = run_state,
    .power_button = power_button,
    .turn_off = turn_off,
    .reset = reset,
    .pause = pause_machine,
};

void machine_start(struct machine *m, const char *title)
{
    struct console_options o = {
        .title = title,
        .ops = &console_ops,
        .opaque = m,
    };
    GError *error = NULL;

    memset(m, 0, sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    m->run = CONSOLE_RUNNING;
    m->width = 640;
    m->height = 480;
    m->redraw = true;
    m->lanes = lanes_create(1);
    m->lane = lane_create(m->lanes, "vga", LANE_DEVICE);
    m->screen = screen_create("vga", m->lane, &screen_ops, m);
    m->screens = screens_create();
    screens_add(m->screens, m->screen);
    m->inputs = inputs_create();
    m->keyboard =
        receiver_create(m->inputs, "keyboard", m->lane, &keyboard_ops, m);
    m->mouse = receiver_create(m->inputs, "mouse", m->lane, &mouse_ops, m);
    m->tablet = receiver_create(m->inputs, "tablet", m->lane, &tablet_ops, m);
    receiver_enable(m->tablet, false);
    snprintf(m->path, sizeof m->path, "%s/console", test_tmp_dir());
    o.path = m->path;
    o.screens = m->screens;
    o.inputs = m->inputs;
    m->console = console_open(&o, &error);
    if (!m->console)
        FAIL("%s", error->message);
}

void machine_stop(struct machine *m)
{
    console_close(m->console);
    receiver_destroy(m->keyboard);
    receiver_destroy(m->mouse);
    receiver_destroy(m->tablet);
    screens_remove(m->screens, m->screen);
    screen_destroy(m->screen);
    screens_destroy(m->screens);
    lane_destroy(m->lane);
    lanes_destroy(m->lanes);
    inputs_destroy(m->inputs);
    pthread_mutex_destroy(&m->lock);
}

void machine_set_mode(struct machine *m, uint32_t width, uint32_t height)
{
    pthread_mutex_lock(&m->lock);
    m->width = width;
    m->height = height;
    m->redraw = true;
    pthread_mutex_unlock(&m->lock);
}

void machine_paint(struct machine *m, uint32_t colour)
{
    pthread_mutex_lock(&m->lock);
    m->colour = colour;
    m->redraw = true;
    pthread_mutex_unlock(&m->lock);
}

void machine_set_run(struct machine *m, uint32_t run)
{
    pthread_mutex_lock(&m->lock);
    m->run = run;
    pthread_mutex_unlock(&m->lock);
}

uint32_t machine_get(struct machine *m, const uint32_t *number)
{
    uint32_t value;

    pthread_mutex_lock(&m->lock);
    value = *number;
    pthread_mutex_unlock(&m->lock);
    return value;
}

void machine_expect(struct machine *m, const char *text)
{
    char *at = NULL;

    for (unsigned i = 0; i < 500 && !at; i++) {
        pthread_mutex_lock(&m->lock);
        at = strstr(m->log, text);
        if (at) {
            at += strlen(text);
            memmove(m->log, at, strlen(at) + 1);
        }
        pthread_mutex_unlock(&m->lock);
        if (!at)
            usleep(10000);
    }
    if (!at)
        FAIL("no '%s' in:\n%s", text, m->log);
}

char *machine_log(struct machine *m)
{
    char *copy;

    pthread_mutex_lock(&m->lock);
    copy = g_strdup(m->log);
    m->log[0] = '\0';
    pthread_mutex_unlock(&m->lock);
    return copy;
}
