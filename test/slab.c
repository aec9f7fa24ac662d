/* SPDX-License-Identifier: MIT */
/*
 * slab.c - caches of objects: what they promise of sizes and alignment, what
 * they cost on the edge of a slab, and every way to free what must not be
 * freed. Free lists are damaged here through src/slab.h, and mended.
 */
#include <verso/alloc.h>
#include <verso/area.h>
#include <verso/check.h>
#include <verso/fault.h>
#include <verso/frame.h>
#include <verso/paging.h>
#include <verso/reclaim.h>
#include <verso/report.h>
#include <verso/slab.h>

#include "../kernel/machine.h"
#include "../src/slab.h"
#include "inject.h"
#include "pattern.h"
#include "test.h"

#define OBJECTS_MAX 2100u
static void *object[OBJECTS_MAX];

static struct slab_desc *cache_create(size_t size, size_t align)
{
    struct verso_slab_params params = {
        .name = "mine", .size = size, .align = align};
    struct slab_desc *cache = verso_slab_create(&params);
    CHECK(cache != NULL);
    return cache;
}

static struct verso_slab_stats stats_of(const struct slab_desc *cache)
{
    struct verso_slab_stats stats;
    verso_slab_stats(cache, &stats);
    return stats;
}

/* Objects of one slab. */
static size_t per_slab(struct slab_desc *cache)
{
    void *one = verso_slab_alloc(cache);
    struct verso_slab_stats stats = stats_of(cache);
    if (!CHECK(one != NULL))
        return 1;
    verso_slab_free(cache, one);
    return stats.total / stats.slabs;
}

static bool fill_up(struct slab_desc *cache, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        object[i] = verso_slab_alloc(cache);
        if (!CHECK(object[i] != NULL))
            return false;
    }
    return true;
}

static void free_all(struct slab_desc *cache, size_t count)
{
    for (size_t i = 0; i < count; i++)
        verso_slab_free(cache, object[i]);
}

/* ---- sizes, alignment, layout ---- */

static void check_object(
    const struct slab_desc *cache, const void *at, size_t size, size_t align)
{
    const struct slab_entry *entry = slab_find(at);
    vaddr_t va = (vaddr_t)at;
    CHECK_EQ(va % (align > sizeof(uintptr_t) ? align : sizeof(uintptr_t)), 0);
    if (!CHECK(entry != NULL))
        return;
    CHECK(va >= entry->page);
    CHECK(va + size <=
          entry->page + stats_of(cache).slab_pages * VERSO_PAGE_SIZE);
}

static void try_shape(size_t size, size_t align)
{
    struct slab_desc *cache = cache_create(size, align);
    size_t count = per_slab(cache) + 2;
    if (count > 40)
        count = 40;
    if (!fill_up(cache, count))
        return;
    for (size_t i = 0; i < count; i++) {
        check_object(cache, object[i], size, align);
        pattern_fill(object[i], size, (uint32_t)i);
    }
    for (size_t i = 0; i < count; i++)
        CHECK(pattern_holds(object[i], size, (uint32_t)i));
    CHECK_EQ(stats_of(cache).used, count);
    CHECK_EQ(stats_of(cache).size, size);
    free_all(cache, count);
    verso_slab_destroy(cache);
    if (test_has_failed())
        test_note("objects of %zu bytes, aligned to %zu", size, align);
}

TEST(objects_of_any_size_and_alignment_are_apart_aligned_and_inside_their_slab)
{
    static const size_t sizes[] = {1, 2, 3, 4, 5, 8, 12, 24, 31, 32, 33, 64,
        100, 256, 500, 632, 1024, 2047, 2048, 2049, 4095, 4096, 4097, 6000,
        8328, 16384, 20000, 32767, 32768};
    static const size_t aligns[] = {0, 1, 4, 8, 16, 64, 512, 4096};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
        for (size_t a = 0; a < sizeof(aligns) / sizeof(aligns[0]); a++)
            if (!test_has_failed())
                try_shape(sizes[s], aligns[a]);
}

