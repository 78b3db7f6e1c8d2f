/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the VMBus plugin share.
 *
 * Two kinds of lanes work here.  The lane of the bus has the connection and
 * an `entry` for each channel id (relid) that the guest knows or will know.
 * The lane of the device that offers a channel has its rings.  Between the
 * two go posts:
 *
 *     bus                        owner
 *     entry OPENING  -- open -->  maps the rings, opened()
 *     entry OPEN     <-- result -
 *     entry CLOSING  -- close ->  closing() .. close_done()
 *     entry CLOSED   <-- done ---
 *                    <-- gone ---  destroy(): from now on the entry has no
 *                                  channel, and the guest gets a rescind
 *
 * At most one open or close of a channel is under way; what the guest or a
 * reset wants meanwhile is noted in the entry (close_wanted).  destroy() may
 * come at any moment: the channel is dead for its lane at once, so an open or
 * close that arrives later finds it dead, and for the bus when "gone"
 * arrives.  A channel's memory lives as long as a post or its list holds it.
 *
 * Three things are asked from both sides and are under `lock`: the list of
 * channels by name, the saved channels that wait for theirs, and the lists of
 * GPADLs.  The target processor is an atomic.
 *
 * Loading replaces all entries; posts made before carry an older `epoch` and
 * do nothing.
 */
#ifndef SYNTHETIC_VMBUS_OWN_H
#define SYNTHETIC_VMBUS_OWN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <backplane/backplane.h>
#include <backplane/hv.h>
#include <backplane/vmbus.h>

#include "ring.h"
#include "ring_packet.h"
#include "vmbus_wire.h"

#define RELIDS       1024u /* 1..1023 */
#define GPADLS       2048u
#define GPADL_WORDS  (256u << 10) /* ranges and pages of all: 1 GiB of pages */
#define GPADL_RANGES 64u
#define BUILDING     64u /* GPADLs whose pages are still coming */
#define ANSWERS      64u
#define KEPT         4096u      /* completions of one channel */
#define KEPT_ONE     16384u     /* bytes of one */
#define KEPT_BYTES   (1u << 20) /* ... of all, as they are saved */
/* Connection that the guest signals for a channel: this and its relid. */
#define EVENT_CONNECTION 0x10000u

struct vmbus;

/* --- GPADLs (vmbus_gpadl.c) ----------------------------------------------*/

enum { GPADL_BUILDING = 1, GPADL_READY = 2, GPADL_TEARING = 3 };

/*
 * Guest memory under a handle: ranges as on the wire, each a word of
 * {u32 bytes, u32 offset} and its page numbers.  Never changed once it is
 * ready.
 */
struct gpadl {
    struct gpadl *next; /* of the same entry; lock */
    struct vmbus *bus;
    int refs;      /* atomic */
    uint32_t gone; /* atomic: the guest took it away */
    uint32_t id;
    uint16_t relid;
    uint8_t state; /* lock */
    uint16_t range_count;
    uint32_t word_count;
    uint32_t have; /* words received */
    uint64_t bytes;
    uint64_t word[];
};

/* --- entries (bus lane) --------------------------------------------------*/

enum { ENTRY_CLOSED = 1, ENTRY_OPENING = 2, ENTRY_OPEN = 3, ENTRY_CLOSING = 4 };

enum {
    ENTRY_OFFERED = 0x01,      /* the guest knows it */
    ENTRY_NEED_OFFER = 0x02,   /* it will be told */
    ENTRY_NEED_RESCIND = 0x04, /* ... that it is gone */
    ENTRY_GONE = 0x08,         /* no channel any more */
    ENTRY_CLOSE_WANTED = 0x10, /* as soon as it is open */
    ENTRY_MODIFYING = 0x20,    /* the owner is told the new target */
    ENTRY_ORPHAN = 0x40,       /* loaded; its device has not created it */
};

struct entry {
    uint16_t relid;
    uint8_t state;
    uint8_t flags;
    uint16_t subchannel;
    struct bp_guid type, instance;
    struct bp_vmbus_channel *ch; /* NULL: gone or orphan */
    struct gpadl *gpadls;        /* lock */
    uint32_t open_id, ring_gpadl, target_vp, downstream_page;
};

