/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole machine in a file: what it is made of, the board, the processors.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "cpu/vcpu.h"
#include "hv/hv.h"
#include "irq/lapic.h"
#include "sched/vcpu.h"
#include "state/board.h"
#include "state/field.h"
#include "state/stream.h"
#include "vm/config.h"
#include "vm/error.h"
#include "vm/machine.h"
#include "vm/vm.h"

#define CPU_VERSION 1u
#define HV_VERSION  1u

/* --- saving ---------------------------------------------------------------*/

static bool save_head(struct vm *vm, struct state_sink *sink,
                      struct state_writer *w)
{
    char *fingerprint = config_fingerprint(vm->config);

    state_put_string(w, "program", "backplane " BP_VERSION);
    state_put_string(w, "config", fingerprint);
    state_put_u64(w, "a20_mask", vm->a20_mask);
    g_free(fingerprint);
    bool ok = state_write_section(sink, "machine", 1, w);
    state_writer_reset(w);
    return ok;
}

static bool save_cpus(struct vm *vm, struct state_sink *sink,
                      struct state_writer *w)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *cpu = vm->vcpus[i];
        char name[16];
        state_begin(w, "state", 1, 0);
        state_element(w);
        fields_save(w, x86_state_fields, &cpu->st);
        state_end(w);
        state_begin(w, "lapic", 1, 0);
        state_element(w);
        fields_save(w, lapic_state_fields, lapic_get_state(cpu->lapic));
        state_end(w);
        if (vm->hv) {
            state_begin(w, "hv", 1, 0);
            state_element(w);
            fields_save(w, hv_vp_state_fields, &vm->hv->vp[i].st);
            state_end(w);
        }
        g_snprintf(name, sizeof(name), "cpu:%u", i);
        if (!state_write_section(sink, name, CPU_VERSION, w))
            return false;
        state_writer_reset(w);
    }
    return true;
}

static bool save_hv(struct vm *vm, struct state_sink *sink,
                    struct state_writer *w)
{
    bool ok;

    if (!vm->hv)
        return true;
    fields_save(w, hv_state_fields, &vm->hv->st);
    ok = state_write_section(sink, "hv", HV_VERSION, w);
    state_writer_reset(w);
    return ok;
}

static bool save_all(struct vm *vm, struct state_sink *sink, bool for_hash)
{
    const struct board_save options = { .for_hash = for_hash,
                                        .with_ram = true };
    struct state_writer *w = state_writer_new();
    bool ok = state_write_head(sink) && save_head(vm, sink, w) &&
              save_hv(vm, sink, w) && save_cpus(vm, sink, w) &&
              board_save(vm, sink, &options) &&
              state_write_section(sink, "end", 1, NULL);

    state_writer_free(w);
    return ok;
}

struct file_sink {
    struct state_sink sink;
    FILE *file;
};

static bool file_write(struct state_sink *sink, const void *data, size_t bytes)
{
    struct file_sink *s = (struct file_sink *)sink;

    if (fwrite(data, 1, bytes, s->file) == bytes)
        return true;
    sink->error = errno ? errno : EIO;
    return false;
}

/* Flushes to the disk and takes the file's name. */
static bool publish(struct file_sink *s, const char *temporary,
                    const char *path)
{
    bool ok = fflush(s->file) == 0 && fsync(fileno(s->file)) == 0 &&
              rename(temporary, path) == 0;

    if (!ok)
        s->sink.error = errno;
    return ok;
}

bool machine_save(struct vm *vm, const char *path, GError **error)
{
    struct file_sink s = { { file_write, 0 }, NULL };
    char *temporary = g_strconcat(path, ".new", NULL);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = false;

    s.file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!s.file) {
        s.sink.error = errno;
    } else {
        ok = save_all(vm, &s.sink, false) && publish(&s, temporary, path);
        fclose(s.file);
    }
    if (!ok) {
        vm_fail(error, VM_ERROR_RUN, "'%s' cannot be written: %s", path,
                g_strerror(s.sink.error));
        if (s.file)
            unlink(temporary);
    }
    g_free(temporary);
    return ok;
}

struct hash_sink {
    struct state_sink sink;
    GChecksum *sum;
};

static bool hash_write(struct state_sink *sink, const void *data, size_t bytes)
{
    struct hash_sink *s = (struct hash_sink *)sink;

    g_checksum_update(s->sum, data, (gssize)bytes);
    return true;
}

