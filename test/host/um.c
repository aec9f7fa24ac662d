/* SPDX-License-Identifier: MIT */
/*
 * um.c - the simulated machine itself: does it keep what it may keep, forget
 * what it must, and does the audit find the difference? Entries are stored
 * behind Verso's back, through the mirror, and put right again.
 */
#include <stdlib.h>

#include <machine/um.h>
#include <verso/verso.h>

#include "../geometry.h"
#include "../test.h"

#define FRAME_OF(pfn) ((um_entry_t)pfn_nr(pfn) << VERSO_PAGE_SHIFT)
#define LARGE         ((size_t)1 << UM_INDEX_BITS) /* pages */

static struct um_stale found[8];
static size_t found_count;

static void find(const struct um_stale *stale)
{
    if (found_count < 8)
        found[found_count++] = *stale;
}

static size_t audit(void)
{
    found_count = 0;
    return um_audit(find);
}

static vaddr_t window(void)
{
    size_t pages;
    return test_window(&pages);
}

static volatile uint32_t *word_at(vaddr_t va)
{
    return (volatile uint32_t *)va;
}

static um_entry_t *entry_of(vaddr_t va)
{
    return geometry_entry_at(va, 0);
}

/* Its table's. */
static um_entry_t *upper_of(vaddr_t va)
{
    return geometry_entry_at(va, 1);
}

/* What the run was started with comes back after the test. */
static void temper(const char *words)
{
    if (words == NULL)
        words = getenv("UM");
    CHECK(um_misbehave(words ? words : ""));
}

static pfn_t page_start(unsigned rights)
{
    pfn_t pfn = verso_frame_alloc1(0); /* tables may be read from it */
    CHECK(!pfn_is_none(pfn));
    CHECK_OK(verso_map(window(), pfn, 1, rights));
    (void)*word_at(window());
    CHECK_EQ(audit(), 0);
    return pfn;
}

static void page_end(pfn_t pfn)
{
    CHECK_EQ(audit(), 0);
    CHECK_OK(verso_unmap(window(), 1));
    verso_frame_free1(pfn);
    temper(NULL);
}

TEST(a_frame_changed_without_an_invalidation_is_found_with_its_store)
{
    temper("");
    pfn_t pfn = page_start(VERSO_RW), other = pfn_add(pfn, 1);
    um_entry_t *entry = entry_of(window());
    um_entry_t before = *entry;
    um_store(entry, (before & ~UM_ENTRY_FRAME) | FRAME_OF(other));
    CHECK_EQ(audit(), 1);
    CHECK_EQ(found[0].va, window());
    CHECK_EQ(found[0].level, 0);
    CHECK(!found[0].upper);
    CHECK_EQ(found[0].cached & UM_ENTRY_FRAME, FRAME_OF(pfn));
    CHECK_EQ(found[0].stored & UM_ENTRY_FRAME, FRAME_OF(other));
    CHECK(found[0].is_known);
    CHECK_EQ(found[0].ago, 0);
    CHECK_EQ(found[0].from, before);
    CHECK_EQ(audit(), 0); /* told once */
    um_store(entry, before);
    page_end(pfn);
}

TEST(an_invalidation_in_time_leaves_nothing_to_be_found)
{
    temper("");
    pfn_t pfn = page_start(VERSO_RW);
    um_entry_t *entry = entry_of(window());
    um_entry_t before = *entry;
    um_store(entry, 0);
    um_invalidate(window());
    CHECK_EQ(audit(), 0);
    um_store(entry, before);
    page_end(pfn);
}

/* pitfall 16. */
TEST(a_right_that_was_lost_is_stale_and_one_that_was_gained_is_not)
{
    temper("");
    pfn_t pfn = page_start(VERSO_READ);
    um_entry_t *entry = entry_of(window());
    um_entry_t before = *entry;
    um_store(entry, before | UM_ENTRY_W);
    CHECK_EQ(audit(), 0);
    um_invalidate(window());
    (void)*word_at(window());
    um_store(entry, before);
    CHECK_EQ(audit(), 1);
    CHECK_EQ(found[0].stored & UM_ENTRY_W, 0);
    page_end(pfn);
}

