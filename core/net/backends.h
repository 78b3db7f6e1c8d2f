/* SPDX-License-Identifier: Apache-2.0 */
/* What a port can be connected with.  Each connects it and is true, or is
 * false with one sentence. */
#ifndef NET_BACKENDS_H
#define NET_BACKENDS_H

#include "net/options.h"
#include "net/port.h"

/* By the options' kind; sets the port's address, MTU and link, too. */
bool net_open(struct net_port *p, const struct net_options *o, GError **error);

/* A network of its own inside this process, behind an address translation:
 * libslirp. */
bool net_user_open(struct net_port *p, const struct net_options *o,
                   GError **error);
/* A tap interface of the host. */
bool net_tap_open(struct net_port *p, const struct net_options *o,
                  GError **error);
/* A Unix socket to another machine. */
bool net_socket_open(struct net_port *p, const struct net_options *o,
                     GError **error);

/* May libslirp see this frame from a guest?  It trusts some of the lengths
 * that it finds; its past errors are behind these checks. */
bool net_user_frame_is_sane(const struct net_frame *f);

#endif
