/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that a plugin may not have. */
#include "tests/lib/test.h"

#include <glib.h>
#include <string.h>

#include "plugin/load.h"

struct thing {
    uint32_t number;
    uint64_t size;
    struct {
        uint32_t a;
    } st;
};

static int32_t create(void *self, struct bp_dev *dev,
                      const struct bp_host *host)
{
    return 0;
}

static void reset(void *self, uint32_t kind)
{
}

static const char *const names[] = { "one", "two", NULL };

/* A sound descriptor; each row spoils it. */
static struct bp_property properties[3];
static struct bp_field fields[3];
static struct bp_device_desc desc;

static void sound(void)
{
    properties[0] = (struct bp_property){
        .name = "number",
        .type = BP_PROP_UINT,
        .offset = offsetof(struct thing, number),
        .max = 9,
        .number = 3,
    };
    fields[0] = (struct bp_field)BP_FIELD(struct thing, st.a, "a");
    desc = (struct bp_device_desc){
        .size = sizeof(desc),
        .id = "thing",
        .title = "a thing",
        .instance_size = sizeof(struct thing),
        .state_offset = offsetof(struct thing, st),
        .state_size = sizeof(((struct thing *)0)->st),
        .state_version = 1,
        .fields = fields,
        .properties = properties,
        .create = create,
        .reset = reset,
    };
}

static void upper_case(void)
{
    desc.id = "Thing";
}
static void no_id(void)
{
    desc.id = NULL;
}
static void no_title(void)
{
    desc.title = NULL;
}
static void no_create(void)
{
    desc.create = NULL;
}
static void no_reset(void)
{
    desc.reset = NULL;
}
static void no_instance(void)
{
    desc.instance_size = 0;
}
static void huge(void)
{
    desc.instance_size = 1u << 30;
}
static void rank(void)
{
    desc.lane_rank = 3;
}
static void state_outside(void)
{
    desc.state_size = 1000;
}
static void state_wraps(void)
{
    desc.state_offset = UINT32_MAX;
}
static void field_outside(void)
{
    fields[0].offset = 0;
}
static void property_outside(void)
{
    properties[0].offset = 1000;
}
static void property_type(void)
{
    properties[0].type = 99;
}
static void default_high(void)
{
    properties[0].number = 10;
}
static void twice(void)
{
    properties[1] = properties[0];
}
static void bad_choice(void)
{
    properties[0].type = BP_PROP_CHOICE;
    properties[0].choices = names;
    properties[0].number = 2;
}
static void nothing(void)
{
}

static const struct {
    void (*spoil)(void);
    const char *says;
} rows[] = {
    { nothing, NULL },
    { upper_case, "id" },
    { no_id, "id" },
    { no_title, "title" },
    { no_create, "create" },
    { no_reset, "reset" },
    { no_instance, "0 bytes" },
    { huge, "impossible" },
    { rank, "rank" },
    { state_outside, "outside the instance" },
    { state_wraps, "outside the instance" },
    { field_outside, "'a' lies outside" },
    { property_outside, "'number' lies outside" },
    { property_type, "unknown type" },
    { default_high, "default" },
    { twice, "twice" },
    { bad_choice, "no such choice" },
};

TEST_P(a_wrong_descriptor_is_refused_with_the_reason, rows)
{
    sound();
    row->spoil();
    char *reason = device_desc_check(&desc);
    if (row->says && !(reason && strstr(reason, row->says)))
        FAIL("it says: %s", reason ? reason : "nothing");
    if (!row->says)
        CHECK_PTR_EQ(reason, NULL);
    g_free(reason);
}
