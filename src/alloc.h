/* SPDX-License-Identifier: MIT */
/* alloc.h - for init. Theory: alloc.c. */
#ifndef VERSO_SRC_ALLOC_H
#define VERSO_SRC_ALLOC_H

#include <verso/alloc.h>
#include <verso/init.h>

int verso_i_alloc_init(const struct verso_boot *boot);
const char *verso_i_alloc_check(void);
void verso_i_alloc_report(void);
bool verso_i_alloc_drain(void);

#endif
