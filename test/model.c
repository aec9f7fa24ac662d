/* SPDX-License-Identifier: MIT */
/*
 * model.c - thousands of random operations over the public interface, against
 * a model of it that is nothing but arrays:
 *
 *     objects   of alloc: sizes and patterns
 *     caches    and their objects
 *     areas     of every kind: which pages were touched
 *     window    mappings of frames that are no RAM: frame and rights a page
 *     slots     mappings of real frames, some several times: contents
 *
 * Running out of memory is part of it: the operation has then done nothing.
 * SEED=... (a word seed=... for the kernel) repeats a run.
 */
#include <verso/verso.h>

#include "../kernel/machine.h"
#include "inject.h"
#include "pattern.h"
#include "test.h"

#define OPERATIONS  4000u
#define CHECK_EVERY 100u
#define PAGE        ((size_t)VERSO_PAGE_SIZE)

static uint32_t below(uint32_t n)
{
    return test_random_below(n);
}

static bool one_in(uint32_t n)
{
    return below(n) == 0;
}

/* ---- objects of alloc ---- */

#define OBJECTS 96u
static struct object {
    unsigned char *at;
    size_t size;
    uint32_t seed;
} objects[OBJECTS];

static size_t random_size(void)
{
    switch (below(16)) {
    case 0:
        return below(120000);
    case 1:
    case 2:
        return below(40000);
    case 3:
    case 4:
    case 5:
        return below(5000);
    default:
        return below(300);
    }
}

static void object_put(struct object *object, void *at, size_t size)
{
    object->at = at;
    object->size = size;
    object->seed = test_random();
    if (at == NULL)
        return;
    CHECK_EQ((uintptr_t)at % (2 * sizeof(uintptr_t)), 0);
    CHECK(verso_usable_size(at) >= size);
    pattern_fill(at, size, object->seed);
}

static void object_make(struct object *object)
{
    size_t size = random_size();
    size_t align = (size_t)1 << below(14);
    void *at;
    switch (below(4)) {
    case 0:
        at = verso_alloc_aligned(align, size);
        CHECK_EQ((uintptr_t)at % align, 0);
        break;
    case 1:
        at = verso_alloc_zeroed(size / 10, 10);
        size = size / 10 * 10;
        CHECK(at == NULL || is_all(at, size, 0));
        break;
    default:
        at = verso_alloc(size);
        break;
    }
    object_put(object, at, size);
}

static void object_resize(struct object *object)
{
    size_t size = one_in(3) ? random_size() : object->size + below(5000);
    unsigned char *at = verso_realloc(object->at, size);
    if (at == NULL)
        return;
    CHECK(pattern_holds(
        at, size < object->size ? size : object->size, object->seed));
    object_put(object, at, size);
}

static void object_step(void)
{
    struct object *object = &objects[below(OBJECTS)];
    if (object->at == NULL) {
        object_make(object);
        return;
    }
    CHECK(pattern_holds(object->at, object->size, object->seed));
    if (one_in(3)) {
        object_resize(object);
        return;
    }
    if (one_in(2))
        verso_free(object->at);
    else
        verso_free_sized(object->at, object->size);
    object->at = NULL;
}

/* ---- caches ---- */

#define CACHES        5u
#define CACHE_OBJECTS 40u
static struct cache {
    struct slab_desc *desc;
    struct verso_slab_params params;
    unsigned char *at[CACHE_OBJECTS];
    unsigned used;
} caches[CACHES];

static uint32_t cache_seed(const struct cache *cache, unsigned i)
{
    return (uint32_t)(cache - caches) * 1000 + i;
}

static void cache_make(struct cache *cache)
{
    static const uint32_t largest[] = {9, 100, 700, 5000, 32768};
    cache->params = (struct verso_slab_params){.name = "model"};
    cache->params.size = 1 + below(largest[below(5)]);
    cache->params.align = (size_t)1 << below(13);
    cache->desc = verso_slab_create(&cache->params);
    cache->used = 0;
}

