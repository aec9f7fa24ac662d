/* SPDX-License-Identifier: MIT */
/*
 * adopt - a root that somebody else made, and loaded, becomes the kernel's: its
 * tables are never freed, and what its pages mean is not changed; entries of
 * ours can be told from the host's (pte_is_own).
 *
 *     root  [ | |x| | ]      struct adoption: at each level the table that is
 *                |           being walked, its next entry, and the rights that
 *     level 1   [ |x| ]      the way down grants; no recursion
 *                  |
 *     level 0     [x| | ]
 *
 * All of its tables are walked once, and are as if we had made them afterwards:
 * entries for tables grant all that ours grant, for what they did not is taken
 * from the pages below them; pages have the rights they really had, as bits and
 * as declared, in entries without a PAT bit. What an access may do is the same
 * before, after and between. A table may be found in several places, if it is
 * at the same level there, and under the same rights: it is counted once.
 *
 * Invariants: 2, 4, 7 and 9 each have an exception for what is the host's.
 *
 * Locks: none, for init is alone. Cost: one look at every entry of the host's;
 * a split a page above level 1, where there is a mirror.
 */
#include "tables.h"

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
    if (verso_i_tables_take(space, 1, &tables) != 0)
        return VERSO_NO_MEMORY;
    verso_i_flush_init(&batch, false);
    verso_i_tables_split(space, va, level, &tables, &batch);
    (void)verso_i_flush_submit_locked(space, &batch);
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
    struct pte *entry = verso_i_tables_entry_in(a->table[l], l, va);
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
    struct pte *entry =
        verso_i_tables_entry_in(a->table[level], level, a->va[level]);
    const struct pte e = pte_load(entry);
    const bool is_user = (pte_grants(e) & VERSO_USER) != 0;
    if (pte_is_live(e) && level > 0 && pte_is_table(e))
        pte_store(entry, pte_table(pte_pfn(e), is_user));
    a->va[level] = extended(
        paging.top, translated(paging.top, a->va[level] + step_of(level)));
    a->left[level]--;
}

static NO_INLINE int adopt_tables(struct space *space)
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
            level = verso_i_tables_find(space, at, &entry);
        VERSO_VERIFY(!pte_is_live(pte_load(entry)),
            "paging: the host has %#llx at %p, which is to be %s (%p, %zu "
            "pages)",
            (unsigned long long)pte_load(entry).raw, (void *)at, what,
            (void *)va, pages);
        page += pages_to_end(at, level);
    }
}

/* Takes the root that is loaded. */
int verso_i_adopt_root(struct space *space, const struct verso_boot *boot)
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
