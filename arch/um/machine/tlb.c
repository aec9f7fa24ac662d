/* SPDX-License-Identifier: MIT */
/*
 * tlb.c - what the machine has cached, and the walk that fills it. Theory and
 * rules are in machine.c.
 *
 *     um.tlb    key: id, page         what the host maps, or could
 *     um.large  key: id, large page   has `fragments` of it in um.tlb
 *     um.upper  key: id, what an      the entry for a table, with the rights
 *               entry is for          of those above it
 *
 *     root -> level 3 -> ... -> level 0     a walk: a loop over the levels,
 *                  ^                        from the lowest entry in um.upper
 *
 *     um.shut   key: the page         what the host has there, PROT_NONE
 *
 * The host's mappings are of the current identifier and of global pages. When
 * another becomes current, they are shut and the entries stay in um.tlb; one is
 * opened, without a walk, when it is touched while its identifier is current
 * again. What the host has at a page belongs to one entry at the most:
 *
 *     um.tlb:  (id 1, page) open   --- um_id_set(2) --->   (id 1, page) shut
 *              (id 2, page) shut   <-----------------      (id 2, page) touched
 *
 * Cost: of a fill a system call, of another identifier one for each page that
 * is open. A large page is compared with what is cached in other sizes: all of
 * the TLB is looked at.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <string.h>
#include <sys/mman.h>

#include "inside.h"

#define um um_machine

/* ---- what the host maps ---- */

