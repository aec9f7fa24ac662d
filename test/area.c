/* SPDX-License-Identifier: MIT */
/*
 * area.c - ranges of addresses, through verso/area.h. The same file runs over
 * Verso's own back and, in test/heap-host, over another. What an area is made
 * of (frames, rights) is asked of verso_query(); where ranges begin and end,
 * of verso_i_area_check(), which each test ends with at the latest.
 */
#include <verso/alloc.h>
#include <verso/area.h>
#include <verso/check.h>
#include <verso/fault.h>
#include <verso/frame.h>
#include <verso/init.h>
#include <verso/paging.h>
#include <verso/reclaim.h>

#include "../kernel/machine.h"
#include "../src/area.h"
#include "inject.h"
#include "shut.h"
#include "test.h"

/* The heap alone has no tables to map anything in. */
extern __typeof__(verso_map) verso_map __attribute__((weak));
extern __typeof__(verso_unmap) verso_unmap __attribute__((weak));
extern __typeof__(verso_frame_alloc1) verso_frame_alloc1 __attribute__((weak));
extern __typeof__(verso_frame_free1) verso_frame_free1 __attribute__((weak));
extern __typeof__(verso_frame_owners) verso_frame_owners __attribute__((weak));

#define PAGE VERSO_PAGE_SIZE

static vaddr_t page_of(const void *address, size_t page)
{
    return (vaddr_t)address + (page << VERSO_PAGE_SHIFT);
}

static volatile uint32_t *word_at(const void *address, size_t page)
{
    return (volatile uint32_t *)page_of(address, page);
}

/* Does touching page `page` from `address` fault? Page -1 is the one before. */
static bool faults(const void *address, size_t page, bool write)
{
    return machine_probe(word_at(address, page), write);
}

static size_t frames_used(void)
{
    struct verso_frame_stats stats;
    verso_frame_stats(&stats);
    return stats.used;
}

static struct verso_area_stats area_stats(void)
{
    struct verso_area_stats stats;
    verso_area_stats(&stats);
    return stats;
}

static bool is_mapped(const void *address, size_t page)
{
    struct verso_mapping m;
    return verso_query(page_of(address, page), &m) == VERSO_OK;
}

static size_t mapped_pages(const void *address, size_t pages)
{
    size_t mapped = 0;
    for (size_t i = 0; i < pages; i++)
        mapped += is_mapped(address, i);
    return mapped;
}

static unsigned flags_of(const void *address, size_t page)
{
    struct verso_mapping m;
    return verso_query(page_of(address, page), &m) == VERSO_OK ? m.flags : ~0u;
}

static bool is_sound(void)
{
    const char *broken = verso_i_area_check();
    if (broken == NULL)
        broken = verso_i_pagemap_check();
    if (broken != NULL)
        test_note("%s", broken);
    return CHECK(broken == NULL);
}

static void *area_at(vaddr_t va, size_t pages, unsigned flags)
{
    struct verso_area_request request = {
        .pages = pages, .flags = flags, .fixed = va};
    return verso_area_alloc_as(&request);
}

/* Addresses in the middle of the heap, where nobody is; aligned to 4 MiB. */
static vaddr_t idle_place(void)
{
    const struct area_map *map = verso_i_area_kernel();
    return round_up(map->start + bytes_of(map->pages / 2), (uintptr_t)4 << 20);
}

/* ---- alloc and free ---- */

TEST(an_area_is_there_until_it_is_freed)
{
    size_t frames = frames_used();
    void *area = verso_area_alloc(3, VERSO_AREA_MAPPED);
    if (!CHECK(area != NULL))
        return;
    CHECK_EQ((vaddr_t)area % PAGE, 0);
    CHECK_EQ(mapped_pages(area, 3), 3);
    CHECK(frames_used() >= frames + 3);
    for (uint32_t i = 0; i < 3; i++)
        *word_at(area, i) = 100 + i;
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQ(*word_at(area, i), 100 + i);
        CHECK_EQ(flags_of(area, i), VERSO_RW);
    }
    verso_area_free(area);
    for (size_t i = 0; i < 3; i++)
        CHECK(faults(area, i, false));
    CHECK_EQ(mapped_pages(area, 3), 0);
}

TEST(an_area_may_be_cleared_when_it_is_made)
{
    void *area = verso_area_alloc(40, VERSO_AREA_MAPPED);
    if (!CHECK(area != NULL))
        return;
    for (size_t i = 0; i < 40 * PAGE / 4; i++)
        word_at(area, 0)[i] = 0xdeadbeef;
    verso_area_free(area);
    area = verso_area_alloc(40, VERSO_AREA_MAPPED | VERSO_AREA_ZERO);
    if (!CHECK(area != NULL))
        return;
    size_t dirty = 0;
    for (size_t i = 0; i < 40 * PAGE / 4; i++)
        dirty += word_at(area, 0)[i] != 0;
    CHECK_EQ(dirty, 0);
    verso_area_free(area);
}

TEST(rights_and_cache_type_are_those_asked_for)
{
    static const unsigned flags[] = {VERSO_READ, VERSO_RW, VERSO_RX,
        VERSO_RW | VERSO_CACHE_UC, VERSO_READ | VERSO_CACHE_WT,
        VERSO_RW | VERSO_CACHE_WC, VERSO_RW | VERSO_EXEC | VERSO_WX};
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++) {
        void *area = verso_area_alloc(2, VERSO_AREA_MAPPED | flags[i]);
        if (!CHECK(area != NULL))
            return;
        CHECK_EQ(flags_of(area, 1), flags[i]);
        CHECK_EQ(faults(area, 1, true), (flags[i] & VERSO_WRITE) == 0);
        CHECK(!faults(area, 1, false));
        verso_area_free(area);
    }
}

TEST(memory_to_write_and_to_execute_is_not_had_unasked)
{
    uint64_t before = test_state_hash();
    CHECK(verso_area_alloc(2, VERSO_RW | VERSO_EXEC) == NULL);
    CHECK(test_state_hash() == before);
}

/* A bay of free pages between two areas, to see merging in. */
static struct {
    void *low, *high;
    vaddr_t start;
    size_t pages;
} bay;

static bool bay_open(size_t pages)
{
    vaddr_t place = idle_place();
    bay.pages = pages;
    bay.start = place + PAGE;
    bay.low = area_at(place, 1, VERSO_AREA_BARE);
    bay.high = area_at(bay.start + bytes_of(pages), 1, VERSO_AREA_BARE);
    return CHECK(bay.low != NULL && bay.high != NULL);
}

static void bay_close(void)
{
    verso_area_free(bay.low);
    verso_area_free(bay.high);
}

