/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/socket.h"

#include <config.h>
#include <errno.h>
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/commands.h"
#include "ctl/typing.h"
#include "lib/log.h"
#include "vm/error.h"
#include "vm/vm.h"

#define MAX_LINE    65536u
#define MAX_CLIENTS 16u
/* A client that reads nothing is dropped, not waited for. */
#define MAX_UNSENT (16u << 20)

struct client {
    struct ctl *ctl;
    GSocket *socket;
    GSource *in, *out; /* out: NULL while nothing is unsent */
    GString *line;
    GString *unsent;
    GPtrArray *waiting; /* struct waiting * */
    bool hung_up;
};

/* A request whose answer comes later. */
struct waiting {
    struct client *client;
    JsonNode *id; /* NULL: none */
    struct operation *op;
};

struct ctl {
    struct vm *vm;
    char *path;
    GSocket *socket;
    GSource *accept;
    GPtrArray *clients;
};

/* --- one client -----------------------------------------------------------*/

static void drop_source(GSource **s)
{
    if (*s) {
        g_source_destroy(*s);
        g_source_unref(*s);
        *s = NULL;
    }
}

/* The array of a client that goes frees what still waits. */
static void waiting_free(gpointer opaque)
{
    struct waiting *w = opaque;

    if (w->op)
        operation_cancel(w->op);
    g_clear_pointer(&w->id, json_node_unref);
    g_free(w);
}

static void client_free(gpointer opaque)
{
    struct client *c = opaque;

    drop_source(&c->in);
    drop_source(&c->out);
    g_ptr_array_free(c->waiting, TRUE);
    g_socket_close(c->socket, NULL);
    g_object_unref(c->socket);
    g_string_free(c->line, TRUE);
    g_string_free(c->unsent, TRUE);
    g_free(c);
}

static void client_drop(struct client *c)
{
    g_ptr_array_remove(c->ctl->clients, c);
}

/* Sends what the socket takes now. */
static void client_push(struct client *c)
{
    while (c->unsent->len) {
        gssize n = g_socket_send(c->socket, c->unsent->str, c->unsent->len,
                                 NULL, NULL);
        if (n <= 0)
            break;
        g_string_erase(c->unsent, 0, n);
    }
}

static gboolean client_writable(GSocket *socket, GIOCondition condition,
                                gpointer opaque)
{
    struct client *c = opaque;

    client_push(c);
    if (c->unsent->len && !(condition & (G_IO_HUP | G_IO_ERR)))
        return G_SOURCE_CONTINUE;
    g_source_unref(c->out);
    c->out = NULL;
    return G_SOURCE_REMOVE;
}

static GSource *watch(GSocket *socket, GIOCondition condition,
                      GSocketSourceFunc fn, gpointer opaque)
{
    GSource *s = g_socket_create_source(socket, condition, NULL);

    g_source_set_callback(s, G_SOURCE_FUNC(fn), opaque, NULL);
    g_source_attach(s, NULL);
    return s;
}

static void client_send(struct client *c, JsonObject *object)
{
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    json_node_take_object(node, object);
    char *text = json_to_string(node, FALSE);
    json_node_unref(node);
    if (c->unsent->len + strlen(text) > MAX_UNSENT) {
        c->hung_up = true;
    } else {
        g_string_append_printf(c->unsent, "%s\n", text);
        client_push(c);
    }
    if (c->unsent->len && !c->out)
        c->out = watch(c->socket, G_IO_OUT, client_writable, c);
    g_free(text);
}

static void client_greet(struct client *c)
{
    JsonObject *all = json_object_new(), *qmp = json_object_new();
    JsonObject *version = json_object_new();

    json_object_set_string_member(version, "backplane", BP_VERSION);
    json_object_set_object_member(qmp, "version", version);
    json_object_set_array_member(qmp, "capabilities", json_array_new());
    json_object_set_object_member(all, "QMP", qmp);
    client_send(c, all);
}

