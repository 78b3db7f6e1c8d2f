/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every device must do, whatever it is: each test goes through all
 * devices of the build's plugins.
 */
#include "tests/lib/saved_section.h"
#include "tests/lib/test.h"

#include <glib.h>
#include <string.h>

#include "bus/pio.h"
#include "mem/map.h"
#include "plugin/device.h"
#include "plugin/load.h"
#include "state/field.h"
#include "state/stream.h"
#include "vm/bench.h"
#include "vm/vm.h"

#define ACCESSES  3000
#define MUTATIONS 150

static GPtrArray *ids;
static GHashTable *on_vmbus; /* ids of devices that need a bus beside them */

static void collect(const struct device_type *type, void *vmbus)
{
    char *id;

    if (type->shadowed)
        return;
    id = g_strdup(type->desc.id);
    if (g_str_has_prefix(type->plugin->entry->id, "synthetic.") &&
        strcmp(id, "vmbus") != 0) {
        if (!vmbus)
            return;
        g_hash_table_add(on_vmbus, id);
    }
    g_ptr_array_add(ids, id);
}

static void find_devices(void)
{
    struct bench *b = bench_empty();

    ids = g_ptr_array_new();
    on_vmbus = g_hash_table_new(g_str_hash, g_str_equal);
    plugins_foreach(bench_vm(b)->plugins, collect,
                    (void *)(uintptr_t)plugins_find(bench_vm(b)->plugins,
                                                    "vmbus"));
    bench_destroy(b);
    CHECK_GE(ids->len, 10);
}

static struct bench *bench_for(const char *id)
{
    struct bench *b = bench_empty();

    test_note("device %s", id);
    if (g_hash_table_contains(on_vmbus, id))
        bench_add_device(b, "vmbus", "vmbus", NULL);
    return b;
}

static struct bench *bench_with(const char *id)
{
    struct bench *b = bench_for(id);

    bench_add_device(b, id, id, NULL);
    bench_power_on(b);
    return b;
}

/* With disks, CDs and ports wherever the device has a place for one. */
static struct bench *bench_with_media(const char *id)
{
    struct bench *b = bench_for(id);
    const struct bp_device_desc *desc = plugins_find(bench_vm(b)->plugins, id);
    GPtrArray *settings = g_ptr_array_new_with_free_func(g_free);
    int disks = 0;

    for (const struct bp_property *p = desc->properties; p && p->name; p++) {
        if (p->type == BP_PROP_BLOCK)
            bench_add_drive(b, p->name, disks++ % 2, 1 << 20, NULL);
        else if (p->type == BP_PROP_CHAR)
            bench_add_port(b, p->name);
        else if (p->type == BP_PROP_NET)
            bench_add_net(b, p->name, false);
        else
            continue;
        g_ptr_array_add(settings, g_strdup_printf("%s=%s", p->name, p->name));
    }
    g_ptr_array_add(settings, NULL);
    GError *error = NULL;
    if (!bench_try_add(b, desc, id, (const char *const *)settings->pdata,
                       &error))
        FAIL("%s", error->message);
    g_ptr_array_free(settings, TRUE);
    bench_power_on(b);
    return b;
}

#define EACH_DEVICE(id)                     \
    find_devices();                         \
    for (guint i_ = 0; i_ < ids->len; i_++) \
        for (const char *id = ids->pdata[i_]; id; id = NULL)

static const struct bp_device_desc *desc_of(struct bench *b)
{
    const GPtrArray *devices = bench_vm(b)->devices;
    const struct device *d = devices->pdata[devices->len - 1];

    return d->desc;
}

/* --- tables ---------------------------------------------------------------*/

static void cover(uint8_t *map, const struct bp_field *table, size_t at)
{
    for (const struct bp_field *f = table; f && f->name; f++) {
        for (uint32_t i = 0; i < f->count; i++) {
            size_t place = at + f->offset + (size_t)i * f->elem_size;
            if (f->type == BP_FIELD_STRUCT)
                cover(map, f->fields, place);
            else
                memset(map + place, 1, f->elem_size);
        }
    }
}

/* Bytes that no row covers may only be padding in front of a member that
 * begins at a multiple of 2, 4 or 8, or of the struct's end. */
static void check_gap(size_t begin, size_t end, size_t state_end)
{
    size_t align = end == state_end ? 8 : end & -end;

    if (end - begin >= MIN(align, (size_t)8))
        FAIL("no field covers bytes %zu..%zu of the state", begin, end - 1);
}

TEST(every_state_member_has_a_field)
{
    EACH_DEVICE(id)
    {
        struct bench *b = bench_with(id);
        const struct bp_device_desc *desc = desc_of(b);
        size_t first = desc->state_offset, end = first + desc->state_size;
        uint8_t *map = g_malloc0(desc->instance_size);
        cover(map, desc->fields, 0);
        for (size_t at = first; at < end; at++) {
            size_t begin = at;
            while (at < end && !map[at])
                at++;
            if (at > begin)
                check_gap(begin, at, end);
        }
        g_free(map);
        bench_destroy(b);
    }
}

