/* SPDX-License-Identifier: MIT */
/*
 * fault.c - whose page fault is it? Asked directly, with codes that this
 * machine cannot raise (user, execute), and by touching pages.
 */
#include <verso/area.h>
#include <verso/check.h>
#include <verso/fault.h>
#include <verso/frame.h>
#include <verso/paging.h>
#include <verso/reclaim.h>

#include "../kernel/machine.h"
#include "geometry.h"
#include "inject.h"
#include "pattern.h"
#include "shut.h"
#include "test.h"

#define PAGE    ((size_t)VERSO_PAGE_SIZE)
#define WRITE   VERSO_FAULT_WRITE
#define USER    VERSO_FAULT_USER
#define EXEC    VERSO_FAULT_EXEC
#define PRESENT VERSO_FAULT_PRESENT

static char *lazy_area(size_t pages, unsigned flags)
{
    char *area = verso_area_alloc(pages, VERSO_AREA_LAZY | flags);
    CHECK(area != NULL);
    return area;
}

static enum verso_fault ask(const void *at, unsigned code)
{
    return verso_fault((vaddr_t)at, code);
}

static bool is_mapped(const void *at)
{
    struct verso_mapping m;
    return verso_query((vaddr_t)at, &m) == VERSO_OK;
}

/* Frames that the next allocations get hold 0xff. */
static void soil_frames(void)
{
    char *dirt = verso_area_alloc(40, VERSO_AREA_MAPPED);
    if (!CHECK(dirt != NULL))
        return;
    for (size_t i = 0; i < 40 * PAGE; i++)
        dirt[i] = (char)0xff;
    verso_area_free(dirt);
}

/* ---- first touch ---- */

TEST(a_touched_page_is_zero_and_costs_one_frame)
{
    soil_frames();
    char *area = lazy_area(20, 0);
    CHECK_EQ(area[0], 0); /* its table is there now */
    size_t used = verso_frame_used();
    for (size_t i = 1; i < 20; i += 2) {
        volatile char *page = area + i * PAGE;
        if (i % 4 == 1)
            page[77] = 0; /* by a write, or by a read */
        CHECK(is_all((const char *)page, PAGE, 0));
        CHECK_EQ(verso_frame_used(), ++used);
        CHECK(!is_mapped(area + (i + 1) * PAGE % (20 * PAGE)) || i == 19);
    }
    for (size_t i = 1; i < 20; i += 2)
        pattern_fill(area + i * PAGE, PAGE, (uint32_t)i);
    for (size_t i = 1; i < 20; i += 2)
        CHECK(pattern_holds(area + i * PAGE, PAGE, (uint32_t)i));
    CHECK_EQ(verso_frame_used(), used);
    verso_area_free(area);
}

TEST(a_lazy_area_costs_nothing_before_it_is_touched_and_no_more_when_freed)
{
    verso_trim();
    size_t used = verso_frame_used();
    char *area = lazy_area(3000, VERSO_AREA_GUARD);
    verso_trim();
    CHECK(verso_frame_used() <= used + 2); /* its nodes and words */
    for (size_t i = 0; i < 3000; i += 600)
        CHECK_EQ(ask(area + i * PAGE, WRITE), VERSO_FAULT_HANDLED);
    verso_area_free(area);
    verso_trim();
    CHECK_EQ(verso_frame_used(), used);
}

TEST(the_same_page_faulting_again_is_spurious)
{
    char *area = lazy_area(2, 0);
    CHECK_EQ(ask(area + 5, 0), VERSO_FAULT_HANDLED);
    size_t used = verso_frame_used();
    CHECK_EQ(ask(area + 6, 0), VERSO_FAULT_SPURIOUS);
    CHECK_EQ(ask(area, WRITE), VERSO_FAULT_SPURIOUS);
    CHECK_EQ(ask(area, WRITE | PRESENT), VERSO_FAULT_SPURIOUS);
    CHECK_EQ(verso_frame_used(), used);
    verso_area_free(area);
}

