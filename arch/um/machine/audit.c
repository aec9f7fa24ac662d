/* SPDX-License-Identifier: MIT */
/*
 * audit.c - which cached translations should have been invalidated?
 *
 * Each page cached for an identifier, and each global one, is looked up again
 * in the tables of the root last loaded with it. What is cached may allow less
 * than what is stored, never more, and nothing else (Intel SDM vol. 3A,
 * 4.10.4.2 and 4.10.4.3). More is also: global, so that it outlives root loads;
 * dirty, so that the next write does not set it (4.8). Whom to ask is known
 * too: the last stores of entries are kept in a ring, with the address they
 * returned to.
 *
 *     log [ ... | place, from, to, caller | ... ]   the last at stores - 1
 *
 * What is left is compared with itself: a frame that is cached with two cache
 * types is what the manual leaves open (11.12.4). The pages are found by frame
 * in a table of their places in the TLB, made for the purpose.
 *
 * Cost: 0.1 us a cached translation, so after each call of a test if wanted.
 */
#include <stdio.h>
#include <string.h>

#include "inside.h"

#define um um_machine

_Alignas(PAGE) union um_log_pages um_log;

/* A sanitizer's, where there is one. */
void __sanitizer_symbolize_pc(void *pc, const char *format, char *text,
    size_t room) __attribute__((weak));

void um_record(
    um_phys_t place, um_entry_t from, um_entry_t to, const void *caller)
{
    um.stats.stores++;
    um_log.log.records[um_log.log.count++ % LOG] =
        (struct um_record){place, from, to, um_cpu(), caller};
}

static void find_store(struct um_stale *stale, um_phys_t place)
{
    const struct um_log *log = &um_log.log;
    size_t kept = log->count < LOG ? log->count : LOG;
    for (size_t ago = 0; ago < kept; ago++) {
        const struct um_record *r = &log->records[(log->count - 1 - ago) % LOG];
        if (r->place != place || r->from == r->to)
            continue;
        stale->is_known = true;
        stale->ago = ago;
        stale->from = r->from;
        stale->to = r->to;
        stale->cpu = r->cpu;
        stale->caller = r->caller;
        return;
    }
}

/* Which entry is to blame: the first on the way down that leads elsewhere than
 * it did, or does not grant what is cached; else the last that both ways have.
 */
static unsigned blamed(const struct um_cached *c, const struct um_look *look)
{
    const unsigned last = c->level > look->level ? c->level : look->level;
    unsigned level = look->top;
    for (; level > last; level--) {
        const bool moved = c->place[level - 1] != look->place[level - 1];
        if (moved || um_lost(c->entry, look->at[level]))
            break;
    }
    return level;
}

static void tell(const struct um_cached *c, const struct um_look *look,
    struct um_stale *stale)
{
    stale->va = um_va(c);
    stale->cached = c->entry;
    stale->level = blamed(c, look);
    stale->stored = look->at[stale->level];
    find_store(stale, look->place[stale->level]);
}

/* Of a page only: in an entry for a table these bits mean nothing. */
static bool has_more(const struct um_cached *c, um_entry_t stored)
{
    const um_entry_t cached =
        (c->entry & UM_ENTRY_G) | (c->dirty ? UM_ENTRY_D : 0);
    return (cached & ~stored) != 0;
}

static bool audit_page(
    const struct um_cached *c, um_phys_t root, struct um_stale *stale)
{
    struct um_look look;
    um_look(root, um_va(c), &look);
    if (look.present && look.level == c->level &&
        !um_is_stale(c->entry, look.entry) && !has_more(c, look.entry))
        return false;
    *stale = (struct um_stale){0};
    tell(c, &look, stale);
    return true;
}

/* A table's: its entry must still lead to a table, with these rights. */
static bool audit_upper(
    const struct um_cached *c, um_phys_t root, struct um_stale *stale)
{
    struct um_look look;
    um_look(root, um_va(c), &look);
    if (look.level < c->level && !um_is_stale(c->entry, look.path[c->level]))
        return false;
    *stale = (struct um_stale){.upper = true, .upper_of = c->level};
    tell(c, &look, stale);
    return true;
}

/* Is it to be looked at? */
static bool is_due(const struct um_cached *c, unsigned id)
{
    return um_id_of(c) == id || (id == um.id && um_id_of(c) == UM_GLOBAL);
}

#define PLACES 8192u /* a power of two, twice what the TLB holds */
_Static_assert(PLACES >= 2 * TLB_SIZE, "places are found quickly");

