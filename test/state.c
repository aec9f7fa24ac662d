/* SPDX-License-Identifier: MIT */
/*
 * state.c - "a call that fails has changed nothing", as a number: a hash over
 * all that can be observed of Verso (FNV-1a, 64 bits), and the loop that lets
 * each inner allocation of an operation fail. See inject.h.
 */
#include <verso/area.h>
#include <verso/frame.h>
#include <verso/paging.h>
#include <verso/reclaim.h>

#include "inject.h"
#include "test.h"

/* Parts of the library end at some storey. */
extern __typeof__(verso_trim) verso_trim __attribute__((weak));
extern __typeof__(verso_area_stats) verso_area_stats __attribute__((weak));

/* Of the test window; no operation under injection reaches further. */
#define HASH_PAGES 0x4000u

static uint64_t hash_add(uint64_t hash, uint64_t word)
{
    for (unsigned i = 0; i < 8; i++, word >>= 8)
        hash = (hash ^ (word & 0xff)) * 0x100000001b3ull;
    return hash;
}

/* Runs of like pages are hashed as one, so that a hole of 60 MiB is short. */
uint64_t test_hash_range(uint64_t hash, vaddr_t va, size_t pages)
{
    uint32_t expected = 0;
    size_t holes = 0;
    while (pages > 0) {
        struct verso_mapping m;
        if (verso_query(va, &m) != 0) {
            holes++;
        } else {
            uint32_t pfn = pfn_nr(paddr_to_pfn(m.pa));
            hash = holes ? hash_add(hash, holes) : hash;
            hash = hash_add(hash, pfn - expected);
            hash = hash_add(
                hash, m.flags << 16 |
                          ((m.state & VERSO_MAPPED_PRESENT) != 0 ? 1u : 0));
            hash = hash_add(hash, m.page_pages);
            expected = pfn + 1;
            holes = 0;
        }
        va += VERSO_PAGE_SIZE;
        pages--;
    }
    return hash_add(hash, holes);
}

static uint64_t hash_areas(uint64_t hash)
{
    struct verso_area_stats areas;
    verso_area_stats(&areas);
    hash = hash_add(hash, areas.used);
    hash = hash_add(hash, areas.free);
    hash = hash_add(hash, areas.used_pages);
    hash = hash_add(hash, areas.free_pages);
    hash = hash_add(hash, areas.largest_free);
    return hash_add(hash, areas.nodes);
}

uint64_t test_state_hash(void)
{
    struct verso_frame_stats frames;
    struct verso_paging_stats paging;
    uint64_t hash = 0xcbf29ce484222325ull;
    size_t pages;
    vaddr_t va = test_window(&pages);
    if (pages > HASH_PAGES)
        pages = HASH_PAGES;
    if (verso_trim)
        verso_trim();
    verso_frame_stats(&frames);
    verso_paging_stats(&paging);
    hash = hash_add(hash, frames.used);
    hash = hash_add(hash, paging.tables);
    if (verso_area_stats)
        hash = hash_areas(hash);
    return test_hash_range(hash, va, pages);
}

static uint64_t hash_for(const struct inject_operation *op)
{
    uint64_t hash = test_state_hash();
    return test_hash_range(hash, op->also_va, op->also_pages);
}

/* One failing allocation, or that and all later ones. Returns whether the
 * operation got as far as it. */
static bool try_failure(
    const struct inject_operation *op, unsigned n, bool later, uint64_t before)
{
    if (later)
        inject_fail_from(n);
    else
        inject_fail_at(n);
    int result = op->run(op->arg);
    unsigned calls = inject_calls();
    inject_fail_at(0);
    if (result == VERSO_OK && op->undo)
        op->undo(op->arg);
    if (result != VERSO_OK && calls < n) {
        test_note("failed (%s) after %u calls", verso_err_name(result), calls);
        CHECK(result == VERSO_OK);
    }
    if (!CHECK(hash_for(op) == before))
        test_note("state differs after failure %u%s, result %d", n,
            later ? " and later" : "", result);
    return calls >= n;
}

unsigned inject_each_failure(const struct inject_operation *op, unsigned limit)
{
    uint64_t before = hash_for(op);
    unsigned n = 1;
    for (; n <= limit && !test_has_failed(); n++) {
        bool reached = try_failure(op, n, false, before);
        reached |= try_failure(op, n, true, before);
        if (!reached)
            break;
    }
    return n - 1;
}
