/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User-mode network: libslirp on a thread of its own, which is the only one
 * to call it once it runs.
 *
 * libslirp's time is the machine's: while the machine stands, connections
 * neither time out nor move.  What it has for the guest waits in its sockets
 * when the guest is behind.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <libslirp.h>

#include "lib/log.h"
#include "net/backends.h"
#include "net/pump.h"
#include "sched/clock.h"
#include "vm/error.h"

#define MAX_FDS 1024u
/* Connections of the guest at a time: each is a descriptor of this process,
 * which needs some for other things. */
#define MAX_CONNECTIONS 512u
#define MS_NS           1000000u
/* Frames of the guest between two looks at the sockets. */
#define BATCH 64u

struct user_timer {
    SlirpTimerId id;
    void *opaque;
    int64_t due; /* ms; -1: not armed */
    struct user_timer *next;
};

struct user {
    struct net_port *port;
    struct net_pump pump;
    Slirp *slirp;
    struct user_timer *timers;
    struct pollfd fds[MAX_FDS];
    unsigned fd_count;
    unsigned connections;    /* descriptors at the last poll, and since */
    struct net_frame *first; /* taken from the port, not given yet */
    bool held, full;         /* the port was, when the round began */
    char *network;           /* for people */
    uint64_t refused;        /* atomic: frames not given to libslirp */
};

/* --- what libslirp asks for -----------------------------------------------*/

static int64_t now_ns(void *opaque)
{
    struct user *u = opaque;

    return (int64_t)(u->port->clocks ? clock_now(u->port->clocks, CLOCK_VIRTUAL)
                                     : (uint64_t)g_get_monotonic_time() * 1000);
}

static ssize_t send_packet(const void *data, size_t bytes, void *opaque)
{
    struct user *u = opaque;

    if (bytes >= ETHERNET_HEADER && bytes <= BP_NET_FRAME_MAX)
        net_port_receive(u->port, net_frame_copy(data, (uint32_t)bytes), true);
    return (ssize_t)bytes;
}

static void guest_error(const char *message, void *opaque)
{
    struct user *u = opaque;

    log_debug(u->port->name, "libslirp: %s", message);
}

static void *timer_new(SlirpTimerId id, void *cb_opaque, void *opaque)
{
    struct user *u = opaque;
    struct user_timer *t = g_new0(struct user_timer, 1);

    *t = (struct user_timer){ id, cb_opaque, -1, u->timers };
    u->timers = t;
    return t;
}

static void timer_free(void *timer, void *opaque)
{
    struct user *u = opaque;
    struct user_timer **p = &u->timers;

    while (*p && *p != timer)
        p = &(*p)->next;
    if (*p)
        *p = (*p)->next;
    g_free(timer);
}

static void timer_mod(void *timer, int64_t ms, void *opaque)
{
    struct user_timer *t = timer;

    t->due = ms;
}

static void ignore_fd(int fd, void *opaque)
{
}

static void notify(void *opaque)
{
    struct user *u = opaque;

    pump_wake(&u->pump);
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = now_ns,
    .timer_new_opaque = timer_new,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = ignore_fd,
    .unregister_poll_fd = ignore_fd,
    .notify = notify,
};

/* --- polling --------------------------------------------------------------*/

static int add_fd(int fd, int events, void *opaque)
{
    struct user *u = opaque;
    short want = 0;

    if (u->fd_count >= MAX_FDS)
        return -1;
    want |= events & SLIRP_POLL_IN ? POLLIN : 0;
    want |= events & SLIRP_POLL_OUT ? POLLOUT : 0;
    want |= events & SLIRP_POLL_PRI ? POLLPRI : 0;
    u->fds[u->fd_count] = (struct pollfd){ .fd = fd, .events = want };
    return (int)u->fd_count++;
}

static int events_of(int index, void *opaque)
{
    const struct user *u = opaque;
    int events = 0;

    if (index < 0)
        return 0;
    short found = u->fds[index].revents;
    events |= found & POLLIN ? SLIRP_POLL_IN : 0;
    events |= found & POLLOUT ? SLIRP_POLL_OUT : 0;
    events |= found & POLLPRI ? SLIRP_POLL_PRI : 0;
    events |= found & POLLERR ? SLIRP_POLL_ERR : 0;
    events |= found & POLLHUP ? SLIRP_POLL_HUP : 0;
    return events;
}

static void run_timers(struct user *u)
{
    int64_t now = now_ns(u) / MS_NS;

    for (struct user_timer *t = u->timers, *next; t; t = next) {
        next = t->next;
        if (t->due < 0 || t->due > now)
            continue;
        t->due = -1;
        slirp_handle_timer(u->slirp, t->id, t->opaque);
    }
}

/* No longer than until the next timer. */
static uint32_t until_timer(const struct user *u, uint32_t ms)
{
    int64_t now = now_ns((void *)(uintptr_t)u) / MS_NS;

    for (const struct user_timer *t = u->timers; t; t = t->next) {
        if (t->due >= 0)
            ms = (uint32_t)MIN((int64_t)ms, MAX(t->due - now, 0));
    }
    return ms;
}

/* TCP with SYN and without ACK; UDP and fragments, as any may be a new
 * one. */
static bool may_connect(const struct net_frame *f)
{
    struct net_layout l;

    if (!net_frame_layout(f, false, &l) || !l.version)
        return false;
    return l.fragment || l.protocol == IP_UDP ||
           (l.protocol == IP_TCP && (f->data[l.l4 + 13] & 0x12) == 0x02);
}

