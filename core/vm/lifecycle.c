/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting, stopping and resetting a machine.
 *
 * Order of starting: devices, clocks, processors; of stopping: the reverse,
 * then everything under way is finished, so that nothing happens in a
 * machine that stands.
 */
#include "bus/wire.h"
#include "hv/hv.h"
#include "lib/log.h"
#include "plugin/control.h"
#include "plugin/device.h"
#include "plugin/host.h"
#include "sched/vcpu.h"
#include "vm/board.h"
#include "vm/direct_boot.h"
#include "vm/machine.h"
#include "vm/vm.h"

static void tell(struct vm *vm, const char *event)
{
    if (vm->event)
        vm->event(vm->event_opaque, event, NULL);
}

static void set_state(struct vm *vm, enum vm_run_state state)
{
    pthread_mutex_lock(&vm->lock);
    vm->run_state = state;
    pthread_cond_broadcast(&vm->changed);
    pthread_mutex_unlock(&vm->lock);
}

static void halt(struct vm *vm)
{
    vcpus_stop(vm);
    clocks_stop(vm->clocks);
    board_drain(vm);
    board_stop_devices(vm);
    board_drain(vm);
}

static void go(struct vm *vm)
{
    board_start_devices(vm);
    clocks_start(vm->clocks);
    vcpus_start(vm);
}

void vm_start(struct vm *vm)
{
    if (vm->run_state == VM_RUNNING || vm->run_state == VM_OFF)
        return;
    set_state(vm, VM_RUNNING);
    go(vm);
    tell(vm, "RESUME");
}

void vm_stop(struct vm *vm)
{
    if (vm->run_state != VM_RUNNING)
        return;
    halt(vm);
    set_state(vm, VM_PAUSED);
    tell(vm, "STOP");
}

/* Does a device drive the A20 gate? */
static bool has_a20(struct vm *vm)
{
    for (guint i = 0; i < vm->devices->len; i++) {
        const struct device *d = vm->devices->pdata[i];
        for (guint k = 0; k < d->outputs->len; k++) {
            const struct bp_irq_line *line = d->outputs->pdata[k];
            if (g_str_equal(line->group, "a20"))
                return true;
        }
    }
    return false;
}

static void reset_all(struct vm *vm)
{
    control_end_all(vm, "the machine was reset");
    vcpus_reset(vm);
    board_reset_devices(vm);
    vcpus_a20(vm, !has_a20(vm) || wire_level(vm->wires, "a20", 0));
    lanes_drain(vm->lanes);
    if (vm->direct_boot)
        direct_boot_enter(vm->direct_boot);
}

void vm_reset(struct vm *vm)
{
    bool running = vm->run_state == VM_RUNNING;

    if (running)
        halt(vm);
    __atomic_fetch_and(&vm->requests, ~VM_REQUEST_RESET, __ATOMIC_SEQ_CST);
    reset_all(vm);
    if (vm->run_state != VM_CREATED) {
        vm->resets++;
        tell(vm, "RESET");
    }
    if (running)
        go(vm);
}

bool vm_serve_requests(struct vm *vm)
{
    unsigned requests = __atomic_load_n(&vm->requests, __ATOMIC_SEQ_CST);

    control_serve(vm);
    if (requests & VM_REQUEST_END) {
        if (vm->run_state == VM_RUNNING)
            halt(vm);
        set_state(vm, VM_OFF);
        tell(vm, "SHUTDOWN");
        return true;
    }
    if (requests & VM_REQUEST_RESET)
        vm_reset(vm);
    if (requests & VM_REQUEST_PAUSE) {
        vm_stop(vm);
        __atomic_fetch_and(&vm->requests, ~VM_REQUEST_PAUSE, __ATOMIC_SEQ_CST);
    }
    return false;
}

void machine_destroy(struct vm *vm)
{
    if (!vm)
        return;
    if (vm->run_state == VM_RUNNING)
        halt(vm);
    if (vm->vcpus)
        vcpus_destroy(vm);
    hv_destroy(vm->hv);
    vm->hv = NULL;
    board_destroy(vm);
    g_free(vm);
}
