/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's side of an integration component, for tests/dev/ic_*.c. */
#ifndef TESTS_DEV_IC_GUEST_H
#define TESTS_DEV_IC_GUEST_H

#include <string.h>

#include "lib/le.h"
#include "tests/lib/test.h"
#include "tests/lib/vmbus_mock.h"
#include "vm/bench.h"

#define HEAD 28u /* of the pipe and of the component */

static struct bench *b;
static struct mock_channel *ch;
static uint8_t got[16384]; /* the last message */
static size_t got_bytes;

static inline uint16_t get16(size_t at)
{
    return (uint16_t)(got[at] | got[at + 1] << 8);
}

static inline uint32_t get32(size_t at)
{
    return get16(at) | (uint32_t)get16(at + 2) << 16;
}

static inline uint64_t get64(size_t at)
{
    return get32(at) | (uint64_t)get32(at + 4) << 32;
}

static inline void put16(size_t at, uint16_t v)
{
    got[at] = (uint8_t)v;
    got[at + 1] = (uint8_t)(v >> 8);
}

static inline void put32(size_t at, uint32_t v)
{
    put16(at, (uint16_t)v);
    put16(at + 2, (uint16_t)(v >> 16));
}

static inline void put64(size_t at, uint64_t v)
{
    put32(at, (uint32_t)v);
    put32(at + 4, (uint32_t)(v >> 32));
}

/* The device's next message, of this type. */
static inline bool take(void)
{
    GBytes *bytes = mock_take(b, ch);

    if (!bytes)
        return false;
    const void *data = g_bytes_get_data(bytes, &got_bytes);
    memcpy(got, data, got_bytes);
    g_bytes_unref(bytes);
    CHECK_GE(got_bytes, HEAD);
    CHECK_EQ(get32(0), 1);
    CHECK_EQ(get32(4), got_bytes - 8);
    CHECK_EQ(get16(8 + 10), got_bytes - HEAD);
    CHECK_EQ(got[8 + 17], 3);
    return true;
}

/* Sends the message back, as Linux does, with this status. */
static inline void answer(uint32_t status)
{
    put32(8 + 12, status);
    got[8 + 17] = 1 | 4;
    CHECK_EQ(mock_put(b, ch, got, (uint32_t)got_bytes), 0);
}

/* Chooses framework 3.0 and the version. */
static inline void choose(uint16_t major, uint16_t minor)
{
    put16(HEAD, 1);
    put16(HEAD + 2, 1);
    put16(HEAD + 8, 3);
    put16(HEAD + 10, 0);
    put16(HEAD + 12, major);
    put16(HEAD + 14, minor);
    put16(8 + 10, 16);
    answer(0);
}

static inline void negotiate(const char *id, uint16_t major, uint16_t minor)
{
    b = mock_bench(id, NULL);
    ch = mock_channel(0);
    CHECK(mock_open(b, ch));
    CHECK(take());
    CHECK_EQ(get16(8 + 4), 0);
    choose(major, minor);
}

/* The UTF-16 text there is this one. */
static inline void check_text(size_t at, const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i <= n; i++)
        CHECK_EQ(get16(at + 2 * i), i < n ? (uint8_t)text[i] : 0);
}

static inline void put_text(size_t at, const char *text)
{
    for (size_t i = 0; i <= strlen(text); i++)
        put16(at + 2 * i, (uint8_t)text[i]);
}

#endif
