/* SPDX-License-Identifier: Apache-2.0 */
#include "net/options.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/number.h"
#include "vm/error.h"

#define MIN_MTU 576u
#define MAX_MTU 65521u

static const char *const kinds[] = {
    [NET_NONE] = "none",
    [NET_USER] = "user",
    [NET_TAP] = "tap",
    [NET_SOCKET] = "socket",
};

const char *net_kind_name(enum net_kind kind)
{
    return kinds[kind];
}

void net_options_free(struct net_options *o)
{
    if (!o)
        return;
    g_array_free(o->forwards, TRUE);
    g_free(o->tftp);
    g_free(o->bootfile);
    g_free(o->hostname);
    g_free(o->ifname);
    g_free(o->path);
    g_free(o);
}

void net_default_mac(const char *machine, unsigned n, uint8_t mac[6])
{
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
    char *text = g_strdup_printf("%s\n%u", machine, n);
    uint8_t digest[32];
    gsize bytes = sizeof(digest);

    g_checksum_update(sum, (const guchar *)text, -1);
    g_checksum_get_digest(sum, digest, &bytes);
    g_checksum_free(sum);
    g_free(text);
    memcpy(mac, (const uint8_t[]){ 0x00, 0x15, 0x5d }, 3);
    memcpy(mac + 3, digest, 3);
}

/* --- values: each is false with one sentence ------------------------------*/

typedef bool set_fn(struct net_options *o, const char *value, GError **error);

static bool refuse(GError **error, const char *value, const char *what)
{
    return vm_fail(error, VM_ERROR_CONFIG, "'%s' %s", value, what);
}

static bool set_mac(struct net_options *o, const char *v, GError **error)
{
    unsigned b[6];
    int end = 0;

    if (sscanf(v, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3],
               &b[4], &b[5], &end) != 6 ||
        v[end])
        return refuse(error, v, "is no address such as 00:15:5d:01:02:03");
    if (b[0] & 1)
        return refuse(error, v, "is a group address, not one of a port");
    for (unsigned i = 0; i < 6; i++)
        o->mac[i] = (uint8_t)b[i];
    o->has_mac = true;
    return true;
}

static bool set_mtu(struct net_options *o, const char *v, GError **error)
{
    uint64_t n;

    if (!number_parse(v, &n) || n < MIN_MTU || n > MAX_MTU)
        return refuse(error, v, "is no MTU from 576 to 65521");
    o->mtu = (uint16_t)n;
    return true;
}

static bool set_switch(bool *at, const char *v, GError **error)
{
    return number_parse_bool(v, at) || refuse(error, v, "is not on or off");
}

static bool set_link(struct net_options *o, const char *v, GError **error)
{
    return set_switch(&o->link, v, error);
}

static bool set_restrict(struct net_options *o, const char *v, GError **error)
{
    return set_switch(&o->restricted, v, error);
}

static bool set_ipv6(struct net_options *o, const char *v, GError **error)
{
    return set_switch(&o->ipv6, v, error);
}

/* "10.0.2.0/24" */
static bool set_network(struct net_options *o, const char *v, GError **error)
{
    const char *slash = strchr(v, '/');
    char *address = slash ? g_strndup(v, (gsize)(slash - v)) : g_strdup(v);
    uint64_t bits = 24;
    bool ok = inet_aton(address, &o->network) &&
              (!slash || number_parse(slash + 1, &bits)) && bits >= 8 &&
              bits <= 27;

    g_free(address);
    if (!ok)
        return refuse(error, v,
                      "is no network such as 10.0.2.0/24, with 8 to 27 bits");
    o->mask.s_addr = htonl(~0u << (32 - bits));
    o->network.s_addr &= o->mask.s_addr;
    return true;
}

/* "ADDRESS:PORT", both optional where `any` allows; up to `end`. */
static bool parse_end(const char *from, const char *end,
                      struct in_addr *address, uint16_t *port)
{
    char *text = g_strndup(from, (gsize)(end - from));
    char *colon = strrchr(text, ':');
    uint64_t n = 0;
    bool ok = colon != NULL;

    if (ok) {
        *colon = 0;
        ok = number_parse(colon + 1, &n) && n >= 1 && n <= UINT16_MAX &&
             (!text[0] || inet_aton(text, address));
    }
    *port = (uint16_t)n;
    g_free(text);
    return ok;
}

/* "tcp:127.0.0.1:2222-:22" */
static bool set_forward(struct net_options *o, const char *v, GError **error)
{
    struct net_forward f = { 0 };
    const char *colon = strchr(v, ':'), *dash = strchr(v, '-');
    bool ok = colon && dash && dash > colon;

    f.udp = g_str_has_prefix(v, "udp:");
    ok = ok && (f.udp || g_str_has_prefix(v, "tcp:")) &&
         parse_end(colon + 1, dash, &f.host, &f.host_port) &&
         parse_end(dash + 1, v + strlen(v), &f.guest, &f.guest_port);
    if (!ok)
        return refuse(error, v,
                      "is not of the form tcp|udp:[HOST]:PORT-[GUEST]:PORT");
    g_array_append_val(o->forwards, f);
    return true;
}

