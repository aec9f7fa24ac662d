/* SPDX-License-Identifier: MIT */
/* radix.h - words found by a number, and by the next one. Theory: radix.c. */
#ifndef VERSO_SRC_RADIX_H
#define VERSO_SRC_RADIX_H

#include "node.h"

#define RADIX_SLOTS      (NODE_SIZE / (unsigned)sizeof(uint32_t)) /* of a node */
#define RADIX_SHIFT      (RADIX_SLOTS == 16 ? 4u : 3u)
#define RADIX_LEVELS_MAX 13u /* any number of pages */

/* Guarded by the lock of whoever has it. */
struct radix {
    uint32_t root; /* NODE_NONE: nothing is set */
    unsigned levels;
    size_t nodes;
};

/* For the keys 0 .. keys - 1. */
void verso_i_radix_init(struct radix *radix, size_t keys);

/* The word of a key; 0: none. Cost: a load a level. */
uint32_t verso_i_radix_get(const struct radix *radix, size_t key);

/* The word of the last key that has one, at or before `key`; 0: there is none.
 * `found` (or NULL) is that key. */
uint32_t verso_i_radix_find(
    const struct radix *radix, size_t key, size_t *found);

/* Makes sure that the word of a key can be set. NO_MEMORY: all is as before.
 * If it is not set after all, verso_i_radix_trim() must follow. */
VERSO_MUST_CHECK int verso_i_radix_prepare(struct radix *radix, size_t key);

/* word != 0, and the key was prepared, or has a word. */
void verso_i_radix_set(struct radix *radix, size_t key, uint32_t word);

/* The key's word becomes 0, and what is empty then goes. Needs no memory. */
void verso_i_radix_remove(struct radix *radix, size_t key);
void verso_i_radix_trim(struct radix *radix, size_t key);

/* NULL, or which invariant is broken. */
const char *verso_i_radix_check(const struct radix *radix);

#endif
