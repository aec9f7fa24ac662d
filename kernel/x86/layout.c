/* SPDX-License-Identifier: MIT */
/*
 * layout.c - how this kernel divides memory, as it tells Verso in struct
 * verso_boot: the lists, one entry at a time. What stands in them, and where
 * everything lies, is decided in 32/addresses.c and 64/addresses.c.
 */
#include "x86.h"

#define RESERVED_MAX 12
#define FIXED_MAX    40

static struct verso_range reserved[RESERVED_MAX];
static struct verso_fixed fixed[FIXED_MAX];

struct verso_boot layout = {.reserved = reserved, .fixed = fixed};

uint64_t page_up(uint64_t pa)
{
    return (pa + VERSO_PAGE_SIZE - 1) & ~(uint64_t)(VERSO_PAGE_SIZE - 1);
}

uint64_t page_down(uint64_t pa)
{
    return pa & ~(uint64_t)(VERSO_PAGE_SIZE - 1);
}

void layout_reserve(uint64_t start, uint64_t end)
{
    if (layout.reserved_count == RESERVED_MAX)
        verso_panic("boot: more than %d reserved ranges", RESERVED_MAX);
    reserved[layout.reserved_count++] =
        (struct verso_range){start, end - start, false};
}

void layout_fix(
    vaddr_t va, uint64_t start, uint64_t end, unsigned flags, const char *name)
{
    if (layout.fixed_count == FIXED_MAX)
        verso_panic("boot: more than %d fixed ranges", FIXED_MAX);
    if (start < end)
        fixed[layout.fixed_count++] =
            (struct verso_fixed){va, start, end - start, flags, name};
}

static uint64_t image_pa(const char *symbol)
{
    return (uintptr_t)symbol - X86_IMAGE;
}

/* Page 0, what is no memory below 1 MiB, the kernel, the modules. */
void layout_reserve_all(void)
{
    size_t count;
    const struct verso_range *module = loader_modules(&count);
    layout_reserve(0, VERSO_PAGE_SIZE);
    layout_reserve(X86_LOW_END, image_pa(kernel_text));
    layout_reserve(image_pa(kernel_text), image_pa(kernel_end));
    for (size_t i = 0; i < count; i++)
        layout_reserve(module[i].start, module[i].start + module[i].bytes);
}

/* A part of the image, where it is linked. */
static void image_fix(
    const char *start, const char *end, unsigned flags, const char *name)
{
    layout_fix((vaddr_t)start, image_pa(start), image_pa(end), flags, name);
}

/* The kernel; not the page below its stack: the guard. */
void layout_fix_image(void)
{
    image_fix(kernel_text, kernel_rodata, VERSO_RX, "kernel text");
    image_fix(kernel_rodata, kernel_data, VERSO_READ, "kernel rodata");
    image_fix(kernel_data, kernel_guard, VERSO_RW, "kernel data");
    image_fix(kernel_stack, kernel_end, VERSO_RW, "kernel stack");
}

/* Below 1 MiB: memory, and from `devices` on the text screen and the BIOS. */
void layout_fix_low(uint64_t devices)
{
    layout_fix(X86_PHYSICAL + VERSO_PAGE_SIZE, VERSO_PAGE_SIZE, X86_LOW_END,
        VERSO_RW, "low memory");
    layout_fix((vaddr_t)(X86_PHYSICAL + devices), devices, X86_LOW_DEVICES_END,
        VERSO_RW | VERSO_CACHE_UC, "text screen, BIOS");
}

uint64_t layout_image_end(void)
{
    return image_pa(kernel_end);
}

const struct verso_boot *machine_boot(void)
{
    return &layout;
}
