/* SPDX-License-Identifier: MIT */
/*
 * pagemap - one word a page of the heap: which kind of thing, which class,
 * which node.
 *
 *     address --> root[page / 1024] --> leaf[page % 1024] = {kind, class, node}
 *
 * A leaf that was never filled is a page of zeros, so looking up any address
 * whatever takes a range check and two loads, and never faults. The range
 * check is the check for foreign pointers; where an address has 32 bits the
 * root covers all of them, and a page of zeros does the checking.
 *
 * A range (mem_area) has a word at its first page only, so that making one of
 * any size costs the same; a slab has one at each page. For an address in the
 * middle of a range, a bit for each page says where ranges start; the last
 * start at or before it is found through three levels of summaries, in
 * constant time:
 *
 *     bits       one a page           1 page covers 32,768 pages
 *     words[]    one a word of bits   1 word a leaf
 *     filled[]   one a leaf           top: one a word of filled
 *
 * Leaves and bits lie in two windows of addresses and are committed as they
 * are needed, before anything depends on it (prepare), and given back when all
 * of it is 0 (drain).
 *
 * Invariants:
 *   1. the summaries say exactly which words below them are not 0.
 *   2. every start bit is at a page whose word is not 0.
 *   3. the pages of the windows are as many as were counted.
 *
 * Lock: the area lock; a slab's own words are written by whoever makes it.
 */
#include "pagemap.h"

#include <verso/back.h>

struct pagemap verso_i_pagemap VERSO_STATE;

const uint32_t verso_i_pagemap_zeros[PAGEMAP_LEAF_PAGES];
#define zeros verso_i_pagemap_zeros

#define BITS_LEAVES (VERSO_PAGE_SIZE / (PAGEMAP_LEAF_PAGES / 8)) /* 32 */

int verso_i_pagemap_init(const struct verso_boot *boot)
{
    struct heap_layout layout = verso_i_heap_layout(boot);
    struct pagemap *map = &verso_i_pagemap;
    map->start = PAGEMAP_COVERS_ALL ? 0 : layout.area_start;
    map->pages = layout.leaf_pages * PAGEMAP_LEAF_PAGES;
    map->leaves = layout.leaf_pages;
    VERSO_VERIFY(map->leaves <= PAGEMAP_LEAVES,
        "pagemap: a heap of %zu pages is too large (%u)", layout.area_pages,
        PAGEMAP_LEAVES * PAGEMAP_LEAF_PAGES);
    map->leaf_start = layout.leaf_start;
    map->bits_start = layout.bits_start;
    for (size_t i = 0; i < PAGEMAP_LEAVES; i++)
        map->root[i] = zeros;
    return 0;
}

static vaddr_t leaf_va(const struct pagemap *map, size_t leaf)
{
    return map->leaf_start + bytes_of(leaf);
}

static vaddr_t bits_va(const struct pagemap *map, size_t leaf)
{
    return map->bits_start + bytes_of(leaf / BITS_LEAVES);
}

