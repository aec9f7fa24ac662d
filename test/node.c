/* SPDX-License-Identifier: MIT */
/*
 * node.c - descriptors, and "no forever loop": what an operation needs is
 * arithmetic (theory in src/node.c), and this counts it. The reserve is made
 * exact by taking every node there is while no frame is left, and giving k of
 * them back.
 */
#include <verso/area.h>
#include <verso/check.h>
#include <verso/reclaim.h>
#include <verso/slab.h>

#include "../kernel/machine.h"
#include "../src/area.h"
#include "../src/node.h"
#include "inject.h"
#include "shut.h"
#include "test.h"

#define PER_PAGE (NODES_A_PAGE - 1u) /* slot 0 describes the page */

/* Nodes that the test holds, linked through their first word. */
struct held {
    uint32_t first;
    size_t count;
};

static void held_push(struct held *held, uint32_t node)
{
    *(uint32_t *)node_get(node) = held->first;
    held->first = node;
    held->count++;
}

static uint32_t held_pop(struct held *held)
{
    uint32_t node = held->first;
    held->first = *(uint32_t *)node_get(node);
    held->count--;
    return node;
}

static void held_free(struct held *held, size_t most)
{
    while (held->count > 0 && most-- > 0)
        verso_i_node_free(held_pop(held));
}

/* Up to `most` nodes. */
static void held_take(struct held *held, size_t most)
{
    while (most-- > 0) {
        uint32_t node = verso_i_node_alloc();
        if (node == NODE_NONE)
            return;
        held_push(held, node);
    }
}

static size_t pages_trimmed(void)
{
    verso_trim();
    return verso_i_node.pages;
}

/* ---- one by one ---- */

TEST(a_node_is_where_its_index_says_and_is_all_its_owners)
{
    uint32_t node[300];
    for (uint32_t i = 0; i < 300; i++) {
        node[i] = verso_i_node_alloc();
        if (!CHECK(node[i] != NODE_NONE))
            return;
        CHECK(node[i] % NODES_A_PAGE != 0);
        CHECK_EQ((vaddr_t)node_get(node[i]) - verso_i_node.start,
            (vaddr_t)node[i] * NODE_SIZE);
        for (uint32_t w = 0; w < NODE_SIZE / 4; w++)
            ((uint32_t *)node_get(node[i]))[w] = i * 100 + w;
    }
    for (uint32_t i = 0; i < 300; i++) {
        CHECK(verso_i_node_is_used(node[i]));
        for (uint32_t w = 0; w < NODE_SIZE / 4; w++)
            CHECK_EQ(((uint32_t *)node_get(node[i]))[w], i * 100 + w);
    }
    CHECK(verso_check() == NULL);
    for (uint32_t i = 0; i < 300; i += 2)
        verso_i_node_free(node[i]);
    for (uint32_t i = 0; i < 300; i++)
        CHECK_EQ(verso_i_node_is_used(node[i]), i % 2 == 1);
    for (uint32_t i = 1; i < 300; i += 2)
        verso_i_node_free(node[i]);
}

TEST(what_is_no_node_in_use_is_known_for_it)
{
    uint32_t pages = (uint32_t)verso_i_node.window_pages;
    CHECK(!verso_i_node_is_used(NODE_NONE));
    CHECK(!verso_i_node_is_used(NODES_A_PAGE));
    CHECK(!verso_i_node_is_used((pages - 1) * NODES_A_PAGE + 1));
    CHECK(!verso_i_node_is_used(pages * NODES_A_PAGE + 1));
    CHECK(!verso_i_node_is_used(UINT32_MAX));
}

TEST(the_lowest_page_with_a_free_node_is_filled_first)
{
    struct held held = {0};
    held_take(&held, 4 * PER_PAGE);
    uint32_t high = held_pop(&held), low = held.first;
    for (uint32_t n = held.first; n != 0; n = *(uint32_t *)node_get(n))
        if (n < low && n / NODES_A_PAGE < high / NODES_A_PAGE)
            low = n;
    while (held.count > 0) { /* all but the lowest: order does not matter */
        uint32_t n = held_pop(&held);
        if (n != low)
            verso_i_node_free(n);
    }
    verso_i_node_free(high);
    verso_i_node_free(low);
    uint32_t again = verso_i_node_alloc();
    CHECK_EQ(again / NODES_A_PAGE, low / NODES_A_PAGE);
    verso_i_node_free(again);
}