TEST(objects_of_a_byte_or_a_word_fill_their_slab_and_are_reused)
{
    struct slab_desc *cache = cache_create(1, 0);
    size_t count = per_slab(cache);
    CHECK_EQ(stats_of(cache).stride, sizeof(uintptr_t));
    CHECK_EQ(count * sizeof(uintptr_t),
        stats_of(cache).slab_pages * VERSO_PAGE_SIZE);
    if (!CHECK(count < OBJECTS_MAX) || !fill_up(cache, count))
        return;
    for (size_t i = 0; i < count; i++)
        *(unsigned char *)object[i] = (unsigned char)i;
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(*(unsigned char *)object[i], (unsigned char)i);
    CHECK_EQ(stats_of(cache).slabs, 1);
    for (size_t i = 0; i < count; i += 2)
        verso_slab_free(cache, object[i]);
    for (size_t i = 0; i < count; i += 2)
        object[i] = verso_slab_alloc(cache);
    for (size_t i = 1; i < count; i += 2)
        CHECK_EQ(*(unsigned char *)object[i], (unsigned char)i);
    CHECK_EQ(stats_of(cache).slabs, 1);
    free_all(cache, count);
    verso_slab_destroy(cache);
}

/* What the best slab of at most 16 pages loses of itself, in 1/4096. */
static size_t least_waste(size_t stride)
{
    size_t least = 4096;
    for (size_t pages = 1 + (stride - 1) / 4096; pages <= 16; pages++) {
        size_t waste = pages * 4096 % stride / pages;
        least = waste < least ? waste : least;
    }
    return least;
}

TEST(slabs_of_several_pages_waste_a_32nd_or_as_little_as_can_be)
{
    for (size_t size = 1; size <= 32768; size += 1 + size / 12) {
        struct slab_desc *cache = cache_create(size, 0);
        void *first = verso_slab_alloc(cache);
        struct verso_slab_stats s = stats_of(cache);
        size_t bytes = s.slab_pages * VERSO_PAGE_SIZE;
        size_t waste = bytes - s.total * s.stride;
        CHECK(waste < s.stride);
        CHECK(waste <= bytes / 8);
        if (!CHECK(waste * 32 <= bytes ||
                   waste / s.slab_pages <= least_waste(s.stride)))
            test_note("%zu bytes: %zu pages", size, s.slab_pages);
        verso_slab_free(cache, first);
        verso_slab_destroy(cache);
    }
}

/* ---- constructors ---- */

#define STATEFUL_SIZE 40u
static unsigned constructed;

static void construct(void *at)
{
    pattern_fill(at, STATEFUL_SIZE, ++constructed);
}

/* The pattern's number, 0 if it is not whole. */
static uint32_t constructed_as(const void *at)
{
    for (uint32_t n = 1; n <= constructed; n++)
        if (pattern_holds(at, STATEFUL_SIZE, n))
            return n;
    return 0;
}

TEST(a_constructor_is_called_once_an_object_and_its_state_survives_free)
{
    struct verso_slab_params params = {
        .name = "made", .size = STATEFUL_SIZE, .constructor = construct};
    struct slab_desc *cache = verso_slab_create(&params);
    if (!CHECK(cache != NULL))
        return;
    constructed = 0;
    size_t count = per_slab(cache);
    if (!fill_up(cache, count))
        return;
    CHECK_EQ(constructed, count);
    CHECK_EQ(stats_of(cache).slabs, 1);
    for (size_t i = 0; i < count; i++)
        CHECK(constructed_as(object[i]) != 0);
    for (unsigned round = 0; round < 3; round++) {
        free_all(cache, count);
        fill_up(cache, count);
        for (size_t i = 0; i < count; i++)
            CHECK(constructed_as(object[i]) != 0);
    }
    CHECK_EQ(constructed, count); /* the slab stayed */
    free_all(cache, count);
    verso_slab_destroy(cache);
}

