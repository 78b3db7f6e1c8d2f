/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sections of everything on a board: clocks, buses, devices, memories,
 * drives and ports.  Machine stopped, lanes drained.
 */
#ifndef STATE_BOARD_H
#define STATE_BOARD_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;
struct memory;
struct state_sink;
struct state_reader;

struct board_save {
    bool for_hash; /* without what the host adds */
    bool with_ram;
};

/* False with sink->error set when the sink did not take it. */
bool board_save(struct vm *vm, struct state_sink *sink,
                const struct board_save *options);

struct board_load;

/* The devices were reset.  fresh: RAM holds nothing but zeros. */
struct board_load *board_load_new(struct vm *vm, bool fresh);
void board_load_free(struct board_load *l);
/* *known is false, and nothing happened, for other objects' sections. */
bool board_load_section(struct board_load *l, const char *name,
                        uint32_t version, struct state_reader *fields,
                        bool *known, GError **error);
/* All sections were read: was everything there, and do the devices accept
 * it? */
bool board_load_finish(struct board_load *l, GError **error);

#endif
