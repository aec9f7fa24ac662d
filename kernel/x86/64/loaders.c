/* SPDX-License-Identifier: MIT */
/*
 * loaders.c - what the boot loader says, in its own format: one of two, told
 * apart by the number that boot.S hands over.
 *
 * PVH (QEMU's -kernel), one structure:
 *
 *     start_info:  +0 magic  +4 version  +8 flags  +12 modules
 *                  +16 their list  +24 command line  +32 (ACPI)
 *                  +40 memory map, and  +48 its entries: from version 1 on
 *
 * Multiboot 2 (GRUB's `multiboot2`), a list of tags:
 *
 *     +0 bytes  +4 (reserved)  +8 tag  ...  tag  ...  tag of type 0
 *     tag:  +0 type  +4 bytes  +8 what it says;  the next at a multiple of 8
 *
 * All addresses are physical.
 * Source: Xen, xen/include/public/arch-x86/hvm/start_info.h; Multiboot2
 * Specification 2.0, 3.4 and 3.6.
 */
#include "../x86.h"

#define PVH_MAGIC        0x336ec578u
#define MULTIBOOT2_MAGIC 0x36d76289u
#define MAP_TYPE_RAM     1u /* of both */

struct pvh_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp;
    uint64_t map;
    uint32_t map_count, reserved;
};

struct pvh_module {
    uint64_t start, bytes, command_line, reserved;
};

/* A range of a memory map, of both. */
struct loader_range {
    uint64_t start, bytes;
    uint32_t type, reserved;
};

struct tag {
    uint32_t type, bytes;
};

#define TAG_END          0u
#define TAG_COMMAND_LINE 1u
#define TAG_MODULE       3u
#define TAG_MAP          6u

struct tag_module {
    struct tag tag;
    uint32_t start, end;
    char command_line[];
};

struct tag_map {
    struct tag tag;
    uint32_t range_bytes, version; /* of one range; more than we know, maybe */
    uint8_t ranges[];
};

static const void *physical(uint64_t pa)
{
    return (const void *)(X86_PHYSICAL + pa);
}

static void range_read(const struct loader_range *range)
{
    loader_add_range(range->start, range->bytes, range->type == MAP_TYPE_RAM);
}

static void pvh_read(const struct pvh_info *info)
{
    if (info->magic != PVH_MAGIC || info->version < 1)
        verso_panic("boot: the PVH loader tells no memory (0x%08x, version %u)",
            info->magic, info->version);
    const struct loader_range *range = physical(info->map);
    for (uint32_t i = 0; i < info->map_count; i++)
        range_read(range + i);
    const struct pvh_module *module = physical(info->modules);
    for (uint32_t i = 0; i < info->module_count; i++)
        loader_add_module(module[i].start, module[i].bytes);
    if (info->command_line != 0)
        loader_set_command_line(physical(info->command_line));
}

static void tag_map_read(const struct tag_map *map)
{
    const uint32_t end = map->tag.bytes - (uint32_t)sizeof *map;
    for (uint32_t at = 0; at < end; at += map->range_bytes)
        range_read((const void *)(map->ranges + at));
}

static void tag_read(const struct tag *tag)
{
    const struct tag_module *module = (const void *)tag;
    if (tag->type == TAG_COMMAND_LINE)
        loader_set_command_line((const char *)(tag + 1));
    else if (tag->type == TAG_MODULE)
        loader_add_module(module->start, module->end - module->start);
    else if (tag->type == TAG_MAP)
        tag_map_read((const void *)tag);
}

static void multiboot2_read(uint64_t pa)
{
    for (pa += sizeof(struct tag);;) {
        const struct tag *tag = physical(pa);
        if (tag->type == TAG_END)
            return;
        tag_read(tag);
        pa += ((uint64_t)tag->bytes + 7) & ~(uint64_t)7;
    }
}

void loader_read(uint32_t magic, uintptr_t address)
{
    if (magic == PVH_MAGIC)
        pvh_read(physical(address));
    else if (magic == MULTIBOOT2_MAGIC)
        multiboot2_read(address);
    else
        verso_panic("boot: not started by a Multiboot 2 loader: eax=0x%08x, "
                    "not 0x%08x",
            magic, MULTIBOOT2_MAGIC);
    size_t count;
    (void)loader_map(&count);
    if (count == 0)
        verso_panic("boot: the loader tells no memory");
}