/* ---- what is kept, what goes back ---- */

/* pitfall 34: the edge of a slab is crossed each time, and nothing moves. */
static void thrash(struct slab_desc *cache, size_t full)
{
    struct verso_paging_stats before, after;
    size_t count = full * per_slab(cache);
    fill_up(cache, count);
    if (inject_available())
        inject_fail_at(0);
    verso_paging_stats(&before);
    for (unsigned i = 0; i < 25000 && !test_has_failed(); i++) {
        void *one = verso_slab_alloc(cache);
        void *two = verso_slab_alloc(cache);
        CHECK(one != NULL && two != NULL);
        verso_slab_free(cache, one);
        verso_slab_free(cache, two);
    }
    verso_paging_stats(&after);
    CHECK(inject_calls() <= 8);
    CHECK(after.invalidations + after.flushes <=
          before.invalidations + before.flushes + 8);
    free_all(cache, count);
}

TEST(a_load_on_the_edge_of_a_slab_moves_no_pages)
{
    struct slab_desc *cache = cache_create(512, 0);
    for (size_t full = 0; full < 4; full++)
        thrash(cache, full);
    thrash(cache, 20);
    verso_slab_destroy(cache);
}

/* pitfalls 37 and 38: a cache costs nothing before its first object, and its
 * memory is not touched as a whole when there is one. */
TEST(an_empty_cache_has_no_memory_and_a_new_slab_is_not_touched)
{
    struct slab_desc *first = cache_create(64, 0);
    struct slab_desc *other[4];
    size_t used = verso_frame_used();
    for (unsigned i = 0; i < 4; i++)
        other[i] = cache_create(32768, 0);
    CHECK_EQ(verso_frame_used(), used);
    CHECK_EQ(stats_of(first).slabs, 0);
    CHECK_EQ(verso_slab_shrink(first), 0);
    for (unsigned i = 0; i < 4; i++)
        verso_slab_destroy(other[i]);
    void *one = verso_slab_alloc(first);
    const struct slab_entry *entry = slab_find(one);
    CHECK_EQ(entry->objects.carved, 1); /* the others never were anything */
    CHECK(entry->objects.free == NULL);
    verso_slab_free(first, one);
    verso_slab_destroy(first);
}

TEST(shrink_and_trim_give_every_page_back)
{
    verso_trim();
    struct slab_desc *cache = cache_create(1000, 0);
    verso_trim(); /* leaves the cache's own slab */
    size_t used = verso_frame_used();
    for (unsigned round = 0; round < 2; round++) {
        fill_up(cache, 300);
        size_t slabs = stats_of(cache).slabs;
        free_all(cache, 300);
        size_t kept = stats_of(cache).slabs;
        CHECK(kept <= 1 + slabs / 16);
        if (round == 0)
            CHECK_EQ(
                verso_slab_shrink(cache), kept * stats_of(cache).slab_pages);
        verso_trim();
        CHECK_EQ(stats_of(cache).slabs, 0);
        CHECK_EQ(verso_frame_used(), used);
    }
    verso_slab_destroy(cache);
}

TEST(shrink_leaves_slabs_in_use_alone)
{
    struct slab_desc *cache = cache_create(2048, 0);
    size_t count = 6 * per_slab(cache);
    fill_up(cache, count);
    for (size_t i = 0; i < count; i++)
        pattern_fill(object[i], 2048, (uint32_t)i);
    for (size_t i = 1; i < count; i += 2)
        verso_slab_free(cache, object[i]);
    CHECK_EQ(verso_slab_shrink(cache), 0);
    for (size_t i = 0; i < count; i += 2) {
        CHECK(pattern_holds(object[i], 2048, (uint32_t)i));
        verso_slab_free(cache, object[i]);
    }
    verso_slab_destroy(cache);
}

