/* SPDX-License-Identifier: MIT */
/*
 * conformance.c - does a port keep the contract of arch/arch.h? Entries are
 * taken apart and put together again at every level; nothing here knows a bit
 * by its number. A new port runs this first.
 *
 * Also tells the other suites what only mmu.h knows (geometry.h).
 */
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
    VERSO_CACHE_WB, VERSO_CACHE_WT, VERSO_CACHE_UC};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A frame that is aligned for a leaf of any level that may have one. */
static pfn_t frame_for(unsigned level)
{
    return pfn_make((uint32_t)(5 * MMU_LEVEL_PAGES(level)));
}

/* Calls each(level, flags) for every leaf that can be. */
static void for_each_leaf(void (*each)(unsigned level, unsigned flags))
{
    for (unsigned level = 0; level < mmu_levels(); level++)
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
    for (unsigned level = 0; level < mmu_levels(); level++) {
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
        struct pte e = pte_with_rights(old, level, all_rights[r], false);
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

TEST(losing_a_right_needs_a_flush_and_gaining_one_does_not)
{
    for (unsigned level = 0; level < mmu_levels(); level++) {
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
    (void)top; /* a port with one kind of table does not look */
    CHECK(mmu_is_on());
}

SUITE(conformance, a_leaf_says_what_it_was_made_of_at_every_level,
    an_entry_without_rights_is_live_and_not_present,
    an_entry_for_a_table_is_a_harmless_leaf_when_the_mirror_shows_it,
    new_rights_leave_frame_cache_type_and_size,
    the_parts_of_a_large_leaf_are_what_small_leaves_would_be,
    losing_a_right_needs_a_flush_and_gaining_one_does_not,
    entries_are_stored_and_exchanged_whole,
    the_geometry_covers_the_address_space_and_the_mirror_is_not_last);

/* ---- geometry.h ---- */

size_t geometry_large_pages(void)
{
    return mmu_has_large(1) ? MMU_LEVEL_PAGES(1) : 0;
}

size_t geometry_table_pages(void)
{
    return MMU_LEVEL_PAGES(1);
}

vaddr_t geometry_mirror(size_t *pages)
{
    unsigned top = mmu_levels() - 1;
    vaddr_t slot = machine_boot()->mirror_slot;
    if (slot == 0)
        slot = MMU_MIRROR_SLOT;
    *pages = MMU_MIRROR_SLOTS * MMU_LEVEL_PAGES(top);
    return slot << MMU_LEVEL_SHIFT(top);
}

vaddr_t geometry_mirror_entry(vaddr_t va)
{
    size_t pages;
    vaddr_t start = geometry_mirror(&pages);
    size_t index = va >> VERSO_PAGE_SHIFT;
    return start + index * sizeof(struct pte);
}

uint32_t geometry_entry_pfn(vaddr_t entry)
{
    return pfn_nr(pte_pfn(pte_load((const struct pte *)entry)));
}

bool geometry_user_reaches(vaddr_t va)
{
    vaddr_t entry = va;
    for (unsigned level = 0; level < mmu_levels(); level++) {
        struct verso_mapping m;
        entry = geometry_mirror_entry(entry);
        if (verso_query(entry, &m) != VERSO_OK)
            return false;
        if ((pte_flags(pte_load((const struct pte *)entry)) & VERSO_USER) == 0)
            return false;
    }
    return true;
}

pfn_t geometry_root(void)
{
    return mmu_root();
}
