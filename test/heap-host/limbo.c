/* SPDX-License-Identifier: MIT */
/*
 * limbo.c - freed addresses wait for their flush. With one CPU and Verso's own
 * back they never wait; here they do until the test says otherwise, and back.c
 * ends the run if one is used again too early.
 */
#include <verso/alloc.h>
#include <verso/area.h>
#include <verso/check.h>
#include <verso/reclaim.h>
#include <verso/slab.h>

#include "../../kernel/machine.h"
#include "../../src/area.h"
#include "../test.h"
#include "back.h"

#define PAGE VERSO_PAGE_SIZE

static struct verso_area_stats area_stats(void)
{
    struct verso_area_stats stats;
    verso_area_stats(&stats);
    return stats;
}

static void *area_at(void *address, size_t pages)
{
    struct verso_area_request request = {
        .pages = pages, .fixed = (vaddr_t)address};
    return verso_area_alloc_as(&request);
}

/* A later call, of no effect but that it pops. */
static void some_call(void)
{
    void *area = verso_area_alloc(1, VERSO_AREA_BARE);
    CHECK(area != NULL);
    verso_area_free(area);
}

static void is_sound(void)
{
    const char *broken = verso_check();
    if (broken != NULL)
        test_note("%s", broken);
    CHECK(broken == NULL);
}

/* n areas of three pages, one behind the other. */
static char *row_make(size_t n)
{
    char *row = verso_area_alloc(3 * n, VERSO_AREA_BARE);
    if (!CHECK(row != NULL))
        return NULL;
    verso_area_free(row);
    for (size_t i = 0; i < n; i++)
        CHECK(area_at(row + 3 * i * PAGE, 3) != NULL);
    return row;
}

static void free_it(void *address)
{
    verso_area_free(address);
}

/* pitfall 51: kernel addresses used again before the flush. */
TEST(addresses_are_not_had_again_before_their_flush_is_done)
{
    struct verso_area_info info;
    struct verso_area_stats before = area_stats();
    char *area = verso_area_alloc(3, VERSO_AREA_MAPPED);
    if (!CHECK(area != NULL))
        return;
    back_defer(true);
    verso_area_free(area);
    CHECK_EQ(back_outstanding(), 1);
    CHECK_EQ(area_stats().limbo, before.limbo + 1);
    CHECK_EQ(area_stats().used, before.used);
    CHECK_EQ(area_stats().free_pages, before.free_pages - 3);
    for (size_t i = 0; i < 3; i++) {
        CHECK(machine_probe(area + i * PAGE, false));
        CHECK(area_at(area + i * PAGE, 1) == NULL);
        CHECK_EQ(verso_area_find(area + i * PAGE, &info), VERSO_ABSENT);
    }
    CHECK_PANICS_WITH(free_it, area, "free");
    is_sound();
    back_complete(1);
    CHECK(area_at(area, 3) == area);
    CHECK_EQ(area_stats().limbo, before.limbo);
    back_defer(false);
    verso_area_free(area);
    is_sound();
}

TEST(addresses_run_out_rather_than_be_had_too_early)
{
    struct verso_area_request rest = {.flags = VERSO_AREA_BARE};
    char *area = verso_area_alloc(3, VERSO_AREA_MAPPED);
    rest.pages = area_stats().largest_free;
    void *all = verso_area_alloc_as(&rest);
    CHECK(area != NULL && all != NULL);
    CHECK_EQ(area_stats().free_pages, 0);
    back_defer(true);
    verso_area_free(area);
    CHECK(verso_area_alloc(1, VERSO_AREA_MAPPED) == NULL);
    CHECK_EQ(verso_area_resize(all, rest.pages + 1), VERSO_NO_MEMORY);
    back_complete(1);
    void *again = verso_area_alloc(3, VERSO_AREA_MAPPED);
    CHECK(again == area);
    back_defer(false);
    verso_area_free(all);
    if (again != NULL)
        verso_area_free(again);
}

