/* SPDX-License-Identifier: MIT */
/*
 * verso.c - two CPUs inside one Verso, built for CPU_COUNT_MAX = 2: its state
 * and RAM are shared, its locks keep them apart. Only calls after which no
 * other CPU has anything to invalidate: frames, queries, objects that are
 * allocated on two CPUs and freed when one runs; pages of user spaces that no
 * other CPU has loaded. (What unmaps others wants a shootdown, which Verso does
 * not have yet.) The CPU may change in each basic block of the library.
 *
 *     0x70000000  heap, 64 MiB     0x98000000  windows of each CPU
 *     0x90000000  user spaces
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <machine/um.h>
#include <verso/verso.h>

#include "tap.h"

#define RAM_BYTES     (16u << 20)
#define HEAP_START    0x70000000u
#define HEAP_PAGES    (64u << 20 >> VERSO_PAGE_SHIFT)
#define PAGING_WINDOW 0x98000000u
#define USER_START    0x90000000u
#define USER_PAGES    (128u << 20 >> VERSO_PAGE_SHIFT)
#define SLOTS         24u /* pages of a space that are mapped, or not */
#define CPUS          2u
#define HELD          16u /* by each CPU, at a time */
#define OBJECTS       64u /* of each CPU */
#define OWNERS        (RAM_BYTES >> VERSO_PAGE_SHIFT)
#define ROUNDS        (*(unsigned *)arg)

extern unsigned char __start_verso_state[], __stop_verso_state[];

static struct verso_boot boot;
static struct verso_range map[1];

static struct shared {
    unsigned char owner[OWNERS]; /* of a frame of RAM: a CPU, from 1 */
    unsigned char *object[CPUS][OBJECTS];
    size_t size[CPUS][OBJECTS];
    struct space *space[CPUS + 1]; /* one for each, one that none loads */
    pfn_t frame[CPUS];             /* with the CPU's word in it */
} * shared;

/* ---- host.h ---- */

void verso_host_panic(const char *message)
{
    printf("# panic: %s\n", message);
    fflush(stdout);
    _exit(70);
}

void verso_host_log(const char *text, size_t bytes)
{
    fwrite(text, 1, bytes, stdout);
}

void verso_host_yield(void)
{
}

bool verso_host_in_interrupt(void)
{
    return false;
}

/* ---- the machine's ---- */

static void on_fault(uintptr_t va, unsigned code)
{
    enum verso_fault owner = verso_fault(va, code);
    if (owner == VERSO_FAULT_HANDLED || owner == VERSO_FAULT_SPURIOUS)
        return;
    printf("# CPU %u: page fault at 0x%lx, code %u\n", um_cpu(),
        (unsigned long)va, code);
    fflush(stdout);
    _exit(71);
}

static void on_machine_check(const char *what, uintptr_t va)
{
    printf("# CPU %u: machine check: %s (0x%lx)\n", um_cpu(), what,
        (unsigned long)va);
    fflush(stdout);
    _exit(72);
}

/* The frames' array lies in RAM, so all CPUs see the same. */
static bool is_table(uint32_t pfn)
{
    return pfn < boot.frame_count && boot.frames[pfn].state == FRAME_TABLE;
}

/* ---- what the CPUs do ---- */

static uint32_t random_of(unsigned *state, uint32_t below)
{
    *state = *state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)*state * below) >> 32);
}

static unsigned char *owner_of(pfn_t pfn)
{
    return &shared->owner[pfn_nr(pfn) - (UM_RAM_START >> VERSO_PAGE_SHIFT)];
}

/* One owner at a time. */
static bool frame_take(unsigned cpu, pfn_t *pfn)
{
    *pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
    if (pfn_is_none(*pfn) || *owner_of(*pfn) != 0)
        return false;
    *owner_of(*pfn) = (unsigned char)(cpu + 1);
    return true;
}

static bool frame_give(unsigned cpu, pfn_t pfn)
{
    bool mine = *owner_of(pfn) == cpu + 1;
    *owner_of(pfn) = 0;
    verso_frame_free1(pfn);
    return mine;
}

static bool is_mapped(const void *at)
{
    struct verso_mapping mapping;
    return verso_query((vaddr_t)at, &mapping) == VERSO_OK &&
           (mapping.state & VERSO_MAPPED_PRESENT) != 0;
}

static int use_frames(unsigned cpu, void *arg)
{
    pfn_t held[HELD];
    unsigned count = 0, state = cpu;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (count < HELD && random_of(&state, 2) == 0)
            CPU_CHECK(frame_take(cpu, &held[count++]));
        else if (count > 0)
            CPU_CHECK(frame_give(cpu, held[--count]));
        CPU_CHECK(!is_mapped((void *)UM_WINDOW));
    }
    while (count > 0)
        CPU_CHECK(frame_give(cpu, held[--count]));
    return 0;
}

static unsigned char pattern(unsigned cpu, unsigned i)
{
    return (unsigned char)(cpu * 100 + i + 1);
}