/* ---- in an interrupt ---- */

TEST(in_an_interrupt_objects_come_from_what_is_there_and_nothing_grows)
{
    struct slab_desc *cache = cache_create(256, 0);
    size_t count = per_slab(cache);
    if (!CHECK(count + 1 < OBJECTS_MAX) || !fill_up(cache, 1))
        return;
    if (inject_available())
        inject_fail_at(0);
    machine_pretend_interrupt(true);
    for (size_t i = 1; i < count; i++)
        CHECK((object[i] = verso_slab_alloc(cache)) != NULL);
    CHECK(verso_slab_alloc(cache) == NULL);
    CHECK(verso_slab_alloc(cache) == NULL);
    verso_slab_free(cache, object[1]);
    CHECK((object[1] = verso_slab_alloc(cache)) != NULL);
    CHECK(verso_slab_alloc(cache) == NULL);
    machine_pretend_interrupt(false);
    CHECK_EQ(inject_calls(), 0);
    CHECK_EQ(stats_of(cache).slabs, 1);
    verso_slab_free(cache, object[1]); /* the next call outside refills */
    CHECK_EQ(stats_of(cache).slabs, 2);
    machine_pretend_interrupt(true);
    CHECK((object[1] = verso_slab_alloc(cache)) != NULL);
    CHECK((object[count] = verso_slab_alloc(cache)) != NULL);
    free_all(cache, count + 1); /* nor does anything shrink */
    CHECK_EQ(stats_of(cache).slabs, 2);
    CHECK(verso_alloc(100000) == NULL);
    machine_pretend_interrupt(false);
    verso_slab_destroy(cache);
}

/* ---- failure ---- */

static int alloc_one(void *arg)
{
    object[0] = verso_slab_alloc(arg);
    return object[0] != NULL ? 0 : VERSO_NO_MEMORY;
}

static void free_one(void *arg)
{
    verso_slab_free(arg, object[0]);
}

TEST(an_object_that_fails_to_come_leaves_nothing_behind)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    static const size_t sizes[] = {4, 64, 8328, 32768};
    for (unsigned i = 0; i < 4; i++) {
        struct slab_desc *cache = cache_create(sizes[i], 0);
        struct inject_operation op = {alloc_one, free_one, cache, 0, 0};
        unsigned calls = inject_each_failure(&op, 40);
        CHECK(calls >= 2 && calls < 40);
        verso_slab_destroy(cache);
    }
}

/* ---- misuse: pitfall 35 ---- */

/* What a panic is to be provoked with. */
struct bad_free {
    struct slab_desc *cache;
    void *object;
};

static void do_free(void *arg)
{
    const struct bad_free *bad = arg;
    verso_slab_free(bad->cache, bad->object);
}

static void do_destroy(void *arg)
{
    verso_slab_destroy(arg);
}

static bool refuses(struct slab_desc *cache, void *at, const char *text)
{
    struct bad_free bad = {cache, at};
    return CHECK_PANICS_WITH(do_free, &bad, text);
}

TEST(a_cache_with_objects_in_use_is_not_destroyed)
{
    struct slab_desc *cache = cache_create(100, 0);
    size_t count = per_slab(cache) + 3;
    fill_up(cache, count);
    CHECK_PANICS_WITH(do_destroy, cache, "cache mine with ");
    for (size_t i = 3; i < count; i++)
        verso_slab_free(cache, object[i]);
    CHECK_PANICS_WITH(do_destroy, cache, "with 3 objects in use");
    free_all(cache, 3);
    verso_slab_destroy(cache);
}

static void create_with(void *arg)
{
    if (verso_slab_create(arg) != NULL)
        test_note("a cache was made");
}

