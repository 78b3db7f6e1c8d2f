/* SPDX-License-Identifier: Apache-2.0 */
/* The bench's networks: the test is the other end of the cable. */
#include <string.h>

#include "net/options.h"
#include "net/port.h"
#include "vm/bench_own.h"

/* Back ends without a thread: frames stay in the port until the test takes
 * them. */
static const struct net_backend_ops one_by_one = { .name = "bench" };
static const struct net_backend_ops large = {
    .name = "bench",
    .large_ipv4 = true,
    .large_ipv6 = true,
};

void bench_add_net(struct bench *b, const char *name, bool takes_large)
{
    struct net_port *p = net_port_create(name);

    net_default_mac("bench", b->vm.nets->len, p->mac);
    net_port_connect(p, takes_large ? &large : &one_by_one, NULL);
    g_ptr_array_add(b->vm.nets, p);
}

struct net_port *bench_net(struct bench *b, const char *name)
{
    for (guint i = 0; i < b->vm.nets->len; i++) {
        struct net_port *p = b->vm.nets->pdata[i];
        if (strcmp(p->name, name) == 0)
            return p;
    }
    bench_die("there is no network port '%s'", name);
}

void bench_net_send(struct bench *b, const char *name, const void *data,
                    size_t bytes)
{
    bench_power_on(b);
    net_port_receive(bench_net(b, name), net_frame_copy(data, (uint32_t)bytes),
                     false);
    net_port_deliver(bench_net(b, name));
    bench_run(b);
}

void bench_net_link(struct bench *b, const char *name, bool up)
{
    bench_power_on(b);
    net_port_set_link(bench_net(b, name), up);
    bench_run(b);
}
