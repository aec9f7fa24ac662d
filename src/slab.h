/* SPDX-License-Identifier: MIT */
/* slab.h - caches of objects, for the storeys above. Theory: slab.c. */
#ifndef VERSO_SRC_SLAB_H
#define VERSO_SRC_SLAB_H

#include <verso/init.h>
#include <verso/slab.h>

#include "area.h"
#include "carve.h"

/* A slab: some pages, cut into objects of one cache. A node; keys: (c) lock of
 * the cache; the others are constant while it lives. */
struct slab_entry {
    struct area_override area; /* first: the pages are this area's */
    uint32_t next, prev;       /* (c) in one of the cache's lists */
    uint32_t list;             /* (c) enum slab_list */
    vaddr_t page;              /* its first page */
    struct slab_desc *desc;
    struct carve objects; /* (c) free_el and full, in the words of the design */
};
_Static_assert(sizeof(struct slab_entry) <= NODE_SIZE, "an entry is a node");

enum slab_list {
    SLAB_PARTIAL,
    SLAB_FULL,
    SLAB_EMPTY,
    SLAB_LISTS
};

/* Where things are in the room of one object:
 *
 *     left  object ........  link | mark   (right)
 *                            free objects only; inside the object (link = 0)
 *                            unless a constructor needs its bytes
 */
struct slab_layout {
    uint32_t size;   /* as asked for */
    uint32_t stride; /* from object to object */
    uint32_t link;   /* offset of link and mark: two adjacent words */
    bool marked;     /* there is room for the mark */
};

struct slab_desc {
    struct lock lock;
    struct carve_shape shape; /* constant after create, and so to `align` */
    struct slab_layout layout;
    uint32_t inverse; /* of the stride, times 2^32, rounded up */
    uint32_t pages;   /* of one slab */
    uint32_t class;   /* of alloc, or PAGEMAP_CLASS_NONE */
    uint32_t align;
    const char *name;
    void (*constructor)(void *object);
    uint32_t list[SLAB_LISTS];  /* (c) first entry of each */
    uint32_t count[SLAB_LISTS]; /* (c) entries in each */
    bool starved;               /* (c) an interrupt found it empty: refill */
    struct slab_desc *next;     /* all caches: slub lock */
};

int verso_i_slab_init(const struct verso_boot *boot);
const char *verso_i_slab_check(void);
void verso_i_slab_report(void);
bool verso_i_slab_drain(void);

/* Makes a cache in the caller's memory (alloc's classes are an array). */
void verso_i_slab_setup(struct slab_desc *desc,
    const struct verso_slab_params *params, uint32_t class);

void *verso_i_slab_alloc(struct slab_desc *desc, void *caller);
void verso_i_slab_free(struct slab_entry *entry, void *object, void *caller);

/* The slab an address lies in, NULL if none does. */
ALWAYS_INLINE struct slab_entry *slab_find(const void *object)
{
    uint32_t word = pagemap_get(&verso_i_pagemap, (vaddr_t)object);
    if (unlikely(pagemap_kind(word) != KIND_SLAB))
        return NULL;
    return node_get(pagemap_node(word));
}

/* One line on an address in a slab. Takes no lock. */
void verso_i_slab_describe(const struct slab_entry *entry, const void *at);

#endif