/* pitfall 28: in every order, so with no, a left, a right, both neighbours. */
TEST(a_freed_range_merges_with_the_free_ones_beside_it)
{
    static const unsigned char order[6][3] = {
        {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    static const unsigned char ranges[6][3] = {
        {1, 1, 1}, {1, 2, 1}, {1, 1, 1}, {1, 1, 1}, {1, 2, 1}, {1, 1, 1}};
    if (!bay_open(9))
        return;
    size_t free = area_stats().free;
    for (unsigned o = 0; o < 6; o++) {
        void *area[3];
        for (size_t i = 0; i < 3; i++)
            area[i] = area_at(
                bay.start + bytes_of(3 * i), 3, o % 2 ? VERSO_AREA_BARE : 0);
        CHECK_EQ(area_stats().free, free - 1);
        for (unsigned step = 0; step < 3; step++) {
            verso_area_free(area[order[o][step]]);
            CHECK_EQ(area_stats().free, free - 1 + ranges[o][step]);
            (void)is_sound();
        }
        void *whole = area_at(bay.start, 9, VERSO_AREA_BARE);
        CHECK(whole != NULL);
        verso_area_free(whole);
    }
    bay_close();
}

/* pitfall 28: the ends of the list: no neighbour at all on one side. */
TEST(the_first_and_the_last_page_of_the_heap_are_areas_too)
{
    const struct area_map *map = verso_i_area_kernel();
    vaddr_t last = map->start + bytes_of(map->pages - 1);
    void *end = area_at(last, 1, VERSO_AREA_MAPPED);
    if (!CHECK(end != NULL))
        return;
    *word_at(end, 0) = 1;
    (void)is_sound();
    CHECK_EQ(verso_area_resize(end, 2), VERSO_NO_MEMORY);
    struct verso_area_request low = {
        .pages = 1, .flags = VERSO_AREA_BARE, .min = map->start, .max = last};
    void *start = verso_area_alloc_as(&low);
    CHECK(start != NULL);
    verso_area_free(end);
    (void)is_sound();
    verso_area_free(start);
    (void)is_sound();
}

/* ---- guards ---- */

static void check_guards(unsigned guards, unsigned kind)
{
    struct verso_area_info info;
    struct verso_area_stats before = area_stats();
    size_t count = (guards & VERSO_AREA_GUARD_BELOW) ? 1 : 0;
    count += (guards & VERSO_AREA_GUARD_ABOVE) ? 1 : 0;
    void *area = verso_area_alloc(2, kind | guards);
    if (!CHECK(area != NULL))
        return;
    CHECK_EQ(area_stats().used_pages, before.used_pages + 2 + count);
    CHECK(!faults(area, 0, true));
    CHECK(!faults(area, 1, true));
    if (guards & VERSO_AREA_GUARD_BELOW) {
        CHECK(faults(area, (size_t)-1, false));
        CHECK_OK(verso_area_find((char *)area - 1, &info));
        CHECK(info.guard);
        CHECK_EQ(info.start, (vaddr_t)area);
    }
    if (guards & VERSO_AREA_GUARD_ABOVE) {
        CHECK(faults(area, 2, true));
        CHECK_OK(verso_area_find((char *)area + 2 * PAGE, &info));
        CHECK(info.guard);
        CHECK_EQ(info.pages, 2);
    }
    CHECK_OK(verso_area_find((char *)area + 2 * PAGE - 1, &info));
    CHECK(!info.guard);
    (void)is_sound();
    verso_area_free(area);
    CHECK_EQ(area_stats().used_pages, before.used_pages);
}

TEST(guards_fault_on_both_sides_and_are_not_of_the_area)
{
    static const unsigned guards[] = {
        0, VERSO_AREA_GUARD_BELOW, VERSO_AREA_GUARD_ABOVE, VERSO_AREA_GUARD};
    for (size_t i = 0; i < ARRAY_COUNT(guards); i++) {
        check_guards(guards[i], VERSO_AREA_MAPPED);
        check_guards(guards[i], VERSO_AREA_LAZY);
    }
}

/* Nobody else is put into a guard. */
TEST(guarded_areas_keep_their_distance)
{
    void *area[16];
    for (size_t i = 0; i < 16; i++)
        area[i] = verso_area_alloc(1, VERSO_AREA_GUARD);
    for (size_t i = 0; i < 16; i++) {
        CHECK(area[i] != NULL);
        CHECK(!faults(area[i], 0, true));
        CHECK(faults(area[i], 1, true));
        CHECK(faults(area[i], (size_t)-1, true));
    }
    for (size_t i = 0; i < 16; i++)
        verso_area_free(area[i]);
}

/* ---- where ---- */

static void check_align(size_t align, unsigned guards)
{
    struct verso_area_request request = {
        .pages = 3, .flags = VERSO_AREA_BARE | guards, .align = align};
    void *odd = verso_area_alloc(1, VERSO_AREA_BARE); /* off any boundary */
    void *area[3];
    for (size_t i = 0; i < 3; i++) {
        area[i] = verso_area_alloc_as(&request);
        CHECK(area[i] != NULL);
        if (!CHECK_EQ((vaddr_t)area[i] & (align - 1), 0))
            test_note("alignment %zu", align);
    }
    (void)is_sound();
    for (size_t i = 0; i < 3; i++)
        verso_area_free(area[i]);
    verso_area_free(odd);
}

TEST(an_area_is_aligned_as_asked_from_a_word_to_4_MiB)
{
    for (size_t align = 1; align <= (size_t)4 << 20; align <<= 1) {
        check_align(align, 0);
        check_align(align, VERSO_AREA_GUARD);
    }
}

/* The slack that is asked for on top need not be there. */
TEST(an_aligned_area_is_found_in_a_range_that_only_just_has_it)
{
    struct verso_area_request request = {.pages = 16,
        .flags = VERSO_AREA_BARE,
        .align = 16 * PAGE,
        .min = idle_place(),
        .max = idle_place() + 16 * PAGE};
    void *area = verso_area_alloc_as(&request);
    CHECK_EQ((vaddr_t)area, request.min);
    CHECK(verso_area_alloc_as(&request) == NULL);
    verso_area_free(area);
}

TEST(an_area_lies_within_its_limits)
{
    vaddr_t place = idle_place();
    struct verso_area_request request = {.pages = 4,
        .flags = VERSO_AREA_BARE,
        .min = place + 100 * PAGE,
        .max = place + 112 * PAGE};
    void *area[3];
    for (size_t i = 0; i < 3; i++) {
        area[i] = verso_area_alloc_as(&request);
        vaddr_t at = (vaddr_t)area[i];
        CHECK(at >= request.min && at + 4 * PAGE <= request.max);
    }
    CHECK(verso_area_alloc_as(&request) == NULL);
    verso_area_free(area[1]);
    void *again = verso_area_alloc_as(&request);
    CHECK(again == area[1]);
    verso_area_free(again);
    verso_area_free(area[0]);
    verso_area_free(area[2]);
}

TEST(limits_that_have_no_room_give_nothing)
{
    const struct area_map *map = verso_i_area_kernel();
    vaddr_t place = idle_place(), end = map->start + bytes_of(map->pages);
    const struct verso_area_request none[] = {
        {.pages = 2, .min = place, .max = place + PAGE},
        {.pages = 1, .min = place + 1, .max = place + PAGE},
        {.pages = 1, .min = place + PAGE, .max = place},
        {.pages = 1, .min = place + 1, .max = place + 2 * PAGE - 1},
        {.pages = 1, .min = end},
        {.pages = 1, .min = UINTPTR_MAX},
        {.pages = 1, .max = map->start},
        {.pages = 1, .max = 1},
        {.pages = 2, .min = end - PAGE},
        {.pages = 1, .min = end - PAGE, .flags = VERSO_AREA_GUARD_ABOVE},
        {.pages = SIZE_MAX, .min = place, .max = place + PAGE},
    };
    for (size_t i = 0; i < ARRAY_COUNT(none); i++) {
        struct verso_area_request request = none[i];
        request.flags |= VERSO_AREA_BARE;
        void *area = verso_area_alloc_as(&request);
        if (CHECK(area == NULL))
            continue;
        test_note("request %zu", i);
        verso_area_free(area);
    }
}

TEST(a_fixed_address_is_had_if_all_of_it_is_free)
{
    vaddr_t place = idle_place() + 50 * PAGE;
    void *area = area_at(place, 10, VERSO_AREA_MAPPED);
    if (!CHECK_EQ((vaddr_t)area, place))
        return;
    *word_at(area, 9) = 1;
    CHECK(area_at(place, 10, VERSO_AREA_MAPPED) == NULL);
    CHECK(area_at(place + 3 * PAGE, 1, VERSO_AREA_BARE) == NULL);
    CHECK(area_at(place - PAGE, 2, VERSO_AREA_BARE) == NULL);
    CHECK(area_at(place + 9 * PAGE, 2, VERSO_AREA_BARE) == NULL);
    CHECK(area_at(place - PAGE, 12, VERSO_AREA_BARE) == NULL);
    CHECK(area_at(place + 10 * PAGE, 1,
              VERSO_AREA_BARE | VERSO_AREA_GUARD_BELOW) == NULL);
    CHECK(area_at(place - PAGE, 1, VERSO_AREA_BARE | VERSO_AREA_GUARD_ABOVE) ==
          NULL);
    void *before = area_at(place - PAGE, 1, VERSO_AREA_BARE);
    void *behind = area_at(place + 10 * PAGE, 1, VERSO_AREA_BARE);
    void *guarded = area_at(
        place + 13 * PAGE, 1, VERSO_AREA_MAPPED | VERSO_AREA_GUARD_BELOW);
    CHECK_EQ((vaddr_t)before, place - PAGE);
    CHECK_EQ((vaddr_t)behind, place + 10 * PAGE);
    CHECK_EQ((vaddr_t)guarded, place + 13 * PAGE);
    CHECK(area_at(place + 12 * PAGE, 1, VERSO_AREA_BARE) == NULL);
    verso_area_free(area);
    verso_area_free(before);
    verso_area_free(behind);
    verso_area_free(guarded);
    CHECK(
        area_at(place, SIZE_MAX >> VERSO_PAGE_SHIFT, VERSO_AREA_BARE) == NULL);
}

/* ---- sizes ---- */

/* All the addresses there are, in bare areas, linked by no means: they are
 * found again by their name. */
static const char all_name[] = "all addresses";

static void addresses_take(void)
{
    for (;;) {
        struct verso_area_request request = {
            .flags = VERSO_AREA_BARE, .name = all_name};
        request.pages = area_stats().largest_free;
        if (request.pages == 0 || verso_area_alloc_as(&request) == NULL)
            break;
    }
    CHECK_EQ(area_stats().free_pages, 0);
}

static void addresses_give(void)
{
    const struct area_map *map = verso_i_area_kernel();
    uint32_t node = verso_i_area_find(map, map->start);
    while (node != NODE_NONE) {
        const struct mem_area *area = area_get(node);
        vaddr_t start = area->start;
        if (area->kind == KIND_AREA && area->name == all_name) {
            verso_area_free((void *)start);
            node = verso_i_area_find(map, start);
        }
        node = area_get(node)->next;
    }
}

static void *two_holes(size_t large, size_t small)
{
    vaddr_t place = idle_place();
    void *first = area_at(place, large, VERSO_AREA_BARE);
    void *other = area_at(place + bytes_of(large + 1), small, VERSO_AREA_BARE);
    addresses_take();
    verso_area_free(first);
    verso_area_free(other); /* now the first of its bin */
    return first;
}

/* A request rounds up to a bin where all fit, and this one has but itself. */
TEST(a_range_that_fits_exactly_is_found_in_the_bin_below)
{
    static const size_t sizes[] = {2, 7, 8, 9, 15, 17, 31, 33, 71, 100, 1023};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        void *hole = two_holes(sizes[i], sizes[i] - 1);
        CHECK(verso_area_alloc(sizes[i] + 1, VERSO_AREA_BARE) == NULL);
        void *area = verso_area_alloc(sizes[i], VERSO_AREA_BARE);
        if (!CHECK(area == hole))
            test_note("%zu pages", sizes[i]);
        CHECK_EQ(area_stats().free_pages, sizes[i] - 1);
        if (area != NULL)
            verso_area_free(area);
        addresses_give();
        (void)is_sound();
    }
}

TEST(an_aligned_area_is_found_where_the_slack_is_not)
{
    struct verso_area_request request = {
        .pages = 12, .flags = VERSO_AREA_BARE, .align = 8 * PAGE};
    void *hole = two_holes(12, 1);
    void *area = verso_area_alloc_as(&request);
    CHECK(area == hole);
    if (area != NULL)
        verso_area_free(area);
    request.flags |= VERSO_AREA_GUARD_BELOW;
    CHECK(verso_area_alloc_as(&request) == NULL);
    addresses_give();
}

/* Instant fit: the large range behind is not cut while a small one fits. */
TEST(a_small_range_that_fits_is_taken_before_a_large_one_is_cut)
{
    for (size_t pages = 1; pages < 16; pages++) {
        if (!bay_open(pages))
            return;
        void *area = verso_area_alloc(pages, VERSO_AREA_BARE);
        CHECK(pages >= 8 || (vaddr_t)area == bay.start);
        verso_area_free(area);
        bay_close();
    }
}

TEST(sizes_that_no_heap_has_are_refused)
{
    const struct area_map *map = verso_i_area_kernel();
    const size_t top = ~(SIZE_MAX >> 4); /* rounded up it may wrap around */
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / PAGE,
        SIZE_MAX / PAGE + 1, top, top + 1, top + 2, top + 1000, map->pages + 1,
        map->pages};
    void *one = verso_area_alloc(1, VERSO_AREA_BARE);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        CHECK(verso_area_alloc(sizes[i], VERSO_AREA_BARE) == NULL);
        CHECK(verso_area_alloc(sizes[i], VERSO_AREA_GUARD) == NULL);
        if (sizes[i] > map->pages)
            CHECK_EQ(verso_area_resize(one, sizes[i]), VERSO_NO_MEMORY);
    }
    verso_area_free(one);
}

