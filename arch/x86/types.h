/* SPDX-License-Identifier: MIT */
/*
 * types.h of the port: what the public headers must know of the machine.
 * x86, 32-bit, two levels of tables.
 */
#ifndef VERSO_ARCH_TYPES_H
#define VERSO_ARCH_TYPES_H

#include <stdint.h>

#define VERSO_PAGE_SHIFT 12

/* A physical address as an integer. */
typedef uint32_t verso_phys_t;

#endif