/* --- saved state ---------------------------------------------------------*/

struct answer { /* a message that waits for the guest */
    uint32_t type;
    uint32_t bytes;
    uint8_t body[40];
};

struct saved_channel { /* index: relid */
    uint8_t state;     /* 0: none */
    uint8_t flags;
    uint16_t subchannel;
    uint8_t type[16], instance[16];
    uint32_t open_id, ring_gpadl, target_vp, downstream_page;
    /* Of the owner */
    uint8_t owner; /* OWNER_* */
    uint8_t broken, paused, waiting;
    uint32_t wanted; /* see struct bp_vmbus_channel */
    uint32_t in_own, out_own;
    uint32_t kept;
};

struct saved_gpadl {
    uint32_t relid, id;
    uint8_t state, gone;
    uint16_t range_count;
    uint32_t word_count, have;
};

enum {
    BUS_IDLE = 0,
    BUS_CONNECTED = 1,
    BUS_LEAVING = 2, /* all is being closed, then comes `then` */
};
enum { THEN_NOTHING = 0, THEN_UNLOADED = 1, THEN_CONTACT = 2 };

struct vmbus_state {
    uint32_t version; /* 0: none */
    uint32_t message_vp;
    uint32_t message_sint;
    uint8_t connection; /* BUS_* */
    uint8_t then;       /* THEN_* */
    uint8_t offers;     /* the guest asked for them */
    uint8_t all_offers; /* AllOffers is due */
    /* The contact that waits for the end of the last */
    uint32_t next_version, next_vp, next_sint;
    uint64_t interrupt_page, next_page; /* before 2.4 */
    uint32_t reserved;                  /* places for answers that will come */
    uint32_t connecting; /* TL connects not answered: part of reserved */
    uint32_t answer_count;
    struct answer answer[ANSWERS];
    /* Filled by save() */
    struct saved_channel channel[RELIDS];
    uint32_t gpadl_count;
    struct saved_gpadl gpadl[GPADLS];
    uint8_t words[GPADL_WORDS * 8];
    uint8_t kept[KEPT_BYTES]; /* of the channels, by relid */
};

/* --- channels (owner's lane) ---------------------------------------------*/

enum { OWNER_SHUT = 0, OWNER_SERVING = 1, OWNER_CLOSING = 2 };

struct kept { /* a completion that waits for room */
    struct kept *next;
    uint64_t transaction;
    uint32_t bytes;
    uint8_t data[];
};

/* In saved state: u32 bytes, u32 0, u64 transaction, data. */
static inline uint32_t kept_size(uint32_t bytes)
{
    return 16 + ((bytes + 7) & ~7u);
}

struct bp_vmbus_buffer {
    struct bp_vmbus_buffer *next;
    struct bp_vmbus_channel *ch;
    struct gpadl *gpadl; /* NULL: the channel was closed */
};

struct bp_vmbus_channel {
    struct bp_vmbus_channel *next; /* lock */
    struct vmbus *bus;
    struct bp_dev *dev;
    struct bp_vmbus_offer offer;
    const struct bp_vmbus_channel_ops *ops;
    void *ctx;
    int refs;            /* atomic: the list and each post */
    uint32_t relid;      /* atomic; 0: none yet */
    uint32_t target_vp;  /* atomic */
    struct entry *entry; /* bus lane */
    bool left;           /* bus lane: it was destroyed */

    uint8_t state; /* OWNER_* */
    bool dead;     /* destroyed */
    bool broken;   /* the guest spoilt its ring */
    bool paused;
    bool in_service, posted;
    bool waiting;    /* the guest was asked to tell of room */
    uint32_t wanted; /* room that a failed send() needs; 0: none does */

    struct gpadl *ring_gpadl;
    uint32_t downstream_page;
    uint32_t in_own, out_own; /* while it is not mapped */
    uint8_t **page;           /* NULL: not mapped */
    uint32_t pages;
    struct ring in, out;
    uint8_t *packet;
    struct ring_pieces pieces;

    struct kept *kept, **kept_end;
    uint32_t kept_count;
    struct bp_vmbus_buffer *buffers;
};

