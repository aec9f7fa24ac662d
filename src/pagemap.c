/* SPDX-License-Identifier: MIT */
/*
 * pagemap - one word a page of the heap: which kind of thing, which class,
 * which node. The heap may be terabytes of addresses, of which few are in use.
 *
 *     address --> root[page / 1024] --> leaf[page % 1024] = {kind, class, node}
 *
 * Root and leaves lie in windows of addresses, an entry and a page of them for
 * each 1,024 pages of the heap. A leaf that was never filled is a page of
 * zeros, so looking up what has a root takes two loads and never faults. The
 * root is there by regions, a page of it each: as a rule those that the heap
 * needs are the first ones, and one compare tells that an address lies below
 * the first absent region ("near") and is the check for foreign pointers too.
 * What is beyond asks a bit of its region first. Where an address has 32 bits
 * one region covers all of them, and a page of zeros does the checking.
 *
 * A range (mem_area) has a word at its first page only, so that making one of
 * any size costs the same; a slab has one at each page. For an address in the
 * middle of a range, a bit for each page says where ranges start; the last
 * start at or before it is found through summaries, in constant time:
 *
 *     bits        one a page          1 page covers 32,768 pages
 *     words[]     one a word of bits  1 word a leaf
 *     filled[]    one a leaf          top: one a word of filled
 *     started     one a region        a bitset: static
 *
 * The first three are pages of a region (struct pagemap_sums), or of 32 leaves
 * (the bits). All are committed as they are needed, before anything depends on
 * it (prepare): one or two pages for a leaf, and two more, or three, for the
 * first of its region. They are given back when all of it is 0 (drain). So what
 * a range costs does not depend on how large it is, nor on how large the heap
 * is.
 *
 * Invariants:
 *   1. the summaries say exactly which words below them are not 0.
 *   2. every start bit is at a page whose word is not 0.
 *   3. the pages of the windows are as many as were counted, and a region's
 *      leaves.
 *   4. every region before `near` is present, and the one at it is not.
 *
 * Lock: the area lock; a slab's own words are written by whoever makes it.
 */
#include "pagemap.h"

#include <verso/back.h>

struct pagemap verso_i_pagemap VERSO_STATE;

static const uint32_t zeros[PAGEMAP_LEAF_PAGES];

#define BITS_LEAVES (VERSO_PAGE_SIZE / (PAGEMAP_LEAF_PAGES / 8)) /* 32 */
#define WINDOW      (VERSO_RW | VERSO_BACK_ZERO)
#define NOT_FOUND   SIZE_MAX

static uint32_t region_of(size_t leaf)
{
    return (uint32_t)(leaf / PAGEMAP_REGION_LEAVES);
}

static size_t first_leaf(uint32_t region)
{
    return (size_t)region * PAGEMAP_REGION_LEAVES;
}

static struct pagemap_sums *sums_of(const struct pagemap *map, size_t leaf)
{
    return (struct pagemap_sums *)pagemap_sum(map, first_leaf(region_of(leaf)));
}

static vaddr_t root_va(const struct pagemap *map, uint32_t region)
{
    return (vaddr_t)map->root + bytes_of(region);
}

static vaddr_t leaf_va(const struct pagemap *map, size_t leaf)
{
    return map->leaf_start + bytes_of(leaf);
}

static vaddr_t bits_va(const struct pagemap *map, size_t leaf)
{
    return map->bits_start + bytes_of(leaf / BITS_LEAVES);
}

/* The entry of a leaf that is not there. */
static vaddr_t root_entry_absent(size_t leaf)
{
    return (vaddr_t)zeros - bytes_of(leaf);
}

/* Of a region that is present. */
static vaddr_t *root_entry(const struct pagemap *map, size_t leaf)
{
    return (vaddr_t *)(uintptr_t)&map->root[leaf];
}

static bool leaf_is_there(const struct pagemap *map, size_t leaf)
{
    return map->root[leaf] == map->leaf_start;
}

/* Is the page of bits of this leaf there? It is as long as one of its leaves
 * is. */
static bool bits_are_there(const struct pagemap *map, size_t leaf)
{
    size_t first = leaf / BITS_LEAVES * BITS_LEAVES;
    for (size_t i = first; i < first + BITS_LEAVES; i++)
        if (leaf_is_there(map, i))
            return true;
    return false;
}

uint32_t verso_i_pagemap_get_far(const struct pagemap *map, size_t page)
{
    uint32_t region = region_of(page / PAGEMAP_LEAF_PAGES);
    if (page >= map->pages || !bitset_has(&map->present, region))
        return 0;
    return pagemap_word_at(map, page);
}

