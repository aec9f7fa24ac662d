/* SPDX-License-Identifier: MIT */
/*
 * alloc.c - objects of any size: what is promised of size, alignment and
 * contents, realloc, bad frees, and running out.
 *
 * Nothing here knows the classes: they are asked for, so that this suite runs
 * with any table of them (host-classes.t).
 */
#include <verso/alloc.h>
#include <verso/area.h>
#include <verso/check.h>
#include <verso/frame.h>
#include <verso/reclaim.h>
#include <verso/report.h>
#include <verso/slab.h>

#include "../kernel/machine.h"
#include "../src/area.h"
#include "inject.h"
#include "pattern.h"
#include "shut.h"
#include "test.h"

#define WORDS2 (2 * sizeof(uintptr_t))
#define PAGE   ((size_t)VERSO_PAGE_SIZE)

static struct verso_slab_stats class_stats(unsigned class)
{
    struct verso_slab_stats stats;
    verso_slab_stats(verso_alloc_class(class), &stats);
    return stats;
}

static unsigned class_count(void)
{
    unsigned count = 0;
    while (verso_alloc_class(count) != NULL)
        count++;
    return count;
}

/* Every size above is an area. */
static size_t largest_class(void)
{
    return class_stats(class_count() - 1).size;
}

/* An object of so many bytes, filled with its pattern. */
static void *object_make(size_t size, uint32_t seed)
{
    void *object = verso_alloc(size);
    if (CHECK(object != NULL))
        pattern_fill(object, size, seed);
    return object;
}

/* ---- sizes and alignment ---- */

static bool object_is_good(const void *object, size_t size, size_t align)
{
    size_t usable = object != NULL ? verso_usable_size(object) : 0;
    bool good = CHECK(object != NULL) && CHECK(usable >= size) &&
                CHECK_EQ((uintptr_t)object % align, 0);
    if (!good)
        test_note("%zu bytes aligned to %zu: %p, %zu usable", size, align,
            object, usable);
    return good;
}

/* A window of live objects passes over the sizes: each is whole when it is
 * freed, 16 sizes later. */
#define WINDOW 16u
static struct {
    void *object;
    size_t size;
} live[WINDOW];

static void live_put(size_t size)
{
    unsigned slot = (unsigned)(size % WINDOW);
    if (live[slot].object != NULL) {
        CHECK(pattern_holds(
            live[slot].object, live[slot].size, (uint32_t)live[slot].size));
        verso_free_sized(live[slot].object, live[slot].size);
    }
    live[slot].object = verso_alloc(size);
    live[slot].size = size;
    if (object_is_good(live[slot].object, size, WORDS2))
        pattern_fill(live[slot].object, size, (uint32_t)size);
}

static void live_end(void)
{
    for (unsigned slot = 0; slot < WINDOW; slot++) {
        verso_free(live[slot].object);
        live[slot].object = NULL;
    }
}

/* pitfalls 32, 33: no size falls between two stools. */
TEST(every_size_up_to_three_pages_has_room_and_keeps_its_contents)
{
    for (size_t size = 0; size <= 3 * PAGE && !test_has_failed(); size++)
        if (size < 700 || size % 7 == 0 || size % PAGE < 9 ||
            size % PAGE > PAGE - 9)
            live_put(size);
    live_end();
}

TEST(sizes_around_every_class_and_page_border_have_room)
{
    for (unsigned c = 0; c < class_count(); c++)
        for (size_t size = class_stats(c).size - 1;
             size <= class_stats(c).size + 1; size++)
            live_put(size);
    for (size_t pages = 1; pages < 20; pages++)
        for (size_t size = pages * PAGE - 1; size <= pages * PAGE + 1; size++)
            live_put(size);
    live_end();
}

TEST(a_class_serves_the_sizes_above_the_one_before_and_no_other)
{
    size_t below = 0; /* the largest size of the class before */
    for (unsigned c = 0; c < class_count(); c++) {
        const size_t sizes[] = {c == 0 ? 0 : below + 1, class_stats(c).size};
        CHECK_EQ(class_stats(c).size % WORDS2, 0);
        CHECK(class_stats(c).size > below);
        for (unsigned i = 0; i < 2; i++) {
            size_t used = class_stats(c).used;
            void *object = verso_alloc(sizes[i]);
            CHECK_EQ(class_stats(c).used, used + 1);
            CHECK_EQ(verso_usable_size(object), class_stats(c).size);
            verso_free(object);
            CHECK_EQ(class_stats(c).used, used);
        }
        below = class_stats(c).size;
    }
    struct verso_area_info info;
    void *object = verso_alloc(below + 1);
    CHECK_OK(verso_area_find(object, &info));
    CHECK_EQ(info.pages, (below + PAGE) / PAGE);
    CHECK_EQ(verso_usable_size(object), info.pages * PAGE);
    verso_free(object);
}

