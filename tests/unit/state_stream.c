/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/test.h"

#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "state/field.h"
#include "state/stream.h"

struct part {
    uint8_t a;
    uint16_t b;
};

struct all {
    uint32_t before;
    uint8_t u8;
    uint16_t u16[3];
    uint32_t u32;
    uint64_t u64;
    uint8_t blob[5];
    struct part parts[2];
    uint32_t after;
};

static const struct bp_field part_fields[] = {
    BP_FIELD(struct part, a, "a"),
    BP_FIELD(struct part, b, "b"),
    BP_FIELD_END,
};

static const struct bp_field all_fields[] = {
    BP_FIELD(struct all, u8, "u8"),
    BP_FIELD_ARRAY(struct all, u16, "u16"),
    BP_FIELD(struct all, u32, "u32"),
    BP_FIELD(struct all, u64, "u64"),
    BP_FIELD_BLOB(struct all, blob, "blob"),
    BP_FIELD_TABLE(struct all, parts, "parts", 2, part_fields),
    BP_FIELD_END,
};

static const struct all sample = {
    .u8 = 0x12,
    .u16 = { 0x3456, 0x789a, 0xbcde },
    .u32 = 0xdeadbeef,
    .u64 = 0x0123456789abcdef,
    .blob = "abcd",
    .parts = { { 1, 2 }, { 3, 4 } },
};

static struct state_writer *saved(const struct bp_field *table,
                                  const void *from)
{
    struct state_writer *w = state_writer_new();

    fields_save(w, table, from);
    return w;
}

static bool load(const struct state_writer *w, const struct bp_field *table,
                 void *to, GError **error)
{
    size_t bytes;
    const uint8_t *data = state_writer_data(w, &bytes);
    struct state_reader *r = state_reader_new(data, bytes, error);
    bool ok = r && fields_load(r, table, to, error);

    state_reader_free(r);
    return ok;
}

TEST(all_kinds_of_fields_come_back)
{
    struct state_writer *w = saved(all_fields, &sample);
    struct all to = { 0 };

    CHECK(load(w, all_fields, &to, NULL));
    CHECK_MEM_EQ(&to, &sample, sizeof(to));
    state_writer_free(w);
}

TEST(integers_are_little_endian_on_the_wire)
{
    struct state_writer *w = state_writer_new();
    uint32_t value = 0x11223344;
    size_t bytes;

    state_put_uints(w, "x", &value, 4, 1, 0);
    const uint8_t *data = state_writer_data(w, &bytes);
    static const uint8_t expected[] = { 1, 0, 1,   0,    4,    0,    0,   0, 1,
                                        0, 0, 0,   4,    0,    0,    0,   0, 0,
                                        0, 0, 'x', 0x44, 0x33, 0x22, 0x11 };
    CHECK_EQ(bytes, sizeof(expected));
    CHECK_MEM_EQ(data, expected, bytes);
    state_writer_free(w);
}

TEST(missing_fields_keep_their_value)
{
    static const struct bp_field few[] = {
        BP_FIELD(struct all, u8, "u8"),
        BP_FIELD_END,
    };
    struct state_writer *w = saved(few, &sample);
    struct all to = { .u32 = 77 };

    CHECK(load(w, all_fields, &to, NULL));
    CHECK_EQ(to.u8, 0x12);
    CHECK_EQ(to.u32, 77);
    state_writer_free(w);
}

TEST(unknown_fields_are_refused_unless_optional)
{
    struct state_writer *w = saved(all_fields, &sample);
    uint8_t extra = 1;
    struct all to;
    GError *error = NULL;

    state_put_uints(w, "new", &extra, 1, 1, STATE_OPTIONAL);
    CHECK(load(w, all_fields, &to, NULL));
    state_put_uints(w, "newer", &extra, 1, 1, 0);
    CHECK(!load(w, all_fields, &to, &error));
    CHECK(strstr(error->message, "'newer'"));
    g_error_free(error);
    state_writer_free(w);
}

static const struct {
    uint64_t value;
    uint32_t size;
    bool fits;
} widths[] = {
    { 0xff, 8, true }, { 0x100, 8, false },  { 0xff, 1, true },
    { 0x80, 2, true }, { 0xffff, 4, false },
};

