/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that a guest queries and sets.
 *
 * Source: NDIS reference, "General Objects", "Ethernet Objects"; [MS-RNDIS].
 */
#include <string.h>

#include "netvsp.h"

enum {
    OID_SUPPORTED_LIST = 0x00010101,
    OID_HARDWARE_STATUS = 0x00010102,
    OID_MEDIA_SUPPORTED = 0x00010103,
    OID_MEDIA_IN_USE = 0x00010104,
    OID_MAXIMUM_LOOKAHEAD = 0x00010105,
    OID_MAXIMUM_FRAME_SIZE = 0x00010106,
    OID_LINK_SPEED = 0x00010107,
    OID_TRANSMIT_BUFFER_SPACE = 0x00010108,
    OID_RECEIVE_BUFFER_SPACE = 0x00010109,
    OID_TRANSMIT_BLOCK_SIZE = 0x0001010a,
    OID_RECEIVE_BLOCK_SIZE = 0x0001010b,
    OID_VENDOR_ID = 0x0001010c,
    OID_VENDOR_DESCRIPTION = 0x0001010d,
    OID_CURRENT_PACKET_FILTER = 0x0001010e,
    OID_CURRENT_LOOKAHEAD = 0x0001010f,
    OID_DRIVER_VERSION = 0x00010110,
    OID_MAXIMUM_TOTAL_SIZE = 0x00010111,
    OID_PROTOCOL_OPTIONS = 0x00010112,
    OID_MAC_OPTIONS = 0x00010113,
    OID_MEDIA_CONNECT_STATUS = 0x00010114,
    OID_MAXIMUM_SEND_PACKETS = 0x00010115,
    OID_VENDOR_DRIVER_VERSION = 0x00010116,
    OID_NETWORK_LAYER_ADDRESSES = 0x00010118,
    OID_TRANSPORT_HEADER_OFFSET = 0x00010119,
    OID_PHYSICAL_MEDIUM = 0x00010202,
    OID_RSS_CAPABILITIES = 0x00010203,
    OID_RSS_PARAMETERS = 0x00010204,
    OID_RNDIS_CONFIG_PARAMETER = 0x0001021b,
    OID_XMIT_OK = 0x00020101,
    OID_RCV_OK = 0x00020102,
    OID_XMIT_ERROR = 0x00020103,
    OID_RCV_ERROR = 0x00020104,
    OID_RCV_NO_BUFFER = 0x00020105,
    OID_FRIENDLY_NAME = 0x00020216,
    OID_802_3_PERMANENT_ADDRESS = 0x01010101,
    OID_802_3_CURRENT_ADDRESS = 0x01010102,
    OID_802_3_MULTICAST_LIST = 0x01010103,
    OID_802_3_MAXIMUM_LIST_SIZE = 0x01010104,
    OID_802_3_RCV_ERROR_ALIGNMENT = 0x01020101,
    OID_802_3_XMIT_ONE_COLLISION = 0x01020102,
    OID_802_3_XMIT_MORE_COLLISIONS = 0x01020103,
    OID_OFFLOAD_ENCAPSULATION = 0x0101010a,
};
#define OID_OFFLOAD_CURRENT    0xfc01020bu
#define OID_OFFLOAD_PARAMETERS 0xfc01020cu
#define OID_OFFLOAD_HARDWARE   0xfc01020du
#define OID_PNP_CAPABILITIES   0xfd010100u
#define OID_PNP_SET_POWER      0xfd010101u
#define OID_PNP_QUERY_POWER    0xfd010102u

static const uint32_t supported[] = {
    OID_SUPPORTED_LIST,
    OID_HARDWARE_STATUS,
    OID_MEDIA_SUPPORTED,
    OID_MEDIA_IN_USE,
    OID_MAXIMUM_LOOKAHEAD,
    OID_MAXIMUM_FRAME_SIZE,
    OID_LINK_SPEED,
    OID_TRANSMIT_BUFFER_SPACE,
    OID_RECEIVE_BUFFER_SPACE,
    OID_TRANSMIT_BLOCK_SIZE,
    OID_RECEIVE_BLOCK_SIZE,
    OID_VENDOR_ID,
    OID_VENDOR_DESCRIPTION,
    OID_CURRENT_PACKET_FILTER,
    OID_CURRENT_LOOKAHEAD,
    OID_DRIVER_VERSION,
    OID_MAXIMUM_TOTAL_SIZE,
    OID_PROTOCOL_OPTIONS,
    OID_MAC_OPTIONS,
    OID_MEDIA_CONNECT_STATUS,
    OID_MAXIMUM_SEND_PACKETS,
    OID_VENDOR_DRIVER_VERSION,
    OID_NETWORK_LAYER_ADDRESSES,
    OID_TRANSPORT_HEADER_OFFSET,
    OID_PHYSICAL_MEDIUM,
    OID_RSS_CAPABILITIES,
    OID_RSS_PARAMETERS,
    OID_RNDIS_CONFIG_PARAMETER,
    OID_XMIT_OK,
    OID_RCV_OK,
    OID_XMIT_ERROR,
    OID_RCV_ERROR,
    OID_RCV_NO_BUFFER,
    OID_FRIENDLY_NAME,
    OID_802_3_PERMANENT_ADDRESS,
    OID_802_3_CURRENT_ADDRESS,
    OID_802_3_MULTICAST_LIST,
    OID_802_3_MAXIMUM_LIST_SIZE,
    OID_802_3_RCV_ERROR_ALIGNMENT,
    OID_802_3_XMIT_ONE_COLLISION,
    OID_802_3_XMIT_MORE_COLLISIONS,
    OID_OFFLOAD_ENCAPSULATION,
    OID_OFFLOAD_CURRENT,
    OID_OFFLOAD_PARAMETERS,
    OID_OFFLOAD_HARDWARE,
    OID_PNP_CAPABILITIES,
    OID_PNP_SET_POWER,
    OID_PNP_QUERY_POWER,
};
#define SUPPORTED (sizeof(supported) / sizeof(supported[0]))