TEST(alignments_up_to_4_MiB_are_kept)
{
    static const size_t sizes[] = {0, 1, 8, 24, 100, 1000, 4096, 5000, 70000};
    void *object[9];
    for (size_t align = 1; align <= (size_t)4 << 20; align *= 2) {
        for (unsigned i = 0; i < 9; i++) {
            object[i] = verso_alloc_aligned(align, sizes[i]);
            if (object_is_good(object[i], sizes[i], align) &&
                object_is_good(object[i], sizes[i], WORDS2))
                pattern_fill(object[i], sizes[i], i);
        }
        for (unsigned i = 0; i < 9; i++) {
            CHECK(pattern_holds(object[i], sizes[i], i));
            verso_free(object[i]);
        }
    }
}

TEST(an_alignment_that_is_none_gives_null)
{
    CHECK(verso_alloc_aligned(0, 8) == NULL);
    CHECK(verso_alloc_aligned(3, 8) == NULL);
    CHECK(verso_alloc_aligned(24, 8) == NULL);
    CHECK(verso_alloc_aligned((size_t)8 << 20, 8) == NULL);
    CHECK(verso_alloc_aligned(SIZE_MAX / 2 + 1, 8) == NULL);
}

/* pitfall 33 */
TEST(sizes_that_overflow_give_null_and_change_nothing)
{
    static const size_t below_max[] = {0, 1, 7, 8, 4094, 4095, 4096, 4097};
    char *kept = object_make(100, 1);
    uint64_t before = test_state_hash();
    for (unsigned i = 0; i < 8; i++) {
        size_t size = SIZE_MAX - below_max[i];
        CHECK(verso_alloc(size) == NULL);
        CHECK(verso_alloc(size / 2) == NULL);
        CHECK(verso_alloc(size / 2 + 1) == NULL);
        CHECK(verso_alloc_zeroed(size, 1) == NULL);
        CHECK(verso_alloc_zeroed(1, size) == NULL);
        CHECK(verso_alloc_zeroed(size, size) == NULL);
        CHECK(verso_alloc_zeroed(size / 8 + 2, 8) == NULL);
        CHECK(verso_alloc_zeroed(8, size / 8 + 2) == NULL);
        CHECK(verso_alloc_aligned(PAGE, size) == NULL);
        CHECK(verso_alloc_aligned((size_t)4 << 20, size) == NULL);
        CHECK(verso_realloc(NULL, size) == NULL);
        CHECK(verso_realloc(kept, size) == NULL);
    }
    size_t root = (size_t)1 << (4 * sizeof(size_t));
    CHECK(verso_alloc_zeroed(root, root) == NULL);
    CHECK(verso_alloc_zeroed(root + 1, root) == NULL);
    CHECK(pattern_holds(kept, 100, 1));
    CHECK(test_state_hash() == before);
    verso_free(kept);
}

TEST(zeroed_objects_are_zero_even_where_there_was_dirt)
{
    const size_t sizes[] = {
        1, 16, 100, 1000, 5000, 16384, largest_class() + 1, 100000};
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned round = 0; round < 3; round++) {
            void *dirty = object_make(sizes[i], 99);
            verso_free(dirty);
            void *clean = verso_alloc_zeroed(1 + round, sizes[i]);
            if (CHECK(clean != NULL))
                CHECK(is_all(clean, (1 + round) * sizes[i], 0));
            verso_free(clean);
        }
    }
    void *none = verso_alloc_zeroed(0, 1000);
    CHECK(none != NULL);
    verso_free(none);
}

/* ---- realloc ---- */

