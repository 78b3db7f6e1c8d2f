/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cpu/decode.h"
#include "tests/cpu/decode_bytes.h"
#include "tests/cpu/decode_zydis.h"

static struct x86_features all_features;

static const struct mode {
    const char *name;
    unsigned mode;
} modes[] = {
    { "16", X86_MODE_16 },
    { "32", X86_MODE_32 },
    { "64", X86_MODE_64 },
};

/* Random forms of each row and ModRM. */
#define FORMS 4
#define NOISE 1000000

static void print_totals(const char *what, const struct zydis_totals *t)
{
    fprintf(stderr,
            "# %s: %u compared, %u valid in both, %u invalid in both, "
            "%u of foreign sets, %u different\n",
            what, t->cases, t->valid, t->both_invalid, t->foreign,
            t->different);
}

TEST_P(all_rows_agree_with_zydis, modes)
{
    struct byte_source s = { .seed = 1 + row->mode, .mode = row->mode };
    struct zydis_totals totals = { 0 };
    uint8_t bytes[CASE_BYTES];

    memset(&all_features, 0xff, sizeof all_features);
    for (unsigned r = 1; r < x86_row_count; r++) {
        for (unsigned modrm = 0; modrm < 256; modrm++) {
            if (!bytes_row_takes(&s, r, (uint8_t)modrm))
                continue;
            for (unsigned n = 0; n < FORMS; n++) {
                bytes_of_row(&s, r, (uint8_t)modrm, bytes);
                zydis_compare(&totals, row->mode, bytes, &all_features, true);
            }
        }
    }
    print_totals(row->name, &totals);
    zydis_report();
    CHECK_EQ(totals.different, 0);
}

TEST_P(all_opcodes_agree_with_zydis, modes)
{
    struct byte_source s = { .seed = 5 + row->mode, .mode = row->mode };
    struct zydis_totals totals = { 0 };
    uint8_t bytes[CASE_BYTES];

    memset(&all_features, 0xff, sizeof all_features);
    for (unsigned n = 0; bytes_of_opcode(&s, n, bytes); n++)
        zydis_compare(&totals, row->mode, bytes, &all_features, true);
    print_totals(row->name, &totals);
    zydis_report();
    CHECK_EQ(totals.different, 0);
}

TEST_P(noise_agrees_with_zydis, modes)
{
    struct byte_source s = { .seed = 9 + row->mode, .mode = row->mode };
    struct zydis_totals totals = { 0 };
    uint8_t bytes[CASE_BYTES];

    memset(&all_features, 0xff, sizeof all_features);
    for (unsigned n = 0; n < NOISE; n++) {
        bytes_noise(&s, bytes);
        zydis_compare(&totals, row->mode, bytes, &all_features, false);
    }
    print_totals(row->name, &totals);
    zydis_report();
    CHECK_EQ(totals.different, 0);
}
