/* SPDX-License-Identifier: MIT */
/*
 * pattern.h - contents that tell whose they are: each byte depends on a seed
 * and on its place, so that an object that overlaps another, was cut short, or
 * was moved by some bytes is noticed.
 */
#ifndef TEST_PATTERN_H
#define TEST_PATTERN_H

#include <verso/types.h>

/* Four bytes of it, the lowest first; at % 4 == 0. */
static inline uint32_t pattern_word(uint32_t seed, size_t at)
{
    uint32_t word = (seed + (uint32_t)(at / 4)) * 0x9e3779b1u;
    return word ^ (word >> 29) * 0x01010101u;
}

static inline unsigned char pattern_byte(uint32_t seed, size_t at)
{
    return (unsigned char)(pattern_word(seed, at) >> (8 * (at % 4)));
}

static inline void pattern_fill(void *at, size_t bytes, uint32_t seed)
{
    size_t i = 0;
    for (; (uintptr_t)at % 4 == 0 && i + 4 <= bytes; i += 4)
        ((uint32_t *)at)[i / 4] = pattern_word(seed, i);
    for (; i < bytes; i++)
        ((unsigned char *)at)[i] = pattern_byte(seed, i);
}

static inline bool pattern_holds(const void *at, size_t bytes, uint32_t seed)
{
    size_t i = 0;
    for (; (uintptr_t)at % 4 == 0 && i + 4 <= bytes; i += 4)
        if (((const uint32_t *)at)[i / 4] != pattern_word(seed, i))
            return false;
    for (; i < bytes; i++)
        if (((const unsigned char *)at)[i] != pattern_byte(seed, i))
            return false;
    return true;
}

static inline bool is_all(const void *at, size_t bytes, unsigned char value)
{
    for (size_t i = 0; i < bytes; i++)
        if (((const unsigned char *)at)[i] != value)
            return false;
    return true;
}

/* For memory that a sanitizer has closed: free objects, looked at or damaged
 * on purpose. */
#define PATTERN_OPEN __attribute__((no_sanitize("address")))

PATTERN_OPEN static inline uintptr_t word_peek(const void *at)
{
    return *(const volatile uintptr_t *)at;
}

PATTERN_OPEN static inline void word_poke(void *at, uintptr_t word)
{
    *(volatile uintptr_t *)at = word;
}

#endif
