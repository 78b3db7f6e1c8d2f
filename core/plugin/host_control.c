/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp.control/1.
 *
 * A call belongs to the control thread, which starts and cancels it, and to
 * the device's lane, in which it runs; `state` changes in that lane only.  A
 * finished call, as an event, goes through the queue to the control thread,
 * which alone frees it; so a call that was cancelled meanwhile is found there
 * without a receiver.
 */
#include "plugin/control.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include <backplane/control.h>

#include "lib/log.h"
#include "plugin/device.h"
#include "plugin/host.h"
#include "sched/lane.h"
#include "vm/error.h"
#include "vm/vm.h"

#define MAX_CALLS  64u
#define MAX_EVENTS 256u
#define MAX_NEST   32u
/* Of an answer, about. */
#define MAX_BYTES (4u << 20)

struct command {
    struct device *device;
    const struct bp_command *desc;
    char **words; /* of desc->arguments */
    void *ctx;
};

enum call_state {
    CALL_WAITS, /* for the lane */
    CALL_RUNS,
    CALL_DONE,
    CALL_CANCELLED, /* before it ran */
};

struct bp_call {
    struct device *device;
    const struct command *command; /* NULL: an event */
    enum call_state state;         /* [lane] */

    JsonObject *args;
    GPtrArray *texts; /* arguments as text */

    JsonBuilder *builder;
    GByteArray *nest; /* 'o' or 'l' for each that is open */
    size_t bytes;
    bool too_long;

    char *event;
    char *error;
    JsonNode *answer;

    control_done_fn *done; /* control thread; NULL: nobody waits */
    void *opaque;
};

struct control {
    struct vm *vm;
    GPtrArray *commands; /* struct command * */
    GPtrArray *calls;    /* struct bp_call *: not yet delivered */

    pthread_mutex_t lock; /* the rest */
    GQueue finished;      /* struct bp_call *: calls and events */
    unsigned events;      /* of them */
    uint64_t lost;        /* events that found no room */
};

/* --- life of a call -------------------------------------------------------*/

static struct bp_call *call_new(struct device *device)
{
    struct bp_call *call = g_new0(struct bp_call, 1);

    call->device = device;
    call->texts = g_ptr_array_new_with_free_func(g_free);
    call->builder = json_builder_new();
    call->nest = g_byte_array_new();
    json_builder_begin_object(call->builder);
    return call;
}

static void call_free(struct bp_call *call)
{
    g_clear_pointer(&call->args, json_object_unref);
    g_clear_pointer(&call->answer, json_node_unref);
    g_ptr_array_free(call->texts, TRUE);
    g_byte_array_free(call->nest, TRUE);
    g_object_unref(call->builder);
    g_free(call->event);
    g_free(call->error);
    g_free(call);
}

/* To the control thread.  An event may be lost, an answer is not: their
 * number is bounded by that of the calls. */
static void hand_over(struct control *c, struct bp_call *call)
{
    bool room;

    pthread_mutex_lock(&c->lock);
    room = !call->event || c->events < MAX_EVENTS;
    if (room) {
        g_queue_push_tail(&c->finished, call);
        c->events += call->event != NULL;
    } else {
        c->lost++;
    }
    pthread_mutex_unlock(&c->lock);
    if (!room) {
        call_free(call);
        return;
    }
    pthread_mutex_lock(&c->vm->lock);
    if (c->vm->wake)
        c->vm->wake(c->vm->wake_opaque);
    pthread_mutex_unlock(&c->vm->lock);
}

static void run_call(void *opaque)
{
    struct bp_call *call = opaque;

    if (call->state == CALL_CANCELLED) {
        call_free(call);
        return;
    }
    call->state = CALL_RUNS;
    call->command->desc->run(call->command->ctx, call);
}

/* --- commands -------------------------------------------------------------*/

static const struct command *find_command(const struct control *c,
                                          const char *name,
                                          const struct device *device)
{
    for (guint i = 0; i < c->commands->len; i++) {
        const struct command *k = c->commands->pdata[i];
        if (strcmp(k->desc->name, name) == 0 &&
            (!device || k->device == device))
            return k;
    }
    return NULL;
}

bool control_knows(struct vm *vm, const char *name)
{
    return find_command(vm->control, name, NULL) != NULL;
}

