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

/* ---- identifiers of address spaces ---- */

#define ID_LAST (UM_IDS - 1)

static uint32_t pfn_of(um_phys_t pa)
{
    return (uint32_t)(pa / PAGE);
}

/* entry_at() and page_new() are for this root from now on. */
static void enter(um_phys_t root, unsigned id, bool keep)
{
    root_pa = root;
    um_root_switch(pfn_of(root), id, keep);
}

/* Two address spaces, with a page at `base` whose first word is 1, or 2; the
 * first is current, with identifier 1. */
static void two_spaces(um_phys_t root[2], um_entry_t bits)
{
    if (!um_has_ids())
        _exit(SKIPPED);
    for (uint32_t i = 2; i-- > 0;) {
        root[i] = root_pa = frame_new();
        page_new(base, bits, i + 1);
    }
    enter(root[0], 1, false);
}

/* Also there, but not in their own tables. */
static void page_beside(um_phys_t root[2], um_entry_t bits)
{
    const um_phys_t was = root_pa;
    for (uint32_t i = 0; i < 2; i++) {
        root_pa = root[i];
        page_new(base + PAGE, bits, i + 1);
    }
    root_pa = was;
}

static uint32_t word_at(uintptr_t va)
{
    CHECK_EQ(read_at(va), NONE);
    return seen;
}

static void each_identifier_has_pages_of_its_own(void)
{
    um_phys_t root[2];
    two_spaces(root, W);
    CHECK_EQ(word_at(base), 1);
    enter(root[1], 2, false);
    CHECK_EQ(word_at(base), 2);
    CHECK_EQ(um_stats()->cached, 2);
    for (unsigned i = 0; i < 2; i++) { /* without a walk */
        enter(root[i], 1 + i, true);
        CHECK_EQ(um_id(), 1 + i);
        CHECK_EQ(word_at(base), 1 + i);
    }
    CHECK_EQ(um_stats()->fills, 2);
    CHECK_EQ(um_stats()->kept, 2);
    CHECK_EQ(audit(), 0);
}

/* pitfall 19. */
static void a_switch_that_keeps_brings_back_a_stale_page(void)
{
    um_phys_t root[2];
    two_spaces(root, W);
    CHECK_EQ(word_at(base), 1);
    enter(root[1], 2, false);
    root_pa = root[0];
    um_store(entry_at(base, 0), 0);
    um_invalidate(base); /* for identifier 2 */
    CHECK_EQ(audit(), 0);
    enter(root[0], 1, true);
    CHECK_EQ(word_at(base), 1);
    CHECK_EQ(audit(), 1);
    CHECK(found[0].id == 1 && found[0].va == base && found[0].level == 0);
    CHECK(found[0].is_known && found[0].stored == 0);
    CHECK_EQ(read_at(base), 0);
}

static void a_switch_drops_what_its_identifier_has_and_no_other(void)
{
    um_phys_t root[2];
    two_spaces(root, W);
    CHECK_EQ(word_at(base), 1);
    enter(root[1], ID_LAST, false);
    CHECK_EQ(word_at(base), 2);
    enter(root[1], ID_LAST, false);
    CHECK_EQ(um_stats()->cached, 1);
    enter(root[1], 1, false); /* that of another identifier than the current */
    CHECK_EQ(um_stats()->cached, 0);
    CHECK_EQ(word_at(base), 2);
}

static void a_root_load_is_of_identifier_0_and_leaves_others(void)
{
    um_phys_t root[2];
    two_spaces(root, W);
    enter(root[1], 0, false);
    CHECK_EQ(word_at(base), 2);
    enter(root[0], 1, true);
    CHECK_EQ(word_at(base), 1);
    um_store(entry_at(base, 0), 0);
    um_root_load(pfn_of(root[1]));
    CHECK_EQ(um_id(), 0);
    CHECK_EQ(um_stats()->cached, 1);
    CHECK_EQ(word_at(base), 2);
    enter(root[0], 1, true);
    CHECK_EQ(word_at(base), 1);
}

