/* SPDX-License-Identifier: MIT */
/*
 * main.c - the machine of arch/um, on its own: does it do what an x86 MMU does,
 * and forget what it must, at every level of every kind of table? Nothing of
 * Verso is linked. Usage: um-machine-64 [low]; `low`: in addresses that
 * valgrind has, with nothing reserved.
 *
 * Each test is a process of its own: a machine is made once, and ends with a
 * machine check. Tables are made by entry_at(), with all rights above a page.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <um.h>

#define PAGE      4096u
#define RAM_BYTES (16u << 20)
#define W         UM_ENTRY_W
#define U         UM_ENTRY_U
/* Of the reserved bits above the frame. */
#define HIGH_FIRST (UM_ENTRY_HIGH & (~UM_ENTRY_HIGH + 1))
#define HIGH_LAST  (UM_ENTRY_HIGH & ~(UM_ENTRY_HIGH >> 1))
#define NONE       ~0u /* no fault */
#define SKIPPED    77

#define CHECK(what)                                                            \
    do {                                                                       \
        if (!(what))                                                           \
            fail(__LINE__, #what);                                             \
    } while (0)
#define CHECK_EQ(a, b)                                                         \
    check_eq(__LINE__, #a " == " #b, (unsigned long long)(a),                  \
        (unsigned long long)(b))

static um_phys_t free_pa, root_pa;
static uintptr_t base;         /* of the window */
static sigjmp_buf back;        /* where a fault leads that nobody mends */
static unsigned fault_code;    /* of it */
static volatile uint32_t seen; /* valgrind does not do a load of no use */
static void (*mend)(uintptr_t va);
static const char *expected; /* a machine check */
static struct um_stale found[16];
static size_t found_count;

static void fail(int line, const char *what)
{
    printf("# line %d: does not hold: %s\n", line, what);
    fflush(stdout);
    _exit(1);
}

static void check_eq(
    int line, const char *what, unsigned long long a, unsigned long long b)
{
    if (a == b)
        return;
    printf("# 0x%llx, 0x%llx\n", a, b);
    fail(line, what);
}

/* ---- tables ---- */

static um_entry_t *memory_at(um_phys_t pa)
{
    return (um_entry_t *)(void *)(um_ram() + (pa - UM_RAM_START));
}

static um_phys_t frame_new(void)
{
    um_phys_t pa = free_pa;
    free_pa += PAGE;
    CHECK(free_pa <= UM_RAM_START + RAM_BYTES);
    memset(memory_at(pa), 0, PAGE);
    return pa;
}

static um_entry_t *entry_at(uintptr_t va, unsigned level)
{
    um_entry_t *table = memory_at(root_pa);
    for (unsigned l = um_levels() - 1; l > level; l--) {
        um_entry_t *e = table + um_index(va, l);
        if (*e == 0)
            um_store(e, frame_new() | UM_ENTRY_P | W | U);
        table = memory_at(*e & UM_ENTRY_FRAME);
    }
    return table + um_index(va, level);
}

/* A page of a new frame; its first word is `word`. */
static um_phys_t page_new(uintptr_t va, um_entry_t bits, uint32_t word)
{
    um_phys_t pa = frame_new();
    *(uint32_t *)(void *)memory_at(pa) = word;
    um_store(entry_at(va, 0), pa | UM_ENTRY_P | bits);
    return pa;
}

/* ---- accesses: the code of the fault, or NONE ---- */

static void on_fault(uintptr_t va, unsigned code)
{
    fault_code = code;
    if (mend)
        mend(va);
    else
        siglongjmp(back, 1);
}

static void on_machine_check(const char *what, uintptr_t va)
{
    if (expected && strstr(what, expected))
        _exit(0);
    printf("# machine check: %s (0x%lx)\n", what, (unsigned long)va);
    fflush(stdout);
    _exit(1);
}

static unsigned read_at(uintptr_t va)
{
    if (sigsetjmp(back, 1) != 0)
        return fault_code;
    seen = *(volatile uint32_t *)va;
    return NONE;
}

static unsigned write_at(uintptr_t va)
{
    if (sigsetjmp(back, 1) != 0)
        return fault_code;
    *(volatile uint32_t *)va = 7;
    return NONE;
}

static unsigned call_at(uintptr_t va)
{
    if (sigsetjmp(back, 1) != 0)
        return fault_code;
    ((void (*)(void))va)();
    return NONE;
}

struct access {
    unsigned (*how)(uintptr_t va);
    uintptr_t va;
    unsigned code;
};

static void access_run(void *arg)
{
    struct access *access = arg;
    access->code = access->how(access->va);
}

static unsigned user(unsigned (*how)(uintptr_t va), uintptr_t va)
{
    struct access access = {how, va, 0};
    um_user(access_run, &access);
    return access.code;
}

static void find(const struct um_stale *stale)
{
    if (found_count < 16)
        found[found_count++] = *stale;
}

static size_t audit(void)
{
    found_count = 0;
    return um_audit(find);
}

/* ---- what is cached, and what is forgotten ---- */

static void a_touch_fills_and_sets_accessed_on_its_way(void)
{
    page_new(base, W, 1);
    CHECK_EQ(read_at(base), NONE);
    CHECK_EQ(um_stats()->fills, 1);
    for (unsigned level = 0; level < um_levels(); level++)
        CHECK(*entry_at(base, level) & UM_ENTRY_A);
    CHECK(!(*entry_at(base, 0) & UM_ENTRY_D));
    CHECK_EQ(read_at(base), NONE);
    CHECK_EQ(um_stats()->fills, 1);
    CHECK_EQ(write_at(base), NONE);
    CHECK(*entry_at(base, 0) & UM_ENTRY_D);
    CHECK(!(*entry_at(base, 1) & UM_ENTRY_D));
    CHECK_EQ(write_at(base + PAGE), UM_FAULT_WRITE);
}

static void a_forgotten_invalidation_leaves_the_old_page(void)
{
    um_phys_t old = page_new(base, W, 1), new = page_new(base + PAGE, W, 2);
    volatile uint32_t *word = (volatile uint32_t *)base;
    CHECK_EQ(*word, 1);
    um_store(entry_at(base, 0), new | UM_ENTRY_P | W);
    CHECK_EQ(*word, 1);
    CHECK_EQ(audit(), 1);
    CHECK_EQ(found[0].va, base);
    CHECK_EQ(found[0].level, 0);
    CHECK_EQ(found[0].cached & UM_ENTRY_FRAME, old);
    CHECK_EQ(found[0].stored & UM_ENTRY_FRAME, new);
    CHECK(found[0].is_known && found[0].ago == 0);
    CHECK_EQ(*word, 2); /* a finding is dropped */
    um_store(entry_at(base, 0), old | UM_ENTRY_P | W);
    um_invalidate(base);
    CHECK_EQ(*word, 1);
    CHECK_EQ(audit(), 0);
}

/* Another page, with other tables for it below the level. */
static um_phys_t path_new(unsigned level)
{
    um_phys_t to = frame_new();
    for (unsigned l = 0; l < level; l++) {
        um_entry_t *entry = entry_at(base, l);
        um_phys_t table = frame_new();
        memory_at(table)[um_index(base, l)] = to | (*entry & (PAGE - 1));
        to = table;
    }
    return to;
}

/* Taken away, led elsewhere, without a right: at each level. */
static void the_audit_blames_the_level_that_changed(void)
{
    page_new(base, W, 1);
    for (unsigned level = 0; level < um_levels(); level++) {
        um_entry_t *entry = entry_at(base, level), before = *entry;
        um_phys_t other = path_new(level);
        const um_entry_t changed[] = {
            0, other | (before & ~UM_ENTRY_FRAME), before & ~(um_entry_t)W};
        for (unsigned i = 0; i < 3; i++) {
            CHECK_EQ(write_at(base), NONE);
            um_store(entry, changed[i]);
            CHECK_EQ(audit(), 1);
            CHECK_EQ(found[0].level, level);
            CHECK_EQ(found[0].stored, changed[i]);
            CHECK(found[0].is_known && found[0].ago == 0);
            um_store(entry, before);
            CHECK_EQ(write_at(base), NONE);
            CHECK_EQ(audit(), 0);
        }
    }
}

/* Two addresses that share an entry of the level, and none below. */
static void an_entry_for_a_table_of_any_level_is_used_until_invalidated(void)
{
    CHECK(um_misbehave("pdecache=1"));
    for (unsigned level = 1; level < um_levels(); level++) {
        const uintptr_t beside = base + um_span(level - 1);
        um_entry_t *entry = entry_at(base, level), before;
        page_new(base, W, 1);
        page_new(beside, W, 2);
        um_invalidate_all();
        CHECK_EQ(read_at(base), NONE);
        before = *entry;
        um_store(entry, 0);
        CHECK_EQ(read_at(beside), NONE);
        um_invalidate(beside);
        CHECK_EQ(read_at(beside), 0);
        um_store(entry, before);
        um_invalidate_all();
        CHECK_EQ(read_at(beside), NONE);
        um_store(entry, 0);
        CHECK(audit() >= 2);
        bool told = false;
        for (size_t i = 0; i < found_count; i++) {
            CHECK_EQ(found[i].level, level);
            told |= found[i].upper && found[i].upper_of == level;
        }
        CHECK(told);
        um_store(entry, before);
    }
}

static void an_invalidation_of_no_page_drops_the_entries_for_tables(void)
{
    um_entry_t *entry = entry_at(base, 1);
    CHECK(um_misbehave("pdecache=1"));
    page_new(base, W, 1);
    page_new(base + PAGE, W, 2);
    CHECK_EQ(read_at(base), NONE);
    um_store(entry, 0);
    um_invalidate((uintptr_t)um_ram());
    CHECK_EQ(um_stats()->cached, 1);
    CHECK_EQ(read_at(base + PAGE), 0);
    CHECK_EQ(audit(), 1);
    CHECK(!found[0].upper);
}

static void a_kept_entry_has_the_rights_of_those_above_it(void)
{
    um_entry_t *top = entry_at(base, um_levels() - 1);
    CHECK(um_misbehave("pdecache=1"));
    page_new(base, W, 1);
    page_new(base + PAGE, W, 2);
    um_store(top, *top & ~(um_entry_t)W);
    CHECK_EQ(read_at(base), NONE);
    um_store(top, *top | W); /* raised: nobody must be told */
    CHECK_EQ(audit(), 0);
    CHECK_EQ(write_at(base + PAGE), UM_FAULT_PRESENT | UM_FAULT_WRITE);
    CHECK_EQ(write_at(base + PAGE), NONE); /* the fault dropped it */
}

static void a_global_page_survives_a_root_load_and_nothing_else(void)
{
    um_entry_t *entry = entry_at(base, 0), before;
    page_new(base, UM_ENTRY_G, 1);
    page_new(base + PAGE, 0, 2);
    before = *entry;
    CHECK_EQ(read_at(base + PAGE), NONE);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(read_at(base), NONE);
        um_store(entry, 0);
        um_root_load(um_root());
        CHECK_EQ(um_stats()->cached, 1);
        CHECK_EQ(read_at(base), NONE);
        if (i == 0)
            um_invalidate(base);
        else
            um_invalidate_all();
        CHECK_EQ(um_stats()->cached, 0);
        CHECK_EQ(read_at(base), 0);
        um_store(entry, before);
    }
}