/* A hole in the middle of the window is filled before its end grows. */
TEST(empty_pages_are_given_back_and_the_lowest_comes_first_again)
{
    struct held held = {0}, kept = {0};
    size_t before = pages_trimmed();
    held_take(&held, 5 * PER_PAGE);
    size_t full = verso_i_node.pages;
    CHECK(full >= before + 4);
    uint32_t empty = held.first / NODES_A_PAGE - 2;
    while (held.count > 0) {
        uint32_t n = held_pop(&held);
        if (n / NODES_A_PAGE == empty)
            verso_i_node_free(n);
        else
            held_push(&kept, n);
    }
    CHECK_EQ(pages_trimmed(), full - 1);
    CHECK(machine_probe(node_get(empty * NODES_A_PAGE + 1), false));
    held_take(&held, 2 * PER_PAGE);
    bool seen = false;
    for (uint32_t n = held.first; n != 0; n = *(uint32_t *)node_get(n))
        seen |= n / NODES_A_PAGE == empty;
    CHECK(seen);
    CHECK(verso_check() == NULL);
    held_free(&held, SIZE_MAX);
    held_free(&kept, SIZE_MAX);
    CHECK_EQ(pages_trimmed(), before);
}

TEST(a_page_with_one_node_in_use_stays)
{
    struct held held = {0};
    size_t before = pages_trimmed();
    held_take(&held, 2 * PER_PAGE);
    uint32_t one = held_pop(&held);
    held_free(&held, SIZE_MAX);
    CHECK(pages_trimmed() >= before);
    CHECK(verso_i_node_is_used(one));
    CHECK(!machine_probe(node_get(one), true));
    verso_i_node_free(one);
    CHECK_EQ(pages_trimmed(), before);
}

static int one_more(void *arg)
{
    *(uint32_t *)arg = verso_i_node_alloc();
    return *(uint32_t *)arg != NODE_NONE ? VERSO_OK : VERSO_NO_MEMORY;
}

static void one_less(void *arg)
{
    verso_i_node_free(*(uint32_t *)arg);
}

/* Every node of the pages there are is taken, so the next wants a page. */
static void fill_pages(struct held *held)
{
    size_t pages = pages_trimmed();
    held_take(held, pages * NODES_A_PAGE - pages - verso_i_node.used);
    CHECK_EQ(verso_i_node.pages, pages);
    CHECK_EQ(verso_i_node.used, pages * PER_PAGE);
}

TEST(a_refill_that_finds_no_memory_has_changed_nothing)
{
    struct held held = {0};
    uint32_t node;
    struct inject_operation op = {one_more, one_less, &node, 0, 0};
    if (!inject_available())
        SKIP("no failure injection in this build");
    fill_pages(&held);
    CHECK(inject_each_failure(&op, 20) >= 2);
    held_free(&held, SIZE_MAX);
}

TEST(nothing_is_refilled_in_an_interrupt)
{
    struct held held = {0};
    fill_pages(&held);
    machine_pretend_interrupt(true);
    CHECK_EQ(verso_i_node_alloc(), NODE_NONE);
    machine_pretend_interrupt(false);
    verso_i_node_free(held_pop(&held));
    machine_pretend_interrupt(true);
    uint32_t node = verso_i_node_alloc();
    machine_pretend_interrupt(false);
    CHECK(node != NODE_NONE);
    if (node != NODE_NONE)
        held_push(&held, node);
    held_free(&held, SIZE_MAX);
}

TEST(nodes_run_out_and_come_back)
{
    struct held held = {0};
    size_t before = pages_trimmed();
    held_take(&held, SIZE_MAX);
    CHECK(held.count > PER_PAGE);
    CHECK_EQ(verso_i_node_alloc(), NODE_NONE);
    CHECK_EQ(verso_i_node_alloc(), NODE_NONE);
    verso_i_node_free(held_pop(&held));
    uint32_t node = verso_i_node_alloc();
    CHECK(node != NODE_NONE);
    verso_i_node_free(node);
    held_free(&held, SIZE_MAX);
    CHECK_EQ(pages_trimmed(), before);
}

/* ---- with k nodes in reserve, and no frames ---- */

#define RESERVE_MAX 8u

/* A hole of eight bare pages between two areas, to allocate in. */
static struct {
    void *low, *high;
    vaddr_t hole;
} bay;

#define BAY_PAGES 8u

static vaddr_t bay_at(size_t page)
{
    return bay.hole + (page << VERSO_PAGE_SHIFT);
}

static void *fixed_bare(vaddr_t va, size_t pages)
{
    struct verso_area_request request = {
        .pages = pages, .flags = VERSO_AREA_BARE, .fixed = va};
    return verso_area_alloc_as(&request);
}

