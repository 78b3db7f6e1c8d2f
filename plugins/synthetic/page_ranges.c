/* SPDX-License-Identifier: Apache-2.0 */
#include "page_ranges.h"

#include <errno.h>
#include <string.h>

#define LAST_PAGE (UINT64_MAX >> 12)

static const struct bp_field range_fields[] = {
    BP_FIELD(struct page_range, first, "first"),
    BP_FIELD(struct page_range, pages, "pages"),
    BP_FIELD_END,
};

const struct bp_field page_ranges_fields[] = {
    BP_FIELD(struct page_ranges, count, "count"),
    BP_FIELD(struct page_ranges, pages, "pages"),
    BP_FIELD_TRIMMED_TABLE(struct page_ranges, range, "range", PAGE_RANGES,
                           range_fields),
    BP_FIELD_END,
};

static uint64_t end_of(const struct page_range *r)
{
    return r->first + r->pages;
}

/* The first range that begins behind `page`. */
static uint32_t behind(const struct page_ranges *set, uint64_t page)
{
    uint32_t low = 0, high = set->count;

    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (set->range[mid].first <= page)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void remove_at(struct page_ranges *set, uint32_t i)
{
    set->count--;
    memmove(&set->range[i], &set->range[i + 1],
            (set->count - i) * sizeof(set->range[0]));
    memset(&set->range[set->count], 0, sizeof(set->range[0]));
}

static int32_t insert_at(struct page_ranges *set, uint32_t i,
                         struct page_range r)
{
    if (set->count == PAGE_RANGES)
        return -ENOSPC;
    memmove(&set->range[i + 1], &set->range[i],
            (set->count - i) * sizeof(set->range[0]));
    set->range[i] = r;
    set->count++;
    return 0;
}

int32_t page_ranges_add(struct page_ranges *set, uint64_t first, uint64_t pages)
{
    uint32_t i = behind(set, first);
    struct page_range *before = i ? &set->range[i - 1] : NULL;
    struct page_range *after = i < set->count ? &set->range[i] : NULL;

    if (!pages || first > LAST_PAGE || pages > LAST_PAGE - first)
        return -EINVAL;
    if ((before && end_of(before) > first) ||
        (after && after->first < first + pages))
        return -EEXIST;
    if (before && end_of(before) == first) {
        before->pages += pages;
        if (after && after->first == end_of(before)) {
            before->pages += after->pages;
            remove_at(set, i);
        }
    } else if (after && after->first == first + pages) {
        after->first = first;
        after->pages += pages;
    } else {
        int32_t error = insert_at(set, i, (struct page_range){ first, pages });
        if (error)
            return error;
    }
    set->pages += pages;
    return 0;
}

uint64_t page_ranges_take(struct page_ranges *set, uint64_t most,
                          uint64_t *first)
{
    struct page_range *r;
    uint64_t n;

    if (!set->count || !most)
        return 0;
    r = &set->range[set->count - 1];
    n = r->pages < most ? r->pages : most;
    r->pages -= n;
    set->pages -= n;
    *first = end_of(r);
    if (!r->pages)
        remove_at(set, set->count - 1);
    return n;
}

int32_t page_ranges_valid(const struct page_ranges *set)
{
    uint64_t end = 0, pages = 0;

    if (set->count > PAGE_RANGES)
        return 0;
    for (uint32_t i = 0; i < set->count; i++) {
        const struct page_range *r = &set->range[i];
        if ((i && r->first <= end) || !r->pages || r->first > LAST_PAGE ||
            r->pages > LAST_PAGE - r->first)
            return 0;
        end = end_of(r);
        pages += r->pages;
    }
    return pages == set->pages;
}
