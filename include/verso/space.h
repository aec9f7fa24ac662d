/* SPDX-License-Identifier: MIT */
/*
 * space.h - address spaces for users: a root of their own, and areas in it.
 *
 * Users' addresses are those between verso_boot.user_start and the end of
 * user_pages; all others are the kernel's, the same in every space. A space
 * need not be loaded (verso_space_switch(), paging.h) to be changed.
 *
 * Context: not in interrupts. Locks: spaces, area, space, frame. Calls that map
 * single pages: verso_space_map() and those behind it in paging.h.
 */
#ifndef VERSO_SPACE_H
#define VERSO_SPACE_H

#include <verso/area.h>
#include <verso/types.h>

struct space;

/* The first addresses are in no area, so that NULL and what is near it faults;
 * nor is the last page of users' addresses. */
#define VERSO_SPACE_NULL_PAGES 16u

/* A space with no area and no page. NULL: no memory. Panics if verso_init() was
 * told no addresses for users. */
VERSO_MUST_CHECK struct space *verso_space_create(void);

/* A space with the same areas, their names and rights, and none of their pages:
 * each comes, cleared, at its first touch, but in bare areas. What `from` maps
 * outside of areas is not there. NULL: no memory. */
VERSO_MUST_CHECK struct space *verso_space_clone_empty(struct space *from);

/* Frees its areas, their frames, its tables; frames that the caller mapped stay
 * the caller's. BUSY: a CPU has it loaded; nothing has changed then. */
VERSO_MUST_CHECK int verso_space_destroy(struct space *space);

/*
 * Areas of a space, as those of area.h in the kernel's: VERSO_USER is added to
 * their rights, and pages are cleared unless VERSO_AREA_UNZEROED (whose
 * contents leak to users) says otherwise. What would panic there is a code
 * here, for it may be what a user asked for: BAD_ARG: the request makes no
 * sense; EXISTS: `fixed` is in use; ABSENT: no area begins there. Otherwise
 * codes and effects are area.h's. Two calls that free or change one area at the
 * same time are a mistake.
 */
VERSO_MUST_CHECK int verso_space_area_alloc(
    struct space *space, const struct verso_area_request *request, vaddr_t *va);
VERSO_MUST_CHECK int verso_space_area_free(struct space *space, vaddr_t va);
VERSO_MUST_CHECK int verso_space_area_resize(
    struct space *space, vaddr_t va, size_t pages);
VERSO_MUST_CHECK int verso_space_area_protect(
    struct space *space, vaddr_t va, unsigned rights);
VERSO_MUST_CHECK int verso_space_area_find(
    struct space *space, vaddr_t va, struct verso_area_info *info);

#endif
