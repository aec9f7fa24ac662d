/* SPDX-License-Identifier: MIT */
/*
 * types.h - the scalars every storey speaks: addresses, frame numbers, rights,
 * error codes. Units: `bytes` and `size` are bytes, `pages` a count of pages,
 * `pfn` a frame number, `va` and `pa` addresses, `order` a binary logarithm.
 */
#ifndef VERSO_TYPES_H
#define VERSO_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <types.h> /* the port's: VERSO_PAGE_SHIFT, verso_phys_t */

#include <verso/config.h>

#define VERSO_PAGE_SIZE ((uintptr_t)1 << VERSO_PAGE_SHIFT)

typedef uintptr_t vaddr_t;

/*
 * Frame numbers and physical addresses are different kinds of number; the
 * strict build makes them different types. Frame 0 is never handed out, so
 * number 0 says "none".
 */
#if VERSO_STRICT
typedef struct {
    uint32_t nr;
} pfn_t;
typedef struct {
    verso_phys_t raw;
} paddr_t;
static inline pfn_t pfn_make(uint32_t nr)
{
    return (pfn_t){nr};
}
static inline uint32_t pfn_nr(pfn_t pfn)
{
    return pfn.nr;
}
static inline paddr_t paddr_make(verso_phys_t raw)
{
    return (paddr_t){raw};
}
static inline verso_phys_t paddr_raw(paddr_t pa)
{
    return pa.raw;
}
#else
typedef uint32_t pfn_t;
typedef verso_phys_t paddr_t;
static inline pfn_t pfn_make(uint32_t nr)
{
    return nr;
}
static inline uint32_t pfn_nr(pfn_t pfn)
{
    return pfn;
}
static inline paddr_t paddr_make(verso_phys_t raw)
{
    return raw;
}
static inline verso_phys_t paddr_raw(paddr_t pa)
{
    return pa;
}
#endif

#define PFN_NONE pfn_make(0)

static inline bool pfn_is_none(pfn_t pfn)
{
    return pfn_nr(pfn) == 0;
}

static inline pfn_t pfn_add(pfn_t pfn, size_t pages)
{
    return pfn_make((uint32_t)(pfn_nr(pfn) + pages));
}

static inline paddr_t pfn_to_paddr(pfn_t pfn)
{
    return paddr_make((verso_phys_t)pfn_nr(pfn) << VERSO_PAGE_SHIFT);
}

static inline pfn_t paddr_to_pfn(paddr_t pa)
{
    return pfn_make((uint32_t)(paddr_raw(pa) >> VERSO_PAGE_SHIFT));
}

/* What a call that can fail returns: 0, or one of these. */
enum verso_err {
    VERSO_OK = 0,
    VERSO_NO_MEMORY = -1, /* frames, tables, nodes or address space are out */
    VERSO_BAD_ARG = -2,   /* unaligned, wraps around, empty, out of range */
    VERSO_EXISTS = -3,    /* something is mapped there, or the range is used */
    VERSO_ABSENT = -4,    /* nothing is mapped there, or no area is there */
    VERSO_DENIED = -5,    /* the mirror, W^X, another cache type */
    VERSO_BUSY = -6,      /* not now: in an interrupt, or still in use */
};

/* The name of a code, for messages: "no memory", ... Never NULL. */
const char *verso_err_name(int err);

/*
 * Rights of a mapping, OR-ed together. Write implies read. Write together with
 * execute is refused (VERSO_DENIED) unless VERSO_WX asks for it by name. No
 * right at all is a live entry that faults on every access and keeps its
 * frame.
 */
#define VERSO_READ  0x01u
#define VERSO_WRITE 0x02u
#define VERSO_USER  0x04u
#define VERSO_EXEC  0x400u
#define VERSO_WX    0x800u
#define VERSO_RW    (VERSO_READ | VERSO_WRITE)
#define VERSO_RX    (VERSO_READ | VERSO_EXEC)

#define VERSO_RIGHTS_MASK 0xc07u

/*
 * Cache type of a mapping: one of them in bits 3..5 of the same word. Writes to
 * write-combining memory are gathered and leave in any order: frame buffers.
 * A machine that has none of it maps it uncached, which is slower and safe.
 */
#define VERSO_CACHE_SHIFT 3
#define VERSO_CACHE_WB    (0u << VERSO_CACHE_SHIFT) /* write-back: memory */
#define VERSO_CACHE_WT    (1u << VERSO_CACHE_SHIFT) /* write-through */
#define VERSO_CACHE_WC    (2u << VERSO_CACHE_SHIFT) /* write-combining */
#define VERSO_CACHE_UC    (3u << VERSO_CACHE_SHIFT) /* uncached: devices */
#define VERSO_CACHE_MASK  (7u << VERSO_CACHE_SHIFT)

#endif
