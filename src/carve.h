/* SPDX-License-Identifier: MIT */
/*
 * carve - one run of memory cut into pieces of one size; node and slab share
 * it.
 *
 *     base   stride
 *      |<------>|
 *      +--------+--------+--------+--------+-------------------+
 *      | used   | free --|------->| free->0| never touched     |
 *      +--------+--------+--------+--------+-------------------+
 *               ^ free                     ^ carved = 4; left = count - 1
 *
 * Free pieces are linked through themselves; pieces that were never handed out
 * are not linked and not touched: only counted. So making a slab costs
 * nothing a piece, and its memory is touched when it is used.
 *
 * The link is written and read by link_set and link_get alone: the one place
 * to encode it, and the one that a sanitizer must let pass.
 */
#ifndef VERSO_SRC_CARVE_H
#define VERSO_SRC_CARVE_H

#include "util.h"

struct carve {
    void *free;      /* NULL: none that was handed out before */
    uint32_t left;   /* pieces that can be handed out */
    uint32_t carved; /* pieces handed out at least once */
};

/* The geometry: constant for all runs of a kind. */
struct carve_shape {
    uint32_t stride; /* bytes */
    uint32_t link;   /* offset of the link in a free piece */
    uint32_t count;  /* pieces of a run */
};

NO_SANITIZE static inline void link_set(void *piece, uint32_t at, void *next)
{
    *(void **)((vaddr_t)piece + at) = next;
}

NO_SANITIZE static inline void *link_get(const void *piece, uint32_t at)
{
    return *(void *const *)((vaddr_t)piece + at);
}

/* The next piece that was never handed out; there is one. */
static inline void *carve_fresh(
    struct carve *run, const struct carve_shape *shape, vaddr_t base)
{
    return (void *)(base + (uintptr_t)run->carved++ * shape->stride);
}

/* A piece that was given back, and a place less; NULL: none was. */
ALWAYS_INLINE void *carve_take(struct carve *run, uint32_t link)
{
    void *piece = run->free;
    if (likely(piece != NULL))
        run->free = link_get(piece, link);
    return piece;
}

/* Puts it back; the user counts `left` up and down. */
ALWAYS_INLINE void carve_give(struct carve *run, uint32_t link, void *piece)
{
    link_set(piece, link, run->free);
    run->free = piece;
}

static inline uint32_t carve_used(
    const struct carve *run, const struct carve_shape *shape)
{
    return shape->count - run->left;
}

/* Is a piece in the free list? For checks: linear. A list that leads out of
 * the run, or is longer than it can be, is damaged, and ends the search. */
static inline bool carve_is_free(const struct carve *run,
    const struct carve_shape *shape, vaddr_t base, const void *piece)
{
    const void *at = run->free;
    for (uint32_t n = 0; n < shape->count; n++) {
        if (at == piece)
            return true;
        uintptr_t offset = (vaddr_t)at - base;
        if (offset >= (uintptr_t)run->carved * shape->stride ||
            offset % shape->stride != 0)
            return false;
        at = link_get(at, shape->link);
    }
    return false;
}

/* Do the counts and the list agree, and does the list stay within the run? */
static inline bool carve_is_valid(
    const struct carve *run, const struct carve_shape *shape, vaddr_t base)
{
    uint32_t free = 0;
    for (const void *at = run->free; at != NULL; free++) {
        uintptr_t offset = (vaddr_t)at - base;
        if (free > run->carved ||
            offset >= (uintptr_t)run->carved * shape->stride ||
            offset % shape->stride != 0)
            return false;
        at = link_get(at, shape->link);
    }
    return run->carved <= shape->count &&
           run->left == shape->count - run->carved + free;
}

#endif
