/* SPDX-License-Identifier: MIT */
/*
 * area - ranges of addresses: split, merge, constant time.
 *
 * The addresses of a map are cut into ranges that touch each other:
 *
 *     | used   | free       | used | limbo | used          | free            |
 *     ^ mem_area <-> mem_area <-> ...                    prev/next by address
 *
 * To allocate, a free range that is large enough is found, split into at most
 * three, and the piece marked used. To free, the range waits in limbo until no
 * CPU can have a translation of it (the flush's number is done: one compare,
 * popped by later calls), then merges with free neighbours on both sides.
 *
 * Free ranges hang in bins by size: row = binary logarithm, slot = the next
 * three bits, so a bin's sizes differ by an eighth; up to 7 pages each size has
 * its own. A request is rounded up to a bin whose every range fits: two bitmap
 * searches find one. Only if there is none is the bin searched that the
 * request itself would be in. (Two-level segregated fit: Masmano, Ripoll,
 * Crespo, Real, "TLSF", 2004.) What is taken is the low end of the range found,
 * or the high end for more than a gigabyte. Requests with limits look through
 * the ranges in address order; those for a fixed address ask the pagemap.
 *
 * Invariants:
 *   1. the ranges cover the map, in address order, prev and next agreeing.
 *   2. no two neighbours are both free.
 *   3. the index has the right word at each first page, and no other starts.
 *   4. a range is in the bin of its size if and only if it is free, and the
 *      bitmaps say which bins have one.
 *   5. ranges and pages of each kind are as many as were counted.
 *
 * Nodes needed: pieces after less pieces before; see node.c.
 * There is a map for the kernel's addresses, whose index is the pagemap, and
 * may be others, for those of users, which are far more and mostly unused:
 * theirs is a radix tree. Who asks for those is not trusted, so that misuse is
 * an error there.
 *
 * Lock: area; held over the making of index pages, and of a resize, never
 * over that of an area. Cost: constant but for constrained requests.
 */
#include "area.h"

#include <verso/back.h>

static struct area_map kernel_map VERSO_STATE;

#define STOCK_MAX   64
#define STOCK_BATCH 32u
#define LIMBO_BATCH 4u
#define HUGE_PAGES  ((size_t)1 << 18) /* more than these are huge */

_Static_assert(VERSO_BACK_ZERO == VERSO_AREA_ZERO &&
                   VERSO_BACK_CONTIG == VERSO_AREA_CONTIG &&
                   VERSO_BACK_LOW == VERSO_AREA_LOW,
    "back's flags are area's");

struct area_map *verso_i_area_kernel(void)
{
    return &kernel_map;
}

vaddr_t verso_i_area_usable(const struct mem_area *area, size_t *pages)
{
    size_t below = (area->flags & VERSO_AREA_GUARD_BELOW) ? 1 : 0;
    size_t above = (area->flags & VERSO_AREA_GUARD_ABOVE) ? 1 : 0;
    if (pages != NULL)
        *pages = area->pages - below - above;
    return area->start + bytes_of(below);
}

/* Of an address in the area: does it lie in a guard page? */
ALWAYS_INLINE bool is_guard(const struct mem_area *area, vaddr_t va)
{
    size_t pages;
    if (likely((area->flags & VERSO_AREA_GUARD) == 0))
        return false;
    vaddr_t start = verso_i_area_usable(area, &pages);
    return va - start >= bytes_of(pages);
}

static vaddr_t area_end(const struct mem_area *area)
{
    return area->start + bytes_of(area->pages);
}

/* Flags that back understands: they were given the same numbers. */
static unsigned back_flags(unsigned flags)
{
    return flags & (VERSO_RIGHTS_MASK | VERSO_CACHE_MASK | VERSO_BACK_ZERO |
                       VERSO_BACK_CONTIG | VERSO_BACK_LOW);
}

/* ---- the index: which range starts where ----
 *
 * The kernel's map has the pagemap, which is flat, and has the words of slabs
 * too; every other a radix tree of these words alone. Where a function is
 * inlined for the kernel's map the choice is made by the compiler. */

/* NULL: a map with a radix tree. */
ALWAYS_INLINE struct pagemap *pagemap_of(const struct area_map *map)
{
    return map == &kernel_map ? &verso_i_pagemap : NULL;
}

static size_t key_of(const struct area_map *map, vaddr_t va)
{
    return (va - map->start) >> VERSO_PAGE_SHIFT;
}

ALWAYS_INLINE uint32_t index_get(const struct area_map *map, vaddr_t va)
{
    if (pagemap_of(map) != NULL)
        return pagemap_get(pagemap_of(map), va);
    return verso_i_radix_get(&map->radix, key_of(map, va));
}

/* The word of the range that va lies in. */
ALWAYS_INLINE uint32_t index_find(const struct area_map *map, vaddr_t va)
{
    if (pagemap_of(map) == NULL)
        return verso_i_radix_find(&map->radix, key_of(map, va), NULL);
    uint32_t word = pagemap_get(pagemap_of(map), va);
    if (pagemap_kind(word) == KIND_NONE)
        word = pagemap_get(
            pagemap_of(map), verso_i_pagemap_find_start(pagemap_of(map), va));
    return word;
}

/* Where that range starts. */
static vaddr_t index_find_start(const struct area_map *map, vaddr_t va)
{
    size_t key = 0;
    if (pagemap_of(map) != NULL)
        return verso_i_pagemap_find_start(pagemap_of(map), va);
    (void)verso_i_radix_find(&map->radix, key_of(map, va), &key);
    return map->start + bytes_of(key);
}

/* Can a word be set there, as far as that is known at once? */
ALWAYS_INLINE bool index_is_ready(const struct area_map *map, vaddr_t va)
{
    return pagemap_of(map) != NULL && pagemap_is_ready(pagemap_of(map), va);
}

ALWAYS_INLINE int index_prepare(struct area_map *map, vaddr_t va)
{
    if (likely(index_is_ready(map, va)))
        return 0;
    if (pagemap_of(map) != NULL)
        return verso_i_pagemap_prepare(pagemap_of(map), va, 1);
    return verso_i_radix_prepare(&map->radix, key_of(map, va));
}

/* Nothing was set where it was prepared, or there was something already. The
 * pagemap keeps its pages for the next, until it is drained. */
static void index_unprepare(struct area_map *map, vaddr_t va)
{
    if (pagemap_of(map) == NULL)
        verso_i_radix_trim(&map->radix, key_of(map, va));
}

/* A range starts there, and did before. */
ALWAYS_INLINE void index_set(struct area_map *map, vaddr_t va, uint32_t word)
{
    if (pagemap_of(map) != NULL)
        pagemap_set(pagemap_of(map), va, word);
    else
        verso_i_radix_set(&map->radix, key_of(map, va), word);
}

/* ---- bins ---- */

struct bin {
    unsigned row, slot;
};

/* The bin that a range of this size belongs to. */
ALWAYS_INLINE struct bin bin_of(size_t pages)
{
    if (pages < BIN_SLOTS)
        return (struct bin){0, (unsigned)pages};
    unsigned high = size_highest(pages);
    if (sizeof(pages) > 4 && unlikely(high - 2 >= BIN_ROWS))
        return (struct bin){BIN_ROWS - 1, BIN_SLOTS - 1};
    return (struct bin){
        high - 2, (unsigned)(pages >> (high - 3)) & (BIN_SLOTS - 1)};
}

