/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ic-kvp: keys and values that host and guest exchange, and the guest's
 * network addresses.
 *
 * Source: Linux include/uapi/linux/hyperv.h (struct hv_kvp_msg and around).
 *
 * Modelled: versions 4.0, 3.0 and 1.0; all operations and pools; values that
 * are text or numbers; commands kvp-list, kvp-get, kvp-set, kvp-delete, kvp-ip
 * and kvp-set-ip.  The protocol has one message under way; calls wait in a
 * row.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"
#include "ic.h"
#include "netvsp_wire.h"
#include "wire.h"

enum { /* operation */
       OP_GET = 0,
       OP_SET = 1,
       OP_DELETE = 2,
       OP_ENUMERATE = 3,
       OP_GET_IP = 4,
       OP_SET_IP = 5,
};

enum {                    /* pool */
       POOL_EXTERNAL = 0, /* the host's items for the guest */
       POOL_GUEST = 1,    /* the guest's for the host */
       POOL_AUTO = 2,     /* what the guest's system says about itself */
       POOLS = 5,
};

static const char *const pool_names[POOLS] = {
    "external", "guest", "auto", "auto-external", "auto-internal",
};

/* A value; in an enumeration behind an index */
#define KEY_UNITS   256u
#define VALUE_UNITS 1024u
#define V_TYPE      0u
#define V_KEY_SIZE  4u
#define V_SIZE      8u
#define V_KEY       12u
#define V_VALUE     (V_KEY + 2 * KEY_UNITS)
#define VALUE_BYTES (V_VALUE + 2 * VALUE_UNITS)
#define OP_HEAD     4u
#define KVP_BYTES   (OP_HEAD + 4 + VALUE_BYTES)

#define TYPE_TEXT 1u
#define TYPE_U32  4u
#define TYPE_U64  11u /* REG_QWORD; Linux has 8 for it */
#define TYPE_U64L 8u

/* Addresses, behind the operation and the pool without padding */
#define ADAPTER_UNITS 128u
#define LIST_UNITS    1024u
#define GATEWAY_UNITS 512u
#define A_FAMILY      (2 * ADAPTER_UNITS)
#define A_DHCP        (A_FAMILY + 1)
#define A_ADDRESS     (A_DHCP + 1)
#define A_NETMASK     (A_ADDRESS + 2 * LIST_UNITS)
#define A_GATEWAY     (A_NETMASK + 2 * LIST_UNITS)
#define A_DNS         (A_GATEWAY + 2 * GATEWAY_UNITS)
#define IP_HEAD       2u
#define IP_BYTES      (IP_HEAD + A_DNS + 2 * LIST_UNITS)
#define FAMILY_IPV4   1u
#define FAMILY_IPV6   2u

#define AUTO_IPV4 2u /* index in the pool "auto" */
#define AUTO_IPV6 3u

#define TIMEOUT_NS 45000000000ull /* Linux gives up after 30 s */
#define MAX_ITEMS  1024u
#define MAX_WAIT   16u

enum { /* what a call wants */
       JOB_LIST,
       JOB_GET,
       JOB_SET,
       JOB_DELETE,
       JOB_IP,
       JOB_SET_IP,
       JOBS,
};

struct kvp_state {
    struct ic_state ic;
};

struct kvp;

struct job_kind { /* the context of its command */
    struct kvp *kvp;
    uint32_t job; /* JOB_* */
};

struct job {
    struct bp_call *call;
    uint32_t job;
};

struct kvp {
    /* Wiring */
    const struct bp_timer *timer;
    const struct bp_control *control;
    struct bp_dev *dev;
    struct bp_timer_handle *patience;
    struct ic ic;
    struct job_kind kinds[JOBS];
    /* Calls: the first is under way */
    struct job jobs[MAX_WAIT];
    uint32_t job_count;
    uint8_t operation; /* of the message under way */
    uint8_t pool;
    uint32_t index; /* of an enumeration */
    uint8_t message[IP_BYTES];
    char text[3 * LIST_UNITS + 1], key[3 * KEY_UNITS + 1];
    /* State */
    struct kvp_state st;
};

static void start_next(struct kvp *s);

/* --- calls ----------------------------------------------------------------*/

static struct bp_call *current(struct kvp *s)
{
    return s->job_count ? s->jobs[0].call : NULL;
}

static void drop_first(struct kvp *s)
{
    s->job_count--;
    memmove(&s->jobs[0], &s->jobs[1], s->job_count * sizeof(s->jobs[0]));
}

