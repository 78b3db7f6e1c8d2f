/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dev/storvsp_guest.h"

#include <string.h>

#include "tests/lib/test.h"
#include "vm/bench.h"

#define STEPS 1000
#define MARK  0x7000000000001234u

uint64_t vstor_wait(struct vg_channel *ch, struct vstor *p)
{
    struct vg_packet packet;

    for (unsigned i = 0; i < STEPS; i++) {
        if (vg_receive(ch, &packet)) {
            CHECK_EQ(packet.type, BP_VMBUS_COMPLETION);
            CHECK_LE(packet.bytes, sizeof(*p));
            memset(p, 0, sizeof(*p));
            memcpy(p, packet.data, packet.bytes);
            CHECK_EQ(p->op, VSTOR_COMPLETE);
            return packet.transaction;
        }
        bench_step(ch->g->bench, 100000);
    }
    FAIL("no completion came");
    return 0;
}

uint32_t vstor_ask(struct vg_channel *ch, struct vstor *p)
{
    CHECK(vg_send(ch, MARK, p, sizeof(*p), true));
    CHECK_EQ(vstor_wait(ch, p), MARK);
    return p->status;
}

void vstor_start(struct vg_channel *ch, uint16_t version)
{
    struct vstor p = { .op = VSTOR_BEGIN };

    CHECK_EQ(vstor_ask(ch, &p), 0);
    p = (struct vstor){ .op = VSTOR_VERSION, .query = { .version = version } };
    CHECK_EQ(vstor_ask(ch, &p), 0);
    p = (struct vstor){ .op = VSTOR_PROPERTIES };
    CHECK_EQ(vstor_ask(ch, &p), 0);
    p = (struct vstor){ .op = VSTOR_END };
    CHECK_EQ(vstor_ask(ch, &p), 0);
}

void vstor_submit(struct vg_channel *ch, uint64_t transaction,
                  const struct vstor *p, uint64_t gpa, uint32_t bytes)
{
    if (bytes)
        CHECK(vg_send_gpa(ch, transaction, p, sizeof(*p), gpa, bytes));
    else
        CHECK(vg_send(ch, transaction, p, sizeof(*p), true));
}

uint8_t vstor_execute(struct vg_channel *ch, struct vstor *p, uint64_t gpa,
                      uint32_t bytes)
{
    p->op = VSTOR_EXECUTE;
    p->srb.transfer = bytes;
    if (!p->srb.cdb_bytes)
        p->srb.cdb_bytes = 16;
    if (!p->srb.sense_bytes)
        p->srb.sense_bytes = 20;
    vstor_submit(ch, MARK, p, gpa, bytes);
    CHECK_EQ(vstor_wait(ch, p), MARK);
    return p->srb.srb_status;
}
