/* SPDX-License-Identifier: MIT */
/*
 * boot.c - fuzz target: each input is a boot structure. Two ways, by the first
 * byte:
 *
 *     frames   any memory map, RAM that this machine has not included: place
 *              the array, start the frame storey alone, take every frame
 *     all      the same map, cut down to the machine's RAM, and limits, fixed
 *              mappings, mirror, window, heap, classes: verso_init(), take
 *              every frame, use the heap
 *
 * It must refuse, by a value or (where a field of that kind was chosen as
 * nobody should) a panic with a message, or hand out exactly the frames that
 * the map allows by its definition (../boot-map.h), each once, below the zone's
 * limit.
 *
 * Each input starts from nothing: Verso's state is cleared, the machine reset,
 * its RAM full of something.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include <machine/um.h>
#include <verso/verso.h>

#include "../../kernel/machine.h"
#include "../../src/frame.h"
#include "../boot-map.h"
#include "../host/glue.h"
#include "../test.h"
#include "fuzz.h"

#define PAGE      BOOT_MAP_PAGE
#define RANGES    8u
#define RAM_FIRST (UM_RAM_START / PAGE)

/* Physical pages that are looked at: of 32 bits, and as far beyond them as the
 * chosen maps that straddle their end. */
#define PAGES_ALL ((1u << 20) + 2048u)

/* Of the machine's window, as many addresses as it has in 32 bits. */
#define WINDOW       um_window()
#define WINDOW_BYTES 0x40000000u
#define WINDOW_LAST  (WINDOW + (WINDOW_BYTES - 1))

static struct {
    struct verso_range map[RANGES], reserved[RANGES];
    struct verso_fixed fixed[3];
    uint32_t classes[6];
    size_t ram_pages;
    bool is_high; /* addresses far beyond RAM, which takes long */
    bool odd; /* a field is as nobody should choose it: panics are allowed */
    struct frame *array; /* for RAM that there is not */
    unsigned char taken[PAGES_ALL / 8];
} now;

/* ---- bytes to a structure ---- */

static uint64_t choose_address(void)
{
    static const uint64_t high[] = {
        (uint64_t)1 << 32, (uint64_t)1 << 36, (uint64_t)1 << 52, 0};
    uint64_t page = choice_below(1024);
    uint64_t offset = choice_below(4) == 0 ? choice_below((uint32_t)PAGE) : 0;
    switch (now.is_high ? choice_below(3) : 1 + choice_below(7)) {
    case 0: /* near the end of 32 bits, of 36, of 52, of all */
        return high[choice_below(4)] + (page - 512) * PAGE + offset;
    case 1:
        return page * PAGE + offset;
    default:
        return (RAM_FIRST + page - 100) * PAGE + offset;
    }
}

static uint64_t choose_bytes(void)
{
    switch (choice_below(8)) {
    case 0:
        return 0;
    case 1: /* wraps around, unless from 0 */
        if (now.is_high)
            return UINT64_MAX - choice_below(1u << 24);
        return choice_below(1u << 24);
    case 2:
        return choice_below(3 * (uint32_t)PAGE);
    default:
        return choice_below(1024) * PAGE;
    }
}

/* The part of it that the machine has. */
static void clip(struct verso_range *range)
{
    const uint64_t ram = UM_RAM_START, ram_end = ram + now.ram_pages * PAGE;
    uint64_t end = range->start + range->bytes;
    if (end < range->start || end > ram_end)
        end = ram_end;
    if (range->start < ram)
        range->start = ram;
    range->bytes = range->start < end ? end - range->start : 0;
}

static void choose_map(struct verso_boot *boot, bool is_real)
{
    boot->map = now.map;
    boot->reserved = now.reserved;
    boot->map_count = choice_below(RANGES + 1);
    boot->reserved_count = choice_below(RANGES + 1);
    for (size_t i = 0; i < boot->map_count; i++) {
        now.map[i].usable = choice_below(3) != 0;
        now.map[i].start = choose_address();
        now.map[i].bytes = choose_bytes();
        if (is_real && now.map[i].usable)
            clip(&now.map[i]);
    }
    for (size_t i = 0; i < boot->reserved_count; i++)
        now.reserved[i] =
            (struct verso_range){choose_address(), choose_bytes(), false};
    uint64_t last = 0;
    for (unsigned z = 0; z < VERSO_ZONES; z++) {
        uint64_t limit = choice_below(2) ? choose_address() : 0;
        boot->zone_limit[z] = limit;
        now.odd |= limit != 0 && limit < last; /* 0: no limit */
        last = limit ? limit : UINT64_MAX;
    }
}

static vaddr_t choose_va(void)
{
    vaddr_t page = choice_below(1u << 18);
    return WINDOW + page * (vaddr_t)PAGE +
           (choice_below(16) == 0 ? choice_below((uint32_t)PAGE) : 0);
}

