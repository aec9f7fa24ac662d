/* SPDX-License-Identifier: MIT */
/*
 * bench.c - the figures: what each operation costs, in instructions.
 *
 * An operation is a function that is not inlined and makes the calls a real
 * caller would make. Its cost is the difference of two readings of the
 * machine's counter around it, less what the same two readings give around an
 * empty function of the same kind: so reading the counter and calling the
 * function are not counted, and everything inside it is. What must be done
 * between two operations (choosing, tidying up) is done by prepare(), outside.
 *
 *     prepare | count  run  count | prepare | count  run  count | ...
 *
 * Instruction counts are exact (QEMU, -icount shift=0), the same in every run:
 * the mean is printed, and the maximum beside it. The counter prices an
 * invalidation as 1 and says nothing of interrupts, so these stand beside the
 * figure too, per operation: `invalidations` (single pages) and `flushes`
 * (whole TLB) from verso_paging_stats(), `toggles` (interrupts on or off) from
 * executing some rounds more, instruction by instruction.
 *
 * Profile: default (caller checks on), no per-CPU layer.
 *
 * `linux` beside a figure of the 64-bit kernel's is what the same operation
 * took in Linux 6.1 (Debian's for x86_64), counted in the same QEMU by a
 * module's loop: pair64 kmalloc and kfree, constant size; area_n* and area1
 * free_vm_area and get_vm_area; area16, area4096_page vmalloc and vfree;
 * map_page, unmap_page the same 4096 pages mapped, unmapped; protect_page
 * mprotect to read-only; query vmalloc_to_page; frame_pair alloc_page and
 * __free_page; first_touch a fault in user memory, its page not cleared. The
 * hardening of a distribution's kernel, and its locks for several CPUs, are in
 * them.
 */
#include <verso/verso.h>

#include "kernel.h"
#include "machine.h"

#define BENCH_PAGES 4096u /* of map_page, unmap_page, frame_bulk, query */
#define TOUCH_PAGES 512u

struct work {
    void (*prepare)(void *arg); /* may be NULL */
    void (*run)(void *arg);
    void *arg;
    size_t rounds;
    size_t steps; /* rounds under machine_count_toggles() */
    size_t units; /* operations in one run() */
};

struct cost {
    uint64_t total, max; /* instructions of a run() */
    size_t invalidations, flushes, toggles;
};

struct figure {
    const char *name;
    const char *unit;
    uint32_t goal;     /* in thousandths; 0: none */
    uint32_t goal_64;  /* of the 64-bit kernel; 0: the same */
    uint32_t linux_64; /* Linux's figure, whole; 0: unknown */
    unsigned decimals; /* of value and goal */
    bool at_least;     /* goal>= */
};

static struct {
    uint64_t reading; /* instructions of an empty run() */
    uint32_t random;
    unsigned reached, missed, unmeasured;
    bool failed; /* an operation of the running figure had no memory */
} bench;

static uint32_t bench_random_below(uint32_t n)
{
    bench.random ^= bench.random << 13;
    bench.random ^= bench.random >> 17;
    bench.random ^= bench.random << 5;
    return (uint32_t)((uint64_t)bench.random * n >> 32);
}

/* ---- measuring ---- */

static NO_INLINE void run_nothing(void *arg)
{
    __asm__ volatile("" : : "r"(arg));
}

static uint64_t bench_run(void (*run)(void *), void *arg)
{
    uint64_t before = machine_count();
    run(arg);
    return machine_count() - before;
}

static void bench_calibrate(void)
{
    bench.reading = UINT64_MAX;
    for (unsigned i = 0; i < 64; i++) {
        uint64_t cost = bench_run(run_nothing, NULL);
        if (cost < bench.reading)
            bench.reading = cost;
    }
}

static void bench_round(const struct work *work, struct cost *cost)
{
    struct verso_paging_stats before, after;

    if (work->prepare != NULL)
        work->prepare(work->arg);
    verso_paging_stats(&before);
    uint64_t spent = bench_run(work->run, work->arg) - bench.reading;
    verso_paging_stats(&after);
    cost->total += spent;
    if (spent > cost->max)
        cost->max = spent;
    cost->invalidations += after.invalidations - before.invalidations;
    cost->flushes += after.flushes - before.flushes;
}

