/* SPDX-License-Identifier: MIT */
/*
 * shut.h - no frames left: all that are free are taken, and so are those that
 * become free in the meantime whenever shut_again() is called.
 */
#ifndef TEST_SHUT_H
#define TEST_SHUT_H

#include <verso/frame.h>

#include "test.h"

#define SHUT_CHAINS 16u

struct shut {
    struct verso_chain chain[SHUT_CHAINS];
    unsigned count;
};

/* Takes all free frames but `leave`. */
static inline void shut_again(struct shut *shut, size_t leave)
{
    struct verso_frame_stats stats;
    verso_frame_stats(&stats);
    if (stats.free <= leave || !CHECK(shut->count < SHUT_CHAINS))
        return;
    if (CHECK_OK(verso_frame_alloc_bulk(
            &shut->chain[shut->count], stats.free - leave, VERSO_ZONE_ANY)))
        shut->count++;
}

/* Gives them all back. */
static inline void shut_open(struct shut *shut)
{
    while (shut->count > 0)
        verso_frame_free_bulk(&shut->chain[--shut->count]);
}

#endif
