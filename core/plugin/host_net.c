/* SPDX-License-Identifier: Apache-2.0 */
/* bp.net/1: a thin table over core/net; a port's handle is the core's
 * object. */
#include "net/port.h"
#include "plugin/host.h"

static struct net_port *port_of(struct bp_net_port *p)
{
    return (struct net_port *)p;
}

static void host_net_info(struct bp_net_port *p, struct bp_net_info *info)
{
    net_port_info(port_of(p), info);
}

static void host_net_listen(struct bp_net_port *p,
                            const struct bp_net_events *ev, void *ctx)
{
    net_port_listen(port_of(p), ev, ctx);
}

static int32_t host_net_send(struct bp_net_port *p,
                             const struct bp_net_frame *frame)
{
    return net_port_send(port_of(p), frame);
}

static int32_t host_net_room(struct bp_net_port *p)
{
    return net_port_room(port_of(p));
}

static const struct bp_net_frame *host_net_next(struct bp_net_port *p)
{
    return net_port_next(port_of(p));
}

static void host_net_taken(struct bp_net_port *p)
{
    net_port_taken(port_of(p));
}

static void host_net_accept(struct bp_net_port *p, uint32_t flags,
                            uint32_t bytes)
{
    net_port_accept(port_of(p), flags, bytes);
}

const struct bp_net host_net = {
    .size = sizeof(struct bp_net),
    .info = host_net_info,
    .listen = host_net_listen,
    .send = host_net_send,
    .room = host_net_room,
    .next = host_net_next,
    .taken = host_net_taken,
    .accept = host_net_accept,
};
