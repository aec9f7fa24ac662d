/* SPDX-License-Identifier: MIT */
/*
 * verso.c - two CPUs inside one Verso, built for CPU_COUNT_MAX = 2: its state
 * and RAM are shared, its locks keep them apart. Only calls after which no
 * other CPU has anything to invalidate: frames, queries, objects that are
 * allocated on two CPUs and freed when one runs. (What unmaps wants a
 * shootdown, which Verso does not have yet.) The CPU may change in each basic
 * block of the library.
 *
 *     0x70000000  heap, 64 MiB     0x98000000  a page a CPU, to clear frames
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

/* ---- tests ---- */

static void reset(void *arg)
{
    (void)arg;
    memset(shared, 0, sizeof(*shared));
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

static const struct tap_test tests[] = {
    TAP_TEST(no_frame_has_two_owners_whoever_runs_when),
    TAP_TEST(nor_in_any_schedule_of_a_few_calls),
    TAP_TEST(objects_allocated_on_two_cpus_are_whole_on_both),
    TAP_TEST(also_in_every_schedule_of_the_first_ones),
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
