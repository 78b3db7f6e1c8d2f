/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the device reports comes in with its lane held, on whichever thread
 * had the screen brought up to date; it is noted in `news` under a small
 * lock.  The console's thread moves it from there to each window, as what
 * that window still has to be told.  Messages are made from that when the
 * socket takes them, so a window that does not read costs a struct, not a
 * queue.
 *
 * Closing a window: the first time the power button is pressed, so that the
 * guest can shut down; the second time, or when nobody hears the button, the
 * machine is turned off.
 */
#include "display/console.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "display/console_client.h"
#include "display/screen.h"
#include "input/input.h"
#include "lib/log.h"
#include "lib/unix_socket.h"

#define MAX_CLIENTS 8u
#define MS          UINT64_C(1000000)
/* Between two frames: while something moves, after a second of nothing, after
 * ten.  A key or a movement of the mouse makes it quick again. */
#define FRAME_NS      (UINT64_C(1000) * MS / 60)
#define SLOW_FRAME_NS (50 * MS)
#define IDLE_FRAME_NS (100 * MS)
/* How often the machine's state is looked at. */
#define STATE_NS (100 * MS)

/* What happened to the screen since the thread last looked. */
struct news {
    bool mode;
    int fd; /* -1: none */
    struct console_surface surface;
    struct region changed;
    bool pointer, pointer_at;
    struct console_pointer_image image;
};

struct console {
    char *path;
    struct console_hello hello;
    struct console_options o;
    struct screen_listener listener;

    int socket, wake;
    pthread_t thread;
    pid_t child; /* 0: none */

    pthread_mutex_t lock;
    struct news news;
    bool ending;

