/* SPDX-License-Identifier: MIT */
/*
 * formatpae.h - what is peculiar to PAE: entries of 64 bits in a 32-bit machine
 * (Intel SDM vol. 3A, 4.4, tables 4-8 to 4-11). The rest: entry.h.
 *
 *   bit 63 62   52 51          12 11   9 8 7 6 5 4   3   2 1 0
 *      |NX|  0    |    frame     | E X K |G|S|D|A|PCD|PWT|U|W|P|
 *
 * The four directories are taken for one: a root of 2,048 entries in four
 * frames, of which each maps 2 MiB. So there are two levels, as there are
 * without PAE, and the mirror is four entries that name the four frames. What
 * stands above, four entries for the CPU alone, in a frame behind the root,
 * leads to them:
 *
 *     CR3 -> | 0 1 2 3 |   root + 4, below 4 GiB
 *              | | | |
 *     root   [0][1][2][3]  512 entries each, of addresses i GiB on
 *
 * They could stand in the root's own last 32 bytes, read-only tables if they
 * are read as entries of the root: no frame, and 8 MiB of addresses less. But
 * any walk of those addresses, a wild pointer's, or one that the CPU makes
 * unasked, would set accessed in them, which is a reserved bit there: the next
 * load of CR3 would be refused. And where a pointer of -4 should fault, it
 * would read. So nothing may walk where they stand. They cannot be the
 * mirror's, either: that must be writable, another reserved bit (which QEMU
 * forgives).
 *
 * Not every CPU with PAE has NX; where it has not, bit 63 must be 0.
 */
#ifndef VERSO_ARCH_FORMAT_H
#define VERSO_ARCH_FORMAT_H

#define MMU_LEVELS_MIN 2u
#define MMU_LEVELS_MAX 2u
#define MMU_LARGE_MAX  1u /* the highest level with pages: of 2 MiB */
#define MMU_BITS       9u /* index bits of each level */
#ifndef MMU_MIRROR_SLOT   /* a port that shares this format may have its own */
#define MMU_MIRROR_SLOT 2040u
#endif
#define MMU_ROOT_BITS     2u /* more of the root: it is four frames, */
#define MMU_ROOT_BESIDE   1u /* and one with what leads to them, */
#define MMU_ROOT_LIMIT    (1ull << 32) /* where CR3 reaches */
#define MMU_EXEC_ENFORCED true
#define MMU_EXEC_ASKED    true
#define MMU_IDS           0u /* PCID is for long mode only */
#define MMU_KEEPS_UPPER   false

typedef uint64_t pte_raw_t;

#define PTE_FRAME 0x000ffffffffff000u
#define PTE_NX    0x8000000000000000u

#endif