TEST(a_cache_that_cannot_be_is_refused)
{
    struct verso_slab_params bad[] = {{.name = "none", .size = 0},
        {.name = "huge", .size = 32769}, {.name = "odd", .size = 8, .align = 3},
        {.name = "far", .size = 8, .align = 8192}};
    CHECK_PANICS_WITH(create_with, &bad[0], "none of objects of 0 bytes");
    CHECK_PANICS_WITH(create_with, &bad[1], "huge of objects of 32769");
    CHECK_PANICS_WITH(create_with, &bad[2], "odd with alignment 3");
    CHECK_PANICS_WITH(create_with, &bad[3], "far with alignment 8192");
}

/* One shape through every bad free; 5 objects, of which 0 and 4 stay in use. */
static void bad_frees(struct slab_desc *cache, struct slab_desc *other)
{
    const char *const twice = "freed already: cache ";
    size_t size = stats_of(cache).size;
    int on_stack = 0;
    fill_up(cache, 5);
    verso_slab_free(cache, object[1]);
    refuses(cache, object[1], twice); /* at once */
    verso_slab_free(cache, object[2]);
    verso_slab_free(cache, object[3]);
    refuses(cache, object[1], twice); /* after others */
    refuses(cache, object[2], twice);
    void *again = verso_slab_alloc(cache); /* 3 */
    CHECK_EQ((uintptr_t)again, (uintptr_t)object[3]);
    refuses(cache, object[1], twice); /* after a neighbour was reused */
    refuses(cache, object[2], twice);
    char *first = object[0];
    const char *const inside = "not the start of an object: cache ";
    refuses(cache, first + 1, inside);
    refuses(cache, first + size - 1, inside);
    if (per_slab(cache) > 5)
        refuses(cache, first + stats_of(cache).stride * 5, "never handed out");
    refuses(cache, NULL, "in no slab");
    refuses(cache, &on_stack, "in no slab");
    refuses(other, first, stats_of(cache).name);
    verso_slab_free(cache, again);
    verso_slab_free(cache, object[0]);
    verso_slab_free(cache, object[4]);
}

TEST(every_bad_free_is_reported_with_the_name_of_the_owner)
{
    static const size_t sizes[] = {2 * sizeof(uintptr_t), 13, 64, 1000, 5000};
    struct slab_desc *other = cache_create(64, 0);
    void *area = verso_area_alloc(1, VERSO_AREA_MAPPED);
    for (unsigned i = 0; i < 5; i++) {
        struct verso_slab_params params = {
            .name = "victim", .size = sizes[i], .align = sizeof(uintptr_t)};
        struct slab_desc *cache = verso_slab_create(&params);
        bad_frees(cache, other);
        refuses(cache, area, "in no slab");
        verso_slab_destroy(cache);
    }
    struct verso_slab_params made = {
        .name = "victim", .size = STATEFUL_SIZE, .constructor = construct};
    struct slab_desc *cache = verso_slab_create(&made);
    bad_frees(cache, other);
    verso_slab_destroy(cache);
    verso_area_free(area);
    verso_slab_destroy(other);
}

TEST(an_object_whose_slab_is_gone_is_refused)
{
    struct slab_desc *cache = cache_create(64, 0);
    fill_up(cache, 1);
    verso_slab_free(cache, object[0]);
    CHECK(verso_slab_shrink(cache) > 0);
    refuses(cache, object[0], "in no slab");
    verso_slab_destroy(cache);
}

/* User data that look like the mark of a free object are not a double free. */
TEST(an_object_that_contains_its_own_mark_is_freed_all_the_same)
{
    struct slab_desc *cache = cache_create(16, 0);
    fill_up(cache, 2);
    uintptr_t *word = object[0];
    verso_slab_free(cache, word);
    uintptr_t mark = word_peek(word + 1);
    CHECK_EQ((uintptr_t)verso_slab_alloc(cache), (uintptr_t)word);
    word[1] = mark;
    verso_slab_free(cache, word);
    CHECK_EQ(stats_of(cache).used, 1);
    refuses(cache, word, "freed already");
    verso_slab_free(cache, object[1]);
    CHECK(verso_check() == NULL);
    verso_slab_destroy(cache);
}