static void an_invalidation_of_a_page_leaves_other_identifiers(void)
{
    um_phys_t root[2];
    two_spaces(root, W);
    CHECK_EQ(word_at(base), 1);
    enter(root[1], 2, false);
    CHECK_EQ(word_at(base), 2);
    um_store(entry_at(base, 0), 0);
    um_invalidate(base);
    CHECK_EQ(read_at(base), 0);
    CHECK_EQ(um_stats()->cached, 1);
    enter(root[0], 1, true);
    um_store(entry_at(base, 0), 0);
    CHECK_EQ(word_at(base), 1);
    um_invalidate(base);
    CHECK_EQ(read_at(base), 0);
}

/* pitfall 18: here it is the wrong space's, and nobody notices but the audit.
 */
static void a_global_page_is_used_by_every_identifier_and_survives(void)
{
    um_phys_t root[2];
    two_spaces(root, W | UM_ENTRY_G);
    CHECK_EQ(word_at(base), 1);
    enter(root[1], 2, false);
    CHECK_EQ(word_at(base), 1);
    if (um_has_invalidate_id()) {
        um_invalidate_id(2, base);
        um_invalidate_id(1, base);
        um_invalidate_id_all(1);
        um_invalidate_id_all(2);
    }
    CHECK_EQ(word_at(base), 1);
    CHECK_EQ(um_stats()->fills, 1);
    CHECK_EQ(audit(), 1);
    CHECK_EQ(word_at(base), 2);
    enter(root[0], 1, true);
    CHECK_EQ(word_at(base), 2);
    um_invalidate(base);
    CHECK_EQ(word_at(base), 1);
    um_invalidate_all();
    CHECK_EQ(um_stats()->cached, 0);
}

/* Where there are both, the identifier's own is used; a walk replaces both. */
static void a_page_cached_as_its_own_hides_the_global_one(void)
{
    um_phys_t root[2];
    two_spaces(root, W);
    CHECK_EQ(word_at(base), 1);
    root_pa = root[1];
    um_store(entry_at(base, 0), *entry_at(base, 0) | UM_ENTRY_G);
    enter(root[1], 2, false);
    CHECK_EQ(word_at(base), 2);
    enter(root[0], 1, true);
    CHECK_EQ(um_stats()->cached, 2);
    CHECK_EQ(word_at(base), 1);
    enter(root[0], 3, true);
    CHECK_EQ(word_at(base), 2);
    enter(root[0], 1, true);
    CHECK_EQ(write_at(base), NONE); /* the first: it walks */
    CHECK_EQ(um_stats()->cached, 1);
    CHECK_EQ(word_at(base), 7);
    enter(root[0], 3, true);
    CHECK_EQ(word_at(base), 7);
    CHECK_EQ(um_stats()->cached, 2);
}

/* INVPCID, type 0. */
static void an_invalidation_by_identifier_is_for_that_page_of_it_alone(void)
{
    um_phys_t root[2];
    two_spaces(root, W);
    page_beside(root, W);
    CHECK_EQ(word_at(base), 1);
    CHECK_EQ(word_at(base + PAGE), 1);
    enter(root[1], 2, false);
    CHECK_EQ(word_at(base), 2);
    um_invalidate_id(1, base);
    CHECK_EQ(um_stats()->cached, 2);
    CHECK_EQ(word_at(base), 2);
    um_invalidate_id(3, base);
    CHECK_EQ(um_stats()->cached, 2);
    um_invalidate_id(2, base + 1);
    CHECK_EQ(um_stats()->cached, 1);
    enter(root[0], 1, true);
    CHECK_EQ(word_at(base + PAGE), 1);
    CHECK_EQ(um_stats()->fills, 3);
    CHECK_EQ(word_at(base), 1);
    CHECK_EQ(um_stats()->fills, 4);
}

