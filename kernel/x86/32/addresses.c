/* SPDX-License-Identifier: MIT */
/*
 * addresses.c - how the 32-bit kernel divides physical memory and addresses.
 *
 *     0                page 0: not mapped, so that NULL faults
 *     4K..640K         R W      low memory
 *     640K             the window through which Verso clears frames: takes the
 *                      addresses of the graphics memory, which nobody uses, so
 *                      that it costs no table
 *     704K..1M         R W      text screen, BIOS: uncached
 *     1M               R X      kernel: text
 *                      R        kernel: rodata
 *                      R W      kernel: data; a hole, one page: the guard
 *                      R W      kernel: stack; modules; the frame array
 *     identity end     up to here Paddr == Vaddr. Modules above it have a
 *                      mapping of their own
 *     0x50000000       user spaces: different in each
 *     0x60000000       ../../pages.c: the kernel's own tables (replay's)
 *     0x70000000       the tests'
 *     0x80000000       Verso's heap
 *     0xff800000       the mirror of the page tables; with PAE 0xff000000
 *     0xffc00000       not used: the root's last entry; with PAE 0xff800000
 *
 * With `accessor=direct` the identity mapping goes on to the end of RAM, at
 * most to 1 GiB, and Verso reaches its tables there, not through the mirror.
 */
#include "../x86.h"
#include "tables.h"

#define USER_START   0x50000000u
#define OWN_WINDOW   0x60000000u
#define TEST_WINDOW  0x70000000u
#define HEAP_START   0x80000000u
#define HEAP_END     TABLES_LIMIT
#define WINDOW       0xa0000u
#define WINDOW_END   0xb0000u
#define HOST_EXTRA   0xfb800000u  /* 16 slots: with `adopt`, the host's */
#define ZONE_0_END   0x1000000u   /* what ISA devices reach */
#define ZONE_1_END   0x100000000u /* what CR3 reaches */
#define DIRECT_MAX   0x40000000u  /* 1 GiB */
#define IDENTITY_MAX USER_START

static const struct layout_host host = {.levels = 2,
    .extra = HOST_EXTRA,
    .later = HOST_EXTRA + (6u << 22),
    .own_slot = 1022,
    .self_slot = HOST_EXTRA / (1u << 22) + 12,
    .mirror_slot = HOST_EXTRA / (1u << 22) + 14};

/* Identity: [start, end), which may be empty. */
static void identity_fix(
    uint64_t start, uint64_t end, unsigned flags, const char *name)
{
    layout_fix((vaddr_t)start, start, end, flags, name);
}

/* The end of RAM below 4 GiB. */
static uint64_t layout_ram_end(void)
{
    uint64_t end = 0;
    for (size_t i = 0; i < layout.map_count; i++) {
        uint64_t range_end = layout.map[i].start + layout.map[i].bytes;
        if (layout.map[i].usable && layout.map[i].start >> 32 == 0 &&
            range_end > end)
            end = range_end;
    }
    return page_down(end);
}

static uint64_t layout_identity_end(void)
{
    uint64_t end = layout.frames_pa +
                   page_up((uint64_t)layout.frame_count * sizeof(struct frame));
    if (!layout.use_direct)
        return end;
    uint64_t ram_end = layout_ram_end();
    uint64_t direct_end = ram_end < DIRECT_MAX ? ram_end : DIRECT_MAX;
    return direct_end > end ? direct_end : end;
}

static void layout_fix_all(uint64_t identity_end)
{
    size_t count;
    const struct verso_range *module = loader_modules(&count);
    layout_fix_low(WINDOW_END);
    layout_fix_image();
    identity_fix(layout_image_end(), identity_end, VERSO_RW,
        layout.use_direct ? "direct map" : "up to the frame array");
    for (size_t i = 0; i < count; i++) {
        uint64_t end = page_up(module[i].start + module[i].bytes);
        uint64_t start = page_down(module[i].start);
        if (end > identity_end && end <= IDENTITY_MAX)
            identity_fix(start > identity_end ? start : identity_end, end,
                VERSO_READ, "module");
    }
}

static void cpu_check(void)
{
    uint32_t out[4];
    x86_cpuid(1, out);
    if ((out[3] & TABLES_CPUID) != TABLES_CPUID)
        verso_panic("boot: this CPU has no PAE (CPUID 1: 0x%08x)", out[3]);
}

void machine_layout(void)
{
    const char *accessor = machine_option("accessor");
    cpu_check();
    layout.map = loader_map(&layout.map_count);
    layout_reserve_all();
    layout.use_direct = accessor != NULL && accessor[0] == 'd';
    if (verso_frame_place(&layout, page_up(layout_image_end())) != VERSO_OK)
        verso_panic("boot: no room in RAM for the frame array");
    layout_adopt_reserve();

    uint64_t identity_end = layout_identity_end();
    if (identity_end > IDENTITY_MAX)
        verso_panic("boot: the frame array ends at 0x%llx, above 0x%x",
            (unsigned long long)identity_end, IDENTITY_MAX);
    layout_fix_all(identity_end);
    /* what tables are made of at start must be mapped, if paging is on */
    layout.zone_limit[0] =
        layout.use_direct || layout_is_adopted() ? identity_end : ZONE_0_END;
    layout.zone_limit[1] = ZONE_1_END;
    layout.direct_bytes = identity_end;
    layout.window = WINDOW;
    layout.user_start = USER_START;
    layout.user_pages = (OWN_WINDOW - USER_START) >> VERSO_PAGE_SHIFT;
    layout.heap_start = HEAP_START;
    layout.heap_pages =
        ((layout_is_adopted() ? HOST_EXTRA : HEAP_END) - HEAP_START) >>
        VERSO_PAGE_SHIFT;
    layout_adopt(&host);
}

void machine_started(void)
{
    gdt_set_root(read_cr3());
}

const char *x86_kind(void)
{
    return TABLES_KIND;
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
    if (count == 0 || module->start + module->bytes > IDENTITY_MAX)
        return NULL;
    *bytes = (size_t)module->bytes;
    return (const void *)(uintptr_t)module->start;
}

void machine_mirror(struct machine_mirror *mirror)
{
    unsigned slot = layout.mirror_slot ? layout.mirror_slot : TABLES_SLOT;
    mirror->slot = slot;
    mirror->slots = TABLES_SLOTS;
    mirror->bits = TABLES_BITS;
    mirror->tables = (vaddr_t)slot << TABLES_SHIFT;
    mirror->directory = mirror->tables + ((vaddr_t)slot << VERSO_PAGE_SHIFT);
    mirror->bytes = 1u << TABLES_SHIFT;
}