/* A field that had another width: the value decides. */
TEST_P(integers_may_change_their_width, widths)
{
    static const struct bp_field narrow[] = {
        BP_FIELD(struct all, u8, "x"),
        BP_FIELD_END,
    };
    struct state_writer *w = state_writer_new();
    struct all to = { 0 };

    state_put_uints(w, "x", &row->value, row->size, 1, 0);
    CHECK_EQ(load(w, narrow, &to, NULL), row->fits);
    CHECK_EQ(to.u8, row->fits ? row->value : 0);
    state_writer_free(w);
}

TEST(too_many_elements_are_refused)
{
    uint16_t many[4] = { 1, 2, 3, 4 };
    struct state_writer *w = state_writer_new();
    struct all to = { .u32 = 5 };

    state_put_uints(w, "u16", many, 2, 4, 0);
    CHECK(!load(w, all_fields, &to, NULL));
    CHECK_EQ(to.u32, 5);
    state_writer_free(w);
}

static const struct {
    struct bp_field field;
    const char *says;
} tables[] = {
    { { "x", BP_FIELD_UINT, 0, 4, 1, 1, 0, NULL }, NULL },
    { { "x", BP_FIELD_UINT, 62, 4, 1, 1, 0, NULL }, "outside" },
    { { "x", BP_FIELD_UINT, 0, 4, 0x40000000, 1, 0, NULL }, "outside" },
    { { "x", BP_FIELD_UINT, 0, 3, 1, 1, 0, NULL }, "no integer" },
    { { "x", BP_FIELD_BYTES, 0, 64, 1, 1, 0, NULL }, NULL },
    { { "x", BP_FIELD_BYTES, 0, 0, 1, 1, 0, NULL }, "size" },
    { { "x", 9, 0, 4, 1, 1, 0, NULL }, "type" },
    { { "", BP_FIELD_UINT, 0, 4, 1, 1, 0, NULL }, "name" },
    { { "x", BP_FIELD_UINT, 0, 4, 1, 1, 0x80, NULL }, "size" },
};

TEST_P(wrong_tables_are_found, tables)
{
    const struct bp_field table[] = { row->field, BP_FIELD_END };
    char *reason = fields_check(table, 0, 64);

    if (row->says)
        CHECK(reason && strstr(reason, row->says));
    else
        CHECK_PTR_EQ(reason, NULL);
    g_free(reason);
}

/* --- files ----------------------------------------------------------------*/

struct bytes_sink {
    struct state_sink sink;
    GByteArray *bytes;
};

static bool collect(struct state_sink *sink, const void *data, size_t bytes)
{
    struct bytes_sink *s = (struct bytes_sink *)sink;

    g_byte_array_append(s->bytes, data, (guint)bytes);
    return true;
}

static GByteArray *sample_file(void)
{
    struct bytes_sink s = { { collect, 0 }, g_byte_array_new() };
    struct state_writer *w = saved(all_fields, &sample);

    state_write_head(&s.sink);
    state_write_section(&s.sink, "first", 3, w);
    state_write_section(&s.sink, "second", 1, w);
    state_write_section(&s.sink, "end", 1, NULL);
    state_writer_free(w);
    return s.bytes;
}

/* Reads all sections as a machine would; false when the file is refused. */
static bool read_file(const uint8_t *data, size_t bytes, unsigned *sections,
                      GError **error)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    bool ok;

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, data, bytes), bytes);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    struct state_source *s = state_source_new(fd, error);
    *sections = 0;
    ok = s != NULL;
    while (ok) {
        const char *name;
        uint32_t version;
        struct state_reader *r;
        struct all to;
        ok = state_read_section(s, &name, &version, &r, error);
        if (!ok || !r)
            break;
        CHECK_EQ(version, *sections ? 1 : 3);
        ++*sections;
        ok = fields_load(r, all_fields, &to, error);
    }
    state_source_free(s);
    close(fd);
    return ok;
}

TEST(a_file_comes_back_section_by_section)
{
    GByteArray *file = sample_file();
    unsigned sections;

    CHECK(read_file(file->data, file->len, &sections, NULL));
    CHECK_EQ(sections, 2);
    g_byte_array_free(file, TRUE);
}

TEST(every_cut_is_noticed)
{
    GByteArray *file = sample_file();
    unsigned sections;

    for (guint n = 0; n < file->len; n++) {
        GError *error = NULL;
        test_note("cut at %u", n);
        CHECK(!read_file(file->data, n, &sections, &error));
        CHECK(error != NULL);
        g_error_free(error);
    }
    g_byte_array_free(file, TRUE);
}

