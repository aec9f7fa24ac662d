/* SPDX-License-Identifier: MIT */
/*
 * paging - ranges of pages are mapped, unmapped, given other rights, and looked
 * up. How tables are reached stands on top of tables.h; how they come, go and
 * are flushed on top of tables.c.
 *
 *      map        check | count absent tables | take them | store
 *      unmap      check | split the two ends  | clear     | flush | free
 *      protect    check | all mapped? | split | replace   | flush
 *                 `------- plan -------'      `- commit -'
 *
 * A change has two halves. The plan checks everything and takes all the tables
 * it needs, cleared before anyone can see them; it may fail, and has changed
 * nothing then. The commit stores the entries, and cannot fail. Then comes one
 * flush. A large page that changes in part is split before (tables.c).
 *
 * The mirror shows a large page at level 1 as one page of the lowest level, as
 * it shows a table in its place. One at level 2 it would show as a page at
 * level 1, and, once that is split, as many of level 0: two sizes at once, at
 * addresses that nobody uses, but a CPU may. So there are such pages or there
 * is a mirror: with the direct map on a machine that has them, the self entry
 * is left out; elsewhere no page is larger than those of level 1.
 *
 * Pages that users cannot reach are global where the machine has that: they
 * stay cached when another root is loaded, and only invalidations of their
 * own, or of everything, take them away. That goes for a large page that the
 * mirror shows, too; an entry for a table is never global.
 *
 * Invariants: 3 and 4 (tables.h), 7 (cachetype.c), and
 *   9. a page that the host has not mapped is global if users cannot reach it
 *      and the machine can; none of a user space is.
 *
 * Locks: the entry points take the space's. Cost: map and unmap are a loop
 * over entries of one table at a time; plan and flush are paid once a call.
 * What is done most, a page or a few of the kernel's in one table, has a way of
 * its own through each of map, release and query.
 */
#include "tables.h"

struct paging_state verso_i_paging VERSO_STATE;

/* ---- ranges: what every entry point checks ---- */

static NO_INLINE int kernel_check_other(vaddr_t va, size_t pages)
{
    return range_check(&paging.kernel, va, pages);
}

/* The same for pages of the kernel's. All of the heap may be mapped: init has
 * seen to that. */
ALWAYS_INLINE int kernel_check(vaddr_t va, size_t pages)
{
    const vaddr_t at = va - paging.heap_start;
    if (likely(is_page_aligned(va) && at < paging.heap_bytes &&
               pages - 1 < (paging.heap_bytes - at) >> VERSO_PAGE_SHIFT))
        return 0;
    return kernel_check_other(va, pages);
}

/* Of a caller's own flags and frames: is there such a cache type, and so many
 * frames from the first on, for the machine to address? */
static bool source_is_valid(pfn_t first, size_t pages, unsigned flags)
{
    return cache_is_valid(flags) &&
           (uint64_t)pfn_nr(first) + pages <= (uint64_t)PFN_LAST + 1;
}

/* The root that is loaded stays while an entry of it is changed and read again:
 * the next interrupt may load another, and the mirror shows that one then. */
ALWAYS_INLINE uintptr_t root_hold(const struct space *space, unsigned level)
{
    return is_shared(space, level) ? cpu_irq_save() : 0;
}

ALWAYS_INLINE void root_release(
    const struct space *space, unsigned level, uintptr_t irq)
{
    if (is_shared(space, level))
        cpu_irq_restore(irq);
}

/* ---- map ---- */

/* A map call under way: what is left of the range, and of the frames. */
struct map_state {
    vaddr_t va;
    size_t pages;
    unsigned flags;
    struct paging_source source;
};

/* Consecutive frames: what a large page is made of. */
ALWAYS_INLINE bool is_row(const struct paging_source *source)
{
    return source->list == NULL && !source->chained;
}

/* The largest leaf that may start here: aligned, whole, frames in a row. */
static unsigned leaf_level(const struct space *space, const struct map_state *m)
{
    unsigned level = 0;
    if (!is_row(&m->source))
        return 0;
    for (unsigned l = 1; l <= top_of(space) && paging.large[l]; l++) {
        size_t mask = MMU_LEVEL_PAGES(l) - 1;
        if ((m->va & (step_of(l) - 1)) == 0 && m->pages > mask &&
            (pfn_nr(m->source.first) & mask) == 0)
            level = l;
    }
    return level;
}

/* The frame's cache type is its owner's to say. */
ALWAYS_INLINE bool cache_differs(pfn_t pfn, unsigned cache)
{
    if (likely(pfn_nr(pfn) < paging.frame_count))
        return unlikely(paging.frames[pfn_nr(pfn)].cache != cache);
    return verso_i_cachetype_differs(pfn, 1, cache);
}

static NO_INLINE bool each_differs(
    const pfn_t *list, size_t pages, unsigned cache)
{
    for (size_t i = 0; i < pages; i++)
        if (cache_differs(list[i], cache))
            return true;
    return false;
}

