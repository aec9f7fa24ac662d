/* SPDX-License-Identifier: MIT */
/*
 * geometry.h - the two formats of tables that the machine knows; which one
 * depends on the process it is compiled for. All that differs is here (and the
 * registers, in trampoline.c): the walk is a loop over levels.
 *
 *     -m32    2 levels of 32-bit entries          10 + 10 + 12 bits
 *     64-bit  4 or 5 levels of 64-bit entries     9 + 9 + 9 + 9 + 9 + 12 bits
 *
 * Levels count from the pages: 0 holds those of 4 KiB, the last is the root.
 * Formats: Intel SDM vol. 3A, tables 4-4 to 4-6 and 4-15 to 4-20.
 */
#ifndef ARCH_UM_GEOMETRY_H
#define ARCH_UM_GEOMETRY_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
typedef uint64_t um_entry_t;
typedef uint64_t um_phys_t;
#define UM_LEVELS       4u /* where nothing else is asked for */
#define UM_LEVELS_MAX   5u
#define UM_INDEX_BITS   9u
#define UM_LARGE_LEVELS 2u /* the highest that can hold large pages */
#define UM_ENTRY_FRAME  0x000ffffffffff000u
#define UM_ENTRY_HIGH   0x000fff0000000000u /* no such address lines */
#define UM_ENTRY_NX     0x8000000000000000u
#define UM_WINDOW       0x200000000000u /* entry 64 of the root */
#define UM_WINDOW_BYTES 0x1000000000u
#define UM_MIRROR_SLOT  96u
#define UM_IDS          4096u /* of address spaces */
#elif defined(__i386__)
typedef uint32_t um_entry_t;
typedef uint32_t um_phys_t;
#define UM_LEVELS       2u
#define UM_LEVELS_MAX   2u
#define UM_INDEX_BITS   10u
#define UM_LARGE_LEVELS 1u
#define UM_ENTRY_FRAME  0xfffff000u
#define UM_ENTRY_HIGH   0u
#define UM_ENTRY_NX     0u
#define UM_WINDOW       0x60000000u
#define UM_WINDOW_BYTES 0x40000000u
#define UM_MIRROR_SLOT  639u /* the last 4 MiB of the window */
#define UM_IDS          1u   /* there is one, 0 */
#else
#error "the machine runs on the processor whose tables it has: x86"
#endif

#define UM_ENTRY_P     0x001u
#define UM_ENTRY_W     0x002u
#define UM_ENTRY_U     0x004u
#define UM_ENTRY_CACHE 0x018u /* PWT, PCD */
#define UM_ENTRY_A     0x020u
#define UM_ENTRY_D     0x040u
#define UM_ENTRY_PS    0x080u  /* above level 0: a large page */
#define UM_ENTRY_G     0x100u  /* of pages */
#define UM_ENTRY_PAT   0x1000u /* of large pages: no part of the frame */

/* What an entry may take from those below it. */
#define UM_ENTRY_RIGHTS (UM_ENTRY_W | UM_ENTRY_U | UM_ENTRY_NX)

#define UM_PAGE_SHIFT 12u

/* Bytes that an entry of this level is for. */
static inline unsigned um_shift(unsigned level)
{
    return UM_PAGE_SHIFT + UM_INDEX_BITS * level;
}

static inline uintptr_t um_span(unsigned level)
{
    return (uintptr_t)1 << um_shift(level);
}

static inline unsigned um_index(uintptr_t va, unsigned level)
{
    return (unsigned)(va >> um_shift(level)) & ((1u << UM_INDEX_BITS) - 1);
}

#endif
