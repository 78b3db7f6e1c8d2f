/* SPDX-License-Identifier: Apache-2.0 */
#include "state/board.h"

#include <inttypes.h>
#include <string.h>

#include "block/block.h"
#include "bus/pci.h"
#include "char/port.h"
#include "mem/map.h"
#include "net/port.h"
#include "plugin/device.h"
#include "sched/clock.h"
#include "state/stream.h"
#include "vm/error.h"
#include "vm/storage.h"
#include "vm/vm.h"

/* A section of memory holds at most this many pages: 4 MiB. */
#define CHUNK_PAGES 1024u
#define CHUNK_MAP   (CHUNK_PAGES / 8)

/* --- saving ---------------------------------------------------------------*/

static bool emit(struct state_sink *sink, const char *kind, const char *name,
                 uint32_t version, struct state_writer *w)
{
    char *full = name ? g_strconcat(kind, ":", name, NULL) : g_strdup(kind);
    bool ok = state_write_section(sink, full, version, w);

    g_free(full);
    state_writer_reset(w);
    return ok;
}

static bool is_zero(const uint8_t *page)
{
    uint64_t first;

    memcpy(&first, page, sizeof(first));
    return first == 0 && memcmp(page, page + 8, PAGE_BYTES - 8) == 0;
}

static bool save_chunk(struct state_sink *sink, const char *name,
                       const struct memory *mem, uint64_t first,
                       struct state_writer *w)
{
    uint64_t pages = MIN(CHUNK_PAGES, mem->size / PAGE_BYTES - first);
    const uint8_t *host = mem->host + first * PAGE_BYTES;
    uint8_t used[CHUNK_MAP] = { 0 };
    uint64_t known = 0; /* bytes before this are used */
    GByteArray *data = NULL;

    for (uint64_t i = 0; i < pages; i++) {
        uint64_t at = (first + i) * PAGE_BYTES;
        if (at >= known)
            i = memory_next_used(mem, at, &known) / PAGE_BYTES - first;
        if (i >= pages || is_zero(host + i * PAGE_BYTES))
            continue;
        if (!data)
            data = g_byte_array_sized_new(CHUNK_PAGES * PAGE_BYTES);
        used[i / 8] |= (uint8_t)(1u << (i % 8));
        g_byte_array_append(data, host + i * PAGE_BYTES, PAGE_BYTES);
    }
    if (!data)
        return true;
    state_put_u64(w, "first", first);
    state_put_bytes(w, "used", used, sizeof(used));
    state_put_bytes(w, "pages", data->data, data->len);
    g_byte_array_free(data, TRUE);
    return emit(sink, "pages", name, 1, w);
}

static bool save_memory(struct state_sink *sink, const char *name,
                        const struct memory *mem, struct state_writer *w)
{
    state_put_u64(w, "bytes", mem->size);
    if (!emit(sink, "memory", name, 1, w))
        return false;
    /* Reading what was never used would take memory for it. */
    for (uint64_t end, at = memory_next_used(mem, 0, &end); at < mem->size;
         at = memory_next_used(mem, at, &end)) {
        at &= ~(uint64_t)(CHUNK_PAGES * PAGE_BYTES - 1);
        if (!save_chunk(sink, name, mem, at / PAGE_BYTES, w))
            return false;
        at += CHUNK_PAGES * PAGE_BYTES;
    }
    return true;
}

static bool save_memories(struct vm *vm, struct state_sink *sink,
                          const struct board_save *o, struct state_writer *w)
{
    for (guint i = 0; i < vm->memories->len; i++) {
        const struct vm_memory *m = vm->memories->pdata[i];
        if (!save_memory(sink, m->name, m->mem, w))
            return false;
    }
    return !o->with_ram || !vm->ram || save_memory(sink, "ram", vm->ram, w);
}

/* Where a disk is that can come and go, and which one it was, so that one
 * that is missing at the restore can be told to the user. */
static void save_place(struct vm *vm, const struct block_drive *d,
                       struct state_writer *w)
{
    struct device *controller;
    uint32_t lun;

    if (!storage_place(vm, d, &controller, &lun))
        return;
    state_put_string(w, "controller", controller->name);
    state_put_u64(w, "lun", lun);
    state_put_string(w, "path", d->options.path ? d->options.path : "");
}

