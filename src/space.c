/* SPDX-License-Identifier: MIT */
/*
 * space - address spaces for users: a root, and a map of areas over it.
 *
 *     struct user_space            paging.c: the root, with the kernel's
 *     +-----------------+          entries and what is mapped here
 *     | struct space    |--------> root -> tables -> pages
 *     | struct area_map |--+
 *     | next            |  |       area.c: ranges of users' addresses, the same
 *     +-----------------+  +-----> code as for the kernel's
 *
 * The areas are in map.space's tables and nobody else's: whoever commits or
 * releases memory for one goes through back with that space, loaded or not. A
 * page fault at users' addresses is the loaded space's (fault.c).
 *
 *     users' addresses  | 16 pages |  areas                       | 1 page |
 *                       user_start                                      end
 *
 * The first pages are left out so that NULL faults; the last so that no
 * instruction at its end can be followed by an address that is none, or the
 * kernel's.
 *
 * Invariants:
 *   1. each space on the list has a map that holds (area.c's own invariants),
 *      over its own tables.
 *   2. no space is on the list twice, and as many are as were counted.
 *
 * Lock: spaces, for the list; outside of the areas' and those below.
 */
#include <verso/alloc.h>
#include <verso/reclaim.h>

#include "space.h"

struct user_space {
    struct space space; /* first: one pointer names both */
    struct area_map map;
    struct user_space *next; /* lock: spaces */
};

static struct {
    struct lock lock;
    struct user_space *first;
    size_t count;
    vaddr_t start; /* of areas; constant after init, as is the next */
    size_t pages;  /* 0: there are no addresses for users */
    vaddr_t users;
    size_t users_pages;
} state VERSO_STATE;

static struct user_space *user_space(struct space *space)
{
    VERSO_VERIFY(space->is_user && space->areas != NULL,
        "space: root %#x is the kernel's, or has no areas",
        pfn_nr(space->root));
    return (struct user_space *)space;
}

struct area_map *verso_i_space_map(const struct space *space)
{
    return space->is_user ? space->areas : verso_i_area_kernel();
}

bool verso_i_space_is_users(vaddr_t va)
{
    return va - state.users < bytes_of(state.users_pages);
}

/* ---- create, destroy ---- */

static void list_add(struct user_space *user)
{
    lock_take(&state.lock);
    user->next = state.first;
    state.first = user;
    state.count++;
    lock_drop(&state.lock);
}

static void list_remove(const struct user_space *user)
{
    lock_take(&state.lock);
    struct user_space **link = &state.first;
    while (*link != user)
        link = &(*link)->next;
    *link = user->next;
    state.count--;
    lock_drop(&state.lock);
}

/* Root and map; on failure neither. */
static int space_start(struct user_space *user)
{
    int err = verso_i_paging_space_init(&user->space);
    if (err != 0)
        return err;
    err = verso_i_area_map_init(
        &user->map, &user->space, state.start, state.pages);
    if (err != 0)
        verso_i_paging_space_fini(&user->space);
    else
        user->space.areas = &user->map;
    return err;
}

struct space *verso_space_create(void)
{
    struct user_space *user = verso_alloc_zeroed(1, sizeof(*user));
    if (user == NULL)
        return NULL;
    int err = space_start(user);
    if (err == VERSO_NO_MEMORY && verso_reclaim())
        err = space_start(user);
    if (err != 0) {
        verso_free(user);
        return NULL;
    }
    list_add(user);
    return &user->space;
}

int verso_space_destroy(struct space *space)
{
    struct user_space *user = user_space(space);
    if (verso_i_paging_is_loaded(space))
        return VERSO_BUSY;
    list_remove(user);
    verso_i_area_map_fini(&user->map);
    /* what was mapped outside of areas; whole, so that nothing is split */
    int err = verso_space_unmap(space, state.users, state.users_pages);
    VERSO_VERIFY(err == 0, "space: the end of root %#x: %s",
        pfn_nr(space->root), verso_err_name(err));
    verso_i_paging_space_fini(space);
    verso_free(user);
    return 0;
}

/* ---- areas ---- */