/* ---- pages of the windows ---- */

static int window_commit(struct pagemap *map, vaddr_t va, size_t pages)
{
    int err = verso_back_commit(NULL, va, pages, WINDOW);
    if (err == 0)
        map->committed += pages;
    return err;
}

static void window_release(struct pagemap *map, vaddr_t va, size_t pages)
{
    if (!verso_back_done(verso_back_release(NULL, va, pages)))
        (void)verso_back_drain();
    map->committed -= pages;
}

static void near_update(struct pagemap *map, uint32_t region)
{
    while (region < map->regions && bitset_has(&map->present, region))
        region++;
    map->near = (size_t)region * PAGEMAP_REGION_PAGES;
}

/* Nobody looks at it before its entries lead to zeros. */
static int region_add(struct pagemap *map, uint32_t region)
{
    size_t leaf = first_leaf(region);
    int err = window_commit(map, root_va(map, region), 1);
    if (err != 0)
        return err;
    err = window_commit(map, (vaddr_t)sums_of(map, leaf), PAGEMAP_SUMS);
    if (err != 0) {
        window_release(map, root_va(map, region), 1);
        return err;
    }
    for (size_t i = leaf; i < leaf + PAGEMAP_REGION_LEAVES; i++)
        *root_entry(map, i) = root_entry_absent(i);
    bitset_add(&map->present, region);
    near_update(map, region_of(map->near / PAGEMAP_LEAF_PAGES));
    return 0;
}

static void region_remove(struct pagemap *map, uint32_t region)
{
    bitset_remove(&map->present, region);
    if (map->near > (size_t)region * PAGEMAP_REGION_PAGES)
        map->near = (size_t)region * PAGEMAP_REGION_PAGES;
    window_release(map, root_va(map, region), 1);
    window_release(
        map, (vaddr_t)sums_of(map, first_leaf(region)), PAGEMAP_SUMS);
}

/* A region that is present gets a leaf. */
static int leaf_add(struct pagemap *map, size_t leaf)
{
    bool bits = bits_are_there(map, leaf);
    int err = window_commit(map, leaf_va(map, leaf), 1);
    if (err != 0)
        return err;
    if (!bits) {
        err = window_commit(map, bits_va(map, leaf), 1);
        if (err != 0) {
            window_release(map, leaf_va(map, leaf), 1);
            return err;
        }
    }
    *root_entry(map, leaf) = map->leaf_start;
    sums_of(map, leaf)->leaves++;
    return 0;
}

static void leaf_remove(struct pagemap *map, size_t leaf)
{
    *root_entry(map, leaf) = root_entry_absent(leaf);
    sums_of(map, leaf)->leaves--;
    window_release(map, leaf_va(map, leaf), 1);
    if (!bits_are_there(map, leaf))
        window_release(map, bits_va(map, leaf), 1);
}

int verso_i_pagemap_prepare(struct pagemap *map, vaddr_t va, size_t pages)
{
    size_t first = pagemap_page(map, va) / PAGEMAP_LEAF_PAGES;
    size_t last = (pagemap_page(map, va) + pages - 1) / PAGEMAP_LEAF_PAGES;
    for (size_t leaf = first; leaf <= last; leaf++) {
        uint32_t region = region_of(leaf);
        bool present = bitset_has(&map->present, region);
        if (present && leaf_is_there(map, leaf))
            continue;
        if (verso_host_in_interrupt())
            return VERSO_NO_MEMORY;
        int err = present ? 0 : region_add(map, region);
        if (err == 0)
            err = leaf_add(map, leaf);
        if (err != 0)
            return err;
    }
    return 0;
}

int verso_i_pagemap_init(const struct verso_boot *boot)
{
    struct heap_layout layout = verso_i_heap_layout(boot);
    struct pagemap *map = &verso_i_pagemap;
    size_t leaves = layout.mapped_pages / PAGEMAP_LEAF_PAGES;
    map->start = PAGEMAP_COVERS_ALL ? 0 : layout.area_start;
    map->pages = layout.mapped_pages;
    map->regions = region_of(leaves - 1) + (size_t)1;
    VERSO_VERIFY(leaves <= (size_t)PAGEMAP_REGIONS * PAGEMAP_REGION_LEAVES,
        "pagemap: a heap of %zu pages is too large (%zu)", layout.area_pages,
        (size_t)PAGEMAP_REGIONS * PAGEMAP_REGION_PAGES);
    map->root = (const vaddr_t *)layout.map_start;
    map->sums_start = layout.map_start + bytes_of(map->regions);
    map->bits_start = map->sums_start + bytes_of(map->regions * PAGEMAP_SUMS);
    map->leaf_start =
        map->bits_start + bytes_of((leaves + BITS_LEAVES - 1) / BITS_LEAVES);
    return region_add(map, 0);
}