/* The name in "/name", "name?", "name!". */
static char *word_name(const char *word)
{
    return g_strndup(word + (word[0] == '/'),
                     strcspn(word + (word[0] == '/'), "?!"));
}

static bool is_optional(const char *word)
{
    return strchr(word, '?') || strchr(word, '!');
}

/* The device that "device" names. */
static bool named_device(struct vm *vm, const char *command, JsonObject *args,
                         struct device **device, GError **error)
{
    JsonNode *node = args ? json_object_get_member(args, "device") : NULL;
    const char *name = node && JSON_NODE_HOLDS_VALUE(node) &&
                               json_node_get_value_type(node) == G_TYPE_STRING
                           ? json_node_get_string(node)
                           : NULL;

    *device = NULL;
    if (!node)
        return true;
    *device = name ? device_find(vm, name) : NULL;
    return *device ||
           vm_fail(error, VM_ERROR_CONFIG, "'%s': there is no device '%s'",
                   command, name ? name : "?");
}

static const struct command *choose(struct vm *vm, const char *name,
                                    JsonObject *args, GError **error)
{
    struct device *device;
    const struct command *found;

    if (!named_device(vm, name, args, &device, error))
        return NULL;
    found = find_command(vm->control, name, device);
    if (found)
        return found;
    if (device)
        vm_fail(error, VM_ERROR_CONFIG, "device '%s' has no command '%s'",
                device->name, name);
    else
        vm_fail(error, VM_ERROR_CONFIG, "there is no command '%s'", name);
    return NULL;
}

static bool takes(const struct command *k, const char *name)
{
    bool found = strcmp(name, "device") == 0;

    for (char **w = k->words; *w && !found; w++) {
        char *word = word_name(*w);
        found = strcmp(word, name) == 0;
        g_free(word);
    }
    return found;
}

static bool check_missing(const struct command *k, JsonObject *args,
                          GError **error)
{
    for (char **w = k->words; *w; w++) {
        char *word = word_name(*w);
        bool there = args && json_object_has_member(args, word);
        bool ok =
            there || is_optional(*w) ||
            vm_fail(error, VM_ERROR_CONFIG,
                    "'%s': the argument '%s' is missing", k->desc->name, word);
        g_free(word);
        if (!ok)
            return false;
    }
    return true;
}

static bool check_args(const struct command *k, JsonObject *args,
                       GError **error)
{
    GList *names = args ? json_object_get_members(args) : NULL;
    bool ok = true;

    for (GList *n = names; n && ok; n = n->next) {
        JsonNode *node = json_object_get_member(args, n->data);
        if (!takes(k, n->data))
            ok = vm_fail(error, VM_ERROR_CONFIG, "'%s' has no argument '%s'",
                         k->desc->name, (const char *)n->data);
        else if (!JSON_NODE_HOLDS_VALUE(node))
            ok = vm_fail(error, VM_ERROR_CONFIG,
                         "'%s': '%s' is no text or number", k->desc->name,
                         (const char *)n->data);
    }
    g_list_free(names);
    return ok && check_missing(k, args, error);
}

/* In a machine without workers that stands, nobody else would. */
static void run_lanes(struct vm *vm)
{
    if (vm->deterministic && vm->run_state != VM_RUNNING)
        lanes_run(vm->lanes);
}

struct bp_call *control_start(struct vm *vm, const char *name, JsonObject *args,
                              control_done_fn *done, void *opaque,
                              GError **error)
{
    struct control *c = vm->control;
    const struct command *k = choose(vm, name, args, error);

    if (!k || !check_args(k, args, error))
        return NULL;
    if (c->calls->len >= MAX_CALLS) {
        vm_fail(error, VM_ERROR_RUN, "too many commands are under way");
        return NULL;
    }
    struct bp_call *call = call_new(k->device);
    call->command = k;
    call->args = args ? json_object_ref(args) : NULL;
    call->done = done;
    call->opaque = opaque;
    g_ptr_array_add(c->calls, call);
    lane_post(k->device->lane, run_call, call);
    run_lanes(vm);
    return call;
}

/* Nobody waits for it any more; it is freed now or when it comes along. */
static void abandon(struct bp_call *call, bool tell_device)
{
    struct device *d = call->device;
    const struct command *k = call->command;
    bool running;

    lane_enter(d->lane);
    running = call->state == CALL_RUNS;
    if (running && tell_device && k->desc->cancel)
        k->desc->cancel(k->ctx, call);
    else if (call->state == CALL_WAITS)
        call->state = CALL_CANCELLED;
    lane_leave(d->lane);
    call->done = NULL;
    if (running)
        call_free(call);
}

