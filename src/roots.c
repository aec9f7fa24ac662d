/* SPDX-License-Identifier: MIT */
/*
 * roots - several of them: the spaces of users, made, loaded and taken apart.
 *
 *     paging.kernel -> space B -> space A      newest first, (k)
 *         now[cpu] ------^                     whose root a CPU has loaded
 *
 * A user's root begins as a copy of the kernel's entries, with a mirror of its
 * own (the drawing in tables.h); from then on whoever changes an entry of the
 * kernel's root changes it in all (tables.c, verso_i_tables_visit). When a root
 * goes, what the CPU told it alone of use of the kernel's large pages is told
 * to the kernel's.
 *
 * A space has an identifier, where the machine has such and one is left. A load
 * keeps what is cached under it, if that is as the tables say: the space's own
 * changes were flushed or noted (is_stale), the kernel's are counted
 * (kernel_changes), since each root's mirror shows them under its identifier.
 *
 * Invariant:
 *  10. every root has the kernel's entries (accessed and dirty aside), and at
 *      users' addresses none but its own.
 *
 * Locks: the kernel's guards the list and the identifiers; drain takes the
 * users' inside of it. verso_space_switch() takes none, interrupts are off.
 * Cost: a switch is a few loads and compares around the machine's; a space is
 * made in the time of the root's entries.
 */
#include "tables.h"

/* ---- roots, and what spaces have in stock ---- */

/* A root, cleared, and what the machine wants beside it: tables, which stay
 * until root_free(). */
pfn_t verso_i_roots_take(void)
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
        verso_i_paging_clear(pfn_add(root, i));
        frame->state = FRAME_TABLE;
        frame->live = 0;
    }
    if (MMU_ROOT_BESIDE != 0) {
        const pfn_t beside = pfn_add(root, MMU_ROOT_FRAMES);
        uintptr_t irq;
        mmu_root_beside(verso_i_tables_scratch_open(beside, &irq), root);
        verso_i_tables_scratch_close(beside, irq);
    }
    return root;
}

static void root_free(pfn_t root)
{
    for (unsigned i = 0; i < ROOT_PAGES; i++)
        verso_frame_free1(pfn_add(root, i));
}

/* Takes a space's idle and spare tables away; the caller frees them. */
static void spare_take(struct space *space, struct verso_chain *into)
{
    verso_i_tables_idle_drop(space);
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
        pte_store(verso_i_tables_root_entry(space, va, &frame, &irq), e);
        verso_i_tables_scratch_close(frame, irq);
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
    space->root = verso_i_roots_take();
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
        const pte_raw_t use = verso_i_tables_visit(va, NULL);
        struct pte *entry =
            verso_i_tables_root_entry(&paging.kernel, va, &frame, &irq);
        struct pte e = pte_load(entry);
        while (!pte_replace(entry, &e, pte_with_use(e, use))) {
        }
        verso_i_tables_scratch_close(frame, irq);
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

/* ---- which one is loaded ---- */

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
