/* SPDX-License-Identifier: Apache-2.0 */
/* Byte strings for decoder tests: encodings of the table's rows, and noise. */
#ifndef TESTS_CPU_DECODE_BYTES_H
#define TESTS_CPU_DECODE_BYTES_H

#include <stdbool.h>
#include <stdint.h>

/* More than an instruction can have. */
#define CASE_BYTES 24

struct byte_source {
    uint64_t seed; /* not 0 */
    unsigned mode; /* X86_MODE_16, _32, _64 */
    bool plain;    /* no prefix without a meaning */
};

uint64_t bytes_random(struct byte_source *s);

/* An instruction of row number `row` with this ModRM, where it has one. */
void bytes_of_row(struct byte_source *s, unsigned row, uint8_t modrm,
                  uint8_t *out);

/* Does the row have encodings in the mode, and with this ModRM? */
bool bytes_row_takes(const struct byte_source *s, unsigned row, uint8_t modrm);

/* Prefixes, an opcode of some map and bytes behind it, at random. */
void bytes_noise(struct byte_source *s, uint8_t *out);

/*
 * The n-th of all combinations of map, mandatory prefix, W, L, opcode and
 * ModRM (register forms, and memory by rAX); false behind the last.
 */
bool bytes_of_opcode(struct byte_source *s, unsigned n, uint8_t *out);

#endif
