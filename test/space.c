/* SPDX-License-Identifier: MIT */
/*
 * space.c - several roots: each has the kernel's entries and its own, whichever
 * is loaded when they change.
 *
 * Pages of these tests are at users' addresses, but most without VERSO_USER, so
 * that the kernel may touch them whatever the CPU guards.
 */
#include <verso/alloc.h>
#include <verso/back.h>
#include <verso/check.h>
#include <verso/frame.h>
#include <verso/paging.h>
#include <verso/reclaim.h>
#include <verso/space.h>

#include "../kernel/machine.h"
#include "../src/paging.h"
#include "geometry.h"
#include "inject.h"
#include "test.h"

#define SPACES  3u
#define NOWHERE geometry_nowhere()
#define PAGES   (2 * geometry_table_pages() + 40)

static struct space space[SPACES];
static unsigned made;

/* Away from page 0, and where a large page may begin. */
static vaddr_t base(void)
{
    const struct verso_boot *boot = machine_boot();
    size_t large = geometry_large_pages() << VERSO_PAGE_SHIFT;
    return boot->user_start + 2 * (large != 0 ? large : 0x400000);
}

static vaddr_t at(size_t page)
{
    return base() + (page << VERSO_PAGE_SHIFT);
}

static volatile uint32_t *word_at(vaddr_t va)
{
    return (volatile uint32_t *)va;
}

/* `count` spaces; false if this machine has no addresses for them. */
static bool start(unsigned count)
{
    made = 0;
    if (machine_boot()->user_pages == 0) {
        test_skip("no addresses for user spaces here");
        return false;
    }
    while (made < count && CHECK_OK(verso_i_paging_space_init(&space[made])))
        made++;
    return made == count;
}

/* Nothing is left mapped in them. */
static void end(void)
{
    const struct verso_boot *boot = machine_boot();
    verso_space_switch(verso_space_kernel());
    CHECK(verso_check() == NULL);
    while (made > 0) {
        made--;
        CHECK_OK(verso_space_unmap(
            &space[made], boot->user_start, boot->user_pages));
        verso_i_paging_space_fini(&space[made]);
    }
}

static pfn_t frame_with(uint32_t word)
{
    size_t pages;
    vaddr_t va = test_window(&pages);
    pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
    CHECK(!pfn_is_none(pfn));
    CHECK_OK(verso_map(va, pfn, 1, VERSO_RW));
    *word_at(va) = word;
    CHECK_OK(verso_unmap(va, 1));
    return pfn;
}

static void audit(void)
{
    CHECK(!test_audit || test_audit() == 0);
    CHECK(verso_check() == NULL);
}

TEST(one_address_leads_to_another_page_in_each_space)
{
    pfn_t pfn[SPACES];
    if (!start(SPACES))
        return;
    for (unsigned i = 0; i < SPACES; i++) {
        pfn[i] = frame_with(100 + i);
        CHECK_OK(verso_space_map(&space[i], at(5), pfn[i], 1, VERSO_RW));
    }
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < SPACES; i++) {
            verso_space_switch(&space[i]);
            CHECK(verso_space_now() == &space[i]);
            CHECK_EQ(*word_at(at(5)), 100 + i + 10 * round);
            *word_at(at(5)) += 10;
            audit();
        }
    verso_space_switch(verso_space_kernel());
    CHECK(machine_probe(word_at(at(5)), false));
    end();
    for (unsigned i = 0; i < SPACES; i++)
        verso_frame_free1(pfn[i]);
}

/* pitfall 8: no second mirror that would have to be flushed. */
TEST(a_space_that_is_not_loaded_is_edited_through_no_stale_window)
{
    struct verso_mapping m;
    pfn_t pfn[2];
    if (!start(3))
        return;
    for (unsigned i = 0; i < 2; i++)
        pfn[i] = frame_with(i);
    for (unsigned loaded = 0; loaded < 3; loaded++) {
        verso_space_switch(&space[loaded]);
        for (unsigned i = 0; i < 40; i++) {
            struct space *s = &space[i % 3];
            size_t page = i / 3 * 37;
            CHECK_OK(verso_space_map(s, at(page), pfn[i % 2], 1, VERSO_RW));
            CHECK_EQ(verso_space_map(s, at(page), pfn[0], 1, VERSO_RW),
                VERSO_EXISTS);
            CHECK_OK(verso_space_protect(s, at(page), 1, VERSO_READ));
            CHECK_OK(verso_space_query(s, at(page), &m));
            CHECK_EQ(pfn_nr(paddr_to_pfn(m.pa)), pfn_nr(pfn[i % 2]));
            CHECK_EQ(m.flags, VERSO_READ);
            if (s == &space[loaded])
                CHECK_EQ(*word_at(at(page)), i % 2);
        }
        audit();
        for (unsigned i = 0; i < 40; i++) {
            CHECK_OK(verso_space_unmap(&space[i % 3], at(i / 3 * 37), 1));
            CHECK_EQ(verso_space_query(&space[i % 3], at(i / 3 * 37), &m),
                VERSO_ABSENT);
        }
        audit();
    }
    end();
    verso_frame_free1(pfn[0]);
    verso_frame_free1(pfn[1]);
}

/* What an edit must flush, in the space that is loaded and in one that comes
 * back. */
