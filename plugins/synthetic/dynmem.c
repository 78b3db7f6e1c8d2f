/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynmem: memory that goes to and fro between guest and host.
 *
 * Source: Linux drivers/hv/hv_balloon.c (message layouts, and that one
 * operation is under way at a time).
 *
 * Modelled: versions 0.3, 1.0 and 2.0; capabilities; pressure reports;
 * ballooned pages go back to the host and read zeros until the guest has them
 * again; hot-add of blocks above the memory of the start, up to
 * `--memory-max`; command `memory`, and a policy of its own.
 * Not modelled: hot-add into regions that the host names, NUMA nodes, pages
 * of other sizes.
 *
 * What the guest has is
 *
 *     start + blocks that came - pages that it gave.
 *
 * It is moved to a goal in steps, each one message and its answer: an order
 * (`memory 1G`) or, if the machine may have less or more than at its start,
 * the guest's demand and a buffer.  pump() sends what is due whenever
 * something has changed or there is room again; so no message is kept.
 *
 * When the guest closes the channel, the pages that it gave are its own
 * again: the next kernel (kexec) knows nothing of them.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"
#include "page_ranges.h"
#include "wire.h"

enum { /* message types */
       DM_VERSION_REQUEST = 1,
       DM_VERSION_RESPONSE = 2,
       DM_CAPABILITIES = 3,
       DM_CAPABILITIES_RESPONSE = 4,
       DM_STATUS = 5,
       DM_BALLOON = 6,
       DM_BALLOON_RESPONSE = 7,
       DM_UNBALLOON = 8,
       DM_UNBALLOON_RESPONSE = 9,
       DM_HOT_ADD = 10,
       DM_HOT_ADD_RESPONSE = 11,
       DM_INFO = 12,
};

#define HEAD        8u /* u16 type, u16 bytes, u32 transaction */
#define MAX_BYTES   4096u
#define VERSION_0_3 0x00000003u
#define VERSION_1_0 0x00010000u
#define VERSION_2_0 0x00020000u

#define CAN_BALLOON 1u
#define CAN_HOT_ADD 2u

/* A range on the wire: 40 bits of page number, 24 of count */
#define RANGE_FIRST(r) ((r)&0xffffffffffull)
#define RANGE_PAGES(r) ((r) >> 40)
#define MOST_PAGES     0xffffffull

enum { /* phase */
       CLOSED = 0,
       OPENED = 1, /* versions are tried */
       VERSIONED = 2,
       READY = 3, /* capabilities are known */
};

enum { /* due */
       DUE_VERSION = 1,
       DUE_CAPABILITIES = 2,
       DUE_INFO = 4,
};

enum { /* operation: the answer is to come */
       NONE = 0,
       BALLOON = 1,
       UNBALLOON = 2,
       ADD = 3,
};

#define PAGE             4096ull
#define PAGES_PER_MIB    256ull
#define STEP_PAGES       (1024 * PAGES_PER_MIB) /* of one operation at most */
#define STEP_BLOCKS      4u
#define HYSTERESIS       (16 * PAGES_PER_MIB)
#define LEAST_PAGES      (8 * PAGES_PER_MIB) /* that can be ordered */
#define POLICY_NS        5000000000ull
#define RETRY_ROUNDS     6u /* of the policy, after the guest gave less */
#define PATIENCE_NS      120000000000ull
#define HOST_SHORT       100u /* thousandths of its memory available */
#define MOST_WEIGHT      10000u
#define UNBALLOON_RANGES ((MAX_BYTES - HEAD - 8) / 8)

struct dynmem_state {
    uint8_t phase;
    uint8_t due;
    uint8_t accepted; /* of the version that was asked for */
    uint8_t operation;
    uint8_t capabilities;
    uint8_t add_failed; /* the guest cannot take more blocks */
    uint8_t gave_less;  /* rounds until it is asked for pages again */
    uint8_t reported;   /* demand is known */
    uint32_t version;
    uint32_t transaction; /* of the guest's request that is answered */
    uint32_t sent;        /* transaction of ours */
    uint32_t blocks;      /* that the guest has */
    uint32_t asked_blocks;
    uint64_t asked;             /* pages still to come of an operation */
    uint64_t demand, available; /* pages, as reported */
    uint64_t order;             /* pages; 0: by demand */
    struct page_ranges given;   /* ballooned */
};