#define VENDOR      0x00155du /* the block of its addresses */
#define DESCRIPTION "Backplane network adapter"

/* OID_MAC_OPTIONS: data may be copied by lookahead, received packets are not
 * indicated in one go, no loopback, priorities and VLAN tags. */
#define MAC_OPTIONS (0x01u | 0x04u | 0x08u | 0x40u | 0x80u)

/* --- queries --------------------------------------------------------------*/

/* Objects that are one number. */
static bool number_of(struct netvsp *s, uint32_t oid, uint64_t *n)
{
    const struct netvsp_state *st = &s->st;
    struct bp_net_info info = { .size = sizeof(info) };

    s->net->info(s->port, &info);
    switch (oid) {
    case OID_HARDWARE_STATUS: *n = 0; return true; /* ready */
    case OID_MEDIA_SUPPORTED:
    case OID_MEDIA_IN_USE:
    case OID_PHYSICAL_MEDIUM: *n = 0; return true; /* 802.3; unspecified */
    case OID_MAXIMUM_LOOKAHEAD:
    case OID_CURRENT_LOOKAHEAD: *n = st->frame_bytes; return true;
    case OID_MAXIMUM_FRAME_SIZE: *n = st->frame_bytes - 14; return true;
    case OID_MAXIMUM_TOTAL_SIZE:
    case OID_TRANSMIT_BLOCK_SIZE:
    case OID_RECEIVE_BLOCK_SIZE: *n = st->frame_bytes; return true;
    case OID_LINK_SPEED: *n = info.link_bits / 100; return true;
    case OID_TRANSMIT_BUFFER_SPACE:
        *n = (uint64_t)st->send_sections * SEND_SECTION;
        return true;
    case OID_RECEIVE_BUFFER_SPACE:
        *n = (uint64_t)st->section_count * st->section_bytes;
        return true;
    case OID_VENDOR_ID: *n = VENDOR; return true;
    case OID_CURRENT_PACKET_FILTER: *n = st->filter; return true;
    case OID_DRIVER_VERSION: *n = 0x0600; return true;
    case OID_VENDOR_DRIVER_VERSION: *n = 0x00010000; return true;
    case OID_MAC_OPTIONS: *n = MAC_OPTIONS; return true;
    case OID_MEDIA_CONNECT_STATUS: /* 0: connected */
        *n = !(info.flags & BP_NET_LINK_UP);
        return true;
    case OID_MAXIMUM_SEND_PACKETS: *n = 8; return true;
    case OID_802_3_MAXIMUM_LIST_SIZE: *n = MULTICAST; return true;
    case OID_802_3_RCV_ERROR_ALIGNMENT:
    case OID_802_3_XMIT_ONE_COLLISION:
    case OID_802_3_XMIT_MORE_COLLISIONS: *n = 0; return true;
    case OID_XMIT_OK: *n = st->sent; return true;
    case OID_RCV_OK: *n = st->received; return true;
    case OID_XMIT_ERROR: *n = st->send_errors; return true;
    case OID_RCV_ERROR: *n = 0; return true;
    case OID_RCV_NO_BUFFER: *n = st->no_section; return true;
    }
    return false;
}

static uint32_t put(uint8_t *out, uint32_t *bytes, const void *data, uint32_t n)
{
    memcpy(out, data, n);
    *bytes = n;
    return RNDIS_SUCCESS;
}

/* "Network Adapter", which guests know as no name of a user's. */
static uint32_t friendly_name(uint8_t *out, uint32_t *bytes)
{
    static const char name[] = "Network Adapter";

    for (uint32_t i = 0; i < sizeof(name); i++)
        wire_put16(out + 2 * i, (uint8_t)name[i]);
    *bytes = 2 * sizeof(name);
    return RNDIS_SUCCESS;
}