TEST(what_is_unmapped_in_a_space_is_gone_when_it_is_loaded_again)
{
    if (!start(2))
        return;
    pfn_t first = frame_with(1), second = frame_with(2);
    for (unsigned other = 0; other < 2; other++) {
        CHECK_OK(verso_space_map(&space[0], at(1), first, 1, VERSO_RW));
        verso_space_switch(&space[0]);
        CHECK_EQ(*word_at(at(1)), 1);
        verso_space_switch(&space[other]);
        CHECK_OK(verso_space_unmap(&space[0], at(1), 1));
        CHECK_OK(verso_space_map(&space[0], at(1), second, 1, VERSO_READ));
        verso_space_switch(&space[0]);
        CHECK_EQ(*word_at(at(1)), 2);
        CHECK(machine_probe(word_at(at(1)), true));
        CHECK_OK(verso_space_unmap(&space[0], at(1), 1));
        CHECK(machine_probe(word_at(at(1)), false));
        audit();
    }
    end();
    verso_frame_free1(first);
    verso_frame_free1(second);
}

/* More pages than are invalidated one by one. */
TEST(many_pages_unmapped_in_a_space_are_gone_when_it_is_loaded_again)
{
    const size_t pages = 100;
    if (!start(2))
        return;
    pfn_t pfn = frame_with(1);
    for (unsigned other = 0; other < 2; other++) {
        for (size_t i = 0; i < pages; i++)
            CHECK_OK(verso_space_map(&space[0], at(i), pfn, 1, VERSO_RW));
        verso_space_switch(&space[0]);
        for (size_t i = 0; i < pages; i++)
            CHECK_EQ(*word_at(at(i)), 1);
        verso_space_switch(&space[other]);
        CHECK_OK(verso_space_unmap(&space[0], at(0), pages));
        verso_space_switch(&space[0]);
        for (size_t i = 0; i < pages; i++)
            CHECK(machine_probe(word_at(at(i)), false));
    }
    end();
    verso_frame_free1(pfn);
}

/* pitfall 50: what a window showed may be anybody's next. */
TEST(no_window_stays_open)
{
    struct verso_mapping m;
    if (!start(1))
        return;
    CHECK_OK(verso_space_map(&space[0], at(0), NOWHERE, PAGES, VERSO_READ));
    const vaddr_t window = machine_boot()->window;
    for (size_t i = 0; window != 0 && i < VERSO_WINDOW_PAGES; i++)
        if (verso_query(window + (i << VERSO_PAGE_SHIFT), &m) == VERSO_OK)
            CHECK_EQ(m.state & VERSO_MAPPED_PRESENT, 0);
    end();
}

/* pitfall 10: in whichever space the kernel is when it maps something. */
TEST(a_kernel_page_mapped_in_one_space_is_there_in_all)
{
    size_t pages;
    const vaddr_t va = test_window(&pages);
    if (!start(SPACES))
        return;
    pfn_t pfn = frame_with(77);
    for (unsigned i = 0; i < SPACES; i++) {
        verso_space_switch(&space[i]);
        CHECK_OK(verso_map(va, pfn, 1, VERSO_RW));
        audit();
        for (unsigned j = 0; j < SPACES; j++) {
            verso_space_switch(&space[j]);
            CHECK_EQ(*word_at(va), 77);
        }
        verso_space_switch(verso_space_kernel());
        CHECK_EQ(*word_at(va), 77);
        verso_space_switch(&space[(i + 1) % SPACES]);
        CHECK_OK(verso_unmap(va, 1));
        audit();
        for (unsigned j = 0; j < SPACES; j++) {
            verso_space_switch(&space[j]);
            CHECK(machine_probe(word_at(va), false));
        }
    }
    end();
    verso_frame_free1(pfn);
}

/* With two levels, large pages of the kernel stand in the roots themselves. */
TEST(a_large_page_of_the_kernel_changes_in_every_root)
{
    const size_t large = geometry_large_pages();
    struct verso_mapping m;
    size_t pages;
    const vaddr_t va = test_window(&pages);
    if (large == 0)
        SKIP("no large pages");
    if (!start(SPACES))
        return;
    verso_space_switch(&space[1]);
    CHECK_OK(verso_map(va, NOWHERE, large, VERSO_RW));
    audit();
    verso_space_switch(&space[2]);
    CHECK_OK(verso_protect(va, large, VERSO_READ));
    audit();
    CHECK_OK(verso_query(va, &m));
    CHECK_EQ(m.page_pages, large);
    verso_space_switch(&space[0]); /* a part of it: split */
    CHECK_OK(verso_protect(va + VERSO_PAGE_SIZE, 1, VERSO_RW));
    audit();
    for (unsigned i = 0; i < SPACES; i++) {
        verso_space_switch(&space[i]);
        CHECK_OK(verso_query(va + VERSO_PAGE_SIZE, &m));
        CHECK_EQ(m.flags, VERSO_RW);
        CHECK_EQ(m.page_pages, 1);
    }
    CHECK_OK(verso_unmap(va, large));
    audit();
    end();
}

