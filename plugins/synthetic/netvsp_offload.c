/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the adapter does for the guest: checksums, segmentation, merging.
 *
 * Source: NDIS reference, NDIS_OFFLOAD and NDIS_OFFLOAD_PARAMETERS.
 */
#include <string.h>

#include "netvsp.h"

#define ENCAPSULATION_802_3 2u
/* A segment to be cut, with headers: what Hyper-V's adapter takes. */
#define LARGE_SEND_BYTES 62780u

/* Offsets of parts of NDIS_OFFLOAD */
#define AT_CHECKSUM 4u
#define AT_LSO_V1   36u
#define AT_LSO_V2   80u
#define AT_RSC      144u

/* Checksums: options of IP and TCP headers too, TCP, UDP, IPv4 header. */
#define CHECKSUM_IPV4 (0x001u | 0x004u | 0x010u | 0x040u | 0x100u)
#define CHECKSUM_IPV6 (0x001u | 0x004u | 0x010u | 0x040u)

static void put_checksums(uint8_t *at)
{
    for (unsigned i = 0; i < 4; i++) { /* IPv4 out, in; IPv6 out, in */
        wire_put32(at + 8 * i, ENCAPSULATION_802_3);
        wire_put32(at + 8 * i + 4, i < 2 ? CHECKSUM_IPV4 : CHECKSUM_IPV6);
    }
}

static void put_large_send(uint8_t *out)
{
    uint8_t *v1 = out + AT_LSO_V1, *v2 = out + AT_LSO_V2;

    wire_put32(v1, ENCAPSULATION_802_3);
    wire_put32(v1 + 4, LARGE_SEND_BYTES);
    wire_put32(v1 + 8, 2);  /* segments at least */
    wire_put32(v1 + 12, 5); /* with TCP and IP options */
    for (unsigned i = 0; i < 2; i++) {
        wire_put32(v2 + 12 * i, ENCAPSULATION_802_3);
        wire_put32(v2 + 12 * i + 4, LARGE_SEND_BYTES);
        wire_put32(v2 + 12 * i + 8, 2);
    }
    wire_put32(v2 + 24, 5); /* IPv6: with extension headers, TCP options */
}

static bool may_merge(const struct netvsp *s)
{
    return s->st.version >= NVSP_6_1 && (s->st.capabilities & NVSP_CAP_RSC);
}

/* The guest says in the head of its question which revision it knows. */
uint32_t netvsp_offload_caps(struct netvsp *s, bool current, const uint8_t *in,
                             uint32_t in_bytes, uint8_t *out, uint32_t *bytes)
{
    uint32_t size = s->st.ndis_version >= 0x0006001e   ? NDIS_OFFLOAD_3
                    : s->st.ndis_version >= 0x00060001 ? NDIS_OFFLOAD_2
                                                       : NDIS_OFFLOAD_1;

    if (in_bytes >= 4 && in[0] == NDIS_OFFLOAD && wire_u16(in + 2) < size)
        size = wire_u16(in + 2) >= NDIS_OFFLOAD_2 ? NDIS_OFFLOAD_2
                                                  : NDIS_OFFLOAD_1;
    memset(out, 0, NDIS_OFFLOAD_3);
    out[0] = NDIS_OFFLOAD;
    out[1] = size >= NDIS_OFFLOAD_3 ? 3 : size >= NDIS_OFFLOAD_2 ? 2 : 1;
    wire_put16(out + 2, (uint16_t)size);
    put_checksums(out + AT_CHECKSUM);
    put_large_send(out);
    if (size >= NDIS_OFFLOAD_3 && may_merge(s)) {
        out[AT_RSC] = current ? s->st.rsc_ipv4 : 1;
        out[AT_RSC + 1] = current ? s->st.rsc_ipv6 : 1;
    }
    *bytes = size;
    return RNDIS_SUCCESS;
}

/* A setting: 0 leaves it; *on as 1 and others say. */
static bool set_one(uint8_t value, uint8_t on_from, uint8_t *on)
{
    if (value)
        *on = value >= on_from;
    return value <= 4;
}

/*
 * Frames to the host are completed whenever the guest asks for it in the
 * frame; settings matter to what comes from there.  Checksums: 1 off, 2 send
 * only, 3 receive only, 4 both; merging: 1 off, 2 on.
 */
uint32_t netvsp_set_offload(struct netvsp *s, const uint8_t *in,
                            uint32_t in_bytes)
{
    struct netvsp_state *st = &s->st;
    uint8_t rx = st->rx_checksums, v4 = st->rsc_ipv4, v6 = st->rsc_ipv6;

    if (in_bytes < 22)
        return RNDIS_INVALID_LENGTH;
    if (in[0] != NDIS_DEFAULT || !in[1])
        return RNDIS_INVALID_DATA;
    if (!set_one(in[5], 3, &rx)) /* TCP with IPv4; one stands for all */
        return RNDIS_INVALID_DATA;
    if (in[1] >= 3 && in_bytes >= 24 && may_merge(s) &&
        (!set_one(in[22], 2, &v4) || !set_one(in[23], 2, &v6)))
        return RNDIS_INVALID_DATA;
    st->rx_checksums = rx;
    st->rsc_ipv4 = v4;
    st->rsc_ipv6 = v6;
    netvsp_accept(s);
    return RNDIS_SUCCESS;
}