static void without_global_pages_a_root_load_drops_all(void)
{
    page_new(base, UM_ENTRY_G, 1);
    CHECK_EQ(read_at(base), NONE);
    um_root_load(um_root());
    CHECK_EQ(um_stats()->cached, 0);
}

static void global_taken_away_is_stale(void)
{
    um_entry_t *entry = entry_at(base, 0);
    page_new(base, UM_ENTRY_G, 1);
    CHECK_EQ(read_at(base), NONE);
    um_store(entry_at(base, 1), *entry_at(base, 1) | UM_ENTRY_G);
    CHECK_EQ(audit(), 0);
    um_store(entry, *entry & ~(um_entry_t)UM_ENTRY_G);
    CHECK_EQ(audit(), 1);
    CHECK(found[0].level == 0 && found[0].is_known && found[0].ago == 0);
    CHECK_EQ(read_at(base), NONE);
    um_store(entry, *entry | UM_ENTRY_G); /* given: nobody must be told */
    CHECK_EQ(audit(), 0);
}

static void dirty_taken_away_is_stale_where_it_is_cached(void)
{
    um_entry_t *entry = entry_at(base, 0);
    page_new(base, W, 1);
    CHECK_EQ(read_at(base), NONE);
    um_store(entry, *entry | UM_ENTRY_D);
    um_store(entry, *entry & ~(um_entry_t)UM_ENTRY_D);
    CHECK_EQ(audit(), 0); /* cached clean */
    CHECK_EQ(write_at(base), NONE);
    um_store(entry, *entry & ~(um_entry_t)UM_ENTRY_D);
    CHECK_EQ(write_at(base), NONE);
    CHECK(!(*entry & UM_ENTRY_D));
    CHECK_EQ(audit(), 1);
    CHECK(found[0].level == 0 && found[0].is_known && found[0].ago == 0);
    CHECK_EQ(write_at(base), NONE);
    CHECK(*entry & UM_ENTRY_D);
}

