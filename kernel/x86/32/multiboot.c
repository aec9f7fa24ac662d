/* SPDX-License-Identifier: MIT */
/*
 * multiboot.c - what a Multiboot 1 loader says.
 *
 *     info:  +0 flags  +4 mem_lower  +8 mem_upper  +16 cmdline
 *            +20 mods_count  +24 mods_addr  +44 mmap_length  +48 mmap_addr
 *
 * Source: Multiboot Specification 0.6.96, 3.3.
 */
#include "../x86.h"

#define MULTIBOOT_MAGIC  0x2badb002u
#define INFO_HAS_MEMORY  0x01u
#define INFO_HAS_CMDLINE 0x04u
#define INFO_HAS_MODULES 0x08u
#define INFO_HAS_MAP     0x40u
#define MAP_TYPE_RAM     1u

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

static void map_read(const struct multiboot_info *info)
{
    uint32_t at = info->mmap_addr;
    uint32_t end = info->mmap_addr + info->mmap_length;
    while (at < end) {
        const struct multiboot_range *r =
            (const struct multiboot_range *)(uintptr_t)at;
        loader_add_range((uint64_t)r->start_high << 32 | r->start_low,
            (uint64_t)r->bytes_high << 32 | r->bytes_low,
            r->type == MAP_TYPE_RAM);
        at += r->size + (uint32_t)sizeof r->size;
    }
}

static void modules_read(const struct multiboot_info *info)
{
    const struct multiboot_module *m =
        (const struct multiboot_module *)(uintptr_t)info->mods_addr;
    for (uint32_t i = 0; i < info->mods_count; i++, m++)
        loader_add_module(m->start, m->end - m->start);
}

void loader_read(uint32_t magic, uintptr_t address)
{
    const struct multiboot_info *info = (const struct multiboot_info *)address;
    if (magic != MULTIBOOT_MAGIC)
        verso_panic("boot: not started by a Multiboot 1 loader: eax=0x%08x, "
                    "not 0x%08x",
            magic, MULTIBOOT_MAGIC);
    if (info->flags & INFO_HAS_CMDLINE)
        loader_set_command_line((const char *)(uintptr_t)info->cmdline);
    if (info->flags & INFO_HAS_MODULES)
        modules_read(info);
    if (info->flags & INFO_HAS_MAP) {
        map_read(info);
    } else if (info->flags & INFO_HAS_MEMORY) {
        loader_add_range(0, (uint64_t)info->mem_lower << 10, true);
        loader_add_range(0x100000, (uint64_t)info->mem_upper << 10, true);
    } else {
        verso_panic(
            "boot: the loader tells no memory (flags 0x%x)", info->flags);
    }
}
