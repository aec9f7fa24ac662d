/* SPDX-License-Identifier: MIT */
/*
 * conformance.c - does a port keep the contract of arch/arch.h? First entries
 * are taken apart and put together again at every level. Then pages of every
 * size are mapped, and the machine is asked what it makes of the entries:
 * faults and their codes, accessed and dirty, rights, invalidation. Nothing
 * here knows a bit by its number. A new port runs this first.
 *
 * Also tells the other suites what only mmu.h knows (geometry.h).
 */
#include <verso/fault.h>
#include <verso/frame.h>
#include <verso/init.h>
#include <verso/paging.h>

#include <mmu.h>

#include "../kernel/machine.h"
#include "geometry.h"
#include "test.h"

static const unsigned all_rights[] = {0, VERSO_READ, VERSO_RW, VERSO_RX,
    VERSO_RW | VERSO_EXEC | VERSO_WX, VERSO_READ | VERSO_USER,
    VERSO_RW | VERSO_USER, VERSO_RX | VERSO_USER};
static const unsigned all_caches[] = {
    VERSO_CACHE_WB, VERSO_CACHE_WT, VERSO_CACHE_WC, VERSO_CACHE_UC};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A frame that is aligned for a leaf of any level that may have one. */
static pfn_t frame_for(unsigned level)
{
    return pfn_make((uint32_t)(5 * MMU_LEVEL_PAGES(level)));
}

/* Calls each(level, flags) for every leaf that can be. */
static void for_each_leaf(void (*each)(unsigned level, unsigned flags))
{
    for (unsigned level = 0; level <= MMU_LARGE_MAX; level++)
        for (size_t r = 0; r < COUNT(all_rights); r++)
            for (size_t c = 0; c < COUNT(all_caches); c++)
                each(level, all_rights[r] | all_caches[c]);
}

static struct pte leaf_of(unsigned level, unsigned flags)
{
    return pte_leaf(frame_for(level), pte_bits(level, flags, false));
}

static void round_trip(unsigned level, unsigned flags)
{
    struct pte e = leaf_of(level, flags);
    unsigned rights = flags & (VERSO_READ | VERSO_WRITE | VERSO_EXEC);
    CHECK(pte_is_live(e));
    CHECK(pte_is_leaf(e, level));
    CHECK_EQ(pfn_nr(pte_pfn(e)), pfn_nr(frame_for(level)));
    CHECK_EQ(pte_flags(e), flags);
    CHECK_EQ(pte_is_present(e), rights != 0);
    CHECK(!pte_is_accessed(e));
    CHECK(!pte_is_dirty(e));
}

TEST(a_leaf_says_what_it_was_made_of_at_every_level)
{
    for_each_leaf(round_trip);
}

TEST(an_entry_without_rights_is_live_and_not_present)
{
    struct pte none = {0};
    CHECK(!pte_is_live(none));
    CHECK(!pte_is_present(none));
    for (unsigned level = 0; level <= MMU_LARGE_MAX; level++) {
        struct pte e = pte_leaf(PFN_NONE, pte_bits(level, 0, false));
        CHECK(e.raw != 0);
        CHECK(pte_is_live(e));
        CHECK(!pte_is_present(e));
    }
}

/* pitfall 9: read through the mirror, an entry for a table is a leaf, whose
 * "global" and PAT bits it must not have; pitfall 7: nor "user" unasked. */
TEST(an_entry_for_a_table_is_a_harmless_leaf_when_the_mirror_shows_it)
{
    for (unsigned level = 1; level < mmu_levels(); level++) {
        for (unsigned user = 0; user < 2; user++) {
            struct pte e = pte_table(pfn_make(0x12345), user != 0);
            CHECK(pte_is_live(e));
            CHECK(pte_is_present(e));
            CHECK(!pte_is_leaf(e, level));
            CHECK(pte_is_leaf(e, 0));
            CHECK_EQ(pfn_nr(pte_pfn(e)), 0x12345);
            CHECK_EQ(e.raw & 0x180, 0);
            CHECK_EQ((pte_flags(e) & VERSO_USER) != 0, user != 0);
            CHECK((pte_flags(e) & VERSO_WRITE) != 0);
        }
    }
}

