/* SPDX-License-Identifier: MIT */
/*
 * types.h of the port: 32-bit x86 with PAE. Physical addresses are wider than
 * pointers. All else is that of x86.
 */
#define VERSO_X86_PAE 1
#include "../x86/types.h"
