/* SPDX-License-Identifier: MIT */
/* cpu.h of the port: that of x86. */
#include "../x86/cpu.h"