static void window_close(uintptr_t va, size_t bytes)
{
    if (um.config.no_reserve) {
        if (munmap((void *)va, bytes) != 0)
            um_die("cannot close part of a window");
        return;
    }
    void *at = mmap((void *)va, bytes, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        um_die("cannot close part of a window");
}

static void page_protect(uintptr_t va, int rights)
{
    if (mprotect((void *)va, PAGE, rights) != 0)
        um_die("cannot protect a page of a window");
}

/* What the host maps there, for a page that is open from now on. */
static um_phys_t page_unshut(uintptr_t va)
{
    struct um_cached *shut = um_cache_find(&um.shut, um_key(0, va, 0));
    const um_phys_t host = shut ? shut->host : 0;
    if (shut)
        um_cache_remove(&um.shut, shut);
    return host;
}

/* Where the host has that frame already, only the rights are changed. */
static void page_map(struct um_cached *c)
{
    const um_phys_t pa = c->entry & UM_ENTRY_FRAME;
    int rights = PROT_READ | (c->dirty ? PROT_WRITE : 0) |
                 (c->entry & UM_ENTRY_NX ? 0 : PROT_EXEC);
    if (c->host == 0)
        c->host = page_unshut(um_va(c));
    if (c->host == pa) {
        page_protect(um_va(c), rights);
        return;
    }
    void *at = mmap((void *)um_va(c), PAGE, rights, MAP_SHARED | MAP_FIXED,
        um.fd, (off_t)(pa - UM_RAM_START));
    if (at == MAP_FAILED)
        um_die("cannot fill the TLB");
    c->host = pa;
}

void um_open(struct um_cached *c)
{
    const bool was_open = c->open;
    c->open = um_is_ram(c->entry & UM_ENTRY_FRAME) &&
              (!um.user || (c->entry & UM_ENTRY_U));
    if (c->open)
        page_map(c);
    else if (was_open)
        page_protect(um_va(c), PROT_NONE);
}

/* Of a page that is not cached any more, or not for the current identifier. The
 * frame most likely to be mapped there next is the one that was. */
static void page_shut(uintptr_t va, um_phys_t host, bool was_open)
{
    if (host == 0)
        return;
    if (um.shut.count >= TLB_SIZE) {
        window_close(va, PAGE);
        return;
    }
    if (was_open)
        page_protect(va, PROT_NONE);
    um_cache_add(&um.shut, um_key(0, va, 0))->host = host;
}

/* All of the windows, and nothing is cached. */
static void windows_shut(void)
{
    const bool all =
        um.config.no_reserve || um.shut.count + um.tlb.count > TLB_SIZE;
    for (size_t i = 0; i < um.tlb.count && !all; i++)
        page_shut(um_va(&um.tlb.at[i]), um.tlb.at[i].host, false);
    if (all)
        um_cache_clear(&um.shut);
    for (unsigned i = 0; i < um.windows; i++) {
        const struct um_range *w = &um.config.window[i];
        if (all)
            window_close(w->start, w->bytes);
        else if (mprotect((void *)w->start, w->bytes, PROT_NONE) != 0)
            um_die("cannot protect a window");
    }
}

/* ---- caching and dropping ---- */

struct um_cached *um_cached_at(uintptr_t va)
{
    struct um_cached *c = um_cache_find(&um.tlb, um_key(um.id, va, 0));
    if (!c && um.ids[UM_GLOBAL].cached > 0)
        c = um_cache_find(&um.tlb, um_key(UM_GLOBAL, va, 0));
    return c;
}

static struct um_cached *large_at(unsigned id, uintptr_t va, unsigned level)
{
    if (um.large.count == 0)
        return NULL;
    return um_cache_find(&um.large, um_key(id, va, level));
}

/* What the host maps there stays. */
static void forget(struct um_cached *c)
{
    if (c->level > 0) {
        struct um_cached *large = large_at(um_id_of(c), um_va(c), c->level);
        if (--large->fragments == 0)
            um_cache_remove(&um.large, large);
    }
    um.ids[um_id_of(c)].cached--;
    um_cache_remove(&um.tlb, c);
    um.stats.cached = um.tlb.count;
}

void um_drop(struct um_cached *c)
{
    const bool was_open = c->open;
    const uintptr_t va = um_va(c);
    const um_phys_t host = c->host;
    forget(c);
    page_shut(va, host, was_open);
}

void um_drop_page(unsigned id, uintptr_t va)
{
    struct um_cached *c;
    if (um.ids[id].cached == 0)
        return;
    if ((c = um_cache_find(&um.tlb, um_key(id, va, 0))) != NULL)
        um_drop(c);
    for (unsigned level = 1; level <= UM_LARGE_LEVELS; level++)
        for (size_t i = um.tlb.count; large_at(id, va, level) && i-- > 0;) {
            c = &um.tlb.at[i];
            if (c->level == level &&
                um_key(um_id_of(c), um_va(c), level) == um_key(id, va, level))
                um_drop(c);
        }
}

void um_drop_uppers(unsigned id)
{
    for (size_t i = um.upper.count; i-- > 0;)
        if (um_id_of(&um.upper.at[i]) == id)
            um_cache_remove(&um.upper, &um.upper.at[i]);
}

void um_drop_uppers_of(unsigned id, uintptr_t va)
{
    for (unsigned level = 1; level < um.config.levels; level++) {
        struct um_cached *c = um_cache_find(&um.upper, um_key(id, va, level));
        if (c)
            um_cache_remove(&um.upper, c);
    }
}

static void drop_translations(void)
{
    if (um.tlb.count == 0)
        return;
    windows_shut();
    for (size_t i = 0; i < um.tlb.count; i++)
        um.ids[um_id_of(&um.tlb.at[i])].cached = 0;
    um_cache_clear(&um.tlb);
    um_cache_clear(&um.large);
    um.stats.cached = 0;
}

void um_drop_id(unsigned id)
{
    um_drop_uppers(id);
    if (um.ids[id].cached == um.tlb.count) {
        drop_translations();
        return;
    }
    for (size_t i = um.tlb.count; um.ids[id].cached > 0 && i-- > 0;)
        if (um_id_of(&um.tlb.at[i]) == id)
            um_drop(&um.tlb.at[i]);
}

void um_drop_all(void)
{
    um_cache_clear(&um.upper);
    drop_translations();
}

/* ---- identifiers ---- */

static void entry_shut(struct um_cached *c)
{
    page_shut(um_va(c), c->host, c->open);
    c->host = 0;
    c->open = false;
}

/* Of the old one, all pages; global ones, where the new one has its own. */
void um_id_set(unsigned id)
{
    for (size_t i = 0; i < um.tlb.count && id != um.id; i++) {
        struct um_cached *c = &um.tlb.at[i];
        if (um_id_of(c) == id)
            c = um_cache_find(&um.tlb, um_key(UM_GLOBAL, um_va(c), 0));
        else if (um_id_of(c) != um.id)
            continue;
        if (c)
            entry_shut(c);
    }
    um.id = id;
}

/* Rights as bits that grant something: NX is one that takes. */
static um_entry_t granted(um_entry_t entry)
{
    return (entry ^ UM_ENTRY_NX) & UM_ENTRY_RIGHTS;
}

bool um_lost(um_entry_t cached, um_entry_t stored)
{
    return (granted(cached) & ~granted(stored)) != 0;
}

bool um_is_stale(um_entry_t cached, um_entry_t stored)
{
    const um_entry_t same = UM_ENTRY_FRAME | UM_ENTRY_CACHE | UM_ENTRY_PS;
    return ((cached ^ stored) & same) != 0 || um_lost(cached, stored);
}

/* The translation of one page of a larger one. */
static um_entry_t part_of(um_entry_t entry, unsigned level, uintptr_t va)
{
    const uintptr_t inside = (um_span(level) - 1) & ~(PAGE - 1);
    return (entry & ~(um_entry_t)inside) | (um_entry_t)(va & inside);
}

/* Do they differ in more than their size? */
static bool is_clash(um_entry_t cached, um_entry_t filled)
{
    return um_is_stale(cached | UM_ENTRY_PS, filled | UM_ENTRY_PS);
}

/* With a larger page of that identifier? */
static bool is_larger_clash(
    unsigned id, uintptr_t va, um_entry_t entry, unsigned level)
{
    bool clash = false;
    for (unsigned larger = level + 1; larger <= UM_LARGE_LEVELS; larger++) {
        const struct um_cached *c = large_at(id, va, larger);
        clash |= c && is_clash(part_of(c->entry, larger, va), entry);
    }
    return clash;
}

/* Rule 4: what is cached in another size must say the same. */
static void sizes_check(uintptr_t va, um_entry_t entry, unsigned level)
{
    bool clash = is_larger_clash(um.id, va, entry, level) ||
                 is_larger_clash(UM_GLOBAL, va, entry, level);
    for (size_t i = 0; level > 0 && i < um.tlb.count && !clash; i++) {
        const struct um_cached *c = &um.tlb.at[i];
        clash = c->level < level && um_is_current(c) &&
                um_key(0, um_va(c), level) == um_key(0, va, level) &&
                is_clash(c->entry, part_of(entry, level, um_va(c)));
    }
    if (clash)
        um_machine_check(
            "two page sizes for an address, with different frames or rights",
            va);
}

static void large_count(unsigned id, uintptr_t va, const struct um_look *look)
{
    struct um_cached *large = large_at(id, va, look->level);
    if (!large)
        large = um_cache_add(&um.large, um_key(id, va, look->level));
    large->entry = look->entry;
    large->fragments++;
}

/* The host maps it now, if it is `touched`; or when it will be. It takes the
 * place of all that is current for the address, of which the host has one. */
static void fill(uintptr_t va, const struct um_look *look, bool touched)
{
    const unsigned id = look->entry & UM_ENTRY_G ? UM_GLOBAL : um.id;
    struct um_cached *c;
    bool was_open = false;
    um_phys_t host = 0;
    sizes_check(va, look->entry, look->level);
    if (um.tlb.count >= TLB_SIZE) {
        um.stats.full++;
        um_drop_all();
    }
    while ((c = um_cached_at(va)) != NULL) {
        was_open |= c->open;
        host |= c->host;
        forget(c);
    }
    c = um_cache_add(&um.tlb, um_key(id, va, 0));
    c->entry = look->entry;
    c->level = look->level;
    c->dirty = (look->entry & UM_ENTRY_W) && (look->at[c->level] & UM_ENTRY_D);
    c->open = was_open;
    c->host = host;
    memcpy(c->place, look->place, sizeof(c->place));
    if (touched || was_open)
        um_open(c);
    if (c->level > 0)
        large_count(id, va, look);
    um.ids[id].cached++;
    um.stats.cached = um.tlb.count;
    um.stats.fills++;
}

/* ---- the walk ---- */

bool um_is_ram(um_phys_t pa)
{
    return pa - UM_RAM_START < um.config.ram_bytes;
}

/* The entry at a physical address. */
um_entry_t *um_entry_at(um_phys_t pa)
{
    if (!um_is_ram(pa))
        um_machine_check("a table outside of RAM", (uintptr_t)pa);
    return (um_entry_t *)(void *)(um.ram + (pa - UM_RAM_START));
}

void um_set(um_phys_t place, um_entry_t bits)
{
    (void)__sync_fetch_and_or(um_entry_at(place), bits);
}

um_phys_t um_place_of(const um_entry_t *at)
{
    const uintptr_t va = (uintptr_t)at;
    const struct um_cached *c;
    if (va - (uintptr_t)um.ram < um.config.ram_bytes)
        return UM_RAM_START + (um_phys_t)(va - (uintptr_t)um.ram);
    if (um_is_window(va) && (c = um_cached_at(va)) != NULL)
        return (c->entry & UM_ENTRY_FRAME) | (va & (PAGE - 1));
    return 0;
}

static um_entry_t load(um_phys_t pa)
{
    return *(volatile um_entry_t *)um_entry_at(pa);
}

static void table_check(um_phys_t table, uintptr_t va)
{
    if (um.config.is_table && !um.config.is_table((uint32_t)(table / PAGE)))
        um_machine_check("a walk reads a frame that is no table", va);
}

/* Bits of a present entry that must be 0 and are not. */
static bool is_reserved(um_entry_t entry, unsigned level)
{
    um_entry_t zero = UM_ENTRY_HIGH | (um_enforces_exec() ? 0 : UM_ENTRY_NX);
    if (level > 0 && (entry & UM_ENTRY_PS))
        zero |= um_has_large(level)
                    ? (um_span(level) - 1) & UM_ENTRY_FRAME & ~UM_ENTRY_PAT
                    : UM_ENTRY_PS;
    return (entry & zero) != 0;
}

/* The entry with no right that those above it do not grant. */
static um_entry_t limited(um_entry_t entry, um_entry_t above)
{
    um_entry_t rights = granted(entry) & granted(above);
    return (entry & ~UM_ENTRY_RIGHTS) | (rights ^ UM_ENTRY_NX);
}

um_phys_t um_root_of(um_phys_t root, uintptr_t va)
{
    const unsigned shift = UM_STARTS > 1 ? um_shift(UM_LEVELS) : 0;
    if (shift == 0)
        return root;
    /* there are no identifiers: it is the one that was loaded */
    const um_entry_t start = um.start[va >> shift];
    return start & UM_ENTRY_P ? start & UM_ENTRY_FRAME : 0;
}

/* Starts at the root. */
static void look_start(um_phys_t root, uintptr_t va, struct um_look *look)
{
    memset(look, 0, sizeof(*look));
    look->top = um.config.levels - 1;
    look->start = um_root_of(root, va) | UM_ENTRY_W | UM_ENTRY_U;
}

/* Or below the lowest cached entry. */
static void walk_start(uintptr_t va, struct um_look *look)
{
    look_start(um.root, va, look);
    for (unsigned level = 1; um.upper.count > 0 && level <= look->top;
         level++) {
        const struct um_cached *c =
            um_cache_find(&um.upper, um_key(um.id, va, level));
        if (!c)
            continue;
        memcpy(look->place, c->place, sizeof(look->place));
        look->top = level - 1;
        look->start = c->entry;
        return;
    }
}

static void look_down(uintptr_t va, bool is_walk, struct um_look *look)
{
    const um_entry_t keep = UM_ENTRY_FRAME | UM_ENTRY_RIGHTS | UM_ENTRY_CACHE |
                            UM_ENTRY_A | UM_ENTRY_D |
                            (um.config.no_global ? 0 : UM_ENTRY_G);
    um_entry_t above = look->start, entry;
    um_phys_t table = above & UM_ENTRY_FRAME;
    unsigned level = look->top;
    look->level = level;
    if (table == 0)
        return;
    for (;; level--) {
        if (is_walk)
            table_check(table, va);
        look->level = level;
        look->place[level] = table + um_index(va, level) * sizeof(um_entry_t);
        look->at[level] = entry = load(look->place[level]);
        if (!(entry & UM_ENTRY_P))
            return;
        look->reserved = is_reserved(entry, level);
        if (look->reserved)
            return;
        look->path[level] = above = limited(entry, above);
        if (level == 0 || (entry & UM_ENTRY_PS))
            break;
        table = entry & UM_ENTRY_FRAME;
    }
    look->present = true;
    look->entry = part_of(above & keep, level, va) | UM_ENTRY_P |
                  (level > 0 ? UM_ENTRY_PS : 0);
}

void um_look(um_phys_t root, uintptr_t va, struct um_look *look)
{
    look_start(root, va, look);
    look_down(va, false, look);
}

static void upper_keep(uintptr_t va, const struct um_look *look, unsigned level)
{
    if (um.upper.count >= TLB_SIZE)
        um_cache_clear(&um.upper);
    struct um_cached *c = um_cache_add(&um.upper, um_key(um.id, va, level));
    c->entry = look->path[level];
    c->level = level;
    memcpy(c->place, look->place, sizeof(c->place));
}

/* The walk's first half, the CPU's: it uses cached entries, and is checked to
 * read tables. An entry for a table may be kept even if the walk fails below it
 * (pitfall 14). */
static void look_and_keep(uintptr_t va, struct um_look *look)
{
    walk_start(va, look);
    look_down(va, true, look);
    for (unsigned level = look->top; level > look->level; level--) {
        if (!(look->at[level] & UM_ENTRY_A))
            um_set(look->place[level], UM_ENTRY_A);
        if (um.temper.pdecache)
            upper_keep(va, look, level);
    }
}

/* Caches other fragments of a large page than the one that was touched. */
static void fill_fragments(uintptr_t va, const struct um_look *look)
{
    const uint32_t pages = (uint32_t)(um_span(look->level) / PAGE);
    struct um_look other = *look;
    for (unsigned i = 0; i < 4; i++) {
        uintptr_t beside =
            (va & ~(um_span(look->level) - 1)) + um_random(pages) * PAGE;
        if (!um_is_window(beside) || um_cached_at(beside) ||
            um.tlb.count >= TLB_SIZE)
            continue;
        other.entry = part_of(look->entry, look->level, beside);
        fill(beside, &other, false);
    }
}

bool um_allows(um_entry_t entry, unsigned access)
{
    return (!(access & UM_FAULT_WRITE) || (entry & UM_ENTRY_W)) &&
           (!(access & UM_FAULT_USER) || (entry & UM_ENTRY_U)) &&
           (!(access & UM_FAULT_FETCH) || !(entry & UM_ENTRY_NX));
}

bool um_walk(uintptr_t va, unsigned access, unsigned *code)
{
    struct um_look look;
    look_and_keep(va, &look);
    if (!look.present || !um_allows(look.entry, access)) {
        *code = access | (look.reserved ? UM_FAULT_RESERVED : 0) |
                (look.reserved || look.present ? UM_FAULT_PRESENT : 0);
        um_drop_uppers_of(um.id, va); /* a fault drops what led to it */
        return false;
    }
    if (!um_is_ram(look.entry & UM_ENTRY_FRAME))
        um_machine_check("no memory at that physical address",
            (uintptr_t)(look.entry & UM_ENTRY_FRAME));
    um_entry_t use = UM_ENTRY_A | (access & UM_FAULT_WRITE ? UM_ENTRY_D : 0);
    um_set(look.place[look.level], use);
    look.at[look.level] |= use;
    fill(va, &look, true);
    um_note(va);
    if (look.level > 0 && um_one_in(um.temper.fragment))
        fill_fragments(va, &look);
    um_maybe_evict(va);
    return true;
}

bool um_prefetch(uintptr_t va)
{
    struct um_look look;
    if (!um_is_window(va) || um_cached_at(va))
        return false;
    look_and_keep(va, &look);
    if (!look.present)
        return false;
    um_set(look.place[look.level], UM_ENTRY_A);
    fill(va, &look, false);
    um.stats.speculated++;
    return true;
}
