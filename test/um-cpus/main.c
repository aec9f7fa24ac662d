/* SPDX-License-Identifier: MIT */
/*
 * main.c - several CPUs on the machine of arch/um, without Verso: a small
 * shootdown, right in every schedule, and mistakes in it that some schedule
 * shows. (Pitfalls 13, 15, 45, 46.)
 *
 *     RAM, in frames     0 root   1 .. TABLE the tables below   FIRST .. pages
 *     um_window() + n*4K page n: frame FIRST + n
 *
 *     CPU 0                              CPU 1
 *     entry = 0                          caches page 0 when it likes
 *     request = page, acks = 0, IPI ---> invalidates, acks = 1
 *     waits for acks
 *     the frame is free                  no trace of it may be cached
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <um.h>

#include "tap.h"

#define PAGE    4096u
#define PRESENT 3u /* and writable */
#define FRAMES  16u
#define TABLE   (um_levels() - 1) /* frame of the table of level 0 */
#define FIRST   um_levels()       /* and of page 0 */

/* What the CPUs share beside RAM. */
static struct shared {
    bool is_table[FRAMES];
    uint32_t lock; /* of the request */
    uint32_t map_lock;
    uint32_t page, acks;
    bool is_free[FRAMES];
    uint32_t counter;
    uint32_t ready, done;
    uint32_t found;    /* stale translations */
    uint32_t found_by; /* the CPU that stored */
    size_t speculated[UM_CPUS];
} * shared;

/* Mistakes, one at a time, and other choices. */
static struct {
    bool free_before_ack, wait_locked, no_lock, free_table_first, no_ipi;
    bool uses_with_interrupts; /* CPU 1 touches the page with interrupts on */
    bool keeps; /* what an identifier had before others unmapped */
} plan;

/* ---- the code under test ---- */

static um_entry_t *frame_at(uint32_t frame)
{
    return (um_entry_t *)(void *)(um_ram() + frame * PAGE);
}

/* The one of this table that is on the way to all pages. */
static um_entry_t *entry_in(uint32_t table)
{
    return frame_at(table) + um_index(um_window(), TABLE - table);
}

static um_entry_t entry_of(uint32_t frame)
{
    return (UM_RAM_START + frame * PAGE) | PRESENT;
}

static uintptr_t address_of(uint32_t page)
{
    return um_window() + page * PAGE;
}

static void lock_take(uint32_t *lock)
{
    while (um_swap(lock, 1) != 0)
        um_relax();
}

static void on_ipi(unsigned cpu, void *arg)
{
    (void)cpu;
    (void)arg;
    um_invalidate(address_of(shared->page));
    um_step();
    (void)__atomic_fetch_add(&shared->acks, 1, __ATOMIC_RELEASE);
}

/* No CPU but this one spins for the lock with interrupts off; so all others
 * take their interrupt while it waits. */
static void shootdown(uint32_t page, uint32_t others)
{
    uint32_t wanted = (uint32_t)__builtin_popcount(others);
    if (!plan.no_lock)
        lock_take(&shared->lock);
    shared->page = page;
    um_release(&shared->acks, 0);
    um_invalidate(address_of(page));
    um_ipi(others);
    if (plan.free_before_ack)
        shared->is_free[FIRST + page] = true;
    while (__atomic_load_n(&shared->acks, __ATOMIC_ACQUIRE) < wanted)
        um_relax();
    if (!plan.no_lock)
        um_release(&shared->lock, 0);
}

static void unmap(uint32_t page, uint32_t others)
{
    uintptr_t flags = um_irq_save();
    lock_take(&shared->map_lock);
    um_store(frame_at(TABLE) + page, 0);
    if (plan.wait_locked)
        shootdown(page, others);
    um_release(&shared->map_lock, 0);
    um_irq_restore(flags);
    if (plan.no_ipi)
        um_invalidate(address_of(page));
    else if (!plan.wait_locked)
        shootdown(page, others);
    shared->is_free[FIRST + page] = true;
}

static void table_free(uint32_t others)
{
    um_store(entry_in(TABLE - 1), 0);
    if (plan.free_table_first)
        shared->is_table[TABLE] = false;
    shootdown(0, others);
    shared->is_table[TABLE] = false;
}

