/* SPDX-License-Identifier: MIT */
/*
 * paging.h - the page tables: map, unmap, protect, query, over ranges.
 *
 * These calls act on the kernel's space. All ranges are (va, pages), va
 * page-aligned. BAD_ARG: unaligned, pages == 0, or wraps around. DENIED: it
 * touches the mirror of the tables, or the last page of the address space. A
 * call that fails has changed nothing. NO_MEMORY: no frame for a table; the
 * caller may verso_reclaim() and try again.
 *
 * Context: not in interrupts. Lock: space.
 */
#ifndef VERSO_PAGING_H
#define VERSO_PAGING_H

#include <verso/types.h>

struct space;

/* The kernel's space: what every root has. Users' are made by
 * verso_space_create() (space.h). */
struct space *verso_space_kernel(void);

/*
 * Loads the root of a space on this CPU: the kernel's own (which has nothing
 * at users' addresses), or a user space's. Nothing if it is loaded. In any
 * context, and takes no lock, for a scheduler calls it.
 */
void verso_space_switch(struct space *space);

/* The one loaded on this CPU. */
struct space *verso_space_now(void);

/*
 * Maps consecutive frames from `first`: with large pages where va, frame,
 * size and the CPU allow. EXISTS: an entry there is live. DENIED: W^X, or a
 * frame has another cache type.
 */
VERSO_MUST_CHECK int verso_map(
    vaddr_t va, pfn_t first, size_t pages, unsigned flags);

/* Maps the given frames, one a page. Errors as verso_map(). */
VERSO_MUST_CHECK int verso_map_frames(
    vaddr_t va, const pfn_t *frames, size_t pages, unsigned flags);

/*
 * The cache type of frames outside the array: devices, most of them. They are
 * write-back until this says otherwise, and again after it said write-back; map
 * then refuses them with another type. Given by whoever owns them, and while
 * nothing maps them: that is not looked for here, but verso_check() finds it.
 * BAD_ARG: pages == 0, a frame of the array, a type that does not exist.
 * EXISTS: some of them have another type already, and not write-back.
 * NO_MEMORY: more than VERSO_CACHE_RANGES ranges, where those of one type that
 * meet are one.
 */
VERSO_MUST_CHECK int verso_cache_set_range(
    pfn_t first, size_t pages, unsigned cache);

/* Unmaps what is mapped in the range (holes are fine) and flushes. The frames
 * are the caller's. NO_MEMORY: only if a large page must be split for it. */
VERSO_MUST_CHECK int verso_unmap(vaddr_t va, size_t pages);

/* Gives every page of the range these rights; the cache type stays. ABSENT: a
 * page of it is not mapped. Losing a right flushes, gaining one does not. */
VERSO_MUST_CHECK int verso_protect(vaddr_t va, size_t pages, unsigned rights);

/* State of a mapping. */
#define VERSO_MAPPED_PRESENT  0x01u /* else a live entry without rights */
#define VERSO_MAPPED_ACCESSED 0x20u
#define VERSO_MAPPED_DIRTY    0x40u
#define VERSO_MAPPED_EXEC_ENFORCED                                             \
    0x100u /* else all that is read may be run                                 \
            */

struct verso_mapping {
    paddr_t pa;        /* of the very byte asked for */
    unsigned flags;    /* rights as declared, and cache type */
    unsigned state;    /* VERSO_MAPPED_* */
    size_t page_pages; /* size of the page it is in, in pages */
};

/* What is at va. ABSENT: nothing. DENIED: the address is users'. The mirror may
 * be asked about. */
VERSO_MUST_CHECK int verso_query(vaddr_t va, struct verso_mapping *mapping);

/*
 * The same of any space, loaded or not. A user space has users' addresses and
 * no others, the kernel's has all but those: else DENIED. What is mapped in a
 * user space is never global, with VERSO_USER or without.
 */
VERSO_MUST_CHECK int verso_space_map(
    struct space *space, vaddr_t va, pfn_t first, size_t pages, unsigned flags);
VERSO_MUST_CHECK int verso_space_map_frames(struct space *space, vaddr_t va,
    const pfn_t *frames, size_t pages, unsigned flags);
VERSO_MUST_CHECK int verso_space_unmap(
    struct space *space, vaddr_t va, size_t pages);
VERSO_MUST_CHECK int verso_space_protect(
    struct space *space, vaddr_t va, size_t pages, unsigned rights);
VERSO_MUST_CHECK int verso_space_query(
    struct space *space, vaddr_t va, struct verso_mapping *mapping);
VERSO_MUST_CHECK int verso_space_harvest(
    struct space *space, vaddr_t va, size_t pages, unsigned char *bits);

/* Reads and clears accessed and dirty of the range, atomically per entry, and
 * flushes, so that a later use sets them again. bits[i]: 1 accessed, 2 dirty.
 * A large page reports on each of its pages, and is cleared as a whole. */
VERSO_MUST_CHECK int verso_harvest(
    vaddr_t va, size_t pages, unsigned char *bits);

struct verso_paging_stats {
    size_t tables;        /* frames in use as tables, the root included */
    size_t spare;         /* of them zeroed, to be used next */
    size_t invalidations; /* single pages, since start */
    size_t flushes;       /* whole TLB, since start */
};
void verso_paging_stats(struct verso_paging_stats *stats);

#endif
