/* SPDX-License-Identifier: MIT */
/*
 * parts.h - the storeys of the part that is built, from the ground up. init,
 * check, report and reclaim are loops over this list.
 */
#ifndef VERSO_SRC_PARTS_H
#define VERSO_SRC_PARTS_H

#include <verso/config.h>

#if VERSO_HAS_FRAMES
#include "frame.h"
#define PART_FRAMES(X) X(frame)
#else
#define PART_FRAMES(X)
#endif

#if VERSO_HAS_PAGING
#include "paging.h"
#define PART_PAGING(X) X(paging)
#else
#define PART_PAGING(X)
#endif

#if VERSO_HAS_HEAP
#include "alloc.h"
#include "area.h"
#include "node.h"
#include "pagemap.h"
#include "slab.h"
#define PART_HEAP(X) X(node) X(pagemap) X(area) X(slab) X(alloc)
#else
#define PART_HEAP(X)
#endif

#if VERSO_HAS_PAGING && VERSO_HAS_HEAP
#include "space.h"
#define PART_SPACES(X) X(space)
#else
#define PART_SPACES(X)
#endif

#define STOREYS(X) PART_FRAMES(X) PART_PAGING(X) PART_HEAP(X) PART_SPACES(X)

#endif
