/* SPDX-License-Identifier: MIT */
/* mmu.h of the port: that of x86, with the format of formatpae.h. */
#include "../x86/mmu.h"
