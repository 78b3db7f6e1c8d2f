/* SPDX-License-Identifier: Apache-2.0 */
/* The console of a machine. */
#include "display/console.h"

#include "display/console_proto.h"
#include "vm/vm.h"

static uint32_t run_state(void *opaque)
{
    struct vm *vm = opaque;
    enum vm_run_state state;

    pthread_mutex_lock(&vm->lock);
    state = vm->run_state;
    pthread_mutex_unlock(&vm->lock);
    switch (state) {
    case VM_RUNNING: return CONSOLE_RUNNING;
    case VM_OFF: return CONSOLE_OFF;
    default: return CONSOLE_PAUSED;
    }
}

static bool power_button(void *opaque)
{
    return vm_press_power_button(opaque);
}

static void turn_off(void *opaque)
{
    vm_request_exit(opaque, VM_END_QUIT, 0);
}

static void reset(void *opaque)
{
    vm_request_reset(opaque);
}

static gboolean stop_now(gpointer vm)
{
    vm_stop(vm);
    return G_SOURCE_REMOVE;
}

static gboolean start_now(gpointer vm)
{
    vm_start(vm);
    return G_SOURCE_REMOVE;
}

/* The control thread is the one that runs the default main context. */
static void pause_vm(void *opaque, bool pause)
{
    g_idle_add(pause ? stop_now : start_now, opaque);
}

static const struct console_ops vm_console_ops = {
    .run_state = run_state,
    .power_button = power_button,
    .turn_off = turn_off,
    .reset = reset,
    .pause = pause_vm,
};

struct console *console_open_vm(struct vm *vm, const char *path, GError **error)
{
    struct console_options o = {
        .path = path,
        .title = vm->name,
        .screens = vm->screens,
        .inputs = vm->inputs,
        .ops = &vm_console_ops,
        .opaque = vm,
    };

    return console_open(&o, error);
}
