/* SPDX-License-Identifier: MIT */
/*
 * alloc - objects of any size.
 *
 *     size --> fine[size / word pair] --> a class, a slab cache --> slab_alloc
 *       |  `-> coarse[size / 128]
 *       `-- above the largest class: an area of whole pages
 *
 * Each class is a slab cache. Sizes are given at start, or are four to each
 * doubling, so that at most a fifth of an object is lost to rounding; they
 * go beyond a page, for what a slab of several pages wastes at its end is less
 * than what an area of whole pages does. The smallest object is two words:
 * when free it holds a link and a mark, and later the per-CPU layer's two.
 *
 * Going back, the pagemap says what a pointer is: a slab's word leads to the
 * entry, an area's to the mem_area. Whatever else it is, is not ours, and is
 * reported with the name of what is there.
 *
 * On no memory the entry points here reclaim once, and try once more.
 *
 * Invariants:
 *   1. the classes ascend, and every size leads to the smallest that holds it.
 *
 * No lock and no state but the constant tables. Cost: constant; an area costs
 * its pages.
 */
#include "alloc.h"

#include <verso/area.h>
#include <verso/reclaim.h>

#include "slab.h"

#define GRAIN      (2 * sizeof(uintptr_t)) /* sizes and alignment */
#define FINE_MAX   1024u                   /* looked up by GRAIN */
#define COARSE     128u                    /* above, by this */
#define CLASS_MAX  32768u                  /* the largest class there can be */
#define ALIGN_MAX  ((size_t)4 << 20)
#define SIZE_LIMIT (SIZE_MAX / 2)

static struct {
    struct slab_desc class[VERSO_CLASSES_MAX];
    unsigned classes;
    size_t largest;        /* size of the last class */
    struct slab_desc none; /* for sizes without a class: always empty */
    struct slab_desc *fine[FINE_MAX / GRAIN + 1];
    uint8_t coarse[CLASS_MAX / COARSE + 1];
    struct {
        size_t count, size, align;
        void *caller;
        const char *why;
    } failed; /* requests: how many, and the last */
} state VERSO_STATE;

/* Names of the classes, for reports: filled at start. */
static char names[VERSO_CLASSES_MAX][12] VERSO_STATE;

/* Four a doubling, up to a size where whole pages lose as little. */
static const uint32_t default_classes[] = {16, 32, 48, 64, 80, 96, 112, 128,
    160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536,
    1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192, 10240, 12288,
    14336, 16384};
static const uint32_t small_classes[] = {8, 24, 40, 56}; /* 32-bit: 8 apart */

/* ---- classes ---- */

/* size <= state.largest */
static struct slab_desc *class_of(size_t size)
{
    if (size <= FINE_MAX)
        return state.fine[(size + GRAIN - 1) / GRAIN];
    return &state.class[state.coarse[(size + COARSE - 1) / COARSE]];
}

static void class_add(uint32_t size)
{
    unsigned class = state.classes++;
    VERSO_VERIFY(class < VERSO_CLASSES_MAX, "alloc: more than %u classes",
        VERSO_CLASSES_MAX);
    VERSO_VERIFY(size % GRAIN == 0 && size > state.largest &&
                     size <= CLASS_MAX &&
                     (size <= FINE_MAX || size % COARSE == 0),
        "alloc: class of %u bytes behind one of %zu", size, state.largest);
    (void)verso_format(names[class], sizeof(names[class]), "alloc-%u", size);
    struct verso_slab_params params = {.name = names[class], .size = size};
    verso_i_slab_setup(&state.class[class], &params, class);
    size_t from = state.largest == 0 ? 0 : state.largest + 1;
    for (size_t s = from; s <= size && s <= FINE_MAX; s++)
        state.fine[(s + GRAIN - 1) / GRAIN] = &state.class[class];
    for (size_t s = from; s <= size; s++)
        state.coarse[(s + COARSE - 1) / COARSE] = (uint8_t) class;
    state.largest = size;
}

int verso_i_alloc_init(const struct verso_boot *boot)
{
    size_t small = 0;
    VERSO_VERIFY(boot->classes == NULL || boot->class_count > 0,
        "alloc: a table of classes with none in it");
    for (size_t i = 0; i < ARRAY_COUNT(state.fine); i++)
        state.fine[i] = &state.none;
    if (boot->classes != NULL) {
        for (size_t i = 0; i < boot->class_count; i++)
            class_add(boot->classes[i]);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_COUNT(default_classes); i++) {
        for (; GRAIN == 8 && small < ARRAY_COUNT(small_classes) &&
               small_classes[small] < default_classes[i];
             small++)
            class_add(small_classes[small]);
        class_add(default_classes[i]);
    }
    return 0;
}

