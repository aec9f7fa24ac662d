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
 * highest one that is translated, which may be N's. A root may be several
 * frames in a row: as many entries from N on name them, one each, and all else
 * holds.
 *
 * The other accessor, for kernels that map all tables at a fixed distance from
 * their physical address, follows the entries instead. pte_at() chooses.
 *
 * Spaces. Every root has three kinds of entries: the mirror's, which name the
 * root itself; those of users' addresses, which are each space's own; and the
 * kernel's, the same in all roots, so that it does not matter which is loaded.
 *
 *     root of    kernel      space A      space B
 *     users      0           a a a a      b b b b       [user_first, user_last]
 *     kernel     k k k k     k k k k      k k k k       roots_visit()
 *     mirror     kernel      A            B
 *
 * The mirror shows the root that is loaded. So the kernel's tables can always
 * be edited through it, and those of the space that is loaded; another space's
 * through windows, a page a level for each CPU, which show its tables one at a
 * time: not through a second mirror, of which 4 MiB would have to be
 * invalidated each time it is pointed elsewhere. Which of the two it is may
 * change at any interrupt: so a user space is edited in turns with interrupts
 * off (turn_begin).
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
 * below it are made at init for all of the heap, and stay though they be empty
 * (is_kept): roots need not follow then. Elsewhere, as with two levels, tables
 * come and go, and each root's entry with them; and a large page in the root
 * stands once in each, so that accessed and dirty are what all of them say.
 *
 * What is cached of a space that is not loaded: nothing, for the load of
 * another root takes it away, unless the machine tells spaces apart by
 * identifiers. Then a change is invalidated under the space's, or all of it
 * with the next load (is_stale). The kernel's pages are global, but what a
 * mirror shows is each root's own: after a change of that kind a load keeps
 * nothing (space_keeps).
 *
 * A table of pages that is emptied stays hooked in, idle, until another one is:
 * who maps and unmaps a few pages by turns finds it there. Drain gives it back,
 * and so does who maps a range around it, where a large page may come to stand.
 *
 * A root that somebody else made and loaded can be the kernel's ("adoption",
 * below): its tables are never freed, and what its pages mean is not changed;
 * entries of ours can be told from the host's (pte_is_own).
 *
 * Invariants (verso_i_paging_check):
 *   1. entry N of each root names that root, and users may not use it; or it
 *      is 0, where there is no mirror.
 *   2. an entry that names a table names a frame in state TABLE, or HOST_TABLE
 *      if it was adopted.
 *   3. the live count of a table is the number of its entries that are not 0.
 *   4. no table is empty but the root, those that are kept, the idle one, and
 *      the host's.
 *   5. an entry that names a table has bit 8 clear: it is "global" in a leaf,
 *      and the mirror shows it as a leaf.
 *   6. a space's tables found by walking are as many as were counted.
 *   7. a frame is mapped with the cache type it has, but in the direct map,
 *      which is made before anybody chooses one, or by the host.
 *   8. no batch that was given something is left unsubmitted.
 *   9. a page that the host has not mapped is global if users cannot reach it
 *      and the machine can; none of a user space is.
 *  10. every root has the kernel's entries (accessed and dirty aside), and at
 *      users' addresses none but its own.
 *
 * A frame of the array has its cache type there (pitfall 24); of frames outside
 * it, devices most of them, those that are not write-back stand in a short list
 * of ranges. The type is given while nothing maps the frame, which its owner
 * must know: finding out would take a walk through all tables. Invariant 7
 * finds one that did not.
 *
 * Locks: one a space; the kernel's is outside of the others', and guards the
 * list of spaces. verso_space_switch() takes none. One for the list of cache
 * types, inside of those. Cost: map and unmap are a loop over entries of one
 * table at a time; plan and flush are paid once a call.
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

/* Windows of each CPU: scratch, and one a level. */
#define WINDOWS (1u + MMU_LEVELS_MAX)
_Static_assert(WINDOWS <= VERSO_WINDOW_PAGES, "init.h knows how many");

/* Frames outside the array, from first to last, that are not write-back. */
struct cache_range {
    uint32_t first, last;
    uint32_t cache; /* VERSO_CACHE_* >> VERSO_CACHE_SHIFT */
};

/* Ascending; two of one type do not meet. */
struct cache_ranges {
    unsigned count;
    struct cache_range at[VERSO_CACHE_RANGES];
};

/* All of it constant after init, but for: (k) the kernel space's lock; (i) this
 * CPU alone, interrupts off; and the cache types, which have a lock of their
 * own. */
static struct {
    struct space kernel;
    struct frame *frames; /* the array, by frame number */
    size_t frame_count;
    vaddr_t direct_offset;
    uint64_t direct_bytes;
    unsigned top; /* level of the root */
    bool has_mirror;
    bool use_direct;      /* else the mirror */
    unsigned mirror_slot; /* nobody else's, even without a mirror */
    vaddr_t mirror_first, mirror_last; /* its bytes */
    vaddr_t base[MMU_LEVELS_MAX];      /* where it shows each level */
    vaddr_t user_first, user_last;     /* users' bytes; none: max, 0 */
    vaddr_t window, window_end;        /* WINDOWS pages a CPU */
    struct pte *window_entries;        /* theirs, in one table */
    bool on;
    bool large[MMU_LEVELS_MAX];
    bool global;     /* pages that users cannot reach are */
    bool exec;       /* execution can be forbidden */
    bool is_adopted; /* the kernel's root is somebody else's */
    /* Where tables were adopted that are found in several places: a range with
     * all of those; none: max, 0. */
    vaddr_t alias_first, alias_last;
    unsigned cache_types; /* a bit for each that entries can say */
    bool has_ids, invalidates_ids;
    size_t kept, kept_count; /* entries of the root: their tables stay */
    unsigned table_zone, root_zone;
    uint32_t flush;   /* (k) number of the last one submitted, and done */
    unsigned batches; /* (k) that hold something, not submitted yet */
    size_t invalidations, flushes;
    vaddr_t heap_start, heap_bytes;   /* init keeps it clear of all else */
    uint32_t kernel_changes;          /* (k) see space_keeps() */
    bool kernel_is_tagged;            /* (k) kernel pages are not all global */
    uint32_t ids[MMU_IDS / 32 + 1];   /* (k) a bit for each that is taken */
    struct space *now[CPU_COUNT_MAX]; /* (i) whose root is loaded */
    uint32_t shows[CPU_COUNT_MAX][WINDOWS]; /* (i) frames; 0: none */
    struct lock cache_lock;
    struct cache_ranges cache;
    uint32_t check_pass; /* (k) of the check: what has been counted */
} paging VERSO_STATE;

