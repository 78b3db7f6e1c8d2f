/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tap interface.  Frames carry the kernel's virtio header, so that a large
 * TCP frame goes to it as one; it gives complete frames.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/log.h"
#include "net/backends.h"
#include "net/pump.h"
#include "vm/error.h"

#define BATCH 64u

typedef struct virtio_net_hdr header;

struct tap {
    struct net_port *port;
    struct net_pump pump;
    int fd;
    bool broken;
    struct net_frame *first; /* taken from the port, not written yet */
    bool held;
    uint8_t in[BP_NET_FRAME_MAX];
};

/* Says to the kernel what is large in the frame. */
static void describe_large(header *h, struct net_frame *f)
{
    struct net_layout l;

    memset(h, 0, sizeof(*h));
    if (!(f->flags & BP_NET_SEGMENT) || !net_frame_layout(f, false, &l) ||
        !l.version || l.end - l.payload <= f->mss)
        return;
    h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    h->gso_type =
        l.version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
    h->hdr_len = (uint16_t)l.payload;
    h->gso_size = f->mss;
    h->csum_start = (uint16_t)l.l4;
    h->csum_offset = 16;
    net_pseudo_sum_set(f, &l);
}

/* False: the kernel takes no more now. */
static bool write_frame(struct tap *t, struct net_frame *f)
{
    header h;
    struct iovec iov[2];
    ssize_t n;

    describe_large(&h, f);
    iov[0] = (struct iovec){ &h, sizeof(h) };
    iov[1] = (struct iovec){ f->data, f->bytes };
    do
        n = writev(t->fd, iov, 2);
    while (n < 0 && errno == EINTR);
    /* Other errors: the frame is lost, as an interface that is down would
     * lose it. */
    return n >= 0 || errno != EAGAIN;
}

static void write_frames(struct tap *t)
{
    for (unsigned n = 0; n < BATCH; n++) {
        if (!t->first)
            t->first = net_port_take(t->port);
        struct net_frame *f = t->first;
        if (!f || !write_frame(t, f))
            return;
        t->first = f->next;
        net_frame_free(f);
    }
}

static void read_frames(struct tap *t)
{
    header h;

    for (unsigned i = 0; i < BATCH; i++) {
        struct iovec iov[2] = { { &h, sizeof(h) }, { t->in, sizeof(t->in) } };
        ssize_t n = readv(t->fd, iov, 2);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            log_warn(t->port->name, "the tap interface is gone: %s",
                     g_strerror(errno));
            t->broken = true;
            net_port_carrier(t->port, false);
        }
        if (n <= (ssize_t)sizeof(h))
            return;
        net_port_receive(t->port,
                         net_frame_copy(t->in,
                                        (uint32_t)n - (uint32_t)sizeof(h)),
                         false);
    }
}

static bool is_ready(void *opaque)
{
    struct tap *t = opaque;

    return t->held != net_port_is_held(t->port);
}

static bool has_frames(void *opaque)
{
    struct tap *t = opaque;

    if (!t->first)
        t->first = net_port_take(t->port);
    return is_ready(t) || t->first;
}

static void *run(void *opaque)
{
    struct tap *t = opaque;
    struct pollfd fds[2];
    bool stuck = false; /* the kernel took no more */

    for (;;) {
        t->held = net_port_is_held(t->port);
        short events = (short)(POLLIN | (stuck ? POLLOUT : 0));
        fds[1] = (struct pollfd){ .fd = t->fd, .events = events };
        if (!pump_wait(&t->pump, fds, t->broken || t->held ? 1 : 2, -1,
                       stuck || t->broken ? is_ready : has_frames, t))
            return NULL;
        if (t->broken || net_port_is_held(t->port))
            continue;
        write_frames(t);
        stuck = t->first != NULL;
        read_frames(t);
        net_port_deliver(t->port);
    }
}

static void tap_wake(void *backend)
{
    pump_wake(&((struct tap *)backend)->pump);
}

static void tap_close(void *backend)
{
    struct tap *t = backend;

    pump_stop(&t->pump);
    net_frames_free(t->first);
    if (t->fd >= 0)
        close(t->fd);
    g_free(t);
}

static const struct net_backend_ops tap_ops = {
    .name = "tap",
    .large_ipv4 = true,
    .large_ipv6 = true,
    .wake = tap_wake,
    .close = tap_close,
};

static bool open_interface(struct tap *t, const char *ifname, GError **error)
{
    struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

    t->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (t->fd < 0)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "'/dev/net/tun' cannot be opened: %s",
                       g_strerror(errno));
    g_strlcpy(r.ifr_name, ifname, sizeof(r.ifr_name));
    if (ioctl(t->fd, TUNSETIFF, &r) < 0)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "tap interface '%s' cannot be used: %s", ifname,
                       g_strerror(errno));
    return true;
}

static bool use_descriptor(struct tap *t, int fd, GError **error)
{
    struct ifreq r;

    t->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (t->fd < 0 || ioctl(t->fd, TUNGETIFF, &r) < 0)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "descriptor %d is no tap interface: %s", fd,
                       g_strerror(errno));
    if (!(r.ifr_flags & IFF_VNET_HDR))
        return vm_fail(error, VM_ERROR_CONFIG,
                       "descriptor %d is a tap interface without the flag "
                       "IFF_VNET_HDR",
                       fd);
    fcntl(t->fd, F_SETFL, O_NONBLOCK);
    return true;
}

static bool set_up(struct tap *t, const struct net_options *o, GError **error)
{
    int bytes = sizeof(header);

    if (!(o->ifname ? open_interface(t, o->ifname, error)
                    : use_descriptor(t, o->fd, error)))
        return false;
    /* Nothing is left to us: what is read is complete. */
    if (ioctl(t->fd, TUNSETVNETHDRSZ, &bytes) < 0 ||
        ioctl(t->fd, TUNSETOFFLOAD, 0) < 0)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "the tap interface has no virtio header: %s",
                       g_strerror(errno));
    return true;
}

bool net_tap_open(struct net_port *p, const struct net_options *o,
                  GError **error)
{
    struct tap *t = g_new0(struct tap, 1);

    t->port = p;
    t->fd = -1;
    if (!set_up(t, o, error)) {
        tap_close(t);
        return false;
    }
    if (!pump_start(&t->pump, p->name, run, t)) {
        tap_close(t);
        return vm_fail(error, VM_ERROR_CONFIG,
                       "'%s': the host has no thread or descriptor left",
                       p->name);
    }
    net_port_connect(p, &tap_ops, t);
    return true;
}
