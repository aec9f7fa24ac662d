/* SPDX-License-Identifier: MIT */
/*
 * cpus.c - several CPUs: a process each, of which one runs at a time.
 *
 *     caller --fork--> CPU 0   own TLB, root, identifier, interrupt flag
 *        |   --fork--> CPU 1   ...
 *        |                |
 *        | poll           +--> shared: RAM, um_shared(), what um_share() made
 *        v                     so, the log of stores, and `all` below
 *     who ended, how
 *
 * A CPU gives way only at a switch point: before and after a store of an entry,
 * before um_swap, um_release and an invalidation, where interrupts come on, at
 * um_step and um_relax, in each basic block of code compiled for that, and when
 * its run() is over. So what is between two
 * points is one step, and the schedule, which says at which points the CPU
 * changes, is all that decides what happens: same schedule, same run.
 *
 *     points   0   1   2   3   4   5   6   7   8    counted over all CPUs
 *     CPU 0    o---o---o-------------------o---o
 *     CPU 1                o---o---o---o            schedule: at 2
 *                                      ^ run() over, or um_relax
 *
 * Rules:
 *   1. `turn` names the CPU that runs; the others sleep on it (futex).
 *   2. Only points where another CPU could run are counted.
 *   3. A CPU that spins (um_relax) gives way to the next, which is no choice of
 *      the schedule. Nothing but spinning, by anyone, SPINS times in a row:
 *      a deadlock.
 *   4. A CPU whose run() is over idles, interrupts on. All idle, no interrupt
 *      pending: the end.
 *   5. An interrupt is taken by its CPU at its next point with interrupts on,
 *      after up to UM=ackdelay of these; one more to the same CPU while it is
 *      pending is lost in it. Its handler runs with interrupts off.
 *   6. A process that ends otherwise ends all, and so does the watchdog: no
 *      switch point, counted or not, for some seconds.
 *
 * All schedules with up to K changes that need not be (preemptions) are gone
 * through depth first: Musuvathi and Qadeer, "Iterative context bounding for
 * systematic testing of multithreaded programs", PLDI 2007; most mistakes show
 * with two. With more than two CPUs the next one runs, not each in turn.
 *
 * Cost: a run 2 ms, a change of CPU 10 us, a point 0.1 us.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <linux/futex.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "inside.h"

#define um um_machine

#define SPINS    2000u
#define STEADY   100u
#define ONE_IN   4u /* points at which a seed preempts */
#define SWITCHES 8u /* remembered, the last ones; a power of two */
#define SECONDS  20u
#define LOOK     50         /* ms, at whether there were switch points */
#define OVER     UINT32_MAX /* as `turn` */
#define FREELY   UINT32_MAX

/* What the CPUs share; written by the one that runs only. */
static struct {
    uint32_t turn;
    bool deadlock;
    unsigned spins; /* um_relax since anything else happened */
    unsigned taken; /* preemptions */
    uint32_t points;
    uint64_t trace, random;
    struct um_schedule schedule;
    struct {
        bool is_idle, pending, irq_on;
        unsigned delay;     /* points until the pending interrupt is taken */
        unsigned steady;    /* points since it spun last */
        const void *caller; /* of the last point */
    } cpu[UM_CPUS];
    uint32_t switches;
    struct {
        unsigned from, to;
        uint32_t preempted_at; /* a point, or FREELY */
        const void *caller;
    } last[SWITCHES];
} * all;

/* Of this process; count is 0 in one that is no CPU of several. */
static struct {
    unsigned cpu, count;
    bool irq_off;
    struct um_cpus cpus;
} my;

/* ---- memory ---- */

void *um_shared(size_t bytes)
{
    void *at = mmap(
        NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        um_die("no shared memory");
    return at;
}

void um_share(void *start, size_t bytes)
{
    if ((uintptr_t)start % PAGE != 0 || bytes % PAGE != 0) {
        fprintf(
            stderr, "um: um_share(%p, %zu): not whole pages\n", start, bytes);
        _exit(2);
    }
    void *copy = um_shared(bytes);
    memcpy(copy, start, bytes);
    if (mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, start) !=
        start)
        um_die("cannot share in place");
}

