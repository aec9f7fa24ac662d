/* SPDX-License-Identifier: MIT */
/*
 * inside.h - what the files of the machine share, and nobody else sees:
 *
 *     machine.c     RAM, signals, what the CPU does
 *     trampoline.c  from a signal to ordinary code
 *     tlb.c         what is cached, and the walk
 *     cache.c       the table it is kept in
 *     temper.c      misbehaviour on demand, and the stores it happens between
 *     audit.c       what is cached against what is stored
 *     cpus.c        several CPUs, and whose turn it is
 */
#ifndef ARCH_UM_INSIDE_H
#define ARCH_UM_INSIDE_H

#include "um.h"

#define PAGE ((uintptr_t)1 << UM_PAGE_SHIFT)

/* Mappings of the host are limited (vm.max_map_count, 65,530). */
#define TLB_SIZE 4000u
#define BUCKETS  4096u

/* Pages that something happened to lately; a power of two. */
#define RECENT 64u

/* Global pages are cached as if of this identifier. */
#define UM_GLOBAL UM_IDS

/* Something cached. Its key is um_key() of an identifier and an address. */
struct um_cached {
    uint64_t key;
    um_entry_t entry; /* frame, and the rights of all levels together */
    um_phys_t place[UM_LEVELS_MAX]; /* where the entries on its way stood */
    unsigned level;                 /* of the entry */
    uint32_t next;
    size_t fragments; /* of a large page, in the TLB */
    bool dirty;       /* was set: mapped writable */
    bool open;        /* for the host, too: not what has no RAM, and not the
                         supervisor's in user mode, nor another identifier's */
    um_phys_t host;   /* what the host maps there, open or not; 0: nothing, or
                         what another entry for the page has, or um.shut */
};

struct um_cache {
    size_t count;
    struct um_cached at[TLB_SIZE];
    uint32_t bucket[BUCKETS];
};

/* What UM= asks for; "1 in N", 0 is never. */
struct um_temper {
    unsigned evict, speculate, pdecache, fragment, adrandom, ackdelay, seed;
    unsigned noids, noinvpcid; /* not 0: the machine has them not */
};

/* What is known of an identifier. */
struct um_id {
    um_phys_t root; /* last loaded with it; 0: none, or UM_GLOBAL */
    size_t cached;  /* translations in the TLB */
};

struct um_machine {
    struct um_config config; /* without zeros that mean something else */
    unsigned windows;
    int fd;
    unsigned char *ram;
    bool on, user;
    um_phys_t root;
    unsigned id; /* of the current address space */
    struct um_id ids[UM_IDS + 1];

    struct um_cache tlb;   /* translations, of 4 KiB each */
    struct um_cache upper; /* entries for tables */
    struct um_cache large; /* large pages with fragments in tlb */
    struct um_cache shut;  /* pages not in tlb: what the host maps there, of
                              which nobody may use anything; of no identifier */

    struct um_temper temper;
    uint64_t random;
    uintptr_t recent[RECENT];
    unsigned recent_next;
    um_phys_t *leader; /* by frame of RAM: the last entry stored for it */
    struct um_stats stats;
};

extern struct um_machine um_machine;

/* The last stores of entries, by any CPU: a ring, the newest at count - 1. */
#define LOG 4096u /* a power of two */
struct um_log {
    size_t count;
    struct um_record {
        um_phys_t place; /* of the entry */
        um_entry_t from, to;
        unsigned cpu;
        const void *caller;
    } records[LOG];
};

/* Whole pages, so that it can be shared in place. */
extern union um_log_pages {
    struct um_log log;
    unsigned char pages[(sizeof(struct um_log) + PAGE - 1) / PAGE * PAGE];
} um_log;

/* How the tables translate an address. Arrays are by level; what the walk read
 * are those of `level` to `top`, the others lie above a cached entry. */
struct um_look {
    bool present, reserved;
    unsigned level, top;
    um_entry_t start; /* as an entry for the highest table that is read */
    um_entry_t at[UM_LEVELS_MAX];
    um_entry_t path[UM_LEVELS_MAX]; /* with the rights of those above, too */
    um_phys_t place[UM_LEVELS_MAX];
    um_entry_t entry; /* if present: frame of 4 KiB, and rights of all */
};

