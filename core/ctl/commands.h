/* SPDX-License-Identifier: Apache-2.0 */
/* What the control socket can be asked to do. */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

#include <glib.h>
#include <json-glib/json-glib.h>

struct vm;

struct operation;

/* answer: the value of "return", the callee's to reference; or NULL and an
 * error sentence. */
typedef void operation_done_fn(void *opaque, JsonNode *answer,
                               const char *error);

/*
 * Starts a command; arguments may be NULL.  done is called inside, and the
 * result is NULL; or it is called later, unless the operation is cancelled.
 * [control thread]
 */
struct operation *commands_start(struct vm *vm, const char *name,
                                 JsonObject *arguments, operation_done_fn *done,
                                 void *opaque);
void operation_cancel(struct operation *op);

#endif
