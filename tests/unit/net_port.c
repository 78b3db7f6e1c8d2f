/* SPDX-License-Identifier: Apache-2.0 */
/* Ports and their back ends: bounds, links, and what goes through. */
#include "tests/lib/test.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/unix_socket.h"
#include "net/backends.h"
#include "sched/lane.h"
#include "tests/lib/packets.h"

struct end { /* a device */
    struct lane *lane;
    struct net_port *port;
    unsigned received, writable, changed;
};

static void received(void *ctx)
{
    struct end *e = ctx;

    CHECK(lane_held(e->lane));
    e->received++;
}

static void writable(void *ctx)
{
    ((struct end *)ctx)->writable++;
}

static void changed(void *ctx)
{
    ((struct end *)ctx)->changed++;
}

static const struct bp_net_events events = {
    .size = sizeof(events),
    .received = received,
    .writable = writable,
    .changed = changed,
};

static void plug(struct end *e, struct lanes *lanes, const char *spec)
{
    e->lane = lane_create(lanes, "device", LANE_DEVICE);
    e->port = net_port_create("nic0");
    if (spec) {
        GError *error = NULL;
        char **parts = g_strsplit(spec, ",", -1);
        struct net_options *o =
            net_options_parse((const char *const *)parts, &error);
        CHECK(o || (test_note("%s", error->message), false));
        CHECK(net_open(e->port, o, &error) ||
              (test_note("%s", error->message), false));
        net_options_free(o);
        g_strfreev(parts);
    }
    net_port_attach(e->port, e->lane);
    net_port_listen(e->port, &events, e);
}

static void unplug(struct end *e)
{
    net_port_disconnect(e->port);
    lane_enter(e->lane);
    net_port_attach(e->port, NULL);
    lane_leave(e->lane);
    lane_destroy(e->lane);
    net_port_destroy(e->port);
}

static int32_t send_bytes(struct end *e, void *data, uint32_t bytes,
                          uint32_t flags, uint16_t mss, uint16_t vlan)
{
    const struct bp_iovec iov = { data, bytes };
    const struct bp_net_frame f = { .size = sizeof(f),
                                    .flags = flags,
                                    .mss = mss,
                                    .vlan = vlan,
                                    .iov = &iov,
                                    .iov_count = 1 };

    return net_port_send(e->port, &f);
}

static const struct net_backend_ops cut_ops = { .name = "test" };
static const struct net_backend_ops large_ops = { .name = "test",
                                                  .large_ipv4 = true };

TEST(sends_what_is_complete_and_cuts)
{
    struct lanes *lanes = lanes_create(0);
    struct end e = { 0 };
    static uint8_t data[70000];
    const struct packet p = { .payload = 5000, .flags = 0x18 };

    plug(&e, lanes, NULL);
    net_port_connect(e.port, &cut_ops, NULL);
    uint32_t n = packet_build(&p, false, data);
    CHECK_EQ(send_bytes(&e, data, n, BP_NET_SEGMENT, 1448, 0), 0);
    struct net_frame *f = net_port_take(e.port);
    unsigned parts = 0;
    for (const struct net_frame *s = f; s; s = s->next, parts++)
        CHECK(packet_is_right(s->data, s->bytes));
    CHECK_EQ(parts, 4);
    net_frames_free(f);

    net_port_connect(e.port, &large_ops, NULL);
    CHECK_EQ(send_bytes(&e, data, n, BP_NET_SEGMENT, 1448, 0), 0);
    f = net_port_take(e.port);
    CHECK(f && !f->next && f->mss == 1448);
    CHECK(packet_is_right(f->data, f->bytes));
    net_frames_free(f);
    /* This one takes only those of IPv4. */
    const struct packet six = { .payload = 5000, .flags = 0x18, .v6 = true };
    n = packet_build(&six, false, data);
    CHECK_EQ(send_bytes(&e, data, n, BP_NET_SEGMENT, 1448, 0), 0);
    f = net_port_take(e.port);
    CHECK(f && f->next);
    net_frames_free(f);
    unplug(&e);
    lanes_destroy(lanes);
}