/* pitfalls 35, 36: a link that was written over. The check reports it and
 * ends, whatever stands there. */
TEST(a_damaged_free_list_is_found_and_never_followed_for_ever)
{
    struct slab_desc *cache = cache_create(64, 0);
    fill_up(cache, 6);
    for (unsigned i = 1; i < 5; i++)
        verso_slab_free(cache, object[i]);
    void *head = object[4];
    uintptr_t link = word_peek(head);
    const uintptr_t bad[] = {(uintptr_t)head, (uintptr_t)object[2],
        (uintptr_t)object[3] + 4, (uintptr_t)object[0] - 64,
        (uintptr_t)object[5] + 64, (uintptr_t)&link, 0xdeadbeef, 1, 0};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        word_poke(head, bad[i]);
        const char *broken = verso_i_slab_check();
        if (!CHECK(broken != NULL && broken[5] == '2'))
            test_note("link %#zx: %s", bad[i], broken ? broken : "nothing");
        verso_describe(object[5]); /* nor does it touch what is not there */
    }
    /* a detour through the middle of an object, of the right length */
    char *middle = (char *)object[3] + 8;
    word_poke(middle, word_peek(object[3]));
    word_poke(head, (uintptr_t)middle);
    const char *broken = verso_i_slab_check();
    CHECK(broken != NULL && broken[5] == '2');
    word_poke(head, link);
    CHECK(verso_i_slab_check() == NULL);
    verso_slab_free(cache, object[0]);
    verso_slab_free(cache, object[5]);
    verso_slab_destroy(cache);
}

static void free_object_1(void *cache)
{
    verso_slab_free(cache, object[1]);
}

/* A word has room for the link but not for the mark: the free list itself is
 * searched. */
TEST(a_double_free_of_a_word_is_refused)
{
    struct slab_desc *cache = cache_create(sizeof(uintptr_t), 0);
    fill_up(cache, 3);
    verso_slab_free(cache, object[1]);
    CHECK_PANICS_WITH(free_object_1, cache, "freed already");
    verso_slab_free(cache, object[0]);
    verso_slab_free(cache, object[2]);
    verso_slab_destroy(cache);
}

/* ---- the hook door ---- */

int __asan_address_is_poisoned(const volatile void *at) __attribute__((weak));

/* test/host/hooks.h closes what is free to the sanitizer. pitfall 36: then a
 * use at any byte of a free object is caught, in release builds too. */
TEST(a_free_object_is_closed_through_the_hook_door)
{
#ifndef VERSO_HOOKS_HEADER
    SKIP("built without hooks");
#else
    struct slab_desc *cache = cache_create(64, 0);
    fill_up(cache, 40);
    verso_slab_free(cache, object[7]);
    for (unsigned i = 0; i < 64; i++) {
        CHECK(__asan_address_is_poisoned((char *)object[7] + i));
        CHECK(!__asan_address_is_poisoned((char *)object[8] + i));
    }
    object[7] = verso_slab_alloc(cache);
    CHECK(!__asan_address_is_poisoned(object[7]));
    vaddr_t page = slab_find(object[0])->page;
    free_all(cache, 40);
    CHECK(verso_slab_shrink(cache) > 0);
    for (unsigned i = 0; i < VERSO_PAGE_SIZE; i++) /* pages that left */
        CHECK(!__asan_address_is_poisoned((char *)page + i));
    char *small = verso_alloc(24);
    verso_free(small);
    CHECK(__asan_address_is_poisoned(small));
    verso_slab_destroy(cache);
#endif
}

/* ---- what a reader found ---- */

/* A request that failed outside of an interrupt was answered then: the next
 * free does not take memory for it. */