static void an_invalidation_by_identifier_leaves_global_pages(void)
{
    um_phys_t root[2];
    two_spaces(root, W);
    page_beside(root, UM_ENTRY_G);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(word_at(base), 1);
        CHECK_EQ(word_at(base + PAGE), 1);
        if (i == 0)
            um_invalidate_id(1, base + PAGE);
        else
            um_invalidate_id_all(1);
        CHECK_EQ(um_stats()->cached, 2 - i);
        CHECK_EQ(word_at(base + PAGE), 1);
        CHECK_EQ(um_stats()->fills, 2);
    }
}

/* Type 1, and everything. */
static void all_of_an_identifier_goes_and_all_of_all(void)
{
    um_phys_t root[2];
    two_spaces(root, W);
    for (unsigned id = 1; id < 4; id++) {
        enter(root[id & 1], id, true);
        CHECK_EQ(word_at(base), 1 + (id & 1));
    }
    um_invalidate_id_all(2);
    CHECK_EQ(um_stats()->cached, 2);
    CHECK_EQ(word_at(base), 2);
    um_invalidate_id_all(3);
    CHECK_EQ(um_stats()->cached, 1);
    CHECK_EQ(word_at(base), 2);
    um_invalidate_all();
    CHECK_EQ(um_stats()->cached, 0);
    enter(root[0], 1, true);
    CHECK_EQ(word_at(base), 1);
}

/* What the entry for a table shows of it is stale; the identifier's pages are
 * dropped one by one, as if they were another's. */
static bool uses_table(unsigned id, uintptr_t va, void (*drop)(unsigned id))
{
    um_phys_t root[2];
    two_spaces(root, W);
    page_beside(root, W);
    CHECK(um_misbehave("pdecache=1"));
    enter(root[0], id, false);
    CHECK_EQ(word_at(base), 1);
    enter(root[1], 2, false);
    root_pa = root[0];
    um_store(entry_at(base, 1), 0);
    drop(id);
    enter(root[0], id, true);
    return read_at(va) == NONE;
}

static void drop_here(unsigned id)
{
    (void)id;
    um_invalidate(base);
}

static void drop_nothing(unsigned id)
{
    (void)id;
}

static void an_entry_for_a_table_is_kept_with_its_identifier(void)
{
    CHECK(uses_table(1, base + PAGE, drop_nothing));
    CHECK(audit() >= 2);
    CHECK(found[0].id == 1 && found[0].level == 1);
    CHECK_EQ(read_at(base + PAGE), 0);
}

static void an_invalidation_leaves_other_identifiers_entries_for_tables(void)
{
    CHECK(uses_table(1, base + PAGE, drop_here));
    um_invalidate(base + PAGE); /* for this one */
    CHECK_EQ(read_at(base + PAGE), 0);
}

static void drop_that_page(unsigned id)
{
    um_invalidate_id(id, base);
}

static void drop_elsewhere(unsigned id)
{
    um_invalidate_id(id, base + um_span(1));
}

static void by_identifier_the_entries_that_lead_to_the_page_go(void)
{
    CHECK(!uses_table(1, base + PAGE, drop_that_page));
}

static void by_identifier_entries_that_lead_elsewhere_stay(void)
{
    CHECK(uses_table(1, base + PAGE, drop_elsewhere));
}

static void drop_all_of(unsigned id)
{
    um_invalidate_id_all(id);
}

static void all_of_an_identifier_is_entries_for_tables_too(void)
{
    CHECK(!uses_table(1, base + PAGE, drop_all_of));
}

/* pitfall 19: an identifier given to another space, and nothing dropped. */
static void a_recycled_identifier_shows_the_old_space_and_the_audit_tells(void)
{
    um_phys_t root[2];
    two_spaces(root, W);
    CHECK_EQ(word_at(base), 1);
    enter(root[1], 2, false);
    enter(root[1], 1, true);
    CHECK_EQ(word_at(base), 1);
    CHECK_EQ(audit(), 1);
    CHECK(found[0].id == 1 && found[0].va == base);
    CHECK_EQ(word_at(base), 2);
    enter(root[0], 1, false); /* as it should be done */
    CHECK_EQ(word_at(base), 1);
    CHECK_EQ(audit(), 0);
}