TEST(later_calls_let_go_of_what_is_done_and_of_no_more)
{
    back_defer(true);
    char *row = row_make(20);
    size_t waiting = area_stats().limbo;
    for (size_t i = 0; i < 20; i += 2)
        verso_area_free(row + 3 * i * PAGE);
    CHECK_EQ(area_stats().limbo, waiting + 10);
    some_call();
    CHECK_EQ(area_stats().limbo, waiting + 10);
    back_complete(3);
    some_call();
    some_call();
    CHECK_EQ(area_stats().limbo, waiting + 7);
    CHECK(area_at(row, 3) == row);              /* the oldest flush */
    CHECK(area_at(row + 18 * PAGE, 3) == NULL); /* the fourth */
    is_sound();
    back_complete(7);
    for (unsigned i = 0; i < 7; i++)
        some_call();
    CHECK_EQ(area_stats().limbo, waiting);
    back_defer(false);
    verso_area_free(row);
    for (size_t i = 1; i < 20; i += 2)
        verso_area_free(row + 3 * i * PAGE);
    is_sound();
}

/* pitfall 28, with neighbours that are neither used nor free. */
TEST(ranges_merge_when_their_flush_is_done)
{
    static const unsigned char order[4][4] = {
        {0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}};
    for (unsigned o = 0; o < 4; o++) {
        struct verso_area_stats before = area_stats();
        char *row = row_make(4);
        size_t free_ranges = area_stats().free;
        back_defer(true);
        for (unsigned i = 0; i < 4; i++)
            verso_area_free(row + 3 * order[o][i] * PAGE);
        CHECK_EQ(area_stats().limbo, 4);
        CHECK_EQ(area_stats().free, free_ranges);
        for (unsigned i = 0; i < 4; i++) {
            back_complete(1);
            some_call();
            CHECK_EQ(area_stats().limbo, 3 - i);
            is_sound();
        }
        CHECK_EQ(area_stats().free, before.free);
        CHECK_EQ(area_stats().largest_free, before.largest_free);
        back_defer(false);
    }
}

TEST(what_never_had_memory_need_not_wait)
{
    back_defer(true);
    void *area = verso_area_alloc(5, VERSO_AREA_BARE);
    verso_area_free(area);
    CHECK_EQ(area_stats().limbo, 0);
    CHECK_EQ(back_outstanding(), 0);
    back_defer(false);
}

TEST(trimming_and_reclaiming_complete_what_is_outstanding)
{
    struct verso_area_stats before = area_stats();
    for (unsigned reclaim = 0; reclaim < 2; reclaim++) {
        char *row = row_make(12);
        back_defer(true);
        for (size_t i = 0; i < 12; i++)
            verso_area_free(row + 3 * i * PAGE);
        CHECK_EQ(area_stats().limbo, 12);
        if (reclaim)
            CHECK(verso_reclaim());
        else
            verso_trim();
        CHECK_EQ(area_stats().limbo, 0);
        CHECK_EQ(back_outstanding(), 0);
        CHECK_EQ(area_stats().free, before.free);
        is_sound();
        back_defer(false);
    }
}

/* All that is free waits: the entry points reclaim once, and get it. */
TEST(an_object_is_had_from_addresses_that_only_wait)
{
    const size_t large = 40 * PAGE;
    void *object = verso_alloc(large);
    void *all = verso_area_alloc(area_stats().largest_free, VERSO_AREA_BARE);
    CHECK(object != NULL && all != NULL);
    back_defer(true);
    verso_free(object);
    CHECK(verso_area_alloc(40, VERSO_AREA_MAPPED) == NULL);
    void *again = verso_alloc(large);
    CHECK(again == object);
    back_defer(false);
    verso_free(again);
    verso_area_free(all);
}

TEST(what_a_resize_cuts_off_waits_too)
{
    for (unsigned guard = 0; guard < 2; guard++) {
        char *area = verso_area_alloc(8, guard ? VERSO_AREA_GUARD_ABOVE : 0);
        if (!CHECK(area != NULL))
            return;
        back_defer(true);
        CHECK_OK(verso_area_resize(area, 3));
        CHECK_EQ(area_stats().limbo, 1);
        CHECK(machine_probe(area + 3 * PAGE, false));
        CHECK_EQ(verso_area_resize(area, 5), VERSO_NO_MEMORY);
        is_sound();
        back_complete(9);
        CHECK_OK(verso_area_resize(area, 5));
        CHECK(!machine_probe(area + 4 * PAGE, true));
        CHECK(machine_probe(area + 5 * PAGE, true));
        back_defer(false);
        verso_area_free(area);
        is_sound();
    }
}