static void cache_alloc(struct cache *cache)
{
    unsigned i = cache->used;
    unsigned char *at = verso_slab_alloc(cache->desc);
    if (at == NULL)
        return;
    CHECK_EQ((uintptr_t)at % cache->params.align, 0);
    pattern_fill(at, cache->params.size, cache_seed(cache, i));
    cache->at[i] = at;
    cache->used++;
}

/* The last one takes the place of the one that goes. */
static void cache_free(struct cache *cache)
{
    size_t size = cache->params.size;
    unsigned i = below(cache->used), last = --cache->used;
    CHECK(pattern_holds(cache->at[i], size, cache_seed(cache, i)));
    verso_slab_free(cache->desc, cache->at[i]);
    if (i == last)
        return;
    CHECK(pattern_holds(cache->at[last], size, cache_seed(cache, last)));
    cache->at[i] = cache->at[last];
    pattern_fill(cache->at[i], size, cache_seed(cache, i));
}

static void cache_step(void)
{
    struct cache *cache = &caches[below(CACHES)];
    struct verso_slab_stats stats;
    if (cache->desc == NULL) {
        cache_make(cache);
        return;
    }
    for (unsigned n = below(12); n > 0; n--) {
        if (cache->used < CACHE_OBJECTS && !one_in(3))
            cache_alloc(cache);
        else if (cache->used > 0)
            cache_free(cache);
    }
    verso_slab_stats(cache->desc, &stats);
    CHECK_EQ(stats.used, cache->used);
    if (one_in(8))
        (void)verso_slab_shrink(cache->desc);
    if (!one_in(20))
        return;
    while (cache->used > 0)
        cache_free(cache);
    verso_slab_destroy(cache->desc);
    cache->desc = NULL;
}

/* ---- areas ---- */

#define AREAS      24u
#define AREA_PAGES 16u
static struct area {
    char *at;
    size_t pages;
    unsigned flags;   /* without the rights */
    unsigned rights;  /* now */
    uint32_t touched; /* bit i: page i has its pattern */
    uint32_t probed;  /* bit i: page i may be there, and zero */
    uint32_t seed;
} areas[AREAS];

static bool area_has_pages(const struct area *area)
{
    return (area->flags & VERSO_AREA_BARE) == 0;
}

static void area_make(struct area *area)
{
    static const unsigned kinds[] = {VERSO_AREA_MAPPED, VERSO_AREA_MAPPED,
        VERSO_AREA_LAZY, VERSO_AREA_LAZY, VERSO_AREA_BARE,
        VERSO_AREA_MAPPED | VERSO_AREA_CONTIG,
        VERSO_AREA_MAPPED | VERSO_AREA_ZERO,
        VERSO_AREA_MAPPED | VERSO_AREA_LOW};
    static const unsigned guards[] = {
        0, 0, VERSO_AREA_GUARD_BELOW, VERSO_AREA_GUARD_ABOVE, VERSO_AREA_GUARD};
    struct verso_area_request request = {.name = "model"};
    area->flags = kinds[below(8)] | guards[below(5)];
    area->pages = 1 + below(AREA_PAGES);
    area->rights = VERSO_RW;
    area->touched = area->probed = 0;
    area->seed = test_random();
    request.pages = area->pages;
    request.flags = area->flags;
    if (one_in(4))
        request.align = PAGE << below(8);
    area->at = verso_area_alloc_as(&request);
    if (area->at == NULL)
        return;
    if (request.align != 0)
        CHECK_EQ((uintptr_t)area->at % request.align, 0);
    if (area->flags & VERSO_AREA_ZERO)
        CHECK(is_all(area->at, area->pages * PAGE, 0));
}

/* Words of a page only, so that thousands are quick. */
static uint32_t *area_word(const struct area *area, size_t page, unsigned i)
{
    return (uint32_t *)(void *)(area->at + page * PAGE) + i * 37 % 1024;
}

