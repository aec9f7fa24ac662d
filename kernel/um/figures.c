/* SPDX-License-Identifier: MIT */
/*
 * figures.c - what the simulated machine costs, in nanoseconds: nothing counts
 * instructions here, and times of the library say little where a missed
 * translation is a signal.
 *
 *     round = invalidate all | touch each page: fills | invalidate each page
 *
 * The median of the rounds is printed: a process is interrupted now and then.
 */
#define _GNU_SOURCE
#include <time.h>

#include "um_kernel.h"

#define PAGES  512u
#define ROUNDS 15u

struct round {
    uint64_t fill, invalidate, flush, first_touch;
};

static uint64_t clock_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Nanoseconds a page. */
static uint64_t touch_all(volatile unsigned char *area)
{
    uint64_t before = clock_now();
    for (size_t page = 0; page < PAGES; page++)
        area[page << VERSO_PAGE_SHIFT] = 1;
    return divide64(clock_now() - before, PAGES);
}

static bool round_run(struct round *round, volatile unsigned char *area)
{
    volatile unsigned char *lazy =
        verso_area_alloc(PAGES, VERSO_AREA_LAZY | VERSO_AREA_UNZEROED);
    if (lazy == NULL)
        return false;
    round->first_touch = touch_all(lazy);
    verso_area_free((void *)(uintptr_t)lazy);

    um_invalidate_all();
    round->fill = touch_all(area);
    uint64_t before = clock_now();
    for (size_t page = 0; page < PAGES; page++)
        um_invalidate((uintptr_t)area + (page << VERSO_PAGE_SHIFT));
    round->invalidate = divide64(clock_now() - before, PAGES);

    (void)touch_all(area);
    before = clock_now();
    um_invalidate_all();
    round->flush = clock_now() - before;
    return true;
}

static uint64_t median(uint64_t values[ROUNDS])
{
    for (size_t i = 1; i < ROUNDS; i++) {
        uint64_t moved = values[i];
        size_t to = i;
        for (; to > 0 && values[to - 1] > moved; to--)
            values[to] = values[to - 1];
        values[to] = moved;
    }
    return values[ROUNDS / 2];
}

static void figure_print(
    const char *name, const struct round *rounds, size_t offset)
{
    uint64_t values[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++)
        values[i] = *(
            const uint64_t *)(const void *)((const char *)&rounds[i] + offset);
    verso_print("figure um %s %llu ns info\n", name,
        (unsigned long long)median(values));
}

int machine_bench(void)
{
    struct round rounds[ROUNDS];
    volatile unsigned char *area = verso_area_alloc(PAGES, VERSO_AREA_MAPPED);
    bool ok = area != NULL;

    for (size_t i = 0; ok && i < ROUNDS; i++)
        ok = round_run(&rounds[i], area);
    if (area != NULL)
        verso_area_free((void *)(uintptr_t)area);
    if (!ok) {
        verso_print("bench: no memory for %u pages\n", 2 * PAGES);
        return 1;
    }
    figure_print("fill", rounds, offsetof(struct round, fill));
    figure_print("invalidate", rounds, offsetof(struct round, invalidate));
    figure_print("flush_512", rounds, offsetof(struct round, flush));
    figure_print("first_touch", rounds, offsetof(struct round, first_touch));
    verso_print("bench: instructions are not counted here; the other figures "
                "are ARCH=x86's\n");
    return 0;
}