TEST(realloc_keeps_what_fits_from_any_size_to_any_other)
{
    const size_t sizes[] = {0, 1, 8, 24, 25, 100, 1000, 4096, 5000,
        largest_class(), largest_class() + 1, 50000, 150000};
    size_t fresh[13];
    for (unsigned i = 0; i < 13; i++) {
        void *object = verso_alloc(sizes[i]);
        fresh[i] = verso_usable_size(object);
        verso_free(object);
    }
    for (unsigned from = 0; from < 13; from++) {
        for (unsigned to = 0; to < 13; to++) {
            size_t kept = sizes[from] < sizes[to] ? sizes[from] : sizes[to];
            void *object = object_make(sizes[from], from);
            void *moved = verso_realloc(object, sizes[to]);
            if (!object_is_good(moved, sizes[to], WORDS2))
                return;
            CHECK(pattern_holds(moved, kept, from));
            pattern_fill(moved, sizes[to], to);
            CHECK(verso_usable_size(moved) <= 2 * fresh[to]);
            verso_free(moved);
        }
    }
}

TEST(realloc_of_null_allocates_and_to_nothing_leaves_an_object)
{
    void *object = verso_realloc(NULL, 40);
    object_is_good(object, 40, WORDS2);
    object = verso_realloc(object, 0);
    object_is_good(object, 0, WORDS2);
    CHECK_EQ(verso_usable_size(object), class_stats(0).size);
    verso_free(object);
}

TEST(an_object_of_pages_grows_and_shrinks_where_it_is)
{
    size_t pages = largest_class() / PAGE + 4;
    verso_trim();
    size_t used = verso_frame_used();
    char *object = object_make(pages * PAGE, 5);
    char *blocker = verso_alloc((pages + 90) * PAGE);
    verso_free(blocker); /* whatever is behind, so much was free */
    size_t held = verso_frame_used();
    char *shrunk = verso_realloc(object, (pages - 2) * PAGE - 3);
    CHECK_EQ((uintptr_t)shrunk, (uintptr_t)object);
    CHECK_EQ(verso_usable_size(shrunk), (pages - 2) * PAGE);
    CHECK_EQ(verso_frame_used(), held - 2);
    char *grown = verso_realloc(shrunk, pages * PAGE - 1);
    CHECK_EQ((uintptr_t)grown, (uintptr_t)object);
    CHECK_EQ(verso_usable_size(grown), pages * PAGE);
    CHECK(pattern_holds(grown, (pages - 2) * PAGE - 3, 5));
    verso_free(grown);
    verso_trim();
    CHECK_EQ(verso_frame_used(), used);
}

TEST(an_object_of_pages_that_is_walled_in_moves)
{
    size_t pages = largest_class() / PAGE + 2;
    char *object = object_make(pages * PAGE, 6);
    struct verso_area_request wall = {
        .pages = 1, .flags = VERSO_AREA_BARE, .name = "wall"};
    wall.fixed = (vaddr_t)object + pages * PAGE;
    void *behind = verso_area_alloc_as(&wall); /* NULL: something is there */
    char *moved = verso_realloc(object, (pages + 1) * PAGE);
    CHECK(moved != NULL && moved != object);
    CHECK(pattern_holds(moved, pages * PAGE, 6));
    if (behind != NULL)
        verso_area_free(behind);
    verso_free(moved);
}

/* ---- frees that must not be: pitfall 35 ---- */

static void do_free(void *object)
{
    verso_free(object);
}

static void do_usable(void *object)
{
    (void)verso_usable_size(object);
}

static void do_realloc(void *object)
{
    if (verso_realloc(object, 3 * PAGE) != NULL)
        test_note("realloc gave something");
}

static void do_realloc_less(void *object)
{
    if (verso_realloc(object, 0) != NULL)
        test_note("realloc gave something");
}

static void do_free_larger(void *object)
{
    verso_free_sized(object, verso_usable_size(object) + 1);
}

/* By every call that takes an object. */
static void refused(void *object, const char *text)
{
    CHECK_PANICS_WITH(do_free, object, text);
    CHECK_PANICS_WITH(do_usable, object, text);
    CHECK_PANICS_WITH(do_realloc, object, text);
}

TEST(freeing_nothing_does_nothing)
{
    verso_free(NULL);
    verso_free_sized(NULL, 17);
    CHECK_EQ(verso_usable_size(NULL), 0);
}

TEST(a_size_that_the_object_does_not_have_is_refused)
{
    void *object = verso_alloc(40);
    CHECK_PANICS_WITH(do_free_larger, object, "alloc: free of ");
    CHECK_PANICS_WITH(do_free_larger, object, ", but it has ");
    verso_free_sized(object, verso_usable_size(object));
    object = verso_alloc(0);
    verso_free_sized(object, 0);
    object = verso_alloc(100000);
    verso_free_sized(object, 100000);
}

