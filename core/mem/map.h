/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest-physical address map: memory, regions, look-up.
 *
 * A `struct memory` is a block of host memory that the guest can see (main
 * RAM, a ROM image, video memory).  A `struct region` places a memory or a
 * device's access functions at a guest-physical address, with a priority.
 * A region claims reads, writes or both: for each of the two the enabled
 * region with the highest priority wins.  That is how PAM registers make
 * C0000-FFFFF read from ROM and write to RAM, how SMRAM hides behind the VGA
 * window, and how a BAR may cover RAM.
 *
 * Threads: look-ups may come from any thread.  Changes may come from any
 * thread that holds no vCPU in guest execution state (device code does not);
 * after a change returned, no vCPU uses a cached translation of the old map.
 */
#ifndef MEM_MAP_H
#define MEM_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_BYTES 4096u

/* memory.page_flags[page], changed by atomic operations only */
#define MEM_CODE    0x01 /* holds cached decoded or translated code */
#define MEM_TRACKED 0x02 /* somebody wants to hear of the next write */
#define MEM_DIRTY   0x04 /* written since a tracker last looked */

struct memory {
    char *name;
    uint8_t *host;        /* page aligned, zero at start */
    uint64_t size;        /* bytes, multiple of PAGE_BYTES */
    int fd;               /* memfd behind it, for other processes */
    uint8_t *page_flags;  /* one byte a page */
    uint32_t *code_gen;   /* a page: raised when MEM_CODE is hit */
    uint64_t *code_lines; /* a page: a bit for each 64 bytes that hold
                                 * cached code; the engine's */
};

struct region_ops {
    /* size is 1, 2, 4 or 8; offset is naturally aligned: other accesses
     * arrive in aligned pieces.  [vcpu | lane], lane lock NOT held: the
     * implementation takes what it needs. */
    uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
    void (*write)(void *opaque, uint64_t offset, uint64_t value, unsigned size);
};

#define REGION_READ  0x1 /* claims reads (and instruction fetches) */
#define REGION_WRITE 0x2 /* claims writes */

struct region;
struct map;

/*
 * Called when translations of a memory's pages must not be used any more
 * (the map changed, or the pages became tracked).  Returns when no vCPU
 * holds one.  `mem` NULL means everything.  Set once by the engine.
 */
typedef void map_invalidate_fn(void *opaque, struct memory *mem,
                               uint64_t first_page, uint64_t pages);
/* DMA wrote a page that carries MEM_CODE: its cached code is void. */
typedef void map_code_hit_fn(void *opaque, struct memory *mem, uint64_t page);

struct map *map_create(void);
void map_destroy(struct map *map);
void map_set_engine(struct map *map, map_invalidate_fn *invalidate,
                    map_code_hit_fn *code_hit, void *opaque);

/* NULL with errno when the host has no memory left, or for a size that is 0
 * or not made of whole pages. */
struct memory *memory_create(const char *name, uint64_t size);
void memory_destroy(struct memory *mem);

/*
 * Of two regions with one priority the one added last wins.  Creators return
 * NULL for a range that wraps around or leaves the memory.
 *
 * `mem` part at `mem_offset`.  readonly: writes are dropped (ROM).
 */
struct region *map_add_memory(struct map *map, const char *name, uint64_t gpa,
                              uint64_t size, struct memory *mem,
                              uint64_t mem_offset, int priority, bool readonly);
struct region *map_add_mmio(struct map *map, const char *name, uint64_t gpa,
                            uint64_t size, const struct region_ops *ops,
                            void *opaque, int priority);
/* A memory whose writes go to ops->write (flash, planar VGA read-direct). */
void region_set_write_ops(struct region *r, const struct region_ops *ops,
                          void *opaque);
void region_enable(struct region *r, bool enabled); /* created enabled */
void region_move(struct region *r, uint64_t gpa);
void region_set_claims(struct region *r, unsigned claims);
void region_destroy(struct region *r); /* nobody is in its ops */
/* Where it is; for aliases and for saved state. */
uint64_t region_gpa(const struct region *r);

