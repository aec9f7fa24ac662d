/* SPDX-License-Identifier: MIT */
/*
 * slab - caches of objects of one size. All slabs together are the slub.
 *
 *     slab_desc    partial -> entry <-> entry     some objects free, or all
 *     "alloc-64"   full    -> entry <-> ...       none free
 *
 *     slab_entry --> page(s):  | object | object | object | ... | tail |
 *
 * An entry hands out and takes back objects by carve.h: the free ones are
 * linked through themselves. How many pages a slab has is chosen by what the
 * tail would waste. Any address in a slab leads to its entry by one word of
 * the pagemap, and the start of an object to its number by a multiplication.
 *
 * An object that is freed gets a mark in the word behind its link: the address
 * of its slab's entry, which nobody else has reason to store. Finding the mark
 * at a free is reason to look for the object in the free list, and if it is
 * there, this is a double free. The mark is taken off when the object is
 * handed out.
 *
 * An entry that becomes empty stays where it is, as an idle one, so that a
 * load on the edge of a slab does not make and unmake one each time (pitfall
 * 34), nor move it between lists. A cache keeps one, or as many as hold four
 * objects; if those are all still empty when another becomes so, the pages of
 * the other go back.
 *
 * To grow, the lock is dropped: one node for the entry, an area for the pages
 * (two nodes at most), then the lock again. In an interrupt nothing grows; the
 * next free outside of one finds `starved` set and grows in its stead.
 *
 * Invariants:
 *   1. an entry is in the full list if and only if it is full.
 *   2. its carve is sound: the free list stays inside, and is as long as used
 *      and carved say.
 *   3. every page of it has its word in the pagemap, and its area is in use
 *      with that start and size.
 *   4. entries are as many as counted.
 *
 * Locks: one a cache, held with interrupts off, a leaf; slub, for the list of
 * caches. Cost: constant.
 * Source: Bonwick, "The Slab Allocator", 1994, sections 3 and 4; the layout of
 * one descriptor word a page as in SLUB. We differ in never touching an object
 * before it is handed out.
 */
#include "slab.h"

#include <verso/host.h>

#define SLAB_PAGES_MAX 16u
#define SIZE_MAX_SLAB  32768u

static struct {
    struct lock lock;
    struct slab_desc *first; /* every cache */
    struct slab_desc descs;  /* the cache of caches */
} slub VERSO_STATE;

/* ---- objects ---- */

static struct slab_entry *entry_get(uint32_t node)
{
    return node_get(node);
}

/* ---- lists ---- */

static enum slab_list list_of(const struct slab_entry *entry)
{
    return entry->objects.left == 0 ? SLAB_FULL : SLAB_PARTIAL;
}

static uint32_t node_of(const struct slab_entry *entry)
{
    return (uint32_t)(((vaddr_t)entry - verso_i_node.start) / NODE_SIZE);
}

static struct slab_entry *entry_next(const struct slab_entry *entry)
{
    return entry->next != NODE_NONE ? entry_get(entry->next) : NULL;
}

static void list_push(
    struct slab_desc *desc, struct slab_entry *entry, enum slab_list list)
{
    struct slab_entry *head = desc->list[list];
    entry->prev = NODE_NONE;
    entry->next = NODE_NONE;
    if (head != NULL) {
        entry->next = node_of(head);
        head->prev = node_of(entry);
    }
    desc->list[list] = entry;
    desc->count[list]++;
}

static void list_remove(
    struct slab_desc *desc, struct slab_entry *entry, enum slab_list list)
{
    struct slab_entry *next = entry_next(entry);
    if (entry->prev != NODE_NONE)
        entry_get(entry->prev)->next = entry->next;
    else
        desc->list[list] = next;
    if (next != NULL)
        next->prev = entry->prev;
    desc->count[list]--;
}

/* ---- making and unmaking slabs ---- */

/* What the pagemap says of a slab's pages. */
static uint32_t desc_word(const struct slab_desc *desc, uint32_t node)
{
    bool class = desc->class != PAGEMAP_CLASS_NONE;
    return pagemap_word(class ? KIND_CLASS : KIND_SLAB, desc->class, node);
}