/* ---- rights ---- */

TEST(a_lazy_page_is_made_only_for_who_may_use_it)
{
    static const struct {
        unsigned rights, good, bad;
    } cases[] = {{VERSO_RW, WRITE, USER}, {VERSO_RW, 0, EXEC},
        {VERSO_READ, 0, WRITE}, {VERSO_RX, EXEC, WRITE},
        {VERSO_RW | VERSO_USER, USER | WRITE, EXEC},
        {VERSO_RX | VERSO_USER, USER | EXEC, USER | WRITE}};
    for (unsigned i = 0; i < 6; i++) {
        char *area = lazy_area(1, cases[i].rights);
        size_t used = verso_frame_used();
        CHECK_EQ(ask(area, cases[i].bad), VERSO_FAULT_NOT_OURS);
        CHECK(!is_mapped(area));
        CHECK_EQ(verso_frame_used(), used);
        CHECK_EQ(ask(area, cases[i].good), VERSO_FAULT_HANDLED);
        CHECK(is_mapped(area));
        if (test_has_failed())
            test_note("case %u", i);
        verso_area_free(area);
    }
}

TEST(a_page_touched_after_protect_has_the_new_rights)
{
    char *area = lazy_area(3, 0);
    area[0] = 1;
    CHECK_OK(verso_area_protect(area, VERSO_READ));
    CHECK_EQ(ask(area, WRITE | PRESENT), VERSO_FAULT_NOT_OURS);
    CHECK_EQ(ask(area + PAGE, WRITE), VERSO_FAULT_NOT_OURS);
    CHECK(machine_probe(area + PAGE, true));
    CHECK(machine_probe(area, true));
    CHECK_EQ(((volatile char *)area)[2 * PAGE], 0); /* reading makes it */
    CHECK(machine_probe(area + 2 * PAGE, true));
    CHECK_OK(verso_area_protect(area, VERSO_RW));
    CHECK_EQ(area[0], 1);
    area[0] = 2;
    area[PAGE] = 3;
    area[2 * PAGE] = 4;
    verso_area_free(area);
}

/* pitfall 16: the right was gained without a flush, so this CPU may still
 * believe that it is missing. The write succeeds, at the latest on retry. */
TEST(a_fault_on_a_right_that_was_gained_meanwhile_is_spurious)
{
    volatile char *area = verso_area_alloc(2, VERSO_AREA_MAPPED | VERSO_READ);
    CHECK_EQ(ask((char *)area, WRITE | PRESENT), VERSO_FAULT_NOT_OURS);
    (void)area[0];
    CHECK(machine_probe(area, true)); /* the machine knows: read only */
    CHECK_OK(verso_area_protect((void *)(uintptr_t)area, VERSO_RW));
    area[0] = 9;
    CHECK_EQ(area[0], 9);
    CHECK_EQ(ask((char *)area + 1, WRITE | PRESENT), VERSO_FAULT_SPURIOUS);
    CHECK_EQ(ask((char *)area + 1, PRESENT), VERSO_FAULT_SPURIOUS);
    CHECK_EQ(
        ask((char *)area + 1, WRITE | USER | PRESENT), VERSO_FAULT_NOT_OURS);
    verso_area_free((void *)(uintptr_t)area);
}

/* A spurious fault takes the stale translation away, or it would come again
 * for ever: as the test above, but the answer is all that helps. */
TEST(a_spurious_fault_invalidates_what_was_stale)
{
    struct verso_paging_stats before, after;
    char *area = verso_area_alloc(1, VERSO_AREA_MAPPED);
    verso_paging_stats(&before);
    CHECK_EQ(ask(area, WRITE | PRESENT), VERSO_FAULT_SPURIOUS);
    verso_paging_stats(&after);
    CHECK(after.invalidations + after.flushes >
          before.invalidations + before.flushes);
    verso_area_free(area);
}