/* ---- rights ---- */

static void the_right_to_write_is_that_of_all_levels(void)
{
    page_new(base, W, 1);
    for (unsigned level = 0; level < um_levels(); level++) {
        um_entry_t *entry = entry_at(base, level), before = *entry;
        um_store(entry, before & ~(um_entry_t)W);
        um_invalidate(base);
        CHECK_EQ(write_at(base), UM_FAULT_PRESENT | UM_FAULT_WRITE);
        CHECK_EQ(read_at(base), NONE);
        um_store(entry, before);
        CHECK_EQ(write_at(base), /* the cached right */
            UM_FAULT_PRESENT | UM_FAULT_WRITE);
        CHECK_EQ(write_at(base), NONE);
    }
}

static void no_execute_holds_at_any_level(void)
{
    page_new(base, W, 0xc3); /* ret */
    CHECK_EQ(call_at(base), NONE);
    if (UM_ENTRY_NX == 0)
        return;
    for (unsigned level = 0; level < um_levels(); level++) {
        um_entry_t *entry = entry_at(base, level), before = *entry;
        um_store(entry, before | UM_ENTRY_NX);
        CHECK_EQ(call_at(base), NONE); /* cached */
        CHECK_EQ(audit(), 1);
        CHECK_EQ(found[0].level, level);
        CHECK_EQ(call_at(base), UM_FAULT_PRESENT | UM_FAULT_FETCH);
        CHECK_EQ(write_at(base), NONE);
        *(volatile uint32_t *)base = 0xc3;
        um_store(entry, before);
        um_invalidate(base);
        CHECK_EQ(call_at(base), NONE);
    }
    CHECK_EQ(call_at(base + PAGE), UM_FAULT_FETCH);
}

