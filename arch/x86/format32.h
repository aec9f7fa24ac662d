/* SPDX-License-Identifier: MIT */
/*
 * format32.h - what is peculiar to entries of 32 bits: two levels of 1,024
 * entries (Intel SDM vol. 3A, 4.3, tables 4-4 to 4-6). The rest: entry.h.
 *
 *   bit 31         22 21        12 11   9 8 7 6 5 4   3   2 1 0
 *      | frame: directory | table | E X K |G|S|D|A|PCD|PWT|U|W|P|
 */
#ifndef VERSO_ARCH_FORMAT_H
#define VERSO_ARCH_FORMAT_H

#define MMU_LEVELS_MIN 2u
#define MMU_LEVELS_MAX 2u
#define MMU_LARGE_MAX  1u  /* the highest level with pages: of 4 MiB */
#define MMU_BITS       10u /* index bits of each level */
#ifndef MMU_MIRROR_SLOT    /* a port that shares this format may have its own */
#define MMU_MIRROR_SLOT 1022u
#endif
#define MMU_EXEC_ENFORCED false
#define MMU_IDS           0u /* PCID is for long mode only */
#define MMU_KEEPS_UPPER   false

typedef uint32_t pte_raw_t;

#define PTE_FRAME 0xfffff000u
#define PTE_NX    0u /* there is no such bit */

#endif
