/* SPDX-License-Identifier: MIT */
/*
 * entry.h - the format of an x86 page-table entry, and the geometry of the
 * tables. What differs between entries of 32 and of 64 bits, and PAE's, stands
 * in format32.h, format64.h and formatpae.h, as constants.
 *
 *   bit  0 P   1 W   2 U   3 PWT   4 PCD   5 A   6 D   7 PS (level > 0)   8 G
 *   bit  9 K: software: live. Kept in every entry, so that a leaf without
 *             rights (P = 0) is still not 0
 *   bit 10 X: software: execution was declared
 *   bit 11 E: software: write and execute together were asked for by name
 *   above:    the frame; of a large page the low bits of it are 0
 *   bit 63 NX, of entries that have it: set in a leaf where X is not
 *
 * PCD and PWT choose one of four cache types, in the order of VERSO_CACHE_*:
 * write-back, write-through, PCD alone write-combining, uncached (SDM vol. 3A,
 * 4.9.2, 11.12). The machine is told so by mmu.h; one that cannot be told takes
 * PCD alone for uncached. So no leaf needs its PAT bit, which is bit 7 at level
 * 0 and bit 12 above, and would have to move when a page is split.
 *
 * Entries that somebody else made, and that were adopted, have X and E as ours,
 * but not K. Bits 9 to 11 are ours alone.
 *
 * No table entry has bit 8: the same word is read as a leaf through the
 * mirror, where it would mean "global"; nor bit 7.
 */
#ifndef VERSO_ARCH_ENTRY_H
#define VERSO_ARCH_ENTRY_H

#include <verso/types.h>

#ifdef __x86_64__
#include "format64.h"
#elif VERSO_X86_PAE
#include "formatpae.h"
#else
#include "format32.h"
#endif

/* Levels count from the leaves: 0 holds 4-KiB pages, the last is the root. */
#define MMU_ROOT_FRAMES  (1u << MMU_ROOT_BITS)
#define MMU_MIRROR_SLOTS MMU_ROOT_FRAMES
#define MMU_ENTRIES(level)                                                     \
    ((1u << MMU_BITS) << ((level) == MMU_LEVELS_MAX - 1 ? MMU_ROOT_BITS : 0u))
#define MMU_LEVEL_SHIFT(level) (VERSO_PAGE_SHIFT + MMU_BITS * (level))
#define MMU_LEVEL_PAGES(level) ((size_t)1 << (MMU_BITS * (level)))
#define MMU_VA_BITS(levels)    (MMU_LEVEL_SHIFT(levels) + MMU_ROOT_BITS)

struct pte {
    pte_raw_t raw;
};

#define PTE_P         0x001u
#define PTE_W         0x002u
#define PTE_U         0x004u
#define PTE_PWT       0x008u
#define PTE_PCD       0x010u
#define PTE_A         0x020u
#define PTE_D         0x040u
#define PTE_PS        0x080u
#define PTE_G         0x100u
#define PTE_K         0x200u
#define PTE_X         0x400u
#define PTE_E         0x800u
#define PTE_PAT_LARGE 0x1000u /* others' large pages; at level 0 it is PS */

static inline bool pte_is_live(struct pte e)
{
    return e.raw != 0;
}

static inline bool pte_is_present(struct pte e)
{
    return (e.raw & PTE_P) != 0;
}

/* Of a live entry above level 0: is it a page, or does it name a table? */
static inline bool pte_is_leaf(struct pte e, unsigned level)
{
    return level == 0 || (e.raw & PTE_PS) != 0;
}

/* Does an entry above level 0 name a table: is it present, and no page? PS is
 * the sign of the lowest byte, so that one comparison with 0 answers both. */
static inline bool pte_is_table(struct pte e)
{
    return (int8_t)(e.raw & (PTE_P | PTE_PS)) > 0;
}

static inline pfn_t pte_pfn(struct pte e)
{
    return pfn_make((uint32_t)(e.raw >> VERSO_PAGE_SHIFT));
}

