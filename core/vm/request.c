/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What device code and vCPU threads ask of the machine.  They only leave a
 * note: the control thread stops the machine and does it.
 */
#include "plugin/device.h"
#include "sched/lane.h"
#include "sched/vcpu.h"
#include "vm/vm.h"

static void request(struct vm *vm, unsigned what)
{
    __atomic_fetch_or(&vm->requests, what, __ATOMIC_SEQ_CST);
    /* At this very instruction, so that the next run does the same. */
    if (vm->deterministic)
        vcpus_kick(vm);
    pthread_cond_broadcast(&vm->changed);
    if (vm->wake)
        vm->wake(vm->wake_opaque);
}

void vm_request_reset(struct vm *vm)
{
    pthread_mutex_lock(&vm->lock);
    request(vm, VM_REQUEST_RESET);
    pthread_mutex_unlock(&vm->lock);
}

void vm_request_exit(struct vm *vm, enum vm_end end, int status)
{
    pthread_mutex_lock(&vm->lock);
    /* The first end is the true one. */
    if (vm->end == VM_END_NONE) {
        vm->end = end;
        vm->end_status = status;
    }
    request(vm, VM_REQUEST_END);
    pthread_mutex_unlock(&vm->lock);
}

void vm_request_poweroff(struct vm *vm)
{
    vm_request_exit(vm, VM_END_POWEROFF, 0);
}

void vm_request_pause(struct vm *vm)
{
    pthread_mutex_lock(&vm->lock);
    request(vm, VM_REQUEST_PAUSE);
    pthread_mutex_unlock(&vm->lock);
}

static void press(void *opaque)
{
    struct vm *vm = opaque;

    vm->button_fn(vm->button_ctx);
}

bool vm_press_power_button(struct vm *vm)
{
    if (!vm->button_device)
        return false;
    lane_post(vm->button_device->lane, press, vm);
    return true;
}
