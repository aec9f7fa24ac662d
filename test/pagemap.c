/* SPDX-License-Identifier: MIT */
/*
 * pagemap.c - the words of pages and the start bits. What needs no live map
 * runs on a small one of its own, whose windows are in test_window(): its
 * addresses begin at 0, and nothing is ever there. What needs the live one
 * goes through bare areas, which are nothing but words and bits.
 */
#include <verso/alloc.h>
#include <verso/area.h>
#include <verso/back.h>
#include <verso/frame.h>
#include <verso/reclaim.h>

#include "../kernel/machine.h"
#include "../src/area.h"
#include "../src/pagemap.h"
#include "../src/slab.h"
#include "inject.h"
#include "test.h"

#define LEAVES 40u /* more than one word of the second summary has */
#define PAGES  (LEAVES * PAGEMAP_LEAF_PAGES)
#define REGION (1 + PAGEMAP_SUMS) /* pages of one without leaves */

static struct pagemap map;
static bool is_start[PAGES];

static vaddr_t page_at(size_t page)
{
    return (vaddr_t)page << VERSO_PAGE_SHIFT;
}

/* Its windows: roots, sums, bits, leaves. */
static void map_open_with(size_t pages)
{
    size_t room, leaves = pages / PAGEMAP_LEAF_PAGES;
    vaddr_t window = test_window(&room);
    map = (struct pagemap){.pages = pages};
    map.regions = (pages + PAGEMAP_REGION_PAGES - 1) / PAGEMAP_REGION_PAGES;
    map.root = (const vaddr_t *)window;
    map.sums_start = window + page_at(map.regions);
    map.bits_start = map.sums_start + page_at(map.regions * PAGEMAP_SUMS);
    map.leaf_start = map.bits_start + page_at(leaves / 32 + 1);
    CHECK(map.leaf_start + page_at(leaves) <= window + page_at(room));
}

static void map_open(void)
{
    map_open_with(PAGES);
    for (size_t i = 0; i < PAGES; i++)
        is_start[i] = false;
}

static void window_close(vaddr_t va, size_t pages)
{
    if (!verso_back_done(verso_back_release(NULL, va, pages)))
        (void)verso_back_drain();
}

static void map_close(void)
{
    window_close((vaddr_t)map.root,
        ((map.leaf_start - (vaddr_t)map.root) >> VERSO_PAGE_SHIFT) +
            map.pages / PAGEMAP_LEAF_PAGES);
}

static bool prepare(size_t page, size_t pages)
{
    return CHECK_OK(verso_i_pagemap_prepare(&map, page_at(page), pages));
}

/* ---- words ---- */

TEST(a_word_keeps_kind_class_and_node_apart)
{
    static const enum pagemap_kind kinds[] = {
        KIND_FREE, KIND_AREA, KIND_LIMBO, KIND_SLAB, KIND_CLASS};
    static const unsigned classes[] = {0, 1, 63, 100, PAGEMAP_CLASS_NONE};
    static const uint32_t nodes[] = {1, 2, 0x1234, (1u << NODE_INDEX_BITS) - 1};
    for (size_t k = 0; k < ARRAY_COUNT(kinds); k++)
        for (size_t c = 0; c < ARRAY_COUNT(classes); c++)
            for (size_t n = 0; n < ARRAY_COUNT(nodes); n++) {
                uint32_t w = pagemap_word(kinds[k], classes[c], nodes[n]);
                CHECK_EQ(pagemap_kind(w), kinds[k]);
                CHECK_EQ(pagemap_class(w), classes[c]);
                CHECK_EQ(pagemap_node(w), nodes[n]);
                CHECK_EQ(pagemap_is_slab(w), kinds[k] >= KIND_SLAB);
                CHECK(w != 0);
            }
    CHECK_EQ(pagemap_kind(0), KIND_NONE);
}

TEST(words_are_read_back_and_their_neighbours_stay_0)
{
    static const size_t pages[] = {0, 1, 1023, 1024, 5 * 1024 + 31, PAGES - 1};
    map_open();
    for (size_t i = 0; i < ARRAY_COUNT(pages); i++) {
        if (!prepare(pages[i], 1))
            break;
        pagemap_set(&map, page_at(pages[i]), (uint32_t)(0x1000 + i));
    }
    for (size_t i = 0; i < ARRAY_COUNT(pages); i++) {
        CHECK_EQ(pagemap_get(&map, page_at(pages[i])), 0x1000 + i);
        CHECK_EQ(pagemap_get(&map, page_at(pages[i]) + 0xfff), 0x1000 + i);
    }
    CHECK_EQ(pagemap_get(&map, page_at(2)), 0);
    CHECK_EQ(pagemap_get(&map, page_at(1022)), 0);
    CHECK_EQ(pagemap_get(&map, page_at(1025)), 0);
    CHECK_EQ(pagemap_get(&map, page_at(PAGES - 2)), 0);
    CHECK_EQ(pagemap_get(&map, page_at(3 * 1024)), 0); /* no leaf */
    CHECK_EQ(pagemap_get(&map, page_at(PAGES)), 0);
    map_close();
}

