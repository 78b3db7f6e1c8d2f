/* SPDX-License-Identifier: Apache-2.0 */
#include "ic.h"

#include <errno.h>
#include <string.h>

#include "wire.h"

/* Offsets in the header, behind that of the pipe */
#define H_FRAMEWORK 0u
#define H_TYPE      4u
#define H_VERSION   6u
#define H_SIZE      10u
#define H_STATUS    12u
#define H_ID        16u
#define H_FLAGS     17u

#define FLAG_TRANSACTION 1u
#define FLAG_REQUEST     2u
#define FLAG_RESPONSE    4u

/* The negotiation's payload: counts, and versions from here on */
#define N_VERSIONS 8u

#define FRAMEWORKS 2u
static const uint16_t frameworks[FRAMEWORKS][2] = { { 3, 0 }, { 1, 0 } };

const struct bp_field ic_fields[] = {
    BP_FIELD(struct ic_state, phase, "phase"),
    BP_FIELD(struct ic_state, id, "id"),
    BP_FIELD(struct ic_state, asking, "asking"),
    BP_FIELD_ARRAY(struct ic_state, framework, "framework"),
    BP_FIELD_ARRAY(struct ic_state, version, "version"),
    BP_FIELD(struct ic_state, out_bytes, "out_bytes"),
    BP_FIELD_TRIMMED_BLOB(struct ic_state, out, "out"),
    BP_FIELD_END,
};

/* --- sending --------------------------------------------------------------*/

static void refuse(struct ic *ic, const char *why)
{
    ic->log->guest_error(ic->dev, "%s", why);
    ic->st->phase = IC_REFUSED;
    ic->st->asking = 0;
    ic->st->out_bytes = 0;
}

/* What waits goes out as soon as there is room for it. */
static void flush(struct ic *ic)
{
    struct ic_state *st = ic->st;
    int32_t error;

    if (!st->out_bytes)
        return;
    error = wire_send(ic->bus, ic->channel, st->out, st->out_bytes);
    if (error == -EAGAIN)
        return;
    memset(st->out, 0, st->out_bytes);
    st->out_bytes = 0;
    if (error == -EMSGSIZE)
        refuse(ic, "its ring has no room for one message");
}

static void send_message(struct ic *ic, uint16_t type, const void *data,
                         uint32_t bytes)
{
    struct ic_state *st = ic->st;
    uint8_t *h = st->out + PIPE_HEAD;

    st->id++;
    st->asking = 1;
    memset(st->out, 0, PIPE_HEAD + IC_HEAD);
    pipe_head(st->out, IC_HEAD + bytes);
    wire_put16(h + H_FRAMEWORK, st->framework[0]);
    wire_put16(h + H_FRAMEWORK + 2, st->framework[1]);
    wire_put16(h + H_TYPE, type);
    wire_put16(h + H_VERSION, st->version[0]);
    wire_put16(h + H_VERSION + 2, st->version[1]);
    wire_put16(h + H_SIZE, (uint16_t)bytes);
    h[H_ID] = st->id;
    h[H_FLAGS] = FLAG_TRANSACTION | FLAG_REQUEST;
    memcpy(h + IC_HEAD, data, bytes);
    st->out_bytes = PIPE_HEAD + IC_HEAD + bytes;
    flush(ic);
}

int32_t ic_is_ready(const struct ic *ic)
{
    return ic->st->phase == IC_READY;
}

int32_t ic_speaks(const struct ic *ic, uint16_t major, uint16_t minor)
{
    const uint16_t *v = ic->st->version;

    return v[0] > major || (v[0] == major && v[1] >= minor);
}

int32_t ic_ask(struct ic *ic, const void *data, uint32_t bytes)
{
    if (!ic_is_ready(ic))
        return -ENOTCONN;
    if (ic->st->asking)
        return -EBUSY;
    send_message(ic, ic->desc->message, data, bytes);
    return ic_is_ready(ic) ? 0 : -ENOTCONN;
}

/* --- negotiation ----------------------------------------------------------*/

static uint8_t *put_version(uint8_t *p, const uint16_t v[2])
{
    wire_put16(p, v[0]);
    wire_put16(p + 2, v[1]);
    return p + 4;
}