int verso_space_area_alloc(
    struct space *space, const struct verso_area_request *request, vaddr_t *va)
{
    struct verso_area_request r = *request;
    if ((r.flags & VERSO_RIGHTS_MASK) == 0)
        r.flags |= VERSO_RW;
    r.flags |= VERSO_USER;
    if ((r.flags & VERSO_AREA_UNZEROED) == 0)
        r.flags |= VERSO_AREA_ZERO;
    return verso_i_area_place(&user_space(space)->map, &r, va);
}

int verso_space_area_free(struct space *space, vaddr_t va)
{
    return verso_i_area_remove(&user_space(space)->map, va);
}

int verso_space_area_resize(struct space *space, vaddr_t va, size_t pages)
{
    return verso_i_area_resize(&user_space(space)->map, va, pages);
}

int verso_space_area_protect(struct space *space, vaddr_t va, unsigned rights)
{
    rights |= VERSO_USER;
    return verso_i_area_protect(&user_space(space)->map, va, rights);
}

int verso_space_area_find(
    struct space *space, vaddr_t va, struct verso_area_info *info)
{
    return verso_i_area_info(&user_space(space)->map, va, info);
}

/* The same area in another space, without its pages. */
static int area_copy(struct space *to, const struct mem_area *area)
{
    const unsigned pages_are = VERSO_AREA_CONTIG | VERSO_AREA_ZERO |
                               VERSO_AREA_UNZEROED; /* of pages there are */
    struct verso_area_request request = {.name = area->name};
    vaddr_t va;
    request.fixed = verso_i_area_usable(area, &request.pages);
    request.flags = area->flags & AREA_FLAGS_PUBLIC;
    if ((request.flags & VERSO_AREA_BARE) == 0)
        request.flags = (request.flags & ~pages_are) | VERSO_AREA_LAZY;
    return verso_space_area_alloc(to, &request, &va);
}

struct space *verso_space_clone_empty(struct space *from)
{
    const struct area_map *map = &user_space(from)->map;
    struct space *space = verso_space_create();
    uint32_t node =
        space != NULL ? verso_i_area_find(map, map->start) : NODE_NONE;
    for (; node != NODE_NONE; node = area_get(node)->next) {
        if (area_get(node)->kind != KIND_AREA ||
            area_copy(space, area_get(node)) == 0)
            continue;
        int err = verso_space_destroy(space);
        VERSO_VERIFY(err == 0, "space: a clone: %s", verso_err_name(err));
        return NULL;
    }
    return space;
}

/* ---- init, check, report ---- */

int verso_i_space_init(const struct verso_boot *boot)
{
    state.lock.name = "spaces";
    state.users = boot->user_start;
    state.users_pages = boot->user_pages;
    if (boot->user_pages > VERSO_SPACE_NULL_PAGES + 1) {
        state.start = boot->user_start + bytes_of(VERSO_SPACE_NULL_PAGES);
        state.pages = boot->user_pages - VERSO_SPACE_NULL_PAGES - 1;
    }
    return 0;
}

const char *verso_i_space_check(void)
{
    size_t count = 0;
    for (struct user_space *u = state.first; u != NULL; u = u->next) {
        if (u->map.space != &u->space || count++ == state.count)
            return "space.2: the list has each space once";
        const char *broken = verso_i_area_map_check(&u->map);
        if (broken != NULL)
            return broken;
    }
    return count == state.count ? NULL : "space.2: every space is counted";
}

bool verso_i_space_drain(void)
{
    bool progress = false;
    lock_take(&state.lock);
    for (struct user_space *u = state.first; u != NULL; u = u->next)
        progress |= verso_i_area_map_drain(&u->map);
    lock_drop(&state.lock);
    return progress;
}

struct space *verso_i_space_next(struct space *space)
{
    struct user_space *next =
        space->is_user ? user_space(space)->next : state.first;
    return next != NULL ? &next->space : NULL;
}

void verso_i_space_report(void)
{
    for (struct user_space *u = state.first; u != NULL; u = u->next) {
        verso_print("space: root in frame %#x, %zu tables%s\n",
            pfn_nr(u->space.root), u->space.tables,
            verso_i_paging_is_loaded(&u->space) ? ", loaded" : "");
        verso_i_area_map_report(&u->map);
    }
}