TEST(a_bad_free_of_a_small_object_names_its_cache)
{
    const char *const name = class_stats(0).name;
    size_t size = class_stats(0).size;
    char *object = verso_alloc(size), *second = verso_alloc(size);
    verso_free(second);
    CHECK_PANICS_WITH(do_free, second, "freed already");
    CHECK_PANICS_WITH(do_free, second, name);
    char *third = verso_alloc(size);
    CHECK_EQ((uintptr_t)third, (uintptr_t)second);
    CHECK_PANICS_WITH(do_free, object + 4, "not the start of an object");
    CHECK_PANICS_WITH(do_free, object + size - 1, name);
    verso_free(object);
    CHECK_PANICS_WITH(do_free, object, "freed already");
    verso_free(third);
    CHECK_PANICS_WITH(do_free, third, "freed already");
}

TEST(a_bad_free_of_pages_says_what_is_there)
{
    char *object = object_make(100000, 3);
    refused(object + 8, "inside the object at");
    refused(object + PAGE, "inside the object at");
    refused(object + 99999, "inside the object at");
    CHECK(pattern_holds(object, 100000, 3));
    verso_free(object);
    refused(object, "already free: the range at");
    refused(object + PAGE, "already free: the range at");
}

TEST(what_is_not_of_alloc_is_refused_by_name)
{
    static int fixed_data;
    int on_stack = 0;
    struct verso_area_request request = {
        .pages = 2, .flags = VERSO_AREA_GUARD, .name = "mapped by hand"};
    char *area = verso_area_alloc_as(&request);
    refused(area, "not an object but the area at");
    refused(area + 5, "mapped by hand");
    refused(area - 1, "mapped by hand"); /* its guards too */
    refused(area + 2 * PAGE, "mapped by hand");
    verso_area_free(area);
    area = verso_area_alloc(2, VERSO_AREA_MAPPED);
    refused(area, "not an object but the area at");
    verso_area_free(area);
    refused(&on_stack, "not an address of the heap");
    refused(&fixed_data, "not an address of the heap");
    refused((void *)(uintptr_t)8, "not an address of the heap");
    refused((void *)UINTPTR_MAX, "not an address of the heap");
    struct verso_slab_params params = {.name = "of its own", .size = 64};
    struct slab_desc *cache = verso_slab_create(&params);
    void *object = verso_slab_alloc(cache);
    CHECK_PANICS_WITH(do_free, object, "an object of cache of its own");
    verso_slab_free(cache, object);
    verso_slab_destroy(cache);
}

static void do_area_free(void *object)
{
    verso_area_free(object);
}

static void do_area_resize(void *object)
{
    (void)!verso_area_resize(object, 2);
}

/* An object of alloc is not an area of its user's, whatever it is made of. */
TEST(objects_are_not_freed_as_areas)
{
    void *small = verso_alloc(WORDS2);
    CHECK_PANICS_WITH(do_area_free, small, "area: free of");
    CHECK_PANICS_WITH(do_area_resize, small, "area: resize of");
    verso_free(small);
}

/* ---- running out ---- */

/* Objects that are held are linked through their first words. */
static void *held;
static size_t held_size; /* of the first of them */

static void hold_all(size_t size)
{
    for (void **object = verso_alloc(size); object != NULL;
         object = verso_alloc(size)) {
        *object = held;
        held = object;
        held_size = size;
    }
}

static void free_held(void)
{
    while (held != NULL) {
        void *object = held;
        held = *(void **)object;
        verso_free(object);
    }
}

