/* SPDX-License-Identifier: MIT */
/*
 * alloc.h - objects of any size: small ones from slabs, large ones are areas.
 *
 * Every address is aligned to two words (8 bytes on 32-bit machines, 16 on
 * 64-bit ones). NULL: no memory, or a size that overflows. Context: anywhere;
 * in interrupts only what the slabs have at hand. Free takes what any of the
 * allocating calls returned, and NULL (nothing happens); any other pointer
 * panics, naming what is there.
 */
#ifndef VERSO_ALLOC_H
#define VERSO_ALLOC_H

#include <verso/types.h>

/* Size 0 is an object too (of the smallest class), to be freed. */
VERSO_MUST_CHECK void *verso_alloc(size_t size);
VERSO_MUST_CHECK void *verso_alloc_zeroed(size_t count, size_t size);
/* align: a power of two, in bytes, up to 4 MiB; NULL otherwise. */
VERSO_MUST_CHECK void *verso_alloc_aligned(size_t align, size_t size);

/* As in C: NULL allocates; on failure the object stays as it is. In place
 * where the class, or the addresses behind an area, allow. size 0 shrinks to
 * the smallest object (it does not free). */
VERSO_MUST_CHECK void *verso_realloc(void *object, size_t size);

void verso_free(void *object);
/* The caller knows the size it asked for: checked. */
void verso_free_sized(void *object, size_t size);

/* Bytes that may be used at `object`: at least what was asked for. */
size_t verso_usable_size(const void *object);

/* The slab caches behind alloc, smallest first; NULL after the last. */
struct slab_desc;
struct slab_desc *verso_alloc_class(unsigned index);

#endif