/* A new slab, not in any list yet; NODE_NONE: no memory. No lock is held. */
static NO_INLINE uint32_t slab_make(struct slab_desc *desc)
{
    struct verso_area_request request = {
        .pages = desc->pages, .flags = VERSO_RW, .name = desc->name};
    if (verso_host_in_interrupt())
        return NODE_NONE;
    uint32_t node = verso_i_node_alloc();
    if (node == NODE_NONE)
        return NODE_NONE;
    struct slab_entry *entry = entry_get(node);
    entry->desc = desc;
    /* what a look at the pages finds until there is an area */
    entry->area.area = NODE_NONE;
    entry->page = 0;
    entry->objects = (struct carve){NULL, desc->shape.count, 0};
    uint32_t area = verso_i_area_alloc(
        verso_i_area_kernel(), &request, desc_word(desc, node));
    if (area == NODE_NONE) {
        verso_i_node_free(node);
        return NODE_NONE;
    }
    entry->area.area = area;
    entry->page = area_get(area)->start;
    return node;
}

/* The slab is in no list, and empty. No lock is held. */
static void slab_unmake(uint32_t node)
{
    verso_i_area_free(verso_i_area_kernel(), entry_get(node)->area.area);
    verso_i_node_free(node);
}

static NO_INLINE bool slab_grow(struct slab_desc *desc)
{
    uint32_t node = slab_make(desc);
    uintptr_t flags = lock_take_irq(&desc->lock);
    desc->starved = node == NODE_NONE && verso_host_in_interrupt();
    if (node != NODE_NONE)
        list_push(desc, entry_get(node), SLAB_PARTIAL);
    lock_drop_irq(&desc->lock, flags);
    return node != NODE_NONE;
}

/* ---- the slow ways of alloc and free ---- */

/* Somebody else may take what was grown: then it is grown again, and each
 * round takes memory, so this ends. */
void *verso_i_slab_alloc(struct slab_desc *desc, void *caller)
{
    void *object;
    do
        object = slab_take(desc, false, caller);
    while (object == NULL && slab_grow(desc));
    return object;
}

/* Lock held: the entry has no object left but the one given, which it returns.
 */
NO_INLINE void *verso_i_slab_filled(struct slab_entry *entry, void *object)
{
    list_remove(entry->desc, entry, SLAB_PARTIAL);
    list_push(entry->desc, entry, SLAB_FULL);
    return object;
}

/* Lock held: an object that was never handed out. */
NO_INLINE void *verso_i_slab_carve(struct slab_entry *entry)
{
    void *object =
        carve_fresh(&entry->objects, &entry->desc->shape, entry->page);
    if (--entry->objects.left == 0)
        return verso_i_slab_filled(entry, object);
    return object;
}

static uint32_t used_in(const struct slab_entry *entry)
{
    return carve_used(&entry->objects, &entry->desc->shape);
}

/* The entry has become empty: keep it among the idle ones, or take it out? */
static bool keep_idle(struct slab_desc *desc, struct slab_entry *entry)
{
    uint32_t node = node_of(entry), *place = NULL;
    for (uint32_t i = 0; i < desc->keep; i++) {
        uint32_t idle = desc->idle[i];
        if (idle == node)
            return true;
        if (idle == NODE_NONE || used_in(entry_get(idle)) > 0)
            place = &desc->idle[i];
    }
    if (place != NULL)
        *place = node;
    else
        list_remove(desc, entry, SLAB_PARTIAL);
    return place != NULL;
}

/* The rest of a free after which the entry, that was full or is empty, needs
 * more: lock held, dropped here. */
NO_INLINE void verso_i_slab_freed(
    struct slab_desc *desc, struct slab_entry *entry, uintptr_t flags)
{
    bool quiet = verso_host_in_interrupt();
    bool keep = true;
    if (entry->objects.left == 1) { /* it was full */
        list_remove(desc, entry, SLAB_FULL);
        list_push(desc, entry, SLAB_PARTIAL);
    }
    if (used_in(entry) == 0 && !quiet)
        keep = keep_idle(desc, entry);
    bool refill = desc->starved && !quiet;
    bool shrink = desc->emptied && !quiet;
    /* what an interrupt must leave is done by the next free outside of one */
    desc->emptied = quiet ? desc->emptied || used_in(entry) == 0 : false;
    lock_drop_irq(&desc->lock, flags);
    if (!keep)
        slab_unmake(node_of(entry));
    if (shrink)
        (void)verso_slab_shrink(desc);
    if (refill)
        (void)slab_grow(desc);
}