/* The same for a list. Write-back is 0: nearly always, and OR-ing is enough. */
static bool list_differs(const pfn_t *list, size_t pages, unsigned cache)
{
    const struct frame *const frames = paging.frames;
    const size_t limit = paging.frame_count;
    uint8_t differs = 0; /* as wide as frame.cache: one instruction */
    bool outside = false;
    if (cache != 0)
        return each_differs(list, pages, cache);
    UNROLL_8
    for (const pfn_t *at = list; at < list + pages; at++)
        if (likely(pfn_nr(*at) < limit))
            differs = (uint8_t)(differs | frames[pfn_nr(*at)].cache);
        else
            outside = true;
    return differs != 0 || (outside && each_differs(list, pages, 0));
}

/* The same for frames in a row. */
bool verso_i_paging_row_differs(pfn_t first, size_t pages, unsigned cache)
{
    const size_t start = pfn_nr(first);
    unsigned differs = 0;
    if (start >= paging.frame_count)
        return verso_i_cachetype_differs(first, pages, cache);
    const size_t inside = paging.frame_count - start;
    if (pages > inside) {
        differs = verso_i_cachetype_differs(
            pfn_add(first, inside), pages - inside, cache);
        pages = inside;
    }
    const struct frame *frame = &paging.frames[start];
    UNROLL_4
    for (const struct frame *end = frame + pages; frame < end; frame++)
        differs |= frame->cache ^ cache;
    return differs != 0;
}

/* Moves the state over `pages` pages; false if a frame on the way has another
 * cache type. */
ALWAYS_INLINE bool source_skip(struct map_state *m, size_t pages)
{
    unsigned cache = cache_of(m->flags);
    struct paging_source *s = &m->source;
    bool differs = false;
    if (s->list != NULL) {
        differs = list_differs(s->list, pages, cache);
        s->list += pages;
    } else if (!s->chained) { /* else back has given them their type */
        differs = verso_i_paging_row_differs(s->first, pages, cache);
        s->first = pfn_add(s->first, pages);
    }
    m->va += bytes_of(pages);
    m->pages -= pages;
    return !differs;
}

/* Stores leaves for the first `count` frames of a chain, which are told their
 * pages, from number `page` on. Returns the frame behind them. */
ALWAYS_INLINE pfn_t chain_store(
    struct pte *entry, size_t count, pfn_t pfn, pte_raw_t bits, vaddr_t page)
{
    struct frame *const frames = paging.frames;
    uint32_t owner = (uint32_t)page;
    UNROLL_4
    for (const struct pte *end = entry + count; entry != end; entry++) {
        struct frame *frame = &frames[pfn_nr(pfn)];
        pte_store(entry, pte_leaf(pfn, bits));
        pfn = pfn_make(frame->link);
        frame->link = owner++;
    }
    return pfn;
}

/* Stores `count` leaves, and moves the state over them. */
ALWAYS_INLINE void source_store(struct map_state *m, struct pte *entry,
    size_t count, unsigned level, bool global)
{
    const pte_raw_t bits = known(pte_bits(level, m->flags, global));
    struct paging_source *s = &m->source;
    size_t each = MMU_LEVEL_PAGES(level);
    if (s->list != NULL) {
        const pfn_t *list = s->list;
        UNROLL_8
        for (size_t i = 0; i < count; i++)
            pte_store(&entry[i], pte_leaf(list[i], bits));
        s->list = list + count;
    } else if (s->chained) {
        s->first = chain_store(
            entry, count, s->first, bits, m->va >> VERSO_PAGE_SHIFT);
    } else {
        struct pte e = pte_leaf(s->first, bits);
        UNROLL_4
        for (size_t i = 0; i < count; i++) {
            pte_store(&entry[i], e);
            e = pte_next(e, level);
        }
        s->first = pfn_add(s->first, count * each);
    }
    m->va += bytes_of(count * each);
    m->pages -= count * each;
}

/* Is any of `count` entries live? A table that counts none need not be read. */
static bool any_live(
    const struct space *space, unsigned level, vaddr_t va, size_t count)
{
    const struct pte *entry = pte_at(space, level, va);
    if (frame_get(table_of(space, level, va))->live == 0)
        return false;
    for (size_t i = 0; i < count; i++)
        if (pte_is_live(pte_load(&entry[i])))
            return true;
    return false;
}

/* Checks a map call and counts the tables it needs. planned[l] is where that
 * begins which the table counted last at level l will cover; 1: none was. */
