/* SPDX-License-Identifier: Apache-2.0 */
/* backplane ctl: asks a machine that runs, from the shell. */
#include <errno.h>
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "vm/error.h"

#define MAX_WORDS 4

static const struct verb {
    const char *name;
    const char *execute;
    const char *arguments[MAX_WORDS]; /* "#dx": a number, "?x": optional,
                                       * "=x": this word, not sent */
    const char *shows;                /* member of the answer to print */
    const char *help;
} verbs[] = {
    { "status", "query-status", { NULL }, "status", "" },
    { "screenshot", "screendump", { "/filename" }, NULL, "FILE.png" },
    { "screentext", "screentext", { NULL }, "text", "" },
    { "sendkey", "sendkey", { "keys" }, NULL, "ctrl-alt-delete" },
    { "type", "type", { "text" }, NULL, "TEXT" },
    { "mouse", "mouse", { "#dx", "#dy", "#buttons" }, NULL, "DX DY BUTTONS" },
    { "pause", "stop", { NULL }, NULL, "" },
    { "resume", "cont", { NULL }, NULL, "" },
    { "reset", "system_reset", { NULL }, NULL, "" },
    { "powerdown", "system_powerdown", { NULL }, NULL, "" },
    { "quit", "quit", { NULL }, NULL, "" },
    { "save", "save", { "/filename" }, NULL, "FILE" },
    { "eject", "eject", { "?device" }, NULL, "[DEVICE]" },
    { "change-media",
      "change-media",
      { "device", "/filename" },
      NULL,
      "DEVICE FILE" },
    { "hash", "hash", { NULL }, "sha256", "" },
    { "info", "info", { "what" }, "text", "TOPIC" },
    { "jit", "query-jit", { "=stats" }, "text", "stats" },
};