ALWAYS_INLINE void bin_insert(struct area_map *map, uint32_t node)
{
    struct mem_area *area = area_get(node);
    struct bin bin = bin_of(area->pages);
    uint32_t head = map->bin[bin.row][bin.slot];
    area->kind = KIND_FREE;
    area->bin.prev = NODE_NONE;
    area->bin.next = head;
    if (head != NODE_NONE)
        area_get(head)->bin.prev = node;
    map->bin[bin.row][bin.slot] = node;
    map->rows |= (uint32_t)1 << bin.row;
    map->slots[bin.row] |= (uint32_t)1 << bin.slot;
    map->free++;
}

ALWAYS_INLINE void bin_remove(struct area_map *map, uint32_t node)
{
    struct mem_area *area = area_get(node);
    uint32_t prev = area->bin.prev, next = area->bin.next;
    map->free--;
    if (next != NODE_NONE)
        area_get(next)->bin.prev = prev;
    if (prev != NODE_NONE) {
        area_get(prev)->bin.next = next;
        return;
    }
    struct bin bin = bin_of(area->pages);
    map->bin[bin.row][bin.slot] = next;
    if (next != NODE_NONE)
        return;
    map->slots[bin.row] &= ~((uint32_t)1 << bin.slot);
    if (map->slots[bin.row] == 0)
        map->rows &= ~((uint32_t)1 << bin.row);
}

static NO_INLINE void bin_move(
    struct area_map *map, uint32_t node, size_t pages)
{
    bin_remove(map, node);
    area_get(node)->pages = pages;
    bin_insert(map, node);
}

/* A free range gets another size, and the bin for it: the same, if the highest
 * four bits are. */
ALWAYS_INLINE void bin_resize(
    struct area_map *map, uint32_t node, size_t pages, size_t larger)
{
    struct mem_area *area = area_get(node);
    /* below BIN_SLOTS: all bits */
    const unsigned same = size_highest(larger | BIN_SLOTS) - 3;
    if ((area->pages ^ pages) >> same != 0)
        bin_move(map, node, pages);
    else
        area->pages = pages;
}

/* First bin at or after (row, slot) that has a range; its first one. */
ALWAYS_INLINE uint32_t bin_first(const struct area_map *map, struct bin bin)
{
    uint32_t slots = map->slots[bin.row] & ~bits_below(bin.slot);
    if (slots == 0) {
        uint32_t rows = map->rows & ~bits_upto(bin.row);
        if (rows == 0)
            return NODE_NONE;
        bin.row = bit_lowest(rows);
        slots = map->slots[bin.row];
    }
    return map->bin[bin.row][bit_lowest(slots)];
}

/* The first in the very bin of `pages` that is as large. */
static NO_INLINE uint32_t bin_search(const struct area_map *map, size_t pages)
{
    struct bin bin = bin_of(pages);
    uint32_t node = map->bin[bin.row][bin.slot];
    while (node != NODE_NONE && area_get(node)->pages < pages)
        node = area_get(node)->bin.next;
    return node;
}

/* A free range of at least `pages`: any of a bin where all are, or the first
 * in the bin below that is. */
ALWAYS_INLINE uint32_t bin_find(const struct area_map *map, size_t pages)
{
    if (pages < BIN_SLOTS)
        return bin_first(map, (struct bin){0, (unsigned)pages});
    const size_t step = (size_t)1 << (size_highest(pages) - 3);
    uint32_t node = bin_first(map, bin_of(pages + step - 1));
    return likely(node != NODE_NONE) ? node : bin_search(map, pages);
}

/* ---- finding ---- */

ALWAYS_INLINE uint32_t area_find(const struct area_map *map, vaddr_t va)
{
    uint32_t word = index_find(map, va);
    uint32_t node = pagemap_node(word);
    if (pagemap_is_slab(word))
        return ((const struct area_override *)node_get(node))->area;
    return node;
}

uint32_t verso_i_area_find(const struct area_map *map, vaddr_t va)
{
    return area_find(map, va);
}

/* What a request asks for, in the form the search wants. */
struct want {
    size_t pages;       /* guards included */
    size_t guard_below; /* pages of it before the usable ones */
    size_t usable;      /* and how many these are */
    uintptr_t align;    /* of the usable start; at least a page */
    vaddr_t min, last;  /* the usable pages lie in [min, last] */
};

/* Does the want fit into the range, and where does it start there? */
static bool fits(
    const struct mem_area *area, const struct want *want, vaddr_t *start)
{
    vaddr_t low = area->start + bytes_of(want->guard_below);
    vaddr_t last = area_end(area) - 1;
    if (low < want->min)
        low = want->min;
    vaddr_t usable = round_up(low, want->align);
    if (usable < low)
        return false;
    *start = usable - bytes_of(want->guard_below);
    if (*start > last || (last - *start) < bytes_of(want->pages) - 1)
        return false;
    return usable <= want->last &&
           want->last - usable >= bytes_of(want->usable) - 1;
}

/* Any range, for a want without limits. An alignment asks for so much that it
 * fits wherever the range begins; then every range is tried, as for what may be
 * in the last bin of all, where sizes differ. */
static uint32_t find_anywhere(
    const struct area_map *map, const struct want *want, vaddr_t *start)
{
    size_t slack = (want->align >> VERSO_PAGE_SHIFT) - 1;
    uint32_t node =
        slack < map->pages ? bin_find(map, want->pages + slack) : NODE_NONE;
    if (node != NODE_NONE && fits(area_get(node), want, start))
        return node;
    if (slack == 0 && want->pages <= HUGE_PAGES)
        return NODE_NONE;
    struct bin bin = bin_of(want->pages);
    for (unsigned at = bin.row * BIN_SLOTS + bin.slot;
         at < BIN_ROWS * BIN_SLOTS; at++)
        for (node = map->bin[at / BIN_SLOTS][at % BIN_SLOTS]; node != NODE_NONE;
             node = area_get(node)->bin.next)
            if (fits(area_get(node), want, start))
                return node;
    return NODE_NONE;
}

/* The first range in address order between the limits. */
static uint32_t find_between(
    const struct area_map *map, const struct want *want, vaddr_t *start)
{
    vaddr_t from = want->min > map->start ? want->min : map->start;
    if (from - map->start >= bytes_of(map->pages))
        return NODE_NONE;
    uint32_t node = verso_i_area_find(map, from);
    for (; node != NODE_NONE && area_get(node)->start <= want->last;
         node = area_get(node)->next)
        if (area_get(node)->kind == KIND_FREE &&
            fits(area_get(node), want, start))
            return node;
    return NODE_NONE;
}

/* Huge ranges begin as far up as they can, so that the small ones stay together
 * at the low end, where the pagemap is filled (near, in pagemap.h). */
static vaddr_t highest_in(const struct mem_area *area, const struct want *want)
{
    vaddr_t top = area_end(area) - bytes_of(want->pages - want->guard_below);
    return round_down(top, want->align) - bytes_of(want->guard_below);
}

static uint32_t find_range(
    const struct area_map *map, const struct want *want, vaddr_t *start)
{
    if (want->min != 0 || want->last != UINTPTR_MAX)
        return find_between(map, want, start);
    uint32_t node = find_anywhere(map, want, start);
    if (node != NODE_NONE && want->pages > HUGE_PAGES)
        *start = highest_in(area_get(node), want);
    return node;
}

/* ---- nodes ---- */

/* Two nodes in hand, before the lock is taken for good. */
struct node_plan {
    uint32_t node[2];
    unsigned count;
};

ALWAYS_INLINE void stock_add(struct area_map *map, uint32_t node)
{
    area_get(node)->next = (uint32_t)map->nodes.first;
    stock_push(&map->nodes, node, 1);
}

ALWAYS_INLINE uint32_t stock_take(struct area_map *map)
{
    uint32_t node = (uint32_t)map->nodes.first;
    if (likely(node != NODE_NONE))
        stock_pop(&map->nodes, area_get(node)->next, 1);
    return node;
}