static NO_INLINE int map_plan(
    struct space *space, struct map_state m, size_t *tables)
{
    vaddr_t planned[MMU_LEVELS_MAX];
    *tables = 0;
    for (unsigned l = 0; l <= top_of(space); l++)
        planned[l] = 1;
    while (m.pages > 0) {
        struct pte *entry;
        unsigned level = verso_i_tables_find(space, m.va, &entry);
        unsigned leaf = level == 0 ? 0 : leaf_level(space, &m);
        if (level > 0 && pte_is_live(pte_load(entry)))
            return VERSO_EXISTS;
        if (leaf > level)
            leaf = level;
        bool is_there = leaf == level; /* its table is */
        while (level > leaf &&
               round_down(m.va, step_of(level)) == planned[level - 1])
            level--;
        *tables += level - leaf;
        for (unsigned l = leaf; l < level; l++)
            planned[l] = round_down(m.va, step_of(l + 1));
        size_t count = run_of(m.va, leaf, m.pages);
        if (is_there && any_live(space, leaf, m.va, count))
            return VERSO_EXISTS;
        if (!source_skip(&m, count * MMU_LEVEL_PAGES(leaf)))
            return VERSO_DENIED;
        space_breathe(space);
    }
    return 0;
}

/* Users reach a page only if every entry on the way allows it. More rights
 * need no flush. */
static void allow_user(struct space *space, vaddr_t va)
{
    paging.kernel_is_tagged |= !space->is_user;
    for (unsigned level = top_of(space);; level--) {
        struct pte *entry = pte_at(space, level, va);
        struct pte e = pte_load(entry);
        if (level == 0 || !pte_is_live(e) || pte_is_leaf(e, level))
            return;
        if ((pte_flags(e) & VERSO_USER) == 0)
            verso_i_tables_put(space, level, va, pte_table(pte_pfn(e), true));
    }
}

static NO_INLINE void map_commit(
    struct space *space, struct map_state m, struct verso_chain *tables)
{
    bool user = (m.flags & VERSO_USER) != 0;
    while (m.pages > 0) {
        struct pte *entry;
        unsigned level = verso_i_tables_find(space, m.va, &entry);
        unsigned leaf = level == 0 ? 0 : leaf_level(space, &m);
        for (; level > leaf; level--)
            verso_i_tables_hook(space, level, m.va, tables, user);
        if (user)
            allow_user(space, m.va);
        entry = pte_at(space, level, m.va);
        /* one at a time, where the other roots follow */
        size_t count =
            is_shared(space, level) ? 1 : run_of(m.va, level, m.pages);
        live_add(space, level, m.va, count);
        const vaddr_t va = m.va;
        const uintptr_t irq = root_hold(space, level);
        source_store(&m, entry, count, level, space->global);
        if (is_shared(space, level))
            verso_i_tables_follow(space, entry, va);
        root_release(space, level, irq);
        space_breathe(space);
    }
}

/* Is all of the range in the one table of pages that the walk led to? */
ALWAYS_INLINE bool is_one_run(struct place p, vaddr_t va, size_t pages)
{
    return p.level == 0 && pages <= MMU_ENTRIES(0) - index_of(va, 0);
}

/* All in one table that is there: nothing can be short. */
static NO_INLINE int map_run(
    struct space *space, struct place p, const struct map_state *m)
{
    struct frame *table = frame_get(pte_pfn(p.above));
    struct map_state plan = *m;
    for (size_t i = 0; table->live > 0 && i < m->pages; i++)
        if (pte_is_live(pte_load(&p.entry[i])))
            return VERSO_EXISTS;
    if (!source_skip(&plan, m->pages))
        return VERSO_DENIED;
    if (m->flags & VERSO_USER)
        allow_user(space, m->va);
    table->live = (uint16_t)(table->live + m->pages);
    plan = *m;
    source_store(&plan, p.entry, m->pages, 0, space->global);
    return 0;
}

/* The whole of an entry that is absent, in a table that is there: one large
 * page. */
static NO_INLINE int map_leaf(
    struct space *space, struct place p, const struct map_state *m)
{
    struct map_state plan = *m;
    struct frame *table = frame_get(pte_pfn(p.above));
    if (!source_skip(&plan, m->pages))
        return VERSO_DENIED;
    if (m->flags & VERSO_USER)
        allow_user(space, m->va);
    table->live++;
    pte_store(p.entry, leaf_of(space, m->source.first, p.level, m->flags));
    return 0;
}

static NO_INLINE int map_many(struct space *space, const struct map_state *m)
{
    struct verso_chain tables;
    size_t needed;
    if (m->pages >= MMU_LEVEL_PAGES(1) && is_row(&m->source) &&
        space->idle_va - m->va < bytes_of(m->pages))
        verso_i_tables_idle_drop(space); /* a large page may take its place */
    struct place p = find_place(space, m->va);
    if (is_one_run(p, m->va, m->pages))
        return map_run(space, p, m);
    if (p.level > 0 && p.level < top_of(space) && !pte_is_live(p.e) &&
        m->pages == MMU_LEVEL_PAGES(p.level) && leaf_level(space, m) == p.level)
        return map_leaf(space, p, m);
    int err = map_plan(space, *m, &needed);
    if (err == 0)
        err = verso_i_tables_take(space, needed, &tables);
    if (err == 0)
        map_commit(space, *m, &tables);
    return err;
}

