/* SPDX-License-Identifier: MIT */
/*
 * arch.h - the port contract, on one page. Not compiled into anything: a port
 * is a directory arch/PORT/ with three headers that define what stands here,
 * as static inline functions, and -Iarch/PORT chooses it. docs/porting.md goes
 * through it step by step; arch/x86 is the example.
 *
 * types.h   included by every header of the library
 *   VERSO_PAGE_SHIFT            12 for 4-KiB pages
 *   verso_phys_t                unsigned integer that holds a physical address
 *
 * cpu.h     included by whoever needs the CPU
 *   CPU_COUNT_MAX               CPUs at the most
 *   cpu_number()                0 .. CPU_COUNT_MAX - 1
 *   cpu_irq_save(), cpu_irq_restore(flags)
 *   cpu_relax()                 in a spin loop
 *   cpu_swap(word, value)       store and return the old value: atomic against
 *                               other CPUs and interrupts, acquires; a word
 *                               is 0 or 1
 *   cpu_release(word, value)    store that releases
 *
 * mmu.h     included by src/tables.h (and test/conformance.c) only
 *   MMU_LEVELS_MIN, MMU_LEVELS_MAX, mmu_levels()
 *                               levels of tables; 0 holds the pages
 *   MMU_BITS                    index bits of a level below the root
 *   MMU_ENTRIES(level), MMU_LEVEL_SHIFT(level), MMU_LEVEL_PAGES(level)
 *   MMU_ROOT_FRAMES             frames the root fills, consecutive
 *   MMU_ROOT_BESIDE             frames behind them that the machine wants: 0,
 *                               or 1, which mmu_root_beside() fills
 *   MMU_ROOT_LIMIT              all these end there or below, physically; 0:
 *                               anywhere
 *   MMU_MIRROR_SLOT, MMU_MIRROR_SLOTS  root entries that name the root itself,
 *                               one for each frame of it; never the last one
 *   MMU_VA_BITS(levels)         bits of an address that the tables translate;
 *                               others, if any, repeat the highest of these
 *   MMU_EXEC_ENFORCED           can machines of this port forbid execution?
 *   MMU_EXEC_ASKED              not all of them? Then mmu_enforces_exec() tells
 *   MMU_KEEPS_UPPER             tables right below the root are made at init
 *                               for all of the heap, and stay: wanted where
 *                               there are three levels or more
 *   MMU_LARGE_MAX               no leaf is above this level, on any machine
 *   mmu_has_large(level)        may a leaf stand at this level?
 *   mmu_has_global()            can pages be global: cached over a root load?
 *   mmu_enforces_exec()         can this machine forbid execution?
 *   MMU_IDS                     identifiers of address spaces there can be, a
 *                               power of two; 0: none, on any machine
 *   mmu_has_ids()               has this machine so many? What is cached and is
 *                               not global is then used only while the
 *                               identifier is current for which it was cached
 *   mmu_has_invalidate_id()     are there the last two below?
 *
 *   pte_raw_t                   unsigned integer that holds an entry
 *   struct pte { raw }          an entry; 0 says nothing is there
 *   pte_load, pte_store         never torn, one visible step; where an entry is
 *                               wider than a store: arch/x86/halves.h
 *   pte_replace                 compare and exchange
 *   pte_is_live, pte_is_present, pte_is_leaf, pte_is_table, pte_pfn, pte_flags
 *   pte_bits(level, flags, global)  of a leaf; global unless it is a user's
 *   pte_leaf, pte_next, pte_table, pte_part
 *   pte_mirror                  the entry of the root for the mirror
 *   pte_executable(bits)        less what forbids execution, for machines that
 *                               do not know it
 *   pte_state, pte_is_global, pte_is_accessed, pte_is_dirty, pte_without_use
 *   pte_use, pte_with_use       accessed and dirty, as bits of the entry
 *   pte_with_rights(e, bits)    the leaf with the rights in pte_bits()
 *   pte_needs_flush(old, new)   may translations of `old` not be kept?
 *   pte_flush_bits(new)         where a present `old` must not differ for that
 *
 *   mmu_invalidate(va)          one page, of any size, global too, on this CPU
 *   mmu_invalidate_all()        everything, global pages too
 *   mmu_cache_init(keep)        at start: entries mean the types they say
 *   pte_is_own, pte_grants, pte_adopted, mmu_pat_fold: of what others made
 *   mmu_root(), mmu_root_load(pfn), mmu_is_on()   the root's first frame
 *   mmu_root_beside(page, pfn)  writes what stands beside a root, into a
 *                               cleared page
 *
 *   The same with identifiers. Of two CPUs each has its own.
 *   mmu_invalidate(va)          the current identifier's page, or a global one
 *   mmu_invalidate_all()        all identifiers'
 *   mmu_root_load(pfn)          mmu_switch(pfn, 0, false), and makes them work
 *   mmu_switch(pfn, id, keep)   the root, once it was loaded by mmu_root_load:
 *                               with what is cached for `id`, if it is to be
 *                               kept, else without. Global pages, and what
 *                               other identifiers have, stay. Without
 *                               mmu_has_ids(): 0 and false only
 *   mmu_invalidate_id(id, va)   of any identifier: a page, of any size, not
 *                               global, with the entries for tables that lead
 *                               there
 *   mmu_invalidate_id_all(id)   all that it has
 */
#error "arch.h is documentation: choose a port with -Iarch/PORT"
