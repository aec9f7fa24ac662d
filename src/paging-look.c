/* SPDX-License-Identifier: MIT */
/*
 * paging-look - check and report: all tables are looked at, and nothing is
 * changed.
 *
 *     va:  0 ----> entry_next() ----> skip_others() ----> 0 again: the end
 *          the tables that begin here,     mirror, users', the
 *          from the lowest level up        host's mirror, the hole
 *
 * verso_i_paging_check() goes through every space so, and says which invariant
 * is broken: 1 to 6 (tables.h), 7 (cachetype.c), 8 (tables.c), 9 (paging.c) and
 * 10 (roots.c). Reports go through what the CPU sees, and merge entries that
 * continue each other.
 *
 * Locks: none is taken, so that a panic may ask; whoever checks sees to it that
 * nobody changes anything meanwhile. A user space is looked at in turns, with
 * interrupts off. Cost: one look at every entry of every table.
 */
#include "tables.h"

/* ---- steps through all addresses ---- */

/* For what goes through all addresses: past the hole, if va is in it. */
static vaddr_t skip_hole(const struct space *space, vaddr_t va)
{
    const unsigned top = top_of(space);
    if (is_address(top, va))
        return va;
    return extended(top, translated(top, ~(vaddr_t)0) / 2 + 1);
}

/* Where the entry found for va at `level` ends, and the next one starts; 0 at
 * the top. */
static vaddr_t entry_end(const struct space *space, vaddr_t va, unsigned level)
{
    return skip_hole(space, round_down(va, step_of(level)) + step_of(level));
}

/* Is va in a mirror that the host had, which is no table of its own? */
static bool is_host_mirror(const struct space *space, vaddr_t va)
{
    if (!paging.is_adopted || space->is_user || is_mirror(space, va, 1))
        return false;
    struct pte e = pte_load(pte_at(space, paging.top, va));
    return pte_is_table(e) && pfn_nr(pte_pfn(e)) == pfn_nr(space->root);
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
        verso_i_paging_row_differs(
            pte_pfn(e), MMU_LEVEL_PAGES(level), cache_of(pte_flags(e))))
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
        other = pte_load(
            verso_i_tables_entry_in(paging.kernel.root, paging.top, va));
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
        const struct pte *entries = verso_i_tables_window_open(0, frame);
        for (size_t i = 0; i < count && broken == NULL; i++) {
            vaddr_t va = extended(paging.top, first + i * step_of(paging.top));
            struct pte e = pte_load(&entries[i]);
            broken = check_root_entry(space, va, e, &live);
            check_print(first, paging.top, i, e, broken);
        }
        if (broken == NULL)
            broken = check_live(first, paging.top, live, frame_get(frame));
    }
    verso_i_tables_window_close(0);
    verso_i_tables_window_close(1 + paging.top);
    cpu_irq_restore(irq);
    return broken;
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
                verso_i_tables_turn_begin(space);
            unsigned level = verso_i_tables_find(space, va, &entry);
            broken = check_tables(space, va, level, &tables);
            own = entry_next(space, va, level, entry);
            if (space->is_user)
                verso_i_tables_turn_end(space);
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
    const struct space seen = space_seen(), *const space = &seen;
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
        unsigned level = verso_i_tables_find(space, va, &entry);
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
    const struct space seen = space_seen(), *const space = &seen;
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
    unsigned bottom = verso_i_tables_find(space, va, &last);
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