/* --- the bus -------------------------------------------------------------*/

struct vmbus {
    struct bp_dev *dev;
    const struct bp_host *host;
    const struct bp_log *log;
    const struct bp_lane *lane;
    const struct bp_dma *dma;
    const struct bp_hv *hv; /* NULL: this machine has no such interface */
    uint32_t processors;

    pthread_mutex_t lock;
    struct bp_vmbus_channel *channels; /* lock */
    bool orphans;                      /* lock: some entry is one */
    uint32_t channel_count;            /* lock */

    uint32_t epoch;       /* atomic */
    uint32_t stopped;     /* atomic: no ring is touched */
    uint64_t legacy_page; /* atomic: its interrupt page; 0: has none */

    struct entry *entry[RELIDS];
    struct gpadl *building[BUILDING]; /* not yet complete, in no order */
    uint32_t building_count;
    uint32_t gpadl_count, words; /* atomic */
    uint32_t kept;               /* atomic: bytes as they are saved */

    struct bp_dev *connector; /* who hears of TL connects */
    bp_vmbus_connect_fn *connect;
    void *connect_ctx;

    struct vmbus_state st;
};

/* vmbus.c */
struct entry *vmbus_entry_new(struct vmbus *s, const struct bp_guid *type,
                              const struct bp_guid *instance,
                              uint16_t subchannel, uint16_t relid);
void vmbus_entry_free(struct vmbus *s, struct entry *e);
/* A channel without an entry gets one, and is offered when it is time. */
void vmbus_adopt(struct vmbus *s, struct bp_vmbus_channel *ch);
void channel_ref(struct bp_vmbus_channel *ch);
void channel_unref(struct bp_vmbus_channel *ch);

/* vmbus_control.c */
int32_t vmbus_message(void *ctx, uint32_t type, const void *payload,
                      uint32_t bytes);
/* What the posts of a channel's owner say. */
void vmbus_opened(struct vmbus *s, struct entry *e, int32_t error);
void vmbus_closed(struct vmbus *s, struct entry *e);
void vmbus_retargeted(struct vmbus *s, struct entry *e);
void vmbus_gone(struct vmbus *s, struct entry *e);
void vmbus_connect_answered(struct vmbus *s, const struct vmbus_tl_result *m);
/* Everything is closed, then comes `then`. */
void vmbus_leave(struct vmbus *s, uint8_t then);
/* An entry came to rest, or there is none left: goes on with what waited. */
void vmbus_rested(struct vmbus *s, struct entry *e);

/* vmbus_outbox.c */
bool vmbus_may_answer(struct vmbus *s);
void vmbus_answer(struct vmbus *s, uint32_t type, const void *body,
                  uint32_t bytes);
/* As many messages as the guest takes now. */
void vmbus_pump(struct vmbus *s);
void vmbus_room(void *ctx, uint32_t vp, uint32_t sint);
/* Does this version know such channels? */
bool vmbus_may_offer(const struct vmbus *s, const struct entry *e);

/* vmbus_post.c: across lanes */
void post_open(struct vmbus *s, struct entry *e, struct gpadl *ring,
               const struct vmbus_open *m);
void post_close(struct vmbus *s, struct entry *e);
void post_retarget(struct vmbus *s, struct entry *e);
void post_gpadl_gone(struct vmbus *s, struct entry *e, struct gpadl *g);
void post_ring(struct vmbus *s, struct entry *e, bool run);
void post_serve_entry(struct vmbus *s, struct entry *e);
void post_created(struct bp_vmbus_channel *ch);
void post_closed(struct bp_vmbus_channel *ch);
void post_gone(struct bp_vmbus_channel *ch);
void post_connect(struct vmbus *s, const struct vmbus_tl_connect *m);
void post_connect_result(struct vmbus *s, const struct vmbus_tl_result *m);

/* vmbus_channel.c: all on the owner's lane */
int32_t channel_open(struct bp_vmbus_channel *ch, struct gpadl *ring,
                     uint32_t downstream_page,
                     const struct bp_vmbus_open *open);