    /* The thread's: */
    struct screen *screen; /* that it listens to; NULL: none */
    bool unseen;           /* nothing of it was drawn yet */
    struct console_view view;
    struct console_client clients[MAX_CLIENTS];
    unsigned count;
    uint64_t next_frame, next_state;
    unsigned quiet; /* frames without a change */
    bool closing;
    bool told_alone;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static void wake(struct console *c)
{
    uint64_t one = 1;
    ssize_t ignored = write(c->wake, &one, sizeof one);

    (void)ignored; /* full: it is awake */
}

/* --- from the screen, its lane held --------------------------------------*/

static void on_mode(void *opaque, const struct bp_surface *surface, int fd)
{
    struct console *c = opaque;
    struct rect all = { 0, 0, surface->width, surface->height };
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    pthread_mutex_lock(&c->lock);
    if (c->news.fd >= 0)
        close(c->news.fd);
    c->news.fd = copy;
    c->news.mode = true;
    c->news.surface.width = copy >= 0 ? surface->width : 0;
    c->news.surface.height = copy >= 0 ? surface->height : 0;
    c->news.surface.stride = surface->stride;
    c->news.changed.count = 0;
    region_add(&c->news.changed, &all);
    pthread_mutex_unlock(&c->lock);
}

static void on_dirty(void *opaque, uint32_t x, uint32_t y, uint32_t width,
                     uint32_t height)
{
    struct console *c = opaque;
    struct rect r = { x, y, width, height };

    pthread_mutex_lock(&c->lock);
    region_add(&c->news.changed, &r);
    pthread_mutex_unlock(&c->lock);
}

static bool same_image(const struct console_pointer_image *image,
                       const uint32_t *argb, uint32_t width, uint32_t height,
                       uint32_t hot_x, uint32_t hot_y)
{
    return image->width == width && image->height == height &&
           (!width ||
            (image->hot_x == hot_x && image->hot_y == hot_y &&
             memcmp(image->argb, argb, (size_t)width * height * 4) == 0));
}

static void on_pointer(void *opaque, const uint32_t *argb, uint32_t width,
                       uint32_t height, uint32_t hot_x, uint32_t hot_y,
                       int32_t x, int32_t y)
{
    struct console *c = opaque;
    struct console_pointer_image *image = &c->news.image;

    if (width > CONSOLE_MAX_POINTER || height > CONSOLE_MAX_POINTER)
        width = height = 0;
    pthread_mutex_lock(&c->lock);
    if (!same_image(image, argb, width, height, hot_x, hot_y)) {
        image->width = width;
        image->height = height;
        image->hot_x = hot_x;
        image->hot_y = hot_y;
        if (width)
            memcpy(image->argb, argb, (size_t)width * height * 4);
        c->news.pointer = true;
    }
    image->x = x;
    image->y = y;
    c->news.pointer_at = true;
    pthread_mutex_unlock(&c->lock);
    wake(c);
}

static void on_leds(void *opaque, uint32_t leds)
{
    wake(opaque);
}

/* --- to the windows ------------------------------------------------------*/

static void take_news(struct console *c)
{
    struct news *n = &c->news;

    pthread_mutex_lock(&c->lock);
    if (n->mode) {
        if (c->view.fd >= 0)
            close(c->view.fd);
        c->view.fd = n->fd;
        n->fd = -1;
        c->view.width = n->surface.width;
        c->view.height = n->surface.height;
        c->view.stride = n->surface.stride;
        c->view.serial++;
    }
    if (n->pointer || n->pointer_at)
        c->view.pointer = n->image;
    for (unsigned i = 0; i < c->count; i++) {
        struct console_client *client = &c->clients[i];

        if (n->mode) {
            client->owes_surface = true;
            client->changed.count = 0;
        }
        client->owes_pointer |= n->pointer;
        client->owes_pointer_at |= n->pointer_at;
        region_add_all(&client->changed, &n->changed);
    }
    if (n->changed.count)
        c->quiet = 0;
    n->changed.count = 0;
    n->mode = n->pointer = n->pointer_at = false;
    pthread_mutex_unlock(&c->lock);
}

static void look_at_state(struct console *c)
{
    uint32_t run = c->o.ops->run_state(c->o.opaque);
    uint32_t flags =
        (inputs_take_position(c->o.inputs) ? CONSOLE_TAKES_POSITION : 0) |
        (c->closing ? CONSOLE_CLOSING : 0);
    uint32_t leds = inputs_leds(c->o.inputs);

    if (run == c->view.run && flags == c->view.flags && leds == c->view.leds)
        return;
    c->view.run = run;
    c->view.flags = flags;
    c->view.leds = leds;
    for (unsigned i = 0; i < c->count; i++)
        c->clients[i].owes_state = true;
}

/* Somebody who waits for a picture. */
static bool watched(const struct console *c)
{
    for (unsigned i = 0; i < c->count; i++)
        if (console_client_watches(&c->clients[i]))
            return true;
    return false;
}

/* Of the screen before. */
static void forget_pointer(struct console *c)
{
    pthread_mutex_lock(&c->lock);
    c->news.image.width = c->news.image.height = 0;
    c->news.pointer = c->news.pointer_at = true;
    pthread_mutex_unlock(&c->lock);
}

/* The machine may show another of its screens now. */
static void follow(struct console *c)
{
    struct screen *seen = screens_seen(c->o.screens);

    if (seen == c->screen)
        return;
    if (c->screen) {
        screen_unlisten(c->screen, c);
        forget_pointer(c);
    }
    c->screen = seen;
    c->unseen = true;
    c->quiet = 0;
    c->next_frame = 0;
    if (seen && !screen_listen(seen, &c->listener, c))
        log_warn("console", "screen '%s' has too many consoles",
                 screen_name(seen));
}

static void draw(struct console *c, uint64_t now)
{
    if (!c->screen || now < c->next_frame || !watched(c))
        return;
    if (c->view.run == CONSOLE_RUNNING || c->unseen)
        screen_update(c->screen, false);
    c->unseen = false;
    c->quiet++;
    c->next_frame = now + (c->quiet < 60    ? FRAME_NS
                           : c->quiet < 240 ? SLOW_FRAME_NS
                                            : IDLE_FRAME_NS);
}

/* --- from the windows ----------------------------------------------------*/

static void close_requested(struct console *c)
{
    const struct console_ops *ops = c->o.ops;
    bool heard = !c->closing && c->view.run == CONSOLE_RUNNING &&
                 ops->power_button && ops->power_button(c->o.opaque);

    if (!heard && (c->closing || c->view.run != CONSOLE_PAUSED) &&
        ops->turn_off)
        ops->turn_off(c->o.opaque);
    c->closing = true;
}

static void act(struct console *c, uint32_t action)
{
    const struct console_ops *ops = c->o.ops;

    if (action == CONSOLE_RESET && ops->reset)
        ops->reset(c->o.opaque);
    else if (action == CONSOLE_PAUSE && ops->pause)
        ops->pause(c->o.opaque, true);
    else if (action == CONSOLE_RESUME && ops->pause)
        ops->pause(c->o.opaque, false);
}

/* A machine that stands gets no input: it would be part of what is saved. */
static void input(struct console *c, const union console_ui_message *m)
{
    struct inputs *in = c->o.inputs;

    c->quiet = 0;
    c->next_frame = MIN(c->next_frame, now_ns() + FRAME_NS);
    if (m->head.type == CONSOLE_RELEASE_ALL)
        inputs_release_all(in);
    else if (m->head.type == CONSOLE_KEY && !m->key.down)
        inputs_key(in, m->key.usage, false);
    else if (c->view.run != CONSOLE_RUNNING)
        return;
    else if (m->head.type == CONSOLE_KEY)
        inputs_key(in, m->key.usage, true);
    else if (m->head.type == CONSOLE_MOTION)
        inputs_motion(in, m->motion.dx, m->motion.dy, m->motion.wheel,
                      m->motion.buttons);
    else
        inputs_position(in, m->position.x, m->position.y, m->position.wheel,
                        m->position.buttons);
}

static void obey(struct console *c, struct console_client *client,
                 const union console_ui_message *m)
{
    switch (m->head.type) {
    case CONSOLE_UI_HELLO:
        console_client_greeted(client, m->hello.version, &c->view);
        break;
    case CONSOLE_KEY:
    case CONSOLE_RELEASE_ALL:
    case CONSOLE_MOTION:
    case CONSOLE_POSITION: input(c, m); break;
    case CONSOLE_SIZE:
        if (c->screen)
            screen_hint_size(c->screen, MIN(m->size.width, 8192u),
                             MIN(m->size.height, 8192u));
        break;
    case CONSOLE_VISIBLE: client->visible = m->visible.visible; break;
    case CONSOLE_SHOWN: console_client_shown(client, m->shown.frame); break;
    case CONSOLE_CLOSE: close_requested(c); break;
    case CONSOLE_ACTION: act(c, m->action.action); break;
    }
}

static void drop(struct console *c, unsigned i)
{
    close(c->clients[i].fd);
    c->clients[i] = c->clients[--c->count];
    inputs_release_all(c->o.inputs);
    if (!c->child || c->count || c->closing || c->told_alone)
        return;
    c->told_alone = true;
    log_info("console",
             "the window is gone; 'backplane console %s' opens "
             "another",
             c->path);
}

static void serve(struct console *c, unsigned i)
{
    struct console_client *client = &c->clients[i];
    union console_ui_message m;
    int got = 1;

    /* No more than this at a time: others want to be served too. */
    for (int n = 0; n < 64; n++) {
        got = console_client_read(client, &m);
        if (got <= 0)
            break;
        obey(c, client, &m);
    }
    if (got < 0)
        drop(c, i);
}

static void accept_client(struct console *c)
{
    int fd = accept4(c->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    if (c->count == MAX_CLIENTS || !console_client_allowed(fd)) {
        log_warn("console", "a window was refused: %s",
                 c->count == MAX_CLIENTS ? "there are too many"
                                         : "it is another user's");
        close(fd);
        return;
    }
    console_client_init(&c->clients[c->count++], fd);
}

/* --- the thread ----------------------------------------------------------*/

/* Milliseconds until there is something to do by time; -1: never. */
static int until_next(const struct console *c, uint64_t now)
{
    uint64_t next = c->next_state;

    if (!c->count)
        return -1;
    if (c->screen && watched(c))
        next = MIN(next, c->next_frame);
    return next <= now ? 0 : (int)((next - now + MS - 1) / MS);
}

static void wait_for_events(struct console *c, struct pollfd p[])
{
    p[0] = (struct pollfd){ .fd = c->socket, .events = POLLIN };
    p[1] = (struct pollfd){ .fd = c->wake, .events = POLLIN };
    for (unsigned i = 0; i < c->count; i++)
        p[2 + i] = (struct pollfd){
            .fd = c->clients[i].fd,
            .events = (short)(POLLIN | (c->clients[i].full ? POLLOUT : 0)),
        };
    if (poll(p, 2 + c->count, until_next(c, now_ns())) < 0)
        for (unsigned i = 0; i < 2 + MAX_CLIENTS; i++)
            p[i].revents = 0;
}

static void *console_thread(void *opaque)
{
    struct console *c = opaque;
    struct pollfd p[2 + MAX_CLIENTS];
    uint64_t now, count;
    bool ending = false;

    while (!ending) {
        wait_for_events(c, p);
        if ((p[1].revents & POLLIN) &&
            read(c->wake, &count, sizeof count) < 0 && errno != EAGAIN)
            break;
        for (unsigned i = c->count; i-- > 0;)
            if (p[2 + i].revents)
                serve(c, i);
        if (p[0].revents)
            accept_client(c);
        now = now_ns();
        if (now >= c->next_state)
            c->next_state = now + STATE_NS;
        if (c->count) {
            look_at_state(c);
            follow(c);
        }
        draw(c, now);
        take_news(c);
        for (unsigned i = c->count; i-- > 0;)
            if (!console_client_send(&c->clients[i], &c->hello, &c->view))
                drop(c, i);
        pthread_mutex_lock(&c->lock);
        ending = c->ending;
        pthread_mutex_unlock(&c->lock);
    }
    return NULL;
}

static bool start_thread(struct console *c, GError **error)
{
    sigset_t all, before;
    int code;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    code = pthread_create(&c->thread, NULL, console_thread, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!code) {
        pthread_setname_np(c->thread, "console");
        return true;
    }
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code),
                "the console cannot have a thread: %s", g_strerror(code));
    return false;
}

