/* SPDX-License-Identifier: MIT */
/*
 * pages.c - pages for the kernel's own tables (the replay's), outside the
 * heap, so that the heap's figures are the heap's alone.
 *
 *     machine_own_window()                        OWN_WINDOW_PAGES
 *     | used | free | used ... first fit, a bit a page                 |
 *
 * Frames come one by one, in batches so that a flush serves many.
 * Cost: linear in the pages; the search, in the pages below.
 */
#include <verso/verso.h>

#include "machine.h"

#define BATCH 64u

static uint32_t used[OWN_WINDOW_PAGES / 32];

static bool is_used(size_t page)
{
    return (used[page / 32] >> (page % 32) & 1) != 0;
}

static void mark(size_t page, size_t pages, bool value)
{
    for (size_t i = page; i < page + pages; i++) {
        uint32_t bit = (uint32_t)1 << (i % 32);
        used[i / 32] = value ? used[i / 32] | bit : used[i / 32] & ~bit;
    }
}

/* The first free run; OWN_WINDOW_PAGES if there is none. */
static size_t find_run(size_t pages)
{
    size_t run = 0;
    for (size_t i = 0; i < OWN_WINDOW_PAGES; i++) {
        run = is_used(i) ? 0 : run + 1;
        if (run == pages)
            return i + 1 - pages;
    }
    return OWN_WINDOW_PAGES;
}

static vaddr_t page_address(size_t page)
{
    return machine_own_window() + ((vaddr_t)page << VERSO_PAGE_SHIFT);
}

/* Frames for at most BATCH pages at `va`, mapped; or nothing. */
static bool back_batch(vaddr_t va, size_t pages)
{
    pfn_t frames[BATCH];
    size_t have = 0;
    while (have < pages) {
        frames[have] = verso_frame_alloc1(VERSO_ZONE_ANY);
        if (pfn_is_none(frames[have]))
            break;
        have++;
    }
    if (have == pages &&
        verso_map_frames(va, frames, pages, VERSO_RW) == VERSO_OK)
        return true;
    while (have > 0)
        verso_frame_free1(frames[--have]);
    return false;
}

static void release_batch(vaddr_t va, size_t pages)
{
    struct verso_mapping mapping;
    pfn_t frames[BATCH];
    for (size_t i = 0; i < pages; i++) {
        if (verso_query(va + (i << VERSO_PAGE_SHIFT), &mapping) != VERSO_OK)
            verso_panic("machine_pages_free: nothing at 0x%zx",
                va + (i << VERSO_PAGE_SHIFT));
        frames[i] = paddr_to_pfn(mapping.pa);
    }
    if (verso_unmap(va, pages) != VERSO_OK)
        verso_panic("machine_pages_free: cannot unmap 0x%zx", va);
    for (size_t i = 0; i < pages; i++)
        verso_frame_free1(frames[i]);
}

static size_t batch_of(size_t pages)
{
    return pages < BATCH ? pages : BATCH;
}

static void release(size_t page, size_t pages)
{
    for (size_t done = 0; done < pages; done += BATCH)
        release_batch(page_address(page + done), batch_of(pages - done));
}

void *machine_pages(size_t pages)
{
    size_t page = find_run(pages);
    if (pages == 0 || page == OWN_WINDOW_PAGES)
        return NULL;
    for (size_t done = 0; done < pages; done += BATCH) {
        if (!back_batch(page_address(page + done), batch_of(pages - done))) {
            release(page, done);
            return NULL;
        }
    }
    mark(page, pages, true);
    return (void *)page_address(page);
}

void machine_pages_free(void *address, size_t pages)
{
    size_t page = ((vaddr_t)address - machine_own_window()) >> VERSO_PAGE_SHIFT;
    release(page, pages);
    mark(page, pages, false);
}
