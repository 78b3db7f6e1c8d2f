/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/device.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bus/pci.h"
#include "hv/ports.h"
#include "plugin/host.h"
#include "plugin/watch.h"
#include "sched/lane.h"
#include "vm/error.h"
#include "vm/vm.h"

struct claim {
    device_release_fn *release;
    void *claim;
};

/* --- services -------------------------------------------------------------*/

static const struct service {
    const char *id;
    const void *table;
} services[] = {
    { BP_LOG, &host_log },         { BP_TIMER, &host_timer },
    { BP_LANE, &host_lane },       { BP_PIO, &host_pio },
    { BP_MMIO, &host_mmio },       { BP_IRQ, &host_irq },
    { BP_INTC, &host_intc },       { BP_ISA_DMA, &host_isa_dma },
    { BP_DMA, &host_dma },         { BP_PCI, &host_pci },
    { BP_BLOCK, &host_block },     { BP_CHAR, &host_char },
    { BP_DISPLAY, &host_display }, { BP_INPUT, &host_input },
    { BP_POWER, &host_power },     { BP_FIRMWARE, &host_firmware },
    { BP_CONTROL, &host_control }, { BP_WATCH, &host_watch },
    { BP_RAM, &host_ram },         { BP_HV, &host_hv },
    { BP_NET, &host_net },
};

static const void *host_query(const struct bp_host *host, const char *id)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(services); i++) {
        if (strcmp(services[i].id, id) == 0)
            return services[i].table;
    }
    return NULL;
}

static void record(struct device *d, const char *format, va_list ap)
    G_GNUC_PRINTF(2, 0);

static void record(struct device *d, const char *format, va_list ap)
{
    char *text = g_strdup_vprintf(format, ap);

    /* The first reason is the cause; what follows is its effect. */
    if (d->reason)
        g_free(text);
    else
        d->reason = text;
}

static int32_t host_fail(struct bp_dev *dev, int32_t error, const char *format,
                         ...) G_GNUC_PRINTF(3, 4);

static int32_t host_fail(struct bp_dev *dev, int32_t error, const char *format,
                         ...)
{
    struct device *d = device_of(dev);
    va_list ap;

    va_start(ap, format);
    g_clear_pointer(&d->reason, g_free);
    record(d, format, ap);
    va_end(ap);
    return error;
}

static const void *ask(struct device *other, const char *id)
{
    if (!other->created || !other->desc->query)
        return NULL;
    return other->desc->query(other->self, id);
}

static const void *host_device_query(struct bp_dev *dev, const char *device,
                                     const char *id, void **self)
{
    struct vm *vm = device_of(dev)->vm;
    const void *table = NULL;
    struct device *found = NULL;

    if (device) {
        found = device_find(vm, device);
        table = found ? ask(found, id) : NULL;
    } else {
        for (guint i = 0; i < vm->devices->len; i++) {
            const void *t = ask(vm->devices->pdata[i], id);
            if (!t)
                continue;
            if (table)
                return NULL;
            table = t;
            found = vm->devices->pdata[i];
        }
    }
    *self = table ? found->self : NULL;
    return table;
}

const struct bp_host device_host = {
    .size = sizeof(struct bp_host),
    .query = host_query,
    .fail = host_fail,
    .device_query = host_device_query,
};

/* --- for the services -----------------------------------------------------*/

void device_claim(struct device *d, device_release_fn *release, void *claim)
{
    struct claim c = { release, claim };

    g_array_append_val(d->claims, c);
}

void device_unclaim(struct device *d, device_release_fn *release, void *claim)
{
    for (guint i = 0; i < d->claims->len; i++) {
        const struct claim *c = &g_array_index(d->claims, struct claim, i);

        if (c->release == release && c->claim == claim) {
            g_array_remove_index(d->claims, i);
            return;
        }
    }
}

void *device_refuse(struct device *d, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    record(d, format, ap);
    va_end(ap);
    return NULL;
}

bool device_may_claim(struct device *d)
{
    if (!d->in_setup)
        log_error(d->name, "it claims something outside create and realize");
    return d->in_setup;
}