const char *verso_i_alloc_check(void)
{
    size_t below = 0;
    for (unsigned i = 0; i < state.classes; i++) {
        struct slab_desc *class = &state.class[i];
        size_t size = class->layout.size;
        if (size <= below || class_of(size) != class ||
            class_of(i > 0 ? below + 1 : 0) != class)
            return "alloc.1: every size leads to the smallest class for it";
        below = size;
    }
    return NULL;
}

/* Nothing is kept here. */
bool verso_i_alloc_drain(void)
{
    return false;
}

struct slab_desc *verso_alloc_class(unsigned index)
{
    return index < state.classes ? &state.class[index] : NULL;
}

/* ---- alloc ---- */

static void *alloc_area(size_t align, size_t size, void *caller)
{
    struct verso_area_request request = {.pages = pages_of(size + (size == 0)),
        .flags = VERSO_RW | AREA_HEAP,
        .align = align,
        .name = "alloc"};
    struct area_map *map = verso_i_area_kernel();
    if (size > SIZE_LIMIT || verso_host_in_interrupt())
        return NULL;
    uint32_t area = verso_i_area_alloc(map, &request, 0);
    if (area == NODE_NONE)
        return NULL;
    void *object = (void *)area_get(area)->start;
    (void)caller;
    verso_hook_alloc(object, size, caller);
    return object;
}

/* One attempt. align <= GRAIN needs nothing. */
static void *alloc_once(size_t align, size_t size, void *caller)
{
    if (size > state.largest || align > VERSO_PAGE_SIZE)
        return alloc_area(align, size, caller);
    struct slab_desc *class = class_of(size);
    while (align > GRAIN && class->layout.stride % align != 0)
        if (++class == &state.class[state.classes])
            return alloc_area(align, size, caller);
    return verso_i_slab_alloc(class, caller);
}

/* Remembers why there was none, for the report. */
static void note_failure(size_t align, size_t size, void *caller)
{
    struct verso_area_stats stats;
    state.failed.count++;
    state.failed.size = size;
    state.failed.align = align;
    state.failed.caller = caller;
    state.failed.why = "no frames, or none for tables";
    if (size > SIZE_LIMIT) {
        state.failed.why = "larger than any heap";
    } else if (verso_host_in_interrupt()) {
        state.failed.why = "nothing grows in an interrupt";
    } else {
        verso_area_stats(&stats);
        if (stats.largest_free < pages_of(size) + (align >> VERSO_PAGE_SHIFT))
            state.failed.why = "no range of addresses is large enough";
    }
}

static NO_INLINE void *alloc_slow(size_t align, size_t size, void *caller)
{
    void *object = alloc_once(align, size, caller);
    if (object == NULL && size <= SIZE_LIMIT && verso_reclaim())
        object = alloc_once(align, size, caller);
    if (object == NULL)
        note_failure(align, size, caller);
    return object;
}

void verso_i_alloc_report(void)
{
    if (state.failed.count != 0)
        verso_print("alloc: %zu requests had no memory; the last, %zu bytes "
                    "aligned to %zu for %p: %s\n",
            state.failed.count, state.failed.size, state.failed.align,
            state.failed.caller, state.failed.why);
}

void *verso_alloc(size_t size)
{
    void *object = NULL;
    if (likely(size <= FINE_MAX))
        object = slab_take(
            state.fine[(size + GRAIN - 1) / GRAIN], true, VERSO_CALLER);
    if (likely(object != NULL))
        return object;
    return alloc_slow(1, size, VERSO_CALLER);
}

void *verso_alloc_zeroed(size_t count, size_t size)
{
    size_t bytes;
    if (product_overflows(count, size, &bytes))
        return NULL;
    void *object = verso_alloc(bytes);
    if (object != NULL)
        memset(object, 0, bytes);
    return object;
}

void *verso_alloc_aligned(size_t align, size_t size)
{
    if (!is_power2(align) || align > ALIGN_MAX)
        return NULL;
    return alloc_slow(align, size, VERSO_CALLER);
}

/* ---- free ---- */

