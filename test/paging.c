/* SPDX-License-Identifier: MIT */
/*
 * paging.c - the page tables from outside, through verso/paging.h, on the
 * machine the suite runs on. Both accessors (mirror, direct map) and machines
 * with and without large pages run this same file.
 *
 * Frames are of two kinds here: from NOWHERE on there is no RAM, they are
 * mapped and never touched, so that the biggest range needs no memory; where
 * an access decides, they come from the allocator.
 */
#include <verso/back.h>
#include <verso/check.h>
#include <verso/frame.h>
#include <verso/init.h>
#include <verso/paging.h>
#include <verso/reclaim.h>

#include "../kernel/machine.h"
#include "../src/paging.h"
#include "geometry.h"
#include "inject.h"
#include "test.h"

extern __typeof__(verso_trim) verso_trim __attribute__((weak));
extern __typeof__(verso_check) verso_check __attribute__((weak));

#define NOWHERE    geometry_nowhere()
#define LARGE      geometry_large_pages()
#define HUGE       geometry_huge_pages()
#define TABLE      geometry_table_pages()
#define LIST_PAGES 1025u
#define FAR_PAGES  0x8000000u
#define PAGE_AT(n) (window() + ((vaddr_t)(n) << VERSO_PAGE_SHIFT))

static pfn_t list[LIST_PAGES];

static vaddr_t window(void)
{
    size_t pages;
    return test_window(&pages);
}

static size_t window_pages(void)
{
    size_t pages;
    (void)test_window(&pages);
    return pages;
}

static void trim(void)
{
    if (verso_trim)
        verso_trim();
}

static size_t tables(void)
{
    struct verso_paging_stats stats;
    verso_paging_stats(&stats);
    return stats.tables;
}

/* Tables above the lowest that the first page of the window takes. */
static size_t upper_tables(void)
{
    trim();
    size_t before = tables();
    CHECK_OK(verso_map(window(), NOWHERE, 1, VERSO_RW));
    size_t with = tables();
    CHECK_OK(verso_unmap(window(), 1));
    trim();
    return with - before - 1;
}

/* The frame behind an address, 0 if nothing is mapped there. */
static uint32_t pfn_at(vaddr_t va)
{
    struct verso_mapping m;
    return verso_query(va, &m) == VERSO_OK ? pfn_nr(paddr_to_pfn(m.pa)) : 0;
}

static unsigned flags_at(vaddr_t va)
{
    struct verso_mapping m;
    return verso_query(va, &m) == VERSO_OK ? m.flags : ~0u;
}

static size_t page_size_at(vaddr_t va)
{
    struct verso_mapping m;
    return verso_query(va, &m) == VERSO_OK ? m.page_pages : 0;
}

static volatile uint32_t *word_at(vaddr_t va)
{
    return (volatile uint32_t *)va;
}

static pfn_t frame_get(void)
{
    pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
    CHECK(!pfn_is_none(pfn));
    return pfn;
}

/* Frames that are no RAM. */
static void set_range(pfn_t first, size_t pages, unsigned cache)
{
    CHECK_OK(verso_cache_set_range(first, pages, cache));
}

/* Two frames whose first words say which they are. */
static void two_frames(pfn_t frame[2])
{
    for (uint32_t i = 0; i < 2; i++) {
        frame[i] = frame_get();
        CHECK_OK(verso_map(window(), frame[i], 1, VERSO_RW));
        *word_at(window()) = 0xf0 + i;
        CHECK_OK(verso_unmap(window(), 1));
    }
}

static void two_frames_free(const pfn_t frame[2])
{
    verso_frame_free1(frame[0]);
    verso_frame_free1(frame[1]);
}

/* Are pages [from, from + pages) of the window consecutive frames of NOWHERE
 * plus `first`, with these rights? */
static bool is_run(size_t from, size_t pages, uint32_t first, unsigned flags)
{
    for (size_t i = 0; i < pages; i++) {
        uint32_t wanted = pfn_nr(NOWHERE) + first + (uint32_t)i;
        if (pfn_at(PAGE_AT(from + i)) != wanted ||
            flags_at(PAGE_AT(from + i)) != flags)
            return false;
    }
    return true;
}

static bool is_hole(size_t from, size_t pages)
{
    for (size_t i = 0; i < pages; i++)
        if (pfn_at(PAGE_AT(from + i)) != 0)
            return false;
    return true;
}

/* ---- one page ---- */

TEST(a_page_is_mapped_used_and_unmapped)
{
    struct verso_mapping m;
    pfn_t pfn = frame_get();
    CHECK_EQ(verso_query(window(), &m), VERSO_ABSENT);
    CHECK_OK(verso_map(window(), pfn, 1, VERSO_RW));
    *word_at(window() + 8) = 0x12345678;
    CHECK_EQ(*word_at(window() + 8), 0x12345678);
    CHECK_OK(verso_query(window() + 8, &m));
    CHECK_EQ(paddr_raw(m.pa), paddr_raw(pfn_to_paddr(pfn)) + 8);
    CHECK_EQ(m.flags, VERSO_RW);
    CHECK_EQ(m.page_pages, 1);
    CHECK((m.state & VERSO_MAPPED_PRESENT) != 0);
    CHECK((m.state & VERSO_MAPPED_ACCESSED) != 0);
    CHECK((m.state & VERSO_MAPPED_DIRTY) != 0);
    CHECK_OK(verso_unmap(window(), 1));
    CHECK_EQ(verso_query(window(), &m), VERSO_ABSENT);
    CHECK(machine_probe(word_at(window()), false));
    verso_frame_free1(pfn);
}

TEST(every_right_and_cache_type_is_told_as_it_was_declared)
{
    static const unsigned flags[] = {0, VERSO_READ, VERSO_RW, VERSO_RX,
        VERSO_RW | VERSO_USER, VERSO_RW | VERSO_EXEC | VERSO_WX,
        VERSO_RW | VERSO_CACHE_UC, VERSO_RW | VERSO_CACHE_WC,
        VERSO_READ | VERSO_CACHE_WT};
    struct verso_mapping m;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        set_range(NOWHERE, 1, flags[i] & VERSO_CACHE_MASK);
        CHECK_OK(verso_map(window(), NOWHERE, 1, flags[i]));
        CHECK_OK(verso_query(window(), &m));
        CHECK_EQ(m.flags, flags[i]);
        CHECK_EQ((m.state & VERSO_MAPPED_PRESENT) != 0, flags[i] != 0);
        CHECK_OK(verso_unmap(window(), 1));
        set_range(NOWHERE, 1, VERSO_CACHE_WB);
    }
}

TEST(a_page_without_rights_faults_and_keeps_its_frame_and_contents)
{
    pfn_t pfn = frame_get();
    CHECK_OK(verso_map(window(), pfn, 1, VERSO_RW));
    *word_at(window()) = 77;
    CHECK_OK(verso_protect(window(), 1, 0));
    CHECK_EQ(pfn_at(window()), pfn_nr(pfn));
    CHECK(machine_probe(word_at(window()), false));
    CHECK_EQ(verso_map(window(), NOWHERE, 1, VERSO_RW), VERSO_EXISTS);
    CHECK_OK(verso_protect(window(), 1, VERSO_READ));
    CHECK_EQ(*word_at(window()), 77);
    CHECK_OK(verso_unmap(window(), 1));
    verso_frame_free1(pfn);
}

/* pitfall 23: the supervisor obeys write protection. */
TEST(a_page_that_is_made_read_only_refuses_writes_at_once)
{
    pfn_t pfn = frame_get();
    CHECK_OK(verso_map(window(), pfn, 1, VERSO_RW));
    *word_at(window()) = 5;
    CHECK_OK(verso_protect(window(), 1, VERSO_READ));
    CHECK(machine_probe(word_at(window()), true));
    CHECK(!machine_probe(word_at(window()), false));
    CHECK_EQ(*word_at(window()), 5);
    CHECK_OK(verso_unmap(window(), 1));
    verso_frame_free1(pfn);
}

/* pitfall 16: nothing is invalidated, so the machine may fault once. */
TEST(a_page_that_is_made_writable_is_written_without_a_flush)
{
    struct verso_paging_stats before, after;
    pfn_t pfn = frame_get();
    CHECK_OK(verso_map(window(), pfn, 1, VERSO_READ));
    (void)*word_at(window());
    verso_paging_stats(&before);
    CHECK_OK(verso_protect(window(), 1, VERSO_RW));
    verso_paging_stats(&after);
    CHECK_EQ(before.invalidations, after.invalidations);
    CHECK_EQ(before.flushes, after.flushes);
    CHECK(!machine_probe(word_at(window()), true));
    *word_at(window()) = 6;
    CHECK_EQ(*word_at(window()), 6);
    CHECK_OK(verso_unmap(window(), 1));
    verso_frame_free1(pfn);
}

/* ---- ranges and large pages ---- */

TEST(two_large_pages_that_are_aligned_take_no_tables_of_pages)
{
    size_t pages = 2 * TABLE;
    if (LARGE == 0)
        SKIP("this machine has no large pages");
    size_t before = tables() + upper_tables();
    CHECK_OK(verso_map(window(), NOWHERE, pages, VERSO_RW));
    CHECK_EQ(page_size_at(window()), LARGE);
    CHECK_EQ(page_size_at(PAGE_AT(pages - 1)), LARGE);
    CHECK(is_run(0, pages, 0, VERSO_RW));
    CHECK_EQ(tables(), before);
    CHECK_OK(verso_unmap(window(), pages));
    CHECK(is_hole(0, pages));
}

TEST(frames_that_are_not_aligned_as_the_addresses_take_small_pages)
{
    size_t pages = 2 * TABLE;
    CHECK_OK(verso_map(window(), pfn_add(NOWHERE, 1), pages, VERSO_RW));
    CHECK_EQ(page_size_at(window()), 1);
    CHECK_EQ(page_size_at(PAGE_AT(TABLE)), 1);
    CHECK(is_run(0, pages, 1, VERSO_RW));
    CHECK_OK(verso_unmap(window(), pages));
    CHECK(is_hole(0, pages));
}

