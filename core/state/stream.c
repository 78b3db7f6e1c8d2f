/* SPDX-License-Identifier: Apache-2.0 */
#include "state/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIELD_HEAD   20u
#define SECTION_HEAD 24u
#define SECTION_TAG  0x54434553u /* "SECT" */
#define MAX_NAME     255u
#define MAX_FIELDS   65536u

static const char file_magic[8] = { 'B', 'P', 'S', 'T', 'A', 'T', 'E', '\n' };

GQuark state_error_quark(void)
{
    return g_quark_from_static_string("state");
}

static bool bad(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool bad(GError **error, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    if (error && !*error)
        *error = g_error_new_valist(STATE_ERROR, STATE_ERROR_DATA, format, ap);
    va_end(ap);
    return false;
}

uint64_t state_load_uint(const uint8_t *data, uint32_t elem_size)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < elem_size; i++)
        value |= (uint64_t)data[i] << (8 * i);
    return value;
}

void state_store_uint(uint8_t *data, uint32_t elem_size, uint64_t value)
{
    for (uint32_t i = 0; i < elem_size; i++)
        data[i] = (uint8_t)(value >> (8 * i));
}

/* --- writing --------------------------------------------------------------*/

struct state_writer {
    GByteArray *bytes;
    unsigned depth;
    struct {
        size_t length_at; /* of the field's data length */
        size_t data_at;
        size_t element_at; /* of the open element's length; 0: none */
    } open[STATE_MAX_DEPTH];
};

struct state_writer *state_writer_new(void)
{
    struct state_writer *w = g_new0(struct state_writer, 1);

    w->bytes = g_byte_array_new();
    return w;
}

void state_writer_free(struct state_writer *w)
{
    if (!w)
        return;
    g_byte_array_free(w->bytes, TRUE);
    g_free(w);
}

const uint8_t *state_writer_data(const struct state_writer *w, size_t *bytes)
{
    *bytes = w->bytes->len;
    return w->bytes->data;
}

void state_writer_reset(struct state_writer *w)
{
    g_byte_array_set_size(w->bytes, 0);
    w->depth = 0;
}

static void put_head(struct state_writer *w, enum state_type type,
                     unsigned flags, const char *name, uint32_t elem_size,
                     uint32_t count, uint64_t bytes)
{
    uint8_t head[FIELD_HEAD];
    size_t length = strlen(name);

    g_assert(length <= MAX_NAME);
    head[0] = type;
    head[1] = (uint8_t)flags;
    state_store_uint(head + 2, 2, length);
    state_store_uint(head + 4, 4, elem_size);
    state_store_uint(head + 8, 4, count);
    state_store_uint(head + 12, 8, bytes);
    g_byte_array_append(w->bytes, head, sizeof(head));
    g_byte_array_append(w->bytes, (const guint8 *)name, (guint)length);
}

void state_put_u64(struct state_writer *w, const char *name, uint64_t value)
{
    state_put_uints(w, name, &value, 8, 1, 0);
}

void state_put_string(struct state_writer *w, const char *name,
                      const char *text)
{
    state_put_bytes(w, name, text ? text : "", text ? strlen(text) : 0);
}

void state_put_bytes(struct state_writer *w, const char *name, const void *data,
                     size_t bytes)
{
    put_head(w, STATE_BYTES, 0, name, (uint32_t)bytes, 1, bytes);
    g_byte_array_append(w->bytes, data, (guint)bytes);
}

static uint64_t host_uint(const void *data, uint32_t elem_size)
{
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;

    switch (elem_size) {
    case 1: memcpy(&u8, data, 1); return u8;
    case 2: memcpy(&u16, data, 2); return u16;
    case 4: memcpy(&u32, data, 4); return u32;
    default: memcpy(&u64, data, 8); return u64;
    }
}

void state_put_uints(struct state_writer *w, const char *name, const void *data,
                     uint32_t elem_size, uint32_t count, unsigned flags)
{
    const uint8_t *at = data;
    uint8_t wire[8];

    put_head(w, STATE_UINT, flags, name, elem_size, count,
             (uint64_t)elem_size * count);
    for (uint32_t i = 0; i < count; i++, at += elem_size) {
        state_store_uint(wire, elem_size, host_uint(at, elem_size));
        g_byte_array_append(w->bytes, wire, elem_size);
    }
}

