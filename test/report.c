/* SPDX-License-Identifier: MIT */
/*
 * report.c - what the reports say, word by word where the words are figures.
 * Runs where what is printed can be had back: on um.
 */
#include <verso/alloc.h>
#include <verso/area.h>
#include <verso/frame.h>
#include <verso/init.h>
#include <verso/paging.h>
#include <verso/report.h>
#include <verso/slab.h>
#include <verso/space.h>

#include "../kernel/machine.h"
#include "geometry.h"
#include "test.h"

#define AREAS 50u /* more than the report lists */

static char said[1 << 16];

static bool has(const char *part)
{
    for (const char *at = said; *at != '\0'; at++) {
        size_t n = 0;
        while (part[n] != '\0' && at[n] == part[n])
            n++;
        if (part[n] == '\0')
            return true;
    }
    return false;
}

/* Was a line said that holds this? */
#define CHECK_SAID(...)                                                        \
    do {                                                                       \
        char line[160];                                                        \
        verso_format(line, sizeof(line), __VA_ARGS__);                         \
        if (!CHECK(has(line)))                                                 \
            test_note("\"%s\" is not in:\n%.400s", line, said);                \
    } while (0)

#define LISTEN(call)                                                           \
    do {                                                                       \
        test_capture(said, sizeof(said));                                      \
        call;                                                                  \
        test_capture(NULL, 0);                                                 \
    } while (0)

#define SKIP_IF_UNHEARD()                                                      \
    if (!test_capture)                                                         \
    SKIP("what is printed cannot be had back here")

static vaddr_t window(size_t page)
{
    size_t pages;
    return test_window(&pages) + ((vaddr_t)page << VERSO_PAGE_SHIFT);
}

static unsigned long long address(pfn_t pfn)
{
    return (unsigned long long)pfn_nr(pfn) << VERSO_PAGE_SHIFT;
}

/* Four frames in a row at the window's first pages: two alike, one uncached
 * and read-only, one for users that nobody may read. */
static pfn_t pages_map(void)
{
    pfn_t pfn = verso_frame_alloc(2, VERSO_ZONE_ANY);
    verso_frame_set_cache(pfn_make(pfn_nr(pfn) + 2), VERSO_CACHE_UC);
    verso_frame_set_cache(pfn_make(pfn_nr(pfn) + 3), VERSO_CACHE_WT);
    CHECK_OK(verso_map(window(0), pfn, 2, VERSO_RW));
    CHECK_OK(verso_map(
        window(2), pfn_make(pfn_nr(pfn) + 2), 1, VERSO_READ | VERSO_CACHE_UC));
    CHECK_OK(verso_map(
        window(3), pfn_make(pfn_nr(pfn) + 3), 1, VERSO_USER | VERSO_CACHE_WT));
    return pfn;
}

static void pages_unmap(pfn_t pfn)
{
    CHECK_OK(verso_unmap(window(0), 4));
    verso_frame_free(pfn, 2);
}

TEST(the_report_of_tables_merges_neighbours_that_are_alike)
{
    struct verso_paging_stats stats;
    SKIP_IF_UNHEARD();
    pfn_t pfn = pages_map();
    LISTEN(verso_report_tables(window(1) + 5));
    CHECK(!has("walk"));
    CHECK_SAID("tables: %08zx-%08zx -> %08llx rw-k 4K\n", (size_t)window(1),
        (size_t)window(2) - 1, address(pfn) + VERSO_PAGE_SIZE);
    LISTEN(verso_report_tables(0));
    CHECK_SAID("tables: %08zx-%08zx -> %08llx rw-k 4K\n", (size_t)window(0),
        (size_t)window(2) - 1, address(pfn));
    CHECK_SAID("tables: %08zx-%08zx -> %08llx r--k uc 4K\n", (size_t)window(2),
        (size_t)window(3) - 1, address(pfn) + 2 * VERSO_PAGE_SIZE);
    CHECK_SAID("tables: %08zx-%08zx -> %08llx ---u wt 4K no access\n",
        (size_t)window(3), (size_t)window(4) - 1,
        address(pfn) + 3 * VERSO_PAGE_SIZE);
    CHECK(has(" mirror\n") == geometry_has_mirror());
    verso_paging_stats(&stats);
    CHECK_SAID("tables: %zu in use, root at ", stats.tables - stats.spare);
    pages_unmap(pfn);
}

