/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The section of one device in a saved machine: its own state by its table,
 * and what the host keeps for it (timers, line levels, PCI functions).
 */
#include "plugin/device.h"

#include <inttypes.h>
#include <string.h>

#include "bus/pci.h"
#include "bus/wire.h"
#include "plugin/host.h"
#include "sched/clock.h"
#include "sched/lane.h"
#include "state/field.h"
#include "state/stream.h"
#include "vm/error.h"
#include "vm/vm.h"

static void save_timers(struct device *d, struct state_writer *w, bool for_hash)
{
    uint64_t now = clock_now(d->vm->clocks, CLOCK_HOST);
    uint64_t deadline;
    uint32_t n = 0;

    for (guint i = 0; i < d->timers->len; i++) {
        struct bp_timer_handle *t = d->timers->pdata[i];
        n += timer_deadline(t->timer, &deadline) &&
             !(for_hash && t->clock == BP_CLOCK_HOST);
    }
    if (!n)
        return;
    state_begin(w, "timers", n, 0);
    for (guint i = 0; i < d->timers->len; i++) {
        struct bp_timer_handle *t = d->timers->pdata[i];
        if (!timer_deadline(t->timer, &deadline) ||
            (for_hash && t->clock == BP_CLOCK_HOST))
            continue;
        /* Another host's monotonic clock says something else. */
        if (t->clock == BP_CLOCK_HOST)
            deadline = deadline > now ? deadline - now : 0;
        state_element(w);
        state_put_string(w, "name", timer_name(t->timer));
        state_put_u64(w, "deadline", deadline);
    }
    state_end(w);
}

static void save_lines(struct device *d, struct state_writer *w)
{
    if (!d->outputs->len)
        return;
    state_begin(w, "lines", d->outputs->len, 0);
    for (guint i = 0; i < d->outputs->len; i++) {
        struct bp_irq_line *line = d->outputs->pdata[i];
        state_element(w);
        state_put_string(w, "group", line->group);
        state_put_u64(w, "number", line->number);
        state_put_u64(w, "level", wire_output_level(line->output));
    }
    state_end(w);
}

static void save_functions(struct device *d, struct state_writer *w)
{
    struct pci_function_state st;

    if (!d->functions->len)
        return;
    state_begin(w, "pci", d->functions->len, 0);
    for (guint i = 0; i < d->functions->len; i++) {
        struct bp_pci_function *f = d->functions->pdata[i];
        pci_function_save(f->f, &st);
        state_element(w);
        state_put_bytes(w, "config", st.config, sizeof(st.config));
        state_put_u64(w, "intx", st.intx);
    }
    state_end(w);
}

void device_save(struct device *d, struct state_writer *w, bool for_hash)
{
    lane_enter(d->lane);
    if (d->desc->save)
        d->desc->save(d->self);
    state_put_string(w, "type", d->desc->id);
    if (d->desc->fields) {
        state_begin(w, "state", 1, 0);
        state_element(w);
        fields_save(w, d->desc->fields, d->self);
        state_end(w);
    }
    save_functions(d, w);
    save_lines(d, w);
    save_timers(d, w, for_hash);
    lane_leave(d->lane);
}

/* --- loading --------------------------------------------------------------*/

static bool refuse(struct device *d, GError **error, const char *what)
{
    if (error && *error) {
        g_prefix_error(error, "device '%s': ", d->name);
        return false;
    }
    return vm_fail(error, VM_ERROR_RUN, "device '%s': its saved %s", d->name,
                   what);
}

static struct bp_timer_handle *timer_named(struct device *d, const char *name)
{
    for (guint i = 0; i < d->timers->len; i++) {
        struct bp_timer_handle *t = d->timers->pdata[i];
        if (g_strcmp0(timer_name(t->timer), name) == 0)
            return t;
    }
    return NULL;
}

