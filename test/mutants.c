/* SPDX-License-Identifier: MIT */
/*
 * mutants.c - tests that a mutant (test/mutants/) showed to be missing: what
 * is promised somewhere, and no other suite asked for. A test that comes to
 * belong to a storey may move to its suite.
 */
#include <verso/frame.h>
#include <verso/paging.h>
#include <verso/reclaim.h>

#include "../kernel/machine.h"
#include "geometry.h"
#include "paging.h"
#include "slab.h"
#include "test.h"

#define NOWHERE     geometry_nowhere()
#define CEILING     ((size_t)VERSO_FLUSH_CEILING)
#define LARGE_ORDER 10u
#define PAGE_AT(n)  (window() + ((vaddr_t)(n) << VERSO_PAGE_SHIFT))

static pfn_t list[CEILING + 2];

static vaddr_t window(void)
{
    size_t pages;
    return test_window(&pages);
}

static volatile uint32_t *word_at(vaddr_t va)
{
    return (volatile uint32_t *)va;
}

static struct verso_paging_stats stats_now(void)
{
    struct verso_paging_stats stats;
    verso_paging_stats(&stats);
    return stats;
}

/* A large page of RAM at the window; none: says why. */
static pfn_t large_map(unsigned flags)
{
    pfn_t block = PFN_NONE;
    if (geometry_large_pages() == (size_t)1 << LARGE_ORDER)
        block = verso_frame_alloc(LARGE_ORDER, VERSO_ZONE_ANY);
    if (pfn_is_none(block))
        test_skip("no large page to be had");
    else
        CHECK_OK(verso_map(
            window(), block, (size_t)1 << LARGE_ORDER, VERSO_READ | flags));
    return block;
}

static void large_unmap(pfn_t block)
{
    CHECK_OK(verso_unmap(window(), geometry_large_pages()));
    verso_frame_free(block, LARGE_ORDER);
}

/* The page of the mirror where the window's first table would be: while a large
 * page is mapped there it shows the start of that; 0: there is no mirror. */
static vaddr_t mirror_of_window(void)
{
    if (geometry_has_mirror())
        return geometry_mirror_entry(window());
    test_skip("no mirror beside the direct map");
    return 0;
}

/* ---- large pages, and their pages in the mirror: pitfalls 1, 20, 22 ---- */

TEST(a_large_page_that_is_made_read_only_refuses_writes_everywhere)
{
    pfn_t block = large_map(VERSO_WRITE);
    if (pfn_is_none(block))
        return;
    *word_at(PAGE_AT(0)) = 1;
    *word_at(PAGE_AT(700)) = 2;
    CHECK_OK(verso_protect(window(), geometry_large_pages(), VERSO_READ));
    CHECK(machine_probe(word_at(PAGE_AT(700)), true));
    CHECK(machine_probe(word_at(PAGE_AT(0)), true));
    CHECK_EQ(*word_at(PAGE_AT(700)), 2);
    large_unmap(block);
}

TEST(the_mirror_forgets_a_large_page_that_went)
{
    pfn_t block = large_map(VERSO_WRITE);
    if (pfn_is_none(block))
        return;
    vaddr_t seen = mirror_of_window();
    *word_at(window()) = 77;
    if (seen != 0)
        CHECK_EQ(*word_at(seen), 77);
    large_unmap(block);
    if (seen != 0)
        CHECK(machine_probe(word_at(seen), false));
}

TEST(the_mirror_shows_a_large_page_with_the_rights_it_has)
{
    pfn_t block = large_map(VERSO_WRITE);
    if (pfn_is_none(block))
        return;
    vaddr_t seen = mirror_of_window();
    if (seen != 0) {
        CHECK(!machine_probe(word_at(seen), true));
        CHECK_OK(verso_protect(window(), geometry_large_pages(), VERSO_READ));
        CHECK(machine_probe(word_at(seen), true));
    }
    large_unmap(block);
}

TEST(a_harvest_makes_the_mirror_tell_the_next_use_too)
{
    static unsigned char bits[(size_t)1 << LARGE_ORDER];
    const size_t pages = sizeof(bits);
    pfn_t block = large_map(VERSO_WRITE);
    if (pfn_is_none(block))
        return;
    vaddr_t seen = mirror_of_window();
    for (unsigned round = 0; seen != 0 && round < 2; round++) {
        *word_at(seen) = round;
        CHECK_OK(verso_harvest(window(), pages, bits));
        CHECK_EQ(bits[0], 3);
    }
    large_unmap(block);
}

/* ---- splits: pitfalls 11, 22 ---- */

TEST(a_split_keeps_users_and_use)
{
    struct verso_mapping m;
    unsigned char bits[2];
    pfn_t block = large_map(VERSO_WRITE | VERSO_USER);
    if (pfn_is_none(block))
        return;
    *word_at(PAGE_AT(5)) = 1;
    CHECK_OK(verso_protect(PAGE_AT(9), 1, VERSO_READ));
    CHECK_OK(verso_query(PAGE_AT(5), &m));
    CHECK_EQ(m.page_pages, 1);
    CHECK_EQ(m.flags & VERSO_RIGHTS_MASK, VERSO_RW | VERSO_USER);
    CHECK(geometry_user_reaches(PAGE_AT(5)));
    CHECK_OK(verso_harvest(PAGE_AT(5), 2, bits));
    CHECK_EQ(bits[0], 3);
    CHECK_EQ(bits[1], 3);
    large_unmap(block);
}

