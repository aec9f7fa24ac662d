/* SPDX-License-Identifier: MIT */
/*
 * mutants.c - tests that a mutant (test/mutants/) showed to be missing: what
 * is promised somewhere, and no other suite asked for. A test that comes to
 * belong to a storey may move to its suite.
 */
#include <verso/alloc.h>
#include <verso/area.h>
#include <verso/back.h>
#include <verso/fault.h>
#include <verso/frame.h>
#include <verso/paging.h>
#include <verso/reclaim.h>

#include "../kernel/machine.h"
#include "geometry.h"
#include "inject.h"
#include "paging.h"
#include "slab.h"
#include "test.h"

#define NOWHERE     geometry_nowhere()
#define CEILING     ((size_t)VERSO_FLUSH_CEILING)
#define LARGE_ORDER 10u
#define TABLE       geometry_table_pages()
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
    machine_open_users(true);
    *word_at(PAGE_AT(5)) = 1;
    machine_open_users(false);
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
    CHECK_OK(verso_map(PAGE_AT(TABLE), NOWHERE, 1, VERSO_READ));
    size_t with = stats_now().tables;
    CHECK(with > without + 1);
    CHECK_OK(verso_unmap(window(), 1)); /* that one is idle */
    verso_i_flush_init(&batch, false);
    CHECK_OK(
        verso_i_paging_unmap(verso_space_kernel(), PAGE_AT(TABLE), 1, &batch));
    CHECK_EQ(stats_now().spare, 0);
    CHECK_EQ(stats_now().tables, with);
    (void)verso_i_flush_submit(verso_space_kernel(), &batch);
    CHECK_EQ(stats_now().spare, 1);
    verso_trim();
    CHECK_EQ(stats_now().tables, without);
}

/* The first and the last that were mapped bound it. */
TEST(holes_at_the_ends_of_a_range_are_not_invalidated)
{
    CHECK_OK(verso_map(PAGE_AT(19), NOWHERE, 1, VERSO_READ));
    for (size_t i = 7; i < 10; i += 2)
        CHECK_OK(verso_map(PAGE_AT(i), NOWHERE, 1, VERSO_READ));
    struct verso_paging_stats before = stats_now();
    CHECK_OK(verso_unmap(window(), 15));
    CHECK_EQ(stats_now().invalidations - before.invalidations, 3);
    CHECK_EQ(stats_now().flushes, before.flushes);
    CHECK_OK(verso_unmap(PAGE_AT(19), 1));
}

/* ---- frames: pitfalls 24, 29 ---- */

/* One more than the last descriptor, and far from it. */
TEST(a_page_whose_frame_nobody_knows_is_released_and_no_frame_freed)
{
    const uint32_t count = (uint32_t)machine_boot()->frame_count;
    const pfn_t foreign[] = {pfn_make(count), NOWHERE};
    for (size_t i = 0; i < 2; i++)
        for (size_t pages = 1; pages <= 2; pages++) {
            CHECK_OK(verso_map(window(), foreign[i], pages, VERSO_READ));
            CHECK(verso_back_done(verso_back_release(NULL, window(), 2)));
        }
}

TEST(a_single_page_in_a_table_that_is_there_has_its_frames_cache_type)
{
    pfn_t frame = verso_frame_alloc1(VERSO_ZONE_ANY);
    if (!CHECK(!pfn_is_none(frame)))
        return;
    CHECK_OK(verso_map(PAGE_AT(1), NOWHERE, 1, VERSO_READ));
    verso_frame_set_cache(frame, VERSO_CACHE_UC);
    CHECK_EQ(verso_map(window(), frame, 1, VERSO_RW), VERSO_DENIED);
    CHECK_OK(verso_map(window(), frame, 1, VERSO_RW | VERSO_CACHE_UC));
    CHECK_OK(verso_unmap(window(), 2));
    verso_frame_free1(frame);
}

TEST(an_area_of_a_large_page_gives_all_its_frames_back)
{
    const size_t pages = (size_t)1 << LARGE_ORDER;
    const struct verso_area_request request = {.pages = pages,
        .flags = VERSO_RW | VERSO_AREA_CONTIG,
        .align = pages << VERSO_PAGE_SHIFT};
    struct verso_mapping m;
    verso_trim();
    size_t used = verso_frame_used();
    void *area = verso_area_alloc_as(&request);
    if (area == NULL)
        SKIP("no block of frames for it");
    CHECK_OK(verso_query((vaddr_t)area, &m));
    if (geometry_large_pages() == pages)
        CHECK_EQ(m.page_pages, pages);
    verso_area_free(area);
    verso_trim();
    CHECK_EQ(verso_frame_used(), used);
}

/* ---- entries: pitfalls 4, 22 ---- */

