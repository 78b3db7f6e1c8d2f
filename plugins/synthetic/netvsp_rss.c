/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receive-side scaling: a hash over a frame's addresses and ports chooses the
 * channel, and with it the processor, that it is delivered on.
 *
 * Source: NDIS reference, "RSS Hashing Functions" (the Toeplitz hash and what
 * it runs over), NDIS_RECEIVE_SCALE_PARAMETERS.
 */
#include <string.h>

#include "netvsp.h"

#define HASHES (HASH_IPV4 | HASH_TCP_IPV4 | HASH_IPV6 | HASH_TCP_IPV6)

uint32_t netvsp_toeplitz(const uint8_t key[RSS_KEY], const uint8_t *data,
                         uint32_t bytes)
{
    uint32_t window = (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 |
                      (uint32_t)key[2] << 8 | key[3];
    uint32_t hash = 0;

    for (uint32_t i = 0; i < bytes && i + 4 < RSS_KEY; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            if (data[i] & 0x80u >> bit)
                hash ^= window;
            window = window << 1 | (key[i + 4] >> (7 - bit) & 1u);
        }
    }
    return hash;
}

uint32_t netvsp_rss_caps(struct netvsp *s, uint8_t *out, uint32_t *bytes)
{
    if (s->queues < 2 || s->st.version < NVSP_5)
        return RNDIS_NOT_SUPPORTED;
    memset(out, 0, NDIS_RSS_CAPS_BYTES);
    out[0] = NDIS_RSS_CAPS;
    out[1] = 2; /* revision */
    wire_put16(out + 2, NDIS_RSS_CAPS_BYTES);
    /* Hashes over TCP with IPv4 and IPv6 */
    wire_put32(out + 4, 0x00000300u | HASH_TOEPLITZ);
    wire_put32(out + 8, s->queues);  /* interrupts */
    wire_put32(out + 12, s->queues); /* queues */
    wire_put16(out + 16, RSS_TABLE);
    *bytes = NDIS_RSS_CAPS_BYTES;
    return RNDIS_SUCCESS;
}

/* A part of the parameters that an offset and a size point to. */
static const uint8_t *part(const uint8_t *in, uint32_t bytes, uint32_t offset,
                           uint32_t size)
{
    return offset <= bytes && size <= bytes - offset ? in + offset : NULL;
}

/* Entries are channels, as the guest numbers them. */
static bool set_table(struct netvsp_state *st, const uint8_t *table,
                      uint32_t entries)
{
    if (!table || !entries || entries > RSS_TABLE || (entries & (entries - 1)))
        return false;
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t channel = wire_u32(table + 4 * i);
        if (channel >= NETVSP_CHANNELS)
            return false;
    }
    for (uint32_t i = 0; i < entries; i++)
        st->rss_table[i] = table[4 * i];
    st->rss_entries = entries;
    return true;
}

uint32_t netvsp_set_rss(struct netvsp *s, const uint8_t *in, uint32_t bytes)
{
    struct netvsp_state *st = &s->st;

    if (bytes < NDIS_RSS_BYTES)
        return RNDIS_INVALID_LENGTH;
    if (in[0] != NDIS_RSS_PARAMETERS)
        return RNDIS_INVALID_DATA;
    uint32_t flags = wire_u16(in + 4), types = wire_u32(in + 8);
    uint32_t table_bytes = wire_u16(in + 12), key_bytes = wire_u16(in + 20);
    if ((flags & RSS_FLAG_OFF) || !types) {
        st->rss = 0;
        return RNDIS_SUCCESS;
    }
    const uint8_t *key = part(in, bytes, wire_u32(in + 24), key_bytes);
    if (!(flags & RSS_FLAG_NO_KEY) && (!key || key_bytes != RSS_KEY))
        return RNDIS_INVALID_DATA;
    if (!(flags & RSS_FLAG_NO_TABLE) &&
        !set_table(st, part(in, bytes, wire_u32(in + 16), table_bytes),
                   table_bytes / 4))
        return RNDIS_INVALID_DATA;
    if (!(flags & RSS_FLAG_NO_KEY))
        memcpy(st->rss_key, key, RSS_KEY);
    if (!(flags & RSS_FLAG_NO_HASH_INFO))
        st->hash_types = types & HASHES;
    st->rss = st->rss_entries != 0;
    return RNDIS_SUCCESS;
}

/* What the hash runs over: addresses, then ports; 0: no hash for this. */
static uint32_t hash_input(const struct netvsp_state *st, const uint8_t *f,
                           uint32_t bytes, uint8_t out[36])
{
    const uint8_t *ip = f + 14, *l4 = NULL;
    uint32_t n, types = st->hash_types;

    if (bytes >= 34 && f[12] == 0x08 && f[13] == 0x00) {
        uint32_t header = (ip[0] & 15u) * 4;
        bool fragment = (ip[6] & 0x3f) || ip[7];
        if ((types & HASH_TCP_IPV4) && ip[9] == 6 && !fragment &&
            bytes >= 14 + header + 4)
            l4 = ip + header;
        else if (!(types & HASH_IPV4))
            return 0;
        memcpy(out, ip + 12, n = 8);
    } else if (bytes >= 54 && f[12] == 0x86 && f[13] == 0xdd) {
        if ((types & HASH_TCP_IPV6) && ip[6] == 6 && bytes >= 58)
            l4 = ip + 40;
        else if (!(types & HASH_IPV6))
            return 0;
        memcpy(out, ip + 8, n = 32);
    } else {
        return 0;
    }
    if (l4)
        memcpy(out + n, l4, 4);
    return l4 ? n + 4 : n;
}

struct netvsp_channel *netvsp_queue_of(struct netvsp *s, const uint8_t *frame,
                                       uint32_t bytes, uint32_t *hash,
                                       bool *hashed)
{
    const struct netvsp_state *st = &s->st;
    uint8_t input[36];
    uint32_t n = st->rss ? hash_input(st, frame, bytes, input) : 0;

    *hashed = n != 0;
    if (!n)
        return &s->channel[0];
    *hash = netvsp_toeplitz(st->rss_key, input, n);
    uint8_t index = st->rss_table[*hash & (st->rss_entries - 1)];
    struct netvsp_channel *c = &s->channel[index];
    return c->ch && s->bus->is_open(c->ch) ? c : &s->channel[0];
}