static void console_free(struct console *c)
{
    while (c->count)
        close(c->clients[--c->count].fd);
    if (c->news.fd >= 0)
        close(c->news.fd);
    if (c->view.fd >= 0)
        close(c->view.fd);
    if (c->wake >= 0)
        close(c->wake);
    if (c->socket >= 0)
        unix_socket_close(c->socket, c->path);
    pthread_mutex_destroy(&c->lock);
    g_free(c->path);
    g_free(c);
}

/* Not cut within a character. */
static void set_title(struct console_hello *hello, const char *title)
{
    const char *end;

    g_strlcpy(hello->title, title, sizeof hello->title);
    if (!g_utf8_validate(hello->title, -1, &end))
        hello->title[end - hello->title] = '\0';
}

struct console *console_open(const struct console_options *options,
                             GError **error)
{
    struct console *c = g_new0(struct console, 1);

    c->path = g_strdup(options->path);
    c->o = *options;
    c->hello.head.size = sizeof c->hello;
    c->hello.head.type = CONSOLE_HELLO;
    c->hello.version = CONSOLE_VERSION;
    set_title(&c->hello, options->title);
    c->listener = (struct screen_listener){
        .mode = on_mode,
        .dirty = on_dirty,
        .pointer = on_pointer,
    };
    c->news.fd = c->view.fd = -1;
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->socket = unix_socket_listen(options->path, SOCK_SEQPACKET, error);
    pthread_mutex_init(&c->lock, NULL);
    if (c->socket < 0)
        goto fail_made;
    inputs_on_leds(c->o.inputs, on_leds, c);
    if (start_thread(c, error))
        return c;
    inputs_on_leds(c->o.inputs, NULL, NULL);
fail_made:
    console_free(c);
    return NULL;
}

