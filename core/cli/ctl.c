/* SPDX-License-Identifier: Apache-2.0 */
/* backplane ctl: asks a machine that runs, from the shell. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/ctl.h"
#include "vm/error.h"

#define MAX_WORDS 4

static const struct verb {
    const char *name;
    const char *execute;
    const char *arguments[MAX_WORDS]; /* "#dx": a number, "?x": optional,
                                       * "=x": this word, not sent; "!x":
                                       * a switch */
    const char *shows;                /* member of the answer to print */
    const char *help;
} verbs[] = {
    { "status", "query-status", { NULL }, "status", "" },
    { "screenshot", "screendump", { "/filename" }, NULL, "FILE.png" },
    { "screentext", "screentext", { NULL }, "text", "" },
    { "sendkey", "sendkey", { "keys" }, NULL, "ctrl-alt-delete" },
    { "type", "type", { "text" }, NULL, "TEXT" },
    { "mouse", "mouse", { "#dx", "#dy", "#buttons" }, NULL, "DX DY BUTTONS" },
    { "point", "point", { "#x", "#y", "#buttons" }, NULL, "X Y BUTTONS" },
    { "pause", "stop", { NULL }, NULL, "" },
    { "resume", "cont", { NULL }, NULL, "" },
    { "reset", "system_reset", { NULL }, NULL, "" },
    { "powerdown", "system_powerdown", { NULL }, NULL, "" },
    { "quit", "quit", { NULL }, NULL, "" },
    { "save", "save", { "/filename", "!quiesce" }, NULL, "FILE [quiesce]" },
    { "eject", "eject", { "?device" }, NULL, "[DEVICE]" },
    { "change-media",
      "change-media",
      { "device", "/filename" },
      NULL,
      "DEVICE FILE" },
    { "disk-add",
      "disk-add",
      { "/filename", "?options" },
      "device",
      "FILE [controller=N,lun=N,readonly,snapshot,block=4096]" },
    { "disk-remove", "disk-remove", { "device" }, NULL, "DEVICE" },
    { "hash", "hash", { NULL }, "sha256", "" },
    { "info", "info", { "what" }, "text", "TOPIC" },
    { "net", "net", { "name", "link" }, NULL, "nic0 link=on|off" },
    { "jit", "query-jit", { "=stats" }, "text", "stats" },
};

/* The first mistake counts. */
static JsonObject *arguments_of(const struct verb *v, int argc, char **argv,
                                GError **error)
{
    JsonObject *args = json_object_new();
    int n = 0;

    for (; n < MAX_WORDS && v->arguments[n]; n++) {
        const char *name = v->arguments[n];
        if (n >= argc) {
            if (name[0] == '?' || name[0] == '!')
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
        } else if (name[0] == '!') {
            if (strcmp(argv[n], name + 1) != 0)
                vm_fail(error, VM_ERROR_CONFIG, "'%s' does not take '%s'",
                        v->name, argv[n]);
            json_object_set_boolean_member(args, name + 1, TRUE);
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
    return args;
}

static void show(const struct verb *v, JsonNode *answer)
{
    if (!v->shows || !JSON_NODE_HOLDS_OBJECT(answer))
        return;
    const char *text =
        json_object_get_string_member_with_default(json_node_get_object(answer),
                                                   v->shows, "");
    fputs(text, stdout);
    if (!g_str_has_suffix(text, "\n"))
        putchar('\n');
}

static int talk(struct ctl_link *l, bool json, const struct verb *v, int argc,
                char **argv)
{
    GError *error = NULL;
    JsonObject *args = arguments_of(v, argc, argv, &error);
    int status = STATUS_USAGE;

    if (!error) {
        JsonNode *answer = ctl_link_ask(l, v->execute, args, &error);
        status = answer ? STATUS_OK : STATUS_FAILED;
        if (answer && json)
            print_json(answer);
        else if (answer)
            show(v, answer);
        g_clear_pointer(&answer, json_node_unref);
    }
    json_object_unref(args);
    if (error)
        cli_complain("%s", error->message);
    g_clear_error(&error);
    return status;
}

static void print_event(void *opaque, JsonObject *event)
{
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    json_node_set_object(node, event);
    char *text = json_to_string(node, FALSE);
    puts(text);
    fflush(stdout);
    g_free(text);
    json_node_unref(node);
}

static int follow(struct ctl_link *l)
{
    ctl_link_on_event(l, print_event, NULL);
    ctl_link_follow(l);
    return STATUS_OK;
}

static void usage(void)
{
    puts("usage: backplane ctl --socket PATH [--json] VERB [ARGUMENT]..\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(verbs); i++)
        printf("  %-14s %s\n", verbs[i].name, verbs[i].help);
    puts("  events\n  hvsock         [--listen] [--keep SECONDS] PORT\n  help");
    puts("\nTopics of info: map, ports, pci, wires, cpu, devices, block, net, "
         "or "
         "a device's name.\nsave leaves the machine paused. help also lists "
         "what the devices of a machine\nthat runs can do: kvp list, "
         "heartbeat, shutdown, ...");
}

static int do_verb(struct ctl_link *l, bool json, int argc, char **argv)
{
    if (strcmp(argv[0], "help") == 0) {
        usage();
        ctl_device_help(l);
        return STATUS_OK;
    }
    if (strcmp(argv[0], "events") == 0)
        return follow(l);
    if (strcmp(argv[0], "hvsock") == 0)
        return ctl_hvsock(l, argc - 1, argv + 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(verbs); i++) {
        if (strcmp(verbs[i].name, argv[0]) == 0)
            return talk(l, json, &verbs[i], argc - 1, argv + 1);
    }
    return ctl_device_command(l, json, argc, argv);
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

/* NULL after a complaint. */
static struct ctl_link *connect_to(const char *path)
{
    GError *error = NULL;
    struct ctl_link *l = ctl_link_open(path, &error);

    if (!l) {
        cli_complain("%s", error->message);
        g_error_free(error);
    }
    return l;
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
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    argc -= json;
    argv += json;
    if (argc < 2) {
        cli_complain("ctl: what shall it do? try --help");
        return STATUS_USAGE;
    }
    struct ctl_link *l = connect_to(path);
    if (!l)
        return STATUS_FAILED;
    int status = do_verb(l, json, argc - 1, argv + 1);
    ctl_link_close(l);
    return status;
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
        puts("usage: backplane save --socket PATH FILE [quiesce]");
        return STATUS_OK;
    }
    const char *path = socket_option(&argc, &argv);
    if (!path)
        return STATUS_USAGE;
    struct ctl_link *l = connect_to(path);
    if (!l)
        return STATUS_FAILED;
    int status = talk(l, false, verb_named("save"), argc - 1, argv + 1);
    if (status == STATUS_OK)
        status = talk(l, false, verb_named("quit"), 0, NULL);
    ctl_link_close(l);
    return status;
}