static void user_mode_wants_the_right_at_every_level(void)
{
    page_new(base, W | U, 0xc3);
    CHECK_EQ(user(write_at, base), NONE);
    CHECK_EQ(user(read_at, base + PAGE), UM_FAULT_USER);
    for (unsigned level = 0; level < um_levels(); level++) {
        um_entry_t *entry = entry_at(base, level), before = *entry;
        const unsigned refused = UM_FAULT_PRESENT | UM_FAULT_USER;
        um_store(entry, before & ~(um_entry_t)U);
        um_invalidate(base);
        CHECK_EQ(user(read_at, base), refused);
        CHECK_EQ(user(write_at, base), refused | UM_FAULT_WRITE);
        CHECK_EQ(
            user(call_at, base), refused | (UM_ENTRY_NX ? UM_FAULT_FETCH : 0));
        CHECK_EQ(read_at(base), NONE);
        um_store(entry, before);
        um_invalidate(base);
    }
    *(volatile uint32_t *)base = 0xc3;
    CHECK_EQ(user(call_at, base), NONE);
}

static unsigned nothing(uintptr_t va)
{
    (void)va;
    return NONE;
}

static void what_is_the_supervisors_stays_cached_in_user_mode(void)
{
    page_new(base, W, 1);
    page_new(base + PAGE, W | U, 2);
    CHECK_EQ(write_at(base), NONE);
    CHECK_EQ(user(nothing, base), NONE);
    CHECK_EQ(um_stats()->cached, 1);
    CHECK_EQ(write_at(base), NONE);
    CHECK_EQ(um_stats()->fills, 1);
    CHECK_EQ(user(read_at, base), UM_FAULT_PRESENT | UM_FAULT_USER);
}

static void page_mend(uintptr_t va)
{
    CHECK_EQ(*(volatile uint32_t *)base, 1); /* the supervisor's */
    page_new(va & ~(uintptr_t)(PAGE - 1), W | U, 0);
}

static void a_handler_is_the_supervisor_and_the_access_goes_on_as_user(void)
{
    page_new(base, W, 1);
    mend = page_mend;
    CHECK_EQ(user(write_at, base + PAGE), NONE);
    mend = NULL;
    CHECK_EQ(*(volatile uint32_t *)(base + PAGE), 7);
    CHECK_EQ(fault_code, UM_FAULT_WRITE | UM_FAULT_USER);
    mend = page_mend;
    CHECK_EQ(user(write_at, base + 2 * PAGE), NONE);
    mend = NULL;
    CHECK_EQ(user(read_at, base), UM_FAULT_PRESENT | UM_FAULT_USER);
}

