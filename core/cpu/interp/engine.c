/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software engine as accel.h wants it: creation, state, traces.
 */
#include "cpu/interp/engine.h"

#include <glib.h>
#include <stdarg.h>
#include <string.h>

#include "cpu/decode.h"
#include "cpu/disasm.h"
#include "cpu/interp/blocks.h"
#include "cpu/jit/jit.h"
#include "cpu/mmu.h"
#include "cpu/mode.h"
#include "cpu/sync.h"
#include "lib/log.h"
#include "sched/vcpu.h"
#include "vm/error.h"

#define JIT_HOT 3 /* runs of a block before it is translated */

/* --- traces -------------------------------------------------------------- */

static const struct {
    const char *name;
    unsigned bit;
} trace_names[] = {
    { "exc", TRACE_EXC }, { "insn", TRACE_INSN }, { "mode", TRACE_MODE },
    { "msr", TRACE_MSR }, { "io", TRACE_IO },     { "apic", TRACE_APIC },
};

bool interp_trace(struct vm *vm, const char *text, FILE *log)
{
    struct interp_vm *engine = vm->accel_data;
    g_auto(GStrv) part = g_strsplit(text, ",", -1);
    unsigned bits = 0;

    for (unsigned n = 0; part[n]; n++) {
        unsigned k = 0;

        while (k < G_N_ELEMENTS(trace_names) &&
               strcmp(trace_names[k].name, part[n]))
            k++;
        if (k == G_N_ELEMENTS(trace_names))
            return false;
        bits |= trace_names[k].bit;
    }
    engine->trace = bits;
    engine->log = log;
    for (unsigned n = 0; n < vm->vcpu_count; n++)
        cpu_attend(vm->vcpus[n], REQ_SLOW);
    return true;
}

void cpu_trace(struct vcpu *cpu, unsigned what, const char *fmt, ...)
{
    const struct x86_state *st = &cpu->st;
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    fprintf(engine_of(cpu)->log,
            "cpu%u %" G_GUINT64_FORMAT " %04x:%" G_GINT64_MODIFIER "x %s\n",
            cpu->index, cpu->insns, st->seg[SEG_CS].selector, st->rip, text);
    if (what != TRACE_EXC)
        return;
    fprintf(engine_of(cpu)->log,
            "    ss:sp %04x:%" G_GINT64_MODIFIER "x fl %" G_GINT64_MODIFIER
            "x cr0 %" G_GINT64_MODIFIER "x cr2 %" G_GINT64_MODIFIER
            "x ax %" G_GINT64_MODIFIER "x bx %" G_GINT64_MODIFIER
            "x cx %" G_GINT64_MODIFIER "x dx %" G_GINT64_MODIFIER "x\n",
            st->seg[SEG_SS].selector, st->gpr[RSP], st->rflags, st->cr0,
            st->cr2, st->gpr[RAX], st->gpr[RBX], st->gpr[RCX], st->gpr[RDX]);
}

void trace_insn(struct vcpu *cpu, const struct x86_insn *i)
{
    char text[128];

    x86_disasm(text, sizeof text, i, cpu->st.rip + i->len,
               cpu->mode & (MODE_CODE | MODE_REAL));
    cpu_trace(cpu, TRACE_INSN,
              "%-32s ax %" G_GINT64_MODIFIER "x cx %" G_GINT64_MODIFIER
              "x dx %" G_GINT64_MODIFIER "x bx %" G_GINT64_MODIFIER
              "x sp %" G_GINT64_MODIFIER "x bp %" G_GINT64_MODIFIER
              "x si %" G_GINT64_MODIFIER "x di %" G_GINT64_MODIFIER
              "x fl %" G_GINT64_MODIFIER "x",
              text, cpu->st.gpr[RAX], cpu->st.gpr[RCX], cpu->st.gpr[RDX],
              cpu->st.gpr[RBX], cpu->st.gpr[RSP], cpu->st.gpr[RBP],
              cpu->st.gpr[RSI], cpu->st.gpr[RDI], cpu->st.rflags);
}

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
                 "cpu %u: no translation, it is not allowed to map "
                 "code",
                 cpu->index);
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
    *out = cpu->st;
    out->cr8 = 0;
}

static void interp_set_state(struct vcpu *cpu, const struct x86_state *in)
{
    cpu->st = *in;
    cpu->db_pending = 0;
    cpu->intr_waiting = false;
    mmu_cr3_written(cpu, false);
    mmu_flush_all(cpu);
    mode_update(cpu);
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
        jit_describe(c, s);
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
};