TEST(a_range_with_ragged_ends_has_small_pages_only_there)
{
    size_t first = TABLE - 3, pages = 3 + TABLE + 5;
    CHECK_OK(
        verso_map(PAGE_AT(first), pfn_add(NOWHERE, first), pages, VERSO_RX));
    CHECK_EQ(page_size_at(PAGE_AT(first)), 1);
    CHECK_EQ(page_size_at(PAGE_AT(TABLE)), LARGE ? LARGE : 1);
    CHECK_EQ(page_size_at(PAGE_AT(2 * TABLE)), 1);
    CHECK(is_run(first, pages, (uint32_t)first, VERSO_RX));
    CHECK(is_hole(first - 1, 1));
    CHECK(is_hole(first + pages, 1));
    CHECK_OK(verso_unmap(PAGE_AT(first), pages));
    CHECK(is_hole(0, 3 * TABLE));
}

TEST(a_list_of_frames_is_mapped_one_a_page)
{
    for (size_t i = 0; i < LIST_PAGES; i++)
        list[i] = pfn_add(NOWHERE, test_random_below(0x10000));
    CHECK_OK(verso_map_frames(PAGE_AT(7), list, LIST_PAGES, VERSO_READ));
    for (size_t i = 0; i < LIST_PAGES; i++)
        CHECK_EQ(pfn_at(PAGE_AT(7 + i)), pfn_nr(list[i]));
    CHECK(is_hole(0, 7));
    CHECK(is_hole(7 + LIST_PAGES, 7));
    CHECK_OK(verso_unmap(PAGE_AT(7), LIST_PAGES));
}

TEST(unmapping_a_part_of_a_large_page_leaves_the_rest)
{
    CHECK_OK(verso_map(window(), NOWHERE, 2 * TABLE, VERSO_RW));
    CHECK_OK(verso_unmap(PAGE_AT(TABLE - 2), 5));
    CHECK(is_run(0, TABLE - 2, 0, VERSO_RW));
    CHECK(is_hole(TABLE - 2, 5));
    CHECK(is_run(TABLE + 3, TABLE - 3, (uint32_t)TABLE + 3, VERSO_RW));
    CHECK_OK(verso_unmap(window(), 2 * TABLE));
    CHECK(is_hole(0, 2 * TABLE));
}

TEST(protecting_a_part_of_a_large_page_leaves_the_rest)
{
    CHECK_OK(verso_map(window(), NOWHERE, 2 * TABLE, VERSO_RW));
    CHECK_OK(verso_protect(PAGE_AT(10), 3, VERSO_READ));
    CHECK(is_run(0, 10, 0, VERSO_RW));
    CHECK(is_run(10, 3, 10, VERSO_READ));
    CHECK(is_run(13, TABLE - 13, 13, VERSO_RW));
    CHECK_EQ(page_size_at(PAGE_AT(TABLE)), LARGE ? LARGE : 1);
    CHECK_OK(verso_protect(window(), 2 * TABLE, VERSO_RX));
    CHECK(is_run(0, 2 * TABLE, 0, VERSO_RX));
    CHECK_EQ(page_size_at(PAGE_AT(TABLE)), LARGE ? LARGE : 1);
    CHECK_OK(verso_unmap(window(), 2 * TABLE));
}

/* Beside the cuts, pages of 1 GiB become pages of 2 MiB. */
TEST(a_huge_page_is_cut_down_to_single_pages_near_either_end)
{
    if (HUGE == 0)
        SKIP("no pages larger than large ones");
    const uint32_t end = (uint32_t)HUGE;
    CHECK_OK(verso_map(window(), NOWHERE, HUGE, VERSO_RW));
    CHECK_EQ(page_size_at(window()), HUGE);
    CHECK_OK(verso_protect(PAGE_AT(1), HUGE - 1, VERSO_READ));
    CHECK(is_run(0, 1, 0, VERSO_RW));
    CHECK(is_run(1, TABLE, 1, VERSO_READ));
    CHECK(is_run(end - 1, 1, end - 1, VERSO_READ));
    CHECK_EQ(page_size_at(PAGE_AT(1)), 1);
    CHECK_EQ(page_size_at(PAGE_AT(TABLE)), LARGE);
    CHECK_OK(verso_unmap(window(), HUGE));

    CHECK_OK(verso_map(window(), NOWHERE, HUGE, VERSO_RW));
    CHECK_OK(verso_unmap(window(), HUGE - 1));
    CHECK(is_hole(0, TABLE));
    CHECK(is_hole(end - TABLE, TABLE - 1));
    CHECK(is_run(end - 1, 1, end - 1, VERSO_RW));
    CHECK_OK(verso_unmap(window(), HUGE));
}

TEST(a_huge_page_is_cut_in_two_of_its_large_pages)
{
    if (HUGE == 0)
        SKIP("no pages larger than large ones");
    const uint32_t first = (uint32_t)TABLE - 1, end = (uint32_t)TABLE * 3 + 1;
    CHECK_OK(verso_map(window(), NOWHERE, HUGE, VERSO_RW));
    CHECK_OK(verso_protect(PAGE_AT(first), end - first, VERSO_READ));
    CHECK(is_run(0, first, 0, VERSO_RW));
    CHECK(is_run(first, end - first, first, VERSO_READ));
    CHECK(is_run(end, TABLE, end, VERSO_RW));
    CHECK_EQ(page_size_at(window()), 1);
    CHECK_EQ(page_size_at(PAGE_AT(TABLE)), LARGE);
    CHECK_EQ(page_size_at(PAGE_AT(end)), 1);
    CHECK_EQ(page_size_at(PAGE_AT(4 * TABLE)), LARGE);
    CHECK_OK(verso_unmap(PAGE_AT(first), end - first));
    CHECK(is_run(0, first, 0, VERSO_RW));
    CHECK(is_hole(first, end - first));
    CHECK(is_run(end, TABLE, end, VERSO_RW));
    CHECK_OK(verso_unmap(window(), HUGE));
}

/* pitfall 21: the frame, the rights and the contents stay. */
TEST(a_large_page_in_use_is_split_under_its_contents)
{
    pfn_t block = verso_frame_alloc(10, VERSO_ZONE_ANY);
    if (pfn_is_none(block) || LARGE == 0) {
        if (!pfn_is_none(block))
            verso_frame_free(block, 10);
        SKIP("no large page to be had");
    }
    CHECK_OK(verso_map(window(), block, LARGE, VERSO_RW));
    for (uint32_t i = 0; i < LARGE; i++)
        *word_at(PAGE_AT(i)) = i;
    CHECK_OK(verso_protect(PAGE_AT(300), 1, VERSO_READ));
    CHECK_EQ(page_size_at(window()), 1);
    CHECK_EQ(*word_at(PAGE_AT(301)), 301);
    CHECK(machine_probe(word_at(PAGE_AT(300)), true));
    CHECK(!machine_probe(word_at(PAGE_AT(301)), true));
    CHECK_OK(verso_unmap(PAGE_AT(400), 1));
    CHECK(machine_probe(word_at(PAGE_AT(400)), false));
    for (uint32_t i = 0; i < LARGE; i++)
        if (i != 400)
            CHECK_EQ(*word_at(PAGE_AT(i)), i);
    CHECK_OK(verso_unmap(window(), LARGE));
    verso_frame_free(block, 10);
}

TEST(a_large_page_that_is_released_takes_its_frames_along)
{
    pfn_t block = verso_frame_alloc(10, VERSO_ZONE_ANY);
    if (pfn_is_none(block))
        SKIP("no 4 MiB in one piece");
    CHECK_OK(verso_map(window(), block, 1024, VERSO_RW));
    CHECK(verso_back_done(
        verso_back_release(verso_space_kernel(), window(), 1024)));
    CHECK(is_hole(0, 1024));
    for (size_t i = 0; i < 1024; i++)
        CHECK_EQ(verso_frame_owners(pfn_add(block, i)), 0);
}

/* pitfall 21 again: a right is gained, so that nothing but the split itself
 * takes the large page out of the TLB. Half of it was used. */
TEST(a_split_is_flushed_before_the_small_pages_are_used)
{
    pfn_t block = verso_frame_alloc(10, VERSO_ZONE_ANY);
    if (pfn_is_none(block))
        SKIP("no 4 MiB in one piece");
    CHECK_OK(verso_map(window(), block, 1024, VERSO_READ));
    for (uint32_t i = 0; i < 1024; i += 2)
        (void)*word_at(PAGE_AT(i));
    CHECK_OK(verso_protect(PAGE_AT(500), 1, VERSO_RW));
    for (uint32_t i = 0; i < 1024; i++)
        (void)*word_at(PAGE_AT(i));
    *word_at(PAGE_AT(500)) = 1;
    CHECK(machine_probe(word_at(PAGE_AT(501)), true));
    CHECK_OK(verso_unmap(window(), 1024));
    verso_frame_free(block, 10);
}

/* ---- refusals ---- */

/* pitfall 44: what is refused has changed nothing. */
TEST(mapping_over_anything_mapped_is_refused_and_changes_nothing)
{
    CHECK_OK(verso_map(PAGE_AT(TABLE), NOWHERE, TABLE, VERSO_RW));
    CHECK_OK(verso_map(PAGE_AT(5), NOWHERE, 1, VERSO_READ));
    uint64_t before = test_state_hash();
    CHECK_EQ(verso_map(PAGE_AT(5), NOWHERE, 1, VERSO_RW), VERSO_EXISTS);
    CHECK_EQ(verso_map(PAGE_AT(0), NOWHERE, 6, VERSO_RW), VERSO_EXISTS);
    CHECK_EQ(verso_map(PAGE_AT(0), NOWHERE, TABLE, VERSO_RW), VERSO_EXISTS);
    CHECK_EQ(verso_map(PAGE_AT(TABLE + 9), NOWHERE, 1, VERSO_RX), VERSO_EXISTS);
    CHECK_EQ(
        verso_map(PAGE_AT(2 * TABLE - 1), NOWHERE, 9, VERSO_RX), VERSO_EXISTS);
    CHECK_EQ(verso_map(PAGE_AT(6), NOWHERE, 3 * TABLE, VERSO_RX), VERSO_EXISTS);
    list[0] = list[1] = NOWHERE;
    CHECK_EQ(verso_map_frames(PAGE_AT(4), list, 2, VERSO_RW), VERSO_EXISTS);
    CHECK(test_state_hash() == before);
    CHECK_OK(verso_unmap(window(), 2 * TABLE));
}

