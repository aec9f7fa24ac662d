/* SPDX-License-Identifier: MIT */
/*
 * temper.c - the machine does at random what hardware may do and mostly does
 * not: UM=evict=8,speculate=1,pdecache=1,fragment=1,adrandom=1,seed=7.
 *
 *      um_store:       mischief | exchange, record | mischief
 *      fill:                      fill             | perhaps evict
 *      invalidation:   mischief | drop             | perhaps evict
 *
 * Mischief happens only there: between any two stores of entries is often
 * enough, for the tables do not change in between, and the same seed gives the
 * same run; before an invalidation, a frame freed too early is found. Three
 * addresses are of interest to a walk that nobody asked for:
 * those near what happened lately, those that the entry just stored is for, and
 * any other. All is drawn from one generator (Marsaglia's xorshift, times an
 * odd number).
 *
 * Cost: a store 1 us more, and a fill where the walk finds a page.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inside.h"

#define um um_machine

static const struct word {
    const char *name;
    size_t offset; /* in struct um_temper */
} words[] = {
    {"evict", offsetof(struct um_temper, evict)},
    {"speculate", offsetof(struct um_temper, speculate)},
    {"pdecache", offsetof(struct um_temper, pdecache)},
    {"fragment", offsetof(struct um_temper, fragment)},
    {"adrandom", offsetof(struct um_temper, adrandom)},
    {"seed", offsetof(struct um_temper, seed)},
};

const char *um_words(void)
{
    return "evict=N      drop a translation at one in N fills, invalidations\n"
           "speculate=N  walk unasked at one in N stores of an entry\n"
           "pdecache=1   keep entries for tables until an invalidation\n"
           "fragment=N   fill other parts of a large page at one in N\n"
           "adrandom=N   set accessed or dirty at one in N stores\n"
           "seed=N       of all that\n";
}

/* One "name=number". Returns what follows it, or NULL. */
static const char *word_parse(const char *text, struct um_temper *temper)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t length = strlen(words[i].name);
        char *end;
        if (strncmp(text, words[i].name, length) != 0 || text[length] != '=')
            continue;
        text += length + 1;
        unsigned long value = strtoul(text, &end, 0);
        if (end == text || *text == '-' || (*end != 0 && *end != ','))
            return NULL;
        *(unsigned *)(void *)((char *)temper + words[i].offset) =
            (unsigned)value;
        return *end == ',' ? end + 1 : end;
    }
    return NULL;
}

bool um_misbehave(const char *text)
{
    struct um_temper temper = {0};
    while (text && *text)
        text = word_parse(text, &temper);
    if (!text)
        return false;
    um.temper = temper;
    um.random = 0x9e3779b97f4a7c15ull ^ temper.seed;
    um_drop_uppers();
    return true;
}

bool um_sets_use(void)
{
    return um.temper.speculate != 0 || um.temper.adrandom != 0;
}

void um_temper_init(void)
{
    const char *text = getenv("UM");
    if (um_misbehave(text ? text : ""))
        return;
    fprintf(stderr, "um: UM=%s: not understood; known are, with commas:\n%s",
        text, um_words());
    exit(2);
}

uint32_t um_random(uint32_t below)
{
    uint64_t x = um.random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    um.random = x;
    x = (x * 0x2545f4914f6cdd1dull) >> 32;
    return (uint32_t)((x * below) >> 32);
}

bool um_one_in(unsigned n)
{
    return n > 0 && um_random(n) == 0;
}

void um_note(size_t page)
{
    um.recent[um.recent_next++ % RECENT] = (uint32_t)page;
}

/* Not the page that an instruction has just waited for: one that needs two
 * would wait for ever. */
void um_maybe_evict(size_t except)
{
    if (!um_one_in(um.temper.evict))
        return;
    if (um.uppers > 0)
        um_drop_upper(um_random(SLOTS));
    if (um.stats.cached == 0)
        return;
    size_t page = um.list[um_random((uint32_t)um.stats.cached)];
    if (page == except)
        return;
    um.stats.evictions++;
    um_drop(page);
}

/* ---- between two stores ---- */

/* A page that the entry at this place is for, or would be. */
static size_t page_for(uint32_t place)
{
    uint32_t index = place % PAGE / 4;
    const size_t first = UM_WINDOW / LARGE_BYTES;
    if ((place & ENTRY_FRAME) == um.root && um_random(2) == 0)
        return ((index - first) * LARGE_PAGES +
                   um_random((uint32_t)LARGE_PAGES)) %
               PAGES;
    for (size_t slot = 0; slot < SLOTS; slot++) {
        uint32_t e = *um_entry_at(um.root + 4 * (uint32_t)(first + slot));
        if ((e & (ENTRY_P | ENTRY_PS)) == ENTRY_P &&
            (e & ENTRY_FRAME) == (place & ENTRY_FRAME))
            return slot * LARGE_PAGES + index;
    }
    return um_random(PAGES);
}

static size_t page_near(size_t page)
{
    return (page + um_random(5) - 2) % PAGES;
}

static size_t page_recent(void)
{
    return page_near(um.recent[um_random(RECENT)]);
}

static size_t page_of_interest(const uint32_t *at)
{
    uint32_t place = um_place_of(at);
    switch (um_random(4)) {
    case 0:
        return um_random(PAGES);
    case 1:
        return page_recent();
    default:
        return place ? page_for(place) : um_random(PAGES);
    }
}

/* The CPU sets these bits in memory, whatever it has cached. */
static void set_use(uintptr_t va)
{
    struct um_look look;
    um_look(va, false, &look);
    if (!look.present)
        return;
    bool dirty = (look.entry & ENTRY_W) && um_random(2) == 0;
    *um_entry_at(look.leaf_place) |= ENTRY_A | (dirty ? ENTRY_D : 0);
}

static void mischief(const uint32_t *at)
{
    if (!um.on)
        return;
    if (um_one_in(um.temper.speculate))
        (void)um_prefetch(um_va_of(page_of_interest(at)));
    if (um_one_in(um.temper.adrandom))
        set_use(um_va_of(page_of_interest(at)));
}

void um_mischief_at(size_t page)
{
    if (!um.on || !um_one_in(um.temper.speculate))
        return;
    (void)um_prefetch(um_va_of(um_random(2) ? page_near(page) : page_recent()));
}

void um_store(uint32_t *at, uint32_t raw)
{
    uint32_t seen = *(volatile uint32_t *)at;
    mischief(at);
    uint32_t old = __atomic_exchange_n(at, raw, __ATOMIC_SEQ_CST);
    um_record(at, old, raw, __builtin_return_address(0));
    bool kept = (raw & ENTRY_D) && ((raw ^ old) & ENTRY_PS) == 0;
    if ((raw & ENTRY_P) && (old & ~seen & ENTRY_D) && !kept)
        um.config.machine_check(
            "a store loses dirty, which was set since the entry was read",
            um_place_of(at));
    mischief(at);
}

bool um_replace(uint32_t *at, uint32_t *old, uint32_t raw)
{
    mischief(at);
    uint32_t before = *old;
    bool done = __atomic_compare_exchange_n(
        at, old, raw, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    if (done)
        um_record(at, before, raw, __builtin_return_address(0));
    mischief(at);
    return done;
}
