/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts of versions before 2.4: one event flag for all channels, and a
 * page of the guest in which each has a bit; the first half is for the guest,
 * the second for the host.  From 1.1 on guests signal each channel's own
 * connection all the same.
 */
#include <string.h>

#include "vmbus_own.h"

#define FOR_HOST 2048u /* the second half */
#define WORDS    (RELIDS / 64)

/* ORs a mask into a word of the page, or takes its bits when the mask is 0.
 * What was there; 0 when it is not in memory. */
static uint64_t change_word(struct vmbus *s, uint64_t gpa, uint64_t mask)
{
    uint64_t was = 0;
    void *host;

    if (s->dma->map(s->dev, gpa, 8, 1, &host) != 8)
        return 0;
    was = mask ? __atomic_fetch_or((uint64_t *)host, mask, __ATOMIC_SEQ_CST)
               : __atomic_exchange_n((uint64_t *)host, 0, __ATOMIC_SEQ_CST);
    s->dma->unmap(s->dev, gpa, host, 8, 1, 8);
    return was;
}

bool legacy_signal(struct vmbus *s, uint32_t relid)
{
    uint64_t page = __atomic_load_n(&s->legacy_page, __ATOMIC_ACQUIRE);

    if (!page)
        return false;
    change_word(s, page + relid / 64 * 8, 1ull << relid % 64);
    s->hv->signal(s->dev, 0, VMBUS_SINT, 0);
    return true;
}

/* The guest signals connection 2 for all its channels. */
void legacy_event(void *ctx, uint32_t flag)
{
    struct vmbus *s = ctx;
    uint64_t page = __atomic_load_n(&s->legacy_page, __ATOMIC_ACQUIRE);
    uint64_t bits;

    (void)flag;
    for (unsigned w = 0; page && w < WORDS; w++) {
        bits = change_word(s, page + FOR_HOST + w * 8, 0);
        for (; bits; bits &= bits - 1) {
            struct entry *e =
                s->entry[w * 64 + (unsigned)__builtin_ctzll(bits)];

            if (e && e->state == ENTRY_OPEN)
                post_serve_entry(s, e);
        }
    }
}

void legacy_connect(struct vmbus *s)
{
    uint64_t page = s->st.version && s->st.version < VMBUS_2_4
                        ? s->st.interrupt_page & ~4095ull
                        : 0;

    __atomic_store_n(&s->legacy_page, page, __ATOMIC_RELEASE);
}
