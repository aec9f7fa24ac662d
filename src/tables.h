/* SPDX-License-Identifier: MIT */
/*
 * tables - the page tables as paging's files see them: what they have in
 * common, and the only header of src/ that includes mmu.h.
 *
 *      paging-look.c   check and report          cachetype.c  types of frames
 *      paging-init.c   layout, start                          outside the array
 *      adopt.c         a root of the host's
 *      roots.c         users' spaces, switch
 *      paging.c        map, unmap, protect, query
 *      tables.c        windows, flush, tables, splitting
 *
 * Each uses those below it, and cachetype.c, which uses none. paging.h has what
 * is for the storeys above.
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
 *     kernel     k k k k     k k k k      k k k k       verso_i_tables_visit()
 *     mirror     kernel      A            B
 *
 * Here and in tables.c are the invariants of a table by itself
 * (verso_i_paging_check):
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
 * 7 is cachetype.c's, 8 tables.c's, 9 paging.c's, 10 roots.c's.
 *
 * Locks: one a space; the kernel's is outside of the others', and guards the
 * list of spaces. verso_space_switch() takes none. One for the list of cache
 * types, inside of those. Of what is declared here only space_lock() takes a
 * space's: whoever changes something holds it; a panic's report does not.
 *
 * Source: Intel SDM vol. 3A, chapter 4; the mirror is widely known as
 * "recursive page tables".
 */
#ifndef VERSO_SRC_TABLES_H
#define VERSO_SRC_TABLES_H

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
struct paging_state {
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
    vaddr_t kernel_first; /* from here on all are addresses, and no users' */
    vaddr_t window, window_end; /* WINDOWS pages a CPU */
    struct pte *window_entries; /* theirs, in one table */
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
};

extern struct paging_state verso_i_paging; /* in paging.c */

/* As paging's files call it. */
#define paging verso_i_paging

/* A constant where the machine leaves no choice. */
ALWAYS_INLINE unsigned top_of(const struct space *space)
{
    (void)space; /* all have as many */
    return MMU_LEVELS_MIN == MMU_LEVELS_MAX ? MMU_LEVELS_MAX - 1 : paging.top;
}

/* ---- frames ---- */

static inline struct frame *frame_find(pfn_t pfn)
{
    return pfn_nr(pfn) < paging.frame_count ? &paging.frames[pfn_nr(pfn)]
                                            : NULL;
}

/* The frame of a table: always in the array. */
static inline struct frame *frame_get(pfn_t pfn)
{
    VERSO_ASSERT(pfn_nr(pfn) < paging.frame_count);
    return &paging.frames[pfn_nr(pfn)];
}

static inline unsigned cache_of(unsigned flags)
{
    return (flags & VERSO_CACHE_MASK) >> VERSO_CACHE_SHIFT;
}

static inline void *direct_address(pfn_t pfn)
{
    return (void *)(paging.direct_offset + bytes_of(pfn_nr(pfn)));
}

static inline bool is_direct(pfn_t pfn)
{
    return !paging.on || ((uint64_t)pfn_nr(pfn) + 1) << VERSO_PAGE_SHIFT <=
                             paging.direct_bytes;
}

static inline void chain_push(struct verso_chain *chain, pfn_t pfn)
{
    frame_get(pfn)->link = pfn_nr(chain->first);
    chain->first = pfn;
    chain->pages++;
}

static inline pfn_t chain_pop(struct verso_chain *chain)
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

/* ---- entries ---- */

static inline vaddr_t step_of(unsigned level)
{
    return (vaddr_t)1 << MMU_LEVEL_SHIFT(level);
}

static inline size_t index_of(vaddr_t va, unsigned level)
{
    return (va >> MMU_LEVEL_SHIFT(level)) & (MMU_ENTRIES(level) - 1);
}

/* Entries from that of va to the end of its table, of a root of several frames
 * to the end of its frame, but not beyond `pages`. */
static inline size_t run_of(vaddr_t va, unsigned level, size_t pages)
{
    size_t room = FRAME_ENTRIES - index_of(va, level) % FRAME_ENTRIES;
    size_t wanted = pages >> (MMU_BITS * level);
    return wanted < room ? wanted : room;
}

/* Pages from va to the end of what its entry at `level` covers. */
static inline size_t pages_to_end(vaddr_t va, unsigned level)
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

