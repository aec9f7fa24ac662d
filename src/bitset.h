/* SPDX-License-Identifier: MIT */
/*
 * bitset - up to 32,768 bits with the lowest one found in three loads: a word
 * of 32 stands for 32 words of 32 bits each, and one word for those.
 */
#ifndef VERSO_SRC_BITSET_H
#define VERSO_SRC_BITSET_H

#include "util.h"

#define BITSET_MAX  32768u
#define BITSET_NONE UINT32_MAX

struct bitset {
    uint32_t top;
    uint32_t sum[32];
    uint32_t word[1024];
};

static inline bool bitset_has(const struct bitset *set, uint32_t bit)
{
    return (set->word[bit >> 5] >> (bit & 31) & 1) != 0;
}

static inline void bitset_add(struct bitset *set, uint32_t bit)
{
    set->word[bit >> 5] |= (uint32_t)1 << (bit & 31);
    set->sum[bit >> 10] |= (uint32_t)1 << (bit >> 5 & 31);
    set->top |= (uint32_t)1 << (bit >> 10);
}

static inline void bitset_remove(struct bitset *set, uint32_t bit)
{
    set->word[bit >> 5] &= ~((uint32_t)1 << (bit & 31));
    if (set->word[bit >> 5] != 0)
        return;
    set->sum[bit >> 10] &= ~((uint32_t)1 << (bit >> 5 & 31));
    if (set->sum[bit >> 10] == 0)
        set->top &= ~((uint32_t)1 << (bit >> 10));
}

static inline uint32_t bitset_lowest(const struct bitset *set)
{
    if (set->top == 0)
        return BITSET_NONE;
    uint32_t sum = bit_lowest(set->top);
    uint32_t word = sum << 5 | bit_lowest(set->sum[sum]);
    return word << 5 | bit_lowest(set->word[word]);
}

#endif
