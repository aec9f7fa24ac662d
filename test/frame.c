/* SPDX-License-Identifier: MIT */
/*
 * frame.c - tests of the frames: on the live system, whose frames are taken,
 * compared and given back; and of boot maps, which need no system at all.
 *
 * Frames that a test holds are linked through frame.link, which is the
 * holder's, so that all of RAM can be held without memory for it.
 */
#include "../src/frame.h"

#include "boot-map.h"
#include "test.h"

#define ORDER_MAX (VERSO_FRAME_ORDERS - 1u)

static struct frame *at(pfn_t pfn)
{
    return verso_frame_find(pfn);
}

/* The stock goes back, so that equal states have equal blocks. */
static struct verso_frame_stats trimmed(void)
{
    struct verso_frame_stats stats;
    verso_i_frame_drain();
    verso_frame_stats(&stats);
    return stats;
}

static bool check_same(const struct verso_frame_stats *before)
{
    struct verso_frame_stats now = trimmed();
    bool same = CHECK_EQ(now.free, before->free);
    same &= CHECK_EQ(now.used, before->used);
    for (unsigned k = 0; same && k <= ORDER_MAX; k++)
        same = CHECK_EQ(now.blocks[k], before->blocks[k]);
    return CHECK(verso_i_frame_check() == NULL) && same;
}

/* ---- the live system ---- */

TEST(a_single_frame_has_one_owner_until_it_is_freed)
{
    struct verso_frame_stats before = trimmed();
    pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
    if (!CHECK(!pfn_is_none(pfn)))
        return;
    CHECK_EQ(verso_frame_owners(pfn), 1);
    CHECK_EQ(at(pfn)->state, FRAME_USED);
    CHECK_EQ(trimmed().used, before.used + 1);
    verso_frame_free1(pfn);
    CHECK_EQ(verso_frame_owners(pfn), 0);
    check_same(&before);
}

TEST(a_freed_frame_is_write_back_and_has_no_live_entries)
{
    pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
    if (!CHECK(!pfn_is_none(pfn)))
        return;
    verso_frame_set_cache(pfn, VERSO_CACHE_UC);
    CHECK_EQ(at(pfn)->cache, VERSO_CACHE_UC >> VERSO_CACHE_SHIFT);
    at(pfn)->state = FRAME_TABLE; /* as paging does */
    at(pfn)->live = 7;
    verso_frame_free1(pfn);
    CHECK_EQ(at(pfn)->cache, 0);
    CHECK_EQ(at(pfn)->live, 0);
    CHECK(verso_i_frame_check() == NULL);
}

TEST(a_shared_frame_is_freed_by_its_last_owner)
{
    struct verso_frame_stats before = trimmed();
    pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
    if (!CHECK(!pfn_is_none(pfn)))
        return;
    verso_frame_share(pfn);
    CHECK_EQ(verso_frame_owners(pfn), 2);
    struct verso_chain chain = {pfn, 1};
    verso_frame_free_bulk(&chain);
    CHECK_EQ(verso_frame_owners(pfn), 1);
    verso_frame_free1(pfn);
    CHECK_EQ(verso_frame_owners(pfn), 0);
    check_same(&before);
}

TEST(a_block_comes_back_whole_when_both_buddies_are_free)
{
    struct verso_frame_stats before = trimmed();
    for (unsigned order = 1; order <= ORDER_MAX; order++) {
        const uint32_t half = 1u << (order - 1);
        pfn_t pfn = verso_frame_alloc(order, VERSO_ZONE_ANY);
        if (pfn_is_none(pfn))
            continue; /* a small machine has no such block */
        CHECK_EQ(pfn_nr(pfn) & (2 * half - 1), 0);
        verso_frame_free(pfn_add(pfn, half), order - 1);
        CHECK_EQ(trimmed().free, before.free - half);
        verso_frame_free(pfn, order - 1);
        check_same(&before);
    }
}