/* Registers, flags, the red zone and vectors: libc's copy has them all. */
static void page_mend_loudly(uintptr_t va)
{
    char text[200], copy[200];
    snprintf(text, sizeof(text), "%f %p", (double)va / 3, (void *)va);
    memset(copy, 0x55, sizeof(copy));
    memcpy(copy, text, strlen(text));
    page_new(va & ~(uintptr_t)(PAGE - 1), W, 0);
    CHECK(copy[0] != 0x55);
}

static void an_interrupted_copy_goes_on_unharmed(void)
{
    enum {
        BYTES = 64 * PAGE
    };
    static unsigned char from[BYTES], to[BYTES];
    for (size_t i = 0; i < BYTES; i++)
        from[i] = (unsigned char)(i * 31 + (i >> 8));
    mend = page_mend_loudly;
    memcpy((void *)(base + 24), from, BYTES - 24);
    memcpy(to, (void *)(base + 24), BYTES - 24);
    CHECK(memcmp(from, to, BYTES - 24) == 0);
    memset((void *)(base + 100 * PAGE), 0x5a, BYTES);
    for (size_t i = 0; i < BYTES; i++)
        CHECK(((unsigned char *)base + 100 * PAGE)[i] == 0x5a);
}

/* ---- reserved bits ---- */

static void refused_as_reserved(um_entry_t *entry, um_entry_t raw)
{
    const um_entry_t before = *entry;
    const size_t fills = um_stats()->fills;
    um_store(entry, raw);
    um_invalidate_all();
    CHECK_EQ(
        write_at(base), UM_FAULT_PRESENT | UM_FAULT_WRITE | UM_FAULT_RESERVED);
    CHECK(!um_prefetch(base));
    CHECK_EQ(um_stats()->fills, fills);
    um_store(entry, before);
    CHECK_EQ(write_at(base), NONE);
}

static void a_reserved_bit_faults_and_is_never_cached(void)
{
    page_new(base, W, 1);
    for (unsigned level = 0; level < um_levels(); level++) {
        um_entry_t *entry = entry_at(base, level);
        const um_entry_t large = UM_RAM_START | UM_ENTRY_P | W | UM_ENTRY_PS;
        if (UM_ENTRY_HIGH != 0) {
            refused_as_reserved(entry, *entry | HIGH_FIRST);
            refused_as_reserved(entry, *entry | HIGH_LAST);
        }
        if (level > 0 && !um_has_large(level))
            refused_as_reserved(entry, large);
        else if (level > 0)
            refused_as_reserved(entry, large | (um_span(level) >> 1));
    }
}

/* What was there, of what is cached, does not count as granted any more. */
static void what_became_reserved_is_stale(void)
{
    um_entry_t *entry = entry_at(base, 0);
    if (UM_ENTRY_HIGH == 0)
        _exit(SKIPPED);
    page_new(base, W, 1);
    CHECK_EQ(read_at(base), NONE);
    um_store(entry, *entry | HIGH_LAST);
    CHECK_EQ(audit(), 1);
    CHECK_EQ(read_at(base), UM_FAULT_PRESENT | UM_FAULT_RESERVED);
}

/* ---- large pages ---- */

/* A large page that RAM is in; where RAM starts in it. */
static uintptr_t large_new(unsigned level, um_entry_t bits)
{
    const um_phys_t start = UM_RAM_START & ~(um_phys_t)(um_span(level) - 1);
    um_store(entry_at(base, level), start | UM_ENTRY_P | UM_ENTRY_PS | bits);
    return base + (uintptr_t)(UM_RAM_START - start);
}

static void a_large_page_is_cached_in_the_fragments_touched(void)
{
    for (unsigned level = 1; um_has_large(level); level++) {
        uintptr_t ram = large_new(level, W);
        const size_t fills = um_stats()->fills;
        CHECK_EQ(read_at(ram + 5 * PAGE), NONE);
        CHECK_EQ(write_at(ram + 9 * PAGE), NONE);
        CHECK(*entry_at(base, level) & UM_ENTRY_D);
        CHECK_EQ(um_stats()->fills, fills + 2);
        CHECK_EQ(um_stats()->cached, 2);
        um_invalidate(base + um_span(level));
        CHECK_EQ(um_stats()->cached, 2);
        um_invalidate(base + um_span(level) - PAGE);
        CHECK_EQ(um_stats()->cached, 0);
        CHECK(um_misbehave("fragment=1"));
        CHECK_EQ(read_at(ram), NONE);
        CHECK(um_stats()->cached > 2);
        CHECK_EQ(audit(), 0);
        um_store(entry_at(base, level), 0);
        CHECK(audit() > 2);
        CHECK_EQ(found[0].level, level);
        CHECK(um_misbehave(""));
    }
}

