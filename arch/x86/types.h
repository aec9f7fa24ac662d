/* SPDX-License-Identifier: MIT */
/*
 * types.h of the port: what the public headers must know of the machine.
 * x86, with entries of 32 or of 64 bits (entry.h); a port of another directory
 * that includes this says with VERSO_X86_PAE that they have 64 bits in a 32-bit
 * machine.
 */
#ifndef VERSO_ARCH_TYPES_H
#define VERSO_ARCH_TYPES_H

#include <stdint.h>

#define VERSO_PAGE_SHIFT 12

#ifndef VERSO_X86_PAE
#define VERSO_X86_PAE 0
#endif

/* A physical address as an integer. */
#if defined(__x86_64__) || VERSO_X86_PAE
typedef uint64_t verso_phys_t;
#else
typedef uint32_t verso_phys_t;
#endif

#endif