TEST(a_block_may_be_freed_frame_by_frame)
{
    struct verso_frame_stats before = trimmed();
    pfn_t pfn = verso_frame_alloc(6, VERSO_ZONE_ANY);
    if (pfn_is_none(pfn))
        SKIP("no block of 64 frames");
    for (uint32_t i = 0; i < 64; i++)
        verso_frame_free1(pfn_add(pfn, i * 37 % 64));
    check_same(&before);
}

TEST(a_run_keeps_only_the_frames_asked_for)
{
    struct verso_frame_stats before = trimmed();
    for (size_t pages = 1; pages <= 1024; pages += pages < 70 ? 1 : 53) {
        pfn_t pfn = verso_frame_alloc_run(pages, VERSO_ZONE_ANY);
        if (pfn_is_none(pfn))
            continue;
        CHECK_EQ(trimmed().used, before.used + pages);
        for (size_t i = 0; i < pages; i++)
            if (!CHECK_EQ(verso_frame_owners(pfn_add(pfn, i)), 1))
                break;
        verso_frame_free_run(pfn, pages);
        if (!check_same(&before))
            return;
    }
}

TEST(bulk_gives_as_many_frames_as_asked_for)
{
    static const size_t sizes[] = {0, 1, 2, 31, 32, 33, 100, 1024, 1025, 4096};
    struct verso_frame_stats before = trimmed();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct verso_chain chain;
        size_t pages = 0;
        if (sizes[i] > before.free)
            continue;
        CHECK_OK(verso_frame_alloc_bulk(&chain, sizes[i], VERSO_ZONE_ANY));
        CHECK_EQ(trimmed().used, before.used + sizes[i]);
        for (pfn_t pfn = chain.first; !pfn_is_none(pfn) && pages <= sizes[i];
             pfn = pfn_make(at(pfn)->link), pages++)
            at(pfn)->live = 1; /* seen: nobody's twice */
        CHECK_EQ(pages, sizes[i]);
        CHECK_EQ(chain.pages, sizes[i]);
        verso_frame_free_bulk(&chain);
        CHECK_EQ(chain.pages, 0);
        if (!check_same(&before))
            return;
    }
}

TEST(bulk_takes_a_chain_back_in_any_order)
{
    struct verso_frame_stats before = trimmed();
    struct verso_chain chain, odd = {PFN_NONE, 0}, even = {PFN_NONE, 0};
    if (before.free < 1500)
        SKIP("fewer than 1,500 frames are free");
    CHECK_OK(verso_frame_alloc_bulk(&chain, 1500, VERSO_ZONE_ANY));
    while (chain.pages != 0) {
        pfn_t pfn = chain.first;
        struct verso_chain *to = test_random() & 1 ? &odd : &even;
        chain.first = pfn_make(at(pfn)->link);
        chain.pages--;
        at(pfn)->link = pfn_nr(to->first); /* descending now */
        to->first = pfn;
        to->pages++;
    }
    verso_frame_free_bulk(&odd);
    CHECK(verso_i_frame_check() == NULL);
    verso_frame_free_bulk(&even);
    check_same(&before);
}

TEST(a_long_chain_leaves_what_has_another_owner)
{
    struct verso_frame_stats before = trimmed();
    struct verso_chain chain;
    if (!CHECK_OK(verso_frame_alloc_bulk(
            &chain, VERSO_STOCK_BATCH + 1, VERSO_ZONE_ANY)))
        return;
    pfn_t second = pfn_make(at(chain.first)->link);
    verso_frame_share(chain.first);
    verso_frame_share(second);
    pfn_t first = chain.first;
    verso_frame_free_bulk(&chain);
    CHECK_EQ(verso_frame_owners(first), 1);
    CHECK_EQ(verso_frame_owners(second), 1);
    CHECK_EQ(trimmed().used, before.used + 2);
    verso_frame_free1(first);
    verso_frame_free1(second);
    check_same(&before);
}

