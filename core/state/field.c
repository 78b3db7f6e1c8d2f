/* SPDX-License-Identifier: Apache-2.0 */
#include "state/field.h"

#include <inttypes.h>
#include <string.h>

#include "state/stream.h"

/* Bytes of a row up to the last that is not zero; all when it is not to be
 * trimmed. */
static size_t used_bytes(const struct bp_field *f, const uint8_t *at)
{
    size_t n = (size_t)f->elem_size * f->count;

    while (f->flags & BP_FIELD_TRIM && n && !at[n - 1])
        n--;
    return n;
}

static void save_row(struct state_writer *w, const struct bp_field *f,
                     const uint8_t *at)
{
    unsigned flags = f->flags & BP_FIELD_OPTIONAL ? STATE_OPTIONAL : 0;
    size_t bytes = used_bytes(f, at);
    uint32_t count = (uint32_t)((bytes + f->elem_size - 1) / f->elem_size);

    switch (f->type) {
    case BP_FIELD_UINT:
        state_put_uints(w, f->name, at, f->elem_size, count, flags);
        break;
    case BP_FIELD_BYTES: state_put_bytes(w, f->name, at, bytes); break;
    case BP_FIELD_STRUCT:
        state_begin(w, f->name, count, flags);
        for (uint32_t i = 0; i < count; i++) {
            state_element(w);
            fields_save(w, f->fields, at + (size_t)i * f->elem_size);
        }
        state_end(w);
        break;
    }
}

void fields_save(struct state_writer *w, const struct bp_field *table,
                 const void *base)
{
    for (const struct bp_field *f = table; f && f->name; f++)
        save_row(w, f, (const uint8_t *)base + f->offset);
}

static bool refuse(GError **error, const struct bp_field *f, const char *what)
{
    g_set_error(error, STATE_ERROR, STATE_ERROR_DATA, "field '%s' %s", f->name,
                what);
    return false;
}

static void put_host(uint8_t *at, uint32_t elem_size, uint64_t value)
{
    uint8_t u8 = (uint8_t)value;
    uint16_t u16 = (uint16_t)value;
    uint32_t u32 = (uint32_t)value;

    switch (elem_size) {
    case 1: memcpy(at, &u8, 1); break;
    case 2: memcpy(at, &u16, 2); break;
    case 4: memcpy(at, &u32, 4); break;
    default: memcpy(at, &value, 8); break;
    }
}

/* Integers may have grown or shrunk since; their values must fit. */
static bool load_uints(const struct bp_field *f, const struct state_value *v,
                       uint8_t *at, GError **error)
{
    if (v->count > f->count)
        return refuse(error, f, "has too many elements");
    for (uint32_t i = 0; i < v->count; i++) {
        uint64_t value =
            state_load_uint(v->data + (size_t)i * v->elem_size, v->elem_size);
        if (f->elem_size < 8 && value >> (8 * f->elem_size))
            return refuse(error, f, "has a value out of range");
        put_host(at + (size_t)i * f->elem_size, f->elem_size, value);
    }
    return true;
}

static bool load_row(struct state_reader *r, const struct bp_field *f,
                     uint8_t *at, GError **error)
{
    struct state_value *v = state_find(r, f->name);

    if (!v)
        return true;
    if ((uint32_t)v->type != f->type)
        return refuse(error, f, "has another type");
    if (f->flags & BP_FIELD_TRIM)
        memset(at, 0, (size_t)f->elem_size * f->count);
    switch (f->type) {
    case BP_FIELD_UINT: return load_uints(f, v, at, error);
    case BP_FIELD_BYTES:
        if (v->bytes > (size_t)f->elem_size * f->count)
            return refuse(error, f, "is too long");
        memcpy(at, v->data, v->bytes);
        return true;
    case BP_FIELD_STRUCT:
        if (v->count > f->count)
            return refuse(error, f, "has too many elements");
        for (uint32_t i = 0; i < v->count; i++) {
            struct state_reader *e = state_get_element(r, f->name, i, error);
            if (!e || !fields_load(e, f->fields, at + (size_t)i * f->elem_size,
                                   error))
                return false;
        }
        return true;
    }
    return refuse(error, f, "has another type");
}

