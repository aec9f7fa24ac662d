/* SPDX-License-Identifier: MIT */
/*
 * pagemap.c - the words of pages and the start bits. What needs no live map
 * runs on a small one of its own, whose windows are in test_window(): its
 * addresses begin at 0, and nothing is ever there. What needs the live one
 * goes through bare areas, which are nothing but words and bits.
 */
#include <verso/area.h>
#include <verso/back.h>
#include <verso/frame.h>
#include <verso/reclaim.h>

#include "../kernel/machine.h"
#include "../src/area.h"
#include "../src/pagemap.h"
#include "test.h"

#define LEAVES 40u /* more than one word of the second summary has */
#define PAGES  (LEAVES * PAGEMAP_LEAF_PAGES)

static struct pagemap map;
static bool is_start[PAGES];

static vaddr_t page_at(size_t page)
{
    return (vaddr_t)page << VERSO_PAGE_SHIFT;
}

static void map_open(void)
{
    size_t pages;
    vaddr_t window = test_window(&pages);
    map = (struct pagemap){.pages = PAGES, .leaves = LEAVES};
    map.leaf_start = window;
    map.bits_start = window + page_at(2 * LEAVES);
    for (size_t i = 0; i < PAGEMAP_LEAVES; i++)
        map.root[i] = verso_i_pagemap_zeros;
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
    window_close(map.leaf_start, LEAVES);
    window_close(map.bits_start, 2);
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
    map_close();
}

TEST(preparing_a_range_makes_each_of_its_leaves_and_each_only_once)
{
    map_open();
    if (prepare(1023, 1026)) {
        CHECK_EQ(map.committed, 4); /* leaves 0, 1, 2, and a page of bits */
        for (size_t page = 0; page < 3 * 1024; page += 1024)
            CHECK(pagemap_is_ready(&map, page_at(page)));
        CHECK(!pagemap_is_ready(&map, page_at(3 * 1024)));
    }
    if (prepare(1023, 1026))
        CHECK_EQ(map.committed, 4);
    if (prepare(33 * 1024, 1)) /* the second page of bits */
        CHECK_EQ(map.committed, 6);
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
    CHECK_EQ(map.top, 0);
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
    CHECK(one == before + 1 || one == before + 2);
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
    CHECK(committed() <= before + 4);
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

SUITE(pagemap, a_word_keeps_kind_class_and_node_apart,
    words_are_read_back_and_their_neighbours_stay_0,
    preparing_a_range_makes_each_of_its_leaves_and_each_only_once,
    the_word_of_any_address_whatever_is_read_without_a_fault,
    the_start_of_a_range_is_found_as_by_looking_at_every_page,
    a_single_start_is_found_from_every_leaf_behind_it,
    an_address_before_every_range_is_a_panic,
    a_leaf_and_its_bits_are_there_as_long_as_a_range_starts_in_them,
    a_range_of_any_size_has_words_at_its_ends_alone,
    no_leaf_is_made_in_an_interrupt, a_leaf_that_comes_back_is_empty);