TEST(bulk_that_fails_has_taken_nothing)
{
    struct verso_frame_stats before = trimmed();
    struct verso_chain chain;
    CHECK_EQ(verso_frame_alloc_bulk(&chain, before.free + 1, VERSO_ZONE_ANY),
        VERSO_NO_MEMORY);
    CHECK_EQ(chain.pages, 0);
    CHECK_EQ(verso_frame_alloc_bulk(&chain, SIZE_MAX, VERSO_ZONE_ANY),
        VERSO_NO_MEMORY);
    check_same(&before);
}

/* What is taken stays below the limit; zone 0 is not asked in vain while
 * others' frames lie in the stock. */
TEST(a_request_stays_in_its_zone)
{
    struct verso_frame_stats before = trimmed();
    for (unsigned zone = 0; zone < VERSO_ZONES; zone++) {
        pfn_t any = verso_frame_alloc1(VERSO_ZONE_ANY);
        pfn_t one = verso_frame_alloc1(zone);
        pfn_t block = verso_frame_alloc(3, zone);
        struct verso_chain chain;
        int err = verso_frame_alloc_bulk(&chain, 40, zone);
        if (!pfn_is_none(one)) {
            CHECK(at(one)->zone <= zone);
            verso_frame_free1(one);
        }
        if (!pfn_is_none(block)) {
            CHECK(at(block)->zone <= zone);
            verso_frame_free(block, 3);
        }
        if (err == VERSO_OK) {
            for (pfn_t pfn = chain.first; !pfn_is_none(pfn);
                 pfn = pfn_make(at(pfn)->link))
                CHECK(at(pfn)->zone <= zone);
            verso_frame_free_bulk(&chain);
        }
        if (!pfn_is_none(any))
            verso_frame_free1(any);
    }
    check_same(&before);
}

/* Few frames are looked for in the stock; what it lacks comes from the lists
 * behind it, and not from lower zones. */
TEST(a_stock_that_holds_too_few_is_filled_before_a_lower_zone_is_asked)
{
    struct verso_frame_stats before = trimmed(), now;
    struct verso_chain chain;
    pfn_t first = verso_frame_alloc1(VERSO_ZONE_ANY);
    if (!CHECK(!pfn_is_none(first)))
        return;
    const unsigned top = at(first)->zone;
    verso_frame_stats(&now);
    size_t held = now.stock - 2; /* and so two are left */
    CHECK_OK(verso_frame_alloc_bulk(&chain, held, VERSO_ZONE_ANY));
    struct verso_chain few;
    CHECK_OK(verso_frame_alloc_bulk(&few, 5, VERSO_ZONE_ANY));
    for (pfn_t pfn = few.first; !pfn_is_none(pfn);
         pfn = pfn_make(at(pfn)->link))
        CHECK_EQ(at(pfn)->zone, top);
    verso_frame_free_bulk(&few);
    verso_frame_free_bulk(&chain);
    verso_frame_free1(first);
    check_same(&before);
}

/* What lies in it is missing where blocks are looked for. */
TEST(the_stock_stays_below_its_limit_however_frames_are_freed)
{
    struct verso_frame_stats before = trimmed(), now;
    struct verso_chain chain;
    const size_t pages = 3 * VERSO_STOCK_HIGH;
    CHECK_OK(verso_frame_alloc_bulk(&chain, pages, VERSO_ZONE_ANY));
    for (pfn_t pfn = chain.first, next; !pfn_is_none(pfn); pfn = next) {
        next = pfn_make(at(pfn)->link);
        verso_frame_free1(pfn);
        verso_frame_stats(&now);
        if (!CHECK(now.stock <= VERSO_STOCK_HIGH))
            break;
    }
    check_same(&before);
}