TEST(the_report_of_tables_knows_large_pages)
{
    const pfn_t nowhere = pfn_make(0xd0000);
    const size_t pages = geometry_large_pages();
    SKIP_IF_UNHEARD();
    if (pages == 0)
        SKIP("this machine has no large pages");
    CHECK_OK(verso_map(window(0), nowhere, pages, VERSO_RW));
    LISTEN(verso_report_tables(0));
    CHECK_SAID("tables: %08zx-%08zx -> %08llx rw-k %zuM\n", (size_t)window(0),
        (size_t)window(pages) - 1, address(nowhere),
        pages << VERSO_PAGE_SHIFT >> 20);
    CHECK_OK(verso_unmap(window(0), pages));
}

TEST(a_walk_is_told_level_by_level)
{
    SKIP_IF_UNHEARD();
    pfn_t pfn = pages_map();
    *(volatile char *)window(0) = 1;
    LISTEN(verso_report_walk(window(0)));
    CHECK(has("walk: level 1 entry "));
    CHECK(has(": table in frame 0x") || has(" table in frame 0x"));
    CHECK(has(", 4 live\n"));
    CHECK_SAID("page in frame %#x, rw-k, accessed, dirty\n", pfn_nr(pfn));
    LISTEN(verso_report_walk(window(3)));
    CHECK_SAID("page in frame %#x, ---u wt, no access", pfn_nr(pfn) + 3);
    pages_unmap(pfn);
    LISTEN(verso_report_walk(window(0)));
    CHECK(has("absent\n"));
}

TEST(an_address_outside_the_heap_is_described_too)
{
    struct machine_mirror mirror;
    SKIP_IF_UNHEARD();
    pfn_t pfn = pages_map();
    machine_mirror(&mirror);
    LISTEN(verso_describe((void *)(window(1) + 5)));
    CHECK_SAID("%p: outside the heap, mapped to %#llx\n",
        (void *)(window(1) + 5), address(pfn) + VERSO_PAGE_SIZE + 5);
    if (geometry_has_mirror()) {
        LISTEN(verso_describe((void *)mirror.tables));
        CHECK_SAID("%p: the mirror: entry of %p at level 0\n",
            (void *)mirror.tables, (void *)0);
        LISTEN(verso_describe((void *)mirror.directory));
        CHECK_SAID("%p: the mirror: entry of %p at level %u\n",
            (void *)mirror.directory, (void *)0, geometry_levels() - 1);
    }
    LISTEN(verso_describe((void *)machine_boot()->window));
    CHECK(has("paging's window\n"));
    LISTEN(verso_describe((void *)window(4)));
    CHECK_SAID("%p: nothing of Verso's\n", (void *)window(4));
    pages_unmap(pfn);
}

TEST(the_report_of_frames_has_the_figures_of_the_stats)
{
    struct verso_frame_stats stats;
    char blocks[VERSO_FRAME_ORDERS * 6 + 1];
    SKIP_IF_UNHEARD();
    verso_frame_free1(verso_frame_alloc1(VERSO_ZONE_ANY)); /* fills the stock */
    LISTEN(verso_report_frames());
    verso_frame_stats(&stats);
    CHECK_SAID("frames: %u of 4 KiB,", (unsigned)machine_boot()->frame_count);
    CHECK_SAID("  %-16s %9zu frames ", "free, in stock", stats.stock);
    CHECK_SAID(
        "  %-16s %9zu frames ", "free, in blocks", stats.free - stats.stock);
    for (unsigned k = 0; k < VERSO_FRAME_ORDERS; k++)
        verso_format(blocks + (size_t)6 * k, 7, "%6zu", stats.blocks[k]);
    CHECK_SAID("%s\n", blocks);
    CHECK(has("x reserved  # used  T tables  . free"));
    CHECK(has("  zone 0  frames 0x00000..0x"));
    CHECK(has(" MiB") && has(" KiB"));
}

TEST(the_report_of_areas_counts_what_it_does_not_list)
{
    void *area[AREAS];
    SKIP_IF_UNHEARD();
    void *object = verso_alloc(24);
    LISTEN(verso_report_areas());
    CHECK(!has("area: ... and "));
    CHECK(!has("of them 0 slabs"));
    for (unsigned i = 0; i < AREAS; i++)
        area[i] = verso_area_alloc(1, 0);
    LISTEN(verso_report_areas());
    CHECK(has("area: ... and ") && has(" more\n"));
    for (unsigned i = 0; i < AREAS; i++)
        verso_area_free(area[i]);
    verso_free(object);
}

