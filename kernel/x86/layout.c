/* SPDX-License-Identifier: MIT */
/*
 * layout.c - how this kernel divides physical memory and addresses, as it
 * tells Verso in struct verso_boot.
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
 *     0x60000000       ../pages.c: the kernel's own tables (replay's)
 *     0x80000000       Verso's heap
 *     0xff800000       the mirror of the page tables
 *     0xffc00000       not used: the last entry of the root
 *
 * With `accessor=direct` the identity mapping goes on to the end of RAM, at
 * most to 1 GiB, and Verso reaches its tables there, not through the mirror.
 */
#include "x86.h"

#define HEAP_START   0x80000000u
#define HEAP_END     0xff800000u
#define LOW_END      0xa0000u
#define WINDOW       0xa0000u
#define WINDOW_END   0xb0000u
#define IMAGE_START  0x100000u
#define ZONE_0_END   0x1000000u  /* what ISA devices reach */
#define DIRECT_MAX   0x40000000u /* 1 GiB */
#define IDENTITY_MAX 0x60000000u
#define RESERVED_MAX 12
#define FIXED_MAX    16

static struct verso_range reserved[RESERVED_MAX];
static size_t reserved_count;
static struct verso_fixed fixed[FIXED_MAX];
static size_t fixed_count;
static struct verso_boot boot;

static uint64_t page_up(uint64_t pa)
{
    return (pa + VERSO_PAGE_SIZE - 1) & ~(uint64_t)(VERSO_PAGE_SIZE - 1);
}

static uint64_t page_down(uint64_t pa)
{
    return pa & ~(uint64_t)(VERSO_PAGE_SIZE - 1);
}

static void layout_reserve(uint64_t start, uint64_t end)
{
    if (reserved_count == RESERVED_MAX)
        verso_panic("boot: more than %d reserved ranges", RESERVED_MAX);
    reserved[reserved_count++] =
        (struct verso_range){start, end - start, false};
}

/* Identity: [start, end), which may be empty. */
static void layout_fix(
    uint64_t start, uint64_t end, unsigned flags, const char *name)
{
    if (fixed_count == FIXED_MAX)
        verso_panic("boot: more than %d fixed ranges", FIXED_MAX);
    if (start < end)
        fixed[fixed_count++] = (struct verso_fixed){
            (vaddr_t)start, start, end - start, flags, name};
}

static uint64_t address_of(const char *symbol)
{
    return (uintptr_t)symbol;
}

static void layout_reserve_all(void)
{
    size_t count;
    const struct verso_range *module = multiboot_modules(&count);
    layout_reserve(0, VERSO_PAGE_SIZE);
    layout_reserve(LOW_END, IMAGE_START);
    layout_reserve(IMAGE_START, address_of(kernel_end));
    for (size_t i = 0; i < count; i++)
        layout_reserve(module[i].start, module[i].start + module[i].bytes);
}

/* The end of RAM below 4 GiB. */
static uint64_t layout_ram_end(void)
{
    uint64_t end = 0;
    for (size_t i = 0; i < boot.map_count; i++) {
        uint64_t range_end = boot.map[i].start + boot.map[i].bytes;
        if (boot.map[i].usable && boot.map[i].start >> 32 == 0 &&
            range_end > end)
            end = range_end;
    }
    return page_down(end);
}

static uint64_t layout_identity_end(void)
{
    uint64_t end = boot.frames_pa +
                   page_up((uint64_t)boot.frame_count * sizeof(struct frame));
    if (!boot.use_direct)
        return end;
    uint64_t ram_end = layout_ram_end();
    uint64_t direct_end = ram_end < DIRECT_MAX ? ram_end : DIRECT_MAX;
    return direct_end > end ? direct_end : end;
}

static void layout_fix_all(uint64_t identity_end)
{
    size_t count;
    const struct verso_range *module = multiboot_modules(&count);
    layout_fix(VERSO_PAGE_SIZE, LOW_END, VERSO_RW, "low memory");
    layout_fix(WINDOW_END, IMAGE_START, VERSO_RW | VERSO_CACHE_UC,
        "text screen, BIOS");
    layout_fix(address_of(kernel_text), address_of(kernel_rodata), VERSO_RX,
        "kernel text");
    layout_fix(address_of(kernel_rodata), address_of(kernel_data), VERSO_READ,
        "kernel rodata");
    layout_fix(address_of(kernel_data), address_of(kernel_guard), VERSO_RW,
        "kernel data");
    layout_fix(address_of(kernel_stack), address_of(kernel_end), VERSO_RW,
        "kernel stack");
    layout_fix(address_of(kernel_end), identity_end, VERSO_RW,
        boot.use_direct ? "direct map" : "up to the frame array");
    for (size_t i = 0; i < count; i++) {
        uint64_t end = page_up(module[i].start + module[i].bytes);
        uint64_t start = page_down(module[i].start);
        if (end > identity_end && end <= IDENTITY_MAX)
            layout_fix(start > identity_end ? start : identity_end, end,
                VERSO_READ, "module");
    }
}

void layout_init(void)
{
    const char *accessor = machine_option("accessor");
    boot.map = multiboot_map(&boot.map_count);
    layout_reserve_all();
    boot.reserved = reserved;
    boot.reserved_count = reserved_count;
    boot.use_direct = accessor != NULL && accessor[0] == 'd';
    if (verso_frame_place(&boot, page_up(address_of(kernel_end))) != VERSO_OK)
        verso_panic("boot: no room in RAM for the frame array");

    uint64_t identity_end = layout_identity_end();
    if (identity_end > IDENTITY_MAX)
        verso_panic("boot: the frame array ends at 0x%llx, above 0x%x",
            (unsigned long long)identity_end, IDENTITY_MAX);
    layout_fix_all(identity_end);
    boot.fixed = fixed;
    boot.fixed_count = fixed_count;
    boot.zone_limit[0] = boot.use_direct ? identity_end : ZONE_0_END;
    boot.direct_offset = 0;
    boot.direct_bytes = identity_end;
    boot.window = WINDOW;
    boot.heap_start = HEAP_START;
    boot.heap_pages = (HEAP_END - HEAP_START) >> VERSO_PAGE_SHIFT;
}

const struct verso_boot *machine_boot(void)
{
    return &boot;
}

const void *machine_archive(size_t *bytes)
{
    size_t count;
    const struct verso_range *module = multiboot_modules(&count);
    if (count == 0 || module->start + module->bytes > IDENTITY_MAX)
        return NULL;
    *bytes = (size_t)module->bytes;
    return (const void *)(uintptr_t)module->start;
}

void machine_mirror(struct machine_mirror *mirror)
{
    unsigned slot = boot.mirror_slot ? boot.mirror_slot : 1022;
    mirror->slot = slot;
    mirror->tables = (vaddr_t)slot << 22;
    mirror->directory = mirror->tables + ((vaddr_t)slot << VERSO_PAGE_SHIFT);
    mirror->bytes = 1u << 22;
}