/* ---- whose turn ---- */

static void futex(int operation, uint32_t value)
{
    (void)syscall(SYS_futex, &all->turn, operation, value, NULL, NULL, 0);
}

static void turn_wait(void)
{
    uint32_t turn;
    while ((turn = __atomic_load_n(&all->turn, __ATOMIC_ACQUIRE)) != my.cpu) {
        if (turn == OVER)
            _exit(0);
        futex(FUTEX_WAIT, turn);
    }
}

static void turn_give(uint32_t to)
{
    fflush(stdout); /* what is printed keeps its order */
    __atomic_store_n(&all->turn, to, __ATOMIC_RELEASE);
    futex(FUTEX_WAKE, INT_MAX);
}

/* Spinning is told once a CPU, not for ever. */
static void hand_over(unsigned to, const void *caller, uint32_t preempted_at)
{
    if (to == my.cpu)
        return;
    if (all->spins <= my.count) {
        uint32_t i = all->switches++ % SWITCHES;
        all->last[i].from = my.cpu;
        all->last[i].to = to;
        all->last[i].preempted_at = preempted_at;
        all->last[i].caller = caller;
    }
    turn_give(to);
    turn_wait();
}

static bool can_run(unsigned cpu)
{
    return !all->cpu[cpu].is_idle || all->cpu[cpu].pending;
}

static uint32_t schedule_random(uint32_t below)
{
    all->random = all->random * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(((all->random >> 32) * below) >> 32);
}

/* The CPU after this one that can run; this one, if no other can. */
static unsigned next_cpu(void)
{
    unsigned skip = 1;
    if (all->schedule.by_seed)
        skip += schedule_random(my.count - 1);
    for (unsigned i = 0; i < my.count; i++, skip++)
        if ((my.cpu + skip) % my.count != my.cpu &&
            can_run((my.cpu + skip) % my.count))
            return (my.cpu + skip) % my.count;
    return my.cpu;
}

static bool is_preempted(void)
{
    const struct um_schedule *schedule = &all->schedule;
    uint32_t here = all->points++;
    if (schedule->by_seed)
        return schedule_random(ONE_IN) == 0;
    return all->taken < schedule->count && schedule->at[all->taken] == here;
}

/* ---- interrupts ---- */

static void interrupts_take(void)
{
    bool was_idle = all->cpu[my.cpu].is_idle;
    while (!my.irq_off && all->cpu[my.cpu].pending) {
        all->spins = 0;
        if (all->cpu[my.cpu].delay > 0) {
            all->cpu[my.cpu].delay--;
            return;
        }
        all->cpu[my.cpu].pending = false;
        all->cpu[my.cpu].is_idle = false;
        my.irq_off = true;
        const bool was_user = um_user_leave();
        my.cpus.interrupt(my.cpu, my.cpus.arg);
        um_user_return(was_user);
        my.irq_off = false;
        all->cpu[my.cpu].is_idle = was_idle;
    }
}

void um_ipi(uint32_t cpus)
{
    for (unsigned cpu = 0; cpu < my.count; cpu++) {
        if (!(cpus >> cpu & 1) || all->cpu[cpu].pending)
            continue;
        all->cpu[cpu].pending = true;
        all->cpu[cpu].delay = schedule_random(um.temper.ackdelay + 1);
    }
    um_point(__builtin_return_address(0));
}

/* ---- switch points ----
 *
 * What others may wait for is progress (um_point), and what a CPU does that has
 * not spun for STEADY points. */

static void trace_note(const void *caller)
{
    all->cpu[my.cpu].caller = caller;
    all->cpu[my.cpu].irq_on = !my.irq_off;
    all->trace = (all->trace ^ (uintptr_t)caller ^ my.cpu) * 0x100000001b3ull;
}

