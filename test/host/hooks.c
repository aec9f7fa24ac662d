/* SPDX-License-Identifier: MIT */
/*
 * hooks.c - the other half of hooks.h: addresses whose memory goes away are
 * whoever's comes next. The hooks do not see that, so the call that every
 * storey makes for it is led through here by the linker.
 *
 *
 * Two rules are checked on the way, that one CPU which nothing interrupts would
 * not notice: an interrupt may look any address up, so the pagemap leads to no
 * leaf of its own that goes (pitfall 31); another CPU may have freed frames at
 * once, so nothing that is cached leads to them (pitfall 15).
 */
#include <machine/um.h>
#include <verso/back.h>
#include <verso/frame.h>

#include "../../src/pagemap.h"
#include "../test.h"
#include "hooks.h"

extern __typeof__(verso_back_release) __wrap_verso_back_release;
extern __typeof__(verso_back_release) __real_verso_back_release;

uint32_t __wrap_verso_back_release(
    struct space *space, vaddr_t va, size_t pages)
{
#ifdef HOOKS_ASAN
    __asan_unpoison_memory_region((const void *)va, pages << VERSO_PAGE_SHIFT);
#endif
    const struct pagemap *map = &verso_i_pagemap;
    size_t leaf = (va - map->leaf_start) >> VERSO_PAGE_SHIFT;
    if (leaf < map->pages / PAGEMAP_LEAF_PAGES)
        CHECK(map->root[leaf] != map->leaf_start);
    size_t region = (va - (vaddr_t)map->root) >> VERSO_PAGE_SHIFT;
    if (region < map->regions) {
        CHECK(map->near <= region * PAGEMAP_REGION_PAGES);
        CHECK(!bitset_has(&map->present, (uint32_t)region));
    }
    return __real_verso_back_release(space, va, pages);
}

extern __typeof__(verso_frame_free_bulk) __wrap_verso_frame_free_bulk;
extern __typeof__(verso_frame_free_bulk) __real_verso_frame_free_bulk;

void __wrap_verso_frame_free_bulk(struct verso_chain *chain)
{
    CHECK_EQ(um_audit(um_audit_print), 0);
    __real_verso_frame_free_bulk(chain);
}