VERSO_NORETURN NO_INLINE void verso_i_slab_free_panic(
    const struct slab_entry *entry, const void *object, bool twice)
{
    const struct slab_desc *desc = entry->desc;
    uintptr_t offset = (vaddr_t)object - entry->page;
    const char *why = twice ? "freed already"
                      : offset % desc->shape.stride != 0
                          ? "not the start of an object"
                          : "never handed out";
    verso_panic("slab: free of %p: %s: cache %s, slab %p, object %u of %u, "
                "byte %zu of %u",
        object, why, desc->name, (void *)entry->page,
        (unsigned)(offset / desc->shape.stride), desc->shape.count,
        (size_t)(offset % desc->layout.stride), desc->layout.size);
}

/* The object bears the mark of a free one. If it is one, this is a double
 * free; else its owner stored that very word, and it is freed without it. */
NO_INLINE void verso_i_slab_free_marked(struct slab_entry *entry, void *object)
{
    const struct slab_desc *desc = entry->desc;
    if (carve_is_free(&entry->objects, &desc->shape, entry->page, object))
        verso_i_slab_free_panic(entry, object, true);
    slab_give(entry, object, false, VERSO_CALLER);
}

/* Linear in the objects of the slab if it is marked, or has no mark. */
NO_INLINE void verso_i_slab_verify(
    const struct slab_entry *entry, const void *object)
{
    const struct slab_desc *desc = entry->desc;
    uintptr_t offset = (vaddr_t)object - entry->page;
    if (slab_number(desc, offset) >= entry->objects.carved)
        verso_i_slab_free_panic(entry, object, false);
    if (desc->layout.marked &&
        slab_mark_get(object, desc->shape.link) != (vaddr_t)entry)
        return;
    if (carve_is_free(&entry->objects, &desc->shape, entry->page, object))
        verso_i_slab_free_panic(entry, object, true);
}

/* ---- caches ---- */

/* Pages of a slab: the fewest that waste at most a 32nd; else those that waste
 * the smallest part. More objects in a slab would only keep more memory from
 * others (measured with the traces). */
static uint32_t pages_for(uint32_t stride)
{
    uint32_t best = 0;
    uint64_t best_waste = 0;
    uint32_t least = (uint32_t)pages_of(stride);
    for (uint32_t pages = least; pages <= SLAB_PAGES_MAX; pages++) {
        uint32_t bytes = (uint32_t)bytes_of(pages);
        uint32_t waste = bytes % stride;
        if (waste * 32 <= bytes)
            return pages;
        if (best == 0 || (uint64_t)waste * best < best_waste * pages) {
            best = pages;
            best_waste = waste;
        }
    }
    return best;
}

/* The inverse of an odd number modulo 2^32: each step of Newton's doubles the
 * bits that are right, and n * n = 1 modulo 8 has three. */
static uint32_t inverse_of(uint32_t odd)
{
    uint32_t inverse = odd;
    for (unsigned bits = 3; bits < 32; bits *= 2)
        inverse *= 2 - odd * inverse;
    return inverse;
}

void verso_i_slab_setup(struct slab_desc *desc,
    const struct verso_slab_params *params, uint32_t class)
{
    const uint32_t word = sizeof(uintptr_t);
    uint32_t align = params->align > word ? (uint32_t)params->align : word;
    memset(desc, 0, sizeof(*desc));
    struct slab_layout *layout = &desc->layout;
    layout->size = (uint32_t)params->size;
    uint32_t stride = (uint32_t)round_up(layout->size, word);
    if (params->constructor != NULL) {
        layout->link = stride;
        stride += 2 * word;
    }
    layout->marked = stride >= 2 * word;
    layout->stride = (uint32_t)round_up(stride, align);
    desc->align = align;
    desc->pages = pages_for(layout->stride);
    desc->shape = (struct carve_shape){layout->stride, layout->link,
        (uint32_t)bytes_of(desc->pages) / layout->stride};
    desc->twos = bit_lowest(layout->stride);
    desc->edge = desc->shape.count - 2;
    desc->keep =
        desc->shape.count < SLAB_IDLE ? SLAB_IDLE / desc->shape.count : 1;
    desc->inverse = inverse_of(layout->stride >> desc->twos);
    desc->class = class;
    desc->name = params->name;
    desc->constructor = params->constructor;
    desc->lock.name = params->name;
    lock_take(&slub.lock);
    desc->next = slub.first;
    slub.first = desc;
    lock_drop(&slub.lock);
}

