/* SPDX-License-Identifier: MIT */
/*
 * audit.c - which cached translations should have been invalidated?
 *
 * Each cached page is looked up again in the tables. What is cached may allow
 * less than what is stored, never more, and nothing else (Intel SDM vol. 3A,
 * 4.10.4.2 and 4.10.4.3). Whom to ask is known too: the last stores of entries
 * are kept in a ring, with the address they returned to.
 *
 *     log [ ... | place, from, to, caller | ... ]   the last at stores - 1
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

void um_record(const uint32_t *at, uint32_t from, uint32_t to, void *caller)
{
    um.stats.stores++;
    um_log.log.records[um_log.log.count++ % LOG] =
        (struct um_record){um_place_of(at), from, to, um_cpu(), caller};
}

static void find_store(struct um_stale *stale, uint32_t place)
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

/* Which entry is to blame: the upper one if it leads elsewhere now, or took
 * the right away. */
static void blame(struct um_stale *stale, size_t page, const struct um_look *l)
{
    bool moved = l->leaf_place != um.source[page];
    uint32_t lost = stale->cached & ~l->entry & ENTRY_RIGHTS;
    bool above = moved || !(l->upper & ENTRY_P) || l->large ||
                 (l->present && (lost & l->leaf) != 0);
    stale->level = above ? 1 : 0;
    stale->stored = above ? l->upper : l->leaf;
    find_store(stale, above ? l->upper_place : l->leaf_place);
}

static bool audit_page(size_t page, struct um_stale *stale)
{
    struct um_look look;
    um_look(um_va_of(page), false, &look);
    if (look.present && !um_is_stale(um.entry[page], look.entry))
        return false;
    *stale = (struct um_stale){.va = um_va_of(page), .cached = um.entry[page]};
    blame(stale, page, &look);
    return true;
}

static bool audit_upper(size_t slot, struct um_stale *stale)
{
    struct um_look look;
    uint32_t cached = um.upper[slot];
    if (cached == 0)
        return false;
    um_look(um_va_of(slot * LARGE_PAGES), false, &look);
    if ((look.upper & ENTRY_P) && !um_is_stale(cached, look.upper))
        return false;
    *stale = (struct um_stale){.va = um_va_of(slot * LARGE_PAGES),
        .level = 1,
        .upper = true,
        .cached = cached,
        .stored = look.upper};
    find_store(stale, look.upper_place);
    return true;
}

/* What is dropped is replaced by the last of the list, which was looked at:
 * hence backwards. */
size_t um_audit(void (*report)(const struct um_stale *stale))
{
    struct um_stale stale;
    size_t found = 0;
    for (size_t i = um.stats.cached; i-- > 0;) {
        size_t page = um.list[i];
        if (!audit_page(page, &stale))
            continue;
        found++;
        um_drop(page);
        if (report)
            report(&stale);
    }
    for (size_t slot = 0; um.uppers > 0 && slot < SLOTS; slot++) {
        if (!audit_upper(slot, &stale))
            continue;
        found++;
        um_drop_upper(slot);
        if (report)
            report(&stale);
    }
    return found;
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

/* A line that TAP takes for a remark. */
void um_audit_print(const struct um_stale *stale)
{
    printf("# um: stale: %s 0x%08lx, level %u: cached %08x, stored %08x",
        stale->upper ? "the table for" : "page", (unsigned long)stale->va,
        stale->level, (unsigned)stale->cached, (unsigned)stale->stored);
    if (!stale->is_known) {
        printf("; no recent store changed it\n");
        return;
    }
    printf("; %zu stores ago %08x became %08x, by", stale->ago,
        (unsigned)stale->from, (unsigned)stale->to);
    if (um_are_several())
        printf(" CPU %u,", stale->cpu);
    um_caller_print(stale->caller);
    printf("\n");
}