static bool bay_open(void)
{
    char *all = verso_area_alloc(BAY_PAGES + 2, VERSO_AREA_BARE);
    if (!CHECK(all != NULL))
        return false;
    verso_area_free(all);
    bay.hole = (vaddr_t)all + VERSO_PAGE_SIZE;
    bay.low = fixed_bare((vaddr_t)all, 1);
    bay.high = fixed_bare(bay_at(BAY_PAGES), 1);
    return CHECK(bay.low != NULL && bay.high != NULL);
}

static void bay_close(void)
{
    verso_area_free(bay.low);
    verso_area_free(bay.high);
}

struct reserve_case {
    const char *name;
    int (*run)(void *result);
    void (*undo)(void *result);
    unsigned needs; /* nodes */
    size_t frames;  /* that it may have */
};

/* Frames are shut once for all k: at 3 GiB that takes its time. */
struct reserve {
    struct shut shut;
    struct verso_chain spare; /* what the operation may have */
    struct held held;
};

/* Exactly k nodes can be had, and `frames` frames. */
static void reserve_make(struct reserve *r, unsigned k, size_t frames)
{
    verso_trim();
    if (frames > 0)
        CHECK_OK(verso_frame_alloc_bulk(&r->spare, frames, VERSO_ZONE_ANY));
    shut_again(&r->shut, 0);
    held_take(&r->held, SIZE_MAX);
    held_free(&r->held, k);
    if (frames > 0)
        verso_frame_free_bulk(&r->spare);
}

static void reserve_undo(struct reserve *r)
{
    shut_open(&r->shut);
    held_free(&r->held, SIZE_MAX);
}

static void run_with_reserve(
    const struct reserve_case *c, struct reserve *r, unsigned k)
{
    void *result = NULL;
    reserve_make(r, k, c->frames);
    uint64_t before = test_state_hash();
    bool done = c->run(&result) == VERSO_OK;
    if (!CHECK_EQ(done, k >= c->needs))
        test_note("%s with %u nodes", c->name, k);
    CHECK(verso_i_node_check() == NULL);
    CHECK(verso_i_area_check() == NULL);
    if (done && c->undo)
        c->undo(&result);
    if (!CHECK(test_state_hash() == before))
        test_note("%s with %u nodes, done %d", c->name, k, done);
    CHECK(verso_i_node.depth_max <= 1);
}

static void run_with_reserves(const struct reserve_case *c)
{
    struct reserve r = {.shut = {.count = 0}};
    verso_i_node.depth_max = 0;
    for (unsigned k = 0; k <= RESERVE_MAX && !test_has_failed(); k++)
        run_with_reserve(c, &r, k);
    CHECK(verso_check() == NULL);
    reserve_undo(&r);
}

static int result_of(void *area, void *result)
{
    *(void **)result = area;
    return area != NULL ? VERSO_OK : VERSO_NO_MEMORY;
}

static int run_exact(void *result)
{
    return result_of(fixed_bare(bay.hole, BAY_PAGES), result);
}

static int run_low_end(void *result)
{
    return result_of(fixed_bare(bay.hole, 3), result);
}

static int run_high_end(void *result)
{
    return result_of(fixed_bare(bay_at(5), 3), result);
}

static int run_middle(void *result)
{
    return result_of(fixed_bare(bay_at(2), 3), result);
}

static void undo_area(void *result)
{
    verso_area_free(*(void **)result);
}

/* pitfall 26: an area needs a descriptor, which needs a page, and no more. */
TEST(an_area_needs_as_many_nodes_as_there_are_pieces_more)
{
    static const struct reserve_case cases[] = {
        {"exact fit", run_exact, undo_area, 0, 0},
        {"low end", run_low_end, undo_area, 1, 0},
        {"high end", run_high_end, undo_area, 1, 0},
        {"middle", run_middle, undo_area, 2, 0},
    };
    if (!bay_open())
        return;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        run_with_reserves(&cases[i]);
    bay_close();
}

/* pitfall 26, the other way around: pieces only become fewer. */
TEST(a_free_needs_no_node_and_no_frame)
{
    if (!bay_open())
        return;
    for (size_t at = 0; at < 3; at++) { /* low end, middle, high end */
        struct reserve r = {.shut = {.count = 0}};
        uint64_t before = test_state_hash();
        void *area = fixed_bare(bay_at(at * 3), 2);
        if (!CHECK(area != NULL))
            break;
        reserve_make(&r, 0, 0);
        verso_area_free(area);
        CHECK(verso_i_area_check() == NULL);
        reserve_undo(&r);
        CHECK(test_state_hash() == before);
    }
    bay_close();
}