static void reply_error(struct client *c, JsonNode *id, const char *text)
{
    JsonObject *all = json_object_new(), *e = json_object_new();

    json_object_set_string_member(e, "class", "GenericError");
    json_object_set_string_member(e, "desc", text);
    json_object_set_object_member(all, "error", e);
    if (id)
        json_object_set_member(all, "id", json_node_copy(id));
    client_send(c, all);
}

static void reply(struct client *c, JsonNode *id, JsonNode *result)
{
    JsonObject *all = json_object_new();

    json_object_set_member(all, "return", json_node_copy(result));
    if (id)
        json_object_set_member(all, "id", json_node_copy(id));
    client_send(c, all);
}

static void answered(void *opaque, JsonNode *answer, const char *error)
{
    struct waiting *w = opaque;

    if (answer)
        reply(w->client, w->id, answer);
    else
        reply_error(w->client, w->id, error);
    w->op = NULL;
    g_ptr_array_remove_fast(w->client->waiting, w);
}

static void execute(struct client *c, JsonObject *request)
{
    JsonNode *id = json_object_get_member(request, "id");
    JsonNode *name = json_object_get_member(request, "execute");
    JsonNode *args = json_object_get_member(request, "arguments");

    if (!name || !JSON_NODE_HOLDS_VALUE(name) ||
        json_node_get_value_type(name) != G_TYPE_STRING ||
        (args && !JSON_NODE_HOLDS_OBJECT(args))) {
        reply_error(c, id,
                    "a request is {\"execute\": NAME, "
                    "\"arguments\": {..}}");
        return;
    }
    struct waiting *w = g_new0(struct waiting, 1);
    w->client = c;
    w->id = id ? json_node_copy(id) : NULL;
    g_ptr_array_add(c->waiting, w);
    struct operation *op =
        commands_start(c->ctl->vm, json_node_get_string(name),
                       args ? json_node_get_object(args) : NULL, answered, w);
    /* When it was answered at once, w is gone. */
    if (op)
        w->op = op;
}

static void client_line(struct client *c, const char *text, gsize bytes)
{
    JsonParser *parser = json_parser_new();
    GError *error = NULL;

    if (json_parser_load_from_data(parser, text, (gssize)bytes, &error)) {
        JsonNode *root = json_parser_get_root(parser);
        if (root && JSON_NODE_HOLDS_OBJECT(root))
            execute(c, json_node_get_object(root));
        else if (root)
            reply_error(c, NULL, "a request is a JSON object");
    } else {
        reply_error(c, NULL, error->message);
        g_error_free(error);
    }
    g_object_unref(parser);
}

static void client_lines(struct client *c)
{
    char *end;

    while (!c->hung_up && (end = memchr(c->line->str, '\n', c->line->len))) {
        gsize bytes = (gsize)(end - c->line->str);
        char *text = g_strndup(c->line->str, bytes);
        g_string_erase(c->line, 0, (gssize)bytes + 1);
        if (bytes)
            client_line(c, text, bytes);
        g_free(text);
    }
    if (c->line->len > MAX_LINE) {
        reply_error(c, NULL, "the request is too long");
        c->hung_up = true;
    }
}

static gboolean client_readable(GSocket *socket, GIOCondition condition,
                                gpointer opaque)
{
    struct client *c = opaque;
    char buffer[4096];
    GError *error = NULL;
    gssize n = g_socket_receive(socket, buffer, sizeof(buffer), NULL, &error);

    if (n > 0) {
        g_string_append_len(c->line, buffer, n);
        client_lines(c);
    } else if (n == 0 ||
               !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
        c->hung_up = true;
    }
    g_clear_error(&error);
    if (!c->hung_up)
        return G_SOURCE_CONTINUE;
    client_drop(c);
    return G_SOURCE_REMOVE;
}

/* --- the socket -----------------------------------------------------------*/