static bool leaf_is_there(const struct pagemap *map, size_t leaf)
{
    return map->root[leaf] != zeros;
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

static void window_release(struct pagemap *map, vaddr_t va)
{
    if (!verso_back_done(verso_back_release(NULL, va, 1)))
        (void)verso_back_drain();
    map->committed--;
}

static int leaf_add(struct pagemap *map, size_t leaf)
{
    const unsigned flags = VERSO_RW | VERSO_BACK_ZERO;
    bool bits = bits_are_there(map, leaf);
    if (verso_host_in_interrupt())
        return VERSO_NO_MEMORY;
    int err = verso_back_commit(NULL, leaf_va(map, leaf), 1, flags);
    if (err != 0)
        return err;
    map->committed++;
    if (!bits) {
        err = verso_back_commit(NULL, bits_va(map, leaf), 1, flags);
        if (err != 0) {
            window_release(map, leaf_va(map, leaf));
            return err;
        }
        map->committed++;
    }
    map->root[leaf] = (const uint32_t *)leaf_va(map, leaf);
    return 0;
}

int verso_i_pagemap_prepare(struct pagemap *map, vaddr_t va, size_t pages)
{
    size_t first = pagemap_page(map, va) / PAGEMAP_LEAF_PAGES;
    size_t last = (pagemap_page(map, va) + pages - 1) / PAGEMAP_LEAF_PAGES;
    for (size_t leaf = first; leaf <= last; leaf++) {
        if (likely(leaf_is_there(map, leaf)))
            continue;
        int err = leaf_add(map, leaf);
        if (err != 0)
            return err;
    }
    return 0;
}

void verso_i_pagemap_summaries_add(struct pagemap *map, size_t page)
{
    size_t leaf = page / PAGEMAP_LEAF_PAGES;
    map->words[leaf] |= (uint32_t)1 << page / 32 % 32;
    map->filled[leaf / 32] |= (uint32_t)1 << leaf % 32;
    map->top |= (uint32_t)1 << leaf / 32;
}

void verso_i_pagemap_summaries_remove(struct pagemap *map, size_t page)
{
    size_t leaf = page / PAGEMAP_LEAF_PAGES;
    map->words[leaf] &= ~((uint32_t)1 << page / 32 % 32);
    if (map->words[leaf] != 0)
        return;
    map->filled[leaf / 32] &= ~((uint32_t)1 << leaf % 32);
    if (map->filled[leaf / 32] == 0)
        map->top &= ~((uint32_t)1 << leaf / 32);
}

vaddr_t verso_i_pagemap_find_start(const struct pagemap *map, vaddr_t va)
{
    size_t page = pagemap_page(map, va);
    size_t leaf = page / PAGEMAP_LEAF_PAGES;
    uint32_t word = (uint32_t)(page / 32 % 32);
    uint32_t found = 0;
    if (map->words[leaf] >> word & 1)
        found = *pagemap_bits(map, page) & bits_upto(page % 32);
    if (found == 0) {
        uint32_t words = map->words[leaf] & bits_below(word);
        if (words == 0) {
            uint32_t filled = map->filled[leaf / 32] & bits_below(leaf % 32);
            size_t group = leaf / 32;
            if (filled == 0) {
                uint32_t top = map->top & bits_below((unsigned)group);
                VERSO_VERIFY(
                    top != 0, "pagemap: no range before %p", (void *)va);
                group = bit_highest(top);
                filled = map->filled[group];
            }
            leaf = group * 32 + bit_highest(filled);
            words = map->words[leaf];
        }
        word = bit_highest(words);
        found = *pagemap_bits(map, leaf * PAGEMAP_LEAF_PAGES + word * 32);
    }
    page = leaf * PAGEMAP_LEAF_PAGES + word * 32 + bit_highest(found);
    return map->start + bytes_of(page);
}

static bool leaf_is_empty(const struct pagemap *map, size_t leaf)
{
    for (unsigned i = 0; i < PAGEMAP_LEAF_PAGES; i++)
        if (map->root[leaf][i] != 0)
            return false;
    return true;
}

bool verso_i_pagemap_drain(void)
{
    struct pagemap *map = &verso_i_pagemap;
    bool progress = false;
    for (size_t leaf = 0; leaf < map->leaves; leaf++) {
        if (!leaf_is_there(map, leaf) || !leaf_is_empty(map, leaf))
            continue;
        map->root[leaf] = zeros;
        window_release(map, leaf_va(map, leaf));
        if (!bits_are_there(map, leaf))
            window_release(map, bits_va(map, leaf));
        progress = true;
    }
    return progress;
}

static const char *check_leaf(const struct pagemap *map, size_t leaf)
{
    const uint32_t *bits = pagemap_bits(map, leaf * PAGEMAP_LEAF_PAGES);
    for (unsigned i = 0; i < PAGEMAP_LEAF_PAGES; i++)
        if ((bits[i / 32] >> i % 32 & 1) != 0 && map->root[leaf][i] == 0)
            return "pagemap.2: where a range starts there is a word";
    for (unsigned w = 0; w < 32; w++)
        if ((bits[w] != 0) != ((map->words[leaf] >> w & 1) != 0))
            return "pagemap.1: the summary of a leaf is exact";
    return NULL;
}

const char *verso_i_pagemap_check(void)
{
    const struct pagemap *map = &verso_i_pagemap;
    size_t committed = 0;
    for (size_t leaf = 0; leaf < map->leaves; leaf++) {
        if (leaf % BITS_LEAVES == 0 && bits_are_there(map, leaf))
            committed++;
        if (leaf_is_there(map, leaf)) {
            const char *broken = check_leaf(map, leaf);
            if (broken != NULL)
                return broken;
            committed++;
        } else if (map->words[leaf] != 0) {
            return "pagemap.1: an absent leaf has no starts";
        }
        if ((map->words[leaf] != 0) !=
            ((map->filled[leaf / 32] >> leaf % 32 & 1) != 0))
            return "pagemap.1: the summary of leaves is exact";
    }
    for (unsigned i = 0; i < PAGEMAP_LEAVES / 32; i++)
        if ((map->filled[i] != 0) != ((map->top >> i & 1) != 0))
            return "pagemap.1: the summary of summaries is exact";
    if (committed != map->committed) {
        verso_print(
            "%zu pages found, %zu counted\n", committed, map->committed);
        return "pagemap.3: every page of the windows is counted";
    }
    return NULL;
}

void verso_i_pagemap_report(void)
{
    verso_print("pagemap: %zu pages at %p, bits at %p\n",
        verso_i_pagemap.committed, (void *)verso_i_pagemap.leaf_start,
        (void *)verso_i_pagemap.bits_start);
}