TEST(neither_is_a_huge_page_mapped_over_nor_one_over_anything)
{
    if (HUGE == 0)
        SKIP("no pages larger than large ones");
    CHECK_OK(verso_map(window(), NOWHERE, HUGE, VERSO_RW));
    uint64_t before = test_state_hash();
    CHECK_EQ(verso_map(PAGE_AT(5), NOWHERE, 1, VERSO_RX), VERSO_EXISTS);
    CHECK_EQ(verso_map(PAGE_AT(TABLE), NOWHERE, TABLE, VERSO_RX), VERSO_EXISTS);
    CHECK_EQ(verso_map(window(), NOWHERE, HUGE, VERSO_RX), VERSO_EXISTS);
    CHECK(test_state_hash() == before);
    CHECK_OK(verso_unmap(window(), HUGE));

    for (size_t page = 0; page < 2 * HUGE; page += HUGE - 1) {
        CHECK_OK(verso_map(PAGE_AT(page), NOWHERE, 1, VERSO_READ));
        before = test_state_hash();
        CHECK_EQ(
            verso_map(window(), NOWHERE, 2 * HUGE, VERSO_RW), VERSO_EXISTS);
        CHECK(test_state_hash() == before);
        CHECK_EQ(page_size_at(PAGE_AT(page)), 1);
        CHECK_OK(verso_unmap(PAGE_AT(page), 1));
    }
}

TEST(large_pages_in_a_row_are_not_mapped_over_one)
{
    CHECK_OK(verso_map(PAGE_AT(2 * TABLE), NOWHERE, TABLE, VERSO_RW));
    uint64_t before = test_state_hash();
    CHECK_EQ(verso_map(window(), NOWHERE, 4 * TABLE, VERSO_RW), VERSO_EXISTS);
    CHECK_EQ(verso_map(window(), NOWHERE, 3 * TABLE, VERSO_RW), VERSO_EXISTS);
    CHECK(test_state_hash() == before);
    CHECK_OK(verso_map(window(), NOWHERE, 2 * TABLE, VERSO_RW));
    CHECK_OK(verso_unmap(window(), 3 * TABLE));
}

TEST(protecting_a_hole_is_refused_and_changes_nothing)
{
    CHECK_OK(verso_map(PAGE_AT(1), NOWHERE, 3, VERSO_RW));
    CHECK_OK(verso_map(PAGE_AT(TABLE), NOWHERE, TABLE, VERSO_RW));
    uint64_t before = test_state_hash();
    CHECK_EQ(verso_protect(PAGE_AT(0), 2, VERSO_READ), VERSO_ABSENT);
    CHECK_EQ(verso_protect(PAGE_AT(3), 2, VERSO_READ), VERSO_ABSENT);
    CHECK_EQ(verso_protect(PAGE_AT(TABLE - 1), 5, VERSO_READ), VERSO_ABSENT);
    CHECK_EQ(
        verso_protect(PAGE_AT(2 * TABLE - 5), 6, VERSO_READ), VERSO_ABSENT);
    CHECK_EQ(verso_protect(PAGE_AT(5 * TABLE), 1, VERSO_READ), VERSO_ABSENT);
    CHECK(test_state_hash() == before);
    CHECK_OK(verso_unmap(window(), 2 * TABLE));
}

TEST(writable_and_executable_must_be_asked_for_by_name)
{
    unsigned both = VERSO_RW | VERSO_EXEC;
    CHECK_EQ(verso_map(window(), NOWHERE, 1, both), VERSO_DENIED);
    CHECK(is_hole(0, 1));
    CHECK_OK(verso_map(window(), NOWHERE, 1, VERSO_RX));
    CHECK_EQ(verso_protect(window(), 1, both), VERSO_DENIED);
    CHECK_EQ(flags_at(window()), VERSO_RX);
    CHECK_OK(verso_protect(window(), 1, both | VERSO_WX));
    CHECK_OK(verso_unmap(window(), 1));
}

TEST(ranges_that_are_none_are_refused)
{
    static const struct range {
        vaddr_t offset;
        size_t pages;
    } bad[] = {{1, 1}, {0x800, 1}, {0, 0}, {4095, 0}, {0, SIZE_MAX},
        {0, (SIZE_MAX >> VERSO_PAGE_SHIFT) + 1}};
    unsigned char bits[1];
    uint64_t before = test_state_hash();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        vaddr_t va = window() + bad[i].offset;
        size_t pages = bad[i].pages;
        CHECK_EQ(verso_map(va, NOWHERE, pages, VERSO_RW), VERSO_BAD_ARG);
        CHECK_EQ(verso_map_frames(va, list, pages, VERSO_RW), VERSO_BAD_ARG);
        CHECK_EQ(verso_unmap(va, pages), VERSO_BAD_ARG);
        CHECK_EQ(verso_protect(va, pages, VERSO_READ), VERSO_BAD_ARG);
        CHECK_EQ(verso_harvest(va, pages, bits), VERSO_BAD_ARG);
    }
    CHECK(test_state_hash() == before);
}

static void refused(vaddr_t va, size_t pages)
{
    static unsigned char bits[16];
    CHECK_EQ(verso_map(va, NOWHERE, pages, VERSO_RW), VERSO_DENIED);
    CHECK_EQ(verso_unmap(va, pages), VERSO_DENIED);
    CHECK_EQ(verso_protect(va, pages, VERSO_READ), VERSO_DENIED);
    if (pages <= sizeof(bits))
        CHECK_EQ(verso_harvest(va, pages, bits), VERSO_DENIED);
}

/* pitfall 5. */
TEST(the_mirror_and_the_last_page_are_refused)
{
    size_t pages;
    vaddr_t mirror = geometry_mirror(&pages);
    vaddr_t end = mirror + (pages << VERSO_PAGE_SHIFT);
    vaddr_t last = UINTPTR_MAX - VERSO_PAGE_SIZE + 1;
    uint64_t before = test_state_hash();
    if (pages > FAR_PAGES) /* there are not so many frames */
        pages = FAR_PAGES;
    refused(mirror, 1);
    refused(mirror, pages);
    refused(end - VERSO_PAGE_SIZE, 1);
    refused(mirror - VERSO_PAGE_SIZE, 2);
    refused(end - VERSO_PAGE_SIZE, 2);
    refused(mirror - VERSO_PAGE_SIZE, pages + 2);
    refused(last, 1);
    refused(last - VERSO_PAGE_SIZE, 2);
    CHECK(test_state_hash() == before);
}

/* Is the page at va for user spaces? */
static bool is_users(vaddr_t va)
{
    const struct verso_boot *boot = machine_boot();
    return va - boot->user_start < boot->user_pages << VERSO_PAGE_SHIFT;
}

TEST(the_hole_between_the_halves_of_the_address_space_is_refused)
{
    if (geometry_va_bits() == 8 * sizeof(vaddr_t))
        SKIP("all pointers are addresses");
    const vaddr_t hole = (vaddr_t)1 << (geometry_va_bits() - 1);
    const vaddr_t upper = -hole, last = hole - VERSO_PAGE_SIZE;
    const struct {
        vaddr_t va;
        size_t pages;
    } bad[] = {{hole, 1}, {last, 2}, {upper - VERSO_PAGE_SIZE, 1},
        {upper - VERSO_PAGE_SIZE, 2}, {last, (upper - last) / 0x1000 + 1},
        {window() ^ hole, 1}, {window() + 2 * hole, 1}};
    struct verso_mapping m;
    CHECK_OK(verso_map(window(), NOWHERE, 1, VERSO_RW));
    uint64_t before = test_state_hash();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        vaddr_t va = bad[i].va;
        CHECK_EQ(verso_map(va, NOWHERE, bad[i].pages, VERSO_RW), VERSO_BAD_ARG);
        CHECK_EQ(verso_unmap(va, bad[i].pages), VERSO_BAD_ARG);
        CHECK_EQ(verso_protect(va, bad[i].pages, VERSO_RW), VERSO_BAD_ARG);
        CHECK(va == last || verso_query(va, &m) == VERSO_ABSENT);
    }
    CHECK(test_state_hash() == before);
    CHECK_OK(verso_unmap(window(), 1));
    const bool ours = !is_users(last); /* space.c maps what is theirs */
    CHECK(!ours || verso_map(last, NOWHERE, 1, VERSO_RW) == VERSO_OK);
    CHECK_OK(verso_map(upper, NOWHERE, 1, VERSO_RW));
    CHECK(!verso_check || verso_check() == NULL);
    CHECK_EQ(verso_query(last + VERSO_PAGE_SIZE, &m), VERSO_ABSENT);
    CHECK(!ours || verso_unmap(last, 1) == VERSO_OK);
    CHECK_OK(verso_unmap(upper, 1));
}

/* pitfall 25: the end of the last usable page is near the wrap. */
TEST(ranges_up_to_the_last_page_but_one_work)
{
    static const size_t sizes[] = {1, 2, 32, 33, 34, 1000};
    vaddr_t last = UINTPTR_MAX - VERSO_PAGE_SIZE + 1;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        vaddr_t va = last - (sizes[i] << VERSO_PAGE_SHIFT);
        CHECK_OK(verso_map(va, NOWHERE, sizes[i], VERSO_RW));
        CHECK_EQ(
            pfn_at(last - VERSO_PAGE_SIZE), pfn_nr(NOWHERE) + sizes[i] - 1);
        CHECK_EQ(pfn_at(last), 0);
        CHECK_OK(verso_protect(va, sizes[i], VERSO_READ));
        CHECK_OK(verso_unmap(va, sizes[i]));
        CHECK_EQ(pfn_at(va), 0);
    }
}

/* pitfalls 7, 11. */
TEST(the_mirror_shows_the_root_to_the_supervisor_only)
{
    size_t pages;
    struct verso_mapping m;
    const vaddr_t mirror = geometry_mirror(&pages);
    vaddr_t root = mirror;
    if (geometry_entry(root, geometry_levels() - 1) == 0)
        SKIP("no mirror beside the direct map");
    for (unsigned level = 0; level < geometry_levels(); level++)
        root = geometry_mirror_entry(root);
    CHECK_OK(verso_query(root, &m));
    CHECK_EQ(pfn_nr(paddr_to_pfn(m.pa)), pfn_nr(geometry_root(mirror)));
    CHECK_EQ(m.flags & VERSO_USER, 0);
    CHECK((m.state & VERSO_MAPPED_PRESENT) != 0);
}

