/* SPDX-License-Identifier: MIT */
/*
 * init.h - what the embedding kernel tells Verso, once.
 */
#ifndef VERSO_INIT_H
#define VERSO_INIT_H

#include <verso/types.h>

struct frame;

/* A range of physical memory as a boot loader reports it: any order, overlaps,
 * holes, zero length and addresses above 4 GiB are all allowed. */
struct verso_range {
    uint64_t start; /* bytes */
    uint64_t bytes;
    bool usable; /* RAM; otherwise never to be handed out, which wins */
};

/* A mapping made at start: pages [va, va + bytes) to [pa, pa + bytes). RAM that
 * is handed out has cache type write-back here; frames that several of these
 * map, one type. */
struct verso_fixed {
    vaddr_t va;
    uint64_t pa;
    uint64_t bytes; /* page multiples; large pages are used where they fit */
    unsigned flags; /* rights and cache type */
    const char *name;
};

/* Pages of the window that each CPU needs. */
#define VERSO_WINDOW_PAGES 6u

/* The pages of the heap, and what else Verso keeps in virtual memory, are in
 * [heap_start, heap_start + heap_pages pages). */
struct verso_boot {
    /* frames */
    const struct verso_range *map; /* the boot loader's map */
    size_t map_count;
    const struct verso_range *reserved; /* kernel image, modules, ... */
    size_t reserved_count;
    /* Where each zone ends, ascending; 0 or beyond RAM: no limit. Tables made
     * during init come from zone 0, which must be accessible at
     * pa + direct_offset when verso_init() is called. */
    uint64_t zone_limit[VERSO_ZONES];
    struct frame *frames; /* memory for the array: verso_frame_place() */
    uint64_t frames_pa;   /* physical address of it */
    size_t frame_count;   /* frames that it has room for, from frame 0 */

    /* paging */
    const struct verso_fixed *fixed;
    size_t fixed_count;
    unsigned mirror_slot; /* entry of the root; 0: the port's default */
    /*
     * Paging is on, and the root that is loaded is kept, with all that it maps:
     * Verso hooks its own entries into it. `fixed` then says what is mapped
     * already, in part or as a whole, and may be empty; what it says becomes
     * Verso's. The tables lie in reserved frames of the array, reachable at
     * pa + direct_offset when verso_init() is called, as those made during
     * init; they are never freed. Mirror, heap, window and users' addresses
     * must be empty.
     */
    bool adopt;
    /* Physical memory [0, direct_bytes) stays accessible at pa +
     * direct_offset for good (part of `fixed`): used to clear pages, and,
     * with use_direct, to reach the tables instead of the mirror (then every
     * table comes from zone 0, which must lie within). */
    vaddr_t direct_offset;
    uint64_t direct_bytes;
    bool use_direct;
    /* VERSO_WINDOW_PAGES a CPU, outside of everything else and in what one
     * table of the lowest level maps, through which frames beyond direct_bytes
     * are cleared, and tables of spaces that are not loaded reached. 0: none,
     * if all frames are direct. */
    vaddr_t window;
    /* Addresses of user spaces, different ones in each: whole entries of the
     * root (4 MiB with two levels, 512 GiB with four). 0 pages: there are no
     * such spaces. */
    vaddr_t user_start;
    size_t user_pages;

    /* heap: addresses, up to 64 TiB. They cost what is used of them, but for
     * a table at start for each entry of the root, where those are kept
     * (MMU_KEEPS_UPPER). */
    vaddr_t heap_start;
    size_t heap_pages;
    /* Object sizes of alloc's slabs in bytes, ascending, at most 32 KiB:
     * multiples of two words, above 1,024 of 128. NULL: the table of
     * alloc.c. */
    const uint32_t *classes;
    size_t class_count;
};

/*
 * Starts every storey of the part that is linked, in their order: once, on the
 * first CPU, interrupts off. After it, paging is on. The structure is not kept,
 * the strings in `fixed` are. Misuse (a mirror slot in use, overlapping
 * ranges) panics with the numbers; NO_MEMORY: RAM is too small.
 */
VERSO_MUST_CHECK int verso_init(const struct verso_boot *boot);

#endif