/* One page whose table is there, as most first touches are: plan and commit
 * are a look and a store. */
ALWAYS_INLINE int map_one(struct space *space, const struct map_state *m)
{
    const struct place p = find_place(space, m->va);
    pfn_t pfn = m->source.list != NULL ? m->source.list[0] : m->source.first;
    if (unlikely(p.level > 0))
        return map_many(space, m);
    if (pte_is_live(p.e))
        return VERSO_EXISTS;
    if (cache_differs(pfn, cache_of(m->flags)))
        return VERSO_DENIED;
    if (m->flags & VERSO_USER)
        allow_user(space, m->va);
    live_add(space, 0, m->va, 1);
    pte_store(p.entry, leaf_of(space, pfn, 0, m->flags));
    if (m->source.chained)
        frame_get(pfn)->link = (uint32_t)(m->va >> VERSO_PAGE_SHIFT);
    return 0;
}

int verso_i_paging_map(struct space *space, vaddr_t va, size_t pages,
    unsigned flags, const struct paging_source *source)
{
    const struct map_state m = {va, pages, flags, *source};
    int err = range_check(space, va, pages);
    if (err == 0 && (rights_are_refused(flags) || cache_is_missing(flags)))
        err = VERSO_DENIED;
    if (err != 0)
        return err;
    space_lock(space);
    err = pages == 1 ? map_one(space, &m) : map_many(space, &m);
    space_unlock(space);
    return err;
}

/* What the ways for one frame, and for a chain into one table, leave to the
 * general one: entries above change, the machine may lack the type, or W^X has
 * a say. */
#define UNUSUAL (VERSO_USER | VERSO_CACHE_MASK | VERSO_EXEC)

/* A table is missing, or it is unusual. */
static NO_INLINE int map_frame_other(
    struct space *space, vaddr_t va, pfn_t pfn, unsigned flags)
{
    const struct paging_source source = {NULL, pfn, true};
    return verso_i_paging_map(space, va, 1, flags, &source);
}

int verso_i_paging_map_frame(
    struct space *space, vaddr_t va, pfn_t pfn, unsigned flags)
{
    if (unlikely(space->is_user || (flags & UNUSUAL) != 0))
        return map_frame_other(space, va, pfn, flags);
    int err = kernel_check(va, 1);
    if (err != 0)
        return err;
    lock_take(&space->lock);
    const struct place p = find_place(space, va);
    if (unlikely(p.level > 0)) {
        lock_drop(&space->lock);
        return map_frame_other(space, va, pfn, flags);
    }
    if (pte_is_live(p.e)) {
        err = VERSO_EXISTS;
    } else {
        frame_get(pte_pfn(p.above))->live++;
        pte_store(p.entry, leaf_of(space, pfn, 0, flags));
        frame_get(pfn)->link = (uint32_t)(va >> VERSO_PAGE_SHIFT);
    }
    lock_drop(&space->lock);
    return err;
}

/* Not all in one table that is empty, or it is unusual. */
static NO_INLINE int map_chain_other(
    struct space *space, vaddr_t va, size_t pages, pfn_t first, unsigned flags)
{
    const struct paging_source source = {NULL, first, true};
    return verso_i_paging_map(space, va, pages, flags, &source);
}

int verso_i_paging_map_chain(
    struct space *space, vaddr_t va, size_t pages, pfn_t first, unsigned flags)
{
    if (unlikely(space->is_user || (flags & UNUSUAL) != 0))
        return map_chain_other(space, va, pages, first, flags);
    int err = kernel_check(va, pages);
    if (err != 0)
        return err;
    lock_take(&space->lock);
    const struct place p = find_place(space, va);
    struct frame *table = frame_get(pte_pfn(p.above));
    if (unlikely(!is_one_run(p, va, pages) || table->live != 0)) {
        lock_drop(&space->lock);
        return map_chain_other(space, va, pages, first, flags);
    }
    table->live = (uint16_t)pages;
    (void)chain_store(p.entry, pages, first,
        known(pte_bits(0, flags, space->global)), va >> VERSO_PAGE_SHIFT);
    lock_drop(&space->lock);
    return 0;
}

/* ---- unmap ---- */

/* A large page is going: its frames come along, as a chain for the batch's
 * owner to free. */
static void collect_large(struct flush *batch, struct pte e, unsigned level)
{
    for (size_t i = MMU_LEVEL_PAGES(level); i-- > 0;)
        if (frame_find(pfn_add(pte_pfn(e), i)) != NULL)
            chain_push(&batch->frames, pfn_add(pte_pfn(e), i));
}

/* Which entries of a run were live, and the chain of their frames. */
struct cleared {
    size_t count, first, last;
    struct verso_chain frames;
};