/* With the lock dropped: fills the plan from the node storey. */
static int plan_fill(struct node_plan *plan, unsigned needed)
{
    while (plan->count < needed) {
        uint32_t node = verso_i_node_alloc();
        if (node == NODE_NONE)
            return VERSO_NO_MEMORY;
        plan->node[plan->count++] = node;
    }
    return 0;
}

static void plan_take(
    struct area_map *map, struct node_plan *plan, unsigned needed)
{
    while (plan->count < needed) {
        uint32_t node = stock_take(map);
        if (node == NODE_NONE)
            return;
        plan->node[plan->count++] = node;
    }
}

static void plan_return(struct area_map *map, struct node_plan *plan)
{
    while (plan->count > 0)
        stock_add(map, plan->node[--plan->count]);
}

/* Drops the lock, and gives nodes of the stock to the node storey: a batch, or
 * all. */
static NO_INLINE void unlock_and_give(struct area_map *map, size_t most)
{
    uint32_t surplus = NODE_NONE;
    for (size_t i = 0; i < most; i++) {
        uint32_t node = stock_take(map);
        if (node == NODE_NONE)
            break;
        area_get(node)->next = surplus;
        surplus = node;
    }
    lock_drop(&map->lock);
    while (surplus != NODE_NONE) {
        uint32_t next = area_get(surplus)->next;
        verso_i_node_free(surplus);
        surplus = next;
    }
}

/* Drops the lock; a full stock is relieved. */
ALWAYS_INLINE void unlock(struct area_map *map)
{
    if (unlikely(map->nodes.room < 0))
        unlock_and_give(map, STOCK_BATCH);
    else
        lock_drop(&map->lock);
}

/* ---- splitting and merging ---- */

ALWAYS_INLINE void word_set(
    struct area_map *map, uint32_t node, enum pagemap_kind kind)
{
    index_set(map, area_get(node)->start,
        pagemap_word(kind, PAGEMAP_CLASS_NONE, node));
}

ALWAYS_INLINE void start_add(
    struct area_map *map, uint32_t node, enum pagemap_kind kind)
{
    word_set(map, node, kind);
    if (pagemap_of(map) != NULL)
        pagemap_start_add(pagemap_of(map), area_get(node)->start);
}

ALWAYS_INLINE void start_remove(struct area_map *map, vaddr_t start)
{
    if (pagemap_of(map) == NULL) {
        verso_i_radix_remove(&map->radix, key_of(map, start));
        return;
    }
    pagemap_set(pagemap_of(map), start, 0);
    pagemap_start_remove(pagemap_of(map), start);
}

/* Cuts a range behind its first `pages` pages, where a start bit can be set:
 * it keeps its node and becomes the low part. Returns the high part, free, in
 * no bin yet. So it is the new nodes that go when the parts merge again, and
 * what a failed call took of node pages can be given back. */
static uint32_t cut_high(
    struct area_map *map, uint32_t node, size_t pages, uint32_t high_node)
{
    struct mem_area *area = area_get(node), *high = area_get(high_node);
    high->start = area->start + bytes_of(pages);
    high->pages = area->pages - pages;
    high->prev = node;
    high->next = area->next;
    if (high->next != NODE_NONE)
        area_get(high->next)->prev = high_node;
    area->next = high_node;
    area->pages = pages;
    start_add(map, high_node, KIND_FREE);
    return high_node;
}

/* Cuts a range before its first `pages` pages, which get the new node. The rest
 * is the same as before, but for its size: that goes with its bin. When the
 * parts merge again it is the new node that goes, here too. */
ALWAYS_INLINE void cut_low(uint32_t node, size_t pages, uint32_t low_node)
{
    struct mem_area *area = area_get(node), *low = area_get(low_node);
    low->start = area->start;
    low->pages = pages;
    low->prev = area->prev;
    low->next = node;
    if (low->prev != NODE_NONE)
        area_get(low->prev)->next = low_node;
    area->prev = low_node;
    area->start += bytes_of(pages);
}

/* A free range goes: it becomes part of the one before it. */
static void join_next(struct area_map *map, struct mem_area *area)
{
    uint32_t next = area->next;
    struct mem_area *gone = area_get(next);
    bin_remove(map, next);
    start_remove(map, gone->start);
    area->pages += gone->pages;
    area->next = gone->next;
    if (area->next != NODE_NONE)
        area_get(area->next)->prev = gone->prev;
    stock_add(map, next);
}

/* A free range grows up over the one behind it, which goes. */
static void grow_up(struct area_map *map, uint32_t into, uint32_t node)
{
    struct mem_area *area = area_get(node), *grows = area_get(into);
    const size_t pages = grows->pages + area->pages;
    start_remove(map, area->start);
    grows->next = area->next;
    if (grows->next != NODE_NONE)
        area_get(grows->next)->prev = into;
    stock_add(map, node);
    bin_resize(map, into, pages, pages);
}

/* And down, over the one before it. */
ALWAYS_INLINE void grow_down(struct area_map *map, uint32_t into, uint32_t node)
{
    struct mem_area *area = area_get(node), *grows = area_get(into);
    const size_t pages = grows->pages + area->pages;
    const vaddr_t seam = grows->start;
    grows->start = area->start;
    grows->prev = area->prev;
    if (grows->prev != NODE_NONE)
        area_get(grows->prev)->next = into;
    stock_add(map, node);
    word_set(map, into, KIND_FREE);
    bin_resize(map, into, pages, pages);
    start_remove(map, seam);
}

static bool is_free(uint32_t node)
{
    return node != NODE_NONE && area_get(node)->kind == KIND_FREE;
}

/* The range before it is free, or none beside it. */
static NO_INLINE void free_insert_other(struct area_map *map, uint32_t node)
{
    struct mem_area *area = area_get(node);
    if (is_free(area->prev)) {
        if (is_free(area->next))
            join_next(map, area);
        grow_up(map, area->prev, node);
    } else {
        word_set(map, node, KIND_FREE);
        bin_insert(map, node);
    }
}

/* A range is free: it becomes part of a free neighbour, which most often stays
 * in its bin, or goes into a bin of its own. The bits and words of those that
 * vanish go, and so do their nodes. */
ALWAYS_INLINE void free_insert(struct area_map *map, uint32_t node)
{
    struct mem_area *area = area_get(node);
    if (is_free(area->next) && !is_free(area->prev))
        grow_down(map, area->next, node);
    else
        free_insert_other(map, node);
}

/* Frees ranges whose flush is done; oldest first, at most `most`. */
static size_t limbo_pop(struct area_map *map, size_t most)
{
    size_t popped = 0;
    while (map->limbo_first != NODE_NONE && popped < most) {
        uint32_t node = map->limbo_first;
        struct mem_area *area = area_get(node);
        if (!verso_back_done(area->limbo.flush))
            break;
        map->limbo_first = area->limbo.next;
        if (map->limbo_first == NODE_NONE)
            map->limbo_last = NODE_NONE;
        map->limbo--;
        map->limbo_pages -= area->pages;
        free_insert(map, node);
        popped++;
    }
    return popped;
}

static void limbo_push(struct area_map *map, uint32_t node, uint32_t flush)
{
    struct mem_area *area = area_get(node);
    area->limbo.flush = flush;
    area->limbo.next = NODE_NONE;
    if (map->limbo_last != NODE_NONE)
        area_get(map->limbo_last)->limbo.next = node;
    else
        map->limbo_first = node;
    map->limbo_last = node;
    map->limbo++;
    map->limbo_pages += area->pages;
}

/* ---- alloc ---- */