TEST(users_reach_user_pages_and_no_others)
{
    CHECK_OK(verso_map(PAGE_AT(0), NOWHERE, 1, VERSO_RW));
    CHECK_OK(verso_map(PAGE_AT(1), NOWHERE, 1, VERSO_RW | VERSO_USER));
    CHECK_OK(verso_map(PAGE_AT(TABLE), NOWHERE, 1, VERSO_RW | VERSO_USER));
    CHECK(!geometry_user_reaches(PAGE_AT(0)));
    CHECK(geometry_user_reaches(PAGE_AT(1)));
    CHECK(geometry_user_reaches(PAGE_AT(TABLE)));
    if (geometry_has_mirror())
        CHECK(!geometry_user_reaches(geometry_mirror_entry(PAGE_AT(TABLE))));
    CHECK_OK(verso_protect(PAGE_AT(0), 1, VERSO_RW | VERSO_USER));
    CHECK_OK(verso_protect(PAGE_AT(1), 1, VERSO_RW));
    CHECK(geometry_user_reaches(PAGE_AT(0)));
    CHECK(!geometry_user_reaches(PAGE_AT(1)));
    CHECK_OK(verso_unmap(window(), TABLE + 1));
}

/* Protecting makes the first user page of a table, too. */
TEST(a_page_given_to_users_is_reached_by_them)
{
    CHECK_OK(verso_map(window(), NOWHERE, TABLE, VERSO_RW));
    CHECK_OK(verso_protect(PAGE_AT(5), 1, VERSO_READ | VERSO_USER));
    CHECK(geometry_user_reaches(PAGE_AT(5)));
    CHECK(!geometry_user_reaches(PAGE_AT(6)));
    CHECK_OK(verso_unmap(window(), TABLE));
}

/* ---- cache types: pitfall 24 ---- */

TEST(a_frame_is_mapped_with_the_cache_type_it_has_or_not_at_all)
{
    pfn_t pfn = frame_get(), other = frame_get();
    verso_frame_set_cache(pfn, VERSO_CACHE_UC);
    uint64_t before = test_state_hash();
    list[0] = other;
    list[1] = pfn;
    CHECK_EQ(verso_map(window(), pfn, 1, VERSO_RW), VERSO_DENIED);
    CHECK_EQ(
        verso_map(window(), pfn, 1, VERSO_RW | VERSO_CACHE_WT), VERSO_DENIED);
    CHECK_EQ(verso_map_frames(window(), list, 2, VERSO_RW), VERSO_DENIED);
    CHECK_EQ(verso_map_frames(
                 PAGE_AT(TABLE - 1), list, 2, VERSO_RW | VERSO_CACHE_UC),
        VERSO_DENIED);
    CHECK(test_state_hash() == before);
    /* all in one table that is there */
    CHECK_OK(verso_map(PAGE_AT(2), NOWHERE, 1, VERSO_RW));
    CHECK_EQ(verso_map_frames(window(), list, 2, VERSO_RW), VERSO_DENIED);
    CHECK_EQ(verso_map_frames(window(), list, 2, VERSO_RW | VERSO_CACHE_UC),
        VERSO_DENIED);
    CHECK_EQ(verso_map(window(), pfn, 1, VERSO_RW), VERSO_DENIED);
    CHECK_OK(verso_unmap(PAGE_AT(2), 1));
    CHECK(test_state_hash() == before);
    CHECK_OK(verso_map(window(), pfn, 1, VERSO_RW | VERSO_CACHE_UC));
    CHECK_EQ(flags_at(window()), VERSO_RW | VERSO_CACHE_UC);
    CHECK_OK(verso_protect(window(), 1, VERSO_READ));
    CHECK_EQ(flags_at(window()), VERSO_READ | VERSO_CACHE_UC);
    CHECK_OK(verso_unmap(window(), 1));
    verso_frame_free1(pfn);
    verso_frame_free1(other);
}

/* The type of each counts, in a table that is there and in one that is not. */
TEST(frames_in_a_row_are_not_mapped_if_one_has_another_cache_type)
{
    const size_t pages = 11;
    pfn_t first = verso_frame_alloc_run(pages, VERSO_ZONE_ANY);
    if (!CHECK(!pfn_is_none(first)))
        return;
    CHECK_OK(verso_map(PAGE_AT(TABLE), NOWHERE, 1, VERSO_RW));
    uint64_t before = test_state_hash();
    for (size_t i = 0; i < pages; i++) {
        verso_frame_set_cache(pfn_add(first, i), VERSO_CACHE_UC);
        CHECK_EQ(verso_map(window(), first, pages, VERSO_RW), VERSO_DENIED);
        CHECK_EQ(verso_map(PAGE_AT(TABLE + 1), first, pages, VERSO_RW),
            VERSO_DENIED);
        CHECK_EQ(verso_map(window(), first, pages, VERSO_RW | VERSO_CACHE_UC),
            VERSO_DENIED);
        verso_frame_set_cache(pfn_add(first, i), VERSO_CACHE_WB);
    }
    CHECK(test_state_hash() == before);
    CHECK_OK(verso_map(window(), first, pages, VERSO_RW));
    CHECK_OK(verso_unmap(window(), TABLE + 1));
    verso_frame_free_run(first, pages);
}

TEST(a_list_of_device_frames_is_mapped_uncached)
{
    const pfn_t devices[] = {NOWHERE, pfn_add(NOWHERE, 7), pfn_add(NOWHERE, 3)};
    struct verso_mapping m;
    set_range(NOWHERE, 8, VERSO_CACHE_UC);
    CHECK_OK(verso_map_frames(window(), devices, 3, VERSO_RW | VERSO_CACHE_UC));
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(verso_query(PAGE_AT(i), &m));
        CHECK_EQ(pfn_nr(paddr_to_pfn(m.pa)), pfn_nr(devices[i]));
        CHECK_EQ(m.flags, VERSO_RW | VERSO_CACHE_UC);
    }
    CHECK_OK(verso_unmap(window(), 3));
    set_range(NOWHERE, 8, VERSO_CACHE_WB);
}

/* Frame i is mapped as nothing but `cache`, alone and in a list. */
static void only_as(pfn_t pfn, unsigned cache)
{
    const pfn_t both[] = {pfn, pfn};
    for (unsigned type = 0; type < 4; type++) {
        unsigned flags = VERSO_RW | type << VERSO_CACHE_SHIFT;
        int err = type << VERSO_CACHE_SHIFT == cache ? VERSO_OK : VERSO_DENIED;
        CHECK_EQ(verso_map(window(), pfn, 1, flags), err);
        CHECK_OK(verso_unmap(window(), 1));
        CHECK_EQ(verso_map_frames(window(), both, 2, flags), err);
        CHECK_OK(verso_unmap(window(), 2));
    }
}

TEST(frames_that_are_no_ram_are_mapped_with_the_type_of_their_range)
{
    set_range(pfn_add(NOWHERE, 4), 4, VERSO_CACHE_WC);
    set_range(pfn_add(NOWHERE, 8), 2, VERSO_CACHE_UC);
    for (size_t i = 0; i < 11; i++)
        only_as(pfn_add(NOWHERE, i), i < 4    ? VERSO_CACHE_WB
                                     : i < 8  ? VERSO_CACHE_WC
                                     : i < 10 ? VERSO_CACHE_UC
                                              : VERSO_CACHE_WB);
    /* in a row: no part may differ */
    uint64_t before = test_state_hash();
    for (size_t from = 0; from < 11; from++)
        for (size_t pages = 1; from + pages <= 12; pages++) {
            bool all = from >= 4 && from + pages <= 8;
            CHECK_EQ(verso_map(window(), pfn_add(NOWHERE, from), pages,
                         VERSO_RW | VERSO_CACHE_WC),
                all ? VERSO_OK : VERSO_DENIED);
            all = from + pages <= 4 || from >= 10;
            CHECK_EQ(verso_map(PAGE_AT(TABLE), pfn_add(NOWHERE, from), pages,
                         VERSO_RW),
                all ? VERSO_OK : VERSO_DENIED);
            CHECK_OK(verso_unmap(window(), TABLE + pages));
        }
    trim();
    CHECK(test_state_hash() == before);
    set_range(NOWHERE, 12, VERSO_CACHE_WB);
    only_as(pfn_add(NOWHERE, 5), VERSO_CACHE_WB);
}

/* Mapped twice: the second time as the first, or not at all. */
TEST(a_large_page_of_frames_of_another_type_is_not_mapped)
{
    if (LARGE == 0)
        SKIP("no large pages");
    set_range(NOWHERE, LARGE, VERSO_CACHE_WC);
    CHECK_OK(verso_map(window(), NOWHERE, LARGE, VERSO_RW | VERSO_CACHE_WC));
    CHECK_EQ(page_size_at(window()), LARGE);
    CHECK_EQ(verso_map(PAGE_AT(LARGE), NOWHERE, LARGE, VERSO_RW), VERSO_DENIED);
    CHECK_EQ(verso_map(PAGE_AT(LARGE), pfn_add(NOWHERE, LARGE - 1), 1,
                 VERSO_RW | VERSO_CACHE_UC),
        VERSO_DENIED);
    CHECK_EQ(verso_map(
                 PAGE_AT(LARGE), NOWHERE, 2 * LARGE, VERSO_RW | VERSO_CACHE_WC),
        VERSO_DENIED);
    CHECK_OK(
        verso_map(PAGE_AT(LARGE), NOWHERE, LARGE, VERSO_READ | VERSO_CACHE_WC));
    CHECK_OK(verso_unmap(window(), 2 * LARGE));
    set_range(NOWHERE, LARGE, VERSO_CACHE_WB);
}

TEST(a_large_page_that_is_split_keeps_its_cache_type)
{
    if (LARGE == 0)
        SKIP("no large pages");
    for (unsigned type = 1; type < 4; type++) {
        unsigned cache = type << VERSO_CACHE_SHIFT;
        set_range(NOWHERE, LARGE, cache);
        CHECK_OK(verso_map(window(), NOWHERE, LARGE, VERSO_RW | cache));
        CHECK_OK(verso_protect(PAGE_AT(5), 1, VERSO_READ));
        CHECK_EQ(page_size_at(window()), 1);
        for (size_t i = 0; i < LARGE; i++)
            if (!CHECK_EQ(flags_at(PAGE_AT(i)),
                    (i == 5 ? VERSO_READ : VERSO_RW) | cache))
                break;
        CHECK_OK(verso_unmap(window(), LARGE));
        set_range(NOWHERE, LARGE, VERSO_CACHE_WB);
    }
}

