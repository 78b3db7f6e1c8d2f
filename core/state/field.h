/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and loading a struct by a table of its members.  The tables are
 * those of the plugin ABI (backplane/state.h: struct bp_field, BP_FIELD,
 * BP_FIELD_ARRAY, BP_FIELD_BLOB, BP_FIELD_TABLE, BP_FIELD_END); core objects
 * such as struct x86_state use the same ones.
 */
#ifndef STATE_FIELD_H
#define STATE_FIELD_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <backplane/state.h>

struct state_reader;
struct state_writer;

/* Puts one field a row of the table into the current section or element. */
void fields_save(struct state_writer *w, const struct bp_field *table,
                 const void *base);
/*
 * Takes the rows of the table from `r`.  A row that is missing keeps its
 * value; a row of another shape, and a critical field that the table does
 * not know, are refused.
 */
bool fields_load(struct state_reader *r, const struct bp_field *table,
                 void *base, GError **error);
/*
 * What is wrong with a table of a struct of `bytes` bytes, members counted
 * from `offset`: NULL, or one clause to be freed.
 */
char *fields_check(const struct bp_field *table, uint64_t offset,
                   uint64_t bytes);
/* "name=value" lines for people. */
void fields_describe(GString *out, const struct bp_field *table,
                     const void *base, const char *indent);

#endif