static struct slab_desc *cache_make(size_t size)
{
    struct verso_slab_params params = {.name = "node-test", .size = size};
    return verso_slab_create(&params);
}

static struct slab_desc *grown;

static int run_grow(void *result)
{
    return result_of(verso_slab_alloc(grown), result);
}

static void undo_grow(void *result)
{
    verso_slab_free(grown, *(void **)result);
}

/* pitfall 26: a slab_entry, and what its area splits; one frame, and its
 * table is there, as the cache itself is in the same 4 MiB. */
TEST(a_slab_grows_if_there_are_nodes_for_its_entry_and_its_area)
{
    struct reserve_case grow = {"slab", run_grow, undo_grow, 2, 1};
    struct verso_slab_stats stats;
    void *neighbour = verso_area_alloc(1, VERSO_AREA_MAPPED);
    grown = cache_make(2048);
    if (!CHECK(grown != NULL && neighbour != NULL))
        return;
    verso_slab_stats(grown, &stats);
    CHECK_EQ(stats.slab_pages, 1);
    CHECK_EQ(stats.slabs, 0);
    run_with_reserves(&grow);
    verso_slab_destroy(grown);
    verso_area_free(neighbour);
}

/* pitfall 26: the whole way up, many times over, is never more than one deep.
 */
TEST(refills_are_never_nested)
{
    struct held held = {0};
    void *area[8];
    verso_i_node.depth_max = 0;
    for (unsigned round = 0; round < 20; round++) {
        fill_pages(&held);
        for (unsigned i = 0; i < 8; i++)
            area[i] = verso_area_alloc(1 + i % 3, VERSO_AREA_BARE);
        struct slab_desc *cache = cache_make((size_t)512 << round % 3);
        if (CHECK(cache != NULL)) {
            void *object = verso_slab_alloc(cache);
            CHECK(object != NULL);
            verso_slab_free(cache, object);
            verso_slab_destroy(cache);
        }
        for (unsigned i = 0; i < 8; i++)
            verso_area_free(area[i]);
        held_free(&held, SIZE_MAX);
    }
    CHECK_EQ(verso_i_node.depth_max, 1);
    CHECK_EQ(verso_i_node.depth, 0);
}

/* ---- how deep the stack gets ---- */

#define PAINT_BYTES 8192u
#define PAINT       0x5au

/* Paints what is below the frame of the caller, or looks how far down the
 * paint is gone. The gap is what these calls themselves use. */
__attribute__((noinline)) NO_SANITIZE static size_t stack_depth(
    volatile unsigned char *top, bool paint)
{
    volatile unsigned char *bottom = top - PAINT_BYTES;
    const size_t gap = 512;
    size_t at = 0;
    if (paint)
        for (; at < PAINT_BYTES - gap; at++)
            bottom[at] = PAINT;
    else
        while (at < PAINT_BYTES - gap && bottom[at] == PAINT)
            at++;
    return PAINT_BYTES - at;
}

/* Bytes of stack that run(arg) used. */
__attribute__((noinline)) NO_SANITIZE static size_t stack_used(
    void (*run)(void *arg), void *arg)
{
    volatile unsigned char *here =
        (volatile unsigned char *)__builtin_frame_address(0);
    (void)stack_depth(here, true);
    run(arg);
    return stack_depth(here, false);
}

struct slabs {
    struct slab_desc *cache;
    void *first; /* objects, linked through their first words */
    size_t count;
};

/* As many slabs, one object in each; fewer if memory is short. */
static void slabs_make(struct slabs *s, size_t count)
{
    while (s->count < count) {
        void **object = verso_slab_alloc(s->cache);
        if (object == NULL)
            return;
        *object = s->first;
        s->first = object;
        s->count++;
    }
}

static void slabs_free_each(void *arg)
{
    struct slabs *s = arg;
    while (s->first != NULL) {
        void *object = s->first;
        s->first = *(void **)object;
        verso_slab_free(s->cache, object);
    }
    s->count = 0;
}

static void slabs_shrink(void *arg)
{
    (void)verso_slab_shrink(((struct slabs *)arg)->cache);
}

/* In an interrupt no slab is given back, so all of them are empty after. */
static void slabs_keep_empty(struct slabs *s)
{
    machine_pretend_interrupt(true);
    slabs_free_each(s);
    machine_pretend_interrupt(false);
}