struct dynmem {
    /* Configuration */
    uint64_t least; /* bytes; 0: what it starts with */
    uint32_t buffer, weight;
    /* Wiring */
    const struct bp_log *log;
    const struct bp_timer *timer;
    const struct bp_control *control;
    const struct bp_ram *ram;
    const struct bp_host *host;
    const struct bp_vmbus *bus;
    void *vmbus;
    struct bp_dev *dev;
    struct bp_vmbus_channel *channel;
    struct bp_timer_handle *policy, *patience;
    struct bp_ram_layout layout;
    struct bp_call *call; /* an order that is not reached yet */
    /* State */
    struct dynmem_state st;
};

static void pump(struct dynmem *s);

/* --- how much -------------------------------------------------------------*/

static uint64_t block_pages(const struct dynmem *s)
{
    return s->layout.block_bytes / PAGE;
}

static uint64_t startup_pages(const struct dynmem *s)
{
    return s->layout.startup / PAGE;
}

static uint64_t assigned(const struct dynmem *s)
{
    return startup_pages(s) + s->st.blocks * block_pages(s) - s->st.given.pages;
}

static uint64_t most_pages(const struct dynmem *s)
{
    return startup_pages(s) + s->layout.hot_blocks * block_pages(s);
}

static uint64_t least_pages(const struct dynmem *s)
{
    uint64_t least = s->least / PAGE;

    return least && least < startup_pages(s) ? least : startup_pages(s);
}

/* A host that is short of memory leaves less to guests of little weight. */
static uint64_t buffer_percent(const struct dynmem *s)
{
    if (s->ram->host_available(s->dev) >= HOST_SHORT)
        return s->buffer;
    return s->buffer * (uint64_t)s->weight / MOST_WEIGHT;
}

static uint64_t by_demand(const struct dynmem *s)
{
    uint64_t now = assigned(s), wanted;

    if (least_pages(s) == startup_pages(s) && most_pages(s) == startup_pages(s))
        return startup_pages(s); /* nothing to decide */
    if (!s->st.reported)
        return now;
    wanted = s->st.demand + s->st.demand / 100 * buffer_percent(s);
    if (wanted < least_pages(s))
        wanted = least_pages(s);
    if (wanted > most_pages(s))
        wanted = most_pages(s);
    if ((wanted > now ? wanted - now : now - wanted) < HYSTERESIS)
        return now;
    return wanted;
}

static uint64_t goal(const struct dynmem *s)
{
    return s->st.order ? s->st.order : by_demand(s);
}

/* --- commands under way ---------------------------------------------------*/

static void put_mib(struct dynmem *s, struct bp_call *call, const char *name,
                    uint64_t pages)
{
    s->control->put_integer(call, name, (int64_t)(pages / PAGES_PER_MIB));
}

static const char *doing(const struct dynmem *s)
{
    static const char *const phases[] = { "not used by the guest",
                                          "negotiating", "negotiating", "" };
    static const char *const operations[] = { "ready", "taking", "giving back",
                                              "adding" };

    return s->st.phase < READY ? phases[s->st.phase]
                               : operations[s->st.operation];
}

static void put_status(struct dynmem *s, struct bp_call *call)
{
    s->control->put_string(call, "state", doing(s));
    put_mib(s, call, "assigned", assigned(s));
    put_mib(s, call, "startup", startup_pages(s));
    put_mib(s, call, "minimum", least_pages(s));
    put_mib(s, call, "maximum", most_pages(s));
    put_mib(s, call, "ballooned", s->st.given.pages);
    put_mib(s, call, "added", s->st.blocks * block_pages(s));
    if (s->st.order)
        put_mib(s, call, "ordered", s->st.order);
    if (s->st.reported) {
        put_mib(s, call, "demand", s->st.demand);
        put_mib(s, call, "available", s->st.available);
    }
}

static void finish(struct dynmem *s, const char *error)
{
    struct bp_call *call = s->call;

    s->timer->cancel(s->patience);
    s->call = NULL;
    if (!call)
        return;
    if (!error)
        put_status(s, call);
    s->control->done(call, error);
}

