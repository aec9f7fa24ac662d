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

#define X86_CR3_KEEP ((uint64_t)1 << 63) /* of what is written to it only */

#define X86_CR4_PCIDE 0x00020000u

#define X86_CR4_LA57 0x00001000u
#define X86_EFER     0xc0000080u
#define X86_EFER_NXE 0x00000800u

#define X86_CR0_CD   0x40000000u
#define X86_CR0_NW   0x20000000u
#define X86_PAT      0x00000277u /* IA32_PAT */
#define X86_PAT_OURS 0x00010406u /* its low half: WB, WT, WC, UC */
#define X86_PAT_UC   0u          /* types in it (table 11-10) */
#define X86_PAT_WC   1u
#define X86_PAT_WT   4u
#define X86_PAT_WB   6u
#define X86_PAT_UC_  7u

#define X86_CPUID_PSE 0x00000008u /* CPUID 1, EDX */
#define X86_CPUID_PGE 0x00002000u
#define X86_CPUID_PAT 0x00010000u
#define X86_CPUID_NX  0x00100000u /* CPUID 0x80000001, EDX */
#define X86_CPUID_1G  0x04000000u

#define X86_CPUID_PCID    0x00020000u /* CPUID 1, ECX */
#define X86_CPUID_INVPCID 0x00000400u /* CPUID 7, EBX */

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

/* One load, wherever it is addressed: a volatile one costs the compiler an
 * instruction more for the address. */
static inline struct pte pte_load(const struct pte *at)
{
    struct pte e;
    __asm__ volatile("mov %1, %0" : "=r"(e.raw) : "m"(at->raw));
    return e;
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

/* Of the current identifier, and global (SDM 4.10.4.1). */
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

struct x86_leaf {
    uint32_t a, b, c, d;
};

static inline struct x86_leaf x86_leaf(uint32_t leaf)
{
    struct x86_leaf r = {leaf, 0, 0, 0};
    __asm__ volatile("cpuid" : "+a"(r.a), "=b"(r.b), "+c"(r.c), "=d"(r.d));
    return r;
}

/* EDX of a leaf of CPUID, 1 or 0x80000001; 0, where that is not to be had. */
static inline uint32_t x86_features(uint32_t leaf)
{
    if (x86_leaf(leaf & 0x80000000u).a < leaf)
        return 0;
    return x86_leaf(leaf).d;
}

/* Everything, global pages too, of all identifiers: a MOV to CR4 that changes
 * PGE "invalidates all TLB entries (including global entries) and all entries
 * in all paging-structure caches (for all PCIDs)" (SDM 4.10.4.1). Without
 * global pages there are no identifiers, see mmu_has_ids(): a root load does
 * it. */
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

static inline uint64_t x86_msr(uint32_t number)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return (uint64_t)high << 32 | low;
}

static inline void x86_msr_set(uint32_t number, uint64_t value)
{
    __asm__ volatile(
        "wrmsr"
        :
        : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(number)
        : "memory");
}

static inline uintptr_t x86_cr0(void)
{
    uintptr_t cr0;
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    return cr0;
}

static inline void x86_cr0_set(uintptr_t cr0)
{
    __asm__ volatile("mov %0, %%cr0" : : "r"(cr0) : "memory");
}

/* Changes the page attribute table while no cache holds anything that it gave
 * another type: as MTRRs are changed (SDM vol. 3A, 11.12.4, 11.11.8), but that
 * those stay. Interrupts are off. */
static inline void x86_pat_set(uint64_t pat)
{
    const uintptr_t cr0 = x86_cr0();
    x86_cr0_set((cr0 | X86_CR0_CD) & ~(uintptr_t)X86_CR0_NW);
    __asm__ volatile("wbinvd" : : : "memory");
    mmu_invalidate_all();
    x86_msr_set(X86_PAT, pat);
    __asm__ volatile("wbinvd" : : : "memory");
    mmu_invalidate_all();
    x86_cr0_set(cr0);
}

/* A type in the page attribute table; without one it is as after reset. */
static inline unsigned x86_pat_type(unsigned index)
{
    const uint64_t reset = 0x0007040600070406u;
    const bool has = (x86_features(1) & X86_CPUID_PAT) != 0;
    return (unsigned)((has ? x86_msr(X86_PAT) : reset) >> 8 * index) & 7;
}

/*
 * Sees to it that PCD alone means write-combining, where the machine can. The
 * upper half of the table is for entries with a PAT bit, which we have not. Of
 * every CPU, once, before it loads a root of ours. With `keep`, entries that
 * somebody else made are in use, and the table stays.
 *
 * Returns which types entries can say: a bit for each VERSO_CACHE_* >>
 * VERSO_CACHE_SHIFT. Uncached will do where a weaker type is meant.
 */
static inline unsigned mmu_cache_init(bool keep)
{
    if (!keep && (x86_features(1) & X86_CPUID_PAT) != 0) {
        const uint64_t pat = x86_msr(X86_PAT);
        if ((uint32_t)pat != X86_PAT_OURS)
            x86_pat_set((pat & 0xffffffff00000000u) | X86_PAT_OURS);
    }
    const unsigned wt = x86_pat_type(1), wc = x86_pat_type(2);
    return (x86_pat_type(0) == X86_PAT_WB ? 1u : 0) |
           (wt == X86_PAT_WT || wt == X86_PAT_UC || wt == X86_PAT_UC_ ? 2u
                                                                      : 0) |
           (wc == X86_PAT_WC || wc == X86_PAT_UC || wc == X86_PAT_UC_ ? 4u
                                                                      : 0) |
           (x86_pat_type(3) == X86_PAT_UC ? 8u : 0);
}

