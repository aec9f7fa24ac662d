/* SPDX-License-Identifier: MIT */
/*
 * random.c - changes of mappings at random, which stay: something for `tables`
 * to show, and for others to compare it with (test/oracle.py).
 *
 *     the tests' window   |....mmmmm...MMMMMMMMmm..mm|
 *     users' addresses    |..mm....MMMM..............|  if such a space is
 * loaded m 4-KiB, M 4-MiB pages, every right, cache type
 *
 * An operation maps a run or a list of frames, unmaps or protects; its range is
 * a few pages, many, or whole large pages. The frames are not taken: nothing
 * reads or writes there. What must be refused (something is mapped there,
 * nothing is, a cache type that the frame has not) is asked for as well.
 * The same seed makes the same mappings.
 */
#include <verso/verso.h>

#include "../test/test.h"
#include "kernel.h"
#include "machine.h"

#define LARGE_PAGES 1024u /* of a slot: what alignment to choose */
#define SMALL_MAX   40u
#define LIST_MAX    16u
#define FAR_PAGES   0x20000u
/* No RAM there: frames of every cache type. */
#define FAR_PFN (sizeof(verso_phys_t) == 4 ? 0xc0000u : 0xc000000u)

static uint32_t random_state;

/* Where an operation is: of one of the two windows above. */
struct random_window {
    struct space *space;
    vaddr_t start;
    size_t pages;
};

static const unsigned random_rights[] = {VERSO_READ, VERSO_RW, VERSO_RX,
    VERSO_READ | VERSO_USER, VERSO_RW | VERSO_USER, VERSO_RX | VERSO_USER,
    VERSO_RW | VERSO_EXEC | VERSO_WX, 0};
static const unsigned random_caches[] = {
    VERSO_CACHE_WB, VERSO_CACHE_WT, VERSO_CACHE_WC, VERSO_CACHE_UC};
#define CACHE_PAGES (FAR_PAGES / ARRAY_COUNT(random_caches))

/* Marsaglia's xorshift; 0 .. n - 1, n < 65,536. */
static size_t random_below(size_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return (size_t)((random_state >> 16) * (uint32_t)n >> 16);
}

static struct random_window random_window(bool users)
{
    struct random_window w = {.space = verso_space_kernel()};
    w.start = test_window(&w.pages);
    if (users) { /* not at NULL, and aligned as the tests' is */
        const struct verso_boot *boot = machine_boot();
        size_t room = boot->user_pages - LARGE_PAGES;
        w.space = verso_space_now();
        w.start = boot->user_start + (LARGE_PAGES << VERSO_PAGE_SHIFT);
        w.pages = room < w.pages ? room : w.pages;
    }
    return w;
}

static bool users_are_there(void)
{
    return verso_space_now() != verso_space_kernel();
}

/* A range within the window; `large`: made of whole large pages. The others
 * begin in the lower half, so that not every large page is split again. */
static vaddr_t random_range(
    const struct random_window *w, size_t *pages, bool *large)
{
    const size_t window = w->pages;
    size_t first, kind = random_below(4);

    *large = kind == 0;
    if (*large) {
        *pages = LARGE_PAGES * (1 + random_below(3));
        first = random_below(window / LARGE_PAGES) * LARGE_PAGES;
    } else {
        *pages = 1 + random_below(kind == 1 ? 2 * LARGE_PAGES : SMALL_MAX);
        first = random_below(window / 2 / LARGE_PAGES) * LARGE_PAGES +
                random_below(LARGE_PAGES);
    }
    if (*pages > window - first)
        *pages = window - first;
    return w->start + (first << VERSO_PAGE_SHIFT);
}

static unsigned random_flags(void)
{
    return random_rights[random_below(ARRAY_COUNT(random_rights))];
}

/* Nearly always the type that the frame has. */
static unsigned random_cache(pfn_t pfn)
{
    size_t type = random_below(ARRAY_COUNT(random_caches));
    if (random_below(8) != 0)
        type = (pfn_nr(pfn) - FAR_PFN) / CACHE_PAGES;
    return random_caches[type];
}

/* `forget`: back to write-back. */
static bool random_set_caches(bool forget)
{
    int err = VERSO_OK;
    for (size_t i = 0; i < ARRAY_COUNT(random_caches) && err == VERSO_OK; i++)
        err = verso_cache_set_range(
            pfn_make((uint32_t)(FAR_PFN + i * CACHE_PAGES)), CACHE_PAGES,
            forget ? VERSO_CACHE_WB : random_caches[i]);
    return err == VERSO_OK;
}

static pfn_t random_frame(bool far, bool large)
{
    size_t pfn = far ? FAR_PFN + 4 * random_below(FAR_PAGES / 4)
                     : 1 + random_below(0x2000);
    if (large)
        pfn &= ~(size_t)(LARGE_PAGES - 1);
    return pfn_make((uint32_t)(pfn == 0 ? LARGE_PAGES : pfn));
}

static int random_map_list(struct space *space, vaddr_t va, size_t pages)
{
    pfn_t frames[LIST_MAX];

    if (pages > LIST_MAX)
        pages = LIST_MAX;
    for (size_t i = 0; i < pages; i++)
        frames[i] = random_frame(false, false);
    return verso_space_map_frames(space, va, frames, pages, random_flags());
}

static int random_map(struct space *space, vaddr_t va, size_t pages, bool large)
{
    const bool far = random_below(3) == 0;
    const pfn_t first = random_frame(far, large);
    const unsigned cache = far ? random_cache(first) : VERSO_CACHE_WB;
    return verso_space_map(space, va, first, pages, random_flags() | cache);
}

static int random_operation(void)
{
    size_t pages, kind = random_below(8);
    bool large;
    struct random_window w =
        random_window(users_are_there() && random_below(2) == 0);
    vaddr_t va = random_range(&w, &pages, &large);

    if (kind < 3)
        return random_map(w.space, va, pages, large);
    if (kind == 3)
        return random_map_list(w.space, va, pages);
    if (kind < 6)
        return verso_space_unmap(w.space, va, pages);
    return verso_space_protect(w.space, va, pages, random_flags());
}

/* Nothing is left of all that. */
static bool random_end(void)
{
    for (unsigned users = 0; users <= (users_are_there() ? 1 : 0); users++) {
        struct random_window w = random_window(users != 0);
        if (verso_space_unmap(w.space, w.start, w.pages) != VERSO_OK)
            return false;
    }
    return random_set_caches(true);
}

bool random_run(size_t operations, uint32_t seed)
{
    size_t done = 0;

    random_state = seed * 2654435761u | 1;
    if (!random_set_caches(false))
        return false;
    for (size_t i = 0; i < operations; i++) {
        int err = random_operation();
        if (err == VERSO_OK)
            done++;
        else if (err != VERSO_EXISTS && err != VERSO_ABSENT &&
                 err != VERSO_DENIED) {
            verso_print("random: operation %zu: %s\n", i, verso_err_name(err));
            return false;
        }
    }
    verso_print("random: %zu operations at %p, seed %u: %zu done, %zu rightly "
                "refused\n",
        operations, (void *)random_window(false).start, seed, done,
        operations - done);
    return operations != 0 || random_end();
}