static void too_late(void *ctx)
{
    finish(ctx, "the guest takes too long; it may still come to it");
}

static void tell_change(struct dynmem *s)
{
    struct bp_call *event = s->control->event(s->dev, "BALLOON_CHANGE");

    s->control->put_integer(event, "actual", (int64_t)(assigned(s) * PAGE));
    s->control->done(event, NULL);
}

/* --- messages to the guest ------------------------------------------------*/

static int32_t send(struct dynmem *s, uint8_t *m, uint16_t type,
                    uint32_t transaction, uint32_t bytes)
{
    wire_put16(m, type);
    wire_put16(m + 2, (uint16_t)bytes);
    wire_put32(m + 4, transaction);
    return wire_send(s->bus, s->channel, m, bytes);
}

static int32_t send_due(struct dynmem *s)
{
    struct dynmem_state *st = &s->st;
    uint8_t m[32] = { 0 };
    int32_t error = 0;

    if (st->due & DUE_VERSION) {
        m[HEAD] = st->accepted;
        error = send(s, m, DM_VERSION_RESPONSE, st->transaction, 16);
        if (!error)
            st->due &= (uint8_t)~DUE_VERSION;
    } else if (st->due & DUE_CAPABILITIES) {
        m[HEAD] = 1;
        error = send(s, m, DM_CAPABILITIES_RESPONSE, st->transaction, 16);
        if (!error)
            st->due &= (uint8_t)~DUE_CAPABILITIES;
    } else if (st->due & DUE_INFO) {
        /* reserved, bytes of the rest, kind 0, bytes of the number */
        wire_put32(m + 12, 16);
        wire_put32(m + 20, 8);
        wire_put64(m + 24, most_pages(s));
        error = send(s, m, DM_INFO, ++st->sent, 32);
        if (!error)
            st->due &= (uint8_t)~DUE_INFO;
    }
    return error;
}

static void ask_for_pages(struct dynmem *s, uint64_t pages)
{
    uint8_t m[16] = { 0 };

    wire_put32(m + HEAD, (uint32_t)pages);
    if (send(s, m, DM_BALLOON, ++s->st.sent, sizeof m))
        return;
    s->st.operation = BALLOON;
    s->st.asked = pages;
}

/* They are the guest's from the moment in which it is told. */
static void give_back(struct dynmem *s, uint64_t pages)
{
    uint8_t m[MAX_BYTES] = { 0 };
    uint32_t n = 0;

    if (!s->bus->can_send(s->channel, MAX_BYTES))
        return;
    while (n < UNBALLOON_RANGES && pages) {
        uint64_t first, most = pages < MOST_PAGES ? pages : MOST_PAGES;
        uint64_t taken = page_ranges_take(&s->st.given, most, &first);
        if (!taken)
            break;
        wire_put64(m + HEAD + 8 + 8 * n++, first | taken << 40);
        pages -= taken;
    }
    wire_put32(m + HEAD + 4, n);
    s->st.operation = UNBALLOON;
    send(s, m, DM_UNBALLOON, ++s->st.sent, HEAD + 8 + 8 * n);
}

static uint64_t next_block(const struct dynmem *s)
{
    const struct bp_ram_layout *l = &s->layout;
    uint32_t n = s->st.blocks;

    return n < l->low_blocks
               ? l->low_gpa + n * l->block_bytes
               : l->high_gpa + (n - l->low_blocks) * l->block_bytes;
}

/* A message has one range. */
static uint32_t blocks_in_a_row(const struct dynmem *s)
{
    return s->st.blocks < s->layout.low_blocks
               ? s->layout.low_blocks - s->st.blocks
               : s->layout.hot_blocks - s->st.blocks;
}

static void add_blocks(struct dynmem *s, uint32_t blocks)
{
    uint8_t m[16] = { 0 };
    uint64_t first = next_block(s) / PAGE;

    wire_put64(m + HEAD, first | (blocks * block_pages(s)) << 40);
    if (!s->bus->can_send(s->channel, sizeof m) ||
        s->ram->set_hot(s->dev, s->st.blocks + blocks))
        return;
    s->st.operation = ADD;
    s->st.asked_blocks = blocks;
    send(s, m, DM_HOT_ADD, ++s->st.sent, sizeof m);
}