static bool load_timers(struct device *d, struct state_reader *r,
                        GError **error)
{
    uint32_t n = state_count(r, "timers");
    uint64_t deadline;

    for (guint i = 0; i < d->timers->len; i++) {
        struct bp_timer_handle *t = d->timers->pdata[i];
        timer_cancel(t->timer);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct state_reader *e = state_get_element(r, "timers", i, error);
        if (!e)
            return refuse(d, error, "timers are damaged");
        char *name = state_get_string(e, "name");
        struct bp_timer_handle *t = timer_named(d, name);
        g_free(name);
        if (!t || !state_get_u64(e, "deadline", &deadline))
            return refuse(d, error, "timers are not those it has");
        if (t->clock == BP_CLOCK_HOST)
            deadline += clock_now(d->vm->clocks, CLOCK_HOST);
        timer_arm(t->timer, deadline);
    }
    return true;
}

static bool load_line(struct device *d, struct state_reader *e)
{
    char *group = state_get_string(e, "group");
    uint64_t number, level;
    bool found = false;

    if (group && state_get_u64(e, "number", &number) &&
        state_get_u64(e, "level", &level)) {
        for (guint i = 0; i < d->outputs->len && !found; i++) {
            struct bp_irq_line *line = d->outputs->pdata[i];
            found = line->number == number && !strcmp(line->group, group);
            if (found)
                wire_output_restore(line->output, level != 0);
        }
    }
    g_free(group);
    return found;
}

static bool load_lines(struct device *d, struct state_reader *r, GError **error)
{
    uint32_t n = state_count(r, "lines");

    for (uint32_t i = 0; i < n; i++) {
        struct state_reader *e = state_get_element(r, "lines", i, error);
        if (!e || !load_line(d, e))
            return refuse(d, error, "lines are not those it has");
    }
    return true;
}

static bool load_functions(struct device *d, struct state_reader *r,
                           GError **error)
{
    struct pci_function_state st;
    size_t bytes;
    uint64_t intx;

    if (state_count(r, "pci") != d->functions->len)
        return refuse(d, error, "PCI functions are not those it has");
    for (guint i = 0; i < d->functions->len; i++) {
        struct bp_pci_function *f = d->functions->pdata[i];
        struct state_reader *e = state_get_element(r, "pci", i, error);
        const uint8_t *config = e ? state_get_bytes(e, "config", &bytes) : NULL;
        if (!config || bytes != sizeof(st.config) ||
            !state_get_u64(e, "intx", &intx) || intx > 1)
            return refuse(d, error, "PCI function is damaged");
        memcpy(st.config, config, sizeof(st.config));
        st.intx = (uint8_t)intx;
        if (!pci_function_load(f->f, &st, error))
            return refuse(d, error, "PCI function is damaged");
    }
    return true;
}

static bool load_all(struct device *d, struct state_reader *r, GError **error)
{
    char *type = state_get_string(r, "type");
    bool same = g_strcmp0(type, d->desc->id) == 0;

    g_free(type);
    if (!same)
        return refuse(d, error, "state is another device's");
    if (!load_functions(d, r, error) || !load_lines(d, r, error))
        return false;
    struct state_reader *e = NULL;
    if (d->desc->fields) {
        e = state_get_element(r, "state", 0, error);
        if (!e || !fields_load(e, d->desc->fields, d->self, error))
            return refuse(d, error, "state is missing");
    }
    if (!load_timers(d, r, error))
        return false;
    if (state_unknown(r))
        return refuse(d, error, "state has parts that are unknown here");
    return true;
}

bool device_load(struct device *d, struct state_reader *r, GError **error)
{
    lane_enter(d->lane);
    bool ok = load_all(d, r, error);
    lane_leave(d->lane);
    return ok;
}

bool device_loaded(struct device *d, uint32_t version, GError **error)
{
    if (!d->desc->loaded)
        return true;
    lane_enter(d->lane);
    int32_t code = d->desc->loaded(d->self, version);
    lane_leave(d->lane);
    return code >= 0 || device_error(d, code, "refuses its saved state", error);
}