static bool leaf_is_empty(const struct pagemap *map, size_t leaf)
{
    for (unsigned i = 0; i < PAGEMAP_LEAF_PAGES; i++)
        if (pagemap_word_at(map, leaf * PAGEMAP_LEAF_PAGES + i) != 0)
            return false;
    return true;
}

/* What is 0 throughout, but the root of the first region: where there is only
 * one, it is not asked for. */
bool verso_i_pagemap_shrink(struct pagemap *map)
{
    bool progress = false;
    uint32_t region = bitset_lowest(&map->present);
    while (region != BITSET_NONE) {
        size_t first = first_leaf(region);
        for (size_t i = first; i < first + PAGEMAP_REGION_LEAVES; i++)
            if (leaf_is_there(map, i) && leaf_is_empty(map, i)) {
                leaf_remove(map, i);
                progress = true;
            }
        if (region != 0 && sums_of(map, first)->leaves == 0) {
            region_remove(map, region);
            progress = true;
        }
        region = region + 1 < map->regions
                     ? bitset_from(&map->present, region + 1)
                     : BITSET_NONE;
    }
    return progress;
}

bool verso_i_pagemap_drain(void)
{
    return verso_i_pagemap_shrink(&verso_i_pagemap);
}

/* ---- starts ---- */

void verso_i_pagemap_filled(struct pagemap *map, size_t page)
{
    const size_t leaf = page / PAGEMAP_LEAF_PAGES;
    uint32_t *sum = pagemap_sum(map, leaf);
    const uint32_t before = *sum;
    *sum = before | (uint32_t)1 << page / 32 % 32;
    if (before != 0)
        return;
    struct pagemap_sums *sums = sums_of(map, leaf);
    unsigned i = (unsigned)(leaf % PAGEMAP_REGION_LEAVES);
    sums->filled[i / 32] |= (uint32_t)1 << i % 32;
    sums->top |= (uint32_t)1 << i / 32;
    bitset_add(&map->started, region_of(leaf));
}

void verso_i_pagemap_emptied(struct pagemap *map, size_t page)
{
    const size_t leaf = page / PAGEMAP_LEAF_PAGES;
    uint32_t *sum = pagemap_sum(map, leaf);
    *sum &= ~((uint32_t)1 << page / 32 % 32);
    if (*sum != 0)
        return;
    struct pagemap_sums *sums = sums_of(map, leaf);
    unsigned i = (unsigned)(leaf % PAGEMAP_REGION_LEAVES);
    sums->filled[i / 32] &= ~((uint32_t)1 << i % 32);
    if (sums->filled[i / 32] != 0)
        return;
    sums->top &= ~((uint32_t)1 << i / 32);
    if (sums->top == 0)
        bitset_remove(&map->started, region_of(leaf));
}

/* The last start at or before a page in its own leaf, of a region that is
 * present. */
ALWAYS_INLINE size_t start_in_leaf(const struct pagemap *map, size_t page)
{
    unsigned word = (unsigned)(page / 32 % 32);
    uint32_t words = *pagemap_sum(map, page / PAGEMAP_LEAF_PAGES);
    if (words >> word & 1) {
        uint32_t found = *pagemap_bits(map, page) & bits_upto(page % 32);
        if (found != 0)
            return page / 32 * 32 + bit_highest(found);
    }
    words &= bits_below(word);
    if (words == 0)
        return NOT_FOUND;
    page = page / PAGEMAP_LEAF_PAGES * PAGEMAP_LEAF_PAGES +
           bit_highest(words) * (size_t)32;
    return page + bit_highest(*pagemap_bits(map, page));
}

/* The last leaf with a start at or before this one, in its own region. */
static size_t filled_in_region(const struct pagemap *map, size_t leaf)
{
    const struct pagemap_sums *sums = sums_of(map, leaf);
    size_t first = first_leaf(region_of(leaf));
    unsigned i = (unsigned)(leaf - first);
    uint32_t filled = sums->filled[i / 32] & bits_upto(i % 32);
    if (filled != 0)
        return first + i / 32 * 32 + bit_highest(filled);
    uint32_t top = sums->top & bits_below(i / 32);
    if (top == 0)
        return NOT_FOUND;
    return first + bit_highest(top) * 32 +
           bit_highest(sums->filled[bit_highest(top)]);
}

/* In a leaf before the one of this page, or in this one if its region is not
 * near. */
