/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client at a time; the next one waits in the kernel's queue.  While
 * there is none the newest output is kept and is what the next client reads
 * first, so nothing hangs on who comes when.
 */
#include "char/backends.h"

#include <errno.h>
#include <gio/gio.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "char/stream.h"
#include "lib/unix_socket.h"

struct server {
    struct stream stream;
    int listener;
    int client; /* -1: none.  [reader] */
    char *path;
};

/* Until the client goes; false at the end. */
static bool serve(struct server *s)
{
    uint8_t data[4096];
    ssize_t n;

    stream_set_output(&s->stream, s->client);
    while (stream_wait(&s->stream, s->client, POLLIN)) {
        n = recv(s->client, data, sizeof data, MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return true;
        if (!stream_feed(&s->stream, data, (uint32_t)n))
            return false;
    }
    return false;
}

static void hang_up(struct server *s)
{
    /* A writer that waits for this client sees it go. */
    shutdown(s->client, SHUT_RDWR);
    stream_set_output(&s->stream, -1);
    close(s->client);
    s->client = -1;
}

static void *reader(void *opaque)
{
    struct server *s = opaque;

    while (stream_wait(&s->stream, s->listener, POLLIN)) {
        s->client =
            accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (s->client < 0)
            continue;
        /* At the end the client still gets what was written. */
        if (!serve(s))
            break;
        hang_up(s);
    }
    return NULL;
}

static uint32_t server_write(void *backend, const uint8_t *data, uint32_t n)
{
    return stream_write(&((struct server *)backend)->stream, data, n);
}

static void server_room(void *backend)
{
    stream_room(&((struct server *)backend)->stream);
}

static void server_close(void *backend)
{
    struct server *s = backend;

    stream_finish(&s->stream);
    if (s->client >= 0)
        close(s->client);
    unix_socket_close(s->listener, s->path);
    g_free(s->path);
    g_free(s);
}

static const struct char_backend_ops server_ops = {
    .name = "socket",
    .write = server_write,
    .room = server_room,
    .close = server_close,
};

bool socket_open(struct char_port *p, const char *path, GError **error)
{
    int listener = unix_socket_listen(path, SOCK_STREAM, error);
    struct server *s;

    if (listener < 0)
        return false;
    s = g_new0(struct server, 1);
    s->listener = listener;
    s->client = -1;
    s->path = g_strdup(path);
    s->stream.lossy = true;
    stream_init(&s->stream, p);
    char_port_connect(p, &server_ops, s);
    stream_start_reader(&s->stream, reader, s);
    return true;
}