/* Their pages come and go: node and pagemap must not use one too early. */
TEST(descriptors_wait_for_their_flushes)
{
    enum {
        COUNT = 2000
    };
    static void *area[COUNT];
    const vaddr_t far = verso_i_area_kernel()->start + 0x10000000u;
    back_defer(true);
    for (unsigned round = 0; round < 4; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            struct verso_area_request request = {
                .pages = 1, .flags = VERSO_AREA_BARE, .min = far};
            request.min += i % 8 * 0x400000u;
            area[i] = verso_area_alloc_as(&request);
            if (!CHECK(area[i] != NULL))
                break;
        }
        for (size_t i = 0; i < COUNT; i++)
            verso_area_free(area[i]);
        /* not verso_trim(), which ends with completing what there is */
        (void)verso_i_area_drain();
        if (round % 2)
            (void)verso_i_node_drain();
    }
    back_defer(false);
    is_sound();
}

/* pitfall 51 for slabs, whose pages are areas. */
TEST(slabs_come_and_go_while_flushes_are_outstanding)
{
    enum {
        COUNT = 300
    };
    static void *object[COUNT];
    back_defer(true);
    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            object[i] = verso_alloc(1 + test_random_below(9000));
            if (!CHECK(object[i] != NULL))
                return;
            *(unsigned char *)object[i] = (unsigned char)i;
        }
        back_complete(test_random_below(200));
        for (size_t i = 0; i < COUNT; i++) {
            CHECK_EQ(*(unsigned char *)object[i], (unsigned char)i);
            verso_free(object[i]);
        }
    }
    is_sound();
    back_defer(false);
}

/* back.c ends the run if any page is used before its flush. */
TEST(random_areas_are_sound_whenever_their_flushes_are_done)
{
    enum {
        COUNT = 40
    };
    static struct {
        uint32_t *at;
        size_t pages;
    } area[COUNT];
    back_defer(true);
    for (unsigned step = 0; step < 3000 && !test_has_failed(); step++) {
        uint32_t i = test_random_below(COUNT);
        size_t pages = 1 + test_random_below(30);
        if (area[i].at == NULL) {
            area[i].at = verso_area_alloc(pages,
                test_random_below(2) ? VERSO_AREA_LAZY | VERSO_AREA_GUARD : 0);
            area[i].pages = pages;
        } else if (test_random_below(2)) {
            CHECK_EQ(*area[i].at, i);
            if (verso_area_resize(area[i].at, pages) == VERSO_OK)
                area[i].pages = pages;
        } else {
            CHECK_EQ(*area[i].at, i);
            verso_area_free(area[i].at);
            area[i].at = NULL;
        }
        if (area[i].at != NULL) {
            area[i].at[(area[i].pages - 1) * (PAGE / sizeof(uint32_t))] = 1;
            *area[i].at = i;
        }
        back_complete(test_random_below(3));
        CHECK(verso_i_area_check() == NULL);
    }
    back_defer(false);
    for (unsigned i = 0; i < COUNT; i++)
        if (area[i].at != NULL)
            verso_area_free(area[i].at);
}

SUITE(limbo, addresses_are_not_had_again_before_their_flush_is_done,
    addresses_run_out_rather_than_be_had_too_early,
    later_calls_let_go_of_what_is_done_and_of_no_more,
    ranges_merge_when_their_flush_is_done, what_never_had_memory_need_not_wait,
    trimming_and_reclaiming_complete_what_is_outstanding,
    an_object_is_had_from_addresses_that_only_wait,
    what_a_resize_cuts_off_waits_too, descriptors_wait_for_their_flushes,
    slabs_come_and_go_while_flushes_are_outstanding,
    random_areas_are_sound_whenever_their_flushes_are_done);
