/* SPDX-License-Identifier: MIT */
/*
 * paging-init - paging starts: what the host asks for is checked, the kernel's
 * root made or adopted, and loaded.
 *
 *     mirror    its slot is not the last, and nothing else's
 *     heap      +-- these keep out of each other's way
 *     window    |   (layout_check)
 *     fixed     +-- mapped here, with the cache type of their frames
 *     users'    whole entries of the root, and no one else's (users_init)
 *
 * The order matters: until the root is loaded, tables are reached through the
 * direct map, or where Paddr == Vaddr (is_direct), so they come from zone 0;
 * the fixed mappings are what makes that true afterwards. The window's entries
 * are made live before it is needed; the mirror is hooked in last, and only
 * then is the root loaded. What does not fit is the host's mistake, and a panic
 * that names both sides; only memory can be short.
 *
 * Invariants: 1 and 7 (tables.h, cachetype.c) begin here.
 *
 * Locks: none is needed, for nobody else is there yet. Cost: a store for each
 * page, large where it can be, of the fixed mappings.
 */
#include "tables.h"

/* ---- layout: who is where ---- */

static void mirror_init(unsigned slot)
{
    struct space *kernel = &paging.kernel;
    const unsigned top = paging.top;
    paging.mirror_slot = slot;
    paging.mirror_first = mirror_start(kernel);
    paging.mirror_last =
        paging.mirror_first + MMU_MIRROR_SLOTS * step_of(top) - 1;
    paging.base[0] = paging.mirror_first;
    for (unsigned l = 0; l < top; l++)
        paging.base[l + 1] =
            paging.base[l] + ((vaddr_t)slot << MMU_LEVEL_SHIFT(top - l - 1));
}

static void mirror_check(
    const struct space *space, const struct verso_boot *boot)
{
    vaddr_t start = mirror_start(space);
    unsigned slot = paging.mirror_slot;
    VERSO_VERIFY(slot + MMU_MIRROR_SLOTS < MMU_ENTRIES(paging.top),
        "paging: mirror slot %u is the last or beyond (%u entries)", slot,
        MMU_ENTRIES(paging.top));
    for (size_t i = 0; i < boot->fixed_count; i++)
        VERSO_VERIFY(!is_mirror(space, boot->fixed[i].va,
                         pages_of((size_t)boot->fixed[i].bytes)),
            "paging: mirror slot %u (%p) lies among the fixed mapping %s at "
            "%p",
            slot, (void *)start, boot->fixed[i].name,
            (void *)boot->fixed[i].va);
    VERSO_VERIFY(boot->heap_pages == 0 ||
                     !is_mirror(space, boot->heap_start, boot->heap_pages),
        "paging: mirror slot %u (%p) lies in the heap %p, %zu pages", slot,
        (void *)start, (void *)boot->heap_start, boot->heap_pages);
}

/* Do two ranges of bytes have one in common? */
static bool overlap(vaddr_t a, uint64_t a_bytes, vaddr_t b, uint64_t b_bytes)
{
    return a_bytes != 0 && b_bytes != 0 && a <= b + (b_bytes - 1) &&
           b <= a + (a_bytes - 1);
}

/* Whole pages, that the machine can address, of a cache type that it has. */
static void fixed_check(const struct verso_fixed *fixed)
{
    const uint64_t last = fixed->bytes - 1;
    const uint64_t top = ((uint64_t)PFN_LAST + 1) << VERSO_PAGE_SHIFT;
    VERSO_VERIFY(
        fixed->pa < top && fixed->bytes != 0 && last < top - fixed->pa &&
            last <= (vaddr_t)-1 - fixed->va &&
            ((fixed->pa | fixed->bytes | fixed->va) & (VERSO_PAGE_SIZE - 1)) ==
                0,
        "paging: fixed mapping %s of physical address %llx, %llu bytes, at %p",
        fixed->name, (unsigned long long)fixed->pa,
        (unsigned long long)fixed->bytes, (void *)fixed->va);
    VERSO_VERIFY(cache_is_valid(fixed->flags),
        "paging: fixed mapping %s has cache type %u, which does not exist",
        fixed->name, cache_of(fixed->flags));
    VERSO_VERIFY(!cache_is_missing(fixed->flags),
        "paging: fixed mapping %s has cache type %u, which the host has made "
        "something else",
        fixed->name, cache_of(fixed->flags));
}

