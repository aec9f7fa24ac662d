/* SPDX-License-Identifier: MIT */
/*
 * check - every invariant of every storey, from the ground up, and those that
 * two storeys have together.
 *
 * Across storeys (whole library):
 *   1. each usable page of a mapped area is mapped to a frame in use, with the
 *      rights of the area; no two pages to the same frame.
 *   2. that frame's owner is the page: the way through the tables, from an
 *      address to its frame and back, agrees with the way through the pagemap.
 */
#include <verso/check.h>

#include "parts.h"
#include "util.h"

#if VERSO_HAS_FRAMES && VERSO_HAS_PAGING && VERSO_HAS_HEAP

/* Looks at the mapping of one page of an area. Its frame is marked as seen in
 * the count of live entries, which is a table's and 0 for all others; with
 * `done` the mark is taken off again, and nothing is looked at. */
static const char *check_page(
    struct space *space, const struct mem_area *area, vaddr_t va, bool done)
{
    struct verso_mapping mapping;
    bool must = (area->flags & VERSO_AREA_LAZY) == 0;
    if (verso_i_paging_query(space, va, &mapping) != 0)
        return must && !done ? "check.1: a mapped area is mapped" : NULL;
    struct frame *frame = verso_frame_find(paddr_to_pfn(mapping.pa));
    bool used = frame != NULL && frame->state == FRAME_USED;
    if (used && done)
        frame->live = 0;
    if (done)
        return NULL;
    if (!used)
        return "check.1: an area is mapped to frames in use";
    if (frame->live != 0)
        return "check.1: no two pages have the same frame";
    frame->live = 1;
    if (frame->link != (uint32_t)(va >> VERSO_PAGE_SHIFT))
        return "check.2: a frame's owner is the page that it stands behind";
    if ((mapping.flags ^ area->flags) & (VERSO_WRITE | VERSO_EXEC | VERSO_USER))
        return "check.1: a page has the rights of its area";
    return NULL;
}

static const char *check_pages(struct space *space, bool done)
{
    const struct area_map *map = verso_i_space_map(space);
    for (uint32_t node = verso_i_area_find(map, map->start); node != NODE_NONE;
         node = area_get(node)->next) {
        const struct mem_area *area = area_get(node);
        size_t pages;
        vaddr_t va = verso_i_area_usable(area, &pages);
        if (area->kind != KIND_AREA || (area->flags & VERSO_AREA_BARE))
            continue;
        for (size_t i = 0; i < pages; i++) {
            size_t absent = (area->flags & VERSO_AREA_LAZY) != 0
                                ? verso_i_paging_absent(space, va + bytes_of(i))
                                : 0;
            if (absent > 0) { /* it may have terabytes, and no page */
                i += absent - 1;
                continue;
            }
            const char *broken =
                check_page(space, area, va + bytes_of(i), done);
            if (broken != NULL) {
                verso_print("page %p of the area at %p\n",
                    (void *)(va + bytes_of(i)), (void *)area->start);
                return broken;
            }
        }
    }
    return NULL;
}

static const char *check_across(void)
{
    const char *broken = NULL;
    struct space *s = verso_space_kernel();
    for (; s != NULL && broken == NULL; s = verso_i_space_next(s))
        broken = check_pages(s, false);
    for (s = verso_space_kernel(); s != NULL; s = verso_i_space_next(s))
        (void)check_pages(s, true);
    return broken;
}
#endif

const char *verso_check(void)
{
    const char *broken = NULL;
#define CHECK(storey)                                                          \
    if (broken == NULL)                                                        \
        broken = verso_i_##storey##_check();
    STOREYS(CHECK)
#undef CHECK
#if VERSO_HAS_FRAMES && VERSO_HAS_PAGING && VERSO_HAS_HEAP
    if (broken == NULL)
        broken = check_across();
#endif
    return broken;
}