/* The host's leaf as we would have made it. */
static inline struct pte pte_made_ours(struct pte e, pte_raw_t bits)
{
    return pte_with_use(pte_leaf(pte_pfn(e), bits), pte_use(e));
}

/* The entry of va in a table of this level, reached past the mirror; a window
 * that it takes is open as long as no other table of the level is asked for. */
struct pte *verso_i_tables_entry_in(pfn_t table, unsigned level, vaddr_t va);
/* pte_at(), past the mirror. */
struct pte *verso_i_tables_at(
    const struct space *space, unsigned level, vaddr_t va);

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
        return verso_i_tables_at(space, level, va);
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

/* The same past the mirror. */
struct place verso_i_tables_walk(const struct space *space, vaddr_t va);

/* Inlined once for each number of levels, so that shifts are constants. */
ALWAYS_INLINE struct place find_place(const struct space *space, vaddr_t va)
{
    if (likely(space->shown == MMU_LEVELS_MIN - 1))
        return walk(va, MMU_LEVELS_MIN - 1);
    if (MMU_LEVELS_MIN == MMU_LEVELS_MAX || space->shown == 0)
        return verso_i_tables_walk(space, va);
    return walk(va, MMU_LEVELS_MAX - 1);
}

/* The same where it is not worth its size. Returns the level. */
unsigned verso_i_tables_find(
    const struct space *space, vaddr_t va, struct pte **entry);

/* The frame of the table that holds the entry of va at a level. */
static inline pfn_t table_of(
    const struct space *space, unsigned level, vaddr_t va)
{
    if (level == top_of(space))
        return pfn_add(space->root,
            index_of(va, level) * sizeof(struct pte) >> VERSO_PAGE_SHIFT);
    return pte_pfn(pte_load(pte_at(space, level + 1, va)));
}

static inline void live_add(
    struct space *space, unsigned level, vaddr_t va, size_t count)
{
    struct frame *table = frame_get(table_of(space, level, va));
    table->live = (uint16_t)(table->live + count);
}

static inline vaddr_t mirror_start(const struct space *space)
{
    return extended(top_of(space),
        (vaddr_t)paging.mirror_slot << MMU_LEVEL_SHIFT(top_of(space)));
}

static inline bool is_mirror(
    const struct space *space, vaddr_t va, size_t pages)
{
    return va <= paging.mirror_last &&
           va + bytes_of(pages) - 1 >= mirror_start(space);
}

/* The entry of a root that names it, or one of its frames. */
static inline struct pte mirror_entry(const struct space *space, vaddr_t va)
{
    const pfn_t frame =
        pfn_add(space->root, index_of(va, top_of(space)) - paging.mirror_slot);
    return (struct pte){known(pte_mirror(frame).raw)};
}

/* ---- whose an entry or a table is ---- */

/* Is this entry of the root the kernel's, the same in every root? */
static inline bool is_kernel_entry(vaddr_t va)
{
    return !is_mirror(&paging.kernel, va, 1) &&
           (va < paging.user_first || va > paging.user_last);
}

/* Does the table under va's entry in the root stay, though it be empty? So that
 * every root can name it, whoever maps the first page. */
static inline bool is_kept(const struct space *space, vaddr_t va)
{
    return MMU_KEEPS_UPPER && !space->is_user &&
           index_of(va, top_of(space)) - paging.kept < paging.kept_count;
}

/* Did somebody else make this table? Then it stays, too. */
ALWAYS_INLINE bool is_hosts(const struct frame *table)
{
    return table->state == FRAME_HOST_TABLE;
}

/* What the CPU sees, for reports. No lock is taken, so it is a copy: whoever
 * edits the space says otherwise how its tables are reached. */
static inline struct space space_seen(void)
{
    const struct space *now = paging.now[cpu_number()];
    struct space seen = now != NULL ? *now : paging.kernel; /* before init */
    seen.shown = paging.use_direct ? 0 : paging.top;
    return seen;
}

/* ---- the lock, and turns: tables.c ---- */

void verso_i_tables_turn_begin(struct space *space);
void verso_i_tables_turn_end(struct space *space);

ALWAYS_INLINE void space_lock(struct space *space)
{
    lock_take(&space->lock);
    if (unlikely(space->is_user))
        verso_i_tables_turn_begin(space);
}