TEST(tags_and_partial_checksums)
{
    struct lanes *lanes = lanes_create(0);
    struct end e = { 0 };
    uint8_t data[2000], tagged[2000];
    const struct packet p = { .payload = 50, .udp = true };
    const struct packet q = { .payload = 50, .udp = true, .vlan = 0xa123 };

    plug(&e, lanes, NULL);
    net_port_connect(e.port, &cut_ops, NULL);
    uint32_t n = packet_build(&p, false, data);
    uint32_t m = packet_build(&q, true, tagged);
    CHECK_EQ(send_bytes(&e, data, n,
                        BP_NET_L4_CSUM | BP_NET_IP_CSUM | BP_NET_VLAN, 0,
                        0xa123),
             0);
    struct net_frame *f = net_port_take(e.port);
    CHECK_EQ(f->bytes, m);
    CHECK_MEM_EQ(f->data, tagged, m);
    net_frames_free(f);

    net_port_accept(e.port, BP_NET_VLAN, 1514);
    net_port_receive(e.port, net_frame_copy(tagged, m), false);
    net_port_deliver(e.port);
    lanes_run(lanes);
    CHECK_EQ(e.received, 1);
    const struct bp_net_frame *got = net_port_next(e.port);
    CHECK_EQ(got->flags, BP_NET_VLAN | BP_NET_L4_CSUM | BP_NET_IP_CSUM);
    CHECK_EQ(got->vlan, 0xa123);
    CHECK_EQ(got->bytes, n);
    CHECK_MEM_EQ((uint8_t *)got->iov->base + 12, tagged + 16, m - 16);
    memset((uint8_t *)got->iov->base - BP_NET_HEADROOM, 0xee, BP_NET_HEADROOM);
    net_port_taken(e.port);
    CHECK(!net_port_next(e.port));
    unplug(&e);
    lanes_destroy(lanes);
}

TEST(refuses_what_cannot_be)
{
    struct lanes *lanes = lanes_create(0);
    struct end e = { 0 };
    static uint8_t data[70000];
    const struct packet udp = { .payload = 50, .udp = true };
    const struct packet tcp = { .payload = 50 };

    plug(&e, lanes, NULL);
    net_port_connect(e.port, &cut_ops, NULL);
    CHECK_EQ(send_bytes(&e, data, 13, 0, 0, 0), -EMSGSIZE);
    CHECK_EQ(send_bytes(&e, data, BP_NET_FRAME_MAX + 1, 0, 0, 0), -EMSGSIZE);
    CHECK_EQ(send_bytes(&e, data, BP_NET_FRAME_MAX, BP_NET_VLAN, 0, 1),
             -EMSGSIZE);
    CHECK_EQ(send_bytes(&e, data, 60, BP_NET_L4_CSUM, 0, 0), -EINVAL);
    uint32_t n = packet_build(&udp, false, data);
    CHECK_EQ(send_bytes(&e, data, n, BP_NET_SEGMENT, 1000, 0), -EINVAL);
    n = packet_build(&tcp, false, data);
    CHECK_EQ(send_bytes(&e, data, n, BP_NET_SEGMENT, 0, 0), -EINVAL);
    data[14 + 6] = 0x20; /* a fragment has no checksum to complete */
    CHECK_EQ(send_bytes(&e, data, n, BP_NET_L4_CSUM, 0, 0), -EINVAL);
    CHECK(!net_port_take(e.port));
    CHECK_EQ(e.port->n.send_lost, 7);
    unplug(&e);
    lanes_destroy(lanes);
}

