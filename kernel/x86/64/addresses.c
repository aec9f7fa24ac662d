/* SPDX-License-Identifier: MIT */
/*
 * addresses.c - how the 64-bit kernel divides addresses. All are in the upper
 * half, and so far up that they are the same with four and with five levels:
 *
 *     0                 the lower half: user spaces, different in each
 *     ffff8000 00000000 all RAM, at a fixed distance from its physical address:
 *                         R W   without the kernel's image
 *                         R W   text screen, BIOS: uncached
 *     ffffe000 00000000 ../../pages.c: the kernel's own tables (replay's)
 *     ffffe080 00000000 the tests'
 *     ffffe100 00000000 Verso's heap: up to 16 TiB, by the size of RAM
 *     ffffff00 00000000 the mirror of the page tables, with four levels; with
 *                       five it is at fffe0000 00000000
 *     ffffffff 80000000 R X     kernel: text
 *       (+ 1 MiB)       R       kernel: rodata
 *                       R W     kernel: data; a hole, one page: the guard
 *                       R W     kernel: stack
 *     ffffffff fffff000 not used: the last page
 *
 * Physical memory: the frame array lies right behind the image, or where there
 * is room. Zone 0 ends at 4 GiB: the early tables of boot.S reach no farther,
 * and the tables made at start come from there; so do all of them with
 * `accessor=direct`, with which Verso reaches its tables through the mapping of
 * all RAM, not through the mirror.
 */
#include "../x86.h"

#define OWN_WINDOW  0xffffe00000000000u
#define TEST_WINDOW 0xffffe08000000000u
#define HEAP_START  0xffffe10000000000u
#define HOST_EXTRA  0xfffff50000000000u /* with `adopt`, the host's */
#define HEAP_STEP   0x0000008000000000u /* 512 GiB: what one table covers */
#define HEAP_STEPS  32u                 /* 16 TiB at the most */
#define RAM_A_STEP  0x0000000001000000u /* for each 16 MiB of RAM a step */
#define RAM_MAX     0x0000400000000000u /* 64 TiB, up to OWN_WINDOW */
#define EARLY_END   0x0000000100000000u /* boot.S */
#define CR4_LA57    0x00001000u

static bool is_in(const struct verso_range *range, uint64_t pa)
{
    return pa >= range->start && pa - range->start < range->bytes;
}

/* Is it RAM, and nothing else besides, and not the kernel's image? */
static bool ram_is_at(uint64_t pa)
{
    bool usable = false;
    if (pa >= page_down((uintptr_t)kernel_text - X86_IMAGE) &&
        pa < layout_image_end())
        return false;
    for (size_t i = 0; i < layout.map_count; i++) {
        if (!is_in(&layout.map[i], pa))
            continue;
        if (!layout.map[i].usable)
            return false;
        usable = true;
    }
    return usable;
}

/* The next address above pa at which that may change; 0: there is none. */
static uint64_t ram_next(uint64_t pa)
{
    uint64_t next = pa < layout_image_end() ? layout_image_end() : 0;
    for (size_t i = 0; i < layout.map_count; i++) {
        const uint64_t start = layout.map[i].start;
        const uint64_t edge[2] = {start, start + layout.map[i].bytes};
        for (size_t e = 0; e < 2; e++)
            if (edge[e] > pa && (next == 0 || edge[e] < next))
                next = edge[e];
    }
    return next;
}

/* Maps all RAM from 1 MiB on; returns where it ends. */
static uint64_t ram_fix(void)
{
    uint64_t end = X86_LOW_DEVICES_END, start = 0;
    for (uint64_t pa = end; pa != 0; pa = ram_next(pa)) {
        if (ram_is_at(pa)) {
            start = start != 0 ? start : page_up(pa);
            continue;
        }
        if (start != 0) {
            end = page_down(pa);
            layout_fix(X86_PHYSICAL + start, start, end, VERSO_RW, "memory");
        }
        start = 0;
    }
    return end;
}

static bool has_five_levels(void)
{
    return (read_cr4() & CR4_LA57) != 0;
}

/* The lower half. */
static uint64_t user_bytes(void)
{
    return (uint64_t)1 << (has_five_levels() ? 56 : 47);
}

/* A table is made at start for each step (arch.h: MMU_KEEPS_UPPER), so that a
 * small machine has less. */
static uint64_t heap_bytes(void)
{
    uint64_t steps = (layout.direct_bytes + RAM_A_STEP / 2) / RAM_A_STEP;
    steps = steps < HEAP_STEPS ? steps : HEAP_STEPS;
    return (steps > 0 ? steps : 1) * HEAP_STEP;
}

void machine_layout(void)
{
    const struct layout_host host = {.levels = has_five_levels() ? 5 : 4,
        .extra = HOST_EXTRA,
        .later = HOST_EXTRA + (6u << 21),
        .own_slot = 510,
        .self_slot = has_five_levels() ? 300 : 495,
        .mirror_slot = has_five_levels() ? 310 : 500};
    const char *accessor = machine_option("accessor");
    layout.map = loader_map(&layout.map_count);
    layout_reserve_all();
    layout.use_direct = accessor != NULL && accessor[0] == 'd';
    layout.direct_offset = X86_PHYSICAL;
    if (verso_frame_place(&layout, page_up(layout_image_end())) != VERSO_OK)
        verso_panic("boot: no room in RAM for the frame array");
    layout_adopt_reserve();
    const uint64_t frames_end =
        layout.frames_pa + (uint64_t)layout.frame_count * sizeof(struct frame);
    layout_fix_low(X86_LOW_END);
    layout_fix_image();
    layout.direct_bytes = ram_fix();
    if (frames_end > EARLY_END || layout.direct_bytes > RAM_MAX)
        verso_panic("boot: too much memory: RAM ends at 0x%llx, the frame "
                    "array at 0x%llx",
            (unsigned long long)layout.direct_bytes,
            (unsigned long long)frames_end);
    layout.zone_limit[0] = EARLY_END;
    layout.user_start = 0;
    layout.user_pages = user_bytes() >> VERSO_PAGE_SHIFT;
    layout.heap_start = HEAP_START;
    layout.heap_pages = heap_bytes() >> VERSO_PAGE_SHIFT;
    layout_adopt(&host);
}

void machine_started(void)
{
}

const char *x86_kind(void)
{
    return has_five_levels() ? "x86_64, five levels" : "x86_64, four levels";
}

vaddr_t machine_own_window(void)
{
    return OWN_WINDOW;
}

vaddr_t machine_test_window(void)
{
    return TEST_WINDOW;
}

const void *machine_archive(size_t *bytes)
{
    size_t count;
    const struct verso_range *module = loader_modules(&count);
    if (count == 0)
        return NULL;
    *bytes = (size_t)module->bytes;
    return (const void *)(X86_PHYSICAL + module->start);
}

void machine_mirror(struct machine_mirror *mirror)
{
    const unsigned slot = layout.mirror_slot ? layout.mirror_slot : 510;
    const unsigned top = has_five_levels() ? 48 : 39; /* bits below its index */
    vaddr_t page = 0; /* index `slot` at each level */
    for (unsigned shift = VERSO_PAGE_SHIFT; shift <= top; shift += 9)
        page |= (vaddr_t)slot << shift;
    const vaddr_t sign = ~(vaddr_t)0 << top << 9;
    mirror->slot = slot;
    mirror->slots = 1;
    mirror->bits = 9;
    mirror->bytes = (uint64_t)1 << top;
    mirror->tables = ((vaddr_t)slot << top) | (slot > 255 ? sign : 0);
    mirror->directory = page | (slot > 255 ? sign : 0);
}