static bool object_is_whole(unsigned cpu, unsigned i)
{
    for (size_t k = 0; k < shared->size[cpu][i]; k++)
        if (shared->object[cpu][i][k] != pattern(cpu, i))
            return false;
    return true;
}

/* Each looks at what the other has, too: through its own translations. */
static int use_objects(unsigned cpu, void *arg)
{
    unsigned state = cpu;
    for (unsigned i = 0; i < ROUNDS && i < OBJECTS; i++) {
        size_t size = 1 + random_of(&state, i % 8 == 0 ? 20000 : 600);
        unsigned char *object = verso_alloc(size);
        CPU_CHECK(object != NULL);
        memset(object, pattern(cpu, i), size);
        shared->object[cpu][i] = object;
        shared->size[cpu][i] = size;
        um_step();
        for (unsigned other = 0; other < CPUS; other++) {
            if (!shared->object[other][i])
                continue;
            CPU_CHECK(is_mapped(shared->object[other][i]));
            CPU_CHECK(object_is_whole(other, i));
        }
    }
    CPU_CHECK(um_audit(um_audit_print) == 0);
    return 0;
}

/* A slot is a page of a table that a few slots have together. */
static vaddr_t slot_va(unsigned slot)
{
    return USER_START + (slot % 3 << 22) + (slot << VERSO_PAGE_SHIFT);
}

static uint32_t word_of(unsigned cpu)
{
    return 0x1000 + cpu;
}

/* The other half of the slots in the space that is not loaded is the other
 * CPU's. */
static int change_slot(unsigned cpu, bool own, unsigned slot, bool *mapped)
{
    struct space *space = shared->space[own ? cpu : CPUS];
    struct verso_mapping m;
    vaddr_t va = slot_va(slot);
    if (*mapped) {
        CPU_CHECK(verso_space_query(space, va, &m) == VERSO_OK);
        CPU_CHECK(pfn_nr(paddr_to_pfn(m.pa)) == pfn_nr(shared->frame[cpu]));
        CPU_CHECK(!own || *(volatile uint32_t *)va == word_of(cpu));
        CPU_CHECK(verso_space_unmap(space, va, 1) == VERSO_OK);
    } else {
        CPU_CHECK(verso_space_query(space, va, &m) == VERSO_ABSENT);
        CPU_CHECK(verso_space_map(space, va, shared->frame[cpu], 1, VERSO_RW) ==
                  VERSO_OK);
    }
    *mapped = !*mapped;
    return 0;
}

/* Each in the space it has loaded, and in one that none has. */
static int use_spaces(unsigned cpu, void *arg)
{
    bool mapped[2][SLOTS] = {{false}};
    unsigned state = cpu + 7;
    verso_space_switch(shared->space[cpu]);
    CPU_CHECK(verso_space_now() == shared->space[cpu]);
    for (unsigned i = 0; i < ROUNDS; i++) {
        const bool own = random_of(&state, 2) == 0;
        unsigned slot = random_of(&state, SLOTS / CPUS) * CPUS + cpu;
        CPU_CHECK(change_slot(cpu, own, slot, &mapped[own][slot]) == 0);
        CPU_CHECK(!is_mapped((void *)UM_WINDOW));
    }
    for (unsigned own = 0; own < 2; own++)
        for (unsigned slot = 0; slot < SLOTS; slot++)
            if (mapped[own][slot])
                CPU_CHECK(change_slot(cpu, own, slot, &mapped[own][slot]) == 0);
    verso_space_switch(verso_space_kernel());
    CPU_CHECK(um_audit(um_audit_print) == 0);
    return 0;
}

/* ---- tests ---- */

/* What reset() puts there, for the tests that have spaces. */
static struct space *kept_space[CPUS + 1];
static pfn_t kept_frame[CPUS];

static void reset(void *arg)
{
    (void)arg;
    memset(shared, 0, sizeof(*shared));
    memcpy(shared->space, kept_space, sizeof(kept_space));
    memcpy(shared->frame, kept_frame, sizeof(kept_frame));
}

/* What they left is whole, and goes; then all is as before. */
static void free_all(void)
{
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        for (unsigned i = 0; i < OBJECTS; i++) {
            CHECK(object_is_whole(cpu, i));
            verso_free(shared->object[cpu][i]);
            shared->object[cpu][i] = NULL;
        }
    verso_trim();
}

static void check_end(const struct um_cpus_end *end, size_t used)
{
    if (!CHECK(end->how == UM_CPUS_DONE)) {
        um_cpus_print(end);
        return;
    }
    free_all();
    CHECK(verso_frame_used() == used);
    const char *broken = verso_check();
    if (!CHECK(broken == NULL))
        printf("# %s\n", broken);
    CHECK(um_audit(um_audit_print) == 0);
}

