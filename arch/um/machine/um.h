/* SPDX-License-Identifier: MIT */
/*
 * um.h - the simulated machine: RAM, page tables in it, a TLB, on demand a bad
 * temper, and an audit that finds what should have been invalidated. Theory in
 * machine.c; how to use it in README.md. For anyone's page-table code for x86,
 * 32-bit or 64-bit (geometry.h): nothing of Verso is needed.
 */
#ifndef ARCH_UM_UM_H
#define ARCH_UM_UM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "geometry.h"

/* Where RAM starts, physically: not 0, so that a physical address that is
 * taken for an offset is noticed. */
#define UM_RAM_START 0x01000000u

/* Error code of a fault, as x86 numbers its bits: a translation was there; a
 * write; in user mode; a reserved bit was set in an entry (never cached); the
 * fetch of an instruction (told where entries can forbid it: of 64 bits). */
#define UM_FAULT_PRESENT  1u
#define UM_FAULT_WRITE    2u
#define UM_FAULT_USER     4u
#define UM_FAULT_RESERVED 8u
#define UM_FAULT_FETCH    16u

#define UM_WINDOWS_MAX 4u

/* Addresses that the machine translates; all others are the process's own. */
struct um_range {
    uintptr_t start;
    size_t bytes;
};

struct um_config {
    size_t ram_bytes; /* page multiple */
    unsigned levels;  /* 0: 2 in 32-bit, 4 in 64-bit; or 5 */
    bool no_large;    /* no large pages at all */
    bool no_huge;     /* none of 1 GiB */
    bool no_global;   /* a root load drops all */
    bool no_exec;     /* executions cannot be forbidden: NX is a reserved bit */
    bool no_ids;      /* of address spaces: there is 0 only */
    bool no_invalidate_id;
    /* Where something else is there by default (valgrind): other windows, page
     * multiples, the first of them for um_window(). Empty: UM_WINDOW and all
     * that the mirror takes. */
    struct um_range window[UM_WINDOWS_MAX];
    unsigned mirror_slot; /* 0: UM_MIRROR_SLOT */
    bool no_reserve;      /* do not keep others out of the windows */
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

/* Moves windows and mirror of a configuration to where valgrind has addresses,
 * below 16 TiB, and does not reserve them. 64-bit processes only. */
void um_config_low(struct um_config *config);

/* RAM as the host sees it, past the simulated tables: byte 0 of it is physical
 * address UM_RAM_START. */
unsigned char *um_ram(void);

/* Where the (first) window starts, and the entry of the root for a mirror. */
uintptr_t um_window(void);
unsigned um_mirror_slot(void);

/* What the CPU does. A root load is um_root_switch(root_pfn, 0, false): it
 * keeps global pages, and what other identifiers have, as hardware does while
 * CR4.PCIDE is 1 (without it there are no others). Paging is off before the
 * first, and every access to a window is a machine check then. With PAE the
 * frame is that at whose start four entries lead to the directories; they are
 * loaded, and count as they were, until the next root load or
 * um_invalidate_all(). */
void um_root_load(uint32_t root_pfn);
/* As before the first: for another start of what runs on it. RAM stays. */
void um_reset(void);
uint32_t um_root(void);
bool um_is_on(void);
unsigned um_levels(void);
bool um_has_large(unsigned level);
bool um_has_global(void);
bool um_enforces_exec(void);
/* INVLPG: the page as cached for the current identifier and as a global one,
 * and all entries for tables that the current identifier has. */
void um_invalidate(uintptr_t va);
/* Everything, of all identifiers, global too (INVPCID type 2, or CR4.PGE). */
void um_invalidate_all(void);

/* ---- identifiers of address spaces (PCID) ----
 *
 * Pages that are not global, and entries for tables, are cached for the
 * identifier that is current and used for no other. 64-bit tables only, and not
 * with config.no_ids or UM=noids=1: there is 0 then, and nothing is kept. */

bool um_has_ids(void);
bool um_has_invalidate_id(void);
/* The root load with an identifier, below UM_IDS: drops what that one has, but
 * global pages; or, if it is to `keep`, nothing. What it has may be of another
 * root, and stale: that is used. Other identifiers' are kept in either case. */
void um_root_switch(uint32_t root_pfn, unsigned id, bool keep);
unsigned um_id(void);
/* INVPCID, types 0 and 1, of any identifier: an address, with the entries for
 * tables that lead there; all. Not global pages. */
void um_invalidate_id(unsigned id, uintptr_t va);
void um_invalidate_id_all(unsigned id);

/* The CPU translates an address though nobody touches it, as it may at any
 * time. False: it is cached already, or the tables do not allow it. */
bool um_prefetch(uintptr_t va);

/* Runs code in user mode: a page without U in an entry on its way is refused.
 * The stack and all that is outside the windows stay usable. Handlers run as
 * the supervisor, and one that leaves by longjmp has left user mode; run()
 * itself must return. */
void um_user(void (*run)(void *arg), void *arg);

/* Entries are stored through these, so that the machine may act between any two
 * stores, and the audit knows who stored what. `at`: in the window, or in
 * um_ram(). Replace: compare and exchange, false and *old if it differed. */
void um_store(um_entry_t *at, um_entry_t raw);
bool um_replace(um_entry_t *at, um_entry_t *old, um_entry_t raw);
/* One half of an entry of 64 bits, the low (0) or the high one (1), as a 32-bit
 * CPU stores it. Where the high half of one that is present changes, what is
 * walked is wrong now, or was before: a machine check. */
void um_store_half(um_entry_t *at, unsigned half, uint32_t value);

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
    unsigned id;       /* it is cached for this; if global, the one asked for */
    unsigned level;    /* of the entry that changed; 0: of pages */
    bool upper;        /* a cached entry for a table: */
    unsigned upper_of; /* of this level */
    bool aliased;      /* cached with another cache type as well: */
    uintptr_t other;   /* at this page */
    um_entry_t cached; /* as it was: frame, rights of all levels together */
    um_entry_t stored; /* the entry to blame now; or what the other has */
    bool is_known;     /* a recent store changed it: */
    size_t ago;        /* how many entry stores ago; 0: the last one */
    um_entry_t from, to; /* it replaced this by that */
    unsigned cpu;        /* on this CPU */
    const void *caller;  /* and returned to there */
};