static void change_rights(unsigned level, unsigned flags)
{
    struct pte old = leaf_of(level, flags);
    for (size_t r = 0; r < COUNT(all_rights); r++) {
        struct pte e =
            pte_with_rights(old, pte_bits(level, all_rights[r], false));
        CHECK_EQ(pte_flags(e), all_rights[r] | (flags & VERSO_CACHE_MASK));
        CHECK_EQ(pfn_nr(pte_pfn(e)), pfn_nr(frame_for(level)));
        CHECK(pte_is_leaf(e, level));
        CHECK(pte_is_live(e));
    }
}

TEST(new_rights_leave_frame_cache_type_and_size)
{
    for_each_leaf(change_rights);
}

static void take_parts(unsigned level, unsigned flags)
{
    if (level == 0)
        return;
    struct pte whole = leaf_of(level, flags);
    const size_t step = MMU_LEVEL_PAGES(level - 1);
    for (size_t i = 0; i < MMU_ENTRIES(level - 1); i++) {
        struct pte part = pte_part(whole, level, i);
        struct pte alone = pte_leaf(pfn_add(frame_for(level), i * step),
            pte_bits(level - 1, flags, false));
        CHECK(part.raw == alone.raw);
    }
}

TEST(the_parts_of_a_large_leaf_are_what_small_leaves_would_be)
{
    for_each_leaf(take_parts);
}

/* pitfall 24: so that nothing is to be moved when a page is split. */
TEST(a_cache_type_is_the_same_bits_at_every_level_and_no_other_types)
{
    for (unsigned level = 0; level <= MMU_LARGE_MAX; level++)
        for (size_t a = 0; a < COUNT(all_caches); a++)
            for (size_t b = 0; b < COUNT(all_caches); b++) {
                pte_raw_t bits = leaf_of(level, VERSO_RW | all_caches[a]).raw ^
                                 leaf_of(level, VERSO_RW | all_caches[b]).raw;
                CHECK(bits == (leaf_of(0, VERSO_RW | all_caches[a]).raw ^
                                  leaf_of(0, VERSO_RW | all_caches[b]).raw));
                CHECK_EQ(bits == 0, a == b);
            }
}

TEST(losing_a_right_needs_a_flush_and_gaining_one_does_not)
{
    for (unsigned level = 0; level <= MMU_LARGE_MAX; level++) {
        struct pte r = leaf_of(level, VERSO_READ);
        struct pte rw = leaf_of(level, VERSO_RW);
        struct pte none = leaf_of(level, 0);
        struct pte gone = {0};
        struct pte moved =
            pte_leaf(pfn_add(frame_for(level), MMU_LEVEL_PAGES(level)),
                pte_bits(level, VERSO_READ, false));
        CHECK(!pte_needs_flush(r, rw));
        CHECK(!pte_needs_flush(none, rw));
        CHECK(!pte_needs_flush(gone, rw));
        CHECK(pte_needs_flush(rw, r));
        CHECK(pte_needs_flush(r, none));
        CHECK(pte_needs_flush(r, gone));
        CHECK(pte_needs_flush(r, moved));
        CHECK(pte_needs_flush(r, leaf_of(level, VERSO_READ | VERSO_CACHE_UC)));
    }
}

TEST(what_users_cannot_reach_is_global_if_asked)
{
    for (unsigned level = 0; level <= MMU_LARGE_MAX; level++) {
        struct pte kernel =
            pte_leaf(frame_for(level), pte_bits(level, VERSO_RW, true));
        struct pte user = pte_with_rights(
            kernel, pte_bits(level, VERSO_RW | VERSO_USER, true));
        CHECK(pte_is_global(kernel));
        CHECK(!pte_is_global(user));
        CHECK(pte_is_global(
            pte_with_rights(user, pte_bits(level, VERSO_RW, true))));
        CHECK(!pte_is_global(leaf_of(level, VERSO_RW)));
        CHECK(pte_needs_flush(kernel, user));
        CHECK(pte_needs_flush(user, kernel));
    }
}

TEST(entries_are_stored_and_exchanged_whole)
{
    struct pte word = {0};
    struct pte a = leaf_of(0, VERSO_RW), b = leaf_of(0, VERSO_READ);
    pte_store(&word, a);
    CHECK(pte_load(&word).raw == a.raw);
    struct pte seen = b;
    CHECK(!pte_replace(&word, &seen, b));
    CHECK(seen.raw == a.raw);
    CHECK(pte_load(&word).raw == a.raw);
    CHECK(pte_replace(&word, &seen, b));
    CHECK(pte_load(&word).raw == b.raw);
}