static bool area_page_holds(const struct area *area, size_t page)
{
    for (unsigned i = 0; i < 4; i++)
        if (*area_word(area, page, i) != area->seed + page * 4 + i)
            return false;
    return true;
}

static void area_check(const struct area *area)
{
    struct verso_area_info info;
    struct verso_mapping mapping;
    CHECK_OK(verso_area_find(area->at + below(PAGE), &info));
    CHECK_EQ(info.start, (uintptr_t)area->at);
    CHECK_EQ(info.pages, area->pages);
    for (size_t page = 0; page < area->pages; page++) {
        vaddr_t va = (vaddr_t)area->at + page * PAGE;
        bool touched = (area->touched >> page & 1) != 0;
        bool mapped = verso_query(va, &mapping) == 0;
        if (touched)
            CHECK(mapped && area_page_holds(area, page));
        else if ((area->probed >> page & 1) == 0)
            CHECK_EQ(mapped,
                (area->flags & (VERSO_AREA_LAZY | VERSO_AREA_BARE)) == 0);
        if (mapped)
            CHECK_EQ(mapping.flags, area->rights);
    }
}

static void area_touch(struct area *area)
{
    size_t page = below((uint32_t)area->pages);
    if (area->flags & VERSO_AREA_LAZY)
        area->probed |= (uint32_t)1 << page;
    if (!area_has_pages(area) || area->rights != VERSO_RW) {
        CHECK(machine_probe(area_word(area, page, 0), true));
        return;
    }
    if ((area->touched >> page & 1) == 0 &&
        machine_probe(area_word(area, page, 0), true))
        return; /* no memory for a first touch */
    if ((area->flags & VERSO_AREA_LAZY) && (area->touched >> page & 1) == 0)
        CHECK(is_all(area_word(area, page, 0), PAGE, 0));
    for (unsigned i = 0; i < 4; i++)
        *area_word(area, page, i) = area->seed + (uint32_t)page * 4 + i;
    area->touched |= (uint32_t)1 << page;
}

static void area_resize(struct area *area)
{
    size_t pages = 1 + below(AREA_PAGES);
    int err = verso_area_resize(area->at, pages);
    if (area->flags & VERSO_AREA_CONTIG) {
        CHECK_EQ(err, pages == area->pages ? 0 : VERSO_BAD_ARG);
        return;
    }
    CHECK(err == 0 || (err == VERSO_NO_MEMORY));
    if (err != 0)
        return;
    area->pages = pages;
    area->touched &= ((uint32_t)1 << pages) - 1;
    area->probed &= ((uint32_t)1 << pages) - 1;
}

static void area_protect(struct area *area)
{
    unsigned rights = area->rights == VERSO_RW ? VERSO_READ : VERSO_RW;
    if (verso_area_protect(area->at, rights) == 0)
        area->rights = rights;
}

static void area_step(void)
{
    struct area *area = &areas[below(AREAS)];
    if (area->at == NULL) {
        area_make(area);
        return;
    }
    area_check(area);
    switch (below(8)) {
    case 0:
    case 1:
        verso_area_free(area->at);
        area->at = NULL;
        break;
    case 2:
        area_resize(area);
        break;
    case 3:
        area_protect(area);
        break;
    default:
        area_touch(area);
        break;
    }
}

/* ---- the window: frames that are no RAM ---- */

#define WINDOW  3072u /* pages: three large ones */
#define NOWHERE 0xc0000u
static struct {
    uint32_t frame[WINDOW]; /* 0: not mapped */
    uint8_t rights[WINDOW];
} window;

static vaddr_t window_va(size_t page)
{
    size_t pages;
    return test_window(&pages) + page * PAGE;
}

static bool is_mapped(size_t page, size_t pages, bool all)
{
    size_t mapped = 0;
    for (size_t i = page; i < page + pages; i++)
        mapped += window.frame[i] != 0;
    return all ? mapped == pages : mapped != 0;
}