struct slab_desc *verso_slab_create(const struct verso_slab_params *params)
{
    VERSO_VERIFY(params->size > 0 && params->size <= SIZE_MAX_SLAB,
        "slab: cache %s of objects of %zu bytes (1 to %u)", params->name,
        params->size, SIZE_MAX_SLAB);
    VERSO_VERIFY(params->align == 0 || (is_power2(params->align) &&
                                           params->align <= VERSO_PAGE_SIZE),
        "slab: cache %s with alignment %zu (a power of two up to a page)",
        params->name, params->align);
    struct slab_desc *desc = verso_i_slab_alloc(&slub.descs, VERSO_CALLER);
    if (desc != NULL)
        verso_i_slab_setup(desc, params, PAGEMAP_CLASS_NONE);
    return desc;
}

static size_t used_of(const struct slab_desc *desc)
{
    struct lock *lock = (struct lock *)(uintptr_t)&desc->lock;
    uintptr_t flags = lock_take_irq(lock);
    size_t used = (size_t)desc->count[SLAB_FULL] * desc->shape.count;
    for (const struct slab_entry *entry = desc->list[SLAB_PARTIAL];
         entry != NULL; entry = entry_next(entry))
        used += used_in(entry);
    lock_drop_irq(lock, flags);
    return used;
}

/* An entry of the partial list with no object in use, or NULL. */
static struct slab_entry *find_empty(const struct slab_desc *desc)
{
    struct slab_entry *entry = desc->list[SLAB_PARTIAL];
    while (entry != NULL && used_in(entry) > 0)
        entry = entry_next(entry);
    return entry;
}

size_t verso_slab_shrink(struct slab_desc *desc)
{
    size_t pages = 0;
    for (;;) {
        uintptr_t flags = lock_take_irq(&desc->lock);
        struct slab_entry *entry = find_empty(desc);
        if (entry != NULL) {
            list_remove(desc, entry, SLAB_PARTIAL);
            for (uint32_t i = 0; i < desc->keep; i++)
                if (desc->idle[i] == node_of(entry))
                    desc->idle[i] = NODE_NONE;
        }
        lock_drop_irq(&desc->lock, flags);
        if (entry == NULL)
            return pages;
        slab_unmake(node_of(entry));
        pages += desc->pages;
    }
}

void verso_slab_destroy(struct slab_desc *desc)
{
    struct slab_entry *home = slab_find(desc);
    VERSO_VERIFY(home != NULL && home->desc == &slub.descs,
        "slab: destroy of %p, which is no cache of verso_slab_create()",
        (void *)desc);
    verso_i_slab_verify(home, desc);
    size_t used = used_of(desc);
    VERSO_VERIFY(used == 0, "slab: destroy of cache %s with %zu objects in use",
        desc->name, used);
    (void)verso_slab_shrink(desc);
    lock_take(&slub.lock);
    struct slab_desc **link = &slub.first;
    while (*link != desc)
        link = &(*link)->next;
    *link = desc->next;
    lock_drop(&slub.lock);
    slab_free(home, desc, false, VERSO_CALLER);
}

void *verso_slab_alloc(struct slab_desc *desc)
{
    return verso_i_slab_alloc(desc, VERSO_CALLER);
}

void verso_slab_free(struct slab_desc *desc, void *object)
{
    struct slab_entry *entry = slab_find(object);
    VERSO_VERIFY(entry != NULL, "slab: free of %p to cache %s: in no slab",
        object, desc->name);
    VERSO_VERIFY(entry->desc == desc,
        "slab: free of %p to cache %s: it is of cache %s", object, desc->name,
        entry->desc->name);
    slab_free(entry, object, false, VERSO_CALLER);
}

void verso_slab_stats(
    const struct slab_desc *desc, struct verso_slab_stats *stats)
{
    stats->name = desc->name;
    stats->size = desc->layout.size;
    stats->stride = desc->layout.stride;
    stats->slabs = (size_t)desc->count[SLAB_PARTIAL] + desc->count[SLAB_FULL];
    stats->slab_pages = desc->pages;
    stats->total = stats->slabs * desc->shape.count;
    stats->used = used_of(desc);
}

