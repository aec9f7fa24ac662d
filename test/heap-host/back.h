/* SPDX-License-Identifier: MIT */
/*
 * back.h - another host's back, for the heap alone: pages of a Linux process,
 * and flushes that are done when the test says so. Theory: back.c.
 */
#ifndef TEST_HEAP_HOST_BACK_H
#define TEST_HEAP_HOST_BACK_H

#include <verso/types.h>

/* Reserves `pages` addresses, and lets `frames` of them have memory at a
 * time. Returns the first; NULL: none to be had. */
void *back_init(size_t pages, size_t frames);

/* Ends the run: what was tried no machine survives. */
VERSO_NORETURN void back_bail_out(const char *format, ...) VERSO_PRINTF(1, 2);

/* Is va one of the addresses, and has it memory? */
bool back_has(vaddr_t va);
bool back_is_committed(vaddr_t va);

/* From now on a flush is done only once it is said to be (or drained); false:
 * at once again, the outstanding ones too. */
void back_defer(bool defer);
/* The oldest outstanding flushes are done, at most so many of them. */
void back_complete(size_t flushes);
size_t back_outstanding(void);

#endif
