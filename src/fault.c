/* SPDX-License-Identifier: MIT */
/*
 * fault - whose page fault is it?
 *
 *   1. the tables allow the access: another CPU, or this one, gained the right
 *      since the translation was cached (pitfall 16). Invalidate, retry.
 *   2. it is a lazy area's, and its rights allow it: make the page, retry.
 *   3. not ours.
 *
 * No lock of Verso is held by the code that faulted: what it would touch under
 * one is never lazy. Debug builds see to that; others panic as soon as a lock
 * is taken twice.
 */
#include <verso/fault.h>
#include <verso/reclaim.h>

#include "area.h"
#if VERSO_HAS_PAGING
#include "paging.h"
#endif

static unsigned rights_wanted(unsigned code)
{
    unsigned wanted = VERSO_READ;
    if (code & VERSO_FAULT_WRITE)
        wanted |= VERSO_WRITE;
    if (code & VERSO_FAULT_USER)
        wanted |= VERSO_USER;
    if (code & VERSO_FAULT_EXEC)
        wanted |= VERSO_EXEC;
    return wanted;
}

enum verso_fault verso_fault(vaddr_t va, unsigned code)
{
    struct area_map *map = verso_i_area_kernel();
    int err = VERSO_ABSENT;
    if (VERSO_DEBUG && verso_i_lock_held() != NULL)
        verso_panic("fault: at %p, code %#x, inside Verso, which holds lock "
                    "%s",
            (void *)va, code, verso_i_lock_held());
    if ((code & VERSO_FAULT_PRESENT) == 0) {
        err = verso_i_area_touch(map, va, rights_wanted(code));
        if (err == VERSO_NO_MEMORY && verso_reclaim())
            err = verso_i_area_touch(map, va, rights_wanted(code));
        if (err == 0)
            return VERSO_FAULT_HANDLED;
    }
#if VERSO_HAS_PAGING
    /* also where the page that memory was short for is there already */
    if (verso_i_paging_allows(verso_space_kernel(), va, rights_wanted(code)))
        return VERSO_FAULT_SPURIOUS;
#endif
    return err == VERSO_NO_MEMORY ? VERSO_FAULT_NO_MEMORY
                                  : VERSO_FAULT_NOT_OURS;
}