/* On a machine that sets dirty at any time; it knows when one is lost. */
TEST(a_large_page_that_is_dirtied_while_it_is_split_stays_dirty)
{
    const size_t pages = geometry_large_pages();
    if (pages == 0 || !test_use_is_random || !test_use_is_random())
        SKIP("dirty is set by accesses alone, or there is no large page");
    for (unsigned round = 0; round < 40; round++) {
        CHECK_OK(verso_map(window(), NOWHERE, pages, VERSO_RW));
        CHECK_OK(verso_protect(PAGE_AT(3), 1, VERSO_READ));
        CHECK_OK(verso_unmap(window(), pages));
    }
}

/* Between two stores to an entry every CPU sees the first. */
TEST(an_entry_that_changes_is_stored_once)
{
    const size_t pages = 7;
    unsigned char bits[7];
    if (!test_stores)
        SKIP("the machine does not count stores");
    CHECK_OK(verso_map(PAGE_AT(pages), NOWHERE, 1, VERSO_READ));
    size_t before = test_stores();
    CHECK_OK(verso_map(window(), NOWHERE, pages, VERSO_RW));
    CHECK_EQ(test_stores() - before, pages);
    CHECK_OK(verso_protect(window(), pages, VERSO_READ));
    CHECK_EQ(test_stores() - before, 2 * pages);
    CHECK_OK(verso_protect(window(), pages, VERSO_RW));
    CHECK_EQ(test_stores() - before, 3 * pages);
    CHECK_OK(verso_harvest(window(), pages, bits));
    CHECK_EQ(test_stores() - before, 4 * pages);
    CHECK_OK(verso_unmap(window(), pages));
    CHECK_EQ(test_stores() - before, 5 * pages);
    CHECK_OK(verso_unmap(PAGE_AT(pages), 1));
}

TEST(a_large_page_that_changes_is_stored_once)
{
    size_t before;
    pfn_t block;
    if (!test_stores)
        SKIP("the machine does not count stores");
    before = test_stores();
    block = large_map(VERSO_WRITE);
    if (pfn_is_none(block))
        return;
    CHECK_EQ(test_stores() - before, 1);
    CHECK_OK(verso_protect(window(), geometry_large_pages(), VERSO_READ));
    CHECK_EQ(test_stores() - before, 2);
    CHECK_OK(verso_unmap(window(), geometry_large_pages()));
    CHECK_EQ(test_stores() - before, 3);
    verso_frame_free(block, LARGE_ORDER);
}

/* ---- the border of the direct map ---- */

TEST(the_first_frame_that_is_not_direct_is_cleared_through_the_window)
{
    const pfn_t first =
        pfn_make((uint32_t)(machine_boot()->direct_bytes >> VERSO_PAGE_SHIFT));
    struct verso_frame_stats stats;
    struct verso_chain chain;
    bool ours = false;
    verso_frame_stats(&stats);
    CHECK_OK(verso_frame_alloc_bulk(&chain, stats.free, VERSO_ZONE_ANY));
    for (pfn_t pfn = chain.first; !pfn_is_none(pfn) && !ours;
         pfn = pfn_make(verso_frame_find(pfn)->link))
        ours = pfn_nr(pfn) == pfn_nr(first);
    verso_frame_free_bulk(&chain);
    if (ours) /* nobody's: it may be cleared */
        verso_i_paging_clear(first);
    else
        test_skip("no direct map, or somebody has that frame");
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
        CHECK_EQ(verso_slab_shrink(cache), stats.slab_pages);
        for (size_t i = 0; i < stats.slab_pages; i++)
            CHECK(slab_find((char *)object + i * VERSO_PAGE_SIZE) == NULL);
    }
    verso_slab_destroy(cache);
}

static void size_ask(void *object)
{
    (void)verso_usable_size(object);
}

/* Neither of the first that was never handed out. */
TEST(the_size_of_what_was_never_handed_out_is_a_panic)
{
    void *object = verso_alloc(64);
    if (!CHECK(object != NULL))
        return;
    const struct slab_entry *entry = slab_find(object);
    const struct carve_shape *shape = &entry->desc->shape;
    char *slab = (char *)entry->page;
    for (uint32_t n = entry->objects.carved; n < shape->count; n++)
        CHECK_PANICS_WITH(
            size_ask, slab + n * shape->stride, "never handed out");
    verso_free(object);
}

/* It is aligned, and so has pages of its own: as many as it asks for. */
TEST(a_realloc_to_the_size_there_is_does_without_memory)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    void *object = verso_alloc_aligned(2 * VERSO_PAGE_SIZE, VERSO_PAGE_SIZE);
    if (!CHECK(object != NULL))
        return;
    CHECK_EQ(verso_usable_size(object), VERSO_PAGE_SIZE);
    verso_trim();
    inject_fail_from(1);
    void *same = verso_realloc(object, VERSO_PAGE_SIZE);
    inject_fail_at(0);
    CHECK_EQ((vaddr_t)same, (vaddr_t)object);
    verso_free(same);
}