/* The guest takes the newest that it knows. */
static void offer_versions(void *ctx)
{
    struct ic *ic = ctx;
    const struct ic_desc *d = ic->desc;
    uint8_t m[N_VERSIONS + 4 * 8] = { 0 }, *p = m + N_VERSIONS;

    if (ic->st->phase != IC_OFFERED || ic->st->asking)
        return;
    wire_put16(m, FRAMEWORKS);
    wire_put16(m + 2, d->version_count);
    for (uint16_t i = 0; i < FRAMEWORKS; i++)
        p = put_version(p, frameworks[i]);
    for (uint16_t i = 0; i < d->version_count; i++)
        p = put_version(p, d->versions[i]);
    send_message(ic, IC_NEGOTIATE, m, (uint32_t)(p - m));
}

static int offered(const struct ic_desc *d, uint16_t major, uint16_t minor)
{
    for (unsigned i = 0; i < d->version_count; i++) {
        if (d->versions[i][0] == major && d->versions[i][1] == minor)
            return 1;
    }
    return 0;
}

static void versions_chosen(struct ic *ic, const uint8_t *data, uint32_t bytes)
{
    struct ic_state *st = ic->st;

    if (bytes < N_VERSIONS + 8 || wire_u16(data) != 1 ||
        wire_u16(data + 2) != 1) {
        refuse(ic, "it knows none of the versions");
        return;
    }
    data += N_VERSIONS;
    if (!offered(ic->desc, wire_u16(data + 4), wire_u16(data + 6))) {
        refuse(ic, "it chose a version that was not offered");
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        st->framework[i] = wire_u16(data + 2 * i);
        st->version[i] = wire_u16(data + 4 + 2 * i);
    }
    st->phase = IC_READY;
    if (ic->desc->ready)
        ic->desc->ready(ic->ctx);
}

/* --- the channel ----------------------------------------------------------*/

static void clear(struct ic *ic)
{
    memset(ic->st, 0, sizeof(*ic->st));
}

static int32_t ic_opened(void *ctx, const struct bp_vmbus_open *open)
{
    struct ic *ic = ctx;

    (void)open;
    clear(ic);
    ic->st->phase = IC_OFFERED;
    /* Nothing can be sent before this returned. */
    ic->lane->post(ic->dev, offer_versions, ic);
    return 0;
}

static void ic_closing(void *ctx)
{
    struct ic *ic = ctx;

    clear(ic);
    if (ic->desc->closed)
        ic->desc->closed(ic->ctx);
    ic->bus->close_done(ic->channel);
}

static void ic_writable(void *ctx)
{
    flush(ctx);
}

/* Only answers come: to the message that was sent last. */
static int32_t ic_packet(void *ctx, const struct bp_vmbus_packet *p)
{
    struct ic *ic = ctx;
    const uint8_t *h;
    uint32_t bytes;

    if (pipe_message(p, &h, &bytes) || bytes < IC_HEAD)
        return -EINVAL;
    const uint8_t *data = h + IC_HEAD;
    bytes -= IC_HEAD;
    if (wire_u16(h + H_SIZE) > bytes)
        return -EINVAL;
    bytes = wire_u16(h + H_SIZE);
    if (!ic->st->asking || ic->st->out_bytes || h[H_ID] != ic->st->id ||
        !(h[H_FLAGS] & FLAG_RESPONSE)) {
        ic->log->guest_error(ic->dev, "an answer to nothing that was asked");
        return 0;
    }
    ic->st->asking = 0;
    if (ic->st->phase == IC_READY)
        ic->desc->answer(ic->ctx, wire_u32(h + H_STATUS), data, bytes);
    else if (ic->st->phase == IC_OFFERED)
        versions_chosen(ic, data, bytes);
    return 0;
}

static const struct bp_vmbus_channel_ops ic_ops = {
    .size = sizeof(struct bp_vmbus_channel_ops),
    .opened = ic_opened,
    .closing = ic_closing,
    .packet = ic_packet,
    .writable = ic_writable,
};

/* --- life -----------------------------------------------------------------*/

int32_t ic_create(struct ic *ic, struct bp_dev *dev, const struct bp_host *host,
                  const struct ic_desc *desc, struct ic_state *st, void *ctx)
{
    ic->dev = dev;
    ic->host = host;
    ic->desc = desc;
    ic->st = st;
    ic->ctx = ctx;
    ic->log = host->query(host, BP_LOG);
    ic->lane = host->query(host, BP_LANE);
    return 0;
}

