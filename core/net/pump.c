/* SPDX-License-Identifier: Apache-2.0 */
#include "net/pump.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool pump_start(struct net_pump *p, const char *name, void *(*run)(void *),
                void *opaque)
{
    p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->wake_fd < 0)
        return false;
    if (pthread_create(&p->thread, NULL, run, opaque) != 0) {
        close(p->wake_fd);
        return false;
    }
    pthread_setname_np(p->thread, name);
    p->has_thread = true;
    return true;
}

static void write_wake(struct net_pump *p)
{
    uint64_t one = 1;

    /* It can only fail when the counter is full: the thread is awake. */
    while (write(p->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

void pump_stop(struct net_pump *p)
{
    if (!p->has_thread)
        return;
    __atomic_store_n(&p->quit, true, __ATOMIC_SEQ_CST);
    write_wake(p);
    pthread_join(p->thread, NULL);
    close(p->wake_fd);
    p->has_thread = false;
}

void pump_wake(struct net_pump *p)
{
    /* Pairs with pump_wait(): it says that it sleeps, then looks whether
     * there is something; here there is something, then this. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_exchange_n(&p->asleep, false, __ATOMIC_SEQ_CST))
        write_wake(p);
}

bool pump_ends(struct net_pump *p)
{
    return __atomic_load_n(&p->quit, __ATOMIC_SEQ_CST);
}

bool pump_wait(struct net_pump *p, struct pollfd *fds, unsigned n, int ms,
               bool (*ready)(void *opaque), void *opaque)
{
    uint64_t count;

    fds[0] = (struct pollfd){ .fd = p->wake_fd, .events = POLLIN };
    __atomic_store_n(&p->asleep, true, __ATOMIC_SEQ_CST);
    if (ready(opaque))
        ms = 0;
    int found = poll(fds, n, ms);
    __atomic_store_n(&p->asleep, false, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; found < 0 && i < n; i++)
        fds[i].revents = 0;
    if (fds[0].revents)
        while (read(p->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
            ;
    return !pump_ends(p);
}