static bool overlap_phys(
    const struct verso_fixed *a, const struct verso_fixed *b)
{
    return a->pa <= b->pa + (b->bytes - 1) && b->pa <= a->pa + (a->bytes - 1);
}

/* Invariant 7 of what is mapped twice. */
static void fixed_check_cache(const struct verso_fixed *fixed, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            VERSO_VERIFY(
                ((fixed[i].flags ^ fixed[j].flags) & VERSO_CACHE_MASK) == 0 ||
                    !overlap_phys(&fixed[i], &fixed[j]),
                "paging: fixed mappings %s and %s of physical address %llx "
                "have different cache types",
                fixed[j].name, fixed[i].name, (unsigned long long)fixed[i].pa);
}

/* Do all frames of a zone end there or below? */
static bool zone_is_below(
    const struct verso_boot *boot, unsigned zone, uint64_t limit)
{
    const uint64_t end = boot->zone_limit[zone];
    return limit == 0 || (end != 0 && end <= limit) ||
           boot->frame_count <= limit >> VERSO_PAGE_SHIFT;
}

/* The highest zone from which roots can come. */
static unsigned root_zone(const struct verso_boot *boot)
{
    unsigned zone = VERSO_ZONE_ANY;
    while (zone > 0 && !zone_is_below(boot, zone, MMU_ROOT_LIMIT))
        zone--;
    return zone;
}

/* Heap, window and fixed mappings keep out of each other's way; where two fixed
 * mappings meet, mapping the second says so. */
static void layout_check(const struct verso_boot *boot)
{
    const uint64_t heap = (uint64_t)boot->heap_pages << VERSO_PAGE_SHIFT;
    const uint64_t window =
        boot->window != 0 ? bytes_of((size_t)WINDOWS * CPU_COUNT_MAX) : 0;
    VERSO_VERIFY(zone_is_below(boot, 0, MMU_ROOT_LIMIT),
        "paging: of %zu frames zone 0 has some above %llx: no place for roots",
        boot->frame_count, (unsigned long long)MMU_ROOT_LIMIT);
    VERSO_VERIFY(window != 0 || boot->direct_bytes >> VERSO_PAGE_SHIFT >=
                                    boot->frame_count,
        "paging: no window, and only %llu bytes of %zu frames are direct",
        (unsigned long long)boot->direct_bytes, boot->frame_count);
    VERSO_VERIFY(
        heap == 0 || are_addresses(top_of(&paging.kernel), boot->heap_start,
                         boot->heap_start + (vaddr_t)(heap - 1)),
        "paging: the heap %p, %zu pages, is not all addresses",
        (void *)boot->heap_start, boot->heap_pages);
    VERSO_VERIFY(!overlap(boot->window, window, boot->heap_start, heap),
        "paging: the window %p lies in the heap %p, %zu pages",
        (void *)boot->window, (void *)boot->heap_start, boot->heap_pages);
    fixed_check_cache(boot->fixed, boot->fixed_count);
    for (size_t i = 0; i < boot->fixed_count; i++) {
        const struct verso_fixed *fixed = &boot->fixed[i];
        VERSO_VERIFY(
            !overlap(fixed->va, fixed->bytes, boot->heap_start, heap) &&
                !overlap(fixed->va, fixed->bytes, boot->window, window),
            "paging: fixed mapping %s at %p, %llu bytes, meets the heap %p, "
            "%zu pages, or the window %p",
            fixed->name, (void *)fixed->va, (unsigned long long)fixed->bytes,
            (void *)boot->heap_start, boot->heap_pages, (void *)boot->window);
    }
}