static void large_pages_that_there_are_not_are_reserved(void)
{
    unsigned last = 0;
    while (um_has_large(last + 1))
        last++;
    CHECK(last < UM_LARGE_LEVELS);
    page_new(base, W, 1);
    refused_as_reserved(entry_at(base, last + 1), UM_ENTRY_P | W | UM_ENTRY_PS);
}

/* A page of the size of `level` where fragments of a larger one are cached, or
 * the reverse: the same translation passes, another does not. */
static void size_change(unsigned from, unsigned to, bool same)
{
    const unsigned high = from > to ? from : to, low = from > to ? to : from;
    uintptr_t va = large_new(high, W);
    um_entry_t *upper = entry_at(base, high), large = *upper, table;
    um_phys_t pa = UM_RAM_START;
    CHECK_EQ(um_stats()->cached, 0);
    *upper = 0;
    if (!same)
        pa += low == 0 ? PAGE : (um_phys_t)um_span(low);
    um_store(
        entry_at(va, low), pa | UM_ENTRY_P | W | (low > 0 ? UM_ENTRY_PS : 0));
    table = *upper;
    um_store(upper, from == high ? large : table);
    um_invalidate_all();
    CHECK_EQ(read_at(va), NONE);
    um_store(upper, from == high ? table : large);
    expected = same ? NULL : "two page sizes";
    /* what another instruction needs, in the other size */
    CHECK_EQ(um_prefetch(va), false);
    (void)write_at(va);
    CHECK(same);
}

static void a_page_and_a_large_page_alike_may_be_cached_together(void)
{
    size_change(1, 0, true);
}

static void a_page_unlike_the_large_page_cached_is_a_machine_check(void)
{
    size_change(1, 0, false);
}

static void a_large_page_unlike_the_page_cached_is_a_machine_check(void)
{
    size_change(0, 1, false);
}

static void a_page_unlike_the_1_gib_page_cached_is_a_machine_check(void)
{
    if (!um_has_large(2))
        _exit(SKIPPED);
    size_change(2, 0, false);
}

static void a_2_mib_page_unlike_the_1_gib_page_is_a_machine_check(void)
{
    if (!um_has_large(2))
        _exit(SKIPPED);
    size_change(2, 1, false);
}

static void a_1_gib_page_unlike_the_2_mib_page_is_a_machine_check(void)
{
    if (!um_has_large(2))
        _exit(SKIPPED);
    size_change(1, 2, false);
}

/* ---- the rest ---- */

static void a_mirror_shows_the_entries(void)
{
    const unsigned top = um_levels() - 1;
    const uintptr_t start = (uintptr_t)um_mirror_slot() << um_shift(top);
    uintptr_t at = base;
    page_new(base, W, 1);
    um_store(memory_at(root_pa) + um_mirror_slot(), root_pa | UM_ENTRY_P | W);
    for (unsigned level = 0; level <= top; level++) {
        at = start + (at >> UM_PAGE_SHIFT) * sizeof(um_entry_t);
        CHECK_EQ(*(volatile um_entry_t *)at, *entry_at(base, level));
    }
}

static void a_walk_outside_of_memory_is_a_machine_check(void)
{
    page_new(base, W, 1);
    um_store(entry_at(base, 1), UM_RAM_START + RAM_BYTES + UM_ENTRY_P);
    expected = "outside of RAM";
    (void)read_at(base);
    CHECK(false);
}

static bool no_frame(uint32_t pfn)
{
    return pfn == root_pa / PAGE;
}

static void a_walk_through_what_is_no_table_is_a_machine_check(void)
{
    page_new(base, W, 1);
    expected = "no table";
    (void)read_at(base);
    CHECK(false);
}

static uint32_t word_of(size_t page, unsigned round)
{
    return (uint32_t)page * 1000 + round;
}

/* Pages of eight tables, taken and given again, with the invalidations that
 * are due. */