/* Of the page, large page or table that the address is in; those in a window
 * are below 2^47. */
#define UM_KEY_ID 48u
#define UM_KEY_VA (((uint64_t)1 << UM_KEY_ID) - PAGE)
static inline uint64_t um_key(unsigned id, uintptr_t va, unsigned level)
{
    return (uint64_t)id << UM_KEY_ID |
           (va & ~(um_span(level) - 1) & UM_KEY_VA) | level;
}

static inline uintptr_t um_va(const struct um_cached *c)
{
    return (uintptr_t)(c->key & UM_KEY_VA);
}

static inline unsigned um_id_of(const struct um_cached *c)
{
    return (unsigned)(c->key >> UM_KEY_ID);
}

/* Does it count now? */
static inline bool um_is_current(const struct um_cached *c)
{
    return um_id_of(c) == um_machine.id || um_id_of(c) == UM_GLOBAL;
}

/* machine.c */
void um_die(const char *what);
bool um_is_window(uintptr_t va);
void um_id_check(unsigned id);
/* Around a handler: it runs as the supervisor. */
bool um_user_leave(void);
void um_user_return(bool was_user);
/* Tells the kernel, which does not return. */
void um_machine_check(const char *what, uintptr_t va);

/* cache.c: at most TLB_SIZE; add() what is not there. */
struct um_cached *um_cache_find(struct um_cache *cache, uint64_t key);
struct um_cached *um_cache_add(struct um_cache *cache, uint64_t key);
void um_cache_remove(struct um_cache *cache, struct um_cached *c);
void um_cache_clear(struct um_cache *cache);

/* tlb.c */
bool um_is_ram(um_phys_t pa);
/* Where an entry stands physically; 0 if it is in no RAM of ours. */
um_phys_t um_place_of(const um_entry_t *at);
um_entry_t *um_entry_at(um_phys_t pa);
/* Accessed and dirty: set in memory, as the CPU does. */
void um_set(um_phys_t place, um_entry_t bits);
/* Reads the tables below a root, and changes nothing. */
void um_look(um_phys_t root, uintptr_t va, struct um_look *look);
/* Does a translation allow this access (UM_FAULT_*)? */
bool um_allows(um_entry_t entry, unsigned access);
/* Translates and caches. False: a fault with this error code. */
bool um_walk(uintptr_t va, unsigned access, unsigned *code);
/* For the current identifier: its own, else a global one. */
struct um_cached *um_cached_at(uintptr_t va);
/* Has the host map a cached page, or not map it, as the mode wants it. */
void um_open(struct um_cached *c);
void um_drop(struct um_cached *c);
/* All fragments of a large one. UM_GLOBAL is an identifier here. */
void um_drop_page(unsigned id, uintptr_t va);
void um_drop_uppers(unsigned id);
void um_drop_uppers_of(unsigned id, uintptr_t va);
void um_drop_id(unsigned id); /* both, of all addresses */
void um_drop_all(void);
/* Another identifier is current from now on. */
void um_id_set(unsigned id);
/* Has it rights that are not stored? */
bool um_lost(um_entry_t cached, um_entry_t stored);
/* Is this translation, cached, one that the other, stored, forbids? */
bool um_is_stale(um_entry_t cached, um_entry_t stored);

/* temper.c */
uint32_t um_random(uint32_t below);
bool um_one_in(unsigned n); /* false for 0 */
void um_note(uintptr_t va);
void um_maybe_evict(uintptr_t except);
/* Before an invalidation: walks unasked, while what is stale still is. */
void um_mischief_at(uintptr_t va);
uintptr_t um_random_va(void);
void um_temper_init(void);
/* No past, and random numbers of this CPU's own. */
void um_temper_start(unsigned cpu);

/* audit.c */
void um_record(
    um_phys_t place, um_entry_t from, um_entry_t to, const void *caller);
/* " f file:line" and the like, of code that called the machine. */
void um_caller_print(const void *caller);

/* cpus.c; nothing, where one CPU runs. A switch point, in this code. */
void um_point(const void *caller);
bool um_are_several(void);

#endif
