/* SPDX-License-Identifier: Apache-2.0 */
/* Network ports of a configuration, and the adapters at their other ends. */
#include <string.h>

#include "net/backends.h"
#include "plugin/load.h"
#include "vm/assembly.h"
#include "vm/config.h"
#include "vm/error.h"
#include "vm/vm.h"

static bool make_port(struct assembly *a, unsigned n)
{
    const struct net_options *o = a->config->nics->pdata[n];
    char name[16];

    g_snprintf(name, sizeof(name), "nic%u", n);
    struct net_port *p = net_port_create(name);
    g_ptr_array_add(a->vm->nets, p);
    p->clocks = a->vm->clocks;
    net_default_mac(a->config->name, n, p->mac);
    /* Until the machine runs, and after it was restored. */
    net_port_hold(p, true);
    return net_open(p, o, a->error);
}

static bool add_adapter(struct assembly *a, unsigned n)
{
    char name[16], net[24], number[24];
    const char *settings[] = { net, number, NULL };

    g_snprintf(name, sizeof(name), "netvsp%u", n);
    g_snprintf(net, sizeof(net), "net=nic%u", n);
    g_snprintf(number, sizeof(number), "number=%u", n);
    return assembly_add(a, "netvsp", name, settings);
}

bool assembly_nics(struct assembly *a, bool vmbus)
{
    for (guint n = 0; n < a->config->nics->len; n++) {
        if (!vmbus)
            return vm_fail(a->error, VM_ERROR_CONFIG,
                           "'nic' needs the Hyper-V interface and the plugin "
                           "'vmbus'");
        if (!make_port(a, n) || !add_adapter(a, n))
            return false;
    }
    return true;
}
