/* SPDX-License-Identifier: MIT */
/*
 * tables - frames that are seen through windows, what is cached of entries and
 * must go, tables that come and go, and large pages that become tables.
 *
 * The mirror shows the root that is loaded. So the kernel's tables can always
 * be edited through it, and those of the space that is loaded; another space's
 * through windows, a page a level for each CPU, which show its tables one at a
 * time: not through a second mirror, of which 4 MiB would have to be
 * invalidated each time it is pointed elsewhere. Which of the two it is may
 * change at any interrupt: so a user space is edited in turns with interrupts
 * off (verso_i_tables_turn_begin).
 *
 * Invalidation (Intel SDM vol. 3A, 4.10.4): an entry that was live and changes
 * is invalidated by its address; an entry that named a table, or a large page,
 * has its page in the mirror invalidated as well, which is another address. An
 * entry that becomes live needs nothing. Tables are unhooked, then
 * invalidated, then freed.
 *
 * What is cached of a space that is not loaded: nothing, for the load of
 * another root takes it away, unless the machine tells spaces apart by
 * identifiers. Then a change is invalidated under the space's, or all of it
 * with the next load (is_stale). The kernel's pages are global, but what a
 * mirror shows is each root's own: after a change of that kind a load keeps
 * nothing (kernel_changes).
 *
 * A large page that changes in part is split first (same frame, rights,
 * accessed and dirty), that is flushed, and only then the part changes: two
 * sizes with different rights are never live at once (Intel's application note
 * on TLBs; AMD erratum 383).
 *
 * Where a root entry stands for much (three levels or more), the tables right
 * below it are made at init for all of the heap, and stay though they be empty
 * (is_kept): roots need not follow then. Elsewhere, as with two levels, tables
 * come and go, and each root's entry with them; and a large page in the root
 * stands once in each, so that accessed and dirty are what all of them say.
 *
 * A table of pages that is emptied stays hooked in, idle, until another one is:
 * who maps and unmaps a few pages by turns finds it there. Drain gives it back,
 * and so does who maps a range around it, where a large page may come to stand.
 *
 * Invariants: 1 to 6 (tables.h), and
 *   8. no batch that was given something is left unsubmitted.
 *
 * Locks: the callers hold the space's; verso_i_flush_submit() takes it, and
 * verso_i_flush_done() none. Cost: a flush is paid once a call.
 *
 * We differ from the usual in clearing a table before it is hooked in, and in
 * counting live entries, so that tables go.
 */
#include "tables.h"

/* ---- windows: frames that are mapped nowhere else ----
 *
 * Each CPU has a page for scratch, and one a level for the tables of a space
 * that is not the one loaded. Their entries are live from the start and for
 * good, so that their table stays. Interrupts are off as long as one is open:
 * nobody else on this CPU changes it, and no other CPU looks at it.
 */

/* This CPU's page of addresses for a slot. */
static vaddr_t window_va(unsigned slot)
{
    return paging.window + bytes_of((size_t)cpu_number() * WINDOWS + slot);
}

static struct pte *window_entry(unsigned slot)
{
    return paging.window_entries + (size_t)cpu_number() * WINDOWS + slot;
}

void verso_i_tables_window_close(unsigned slot)
{
    uint32_t *shows = &paging.shows[cpu_number()][slot];
    vaddr_t va = window_va(slot);
    if (*shows == 0)
        return;
    pte_store(window_entry(slot), leaf_of(&paging.kernel, PFN_NONE, 0, 0));
    mmu_invalidate(va);
    paging.invalidations++;
    *shows = 0;
}

/* The frame's bytes: through the direct map, or in the slot's window. */
void *verso_i_tables_window_open(unsigned slot, pfn_t pfn)
{
    if (is_direct(pfn))
        return direct_address(pfn);
    uint32_t *shows = &paging.shows[cpu_number()][slot];
    vaddr_t va = window_va(slot);
    if (*shows == pfn_nr(pfn))
        return (void *)va;
    verso_i_tables_window_close(slot);
    unsigned cache = (unsigned)frame_get(pfn)->cache << VERSO_CACHE_SHIFT;
    pte_store(
        window_entry(slot), leaf_of(&paging.kernel, pfn, 0, VERSO_RW | cache));
    *shows = pfn_nr(pfn);
    return (void *)va;
}