static void usage(void)
{
    puts("usage: backplane ctl --socket PATH VERB [ARGUMENT]..\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(verbs); i++)
        printf("  %-14s %s\n", verbs[i].name, verbs[i].help);
    puts("\nTopics of info: map, ports, pci, wires, cpu, devices, block, or "
         "a device's name.\nsave leaves the machine paused.");
}

static JsonObject *request_of(const struct verb *v, int argc, char **argv,
                              GError **error)
{
    JsonObject *args = json_object_new();
    int n = 0;

    for (; n < MAX_WORDS && v->arguments[n]; n++) {
        const char *name = v->arguments[n];
        if (n >= argc) {
            if (name[0] == '?')
                break;
            vm_fail(error, VM_ERROR_CONFIG, "'%s' needs: %s", v->name, v->help);
            break;
        }
        if (name[0] == '#') {
            char *end;
            gint64 value = g_ascii_strtoll(argv[n], &end, 10);
            if (*end || end == argv[n])
                vm_fail(error, VM_ERROR_CONFIG, "'%s' is no number", argv[n]);
            json_object_set_int_member(args, name + 1, value);
        } else if (name[0] == '=') {
            if (strcmp(argv[n], name + 1) != 0)
                vm_fail(error, VM_ERROR_CONFIG, "'%s' needs: %s", v->name,
                        v->help);
        } else if (name[0] == '/') {
            /* The machine runs in another folder. */
            char *path = g_canonicalize_filename(argv[n], NULL);
            json_object_set_string_member(args, name + 1, path);
            g_free(path);
        } else {
            json_object_set_string_member(args, name + (name[0] == '?'),
                                          argv[n]);
        }
    }
    if (argc > n && (!error || !*error))
        vm_fail(error, VM_ERROR_CONFIG, "'%s' does not take '%s'", v->name,
                argv[n]);
    JsonObject *all = json_object_new();
    json_object_set_string_member(all, "execute", v->execute);
    json_object_set_object_member(all, "arguments", args);
    return all;
}

/* The next line that is an answer, not a greeting or an event. */
static JsonNode *read_answer(GDataInputStream *in, GError **error)
{
    char *line;

    while ((line = g_data_input_stream_read_line(in, NULL, NULL, error))) {
        JsonNode *node = json_from_string(line, NULL);
        g_free(line);
        if (!node || !JSON_NODE_HOLDS_OBJECT(node)) {
            g_clear_pointer(&node, json_node_unref);
            break;
        }
        JsonObject *o = json_node_get_object(node);
        if (json_object_has_member(o, "return") ||
            json_object_has_member(o, "error"))
            return node;
        json_node_unref(node);
    }
    vm_fail(error, VM_ERROR_RUN, "the machine gave no answer");
    return NULL;
}

static JsonNode *ask(const char *path, JsonObject *request, GError **error)
{
    GSocketClient *client = g_socket_client_new();
    GSocketAddress *address = g_unix_socket_address_new(path);
    GError *why = NULL;
    JsonNode *answer = NULL;
    GSocketConnection *c =
        g_socket_client_connect(client, G_SOCKET_CONNECTABLE(address), NULL,
                                &why);

    if (!c) {
        vm_fail(error, VM_ERROR_RUN, "no machine answers at '%s': %s", path,
                why->message);
        g_error_free(why);
    } else {
        GDataInputStream *in = g_data_input_stream_new(
            g_io_stream_get_input_stream(G_IO_STREAM(c)));
        JsonNode *node = json_node_new(JSON_NODE_OBJECT);
        json_node_set_object(node, request);
        char *text = json_to_string(node, FALSE);
        char *line = g_strconcat(text, "\n", NULL);
        if (g_output_stream_write_all(g_io_stream_get_output_stream(
                                          G_IO_STREAM(c)),
                                      line, strlen(line), NULL, NULL, error))
            answer = read_answer(in, error);
        g_free(line);
        g_free(text);
        json_node_unref(node);
        g_object_unref(in);
        g_object_unref(c);
    }
    g_object_unref(address);
    g_object_unref(client);
    return answer;
}

static bool show(const struct verb *v, JsonNode *answer, GError **error)
{
    JsonObject *o = json_node_get_object(answer);

    if (json_object_has_member(o, "error")) {
        JsonObject *e = json_object_get_object_member(o, "error");
        return vm_fail(error, VM_ERROR_RUN, "%s",
                       e ? json_object_get_string_member_with_default(
                               e, "desc", "it failed")
                         : "it failed");
    }
    JsonNode *result = json_object_get_member(o, "return");
    if (v->shows && result && JSON_NODE_HOLDS_OBJECT(result)) {
        const char *text = json_object_get_string_member_with_default(
            json_node_get_object(result), v->shows, "");
        fputs(text, stdout);
        if (!g_str_has_suffix(text, "\n"))
            putchar('\n');
    }
    return true;
}

static int talk(const char *path, const struct verb *v, int argc, char **argv)
{
    GError *error = NULL;
    JsonObject *request = request_of(v, argc, argv, &error);
    int status = STATUS_USAGE;

    if (!error) {
        JsonNode *answer = ask(path, request, &error);
        bool ok = answer && show(v, answer, &error);
        status = ok ? STATUS_OK : STATUS_FAILED;
        g_clear_pointer(&answer, json_node_unref);
    }
    json_object_unref(request);
    if (error)
        cli_complain("%s", error->message);
    g_clear_error(&error);
    return status;
}

/* Finds --socket PATH; shifts it out.  NULL, after a complaint: none. */
static const char *socket_option(int *argc, char ***argv)
{
    const char *path = NULL;
    char **a = *argv;

    if (*argc > 2 && strcmp(a[1], "--socket") == 0) {
        path = a[2];
        *argc -= 2;
        *argv += 2;
    } else if (*argc > 1 && g_str_has_prefix(a[1], "--socket=")) {
        path = a[1] + strlen("--socket=");
        *argc -= 1;
        *argv += 1;
    } else {
        cli_complain("%s needs --socket PATH; try --help", a[0]);
    }
    return path;
}

int cli_ctl(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        usage();
        return STATUS_OK;
    }
    const char *path = socket_option(&argc, &argv);
    if (!path)
        return STATUS_USAGE;
    if (argc < 2) {
        cli_complain("ctl: what shall it do? try --help");
        return STATUS_USAGE;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(verbs); i++) {
        if (strcmp(verbs[i].name, argv[1]) == 0)
            return talk(path, &verbs[i], argc - 2, argv + 2);
    }
    cli_complain("ctl: there is no verb '%s'; try --help", argv[1]);
    return STATUS_USAGE;
}

static const struct verb *verb_named(const char *name)
{
    unsigned i = 0;

    while (strcmp(verbs[i].name, name) != 0)
        i++;
    return &verbs[i];
}

int cli_save(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        puts("usage: backplane save --socket PATH FILE");
        return STATUS_OK;
    }
    const char *path = socket_option(&argc, &argv);
    if (!path)
        return STATUS_USAGE;
    int status = talk(path, verb_named("save"), argc - 1, argv + 1);
    return status ? status : talk(path, verb_named("quit"), 0, NULL);
}