/* pitfall 22: the CPU says so in the root that is loaded. */
TEST(use_of_a_large_kernel_page_is_known_whichever_root_was_loaded)
{
    const size_t large = geometry_large_pages();
    unsigned order = 0;
    size_t pages;
    static unsigned char bits[1024];
    const vaddr_t va = test_window(&pages);
    struct verso_mapping m;
    while ((size_t)1 << order < large)
        order++;
    if (large == 0 || (test_use_is_random && test_use_is_random()))
        SKIP("no large pages, or use at random");
    pfn_t run = verso_frame_alloc(order, VERSO_ZONE_ANY);
    if (pfn_is_none(run))
        SKIP("no large page of frames");
    if (start(2)) {
        verso_space_switch(&space[1]);
        CHECK_OK(verso_map(va, run, large, VERSO_RW));
        verso_space_switch(&space[0]);
        CHECK_OK(verso_query(va, &m));
        CHECK_EQ(m.state & VERSO_MAPPED_DIRTY, 0);
        *word_at(va) = 1;
        verso_space_switch(&space[1]);
        CHECK_OK(verso_query(va, &m));
        CHECK_EQ(m.state & VERSO_MAPPED_DIRTY, VERSO_MAPPED_DIRTY);
        CHECK_OK(verso_harvest(va, large, bits));
        CHECK_EQ(bits[0], 3);
        CHECK_OK(verso_harvest(va, large, bits));
        CHECK_EQ(bits[0], 0);
        *word_at(va) = 1;
        verso_space_switch(&space[0]);
        CHECK_OK(verso_protect(va, large, VERSO_READ));
        CHECK_OK(verso_protect(va, large, VERSO_RW));
        CHECK_OK(verso_harvest(va, large, bits));
        CHECK_EQ(bits[0], 3);
        *word_at(va) = 2;
        verso_space_switch(verso_space_kernel()); /* split: parts inherit */
        CHECK_OK(verso_protect(va, 1, VERSO_READ));
        CHECK_OK(verso_query(va + VERSO_PAGE_SIZE, &m));
        CHECK_EQ(m.state & VERSO_MAPPED_DIRTY, VERSO_MAPPED_DIRTY);
        CHECK_OK(verso_unmap(va, large));
        end();
    }
    verso_frame_free(run, order);
}

/* pitfall 22: a frame that is taken for clean is not written back. */
TEST(use_of_a_large_kernel_page_outlives_the_space_it_was_used_in)
{
    const size_t large = geometry_large_pages();
    static unsigned char bits[1024];
    struct verso_mapping m;
    unsigned order = 0;
    size_t pages;
    const vaddr_t va = test_window(&pages);
    if (large == 0)
        SKIP("no large pages");
    while ((size_t)1 << order < large)
        order++;
    pfn_t run = verso_frame_alloc(order, VERSO_ZONE_ANY);
    if (pfn_is_none(run))
        SKIP("no large page of frames");
    CHECK_OK(verso_map(va, run, large, VERSO_RW));
    if (start(2)) {
        verso_space_switch(&space[1]);
        *word_at(va) = 1;
        end();
    }
    CHECK_OK(verso_query(va, &m));
    CHECK(
        machine_boot()->user_pages == 0 || (m.state & VERSO_MAPPED_DIRTY) != 0);
    CHECK_OK(verso_harvest(va, large, bits));
    CHECK(machine_boot()->user_pages == 0 || bits[0] == 3);
    CHECK_OK(verso_unmap(va, large));
    verso_frame_free(run, order);
}

TEST(an_entry_that_only_the_loaded_root_has_is_found_by_the_check)
{
    const unsigned top = geometry_levels() - 1;
    const vaddr_t va = machine_boot()->heap_start;
    if (!start(1))
        return;
    if (test_calm)
        test_calm(true);
    verso_space_switch(&space[0]);
    const uint64_t raw = geometry_entry(va, top);
    geometry_entry_set(va, top, raw ^ geometry_user_bit());
    const char *broken = verso_check();
    geometry_entry_set(va, top, raw);
    if (CHECK(broken != NULL))
        CHECK(memcmp(broken, "paging.10:", 10) == 0);
    if (test_calm)
        test_calm(false);
    end();
}

/* ---- a scheduler that is never idle ---- */

static unsigned turns;

/* Comes at any time, and loads another root. */
static void schedule(void)
{
    const unsigned which = turns++ % (SPACES + 1);
    verso_space_switch(which < SPACES ? &space[which] : verso_space_kernel());
}

/* pitfall 50. What the mirror shows of a user space, and which root it shows,
 * is another after any interrupt. */
static void change_interrupted(struct space *s, vaddr_t va, size_t pages)
{
    struct verso_mapping m;
    CHECK_OK(verso_space_map(s, va, NOWHERE, pages, VERSO_RW));
    CHECK_OK(verso_space_protect(s, va, pages, VERSO_READ));
    for (size_t i = 0; i < pages; i += 64) {
        CHECK_OK(verso_space_query(s, va + (i << VERSO_PAGE_SHIFT), &m));
        CHECK_EQ(m.flags, VERSO_READ);
        CHECK_EQ(pfn_nr(paddr_to_pfn(m.pa)), pfn_nr(NOWHERE) + i);
    }
    CHECK_OK(verso_space_protect(s, va + 5 * VERSO_PAGE_SIZE, 1, VERSO_RW));
    CHECK_OK(verso_space_unmap(s, va + 9 * VERSO_PAGE_SIZE, pages - 9));
    CHECK_OK(verso_space_query(s, va + 8 * VERSO_PAGE_SIZE, &m));
    CHECK_OK(verso_space_unmap(s, va, pages));
    CHECK_EQ(verso_space_query(s, va, &m), VERSO_ABSENT);
}

