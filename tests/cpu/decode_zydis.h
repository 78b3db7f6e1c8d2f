/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CPU_DECODE_ZYDIS_H
#define TESTS_CPU_DECODE_ZYDIS_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/decode.h"

struct zydis_totals {
    unsigned cases, valid, both_invalid, foreign, different;
};

struct zydis_case {
    struct zydis_totals *totals;
    unsigned mode;
    const uint8_t *bytes;
    const struct x86_insn *insn;
};

/* Decodes bytes with both; whole: compares more than the length. */
void zydis_compare(struct zydis_totals *totals, unsigned mode,
                   const uint8_t *bytes, const struct x86_features *feat,
                   bool whole);

/* Prints each kind of difference with an example. */
void zydis_report(void);

#endif