/* pitfall 14. */
TEST(an_entry_for_a_table_is_used_until_any_invalidation)
{
    temper("pdecache=1");
    pfn_t pfn = page_start(VERSO_RW);
    um_entry_t *entry = entry_of(window()), *upper = upper_of(window());
    um_entry_t before = *upper;
    um_invalidate(window());
    (void)*word_at(window()); /* keeps the upper one */
    um_store(upper, 0);
    (void)*entry; /* stale as well: the table's page in the mirror */
    (void)um_audit(NULL);
    um_store(upper, before);
    um_invalidate(window());
    (void)*word_at(window());
    um_store(upper, 0);
    CHECK(audit() >= 2); /* the page, the entry for its table */
    bool page = false, table = false;
    for (size_t i = 0; i < found_count; i++) {
        page |= found[i].va == window() && !found[i].upper;
        table |= found[i].va == window() && found[i].upper;
        CHECK_EQ(found[i].level, found[i].va == (vaddr_t)entry ? 0 : 1);
    }
    CHECK(page);
    CHECK(table);
    um_store(upper, before);
    page_end(pfn);
}

TEST(what_is_mapped_is_filled_though_nobody_touches_it)
{
    temper("speculate=1,seed=3");
    size_t before = um_stats()->speculated;
    pfn_t pfn = page_start(VERSO_RW);
    for (unsigned i = 0; i < 50; i++) {
        um_invalidate(window());
        um_store(entry_of(window()), *entry_of(window()));
    }
    CHECK(um_stats()->speculated > before);
    page_end(pfn);
}

TEST(evictions_happen_and_take_no_page_away)
{
    temper("evict=2,seed=3");
    size_t before = um_stats()->evictions;
    pfn_t pfn = page_start(VERSO_RW);
    for (uint32_t i = 0; i < 50; i++) {
        *word_at(window()) = i;
        um_invalidate(window() + VERSO_PAGE_SIZE);
        CHECK_EQ(*word_at(window()), i);
    }
    CHECK(um_stats()->evictions > before);
    page_end(pfn);
}

TEST(accessed_and_dirty_come_without_an_access)
{
    temper("adrandom=1,seed=3");
    pfn_t pfn = page_start(VERSO_RW);
    um_entry_t *entry = entry_of(window());
    const um_entry_t both = UM_ENTRY_A | UM_ENTRY_D;
    um_entry_t seen = *entry;
    for (unsigned i = 0; i < 100 && !um_replace(entry, &seen, seen & ~both);
         i++)
        continue;
    for (unsigned i = 0; i < 100 && (*entry & both) != both; i++)
        (void)um_replace(entry, &seen, seen);
    CHECK_EQ(*entry & both, both);
    page_end(pfn);
}

static void store_clean(void *entry)
{
    const um_entry_t both = UM_ENTRY_A | UM_ENTRY_D;
    const um_entry_t clean = *(um_entry_t *)entry & ~both;
    for (unsigned i = 0; i < 100; i++)
        um_store(entry, clean);
}

/* pitfall 22. */
TEST(a_store_over_dirty_set_meanwhile_is_a_machine_check)
{
    temper("adrandom=1,seed=3");
    pfn_t pfn = page_start(VERSO_RW);
    CHECK_PANICS_WITH(store_clean, entry_of(window()), "loses dirty");
    page_end(pfn);
}

static void touch(void *va)
{
    (void)*word_at((vaddr_t)va);
}

/* pitfall 21. */
TEST(two_sizes_that_differ_are_a_machine_check)
{
    pfn_t block = verso_frame_alloc(UM_INDEX_BITS, VERSO_ZONE_ANY);
    if (pfn_is_none(block) || !um_has_large(1)) {
        if (!pfn_is_none(block))
            verso_frame_free(block, UM_INDEX_BITS);
        SKIP("no large page to be had");
    }
    temper("");
    vaddr_t second = window() + um_span(1);
    pfn_t pfn = page_start(VERSO_RW);
    CHECK_OK(verso_map(second, block, LARGE, VERSO_RW));
    (void)*word_at(second);
    um_entry_t *upper = upper_of(second);
    um_entry_t before = *upper;
    um_store(upper, *upper_of(window())); /* the small pages' table */
    um_invalidate(geometry_mirror_entry(second));
    CHECK_OK(verso_map(window() + VERSO_PAGE_SIZE, pfn, 1, VERSO_RW));
    CHECK_PANICS_WITH(
        touch, (void *)(second + VERSO_PAGE_SIZE), "two page sizes");
    um_store(upper, before);
    um_invalidate_all();
    CHECK_OK(verso_unmap(window() + VERSO_PAGE_SIZE, 1));
    CHECK_OK(verso_unmap(second, LARGE));
    verso_frame_free(block, UM_INDEX_BITS);
    page_end(pfn);
}

