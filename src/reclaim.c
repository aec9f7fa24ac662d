/* SPDX-License-Identifier: MIT */
/*
 * reclaim - memory kept for later, given back now.
 *
 * The one place that tries again is whoever calls verso_reclaim(): alloc.c and
 * fault.c. It goes from the top down, for what a storey lets go the one below
 * may be able to free. Each round either frees something or ends; callers try
 * once more, not until it works.
 *
 * Lock: reclaim, for changes of the list of clients. Walking it takes none, so
 * that a client may do what it likes: one that is taken out keeps its `next`.
 */
#include <verso/back.h>
#include <verso/reclaim.h>

#include "parts.h"
#include "util.h"

static struct {
    struct lock lock;
    struct verso_reclaimer *first;
    bool running; /* a client that allocates must not come back here */
} state VERSO_STATE = {.lock = {0, "reclaim"}};

void verso_reclaimer_add(struct verso_reclaimer *reclaimer)
{
    lock_take(&state.lock);
    reclaimer->next = state.first;
    state.first = reclaimer;
    lock_drop(&state.lock);
}

void verso_reclaimer_remove(struct verso_reclaimer *reclaimer)
{
    lock_take(&state.lock);
    struct verso_reclaimer **link = &state.first;
    while (*link != NULL && *link != reclaimer)
        link = &(*link)->next;
    if (*link != NULL)
        *link = reclaimer->next;
    lock_drop(&state.lock);
}

/* Every storey's stock, from the top down; area's goes with the pagemap's. */
static bool drain(void)
{
    bool progress = false;
#if VERSO_HAS_HEAP && VERSO_HAS_PAGING
    progress |= verso_i_space_drain();
#endif
#if VERSO_HAS_HEAP
    progress |= verso_i_alloc_drain();
    progress |= verso_i_slab_drain();
    progress |= verso_i_area_drain();
    progress |= verso_i_node_drain();
    progress |= verso_back_drain();
#endif
#if VERSO_HAS_PAGING
    progress |= verso_i_paging_drain();
#endif
#if VERSO_HAS_FRAMES
    progress |= verso_i_frame_drain();
#endif
    return progress;
}

bool verso_reclaim(void)
{
    bool progress = false;
    if (verso_host_in_interrupt() || state.running)
        return false;
    state.running = true;
    for (struct verso_reclaimer *r = state.first; r != NULL; r = r->next)
        progress |= r->reclaim(r->context);
    progress |= drain();
    state.running = false;
    return progress;
}

void verso_trim(void)
{
    (void)drain();
}