/* --- steps ----------------------------------------------------------------*/

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int may_take(const struct dynmem *s)
{
    return (s->st.capabilities & CAN_BALLOON) && !s->st.gave_less &&
           s->st.given.count < PAGE_RANGES - MAX_BYTES / 8;
}

/* False: nothing can be done towards the goal. */
static int step(struct dynmem *s)
{
    uint64_t now = assigned(s), want = goal(s);

    if (want < now) {
        if (may_take(s))
            ask_for_pages(s, smaller(now - want, STEP_PAGES));
        return may_take(s);
    }
    if (want > now && s->st.given.pages) {
        give_back(s, smaller(want - now, STEP_PAGES));
        return 1;
    }
    uint64_t blocks = (want - now) / block_pages(s);
    if (blocks && (s->st.capabilities & CAN_HOT_ADD) && !s->st.add_failed &&
        s->st.blocks < s->layout.hot_blocks) {
        blocks = smaller(blocks, blocks_in_a_row(s));
        add_blocks(s, (uint32_t)smaller(blocks, STEP_BLOCKS));
        return 1;
    }
    return 0;
}

static void pump(struct dynmem *s)
{
    while (s->st.due) {
        if (send_due(s))
            return;
    }
    if (s->st.phase == READY && s->st.operation == NONE && !step(s) && s->call)
        finish(s, NULL);
}

static void operation_done(struct dynmem *s)
{
    s->st.operation = NONE;
    tell_change(s);
    pump(s);
}

static void run_policy(void *ctx)
{
    struct dynmem *s = ctx;

    if (s->st.phase != READY)
        return;
    s->timer->arm(s->policy,
                  s->timer->now(s->dev, BP_CLOCK_VIRTUAL) + POLICY_NS);
    if (s->st.gave_less)
        s->st.gave_less--;
    pump(s);
}

/* --- messages of the guest ------------------------------------------------*/

static int32_t version_asked(struct dynmem *s, const uint8_t *m, uint32_t bytes)
{
    uint32_t version = bytes >= 16 ? wire_u32(m + HEAD) : 0;

    if (bytes < 16 || s->st.phase != OPENED || s->st.due)
        return -EINVAL;
    s->st.accepted = version == VERSION_0_3 || version == VERSION_1_0 ||
                     version == VERSION_2_0;
    s->st.version = version;
    s->st.transaction = wire_u32(m + 4);
    s->st.due |= DUE_VERSION;
    if (s->st.accepted)
        s->st.phase = VERSIONED;
    pump(s);
    return 0;
}

/* The alignment of blocks, 2^n MiB, is ours as long as it is not larger. */
static int32_t capabilities_told(struct dynmem *s, const uint8_t *m,
                                 uint32_t bytes)
{
    uint64_t caps;

    if (bytes < HEAD + 24 || s->st.phase != VERSIONED || s->st.due)
        return -EINVAL;
    caps = wire_u64(m + HEAD);
    s->st.capabilities = caps & (CAN_BALLOON | CAN_HOT_ADD);
    if ((1ull << (caps >> 2 & 15)) > s->layout.block_bytes >> 20)
        s->st.capabilities &= (uint8_t)~CAN_HOT_ADD;
    s->st.transaction = wire_u32(m + 4);
    s->st.due |= DUE_CAPABILITIES;
    if (s->st.version >= VERSION_1_0)
        s->st.due |= DUE_INFO;
    s->st.phase = READY;
    s->timer->arm(s->policy,
                  s->timer->now(s->dev, BP_CLOCK_VIRTUAL) + POLICY_NS);
    pump(s);
    return 0;
}

static int32_t status_told(struct dynmem *s, const uint8_t *m, uint32_t bytes)
{
    uint64_t committed;

    if (bytes < HEAD + 16 || s->st.phase != READY)
        return -EINVAL;
    /* No guest has more than there are addresses. */
    s->st.available = smaller(wire_u64(m + HEAD), UINT64_MAX >> 20);
    committed = smaller(wire_u64(m + HEAD + 8), UINT64_MAX >> 20);
    /* Pages that it has given until now count as committed there. */
    s->st.demand = committed - smaller(committed, s->st.given.pages);
    s->st.reported = 1;
    return 0;
}