static void pages_churn(void)
{
    um_phys_t frames[64];
    for (size_t i = 0; i < 64; i++)
        frames[i] = page_new(base + i % 8 * um_span(1) + i * PAGE, W, 0);
    for (unsigned round = 0; round < 40; round++)
        for (size_t i = 0; i < 64; i++) {
            uintptr_t va = base + i % 8 * um_span(1) + i * PAGE;
            volatile uint32_t *word = (volatile uint32_t *)va;
            um_entry_t *entry = entry_at(va, 0);
            *word = word_of(i, round);
            um_store(entry, 0);
            um_invalidate(va);
            um_phys_t other = frames[(i + 1 + round) % 64]; /* never its own */
            um_store(entry, other | UM_ENTRY_P | W);
            (void)*word;
            um_store(entry, frames[i] | UM_ENTRY_P | W);
            um_invalidate(va);
            CHECK_EQ(*word, word_of(i, round));
        }
    CHECK_EQ(audit(), 0);
}

static void a_bad_temper_harms_nobody_who_invalidates(void)
{
    CHECK(um_misbehave(
        "evict=4,speculate=1,pdecache=1,fragment=1,adrandom=1,seed=5"));
    pages_churn();
    CHECK(um_stats()->evictions > 0);
    CHECK(um_stats()->speculated > 0);
}

/* A fill that nobody asked for: an entry stored, with nothing touched. */
static void an_entry_stored_is_filled_unasked(void)
{
    CHECK(um_misbehave("speculate=1,seed=3"));
    page_new(base + 3 * PAGE, W, 1);
    for (unsigned i = 0; i < 20 && um_stats()->cached == 0; i++)
        um_store(entry_at(base + 3 * PAGE, 0), *entry_at(base + 3 * PAGE, 0));
    CHECK_EQ(um_stats()->cached, 1);
    um_store(entry_at(base + 3 * PAGE, 0), 0);
    CHECK_EQ(audit(), 1);
}

static void accessed_comes_at_any_level_without_an_access(void)
{
    page_new(base, W, 1);
    CHECK(um_misbehave("adrandom=1,seed=3"));
    for (unsigned i = 0; i < 500; i++) {
        um_entry_t old = *entry_at(base, 0);
        (void)um_replace(entry_at(base, 0), &old, old);
    }
    for (unsigned level = 0; level < um_levels(); level++)
        CHECK(*entry_at(base, level) & UM_ENTRY_A);
    CHECK(*entry_at(base, 0) & UM_ENTRY_D);
    CHECK(!(*entry_at(base, 1) & UM_ENTRY_D));
    CHECK_EQ(um_stats()->fills, 0);
}

