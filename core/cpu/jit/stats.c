/* SPDX-License-Identifier: Apache-2.0 */
/* The translator's counters. */
#include <glib.h>

#include "cpu/jit/cache.h"
#include "cpu/jit/check.h"
#include "cpu/table.h"

#define HANDLER_LINES 24

static void handlers(const struct jit *j, accel_counter_fn *put, void *opaque)
{
    g_autofree bool *shown = g_new0(bool, x86_row_count);

    for (unsigned n = 0; n < HANDLER_LINES; n++) {
        g_autofree char *name = NULL;
        unsigned best = 0;

        for (unsigned r = 1; r < x86_row_count; r++)
            if (!shown[r] && j->fallback[r] > j->fallback[best])
                best = r;
        if (!j->fallback[best])
            break;
        shown[best] = true;
        name = g_strdup_printf("%s %s", x86_rows[best].enc,
                               x86_rows[best].mnemonic);
        put(opaque, "handlers", name, j->fallback[best]);
    }
}

void jit_counters(const struct vcpu *cpu, accel_counter_fn *put, void *opaque)
{
    const struct jit *j = cpu->jit;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        { "units translated", j->n_blocks },
        { "blocks in them", j->n_parts },
        { "instructions translated", j->n_insns },
        { "loops without checks", j->n_loops },
        { "code bytes", (uint64_t)(j->at - j->rw) },
        { "code bytes at most", JIT_CODE_BYTES },
        { "data bytes", (uint64_t)(j->data_at - j->data) },
        { "data bytes at most", JIT_DATA_BYTES },
        { "flushes", j->n_flushes },
        { "entries from the run loop", j->n_enters },
        { "links made", j->n_links },
        { "bridges made", j->n_bridges },
        { "slow accesses and handlers", j->n_slow },
        { "block ends by handler", j->n_ends },
        { "... that went on in code", j->n_end_hits },
        { "entries taken back", j->n_unlinks },
        { "vector registers loaded", j->n_vec },
        { "x87 registers loaded", j->n_x87 },
        { "slot misses", cpu->n_slot_misses },
        { "... served by the TLB", cpu->n_slot_fills },
    };

    for (unsigned k = 0; k < G_N_ELEMENTS(rows); k++)
        put(opaque, "jit", rows[k].name, rows[k].value);
    if (j->check)
        check_counters(j->check, put, opaque);
    handlers(j, put, opaque);
}