/* Ends the call that is under way. */
static void finish(struct kvp *s, const char *error)
{
    struct bp_call *call = current(s);

    s->timer->cancel(s->patience);
    if (!call)
        return;
    drop_first(s);
    s->control->done(call, error);
    start_next(s);
}

static void end_all(struct kvp *s, const char *why)
{
    s->timer->cancel(s->patience);
    while (s->job_count) {
        struct bp_call *call = current(s);
        drop_first(s);
        if (call)
            s->control->done(call, why);
    }
}

static void too_late(void *ctx)
{
    end_all(ctx, "the guest does not answer");
}

/* --- messages -------------------------------------------------------------*/

/* Where the value is: an enumeration has an index before it. */
static uint8_t *value_of(struct kvp *s)
{
    return s->message + OP_HEAD + (s->operation == OP_ENUMERATE ? 4 : 0);
}

static void begin(struct kvp *s, uint8_t operation, uint8_t pool)
{
    memset(s->message, 0, sizeof(s->message));
    s->operation = operation;
    s->pool = pool;
    s->message[0] = operation;
    s->message[1] = pool;
}

static void send(struct kvp *s, uint32_t bytes)
{
    if (ic_ask(&s->ic, s->message, bytes) < 0) {
        finish(s, ic_trouble(&s->ic));
        return;
    }
    s->timer->arm(s->patience,
                  s->timer->now(s->dev, BP_CLOCK_VIRTUAL) + TIMEOUT_NS);
}

static void enumerate(struct kvp *s, uint8_t pool, uint32_t index)
{
    begin(s, OP_ENUMERATE, pool);
    s->index = index;
    wire_put32(s->message + OP_HEAD, index);
    send(s, KVP_BYTES);
}

static const char *argument(struct kvp *s, const char *name)
{
    return s->control->argument(current(s), name);
}

static int flag(struct kvp *s, const char *name)
{
    const char *text = argument(s, name);

    return text && strcmp(text, "on") == 0;
}

/* The text with its zero; 0 after an error was told. */
static int put(struct kvp *s, const char *text, uint8_t *out, uint32_t units,
               uint32_t *bytes)
{
    int32_t n = text ? ic_to_utf16(text, out, units) : 0;

    if (n < 0) {
        finish(s, "an argument is too long or no UTF-8");
        return 0;
    }
    if (bytes)
        *bytes = 2 * ((uint32_t)n + 1);
    return 1;
}

static int put_text(struct kvp *s, const char *name, uint8_t *out,
                    uint32_t units, uint32_t *bytes)
{
    return put(s, argument(s, name), out, units, bytes);
}

/* "nic0" is the adapter of that number, by its GUID. */
static int put_adapter(struct kvp *s, uint8_t *out)
{
    const char *text = argument(s, "adapter");
    char guid[sizeof(NETVSP_INSTANCE)], *end;
    unsigned long number;

    if (text && strncmp(text, "nic", 3) == 0 && text[3] >= '0' &&
        text[3] <= '9') {
        number = strtoul(text + 3, &end, 10);
        if (!*end && number < NETVSP_ADAPTERS) {
            snprintf(guid, sizeof(guid), NETVSP_INSTANCE, (unsigned)number);
            text = guid;
        }
    }
    return put(s, text, out, ADAPTER_UNITS, NULL);
}

/* POOLS: there is none of this name. */
static uint8_t pool_named(const char *name, uint8_t otherwise)
{
    uint8_t pool = 0;

    if (!name)
        return otherwise;
    while (pool < POOLS && strcmp(pool_names[pool], name) != 0)
        pool++;
    return pool;
}

static void start_set(struct kvp *s, uint8_t pool)
{
    uint8_t *v;
    uint32_t key_bytes, bytes;

    begin(s, OP_SET, pool);
    v = value_of(s);
    if (!put_text(s, "key", v + V_KEY, KEY_UNITS, &key_bytes) ||
        !put_text(s, "value", v + V_VALUE, VALUE_UNITS, &bytes))
        return;
    wire_put32(v + V_TYPE, TYPE_TEXT);
    wire_put32(v + V_KEY_SIZE, key_bytes);
    wire_put32(v + V_SIZE, bytes);
    send(s, KVP_BYTES);
}

static void start_delete(struct kvp *s, uint8_t pool)
{
    uint32_t bytes;

    begin(s, OP_DELETE, pool);
    if (!put_text(s, "key", s->message + OP_HEAD + 4, KEY_UNITS, &bytes))
        return;
    wire_put32(s->message + OP_HEAD, bytes);
    send(s, KVP_BYTES);
}

/* Linux' answer to GET lacks the first four bytes of the value, so a key is
 * looked for by enumeration if nobody asks for the other. */
