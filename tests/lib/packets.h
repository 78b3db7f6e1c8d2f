/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet frames for tests of networks. */
#ifndef TESTS_LIB_PACKETS_H
#define TESTS_LIB_PACKETS_H

#include <stdbool.h>
#include <stdint.h>

struct packet {
    bool v6, udp;
    uint16_t vlan; /* 0: none */
    uint32_t sequence, flags;
    uint32_t payload; /* bytes */
    uint8_t seed;     /* of their pattern */
    uint8_t to[6];    /* zeros: 02:00:00:00:00:01 */
};

/* Builds it with right lengths; TCP has 12 bytes of options.  The checksums
 * are zero with `sums` false.  Returns the number of bytes. */
uint32_t packet_build(const struct packet *p, bool sums, uint8_t *out);
uint32_t packet_header_bytes(const struct packet *p);
/* The Internet checksum over data, the slow way. */
uint16_t packet_slow_sum(const uint8_t *data, uint32_t bytes, uint32_t start);
/* Are IP and TCP or UDP checksums of an untagged frame right? */
bool packet_is_right(const uint8_t *frame, uint32_t bytes);
uint8_t packet_pattern(uint8_t seed, uint32_t at);

#endif