/* False if an operation failed: then there is no figure. */
static bool bench_measure(const struct work *work, struct cost *cost)
{
    *cost = (struct cost){.total = 0};
    bench.failed = false;
    for (size_t i = 0; i < work->rounds && !bench.failed; i++)
        bench_round(work, cost);
    for (size_t i = 0; i < work->steps && !bench.failed; i++) {
        if (work->prepare != NULL)
            work->prepare(work->arg);
        cost->toggles += machine_count_toggles(work->run, work->arg);
    }
    return !bench.failed;
}

/* ---- printing ---- */

/* `value` in thousandths. */
static void print_fixed(uint64_t value, unsigned decimals)
{
    static const unsigned scale[] = {1000, 100, 10, 1};
    uint64_t shown = divide64(value, scale[decimals]);
    uint64_t one = 1000 / scale[decimals];
    uint64_t whole = divide64(shown, one);

    unsigned part = (unsigned)(shown - whole * one);

    verso_print("%llu", (unsigned long long)whole);
    if (decimals == 1)
        verso_print(".%u", part);
    else if (decimals == 2)
        verso_print(".%02u", part);
    else if (decimals == 3)
        verso_print(".%03u", part);
}

/* The first word of machine_name(). */
static void print_arch(void)
{
    const char *name = machine_name();
    size_t length = 0;

    while (name[length] != '\0' && name[length] != ' ' && name[length] != ',')
        length++;
    verso_print("%.*s", (int)length, name);
}

static uint32_t goal_of(const struct figure *figure)
{
    const bool is_64 = sizeof(vaddr_t) == 8 && figure->goal_64 != 0;
    return is_64 ? figure->goal_64 : figure->goal;
}

static void print_goal(const struct figure *figure, bool reached)
{
    const uint32_t goal = goal_of(figure);
    if (goal == 0) {
        verso_print(" info");
        return;
    }
    verso_print(" goal%s", figure->at_least ? ">=" : "<=");
    print_fixed(goal, goal % 1000 == 0 ? 0 : figure->decimals);
    verso_print(" reached=%s", reached ? "yes" : "no");
    if (reached)
        bench.reached++;
    else
        bench.missed++;
}

/* Linux was counted as a 64-bit kernel. */
static void print_linux(const struct figure *figure)
{
    if (sizeof(vaddr_t) == 8 && figure->linux_64 != 0)
        verso_print(" linux=%u", (unsigned)figure->linux_64);
}

/* As it is printed: rounded up where less is better, else down. */
static uint64_t figure_round(const struct figure *figure, uint64_t value)
{
    static const unsigned steps[] = {1000, 100, 10, 1};
    unsigned step = steps[figure->decimals];

    if (!figure->at_least)
        value += step - 1;
    return divide64(value, step) * step;
}

/* The line of a figure, up to where its newline goes; `value` in thousandths.
 * What is printed is what is judged. */
static void figure_begin(const struct figure *figure, uint64_t value)
{
    value = figure_round(figure, value);
    bool reached =
        figure->at_least ? value >= goal_of(figure) : value <= goal_of(figure);

    verso_print("figure ");
    print_arch();
    verso_print(" %s ", figure->name);
    print_fixed(value, figure->decimals);
    verso_print(" %s", figure->unit);
    print_goal(figure, reached);
    print_linux(figure);
}

static void figure_missing(const struct figure *figure, const char *why)
{
    verso_print("figure ");
    print_arch();
    verso_print(" %s n/a %s", figure->name, figure->unit);
    print_goal(figure, false);
    verso_print(" why=%s\n", why);
    bench.unmeasured++;
}

static uint64_t per_unit(uint64_t total, uint64_t units)
{
    return divide64(total * 1000 + units - 1, units);
}

static void print_beside(const char *name, uint64_t total, uint64_t units)
{
    verso_print(" %s=", name);
    print_fixed(divide64(total * 1000 + units / 2, units), 2);
}

static void figure_print(const struct figure *figure, const struct work *work,
    const struct cost *cost)
{
    uint64_t units = (uint64_t)work->rounds * work->units;

    figure_begin(figure, per_unit(cost->total, units));
    print_beside("invalidations", cost->invalidations, units);
    print_beside("flushes", cost->flushes, units);
    print_beside("toggles", cost->toggles, (uint64_t)work->steps * work->units);
    verso_print(" max=");
    print_fixed(per_unit(cost->max, work->units), 1);
    verso_print("\n");
}

