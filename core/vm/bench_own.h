/* SPDX-License-Identifier: Apache-2.0 */
/* What the bench's own files share; nobody else includes it. */
#ifndef VM_BENCH_OWN_H
#define VM_BENCH_OWN_H

#include "vm/bench.h"
#include "vm/board.h"
#include "vm/vm.h"

struct watch { /* one line, as the bench hears it */
    struct bench *bench;
    const char *group;
    unsigned number;
    unsigned edges;
    struct wire_output *output; /* NULL until the test drives it */
};

struct bench_part { /* how a device was made, to make it again */
    const struct bp_device_desc *desc;
    char *name;
    char **settings;
};

struct bench {
    struct vm vm;
    struct plugins *own_plugins;
    bool powered;
    bool quiet;          /* lines change, but nothing happened */
    GPtrArray *watches;  /* struct watch * */
    GPtrArray *parts;    /* struct bench_part * */
    GPtrArray *mediums;  /* struct bench_medium * */
    GPtrArray *ends;     /* struct bench_end *: of ports */
    GQueue messages;     /* struct bench_message * */
    GQueue events;       /* char *: "NAME data" */
    struct bench_hv *hv; /* NULL: no hypervisor interface */
};

_Noreturn void bench_die(const char *format, ...) G_GNUC_PRINTF(1, 2);
void bench_part_free(gpointer part);
void bench_free_ends(struct bench *b);
void bench_hv_free(struct bench *b);
/* As vm->event. */
void bench_hear(void *opaque, const char *name, struct _JsonNode *data);

#endif