TEST(a_request_that_had_no_memory_does_not_make_a_free_take_some)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    struct slab_desc *cache = cache_create(256, 0);
    size_t count = per_slab(cache);
    if (!CHECK(count < OBJECTS_MAX) || !fill_up(cache, count))
        return;
    CHECK_EQ(stats_of(cache).slabs, 1);
    inject_fail_from(1);
    CHECK(verso_slab_alloc(cache) == NULL);
    inject_fail_at(0);
    verso_slab_free(cache, object[0]);
    CHECK_EQ(inject_calls(), 0);
    CHECK_EQ(stats_of(cache).slabs, 1);
    object[0] = verso_slab_alloc(cache);
    free_all(cache, count);
    verso_slab_destroy(cache);
}

/* What an interrupt asked for is made up for once. */
TEST(a_cache_that_was_refilled_does_not_grow_at_each_free)
{
    struct slab_desc *cache = cache_create(256, 0);
    size_t count = per_slab(cache);
    if (!fill_up(cache, count))
        return;
    machine_pretend_interrupt(true);
    CHECK(verso_slab_alloc(cache) == NULL);
    machine_pretend_interrupt(false);
    for (unsigned round = 0; round < 5; round++) {
        verso_slab_free(cache, object[0]);
        object[0] = verso_slab_alloc(cache);
        CHECK_EQ(stats_of(cache).slabs, 2);
    }
    free_all(cache, count);
    verso_slab_destroy(cache);
}

TEST(after_an_interrupt_that_emptied_a_slab_one_is_kept_again)
{
    struct slab_desc *cache = cache_create(256, 0);
    if (!fill_up(cache, 1))
        return;
    machine_pretend_interrupt(true);
    free_all(cache, 1);
    machine_pretend_interrupt(false);
    for (unsigned round = 0; round < 3; round++) {
        (void)fill_up(cache, 1);
        free_all(cache, 1);
        CHECK_EQ(stats_of(cache).slabs, round == 0 ? 0 : 1);
    }
    verso_slab_destroy(cache);
}

/* As many as hold four objects, however few a slab has. */
TEST(slabs_of_few_objects_go_as_well)
{
    for (size_t size = 700; size <= 32768; size += size / 3) {
        struct slab_desc *cache = cache_create(size, 0);
        size_t count = per_slab(cache);
        if (!fill_up(cache, 12 * count))
            return;
        free_all(cache, 12 * count);
        CHECK_EQ(stats_of(cache).slabs, count < 4 ? 4 / count : 1);
        verso_slab_destroy(cache);
    }
}

/* Its owner may read it before writing, and free it without a search. */
TEST(an_object_that_is_handed_out_bears_no_mark)
{
    struct slab_desc *cache = cache_create(64, 0);
    for (unsigned round = 0; round < 2; round++) {
        if (!fill_up(cache, 3))
            return;
        for (size_t i = 0; i < 3; i++)
            CHECK_EQ(slab_mark_get(object[i], cache->shape.link), 0);
        free_all(cache, 3);
    }
    verso_slab_destroy(cache);
}

/* An interrupt can give nothing back; the first free outside of one that looks
 * after its slab does. */
TEST(slabs_that_an_interrupt_emptied_are_given_back_by_a_later_free)
{
    struct slab_desc *cache = cache_create(256, 0);
    size_t count = per_slab(cache);
    if (!CHECK(4 * count < OBJECTS_MAX) || !fill_up(cache, 4 * count))
        return;
    CHECK_EQ(stats_of(cache).slabs, 4);
    machine_pretend_interrupt(true);
    for (size_t i = count; i < 4 * count; i++)
        verso_slab_free(cache, object[i]);
    machine_pretend_interrupt(false);
    CHECK_EQ(stats_of(cache).slabs, 4);
    verso_slab_free(cache, object[0]);
    CHECK_EQ(stats_of(cache).slabs, 1);
    for (size_t i = 1; i < count; i++)
        verso_slab_free(cache, object[i]);
    verso_slab_destroy(cache);
}

