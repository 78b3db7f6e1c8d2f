/* SPDX-License-Identifier: Apache-2.0 */
/* bp.control/1 as a device and as the control socket see it. */
#include "tests/lib/test.h"

#include <glib.h>
#include <string.h>

#include <backplane/backplane.h>

#include "plugin/control.h"
#include "vm/bench.h"
#include "vm/vm.h"

struct clerk {
    const struct bp_control *control;
    struct bp_dev *dev;
    struct bp_call *slow;
    unsigned cancelled;
};

static struct clerk *clerk; /* the last one made */
static struct bench *b;

static void run_echo(void *ctx, struct bp_call *call)
{
    struct clerk *s = ctx;
    const char *text = s->control->argument(call, "text");
    const char *loud = s->control->argument(call, "loud");

    if (strcmp(text, "fail") == 0) {
        s->control->done(call, "it did not work");
        return;
    }
    s->control->put_string(call, "text", text);
    s->control->put_bool(call, "loud", loud && strcmp(loud, "on") == 0);
    s->control->begin_list(call, "list");
    s->control->put_integer(call, "ignored", -3);
    s->control->begin_object(call, NULL);
    s->control->put_string(call, "bad", "a\xff z");
    s->control->done(call, NULL); /* closes what is open */
}

static void run_slow(void *ctx, struct bp_call *call)
{
    struct clerk *s = ctx;

    if (s->slow)
        s->control->done(call, "busy");
    else
        s->slow = call;
}

static void cancel_slow(void *ctx, struct bp_call *call)
{
    struct clerk *s = ctx;

    CHECK_PTR_EQ(s->slow, call);
    s->slow = NULL;
    s->cancelled++;
}

static void run_long(void *ctx, struct bp_call *call)
{
    struct clerk *s = ctx;
    char text[1000];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    for (unsigned i = 0; i < 100; i++)
        s->control->begin_list(call, "deep");
    for (unsigned i = 0; i < 10000; i++)
        s->control->put_string(call, "t", text);
    s->control->done(call, NULL);
}

static const struct bp_command commands[] = {
    { sizeof(struct bp_command), 0, "echo", "text number? loud!", "says it",
      run_echo, NULL },
    { sizeof(struct bp_command), 0, "slow", "", "waits", run_slow,
      cancel_slow },
    { sizeof(struct bp_command), 0, "long", "", "talks", run_long, NULL },
};

static int32_t clerk_create(void *self, struct bp_dev *dev,
                            const struct bp_host *host)
{
    struct clerk *s = self;

    s->dev = dev;
    s->control = host->query(host, BP_CONTROL);
    clerk = s;
    return 0;
}

static int32_t clerk_realize(void *self)
{
    struct clerk *s = self;

    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(s->control->add(s->dev, &commands[i], s), 0);
    return 0;
}

static void clerk_reset(void *self, uint32_t kind)
{
}

static const struct bp_device_desc desc = {
    .size = sizeof(struct bp_device_desc),
    .id = "clerk",
    .title = "a device that can be asked",
    .instance_size = sizeof(struct clerk),
    .state_version = 1,
    .create = clerk_create,
    .realize = clerk_realize,
    .reset = clerk_reset,
};

static void setup(void)
{
    b = bench_empty();
    CHECK(bench_try_add(b, &desc, "clerk", NULL, NULL));
}

TEST(answers_are_built_of_members)
{
    setup();
    struct bench_call *c = bench_call(b, "echo", "text=hi", "loud", NULL);
    CHECK_STR_EQ(bench_answer(c), "{\"text\":\"hi\",\"loud\":true,\"list\":["
                                  "-3,{\"bad\":\"a\357\277\275 z\"}]}");
    bench_call_free(c);
    c = bench_call(b, "echo", "text=fail", NULL);
    CHECK_STR_EQ(bench_answer(c), "error: it did not work");
    bench_call_free(c);
    bench_destroy(b);
}

