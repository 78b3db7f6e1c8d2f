/* SPDX-License-Identifier: MIT */
/*
 * State: one declaration that drives save, load, inspection and tests.
 *
 * A device keeps everything that a guest can observe in one nested struct
 * (state_offset, state_size of its descriptor) and describes each member
 * here.  On the wire a member is its name, its type and its little-endian
 * value: unknown names are ignored when they are not critical, missing ones
 * keep the value that reset() gave.  Armed timers, IRQ line levels, memory
 * regions and PCI configuration space are saved by the host.
 */
#ifndef BACKPLANE_STATE_H
#define BACKPLANE_STATE_H

#include <stddef.h>
#include <stdint.h>

enum {
    BP_FIELD_UINT = 1,   /* elem_size 1, 2, 4 or 8 */
    BP_FIELD_BYTES = 2,  /* elem_size bytes, opaque to the host */
    BP_FIELD_STRUCT = 3, /* elements described by `fields` */
};

enum {
    BP_FIELD_OPTIONAL = 0x1, /* an older host may ignore it on load */
    /* A long table that is mostly empty: elements of zeros at its end are
     * not written, and become zero on load. */
    BP_FIELD_TRIM = 0x2,
};

struct bp_field {
    const char *name;   /* NULL ends the table */
    uint32_t type;      /* BP_FIELD_* */
    uint32_t offset;    /* in the instance, or in the element */
    uint32_t elem_size; /* bytes */
    uint32_t count;     /* elements */
    uint32_t since;     /* state_version that introduced it, from 1 */
    uint32_t flags;
    const struct bp_field *fields; /* BP_FIELD_STRUCT */
};

/* A scalar member: struct type, member path, name on the wire. */
#define BP_FIELD(type, member, name)                             \
    {                                                            \
        name, BP_FIELD_UINT, (uint32_t)offsetof(type, member),   \
            (uint32_t)sizeof(((type *)0)->member), 1, 1, 0, NULL \
    }
/* An array of scalars. */
#define BP_FIELD_ARRAY(type, member, name)                     \
    {                                                          \
        name, BP_FIELD_UINT, (uint32_t)offsetof(type, member), \
            (uint32_t)sizeof(((type *)0)->member[0]),          \
            (uint32_t)(sizeof(((type *)0)->member) /           \
                       sizeof(((type *)0)->member[0])),        \
            1, 0, NULL                                         \
    }
/* A byte buffer. */
#define BP_FIELD_BLOB(type, member, name)                        \
    {                                                            \
        name, BP_FIELD_BYTES, (uint32_t)offsetof(type, member),  \
            (uint32_t)sizeof(((type *)0)->member), 1, 1, 0, NULL \
    }
/* A struct, or an array of n of them, described by table `sub`. */
#define BP_FIELD_TABLE(type, member, name, n, sub)                      \
    {                                                                   \
        name, BP_FIELD_STRUCT, (uint32_t)offsetof(type, member),        \
            (uint32_t)(sizeof(((type *)0)->member) / (n)), n, 1, 0, sub \
    }
/* The same two with BP_FIELD_TRIM. */
#define BP_FIELD_TRIMMED_BLOB(type, member, name)                            \
    {                                                                        \
        name, BP_FIELD_BYTES, (uint32_t)offsetof(type, member),              \
            (uint32_t)sizeof(((type *)0)->member), 1, 1, BP_FIELD_TRIM, NULL \
    }
#define BP_FIELD_TRIMMED_TABLE(type, member, name, n, sub)       \
    {                                                            \
        name, BP_FIELD_STRUCT, (uint32_t)offsetof(type, member), \
            (uint32_t)(sizeof(((type *)0)->member) / (n)), n, 1, \
            BP_FIELD_TRIM, sub                                   \
    }
#define BP_FIELD_END                 \
    {                                \
        NULL, 0, 0, 0, 0, 0, 0, NULL \
    }

#endif
