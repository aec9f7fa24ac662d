/* SPDX-License-Identifier: MIT */
/*
 * frame.h - what frame.c offers to the other storeys and to the tests.
 */
#ifndef VERSO_SRC_FRAME_H
#define VERSO_SRC_FRAME_H

#include <verso/frame.h>
#include <verso/init.h>

/* NO_MEMORY: the map has no usable frame. */
VERSO_MUST_CHECK int verso_i_frame_init(const struct verso_boot *boot);

/* NULL, or the first broken invariant, its numbers printed. */
VERSO_MUST_CHECK const char *verso_i_frame_check(void);

void verso_i_frame_report(void);

/* Stocks go back to the buddy lists. This frees nothing (what is in stock is
 * free), but may make larger blocks: returns whether it did. */
bool verso_i_frame_drain(void);

/* "free block", "used", ...: for messages. */
const char *verso_i_frame_state_name(unsigned state);

/* Usable frames [start, end) of a boot map. */
struct frame_gap {
    uint64_t start;
    uint64_t end;
};

/*
 * The first usable frames at or above number `from`: as many as are usable one
 * after the other. False: none. Needs no memory, sorts nothing; quadratic in
 * the entries of the map.
 */
bool verso_i_frame_find_gap(
    const struct verso_boot *boot, uint64_t from, struct frame_gap *gap);

#endif