/* ---- what the machine asks for ---- */

static bool is_table(uint32_t pfn)
{
    uint32_t frame = pfn - UM_RAM_START / PAGE;
    return frame < FRAMES && shared->is_table[frame];
}

static void on_fault(uintptr_t va, unsigned code)
{
    printf("# page fault at 0x%lx, code %u\n", (unsigned long)va, code);
    exit(70);
}

#define MACHINE_CHECK 71
static void on_machine_check(const char *what, uintptr_t va)
{
    printf("# machine check: %s (0x%lx)\n", what, (unsigned long)va);
    fflush(stdout);
    _exit(MACHINE_CHECK);
}

static void reset(void *arg)
{
    (void)arg;
    memset(shared, 0, sizeof(*shared));
    shared->found_by = UM_CPUS;
    memset(um_ram(), 0, FRAMES * PAGE);
    for (uint32_t table = 0; table <= TABLE; table++)
        shared->is_table[table] = true;
    for (uint32_t table = 0; table < TABLE; table++)
        um_store(entry_in(table), entry_of(table + 1));
    for (uint32_t page = 0; page < FRAMES - FIRST; page++)
        um_store(frame_at(TABLE) + page, entry_of(FIRST + page));
    um_invalidate_all();
}

/* ---- what the CPUs do ---- */

static void note_stale(const struct um_stale *stale)
{
    if (!shared->is_free[FIRST + (stale->va - um_window()) / PAGE])
        return; /* its shootdown is under way */
    shared->found++;
    shared->found_by = stale->cpu;
}

/* Nothing cached may lead to a frame that is free. */
static bool is_clean(void)
{
    uint32_t before = shared->found;
    (void)um_audit(note_stale);
    return shared->found == before;
}

/* Caches the page as any access may, and uses it for a while. With interrupts
 * off, as one that holds a lock does. */
static int use_page(uint32_t page)
{
    uintptr_t flags = plan.uses_with_interrupts ? 0 : um_irq_save();
    (void)um_prefetch(address_of(page));
    um_step();
    bool clean = is_clean();
    if (!plan.uses_with_interrupts)
        um_irq_restore(flags);
    CPU_CHECK(clean);
    return 0;
}

static int unmap_and_use(unsigned cpu, void *arg)
{
    (void)arg;
    if (cpu == 0) {
        unmap(0, 2);
        return 0;
    }
    for (unsigned i = 0; i < 2; i++)
        if (use_page(0) != 0)
            return 1;
    return 0;
}

static int unmap_and_lock(unsigned cpu, void *arg)
{
    (void)arg;
    if (cpu == 0) {
        unmap(0, 2);
        return 0;
    }
    uintptr_t flags = um_irq_save();
    lock_take(&shared->map_lock);
    (void)um_prefetch(address_of(0));
    um_release(&shared->map_lock, 0);
    um_irq_restore(flags);
    CPU_CHECK(is_clean());
    return 0;
}

/* Each takes a page of its own away from all. */
static int both_unmap(unsigned cpu, void *arg)
{
    (void)arg;
    (void)um_prefetch(address_of(0));
    (void)um_prefetch(address_of(1));
    unmap(cpu, cpu == 0 ? 2 : 1);
    CPU_CHECK(is_clean());
    return 0;
}

static int free_table_and_walk(unsigned cpu, void *arg)
{
    (void)arg;
    if (cpu == 0) {
        while (!*(volatile uint32_t *)&shared->ready)
            um_relax();
        table_free(2);
        return 0;
    }
    for (uint32_t page = 0; page < 3; page++) {
        (void)um_prefetch(address_of(page));
        um_release(&shared->ready, 1);
    }
    return 0;
}

/* CPU 0 has the page cached before CPU 1 takes it, and looks afterwards. */
static int cached_before(unsigned cpu, void *arg)
{
    (void)arg;
    if (cpu == 0) {
        (void)*(volatile uint32_t *)address_of(0);
        um_release(&shared->ready, 1);
        while (!*(volatile uint32_t *)&shared->done)
            um_relax();
        (void)um_audit(note_stale);
        return 0;
    }
    while (!*(volatile uint32_t *)&shared->ready)
        um_relax();
    unmap(0, 1);
    CPU_CHECK(um_audit(NULL) == 0);
    um_release(&shared->done, 1);
    return 0;
}

