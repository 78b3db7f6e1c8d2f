/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of the two protocols of a network channel: NVSP (between the ends
 * of the channel) and RNDIS, which it carries.
 *
 * Sources: Linux drivers/net/hyperv/hyperv_net.h (NVSP, NDIS structures);
 * Microsoft "Remote NDIS Specification" 1.1; NDIS reference (OIDs).
 */
#ifndef SYNTHETIC_NETVSP_WIRE_H
#define SYNTHETIC_NETVSP_WIRE_H

/* The channel's instance, as guests write it, with the adapter's number; the
 * instance of netvsp_channel.c. */
#define NETVSP_INSTANCE "{6d8f1c3a-e752-414b-9e0d-5b0c2f77a4%02x}"
#define NETVSP_ADAPTERS 256u

/* --- NVSP -----------------------------------------------------------------*/

enum {
    NVSP_1 = 0x00002,
    NVSP_2 = 0x30002,
    NVSP_4 = 0x40000,
    NVSP_5 = 0x50000,
    NVSP_6 = 0x60000,
    NVSP_6_1 = 0x60001,
};

enum {
    NVSP_INIT = 1,
    NVSP_INIT_COMPLETE = 2,
    NVSP_NDIS_VERSION = 100,
    NVSP_RECEIVE_BUFFER = 101,
    NVSP_RECEIVE_BUFFER_COMPLETE = 102,
    NVSP_REVOKE_RECEIVE_BUFFER = 103,
    NVSP_SEND_BUFFER = 104,
    NVSP_SEND_BUFFER_COMPLETE = 105,
    NVSP_REVOKE_SEND_BUFFER = 106,
    NVSP_RNDIS_PACKET = 107,
    NVSP_RNDIS_PACKET_COMPLETE = 108,
    NVSP_NDIS_CONFIG = 125,
    NVSP_SWITCH_DATA_PATH = 129,
    NVSP_SUBCHANNELS = 133,
    NVSP_SEND_INDIRECTION = 134,
};

enum {
    NVSP_SUCCESS = 1,
    NVSP_FAILED = 2,
    NVSP_INVALID_RNDIS = 5,
    NVSP_UNSUPPORTED = 7,
};

/* Bytes of a message, which are always all there. */
#define NVSP_BYTES      28u /* up to version 6 */
#define NVSP_BYTES_6_1  40u
#define NVSP_NO_SECTION 0xffffffffu
#define NVSP_DATA       0u /* kinds of RNDIS messages */
#define NVSP_CONTROL    1u

/* Capabilities in the NDIS configuration. */
#define NVSP_CAP_RSC (1u << 7)

#define NVSP_INDIRECTION 16u

/* --- RNDIS ----------------------------------------------------------------*/

enum {
    RNDIS_PACKET = 1,
    RNDIS_INITIALIZE = 2,
    RNDIS_HALT = 3,
    RNDIS_QUERY = 4,
    RNDIS_SET = 5,
    RNDIS_RESET = 6,
    RNDIS_INDICATE = 7,
    RNDIS_KEEPALIVE = 8,
};
#define RNDIS_COMPLETE 0x80000000u

#define RNDIS_HEAD         8u  /* type, bytes of all */
#define RNDIS_PACKET_BYTES 36u /* its body before per-packet information */
#define RNDIS_ALIGNMENT    3u  /* log2 of that of packets in one message */

#define RNDIS_SUCCESS        0x00000000u
#define RNDIS_FAILURE        0xc0000001u
#define RNDIS_NOT_SUPPORTED  0xc00000bbu
#define RNDIS_INVALID_LENGTH 0xc0010014u
#define RNDIS_INVALID_DATA   0xc0010015u
#define RNDIS_CONNECTED      0x4001000bu /* indications */
#define RNDIS_DISCONNECTED   0x4001000cu

/* Per-packet information: size, type, offset of the value, value. */
#define PPI_HEAD  12u
#define PPI_BYTES 16u /* with a value of 4 bytes */
enum {
    PPI_CHECKSUM = 0,
    PPI_LARGE_SEND = 2,
    PPI_VLAN = 6,
    PPI_HASH = 8,
};
#define PPI_INTERNAL_ID 0x80000001u /* of merged segments */

/* PPI_CHECKSUM of packets from the guest */
#define TX_IS_IPV4 0x01u
#define TX_IS_IPV6 0x02u
#define TX_TCP     0x04u
#define TX_UDP     0x08u
#define TX_IP      0x10u
/* ... and to it */
#define RX_TCP_GOOD    0x08u
#define RX_UDP_GOOD    0x10u
#define RX_IP_GOOD     0x20u
#define RX_TCP_INVALID 0x80u /* the field; what came was right */

#define LARGE_SEND_MSS 0xfffffu

/* PPI_INTERNAL_ID: version, flags, number */
#define ID_VERSION 1u
#define ID_PART    1u
#define ID_FIRST   2u
#define ID_LAST    4u

/* --- NDIS -----------------------------------------------------------------*/

/* Packet filter */
#define FILTER_DIRECTED      0x01u
#define FILTER_MULTICAST     0x02u
#define FILTER_ALL_MULTICAST 0x04u
#define FILTER_BROADCAST     0x08u
#define FILTER_PROMISCUOUS   0x20u

/* Object types and sizes of their revisions */
#define NDIS_DEFAULT        0x80u
#define NDIS_RSS_CAPS       0x88u
#define NDIS_RSS_PARAMETERS 0x89u
#define NDIS_OFFLOAD        0xa7u
#define NDIS_RSS_CAPS_BYTES 18u
#define NDIS_RSS_BYTES      40u
#define NDIS_OFFLOAD_1      112u
#define NDIS_OFFLOAD_2      144u
#define NDIS_OFFLOAD_3      156u

#define HASH_TOEPLITZ         0x0001u
#define HASH_IPV4             0x0100u
#define HASH_TCP_IPV4         0x0200u
#define HASH_IPV6             0x0400u
#define HASH_TCP_IPV6         0x1000u
#define RSS_FLAG_NO_HASH_INFO 0x02u
#define RSS_FLAG_NO_TABLE     0x04u
#define RSS_FLAG_NO_KEY       0x08u
#define RSS_FLAG_OFF          0x10u

#endif