/* Measures and prints; returns the value in thousandths, 0 if there is none. */
static uint64_t figure_run(const struct figure *figure, const struct work *work)
{
    struct cost cost;

    if (!bench_measure(work, &cost)) {
        figure_missing(figure, "no-memory");
        return 0;
    }
    figure_print(figure, work, &cost);
    return per_unit(cost.total, (uint64_t)work->rounds * work->units);
}

/* ---- objects ---- */

static NO_INLINE void run_pair64(void *arg)
{
    void *object = verso_alloc(64);
    (void)arg;
    if (object == NULL)
        bench.failed = true;
    verso_free(object);
}

/* Once beside another object of the size, as in a system that runs; once
 * alone, where each pair fills an empty slab and empties it. */
static void bench_objects(void)
{
    static const struct figure pair64 = {.name = "pair64",
        .unit = "insn",
        .goal = 80000,
        .linux_64 = 242,
        .decimals = 1};
    static const struct figure alone = {
        .name = "pair64_alone", .unit = "insn", .decimals = 1};
    static const struct work work = {
        .run = run_pair64, .rounds = 10000, .steps = 16, .units = 1};
    void *other = verso_alloc(64);

    (void)figure_run(&pair64, &work);
    verso_free(other);
    (void)figure_run(&alone, &work);
}

/* ---- areas ---- */

struct live {
    void **at;
    uint32_t count;
    uint32_t chosen; /* the one to be replaced next */
    uint32_t pages;  /* of its successor */
    size_t table_pages;
};

static uint32_t bench_area_pages(void)
{
    return 1 + bench_random_below(4);
}

static void live_choose(void *arg)
{
    struct live *live = arg;
    live->chosen = bench_random_below(live->count);
    live->pages = bench_area_pages();
}

static NO_INLINE void run_area_replace(void *arg)
{
    struct live *live = arg;
    void **slot = &live->at[live->chosen];
    verso_area_free(*slot);
    *slot = verso_area_alloc(live->pages, VERSO_AREA_BARE);
    if (*slot == NULL)
        bench.failed = true;
}

static void live_destroy(struct live *live)
{
    for (uint32_t i = 0; i < live->count; i++)
        if (live->at[i] != NULL)
            verso_area_free(live->at[i]);
    if (live->at != NULL)
        machine_pages_free(live->at, live->table_pages);
    verso_trim();
}

/* `count` areas of 1..4 pages, and as many replaced: what is measured later is
 * not the tidy row they were made in. */
static bool live_create(struct live *live, uint32_t count)
{
    size_t bytes = (size_t)count * sizeof(live->at[0]);

    *live = (struct live){.at = NULL};
    live->table_pages = (bytes + VERSO_PAGE_SIZE - 1) >> VERSO_PAGE_SHIFT;
    live->at = machine_pages(live->table_pages);
    if (live->at == NULL)
        return false;
    for (; live->count < count; live->count++) {
        void *area = verso_area_alloc(bench_area_pages(), VERSO_AREA_BARE);
        live->at[live->count] = area;
        if (area == NULL)
            return false;
    }
    bench.failed = false;
    for (uint32_t i = 0; i < count && !bench.failed; i++) {
        live_choose(live);
        run_area_replace(live);
    }
    return !bench.failed;
}

static uint64_t bench_areas_of(const struct figure *figure, uint32_t count)
{
    struct live live;
    uint64_t value = 0;

    if (live_create(&live, count)) {
        const struct work work = {.prepare = live_choose,
            .run = run_area_replace,
            .arg = &live,
            .rounds = 20000,
            .steps = 16,
            .units = 1};
        value = figure_run(figure, &work);
    } else {
        figure_missing(figure, "no-memory");
    }
    live_destroy(&live);
    return value;
}

/* A million areas, beside a thousand in the same run. That takes 256 MiB, so it
 * is to be asked for alone (`bench=million`). */