TEST(another_root_may_be_loaded_at_any_time)
{
    size_t pages;
    const vaddr_t va = test_window(&pages);
    if (!test_interrupt)
        SKIP("nobody interrupts here");
    if (!start(SPACES))
        return;
    for (turns = 0; turns < 8 && !test_has_failed();) {
        const unsigned first = turns;
        test_interrupt(schedule);
        change_interrupted(verso_space_kernel(), va, PAGES);
        change_interrupted(&space[0], at(0), PAGES);
        test_interrupt(NULL);
        CHECK(turns > first + 100);
        audit();
        turns = first + 1;
    }
    end();
}

TEST(each_kind_of_space_refuses_the_addresses_of_the_other)
{
    const struct verso_boot *boot = machine_boot();
    size_t pages;
    struct verso_mapping m;
    if (!start(1))
        return;
    const vaddr_t last =
        boot->user_start + ((boot->user_pages - 1) << VERSO_PAGE_SHIFT);
    const struct {
        struct space *space;
        vaddr_t va;
        size_t pages;
    } bad[] = {{verso_space_kernel(), at(0), 1},
        {verso_space_kernel(), last, 1},
        {verso_space_kernel(), boot->user_start, 1},
        {&space[0], test_window(&pages), 1}, {&space[0], boot->heap_start, 1},
        {&space[0], at(0), boot->user_pages}};
    CHECK_OK(verso_space_map(&space[0], last, NOWHERE, 1, VERSO_RW));
    uint64_t before = test_state_hash();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct space *s = bad[i].space;
        vaddr_t va = bad[i].va;
        int err = verso_space_map(s, va, NOWHERE, bad[i].pages, VERSO_RW);
        CHECK(err == VERSO_DENIED || err == VERSO_BAD_ARG);
        CHECK(verso_space_unmap(s, va, bad[i].pages) == err);
        CHECK(verso_space_protect(s, va, bad[i].pages, VERSO_READ) == err);
    }
    CHECK_EQ(verso_space_query(&space[0], boot->heap_start, &m), VERSO_DENIED);
    CHECK_EQ(verso_i_paging_map_frame(
                 verso_space_kernel(), at(0), NOWHERE, VERSO_RW),
        VERSO_DENIED);
    verso_space_switch(&space[0]); /* where the mirror shows the page */
    CHECK_EQ(verso_query(last, &m), VERSO_DENIED);
    CHECK_EQ(verso_space_query(verso_space_kernel(), last, &m), VERSO_DENIED);
    CHECK(!verso_i_paging_allows(verso_space_kernel(), last, VERSO_READ));
    CHECK(test_state_hash() == before);
    CHECK_OK(verso_space_unmap(&space[0], last, 1));
    end();
}

/* pitfall 18: nothing of a user space is cached over a load of another root. */
TEST(no_page_of_a_user_space_is_global)
{
    if (!start(1))
        return;
    verso_space_switch(&space[0]);
    CHECK_OK(verso_space_map(&space[0], at(0), NOWHERE, 1, VERSO_RW));
    CHECK_OK(
        verso_space_map(&space[0], at(1), NOWHERE, 1, VERSO_RW | VERSO_USER));
    for (size_t page = 0; page < 2; page++)
        CHECK_EQ(geometry_entry(at(page), 0) & geometry_global_bit(), 0);
    CHECK(!geometry_user_reaches(at(0)));
    CHECK(geometry_user_reaches(at(1)));
    end();
}

static void finish_loaded(void)
{
    verso_i_paging_space_fini(&space[0]);
}

/* pitfall 42 */
TEST(the_end_of_a_space_that_is_loaded_or_has_pages_panics)
{
    if (!start(1))
        return;
    verso_space_switch(&space[0]);
    CHECK_PANICS(finish_loaded, "and is loaded");
    verso_space_switch(verso_space_kernel());
    CHECK_OK(verso_space_map(&space[0], at(0), NOWHERE, 1, VERSO_RW));
    CHECK_PANICS(finish_loaded, "tables");
    end();
}

/* pitfall 40, in a space that is not loaded. */
TEST(a_space_without_pages_is_a_root_and_nothing_else)
{
    struct verso_frame_stats before, after;
    if (!start(1))
        return;
    verso_trim();
    verso_frame_stats(&before);
    for (unsigned loaded = 0; loaded < 2; loaded++) {
        verso_space_switch(loaded ? &space[0] : verso_space_kernel());
        CHECK_OK(verso_space_map(&space[0], at(0), NOWHERE, PAGES, VERSO_READ));
        CHECK_OK(
            verso_space_map(&space[0], at(PAGES + 7), NOWHERE, 1, VERSO_READ));
        CHECK_OK(verso_space_unmap(&space[0], at(0), PAGES + 8));
        verso_trim();
        verso_frame_stats(&after);
        CHECK_EQ(after.used, before.used);
    }
    end();
}

