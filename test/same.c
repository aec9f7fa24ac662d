/* SPDX-License-Identifier: MIT */
/*
 * same.c - random maps, unmaps and protects of one window, and a hash over the
 * translations they leave. The tables of two machines differ in levels and page
 * sizes, what they translate may not: one seed gives one hash everywhere, which
 * same.t compares. So nothing of the machine goes into it:
 *
 *     page - first of the window | number in the list of frames | rights
 *
 * the outcome of each call is in it as well. The list is 4 MiB of frames in a
 * row, for large pages, and singles after it.
 */
#include <verso/verso.h>

#include "test.h"

#define WINDOW     4096u /* pages */
#define RUN        1024u /* frames in a row */
#define RUN_ORDER  10u
#define SINGLES    61u
#define FRAMES     (RUN + SINGLES)
#define OPERATIONS 3000u
#define ROUNDS     4u

static const unsigned rights[] = {0, VERSO_READ, VERSO_RW, VERSO_RX,
    VERSO_RW | VERSO_EXEC | VERSO_WX, VERSO_READ | VERSO_USER,
    VERSO_RW | VERSO_USER};
#define RIGHTS (sizeof(rights) / sizeof(rights[0]))

static struct {
    vaddr_t window;
    pfn_t run;
    pfn_t single[SINGLES];
    uint64_t hash;
    size_t mapped; /* pages found at the last look */
} same;

static void add(uint64_t value)
{
    same.hash = (same.hash ^ value) * 0x100000001b3ull;
}

static uint32_t below(uint32_t n)
{
    return test_random_below(n);
}

static vaddr_t va_of(size_t page)
{
    return same.window + (page << VERSO_PAGE_SHIFT);
}

/* A range of the window; every fourth is whole 4-MiB pages. */
static void choose(size_t *page, size_t *pages)
{
    switch (below(4)) {
    case 0:
        *page = below(WINDOW / RUN) * RUN;
        *pages = RUN;
        return;
    case 1:
        *pages = 1 + below(RUN);
        break;
    default:
        *pages = 1 + below(40);
    }
    *page = below((uint32_t)(WINDOW - *pages + 1));
}

static int map_some(size_t page, size_t pages, unsigned flags)
{
    static pfn_t list[SINGLES];
    if (pages == RUN || below(2) == 0) {
        uint32_t from = pages == RUN ? 0 : below(RUN - (uint32_t)pages + 1);
        return verso_map(va_of(page), pfn_add(same.run, from), pages, flags);
    }
    if (pages > SINGLES)
        pages = SINGLES;
    for (size_t i = 0; i < pages; i++)
        list[i] = same.single[below(SINGLES)];
    return verso_map_frames(va_of(page), list, pages, flags);
}

static int operate(void)
{
    size_t page, pages;
    unsigned flags = rights[below(RIGHTS)];
    choose(&page, &pages);
    switch (below(5)) {
    case 0:
        return verso_unmap(va_of(page), pages);
    case 1:
    case 2:
        return verso_protect(va_of(page), pages, flags);
    default:
        return map_some(page, pages, flags);
    }
}

/* The number of a frame in the list. */
static uint64_t number_of(pfn_t pfn)
{
    uint32_t in_run = pfn_nr(pfn) - pfn_nr(same.run);
    if (in_run < RUN)
        return in_run;
    for (size_t i = 0; i < SINGLES; i++)
        if (pfn_nr(same.single[i]) == pfn_nr(pfn))
            return RUN + i;
    return FRAMES;
}

static void look_at_all(void)
{
    struct verso_mapping m;
    same.mapped = 0;
    for (size_t page = 0; page < WINDOW; page++) {
        if (verso_query(va_of(page), &m) != VERSO_OK)
            continue;
        uint64_t number = number_of(paddr_to_pfn(m.pa));
        CHECK(number < FRAMES);
        same.mapped++;
        add(page);
        add(number);
        add(m.flags);
    }
}

static bool take_frames(void)
{
    same.run = verso_frame_alloc(RUN_ORDER, VERSO_ZONE_ANY);
    if (pfn_is_none(same.run))
        return false;
    for (size_t i = 0; i < SINGLES; i++) {
        same.single[i] = verso_frame_alloc1(VERSO_ZONE_ANY);
        CHECK(!pfn_is_none(same.single[i]));
    }
    return true;
}

static void give_frames(void)
{
    for (size_t i = 0; i < SINGLES; i++)
        verso_frame_free1(same.single[i]);
    verso_frame_free(same.run, RUN_ORDER);
}

TEST(one_seed_leaves_one_map_on_every_machine)
{
    size_t pages;
    same.window = test_window(&pages);
    CHECK(pages >= WINDOW);
    same.hash = 0xcbf29ce484222325ull;
    if (!take_frames())
        SKIP("no 4 MiB of frames in a row");
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < OPERATIONS / ROUNDS; i++)
            add((uint64_t)(uint32_t)operate());
        look_at_all();
        CHECK(same.mapped > 0 && same.mapped < WINDOW);
    }
    CHECK_OK(verso_unmap(same.window, WINDOW));
    give_frames();
    test_note("the map: %016llx", (unsigned long long)same.hash);
}

SUITE(same, one_seed_leaves_one_map_on_every_machine);