static int bench_million(void)
{
    static const struct figure few = {
        .name = "area_n1000_beside", .unit = "insn", .decimals = 1};
    static const struct figure many = {
        .name = "area_n1000000", .unit = "insn", .decimals = 1};
    static const struct figure ratio = {.name = "area_flatness_million",
        .unit = "ratio",
        .goal = 1200,
        .decimals = 3};
    uint64_t a = bench_areas_of(&few, 1000);
    uint64_t b = bench_areas_of(&many, 1000000);
    if (a == 0 || b == 0) {
        figure_missing(&ratio, "no-memory");
        return 1;
    }
    figure_begin(&ratio, per_unit(a > b ? a : b, a > b ? b : a));
    verso_print("\n");
    return 0;
}

static NO_INLINE void run_area16(void *arg)
{
    void *area = verso_area_alloc(16, VERSO_AREA_MAPPED);
    (void)arg;
    if (area == NULL)
        bench.failed = true;
    else
        verso_area_free(area);
}

static NO_INLINE void run_area4096(void *arg)
{
    void *area = verso_area_alloc(BENCH_PAGES, VERSO_AREA_MAPPED);
    (void)arg;
    if (area == NULL)
        bench.failed = true;
    else
        verso_area_free(area);
}

/* Addresses alone. */
static NO_INLINE void run_area1(void *arg)
{
    void *area = verso_area_alloc(1, VERSO_AREA_BARE);
    (void)arg;
    if (area == NULL)
        bench.failed = true;
    else
        verso_area_free(area);
}

static void bench_areas(void)
{
    static const struct figure few = {.name = "area_n1000",
        .unit = "insn",
        .goal = 400000,
        .linux_64 = 2788,
        .decimals = 1};
    static const struct figure many = {.name = "area_n100000",
        .unit = "insn",
        .goal = 400000,
        .linux_64 = 3624,
        .decimals = 1};
    static const struct figure ratio = {
        .name = "area_flatness", .unit = "ratio", .goal = 1200, .decimals = 3};
    static const struct figure area16 = {.name = "area16",
        .unit = "insn",
        .goal = 1500000,
        .goal_64 = 1200000,
        .linux_64 = 10197,
        .decimals = 1};
    static const struct figure area4096 = {.name = "area4096_page",
        .unit = "insn",
        .goal_64 = 50000,
        .linux_64 = 453,
        .decimals = 1};
    static const struct figure area1 = {.name = "area1",
        .unit = "insn",
        .goal_64 = 250000,
        .linux_64 = 1907,
        .decimals = 1};
    static const struct work work16 = {
        .run = run_area16, .rounds = 2000, .steps = 4, .units = 1};
    static const struct work work4096 = {
        .run = run_area4096, .rounds = 4, .steps = 1, .units = BENCH_PAGES};
    static const struct work work1 = {
        .run = run_area1, .rounds = 2000, .steps = 4, .units = 1};
    uint64_t a = bench_areas_of(&few, 1000);
    uint64_t b = bench_areas_of(&many, 100000);

    if (a == 0 || b == 0) {
        figure_missing(&ratio, "no-memory");
    } else {
        figure_begin(&ratio, per_unit(a > b ? a : b, a > b ? b : a));
        verso_print("\n");
    }
    (void)figure_run(&area16, &work16);
    (void)figure_run(&area4096, &work4096);
    (void)figure_run(&area1, &work1);
}

/* ---- page tables ---- */

struct range {
    pfn_t *frames; /* BENCH_PAGES of them, in machine_pages() */
    size_t taken;
    void *area;
    bool mapped;
    vaddr_t asked; /* query: the page */
};

#define RANGE_TABLE_PAGES                                                      \
    ((BENCH_PAGES * sizeof(pfn_t) + VERSO_PAGE_SIZE - 1) >> VERSO_PAGE_SHIFT)

static NO_INLINE void run_map(void *arg)
{
    struct range *range = arg;
    int err = verso_map_frames(
        (vaddr_t)range->area, range->frames, BENCH_PAGES, VERSO_RW);
    if (err != VERSO_OK)
        bench.failed = true;
    range->mapped = err == VERSO_OK;
}

static NO_INLINE void run_unmap(void *arg)
{
    struct range *range = arg;
    if (verso_unmap((vaddr_t)range->area, BENCH_PAGES) != VERSO_OK)
        bench.failed = true;
    range->mapped = false;
}

static void range_map(void *arg)
{
    struct range *range = arg;
    if (!range->mapped)
        run_map(arg);
}