int verso_i_slab_init(const struct verso_boot *boot)
{
    const struct verso_slab_params params = {
        .name = "slab_desc", .size = sizeof(struct slab_desc)};
    slub.lock.name = "slub";
    (void)boot;
    verso_i_slab_setup(&slub.descs, &params, PAGEMAP_CLASS_NONE);
    return 0;
}

bool verso_i_slab_drain(void)
{
    size_t pages = 0;
    for (struct slab_desc *desc = slub.first; desc != NULL; desc = desc->next)
        pages += verso_slab_shrink(desc);
    return pages > 0;
}

/* ---- check, report ---- */

static const char *check_entry(
    const struct slab_desc *desc, uint32_t node, enum slab_list list)
{
    const struct slab_entry *entry = entry_get(node);
    const struct mem_area *area;
    if (!verso_i_node_is_used(node) || entry->desc != desc)
        return "slab.4: the lists of a cache hold its entries";
    if (list_of(entry) != list)
        return "slab.1: an entry is in the list its count says";
    if (!carve_is_valid(&entry->objects, &desc->shape, entry->page))
        return "slab.2: the free list is sound";
    area = area_get(entry->area.area);
    if (area->start != entry->page || area->pages != desc->pages ||
        area->kind != KIND_AREA)
        return "slab.3: an entry has its area";
    for (uint32_t i = 0; i < desc->pages; i++)
        if (pagemap_get(&verso_i_pagemap, entry->page + bytes_of(i)) !=
            desc_word(desc, node))
            return "slab.3: every page of a slab has its word";
    return NULL;
}

const char *verso_i_slab_check(void)
{
    for (struct slab_desc *d = slub.first; d != NULL; d = d->next) {
        for (unsigned list = 0; list < SLAB_LISTS; list++) {
            uint32_t count = 0;
            for (const struct slab_entry *e = d->list[list]; e != NULL;
                 e = entry_next(e), count++) {
                const char *broken =
                    check_entry(d, node_of(e), (enum slab_list)list);
                if (broken != NULL) {
                    verso_print(
                        "cache %s, slab %p\n", d->name, (void *)e->page);
                    return broken;
                }
            }
            if (count != d->count[list])
                return "slab.4: every entry is counted";
        }
    }
    return NULL;
}

static size_t kib_of(size_t pages)
{
    return bytes_of(pages) >> 10;
}

void verso_i_slab_report(void)
{
    size_t pages = 0, caches = 0, idle = 0;
    verso_print("%-16s %6s %6s %8s %8s %6s %6s %8s %5s\n", "slab", "size",
        "stride", "used", "total", "slabs", "pages", "KiB", "use%");
    for (struct slab_desc *d = slub.first; d != NULL; d = d->next) {
        struct verso_slab_stats s;
        verso_slab_stats(d, &s);
        caches++;
        if (s.slabs == 0) {
            idle++;
            continue;
        }
        size_t kib = kib_of(s.slabs * s.slab_pages);
        verso_print("%-16s %6zu %6zu %8zu %8zu %6zu %6zu %8zu %5zu\n", s.name,
            s.size, s.stride, s.used, s.total, s.slabs, s.slab_pages, kib,
            s.used * s.size / (kib * 1024 / 100));
        pages += s.slabs * s.slab_pages;
    }
    verso_print("slabs: %zu caches, %zu of them without a slab; %zu pages, "
                "%zu KiB\n",
        caches, idle, pages, kib_of(pages));
}

void verso_i_slab_describe(const struct slab_entry *entry, const void *at)
{
    const struct slab_desc *desc = entry->desc;
    uintptr_t offset = (vaddr_t)at - entry->page;
    uint32_t index = (uint32_t)(offset / desc->shape.stride);
    const char *object =
        (const char *)(entry->page + (uintptr_t)index * desc->shape.stride);
    if (index >= desc->shape.count) {
        verso_print("%p: unused tail of slab %p, cache %s\n", at,
            (void *)entry->page, desc->name);
        return;
    }
    verso_print("%p: byte %zu of object %u (%p, %u bytes, %s) of cache %s, "
                "slab %p: %u of %u in use\n",
        at, (size_t)((const char *)at - object), index, (const void *)object,
        desc->layout.size,
        index >= entry->objects.carved ? "never used"
        : carve_is_free(&entry->objects, &desc->shape, entry->page, object)
            ? "free"
            : "in use",
        desc->name, (void *)entry->page, used_in(entry), desc->shape.count);
}