TEST(preparing_a_range_makes_each_of_its_leaves_and_each_only_once)
{
    map_open();
    if (prepare(1023, 1026)) {
        /* leaves 0, 1, 2, a page of bits, and what a region has */
        CHECK_EQ(map.committed, 4 + REGION);
        for (size_t page = 0; page < 3 * 1024; page += 1024)
            CHECK(pagemap_is_ready(&map, page_at(page)));
        CHECK(!pagemap_is_ready(&map, page_at(3 * 1024)));
    }
    if (prepare(1023, 1026))
        CHECK_EQ(map.committed, 4 + REGION);
    if (prepare(33 * 1024, 1)) /* the second page of bits */
        CHECK_EQ(map.committed, 6 + REGION);
    map_close();
}

/* Reads a word wherever the step takes it; a fault would end the run. */
TEST(the_word_of_any_address_whatever_is_read_without_a_fault)
{
    const struct area_map *areas = verso_i_area_kernel();
    struct verso_frame_stats before, after;
    vaddr_t end = areas->start + bytes_of(areas->pages);
    const vaddr_t edges[] = {0, 1, VERSO_PAGE_SIZE, areas->start - 1, end,
        end + VERSO_PAGE_SIZE, UINTPTR_MAX, UINTPTR_MAX / 2};
    verso_frame_stats(&before);
    for (size_t i = 0; i < ARRAY_COUNT(edges); i++)
        CHECK_EQ(pagemap_get(&verso_i_pagemap, edges[i]), 0);
    for (unsigned i = 0; i < 20000; i++) {
        vaddr_t va = (vaddr_t)((uint64_t)test_random() << 32 | test_random());
        if (sizeof(vaddr_t) > 4 && i % 2 == 0)
            va = areas->start + va % bytes_of(areas->pages);
        uint32_t word = pagemap_get(&verso_i_pagemap, va);
        bool within = va - areas->start < bytes_of(areas->pages);
        if (!CHECK(within || word == 0) || !CHECK(pagemap_kind(word) <= 7))
            return;
    }
    verso_frame_stats(&after);
    CHECK_EQ(after.used, before.used);
}

/* ---- start bits ---- */

/* The last start at or before the page; PAGES: none. */
static size_t naive_start(size_t page)
{
    for (size_t at = page + 1; at-- > 0;)
        if (is_start[at])
            return at;
    return PAGES;
}

static bool find_agrees(size_t page)
{
    size_t expected = naive_start(page);
    if (expected == PAGES)
        return true;
    vaddr_t found = verso_i_pagemap_find_start(&map, page_at(page) + 5);
    if (CHECK_EQ(found, page_at(expected)))
        return true;
    test_note("page %zu", page);
    return false;
}

static void start_toggle(size_t page)
{
    if (!is_start[page])
        pagemap_start_add(&map, page_at(page));
    else
        pagemap_start_remove(&map, page_at(page));
    is_start[page] = !is_start[page];
}

/* A page near a boundary of words, leaves or groups of leaves, or anywhere. */
static size_t any_page(void)
{
    static const uint32_t steps[] = {32, 1024, 32 * 1024, 1};
    uint32_t step = steps[test_random_below(4)];
    uint32_t page = test_random_below(PAGES / step) * step;
    return (page + test_random_below(3) + PAGES - 1) % PAGES;
}

TEST(the_start_of_a_range_is_found_as_by_looking_at_every_page)
{
    map_open();
    bool well = prepare(0, PAGES);
    for (unsigned round = 0; well && round < 6; round++) {
        /* few and many, so that every level of the summaries decides */
        for (unsigned i = 0; i < 4u << 2 * round && i < 2000; i++)
            start_toggle(any_page());
        for (unsigned i = 0; well && i < 300; i++)
            well = find_agrees(any_page());
        for (unsigned leaf = 0; well && leaf < LEAVES; leaf++)
            well = find_agrees(leaf * PAGEMAP_LEAF_PAGES) &&
                   find_agrees((leaf + 1) * PAGEMAP_LEAF_PAGES - 1);
    }
    map_close();
}