static void the_audit_of_an_identifier_uses_the_root_that_it_had_last(void)
{
    um_phys_t root[2];
    two_spaces(root, W);
    CHECK_EQ(word_at(base), 1);
    enter(root[1], 2, false);
    CHECK_EQ(word_at(base), 2);
    for (unsigned id = 0; id < 4; id++)
        CHECK_EQ(um_audit_id(id, NULL), 0);
    root_pa = root[0];
    um_store(entry_at(base, 0), 0);
    found_count = 0;
    CHECK_EQ(um_audit_id(2, find), 0);
    CHECK_EQ(um_audit_id(1, find), 1);
    CHECK(found[0].id == 1 && found[0].stored == 0);
    CHECK_EQ(um_stats()->cached, 1);
}

static void large_pages_of_identifiers_do_not_clash(void)
{
    um_phys_t root[2];
    two_spaces(root, W);
    if (!um_has_large(1))
        _exit(SKIPPED);
    root_pa = root[1];
    *entry_at(base, 1) = 0;
    const uintptr_t va = large_new(1, W);
    enter(root[0], 1, false);
    page_new(va, W, 5);
    CHECK_EQ(word_at(va), 5);
    enter(root[1], 2, false);
    CHECK_EQ(read_at(va + PAGE), NONE);
    CHECK_EQ(read_at(va), NONE);
    enter(root[0], 1, true);
    CHECK_EQ(word_at(va), 5);
    um_invalidate(va);
    CHECK_EQ(um_stats()->cached, 2);
    enter(root[1], 3, false);
    CHECK_EQ(read_at(va), NONE);
    um_invalidate_id(2, va + 5 * PAGE); /* of all its fragments */
    CHECK_EQ(um_stats()->cached, 1);
    um_invalidate_id(3, va + 5 * PAGE);
    CHECK_EQ(um_stats()->cached, 0);
    CHECK_EQ(audit(), 0);
}

static void user_mode_opens_no_page_of_another_identifier(void)
{
    um_phys_t root[2];
    two_spaces(root, W | U);
    CHECK_EQ(word_at(base), 1);
    root_pa = root[1];
    um_store(entry_at(base, 0), *entry_at(base, 0) & ~(um_entry_t)U);
    enter(root[1], 2, false);
    CHECK_EQ(word_at(base), 2);
    CHECK_EQ(user(read_at, base), UM_FAULT_PRESENT | UM_FAULT_USER);
    enter(root[0], 1, true);
    CHECK_EQ(user(write_at, base), NONE);
    CHECK_EQ(word_at(base), 7);
}

static void a_tlb_full_of_many_identifiers_is_emptied(void)
{
    um_phys_t root[2];
    two_spaces(root, W);
    page_beside(root, W);
    for (unsigned id = 0; id < UM_IDS; id++) {
        enter(root[id & 1], id, true);
        CHECK_EQ(word_at(base + PAGE), 1 + (id & 1));
    }
    CHECK_EQ(um_stats()->full, 1);
    CHECK_EQ(um_stats()->cached, UM_IDS - 4000);
    for (unsigned id = 0; id < UM_IDS; id++)
        CHECK_EQ(um_audit_id(id, NULL), 0);
    for (unsigned id = 0; id < UM_IDS; id++)
        um_invalidate_id_all(id);
    CHECK_EQ(um_stats()->cached, 0);
}

/* What a machine without them refuses, each in a process of its own. */
static bool is_machine_check(const char *what, void (*act)(void))
{
    int status = 1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        expected = what;
        act();
        _exit(1);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    return status == 0;
}