bool device_error(struct device *d, int32_t code, const char *doing,
                  GError **error)
{
    const char *reason = d->reason ? d->reason : g_strerror(abs(code));

    vm_fail(error, VM_ERROR_CONFIG, "device '%s' (%s) %s: %s", d->name,
            d->desc->id, doing, reason);
    g_clear_pointer(&d->reason, g_free);
    return false;
}

bool device_enter(struct device *d)
{
    if (G_UNLIKELY(!lane_may_enter(d->lane))) {
        __atomic_fetch_add(&d->refused, 1, __ATOMIC_RELAXED);
        if (lane_held(d->lane))
            d->dma_refused = true;
        log_warn(d->name, "an access from inside a device was refused");
        return false;
    }
    lane_enter(d->lane);
    return true;
}

void device_leave(struct device *d)
{
    lane_leave(d->lane);
}

/* --- life -----------------------------------------------------------------*/

struct device *device_find(struct vm *vm, const char *name)
{
    for (guint i = 0; i < vm->devices->len; i++) {
        struct device *d = vm->devices->pdata[i];
        if (strcmp(d->name, name) == 0)
            return d;
    }
    return NULL;
}

static bool has_services(struct device *d, GError **error)
{
    const char *const *id = d->desc->requires_;

    for (; id && *id; id++) {
        if (!host_query(&device_host, *id))
            return vm_fail(error, VM_ERROR_CONFIG,
                           "device '%s' (%s) needs '%s', which this host "
                           "does not offer",
                           d->name, d->desc->id, *id);
    }
    return true;
}

/* Cache lines of two instances are never shared. */
static void *instance_alloc(uint32_t bytes)
{
    size_t size = ((size_t)bytes + 63) & ~(size_t)63;
    void *memory = NULL;

    if (posix_memalign(&memory, 64, size) == 0)
        memset(memory, 0, size);
    return memory;
}

static struct device *device_new(struct vm *vm, const char *name,
                                 const struct bp_device_desc *desc)
{
    struct device *d = g_new0(struct device, 1);
    uint32_t rank = MIN(desc->lane_rank, (uint32_t)LANE_IRQCHIP);

    d->vm = vm;
    d->name = g_strdup(name);
    d->desc = desc;
    d->lane = lane_create(vm->lanes, name, (enum lane_rank)rank);
    d->self = instance_alloc(desc->instance_size);
    d->strings = g_ptr_array_new_with_free_func(g_free);
    d->claims = g_array_new(FALSE, FALSE, sizeof(struct claim));
    d->timers = g_ptr_array_new();
    d->outputs = g_ptr_array_new();
    d->regions = g_ptr_array_new();
    d->functions = g_ptr_array_new();
    d->watches = g_ptr_array_new();
    return d;
}

static bool device_init(struct device *d, const char *const *settings,
                        GError **error)
{
    if (!d->self)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "device '%s': there is no memory for it", d->name);
    if (!has_services(d, error) || !device_set_properties(d, settings, error))
        return false;
    lane_enter(d->lane);
    d->in_setup = true;
    int32_t code = d->desc->create(d->self, device_handle(d), &device_host);
    d->in_setup = false;
    d->created = code >= 0;
    lane_leave(d->lane);
    return code >= 0 || device_error(d, code, "cannot be created", error);
}

struct device *device_create(struct vm *vm, const char *name,
                             const struct bp_device_desc *desc,
                             const char *const *settings, GError **error)
{
    if (device_find(vm, name)) {
        vm_fail(error, VM_ERROR_CONFIG, "there are two devices named '%s'",
                name);
        return NULL;
    }
    struct device *d = device_new(vm, name, desc);
    if (!device_init(d, settings, error)) {
        device_destroy(d);
        return NULL;
    }
    g_ptr_array_add(vm->devices, d);
    return d;
}