static void a_word_without_a_number_is_not_understood(void)
{
    const char *const bad[] = {"evict", "evict=", "evict=-1", "evict= -1",
        "evict=+1", "evict=1x", "evict=4294967296",
        "seed=99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(!um_misbehave(bad[i]));
    CHECK(um_misbehave("evict=4294967295,seed=0x10"));
}

/* What um_init says of it; it does not return. */
static bool is_refused(const struct um_config *config, const char *what)
{
    char text[400] = "";
    FILE *file = tmpfile();
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(fileno(file), 2);
        um_init(config);
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    rewind(file);
    (void)!fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    return status != 0 && strstr(text, what) != NULL;
}

static void a_config_that_cannot_be_is_refused_with_its_reason(void)
{
    const struct um_config good = {.ram_bytes = RAM_BYTES,
        .fault = on_fault,
        .machine_check = on_machine_check};
    struct um_config config = good;
    config.window[0] = (struct um_range){(uintptr_t)um_ram(), PAGE};
    CHECK(is_refused(&config, "in use"));
    config = good;
    config.ram_bytes++;
    CHECK(is_refused(&config, "ram_bytes"));
    config = good;
    config.levels = UM_LEVELS_MAX + 1;
    CHECK(is_refused(&config, "levels"));
    config = good;
    config.mirror_slot = 1u << UM_INDEX_BITS;
    CHECK(is_refused(&config, "mirror_slot"));
    config = good;
    config.window[0] = (struct um_range){base, SIZE_MAX - PAGE + 1};
    CHECK(is_refused(&config, "cannot reserve it"));
}

static void five_levels_are_walked(void)
{
    if (um_levels() < 5)
        _exit(SKIPPED);
    CHECK_EQ(um_index(base, 4), 0);
    the_audit_blames_the_level_that_changed();
    CHECK_EQ(found[0].level, 4);
    pages_churn();
}

/* More than the TLB holds: it starts anew, and loses nothing. */
static void a_full_tlb_is_emptied(void)
{
    um_phys_t pa = frame_new();
    for (uintptr_t i = 0; i < 5000; i++) {
        um_store(entry_at(base + i * PAGE, 0), pa | UM_ENTRY_P | W);
        *(volatile uint32_t *)(base + i * PAGE) = (uint32_t)i;
    }
    CHECK_EQ(um_stats()->full, 1);
    CHECK(um_stats()->cached < 5000);
    CHECK_EQ(*(volatile uint32_t *)base, 4999);
    CHECK_EQ(audit(), 0);
}

/* ---- the runner ---- */

#define TEST(f, ...)                                                           \
    {                                                                          \
#f, f,                                                                 \
        {                                                                      \
            .ram_bytes = RAM_BYTES, .fault = on_fault,                         \
            .machine_check = on_machine_check, __VA_ARGS__                     \
        }                                                                      \
    }

static struct test {
    const char *name;
    void (*run)(void);
    struct um_config config;
} tests[] = {
    TEST(a_touch_fills_and_sets_accessed_on_its_way),
    TEST(a_forgotten_invalidation_leaves_the_old_page),
    TEST(the_audit_blames_the_level_that_changed),
    TEST(an_entry_for_a_table_of_any_level_is_used_until_invalidated),
    TEST(an_invalidation_of_no_page_drops_the_entries_for_tables),
    TEST(a_kept_entry_has_the_rights_of_those_above_it),
    TEST(a_global_page_survives_a_root_load_and_nothing_else),
    TEST(without_global_pages_a_root_load_drops_all, .no_global = true),
    TEST(global_taken_away_is_stale),
    TEST(dirty_taken_away_is_stale_where_it_is_cached),
    TEST(the_right_to_write_is_that_of_all_levels),
    TEST(no_execute_holds_at_any_level),
    TEST(user_mode_wants_the_right_at_every_level),
    TEST(what_is_the_supervisors_stays_cached_in_user_mode),
    TEST(a_handler_is_the_supervisor_and_the_access_goes_on_as_user),
    TEST(an_interrupted_copy_goes_on_unharmed),
    TEST(a_reserved_bit_faults_and_is_never_cached),
    TEST(what_became_reserved_is_stale),
    TEST(a_large_page_is_cached_in_the_fragments_touched),
    TEST(large_pages_that_there_are_not_are_reserved, .no_large = true),
    TEST(large_pages_that_there_are_not_are_reserved,
        .no_huge = UM_LARGE_LEVELS > 1, .no_large = UM_LARGE_LEVELS == 1),
    TEST(a_page_and_a_large_page_alike_may_be_cached_together),
    TEST(a_page_unlike_the_large_page_cached_is_a_machine_check),
    TEST(a_large_page_unlike_the_page_cached_is_a_machine_check),
    TEST(a_page_unlike_the_1_gib_page_cached_is_a_machine_check),
    TEST(a_2_mib_page_unlike_the_1_gib_page_is_a_machine_check),
    TEST(a_1_gib_page_unlike_the_2_mib_page_is_a_machine_check),
    TEST(a_mirror_shows_the_entries),
    TEST(a_walk_outside_of_memory_is_a_machine_check),
    TEST(a_walk_through_what_is_no_table_is_a_machine_check,
        .is_table = no_frame),
    TEST(a_bad_temper_harms_nobody_who_invalidates),
    TEST(an_entry_stored_is_filled_unasked),
    TEST(accessed_comes_at_any_level_without_an_access),
    TEST(a_word_without_a_number_is_not_understood),
    TEST(a_config_that_cannot_be_is_refused_with_its_reason),
    TEST(five_levels_are_walked, .levels = UM_LEVELS_MAX),
    TEST(a_full_tlb_is_emptied),
};

/* In a child, which does not return. */
static void test_run(const struct test *test)
{
    um_init(&test->config);
    base = um_window();
    free_pa = UM_RAM_START;
    root_pa = frame_new();
    um_root_load((uint32_t)(root_pa / PAGE));
    test->run();
    CHECK(expected == NULL); /* a machine check does not return */
    _exit(0);
}

int main(int argc, char **argv)
{
    const bool low = argc > 1 && strcmp(argv[1], "low") == 0;
    const size_t count = sizeof(tests) / sizeof(tests[0]);
    bool failed = false;
    (void)unsetenv("UM");
    printf("TAP version 13\n1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        int status = 1;
        if (low)
            um_config_low(&tests[i].config);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            test_run(&tests[i]);
        if (child < 0 || waitpid(child, &status, 0) != child)
            status = 1;
        bool skipped = WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED;
        printf("%s %zu - um-machine: %s%s\n",
            status == 0 || skipped ? "ok" : "not ok", i + 1, tests[i].name,
            skipped ? " # SKIP not in this format" : "");
        failed |= status != 0 && !skipped;
    }
    return failed;
}