TEST(a_range_has_one_cache_type_and_a_refused_one_changes_none)
{
    const size_t array = machine_boot()->frame_count;
    const pfn_t top =
        pfn_make((uint32_t)((verso_phys_t)-1 >> VERSO_PAGE_SHIFT));
    const pfn_t wc = pfn_add(NOWHERE, 4);
    set_range(wc, 4, VERSO_CACHE_WC);
    set_range(wc, 4, VERSO_CACHE_WC); /* as it is */
    for (size_t i = 1; i < 8; i++)
        CHECK_EQ(verso_cache_set_range(pfn_add(NOWHERE, i), 4, VERSO_CACHE_UC),
            VERSO_EXISTS);
    CHECK_EQ(verso_cache_set_range(wc, 0, VERSO_CACHE_UC), VERSO_BAD_ARG);
    CHECK_EQ(verso_cache_set_range(wc, 1, VERSO_CACHE_UC | 1), VERSO_BAD_ARG);
    CHECK_EQ(verso_cache_set_range(wc, 1, VERSO_CACHE_MASK), VERSO_BAD_ARG);
    CHECK_EQ(verso_cache_set_range(top, 2, VERSO_CACHE_UC), VERSO_BAD_ARG);
    CHECK_EQ(verso_cache_set_range(NOWHERE, ~(size_t)0, VERSO_CACHE_UC),
        VERSO_BAD_ARG);
    CHECK_EQ(
        verso_cache_set_range(pfn_make((uint32_t)array - 1), 2, VERSO_CACHE_UC),
        VERSO_BAD_ARG);
    set_range(top, 1, VERSO_CACHE_UC);
    only_as(top, VERSO_CACHE_UC);
    set_range(top, 1, VERSO_CACHE_WB);
    for (size_t i = 0; i < 12; i++)
        only_as(pfn_add(NOWHERE, i),
            i >= 4 && i < 8 ? VERSO_CACHE_WC : VERSO_CACHE_WB);
    set_range(pfn_add(NOWHERE, 5), 1, VERSO_CACHE_WB); /* a hole */
    set_range(pfn_add(NOWHERE, 5), 1, VERSO_CACHE_UC);
    for (size_t i = 4; i < 8; i++)
        only_as(pfn_add(NOWHERE, i), i == 5 ? VERSO_CACHE_UC : VERSO_CACHE_WC);
    set_range(NOWHERE, 12, VERSO_CACHE_WB);
}

/* As many ranges as there is room for, every second frame: returns how many. */
static size_t fill_ranges(void)
{
    size_t count = 0;
    while (verso_cache_set_range(
               pfn_add(NOWHERE, 2 * count), 1, VERSO_CACHE_UC) == VERSO_OK)
        count++;
    return count;
}

TEST(ranges_that_meet_are_one_and_too_many_are_refused)
{
    const size_t room = fill_ranges();
    CHECK(room > 0 && room <= VERSO_CACHE_RANGES);
    CHECK_EQ(
        verso_cache_set_range(pfn_add(NOWHERE, 2 * room), 1, VERSO_CACHE_WC),
        VERSO_NO_MEMORY);
    only_as(pfn_add(NOWHERE, 2 * room), VERSO_CACHE_WB);
    /* the gap between two makes them one */
    set_range(pfn_add(NOWHERE, 1), 1, VERSO_CACHE_UC);
    set_range(pfn_add(NOWHERE, 2 * room), 1, VERSO_CACHE_WC);
    /* and a hole in one makes them two, for which there is no room */
    CHECK_EQ(verso_cache_set_range(pfn_add(NOWHERE, 1), 1, VERSO_CACHE_WB),
        VERSO_NO_MEMORY);
    only_as(pfn_add(NOWHERE, 1), VERSO_CACHE_UC);
    set_range(NOWHERE, 2 * room, VERSO_CACHE_UC); /* all of them one */
    for (size_t i = 0; i < 2 * room; i++)
        only_as(pfn_add(NOWHERE, i), VERSO_CACHE_UC);
    set_range(NOWHERE, 2 * room + 1, VERSO_CACHE_WB);
    CHECK_EQ(fill_ranges(), room);
    set_range(NOWHERE, 2 * room, VERSO_CACHE_WB);
}

/* host-boot.t has a machine where one is no RAM. */
TEST(what_a_fixed_mapping_maps_is_not_mapped_with_another_cache_type)
{
    const struct verso_boot *boot = machine_boot();
    size_t found = 0;
    for (size_t i = 0; i < boot->fixed_count; i++) {
        const struct verso_fixed *fixed = &boot->fixed[i];
        const uint64_t last =
            (fixed->pa + fixed->bytes - 1) >> VERSO_PAGE_SHIFT;
        unsigned cache = fixed->flags & VERSO_CACHE_MASK;
        found += cache != VERSO_CACHE_WB;
        if (cache != VERSO_CACHE_WB)
            only_as(pfn_make((uint32_t)last), cache);
    }
    if (found == 0)
        SKIP("no fixed mapping that is not write-back");
}

TEST(a_freed_frame_is_write_back_again)
{
    pfn_t pfn = frame_get();
    verso_frame_set_cache(pfn, VERSO_CACHE_UC);
    verso_frame_free1(pfn);
    trim();
    pfn = frame_get();
    CHECK_OK(verso_map(window(), pfn, 1, VERSO_RW));
    CHECK_OK(verso_unmap(window(), 1));
    verso_frame_free1(pfn);
}

/* ---- tables ---- */

/* pitfall 6: where a table or a large page stands above, the mirror must not
 * be read. */
TEST(holes_of_every_kind_are_walked_over)
{
    struct verso_mapping m;
    static unsigned char bits[4096];
    size_t pages = 4 * TABLE <= sizeof(bits) ? 4 * TABLE : sizeof(bits);
    CHECK_OK(verso_map(PAGE_AT(TABLE), NOWHERE, TABLE, VERSO_RW));
    CHECK_OK(verso_map(PAGE_AT(2 * TABLE + 17), NOWHERE, 1, VERSO_RW));
    CHECK_EQ(verso_query(PAGE_AT(0), &m), VERSO_ABSENT);
    CHECK_EQ(verso_query(PAGE_AT(2 * TABLE + 18), &m), VERSO_ABSENT);
    CHECK_OK(verso_query(PAGE_AT(2 * TABLE - 1), &m));
    CHECK_EQ(pfn_nr(paddr_to_pfn(m.pa)), pfn_nr(NOWHERE) + TABLE - 1);
    CHECK_OK(verso_harvest(window(), pages, bits));
    CHECK_OK(verso_unmap(window(), 4 * TABLE));
    CHECK(is_hole(0, 4 * TABLE));
    CHECK_OK(verso_unmap(window(), 4 * TABLE));
}

/* pitfall 40. */
TEST(tables_go_with_their_last_page)
{
    size_t slots = window_pages() / TABLE < 60 ? window_pages() / TABLE : 60;
    size_t upper = upper_tables(), before = tables();
    for (size_t i = 0; i < slots; i++)
        CHECK_OK(verso_map(PAGE_AT(i * TABLE + i), NOWHERE, 1, VERSO_RW));
    CHECK_EQ(tables(), before + upper + slots);
    for (size_t i = 0; i < slots; i++)
        CHECK_OK(verso_unmap(PAGE_AT(i * TABLE + i), 1));
    trim();
    CHECK_EQ(tables(), before);
}

/* What an entry of the root covers. */
static vaddr_t root_span(void)
{
    return ((vaddr_t)1 << (geometry_va_bits() - 1)) / (TABLE / 2);
}

/* Of an address that shares no entry of the root with anything: with all the
 * levels, but for two, where the window's tables are as many. */
static vaddr_t lonely(void)
{
    if (geometry_levels() == 2)
        return window();
    return -((vaddr_t)1 << (geometry_va_bits() - 2)) - VERSO_PAGE_SIZE;
}

/* pitfall 41: as many spares are kept as a page takes. */
TEST(a_page_mapped_and_unmapped_a_thousand_times_takes_its_tables_once)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    const size_t levels = geometry_levels() - 1;
    trim();
    const size_t before = tables();
    CHECK_OK(verso_map(lonely(), NOWHERE, 1, VERSO_RW));
    CHECK_EQ(tables(), before + levels);
    CHECK_OK(verso_unmap(lonely(), 1));
    trim();
    inject_fail_at(0);
    for (unsigned i = 0; i < 1000; i++) {
        CHECK_OK(verso_map(lonely(), NOWHERE, 1, VERSO_RW));
        CHECK_OK(verso_unmap(lonely(), 1));
    }
    CHECK(inject_calls() <= levels);
}

static void map_and_unmap(vaddr_t va)
{
    CHECK_OK(verso_map(va, NOWHERE, 1, VERSO_RW));
    CHECK_OK(verso_unmap(va, 1));
}

/* pitfall 41: of one that is emptied the other is made, level by level. */
TEST(pages_mapped_and_unmapped_by_turns_take_their_tables_once)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    const size_t levels = geometry_levels() - 1;
    const vaddr_t other = levels == 1 ? PAGE_AT(TABLE) : lonely() - root_span();
    trim();
    inject_fail_at(0);
    for (unsigned i = 0; i < 500; i++) {
        map_and_unmap(lonely());
        map_and_unmap(other);
    }
    CHECK(inject_calls() <= 2 * levels);
    trim();
}

/* pitfall 41: no table comes or goes, so that only the page is invalidated. */
TEST(the_table_that_was_emptied_last_stays_hooked_in)
{
    struct verso_paging_stats first, last;
    trim();
    const size_t before = tables();
    map_and_unmap(window());
    verso_paging_stats(&first);
    CHECK(first.tables > before);
    for (unsigned i = 0; i < 100; i++)
        map_and_unmap(PAGE_AT(i % 8));
    verso_paging_stats(&last);
    CHECK_EQ(last.invalidations - first.invalidations, 100);
    CHECK_EQ(last.tables, first.tables);
    CHECK_EQ(last.spare, first.spare);
    CHECK(verso_check() == NULL);
    trim();
    CHECK_EQ(tables(), before);
}

/* One is idle, whichever way they are emptied. */
TEST(a_second_table_that_is_emptied_takes_the_place_of_the_idle_one)
{
    struct verso_paging_stats one, two;
    trim();
    const size_t before = tables();
    map_and_unmap(window());
    verso_paging_stats(&one);
    map_and_unmap(PAGE_AT(TABLE));
    verso_paging_stats(&two);
    CHECK_EQ(two.tables - two.spare, one.tables - one.spare);
    CHECK(verso_check() == NULL);
    CHECK_OK(verso_map(window(), NOWHERE, 1, VERSO_RW));
    CHECK_OK(verso_map(PAGE_AT(TABLE), NOWHERE, 1, VERSO_RW));
    CHECK_OK(verso_unmap(window(), TABLE + 1)); /* both in one flush */
    verso_paging_stats(&two);
    CHECK_EQ(two.tables - two.spare, one.tables - one.spare);
    CHECK(verso_check() == NULL);
    trim();
    CHECK_EQ(tables(), before);
}