static bool set_text(char **at, const char *v)
{
    g_free(*at);
    *at = g_strdup(v);
    return true;
}

static bool set_tftp(struct net_options *o, const char *v, GError **error)
{
    if (!g_file_test(v, G_FILE_TEST_IS_DIR))
        return refuse(error, v, "is no folder");
    return set_text(&o->tftp, v);
}

static bool set_bootfile(struct net_options *o, const char *v, GError **error)
{
    if (strlen(v) > 127)
        return refuse(error, v, "is too long for a boot file's name");
    return set_text(&o->bootfile, v);
}

static bool set_hostname(struct net_options *o, const char *v, GError **error)
{
    if (strlen(v) > 32)
        return refuse(error, v, "is too long for a host's name");
    return set_text(&o->hostname, v);
}

static bool set_ifname(struct net_options *o, const char *v, GError **error)
{
    if (!v[0] || strlen(v) > 15 || strchr(v, '/'))
        return refuse(error, v, "is no name of a network interface");
    return set_text(&o->ifname, v);
}

static bool set_fd(struct net_options *o, const char *v, GError **error)
{
    uint64_t n;

    if (!number_parse(v, &n) || n > 65535)
        return refuse(error, v, "is no number of a descriptor");
    o->fd = (int)n;
    return true;
}

static bool set_path(struct net_options *o, const char *v, GError **error)
{
    if (!v[0])
        return refuse(error, v, "is no path");
    return set_text(&o->path, v);
}

static const struct option {
    const char *name;
    unsigned kinds; /* bit per net_kind */
    set_fn *set;
} options[] = {
    { "mac", ~0u, set_mac },
    { "mtu", ~0u, set_mtu },
    { "link", ~0u, set_link },
    { "net", 1u << NET_USER, set_network },
    { "restrict", 1u << NET_USER, set_restrict },
    { "ipv6", 1u << NET_USER, set_ipv6 },
    { "hostfwd", 1u << NET_USER, set_forward },
    { "tftp", 1u << NET_USER, set_tftp },
    { "bootfile", 1u << NET_USER, set_bootfile },
    { "hostname", 1u << NET_USER, set_hostname },
    { "ifname", 1u << NET_TAP, set_ifname },
    { "fd", 1u << NET_TAP, set_fd },
    { "path", 1u << NET_SOCKET, set_path },
};

static bool unknown_option(enum net_kind kind, const char *text, GError **error)
{
    GString *known = g_string_new(NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(options); i++) {
        if (options[i].kinds & 1u << kind)
            g_string_append_printf(known, "%s%s", known->len ? ", " : "",
                                   options[i].name);
    }
    vm_fail(error, VM_ERROR_CONFIG, "'%s' has no option '%s' (it has: %s)",
            kinds[kind], text, known->str);
    g_string_free(known, TRUE);
    return false;
}

static bool set_option(struct net_options *o, const char *text, GError **error)
{
    const char *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : 0;

    for (unsigned i = 0; equals && i < G_N_ELEMENTS(options); i++) {
        if (strlen(options[i].name) == n &&
            memcmp(options[i].name, text, n) == 0 &&
            (options[i].kinds & 1u << o->kind))
            return options[i].set(o, equals + 1, error);
    }
    return unknown_option(o->kind, text, error);
}

/* What one option alone cannot say. */
static bool check(const struct net_options *o, GError **error)
{
    if (o->kind == NET_TAP && (o->fd < 0) == !o->ifname)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "'tap' needs either ifname=NAME or fd=N");
    if (o->kind == NET_SOCKET && !o->path)
        return vm_fail(error, VM_ERROR_CONFIG, "'socket' needs path=FILE");
    return true;
}

struct net_options *net_options_parse(const char *const *parts, GError **error)
{
    struct net_options *o = g_new0(struct net_options, 1);
    unsigned kind = 0;
    bool ok = true;

    o->forwards = g_array_new(FALSE, FALSE, sizeof(struct net_forward));
    o->mtu = 1500;
    o->link = o->ipv6 = true;
    o->fd = -1;
    set_network(o, "10.0.2.0/24", NULL);
    while (kind < G_N_ELEMENTS(kinds) && strcmp(kinds[kind], parts[0]) != 0)
        kind++;
    if (kind == G_N_ELEMENTS(kinds))
        ok = vm_fail(error, VM_ERROR_CONFIG,
                     "there is no network '%s' (user, tap, socket, none)",
                     parts[0]);
    o->kind = (enum net_kind)kind;
    for (unsigned i = 1; ok && parts[i]; i++)
        ok = set_option(o, parts[i], error);
    if (ok && check(o, error))
        return o;
    net_options_free(o);
    return NULL;
}