static void use_id(void)
{
    um_root_switch(um_root(), 1, false);
}

static void use_keep(void)
{
    um_root_switch(um_root(), 0, true);
}

static void use_invalidate(void)
{
    um_invalidate_id(0, base);
}

static void use_invalidate_all(void)
{
    um_invalidate_id_all(0);
}

static void use_large_id(void)
{
    um_root_switch(um_root(), UM_IDS, false);
}

static void audit_large_id(void)
{
    (void)um_audit_id(UM_IDS, NULL);
}

static void what_a_machine_has_not_is_a_machine_check(void)
{
    if (um_has_ids()) /* not in this format, or config, or UM */
        CHECK(um_misbehave("noids=1,noinvpcid=1"));
    CHECK(um_misbehave("")); /* they do not come back */
    CHECK(!um_has_ids() && !um_has_invalidate_id());
    CHECK(is_machine_check("identifier", use_id));
    CHECK(is_machine_check("keeps", use_keep));
    CHECK(is_machine_check("INVPCID", use_invalidate));
    CHECK(is_machine_check("INVPCID", use_invalidate_all));
    um_root_switch(um_root(), 0, false);
}

static void an_identifier_out_of_range_is_a_machine_check(void)
{
    CHECK(is_machine_check("identifier", use_large_id));
    CHECK(is_machine_check("identifier", audit_large_id));
    um_root_switch(um_root(), 0, false);
}

/*
 * At random: what may be cached, as a bit for each value of an entry, for each
 * identifier (and one more for global pages) and page. A value is a frame, and
 * one of FRAMES more if it is global; the word in frame n is n.
 */
enum {
    SPACES = 4, /* of which each identifier may have any */
    PAGES = 6,
    FRAMES = 8,
    GLOBAL = SPACES
};

static struct {
    const char *temper; /* "": then all is known, not only what may be */
    unsigned seed, step;
    uint32_t random;
    um_phys_t frame[FRAMES], root[SPACES];
    unsigned id, space_of[SPACES];  /* as numbers in ids[] and root[] */
    uint32_t tables[SPACES];        /* that the identifier may use: of spaces */
    uint32_t stored[SPACES][PAGES]; /* one bit, or 0: not present */
    uint32_t may[SPACES + 1][PAGES]; /* be cached */
} model;

static const unsigned ids[SPACES] = {0, 1, 2, ID_LAST};

static unsigned draw(unsigned below)
{
    model.random = model.random * 1664525u + 1013904223u;
    return (model.random >> 16) % below;
}

static void model_check(bool holds, const char *what)
{
    if (holds)
        return;
    printf("# UM=%s, seed %u, step %u\n", model.temper, model.seed, model.step);
    fail(__LINE__, what);
}

/* In three tables. */
static uintptr_t model_va(unsigned page)
{
    return base + page % 3 * um_span(1) + page * PAGE;
}

static bool is_calm(void)
{
    return *model.temper == '\0';
}

/* What a walk may find: with kept entries for tables, in those of spaces that
 * had the identifier before. */
static uint32_t model_walk(unsigned page, bool *may_fault)
{
    uint32_t bits = 0;
    *may_fault = false;
    for (unsigned space = 0; space < SPACES; space++) {
        if (!(model.tables[model.id] >> space & 1))
            continue;
        bits |= model.stored[space][page];
        *may_fault |= model.stored[space][page] == 0;
    }
    return bits;
}

static void model_fill(unsigned page)
{
    bool may_fault;
    const uint32_t bits = model_walk(page, &may_fault);
    model.may[model.id][page] |= bits & ((1u << FRAMES) - 1);
    model.may[GLOBAL][page] |= bits & ~((1u << FRAMES) - 1);
}

static void model_tables(unsigned id, bool keep)
{
    const uint32_t space = 1u << model.space_of[id];
    keep &= strstr(model.temper, "pdecache") != NULL;
    model.tables[id] = space | (keep ? model.tables[id] : 0);
}