static NO_INLINE size_t start_before(const struct pagemap *map, size_t page)
{
    size_t leaf = page / PAGEMAP_LEAF_PAGES, found = NOT_FOUND;
    uint32_t region = region_of(leaf);
    if (bitset_has(&map->started, region)) {
        size_t start = start_in_leaf(map, page);
        if (start != NOT_FOUND)
            return start;
        if (leaf % PAGEMAP_REGION_LEAVES > 0)
            found = filled_in_region(map, leaf - 1);
    }
    if (found == NOT_FOUND) {
        region = bitset_before(&map->started, region);
        VERSO_VERIFY(region != BITSET_NONE, "pagemap: no range before %p",
            (void *)(map->start + bytes_of(page)));
        found = filled_in_region(
            map, first_leaf(region) + PAGEMAP_REGION_LEAVES - 1);
    }
    return start_in_leaf(map, (found + 1) * PAGEMAP_LEAF_PAGES - 1);
}

vaddr_t verso_i_pagemap_find_start(const struct pagemap *map, vaddr_t va)
{
    size_t page = pagemap_page(map, va), start = NOT_FOUND;
    if (PAGEMAP_COVERS_ALL || likely(page < map->near))
        start = start_in_leaf(map, page);
    if (start == NOT_FOUND)
        start = start_before(map, page);
    return map->start + bytes_of(start);
}

/* ---- check, report ---- */

static const char *check_leaf(const struct pagemap *map, size_t leaf)
{
    size_t first = leaf * PAGEMAP_LEAF_PAGES;
    const uint32_t *bits = pagemap_bits(map, first);
    for (unsigned i = 0; i < PAGEMAP_LEAF_PAGES; i++)
        if ((bits[i / 32] >> i % 32 & 1) != 0 &&
            pagemap_word_at(map, first + i) == 0)
            return "pagemap.2: where a range starts there is a word";
    for (unsigned w = 0; w < 32; w++)
        if ((bits[w] != 0) != ((*pagemap_sum(map, leaf) >> w & 1) != 0))
            return "pagemap.1: the summary of a leaf is exact";
    return NULL;
}

/* One that is present. Adds up its pages. */
static const char *check_region(
    const struct pagemap *map, uint32_t region, size_t *committed)
{
    const size_t first = first_leaf(region);
    const struct pagemap_sums *sums = sums_of(map, first);
    size_t leaves = 0;
    for (unsigned i = 0; i < PAGEMAP_REGION_LEAVES; i++) {
        const char *broken = NULL;
        if (i % BITS_LEAVES == 0 && bits_are_there(map, first + i))
            *committed += 1;
        if (leaf_is_there(map, first + i)) {
            broken = check_leaf(map, first + i);
            leaves++;
        } else if (sums->words[i] != 0) {
            return "pagemap.1: an absent leaf has no starts";
        }
        if (broken != NULL)
            return broken;
        if ((sums->words[i] != 0) !=
            ((sums->filled[i / 32] >> i % 32 & 1) != 0))
            return "pagemap.1: the summary of leaves is exact";
    }
    for (unsigned i = 0; i < 32; i++)
        if ((i < PAGEMAP_REGION_LEAVES / 32 && sums->filled[i] != 0) !=
            ((sums->top >> i & 1) != 0))
            return "pagemap.1: the summary of summaries is exact";
    if ((sums->top != 0) != bitset_has(&map->started, region))
        return "pagemap.1: the summary of regions is exact";
    *committed += 1 + PAGEMAP_SUMS + leaves;
    return sums->leaves == leaves ? NULL : "pagemap.3: leaves are counted";
}

const char *verso_i_pagemap_check(void)
{
    const struct pagemap *map = &verso_i_pagemap;
    size_t committed = 0, near = 0;
    for (uint32_t region = 0; region < map->regions; region++) {
        const char *broken = NULL;
        if (bitset_has(&map->present, region))
            broken = check_region(map, region, &committed);
        else if (bitset_has(&map->started, region))
            broken = "pagemap.1: an absent region has no starts";
        if (broken != NULL)
            return broken;
        if (near == region && bitset_has(&map->present, region))
            near++;
    }
    if (committed != map->committed) {
        verso_print(
            "%zu pages found, %zu counted\n", committed, map->committed);
        return "pagemap.3: every page of the windows is counted";
    }
    if (near * PAGEMAP_REGION_PAGES != map->near)
        return "pagemap.4: near is as far as the regions are present";
    return NULL;
}

void verso_i_pagemap_report(void)
{
    verso_print("pagemap: %zu pages at %p, for %zu of addresses\n",
        verso_i_pagemap.committed, (void *)verso_i_pagemap.root,
        verso_i_pagemap.pages);
}
