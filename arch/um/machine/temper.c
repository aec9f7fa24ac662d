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
#include <limits.h>
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
    {"ackdelay", offsetof(struct um_temper, ackdelay)},
    {"seed", offsetof(struct um_temper, seed)},
    {"noids", offsetof(struct um_temper, noids)},
    {"noinvpcid", offsetof(struct um_temper, noinvpcid)},
};

const char *um_words(void)
{
    return "evict=N      drop a translation at one in N fills, invalidations\n"
           "speculate=N  walk unasked at one in N stores of an entry\n"
           "pdecache=1   keep entries for tables until an invalidation\n"
           "fragment=N   fill other parts of a large page at one in N\n"
           "adrandom=N   set accessed or dirty at one in N stores\n"
           "ackdelay=N   take an interrupt up to N switch points late\n"
           "seed=N       of all that\n"
           "noids=1      have no identifiers of address spaces (PCID)\n"
           "noinvpcid=1  have no invalidation by identifier (INVPCID)\n";
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
        if (*text < '0' || *text > '9') /* strtoull takes spaces, and signs */
            return NULL;
        unsigned long long value = strtoull(text, &end, 0);
        if (value > UINT_MAX || (*end != 0 && *end != ','))
            return NULL;
        *(unsigned *)(void *)((char *)temper + words[i].offset) =
            (unsigned)value;
        return *end == ',' ? end + 1 : end;
    }
    return NULL;
}

static void random_start(unsigned cpu)
{
    um.random = (0x9e3779b97f4a7c15ull + cpu) ^ um.temper.seed;
}

/* What the machine has not, it does not get later: software asks once. */
bool um_misbehave(const char *text)
{
    struct um_temper temper = {0};
    while (text && *text)
        text = word_parse(text, &temper);
    if (!text)
        return false;
    um.temper = temper;
    um.config.no_ids |= temper.noids != 0;
    um.config.no_invalidate_id |= temper.noinvpcid != 0;
    memset(um.recent, 0, sizeof(um.recent));
    um.recent_next = 0;
    random_start(0);
    um_cache_clear(&um.upper);
    return true;
}

bool um_sets_use(void)
{
    return um.temper.speculate != 0 || um.temper.adrandom != 0;
}

void um_temper_start(unsigned cpu)
{
    random_start(cpu);
    um.recent_next = 0;
    for (unsigned i = 0; i < RECENT; i++)
        um_note(um_window());
}

