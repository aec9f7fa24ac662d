/* SPDX-License-Identifier: MIT */
/*
 * model.c - operations over the public interface, against a model of it that is
 * nothing but arrays:
 *
 *     objects   of alloc: sizes and patterns
 *     caches    and their objects
 *     areas     of every kind: which pages were touched
 *     window    mappings of frames that are no RAM: frame and rights a page
 *     slots     mappings of real frames, some several times: contents, and use
 *     blocks    frames that nothing maps, by blocks, runs and chains
 *
 * Running out of memory is part of it: the operation has then done nothing.
 * Which operation comes next, and all else about it, is drawn from one function
 * (model.h): here from random numbers, by thousands; SEED=... (a word seed=...
 * for the kernel) repeats a run.
 */
#include <verso/verso.h>

#include "../kernel/machine.h"
#include "inject.h"
#include "model.h"
#include "pattern.h"
#include "test.h"

#define OPERATIONS  4000u
#define CHECK_EVERY 100u
#define PAGE        ((size_t)VERSO_PAGE_SIZE)

static model_choice *below = test_random_below;
static uint32_t last_seed;

/* Of a pattern: only has to differ from the ones before. */
static uint32_t next_seed(void)
{
    last_seed += 0x9e3779b1u;
    return last_seed;
}

static bool one_in(uint32_t n)
{
    return below(n) == 0;
}

/* ---- contents ---- */

/* What is written into an object: all of it, or of a large one the first EDGE
 * bytes and as many at its end, each by a pattern of its own. */
#define EDGE 2048u

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t tail_of(size_t size)
{
    return size > EDGE ? least(size - EDGE, EDGE) : 0;
}

static void edges_fill(unsigned char *at, size_t size, uint32_t seed)
{
    pattern_fill(at, least(size, EDGE), seed);
    pattern_fill(at + size - tail_of(size), tail_of(size), ~seed);
}

/* The first `kept` bytes of what was of this size. */
static bool edges_hold(
    const unsigned char *at, size_t size, size_t kept, uint32_t seed)
{
    if (!pattern_holds(at, least(kept, EDGE), seed))
        return false;
    return kept < size ||
           pattern_holds(at + size - tail_of(size), tail_of(size), ~seed);
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
        return below(40000);
    case 2:
    case 3:
        return below(5000);
    default:
        return below(300);
    }
}

static void object_put(struct object *object, void *at, size_t size)
{
    object->at = at;
    object->size = size;
    object->seed = next_seed();
    if (at == NULL)
        return;
    CHECK_EQ((uintptr_t)at % (2 * sizeof(uintptr_t)), 0);
    CHECK(verso_usable_size(at) >= size);
    edges_fill(at, size, object->seed);
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
    CHECK(
        edges_hold(at, object->size, least(size, object->size), object->seed));
    object_put(object, at, size);
}

static void object_step(void)
{
    struct object *object = &objects[below(OBJECTS)];
    if (object->at == NULL) {
        object_make(object);
        return;
    }
    CHECK(edges_hold(object->at, object->size, object->size, object->seed));
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
    edges_fill(at, cache->params.size, cache_seed(cache, i));
    cache->at[i] = at;
    cache->used++;
}

/* The last one takes the place of the one that goes. */
static void cache_free(struct cache *cache)
{
    size_t size = cache->params.size;
    unsigned i = below(cache->used), last = --cache->used;
    CHECK(edges_hold(cache->at[i], size, size, cache_seed(cache, i)));
    verso_slab_free(cache->desc, cache->at[i]);
    if (i == last)
        return;
    CHECK(edges_hold(cache->at[last], size, size, cache_seed(cache, last)));
    cache->at[i] = cache->at[last];
    edges_fill(cache->at[i], size, cache_seed(cache, i));
}

