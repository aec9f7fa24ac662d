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

static uintptr_t read_cr0(void)
{
    uintptr_t value;
    __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

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
    const uint64_t pat = read_msr(X86_MSR_PAT);
    for (size_t i = 0; i < ARRAY_COUNT(want); i++)
        CHECK_EQ(
            pat >> 8 * (want[i].flags >> VERSO_CACHE_SHIFT) & 7, want[i].type);
    CHECK(pat >> 32 == x86_pat_at_start >> 32);
}

TEST(the_caches_are_on)
{
    CHECK_EQ(read_cr0() & (CR0_CD | CR0_NW), 0);
}

SUITE(x86, the_machine_takes_each_cache_type_for_what_it_is_called,
    the_caches_are_on);