/* Clears `count` entries of a table, and chains the frames they had: from the
 * end, for frames in a row are freed fastest if the chain goes up with them.
 * Holes, and frames that are not in the array, are what is counted. */
ALWAYS_INLINE void clear_run(
    struct pte *entry, size_t count, struct cleared *out, bool collect)
{
    struct frame *const frames = paging.frames;
    const size_t limit = paging.frame_count;
    size_t first = 0, last, holes = 0, foreign = 0;
    uint32_t chain = pfn_nr(out->frames.first);
    while (count > 0 && !pte_is_live(pte_load(&entry[count - 1])))
        count--;
    last = count - 1;
    while (first < count && !pte_is_live(pte_load(&entry[first])))
        first++;
    UNROLL_4
    for (struct pte *at = entry + count; at > entry + first;) {
        struct pte e = pte_load(--at);
        if (unlikely(!pte_is_live(e))) {
            holes++;
            continue;
        }
        pte_store(at, (struct pte){0});
        uint32_t nr = pfn_nr(pte_pfn(e));
        if (collect && likely(nr < limit)) {
            frames[nr].link = chain;
            chain = nr;
        } else {
            foreign++;
        }
    }
    const size_t live = count - first - holes;
    *out = (struct cleared){live, first, last,
        {pfn_make(chain), out->frames.pages + live - foreign}};
}

/* The table of pages at *va was emptied: it is the idle one now. True if there
 * was another one, still empty, to be unhooked: at *va. */
static bool idle_replace(struct space *space, vaddr_t *va, pfn_t table)
{
    const pfn_t idle = space->idle;
    const vaddr_t idle_va = space->idle_va;
    if (likely(pfn_nr(idle) == pfn_nr(table)))
        return false;
    space->idle = table;
    space->idle_va = *va;
    *va = idle_va;
    return !pfn_is_none(idle) && frame_get(idle)->live == 0;
}

/* `count` entries of the table that holds va's entry at `level` went away. */
ALWAYS_INLINE void live_drop(struct space *space, unsigned level, vaddr_t va,
    size_t count, struct flush *batch)
{
    const pfn_t pfn = table_of(space, level, va);
    struct frame *table = frame_get(pfn);
    VERSO_ASSERT(table->live >= count);
    table->live = (uint16_t)(table->live - count);
    if (table->live > 0 || level == top_of(space) || is_hosts(table))
        return;
    if (level > 0 || idle_replace(space, &va, pfn))
        verso_i_tables_unhook(space, level, va, batch);
}

/* Unmaps the entries of va's table at `level` up to the end of the range;
 * returns the pages passed. */
static size_t unmap_run(struct space *space, vaddr_t va, size_t pages,
    unsigned level, struct flush *batch)
{
    struct pte *entry = pte_at(space, level, va);
    struct cleared cleared = {0, 0, 0, batch->frames};
    size_t count = level == 0 ? run_of(va, 0, pages) : 1;
    if (level > 0 && batch->collect)
        collect_large(batch, pte_load(entry), level);
    const uintptr_t irq = root_hold(space, level);
    if (level == 0 && batch->collect)
        clear_run(entry, count, &cleared, true);
    else
        clear_run(entry, count, &cleared, false);
    if (level == 0)
        batch->frames = cleared.frames;
    if (cleared.count > 0 && is_shared(space, level))
        verso_i_tables_follow(space, entry, va);
    root_release(space, level, irq);
    if (cleared.count > 0) {
        verso_i_flush_add(batch, va + cleared.first * step_of(level),
            cleared.last - cleared.first + 1, level);
        if (level > 0)
            verso_i_flush_add_mirror(space, batch, va, level);
        live_drop(space, level, va, cleared.count, batch);
    }
    return count * MMU_LEVEL_PAGES(level);
}

int verso_i_paging_unmap(
    struct space *space, vaddr_t va, size_t pages, struct flush *batch)
{
    int err = range_check(space, va, pages);
    if (err != 0)
        return err;
    space_lock(space);
    if (is_one_run(find_place(space, va), va, pages)) {
        (void)unmap_run(space, va, pages, 0, batch);
        space_unlock(space);
        return 0;
    }
    err = verso_i_tables_split_ends(space, va, pages);
    while (err == 0 && pages > 0) {
        struct pte *entry;
        unsigned level = verso_i_tables_find(space, va, &entry);
        /* an absent upper entry may cover more than the range, on both sides */
        size_t passed = pages_to_end(va, level);
        if (level == 0 || pte_is_live(pte_load(entry)))
            passed = unmap_run(space, va, pages, level, batch);
        if (passed > pages)
            passed = pages;
        va += bytes_of(passed);
        pages -= passed;
        space_breathe(space);
    }
    space_unlock(space);
    return err;
}