void control_cancel(struct bp_call *call)
{
    g_ptr_array_remove_fast(call->device->vm->control->calls, call);
    abandon(call, true);
}

static void end_calls(struct control *c, const struct device *device,
                      const char *why, bool tell_device)
{
    for (guint i = c->calls->len; i > 0; i--) {
        struct bp_call *call = c->calls->pdata[i - 1];
        control_done_fn *done = call->done;
        void *opaque = call->opaque;
        if (device && call->device != device)
            continue;
        g_ptr_array_remove_index_fast(c->calls, i - 1);
        abandon(call, tell_device);
        done(opaque, NULL, why);
    }
}

void control_end_all(struct vm *vm, const char *why)
{
    if (vm->control) {
        control_serve(vm);
        end_calls(vm->control, NULL, why, true);
    }
}

/* --- delivery -------------------------------------------------------------*/

static void deliver(struct control *c, struct bp_call *call)
{
    struct vm *vm = c->vm;

    if (call->event) {
        if (vm->event)
            vm->event(vm->event_opaque, call->event, call->answer);
    } else if (call->done) {
        g_ptr_array_remove_fast(c->calls, call);
        call->done(call->opaque, call->answer, call->error);
    }
    call_free(call);
}

static struct bp_call *next_finished(struct control *c)
{
    struct bp_call *call;
    uint64_t lost = 0;

    pthread_mutex_lock(&c->lock);
    call = g_queue_pop_head(&c->finished);
    if (call && call->event)
        c->events--;
    if (!call) {
        lost = c->lost;
        c->lost = 0;
    }
    pthread_mutex_unlock(&c->lock);
    if (lost)
        log_warn("control", "%" PRIu64 " events were lost", lost);
    return call;
}

void control_serve(struct vm *vm)
{
    struct bp_call *call;

    while (vm->control && (call = next_finished(vm->control)))
        deliver(vm->control, call);
}

void control_event(struct vm *vm, const char *name, JsonNode *data)
{
    struct bp_call *call = call_new(NULL);

    call->event = g_strdup(name);
    call->answer = data;
    hand_over(vm->control, call);
}

JsonNode *control_describe(struct vm *vm)
{
    JsonArray *all = json_array_new();
    JsonNode *node = json_node_new(JSON_NODE_ARRAY);

    for (guint i = 0; i < vm->control->commands->len; i++) {
        const struct command *k = vm->control->commands->pdata[i];
        JsonObject *o = json_object_new();
        json_object_set_string_member(o, "name", k->desc->name);
        json_object_set_string_member(o, "device", k->device->name);
        json_object_set_string_member(o, "arguments", k->desc->arguments);
        json_object_set_string_member(o, "help", k->desc->help);
        json_array_add_object_element(all, o);
    }
    json_node_take_array(node, all);
    return node;
}

struct control *control_create(struct vm *vm)
{
    struct control *c = g_new0(struct control, 1);