static void (*interrupt)(void);

void um_interrupt(void (*handler)(void))
{
    interrupt = handler;
}

/* The one CPU that there is outside of a run. */
static void interrupt_one(void)
{
    if (my.irq_off)
        return;
    my.irq_off = true;
    interrupt();
    my.irq_off = false;
}

static void point(const void *caller)
{
    if (my.count == 0 && interrupt != NULL)
        interrupt_one();
    if (my.count == 0)
        return;
    trace_note(caller);
    if (++all->cpu[my.cpu].steady > STEADY)
        all->spins = 0;
    unsigned next = next_cpu();
    uint32_t here = all->points;
    if (next != my.cpu && is_preempted()) {
        all->taken++;
        hand_over(next, caller, here);
    }
    interrupts_take();
}

void um_point(const void *caller)
{
    if (my.count > 0)
        all->spins = 0;
    point(caller);
}

void um_step(void)
{
    point(__builtin_return_address(0));
}

/* In each basic block of what is compiled with -fsanitize-coverage=trace-pc.
 * Weak: a fuzzer brings its own. */
void __sanitizer_cov_trace_pc(void) __attribute__((weak));
void __sanitizer_cov_trace_pc(void)
{
    point(__builtin_return_address(0));
}

void um_relax(void)
{
    if (my.count == 0)
        return;
    trace_note(__builtin_return_address(0));
    all->cpu[my.cpu].steady = 0;
    if (++all->spins > SPINS) {
        all->deadlock = true;
        fflush(stdout);
        _exit(1);
    }
    hand_over(next_cpu(), __builtin_return_address(0), FREELY);
    interrupts_take();
}

/* A lock that is held already was asked for in vain: no progress. */
uint32_t um_swap(uint32_t *word, uint32_t value)
{
    point(__builtin_return_address(0));
    uint32_t old = __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
    if (my.count > 0 && old != value)
        all->spins = 0;
    return old;
}

