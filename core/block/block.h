/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives and media.
 *
 * A `struct block_drive` is what a device's property is attached to: a disk,
 * or a slot with or without a medium.  It checks the device's requests,
 * counts them and brings completions to the device's lane.  A `struct
 * block_medium` is an open image; its operations are a format's or a back
 * end's.
 *
 * The device's own `struct bp_block_request` travels through both; host[] in
 * it belongs to the drive (0, 1) and to the medium (2, 3).
 */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <backplane/block.h>

struct block_medium;
struct clocks;
struct lane;
struct state_writer;
struct state_reader;
struct timer;

struct block_medium_ops {
    const char *name; /* "raw" */
    /*
     * Starts a request.  The drive has checked it: a known op, inside the
     * medium, multiples of 512, no write to a read-only medium.  Ends with
     * block_request_done() from any thread, which may happen before submit
     * returns.  Must not block.  [any]
     */
    void (*submit)(struct block_medium *m, struct bp_block_request *request);
    /* Nothing is in flight.  Frees `m` and all that hangs on it. */
    void (*close)(struct block_medium *m);
    /*
     * What the image file does not hold (the written blocks of a snapshot)
     * goes into a saved machine, in parts as block_drive_save_part() has
     * them; NULL when there is nothing of that kind.  Nothing is in flight.
     */
    bool (*save)(struct block_medium *m, uint64_t *next,
                 struct state_writer *w);
    bool (*load)(struct block_medium *m, struct state_reader *r,
                 GError **error);
};

/* The head of a back end's own struct. */
struct block_medium {
    const struct block_medium_ops *ops;
    char *path; /* as the user gave it */
    uint64_t bytes;
    uint32_t flags;                         /* BP_BLOCK_READONLY, _THIN */
    uint32_t logical_block, physical_block; /* bytes */
};

/* How an image is opened: the value of --disk, split. */
struct block_options {
    const char *path;
    bool readonly;
    bool snapshot;  /* writes go to memory and are forgotten */
    bool cdrom;     /* 2048-byte blocks, read-only */
    uint32_t block; /* bytes of a disk's logical block; 0: 512 */
};

/* NULL with one sentence.  (core/block/open.c) */
struct block_medium *block_open(const struct block_options *options,
                                GError **error);

/* Completes a request of a medium.  status: 0 or a negative errno.  [any] */
void block_request_done(struct bp_block_request *request, int32_t status);
/* The bytes that a read or write moves, or the range of another op; false
 * when the vector's sum is no 64-bit number. */
bool block_request_bytes(const struct bp_block_request *request,
                         uint64_t *bytes);

/* --- drives ---------------------------------------------------------------*/

enum block_drive_kind { BLOCK_DISK, BLOCK_CDROM, BLOCK_FLOPPY };

struct block_drive {
    char *name; /* "disk0", "cd0" */
    enum block_drive_kind kind;
    bool removable;
    bool shared; /* the medium is another drive's */
    char serial[21];

    pthread_mutex_t lock;         /* all below */
    pthread_cond_t idle;          /* in_flight became 0 */
    struct block_medium *medium;  /* NULL: empty */
    struct block_options options; /* of the medium; path is owned */
    bool tray_open;
    bool locked;        /* by the guest */
    unsigned in_flight; /* from submit until done() returned */
    uint64_t generation;
    uint64_t n_reads, n_writes, bytes_read, bytes_written, n_errors;

    struct lane *lane; /* of the device, once attached */
    void (*changed)(void *ctx);
    void (*eject_request)(void *ctx);
    void *ctx;

    /* Deterministic machines (clocks not NULL): requests are executed one
     * after the other while submit waits, and complete at a time of the
     * virtual clock that depends on nothing but the submission. */
    struct clocks *clocks;
    struct timer *timer; /* armed for due_first; [lane] */
    struct bp_block_request *due_first, *due_last; /* [lane] */
    bool executed; /* under lock: the one request is */
};

struct block_drive *block_drive_create(const char *name,
                                       enum block_drive_kind kind);
/* Detached, nothing in flight, and the lane that it was on is gone. */
void block_drive_destroy(struct block_drive *d);
/*
 * A second drive with the medium of a disk: another path to it, on another
 * device's lane.  Both are there as long as the machine is, and the medium
 * never changes; what is written through one is read through the other as
 * soon as it has completed.  Saved state is the first one's.
 */
struct block_drive *block_drive_share(struct block_drive *d, const char *name);
/* Before the drive is attached; the clocks are deterministic ones. */
void block_drive_set_clocks(struct block_drive *d, struct clocks *clocks);
/*
 * Opens and inserts; the drive must be empty, or removable and not locked by
 * the guest.  Closes an open tray.  [control thread, no lane held]
 */
bool block_drive_insert(struct block_drive *d,
                        const struct block_options *options, GError **error);
/* The user takes the medium out.  Refused while the guest holds it locked,
 * unless `force`; the guest is asked then.  [control thread, no lane held] */
bool block_drive_eject(struct block_drive *d, bool force, GError **error);
/* NULL detaches, when nothing is in flight: before the lane ends.  After
 * that nothing is posted to it. */
void block_drive_attach(struct block_drive *d, struct lane *lane);
/* Waits until nothing is in flight, and what completions submit in turn.
 * [no lane held] */
void block_drive_drain(struct block_drive *d);
/*
 * Removable media state for a saved machine.  Nothing is in flight.  Loading
 * needs the same media as were there: a hard disk of the same size, a medium
 * in a removable drive that had one (another one counts as changed).
 */
void block_drive_save(struct block_drive *d, struct state_writer *w);
bool block_drive_load(struct block_drive *d, struct state_reader *r,
                      GError **error);
/*
 * The sectors written to a snapshot, which no file has, in parts that each
 * fit in a section: *next is 0 at first and moved on; false, and nothing is
 * put, when there are no more.  Each part is loaded in any order after
 * block_drive_load().
 */
bool block_drive_save_part(struct block_drive *d, uint64_t *next,
                           struct state_writer *w);
bool block_drive_load_part(struct block_drive *d, struct state_reader *r,
                           GError **error);

/* The device's side, as in bp.block/1.  [lane] */
void block_drive_info(struct block_drive *d, struct bp_block_info *info);
void block_drive_submit(struct block_drive *d,
                        struct bp_block_request *request);
void block_drive_listen(struct block_drive *d, void (*changed)(void *ctx),
                        void (*eject_request)(void *ctx), void *ctx);
void block_drive_lock(struct block_drive *d, bool locked);
void block_drive_tray(struct block_drive *d, bool open);

#endif
