/* SPDX-License-Identifier: MIT */
/*
 * multiboot.c - what the boot loader says, copied before the memory it lies in
 * is handed out: the memory map, the modules' places, the command line.
 *
 *     info:  +0 flags  +4 mem_lower  +8 mem_upper  +16 cmdline
 *            +20 mods_count  +24 mods_addr  +44 mmap_length  +48 mmap_addr
 *
 * The map is taken as it is; Verso sorts out what overlaps. Only if there are
 * more ranges than fit, usable ones are dropped: that costs memory, while
 * dropping a reserved one would hand it out.
 * Source: Multiboot Specification 0.6.96, 3.3.
 */
#include "x86.h"

#define MULTIBOOT_MAGIC  0x2badb002u
#define INFO_HAS_MEMORY  0x01u
#define INFO_HAS_CMDLINE 0x04u
#define INFO_HAS_MODULES 0x08u
#define INFO_HAS_MAP     0x40u
#define MAP_TYPE_RAM     1u
#define RANGES_MAX       64
#define MODULES_MAX      8
#define COMMAND_LINE_MAX 2048

struct multiboot_info {
    uint32_t flags;
    uint32_t mem_lower, mem_upper; /* KiB below 640K, KiB from 1 MiB up */
    uint32_t boot_device;
    uint32_t cmdline;
    uint32_t mods_count, mods_addr;
    uint32_t symbols[4];
    uint32_t mmap_length, mmap_addr;
};

struct multiboot_module {
    uint32_t start, end;
    uint32_t string;
    uint32_t reserved;
};

struct multiboot_range {
    uint32_t size; /* of what follows */
    uint32_t start_low, start_high;
    uint32_t bytes_low, bytes_high;
    uint32_t type;
};

static struct verso_range ranges[RANGES_MAX];
static size_t range_count;
static struct verso_range modules[MODULES_MAX];
static size_t module_count;
static char command_line[COMMAND_LINE_MAX];

static void map_add(uint64_t start, uint64_t bytes, bool usable)
{
    size_t at = range_count;
    if (at == RANGES_MAX) {
        verso_print("boot: the memory map is too long: memory is lost\n");
        for (at = 0; at < RANGES_MAX && !ranges[at].usable; at++)
            ;
        if (usable || at == RANGES_MAX)
            return;
    } else {
        range_count++;
    }
    ranges[at] = (struct verso_range){start, bytes, usable};
}

static void map_read(const struct multiboot_info *info)
{
    uint32_t at = info->mmap_addr;
    uint32_t end = info->mmap_addr + info->mmap_length;
    while (at < end) {
        const struct multiboot_range *r =
            (const struct multiboot_range *)(uintptr_t)at;
        map_add((uint64_t)r->start_high << 32 | r->start_low,
            (uint64_t)r->bytes_high << 32 | r->bytes_low,
            r->type == MAP_TYPE_RAM);
        at += r->size + (uint32_t)sizeof r->size;
    }
}

static void modules_read(const struct multiboot_info *info)
{
    const struct multiboot_module *m =
        (const struct multiboot_module *)(uintptr_t)info->mods_addr;
    for (uint32_t i = 0; i < info->mods_count; i++, m++) {
        if (module_count == MODULES_MAX) {
            verso_print("boot: %u modules, the first %d are used\n",
                info->mods_count, MODULES_MAX);
            return;
        }
        modules[module_count++] =
            (struct verso_range){m->start, m->end - m->start, false};
    }
}

static void command_line_read(const char *text)
{
    size_t n = 0;
    while (n < COMMAND_LINE_MAX - 1 && text[n] != 0) {
        command_line[n] = text[n];
        n++;
    }
    if (text[n] != 0)
        verso_print("boot: the command line is cut after %zu characters\n", n);
}

void multiboot_read(uint32_t magic, const void *pointer)
{
    const struct multiboot_info *info = pointer;
    if (magic != MULTIBOOT_MAGIC)
        verso_panic("boot: not started by a Multiboot 1 loader: eax=0x%08x, "
                    "not 0x%08x",
            magic, MULTIBOOT_MAGIC);
    if (info->flags & INFO_HAS_CMDLINE)
        command_line_read((const char *)(uintptr_t)info->cmdline);
    if (info->flags & INFO_HAS_MODULES)
        modules_read(info);
    if (info->flags & INFO_HAS_MAP) {
        map_read(info);
    } else if (info->flags & INFO_HAS_MEMORY) {
        map_add(0, (uint64_t)info->mem_lower << 10, true);
        map_add(0x100000, (uint64_t)info->mem_upper << 10, true);
    } else {
        verso_panic(
            "boot: the loader tells no memory (flags 0x%x)", info->flags);
    }
}

const struct verso_range *multiboot_map(size_t *count)
{
    *count = range_count;
    return ranges;
}

const struct verso_range *multiboot_modules(size_t *count)
{
    *count = module_count;
    return modules;
}

const char *multiboot_command_line(void)
{
    return command_line;
}
