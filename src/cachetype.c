/* SPDX-License-Identifier: MIT */
/*
 * cachetype - the cache types of frames that are not in the array, devices most
 * of them.
 *
 *     array      | outside
 *     frame.cache| wb ... [first  uc  last] wb [first  wc  last] wb ...
 *
 * A frame of the array has its cache type there (pitfall 24); of frames outside
 * it, those that are not write-back stand in a short list of ranges, ascending,
 * of which two of one type do not meet. A call makes the list anew beside the
 * old one, which stays if there is no room. The type is given while nothing
 * maps the frame, which its owner must know: finding out would take a walk
 * through all tables. Invariant 7 finds one that did not.
 *
 * Invariant (verso_i_paging_check):
 *   7. a frame is mapped with the cache type it has, but in the direct map,
 *      which is made before anybody chooses one, or by the host.
 *
 * Locks: the list's own, inside of the spaces'. Cost: the length of the list,
 * at most VERSO_CACHE_RANGES.
 */
#include "tables.h"

/* Has one of them another type? All of them are outside. */
NO_INLINE bool verso_i_cachetype_differs(
    pfn_t first, size_t pages, unsigned cache)
{
    uint64_t at = pfn_nr(first);
    const uint64_t end = at + pages;
    bool differs = false;
    lock_take(&paging.cache_lock);
    for (unsigned i = 0; i < paging.cache.count; i++) {
        const struct cache_range *range = &paging.cache.at[i];
        if (range->last < at)
            continue;
        if (range->first >= end)
            break;
        differs |= range->first > at && cache != 0;
        differs |= range->cache != cache;
        at = (uint64_t)range->last + 1;
    }
    lock_drop(&paging.cache_lock);
    return differs || (at < end && cache != 0);
}

/* Behind the others; joined with the last, if they meet. False: full. */
static bool ranges_add(
    struct cache_ranges *ranges, uint64_t start, uint64_t end, unsigned cache)
{
    struct cache_range *last = &ranges->at[ranges->count];
    const struct cache_range next = {
        (uint32_t)start, (uint32_t)(end - 1), cache};
    if (start >= end)
        return true;
    if (ranges->count > 0 && last[-1].cache == cache &&
        (uint64_t)last[-1].last + 1 >= start) {
        last[-1].last = last[-1].last > next.last ? last[-1].last : next.last;
        return true;
    }
    if (ranges->count == VERSO_CACHE_RANGES)
        return false;
    *last = next;
    ranges->count++;
    return true;
}

/* The list with [start, end) in it, or without it if that is write-back: what
 * is left of it, it, what is right of it. */
static int ranges_with(const struct cache_ranges *old, uint64_t start,
    uint64_t end, unsigned cache, struct cache_ranges *new)
{
    bool room = true;
    new->count = 0;
    for (unsigned i = 0; i < old->count; i++) {
        const struct cache_range *range = &old->at[i];
        if (cache != 0 && range->cache != cache && range->first < end &&
            range->last >= start)
            return VERSO_EXISTS;
        const uint64_t stop = (uint64_t)range->last + 1;
        room &= ranges_add(
            new, range->first, stop < start ? stop : start, range->cache);
    }
    if (cache != 0)
        room &= ranges_add(new, start, end, cache);
    for (unsigned i = 0; i < old->count; i++) {
        const struct cache_range *range = &old->at[i];
        room &= ranges_add(new, range->first > end ? range->first : end,
            (uint64_t)range->last + 1, range->cache);
    }
    return room ? 0 : VERSO_NO_MEMORY;
}

int verso_cache_set_range(pfn_t first, size_t pages, unsigned cache)
{
    const uint64_t start = pfn_nr(first), end = start + pages;
    struct cache_ranges new;
    if (pages == 0 || start < paging.frame_count || end < start ||
        end > (uint64_t)PFN_LAST + 1 || (cache & ~VERSO_CACHE_MASK) != 0 ||
        !cache_is_valid(cache))
        return VERSO_BAD_ARG;
    lock_take(&paging.cache_lock);
    int err = ranges_with(&paging.cache, start, end, cache_of(cache), &new);
    if (err == 0)
        paging.cache = new;
    lock_drop(&paging.cache_lock);
    return err;
}
