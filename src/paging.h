/* SPDX-License-Identifier: MIT */
/* paging.h - the page tables, for the storeys above. Theory: tables.h, and on
 * top of each of paging's files. */
#ifndef VERSO_SRC_PAGING_H
#define VERSO_SRC_PAGING_H

#include <verso/frame.h>
#include <verso/init.h>
#include <verso/paging.h>

#include "util.h"

/*
 * The tables of one set of addresses. Every root has the kernel's entries; a
 * user's has its own besides, between verso_boot.user_start and the end of
 * that. Keys: (s) the lock; (c) constant after init; (k) the kernel space's
 * lock; (i) the CPU that loads it, interrupts off.
 */
struct space {
    struct lock lock;
    pfn_t root;     /* (c) the first of its frames */
    bool is_user;   /* (c) */
    bool global;    /* (c) pages that users cannot reach are */
    bool by_mirror; /* (s) how its tables are reached now */
    bool is_stale;  /* (i) what is cached under `id` must go when loaded */
    unsigned id;    /* (c) address-space identifier; 0: none of its own */
    unsigned shown; /* (s) level of the root, if the mirror shows its tables
                       now; else 0 */
    uint32_t seen_changes;    /* (i) paging.kernel_changes when loaded */
    uintptr_t irq;            /* (s) interrupts before the turn */
    size_t tables;            /* (s) the root included, spares not */
    struct verso_chain spare; /* (s) tables, all entries 0 */
    vaddr_t idle_va;          /* (s) where the idle table is hooked in */
    pfn_t idle;               /* (s) it, if it is still empty; or none */
    struct space *next;       /* (k) */
    struct area_map *areas;   /* (c) whoever has such finds it here, or NULL */
};

/* A space for users, without a page; the memory is the caller's until
 * verso_i_paging_space_fini(), which wants it without a page, and loaded
 * nowhere. */
VERSO_MUST_CHECK int verso_i_paging_space_init(struct space *space);
void verso_i_paging_space_fini(struct space *space);
bool verso_i_paging_is_loaded(const struct space *space);

int verso_i_paging_init(const struct verso_boot *boot);
const char *verso_i_paging_check(void);
void verso_i_paging_report(void);
bool verso_i_paging_drain(void);

/* What to map, and the frames for it, in one of three forms. */
struct paging_source {
    const pfn_t *list; /* an array, one a page; or NULL, and: */
    pfn_t first;       /* the first frame; */
    bool chained;      /* the next one is frame.link, which then becomes the
                          number of the page; or the next number */
};

/*
 * Pages whose translations must go, and what may be reused once they are gone.
 * Gathered under the space's lock, submitted once. A batch that was given
 * anything must be submitted before it goes out of scope (paging.8).
 */
#define FLUSH_RANGES 8
struct flush {
    struct flush_range {
        vaddr_t va;
        size_t count; /* pages of either size */
        vaddr_t step; /* bytes from one to the next */
    } range[FLUSH_RANGES];
    unsigned ranges;
    size_t total;              /* pages in all of them */
    bool all;                  /* too many: the whole TLB */
    bool tagged;               /* some of it is cached a root each */
    bool collect;              /* unmap takes the frames along: */
    struct verso_chain frames; /* the caller's to free, after the flush */
    struct verso_chain tables; /* given back by the submit itself */
};

void verso_i_flush_init(struct flush *batch, bool collect);

int verso_i_paging_map(struct space *space, vaddr_t va, size_t pages,
    unsigned flags, const struct paging_source *source);
/* One page, whose frame is the caller's and has the cache type it is to have;
 * as if chained. */
int verso_i_paging_map_frame(
    struct space *space, vaddr_t va, pfn_t pfn, unsigned flags);
/* The same for a chain of frames. */
int verso_i_paging_map_chain(
    struct space *space, vaddr_t va, size_t pages, pfn_t first, unsigned flags);
/* Unmaps, flushes, and hands over the frames there were; their number. Of what
 * is mapped by pages of the lowest level, and cannot fail. */
uint32_t verso_i_paging_release(
    struct space *space, vaddr_t va, size_t pages, struct verso_chain *frames);
int verso_i_paging_unmap(
    struct space *space, vaddr_t va, size_t pages, struct flush *batch);
/* With `holes`, pages that are not mapped are passed over. */
int verso_i_paging_protect(
    struct space *space, vaddr_t va, size_t pages, unsigned rights, bool holes);
int verso_i_paging_query(
    struct space *space, vaddr_t va, struct verso_mapping *mapping);

/* Pages from va on that are absent for one and the same reason; 0: it is there.
 * va is the space's. */
size_t verso_i_paging_absent(struct space *space, vaddr_t va);

/* The same without the lock, for a panic: on the kernel's space. */
int verso_i_paging_peek(vaddr_t va, struct verso_mapping *mapping);

/* Does every translation in the batch; returns the number of the flush. */
uint32_t verso_i_flush_submit(struct space *space, struct flush *batch);
bool verso_i_flush_done(uint32_t flush);

/* Clears a frame that nobody sees yet. */
void verso_i_paging_clear(pfn_t pfn);

/* Do the tables grant these rights? If so, a stale translation of this CPU was
 * at fault, and is gone now. */
bool verso_i_paging_allows(struct space *space, vaddr_t va, unsigned wanted);

/* The level-by-level walk, and the merged list of entries from `from` on. */
void verso_i_paging_report_walk(vaddr_t va);
void verso_i_paging_report_tables(vaddr_t from);

/* Says in one line what the mirror or the tables have at va; false if va is
 * nothing of paging's. Takes no lock. */
bool verso_i_paging_describe(vaddr_t va);

#endif