void state_begin(struct state_writer *w, const char *name, uint32_t count,
                 unsigned flags)
{
    g_assert(w->depth < STATE_MAX_DEPTH);
    size_t at = w->bytes->len;
    put_head(w, STATE_STRUCT, flags, name, 0, count, 0);
    w->open[w->depth].length_at = at + 12;
    w->open[w->depth].data_at = w->bytes->len;
    w->open[w->depth].element_at = 0;
    w->depth++;
}

static void close_element(struct state_writer *w)
{
    size_t at = w->open[w->depth - 1].element_at;

    if (at)
        state_store_uint(w->bytes->data + at, 4, w->bytes->len - at - 4);
}

void state_element(struct state_writer *w)
{
    static const uint8_t none[4];

    close_element(w);
    w->open[w->depth - 1].element_at = w->bytes->len;
    g_byte_array_append(w->bytes, none, sizeof(none));
}

void state_end(struct state_writer *w)
{
    close_element(w);
    w->depth--;
    state_store_uint(w->bytes->data + w->open[w->depth].length_at, 8,
                     w->bytes->len - w->open[w->depth].data_at);
}

/* --- reading --------------------------------------------------------------*/

struct state_reader {
    GHashTable *values; /* name -> struct state_value * */
    GPtrArray *names;   /* in order of appearance */
    GPtrArray *children;
};

void state_reader_free(struct state_reader *r)
{
    if (!r)
        return;
    g_hash_table_destroy(r->values);
    g_ptr_array_free(r->names, TRUE);
    g_ptr_array_free(r->children, TRUE);
    g_free(r);
}

static void free_child(gpointer child)
{
    state_reader_free(child);
}

/* The bytes that a field's type, element size and count ask for. */
static bool length_fits(const struct state_value *v)
{
    switch (v->type) {
    case STATE_UINT:
        if (v->elem_size != 1 && v->elem_size != 2 && v->elem_size != 4 &&
            v->elem_size != 8)
            return false;
        return (uint64_t)v->elem_size * v->count == v->bytes;
    case STATE_BYTES: return (uint64_t)v->elem_size * v->count == v->bytes;
    case STATE_STRUCT: return (uint64_t)v->count * 4 <= v->bytes;
    }
    return false;
}

/* One field at *at; advances it. */
static bool read_field(struct state_reader *r, const uint8_t *data,
                       size_t bytes, size_t *at, GError **error)
{
    const uint8_t *head = data + *at;

    if (bytes - *at < FIELD_HEAD)
        return bad(error, "a field is cut off");
    size_t name_length = (size_t)state_load_uint(head + 2, 2);
    uint64_t length = state_load_uint(head + 12, 8);
    size_t left = bytes - *at - FIELD_HEAD;
    if (name_length == 0 || name_length > MAX_NAME || name_length > left ||
        length > left - name_length)
        return bad(error, "a field is longer than its section");
    const char *text = (const char *)head + FIELD_HEAD;
    if (memchr(text, 0, name_length) ||
        !g_utf8_validate(text, (gssize)name_length, NULL))
        return bad(error, "the name of a field is not text");
    char *name = g_strndup(text, name_length);
    if (g_hash_table_contains(r->values, name) || r->names->len >= MAX_FIELDS) {
        bad(error, "field '%s' is there twice", name);
        g_free(name);
        return false;
    }
    struct state_value *v = g_new0(struct state_value, 1);
    v->type = head[0];
    v->flags = head[1];
    v->elem_size = (uint32_t)state_load_uint(head + 4, 4);
    v->count = (uint32_t)state_load_uint(head + 8, 4);
    v->data = head + FIELD_HEAD + name_length;
    v->bytes = (size_t)length;
    g_ptr_array_add(r->names, name);
    g_hash_table_insert(r->values, name, v);
    *at += FIELD_HEAD + name_length + (size_t)length;
    if (!length_fits(v))
        return bad(error, "field '%s' has a length of %zu bytes", name,
                   v->bytes);
    return true;
}

struct state_reader *state_reader_new(const uint8_t *data, size_t bytes,
                                      GError **error)
{
    struct state_reader *r = g_new0(struct state_reader, 1);

    r->values = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    r->names = g_ptr_array_new_with_free_func(g_free);
    r->children = g_ptr_array_new_with_free_func(free_child);
    for (size_t at = 0; at < bytes;) {
        if (!read_field(r, data, bytes, &at, error)) {
            state_reader_free(r);
            return NULL;
        }
    }
    return r;
}

