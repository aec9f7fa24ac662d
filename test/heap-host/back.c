/* SPDX-License-Identifier: MIT */
/*
 * back.c - verso_back_*() over mmap and mprotect: what the host of
 * libverso-heap.a writes, and here strict about what it is asked.
 *
 *     released --commit--> committed --release--> released, flush n pending
 *     PROT_NONE            by rights              PROT_NONE
 *
 * A page that is released faults from then on, so a use after release is seen.
 * Other CPUs are thought to keep their translations until the flush is done:
 * to commit such a page before is pitfall 51, and ends the run. What is
 * committed and not asked to be clear is full of junk.
 *
 * The suites ask for frames and translations too (frame.h, paging.h): the
 * pages here are what there is of both, so those questions are answered from
 * the same records at the end of this file.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <verso/back.h>
#include <verso/frame.h>
#include <verso/paging.h>

#include "back.h"

#define JUNK 0xa5

static struct {
    vaddr_t start;
    size_t pages;
    struct page {
        bool committed;
        unsigned flags;
        uint32_t flush; /* of its last release */
    } * page;
    size_t frames, used, closed;
    bool defer;
    uint32_t issued, completed;
} back;

void back_bail_out(const char *format, ...)
{
    va_list args;
    printf("Bail out! back: ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
    abort();
}

void *back_init(size_t pages, size_t frames)
{
    size_t bytes = pages << VERSO_PAGE_SHIFT;
    void *at = mmap(NULL, bytes, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    back.page = calloc(pages, sizeof(struct page));
    if (at == MAP_FAILED || back.page == NULL)
        return NULL;
    back.start = (vaddr_t)at;
    back.pages = pages;
    back.frames = frames;
    return at;
}

static struct page *page_find(vaddr_t va)
{
    size_t page = (va - back.start) >> VERSO_PAGE_SHIFT;
    return va >= back.start && page < back.pages ? &back.page[page] : NULL;
}

/* The first of `pages` pages, all of which are ours. */
static struct page *page_get(vaddr_t va, size_t pages, const char *what)
{
    struct page *page = page_find(va);
    size_t first = page != NULL ? (size_t)(page - back.page) : 0;
    if (page == NULL || pages == 0 || pages > back.pages - first ||
        va % VERSO_PAGE_SIZE != 0)
        back_bail_out("%s of %zu pages at %p", what, pages, (void *)va);
    return page;
}

bool back_has(vaddr_t va)
{
    return page_find(va) != NULL;
}

bool back_is_committed(vaddr_t va)
{
    const struct page *page = page_find(va);
    return page != NULL && page->committed;
}

static bool is_done(uint32_t flush)
{
    return flush == 0 || (int32_t)(back.completed - flush) >= 0;
}

void back_complete(size_t flushes)
{
    while (flushes-- > 0 && back.completed != back.issued)
        back.completed++;
}

size_t back_outstanding(void)
{
    return back.issued - back.completed;
}

void back_defer(bool defer)
{
    back.defer = defer;
    if (!defer)
        back.completed = back.issued;
}

static int protection_of(unsigned flags)
{
    int protection = (flags & VERSO_READ) ? PROT_READ : PROT_NONE;
    if (flags & VERSO_WRITE)
        protection |= PROT_READ | PROT_WRITE;
    return protection;
}

static void set_protection(vaddr_t va, size_t pages, int protection)
{
    if (mprotect((void *)va, pages << VERSO_PAGE_SHIFT, protection) != 0)
        back_bail_out("mprotect of %zu pages at %p", pages, (void *)va);
}

static bool is_denied(unsigned flags)
{
    return (flags & VERSO_WRITE) && (flags & VERSO_EXEC) && !(flags & VERSO_WX);
}

int verso_back_commit(
    struct space *space, vaddr_t va, size_t pages, unsigned flags)
{
    struct page *page = page_get(va, pages, "commit");
    bool zero = (flags & VERSO_BACK_ZERO) != 0;
    if (space != NULL)
        back_bail_out("commit in a space");
    if (is_denied(flags))
        return VERSO_DENIED;
    if (pages > back.frames - back.used - back.closed)
        return VERSO_NO_MEMORY;
    for (size_t i = 0; i < pages; i++) {
        if (page[i].committed)
            back_bail_out("%p is committed twice", (void *)va);
        if (!is_done(page[i].flush))
            back_bail_out("%p, page %zu, is used again before flush %u is done",
                (void *)va, i, page[i].flush);
    }
    set_protection(va, pages, PROT_READ | PROT_WRITE);
    memset((void *)va, zero ? 0 : JUNK, pages << VERSO_PAGE_SHIFT);
    set_protection(va, pages, protection_of(flags));
    for (size_t i = 0; i < pages; i++) {
        page[i].committed = true;
        page[i].flags = flags & (VERSO_RIGHTS_MASK | VERSO_CACHE_MASK);
    }
    back.used += pages;
    return 0;
}

uint32_t verso_back_release(struct space *space, vaddr_t va, size_t pages)
{
    struct page *page = page_get(va, pages, "release");
    size_t bytes = pages << VERSO_PAGE_SHIFT;
    if (space != NULL)
        back_bail_out("release in a space");
    uint32_t flush = ++back.issued;
    for (size_t i = 0; i < pages; i++) {
        if (page[i].committed) {
            page[i].flush = flush;
            back.used--;
        }
        page[i].committed = false;
    }
    set_protection(va, pages, PROT_NONE);
    if (madvise((void *)va, bytes, MADV_DONTNEED) != 0)
        back_bail_out("madvise of %zu pages at %p", pages, (void *)va);
    if (!back.defer)
        back.completed = back.issued;
    return flush;
}

bool verso_back_done(uint32_t flush)
{
    return is_done(flush);
}

int verso_back_protect(
    struct space *space, vaddr_t va, size_t pages, unsigned rights)
{
    struct page *page = page_get(va, pages, "protect");
    if (space != NULL)
        back_bail_out("protect in a space");
    if (is_denied(rights))
        return VERSO_DENIED;
    for (size_t i = 0; i < pages; i++) {
        if (!page[i].committed)
            continue;
        page[i].flags = (page[i].flags & ~VERSO_RIGHTS_MASK) | rights;
        set_protection(va + (i << VERSO_PAGE_SHIFT), 1, protection_of(rights));
    }
    return 0;
}

bool verso_back_drain(void)
{
    bool progress = back.completed != back.issued;
    back.completed = back.issued;
    return progress;
}

/* ---- what the suites ask of frames and tables ---- */

void verso_frame_stats(struct verso_frame_stats *stats)
{
    *stats = (struct verso_frame_stats){.managed = back.frames};
    stats->used = back.used + back.closed;
    stats->free = back.frames - stats->used;
}

size_t verso_frame_used(void)
{
    return back.used + back.closed;
}

/* Only counted: taken so that others cannot have them. */
int verso_frame_alloc_bulk(
    struct verso_chain *chain, size_t pages, unsigned zone)
{
    (void)zone;
    if (pages > back.frames - back.used - back.closed)
        return VERSO_NO_MEMORY;
    back.closed += pages;
    *chain = (struct verso_chain){pfn_make(1), pages};
    return 0;
}

void verso_frame_free_bulk(struct verso_chain *chain)
{
    back.closed -= chain->pages;
    chain->pages = 0;
}

void verso_paging_stats(struct verso_paging_stats *stats)
{
    *stats = (struct verso_paging_stats){.tables = 0};
}

int verso_query(vaddr_t va, struct verso_mapping *mapping)
{
    const struct page *page = page_find(va);
    if (page == NULL || !page->committed)
        return VERSO_ABSENT;
    uint32_t pfn = (uint32_t)(page - back.page) + 1;
    *mapping = (struct verso_mapping){.pa = pfn_to_paddr(pfn_make(pfn)),
        .flags = page->flags,
        .page_pages = 1};
    return 0;
}
