/* SPDX-License-Identifier: Apache-2.0 */
/* RNDIS control messages: each request has one answer, but for halt. */
#include <string.h>

#include "netvsp.h"

/* Heads of the answers to queries: id, status, length, offset of the value
 * behind the id's place. */
#define QUERY_ANSWER (RNDIS_HEAD + 16)

static void begin(uint8_t *m, uint32_t type, uint32_t bytes)
{
    memset(m, 0, bytes);
    wire_put32(m, type);
    wire_put32(m + 4, bytes);
}

static void initialize(struct netvsp *s, uint32_t id)
{
    struct bp_net_info info = { .size = sizeof(info) };
    uint8_t m[52];

    begin(m, RNDIS_INITIALIZE | RNDIS_COMPLETE, sizeof(m));
    wire_put32(m + 8, id);
    wire_put32(m + 16, 1);       /* version 1.0 */
    wire_put32(m + 24, 1);       /* connectionless */
    wire_put32(m + 28, 0);       /* 802.3 */
    wire_put32(m + 32, 8);       /* packets in one message */
    wire_put32(m + 36, 0x40000); /* bytes of it */
    wire_put32(m + 40, RNDIS_ALIGNMENT);
    s->net->info(s->port, &info);
    s->st.link_told = (info.flags & BP_NET_LINK_UP) != 0;
    s->st.initialized = 1;
    netvsp_reply(s, m, sizeof(m));
}

static void status_only(struct netvsp *s, uint32_t type, uint32_t id,
                        uint32_t status)
{
    uint8_t m[16];

    begin(m, type | RNDIS_COMPLETE, sizeof(m));
    wire_put32(m + 8, id);
    wire_put32(m + 12, status);
    netvsp_reply(s, m, sizeof(m));
}

/* The value of a query or set; false: it is not inside of the message. */
static bool value_of(const uint8_t *m, uint32_t bytes, const uint8_t **value,
                     uint32_t *value_bytes)
{
    uint32_t n = wire_u32(m + 16), offset = wire_u32(m + 20);
    uint32_t body = bytes - RNDIS_HEAD;

    if (offset > body || n > body - offset)
        return false;
    *value = m + RNDIS_HEAD + offset;
    *value_bytes = n;
    return true;
}

static void query(struct netvsp *s, const uint8_t *m, uint32_t bytes)
{
    uint8_t out[REPLY_BYTES] = { 0 };
    const uint8_t *in;
    uint32_t n = 0, in_bytes, status = RNDIS_INVALID_DATA;

    if (value_of(m, bytes, &in, &in_bytes))
        status = netvsp_query(s, wire_u32(m + 12), in, in_bytes,
                              out + QUERY_ANSWER, &n);
    if (status != RNDIS_SUCCESS)
        n = 0;
    wire_put32(out, RNDIS_QUERY | RNDIS_COMPLETE);
    wire_put32(out + 4, QUERY_ANSWER + n);
    memcpy(out + 8, m + 8, 4);
    wire_put32(out + 12, status);
    wire_put32(out + 16, n);
    wire_put32(out + 20, n ? 16 : 0);
    netvsp_reply(s, out, QUERY_ANSWER + n);
}

static void set(struct netvsp *s, const uint8_t *m, uint32_t bytes)
{
    const uint8_t *in;
    uint32_t in_bytes, status = RNDIS_INVALID_DATA;

    if (value_of(m, bytes, &in, &in_bytes))
        status = netvsp_set(s, wire_u32(m + 12), in, in_bytes);
    status_only(s, RNDIS_SET, wire_u32(m + 8), status);
}

/* RNDIS is as after the channel was opened. */
static void halt(struct netvsp *s)
{
    s->st.initialized = 0;
    s->st.filter = 0;
    s->st.rss = 0;
    s->st.multicast_count = 0;
}

void netvsp_control(struct netvsp *s, const uint8_t *m, uint32_t bytes)
{
    uint32_t type = wire_u32(m);
    uint32_t id = bytes >= 12 ? wire_u32(m + 8) : 0;

    if (bytes < 12 || ((type == RNDIS_QUERY || type == RNDIS_SET) &&
                       (bytes < 28 || !s->st.initialized))) {
        s->log->guest_error(s->dev, "RNDIS message %u of %u bytes is refused",
                            type, bytes);
        return;
    }
    switch (type) {
    case RNDIS_INITIALIZE: initialize(s, id); break;
    case RNDIS_HALT: halt(s); break;
    case RNDIS_QUERY: query(s, m, bytes); break;
    case RNDIS_SET: set(s, m, bytes); break;
    case RNDIS_RESET: /* status, then: filter and addresses are kept */
        status_only(s, RNDIS_RESET, RNDIS_SUCCESS, 0);
        break;
    case RNDIS_KEEPALIVE: status_only(s, type, id, RNDIS_SUCCESS); break;
    default: s->log->guest_error(s->dev, "there is no RNDIS message %#x", type);
    }
}

void netvsp_tell_link(struct netvsp *s)
{
    struct bp_net_info info = { .size = sizeof(info) };
    uint8_t m[20];

    s->net->info(s->port, &info);
    uint8_t up = (info.flags & BP_NET_LINK_UP) != 0;
    if (!s->st.initialized || s->st.link_told == up)
        return;
    s->st.link_told = up;
    begin(m, RNDIS_INDICATE, sizeof(m));
    wire_put32(m + 8, up ? RNDIS_CONNECTED : RNDIS_DISCONNECTED);
    netvsp_reply(s, m, sizeof(m));
}