static unsigned looks;

/* As from an interrupt: nothing that takes a lock which may be held. */
static void look(vaddr_t va)
{
    struct verso_area_info info;
    if (slab_find((void *)va) == NULL)
        return; /* pages of nodes: locks are held then */
    looks++;
    CHECK_EQ(verso_area_find((void *)va, &info), VERSO_ABSENT);
    CHECK_EQ(verso_fault(va, 0), VERSO_FAULT_NOT_OURS);
    verso_describe((void *)va);
    verso_describe((void *)(va + 65));
}

/* pitfall 31: the pages know their slab before the slab knows its area. What
 * the entry was before must not be taken for what it is. */
TEST(a_slab_that_is_being_made_may_be_asked_about)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    struct slab_desc *cache = cache_create(64, 0);
    looks = 0;
    for (unsigned round = 0; round < 3; round++) {
        inject_on_commit(look);
        fill_up(cache, 3);
        inject_on_commit(NULL);
        free_all(cache, 3);
        (void)verso_slab_shrink(cache);
    }
    CHECK_EQ(looks, 3);
    verso_slab_destroy(cache);
}

TEST(a_cache_is_destroyed_once_and_a_class_of_alloc_never)
{
    struct slab_desc *cache = cache_create(40, 0);
    struct slab_desc *other = cache_create(40, 0);
    int on_stack = 0;
    verso_slab_destroy(cache);
    CHECK_PANICS_WITH(do_destroy, cache, "freed already");
    CHECK_PANICS_WITH(do_destroy, verso_alloc_class(0), "which is no cache");
    CHECK_PANICS_WITH(do_destroy, &on_stack, "which is no cache");
    CHECK_PANICS_WITH(do_destroy, (char *)other + 8, "not the start");
    void *of_alloc = verso_alloc(100);
    CHECK_PANICS_WITH(do_destroy, of_alloc, "which is no cache");
    verso_free(of_alloc);
    CHECK(verso_check() == NULL);
    verso_slab_destroy(other);
}

SUITE(slab,
    objects_of_any_size_and_alignment_are_apart_aligned_and_inside_their_slab,
    objects_of_a_byte_or_a_word_fill_their_slab_and_are_reused,
    slabs_of_several_pages_waste_a_32nd_or_as_little_as_can_be,
    a_constructor_is_called_once_an_object_and_its_state_survives_free,
    a_load_on_the_edge_of_a_slab_moves_no_pages,
    an_empty_cache_has_no_memory_and_a_new_slab_is_not_touched,
    shrink_and_trim_give_every_page_back, shrink_leaves_slabs_in_use_alone,
    in_an_interrupt_objects_come_from_what_is_there_and_nothing_grows,
    an_object_that_fails_to_come_leaves_nothing_behind,
    a_cache_with_objects_in_use_is_not_destroyed,
    a_cache_that_cannot_be_is_refused,
    every_bad_free_is_reported_with_the_name_of_the_owner,
    an_object_whose_slab_is_gone_is_refused,
    an_object_that_contains_its_own_mark_is_freed_all_the_same,
    a_damaged_free_list_is_found_and_never_followed_for_ever,
    a_double_free_of_a_word_is_refused,
    a_free_object_is_closed_through_the_hook_door,
    a_request_that_had_no_memory_does_not_make_a_free_take_some,
    a_cache_that_was_refilled_does_not_grow_at_each_free,
    after_an_interrupt_that_emptied_a_slab_one_is_kept_again,
    slabs_of_few_objects_go_as_well, an_object_that_is_handed_out_bears_no_mark,
    slabs_that_an_interrupt_emptied_are_given_back_by_a_later_free,
    a_slab_that_is_being_made_may_be_asked_about,
    a_cache_is_destroyed_once_and_a_class_of_alloc_never);
