/* SPDX-License-Identifier: MIT */
/*
 * back.h - what makes addresses usable. In a kernel with Verso's own paging,
 * src/back.c: frames and page tables. For the heap alone (libverso-heap.a),
 * the host supplies these five over its own pages.
 *
 * `space` is NULL for the kernel's own. Context: not in interrupts. None may
 * call the heap.
 */
#ifndef VERSO_BACK_H
#define VERSO_BACK_H

#include <verso/types.h>

struct space;

/* Flags beside rights and cache type. */
#define VERSO_BACK_ZERO   0x10000u /* cleared before anyone can see them */
#define VERSO_BACK_CONTIG 0x40000u /* consecutive frames */
#define VERSO_BACK_LOW    0x80000u /* frames of zone 0 */

/* Puts memory behind [va, va + pages), all of it or nothing (NO_MEMORY). */
VERSO_MUST_CHECK int verso_back_commit(
    struct space *space, vaddr_t va, size_t pages, unsigned flags);

/* Takes the memory away (pages that have none are fine). Cannot fail. Returns
 * the number of the flush that makes it safe to use the addresses again. */
VERSO_MUST_CHECK uint32_t verso_back_release(
    struct space *space, vaddr_t va, size_t pages);

/* Is that flush complete on every CPU? One compare. 0 is always done. */
VERSO_MUST_CHECK bool verso_back_done(uint32_t flush);

VERSO_MUST_CHECK int verso_back_protect(
    struct space *space, vaddr_t va, size_t pages, unsigned rights);

/* Completes outstanding flushes and gives back what is kept in stock. Returns
 * whether that freed something. */
bool verso_back_drain(void);

#endif