/* A range that is in no bin is in use. */
ALWAYS_INLINE void range_use(struct area_map *map, uint32_t node)
{
    struct mem_area *area = area_get(node);
    area->kind = KIND_AREA;
    map->used++;
    map->used_pages += area->pages;
    word_set(map, node, KIND_AREA);
}

/* Marks the piece of a free range at `start` used, and returns its node. The
 * plan has a node for each further piece. */
static uint32_t take_piece(struct area_map *map, uint32_t node, vaddr_t start,
    size_t pages, struct node_plan *plan)
{
    struct mem_area *area = area_get(node);
    bin_remove(map, node);
    if (start > area->start) {
        size_t before = (start - area->start) >> VERSO_PAGE_SHIFT;
        uint32_t low = node;
        node = cut_high(map, low, before, plan->node[--plan->count]);
        bin_insert(map, low);
        area = area_get(node);
    }
    if (area->pages > pages) {
        const uint32_t high = node;
        node = plan->node[--plan->count];
        cut_low(high, pages, node);
        area->pages -= pages;
        start_add(map, high, KIND_FREE);
        bin_insert(map, high);
    }
    range_use(map, node);
    return node;
}

/* That a range can start at both. */
static int prepare_both(struct area_map *map, vaddr_t start, vaddr_t end)
{
    int err = index_prepare(map, start);
    if (err != 0)
        return err;
    if (end - map->start < bytes_of(map->pages))
        err = index_prepare(map, end);
    if (err != 0)
        index_unprepare(map, start);
    return err;
}

/* Finds and takes a range. Called with the lock held, which is dropped for a
 * moment if nodes are short; the plan then has all that any piece can need, so
 * the second round is the last. */
static uint32_t take_range(struct area_map *map, const struct want *want)
{
    struct node_plan plan = {.count = 0};
    uint32_t taken = NODE_NONE;
    for (;;) {
        vaddr_t start = 0;
        uint32_t node = find_range(map, want, &start);
        if (node == NODE_NONE)
            break;
        const struct mem_area *area = area_get(node);
        vaddr_t end = start + bytes_of(want->pages);
        unsigned needed =
            (start > area->start ? 1u : 0u) + (end < area_end(area) ? 1u : 0u);
        plan_take(map, &plan, needed);
        if (unlikely(plan.count < needed)) {
            lock_drop(&map->lock);
            int err = plan_fill(&plan, needed);
            lock_take(&map->lock);
            if (err != 0)
                break;
            continue;
        }
        if (prepare_both(map, start, end) == 0)
            taken = take_piece(map, node, start, want->pages, &plan);
        break;
    }
    plan_return(map, &plan);
    return taken;
}

/*
 * The same for a want without limits, alignment or guards to see to, when all
 * that is needed is at hand: the low end of any range that is large enough.
 * Otherwise NODE_NONE, and nothing has happened.
 */
ALWAYS_INLINE uint32_t take_low(struct area_map *map, size_t pages)
{
    uint32_t node = bin_find(map, pages);
    if (unlikely(node == NODE_NONE))
        return NODE_NONE;
    struct mem_area *area = area_get(node);
    if (area->pages == pages) {
        bin_remove(map, node);
        range_use(map, node);
        return node;
    }
    const vaddr_t end = area->start + bytes_of(pages);
    uint32_t taken = (uint32_t)map->nodes.first;
    if (unlikely(taken == NODE_NONE || !index_is_ready(map, end)))
        return NODE_NONE;
    stock_pop(&map->nodes, area_get(taken)->next, 1);
    cut_low(node, pages, taken);
    range_use(map, taken);
    bin_resize(map, node, area->pages - pages, area->pages);
    start_add(map, node, KIND_FREE);
    return taken;
}

/* A range in use becomes free. */
ALWAYS_INLINE void untake(struct area_map *map, uint32_t node)
{
    map->used--;
    map->used_pages -= area_get(node)->pages;
    free_insert(map, node);
}

/* The words of all pages, for those who asked for them. Without memory for
 * that, the range goes back. */
static NO_INLINE uint32_t words_set(
    struct area_map *map, uint32_t node, uint32_t word)
{
    struct mem_area *area = area_get(node);
    if (verso_i_pagemap_prepare(pagemap_of(map), area->start, area->pages) !=
        0) {
        untake(map, node);
        return NODE_NONE;
    }
    for (size_t i = 0; i < area->pages; i++)
        pagemap_set(pagemap_of(map), area->start + bytes_of(i), word);
    area->flags |= AREA_WORDS;
    return node;
}

static void words_clear(struct area_map *map, uint32_t node)
{
    struct mem_area *area = area_get(node);
    for (size_t i = 1; i < area->pages; i++)
        pagemap_set(pagemap_of(map), area->start + bytes_of(i), 0);
    word_set(map, node, KIND_AREA);
}

/* What is not for callers to ask, or does not go together. */
ALWAYS_INLINE void flags_verify(size_t pages, unsigned flags)
{
    const unsigned lazy = flags & VERSO_AREA_LAZY;
    VERSO_VERIFY((flags & ~AREA_FLAGS_PUBLIC) == 0 && cache_is_valid(flags),
        "area: flags %#x", flags);
    VERSO_VERIFY(
        lazy == 0 || (flags & (VERSO_AREA_BARE | VERSO_AREA_CONTIG)) == 0,
        "area: flags %#x: lazy, and bare or contiguous", flags);
    VERSO_VERIFY((flags & VERSO_AREA_CONTIG) == 0 || pages <= CONTIG_MAX,
        "area: %zu contiguous pages (at most %u)", pages, CONTIG_MAX);
}

/* Write and execute come with read. */
ALWAYS_INLINE unsigned rights_complete(unsigned flags)
{
    return flags & (VERSO_WRITE | VERSO_EXEC) ? flags | VERSO_READ : flags;
}

ALWAYS_INLINE void request_verify(
    const struct area_map *map, const struct verso_area_request *r)
{
    VERSO_VERIFY(r->pages > 0, "area: alloc of 0 pages");
    VERSO_VERIFY(r->align == 0 || is_power2(r->align),
        "area: alignment %zu is no power of two", r->align);
    VERSO_VERIFY(
        r->fixed == 0 || (is_page_aligned(r->fixed) &&
                             r->fixed - map->start < bytes_of(map->pages)),
        "area: fixed address %p is unaligned or outside %p, %zu pages",
        (void *)r->fixed, (void *)map->start, map->pages);
}

static struct want want_of(const struct verso_area_request *r)
{
    size_t below = (r->flags & VERSO_AREA_GUARD_BELOW) ? 1 : 0;
    size_t above = (r->flags & VERSO_AREA_GUARD_ABOVE) ? 1 : 0;
    struct want want = {r->pages + below + above, below, r->pages,
        r->align > VERSO_PAGE_SIZE ? r->align : VERSO_PAGE_SIZE, 0,
        UINTPTR_MAX};
    if (r->max > 0) {
        want.min = r->min;
        want.last = r->max - 1;
    } else if (r->min > 0) {
        want.min = r->min;
    }
    if (r->fixed != 0) {
        want.min = r->fixed;
        want.last = r->fixed + bytes_of(r->pages) - 1;
        want.align = VERSO_PAGE_SIZE;
    }
    return want;
}

/* Only pages and flags are asked for, and no guards. */
ALWAYS_INLINE bool is_simple(const struct verso_area_request *r)
{
    return (r->flags & VERSO_AREA_GUARD) == 0 && r->align <= VERSO_PAGE_SIZE &&
           (r->min | r->max | r->fixed) == 0;
}