static void start_get(struct kvp *s, uint8_t pool)
{
    uint8_t *v;
    uint32_t bytes;

    if (!flag(s, "direct")) {
        enumerate(s, pool, 0);
        return;
    }
    begin(s, OP_GET, pool);
    v = value_of(s);
    if (!put_text(s, "key", v + V_KEY, KEY_UNITS, &bytes))
        return;
    wire_put32(v + V_KEY_SIZE, bytes);
    send(s, KVP_BYTES);
}

static void start_ip(struct kvp *s, uint8_t operation)
{
    uint8_t *a = s->message + IP_HEAD;
    const char *family = argument(s, "family");

    if (operation == OP_GET_IP && !argument(s, "adapter")) {
        enumerate(s, POOL_AUTO, AUTO_IPV4);
        return;
    }
    begin(s, operation, POOL_EXTERNAL);
    a[A_FAMILY] =
        family && strcmp(family, "ipv6") == 0 ? FAMILY_IPV6 : FAMILY_IPV4;
    a[A_DHCP] = (uint8_t)flag(s, "dhcp");
    if (put_adapter(s, a) &&
        put_text(s, "address", a + A_ADDRESS, LIST_UNITS, NULL) &&
        put_text(s, "netmask", a + A_NETMASK, LIST_UNITS, NULL) &&
        put_text(s, "gateway", a + A_GATEWAY, GATEWAY_UNITS, NULL) &&
        put_text(s, "dns", a + A_DNS, LIST_UNITS, NULL))
        send(s, IP_BYTES);
}

static void start_next(struct kvp *s)
{
    static const uint8_t usual[JOBS] = {
        [JOB_LIST] = POOL_AUTO,
        [JOB_GET] = POOL_AUTO,
        [JOB_SET] = POOL_EXTERNAL,
        [JOB_DELETE] = POOL_EXTERNAL,
    };
    uint8_t pool;

    if (!s->job_count)
        return;
    pool = pool_named(argument(s, "pool"), usual[s->jobs[0].job]);
    if (pool >= POOLS) {
        finish(s, "there is no such pool (external, guest, auto, "
                  "auto-external, auto-internal)");
        return;
    }
    switch (s->jobs[0].job) {
    case JOB_LIST:
        s->control->begin_list(current(s), "items");
        enumerate(s, pool, 0);
        break;
    case JOB_GET: start_get(s, pool); break;
    case JOB_SET: start_set(s, pool); break;
    case JOB_DELETE: start_delete(s, pool); break;
    case JOB_IP: start_ip(s, OP_GET_IP); break;
    case JOB_SET_IP: start_ip(s, OP_SET_IP); break;
    default: break;
    }
}

/* --- answers --------------------------------------------------------------*/

static void put_number(char *text, uint64_t value)
{
    char digits[21];
    unsigned n = sizeof(digits);

    digits[--n] = 0;
    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    memcpy(text, digits + n, sizeof(digits) - n);
}

/* Key and value as text into s->key and s->text. */
static void read_value(struct kvp *s, const uint8_t *v)
{
    uint32_t key_bytes = wire_u32(v + V_KEY_SIZE);
    uint32_t bytes = wire_u32(v + V_SIZE);

    if (key_bytes > 2 * KEY_UNITS)
        key_bytes = 2 * KEY_UNITS;
    if (bytes > 2 * VALUE_UNITS)
        bytes = 2 * VALUE_UNITS;
    ic_from_utf16(v + V_KEY, key_bytes / 2, s->key, sizeof(s->key));
    switch (wire_u32(v + V_TYPE)) {
    case TYPE_U32: put_number(s->text, wire_u32(v + V_VALUE)); break;
    case TYPE_U64:
    case TYPE_U64L: put_number(s->text, wire_u64(v + V_VALUE)); break;
    default:
        ic_from_utf16(v + V_VALUE, bytes / 2, s->text, sizeof(s->text));
        break;
    }
}

static void listed(struct kvp *s, uint32_t status, const uint8_t *v)
{
    struct bp_call *call = current(s);

    if (status || s->index + 1 >= MAX_ITEMS) {
        finish(s, status == IC_E_NO_MORE || !status ? NULL
                                                    : ic_status_text(status));
        return;
    }
    read_value(s, v);
    s->control->begin_object(call, NULL);
    s->control->put_string(call, "key", s->key);
    s->control->put_string(call, "value", s->text);
    s->control->end(call);
    enumerate(s, s->pool, s->index + 1);
}