/* The CPU may have walked unasked. */
static void model_speculate(void)
{
    for (unsigned page = 0; page < PAGES && !is_calm(); page++)
        model_fill(page);
}

static void model_store(unsigned space, unsigned page)
{
    const unsigned frame = draw(FRAMES), kind = draw(4);
    const uint32_t bit = 1u << (frame + (kind == 1 ? FRAMES : 0));
    const um_entry_t raw =
        model.frame[frame] | UM_ENTRY_P | W | U | (kind == 1 ? UM_ENTRY_G : 0);
    root_pa = model.root[space];
    um_entry_t *entry = entry_at(model_va(page), 0), old = *entry;
    while (!um_replace(entry, &old, kind == 0 ? 0 : raw)) {
    }
    model.stored[space][page] = kind == 0 ? 0 : bit;
}

static void model_read(unsigned page)
{
    const uint32_t own = model.may[model.id][page];
    const uint32_t cached = own | model.may[GLOBAL][page];
    bool may_fault;
    uint32_t may = is_calm() && own ? own : cached;
    const uint32_t walk = model_walk(page, &may_fault);
    if (may == 0 || !is_calm())
        may |= walk;
    const unsigned code = read_at(model_va(page));
    if (code != NONE) {
        model_check(code == 0 && may_fault && (cached == 0 || !is_calm()),
            "this fault");
        return;
    }
    const uint32_t frame = 1u << seen;
    model_check((may & (frame | frame << FRAMES)) != 0, "what was read");
    if (cached == 0)
        model_fill(page);
}

static void model_switch(unsigned id, unsigned space, bool keep)
{
    if (keep || id > 0 || draw(2))
        um_root_switch(pfn_of(model.root[space]), ids[id], keep);
    else
        um_root_load(pfn_of(model.root[space]));
    if (!keep)
        memset(model.may[id], 0, sizeof(model.may[id]));
    model.id = id;
    model.space_of[id] = space;
    model_tables(id, keep);
}

static void model_invalidate(unsigned id, unsigned page)
{
    switch (draw(8)) {
    case 0:
        um_invalidate_all();
        memset(model.may, 0, sizeof(model.may));
        for (unsigned i = 0; i < SPACES; i++)
            model_tables(i, false);
        break;
    case 1:
        um_invalidate_id_all(ids[id]);
        memset(model.may[id], 0, sizeof(model.may[id]));
        model_tables(id, false);
        break;
    case 2:
    case 3:
        um_invalidate_id(ids[id], model_va(page));
        model.may[id][page] = 0;
        break;
    default:
        um_invalidate(model_va(page));
        model.may[model.id][page] = model.may[GLOBAL][page] = 0;
        model_tables(model.id, false);
    }
}

/* Which of these are not granted by the tables? More than what is cached may be
 * stored: global. */
static uint32_t not_granted(uint32_t may, uint32_t stored)
{
    return may & ~(stored | stored >> FRAMES);
}

/* Of an identifier, or GLOBAL. What is stale is dropped. */
static size_t model_stale(unsigned id, unsigned space)
{
    size_t count = 0;
    for (unsigned page = 0; page < PAGES; page++) {
        uint32_t *may = &model.may[id][page];
        const uint32_t stale = not_granted(*may, model.stored[space][page]);
        count += stale != 0;
        *may &= ~stale;
    }
    return count;
}

static void model_audit(unsigned id)
{
    size_t stale = model_stale(id, model.space_of[id]);
    if (id == model.id)
        stale += model_stale(GLOBAL, model.space_of[id]);
    const bool is_known = model.tables[id] == 1u << model.space_of[id];
    const size_t told =
        id == model.id ? um_audit(NULL) : um_audit_id(ids[id], NULL);
    model_check(told == stale || (told < stale && !is_calm()) || !is_known,
        "the audit");
    model_tables(id, false);
}