TEST(addresses_run_out_and_come_back)
{
    uint64_t before = test_state_hash();
    void *lazy = verso_area_alloc(5, VERSO_AREA_LAZY);
    addresses_take();
    CHECK(verso_area_alloc(1, VERSO_AREA_MAPPED) == NULL);
    CHECK(verso_area_alloc(1, VERSO_AREA_BARE) == NULL);
    CHECK_EQ(verso_area_resize(lazy, 6), VERSO_NO_MEMORY);
    CHECK_OK(verso_area_resize(lazy, 4));
    void *one = verso_area_alloc(1, VERSO_AREA_MAPPED);
    CHECK_EQ((vaddr_t)one, page_of(lazy, 4));
    (void)is_sound();
    if (one != NULL)
        verso_area_free(one);
    verso_area_free(lazy);
    addresses_give();
    CHECK(test_state_hash() == before);
}

/* ---- lazy, bare, contiguous ---- */

/* Fills free frames with what a missing clear would show. */
static void frames_poison(void)
{
    enum {
        CHUNK = 64,
        CHUNKS = 16
    };
    void *chunk[CHUNKS];
    size_t made = 0;
    for (; made < CHUNKS; made++) {
        chunk[made] = verso_area_alloc(CHUNK, VERSO_AREA_MAPPED);
        if (chunk[made] == NULL)
            break;
        for (size_t i = 0; i < CHUNK * PAGE / 4; i++)
            word_at(chunk[made], 0)[i] = 0xa5a5a5a5;
    }
    CHECK(made > 0);
    while (made-- > 0)
        verso_area_free(chunk[made]);
    verso_trim();
}

TEST(a_lazy_area_takes_a_frame_at_each_first_touch_and_shows_zeros)
{
    frames_poison();
    void *warm = verso_area_alloc(1, VERSO_AREA_MAPPED); /* tables */
    void *area = verso_area_alloc(20, VERSO_AREA_LAZY);
    if (!CHECK(area != NULL))
        return;
    size_t before = frames_used(), dirty = 0;
    CHECK_EQ(mapped_pages(area, 20), 0);
    for (size_t i = 0; i < 20; i += 2) {
        for (size_t w = 0; w < PAGE / 4; w++)
            dirty += word_at(area, i)[w] != 0;
        *word_at(area, i) = 7;
        CHECK(is_mapped(area, i));
        CHECK(!is_mapped(area, i + 1));
    }
    CHECK_EQ(dirty, 0);
    CHECK(frames_used() >= before + 10 && frames_used() <= before + 11);
    for (size_t i = 0; i < 20; i += 2)
        CHECK_EQ(*word_at(area, i), 7);
    CHECK_EQ(mapped_pages(area, 20), 10);
    CHECK(verso_check() == NULL);
    verso_area_free(area);
    verso_area_free(warm);
}

TEST(a_lazy_area_keeps_its_cache_type)
{
    struct verso_mapping m;
    void *area = verso_area_alloc(2, VERSO_AREA_LAZY | VERSO_CACHE_UC);
    if (!CHECK(area != NULL))
        return;
    *word_at(area, 1) = 7;
    CHECK_OK(verso_query(page_of(area, 1), &m));
    CHECK_EQ(m.flags & VERSO_CACHE_MASK, VERSO_CACHE_UC);
    verso_area_free(area);
}

TEST(a_lazy_area_need_not_be_cleared)
{
    frames_poison();
    void *area = verso_area_alloc(30, VERSO_AREA_LAZY | VERSO_AREA_UNZEROED);
    size_t dirty = 0;
    if (!CHECK(area != NULL))
        return;
    for (size_t i = 0; i < 30; i++) {
        dirty += word_at(area, i)[5] != 0;
        *word_at(area, i) = 1;
    }
    CHECK(dirty > 0);
    CHECK_EQ(mapped_pages(area, 30), 30);
    verso_area_free(area);
}

TEST(a_lazy_area_obeys_its_rights)
{
    struct verso_area_info info;
    void *area = verso_area_alloc(3, VERSO_AREA_LAZY | VERSO_READ);
    if (!CHECK(area != NULL))
        return;
    CHECK(faults(area, 0, true)); /* reads first, then writes */
    CHECK_EQ(
        verso_fault(page_of(area, 1), VERSO_FAULT_WRITE), VERSO_FAULT_NOT_OURS);
    CHECK_EQ(
        verso_fault(page_of(area, 1), VERSO_FAULT_USER), VERSO_FAULT_NOT_OURS);
    CHECK(!is_mapped(area, 1));
    CHECK_EQ(verso_fault(page_of(area, 1) + 9, 0), VERSO_FAULT_HANDLED);
    CHECK(is_mapped(area, 1));
    CHECK_EQ(flags_of(area, 1), VERSO_READ);
    CHECK_OK(verso_area_find(area, &info));
    CHECK_EQ(info.flags & (VERSO_AREA_LAZY | VERSO_RIGHTS_MASK),
        VERSO_AREA_LAZY | VERSO_READ);
    verso_area_free(area);
}

