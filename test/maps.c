/* SPDX-License-Identifier: MIT */
/*
 * maps.c - maps beside the kernel's, of addresses that users will have: 128 TiB
 * of them, or 256 MiB where addresses have 32 bits. Areas are bare, so that the
 * addresses need not be anybody's; what they do is compared with a list.
 */
#include <verso/area.h>
#include <verso/check.h>
#include <verso/reclaim.h>

#include "../kernel/machine.h"
#include "../src/area.h"
#include "inject.h"
#include "test.h"

#define PAGE     VERSO_PAGE_SIZE
#define START    ((vaddr_t)4 << 20)
#define END      ((uint64_t)1 << (sizeof(vaddr_t) > 4 ? 47 : 28))
#define PAGES    ((size_t)((END - START) >> VERSO_PAGE_SHIFT))
#define AREAS    60u
#define MANY     3000u
#define HUGE_MAX (PAGES / 16)

static struct area_map map;
static struct {
    vaddr_t start;
    size_t pages;
} is[AREAS];
static size_t count;

/* Nodes in use, with nothing in stock. */
static size_t nodes_used(void)
{
    verso_trim();
    return verso_i_node.used;
}

static bool open(void)
{
    count = 0;
    return CHECK_OK(verso_i_area_map_init(&map, NULL, START, PAGES));
}

static bool is_whole(void)
{
    const char *broken = verso_i_area_map_check(&map);
    if (CHECK(broken == NULL))
        return true;
    test_note("%s", broken);
    return false;
}

/* No node, and no page of nodes, is left behind. */
static void close_and_compare(size_t nodes)
{
    (void)is_whole();
    verso_i_area_map_fini(&map);
    CHECK_EQ(map.radix.nodes, 0);
    CHECK_EQ(nodes_used(), nodes);
}

static vaddr_t end_of(size_t i)
{
    return is[i].start + bytes_of(is[i].pages);
}

/* The area that begins in, or reaches into, the range; count: none. */
static size_t area_in(vaddr_t start, size_t pages)
{
    size_t i = 0;
    while (i < count &&
           (end_of(i) <= start || is[i].start >= start + bytes_of(pages)))
        i++;
    return i;
}

static bool is_free(vaddr_t start, size_t pages)
{
    return start >= START && pages <= PAGES &&
           start - START <= bytes_of(PAGES - pages) &&
           area_in(start, pages) == count;
}

/* Beside an area that is there, or anywhere. */
static vaddr_t any_address(void)
{
    size_t page = (size_t)((uint64_t)test_random() << 8 ^ test_random());
    size_t i = count > 0 ? test_random_below((uint32_t)count) : 0;
    if (count == 0 || test_random_below(3) == 0)
        return START + bytes_of(page % PAGES);
    vaddr_t va = test_random_below(2) == 0 ? is[i].start : end_of(i);
    va += bytes_of(test_random_below(9)) - 4 * PAGE;
    return va >= START && va - START < bytes_of(PAGES) ? va : START;
}

static size_t any_size(void)
{
    size_t pages = 1 + test_random_below(20);
    if (test_random_below(6) == 0)
        pages = 1 + (size_t)test_random() % HUGE_MAX;
    return pages;
}

static bool place(vaddr_t fixed, size_t pages)
{
    struct verso_area_request request = {
        .pages = pages, .flags = VERSO_AREA_BARE, .fixed = fixed};
    vaddr_t va = 0;
    int err = verso_i_area_place(&map, &request, &va);
    if (fixed != 0 && !is_free(fixed, pages))
        return CHECK_EQ(
            err, pages > PAGES - ((fixed - START) >> VERSO_PAGE_SHIFT)
                     ? VERSO_BAD_ARG
                     : VERSO_EXISTS);
    if (!CHECK_OK(err) || !CHECK(is_free(va, pages)) ||
        !CHECK(fixed == 0 || va == fixed))
        return false;
    is[count].start = va;
    is[count++].pages = pages;
    return true;
}

static bool remove_at(size_t i)
{
    bool well = CHECK_OK(verso_i_area_remove(&map, is[i].start));
    is[i] = is[--count];
    return well;
}

