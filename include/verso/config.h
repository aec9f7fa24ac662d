/* SPDX-License-Identifier: MIT */
/*
 * config.h - the knobs. Each can be given on the compiler's command line
 * (-DVERSO_...=N); meaning, default and range stand here, and a value out of
 * range does not compile.
 */
#ifndef VERSO_CONFIG_H
#define VERSO_CONFIG_H

/* 1: VERSO_ASSERT is checked too (O(1) each). Default 0. */
#ifndef VERSO_DEBUG
#define VERSO_DEBUG 0
#endif

/* 1: pfn_t and paddr_t are structs, so that mixing them does not compile. */
#ifndef VERSO_STRICT
#define VERSO_STRICT 0
#endif

/* Which parts of the library are built: the archives of `make lib`. */
#ifndef VERSO_HAS_FRAMES
#define VERSO_HAS_FRAMES 1
#endif
#ifndef VERSO_HAS_PAGING
#define VERSO_HAS_PAGING 1
#endif
#ifndef VERSO_HAS_HEAP
#define VERSO_HAS_HEAP 1
#endif

/* Zones of frames, lowest first (struct verso_boot.zone_limit). 1..4. */
#ifndef VERSO_ZONES
#define VERSO_ZONES 3
#endif

/* Pages invalidated one by one; above, the whole TLB. 1..512. */
#ifndef VERSO_FLUSH_CEILING
#define VERSO_FLUSH_CEILING 32
#endif

/* Ranges of frames outside the array whose cache type is not write-back: a
 * device of two regions takes two, unless they meet. 1..64. */
#ifndef VERSO_CACHE_RANGES
#define VERSO_CACHE_RANGES 16
#endif

/* Frames kept in front of the buddy lists, and moved at once. */
#ifndef VERSO_STOCK_HIGH
#define VERSO_STOCK_HIGH 128
#endif
#ifndef VERSO_STOCK_BATCH
#define VERSO_STOCK_BATCH 32
#endif

/* Object sizes that the slabs of alloc may have at the most. 4..100. */
#ifndef VERSO_CLASSES_MAX
#define VERSO_CLASSES_MAX 64
#endif

/*
 * The hook door: a header that defines verso_hook_alloc(object, bytes, caller)
 * and verso_hook_free(object, bytes, caller) for ASan poison, KASAN, leak
 * tracking. Called with no lock held, on every object that leaves or enters
 * a slab. Without it both compile to nothing.
 */
#ifdef VERSO_HOOKS_HEADER
#include VERSO_HOOKS_HEADER
#else
#define verso_hook_alloc(object, bytes, caller) ((void)0)
#define verso_hook_free(object, bytes, caller)  ((void)0)
#endif

#define VERSO_MUST_CHECK   __attribute__((warn_unused_result))
#define VERSO_NORETURN     __attribute__((noreturn))
#define VERSO_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define VERSO_CALLER       __builtin_return_address(0)

_Static_assert(VERSO_DEBUG == 0 || VERSO_DEBUG == 1, "VERSO_DEBUG: 0 or 1");
_Static_assert(VERSO_ZONES >= 1 && VERSO_ZONES <= 4, "VERSO_ZONES: 1..4");
_Static_assert(VERSO_FLUSH_CEILING >= 1 && VERSO_FLUSH_CEILING <= 512,
    "VERSO_FLUSH_CEILING: 1..512");
_Static_assert(VERSO_CACHE_RANGES >= 1 && VERSO_CACHE_RANGES <= 64,
    "VERSO_CACHE_RANGES: 1..64");
_Static_assert(VERSO_STOCK_BATCH >= 1 && VERSO_STOCK_HIGH >= VERSO_STOCK_BATCH,
    "VERSO_STOCK_HIGH: at least one batch");
_Static_assert(VERSO_CLASSES_MAX >= 4 && VERSO_CLASSES_MAX <= 100,
    "VERSO_CLASSES_MAX: 4..100");

#endif