/* ---- not ours ---- */

static void not_ours(const void *at)
{
    static const unsigned codes[] = {
        0, WRITE, USER, EXEC, USER | WRITE, PRESENT | USER | WRITE};
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQ(ask(at, codes[i]), VERSO_FAULT_NOT_OURS);
    CHECK(machine_probe(at, false));
    CHECK(machine_probe(at, true));
    if (test_has_failed())
        test_note("at %p", at);
}

TEST(guards_are_nobodys_of_lazy_and_of_mapped_areas)
{
    static const unsigned flags[] = {VERSO_AREA_LAZY, VERSO_AREA_MAPPED};
    for (unsigned i = 0; i < 2; i++) {
        char *area = verso_area_alloc(2, flags[i] | VERSO_AREA_GUARD);
        not_ours(area - 1);
        not_ours(area - PAGE);
        not_ours(area + 2 * PAGE);
        not_ours(area + 3 * PAGE - 1);
        CHECK(!machine_probe(area, true));
        CHECK(!machine_probe(area + 2 * PAGE - 1, true));
        verso_area_free(area);
    }
}

TEST(pages_of_bare_and_of_freed_areas_are_nobodys)
{
    char *area = verso_area_alloc(2, VERSO_AREA_BARE);
    not_ours(area);
    verso_area_free(area);
    not_ours(area);
    area = lazy_area(2, 0);
    area[0] = 1;
    verso_area_free(area);
    not_ours(area);
    not_ours(area + PAGE);
}

TEST(null_and_addresses_outside_the_heap_are_nobodys)
{
    size_t pages;
    vaddr_t window = test_window(&pages);
    CHECK_EQ(verso_fault(0, 0), VERSO_FAULT_NOT_OURS);
    CHECK_EQ(verso_fault(8, WRITE), VERSO_FAULT_NOT_OURS);
    CHECK_EQ(verso_fault(UINTPTR_MAX, 0), VERSO_FAULT_NOT_OURS);
    CHECK_EQ(verso_fault(UINTPTR_MAX, WRITE | USER), VERSO_FAULT_NOT_OURS);
    not_ours((const void *)window);
    not_ours((const void *)(window + pages * PAGE - 1));
}

TEST(the_tables_themselves_are_not_for_users)
{
    struct machine_mirror mirror;
    machine_mirror(&mirror);
    CHECK_EQ(verso_fault(mirror.directory, USER | PRESENT | WRITE),
        VERSO_FAULT_NOT_OURS);
    CHECK_EQ(
        verso_fault(mirror.directory, USER | PRESENT), VERSO_FAULT_NOT_OURS);
}

/* ---- no memory ---- */

TEST(without_frames_a_touch_says_no_memory_and_works_when_there_are_some)
{
    struct shut shut = {.count = 0};
    char *area = lazy_area(3, 0);
    area[PAGE] = 7;
    uint64_t before = test_state_hash();
    verso_trim();
    shut_again(&shut, 0);
    CHECK_EQ(ask(area, WRITE), VERSO_FAULT_NO_MEMORY);
    CHECK_EQ(ask(area + 2 * PAGE, 0), VERSO_FAULT_NO_MEMORY);
    CHECK_EQ(ask(area + PAGE, WRITE), VERSO_FAULT_SPURIOUS);
    CHECK(!is_mapped(area));
    CHECK(machine_probe(area, true));
    shut_open(&shut);
    CHECK(test_state_hash() == before);
    CHECK_EQ(ask(area, WRITE), VERSO_FAULT_HANDLED);
    area[0] = 1;
    CHECK_EQ(area[PAGE], 7);
    verso_area_free(area);
}

static int touch(void *arg)
{
    switch (ask(arg, WRITE)) {
    case VERSO_FAULT_HANDLED:
        return 0;
    case VERSO_FAULT_NO_MEMORY:
        return VERSO_NO_MEMORY;
    default:
        CHECK(false);
        return VERSO_BAD_ARG;
    }
}