bool fields_load(struct state_reader *r, const struct bp_field *table,
                 void *base, GError **error)
{
    for (const struct bp_field *f = table; f && f->name; f++) {
        if (!load_row(r, f, (uint8_t *)base + f->offset, error))
            return false;
    }
    const char *unknown = state_unknown(r);
    if (unknown) {
        g_set_error(error, STATE_ERROR, STATE_ERROR_DATA,
                    "field '%s' is not known here", unknown);
        return false;
    }
    return true;
}

static char *check_row(const struct bp_field *table, const struct bp_field *f,
                       uint64_t offset, uint64_t bytes, unsigned depth);

static char *check_table(const struct bp_field *table, uint64_t offset,
                         uint64_t bytes, unsigned depth)
{
    if (depth >= STATE_MAX_DEPTH)
        return g_strdup("the table is nested too deeply");
    for (const struct bp_field *f = table; f && f->name; f++) {
        char *reason = check_row(table, f, offset, bytes, depth);
        if (reason)
            return reason;
    }
    return NULL;
}

static char *check_row(const struct bp_field *table, const struct bp_field *f,
                       uint64_t offset, uint64_t bytes, unsigned depth)
{
    uint64_t end = f->offset + (uint64_t)f->elem_size * f->count;

    if (!f->name[0] || strlen(f->name) > 64)
        return g_strdup("a field has no usable name");
    for (const struct bp_field *g = table; g < f; g++) {
        if (strcmp(g->name, f->name) == 0)
            return g_strdup_printf("field '%s' is there twice", f->name);
    }
    if (f->offset < offset || end > offset + bytes)
        return g_strdup_printf("field '%s' lies outside its struct", f->name);
    if (!f->elem_size || !f->count ||
        f->flags & ~(BP_FIELD_OPTIONAL | BP_FIELD_TRIM))
        return g_strdup_printf("field '%s' has no valid size", f->name);
    switch (f->type) {
    case BP_FIELD_UINT:
        if (f->elem_size != 1 && f->elem_size != 2 && f->elem_size != 4 &&
            f->elem_size != 8)
            return g_strdup_printf("field '%s' is no integer", f->name);
        return NULL;
    case BP_FIELD_BYTES: return NULL;
    case BP_FIELD_STRUCT:
        return check_table(f->fields, 0, f->elem_size, depth + 1);
    }
    return g_strdup_printf("field '%s' has an unknown type", f->name);
}

char *fields_check(const struct bp_field *table, uint64_t offset,
                   uint64_t bytes)
{
    return check_table(table, offset, bytes, 0);
}

/* --- for people -----------------------------------------------------------*/

#define SHOWN 16u /* elements or bytes of a long field */

static void describe_row(GString *out, const struct bp_field *f,
                         const uint8_t *at, const char *indent)
{
    uint32_t count =
        f->type == BP_FIELD_BYTES ? f->elem_size * f->count : f->count;
    uint32_t size = f->type == BP_FIELD_BYTES ? 1 : f->elem_size;

    g_string_append_printf(out, "%s%s =", indent, f->name);
    for (uint32_t i = 0; i < count && i < SHOWN; i++) {
        uint64_t value = 0;
        for (uint32_t b = 0; b < size; b++) {
            unsigned shift =
                G_BYTE_ORDER == G_LITTLE_ENDIAN ? 8 * b : 8 * (size - 1 - b);
            value |= (uint64_t)at[(size_t)i * size + b] << shift;
        }
        g_string_append_printf(out, " %0*" PRIx64, (int)(2 * size), value);
    }
    g_string_append(out, count > SHOWN ? " ..\n" : "\n");
}

void fields_describe(GString *out, const struct bp_field *table,
                     const void *base, const char *indent)
{
    for (const struct bp_field *f = table; f && f->name; f++) {
        const uint8_t *at = (const uint8_t *)base + f->offset;
        if (f->type != BP_FIELD_STRUCT) {
            describe_row(out, f, at, indent);
            continue;
        }
        for (uint32_t i = 0; i < f->count; i++) {
            char *deeper = g_strdup_printf("%s  ", indent);
            g_string_append_printf(out, "%s%s[%u]\n", indent, f->name, i);
            fields_describe(out, f->fields, at + (size_t)i * f->elem_size,
                            deeper);
            g_free(deeper);
        }
    }
}