/* CPU 0 unmaps and drops all that it has, of every identifier. CPU 1, which is
 * in another space, is not told, and comes back (pitfall 47). */
static int leave_and_come_back(unsigned cpu, void *arg)
{
    (void)arg;
    if (cpu == 0) {
        while (!*(volatile uint32_t *)&shared->ready)
            um_relax();
        um_store(frame_at(TABLE), 0);
        um_invalidate_all();
        um_release(&shared->done, 1);
        return 0;
    }
    um_root_switch(um_root(), 1, false);
    (void)um_prefetch(address_of(0));
    um_root_switch(um_root(), 2, false);
    um_release(&shared->ready, 1);
    while (!*(volatile uint32_t *)&shared->done)
        um_relax();
    CPU_CHECK(um_audit(NULL) == 0);
    um_root_switch(um_root(), 1, plan.keeps);
    CPU_CHECK(um_audit(NULL) == 0);
    return 0;
}

/* ---- tests ---- */

static struct um_cpus two(int (*run)(unsigned, void *))
{
    return (struct um_cpus){.count = 2, .run = run, .interrupt = on_ipi};
}

/* Every schedule ends well. Returns how many there are. */
static size_t all_end_well(int (*run)(unsigned, void *))
{
    struct um_cpus cpus = two(run);
    struct um_cpus_end end;
    size_t runs = um_cpus_explore(&cpus, 2, reset, &end);
    if (!CHECK(end.how == UM_CPUS_DONE))
        um_cpus_print(&end);
    printf(
        "# %zu schedules, %u points in the last\n", runs, (unsigned)end.points);
    return runs;
}

/* Some schedule does not. */
static struct um_cpus_end some_ends_badly(int (*run)(unsigned, void *))
{
    struct um_cpus cpus = two(run);
    struct um_cpus_end end;
    size_t runs = um_cpus_explore(&cpus, 2, reset, &end);
    printf("# found by schedule %zu\n", runs);
    CHECK(end.how != UM_CPUS_DONE);
    um_cpus_print(&end);
    return end;
}

static void plan_clear(const char *words)
{
    memset(&plan, 0, sizeof(plan));
    CHECK(um_misbehave(words));
}

static void a_page_invalidated_on_one_cpu_only_is_found_on_the_other(void)
{
    struct um_cpus cpus = two(cached_before);
    struct um_cpus_end end;
    plan_clear("");
    plan.no_ipi = true;
    reset(NULL);
    CHECK(um_cpus_run(&cpus, &end));
    CHECK(shared->found == 1);
    CHECK(shared->found_by == 1);
    plan.no_ipi = false;
    reset(NULL);
    CHECK(um_cpus_run(&cpus, &end));
    CHECK(shared->found == 0);
}

static void a_right_shootdown_leaves_nothing_stale_in_any_schedule(void)
{
    plan_clear("");
    /* so many that the mistakes below would be met */
    CHECK(all_end_well(unmap_and_use) > 50);
    CHECK(all_end_well(unmap_and_lock) > 50);
    CHECK(all_end_well(both_unmap) > 50);
}

/* pitfall 15. */
static void a_frame_freed_before_the_acknowledgement_is_found(void)
{
    plan_clear("");
    plan.free_before_ack = true;
    struct um_cpus_end end = some_ends_badly(unmap_and_use);
    CHECK(end.how == UM_CPUS_ENDED && end.cpu == 1);
    CHECK(shared->found == 1);
}

/* With interrupts on, a mistake only a late interrupt shows. */
static void an_interrupt_may_come_late_which_right_code_bears(void)
{
    plan_clear("");
    plan.uses_with_interrupts = true;
    plan.free_before_ack = true;
    all_end_well(unmap_and_use);
    CHECK(um_misbehave("ackdelay=4"));
    struct um_cpus_end end = some_ends_badly(unmap_and_use);
    CHECK(end.how == UM_CPUS_ENDED && end.cpu == 1);
    plan.free_before_ack = false;
    all_end_well(unmap_and_use);
}

/* pitfall 45. */
static void waiting_with_a_lock_that_others_want_is_a_deadlock(void)
{
    plan_clear("");
    plan.wait_locked = true;
    struct um_cpus_end end = some_ends_badly(unmap_and_lock);
    CHECK(end.how == UM_CPUS_DEADLOCK);
}

