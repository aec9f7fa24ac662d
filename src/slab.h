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
    vaddr_t page;              /* its first page */
    struct slab_desc *desc;
    struct carve objects; /* (c) free_el, and full: left == 0 */
};
_Static_assert(sizeof(struct slab_entry) <= NODE_SIZE, "an entry is a node");

enum slab_list {
    SLAB_PARTIAL,
    SLAB_FULL,
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

/* Objects that a cache keeps at least, in slabs that are empty. */
#define SLAB_IDLE 4u

struct slab_desc {
    struct lock lock;
    struct carve_shape shape; /* constant after create, and so to `align` */
    struct slab_layout layout;
    uint32_t inverse; /* of the odd factor of the stride, modulo 2^32 */
    uint32_t twos;    /* the stride is odd << twos */
    uint32_t edge;    /* objects of a slab, less 2: see slab_free() */
    uint32_t pages;   /* of one slab */
    uint32_t class;   /* of alloc, or PAGEMAP_CLASS_NONE */
    uint32_t align;
    const char *name;
    void (*constructor)(void *object);
    struct slab_entry *list[SLAB_LISTS]; /* (c) first entry of each */
    uint32_t count[SLAB_LISTS];          /* (c) entries in each */
    uint32_t idle[SLAB_IDLE]; /* (c) entries that were empty last, and may be
                                 still; `keep` of them are used */
    uint32_t keep;
    bool starved;           /* (c) an interrupt found it empty: refill */
    bool emptied;           /* (c) one emptied a slab: shrink */
    struct slab_desc *next; /* all caches: slub lock */
};

int verso_i_slab_init(const struct verso_boot *boot);
const char *verso_i_slab_check(void);
void verso_i_slab_report(void);
bool verso_i_slab_drain(void);

/* Makes a cache in the caller's memory (alloc's classes are an array). */
void verso_i_slab_setup(struct slab_desc *desc,
    const struct verso_slab_params *params, uint32_t class);

/* The slow ways out of the two functions below; theory in slab.c. They are
 * made so that nothing need be kept in registers over them. */
void *verso_i_slab_alloc(struct slab_desc *desc, void *caller);
void *verso_i_slab_carve(struct slab_entry *entry);
void *verso_i_slab_filled(struct slab_entry *entry, void *object);
void verso_i_slab_freed(
    struct slab_desc *desc, struct slab_entry *entry, uintptr_t flags);
void verso_i_slab_free_marked(struct slab_entry *entry, void *object);
/* Panics unless this is an object in use. */
void verso_i_slab_verify(const struct slab_entry *entry, const void *object);
VERSO_NORETURN void verso_i_slab_free_panic(
    const struct slab_entry *entry, const void *object, bool twice);

/*
 * Number of the object that starts at an offset; a number beyond every object
 * if none does. The stride is odd * 2^k: multiplying by the inverse of the odd
 * factor (modulo 2^32) divides exactly what it divides, rotating by k divides
 * by the rest, and whatever is no multiple becomes larger than 2^32 / stride.
 * (Granlund and Montgomery, "Division by Invariant Integers", 1994, section
 * 9.)
 */
ALWAYS_INLINE uint32_t slab_number(
    const struct slab_desc *desc, uintptr_t offset)
{
    uint32_t n = (uint32_t)offset * desc->inverse;
    return n >> desc->twos | n << (-desc->twos & 31);
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
ALWAYS_INLINE void *slab_take(struct slab_desc *desc, bool plain, void *caller)
{
    uintptr_t flags = lock_take_irq(&desc->lock);
    struct slab_entry *entry = desc->list[SLAB_PARTIAL];
    if (unlikely(entry == NULL)) {
        lock_drop_irq(&desc->lock, flags);
        return NULL; /* verso_i_slab_alloc() grows it */
    }
    void *object = carve_take(&entry->objects, plain ? 0 : desc->shape.link);
    bool fresh = object == NULL;
    if (unlikely(fresh))
        object = verso_i_slab_carve(entry);
    else if (unlikely(--entry->objects.left == 0))
        object = verso_i_slab_filled(entry, object);
    assume(object != NULL);
    lock_drop_irq(&desc->lock, flags);
    if (plain || desc->layout.marked)
        slab_mark_set(object, plain ? 0 : desc->shape.link, 0);
    if (!plain && fresh && desc->constructor != NULL)
        desc->constructor(object);
    (void)caller;
    verso_hook_alloc(object, desc->layout.size, caller);
    return object;
}

/* An object that may be given back goes to the free list. */
ALWAYS_INLINE void slab_give(
    struct slab_entry *entry, void *object, bool plain, void *caller)
{
    struct slab_desc *desc = entry->desc;
    uint32_t link = plain ? 0 : desc->shape.link;
    (void)caller;
    verso_hook_free(object, desc->layout.size, caller);
    uintptr_t flags = lock_take_irq(&desc->lock);
    if (plain || desc->layout.marked)
        slab_mark_set(object, link, (vaddr_t)entry);
    carve_give(&entry->objects, link, object);
    uint32_t left = entry->objects.left++;
    /* it was full (0), or is empty now (count - 1): one compare for both */
    if (unlikely(left - 1 >= desc->edge))
        verso_i_slab_freed(desc, entry, flags);
    else
        lock_drop_irq(&desc->lock, flags);
}

ALWAYS_INLINE void slab_free(
    struct slab_entry *entry, void *object, bool plain, void *caller)
{
    const struct slab_desc *desc = entry->desc;
    uint32_t link = plain ? 0 : desc->shape.link;
    uintptr_t offset = (vaddr_t)object - entry->page;
    if (unlikely(slab_number(desc, offset) >= entry->objects.carved))
        verso_i_slab_free_panic(entry, object, false);
    if (!plain && !desc->layout.marked) /* one word: no room for a mark */
        verso_i_slab_verify(entry, object);
    if ((plain || desc->layout.marked) &&
        unlikely(slab_mark_get(object, link) == (vaddr_t)entry))
        verso_i_slab_free_marked(entry, object);
    else
        slab_give(entry, object, plain, caller);
}

/* The slab an address lies in, NULL if none does. */
ALWAYS_INLINE struct slab_entry *slab_find(const void *object)
{
    uint32_t word = pagemap_get(&verso_i_pagemap, (vaddr_t)object);
    if (unlikely(!pagemap_is_slab(word)))
        return NULL;
    return node_get(pagemap_node(word));
}

/* One line on an address in a slab. Takes no lock. */
void verso_i_slab_describe(const struct slab_entry *entry, const void *at);

#endif
