/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMBus control messages as they are on the wire; little-endian.
 * Sources: Linux include/linux/hyperv.h; OpenVMM vmbus_core (facts).
 */
#ifndef SYNTHETIC_VMBUS_WIRE_H
#define SYNTHETIC_VMBUS_WIRE_H

#include <stdint.h>

#include <backplane/vmbus.h>

#define VMBUS_VERSION(major, minor) ((uint32_t)(major) << 16 | (minor))
#define VMBUS_0_13                  VMBUS_VERSION(0, 13)
#define VMBUS_1_1                   VMBUS_VERSION(1, 1)
#define VMBUS_2_4                   VMBUS_VERSION(2, 4)
#define VMBUS_3_0                   VMBUS_VERSION(3, 0)
#define VMBUS_4_0                   VMBUS_VERSION(4, 0)
#define VMBUS_4_1                   VMBUS_VERSION(4, 1)
#define VMBUS_5_0                   VMBUS_VERSION(5, 0)
#define VMBUS_5_3                   VMBUS_VERSION(5, 3)

/* Connections that guests name to post messages: before, and from 5.0 on. */
#define VMBUS_CONNECTION_1 1u
#define VMBUS_CONNECTION_4 4u
#define VMBUS_EVENTS       2u /* connection of events before 1.1 */
#define VMBUS_SINT         2u
#define VMBUS_MESSAGE_TYPE 1u

#define VMBUS_NO_INTERRUPT UINT32_MAX /* as a target processor */

enum vmbus_message {
    VMBUS_OFFER = 1,
    VMBUS_RESCIND = 2,
    VMBUS_REQUEST_OFFERS = 3,
    VMBUS_ALL_OFFERS = 4,
    VMBUS_OPEN = 5,
    VMBUS_OPEN_RESULT = 6,
    VMBUS_CLOSE = 7,
    VMBUS_GPADL_HEADER = 8,
    VMBUS_GPADL_BODY = 9,
    VMBUS_GPADL_CREATED = 10,
    VMBUS_GPADL_TEARDOWN = 11,
    VMBUS_GPADL_TORNDOWN = 12,
    VMBUS_RELID_RELEASED = 13,
    VMBUS_CONTACT = 14,
    VMBUS_VERSION_RESPONSE = 15,
    VMBUS_UNLOAD = 16,
    VMBUS_UNLOAD_COMPLETE = 17,
    VMBUS_TL_CONNECT = 21,
    VMBUS_MODIFY = 22,
    VMBUS_TL_RESULT = 23,
    VMBUS_MODIFY_RESPONSE = 24,
};

struct vmbus_header {
    uint32_t type;
    uint32_t padding;
};

struct vmbus_offer { /* without the header, as all below */
    struct bp_guid type, instance;
    uint8_t reserved[16];
    uint16_t flags;
    uint16_t mmio_megabytes;
    uint8_t user[120];
    uint16_t subchannel;
    uint16_t reserved2;
    uint32_t relid;
    uint8_t monitor_id;
    uint8_t monitor_allocated;
    uint16_t dedicated_interrupt;
    uint32_t connection;
};

struct vmbus_relid { /* rescind, close, release */
    uint32_t relid;
};

struct vmbus_open {
    uint32_t relid;
    uint32_t open_id;
    uint32_t gpadl;
    uint32_t target_vp;
    uint32_t downstream_page;
    uint8_t user[120];
};

struct vmbus_open_result {
    uint32_t relid;
    uint32_t open_id;
    uint32_t status;
};

struct vmbus_gpadl_header { /* then range_bytes of ranges */
    uint32_t relid;
    uint32_t gpadl;
    uint16_t range_bytes;
    uint16_t range_count;
};

struct vmbus_gpadl_body { /* then more of them */
    uint32_t number;
    uint32_t gpadl;
};

struct vmbus_gpadl_created {
    uint32_t relid;
    uint32_t gpadl;
    uint32_t status;
};

struct vmbus_gpadl_teardown {
    uint32_t relid;
    uint32_t gpadl;
};

struct vmbus_gpadl_torndown {
    uint32_t gpadl;
};

struct vmbus_contact {
    uint32_t version;
    uint32_t target_vp;
    uint64_t interrupt_page; /* from 5.0 on: SINT of messages, VTL */
    uint64_t monitor_page[2];
};

struct vmbus_version_response {
    uint8_t supported;
    uint8_t state; /* 0: connected */
    uint16_t padding;
    uint32_t connection; /* from 5.0 on */
};

struct vmbus_tl_connect {
    struct bp_guid endpoint, service;
};

struct vmbus_tl_result {
    struct bp_guid endpoint, service;
    uint32_t status;
};

struct vmbus_modify {
    uint32_t relid;
    uint32_t target_vp;
};

struct vmbus_modify_response {
    uint32_t relid;
    uint32_t status;
};

/* NT status codes */
#define STATUS_OK                     0u
#define STATUS_UNSUCCESSFUL           0xc0000001u
#define STATUS_INVALID_PARAMETER      0xc000000du
#define STATUS_INSUFFICIENT_RESOURCES 0xc000009au
#define STATUS_CONNECTION_REFUSED     0xc0000236u

#endif
