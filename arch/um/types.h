/* SPDX-License-Identifier: MIT */
/*
 * types.h of the port: a simulated x86 inside a Linux process, whose pointers
 * are its addresses: 32-bit where it is built with -m32, else 64-bit.
 */
#include "../x86/types.h"
