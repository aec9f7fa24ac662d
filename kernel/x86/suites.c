/* SPDX-License-Identifier: MIT */
/*
 * suites.c - what only an x86 has: the registers that say what entries mean.
 */
#include "../../test/test.h"
#include "x86.h"

#define CR0_CD 0x40000000u
#define CR0_NW 0x20000000u

/* SDM vol. 3A, table 11-10. */
#define PAT_UC 0u
#define PAT_WC 1u
#define PAT_WT 4u
#define PAT_WB 6u

/* pitfall 24: the four that entries without a PAT bit choose from, which is
 * VERSO_CACHE_* >> VERSO_CACHE_SHIFT. */
TEST(the_machine_takes_each_cache_type_for_what_it_is_called)
{
    static const struct {
        unsigned flags, type;
    } want[] = {{VERSO_CACHE_WB, PAT_WB}, {VERSO_CACHE_WT, PAT_WT},
        {VERSO_CACHE_WC, PAT_WC}, {VERSO_CACHE_UC, PAT_UC}};
    if (x86_pat_at_start == 0)
        SKIP("this CPU has no page attribute table");
    if (machine_boot()->adopt)
        SKIP("the host's entries are in use");
    const uint64_t pat = read_msr(X86_MSR_PAT);
    for (size_t i = 0; i < ARRAY_COUNT(want); i++)
        CHECK_EQ(
            pat >> 8 * (want[i].flags >> VERSO_CACHE_SHIFT) & 7, want[i].type);
    CHECK(pat >> 32 == x86_pat_at_start >> 32);
}

/* What the host's entries mean is not changed; a type that they cannot say is
 * not to be had (the word adopt=pat). */
TEST(the_hosts_cache_types_stay_and_those_it_has_not_are_refused)
{
    size_t pages;
    if (x86_pat_at_start == 0 || !machine_boot()->adopt)
        SKIP("no page attribute table, or one of Verso's");
    const vaddr_t va = test_window(&pages);
    const uint64_t pat = read_msr(X86_MSR_PAT);
    const uint64_t wt = pat >> 8 & 7;
    const pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
    CHECK(pat == x86_pat_of_host());
    if (!CHECK(!pfn_is_none(pfn)))
        return;
    verso_frame_set_cache(pfn, VERSO_CACHE_WT);
    CHECK_EQ(verso_map(va, pfn, 1, VERSO_RW | VERSO_CACHE_WT),
        wt == PAT_WT ? VERSO_OK : VERSO_DENIED);
    CHECK_OK(verso_unmap(va, 1));
    verso_frame_free1(pfn);
    /* a first touch, in a table that is there */
    void *near = verso_area_alloc(1, VERSO_AREA_MAPPED);
    void *lazy = verso_area_alloc(1, VERSO_AREA_LAZY | VERSO_CACHE_WT);
    CHECK_EQ(verso_fault((vaddr_t)lazy, VERSO_FAULT_WRITE),
        wt == PAT_WT ? VERSO_FAULT_HANDLED : VERSO_FAULT_NOT_OURS);
    verso_area_free(lazy);
    verso_area_free(near);
}

/* Not all firmware turns them on. */
TEST(the_caches_are_on_or_off_as_the_loader_left_them)
{
    CHECK_EQ((read_cr0() ^ x86_cr0_at_start) & (CR0_CD | CR0_NW), 0);
}

SUITE(x86, the_machine_takes_each_cache_type_for_what_it_is_called,
    the_hosts_cache_types_stay_and_those_it_has_not_are_refused,
    the_caches_are_on_or_off_as_the_loader_left_them);