void um_temper_init(void)
{
    const char *text = getenv("UM");
    um.leader = calloc(um.config.ram_bytes / PAGE, sizeof(*um.leader));
    if (!um.leader)
        um_die("no memory");
    um_temper_start(0);
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

void um_note(uintptr_t va)
{
    um.recent[um.recent_next++ % RECENT] = va;
}

uintptr_t um_random_va(void)
{
    const struct um_range *w = &um.config.window[um_random(um.windows)];
    return w->start + um_random((uint32_t)(w->bytes / PAGE)) * PAGE;
}

/* Not the page that an instruction has just waited for: one that needs two
 * would wait for ever. */
void um_maybe_evict(uintptr_t except)
{
    if (!um_one_in(um.temper.evict))
        return;
    if (um.upper.count > 0)
        um_cache_remove(
            &um.upper, &um.upper.at[um_random((uint32_t)um.upper.count)]);
    if (um.tlb.count == 0)
        return;
    struct um_cached *c = &um.tlb.at[um_random((uint32_t)um.tlb.count)];
    if (um_va(c) == (except & ~(PAGE - 1)))
        return;
    um.stats.evictions++;
    um_drop(c);
}

/* ---- between two stores ---- */

static size_t frame_of(um_phys_t pa)
{
    return (size_t)((pa - UM_RAM_START) / PAGE);
}

static void lead(um_phys_t place, um_entry_t raw)
{
    if ((raw & UM_ENTRY_P) && um_is_ram(raw & UM_ENTRY_FRAME))
        um.leader[frame_of(raw & UM_ENTRY_FRAME)] = place;
}

/* The entry that leads to the frame, if it still does; 0: not known. */
static um_phys_t leader_of(um_phys_t frame)
{
    um_phys_t place = um_is_ram(frame) ? um.leader[frame_of(frame)] : 0;
    if (place == 0)
        return 0;
    um_entry_t e = *um_entry_at(place);
    return (e & UM_ENTRY_P) && (e & UM_ENTRY_FRAME) == frame ? place : 0;
}

/* Indices from the entry to the root, for the level 0, as an address of its own
 * level: with any low bits, or with those of a recent address. */
static uintptr_t va_below(uintptr_t va, unsigned level)
{
    const uintptr_t inside = um_span(level) - PAGE;
    uintptr_t low = um_random(2) ? um.recent[um_random(RECENT)]
                                 : um_random(UINT32_MAX) * PAGE;
    return (va << UM_INDEX_BITS * level) + (low & inside);
}

/* An address that the entry at this place is for: from table to table up to the
 * root, which may lead to itself (a mirror): then either is right, the entry's
 * own address or that of what the mirror shows for it. */
static uintptr_t va_for(um_phys_t place)
{
    const unsigned mask = (1u << UM_INDEX_BITS) - 1;
    uintptr_t va = 0;
    for (unsigned level = 0; level < um.config.levels; level++) {
        const um_phys_t table = place & UM_ENTRY_FRAME;
        const bool is_last = level == um.config.levels - 1;
        unsigned index = (unsigned)(place / sizeof(um_entry_t)) & mask;
        va |= (uintptr_t)index << um_shift(level);
        place = leader_of(table);
        if (table == um.root && (is_last || place == 0 || um_random(2) == 0))
            return va_below(va, um.config.levels - 1 - level);
        if (place == 0)
            break;
    }
    return um_random_va();
}

static uintptr_t va_near(uintptr_t va)
{
    uintptr_t near = va + um_random(5) * PAGE - 2 * PAGE;
    return um_is_window(near) ? near : va;
}

static uintptr_t va_recent(void)
{
    return va_near(um.recent[um_random(RECENT)]);
}

static uintptr_t va_of_interest(um_phys_t place)
{
    switch (um_random(4)) {
    case 0:
        return um_random_va();
    case 1:
        return va_recent();
    default:
        return place ? va_for(place) : um_random_va();
    }
}

/* The CPU sets these bits in memory, whatever it has cached: accessed at any
 * level on the way, dirty for a page only. */
static void set_use(uintptr_t va)
{
    struct um_look look;
    um_look(um.root, va, &look);
    if (!look.present)
        return;
    unsigned level = look.level + um_random(look.top + 1 - look.level);
    bool dirty =
        level == look.level && (look.entry & UM_ENTRY_W) && um_random(2) == 0;
    um_set(look.place[level], UM_ENTRY_A | (dirty ? UM_ENTRY_D : 0));
}

static void mischief(um_phys_t place)
{
    if (!um.on)
        return;
    if (um_one_in(um.temper.speculate))
        (void)um_prefetch(va_of_interest(place));
    if (um_one_in(um.temper.adrandom))
        set_use(va_of_interest(place));
}

void um_mischief_at(uintptr_t va)
{
    if (!um.on || !um_one_in(um.temper.speculate))
        return;
    (void)um_prefetch(um_random(2) ? va_near(va) : va_recent());
}

/* The place is asked for once the store is done: through a mirror, it was that
 * which had the entry's own page translated. */
static void has_stored(
    const um_entry_t *at, um_entry_t from, um_entry_t to, const void *caller)
{
    const um_phys_t place = um_place_of(at);
    um_record(place, from, to, caller);
    if (place)
        lead(place, to);
}

void um_store(um_entry_t *at, um_entry_t raw)
{
    um_point(__builtin_return_address(0));
    mischief(um_place_of(at));
    um_entry_t old = __atomic_exchange_n(at, raw, __ATOMIC_SEQ_CST);
    has_stored(at, old, raw, __builtin_return_address(0));
    bool split = ((raw ^ old) & UM_ENTRY_PS) != 0;
    bool kept = (raw & UM_ENTRY_D) || ((raw ^ old) & UM_ENTRY_FRAME) != 0;
    if (um.temper.adrandom && (raw & UM_ENTRY_P) && (old & UM_ENTRY_D) &&
        (split || !kept))
        um.config.machine_check(
            "a store loses dirty, which may just have been set",
            (uintptr_t)um_place_of(at));
    mischief(um_place_of(at));
    um_point(__builtin_return_address(0));
}

bool um_replace(um_entry_t *at, um_entry_t *old, um_entry_t raw)
{
    const um_entry_t before = *old;
    um_point(__builtin_return_address(0));
    mischief(um_place_of(at));
    bool done = __atomic_compare_exchange_n(
        at, old, raw, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    if (done)
        has_stored(at, before, raw, __builtin_return_address(0));
    mischief(um_place_of(at));
    um_point(__builtin_return_address(0));
    return done;
}
