/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers for people: an object is a line for each member, a list of objects
 * a table, and an answer that is one text is that text.
 */
#include <stdio.h>
#include <string.h>

#include "cli/ctl.h"

void print_json(JsonNode *answer)
{
    char *text = json_to_string(answer, TRUE);

    puts(text);
    g_free(text);
}

static void put_text(const char *text)
{
    fputs(text, stdout);
    if (!g_str_has_suffix(text, "\n"))
        putchar('\n');
}

/* To be freed; NULL: it is no scalar. */
static char *scalar(JsonNode *node)
{
    GType type;

    if (JSON_NODE_HOLDS_NULL(node))
        return g_strdup("-");
    if (!JSON_NODE_HOLDS_VALUE(node))
        return NULL;
    type = json_node_get_value_type(node);
    if (type == G_TYPE_STRING)
        return g_strdup(json_node_get_string(node));
    if (type == G_TYPE_BOOLEAN)
        return g_strdup(json_node_get_boolean(node) ? "yes" : "no");
    return json_to_string(node, FALSE);
}

static void print_node(JsonNode *node, int indent);

/* The columns of a list of objects with scalars only; NULL: it is none. */
static GPtrArray *columns_of(JsonArray *list)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    bool ok = json_array_get_length(list) > 0;

    for (guint i = 0; ok && i < json_array_get_length(list); i++) {
        JsonNode *row = json_array_get_element(list, i);
        GList *members;
        ok = JSON_NODE_HOLDS_OBJECT(row);
        members =
            ok ? json_object_get_members(json_node_get_object(row)) : NULL;
        for (GList *m = members; m; m = m->next) {
            JsonNode *cell =
                json_object_get_member(json_node_get_object(row), m->data);
            ok = ok && !JSON_NODE_HOLDS_OBJECT(cell) &&
                 !JSON_NODE_HOLDS_ARRAY(cell);
            if (!g_ptr_array_find_with_equal_func(names, m->data, g_str_equal,
                                                  NULL))
                g_ptr_array_add(names, g_strdup(m->data));
        }
        g_list_free(members);
    }
    if (ok)
        return names;
    g_ptr_array_free(names, TRUE);
    return NULL;
}

static char *cell_text(JsonArray *list, guint row, const char *name)
{
    JsonObject *o = json_array_get_object_element(list, row);
    JsonNode *node = json_object_get_member(o, name);

    return node ? scalar(node) : g_strdup("");
}

static int width_of(JsonArray *list, const char *name)
{
    glong width = g_utf8_strlen(name, -1);

    for (guint i = 0; i < json_array_get_length(list); i++) {
        char *text = cell_text(list, i, name);
        width = MAX(width, g_utf8_strlen(text, -1));
        g_free(text);
    }
    return (int)MIN(width, 60);
}

/* The last column is not filled up with blanks. */
static void print_cell(const char *text, int width, bool last)
{
    glong n = g_utf8_strlen(text, -1);

    fputs(text, stdout);
    if (!last)
        printf("%*s", (int)MAX(width - n, 0) + 2, "");
}

static void print_table(JsonArray *list, GPtrArray *names, int indent)
{
    guint n = names->len;
    int *widths = g_new0(int, n);

    printf("%*s", indent, "");
    for (guint k = 0; k < n; k++) {
        widths[k] = width_of(list, names->pdata[k]);
        char *head = g_ascii_strup(names->pdata[k], -1);
        print_cell(head, widths[k], k + 1 == n);
        g_free(head);
    }
    putchar('\n');
    for (guint i = 0; i < json_array_get_length(list); i++) {
        printf("%*s", indent, "");
        for (guint k = 0; k < n; k++) {
            char *text = cell_text(list, i, names->pdata[k]);
            print_cell(text, widths[k], k + 1 == n);
            g_free(text);
        }
        putchar('\n');
    }
    g_free(widths);
}

static void print_list(JsonArray *list, int indent)
{
    GPtrArray *names = columns_of(list);

    if (names) {
        print_table(list, names, indent);
        g_ptr_array_free(names, TRUE);
        return;
    }
    for (guint i = 0; i < json_array_get_length(list); i++)
        print_node(json_array_get_element(list, i), indent);
}

static void print_member(const char *name, JsonNode *node, int indent)
{
    char *text = scalar(node);

    if (text) {
        printf("%*s%s: %s\n", indent, "", name, text);
    } else if (!JSON_NODE_HOLDS_ARRAY(node) ||
               json_array_get_length(json_node_get_array(node))) {
        printf("%*s%s:\n", indent, "", name);
        print_node(node, indent + 2);
    } else {
        printf("%*s%s: none\n", indent, "", name);
    }
    g_free(text);
}

static void print_node(JsonNode *node, int indent)
{
    char *text = scalar(node);

    if (text) {
        printf("%*s%s\n", indent, "", text);
        g_free(text);
        return;
    }
    if (JSON_NODE_HOLDS_ARRAY(node)) {
        print_list(json_node_get_array(node), indent);
        return;
    }
    JsonObject *o = json_node_get_object(node);
    GList *names = json_object_get_members(o);
    for (GList *n = names; n; n = n->next)
        print_member(n->data, json_object_get_member(o, n->data), indent);
    g_list_free(names);
}

/* The only member of an object, or the value itself. */
static JsonNode *inside(JsonNode *answer)
{
    JsonNode *only = answer;

    if (JSON_NODE_HOLDS_OBJECT(answer) &&
        json_object_get_size(json_node_get_object(answer)) == 1) {
        GList *names = json_object_get_members(json_node_get_object(answer));
        only =
            json_object_get_member(json_node_get_object(answer), names->data);
        g_list_free(names);
    }
    return only;
}

void print_answer(JsonNode *answer)
{
    JsonNode *only = inside(answer);
    char *text = scalar(only);

    if (text)
        put_text(text);
    else
        print_node(only, 0);
    g_free(text);
}
