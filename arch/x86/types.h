/* SPDX-License-Identifier: MIT */
/*
 * types.h of the port: what the public headers must know of the machine.
 * x86, with entries of 32 or of 64 bits (entry.h).
 */
#ifndef VERSO_ARCH_TYPES_H
#define VERSO_ARCH_TYPES_H

#include <stdint.h>

#define VERSO_PAGE_SHIFT 12

/* A physical address as an integer. */
#ifdef __x86_64__
typedef uint64_t verso_phys_t;
#else
typedef uint32_t verso_phys_t;
#endif

#endif