/* One space with an area of three pages; NULL if there are no addresses. */
static struct space *space_with_area(vaddr_t *va)
{
    const struct verso_area_request request = {.pages = 3,
        .flags = VERSO_AREA_LAZY | VERSO_AREA_GUARD_ABOVE,
        .name = "a user's"};
    if (machine_boot()->user_pages == 0)
        return NULL;
    struct space *space = verso_space_create();
    if (CHECK(space != NULL))
        CHECK_OK(verso_space_area_alloc(space, &request, va));
    return space;
}

TEST(the_report_of_spaces_lists_each_with_its_areas)
{
    vaddr_t va;
    SKIP_IF_UNHEARD();
    LISTEN(verso_report_spaces());
    CHECK_EQ(said[0], '\0');
    struct space *space = space_with_area(&va);
    if (space == NULL)
        SKIP("no addresses for user spaces here");
    LISTEN(verso_report_spaces());
    CHECK(has("space: root in frame ") && has(" tables\n"));
    CHECK(!has("loaded"));
    CHECK_SAID("area: %08zx-%08zx %7u pages  rw- lazy guarded  a user's\n",
        (size_t)va, (size_t)va + 4 * VERSO_PAGE_SIZE - 1, 4u);
    CHECK(has("areas: 1 in use (4 pages)"));
    verso_space_switch(space);
    LISTEN(verso_report_spaces());
    CHECK(has(" tables, loaded\n"));
    verso_space_switch(verso_space_kernel());
    CHECK_OK(verso_space_destroy(space));
}

TEST(an_address_of_users_is_described_if_the_space_is_loaded)
{
    vaddr_t va;
    SKIP_IF_UNHEARD();
    struct space *space = space_with_area(&va);
    if (space == NULL)
        SKIP("no addresses for user spaces here");
    LISTEN(verso_describe((void *)(va + 5)));
    CHECK(has("nothing of Verso's") && !has("a user's"));
    verso_space_switch(space);
    LISTEN(verso_describe((void *)(va + 5)));
    CHECK(has("byte 5 of ") && has("a user's"));
    LISTEN(verso_describe((void *)(va + 3 * VERSO_PAGE_SIZE)));
    CHECK(has("in a guard page of ") && has("a user's"));
    /* the first pages are left out of the map */
    LISTEN(verso_describe((void *)machine_boot()->user_start));
    CHECK(has("nothing of Verso's"));
    verso_space_switch(verso_space_kernel());
    CHECK_OK(verso_space_destroy(space));
}

TEST(the_report_of_slabs_has_a_row_for_each_cache_with_objects)
{
    struct verso_slab_stats stats;
    SKIP_IF_UNHEARD();
    struct slab_desc *cache = verso_slab_create(
        &(struct verso_slab_params){.name = "mine", .size = 104, .align = 8});
    LISTEN(verso_report_slabs());
    CHECK(!has("mine"));
    void *object = verso_slab_alloc(cache);
    verso_slab_stats(cache, &stats);
    LISTEN(verso_report_slabs());
    CHECK_SAID("%-16s %6u %6u %8u %8zu %6u %6u %8u %5u\n", "mine", 104u, 104u,
        1u, stats.total, 1u, 1u, 4u, 2u);
    verso_slab_free(cache, object);
    verso_slab_destroy(cache);
}

TEST(the_whole_report_has_a_part_for_every_storey)
{
    SKIP_IF_UNHEARD();
    LISTEN(verso_report());
    CHECK(has("frames: "));
    CHECK(has("tables: "));
    CHECK(has("node"));
    CHECK(has("pagemap"));
    CHECK(has("areas: "));
    CHECK(has("slab"));
}

TEST(an_address_in_the_hole_has_no_walk)
{
    vaddr_t va = (vaddr_t)1 << (8 * sizeof(vaddr_t) - 2);
    if (sizeof(vaddr_t) == 4)
        SKIP("every number is an address");
    SKIP_IF_UNHEARD();
    LISTEN(verso_report_walk(va));
    CHECK_SAID("walk: %p is no address", (void *)va);
    CHECK(!has("level"));
}

SUITE(report, the_report_of_tables_merges_neighbours_that_are_alike,
    the_report_of_tables_knows_large_pages, a_walk_is_told_level_by_level,
    an_address_outside_the_heap_is_described_too,
    the_report_of_frames_has_the_figures_of_the_stats,
    the_report_of_areas_counts_what_it_does_not_list,
    the_report_of_spaces_lists_each_with_its_areas,
    an_address_of_users_is_described_if_the_space_is_loaded,
    the_report_of_slabs_has_a_row_for_each_cache_with_objects,
    the_whole_report_has_a_part_for_every_storey,
    an_address_in_the_hole_has_no_walk);
