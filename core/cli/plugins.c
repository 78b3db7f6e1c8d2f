/* SPDX-License-Identifier: Apache-2.0 */
/* backplane plugins: which devices there are, with their properties. */
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "plugin/device.h"
#include "plugin/load.h"

static void print_property(const struct bp_property *p)
{
    char *value = property_default(p), *range = property_range(p);

    printf("    %-18s %s%s%s", p->name, property_type_name(p), range ? " " : "",
           range ? range : "");
    if (value[0])
        printf(", default %s", value);
    printf("\n        %s\n", p->help ? p->help : "");
    g_free(value);
    g_free(range);
}

static void print_type(const struct device_type *t, void *opaque)
{
    const char *wanted = opaque;

    if (wanted && strcmp(wanted, t->desc.id) != 0)
        return;
    printf("%s  (%s)%s\n    %s; plugin %s, %s\n", t->desc.id,
           device_class_name(t->desc.device_class),
           t->shadowed ? "  shadowed by another plugin" : "", t->desc.title,
           t->plugin->entry->id, t->plugin->path);
    for (const struct bp_property *p = t->desc.properties; p && p->name; p++)
        print_property(p);
}

static void member(JsonBuilder *b, const char *name, const char *text)
{
    json_builder_set_member_name(b, name);
    json_builder_add_string_value(b, text ? text : "");
}

static void build_property(JsonBuilder *b, const struct bp_property *p)
{
    char *value = property_default(p);

    json_builder_begin_object(b);
    member(b, "name", p->name);
    member(b, "type", property_type_name(p));
    member(b, "help", p->help);
    member(b, "default", value);
    if (p->min || p->max) {
        json_builder_set_member_name(b, "min");
        json_builder_add_int_value(b, (gint64)p->min);
        json_builder_set_member_name(b, "max");
        json_builder_add_int_value(b, (gint64)p->max);
    }
    if (p->type == BP_PROP_CHOICE) {
        json_builder_set_member_name(b, "choices");
        json_builder_begin_array(b);
        for (uint32_t i = 0; p->choices[i]; i++)
            json_builder_add_string_value(b, p->choices[i]);
        json_builder_end_array(b);
    }
    json_builder_end_object(b);
    g_free(value);
}

static void build_type(const struct device_type *t, void *opaque)
{
    JsonBuilder *b = opaque;

    json_builder_begin_object(b);
    member(b, "id", t->desc.id);
    member(b, "title", t->desc.title);
    member(b, "class", device_class_name(t->desc.device_class));
    member(b, "plugin", t->plugin->entry->id);
    member(b, "licence", t->plugin->entry->licence);
    member(b, "file", t->plugin->path);
    json_builder_set_member_name(b, "shadowed");
    json_builder_add_boolean_value(b, t->shadowed);
    json_builder_set_member_name(b, "properties");
    json_builder_begin_array(b);
    for (const struct bp_property *p = t->desc.properties; p && p->name; p++)
        build_property(b, p);
    json_builder_end_array(b);
    json_builder_end_object(b);
}

static void print_json(struct plugins *plugins)
{
    JsonBuilder *b = json_builder_new();

    json_builder_begin_array(b);
    plugins_foreach(plugins, build_type, b);
    json_builder_end_array(b);
    JsonNode *root = json_builder_get_root(b);
    char *text = json_to_string(root, TRUE);
    puts(text);
    g_free(text);
    json_node_unref(root);
    g_object_unref(b);
}

static int list(struct plugins *plugins, bool json, char *wanted)
{
    if (json) {
        print_json(plugins);
        return STATUS_OK;
    }
    if (wanted && !plugins_find(plugins, wanted)) {
        cli_complain("there is no device type '%s'", wanted);
        return STATUS_FAILED;
    }
    plugins_foreach(plugins, print_type, wanted);
    return STATUS_OK;
}

int cli_plugins(int argc, char **argv)
{
    struct plugins *plugins = plugins_create();
    int status = STATUS_OK;
    GError *error = NULL;
    bool json = false;
    char *wanted = NULL;

    for (int i = 1; i < argc && status == STATUS_OK; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--plugin") == 0 && i + 1 < argc) {
            if (!plugins_load_file(plugins, argv[++i], &error))
                status = STATUS_FAILED;
        } else if (strcmp(argv[i], "--help") == 0) {
            puts("usage: backplane plugins [--json] [--plugin FILE] "
                 "[DEVICE]");
            plugins_destroy(plugins);
            return STATUS_OK;
        } else if (argv[i][0] != '-' && !wanted) {
            wanted = argv[i];
        } else {
            cli_complain("plugins: unknown option '%s'", argv[i]);
            status = STATUS_USAGE;
        }
    }
    if (error)
        cli_complain("%s", error->message);
    g_clear_error(&error);
    if (status == STATUS_OK) {
        plugins_load_standard(plugins);
        status = list(plugins, json, wanted);
    }
    plugins_destroy(plugins);
    return status;
}
