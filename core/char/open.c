/* SPDX-License-Identifier: Apache-2.0 */
#include "char/port.h"

#include <gio/gio.h>
#include <string.h>

#include "char/backends.h"

bool char_port_open(struct char_port *p, const char *spec, GError **error)
{
    if (strcmp(spec, "none") == 0 || strcmp(spec, "null") == 0)
        return true;
    if (strcmp(spec, "stdio") == 0)
        return stdio_open(p, error);
    if (g_str_has_prefix(spec, "socket:") && spec[strlen("socket:")])
        return socket_open(p, spec + strlen("socket:"), error);
    if (g_str_has_prefix(spec, "file:") && spec[strlen("file:")])
        return file_open(p, spec + strlen("file:"), error);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                "'%s' cannot be connected to '%s': it is stdio, socket:PATH, "
                "file:PATH or none",
                p->name, spec);
    return false;
}
