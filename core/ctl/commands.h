/* SPDX-License-Identifier: Apache-2.0 */
/* What the control socket can be asked to do. */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

#include <glib.h>
#include <json-glib/json-glib.h>

struct vm;

/* The value of "return", or NULL with an error.  arguments may be NULL.
 * [control thread] */
JsonNode *commands_execute(struct vm *vm, const char *name,
                           JsonObject *arguments, GError **error);

#endif