static const struct {
    const char *command, *word, *error;
} wrong[] = {
    { "fly", "x=1", "error: there is no command 'fly'" },
    { "echo", "x=1", "error: 'echo' has no argument 'x'" },
    { "echo", "number=1", "error: 'echo': the argument 'text' is missing" },
    { "echo", "device=me", "error: 'echo': there is no device 'me'" },
};

TEST_P(refuses_what_no_device_takes, wrong)
{
    setup();
    struct bench_call *c = bench_call(b, row->command, row->word, NULL);
    CHECK_STR_EQ(bench_answer(c), row->error);
    bench_call_free(c);
    bench_destroy(b);
}

TEST(devices_are_told_apart)
{
    setup();
    CHECK(bench_try_add(b, &desc, "other", NULL, NULL));
    struct bench_call *c = bench_call(b, "slow", "device=other", NULL);
    CHECK(clerk->slow != NULL);
    bench_call_free(c);
    CHECK_EQ(clerk->cancelled, 1);
    c = bench_call(b, "slow", NULL);
    CHECK(clerk->slow == NULL);
    bench_call_free(c);
    bench_destroy(b);
}

TEST(a_long_answer_is_an_error)
{
    setup();
    struct bench_call *c = bench_call(b, "long", NULL);
    CHECK_STR_EQ(bench_answer(c), "error: the answer is too long");
    bench_call_free(c);
    bench_destroy(b);
}

TEST(an_answer_may_come_later_or_never)
{
    setup();
    struct bench_call *c = bench_call(b, "slow", NULL);
    CHECK(!bench_answer(c));
    struct bp_call *call = clerk->slow;
    CHECK(call);
    clerk->control->put_integer(call, "n", 1);
    clerk->control->done(call, NULL);
    clerk->slow = NULL;
    CHECK_STR_EQ(bench_answer(c), "{\"n\":1}");
    bench_call_free(c);
    /* The client goes away, before and after it is done. */
    c = bench_call(b, "slow", NULL);
    bench_call_free(c);
    CHECK_EQ(clerk->cancelled, 1);
    c = bench_call(b, "slow", NULL);
    clerk->control->done(clerk->slow, NULL);
    clerk->slow = NULL;
    bench_call_free(c);
    CHECK_EQ(clerk->cancelled, 1);
    bench_destroy(b);
}

TEST(a_reset_ends_them)
{
    setup();
    struct bench_call *c = bench_call(b, "slow", NULL);
    control_end_all(bench_vm(b), "over");
    CHECK_STR_EQ(bench_answer(c), "error: over");
    CHECK_EQ(clerk->cancelled, 1);
    bench_call_free(c);
    c = bench_call(b, "slow", NULL);
    bench_destroy(b);
    bench_call_free(c);
}

TEST(their_number_is_bounded)
{
    struct bench_call *c[65];

    setup();
    for (unsigned i = 0; i < 65; i++)
        c[i] = bench_call(b, "slow", NULL);
    CHECK_STR_EQ(bench_answer(c[64]), "error: too many commands are under way");
    CHECK_STR_EQ(bench_answer(c[63]), "error: busy");
    for (unsigned i = 0; i < 65; i++)
        bench_call_free(c[i]);
    bench_destroy(b);
}

TEST(events_carry_data)
{
    setup();
    bench_power_on(b);
    struct bp_call *e = clerk->control->event(clerk->dev, "BELL");
    clerk->control->put_integer(e, "rings", 2);
    clerk->control->done(e, NULL);
    control_event(bench_vm(b), "PLAIN", NULL);
    char *text = bench_event(b);
    CHECK_STR_EQ(text, "BELL {\"device\":\"clerk\",\"rings\":2}");
    g_free(text);
    text = bench_event(b);
    CHECK_STR_EQ(text, "PLAIN ");
    g_free(text);
    CHECK(!bench_event(b));
    for (unsigned i = 0; i < 1000; i++)
        control_event(bench_vm(b), "FLOOD", NULL);
    unsigned n = 0;
    while ((text = bench_event(b))) {
        n++;
        g_free(text);
    }
    CHECK_EQ(n, 256);
    bench_destroy(b);
}
