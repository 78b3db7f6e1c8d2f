/* SPDX-License-Identifier: Apache-2.0 */
/* Commands and events of devices on the bench. */
#include <string.h>

#include "plugin/control.h"
#include "vm/bench_own.h"
#include "vm/error.h"

struct bench_call {
    struct bench *bench;
    struct bp_call *call; /* NULL: it has ended */
    char *answer;         /* NULL: not yet */
};

static void answered(void *opaque, JsonNode *answer, const char *error)
{
    struct bench_call *c = opaque;

    c->call = NULL;
    c->answer = answer ? json_to_string(answer, FALSE)
                       : g_strconcat("error: ", error, NULL);
}

struct bench_call *bench_call(struct bench *b, const char *command, ...)
{
    struct bench_call *c = g_new0(struct bench_call, 1);
    JsonObject *args = json_object_new();
    GError *error = NULL;
    const char *word;
    va_list ap;

    bench_power_on(b);
    va_start(ap, command);
    while ((word = va_arg(ap, const char *))) {
        char *name = g_strndup(word, strcspn(word, "="));
        const char *value = strchr(word, '=');
        json_object_set_string_member(args, name, value ? value + 1 : "on");
        g_free(name);
    }
    va_end(ap);
    c->bench = b;
    c->call = control_start(&b->vm, command, args, answered, c, &error);
    if (!c->call) {
        c->answer = g_strconcat("error: ", error->message, NULL);
        g_error_free(error);
    }
    json_object_unref(args);
    bench_run(b);
    return c;
}

const char *bench_answer(struct bench_call *c)
{
    bench_run(c->bench);
    control_serve(&c->bench->vm);
    return c->answer;
}

void bench_call_free(struct bench_call *c)
{
    /* The bench may have gone before a call that has ended. */
    if (c->call) {
        control_cancel(c->call);
        bench_run(c->bench);
    }
    g_free(c->answer);
    g_free(c);
}

void bench_hear(void *opaque, const char *name, struct _JsonNode *data)
{
    struct bench *b = opaque;
    char *text = data ? json_to_string(data, FALSE) : g_strdup("");

    g_queue_push_tail(&b->events, g_strconcat(name, " ", text, NULL));
    g_free(text);
}

char *bench_event(struct bench *b)
{
    bench_run(b);
    control_serve(&b->vm);
    return g_queue_pop_head(&b->events);
}
