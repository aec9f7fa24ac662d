/* SPDX-License-Identifier: MIT */
/*
 * um.h - the simulated machine: RAM, page tables in it, a TLB, on demand a bad
 * temper, and an audit that finds what should have been invalidated. Theory in
 * machine.c; how to use it in README.md. For anyone's page-table code for
 * 32-bit x86: nothing of Verso is needed.
 */
#ifndef ARCH_UM_UM_H
#define ARCH_UM_UM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Virtual addresses that the machine translates: [UM_WINDOW, UM_WINDOW +
 * UM_WINDOW_BYTES). All others are the process's own. */
#define UM_WINDOW       0x60000000u
#define UM_WINDOW_BYTES 0x40000000u

/* Where RAM starts, physically: not 0, so that a physical address that is
 * taken for an offset is noticed. */
#define UM_RAM_START 0x01000000u

/* The entry of the root for a mirror: the last 4 MiB of the window. */
#define UM_MIRROR_SLOT 639u

/* Error code of a fault: bits 0 (a translation was there), 1 (write). */
#define UM_FAULT_PRESENT 1u
#define UM_FAULT_WRITE   2u

struct um_config {
    size_t ram_bytes; /* page multiple */
    bool no_large;    /* no 4-MiB pages */
    /* The page-fault handler. Runs on the stack of the code that faulted, not
     * inside a signal handler: it may touch the window, fault again, longjmp
     * away. When it returns, the access is tried again. */
    void (*fault)(uintptr_t va, unsigned code);
    /* What no machine survives; must not return. May be called in a signal
     * handler. */
    void (*machine_check)(const char *what, uintptr_t va);
    /* May be NULL. Does this frame hold a table that is in use? Asked at each
     * walk, which may be inside a signal handler; one that reads a table out
     * of another frame is a machine check. */
    bool (*is_table)(uint32_t pfn);
};

/* Makes RAM and reserves the window; once. The structure is copied. Reads the
 * environment's UM (see um_misbehave); words that it does not know end the
 * process with a message and exit status 2. */
void um_init(const struct um_config *config);

/* RAM as the host sees it, past the simulated tables: byte 0 of it is physical
 * address UM_RAM_START. */
unsigned char *um_ram(void);

/* What the CPU does. A root load keeps nothing; paging is off before the
 * first, and every access to the window is a machine check then. */
void um_root_load(uint32_t root_pfn);
/* As before the first: for another start of what runs on it. RAM stays. */
void um_reset(void);
uint32_t um_root(void);
bool um_is_on(void);
bool um_has_large(void);
void um_invalidate(uintptr_t va);
void um_invalidate_all(void);

/* The CPU translates an address though nobody touches it, as it may at any
 * time. False: it is cached already, or the tables do not allow it. */
bool um_prefetch(uintptr_t va);

/* Entries are stored through these, so that the machine may act between any two
 * stores, and the audit knows who stored what. `at`: in the window, or in
 * um_ram(). Replace: compare and exchange, false and *old if it differed. */
void um_store(uint32_t *at, uint32_t raw);
bool um_replace(uint32_t *at, uint32_t *old, uint32_t raw);

/* Chooses the temper: "evict=8,speculate=1". False, and nothing changed, for
 * what is not known; um_words() has the list. */
bool um_misbehave(const char *words);
const char *um_words(void);
/* Does it set accessed and dirty where nobody asked for it? */
bool um_sets_use(void);

/* A cached translation, or a cached entry for a table, that the tables no
 * longer grant. */
struct um_stale {
    uintptr_t va;
    unsigned level;     /* of the entry that changed; 0: of pages */
    bool upper;         /* a cached entry for a table, at level 1 */
    uint32_t cached;    /* as it was: frame, rights of all levels together */
    uint32_t stored;    /* the entry of that level now */
    bool is_known;      /* a recent store changed it: */
    size_t ago;         /* how many entry stores ago; 0: the last one */
    uint32_t from, to;  /* it replaced this by that */
    const void *caller; /* and returned to there */
};

/* Compares all that is cached with the tables; call it where no invalidation
 * is outstanding. Weaker rights than stored, accessed and dirty are not stale.
 * Each finding is given to `report` (um_audit_print, or NULL), and dropped.
 * Returns their number. */
size_t um_audit(void (*report)(const struct um_stale *stale));
void um_audit_print(const struct um_stale *stale);

struct um_stats {
    size_t cached; /* translations in the TLB now */
    size_t fills;
    size_t invalidations; /* of single pages */
    size_t flushes;       /* of everything */
    size_t full;          /* of everything, because the TLB was full */
    size_t evictions;     /* at random, of single pages */
    size_t speculated;    /* fills that nobody asked for */
    size_t stores;        /* of entries */
    size_t faults;        /* given to the handler */
};
const struct um_stats *um_stats(void);

#endif