static NO_INLINE uint32_t take_wanted(
    struct area_map *map, const struct verso_area_request *request)
{
    if (request->pages > map->pages)
        return NODE_NONE;
    (void)limbo_pop(map, LIMBO_BATCH);
    struct want want = want_of(request);
    return take_range(map, &want);
}

/* What the range is for. */
ALWAYS_INLINE void describe_use(
    struct mem_area *area, unsigned flags, const char *name)
{
    area->flags = (flags & VERSO_RIGHTS_MASK) == 0 ? flags | VERSO_RW
                                                   : rights_complete(flags);
    area->name = name;
}

/* A range of which only pages and flags are asked for; or NODE_NONE: by
 * take_wanted(). The lock is held. */
ALWAYS_INLINE uint32_t take_simple(struct area_map *map, size_t pages)
{
    if (unlikely(map->limbo_first != NODE_NONE))
        limbo_pop(map, LIMBO_BATCH);
    return take_low(map, pages);
}

/* Takes a range and says what it is for. The lock is taken, and dropped. */
static uint32_t take(struct area_map *map,
    const struct verso_area_request *request, uint32_t page_word)
{
    uint32_t node = NODE_NONE;
    request_verify(map, request);
    lock_take(&map->lock);
    if (likely(is_simple(request) && request->pages <= HUGE_PAGES))
        node = take_simple(map, request->pages);
    if (unlikely(node == NODE_NONE))
        node = take_wanted(map, request);
    if (likely(node != NODE_NONE)) {
        describe_use(area_get(node), request->flags, request->name);
        if (page_word != 0)
            node = words_set(map, node, page_word);
    }
    unlock(map);
    return node;
}

/* There is no memory for a range just taken: it goes back. */
static NO_INLINE void fill_failed(struct area_map *map, uint32_t node)
{
    lock_take(&map->lock);
    if (area_get(node)->flags & AREA_WORDS)
        words_clear(map, node);
    untake(map, node);
    unlock(map);
}

/* Memory for a range just taken; on failure the range goes back. */
static uint32_t fill(struct area_map *map, uint32_t node)
{
    struct mem_area *area = area_get(node);
    size_t pages;
    vaddr_t va = verso_i_area_usable(area, &pages);
    if (!verso_host_in_interrupt() &&
        verso_back_commit(map->space, va, pages, back_flags(area->flags)) == 0)
        return node;
    fill_failed(map, node);
    return NODE_NONE;
}

uint32_t verso_i_area_alloc(struct area_map *map,
    const struct verso_area_request *request, uint32_t page_word)
{
    uint32_t node = take(map, request, page_word);
    if (node == NODE_NONE ||
        (request->flags & (VERSO_AREA_LAZY | VERSO_AREA_BARE)) != 0)
        return node;
    return fill(map, node);
}

/* ---- free ---- */

/* Takes the memory away, then the range waits for the flush. */
static NO_INLINE void empty_and_free(struct area_map *map, uint32_t node)
{
    struct mem_area *area = area_get(node);
    size_t pages;
    vaddr_t va = verso_i_area_usable(area, &pages);
    lock_take(&map->lock);
    if (area->flags & AREA_WORDS)
        words_clear(map, node);
    area->kind = KIND_LIMBO;
    word_set(map, node, KIND_LIMBO);
    map->used--;
    map->used_pages -= area->pages;
    map->limbo_pages += area->pages;
    lock_drop(&map->lock);
    uint32_t flush = verso_back_release(map->space, va, pages);
    lock_take(&map->lock);
    map->limbo_pages -= area->pages;
    if (verso_back_done(flush))
        free_insert(map, node);
    else
        limbo_push(map, node, flush);
    unlock(map);
}

ALWAYS_INLINE void bare_free(struct area_map *map, uint32_t node)
{
    lock_take(&map->lock);
    untake(map, node);
    unlock(map);
}

void verso_i_area_free(struct area_map *map, uint32_t node)
{
    if (unlikely((area_get(node)->flags & VERSO_AREA_BARE) != 0))
        bare_free(map, node);
    else
        empty_and_free(map, node);
}

/* ---- the public calls ---- */

/* Flags of areas whose first page is not what callers know them by. */
#define NOT_PLAIN (VERSO_AREA_GUARD_BELOW | AREA_HEAP)

/* The area whose first usable page is at `address`; panics if there is none. */
static NO_INLINE uint32_t get_by_address(
    const struct area_map *map, const void *address, const char *what)
{
    vaddr_t va = (vaddr_t)address;
    VERSO_VERIFY(va - map->start < bytes_of(map->pages),
        "area: %s of %p, which is outside %p, %zu pages", what, address,
        (void *)map->start, map->pages);
    uint32_t node = verso_i_area_find(map, va);
    const struct mem_area *area = area_get(node);
    VERSO_VERIFY(area->kind == KIND_AREA,
        "area: %s of %p, which is free (range %p, %zu pages)", what, address,
        (void *)area->start, area->pages);
    VERSO_VERIFY(verso_i_area_usable(area, NULL) == va &&
                     (area->flags & AREA_WORDS) == 0,
        "area: %s of %p, which is inside %p, %zu pages, %s", what, address,
        (void *)area->start, area->pages,
        area->name != NULL ? area->name : "no name");
    return node;
}

void *verso_area_alloc_as(const struct verso_area_request *request)
{
    flags_verify(request->pages, request->flags);
    if (verso_host_in_interrupt() || rights_are_refused(request->flags))
        return NULL;
    uint32_t node = verso_i_area_alloc(&kernel_map, request, 0);
    if (node == NODE_NONE)
        return NULL;
    return (void *)verso_i_area_usable(area_get(node), NULL);
}

static NO_INLINE void *alloc_other(size_t pages, unsigned flags)
{
    const struct verso_area_request request = {.pages = pages, .flags = flags};
    return verso_area_alloc_as(&request);
}

/* Flags of which there is nothing to be checked, nor to be kept apart. */
#define FLAGS_SIMPLE                                                           \
    (VERSO_RW | VERSO_USER | VERSO_AREA_BARE | VERSO_AREA_ZERO |               \
        VERSO_AREA_UNZEROED | VERSO_AREA_LOW)

/* What is simple, here and now; all else by verso_area_alloc_as(). */
void *verso_area_alloc(size_t pages, unsigned flags)
{
    struct area_map *map = &kernel_map;
    if (unlikely((flags & ~FLAGS_SIMPLE) != 0 || pages - 1 >= HUGE_PAGES))
        return alloc_other(pages, flags);
    if (verso_host_in_interrupt())
        return NULL;
    lock_take(&map->lock);
    uint32_t node = take_simple(map, pages);
    if (likely(node != NODE_NONE))
        describe_use(area_get(node), flags, NULL);
    lock_drop(&map->lock);
    if (unlikely(node == NODE_NONE))
        return alloc_other(pages, flags);
    const struct mem_area *area = area_get(node);
    if (likely((flags & VERSO_AREA_BARE) != 0 ||
               verso_back_commit(map->space, area->start, pages,
                   back_flags(area->flags)) == 0))
        return (void *)area->start;
    fill_failed(map, node);
    return NULL;
}

/* Of an address that may be no plain area's first page. */
static NO_INLINE void free_other(struct area_map *map, const void *address)
{
    uint32_t node = get_by_address(map, address, "free");
    VERSO_VERIFY((area_get(node)->flags & AREA_HEAP) == 0,
        "area: free of %p, an object of alloc", address);
    verso_i_area_free(map, node);
}

