/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "net/backends.h"

bool net_open(struct net_port *p, const struct net_options *o, GError **error)
{
    if (o->has_mac)
        memcpy(p->mac, o->mac, sizeof(p->mac));
    p->mtu = o->mtu;
    p->link = o->link;
    switch (o->kind) {
    case NET_NONE: return true;
    case NET_USER: return net_user_open(p, o, error);
    case NET_TAP: return net_tap_open(p, o, error);
    case NET_SOCKET: return net_socket_open(p, o, error);
    }
    return true;
}
