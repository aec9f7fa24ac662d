/* SPDX-License-Identifier: MIT */
/* paging.h - the page tables, for the storeys above. Theory: paging.c. */
#ifndef VERSO_SRC_PAGING_H
#define VERSO_SRC_PAGING_H

#include <verso/frame.h>
#include <verso/init.h>
#include <verso/paging.h>

#include "util.h"

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
int verso_i_paging_unmap(
    struct space *space, vaddr_t va, size_t pages, struct flush *batch);
/* With `holes`, pages that are not mapped are passed over. */
int verso_i_paging_protect(
    struct space *space, vaddr_t va, size_t pages, unsigned rights, bool holes);
int verso_i_paging_query(
    struct space *space, vaddr_t va, struct verso_mapping *mapping);

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
