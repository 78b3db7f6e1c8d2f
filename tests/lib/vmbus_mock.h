/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VMBus without rings, for tests of one device: what it sends is taken out
 * packet by packet, and how much it may send is the test's to say.  The
 * device finds it as bp.vmbus/1.
 */
#ifndef TESTS_LIB_VMBUS_MOCK_H
#define TESTS_LIB_VMBUS_MOCK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include <backplane/backplane.h>

struct bench;

#define MOCK_CHANNELS 160u

struct mock_channel {
    bool used, open, closing, paused;
    struct bp_dev *dev;
    struct bp_vmbus_offer offer;
    const struct bp_vmbus_channel_ops *ops;
    void *ctx;
    GQueue sent;         /* GBytes *: payloads */
    unsigned room;       /* packets that it takes before it is full */
    uint32_t ring_bytes; /* the largest packet */
};

/* To bench_try_add() before the device. */
extern const struct bp_device_desc vmbus_mock_desc;

/* A bench with the mock and this device, started. */
struct bench *mock_bench(const char *id, const char *const *settings);
/* Adds the device to a bench that has the mock. */
void mock_add(struct bench *b, const char *id, const char *const *settings);
/* The channel number `n` in the order of creation that is there; NULL. */
struct mock_channel *mock_channel(unsigned n);
bool mock_open(struct bench *b, struct mock_channel *ch);
/* True: the device is done with it. */
bool mock_close(struct bench *b, struct mock_channel *ch);
/* What the device's packet() returned. */
int32_t mock_put(struct bench *b, struct mock_channel *ch, const void *data,
                 uint32_t bytes);
/* The oldest payload that was sent; NULL: none.  g_bytes_unref it. */
GBytes *mock_take(struct bench *b, struct mock_channel *ch);
/* There is room for more packets. */
void mock_make_room(struct bench *b, struct mock_channel *ch, unsigned room);
/* A TL connect request of the guest; *status is the answer, UINT32_MAX when
 * there is none yet. */
void mock_connect(struct bench *b, const struct bp_guid *endpoint,
                  const struct bp_guid *service);
uint32_t mock_connect_status(void);

#endif
