/* SPDX-License-Identifier: Apache-2.0 */
#include "display/console_client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

void console_client_init(struct console_client *client, int fd)
{
    memset(client, 0, sizeof *client);
    client->fd = fd;
    client->visible = true;
}

bool console_client_allowed(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

int console_client_read(struct console_client *client,
                        union console_ui_message *m)
{
    ssize_t n;

    /* A window that went without reading all is reported as an error, once,
     * before what it had sent. */
    do
        n = recv(client->fd, m, sizeof *m, MSG_DONTWAIT | MSG_TRUNC);
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    if ((size_t)n > sizeof *m || !console_message_valid(m, (size_t)n, true))
        return -1;
    return client->greeted == (m->head.type != CONSOLE_UI_HELLO) ? 1 : -1;
}

void console_client_greeted(struct console_client *client, uint32_t version,
                            const struct console_view *view)
{
    struct rect all = { 0, 0, view->width, view->height };

    client->greeted = true;
    client->broken = version != CONSOLE_VERSION;
    client->owes_state = client->owes_surface = true;
    client->owes_pointer = view->pointer.width != 0;
    region_add(&client->changed, &all);
}

void console_client_shown(struct console_client *client, uint32_t frame)
{
    if (frame == client->frame)
        client->waits_shown = false;
}

bool console_client_watches(const struct console_client *client)
{
    return client->greeted && client->visible && !client->waits_shown &&
           !client->full;
}

/* False when the socket did not take it, for now or (broken) for ever. */
static bool send_message(struct console_client *client, const void *head,
                         size_t head_bytes, const void *rest, size_t rest_bytes,
                         int fd)
{
    struct iovec v[2] = {
        { (void *)(uintptr_t)head, head_bytes },
        { (void *)(uintptr_t)rest, rest_bytes },
    };
    struct msghdr h = { .msg_iov = v, .msg_iovlen = rest_bytes ? 2 : 1 };
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };

    if (client->full || client->broken)
        return false;
    if (fd >= 0) {
        h.msg_control = control.bytes;
        h.msg_controllen = sizeof control.bytes;
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(&control.align), &fd, sizeof fd);
    }
    if (sendmsg(client->fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return true;
    client->full = errno == EAGAIN || errno == ENOBUFS || errno == EINTR ||
                   errno == ETOOMANYREFS;
    client->broken = !client->full;
    return false;
}

static bool send_surface(struct console_client *client,
                         const struct console_view *view)
{
    struct console_surface m = {
        .head = { sizeof m, CONSOLE_SURFACE },
        .serial = view->serial,
        .width = view->width,
        .height = view->height,
        .stride = view->stride,
    };

    return send_message(client, &m, sizeof m, NULL, 0,
                        view->width ? view->fd : -1);
}

static bool send_state(struct console_client *client,
                       const struct console_view *view)
{
    struct console_state m = {
        .head = { sizeof m, CONSOLE_STATE },
        .run = view->run,
        .flags = view->flags,
        .leds = view->leds,
    };

    return send_message(client, &m, sizeof m, NULL, 0, -1);
}

static bool send_pointer(struct console_client *client,
                         const struct console_pointer_image *image)
{
    size_t bytes = (size_t)image->width * image->height * 4;
    struct console_pointer m = {
        .head = { (uint32_t)(sizeof m + bytes), CONSOLE_POINTER },
        .width = image->width,
        .height = image->height,
        .hot_x = image->hot_x,
        .hot_y = image->hot_y,
        .x = image->x,
        .y = image->y,
    };

    return send_message(client, &m, sizeof m, image->argb, bytes, -1);
}

static bool send_pointer_at(struct console_client *client,
                            const struct console_pointer_image *image)
{
    struct console_pointer_at m = {
        .head = { sizeof m, CONSOLE_POINTER_AT },
        .x = image->x,
        .y = image->y,
    };

    return send_message(client, &m, sizeof m, NULL, 0, -1);
}

static bool send_frame(struct console_client *client, uint32_t serial)
{
    struct console_frame m = {
        .head = { sizeof m, CONSOLE_FRAME },
        .serial = serial,
        .frame = client->frame + 1,
        .changed = client->changed,
    };

    if (!send_message(client, &m, sizeof m, NULL, 0, -1))
        return false;
    client->frame++;
    client->waits_shown = true;
    client->changed.count = 0;
    return true;
}

bool console_client_send(struct console_client *client,
                         const struct console_hello *hello,
                         const struct console_view *view)
{
    client->full = false;
    if (!client->hello_sent)
        client->hello_sent =
            send_message(client, hello, sizeof *hello, NULL, 0, -1);
    if (!client->greeted || !client->hello_sent)
        return !client->broken;
    if (client->owes_state)
        client->owes_state = !send_state(client, view);
    if (client->owes_surface)
        client->owes_surface = !send_surface(client, view);
    if (client->owes_pointer) {
        client->owes_pointer = !send_pointer(client, &view->pointer);
        client->owes_pointer_at &= client->owes_pointer;
    }
    if (client->owes_pointer_at)
        client->owes_pointer_at = !send_pointer_at(client, &view->pointer);
    if (client->changed.count && !client->owes_surface &&
        console_client_watches(client))
        send_frame(client, view->serial);
    return !client->broken;
}