static void window_map(size_t page, size_t pages, unsigned rights)
{
    static const uint32_t shifts[] = {0, 1024, 8192, 5};
    uint32_t first = NOWHERE + (uint32_t)page + shifts[below(4)];
    int err = verso_map(window_va(page), pfn_make(first), pages, rights);
    if (err == VERSO_NO_MEMORY)
        return;
    CHECK_EQ(err, is_mapped(page, pages, false) ? VERSO_EXISTS : VERSO_OK);
    for (size_t i = 0; err == 0 && i < pages; i++) {
        window.frame[page + i] = first + (uint32_t)i;
        window.rights[page + i] = (uint8_t)rights;
    }
}

static void window_protect(size_t page, size_t pages, unsigned rights)
{
    int err = verso_protect(window_va(page), pages, rights);
    if (err == VERSO_NO_MEMORY) /* to split a large page */
        return;
    CHECK_EQ(err, is_mapped(page, pages, true) ? VERSO_OK : VERSO_ABSENT);
    for (size_t i = 0; err == 0 && i < pages; i++)
        window.rights[page + i] = (uint8_t)rights;
}

static void window_unmap(size_t page, size_t pages)
{
    int err = verso_unmap(window_va(page), pages);
    if (err == VERSO_NO_MEMORY)
        return;
    CHECK_OK(err);
    for (size_t i = 0; err == 0 && i < pages; i++)
        window.frame[page + i] = 0;
}

static void window_check(void)
{
    for (size_t page = 0; page < WINDOW && !test_has_failed(); page++) {
        struct verso_mapping m;
        int err = verso_query(window_va(page), &m);
        CHECK_EQ(err, window.frame[page] != 0 ? VERSO_OK : VERSO_ABSENT);
        if (err == 0 && window.frame[page] != 0) {
            CHECK_EQ(pfn_nr(paddr_to_pfn(m.pa)), window.frame[page]);
            CHECK_EQ(m.flags, window.rights[page]);
        }
    }
}

static void window_step(void)
{
    static const unsigned rights[] = {
        0, VERSO_READ, VERSO_RW, VERSO_RX, VERSO_RW | VERSO_USER};
    size_t page = below(WINDOW), pages = 1 + below(one_in(4) ? 1500 : 20);
    if (one_in(3)) { /* whole large pages */
        page = page / 1024 * 1024;
        pages = 1024u << below(2);
    }
    if (pages > WINDOW - page)
        pages = WINDOW - page;
    switch (below(5)) {
    case 0:
    case 1:
        window_map(page, pages, rights[below(5)]);
        break;
    case 2:
        window_unmap(page, pages);
        break;
    default:
        window_protect(page, pages, rights[below(5)]);
        break;
    }
}

/* ---- slots: real frames behind the window ---- */

#define FRAMES 12u
#define SLOTS  40u
static struct {
    pfn_t frame[FRAMES];
    uint32_t seed[FRAMES];
    unsigned shown[FRAMES];        /* slots that show it */
    unsigned slot[SLOTS];          /* frame + 1; 0: none */
    unsigned char writable[SLOTS]; /* or read-only */
} real;

static volatile uint32_t *slot_word(unsigned slot)
{
    return (volatile uint32_t *)window_va(WINDOW + 512 + slot);
}

static void slot_map(unsigned slot, unsigned f)
{
    bool writable = !one_in(3);
    if (pfn_is_none(real.frame[f]))
        real.frame[f] = verso_frame_alloc1(VERSO_ZONE_ANY);
    if (pfn_is_none(real.frame[f]) ||
        verso_map((vaddr_t)slot_word(slot), real.frame[f], 1,
            writable || real.shown[f] == 0 ? VERSO_RW : VERSO_READ) != 0)
        return;
    real.slot[slot] = f + 1;
    real.writable[slot] = writable || real.shown[f] == 0;
    if (real.shown[f]++ == 0) {
        real.seed[f] = test_random();
        *slot_word(slot) = real.seed[f];
    }
}