TEST(a_single_start_is_found_from_every_leaf_behind_it)
{
    static const size_t at[] = {0, 31, 32, 1023, 1024, 31 * 1024 + 1023};
    map_open();
    bool well = prepare(0, PAGES);
    for (size_t i = 0; well && i < ARRAY_COUNT(at); i++) {
        start_toggle(at[i]);
        for (size_t page = at[i]; well && page < PAGES; page += 511)
            well = find_agrees(page);
        start_toggle(at[i]);
    }
    CHECK(bitset_lowest(&map.started) == BITSET_NONE);
    map_close();
}

static void find_before_all(void *arg)
{
    (void)verso_i_pagemap_find_start(arg, page_at(77));
}

TEST(an_address_before_every_range_is_a_panic)
{
    map_open();
    if (prepare(0, 1)) {
        start_toggle(78);
        CHECK_PANICS_WITH(find_before_all, &map, "no range before");
    }
    map_close();
}

/* ---- regions: where addresses have more than 32 bits ---- */

#define FAR_REGIONS 70u /* more than one word of the bitset has */
#define FAR_STARTS  24u

/* Has the test window room for the windows of such a map? */
static bool have_far(void)
{
    size_t room;
    const size_t pages = PAGEMAP_REGION_LEAVES * 33u / 32 + REGION;
    (void)test_window(&room);
    return !PAGEMAP_COVERS_ALL && room > FAR_REGIONS * pages + 1;
}

/* The last of the starts at or before a page, by looking at all of them. */
static size_t naive_far(const size_t *start, size_t count, size_t page)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < count; i++)
        if (start[i] <= page && (best == SIZE_MAX || start[i] > best))
            best = start[i];
    return best;
}

static size_t far_page(void)
{
    size_t region = test_random_below(FAR_REGIONS);
    size_t leaf = test_random_below(4) != 0
                      ? test_random_below(2) * (PAGEMAP_REGION_LEAVES - 1)
                      : test_random_below(PAGEMAP_REGION_LEAVES);
    return (region * PAGEMAP_REGION_LEAVES + leaf) * PAGEMAP_LEAF_PAGES +
           test_random_below(PAGEMAP_LEAF_PAGES);
}

static void far_starts_agree(const size_t *start, size_t count)
{
    for (unsigned i = 0; i < 200; i++) {
        size_t page = i < count ? start[i] + test_random_below(3) : far_page();
        size_t expected = naive_far(start, count, page);
        bool is = pagemap_get(&map, page_at(page)) != 0;
        if (page >= map.pages || expected == SIZE_MAX)
            continue;
        if (!CHECK_EQ(verso_i_pagemap_find_start(&map, page_at(page)),
                page_at(expected)) ||
            !CHECK_EQ(is, expected == page))
            test_note("page %zu", page);
    }
}

TEST(starts_in_regions_far_apart_are_found_from_each_other)
{
    size_t start[FAR_STARTS];
    if (!have_far())
        SKIP("one region covers all addresses, or no window for more");
    for (unsigned round = 0; round < 5; round++) {
        size_t count = 0;
        map_open_with((size_t)FAR_REGIONS * PAGEMAP_REGION_PAGES);
        while (count < FAR_STARTS) {
            size_t page = far_page();
            if (pagemap_get(&map, page_at(page)) != 0)
                continue;
            if (!prepare(page, 1))
                break;
            pagemap_set(&map, page_at(page), 7);
            pagemap_start_add(&map, page_at(page));
            start[count++] = page;
            far_starts_agree(start, count);
        }
        while (count-- > 0) {
            pagemap_set(&map, page_at(start[count]), 0);
            pagemap_start_remove(&map, page_at(start[count]));
            far_starts_agree(start, count);
        }
        CHECK(bitset_lowest(&map.started) == BITSET_NONE);
        map_close();
    }
}