static void choose_fixed(struct verso_boot *boot)
{
    boot->fixed = now.fixed;
    boot->fixed_count = choice_below(4);
    for (size_t i = 0; i < boot->fixed_count; i++) {
        struct verso_fixed *fixed = &now.fixed[i];
        *fixed = (struct verso_fixed){choose_va(), choose_address(),
            choose_bytes(), choice_below(256), "fuzz"};
        /* not of any length: entries for all that would take the RAM */
        if (choice_below(4) != 0)
            fixed->bytes = choice_below(64) * PAGE;
        now.odd = true;
    }
}

/* Any that the machine translates: in its window, or the one it has outside.
 * Or the root's last, and beyond. */
static unsigned choose_slot(void)
{
    const unsigned shift = um_shift(um_levels() - 1);
    const unsigned slots = 1u << UM_INDEX_BITS;
    const unsigned beyond[] = {slots - 1, slots, 5000};
    if (choice_below(2) == 0)
        return beyond[choice_below(3)];
    const unsigned nth = choice_below(256),
                   all = (unsigned)((size_t)WINDOW_BYTES >> shift);
    return all > 0 ? (unsigned)(WINDOW >> shift) + nth % all : um_mirror_slot();
}

static void choose_heap(struct verso_boot *boot)
{
    if (choice_below(4) == 0) {
        now.odd = true;
        boot->mirror_slot = choose_slot();
    }
    if (choice_below(4) == 0) {
        now.odd = true;
        boot->window = choice_below(4) ? choose_va() : 0;
    }
    if (choice_below(2) == 0) {
        now.odd = true;
        boot->heap_start = choose_va();
        boot->heap_pages = choice_below(1u << 18);
        if (boot->heap_pages > (WINDOW_LAST - boot->heap_start) / PAGE)
            boot->heap_pages = (WINDOW_LAST - boot->heap_start) / PAGE;
        if (choice_below(8) == 0) /* wraps around */
            boot->heap_pages = SIZE_MAX / PAGE - choice_below(1u << 16);
    }
    if (choice_below(4) == 0) {
        now.odd = true;
        boot->classes = now.classes;
        boot->class_count = choice_below(7);
        for (size_t i = 0; i < 6; i++)
            now.classes[i] = 8 * choice_below(1u << (4 + i)) +
                             (choice_below(16) == 0 ? choice_below(8) : 0);
    }
}

/* ---- what must hold ---- */

/* Would a run of free pages from there on hold the array, which has a frame for
 * each page up to the end of RAM, reserved or not? */
static bool has_room(const struct verso_boot *boot, uint64_t from, size_t last)
{
    struct verso_boot bare = *boot;
    size_t top = 0, run = 0;
    bare.frames = NULL;
    for (size_t page = 0; page < last; page++)
        for (size_t i = 0; i < boot->map_count; i++)
            if (boot->map[i].usable &&
                boot_map_touches(&boot->map[i], page, true))
                top = page;
    size_t need =
        (size_t)(((top + 1) * sizeof(struct frame) + PAGE - 1) / PAGE);
    for (size_t page = 0; page < last && top > 0; page++) {
        bool allowed = page * PAGE >= from && boot_map_allows(&bare, page);
        run = allowed ? run + 1 : 0;
        if (run == need)
            return true;
    }
    return false;
}

/* Wholly below the limits of this zone and the later ones? */
static bool is_below(const struct verso_boot *boot, uint64_t nr, unsigned zone)
{
    for (unsigned z = zone; z < VERSO_ZONES; z++)
        if (boot->zone_limit[z] != 0 && nr >= boot->zone_limit[z] / PAGE)
            return false;
    return true;
}

static void take_frame(
    const struct verso_boot *boot, uint32_t nr, unsigned zone)
{
    if (nr >= PAGES_ALL || !boot_map_allows(boot, nr))
        fuzz_found("frame 0x%x is handed out, which the map forbids", nr);
    if ((now.taken[nr / 8] >> nr % 8 & 1) != 0)
        fuzz_found("frame 0x%x is handed out twice", nr);
    now.taken[nr / 8] |= (unsigned char)(1u << nr % 8);
    if (!is_below(boot, nr, zone))
        fuzz_found("frame 0x%x is not below the limit of zone %u", nr, zone);
}

/* All there are, large blocks and low zones first; chained by their links to be
 * given back. Returns how many. */
static size_t take_all(const struct verso_boot *boot, struct verso_chain *all)
{
    *all = (struct verso_chain){PFN_NONE, 0};
    for (unsigned zone = 0; zone < VERSO_ZONES; zone++)
        for (unsigned order = VERSO_FRAME_ORDERS; order-- > 0;)
            for (;;) {
                pfn_t pfn = verso_frame_alloc(order, zone);
                if (pfn_is_none(pfn))
                    break;
                for (size_t i = 0; i < (size_t)1 << order; i++) {
                    pfn_t one = pfn_add(pfn, i);
                    take_frame(boot, pfn_nr(one), zone);
                    verso_frame_find(one)->link = pfn_nr(all->first);
                    all->first = one;
                    all->pages++;
                }
            }
    return all->pages;
}