static int map_many(void *arg)
{
    return verso_space_map(arg, at(3), NOWHERE, PAGES, VERSO_READ);
}

static void unmap_many(void *arg)
{
    CHECK_OK(verso_space_unmap(arg, at(3), PAGES));
}

/* pitfall 29 */
TEST(a_map_in_another_space_that_finds_no_memory_changes_nothing)
{
    struct inject_operation op = {
        .run = map_many, .undo = unmap_many, .arg = &space[0]};
    if (!inject_available())
        SKIP("no failure injection in this build");
    if (!start(2))
        return;
    op.also_va = at(0);
    op.also_pages = PAGES + 10;
    for (unsigned loaded = 0; loaded < 2; loaded++) {
        verso_space_switch(&space[loaded]);
        CHECK(inject_each_failure(&op, 50) > 2);
        inject_fail_at(1);
        CHECK_EQ(verso_i_paging_space_init(&space[2]), VERSO_NO_MEMORY);
        inject_fail_at(0);
    }
    end();
}

/* ---- at random, against arrays ---- */

#define MODEL_PAGES 1400u
#define FRAMES      24u
static struct {
    uint32_t pfn[SPACES][MODEL_PAGES];
    uint8_t flags[SPACES][MODEL_PAGES];
    pfn_t frame[FRAMES];
    unsigned loaded; /* SPACES: the kernel's */
} model;

static void load(unsigned which)
{
    model.loaded = which;
    verso_space_switch(which < SPACES ? &space[which] : verso_space_kernel());
}

static bool any_is(unsigned s, size_t page, size_t pages, bool mapped)
{
    for (size_t i = page; i < page + pages; i++)
        if ((model.pfn[s][i] != 0) == mapped)
            return true;
    return false;
}

static void model_map(unsigned s, size_t page, size_t pages, unsigned flags)
{
    static pfn_t list[64];
    const bool row = pages > 64 || test_random_below(2) == 0;
    const uint32_t first = pfn_nr(NOWHERE) + (uint32_t)page;
    for (size_t i = 0; i < pages && !row; i++)
        list[i] = model.frame[test_random_below(FRAMES)];
    int err =
        row ? verso_space_map(
                  &space[s], at(page), pfn_make(first), pages, flags)
            : verso_space_map_frames(&space[s], at(page), list, pages, flags);
    CHECK_EQ(err, any_is(s, page, pages, true) ? VERSO_EXISTS : VERSO_OK);
    for (size_t i = 0; err == 0 && i < pages; i++) {
        model.pfn[s][page + i] = row ? first + (uint32_t)i : pfn_nr(list[i]);
        model.flags[s][page + i] = (uint8_t)flags;
    }
}

static void model_protect(unsigned s, size_t page, size_t pages, unsigned flags)
{
    int err = verso_space_protect(&space[s], at(page), pages, flags);
    CHECK_EQ(err, any_is(s, page, pages, false) ? VERSO_ABSENT : VERSO_OK);
    for (size_t i = 0; err == 0 && i < pages; i++)
        model.flags[s][page + i] = (uint8_t)flags;
}

static void model_unmap(unsigned s, size_t page, size_t pages)
{
    CHECK_OK(verso_space_unmap(&space[s], at(page), pages));
    for (size_t i = 0; i < pages; i++)
        model.pfn[s][page + i] = 0;
}

static void model_look(unsigned s)
{
    struct verso_mapping m;
    for (size_t page = 0; page < MODEL_PAGES && !test_has_failed(); page++) {
        int err = verso_space_query(&space[s], at(page), &m);
        CHECK_EQ(err, model.pfn[s][page] != 0 ? VERSO_OK : VERSO_ABSENT);
        if (err != 0)
            continue;
        CHECK_EQ(pfn_nr(paddr_to_pfn(m.pa)), model.pfn[s][page]);
        CHECK_EQ(m.flags, model.flags[s][page]);
    }
}

/* Touches pages of the space that is loaded: those of frames that are RAM. */
static void model_touch(void)
{
    const unsigned s = model.loaded;
    for (unsigned i = 0; s < SPACES && i < 20; i++) {
        size_t page = test_random_below(MODEL_PAGES);
        bool there = model.pfn[s][page] != 0;
        if (there && model.pfn[s][page] >= pfn_nr(NOWHERE))
            continue;
        CHECK(machine_probe(word_at(at(page)), true) ==
              !(there && (model.flags[s][page] & VERSO_WRITE)));
    }
}

static void model_step(void)
{
    static const unsigned rights[] = {VERSO_READ, VERSO_RW};
    unsigned s = test_random_below(SPACES);
    unsigned flags = rights[test_random_below(2)];
    size_t pages = 1 + test_random_below(test_random_below(8) ? 30 : 1200);
    size_t page = test_random_below(MODEL_PAGES - (uint32_t)pages + 1);
    switch (test_random_below(6)) {
    case 0:
    case 1:
        model_map(s, page, pages, flags);
        break;
    case 2:
        model_protect(s, page, pages, flags);
        break;
    case 3:
        model_unmap(s, page, pages);
        break;
    case 4:
        load(test_random_below(SPACES + 1));
        break;
    default:
        model_touch();
    }
}

