/* SPDX-License-Identifier: MIT */
/*
 * boot-map.h - the definition of a boot map: which pages may be handed out. Two
 * tests hold the library against it, frame.c and fuzz/boot.c.
 */
#ifndef TEST_BOOT_MAP_H
#define TEST_BOOT_MAP_H

#include <verso/frame.h>
#include <verso/init.h>

#define BOOT_MAP_PAGE ((uint64_t)VERSO_PAGE_SIZE)

static inline bool boot_map_touches(
    const struct verso_range *r, uint64_t page, bool whole)
{
    const uint64_t first = page * BOOT_MAP_PAGE,
                   last = first + BOOT_MAP_PAGE - 1;
    if (r->bytes == 0)
        return false;
    uint64_t end = r->start + (r->bytes - 1); /* the last byte */
    if (end < r->start)
        end = UINT64_MAX;
    if (whole)
        return r->start <= first && last <= end;
    return r->start <= last && first <= end;
}

/* The definition, page by page: wholly in a usable range, touched by no
 * other. */
static inline bool boot_map_allows(const struct verso_boot *boot, uint64_t page)
{
    bool usable = false;
    if (page == 0 || (sizeof(verso_phys_t) == 4 && page >= 1u << 20))
        return false;
    for (size_t i = 0; i < boot->map_count; i++) {
        if (!boot->map[i].usable &&
            boot_map_touches(&boot->map[i], page, false))
            return false;
        usable |=
            boot->map[i].usable && boot_map_touches(&boot->map[i], page, true);
    }
    for (size_t i = 0; i < boot->reserved_count; i++)
        if (boot_map_touches(&boot->reserved[i], page, false))
            return false;
    struct verso_range array = {
        boot->frames_pa, boot->frame_count * sizeof(struct frame), false};
    return usable &&
           !(boot->frames != NULL && boot_map_touches(&array, page, false));
}

#endif