/* ---- reclaim, fault ---- */

static bool has_given(void *context)
{
    (void)context;
    return true;
}

TEST(a_client_that_gave_something_does_not_spare_the_stocks)
{
    struct verso_reclaimer client = {.reclaim = has_given};
    struct verso_frame_stats stats;
    for (unsigned i = 0; i < 2; i++) { /* the first is idle, then spare */
        CHECK_OK(verso_map(PAGE_AT(i ? TABLE : 0), NOWHERE, 1, VERSO_READ));
        CHECK_OK(verso_unmap(PAGE_AT(i ? TABLE : 0), 1));
    }
    CHECK(stats_now().spare > 0);
    verso_reclaimer_add(&client);
    CHECK(verso_reclaim());
    verso_reclaimer_remove(&client);
    CHECK_EQ(stats_now().spare, 0);
    verso_frame_stats(&stats);
    CHECK_EQ(stats.stock, 0);
}

TEST(a_lazy_page_without_rights_is_not_made)
{
    struct verso_mapping m;
    void *area = verso_area_alloc(1, VERSO_AREA_LAZY);
    if (!CHECK(area != NULL))
        return;
    CHECK_OK(verso_area_protect(area, 0));
    CHECK_EQ(verso_fault((vaddr_t)area, 0), VERSO_FAULT_NOT_OURS);
    CHECK_EQ(verso_query((vaddr_t)area, &m), VERSO_ABSENT);
    verso_area_free(area);
}

/* ---- texts, locks ---- */

static bool is_text(const char *text, const char *wanted)
{
    size_t i = 0;
    while (text[i] == wanted[i] && text[i] != '\0')
        i++;
    return text[i] == wanted[i];
}

TEST(a_text_is_cut_to_its_room_and_no_shorter)
{
    char text[8] = "???????";
    CHECK_EQ(verso_format(text, 4, "%u", 1234567u), 7);
    CHECK(is_text(text, "123"));
    CHECK_EQ(text[4], '?');
    CHECK_EQ(verso_format(text, 0, "abc"), 3);
    CHECK_EQ(text[0], '1');
    CHECK_EQ(verso_format(text, sizeof(text), "abcdefg"), 7);
    CHECK(is_text(text, "abcdefg"));
}

TEST(numbers_are_told_whole)
{
    char text[48];
    (void)verso_format(
        text, sizeof(text), "%lld %u %x", (long long)INT64_MIN, 0u, 0u);
    CHECK(is_text(text, "-9223372036854775808 0 0"));
    (void)verso_format(text, sizeof(text), "%llu %d",
        (unsigned long long)UINT64_MAX, INT32_MIN);
    CHECK(is_text(text, "18446744073709551615 -2147483648"));
}

static void take_twice(void *lock)
{
    lock_take(lock);
    lock_take(lock);
}

TEST(a_lock_that_is_taken_twice_is_a_panic)
{
    struct lock lock = {0, "mine"};
    CHECK_PANICS_WITH(take_twice, &lock, "lock mine taken twice");
    lock_drop(&lock);
}

SUITE(mutants, a_large_page_that_is_made_read_only_refuses_writes_everywhere,
    the_mirror_forgets_a_large_page_that_went,
    the_mirror_shows_a_large_page_with_the_rights_it_has,
    a_harvest_makes_the_mirror_tell_the_next_use_too,
    a_split_keeps_users_and_use, a_page_that_loses_a_right_keeps_its_use,
    up_to_the_ceiling_pages_are_invalidated_one_by_one,
    a_batch_of_more_ranges_than_it_has_room_for_flushes_all,
    a_table_is_free_after_its_flush_and_no_sooner,
    holes_at_the_ends_of_a_range_are_not_invalidated,
    a_page_whose_frame_nobody_knows_is_released_and_no_frame_freed,
    a_single_page_in_a_table_that_is_there_has_its_frames_cache_type,
    an_area_of_a_large_page_gives_all_its_frames_back,
    a_large_page_that_is_dirtied_while_it_is_split_stays_dirty,
    an_entry_that_changes_is_stored_once,
    a_large_page_that_changes_is_stored_once,
    a_slab_that_went_has_no_page_left_in_the_pagemap,
    the_size_of_what_was_never_handed_out_is_a_panic,
    the_first_frame_that_is_not_direct_is_cleared_through_the_window,
    a_realloc_to_the_size_there_is_does_without_memory,
    a_client_that_gave_something_does_not_spare_the_stocks,
    a_lazy_page_without_rights_is_not_made,
    a_text_is_cut_to_its_room_and_no_shorter, numbers_are_told_whole,
    a_lock_that_is_taken_twice_is_a_panic);
