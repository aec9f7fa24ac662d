/* SPDX-License-Identifier: MIT */
/*
 * verso.h - virtual memory for kernels: all of the public interface.
 *
 * Storeys, each using only those above it in this list:
 *
 *     frame     physical frames: buddies, zones, owners
 *     paging    page tables, edited through their own mirror
 *     back      memory behind addresses: frame + paging, or the host's
 *     (node, pagemap, radix: private to the library)
 *     area      ranges of pages
 *     slab      caches of objects
 *     alloc     objects of any size
 *     space     address spaces for users
 *     fault, check, report, init
 *
 * Lock order, outermost first; entry points take them, nothing is called back
 * with one held:
 *
 *     spaces (the list of them) > area > node > space, the kernel's first >
 *         cache types, frame
 *     slab, slub (the list of caches), reclaim (the list of clients)
 *
 * The latter are leaves: slab is dropped before a cache grows. frame and slab
 * are held with interrupts off, for a bounded time (but for statistics and
 * shrinking, which walk the slabs of a cache); the others are not, for no
 * interrupt handler gets that far.
 */
#ifndef VERSO_H
#define VERSO_H

#include <verso/alloc.h>
#include <verso/area.h>
#include <verso/back.h>
#include <verso/check.h>
#include <verso/fault.h>
#include <verso/frame.h>
#include <verso/host.h>
#include <verso/init.h>
#include <verso/paging.h>
#include <verso/reclaim.h>
#include <verso/report.h>
#include <verso/slab.h>
#include <verso/space.h>
#include <verso/types.h>
#include <verso/util.h>

#endif
