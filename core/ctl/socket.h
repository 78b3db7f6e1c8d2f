/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: JSON lines in the shape of QMP, on a Unix socket.
 *
 *     <- {"QMP": {"version": {"backplane": "0.1"}, "capabilities": []}}
 *     -> {"execute": "query-status", "arguments": {}, "id": 1}
 *     <- {"return": {"status": "running"}, "id": 1}
 *     <- {"error": {"class": "GenericError", "desc": "..."}, "id": 2}
 *     <- {"event": "RESET", "timestamp": {"seconds": 1, "microseconds": 0}}
 *
 * Requests are done in their order, but what waits for the guest (commands of
 * devices, plugin/control.h) is answered when it is done; "id" tells.
 *
 * Everything runs on the thread of the default main context.
 */
#ifndef CTL_SOCKET_H
#define CTL_SOCKET_H

#include <glib.h>
#include <json-glib/json-glib.h>

struct ctl;
struct vm;

/* Takes the path, so that what is named after it is this machine's, too.  A
 * socket file that nobody serves is replaced.  NULL with one sentence. */
struct ctl *ctl_open(const char *path, GError **error);
/* Clients that wait are answered from now on. */
void ctl_serve(struct ctl *c, struct vm *vm);
/* NULL is fine. */
void ctl_close(struct ctl *c);
/* Tells all clients; data may be NULL. */
void ctl_event(struct ctl *c, const char *name, JsonNode *data);

#endif
