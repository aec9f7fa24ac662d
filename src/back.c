/* SPDX-License-Identifier: MIT */
/*
 * back - memory behind addresses, in a kernel: frames, and paging.
 *
 * commit takes all the frames first, clears them if asked, and maps them in
 * one call: either step may fail, and the other is undone without needing
 * memory. release unmaps, flushes, and frees the frames when the flush is done
 * (with one CPU that is at once).
 *
 * It has no state and no lock of its own; it never calls the heap, so the
 * chain node -> back -> paging, frame ends here.
 */
#include <verso/back.h>
#include <verso/frame.h>

#include "paging.h"
#include "util.h"

static struct space *space_or_kernel(struct space *space)
{
    return space != NULL ? space : verso_space_kernel();
}

static unsigned zone_of(unsigned flags)
{
    return (flags & VERSO_BACK_LOW) ? 0 : VERSO_ZONE_ANY;
}

static void frame_prepare(pfn_t pfn, unsigned flags)
{
    if (flags & VERSO_CACHE_MASK)
        verso_frame_set_cache(pfn, flags & VERSO_CACHE_MASK);
    if (flags & VERSO_BACK_ZERO)
        verso_i_paging_clear(pfn);
}

/* What a frame's link says while it is in use: the page it stands behind. So
 * an address leads to its frame through the tables, and back (check.c). */
ALWAYS_INLINE void frame_own(pfn_t pfn, vaddr_t va)
{
    verso_frame_find(pfn)->link = (uint32_t)(va >> VERSO_PAGE_SHIFT);
}

/* The usual case of a first touch, without a chain. */
static NO_INLINE int commit_one(struct space *space, vaddr_t va, unsigned flags)
{
    const pfn_t pfn = likely((flags & VERSO_BACK_LOW) == 0)
                          ? verso_frame_alloc1(VERSO_ZONE_ANY)
                          : verso_frame_alloc1(0);
    if (unlikely(pfn_is_none(pfn)))
        return VERSO_NO_MEMORY;
    if (flags & (VERSO_CACHE_MASK | VERSO_BACK_ZERO))
        frame_prepare(pfn, flags);
    int err = verso_i_paging_map_frame(space_or_kernel(space), va, pfn, flags);
    if (unlikely(err != 0))
        verso_frame_free1(pfn);
    return err;
}

static NO_INLINE int commit_run(
    struct space *space, vaddr_t va, size_t pages, unsigned flags)
{
    struct paging_source source = {NULL, PFN_NONE, false};
    source.first = verso_frame_alloc_run(pages, zone_of(flags));
    if (pfn_is_none(source.first))
        return VERSO_NO_MEMORY;
    for (size_t i = 0; i < pages; i++)
        frame_prepare(pfn_add(source.first, i), flags);
    int err =
        verso_i_paging_map(space_or_kernel(space), va, pages, flags, &source);
    if (err != 0)
        verso_frame_free_run(source.first, pages);
    for (size_t i = 0; err == 0 && i < pages; i++)
        frame_own(pfn_add(source.first, i), va + bytes_of(i));
    return err;
}

static NO_INLINE int commit_chain(
    struct space *space, vaddr_t va, size_t pages, unsigned flags)
{
    struct verso_chain chain;
    int err = verso_frame_alloc_bulk(&chain, pages, zone_of(flags));
    if (err != 0)
        return err;
    if (flags & (VERSO_CACHE_MASK | VERSO_BACK_ZERO)) {
        pfn_t pfn = chain.first;
        for (size_t i = 0; i < pages; i++) {
            frame_prepare(pfn, flags);
            pfn = pfn_make(verso_frame_find(pfn)->link);
        }
    }
    err = verso_i_paging_map_chain(
        space_or_kernel(space), va, pages, chain.first, flags);
    if (err != 0)
        verso_frame_free_bulk(&chain);
    return err;
}

int verso_back_commit(
    struct space *space, vaddr_t va, size_t pages, unsigned flags)
{
    if (pages == 1)
        return commit_one(space, va, flags);
    if (flags & VERSO_BACK_CONTIG)
        return commit_run(space, va, pages, flags);
    return commit_chain(space, va, pages, flags);
}

uint32_t verso_back_release(struct space *space, vaddr_t va, size_t pages)
{
    struct verso_chain frames;
    uint32_t flush =
        verso_i_paging_release(space_or_kernel(space), va, pages, &frames);
    verso_frame_free_bulk(&frames);
    return flush;
}

bool verso_back_done(uint32_t flush)
{
    return verso_i_flush_done(flush);
}

int verso_back_protect(
    struct space *space, vaddr_t va, size_t pages, unsigned rights)
{
    return verso_i_paging_protect(
        space_or_kernel(space), va, pages, rights, true);
}

/* Nothing is outstanding with one CPU. */
bool verso_back_drain(void)
{
    return false;
}