/* Where the addresses above the hole begin; 0: there is no hole. */
static vaddr_t upper_half(void)
{
    const unsigned bits = MMU_VA_BITS(paging.top + 1);
    return bits < 8 * sizeof(vaddr_t) ? ~(vaddr_t)0 << (bits - 1) : 0;
}

/* Whole entries of the root, of addresses that the kernel has no use for. */
static void users_init(const struct verso_boot *boot)
{
    const vaddr_t start = boot->user_start;
    const size_t pages = boot->user_pages, mask = step_of(paging.top) - 1;
    const vaddr_t last = start + (bytes_of(pages) - 1);
    paging.user_first = UINTPTR_MAX;
    paging.user_last = 0;
    paging.kernel_first = upper_half();
    if (pages == 0)
        return;
    VERSO_VERIFY(is_page_range(start, pages) && (start & mask) == 0 &&
                     (last & mask) == mask &&
                     are_addresses(paging.top, start, last) &&
                     last != UINTPTR_MAX,
        "paging: users' addresses %p, %zu pages, are not whole entries of the "
        "root (%zu pages each)",
        (void *)start, pages, MMU_LEVEL_PAGES(paging.top));
    VERSO_VERIFY(!is_mirror(&paging.kernel, start, pages),
        "paging: mirror slot %u (%p) lies among users' addresses %p, %zu pages",
        paging.mirror_slot, (void *)paging.mirror_first, (void *)start, pages);
    VERSO_VERIFY(
        !overlap(start, (uint64_t)pages << VERSO_PAGE_SHIFT, boot->heap_start,
            (uint64_t)boot->heap_pages << VERSO_PAGE_SHIFT),
        "paging: users' addresses %p, %zu pages, meet the heap %p, %zu pages",
        (void *)start, pages, (void *)boot->heap_start, boot->heap_pages);
    paging.user_first = start;
    paging.user_last = last;
    if (last >= paging.kernel_first)
        paging.kernel_first = last + 1;
}

/* ---- fixed mappings ---- */

static void fixed_set_outside(
    const struct verso_fixed *fixed, pfn_t first, size_t pages)
{
    int err = 0;
    if (cache_of(fixed->flags) != 0)
        err = verso_cache_set_range(
            first, pages, fixed->flags & VERSO_CACHE_MASK);
    VERSO_VERIFY(err == 0,
        "paging: cache type of fixed mapping %s, frame 0x%x, %zu pages: %s, "
        "%u ranges",
        fixed->name, pfn_nr(first), pages, verso_err_name(err),
        paging.cache.count);
}

/* A reserved frame has no other owner. Of RAM that is handed out, whoever gets
 * it chooses. */
static void fixed_set_cache(
    const struct verso_fixed *fixed, pfn_t first, size_t pages)
{
    const unsigned cache = cache_of(fixed->flags);
    for (size_t i = 0; i < pages; i++) {
        struct frame *frame = frame_find(pfn_add(first, i));
        if (frame == NULL) { /* nor any behind it */
            fixed_set_outside(fixed, pfn_add(first, i), pages - i);
            return;
        }
        VERSO_VERIFY(frame->state == FRAME_RESERVED || cache == 0,
            "paging: fixed mapping %s of frame 0x%x, which is RAM, has cache "
            "type %u",
            fixed->name, pfn_nr(pfn_add(first, i)), cache);
        frame->cache = (uint8_t)cache;
    }
}

/* Pages of a fixed mapping, from number `page` on, that are not there yet. */
static int fixed_map_part(struct space *space, const struct verso_fixed *fixed,
    size_t page, size_t pages)
{
    pfn_t first = pfn_make((uint32_t)(fixed->pa >> VERSO_PAGE_SHIFT));
    struct paging_source source = {NULL, pfn_add(first, page), false};
    vaddr_t va = fixed->va + bytes_of(page);
    int err = verso_i_paging_map(space, va, pages, fixed->flags, &source);
    VERSO_VERIFY(err == 0 || err == VERSO_NO_MEMORY,
        "paging: fixed mapping %s at %p, %zu pages: %s", fixed->name,
        (void *)va, pages, verso_err_name(err));
    return err;
}