/* -EINVAL with a reason when the ROM has no place. */
static int32_t place_rom(struct device *d)
{
    struct bp_pci_function *f =
        d->functions->len ? d->functions->pdata[0] : NULL;
    GError *why = NULL;
    gsize bytes;
    const void *image = g_bytes_get_data(d->rom, &bytes);

    if (!f) {
        device_refuse(d, "a romfile is for PCI devices");
        return -EINVAL;
    }
    if (bytes <= UINT32_MAX &&
        pci_function_rom(f->f, image, (uint32_t)bytes, &why))
        return 0;
    device_refuse(d, "its romfile: %s", why ? why->message : "is too long");
    g_clear_error(&why);
    return -EINVAL;
}

static void seal_functions(struct device *d)
{
    for (guint i = 0; i < d->functions->len; i++) {
        struct bp_pci_function *f = d->functions->pdata[i];
        pci_function_seal(f->f);
    }
}

bool device_realize(struct device *d, GError **error)
{
    lane_enter(d->lane);
    d->in_setup = true;
    int32_t code = d->desc->realize ? d->desc->realize(d->self) : 0;
    if (code >= 0 && d->rom)
        code = place_rom(d);
    d->in_setup = false;
    if (code >= 0)
        seal_functions(d);
    lane_leave(d->lane);
    if (code < 0)
        return device_error(d, code, "cannot be set up", error);
    g_clear_pointer(&d->reason, g_free);
    return true;
}

void device_reset(struct device *d, uint32_t kind)
{
    lane_enter(d->lane);
    for (guint i = 0; i < d->functions->len; i++) {
        struct bp_pci_function *f = d->functions->pdata[i];
        pci_function_reset(f->f);
    }
    if (d->desc->reset)
        d->desc->reset(d->self, kind);
    lane_leave(d->lane);
}

void device_start(struct device *d)
{
    if (d->started)
        return;
    d->started = true;
    lane_enter(d->lane);
    if (d->desc->start)
        d->desc->start(d->self);
    lane_leave(d->lane);
    watches_resume(d);
}

void device_stop(struct device *d)
{
    if (!d->started)
        return;
    d->started = false;
    lane_enter(d->lane);
    if (d->desc->stop)
        d->desc->stop(d->self);
    lane_leave(d->lane);
}

/* Nothing of the device runs any more while it is taken apart. */
static void timers_cancel(struct device *d)
{
    lane_enter(d->lane);
    for (guint i = 0; i < d->timers->len; i++) {
        struct bp_timer_handle *t = d->timers->pdata[i];
        timer_cancel(t->timer);
    }
    lane_leave(d->lane);
}

static void release_claims(struct device *d)
{
    /* Their BARs hold regions and ranges, which were claimed later. */
    while (d->functions->len)
        host_pci_remove(
            g_ptr_array_remove_index(d->functions, d->functions->len - 1));
    while (d->watches->len)
        host_watch.remove(d->watches->pdata[d->watches->len - 1]);
    while (d->claims->len) {
        struct claim c =
            g_array_index(d->claims, struct claim, d->claims->len - 1);
        g_array_set_size(d->claims, d->claims->len - 1);
        c.release(c.claim);
    }
}

void device_destroy(struct device *d)
{
    if (!d)
        return;
    timers_cancel(d);
    lanes_drain(d->vm->lanes);
    hv_ports_drop(d->vm->hv_ports, d);
    if (d->created && d->desc->destroy) {
        lane_enter(d->lane);
        d->desc->destroy(d->self);
        lane_leave(d->lane);
    }
    release_claims(d);
    lane_destroy(d->lane); /* runs what a removed watch has posted */
    g_clear_pointer(&d->rom, g_bytes_unref);
    g_ptr_array_free(d->strings, TRUE);
    g_array_free(d->claims, TRUE);
    g_ptr_array_free(d->timers, TRUE);
    g_ptr_array_free(d->outputs, TRUE);
    g_ptr_array_free(d->regions, TRUE);
    g_ptr_array_free(d->functions, TRUE);
    g_ptr_array_free(d->watches, TRUE);
    g_free(d->reason);
    g_free(d->name);
    free(d->self);
    g_free(d);
}