TEST(a_fault_outside_of_lazy_areas_is_not_ours)
{
    const struct area_map *map = verso_i_area_kernel();
    void *bare = verso_area_alloc(1, VERSO_AREA_BARE);
    void *lazy = verso_area_alloc(1, VERSO_AREA_LAZY | VERSO_AREA_GUARD);
    const vaddr_t wild[] = {0, 1, UINTPTR_MAX, map->start - 1, idle_place(),
        (vaddr_t)bare, (vaddr_t)lazy - 1, (vaddr_t)lazy + PAGE};
    for (size_t i = 0; i < ARRAY_COUNT(wild); i++)
        CHECK_EQ(verso_fault(wild[i], 0), VERSO_FAULT_NOT_OURS);
    verso_area_free(bare);
    verso_area_free(lazy);
    CHECK_EQ(verso_fault((vaddr_t)lazy, 0), VERSO_FAULT_NOT_OURS);
}

TEST(a_bare_area_is_addresses_and_nothing_else)
{
    void *warm = verso_area_alloc(1, VERSO_AREA_BARE); /* nodes */
    size_t before = frames_used();
    void *area = verso_area_alloc(100, VERSO_AREA_BARE);
    if (!CHECK(area != NULL))
        return;
    CHECK_EQ(frames_used(), before);
    CHECK_EQ(mapped_pages(area, 100), 0);
    CHECK(faults(area, 0, false));
    if (verso_map) {
        pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
        CHECK_OK(verso_map(page_of(area, 50), pfn, 1, VERSO_RW));
        *word_at(area, 50) = 3;
        CHECK_EQ(*word_at(area, 50), 3);
        CHECK(verso_check() == NULL);
        CHECK_OK(verso_unmap(page_of(area, 50), 1));
        CHECK_EQ(verso_frame_owners(pfn), 1);
        verso_frame_free1(pfn);
    }
    verso_area_free(area);
    verso_area_free(warm);
}

static uint32_t pfn_at(const void *address, size_t page)
{
    struct verso_mapping m;
    if (verso_query(page_of(address, page), &m) != VERSO_OK)
        return 0;
    return pfn_nr(paddr_to_pfn(m.pa));
}

TEST(a_contiguous_area_has_consecutive_frames)
{
    static const size_t sizes[] = {1, 2, 3, 5, 16, 37, 200};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        size_t pages = sizes[i];
        void *area = verso_area_alloc(pages, VERSO_AREA_CONTIG);
        if (!CHECK(area != NULL))
            return;
        for (size_t p = 0; p < pages; p++)
            CHECK_EQ(pfn_at(area, p), pfn_at(area, 0) + p);
        *word_at(area, pages - 1) = 1;
        CHECK_EQ(verso_area_resize(area, pages + 1), VERSO_BAD_ARG);
        CHECK(verso_check() == NULL);
        verso_area_free(area);
    }
}

TEST(a_low_area_has_frames_of_zone_0)
{
    uint64_t limit = machine_boot()->zone_limit[0];
    static const unsigned flags[] = {VERSO_AREA_LOW,
        VERSO_AREA_LOW | VERSO_AREA_CONTIG, VERSO_AREA_LOW | VERSO_AREA_LAZY};
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++) {
        void *area = verso_area_alloc(20, flags[i]);
        if (!CHECK(area != NULL))
            return;
        for (size_t p = 0; p < 20; p++) {
            *word_at(area, p) = 1;
            uint64_t pa = (uint64_t)pfn_at(area, p) << VERSO_PAGE_SHIFT;
            CHECK(limit == 0 || pa < limit);
        }
        verso_area_free(area);
    }
}

/* ---- find ---- */

