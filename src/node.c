/* SPDX-License-Identifier: MIT */
/*
 * node - the descriptors of areas and slabs, and why nothing loops for ever.
 *
 * An area is described by a struct mem_area, a slab by a struct slab_entry.
 * Were these objects of the heap, an area would need alloc for its descriptor,
 * and alloc an area for its slab. So they have pages of their own, in one
 * window of addresses that is set apart at start: pages are committed there
 * one at a time, the lowest first, straight from back.
 *
 *     window   +---------+---------+---------+- - - - -
 *              |h n n n n|h n n n n|h n n n n|  absent
 *              +---------+---------+---------+- - - - -
 *     index     0 1 2 ..  128 ...             h: struct node_page
 *
 * All nodes have one size, and node.c knows no more of them than that.
 *
 * The argument (design section 5). Write A -> B for "A may call B":
 *
 *     alloc -> slab -> area -> pagemap -> back -> paging -> frame
 *                 \      \ `-> radix       ^
 *                  `------`---> node -----'      radix -> node
 *
 * There is no cycle, so every chain of calls ends. How much an operation can
 * need is arithmetic. Each area, used or free, is one node, so an operation on
 * areas needs as many nodes as there are pieces after it, less those before:
 *
 *     exact fit                    1 -> 1    0
 *     taken from an end            1 -> 2    1
 *     taken from the middle        1 -> 3    2
 *     growth of a slab             a middle, and a slab_entry: 3 at the most
 *     free                         merging only lowers the number: 0
 *                                  (a free that finds that an interrupt was
 *                                  short of objects then grows the cache in
 *                                  its stead, and may fail at that unseen)
 *
 * In a map of a user's addresses each new start needs a node a level besides,
 * at the most, for its way through the radix tree; the last start there takes
 * them with it.
 *
 * They are taken before the area lock, or from the stock of the map; what is
 * not needed goes back. A refill of node itself takes one frame and at most
 * one table a level below the root, and no node: its depth is 1, which is
 * counted here, and asserted. A free frees nodes and never needs one; it frees
 * at most one area and two nodes, and empty node pages are given back by drain
 * alone, in a loop: no chain of frees exists.
 *
 * Invariants:
 *   1. a page is absent, or its carve is valid.
 *   2. a page is in `partial` if and only if it is not absent and not full.
 *   3. the nodes in use are as many as were counted, and so are the pages.
 *   4. the depth of refills was never above 1.
 *
 * Lock: node. Cost: constant.
 * Source: Bonwick and Adams, "Magazines and Vmem", 2001, section 4, let vmem
 * keep a private reserve of segment structures and come back through itself;
 * a window of its own makes the graph a line.
 */
#include "node.h"

#include <verso/back.h>

struct node_state verso_i_node VERSO_STATE;

static const struct carve_shape shape = {NODE_SIZE, 0, NODES_A_PAGE};

static size_t parts_of(size_t whole, size_t part)
{
    return (whole + part - 1) / part;
}

struct heap_layout verso_i_heap_layout(const struct verso_boot *boot)
{
    const size_t pages = boot->heap_pages;
    struct heap_layout l;
    /* for the heap, or for all addresses if they have 32 bits */
    size_t mapped = sizeof(vaddr_t) == 4 ? PAGEMAP_REGION_PAGES : pages;
    size_t leaves = parts_of(mapped, PAGEMAP_LEAF_PAGES);
    size_t regions = parts_of(mapped, PAGEMAP_REGION_PAGES);
    l.mapped_pages = leaves * PAGEMAP_LEAF_PAGES;
    l.map_pages = regions * (1 + PAGEMAP_SUMS) + parts_of(leaves, 32) + leaves;
    l.node_pages = pages / 128 < 16 ? 16 : pages / 128;
    if (l.node_pages > BITSET_MAX)
        l.node_pages = BITSET_MAX;
    VERSO_VERIFY(pages > 2 * (l.map_pages + l.node_pages) &&
                     is_page_range(boot->heap_start, pages),
        "heap: %zu pages at %p are too few, or wrap around", pages,
        (void *)boot->heap_start);
    l.area_pages = pages - l.map_pages - l.node_pages;
    l.area_start = boot->heap_start;
    l.node_start = l.area_start + bytes_of(l.area_pages);
    l.map_start = l.node_start + bytes_of(l.node_pages);
    return l;
}

static vaddr_t page_va(uint32_t page)
{
    return verso_i_node.start + bytes_of(page);
}

static struct node_page *page_get(uint32_t page)
{
    return (struct node_page *)page_va(page);
}

int verso_i_node_init(const struct verso_boot *boot)
{
    struct heap_layout layout = verso_i_heap_layout(boot);
    verso_i_node.lock.name = "node";
    verso_i_node.start = layout.node_start;
    verso_i_node.window_pages = layout.node_pages;
    bitset_fill(&verso_i_node.absent, (uint32_t)layout.node_pages);
    return 0;
}

