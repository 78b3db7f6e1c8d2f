/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/commands.h"

#include <inttypes.h>
#include <string.h>

#include "block/block.h"
#include "ctl/describe.h"
#include "ctl/typing.h"
#include "cpu/vcpu.h"
#include "display/screen.h"
#include "hwaccel/accel.h"
#include "input/input.h"
#include "lib/number.h"
#include "net/port.h"
#include "plugin/control.h"
#include "vm/config.h"
#include "vm/error.h"
#include "vm/machine.h"
#include "vm/storage.h"
#include "vm/vm.h"

#define MAX_KEYS  16u
#define MAX_TYPED 4096u

static JsonNode *nothing(void)
{
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    json_node_take_object(node, json_object_new());
    return node;
}

static JsonNode *object_with(const char *name, const char *text)
{
    JsonObject *o = json_object_new();
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    json_object_set_string_member(o, name, text);
    json_node_take_object(node, o);
    return node;
}

/* NULL, with an error, when it is missing. */
static const char *text_of(JsonObject *args, const char *name, GError **error)
{
    JsonNode *node = args ? json_object_get_member(args, name) : NULL;

    if (!node || !JSON_NODE_HOLDS_VALUE(node) ||
        json_node_get_value_type(node) != G_TYPE_STRING) {
        vm_fail(error, VM_ERROR_CONFIG, "the argument '%s' is missing", name);
        return NULL;
    }
    return json_node_get_string(node);
}

static gint64 number_of(JsonObject *args, const char *name, gint64 otherwise)
{
    JsonNode *node = args ? json_object_get_member(args, name) : NULL;

    if (!node || !JSON_NODE_HOLDS_VALUE(node) ||
        json_node_get_value_type(node) != G_TYPE_INT64)
        return otherwise;
    return json_node_get_int(node);
}

static bool flag_of(JsonObject *args, const char *name)
{
    JsonNode *node = args ? json_object_get_member(args, name) : NULL;

    if (!node || !JSON_NODE_HOLDS_VALUE(node))
        return false;
    if (json_node_get_value_type(node) == G_TYPE_STRING)
        return strcmp(json_node_get_string(node), "on") == 0;
    return json_node_get_value_type(node) == G_TYPE_BOOLEAN &&
           json_node_get_boolean(node);
}

/* --- running --------------------------------------------------------------*/

static JsonNode *do_status(struct vm *vm, JsonObject *args, GError **error)
{
    static const char *const names[] = {
        [VM_CREATED] = "prelaunch",
        [VM_RUNNING] = "running",
        [VM_PAUSED] = "paused",
        [VM_OFF] = "shutdown",
    };
    JsonNode *node = object_with("status", names[vm->run_state]);
    JsonObject *o = json_node_get_object(node);

    json_object_set_boolean_member(o, "running", vm->run_state == VM_RUNNING);
    json_object_set_string_member(o, "name", vm->name);
    return node;
}

static JsonNode *do_stop(struct vm *vm, JsonObject *args, GError **error)
{
    vm_stop(vm);
    return nothing();
}

static JsonNode *do_cont(struct vm *vm, JsonObject *args, GError **error)
{
    vm_start(vm);
    return nothing();
}

static JsonNode *do_reset(struct vm *vm, JsonObject *args, GError **error)
{
    vm_reset(vm);
    return nothing();
}

static JsonNode *do_powerdown(struct vm *vm, JsonObject *args, GError **error)
{
    if (vm_press_power_button(vm))
        return nothing();
    vm_fail(error, VM_ERROR_RUN, "the machine has no power button");
    return NULL;
}

static JsonNode *do_quit(struct vm *vm, JsonObject *args, GError **error)
{
    vm_request_exit(vm, VM_END_QUIT, 0);
    return nothing();
}

static JsonNode *do_nothing(struct vm *vm, JsonObject *args, GError **error)
{
    return nothing();
}

/* --- state ----------------------------------------------------------------*/

/* Leaves the machine stopped: what it would go on to write to its disks is
 * not in the file. */
static JsonNode *do_save(struct vm *vm, JsonObject *args, GError **error)
{
    const char *path = text_of(args, "filename", error);

    if (!path)
        return NULL;
    vm_stop(vm);
    return machine_save(vm, path, error) ? nothing() : NULL;
}

static JsonNode *do_hash(struct vm *vm, JsonObject *args, GError **error)
{
    bool running = vm->run_state == VM_RUNNING;

    vm_stop(vm);
    char *hash = machine_hash(vm);
    JsonNode *node = object_with("sha256", hash);
    g_free(hash);
    if (running)
        vm_start(vm);
    return node;
}