static void cache_step(void)
{
    struct cache *cache = &caches[below(CACHES)];
    struct verso_slab_stats stats;
    if (cache->desc == NULL) {
        cache_make(cache);
        return;
    }
    for (unsigned n = below(6); n > 0; n--) {
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

/* Where it may lie, near the start of the heap, where others are; or where it
 * has to. */
static void area_limit(struct verso_area_request *request)
{
    const struct verso_boot *boot = machine_boot();
    request->min = boot->heap_start + below(256) * PAGE;
    request->max = request->min + (request->pages + below(64)) * PAGE;
    if (one_in(3)) {
        request->fixed = request->min + PAGE;
        request->min = request->max = request->align = 0;
    }
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
    area->seed = next_seed();
    request.pages = area->pages;
    request.flags = area->flags;
    if (one_in(4))
        request.align = PAGE << below(8);
    if (one_in(4))
        area_limit(&request);
    area->at = verso_area_alloc_as(&request);
    if (area->at == NULL)
        return;
    if (request.align != 0)
        CHECK_EQ((uintptr_t)area->at % request.align, 0);
    if (request.max != 0)
        CHECK((vaddr_t)area->at >= request.min &&
              (vaddr_t)area->at + area->pages * PAGE <= request.max);
    if (request.fixed != 0)
        CHECK_EQ((vaddr_t)area->at, request.fixed);
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
    uint16_t rights[WINDOW];
    size_t from, to; /* all that was ever mapped lies between */
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
    static const uint32_t shifts[] = {0, 0, 0, 1024, 1024, 8192, 8192, 5};
    uint32_t first = NOWHERE + (uint32_t)page + shifts[below(8)];
    int err = verso_map(window_va(page), pfn_make(first), pages, rights);
    if (err == VERSO_NO_MEMORY)
        return;
    CHECK_EQ(err, is_mapped(page, pages, false) ? VERSO_EXISTS : VERSO_OK);
    for (size_t i = 0; err == 0 && i < pages; i++) {
        window.frame[page + i] = first + (uint32_t)i;
        window.rights[page + i] = (uint16_t)rights;
    }
    window.from = page < window.from ? page : window.from;
    window.to = page + pages > window.to ? page + pages : window.to;
}

static void window_protect(size_t page, size_t pages, unsigned rights)
{
    int err = verso_protect(window_va(page), pages, rights);
    if (err == VERSO_NO_MEMORY) /* to split a large page */
        return;
    CHECK_EQ(err, is_mapped(page, pages, true) ? VERSO_OK : VERSO_ABSENT);
    for (size_t i = 0; err == 0 && i < pages; i++)
        window.rights[page + i] = (uint16_t)rights;
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
    for (size_t page = window.from; page < window.to && !test_has_failed();
         page++) {
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
    size_t page = below(WINDOW), pages = 1 + below(one_in(24) ? 1500 : 20);
    if (one_in(4)) { /* whole large pages */
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
    unsigned char use[SLOTS];      /* since the last harvest: 1 read, 2 write */
} real;

static volatile uint32_t *slot_word(unsigned slot)
{
    return (volatile uint32_t *)window_va(WINDOW + 512 + slot);
}

static void frame_drop(unsigned f)
{
    if (real.shown[f] > 0 || pfn_is_none(real.frame[f]))
        return;
    verso_frame_free1(real.frame[f]);
    real.frame[f] = PFN_NONE;
}

static void slot_map(unsigned slot, unsigned f)
{
    bool writable = !one_in(3) || real.shown[f] == 0;
    if (pfn_is_none(real.frame[f]))
        real.frame[f] = verso_frame_alloc1(below(VERSO_ZONES));
    if (pfn_is_none(real.frame[f]) ||
        verso_map((vaddr_t)slot_word(slot), real.frame[f], 1,
            writable ? VERSO_RW : VERSO_READ) != 0) {
        frame_drop(f);
        return;
    }
    real.slot[slot] = f + 1;
    real.writable[slot] = writable;
    real.use[slot] = 0;
    if (real.shown[f]++ == 0) {
        real.seed[f] = next_seed();
        *slot_word(slot) = real.seed[f];
        real.use[slot] = 3;
    }
}

static void slot_unmap(unsigned slot)
{
    unsigned f = real.slot[slot] - 1;
    CHECK_OK(verso_unmap((vaddr_t)slot_word(slot), 1));
    CHECK(machine_probe(slot_word(slot), false));
    real.slot[slot] = 0;
    real.shown[f]--;
    frame_drop(f);
}

/* What one slot writes every slot of that frame reads. */
static void slot_use(unsigned slot)
{
    unsigned f = real.slot[slot] - 1;
    CHECK_EQ(*slot_word(slot), real.seed[f]);
    real.use[slot] |= 1;
    if (one_in(3)) {
        unsigned rights = real.writable[slot] ? VERSO_READ : VERSO_RW;
        CHECK_OK(verso_protect((vaddr_t)slot_word(slot), 1, rights));
        real.writable[slot] = rights == VERSO_RW;
    }
    if (real.writable[slot]) {
        *slot_word(slot) = real.seed[f] = next_seed();
        real.use[slot] |= 2;
    } else {
        CHECK(machine_probe(slot_word(slot), true));
    }
}

/* No use is lost; none is invented, but by a machine that may. */
static void slot_harvest(unsigned slot)
{
    size_t pages = 1 + below(SLOTS - slot);
    unsigned char bits[SLOTS];
    CHECK_OK(verso_harvest((vaddr_t)slot_word(slot), pages, bits));
    for (unsigned i = 0; i < pages; i++) {
        unsigned use = real.slot[slot + i] != 0 ? real.use[slot + i] : 0;
        if (test_use_is_random && test_use_is_random())
            CHECK_EQ(bits[i] & use, use);
        else
            CHECK_EQ(bits[i], use);
        real.use[slot + i] = 0;
    }
}

static void slot_step(void)
{
    unsigned slot = below(SLOTS);
    if (real.slot[slot] == 0)
        slot_map(slot, below(FRAMES));
    else if (one_in(3))
        slot_unmap(slot);
    else if (one_in(4))
        slot_harvest(slot);
    else
        slot_use(slot);
}

/* ---- blocks: frames that nothing maps ---- */

#define BLOCKS 10u
static struct block {
    pfn_t first; /* PFN_NONE: none */
    size_t pages;
    struct verso_chain chain; /* or this */
    bool is_run;
} blocks[BLOCKS];

/* The descriptor's link is its owner's: a frame that somebody else has too
 * loses its sign. */
static void block_sign(const struct block *block, bool check, unsigned zone)
{
    const uint32_t sign = (uint32_t)(block - blocks) + 1000;
    for (size_t i = 0; i < block->pages; i++) {
        struct frame *frame = verso_frame_find(pfn_add(block->first, i));
        if (!CHECK(frame != NULL))
            return;
        CHECK(frame->zone <= zone);
        CHECK_EQ(frame->count, 1);
        if (check)
            CHECK_EQ(frame->link, sign);
        frame->link = sign;
    }
}

static void block_make(struct block *block)
{
    unsigned zone = below(VERSO_ZONES), order = below(7);
    block->is_run = one_in(3);
    block->pages = block->is_run ? 1 + below(60) : (size_t)1 << order;
    if (one_in(4)) {
        if (verso_frame_alloc_bulk(&block->chain, 1 + below(60), zone) != 0)
            CHECK_EQ(block->chain.pages, 0);
        return;
    }
    block->first = block->is_run ? verso_frame_alloc_run(block->pages, zone)
                                 : verso_frame_alloc(order, zone);
    if (pfn_is_none(block->first))
        return;
    if (!block->is_run)
        CHECK_EQ(pfn_nr(block->first) % block->pages, 0);
    block_sign(block, false, zone);
}

static void block_free(struct block *block)
{
    verso_frame_free_bulk(&block->chain);
    if (pfn_is_none(block->first))
        return;
    block_sign(block, true, VERSO_ZONE_ANY);
    if (block->is_run)
        verso_frame_free_run(block->first, block->pages);
    else
        verso_frame_free(block->first, (unsigned)__builtin_ctzl(block->pages));
    block->first = PFN_NONE;
}

static void block_step(void)
{
    struct block *block = &blocks[below(BLOCKS)];
    if (pfn_is_none(block->first) && block->chain.pages == 0)
        block_make(block);
    else
        block_free(block);
}

/* ---- all together ---- */

void model_start(model_choice *choose)
{
    below = choose;
    last_seed = 0;
    window.from = WINDOW;
    window.to = 0;
}

void model_step(void)
{
    uint32_t kind = below(100);
    if (kind < 30)
        object_step();
    else if (kind < 45)
        cache_step();
    else if (kind < 70)
        area_step();
    else if (kind < 80)
        window_step();
    else if (kind < 93)
        slot_step();
    else if (kind < 98)
        block_step();
    else if (one_in(2))
        verso_trim();
    else
        (void)verso_reclaim();
}

const void *model_address(void)
{
    uintptr_t at;
    switch (below(4)) {
    case 0:
        at = (uintptr_t)objects[below(OBJECTS)].at;
        break;
    case 1:
        at = (uintptr_t)areas[below(AREAS)].at;
        break;
    case 2:
        at = (uintptr_t)caches[below(CACHES)].at[below(CACHE_OBJECTS)];
        break;
    default:
        at = window_va(below(WINDOW + 1024));
        break;
    }
    return (const void *)(at + below(2 * (uint32_t)PAGE) - PAGE / 2);
}

void model_check(void)
{
    const char *broken = verso_check();
    if (!CHECK(broken == NULL))
        test_note("%s", broken);
    window_check();
    for (unsigned i = 0; i < AREAS; i++)
        if (areas[i].at != NULL)
            area_check(&areas[i]);
    for (unsigned i = 0; i < OBJECTS; i++) {
        const struct object *o = &objects[i];
        if (o->at != NULL)
            CHECK(edges_hold(o->at, o->size, o->size, o->seed));
    }
}

static void caches_end(void)
{
    for (unsigned i = 0; i < CACHES; i++) {
        while (caches[i].desc != NULL && caches[i].used > 0)
            cache_free(&caches[i]);
        if (caches[i].desc != NULL)
            verso_slab_destroy(caches[i].desc);
        caches[i].desc = NULL;
    }
}

void model_end(void)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        verso_free(objects[i].at);
        objects[i].at = NULL;
    }
    caches_end();
    for (unsigned i = 0; i < AREAS; i++) {
        if (areas[i].at != NULL)
            verso_area_free(areas[i].at);
        areas[i].at = NULL;
    }
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (real.slot[slot] != 0)
            slot_unmap(slot);
    if (window.from < window.to)
        window_unmap(window.from, window.to - window.from);
    for (unsigned i = 0; i < BLOCKS; i++)
        block_free(&blocks[i]);
}

/* ---- driven by random numbers ---- */

static void run(unsigned operations, bool failing)
{
    uint64_t before = test_state_hash();
    model_start(test_random_below);
    for (unsigned i = 1; i <= operations && !test_has_failed(); i++) {
        if (failing && one_in(3))
            inject_fail_at(1 + below(6));
        model_step();
        inject_fail_at(0);
        if (test_audit)
            CHECK_EQ(test_audit(), 0);
        if (i % CHECK_EVERY == 0)
            model_check();
        if (test_has_failed())
            test_note("operation %u", i);
    }
    model_end();
    CHECK(test_state_hash() == before);
}

TEST(thousands_of_random_operations_do_what_the_model_does)
{
    run(OPERATIONS, false);
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
    run(OPERATIONS / 2, false);
    verso_frame_free_bulk(&taken);
}

TEST(random_operations_that_fail_inside_have_done_nothing)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    run(OPERATIONS / 2, true);
}

SUITE(model, thousands_of_random_operations_do_what_the_model_does,
    random_operations_with_little_memory_fail_clean,
    random_operations_that_fail_inside_have_done_nothing);
