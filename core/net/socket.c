/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cable to another machine: a Unix stream socket, each frame after its
 * length in four bytes, big-endian, as QEMU's "stream" networks and passt
 * have it.
 *
 * Who finds nobody at the path listens there; the other one connects.  When
 * an end goes, the link goes down until one is there again.  The peer is not
 * trusted: a length out of range ends the connection.
 *
 * Reading never waits for the guest, so that two machines that are both
 * behind lose frames instead of waiting for each other for ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/unix_socket.h"
#include "net/backends.h"
#include "net/pump.h"
#include "vm/error.h"

#define LENGTH_BYTES 4u
#define READ_BYTES   (256u * 1024)
#define RETRY_MS     500

struct cable {
    struct net_port *port;
    struct net_pump pump;
    char *path;
    int listener; /* -1: this end connects */
    int fd;       /* -1: nobody is there */

    struct net_frame *first; /* taken from the port, not written yet */
    uint32_t written;        /* of it, its length included */
    bool held;
    uint8_t in[READ_BYTES];
    uint32_t filled;
};

static void hang_up(struct cable *c)
{
    close(c->fd);
    c->fd = -1;
    c->filled = c->written = 0;
    net_frames_free(c->first);
    c->first = NULL;
    net_port_carrier(c->port, false);
}

static void use(struct cable *c, int fd)
{
    c->fd = fd;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    net_port_carrier(c->port, true);
}

/* --- writing --------------------------------------------------------------*/

/* True: all of the frame is out. */
static bool write_frame(struct cable *c, const struct net_frame *f)
{
    uint8_t length[LENGTH_BYTES];
    struct iovec iov[2];
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };

    net_put32(length, f->bytes);
    while (c->written < LENGTH_BYTES + f->bytes) {
        uint32_t at = MIN(c->written, LENGTH_BYTES);
        uint32_t past = c->written - at;
        iov[0] = (struct iovec){ length + at, LENGTH_BYTES - at };
        iov[1] = (struct iovec){ (void *)(uintptr_t)(f->data + past),
                                 f->bytes - past };
        ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false; /* EAGAIN; reading finds out what else */
        c->written += (uint32_t)n;
    }
    c->written = 0;
    return true;
}

static void write_frames(struct cable *c)
{
    for (;;) {
        if (!c->first)
            c->first = net_port_take(c->port);
        struct net_frame *f = c->first;
        if (!f || !write_frame(c, f))
            return;
        c->first = f->next;
        net_frame_free(f);
    }
}

/* --- reading --------------------------------------------------------------*/

/* Takes whole frames out of what was read; false: nonsense. */
static bool parse(struct cable *c)
{
    uint32_t at = 0;

    while (c->filled - at >= LENGTH_BYTES) {
        uint32_t bytes = net_be32(c->in + at);
        if (bytes < ETHERNET_HEADER || bytes > BP_NET_FRAME_MAX)
            return false;
        if (c->filled - at - LENGTH_BYTES < bytes)
            break;
        net_port_receive(c->port,
                         net_frame_copy(c->in + at + LENGTH_BYTES, bytes),
                         false);
        at += LENGTH_BYTES + bytes;
    }
    memmove(c->in, c->in + at, c->filled - at);
    c->filled -= at;
    return true;
}

static void read_frames(struct cable *c)
{
    ssize_t n = recv(c->fd, c->in + c->filled, READ_BYTES - c->filled, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        hang_up(c);
        return;
    }
    c->filled += (uint32_t)n;
    bool good = parse(c);
    net_port_deliver(c->port);
    if (!good) {
        log_warn(c->port->name,
                 "what comes from '%s' are no frames; the connection is ended",
                 c->path);
        hang_up(c);
    }
}

/* --- the thread -----------------------------------------------------------*/

static bool is_ready(void *opaque)
{
    struct cable *c = opaque;

    return c->held != net_port_is_held(c->port);
}

static bool has_frames(void *opaque)
{
    struct cable *c = opaque;

    if (!c->first)
        c->first = net_port_take(c->port);
    return is_ready(c) || c->first;
}

static void find_peer(struct cable *c)
{
    int fd;

    if (c->listener >= 0)
        fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    else
        fd = unix_socket_connect(c->path, SOCK_STREAM, NULL);
    if (fd >= 0)
        use(c, fd);
}

/* Nobody is there: frames are taken and lost by the port, whose link is
 * down. */
static bool wait_peer(struct cable *c)
{
    struct pollfd fds[2];
    unsigned n = 1;
    int ms = c->listener >= 0 || c->held ? -1 : RETRY_MS;

    if (c->listener >= 0 && !c->held)
        fds[n++] = (struct pollfd){ .fd = c->listener, .events = POLLIN };
    if (!pump_wait(&c->pump, fds, n, ms, is_ready, c))
        return false;
    if (!c->held)
        find_peer(c);
    return true;
}

static void *run(void *opaque)
{
    struct cable *c = opaque;
    bool stuck = false; /* the socket took no more */

    for (;;) {
        c->held = net_port_is_held(c->port);
        if (c->fd < 0) {
            if (!wait_peer(c))
                return NULL;
            stuck = false;
            continue;
        }
        short events = (short)(POLLIN | (stuck ? POLLOUT : 0));
        struct pollfd fds[2] = { [1] = { .fd = c->fd, .events = events } };
        if (!pump_wait(&c->pump, fds, c->held ? 1 : 2, -1,
                       stuck ? is_ready : has_frames, c))
            return NULL;
        if (net_port_is_held(c->port))
            continue;
        if (!stuck || (fds[1].revents & POLLOUT))
            write_frames(c);
        stuck = c->first != NULL;
        if (fds[1].revents & (POLLIN | POLLHUP | POLLERR))
            read_frames(c);
    }
}

static void cable_wake(void *backend)
{
    pump_wake(&((struct cable *)backend)->pump);
}

static void cable_close(void *backend)
{
    struct cable *c = backend;

    pump_stop(&c->pump);
    net_frames_free(c->first);
    if (c->fd >= 0)
        close(c->fd);
    if (c->listener >= 0)
        unix_socket_close(c->listener, c->path);
    g_free(c->path);
    g_free(c);
}

static const struct net_backend_ops cable_ops = {
    .name = "socket",
    .wake = cable_wake,
    .close = cable_close,
};

bool net_socket_open(struct net_port *p, const struct net_options *o,
                     GError **error)
{
    struct cable *c = g_new0(struct cable, 1);

    c->port = p;
    c->path = g_strdup(o->path);
    c->listener = -1;
    p->carrier = false;
    c->fd = unix_socket_connect(o->path, SOCK_STREAM, NULL);
    if (c->fd >= 0)
        use(c, c->fd);
    else
        c->listener = unix_socket_listen(o->path, SOCK_STREAM, error);
    if (c->fd < 0 && c->listener < 0) {
        cable_close(c);
        return false;
    }
    if (!pump_start(&c->pump, p->name, run, c)) {
        cable_close(c);
        return vm_fail(error, VM_ERROR_CONFIG,
                       "'%s': the host has no thread or descriptor left",
                       p->name);
    }
    net_port_connect(p, &cable_ops, c);
    return true;
}
