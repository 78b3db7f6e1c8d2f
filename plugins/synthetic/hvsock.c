/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvsock: sockets between programs of the host and programs of the guest,
 * without a network.
 *
 * Source: Linux net/vmw_vsock/hyperv_transport.c.
 *
 * A port of the guest (AF_VSOCK) is a GUID on the wire.  On the host, a
 * program connects to the Unix socket `path`, writes "CONNECT PORT\n" and
 * reads "OK PORT\n" once the guest has taken the connection; what the guest
 * connects to at port N of the host is the Unix socket "path_N".  That is how
 * other machine monitors do it for vsock, too.  A program may also write
 * "LISTEN PORT\n" to `path`, read "LISTENING PORT\n", and wait there for one
 * connection of the guest to that port, which "OK PORT\n" announces.
 *
 * A machine may be saved and restored in another process, where a connection
 * goes on if its program wants that: it adds " KEEP" to its line and reads
 * "OK PORT TOKEN\n".  At the end of the stream it connects again, until
 * somebody answers, and writes "RESUME TOKEN RECEIVED\n", RECEIVED being the
 * bytes that it has got from the guest since "OK".  The answers:
 *   "OK PORT CONSUMED TOKEN\n"  it goes on: the guest has CONSUMED bytes of the
 *                               program's, which sends again what came after;
 *                               TOKEN is a new one
 *   "ENDED\n"                   nothing was lost: that was the end
 *   "UNKNOWN\n"                 this machine has no such connection, or has
 *                               said something else to the program
 *
 * Modelled: both directions, up to 128 connections, each end for itself, flow
 * control both ways.
 * Not modelled: sockets of Windows guests with other GUIDs than ports'.
 * Other connections end when a machine is restored: the bus takes their
 * channels back.
 */
#include "hvsock.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "export.h"
#include "wire.h"

#define BACKLOG  128
#define ACCEPTS  16u /* at one call */
#define REFUSED  0xc0000236u
#define SECOND   1000000000ull
#define PATH_END 12u /* "_4294967295" */
#define ABSENT   60  /* seconds that a restored machine waits for programs */

/* --- GUIDs ----------------------------------------------------------------*/

struct bp_guid hvsock_guid(uint32_t port)
{
    struct bp_guid g = { { 0, 0, 0, 0, 0xcb, 0xfa, 0xe6, 0x11, 0xbd, 0x58, 0x64,
                           0x00, 0x6a, 0x79, 0x86, 0xd3 } };

    wire_put32(g.b, port);
    return g;
}

int32_t hvsock_port(const struct bp_guid *guid, uint32_t *port)
{
    struct bp_guid g;

    *port = wire_u32(guid->b);
    g = hvsock_guid(*port);
    return memcmp(&g, guid, sizeof(g)) ? -EINVAL : 0;
}

/* --- programs that connect ------------------------------------------------*/

static void accept_programs(void *ctx, uint32_t ready)
{
    struct hvsock *s = ctx;

    (void)ready;
    for (unsigned i = 0; i < ACCEPTS; i++) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            break;
        connection_new(s, fd, GREETING);
    }
    s->watch->set(s->listener_watch, BP_WATCH_READ);
}

static int socket_at(const char *path, struct sockaddr_un *address)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, strlen(path));
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int is_served(const char *path)
{
    struct sockaddr_un address;
    int fd = socket_at(path, &address);
    int served = fd >= 0 &&
                 connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

    if (fd >= 0)
        close(fd);
    return served;
}

/* A socket file that nobody serves is replaced.  NULL, or what is wrong. */
static const char *listen_for_programs(struct hvsock *s)
{
    struct sockaddr_un address;

    if (strlen(s->path) + PATH_END >= sizeof(address.sun_path))
        return "the path is too long";
    if (is_served(s->path))
        return "it belongs to a machine that runs";
    unlink(s->path);
    s->listener = socket_at(s->path, &address);
    if (s->listener < 0 ||
        bind(s->listener, (struct sockaddr *)&address, sizeof(address)) != 0)
        return "it cannot be made there";
    s->listener_watch = s->watch->add(s->dev, s->listener, accept_programs, s);
    if (listen(s->listener, BACKLOG) != 0 || !s->listener_watch)
        return "nobody can listen there";
    s->watch->set(s->listener_watch, BP_WATCH_READ);
    return NULL;
}

