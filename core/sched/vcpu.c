/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/vcpu.h"

#include <sched.h>
#include <string.h>
#include <time.h>

#include "cpu/sync.h"
#include "cpu/vcpu.h"
#include "hwaccel/accel.h"
#include "irq/lapic.h"
#include "lib/log.h"
#include "vm/error.h"
#include "vm/vm.h"

/* What the threads of one VM share. */
struct vcpu_group {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool run, quit;   /* what is wanted */
    unsigned running; /* threads that have not stopped yet */
    unsigned threads;
    struct x86_model model;
};

/* Requests that are answered when the processor comes back anyway. */
#define REQ_LAZY (REQ_TLB | REQ_BLOCKS | REQ_LATE_CODE | REQ_SLOW | REQ_CODE)

/* --- waking and sleeping ------------------------------------------------- */

static void wake(struct vcpu *cpu)
{
    if (!__atomic_load_n(&cpu->is_asleep, __ATOMIC_SEQ_CST))
        return;
    pthread_mutex_lock(&cpu->wake_lock);
    pthread_cond_signal(&cpu->wake);
    pthread_mutex_unlock(&cpu->wake_lock);
}

void vcpu_request(struct vcpu *cpu, uint32_t req)
{
    __atomic_fetch_or(&cpu->requests, req, __ATOMIC_SEQ_CST);
    wake(cpu);
}

void vcpu_yield(struct vcpu *cpu)
{
    if (!cpu->vm->deterministic)
        sched_yield();
}

static bool is_wanted(struct vcpu *cpu)
{
    return __atomic_load_n(&cpu->requests, __ATOMIC_SEQ_CST) & ~REQ_LAZY;
}

/* Until a request comes.  is_asleep is set before requests are looked at,
 * vcpu_request() does it in the other order. */
static void sleep_until_wanted(struct vcpu *cpu)
{
    pthread_mutex_lock(&cpu->wake_lock);
    __atomic_store_n(&cpu->is_asleep, 1, __ATOMIC_SEQ_CST);
    while (!is_wanted(cpu))
        pthread_cond_wait(&cpu->wake, &cpu->wake_lock);
    __atomic_store_n(&cpu->is_asleep, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&cpu->wake_lock);
}

/* For pthread_cond_timedwait(); less than a second. */
static struct timespec in_ms(unsigned ms)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += ms * 1000000l;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

void vcpu_nap(struct vcpu *cpu)
{
    struct timespec until = in_ms(1);

    if (cpu->vm->deterministic)
        return;
    pthread_mutex_lock(&cpu->wake_lock);
    __atomic_store_n(&cpu->is_asleep, 1, __ATOMIC_SEQ_CST);
    if (!is_wanted(cpu))
        pthread_cond_timedwait(&cpu->wake, &cpu->wake_lock, &until);
    __atomic_store_n(&cpu->is_asleep, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&cpu->wake_lock);
}

/* --- the threads --------------------------------------------------------- */

/* Waits until running is wanted; false: the thread has to end. */
static bool wait_to_run(struct vcpu_group *g)
{
    bool go;

    pthread_mutex_lock(&g->lock);
    if (!g->run && !g->quit) {
        g->running--;
        pthread_cond_broadcast(&g->changed);
        while (!g->run && !g->quit)
            pthread_cond_wait(&g->changed, &g->lock);
        g->running++;
    }
    go = !g->quit;
    if (!go)
        g->running--;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
    return go;
}

