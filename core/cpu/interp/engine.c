/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software engine as accel.h wants it: creation, state, counters.
 */
#include "cpu/interp/engine.h"

#include <glib.h>
#include <stdarg.h>
#include <string.h>

#include "cpu/interp/blocks.h"
#include "cpu/jit/jit.h"
#include "cpu/mmu.h"
#include "cpu/mode.h"
#include "cpu/sync.h"
#include "lib/log.h"
#include "sched/vcpu.h"
#include "vm/error.h"

#define JIT_HOT 3 /* runs of a block before it is translated */

void cpu_report(struct vcpu *cpu, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    log_warn("cpu", "cpu %u: %s", cpu->index, text);
}

/* --- the engine ---------------------------------------------------------- */

static bool interp_vm_create(struct vm *vm, GError **error)
{
    struct interp_vm *engine = g_new0(struct interp_vm, 1);

    pthread_mutex_init(&engine->bus, NULL);
    vm->accel_data = engine;
    map_set_engine(vm->map, sync_invalidate, sync_code_hit, vm);
    return true;
}

static void interp_vm_destroy(struct vm *vm)
{
    struct interp_vm *engine = vm->accel_data;

    if (!engine)
        return;
    map_set_engine(vm->map, NULL, NULL, NULL);
    pthread_mutex_destroy(&engine->bus);
    g_free(engine);
    vm->accel_data = NULL;
}

static void interp_vcpu_destroy(struct vcpu *cpu)
{
    jit_finish(cpu);
    blocks_finish(cpu);
    mmu_finish(cpu);
}

static bool interp_vcpu_create(struct vcpu *cpu, GError **error)
{
    if (!mmu_init(cpu) || !blocks_init(cpu)) {
        interp_vcpu_destroy(cpu);
        vm_fail(error, VM_ERROR_RUN, "no memory for the caches of processor %u",
                cpu->index);
        return false;
    }
    if (cpu->vm->jit && !jit_init(cpu, cpu->vm->deterministic, JIT_HOT))
        log_warn("cpu",
                 "cpu %u: no translation: it was left out of this build, or "
                 "mapping code is not allowed",
                 cpu->index);
    if (cpu->vm->jit_check && (cpu->index || !cpu->jit || !jit_check(cpu))) {
        vm_fail(error, VM_ERROR_RUN, "jit check: %s",
                cpu->index ? "only with one processor"
                           : "no translation is possible here");
        interp_vcpu_destroy(cpu);
        return false;
    }
    if (cpu->vm->perf_map)
        jit_perf_map(cpu);
    mode_update(cpu);
    return true;
}

static void interp_kick(struct vcpu *cpu)
{
    vcpu_request(cpu, REQ_KICK);
}

static void interp_get_state(struct vcpu *cpu, struct x86_state *out)
{
    x87_here(cpu);
    *out = cpu->st;
    out->cr8 = 0;
}

static void interp_set_state(struct vcpu *cpu, const struct x86_state *in)
{
    x87_here(cpu);
    cpu->st = *in;
    cpu->tsc.window = cpu->tsc.host0 = 0;
    cpu->db_pending = 0;
    cpu->intr_waiting = false;
    mmu_cr3_written(cpu, false);
    mmu_flush_all(cpu);
    mode_update(cpu);
}

static bool interp_translation(const struct vcpu *cpu, accel_counter_fn *put,
                               void *opaque)
{
    if (cpu->jit)
        jit_counters(cpu, put, opaque);
    return cpu->jit != NULL;
}

struct text {
    GString *s;
    unsigned cpu;
};

static void describe_counter(void *opaque, const char *group, const char *name,
                             uint64_t value)
{
    struct text *t = opaque;

    g_string_append_printf(t->s, "cpu%u %s %s: %" G_GUINT64_FORMAT "\n", t->cpu,
                           group, name, value);
}

static char *interp_describe(struct vm *vm)
{
    GString *s = g_string_new(NULL);

    for (unsigned n = 0; n < vm->vcpu_count; n++) {
        const struct vcpu *c = vm->vcpus[n];
        const struct {
            const char *name;
            uint64_t value;
        } rows[] = {
            { "instructions", c->insns },
            { "blocks decoded", c->n_blocks_decoded },
            { "tlb fills", c->n_tlb_fills },
            { "tlb flushes", c->n_tlb_flushes },
            { "exceptions", c->n_exceptions },
            { "interrupts", c->n_interrupts },
            { "mmio accesses", c->n_mmio },
            { "port accesses", c->n_pio },
            { "stores into code", c->n_code_hits },
            { "halts", c->n_halts },
        };

        for (unsigned k = 0; k < G_N_ELEMENTS(rows); k++)
            g_string_append_printf(s, "cpu%u %s: %" G_GUINT64_FORMAT "\n", n,
                                   rows[k].name, rows[k].value);
        interp_translation(c, describe_counter, &(struct text){ s, n });
    }
    return g_string_free(s, FALSE);
}

const struct accel_ops accel_interp = {
    .name = "interp",
    .vm_create = interp_vm_create,
    .vm_destroy = interp_vm_destroy,
    .vcpu_create = interp_vcpu_create,
    .vcpu_destroy = interp_vcpu_destroy,
    .run = interp_run,
    .kick = interp_kick,
    .get_state = interp_get_state,
    .set_state = interp_set_state,
    .invalidate = sync_invalidate,
    .code_hit = sync_code_hit,
    .describe = interp_describe,
    .translation = interp_translation,
};