uint32_t netvsp_query(struct netvsp *s, uint32_t oid, const uint8_t *in,
                      uint32_t in_bytes, uint8_t *out, uint32_t *bytes)
{
    struct bp_net_info info = { .size = sizeof(info) };
    uint64_t n;

    switch (oid) {
    case OID_SUPPORTED_LIST:
        for (uint32_t i = 0; i < SUPPORTED; i++)
            wire_put32(out + 4 * i, supported[i]);
        *bytes = 4 * SUPPORTED;
        return RNDIS_SUCCESS;
    case OID_VENDOR_DESCRIPTION:
        return put(out, bytes, DESCRIPTION, sizeof(DESCRIPTION));
    case OID_802_3_PERMANENT_ADDRESS:
        s->net->info(s->port, &info);
        return put(out, bytes, info.mac, 6);
    case OID_802_3_CURRENT_ADDRESS: return put(out, bytes, s->st.mac, 6);
    case OID_802_3_MULTICAST_LIST:
        return put(out, bytes, s->st.multicast, 6 * s->st.multicast_count);
    case OID_FRIENDLY_NAME: return friendly_name(out, bytes);
    case OID_RSS_CAPABILITIES: return netvsp_rss_caps(s, out, bytes);
    case OID_OFFLOAD_HARDWARE:
    case OID_OFFLOAD_CURRENT:
        return netvsp_offload_caps(s, oid == OID_OFFLOAD_CURRENT, in, in_bytes,
                                   out, bytes);
    case OID_PNP_CAPABILITIES:
        memset(out, 0, 16); /* wakes nobody */
        *bytes = 16;
        return RNDIS_SUCCESS;
    case OID_PNP_QUERY_POWER: return RNDIS_SUCCESS;
    }
    if (!number_of(s, oid, &n))
        return RNDIS_NOT_SUPPORTED;
    wire_put32(out, (uint32_t)(n > UINT32_MAX ? UINT32_MAX : n));
    *bytes = 4;
    return RNDIS_SUCCESS;
}

/* --- settings -------------------------------------------------------------*/

static uint32_t set_multicast(struct netvsp_state *st, const uint8_t *in,
                              uint32_t n)
{
    if (n % 6 || n > sizeof(st->multicast))
        return RNDIS_INVALID_LENGTH;
    memcpy(st->multicast, in, n);
    st->multicast_count = n / 6;
    return RNDIS_SUCCESS;
}

static int digit(const uint8_t *utf16)
{
    uint16_t c = wire_u16(utf16);

    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_network_address(const uint8_t *name, uint32_t bytes)
{
    static const char wanted[] = "NetworkAddress";

    for (uint32_t i = 0; wanted[i]; i++) {
        if (2 * i + 2 > bytes || wire_u16(name + 2 * i) != (uint8_t)wanted[i])
            return false;
    }
    return true;
}

/*
 * A configuration parameter: offset and length of a name, type, offset and
 * length of a value.  The one that there is sets the station address, as 12
 * hexadecimal digits.
 */
static uint32_t set_parameter(struct netvsp_state *st, const uint8_t *in,
                              uint32_t n)
{
    uint8_t mac[6];

    if (n < 20)
        return RNDIS_INVALID_LENGTH;
    uint32_t name_at = wire_u32(in), name_bytes = wire_u32(in + 4);
    uint32_t type = wire_u32(in + 8);
    uint32_t value_at = wire_u32(in + 12), value_bytes = wire_u32(in + 16);
    if (name_at > n || name_bytes > n - name_at || value_at > n ||
        value_bytes > n - value_at)
        return RNDIS_INVALID_DATA;
    if (!is_network_address(in + name_at, name_bytes))
        return RNDIS_NOT_SUPPORTED;
    if (type != 2 || value_bytes < 24)
        return RNDIS_INVALID_DATA;
    for (unsigned i = 0; i < 6; i++) {
        int high = digit(in + value_at + 4 * i);
        int low = digit(in + value_at + 4 * i + 2);
        if (high < 0 || low < 0)
            return RNDIS_INVALID_DATA;
        mac[i] = (uint8_t)(high << 4 | low);
    }
    if (mac[0] & 1)
        return RNDIS_INVALID_DATA;
    memcpy(st->mac, mac, 6);
    return RNDIS_SUCCESS;
}

uint32_t netvsp_set(struct netvsp *s, uint32_t oid, const uint8_t *in,
                    uint32_t n)
{
    switch (oid) {
    case OID_CURRENT_PACKET_FILTER:
        if (n < 4)
            return RNDIS_INVALID_LENGTH;
        s->st.filter = wire_u32(in);
        netvsp_post(s);
        return RNDIS_SUCCESS;
    case OID_802_3_MULTICAST_LIST: return set_multicast(&s->st, in, n);
    case OID_RNDIS_CONFIG_PARAMETER: return set_parameter(&s->st, in, n);
    case OID_RSS_PARAMETERS: return netvsp_set_rss(s, in, n);
    case OID_OFFLOAD_PARAMETERS: return netvsp_set_offload(s, in, n);
    /* Hints and states that change nothing here. */
    case OID_CURRENT_LOOKAHEAD:
    case OID_PROTOCOL_OPTIONS:
    case OID_NETWORK_LAYER_ADDRESSES:
    case OID_TRANSPORT_HEADER_OFFSET:
    case OID_OFFLOAD_ENCAPSULATION:
    case OID_PNP_SET_POWER: return RNDIS_SUCCESS;
    }
    return RNDIS_NOT_SUPPORTED;
}
