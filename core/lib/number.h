/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people write them.  Each returns false for anything else. */
#ifndef LIB_NUMBER_H
#define LIB_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* Decimal, or hexadecimal after 0x; nothing around it. */
bool number_parse(const char *text, uint64_t *value);
/* A number with one of the suffixes K M G T (powers of 1024), or none. */
bool number_parse_size(const char *text, uint64_t *bytes);
/* on off, yes no, true false, 1 0 */
bool number_parse_bool(const char *text, bool *value);
/* The shortest form that number_parse_size reads; g_free it. */
char *number_format_size(uint64_t bytes);

#endif
