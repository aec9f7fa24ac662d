/* SPDX-License-Identifier: MIT */
/* pagemap.h - from an address to what is there. Theory: pagemap.c. */
#ifndef VERSO_SRC_PAGEMAP_H
#define VERSO_SRC_PAGEMAP_H

#include "node.h"

/*
 * A word of the map, from its top: kind (3 bits), class (7), node (22). 0:
 * nothing is known of the page. Slabs are the kinds with the top bit set.
 */
#define PAGEMAP_KIND_SHIFT  29u
#define PAGEMAP_CLASS_SHIFT NODE_INDEX_BITS
#define PAGEMAP_CLASS_NONE  127u
enum pagemap_kind {
    KIND_NONE = 0,
    KIND_FREE = 1,  /* first page of a free range: a mem_area */
    KIND_AREA = 2,  /* first page of an area in use */
    KIND_LIMBO = 3, /* first page of one that waits for its flush */
    KIND_SLAB = 4,  /* each page of a slab of some cache: a slab_entry */
    KIND_CLASS = 7, /* each page of a slab of one of alloc's classes */
};

#define PAGEMAP_REGIONS BITSET_MAX /* at the most: 64 TiB of addresses */

/* Where addresses have 32 bits one region has a root for every one of them, and
 * the range check is to find an empty leaf there. */
#define PAGEMAP_COVERS_ALL (sizeof(vaddr_t) == 4)

/* Bits of bits: which words of a leaf's 32 are not 0, which leaves have one,
 * which words of those. */
struct pagemap_sums {
    uint32_t words[PAGEMAP_REGION_LEAVES];
    uint32_t filled[PAGEMAP_REGION_LEAVES / 32];
    uint32_t top;
    uint32_t leaves; /* that are there */
};
_Static_assert(
    sizeof(struct pagemap_sums) <= PAGEMAP_SUMS << VERSO_PAGE_SHIFT, "room");

/* The area lock guards all that changes. */
struct pagemap {
    vaddr_t start;
    size_t pages;
    size_t near;         /* pages of the regions before the first absent one */
    const vaddr_t *root; /* window: an entry a leaf, see root_entry() */
    vaddr_t sums_start;  /* window: of struct pagemap_sums */
    vaddr_t bits_start;  /* window: start bits, 128 bytes a leaf */
    vaddr_t leaf_start;  /* window: leaf i is page i of it */
    size_t regions;
    size_t committed;      /* pages of all windows */
    struct bitset present; /* regions that have pages */
    struct bitset started; /* and those that have starts */
};
/* The kernel's. */
extern struct pagemap verso_i_pagemap;

int verso_i_pagemap_init(const struct verso_boot *boot);
const char *verso_i_pagemap_check(void);
void verso_i_pagemap_report(void);
bool verso_i_pagemap_drain(void);
bool verso_i_pagemap_shrink(struct pagemap *map); /* the same of any map */

static inline uint32_t pagemap_word(
    enum pagemap_kind kind, unsigned class, uint32_t node)
{
    return (uint32_t)kind << PAGEMAP_KIND_SHIFT |
           (uint32_t) class << PAGEMAP_CLASS_SHIFT | node;
}

static inline enum pagemap_kind pagemap_kind(uint32_t word)
{
    return (enum pagemap_kind)(word >> PAGEMAP_KIND_SHIFT);
}

/* KIND_SLAB or KIND_CLASS. */
ALWAYS_INLINE bool pagemap_is_slab(uint32_t word)
{
    return (int32_t)word < 0;
}

/* KIND_CLASS, the largest kind. */
ALWAYS_INLINE bool pagemap_is_class(uint32_t word)
{
    return word >= (uint32_t)KIND_CLASS << PAGEMAP_KIND_SHIFT;
}

static inline unsigned pagemap_class(uint32_t word)
{
    return word >> PAGEMAP_CLASS_SHIFT &
           ((1u << (PAGEMAP_KIND_SHIFT - PAGEMAP_CLASS_SHIFT)) - 1);
}

static inline uint32_t pagemap_node(uint32_t word)
{
    return word & ((1u << NODE_INDEX_BITS) - 1);
}

