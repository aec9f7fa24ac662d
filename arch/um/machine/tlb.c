/* SPDX-License-Identifier: MIT */
/*
 * tlb.c - what the machine has cached, and the walk that fills it. Theory and
 * rules are in machine.c.
 *
 *     page of the window          tlb, entry, source: one each a page
 *     list [ 7 | 93 | 12 | ... ]  the cached pages; place: where each stands
 *     upper [ - | e | - | ... ]   cached entries for tables, by 4-MiB slot
 *
 * The list makes it cheap to choose one at random, to drop all, to audit all.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <string.h>
#include <sys/mman.h>

#include "inside.h"

#define um um_machine

/* ---- caching and dropping ---- */

static void window_close(uintptr_t va, size_t bytes)
{
    void *at = mmap((void *)va, bytes, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        um_die("cannot close part of the window");
}

static void window_open(size_t page, uint32_t pa, bool writable)
{
    void *at = mmap((void *)um_va_of(page), PAGE,
        writable ? PROT_READ | PROT_WRITE : PROT_READ,
        MAP_SHARED | MAP_FIXED, um.fd,
        (off_t)(pa - UM_RAM_START));
    if (at == MAP_FAILED)
        um_die("cannot fill the TLB");
}

static unsigned short *count_of(size_t page, bool large)
{
    return large ? &um.fragments[page / LARGE_PAGES]
                 : &um.small[page / LARGE_PAGES];
}

static void forget(size_t page)
{
    uint32_t last = um.list[--um.stats.cached];
    um.list[um.place[page]] = last;
    um.place[last] = um.place[page];
    --*count_of(page, (um.tlb[page] & CACHED_LARGE) != 0);
    um.tlb[page] = 0;
}

void um_drop(size_t page)
{
    if (um.tlb[page] == 0)
        return;
    bool is_mapped = !(um.tlb[page] & CACHED_BUS);
    forget(page);
    if (is_mapped)
        window_close(um_va_of(page), PAGE);
}

void um_drop_upper(size_t slot)
{
    um.uppers -= um.upper[slot] != 0;
    um.upper[slot] = 0;
}

void um_drop_uppers(void)
{
    if (um.uppers > 0)
        memset(um.upper, 0, sizeof(um.upper));
    um.uppers = 0;
}

void um_drop_all(void)
{
    um_drop_uppers();
    if (um.stats.cached == 0)
        return;
    while (um.stats.cached > 0)
        forget(um.list[0]);
    window_close(UM_WINDOW, UM_WINDOW_BYTES);
}

bool um_is_stale(uint32_t cached, uint32_t stored)
{
    return ((cached ^ stored) & (ENTRY_FRAME | ENTRY_CACHE | ENTRY_PS)) != 0 ||
           (cached & ~stored & ENTRY_RIGHTS) != 0;
}

/* The translation of one page of a large one. */
static uint32_t fragment_of(uint32_t large, size_t page)
{
    return large + (uint32_t)(page % LARGE_PAGES) * PAGE;
}

/* Rule 4: what is cached in the other size must say the same. */
static void sizes_check(size_t page, uint32_t entry, bool large)
{
    const size_t slot = page / LARGE_PAGES;
    const uint32_t size = ENTRY_PS; /* the one difference there may be */
    bool clash = false;
    if (!large && um.fragments[slot] > 0)
        clash = um_is_stale(fragment_of(um.large[slot], page) & ~size, entry);
    if (large && um.small[slot] > 0)
        for (size_t i = 0; i < um.stats.cached && !clash; i++) {
            size_t other = um.list[i];
            uint32_t part = (entry & (ENTRY_LARGE | (PAGE - 1))) +
                            (uint32_t)(other % LARGE_PAGES) * PAGE;
            clash = other / LARGE_PAGES == slot &&
                    !(um.tlb[other] & CACHED_LARGE) &&
                    um_is_stale(um.entry[other], part & ~size);
        }
    if (clash)
        um.config.machine_check(
            "two page sizes for an address, with different frames or rights",
            um_va_of(page));
}

static void fill(size_t page, const struct um_look *look)
{
    const bool dirty = (look->entry & ENTRY_W) && (look->leaf & ENTRY_D);
    const uint32_t pa = look->entry & ENTRY_FRAME;
    const bool is_ram = um_is_ram(pa);
    sizes_check(page, look->entry, look->large);
    if (um.stats.cached >= TLB_SIZE) {
        um.stats.full++;
        um_drop_all();
    }
    if (um.tlb[page] && is_ram)
        forget(page); /* mapped over below */
    um_drop(page);
    if (is_ram)
        window_open(page, pa, dirty);
    um.tlb[page] =
        (unsigned char)(CACHED | (look->large ? CACHED_LARGE : 0) |
                        (dirty ? CACHED_D : 0) | (is_ram ? 0 : CACHED_BUS));
    um.entry[page] = look->entry;
    um.source[page] = look->leaf_place;
    um.place[page] = (unsigned short)um.stats.cached;
    um.list[um.stats.cached++] = (uint32_t)page;
    ++*count_of(page, look->large);
    if (look->large)
        um.large[page / LARGE_PAGES] = look->entry & (ENTRY_LARGE | (PAGE - 1));
    um.stats.fills++;
}

/* ---- the walk ---- */

bool um_is_ram(uint32_t pa)
{
    return pa - UM_RAM_START < um.config.ram_bytes;
}

/* The entry at a physical address. */
uint32_t *um_entry_at(uint32_t pa)
{
    if (!um_is_ram(pa))
        um.config.machine_check("a table outside of RAM", pa);
    return (uint32_t *)(void *)(um.ram + (pa - UM_RAM_START));
}

uint32_t um_place_of(const uint32_t *at)
{
    uintptr_t va = (uintptr_t)at;
    if (va - (uintptr_t)um.ram < um.config.ram_bytes)
        return UM_RAM_START + (uint32_t)(va - (uintptr_t)um.ram);
    if (um_is_window(va) && um.tlb[um_page_of(va)])
        return (um.entry[um_page_of(va)] & ENTRY_FRAME) | (va & (PAGE - 1));
    return 0;
}

static uint32_t load(uint32_t pa)
{
    return *(volatile uint32_t *)um_entry_at(pa);
}

/* Reads the tables, and changes nothing. */
void um_look(uintptr_t va, bool use_cache, struct um_look *look)
{
    uint32_t cached = use_cache ? um.upper[um_page_of(va) / LARGE_PAGES] : 0;
    memset(look, 0, sizeof(*look));
    look->from_cache = cached != 0;
    look->upper_place = um.root + 4 * (va >> 22);
    look->upper = cached ? cached : load(look->upper_place);
    look->leaf = look->upper;
    look->leaf_place = look->upper_place;
    if (!(look->upper & ENTRY_P))
        return;
    look->large = (look->upper & ENTRY_PS) && !um.config.no_large;
    uint32_t frame = (look->upper & ENTRY_LARGE) | (va & (LARGE_BYTES - PAGE));
    uint32_t size = ENTRY_PS;
    if (!look->large) {
        look->leaf_place =
            (look->upper & ENTRY_FRAME) + 4 * ((va >> 12) & 1023);
        look->leaf = load(look->leaf_place);
        frame = look->leaf & ENTRY_FRAME;
        size = 0;
    }
    look->present = (look->leaf & ENTRY_P) != 0;
    look->entry = frame | (look->upper & look->leaf & ENTRY_RIGHTS) |
                  (look->leaf & (ENTRY_CACHE | ENTRY_A | ENTRY_D)) | size |
                  ENTRY_P;
}

static void table_check(uint32_t pa, uintptr_t va)
{
    if (um.config.is_table && !um.config.is_table(pa / PAGE))
        um.config.machine_check("a walk reads a frame that is no table", va);
}

/* The walk's first half. An entry for a table may be kept even if the walk
 * fails below it (pitfall 14). */
static void look_and_keep(uintptr_t va, struct um_look *look)
{
    size_t slot = um_page_of(va) / LARGE_PAGES;
    table_check(um.root, va);
    um_look(va, um.temper.pdecache != 0, look);
    if (!(look->upper & ENTRY_P) || look->large)
        return;
    table_check(look->leaf_place, va);
    if (!look->from_cache)
        *um_entry_at(look->upper_place) |= ENTRY_A;
    if (um.temper.pdecache && !look->from_cache) {
        um.upper[slot] = look->upper;
        um.uppers++;
    }
}

/* Caches other fragments of a large page than the one that was touched. */
static void fill_fragments(size_t page, const struct um_look *look)
{
    struct um_look other = *look;
    for (unsigned i = 0; i < 4; i++) {
        size_t beside =
            page - page % LARGE_PAGES + um_random((uint32_t)LARGE_PAGES);
        other.entry = (look->entry & (ENTRY_LARGE | (PAGE - 1))) +
                      (uint32_t)(beside % LARGE_PAGES) * PAGE;
        if (um.tlb[beside] || um.stats.cached >= TLB_SIZE)
            continue;
        fill(beside, &other);
    }
}

bool um_walk(uintptr_t va, bool write, unsigned *code)
{
    struct um_look look;
    size_t page = um_page_of(va);
    look_and_keep(va, &look);
    bool refused = look.present && write && !(look.entry & ENTRY_W);
    *code = (write ? UM_FAULT_WRITE : 0) | (refused ? UM_FAULT_PRESENT : 0);
    if (!look.present || refused) {
        /* a fault drops what it was found with */
        um_drop_upper(page / LARGE_PAGES);
        return false;
    }
    if (!um_is_ram(look.entry))
        um.config.machine_check(
            "no memory at that physical address", look.entry & ENTRY_FRAME);
    look.leaf |= ENTRY_A | (write ? ENTRY_D : 0);
    *um_entry_at(look.leaf_place) |= ENTRY_A | (write ? ENTRY_D : 0);
    fill(page, &look);
    um_note(page);
    if (look.large && um_one_in(um.temper.fragment))
        fill_fragments(page, &look);
    um_maybe_evict(page);
    return true;
}

bool um_prefetch(uintptr_t va)
{
    struct um_look look;
    size_t page = um_page_of(va);
    if (um.tlb[page])
        return false;
    look_and_keep(va, &look);
    if (!look.present)
        return false;
    *um_entry_at(look.leaf_place) |= ENTRY_A;
    fill(page, &look);
    um.stats.speculated++;
    return true;
}