TEST(bounded_towards_the_host)
{
    struct lanes *lanes = lanes_create(0);
    struct end e = { 0 };
    static uint8_t data[60000];
    unsigned n = 0;

    plug(&e, lanes, NULL);
    net_port_connect(e.port, &cut_ops, NULL);
    while (net_port_room(e.port)) {
        CHECK_EQ(send_bytes(&e, data, sizeof(data), 0, 0, 0), 0);
        CHECK_LT(n++, 100);
    }
    /* Some more are taken, then no more. */
    while (send_bytes(&e, data, sizeof(data), 0, 0, 0) == 0)
        CHECK_LT(n++, 200);
    CHECK_EQ(send_bytes(&e, data, sizeof(data), 0, 0, 0), -ENOBUFS);
    lanes_run(lanes);
    CHECK_EQ(e.writable, 0);
    net_frames_free(net_port_take(e.port));
    lanes_run(lanes);
    CHECK_EQ(e.writable, 1);
    CHECK(net_port_room(e.port));
    /* Small frames are bounded by number. */
    for (n = 0; net_port_room(e.port); n++)
        CHECK_EQ(send_bytes(&e, data, 60, 0, 0, 0), 0);
    CHECK_LE(n, 1024);
    unplug(&e);
    lanes_destroy(lanes);
}

TEST(bounded_towards_the_guest)
{
    struct lanes *lanes = lanes_create(0);
    struct end e = { 0 };
    uint8_t data[60] = { 0 };

    plug(&e, lanes, NULL);
    for (unsigned i = 0; i < 20000; i++)
        net_port_receive(e.port, net_frame_copy(data, sizeof(data)), false);
    net_port_deliver(e.port);
    CHECK(net_port_is_full(e.port));
    CHECK_EQ(e.port->n.received + e.port->n.receive_lost, 20000);
    CHECK_LE(e.port->n.received, 8192);
    lanes_run(lanes);
    CHECK_EQ(e.received, 1);
    while (net_port_next(e.port))
        net_port_taken(e.port);
    CHECK(!net_port_is_full(e.port));
    /* Longer than the guest's network: lost. */
    struct net_frame *f = net_frame_new(1515);
    memset(f->data, 0, 1515);
    f->bytes = 1515;
    net_port_receive(e.port, f, false);
    CHECK(!net_port_next(e.port));
    unplug(&e);
    lanes_destroy(lanes);
}

TEST(link_and_hold)
{
    struct lanes *lanes = lanes_create(0);
    struct end e = { 0 };
    uint8_t data[60] = { 0 };
    struct bp_net_info info = { .size = sizeof(info) };

    plug(&e, lanes, NULL);
    net_port_connect(e.port, &cut_ops, NULL);
    net_port_set_link(e.port, false);
    net_port_set_link(e.port, false);
    lanes_run(lanes);
    CHECK_EQ(e.changed, 1);
    net_port_info(e.port, &info);
    CHECK_EQ(info.flags, 0);
    CHECK_EQ(send_bytes(&e, data, 60, 0, 0, 0), -ENETDOWN);
    net_port_receive(e.port, net_frame_copy(data, sizeof(data)), false);
    CHECK(!net_port_next(e.port));
    net_port_set_link(e.port, true);
    lanes_run(lanes);
    CHECK_EQ(e.changed, 2);

    net_port_hold(e.port, true);
    net_port_receive(e.port, net_frame_copy(data, sizeof(data)), false);
    CHECK_EQ(send_bytes(&e, data, 60, 0, 0, 0), 0);
    lanes_run(lanes);
    CHECK_EQ(e.received, 0);
    CHECK(!net_port_next(e.port));
    CHECK(!net_port_take(e.port));
    net_port_hold(e.port, false);
    lanes_run(lanes);
    CHECK_EQ(e.received, 1);
    CHECK(net_port_next(e.port));
    net_frames_free(net_port_take(e.port));
    unplug(&e);
    lanes_destroy(lanes);
}