static void range_unmap(void *arg)
{
    struct range *range = arg;
    if (range->mapped)
        run_unmap(arg);
}

static void range_choose(void *arg)
{
    struct range *range = arg;
    range_map(arg);
    range->asked =
        (vaddr_t)range->area +
        ((vaddr_t)bench_random_below(BENCH_PAGES) << VERSO_PAGE_SHIFT);
}

/* All is mapped, and may be written to. */
static void range_protect(void *arg)
{
    struct range *range = arg;
    range_map(arg);
    if (verso_protect((vaddr_t)range->area, BENCH_PAGES, VERSO_RW) != VERSO_OK)
        bench.failed = true;
}

static NO_INLINE void run_protect(void *arg)
{
    struct range *range = arg;
    if (verso_protect((vaddr_t)range->area, BENCH_PAGES, VERSO_READ) !=
        VERSO_OK)
        bench.failed = true;
}

static NO_INLINE void run_query(void *arg)
{
    struct range *range = arg;
    struct verso_mapping mapping;
    if (verso_query(range->asked, &mapping) != VERSO_OK)
        bench.failed = true;
}

static bool range_create(struct range *range)
{
    const struct verso_area_request request = {.pages = BENCH_PAGES,
        .flags = VERSO_AREA_BARE,
        .align = (size_t)4 << 20,
        .name = "bench"};

    *range = (struct range){.frames = machine_pages(RANGE_TABLE_PAGES)};
    range->area = verso_area_alloc_as(&request);
    if (range->frames == NULL || range->area == NULL)
        return false;
    for (; range->taken < BENCH_PAGES; range->taken++) {
        pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
        if (pfn_is_none(pfn))
            return false;
        range->frames[range->taken] = pfn;
    }
    return true;
}

static void range_destroy(struct range *range)
{
    range_unmap(range);
    while (range->taken > 0)
        verso_frame_free1(range->frames[--range->taken]);
    if (range->area != NULL)
        verso_area_free(range->area);
    if (range->frames != NULL)
        machine_pages_free(range->frames, RANGE_TABLE_PAGES);
}

static void bench_paging(void)
{
    static const struct figure map = {.name = "map_page",
        .unit = "insn",
        .goal = 16000,
        .goal_64 = 12000,
        .linux_64 = 70,
        .decimals = 1};
    static const struct figure unmap = {.name = "unmap_page",
        .unit = "insn",
        .goal = 12000,
        .goal_64 = 9000,
        .linux_64 = 10,
        .decimals = 1};
    static const struct figure protect = {.name = "protect_page",
        .unit = "insn",
        .goal_64 = 10000,
        .linux_64 = 133,
        .decimals = 1};
    static const struct figure query = {.name = "query",
        .unit = "insn",
        .goal = 60000,
        .linux_64 = 159,
        .decimals = 1};
    struct range range;

    if (!range_create(&range)) {
        figure_missing(&map, "no-memory");
        figure_missing(&unmap, "no-memory");
        figure_missing(&protect, "no-memory");
        figure_missing(&query, "no-memory");
    } else {
        struct work work = {.prepare = range_unmap,
            .run = run_map,
            .arg = &range,
            .rounds = 8,
            .steps = 1,
            .units = BENCH_PAGES};
        (void)figure_run(&map, &work);
        work.prepare = range_map;
        work.run = run_unmap;
        (void)figure_run(&unmap, &work);
        work.prepare = range_protect;
        work.run = run_protect;
        (void)figure_run(&protect, &work);
        work = (struct work){.prepare = range_choose,
            .run = run_query,
            .arg = &range,
            .rounds = 10000,
            .steps = 16,
            .units = 1};
        (void)figure_run(&query, &work);
    }
    range_destroy(&range);
}

/* A GiB, aligned, of frames in a row: where no RAM is, in the tests' window and
 * what follows it. */
#define GIB_PAGES ((size_t)1 << (30 - VERSO_PAGE_SHIFT))
#define GIB_FRAME pfn_make(0xc000000u)

static NO_INLINE void run_gib(void *arg)
{
    (void)arg;
    if (verso_map(machine_test_window(), GIB_FRAME, GIB_PAGES, VERSO_RW) !=
        VERSO_OK)
        bench.failed = true;
}

