/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that devices have added: the machine says which there are and
 * what they take.  "kvp list" is the command "kvp-list".
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/ctl.h"
#include "vm/error.h"

static const char *text_of(JsonObject *o, const char *name)
{
    return json_object_get_string_member_with_default(o, name, "");
}

static JsonObject *find(JsonArray *all, const char *name)
{
    for (guint i = 0; i < json_array_get_length(all); i++) {
        JsonObject *o = json_array_get_object_element(all, i);
        if (strcmp(text_of(o, "name"), name) == 0)
            return o;
    }
    return NULL;
}

/* By two words or one; *used is how many. */
static JsonObject *choose(JsonArray *all, int argc, char **argv, int *used)
{
    JsonObject *found = NULL;

    if (argc > 1) {
        char *both = g_strconcat(argv[0], "-", argv[1], NULL);
        found = find(all, both);
        g_free(both);
        *used = 2;
    }
    if (!found) {
        found = find(all, argv[0]);
        *used = 1;
    }
    return found;
}

/* --- arguments ------------------------------------------------------------*/

/* "/name", "name?", "name!" as in backplane/control.h */
struct word {
    char *name;
    bool path, may, flag;
};

static struct word word_of(const char *text)
{
    struct word w = { .path = text[0] == '/' };

    text += w.path;
    w.name = g_strndup(text, strcspn(text, "?!"));
    w.may = strchr(text, '?') != NULL;
    w.flag = strchr(text, '!') != NULL;
    return w;
}

static void set(JsonObject *args, const struct word *w, const char *value)
{
    if (w->path) {
        /* The machine runs in another folder. */
        char *path = g_canonicalize_filename(value, NULL);
        json_object_set_string_member(args, w->name, path);
        g_free(path);
    } else {
        json_object_set_string_member(args, w->name, value);
    }
}

/* The switch "force", "name=value", or the next that has no value yet. */
static bool put(JsonObject *args, const struct word *words, guint n,
                const char *value)
{
    for (guint i = 0; i < n; i++) {
        gsize bytes = strlen(words[i].name);
        if (words[i].flag && strcmp(value, words[i].name) == 0) {
            set(args, &words[i], "on");
            return true;
        }
        if (strncmp(value, words[i].name, bytes) == 0 && value[bytes] == '=') {
            set(args, &words[i], value + bytes + 1);
            return true;
        }
    }
    for (guint i = 0; i < n; i++) {
        if (words[i].flag || json_object_has_member(args, words[i].name))
            continue;
        set(args, &words[i], value);
        return true;
    }
    if (g_str_has_prefix(value, "device=")) {
        json_object_set_string_member(args, "device",
                                      value + strlen("device="));
        return true;
    }
    return false;
}

/* "key [value] [force]" */
static char *usage_of(JsonObject *command)
{
    char **texts = g_strsplit(text_of(command, "arguments"), " ", -1);
    GString *line = g_string_new(NULL);

    for (char **t = texts; *t && **t; t++) {
        struct word w = word_of(*t);
        char *upper = w.flag ? g_strdup(w.name) : g_ascii_strup(w.name, -1);
        g_string_append_printf(line, w.may || w.flag ? " [%s]" : " %s", upper);
        g_free(upper);
        g_free(w.name);
    }
    g_strfreev(texts);
    return g_string_free(line, FALSE);
}

static bool fill(JsonObject *command, JsonObject *args, int argc, char **argv,
                 GError **error)
{
    char **texts = g_strsplit(text_of(command, "arguments"), " ", -1);
    guint n = texts[0] && texts[0][0] ? g_strv_length(texts) : 0;
    struct word *words = g_new0(struct word, n);
    char *usage = usage_of(command);
    bool ok = true;

    for (guint i = 0; i < n; i++)
        words[i] = word_of(texts[i]);
    for (int i = 0; i < argc && ok; i++)
        ok = put(args, words, n, argv[i]) ||
             vm_fail(error, VM_ERROR_CONFIG, "'%s' does not take '%s'",
                     text_of(command, "name"), argv[i]);
    for (guint i = 0; i < n && ok; i++)
        ok = words[i].may || words[i].flag ||
             json_object_has_member(args, words[i].name) ||
             vm_fail(error, VM_ERROR_CONFIG, "'%s' needs:%s",
                     text_of(command, "name"), usage);
    for (guint i = 0; i < n; i++)
        g_free(words[i].name);
    g_free(words);
    g_free(usage);
    g_strfreev(texts);
    return ok;
}

/* --- running --------------------------------------------------------------*/

/* Events with a percentage are drawn while somebody looks. */
static void show_progress(void *opaque, JsonObject *event)
{
    JsonNode *data = json_object_get_member(event, "data");

    if (!data || !JSON_NODE_HOLDS_OBJECT(data) || !isatty(STDERR_FILENO) ||
        !json_object_has_member(json_node_get_object(data), "percent"))
        return;
    int percent =
        (int)json_object_get_int_member_with_default(json_node_get_object(data),
                                                     "percent", 0);
    fprintf(stderr, "\r%d%%%s", percent, percent == 100 ? "\n" : "");
}

static int run(struct ctl_link *l, bool json, JsonObject *command,
               JsonObject *args)
{
    GError *error = NULL;
    JsonNode *answer;

    ctl_link_on_event(l, show_progress, NULL);
    answer = ctl_link_ask(l, text_of(command, "name"), args, &error);
    if (!answer) {
        cli_complain("%s", error->message);
        g_error_free(error);
        return STATUS_FAILED;
    }
    if (json)
        print_json(answer);
    else
        print_answer(answer);
    json_node_unref(answer);
    return STATUS_OK;
}

/* NULL after a complaint. */
static JsonNode *ask_commands(struct ctl_link *l)
{
    GError *error = NULL;
    JsonNode *all = ctl_link_ask(l, "query-commands", NULL, &error);

    if (all && JSON_NODE_HOLDS_ARRAY(all))
        return all;
    cli_complain("%s", error ? error->message : "a strange answer");
    g_clear_error(&error);
    g_clear_pointer(&all, json_node_unref);
    return NULL;
}

int ctl_device_command(struct ctl_link *l, bool json, int argc, char **argv)
{
    JsonNode *all = ask_commands(l);
    GError *error = NULL;
    int used = 0, status = STATUS_USAGE;

    if (!all)
        return STATUS_FAILED;
    JsonObject *command = choose(json_node_get_array(all), argc, argv, &used);
    JsonObject *args = json_object_new();
    if (!command)
        cli_complain("ctl: this machine has no command '%s'; try help",
                     argv[0]);
    else if (fill(command, args, argc - used, argv + used, &error))
        status = run(l, json, command, args);
    if (error)
        cli_complain("%s", error->message);
    g_clear_error(&error);
    json_object_unref(args);
    json_node_unref(all);
    return status;
}

void ctl_device_help(struct ctl_link *l)
{
    JsonNode *all = ask_commands(l);
    JsonArray *list = all ? json_node_get_array(all) : NULL;

    if (list && json_array_get_length(list))
        puts("\nCommands of this machine's devices:\n");
    for (guint i = 0; list && i < json_array_get_length(list); i++) {
        JsonObject *o = json_array_get_object_element(list, i);
        char *usage = usage_of(o);
        printf("  %s%s\n      %s\n", text_of(o, "name"), usage,
               text_of(o, "help"));
        g_free(usage);
    }
    g_clear_pointer(&all, json_node_unref);
}