/* What is there already must be what the fixed mapping says. It is ours then,
 * if all of it is: the leaf may reach beyond. */
static void fixed_adopt(const struct verso_fixed *fixed, vaddr_t va,
    unsigned level, struct pte *entry)
{
    const unsigned told = VERSO_READ | VERSO_WRITE | VERSO_USER |
                          VERSO_CACHE_MASK |
                          (exec_is_enforced() ? VERSO_EXEC : 0);
    const pte_raw_t bits = known(pte_bits(level, fixed->flags, paging.global));
    const vaddr_t start = round_down(va, step_of(level));
    struct pte e = pte_load(entry), want = pte_leaf(PFN_NONE, bits);
    const uint32_t wanted =
        (uint32_t)((fixed->pa + (va - fixed->va)) >> VERSO_PAGE_SHIFT);
    const uint32_t there =
        pfn_nr(pte_pfn(e)) + (uint32_t)((va - start) >> VERSO_PAGE_SHIFT);
    VERSO_VERIFY(
        there == wanted && ((pte_flags(e) ^ pte_flags(want)) & told) == 0,
        "paging: fixed mapping %s wants frame 0x%x with flags 0x%x at %p, "
        "where the host has frame 0x%x with flags 0x%x",
        fixed->name, wanted, pte_flags(want) & told, (void *)va, there,
        pte_flags(e) & told);
    if (start < fixed->va || start - fixed->va + step_of(level) > fixed->bytes)
        return;
    while (!pte_replace(entry, &e, pte_made_ours(e, bits))) {
    }
}

static int fixed_map(struct space *space, const struct verso_fixed *fixed)
{
    const size_t pages = (size_t)(fixed->bytes >> VERSO_PAGE_SHIFT);
    int err = 0;
    fixed_set_cache(
        fixed, pfn_make((uint32_t)(fixed->pa >> VERSO_PAGE_SHIFT)), pages);
    if (!paging.is_adopted)
        return fixed_map_part(space, fixed, 0, pages);
    for (size_t page = 0, passed; page < pages && err == 0; page += passed) {
        vaddr_t va = fixed->va + bytes_of(page);
        struct pte *entry;
        unsigned level = verso_i_tables_find(space, va, &entry);
        passed = pages_to_end(va, level);
        if (passed > pages - page)
            passed = pages - page;
        if (pte_is_live(pte_load(entry)))
            fixed_adopt(fixed, va, level, entry);
        else
            err = fixed_map_part(space, fixed, page, passed);
    }
    return err;
}

/* ---- start ---- */

/* The entries of the windows are live from the start and for good. */
static int window_init(struct space *space, vaddr_t window)
{
    const size_t pages = (size_t)WINDOWS * CPU_COUNT_MAX;
    const struct paging_source none = {NULL, PFN_NONE, false};
    VERSO_VERIFY(range_check(space, window, pages) == 0 &&
                     run_of(window, 0, pages) == pages,
        "paging: no room for the window at %p, %zu pages of one table",
        (void *)window, pages);
    int err = verso_i_paging_map(space, window, pages, 0, &none);
    VERSO_VERIFY(err == 0 || err == VERSO_NO_MEMORY,
        "paging: the window at %p: %s", (void *)window, verso_err_name(err));
    paging.window = window;
    paging.window_end = window + bytes_of(pages);
    return err;
}

/* The tables right below the root, for all of the heap: see is_kept(). */
static int upper_init(struct space *space, const struct verso_boot *boot)
{
    const vaddr_t start = boot->heap_start;
    struct verso_chain tables;
    if (!MMU_KEEPS_UPPER || boot->heap_pages == 0)
        return 0;
    paging.kept = index_of(start, paging.top);
    paging.kept_count =
        index_of(start + bytes_of(boot->heap_pages) - 1, paging.top) + 1 -
        paging.kept;
    for (size_t i = 0; i < paging.kept_count; i++) {
        vaddr_t va = start + i * step_of(paging.top);
        if (pte_is_live(pte_load(pte_at(space, paging.top, va))))
            continue;
        if (verso_i_tables_take(space, 1, &tables) != 0)
            return VERSO_NO_MEMORY;
        verso_i_tables_hook(space, paging.top, va, &tables, false);
    }
    return 0;
}