static bool resize(size_t i)
{
    size_t pages = any_size(), old = is[i].pages;
    vaddr_t end = end_of(i);
    bool fits = pages <= old || is_free(end, pages - old);
    int err = verso_i_area_resize(&map, is[i].start, pages);
    if (!CHECK_EQ(err, fits ? 0 : VERSO_NO_MEMORY))
        return false;
    is[i].pages = fits ? pages : old;
    return true;
}

static bool find_agrees(vaddr_t va)
{
    struct verso_area_info info;
    size_t i = area_in(va, 1);
    int err = verso_i_area_info(&map, va + test_random_below(PAGE), &info);
    if (i == count)
        return CHECK_EQ(err, VERSO_ABSENT);
    return CHECK_OK(err) && CHECK_EQ(info.start, is[i].start) &&
           CHECK_EQ(info.pages, is[i].pages);
}

TEST(areas_of_a_users_map_do_what_a_list_says)
{
    size_t nodes = nodes_used();
    bool well = open();
    for (unsigned i = 0; well && i < 4000; i++) {
        unsigned what = test_random_below(8);
        if (count < AREAS && what < 2)
            well = place(0, any_size());
        else if (count < AREAS && what < 4)
            well = place(any_address(), any_size());
        else if (count > 0 && what < 6)
            well = remove_at(test_random_below((uint32_t)count));
        else if (count > 0)
            well = resize(test_random_below((uint32_t)count));
        for (unsigned k = 0; well && k < 4; k++)
            well = find_agrees(any_address());
        well = well && (i % 16 != 0 || is_whole());
    }
    close_and_compare(nodes);
}

TEST(a_map_that_is_emptied_has_two_paths_less)
{
    size_t nodes = nodes_used();
    if (!open())
        return;
    CHECK_EQ(map.radix.nodes, map.radix.levels);
    for (unsigned i = 0; i < 40; i++)
        (void)place(START + bytes_of((PAGES / 41) * (i + 1)), 3);
    CHECK_EQ(count, 40);
    CHECK(map.radix.nodes <= 81 * map.radix.levels);
    CHECK(map.radix.nodes > 40);
    while (count > 0)
        (void)remove_at(test_random_below((uint32_t)count));
    CHECK_EQ(map.radix.nodes, map.radix.levels);
    (void)verso_i_area_map_drain(&map);
    CHECK_EQ(nodes_used(), nodes + 1 + map.radix.levels);
    close_and_compare(nodes);
}

/* All of it, and ends that no bin is meant for. */
TEST(the_largest_areas_are_had_and_given_back)
{
    size_t nodes = nodes_used();
    if (!open())
        return;
    static const unsigned parts[] = {1, 2, 3, 9, 17};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        size_t pages = PAGES / parts[i];
        unsigned n = 0;
        while (n < parts[i] && place(0, pages))
            n++;
        CHECK_EQ(n, parts[i]);
        (void)is_whole();
        while (count > 0)
            (void)remove_at(0);
    }
    close_and_compare(nodes);
}