/* The kernel comes and goes in between, in whatever root is loaded. */
static void model_kernel(void)
{
    size_t pages;
    vaddr_t va = test_window(&pages);
    size_t page = (size_t)test_random_below(4) * geometry_table_pages();
    CHECK_OK(verso_map(va + (page << VERSO_PAGE_SHIFT), NOWHERE,
        1 + test_random_below(1100), VERSO_READ));
    load(test_random_below(SPACES + 1));
    audit();
    CHECK_OK(verso_unmap(va, 4 * geometry_table_pages() + 1100));
}

TEST(spaces_agree_with_arrays_after_random_operations)
{
    if (!start(SPACES))
        return;
    for (unsigned s = 0; s < SPACES; s++)
        for (size_t page = 0; page < MODEL_PAGES; page++)
            model.pfn[s][page] = 0;
    for (unsigned i = 0; i < FRAMES; i++)
        model.frame[i] = frame_with(i);
    load(SPACES);
    for (unsigned i = 0; i < 1500 && !test_has_failed(); i++) {
        model_step();
        if (i % 25 == 0)
            model_kernel();
        if (i % 100 == 0)
            for (unsigned s = 0; s < SPACES; s++)
                model_look(s);
    }
    audit();
    end();
    for (unsigned i = 0; i < FRAMES; i++)
        verso_frame_free1(model.frame[i]);
}

/* ---- with areas: space.c ---- */

#define LAZY (VERSO_AREA_LAZY | VERSO_RW)

static struct space *create(void)
{
    if (machine_boot()->user_pages == 0) {
        test_skip("no addresses for user spaces here");
        return NULL;
    }
    struct space *s = verso_space_create();
    CHECK(s != NULL);
    return s;
}

static void destroy(struct space *s)
{
    verso_space_switch(verso_space_kernel());
    CHECK(verso_check() == NULL);
    CHECK_OK(verso_space_destroy(s));
}

/* What an attempt at an area says. */
static int place(struct space *s, vaddr_t va, size_t pages, unsigned flags)
{
    struct verso_area_request request = {
        .pages = pages, .flags = flags, .fixed = va, .name = "test"};
    return verso_space_area_alloc(s, &request, &va);
}

/* Anywhere: va 0. */
static char *area_at(struct space *s, vaddr_t va, size_t pages, unsigned flags)
{
    struct verso_area_request request = {
        .pages = pages, .flags = flags, .fixed = va, .name = "test"};
    vaddr_t placed = 0;
    CHECK_OK(verso_space_area_alloc(s, &request, &placed));
    CHECK(va == 0 || placed == va);
    return (char *)placed;
}

/* As a user would, where there are users, else as the kernel. */
static bool touches(void *address, uint32_t word)
{
    int code = machine_access(address, VERSO_FAULT_WRITE | VERSO_FAULT_USER);
    if (code == MACHINE_CANNOT)
        machine_open_users(true);
    bool there = !machine_probe(address, true);
    CHECK(code == MACHINE_CANNOT || there == (code == MACHINE_PASSED));
    if (there)
        *(volatile uint32_t *)address += word;
    if (code == MACHINE_CANNOT)
        machine_open_users(false);
    return there;
}

static uint32_t word_of(void *address)
{
    machine_open_users(true);
    uint32_t word = *(volatile uint32_t *)address;
    machine_open_users(false);
    return word;
}

TEST(a_lazy_area_gets_its_page_in_the_space_that_is_loaded)
{
    struct space *a = create(), *b = a != NULL ? create() : NULL;
    struct verso_mapping m;
    if (b == NULL)
        return;
    char *in_a = area_at(a, at(3), 5, LAZY), *in_b = area_at(b, at(3), 5, LAZY);
    verso_space_switch(a);
    CHECK(touches(in_a, 7));
    CHECK_EQ(verso_space_query(b, at(3), &m), VERSO_ABSENT);
    verso_space_switch(b);
    CHECK(touches(in_b, 1));
    CHECK_EQ(word_of(in_b), 1); /* cleared, and not a's */
    verso_space_switch(verso_space_kernel());
    CHECK(!touches(in_a, 1));
    verso_space_switch(a);
    CHECK_EQ(word_of(in_a), 7);
    CHECK_OK(verso_space_query(a, at(3), &m));
    CHECK(m.flags & VERSO_USER);
    CHECK(!touches((void *)at(8), 1)); /* behind the area */
    destroy(a);
    destroy(b);
}

TEST(mapped_areas_of_a_space_that_is_not_loaded_are_there_when_it_is)
{
    struct space *a = create();
    if (a == NULL)
        return;
    char *area = area_at(a, 0, 40, VERSO_AREA_ZERO);
    char *bare = area_at(a, 0, 3, VERSO_AREA_BARE | VERSO_AREA_GUARD);
    verso_space_switch(a);
    CHECK(touches(area + 39 * VERSO_PAGE_SIZE, 3));
    CHECK(!touches(bare, 1));
    verso_space_switch(verso_space_kernel());
    CHECK_OK(verso_space_area_protect(a, (vaddr_t)area, VERSO_READ));
    CHECK_OK(verso_space_area_resize(a, (vaddr_t)area, 39));
    verso_space_switch(a);
    CHECK(!touches(area, 1));
    CHECK_EQ(word_of(area), 0);
    CHECK(!touches(area + 39 * VERSO_PAGE_SIZE, 1));
    CHECK_OK(verso_space_area_free(a, (vaddr_t)area));
    CHECK(!touches(area, 1));
    audit();
    destroy(a);
}