ALWAYS_INLINE void space_unlock(struct space *space)
{
    if (unlikely(space->is_user))
        verso_i_tables_turn_end(space);
    lock_drop(&space->lock);
}

/* Between two steps of a long operation; no entry is in hand. */
ALWAYS_INLINE void space_breathe(struct space *space)
{
    if (unlikely(space->is_user)) {
        verso_i_tables_turn_end(space);
        verso_i_tables_turn_begin(space);
    }
}

/* ---- the kernel's entries, in every root: tables.c ---- */

/* The entry of va in a root, loaded or not; until
 * verso_i_tables_scratch_close(). */
struct pte *verso_i_tables_root_entry(
    const struct space *space, vaddr_t va, pfn_t *frame, uintptr_t *irq);
/* Accessed and dirty of the kernel's entry for va, from every root; with `put`,
 * that is what stands there afterwards. */
pte_raw_t verso_i_tables_visit(vaddr_t va, const struct pte *put);
/* The entry of va was changed in the root that is reached, and held: now in all
 * of them. */
void verso_i_tables_follow(
    const struct space *space, struct pte *entry, vaddr_t va);

/* Is the entry of va at this level, of the kernel, in other roots too? */
ALWAYS_INLINE bool is_shared(const struct space *space, unsigned level)
{
    return level == top_of(space) && !space->is_user &&
           unlikely(paging.kernel.next != NULL);
}

/* ---- flushing: tables.c ---- */

/* `count` pages of a level, from va on, that were live and have changed. */
void verso_i_flush_add(
    struct flush *batch, vaddr_t va, size_t count, unsigned level);
/* What the mirror shows for va's entry at this level. */
void verso_i_flush_add_mirror(
    const struct space *space, struct flush *batch, vaddr_t va, unsigned level);
uint32_t verso_i_flush_submit_locked(struct space *space, struct flush *batch);

/* The number of a flush. */
ALWAYS_INLINE uint32_t flush_count(void)
{
    if (unlikely(++paging.flush == 0)) /* 0 is "none" */
        paging.flush = 1;
    return paging.flush;
}

/* ---- windows, tables, splitting: tables.c; roots: roots.c ---- */

void *verso_i_tables_window_open(unsigned slot, pfn_t pfn);
void verso_i_tables_window_close(unsigned slot);
void *verso_i_tables_scratch_open(pfn_t pfn, uintptr_t *irq);
void verso_i_tables_scratch_close(pfn_t pfn, uintptr_t irq);

/* All `count` tables, cleared, or NO_MEMORY and none. */
int verso_i_tables_take(
    struct space *space, size_t count, struct verso_chain *tables);
/* Stores the entry of va at `level`, which names a table or nothing. */
void verso_i_tables_put(
    struct space *space, unsigned level, vaddr_t va, struct pte e);
void verso_i_tables_hook(struct space *space, unsigned level, vaddr_t va,
    struct verso_chain *tables, bool user);
void verso_i_tables_unhook(
    struct space *space, unsigned level, vaddr_t va, struct flush *batch);
void verso_i_tables_idle_drop(struct space *space);

void verso_i_tables_split(struct space *space, vaddr_t va, unsigned level,
    struct verso_chain *tables, struct flush *batch);
/* NO_MEMORY: what is mapped, and how, is the same. */
int verso_i_tables_split_ends(struct space *space, vaddr_t va, size_t pages);

/* A root, cleared; or none. */
pfn_t verso_i_roots_take(void);

/* Takes the root that is loaded: adopt.c. */
int verso_i_adopt_root(struct space *space, const struct verso_boot *boot);

/* ---- what is asked of ranges, frames and flags ---- */

/* Has one of these frames another cache type? All of them are outside the
 * array: cachetype.c; or any frames in a row: paging.c. */
bool verso_i_cachetype_differs(pfn_t first, size_t pages, unsigned cache);
bool verso_i_paging_row_differs(pfn_t first, size_t pages, unsigned cache);

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

/* Is it a type that the entries of this machine cannot say? */
ALWAYS_INLINE bool cache_is_missing(unsigned flags)
{
    return (paging.cache_types >> cache_of(flags) & 1) == 0;
}

#endif