/* The area that is an object of alloc at this very address, else panic. */
static NO_INLINE uint32_t get_area(const void *object, const char *what)
{
    const struct area_map *map = verso_i_area_kernel();
    vaddr_t va = (vaddr_t)object;
    uint32_t word = pagemap_get(&verso_i_pagemap, va);
    if (pagemap_kind(word) == KIND_AREA) {
        const struct mem_area *area = area_get(pagemap_node(word));
        if (area->start == va && (area->flags & AREA_HEAP) != 0)
            return pagemap_node(word);
    }
    if (va - map->start >= bytes_of(map->pages))
        verso_panic("alloc: %s of %p: not an address of the heap (%p, %zu "
                    "pages)",
            what, object, (void *)map->start, map->pages);
    const struct mem_area *area = area_get(verso_i_area_find(map, va));
    bool used = area->kind == KIND_AREA;
    verso_panic("alloc: %s of %p: %s %p, %zu pages, %s%s", what, object,
        used && (area->flags & AREA_HEAP) != 0 ? "inside the object at"
        : used                                 ? "not an object but the area at"
                                               : "already free: the range at",
        (void *)area->start, area->pages,
        used && area->name != NULL ? area->name : "no name",
        is_page_aligned(va) ? "" : ", unaligned");
}

static NO_INLINE void free_area(void *object)
{
    uint32_t area = get_area(object, "free");
    VERSO_VERIFY(!verso_host_in_interrupt(),
        "alloc: free of %p, an object of whole pages, in an interrupt", object);
    verso_hook_free(object, bytes_of(area_get(area)->pages), VERSO_CALLER);
    verso_i_area_free(verso_i_area_kernel(), area);
}

/* Anything but an object of a class that is near: one that is not, an area,
 * nothing, or a mistake. */
static NO_INLINE void free_slow(void *object)
{
    struct slab_entry *entry = slab_find(object);
    if (object == NULL)
        return;
    if (entry == NULL) {
        free_area(object);
        return;
    }
    VERSO_VERIFY(entry->desc->class != PAGEMAP_CLASS_NONE,
        "alloc: free of %p: an object of cache %s", object, entry->desc->name);
    slab_free(entry, object, true, VERSO_CALLER);
}

void verso_free(void *object)
{
    uint32_t word = pagemap_get_near(&verso_i_pagemap, (vaddr_t)object);
    if (likely(pagemap_is_class(word)))
        slab_free(node_get(pagemap_node(word)), object, true, VERSO_CALLER);
    else
        free_slow(object);
}

void verso_free_sized(void *object, size_t size)
{
    if (object != NULL) {
        size_t usable = verso_usable_size(object);
        VERSO_VERIFY(size <= usable,
            "alloc: free of %p with size %zu, but it has %zu", object, size,
            usable);
    }
    verso_free(object);
}

/* The slab of an object that is one, in use and of a class of ours. */
static struct slab_entry *get_entry(const void *object, const char *what)
{
    struct slab_entry *entry = slab_find(object);
    if (entry == NULL)
        return NULL;
    verso_i_slab_verify(entry, object);
    VERSO_VERIFY(entry->desc->class != PAGEMAP_CLASS_NONE,
        "alloc: %s of %p: an object of cache %s", what, object,
        entry->desc->name);
    return entry;
}

size_t verso_usable_size(const void *object)
{
    const struct slab_entry *entry = get_entry(object, "size");
    if (entry != NULL)
        return entry->desc->layout.size;
    if (object == NULL)
        return 0;
    return bytes_of(area_get(get_area(object, "size"))->pages);
}

/* ---- realloc ---- */

/* May the object stay where it is? Not if it would waste half of itself. */
static bool resize_in_place(void *object, size_t usable, size_t size)
{
    if (slab_find(object) != NULL)
        return size <= usable && (size > usable / 2 || usable == 2 * GRAIN ||
                                     class_of(size) == class_of(usable));
    if (size <= state.largest)
        return false;
    size_t pages = pages_of(size);
    return pages == pages_of(usable) || verso_area_resize(object, pages) == 0;
}

void *verso_realloc(void *object, size_t size)
{
    if (object == NULL)
        return verso_alloc(size);
    size_t usable = verso_usable_size(object);
    if (size > SIZE_LIMIT)
        return NULL;
    if (resize_in_place(object, usable, size))
        return object;
    void *fresh = verso_alloc(size);
    if (fresh == NULL) /* a smaller one fits where it is */
        return size <= usable ? object : NULL;
    memcpy(fresh, object, size < usable ? size : usable);
    verso_free(object);
    return fresh;
}