/* The public flags were numbered as the bits are: read, write, user and the
 * cache type are P, W, U, PWT and PCD; execute and VERSO_WX are X and E. */
#define PTE_RIGHTS (PTE_P | PTE_W | PTE_U)
#define PTE_CACHE  (PTE_PWT | PTE_PCD)
#define PTE_FLAGS  (PTE_RIGHTS | PTE_CACHE | PTE_X | PTE_E)
_Static_assert(VERSO_READ == PTE_P && VERSO_WRITE == PTE_W &&
                   VERSO_USER == PTE_U && VERSO_CACHE_WT == PTE_PWT &&
                   VERSO_CACHE_WC == PTE_PCD && VERSO_CACHE_UC == PTE_CACHE &&
                   VERSO_EXEC == PTE_X && VERSO_WX == PTE_E,
    "rights and cache type stay where they are");

/* Rights and cache type (types.h) to bits, without a frame. Any right makes
 * it present. What users cannot reach is global, where the machine has that. */
static inline pte_raw_t pte_bits(unsigned level, unsigned flags, bool global)
{
    pte_raw_t raw = PTE_K | (level > 0 ? PTE_PS : 0);
    raw |= flags & PTE_FLAGS;
    if (flags & (VERSO_WRITE | VERSO_EXEC))
        raw |= PTE_P;
    if ((flags & VERSO_EXEC) == 0)
        raw |= PTE_NX;
    if (global && (flags & VERSO_USER) == 0)
        raw |= PTE_G;
    return raw;
}

static inline struct pte pte_leaf(pfn_t pfn, pte_raw_t bits)
{
    return (struct pte){(pte_raw_t)pfn_nr(pfn) << VERSO_PAGE_SHIFT | bits};
}

/* The same for the frames behind those of a leaf. */
static inline struct pte pte_next(struct pte e, unsigned level)
{
    return (struct pte){e.raw + ((pte_raw_t)1 << MMU_LEVEL_SHIFT(level))};
}

/* What an entry for a table allows is the most its pages can have. */
static inline struct pte pte_table(pfn_t pfn, bool user)
{
    const pte_raw_t bits = PTE_K | PTE_P | PTE_W | PTE_A | PTE_D;
    return pte_leaf(pfn, bits | (user ? PTE_U : 0));
}

/* Bits for a CPU that cannot forbid execution, where others of the port can. */
static inline pte_raw_t pte_executable(pte_raw_t bits)
{
    return bits & ~(pte_raw_t)PTE_NX;
}

/* The entry of the root that names the root: what it shows is not to be run. */
static inline struct pte pte_mirror(pfn_t root)
{
    return (struct pte){pte_table(root, false).raw | PTE_NX};
}

/* The leaf with the rights in pte_bits(): frame, cache type, accessed and dirty
 * stay. */
static inline struct pte pte_with_rights(struct pte e, pte_raw_t bits)
{
    const pte_raw_t changed = PTE_RIGHTS | PTE_X | PTE_E | PTE_NX | PTE_G;
    return (struct pte){(e.raw & (bits | ~changed)) | (bits & changed)};
}

/* ---- entries that somebody else made ---- */

/* Did we make this live entry? */
static inline bool pte_is_own(struct pte e)
{
    return (e.raw & PTE_K) != 0;
}

/* Of an entry for a table: what it leaves to the pages below it, of
 * VERSO_WRITE, VERSO_USER and VERSO_EXEC. */
static inline unsigned pte_grants(struct pte e)
{
    return ((unsigned)e.raw & (VERSO_WRITE | VERSO_USER)) |
           ((e.raw & PTE_NX) == 0 ? VERSO_EXEC : 0);
}

/* A present leaf with the rights that it really has below entries that grant
 * only so much, and these declared. Where nothing can forbid execution, what is
 * not writable is taken for code. */