TEST(when_memory_is_out_everything_says_so_and_all_of_it_comes_back)
{
    void *kept = object_make(200, 4);
    struct shut shut = {.count = 0};
    verso_trim();
    shut_again(&shut, 0x10000); /* 256 MiB are enough */
    uint64_t before = test_state_hash();
    for (size_t size = (size_t)4 << 20; size >= 4 * PAGE; size /= 4)
        hold_all(size);
    hold_all(3000);
    hold_all(WORDS2);
    if (!CHECK(held != NULL))
        return;
    CHECK(verso_alloc(100000) == NULL);
    CHECK(verso_alloc_aligned(PAGE, 1) == NULL);
    CHECK(verso_alloc_zeroed(1, WORDS2) == NULL);
    CHECK(verso_realloc(kept, 100000) == NULL);
    CHECK(pattern_holds(kept, 200, 4));
    CHECK(verso_check() == NULL);
    void *first = held; /* one goes, one of its size comes */
    held = *(void **)first;
    verso_free(first);
    first = verso_alloc(held_size);
    CHECK(first != NULL);
    verso_free(first);
    free_held();
    CHECK(test_state_hash() == before);
    CHECK(pattern_holds(kept, 200, 4));
    shut_open(&shut);
    verso_free(kept);
}

/* ---- each inner allocation fails ---- */

struct wish {
    size_t align, count, size;
    void *object;
};

static int wish_alloc(void *arg)
{
    struct wish *wish = arg;
    if (wish->align > 1)
        wish->object = verso_alloc_aligned(wish->align, wish->size);
    else if (wish->count > 0)
        wish->object = verso_alloc_zeroed(wish->count, wish->size);
    else
        wish->object = verso_alloc(wish->size);
    if (wish->object != NULL)
        pattern_fill(wish->object, wish->size, 8);
    return wish->object != NULL ? 0 : VERSO_NO_MEMORY;
}

static void wish_free(void *arg)
{
    struct wish *wish = arg;
    CHECK(pattern_holds(wish->object, wish->size, 8));
    verso_free(wish->object);
}

TEST(an_allocation_that_fails_anywhere_inside_has_changed_nothing)
{
    static struct wish wishes[] = {{1, 0, 1, NULL}, {1, 0, 100, NULL},
        {1, 0, 5000, NULL}, {1, 0, 16000, NULL}, {1, 0, 60000, NULL},
        {1, 0, 300000, NULL}, {1, 3, 1000, NULL}, {1, 2, 30000, NULL},
        {256, 0, 100, NULL}, {4096, 0, 100, NULL}, {65536, 0, 5000, NULL},
        {4 << 20, 0, 20000, NULL}};
    if (!inject_available())
        SKIP("no failure injection in this build");
    for (unsigned i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        struct inject_operation op = {wish_alloc, wish_free, &wishes[i], 0, 0};
        unsigned calls = inject_each_failure(&op, 60);
        if (!CHECK(calls >= 2 && calls < 60))
            test_note("%u calls for %zu bytes", calls, wishes[i].size);
    }
}

/* Returns whether the failure was reached. */
static bool realloc_fails_at(unsigned n, bool later, size_t from, size_t to)
{
    void *object = object_make(from, 21);
    uint64_t before = test_state_hash();
    if (later)
        inject_fail_from(n);
    else
        inject_fail_at(n);
    void *moved = verso_realloc(object, to);
    bool reached = inject_calls() >= n;
    inject_fail_at(0);
    if (moved == NULL) {
        CHECK(to > from);
        CHECK(test_state_hash() == before);
        moved = object;
        to = from;
    }
    CHECK(pattern_holds(moved, from < to ? from : to, 21));
    verso_free(moved);
    return reached;
}

TEST(a_realloc_that_fails_anywhere_inside_keeps_the_object)
{
    static const size_t pairs[][2] = {{10, 100}, {100, 6000}, {6000, 60000},
        {60000, 90000}, {90000, 60000}, {60000, 6000}, {6000, 10}};
    if (!inject_available())
        SKIP("no failure injection in this build");
    for (unsigned i = 0; i < 7; i++) {
        unsigned n = 1;
        bool reached = true;
        for (; reached && n < 60; n++) {
            reached = realloc_fails_at(n, false, pairs[i][0], pairs[i][1]);
            reached |= realloc_fails_at(n, true, pairs[i][0], pairs[i][1]);
        }
        CHECK(n < 60);
    }
}

/* ---- in an interrupt ---- */

TEST(in_an_interrupt_small_objects_come_and_go_and_pages_do_not)
{
    void *first = verso_alloc(WORDS2);
    machine_pretend_interrupt(true);
    void *second = verso_alloc(WORDS2);
    CHECK(second != NULL);
    CHECK(verso_alloc(100000) == NULL);
    CHECK(verso_realloc(second, 100000) == NULL);
    verso_free(second);
    verso_free(first);
    machine_pretend_interrupt(false);
}

/* ---- what a reader found ---- */