/* The idle table is no hindrance to what would be mapped without it. */
TEST(an_idle_table_makes_room_for_a_large_page)
{
    const size_t pages = geometry_large_pages();
    if (pages == 0)
        SKIP("no large page to be had");
    map_and_unmap(PAGE_AT(3));
    CHECK_OK(verso_map(window(), NOWHERE, pages, VERSO_RW));
    CHECK_EQ(page_size_at(window()), pages);
    CHECK_OK(verso_unmap(window(), pages));
}

static uint64_t root_entry(vaddr_t va)
{
    return geometry_entry(va, geometry_levels() - 1);
}

/* A page comes and goes: its root entry is what it was, and so is the number of
 * tables. */
static void come_and_go(vaddr_t va)
{
    trim();
    const size_t before = tables();
    const uint64_t entry = root_entry(va);
    CHECK_OK(verso_map(va, NOWHERE, 1, VERSO_RW));
    CHECK(root_entry(va) != 0);
    CHECK_OK(verso_unmap(va, 1));
    trim();
    CHECK_EQ(geometry_raw_pfn(root_entry(va)), geometry_raw_pfn(entry));
    CHECK_EQ(root_entry(va) != 0, entry != 0);
    CHECK_EQ(tables(), before);
}

static bool is_in_mirror(vaddr_t va)
{
    size_t pages;
    const vaddr_t start = geometry_mirror(&pages);
    return (va - start) >> VERSO_PAGE_SHIFT < pages;
}

TEST(the_tables_below_the_root_stay_in_the_heap_and_nowhere_else)
{
    const struct verso_boot *boot = machine_boot();
    const vaddr_t span = root_span(), start = boot->heap_start & -span;
    const vaddr_t last = boot->heap_start +
                         ((vaddr_t)(boot->heap_pages - 1) << VERSO_PAGE_SHIFT);
    if (!geometry_keeps_upper())
        SKIP("the tables come and go everywhere");
    for (vaddr_t va = start; va - start <= last - start; va += span) {
        CHECK(root_entry(va) != 0);
        if (va != (window() & -span)) /* where tests map for users */
            CHECK_EQ(root_entry(va) & geometry_user_bit(), 0);
    }
    const vaddr_t in_and_beside[4] = {
        boot->heap_start, last, start - span, (last & -span) + span};
    for (size_t i = 0; i < 4; i++)
        if (!is_in_mirror(in_and_beside[i]) && !is_users(in_and_beside[i]) &&
            pfn_at(in_and_beside[i]) == 0)
            come_and_go(in_and_beside[i]);
}

/* pitfall 3: the frame a table is made of held valid-looking entries. */
TEST(a_new_table_is_empty_whatever_its_frame_held)
{
    trim();
    pfn_t pfn = frame_get();
    CHECK_OK(verso_map(window(), pfn, 1, VERSO_RW));
    for (size_t i = 0; i < VERSO_PAGE_SIZE / 4; i++)
        word_at(window())[i] = 0x00345467;
    verso_frame_free1(pfn);
    CHECK_OK(verso_map(PAGE_AT(TABLE + 3), NOWHERE, 1, VERSO_RW));
    CHECK(is_hole(TABLE, 3));
    CHECK(is_hole(TABLE + 4, TABLE - 4));
    CHECK_OK(verso_unmap(PAGE_AT(TABLE + 3), 1));
    CHECK_OK(verso_unmap(window(), 1));
}

/* ---- invalidation ---- */

/* pitfalls 2, 25: around the number of pages above which all is flushed. */
TEST(a_range_mapped_anew_shows_the_new_frames)
{
    static const size_t sizes[] = {1, 2, 31, 32, 33, 34, 1024, 1025};
    pfn_t frame[2];
    two_frames(frame);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (uint32_t f = 0; f < 2; f++) {
            for (size_t i = 0; i < sizes[s]; i++)
                list[i] = frame[f];
            CHECK_OK(verso_map_frames(PAGE_AT(3), list, sizes[s], VERSO_READ));
            for (size_t i = 0; i < sizes[s]; i++)
                if (!CHECK_EQ(*word_at(PAGE_AT(3 + i)), 0xf0 + f))
                    break;
            CHECK_OK(verso_unmap(PAGE_AT(3), sizes[s]));
        }
    }
    two_frames_free(frame);
}

TEST(what_is_unmapped_cannot_be_reached_any_more)
{
    static const size_t sizes[] = {1, 32, 33, 34, 1025};
    pfn_t frame[2];
    two_frames(frame);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (size_t i = 0; i < sizes[s]; i++)
            list[i] = frame[i & 1];
        CHECK_OK(verso_map_frames(window(), list, sizes[s], VERSO_READ));
        for (size_t i = 0; i < sizes[s]; i++)
            CHECK_EQ(*word_at(PAGE_AT(i)), 0xf0 + (i & 1));
        CHECK_OK(verso_unmap(window(), sizes[s]));
        for (size_t i = 0; i < sizes[s]; i++)
            if (!CHECK(machine_probe(word_at(PAGE_AT(i)), false)))
                break;
    }
    two_frames_free(frame);
}

/* pitfall 20: cached in fragments, a large page goes as a whole. */
TEST(small_pages_where_a_large_one_was_show_their_own_frames)
{
    pfn_t frame[2];
    pfn_t block = verso_frame_alloc(10, VERSO_ZONE_ANY);
    if (pfn_is_none(block))
        SKIP("no 4 MiB in one piece");
    two_frames(frame);
    CHECK_OK(verso_map(window(), block, 1024, VERSO_RW));
    for (uint32_t i = 0; i < 1024; i++)
        *word_at(PAGE_AT(i)) = i;
    CHECK_OK(verso_unmap(window(), 1024));
    for (size_t i = 0; i < 1024; i++)
        list[i] = frame[i & 1];
    CHECK_OK(verso_map_frames(window(), list, 1024, VERSO_READ));
    for (uint32_t i = 0; i < 1024; i++)
        if (!CHECK_EQ(*word_at(PAGE_AT(i)), 0xf0 + (i & 1)))
            break;
    CHECK_OK(verso_unmap(window(), 1024));
    verso_frame_free(block, 10);
    two_frames_free(frame);
}

/* pitfall 1: the table was replaced, so its page in the mirror shows another
 * frame now. The old table's frame is kept from coming back. */
TEST(the_mirror_shows_the_new_table_where_one_was_replaced)
{
    struct verso_mapping m;
    vaddr_t entry = geometry_mirror_entry(window());
    if (!geometry_has_mirror())
        SKIP("no mirror beside the direct map");
    CHECK_OK(verso_map(window(), NOWHERE, 1, VERSO_RW));
    CHECK_OK(verso_query(entry, &m));
    uint32_t old_table = pfn_nr(paddr_to_pfn(m.pa));
    CHECK_EQ(geometry_entry_pfn(entry), pfn_nr(NOWHERE));
    CHECK_OK(verso_unmap(window(), 1));
    map_and_unmap(PAGE_AT(2 * TABLE)); /* now that one is idle */
    CHECK(machine_probe((const volatile void *)entry, false));
    CHECK_OK(verso_map(PAGE_AT(TABLE), NOWHERE, 1, VERSO_RW)); /* the spare */
    CHECK_OK(verso_map(window(), pfn_add(NOWHERE, 9), 1, VERSO_RW));
    CHECK(pfn_at(entry & ~(VERSO_PAGE_SIZE - 1)) != old_table);
    CHECK_EQ(geometry_entry_pfn(entry), pfn_nr(NOWHERE) + 9);
    CHECK_OK(verso_unmap(PAGE_AT(TABLE), 1));
    CHECK_OK(verso_unmap(window(), 1));
}

/* pitfall 1 again: the large page's slot in the mirror showed data. */
TEST(the_mirror_shows_the_table_that_a_split_made)
{
    CHECK_OK(verso_map(window(), NOWHERE, TABLE, VERSO_RW));
    CHECK_OK(verso_protect(PAGE_AT(1), 1, VERSO_READ));
    if (geometry_has_mirror())
        for (uint32_t i = 0; i < TABLE; i++)
            CHECK_EQ(geometry_entry_pfn(geometry_mirror_entry(PAGE_AT(i))),
                pfn_nr(NOWHERE) + i);
    CHECK_OK(verso_unmap(window(), TABLE));
}

/* Where a large page is, the mirror shows its first page as if it were a table:
 * with its rights, and no longer than it is there. */
TEST(the_mirror_forgets_a_large_page_that_is_gone)
{
    pfn_t block = verso_frame_alloc(10, VERSO_ZONE_ANY);
    volatile uint32_t *entry = word_at(geometry_mirror_entry(window()));
    if (pfn_is_none(block) || LARGE == 0) {
        if (!pfn_is_none(block))
            verso_frame_free(block, 10);
        SKIP("no large page to be had");
    }
    CHECK_OK(verso_map(window(), block, LARGE, VERSO_RW));
    if (geometry_has_mirror()) {
        *word_at(window()) = 0x1234;
        CHECK_EQ(*entry, 0x1234);
        *entry = 0x4321;
        CHECK_EQ(*word_at(window()), 0x4321);
        CHECK_OK(verso_protect(window(), LARGE, VERSO_READ));
        CHECK(machine_probe(entry, true));
        CHECK_EQ(*entry, 0x4321);
    }
    CHECK_OK(verso_unmap(window(), LARGE));
    CHECK_OK(verso_map(window(), NOWHERE, 1, VERSO_RW));
    CHECK_EQ(pfn_at(window()), pfn_nr(NOWHERE));
    CHECK_OK(verso_unmap(window(), 1));
    verso_frame_free(block, 10);
}

