/* SPDX-License-Identifier: Apache-2.0 */
#include "char/backends.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "char/stream.h"
#include "char/terminal.h"
#include "lib/log.h"

struct stdio {
    struct stream stream;
    int tty; /* standard output opened again, or -1 */
    bool terminal;
    struct escape escape;
};

/* Of the process, as the terminal is. */
static struct char_port *user;
static void (*quit_fn)(void *opaque);
static void *quit_opaque;

void stdio_on_quit(void (*fn)(void *opaque), void *opaque)
{
    quit_fn = fn;
    quit_opaque = opaque;
}

static void print_help(void)
{
    static const char text[] = "\n"
                               "Ctrl-A x       end Backplane\n"
                               "Ctrl-A b       send a break\n"
                               "Ctrl-A Ctrl-A  send Ctrl-A\n"
                               "Ctrl-A h       this\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);

    (void)ignored;
}

static void act(struct stdio *s, enum escape_action action)
{
    switch (action) {
    case ESCAPE_NONE: break;
    case ESCAPE_HELP: print_help(); break;
    case ESCAPE_BREAK: char_port_break(s->stream.port); break;
    case ESCAPE_QUIT:
        if (quit_fn)
            quit_fn(quit_opaque);
        else
            kill(getpid(), SIGTERM);
        break;
    }
}

static bool take(struct stdio *s, uint8_t *data, uint32_t n)
{
    enum escape_action action = ESCAPE_NONE;
    uint8_t *rest = NULL;
    uint32_t rest_n = 0;

    while (n) {
        if (s->terminal)
            action = escape_filter(&s->escape, data, &n, &rest, &rest_n);
        if (n && !stream_feed(&s->stream, data, n))
            return false;
        act(s, action);
        data = rest;
        n = rest_n;
        rest_n = 0;
    }
    return true;
}

static void *reader(void *opaque)
{
    struct stdio *s = opaque;
    uint8_t data[1024];
    ssize_t n;

    while (stream_wait(&s->stream, STDIN_FILENO, POLLIN)) {
        n = read(STDIN_FILENO, data, sizeof data);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        /* The end of the input is not the end of the guest. */
        if (n <= 0 || !take(s, data, (uint32_t)n))
            break;
    }
    return NULL;
}

static uint32_t stdio_write(void *backend, const uint8_t *data, uint32_t n)
{
    return stream_write(&((struct stdio *)backend)->stream, data, n);
}

static void stdio_room(void *backend)
{
    stream_room(&((struct stdio *)backend)->stream);
}

static void stdio_close(void *backend)
{
    struct stdio *s = backend;

    stream_finish(&s->stream);
    if (s->tty >= 0)
        close(s->tty);
    if (s->terminal)
        terminal_give_back();
    user = NULL;
    g_free(s);
}

static const struct char_backend_ops stdio_ops = {
    .name = "stdio",
    .write = stdio_write,
    .room = stdio_room,
    .close = stdio_close,
};

/* A terminal that is stopped blocks writes even when it polls as writable;
 * an open file of our own can be told not to, while the one that we got is
 * shared with the shell. */
static int open_tty(void)
{
    return isatty(STDOUT_FILENO)
               ? open("/proc/self/fd/1",
                      O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
               : -1;
}

bool stdio_open(struct char_port *p, GError **error)
{
    struct stdio *s;

    if (user) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY,
                    "'%s' cannot have the standard input and output, which "
                    "'%s' has",
                    p->name, user->name);
        return false;
    }
    user = p;
    s = g_new0(struct stdio, 1);
    s->terminal = terminal_take();
    stream_init(&s->stream, p);
    s->tty = open_tty();
    stream_set_output(&s->stream, s->tty >= 0 ? s->tty : STDOUT_FILENO);
    char_port_connect(p, &stdio_ops, s);
    stream_start_reader(&s->stream, reader, s);
    if (s->terminal)
        log_info(p->name, "is on this terminal; Ctrl-A h for help");
    return true;
}