static NO_INLINE uint32_t release_other(
    struct space *space, vaddr_t va, size_t pages, struct verso_chain *frames)
{
    struct flush batch;
    verso_i_flush_init(&batch, true);
    int err = verso_i_paging_unmap(space, va, pages, &batch);
    VERSO_VERIFY(err == 0, "paging: release of %p, %zu pages: %s", (void *)va,
        pages, verso_err_name(err));
    *frames = batch.frames;
    return verso_i_flush_submit(space, &batch);
}

/* Pages of the lowest level, one by one. */
ALWAYS_INLINE void invalidate_pages(vaddr_t va, size_t pages)
{
    paging.invalidations += pages;
    UNROLL_4
    for (; pages > 0; pages--) {
        mmu_invalidate(va);
        va += VERSO_PAGE_SIZE;
    }
}

uint32_t verso_i_paging_release(
    struct space *space, vaddr_t va, size_t pages, struct verso_chain *frames)
{
    struct cleared cleared = {0, 0, 0, {PFN_NONE, 0}};
    if (unlikely(pages > VERSO_FLUSH_CEILING || space->is_user ||
                 kernel_check(va, pages) != 0))
        return release_other(space, va, pages, frames);
    lock_take(&space->lock);
    const struct place p = find_place(space, va);
    const pfn_t pfn = pte_pfn(p.above);
    struct frame *table = frame_get(pfn);
    if (unlikely(!is_one_run(p, va, pages)) ||
        (table->live <= pages && pfn_nr(space->idle) != pfn_nr(pfn)) ||
        unlikely(paging.kernel_is_tagged)) {
        lock_drop(&space->lock);
        return release_other(space, va, pages, frames);
    }
    clear_run(p.entry, pages, &cleared, true);
    *frames = cleared.frames;
    table->live = (uint16_t)(table->live - cleared.count);
    uint32_t flush = 0;
    if (likely(cleared.count > 0)) {
        invalidate_pages(
            va + bytes_of(cleared.first), cleared.last - cleared.first + 1);
        flush = flush_count();
    }
    lock_drop(&space->lock);
    return flush;
}

/* ---- protect, harvest, query ---- */

/* Is every entry live in the table of pages that is there for va? */
static bool is_full(const struct space *space, vaddr_t va)
{
    return frame_get(table_of(space, 0, va))->live == MMU_ENTRIES(0);
}

/* Is every page of the range mapped? */
static bool all_mapped(struct space *space, vaddr_t va, size_t pages)
{
    while (pages > 0) {
        struct pte *entry;
        unsigned level = verso_i_tables_find(space, va, &entry);
        size_t passed = pages_to_end(va, level);
        size_t count = level == 0 ? run_of(va, 0, pages) : 1;
        if (level > 0 || !is_full(space, va))
            for (size_t i = 0; i < count; i++)
                if (!pte_is_live(pte_load(&entry[i])))
                    return false;
        if (level == 0)
            passed = count;
        if (passed >= pages)
            return true;
        va += bytes_of(passed);
        pages -= passed;
        space_breathe(space);
    }
    return true;
}

/* Gives an entry the rights in `bits` when the CPU sets accessed or dirty
 * meanwhile. */
static NO_INLINE pte_raw_t protect_again(
    struct pte *entry, struct pte old, pte_raw_t bits)
{
    while (!pte_replace(entry, &old, pte_with_rights(old, bits))) {
    }
    return old.raw ^ pte_with_rights(old, bits).raw;
}

/* Gives `count` entries these rights, all of them live if `full`; returns where
 * they changed. */
ALWAYS_INLINE pte_raw_t protect_run(
    struct pte *entry, size_t count, pte_raw_t bits, bool full)
{
    pte_raw_t changed = 0;
    UNROLL_8
    for (size_t i = 0; i < count; i++) {
        struct pte old = pte_load(&entry[i]);
        const struct pte new = pte_with_rights(old, bits);
        if (!full && !pte_is_live(old))
            continue;
        if (likely(pte_replace(&entry[i], &old, new)))
            changed |= old.raw ^ new.raw;
        else
            changed |= protect_again(&entry[i], old, bits);
    }
    return changed;
}

