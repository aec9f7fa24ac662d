/* SPDX-License-Identifier: MIT */
/* area.h - ranges of addresses, for the storeys above. Theory: area.c. */
#ifndef VERSO_SRC_AREA_H
#define VERSO_SRC_AREA_H

#include <verso/area.h>

#include "pagemap.h"
#include "radix.h"
#include "stock.h"

struct space;

/* Beside the public flags: */
#define AREA_WORDS 0x200000u /* every page has a word, not the first alone */
#define AREA_HEAP  0x400000u /* an object of alloc */

/* What callers may ask for. */
#define AREA_FLAGS_PUBLIC                                                      \
    (VERSO_RIGHTS_MASK | VERSO_CACHE_MASK | VERSO_AREA_LAZY |                  \
        VERSO_AREA_BARE | VERSO_AREA_GUARD | VERSO_AREA_ZERO |                 \
        VERSO_AREA_UNZEROED | VERSO_AREA_CONTIG | VERSO_AREA_LOW)

#define CONTIG_MAX 1024u /* pages: the largest block of frames */

/* One range of pages. A node; keys: (a) area lock. */
struct mem_area {
    vaddr_t start;       /* (a) first page, guards included */
    size_t pages;        /* (a) guards included */
    uint32_t prev, next; /* (a) neighbours in address order */
    union {
        struct {
            uint32_t prev, next;
        } bin; /* (a) KIND_FREE */
        struct {
            uint32_t flush, next;
        } limbo;          /* (a) KIND_LIMBO */
        const char *name; /* (a) KIND_AREA */
    };
    uint32_t flags; /* (a) */
    uint8_t kind;   /* (a) enum pagemap_kind */
};
_Static_assert(sizeof(struct mem_area) <= NODE_SIZE, "a mem_area is a node");

/* A node whose kind overrides an area's words begins with this. */
struct area_override {
    uint32_t area;
};

#define BIN_ROWS  32u
#define BIN_SLOTS 8u

/* All ranges between two addresses: they touch, and leave no gap. The lock
 * guards everything but where they lie. */
struct area_map {
    struct lock lock;
    struct pagemap *pagemap; /* of the kernel's map, which others lack: */
    struct radix radix;      /* key: the page's number in the map */
    struct space *space;     /* NULL: the kernel's */
    vaddr_t start;
    size_t pages;
    uint32_t rows;            /* bins: rows with a free range */
    uint32_t slots[BIN_ROWS]; /* and which slots of a row have one */
    uint32_t bin[BIN_ROWS][BIN_SLOTS];
    struct stock nodes;
    uint32_t limbo_first, limbo_last; /* in the order of their flushes */
    size_t used, free, limbo;
    size_t used_pages, limbo_pages;
};

struct area_map *verso_i_area_kernel(void);

int verso_i_area_init(const struct verso_boot *boot);
const char *verso_i_area_check(void);
void verso_i_area_report(void);
bool verso_i_area_drain(void);

/*
 * Another map, of [start, start + pages): all of it free. Its memory is the
 * caller's. BAD_ARG: no such range; NO_MEMORY: no nodes.
 */
VERSO_MUST_CHECK int verso_i_area_map_init(
    struct area_map *map, struct space *space, vaddr_t start, size_t pages);
/* Takes the memory of all areas away, and gives back all that the map has.
 * Needs no memory; linear in the ranges. */
void verso_i_area_map_fini(struct area_map *map);

const char *verso_i_area_map_check(const struct area_map *map);
void verso_i_area_map_report(const struct area_map *map);
bool verso_i_area_map_drain(struct area_map *map);
void verso_i_area_map_stats(
    struct area_map *map, struct verso_area_stats *stats);

/*
 * The public calls for any map, for requests and addresses that are not
 * trusted: what would panic there is BAD_ARG or, for an address that is no
 * area's, ABSENT here; `fixed` that is in use is EXISTS. Two calls that free or
 * change one area at a time are still a mistake: the owner of the map has a
 * lock against that.
 */
VERSO_MUST_CHECK int verso_i_area_place(struct area_map *map,
    const struct verso_area_request *request, vaddr_t *address);
VERSO_MUST_CHECK int verso_i_area_remove(struct area_map *map, vaddr_t va);
VERSO_MUST_CHECK int verso_i_area_resize(
    struct area_map *map, vaddr_t va, size_t pages);
VERSO_MUST_CHECK int verso_i_area_protect(
    struct area_map *map, vaddr_t va, unsigned rights);
VERSO_MUST_CHECK int verso_i_area_info(
    struct area_map *map, vaddr_t va, struct verso_area_info *info);

/* As verso_area_alloc_as, but names the area by its node (NODE_NONE: none).
 * With page_word != 0 every page of it gets that word. */
uint32_t verso_i_area_alloc(struct area_map *map,
    const struct verso_area_request *request, uint32_t page_word);
void verso_i_area_free(struct area_map *map, uint32_t area);

/* The area of any kind that va lies in, guards included; va lies in the map.
 * Takes no lock. NODE_NONE: a slab that is being made is there. */
uint32_t verso_i_area_find(const struct area_map *map, vaddr_t va);

/* First usable page of an area, and the number of usable pages. */
vaddr_t verso_i_area_usable(const struct mem_area *area, size_t *pages);

ALWAYS_INLINE struct mem_area *area_get(uint32_t area)
{
    return node_get(area);
}

/* Makes the one page at va of a lazy area usable, as a fault asks for. */
int verso_i_area_touch(struct area_map *map, vaddr_t va, unsigned wanted);

/* One line on va, which lies in the map. Takes no lock. */
void verso_i_area_describe(const struct area_map *map, vaddr_t va);

#endif