/* What the device has in hand is not merged into. */
TEST(merging_leaves_the_first_alone)
{
    struct lanes *lanes = lanes_create(0);
    struct end e = { 0 };
    static uint8_t data[2000];

    plug(&e, lanes, NULL);
    net_port_accept(e.port, BP_NET_SEGMENT, 1514);
    for (unsigned i = 0; i < 5; i++) {
        const struct packet p = { .payload = 1000,
                                  .sequence = i * 1000,
                                  .flags = 0x10 };
        uint32_t n = packet_build(&p, true, data);
        net_port_receive(e.port, net_frame_copy(data, n), false);
        if (i == 1)
            CHECK_EQ(net_port_next(e.port)->bytes, 14 + 52 + 2000);
    }
    net_port_taken(e.port);
    const struct bp_net_frame *f = net_port_next(e.port);
    CHECK_EQ(f->bytes, 14 + 52 + 3000);
    CHECK_EQ(f->mss, 1000);
    CHECK(f->flags & BP_NET_SEGMENT);
    unplug(&e);
    lanes_destroy(lanes);
}

/* --- options --------------------------------------------------------------*/

static const struct {
    const char *text, *says;
} wrong[] = {
    { "wifi", "no network 'wifi'" },
    { "user,colour=red", "no option" },
    { "user,mac", "no option" },
    { "user,mac=00:15:5d:1:2", "no address" },
    { "user,mac=01:15:5d:01:02:03", "group address" },
    { "user,mac=00:15:5d:01:02:03:04", "no address" },
    { "user,hostfwd=tcp:1-2", "form" },
    { "user,hostfwd=icmp::1-:2", "form" },
    { "user,hostfwd=tcp::0-:2", "form" },
    { "user,hostfwd=tcp::65536-:2", "form" },
    { "user,net=10.0.2.0/30", "no network such as" },
    { "user,mtu=100", "no MTU" },
    { "user,path=x", "no option" },
    { "tap", "ifname=NAME or fd=N" },
    { "tap,ifname=a,fd=3", "ifname=NAME or fd=N" },
    { "tap,ifname=a/b", "no name" },
    { "socket", "path=FILE" },
    { "none,link=maybe", "not on or off" },
};

TEST_P(options_that_are_wrong, wrong)
{
    GError *error = NULL;
    char **parts = g_strsplit(row->text, ",", -1);

    CHECK(!net_options_parse((const char *const *)parts, &error));
    test_note("%s", error->message);
    CHECK(strstr(error->message, row->says));
    g_error_free(error);
    g_strfreev(parts);
}

TEST(options_that_are_right)
{
    static const char *const parts[] = {
        "user",
        "mac=02:aA:5d:01:02:03",
        "hostfwd=tcp:127.0.0.1:2222-:22",
        "hostfwd=udp::53-10.0.2.16:5353",
        "net=192.168.7.0/25",
        NULL,
    };
    struct net_options *o = net_options_parse(parts, NULL);

    CHECK(o && o->has_mac && o->mac[1] == 0xaa);
    CHECK_EQ(o->forwards->len, 2);
    const struct net_forward *f =
        &g_array_index(o->forwards, struct net_forward, 1);
    CHECK(f->udp && f->host.s_addr == 0 && f->guest_port == 5353);
    CHECK_EQ(o->mask.s_addr, htonl(0xffffff80));
    net_options_free(o);

    uint8_t a[6], b[6];
    net_default_mac("demo", 0, a);
    net_default_mac("demo", 1, b);
    CHECK_MEM_EQ(a, "\x00\x15\x5d", 3);
    CHECK(memcmp(a, b, 6) != 0);
    net_default_mac("demo", 1, a);
    CHECK_MEM_EQ(a, b, 6);
}

/* --- a cable between two machines -----------------------------------------*/

static const struct bp_net_frame *wait_frame(struct end *e)
{
    for (unsigned i = 0; i < 5000; i++) {
        const struct bp_net_frame *f = net_port_next(e->port);
        if (f)
            return f;
        g_usleep(1000);
    }
    FAIL("no frame came");
}

