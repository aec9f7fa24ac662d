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
    uint32_t empty;             /* (c) entries of the partial list with no
                                       object in use */
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

/* The slow ways out of the two functions below; theory in slab.c. */
void *verso_i_slab_alloc_slow(struct slab_desc *desc, void *caller);
void verso_i_slab_filled(struct slab_desc *desc, struct slab_entry *entry);
uint32_t verso_i_slab_freed(struct slab_desc *desc, struct slab_entry *entry);
void verso_i_slab_after_free(struct slab_desc *desc, uint32_t unmake);
VERSO_NORETURN void verso_i_slab_free_panic(
    const struct slab_entry *entry, const void *object, const char *why);

/* The key of the marks of free objects. */
extern uintptr_t verso_i_slab_key;

/* Number of the object an offset lies in. Exact while offset * stride < 2^32:
 * a slab has at most 64 KiB, an object 32 KiB. */
ALWAYS_INLINE uint32_t slab_index(
    const struct slab_desc *desc, uintptr_t offset)
{
    return (uint32_t)(((uint64_t)offset * desc->inverse) >> 32);
}

NO_SANITIZE static inline uintptr_t slab_mark_get(
    const void *object, uint32_t link)
{
    return ((const uintptr_t *)((vaddr_t)object + link))[1];
}

NO_SANITIZE static inline void slab_mark_set(
    void *object, uint32_t link, uintptr_t mark)
{
    ((uintptr_t *)((vaddr_t)object + link))[1] = mark;
}

/*
 * The two hot paths are here so that alloc.c has them in line. `plain` says,
 * as a constant, that the cache is one of alloc's: no constructor, link and
 * mark in the first two words.
 */
ALWAYS_INLINE void *slab_alloc(struct slab_desc *desc, bool plain, void *caller)
{
    uintptr_t flags = lock_take_irq(&desc->lock);
    uint32_t node = desc->list[SLAB_PARTIAL];
    if (unlikely(node == NODE_NONE)) {
        lock_drop_irq(&desc->lock, flags);
        return verso_i_slab_alloc_slow(desc, caller);
    }
    struct slab_entry *entry = node_get(node);
    bool fresh = entry->objects.free == NULL;
    void *object = carve_take(&entry->objects, plain ? 0 : desc->shape.link,
        desc->shape.stride, entry->page);
    if (unlikely(entry->objects.used == 1))
        desc->empty--;
    if (unlikely(entry->objects.used == desc->shape.count))
        verso_i_slab_filled(desc, entry);
    lock_drop_irq(&desc->lock, flags);
    if (plain || desc->layout.marked)
        slab_mark_set(object, plain ? 0 : desc->shape.link, 0);
    if (!plain && fresh && desc->constructor != NULL)
        desc->constructor(object);
    (void)caller;
    verso_hook_alloc(object, desc->layout.size, caller);
    return object;
}

ALWAYS_INLINE void slab_free(
    struct slab_entry *entry, void *object, bool plain, void *caller)
{
    struct slab_desc *desc = entry->desc;
    uint32_t link = plain ? 0 : desc->shape.link;
    bool marked = plain || desc->layout.marked;
    uintptr_t offset = (vaddr_t)object - entry->page;
    uint32_t index = slab_index(desc, offset);
    if (unlikely(index * desc->shape.stride != offset))
        verso_i_slab_free_panic(entry, object, "not the start of an object");
    if (unlikely(index >= entry->objects.carved))
        verso_i_slab_free_panic(entry, object, "never handed out");
    uintptr_t mark = verso_i_slab_key ^ (vaddr_t)object;
    if (marked && unlikely(slab_mark_get(object, link) == mark) &&
        carve_is_free(&entry->objects, &desc->shape, object))
        verso_i_slab_free_panic(entry, object, "freed already");
    (void)caller;
    verso_hook_free(object, desc->layout.size, caller);
    uintptr_t flags = lock_take_irq(&desc->lock);
    if (marked)
        slab_mark_set(object, link, mark);
    carve_give(&entry->objects, link, object);
    uint32_t unmake = NODE_NONE;
    if (unlikely(entry->list != SLAB_PARTIAL || entry->objects.used == 0))
        unmake = verso_i_slab_freed(desc, entry);
    bool after = unmake != NODE_NONE || desc->starved;
    lock_drop_irq(&desc->lock, flags);
    if (unlikely(after))
        verso_i_slab_after_free(desc, unmake);
}

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