/* A user may ask for anything. */
TEST(what_a_user_asks_for_in_vain_is_a_code_and_no_panic)
{
    const struct verso_boot *boot = machine_boot();
    struct verso_area_info info;
    struct space *a = create();
    if (a == NULL)
        return;
    const vaddr_t users = boot->user_start;
    const vaddr_t last = users + ((boot->user_pages - 1) << VERSO_PAGE_SHIFT);
    const vaddr_t area = (vaddr_t)area_at(a, at(0), 4, LAZY);
    CHECK_EQ(place(a, at(3), 2, LAZY), VERSO_EXISTS);
    CHECK_EQ(place(a, users + VERSO_PAGE_SIZE, 1, LAZY), VERSO_BAD_ARG);
    CHECK_EQ(place(a, last, 1, LAZY), VERSO_BAD_ARG);
    CHECK_EQ(place(a, boot->heap_start, 1, LAZY), VERSO_BAD_ARG);
    CHECK_EQ(place(a, at(0) + 5, 1, LAZY), VERSO_BAD_ARG);
    CHECK_EQ(place(a, at(8), 0, LAZY), VERSO_BAD_ARG);
    CHECK_EQ(place(a, 0, boot->user_pages, LAZY), VERSO_NO_MEMORY);
    const vaddr_t low = users + VERSO_SPACE_NULL_PAGES * VERSO_PAGE_SIZE;
    const vaddr_t high = last - VERSO_PAGE_SIZE;
    CHECK_EQ(place(a, high, SIZE_MAX, LAZY), VERSO_BAD_ARG);
    CHECK_EQ(place(a, low, 1, LAZY | VERSO_AREA_GUARD_BELOW), VERSO_BAD_ARG);
    CHECK_EQ(place(a, high, 1, LAZY | VERSO_AREA_GUARD_ABOVE), VERSO_BAD_ARG);
    const vaddr_t bad[] = {
        area + VERSO_PAGE_SIZE, area + 1, at(9), last, boot->heap_start, 0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_EQ(verso_space_area_free(a, bad[i]), VERSO_ABSENT);
        CHECK_EQ(verso_space_area_resize(a, bad[i], 1), VERSO_ABSENT);
        CHECK_EQ(verso_space_area_protect(a, bad[i], VERSO_READ), VERSO_ABSENT);
    }
    CHECK_EQ(
        verso_space_area_protect(a, area, VERSO_RW | VERSO_EXEC), VERSO_DENIED);
    CHECK_OK(verso_space_area_find(a, area + 3 * VERSO_PAGE_SIZE + 9, &info));
    CHECK_EQ(info.start, at(0));
    CHECK_EQ(info.pages, 4);
    CHECK_EQ(verso_space_area_find(a, bad[2], &info), VERSO_ABSENT);
    destroy(a);
}

TEST(areas_of_users_do_not_change_in_an_interrupt)
{
    struct verso_area_info info;
    struct space *a = create();
    if (a == NULL)
        return;
    const vaddr_t area = (vaddr_t)area_at(a, at(0), 4, LAZY);
    machine_pretend_interrupt(true);
    const int placed = place(a, at(8), 1, LAZY);
    const int grown = verso_space_area_resize(a, area, 5);
    const int freed = verso_space_area_free(a, area);
    machine_pretend_interrupt(false);
    CHECK_EQ(placed, VERSO_BUSY);
    CHECK_EQ(grown, VERSO_BUSY);
    CHECK_EQ(freed, VERSO_BUSY);
    CHECK_EQ(verso_space_area_find(a, at(8), &info), VERSO_ABSENT);
    CHECK_OK(verso_space_area_find(a, area, &info));
    CHECK_EQ(info.pages, 4);
    destroy(a);
}

/* pitfall 11: each root has a mirror of its own, a clone's, too. */
TEST(a_clone_has_the_areas_and_none_of_the_pages)
{
    struct verso_area_info info;
    struct verso_mapping m;
    struct space *a = create();
    if (a == NULL)
        return;
    char *area = area_at(a, at(0), 3, VERSO_AREA_MAPPED | VERSO_AREA_GUARD);
    char *lazy = area_at(a, at(100), 2, LAZY);
    CHECK_OK(verso_space_map(a, at(50), NOWHERE, 1, VERSO_RW));
    verso_space_switch(a);
    CHECK(touches(area, 4) && touches(lazy, 5));
    struct space *b = verso_space_clone_empty(a);
    CHECK(b != NULL);
    CHECK_EQ(verso_space_query(b, (vaddr_t)area, &m), VERSO_ABSENT);
    CHECK_EQ(verso_space_query(b, at(50), &m), VERSO_ABSENT);
    CHECK_OK(verso_space_area_find(b, (vaddr_t)area, &info));
    CHECK_EQ(info.pages, 3);
    CHECK(info.flags & VERSO_AREA_GUARD_ABOVE);
    verso_space_switch(b);
    CHECK(touches(area, 1) && touches(lazy, 1));
    CHECK_EQ(word_of(area), 1);
    verso_space_switch(a);
    CHECK_EQ(word_of(area), 4);
    CHECK_OK(verso_space_unmap(a, at(50), 1));
    audit();
    destroy(b);
    destroy(a);
}