void verso_area_free(void *address)
{
    const unsigned asked = NOT_PLAIN | VERSO_AREA_BARE;
    struct area_map *map = &kernel_map;
    VERSO_VERIFY(!verso_host_in_interrupt(), "area: free of %p in an interrupt",
        address);
    uint32_t word = pagemap_get(pagemap_of(map), (vaddr_t)address);
    uint32_t node = pagemap_node(word);
    if (unlikely(pagemap_kind(word) != KIND_AREA ||
                 area_get(node)->start != (vaddr_t)address))
        free_other(map, address);
    else if ((area_get(node)->flags & asked) == VERSO_AREA_BARE)
        bare_free(map, node);
    else if ((area_get(node)->flags & asked) == 0)
        empty_and_free(map, node);
    else
        free_other(map, address);
}

/* The end of a used range moves up into the free one behind it. Memory first,
 * under the lock: then nothing can fail. */
static int grow_locked(struct area_map *map, uint32_t node, size_t more)
{
    struct mem_area *area = area_get(node);
    uint32_t next = area->next;
    size_t usable;
    vaddr_t va = verso_i_area_usable(area, &usable);
    if (next == NODE_NONE || area_get(next)->kind != KIND_FREE ||
        area_get(next)->pages < more)
        return VERSO_NO_MEMORY;
    struct mem_area *room = area_get(next);
    vaddr_t before = room->start, after = before + bytes_of(more);
    if (room->pages > more && index_prepare(map, after) != 0)
        return VERSO_NO_MEMORY;
    if ((area->flags & (VERSO_AREA_LAZY | VERSO_AREA_BARE)) == 0 &&
        verso_back_commit(map->space, va + bytes_of(usable), more,
            back_flags(area->flags)) != 0) {
        if (room->pages > more)
            index_unprepare(map, after);
        return VERSO_NO_MEMORY;
    }
    bin_remove(map, next);
    area->pages += more;
    map->used_pages += more;
    if (room->pages == more) {
        start_remove(map, before);
        area->next = room->next;
        if (area->next != NODE_NONE)
            area_get(area->next)->prev = node;
        stock_add(map, next);
        return 0;
    }
    room->start = after;
    room->pages -= more;
    start_add(map, next, KIND_FREE); /* first: then what it needs stays */
    start_remove(map, before);
    bin_insert(map, next);
    return 0;
}

/* Cuts the end of a used range off, as a used range of its own that has what
 * guard there was; the caller frees it. */
static int shrink_locked(
    struct area_map *map, uint32_t node, size_t less, struct node_plan *plan)
{
    struct mem_area *area = area_get(node);
    size_t keep = area->pages - less;
    vaddr_t start = area->start + bytes_of(keep);
    if (index_prepare(map, start) != 0)
        return VERSO_NO_MEMORY;
    uint32_t tail_node = plan->node[--plan->count];
    struct mem_area *tail = area_get(tail_node);
    *tail = *area;
    tail->start = start;
    tail->pages = less;
    tail->flags &= ~(unsigned)VERSO_AREA_GUARD;
    tail->prev = node;
    area->next = tail_node;
    if (tail->next != NODE_NONE)
        area_get(tail->next)->prev = tail_node;
    area->pages = keep;
    map->used++;
    start_add(map, tail_node, KIND_AREA);
    plan->node[plan->count++] = tail_node;
    return 0;
}

/* After a shrink, the guard above is where a page was. That page's flush is
 * older than the one that what is cut off will wait for, and before that one
 * is done the area cannot grow again: nobody need wait for it. */
static void guard_clear(struct area_map *map, const struct mem_area *area)
{
    if ((area->flags & VERSO_AREA_GUARD_ABOVE) == 0 ||
        (area->flags & VERSO_AREA_BARE) != 0)
        return;
    vaddr_t guard = area_end(area) - VERSO_PAGE_SIZE;
    uint32_t flush = verso_back_release(map->space, guard, 1);
    (void)flush;
}

static int resize(struct area_map *map, uint32_t node, size_t pages)
{
    struct node_plan plan = {.count = 0};
    struct mem_area *area = area_get(node);
    size_t usable;
    (void)verso_i_area_usable(area, &usable);
    if (pages == usable)
        return 0;
    if (area->flags & VERSO_AREA_CONTIG)
        return VERSO_BAD_ARG;
    if (verso_host_in_interrupt())
        return VERSO_BUSY;
    if (pages < usable && plan_fill(&plan, 1) != 0)
        return VERSO_NO_MEMORY;
    lock_take(&map->lock);
    limbo_pop(map, LIMBO_BATCH);
    int err = pages > usable ? grow_locked(map, node, pages - usable)
                             : shrink_locked(map, node, usable - pages, &plan);
    bool cut = pages < usable && err == 0;
    if (!cut)
        plan_return(map, &plan);
    unlock(map);
    if (cut) {
        guard_clear(map, area);
        verso_i_area_free(map, plan.node[0]);
    }
    return err;
}

int verso_area_resize(void *address, size_t pages)
{
    uint32_t node = get_by_address(&kernel_map, address, "resize");
    VERSO_VERIFY(pages > 0, "area: resize of %p to 0 pages", address);
    return resize(&kernel_map, node, pages);
}

static int protect(struct area_map *map, uint32_t node, unsigned rights)
{
    struct mem_area *area = area_get(node);
    size_t pages;
    vaddr_t va = verso_i_area_usable(area, &pages);
    int err = 0;
    if (verso_host_in_interrupt())
        return VERSO_BUSY;
    rights = rights_complete(rights);
    if (rights_are_refused(rights))
        return VERSO_DENIED;
    if ((area->flags & VERSO_AREA_BARE) == 0)
        err = verso_back_protect(map->space, va, pages, rights);
    if (err == 0) {
        lock_take(&map->lock);
        area->flags = (area->flags & ~VERSO_RIGHTS_MASK) | rights;
        lock_drop(&map->lock);
    }
    return err;
}

int verso_area_protect(void *address, unsigned rights)
{
    uint32_t node = get_by_address(&kernel_map, address, "protect");
    VERSO_VERIFY((rights & ~VERSO_RIGHTS_MASK) == 0,
        "area: protect of %p with rights %#x", address, rights);
    return protect(&kernel_map, node, rights);
}

int verso_i_area_info(
    struct area_map *map, vaddr_t va, struct verso_area_info *info)
{
    if (va - map->start >= bytes_of(map->pages))
        return VERSO_ABSENT;
    lock_take(&map->lock);
    uint32_t node = verso_i_area_find(map, va);
    if (node == NODE_NONE) { /* a slab that is being made */
        lock_drop(&map->lock);
        return VERSO_ABSENT;
    }
    const struct mem_area *area = area_get(node);
    bool used = area->kind == KIND_AREA;
    if (used) {
        info->start = verso_i_area_usable(area, &info->pages);
        info->flags = area->flags & AREA_FLAGS_PUBLIC;
        info->name = area->name != NULL ? area->name : "";
        info->guard = va - info->start >= bytes_of(info->pages);
    }
    lock_drop(&map->lock);
    return used ? 0 : VERSO_ABSENT;
}

int verso_area_find(const void *address, struct verso_area_info *info)
{
    return verso_i_area_info(&kernel_map, (vaddr_t)address, info);
}

/* ---- the same for others' maps: what callers ask for is not trusted ---- */

/* Would a request to the kernel's map panic? */
static bool is_misuse(
    const struct area_map *map, const struct verso_area_request *r)
{
    const unsigned flags = r->flags;
    bool lazy = (flags & VERSO_AREA_LAZY) != 0;
    bool contig = (flags & VERSO_AREA_CONTIG) != 0;
    return r->pages == 0 || (r->align != 0 && !is_power2(r->align)) ||
           (flags & ~AREA_FLAGS_PUBLIC) != 0 || !cache_is_valid(flags) ||
           (lazy && (contig || (flags & VERSO_AREA_BARE) != 0)) ||
           (contig && r->pages > CONTIG_MAX) ||
           (r->fixed != 0 &&
               (!is_page_aligned(r->fixed) ||
                   r->fixed - map->start >= bytes_of(map->pages)));
}

