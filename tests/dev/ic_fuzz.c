/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chance against the integration components and dynamic memory: commands of
 * the host, and answers of a guest that changes what it was sent, makes it
 * longer or shorter, answers twice, or closes the channel.  The device must
 * live and, after a reset and a new negotiation, do its work.
 *
 * BP_FUZZ_SECONDS makes it longer, BP_FUZZ_SEED begins elsewhere.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plugins/synthetic/wire.h"
#include "tests/lib/test.h"
#include "tests/lib/vmbus_mock.h"
#include "vm/bench.h"
#include "vm/hot_ram.h"
#include "vm/vm.h"

#define STEPS 4000u
#define CALLS 8u
#define HEAD  28u
#define MOST  9000u

static struct bench *b;
static struct mock_channel *ch;
static struct bench_call *calls[CALLS];
static uint64_t seed;
static uint8_t m[MOST + 64];
static uint32_t bytes;

static uint32_t chance(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16) % n;
}

static const struct {
    const char *id;
    const char *commands[8][3];
} devices[] = {
    { "ic-heartbeat", { { "heartbeat" } } },
    { "ic-shutdown", { { "shutdown", "reason=x", "force" } } },
    { "ic-timesync", { { NULL } } },
    { "ic-kvp",
      { { "kvp-list" },
        { "kvp-get", "key=k" },
        { "kvp-get", "key=k", "direct" },
        { "kvp-set", "key=k", "value=v" },
        { "kvp-delete", "key=k" },
        { "kvp-ip" },
        { "kvp-ip", "adapter=a" },
        { "kvp-set-ip", "adapter=a" } } },
    { "ic-vss", { { "freeze" }, { "freeze", "until-start" }, { "thaw" } } },
    { "ic-fcopy",
      { { "copy-file", "source=/etc/passwd", "destination=/n" },
        { "copy-file-cancel" } } },
    { "dynmem",
      { { "memory" },
        { "memory", "size=9M" },
        { "memory", "size=14M" },
        { "memory", "size=300M" },
        { "memory", "size=auto" } } },
};

static void command(unsigned device)
{
    const char *const *words = devices[device].commands[chance(8)];
    unsigned i = chance(CALLS);

    if (calls[i])
        bench_call_free(calls[i]);
    calls[i] = words[0] ? bench_call(b, words[0], words[1] ? words[1] : NULL,
                                     words[1] ? words[2] : NULL, NULL)
                        : NULL;
}

static void change(void)
{
    for (uint32_t n = chance(6); n && bytes; n--) {
        uint32_t at = chance(chance(2) ? bytes : MIN(bytes, 64));
        switch (chance(4)) {
        case 0: m[at] = (uint8_t)chance(256); break;
        case 1: m[at] ^= (uint8_t)(1u << chance(8)); break;
        case 2:
            if (at + 4 <= bytes)
                wire_put32(m + at, chance(2) ? UINT32_MAX : chance(9000));
            break;
        default: bytes = chance(MOST); break;
        }
    }
}

static void guest_answers(bool is_ic)
{
    GBytes *sent = mock_take(b, ch);

    if (sent) {
        bytes = (uint32_t)g_bytes_get_size(sent);
        memcpy(m, g_bytes_get_data(sent, NULL), bytes);
        g_bytes_unref(sent);
    }
    if (is_ic && bytes >= HEAD) {
        m[8 + 17] = 5;
        wire_put32(m + 8 + 12, chance(3) ? 0 : 0x80070103);
        if (wire_u16(m + 8 + 4) == 0) { /* versions */
            wire_put16(m + HEAD, 1);
            wire_put16(m + HEAD + 2, 1);
            memmove(m + HEAD + 12, m + HEAD + 16, 4);
        }
    } else if (!is_ic) {
        /* What a driver says, with ranges of chance behind it. */
        static const uint16_t types[] = { 1, 3, 5, 7, 9, 11 };
        bytes = 16 + 8 * chance(60);
        for (uint32_t i = 8; i < bytes; i += 8)
            wire_put64(m + i, chance(5000) |
                                  (uint64_t)chance(chance(2) ? 4 : 3000) << 40);
        wire_put16(m, types[chance(6)]);
        wire_put16(m + 2, (uint16_t)bytes);
        if (m[0] == 1)
            wire_put32(m + 8, 0x20000);
        if (m[0] == 7)
            wire_put32(m + 12, (bytes - 16) / 8 << 1 | chance(2));
    }
    if (chance(3) == 0)
        change();
    mock_put(b, ch, m, bytes);
}

static void step(unsigned device, bool is_ic)
{
    switch (chance(40)) {
    case 0:
        if (ch->open)
            CHECK(mock_close(b, ch));
        break;
    case 1: bench_save_load(b); break;
    case 2:
        if (ch->open)
            CHECK(mock_close(b, ch));
        bench_reset(b, BP_RESET_COLD);
        break;
    case 3: bench_step(b, chance(2) ? 60000000000ull : 3000000000ull); break;
    case 4: mock_make_room(b, ch, chance(3)); break;
    case 5:
    case 6:
    case 7:
    case 8:
    case 9: command(device); break;
    default:
        if (!ch->open)
            CHECK(mock_open(b, ch));
        if (chance(4))
            ch->room = 1000;
        guest_answers(is_ic);
        break;
    }
    for (char *event; (event = bench_event(b));)
        g_free(event);
}

TEST_P(chance_answers, devices)
{
    const char *from = getenv("BP_FUZZ_SEED"),
               *length = getenv("BP_FUZZ_SECONDS");
    time_t end = length ? time(NULL) + atoi(length) : 0;
    unsigned device = (unsigned)(row - devices);
    bool is_ic = strcmp(row->id, "dynmem") != 0;

    test_time_limit(length ? (unsigned)atoi(length) + 60 : 60);
    seed =
        88172645463325252ull + device * 977 + (from ? strtoul(from, 0, 10) : 0);
    b = bench_empty();
    CHECK(hot_ram_create(bench_vm(b), bench_vm(b)->ram->size + (384 << 20), 0,
                         NULL));
    CHECK(bench_try_add(b, &vmbus_mock_desc, "vmbus", NULL, NULL));
    mock_add(b, row->id, NULL);
    bench_power_on(b);
    bench_start(b);
    ch = mock_channel(0);
    for (unsigned i = 0; i < STEPS || time(NULL) < end; i++)
        step(device, is_ic);
    for (unsigned i = 0; i < CALLS; i++) {
        if (calls[i])
            bench_call_free(calls[i]);
    }
    bench_destroy(b);
}