/* The first two pages that have a frame in common and no cache type: false,
 * there are none. */
static bool find_alias(
    unsigned id, struct um_cached **first, struct um_cached **second)
{
    static uint16_t place[PLACES]; /* in the TLB, plus 1; 0: none */
    memset(place, 0, sizeof(place));
    for (size_t i = 0; i < um.tlb.count; i++) {
        struct um_cached *c = &um.tlb.at[i];
        if (!is_due(c, id))
            continue;
        size_t at = (size_t)((c->entry & UM_ENTRY_FRAME) / PAGE) % PLACES;
        for (; place[at] != 0; at = (at + 1) % PLACES) {
            *first = &um.tlb.at[place[at] - 1u];
            um_entry_t differs = (*first)->entry ^ c->entry;
            if (differs & UM_ENTRY_FRAME)
                continue;
            *second = c;
            if (differs & UM_ENTRY_CACHE)
                return true;
            break;
        }
        place[at] = (uint16_t)(i + 1);
    }
    return false;
}

/* The later one of each such pair is dropped. */
static size_t audit_aliases(
    unsigned id, void (*report)(const struct um_stale *stale))
{
    struct um_cached *first, *second;
    size_t found = 0;
    while (find_alias(id, &first, &second)) {
        const struct um_stale stale = {.va = um_va(second),
            .id = id,
            .level = second->level,
            .aliased = true,
            .other = um_va(first),
            .cached = second->entry,
            .stored = first->entry};
        found++;
        um_drop(second);
        if (report)
            report(&stale);
    }
    return found;
}

/* Backwards: see cache.c. */
size_t um_audit_id(unsigned id, void (*report)(const struct um_stale *stale))
{
    struct um_stale stale;
    size_t found = 0;
    um_id_check(id);
    const um_phys_t root = um.ids[id].root;
    for (size_t i = um.tlb.count; i-- > 0;) {
        if (!is_due(&um.tlb.at[i], id) ||
            !audit_page(&um.tlb.at[i], root, &stale))
            continue;
        found++;
        stale.id = id;
        um_drop(&um.tlb.at[i]);
        if (report)
            report(&stale);
    }
    for (size_t i = um.upper.count; i-- > 0;) {
        if (!is_due(&um.upper.at[i], id) ||
            !audit_upper(&um.upper.at[i], root, &stale))
            continue;
        found++;
        stale.id = id;
        um_cache_remove(&um.upper, &um.upper.at[i]);
        if (report)
            report(&stale);
    }
    return found + audit_aliases(id, report);
}

size_t um_audit(void (*report)(const struct um_stale *stale))
{
    return um_audit_id(um.id, report);
}

/* The sanitizer's text is a string for each function that was inlined there,
 * and an empty one at the end. */
void um_caller_print(const void *caller)
{
    char text[400] = "";
    if (!__sanitizer_symbolize_pc) {
        printf(" %p", caller);
        return;
    }
    __sanitizer_symbolize_pc(
        (char *)(uintptr_t)caller - 1, "%f %s:%l", text, sizeof(text) - 2);
    for (const char *at = text; *at; at += strlen(at) + 1)
        printf("%s %s", at == text ? "" : ", in", at);
}

static void entry_print(const char *before, um_entry_t entry)
{
    printf("%s%0*llx", before, (int)(2 * sizeof(entry)),
        (unsigned long long)entry);
}

/* A line that TAP takes for a remark. */
void um_audit_print(const struct um_stale *stale)
{
    if (stale->aliased) {
        printf("# um: two cache types for a frame: page 0x%08lx",
            (unsigned long)stale->va);
        entry_print(": ", stale->cached);
        printf(", page 0x%08lx", (unsigned long)stale->other);
        entry_print(": ", stale->stored);
        printf("\n");
        return;
    }
    printf("# um: stale: %s 0x%08lx, level %u: ",
        stale->upper ? "the table for" : "page", (unsigned long)stale->va,
        stale->level);
    if (stale->id > 0)
        printf("identifier %u, ", stale->id);
    entry_print("cached ", stale->cached);
    entry_print(", stored ", stale->stored);
    if (!stale->is_known) {
        printf("; no recent store changed it\n");
        return;
    }
    printf("; %zu stores ago ", stale->ago);
    entry_print("", stale->from);
    entry_print(" became ", stale->to);
    printf(", by");
    if (um_are_several())
        printf(" CPU %u,", stale->cpu);
    um_caller_print(stale->caller);
    printf("\n");
}