static bool same_text(const char *a, const char *b)
{
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

TEST(an_area_is_found_from_everywhere_inside_with_its_name)
{
    struct verso_area_request request = {
        .pages = 5000, .flags = VERSO_AREA_BARE, .name = "a large one"};
    struct verso_area_info info;
    char *area = verso_area_alloc_as(&request);
    char *plain = verso_area_alloc(1, VERSO_AREA_BARE);
    if (!CHECK(area != NULL && plain != NULL))
        return;
    for (unsigned i = 0; i < 500; i++) {
        size_t offset = test_random() % (5000u * (uint32_t)PAGE);
        if (!CHECK_OK(verso_area_find(area + offset, &info)))
            break;
        CHECK_EQ(info.start, (vaddr_t)area);
        CHECK_EQ(info.pages, 5000);
        CHECK(same_text(info.name, "a large one"));
        CHECK(!info.guard);
    }
    CHECK_OK(verso_area_find(plain + 17, &info));
    CHECK(same_text(info.name, ""));
    CHECK_EQ(info.flags & VERSO_AREA_BARE, VERSO_AREA_BARE);
    verso_area_free(area);
    verso_area_free(plain);
    CHECK_EQ(verso_area_find(area, &info), VERSO_ABSENT);
    CHECK_EQ(verso_area_find(area + 4999 * PAGE, &info), VERSO_ABSENT);
}

TEST(outside_of_every_area_nothing_is_found)
{
    const struct area_map *map = verso_i_area_kernel();
    vaddr_t end = map->start + bytes_of(map->pages);
    const vaddr_t wild[] = {
        0, 1, UINTPTR_MAX, map->start - 1, end, end - 1, idle_place()};
    struct verso_area_info info;
    for (size_t i = 0; i < ARRAY_COUNT(wild); i++)
        CHECK_EQ(verso_area_find((const void *)wild[i], &info), VERSO_ABSENT);
}

/* ---- resize ---- */

static size_t pages_of_area(const void *area)
{
    struct verso_area_info info;
    return verso_area_find(area, &info) == VERSO_OK ? info.pages : 0;
}

/* One area at the low end of a bay, resized through many sizes; with guards
 * there must be one behind it each time, and no frame in it. */
static void check_resize(unsigned flags)
{
    static const size_t sizes[] = {7, 3, 4, 1, 12, 11, 12, 2, 5, 5};
    size_t guard = (flags & VERSO_AREA_GUARD_ABOVE) ? 1 : 0;
    size_t below = (flags & VERSO_AREA_GUARD_BELOW) ? 1 : 0;
    bool bare = (flags & VERSO_AREA_BARE) != 0;
    size_t least = 5;
    if (!bay_open(12 + guard + below))
        return;
    char *area = area_at(bay.start + below * PAGE, 5, flags);
    if (!CHECK(area != NULL))
        return;
    for (size_t p = 0; p < 5 && !bare; p++)
        *word_at(area, p) = (uint32_t)p + 1;
    for (size_t i = 0; i < ARRAY_COUNT(sizes) && !test_has_failed(); i++) {
        size_t pages = sizes[i];
        least = pages < least ? pages : least;
        if (!CHECK_OK(verso_area_resize(area, pages)))
            test_note("to %zu pages", pages);
        CHECK_EQ(pages_of_area(area), pages);
        CHECK(!is_mapped(area, pages));
        CHECK(faults(area, pages, false));
        for (size_t p = 0; p < pages && !bare; p++) {
            CHECK(!faults(area, p, true));
            CHECK(p >= least || *word_at(area, p) == p + 1);
        }
        if (below)
            CHECK(faults(area, (size_t)-1, false));
        (void)is_sound();
    }
    CHECK_OK(verso_area_resize(area, 12));
    CHECK_EQ(verso_area_resize(area, 13), VERSO_NO_MEMORY);
    CHECK_EQ(pages_of_area(area), 12);
    verso_area_free(area);
    CHECK_EQ(mapped_pages((void *)bay.start, bay.pages), 0);
    bay_close();
}

TEST(an_area_grows_and_shrinks_in_place)
{
    check_resize(VERSO_AREA_MAPPED);
    check_resize(VERSO_AREA_LAZY);
    check_resize(VERSO_AREA_BARE);
}

TEST(a_guard_moves_with_the_end_of_its_area)
{
    check_resize(VERSO_AREA_MAPPED | VERSO_AREA_GUARD_ABOVE);
    check_resize(VERSO_AREA_MAPPED | VERSO_AREA_GUARD);
    check_resize(VERSO_AREA_LAZY | VERSO_AREA_GUARD);
    check_resize(VERSO_AREA_BARE | VERSO_AREA_GUARD_ABOVE);
}

TEST(pages_added_to_a_cleared_area_are_clear)
{
    frames_poison();
    if (!bay_open(20))
        return;
    void *area = area_at(bay.start, 1, VERSO_AREA_MAPPED | VERSO_AREA_ZERO);
    if (CHECK(area != NULL) && CHECK_OK(verso_area_resize(area, 20))) {
        size_t dirty = 0;
        for (size_t i = 0; i < 20 * PAGE / 4; i++)
            dirty += word_at(area, 0)[i] != 0;
        CHECK_EQ(dirty, 0);
    }
    if (area != NULL)
        verso_area_free(area);
    bay_close();
}

TEST(an_area_does_not_grow_into_another)
{
    if (!bay_open(4))
        return;
    uint64_t before = test_state_hash();
    void *area = area_at(bay.start, 2, VERSO_AREA_MAPPED);
    void *wall = area_at(bay.start + 3 * PAGE, 1, VERSO_AREA_BARE);
    CHECK_OK(verso_area_resize(area, 3));
    CHECK_EQ(verso_area_resize(area, 4), VERSO_NO_MEMORY);
    CHECK_EQ(mapped_pages(area, 4), 3);
    verso_area_free(wall);
    CHECK_OK(verso_area_resize(area, 4));
    verso_area_free(area);
    CHECK(test_state_hash() == before);
    bay_close();
}

/* ---- protect ---- */

TEST(protection_changes_all_of_an_area)
{
    void *area = verso_area_alloc(40, VERSO_AREA_GUARD);
    if (!CHECK(area != NULL))
        return;
    for (size_t i = 0; i < 40; i++)
        *word_at(area, i) = 5;
    CHECK_OK(verso_area_protect(area, VERSO_READ));
    for (size_t i = 0; i < 40; i++) {
        CHECK(faults(area, i, true));
        CHECK_EQ(*word_at(area, i), 5);
    }
    CHECK_OK(verso_area_protect(area, 0));
    CHECK(faults(area, 39, false));
    CHECK_OK(verso_area_protect(area, VERSO_RW));
    for (size_t i = 0; i < 40; i++)
        CHECK(!faults(area, i, true));
    CHECK(faults(area, 40, false));
    CHECK_EQ(verso_area_protect(area, VERSO_RW | VERSO_EXEC), VERSO_DENIED);
    CHECK_EQ(flags_of(area, 3), VERSO_RW);
    CHECK(verso_check() == NULL);
    verso_area_free(area);
}

TEST(protection_holds_for_pages_touched_later)
{
    void *area = verso_area_alloc(6, VERSO_AREA_LAZY);
    if (!CHECK(area != NULL))
        return;
    *word_at(area, 0) = 1;
    CHECK_OK(verso_area_protect(area, VERSO_READ));
    CHECK(faults(area, 0, true));
    CHECK(faults(area, 1, true));
    CHECK(!faults(area, 2, false));
    CHECK_EQ(flags_of(area, 2), VERSO_READ);
    CHECK_EQ(
        verso_fault(page_of(area, 3), VERSO_FAULT_WRITE), VERSO_FAULT_NOT_OURS);
    CHECK_OK(verso_area_protect(area, VERSO_RW));
    for (size_t i = 0; i < 6; i++)
        CHECK(!faults(area, i, true));
    CHECK(verso_check() == NULL);
    verso_area_free(area);
}

/* ---- running out ---- */

struct call {
    struct verso_area_request request;
    size_t resize; /* of an area that stands, to so many pages; 0: alloc */
    bool touch;    /* of page 1 of a lazy one that stands */
    bool protect;
    void *area; /* stands, or was made */
};

static int call_make(struct call *call)
{
    if (call->resize > 0)
        return verso_area_resize(call->area, call->resize);
    if (call->protect)
        return verso_area_protect(call->area, VERSO_READ);
    if (call->touch)
        return verso_fault(page_of(call->area, 1), 0) == VERSO_FAULT_HANDLED
                   ? VERSO_OK
                   : VERSO_NO_MEMORY;
    call->area = verso_area_alloc_as(&call->request);
    return call->area != NULL ? VERSO_OK : VERSO_NO_MEMORY;
}

static void stand(struct call *call)
{
    call->area = verso_area_alloc_as(&call->request);
    CHECK(call->area != NULL);
}

static int call_run(void *arg)
{
    int result = call_make(arg);
    (void)is_sound();
    return result;
}

/* As it was, to the very frames: what was cut off has others when it is back,
 * and is not looked at (see each_failure). */
static void call_undo(void *arg)
{
    struct call *call = arg;
    if (call->resize > 0)
        CHECK_OK(verso_area_resize(call->area, call->request.pages));
    else if (call->protect)
        CHECK_OK(verso_area_protect(call->area, VERSO_RW));
    else
        verso_area_free(call->area);
    if (call->touch)
        stand(call);
}

/* At an address of its own, so that "as it was" is exact, and where no leaf
 * and no table is yet. Returns how many inner allocations the call makes. */
static unsigned each_failure(struct call call)
{
    const uintptr_t leaf = PAGEMAP_LEAF_PAGES * PAGE;
    const vaddr_t base = verso_i_pagemap.start;
    const vaddr_t place =
        base + round_up(idle_place() - base, leaf) + 2 * leaf - 4 * PAGE;
    struct inject_operation op = {
        call_run, call_undo, &call, place - PAGE, 1100};
    bool stands = call.resize > 0 || call.touch || call.protect;
    if (call.resize > 0 && call.resize < call.request.pages)
        op.also_pages = 1 + call.resize;
    call.request.fixed = place;
    if (stands)
        stand(&call);
    unsigned calls = inject_each_failure(&op, 60);
    if (stands && call.area != NULL)
        verso_area_free(call.area);
    (void)is_sound();
    return calls;
}

/* pitfall 29: of nodes, pagemap pages, frames and tables, each the Nth. */
TEST(an_alloc_that_runs_out_anywhere_has_changed_nothing)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    CHECK(each_failure((struct call){.request = {.pages = 12}}) >= 4);
    CHECK(each_failure((struct call){
              .request = {.pages = 12,
                  .flags = VERSO_AREA_GUARD | VERSO_AREA_ZERO}}) >= 4);
    CHECK(each_failure((struct call){
              .request = {.pages = 12,
                  .flags = VERSO_AREA_LAZY | VERSO_AREA_GUARD}}) >= 3);
    CHECK(each_failure((struct call){
              .request = {.pages = 1024, .flags = VERSO_AREA_BARE}}) >= 3);
    CHECK(each_failure((struct call){
              .request = {.pages = 12, .flags = VERSO_AREA_CONTIG}}) >= 4);
}

TEST(a_resize_that_runs_out_anywhere_has_changed_nothing)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    static const unsigned flags[] = {VERSO_AREA_MAPPED,
        VERSO_AREA_MAPPED | VERSO_AREA_GUARD, VERSO_AREA_LAZY, VERSO_AREA_BARE};
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++) {
        struct call grow = {
            .request = {.pages = 2, .flags = flags[i]}, .resize = 9};
        struct call shrink = {
            .request = {.pages = 9, .flags = flags[i]}, .resize = 2};
        CHECK(each_failure(grow) >= 1);
        CHECK(each_failure(shrink) >= 1);
    }
    /* to an end in a leaf where nothing starts yet */
    struct call far = {
        .request = {.pages = 1040, .flags = VERSO_AREA_BARE}, .resize = 20};
    CHECK(each_failure(far) >= 2);
}

TEST(a_touch_or_a_protect_that_runs_out_has_changed_nothing)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    struct call touch = {
        .request = {.pages = 6, .flags = VERSO_AREA_LAZY}, .touch = true};
    struct call protect = {.request = {.pages = 6}, .protect = true};
    CHECK(each_failure(touch) >= 1);
    CHECK_EQ(each_failure(protect), 0);
}

TEST(frames_run_out_and_come_back)
{
    struct shut shut = {.count = 0};
    void *lazy = verso_area_alloc(3, VERSO_AREA_LAZY);
    *word_at(lazy, 0) = 1;
    uint64_t before = test_state_hash();
    shut_again(&shut, 0);
    CHECK(verso_area_alloc(1, VERSO_AREA_MAPPED) == NULL);
    CHECK(faults(lazy, 1, false));
    CHECK_EQ(verso_fault(page_of(lazy, 1), 0), VERSO_FAULT_NO_MEMORY);
    CHECK_EQ(*word_at(lazy, 0), 1);
    shut_open(&shut);
    CHECK(test_state_hash() == before);
    CHECK(!faults(lazy, 1, true));
    void *area = verso_area_alloc(1, VERSO_AREA_MAPPED);
    CHECK(area != NULL);
    verso_area_free(area);
    verso_area_free(lazy);
}

/* Six frames, and requests for more: all or nothing. */
TEST(an_area_that_is_mapped_in_part_does_not_exist)
{
    struct shut shut = {.count = 0};
    void *warm = verso_area_alloc(1, VERSO_AREA_MAPPED);
    verso_trim();
    shut_again(&shut, 6);
    size_t used = frames_used();
    for (size_t pages = 20; pages > 7; pages--)
        CHECK(verso_area_alloc(pages, VERSO_AREA_MAPPED) == NULL);
    verso_trim();
    CHECK_EQ(frames_used(), used);
    void *area = verso_area_alloc(2, VERSO_AREA_MAPPED);
    if (CHECK(area != NULL)) {
        CHECK_EQ(verso_area_resize(area, 20), VERSO_NO_MEMORY);
        CHECK_EQ(mapped_pages(area, 20), 2);
        verso_area_free(area);
    }
    shut_open(&shut);
    verso_area_free(warm);
}