/* pitfall 25: up to the ceiling page by page, above all at once. */
TEST(more_pages_than_the_ceiling_are_flushed_at_once)
{
    /* the table stays */
    CHECK_OK(verso_map(PAGE_AT(TABLE - 1), NOWHERE, 1, VERSO_RW));
    for (size_t pages = VERSO_FLUSH_CEILING - 1;
         pages <= VERSO_FLUSH_CEILING + 1; pages++) {
        struct verso_paging_stats before, now;
        bool all = pages > VERSO_FLUSH_CEILING;
        CHECK_OK(verso_map(window(), NOWHERE, pages, VERSO_RW));
        verso_paging_stats(&before);
        CHECK_OK(verso_unmap(window(), pages));
        verso_paging_stats(&now);
        CHECK_EQ(now.flushes - before.flushes, all ? 1 : 0);
        CHECK_EQ(now.invalidations - before.invalidations, all ? 0 : pages);
    }
    CHECK_OK(verso_unmap(PAGE_AT(TABLE - 1), 1));
}

/* ---- accessed and dirty ---- */

/* A CPU may set more than was used, never less. */
static bool is_use(unsigned char bits, unsigned char wanted)
{
    if (test_use_is_random && test_use_is_random())
        return (bits & wanted) == wanted;
    return bits == wanted;
}

/* pitfall 22. */
TEST(harvest_tells_each_use_once_and_loses_none)
{
    unsigned char bits[2];
    pfn_t frame[2];
    two_frames(frame);
    list[0] = frame[0];
    list[1] = frame[1];
    CHECK_OK(verso_map_frames(window(), list, 2, VERSO_RW));
    CHECK_OK(verso_harvest(window(), 2, bits));
    CHECK(is_use(bits[0], 0));
    *word_at(PAGE_AT(0)) = 1;
    (void)*word_at(PAGE_AT(1));
    CHECK_OK(verso_harvest(window(), 2, bits));
    CHECK(is_use(bits[0], 3));
    CHECK(is_use(bits[1], 1));
    CHECK_OK(verso_harvest(window(), 2, bits));
    CHECK(is_use(bits[0], 0));
    CHECK(is_use(bits[1], 0));
    (void)*word_at(PAGE_AT(0));
    *word_at(PAGE_AT(1)) = 1;
    CHECK_OK(verso_harvest(window(), 2, bits));
    CHECK(is_use(bits[0], 1));
    CHECK(is_use(bits[1], 3));
    CHECK_OK(verso_unmap(window(), 2));
    two_frames_free(frame);
}

TEST(a_new_mapping_of_a_used_frame_starts_unused)
{
    unsigned char bits[1];
    pfn_t frame[2];
    two_frames(frame);
    CHECK_OK(verso_map(window(), frame[0], 1, VERSO_RW));
    *word_at(window()) = 1;
    CHECK_OK(verso_unmap(window(), 1));
    CHECK_OK(verso_map(window(), frame[0], 1, VERSO_RW));
    CHECK_OK(verso_harvest(window(), 1, bits));
    CHECK(is_use(bits[0], 0));
    CHECK_OK(verso_unmap(window(), 1));
    two_frames_free(frame);
}

TEST(a_large_page_is_harvested_as_a_whole)
{
    static unsigned char bits[1024];
    pfn_t block = verso_frame_alloc(10, VERSO_ZONE_ANY);
    if (pfn_is_none(block) || LARGE == 0) {
        if (!pfn_is_none(block))
            verso_frame_free(block, 10);
        SKIP("no large page to be had");
    }
    CHECK_OK(verso_map(window(), block, LARGE, VERSO_RW));
    *word_at(PAGE_AT(500)) = 1;
    CHECK_OK(verso_harvest(window(), LARGE, bits));
    for (size_t i = 0; i < LARGE; i++)
        CHECK(is_use(bits[i], 3));
    CHECK_EQ(page_size_at(window()), LARGE);
    CHECK_OK(verso_harvest(window(), LARGE, bits));
    CHECK(is_use(bits[500], 0));
    *word_at(PAGE_AT(501)) = 1;
    CHECK_OK(verso_harvest(window(), LARGE, bits));
    CHECK(is_use(bits[0], 3));
    CHECK_OK(verso_unmap(window(), LARGE));
    verso_frame_free(block, 10);
}

/* pitfall 22: the parts of a large page that is split are as used as it was. */
TEST(a_split_keeps_what_the_large_page_was_used_for)
{
    static unsigned char bits[1024];
    pfn_t block = verso_frame_alloc(10, VERSO_ZONE_ANY);
    if (pfn_is_none(block) || LARGE == 0) {
        if (!pfn_is_none(block))
            verso_frame_free(block, 10);
        SKIP("no large page to be had");
    }
    CHECK_OK(verso_map(window(), block, LARGE, VERSO_RW));
    *word_at(PAGE_AT(500)) = 1;
    CHECK_OK(verso_protect(PAGE_AT(3), 1, VERSO_READ));
    CHECK_EQ(page_size_at(PAGE_AT(500)), 1);
    CHECK_OK(verso_harvest(window(), LARGE, bits));
    for (size_t i = 0; i < LARGE; i++)
        CHECK_EQ(bits[i], 3);
    CHECK_OK(verso_unmap(window(), LARGE));
    verso_frame_free(block, 10);
}

/* ---- the Nth inner allocation fails: pitfall 29 ---- */

static int run_map_list(void *arg)
{
    (void)arg;
    return verso_map_frames(PAGE_AT(TABLE - 500), list, 1000, VERSO_RW);
}

static void undo_map_list(void *arg)
{
    (void)arg;
    CHECK_OK(verso_unmap(PAGE_AT(TABLE - 500), 1000));
}

static int run_map_run(void *arg)
{
    (void)arg;
    return verso_map(PAGE_AT(TABLE - 3), pfn_add(NOWHERE, TABLE - 3),
        6 * TABLE + 6, VERSO_RW);
}

static void undo_map_run(void *arg)
{
    (void)arg;
    CHECK_OK(verso_unmap(PAGE_AT(TABLE - 3), 6 * TABLE + 6));
}

/* Each split has to be of a whole large page again. */
static void map_two_large(void)
{
    CHECK_OK(verso_map(window(), NOWHERE, 2 * TABLE, VERSO_RW));
}

static void undo_split(void *arg)
{
    (void)arg;
    CHECK_OK(verso_unmap(window(), 2 * TABLE));
    map_two_large();
}

static int run_unmap_part(void *arg)
{
    (void)arg;
    return verso_unmap(PAGE_AT(TABLE - 7), 14);
}

static int run_protect_part(void *arg)
{
    (void)arg;
    return verso_protect(PAGE_AT(TABLE - 7), 14, VERSO_READ);
}

static unsigned each_failure(int (*run)(void *), void (*undo)(void *))
{
    struct inject_operation op = {.run = run, .undo = undo};
    return inject_each_failure(&op, 40);
}

TEST(a_map_that_runs_out_of_tables_has_mapped_nothing)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    for (size_t i = 0; i < LIST_PAGES; i++)
        list[i] = pfn_add(NOWHERE, 2 * i);
    size_t upper = upper_tables();
    CHECK_EQ(each_failure(run_map_list, undo_map_list), 2 + upper);
    CHECK_EQ(each_failure(run_map_run, undo_map_run), (LARGE ? 2 : 8) + upper);
}

TEST(a_split_that_finds_no_table_leaves_the_large_pages)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    if (LARGE == 0)
        SKIP("this machine has no large pages");
    map_two_large();
    CHECK_EQ(each_failure(run_unmap_part, undo_split), 2);
    CHECK_EQ(each_failure(run_protect_part, undo_split), 2);
    CHECK_EQ(page_size_at(window()), LARGE);
    CHECK_OK(verso_unmap(window(), 2 * TABLE));
}

/* ---- random operations against an array ---- */

#define MODEL_PAGES 4096u

static struct {
    uint32_t pfn[MODEL_PAGES]; /* 0: nothing */
    unsigned short flags[MODEL_PAGES];
} model;

struct model_range {
    size_t from, pages;
};

/* Small ranges, big ones, and the boundaries of large pages, all often. */
static struct model_range model_range(void)
{
    struct model_range r;
    switch (test_random_below(4)) {
    case 0:
        r.pages = 1 + test_random_below(8);
        break;
    case 1:
        r.pages = 1 + test_random_below(100);
        break;
    case 2:
        r.pages = 1 + test_random_below(2000);
        break;
    default:
        r.pages = TABLE * (1 + test_random_below(2));
        r.from = TABLE * test_random_below(
                             (uint32_t)((MODEL_PAGES - r.pages) / TABLE + 1));
        return r;
    }
    r.from = test_random_below((uint32_t)(MODEL_PAGES - r.pages + 1));
    return r;
}

static unsigned model_rights(void)
{
    static const unsigned short rights[] = {
        0, VERSO_READ, VERSO_RW, VERSO_RX, VERSO_RW | VERSO_USER};
    return rights[test_random_below(ARRAY_COUNT(rights))];
}

static size_t model_live(struct model_range r)
{
    size_t live = 0;
    for (size_t i = r.from; i < r.from + r.pages; i++)
        live += model.pfn[i] != 0;
    return live;
}

static void model_map(struct model_range r)
{
    unsigned flags = model_rights();
    bool aligned = test_random_below(2) != 0;
    uint32_t first = pfn_nr(NOWHERE) +
                     (aligned ? (uint32_t)r.from : test_random_below(0x8000));
    bool by_list = r.pages <= LIST_PAGES && test_random_below(3) == 0;
    for (size_t i = 0; by_list && i < r.pages; i++)
        list[i] = pfn_make(first + 3 * (uint32_t)i);
    int err = by_list
                  ? verso_map_frames(PAGE_AT(r.from), list, r.pages, flags)
                  : verso_map(PAGE_AT(r.from), pfn_make(first), r.pages, flags);
    CHECK_EQ(err, model_live(r) ? VERSO_EXISTS : VERSO_OK);
    for (size_t i = 0; err == VERSO_OK && i < r.pages; i++) {
        model.pfn[r.from + i] = first + (by_list ? 3 : 1) * (uint32_t)i;
        model.flags[r.from + i] = (unsigned short)flags;
    }
}

static void model_unmap(struct model_range r)
{
    CHECK_OK(verso_unmap(PAGE_AT(r.from), r.pages));
    for (size_t i = r.from; i < r.from + r.pages; i++)
        model.pfn[i] = 0;
}

static void model_protect(struct model_range r)
{
    unsigned flags = model_rights();
    int err = verso_protect(PAGE_AT(r.from), r.pages, flags);
    CHECK_EQ(err, model_live(r) == r.pages ? VERSO_OK : VERSO_ABSENT);
    for (size_t i = r.from; err == VERSO_OK && i < r.from + r.pages; i++)
        model.flags[i] = (unsigned short)flags;
}