TEST(the_geometry_covers_the_address_space_and_the_mirror_is_not_last)
{
    const unsigned top = mmu_levels() - 1;
    CHECK(mmu_levels() >= 2);
    CHECK(mmu_levels() <= MMU_LEVELS_MAX);
    CHECK_EQ(MMU_LEVEL_SHIFT(0), VERSO_PAGE_SHIFT);
    CHECK_EQ(MMU_LEVEL_PAGES(0), 1);
    CHECK(MMU_MIRROR_SLOT + MMU_MIRROR_SLOTS < MMU_ENTRIES(top));
    CHECK(!mmu_has_large(0));
    CHECK_EQ(MMU_ENTRIES(top) * sizeof(struct pte),
        MMU_ROOT_FRAMES * VERSO_PAGE_SIZE);
    CHECK(MMU_VA_BITS(mmu_levels()) <= 8 * sizeof(vaddr_t));
    (void)top; /* a port with one kind of table does not look */
    CHECK(mmu_is_on());
}

/* ---- how the machine behaves ---- */

static const struct verso_boot *boot(void)
{
    return machine_boot();
}

/* The entry of va at a level, as Verso reaches it; not by Verso's formula: the
 * mirror shows the entry of an address, and the entry of that entry is the one
 * a level above. */
static struct pte *entry_at(vaddr_t va, unsigned level)
{
    if (!boot()->use_direct) {
        for (unsigned l = 0; l <= level; l++)
            va = geometry_mirror_entry(va);
        return (struct pte *)va;
    }
    pfn_t table = mmu_root();
    for (unsigned l = mmu_levels() - 1;; l--) {
        size_t index = (va >> MMU_LEVEL_SHIFT(l)) & (MMU_ENTRIES(l) - 1);
        vaddr_t at = boot()->direct_offset + index * sizeof(struct pte) +
                     ((vaddr_t)pfn_nr(table) << VERSO_PAGE_SHIFT);
        if (l == level)
            return (struct pte *)at;
        table = pte_pfn(pte_load((struct pte *)at));
    }
}

/* Two frames, and a page of some size over them: the large ones cover more,
 * which is left alone. */
struct sample {
    unsigned level, order;
    pfn_t frames, first; /* of ours, and of the page */
    vaddr_t page, va;    /* of the page, and of our first frame */
    size_t pages;
};

static vaddr_t window(void)
{
    size_t pages;
    return test_window(&pages);
}

static volatile uint32_t *word_at(vaddr_t va)
{
    return (volatile uint32_t *)va;
}

/* A block where a page of this level may begin; else any, of order 1 if need
 * be. (QEMU 7.2 forgets code it has translated only in that part of a large
 * page whose address is invalidated: its first.) */
static pfn_t block_find(unsigned level, unsigned *order)
{
    const uint32_t mask = (uint32_t)MMU_LEVEL_PAGES(level) - 1;
    pfn_t found, others = PFN_NONE;
    *order = VERSO_FRAME_ORDERS - 1;
    while (!pfn_is_none(found = verso_frame_alloc(*order, VERSO_ZONE_ANY))) {
        if ((pfn_nr(found) & mask) == 0)
            break;
        verso_frame_find(found)->link = pfn_nr(others);
        others = found;
    }
    while (!pfn_is_none(others)) {
        pfn_t next = pfn_make(verso_frame_find(others)->link);
        verso_frame_free(others, *order);
        others = next;
    }
    if (pfn_is_none(found))
        found = verso_frame_alloc(*order, VERSO_ZONE_ANY);
    if (pfn_is_none(found)) {
        *order = 1;
        found = verso_frame_alloc(*order, VERSO_ZONE_ANY);
    }
    return found;
}

/* Small pages are two. A large page that covers memory of another cache type
 * cannot be had; a big block keeps clear of such memory, where there is one. */
static bool sample_map(struct sample *s, unsigned level, unsigned flags)
{
    s->level = level;
    s->frames = block_find(level, &s->order);
    if (!CHECK(!pfn_is_none(s->frames)))
        return false;
    const size_t size = MMU_LEVEL_PAGES(level);
    const size_t offset = level == 0 ? 0 : pfn_nr(s->frames) & (size - 1);
    s->pages = level == 0 ? 2 : size;
    s->first = pfn_make(pfn_nr(s->frames) - (uint32_t)offset);
    s->page = window();
    s->va = s->page + (offset << VERSO_PAGE_SHIFT);
    int err = verso_map(s->page, s->first, s->pages, flags);
    if (err != VERSO_DENIED || level == 0)
        return CHECK_OK(err);
    test_note("level %u: some of the memory around is not write-back", level);
    verso_frame_free(s->frames, s->order);
    return false;
}