/* Compares all that is cached with the tables; call it where no invalidation
 * is outstanding. Weaker rights than stored are not stale, nor is accessed;
 * global and dirty are, where the tables do not say so any more. Then the pages
 * are compared with each other: two of one frame have one cache type.
 * Each finding is given to `report` (um_audit_print, or NULL), and dropped.
 * Returns their number.
 *
 * That is all that counts now: global pages, and what the current identifier
 * has. What others have is not looked at, for only their next load says whether
 * it is kept. So a stale page that was kept is found when its identifier is
 * current again: ask then, after what is still to be invalidated was. */
size_t um_audit(void (*report)(const struct um_stale *stale));
/* The same for one identifier, with the tables of the root that was last loaded
 * with it, which must still be there; for code that invalidates what is not
 * current. Global pages are looked at if it is the current one. */
size_t um_audit_id(unsigned id, void (*report)(const struct um_stale *stale));
void um_audit_print(const struct um_stale *stale);

struct um_stats {
    size_t cached; /* translations in the TLB now */
    size_t fills;
    size_t invalidations; /* of single pages */
    size_t flushes;       /* of everything, or all that an identifier has */
    size_t kept;          /* root loads that dropped nothing */
    size_t full;          /* of everything, because the TLB was full */
    size_t evictions;     /* at random, of single pages */
    size_t speculated;    /* fills that nobody asked for */
    size_t stores;        /* of entries */
    size_t faults;        /* given to the handler */
};
const struct um_stats *um_stats(void);

/* ---- several CPUs ----
 *
 * A process each, of which one runs at a time; theory in cpus.c. RAM is shared,
 * all else is each one's own but for what the next two make shared. What
 * is_table reads must be. */

#define UM_CPUS        8u
#define UM_PREEMPTIONS 4u

/* Zeroed memory, for all CPUs of later runs. */
void *um_shared(size_t bytes);
/* Makes what is there shared, in place; whole pages: see README.md. Once. */
void um_share(void *start, size_t bytes);

/* Where the CPU changes though it need not: at one in four switch points, by
 * a seed; or at these, counted from 0, ascending. */
struct um_schedule {
    bool by_seed;
    uint64_t seed;
    unsigned count;
    uint32_t at[UM_PREEMPTIONS];
};

struct um_cpus {
    unsigned count;
    unsigned seconds; /* without a switch point, then all is given up; 0: 20 */
    /* Not 0: the whole ends, with that exit status. A CPU that returns 0 goes
     * on taking interrupts until all have. */
    int (*run)(unsigned cpu, void *arg);
    /* Of um_ipi; runs on the CPU that takes it, with interrupts off. */
    void (*interrupt)(unsigned cpu, void *arg);
    void
        *arg; /* the same for all; what it points to is shared if you make it */
    struct um_schedule schedule;
};

struct um_cpus_end {
    enum {
        UM_CPUS_DONE,
        UM_CPUS_ENDED,    /* a process ended: exit, crash, run() not 0 */
        UM_CPUS_DEADLOCK, /* nothing but um_relax on any CPU, for long */
        UM_CPUS_TIMEOUT   /* no switch point reached in time */
    } how;
    unsigned count; /* of CPUs */
    unsigned cpu;   /* that ended, found the deadlock, or had the turn */
    int status;     /* as of waitpid */
    uint32_t points;
    uint64_t trace; /* a hash of all switch points: which CPU, in what code */
    struct um_schedule schedule;
};

/* Forks a process for each CPU, with an empty TLB and the caller's root, and
 * waits for all; none is left. Output goes to stdout in the order of running.
 * False: something other than UM_CPUS_DONE. */
bool um_cpus_run(const struct um_cpus *cpus, struct um_cpus_end *end);

/* All schedules with up to so many preemptions (of two CPUs; with more, the
 * next one follows): runs each, reset() before it, up to the first that does
 * not end well. Returns how many were run. */
size_t um_cpus_explore(const struct um_cpus *cpus, unsigned preemptions,
    void (*reset)(void *arg), struct um_cpus_end *end);

/* How the last run ended, and who was where. */
void um_cpus_print(const struct um_cpus_end *end);

/* What a CPU does. All these work, and switch nothing, outside of a run. */
unsigned um_cpu(void);
void um_step(void);  /* a switch point */
void um_relax(void); /* spinning: another CPU's turn */
uint32_t um_swap(uint32_t *word, uint32_t value);
void um_release(uint32_t *word, uint32_t value);
uintptr_t um_irq_save(void); /* interrupts off; returns what restore wants */
void um_irq_restore(uintptr_t flags);
/* Outside of a run: called at each switch point where interrupts are on, before
 * and after each store of an entry among them; NULL: nothing is. */
void um_interrupt(void (*handler)(void));
void um_ipi(uint32_t cpus); /* bit n: CPU n; its own is allowed */

#endif
