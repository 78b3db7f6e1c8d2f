/* SPDX-License-Identifier: Apache-2.0 */
/* What a user says about a network port: "user,hostfwd=tcp::2222-:22". */
#ifndef NET_OPTIONS_H
#define NET_OPTIONS_H

#include <glib.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum net_kind { NET_NONE, NET_USER, NET_TAP, NET_SOCKET };

struct net_forward { /* a port of the host that leads into the guest */
    bool udp;
    struct in_addr host, guest; /* 0: any; the guest's first address */
    uint16_t host_port, guest_port;
};

struct net_options {
    enum net_kind kind;
    bool has_mac;
    uint8_t mac[6];
    uint16_t mtu;
    bool link;
    /* user */
    struct in_addr network, mask;
    bool restricted; /* the guest reaches nothing but forwarded ports */
    bool ipv6;
    GArray *forwards; /* struct net_forward */
    char *tftp, *bootfile, *hostname;
    /* tap */
    char *ifname;
    int fd; /* -1: none */
    /* socket */
    char *path;
};

/* parts: "user", "mac=..", ..; NULL ends.  NULL with one sentence. */
struct net_options *net_options_parse(const char *const *parts, GError **error);
void net_options_free(struct net_options *o);
const char *net_kind_name(enum net_kind kind);
/* The address of a machine's n-th port when the user gives none: of the block
 * that Hyper-V uses, always the same for one name. */
void net_default_mac(const char *machine, unsigned n, uint8_t mac[6]);

#endif
