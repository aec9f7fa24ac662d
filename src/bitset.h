/* SPDX-License-Identifier: MIT */
/*
 * bitset - up to 32,768 bits, with the lowest one, the next one and the last
 * one before found in constant time: a word of 32 stands for 32 words of 32
 * bits each, and one word for those. Where addresses have 32 bits a quarter is
 * enough for whatever there is of them.
 */
#ifndef VERSO_SRC_BITSET_H
#define VERSO_SRC_BITSET_H

#include "util.h"

#define BITSET_MAX  (sizeof(uintptr_t) > 4 ? 32768u : 8192u)
#define BITSET_NONE UINT32_MAX

struct bitset {
    uint32_t top;
    uint32_t sum[BITSET_MAX / 1024];
    uint32_t word[BITSET_MAX / 32];
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

/* Bits 0..count-1 of a set that is empty. */
static inline void bitset_fill(struct bitset *set, uint32_t count)
{
    for (uint32_t bit = 0; bit < count; bit += 32) {
        bitset_add(set, bit);
        set->word[bit >> 5] =
            count - bit < 32 ? bits_below(count - bit) : UINT32_MAX;
    }
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

/* The first bit at or after `bit`, which is below BITSET_MAX. */
static inline uint32_t bitset_from(const struct bitset *set, uint32_t bit)
{
    uint32_t found = set->word[bit >> 5] & ~bits_below(bit & 31);
    if (found != 0)
        return (bit & ~31u) | bit_lowest(found);
    uint32_t word = bit >> 5, sum = bit >> 10;
    found = set->sum[sum] & ~bits_upto(word & 31);
    if (found == 0) {
        found = set->top & ~bits_upto(sum);
        if (found == 0)
            return BITSET_NONE;
        sum = bit_lowest(found);
        found = set->sum[sum];
    }
    word = sum << 5 | bit_lowest(found);
    return word << 5 | bit_lowest(set->word[word]);
}

/* The last bit before `bit`. */
static inline uint32_t bitset_before(const struct bitset *set, uint32_t bit)
{
    uint32_t found = set->word[bit >> 5] & bits_below(bit & 31);
    if (found != 0)
        return (bit & ~31u) | bit_highest(found);
    uint32_t word = bit >> 5, sum = bit >> 10;
    found = set->sum[sum] & bits_below(word & 31);
    if (found == 0) {
        found = set->top & bits_below(sum);
        if (found == 0)
            return BITSET_NONE;
        sum = bit_highest(found);
        found = set->sum[sum];
    }
    word = sum << 5 | bit_highest(found);
    return word << 5 | bit_highest(set->word[word]);
}

#endif
