/* SPDX-License-Identifier: MIT */
/*
 * random.c - changes of mappings at random, which stay: something for `tables`
 * to show, and for others to compare it with (test/oracle.py).
 *
 *     the tests' window   |....mmmmm...MMMMMMMMmm..mm|
 *                          m 4-KiB, M 4-MiB pages, every right, cache type
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

#define LARGE_PAGES 1024u /* of a slot: what alignment to choose */
#define SMALL_MAX   40u
#define LIST_MAX    16u
#define FAR_PFN     0xc0000u /* no RAM there: any cache type */
#define FAR_PAGES   0x20000u

static uint32_t random_state;

static const unsigned random_rights[] = {VERSO_READ, VERSO_RW, VERSO_RX,
    VERSO_READ | VERSO_USER, VERSO_RW | VERSO_USER, VERSO_RX | VERSO_USER,
    VERSO_RW | VERSO_EXEC | VERSO_WX, 0};
static const unsigned random_caches[] = {
    VERSO_CACHE_WB, VERSO_CACHE_WT, VERSO_CACHE_UC};

/* Marsaglia's xorshift; 0 .. n - 1, n < 65,536. */
static size_t random_below(size_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return (size_t)((random_state >> 16) * (uint32_t)n >> 16);
}

/* A range within the window; `large`: made of whole large pages. The others
 * begin in the lower half, so that not every large page is split again. */
static vaddr_t random_range(size_t *pages, bool *large)
{
    size_t window, first, kind = random_below(4);
    vaddr_t start = test_window(&window);

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
    return start + (first << VERSO_PAGE_SHIFT);
}

static unsigned random_flags(bool far)
{
    unsigned flags = random_rights[random_below(ARRAY_COUNT(random_rights))];
    if (far)
        flags |= random_caches[random_below(ARRAY_COUNT(random_caches))];
    return flags;
}

static pfn_t random_frame(bool far, bool large)
{
    size_t pfn = far ? FAR_PFN + 4 * random_below(FAR_PAGES / 4)
                     : 1 + random_below(0x2000);
    if (large)
        pfn &= ~(size_t)(LARGE_PAGES - 1);
    return pfn_make((uint32_t)(pfn == 0 ? LARGE_PAGES : pfn));
}

static int random_map_list(vaddr_t va, size_t pages)
{
    pfn_t frames[LIST_MAX];

    if (pages > LIST_MAX)
        pages = LIST_MAX;
    for (size_t i = 0; i < pages; i++)
        frames[i] = random_frame(false, false);
    return verso_map_frames(va, frames, pages, random_flags(false));
}

static int random_operation(void)
{
    size_t pages, kind = random_below(8);
    bool large, far = random_below(3) == 0;
    vaddr_t va = random_range(&pages, &large);

    if (kind < 3)
        return verso_map(
            va, random_frame(far, large), pages, random_flags(far));
    if (kind == 3)
        return random_map_list(va, pages);
    if (kind < 6)
        return verso_unmap(va, pages);
    return verso_protect(va, pages, random_flags(false));
}

bool random_run(size_t operations, uint32_t seed)
{
    size_t window, done = 0;
    vaddr_t start = test_window(&window);

    random_state = seed * 2654435761u | 1;
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
        operations, (void *)start, seed, done, operations - done);
    return operations != 0 || verso_unmap(start, window) == VERSO_OK;
}