/* Large blocks first: few calls even with much RAM. */
TEST(all_frames_can_be_taken_and_come_back)
{
    struct verso_frame_stats before = trimmed();
    pfn_t held[VERSO_FRAME_ORDERS];
    size_t pages = 0;
    for (unsigned order = VERSO_FRAME_ORDERS; order-- > 0;) {
        held[order] = PFN_NONE;
        for (;;) {
            pfn_t pfn = verso_frame_alloc(order, VERSO_ZONE_ANY);
            if (pfn_is_none(pfn))
                break;
            at(pfn)->link = pfn_nr(held[order]);
            held[order] = pfn;
            pages += (size_t)1 << order;
        }
        struct verso_frame_stats left = trimmed(); /* in no zone is one left */
        for (unsigned k = order; k <= ORDER_MAX; k++)
            CHECK_EQ(left.blocks[k], 0);
    }
    CHECK_EQ(pages, before.free);
    CHECK_EQ(trimmed().free, 0);
    CHECK(pfn_is_none(verso_frame_alloc1(VERSO_ZONE_ANY)));
    struct verso_chain chain;
    CHECK_EQ(
        verso_frame_alloc_bulk(&chain, 1, VERSO_ZONE_ANY), VERSO_NO_MEMORY);
    for (unsigned order = 0; order < VERSO_FRAME_ORDERS; order++) {
        while (!pfn_is_none(held[order])) {
            pfn_t pfn = held[order];
            held[order] = pfn_make(at(pfn)->link);
            verso_frame_free(pfn, order);
        }
    }
    check_same(&before);
}

/* What the stock holds must not stand in the way of a block. */
TEST(a_block_is_found_though_its_frames_lie_in_the_stock)
{
    struct verso_frame_stats before = trimmed();
    struct verso_chain chain;
    CHECK_OK(verso_frame_alloc_bulk(&chain, before.free, VERSO_ZONE_ANY));
    pfn_t first = chain.first;
    while (!pfn_is_none(first) && (pfn_nr(first) & 7) != 0)
        first = pfn_make(at(first)->link);
    bool block = !pfn_is_none(first);
    pfn_t last = first;
    for (unsigned i = 1; block && i < 8; i++) {
        block = at(last)->link == pfn_nr(last) + 1 &&
                at(pfn_make(at(last)->link))->zone == at(first)->zone;
        last = pfn_add(last, 1);
    }
    uint32_t rest = block ? at(last)->link : 0;
    for (unsigned i = 0; block && i < 8; i++)
        verso_frame_free1(pfn_add(first, i));
    if (block) {
        pfn_t again = verso_frame_alloc(3, VERSO_ZONE_ANY);
        CHECK_EQ(pfn_nr(again), pfn_nr(first));
        for (unsigned i = 0; i < 8 && !pfn_is_none(again); i++)
            at(pfn_add(again, i))->link = i < 7 ? pfn_nr(again) + i + 1 : rest;
    }
    verso_frame_free_bulk(&chain);
    check_same(&before);
}

#define HELD_MAX 200

struct held {
    pfn_t first;
    size_t pages;
    unsigned kind; /* 0 a single frame, 1 a block, 2 a run, 3 a chain */
};

static bool hold(struct held *held)
{
    struct verso_chain chain;
    unsigned zone = test_random_below(VERSO_ZONES);
    *held = (struct held){PFN_NONE, 1, test_random_below(4)};
    if (held->kind == 0) {
        held->first = verso_frame_alloc1(zone);
    } else if (held->kind == 1) {
        unsigned order = test_random_below(7);
        held->pages = (size_t)1 << order;
        held->first = verso_frame_alloc(order, zone);
    } else if (held->kind == 2) {
        held->pages = 1 + test_random_below(60);
        held->first = verso_frame_alloc_run(held->pages, zone);
    } else {
        held->pages = 1 + test_random_below(90);
        if (verso_frame_alloc_bulk(&chain, held->pages, zone) == VERSO_OK)
            held->first = chain.first;
    }
    return !pfn_is_none(held->first);
}