static void wait_link(struct end *e, bool up)
{
    struct bp_net_info info = { .size = sizeof(info) };

    for (unsigned i = 0; i < 5000; i++) {
        net_port_info(e->port, &info);
        if (info.flags == (up ? BP_NET_LINK_UP : 0))
            return;
        g_usleep(1000);
    }
    FAIL("the link does not go %s", up ? "up" : "down");
}

TEST(two_machines)
{
    struct lanes *lanes = lanes_create(1);
    struct end a = { 0 }, b = { 0 };
    static uint8_t data[BP_NET_FRAME_MAX];
    char *spec = g_strdup_printf("socket,path=%s/cable", test_tmp_dir());

    plug(&a, lanes, spec);
    wait_link(&a, false);
    plug(&b, lanes, spec);
    wait_link(&a, true);
    wait_link(&b, true);
    net_port_accept(b.port, 0, BP_NET_FRAME_MAX);
    for (uint32_t n = 14; n <= BP_NET_FRAME_MAX; n += 9377) {
        for (uint32_t i = 12; i < n; i++)
            data[i] = packet_pattern(7, i);
        CHECK_EQ(send_bytes(&a, data, n, 0, 0, 0), 0);
        const struct bp_net_frame *f = wait_frame(&b);
        CHECK_EQ(f->bytes, n);
        CHECK_MEM_EQ(f->iov->base, data, n);
        net_port_taken(b.port);
    }
    CHECK_EQ(send_bytes(&b, data, 100, 0, 0, 0), 0);
    CHECK_EQ(wait_frame(&a)->bytes, 100);
    unplug(&b);
    wait_link(&a, false);
    memset(&b, 0, sizeof(b));
    plug(&b, lanes, spec);
    wait_link(&a, true);
    /* The one that listens goes; the other one waits for the next. */
    unplug(&a);
    wait_link(&b, false);
    memset(&a, 0, sizeof(a));
    plug(&a, lanes, spec);
    wait_link(&b, true);
    unplug(&a);
    unplug(&b);
    g_free(spec);
    lanes_destroy(lanes);
}

static const struct {
    const char *bytes;
    size_t n;
} nonsense[] = {
    { "\0\0\0\0", 4 },          { "\0\0\0\x0dxxxxxxxxxxxxx", 17 },
    { "\xff\xff\xff\xff", 4 },  { "\0\1\0\x12", 4 },
    { "HTTP/1.1 400\r\n", 14 },
};

TEST_P(a_peer_that_sends_nonsense, nonsense)
{
    struct lanes *lanes = lanes_create(1);
    struct end a = { 0 };
    char *path = g_strdup_printf("%s/cable", test_tmp_dir());
    char *spec = g_strdup_printf("socket,path=%s", path);
    char byte;

    plug(&a, lanes, spec);
    int fd = unix_socket_connect(path, SOCK_STREAM, NULL);
    wait_link(&a, true);
    CHECK_EQ(write(fd, row->bytes, row->n), row->n);
    CHECK_LE(read(fd, &byte, 1), 0);
    wait_link(&a, false);
    close(fd);
    unplug(&a);
    g_free(spec);
    g_free(path);
    lanes_destroy(lanes);
}

/* A peer that never reads: frames wait, then are lost; closing does not
 * hang. */
TEST(a_peer_that_does_not_read)
{
    struct lanes *lanes = lanes_create(1);
    struct end a = { 0 };
    char *path = g_strdup_printf("%s/cable", test_tmp_dir());
    char *spec = g_strdup_printf("socket,path=%s", path);
    static uint8_t data[60000];
    unsigned n = 0;

    plug(&a, lanes, spec);
    int fd = unix_socket_connect(path, SOCK_STREAM, NULL);
    wait_link(&a, true);
    while (send_bytes(&a, data, sizeof(data), 0, 0, 0) == 0 && n < 10000) {
        n++;
        if (!net_port_room(a.port))
            g_usleep(1000);
    }
    CHECK_LT(n, 10000);
    unplug(&a);
    close(fd);
    g_free(spec);
    g_free(path);
    lanes_destroy(lanes);
}