struct state_value *state_find(struct state_reader *r, const char *name)
{
    struct state_value *v = g_hash_table_lookup(r->values, name);

    if (v)
        v->used = true;
    return v;
}

bool state_get_u64(struct state_reader *r, const char *name, uint64_t *value)
{
    struct state_value *v = state_find(r, name);

    if (!v || v->type != STATE_UINT || v->count != 1)
        return false;
    *value = state_load_uint(v->data, v->elem_size);
    return true;
}

const uint8_t *state_get_bytes(struct state_reader *r, const char *name,
                               size_t *bytes)
{
    struct state_value *v = state_find(r, name);

    if (!v || v->type != STATE_BYTES)
        return NULL;
    *bytes = v->bytes;
    return v->data;
}

char *state_get_string(struct state_reader *r, const char *name)
{
    size_t bytes;
    const uint8_t *data = state_get_bytes(r, name, &bytes);

    if (!data || memchr(data, 0, bytes))
        return NULL;
    return g_strndup((const char *)data, bytes);
}

uint32_t state_count(struct state_reader *r, const char *name)
{
    struct state_value *v = state_find(r, name);

    return v && v->type == STATE_STRUCT ? v->count : 0;
}

struct state_reader *state_get_element(struct state_reader *r, const char *name,
                                       uint32_t index, GError **error)
{
    struct state_value *v = state_find(r, name);
    size_t at = 0;

    if (!v || v->type != STATE_STRUCT || index >= v->count) {
        bad(error, "there is no element %u of '%s'", index, name);
        return NULL;
    }
    for (uint32_t i = 0;; i++) {
        if (v->bytes - at < 4)
            break;
        size_t length = (size_t)state_load_uint(v->data + at, 4);
        at += 4;
        if (length > v->bytes - at)
            break;
        if (i == index) {
            struct state_reader *child =
                state_reader_new(v->data + at, length, error);
            if (child)
                g_ptr_array_add(r->children, child);
            return child;
        }
        at += length;
    }
    bad(error, "element %u of '%s' is cut off", index, name);
    return NULL;
}

const char *state_unknown(struct state_reader *r)
{
    for (guint i = 0; i < r->names->len; i++) {
        const struct state_value *v =
            g_hash_table_lookup(r->values, r->names->pdata[i]);
        if (!v->used && !(v->flags & STATE_OPTIONAL))
            return r->names->pdata[i];
    }
    return NULL;
}

/* --- sections -------------------------------------------------------------*/

bool state_write_head(struct state_sink *sink)
{
    uint8_t version[4];

    state_store_uint(version, 4, STATE_FORMAT);
    return sink->write(sink, file_magic, sizeof(file_magic)) &&
           sink->write(sink, version, sizeof(version));
}

bool state_write_section(struct state_sink *sink, const char *name,
                         uint32_t version, const struct state_writer *w)
{
    uint8_t head[SECTION_HEAD];
    size_t bytes = 0;
    const uint8_t *data = w ? state_writer_data(w, &bytes) : NULL;

    g_assert(bytes <= STATE_MAX_SECTION && (!w || w->depth == 0));
    uint32_t crc = state_crc32(0, name, strlen(name));
    crc = state_crc32(crc, data, bytes);
    state_store_uint(head, 4, SECTION_TAG);
    state_store_uint(head + 4, 4, strlen(name));
    state_store_uint(head + 8, 8, bytes);
    state_store_uint(head + 16, 4, version);
    state_store_uint(head + 20, 4, crc);
    return sink->write(sink, head, sizeof(head)) &&
           sink->write(sink, name, strlen(name)) &&
           (!bytes || sink->write(sink, data, bytes));
}

struct state_source {
    int fd;
    char name[MAX_NAME + 1];
    uint8_t *content;
    struct state_reader *fields;
};