static void model_step(void)
{
    const unsigned page = draw(PAGES), id = draw(SPACES), space = draw(SPACES);
    size_t cached = 0;
    switch (draw(12)) {
    case 0:
        model_switch(id, space, draw(3) != 0);
        break;
    case 1:
        model_switch(id, model.space_of[id], draw(3) != 0);
        break;
    case 2:
        model_audit(id);
        break;
    case 3:
        model_invalidate(id, page);
        break;
    case 4:
    case 5:
        model_store(draw(2) ? space : model.space_of[model.id], page);
        break;
    default:
        model_read(page);
    }
    model_speculate();
    for (unsigned i = 0; i < (SPACES + 1) * PAGES; i++)
        cached += model.may[i / PAGES][i % PAGES] != 0;
    model_check(!is_calm() || um_stats()->cached == cached, "what is cached");
}

static void model_run(const char *temper, unsigned seed)
{
    model.temper = temper;
    model.random = model.seed = seed;
    model.id = 0;
    CHECK(um_misbehave(temper));
    um_invalidate_all();
    memset(model.may, 0, sizeof(model.may));
    for (unsigned id = 0; id < SPACES; id++)
        model_tables(id, false);
    um_root_load(pfn_of(model.root[model.space_of[0]]));
    model_speculate();
    for (model.step = 0; model.step < 1000; model.step++)
        model_step();
}

/* pitfall 19. */
static void four_identifiers_have_what_they_may_and_nothing_else(void)
{
    if (!um_has_ids())
        _exit(SKIPPED);
    for (uint32_t i = 0; i < FRAMES; i++)
        *(uint32_t *)(void *)memory_at(model.frame[i] = frame_new()) = i;
    for (unsigned i = 0; i < SPACES; i++) {
        model.root[i] = root_pa = frame_new();
        for (unsigned page = 0; page < PAGES; page++)
            (void)entry_at(model_va(page), 0);
    }
    for (unsigned seed = 1; seed <= 8; seed++) {
        model_run("", seed);
        model_run("evict=8", seed);
        model_run("evict=4,speculate=1,pdecache=1,adrandom=1", seed);
    }
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
    TEST(each_identifier_has_pages_of_its_own),
    TEST(a_switch_that_keeps_brings_back_a_stale_page),
    TEST(a_switch_drops_what_its_identifier_has_and_no_other),
    TEST(a_root_load_is_of_identifier_0_and_leaves_others),
    TEST(an_invalidation_of_a_page_leaves_other_identifiers),
    TEST(a_global_page_is_used_by_every_identifier_and_survives),
    TEST(a_page_cached_as_its_own_hides_the_global_one),
    TEST(an_invalidation_by_identifier_is_for_that_page_of_it_alone),
    TEST(an_invalidation_by_identifier_leaves_global_pages),
    TEST(all_of_an_identifier_goes_and_all_of_all),
    TEST(an_entry_for_a_table_is_kept_with_its_identifier),
    TEST(an_invalidation_leaves_other_identifiers_entries_for_tables),
    TEST(by_identifier_the_entries_that_lead_to_the_page_go),
    TEST(by_identifier_entries_that_lead_elsewhere_stay),
    TEST(all_of_an_identifier_is_entries_for_tables_too),
    TEST(a_recycled_identifier_shows_the_old_space_and_the_audit_tells),
    TEST(the_audit_of_an_identifier_uses_the_root_that_it_had_last),
    TEST(large_pages_of_identifiers_do_not_clash),
    TEST(user_mode_opens_no_page_of_another_identifier),
    TEST(a_tlb_full_of_many_identifiers_is_emptied),
    TEST(what_a_machine_has_not_is_a_machine_check),
    TEST(what_a_machine_has_not_is_a_machine_check, .no_ids = true,
        .no_invalidate_id = true),
    TEST(an_identifier_out_of_range_is_a_machine_check),
    TEST(four_identifiers_have_what_they_may_and_nothing_else),
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