/* For a moment, whatever else is open. */
void *verso_i_tables_scratch_open(pfn_t pfn, uintptr_t *irq)
{
    *irq = is_direct(pfn) ? 0 : cpu_irq_save();
    return verso_i_tables_window_open(0, pfn);
}

void verso_i_tables_scratch_close(pfn_t pfn, uintptr_t irq)
{
    if (is_direct(pfn))
        return;
    verso_i_tables_window_close(0);
    cpu_irq_restore(irq);
}

/* ---- walks past the mirror ---- */

/* The entry of va in a table of this level, reached past the mirror; a window
 * that it takes is open as long as no other table of the level is asked for. */
struct pte *verso_i_tables_entry_in(pfn_t table, unsigned level, vaddr_t va)
{
    const size_t at = index_of(va, level) * sizeof(struct pte);
    pfn_t frame = pfn_add(table, at >> VERSO_PAGE_SHIFT); /* roots have many */
    vaddr_t page = (vaddr_t)verso_i_tables_window_open(1 + level, frame);
    return (struct pte *)(page + (at & (VERSO_PAGE_SIZE - 1)));
}

NO_INLINE struct pte *verso_i_tables_at(
    const struct space *space, unsigned level, vaddr_t va)
{
    pfn_t table = space->root;
    for (unsigned l = top_of(space); l > level; l--)
        table = pte_pfn(pte_load(verso_i_tables_entry_in(table, l, va)));
    return verso_i_tables_entry_in(table, level, va);
}

/* The same past the mirror: each entry says where the next table is. */
NO_INLINE struct place verso_i_tables_walk(
    const struct space *space, vaddr_t va)
{
    struct place p = {.e = pte_leaf(space->root, 0)};
    for (p.level = top_of(space);; p.level--) {
        p.above = p.e;
        if (likely(paging.use_direct)) /* so all tables lie there */
            p.entry = (struct pte *)direct_address(pte_pfn(p.e)) +
                      index_of(va, p.level);
        else
            p.entry = verso_i_tables_entry_in(pte_pfn(p.e), p.level, va);
        p.e = pte_load(p.entry);
        if (p.level == 0 || !pte_is_table(p.e))
            return p;
    }
}

/* The same where it is not worth its size. */
NO_INLINE unsigned verso_i_tables_find(
    const struct space *space, vaddr_t va, struct pte **entry)
{
    struct place p = find_place(space, va);
    *entry = p.entry;
    return p.level;
}

/* ---- spaces: which tables are reached how, and the lock ----
 *
 * The kernel's own tables are in every root, and the mirror shows them whatever
 * root is loaded. A user space's are there only while its root is loaded on
 * this CPU, which the next interrupt may change: so they are reached in turns
 * with interrupts off, each of a walk and at most one table's entries, and each
 * finds out anew whether the mirror or windows show them.
 */

void verso_i_tables_turn_begin(struct space *space)
{
    space->irq = cpu_irq_save();
    const bool loaded = pfn_nr(mmu_root()) == pfn_nr(space->root);
    space->shown = loaded && !paging.use_direct ? paging.top : 0;
}

void verso_i_tables_turn_end(struct space *space)
{
    for (unsigned slot = 1; slot < WINDOWS; slot++)
        verso_i_tables_window_close(slot);
    cpu_irq_restore(space->irq);
}

/* ---- roots ----
 *
 * The kernel's entries of the root are the same in every root. Where the root
 * holds large pages (two levels), the CPU sets accessed and dirty in the root
 * that is loaded: together the roots know.
 */

/* The entry of va in a root, loaded or not; until
 * verso_i_tables_scratch_close(). */
struct pte *verso_i_tables_root_entry(
    const struct space *space, vaddr_t va, pfn_t *frame, uintptr_t *irq)
{
    const size_t at = index_of(va, top_of(space)) * sizeof(struct pte);
    *frame = pfn_add(space->root, at >> VERSO_PAGE_SHIFT);
    vaddr_t page = (vaddr_t)verso_i_tables_scratch_open(*frame, irq);
    return (struct pte *)(page + (at & (VERSO_PAGE_SIZE - 1)));
}

/* Accessed and dirty of the kernel's entry for va, from every root; with `put`,
 * that is what stands there afterwards. */
