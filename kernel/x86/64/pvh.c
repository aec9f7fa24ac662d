/* SPDX-License-Identifier: MIT */
/*
 * pvh.c - what a PVH loader says.
 *
 *     start_info:  +0 magic  +4 version  +8 flags  +12 modules
 *                  +16 their list  +24 command line  +32 (ACPI)
 *                  +40 memory map, and  +48 its entries: from version 1 on
 *
 * All addresses are physical.
 * Source: Xen, xen/include/public/arch-x86/hvm/start_info.h.
 */
#include "../x86.h"

#define PVH_MAGIC    0x336ec578u
#define MAP_TYPE_RAM 1u

struct pvh_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp;
    uint64_t map;
    uint32_t map_count, reserved;
};

struct pvh_module {
    uint64_t start, bytes, command_line, reserved;
};

struct pvh_range {
    uint64_t start, bytes;
    uint32_t type, reserved;
};

static const void *physical(uint64_t pa)
{
    return (const void *)(X86_PHYSICAL + pa);
}

void loader_read(uint32_t magic, uintptr_t address)
{
    const struct pvh_info *info = physical(address);
    if (magic != PVH_MAGIC || info->magic != PVH_MAGIC)
        verso_panic("boot: not started by a PVH loader: 0x%08x and 0x%08x at "
                    "0x%zx, not 0x%08x",
            magic, info->magic, (size_t)address, PVH_MAGIC);
    if (info->version < 1 || info->map_count == 0)
        verso_panic("boot: the loader tells no memory (version %u, %u ranges)",
            info->version, info->version < 1 ? 0 : info->map_count);
    const struct pvh_range *range = physical(info->map);
    for (uint32_t i = 0; i < info->map_count; i++)
        loader_add_range(
            range[i].start, range[i].bytes, range[i].type == MAP_TYPE_RAM);
    const struct pvh_module *module = physical(info->modules);
    for (uint32_t i = 0; i < info->module_count; i++)
        loader_add_module(module[i].start, module[i].bytes);
    if (info->command_line != 0)
        loader_set_command_line(physical(info->command_line));
}
