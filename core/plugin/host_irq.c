/* SPDX-License-Identifier: Apache-2.0 */
/* bp.irq/1 and bp.intc/1 */
#include "plugin/host.h"

#include <errno.h>

#include "bus/wire.h"
#include "plugin/device.h"
#include "sched/lane.h"
#include "vm/vm.h"

static void release_output(void *claim)
{
    struct bp_irq_line *line = claim;

    wire_output_remove(line->output);
    g_free(line->group);
    g_free(line);
}

static struct bp_irq_line *host_output(struct bp_dev *dev, const char *group,
                                       uint32_t number)
{
    struct device *d = device_of(dev);

    if (!device_may_claim(d))
        return NULL;
    struct wire_output *output = wire_output_add(d->vm->wires, group, number);
    if (!output)
        return device_refuse(d, "there is no line '%s' %u", group, number);
    struct bp_irq_line *line = g_new0(struct bp_irq_line, 1);
    line->dev = d;
    line->group = g_strdup(group);
    line->number = number;
    line->output = output;
    g_ptr_array_add(d->outputs, line);
    device_claim(d, release_output, line);
    return line;
}

static void host_set(struct bp_irq_line *line, int32_t level)
{
    wire_output_set(line->output, level);
}

struct input {
    struct device *dev;
    bp_irq_fn *fn;
    void *ctx;
};

static void input_changed(void *opaque, unsigned number, bool level)
{
    struct input *in = opaque;

    in->fn(in->ctx, number, level);
}

static void release_input(void *claim)
{
    struct input *in = claim;

    wire_inputs_remove(in->dev->vm->wires, in);
    g_free(in);
}

static int32_t host_input_add(struct bp_dev *dev, const char *group,
                              uint32_t number, bp_irq_fn *fn, void *ctx)
{
    struct device *d = device_of(dev);

    if (!device_may_claim(d))
        return -EPERM;
    struct input *in = g_new0(struct input, 1);
    in->dev = d;
    in->fn = fn;
    in->ctx = ctx;
    if (!wire_input_add(d->vm->wires, group, number, d->lane, input_changed,
                        in)) {
        g_free(in);
        device_refuse(d, "there is no line '%s' %u", group, number);
        return -ENOENT;
    }
    device_claim(d, release_input, in);
    return 0;
}

static int32_t host_level(struct bp_dev *dev, const char *group,
                          uint32_t number)
{
    return wire_level(device_of(dev)->vm->wires, group, number);
}

const struct bp_irq host_irq = {
    .size = sizeof(struct bp_irq),
    .output = host_output,
    .set = host_set,
    .input = host_input_add,
    .level = host_level,
};

/* --- interrupt controllers ------------------------------------------------*/

struct controller {
    struct device *dev;
    int32_t (*acknowledge)(void *ctx);
    void (*eoi)(void *ctx, uint8_t vector);
    void *ctx;
};

/* [vcpu] */
static int acknowledge(void *opaque)
{
    struct controller *c = opaque;

    if (!device_enter(c->dev))
        return -1;
    int vector = c->acknowledge(c->ctx);
    device_leave(c->dev);
    return vector;
}

static void release_acknowledge(void *claim)
{
    struct controller *c = claim;

    c->dev->vm->pic_ack = NULL;
    c->dev->vm->pic_opaque = NULL;
    g_free(c);
}

static int32_t host_set_acknowledge(struct bp_dev *dev,
                                    int32_t (*fn)(void *ctx), void *ctx)
{
    struct device *d = device_of(dev);

    if (!device_may_claim(d))
        return -EPERM;
    if (d->vm->pic_ack) {
        device_refuse(d, "the machine has an interrupt controller already");
        return -EBUSY;
    }
    struct controller *c = g_new0(struct controller, 1);
    c->dev = d;
    c->acknowledge = fn;
    c->ctx = ctx;
    d->vm->pic_opaque = c;
    d->vm->pic_ack = acknowledge;
    device_claim(d, release_acknowledge, c);
    return 0;
}

static void host_send(struct bp_dev *dev, uint32_t dest, uint32_t logical,
                      uint32_t delivery_mode, uint8_t vector, uint32_t level)
{
    struct vm *vm = device_of(dev)->vm;

    if (vm->message)
        vm->message(vm->message_opaque, dest, logical, delivery_mode, vector,
                    level);
}

/* [vcpu], and from a controller that is in its own lane: then later. */
struct eoi_call {
    struct controller *controller;
    uint8_t vector;
};

static void eoi_run(void *opaque)
{
    struct eoi_call *call = opaque;

    call->controller->eoi(call->controller->ctx, call->vector);
    g_free(call);
}

static void eoi(void *opaque, uint8_t vector)
{
    struct controller *c = opaque;

    if (lane_may_enter(c->dev->lane)) {
        lane_enter(c->dev->lane);
        c->eoi(c->ctx, vector);
        lane_leave(c->dev->lane);
        return;
    }
    struct eoi_call *call = g_new0(struct eoi_call, 1);
    call->controller = c;
    call->vector = vector;
    lane_post(c->dev->lane, eoi_run, call);
}

static void release_eoi(void *claim)
{
    struct controller *c = claim;

    c->dev->vm->ioapic_eoi = NULL;
    c->dev->vm->ioapic_opaque = NULL;
    g_free(c);
}

static int32_t host_on_eoi(struct bp_dev *dev,
                           void (*fn)(void *ctx, uint8_t vector), void *ctx)
{
    struct device *d = device_of(dev);

    if (!device_may_claim(d))
        return -EPERM;
    if (d->vm->ioapic_eoi) {
        device_refuse(d, "the machine has an I/O APIC already");
        return -EBUSY;
    }
    struct controller *c = g_new0(struct controller, 1);
    c->dev = d;
    c->eoi = fn;
    c->ctx = ctx;
    d->vm->ioapic_opaque = c;
    d->vm->ioapic_eoi = eoi;
    device_claim(d, release_eoi, c);
    return 0;
}

const struct bp_intc host_intc = {
    .size = sizeof(struct bp_intc),
    .set_acknowledge = host_set_acknowledge,
    .send = host_send,
    .on_eoi = host_on_eoi,
};