/* --- guests that connect --------------------------------------------------*/

/* The program that serves a port; -1: none does. */
static int connect_to_program(struct hvsock *s, uint32_t port)
{
    struct sockaddr_un address;
    char path[sizeof(address.sun_path)];
    int fd;

    if (s->listener < 0)
        return -1;
    snprintf(path, sizeof(path), "%s_%u", s->path, port);
    fd = socket_at(path, &address);
    if (fd >= 0 &&
        connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A program that waits for it at our socket. */
static struct hvsock_connection *listener_of(struct hvsock *s, uint32_t port)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct hvsock_connection *c = s->connection[i];
        if (c->phase == LISTENING && c->port == port)
            return c;
    }
    return NULL;
}

static uint32_t join(struct hvsock *s, const struct bp_guid *endpoint,
                     const struct bp_guid *service)
{
    struct hvsock_connection *c;
    uint32_t port, own;
    int fd;

    if (hvsock_port(service, &port) || hvsock_port(endpoint, &own))
        return REFUSED;
    c = listener_of(s, port);
    if (c)
        return connection_offer(c, own) ? REFUSED : 0;
    fd = connect_to_program(s, port);
    c = fd >= 0 ? connection_new(s, fd, OFFERED) : NULL;
    if (!c)
        return REFUSED;
    c->port = port;
    if (connection_offer(c, own) == 0)
        return 0;
    connection_end(c);
    return REFUSED;
}

static void guest_connects(void *ctx, const struct bp_guid *endpoint,
                           const struct bp_guid *service)
{
    struct hvsock *s = ctx;

    s->bus->connect_result(s->vmbus, endpoint, service,
                           join(s, endpoint, service));
}

/* --- patience -------------------------------------------------------------*/

/* Ends what did not come about in time; looks again in a second. */
static void look_for_late(void *ctx)
{
    struct hvsock *s = ctx;
    uint64_t now = s->timer->now(s->dev, BP_CLOCK_VIRTUAL);
    uint32_t waiting = 0;

    for (uint32_t i = 0; i < s->count; i++) {
        struct hvsock_connection *c = s->connection[i];
        if (c->phase == LISTENING ||
            (c->phase > OFFERED && !connection_is_absent(c) && !c->ending))
            continue;
        if (connection_is_over(c, now))
            connection_end(c);
        else
            waiting++;
    }
    if (waiting)
        s->timer->arm(s->patience, now + SECOND);
}

/* --- the command ----------------------------------------------------------*/

static void run_query(void *ctx, struct bp_call *call)
{
    static const char *const phases[] = { "greeting", "listening", "offered",
                                          "joined",   "lingering", "ending" };
    struct hvsock *s = ctx;

    s->control->put_string(call, "path", s->path);
    s->control->begin_list(call, "connections");
    for (uint32_t i = 0; i < s->count; i++) {
        const struct hvsock_connection *c = s->connection[i];
        s->control->begin_object(call, NULL);
        s->control->put_integer(call, "port", c->port);
        s->control->put_string(call, "state",
                               connection_is_absent(c) ? "absent"
                               : c->ending             ? "ending"
                                                       : phases[c->phase]);
        s->control->end(call);
    }
    s->control->done(call, NULL);
}

static const struct bp_command query_command = {
    .size = sizeof(struct bp_command),
    .name = "query-hvsock",
    .help = "the socket for programs that connect to the guest, and "
            "connections",
    .run = run_query,
};

/* --- life -----------------------------------------------------------------*/

static int32_t hvsock_create(void *self, struct bp_dev *dev,
                             const struct bp_host *host)
{
    struct hvsock *s = self;

    s->dev = dev;
    s->host = host;
    s->listener = -1;
    s->log = host->query(host, BP_LOG);
    s->lane = host->query(host, BP_LANE);
    s->timer = host->query(host, BP_TIMER);
    s->watch = host->query(host, BP_WATCH);
    s->control = host->query(host, BP_CONTROL);
    return 0;
}