static void sample_unmap(const struct sample *s)
{
    CHECK_OK(verso_unmap(s->page, s->pages));
    verso_frame_free(s->frames, s->order);
}

static struct pte *sample_entry(const struct sample *s)
{
    return entry_at(s->page, s->level);
}

/* With the mirror, no page is larger than those of level 1: paging.c. */
static void for_each_size(void (*each)(unsigned level))
{
    each(0);
    for (unsigned level = 1; level < mmu_levels(); level++)
        if (mmu_has_large(level) && (level == 1 || boot()->use_direct))
            each(level);
}

static void walk_to(unsigned level)
{
    struct sample s;
    if (!sample_map(&s, level, VERSO_RW))
        return;
    for (unsigned l = mmu_levels() - 1; l > level; l--) {
        struct verso_mapping m;
        struct pte e = pte_load(entry_at(s.va, l));
        CHECK(pte_is_live(e) && pte_is_table(e) && !pte_is_leaf(e, l));
        if (boot()->use_direct)
            continue;
        CHECK_OK(verso_query((vaddr_t)entry_at(s.va, l - 1), &m));
        CHECK_EQ(pfn_nr(pte_pfn(e)), pfn_nr(paddr_to_pfn(m.pa)));
    }
    struct pte leaf = pte_load(sample_entry(&s));
    CHECK(pte_is_leaf(leaf, level));
    CHECK_EQ(pfn_nr(pte_pfn(leaf)), pfn_nr(s.first));
    CHECK_EQ(pte_flags(leaf), VERSO_RW);
    CHECK_EQ(pte_is_global(leaf), mmu_has_global());
    for (uint32_t i = 0; i < 2; i++)
        *word_at(s.va + i * VERSO_PAGE_SIZE) = 0x600d + i;
    CHECK_OK(verso_unmap(s.page, s.pages));
    CHECK_OK(verso_map(window(), s.frames, 2, VERSO_READ));
    for (uint32_t i = 0; i < 2; i++)
        CHECK_EQ(*word_at(window() + i * VERSO_PAGE_SIZE), 0x600d + i);
    CHECK_OK(verso_unmap(window(), 2));
    verso_frame_free(s.frames, s.order);
}

TEST(every_entry_on_the_way_to_a_page_is_found_and_the_page_is_the_frame)
{
    for_each_size(walk_to);
}

/* The code of the fault that an access has, or that it passes. A machine that
 * lets nothing forbid executions does not tell them from reads. */
static int expected(unsigned flags, unsigned how)
{
    const unsigned present = VERSO_READ | VERSO_WRITE | VERSO_EXEC;
    const bool guarded = machine_guards_users(how);
    bool missing = false;
    unsigned code = how;
    if (!MMU_EXEC_ENFORCED && !guarded)
        code &= ~VERSO_FAULT_EXEC;
    if ((flags & present) == 0)
        return (int)code;
    missing |= (how & VERSO_FAULT_WRITE) && !(flags & VERSO_WRITE);
    missing |=
        (how & VERSO_FAULT_EXEC) && !(flags & VERSO_EXEC) && MMU_EXEC_ENFORCED;
    if (how & VERSO_FAULT_USER)
        missing |= !(flags & VERSO_USER);
    else
        missing |= guarded && (flags & VERSO_USER);
    return missing ? (int)(code | VERSO_FAULT_PRESENT) : MACHINE_PASSED;
}

static void access_each(unsigned level)
{
    static const unsigned accesses[] = {0, VERSO_FAULT_WRITE, VERSO_FAULT_EXEC,
        VERSO_FAULT_USER, VERSO_FAULT_USER | VERSO_FAULT_WRITE,
        VERSO_FAULT_USER | VERSO_FAULT_EXEC};
    struct sample s;
    if (!sample_map(&s, level, VERSO_RW))
        return;
    machine_put_return((void *)s.va);
    for (size_t r = 0; r < COUNT(all_rights); r++) {
        CHECK_OK(verso_protect(s.page, s.pages, all_rights[r]));
        for (size_t a = 0; a < COUNT(accesses); a++) {
            int got = machine_access((const volatile void *)s.va, accesses[a]);
            if (got != MACHINE_CANNOT &&
                !CHECK_EQ(got, expected(all_rights[r], accesses[a])))
                test_note("level %u, flags 0x%x, access 0x%x", level,
                    all_rights[r], accesses[a]);
        }
    }
    sample_unmap(&s);
}