static bool save_drives(struct vm *vm, struct state_sink *sink,
                        struct state_writer *w)
{
    for (guint i = 0; i < vm->drives->len; i++) {
        struct block_drive *d = vm->drives->pdata[i];
        uint64_t next = 0;
        block_drive_save(d, w);
        save_place(vm, d, w);
        if (!emit(sink, "drive", d->name, 1, w))
            return false;
        while (block_drive_save_part(d, &next, w)) {
            if (!emit(sink, "blocks", d->name, 1, w))
                return false;
        }
    }
    return true;
}

static bool save_ports(struct vm *vm, struct state_sink *sink,
                       struct state_writer *w)
{
    for (guint i = 0; i < vm->ports->len; i++) {
        struct char_port *p = vm->ports->pdata[i];
        char_port_save(p, w);
        if (!emit(sink, "port", p->name, 1, w))
            return false;
    }
    return true;
}

static bool save_nets(struct vm *vm, struct state_sink *sink,
                      struct state_writer *w)
{
    for (guint i = 0; i < vm->nets->len; i++) {
        struct net_port *p = vm->nets->pdata[i];
        net_port_save(p, w);
        if (!emit(sink, "net", p->name, 1, w))
            return false;
    }
    return true;
}

static bool save_clocks(struct vm *vm, struct state_sink *sink, bool for_hash,
                        struct state_writer *w)
{
    state_put_u64(w, "virtual", clock_now(vm->clocks, CLOCK_VIRTUAL));
    if (!for_hash || vm->deterministic)
        state_put_u64(w, "wall_offset",
                      (uint64_t)clock_wall_offset(vm->clocks));
    if (vm->pci)
        state_put_u64(w, "pci_address", pci_bus_address(vm->pci));
    return emit(sink, "board", NULL, 1, w);
}

bool board_save(struct vm *vm, struct state_sink *sink,
                const struct board_save *o)
{
    struct state_writer *w = state_writer_new();
    bool ok = save_clocks(vm, sink, o->for_hash, w);

    for (guint i = 0; ok && i < vm->devices->len; i++) {
        struct device *d = vm->devices->pdata[i];
        device_save(d, w, o->for_hash);
        ok = emit(sink, "device", d->name, d->desc->state_version, w);
    }
    ok = ok && (o->for_hash || save_ports(vm, sink, w)) &&
         save_nets(vm, sink, w) && save_drives(vm, sink, w) &&
         save_memories(vm, sink, o, w);
    state_writer_free(w);
    return ok;
}

/* --- loading --------------------------------------------------------------*/

struct board_load {
    struct vm *vm;
    bool fresh;
    bool board;
    GHashTable *seen; /* names of sections */
    GArray *versions; /* of each device's section; 0: not seen */
};

struct board_load *board_load_new(struct vm *vm, bool fresh)
{
    struct board_load *l = g_new0(struct board_load, 1);

    l->vm = vm;
    l->fresh = fresh;
    l->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    l->versions = g_array_new(FALSE, TRUE, sizeof(uint32_t));
    g_array_set_size(l->versions, vm->devices->len);
    return l;
}

void board_load_free(struct board_load *l)
{
    if (!l)
        return;
    g_hash_table_destroy(l->seen);
    g_array_free(l->versions, TRUE);
    g_free(l);
}

static bool load_board(struct board_load *l, struct state_reader *r,
                       GError **error)
{
    uint64_t now, offset, address;

    if (!state_get_u64(r, "virtual", &now) || now > INT64_MAX)
        return vm_fail(error, VM_ERROR_RUN, "the saved clock is damaged");
    clock_set_virtual(l->vm->clocks, now);
    if (state_get_u64(r, "wall_offset", &offset))
        clock_set_wall_offset(l->vm->clocks, (int64_t)offset);
    if (l->vm->pci && state_get_u64(r, "pci_address", &address))
        pci_bus_set_address(l->vm->pci, (uint32_t)address);
    l->board = true;
    return true;
}

static bool load_device(struct board_load *l, const char *name,
                        uint32_t version, struct state_reader *r,
                        GError **error)
{
    struct vm *vm = l->vm;

    if (!l->board)
        return vm_fail(error, VM_ERROR_RUN,
                       "device '%s' was saved before the clock", name);
    for (guint i = 0; i < vm->devices->len; i++) {
        struct device *d = vm->devices->pdata[i];
        if (strcmp(d->name, name) != 0)
            continue;
        if (version > d->desc->state_version)
            return vm_fail(error, VM_ERROR_RUN,
                           "device '%s' was saved by a newer version (%u, "
                           "this is %u)",
                           name, version, d->desc->state_version);
        /* A version of 0 is one that was never set. */
        g_array_index(l->versions, uint32_t, i) = MAX(version, 1u);
        return device_load(d, r, error);
    }
    return vm_fail(error, VM_ERROR_RUN,
                   "the saved machine has a device '%s', this one has not",
                   name);
}