TEST(a_user_who_asks_for_nonsense_gets_an_error_and_no_panic)
{
    size_t nodes = nodes_used();
    if (!open() || !place(START + 8 * PAGE, 4))
        return;
    const struct verso_area_request bad[] = {{.pages = 0},
        {.pages = 1, .align = 3}, {.pages = 1, .flags = 0x80000000u},
        {.pages = 1, .flags = VERSO_AREA_LAZY | VERSO_AREA_BARE},
        {.pages = CONTIG_MAX + 1, .flags = VERSO_AREA_CONTIG},
        {.pages = 1, .fixed = START + 1}, {.pages = 1, .fixed = START - PAGE},
        {.pages = 1, .fixed = START + bytes_of(PAGES)}};
    vaddr_t va = 0;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        CHECK_EQ(verso_i_area_place(&map, &bad[i], &va), VERSO_BAD_ARG);
    struct verso_area_request r = {.pages = SIZE_MAX, .flags = VERSO_AREA_BARE};
    CHECK_EQ(verso_i_area_place(&map, &r, &va), VERSO_NO_MEMORY);
    r.fixed = START + bytes_of(PAGES - 1);
    r.pages = 2;
    CHECK_EQ(verso_i_area_place(&map, &r, &va), VERSO_BAD_ARG);
    r.flags = VERSO_WRITE | VERSO_EXEC;
    CHECK_EQ(verso_i_area_place(&map, &r, &va), VERSO_DENIED);
    const vaddr_t none[] = {0, START - PAGE, START, START + 9 * PAGE,
        START + 8 * PAGE + 1, START + 12 * PAGE, START + bytes_of(PAGES),
        UINTPTR_MAX, START + bytes_of(PAGES) - 1};
    for (size_t i = 0; i < ARRAY_COUNT(none); i++) {
        CHECK_EQ(verso_i_area_remove(&map, none[i]), VERSO_ABSENT);
        CHECK_EQ(verso_i_area_resize(&map, none[i], 1), VERSO_ABSENT);
        CHECK_EQ(verso_i_area_protect(&map, none[i], VERSO_RW), VERSO_ABSENT);
    }
    CHECK_EQ(verso_i_area_resize(&map, is[0].start, 0), VERSO_BAD_ARG);
    CHECK_EQ(verso_i_area_resize(&map, is[0].start, SIZE_MAX), VERSO_NO_MEMORY);
    CHECK_EQ(verso_i_area_protect(&map, is[0].start, 0x1000), VERSO_BAD_ARG);
    CHECK_EQ(verso_i_area_protect(&map, is[0].start, VERSO_WRITE | VERSO_EXEC),
        VERSO_DENIED);
    CHECK_OK(verso_i_area_protect(&map, is[0].start, VERSO_READ));
    CHECK(find_agrees(is[0].start + PAGE));
    close_and_compare(nodes);
}

TEST(a_map_of_no_range_is_refused)
{
    static const size_t bad[] = {0, SIZE_MAX, SIZE_MAX >> VERSO_PAGE_SHIFT};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        CHECK_EQ(
            verso_i_area_map_init(&map, NULL, START, bad[i]), VERSO_BAD_ARG);
    CHECK_EQ(verso_i_area_map_init(&map, NULL, START + 1, 1), VERSO_BAD_ARG);
}

/* ---- the Nth inner allocation fails ---- */

enum op {
    OP_INIT,
    OP_PLACE,
    OP_GROW,
    OP_SHRINK,
    OPS
};

static int op_run(enum op op)
{
    const vaddr_t at = START + bytes_of(PAGES / 2);
    struct verso_area_request request = {.pages = 17,
        .flags = VERSO_AREA_BARE,
        .fixed = at + bytes_of(PAGES / 4)};
    vaddr_t va;
    if (op == OP_INIT)
        return verso_i_area_map_init(&map, NULL, START, PAGES);
    if (op == OP_PLACE)
        return verso_i_area_place(&map, &request, &va);
    return verso_i_area_resize(&map, at, op == OP_GROW ? PAGES / 9 : 3);
}

static void op_undo(enum op op)
{
    const vaddr_t at = START + bytes_of(PAGES / 2);
    if (op == OP_INIT)
        verso_i_area_map_fini(&map);
    else if (op == OP_PLACE)
        CHECK_OK(verso_i_area_remove(&map, at + bytes_of(PAGES / 4)));
    else
        CHECK_OK(verso_i_area_resize(&map, at, 40));
}

/* What can be seen of the map, and the nodes that it has. */
static uint64_t state(enum op op)
{
    struct verso_area_stats stats = {.used = 0};
    if (op != OP_INIT) {
        (void)verso_i_area_map_drain(&map);
        verso_i_area_map_stats(&map, &stats);
        (void)is_whole();
    }
    return nodes_used() * 1000003u ^ stats.free_pages ^ stats.used << 20 ^
           stats.free << 8 ^ stats.largest_free << 16 ^
           map.radix.nodes * 77777u;
}