/* --- screen, keyboard, mouse ----------------------------------------------*/

static struct screen *screen_of(struct vm *vm, GError **error)
{
    struct screen *seen = screens_seen(vm->screens);

    if (!seen)
        vm_fail(error, VM_ERROR_RUN, "the machine has no screen");
    return seen;
}

static JsonNode *do_screenshot(struct vm *vm, JsonObject *args, GError **error)
{
    const char *path = text_of(args, "filename", error);
    struct screen *s = path ? screen_of(vm, error) : NULL;

    return s && screen_save_png(s, path, error) ? nothing() : NULL;
}

static JsonNode *do_screentext(struct vm *vm, JsonObject *args, GError **error)
{
    struct screen *s = screen_of(vm, error);
    char *text = s ? screen_text_lines(s) : NULL;
    JsonNode *node;

    if (!s)
        return NULL;
    node = object_with("text", text ? text : "");
    json_object_set_boolean_member(json_node_get_object(node), "graphics",
                                   text == NULL);
    g_free(text);
    return node;
}

static JsonNode *too_much(GError **error)
{
    vm_fail(error, VM_ERROR_RUN, "too many keys wait to be typed");
    return NULL;
}

static JsonNode *do_sendkey(struct vm *vm, JsonObject *args, GError **error)
{
    const char *keys = text_of(args, "keys", error);
    uint32_t usages[MAX_KEYS];
    unsigned n = keys ? keys_parse(keys, usages, MAX_KEYS) : 0;

    if (!keys)
        return NULL;
    if (!n) {
        vm_fail(error, VM_ERROR_CONFIG, "'%s' names a key that is unknown",
                keys);
        return NULL;
    }
    return typing_press(vm, usages, n) ? nothing() : too_much(error);
}

static bool can_type(const char *text)
{
    uint32_t usage;
    bool shift;

    for (; *text; text++) {
        if (!keys_for_char(*text, &usage, &shift))
            return false;
    }
    return true;
}

static JsonNode *do_type(struct vm *vm, JsonObject *args, GError **error)
{
    const char *text = text_of(args, "text", error);

    if (!text)
        return NULL;
    if (strlen(text) > MAX_TYPED || !can_type(text)) {
        vm_fail(error, VM_ERROR_CONFIG,
                "the text is too long, or has a "
                "character that a US keyboard has not");
        return NULL;
    }
    return typing_text(vm, text) ? nothing() : too_much(error);
}

static JsonNode *do_mouse(struct vm *vm, JsonObject *args, GError **error)
{
    inputs_motion(vm->inputs, (int32_t)number_of(args, "dx", 0),
                  (int32_t)number_of(args, "dy", 0),
                  (int32_t)number_of(args, "wheel", 0),
                  (uint32_t)number_of(args, "buttons", 0));
    return nothing();
}

static JsonNode *do_point(struct vm *vm, JsonObject *args, GError **error)
{
    gint64 x = number_of(args, "x", -1), y = number_of(args, "y", -1);

    if (x < 0 || x > INPUT_MAX_POSITION || y < 0 || y > INPUT_MAX_POSITION) {
        vm_fail(error, VM_ERROR_CONFIG,
                "a position has an x and a y from 0 to %u", INPUT_MAX_POSITION);
        return NULL;
    }
    if (!inputs_take_position(vm->inputs)) {
        vm_fail(error, VM_ERROR_RUN,
                "the guest uses no pointer that takes positions");
        return NULL;
    }
    inputs_position(vm->inputs, (uint32_t)x, (uint32_t)y,
                    (int32_t)number_of(args, "wheel", 0),
                    (uint32_t)number_of(args, "buttons", 0));
    return nothing();
}

/* --- media ----------------------------------------------------------------*/

/* By name; without one: the first removable drive. */
static struct block_drive *drive_of(struct vm *vm, const char *name,
                                    GError **error)
{
    for (guint i = 0; i < vm->drives->len; i++) {
        struct block_drive *d = vm->drives->pdata[i];
        if (name ? strcmp(d->name, name) == 0 : d->removable)
            return d;
    }
    if (name)
        vm_fail(error, VM_ERROR_CONFIG, "there is no drive '%s'", name);
    else
        vm_fail(error, VM_ERROR_CONFIG,
                "the machine has no drive with a "
                "removable medium");
    return NULL;
}

static JsonNode *do_eject(struct vm *vm, JsonObject *args, GError **error)
{
    const char *name = args && json_object_has_member(args, "device")
                           ? text_of(args, "device", error)
                           : NULL;
    struct block_drive *d = drive_of(vm, name, error);

    if (!d || !block_drive_eject(d, flag_of(args, "force"), error))
        return NULL;
    return nothing();
}

