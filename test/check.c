/* SPDX-License-Identifier: MIT */
/*
 * check.c - does verso_check() see what it says it sees? Each numbered
 * invariant of each storey is broken here on purpose, by a store that is taken
 * back afterwards, and must be named.
 *
 * What a storey keeps in a struct of its own file (lists of the frames, the
 * count of tables) is reached from outside by what must agree with it.
 */
#include <verso/alloc.h>
#include <verso/area.h>
#include <verso/check.h>
#include <verso/frame.h>
#include <verso/paging.h>
#include <verso/reclaim.h>
#include <verso/slab.h>

#include "../kernel/machine.h"
#include "../src/area.h"
#include "../src/node.h"
#include "../src/pagemap.h"
#include "../src/paging.h"
#include "../src/slab.h"
#include "geometry.h"
#include "pattern.h"
#include "test.h"

#define PAGE ((size_t)VERSO_PAGE_SIZE)

static void expect(const char *name, const char *what)
{
    const char *broken = verso_check();
    size_t i = 0;
    while (broken != NULL && name[i] != 0 && broken[i] == name[i])
        i++;
    if (!CHECK(broken != NULL && name[i] == 0 && broken[i] == ':'))
        test_note("%s should break %s, but: %s", what, name,
            broken != NULL ? broken : "nothing is broken");
}