/* pitfall 6: found by this machine, with speculate=1. */
TEST(a_split_is_flushed_before_its_table_is_read_through_the_mirror)
{
    const pfn_t nowhere = pfn_make(0xc0000); /* a read there does not pass */
    if (!um_has_large(1) || !geometry_has_mirror())
        SKIP("no large pages, or no mirror to show them");
    temper("");
    CHECK_OK(verso_map(window(), nowhere, LARGE, VERSO_RW));
    CHECK(um_prefetch(geometry_mirror_entry(window())));
    CHECK_OK(verso_unmap(window() + VERSO_PAGE_SIZE, 1));
    CHECK_EQ(audit(), 0);
    CHECK_OK(verso_unmap(window(), LARGE));
    temper(NULL);
}

/* pitfalls 2, 6. */
TEST(rights_of_a_large_page_are_lowered_in_the_mirror_too)
{
    if (!um_has_large(1) || !geometry_has_mirror())
        SKIP("no large pages, or no mirror to show them");
    temper("");
    CHECK_OK(verso_map(window(), pfn_make(0xc0000), LARGE, VERSO_RW));
    CHECK(um_prefetch(geometry_mirror_entry(window())));
    CHECK(um_prefetch(window()));
    CHECK_OK(verso_protect(window(), LARGE, VERSO_READ));
    CHECK_EQ(audit(), 0);
    CHECK_OK(verso_unmap(window(), LARGE));
    temper(NULL);
}

/* pitfall 13. */
TEST(a_walk_through_a_frame_that_is_no_table_is_a_machine_check)
{
    temper("");
    pfn_t pfn = page_start(VERSO_RW);
    um_entry_t *upper = upper_of(window());
    um_entry_t before = *upper;
    um_store(upper, (before & ~UM_ENTRY_FRAME) | FRAME_OF(pfn));
    um_invalidate_all();
    CHECK_PANICS_WITH(touch, (void *)window(), "no table");
    um_store(upper, before);
    um_invalidate_all();
    page_end(pfn);
}

TEST(words_that_are_not_known_are_refused)
{
    CHECK(!um_misbehave("evict"));
    CHECK(!um_misbehave("evict="));
    CHECK(!um_misbehave("evict=8;seed=1"));
    CHECK(!um_misbehave("evict=-1"));
    CHECK(!um_misbehave("sleep=1"));
    CHECK(!um_misbehave("evict=8,sleep=1"));
    temper(NULL);
}

/* pitfall 24: Verso refuses it, so that it takes a store of one's own. */
TEST(a_frame_that_is_cached_with_two_cache_types_is_found)
{
    const um_entry_t uncached = UM_ENTRY_CACHE;
    const vaddr_t second = window() + VERSO_PAGE_SIZE;
    temper("");
    pfn_t pfn = page_start(VERSO_RW);
    CHECK_OK(verso_map(second, pfn, 1, VERSO_READ));
    (void)*word_at(second);
    CHECK_EQ(audit(), 0); /* other rights are no other type */
    um_store(entry_of(second), *entry_of(second) | uncached);
    um_invalidate(second);
    CHECK_EQ(audit(), 0); /* nobody has used it */
    (void)*word_at(second);
    CHECK_EQ(audit(), 1);
    CHECK(found[0].aliased);
    CHECK_EQ((found[0].cached ^ found[0].stored) & UM_ENTRY_CACHE, uncached);
    CHECK_EQ(found[0].cached & UM_ENTRY_FRAME, FRAME_OF(pfn));
    CHECK_EQ(found[0].va ^ found[0].other, window() ^ second);
    CHECK_EQ(audit(), 0); /* told once */
    um_store(entry_of(second), *entry_of(second) & ~uncached);
    um_invalidate(second);
    CHECK_OK(verso_unmap(second, 1));
    page_end(pfn);
}

SUITE(um, a_frame_changed_without_an_invalidation_is_found_with_its_store,
    an_invalidation_in_time_leaves_nothing_to_be_found,
    a_right_that_was_lost_is_stale_and_one_that_was_gained_is_not,
    an_entry_for_a_table_is_used_until_any_invalidation,
    what_is_mapped_is_filled_though_nobody_touches_it,
    evictions_happen_and_take_no_page_away,
    accessed_and_dirty_come_without_an_access,
    a_store_over_dirty_set_meanwhile_is_a_machine_check,
    two_sizes_that_differ_are_a_machine_check,
    a_split_is_flushed_before_its_table_is_read_through_the_mirror,
    rights_of_a_large_page_are_lowered_in_the_mirror_too,
    a_walk_through_a_frame_that_is_no_table_is_a_machine_check,
    a_frame_that_is_cached_with_two_cache_types_is_found,
    words_that_are_not_known_are_refused);