static void by_seeds(int (*run)(unsigned, void *), unsigned rounds)
{
    struct um_cpus cpus = {.count = CPUS, .run = run, .arg = &rounds};
    struct um_cpus_end end;
    verso_trim();
    size_t used = verso_frame_used();
    cpus.schedule.by_seed = true;
    for (uint64_t seed = 1; seed <= 20 && !tap_failed; seed++) {
        cpus.schedule.seed = seed;
        reset(NULL);
        (void)um_cpus_run(&cpus, &end);
        check_end(&end, used);
    }
    printf("# %u points in the last of 20 runs\n", (unsigned)end.points);
}

static void no_frame_has_two_owners_whoever_runs_when(void)
{
    by_seeds(use_frames, 300);
}

static void objects_allocated_on_two_cpus_are_whole_on_both(void)
{
    by_seeds(use_objects, OBJECTS);
}

static pfn_t frame_with(uint32_t word)
{
    pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
    CHECK(verso_map(UM_WINDOW, pfn, 1, VERSO_RW) == VERSO_OK);
    *(volatile uint32_t *)UM_WINDOW = word;
    CHECK(verso_unmap(UM_WINDOW, 1) == VERSO_OK);
    return pfn;
}

/* Pitfalls 8 and 50: the windows of one CPU are nothing to another. */
static void with_spaces(
    void (*run)(int (*)(unsigned, void *), unsigned), unsigned rounds)
{
    struct space *space[CPUS + 1];
    pfn_t frame[CPUS];
    for (unsigned i = 0; i <= CPUS; i++)
        CHECK((space[i] = verso_space_create()) != NULL);
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        frame[cpu] = frame_with(word_of(cpu));
    memcpy(kept_space, space, sizeof(space));
    memcpy(kept_frame, frame, sizeof(frame));
    run(use_spaces, rounds);
    memset(kept_space, 0, sizeof(kept_space));
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        verso_frame_free1(frame[cpu]);
    for (unsigned i = 0; i <= CPUS; i++)
        CHECK(verso_space_destroy(space[i]) == VERSO_OK);
}

static void before_each(void *arg)
{
    free_all();
    reset(arg);
}

/* With one preemption: enough for two that are in the same lines at once. */
static void in_all_schedules(int (*run)(unsigned, void *), unsigned rounds)
{
    struct um_cpus cpus = {.count = CPUS, .run = run, .arg = &rounds};
    struct um_cpus_end end;
    verso_trim();
    size_t used = verso_frame_used();
    reset(NULL);
    size_t runs = um_cpus_explore(&cpus, 1, before_each, &end);
    check_end(&end, used);
    CHECK(runs > 50);
    printf("# %zu schedules\n", runs);
}

static void nor_in_any_schedule_of_a_few_calls(void)
{
    in_all_schedules(use_frames, 4);
}

static void also_in_every_schedule_of_the_first_ones(void)
{
    in_all_schedules(use_objects, 1);
}

static void spaces_are_edited_on_two_cpus_loaded_or_not(void)
{
    with_spaces(by_seeds, 150);
}

static void and_in_every_schedule_of_a_few_edits(void)
{
    with_spaces(in_all_schedules, 2);
}

static const struct tap_test tests[] = {
    TAP_TEST(no_frame_has_two_owners_whoever_runs_when),
    TAP_TEST(nor_in_any_schedule_of_a_few_calls),
    TAP_TEST(objects_allocated_on_two_cpus_are_whole_on_both),
    TAP_TEST(also_in_every_schedule_of_the_first_ones),
    TAP_TEST(spaces_are_edited_on_two_cpus_loaded_or_not),
    TAP_TEST(and_in_every_schedule_of_a_few_edits),
};

static void boot_fill(void)
{
    map[0] = (struct verso_range){UM_RAM_START, RAM_BYTES, true};
    boot.map = map;
    boot.map_count = 1;
    boot.zone_limit[0] = UM_RAM_START + RAM_BYTES / 2;
    boot.mirror_slot = UM_MIRROR_SLOT;
    boot.direct_offset = (vaddr_t)um_ram() - UM_RAM_START;
    boot.window = PAGING_WINDOW;
    boot.user_start = USER_START;
    boot.user_pages = USER_PAGES;
    boot.heap_start = HEAP_START;
    boot.heap_pages = HEAP_PAGES;
    if (verso_frame_place(&boot, UM_RAM_START) != 0)
        verso_host_panic("no room for the frame array");
}

int main(void)
{
    struct um_config config = {.ram_bytes = RAM_BYTES,
        .fault = on_fault,
        .machine_check = on_machine_check,
        .is_table = is_table};
    setvbuf(stdout, NULL, _IOLBF, 0);
    um_init(&config);
    um_share(__start_verso_state,
        (size_t)(__stop_verso_state - __start_verso_state));
    shared = um_shared(sizeof(*shared));
    boot_fill();
    int err = verso_init(&boot);
    if (err != 0)
        verso_host_panic(verso_err_name(err));
    return tap_main("um-cpus-verso", tests, sizeof(tests) / sizeof(tests[0]));
}
