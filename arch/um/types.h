/* SPDX-License-Identifier: MIT */
/*
 * types.h of the port: a simulated 32-bit x86 inside a Linux process built
 * with -m32, so that addresses of the simulated machine are plain pointers.
 */
#ifndef VERSO_ARCH_TYPES_H
#define VERSO_ARCH_TYPES_H

#include <stdint.h>

#define VERSO_PAGE_SHIFT 12

typedef uint32_t verso_phys_t;

#endif