/* pitfall 23. */
TEST(each_access_passes_or_faults_as_the_rights_say_with_that_code)
{
    for_each_size(access_each);
}

/* Where the machine keeps the kernel from them at all. */
TEST(the_kernel_reads_and_writes_pages_of_users_while_they_are_open_to_it)
{
    struct sample s;
    if (!sample_map(&s, 0, VERSO_RW | VERSO_USER))
        return;
    const volatile void *at = (const volatile void *)s.va;
    const bool guarded = machine_guards_users(VERSO_FAULT_WRITE);
    machine_open_users(true);
    CHECK(!machine_guards_users(VERSO_FAULT_WRITE));
    CHECK_EQ(machine_access(at, VERSO_FAULT_WRITE), MACHINE_PASSED);
    machine_open_users(false);
    CHECK_EQ(machine_guards_users(VERSO_FAULT_WRITE), guarded);
    CHECK_EQ(machine_access(at, VERSO_FAULT_WRITE),
        expected(VERSO_RW | VERSO_USER, VERSO_FAULT_WRITE));
    sample_unmap(&s);
}

TEST(where_nothing_is_mapped_a_fault_says_so)
{
    const volatile void *nothing = (const volatile void *)window();
    CHECK_EQ(machine_access(nothing, 0), 0);
    CHECK_EQ(machine_access(nothing, VERSO_FAULT_WRITE), VERSO_FAULT_WRITE);
}

/* More address lines than any machine of this port has. */
TEST(an_entry_with_a_bit_that_must_be_0_faults_and_says_so)
{
    if (sizeof(verso_phys_t) == 4)
        SKIP("all bits of a frame's number are address lines");
    CHECK_OK(verso_map(window(), pfn_make(UINT32_MAX), 1, VERSO_RW));
    int code = machine_access((const volatile void *)window(), 0);
    CHECK(code >= 0 && (code & MACHINE_RESERVED)); /* QEMU: not "present" */
    CHECK_OK(verso_unmap(window(), 1));
}

/* A CPU may set more than was used, never less. */
static bool is_used(struct pte e, bool accessed, bool dirty)
{
    if (test_use_is_random && test_use_is_random())
        return pte_is_accessed(e) >= accessed && pte_is_dirty(e) >= dirty;
    return pte_is_accessed(e) == accessed && pte_is_dirty(e) == dirty;
}

static void use_page(unsigned level)
{
    struct sample s;
    if (!sample_map(&s, level, VERSO_RW))
        return;
    CHECK(is_used(pte_load(sample_entry(&s)), false, false));
    (void)*word_at(s.va);
    CHECK(is_used(pte_load(sample_entry(&s)), true, false));
    *word_at(s.va) = 1;
    CHECK(is_used(pte_load(sample_entry(&s)), true, true));
    sample_unmap(&s);
}

/* pitfall 22. */
TEST(the_machine_notes_a_read_and_a_write_in_the_entry_of_the_page)
{
    for_each_size(use_page);
}

/* Only as much as there is room for, but more than a part of the page. */
static void harvest_page(unsigned level)
{
    static unsigned char bits[1025];
    struct sample s;
    if (level == 0 || !sample_map(&s, level, VERSO_RW))
        return;
    size_t pages = s.pages < sizeof(bits) ? s.pages : sizeof(bits);
    for (uint32_t round = 0; round < 2; round++) {
        *word_at(s.va) = round;
        CHECK_OK(verso_harvest(s.page, pages, bits));
        for (size_t i = 0; i < pages; i++)
            if (!CHECK_EQ(bits[i], 3))
                break;
        CHECK(is_used(pte_load(sample_entry(&s)), false, false));
    }
    sample_unmap(&s);
}

TEST(a_page_of_any_size_is_harvested_as_one)
{
    for_each_size(harvest_page);
}

/* A table whose first bytes are made code: its entry is put back before anyone
 * uses it. */
TEST(a_table_that_the_mirror_shows_cannot_be_run)
{
    const vaddr_t shown = geometry_mirror_entry(window());
    if (!MMU_EXEC_ENFORCED || !geometry_has_mirror())
        SKIP("no mirror, or a machine that cannot forbid it");
    CHECK_OK(verso_map(window(), geometry_nowhere(), 1, VERSO_RW));
    const uint64_t entry = geometry_entry(window(), 0);
    machine_put_return((void *)shown);
    CHECK_EQ(machine_access(word_at(shown), VERSO_FAULT_EXEC),
        VERSO_FAULT_EXEC | VERSO_FAULT_PRESENT);
    geometry_entry_set(window(), 0, entry);
    CHECK_OK(verso_unmap(window(), 1));
}