TEST(in_an_interrupt_no_memory_is_mapped)
{
    uint64_t before = test_state_hash();
    machine_pretend_interrupt(true);
    CHECK(verso_area_alloc(1, VERSO_AREA_MAPPED) == NULL);
    machine_pretend_interrupt(false);
    CHECK(test_state_hash() == before);
}

/* ---- many ---- */

#define MANY 100000u

static size_t many_alloc(void **area, size_t count)
{
    size_t made = 0;
    for (; made < count; made++) {
        size_t pages = 1 + test_random_below(4);
        area[made] = verso_area_alloc(pages, VERSO_AREA_BARE);
        if (area[made] == NULL)
            break;
    }
    return made;
}

static void many_free(void **area, size_t count)
{
    while (count > 0) {
        uint32_t i = test_random_below((uint32_t)count);
        verso_area_free(area[i]);
        area[i] = area[--count];
    }
}

/* The runner sees to it that no frame is in use any more for it. */
TEST(a_hundred_thousand_areas_become_one_free_range_again)
{
    const size_t table_pages = pages_of(MANY * sizeof(void *));
    const size_t room = verso_i_area_kernel()->pages / 3;
    struct verso_area_stats before = area_stats();
    void **area = machine_pages(table_pages);
    if (area == NULL)
        SKIP("no memory for the table of areas");
    size_t wanted = room < MANY ? room : MANY;
    size_t made = many_alloc(area, wanted);
    CHECK(made == wanted || made > MANY / 5);
    if (made < MANY)
        test_note("%zu areas", made);
    CHECK_EQ(area_stats().used, before.used + made);
    (void)is_sound();
    many_free(area, made);
    CHECK_EQ(area_stats().used, before.used);
    CHECK_EQ(area_stats().free, before.free);
    CHECK_EQ(area_stats().free_pages, before.free_pages);
    verso_trim();
    CHECK_EQ(area_stats().nodes, before.nodes);
    machine_pages_free(area, table_pages);
}

/* ---- misuse ---- */

static void free_it(void *address)
{
    verso_area_free(address);
}

static void resize_it(void *address)
{
    (void)!verso_area_resize(address, 3);
}

static void resize_to_0(void *address)
{
    (void)!verso_area_resize(address, 0);
}

static void protect_it(void *address)
{
    (void)!verso_area_protect(address, VERSO_READ);
}

static void protect_oddly(void *address)
{
    (void)!verso_area_protect(address, VERSO_AREA_LAZY);
}

static void request_it(void *request)
{
    (void)!verso_area_alloc_as(request);
}

/* The same through the call with two arguments. */
static void request_simply(void *arg)
{
    const struct verso_area_request *request = arg;
    (void)!verso_area_alloc(request->pages, request->flags);
}

/* "free of 0x...": the address, as the panic prints it. */
static const char *with_address(
    char *text, size_t room, const char *what, const void *address)
{
    verso_format(text, room, "area: %s of %p", what, address);
    return text;
}

static void check_misuse(void *address, const char *why)
{
    char text[60];
    CHECK_PANICS_WITH(free_it, address, why);
    CHECK_PANICS_WITH(resize_it, address, why);
    CHECK_PANICS_WITH(protect_it, address, why);
    CHECK_PANICS_WITH(
        free_it, address, with_address(text, sizeof(text), "free", address));
    CHECK_PANICS_WITH(resize_it, address,
        with_address(text, sizeof(text), "resize", address));
}

/* pitfall 35, for areas. */
TEST(a_pointer_that_is_no_area_is_a_panic_with_the_numbers)
{
    struct verso_area_request named = {
        .pages = 4, .flags = VERSO_AREA_GUARD, .name = "a-victim"};
    const struct area_map *map = verso_i_area_kernel();
    char *area = verso_area_alloc_as(&named);
    void *gone = verso_area_alloc(5, VERSO_AREA_MAPPED);
    if (!CHECK(area != NULL && gone != NULL))
        return;
    verso_area_free(gone);
    check_misuse(gone, "free"); /* twice */
    check_misuse(area + PAGE, "a-victim");
    check_misuse(area + 1, "a-victim");
    check_misuse(area - PAGE, "a-victim"); /* the guard */
    check_misuse(area + 4 * PAGE, "6 pages");
    check_misuse(NULL, "outside");
    check_misuse((void *)(map->start - PAGE), "outside");
    check_misuse((void *)(map->start + bytes_of(map->pages)), "outside");
    check_misuse((void *)idle_place(), "free");
    CHECK_PANICS_WITH(resize_to_0, area, "to 0 pages");
    CHECK_PANICS_WITH(protect_oddly, area, "with rights 0x1000");
    verso_area_free(area);
}

