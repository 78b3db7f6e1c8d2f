/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bare board: address map, ports, clocks, lanes, wires, buses and RAM
 * of a machine, before any device and processor.
 */
#ifndef VM_BOARD_H
#define VM_BOARD_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;

struct board_options {
    uint64_t ram_bytes;    /* multiple of 4096 */
    uint64_t ram_below_4g; /* at most; the rest starts at 4 GiB */
    uint64_t ram_max;      /* with what may come later; 0: no more */
    bool deterministic;
    unsigned lane_threads; /* 0 in deterministic mode */
    bool pci;
    bool flat; /* memory at A0000-FFFFF too: nothing else is there */
};

bool board_create(struct vm *vm, const struct board_options *options,
                  GError **error);
/* Everything, devices included, of a vm that is stopped; also after a
 * board_create() that failed. */
void board_destroy(struct vm *vm);

/*
 * The board's firmware: ends at 4 GiB, and its last 128 KiB are seen below
 * 1 MiB too.  A copy is taken; bytes is a multiple of 4096.
 */
bool board_add_firmware(struct vm *vm, const void *data, uint64_t bytes,
                        GError **error);

/* All devices in order; the last ones are stopped first. */
void board_reset_devices(struct vm *vm);
void board_start_devices(struct vm *vm);
void board_stop_devices(struct vm *vm);
/* Until no lane has work and no drive a request. */
void board_drain(struct vm *vm);

#endif