/* A range of pages becomes the host's.  Of what was asked for it is taken
 * off in any case: that bounds the work that a guest can cause. */
static int32_t take_range(struct dynmem *s, uint64_t range)
{
    uint64_t first = RANGE_FIRST(range), pages = RANGE_PAGES(range);
    int32_t error;

    if (!pages || pages > s->st.asked)
        return -EINVAL;
    s->st.asked -= pages;
    error = s->ram->discard(s->dev, first * PAGE, pages * PAGE);
    return error ? error : page_ranges_add(&s->st.given, first, pages);
}

static int32_t pages_given(struct dynmem *s, const uint8_t *m, uint32_t bytes)
{
    uint32_t word, n;

    if (bytes < HEAD + 8 || s->st.operation != BALLOON)
        return -EINVAL;
    word = wire_u32(m + HEAD + 4);
    n = word >> 1;
    if (n > (bytes - HEAD - 8) / 8)
        return -EINVAL;
    for (uint32_t i = 0; i < n; i++) {
        if (take_range(s, wire_u64(m + HEAD + 8 + 8 * i)))
            s->log->guest_error(s->dev, "pages that were not asked for, or "
                                        "are no memory, or lie too scattered");
    }
    if (word & 1) /* more messages follow */
        return 0;
    if (s->st.asked)
        s->st.gave_less = RETRY_ROUNDS;
    s->st.asked = 0;
    operation_done(s);
    return 0;
}

static int32_t pages_taken(struct dynmem *s)
{
    if (s->st.operation != UNBALLOON)
        return -EINVAL;
    operation_done(s);
    return 0;
}

/* A block that is there in part stays: the guest may use it. */
static int32_t blocks_added(struct dynmem *s, const uint8_t *m, uint32_t bytes)
{
    uint64_t pages, asked, blocks;

    if (bytes < HEAD + 8 || s->st.operation != ADD)
        return -EINVAL;
    asked = s->st.asked_blocks * block_pages(s);
    pages = smaller(wire_u32(m + HEAD), asked);
    blocks = (pages + block_pages(s) - 1) / block_pages(s);
    if (pages < asked)
        s->st.add_failed = 1;
    s->st.blocks += (uint32_t)blocks;
    s->st.asked_blocks = 0;
    s->ram->set_hot(s->dev, s->st.blocks);
    operation_done(s);
    return 0;
}

static int32_t dynmem_packet(void *ctx, const struct bp_vmbus_packet *p)
{
    struct dynmem *s = ctx;
    const uint8_t *m = p->data;
    uint32_t bytes = p->bytes;

    if (p->type != BP_VMBUS_INBAND || bytes < HEAD || wire_u16(m + 2) > bytes)
        return -EINVAL;
    bytes = wire_u16(m + 2);
    switch (wire_u16(m)) {
    case DM_VERSION_REQUEST: return version_asked(s, m, bytes);
    case DM_CAPABILITIES: return capabilities_told(s, m, bytes);
    case DM_STATUS: return status_told(s, m, bytes);
    case DM_BALLOON_RESPONSE: return pages_given(s, m, bytes);
    case DM_UNBALLOON_RESPONSE: return pages_taken(s);
    case DM_HOT_ADD_RESPONSE: return blocks_added(s, m, bytes);
    default: return -EINVAL;
    }
}

/* --- the channel ----------------------------------------------------------*/

/* An answer that is missing for good; what was added stays. */
static void forget(struct dynmem *s)
{
    uint32_t blocks = s->st.blocks + s->st.asked_blocks;

    s->timer->cancel(s->policy);
    memset(&s->st, 0, sizeof(s->st));
    s->st.blocks = blocks;
}

static int32_t dynmem_opened(void *ctx, const struct bp_vmbus_open *open)
{
    struct dynmem *s = ctx;

    (void)open;
    s->st.phase = OPENED;
    return 0;
}

static void dynmem_closing(void *ctx)
{
    struct dynmem *s = ctx;

    forget(s);
    finish(s, "the guest closed the channel");
    s->bus->close_done(s->channel);
}

static void dynmem_writable(void *ctx)
{
    pump(ctx);
}