void um_release(uint32_t *word, uint32_t value)
{
    um_point(__builtin_return_address(0));
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

uintptr_t um_irq_save(void)
{
    uintptr_t on = !my.irq_off;
    my.irq_off = true;
    return on;
}

void um_irq_restore(uintptr_t on)
{
    my.irq_off = on == 0;
    if (on)
        point(__builtin_return_address(0));
}

bool um_are_several(void)
{
    return my.count > 1;
}

unsigned um_cpu(void)
{
    return my.cpu;
}

/* ---- a CPU's life ---- */

/* Nothing is left to do when nobody can run. */
static void idle(void)
{
    my.irq_off = false;
    all->spins = 0;
    all->cpu[my.cpu].is_idle = true;
    all->cpu[my.cpu].caller = NULL;
    for (;;) {
        interrupts_take();
        unsigned next = next_cpu();
        if (next == my.cpu && !can_run(my.cpu))
            break;
        hand_over(next, NULL, FREELY);
    }
    turn_give(OVER);
    _exit(0);
}

/* What was cached before the fork is the caller's. */
static void cpu_main(unsigned cpu, const struct um_cpus *cpus, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    my.cpu = cpu;
    my.count = cpus->count;
    my.cpus = *cpus;
    um_drop_all();
    um_temper_start(cpu);
    turn_wait();
    um_point(NULL);
    int status = cpus->run(cpu, cpus->arg);
    if (status == 0)
        idle();
    fflush(stdout);
    _exit(status);
}

/* ---- the caller ---- */

struct child {
    pid_t pid; /* 0: reaped */
    int pipe;  /* its end is seen here */
};

static void child_start(
    struct child *child, unsigned cpu, const struct um_cpus *cpus)
{
    int ends[2];
    pid_t parent = getpid();
    if (pipe(ends) != 0)
        um_die("no pipe");
    child->pid = fork();
    if (child->pid < 0)
        um_die("no process");
    if (child->pid == 0)
        cpu_main(cpu, cpus, parent);
    close(ends[1]);
    child->pipe = ends[0];
}

static int child_reap(struct child *child)
{
    int status = 0;
    while (waitpid(child->pid, &status, 0) < 0)
        if (errno != EINTR)
            um_die("waitpid");
    close(child->pipe);
    child->pid = 0;
    return status;
}

static int64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The CPU whose process ended; `count`: none did, and the trace, which all
 * switch points change, stood still for so many milliseconds. A signal of the
 * caller's is one look more. */
static unsigned child_wait(
    const struct child *children, unsigned count, int64_t patience)
{
    struct pollfd fds[UM_CPUS];
    int64_t until = milliseconds() + patience;
    uint64_t trace = all->trace;
    int ready;
    for (unsigned i = 0; i < count; i++)
        fds[i] =
            (struct pollfd){children[i].pid ? children[i].pipe : -1, POLLIN, 0};
    while ((ready = poll(fds, count, LOOK)) <= 0) {
        if (ready < 0 && errno != EINTR)
            um_die("poll");
        if (all->trace != trace)
            until = milliseconds() + patience;
        else if (milliseconds() >= until)
            return count;
        trace = all->trace;
    }
    for (unsigned i = 0; i < count; i++)
        if (fds[i].revents != 0)
            return i;
    return count;
}

/* Until all have ended well, or one has not. */
static void watch(
    struct child *children, const struct um_cpus *cpus, struct um_cpus_end *end)
{
    unsigned seconds = cpus->seconds ? cpus->seconds : SECONDS;
    for (unsigned ended = 0; ended < cpus->count; ended++) {
        unsigned cpu =
            child_wait(children, cpus->count, (int64_t)seconds * 1000);
        if (cpu == cpus->count) {
            end->how = UM_CPUS_TIMEOUT;
            end->cpu = all->turn;
            return;
        }
        end->cpu = cpu;
        end->status = child_reap(&children[cpu]);
        if (all->turn == OVER && end->status == 0)
            continue;
        end->how = all->deadlock ? UM_CPUS_DEADLOCK : UM_CPUS_ENDED;
        return;
    }
}

static void all_init(const struct um_cpus *cpus)
{
    if (!all) {
        all = um_shared(sizeof(*all));
        um_share(&um_log, sizeof(um_log));
    }
    memset(all, 0, sizeof(*all));
    all->schedule = cpus->schedule;
    all->random = cpus->schedule.seed ^ um.temper.seed;
    for (unsigned i = 0; i < cpus->schedule.count; i++)
        all->random = all->random * UM_CPUS + cpus->schedule.at[i] + 1;
    (void)schedule_random(1);
}

/* There is room for that many only. */
static void number_check(
    const char *what, unsigned number, unsigned least, unsigned most)
{
    if (number >= least && number <= most)
        return;
    fprintf(stderr, "um: %u %s, not %u to %u\n", number, what, least, most);
    _exit(2);
}

bool um_cpus_run(const struct um_cpus *cpus, struct um_cpus_end *end)
{
    struct child children[UM_CPUS] = {{0, 0}};
    number_check("CPUs", cpus->count, 1, UM_CPUS);
    number_check("preemptions", cpus->schedule.count, 0, UM_PREEMPTIONS);
    fflush(NULL); /* or the children say it again */
    all_init(cpus);
    for (unsigned i = 0; i < cpus->count; i++)
        child_start(&children[i], i, cpus);
    *end = (struct um_cpus_end){.how = UM_CPUS_DONE, .count = cpus->count};
    watch(children, cpus, end);
    for (unsigned i = 0; i < cpus->count; i++)
        if (children[i].pid) {
            kill(children[i].pid, SIGKILL);
            (void)child_reap(&children[i]);
        }
    end->points = all->points;
    end->trace = all->trace;
    end->schedule = cpus->schedule;
    um_drop_all(); /* the tables may have changed */
    return end->how == UM_CPUS_DONE;
}

/* The next one, depth first: one more preemption behind those there are, or the
 * last of them one point later. length[n]: points of the run with the first n
 * of them only. False: that was the last schedule. */
static bool schedule_next(
    struct um_schedule *schedule, unsigned most, const uint32_t *length)
{
    unsigned n = schedule->count;
    uint32_t after = n > 0 ? schedule->at[n - 1] + 1 : 0;
    if (n < most && after < length[n]) {
        schedule->at[schedule->count++] = after;
        return true;
    }
    for (; n > 0; n--) {
        if (++schedule->at[n - 1] < length[n - 1])
            break;
    }
    schedule->count = n;
    return n > 0;
}

size_t um_cpus_explore(const struct um_cpus *cpus, unsigned preemptions,
    void (*reset)(void *arg), struct um_cpus_end *end)
{
    struct um_cpus now = *cpus;
    uint32_t length[UM_PREEMPTIONS + 1];
    size_t runs = 0;
    number_check("preemptions", preemptions, 0, UM_PREEMPTIONS);
    now.schedule = (struct um_schedule){.by_seed = false};
    do {
        if (reset)
            reset(now.arg);
        runs++;
        if (!um_cpus_run(&now, end))
            break;
        length[now.schedule.count] = end->points;
    } while (schedule_next(&now.schedule, preemptions, length));
    return runs;
}

/* ---- telling ---- */

static void schedule_print(const struct um_schedule *schedule)
{
    if (schedule->by_seed)
        printf("seed %llu", (unsigned long long)schedule->seed);
    else
        printf("%u preemptions, at", schedule->count);
    for (unsigned i = 0; !schedule->by_seed && i < schedule->count; i++)
        printf(" %u", (unsigned)schedule->at[i]);
}

static void verdict_print(const struct um_cpus_end *end)
{
    printf("# um: ");
    if (end->how == UM_CPUS_DONE)
        printf("all CPUs are done");
    if (end->how == UM_CPUS_DEADLOCK)
        printf("deadlock: all CPUs spin, or are done");
    if (end->how == UM_CPUS_TIMEOUT)
        printf("CPU %u does not come to a switch point", end->cpu);
    if (end->how == UM_CPUS_ENDED && WIFSIGNALED(end->status))
        printf(
            "CPU %u was ended by signal %d", end->cpu, WTERMSIG(end->status));
    if (end->how == UM_CPUS_ENDED && WIFEXITED(end->status))
        printf(
            "CPU %u ended with status %d", end->cpu, WEXITSTATUS(end->status));
    printf("; %u points; schedule: ", (unsigned)end->points);
    schedule_print(&end->schedule);
    printf("\n");
}

/* None: where the CPU starts, or idles. */
static void where_print(const void *caller)
{
    if (caller)
        um_caller_print(caller);
    else
        printf(" outside of run()");
    printf("\n");
}

static void switch_print(uint32_t i)
{
    unsigned from = all->last[i].from, to = all->last[i].to;
    if (all->last[i].preempted_at != FREELY)
        printf("# um: at %u CPU %u preempted CPU %u,",
            (unsigned)all->last[i].preempted_at, to, from);
    else
        printf("# um: CPU %u gave way to CPU %u,", from, to);
    where_print(all->last[i].caller);
}

void um_cpus_print(const struct um_cpus_end *end)
{
    if (!all) {
        printf("# um: no CPUs have run\n");
        return;
    }
    uint32_t from = all->switches < SWITCHES ? 0 : all->switches - SWITCHES;
    verdict_print(end);
    for (uint32_t i = from; i < all->switches; i++)
        switch_print(i % SWITCHES);
    for (unsigned cpu = 0; cpu < end->count; cpu++) {
        printf("# um: CPU %u, interrupts %s%s, was in", cpu,
            all->cpu[cpu].irq_on ? "on" : "off",
            all->cpu[cpu].pending ? ", one pending" : "");
        where_print(all->cpu[cpu].caller);
    }
}
