/* SPDX-License-Identifier: MIT */
#ifndef VERSO_CHECK_H
#define VERSO_CHECK_H

#include <verso/types.h>

/*
 * Reads every structure of every storey and compares them with each other: the
 * invariants are numbered in the theory comments on top of the files. Returns
 * NULL if all hold, else the name of the first broken one ("area.3: free
 * ranges never touch"), after printing its numbers. Allocates nothing, and
 * leaves everything as it was (frames are marked as seen meanwhile). Linear in
 * the memory in use. Not in interrupts; nobody else may be inside Verso.
 */
VERSO_MUST_CHECK const char *verso_check(void);

#endif