/* Bytes of stack to empty `count` slabs: all at once, or one at a time. */
static size_t slabs_depth(struct slabs *s, size_t count, bool at_once)
{
    slabs_make(s, count);
    CHECK(s->count == count || s->count > count / 4);
    if (!at_once)
        return stack_used(slabs_free_each, s);
    slabs_keep_empty(s);
    struct verso_slab_stats stats;
    verso_slab_stats(s->cache, &stats);
    CHECK(stats.slabs > count / 4);
    return stack_used(slabs_shrink, s);
}

/* pitfall 27: a slab goes, its area merges, both nodes go, their page too. */
TEST(a_thousand_slabs_are_given_back_on_as_little_stack_as_ten)
{
    struct slabs s = {.cache = cache_make(4096)};
    if (!CHECK(s.cache != NULL))
        return;
    for (unsigned at_once = 0; at_once < 2; at_once++) {
        (void)slabs_depth(&s, 100, at_once != 0); /* the ways that are rare */
        size_t few = slabs_depth(&s, 10, at_once != 0);
        size_t many = slabs_depth(&s, 1000, at_once != 0);
        CHECK(few > 0 && many < PAINT_BYTES);
        if (!CHECK(many <= few + 1024))
            test_note("%zu and %zu bytes of stack", few, many);
    }
    verso_slab_destroy(s.cache);
}

static struct bitset set;

TEST(a_bitset_finds_the_next_and_the_last_before_as_by_trying)
{
    set = (struct bitset){.top = 0};
    for (unsigned i = 0; i < 40; i++) {
        uint32_t bit = test_random_below(BITSET_MAX);
        bitset_add(&set, i % 3 == 0 ? bit & ~1023u : bit);
    }
    uint32_t before = BITSET_NONE, first = bitset_lowest(&set), seen = 0;
    for (uint32_t bit = 0; bit < BITSET_MAX; bit++) {
        if (!CHECK_EQ(bitset_before(&set, bit), before))
            return;
        if (!bitset_has(&set, bit))
            continue;
        CHECK_EQ(
            bitset_from(&set, before == BITSET_NONE ? 0 : before + 1), bit);
        CHECK_EQ(bitset_from(&set, bit), bit);
        before = bit;
        seen++;
    }
    CHECK(first != BITSET_NONE && bitset_has(&set, first) && seen > 20);
    if (before < BITSET_MAX - 1)
        CHECK_EQ(bitset_from(&set, before + 1), BITSET_NONE);
}

TEST(a_bitset_is_filled_up_to_any_bit)
{
    static const uint32_t counts[] = {0, 1, 31, 32, 33, 1023, 1024, 1025};
    for (size_t c = 0; c <= ARRAY_COUNT(counts); c++) {
        uint32_t count = c < ARRAY_COUNT(counts) ? counts[c] : BITSET_MAX;
        set = (struct bitset){.top = 0};
        bitset_fill(&set, count);
        for (uint32_t bit = 0; bit < count; bit++) {
            if (!CHECK_EQ(bitset_lowest(&set), bit))
                return;
            bitset_remove(&set, bit);
        }
        CHECK_EQ(bitset_lowest(&set), BITSET_NONE);
    }
}

TEST(a_heap_has_addresses_for_a_node_in_128_pages_up_to_a_limit)
{
    struct verso_boot boot = {.heap_start = VERSO_PAGE_SIZE};
    boot.heap_pages = (size_t)1 << 15;
    CHECK_EQ(verso_i_heap_layout(&boot).node_pages, 1u << 8);
    if (sizeof(vaddr_t) > 4) {
        boot.heap_pages = (size_t)BITSET_MAX << 8;
        CHECK_EQ(verso_i_heap_layout(&boot).node_pages, BITSET_MAX);
    }
}

SUITE(node, a_node_is_where_its_index_says_and_is_all_its_owners,
    what_is_no_node_in_use_is_known_for_it,
    the_lowest_page_with_a_free_node_is_filled_first,
    empty_pages_are_given_back_and_the_lowest_comes_first_again,
    a_page_with_one_node_in_use_stays,
    a_refill_that_finds_no_memory_has_changed_nothing,
    nothing_is_refilled_in_an_interrupt, nodes_run_out_and_come_back,
    an_area_needs_as_many_nodes_as_there_are_pieces_more,
    a_free_needs_no_node_and_no_frame,
    a_slab_grows_if_there_are_nodes_for_its_entry_and_its_area,
    refills_are_never_nested,
    a_thousand_slabs_are_given_back_on_as_little_stack_as_ten,
    a_bitset_finds_the_next_and_the_last_before_as_by_trying,
    a_bitset_is_filled_up_to_any_bit,
    a_heap_has_addresses_for_a_node_in_128_pages_up_to_a_limit);