int32_t ic_realize(struct ic *ic)
{
    struct bp_vmbus_offer offer = {
        .size = sizeof offer,
        .flags = BP_VMBUS_ENUMERATE | BP_VMBUS_PIPE,
        .type = ic->desc->type,
        .instance = ic->desc->instance,
    };

    ic->bus = ic->host->device_query(ic->dev, NULL, BP_VMBUS, &ic->vmbus);
    if (!ic->bus)
        return ic->host->fail(ic->dev, -ENODEV, "there is no VMBus");
    wire_put32(offer.user, PIPE_MESSAGE_MODE);
    ic->channel = ic->bus->create(ic->vmbus, ic->dev, &offer, &ic_ops, ic);
    return ic->channel ? 0 : -EBUSY;
}

int32_t ic_loaded(struct ic *ic)
{
    const struct ic_state *st = ic->st;

    if (st->phase > IC_REFUSED || st->out_bytes > sizeof(st->out))
        return ic->host->fail(ic->dev, -EINVAL, "a message is damaged");
    /* It was saved between opened() and what that posted: cannot be, as the
     * lane was drained; a damaged file is not worth more than a new try. */
    ic->lane->post(ic->dev, offer_versions, ic);
    return 0;
}

/* --- words ----------------------------------------------------------------*/

const char *ic_trouble(const struct ic *ic)
{
    switch (ic->st->phase) {
    case IC_OFFERED:
        return "the guest's service does not answer (does its daemon run?)";
    case IC_REFUSED: return "the guest and this service do not agree";
    case IC_READY: return "the guest is busy with another request";
    default: return "the guest has not opened the channel of this service";
    }
}

const char *ic_status_text(uint32_t status)
{
    switch (status) {
    case IC_S_OK: return "no error";
    case IC_E_UNSUPPORTED: return "the guest does not support it";
    case IC_E_EXISTS: return "it exists already in the guest";
    case IC_E_INVALID: return "the guest finds an argument invalid";
    case IC_E_DISK_FULL: return "the guest's disk is full";
    case IC_E_NO_MORE: return "the guest has no such item";
    case IC_E_LOCKED: return "the guest is locked";
    case IC_E_NO_DEVICE: return "a device of the guest is not connected";
    case IC_E_NO_SUCH_GUID: return "the guest does not know this adapter";
    case IC_E_FAIL: return "the guest failed to do it";
    default: return "the guest reports an error";
    }
}

/* One character of UTF-8; 0 when it is none. */
static uint32_t next_character(const uint8_t **text)
{
    const uint8_t *p = *text;
    unsigned more = p[0] < 0x80 ? 0 : p[0] < 0xe0 ? 1 : p[0] < 0xf0 ? 2 : 3;
    static const uint32_t least[] = { 1, 0x80, 0x800, 0x10000 };
    uint32_t c = more ? p[0] & (0x3fu >> more) : p[0];

    if ((p[0] >= 0x80 && p[0] < 0xc2) || p[0] > 0xf4)
        return 0;
    for (unsigned i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *text = p + more + 1;
    return c;
}

int32_t ic_to_utf16(const char *text, uint8_t *out, uint32_t room)
{
    const uint8_t *p = (const uint8_t *)text;
    uint32_t n = 0;

    while (*p) {
        uint32_t c = next_character(&p);
        if (!c || n + 1 + (c > 0xffff) >= room)
            return -EINVAL;
        if (c > 0xffff) {
            c -= 0x10000;
            wire_put16(out + 2 * n++, (uint16_t)(0xd800 + (c >> 10)));
            c = 0xdc00 + (c & 0x3ff);
        }
        wire_put16(out + 2 * n++, (uint16_t)c);
    }
    if (!room)
        return -EINVAL;
    wire_put16(out + 2 * n, 0);
    return (int32_t)n;
}

static unsigned put_utf8(uint8_t *p, uint32_t c)
{
    if (c < 0x80) {
        p[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        p[0] = (uint8_t)(0xc0 | c >> 6);
        p[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        p[0] = (uint8_t)(0xe0 | c >> 12);
        p[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        p[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    p[0] = (uint8_t)(0xf0 | c >> 18);
    p[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    p[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    p[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

void ic_from_utf16(const uint8_t *in, uint32_t units, char *out, uint32_t room)
{
    uint8_t character[4];
    uint32_t at = 0;

    for (uint32_t i = 0; i < units; i++) {
        uint32_t c = wire_u16(in + 2 * i);
        uint32_t low = i + 1 < units ? wire_u16(in + 2 * i + 2) : 0;
        if (!c)
            break;
        if (c >= 0xd800 && c < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            i++;
        } else if (c >= 0xd800 && c < 0xe000) {
            c = '?';
        }
        unsigned n = put_utf8(character, c);
        if (at + n >= room)
            break;
        memcpy(out + at, character, n);
        at += n;
    }
    out[at] = 0;
}