TEST(a_request_that_makes_no_sense_is_a_panic_with_the_numbers)
{
    const struct area_map *map = verso_i_area_kernel();
    const struct {
        struct verso_area_request request;
        const char *text;
    } bad[] = {
        {{.pages = 0}, "0 pages"},
        {{.pages = 1, .align = 3 * PAGE}, "alignment 12288"},
        {{.pages = 1, .align = PAGE + 1}, "alignment 4097"},
        {{.pages = 1, .flags = 0x40000000u}, "flags 0x40000000"},
        {{.pages = 1, .fixed = map->start + 8}, "fixed address"},
        {{.pages = 1, .fixed = map->start - PAGE}, "fixed address"},
        {{.pages = 1, .fixed = map->start + bytes_of(map->pages)}, "outside"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct verso_area_request request = bad[i].request;
        CHECK_PANICS_WITH(request_it, &request, bad[i].text);
    }
}

/* ---- random operations against an array ---- */

#define MODEL_PAGES 1500u
#define MODEL_AREAS 48u

/* What each page of the place belongs to: 0 nothing, or the number of an area
 * plus 1. The limits of requests leave the first and the last page out, as a
 * guard may be there. */
static struct {
    unsigned char owner[MODEL_PAGES];
    struct model_area {
        char *at; /* NULL: none */
        size_t first, pages, below, above;
        unsigned flags;
    } area[MODEL_AREAS];
} model;

static size_t model_free_run(size_t from)
{
    size_t run = 0;
    while (from + run < MODEL_PAGES && model.owner[from + run] == 0)
        run++;
    return run;
}

/* Is there room for an area like this one? */
static bool model_has_room(const struct model_area *a, size_t align)
{
    for (size_t at = 1; at + a->pages < MODEL_PAGES; at++)
        if (at % align == 0 && at >= a->below &&
            model_free_run(at - a->below) >= a->below + a->pages + a->above)
            return true;
    return false;
}

static void model_mark(const struct model_area *a, unsigned char owner)
{
    for (size_t i = 0; i < a->below + a->pages + a->above; i++)
        model.owner[a->first - a->below + i] = owner;
}

static bool model_is_free(const struct model_area *a)
{
    return a->first >= 1 && a->first >= a->below &&
           model_free_run(a->first - a->below) >=
               a->below + a->pages + a->above;
}

static unsigned model_flags(void)
{
    static const unsigned kinds[] = {
        VERSO_AREA_MAPPED, VERSO_AREA_LAZY, VERSO_AREA_BARE, VERSO_AREA_BARE};
    static const unsigned guards[] = {0, 0, VERSO_AREA_GUARD_BELOW,
        VERSO_AREA_GUARD_ABOVE, VERSO_AREA_GUARD, 0, 0, 0};
    return kinds[test_random_below(4)] | guards[test_random_below(8)];
}

/* A word in the first and the last page says whose it is. */
static void model_write(const struct model_area *a)
{
    if ((a->flags & VERSO_AREA_BARE) != 0)
        return;
    *word_at(a->at, 0) = (uint32_t)a->first;
    *word_at(a->at, a->pages - 1) = (uint32_t)a->first;
}

static bool model_read(const struct model_area *a)
{
    return (a->flags & VERSO_AREA_BARE) != 0 ||
           (CHECK_EQ(*word_at(a->at, 0), a->first) &&
               CHECK_EQ(*word_at(a->at, a->pages - 1), a->first));
}

static bool model_alloc(struct model_area *a, unsigned char owner)
{
    vaddr_t place = idle_place();
    size_t align = (size_t)1 << test_random_below(5);
    a->flags = model_flags();
    a->below = (a->flags & VERSO_AREA_GUARD_BELOW) ? 1 : 0;
    a->above = (a->flags & VERSO_AREA_GUARD_ABOVE) ? 1 : 0;
    a->pages = 1 + test_random_below((a->flags & VERSO_AREA_BARE) ? 120 : 6);
    struct verso_area_request request = {.pages = a->pages,
        .flags = a->flags,
        .align = align * PAGE,
        .min = place + PAGE,
        .max = place + bytes_of(MODEL_PAGES - 1)};
    bool fixed = test_random_below(4) == 0;
    a->first = 1 + test_random_below(MODEL_PAGES - 130);
    if (fixed)
        request.fixed = place + bytes_of(a->first);
    bool room = fixed ? model_is_free(a) : model_has_room(a, align);
    a->at = verso_area_alloc_as(&request);
    if (!CHECK_EQ(a->at != NULL, room) || a->at == NULL)
        return a->at == NULL && !room;
    a->first = ((vaddr_t)a->at - place) >> VERSO_PAGE_SHIFT;
    bool well = CHECK(model_is_free(a)) &&
                CHECK(fixed || a->first % align == 0) &&
                CHECK(!fixed || (vaddr_t)a->at == request.fixed);
    model_mark(a, owner);
    model_write(a);
    return well;
}

static bool model_resize(struct model_area *a, unsigned char owner)
{
    size_t end = a->first + a->pages + a->above;
    size_t pages =
        1 + test_random_below((a->flags & VERSO_AREA_BARE) ? 120 : 6);
    if (a->first + pages + a->above >= MODEL_PAGES)
        return true;
    bool room = pages <= a->pages || model_free_run(end) >= pages - a->pages;
    if (!CHECK_EQ(verso_area_resize(a->at, pages) == VERSO_OK, room))
        return false;
    if (!room)
        return model_read(a);
    model_mark(a, 0);
    a->pages = pages;
    model_mark(a, owner);
    if ((a->flags & VERSO_AREA_BARE) == 0)
        CHECK_EQ(*word_at(a->at, 0), a->first);
    model_write(a);
    return true;
}

static bool model_free(struct model_area *a)
{
    bool well = model_read(a);
    verso_area_free(a->at);
    model_mark(a, 0);
    a->at = NULL;
    return well;
}

static bool model_find(size_t page)
{
    struct verso_area_info info;
    vaddr_t va = idle_place() + bytes_of(page) + test_random_below(PAGE);
    bool found = verso_area_find((void *)va, &info) == VERSO_OK;
    if (!CHECK_EQ(found, model.owner[page] != 0) || !found)
        return !found && model.owner[page] == 0;
    const struct model_area *a = &model.area[model.owner[page] - 1];
    return CHECK_EQ(info.start, (vaddr_t)a->at) &&
           CHECK_EQ(info.pages, a->pages) &&
           CHECK_EQ(info.guard, page - a->first >= a->pages);
}

static bool model_step(void)
{
    uint32_t i = test_random_below(MODEL_AREAS);
    struct model_area *a = &model.area[i];
    bool well;
    if (a->at == NULL)
        well = model_alloc(a, (unsigned char)(i + 1));
    else if (test_random_below(2) == 0)
        well = model_free(a);
    else
        well = model_resize(a, (unsigned char)(i + 1));
    return well && model_find(test_random_below(MODEL_PAGES));
}

TEST(random_operations_do_what_an_array_of_pages_says)
{
    model = (__typeof__(model)){0};
    for (unsigned step = 0; step < 3000; step++) {
        if (!model_step() || !is_sound()) {
            test_note("at step %u", step);
            break;
        }
        if (step % 1000 == 999)
            CHECK(verso_check() == NULL);
    }
    for (size_t i = 0; i < MODEL_AREAS; i++)
        if (model.area[i].at != NULL)
            (void)model_free(&model.area[i]);
}

/* ---- what a reader found ---- */

static void *limited(vaddr_t min, size_t pages, unsigned guards)
{
    struct verso_area_request request = {.pages = pages,
        .flags = VERSO_AREA_BARE | guards,
        .min = min,
        .max = min + bytes_of(pages)};
    return verso_area_alloc_as(&request);
}

/* The limits are of the usable pages. */
TEST(guards_may_lie_outside_of_the_limits)
{
    static const unsigned guards[] = {
        0, VERSO_AREA_GUARD_BELOW, VERSO_AREA_GUARD_ABOVE, VERSO_AREA_GUARD};
    vaddr_t place = idle_place() + 10 * PAGE;
    for (size_t i = 0; i < ARRAY_COUNT(guards); i++) {
        void *area = limited(place, 4, guards[i]);
        if (!CHECK_EQ((vaddr_t)area, place))
            test_note("guards %#x", guards[i]);
        CHECK(limited(place, 4, guards[i]) == NULL);
        (void)is_sound();
        if (area != NULL)
            verso_area_free(area);
    }
}

/* Up to half of all addresses: the slack is more pages than the heap has. */
TEST(alignments_that_no_heap_has_give_null)
{
    const size_t top = ~(SIZE_MAX >> 1);
    const struct area_map *map = verso_i_area_kernel();
    for (size_t align = (size_t)8 << 20; align != 0; align <<= 1) {
        struct verso_area_request request = {
            .pages = 2, .flags = VERSO_AREA_BARE, .align = align};
        vaddr_t first = round_up(map->start, align);
        void *area = verso_area_alloc_as(&request);
        CHECK_EQ((vaddr_t)area & (align - 1), 0);
        bool room =
            first >= map->start && first - map->start < bytes_of(map->pages);
        if (!CHECK(area == NULL || room))
            test_note("alignment %zu", align);
        if (area != NULL)
            verso_area_free(area);
        if (align == top)
            break;
    }
}

TEST(a_contiguous_area_keeps_its_size_and_no_other)
{
    void *area = verso_area_alloc(8, VERSO_AREA_CONTIG);
    if (!CHECK(area != NULL))
        return;
    CHECK_OK(verso_area_resize(area, 8));
    CHECK_EQ(verso_area_resize(area, 7), VERSO_BAD_ARG);
    CHECK_EQ(verso_area_resize(area, 9), VERSO_BAD_ARG);
    verso_area_free(area);
}

/* Before a lock is taken, or anything changed: the state is whole after it. */
TEST(flags_that_are_none_or_do_not_go_together_panic_and_change_nothing)
{
    const unsigned high = (unsigned)0x80000000;
    const struct {
        size_t pages;
        unsigned flags;
        const char *text;
    } bad[] = {
        {1, VERSO_AREA_LAZY | VERSO_AREA_BARE, "lazy, and bare or contiguous"},
        {3, VERSO_AREA_LAZY | VERSO_AREA_CONTIG, "lazy, and bare or contig"},
        {1, 0x100000u, "flags 0x100000"},
        {1, AREA_WORDS, "flags 0x200000"},
        {1, AREA_HEAP, "flags 0x400000"},
        {1, 0x100u, "flags 0x100"},
        {1, VERSO_AREA_BARE | AREA_HEAP, "flags 0x402000"},
        {1, high, "flags 0x80000000"},
        {1025, VERSO_AREA_CONTIG, "1025 contiguous pages (at most 1024)"},
        {1025, VERSO_AREA_CONTIG | VERSO_AREA_BARE, "1025 contiguous pages"},
        {1, VERSO_RW | 6u << VERSO_CACHE_SHIFT, "flags 0x33"},
        {2, VERSO_RW | 4u << VERSO_CACHE_SHIFT, "flags 0x23"},
        {1, VERSO_AREA_BARE | VERSO_CACHE_MASK, "flags 0x2038"},
    };
    uint64_t before = test_state_hash();
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct verso_area_request request = {
            .pages = bad[i].pages, .flags = bad[i].flags};
        CHECK_PANICS_WITH(request_it, &request, bad[i].text);
        CHECK_PANICS_WITH(request_simply, &request, bad[i].text);
        CHECK(verso_check() == NULL);
    }
    CHECK(test_state_hash() == before);
}

/* What an object is made of has marks of its own, which are not told. */
TEST(an_area_that_is_found_has_the_flags_that_can_be_asked_for)
{
    struct verso_area_info info;
    static const size_t sizes[] = {8, 100000};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        void *object = verso_alloc(sizes[i]);
        CHECK_OK(verso_area_find(object, &info));
        CHECK_EQ(info.flags, VERSO_RW);
        verso_free(object);
    }
}

/* A lazy or bare area maps nothing that could be refused: it is refused itself,
 * and so are such rights later. */