/* Commits the lowest absent page. */
static int page_add(void)
{
    uint32_t page = bitset_lowest(&verso_i_node.absent);
    if (page == BITSET_NONE || verso_host_in_interrupt())
        return VERSO_NO_MEMORY;
    verso_i_node.depth++;
    if (verso_i_node.depth > verso_i_node.depth_max)
        verso_i_node.depth_max = verso_i_node.depth;
    VERSO_ASSERT(verso_i_node.depth == 1);
    int err = verso_back_commit(NULL, page_va(page), 1, VERSO_RW);
    verso_i_node.depth--;
    if (err != 0)
        return err;
    page_get(page)->carve =
        (struct carve){NULL, NODES_A_PAGE - 1, 1}; /* slot 0: this */
    bitset_remove(&verso_i_node.absent, page);
    bitset_add(&verso_i_node.partial, page);
    verso_i_node.pages++;
    return 0;
}

uint32_t verso_i_node_alloc(void)
{
    uint32_t node = NODE_NONE;
    lock_take(&verso_i_node.lock);
    if (verso_i_node.partial.top != 0 || page_add() == 0) {
        uint32_t page = bitset_lowest(&verso_i_node.partial);
        struct carve *carve = &page_get(page)->carve;
        void *at = carve_take(carve, shape.link);
        if (at == NULL)
            at = carve_fresh(carve, &shape, page_va(page));
        node = (uint32_t)(((vaddr_t)at - verso_i_node.start) / NODE_SIZE);
        if (--carve->left == 0)
            bitset_remove(&verso_i_node.partial, page);
        verso_i_node.used++;
    }
    lock_drop(&verso_i_node.lock);
    return node;
}

void verso_i_node_free(uint32_t node)
{
    uint32_t page = node / NODES_A_PAGE;
    lock_take(&verso_i_node.lock);
    struct carve *carve = &page_get(page)->carve;
    VERSO_ASSERT(!carve_is_free(carve, &shape, page_va(page), node_get(node)));
    if (carve->left++ == 0)
        bitset_add(&verso_i_node.partial, page);
    carve_give(carve, shape.link, node_get(node));
    verso_i_node.used--;
    lock_drop(&verso_i_node.lock);
}

/* Gives back the pages that hold nothing but their own header. */
bool verso_i_node_drain(void)
{
    bool progress = false;
    lock_take(&verso_i_node.lock);
    for (uint32_t page = 0; page < verso_i_node.window_pages; page++) {
        if (!bitset_has(&verso_i_node.partial, page) ||
            carve_used(&page_get(page)->carve, &shape) > 1)
            continue;
        bitset_remove(&verso_i_node.partial, page);
        if (!verso_back_done(verso_back_release(NULL, page_va(page), 1)))
            (void)verso_back_drain();
        bitset_add(&verso_i_node.absent, page);
        verso_i_node.pages--;
        progress = true;
    }
    lock_drop(&verso_i_node.lock);
    return progress;
}

bool verso_i_node_is_used(uint32_t node)
{
    uint32_t page = node / NODES_A_PAGE;
    if (page >= verso_i_node.window_pages || node % NODES_A_PAGE == 0 ||
        bitset_has(&verso_i_node.absent, page))
        return false;
    const struct carve *carve = &page_get(page)->carve;
    return node % NODES_A_PAGE < carve->carved &&
           !carve_is_free(carve, &shape, page_va(page), node_get(node));
}

const char *verso_i_node_check(void)
{
    size_t used = 0, pages = 0;
    for (uint32_t page = 0; page < verso_i_node.window_pages; page++) {
        bool partial = bitset_has(&verso_i_node.partial, page);
        if (bitset_has(&verso_i_node.absent, page)) {
            if (partial)
                return "node.2: an absent page has no free node";
            continue;
        }
        const struct carve *carve = &page_get(page)->carve;
        if (!carve_is_valid(carve, &shape, page_va(page)) ||
            carve_used(carve, &shape) < 1)
            return "node.1: the free list of a page is sound";
        if (partial != (carve->left > 0))
            return "node.2: partial pages are those with a free node";
        used += carve_used(carve, &shape) - 1;
        pages++;
    }
    if (used != verso_i_node.used || pages != verso_i_node.pages) {
        verso_print("%zu nodes on %zu pages found, %zu on %zu counted\n", used,
            pages, verso_i_node.used, verso_i_node.pages);
        return "node.3: every node and page is counted";
    }
    if (verso_i_node.depth_max > 1)
        return "node.4: a refill never needs another";
    return NULL;
}

void verso_i_node_report(void)
{
    verso_print("nodes: %zu in use, %u bytes each, on %zu pages at %p\n",
        verso_i_node.used, NODE_SIZE, verso_i_node.pages,
        (void *)verso_i_node.start);
}