int verso_i_paging_protect(
    struct space *space, vaddr_t va, size_t pages, unsigned rights, bool holes)
{
    struct flush batch;
    int err = range_check(space, va, pages);
    if (err == 0 && rights_are_refused(rights))
        err = VERSO_DENIED;
    if (err != 0)
        return err;
    verso_i_flush_init(&batch, false);
    space_lock(space);
    err = holes || all_mapped(space, va, pages)
              ? verso_i_tables_split_ends(space, va, pages)
              : VERSO_ABSENT;
    while (err == 0 && pages > 0) {
        struct pte *entry;
        unsigned level = verso_i_tables_find(space, va, &entry);
        size_t count = level == 0 ? run_of(va, 0, pages) : 1;
        pte_raw_t bits = known(pte_bits(level, rights, space->global));
        const uintptr_t irq = root_hold(space, level);
        pte_raw_t changed = level == 0 && is_full(space, va)
                                ? protect_run(entry, count, bits, true)
                                : protect_run(entry, count, bits, false);
        if (is_shared(space, level) && changed != 0)
            verso_i_tables_follow(space, entry, va);
        root_release(space, level, irq);
        /* an entry that had no rights need not be flushed, but may be */
        bool lowered =
            (changed & pte_flush_bits(pte_leaf(PFN_NONE, bits))) != 0;
        if (rights & VERSO_USER)
            allow_user(space, va);
        if (lowered)
            verso_i_flush_add(&batch, va, count, level);
        if (lowered && level > 0)
            verso_i_flush_add_mirror(space, &batch, va, level);
        size_t passed = pages_to_end(va, level);
        if (level == 0)
            passed = count;
        if (passed > pages)
            passed = pages;
        va += bytes_of(passed);
        pages -= passed;
        space_breathe(space);
    }
    (void)verso_i_flush_submit_locked(space, &batch);
    space_unlock(space);
    return err;
}

/* Takes accessed and dirty from the entry of va, which may be large. */
static unsigned char harvest_at(
    struct space *space, vaddr_t va, struct flush *batch)
{
    struct pte *entry;
    unsigned level = verso_i_tables_find(space, va, &entry);
    struct pte old = pte_load(entry);
    if (!pte_is_live(old))
        return 0;
    while (!pte_replace(entry, &old, pte_without_use(old))) {
    }
    if (is_shared(space, level)) {
        const struct pte new = pte_without_use(old);
        old = pte_with_use(old, verso_i_tables_visit(va, &new));
    }
    if (pte_needs_flush(old, pte_without_use(old))) {
        verso_i_flush_add(batch, va, 1, level);
        if (level > 0)
            verso_i_flush_add_mirror(space, batch, va, level);
    }
    return (unsigned char)((pte_is_accessed(old) ? 1 : 0) |
                           (pte_is_dirty(old) ? 2 : 0));
}

int verso_space_harvest(
    struct space *space, vaddr_t va, size_t pages, unsigned char *bits)
{
    struct flush batch;
    int err = range_check(space, va, pages);
    if (err != 0)
        return err;
    verso_i_flush_init(&batch, false);
    space_lock(space);
    for (size_t i = 0; i < pages;) {
        vaddr_t at = va + bytes_of(i);
        struct pte *entry;
        unsigned level = verso_i_tables_find(space, at, &entry);
        unsigned char use = harvest_at(space, at, &batch);
        do
            bits[i++] = use;
        while (i < pages && ((va + bytes_of(i)) & (step_of(level) - 1)) != 0);
        space_breathe(space);
    }
    (void)verso_i_flush_submit_locked(space, &batch);
    space_unlock(space);
    return 0;
}

int verso_harvest(vaddr_t va, size_t pages, unsigned char *bits)
{
    return verso_space_harvest(&paging.kernel, va, pages, bits);
}

ALWAYS_INLINE void mapping_fill(
    struct verso_mapping *mapping, vaddr_t va, struct pte e, unsigned level)
{
    vaddr_t offset = va & (step_of(level) - 1);
    mapping->pa =
        paddr_make(paddr_raw(pfn_to_paddr(pte_pfn(e))) + (verso_phys_t)offset);
    mapping->flags = pte_flags(e);
    mapping->state =
        pte_state(e) | (exec_is_enforced() ? VERSO_MAPPED_EXEC_ENFORCED : 0);
    mapping->page_pages = MMU_LEVEL_PAGES(level);
}

static unsigned level_of(size_t page_pages)
{
    unsigned level = 0;
    while (page_pages > MMU_LEVEL_PAGES(level))
        level++;
    return level;
}

static int query(const struct space *space, vaddr_t va, struct verso_mapping *m)
{
    const struct place p = find_place(space, va);
    if (!pte_is_live(p.e) || !is_address(top_of(space), va))
        return VERSO_ABSENT;
    mapping_fill(m, va, p.e, p.level);
    return 0;
}

/* The usual case, with constants: through the mirror to a page of the lowest
 * level. */
ALWAYS_INLINE bool query_page(vaddr_t va, unsigned top, struct verso_mapping *m)
{
    const struct place p = walk(va, top);
    if (unlikely(p.level > 0 || !pte_is_live(p.e)))
        return false;
    mapping_fill(m, va, p.e, 0);
    return true;
}

/* Elsewhere a space has nothing of its own. */
ALWAYS_INLINE bool is_users(vaddr_t va)
{
    return va <= paging.user_last && va >= paging.user_first;
}

size_t verso_i_paging_absent(struct space *space, vaddr_t va)
{
    struct pte *entry;
    space_lock(space);
    unsigned level = verso_i_tables_find(space, va, &entry);
    size_t pages = pte_is_live(pte_load(entry)) ? 0 : pages_to_end(va, level);
    space_unlock(space);
    return pages;
}

