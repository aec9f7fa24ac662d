/* SPDX-License-Identifier: MIT */
/*
 * api.c - fuzz target: each input is a sequence of operations on the public
 * interface, against the model of ../model.c, on a machine whose temper the
 * input chooses too.
 *
 *     | temper, 2 bytes | what, and about which object | what ... | ...
 *
 * After each operation no translation may be stale. At the end, and where the
 * input asks for it, verso_check() and all contents; when all is freed, the
 * state is what it was. An input is at most OPERATIONS_MAX operations;
 * OPERATIONS=N in the environment: exactly N each, made of numbers where the
 * bytes do not suffice, to measure with.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <machine/um.h>
#include <verso/verso.h>

#include "../host/glue.h"
#include "../inject.h"
#include "../model.h"
#include "../test.h"
#include "fuzz.h"

#define OPERATIONS_MAX 64u

/* What is used when nothing is. */
struct use {
    size_t frames, tables, large, areas, area_pages, nodes;
};

static struct {
    unsigned operations; /* exactly; 0: as many as there are bytes for */
    struct use start;
    unsigned inputs;
    clock_t since;
} api;

/* A short test_state_hash(): where there are as many tables as before, the
 * window has none of its own, and one page for each of the largest pages that
 * it could hold tells of those. */
static struct use use_now(void)
{
    struct verso_frame_stats frames;
    struct verso_paging_stats paging;
    struct verso_area_stats areas;
    struct verso_mapping mapping;
    size_t pages, large = 0;
    vaddr_t va = test_window(&pages);
    verso_trim();
    verso_frame_stats(&frames);
    verso_paging_stats(&paging);
    verso_area_stats(&areas);
    for (size_t page = 0; page < pages;
         page += um_span(UM_LARGE_LEVELS) / VERSO_PAGE_SIZE)
        large += verso_query(va + page * VERSO_PAGE_SIZE, &mapping) == 0;
    return (struct use){frames.used, paging.tables, large, areas.used,
        areas.used_pages, areas.nodes};
}

static void use_compare(void)
{
    struct use now = use_now();
    CHECK_EQ(now.frames, api.start.frames);
    CHECK_EQ(now.tables, api.start.tables);
    CHECK_EQ(now.large, api.start.large);
    CHECK_EQ(now.areas, api.start.areas);
    CHECK_EQ(now.area_pages, api.start.area_pages);
    CHECK_EQ(now.nodes, api.start.nodes);
}

static void rate_print(void)
{
    double seconds = (double)(clock() - api.since) / CLOCKS_PER_SEC;
    fprintf(stderr, "api: %u of %u operations, %.0f in a second of CPU time\n",
        api.inputs, api.operations, api.inputs / seconds);
}

void fuzz_start(void)
{
    const char *operations = getenv("OPERATIONS");
    api.operations = operations ? (unsigned)strtoul(operations, NULL, 0) : 0;
    setenv("MEM", "4M", 0);
    glue_start();
    api.start = use_now();
    state_save();
    api.since = clock();
    if (api.operations)
        (void)atexit(rate_print);
}

/* Kind in many inputs, for speed. */
static void choose_temper(void)
{
    static const unsigned often[] = {0, 0, 0, 1, 8, 64};
    static const unsigned seldom[] = {0, 0, 0, 4, 16, 64};
    char words[100];
    snprintf(words, sizeof(words),
        "evict=%u,speculate=%u,pdecache=%u,fragment=%u,adrandom=%u,seed=%u",
        seldom[choice_below(6)], often[choice_below(6)], choice_below(2),
        seldom[choice_below(6)], often[choice_below(6)], choice_below(256));
    if (!um_misbehave(words))
        fuzz_found("the machine does not know %s", words);
}

static void step(void)
{
    switch (choice_below(64)) {
    case 0:
        glue_quiet(true);
        verso_describe(model_address());
        glue_quiet(false);
        break;
    case 1:
        model_check();
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        inject_fail_at(1 + choice_below(8));
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        inject_fail_from(1 + choice_below(8));
        break;
    default:
        break;
    }
    model_step();
    inject_fail_at(0);
    CHECK_EQ(test_audit(), 0);
}

static bool is_done(unsigned done)
{
    if (test_has_failed())
        return true;
    return api.operations ? done == api.operations
                          : done == OPERATIONS_MAX || !choices_left();
}

void fuzz_one(const uint8_t *bytes, size_t size)
{
    unsigned done = 0;
    api.inputs++;
    choices_open(bytes, size);
    if (api.operations)
        choices_extend();
    choose_temper();
    model_start(choice_below);
    for (; !is_done(done); done++)
        step();
    if (!test_has_failed() && choices_sum() % 8 == 0)
        model_check();
    if (!test_has_failed())
        model_end();
    CHECK_EQ(test_audit(), 0);
    use_compare();
    if (test_has_failed())
        fuzz_found("operation %u", done);
    state_restore();
}