static struct memory *memory_named(struct vm *vm, const char *name)
{
    if (strcmp(name, "ram") == 0)
        return vm->ram;
    for (guint i = 0; i < vm->memories->len; i++) {
        const struct vm_memory *m = vm->memories->pdata[i];
        if (strcmp(m->name, name) == 0)
            return m->mem;
    }
    return NULL;
}

static bool load_memory(struct board_load *l, const char *name,
                        struct state_reader *r, GError **error)
{
    struct memory *mem = memory_named(l->vm, name);
    uint64_t bytes;

    if (!mem || !state_get_u64(r, "bytes", &bytes) || bytes != mem->size)
        return vm_fail(error, VM_ERROR_RUN,
                       "the saved machine has another memory '%s'", name);
    if (!(l->fresh && mem == l->vm->ram))
        memory_discard(l->vm->map, mem, 0, mem->size);
    else
        memory_touched(l->vm->map, mem, 0, mem->size);
    return true;
}

static bool load_pages(struct board_load *l, const char *name,
                       struct state_reader *r, GError **error)
{
    struct memory *mem = memory_named(l->vm, name);
    size_t used_bytes, bytes, at = 0;
    uint64_t first;
    const uint8_t *used = state_get_bytes(r, "used", &used_bytes);
    const uint8_t *pages = state_get_bytes(r, "pages", &bytes);

    if (!mem || !used || used_bytes != CHUNK_MAP || !pages ||
        !state_get_u64(r, "first", &first) || first >= mem->size / PAGE_BYTES)
        return vm_fail(error, VM_ERROR_RUN, "saved memory '%s' is damaged",
                       name);
    uint64_t left = mem->size / PAGE_BYTES - first;
    for (uint64_t i = 0; i < CHUNK_PAGES; i++) {
        if (!(used[i / 8] & 1u << (i % 8)))
            continue;
        if (i >= left || bytes - at < PAGE_BYTES)
            return vm_fail(error, VM_ERROR_RUN, "saved memory '%s' is damaged",
                           name);
        memcpy(mem->host + (first + i) * PAGE_BYTES, pages + at, PAGE_BYTES);
        at += PAGE_BYTES;
    }
    return true;
}

/* The file is not opened for what a saved machine says: the user does. */
static bool drive_is_missing(const char *name, struct state_reader *r,
                             GError **error)
{
    g_autofree char *controller = state_get_string(r, "controller");
    g_autofree char *path = state_get_string(r, "path");
    uint64_t lun;

    if (!controller || !path || !state_get_u64(r, "lun", &lun))
        return vm_fail(error, VM_ERROR_RUN,
                       "the saved machine has a drive '%s', this one has not",
                       name);
    return vm_fail(error, VM_ERROR_RUN,
                   "the saved machine has a drive '%s' at %s, lun %" PRIu64
                   ", from '%s': add it with --disk or --cdrom FILE,bus=scsi,"
                   "controller=N,lun=%" PRIu64,
                   name, controller, lun, path, lun);
}

/* A disk that moved is another one to the guest. */
static bool check_place(struct vm *vm, const struct block_drive *d,
                        struct state_reader *r, GError **error)
{
    g_autofree char *was = state_get_string(r, "controller");
    struct device *controller;
    uint64_t lun_was;
    uint32_t lun;

    if (!was || !state_get_u64(r, "lun", &lun_was))
        return true;
    if (storage_place(vm, d, &controller, &lun) && lun == lun_was &&
        strcmp(controller->name, was) == 0)
        return true;
    return vm_fail(error, VM_ERROR_RUN,
                   "drive '%s' was at %s, lun %" PRIu64
                   " when the machine was saved",
                   d->name, was, lun_was);
}

static bool load_drive(struct board_load *l, const char *name, bool part,
                       struct state_reader *r, GError **error)
{
    for (guint i = 0; i < l->vm->drives->len; i++) {
        struct block_drive *d = l->vm->drives->pdata[i];
        if (strcmp(d->name, name) == 0)
            return part ? block_drive_load_part(d, r, error)
                        : check_place(l->vm, d, r, error) &&
                              block_drive_load(d, r, error);
    }
    return drive_is_missing(name, r, error);
}