static void gib_unmap(void *arg)
{
    (void)arg;
    if (verso_unmap(machine_test_window(), GIB_PAGES) != VERSO_OK)
        bench.failed = true;
}

/* Is it one page? Where the machine has pages of a GiB, and no mirror. Then it
 * is measured beside another one, whose table it shares. */
static bool gib_is_page(void)
{
    struct verso_mapping mapping = {.page_pages = 0};
    run_gib(NULL);
    bool one = verso_query(machine_test_window(), &mapping) == VERSO_OK &&
               mapping.page_pages == GIB_PAGES;
    gib_unmap(NULL);
    return one;
}

static void bench_gib(void)
{
    static const struct figure map = {
        .name = "map_1g", .unit = "insn", .goal_64 = 3500000, .decimals = 1};
    static const struct figure huge = {
        .name = "map_1g_huge", .unit = "insn", .goal = 250000, .decimals = 1};
    static const struct work work = {.prepare = gib_unmap,
        .run = run_gib,
        .rounds = 4,
        .steps = 1,
        .units = 1};
    if (sizeof(vaddr_t) == 4) /* there is no room */
        return;
    const vaddr_t beside =
        machine_test_window() + (GIB_PAGES << VERSO_PAGE_SHIFT);
    bool one = gib_is_page();
    if (one && verso_map(beside, GIB_FRAME, GIB_PAGES, VERSO_RW) != VERSO_OK)
        bench.failed = true;
    (void)figure_run(one ? &huge : &map, &work);
    gib_unmap(NULL);
    if (one && verso_unmap(beside, GIB_PAGES) != VERSO_OK)
        bench.failed = true;
}

/* ---- frames ---- */

static NO_INLINE void run_frame_pair(void *arg)
{
    pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
    (void)arg;
    if (pfn_is_none(pfn))
        bench.failed = true;
    else
        verso_frame_free1(pfn);
}

static NO_INLINE void run_frame_bulk(void *arg)
{
    struct verso_chain chain;
    (void)arg;
    if (verso_frame_alloc_bulk(&chain, BENCH_PAGES, VERSO_ZONE_ANY) != VERSO_OK)
        bench.failed = true;
    else
        verso_frame_free_bulk(&chain);
}

static void bench_frames(void)
{
    static const struct figure pair = {.name = "frame_pair",
        .unit = "insn",
        .goal = 60000,
        .linux_64 = 690,
        .decimals = 1};
    static const struct figure bulk = {
        .name = "frame_bulk", .unit = "insn", .goal = 20000, .decimals = 1};
    static const struct work work_pair = {
        .run = run_frame_pair, .rounds = 10000, .steps = 16, .units = 1};
    static const struct work work_bulk = {
        .run = run_frame_bulk, .rounds = 8, .steps = 1, .units = BENCH_PAGES};
    (void)figure_run(&pair, &work_pair);
    (void)figure_run(&bulk, &work_bulk);
}

/* ---- first touch ---- */

struct touch {
    unsigned char *area;
    size_t next; /* page to be touched */
};

/* A new area when every page of this one has been touched. */
static void touch_prepare(void *arg)
{
    struct touch *touch = arg;

    touch->next++;
    if (touch->area != NULL && touch->next < TOUCH_PAGES)
        return;
    if (touch->area != NULL)
        verso_area_free(touch->area);
    touch->next = 0;
    touch->area =
        verso_area_alloc(TOUCH_PAGES, VERSO_AREA_LAZY | VERSO_AREA_UNZEROED);
    if (touch->area == NULL)
        bench.failed = true;
}

static NO_INLINE void run_touch(void *arg)
{
    struct touch *touch = arg;
    if (touch->area != NULL)
        ((volatile unsigned char *)
                touch->area)[touch->next << VERSO_PAGE_SHIFT] = 1;
}

static NO_INLINE void run_touch_call(void *arg)
{
    struct touch *touch = arg;
    vaddr_t va = (vaddr_t)touch->area + (touch->next << VERSO_PAGE_SHIFT);
    if (touch->area == NULL ||
        verso_fault(va, VERSO_FAULT_WRITE) != VERSO_FAULT_HANDLED)
        bench.failed = true;
}

