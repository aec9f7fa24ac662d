/* SPDX-License-Identifier: MIT */
/*
 * mmu.h of the port: the machine behind the entries. See arch/arch.h.
 */
#ifndef VERSO_ARCH_MMU_H
#define VERSO_ARCH_MMU_H

#include "entry.h"

#define X86_CR0_WP  0x00010000u
#define X86_CR0_PG  0x80000000u
#define X86_CR4_PSE 0x00000010u
#define X86_CR4_PAE 0x00000020u
#define X86_CR4_PGE 0x00000080u

#define X86_CR4_LA57 0x00001000u
#define X86_EFER     0xc0000080u
#define X86_EFER_NXE 0x00000800u

#define X86_CPUID_PSE 0x00000008u /* CPUID 1, EDX */
#define X86_CPUID_PGE 0x00002000u
#define X86_CPUID_NX  0x00100000u /* CPUID 0x80000001, EDX */
#define X86_CPUID_1G  0x04000000u

#if VERSO_X86_PAE

/* Replaces *old by e if nothing (the CPU's accessed and dirty) changed it;
 * else *old is what stands there now. */
static inline bool pte_replace(struct pte *at, struct pte *old, struct pte e)
{
    bool done;
    __asm__ volatile("lock cmpxchg8b %1"
                     : "=@ccz"(done), "+m"(at->raw), "+A"(old->raw)
                     : "b"((uint32_t)e.raw), "c"((uint32_t)(e.raw >> 32))
                     : "memory");
    return done;
}

static inline void half_store(struct pte *at, unsigned half, uint32_t value)
{
    __asm__ volatile("movl %1, %0"
                     : "=m"(((uint32_t *)(void *)at)[half])
                     : "r"(value)
                     : "memory");
}

static inline void whole_store(struct pte *at, struct pte e)
{
    struct pte old = {0};
    while (!pte_replace(at, &old, e)) {
    }
}

#include "halves.h"

#else

static inline struct pte pte_load(const struct pte *at)
{
    return (struct pte){*(const volatile pte_raw_t *)&at->raw};
}

/* The one function that stores an entry: one aligned store. */
static inline void pte_store(struct pte *at, struct pte e)
{
    *(volatile pte_raw_t *)&at->raw = e.raw;
}

/* Replaces *old by e if nothing (the CPU's accessed and dirty) changed it;
 * else *old is what stands there now. */
static inline bool pte_replace(struct pte *at, struct pte *old, struct pte e)
{
    bool done;
    __asm__ volatile("lock cmpxchg %3, %1"
                     : "=@ccz"(done), "+m"(at->raw), "+a"(old->raw)
                     : "r"(e.raw)
                     : "memory");
    return done;
}

#endif

static inline void mmu_invalidate(vaddr_t va)
{
    __asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline uintptr_t x86_cr4(void)
{
    uintptr_t cr4;
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    return cr4;
}

static inline void x86_cr4_set(uintptr_t cr4)
{
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}

static inline void x86_cpuid_leaf(uint32_t leaf, uint32_t *eax, uint32_t *edx)
{
    uint32_t b, c = 0;
    __asm__ volatile("cpuid"
                     : "=a"(*eax), "=b"(b), "+c"(c), "=d"(*edx)
                     : "0"(leaf));
}

/* EDX of a leaf of CPUID, 1 or 0x80000001; 0, where that is not to be had. */
static inline uint32_t x86_features(uint32_t leaf)
{
    uint32_t last, edx;
    x86_cpuid_leaf(leaf & 0x80000000u, &last, &edx);
    if (last < leaf)
        return 0;
    x86_cpuid_leaf(leaf, &last, &edx);
    return edx;
}

/* Everything, global pages too: those go when PGE changes (SDM 4.10.4.1). */
static inline void mmu_invalidate_all(void)
{
    uintptr_t cr4 = x86_cr4(), cr3;
    if (cr4 & X86_CR4_PGE) {
        x86_cr4_set(cr4 & ~(uintptr_t)X86_CR4_PGE);
        x86_cr4_set(cr4);
        return;
    }
    __asm__ volatile("mov %%cr3, %0\n\tmov %0, %%cr3" : "=r"(cr3) : : "memory");
}

static inline bool mmu_is_on(void)
{
    uintptr_t cr0;
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    return (cr0 & X86_CR0_PG) != 0;
}

static inline pfn_t mmu_root(void)
{
    uintptr_t cr3;
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    return pte_root_of(pfn_make((uint32_t)(cr3 >> VERSO_PAGE_SHIFT)));
}

/* Levels of this machine, whether a leaf may stand at `level`, and whether
 * translations can outlive a root load. Asked once, by paging's init. */
static inline unsigned mmu_levels(void)
{
    if (MMU_LEVELS_MAX == 2)
        return 2;
    return (x86_cr4() & X86_CR4_LA57) != 0 ? 5 : 4;
}

static inline bool mmu_has_large(unsigned level)
{
    if (VERSO_X86_PAE)
        return level == 1;
    if (MMU_LEVELS_MAX == 2)
        return level == 1 && (x86_features(1) & X86_CPUID_PSE) != 0;
    return level == 1 ||
           (level == 2 && (x86_features(0x80000001u) & X86_CPUID_1G) != 0);
}

/* Can this CPU forbid execution? Asked once, as the above. */
static inline bool mmu_enforces_exec(void)
{
    if (!MMU_EXEC_ASKED)
        return MMU_EXEC_ENFORCED;
    return (x86_features(0x80000001u) & X86_CPUID_NX) != 0;
}

/* Before an entry has 64 bits, says "large", or forbids execution, the machine
 * must know that bit. */
static inline void x86_formats_enable(void)
{
    uint32_t low, high;
    if (VERSO_X86_PAE)
        x86_cr4_set(x86_cr4() | X86_CR4_PAE);
    else if (MMU_LEVELS_MAX == 2 && mmu_has_large(1))
        x86_cr4_set(x86_cr4() | X86_CR4_PSE);
    if (!mmu_enforces_exec())
        return;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(X86_EFER));
    __asm__ volatile("wrmsr"
                     :
                     : "a"(low | X86_EFER_NXE), "d"(high), "c"(X86_EFER)
                     : "memory");
}

static inline bool mmu_has_global(void)
{
    return (x86_features(1) & X86_CPUID_PGE) != 0;
}

/* Loads the root, and sees to it that paging is on, with write protection for
 * the kernel too, all that entries can say, and, from then on, global pages. */
static inline void mmu_root_load(pfn_t root)
{
    uintptr_t word;
    x86_formats_enable();
    __asm__ volatile(
        "mov %0, %%cr3"
        :
        : "r"((uintptr_t)pfn_nr(pte_root_start(root)) << VERSO_PAGE_SHIFT)
        : "memory");
    __asm__ volatile("mov %%cr0, %0\n\tor %1, %0\n\tmov %0, %%cr0"
                     : "=&r"(word)
                     : "r"((uintptr_t)(X86_CR0_PG | X86_CR0_WP))
                     : "memory", "cc");
    if (mmu_has_global())
        x86_cr4_set(x86_cr4() | X86_CR4_PGE);
}

#endif
