/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/sdl/link.h"

#include <errno.h>
#include <gio/gio.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/unix_socket.h"

#define GREETING_MS 5000

static bool send_message(struct link *l, const void *message, size_t bytes)
{
    return send(l->fd, message, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

int link_read(struct link *l, union link_message *m, int *fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec v = { m, sizeof *m };
    struct msghdr h = {
        .msg_iov = &v,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    struct cmsghdr *c;
    ssize_t n;

    *fd = -1;
    do
        n = recvmsg(l->fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    c = CMSG_FIRSTHDR(&h);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(c), sizeof *fd);
    if (n > 0 && !(h.msg_flags & MSG_TRUNC) &&
        console_message_valid(m, (size_t)n, false))
        return 1;
    if (*fd >= 0)
        close(*fd);
    return -1;
}

static bool greet(struct link *l, const char *path, char title[CONSOLE_TITLE],
                  GError **error)
{
    struct console_hello hello = {
        .head = { sizeof hello, CONSOLE_UI_HELLO },
        .version = CONSOLE_VERSION,
    };
    struct pollfd p = { .fd = l->fd, .events = POLLIN };
    g_autofree union link_message *m = g_new0(union link_message, 1);
    int fd = -1;

    if (!send_message(l, &hello, sizeof hello) ||
        poll(&p, 1, GREETING_MS) <= 0 || link_read(l, m, &fd) <= 0 ||
        m->head.type != CONSOLE_HELLO) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                    "socket '%s' does not answer as a console", path);
        return false;
    }
    if (m->hello.version != CONSOLE_VERSION) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "the machine at '%s' has version %u of the console "
                    "protocol, and this program version %u",
                    path, m->hello.version, CONSOLE_VERSION);
        return false;
    }
    memcpy(title, m->hello.title, CONSOLE_TITLE);
    return true;
}

bool link_open(struct link *l, const char *path, char title[CONSOLE_TITLE],
               GError **error)
{
    l->lost_key = false;
    l->fd = unix_socket_connect(path, SOCK_SEQPACKET, error);
    if (l->fd < 0)
        return false;
    if (greet(l, path, title, error))
        return true;
    link_close(l);
    return false;
}

void link_close(struct link *l)
{
    close(l->fd);
    l->fd = -1;
}

void link_send_plain(struct link *l, uint32_t type)
{
    struct console_head m = { sizeof m, type };

    send_message(l, &m, sizeof m);
}

void link_send_key(struct link *l, uint32_t usage, bool down)
{
    struct console_key m = { { sizeof m, CONSOLE_KEY }, usage, down };

    if (l->lost_key) {
        struct console_head all = { sizeof all, CONSOLE_RELEASE_ALL };

        l->lost_key = !send_message(l, &all, sizeof all);
    }
    if (!send_message(l, &m, sizeof m))
        l->lost_key = true;
}

void link_send_motion(struct link *l, int32_t dx, int32_t dy, int32_t wheel,
                      uint32_t buttons)
{
    struct console_motion m = {
        { sizeof m, CONSOLE_MOTION }, dx, dy, wheel, buttons,
    };

    send_message(l, &m, sizeof m);
}

void link_send_position(struct link *l, uint32_t x, uint32_t y, int32_t wheel,
                        uint32_t buttons)
{
    struct console_position m = {
        { sizeof m, CONSOLE_POSITION }, x, y, wheel, buttons,
    };

    send_message(l, &m, sizeof m);
}

void link_send_size(struct link *l, uint32_t width, uint32_t height)
{
    struct console_size m = { { sizeof m, CONSOLE_SIZE }, width, height };

    send_message(l, &m, sizeof m);
}

void link_send_number(struct link *l, uint32_t type, uint32_t number)
{
    /* The three structs are alike. */
    struct console_shown m = { { sizeof m, type }, number };

    send_message(l, &m, sizeof m);
}