TEST(every_changed_bit_is_noticed)
{
    GByteArray *file = sample_file();
    unsigned sections;

    /* The version in a section's head is the reader's business. */
    for (guint bit = 0; bit < file->len * 8; bit++) {
        uint8_t *at = &file->data[bit / 8];
        guint in_head = bit / 8 - 12;
        if (in_head >= 16 && in_head < 20)
            continue;
        *at ^= (uint8_t)(1u << (bit % 8));
        test_note("bit %u of byte %u", bit % 8, bit / 8);
        if (bit / 8 < 12 + 24)
            CHECK(!read_file(file->data, file->len, &sections, NULL));
        *at ^= (uint8_t)(1u << (bit % 8));
    }
    g_byte_array_free(file, TRUE);
}

TEST(foreign_and_newer_files_are_refused_in_one_sentence)
{
    GByteArray *file = sample_file();
    GError *error = NULL;
    unsigned sections;

    CHECK(!read_file((const uint8_t *)"#!/bin/sh\necho no\n", 18, &sections,
                     &error));
    CHECK_STR_EQ(error->message, "this is not a saved machine");
    g_clear_error(&error);
    file->data[8] = 2;
    CHECK(!read_file(file->data, file->len, &sections, &error));
    CHECK_STR_EQ(error->message,
                 "it has format 2, this program reads format 1");
    g_error_free(error);
    g_byte_array_free(file, TRUE);
}

/* Content that is anything, behind a right checksum. */
TEST(random_content_is_survived)
{
    GRand *chance = g_rand_new_with_seed(1);
    struct state_writer *w = saved(all_fields, &sample);
    size_t bytes;
    const uint8_t *data = state_writer_data(w, &bytes);
    uint8_t *copy = g_malloc(bytes);

    for (int i = 0; i < 50000; i++) {
        struct all to = { .before = 0x11111111, .after = 0x22222222 };
        memcpy(copy, data, bytes);
        for (int n = g_rand_int_range(chance, 1, 6); n > 0; n--)
            copy[g_rand_int(chance) % bytes] = (uint8_t)g_rand_int(chance);
        size_t length =
            g_rand_int(chance) % 8 ? bytes : g_rand_int(chance) % bytes;
        struct state_reader *r = state_reader_new(copy, length, NULL);
        if (r) {
            fields_load(r, all_fields, &to, NULL);
            state_reader_free(r);
        }
        CHECK_EQ(to.before, 0x11111111);
        CHECK_EQ(to.after, 0x22222222);
    }
    g_free(copy);
    g_rand_free(chance);
    state_writer_free(w);
}

struct sparse {
    uint8_t blob[64];
    struct part parts[40];
};

static const struct bp_field sparse_fields[] = {
    BP_FIELD_TRIMMED_BLOB(struct sparse, blob, "blob"),
    BP_FIELD_TRIMMED_TABLE(struct sparse, parts, "parts", 40, part_fields),
    BP_FIELD_END,
};

/* Zeros at a table's end are not written, and come back as zeros whatever
 * was there. */
TEST(trimmed_tables_are_short_and_come_back)
{
    struct sparse from = { .blob = { 1, 0, 2 }, .parts[2] = { 5, 6 } }, to;
    struct sparse empty = { 0 };
    size_t bytes, least;

    struct state_writer *w = saved(sparse_fields, &from);
    struct state_writer *none = saved(sparse_fields, &empty);
    state_writer_data(w, &bytes);
    state_writer_data(none, &least);
    CHECK_LT(bytes, 250);
    CHECK_LT(least, 60);
    memset(&to, 0x55, sizeof(to));
    CHECK(load(w, sparse_fields, &to, NULL));
    CHECK_MEM_EQ(&to, &from, sizeof(to));
    CHECK(load(none, sparse_fields, &to, NULL));
    CHECK_MEM_EQ(&to, &empty, sizeof(to));
    state_writer_free(w);
    state_writer_free(none);
}

TEST(checksum_is_crc32)
{
    CHECK_EQ(state_crc32(0, "123456789", 9), 0xcbf43926u);
    CHECK_EQ(state_crc32(state_crc32(0, "1234", 4), "56789", 5), 0xcbf43926u);
}