static bool root_make(struct space *space)
{
    space->root = verso_i_roots_take();
    return !pfn_is_none(space->root);
}

static void init_from(const struct verso_boot *boot, struct space *space)
{
    paging.frames = boot->frames;
    paging.frame_count = boot->frame_count;
    paging.direct_offset = boot->direct_offset;
    paging.direct_bytes = boot->direct_bytes;
    paging.heap_start = boot->heap_start;
    paging.heap_bytes = bytes_of(boot->heap_pages);
    if (paging.heap_start + paging.heap_bytes == 0) /* has the last page */
        paging.heap_bytes = 0;
    paging.use_direct = boot->use_direct;
    paging.has_mirror = true;
    for (unsigned l = 1; l < MMU_LEVELS_MAX; l++) {
        paging.large[l] = mmu_has_large(l) && (l == 1 || boot->use_direct);
        if (l > 1 && paging.large[l])
            paging.has_mirror = false;
    }
    paging.is_adopted = boot->adopt;
    paging.alias_first = UINTPTR_MAX;
    paging.alias_last = 0;
    paging.cache_types = mmu_cache_init(boot->adopt);
    paging.global = mmu_has_global();
    paging.exec = mmu_enforces_exec();
    paging.kernel_is_tagged = !paging.global;
    paging.table_zone = 0;
    paging.root_zone = root_zone(boot);
    paging.top = mmu_levels() - 1;
    paging.has_ids = mmu_has_ids();
    paging.invalidates_ids = paging.has_ids && mmu_has_invalidate_id();
    paging.ids[0] = 1; /* the kernel's */
    space->lock.name = "space";
    paging.cache_lock.name = "cache types";
    space->shown = 0;
    space->global = paging.global;
    space->tables = ROOT_PAGES;
    for (unsigned cpu = 0; cpu < CPU_COUNT_MAX; cpu++)
        paging.now[cpu] = space;
    mirror_init(boot->mirror_slot != 0 ? boot->mirror_slot : MMU_MIRROR_SLOT);
    users_init(boot);
    for (size_t i = 0; i < boot->fixed_count; i++)
        fixed_check(&boot->fixed[i]);
    mirror_check(space, boot);
    layout_check(boot);
}

static void mirror_hook(struct space *space)
{
    for (unsigned i = 0; i < MMU_MIRROR_SLOTS; i++) {
        vaddr_t va = mirror_start(space) + i * step_of(paging.top);
        pte_store(pte_at(space, paging.top, va), mirror_entry(space, va));
    }
}

int verso_i_paging_init(const struct verso_boot *boot)
{
    struct space *space = &paging.kernel;
    init_from(boot, space);
    if (boot->adopt ? verso_i_adopt_root(space, boot) != 0 : !root_make(space))
        return VERSO_NO_MEMORY;
    for (size_t i = 0; i < boot->fixed_count; i++)
        if (fixed_map(space, &boot->fixed[i]) != 0)
            return VERSO_NO_MEMORY;
    if (boot->window != 0 && window_init(space, boot->window) != 0)
        return VERSO_NO_MEMORY;
    if (upper_init(space, boot) != 0)
        return VERSO_NO_MEMORY;
    if (paging.has_mirror)
        mirror_hook(space);
    mmu_root_load(space->root);
    if (boot->adopt) /* what is fixed may be global since */
        mmu_invalidate_all();
    paging.on = true;
    space->shown = boot->use_direct ? 0 : paging.top;
    paging.table_zone = boot->use_direct ? 0 : VERSO_ZONE_ANY;
    if (boot->window != 0)
        paging.window_entries = pte_at(space, 0, boot->window);
    return 0;
}