static bool load_port(struct board_load *l, const char *name,
                      struct state_reader *r, GError **error)
{
    for (guint i = 0; i < l->vm->ports->len; i++) {
        struct char_port *p = l->vm->ports->pdata[i];
        if (strcmp(p->name, name) == 0)
            return char_port_load(p, r, error);
    }
    return vm_fail(error, VM_ERROR_RUN,
                   "the saved machine has a port '%s', this one has not", name);
}

static bool load_net(struct board_load *l, const char *name,
                     struct state_reader *r, GError **error)
{
    for (guint i = 0; i < l->vm->nets->len; i++) {
        struct net_port *p = l->vm->nets->pdata[i];
        if (strcmp(p->name, name) == 0)
            return net_port_load(p, r, error);
    }
    return vm_fail(error, VM_ERROR_RUN,
                   "the saved machine has a network port '%s', this one has "
                   "not",
                   name);
}

bool board_load_section(struct board_load *l, const char *full,
                        uint32_t version, struct state_reader *r, bool *known,
                        GError **error)
{
    const char *colon = strchr(full, ':');
    size_t kind = colon ? (size_t)(colon - full) : strlen(full);
    const char *name = colon ? colon + 1 : "";
    bool repeats =
        g_str_has_prefix(full, "pages:") || g_str_has_prefix(full, "blocks:");

#define IS(text) (kind == strlen(text) && memcmp(full, text, kind) == 0)
    *known = IS("board") || IS("device") || IS("memory") || IS("pages") ||
             IS("drive") || IS("blocks") || IS("port") || IS("net");
    if (!*known)
        return true;
    if (!repeats && !g_hash_table_add(l->seen, g_strdup(full)))
        return vm_fail(error, VM_ERROR_RUN, "section '%s' is there twice",
                       full);
    if (IS("board"))
        return load_board(l, r, error);
    if (IS("device"))
        return load_device(l, name, version, r, error);
    if (IS("memory"))
        return load_memory(l, name, r, error);
    if (IS("pages"))
        return load_pages(l, name, r, error);
    if (IS("drive"))
        return load_drive(l, name, false, r, error);
    if (IS("blocks"))
        return load_drive(l, name, true, r, error);
    if (IS("net"))
        return load_net(l, name, r, error);
    return load_port(l, name, r, error);
#undef IS
}

static bool is_there(struct board_load *l, const char *kind, const char *name,
                     GError **error)
{
    char *full = g_strconcat(kind, ":", name, NULL);
    bool found = g_hash_table_contains(l->seen, full);

    g_free(full);
    return found || vm_fail(error, VM_ERROR_RUN,
                            "the saved machine has no %s '%s'", kind, name);
}

/* Disks that had been removed when the machine was saved. */
static bool remove_unseen(struct board_load *l, GError **error)
{
    struct vm *vm = l->vm;

    for (guint i = vm->drives->len; i-- > 0;) {
        const struct block_drive *d = vm->drives->pdata[i];
        g_autofree char *section = g_strconcat("drive:", d->name, NULL);
        g_autofree char *name = g_strdup(d->name);
        struct device *controller;
        uint32_t lun;

        if (!g_hash_table_contains(l->seen, section) &&
            storage_place(vm, d, &controller, &lun) &&
            !storage_remove_disk(vm, name, error))
            return false;
    }
    return true;
}

bool board_load_finish(struct board_load *l, GError **error)
{
    struct vm *vm = l->vm;

    if (!l->board)
        return vm_fail(error, VM_ERROR_RUN, "the saved clock is missing");
    for (guint i = 0; i < vm->devices->len; i++) {
        struct device *d = vm->devices->pdata[i];
        if (!is_there(l, "device", d->name, error))
            return false;
    }
    for (guint i = 0; i < vm->memories->len; i++) {
        const struct vm_memory *m = vm->memories->pdata[i];
        if (!is_there(l, "memory", m->name, error))
            return false;
    }
    if (!remove_unseen(l, error))
        return false;
    for (guint i = 0; i < vm->devices->len; i++) {
        uint32_t version = g_array_index(l->versions, uint32_t, i);
        if (!device_loaded(vm->devices->pdata[i], version, error))
            return false;
    }
    return true;
}