char *machine_hash(struct vm *vm)
{
    struct hash_sink s = { { hash_write, 0 }, NULL };

    s.sum = g_checksum_new(G_CHECKSUM_SHA256);
    save_all(vm, &s.sink, true);
    char *text = g_strdup(g_checksum_get_string(s.sum));
    g_checksum_free(s.sum);
    return text;
}

/* --- loading --------------------------------------------------------------*/

struct load {
    struct vm *vm;
    struct board_load *board;
    bool head;
    unsigned cpus;
};

static bool load_head(struct load *l, struct state_reader *r, GError **error)
{
    char *saved = state_get_string(r, "config");
    char *mine = config_fingerprint(l->vm->config);
    uint64_t mask;
    bool same = saved && strcmp(saved, mine) == 0;

    if (!same)
        vm_fail(error, VM_ERROR_RUN,
                "it is of another machine: it was "
                "saved with '%s', this one has '%s'",
                saved ? saved : "?", mine);
    g_free(saved);
    g_free(mine);
    if (!same)
        return false;
    if (!state_get_u64(r, "a20_mask", &mask) ||
        (mask != UINT64_MAX && mask != ~(1ull << 20)))
        return vm_fail(error, VM_ERROR_RUN, "its A20 mask is damaged");
    vcpus_a20(l->vm, mask == UINT64_MAX);
    l->head = true;
    return true;
}

static bool load_cpu(struct load *l, const char *name, struct state_reader *r,
                     GError **error)
{
    char expected[16];

    g_snprintf(expected, sizeof(expected), "cpu:%u", l->cpus);
    if (l->cpus >= l->vm->vcpu_count || strcmp(name, expected) != 0)
        return vm_fail(error, VM_ERROR_RUN, "section '%s' is out of place",
                       name);
    struct vcpu *cpu = l->vm->vcpus[l->cpus++];
    struct state_reader *e = state_get_element(r, "state", 0, error);
    if (!e || !fields_load(e, x86_state_fields, &cpu->st, error))
        return false;
    e = state_get_element(r, "lapic", 0, error);
    if (!e ||
        !fields_load(e, lapic_state_fields, lapic_get_state(cpu->lapic), error))
        return false;
    if (!l->vm->hv)
        return true;
    e = state_get_element(r, "hv", 0, error);
    return e && fields_load(e, hv_vp_state_fields,
                            &l->vm->hv->vp[cpu->index].st, error);
}

static bool load_section(struct load *l, const char *name, uint32_t version,
                         struct state_reader *r, GError **error)
{
    bool known;

    if (strcmp(name, "machine") == 0)
        return load_head(l, r, error);
    if (!l->head)
        return vm_fail(error, VM_ERROR_RUN,
                       "it does not begin with what "
                       "the machine is made of");
    if (g_str_has_prefix(name, "cpu:"))
        return load_cpu(l, name, r, error);
    if (strcmp(name, "hv") == 0 && l->vm->hv)
        return fields_load(r, hv_state_fields, &l->vm->hv->st, error);
    if (!board_load_section(l->board, name, version, r, &known, error))
        return false;
    return known || vm_fail(error, VM_ERROR_RUN,
                            "section '%s' is not known "
                            "here",
                            name);
}

static bool load_finish(struct load *l, GError **error)
{
    if (!l->head || l->cpus != l->vm->vcpu_count)
        return vm_fail(error, VM_ERROR_RUN, "a processor is missing");
    if (!board_load_finish(l->board, error))
        return false;
    for (unsigned i = 0; i < l->vm->vcpu_count; i++)
        vcpu_loaded(l->vm->vcpus[i]);
    if (l->vm->hv)
        hv_loaded(l->vm->hv);
    return true;
}

static bool load_all(struct vm *vm, int fd, GError **error)
{
    struct state_source *source = state_source_new(fd, error);
    struct load l = { .vm = vm };
    bool ok = source != NULL;

    /* A directly booted kernel lies in memory since the reset. */
    l.board = board_load_new(vm, vm->direct_boot == NULL);
    while (ok) {
        const char *name;
        uint32_t version;
        struct state_reader *fields;
        ok = state_read_section(source, &name, &version, &fields, error);
        if (!ok || !fields)
            break;
        ok = load_section(&l, name, version, fields, error);
    }
    ok = ok && load_finish(&l, error);
    board_load_free(l.board);
    state_source_free(source);
    return ok;
}

bool machine_restore(struct vm *vm, const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return vm_fail(error, VM_ERROR_RUN, "'%s' cannot be opened: %s", path,
                       g_strerror(errno));
    bool ok = load_all(vm, fd, error);
    close(fd);
    if (!ok)
        g_prefix_error(error, "'%s' cannot be restored: ", path);
    return ok;
}