/* Reads all of it, or says what is wrong. */
static bool read_all(struct state_source *s, void *to, size_t bytes,
                     GError **error)
{
    uint8_t *at = to;

    while (bytes) {
        ssize_t n = read(s->fd, at, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return bad(error, "reading failed: %s", g_strerror(errno));
        if (n == 0)
            return bad(error, "the file is cut off");
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

struct state_source *state_source_new(int fd, GError **error)
{
    struct state_source *s = g_new0(struct state_source, 1);
    uint8_t head[sizeof(file_magic) + 4];

    s->fd = fd;
    if (!read_all(s, head, sizeof(head), NULL) ||
        memcmp(head, file_magic, sizeof(file_magic)) != 0) {
        bad(error, "this is not a saved machine");
        state_source_free(s);
        return NULL;
    }
    uint64_t format = state_load_uint(head + sizeof(file_magic), 4);
    if (format != STATE_FORMAT) {
        bad(error, "it has format %" PRIu64 ", this program reads format %u",
            format, STATE_FORMAT);
        state_source_free(s);
        return NULL;
    }
    return s;
}

static void drop_section(struct state_source *s)
{
    state_reader_free(s->fields);
    g_free(s->content);
    s->fields = NULL;
    s->content = NULL;
}

void state_source_free(struct state_source *s)
{
    if (!s)
        return;
    drop_section(s);
    g_free(s);
}

/* Does the file have this many bytes left?  Unknown for a pipe. */
static bool has_left(const struct state_source *s, uint64_t bytes)
{
    struct stat st;
    off_t at = lseek(s->fd, 0, SEEK_CUR);

    if (at < 0 || fstat(s->fd, &st) < 0 || !S_ISREG(st.st_mode))
        return true;
    return (uint64_t)(st.st_size - at) >= bytes;
}

bool state_read_section(struct state_source *s, const char **name,
                        uint32_t *version, struct state_reader **fields,
                        GError **error)
{
    uint8_t head[SECTION_HEAD];

    drop_section(s);
    *fields = NULL;
    if (!read_all(s, head, sizeof(head), error))
        return false;
    uint64_t name_length = state_load_uint(head + 4, 4);
    uint64_t bytes = state_load_uint(head + 8, 8);
    if (state_load_uint(head, 4) != SECTION_TAG || name_length == 0 ||
        name_length > MAX_NAME || bytes > STATE_MAX_SECTION)
        return bad(error, "the head of a section is damaged");
    if (!has_left(s, name_length + bytes))
        return bad(error, "the file is cut off");
    if (!read_all(s, s->name, (size_t)name_length, error))
        return false;
    s->name[name_length] = 0;
    s->content = g_try_malloc(bytes + 1);
    if (!s->content)
        return bad(error, "there is no memory for a section");
    if (!read_all(s, s->content, (size_t)bytes, error))
        return false;
    uint32_t crc = state_crc32(0, s->name, (size_t)name_length);
    crc = state_crc32(crc, s->content, (size_t)bytes);
    if (crc != state_load_uint(head + 20, 4))
        return bad(error, "a section has a bad checksum");
    *name = s->name;
    *version = (uint32_t)state_load_uint(head + 16, 4);
    if (strcmp(s->name, "end") == 0)
        return true;
    s->fields = state_reader_new(s->content, (size_t)bytes, error);
    if (!s->fields) {
        g_prefix_error(error, "section '%s': ", s->name);
        return false;
    }
    *fields = s->fields;
    return true;
}

/* --- checksum: CRC-32 of IEEE 802.3, eight bytes at a time ----------------*/

static uint32_t crc_table[8][256];

static void crc_fill(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
        crc_table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int t = 1; t < 8; t++) {
            uint32_t c = crc_table[t - 1][i];
            crc_table[t][i] = crc_table[0][c & 0xff] ^ c >> 8;
        }
    }
}

uint32_t state_crc32(uint32_t crc, const void *data, size_t bytes)
{
    static gsize filled;
    const uint8_t *p = data;

    if (g_once_init_enter(&filled)) {
        crc_fill();
        g_once_init_leave(&filled, 1);
    }
    crc = ~crc;
    for (; bytes >= 8; bytes -= 8, p += 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        v = GUINT64_FROM_LE(v) ^ crc;
        crc = 0;
        for (int t = 0; t < 8; t++)
            crc ^= crc_table[7 - t][v >> (8 * t) & 0xff];
    }
    for (; bytes; bytes--, p++)
        crc = crc_table[0][(crc ^ *p) & 0xff] ^ crc >> 8;
    return ~crc;
}