static void bench_touch(void)
{
    static const struct figure first = {.name = "first_touch",
        .unit = "insn",
        .goal = 500000,
        .goal_64 = 400000,
        .linux_64 = 2696,
        .decimals = 1};
    static const struct figure call = {
        .name = "first_touch_call", .unit = "insn", .decimals = 1};
    struct touch touch = {.area = NULL};
    struct work work = {.prepare = touch_prepare,
        .run = run_touch,
        .arg = &touch,
        .rounds = 4 * TOUCH_PAGES,
        .steps = 16,
        .units = 1};
    struct live live;

    if (!live_create(&live, 1000)) {
        figure_missing(&first, "no-memory");
        figure_missing(&call, "no-memory");
    } else {
        (void)figure_run(&first, &work);
        work.run = run_touch_call;
        (void)figure_run(&call, &work);
    }
    if (touch.area != NULL)
        verso_area_free(touch.area);
    live_destroy(&live);
}

/* ---- a real trace ---- */

/* NULL if all went well, else the reason, as one word. */
static const char *bench_replay(const char *name, struct replay_result *result)
{
    struct archive archive;
    struct archive_file file;
    size_t bytes = 0;
    const void *start = machine_archive(&bytes);

    if (start == NULL)
        return "no-archive";
    archive_open(&archive, start, bytes);
    while (archive_next(&archive, &file) == ARCHIVE_FILE) {
        if (!text_equal(file.name, name))
            continue;
        const struct replay_input input = {
            .name = file.name, .text = file.text, .bytes = file.bytes};
        replay_run(&input, result);
        if (!result->ok)
            verso_print("replay %s: %s\n", name, result->reason);
        return result->ok ? NULL : "replay-failed";
    }
    return "not-in-the-archive";
}

static void bench_trace(void)
{
    static const struct figure utilisation = {.name = "linux_boot_utilisation",
        .unit = "ratio",
        .goal = 920,
        .decimals = 3,
        .at_least = true};
    static const struct figure insn = {.name = "linux_boot_insn",
        .unit = "insn",
        .goal = 120000,
        .decimals = 1};
    struct replay_result result;
    const char *why = bench_replay("linux-boot", &result);

    if (why != NULL) {
        figure_missing(&utilisation, why);
        figure_missing(&insn, why);
        return;
    }
    figure_begin(&utilisation, replay_utilisation(&result));
    verso_print("\n");
    figure_begin(&insn, per_unit(result.spent, result.ops));
    verso_print("\n");
}

/* What it took to get here: instructions, and memory, which is all RAM that is
 * not free. To be asked for alone (`bench=boot`), before anything else. */
static int bench_boot(void)
{
    static const struct figure took = {
        .name = "boot_instructions", .unit = "instructions"};
    static const struct figure has = {.name = "boot_memory", .unit = "KiB"};
    const uint64_t instructions = machine_count() - machine_boot_count();
    const struct verso_boot *boot = machine_boot();
    struct verso_frame_stats stats;
    uint64_t bytes = 0;
    verso_frame_stats(&stats);
    for (size_t i = 0; i < boot->map_count; i++)
        bytes += boot->map[i].usable ? boot->map[i].bytes : 0;
    bytes -= (uint64_t)stats.free << VERSO_PAGE_SHIFT;
    figure_begin(&took, instructions * 1000);
    verso_print("\n");
    figure_begin(&has, bytes * 1000 / 1024);
    verso_print("\n");
    return 0;
}

int bench_main(void)
{
    const char *only = machine_option("bench");
    if (!machine_counts())
        return machine_bench();
    if (only != NULL && text_equal(only, "boot"))
        return bench_boot();
    bench.random = 0x2545f491;
    bench.reached = bench.missed = bench.unmeasured = 0;
    bench_calibrate();
    verso_trim();
    if (only != NULL && text_equal(only, "gib")) {
        bench_gib();
        return bench.unmeasured == 0 ? 0 : 1;
    }
    if (only != NULL && text_equal(only, "million"))
        return bench_million();
    bench_objects();
    bench_areas();
    bench_paging();
    bench_gib();
    bench_frames();
    bench_touch();
    bench_trace();
    verso_print("figures: %u reached, %u not\n", bench.reached, bench.missed);
    return bench.unmeasured == 0 ? 0 : 1;
}