/* pitfall 46. */
static void two_initiators_that_share_a_request_are_found(void)
{
    plan_clear("");
    plan.no_lock = true;
    struct um_cpus_end end = some_ends_badly(both_unmap);
    CHECK(end.how == UM_CPUS_ENDED || end.how == UM_CPUS_DEADLOCK);
}

/* pitfall 13. */
static void a_table_freed_before_its_flush_is_walked_by_the_other_cpu(void)
{
    plan_clear("pdecache=1");
    plan.free_table_first = true;
    struct um_cpus_end end = some_ends_badly(free_table_and_walk);
    CHECK(end.how == UM_CPUS_ENDED && end.cpu == 1);
    CHECK(WEXITSTATUS(end.status) == MACHINE_CHECK);
    plan.free_table_first = false;
    all_end_well(free_table_and_walk);
}

/* pitfalls 19, 47. */
static void each_cpu_has_identifiers_of_its_own(void)
{
    plan_clear("");
    if (!um_has_ids()) {
        CHECK(UM_LEVELS_MAX == 2);
        return;
    }
    plan.keeps = true;
    struct um_cpus_end end = some_ends_badly(leave_and_come_back);
    CHECK(end.how == UM_CPUS_ENDED && end.cpu == 1);
    plan.keeps = false;
    all_end_well(leave_and_come_back);
}

/* ---- of the scheduler itself ---- */

static int count_up(unsigned cpu, void *arg)
{
    (void)cpu;
    for (unsigned i = 0; i < 3; i++) {
        if (arg)
            lock_take(&shared->lock);
        uint32_t before = shared->counter;
        um_step();
        shared->counter = before + 1;
        if (arg)
            um_release(&shared->lock, 0);
    }
    return 0;
}

static int count_locked(unsigned cpu, void *arg)
{
    return count_up(cpu, shared) + (arg != NULL);
}

/* The last to leave finds all counted. */
static int count_and_check(unsigned cpu, int (*count)(unsigned, void *))
{
    if (count(cpu, NULL) != 0)
        return 1;
    if (um_swap(&shared->ready, 1) == 1)
        CPU_CHECK(shared->counter == 6);
    return 0;
}

static int count_with_lock(unsigned cpu, void *arg)
{
    (void)arg;
    return count_and_check(cpu, count_locked);
}

static int count_without(unsigned cpu, void *arg)
{
    (void)arg;
    return count_and_check(cpu, count_up);
}

static void a_lock_excludes_in_every_schedule_and_is_missed_in_some(void)
{
    plan_clear("");
    all_end_well(count_with_lock);
    struct um_cpus_end end = some_ends_badly(count_without);
    CHECK(end.how == UM_CPUS_ENDED);
    /* the schedule that was told shows it again */
    struct um_cpus cpus = two(count_without);
    struct um_cpus_end again;
    cpus.schedule = end.schedule;
    reset(NULL);
    CHECK(!um_cpus_run(&cpus, &again));
    CHECK(again.trace == end.trace && again.points == end.points);
}

/* Three CPUs, each unmaps a page and uses the others'. */
static int three_unmap(unsigned cpu, void *arg)
{
    size_t before = um_stats()->speculated;
    (void)arg;
    for (uint32_t page = 0; page < 3; page++)
        if (use_page(page) != 0)
            return 1;
    unmap(cpu, 7u & ~(1u << cpu));
    for (uint32_t page = 0; page < 3; page++)
        if (use_page(page) != 0)
            return 1;
    shared->speculated[cpu] = um_stats()->speculated - before;
    return 0;
}

static void the_same_seed_gives_the_same_run_and_another_another(void)
{
    struct um_cpus cpus = two(three_unmap);
    size_t before[UM_CPUS];
    uint64_t first = 0;
    unsigned others = 0;
    plan_clear("evict=4,speculate=2,pdecache=1,ackdelay=8,seed=3");
    cpus.count = 3;
    cpus.schedule.by_seed = true;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct um_cpus_end end, again;
        cpus.schedule.seed = seed;
        reset(NULL);
        if (!CHECK(um_cpus_run(&cpus, &end))) {
            um_cpus_print(&end);
            return;
        }
        memcpy(before, shared->speculated, sizeof(before));
        reset(NULL);
        CHECK(um_cpus_run(&cpus, &again));
        CHECK(end.trace == again.trace && end.points == again.points);
        CHECK(memcmp(before, shared->speculated, sizeof(before)) == 0);
        first = seed == 1 ? end.trace : first;
        others += end.trace != first;
    }
    CHECK(others > 30);
}