static void let_go(const struct held *held)
{
    struct verso_chain chain = {held->first, held->pages};
    if (held->kind == 0)
        verso_frame_free1(held->first);
    else if (held->kind == 3)
        verso_frame_free_bulk(&chain);
    else
        verso_frame_free_run(held->first, held->pages);
}

/* Every frame held belongs to one holder: `live` is its mark. */
static bool mark(const struct held *held, uint16_t from, uint16_t to)
{
    pfn_t pfn = held->first;
    for (size_t i = 0; i < held->pages; i++) {
        struct frame *f = at(pfn);
        if (!CHECK(f != NULL && f->live == from && f->count == 1))
            return false;
        f->live = to;
        pfn = held->kind == 3 ? pfn_make(f->link) : pfn_add(pfn, 1);
    }
    return true;
}

TEST(random_operations_keep_every_invariant)
{
    static struct held all[HELD_MAX];
    struct verso_frame_stats before = trimmed();
    size_t count = 0, pages = 0;
    for (unsigned step = 0; step < 4000 && !test_has_failed(); step++) {
        size_t i = test_random_below(HELD_MAX);
        if (i < count) {
            mark(&all[i], 1, 0);
            let_go(&all[i]);
            pages -= all[i].pages;
            all[i] = all[--count];
        } else if (count < HELD_MAX && hold(&all[count])) {
            pages += all[count].pages;
            mark(&all[count++], 0, 1);
        }
        if (step % 500 == 0) {
            CHECK_EQ(trimmed().used, before.used + pages);
            CHECK(verso_i_frame_check() == NULL);
        }
    }
    while (count > 0)
        let_go(&all[--count]);
    check_same(&before);
}

/* ---- misuse ---- */

static void free_one(void *arg)
{
    verso_frame_free1(*(pfn_t *)arg);
}

static void free_two(void *arg)
{
    verso_frame_free(*(pfn_t *)arg, 1);
}

static void free_chain(void *arg)
{
    struct verso_chain chain = {*(pfn_t *)arg, 1};
    verso_frame_free_bulk(&chain);
}

static void free_this_chain(void *arg)
{
    verso_frame_free_bulk(arg);
}

struct cache_wish {
    pfn_t pfn;
    unsigned cache;
};

static void cache_wished(void *arg)
{
    const struct cache_wish *wish = arg;
    verso_frame_set_cache(wish->pfn, wish->cache);
}

static void share(void *arg)
{
    verso_frame_share(*(pfn_t *)arg);
}

static void cache_odd(void *arg)
{
    verso_frame_set_cache(*(pfn_t *)arg, VERSO_CACHE_MASK);
}

static void cache_free(void *arg)
{
    verso_frame_set_cache(*(pfn_t *)arg, VERSO_CACHE_UC);
}

TEST(freeing_what_is_not_handed_out_panics)
{
    struct verso_frame_stats before = trimmed();
    pfn_t pfn = verso_frame_alloc(1, VERSO_ZONE_ANY);
    pfn_t zero = PFN_NONE, foreign = pfn_make(UINT32_MAX);
    pfn_t foreign_pair = pfn_make(UINT32_MAX - 1);
    if (pfn_is_none(pfn))
        SKIP("no block of two frames");
    pfn_t second = pfn_add(pfn, 1);
    CHECK_PANICS_WITH(free_two, &second, "as a block of order 1");
    verso_frame_free1(second);
    CHECK_PANICS_WITH(free_one, &second, "it is free");
    CHECK_PANICS_WITH(free_chain, &second, "it is free");
    CHECK_PANICS_WITH(free_two, &pfn, "it is free");
    verso_frame_free1(pfn);
    verso_i_frame_drain();
    CHECK_PANICS_WITH(free_one, &pfn, "it is free");
    CHECK_PANICS_WITH(free_one, &zero, "it is reserved");
    CHECK_PANICS_WITH(free_one, &foreign, "there are only");
    CHECK_PANICS_WITH(free_two, &foreign_pair, "there are only");
    check_same(&before);
}

