/* SPDX-License-Identifier: Apache-2.0 */
/* The user-mode network, as a guest's network stack sees it. */
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/backends.h"
#include "sched/lane.h"
#include "tests/lib/packets.h"

struct end {
    struct lanes *lanes;
    struct lane *lane;
    struct net_port *port;
};

static const struct bp_net_events events = { .size = sizeof(events) };

static void open_with(struct end *e, const char *const *parts)
{
    GError *error = NULL;
    struct net_options *o = net_options_parse(parts, &error);

    CHECK(o || (test_note("%s", error->message), false));
    e->lanes = lanes_create(1);
    e->lane = lane_create(e->lanes, "device", LANE_DEVICE);
    e->port = net_port_create("nic0");
    CHECK(net_open(e->port, o, &error) ||
          (test_note("%s", error->message), false));
    net_port_attach(e->port, e->lane);
    net_port_listen(e->port, &events, e);
    net_options_free(o);
}

static void close_end(struct end *e)
{
    net_port_disconnect(e->port);
    net_port_attach(e->port, NULL);
    lane_destroy(e->lane);
    net_port_destroy(e->port);
    lanes_destroy(e->lanes);
}

static void send_frame(struct end *e, void *data, uint32_t n, uint32_t flags)
{
    const struct bp_iovec iov = { data, n };
    const struct bp_net_frame f = {
        .size = sizeof(f), .flags = flags, .iov = &iov, .iov_count = 1
    };

    CHECK_EQ(net_port_send(e->port, &f), 0);
}

/* The next frame of this type; others are passed over. */
static const uint8_t *wait_for(struct end *e, uint16_t type, uint8_t protocol,
                               uint32_t *bytes)
{
    for (unsigned i = 0; i < 5000; i++) {
        const struct bp_net_frame *f = net_port_next(e->port);
        if (!f) {
            g_usleep(1000);
            continue;
        }
        const uint8_t *d = f->iov->base;
        *bytes = f->bytes;
        if (net_be16(d + 12) == type && (!protocol || d[23] == protocol))
            return d;
        net_port_taken(e->port);
    }
    FAIL("no frame of type %#x came", type);
}

static void ask_arp(struct end *e, uint32_t address)
{
    uint8_t f[60] = { 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 8, 6,
                      0,   1,   8,   0,   6,   4,   0, 1, 2, 0, 0, 0, 0, 2 };

    net_put32(f + 28, 0x0a00020f);
    net_put32(f + 38, address);
    send_frame(e, f, sizeof(f), 0);
}

TEST(answers_arp_and_dhcp)
{
    static const char *const parts[] = { "user", NULL };
    struct end e;
    uint8_t f[400] = { 0 };
    uint32_t n;

    open_with(&e, parts);
    ask_arp(&e, 0x0a000202);
    const uint8_t *a = wait_for(&e, 0x0806, 0, &n);
    CHECK_EQ(net_be16(a + 20), 2); /* a reply */
    CHECK_EQ(net_be32(a + 28), 0x0a000202);
    net_port_taken(e.port);

    const struct packet p = { .udp = true,
                              .payload = 300,
                              .to = { 255, 255, 255, 255, 255, 255 } };
    packet_build(&p, false, f);
    net_put32(f + 26, 0);
    net_put32(f + 30, 0xffffffff);
    net_put16(f + 34, 68);
    net_put16(f + 36, 67);
    uint8_t *dhcp = f + 42;
    memset(dhcp, 0, 300);
    memcpy(dhcp, "\1\1\6\0\1\2\3\4", 8);
    memcpy(dhcp + 28, f + 6, 6);
    memcpy(dhcp + 236, "\x63\x82\x53\x63\x35\1\1\xff", 8); /* discover */
    send_frame(&e, f, 342, BP_NET_L4_CSUM | BP_NET_IP_CSUM);
    const uint8_t *d = wait_for(&e, 0x0800, 17, &n);
    CHECK_EQ(net_be16(d + 36), 68);
    CHECK_EQ(net_be32(d + 42 + 16), 0x0a00020f); /* yours */
    CHECK(packet_is_right(d, n));
    CHECK(net_port_next(e.port)->flags & BP_NET_L4_CSUM);
    net_port_taken(e.port);
    close_end(&e);
}

