/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signal lines of one machine, by group and number as in
 * <backplane/irq.h>: "isa" 0..15, "pirq" 0..3, "gsi" 0..23, "intr", "nmi",
 * "smi", "ferr", "a20".
 *
 * A line is the OR of its outputs.  Its inputs hear of changes in the order
 * in which they were added, each in its own lane.  However many outputs
 * change at the same time, the last call that an input gets carries the
 * level that the line then keeps.
 */
#ifndef BUS_WIRE_H
#define BUS_WIRE_H

#include <stdbool.h>
#include <stdint.h>

struct lane;
struct wires;
struct wire_output;

typedef void wire_input_fn(void *opaque, unsigned number, bool level);

struct wires *wires_create(void);
void wires_destroy(struct wires *w); /* and all outputs and inputs */

/* Lines in a group; 0 when there is no such group. */
unsigned wires_in_group(const char *group);

/*
 * Outputs are low at first.  NULL when there is no such line.  Adding and
 * removing: set-up, or the machine stopped.
 */
struct wire_output *wire_output_add(struct wires *w, const char *group,
                                    unsigned number);
void wire_output_remove(struct wire_output *o); /* drives low first */

/*
 * Any thread; setting the same level again does nothing.  The inputs were
 * called when it returns, except: an input whose lane the caller holds, or
 * may not take by its rank, is called from that lane's queue, and one that
 * another thread is calling at this moment is called by that thread.
 */
void wire_output_set(struct wire_output *o, bool level);
bool wire_output_level(const struct wire_output *o);
/* Saved state: sets the level and tells no input (they are restored too).
 * Machine stopped. */
void wire_output_restore(struct wire_output *o, bool level);

/*
 * fn is called at changes, not for the level at the time of the call.  lane
 * NULL: on the thread of the output; fn must not block.  False when there is
 * no such line.  Set-up only.
 */
bool wire_input_add(struct wires *w, const char *group, unsigned number,
                    struct lane *lane, wire_input_fn *fn, void *opaque);
/* Removes all inputs with this opaque.  Machine stopped. */
void wire_inputs_remove(struct wires *w, void *opaque);

/* The level now; a line that does not exist is low.  Any thread. */
bool wire_level(struct wires *w, const char *group, unsigned number);

/* Lines that are high or have listeners, for `ctl info wires`; g_free it. */
char *wires_describe(struct wires *w);

#endif