static gboolean client_arrived(GSocket *socket, GIOCondition condition,
                               gpointer opaque)
{
    struct ctl *ctl = opaque;
    GSocket *s = g_socket_accept(socket, NULL, NULL);

    if (!s)
        return G_SOURCE_CONTINUE;
    if (ctl->clients->len >= MAX_CLIENTS) {
        g_object_unref(s);
        return G_SOURCE_CONTINUE;
    }
    struct client *c = g_new0(struct client, 1);
    g_socket_set_blocking(s, FALSE);
    c->ctl = ctl;
    c->socket = s;
    c->line = g_string_new(NULL);
    c->unsent = g_string_new(NULL);
    c->waiting = g_ptr_array_new_with_free_func(waiting_free);
    c->in = watch(s, G_IO_IN, client_readable, c);
    g_ptr_array_add(ctl->clients, c);
    client_greet(c);
    return G_SOURCE_CONTINUE;
}

/* Somebody answers there? */
static bool is_served(GSocketAddress *address)
{
    GSocket *probe = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM,
                                  G_SOCKET_PROTOCOL_DEFAULT, NULL);
    bool served = probe && g_socket_connect(probe, address, NULL, NULL);

    g_clear_object(&probe);
    return served;
}

static bool listen_at(struct ctl *c, GSocketAddress *address, GError **error)
{
    GError *why = NULL;

    if (is_served(address))
        return vm_fail(error, VM_ERROR_CONFIG,
                       "the control socket '%s' "
                       "belongs to a machine that runs",
                       c->path);
    unlink(c->path);
    c->socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM,
                             G_SOCKET_PROTOCOL_DEFAULT, &why);
    if (c->socket && g_socket_bind(c->socket, address, TRUE, &why) &&
        g_socket_listen(c->socket, &why))
        return true;
    vm_fail(error, VM_ERROR_CONFIG,
            "the control socket '%s' cannot be made: "
            "%s",
            c->path, why->message);
    g_error_free(why);
    return false;
}

struct ctl *ctl_open(const char *path, GError **error)
{
    struct ctl *c = g_new0(struct ctl, 1);

    c->path = g_strdup(path);
    c->clients = g_ptr_array_new_with_free_func(client_free);
    if (strlen(path) >= 108) {
        vm_fail(error, VM_ERROR_CONFIG,
                "the path of the control socket is too long: '%s'", path);
        ctl_close(c);
        return NULL;
    }
    GSocketAddress *address = g_unix_socket_address_new(path);
    bool ok = listen_at(c, address, error);
    g_object_unref(address);
    if (!ok) {
        g_clear_object(&c->socket);
        ctl_close(c);
        return NULL;
    }
    g_socket_set_blocking(c->socket, FALSE);
    return c;
}

void ctl_serve(struct ctl *c, struct vm *vm)
{
    c->vm = vm;
    c->accept = watch(c->socket, G_IO_IN, client_arrived, c);
}

void ctl_close(struct ctl *c)
{
    if (!c)
        return;
    if (c->vm)
        typing_stop(c->vm);
    drop_source(&c->accept);
    g_ptr_array_free(c->clients, TRUE);
    if (c->socket) {
        g_socket_close(c->socket, NULL);
        g_object_unref(c->socket);
        unlink(c->path);
    }
    g_free(c->path);
    g_free(c);
}

void ctl_event(struct ctl *c, const char *name, JsonNode *data)
{
    gint64 now = g_get_real_time();

    for (guint i = 0; i < c->clients->len; i++) {
        JsonObject *all = json_object_new(), *stamp = json_object_new();
        json_object_set_int_member(stamp, "seconds", now / 1000000);
        json_object_set_int_member(stamp, "microseconds", now % 1000000);
        json_object_set_string_member(all, "event", name);
        if (data)
            json_object_set_member(all, "data", json_node_copy(data));
        json_object_set_object_member(all, "timestamp", stamp);
        client_send(c->clients->pdata[i], all);
    }
}