/* A constant where the machine leaves no choice. */
ALWAYS_INLINE unsigned top_of(const struct space *space)
{
    (void)space; /* all have as many */
    return MMU_LEVELS_MIN == MMU_LEVELS_MAX ? MMU_LEVELS_MAX - 1 : paging.top;
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

/* ---- cache types of frames outside the array ---- */

static unsigned cache_of(unsigned flags)
{
    return (flags & VERSO_CACHE_MASK) >> VERSO_CACHE_SHIFT;
}

/* Has one of them another type? All of them are outside. */
static NO_INLINE bool outside_differs(pfn_t first, size_t pages, unsigned cache)
{
    uint64_t at = pfn_nr(first);
    const uint64_t end = at + pages;
    bool differs = false;
    lock_take(&paging.cache_lock);
    for (unsigned i = 0; i < paging.cache.count; i++) {
        const struct cache_range *range = &paging.cache.at[i];
        if (range->last < at)
            continue;
        if (range->first >= end)
            break;
        differs |= range->first > at && cache != 0;
        differs |= range->cache != cache;
        at = (uint64_t)range->last + 1;
    }
    lock_drop(&paging.cache_lock);
    return differs || (at < end && cache != 0);
}

/* Behind the others; joined with the last, if they meet. False: full. */
static bool ranges_add(
    struct cache_ranges *ranges, uint64_t start, uint64_t end, unsigned cache)
{
    struct cache_range *last = &ranges->at[ranges->count];
    const struct cache_range next = {
        (uint32_t)start, (uint32_t)(end - 1), cache};
    if (start >= end)
        return true;
    if (ranges->count > 0 && last[-1].cache == cache &&
        (uint64_t)last[-1].last + 1 >= start) {
        last[-1].last = last[-1].last > next.last ? last[-1].last : next.last;
        return true;
    }
    if (ranges->count == VERSO_CACHE_RANGES)
        return false;
    *last = next;
    ranges->count++;
    return true;
}

/* The list with [start, end) in it, or without it if that is write-back: what
 * is left of it, it, what is right of it. */
static int ranges_with(const struct cache_ranges *old, uint64_t start,
    uint64_t end, unsigned cache, struct cache_ranges *new)
{
    bool room = true;
    new->count = 0;
    for (unsigned i = 0; i < old->count; i++) {
        const struct cache_range *range = &old->at[i];
        if (cache != 0 && range->cache != cache && range->first < end &&
            range->last >= start)
            return VERSO_EXISTS;
        const uint64_t stop = (uint64_t)range->last + 1;
        room &= ranges_add(
            new, range->first, stop < start ? stop : start, range->cache);
    }
    if (cache != 0)
        room &= ranges_add(new, start, end, cache);
    for (unsigned i = 0; i < old->count; i++) {
        const struct cache_range *range = &old->at[i];
        room &= ranges_add(new, range->first > end ? range->first : end,
            (uint64_t)range->last + 1, range->cache);
    }
    return room ? 0 : VERSO_NO_MEMORY;
}

int verso_cache_set_range(pfn_t first, size_t pages, unsigned cache)
{
    const uint64_t start = pfn_nr(first), end = start + pages;
    struct cache_ranges new;
    if (pages == 0 || start < paging.frame_count || end < start ||
        end > (uint64_t)PFN_LAST + 1 || (cache & ~VERSO_CACHE_MASK) != 0 ||
        !cache_is_valid(cache))
        return VERSO_BAD_ARG;
    lock_take(&paging.cache_lock);
    int err = ranges_with(&paging.cache, start, end, cache_of(cache), &new);
    if (err == 0)
        paging.cache = new;
    lock_drop(&paging.cache_lock);
    return err;
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

/* Entries from that of va to the end of its table, of a root of several frames
 * to the end of its frame, but not beyond `pages`. */
static size_t run_of(vaddr_t va, unsigned level, size_t pages)
{
    size_t room = FRAME_ENTRIES - index_of(va, level) % FRAME_ENTRIES;
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

ALWAYS_INLINE struct pte leaf_of(
    const struct space *space, pfn_t pfn, unsigned level, unsigned flags)
{
    return pte_leaf(pfn, known(pte_bits(level, flags, space->global)));
}

static void *window_open(unsigned slot, pfn_t pfn);

/* The entry of va in a table of this level, reached past the mirror; a window
 * that it takes is open as long as no other table of the level is asked for. */
static struct pte *entry_in(pfn_t table, unsigned level, vaddr_t va)
{
    const size_t at = index_of(va, level) * sizeof(struct pte);
    pfn_t frame = pfn_add(table, at >> VERSO_PAGE_SHIFT); /* roots have many */
    vaddr_t page = (vaddr_t)window_open(1 + level, frame);
    return (struct pte *)(page + (at & (VERSO_PAGE_SIZE - 1)));
}

static NO_INLINE struct pte *pte_at_direct(
    const struct space *space, unsigned level, vaddr_t va)
{
    pfn_t table = space->root;
    for (unsigned l = top_of(space); l > level; l--)
        table = pte_pfn(pte_load(entry_in(table, l, va)));
    return entry_in(table, level, va);
}

ALWAYS_INLINE struct pte *pte_at_mirror(
    unsigned level, vaddr_t va, unsigned top)
{
    return (struct pte *)paging.base[level] +
           (translated(top, va) >> MMU_LEVEL_SHIFT(level));
}

/* The entry of va at a level. Every entry above it names a table. */
ALWAYS_INLINE struct pte *pte_at(
    const struct space *space, unsigned level, vaddr_t va)
{
    if (unlikely(space->shown == 0))
        return pte_at_direct(space, level, va);
    return pte_at_mirror(level, va, top_of(space));
}

/* Where a walk ends, what stands there, and the entry that names the table,
 * where that is not the root. */
struct place {
    struct pte *entry;
    struct pte e, above;
    unsigned level;
};

/* The walk: down from the root to the entry that is no table. `top` is a
 * constant where it is inlined. */
ALWAYS_INLINE struct place walk(vaddr_t va, unsigned top)
{
    struct place p = {.level = top};
    UNROLL_4
    for (; p.level > 0; p.level--) {
        p.entry = pte_at_mirror(p.level, va, top);
        p.e = pte_load(p.entry);
        if (!pte_is_table(p.e))
            return p;
        p.above = p.e;
    }
    p.entry = pte_at_mirror(0, va, top);
    p.e = pte_load(p.entry);
    return p;
}

/* The same past the mirror: each entry says where the next table is. */
static NO_INLINE struct place walk_direct(const struct space *space, vaddr_t va)
{
    struct place p = {.e = pte_leaf(space->root, 0)};
    for (p.level = top_of(space);; p.level--) {
        p.above = p.e;
        if (likely(paging.use_direct)) /* so all tables lie there */
            p.entry = (struct pte *)direct_address(pte_pfn(p.e)) +
                      index_of(va, p.level);
        else
            p.entry = entry_in(pte_pfn(p.e), p.level, va);
        p.e = pte_load(p.entry);
        if (p.level == 0 || !pte_is_table(p.e))
            return p;
    }
}

/* Inlined once for each number of levels, so that shifts are constants. */
ALWAYS_INLINE struct place find_place(const struct space *space, vaddr_t va)
{
    if (likely(space->shown == MMU_LEVELS_MIN - 1))
        return walk(va, MMU_LEVELS_MIN - 1);
    if (MMU_LEVELS_MIN == MMU_LEVELS_MAX || space->shown == 0)
        return walk_direct(space, va);
    return walk(va, MMU_LEVELS_MAX - 1);
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
        (vaddr_t)paging.mirror_slot << MMU_LEVEL_SHIFT(top_of(space)));
}

static bool is_mirror(const struct space *space, vaddr_t va, size_t pages)
{
    return va <= paging.mirror_last &&
           va + bytes_of(pages) - 1 >= mirror_start(space);
}

/* The page that shows, in the mirror, the table named by va's entry at this
 * level. */
static vaddr_t mirror_page(
    const struct space *space, unsigned level, vaddr_t va)
{
    vaddr_t at = (vaddr_t)pte_at_mirror(level - 1, va, top_of(space));
    return round_down(at, VERSO_PAGE_SIZE);
}

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

static void window_close(unsigned slot)
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
static void *window_open(unsigned slot, pfn_t pfn)
{
    if (is_direct(pfn))
        return direct_address(pfn);
    uint32_t *shows = &paging.shows[cpu_number()][slot];
    vaddr_t va = window_va(slot);
    if (*shows == pfn_nr(pfn))
        return (void *)va;
    window_close(slot);
    unsigned cache = (unsigned)frame_get(pfn)->cache << VERSO_CACHE_SHIFT;
    pte_store(
        window_entry(slot), leaf_of(&paging.kernel, pfn, 0, VERSO_RW | cache));
    *shows = pfn_nr(pfn);
    return (void *)va;
}

/* For a moment, whatever else is open. */
static void *scratch_open(pfn_t pfn, uintptr_t *irq)
{
    *irq = is_direct(pfn) ? 0 : cpu_irq_save();
    return window_open(0, pfn);
}

static void scratch_close(pfn_t pfn, uintptr_t irq)
{
    if (is_direct(pfn))
        return;
    window_close(0);
    cpu_irq_restore(irq);
}

/* ---- spaces: which tables are reached how, and the lock ----
 *
 * The kernel's own tables are in every root, and the mirror shows them whatever
 * root is loaded. A user space's are there only while its root is loaded on
 * this CPU, which the next interrupt may change: so they are reached in turns
 * with interrupts off, each of a walk and at most one table's entries, and each
 * finds out anew whether the mirror or windows show them.
 */

static void turn_begin(struct space *space)
{
    space->irq = cpu_irq_save();
    const bool loaded = pfn_nr(mmu_root()) == pfn_nr(space->root);
    space->shown = loaded && !paging.use_direct ? paging.top : 0;
}

static void turn_end(struct space *space)
{
    for (unsigned slot = 1; slot < WINDOWS; slot++)
        window_close(slot);
    cpu_irq_restore(space->irq);
}

ALWAYS_INLINE void space_lock(struct space *space)
{
    lock_take(&space->lock);
    if (unlikely(space->is_user))
        turn_begin(space);
}

ALWAYS_INLINE void space_unlock(struct space *space)
{
    if (unlikely(space->is_user))
        turn_end(space);
    lock_drop(&space->lock);
}

/* Between two steps of a long operation; no entry is in hand. */
ALWAYS_INLINE void space_breathe(struct space *space)
{
    if (unlikely(space->is_user)) {
        turn_end(space);
        turn_begin(space);
    }
}

/* ---- roots ----
 *
 * The kernel's entries of the root are the same in every root. Where the root
 * holds large pages (two levels), the CPU sets accessed and dirty in the root
 * that is loaded: together the roots know.
 */

/* Is the entry of va at this level, of the kernel, in other roots too? */
ALWAYS_INLINE bool is_shared(const struct space *space, unsigned level)
{
    return level == top_of(space) && !space->is_user &&
           unlikely(paging.kernel.next != NULL);
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

/* The entry of va in a root, loaded or not; until scratch_close(). */
static struct pte *root_entry(
    const struct space *space, vaddr_t va, pfn_t *frame, uintptr_t *irq)
{
    const size_t at = index_of(va, top_of(space)) * sizeof(struct pte);
    *frame = pfn_add(space->root, at >> VERSO_PAGE_SHIFT);
    vaddr_t page = (vaddr_t)scratch_open(*frame, irq);
    return (struct pte *)(page + (at & (VERSO_PAGE_SIZE - 1)));
}

/* Accessed and dirty of the kernel's entry for va, from every root; with `put`,
 * that is what stands there afterwards. */
static NO_INLINE pte_raw_t roots_visit(vaddr_t va, const struct pte *put)
{
    pte_raw_t use = 0;
    for (struct space *s = &paging.kernel; s != NULL; s = s->next) {
        uintptr_t irq;
        pfn_t frame;
        struct pte *entry = root_entry(s, va, &frame, &irq);
        struct pte old = pte_load(entry);
        while (put != NULL && old.raw != put->raw &&
               !pte_replace(entry, &old, *put)) {
        }
        if (pte_is_live(old) && pte_is_leaf(old, top_of(s)))
            use |= pte_use(old);
        scratch_close(frame, irq);
    }
    return use;
}

/* The entry of va was changed in the root that is reached, and held: now in all
 * of them. What they knew of use is kept. */
static void roots_follow(
    const struct space *space, struct pte *entry, vaddr_t va)
{
    struct pte e = pte_load(entry);
    const pte_raw_t use = roots_visit(va, &e);
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

static void flush_add(
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

/* Each root has a mirror of its own: what it shows is never global. */
static void flush_add_mirror(
    const struct space *space, struct flush *batch, vaddr_t va, unsigned level)
{
    flush_add(batch, mirror_page(space, level, va), 1, 0);
    batch->tagged = true;
}

/* An entry above level 0 that was live has changed: what it stood for, and its
 * page in the mirror. */
static void flush_add_upper(
    const struct space *space, struct flush *batch, vaddr_t va, unsigned level)
{
    flush_add(batch, va, 1, 0);
    flush_add_mirror(space, batch, va, level);
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

/* The number of a flush. */
ALWAYS_INLINE uint32_t flush_count(void)
{
    if (unlikely(++paging.flush == 0)) /* 0 is "none" */
        paging.flush = 1;
    return paging.flush;
}

/* With one CPU a flush is done when it is submitted. */
static uint32_t flush_submit_locked(struct space *space, struct flush *batch)
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
    uint32_t flush = flush_submit_locked(space, batch);
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
    memset(scratch_open(pfn, &irq), 0, VERSO_PAGE_SIZE);
    scratch_close(pfn, irq);
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

/* A root, cleared, and what the machine wants beside it: tables, which stay
 * until root_free(). */
static pfn_t root_take(void)
{
    const unsigned zone = paging.table_zone < paging.root_zone
                              ? paging.table_zone
                              : paging.root_zone;
    pfn_t root = ROOT_PAGES == 1 ? verso_frame_alloc1(zone)
                                 : verso_frame_alloc_run(ROOT_PAGES, zone);
    if (pfn_is_none(root))
        return PFN_NONE;
    for (unsigned i = 0; i < ROOT_PAGES; i++) {
        struct frame *frame = frame_get(pfn_add(root, i));
        frame_clear(pfn_add(root, i));
        frame->state = FRAME_TABLE;
        frame->live = 0;
    }
    if (MMU_ROOT_BESIDE != 0) {
        const pfn_t beside = pfn_add(root, MMU_ROOT_FRAMES);
        uintptr_t irq;
        mmu_root_beside(scratch_open(beside, &irq), root);
        scratch_close(beside, irq);
    }
    return root;
}

static void root_free(pfn_t root)
{
    for (unsigned i = 0; i < ROOT_PAGES; i++)
        verso_frame_free1(pfn_add(root, i));
}

/* The entry of a root that names it, or one of its frames. */
static struct pte mirror_entry(const struct space *space, vaddr_t va)
{
    const pfn_t frame =
        pfn_add(space->root, index_of(va, top_of(space)) - paging.mirror_slot);
    return (struct pte){known(pte_mirror(frame).raw)};
}

/* All `count` tables or none. */
static int tables_take(
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
static void entry_put(
    struct space *space, unsigned level, vaddr_t va, struct pte e)
{
    pte_store(pte_at(space, level, va), e);
    if (is_shared(space, level))
        (void)roots_visit(va, &e);
}

/* Hooks a cleared table in below va's entry at `level`, which is absent. */
static void table_hook(struct space *space, unsigned level, vaddr_t va,
    struct verso_chain *tables, bool user)
{
    pfn_t table = chain_pop(tables);
    frame_get(table)->live = 0;
    entry_put(space, level, va, pte_table(table, user));
    live_add(space, level, va, 1);
    space->tables++;
}

/* Does the table under va's entry in the root stay, though it be empty? So that
 * every root can name it, whoever maps the first page. */
static bool is_kept(const struct space *space, vaddr_t va)
{
    return MMU_KEEPS_UPPER && !space->is_user &&
           index_of(va, top_of(space)) - paging.kept < paging.kept_count;
}

/* Did somebody else make this table? Then it stays, too. */
ALWAYS_INLINE bool is_hosts(const struct frame *table)
{
    return table->state == FRAME_HOST_TABLE;
}

/* Unhooks the empty table that holds va's entry at `level`, and those above it
 * that this empties; the flush frees them. */
static void table_unhook(
    struct space *space, unsigned level, vaddr_t va, struct flush *batch)
{
    struct frame *above;
    do {
        if (level + 1 == top_of(space) && is_kept(space, va))
            return;
        chain_push(&batch->tables, table_of(space, level, va));
        level++;
        entry_put(space, level, va, (struct pte){0});
        flush_add_upper(space, batch, va, level);
        above = frame_get(table_of(space, level, va));
        above->live--;
    } while (level < top_of(space) && above->live == 0 && !is_hosts(above));
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
        table_unhook(space, level, va, batch);
}

/* Unhooks the idle table, if there is one. */
static NO_INLINE void idle_drop(struct space *space)
{
    struct flush batch;
    verso_i_flush_init(&batch, false);
    if (!pfn_is_none(space->idle) && frame_get(space->idle)->live == 0)
        table_unhook(space, 0, space->idle_va, &batch);
    space->idle = PFN_NONE;
    (void)flush_submit_locked(space, &batch);
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

/* Fills a table that nobody sees yet with the parts of a large leaf. */
static void parts_put(pfn_t table, struct pte old, unsigned level)
{
    uintptr_t irq;
    struct pte *part = scratch_open(table, &irq);
    for (size_t i = 0; i < MMU_ENTRIES(level - 1); i++)
        pte_store(&part[i], pte_part(old, level, i));
    scratch_close(table, irq);
}

/* Parts that may be in use by now were accessed or dirty before. */
static void parts_use(pfn_t table, size_t count, pte_raw_t use)
{
    uintptr_t irq;
    struct pte *part = scratch_open(table, &irq);
    for (size_t i = 0; i < count; i++) {
        struct pte e = pte_load(&part[i]);
        while (!pte_replace(&part[i], &e, pte_with_use(e, use))) {
        }
    }
    scratch_close(table, irq);
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
    do
        parts_put(table, old, level);
    while (!pte_replace(entry, &old, pte_table(table, user)));
    if (is_shared(space, level)) {
        const struct pte e = pte_table(table, user);
        const pte_raw_t use = roots_visit(va, &e);
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
            space_breathe(space);
        }
    VERSO_ASSERT(tables.pages == 0);
    return 0;
}

/* ---- ranges: what every entry point checks ---- */

/* The last page is nobody's, for `start + size` would be 0; the mirror and the
 * windows are ours; what is for users is theirs, and nothing else is. */
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
        (va <= paging.mirror_last && last >= paging.mirror_first) ||
        (va < paging.window_end && last >= paging.window) ||
        (va <= paging.user_last && last >= paging.user_first) !=
            space->is_user ||
        (space->is_user && (va < paging.user_first || last > paging.user_last)))
        return VERSO_DENIED;
    return 0;
}

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

/* Is it a type that the entries of this machine cannot say? */
ALWAYS_INLINE bool cache_is_missing(unsigned flags)
{
    return (paging.cache_types >> cache_of(flags) & 1) == 0;
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
    return outside_differs(pfn, 1, cache);
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
static bool row_differs(pfn_t first, size_t pages, unsigned cache)
{
    const size_t start = pfn_nr(first);
    unsigned differs = 0;
    if (start >= paging.frame_count)
        return outside_differs(first, pages, cache);
    const size_t inside = paging.frame_count - start;
    if (pages > inside) {
        differs =
            outside_differs(pfn_add(first, inside), pages - inside, cache);
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
        differs = row_differs(s->first, pages, cache);
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
static int map_plan(struct space *space, struct map_state m, size_t *tables)
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
            entry_put(space, level, va, pte_table(pte_pfn(e), true));
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
        /* one at a time, where the other roots follow */
        size_t count =
            is_shared(space, level) ? 1 : run_of(m.va, level, m.pages);
        live_add(space, level, m.va, count);
        const vaddr_t va = m.va;
        const uintptr_t irq = root_hold(space, level);
        source_store(&m, entry, count, level, space->global);
        if (is_shared(space, level))
            roots_follow(space, entry, va);
        root_release(space, level, irq);
        space_breathe(space);
    }
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
        idle_drop(space); /* a large page may take its place */
    struct place p = find_place(space, m->va);
    if (is_one_run(p, m->va, m->pages))
        return map_run(space, p, m);
    if (p.level > 0 && p.level < top_of(space) && !pte_is_live(p.e) &&
        m->pages == MMU_LEVEL_PAGES(p.level) && leaf_level(space, m) == p.level)
        return map_leaf(space, p, m);
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

/* A table is missing, or users come in. */
static NO_INLINE int map_frame_other(
    struct space *space, vaddr_t va, pfn_t pfn, unsigned flags)
{
    const struct paging_source source = {NULL, pfn, true};
    return verso_i_paging_map(space, va, 1, flags, &source);
}

int verso_i_paging_map_frame(
    struct space *space, vaddr_t va, pfn_t pfn, unsigned flags)
{
    if (unlikely(space->is_user || (flags & VERSO_USER) != 0))
        return map_frame_other(space, va, pfn, flags);
    int err = kernel_check(va, 1);
    if (err == 0 && rights_are_refused(flags))
        err = VERSO_DENIED;
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

/* Not all in one table that is empty, or users come in. */
static NO_INLINE int map_chain_other(
    struct space *space, vaddr_t va, size_t pages, pfn_t first, unsigned flags)
{
    const struct paging_source source = {NULL, first, true};
    return verso_i_paging_map(space, va, pages, flags, &source);
}

int verso_i_paging_map_chain(
    struct space *space, vaddr_t va, size_t pages, pfn_t first, unsigned flags)
{
    if (unlikely(space->is_user || (flags & VERSO_USER) != 0))
        return map_chain_other(space, va, pages, first, flags);
    int err = kernel_check(va, pages);
    if (err == 0 && rights_are_refused(flags))
        err = VERSO_DENIED;
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
        roots_follow(space, entry, va);
    root_release(space, level, irq);
    if (cleared.count > 0) {
        flush_add(batch, va + cleared.first * step_of(level),
            cleared.last - cleared.first + 1, level);
        if (level > 0)
            flush_add_mirror(space, batch, va, level);
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
    err = holes || all_mapped(space, va, pages) ? split_ends(space, va, pages)
                                                : VERSO_ABSENT;
    while (err == 0 && pages > 0) {
        struct pte *entry;
        unsigned level = find_entry(space, va, &entry);
        size_t count = level == 0 ? run_of(va, 0, pages) : 1;
        pte_raw_t bits = known(pte_bits(level, rights, space->global));
        const uintptr_t irq = root_hold(space, level);
        pte_raw_t changed = level == 0 && is_full(space, va)
                                ? protect_run(entry, count, bits, true)
                                : protect_run(entry, count, bits, false);
        if (is_shared(space, level) && changed != 0)
            roots_follow(space, entry, va);
        root_release(space, level, irq);
        /* an entry that had no rights need not be flushed, but may be */
        bool lowered =
            (changed & pte_flush_bits(pte_leaf(PFN_NONE, bits))) != 0;
        if (rights & VERSO_USER)
            allow_user(space, va);
        if (lowered)
            flush_add(&batch, va, count, level);
        if (lowered && level > 0)
            flush_add_mirror(space, &batch, va, level);
        size_t passed = pages_to_end(va, level);
        if (level == 0)
            passed = count;
        if (passed > pages)
            passed = pages;
        va += bytes_of(passed);
        pages -= passed;
        space_breathe(space);
    }
    (void)flush_submit_locked(space, &batch);
    space_unlock(space);
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
    if (is_shared(space, level)) {
        const struct pte new = pte_without_use(old);
        old = pte_with_use(old, roots_visit(va, &new));
    }
    if (pte_needs_flush(old, pte_without_use(old))) {
        flush_add(batch, va, 1, level);
        if (level > 0)
            flush_add_mirror(space, batch, va, level);
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
        unsigned level = find_entry(space, at, &entry);
        unsigned char use = harvest_at(space, at, &batch);
        do
            bits[i++] = use;
        while (i < pages && ((va + bytes_of(i)) & (step_of(level) - 1)) != 0);
        space_breathe(space);
    }
    (void)flush_submit_locked(space, &batch);
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
    if (unlikely(p.level > 0 || !pte_is_live(p.e) || !is_address(top, va)))
        return false;
    mapping_fill(m, va, p.e, 0);
    return true;
}

/* Elsewhere a space has nothing of its own. */
ALWAYS_INLINE bool is_users(vaddr_t va)
{
    return va <= paging.user_last && va >= paging.user_first;
}

NO_INLINE int verso_i_paging_query(
    struct space *space, vaddr_t va, struct verso_mapping *mapping)
{
    if (is_users(va) != space->is_user)
        return VERSO_DENIED;
    space_lock(space);
    int err = query(space, va, mapping);
    if (err == 0 && is_shared(space, level_of(mapping->page_pages)))
        mapping->state |= pte_state((struct pte){roots_visit(va, NULL)});
    space_unlock(space);
    return err;
}

/* What the CPU sees, for reports: no lock is taken. */
static const struct space *space_seen(void)
{
    struct space *space = paging.now[cpu_number()];
    if (space == NULL) /* before init */
        return &paging.kernel;
    space->shown = paging.use_direct ? 0 : paging.top;
    return space;
}

int verso_i_paging_peek(vaddr_t va, struct verso_mapping *mapping)
{
    if (!paging.on)
        return VERSO_ABSENT;
    return query(space_seen(), va, mapping);
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
    if (unlikely(is_users(va)) || unlikely(!lock_try(&space->lock)))
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

/* Takes a space's idle and spare tables away; the caller frees them. */
static void spare_take(struct space *space, struct verso_chain *into)
{
    idle_drop(space);
    while (space->spare.pages > 0)
        chain_push(into, chain_pop(&space->spare));
}

static bool chain_free(struct verso_chain *chain)
{
    const bool any = chain->pages > 0;
    while (chain->pages > 0)
        verso_frame_free1(chain_pop(chain));
    return any;
}

bool verso_i_paging_drain(void)
{
    struct verso_chain spare = {PFN_NONE, 0};
    lock_take(&paging.kernel.lock);
    spare_take(&paging.kernel, &spare);
    for (struct space *s = paging.kernel.next; s != NULL; s = s->next) {
        space_lock(s);
        spare_take(s, &spare);
        space_unlock(s);
    }
    lock_drop(&paging.kernel.lock);
    return chain_free(&spare);
}

/* ---- users' spaces ---- */

/* An identifier that no space has; 0: there is none, and loading the space
 * drops what is cached. */
static unsigned id_take(void)
{
    for (size_t i = 0; i + 1 < ARRAY_COUNT(paging.ids); i++) {
        if (paging.ids[i] == UINT32_MAX)
            continue;
        const unsigned bit = bit_lowest(~paging.ids[i]);
        paging.ids[i] |= (uint32_t)1 << bit;
        return (unsigned)i * 32 + bit;
    }
    return 0;
}

static void id_give(unsigned id)
{
    if (id != 0)
        paging.ids[id / 32] &= ~((uint32_t)1 << id % 32);
}

/* Is this entry of the root the kernel's, the same in every root? */
static bool is_kernel_entry(vaddr_t va)
{
    return !is_mirror(&paging.kernel, va, 1) &&
           (va < paging.user_first || va > paging.user_last);
}

/* The kernel's entries and a mirror for a root that is all 0 otherwise. What
 * the roots know of use stays with those they are copied from. */
static void root_fill(const struct space *space)
{
    const unsigned top = top_of(space);
    for (size_t i = 0; i < MMU_ENTRIES(top); i++) {
        const vaddr_t va = extended(top, (vaddr_t)i << MMU_LEVEL_SHIFT(top));
        struct pte e = pte_load(pte_at(&paging.kernel, top, va));
        uintptr_t irq;
        pfn_t frame;
        if (is_mirror(space, va, 1) && paging.has_mirror)
            e = mirror_entry(space, va);
        else if (!is_kernel_entry(va))
            continue;
        if (!pte_is_live(e))
            continue;
        pte_store(root_entry(space, va, &frame, &irq), e);
        scratch_close(frame, irq);
    }
}

int verso_i_paging_space_init(struct space *space)
{
    struct space *kernel = &paging.kernel;
    VERSO_VERIFY(paging.user_first < paging.user_last,
        "paging: a space for users, and no range of addresses for them");
    *space = (struct space){.lock = {0, "user space"},
        .is_user = true,
        .tables = ROOT_PAGES,
        .is_stale = true};
    space->root = root_take();
    if (pfn_is_none(space->root))
        return VERSO_NO_MEMORY;
    lock_take(&kernel->lock);
    space->id = paging.has_ids ? id_take() : 0;
    root_fill(space);
    space->next = kernel->next;
    kernel->next = space;
    lock_drop(&kernel->lock);
    return 0;
}

/* A root is about to go: what it alone knows of use of the kernel's large pages
 * goes to the kernel's own. */
static void root_forget(const struct space *space)
{
    const unsigned top = top_of(space);
    for (size_t i = 0; paging.large[top] && i < MMU_ENTRIES(top); i++) {
        const vaddr_t va = extended(top, (vaddr_t)i << MMU_LEVEL_SHIFT(top));
        const struct pte any = pte_load(pte_at(&paging.kernel, top, va));
        uintptr_t irq;
        pfn_t frame;
        if (!is_kernel_entry(va) || !pte_is_live(any) || !pte_is_leaf(any, top))
            continue;
        const pte_raw_t use = roots_visit(va, NULL);
        struct pte *entry = root_entry(&paging.kernel, va, &frame, &irq);
        struct pte e = pte_load(entry);
        while (!pte_replace(entry, &e, pte_with_use(e, use))) {
        }
        scratch_close(frame, irq);
    }
}

bool verso_i_paging_is_loaded(const struct space *space)
{
    for (unsigned cpu = 0; cpu < CPU_COUNT_MAX; cpu++)
        if (paging.now[cpu] == space)
            return true;
    return false;
}

/* Nothing is mapped there any more, so its tables are gone, but for spares and
 * the root. */
void verso_i_paging_space_fini(struct space *space)
{
    struct verso_chain spare = {PFN_NONE, 0};
    space_lock(space);
    spare_take(space, &spare);
    space_unlock(space);
    VERSO_VERIFY(
        space->tables == ROOT_PAGES && !verso_i_paging_is_loaded(space),
        "paging: the end of the space with root %#x, which has %zu tables%s",
        pfn_nr(space->root), space->tables - ROOT_PAGES,
        verso_i_paging_is_loaded(space) ? ", and is loaded" : "");
    lock_take(&paging.kernel.lock);
    root_forget(space);
    struct space **link = &paging.kernel.next;
    while (*link != space)
        link = &(*link)->next;
    *link = space->next;
    id_give(space->id);
    lock_drop(&paging.kernel.lock);
    (void)chain_free(&spare);
    root_free(space->root);
}

/* Is what is cached under its identifier as the tables say? Its own changes
 * were flushed or noted; the kernel's, as seen through its mirror, were not. */
static bool space_keeps(const struct space *space)
{
    return space->id != 0 && !space->is_stale &&
           space->seen_changes == paging.kernel_changes;
}

void verso_space_switch(struct space *space)
{
    const uintptr_t irq = cpu_irq_save();
    struct space **now = &paging.now[cpu_number()];
    if (*now != space) {
        const bool keep = space_keeps(space);
        space->is_stale = false;
        space->seen_changes = paging.kernel_changes;
        *now = space;
        mmu_switch(space->root, space->id, keep);
    }
    cpu_irq_restore(irq);
}

struct space *verso_space_now(void)
{
    return paging.now[cpu_number()];
}

/* ---- start ---- */

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

/* The host's leaf as we would have made it. */
static struct pte pte_made_ours(struct pte e, pte_raw_t bits)
{
    return pte_with_use(pte_leaf(pte_pfn(e), bits), pte_use(e));
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
        unsigned level = find_entry(space, va, &entry);
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

/* The entries of the windows are live from the start and for good. */
static int window_init(struct space *space, vaddr_t window)
{
    struct verso_chain tables;
    const size_t pages = (size_t)WINDOWS * CPU_COUNT_MAX;
    struct map_state m = {window, pages, 0, {NULL, PFN_NONE, false}};
    size_t needed;
    VERSO_VERIFY(range_check(space, window, pages) == 0 &&
                     run_of(window, 0, pages) == pages,
        "paging: no room for the window at %p, %zu pages of one table",
        (void *)window, pages);
    paging.window = window;
    paging.window_end = window + bytes_of(pages);
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
    paging.kept = index_of(start, paging.top);
    paging.kept_count =
        index_of(start + bytes_of(boot->heap_pages) - 1, paging.top) + 1 -
        paging.kept;
    for (size_t i = 0; i < paging.kept_count; i++) {
        vaddr_t va = start + i * step_of(paging.top);
        if (pte_is_live(pte_load(pte_at(space, paging.top, va))))
            continue;
        if (tables_take(space, 1, &tables) != 0)
            return VERSO_NO_MEMORY;
        table_hook(space, paging.top, va, &tables, false);
    }
    return 0;
}

/* Whole entries of the root, of addresses that the kernel has no use for. */
static void users_init(const struct verso_boot *boot)
{
    const vaddr_t start = boot->user_start;
    const size_t pages = boot->user_pages, mask = step_of(paging.top) - 1;
    const vaddr_t last = start + (bytes_of(pages) - 1);
    paging.user_first = UINTPTR_MAX;
    paging.user_last = 0;
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
}

/* ---- adoption: a root that somebody else made ----
 *
 * All of its tables are walked once, and are as if we had made them afterwards:
 * entries for tables grant all that ours grant, for what they did not is taken
 * from the pages below them; pages have the rights they really had, as bits and
 * as declared, in entries without a PAT bit. What an access may do is the same
 * before, after and between. A table may be found in several places, if it is
 * at the same level there, and under the same rights: it is counted once.
 */

/* At each level the table that is being walked, and where. */
struct adoption {
    struct space *space;
    pfn_t table[MMU_LEVELS_MAX];
    vaddr_t va[MMU_LEVELS_MAX];  /* of its next entry */
    size_t left[MMU_LEVELS_MAX]; /* entries */
    unsigned grants[MMU_LEVELS_MAX];
};

/* Of a table that was adopted: under which rights, and the number of the upper
 * entry where it was found first. */
#define GRANTS_BITS 12u

static void adopt_note(
    struct frame *frame, unsigned level, vaddr_t va, unsigned grants)
{
    const uint64_t entry = translated(paging.top, va) >> VERSO_PAGE_SHIFT >>
                           MMU_BITS * (level + 1);
    frame->state = FRAME_HOST_TABLE;
    frame->order = (uint8_t)level;
    frame->prev = (uint32_t)entry;
    frame->link = (uint32_t)(entry >> 32 << GRANTS_BITS) | grants;
    frame->live = 0;
}

static vaddr_t adopt_noted(const struct frame *frame)
{
    const uint64_t entry =
        (uint64_t)(frame->link >> GRANTS_BITS) << 32 | frame->prev;
    return extended(paging.top,
        (vaddr_t)(entry << VERSO_PAGE_SHIFT << MMU_BITS * (frame->order + 1u)));
}

/* It is found at va as well. */
static void adopt_note_alias(const struct frame *frame, vaddr_t va)
{
    const vaddr_t first = adopt_noted(frame);
    const vaddr_t last = va + (step_of(frame->order) * MMU_ENTRIES(0) - 1);
    if (first < paging.alias_first)
        paging.alias_first = first;
    if (last > paging.alias_last)
        paging.alias_last = last;
}

/* Notes a table; false if it is known already. */
static bool adopt_table(
    struct adoption *a, unsigned level, vaddr_t va, pfn_t pfn, unsigned grants)
{
    struct frame *frame = frame_find(pfn);
    VERSO_VERIFY(frame != NULL && (frame->state == FRAME_RESERVED ||
                                      frame->state == FRAME_HOST_TABLE),
        "paging: the host's table for %p, level %u, in frame 0x%x: not "
        "reserved, or beyond the array (0x%zx frames)",
        (void *)va, level, pfn_nr(pfn), paging.frame_count);
    if (frame->state == FRAME_HOST_TABLE) {
        const unsigned noted = frame->link & (((uint32_t)1 << GRANTS_BITS) - 1);
        VERSO_VERIFY(frame->order == level && noted == grants,
            "paging: the host's table in frame 0x%x is found for %p at level "
            "%u "
            "with rights 0x%x, and for %p at level %u with rights 0x%x",
            pfn_nr(pfn), (void *)va, level, grants, (void *)adopt_noted(frame),
            frame->order, noted);
        adopt_note_alias(frame, va);
        return false;
    }
    adopt_note(frame, level, va, grants);
    a->table[level] = pfn;
    a->va[level] = va;
    a->left[level] = MMU_ENTRIES(level);
    a->grants[level] = grants;
    a->space->tables++;
    return true;
}

/* Frames that the host has mapped otherwise than write-back: so they are. The
 * host may have said two things of a frame; of RAM, whoever gets it says. */
static void adopt_cache(pfn_t first, size_t pages, unsigned flags)
{
    size_t i = 0;
    for (; i < pages && frame_find(pfn_add(first, i)) != NULL; i++) {
        struct frame *frame = frame_get(pfn_add(first, i));
        if (frame->state == FRAME_RESERVED && frame->cache == 0)
            frame->cache = (uint8_t)cache_of(flags);
    }
    if (i == pages)
        return;
    int err = verso_cache_set_range(
        pfn_add(first, i), pages - i, flags & VERSO_CACHE_MASK);
    VERSO_VERIFY(err == 0 || err == VERSO_EXISTS,
        "paging: cache type of the host's frames from 0x%x, %zu pages: %s, %u "
        "ranges",
        pfn_nr(pfn_add(first, i)), pages - i, verso_err_name(err),
        paging.cache.count);
}

/* Where there is a mirror, no page is larger than those of level 1. */
static int adopt_split(struct space *space, vaddr_t va, unsigned level)
{
    struct verso_chain tables;
    struct flush batch;
    if (level < 2 || !paging.has_mirror)
        return 0;
    if (tables_take(space, 1, &tables) != 0)
        return VERSO_NO_MEMORY;
    verso_i_flush_init(&batch, false);
    split_at(space, va, level, &tables, &batch);
    (void)flush_submit_locked(space, &batch);
    return 0;
}

static int adopt_leaf(
    struct adoption *a, unsigned level, vaddr_t va, struct pte *entry)
{
    struct pte old = pte_load(entry), new;
    if (!pte_is_present(old)) /* it means something to the host */
        return 0;
    do {
        new = pte_adopted(old, a->grants[level]);
        VERSO_VERIFY(mmu_pat_fold(&new, level),
            "paging: the host's page at %p, entry %#llx, has a cache type that "
            "takes a PAT bit",
            (void *)va, (unsigned long long)old.raw);
        /* so that it is not 0 without rights */
        if (pfn_is_none(pte_pfn(new)) && level == 0)
            new = pte_made_ours(
                new, known(pte_bits(0, pte_flags(new), paging.global)));
    } while (!pte_replace(entry, &old, new));
    if ((pte_flags(new) & VERSO_CACHE_MASK) != 0)
        adopt_cache(pte_pfn(new), MMU_LEVEL_PAGES(level), pte_flags(new));
    return adopt_split(a->space, va, level);
}

/* The next entry of the table being walked at *level, which may lead down. */
static int adopt_entry(struct adoption *a, unsigned *level)
{
    const unsigned l = *level;
    const vaddr_t va = a->va[l];
    struct pte *entry = entry_in(a->table[l], l, va);
    const struct pte e = pte_load(entry);
    if (!pte_is_live(e))
        return 0;
    frame_get(a->table[l])->live++;
    if (l == 0 || !pte_is_table(e))
        return adopt_leaf(a, l, va, entry);
    const pfn_t table = pte_pfn(e);
    const unsigned grants = a->grants[l] & pte_grants(e);
    if (pfn_nr(table) == pfn_nr(a->space->root)) /* a mirror of the host's */
        return 0;
    if (adopt_table(a, l - 1, va, table, grants))
        (*level)--;
    return 0;
}

/* The entry that led to where the walk was, below this level. */
static void adopt_done(struct adoption *a, unsigned level)
{
    struct pte *entry = entry_in(a->table[level], level, a->va[level]);
    const struct pte e = pte_load(entry);
    const bool is_user = (pte_grants(e) & VERSO_USER) != 0;
    if (pte_is_live(e) && level > 0 && pte_is_table(e))
        pte_store(entry, pte_table(pte_pfn(e), is_user));
    a->va[level] = extended(
        paging.top, translated(paging.top, a->va[level] + step_of(level)));
    a->left[level]--;
}

static int adopt_tables(struct space *space)
{
    struct adoption a = {.space = space};
    unsigned level = paging.top;
    int err = 0;
    (void)adopt_table(
        &a, level, 0, space->root, VERSO_WRITE | VERSO_USER | VERSO_EXEC);
    while (err == 0) {
        const unsigned at = level;
        if (a.left[level] > 0) {
            err = adopt_entry(&a, &level);
            if (level == at)
                adopt_done(&a, level);
            continue;
        }
        if (level == paging.top)
            break;
        adopt_done(&a, ++level);
    }
    return err;
}

/* Nothing of the host's may be in [va, va + pages); nor tables without anything
 * in them, where the root's entries are to be others. */
static void adopt_check_free(const struct space *space, vaddr_t va,
    size_t pages, bool whole, const char *what)
{
    for (size_t page = 0; page < pages;) {
        const vaddr_t at = va + bytes_of(page);
        struct pte *entry = pte_at(space, paging.top, at);
        unsigned level = paging.top;
        if (!whole)
            level = find_entry(space, at, &entry);
        VERSO_VERIFY(!pte_is_live(pte_load(entry)),
            "paging: the host has %#llx at %p, which is to be %s (%p, %zu "
            "pages)",
            (unsigned long long)pte_load(entry).raw, (void *)at, what,
            (void *)va, pages);
        page += pages_to_end(at, level);
    }
}

/* Takes the root that is loaded. */
static int adopt_root(struct space *space, const struct verso_boot *boot)
{
    const size_t mirror_pages = MMU_MIRROR_SLOTS * MMU_LEVEL_PAGES(paging.top);
    VERSO_VERIFY(mmu_is_on() && MMU_ROOT_FRAMES == 1,
        "paging: no root of a single frame is loaded that could be adopted "
        "(paging is %s, roots have %u frames)",
        mmu_is_on() ? "on" : "off", MMU_ROOT_FRAMES);
    space->root = mmu_root();
    space->tables = 0;
    int err = adopt_tables(space);
    if (err != 0)
        return err;
    adopt_check_free(
        space, paging.mirror_first, mirror_pages, true, "the mirror");
    adopt_check_free(space, boot->user_start, boot->user_pages, true, "users'");
    adopt_check_free(
        space, boot->heap_start, boot->heap_pages, false, "the heap");
    return 0;
}

static bool root_make(struct space *space)
{
    space->root = root_take();
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
    if (boot->adopt ? adopt_root(space, boot) != 0 : !root_make(space))
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

/* ---- check ---- */

static bool is_direct_map(vaddr_t va, pfn_t pfn)
{
    return paging.direct_bytes != 0 && is_direct(pfn) &&
           va == (vaddr_t)direct_address(pfn);
}

static const char *check_entry(
    const struct space *space, vaddr_t va, unsigned level, struct pte e)
{
    if (level > 0 && !pte_is_leaf(e, level)) {
        const struct frame *table = frame_find(pte_pfn(e));
        if (table != NULL && is_hosts(table) && !pte_is_present(e))
            return NULL;
        if (table == NULL || (table->state != FRAME_TABLE && !is_hosts(table)))
            return "paging.2: an entry for a table names a table's frame";
        if (pte_is_global(e))
            return "paging.5: no entry for a table is global";
        return NULL;
    }
    bool global = space->global && (pte_flags(e) & VERSO_USER) == 0;
    if (paging.is_adopted && !pte_is_own(e))
        return NULL;
    if (pte_is_present(e) && pte_is_global(e) != global)
        return "paging.9: what is global is the kernel's, if the machine can";
    if (pte_is_present(e) && !is_direct_map(va, pte_pfn(e)) &&
        row_differs(pte_pfn(e), MMU_LEVEL_PAGES(level), cache_of(pte_flags(e))))
        return "paging.7: a frame is mapped with its own cache type";
    return NULL;
}

static void check_print(
    vaddr_t va, unsigned level, size_t i, struct pte e, const char *broken)
{
    if (broken != NULL)
        verso_print("entry %zu at level %u of the table at %p: %#llx\n", i,
            level, (void *)va, (unsigned long long)e.raw);
}

static const char *check_live(
    vaddr_t va, unsigned level, size_t live, const struct frame *table)
{
    if (live == table->live)
        return NULL;
    verso_print("table for %p at level %u: %zu live, counted %u\n", (void *)va,
        level, live, table->live);
    return "paging.3: a table counts its live entries";
}

/* The table, below the root, whose first entry is that of va. */
static const char *check_table(
    const struct space *space, unsigned level, vaddr_t va)
{
    const struct pte *entries = pte_at(space, level, va);
    const struct frame *table = frame_get(table_of(space, level, va));
    const char *broken = NULL;
    size_t live = 0;
    for (size_t i = 0; i < MMU_ENTRIES(level) && broken == NULL; i++) {
        struct pte e = pte_load(&entries[i]);
        if (!pte_is_live(e))
            continue;
        live++;
        broken = check_entry(
            space, extended(paging.top, va + i * step_of(level)), level, e);
        check_print(va, level, i, e, broken);
    }
    if (broken == NULL)
        broken = check_live(va, level, live, table);
    if (broken == NULL && live == 0 &&
        !(level + 1 == paging.top && is_kept(space, va)) &&
        table != frame_find(space->idle) && !is_hosts(table))
        return "paging.4: no table is empty";
    return broken;
}

/* An entry of a root: the mirror's, the space's own, or the kernel's in a
 * user's root, or a user's in the kernel's. */
static const char *check_root_entry(
    const struct space *space, vaddr_t va, struct pte e, size_t *live)
{
    struct pte other = {0};
    if (is_mirror(space, va, 1)) {
        other = paging.has_mirror ? mirror_entry(space, va) : other;
        return e.raw == other.raw
                   ? NULL
                   : "paging.1: the mirror entry names the root, for the "
                     "kernel";
    }
    if (is_kernel_entry(va) != space->is_user) {
        *live += pte_is_live(e) ? 1 : 0;
        return pte_is_live(e) ? check_entry(space, va, paging.top, e) : NULL;
    }
    if (space->is_user) /* the mirror would show the root that is loaded */
        other = pte_load(entry_in(paging.kernel.root, paging.top, va));
    if (pte_is_leaf(e, paging.top) && pte_is_leaf(other, paging.top)) {
        e = pte_without_use(e);
        other = pte_without_use(other);
    }
    return e.raw == other.raw
               ? NULL
               : "paging.10: every root has the kernel's entries, and no "
                 "other user's";
}

static const char *check_root(const struct space *space)
{
    const size_t count = FRAME_ENTRIES;
    const uintptr_t irq = cpu_irq_save(); /* two windows are open */
    const char *broken = NULL;
    for (unsigned f = 0; f < MMU_ROOT_FRAMES && broken == NULL; f++) {
        const pfn_t frame = pfn_add(space->root, f);
        const vaddr_t first = (vaddr_t)f * count << MMU_LEVEL_SHIFT(paging.top);
        size_t live = 0;
        const struct pte *entries = window_open(0, frame);
        for (size_t i = 0; i < count && broken == NULL; i++) {
            vaddr_t va = extended(paging.top, first + i * step_of(paging.top));
            struct pte e = pte_load(&entries[i]);
            broken = check_root_entry(space, va, e, &live);
            check_print(first, paging.top, i, e, broken);
        }
        if (broken == NULL)
            broken = check_live(first, paging.top, live, frame_get(frame));
    }
    window_close(0);
    window_close(1 + paging.top);
    cpu_irq_restore(irq);
    return broken;
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

/* Where tables may be found in two places, the second is passed over. */
static bool is_counted(struct frame *table)
{
    if (paging.alias_last == 0)
        return false;
    if (table->prev == paging.check_pass)
        return true;
    table->prev = paging.check_pass;
    return false;
}

/* Is va in a mirror that the host had, which is no table of its own? */
static bool is_host_mirror(const struct space *space, vaddr_t va)
{
    if (!paging.is_adopted || space->is_user || is_mirror(space, va, 1))
        return false;
    struct pte e = pte_load(pte_at(space, paging.top, va));
    return pte_is_table(e) && pfn_nr(pte_pfn(e)) == pfn_nr(space->root);
}

/* The tables that begin at va, whose walk ends at `level`. */
static const char *check_tables(
    const struct space *space, vaddr_t va, unsigned level, size_t *tables)
{
    const char *broken = NULL;
    for (unsigned l = level; broken == NULL && l < paging.top; l++) {
        if ((va & (step_of(l) * MMU_ENTRIES(l) - 1)) != 0)
            break;
        if (is_counted(frame_get(table_of(space, l, va))))
            continue;
        broken = check_table(space, l, va);
        ++*tables;
    }
    return broken;
}

/* The end of what is no address of this space's own, if va is in it. */
static vaddr_t skip_others(const struct space *space, vaddr_t va)
{
    if (!space->is_user && !is_kernel_entry(va))
        va = skip_hole(space,
            (is_mirror(space, va, 1) ? paging.mirror_last : paging.user_last) +
                1);
    else if (is_host_mirror(space, va))
        va = entry_end(space, va, paging.top);
    return space->is_user && va > paging.user_last ? 0 : va;
}

static const char *check_space(struct space *space)
{
    size_t tables = ROOT_PAGES;
    vaddr_t va = space->is_user ? paging.user_first : 0;
    const char *broken = check_root(space);
    paging.check_pass++;
    while (broken == NULL) {
        struct pte *entry;
        vaddr_t own = skip_others(space, va);
        if (own == va) {
            if (space->is_user)
                turn_begin(space);
            unsigned level = find_entry(space, va, &entry);
            broken = check_tables(space, va, level, &tables);
            own = entry_next(space, va, level, entry);
            if (space->is_user)
                turn_end(space);
        }
        if (own <= va) /* around */
            break;
        va = own;
    }
    if (broken == NULL && tables != space->tables) {
        verso_print("%zu tables found, %zu counted\n", tables, space->tables);
        broken = "paging.6: every table is counted";
    }
    return broken;
}

const char *verso_i_paging_check(void)
{
    const char *broken = NULL;
    if (paging.batches != 0)
        return "paging.8: every batch is submitted";
    for (struct space *s = &paging.kernel; s != NULL && broken == NULL;
         s = s->next)
        broken = check_space(s);
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
    case VERSO_CACHE_WC:
        return " wc";
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

static void report_cache(void)
{
    for (unsigned i = 0; i < paging.cache.count; i++) {
        const struct cache_range *range = &paging.cache.at[i];
        verso_print("tables: frames %#x-%#x are%s\n", range->first, range->last,
            cache_text(range->cache << VERSO_CACHE_SHIFT));
    }
}

void verso_i_paging_report_tables(vaddr_t from)
{
    const struct space *space = space_seen();
    struct table_line line = {0};
    if (!paging.on)
        return;
    vaddr_t va = skip_hole(space, round_down(from, VERSO_PAGE_SIZE));
    do {
        struct pte *entry;
        if (is_host_mirror(space, va)) {
            vaddr_t end = entry_end(space, va, paging.top);
            line_print(&line);
            line.bytes = 0;
            verso_print("tables: %08zx-%08zx: a mirror, the host's\n",
                (size_t)va, (size_t)(end - 1));
            va = end;
            continue;
        }
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
        paging.has_mirror ? "" : "no ", (void *)mirror_start(space),
        paging.use_direct ? ", reached through the direct map" : "",
        exec_is_enforced() ? ""
                           : "; x is declared, this machine cannot forbid it");
    report_cache();
}

void verso_i_paging_report(void)
{
    verso_i_paging_report_tables(0);
}

void verso_i_paging_report_walk(vaddr_t va)
{
    const struct space *space = space_seen();
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
    for (unsigned level = paging.top;; level--) {
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
    vaddr_t first = (vaddr_t)pte_at_mirror(level, 0, top_of(space));
    vaddr_t last = (vaddr_t)pte_at_mirror(level, ~(vaddr_t)0, top_of(space));
    return va >= first && va < last + sizeof(struct pte);
}

bool verso_i_paging_describe(vaddr_t va)
{
    const struct space *space = &paging.kernel;
    if (!paging.on)
        return false;
    if (paging.has_mirror &&
        is_mirror(space, round_down(va, VERSO_PAGE_SIZE), 1)) {
        unsigned level = paging.top;
        while (level > 0 && !is_mirror_level(space, va, level))
            level--;
        vaddr_t index = (va - paging.base[level]) / sizeof(struct pte);
        verso_print("%p: the mirror: entry of %p at level %u\n", (void *)va,
            (void *)extended(top_of(space), index << MMU_LEVEL_SHIFT(level)),
            level);
        return true;
    }
    if (paging.window != 0 && va >= paging.window &&
        va - paging.window < bytes_of((size_t)WINDOWS * CPU_COUNT_MAX)) {
        verso_print("%p: paging's window\n", (void *)va);
        return true;
    }
    return false;
}