/* --- the window that comes with a machine --------------------------------*/

bool console_display_available(void)
{
    const char *x11 = getenv("DISPLAY");
    const char *wayland = getenv("WAYLAND_DISPLAY");

    return CONFIG_SDL && ((x11 && *x11) || (wayland && *wayland));
}

bool console_spawn(struct console *c, GError **error)
{
    char program[] = "backplane", command[] = "console";
    char *argv[] = { program, command, c->path, NULL };
    posix_spawnattr_t attr;
    sigset_t none;
    int code;

    /* It handles its signals as any program does, whatever we block. */
    sigemptyset(&none);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    code = posix_spawn(&c->child, "/proc/self/exe", NULL, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    if (!code)
        return true;
    c->child = 0;
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code),
                "the console window cannot be started: %s", g_strerror(code));
    return false;
}

/* The window sees its socket closed and ends by itself. */
static void await_child(struct console *c)
{
    for (unsigned i = 0; c->child && i < 100; i++) {
        if (waitpid(c->child, NULL, WNOHANG) != 0)
            c->child = 0;
        else
            g_usleep(10000);
    }
    if (c->child && kill(c->child, SIGTERM) == 0)
        waitpid(c->child, NULL, 0);
}

void console_close(struct console *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->ending = true;
    pthread_mutex_unlock(&c->lock);
    wake(c);
    pthread_join(c->thread, NULL);
    inputs_on_leds(c->o.inputs, NULL, NULL);
    if (c->screen)
        screen_unlisten(c->screen, c);
    while (c->count)
        close(c->clients[--c->count].fd);
    await_child(c);
    console_free(c);
}