/* Where a key is looked for when no pool was named. */
static void next_pool(struct kvp *s)
{
    static const uint8_t after[POOLS] = {
        [POOL_AUTO] = POOL_GUEST, [POOL_GUEST] = POOL_EXTERNAL
    };

    if (argument(s, "pool") || s->pool == POOL_EXTERNAL)
        finish(s, "the guest has no such key");
    else
        enumerate(s, after[s->pool], 0);
}

static void looked_for(struct kvp *s, uint32_t status, const uint8_t *v)
{
    struct bp_call *call = current(s);

    if (status == IC_E_NO_MORE || (!status && s->index + 1 >= MAX_ITEMS)) {
        next_pool(s);
        return;
    }
    if (status) {
        finish(s, ic_status_text(status));
        return;
    }
    read_value(s, v);
    if (strcmp(s->key, argument(s, "key")) != 0) {
        enumerate(s, s->pool, s->index + 1);
        return;
    }
    s->control->put_string(call, "value", s->text);
    finish(s, NULL);
}

static void got(struct kvp *s, uint32_t status, const uint8_t *v)
{
    if (status) {
        finish(s, ic_status_text(status));
        return;
    }
    read_value(s, v);
    s->control->put_string(current(s), "value", s->text);
    finish(s, NULL);
}

static void put_list(struct kvp *s, const char *name, const uint8_t *units,
                     uint32_t n)
{
    ic_from_utf16(units, n, s->text, sizeof(s->text));
    s->control->put_string(current(s), name, s->text);
}

static void got_ip(struct kvp *s, uint32_t status, const uint8_t *a)
{
    if (status) {
        finish(s, ic_status_text(status));
        return;
    }
    put_list(s, "address", a + A_ADDRESS, LIST_UNITS);
    put_list(s, "netmask", a + A_NETMASK, LIST_UNITS);
    put_list(s, "gateway", a + A_GATEWAY, GATEWAY_UNITS);
    put_list(s, "dns", a + A_DNS, LIST_UNITS);
    s->control->put_bool(current(s), "dhcp", a[A_DHCP] != 0);
    finish(s, NULL);
}

/* `kvp ip` without an adapter: two items of the pool "auto". */
static void got_auto_ip(struct kvp *s, uint32_t status, const uint8_t *v)
{
    if (status) {
        finish(s, ic_status_text(status));
        return;
    }
    read_value(s, v);
    s->control->put_string(current(s), s->index == AUTO_IPV4 ? "ipv4" : "ipv6",
                           s->text);
    if (s->index == AUTO_IPV4)
        enumerate(s, POOL_AUTO, AUTO_IPV6);
    else
        finish(s, NULL);
}

static void dispatch(struct kvp *s, uint32_t status, const uint8_t *data)
{
    const uint8_t *item = data + OP_HEAD + 4; /* of an enumeration */

    switch (s->jobs[0].job) {
    case JOB_LIST: listed(s, status, item); break;
    case JOB_GET:
        if (s->operation == OP_ENUMERATE)
            looked_for(s, status, item);
        else
            got(s, status, data + OP_HEAD);
        break;
    case JOB_IP:
        if (s->operation == OP_ENUMERATE)
            got_auto_ip(s, status, item);
        else
            got_ip(s, status, data + IP_HEAD);
        break;
    default: finish(s, status ? ic_status_text(status) : NULL); break;
    }
}

static void kvp_answer(void *ctx, uint32_t status, const uint8_t *data,
                       uint32_t bytes)
{
    struct kvp *s = ctx;
    uint32_t want = s->operation >= OP_GET_IP ? IP_BYTES : KVP_BYTES;

    if (!s->job_count)
        return;
    if (!s->jobs[0].call) { /* who asked has gone */
        s->timer->cancel(s->patience);
        drop_first(s);
        start_next(s);
    } else if (bytes < want && !status) {
        finish(s, "the guest's answer is too short");
    } else {
        dispatch(s, status, data);
    }
}

static void kvp_closed(void *ctx)
{
    end_all(ctx, "the guest closed the channel");
}

static const struct ic_desc kvp_ic = {
    .type = { { 0xe7, 0xf4, 0xa0, 0xa9, 0x45, 0x5a, 0x96, 0x4d, 0xb8, 0x27,
                0x8a, 0x84, 0x1e, 0x8c, 0x03, 0xe6 } },
    .instance = { { 0x19, 0xf9, 0x2f, 0x24, 0xdb, 0x07, 0x80, 0x41, 0x9c, 0x2e,
                    0xb8, 0x6c, 0xb6, 0x8c, 0x8c, 0x55 } },
    .message = IC_KVP,
    .version_count = 3,
    .versions = { { 4, 0 }, { 3, 0 }, { 1, 0 } },
    .answer = kvp_answer,
    .closed = kvp_closed,
};

