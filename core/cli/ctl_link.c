/* SPDX-License-Identifier: Apache-2.0 */
/* A client's end of the control socket. */
#include <gio/gunixsocketaddress.h>
#include <string.h>

#include "cli/ctl.h"
#include "vm/error.h"

struct ctl_link {
    GSocketConnection *connection;
    GDataInputStream *in;
    ctl_link_event_fn *event;
    void *opaque;
};

struct ctl_link *ctl_link_open(const char *path, GError **error)
{
    GSocketClient *client = g_socket_client_new();
    GSocketAddress *address = g_unix_socket_address_new(path);
    GError *why = NULL;
    struct ctl_link *l = NULL;
    GSocketConnection *c =
        g_socket_client_connect(client, G_SOCKET_CONNECTABLE(address), NULL,
                                &why);

    if (c) {
        l = g_new0(struct ctl_link, 1);
        l->connection = c;
        l->in = g_data_input_stream_new(
            g_io_stream_get_input_stream(G_IO_STREAM(c)));
    } else {
        vm_fail(error, VM_ERROR_RUN, "no machine answers at '%s': %s", path,
                why->message);
        g_error_free(why);
    }
    g_object_unref(address);
    g_object_unref(client);
    return l;
}

void ctl_link_close(struct ctl_link *l)
{
    if (!l)
        return;
    g_object_unref(l->in);
    g_object_unref(l->connection);
    g_free(l);
}

void ctl_link_on_event(struct ctl_link *l, ctl_link_event_fn *fn, void *opaque)
{
    l->event = fn;
    l->opaque = opaque;
}

/* The next object; NULL when there is none, or something else came. */
static JsonNode *read_object(struct ctl_link *l, GError **error)
{
    char *line = g_data_input_stream_read_line(l->in, NULL, NULL, error);
    JsonNode *node = line ? json_from_string(line, NULL) : NULL;

    g_free(line);
    if (node && !JSON_NODE_HOLDS_OBJECT(node))
        g_clear_pointer(&node, json_node_unref);
    return node;
}

/* The next object that is an answer, not a greeting or an event. */
static JsonNode *read_answer(struct ctl_link *l, GError **error)
{
    JsonNode *node;

    while ((node = read_object(l, error))) {
        JsonObject *o = json_node_get_object(node);
        if (json_object_has_member(o, "return") ||
            json_object_has_member(o, "error"))
            return node;
        if (json_object_has_member(o, "event") && l->event)
            l->event(l->opaque, o);
        json_node_unref(node);
    }
    if (error && !*error)
        vm_fail(error, VM_ERROR_RUN, "the machine gave no answer");
    return NULL;
}

void ctl_link_follow(struct ctl_link *l)
{
    JsonNode *node;

    while ((node = read_object(l, NULL))) {
        JsonObject *o = json_node_get_object(node);
        if (json_object_has_member(o, "event") && l->event)
            l->event(l->opaque, o);
        json_node_unref(node);
    }
}

static bool send_request(struct ctl_link *l, const char *execute,
                         JsonObject *arguments, GError **error)
{
    JsonObject *all = json_object_new();
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    json_object_set_string_member(all, "execute", execute);
    if (arguments)
        json_object_set_object_member(all, "arguments",
                                      json_object_ref(arguments));
    json_node_take_object(node, all);
    char *text = json_to_string(node, FALSE);
    char *line = g_strconcat(text, "\n", NULL);
    bool ok = g_output_stream_write_all(g_io_stream_get_output_stream(
                                            G_IO_STREAM(l->connection)),
                                        line, strlen(line), NULL, NULL, error);
    g_free(line);
    g_free(text);
    json_node_unref(node);
    return ok;
}

JsonNode *ctl_link_ask(struct ctl_link *l, const char *execute,
                       JsonObject *arguments, GError **error)
{
    JsonNode *answer, *result = NULL;

    if (!send_request(l, execute, arguments, error))
        return NULL;
    answer = read_answer(l, error);
    if (!answer)
        return NULL;
    JsonObject *o = json_node_get_object(answer);
    if (json_object_has_member(o, "error")) {
        JsonNode *e = json_object_get_member(o, "error");
        vm_fail(error, VM_ERROR_RUN, "%s",
                JSON_NODE_HOLDS_OBJECT(e)
                    ? json_object_get_string_member_with_default(
                          json_node_get_object(e), "desc", "it failed")
                    : "it failed");
    } else {
        result = json_node_copy(json_object_get_member(o, "return"));
    }
    json_node_unref(answer);
    return result;
}