static struct pte leaf_like(struct pte e, pfn_t pfn)
{
    return pte_leaf(pfn, pte_bits(0, pte_flags(e), pte_is_global(e)));
}

/* What stands there, of the kernel or of users. */
static uint32_t look_at(vaddr_t va)
{
    machine_open_users(true);
    uint32_t word = *word_at(va);
    machine_open_users(false);
    return word;
}

/* Two pages, of the kernel and of users, whose entries then name each other's
 * frame: the first word of frame i is i. */
static void swap_frames(struct sample *s)
{
    if (!sample_map(s, 0, VERSO_RW))
        return;
    for (uint32_t i = 0; i < 2; i++)
        *word_at(s->va + i * VERSO_PAGE_SIZE) = i;
    CHECK_OK(
        verso_protect(s->va + VERSO_PAGE_SIZE, 1, VERSO_READ | VERSO_USER));
    for (uint32_t i = 0; i < 2; i++) {
        vaddr_t va = s->va + i * VERSO_PAGE_SIZE;
        CHECK_EQ(look_at(va), i);
        struct pte *entry = entry_at(va, 0);
        pte_store(entry, leaf_like(pte_load(entry), pfn_add(s->frames, 1 - i)));
        CHECK(look_at(va) < 2); /* either */
    }
}

TEST(after_its_invalidation_a_page_is_the_frame_that_its_entry_names)
{
    struct sample s;
    swap_frames(&s);
    for (uint32_t i = 0; i < 2; i++) {
        mmu_invalidate(s.va + i * VERSO_PAGE_SIZE);
        CHECK_EQ(look_at(s.va + i * VERSO_PAGE_SIZE), 1 - i);
    }
    sample_unmap(&s);
}

/* pitfall 18. */
TEST(when_all_is_invalidated_global_pages_are_too)
{
    struct sample s;
    swap_frames(&s);
    mmu_invalidate_all();
    for (uint32_t i = 0; i < 2; i++)
        CHECK_EQ(look_at(s.va + i * VERSO_PAGE_SIZE), 1 - i);
    sample_unmap(&s);
}

TEST(a_root_load_invalidates_what_is_not_global)
{
    struct sample s;
    swap_frames(&s);
    mmu_root_load(mmu_root());
    CHECK_EQ(look_at(s.va + VERSO_PAGE_SIZE), 0);
    mmu_invalidate(s.va);
    CHECK_EQ(*word_at(s.va), 1);
    sample_unmap(&s);
}

/* pitfall 19. What identifier 1 has is of the same root, and goes at the end.
 */
TEST(a_switch_that_does_not_keep_drops_what_the_identifier_had)
{
    struct sample s;
    if (!mmu_has_ids())
        SKIP("no identifiers");
    swap_frames(&s);
    mmu_switch(mmu_root(), 1, false);
    CHECK_EQ(look_at(s.va + VERSO_PAGE_SIZE), 0);
    mmu_switch(mmu_root(), 0, true);
    CHECK(look_at(s.va + VERSO_PAGE_SIZE) < 2); /* either */
    mmu_switch(mmu_root(), 0, false);
    CHECK_EQ(look_at(s.va + VERSO_PAGE_SIZE), 0);
    mmu_invalidate(s.va);
    CHECK_EQ(*word_at(s.va), 1);
    mmu_invalidate_all();
    sample_unmap(&s);
}

static void invalidate_absent(vaddr_t va, bool all)
{
    mmu_switch(mmu_root(), 1, false);
    if (all)
        mmu_invalidate_id_all(0);
    else
        mmu_invalidate_id(0, va);
    mmu_switch(mmu_root(), 0, true);
}

TEST(what_is_invalidated_by_identifier_is_gone_when_that_is_current_again)
{
    if (!mmu_has_ids() || !mmu_has_invalidate_id())
        SKIP("no invalidation by identifier");
    for (unsigned all = 0; all < 2; all++) {
        struct sample s;
        swap_frames(&s);
        invalidate_absent(s.va + VERSO_PAGE_SIZE, all != 0);
        CHECK_EQ(look_at(s.va + VERSO_PAGE_SIZE), 0);
        mmu_invalidate_all();
        sample_unmap(&s);
    }
}