/* Why was there no area: because the very addresses asked for are in use, or
 * not all there, those of guards included? */
static int place_failed(
    struct area_map *map, const struct verso_area_request *request)
{
    const size_t before = (request->fixed - map->start) >> VERSO_PAGE_SHIFT;
    vaddr_t start;
    if (request->fixed == 0)
        return VERSO_NO_MEMORY;
    struct want want = want_of(request);
    const size_t above = want.pages - want.guard_below - want.usable;
    if (before < want.guard_below ||
        request->pages > map->pages - before - above)
        return VERSO_BAD_ARG;
    lock_take(&map->lock);
    const struct mem_area *area =
        area_get(verso_i_area_find(map, request->fixed));
    bool used = area->kind == KIND_AREA ||
                (area->kind == KIND_FREE && !fits(area, &want, &start));
    lock_drop(&map->lock);
    return used ? VERSO_EXISTS : VERSO_NO_MEMORY;
}

int verso_i_area_place(struct area_map *map,
    const struct verso_area_request *request, vaddr_t *address)
{
    if (is_misuse(map, request))
        return VERSO_BAD_ARG;
    if (verso_host_in_interrupt())
        return VERSO_BUSY;
    if (rights_are_refused(request->flags))
        return VERSO_DENIED;
    uint32_t node = verso_i_area_alloc(map, request, 0);
    if (node == NODE_NONE)
        return place_failed(map, request);
    *address = verso_i_area_usable(area_get(node), NULL);
    return 0;
}

/* The area whose first usable page is at `va`. */
static int get_placed(const struct area_map *map, vaddr_t va, uint32_t *node)
{
    if (va - map->start >= bytes_of(map->pages))
        return VERSO_ABSENT;
    *node = verso_i_area_find(map, va);
    if (*node == NODE_NONE) /* a slab that is being made */
        return VERSO_ABSENT;
    const struct mem_area *area = area_get(*node);
    bool is = area->kind == KIND_AREA && (area->flags & AREA_WORDS) == 0 &&
              verso_i_area_usable(area, NULL) == va;
    return is ? 0 : VERSO_ABSENT;
}

int verso_i_area_remove(struct area_map *map, vaddr_t va)
{
    uint32_t node;
    int err = get_placed(map, va, &node);
    if (err == 0 && verso_host_in_interrupt())
        return VERSO_BUSY;
    if (err == 0)
        verso_i_area_free(map, node);
    return err;
}

int verso_i_area_resize(struct area_map *map, vaddr_t va, size_t pages)
{
    uint32_t node;
    int err = get_placed(map, va, &node);
    if (err != 0)
        return err;
    return pages > 0 ? resize(map, node, pages) : VERSO_BAD_ARG;
}

int verso_i_area_protect(struct area_map *map, vaddr_t va, unsigned rights)
{
    uint32_t node;
    int err = get_placed(map, va, &node);
    if (err != 0)
        return err;
    if ((rights & ~VERSO_RIGHTS_MASK) != 0)
        return VERSO_BAD_ARG;
    return protect(map, node, rights);
}

int verso_i_area_touch(struct area_map *map, vaddr_t va, unsigned wanted)
{
    if (va - map->start >= bytes_of(map->pages))
        return VERSO_ABSENT;
    lock_take(&map->lock);
    uint32_t node = area_find(map, va);
    if (unlikely(node == NODE_NONE)) {
        lock_drop(&map->lock);
        return VERSO_ABSENT;
    }
    const struct mem_area *area = area_get(node);
    unsigned flags = area->flags;
    bool ours = area->kind == KIND_AREA && (flags & VERSO_AREA_LAZY) != 0 &&
                (flags & wanted) == wanted && !is_guard(area, va);
    lock_drop(&map->lock);
    if (!ours)
        return VERSO_ABSENT;
    unsigned back = back_flags(flags) & ~VERSO_BACK_CONTIG;
    if ((flags & VERSO_AREA_UNZEROED) == 0)
        back |= VERSO_BACK_ZERO;
    return verso_back_commit(
        map->space, round_down(va, VERSO_PAGE_SIZE), 1, back);
}

/* ---- start, drain, check, report ---- */

/* Where the map lies, and its index, are set; all else is 0. */
static int map_start(struct area_map *map)
{
    map->lock.name = "area";
    map->nodes.room = STOCK_MAX;
    uint32_t node = verso_i_node_alloc();
    if (node == NODE_NONE)
        return VERSO_NO_MEMORY;
    if (index_prepare(map, map->start) != 0) {
        verso_i_node_free(node);
        return VERSO_NO_MEMORY;
    }
    struct mem_area *area = area_get(node);
    memset(area, 0, sizeof(*area));
    area->start = map->start;
    area->pages = map->pages;
    start_add(map, node, KIND_FREE);
    bin_insert(map, node);
    return 0;
}

int verso_i_area_init(const struct verso_boot *boot)
{
    struct heap_layout layout = verso_i_heap_layout(boot);
    kernel_map.start = layout.area_start;
    kernel_map.pages = layout.area_pages;
    kernel_map.pagemap = &verso_i_pagemap;
    return map_start(&kernel_map);
}

int verso_i_area_map_init(
    struct area_map *map, struct space *space, vaddr_t start, size_t pages)
{
    memset(map, 0, sizeof(*map));
    if (!is_page_range(start, pages))
        return VERSO_BAD_ARG;
    map->space = space;
    map->start = start;
    map->pages = pages;
    verso_i_radix_init(&map->radix, pages);
    return map_start(map);
}

/* Range after range goes, with its word and its node, used or not. */
void verso_i_area_map_fini(struct area_map *map)
{
    VERSO_VERIFY(map != &kernel_map, "area: the kernel's map is to stay");
    lock_take(&map->lock);
    uint32_t node = verso_i_area_find(map, map->start);
    while (node != NODE_NONE) {
        const struct mem_area *area = area_get(node);
        size_t pages;
        vaddr_t va = verso_i_area_usable(area, &pages);
        uint32_t next = area->next, flush = 0;
        if (area->kind == KIND_AREA && (area->flags & VERSO_AREA_BARE) == 0)
            flush = verso_back_release(map->space, va, pages);
        if (!verso_back_done(flush))
            (void)verso_back_drain();
        start_remove(map, area->start);
        verso_i_node_free(node);
        node = next;
    }
    VERSO_ASSERT(map->radix.nodes == 0);
    unlock_and_give(map, SIZE_MAX);
    memset(map, 0, sizeof(*map));
}

bool verso_i_area_map_drain(struct area_map *map)
{
    (void)verso_back_drain();
    lock_take(&map->lock);
    bool progress = limbo_pop(map, SIZE_MAX) > 0;
    if (pagemap_of(map) != NULL)
        progress |= verso_i_pagemap_drain();
    progress |= map->nodes.first != NODE_NONE;
    unlock_and_give(map, SIZE_MAX);
    return progress;
}

bool verso_i_area_drain(void)
{
    return verso_i_area_map_drain(&kernel_map);
}

static size_t free_pages(const struct area_map *map)
{
    return map->pages - map->used_pages - map->limbo_pages;
}

static size_t largest_free(const struct area_map *map)
{
    size_t largest = 0;
    if (map->rows == 0)
        return 0;
    unsigned row = bit_highest(map->rows);
    unsigned slot = bit_highest(map->slots[row]);
    for (uint32_t n = map->bin[row][slot]; n != NODE_NONE;
         n = area_get(n)->bin.next)
        if (area_get(n)->pages > largest)
            largest = area_get(n)->pages;
    return largest;
}

