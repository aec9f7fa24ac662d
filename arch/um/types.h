/* SPDX-License-Identifier: MIT */
/*
 * types.h of the port: a simulated x86 inside a Linux process, whose pointers
 * are its addresses: 32-bit where it is built with -m32, else 64-bit. With PAE,
 * if UM_PAE says so.
 */
#ifdef UM_PAE
#define VERSO_X86_PAE UM_PAE
#endif
#include "../x86/types.h"
