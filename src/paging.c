/* SPDX-License-Identifier: MIT */
/*
 * paging - the page tables, edited through their own mirror.
 *
 * One entry N of the root names the root itself. The walk of an address in
 * slot N then ends one level early, so that every table is a page somewhere in
 * the slot, and the root the last of them. On 32-bit x86, two levels:
 *
 *      root                 address space
 *     +------+
 *     | 0    |---> table 0      N*4M + 0*4K   table of entry 0
 *     | ...  |                  N*4M + i*4K   table of entry i
 *     | N    |--+               N*4M + N*4K   the root
 *     | ...  |  |
 *     +------+<-+
 *
 * So the entry of `va` at level l is at base[l] + (va >> shift(l)) *
 * sizeof(entry), and base[l + 1] = base[l] + (N << shift(top - l - 1)): no
 * walk is needed to find an entry, but the entries above it must be read
 * first, for where one is absent the mirror faults, and where one is a large
 * page the mirror shows data. walk() is the one place that does it. With
 * more levels the walk may go through entry N twice, and end two levels early,
 * and so on; the root is found by going through nothing else.
 * Where addresses are narrower than pointers, their upper bits repeat the
 * highest one that is translated, which may be N's. A root may be several frames
 * in a row: as many entries from N on name them, one each, and all else holds.
 *
 * The other accessor, for kernels that map all tables at a fixed distance from
 * their physical address, follows the entries instead. pte_at() chooses.
 *
 * A change has two halves. The plan checks everything and takes all the tables
 * it needs, cleared before anyone can see them; it may fail, and has changed
 * nothing then. The commit stores the entries, and cannot fail. Then comes one
 * flush. A large page that changes in part is split first (same frame, rights,
 * accessed and dirty), that is flushed, and only then the part changes: two
 * sizes with different rights are never live at once (Intel's application note
 * on TLBs; AMD erratum 383).
 *
 * Invalidation (Intel SDM vol. 3A, 4.10.4): an entry that was live and changes
 * is invalidated by its address; an entry that named a table, or a large page,
 * has its page in the mirror invalidated as well, which is another address. An
 * entry that becomes live needs nothing. Tables are unhooked, then
 * invalidated, then freed.
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
 * Where a root entry stands for much (three levels or more), the tables right
 * below it are made at init for all of the heap, and stay though they be empty:
 * all roots can then share them (is_kept). Elsewhere, as with two levels,
 * tables come and go.
 *
 * Invariants (verso_i_paging_check):
 *   1. entry N of the root names the root, and users may not use it; or it is
 *      0, where there is no mirror.
 *   2. an entry that names a table names a frame in state TABLE.
 *   3. the live count of a table is the number of its entries that are not 0.
 *   4. no table is empty but the root's and those that are kept.
 *   5. an entry that names a table has bit 8 clear: it is "global" in a leaf,
 *      and the mirror shows it as a leaf.
 *   6. the tables found by walking are as many as were counted.
 *   7. a frame of the array is mapped with the cache type it has.
 *   8. no batch that was given something is left unsubmitted.
 *   9. a page is global if users cannot reach it and the machine can.
 *
 * Lock: one a space. Cost: map and unmap are a loop over entries of one table
 * at a time; plan and flush are paid once a call.
 *
 * Source: Intel SDM vol. 3A, chapter 4; the mirror is widely known as
 * "recursive page tables". We differ from the usual in clearing a table
 * before it is hooked in, and in counting live entries, so that tables go.
 */
#include "paging.h"

#include <mmu.h>

/* Frames that a root takes, and entries in one of them. */
#define ROOT_PAGES    (MMU_ROOT_FRAMES + MMU_ROOT_BESIDE)
#define FRAME_ENTRIES (VERSO_PAGE_SIZE / sizeof(struct pte))

/* Keys: (s) the space's lock; (c) constant after init. */
struct space {
    struct lock lock;
    pfn_t root;           /* (c) its first frame */
    unsigned top;         /* (c) level of the root */
    bool direct;          /* (c) accessor: the direct map, or the mirror */
    bool has_mirror;      /* (c) */
    unsigned mirror_slot; /* (c) nobody else's, even so */
    vaddr_t mirror_first, mirror_last; /* (c) its bytes */
    vaddr_t base[MMU_LEVELS_MAX]; /* (c) where the mirror shows each level */
    size_t tables;                /* (s) the root included, the spare not */
    struct verso_chain spare;     /* (s) tables, all entries 0 */
};

/* All of it constant after init, but for the flushes: lock of the space. */
static struct {
    struct space kernel;
    struct frame *frames; /* the array, by frame number */
    size_t frame_count;
    vaddr_t direct_offset;
    uint64_t direct_bytes;
    vaddr_t window, window_end; /* one page a CPU, to reach any frame */
    bool on;
    bool large[MMU_LEVELS_MAX];
    bool global;             /* pages that users cannot reach are */
    bool exec;               /* execution can be forbidden */
    size_t kept, kept_count; /* entries of the root: their tables stay */
    unsigned table_zone, root_zone;
    uint32_t flush;   /* number of the last one submitted, and done */
    unsigned batches; /* that hold something, not submitted yet */
    size_t invalidations, flushes;
} paging VERSO_STATE;

/* A constant where the machine leaves no choice. */
ALWAYS_INLINE unsigned top_of(const struct space *space)
{
    return MMU_LEVELS_MIN == MMU_LEVELS_MAX ? MMU_LEVELS_MAX - 1 : space->top;
}

/* ---- frames ---- */

static struct frame *frame_find(pfn_t pfn)
{
    return pfn_nr(pfn) < paging.frame_count ? &paging.frames[pfn_nr(pfn)]
                                            : NULL;
}

/* The frame of a table: always in the array. */
static struct frame *frame_get(pfn_t pfn)
{
    VERSO_ASSERT(pfn_nr(pfn) < paging.frame_count);
    return &paging.frames[pfn_nr(pfn)];
}

static void *direct_address(pfn_t pfn)
{
    return (void *)(paging.direct_offset + bytes_of(pfn_nr(pfn)));
}

static bool is_direct(pfn_t pfn)
{
    return !paging.on || ((uint64_t)pfn_nr(pfn) + 1) << VERSO_PAGE_SHIFT <=
                             paging.direct_bytes;
}

static void chain_push(struct verso_chain *chain, pfn_t pfn)
{
    frame_get(pfn)->link = pfn_nr(chain->first);
    chain->first = pfn;
    chain->pages++;
}

static pfn_t chain_pop(struct verso_chain *chain)
{
    pfn_t pfn = chain->first;
    chain->first = pfn_make(frame_get(pfn)->link);
    chain->pages--;
    return pfn;
}

/* ---- addresses ---- */

/* Bits of an address above those that the tables translate, the root being at
 * level `top`; none where it is as wide as a pointer. They repeat the highest
 * that is translated. */
ALWAYS_INLINE unsigned unused_bits(unsigned top)
{
    return 8 * (unsigned)sizeof(vaddr_t) - MMU_VA_BITS(top + 1);
}

ALWAYS_INLINE vaddr_t translated(unsigned top, vaddr_t va)
{
    return va << unused_bits(top) >> unused_bits(top);
}

