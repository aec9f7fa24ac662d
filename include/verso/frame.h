/* SPDX-License-Identifier: MIT */
/*
 * frame.h - physical memory: who has which frame.
 *
 * Frames come singly (a stock in front, constant time), in aligned blocks of
 * 2^order frames, orders 0..10 (buddies), or in bulk as a chain. A zone is an
 * upper limit of physical addresses: zone 0 ends at zone_limit[0], and so on;
 * asking for zone Z means "below zone_limit[Z]", taken from the highest zone
 * that has some, so that low memory is kept for those who need it.
 *
 * Context: any, interrupts too. Lock: frame (see verso.h).
 */
#ifndef VERSO_FRAME_H
#define VERSO_FRAME_H

#include <verso/types.h>

struct verso_boot;

#define VERSO_FRAME_ORDERS 11
#define VERSO_ZONE_ANY     (VERSO_ZONES - 1u)

enum frame_state {
    FRAME_RESERVED = 0, /* not memory, or never to be handed out */
    FRAME_FREE,         /* first frame of a free block */
    FRAME_FREE_TAIL,    /* another frame of a free block */
    FRAME_STOCK,        /* free, in the order-0 stock */
    FRAME_USED,         /* handed out; count owners */
    FRAME_TABLE,        /* handed out to paging, holds a table */
    FRAME_HOST_TABLE,   /* never to be handed out, holds a table that paging
                           has adopted */
};

/*
 * One for each frame of RAM between the lowest and the highest. Twelve to
 * sixteen bytes everywhere: links are frame numbers, good for 16 TiB.
 * Keys: (f) lock frame; (p) lock of the space; (o) the owner alone.
 */
struct frame {
    uint32_t link;  /* (f) free: next in its list or chain; (o) used: yours;
                       back's: the number of the page it stands behind */
    uint32_t prev;  /* (f) free block: previous in its list */
    uint16_t live;  /* (p) table: entries with raw != 0 */
    uint16_t count; /* (f) owners; 0 when free */
    uint8_t state;  /* (f) enum frame_state */
    uint8_t cache;  /* (o) VERSO_CACHE_* >> VERSO_CACHE_SHIFT */
    uint8_t order;  /* (f) free block: its order */
    uint8_t zone;   /* constant after init */
};

/* Frames linked through frame.link: ascending order is not promised. */
struct verso_chain {
    pfn_t first;
    size_t pages;
};

/*
 * Sanitises the boot map and finds room for the frame array: the lowest gap of
 * RAM at or above `from` that is nowhere reserved. Fills boot->frames (at
 * boot->direct_offset + its physical address), frames_pa and frame_count, so
 * that verso_init() need not be told. To be called before verso_init(), by
 * kernels that do not place the array themselves. NO_MEMORY: no gap is large
 * enough. Bytes needed: 16 a frame from address 0 to the highest RAM (1/256 of
 * it).
 */
VERSO_MUST_CHECK int verso_frame_place(struct verso_boot *boot, uint64_t from);

/* One frame below zone_limit[zone]; PFN_NONE if none. Contents undefined. */
VERSO_MUST_CHECK pfn_t verso_frame_alloc1(unsigned zone);

/* Drops one owner; the last one frees it. Panics on a frame that is free or
 * reserved. */
void verso_frame_free1(pfn_t pfn);

/* 2^order frames, aligned to their size; PFN_NONE if none. */
VERSO_MUST_CHECK pfn_t verso_frame_alloc(unsigned order, unsigned zone);

/* Frees such a block, or any aligned part of one. Each frame must have exactly
 * one owner. */
void verso_frame_free(pfn_t pfn, unsigned order);

/* `pages` consecutive frames, not aligned (at most 1,024): the block of the
 * next order, less its tail. */
VERSO_MUST_CHECK pfn_t verso_frame_alloc_run(size_t pages, unsigned zone);
void verso_frame_free_run(pfn_t pfn, size_t pages);

/* All `pages` frames or none (NO_MEMORY). */
VERSO_MUST_CHECK int verso_frame_alloc_bulk(
    struct verso_chain *chain, size_t pages, unsigned zone);
/* Frees a chain whose frames each lose one owner. Empties *chain. */
void verso_frame_free_bulk(struct verso_chain *chain);

/* One more owner (at most 65,535). */
void verso_frame_share(pfn_t pfn);
unsigned verso_frame_owners(pfn_t pfn);

/*
 * The cache type of a frame, VERSO_CACHE_*: given by its owner while nothing
 * maps it; mapping it with another type is refused. Back to write-back when
 * freed. Of frames outside the array: verso_cache_set_range().
 */
void verso_frame_set_cache(pfn_t pfn, unsigned cache);

/* The descriptor of a frame, NULL if it is not in the array. */
struct frame *verso_frame_find(pfn_t pfn);

struct verso_frame_stats {
    size_t managed;                    /* frames that init found usable */
    size_t free;                       /* free blocks and stock */
    size_t stock;                      /* of them in the stock */
    size_t used;                       /* handed out: managed - free */
    size_t blocks[VERSO_FRAME_ORDERS]; /* free blocks of each order */
};
void verso_frame_stats(struct verso_frame_stats *stats);

/* Frames handed out now, tables included (stats.used). Constant time, no lock:
 * for a caller that wants the peak and asks after every operation. */
size_t verso_frame_used(void);

#endif