TEST(when_all_is_invalidated_that_is_for_all_identifiers)
{
    struct sample s;
    if (!mmu_has_ids())
        SKIP("no identifiers");
    swap_frames(&s);
    mmu_switch(mmu_root(), 1, false);
    mmu_invalidate_all();
    mmu_switch(mmu_root(), 0, true);
    for (uint32_t i = 0; i < 2; i++)
        CHECK_EQ(look_at(s.va + i * VERSO_PAGE_SIZE), 1 - i);
    sample_unmap(&s);
}

static void lower_rights(unsigned level)
{
    struct sample s;
    if (level == 0 || !sample_map(&s, level, VERSO_RW))
        return;
    struct pte old = pte_load(sample_entry(&s));
    for (uint32_t i = 0; i < 2; i++)
        *word_at(s.va + i * VERSO_PAGE_SIZE) = 5;
    while (!pte_replace(sample_entry(&s), &old,
        pte_with_rights(
            old, pte_bits(level, VERSO_READ, pte_is_global(old))))) {
    }
    mmu_invalidate(s.va + VERSO_PAGE_SIZE);
    for (uint32_t i = 0; i < 2; i++) {
        vaddr_t va = s.va + i * VERSO_PAGE_SIZE;
        CHECK_EQ(machine_access((const volatile void *)va, VERSO_FAULT_WRITE),
            VERSO_FAULT_WRITE | VERSO_FAULT_PRESENT);
        CHECK_EQ(*word_at(va), 5);
    }
    mmu_invalidate_all(); /* as the mirror shows it */
    sample_unmap(&s);
}

/* pitfall 20. */
TEST(one_invalidation_anywhere_in_a_large_page_is_for_all_of_it)
{
    for_each_size(lower_rights);
}

static void split(unsigned level)
{
    struct sample s;
    if (level == 0 || !sample_map(&s, level, VERSO_RW))
        return;
    for (uint32_t i = 0; i < 2; i++)
        *word_at(s.va + i * VERSO_PAGE_SIZE) = 70 + i;
    CHECK_OK(verso_protect(s.va, 1, VERSO_READ));
    for (unsigned l = level; l > 0; l--)
        CHECK(pte_is_table(pte_load(entry_at(s.va, l))));
    for (uint32_t i = 0; i < 2; i++) {
        struct pte e = pte_load(entry_at(s.va + i * VERSO_PAGE_SIZE, 0));
        CHECK_EQ(pfn_nr(pte_pfn(e)), pfn_nr(s.frames) + i);
        CHECK_EQ(pte_flags(e), i == 0 ? VERSO_READ : VERSO_RW);
        CHECK(pte_is_accessed(e) && pte_is_dirty(e));
        CHECK_EQ(*word_at(s.va + i * VERSO_PAGE_SIZE), 70 + i);
    }
    CHECK(machine_probe(word_at(s.va), true));
    CHECK(!machine_probe(word_at(s.va + VERSO_PAGE_SIZE), true));
    /* beside the cut, pages are as large as they can be */
    struct verso_mapping m;
    vaddr_t far = s.page + ((vaddr_t)(s.pages / 2) << VERSO_PAGE_SHIFT);
    if (s.va >= far)
        far = s.page;
    CHECK_OK(verso_query(far, &m));
    CHECK_EQ(m.page_pages, MMU_LEVEL_PAGES(level - 1));
    sample_unmap(&s);
}

/* pitfall 21. */
TEST(a_split_leaves_frames_rights_contents_and_uses_at_every_size)
{
    for_each_size(split);
}

SUITE(conformance, a_leaf_says_what_it_was_made_of_at_every_level,
    an_entry_without_rights_is_live_and_not_present,
    an_entry_for_a_table_is_a_harmless_leaf_when_the_mirror_shows_it,
    new_rights_leave_frame_cache_type_and_size,
    the_parts_of_a_large_leaf_are_what_small_leaves_would_be,
    a_cache_type_is_the_same_bits_at_every_level_and_no_other_types,
    losing_a_right_needs_a_flush_and_gaining_one_does_not,
    entries_are_stored_and_exchanged_whole,
    the_geometry_covers_the_address_space_and_the_mirror_is_not_last,
    what_users_cannot_reach_is_global_if_asked,
    every_entry_on_the_way_to_a_page_is_found_and_the_page_is_the_frame,
    each_access_passes_or_faults_as_the_rights_say_with_that_code,
    the_kernel_reads_and_writes_pages_of_users_while_they_are_open_to_it,
    where_nothing_is_mapped_a_fault_says_so,
    an_entry_with_a_bit_that_must_be_0_faults_and_says_so,
    the_machine_notes_a_read_and_a_write_in_the_entry_of_the_page,
    a_page_of_any_size_is_harvested_as_one,
    a_table_that_the_mirror_shows_cannot_be_run,
    after_its_invalidation_a_page_is_the_frame_that_its_entry_names,
    when_all_is_invalidated_global_pages_are_too,
    a_root_load_invalidates_what_is_not_global,
    a_switch_that_does_not_keep_drops_what_the_identifier_had,
    what_is_invalidated_by_identifier_is_gone_when_that_is_current_again,
    when_all_is_invalidated_that_is_for_all_identifiers,
    one_invalidation_anywhere_in_a_large_page_is_for_all_of_it,
    a_split_leaves_frames_rights_contents_and_uses_at_every_size);

