/* SPDX-License-Identifier: MIT */
/*
 * format64.h - what is peculiar to entries of 64 bits: four or five levels of
 * 512 entries (Intel SDM vol. 3A, 4.5, tables 4-15 to 4-20). The rest: entry.h.
 *
 *   bit 63 62    52 51          12 11   9 8 7 6 5 4   3   2 1 0
 *      |NX|  0     |    frame     | E X K |G|S|D|A|PCD|PWT|U|W|P|
 *
 * NX stands in pages only: in an entry for a table it would forbid execution in
 * everything below.
 */
#ifndef VERSO_ARCH_FORMAT_H
#define VERSO_ARCH_FORMAT_H

#define MMU_LEVELS_MIN 4u
#define MMU_LEVELS_MAX 5u
#define MMU_LARGE_MAX  2u /* the highest level with pages: of 1 GiB */
#define MMU_BITS       9u /* index bits of each level */
#ifndef MMU_MIRROR_SLOT   /* a port that shares this format may have its own */
#define MMU_MIRROR_SLOT 510u
#endif
#define MMU_EXEC_ENFORCED true
#define MMU_IDS           4096u /* of address spaces: CR3, bits 0 to 11 */
#define MMU_KEEPS_UPPER   true

typedef uint64_t pte_raw_t;

#define PTE_FRAME 0x000ffffffffff000u
#define PTE_NX    0x8000000000000000u

#endif