TEST(owners_and_cache_types_are_checked)
{
    pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
    if (!CHECK(!pfn_is_none(pfn)))
        return;
    CHECK_PANICS_WITH(cache_odd, &pfn, "does not exist");
    at(pfn)->count = UINT16_MAX;
    CHECK_PANICS_WITH(share, &pfn, "one owner more than 65535");
    at(pfn)->count = 1;
    verso_frame_free1(pfn);
    CHECK_PANICS_WITH(share, &pfn, "one owner more than 0");
    CHECK_PANICS_WITH(cache_free, &pfn, "it is free");
}

/* Of a chain {good..., free} the good ones are freed before the bad one is
 * found; and each of them once. */
static void check_bad_chain(size_t good)
{
    struct verso_frame_stats before = trimmed();
    struct verso_chain chain, one;
    pfn_t bad = verso_frame_alloc1(VERSO_ZONE_ANY);
    if (!CHECK(!pfn_is_none(bad)) ||
        !CHECK_OK(verso_frame_alloc_bulk(&chain, good, VERSO_ZONE_ANY)))
        return;
    verso_frame_free1(bad);
    pfn_t last = chain.first;
    for (size_t i = 1; i < good; i++)
        last = pfn_make(at(last)->link);
    at(last)->link = pfn_nr(bad);
    one = chain;
    one.pages++;
    CHECK_PANICS_WITH(free_this_chain, &one, "it is free");
    check_same(&before);
}

TEST(a_chain_with_a_free_frame_in_it_is_freed_up_to_there)
{
    check_bad_chain(1);
    check_bad_chain(2);
    check_bad_chain(VERSO_STOCK_BATCH - 1); /* through the stock */
    check_bad_chain(VERSO_STOCK_BATCH + 8); /* to the lists at once */
}

TEST(a_cache_type_that_does_not_exist_is_refused)
{
    pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
    if (!CHECK(!pfn_is_none(pfn)))
        return;
    for (unsigned type = 0; type < 8; type++) {
        struct cache_wish wish = {pfn, type << VERSO_CACHE_SHIFT};
        if (type < 4)
            cache_wished(&wish);
        else
            CHECK_PANICS_WITH(cache_wished, &wish, "does not exist");
    }
    CHECK_EQ(at(pfn)->cache, VERSO_CACHE_UC >> VERSO_CACHE_SHIFT);
    verso_frame_free1(pfn);
}

/* ---- boot maps ---- */

#define PAGE       BOOT_MAP_PAGE
#define WINDOW     512u /* pages that are looked at */
#define RANGES_MAX 10u

static void random_range(struct verso_range *range, uint64_t base)
{
    range->start = base * PAGE + test_random_below(WINDOW) * PAGE;
    range->bytes = test_random_below(WINDOW / 2) * PAGE;
    range->usable = test_random_below(3) != 0;
    if (test_random_below(3) == 0)
        range->start += test_random_below((uint32_t)PAGE);
    if (test_random_below(3) == 0)
        range->bytes += test_random_below((uint32_t)PAGE);
    switch (test_random_below(12)) {
    case 0:
        range->bytes = 0;
        break;
    case 1: /* wraps around */
        range->bytes = UINT64_MAX - test_random();
        break;
    case 2: /* out of reach */
        range->start += (uint64_t)1 << 52;
        break;
    default:
        break;
    }
}