/* ---- geometry.h ---- */

pfn_t geometry_nowhere(void)
{
    return pfn_make(sizeof(verso_phys_t) == 4 ? 0xc0000u : 0xc000000u);
}

unsigned geometry_levels(void)
{
    return mmu_levels();
}

unsigned geometry_va_bits(void)
{
    return MMU_VA_BITS(mmu_levels());
}

size_t geometry_large_pages(void)
{
    return mmu_has_large(1) ? MMU_LEVEL_PAGES(1) : 0;
}

size_t geometry_huge_pages(void)
{
    return boot()->use_direct && mmu_levels() > 2 && mmu_has_large(2)
               ? MMU_LEVEL_PAGES(2)
               : 0;
}

bool geometry_keeps_upper(void)
{
    return MMU_KEEPS_UPPER;
}

size_t geometry_table_pages(void)
{
    return MMU_LEVEL_PAGES(1);
}

void *geometry_entry_at(vaddr_t va, unsigned level)
{
    return entry_at(va, level);
}

uint64_t geometry_entry(vaddr_t va, unsigned level)
{
    return pte_load(entry_at(va, level)).raw;
}

void geometry_entry_set(vaddr_t va, unsigned level, uint64_t raw)
{
    struct pte *entry = entry_at(va, level), old = pte_load(entry);
    while (!pte_replace(entry, &old, (struct pte){(pte_raw_t)raw})) {
    }
    mmu_invalidate_all();
}

uint32_t geometry_raw_pfn(uint64_t raw)
{
    return pfn_nr(pte_pfn((struct pte){(pte_raw_t)raw}));
}

uint64_t geometry_user_bit(void)
{
    return pte_bits(0, VERSO_RW | VERSO_USER, false) ^
           pte_bits(0, VERSO_RW, false);
}

uint64_t geometry_global_bit(void)
{
    return pte_bits(0, VERSO_RW, true) ^ pte_bits(0, VERSO_RW, false);
}

bool geometry_has_mirror(void)
{
    struct machine_mirror mirror;
    size_t pages;
    machine_mirror(&mirror);
    vaddr_t start = geometry_mirror(&pages);
    return mirror.bytes != 0 && geometry_entry(start, mmu_levels() - 1) != 0;
}

vaddr_t geometry_mirror(size_t *pages)
{
    unsigned top = mmu_levels() - 1;
    vaddr_t slot = machine_boot()->mirror_slot;
    if (slot == 0)
        slot = MMU_MIRROR_SLOT;
    const vaddr_t sign = (vaddr_t)1 << (geometry_va_bits() - 1);
    *pages = MMU_MIRROR_SLOTS * MMU_LEVEL_PAGES(top);
    return ((slot << MMU_LEVEL_SHIFT(top)) ^ sign) - sign;
}

vaddr_t geometry_mirror_entry(vaddr_t va)
{
    size_t pages;
    vaddr_t start = geometry_mirror(&pages);
    const unsigned unused = 8 * (unsigned)sizeof(vaddr_t) - geometry_va_bits();
    size_t index = va << unused >> unused >> VERSO_PAGE_SHIFT;
    return start + index * sizeof(struct pte);
}

uint32_t geometry_entry_pfn(vaddr_t entry)
{
    return pfn_nr(pte_pfn(pte_load((const struct pte *)entry)));
}

bool geometry_user_reaches(vaddr_t va)
{
    for (unsigned level = mmu_levels(); level-- > 0;)
        if ((pte_flags(pte_load(entry_at(va, level))) & VERSO_USER) == 0)
            return false;
    return true;
}

pfn_t geometry_root(void)
{
    return mmu_root();
}