static inline struct pte pte_adopted(struct pte e, unsigned grants)
{
    pte_raw_t raw = e.raw & ~(pte_raw_t)(PTE_K | PTE_X | PTE_E);
    if ((grants & VERSO_WRITE) == 0)
        raw &= ~(pte_raw_t)PTE_W;
    if ((grants & VERSO_USER) == 0)
        raw &= ~(pte_raw_t)PTE_U;
    if ((grants & VERSO_EXEC) == 0)
        raw |= PTE_NX;
    if (PTE_NX != 0 ? (raw & PTE_NX) == 0 : (raw & PTE_W) == 0)
        raw |= PTE_X;
    if ((raw & PTE_X) != 0 && (raw & PTE_W) != 0)
        raw |= PTE_E;
    return (struct pte){raw};
}

/* The part number `index` of a large leaf, as a leaf one level down. Accessed
 * and dirty are inherited. */
static inline struct pte pte_part(struct pte e, unsigned level, size_t index)
{
    pte_raw_t raw = e.raw + ((pte_raw_t)index << MMU_LEVEL_SHIFT(level - 1));
    return (struct pte){level == 1 ? raw & ~(pte_raw_t)PTE_PS : raw};
}

static inline unsigned pte_flags(struct pte e)
{
    return (unsigned)e.raw & PTE_FLAGS;
}

/* VERSO_MAPPED_*, which are numbered like the bits. */
static inline unsigned pte_state(struct pte e)
{
    return (unsigned)e.raw & (PTE_P | PTE_A | PTE_D);
}

static inline bool pte_is_global(struct pte e)
{
    return (e.raw & PTE_G) != 0;
}

static inline bool pte_is_accessed(struct pte e)
{
    return (e.raw & PTE_A) != 0;
}

static inline bool pte_is_dirty(struct pte e)
{
    return (e.raw & PTE_D) != 0;
}

/* Accessed and dirty, as bits; and the entry with those set, too. */
static inline pte_raw_t pte_use(struct pte e)
{
    return e.raw & (PTE_A | PTE_D);
}

static inline struct pte pte_with_use(struct pte e, pte_raw_t use)
{
    return (struct pte){e.raw | use};
}

static inline struct pte pte_without_use(struct pte e)
{
    return (struct pte){e.raw & ~(pte_raw_t)(PTE_A | PTE_D)};
}

/* Where an entry that was present must not differ from `new`, if translations
 * of it are to be kept: the frame stays, it is as global as it was, and no
 * right is lost (SDM 4.10.4.2, 4.10.4.3). */
static inline pte_raw_t pte_flush_bits(struct pte new)
{
    const pte_raw_t same = PTE_FRAME | PTE_PS | PTE_CACHE | PTE_G;
    const pte_raw_t grants = PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
    return same | (~new.raw &grants) | (new.raw &PTE_NX);
}

static inline bool pte_needs_flush(struct pte old, struct pte new)
{
    return pte_is_present(old) &&
           ((old.raw ^ new.raw) & pte_flush_bits(new)) != 0;
}

/* The frame that the CPU is told of, to start walks with; and back to the root.
 * It is the root, unless there is something beside it. */
static inline pfn_t pte_root_start(pfn_t root)
{
    return pfn_add(root, MMU_ROOT_BESIDE * MMU_ROOT_FRAMES);
}

static inline pfn_t pte_root_of(pfn_t start)
{
    return pfn_make(pfn_nr(start) - MMU_ROOT_BESIDE * MMU_ROOT_FRAMES);
}

/* Writes what stands beside a root, into a cleared page. (PAE: present is all
 * that may be said of a directory there.) */
static inline void mmu_root_beside(void *page, pfn_t root)
{
    pte_raw_t *start = page;
    for (unsigned i = 0; i < MMU_ROOT_FRAMES; i++)
        start[i] = pte_leaf(pfn_add(root, i), PTE_P).raw;
}

#endif
