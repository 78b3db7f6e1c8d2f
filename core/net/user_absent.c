/* SPDX-License-Identifier: Apache-2.0 */
#include "net/backends.h"
#include "vm/error.h"

bool net_user_open(struct net_port *p, const struct net_options *o,
                   GError **error)
{
    return vm_fail(error, VM_ERROR_CONFIG,
                   "'user' needs libslirp, which this program was built "
                   "without (apt package: libslirp-dev)");
}