/* Values that each byte of the state may get lost in. */
TEST(tables_carry_all_they_describe)
{
    EACH_DEVICE(id)
    {
        struct bench *b = bench_with(id);
        const struct bp_device_desc *desc = desc_of(b);
        uint8_t *map = g_malloc0(desc->instance_size);
        uint8_t *from = g_malloc(desc->instance_size);
        uint8_t *to = g_malloc0(desc->instance_size);
        struct state_writer *w = state_writer_new();
        size_t bytes;
        cover(map, desc->fields, 0);
        for (size_t i = 0; i < desc->instance_size; i++)
            from[i] = map[i] ? (uint8_t)(0xa5 ^ (i * 7)) : 0;
        fields_save(w, desc->fields, from);
        const uint8_t *data = state_writer_data(w, &bytes);
        struct state_reader *r = state_reader_new(data, bytes, NULL);
        CHECK(r && fields_load(r, desc->fields, to, NULL));
        CHECK_MEM_EQ(from, to, desc->instance_size);
        state_reader_free(r);
        state_writer_free(w);
        g_free(map);
        g_free(from);
        g_free(to);
        bench_destroy(b);
    }
}

/* --- saving and loading ---------------------------------------------------*/

TEST(power_on_state_survives_saving)
{
    EACH_DEVICE(id)
    {
        struct bench *b = bench_with_media(id);
        char *before = bench_hash(b);
        bench_save_load(b);
        char *after = bench_hash(b);
        CHECK_STR_EQ(before, after);
        g_free(before);
        g_free(after);
        bench_destroy(b);
    }
}

TEST(cut_off_state_is_refused)
{
    EACH_DEVICE(id)
    {
        struct bench *b = bench_with_media(id);
        size_t bytes;
        uint8_t *data = bench_save(b, &bytes);
        for (size_t n = 0; n < bytes; n += 1 + n / 16) {
            GError *error = NULL;
            CHECK(!bench_try_load(b, data, n, &error));
            CHECK(error && !strchr(error->message, '\n'));
            g_error_free(error);
        }
        CHECK(bench_try_load(b, data, bytes, NULL));
        g_free(data);
        bench_destroy(b);
    }
}

/* --- random guests --------------------------------------------------------*/

struct range {
    uint64_t first, last;
};

/* The "first-last" pairs of what pio_describe and map_describe say. */
static GArray *ranges_of(char *text)
{
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(struct range));
    char **lines = g_strsplit(text, "\n", -1);

    for (char **l = lines; *l; l++) {
        struct range r;
        char *end, *rest;
        r.first = g_ascii_strtoull(*l, &end, 16);
        if (end == *l || *end != '-')
            continue;
        r.last = g_ascii_strtoull(end + 1, &rest, 16);
        if (rest != end + 1)
            g_array_append_val(ranges, r);
    }
    g_strfreev(lines);
    g_free(text);
    return ranges;
}

struct guest {
    struct bench *bench;
    GRand *chance;
    GArray *ports, *memory;
};

static uint64_t pick(struct guest *g, GArray *ranges, unsigned size)
{
    guint n = g_rand_int_range(g->chance, 0, (gint32)ranges->len);
    const struct range *r = &g_array_index(ranges, struct range, n);
    uint64_t span = MIN(r->last - r->first, 0x1ffffu) + 1;

    return (r->first + g_rand_int(g->chance) % span) & ~(uint64_t)(size - 1);
}

static void access_once(struct guest *g)
{
    unsigned size = 1u << g_rand_int_range(g->chance, 0, 3);
    uint32_t value = g_rand_int(g->chance);

    switch (g_rand_int_range(g->chance, 0, 8)) {
    case 0:
    case 1:
        if (g->ports->len)
            bench_in(g->bench, (uint16_t)pick(g, g->ports, 1), size);
        break;
    case 2:
    case 3:
    case 4:
        if (g->ports->len)
            bench_out(g->bench, (uint16_t)pick(g, g->ports, 1), size, value);
        break;
    case 5: bench_read(g->bench, pick(g, g->memory, size), size); break;
    case 6: bench_write(g->bench, pick(g, g->memory, size), size, value); break;
    default: bench_step(g->bench, value % 3000000);
    }
}

static void guest_begin(struct guest *g, struct bench *b, guint32 seed)
{
    struct vm *vm = bench_vm(b);

    g->bench = b;
    g->chance = g_rand_new_with_seed(seed);
    g->ports = ranges_of(pio_describe(vm->pio));
    g->memory = ranges_of(map_describe(vm->map));
}

static void guest_end(struct guest *g)
{
    g_rand_free(g->chance);
    g_array_free(g->ports, TRUE);
    g_array_free(g->memory, TRUE);
}