static const struct bp_vmbus_channel_ops dynmem_ops = {
    .size = sizeof(struct bp_vmbus_channel_ops),
    .opened = dynmem_opened,
    .closing = dynmem_closing,
    .packet = dynmem_packet,
    .writable = dynmem_writable,
};

/* --- the command ----------------------------------------------------------*/

/* "1G", "512M", bytes; 0: it is no size. */
static uint64_t parse_size(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    unsigned shift = 0;

    if (end == text || text[0] < '0' || text[0] > '9')
        return 0;
    if (*end == 'K' || *end == 'k')
        shift = 10;
    else if (*end == 'M' || *end == 'm')
        shift = 20;
    else if (*end == 'G' || *end == 'g')
        shift = 30;
    else if (*end == 'T' || *end == 't')
        shift = 40;
    if (end[shift > 0] || value > UINT64_MAX >> shift)
        return 0;
    return value << shift;
}

static const char *set_order(struct dynmem *s, const char *text)
{
    uint64_t pages = parse_size(text) / PAGE;

    if (strcmp(text, "auto") == 0) {
        s->st.order = 0;
        return NULL;
    }
    if (pages < LEAST_PAGES)
        return "a size is wanted, of 8M or more, or auto";
    if (pages > most_pages(s))
        return "the machine cannot have that much (--memory-max)";
    s->st.order = pages;
    return NULL;
}

static void run_memory(void *ctx, struct bp_call *call)
{
    struct dynmem *s = ctx;
    const char *size = s->control->argument(call, "size");
    const char *error = NULL;

    if (size && s->call)
        error = "another order is under way";
    else if (size && s->st.phase != READY)
        error = "the guest has no driver for it (hv_balloon)";
    else if (size)
        error = set_order(s, size);
    if (!size && !error)
        put_status(s, call);
    if (!size || error) {
        s->control->done(call, error);
        return;
    }
    s->st.gave_less = 0;
    s->call = call;
    s->timer->arm(s->patience,
                  s->timer->now(s->dev, BP_CLOCK_VIRTUAL) + PATIENCE_NS);
    pump(s);
}

static void cancel_memory(void *ctx, struct bp_call *call)
{
    struct dynmem *s = ctx;

    if (s->call == call) {
        s->call = NULL;
        s->timer->cancel(s->patience);
    }
}

static const struct bp_command memory_command = {
    .size = sizeof(struct bp_command),
    .name = "memory",
    .arguments = "size?",
    .help = "what memory the guest has and needs, in MiB; or orders a size, "
            "or auto",
    .run = run_memory,
    .cancel = cancel_memory,
};

/* --- life -----------------------------------------------------------------*/

static int32_t dynmem_create(void *self, struct bp_dev *dev,
                             const struct bp_host *host)
{
    struct dynmem *s = self;

    s->dev = dev;
    s->host = host;
    s->log = host->query(host, BP_LOG);
    s->timer = host->query(host, BP_TIMER);
    s->control = host->query(host, BP_CONTROL);
    s->ram = host->query(host, BP_RAM);
    return 0;
}

static int32_t dynmem_realize(void *self)
{
    struct dynmem *s = self;
    struct bp_vmbus_offer offer = {
        .size = sizeof offer,
        .type = { { 0xdc, 0x74, 0x50, 0x52, 0x85, 0x89, 0xe2, 0x46, 0x80, 0x57,
                    0xa3, 0x07, 0xdc, 0x18, 0xa5, 0x02 } },
        .instance = { { 0x72, 0xfd, 0xcc, 0x1e, 0x41, 0x4b, 0xef, 0x45, 0xb7,
                        0x3a, 0x4a, 0x6e, 0x44, 0xc1, 0x29, 0x24 } },
    };

    s->ram->layout(s->dev, &s->layout);
    s->policy =
        s->timer->create(s->dev, BP_CLOCK_VIRTUAL, "policy", run_policy, s);
    s->patience =
        s->timer->create(s->dev, BP_CLOCK_VIRTUAL, "patience", too_late, s);
    s->control->add(s->dev, &memory_command, s);
    s->bus = s->host->device_query(s->dev, NULL, BP_VMBUS, &s->vmbus);
    if (!s->bus)
        return s->host->fail(s->dev, -ENODEV, "there is no VMBus");
    s->channel = s->bus->create(s->vmbus, s->dev, &offer, &dynmem_ops, s);
    return s->channel ? 0 : -EBUSY;
}