static JsonNode *do_change(struct vm *vm, JsonObject *args, GError **error)
{
    const char *name = text_of(args, "device", error);
    const char *path = name ? text_of(args, "filename", error) : NULL;
    struct block_drive *d = path ? drive_of(vm, name, error) : NULL;

    if (!d)
        return NULL;
    struct block_options o = {
        .path = path,
        .readonly = d->kind == BLOCK_CDROM,
        .cdrom = d->kind == BLOCK_CDROM,
    };
    return block_drive_insert(d, &o, error) ? nothing() : NULL;
}

/* As in --disk FILE,OPTIONS. */
static JsonNode *do_disk_add(struct vm *vm, JsonObject *args, GError **error)
{
    const char *path = text_of(args, "filename", error);
    const char *options =
        args ? json_object_get_string_member_with_default(args, "options", "")
             : "";
    struct vm_config *c = config_new();
    JsonNode *answer = NULL;

    c->generation = 2; /* SCSI, when nothing else is said */
    if (path && config_disk(c, path, options, error)) {
        g_autofree char *name =
            storage_add_disk(vm, c->drives->pdata[0], error);
        answer = name ? object_with("device", name) : NULL;
    }
    config_free(c);
    return answer;
}

static JsonNode *do_disk_remove(struct vm *vm, JsonObject *args, GError **error)
{
    const char *name = text_of(args, "device", error);

    return name && storage_remove_disk(vm, name, error) ? nothing() : NULL;
}

/* "link=on" of a network port. */
static JsonNode *do_net(struct vm *vm, JsonObject *args, GError **error)
{
    const char *name = text_of(args, "name", error);
    const char *link = name ? text_of(args, "link", error) : NULL;
    bool up;

    if (!link)
        return NULL;
    if (g_str_has_prefix(link, "link="))
        link += strlen("link=");
    if (!number_parse_bool(link, &up)) {
        vm_fail(error, VM_ERROR_CONFIG, "link '%s': it is on or off", link);
        return NULL;
    }
    for (guint i = 0; i < vm->nets->len; i++) {
        struct net_port *p = vm->nets->pdata[i];
        if (strcmp(p->name, name) == 0) {
            net_port_set_link(p, up);
            return nothing();
        }
    }
    vm_fail(error, VM_ERROR_CONFIG, "there is no network port '%s'", name);
    return NULL;
}

static JsonNode *do_info(struct vm *vm, JsonObject *args, GError **error)
{
    const char *what = text_of(args, "what", error);
    char *text = what ? describe(vm, what) : NULL;

    if (what && !text)
        vm_fail(error, VM_ERROR_CONFIG, "there is no information '%s' (%s)",
                what, describe_topics);
    if (!text)
        return NULL;
    JsonNode *node = object_with("text", text);
    g_free(text);
    return node;
}

/* --- the translator -------------------------------------------------------*/

struct counters {
    JsonObject *groups;
    GString *text;
    char *group; /* of the last line */
};

static void put_counter(void *opaque, const char *group, const char *name,
                        uint64_t value)
{
    struct counters *c = opaque;

    if (g_strcmp0(c->group, group) != 0) {
        g_string_append_printf(c->text, "  %s\n", group);
        json_object_set_object_member(c->groups, group, json_object_new());
        g_free(c->group);
        c->group = g_strdup(group);
    }
    g_string_append_printf(c->text, "    %-40s %16" PRIu64 "\n", name, value);
    json_object_set_int_member(json_object_get_object_member(c->groups, group),
                               name, (gint64)value);
}

/* Counters are read while they count. */
static JsonNode *do_jit(struct vm *vm, JsonObject *args, GError **error)
{
    struct counters c = { .text = g_string_new(NULL) };
    JsonArray *cpus = json_array_new();
    JsonNode *node;

    for (unsigned n = 0; n < vm->vcpu_count; n++) {
        bool on = false;

        g_string_append_printf(c.text, "cpu %u\n", n);
        c.groups = json_object_new();
        if (vm->accel->translation)
            on = vm->accel->translation(vm->vcpus[n], put_counter, &c);
        if (!on)
            g_string_append(c.text, "  not translated\n");
        json_object_set_boolean_member(c.groups, "enabled", on);
        json_array_add_object_element(cpus, c.groups);
        g_clear_pointer(&c.group, g_free);
    }
    node = object_with("text", c.text->str);
    json_object_set_array_member(json_node_get_object(node), "cpus", cpus);
    g_string_free(c.text, TRUE);
    return node;
}

/* --- commands of devices --------------------------------------------------*/