/* A leaf that somebody else made, without a PAT bit and of the same type.
 * False: there is none. */
static inline bool mmu_pat_fold(struct pte *e, unsigned level)
{
    const pte_raw_t bit = level == 0 ? PTE_PS : PTE_PAT_LARGE;
    const unsigned low = (unsigned)(e->raw & PTE_CACHE) / PTE_PWT;
    if ((e->raw & bit) == 0)
        return true;
    for (unsigned i = 0; i < 4; i++)
        if (x86_pat_type(low ^ i) == x86_pat_type(4 + low)) {
            e->raw = (e->raw & ~(bit | PTE_CACHE)) | (low ^ i) * PTE_PWT;
            return true;
        }
    return false;
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
    if (VERSO_X86_PAE)
        x86_cr4_set(x86_cr4() | X86_CR4_PAE);
    else if (MMU_LEVELS_MAX == 2 && mmu_has_large(1))
        x86_cr4_set(x86_cr4() | X86_CR4_PSE);
    if (mmu_enforces_exec())
        x86_msr_set(X86_EFER, x86_msr(X86_EFER) | X86_EFER_NXE);
}

static inline bool mmu_has_global(void)
{
    return (x86_features(1) & X86_CPUID_PGE) != 0;
}

/* CPUs whose INVLPG may leave global pages when PCIDE is set, which newer
 * microcode mends (Intel's specification updates, ADL063 and RPL042): Alder
 * Lake and Raptor Lake, family 6. Another maker's CPU of that number does
 * without. */
static inline bool x86_invlpg_fails(uint32_t signature)
{
    static const uint8_t models[] = {0x97, 0x9a, 0xbe, 0xb7, 0xba, 0xbf};
    const uint32_t model = (signature >> 12 & 0xf0) | (signature >> 4 & 0x0f);
    if ((signature >> 8 & 0xf) != 6)
        return false;
    for (unsigned i = 0; i < sizeof(models); i++)
        if (model == models[i])
            return true;
    return false;
}

/* Identifiers of address spaces, PCIDs: in long mode only. */
static inline bool mmu_has_ids(void)
{
    if (MMU_IDS == 0 || !mmu_has_global())
        return false;
    const struct x86_leaf r = x86_leaf(1);
    return (r.c & X86_CPUID_PCID) != 0 && !x86_invlpg_fails(r.a);
}

static inline bool mmu_has_invalidate_id(void)
{
    return MMU_IDS > 0 && x86_leaf(0).a >= 7 &&
           (x86_leaf(7).b & X86_CPUID_INVPCID) != 0;
}

/* A root with an identifier (SDM 4.10.4.1, MOV to CR3). To keep, and any
 * identifier but 0, wants PCIDE: without it bit 63 is reserved, and bits 3 and
 * 4 are a cache type. */
static inline void mmu_switch(pfn_t root, unsigned id, bool keep)
{
    const pfn_t start = pte_root_start(root);
    uintptr_t word = (uintptr_t)pfn_nr(start) << VERSO_PAGE_SHIFT | id;
    if (keep)
        word |= (uintptr_t)X86_CR3_KEEP;
    __asm__ volatile("mov %0, %%cr3" : : "r"(word) : "memory");
}

/* INVPCID, type 0 and 1 (SDM vol. 2A): a page, with the entries for tables that
 * lead there; all of an identifier. Global pages stay. The address must be
 * canonical. */
static inline void x86_invpcid(uintptr_t type, unsigned id, vaddr_t va)
{
    const struct {
        uint64_t id, va;
    } what = {id, va};
    __asm__ volatile("invpcid %0, %1" : : "m"(what), "r"(type) : "memory");
}

static inline void mmu_invalidate_id(unsigned id, vaddr_t va)
{
    x86_invpcid(0, id, va);
}

static inline void mmu_invalidate_id_all(unsigned id)
{
    x86_invpcid(1, id, 0);
}

/* Loads the root, and sees to it that paging is on, with write protection for
 * the kernel too, all that entries can say, and, from then on, global pages and
 * identifiers. PCIDE may be set in long mode, while bits 0 to 11 of CR3 are 0
 * (SDM 4.10.1): they were just loaded so, with identifier 0. */
static inline void mmu_root_load(pfn_t root)
{
    uintptr_t word;
    x86_formats_enable();
    mmu_switch(root, 0, false);
    __asm__ volatile("mov %%cr0, %0\n\tor %1, %0\n\tmov %0, %%cr0"
                     : "=&r"(word)
                     : "r"((uintptr_t)(X86_CR0_PG | X86_CR0_WP))
                     : "memory", "cc");
    if (mmu_has_global())
        x86_cr4_set(x86_cr4() | X86_CR4_PGE);
    if (mmu_has_ids())
        x86_cr4_set(x86_cr4() | X86_CR4_PCIDE);
}

#endif