static void untouch(void *arg)
{
    struct verso_mapping m;
    CHECK_OK(verso_query((vaddr_t)arg, &m));
    CHECK_OK(verso_unmap((vaddr_t)arg, 1));
    verso_frame_free1(paddr_to_pfn(m.pa));
}

TEST(a_touch_that_fails_anywhere_inside_has_changed_nothing)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    /* alone in its 4 MiB: its table must be made too */
    struct verso_area_request request = {
        .pages = 1024, .flags = VERSO_AREA_LAZY, .align = (size_t)4 << 20};
    char *area = verso_area_alloc_as(&request);
    if (!CHECK(area != NULL))
        return;
    struct inject_operation op = {
        touch, untouch, area + 512 * PAGE, (vaddr_t)area, 1024};
    unsigned calls = inject_each_failure(&op, 20);
    CHECK(calls >= 3 && calls < 20); /* commit, a frame, a table */
    verso_area_free(area);
}

/* ---- what a reader found ---- */

/* Write and execute come with read: for the page as for the question. */
TEST(a_lazy_area_to_write_or_to_execute_may_be_read)
{
    static const unsigned rights[] = {VERSO_WRITE, VERSO_EXEC};
    static const unsigned codes[2][2] = {{WRITE, 0}, {EXEC, 0}};
    struct verso_area_info info;
    for (unsigned i = 0; i < 4; i++) {
        char *area = lazy_area(2, i < 2 ? rights[i] : VERSO_RW);
        if (i >= 2)
            CHECK_OK(verso_area_protect(area, rights[i - 2]));
        CHECK_OK(verso_area_find(area, &info));
        CHECK_EQ(info.flags & VERSO_RIGHTS_MASK, rights[i % 2] | VERSO_READ);
        for (unsigned page = 0; page < 2; page++) {
            CHECK_EQ(ask(area + page * PAGE, codes[i % 2][page]),
                VERSO_FAULT_HANDLED);
            CHECK(is_mapped(area + page * PAGE));
        }
        CHECK(verso_check() == NULL);
        verso_area_free(area);
    }
}

/* There a large page looks like one that may be run, and the entry for the
 * mirror forbids it: to try again would never end. */
TEST(what_the_mirror_shows_is_never_tried_again)
{
    size_t pages, large = geometry_large_pages();
    vaddr_t va = test_window(&pages);
    if (!geometry_has_mirror() || large == 0)
        SKIP("no mirror, or no large pages");
    CHECK_OK(verso_map(va, geometry_nowhere(), large, VERSO_RX));
    CHECK_EQ(verso_fault(geometry_mirror_entry(va),
                 VERSO_FAULT_PRESENT | VERSO_FAULT_EXEC),
        VERSO_FAULT_NOT_OURS);
    CHECK_OK(verso_unmap(va, large));
}

SUITE(fault, what_the_mirror_shows_is_never_tried_again,
    a_touched_page_is_zero_and_costs_one_frame,
    a_lazy_area_costs_nothing_before_it_is_touched_and_no_more_when_freed,
    the_same_page_faulting_again_is_spurious,
    a_lazy_page_is_made_only_for_who_may_use_it,
    a_page_touched_after_protect_has_the_new_rights,
    a_fault_on_a_right_that_was_gained_meanwhile_is_spurious,
    a_spurious_fault_invalidates_what_was_stale,
    guards_are_nobodys_of_lazy_and_of_mapped_areas,
    pages_of_bare_and_of_freed_areas_are_nobodys,
    null_and_addresses_outside_the_heap_are_nobodys,
    the_tables_themselves_are_not_for_users,
    without_frames_a_touch_says_no_memory_and_works_when_there_are_some,
    a_touch_that_fails_anywhere_inside_has_changed_nothing,
    a_lazy_area_to_write_or_to_execute_may_be_read);
