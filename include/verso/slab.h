/* SPDX-License-Identifier: MIT */
/*
 * slab.h - caches of objects of one size.
 *
 * Context: alloc and free anywhere, in interrupts too (there only from slabs
 * that exist: NULL otherwise). create, destroy, shrink: not in interrupts.
 * Locks: slab; to grow, none is held and area, space, frame are taken.
 */
#ifndef VERSO_SLAB_H
#define VERSO_SLAB_H

#include <verso/types.h>

struct slab_desc;

struct verso_slab_params {
    const char *name; /* kept, not copied */
    size_t size;      /* of an object, 1 byte .. 32 KiB */
    size_t align;     /* power of two up to a page; 0: a word */
    /* Called once for each object, when its slab is made or it is first
     * carved, with no lock held; the object must be in that state again when
     * it is freed. NULL: none. Must not call Verso. */
    void (*constructor)(void *object);
};

/* A new cache, or NULL (no memory). Misuse panics. */
VERSO_MUST_CHECK struct slab_desc *verso_slab_create(
    const struct verso_slab_params *params);

/* Every object must be free. (Panics with the count otherwise.) */
void verso_slab_destroy(struct slab_desc *cache);

VERSO_MUST_CHECK void *verso_slab_alloc(struct slab_desc *cache);

/* The object must come from this cache. Panics, naming the cache that really
 * owns it, on a foreign or interior pointer and on a double free. Constant, but
 * for objects of one word, which have no room for the mark of a free object:
 * there it is linear in the objects of a slab. */
void verso_slab_free(struct slab_desc *cache, void *object);

/* Gives the pages of empty slabs back; returns how many. */
size_t verso_slab_shrink(struct slab_desc *cache);

struct verso_slab_stats {
    const char *name;
    size_t size;       /* as asked for */
    size_t stride;     /* bytes from object to object */
    size_t used;       /* objects handed out */
    size_t total;      /* objects that the slabs hold */
    size_t slabs;      /* entries: partial, full and empty */
    size_t slab_pages; /* pages of each */
};
void verso_slab_stats(
    const struct slab_desc *cache, struct verso_slab_stats *stats);

#endif