ALWAYS_INLINE vaddr_t extended(unsigned top, vaddr_t va)
{
    unsigned unused = unused_bits(top);
    return (vaddr_t)((intptr_t)(va << unused) >> unused);
}

/* Is it an address: not in the hole between the lower and the upper half? */
ALWAYS_INLINE bool is_address(unsigned top, vaddr_t va)
{
    return unused_bits(top) == 0 || va == extended(top, va);
}

/* Are all pages of a range addresses? The hole is not in the middle, either. */
ALWAYS_INLINE bool are_addresses(unsigned top, vaddr_t va, vaddr_t last)
{
    return unused_bits(top) == 0 ||
           (is_address(top, va) && (intptr_t)(va ^ last) >= 0 &&
               is_address(top, last));
}

/* For what goes through all addresses: past the hole, if va is in it. */
static vaddr_t skip_hole(const struct space *space, vaddr_t va)
{
    const unsigned top = top_of(space);
    if (is_address(top, va))
        return va;
    return extended(top, translated(top, ~(vaddr_t)0) / 2 + 1);
}

/* ---- entries ---- */

static vaddr_t step_of(unsigned level)
{
    return (vaddr_t)1 << MMU_LEVEL_SHIFT(level);
}

static size_t index_of(vaddr_t va, unsigned level)
{
    return (va >> MMU_LEVEL_SHIFT(level)) & (MMU_ENTRIES(level) - 1);
}

/* Entries from that of va to the end of its table, but not beyond `pages`. */
static size_t run_of(vaddr_t va, unsigned level, size_t pages)
{
    size_t room = MMU_ENTRIES(level) - index_of(va, level);
    size_t wanted = pages >> (MMU_BITS * level);
    return wanted < room ? wanted : room;
}

/* Pages from va to the end of what its entry at `level` covers. */
static size_t pages_to_end(vaddr_t va, unsigned level)
{
    return (step_of(level) - (va & (step_of(level) - 1))) >> VERSO_PAGE_SHIFT;
}

/* A constant where all machines of a port are alike. */
ALWAYS_INLINE bool exec_is_enforced(void)
{
    return MMU_EXEC_ASKED ? paging.exec : MMU_EXEC_ENFORCED;
}

/* Less what this machine does not know. */
ALWAYS_INLINE pte_raw_t known(pte_raw_t raw)
{
    return exec_is_enforced() ? raw : pte_executable(raw);
}

ALWAYS_INLINE pte_raw_t leaf_bits(unsigned level, unsigned flags)
{
    return known(pte_bits(level, flags, paging.global));
}

ALWAYS_INLINE struct pte leaf_of(pfn_t pfn, unsigned level, unsigned flags)
{
    return pte_leaf(pfn, leaf_bits(level, flags));
}

static NO_INLINE struct pte *pte_at_direct(
    const struct space *space, unsigned level, vaddr_t va)
{
    pfn_t table = space->root;
    for (unsigned l = top_of(space); l > level; l--) {
        struct pte *entries = direct_address(table);
        table = pte_pfn(pte_load(&entries[index_of(va, l)]));
    }
    return (struct pte *)direct_address(table) + index_of(va, level);
}

ALWAYS_INLINE struct pte *pte_at_mirror(
    const struct space *space, unsigned level, vaddr_t va, unsigned top)
{
    return (struct pte *)space->base[level] +
           (translated(top, va) >> MMU_LEVEL_SHIFT(level));
}

/* The entry of va at a level. Every entry above it names a table. */
ALWAYS_INLINE struct pte *pte_at(
    const struct space *space, unsigned level, vaddr_t va)
{
    if (unlikely(space->direct))
        return pte_at_direct(space, level, va);
    return pte_at_mirror(space, level, va, top_of(space));
}

/* Where a walk ends, and what stands there. */
struct place {
    struct pte *entry;
    struct pte e;
    unsigned level;
};

/* The walk: down from the root to the entry that is no table. `top` is a
 * constant where it is inlined. */
ALWAYS_INLINE struct place walk(
    const struct space *space, vaddr_t va, unsigned top)
{
    struct place p;
    UNROLL_4
    for (p.level = top; p.level > 0; p.level--) {
        p.entry = pte_at_mirror(space, p.level, va, top);
        p.e = pte_load(p.entry);
        if (!pte_is_table(p.e))
            return p;
    }
    p.entry = pte_at_mirror(space, 0, va, top);
    p.e = pte_load(p.entry);
    return p;
}

/* The same through the direct map: each entry says where the next table is. */
static NO_INLINE struct place walk_direct(const struct space *space, vaddr_t va)
{
    struct place p = {.e = pte_leaf(space->root, 0)};
    for (p.level = top_of(space);; p.level--) {
        struct pte *table = direct_address(pte_pfn(p.e));
        p.entry = table + index_of(va, p.level);
        p.e = pte_load(p.entry);
        if (p.level == 0 || !pte_is_table(p.e))
            return p;
    }
}

/* Inlined once for each number of levels, so that shifts are constants. */
ALWAYS_INLINE struct place find_place(const struct space *space, vaddr_t va)
{
    if (unlikely(space->direct))
        return walk_direct(space, va);
    if (likely(top_of(space) == MMU_LEVELS_MIN - 1))
        return walk(space, va, MMU_LEVELS_MIN - 1);
    return walk(space, va, MMU_LEVELS_MAX - 1);
}

/* The same where it is not worth its size. */
static NO_INLINE unsigned find_entry(
    const struct space *space, vaddr_t va, struct pte **entry)
{
    struct place p = find_place(space, va);
    *entry = p.entry;
    return p.level;
}

/* Is all of the range in the one table of pages that the walk led to? */
ALWAYS_INLINE bool is_one_run(struct place p, vaddr_t va, size_t pages)
{
    return p.level == 0 && pages <= MMU_ENTRIES(0) - index_of(va, 0);
}

/* The frame of the table that holds the entry of va at a level. */
static pfn_t table_of(const struct space *space, unsigned level, vaddr_t va)
{
    if (level == top_of(space))
        return pfn_add(space->root,
            index_of(va, level) * sizeof(struct pte) >> VERSO_PAGE_SHIFT);
    return pte_pfn(pte_load(pte_at(space, level + 1, va)));
}

static void live_add(
    struct space *space, unsigned level, vaddr_t va, size_t count)
{
    struct frame *table = frame_get(table_of(space, level, va));
    table->live = (uint16_t)(table->live + count);
}

static vaddr_t mirror_start(const struct space *space)
{
    return extended(top_of(space),
        (vaddr_t)space->mirror_slot << MMU_LEVEL_SHIFT(top_of(space)));
}

static bool is_mirror(const struct space *space, vaddr_t va, size_t pages)
{
    return va <= space->mirror_last &&
           va + bytes_of(pages) - 1 >= mirror_start(space);
}

/* The page that shows, in the mirror, the table named by va's entry at this
 * level. */
static vaddr_t mirror_page(
    const struct space *space, unsigned level, vaddr_t va)
{
    vaddr_t at = (vaddr_t)pte_at_mirror(space, level - 1, va, top_of(space));
    return round_down(at, VERSO_PAGE_SIZE);
}

/* ---- flushing ---- */

