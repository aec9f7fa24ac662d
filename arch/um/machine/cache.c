/* SPDX-License-Identifier: MIT */
/*
 * cache.c - a table of what is cached, by address and identifier: the TLB, the
 * entries for tables, the large pages that have fragments in the TLB.
 *
 *     bucket [ 0 | 3 | 0 | 1 | ... ]       a hash of the key; 0: none
 *                  |       |
 *     at     [ e1 |  e2 | e3 | ... count ]  e3.next -> another of the bucket
 *
 * What is there stands at the start of `at`, in any order: that makes it cheap
 * to choose one at random, to drop all, to look at all. The last takes the
 * place of one that is removed, so a loop that removes goes backwards.
 */
#include <string.h>

#include "inside.h"

/* Multiplicative hashing: Knuth, The Art of Computer Programming 6.4. Only the
 * highest bits of the product are made of all bits of the key. */
static size_t hash(uint64_t key)
{
    return (size_t)((key * 0x9e3779b97f4a7c15ull) >> 52) % BUCKETS;
}

/* What leads to the key, or is the end of its bucket. */
static uint32_t *link_to(struct um_cache *cache, uint64_t key)
{
    uint32_t *link = &cache->bucket[hash(key)];
    while (*link != 0 && cache->at[*link - 1].key != key)
        link = &cache->at[*link - 1].next;
    return link;
}

struct um_cached *um_cache_find(struct um_cache *cache, uint64_t key)
{
    uint32_t i = *link_to(cache, key);
    return i == 0 ? NULL : &cache->at[i - 1];
}

struct um_cached *um_cache_add(struct um_cache *cache, uint64_t key)
{
    struct um_cached *new = &cache->at[cache->count++];
    uint32_t *link = link_to(cache, key);
    *new = (struct um_cached){.key = key};
    *link = (uint32_t)cache->count;
    return new;
}

void um_cache_remove(struct um_cache *cache, struct um_cached *c)
{
    struct um_cached *last = &cache->at[--cache->count];
    *link_to(cache, c->key) = c->next;
    if (c == last)
        return;
    uint32_t *link = link_to(cache, last->key);
    *c = *last;
    *link = (uint32_t)(c - cache->at) + 1;
}

void um_cache_clear(struct um_cache *cache)
{
    if (cache->count == 0)
        return;
    cache->count = 0;
    memset(cache->bucket, 0, sizeof(cache->bucket));
}