static void slot_unmap(unsigned slot)
{
    unsigned f = real.slot[slot] - 1;
    CHECK_OK(verso_unmap((vaddr_t)slot_word(slot), 1));
    CHECK(machine_probe(slot_word(slot), false));
    real.slot[slot] = 0;
    if (--real.shown[f] == 0) {
        verso_frame_free1(real.frame[f]);
        real.frame[f] = PFN_NONE;
    }
}

/* What one slot writes every slot of that frame reads. */
static void slot_use(unsigned slot)
{
    unsigned f = real.slot[slot] - 1;
    CHECK_EQ(*slot_word(slot), real.seed[f]);
    if (one_in(3)) {
        unsigned rights = real.writable[slot] ? VERSO_READ : VERSO_RW;
        CHECK_OK(verso_protect((vaddr_t)slot_word(slot), 1, rights));
        real.writable[slot] = rights == VERSO_RW;
    }
    if (real.writable[slot])
        *slot_word(slot) = real.seed[f] = test_random();
    else
        CHECK(machine_probe(slot_word(slot), true));
}

static void slot_step(void)
{
    unsigned slot = below(SLOTS);
    if (real.slot[slot] == 0)
        slot_map(slot, below(FRAMES));
    else if (one_in(3))
        slot_unmap(slot);
    else
        slot_use(slot);
}

/* ---- all together ---- */

static void step(void)
{
    uint32_t kind = below(100);
    if (kind < 35)
        object_step();
    else if (kind < 50)
        cache_step();
    else if (kind < 75)
        area_step();
    else if (kind < 85)
        window_step();
    else if (kind < 99)
        slot_step();
    else if (one_in(2))
        verso_trim();
    else
        (void)verso_reclaim();
}

static void check_everything(void)
{
    const char *broken = verso_check();
    if (!CHECK(broken == NULL))
        test_note("%s", broken);
    window_check();
    for (unsigned i = 0; i < AREAS; i++)
        if (areas[i].at != NULL)
            area_check(&areas[i]);
    for (unsigned i = 0; i < OBJECTS; i++)
        if (objects[i].at != NULL)
            CHECK(
                pattern_holds(objects[i].at, objects[i].size, objects[i].seed));
}

static void free_everything(void)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        verso_free(objects[i].at);
        objects[i].at = NULL;
    }
    for (unsigned i = 0; i < CACHES; i++) {
        while (caches[i].desc != NULL && caches[i].used > 0)
            cache_free(&caches[i]);
        if (caches[i].desc != NULL)
            verso_slab_destroy(caches[i].desc);
        caches[i].desc = NULL;
    }
    for (unsigned i = 0; i < AREAS; i++) {
        if (areas[i].at != NULL)
            verso_area_free(areas[i].at);
        areas[i].at = NULL;
    }
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (real.slot[slot] != 0)
            slot_unmap(slot);
    window_unmap(0, WINDOW);
}

static void run(unsigned operations)
{
    uint64_t before = test_state_hash();
    for (unsigned i = 1; i <= operations && !test_has_failed(); i++) {
        step();
        if (test_audit)
            CHECK_EQ(test_audit(), 0);
        if (i % CHECK_EVERY == 0)
            check_everything();
        if (test_has_failed())
            test_note("operation %u", i);
    }
    free_everything();
    CHECK(test_state_hash() == before);
}

TEST(thousands_of_random_operations_do_what_the_model_does)
{
    run(OPERATIONS);
}

/* The same where memory is short: many of them fail, and must have done
 * nothing. */
TEST(random_operations_with_little_memory_fail_clean)
{
    struct verso_chain taken = {PFN_NONE, 0};
    struct verso_frame_stats stats;
    verso_trim();
    verso_frame_stats(&stats);
    if (stats.free > 250)
        CHECK_OK(
            verso_frame_alloc_bulk(&taken, stats.free - 250, VERSO_ZONE_ANY));
    run(OPERATIONS / 2);
    verso_frame_free_bulk(&taken);
}

SUITE(model, thousands_of_random_operations_do_what_the_model_does,
    random_operations_with_little_memory_fail_clean);