/* Several changes in one invalidation; calls nest. */
void map_begin(struct map *map);
void map_commit(struct map *map);

struct map_hit {
    struct memory *mem; /* NULL: device region or hole */
    uint64_t mem_page;  /* page number inside mem */
    uint8_t *host;      /* start of that page in host memory */
    bool readonly;      /* write look-up: drop the write */
};

/*
 * Finds what is at the page of `gpa` for reading (REGION_READ, also for
 * instruction fetch) or writing (REGION_WRITE).  hit->mem is NULL when the
 * access has to go through map_io_read/map_io_write: a device, a hole, or a
 * page that regions share.
 */
void map_find(struct map *map, uint64_t gpa, unsigned claim,
              struct map_hit *hit);

/*
 * The same, and how far around it memory goes on like this: the hit is that
 * of page *first, which with all pages up to *last lies in hit->mem one after
 * the other.  Without hit->mem it is the page alone.
 */
void map_find_range(struct map *map, uint64_t gpa, unsigned claim,
                    struct map_hit *hit, uint64_t *first, uint64_t *last);

/*
 * One access of 1, 2, 4 or 8 bytes inside one page, to whatever is there.
 * Holes read all ones and ignore writes.  Memory is reached too, with code
 * and dirty flags kept.  Counts and rate-limits unassigned accesses.
 */
uint64_t map_io_read(struct map *map, uint64_t gpa, unsigned size);
void map_io_write(struct map *map, uint64_t gpa, uint64_t value, unsigned size);

/* Called by engines for each direct store to a page with MEM_CODE or
 * MEM_TRACKED set; clears TRACKED, sets DIRTY, and raises code_gen. */
void memory_written(struct map *map, struct memory *mem, uint64_t page);

/*
 * DMA of any length.  Returns false when some byte was not backed by memory
 * or a device that answered (holes read as ones, writes there are dropped).
 */
bool map_dma_read(struct map *map, uint64_t gpa, void *dst, size_t n);
bool map_dma_write(struct map *map, uint64_t gpa, const void *src, size_t n);

/*
 * Direct access: stores a pointer to as many bytes from gpa on as are
 * contiguous memory and returns their number (at most n), 0 when gpa is not
 * memory, or for writing is read-only or trapped.  It stays valid while the
 * machine runs, whatever the map does meanwhile.  After writing through it,
 * map_dma_done says which bytes; the pages are then void as code and dirty.
 */
uint64_t map_dma_direct(struct map *map, uint64_t gpa, uint64_t n, bool write,
                        void **host);
void map_dma_done(struct map *map, const void *host, uint64_t n);

/* Gives pages back to the host; they read zeros from now on. */
void memory_discard(struct map *map, struct memory *mem, uint64_t offset,
                    uint64_t bytes);
/* Where the next bytes from `offset` on are that are not the zeros of memory
 * that was never used, and where these end; mem->size when there are none.
 * Takes no memory. */
uint64_t memory_next_used(const struct memory *mem, uint64_t offset,
                          uint64_t *end);

/* Bytes of `mem` were written through its host pointer. */
void memory_touched(struct map *map, struct memory *mem, uint64_t offset,
                    uint64_t n);

/* Dirty tracking: from now on (tracks all pages of the range)... */
void memory_track(struct map *map, struct memory *mem, uint64_t first_page,
                  uint64_t pages, bool on);
/* ... and this copies one byte a page (0 or 1) to `dirty`, clears and re-arms
 * it.  Data read after it returned is at least as new as the flags. */
void memory_fetch_dirty(struct map *map, struct memory *mem,
                        uint64_t first_page, uint64_t pages, uint8_t *dirty);

/* Accesses to holes since the start. */
uint64_t map_unassigned(struct map *map);

/* g_free it.  Prints the flattened map for `backplane ctl info map`. */
char *map_describe(struct map *map);

#endif