static void frames_try(const struct verso_boot *boot)
{
    struct verso_frame_stats stats;
    struct verso_chain all;
    verso_frame_stats(&stats);
    const size_t used = stats.used;
    memset(now.taken, 0, (boot->frame_count + 7) / 8);
    if (take_all(boot, &all) + used != stats.managed)
        fuzz_found("%zu frames could be had, of %zu, %zu used", all.pages,
            stats.managed, used);
    size_t allowed = 0;
    for (size_t page = 0; page < boot->frame_count; page++)
        allowed +=
            boot_map_allows(boot, page) && is_below(boot, page, VERSO_ZONE_ANY);
    if (allowed != stats.managed)
        fuzz_found(
            "%zu frames managed, the map allows %zu", stats.managed, allowed);
    verso_frame_free_bulk(&all);
    verso_frame_stats(&stats);
    if (stats.used != used)
        fuzz_found("%zu frames used, before: %zu", stats.used, used);
}

static void heap_try(void)
{
    verso_trim();
    size_t used = verso_frame_used();
    unsigned char *small = verso_alloc(100);
    unsigned char *pages = verso_area_alloc(3, VERSO_AREA_MAPPED);
    if (small)
        memset(small, 1, 100);
    if (pages)
        memset(pages, 2, 3 * (size_t)PAGE);
    verso_free(small);
    if (pages)
        verso_area_free(pages);
    verso_trim();
    if (verso_frame_used() != used)
        fuzz_found("%zu frames used, before: %zu", verso_frame_used(), used);
    const char *broken = verso_check();
    if (broken)
        fuzz_found("%s", broken);
    if (test_audit() != 0)
        fuzz_found("stale translations");
}

/* ---- the two ways ---- */

struct outcome {
    int (*init)(const struct verso_boot *boot);
    const struct verso_boot *boot;
    int err;
};

static void outcome_run(void *arg)
{
    struct outcome *outcome = arg;
    outcome->err = outcome->init(outcome->boot);
}

/* Does it start? */
static bool starts(int (*init)(const struct verso_boot *boot))
{
    struct outcome outcome = {init, glue_boot(), 0};
    char message[200] = "";
    if (!machine_catch_panic(outcome_run, &outcome, message, sizeof(message)))
        return outcome.err == 0;
    if (!now.odd || message[0] == 0)
        fuzz_found("panic: %s", message);
    return false;
}

static void try_frames(void)
{
    struct verso_boot *boot = glue_boot();
    choose_map(boot, false);
    if (verso_frame_place(boot, choose_address()) != 0)
        return; /* too many pages to look at whether it is right */
    boot->frames = now.array;
    if (boot->frame_count > PAGES_ALL && sizeof(verso_phys_t) > 4)
        return; /* likewise */
    if (boot->frame_count > PAGES_ALL)
        fuzz_found("%zu frames", boot->frame_count);
    if (starts(verso_i_frame_init))
        frames_try(boot);
}

static void try_all(void)
{
    struct verso_boot *boot = glue_boot();
    choose_map(boot, true);
    boot->mirror_slot = um_mirror_slot();
    boot->direct_offset = (vaddr_t)um_ram() - UM_RAM_START;
    boot->use_direct = choice_below(3) == 0;
    boot->direct_bytes =
        boot->use_direct ? UM_RAM_START + now.ram_pages * PAGE : 0;
    boot->window = WINDOW + 0x38000000u;
    boot->heap_start = WINDOW + 0x10000000u;
    boot->heap_pages = 0x20000;
    choose_heap(boot);
    choose_fixed(boot);
    uint64_t from = choose_address();
    if (verso_frame_place(boot, from) != 0) {
        if (has_room(boot, from, RAM_FIRST + now.ram_pages))
            fuzz_found("there is room for the array");
        return;
    }
    if (!starts(verso_init))
        return;
    frames_try(boot);
    heap_try();
}

void fuzz_start(void)
{
    setenv("MEM", "2M", 0);
    glue_start_machine();
    now.ram_pages = strtoul(getenv("MEM"), NULL, 10) << 20 >> VERSO_PAGE_SHIFT;
    now.array = malloc(PAGES_ALL * sizeof(struct frame));
    if (!now.array)
        fuzz_found("no memory");
}

void fuzz_one(const uint8_t *bytes, size_t size)
{
    choices_open(bytes, size);
    state_clear();
    um_reset();
    memset(um_ram(), 0xa5, now.ram_pages * PAGE);
    memset(glue_boot(), 0, sizeof(*glue_boot()));
    now.odd = false;
    now.is_high = choice_below(64) == 0;
    if (choice_below(4) == 0)
        try_frames();
    else
        try_all();
}