/* Number of a page of the map. */
ALWAYS_INLINE size_t pagemap_page(const struct pagemap *map, vaddr_t va)
{
    return (PAGEMAP_COVERS_ALL ? va : va - map->start) >> VERSO_PAGE_SHIFT;
}

/* The word of a page for whose region there is a root. An entry leads to where
 * the leaf of page 0 would be if this one is there: one and the same for all
 * of them; else to where it would be if the zeros were this one. */
ALWAYS_INLINE uint32_t pagemap_word_at(const struct pagemap *map, size_t page)
{
    vaddr_t first = map->root[page / PAGEMAP_LEAF_PAGES];
    return *(const uint32_t *)(first + page * sizeof(uint32_t));
}

uint32_t verso_i_pagemap_get_far(const struct pagemap *map, size_t page);

/* The word of an address in a region that is near, else 0. */
ALWAYS_INLINE uint32_t pagemap_get_near(const struct pagemap *map, vaddr_t va)
{
    size_t page = pagemap_page(map, va);
    if (!PAGEMAP_COVERS_ALL && unlikely(page >= map->near))
        return 0;
    return pagemap_word_at(map, page);
}

/* The word of an address: two dependent loads. 0 for one outside the map. */
ALWAYS_INLINE uint32_t pagemap_get(const struct pagemap *map, vaddr_t va)
{
    size_t page = pagemap_page(map, va);
    if (!PAGEMAP_COVERS_ALL && unlikely(page >= map->near))
        return verso_i_pagemap_get_far(map, page);
    return pagemap_word_at(map, page);
}

/* Can word and start bit of the page at va be set? */
ALWAYS_INLINE bool pagemap_is_ready(const struct pagemap *map, vaddr_t va)
{
    size_t page = pagemap_page(map, va);
    return (PAGEMAP_COVERS_ALL || likely(page < map->near)) &&
           map->root[page / PAGEMAP_LEAF_PAGES] == map->leaf_start;
}

/* Makes sure that words and start bits of [va, va + pages) can be set, as far
 * as is_ready() does not say so already. */
VERSO_MUST_CHECK int verso_i_pagemap_prepare(
    struct pagemap *map, vaddr_t va, size_t pages);

/* Sets the word of a prepared page. */
ALWAYS_INLINE void pagemap_set(struct pagemap *map, vaddr_t va, uint32_t word)
{
    ((uint32_t *)map->leaf_start)[pagemap_page(map, va)] = word;
}

/* The start bits: where ranges begin. */
ALWAYS_INLINE uint32_t *pagemap_bits(const struct pagemap *map, size_t page)
{
    return (uint32_t *)map->bits_start + page / 32;
}

ALWAYS_INLINE uint32_t *pagemap_sum(const struct pagemap *map, size_t leaf)
{
    vaddr_t sums =
        map->sums_start + bytes_of(leaf / PAGEMAP_REGION_LEAVES * PAGEMAP_SUMS);
    return &((struct pagemap_sums *)sums)->words[leaf % PAGEMAP_REGION_LEAVES];
}

/* The page's word of bits has got its first start, or lost its last. */
void verso_i_pagemap_filled(struct pagemap *map, size_t page);
void verso_i_pagemap_emptied(struct pagemap *map, size_t page);

ALWAYS_INLINE void pagemap_start_add(struct pagemap *map, vaddr_t va)
{
    size_t page = pagemap_page(map, va);
    uint32_t *bits = pagemap_bits(map, page);
    uint32_t before = *bits;
    *bits = before | (uint32_t)1 << page % 32;
    if (before == 0) /* else the summaries say so already */
        verso_i_pagemap_filled(map, page);
}

ALWAYS_INLINE void pagemap_start_remove(struct pagemap *map, vaddr_t va)
{
    size_t page = pagemap_page(map, va);
    uint32_t *bits = pagemap_bits(map, page);
    uint32_t left = *bits & ~((uint32_t)1 << page % 32);
    *bits = left;
    if (left == 0)
        verso_i_pagemap_emptied(map, page);
}

/* The start of the range that va lies in: the last start bit at or before it.
 * There is one: the whole map is ranges. va lies within the map. */
vaddr_t verso_i_pagemap_find_start(const struct pagemap *map, vaddr_t va);

#endif