TEST(a_page_that_loses_a_right_keeps_its_use)
{
    unsigned char bits;
    pfn_t frame = verso_frame_alloc1(VERSO_ZONE_ANY);
    if (!CHECK(!pfn_is_none(frame)))
        return;
    CHECK_OK(verso_map(window(), frame, 1, VERSO_RW));
    *word_at(window()) = 1;
    CHECK_OK(verso_protect(window(), 1, VERSO_READ));
    CHECK_OK(verso_harvest(window(), 1, &bits));
    CHECK_EQ(bits, 3);
    CHECK_OK(verso_unmap(window(), 1));
    verso_frame_free1(frame);
}

/* ---- flushes: pitfalls 13, 25 ---- */

/* Unmaps so many pages of a table that stays. */
static void unmap_some(size_t pages, size_t invalidations, size_t flushes)
{
    for (size_t i = 0; i < pages + 1; i++)
        list[i] = NOWHERE;
    CHECK_OK(verso_map_frames(window(), list, pages + 1, VERSO_READ));
    struct verso_paging_stats before = stats_now();
    CHECK_OK(verso_unmap(window(), pages));
    struct verso_paging_stats after = stats_now();
    CHECK_EQ(after.invalidations - before.invalidations, invalidations);
    CHECK_EQ(after.flushes - before.flushes, flushes);
    CHECK_OK(verso_unmap(PAGE_AT(pages), 1));
}

TEST(up_to_the_ceiling_pages_are_invalidated_one_by_one)
{
    unmap_some(1, 1, 0);
    unmap_some(CEILING - 1, CEILING - 1, 0);
    unmap_some(CEILING, CEILING, 0);
    unmap_some(CEILING + 1, 0, 1);
}

/* Each page is a range of its own to harvest's batch. */
TEST(a_batch_of_more_ranges_than_it_has_room_for_flushes_all)
{
    unsigned char bits[FLUSH_RANGES + 2];
    pfn_t frame = verso_frame_alloc1(VERSO_ZONE_ANY);
    if (!CHECK(!pfn_is_none(frame)))
        return;
    for (size_t pages = FLUSH_RANGES - 1; pages <= FLUSH_RANGES + 2; pages++) {
        for (size_t i = 0; i < pages; i++)
            list[i] = frame;
        CHECK_OK(verso_map_frames(window(), list, pages, VERSO_RW));
        for (unsigned round = 0; round < 2; round++) {
            for (size_t i = 0; i < pages; i++)
                *word_at(PAGE_AT(i)) = round;
            struct verso_paging_stats before = stats_now();
            CHECK_OK(verso_harvest(window(), pages, bits));
            for (size_t i = 0; i < pages; i++)
                CHECK_EQ(bits[i], 3);
            CHECK_EQ(stats_now().flushes - before.flushes,
                pages > FLUSH_RANGES ? 1 : 0);
        }
        CHECK_OK(verso_unmap(window(), pages));
    }
    verso_frame_free1(frame);
}

/* Until the batch is submitted a CPU may walk through the table still. */
TEST(a_table_is_free_after_its_flush_and_no_sooner)
{
    struct flush batch;
    verso_trim();
    size_t without = stats_now().tables;
    CHECK_OK(verso_map(window(), NOWHERE, 1, VERSO_READ));
    size_t with = stats_now().tables;
    CHECK(with > without);
    verso_i_flush_init(&batch, false);
    CHECK_OK(verso_i_paging_unmap(verso_space_kernel(), window(), 1, &batch));
    CHECK_EQ(stats_now().spare, 0);
    CHECK_EQ(stats_now().tables, with);
    (void)verso_i_flush_submit(verso_space_kernel(), &batch);
    CHECK_EQ(stats_now().spare, with - without);
    verso_trim();
    CHECK_EQ(stats_now().tables, without);
}

/* ---- slabs: pitfall 35 ---- */

/* An address in a slab that is gone leads nowhere, whichever page it is in. */
TEST(a_slab_that_went_has_no_page_left_in_the_pagemap)
{
    const struct verso_slab_params params = {.name = "mutants", .size = 3000};
    struct verso_slab_stats stats;
    struct slab_desc *cache = verso_slab_create(&params);
    if (!CHECK(cache != NULL))
        return;
    void *object = verso_slab_alloc(cache);
    if (CHECK(object != NULL)) {
        verso_slab_stats(cache, &stats);
        CHECK(stats.slab_pages > 1);
        for (size_t i = 0; i < stats.slab_pages; i++)
            CHECK(slab_find((char *)object + i * VERSO_PAGE_SIZE) != NULL);
        verso_slab_free(cache, object);
        CHECK(verso_slab_shrink(cache) > 0);
        for (size_t i = 0; i < stats.slab_pages; i++)
            CHECK(slab_find((char *)object + i * VERSO_PAGE_SIZE) == NULL);
    }
    verso_slab_destroy(cache);
}

SUITE(mutants, a_large_page_that_is_made_read_only_refuses_writes_everywhere,
    the_mirror_forgets_a_large_page_that_went,
    the_mirror_shows_a_large_page_with_the_rights_it_has,
    a_harvest_makes_the_mirror_tell_the_next_use_too,
    a_split_keeps_users_and_use, a_page_that_loses_a_right_keeps_its_use,
    up_to_the_ceiling_pages_are_invalidated_one_by_one,
    a_batch_of_more_ranges_than_it_has_room_for_flushes_all,
    a_table_is_free_after_its_flush_and_no_sooner,
    a_slab_that_went_has_no_page_left_in_the_pagemap);
