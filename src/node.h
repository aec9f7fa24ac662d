/* SPDX-License-Identifier: MIT */
/* node.h - descriptors, named by 32-bit indices. Theory: node.c. */
#ifndef VERSO_SRC_NODE_H
#define VERSO_SRC_NODE_H

#include <verso/init.h>

#include "bitset.h"
#include "carve.h"

/* Room for a descriptor of any kind: eight words. */
#define NODE_SIZE       (8u * (unsigned)sizeof(uintptr_t))
#define NODES_A_PAGE    ((unsigned)VERSO_PAGE_SIZE / NODE_SIZE)
#define NODE_NONE       0u
#define NODE_INDEX_BITS 22u

/* The first slot of a node page describes the page. */
struct node_page {
    struct carve carve;
};

/* How the heap's addresses are shared out: areas first, then the windows of
 * those who describe them. */
struct heap_layout {
    vaddr_t area_start, node_start, map_start;
    size_t area_pages, node_pages, map_pages;
    size_t mapped_pages; /* that the pagemap has words for */
};
struct heap_layout verso_i_heap_layout(const struct verso_boot *boot);

/* The pagemap's windows, which lie in map_pages behind each other: a leaf is a
 * page of words; a region a page of addresses of leaves, and what is known of
 * these. */
#define PAGEMAP_LEAF_PAGES    1024u /* pages that a leaf has words for */
#define PAGEMAP_REGION_LEAVES ((unsigned)(VERSO_PAGE_SIZE / sizeof(vaddr_t)))
#define PAGEMAP_REGION_PAGES  (PAGEMAP_REGION_LEAVES * PAGEMAP_LEAF_PAGES)
#define PAGEMAP_SUMS          (sizeof(vaddr_t) > 4 ? 1u : 2u) /* pages of one */

/* Everything but the window under the lock. */
struct node_state {
    struct lock lock;
    vaddr_t start;       /* the window: constant after init */
    size_t window_pages; /* and so is this */
    size_t used;         /* nodes handed out */
    size_t pages;        /* committed */
    unsigned depth, depth_max;
    struct bitset partial; /* pages with a free node */
    struct bitset absent;  /* pages not committed */
};
extern struct node_state verso_i_node;

int verso_i_node_init(const struct verso_boot *boot);
const char *verso_i_node_check(void);
void verso_i_node_report(void);
bool verso_i_node_drain(void);

/* A node, contents undefined; NODE_NONE: no memory. Not in interrupts. */
VERSO_MUST_CHECK uint32_t verso_i_node_alloc(void);
void verso_i_node_free(uint32_t node);

ALWAYS_INLINE void *node_get(uint32_t node)
{
    VERSO_ASSERT(node != NODE_NONE);
    return (void *)(verso_i_node.start + (uintptr_t)node * NODE_SIZE);
}

/* For checks and reports: could this be a node that is in use? */
bool verso_i_node_is_used(uint32_t node);

#endif
