/* SPDX-License-Identifier: MIT */
/*
 * adopt.c - the word `adopt` on the command line: this kernel then plays one
 * that had its own page tables before it met Verso. They are made by
 * test/adopt.c, in memory that the frame array would have taken; all that
 * `fixed` says is in them but one range, and Verso's usual mirror slot is used
 * for something else.
 *
 * With `adopt=pat` it has a page attribute table of its own as well: Linux's,
 * in which PWT alone is write-combining.
 *
 *     64/addresses.c, 32/addresses.c   where the host's own things are
 *     layout_adopt_reserve()           before the layout: the pages
 *     layout_adopt()                   after it: the tables, loaded
 */
#include "../../test/adopt.h"
#include "x86.h"

#define POOL_PAGES 48u
#define POOL_BYTES (POOL_PAGES * VERSO_PAGE_SIZE)
#define LATER      "host's pages" /* which the host has not mapped */

#define CR0_PG    0x80000000u
#define CR4_PSE   0x00000010u
#define CPUID_PSE 0x00000008u /* 1, EDX */
#define CPUID_1G  0x04000000u /* 0x80000001, EDX */
#define MSR_EFER  0xc0000080u
#define EFER_NXE  0x00000800u

#define PAT_LINUX 0x0407050600070106u

static uint64_t pool, pat;

bool layout_is_adopted(void)
{
    return machine_option("adopt") != NULL;
}

/* Where the frame array was placed; that goes elsewhere. */
void layout_adopt_reserve(void)
{
    if (!layout_is_adopted())
        return;
    if (layout.frame_count * sizeof(struct frame) < POOL_BYTES)
        verso_panic("boot: adopt: not enough memory for two kernels' tables");
    pool = layout.frames_pa;
    layout_reserve(pool, pool + POOL_BYTES);
    if (verso_frame_place(&layout, page_up(layout_image_end())) != VERSO_OK)
        verso_panic("boot: no room in RAM for the frame array");
}

/* A page that may be handed out: the first behind the frame array. */
static uint64_t free_page(void)
{
    return page_up(
        layout.frames_pa + (uint64_t)layout.frame_count * sizeof(struct frame));
}

static bool has_feature(uint32_t leaf, uint32_t bit)
{
    uint32_t out[4];
    x86_cpuid(leaf, out);
    return (out[3] & bit) != 0;
}

static void write_msr(uint32_t number, uint64_t value)
{
    __asm__ volatile(
        "wrmsr"
        :
        : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(number));
}

/* Nothing is mapped yet with a type that this changes. */
static void pat_set(void)
{
    const char *word = machine_option("adopt");
    pat = x86_pat_at_start;
    if (pat == 0 || word == NULL || word[0] != 'p')
        return;
    pat = PAT_LINUX;
    write_msr(X86_MSR_PAT, pat);
}

uint64_t x86_pat_of_host(void)
{
    return pat;
}

#ifdef __x86_64__
static void root_load(uintptr_t root)
{
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_NXE);
    __asm__ volatile("mov %0, %%cr3" : : "r"(root) : "memory");
}
#else
static void root_load(uintptr_t root)
{
    uintptr_t word = read_cr4();
    if (has_feature(1, CPUID_PSE))
        __asm__ volatile("mov %0, %%cr4" : : "r"(word | CR4_PSE) : "memory");
    __asm__ volatile("mov %0, %%cr3" : : "r"(root) : "memory");
    __asm__ volatile("mov %%cr0, %0\n\tor %1, %0\n\tmov %0, %%cr0"
                     : "=&r"(word)
                     : "r"(CR0_PG)
                     : "memory", "cc");
}
#endif

void layout_adopt(const struct layout_host *place)
{
    const bool is_64 = sizeof(vaddr_t) > 4;
    struct adopt_host host = {.boot = &layout,
        .pool = pool,
        .pages = POOL_PAGES,
        .free = free_page(),
        .levels = place->levels,
        .large = is_64 || has_feature(1, CPUID_PSE),
        .huge = is_64 && has_feature(0x80000001u, CPUID_1G),
        .extra = place->extra,
        .own_slot = place->own_slot,
        .self_slot = place->self_slot,
        .skip = LATER};
    if (!layout_is_adopted())
        return;
    layout.mirror_slot = place->mirror_slot;
    pat_set();
    layout_fix(
        place->later, pool, pool + 16 * VERSO_PAGE_SIZE, VERSO_READ, LATER);
    root_load((uintptr_t)adopt_make(&host) << VERSO_PAGE_SHIFT);
}