void verso_i_flush_init(struct flush *batch, bool collect)
{
    batch->ranges = 0;
    batch->total = 0;
    batch->all = false;
    batch->collect = collect;
    batch->frames = (struct verso_chain){PFN_NONE, 0};
    batch->tables = (struct verso_chain){PFN_NONE, 0};
}

static void flush_add(
    struct flush *batch, vaddr_t va, size_t count, unsigned level)
{
    paging.batches += batch->total == 0;
    batch->total += count;
    if (batch->total > VERSO_FLUSH_CEILING || batch->ranges == FLUSH_RANGES)
        batch->all = true;
    if (batch->all)
        return;
    batch->range[batch->ranges++] =
        (struct flush_range){va, count, step_of(level)};
}

/* An entry above level 0 that was live has changed: what it stood for, and its
 * page in the mirror. */
static void flush_add_upper(
    const struct space *space, struct flush *batch, vaddr_t va, unsigned level)
{
    flush_add(batch, va, 1, 0);
    flush_add(batch, mirror_page(space, level, va), 1, 0);
}

static void flush_local(const struct flush *batch)
{
    if (batch->all) {
        paging.flushes++;
        mmu_invalidate_all();
        return;
    }
    paging.invalidations += batch->total;
    for (unsigned r = 0; r < batch->ranges; r++) {
        const struct flush_range *range = &batch->range[r];
        vaddr_t va = range->va;
        for (size_t left = range->count; left > 0; left--) {
            mmu_invalidate(va);
            va += range->step;
        }
    }
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
static uint32_t flush_submit_locked(struct space *space, struct flush *batch)
{
    if (batch->total == 0)
        return 0;
    flush_local(batch);
    paging.batches--;
    batch->ranges = 0;
    batch->total = 0;
    batch->all = false;
    while (batch->tables.pages > 0) {
        space->tables--;
        table_release(space, chain_pop(&batch->tables));
    }
    if (++paging.flush == 0) /* 0 is "none" */
        paging.flush = 1;
    return paging.flush;
}

uint32_t verso_i_flush_submit(struct space *space, struct flush *batch)
{
    lock_take(&space->lock);
    uint32_t flush = flush_submit_locked(space, batch);
    lock_drop(&space->lock);
    return flush;
}

bool verso_i_flush_done(uint32_t flush)
{
    return flush == 0 || (int32_t)(paging.flush - flush) >= 0;
}

/* ---- tables ---- */

/* A frame that is not mapped, to be written to: directly, or in this CPU's
 * window, whose entry is always live, so that its table stays. */
static void *window_open(pfn_t pfn)
{
    if (is_direct(pfn))
        return direct_address(pfn);
    vaddr_t va = paging.window + bytes_of(cpu_number());
    pte_store(pte_at(&paging.kernel, 0, va), leaf_of(pfn, 0, VERSO_RW));
    return (void *)va;
}

static void window_close(pfn_t pfn)
{
    if (is_direct(pfn))
        return;
    vaddr_t va = paging.window + bytes_of(cpu_number());
    pte_store(pte_at(&paging.kernel, 0, va), leaf_of(PFN_NONE, 0, 0));
    mmu_invalidate(va);
    paging.invalidations++;
}

static void clear_locked(pfn_t pfn)
{
    memset(window_open(pfn), 0, VERSO_PAGE_SIZE);
    window_close(pfn);
}

void verso_i_paging_clear(pfn_t pfn)
{
    if (is_direct(pfn)) {
        memset(direct_address(pfn), 0, VERSO_PAGE_SIZE);
        return;
    }
    lock_take(&paging.kernel.lock);
    clear_locked(pfn);
    lock_drop(&paging.kernel.lock);
}

static pfn_t table_take(struct space *space)
{
    if (space->spare.pages > 0)
        return chain_pop(&space->spare);
    pfn_t table = verso_frame_alloc1(paging.table_zone);
    if (pfn_is_none(table))
        return PFN_NONE;
    clear_locked(table);
    struct frame *frame = frame_get(table);
    frame->state = FRAME_TABLE;
    frame->live = 0;
    return table;
}

/* A root without entries, and what the machine wants beside it, in a row. */
static pfn_t root_take(struct space *space)
{
    if (ROOT_PAGES == 1)
        return table_take(space);
    const unsigned zone = paging.table_zone < paging.root_zone
                              ? paging.table_zone
                              : paging.root_zone;
    const pfn_t root = verso_frame_alloc_run(ROOT_PAGES, zone);
    if (pfn_is_none(root))
        return PFN_NONE;
    for (size_t i = 0; i < ROOT_PAGES; i++) {
        struct frame *frame = frame_get(pfn_add(root, i));
        clear_locked(pfn_add(root, i));
        frame->state = FRAME_TABLE;
        frame->live = 0;
    }
    if (MMU_ROOT_BESIDE != 0) {
        mmu_root_beside(window_open(pfn_add(root, MMU_ROOT_FRAMES)), root);
        window_close(pfn_add(root, MMU_ROOT_FRAMES));
    }
    return root;
}

/* All `count` tables or none. */
static int tables_take(
    struct space *space, size_t count, struct verso_chain *tables)
{
    *tables = (struct verso_chain){PFN_NONE, 0};
    while (tables->pages < count) {
        pfn_t table = table_take(space);
        if (pfn_is_none(table)) {
            while (tables->pages > 0)
                table_release(space, chain_pop(tables));
            return VERSO_NO_MEMORY;
        }
        chain_push(tables, table);
    }
    return 0;
}

/* Hooks a cleared table in below va's entry at `level`, which is absent. */
static void table_hook(struct space *space, unsigned level, vaddr_t va,
    struct verso_chain *tables, bool user)
{
    pfn_t table = chain_pop(tables);
    frame_get(table)->live = 0;
    pte_store(pte_at(space, level, va), pte_table(table, user));
    live_add(space, level, va, 1);
    space->tables++;
}

/* Does the table under va's entry in the root stay, though it be empty? So that
 * every root can name it, whoever maps the first page. */
static bool is_kept(const struct space *space, vaddr_t va)
{
    return MMU_KEEPS_UPPER &&
           index_of(va, top_of(space)) - paging.kept < paging.kept_count;
}

/* `count` entries of the table that holds va's entry at `level` went away. An
 * empty table is unhooked, and so on upwards; the flush frees them. */
static void live_drop(struct space *space, unsigned level, vaddr_t va,
    size_t count, struct flush *batch)
{
    for (; level < top_of(space); level++, count = 1) {
        pfn_t pfn = table_of(space, level, va);
        struct frame *table = frame_get(pfn);
        VERSO_ASSERT(table->live >= count);
        table->live = (uint16_t)(table->live - count);
        if (table->live > 0)
            return;
        if (level + 1 == top_of(space) && is_kept(space, va))
            return;
        pte_store(pte_at(space, level + 1, va), (struct pte){0});
        flush_add_upper(space, batch, va, level + 1);
        chain_push(&batch->tables, pfn);
    }
    struct frame *root = frame_get(table_of(space, level, va));
    root->live = (uint16_t)(root->live - count);
}

/* ---- splitting ---- */

/* Does a boundary at va cut a large page in two? */
static bool cuts_large(const struct space *space, vaddr_t va, unsigned *level)
{
    struct pte *entry;
    *level = find_entry(space, va, &entry);
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

/* Replaces a large leaf by a table of its parts, in one store. If the CPU set
 * accessed or dirty meanwhile, the parts are made again. */
static void split_at(struct space *space, vaddr_t va, unsigned level,
    struct verso_chain *tables, struct flush *batch)
{
    pfn_t table = chain_pop(tables);
    struct pte *entry = pte_at(space, level, va);
    struct pte old = pte_load(entry);
    bool user = (pte_flags(old) & VERSO_USER) != 0;
    frame_get(table)->live = (uint16_t)MMU_ENTRIES(level - 1);
    do {
        struct pte *part = window_open(table);
        for (size_t i = 0; i < MMU_ENTRIES(level - 1); i++)
            pte_store(&part[i], pte_part(old, level, i));
        window_close(table);
    } while (!pte_replace(entry, &old, pte_table(table, user)));
    space->tables++;
    flush_add_upper(space, batch, va, level);
}

/*
 * Makes the two ends of a range ends of pages: the plan for unmap and protect,
 * the only one that needs memory. On NO_MEMORY nothing is split, or an end is
 * that could be: what is mapped, and how, is the same.
 */
static int split_ends(struct space *space, vaddr_t va, size_t pages)
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
    if (tables_take(space, needed, &tables) != 0)
        return VERSO_NO_MEMORY;
    verso_i_flush_init(&batch, false);
    for (unsigned i = 0; i < 2; i++)
        while (cuts_large(space, end[i], &level)) {
            split_at(space, end[i], level, &tables, &batch);
            /* at once: the next look is through the new table's page in the
             * mirror, where the large page's own memory may be cached */
            (void)flush_submit_locked(space, &batch);
        }
    VERSO_ASSERT(tables.pages == 0);
    return 0;
}

/* ---- ranges: what every entry point checks ---- */

/* The last page is nobody's, for `start + size` would be 0; the mirror and the
 * windows are ours. */
ALWAYS_INLINE int range_check(
    const struct space *space, vaddr_t va, size_t pages)
{
    if (!is_page_range(va, pages))
        return VERSO_BAD_ARG;
    vaddr_t last =
        va + ((pages - 1) << VERSO_PAGE_SHIFT) + (VERSO_PAGE_SIZE - 1);
    if (!are_addresses(top_of(space), va, last))
        return VERSO_BAD_ARG;
    if (last == UINTPTR_MAX ||
        (va <= space->mirror_last && last >= space->mirror_first) ||
        (va < paging.window_end && last >= paging.window))
        return VERSO_DENIED;
    return 0;
}

/* Of a caller's own flags and frames: is there such a cache type, and so many
 * frames from the first on, for the machine to address? */
static bool source_is_valid(pfn_t first, size_t pages, unsigned flags)
{
    return cache_is_valid(flags) &&
           (uint64_t)pfn_nr(first) + pages <= (uint64_t)PFN_LAST + 1;
}

/* ---- map ---- */

/* A map call under way: what is left of the range, and of the frames. */
struct map_state {
    vaddr_t va;
    size_t pages;
    unsigned flags;
    struct paging_source source;
};

/* The largest leaf that may start here: aligned, whole, frames in a row. */
static unsigned leaf_level(const struct space *space, const struct map_state *m)
{
    unsigned level = 0;
    if (m->source.list != NULL || m->source.chained)
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
    return pfn_nr(pfn) < paging.frame_count &&
           unlikely(paging.frames[pfn_nr(pfn)].cache != cache);
}

/* The same for a list. Write-back is 0: nearly always, and OR-ing is enough. */
static bool list_differs(const pfn_t *list, size_t pages, unsigned cache)
{
    const struct frame *const frames = paging.frames;
    const size_t limit = paging.frame_count;
    uint8_t differs = 0; /* as wide as frame.cache: one instruction */
    if (cache != 0) {
        for (size_t i = 0; i < pages; i++)
            if (cache_differs(list[i], cache))
                return true;
        return false;
    }
    UNROLL_8
    for (const pfn_t *end = list + pages; list < end; list++)
        if (likely(pfn_nr(*list) < limit))
            differs = (uint8_t)(differs | frames[pfn_nr(*list)].cache);
    return differs != 0;
}

/* The same for frames in a row; those beyond the array have no type. */
static bool row_differs(pfn_t first, size_t pages, unsigned cache)
{
    const size_t start = pfn_nr(first);
    unsigned differs = 0;
    if (start >= paging.frame_count)
        return false;
    if (pages > paging.frame_count - start)
        pages = paging.frame_count - start;
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
    unsigned cache = (m->flags & VERSO_CACHE_MASK) >> VERSO_CACHE_SHIFT;
    struct paging_source *s = &m->source;
    bool differs = false;
    if (s->list != NULL) {
        differs = list_differs(s->list, pages, cache);
        s->list += pages;
    } else if (!s->chained) { /* else back has given them their type */
        differs = row_differs(s->first, pages, cache);
        s->first = pfn_add(s->first, pages);
    }
    m->va += bytes_of(pages);
    m->pages -= pages;
    return !differs;
}

/* Stores `count` leaves, and moves the state over them. */
ALWAYS_INLINE void source_store(
    struct map_state *m, struct pte *entry, size_t count, unsigned level)
{
    const pte_raw_t bits = leaf_bits(level, m->flags);
    struct paging_source *s = &m->source;
    size_t each = MMU_LEVEL_PAGES(level);
    if (s->list != NULL) {
        const pfn_t *list = s->list;
        UNROLL_8
        for (size_t i = 0; i < count; i++)
            pte_store(&entry[i], pte_leaf(list[i], bits));
        s->list = list + count;
    } else if (s->chained) {
        uint32_t owner = (uint32_t)(m->va >> VERSO_PAGE_SHIFT);
        UNROLL_4
        for (size_t i = 0; i < count; i++) {
            struct frame *frame = frame_get(s->first);
            pte_store(&entry[i], pte_leaf(s->first, bits));
            s->first = pfn_make(frame->link);
            frame->link = owner++;
        }
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
static int map_plan(
    const struct space *space, struct map_state m, size_t *tables)
{
    vaddr_t planned[MMU_LEVELS_MAX];
    *tables = 0;
    for (unsigned l = 0; l <= top_of(space); l++)
        planned[l] = 1;
    while (m.pages > 0) {
        struct pte *entry;
        unsigned level = find_entry(space, m.va, &entry);
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
    }
    return 0;
}

/* Users reach a page only if every entry on the way allows it. More rights
 * need no flush. */
static void allow_user(struct space *space, vaddr_t va)
{
    for (unsigned level = top_of(space);; level--) {
        struct pte *entry = pte_at(space, level, va);
        struct pte e = pte_load(entry);
        if (level == 0 || !pte_is_live(e) || pte_is_leaf(e, level))
            return;
        if ((pte_flags(e) & VERSO_USER) == 0)
            pte_store(entry, pte_table(pte_pfn(e), true));
    }
}

static void map_commit(
    struct space *space, struct map_state m, struct verso_chain *tables)
{
    bool user = (m.flags & VERSO_USER) != 0;
    while (m.pages > 0) {
        struct pte *entry;
        unsigned level = find_entry(space, m.va, &entry);
        unsigned leaf = level == 0 ? 0 : leaf_level(space, &m);
        for (; level > leaf; level--)
            table_hook(space, level, m.va, tables, user);
        if (user)
            allow_user(space, m.va);
        entry = pte_at(space, level, m.va);
        size_t count = run_of(m.va, level, m.pages);
        live_add(space, level, m.va, count);
        source_store(&m, entry, count, level);
    }
}

/* All in one table that is there: nothing can be short. */
static NO_INLINE int map_run(
    struct space *space, struct pte *entry, const struct map_state *m)
{
    struct map_state plan = *m;
    if (any_live(space, 0, m->va, m->pages))
        return VERSO_EXISTS;
    if (!source_skip(&plan, m->pages))
        return VERSO_DENIED;
    if (m->flags & VERSO_USER)
        allow_user(space, m->va);
    live_add(space, 0, m->va, m->pages);
    plan = *m;
    source_store(&plan, entry, m->pages, 0);
    return 0;
}

static NO_INLINE int map_many(struct space *space, const struct map_state *m)
{
    struct verso_chain tables;
    size_t needed;
    struct place p = find_place(space, m->va);
    if (is_one_run(p, m->va, m->pages))
        return map_run(space, p.entry, m);
    int err = map_plan(space, *m, &needed);
    if (err == 0)
        err = tables_take(space, needed, &tables);
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
    if (cache_differs(pfn, (m->flags & VERSO_CACHE_MASK) >> VERSO_CACHE_SHIFT))
        return VERSO_DENIED;
    if (m->flags & VERSO_USER)
        allow_user(space, m->va);
    live_add(space, 0, m->va, 1);
    pte_store(p.entry, leaf_of(pfn, 0, m->flags));
    return 0;
}

int verso_i_paging_map(struct space *space, vaddr_t va, size_t pages,
    unsigned flags, const struct paging_source *source)
{
    const struct map_state m = {va, pages, flags, *source};
    int err = range_check(space, va, pages);
    if (err == 0 && rights_are_refused(flags))
        err = VERSO_DENIED;
    if (err != 0)
        return err;
    lock_take(&space->lock);
    err = pages == 1 ? map_one(space, &m) : map_many(space, &m);
    lock_drop(&space->lock);
    return err;
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
 * end, for frames in a row are freed fastest if the chain goes up with them. */
ALWAYS_INLINE void clear_run(
    struct pte *entry, size_t count, struct cleared *out, bool collect)
{
    struct frame *const frames = paging.frames;
    const size_t limit = paging.frame_count;
    size_t i = count, first = 0, last, live = 0, collected = 0;
    uint32_t chain = pfn_nr(out->frames.first);
    while (i > 0 && !pte_is_live(pte_load(&entry[i - 1])))
        i--;
    last = i - 1;
    UNROLL_4
    while (i-- > 0) {
        struct pte e = pte_load(&entry[i]);
        if (!pte_is_live(e))
            continue;
        pte_store(&entry[i], (struct pte){0});
        first = i;
        live++;
        uint32_t nr = pfn_nr(pte_pfn(e));
        if (collect && likely(nr < limit)) {
            frames[nr].link = chain;
            chain = nr;
            collected++;
        }
    }
    *out = (struct cleared){
        live, first, last, {pfn_make(chain), out->frames.pages + collected}};
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
    if (level == 0 && batch->collect)
        clear_run(entry, count, &cleared, true);
    else
        clear_run(entry, count, &cleared, false);
    if (level == 0)
        batch->frames = cleared.frames;
    if (cleared.count > 0) {
        flush_add(batch, va + cleared.first * step_of(level),
            cleared.last - cleared.first + 1, level);
        if (level > 0)
            flush_add(batch, mirror_page(space, level, va), 1, 0);
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
    lock_take(&space->lock);
    if (is_one_run(find_place(space, va), va, pages)) {
        (void)unmap_run(space, va, pages, 0, batch);
        lock_drop(&space->lock);
        return 0;
    }
    err = split_ends(space, va, pages);
    while (err == 0 && pages > 0) {
        struct pte *entry;
        unsigned level = find_entry(space, va, &entry);
        /* an absent upper entry may cover more than the range, on both sides */
        size_t passed = pages_to_end(va, level);
        if (level == 0 || pte_is_live(pte_load(entry)))
            passed = unmap_run(space, va, pages, level, batch);
        if (passed > pages)
            passed = pages;
        va += bytes_of(passed);
        pages -= passed;
    }
    lock_drop(&space->lock);
    return err;
}

/* ---- protect, harvest, query ---- */

/* Is every entry live in the table of pages that is there for va? */
static bool is_full(const struct space *space, vaddr_t va)
{
    return frame_get(table_of(space, 0, va))->live == MMU_ENTRIES(0);
}

/* Is every page of the range mapped? */
static bool all_mapped(const struct space *space, vaddr_t va, size_t pages)
{
    while (pages > 0) {
        struct pte *entry;
        unsigned level = find_entry(space, va, &entry);
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
    lock_take(&space->lock);
    err = holes || all_mapped(space, va, pages) ? split_ends(space, va, pages)
                                                : VERSO_ABSENT;
    while (err == 0 && pages > 0) {
        struct pte *entry;
        unsigned level = find_entry(space, va, &entry);
        size_t count = level == 0 ? run_of(va, 0, pages) : 1;
        pte_raw_t bits = leaf_bits(level, rights);
        pte_raw_t changed = level == 0 && is_full(space, va)
                                ? protect_run(entry, count, bits, true)
                                : protect_run(entry, count, bits, false);
        /* an entry that had no rights need not be flushed, but may be */
        bool lowered =
            (changed & pte_flush_bits(pte_leaf(PFN_NONE, bits))) != 0;
        if (rights & VERSO_USER)
            allow_user(space, va);
        if (lowered)
            flush_add(&batch, va, count, level);
        if (lowered && level > 0)
            flush_add(&batch, mirror_page(space, level, va), 1, 0);
        size_t passed = pages_to_end(va, level);
        if (level == 0)
            passed = count;
        if (passed > pages)
            passed = pages;
        va += bytes_of(passed);
        pages -= passed;
    }
    (void)flush_submit_locked(space, &batch);
    lock_drop(&space->lock);
    return err;
}

/* Takes accessed and dirty from the entry of va, which may be large. */
static unsigned char harvest_at(
    struct space *space, vaddr_t va, struct flush *batch)
{
    struct pte *entry;
    unsigned level = find_entry(space, va, &entry);
    struct pte old = pte_load(entry);
    if (!pte_is_live(old))
        return 0;
    while (!pte_replace(entry, &old, pte_without_use(old))) {
    }
    if (pte_needs_flush(old, pte_without_use(old))) {
        flush_add(batch, va, 1, level);
        if (level > 0)
            flush_add(batch, mirror_page(space, level, va), 1, 0);
    }
    return (unsigned char)((pte_is_accessed(old) ? 1 : 0) |
                           (pte_is_dirty(old) ? 2 : 0));
}

int verso_harvest(vaddr_t va, size_t pages, unsigned char *bits)
{
    struct space *space = &paging.kernel;
    struct flush batch;
    int err = range_check(space, va, pages);
    if (err != 0)
        return err;
    verso_i_flush_init(&batch, false);
    lock_take(&space->lock);
    for (size_t i = 0; i < pages;) {
        vaddr_t at = va + bytes_of(i);
        struct pte *entry;
        unsigned level = find_entry(space, at, &entry);
        unsigned char use = harvest_at(space, at, &batch);
        do
            bits[i++] = use;
        while (i < pages && ((va + bytes_of(i)) & (step_of(level) - 1)) != 0);
    }
    (void)flush_submit_locked(space, &batch);
    lock_drop(&space->lock);
    return 0;
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
ALWAYS_INLINE bool query_page(const struct space *space, vaddr_t va,
    unsigned top, struct verso_mapping *m)
{
    const struct place p = walk(space, va, top);
    if (unlikely(p.level > 0 || !pte_is_live(p.e) || !is_address(top, va)))
        return false;
    mapping_fill(m, va, p.e, 0);
    return true;
}

NO_INLINE int verso_i_paging_query(
    struct space *space, vaddr_t va, struct verso_mapping *mapping)
{
    lock_take(&space->lock);
    int err = query(space, va, mapping);
    lock_drop(&space->lock);
    return err;
}

int verso_i_paging_peek(vaddr_t va, struct verso_mapping *mapping)
{
    if (!paging.on)
        return VERSO_ABSENT;
    return query(&paging.kernel, va, mapping);
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

int verso_map(vaddr_t va, pfn_t first, size_t pages, unsigned flags)
{
    struct paging_source source = {NULL, first, false};
    if (!source_is_valid(first, pages, flags))
        return VERSO_BAD_ARG;
    return verso_i_paging_map(&paging.kernel, va, pages, flags, &source);
}

int verso_map_frames(
    vaddr_t va, const pfn_t *frames, size_t pages, unsigned flags)
{
    struct paging_source source = {frames, PFN_NONE, false};
    if (!source_is_valid(PFN_NONE, 0, flags))
        return VERSO_BAD_ARG;
    return verso_i_paging_map(&paging.kernel, va, pages, flags, &source);
}

int verso_unmap(vaddr_t va, size_t pages)
{
    struct flush batch;
    verso_i_flush_init(&batch, false);
    int err = verso_i_paging_unmap(&paging.kernel, va, pages, &batch);
    (void)verso_i_flush_submit(&paging.kernel, &batch);
    return err;
}

int verso_protect(vaddr_t va, size_t pages, unsigned rights)
{
    return verso_i_paging_protect(&paging.kernel, va, pages, rights, false);
}

int verso_query(vaddr_t va, struct verso_mapping *mapping)
{
    const unsigned low = MMU_LEVELS_MIN - 1, high = MMU_LEVELS_MAX - 1;
    struct space *space = &paging.kernel;
    if (unlikely(space->direct || !lock_try(&space->lock)))
        return verso_i_paging_query(space, va, mapping);
    bool done = likely(top_of(space) == low)
                    ? query_page(space, va, low, mapping)
                    : query_page(space, va, high, mapping);
    lock_drop(&space->lock);
    return likely(done) ? 0 : verso_i_paging_query(space, va, mapping);
}

void verso_paging_stats(struct verso_paging_stats *stats)
{
    stats->spare = paging.kernel.spare.pages;
    stats->tables = paging.kernel.tables + stats->spare;
    stats->invalidations = paging.invalidations;
    stats->flushes = paging.flushes;
}

bool verso_i_paging_drain(void)
{
    struct space *space = &paging.kernel;
    lock_take(&space->lock);
    struct verso_chain spare = space->spare;
    space->spare = (struct verso_chain){PFN_NONE, 0};
    lock_drop(&space->lock);
    const bool any = spare.pages > 0;
    while (spare.pages > 0)
        verso_frame_free1(chain_pop(&spare));
    return any;
}

/* ---- start ---- */

static void mirror_init(struct space *space, unsigned slot)
{
    space->mirror_slot = slot;
    space->mirror_first = mirror_start(space);
    space->mirror_last =
        mirror_start(space) + MMU_MIRROR_SLOTS * step_of(top_of(space)) - 1;
    space->base[0] = mirror_start(space);
    for (unsigned l = 0; l < space->top; l++)
        space->base[l + 1] = space->base[l] + ((vaddr_t)slot << MMU_LEVEL_SHIFT(
                                                   space->top - l - 1));
}

static void mirror_check(
    const struct space *space, const struct verso_boot *boot)
{
    vaddr_t start = mirror_start(space);
    unsigned slot = space->mirror_slot;
    VERSO_VERIFY(slot + MMU_MIRROR_SLOTS < MMU_ENTRIES(space->top),
        "paging: mirror slot %u is the last or beyond (%u entries)", slot,
        MMU_ENTRIES(space->top));
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
        fixed->name, (fixed->flags & VERSO_CACHE_MASK) >> VERSO_CACHE_SHIFT);
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
    const uint64_t window = boot->window != 0 ? bytes_of(CPU_COUNT_MAX) : 0;
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

/* A reserved frame has no other owner. Of RAM that is handed out, whoever gets
 * it chooses. */
static void fixed_set_cache(
    const struct verso_fixed *fixed, pfn_t first, size_t pages)
{
    unsigned cache = (fixed->flags & VERSO_CACHE_MASK) >> VERSO_CACHE_SHIFT;
    for (size_t i = 0; i < pages; i++) {
        struct frame *frame = frame_find(pfn_add(first, i));
        if (frame == NULL)
            continue;
        VERSO_VERIFY(frame->state == FRAME_RESERVED || cache == 0,
            "paging: fixed mapping %s of frame 0x%x, which is RAM, has cache "
            "type %u",
            fixed->name, pfn_nr(pfn_add(first, i)), cache);
        frame->cache = (uint8_t)cache;
    }
}

static int fixed_map(struct space *space, const struct verso_fixed *fixed)
{
    pfn_t first = pfn_make((uint32_t)(fixed->pa >> VERSO_PAGE_SHIFT));
    struct paging_source source = {NULL, first, false};
    size_t pages = (size_t)(fixed->bytes >> VERSO_PAGE_SHIFT);
    fixed_set_cache(fixed, first, pages);
    int err =
        verso_i_paging_map(space, fixed->va, pages, fixed->flags, &source);
    VERSO_VERIFY(err == 0 || err == VERSO_NO_MEMORY,
        "paging: fixed mapping %s at %p, %zu pages: %s", fixed->name,
        (void *)fixed->va, pages, verso_err_name(err));
    return err;
}

/* The entries of the windows are live from the start and for good. */
static int window_init(struct space *space, vaddr_t window)
{
    struct verso_chain tables;
    struct map_state m = {window, CPU_COUNT_MAX, 0, {NULL, PFN_NONE, false}};
    size_t needed;
    VERSO_VERIFY(range_check(space, window, CPU_COUNT_MAX) == 0,
        "paging: no room for the window at %p", (void *)window);
    paging.window = window;
    paging.window_end = window + bytes_of(CPU_COUNT_MAX);
    int err = map_plan(space, m, &needed);
    VERSO_VERIFY(err == 0, "paging: the window at %p: %s", (void *)window,
        verso_err_name(err));
    err = tables_take(space, needed, &tables);
    if (err == 0)
        map_commit(space, m, &tables);
    return err;
}

/* The tables right below the root, for all of the heap: see is_kept(). */
static int upper_init(struct space *space, const struct verso_boot *boot)
{
    const vaddr_t start = boot->heap_start;
    struct verso_chain tables;
    if (!MMU_KEEPS_UPPER || boot->heap_pages == 0)
        return 0;
    paging.kept = index_of(start, space->top);
    paging.kept_count =
        index_of(start + bytes_of(boot->heap_pages) - 1, space->top) + 1 -
        paging.kept;
    for (size_t i = 0; i < paging.kept_count; i++) {
        vaddr_t va = start + i * step_of(space->top);
        if (pte_is_live(pte_load(pte_at(space, space->top, va))))
            continue;
        if (tables_take(space, 1, &tables) != 0)
            return VERSO_NO_MEMORY;
        table_hook(space, space->top, va, &tables, false);
    }
    return 0;
}

static void init_from(const struct verso_boot *boot, struct space *space)
{
    paging.frames = boot->frames;
    paging.frame_count = boot->frame_count;
    paging.direct_offset = boot->direct_offset;
    paging.direct_bytes = boot->direct_bytes;
    space->has_mirror = true;
    for (unsigned l = 1; l < MMU_LEVELS_MAX; l++) {
        paging.large[l] = mmu_has_large(l) && (l == 1 || boot->use_direct);
        if (l > 1 && paging.large[l])
            space->has_mirror = false;
    }
    paging.global = mmu_has_global();
    paging.exec = mmu_enforces_exec();
    paging.table_zone = 0;
    paging.root_zone = root_zone(boot);
    space->lock.name = "space";
    space->top = mmu_levels() - 1;
    space->direct = true;
    space->tables = ROOT_PAGES;
    mirror_init(
        space, boot->mirror_slot != 0 ? boot->mirror_slot : MMU_MIRROR_SLOT);
    for (size_t i = 0; i < boot->fixed_count; i++)
        fixed_check(&boot->fixed[i]);
    mirror_check(space, boot);
    layout_check(boot);
}

static void mirror_hook(struct space *space)
{
    struct pte *self = pte_at(space, space->top, mirror_start(space));
    for (unsigned i = 0; i < MMU_MIRROR_SLOTS; i++)
        pte_store(&self[i],
            (struct pte){known(pte_mirror(pfn_add(space->root, i)).raw)});
    live_add(space, space->top, mirror_start(space), MMU_MIRROR_SLOTS);
}

int verso_i_paging_init(const struct verso_boot *boot)
{
    struct space *space = &paging.kernel;
    init_from(boot, space);
    space->root = root_take(space);
    if (pfn_is_none(space->root))
        return VERSO_NO_MEMORY;
    for (size_t i = 0; i < boot->fixed_count; i++)
        if (fixed_map(space, &boot->fixed[i]) != 0)
            return VERSO_NO_MEMORY;
    if (boot->window != 0 && window_init(space, boot->window) != 0)
        return VERSO_NO_MEMORY;
    if (upper_init(space, boot) != 0)
        return VERSO_NO_MEMORY;
    if (space->has_mirror)
        mirror_hook(space);
    mmu_root_load(space->root);
    paging.on = true;
    space->direct = boot->use_direct;
    paging.table_zone = boot->use_direct ? 0 : VERSO_ZONE_ANY;
    return 0;
}

/* ---- check ---- */

static const char *check_entry(unsigned level, struct pte e)
{
    if (level > 0 && !pte_is_leaf(e, level)) {
        const struct frame *table = frame_find(pte_pfn(e));
        if (table == NULL || table->state != FRAME_TABLE)
            return "paging.2: an entry for a table names a table's frame";
        if (pte_is_global(e))
            return "paging.5: no entry for a table is global";
        return NULL;
    }
    const struct frame *frame = frame_find(pte_pfn(e));
    unsigned cache = (pte_flags(e) & VERSO_CACHE_MASK) >> VERSO_CACHE_SHIFT;
    bool global = paging.global && (pte_flags(e) & VERSO_USER) == 0;
    if (pte_is_present(e) && pte_is_global(e) != global)
        return "paging.9: what is global is the kernel's, if the machine can";
    if (frame != NULL && pte_is_present(e) && frame->cache != cache)
        return "paging.7: a frame is mapped with its own cache type";
    return NULL;
}

/* The table whose first entry is that of va at this level; of a root of several
 * frames, the one of them. */
static const char *check_table(
    const struct space *space, unsigned level, vaddr_t va)
{
    const struct pte *entries = pte_at(space, level, va);
    const struct frame *table = frame_get(table_of(space, level, va));
    size_t live = 0;
    for (size_t i = 0; i < FRAME_ENTRIES; i++) {
        struct pte e = pte_load(&entries[i]);
        if (!pte_is_live(e))
            continue;
        live++;
        const char *broken = check_entry(level, e);
        if (broken != NULL) {
            verso_print("entry %zu at level %u of the table at %p: %#llx\n", i,
                level, (void *)va, (unsigned long long)e.raw);
            return broken;
        }
    }
    if (live != table->live) {
        verso_print("table for %p at level %u: %zu live, counted %u\n",
            (void *)va, level, live, table->live);
        return "paging.3: a table counts its live entries";
    }
    if (live == 0 && level != space->top &&
        !(level + 1 == space->top && is_kept(space, va)))
        return "paging.4: no table is empty";
    return NULL;
}

static const char *check_mirror(const struct space *space)
{
    for (unsigned i = 0; i < MMU_MIRROR_SLOTS; i++) {
        vaddr_t va = mirror_start(space) + i * step_of(space->top);
        struct pte e = pte_load(pte_at(space, space->top, va));
        if (space->has_mirror
                ? pfn_nr(pte_pfn(e)) != pfn_nr(space->root) + i ||
                      !pte_is_present(e) || (pte_flags(e) & VERSO_USER) != 0
                : pte_is_live(e))
            return "paging.1: the mirror entry names the root, for the kernel";
    }
    return NULL;
}

/* Where the entry found for va at `level` ends, and the next one starts; 0 at
 * the top. */
static vaddr_t entry_end(const struct space *space, vaddr_t va, unsigned level)
{
    return skip_hole(space, round_down(va, step_of(level)) + step_of(level));
}

/* The next address after va's entry at `level` that may lead to a table. */
static vaddr_t entry_next(const struct space *space, vaddr_t va, unsigned level,
    const struct pte *entry)
{
    const vaddr_t inside = step_of(level) * FRAME_ENTRIES - 1;
    if (level == 0)
        return entry_end(space, va, 1); /* no other one of this table */
    do {
        va = entry_end(space, va, level);
        entry++;
    } while ((va & inside) != 0 && !pte_is_live(pte_load(entry)));
    return va;
}

const char *verso_i_paging_check(void)
{
    const struct space *space = &paging.kernel;
    size_t tables = MMU_ROOT_BESIDE;
    vaddr_t va = 0;
    const char *broken = check_mirror(space);
    do {
        struct pte *entry;
        unsigned level = find_entry(space, va, &entry);
        if (is_mirror(space, va, 1)) {
            va = skip_hole(space, space->mirror_last + 1);
            continue;
        }
        /* the tables that begin here */
        for (unsigned l = level; broken == NULL && l <= space->top; l++) {
            if ((va & (step_of(l) * FRAME_ENTRIES - 1)) != 0)
                break;
            broken = check_table(space, l, va);
            tables++;
        }
        va = entry_next(space, va, level, entry);
    } while (va != 0 && broken == NULL);
    if (broken == NULL && paging.batches != 0)
        broken = "paging.8: every batch is submitted";
    if (broken == NULL && tables != space->tables) {
        verso_print("%zu tables found, %zu counted\n", tables, space->tables);
        broken = "paging.6: every table is counted";
    }
    return broken;
}

/* ---- report ---- */

static const char *rights_text(unsigned flags, char text[6])
{
    text[0] = (flags & VERSO_READ) ? 'r' : '-';
    text[1] = (flags & VERSO_WRITE) ? 'w' : '-';
    text[2] = (flags & VERSO_EXEC) ? 'x' : '-';
    text[3] = (flags & VERSO_USER) ? 'u' : 'k';
    text[4] = '\0';
    return text;
}

static const char *cache_text(unsigned flags)
{
    switch (flags & VERSO_CACHE_MASK) {
    case VERSO_CACHE_WT:
        return " wt";
    case VERSO_CACHE_UC:
        return " uc";
    default:
        return "";
    }
}

/* A line of the table report: entries of one size, with equal flags, at
 * consecutive addresses and frames. */
struct table_line {
    vaddr_t va;
    verso_phys_t pa;
    size_t bytes;
    unsigned level, flags;
    bool present;
};

static void print_size(size_t bytes)
{
    if (bytes >= (size_t)1 << 20 && (bytes & (((size_t)1 << 20) - 1)) == 0)
        verso_print("%zuM", bytes >> 20);
    else
        verso_print("%zuK", bytes >> 10);
}

static void line_print(const struct table_line *line)
{
    char rights[6];
    if (line->bytes == 0)
        return;
    verso_print("tables: %08zx-%08zx -> %08llx %s%s ", (size_t)line->va,
        (size_t)(line->va + line->bytes - 1), (unsigned long long)line->pa,
        rights_text(line->flags, rights), cache_text(line->flags));
    print_size(step_of(line->level));
    verso_print("%s%s\n", line->present ? "" : " no access",
        is_mirror(&paging.kernel, line->va, 1) ? " mirror" : "");
}

static void line_add(
    struct table_line *line, vaddr_t va, unsigned level, struct pte e)
{
    struct table_line next = {va,
        (verso_phys_t)paddr_raw(pfn_to_paddr(pte_pfn(e))), step_of(level),
        level, pte_flags(e), pte_is_present(e)};
    if (line->bytes != 0 && line->va + line->bytes == next.va &&
        line->pa + line->bytes == next.pa && line->level == next.level &&
        line->flags == next.flags && line->present == next.present &&
        is_mirror(&paging.kernel, line->va, 1) ==
            is_mirror(&paging.kernel, va, 1)) {
        line->bytes += next.bytes;
        return;
    }
    line_print(line);
    *line = next;
}

void verso_i_paging_report_tables(vaddr_t from)
{
    const struct space *space = &paging.kernel;
    struct table_line line = {0};
    if (!paging.on)
        return;
    vaddr_t va = skip_hole(space, round_down(from, VERSO_PAGE_SIZE));
    do {
        struct pte *entry;
        unsigned level = find_entry(space, va, &entry);
        struct pte e = pte_load(entry);
        va = round_down(va, step_of(level));
        if (pte_is_live(e))
            line_add(&line, va, level, e);
        va = entry_end(space, va, level);
    } while (va != 0);
    line_print(&line);
    verso_print("tables: %zu in use, root at %08llx, %smirror at %p%s%s\n",
        space->tables, (unsigned long long)paddr_raw(pfn_to_paddr(space->root)),
        space->has_mirror ? "" : "no ", (void *)mirror_start(space),
        space->direct ? ", reached through the direct map" : "",
        exec_is_enforced() ? ""
                           : "; x is declared, this machine cannot forbid it");
}

void verso_i_paging_report(void)
{
    verso_i_paging_report_tables(0);
}

void verso_i_paging_report_walk(vaddr_t va)
{
    const struct space *space = &paging.kernel;
    struct pte *last;
    if (!paging.on) {
        verso_print("walk: paging is not on yet\n");
        return;
    }
    if (!is_address(top_of(space), va)) {
        verso_print("walk: %p is no address, but in the hole between the "
                    "lower and the upper half\n",
            (void *)va);
        return;
    }
    unsigned bottom = find_entry(space, va, &last);
    for (unsigned level = space->top;; level--) {
        struct pte *entry = pte_at(space, level, va);
        struct pte e = pte_load(entry);
        char rights[6];
        verso_print("walk: level %u entry %4zu at %p: %08llx ", level,
            index_of(va, level), (void *)entry, (unsigned long long)e.raw);
        if (!pte_is_live(e))
            verso_print("absent\n");
        else if (!pte_is_leaf(e, level))
            verso_print("table in frame %#x, %u live\n",
                (unsigned)pfn_nr(pte_pfn(e)), frame_get(pte_pfn(e))->live);
        else
            verso_print("page in frame %#x, %s%s%s%s%s\n",
                (unsigned)pfn_nr(pte_pfn(e)), rights_text(pte_flags(e), rights),
                cache_text(pte_flags(e)),
                pte_is_present(e) ? "" : ", no access",
                pte_is_accessed(e) ? ", accessed" : "",
                pte_is_dirty(e) ? ", dirty" : "");
        if (level == bottom)
            return;
    }
}

/* Does the mirror show the entries of a level there? The higher ones lie among
 * those of the lower. */
static bool is_mirror_level(
    const struct space *space, vaddr_t va, unsigned level)
{
    vaddr_t first = (vaddr_t)pte_at_mirror(space, level, 0, top_of(space));
    vaddr_t last =
        (vaddr_t)pte_at_mirror(space, level, ~(vaddr_t)0, top_of(space));
    return va >= first && va < last + sizeof(struct pte);
}

bool verso_i_paging_describe(vaddr_t va)
{
    const struct space *space = &paging.kernel;
    if (!paging.on)
        return false;
    if (space->has_mirror &&
        is_mirror(space, round_down(va, VERSO_PAGE_SIZE), 1)) {
        unsigned level = space->top;
        while (level > 0 && !is_mirror_level(space, va, level))
            level--;
        vaddr_t index = (va - space->base[level]) / sizeof(struct pte);
        verso_print("%p: the mirror: entry of %p at level %u\n", (void *)va,
            (void *)extended(top_of(space), index << MMU_LEVEL_SHIFT(level)),
            level);
        return true;
    }
    if (paging.window != 0 && va >= paging.window &&
        va - paging.window < bytes_of(CPU_COUNT_MAX)) {
        verso_print("%p: paging's window\n", (void *)va);
        return true;
    }
    return false;
}
