/* SPDX-License-Identifier: MIT */
/*
 * Properties: what a user may configure on a device.  One table feeds the
 * command line, vm.conf, the control socket and `backplane plugins`.
 *
 * The host checks a value against the table and stores it in the instance
 * before create() is called; unknown names and values out of range never
 * reach the device.
 */
#ifndef BACKPLANE_PROPERTY_H
#define BACKPLANE_PROPERTY_H

#include <stddef.h>
#include <stdint.h>

enum {
    BP_PROP_BOOL = 1,   /* uint32_t: 0 or 1; "on" "off" */
    BP_PROP_UINT = 2,   /* uint32_t, decimal or 0x */
    BP_PROP_SIZE = 3,   /* uint64_t bytes; suffixes K M G T */
    BP_PROP_STRING = 4, /* const char *, owned by the host, never NULL */
    BP_PROP_CHOICE = 5, /* uint32_t: index into choices */
    BP_PROP_BLOCK = 6, /* struct bp_block_drive *, NULL when nothing attached */
    BP_PROP_CHAR = 7,  /* struct bp_char_port *, NULL likewise */
    BP_PROP_NET = 8,   /* struct bp_net_port *, NULL likewise */
};

struct bp_property {
    const char *name;           /* "irq"; NULL ends the table */
    const char *help;           /* one clause */
    uint32_t type;              /* BP_PROP_* */
    uint32_t offset;            /* of the value in the instance */
    uint64_t min, max;          /* UINT, SIZE; both 0: no limit */
    uint64_t number;            /* default of BOOL, UINT, SIZE, CHOICE */
    const char *text;           /* default of STRING; NULL is "" */
    const char *const *choices; /* CHOICE: names, NULL ends */
};

#endif