void channel_close(struct bp_vmbus_channel *ch);
void channel_shut(struct bp_vmbus_channel *ch); /* rings are let go */
void channel_unmap(struct bp_vmbus_channel *ch);
void channel_run(struct bp_vmbus_channel *ch); /* start() */
void channel_event(void *ctx, uint32_t flag);
void channel_signal(struct bp_vmbus_channel *ch);
bool channel_keep(struct bp_vmbus_channel *ch, uint64_t transaction,
                  const void *data, uint32_t bytes);
void channel_drop_kept(struct bp_vmbus_channel *ch);

/* channel ops of bp.vmbus/1 */
void channel_close_done(struct bp_vmbus_channel *ch);
int32_t channel_is_open(struct bp_vmbus_channel *ch);
void channel_pause(struct bp_vmbus_channel *ch);
void channel_resume(struct bp_vmbus_channel *ch);
int32_t channel_send(struct bp_vmbus_channel *ch,
                     const struct bp_vmbus_send *packet);
void channel_complete(struct bp_vmbus_channel *ch, uint64_t transaction,
                      const void *data, uint32_t bytes);
int32_t channel_can_send(struct bp_vmbus_channel *ch, uint32_t bytes);
int32_t channel_unread(struct bp_vmbus_channel *ch);

/* vmbus_gpadl.c */
/* Messages of the guest, without their head. */
void gpadl_header(struct vmbus *s, const uint8_t *m, uint32_t bytes);
void gpadl_body(struct vmbus *s, const uint8_t *m, uint32_t bytes);
void gpadl_teardown(struct vmbus *s, const struct vmbus_gpadl_teardown *m);
/* The owner does not use it any more. */
void gpadl_torndown(struct vmbus *s, struct entry *e, struct gpadl *g);
void gpadls_drop(struct vmbus *s, struct entry *e); /* all of an entry */
/* Those whose teardown waited for the end of the channel. */
void gpadls_rested(struct vmbus *s, struct entry *e);
struct gpadl *gpadl_find(const struct entry *e, uint32_t id);
/* A ready one, with a reference; NULL.  Any lane. */
struct gpadl *gpadl_get(struct vmbus *s, uint32_t relid, uint32_t id);
void gpadl_unref(struct gpadl *g);
struct gpadl *gpadl_new(struct vmbus *s, struct entry *e, uint32_t id,
                        uint32_t word_count, uint32_t range_count);
/* All words are there: do they describe memory? */
bool gpadl_check(struct gpadl *g);
/* Of a GPADL with one range of whole pages; 0: it is another. */
uint32_t gpadl_pages(const struct gpadl *g);
uint64_t gpadl_page(const struct gpadl *g, uint32_t page);

struct bp_vmbus_buffer *buffer_open(struct bp_vmbus_channel *ch,
                                    uint32_t gpadl);
void buffer_close(struct bp_vmbus_buffer *b);
uint64_t buffer_bytes(struct bp_vmbus_buffer *b);
int32_t buffer_read(struct bp_vmbus_buffer *b, uint64_t offset, void *dst,
                    uint32_t bytes);
int32_t buffer_write(struct bp_vmbus_buffer *b, uint64_t offset,
                     const void *src, uint32_t bytes);
int32_t buffer_ranges(struct bp_vmbus_buffer *b, uint64_t offset,
                      uint64_t bytes, struct bp_gpa_range *out, uint32_t max);
void buffers_detach(struct bp_vmbus_channel *ch);
void buffers_free(struct bp_vmbus_channel *ch);

/* vmbus_legacy.c */
void legacy_event(void *ctx, uint32_t flag);
/* False: this version signals each channel's own flag.  Any lane. */
bool legacy_signal(struct vmbus *s, uint32_t relid);
void legacy_connect(struct vmbus *s); /* st has a version, or was loaded */

/* vmbus_state.c */
extern const struct bp_field vmbus_fields[];
void vmbus_save(void *self);
int32_t vmbus_loaded(void *self, uint32_t version);
/* The saved channel of this name becomes `ch`; false: there is none. */
bool vmbus_take_orphan(struct vmbus *s, struct bp_vmbus_channel *ch);
/* Saved channels that no device has made again: all of them were loaded. */
void vmbus_end_orphans(struct vmbus *s);

#endif