static int start_empty(unsigned cpu, void *arg)
{
    (void)arg;
    CPU_CHECK(um_stats()->cached == 0);
    CPU_CHECK(*(volatile uint32_t *)address_of(cpu) == 0);
    return 0;
}

static void nothing_cached_is_taken_along_or_kept(void)
{
    struct um_cpus cpus = two(start_empty);
    struct um_cpus_end end;
    plan_clear("");
    reset(NULL);
    CHECK(*(volatile uint32_t *)address_of(0) == 0);
    CHECK(um_cpus_run(&cpus, &end));
    CHECK(um_stats()->cached == 0);
}

static void on_ipi_touch(unsigned cpu, void *arg)
{
    (void)arg;
    shared->counter = 1 + *(volatile uint32_t *)address_of(cpu);
}

static void wait_as_user(void *arg)
{
    (void)arg;
    um_release(&shared->ready, 1);
    while (!*(volatile uint32_t *)&shared->counter)
        um_relax();
}

/* Pages without U, which a user does not get at. */
static int interrupt_a_user(unsigned cpu, void *arg)
{
    if (cpu == 1)
        um_user(wait_as_user, arg);
    while (!*(volatile uint32_t *)&shared->ready)
        um_relax();
    if (cpu == 0)
        um_ipi(2);
    return 0;
}

static void an_interrupt_is_taken_as_the_supervisor(void)
{
    struct um_cpus cpus = two(interrupt_a_user);
    struct um_cpus_end end;
    plan_clear("");
    reset(NULL);
    cpus.interrupt = on_ipi_touch;
    CHECK(um_cpus_run(&cpus, &end));
    CHECK(shared->counter == 1);
}

static int speak(unsigned cpu, void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        printf("%u", cpu);
        um_relax();
    }
    return 0;
}

static void output_keeps_the_order_of_running(void)
{
    struct um_cpus cpus = two(speak);
    struct um_cpus_end end;
    char text[16] = "";
    FILE *file = tmpfile();
    plan_clear("");
    fflush(stdout);
    int saved = dup(1);
    (void)dup2(fileno(file), 1);
    bool done = um_cpus_run(&cpus, &end);
    (void)dup2(saved, 1);
    close(saved);
    rewind(file);
    CHECK(fread(text, 1, sizeof(text) - 1, file) == 6);
    fclose(file);
    CHECK(done && strcmp(text, "010101") == 0);
}

static int crash(unsigned cpu, void *arg)
{
    static volatile char *nowhere;
    (void)arg;
    if (cpu == 0)
        for (;;)
            um_step();
    if (!freopen("/dev/null", "w", stderr))
        return 2;
    for (unsigned i = 0; i < 5; i++)
        um_relax();
    return *nowhere; /* which a sanitizer reports */
}

static int get_stuck(unsigned cpu, void *arg)
{
    volatile bool stuck = cpu == 1;
    (void)arg;
    while (stuck)
        ;
    return 0;
}

static int wait_for_nothing(unsigned cpu, void *arg)
{
    (void)arg;
    while (cpu == 1)
        um_relax();
    return 0;
}

static void a_crash_a_hang_and_a_deadlock_are_told_and_end_all(void)
{
    struct um_cpus cpus = two(crash);
    struct um_cpus_end end;
    plan_clear("");
    cpus.schedule.by_seed = true;
    CHECK(!um_cpus_run(&cpus, &end));
    CHECK(end.how == UM_CPUS_ENDED && end.cpu == 1 && end.status != 0);
    um_cpus_print(&end);
    cpus.run = get_stuck;
    cpus.seconds = 1;
    CHECK(!um_cpus_run(&cpus, &end));
    CHECK(end.how == UM_CPUS_TIMEOUT && end.cpu == 1);
    um_cpus_print(&end);
    cpus.run = wait_for_nothing;
    CHECK(!um_cpus_run(&cpus, &end));
    CHECK(end.how == UM_CPUS_DEADLOCK && end.cpu == 1);
    /* a symbolizer may run, but no CPU is left to be reaped */
    CHECK(waitpid(-1, NULL, WNOHANG) <= 0);
}