TEST(near_is_as_far_as_the_first_region_that_is_absent)
{
    static const uint32_t order[] = {2, 0, 1, 4, 3};
    static const uint32_t near[] = {0, 1, 3, 3, 5};
    if (!have_far())
        SKIP("one region covers all addresses, or no window for more");
    map_open_with((size_t)FAR_REGIONS * PAGEMAP_REGION_PAGES);
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
        size_t page = (size_t)order[i] * PAGEMAP_REGION_PAGES + 5;
        CHECK(!pagemap_is_ready(&map, page_at(page)));
        CHECK_EQ(pagemap_get(&map, page_at(page)), 0);
        if (!prepare(page, 1))
            break;
        pagemap_set(&map, page_at(page), order[i] + 1);
        CHECK_EQ(map.near, (size_t)near[i] * PAGEMAP_REGION_PAGES);
    }
    for (uint32_t r = 0; r < 5; r++) {
        size_t page = (size_t)r * PAGEMAP_REGION_PAGES + 5;
        CHECK(pagemap_is_ready(&map, page_at(page)));
        CHECK_EQ(pagemap_get(&map, page_at(page)), r + 1);
        CHECK_EQ(pagemap_get_near(&map, page_at(page)), r + 1);
        CHECK_EQ(pagemap_get(&map, page_at(page + 1)), 0);
    }
    for (uint32_t r = 4; r-- > 1; r--) {
        size_t page = (size_t)r * PAGEMAP_REGION_PAGES + 5;
        size_t before = map.committed;
        pagemap_set(&map, page_at(page), 0);
        CHECK(verso_i_pagemap_shrink(&map));
        CHECK_EQ(map.near, (size_t)r * PAGEMAP_REGION_PAGES);
        CHECK_EQ(map.committed, before - REGION - 2);
        CHECK_EQ(pagemap_get(&map, page_at(page)), 0);
    }
    CHECK(!verso_i_pagemap_shrink(&map));
    map_close();
}

TEST(a_region_that_runs_out_of_memory_is_absent_again)
{
    if (!have_far() || !inject_available())
        SKIP("one region, no window, or no failure injection in this build");
    map_open_with((size_t)FAR_REGIONS * PAGEMAP_REGION_PAGES);
    size_t page = 2 * (size_t)PAGEMAP_REGION_PAGES + 9;
    unsigned n = 1;
    for (;; n++) {
        inject_fail_at(n);
        int err = verso_i_pagemap_prepare(&map, page_at(page), 1);
        inject_fail_at(0);
        if (err == 0)
            break;
        CHECK_EQ(err, VERSO_NO_MEMORY);
        CHECK(!pagemap_is_ready(&map, page_at(page)));
        (void)verso_i_pagemap_shrink(&map);
        CHECK_EQ(map.committed, 0);
        CHECK_EQ(pagemap_get(&map, page_at(page)), 0);
    }
    CHECK(n > 4); /* root, summaries, leaf, bits */
    map_close();
}

/* ---- the live map ---- */

static void *bare_at(vaddr_t va, size_t pages)
{
    struct verso_area_request request = {
        .pages = pages, .flags = VERSO_AREA_BARE, .fixed = va};
    return verso_area_alloc_as(&request);
}

/* The first page of some leaf in the middle of the heap: nobody is there. */
static vaddr_t idle_leaf(void)
{
    const struct area_map *areas = verso_i_area_kernel();
    vaddr_t middle = areas->start + bytes_of(areas->pages / 2);
    size_t a_group = 32 * PAGEMAP_LEAF_PAGES;
    vaddr_t offset = round_down(
        middle - verso_i_pagemap.start, (uintptr_t)a_group << VERSO_PAGE_SHIFT);
    vaddr_t leaf = verso_i_pagemap.start + offset;
    return leaf > areas->start ? leaf : leaf + bytes_of(PAGEMAP_LEAF_PAGES);
}

static size_t committed(void)
{
    verso_trim();
    return verso_i_pagemap.committed;
}

TEST(a_leaf_and_its_bits_are_there_as_long_as_a_range_starts_in_them)
{
    size_t before = committed();
    vaddr_t leaf = idle_leaf();
    void *first = bare_at(leaf, 1);
    if (!CHECK(first != NULL))
        return;
    size_t one = committed();
    CHECK(one >= before + 1 && one <= before + 2 + REGION);
    void *other = bare_at(leaf + page_at(700), 300);
    CHECK_EQ(committed(), one);
    /* the free range behind it starts in the next leaf */
    void *edge = bare_at(leaf + page_at(1023), 1);
    CHECK_EQ(committed(), one + 1);
    verso_area_free(first);
    CHECK_EQ(committed(), one + 1);
    verso_area_free(edge);
    CHECK_EQ(committed(), one);
    verso_area_free(other);
    CHECK_EQ(committed(), before);
}

