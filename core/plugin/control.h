/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core's side of bp.control/1: what devices can be asked, executions
 * under way, and events that wait to be told.
 *
 *   control_start() -> run() in the device's lane -> done() there, now or
 *   later -> control_serve() on the control thread calls back
 *
 * All but control_event() is for the control thread.
 */
#ifndef PLUGIN_CONTROL_H
#define PLUGIN_CONTROL_H

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

struct vm;
struct bp_call;
struct control;

struct control *control_create(struct vm *vm);
void control_destroy(struct control *c);

/* The answer, or NULL with a sentence; the answer is the caller's to keep
 * only by reference. */
typedef void control_done_fn(void *opaque, JsonNode *answer, const char *error);

/* Does a device have this command? */
bool control_knows(struct vm *vm, const char *name);
/*
 * Starts the command; args may be NULL.  done is called once by
 * control_serve() or control_end_all(), unless control_cancel() comes before.
 * NULL, with one sentence, when it cannot be started; done is not called then.
 */
struct bp_call *control_start(struct vm *vm, const char *name, JsonObject *args,
                              control_done_fn *done, void *opaque,
                              GError **error);
void control_cancel(struct bp_call *call);
/* Ends all calls with this error. */
void control_end_all(struct vm *vm, const char *why);
/* Calls back what is done, and vm->event for events. */
void control_serve(struct vm *vm);

/* An event for all clients; data (may be NULL) is taken.  [any] */
void control_event(struct vm *vm, const char *name, JsonNode *data);

/* An array of {name, device, arguments, help}. */
JsonNode *control_describe(struct vm *vm);

#endif