NO_INLINE pte_raw_t verso_i_tables_visit(vaddr_t va, const struct pte *put)
{
    pte_raw_t use = 0;
    for (struct space *s = &paging.kernel; s != NULL; s = s->next) {
        uintptr_t irq;
        pfn_t frame;
        struct pte *entry = verso_i_tables_root_entry(s, va, &frame, &irq);
        struct pte old = pte_load(entry);
        while (put != NULL && old.raw != put->raw &&
               !pte_replace(entry, &old, *put)) {
        }
        if (pte_is_live(old) && pte_is_leaf(old, top_of(s)))
            use |= pte_use(old);
        verso_i_tables_scratch_close(frame, irq);
    }
    return use;
}

/* The entry of va was changed in the root that is reached, and held: now in all
 * of them. What they knew of use is kept. */
void verso_i_tables_follow(
    const struct space *space, struct pte *entry, vaddr_t va)
{
    struct pte e = pte_load(entry);
    const pte_raw_t use = verso_i_tables_visit(va, &e);
    if (!pte_is_live(e) || !pte_is_leaf(e, top_of(space)))
        return;
    while (!pte_replace(entry, &e, pte_with_use(e, use))) {
    }
}

/* ---- flushing ---- */

void verso_i_flush_init(struct flush *batch, bool collect)
{
    batch->ranges = 0;
    batch->total = 0;
    batch->all = false;
    batch->tagged = false;
    batch->collect = collect;
    batch->frames = (struct verso_chain){PFN_NONE, 0};
    batch->tables = (struct verso_chain){PFN_NONE, 0};
}

/* May entries of va be those of other addresses, too? What is cached for those
 * must go as well. */
ALWAYS_INLINE bool is_aliased(vaddr_t va)
{
    return unlikely(va <= paging.alias_last && va >= paging.alias_first);
}

void verso_i_flush_add(
    struct flush *batch, vaddr_t va, size_t count, unsigned level)
{
    paging.batches += batch->total == 0;
    batch->total += count;
    if (batch->total > VERSO_FLUSH_CEILING || batch->ranges == FLUSH_RANGES ||
        is_aliased(va))
        batch->all = true;
    if (batch->all)
        return;
    batch->range[batch->ranges++] =
        (struct flush_range){va, count, step_of(level)};
}

/* The page that shows, in the mirror, the table named by va's entry at this
 * level. */
static vaddr_t mirror_page(
    const struct space *space, unsigned level, vaddr_t va)
{
    vaddr_t at = (vaddr_t)pte_at_mirror(level - 1, va, top_of(space));
    return round_down(at, VERSO_PAGE_SIZE);
}

/* Each root has a mirror of its own: what it shows is never global. */
void verso_i_flush_add_mirror(
    const struct space *space, struct flush *batch, vaddr_t va, unsigned level)
{
    verso_i_flush_add(batch, mirror_page(space, level, va), 1, 0);
    batch->tagged = true;
}

/* An entry above level 0 that was live has changed: what it stood for, and its
 * page in the mirror. */
static void flush_add_upper(
    const struct space *space, struct flush *batch, vaddr_t va, unsigned level)
{
    verso_i_flush_add(batch, va, 1, 0);
    verso_i_flush_add_mirror(space, batch, va, level);
}

/* Each page of the batch by itself. `id`: of a space that is not loaded. */
ALWAYS_INLINE void flush_pages(const struct flush *batch, const unsigned *id)
{
    paging.invalidations += batch->total;
    for (unsigned r = 0; r < batch->ranges; r++) {
        const struct flush_range *range = &batch->range[r];
        vaddr_t va = range->va;
        UNROLL_4
        for (size_t left = range->count; left > 0; left--) {
            if (id == NULL)
                mmu_invalidate(va);
            else
                mmu_invalidate_id(*id, va);
            va += range->step;
        }
    }
}

/* A space that is not loaded has translations only under an identifier. */
static void flush_away(struct space *space, const struct flush *batch)
{
    if (space->id == 0)
        return;
    if (!paging.invalidates_ids)
        space->is_stale = true; /* the next load drops all of it */
    else if (batch->all)
        mmu_invalidate_id_all(space->id);
    else
        flush_pages(batch, &space->id);
}

static void flush_local(struct space *space, const struct flush *batch)
{
    if (!space->is_user && (batch->tagged || paging.kernel_is_tagged))
        paging.kernel_changes++;
    if (space->is_user && pfn_nr(mmu_root()) != pfn_nr(space->root)) {
        flush_away(space, batch);
        return;
    }
    if (!batch->all) {
        flush_pages(batch, NULL);
        return;
    }
    paging.flushes++;
    if (space->is_user) /* nothing of it is global */
        mmu_switch(space->root, space->id, false);
    else
        mmu_invalidate_all();
}

