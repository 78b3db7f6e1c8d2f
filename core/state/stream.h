/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved state as bytes.
 *
 *   file     "BPSTATE\n", u32 format version, section...
 *   section  u32 "SECT", u32 length of the name, u64 length of the content,
 *            u32 version, u32 CRC-32 of name and content, name, content
 *   content  field...
 *   field    u8 type, u8 flags, u16 length of the name, u32 element size,
 *            u32 count, u64 length of the data, name, data
 *
 * All integers are little-endian.  The data of a struct field are, for each
 * element, a u32 length and its fields.  The last section is named "end", so
 * a file that was cut off is noticed.  A field whose flags carry
 * STATE_OPTIONAL may be ignored by a reader that does not know it.
 *
 * Everything read is untrusted: lengths are checked against what is there
 * before anything is allocated or copied.
 */
#ifndef STATE_STREAM_H
#define STATE_STREAM_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATE_FORMAT      1u
#define STATE_OPTIONAL    1u
#define STATE_MAX_SECTION (64u << 20)
#define STATE_MAX_DEPTH   8u

enum state_type {
    STATE_UINT = 1,
    STATE_BYTES = 2,
    STATE_STRUCT = 3,
};

/* --- writing: the fields of one section ----------------------------------*/

struct state_writer;

struct state_writer *state_writer_new(void);
void state_writer_free(struct state_writer *w);
const uint8_t *state_writer_data(const struct state_writer *w, size_t *bytes);
/* Empty again, to be used for the next section. */
void state_writer_reset(struct state_writer *w);

void state_put_u64(struct state_writer *w, const char *name, uint64_t value);
void state_put_string(struct state_writer *w, const char *name,
                      const char *text);
void state_put_bytes(struct state_writer *w, const char *name, const void *data,
                     size_t bytes);
/* `count` integers of `elem_size` bytes in host order. */
void state_put_uints(struct state_writer *w, const char *name, const void *data,
                     uint32_t elem_size, uint32_t count, unsigned flags);
/* A struct field: begin, then for each of `count` elements element .. its
 * fields, then end.  Nests up to STATE_MAX_DEPTH. */
void state_begin(struct state_writer *w, const char *name, uint32_t count,
                 unsigned flags);
void state_element(struct state_writer *w);
void state_end(struct state_writer *w);

/* --- reading -------------------------------------------------------------*/

/* The fields of a section or of an element, by name. */
struct state_reader;

struct state_value { /* a field, not converted */
    enum state_type type;
    unsigned flags;
    uint32_t elem_size, count;
    const uint8_t *data;
    size_t bytes;
    bool used; /* somebody asked for it */
};

/* Parses; NULL when the bytes are not fields.  `data` must outlive it. */
struct state_reader *state_reader_new(const uint8_t *data, size_t bytes,
                                      GError **error);
void state_reader_free(struct state_reader *r);
struct state_value *state_find(struct state_reader *r, const char *name);
bool state_get_u64(struct state_reader *r, const char *name, uint64_t *value);
/* To be freed; NULL when there is none or it holds a NUL. */
char *state_get_string(struct state_reader *r, const char *name);
/* Points into the section; NULL when there is none. */
const uint8_t *state_get_bytes(struct state_reader *r, const char *name,
                               size_t *bytes);
/* How many elements the struct field has; 0 when there is none. */
uint32_t state_count(struct state_reader *r, const char *name);
/* Element `index`; owned by `r`.  NULL when it is malformed. */
struct state_reader *state_get_element(struct state_reader *r, const char *name,
                                       uint32_t index, GError **error);
/* The first critical field that nobody asked for, or NULL. */
const char *state_unknown(struct state_reader *r);

/* Integers in host order from data of the wire, and back. */
uint64_t state_load_uint(const uint8_t *data, uint32_t elem_size);
void state_store_uint(uint8_t *data, uint32_t elem_size, uint64_t value);

/* --- sections ------------------------------------------------------------*/

/* Where sections go: a file or a hash. */
struct state_sink {
    bool (*write)(struct state_sink *sink, const void *data, size_t bytes);
    int error; /* errno of the first failure */
};

bool state_write_head(struct state_sink *sink);
bool state_write_section(struct state_sink *sink, const char *name,
                         uint32_t version, const struct state_writer *w);

struct state_source;

/* fd stays the caller's. */
struct state_source *state_source_new(int fd, GError **error);
void state_source_free(struct state_source *s);
/*
 * The next section: its name, version and fields, valid until the next call.
 * *fields is NULL after "end".  False with one sentence.
 */
bool state_read_section(struct state_source *s, const char **name,
                        uint32_t *version, struct state_reader **fields,
                        GError **error);

uint32_t state_crc32(uint32_t crc, const void *data, size_t bytes);

#define STATE_ERROR state_error_quark()
GQuark state_error_quark(void);
enum { STATE_ERROR_DATA };

#endif