    c->vm = vm;
    c->commands = g_ptr_array_new();
    c->calls = g_ptr_array_new();
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void control_destroy(struct control *c)
{
    struct bp_call *call;

    if (!c)
        return;
    while ((call = next_finished(c)))
        call_free(call);
    g_ptr_array_free(c->commands, TRUE);
    g_ptr_array_free(c->calls, TRUE);
    pthread_mutex_destroy(&c->lock);
    g_free(c);
}

/* --- the table ------------------------------------------------------------*/

static void release_command(void *claim)
{
    struct command *k = claim;
    struct control *c = k->device->vm->control;

    end_calls(c, k->device, "the device is gone", false);
    g_ptr_array_remove(c->commands, k);
    g_strfreev(k->words);
    g_free(k);
}

static int32_t host_add(struct bp_dev *dev, const struct bp_command *command,
                        void *ctx)
{
    struct device *d = device_of(dev);
    struct control *c = d->vm->control;

    if (!device_may_claim(d))
        return -EPERM;
    if (find_command(c, command->name, d)) {
        device_refuse(d, "there are two commands '%s'", command->name);
        return -EEXIST;
    }
    struct command *k = g_new0(struct command, 1);
    k->device = d;
    k->desc = command;
    k->words =
        g_strsplit_set(command->arguments ? command->arguments : "", " ", -1);
    if (!k->words[0] || !k->words[0][0]) {
        g_strfreev(k->words);
        k->words = g_new0(char *, 1);
    }
    k->ctx = ctx;
    g_ptr_array_add(c->commands, k);
    device_claim(d, release_command, k);
    return 0;
}

static char *text_of(JsonNode *node)
{
    GType type = json_node_get_value_type(node);

    if (type == G_TYPE_STRING)
        return g_strdup(json_node_get_string(node));
    if (type == G_TYPE_BOOLEAN)
        return g_strdup(json_node_get_boolean(node) ? "on" : "off");
    if (type == G_TYPE_INT64)
        return g_strdup_printf("%" PRId64, json_node_get_int(node));
    return g_strdup_printf("%.17g", json_node_get_double(node));
}

static const char *host_argument(struct bp_call *call, const char *name)
{
    JsonNode *node =
        call->args ? json_object_get_member(call->args, name) : NULL;

    if (!node || !JSON_NODE_HOLDS_VALUE(node))
        return NULL;
    char *text = text_of(node);
    g_ptr_array_add(call->texts, text);
    return text;
}

/* A member follows: true when it may. */
static bool member(struct bp_call *call, const char *name, size_t bytes)
{
    bool in_list =
        call->nest->len && call->nest->data[call->nest->len - 1] == 'l';

    call->bytes += bytes + 16 + (name && !in_list ? strlen(name) : 0);
    if (call->bytes > MAX_BYTES)
        call->too_long = true;
    if (call->too_long)
        return false;
    if (!in_list)
        json_builder_set_member_name(call->builder, name ? name : "");
    return true;
}

static void host_put_string(struct bp_call *call, const char *name,
                            const char *text)
{
    char *valid;

    if (!member(call, name, strlen(text)))
        return;
    valid = g_utf8_make_valid(text, -1);
    json_builder_add_string_value(call->builder, valid);
    g_free(valid);
}

static void host_put_integer(struct bp_call *call, const char *name,
                             int64_t value)
{
    if (member(call, name, 8))
        json_builder_add_int_value(call->builder, value);
}

static void host_put_bool(struct bp_call *call, const char *name, int32_t value)
{
    if (member(call, name, 5))
        json_builder_add_boolean_value(call->builder, value != 0);
}

static void begin(struct bp_call *call, const char *name, uint8_t kind)
{
    if (call->nest->len >= MAX_NEST)
        call->too_long = true;
    if (!member(call, name, 2))
        return;
    if (kind == 'o')
        json_builder_begin_object(call->builder);
    else
        json_builder_begin_array(call->builder);
    g_byte_array_append(call->nest, &kind, 1);
}

static void host_begin_object(struct bp_call *call, const char *name)
{
    begin(call, name, 'o');
}

static void host_begin_list(struct bp_call *call, const char *name)
{
    begin(call, name, 'l');
}

static void host_end(struct bp_call *call)
{
    if (call->too_long || !call->nest->len)
        return;
    if (call->nest->data[call->nest->len - 1] == 'o')
        json_builder_end_object(call->builder);
    else
        json_builder_end_array(call->builder);
    g_byte_array_set_size(call->nest, call->nest->len - 1);
}

static void host_done(struct bp_call *call, const char *error)
{
    if (call->too_long) {
        error = "the answer is too long";
    } else {
        while (call->nest->len)
            host_end(call);
        json_builder_end_object(call->builder);
    }
    if (error)
        call->error = g_utf8_make_valid(error, -1);
    else
        call->answer = json_builder_get_root(call->builder);
    call->state = CALL_DONE;
    hand_over(call->device->vm->control, call);
}

static struct bp_call *host_event(struct bp_dev *dev, const char *name)
{
    struct device *d = device_of(dev);
    struct bp_call *call = call_new(d);

    call->event = g_strdup(name);
    host_put_string(call, "device", d->name);
    return call;
}

const struct bp_control host_control = {
    .size = sizeof(struct bp_control),
    .add = host_add,
    .argument = host_argument,
    .put_string = host_put_string,
    .put_integer = host_put_integer,
    .put_bool = host_put_bool,
    .begin_object = host_begin_object,
    .begin_list = host_begin_list,
    .end = host_end,
    .done = host_done,
    .event = host_event,
};