TEST(a_range_of_any_size_has_words_at_its_ends_alone)
{
    size_t before = committed();
    vaddr_t leaf = idle_leaf();
    size_t pages = 20 * PAGEMAP_LEAF_PAGES;
    void *large = bare_at(leaf, pages);
    if (!CHECK(large != NULL))
        return;
    CHECK(committed() <= before + 4 + REGION);
    CHECK_EQ(pagemap_kind(pagemap_get(&verso_i_pagemap, leaf)), KIND_AREA);
    CHECK_EQ(pagemap_get(&verso_i_pagemap, leaf + page_at(1)), 0);
    CHECK_EQ(pagemap_get(&verso_i_pagemap, leaf + page_at(pages - 1)), 0);
    CHECK_EQ(pagemap_kind(pagemap_get(&verso_i_pagemap, leaf + page_at(pages))),
        KIND_FREE);
    verso_area_free(large);
    CHECK_EQ(committed(), before);
}

TEST(no_leaf_is_made_in_an_interrupt)
{
    size_t before = committed();
    machine_pretend_interrupt(true);
    int err = verso_i_pagemap_prepare(&verso_i_pagemap, idle_leaf(), 1);
    machine_pretend_interrupt(false);
    CHECK_EQ(err, VERSO_NO_MEMORY);
    CHECK_EQ(committed(), before);
}

/* A leaf that was given back and is needed again must not remember. */
TEST(a_leaf_that_comes_back_is_empty)
{
    vaddr_t leaf = idle_leaf();
    for (unsigned round = 0; round < 3; round++) {
        void *a = bare_at(leaf + page_at(10 + round), 5);
        if (!CHECK(a != NULL))
            return;
        for (size_t i = 0; i < PAGEMAP_LEAF_PAGES; i++) {
            uint32_t word = pagemap_get(&verso_i_pagemap, leaf + page_at(i));
            CHECK_EQ(word != 0, i == 10 + round || i == 15 + round);
        }
        verso_area_free(a);
        verso_trim();
    }
}

/* Whichever word it is. */
TEST(a_leaf_whose_last_page_begins_a_range_stays)
{
    size_t before = committed();
    vaddr_t leaf = idle_leaf();
    void *edge = bare_at(leaf + page_at(PAGEMAP_LEAF_PAGES - 1), 1);
    if (!CHECK(edge != NULL))
        return;
    CHECK(committed() > before);
    CHECK(verso_i_pagemap_check() == NULL);
    CHECK_EQ(
        pagemap_kind(pagemap_get(&verso_i_pagemap, (vaddr_t)edge)), KIND_AREA);
    verso_area_free(edge);
    CHECK_EQ(committed(), before);
}

/* Committing an area of any size and freeing it: what that costs. */
static size_t frames_of_area(size_t pages, unsigned flags)
{
    struct verso_frame_stats before, after;
    verso_trim();
    verso_frame_stats(&before);
    void *area = verso_area_alloc(pages, flags);
    if (!CHECK(area != NULL))
        return 0;
    verso_frame_stats(&after);
    struct verso_area_info info;
    CHECK_OK(verso_area_find((char *)area + page_at(pages) - 1, &info));
    CHECK_EQ(info.start, (vaddr_t)area);
    CHECK_OK(verso_area_find((char *)area + page_at(pages / 2) + 9, &info));
    CHECK_EQ(info.start, (vaddr_t)area);
    verso_area_free(area);
    size_t taken = after.used - before.used;
    verso_trim();
    verso_frame_stats(&after);
    CHECK_EQ(after.used, before.used);
    return taken;
}

/* A region, a leaf, bits, a node page; and tables for each of them, of which
 * there are three levels below those that stay at the most, and for two ends of
 * the area, which may be in different regions. */
TEST(an_area_of_almost_all_addresses_costs_a_few_frames)
{
    struct verso_area_stats stats;
    verso_area_stats(&stats);
    size_t few = 2 * (REGION + 2) + 1;
    for (size_t pages = 1u << 18; pages < stats.largest_free; pages *= 4) {
        CHECK(frames_of_area(pages, VERSO_AREA_BARE) <= 4 * few);
        CHECK(frames_of_area(pages, VERSO_AREA_LAZY) <= 4 * few);
    }
    CHECK(frames_of_area(stats.largest_free, VERSO_AREA_LAZY) <= 4 * few);
    if (sizeof(vaddr_t) > 4)
        test_note("%zu GiB of addresses", stats.largest_free >> 18);
}