/* Pitfall 30: what is described twice, or reserved, is not handed out. */
TEST(boot_maps_agree_with_their_definition_page_by_page)
{
    struct verso_range map[RANGES_MAX], reserved[RANGES_MAX];
    for (unsigned round = 0; round < 400 && !test_has_failed(); round++) {
        const uint64_t base = round % 4 == 0 ? (1u << 20) - WINDOW / 2 : 0;
        struct verso_boot boot = {.map = map, .reserved = reserved};
        struct frame one[1];
        struct frame_gap gap = {0, base};
        boot.map_count = test_random_below(RANGES_MAX + 1);
        boot.reserved_count = test_random_below(4);
        for (size_t i = 0; i < boot.map_count; i++)
            random_range(&map[i], base);
        for (size_t i = 0; i < boot.reserved_count; i++)
            random_range(&reserved[i], base);
        if (round & 1) {
            boot.frames = one;
            boot.frames_pa = (base + test_random_below(WINDOW)) * PAGE + 8;
            boot.frame_count = test_random_below(2000);
        }
        bool more = verso_i_frame_find_gap(&boot, base, &gap);
        for (uint64_t page = base; page < base + WINDOW; page++) {
            if (more && page >= gap.end)
                more = verso_i_frame_find_gap(&boot, gap.end, &gap);
            bool found = more && gap.start <= page && page < gap.end;
            if (!CHECK_EQ(found, boot_map_allows(&boot, page)))
                break;
        }
    }
}

/* The array lies in the first gap that holds it, by trying each page. */
TEST(the_frame_array_is_placed_in_the_lowest_gap_that_holds_it)
{
    struct verso_range map[RANGES_MAX], reserved[RANGES_MAX];
    for (unsigned round = 0; round < 200 && !test_has_failed(); round++) {
        struct verso_boot boot = {.map = map,
            .reserved = reserved,
            .map_count = 1 + test_random_below(4),
            .reserved_count = 4};
        for (size_t i = 0; i < boot.map_count; i++) {
            random_range(&map[i], 0);
            map[i].start &= 0xffffffff;
            map[i].bytes &= 0x1fffff;
        }
        for (size_t i = 0; i < boot.reserved_count; i++) {
            random_range(&reserved[i], 0);
            reserved[i].bytes &= 0xffff;
        }
        const uint64_t from = test_random_below(100) * PAGE - (round & 1);
        if (from > PAGE * 1000 || verso_frame_place(&boot, from) != VERSO_OK)
            continue;
        const uint64_t place = boot.frames_pa / PAGE;
        const uint64_t bytes = boot.frame_count * sizeof(struct frame);
        const uint64_t pages = (bytes + PAGE - 1) / PAGE;
        uint64_t run = 0, page = (from + PAGE - 1) / PAGE;
        boot.frames = NULL; /* is free as long as nobody is there */
        for (; run < pages && page < place + pages; page++)
            run = boot_map_allows(&boot, page) ? run + 1 : 0;
        CHECK_EQ(run, pages);
        CHECK_EQ(page, place + pages);
        CHECK_EQ(boot.frames_pa % PAGE, 0);
        for (page = boot.frame_count; page < 2 * WINDOW; page++)
            CHECK(!boot_map_allows(&boot, page));
    }
}

/* 257 frames have two pages of descriptors. */
TEST(a_gap_that_is_a_page_too_short_does_not_get_the_array)
{
    struct verso_range map[] = {{0x100000, PAGE, true}};
    struct verso_boot boot = {.map = map, .map_count = 1};
    CHECK_EQ(verso_frame_place(&boot, 0), VERSO_NO_MEMORY);
    map[0].bytes = 2 * PAGE;
    CHECK_OK(verso_frame_place(&boot, 0));
    CHECK_EQ(boot.frame_count, 258);
}

TEST(ranges_that_touch_make_one_gap_in_whatever_order)
{
    const struct verso_range map[] = {{0x102000, PAGE, true},
        {0x103000, PAGE, true}, {0x101000, PAGE, true}, {0x100000, PAGE, true}};
    struct verso_boot boot = {.map = map, .map_count = 4};
    struct frame_gap gap;
    CHECK(verso_i_frame_find_gap(&boot, 0, &gap));
    CHECK_EQ(gap.start, 0x100);
    CHECK_EQ(gap.end, 0x104);
    CHECK_OK(verso_frame_place(&boot, 0));
    CHECK_EQ(boot.frames_pa, 0x100000);
}