NO_INLINE int verso_i_paging_query(
    struct space *space, vaddr_t va, struct verso_mapping *mapping)
{
    if (is_users(va) != space->is_user)
        return VERSO_DENIED;
    space_lock(space);
    int err = query(space, va, mapping);
    if (err == 0 && is_shared(space, level_of(mapping->page_pages)))
        mapping->state |=
            pte_state((struct pte){verso_i_tables_visit(va, NULL)});
    space_unlock(space);
    return err;
}

int verso_i_paging_peek(vaddr_t va, struct verso_mapping *mapping)
{
    if (!paging.on)
        return VERSO_ABSENT;
    const struct space seen = space_seen();
    return query(&seen, va, mapping);
}

bool verso_i_paging_allows(struct space *space, vaddr_t va, unsigned wanted)
{
    struct verso_mapping m;
    if (!exec_is_enforced())
        wanted &= ~VERSO_EXEC;
    if (verso_i_paging_query(space, va, &m) != 0 ||
        (m.state & VERSO_MAPPED_PRESENT) == 0 || (m.flags & wanted) != wanted)
        return false;
    /* what the mirror shows has the rights of the self entry besides */
    if (is_mirror(space, round_down(va, VERSO_PAGE_SIZE), 1))
        return false;
    mmu_invalidate(va);
    paging.invalidations++;
    return true;
}

/* ---- the public calls, on the kernel's space ---- */

struct space *verso_space_kernel(void)
{
    return &paging.kernel;
}

int verso_space_map(
    struct space *space, vaddr_t va, pfn_t first, size_t pages, unsigned flags)
{
    struct paging_source source = {NULL, first, false};
    if (!source_is_valid(first, pages, flags))
        return VERSO_BAD_ARG;
    return verso_i_paging_map(space, va, pages, flags, &source);
}

int verso_space_map_frames(struct space *space, vaddr_t va, const pfn_t *frames,
    size_t pages, unsigned flags)
{
    struct paging_source source = {frames, PFN_NONE, false};
    if (!source_is_valid(PFN_NONE, 0, flags))
        return VERSO_BAD_ARG;
    return verso_i_paging_map(space, va, pages, flags, &source);
}

int verso_space_unmap(struct space *space, vaddr_t va, size_t pages)
{
    struct flush batch;
    verso_i_flush_init(&batch, false);
    int err = verso_i_paging_unmap(space, va, pages, &batch);
    (void)verso_i_flush_submit(space, &batch);
    return err;
}

int verso_space_protect(
    struct space *space, vaddr_t va, size_t pages, unsigned rights)
{
    return verso_i_paging_protect(space, va, pages, rights, false);
}

int verso_space_query(
    struct space *space, vaddr_t va, struct verso_mapping *mapping)
{
    return verso_i_paging_query(space, va, mapping);
}

int verso_map(vaddr_t va, pfn_t first, size_t pages, unsigned flags)
{
    return verso_space_map(&paging.kernel, va, first, pages, flags);
}

int verso_map_frames(
    vaddr_t va, const pfn_t *frames, size_t pages, unsigned flags)
{
    return verso_space_map_frames(&paging.kernel, va, frames, pages, flags);
}

int verso_unmap(vaddr_t va, size_t pages)
{
    return verso_space_unmap(&paging.kernel, va, pages);
}

int verso_protect(vaddr_t va, size_t pages, unsigned rights)
{
    return verso_space_protect(&paging.kernel, va, pages, rights);
}

/* Whatever is not usual. */
static NO_INLINE int query_other(vaddr_t va, struct verso_mapping *mapping)
{
    return verso_i_paging_query(&paging.kernel, va, mapping);
}

int verso_query(vaddr_t va, struct verso_mapping *mapping)
{
    const unsigned low = MMU_LEVELS_MIN - 1, high = MMU_LEVELS_MAX - 1;
    struct space *space = &paging.kernel;
    bool done = false;
    /* the mirror shows users' tables, as long as no interrupt comes */
    if (unlikely(va < paging.kernel_first) || unlikely(!lock_try(&space->lock)))
        return query_other(va, mapping);
    if (likely(space->shown == low))
        done = query_page(va, low, mapping);
    else if (low != high && !paging.use_direct)
        done = query_page(va, high, mapping);
    lock_drop(&space->lock);
    return likely(done) ? 0 : query_other(va, mapping);
}

void verso_paging_stats(struct verso_paging_stats *stats)
{
    *stats = (struct verso_paging_stats){
        .invalidations = paging.invalidations, .flushes = paging.flushes};
    lock_take(&paging.kernel.lock);
    for (const struct space *s = &paging.kernel; s != NULL; s = s->next) {
        stats->spare += s->spare.pages;
        stats->tables += s->tables + s->spare.pages;
    }
    lock_drop(&paging.kernel.lock);
}