/* Takes all that is free below an address, as bare areas; returns how many. */
static size_t cover_below(vaddr_t limit, void **cover, size_t room)
{
    const struct area_map *areas = verso_i_area_kernel();
    size_t count = 0;
    vaddr_t at = areas->start;
    while (at < limit && count < room) {
        const struct mem_area *range = area_get(verso_i_area_find(areas, at));
        vaddr_t end = range->start + bytes_of(range->pages);
        if (range->kind == KIND_FREE)
            cover[count++] = bare_at(
                range->start, ((end < limit ? end : limit) - range->start) >>
                                  VERSO_PAGE_SHIFT);
        at = end;
    }
    return count;
}

static void free_again(void *object)
{
    verso_free(object);
}

/* In a region of its own behind absent ones, so not near. */
TEST(an_object_far_up_is_known_and_freed_like_any)
{
    static void *cover[64], *object[40];
    if (PAGEMAP_COVERS_ALL || verso_i_pagemap.regions < 4)
        SKIP("one region covers all addresses");
    size_t before = committed();
    vaddr_t limit = round_down(idle_leaf(), page_at(PAGEMAP_REGION_PAGES));
    size_t count = cover_below(limit, cover, ARRAY_COUNT(cover));
    size_t far = 0;
    for (size_t i = 0; i < ARRAY_COUNT(object); i++) {
        object[i] = verso_alloc(i % 2 == 0 ? 16384 : 70000);
        CHECK(object[i] != NULL);
        if ((vaddr_t)object[i] < limit)
            continue;
        far++;
        CHECK(pagemap_get_near(&verso_i_pagemap, (vaddr_t)object[i]) == 0);
        CHECK_EQ(verso_usable_size(object[i]), i % 2 == 0 ? 16384 : 73728);
        CHECK_EQ(slab_find(object[i]) != NULL, i % 2 == 0);
        CHECK_PANICS_WITH(free_again, (char *)object[i] + 16,
            i % 2 == 0 ? "slab: free of" : "alloc: free of");
    }
    CHECK(far > ARRAY_COUNT(object) / 2);
    for (size_t i = 0; i < ARRAY_COUNT(object); i++)
        verso_free(object[i]);
    while (count > 0)
        verso_area_free(cover[--count]);
    CHECK_EQ(committed(), before);
}

TEST(huge_areas_keep_to_the_high_end_and_small_ones_near)
{
    struct verso_area_stats stats;
    verso_area_stats(&stats);
    size_t pages = stats.largest_free / 2;
    if (pages <= (size_t)1 << 18)
        SKIP("no address range is huge");
    char *huge = verso_area_alloc(pages, VERSO_AREA_BARE);
    char *small = verso_area_alloc(64, VERSO_AREA_BARE);
    struct verso_area_request request = {.pages = pages / 2 - 5,
        .align = 1u << 30,
        .flags = VERSO_AREA_BARE | VERSO_AREA_GUARD};
    char *aligned = verso_area_alloc_as(&request);
    if (!CHECK(huge != NULL && aligned != NULL && small != NULL))
        return;
    CHECK_EQ((vaddr_t)aligned % (1u << 30), 0);
    CHECK(small < aligned && aligned < huge);
    CHECK(aligned + page_at(request.pages + 1) <= huge);
    CHECK((vaddr_t)(huge - aligned) < page_at(request.pages) + (2u << 30));
    verso_area_free(small);
    verso_area_free(aligned);
    verso_area_free(huge);
}

SUITE(pagemap, starts_in_regions_far_apart_are_found_from_each_other,
    near_is_as_far_as_the_first_region_that_is_absent,
    a_region_that_runs_out_of_memory_is_absent_again,
    an_area_of_almost_all_addresses_costs_a_few_frames,
    an_object_far_up_is_known_and_freed_like_any,
    huge_areas_keep_to_the_high_end_and_small_ones_near,
    a_word_keeps_kind_class_and_node_apart,
    words_are_read_back_and_their_neighbours_stay_0,
    preparing_a_range_makes_each_of_its_leaves_and_each_only_once,
    the_word_of_any_address_whatever_is_read_without_a_fault,
    the_start_of_a_range_is_found_as_by_looking_at_every_page,
    a_single_start_is_found_from_every_leaf_behind_it,
    an_address_before_every_range_is_a_panic,
    a_leaf_and_its_bits_are_there_as_long_as_a_range_starts_in_them,
    a_range_of_any_size_has_words_at_its_ends_alone,
    no_leaf_is_made_in_an_interrupt, a_leaf_that_comes_back_is_empty,
    a_leaf_whose_last_page_begins_a_range_stays);
