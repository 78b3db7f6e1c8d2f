/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of guest pages as ranges, sorted, neighbours merged.  Its size is
 * fixed: a guest whose pages lie too scattered finds it full.
 */
#ifndef SYNTHETIC_PAGE_RANGES_H
#define SYNTHETIC_PAGE_RANGES_H

#include <stdint.h>

#include <backplane/state.h>

#define PAGE_RANGES 16384u

struct page_range {
    uint64_t first, pages;
};

struct page_ranges {
    uint32_t count;
    uint64_t pages; /* of all */
    struct page_range range[PAGE_RANGES];
};

extern const struct bp_field page_ranges_fields[];

/* 0; -EEXIST: some page is in it; -ENOSPC: it is full. */
int32_t page_ranges_add(struct page_ranges *set, uint64_t first,
                        uint64_t pages);
/* Takes out up to `most` pages of the last range; 0: the set is empty. */
uint64_t page_ranges_take(struct page_ranges *set, uint64_t most,
                          uint64_t *first);
/* Loaded from a file: sorted, apart, and as many pages as it says. */
int32_t page_ranges_valid(const struct page_ranges *set);

#endif
