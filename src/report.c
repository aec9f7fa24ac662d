/* SPDX-License-Identifier: MIT */
/*
 * report - what there is, in words: the storeys' own reports, by name.
 */
#include <verso/report.h>

#include "parts.h"
#include "util.h"

void verso_report(void)
{
#define REPORT(storey) verso_i_##storey##_report();
    STOREYS(REPORT)
#undef REPORT
}

#if VERSO_HAS_FRAMES
void verso_report_frames(void)
{
    verso_i_frame_report();
}
#endif

#if VERSO_HAS_PAGING
void verso_report_tables(vaddr_t from)
{
    verso_i_paging_report_tables(from);
}

void verso_report_walk(vaddr_t va)
{
    verso_i_paging_report_walk(va);
}
#endif

#if VERSO_HAS_PAGING && VERSO_HAS_HEAP
void verso_report_spaces(void)
{
    verso_i_space_report();
}

/* An address that the loaded space has areas for. */
static bool describe_users(const void *address)
{
    const vaddr_t va = (vaddr_t)address;
    if (!verso_i_space_is_users(va))
        return false;
    const struct area_map *map = verso_i_space_map(verso_space_now());
    if (map == NULL || va - map->start >= bytes_of(map->pages))
        return false;
    verso_i_area_describe(map, va);
    return true;
}
#endif

#if VERSO_HAS_HEAP
void verso_report_areas(void)
{
    verso_i_area_report();
    verso_i_node_report();
    verso_i_pagemap_report();
}

void verso_report_slabs(void)
{
    verso_i_slab_report();
    verso_i_alloc_report();
}

static bool describe_heap(const void *address)
{
    const struct area_map *map = verso_i_area_kernel();
    vaddr_t va = (vaddr_t)address;
    if (va - map->start >= bytes_of(map->pages))
        return false;
    const struct slab_entry *entry = slab_find(address);
    if (entry != NULL)
        verso_i_slab_describe(entry, address);
    verso_i_area_describe(map, va);
    return true;
}
#endif

void verso_describe(const void *address)
{
#if VERSO_HAS_HEAP
    if (describe_heap(address))
        return;
#endif
#if VERSO_HAS_PAGING && VERSO_HAS_HEAP
    if (describe_users(address))
        return;
#endif
#if VERSO_HAS_PAGING
    struct verso_mapping mapping;
    if (verso_i_paging_describe((vaddr_t)address))
        return;
    if (verso_i_paging_peek((vaddr_t)address, &mapping) == 0) {
        verso_print("%p: outside the heap, mapped to %#llx\n", address,
            (unsigned long long)paddr_raw(mapping.pa));
        return;
    }
#endif
    verso_print("%p: nothing of Verso's\n", address);
}