/* Pitfall 30: RAM that no frame number reaches has no descriptors either. */
TEST(ram_that_cannot_be_addressed_does_not_lengthen_the_array)
{
    const uint64_t beyond = sizeof(verso_phys_t) > 4
                                ? (uint64_t)UINT32_MAX << VERSO_PAGE_SHIFT
                                : (uint64_t)1 << 32;
    const struct verso_range map[] = {{0x100000, 0x700000, true},
        {beyond, (uint64_t)1 << 30, true},
        {beyond + ((uint64_t)5 << 30), PAGE, true}};
    struct verso_boot boot = {.map = map, .map_count = 3};
    CHECK_OK(verso_frame_place(&boot, 0));
    CHECK_EQ(boot.frame_count, 0x800000 / PAGE);
}

/* Where frames are reached directly decides whether the array fits. */
TEST(an_array_that_has_no_addresses_has_no_place)
{
    static const struct verso_range map[] = {{0, 1u << 24, true}};
    struct verso_boot boot = {.map = map, .map_count = 1};
    boot.direct_offset = UINTPTR_MAX - 5;
    CHECK_EQ(verso_frame_place(&boot, 0), VERSO_NO_MEMORY);
    boot.direct_offset = UINTPTR_MAX - (1u << 20);
    CHECK_OK(verso_frame_place(&boot, 0));
    CHECK_EQ(verso_frame_place(&boot, 1u << 20), VERSO_NO_MEMORY);
}

TEST(a_map_without_room_has_no_place_for_the_array)
{
    static const struct verso_range holes[] = {
        {0, 0x1000, true},       /* page 0 only */
        {0x1800, 0x1000, true},  /* no whole page */
        {0x5000, 0, true},       /* nothing */
        {0x100000000, 42, true}, /* no whole page, above 4 GiB */
        {0x8000, 0x1000, true},  /* taken: */
        {0x8fff, 1, false},
    };
    struct verso_boot boot = {.map = holes, .map_count = 0};
    struct frame_gap gap;
    CHECK_EQ(verso_frame_place(&boot, 0), VERSO_NO_MEMORY);
    boot.map_count = sizeof holes / sizeof holes[0];
    CHECK(!verso_i_frame_find_gap(&boot, 0, &gap));
    CHECK_EQ(verso_frame_place(&boot, 0), VERSO_NO_MEMORY);
}

SUITE(frame, a_single_frame_has_one_owner_until_it_is_freed,
    a_freed_frame_is_write_back_and_has_no_live_entries,
    a_shared_frame_is_freed_by_its_last_owner,
    a_block_comes_back_whole_when_both_buddies_are_free,
    a_block_may_be_freed_frame_by_frame, a_run_keeps_only_the_frames_asked_for,
    bulk_gives_as_many_frames_as_asked_for,
    bulk_takes_a_chain_back_in_any_order,
    a_long_chain_leaves_what_has_another_owner,
    bulk_that_fails_has_taken_nothing, a_request_stays_in_its_zone,
    a_stock_that_holds_too_few_is_filled_before_a_lower_zone_is_asked,
    the_stock_stays_below_its_limit_however_frames_are_freed,
    all_frames_can_be_taken_and_come_back,
    a_block_is_found_though_its_frames_lie_in_the_stock,
    random_operations_keep_every_invariant,
    freeing_what_is_not_handed_out_panics, owners_and_cache_types_are_checked,
    a_chain_with_a_free_frame_in_it_is_freed_up_to_there,
    a_cache_type_that_does_not_exist_is_refused,
    boot_maps_agree_with_their_definition_page_by_page,
    the_frame_array_is_placed_in_the_lowest_gap_that_holds_it,
    a_gap_that_is_a_page_too_short_does_not_get_the_array,
    ranges_that_touch_make_one_gap_in_whatever_order,
    ram_that_cannot_be_addressed_does_not_lengthen_the_array,
    an_array_that_has_no_addresses_has_no_place,
    a_map_without_room_has_no_place_for_the_array);