static void model_compare(struct model_range r)
{
    for (size_t i = r.from; i < r.from + r.pages; i++) {
        if (pfn_at(PAGE_AT(i)) != model.pfn[i] ||
            (model.pfn[i] && flags_at(PAGE_AT(i)) != model.flags[i])) {
            test_note("page %zu: frame 0x%x, not 0x%x; flags 0x%x, not 0x%x", i,
                pfn_at(PAGE_AT(i)), model.pfn[i], flags_at(PAGE_AT(i)),
                model.flags[i]);
            CHECK(pfn_at(PAGE_AT(i)) == model.pfn[i]);
            CHECK(flags_at(PAGE_AT(i)) == model.flags[i]);
            return;
        }
    }
}

static void model_step(unsigned step)
{
    struct model_range r = model_range();
    switch (test_random_below(4)) {
    case 0:
    case 1:
        model_map(r);
        break;
    case 2:
        model_unmap(r);
        break;
    default:
        model_protect(r);
        break;
    }
    model_compare(r);
    if (step % 100 == 0) {
        const char *broken = verso_check ? verso_check() : NULL;
        if (broken)
            test_note("step %u: %s", step, broken);
        CHECK(!broken);
        model_compare((struct model_range){0, MODEL_PAGES});
    }
}

/* pitfalls 39, 44. */
TEST(two_thousand_random_operations_agree_with_an_array)
{
    for (size_t i = 0; i < MODEL_PAGES; i++)
        model.pfn[i] = 0;
    trim();
    size_t before = tables();
    for (unsigned step = 1; step <= 2000 && !test_has_failed(); step++)
        model_step(step);
    model_compare((struct model_range){0, MODEL_PAGES});
    CHECK_OK(verso_unmap(window(), MODEL_PAGES));
    trim();
    CHECK_EQ(tables(), before);
}

/* ---- what a reader found ---- */

static uint32_t flush_a_page(void)
{
    struct flush batch;
    struct space *space = verso_space_kernel();
    CHECK_OK(verso_map(window(), NOWHERE, 1, VERSO_RW));
    verso_i_flush_init(&batch, false);
    CHECK_OK(verso_i_paging_unmap(space, window(), 1, &batch));
    return verso_i_flush_submit(space, &batch);
}

/* The number of the last flush: it is kept in the struct whose first member is
 * the kernel's space, in the word that a flush makes its own number. */
static volatile uint32_t *flush_counter(void)
{
    volatile uint32_t *word = (volatile uint32_t *)(void *)verso_space_kernel();
    for (size_t i = 0; i < 128; i++) {
        uint32_t before = word[i], flush = flush_a_page();
        if (word[i] == before + 1 && flush == word[i])
            return &word[i];
    }
    return NULL;
}

/* 0 says that there is nothing to wait for, at any time: after 2^31 flushes,
 * and after 2^32, when no flush may have that number. */
TEST(no_flush_is_waited_for_however_many_there_were)
{
    static const uint32_t last[] = {
        0x7ffffffe, 0x7fffffff, 0x80000000, 0xfffffffe, UINT32_MAX, 1};
    volatile uint32_t *counter = flush_counter();
    if (!CHECK(counter != NULL))
        return;
    uint32_t saved = *counter;
    for (size_t i = 0; i < sizeof(last) / sizeof(last[0]); i++) {
        *counter = last[i];
        uint32_t flush = flush_a_page();
        CHECK(flush != 0);
        CHECK(verso_i_flush_done(flush));
        CHECK(verso_i_flush_done(0));
        CHECK(verso_back_done(0));
        (void)flush_a_page();
        CHECK(verso_i_flush_done(flush)); /* still */
    }
    *counter = saved;
}

TEST(frames_that_the_machine_cannot_address_are_not_mapped)
{
    const pfn_t top =
        pfn_make((uint32_t)((verso_phys_t)-1 >> VERSO_PAGE_SHIFT));
    uint64_t before = test_state_hash();
    CHECK_EQ(verso_map(window(), top, 2, VERSO_RW), VERSO_BAD_ARG);
    CHECK_EQ(
        verso_map(window(), NOWHERE, pfn_nr(top), VERSO_RW), VERSO_BAD_ARG);
    CHECK(test_state_hash() == before);
    CHECK_OK(verso_map(window(), top, 1, VERSO_RW));
    CHECK_EQ(pfn_at(window()), pfn_nr(top));
    CHECK_OK(verso_unmap(window(), 1));
}

TEST(a_cache_type_that_does_not_exist_is_not_mapped)
{
    uint64_t before = test_state_hash();
    list[0] = NOWHERE;
    for (unsigned type = 0; type < 8; type++) {
        unsigned flags = VERSO_RW | type << VERSO_CACHE_SHIFT;
        if (type < 4)
            continue;
        CHECK_EQ(verso_map(window(), NOWHERE, 1, flags), VERSO_BAD_ARG);
        CHECK_EQ(verso_map_frames(window(), list, 1, flags), VERSO_BAD_ARG);
    }
    CHECK(test_state_hash() == before);
}

/* Nobody is given such a frame, but a caller may know one: host-boot.t has a
 * machine with some. */
TEST(a_frame_above_the_last_zone_is_mapped_as_any_other)
{
    const struct verso_boot *boot = machine_boot();
    const uint64_t limit = boot->zone_limit[VERSO_ZONES - 1];
    const uint64_t above = limit >> VERSO_PAGE_SHIFT;
    if (limit == 0 || above + 4 > boot->frame_count)
        SKIP("no frames above the last zone");
    for (uint32_t i = 0; i < 4; i++) {
        pfn_t pfn = pfn_make((uint32_t)above + i);
        CHECK_OK(verso_map(window(), pfn, 1, VERSO_RW));
        CHECK_OK(verso_unmap(window(), 1));
    }
}

/* What Verso clears frames through is nobody else's. */
TEST(the_window_is_refused_like_the_mirror)
{
    const vaddr_t own = machine_boot()->window;
    struct verso_mapping before, now;
    if (own == 0)
        SKIP("no window: all frames are direct");
    CHECK_OK(verso_query(own, &before));
    refused(own, 1);
    refused(own - VERSO_PAGE_SIZE, 2);
    refused(own - VERSO_PAGE_SIZE, 3);
    CHECK_OK(verso_query(own, &now));
    CHECK_EQ(paddr_raw(now.pa), paddr_raw(before.pa));
}

SUITE(paging, a_page_is_mapped_used_and_unmapped,
    every_right_and_cache_type_is_told_as_it_was_declared,
    a_page_without_rights_faults_and_keeps_its_frame_and_contents,
    a_page_that_is_made_read_only_refuses_writes_at_once,
    a_page_that_is_made_writable_is_written_without_a_flush,
    two_large_pages_that_are_aligned_take_no_tables_of_pages,
    frames_that_are_not_aligned_as_the_addresses_take_small_pages,
    a_range_with_ragged_ends_has_small_pages_only_there,
    a_list_of_frames_is_mapped_one_a_page,
    unmapping_a_part_of_a_large_page_leaves_the_rest,
    protecting_a_part_of_a_large_page_leaves_the_rest,
    a_huge_page_is_cut_down_to_single_pages_near_either_end,
    a_huge_page_is_cut_in_two_of_its_large_pages,
    a_large_page_in_use_is_split_under_its_contents,
    a_large_page_that_is_released_takes_its_frames_along,
    a_split_is_flushed_before_the_small_pages_are_used,
    mapping_over_anything_mapped_is_refused_and_changes_nothing,
    neither_is_a_huge_page_mapped_over_nor_one_over_anything,
    large_pages_in_a_row_are_not_mapped_over_one,
    protecting_a_hole_is_refused_and_changes_nothing,
    writable_and_executable_must_be_asked_for_by_name,
    ranges_that_are_none_are_refused, the_mirror_and_the_last_page_are_refused,
    the_hole_between_the_halves_of_the_address_space_is_refused,
    ranges_up_to_the_last_page_but_one_work,
    the_mirror_shows_the_root_to_the_supervisor_only,
    users_reach_user_pages_and_no_others,
    a_page_given_to_users_is_reached_by_them,
    a_frame_is_mapped_with_the_cache_type_it_has_or_not_at_all,
    frames_in_a_row_are_not_mapped_if_one_has_another_cache_type,
    a_list_of_device_frames_is_mapped_uncached,
    frames_that_are_no_ram_are_mapped_with_the_type_of_their_range,
    a_large_page_of_frames_of_another_type_is_not_mapped,
    a_large_page_that_is_split_keeps_its_cache_type,
    a_range_has_one_cache_type_and_a_refused_one_changes_none,
    ranges_that_meet_are_one_and_too_many_are_refused,
    what_a_fixed_mapping_maps_is_not_mapped_with_another_cache_type,
    a_freed_frame_is_write_back_again, holes_of_every_kind_are_walked_over,
    tables_go_with_their_last_page,
    a_page_mapped_and_unmapped_a_thousand_times_takes_its_tables_once,
    pages_mapped_and_unmapped_by_turns_take_their_tables_once,
    the_table_that_was_emptied_last_stays_hooked_in,
    a_second_table_that_is_emptied_takes_the_place_of_the_idle_one,
    an_idle_table_makes_room_for_a_large_page,
    the_tables_below_the_root_stay_in_the_heap_and_nowhere_else,
    a_new_table_is_empty_whatever_its_frame_held,
    a_range_mapped_anew_shows_the_new_frames,
    what_is_unmapped_cannot_be_reached_any_more,
    small_pages_where_a_large_one_was_show_their_own_frames,
    the_mirror_shows_the_new_table_where_one_was_replaced,
    the_mirror_shows_the_table_that_a_split_made,
    the_mirror_forgets_a_large_page_that_is_gone,
    more_pages_than_the_ceiling_are_flushed_at_once,
    harvest_tells_each_use_once_and_loses_none,
    a_new_mapping_of_a_used_frame_starts_unused,
    a_large_page_is_harvested_as_a_whole,
    a_split_keeps_what_the_large_page_was_used_for,
    a_map_that_runs_out_of_tables_has_mapped_nothing,
    a_split_that_finds_no_table_leaves_the_large_pages,
    two_thousand_random_operations_agree_with_an_array,
    no_flush_is_waited_for_however_many_there_were,
    frames_that_the_machine_cannot_address_are_not_mapped,
    a_cache_type_that_does_not_exist_is_not_mapped,
    a_frame_above_the_last_zone_is_mapped_as_any_other,
    the_window_is_refused_like_the_mirror);