/* Built-in commands are not in it: clients know them. */
static JsonNode *do_commands(struct vm *vm, JsonObject *args, GError **error)
{
    return control_describe(vm);
}

/* --- all of them ----------------------------------------------------------*/

static const struct command {
    const char *name;
    JsonNode *(*run)(struct vm *vm, JsonObject *args, GError **error);
} commands[] = {
    { "qmp_capabilities", do_nothing },
    { "query-status", do_status },
    { "stop", do_stop },
    { "cont", do_cont },
    { "system_reset", do_reset },
    { "system_powerdown", do_powerdown },
    { "quit", do_quit },
    { "save", do_save },
    { "hash", do_hash },
    { "screendump", do_screenshot },
    { "screentext", do_screentext },
    { "sendkey", do_sendkey },
    { "type", do_type },
    { "mouse", do_mouse },
    { "point", do_point },
    { "eject", do_eject },
    { "change-media", do_change },
    { "disk-add", do_disk_add },
    { "disk-remove", do_disk_remove },
    { "info", do_info },
    { "net", do_net },
    { "query-jit", do_jit },
    { "query-commands", do_commands },
};

static const struct command *builtin(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

/* --- what takes its time --------------------------------------------------*/

struct operation {
    struct vm *vm;
    struct bp_call *call;
    JsonObject *saving; /* arguments of a save that waits for the guest */
    operation_done_fn *done;
    void *opaque;
};

static void operation_free(struct operation *op)
{
    g_clear_pointer(&op->saving, json_object_unref);
    g_free(op);
}

void operation_cancel(struct operation *op)
{
    control_cancel(op->call);
    operation_free(op);
}

static void finish(operation_done_fn *done, void *opaque, JsonNode *answer,
                   GError *error)
{
    done(opaque, answer, answer ? NULL : error ? error->message : "it failed");
    g_clear_pointer(&answer, json_node_unref);
    g_clear_error(&error);
}

static void device_answered(void *opaque, JsonNode *answer, const char *error)
{
    struct operation *op = opaque;

    op->done(op->opaque, answer, error);
    operation_free(op);
}

/* The guest's file systems are at rest, or it could not be reached. */
static void guest_is_frozen(void *opaque, JsonNode *answer, const char *error)
{
    struct operation *op = opaque;
    GError *why = NULL;
    JsonNode *result = NULL;

    if (error)
        vm_fail(&why, VM_ERROR_RUN, "the guest cannot be frozen: %s", error);
    else
        result = do_save(op->vm, op->saving, &why);
    finish(op->done, op->opaque, result, why);
    operation_free(op);
}

static struct operation *begin(struct vm *vm, const char *name,
                               JsonObject *args, JsonObject *saving,
                               operation_done_fn *done, void *opaque)
{
    struct operation *op = g_new0(struct operation, 1);
    GError *error = NULL;

    op->vm = vm;
    op->saving = saving ? json_object_ref(saving) : NULL;
    op->done = done;
    op->opaque = opaque;
    op->call =
        control_start(vm, name, args,
                      saving ? guest_is_frozen : device_answered, op, &error);
    if (op->call)
        return op;
    operation_free(op);
    finish(done, opaque, NULL, error);
    return NULL;
}

/* The guest thaws when it runs again: here, or after the state was restored
 * somewhere else. */
static struct operation *quiet_save(struct vm *vm, JsonObject *args,
                                    operation_done_fn *done, void *opaque)
{
    JsonObject *freeze = json_object_new();
    GError *error = NULL;
    struct operation *op = NULL;

    json_object_set_boolean_member(freeze, "until-start", TRUE);
    if (vm->run_state != VM_RUNNING)
        vm_fail(&error, VM_ERROR_RUN, "a machine that stands cannot freeze");
    else if (!control_knows(vm, "freeze"))
        vm_fail(&error, VM_ERROR_CONFIG,
                "the machine has no device that freezes its guest");
    if (error)
        finish(done, opaque, NULL, error);
    else
        op = begin(vm, "freeze", freeze, args, done, opaque);
    json_object_unref(freeze);
    return op;
}

struct operation *commands_start(struct vm *vm, const char *name,
                                 JsonObject *arguments, operation_done_fn *done,
                                 void *opaque)
{
    const struct command *c = builtin(name);
    GError *error = NULL;

    if (!c)
        return begin(vm, name, arguments, NULL, done, opaque);
    if (c->run == do_save && flag_of(arguments, "quiesce") &&
        text_of(arguments, "filename", NULL))
        return quiet_save(vm, arguments, done, opaque);
    JsonNode *answer = c->run(vm, arguments, &error);
    finish(done, opaque, answer, error);
    return NULL;
}