/* Longer than the watchdog waits, the second half with the other CPU idle. */
static int step_for_long(unsigned cpu, void *arg)
{
    struct timespec start, now;
    (void)arg;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        um_step();
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (cpu == 1 && now.tv_sec - start.tv_sec < 3);
    return 0;
}

static void on_alarm(int signal)
{
    (void)signal;
}

static void switch_points_and_signals_are_no_timeout(void)
{
    const struct itimerval often = {{0, 20000}, {0, 20000}}, never = {0};
    const struct sigaction interrupting = {.sa_handler = on_alarm};
    struct um_cpus cpus = two(step_for_long);
    struct um_cpus_end end;
    plan_clear("");
    reset(NULL);
    cpus.seconds = 1;
    sigaction(SIGALRM, &interrupting, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    CHECK(um_cpus_run(&cpus, &end));
    setitimer(ITIMER_REAL, &never, NULL);
    um_cpus_print(&end);
}

/* Of a process that does this. */
static int status_of(void (*run)(void))
{
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        run();
        fflush(stdout);
        _exit(0);
    }
    (void)waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void print_early(void)
{
    struct um_cpus_end end = {.count = 2};
    um_cpus_print(&end);
}

static void before_any_run_there_is_nothing_to_tell(void)
{
    CHECK(status_of(print_early) == 0);
}

static void explore_too_much(void)
{
    struct um_cpus cpus = two(speak);
    struct um_cpus_end end;
    (void)um_cpus_explore(&cpus, UM_PREEMPTIONS + 1, NULL, &end);
}

static void run_too_much(void)
{
    struct um_cpus cpus = two(speak);
    struct um_cpus_end end;
    cpus.schedule.count = UM_PREEMPTIONS + 1;
    (void)um_cpus_run(&cpus, &end);
}

static void more_preemptions_than_there_is_room_for_are_refused(void)
{
    CHECK(status_of(explore_too_much) == 2);
    CHECK(status_of(run_too_much) == 2);
}

static const struct tap_test tests[] = {
    TAP_TEST(before_any_run_there_is_nothing_to_tell),
    TAP_TEST(a_page_invalidated_on_one_cpu_only_is_found_on_the_other),
    TAP_TEST(a_right_shootdown_leaves_nothing_stale_in_any_schedule),
    TAP_TEST(a_frame_freed_before_the_acknowledgement_is_found),
    TAP_TEST(an_interrupt_may_come_late_which_right_code_bears),
    TAP_TEST(waiting_with_a_lock_that_others_want_is_a_deadlock),
    TAP_TEST(two_initiators_that_share_a_request_are_found),
    TAP_TEST(a_table_freed_before_its_flush_is_walked_by_the_other_cpu),
    TAP_TEST(each_cpu_has_identifiers_of_its_own),
    TAP_TEST(a_lock_excludes_in_every_schedule_and_is_missed_in_some),
    TAP_TEST(the_same_seed_gives_the_same_run_and_another_another),
    TAP_TEST(nothing_cached_is_taken_along_or_kept),
    TAP_TEST(an_interrupt_is_taken_as_the_supervisor),
    TAP_TEST(output_keeps_the_order_of_running),
    TAP_TEST(a_crash_a_hang_and_a_deadlock_are_told_and_end_all),
    TAP_TEST(switch_points_and_signals_are_no_timeout),
    TAP_TEST(more_preemptions_than_there_is_room_for_are_refused),
};

int main(void)
{
    struct um_config config = {.ram_bytes = 1u << 20,
        .fault = on_fault,
        .machine_check = on_machine_check,
        .is_table = is_table};
    setvbuf(stdout, NULL, _IOLBF, 0);
    um_init(&config);
    shared = um_shared(sizeof(*shared));
    reset(NULL);
    um_root_load(UM_RAM_START / PAGE);
    return tap_main("um-cpus", tests, sizeof(tests) / sizeof(tests[0]));
}
