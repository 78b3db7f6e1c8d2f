/* SPDX-License-Identifier: Apache-2.0 */
/* bp.power/1 and bp.firmware/1 */
#include "plugin/host.h"

#include <errno.h>

#include "plugin/device.h"
#include "vm/firmware.h"
#include "vm/vm.h"

static void host_reset(struct bp_dev *dev)
{
    vm_request_reset(device_of(dev)->vm);
}

static void host_poweroff(struct bp_dev *dev)
{
    vm_request_poweroff(device_of(dev)->vm);
}

static void host_exit(struct bp_dev *dev, int32_t status)
{
    vm_request_exit(device_of(dev)->vm, VM_END_EXIT_PORT, status);
}

static void release_button(void *claim)
{
    struct device *d = claim;

    d->vm->button_device = NULL;
}

static int32_t host_on_button(struct bp_dev *dev, void (*fn)(void *ctx),
                              void *ctx)
{
    struct device *d = device_of(dev);

    if (!device_may_claim(d))
        return -EPERM;
    if (d->vm->button_device) {
        device_refuse(d, "device '%s' takes the power button",
                      d->vm->button_device->name);
        return -EBUSY;
    }
    d->vm->button_device = d;
    d->vm->button_fn = fn;
    d->vm->button_ctx = ctx;
    device_claim(d, release_button, d);
    return 0;
}

const struct bp_power host_power = {
    .size = sizeof(struct bp_power),
    .reset = host_reset,
    .poweroff = host_poweroff,
    .exit = host_exit,
    .on_button = host_on_button,
};

static uint32_t host_count(struct bp_dev *dev)
{
    struct vm *vm = device_of(dev)->vm;

    return vm->firmware ? vm->firmware->len : 0;
}

static int32_t host_get(struct bp_dev *dev, uint32_t index,
                        struct bp_firmware_item *item)
{
    struct vm *vm = device_of(dev)->vm;
    gsize bytes;

    if (!vm->firmware || index >= vm->firmware->len)
        return -ENOENT;
    const struct firmware_item *from = vm->firmware->pdata[index];
    item->key = from->key;
    item->name = from->name;
    item->data = g_bytes_get_data(from->data, &bytes);
    item->bytes = bytes;
    return 0;
}

const struct bp_firmware host_firmware = {
    .size = sizeof(struct bp_firmware),
    .count = host_count,
    .get = host_get,
};