void verso_i_area_map_stats(
    struct area_map *map, struct verso_area_stats *stats)
{
    lock_take(&map->lock);
    stats->used = map->used;
    stats->free = map->free;
    stats->limbo = map->limbo;
    stats->used_pages = map->used_pages;
    stats->free_pages = free_pages(map);
    stats->largest_free = largest_free(map);
    stats->nodes = verso_i_node.used;
    lock_drop(&map->lock);
}

void verso_area_stats(struct verso_area_stats *stats)
{
    verso_i_area_map_stats(&kernel_map, stats);
}

struct area_count {
    size_t kind[KIND_SLAB], pages[KIND_SLAB];
};

static const char *check_range(
    const struct area_map *map, uint32_t node, struct area_count *count)
{
    const struct mem_area *area = area_get(node);
    uint32_t word = index_get(map, area->start);
    bool words = (area->flags & AREA_WORDS) != 0 && area->kind == KIND_AREA;
    if (area->kind < KIND_FREE || area->kind > KIND_LIMBO || area->pages == 0)
        return "area.1: a range has a kind and a size";
    if (index_find_start(map, area_end(area) - 1) != area->start)
        return "area.3: the only start bit of a range is its first page's";
    if (!words && word != pagemap_word((enum pagemap_kind)area->kind,
                              PAGEMAP_CLASS_NONE, node))
        return "area.3: the pagemap knows every range";
    if (words && verso_i_area_find(map, area->start) != node)
        return "area.3: who overrides a word keeps the area";
    if (area->next != NODE_NONE && area->kind == KIND_FREE &&
        area_get(area->next)->kind == KIND_FREE)
        return "area.2: free neighbours are merged";
    count->kind[area->kind]++;
    count->pages[area->kind] += area->pages;
    return NULL;
}

static const char *check_bins(const struct area_map *map)
{
    size_t found = 0;
    for (unsigned row = 0; row < BIN_ROWS; row++) {
        for (unsigned slot = 0; slot < BIN_SLOTS; slot++) {
            uint32_t node = map->bin[row][slot];
            if ((node != NODE_NONE) != ((map->slots[row] >> slot & 1) != 0))
                return "area.4: the bitmaps say which bins are filled";
            for (; node != NODE_NONE; node = area_get(node)->bin.next) {
                struct bin bin = bin_of(area_get(node)->pages);
                if (area_get(node)->kind != KIND_FREE || bin.row != row ||
                    bin.slot != slot || found++ > map->free)
                    return "area.4: a free range is in the bin of its size";
            }
        }
        if ((map->slots[row] != 0) != ((map->rows >> row & 1) != 0))
            return "area.4: the bitmaps say which rows are filled";
    }
    return found == map->free ? NULL : "area.4: every free range is in a bin";
}

const char *verso_i_area_map_check(const struct area_map *map)
{
    struct area_count count = {0};
    vaddr_t at = map->start;
    uint32_t prev = NODE_NONE;
    uint32_t node = verso_i_area_find(map, at);
    while (node != NODE_NONE) {
        const struct mem_area *area = area_get(node);
        if (area->start != at || area->prev != prev ||
            !verso_i_node_is_used(node)) {
            verso_print("range %p, %zu pages; expected at %p\n",
                (void *)area->start, area->pages, (void *)at);
            return "area.1: the ranges touch, in order";
        }
        const char *broken = check_range(map, node, &count);
        if (broken != NULL) {
            verso_print("range %p, %zu pages, kind %u\n", (void *)area->start,
                area->pages, area->kind);
            return broken;
        }
        at = area_end(area);
        prev = node;
        node = area->next;
    }
    if (at != map->start + bytes_of(map->pages))
        return "area.1: the ranges cover the map";
    if (count.kind[KIND_FREE] != map->free ||
        count.kind[KIND_AREA] != map->used ||
        count.kind[KIND_LIMBO] != map->limbo ||
        count.pages[KIND_LIMBO] != map->limbo_pages ||
        count.pages[KIND_AREA] != map->used_pages)
        return "area.5: every range and page is counted";
    const char *broken = check_bins(map);
    if (broken == NULL && pagemap_of(map) == NULL)
        broken = verso_i_radix_check(&map->radix);
    return broken;
}

const char *verso_i_area_check(void)
{
    return verso_i_area_map_check(&kernel_map);
}

/* "mapped lazy bare", "guard", ...: how an area is backed. */
static void flags_print(unsigned flags)
{
    verso_print("%c%c%c %s%s%s%s", (flags & VERSO_READ) ? 'r' : '-',
        (flags & VERSO_WRITE) ? 'w' : '-', (flags & VERSO_EXEC) ? 'x' : '-',
        (flags & VERSO_AREA_BARE)   ? "bare"
        : (flags & VERSO_AREA_LAZY) ? "lazy"
                                    : "mapped",
        (flags & VERSO_AREA_GUARD) ? " guarded" : "",
        (flags & VERSO_AREA_CONTIG) ? " contiguous" : "",
        (flags & AREA_WORDS) ? " slab" : "");
}

static void range_print(const struct mem_area *area)
{
    verso_print("%08zx-%08zx %7zu pages  ", (size_t)area->start,
        (size_t)(area_end(area) - 1), area->pages);
    if (area->kind == KIND_AREA) {
        flags_print(area->flags);
        verso_print("%s%s\n", area->name != NULL ? "  " : "",
            area->name != NULL ? area->name : "");
    } else {
        verso_print("%s\n", area->kind == KIND_FREE ? "free" : "in limbo");
    }
}

void verso_i_area_map_report(const struct area_map *map)
{
    const size_t most = 40;
    size_t shown = 0, slabs = 0, slab_pages = 0;
    uint32_t node = verso_i_area_find(map, map->start);
    for (; node != NODE_NONE; node = area_get(node)->next) {
        const struct mem_area *area = area_get(node);
        if (area->kind == KIND_AREA && (area->flags & AREA_WORDS) != 0) {
            slabs++;
            slab_pages += area->pages;
        } else if (shown++ < most) {
            verso_print("area: ");
            range_print(area);
        }
    }
    if (shown > most)
        verso_print("area: ... and %zu more\n", shown - most);
    verso_print("areas: %zu in use (%zu pages), of them %zu slabs (%zu pages); "
                "%zu free ranges (%zu pages, the largest %zu); %zu in limbo\n",
        map->used, map->used_pages, slabs, slab_pages, map->free,
        free_pages(map), largest_free(map), map->limbo);
}

void verso_i_area_report(void)
{
    verso_i_area_map_report(&kernel_map);
}

void verso_i_area_describe(const struct area_map *map, vaddr_t va)
{
    uint32_t node = verso_i_area_find(map, va);
    if (node == NODE_NONE) {
        verso_print("%p: in a slab that is being made\n", (void *)va);
        return;
    }
    const struct mem_area *area = area_get(node);
    size_t pages;
    vaddr_t start = verso_i_area_usable(area, &pages);
    verso_print("%p: ", (void *)va);
    if (area->kind == KIND_AREA && va - start >= bytes_of(pages))
        verso_print("in a guard page of ");
    else if (area->kind == KIND_AREA)
        verso_print("byte %zu of ", (size_t)(va - start));
    range_print(area);
    if (area->prev != NODE_NONE) {
        verso_print("  before it: ");
        range_print(area_get(area->prev));
    }
    if (area->next != NODE_NONE) {
        verso_print("  behind it: ");
        range_print(area_get(area->next));
    }
}
