/* SPDX-License-Identifier: Apache-2.0 */
/* Sections of what bench_save() gives, for tests that change them. */
#ifndef TESTS_LIB_SAVED_SECTION_H
#define TESTS_LIB_SAVED_SECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct saved_section {
    uint8_t *head;    /* in the data; NULL: before the first */
    uint8_t *content; /* what may be changed */
    size_t length;
};

/* The next one; false: there is none. */
bool saved_section_next(struct saved_section *s, uint8_t *data, size_t bytes);
/* Of the device of this name; fails the test when there is none. */
struct saved_section saved_section_of(uint8_t *data, size_t bytes,
                                      const char *device);
/* Makes its checksum right, so that a change reaches the device. */
void saved_section_seal(const struct saved_section *s);

#endif