static void wait_for_reset(struct vcpu_group *g)
{
    pthread_mutex_lock(&g->lock);
    while (g->run && !g->quit)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void *vcpu_thread(void *opaque)
{
    struct vcpu *cpu = opaque;
    struct vm *vm = cpu->vm;
    uint64_t executed = 0;

    while (wait_to_run(cpu->group)) {
        switch (vm->accel->run(cpu, 0, &executed)) {
        case ACCEL_KICKED:
        case ACCEL_BUDGET:
        case ACCEL_DEBUG: break;
        case ACCEL_HALTED: sleep_until_wanted(cpu); break;
        case ACCEL_SHUTDOWN:
            log_warn("cpu", "cpu %u: triple fault, the machine resets",
                     cpu->index);
            vm_request_reset(vm);
            wait_for_reset(cpu->group);
            break;
        case ACCEL_ERROR:
            vm_request_exit(vm, VM_END_ERROR, 0);
            wait_for_reset(cpu->group);
            break;
        }
    }
    return NULL;
}

/* --- deterministic mode -------------------------------------------------- */

static bool is_runnable(struct vcpu *cpu)
{
    return cpu->st.activity == X86_RUNNING || is_wanted(cpu);
}

/* One turn of each; returns the instructions of the longest. */
static uint64_t run_turns(struct vm *vm, uint64_t budget, bool *any)
{
    uint64_t longest = 0;

    *any = false;
    for (unsigned n = 0; n < vm->vcpu_count; n++) {
        struct vcpu *cpu = vm->vcpus[n];
        uint64_t executed = 0;

        if (cpu->st.activity == X86_SHUTDOWN || !is_runnable(cpu))
            continue;
        if (__atomic_load_n(&vm->requests, __ATOMIC_SEQ_CST))
            break;
        *any = true;
        switch (vm->accel->run(cpu, budget, &executed)) {
        case ACCEL_SHUTDOWN:
            log_warn("cpu", "cpu %u: triple fault, the machine resets",
                     cpu->index);
            vm_request_reset(vm);
            break;
        case ACCEL_ERROR: vm_request_exit(vm, VM_END_ERROR, 0); break;
        default: break;
        }
        if (executed > longest)
            longest = executed;
        /* the others must not overtake one that stopped for an access */
        if (executed && executed < budget && cpu->st.activity == X86_RUNNING)
            budget = executed;
    }
    return longest;
}

/* Nothing can happen but by something from outside: do not spin. */
static void idle(struct vcpu_group *g)
{
    struct timespec until = in_ms(5);

    pthread_mutex_lock(&g->lock);
    if (g->run)
        pthread_cond_timedwait(&g->changed, &g->lock, &until);
    pthread_mutex_unlock(&g->lock);
}

static void round_robin(struct vm *vm, struct vcpu_group *g)
{
    uint64_t now = clock_now(vm->clocks, CLOCK_VIRTUAL);
    uint64_t due = clock_next_deadline(vm->clocks);
    uint64_t budget = VCPU_QUANTUM, ran;
    bool any;

    if (due <= now) {
        clock_advance(vm->clocks, now);
        due = clock_next_deadline(vm->clocks);
    }
    if (due > now && (due - now) / VCPU_INSN_NS < budget)
        budget = (due - now + VCPU_INSN_NS - 1) / VCPU_INSN_NS;
    ran = run_turns(vm, budget, &any);
    if (any) {
        clock_advance(vm->clocks, now + ran * VCPU_INSN_NS);
        return;
    }
    if (due == UINT64_MAX)
        idle(g);
    clock_advance(vm->clocks, due == UINT64_MAX ? now : due);
}

static void *deterministic_thread(void *opaque)
{
    struct vm *vm = opaque;
    struct vcpu_group *g = vm->vcpus[0]->group;

    /* Whoever asked for a reset or the end did so at some instruction, and
     * nothing runs after that one. */
    while (wait_to_run(g)) {
        if (__atomic_load_n(&vm->requests, __ATOMIC_SEQ_CST))
            wait_for_reset(g);
        else
            round_robin(vm, g);
    }
    return NULL;
}

/* --- control ------------------------------------------------------------- */

void vcpus_kick(struct vm *vm)
{
    for (unsigned n = 0; n < vm->vcpu_count; n++)
        vm->accel->kick(vm->vcpus[n]);
}

void vcpus_start(struct vm *vm)
{
    struct vcpu_group *g = vm->vcpus[0]->group;

    pthread_mutex_lock(&g->lock);
    g->run = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

void vcpus_stop(struct vm *vm)
{
    struct vcpu_group *g = vm->vcpus[0]->group;

    pthread_mutex_lock(&g->lock);
    g->run = false;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
    vcpus_kick(vm);
    pthread_mutex_lock(&g->lock);
    while (g->running)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
    for (unsigned n = 0; n < vm->vcpu_count; n++)
        __atomic_fetch_and(&vm->vcpus[n]->requests, ~REQ_KICK,
                           __ATOMIC_SEQ_CST);
}

void vcpus_a20(struct vm *vm, bool on)
{
    uint64_t mask = on ? ~0ull : ~(1ull << 20);

    if (__atomic_exchange_n(&vm->a20_mask, mask, __ATOMIC_SEQ_CST) != mask)
        sync_flush(vm);
}

/* --- creation ------------------------------------------------------------ */

static bool thread_start(struct vcpu_group *g, pthread_t *t, void *run(void *),
                         void *opaque, const char *name)
{
    bool ok;

    pthread_mutex_lock(&g->lock);
    g->running++;
    ok = pthread_create(t, NULL, run, opaque) == 0;
    if (ok)
        g->threads++;
    else
        g->running--;
    pthread_mutex_unlock(&g->lock);
    if (ok)
        pthread_setname_np(*t, name);
    return ok;
}

static bool start_threads(struct vm *vm, struct vcpu_group *g)
{
    char name[16];

    if (vm->deterministic)
        return thread_start(g, &vm->vcpus[0]->thread, deterministic_thread, vm,
                            "vcpus");
    for (unsigned n = 0; n < vm->vcpu_count; n++) {
        g_snprintf(name, sizeof name, "vcpu%u", n);
        if (!thread_start(g, &vm->vcpus[n]->thread, vcpu_thread, vm->vcpus[n],
                          name))
            return false;
    }
    return true;
}

static struct vcpu *vcpu_new(struct vm *vm, struct vcpu_group *g, unsigned n,
                             GError **error)
{
    struct vcpu *cpu = g_new0(struct vcpu, 1);
    bool wide = x86_has(&g->model.features, X86_F_lm);

    cpu->vm = vm;
    cpu->index = n;
    cpu->group = g;
    cpu->model = &g->model;
    cpu->phys_mask = wide                                     ? (1ull << 40) - 1
                     : x86_has(&g->model.features, X86_F_pae) ? (1ull << 36) - 1
                                                              : 0xffffffffull;
    pthread_mutex_init(&cpu->wake_lock, NULL);
    pthread_cond_init(&cpu->wake, NULL);
    if (vm->accel->vcpu_create(cpu, error))
        return cpu;
    g_free(cpu);
    return NULL;
}

bool vcpus_create(struct vm *vm, unsigned count, const char *model,
                  GError **error)
{
    struct vcpu_group *g = g_new0(struct vcpu_group, 1);
    char *bad = NULL;

    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    if (!x86_model_parse(model, &g->model, &bad)) {
        vm_fail(error, VM_ERROR_CONFIG,
                "cpu '%s': '%s' is no model and no "
                "feature that this processor can have",
                model, bad);
        g_free(bad);
        g_free(g);
        return false;
    }
    if (!vm->accel)
        vm->accel = &accel_interp;
    vm->vcpus = g_new0(struct vcpu *, count);
    vm->vcpu_count = 0;
    if (!vm->accel->vm_create(vm, error)) {
        g_free(g);
        g_clear_pointer(&vm->vcpus, g_free);
        return false;
    }
    for (unsigned n = 0; n < count; n++) {
        vm->vcpus[n] = vcpu_new(vm, g, n, error);
        if (!vm->vcpus[n])
            goto fail;
        vm->vcpus[n]->lapic = lapic_create(vm->vcpus[n]);
        vm->vcpu_count = n + 1;
    }
    if (!vm->a20_mask)
        vm->a20_mask = ~0ull;
    vcpus_reset(vm);
    if (start_threads(vm, g))
        return true;
    vm_fail(error, VM_ERROR_RUN, "cannot start a processor's thread");
fail:
    vcpus_destroy(vm);
    return false;
}

void vcpus_destroy(struct vm *vm)
{
    struct vcpu_group *g = vm->vcpu_count ? vm->vcpus[0]->group : NULL;

    if (g) {
        pthread_mutex_lock(&g->lock);
        g->quit = true;
        pthread_cond_broadcast(&g->changed);
        pthread_mutex_unlock(&g->lock);
        vcpus_kick(vm);
        for (unsigned n = 0; n < g->threads; n++)
            pthread_join(vm->vcpus[n]->thread, NULL);
    }
    for (unsigned n = 0; n < vm->vcpu_count; n++) {
        struct vcpu *cpu = vm->vcpus[n];

        lapic_destroy(cpu->lapic);
        vm->accel->vcpu_destroy(cpu);
        pthread_cond_destroy(&cpu->wake);
        pthread_mutex_destroy(&cpu->wake_lock);
        g_free(cpu);
    }
    vm->vcpu_count = 0;
    vm->accel->vm_destroy(vm);
    g_clear_pointer(&vm->vcpus, g_free);
    g_free(g);
}