/* --- commands -------------------------------------------------------------*/

static void run_job(void *ctx, struct bp_call *call)
{
    struct job_kind *kind = ctx;
    struct kvp *s = kind->kvp;

    if (s->job_count == MAX_WAIT) {
        s->control->done(call, "too many requests wait for the guest");
        return;
    }
    s->jobs[s->job_count++] = (struct job){ call, kind->job };
    if (s->job_count == 1)
        start_next(s);
}

/* The guest's answer to the first is still to come. */
static void cancel_job(void *ctx, struct bp_call *call)
{
    struct kvp *s = ((struct job_kind *)ctx)->kvp;
    uint32_t i = 0;

    while (i < s->job_count && s->jobs[i].call != call)
        i++;
    if (i == 0) {
        s->jobs[0].call = NULL;
    } else if (i < s->job_count) {
        s->job_count--;
        memmove(&s->jobs[i], &s->jobs[i + 1],
                (s->job_count - i) * sizeof(s->jobs[0]));
    }
}

#define COMMAND(name_, arguments_, help_)                       \
    {                                                           \
        .size = sizeof(struct bp_command), .name = name_,       \
        .arguments = arguments_, .help = help_, .run = run_job, \
        .cancel = cancel_job                                    \
    }

static const struct bp_command kvp_commands[JOBS] = {
    [JOB_LIST] = COMMAND("kvp-list", "pool?",
                         "keys and values of a pool: auto (the guest's "
                         "system), guest, external (the host's)"),
    [JOB_GET] = COMMAND("kvp-get", "key pool? direct!",
                        "one value, from auto, guest or external"),
    [JOB_SET] =
        COMMAND("kvp-set", "key value pool?", "sets a value for the guest"),
    [JOB_DELETE] = COMMAND("kvp-delete", "key pool?", "deletes a key"),
    [JOB_IP] = COMMAND("kvp-ip", "adapter? family?",
                       "the guest's addresses; those of one adapter, by its "
                       "MAC address"),
    [JOB_SET_IP] = COMMAND("kvp-set-ip",
                           "adapter address? netmask? gateway? dns? family? "
                           "dhcp!",
                           "sets addresses of an adapter, nic0 or a GUID; "
                           "lists with ';'"),
};

/* --- life -----------------------------------------------------------------*/

static int32_t kvp_create(void *self, struct bp_dev *dev,
                          const struct bp_host *host)
{
    struct kvp *s = self;

    s->dev = dev;
    s->timer = host->query(host, BP_TIMER);
    s->control = host->query(host, BP_CONTROL);
    return ic_create(&s->ic, dev, host, &kvp_ic, &s->st.ic, s);
}

static int32_t kvp_realize(void *self)
{
    struct kvp *s = self;

    s->patience =
        s->timer->create(s->dev, BP_CLOCK_VIRTUAL, "patience", too_late, s);
    for (uint32_t i = 0; i < JOBS; i++) {
        s->kinds[i] = (struct job_kind){ s, i };
        s->control->add(s->dev, &kvp_commands[i], &s->kinds[i]);
    }
    return ic_realize(&s->ic);
}

static void kvp_reset(void *self, uint32_t kind)
{
    struct kvp *s = self;

    (void)kind;
    s->timer->cancel(s->patience);
    memset(&s->st, 0, sizeof(s->st));
}

static int32_t kvp_loaded(void *self, uint32_t version)
{
    struct kvp *s = self;

    (void)version;
    return ic_loaded(&s->ic);
}

static const struct bp_field kvp_fields[] = {
    BP_FIELD_TABLE(struct kvp, st.ic, "ic", 1, ic_fields),
    BP_FIELD_END,
};

static const char *const kvp_requires[] = { BP_LOG, BP_TIMER, BP_LANE,
                                            BP_CONTROL, NULL };

static const struct bp_device_desc kvp_desc = {
    .size = sizeof(struct bp_device_desc),
    .device_class = BP_CLASS_OTHER,
    .id = "ic-kvp",
    .title = "Hyper-V key-value exchange",
    .instance_size = sizeof(struct kvp),
    .state_offset = offsetof(struct kvp, st),
    .state_size = sizeof(struct kvp_state),
    .state_version = 1,
    .fields = kvp_fields,
    .requires_ = kvp_requires,
    .create = kvp_create,
    .realize = kvp_realize,
    .reset = kvp_reset,
    .loaded = kvp_loaded,
};

EXPORT_DEVICES("ic-kvp", "Hyper-V key-value exchange", &kvp_desc);