static bool is_allowed(struct user *u, const struct net_frame *f)
{
    if (!net_user_frame_is_sane(f))
        return false;
    /* Counted as new until libslirp is asked again. */
    return !may_connect(f) || u->connections++ < MAX_CONNECTIONS;
}

static void give_frames(struct user *u)
{
    for (unsigned n = 0; n < BATCH; n++) {
        if (!u->first)
            u->first = net_port_take(u->port);
        struct net_frame *f = u->first;
        if (!f)
            return;
        u->first = f->next;
        if (is_allowed(u, f))
            slirp_input(u->slirp, f->data, (int)f->bytes);
        else
            __atomic_fetch_add(&u->refused, 1, __ATOMIC_RELAXED);
        net_frame_free(f);
    }
}

/* Before it sleeps: is there something that no descriptor tells? */
static bool is_ready(void *opaque)
{
    struct user *u = opaque;

    if (u->held != net_port_is_held(u->port) ||
        u->full != net_port_is_full(u->port))
        return true;
    if (!u->first)
        u->first = net_port_take(u->port);
    return !u->held && u->first;
}

static void *run(void *opaque)
{
    struct user *u = opaque;

    for (;;) {
        uint32_t ms = UINT32_MAX;

        u->held = net_port_is_held(u->port);
        u->full = net_port_is_full(u->port);
        u->fd_count = 1;
        if (!u->held && !u->full)
            slirp_pollfds_fill(u->slirp, &ms, add_fd, u);
        if (!u->held && !u->full)
            u->connections = u->fd_count - 1;
        if (!u->held)
            ms = until_timer(u, ms);
        if (!pump_wait(&u->pump, u->fds, u->fd_count,
                       ms > INT32_MAX ? -1 : (int)ms, is_ready, u))
            return NULL;
        if (net_port_is_held(u->port))
            continue;
        if (!u->held && !u->full)
            slirp_pollfds_poll(u->slirp, 0, events_of, u);
        run_timers(u);
        give_frames(u);
        net_port_deliver(u->port);
    }
}

/* --- setting up -----------------------------------------------------------*/

static void user_wake(void *backend)
{
    pump_wake(&((struct user *)backend)->pump);
}

static void user_close(void *backend)
{
    struct user *u = backend;

    pump_stop(&u->pump);
    net_frames_free(u->first);
    if (u->slirp)
        slirp_cleanup(u->slirp);
    while (u->timers)
        timer_free(u->timers, u);
    g_free(u->network);
    g_free(u);
}

static void user_describe(void *backend, GString *out)
{
    struct user *u = backend;

    g_string_append_printf(out, "  network   %s, frames refused: %" PRIu64 "\n",
                           u->network,
                           __atomic_load_n(&u->refused, __ATOMIC_RELAXED));
}

static const struct net_backend_ops user_ops = {
    .name = "user",
    .large_ipv4 = true, /* with IPv6 it minds the MTU */
    .wake = user_wake,
    .close = user_close,
    .describe = user_describe,
};

static struct in_addr host_number(const struct net_options *o, uint32_t n)
{
    return (struct in_addr){ o->network.s_addr | htonl(n) };
}

static void set_up_ipv6(SlirpConfig *c, bool on)
{
    c->in6_enabled = on;
    c->vprefix_len = 64;
    inet_pton(AF_INET6, "fec0::", &c->vprefix_addr6);
    inet_pton(AF_INET6, "fec0::2", &c->vhost6);
    inet_pton(AF_INET6, "fec0::3", &c->vnameserver6);
}

static bool forward(struct user *u, const struct net_options *o,
                    const struct net_forward *f, GError **error)
{
    struct in_addr guest = f->guest.s_addr ? f->guest : host_number(o, 15);

    if (slirp_add_hostfwd(u->slirp, f->udp, f->host, f->host_port, guest,
                          f->guest_port) == 0)
        return true;
    return vm_fail(error, VM_ERROR_CONFIG,
                   "%s port %u of the host cannot be forwarded: %s",
                   f->udp ? "UDP" : "TCP", f->host_port, g_strerror(errno));
}

static bool set_up(struct user *u, const struct net_options *o, GError **error)
{
    SlirpConfig c = {
        .version = 4,
        .restricted = o->restricted,
        .in_enabled = true,
        .vnetwork = o->network,
        .vnetmask = o->mask,
        .vhost = host_number(o, 2),
        .vnameserver = host_number(o, 3),
        .vdhcp_start = host_number(o, 15),
        .vhostname = o->hostname,
        .tftp_path = o->tftp,
        .bootfile = o->bootfile,
        .if_mtu = o->mtu,
        .if_mru = o->mtu,
    };
    char address[INET_ADDRSTRLEN];

    set_up_ipv6(&c, o->ipv6);
    u->slirp = slirp_new(&c, &callbacks, u);
    if (!u->slirp)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "libslirp cannot make this network");
    inet_ntop(AF_INET, &o->network, address, sizeof(address));
    u->network =
        g_strdup_printf("%s, gateway .2, name server .3, guest .15", address);
    for (guint i = 0; i < o->forwards->len; i++) {
        if (!forward(u, o, &g_array_index(o->forwards, struct net_forward, i),
                     error))
            return false;
    }
    return true;
}

bool net_user_open(struct net_port *p, const struct net_options *o,
                   GError **error)
{
    struct user *u = g_new0(struct user, 1);

    u->port = p;
    if (!set_up(u, o, error)) {
        user_close(u);
        return false;
    }
    if (!pump_start(&u->pump, p->name, run, u)) {
        user_close(u);
        return vm_fail(error, VM_ERROR_CONFIG,
                       "'%s': the host has no thread or descriptor left",
                       p->name);
    }
    net_port_connect(p, &user_ops, u);
    return true;
}