/* An object that is none has no size, and moves nowhere: pitfall 35. */
static void has_no_size(void *object, const char *text)
{
    CHECK_PANICS_WITH(do_usable, object, text);
    CHECK_PANICS_WITH(do_realloc, object, text);
    CHECK_PANICS_WITH(do_realloc_less, object, text);
}

TEST(realloc_and_size_of_what_is_no_object_name_its_cache)
{
    const char *const name = class_stats(0).name;
    struct verso_slab_params params = {.name = "of its own", .size = 64};
    struct slab_desc *cache = verso_slab_create(&params);
    char *object = verso_alloc(WORDS2), *second = verso_alloc(WORDS2);
    void *stays = verso_slab_alloc(cache); /* else the pages go */
    has_no_size(object + 1, "not the start of an object");
    has_no_size(object + WORDS2 / 2, name);
    verso_free(second);
    has_no_size(second, "freed already");
    has_no_size(second, name);
    verso_free(object);
    void *foreign = verso_slab_alloc(cache);
    has_no_size(foreign, "an object of cache of its own");
    verso_slab_free(cache, foreign);
    has_no_size(foreign, "of its own");
    verso_slab_free(cache, stays);
    verso_slab_destroy(cache);
    CHECK(verso_check() == NULL);
}

TEST(a_large_object_is_not_freed_as_an_area)
{
    char *large = object_make(100000, 9);
    CHECK_PANICS_WITH(do_area_free, large, "an object of alloc");
    CHECK(pattern_holds(large, 100000, 9));
    verso_free(large);
}

/* Whoever was interrupted may hold the lock of the areas. */
TEST(in_an_interrupt_objects_of_pages_are_left_alone)
{
    struct area_map *map = verso_i_area_kernel();
    char *large = object_make(100000, 10);
    lock_take(&map->lock);
    machine_pretend_interrupt(true);
    CHECK(verso_alloc(100000) == NULL);
    CHECK(verso_alloc_zeroed(1, 100000) == NULL);
    CHECK(verso_alloc_aligned(65536, 8) == NULL);
    CHECK(verso_realloc(large, 200000) == NULL);
    CHECK_PANICS_WITH(do_free, large, "in an interrupt");
    machine_pretend_interrupt(false);
    lock_drop(&map->lock);
    CHECK(pattern_holds(large, 100000, 10));
    verso_free(large);
}

/* What it prints is read by host-boot.t. */
TEST(the_report_says_why_the_last_request_had_no_memory)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    inject_fail_from(1);
    CHECK(verso_alloc(123457) == NULL);
    inject_fail_at(0);
    verso_report_slabs();
    machine_pretend_interrupt(true);
    CHECK(verso_alloc(123458) == NULL);
    machine_pretend_interrupt(false);
    verso_report_slabs();
}

SUITE(alloc, every_size_up_to_three_pages_has_room_and_keeps_its_contents,
    sizes_around_every_class_and_page_border_have_room,
    a_class_serves_the_sizes_above_the_one_before_and_no_other,
    alignments_up_to_4_MiB_are_kept, an_alignment_that_is_none_gives_null,
    sizes_that_overflow_give_null_and_change_nothing,
    zeroed_objects_are_zero_even_where_there_was_dirt,
    realloc_keeps_what_fits_from_any_size_to_any_other,
    realloc_of_null_allocates_and_to_nothing_leaves_an_object,
    an_object_of_pages_grows_and_shrinks_where_it_is,
    an_object_of_pages_that_is_walled_in_moves, freeing_nothing_does_nothing,
    a_size_that_the_object_does_not_have_is_refused,
    a_bad_free_of_a_small_object_names_its_cache,
    a_bad_free_of_pages_says_what_is_there,
    what_is_not_of_alloc_is_refused_by_name, objects_are_not_freed_as_areas,
    when_memory_is_out_everything_says_so_and_all_of_it_comes_back,
    an_allocation_that_fails_anywhere_inside_has_changed_nothing,
    a_realloc_that_fails_anywhere_inside_keeps_the_object,
    in_an_interrupt_small_objects_come_and_go_and_pages_do_not,
    realloc_and_size_of_what_is_no_object_name_its_cache,
    a_large_object_is_not_freed_as_an_area,
    in_an_interrupt_objects_of_pages_are_left_alone,
    the_report_says_why_the_last_request_had_no_memory);