/* The next system finds the machine as it was at its start. */
static void dynmem_reset(void *self, uint32_t kind)
{
    struct dynmem *s = self;

    (void)kind;
    s->timer->cancel(s->policy);
    s->timer->cancel(s->patience);
    memset(&s->st, 0, sizeof(s->st));
    s->ram->set_hot(s->dev, 0);
}

static int32_t dynmem_loaded(void *self, uint32_t version)
{
    struct dynmem *s = self;
    const struct dynmem_state *st = &s->st;

    (void)version;
    if (st->phase > READY || st->operation > ADD ||
        st->blocks > s->layout.hot_blocks || st->asked > STEP_PAGES ||
        st->asked_blocks > STEP_BLOCKS || !page_ranges_valid(&st->given) ||
        st->given.pages > startup_pages(s) + st->blocks * block_pages(s))
        return s->host->fail(s->dev, -EINVAL, "its state is damaged");
    if (s->ram->set_hot(s->dev, st->blocks + st->asked_blocks))
        return s->host->fail(s->dev, -EINVAL, "it has too much memory");
    return 0;
}

static const struct bp_field dynmem_fields[] = {
    BP_FIELD(struct dynmem, st.phase, "phase"),
    BP_FIELD(struct dynmem, st.due, "due"),
    BP_FIELD(struct dynmem, st.accepted, "accepted"),
    BP_FIELD(struct dynmem, st.operation, "operation"),
    BP_FIELD(struct dynmem, st.capabilities, "capabilities"),
    BP_FIELD(struct dynmem, st.add_failed, "add_failed"),
    BP_FIELD(struct dynmem, st.gave_less, "gave_less"),
    BP_FIELD(struct dynmem, st.reported, "reported"),
    BP_FIELD(struct dynmem, st.version, "version"),
    BP_FIELD(struct dynmem, st.transaction, "transaction"),
    BP_FIELD(struct dynmem, st.sent, "sent"),
    BP_FIELD(struct dynmem, st.blocks, "blocks"),
    BP_FIELD(struct dynmem, st.asked_blocks, "asked_blocks"),
    BP_FIELD(struct dynmem, st.asked, "asked"),
    BP_FIELD(struct dynmem, st.demand, "demand"),
    BP_FIELD(struct dynmem, st.available, "available"),
    BP_FIELD(struct dynmem, st.order, "order"),
    BP_FIELD_TABLE(struct dynmem, st.given, "given", 1, page_ranges_fields),
    BP_FIELD_END,
};

static const struct bp_property dynmem_properties[] = {
    { .name = "min",
      .help = "down to this the guest gives memory back; 0: not by itself",
      .type = BP_PROP_SIZE,
      .offset = offsetof(struct dynmem, least) },
    { .name = "buffer",
      .help = "percent that a guest gets beyond its demand",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct dynmem, buffer),
      .max = 2000,
      .number = 20 },
    { .name = "weight",
      .help = "how much of the buffer stays when the host is short, of 10000",
      .type = BP_PROP_UINT,
      .offset = offsetof(struct dynmem, weight),
      .max = MOST_WEIGHT,
      .number = 5000 },
    { .name = NULL },
};

static const char *const dynmem_requires[] = { BP_LOG, BP_TIMER, BP_CONTROL,
                                               BP_RAM, NULL };

static const struct bp_device_desc dynmem_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_OTHER,
    .id = "dynmem",
    .title = "Hyper-V dynamic memory",
    .instance_size = sizeof(struct dynmem),
    .state_offset = offsetof(struct dynmem, st),
    .state_size = sizeof(struct dynmem_state),
    .state_version = 1,
    .fields = dynmem_fields,
    .properties = dynmem_properties,
    .requires_ = dynmem_requires,
    .create = dynmem_create,
    .realize = dynmem_realize,
    .reset = dynmem_reset,
    .loaded = dynmem_loaded,
};

EXPORT_DEVICES("dynmem", "Hyper-V dynamic memory", &dynmem_desc);