/* pitfalls 40, 42 */
TEST(destroying_a_space_gives_all_of_it_back_unless_it_is_loaded)
{
    struct verso_frame_stats before, after;
    struct verso_area_stats nodes, nodes_after;
    if (machine_boot()->user_pages == 0)
        SKIP("no addresses for user spaces here");
    verso_trim();
    verso_frame_stats(&before);
    verso_area_stats(&nodes);
    struct space *a = create();
    verso_space_switch(a);
    for (unsigned i = 0; i < 60; i++) {
        char *area = area_at(a, at((size_t)i * 400), 1 + i % 7, LAZY);
        CHECK(touches(area, i));
    }
    CHECK_OK(verso_space_map(a, at(7), NOWHERE, 1, VERSO_RW));
    CHECK_EQ(verso_space_destroy(a), VERSO_BUSY);
    CHECK(touches((void *)at(400), 1));
    destroy(a);
    verso_trim();
    verso_frame_stats(&after);
    verso_area_stats(&nodes_after);
    CHECK_EQ(after.used, before.used);
    CHECK_EQ(nodes_after.nodes, nodes.nodes);
}

static struct space *made_last;

static int create_one(void *arg)
{
    made_last =
        arg != NULL ? verso_space_clone_empty(arg) : verso_space_create();
    return made_last != NULL ? VERSO_OK : VERSO_NO_MEMORY;
}

static void destroy_one(void *arg)
{
    (void)arg;
    CHECK_OK(verso_space_destroy(made_last));
}

/* pitfall 29 */
TEST(a_space_that_finds_no_memory_is_not_there_at_all)
{
    struct inject_operation op = {.run = create_one, .undo = destroy_one};
    if (!inject_available())
        SKIP("no failure injection in this build");
    struct space *a = create();
    if (a == NULL)
        return;
    CHECK(inject_each_failure(&op, 50) >= 1);
    (void)area_at(a, at(0), 3, LAZY);
    (void)area_at(a, at(100000 % (machine_boot()->user_pages / 2)), 3, LAZY);
    op.arg = a;
    CHECK(inject_each_failure(&op, 50) >= 2);
    destroy(a);
}

/* pitfall 29: not even the descriptor; all that slabs have is taken. */
TEST(a_space_without_memory_for_its_descriptor_is_not_there_either)
{
    struct link {
        struct link *next;
    } *first = NULL, *object;
    if (!inject_available())
        SKIP("no failure injection in this build");
    if (machine_boot()->user_pages == 0)
        SKIP("no addresses for user spaces here");
    const uint64_t before = test_state_hash();
    inject_fail_from(1);
    for (size_t size = 64; size <= VERSO_PAGE_SIZE; size += 64)
        while ((object = verso_alloc(size)) != NULL) {
            object->next = first;
            first = object;
        }
    struct space *none = verso_space_create();
    inject_fail_at(0);
    CHECK(none == NULL);
    while ((object = first) != NULL) {
        first = object->next;
        verso_free(object);
    }
    CHECK(test_state_hash() == before);
}

static void destroy_the_kernel(void)
{
    int err = verso_space_destroy(verso_space_kernel());
    (void)err;
}

TEST(the_kernels_space_is_not_destroyed)
{
    CHECK_PANICS(destroy_the_kernel, "is the kernel's");
}

SUITE(space, one_address_leads_to_another_page_in_each_space,
    a_space_that_is_not_loaded_is_edited_through_no_stale_window,
    what_is_unmapped_in_a_space_is_gone_when_it_is_loaded_again,
    many_pages_unmapped_in_a_space_are_gone_when_it_is_loaded_again,
    no_window_stays_open, a_kernel_page_mapped_in_one_space_is_there_in_all,
    a_large_page_of_the_kernel_changes_in_every_root,
    use_of_a_large_kernel_page_is_known_whichever_root_was_loaded,
    use_of_a_large_kernel_page_outlives_the_space_it_was_used_in,
    an_entry_that_only_the_loaded_root_has_is_found_by_the_check,
    another_root_may_be_loaded_at_any_time,
    each_kind_of_space_refuses_the_addresses_of_the_other,
    no_page_of_a_user_space_is_global,
    the_end_of_a_space_that_is_loaded_or_has_pages_panics,
    a_space_without_pages_is_a_root_and_nothing_else,
    a_map_in_another_space_that_finds_no_memory_changes_nothing,
    spaces_agree_with_arrays_after_random_operations,
    a_lazy_area_gets_its_page_in_the_space_that_is_loaded,
    mapped_areas_of_a_space_that_is_not_loaded_are_there_when_it_is,
    what_a_user_asks_for_in_vain_is_a_code_and_no_panic,
    areas_of_users_do_not_change_in_an_interrupt,
    a_clone_has_the_areas_and_none_of_the_pages,
    destroying_a_space_gives_all_of_it_back_unless_it_is_loaded,
    a_space_that_finds_no_memory_is_not_there_at_all,
    a_space_without_memory_for_its_descriptor_is_not_there_either,
    the_kernels_space_is_not_destroyed);