/* place = value must break the invariant `name`. */
#define BREAK(place, value, name)                                              \
    do {                                                                       \
        __typeof__(place) saved_ = (place);                                    \
        (place) = (value);                                                     \
        expect(name, #place);                                                  \
        (place) = saved_;                                                      \
    } while (0)

static void expect_whole(void)
{
    const char *broken = verso_check();
    if (!CHECK(broken == NULL))
        test_note("after mending: %s", broken);
}

/* ---- frames ---- */

static struct frame *frame_at(uint32_t nr)
{
    return verso_frame_find(pfn_make(nr));
}

/* The first frame in a state (of a block of more than one frame; of the stock
 * one that leads to another). */
static uint32_t frame_in(enum frame_state state)
{
    for (uint32_t nr = 1; frame_at(nr) != NULL; nr++)
        if (frame_at(nr)->state == state &&
            (state != FRAME_FREE || frame_at(nr)->order > 0) &&
            (state != FRAME_STOCK || frame_at(nr)->link != 0))
            return nr;
    return 0;
}

TEST(frame_invariants_are_named_when_a_block_or_the_stock_is_damaged)
{
    verso_trim();
    pfn_t used = verso_frame_alloc1(VERSO_ZONE_ANY); /* fills the stock */
    struct frame *head = frame_at(frame_in(FRAME_FREE));
    struct frame *tail = frame_at(frame_in(FRAME_FREE) + 1);
    struct frame *stock = frame_at(frame_in(FRAME_STOCK));
    tail->count = 1;
    BREAK(tail->state, FRAME_USED, "frame.1");
    tail->count = 0;
    BREAK(head->order, (uint8_t)(head->order - 1), "frame.4");
    BREAK(head->state, FRAME_STOCK, "frame.4");
    BREAK(head->prev, 5, "frame.5");
    BREAK(head->cache, 1, "frame.6");
    BREAK(head->live, 1, "frame.6");
    BREAK(head->count, 1, "frame.6");
    if (stock != NULL) {
        BREAK(stock->state, FRAME_FREE, "frame.4");
        BREAK(stock->link, UINT32_MAX, "frame.5");
        BREAK(stock->link, 0, "frame.3");
    }
    verso_frame_free1(used);
    expect_whole();
}

TEST(frame_invariants_are_named_when_a_list_loses_its_end)
{
    pfn_t four = verso_frame_alloc(2, VERSO_ZONE_ANY);
    if (pfn_is_none(four))
        SKIP("no block of four frames");
    verso_frame_free1(four); /* no buddies: two blocks in one list */
    verso_frame_free1(pfn_add(four, 2));
    verso_trim();
    struct frame *first = frame_at(pfn_nr(four));
    struct frame *third = frame_at(pfn_nr(four) + 2);
    struct frame *head = third->link == pfn_nr(four) ? third : first;
    if (CHECK(head->state == FRAME_FREE && head->link != 0))
        BREAK(head->link, 0, "frame.3");
    verso_frame_free1(pfn_add(four, 1));
    verso_frame_free1(pfn_add(four, 3));
    expect_whole();
}

TEST(frame_invariants_are_named_when_a_frame_in_use_is_damaged)
{
    pfn_t pair = verso_frame_alloc(1, VERSO_ZONE_ANY);
    struct frame *low = frame_at(pfn_nr(pair));
    struct frame *high = frame_at(pfn_nr(pair) + 1);
    struct frame saved[2] = {*low, *high};
    BREAK(low->count, 0, "frame.6");
    BREAK(low->state, FRAME_HOST_TABLE + 1, "frame.6");
    BREAK(low->zone, (uint8_t)(low->zone ^ 1), "frame.2");
    low->count = 0;
    BREAK(low->state, FRAME_FREE_TAIL, "frame.1");
    BREAK(low->state, FRAME_RESERVED, "frame.3");
    *low = saved[0];
    high->count = 0;
    high->order = 1;
    BREAK(high->state, FRAME_FREE, "frame.2"); /* not aligned */
    low->count = low->order = high->order = 0;
    low->state = FRAME_FREE;
    BREAK(high->state, FRAME_FREE, "frame.2"); /* not merged */
    *low = saved[0];
    *high = saved[1];
    verso_frame_free(pair, 1);
    expect_whole();
}

/* ---- paging ---- */

/* The entry of va at a level, changed like this, must break `name`. */
static void break_entry(
    vaddr_t va, unsigned level, uint64_t raw, const char *name)
{
    uint64_t saved = geometry_entry(va, level);
    if (test_calm)
        test_calm(true);
    machine_open_users(true); /* the mirror may become theirs */
    geometry_entry_set(va, level, raw);
    expect(name, "an entry");
    geometry_entry_set(va, level, saved);
    machine_open_users(false);
    if (test_calm)
        test_calm(false);
}

TEST(paging_invariants_are_named_when_entries_or_counts_are_damaged)
{
    const uint64_t user = geometry_user_bit(), global = geometry_global_bit();
    const unsigned top = geometry_levels() - 1;
    size_t pages;
    vaddr_t va = test_window(&pages), mirror = geometry_mirror(&pages);
    pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
    CHECK_OK(verso_map(va, pfn, 1, VERSO_RW));
    uint64_t entry = geometry_entry(va, 0), upper = geometry_entry(va, 1);
    uint64_t self = geometry_entry(mirror, top);
    struct frame *table = frame_at(geometry_raw_pfn(upper));
    struct frame *above =
        top == 1 ? frame_at(pfn_nr(geometry_root(va)))
                 : frame_at(geometry_raw_pfn(geometry_entry(va, 2)));
    CHECK_EQ(table->state, FRAME_TABLE);
    CHECK_EQ(table->live, 1);
    break_entry(mirror, top, self | user, "paging.1");
    if (self == 0) /* there is no mirror, and shall be none */
        break_entry(mirror, top, upper, "paging.1");
    BREAK(table->state, FRAME_USED, "paging.2");
    BREAK(table->live, 2, "paging.3");
    BREAK(above->live, (uint16_t)(above->live + 1), "paging.3");
    break_entry(va, 0, 0, "paging.3");
    table->live = 0;
    break_entry(va, 0, 0, "paging.4");
    table->live = 1;
    break_entry(va, 1, upper | global, "paging.5");
    break_entry(va, 0, entry ^ global, "paging.9");
    if (entry & global)
        break_entry(va, 0, entry ^ user, "paging.9");
    above->live--;
    break_entry(
        va, 1, 0, above->live > 0 || top == 1 ? "paging.6" : "paging.4");
    above->live++;
    BREAK(frame_at(pfn_nr(pfn))->cache, VERSO_CACHE_UC >> VERSO_CACHE_SHIFT,
        "paging.7");
    CHECK_OK(verso_unmap(va, 1));
    verso_frame_free1(pfn);
    /* a type given too late, to a frame that is no RAM */
    CHECK_OK(verso_map(va, geometry_nowhere(), 1, VERSO_READ));
    CHECK_OK(verso_cache_set_range(geometry_nowhere(), 1, VERSO_CACHE_UC));
    expect("paging.7", "uncached");
    CHECK_OK(verso_cache_set_range(geometry_nowhere(), 1, VERSO_CACHE_WB));
    CHECK_OK(verso_unmap(va, 1));
    expect_whole();
}

TEST(a_batch_that_was_given_something_and_not_submitted_is_named)
{
    size_t pages;
    struct flush batch;
    vaddr_t va = test_window(&pages);
    CHECK_OK(verso_map(va, geometry_nowhere(), 1, VERSO_RW));
    verso_i_flush_init(&batch, false);
    expect_whole();
    CHECK_OK(verso_i_paging_unmap(verso_space_kernel(), va, 1, &batch));
    expect("paging.8", "a batch with a page");
    (void)verso_i_flush_submit(verso_space_kernel(), &batch);
    expect_whole();
}

/* ---- nodes ---- */

TEST(node_invariants_are_named_when_a_page_of_nodes_is_damaged)
{
    struct node_state *state = &verso_i_node;
    uint32_t node[2] = {verso_i_node_alloc(), verso_i_node_alloc()};
    struct carve *carve =
        (struct carve *)(state->start + node[1] / NODES_A_PAGE * PAGE);
    verso_i_node_free(node[1]);
    const uintptr_t *link = node_get(node[1]); /* heads its page's list */
    uintptr_t saved = *link;
    CHECK_EQ((uintptr_t)carve->free, (uintptr_t)link);
    BREAK(carve->left, carve->left + 1, "node.1");
    BREAK(carve->carved, NODES_A_PAGE + 1, "node.1");
    word_poke(node_get(node[1]), (uintptr_t)link); /* a circle */
    expect("node.1", "a link");
    word_poke(node_get(node[1]), (uintptr_t)link + 4);
    expect("node.1", "a link");
    word_poke(node_get(node[1]), saved);
    uint32_t page = node[1] / NODES_A_PAGE;
    BREAK(state->partial.word[page / 32],
        state->partial.word[page / 32] ^ (uint32_t)1 << page % 32, "node.2");
    uint32_t last = (uint32_t)state->window_pages - 1; /* absent */
    BREAK(state->partial.word[last / 32],
        state->partial.word[last / 32] ^ (uint32_t)1 << last % 32, "node.2");
    BREAK(state->used, state->used + 1, "node.3");
    BREAK(state->pages, state->pages - 1, "node.3");
    BREAK(state->depth_max, 2, "node.4");
    verso_i_node_free(node[0]);
    expect_whole();
}

/* ---- pagemap ---- */

TEST(pagemap_invariants_are_named_when_words_or_summaries_are_damaged)
{
    struct pagemap *map = &verso_i_pagemap;
    void *area = verso_area_alloc(4, VERSO_AREA_BARE);
    vaddr_t va = (vaddr_t)area;
    size_t leaf = ((va - map->start) >> VERSO_PAGE_SHIFT) / PAGEMAP_LEAF_PAGES;
    uint32_t word = pagemap_get(map, va);
    uint32_t region = (uint32_t)(leaf / PAGEMAP_REGION_LEAVES);
    struct pagemap_sums *sums = (struct pagemap_sums *)pagemap_sum(
        map, (size_t)region * PAGEMAP_REGION_LEAVES);
    size_t i = leaf % PAGEMAP_REGION_LEAVES;
    BREAK(sums->words[i], sums->words[i] ^ 1u, "pagemap.1");
    BREAK(sums->words[i], sums->words[i] ^ 0x80000000u, "pagemap.1");
    BREAK(sums->words[i ^ 31u], 1u, "pagemap.1"); /* absent */
    BREAK(sums->filled[i / 32], sums->filled[i / 32] ^ (uint32_t)1 << i % 32,
        "pagemap.1");
    BREAK(sums->top, sums->top ^ (uint32_t)1 << i / 32, "pagemap.1");
    BREAK(sums->top, sums->top ^ 0x80000000u, "pagemap.1");
    BREAK(map->started.word[region / 32],
        map->started.word[region / 32] ^ (uint32_t)1 << region % 32,
        "pagemap.1");
    if (map->regions > 1)
        BREAK(map->started.word[(map->regions - 1) / 32],
            map->started.word[(map->regions - 1) / 32] ^
                (uint32_t)1 << (map->regions - 1) % 32,
            "pagemap.1"); /* absent */
    BREAK(*pagemap_bits(map, leaf * PAGEMAP_LEAF_PAGES), 0, "pagemap.1");
    pagemap_set(map, va, 0);
    expect("pagemap.2", "the word of a start");
    pagemap_set(map, va, word);
    BREAK(map->committed, map->committed + 1, "pagemap.3");
    BREAK(sums->leaves, sums->leaves + 1, "pagemap.3");
    BREAK(map->near, map->near + PAGEMAP_REGION_PAGES, "pagemap.4");
    verso_area_free(area);
    expect_whole();
}

/* ---- areas ---- */

#define AREAS 3u

/* |used 4|used 4|free 4|used 4|, bare, at addresses that were free. */
static void areas_make(char *area[AREAS])
{
    static const size_t at[AREAS] = {0, 4, 12};
    char *room = verso_area_alloc(16, VERSO_AREA_BARE);
    verso_area_free(room);
    for (unsigned i = 0; i < AREAS; i++) {
        struct verso_area_request request = {
            .pages = 4, .flags = VERSO_AREA_BARE};
        request.fixed = (vaddr_t)room + at[i] * PAGE;
        area[i] = verso_area_alloc_as(&request);
        CHECK(area[i] != NULL);
    }
}

static void areas_free(char *const area[AREAS])
{
    for (unsigned i = 0; i < AREAS; i++)
        verso_area_free(area[i]);
    expect_whole();
}

TEST(area_invariants_are_named_when_ranges_are_damaged)
{
    struct area_map *map = verso_i_area_kernel();
    char *area[AREAS];
    areas_make(area);
    uint32_t node = verso_i_area_find(map, (vaddr_t)area[1]);
    struct mem_area *range = area_get(node);
    uint32_t last_node =
        verso_i_area_find(map, map->start + (map->pages - 1) * PAGE);
    struct mem_area *last = area_get(last_node);
    BREAK(range->prev, NODE_NONE, "area.1");
    BREAK(range->start, range->start + PAGE, "area.1");
    BREAK(range->kind, KIND_SLAB, "area.1");
    BREAK(range->pages, 0, "area.1");
    BREAK(last->pages, last->pages - 1, "area.1");
    BREAK(last->prev, last_node, "area.1");
    BREAK(range->kind, KIND_LIMBO, "area.3");
    vaddr_t va = range->start;
    uint32_t word = pagemap_get(map->pagemap, va);
    pagemap_set(
        map->pagemap, va, pagemap_word(KIND_FREE, PAGEMAP_CLASS_NONE, node));
    BREAK(range->kind, KIND_FREE, "area.2");
    pagemap_set(map->pagemap, va, word);
    pagemap_set(map->pagemap, va,
        pagemap_word(KIND_AREA, PAGEMAP_CLASS_NONE, range->prev));
    expect("area.3", "a word");
    pagemap_set(map->pagemap, va, word);
    pagemap_start_remove(map->pagemap, va);
    expect("area.3", "a start bit that is missing");
    pagemap_start_add(map->pagemap, va);
    pagemap_set(map->pagemap, va + PAGE, word);
    pagemap_start_add(map->pagemap, va + PAGE);
    expect("area.3", "a start bit too many");
    pagemap_start_remove(map->pagemap, va + PAGE);
    pagemap_set(map->pagemap, va + PAGE, 0);
    areas_free(area);
}

/* Not the slab at the heap's start, where every look at the list begins. */
TEST(area_invariants_are_named_when_a_slab_forgets_its_area)
{
    void *object[2] = {verso_alloc(24), verso_alloc(512)};
    const struct slab_entry *found = slab_find(object[0]);
    if (found->page == verso_i_area_kernel()->start)
        found = slab_find(object[1]);
    struct slab_entry *entry = (struct slab_entry *)found;
    uint32_t area = entry->area.area;
    if (CHECK(area != NODE_NONE && area_get(area)->next != NODE_NONE))
        BREAK(entry->area.area, area_get(area)->next, "area.3");
    expect_whole();
    verso_free(object[0]);
    verso_free(object[1]);
}

TEST(area_invariants_are_named_when_bins_or_counts_are_damaged)
{
    struct area_map *map = verso_i_area_kernel();
    char *area[AREAS];
    areas_make(area);
    uint32_t hole = verso_i_area_find(map, (vaddr_t)area[1] + 4 * PAGE);
    struct mem_area *range = area_get(hole);
    CHECK_EQ(range->kind, KIND_FREE);
    CHECK_EQ(range->pages, 4);
    BREAK(map->bin[0][4], NODE_NONE, "area.4"); /* up to 7: its own bin */
    BREAK(map->bin[0][5], hole, "area.4");
    BREAK(map->slots[0], map->slots[0] ^ 1u << 4, "area.4");
    BREAK(map->slots[9], map->slots[9] ^ 1u << 7, "area.4");
    BREAK(map->rows, map->rows ^ 1u, "area.4");
    BREAK(map->rows, map->rows ^ 0x80000000u, "area.4");
    BREAK(range->bin.next, hole, "area.4"); /* a circle */
    BREAK(map->used, map->used + 1, "area.5");
    BREAK(map->free, map->free + 1, "area.5");
    BREAK(map->limbo, 1, "area.5");
    BREAK(map->used_pages, map->used_pages - 1, "area.5");
    BREAK(map->limbo_pages, map->limbo_pages + 1, "area.5");
    areas_free(area);
}

/* ---- slabs ---- */

TEST(slab_invariants_are_named_when_lists_entries_or_words_are_damaged)
{
    struct verso_slab_params params = {.name = "damaged", .size = 8328};
    struct slab_desc *cache = verso_slab_create(&params);
    struct slab_desc *other = verso_slab_create(&params);
    void *object[2] = {verso_slab_alloc(cache), verso_slab_alloc(cache)};
    struct slab_entry *entry = slab_find(object[0]);
    struct pagemap *map = &verso_i_pagemap;
    CHECK(cache->pages > 1);
    BREAK(entry->objects.carved, 1, "slab.2");
    BREAK(entry->objects.left, entry->objects.left - 1, "slab.2");
    BREAK(entry->objects.free, object[0], "slab.2");
    BREAK(entry->objects.free, (char *)object[0] + 4, "slab.2");
    BREAK(entry->page, entry->page + PAGE, "slab.3");
    vaddr_t second = entry->page + PAGE;
    uint32_t word = pagemap_get(map, second);
    pagemap_set(map, second, 0);
    expect("slab.3", "a word");
    pagemap_set(map, second, word ^ 1u << PAGEMAP_CLASS_SHIFT);
    expect("slab.3", "a class");
    pagemap_set(map, second, word);
    BREAK(entry->desc, other, "slab.4");
    BREAK(cache->count[SLAB_PARTIAL], cache->count[SLAB_PARTIAL] + 1, "slab.4");
    BREAK(cache->list[SLAB_PARTIAL], NULL, "slab.4");
    BREAK(cache->list[SLAB_FULL], cache->list[SLAB_PARTIAL], "slab.1");
    verso_slab_free(cache, object[0]);
    verso_slab_free(cache, object[1]);
    verso_slab_destroy(cache);
    verso_slab_destroy(other);
    expect_whole();
}

TEST(alloc_invariants_are_named_when_a_class_is_damaged)
{
    struct slab_desc *class = verso_alloc_class(1);
    if (class == NULL)
        SKIP("one class only");
    BREAK(class->layout.size, 1, "alloc.1");
    expect_whole();
}

/* ---- across storeys ---- */

static pfn_t pfn_at(vaddr_t va)
{
    struct verso_mapping m;
    CHECK_OK(verso_query(va, &m));
    return paddr_to_pfn(m.pa);
}

/* Another frame behind one page of an area. */
static void remap(vaddr_t va, pfn_t pfn)
{
    CHECK_OK(verso_unmap(va, 1));
    CHECK_OK(verso_map(va, pfn, 1, VERSO_RW));
}

TEST(an_area_that_is_not_mapped_as_it_should_be_is_named)
{
    const pfn_t nowhere = geometry_nowhere();
    char *area = verso_area_alloc(3, VERSO_AREA_MAPPED);
    vaddr_t va = (vaddr_t)area + PAGE;
    pfn_t pfn = pfn_at(va);
    CHECK_OK(verso_unmap(va, 1));
    expect("check.1", "a page that is not mapped");
    CHECK_OK(verso_map(va, nowhere, 1, VERSO_RW));
    expect("check.1", "a page mapped to no frame");
    remap(va, pfn_at((vaddr_t)area));
    expect("check.1", "a page mapped to the frame of another");
    remap(va, pfn);
    struct frame *frame = frame_at(pfn_nr(pfn));
    BREAK(frame->link, frame->link + 1, "check.2");
    CHECK_OK(verso_protect(va, 1, VERSO_READ));
    expect("check.1", "a page with less rights");
    CHECK_OK(verso_protect(va, 1, VERSO_RW | VERSO_USER));
    expect("check.1", "a page with more rights");
    CHECK_OK(verso_protect(va, 1, VERSO_RW));
    verso_area_free(area);
    expect_whole();
}

SUITE(check, frame_invariants_are_named_when_a_block_or_the_stock_is_damaged,
    frame_invariants_are_named_when_a_list_loses_its_end,
    frame_invariants_are_named_when_a_frame_in_use_is_damaged,
    paging_invariants_are_named_when_entries_or_counts_are_damaged,
    a_batch_that_was_given_something_and_not_submitted_is_named,
    node_invariants_are_named_when_a_page_of_nodes_is_damaged,
    pagemap_invariants_are_named_when_words_or_summaries_are_damaged,
    area_invariants_are_named_when_ranges_are_damaged,
    area_invariants_are_named_when_a_slab_forgets_its_area,
    area_invariants_are_named_when_bins_or_counts_are_damaged,
    slab_invariants_are_named_when_lists_entries_or_words_are_damaged,
    alloc_invariants_are_named_when_a_class_is_damaged,
    an_area_that_is_not_mapped_as_it_should_be_is_named);
