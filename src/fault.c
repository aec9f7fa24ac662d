/* SPDX-License-Identifier: MIT */
/*
 * fault - whose page fault is it?
 *
 *   1. the tables allow the access: another CPU, or this one, gained the right
 *      since the translation was cached (pitfall 16). Invalidate, retry.
 *   2. it is a lazy area's, of the kernel or of the space that is loaded, and
 *      its rights allow it: make the page, retry.
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
#include "space.h"
#endif

static unsigned rights_wanted(unsigned code)
{
    const unsigned same = VERSO_FAULT_WRITE | VERSO_FAULT_USER;
    _Static_assert(
        VERSO_FAULT_WRITE == VERSO_WRITE && VERSO_FAULT_USER == VERSO_USER,
        "what was wanted is named by the same bits");
    return VERSO_READ | (code & same) |
           ((code & VERSO_FAULT_EXEC) ? VERSO_EXEC : 0);
}

/* Do the tables, of the kernel or of the space that is loaded, allow it? */
static bool is_spurious(vaddr_t va, unsigned wanted)
{
#if VERSO_HAS_PAGING
    struct space *space =
        verso_i_space_is_users(va) ? verso_space_now() : verso_space_kernel();
    return verso_i_paging_allows(space, va, wanted);
#else
    (void)va, (void)wanted;
    return false;
#endif
}

/* The areas that va may be in: users' addresses are the loaded space's. */
static struct area_map *map_at(vaddr_t va)
{
#if VERSO_HAS_PAGING
    if (verso_i_space_is_users(va))
        return verso_i_space_map(verso_space_now());
#endif
    (void)va;
    return verso_i_area_kernel();
}

/* Not made at the first try, for which only the kernel's areas were asked;
 * `err` says why. */
static NO_INLINE enum verso_fault fault_other(
    vaddr_t va, unsigned code, int err)
{
    const unsigned wanted = rights_wanted(code);
    struct area_map *map = map_at(va);
    if (map != NULL && map != verso_i_area_kernel() &&
        (code & VERSO_FAULT_PRESENT) == 0)
        err = verso_i_area_touch(map, va, wanted);
    if (err == VERSO_NO_MEMORY && verso_reclaim())
        err = verso_i_area_touch(map, va, wanted);
    if (err == 0)
        return VERSO_FAULT_HANDLED;
    /* also where the page that memory was short for is there already */
    if (is_spurious(va, wanted))
        return VERSO_FAULT_SPURIOUS;
    return err == VERSO_NO_MEMORY ? VERSO_FAULT_NO_MEMORY
                                  : VERSO_FAULT_NOT_OURS;
}

enum verso_fault verso_fault(vaddr_t va, unsigned code)
{
    int err = VERSO_ABSENT;
    if (VERSO_DEBUG && verso_i_lock_held() != NULL)
        verso_panic("fault: at %p, code %#x, inside Verso, which holds lock "
                    "%s",
            (void *)va, code, verso_i_lock_held());
    if ((code & VERSO_FAULT_PRESENT) == 0)
        err =
            verso_i_area_touch(verso_i_area_kernel(), va, rights_wanted(code));
    return err == 0 ? VERSO_FAULT_HANDLED : fault_other(va, code, err);
}
