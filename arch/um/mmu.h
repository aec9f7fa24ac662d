/* SPDX-License-Identifier: MIT */
/*
 * mmu.h of the port: entries and tables are those of x86, of 32 or of 64 bits
 * as the process is, or PAE's; the machine behind them is in machine/. See
 * arch/arch.h.
 */
#ifndef VERSO_ARCH_MMU_H
#define VERSO_ARCH_MMU_H

#include "machine/um.h"

#define MMU_MIRROR_SLOT UM_MIRROR_SLOT
#include "../x86/entry.h"

#if VERSO_X86_PAE

static inline void half_store(struct pte *at, unsigned half, uint32_t value)
{
    um_store_half(&at->raw, half, value);
}

static inline void whole_store(struct pte *at, struct pte e)
{
    um_store(&at->raw, e.raw);
}

#include "../x86/halves.h"

#else

static inline struct pte pte_load(const struct pte *at)
{
    return (struct pte){*(const volatile pte_raw_t *)&at->raw};
}

static inline void pte_store(struct pte *at, struct pte e)
{
    um_store(&at->raw, e.raw);
}

#endif

static inline bool pte_replace(struct pte *at, struct pte *old, struct pte e)
{
    return um_replace(&at->raw, &old->raw, e.raw);
}

static inline void mmu_invalidate(vaddr_t va)
{
    um_invalidate(va);
}

static inline void mmu_invalidate_all(void)
{
    um_invalidate_all();
}

static inline bool mmu_is_on(void)
{
    return um_is_on();
}

static inline pfn_t mmu_root(void)
{
    return pte_root_of(pfn_make(um_root()));
}

static inline unsigned mmu_levels(void)
{
    return um_levels();
}

static inline bool mmu_has_large(unsigned level)
{
    return um_has_large(level);
}

static inline bool mmu_enforces_exec(void)
{
    return MMU_EXEC_ENFORCED && um_enforces_exec();
}

static inline bool mmu_has_global(void)
{
    return um_has_global();
}

static inline bool mmu_has_ids(void)
{
    return MMU_IDS > 0 && um_has_ids();
}

static inline bool mmu_has_invalidate_id(void)
{
    return MMU_IDS > 0 && um_has_invalidate_id();
}

/* All cache types are only compared. */
static inline unsigned mmu_cache_init(bool keep)
{
    (void)keep;
    return 0xf;
}

/* The types with the PAT bit are those without it. */
static inline bool mmu_pat_fold(struct pte *e, unsigned level)
{
    e->raw &= ~(pte_raw_t)(level == 0 ? PTE_PS : PTE_PAT_LARGE);
    return true;
}

static inline void mmu_root_load(pfn_t root)
{
    um_root_load(pfn_nr(pte_root_start(root)));
}

static inline void mmu_switch(pfn_t root, unsigned id, bool keep)
{
    um_root_switch(pfn_nr(pte_root_start(root)), id, keep);
}

static inline void mmu_invalidate_id(unsigned id, vaddr_t va)
{
    um_invalidate_id(id, va);
}

static inline void mmu_invalidate_id_all(unsigned id)
{
    um_invalidate_id_all(id);
}

#endif