/* An empty table, flushed: to the spares, or back to the frames. One page that
 * comes and goes takes as many as there are levels below the root. */
static void table_release(struct space *space, pfn_t table)
{
    if (space->spare.pages < top_of(space))
        chain_push(&space->spare, table);
    else
        verso_frame_free1(table);
}

/* With one CPU a flush is done when it is submitted. */
uint32_t verso_i_flush_submit_locked(struct space *space, struct flush *batch)
{
    if (batch->total == 0)
        return 0;
    flush_local(space, batch);
    paging.batches--;
    batch->ranges = 0;
    batch->total = 0;
    batch->all = false;
    batch->tagged = false;
    while (batch->tables.pages > 0) {
        space->tables--;
        table_release(space, chain_pop(&batch->tables));
    }
    return flush_count();
}

uint32_t verso_i_flush_submit(struct space *space, struct flush *batch)
{
    space_lock(space);
    uint32_t flush = verso_i_flush_submit_locked(space, batch);
    space_unlock(space);
    return flush;
}

bool verso_i_flush_done(uint32_t flush)
{
    return flush == 0 || (int32_t)(paging.flush - flush) >= 0;
}

/* ---- tables ---- */

/* A frame that nobody sees yet, cleared. */
static void frame_clear(pfn_t pfn)
{
    uintptr_t irq;
    memset(verso_i_tables_scratch_open(pfn, &irq), 0, VERSO_PAGE_SIZE);
    verso_i_tables_scratch_close(pfn, irq);
}

void verso_i_paging_clear(pfn_t pfn)
{
    if (is_direct(pfn))
        memset(direct_address(pfn), 0, VERSO_PAGE_SIZE);
    else
        frame_clear(pfn);
}

static pfn_t table_take(struct space *space)
{
    if (space->spare.pages > 0)
        return chain_pop(&space->spare);
    pfn_t table = verso_frame_alloc1(paging.table_zone);
    if (pfn_is_none(table))
        return PFN_NONE;
    frame_clear(table);
    struct frame *frame = frame_get(table);
    frame->state = FRAME_TABLE;
    frame->live = 0;
    return table;
}

/* All `count` tables or none. */
int verso_i_tables_take(
    struct space *space, size_t count, struct verso_chain *tables)
{
    *tables = (struct verso_chain){PFN_NONE, 0};
    while (tables->pages < count) {
        pfn_t table = table_take(space);
        space_breathe(space); /* a table takes its time to clear */
        if (pfn_is_none(table)) {
            while (tables->pages > 0)
                table_release(space, chain_pop(tables));
            return VERSO_NO_MEMORY;
        }
        chain_push(tables, table);
    }
    return 0;
}

/* Stores the entry of va at `level`, which names a table or nothing. */
void verso_i_tables_put(
    struct space *space, unsigned level, vaddr_t va, struct pte e)
{
    pte_store(pte_at(space, level, va), e);
    if (is_shared(space, level))
        (void)verso_i_tables_visit(va, &e);
}

/* Hooks a cleared table in below va's entry at `level`, which is absent. */
void verso_i_tables_hook(struct space *space, unsigned level, vaddr_t va,
    struct verso_chain *tables, bool user)
{
    pfn_t table = chain_pop(tables);
    frame_get(table)->live = 0;
    verso_i_tables_put(space, level, va, pte_table(table, user));
    live_add(space, level, va, 1);
    space->tables++;
}

/* Unhooks the empty table that holds va's entry at `level`, and those above it
 * that this empties; the flush frees them. */
void verso_i_tables_unhook(
    struct space *space, unsigned level, vaddr_t va, struct flush *batch)
{
    struct frame *above;
    do {
        if (level + 1 == top_of(space) && is_kept(space, va))
            return;
        chain_push(&batch->tables, table_of(space, level, va));
        level++;
        verso_i_tables_put(space, level, va, (struct pte){0});
        flush_add_upper(space, batch, va, level);
        above = frame_get(table_of(space, level, va));
        above->live--;
    } while (level < top_of(space) && above->live == 0 && !is_hosts(above));
}

