/* SPDX-License-Identifier: MIT */
/*
 * reclaim.h - getting memory back from where it is kept for later.
 *
 * Context: not in interrupts, no lock of Verso held. Both go through the
 * storeys from the top down: empty slabs, freed areas that wait for a flush,
 * empty node and pagemap pages, the spare table, the stock of frames.
 */
#ifndef VERSO_RECLAIM_H
#define VERSO_RECLAIM_H

#include <verso/types.h>

/* Somebody who can free memory when it is short: called with no lock held,
 * may free, must not allocate. Returns whether it freed something. The node is
 * the caller's, and must stay; after its removal, until no reclaim that began
 * before is under way. */
struct verso_reclaimer {
    bool (*reclaim)(void *context);
    void *context;
    struct verso_reclaimer *next; /* Verso's */
};
void verso_reclaimer_add(struct verso_reclaimer *reclaimer);
void verso_reclaimer_remove(struct verso_reclaimer *reclaimer);

/* Was anything freed? The entry points in alloc.c and fault.c call this and
 * try once more; users of the lower storeys may do so too. */
bool verso_reclaim(void);

/* The same without the clients' reclaimers: leaves every storey with nothing
 * in stock, so that two states can be compared. */
void verso_trim(void);

#endif
