/* SPDX-License-Identifier: MIT */
/*
 * radix - from a number to a word, or to the last word before it, where the
 * numbers are very many and those with a word few: where the ranges of a user's
 * addresses start.
 *
 *     root --> [ . . x . ] --> [ x . . . ] --> [ . word . word ]
 *                digit 2         digit 1         digit 0
 *
 * A node is one of node.c's, all of it slots: 16 where it has 64 bytes, 8 where
 * it has 32. The number's digits, the highest first, choose the slot in each.
 * A path is made when a word is about to be set (prepare), and goes with its
 * last word. So the memory is at most a node a level for each word, and where
 * words are neighbours a node for many; and the depth depends on the range of
 * the numbers alone: 9 levels for 128 TiB of addresses, 6 for 256 MiB where
 * there are 8 slots.
 *
 * The last word before a number: down the number's own path as far as there is
 * one, up again to the first node with something in a slot before, and from
 * there down by the last slots. Each is a level at a time, without recursion.
 *
 * Invariants:
 *   1. no node is empty.
 *   2. the nodes are as many as were counted, and in use.
 *
 * Lock: the owner's. Cost: constant; at most three times levels * slots loads.
 */
#include "radix.h"

static uint32_t *slots_of(uint32_t node)
{
    return node_get(node);
}

static unsigned digit_of(size_t key, unsigned level)
{
    return (unsigned)(key >> level * RADIX_SHIFT) & (RADIX_SLOTS - 1);
}

static bool is_empty(uint32_t node)
{
    const uint32_t *slots = slots_of(node);
    for (unsigned i = 0; i < RADIX_SLOTS; i++)
        if (slots[i] != 0)
            return false;
    return true;
}

/* The last slot before `end` that is not 0; RADIX_SLOTS: none. */
static unsigned slot_before(uint32_t node, unsigned end)
{
    const uint32_t *slots = slots_of(node);
    while (end-- > 0)
        if (slots[end] != 0)
            return end;
    return RADIX_SLOTS;
}

void verso_i_radix_init(struct radix *radix, size_t keys)
{
    *radix = (struct radix){.levels = 1};
    while ((keys - 1) >> radix->levels * RADIX_SHIFT != 0)
        radix->levels++;
    VERSO_ASSERT(radix->levels <= RADIX_LEVELS_MAX);
}

uint32_t verso_i_radix_get(const struct radix *radix, size_t key)
{
    uint32_t at = radix->root;
    for (unsigned level = radix->levels; level-- > 0 && at != 0;)
        at = slots_of(at)[digit_of(key, level)];
    return at;
}

/* The last word below a node of a level. */
static uint32_t find_last(
    uint32_t node, unsigned level, size_t prefix, size_t *found)
{
    for (;;) {
        unsigned slot = slot_before(node, RADIX_SLOTS);
        prefix = prefix << RADIX_SHIFT | slot;
        node = slots_of(node)[slot];
        if (level-- == 0)
            break;
    }
    if (found != NULL)
        *found = prefix;
    return node;
}

uint32_t verso_i_radix_find(
    const struct radix *radix, size_t key, size_t *found)
{
    uint32_t path[RADIX_LEVELS_MAX]; /* the node of each level */
    unsigned level = radix->levels;
    uint32_t at = radix->root;
    while (level > 0 && at != 0) {
        path[--level] = at;
        at = slots_of(at)[digit_of(key, level)];
    }
    if (at != 0) {
        if (found != NULL)
            *found = key;
        return at;
    }
    for (; radix->root != 0 && level < radix->levels; level++) {
        unsigned slot = slot_before(path[level], digit_of(key, level));
        if (slot == RADIX_SLOTS)
            continue;
        size_t prefix = key >> level * RADIX_SHIFT;
        prefix = (prefix & ~(size_t)(RADIX_SLOTS - 1)) | slot;
        at = slots_of(path[level])[slot];
        if (level > 0)
            return find_last(at, level - 1, prefix, found);
        if (found != NULL)
            *found = prefix;
        return at;
    }
    return 0;
}

int verso_i_radix_prepare(struct radix *radix, size_t key)
{
    uint32_t *slot = &radix->root;
    for (unsigned level = radix->levels; level-- > 0;) {
        if (*slot == 0) {
            uint32_t node = verso_i_node_alloc();
            if (node == NODE_NONE) {
                verso_i_radix_trim(radix, key);
                return VERSO_NO_MEMORY;
            }
            memset(slots_of(node), 0, NODE_SIZE);
            *slot = node;
            radix->nodes++;
        }
        slot = &slots_of(*slot)[digit_of(key, level)];
    }
    return 0;
}

/* The slot of a key that has a path. */
static uint32_t *slot_of(struct radix *radix, size_t key)
{
    uint32_t *slot = &radix->root;
    for (unsigned level = radix->levels; level-- > 0;) {
        VERSO_ASSERT(*slot != 0);
        slot = &slots_of(*slot)[digit_of(key, level)];
    }
    return slot;
}

void verso_i_radix_set(struct radix *radix, size_t key, uint32_t word)
{
    *slot_of(radix, key) = word;
}

void verso_i_radix_remove(struct radix *radix, size_t key)
{
    *slot_of(radix, key) = 0;
    verso_i_radix_trim(radix, key);
}

/* From the lowest node of the key's path up. */
void verso_i_radix_trim(struct radix *radix, size_t key)
{
    uint32_t *path[RADIX_LEVELS_MAX]; /* the slot that names each node */
    unsigned level = radix->levels;
    uint32_t *slot = &radix->root;
    while (level > 0 && *slot != 0) {
        path[--level] = slot;
        slot = &slots_of(*slot)[digit_of(key, level)];
    }
    for (; level < radix->levels && is_empty(*path[level]); level++) {
        verso_i_node_free(*path[level]);
        *path[level] = 0;
        radix->nodes--;
    }
}

const char *verso_i_radix_check(const struct radix *radix)
{
    uint32_t path[RADIX_LEVELS_MAX];
    unsigned next[RADIX_LEVELS_MAX]; /* slot to look at, of each level */
    unsigned level = radix->levels;
    size_t nodes = 0;
    uint32_t node = radix->root;
    while (node != 0 || level < radix->levels) {
        if (node != 0) { /* down */
            if (!verso_i_node_is_used(node) || nodes++ >= radix->nodes)
                return "radix.2: every node is in use and counted";
            if (is_empty(node))
                return "radix.1: no node is empty";
            path[--level] = node;
            next[level] = 0;
        }
        node = 0;
        while (level > 0 && node == 0 && next[level] < RADIX_SLOTS)
            node = slots_of(path[level])[next[level]++];
        if (node == 0) /* up */
            level++;
    }
    return nodes == radix->nodes ? NULL : "radix.2: every node is counted";
}
