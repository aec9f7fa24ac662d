/* SPDX-License-Identifier: MIT */
/*
 * area.h - ranges of kernel addresses, in pages.
 *
 * An area is mapped at once, at the first touch (through verso_fault()), or
 * not at all. Guards are unmapped pages before and behind, not part of what is
 * returned. Addresses returned are of the first usable page, and that is what
 * free, resize and the rest take.
 *
 * Context: not in interrupts (NULL or BUSY; free panics). Locks: area, then
 * space, frame. Cost: constant for requests without constraints, plus the pages
 * mapped.
 */
#ifndef VERSO_AREA_H
#define VERSO_AREA_H

#include <verso/types.h>

/* How an area gets its memory: one of three. */
#define VERSO_AREA_MAPPED 0x000u  /* now, or the call fails */
#define VERSO_AREA_LAZY   0x1000u /* each page at its first touch */
#define VERSO_AREA_BARE   0x2000u /* never: the caller maps what it likes */
/* And OR-ed to it: */
#define VERSO_AREA_GUARD_BELOW 0x4000u
#define VERSO_AREA_GUARD_ABOVE 0x8000u
#define VERSO_AREA_GUARD       (VERSO_AREA_GUARD_BELOW | VERSO_AREA_GUARD_ABOVE)
#define VERSO_AREA_ZERO        0x10000u /* MAPPED: cleared */
#define VERSO_AREA_UNZEROED    0x20000u /* LAZY: not cleared: contents leak */
#define VERSO_AREA_CONTIG      0x40000u /* consecutive frames, <= 1,024 */
#define VERSO_AREA_LOW         0x80000u /* frames of zone 0 */
/* Rights and cache type of types.h too; no right given means VERSO_RW. */

struct verso_area_request {
    size_t pages;     /* usable pages, > 0 */
    unsigned flags;   /* VERSO_AREA_*, rights, cache type */
    size_t align;     /* of the address, in bytes: a power of two, or 0 */
    vaddr_t min, max; /* usable pages lie in [min, max); both 0: anywhere */
    vaddr_t fixed;    /* this very address (others ignored), or 0 */
    const char *name; /* for reports; kept, not copied; may be NULL */
};

/* The address, or NULL: no memory or no addresses, or (with `fixed`) in use.
 * Misuse (no pages, odd alignment, fixed outside the heap) panics. */
VERSO_MUST_CHECK void *verso_area_alloc(size_t pages, unsigned flags);
VERSO_MUST_CHECK void *verso_area_alloc_as(
    const struct verso_area_request *request);

/* Frees an area, and the frames Verso put there. Whatever a caller mapped in a
 * BARE area must be unmapped by then; the frames it mapped stay its own.
 * Panics on an address that is no area's. */
void verso_area_free(void *address);

/* Grows or shrinks in place to `pages` usable pages. NO_MEMORY: no room behind
 * it, no frames, or no descriptor for what is cut off. BAD_ARG: contiguous
 * areas keep their size. */
VERSO_MUST_CHECK int verso_area_resize(void *address, size_t pages);

/* New rights for the whole area, for pages touched later too. */
VERSO_MUST_CHECK int verso_area_protect(void *address, unsigned rights);

struct verso_area_info {
    vaddr_t start; /* first usable page */
    size_t pages;  /* usable pages */
    unsigned flags;
    const char *name; /* "" if it has none */
    bool guard;       /* the address asked about is in a guard */
};

/* The area that an address lies in, guards included. ABSENT: none. */
VERSO_MUST_CHECK int verso_area_find(
    const void *address, struct verso_area_info *info);

struct verso_area_stats {
    size_t used;       /* areas */
    size_t free;       /* free ranges */
    size_t limbo;      /* ranges waiting for a flush */
    size_t used_pages; /* addresses in use, guards included */
    size_t free_pages;
    size_t largest_free; /* pages */
    size_t nodes;        /* descriptors in use, slab entries included */
};
void verso_area_stats(struct verso_area_stats *stats);

#endif