TEST(areas_that_map_nothing_yet_are_not_writable_and_executable_unasked)
{
    static const unsigned kinds[] = {
        VERSO_AREA_MAPPED, VERSO_AREA_LAZY, VERSO_AREA_BARE};
    const unsigned both = VERSO_RW | VERSO_EXEC;
    struct verso_area_info info;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        CHECK(verso_area_alloc(1, kinds[i] | both) == NULL);
        CHECK(verso_area_alloc(1, kinds[i] | VERSO_AREA_GUARD | VERSO_WRITE |
                                      VERSO_EXEC) == NULL);
        void *area = verso_area_alloc(1, kinds[i]);
        CHECK_EQ(verso_area_protect(area, both), VERSO_DENIED);
        CHECK_EQ(
            verso_area_protect(area, VERSO_WRITE | VERSO_EXEC), VERSO_DENIED);
        CHECK_OK(verso_area_find(area, &info));
        CHECK_EQ(info.flags & VERSO_RIGHTS_MASK, VERSO_RW);
        CHECK_OK(verso_area_protect(area, both | VERSO_WX));
        verso_area_free(area);
        area = verso_area_alloc(1, kinds[i] | both | VERSO_WX);
        CHECK(area != NULL);
        if (area != NULL)
            verso_area_free(area);
    }
}

/* Whoever was interrupted may hold the lock: it is not asked for. */
TEST(in_an_interrupt_areas_are_left_alone)
{
    struct area_map *map = verso_i_area_kernel();
    void *area = verso_area_alloc(3, VERSO_AREA_MAPPED);
    void *bare = verso_area_alloc(3, VERSO_AREA_BARE);
    if (!CHECK(area != NULL && bare != NULL))
        return;
    lock_take(&map->lock);
    machine_pretend_interrupt(true);
    CHECK(verso_area_alloc(1, VERSO_AREA_MAPPED) == NULL);
    CHECK(verso_area_alloc(1, VERSO_AREA_LAZY) == NULL);
    CHECK(verso_area_alloc(1, VERSO_AREA_BARE) == NULL);
    CHECK(verso_area_alloc(1, VERSO_AREA_BARE | VERSO_AREA_GUARD) == NULL);
    CHECK_EQ(verso_area_resize(area, 2), VERSO_BUSY);
    CHECK_EQ(verso_area_resize(area, 4), VERSO_BUSY);
    CHECK_EQ(verso_area_resize(bare, 2), VERSO_BUSY);
    CHECK_EQ(verso_area_protect(area, VERSO_READ), VERSO_BUSY);
    CHECK_EQ(verso_area_protect(bare, VERSO_READ), VERSO_BUSY);
    CHECK_PANICS_WITH(free_it, area, "in an interrupt");
    CHECK_PANICS_WITH(free_it, bare, "in an interrupt");
    machine_pretend_interrupt(false);
    lock_drop(&map->lock);
    CHECK_EQ(pages_of_area(area), 3);
    CHECK_EQ(mapped_pages(area, 3), 3);
    verso_area_free(area);
    verso_area_free(bare);
}

/* ---- choosing ---- */

static void *bare(size_t pages)
{
    return verso_area_alloc(pages, VERSO_AREA_BARE);
}

TEST(a_range_of_just_the_size_is_taken_before_a_larger_one)
{
    for (size_t pages = 1; pages <= 64; pages *= 2) {
        void *exact = bare(pages), *between = bare(1);
        verso_area_free(exact);
        void *again = bare(pages);
        CHECK_EQ((vaddr_t)again, (vaddr_t)exact);
        verso_area_free(again);
        verso_area_free(between);
    }
}

/* Of two in one bin, whichever was freed last. */
TEST(the_largest_free_range_is_told_exactly)
{
    void *hole[2], *wall[2], *rest[16];
    size_t count = 0;
    for (size_t i = 0; i < 2; i++) {
        hole[i] = bare(513 - i);
        wall[i] = bare(1);
    }
    for (; count < 16 && area_stats().largest_free > 256; count++)
        rest[count] = bare(area_stats().largest_free);
    verso_area_free(hole[0]);
    verso_area_free(hole[1]);
    CHECK_EQ(area_stats().largest_free, 513);
    while (count > 0)
        verso_area_free(rest[--count]);
    verso_area_free(wall[0]);
    verso_area_free(wall[1]);
}

/* Between a range's start and the end of all addresses may be no multiple. */
TEST(an_alignment_beyond_the_top_of_addresses_is_not_met_at_0)
{
    const uintptr_t align = UINTPTR_MAX / 2 + 1;
    struct verso_area_request request = {
        .pages = 1, .flags = VERSO_AREA_BARE, .align = align};
    void *first = verso_area_alloc_as(&request);
    CHECK((vaddr_t)first % align == 0);
    CHECK(verso_area_alloc_as(&request) == NULL);
    if (first != NULL)
        verso_area_free(first);
}

/* What merging leaves over goes where others can have it. */
TEST(nodes_that_are_left_over_do_not_pile_up)
{
    static void *all[400];
    const struct area_map *map = verso_i_area_kernel();
    for (size_t i = 0; i < 400; i++)
        all[i] = bare(1);
    for (size_t i = 0; i < 400; i++) {
        verso_area_free(all[i]);
        if (!CHECK(map->nodes.room >= 0))
            return;
    }
}

TEST(guards_stay_shut_when_rights_change)
{
    void *area = verso_area_alloc(2, VERSO_AREA_MAPPED | VERSO_AREA_GUARD);
    if (!CHECK(area != NULL))
        return;
    CHECK_OK(verso_area_protect(area, VERSO_READ));
    CHECK_OK(verso_area_protect(area, VERSO_RW));
    CHECK(faults(area, (size_t)-1, false));
    CHECK(!faults(area, 0, true));
    CHECK(!faults(area, 1, true));
    CHECK(faults(area, 2, false));
    verso_area_free(area);
}

SUITE(area, an_area_is_there_until_it_is_freed,
    an_area_may_be_cleared_when_it_is_made,
    rights_and_cache_type_are_those_asked_for,
    memory_to_write_and_to_execute_is_not_had_unasked,
    a_freed_range_merges_with_the_free_ones_beside_it,
    the_first_and_the_last_page_of_the_heap_are_areas_too,
    guards_fault_on_both_sides_and_are_not_of_the_area,
    guarded_areas_keep_their_distance,
    an_area_is_aligned_as_asked_from_a_word_to_4_MiB,
    an_aligned_area_is_found_in_a_range_that_only_just_has_it,
    an_area_lies_within_its_limits, limits_that_have_no_room_give_nothing,
    a_fixed_address_is_had_if_all_of_it_is_free,
    a_range_that_fits_exactly_is_found_in_the_bin_below,
    an_aligned_area_is_found_where_the_slack_is_not,
    a_small_range_that_fits_is_taken_before_a_large_one_is_cut,
    sizes_that_no_heap_has_are_refused, addresses_run_out_and_come_back,
    a_lazy_area_takes_a_frame_at_each_first_touch_and_shows_zeros,
    a_range_of_just_the_size_is_taken_before_a_larger_one,
    the_largest_free_range_is_told_exactly,
    an_alignment_beyond_the_top_of_addresses_is_not_met_at_0,
    nodes_that_are_left_over_do_not_pile_up,
    guards_stay_shut_when_rights_change, a_lazy_area_keeps_its_cache_type,
    a_lazy_area_need_not_be_cleared, a_lazy_area_obeys_its_rights,
    a_fault_outside_of_lazy_areas_is_not_ours,
    a_bare_area_is_addresses_and_nothing_else,
    a_contiguous_area_has_consecutive_frames, a_low_area_has_frames_of_zone_0,
    an_area_is_found_from_everywhere_inside_with_its_name,
    outside_of_every_area_nothing_is_found, an_area_grows_and_shrinks_in_place,
    a_guard_moves_with_the_end_of_its_area,
    pages_added_to_a_cleared_area_are_clear, an_area_does_not_grow_into_another,
    protection_changes_all_of_an_area, protection_holds_for_pages_touched_later,
    an_alloc_that_runs_out_anywhere_has_changed_nothing,
    a_resize_that_runs_out_anywhere_has_changed_nothing,
    a_touch_or_a_protect_that_runs_out_has_changed_nothing,
    frames_run_out_and_come_back, an_area_that_is_mapped_in_part_does_not_exist,
    in_an_interrupt_no_memory_is_mapped,
    a_hundred_thousand_areas_become_one_free_range_again,
    a_pointer_that_is_no_area_is_a_panic_with_the_numbers,
    a_request_that_makes_no_sense_is_a_panic_with_the_numbers,
    random_operations_do_what_an_array_of_pages_says,
    guards_may_lie_outside_of_the_limits, alignments_that_no_heap_has_give_null,
    a_contiguous_area_keeps_its_size_and_no_other,
    flags_that_are_none_or_do_not_go_together_panic_and_change_nothing,
    an_area_that_is_found_has_the_flags_that_can_be_asked_for,
    areas_that_map_nothing_yet_are_not_writable_and_executable_unasked,
    in_an_interrupt_areas_are_left_alone);