/* Unhooks the idle table, if there is one. */
NO_INLINE void verso_i_tables_idle_drop(struct space *space)
{
    struct flush batch;
    verso_i_flush_init(&batch, false);
    if (!pfn_is_none(space->idle) && frame_get(space->idle)->live == 0)
        verso_i_tables_unhook(space, 0, space->idle_va, &batch);
    space->idle = PFN_NONE;
    (void)verso_i_flush_submit_locked(space, &batch);
}

/* ---- splitting ---- */

/* Does a boundary at va cut a large page in two? */
static bool cuts_large(const struct space *space, vaddr_t va, unsigned *level)
{
    struct pte *entry;
    *level = verso_i_tables_find(space, va, &entry);
    return *level > 0 && pte_is_live(pte_load(entry)) &&
           (va & (step_of(*level) - 1)) != 0;
}

/* Tables that it takes to make va the end of a page, in a large one at `level`,
 * but for those that `other` takes anyway. */
static size_t tables_to_cut(vaddr_t va, unsigned level, vaddr_t other)
{
    size_t count = 0;
    for (; level > 0 && (va & (step_of(level) - 1)) != 0; level--)
        count += (other & (step_of(level) - 1)) == 0 ||
                 (va ^ other) >> MMU_LEVEL_SHIFT(level) != 0;
    return count;
}

/* Fills a table that nobody sees yet with the parts of a large leaf. */
static void parts_put(pfn_t table, struct pte old, unsigned level)
{
    uintptr_t irq;
    struct pte *part = verso_i_tables_scratch_open(table, &irq);
    for (size_t i = 0; i < MMU_ENTRIES(level - 1); i++)
        pte_store(&part[i], pte_part(old, level, i));
    verso_i_tables_scratch_close(table, irq);
}

/* Parts that may be in use by now were accessed or dirty before. */
static void parts_use(pfn_t table, size_t count, pte_raw_t use)
{
    uintptr_t irq;
    struct pte *part = verso_i_tables_scratch_open(table, &irq);
    for (size_t i = 0; i < count; i++) {
        struct pte e = pte_load(&part[i]);
        while (!pte_replace(&part[i], &e, pte_with_use(e, use))) {
        }
    }
    verso_i_tables_scratch_close(table, irq);
}

/* Replaces a large leaf by a table of its parts, in one store. If the CPU set
 * accessed or dirty meanwhile, the parts are made again. */
void verso_i_tables_split(struct space *space, vaddr_t va, unsigned level,
    struct verso_chain *tables, struct flush *batch)
{
    pfn_t table = chain_pop(tables);
    struct pte *entry = pte_at(space, level, va);
    struct pte old = pte_load(entry);
    bool user = (pte_flags(old) & VERSO_USER) != 0;
    frame_get(table)->live = (uint16_t)MMU_ENTRIES(level - 1);
    do
        parts_put(table, old, level);
    while (!pte_replace(entry, &old, pte_table(table, user)));
    if (is_shared(space, level)) {
        const struct pte e = pte_table(table, user);
        const pte_raw_t use = verso_i_tables_visit(va, &e);
        if (use != 0) /* told by another root, too late for the parts */
            parts_use(table, MMU_ENTRIES(level - 1), use);
    }
    space->tables++;
    flush_add_upper(space, batch, va, level);
}

/*
 * Makes the two ends of a range ends of pages: the plan for unmap and protect,
 * the only one that needs memory. On NO_MEMORY nothing is split, or an end is
 * that could be: what is mapped, and how, is the same.
 */
int verso_i_tables_split_ends(struct space *space, vaddr_t va, size_t pages)
{
    const vaddr_t end[2] = {va, va + bytes_of(pages)};
    struct verso_chain tables;
    struct flush batch;
    size_t needed = 0;
    unsigned level;

    if (cuts_large(space, end[0], &level))
        needed = tables_to_cut(end[0], level, 0);
    if (cuts_large(space, end[1], &level))
        needed += tables_to_cut(end[1], level, end[0]);
    if (needed == 0)
        return 0;
    if (verso_i_tables_take(space, needed, &tables) != 0)
        return VERSO_NO_MEMORY;
    verso_i_flush_init(&batch, false);
    for (unsigned i = 0; i < 2; i++)
        while (cuts_large(space, end[i], &level)) {
            verso_i_tables_split(space, end[i], level, &tables, &batch);
            /* at once: the next look is through the new table's page in the
             * mirror, where the large page's own memory may be cached */
            (void)verso_i_flush_submit_locked(space, &batch);
            space_breathe(space);
        }
    VERSO_ASSERT(tables.pages == 0);
    return 0;
}
