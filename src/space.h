/* SPDX-License-Identifier: MIT */
/* space.h - users' address spaces, for the lists of storeys. Theory: space.c.
 */
#ifndef VERSO_SRC_SPACE_H
#define VERSO_SRC_SPACE_H

#include <verso/space.h>

#include "area.h"
#include "paging.h"

int verso_i_space_init(const struct verso_boot *boot);
const char *verso_i_space_check(void);
void verso_i_space_report(void);
bool verso_i_space_drain(void);

/* Is it an address that each user space has a page of its own for? */
bool verso_i_space_is_users(vaddr_t va);

/* The areas of a space, the kernel's own included. NULL: it has none. */
struct area_map *verso_i_space_map(const struct space *space);

/* The spaces one by one, the kernel's first; NULL behind the last. */
struct space *verso_i_space_next(struct space *space);

#endif