static unsigned op_each_failure(enum op op)
{
    uint64_t before = state(op);
    for (unsigned n = 1; n < 100; n++) {
        inject_fail_at(n);
        int err = op_run(op);
        inject_fail_at(0);
        if (err == 0) {
            op_undo(op);
            CHECK(state(op) == before);
            return n - 1;
        }
        CHECK_EQ(err, VERSO_NO_MEMORY);
        if (!CHECK(state(op) == before))
            test_note("operation %d, allocation %u", (int)op, n);
    }
    CHECK(false);
    return 0;
}

TEST(a_change_of_a_users_map_that_runs_out_has_changed_nothing)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    size_t nodes = nodes_used();
    const unsigned levels = sizeof(vaddr_t) > 4 ? 9 : 6;
    map = (struct area_map){.start = 0};
    CHECK(op_each_failure(OP_INIT) > levels);
    if (!open() || !place(START + bytes_of(PAGES / 2), 40))
        return;
    CHECK(op_each_failure(OP_PLACE) >= 2 + levels / 2);
    CHECK(op_each_failure(OP_GROW) >= levels / 2);
    CHECK(op_each_failure(OP_SHRINK) >= 1);
    close_and_compare(nodes);
}

/* ---- what it costs ---- */

/* The most allocations that one of some placements makes. */
static unsigned steps_of_placing(unsigned areas)
{
    unsigned most = 0;
    for (unsigned i = 0; i < areas; i++) {
        struct verso_area_request request = {
            .pages = 1 + i % 4, .flags = VERSO_AREA_BARE};
        vaddr_t va;
        inject_fail_at(0);
        if (!CHECK_OK(verso_i_area_place(&map, &request, &va)))
            return 0;
        most = inject_calls() > most ? inject_calls() : most;
    }
    return most;
}

TEST(many_areas_make_none_of_them_dearer)
{
    size_t nodes = nodes_used();
    if (!open())
        return;
    unsigned few = steps_of_placing(10), many = steps_of_placing(MANY);
    if (inject_available())
        CHECK(few > 0 && many <= 1 + 2 * map.radix.levels + 8);
    /* neighbours share their nodes */
    CHECK(map.radix.nodes < MANY);
    CHECK(map.radix.levels == (sizeof(vaddr_t) > 4 ? 9 : 6));
    close_and_compare(nodes);
}

/* pitfall 27: map_fini() goes through them in a loop. */
TEST(mapped_areas_are_emptied_with_their_map)
{
    const struct area_map *kernel = verso_i_area_kernel();
    size_t nodes = nodes_used();
    void *room = verso_area_alloc(64, VERSO_AREA_BARE);
    if (!CHECK(room != NULL) || !CHECK(kernel->start <= (vaddr_t)room))
        return;
    size_t with_room = nodes_used();
    CHECK_OK(verso_i_area_map_init(&map, NULL, (vaddr_t)room, 64));
    static const unsigned flags[] = {VERSO_AREA_MAPPED, VERSO_AREA_LAZY,
        VERSO_AREA_MAPPED | VERSO_AREA_GUARD, VERSO_AREA_BARE};
    vaddr_t va = 0, first = 0;
    for (size_t i = 0; i < 8; i++) {
        struct verso_area_request request = {.pages = 3, .flags = flags[i % 4]};
        if (!CHECK_OK(verso_i_area_place(&map, &request, &va)))
            break;
        first = i == 0 ? va : first;
    }
    *(volatile uint32_t *)first = 1;
    if (CHECK_OK(verso_i_area_resize(&map, first, 1)))
        CHECK_OK(verso_i_area_protect(&map, first, VERSO_READ));
    verso_i_area_map_fini(&map);
    CHECK_EQ(nodes_used(), with_room);
    verso_area_free(room);
    CHECK_EQ(nodes_used(), nodes);
    CHECK(verso_check() == NULL);
}

SUITE(maps, areas_of_a_users_map_do_what_a_list_says,
    a_map_that_is_emptied_has_two_paths_less,
    the_largest_areas_are_had_and_given_back,
    a_user_who_asks_for_nonsense_gets_an_error_and_no_panic,
    a_map_of_no_range_is_refused,
    a_change_of_a_users_map_that_runs_out_has_changed_nothing,
    many_areas_make_none_of_them_dearer,
    mapped_areas_are_emptied_with_their_map);
