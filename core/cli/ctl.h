/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `backplane ctl` share. */
#ifndef CLI_CTL_H
#define CLI_CTL_H

#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

/* --- the connection (ctl_link.c) -----------------------------------------*/

struct ctl_link;

/* Called with each event that comes while an answer is waited for. */
typedef void ctl_link_event_fn(void *opaque, JsonObject *event);

/* NULL with one sentence. */
struct ctl_link *ctl_link_open(const char *path, GError **error);
void ctl_link_close(struct ctl_link *l); /* NULL is fine */
/*
 * Sends {"execute": execute, "arguments": arguments} and waits.  The value
 * of "return", to be freed, or NULL with the machine's sentence.  arguments
 * may be NULL.
 */
JsonNode *ctl_link_ask(struct ctl_link *l, const char *execute,
                       JsonObject *arguments, GError **error);
/* Until the machine ends: gives its events to fn. */
void ctl_link_follow(struct ctl_link *l);
void ctl_link_on_event(struct ctl_link *l, ctl_link_event_fn *fn, void *opaque);

/* --- answers for people (ctl_print.c) ------------------------------------*/

void print_json(JsonNode *answer);
void print_answer(JsonNode *answer);

/* --- commands of devices (ctl_device.c) ----------------------------------*/

/* Status for the shell. */
int ctl_device_command(struct ctl_link *l, bool json, int argc, char **argv);
void ctl_device_help(struct ctl_link *l);
/* Joins standard input and output with a port of the guest. */
int ctl_hvsock(struct ctl_link *l, int argc, char **argv);

#endif