/* A forwarded port: the host sends a datagram, the guest gets it and its
 * answer comes back. */
TEST(forwards_a_port)
{
    static const char *const parts[] = { "user",
                                         "hostfwd=udp:127.0.0.1:39117-:7",
                                         NULL };
    struct end e;
    uint32_t n;
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(39117),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    uint8_t f[200];
    char answer[16] = "";

    open_with(&e, parts);
    ask_arp(&e, 0x0a000202); /* it learns our address */
    wait_for(&e, 0x0806, 0, &n);
    net_port_taken(e.port);
    CHECK_EQ(sendto(fd, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
    const uint8_t *d = wait_for(&e, 0x0800, 17, &n);
    CHECK_MEM_EQ(d + 42, "hello", 5);
    CHECK_EQ(net_be16(d + 36), 7);
    /* Back: addresses and ports change places. */
    memcpy(f, d, n);
    memcpy(f, d + 6, 6);
    memcpy(f + 6, d, 6);
    memcpy(f + 26, d + 30, 4);
    memcpy(f + 30, d + 26, 4);
    memcpy(f + 34, d + 36, 2);
    memcpy(f + 36, d + 34, 2);
    net_port_taken(e.port);
    send_frame(&e, f, n, BP_NET_L4_CSUM | BP_NET_IP_CSUM);
    CHECK_EQ(recv(fd, answer, sizeof(answer), 0), 5);
    CHECK_STR_EQ(answer, "hello");
    close(fd);
    close_end(&e);
}

TEST(says_when_a_port_is_taken)
{
    static const char *const parts[] = { "user",
                                         "hostfwd=tcp:127.0.0.1:39118-:7",
                                         "hostfwd=tcp:127.0.0.1:39118-:8",
                                         NULL };
    GError *error = NULL;
    struct net_options *o = net_options_parse(parts, NULL);
    struct net_port *p = net_port_create("nic0");

    CHECK(!net_open(p, o, &error));
    CHECK(strstr(error->message, "TCP port 39118"));
    g_error_free(error);
    net_port_destroy(p);
    net_options_free(o);
}

static unsigned descriptors(void)
{
    GDir *d = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(d))
        n++;
    g_dir_close(d);
    return n;
}

/* Thousands of connections of a guest leave descriptors for others. */
TEST(bounded_connections)
{
    static const char *const parts[] = { "user", NULL };
    struct end e;
    uint8_t f[100];
    uint32_t n;

    open_with(&e, parts);
    for (uint32_t i = 0; i < 3000; i++) {
        const struct packet p = { .udp = true, .payload = 10 };
        n = packet_build(&p, false, f);
        net_put16(f + 34, 2000 + i);
        net_put16(f + 36, 9);
        while (!net_port_room(e.port))
            g_usleep(100);
        send_frame(&e, f, n, BP_NET_L4_CSUM | BP_NET_IP_CSUM);
        if (i % 32 == 0)
            g_usleep(2000);
    }
    ask_arp(&e, 0x0a000202);
    wait_for(&e, 0x0806, 0, &n);
    CHECK_LE(descriptors(), 700);
    CHECK_GE(descriptors(), 300);
    close_end(&e);
}

/* Random frames, and good ones with random damage: libslirp lives, and still
 * answers. */
TEST(hostile_frames)
{
    static const char *const parts[] = { "user", NULL };
    struct end e;
    uint8_t f[2000];
    uint32_t n, seed = 1;
    GRand *r = g_rand_new_with_seed(seed);

    open_with(&e, parts);
    for (unsigned i = 0; i < 20000; i++) {
        const struct packet p = {
            .udp = i & 1, .v6 = i & 2, .payload = i % 1400, .flags = i & 0x3f
        };
        n = packet_build(&p, i & 4, f);
        for (unsigned k = 0; k < 1 + i % 4; k++)
            f[g_rand_int_range(r, 0, 74)] = (uint8_t)g_rand_int(r);
        while (!net_port_room(e.port))
            g_usleep(100);
        send_frame(&e, f, n, 0);
        while (net_port_next(e.port))
            net_port_taken(e.port);
    }
    ask_arp(&e, 0x0a000202);
    wait_for(&e, 0x0806, 0, &n);
    g_rand_free(r);
    close_end(&e);
}
