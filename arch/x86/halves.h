/* SPDX-License-Identifier: MIT */
/*
 * halves.h - how an entry of 64 bits is loaded and stored where a store has 32,
 * so that nobody ever walks half of one. Included by the mmu.h of a port with
 * PAE, which supplies what stores:
 *
 *   half_store(at, half, value)  one store, of the low half (0) or the high (1)
 *   whole_store(at, e)           both halves in one step, of an entry in use
 *
 * The CPU looks at the rest of an entry only if P is set, which is in the low
 * half; and it sets only accessed and dirty, there too.
 *
 *               was                becomes            stored
 *        1.     not present        anything           high, low
 *        2.     present            not present        low, high
 *        3.     present            present            both in one step
 *
 * x86 makes stores visible in the order of the program (SDM vol. 3A, 8.2.2), to
 * walks too. Two loads are no single one, but under the lock of the space
 * nothing changes in between but accessed and dirty. Who loads without it, for
 * a description in a panic, may see halves of two entries: a wrong frame in a
 * line of text. An atomic load (a locked operation) would make each walk's cost
 * several times as high for that.
 */
#ifndef VERSO_ARCH_HALVES_H
#define VERSO_ARCH_HALVES_H

/* An entry, as two of these. */
typedef uint32_t __attribute__((__may_alias__)) pte_half_t;

static inline struct pte pte_load(const struct pte *at)
{
    const volatile pte_half_t *half = (const volatile pte_half_t *)at;
    const uint32_t low = half[0];
    return (struct pte){(pte_raw_t)half[1] << 32 | low};
}

/* The one function that stores an entry. */
static inline void pte_store(struct pte *at, struct pte e)
{
    const uint32_t low = (uint32_t)e.raw, high = (uint32_t)(e.raw >> 32);
    if ((*(const volatile pte_half_t *)at & PTE_P) == 0) {
        half_store(at, 1, high);
        half_store(at, 0, low);
    } else if (!pte_is_present(e)) {
        half_store(at, 0, low);
        half_store(at, 1, high);
    } else {
        whole_store(at, e);
    }
}

#endif