static int32_t hvsock_realize(void *self)
{
    struct hvsock *s = self;
    int32_t error;

    s->patience = s->timer->create(s->dev, BP_CLOCK_VIRTUAL, "patience",
                                   look_for_late, s);
    s->control->add(s->dev, &query_command, s);
    s->bus = s->host->device_query(s->dev, NULL, BP_VMBUS, &s->vmbus);
    if (!s->bus)
        return s->host->fail(s->dev, -ENODEV, "there is no VMBus");
    error = s->bus->on_connect(s->vmbus, s->dev, guest_connects, s);
    if (error)
        return s->host->fail(s->dev, error,
                             "another device hears of guests "
                             "that connect");
    return 0;
}

/* The time that the machine was paused or saved is not the programs' fault. */
static void wait_for_absent(struct hvsock *s)
{
    uint64_t deadline =
        s->timer->now(s->dev, BP_CLOCK_VIRTUAL) + ABSENT * SECOND;
    uint32_t absent = 0;

    for (uint32_t i = 0; i < s->count; i++) {
        if (!connection_is_absent(s->connection[i]))
            continue;
        s->connection[i]->deadline = deadline;
        absent++;
    }
    if (absent)
        connection_wait(s, deadline);
}

/* Not before the control socket beside it was found to be free. */
static void hvsock_start(void *self)
{
    struct hvsock *s = self;
    const char *wrong;

    wait_for_absent(s);
    if (!s->path[0] || s->listener >= 0)
        return;
    wrong = listen_for_programs(s);
    if (wrong)
        s->log->log(s->dev, BP_LOG_ERROR, "the socket '%s': %s", s->path,
                    wrong);
}

static void hvsock_reset(void *self, uint32_t kind)
{
    struct hvsock *s = self;

    (void)kind;
    /* Who waits for a guest waits for the next one. */
    for (uint32_t i = s->count; i > 0; i--) {
        if (s->connection[i - 1]->phase != LISTENING)
            connection_free(s->connection[i - 1]);
    }
    s->timer->cancel(s->patience);
    s->st.last_port = 0;
}

static void hvsock_destroy(void *self)
{
    struct hvsock *s = self;

    while (s->count)
        connection_free(s->connection[s->count - 1]);
    if (s->listener_watch) {
        s->watch->remove(s->listener_watch);
        unlink(s->path);
    }
    if (s->listener >= 0)
        close(s->listener);
}

static const struct bp_field hvsock_fields[] = {
    BP_FIELD(struct hvsock, st.last_port, "last_port"),
    { "connections", BP_FIELD_STRUCT, offsetof(struct hvsock, st.connection),
      sizeof(struct hvsock_saved), HVSOCK_CONNECTIONS, 2, BP_FIELD_TRIM,
      hvsock_saved_fields },
    { "out", BP_FIELD_BYTES, offsetof(struct hvsock, st.out),
      sizeof(((struct hvsock *)0)->st.out), 1, 2, BP_FIELD_TRIM, NULL },
    BP_FIELD_END,
};

static const struct bp_property hvsock_properties[] = {
    { .name = "path",
      .help = "Unix socket through which programs reach the guest",
      .type = BP_PROP_STRING,
      .offset = offsetof(struct hvsock, path) },
    { .name = NULL },
};

static const char *const hvsock_requires[] = { BP_LOG,   BP_TIMER,   BP_LANE,
                                               BP_WATCH, BP_CONTROL, NULL };

static const struct bp_device_desc hvsock_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_NETWORK,
    .id = "hvsock",
    .title = "Hyper-V sockets",
    .instance_size = sizeof(struct hvsock),
    .state_offset = offsetof(struct hvsock, st),
    .state_size = sizeof(struct hvsock_state),
    .state_version = 2,
    .fields = hvsock_fields,
    .properties = hvsock_properties,
    .requires_ = hvsock_requires,
    .create = hvsock_create,
    .realize = hvsock_realize,
    .reset = hvsock_reset,
    .save = hvsock_save,
    .loaded = hvsock_loaded,
    .start = hvsock_start,
    .destroy = hvsock_destroy,
};

EXPORT_DEVICES("hvsock", "Hyper-V sockets", &hvsock_desc);
