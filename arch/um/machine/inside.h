/* SPDX-License-Identifier: MIT */
/*
 * inside.h - what the files of the machine share, and nobody else sees:
 *
 *     machine.c   RAM, signals, what the CPU does
 *     tlb.c       what is cached, and the walk
 *     temper.c    misbehaviour on demand, and the stores it happens between
 *     audit.c     what is cached against what is stored
 *     cpus.c      several CPUs, and whose turn it is
 */
#ifndef ARCH_UM_INSIDE_H
#define ARCH_UM_INSIDE_H

#include "um.h"

#ifndef __i386__
#error "32-bit tables need a 32-bit process: build with -m32"
#endif

#define PAGE 4096u

/* The entry bits the machine looks at. */
#define ENTRY_P      0x001u
#define ENTRY_W      0x002u
#define ENTRY_U      0x004u
#define ENTRY_CACHE  0x018u /* PWT, PCD */
#define ENTRY_A      0x020u
#define ENTRY_D      0x040u
#define ENTRY_PS     0x080u
#define ENTRY_RIGHTS (ENTRY_W | ENTRY_U)
#define ENTRY_FRAME  0xfffff000u
#define ENTRY_LARGE  0xffc00000u

#define PAGES       (UM_WINDOW_BYTES / PAGE)
#define LARGE_BYTES 0x400000u
#define LARGE_PAGES (LARGE_BYTES / PAGE)
#define SLOTS       (PAGES / LARGE_PAGES)

/* A cached translation, one byte a page of the window; 0: none. */
#define CACHED       1u
#define CACHED_D     2u /* dirty was set: mapped writable */
#define CACHED_LARGE 4u /* a fragment of a 4-MiB page */
#define CACHED_BUS   8u /* of no RAM: cached, but not mapped by the host */

/* Mappings of the host are limited (vm.max_map_count, 65,530). */
#define TLB_SIZE 4000u

/* Pages that something happened to lately; a power of two. */
#define RECENT 64u

/* What UM= asks for; "1 in N", 0 is never. */
struct um_temper {
    unsigned evict, speculate, pdecache, fragment, adrandom, ackdelay, seed;
};

struct um_machine {
    struct um_config config;
    int fd;
    unsigned char *ram;
    bool on;
    uint32_t root; /* physical address */

    unsigned char tlb[PAGES];        /* CACHED_* */
    uint32_t entry[PAGES];           /* of a cached page: frame and rights */
    uint32_t source[PAGES];          /* and where its leaf stood, physically */
    uint32_t list[TLB_SIZE];         /* the cached pages, in any order */
    unsigned short place[PAGES];     /* of a cached page, in the list */
    unsigned short fragments[SLOTS]; /* of the cached: of large pages */
    unsigned short small[SLOTS];     /* and the others, by 4-MiB slot */
    uint32_t large[SLOTS];           /* where fragments > 0: the large page */

    uint32_t upper[SLOTS]; /* cached entries for tables; 0: none */
    unsigned uppers;

    struct um_temper temper;
    uint64_t random;
    uint32_t recent[RECENT];
    unsigned recent_next;
    struct um_stats stats;
};

extern struct um_machine um_machine;

/* The last stores of entries, by any CPU: a ring, the newest at count - 1. */
#define LOG 4096u /* a power of two */
struct um_log {
    size_t count;
    struct um_record {
        uint32_t place; /* physical address of the entry */
        uint32_t from, to;
        unsigned cpu;
        void *caller;
    } records[LOG];
};
/* Whole pages, so that it can be shared in place. */
extern _Alignas(PAGE) union um_log_pages {
    struct um_log log;
    unsigned char pages[(sizeof(struct um_log) + PAGE - 1) / PAGE * PAGE];
} um_log;

/* How the tables translate an address. */
struct um_look {
    bool present, large;
    bool from_cache;             /* the upper entry is a cached one */
    uint32_t upper, upper_place; /* the entries, and their physical address */
    uint32_t leaf, leaf_place;   /* the same as upper for a large page */
    uint32_t entry;              /* frame of 4 KiB, and rights of both */
};

static inline bool um_is_window(uintptr_t va)
{
    return va - UM_WINDOW < UM_WINDOW_BYTES;
}

static inline size_t um_page_of(uintptr_t va)
{
    return (va - UM_WINDOW) / PAGE;
}

static inline uintptr_t um_va_of(size_t page)
{
    return UM_WINDOW + page * PAGE;
}

void um_die(const char *what);

/* tlb.c */
bool um_is_ram(uint32_t pa);
/* Where an entry stands physically; 0 if it is in no RAM of ours. */
uint32_t um_place_of(const uint32_t *at);
uint32_t *um_entry_at(uint32_t pa);
void um_look(uintptr_t va, bool use_cache, struct um_look *look);
/* Translates and caches. False: a fault with this error code. */
bool um_walk(uintptr_t va, bool write, unsigned *code);
void um_drop(size_t page);
void um_drop_upper(size_t slot);
void um_drop_uppers(void);
void um_drop_all(void);
/* Is this translation, cached, one that the other, stored, forbids? */
bool um_is_stale(uint32_t cached, uint32_t stored);

/* temper.c */
uint32_t um_random(uint32_t below);
bool um_one_in(unsigned n); /* false for 0 */
void um_note(size_t page);
void um_maybe_evict(size_t except);
/* Before an invalidation: walks unasked, while what is stale still is. */
void um_mischief_at(size_t page);
void um_temper_init(void);
void um_temper_start(unsigned cpu);

/* audit.c */
void um_record(const uint32_t *at, uint32_t from, uint32_t to, void *caller);
/* ", in f file:line" and the like, of code that called the machine. */
void um_caller_print(const void *caller);

/* cpus.c; nothing, where one CPU runs. A switch point, in this code. */
void um_point(const void *caller);
bool um_are_several(void);

#endif