TEST(random_guests_are_saved_at_any_moment)
{
    EACH_DEVICE(id)
    {
        struct bench *b = bench_with_media(id);
        struct guest g;
        bench_start(b);
        guest_begin(&g, b, 1);
        for (int i = 0; i < ACCESSES; i++) {
            access_once(&g);
            if (i % 200 != 199)
                continue;
            char *before = bench_hash(b);
            bench_save_load(b);
            char *after = bench_hash(b);
            test_note("device %s, access %d", id, i);
            CHECK_STR_EQ(before, after);
            g_free(before);
            g_free(after);
        }
        guest_end(&g);
        bench_destroy(b);
    }
}

/* Two machines, one of them saved and loaded on the way, stay the same. */
TEST(saving_changes_nothing_that_follows)
{
    EACH_DEVICE(id)
    {
        struct bench *one = bench_with(id), *two = bench_with(id);
        struct guest a, b;
        guest_begin(&a, one, 7);
        guest_begin(&b, two, 7);
        for (int i = 0; i < ACCESSES / 3; i++) {
            access_once(&a);
            access_once(&b);
            if (i % 50 == 0)
                bench_save_load(two);
        }
        char *ha = bench_hash(one), *hb = bench_hash(two);
        CHECK_STR_EQ(ha, hb);
        g_free(ha);
        g_free(hb);
        guest_end(&a);
        guest_end(&b);
        bench_destroy(one);
        bench_destroy(two);
    }
}

TEST(reset_is_idempotent)
{
    EACH_DEVICE(id)
    {
        struct bench *b = bench_with_media(id);
        struct guest g;
        guest_begin(&g, b, 3);
        for (int i = 0; i < ACCESSES / 3; i++)
            access_once(&g);
        bench_reset(b, BP_RESET_COLD);
        char *once = bench_hash(b);
        bench_reset(b, BP_RESET_COLD);
        char *twice = bench_hash(b);
        CHECK_STR_EQ(once, twice);
        g_free(once);
        g_free(twice);
        guest_end(&g);
        bench_destroy(b);
    }
}

/* --- hostile files --------------------------------------------------------*/

/* Changes a byte of some section's content and its checksum with it, so that
 * the change reaches the device. */
static void mutate(uint8_t *data, size_t bytes, GRand *chance)
{
    unsigned skip = (unsigned)g_rand_int_range(chance, 0, 3);
    struct saved_section s = { NULL, NULL, 0 };

    while (saved_section_next(&s, data, bytes)) {
        if (!s.length || skip-- != 0)
            continue;
        for (int n = g_rand_int_range(chance, 1, 5); n > 0; n--)
            s.content[g_rand_int(chance) % s.length] =
                (uint8_t)g_rand_int(chance);
        saved_section_seal(&s);
        return;
    }
}

TEST(hostile_state_is_survived)
{
    EACH_DEVICE(id)
    {
        struct bench *b = bench_with_media(id);
        GRand *chance = g_rand_new_with_seed(5);
        struct guest g;
        size_t bytes;
        guest_begin(&g, b, 11);
        for (int i = 0; i < 300; i++)
            access_once(&g);
        uint8_t *data = bench_save(b, &bytes);
        for (int i = 0; i < MUTATIONS; i++) {
            uint8_t *copy = g_memdup2(data, bytes);
            test_note("device %s, mutation %d", id, i);
            mutate(copy, bytes, chance);
            bench_try_load(b, copy, bytes, NULL);
            for (int k = 0; k < 20; k++)
                access_once(&g);
            g_free(copy);
        }
        CHECK(bench_try_load(b, data, bytes, NULL));
        g_free(data);
        g_rand_free(chance);
        guest_end(&g);
        bench_destroy(b);
    }
}

/* --- set-up ---------------------------------------------------------------*/

TEST(unknown_properties_and_bad_values_are_refused)
{
    EACH_DEVICE(id)
    {
        struct bench *b = bench_empty();
        const struct bp_device_desc *desc =
            plugins_find(bench_vm(b)->plugins, id);
        const char *unknown[] = { "no-such-property=1", NULL };
        GError *error = NULL;
        test_note("device %s", id);
        CHECK(!bench_try_add(b, desc, "x", unknown, &error));
        CHECK(error && strstr(error->message, "no-such-property"));
        g_clear_error(&error);
        for (const struct bp_property *p = desc->properties; p && p->name;
             p++) {
            char *setting = g_strconcat(p->name, "=!", NULL);
            const char *settings[] = { setting, NULL };
            if (p->type != BP_PROP_STRING) {
                CHECK(!bench_try_add(b, desc, "x", settings, &error));
                CHECK(error && strstr(error->message, p->name));
                g_clear_error(&error);
            }
            g_free(setting);
        }
        bench_destroy(b);
    }
}

TEST(a_device_is_made_and_unmade_many_times)
{
    EACH_DEVICE(id)
    {
        struct bench *b = bench_with_media(id);
        for (int i = 0; i < 20; i++)
            bench_save_load(b);
        bench_destroy(b);
    }
}
