/* SPDX-License-Identifier: MIT */
/*
 * summary.c - the report of a run that was asked for nothing else: what machine
 * this is, where everything lies, what real programs' traces cost, what the
 * heap looks like when it is fullest, and whether every invariant holds.
 *
 * The picture of the address space is drawn from struct verso_boot and the
 * machine's mirror, nothing of it is typed in here:
 *
 *     region_add() for all -> sorted by start, the larger first -> one row
 *     each, indented by how many regions it lies in; a row for each gap
 */
#include <verso/verso.h>

#include "kernel.h"
#include "machine.h"

#define REGIONS_MAX 40u
#define NEST_MAX    4u

struct region {
    vaddr_t start, last; /* both inclusive: the last may be the very last */
    const char *name;
    unsigned flags; /* rights and cache type; 0: see note */
    const char *note;
};

static struct {
    struct region regions[REGIONS_MAX];
    size_t region_count;
    char frames_note[48], mirror_note[64], root_note[64], heap_note[48];
    struct archive_file shown; /* the trace whose slabs are shown */
    size_t shown_peak;         /* after so many operations; 0: none */
} summary;

static void print_heading(const char *title)
{
    verso_print("\n-- %s ", title);
    for (size_t column = text_length(title) + 4; column < 96; column++)
        verso_print("-");
    verso_print("\n\n");
}

static void print_banner(void)
{
    struct verso_frame_stats stats;
    char usable[16];

    verso_frame_stats(&stats);
    verso_print(
        "\n"
        "  __   _____ ___ ___  ___\n"
        "  \\ \\ / / __| _ \\ __|/ _ \\   virtual memory for kernels:\n"
        "   \\ V /| _||   \\__ \\ (_) |  frames, mirrored page tables,\n"
        "    \\_/ |___|_|_\\___/\\___/   areas, slabs, alloc\n\n");
    verso_print("  machine  %s\n", machine_name());
    verso_print("  memory   %s in %zu frames, %zu of them free\n",
        text_bytes(usable, (uint64_t)stats.managed << VERSO_PAGE_SHIFT),
        stats.managed, stats.free);
    verso_print("  counter  %s\n", machine_counts()
                                       ? "instructions, exact (icount)"
                                       : "none: insn_per_op will be n/a");
}

/* ---- physical memory ---- */

static void print_range(const struct verso_range *range, const char *kind)
{
    char size[16];
    uint64_t last = range->start + range->bytes - 1;

    if (range->bytes == 0)
        last = range->start;
    verso_print("  %012llx - %012llx  %10s  %s\n",
        (unsigned long long)range->start, (unsigned long long)last,
        text_bytes(size, range->bytes), kind);
}

/* What a reserved range is for; boot loaders and kernels do not say. */
static const char *range_kind(const struct verso_range *range)
{
    const struct verso_boot *boot = machine_boot();
    size_t bytes = 0;
    const void *archive = machine_archive(&bytes);

    if (range->start == 0)
        return "page 0: frame number 0 means none";
    if (archive != NULL &&
        boot->direct_offset + range->start == (uintptr_t)archive)
        return "the archive of traces";
    for (size_t i = 0; i < boot->fixed_count; i++)
        if ((boot->fixed[i].flags & VERSO_EXEC) &&
            boot->fixed[i].pa >= range->start &&
            boot->fixed[i].pa - range->start < range->bytes)
            return "the kernel";
    return "devices, firmware, other modules";
}

static void print_memory_map(const struct verso_boot *boot)
{
    print_heading("Physical memory, as the boot loader reports it");
    for (size_t i = 0; i < boot->map_count; i++)
        print_range(&boot->map[i], boot->map[i].usable ? "RAM" : "reserved");
    verso_print("\n  and of it, never handed out:\n\n");
    for (size_t i = 0; i < boot->reserved_count; i++)
        print_range(&boot->reserved[i], range_kind(&boot->reserved[i]));
    const struct verso_range frames = {.start = boot->frames_pa,
        .bytes = (uint64_t)boot->frame_count * sizeof(struct frame)};
    print_range(&frames, "the frame array");
}

/* ---- the address space ---- */

static void region_add(const struct region *region)
{
    if (summary.region_count == REGIONS_MAX)
        return;
    summary.regions[summary.region_count++] = *region;
}

static bool region_is_before(const struct region *a, const struct region *b)
{
    if (a->start != b->start)
        return a->start < b->start;
    return a->last > b->last;
}

/* By insertion: there are a dozen. */
static void regions_sort(void)
{
    struct region *at = summary.regions;

    for (size_t i = 1; i < summary.region_count; i++) {
        struct region moved = at[i];
        size_t to = i;
        for (; to > 0 && region_is_before(&moved, &at[to - 1]); to--)
            at[to] = at[to - 1];
        at[to] = moved;
    }
}

static const char *fixed_note(
    const struct verso_boot *boot, const struct verso_fixed *fixed)
{
    if (fixed->va == fixed->pa)
        return "Paddr == Vaddr";
    return fixed->va - boot->direct_offset == fixed->pa ? "direct map"
                                                        : "fixed";
}

static void regions_add_boot(const struct verso_boot *boot)
{
    const uint64_t array = (uint64_t)boot->frame_count * sizeof(struct frame);
    const vaddr_t frames = (vaddr_t)boot->frames;

    for (size_t i = 0; i < boot->fixed_count; i++) {
        const struct verso_fixed *fixed = &boot->fixed[i];
        const struct region region = {.start = fixed->va,
            .last = fixed->va + (vaddr_t)(fixed->bytes - 1),
            .name = fixed->name,
            .flags = fixed->flags,
            .note = fixed_note(boot, fixed)};
        region_add(&region);
    }
    verso_format(summary.frames_note, sizeof(summary.frames_note),
        "%zu frames, %zu bytes each", boot->frame_count, sizeof(struct frame));
    const struct region array_region = {.start = frames,
        .last = frames + (vaddr_t)(array - 1),
        .name = "struct frame [ ]",
        .note = summary.frames_note};
    region_add(&array_region);
}

static void regions_add_heap(const struct verso_boot *boot)
{
    const vaddr_t heap_last =
        boot->heap_start +
        (((vaddr_t)boot->heap_pages << VERSO_PAGE_SHIFT) - 1);
    struct verso_area_stats stats;

    verso_area_stats(&stats);
    verso_format(summary.heap_note, sizeof(summary.heap_note),
        "areas now: %zu; free ranges: %zu", stats.used, stats.free);
    const struct region heap = {.start = boot->heap_start,
        .last = heap_last,
        .name = "heap: areas, slabs, nodes",
        .note = summary.heap_note};
    region_add(&heap);
}

static void regions_add_users(const struct verso_boot *boot)
{
    const struct region users = {.start = boot->user_start,
        .last = boot->user_start +
                (((vaddr_t)boot->user_pages << VERSO_PAGE_SHIFT) - 1),
        .name = "user spaces",
        .note = "other pages in each; none in the kernel's own"};
    if (boot->user_pages != 0)
        region_add(&users);
}

/* "N * 4M + N * 4K": where the mirror shows a table of the lowest level (which:
 * I), or the root (N). */
static void mirror_place(
    char text[64], const struct machine_mirror *mirror, char which)
{
    static const char units[] = "KMGTPE";
    size_t used = 0;
    char number = 'N';

    text[0] = '\0';
    for (uint64_t bytes = mirror->bytes; bytes >= VERSO_PAGE_SIZE;
         bytes >>= mirror->bits) {
        unsigned unit = 0;
        if (which == 'I' && bytes != mirror->bytes) {
            number = 'I';
            bytes = VERSO_PAGE_SIZE;
        }
        while (bytes >> 10 * (unit + 2) != 0)
            unit++;
        verso_format(text + used, 64 - used, "%s%c * %u%c",
            used > 0 ? " + " : "", number, (unsigned)(bytes >> 10 * (unit + 1)),
            units[unit]);
        used = text_length(text);
    }
}

static void regions_add_mirror(void)
{
    struct machine_mirror mirror;
    char table[64];

    machine_mirror(&mirror);
    mirror_place(table, &mirror, 'I');
    mirror_place(summary.root_note, &mirror, 'N');
    verso_format(summary.mirror_note, sizeof(summary.mirror_note),
        "N = %u: table I is at %s", mirror.slot, table);
    const struct region window = {.start = mirror.tables,
        .last = mirror.tables + (vaddr_t)(mirror.slots * mirror.bytes - 1),
        .name = "mirror of the page tables",
        .note = summary.mirror_note};
    const struct region directory = {.start = mirror.directory,
        .last = mirror.directory + (mirror.slots * VERSO_PAGE_SIZE - 1),
        .name = mirror.bytes >> mirror.bits == VERSO_PAGE_SIZE
                    ? "page directory"
                    : "their root",
        .note = summary.root_note};
    region_add(&window);
    region_add(&directory);
}

static void regions_add_edges(void)
{
    const struct region first = {.start = 0,
        .last = VERSO_PAGE_SIZE - 1,
        .name = "page 0",
        .note = "never mapped: NULL faults"};
    const struct region last = {.start = UINTPTR_MAX - (VERSO_PAGE_SIZE - 1),
        .last = UINTPTR_MAX,
        .name = "last page",
        .note = "never mapped: start + size must not wrap"};
    region_add(&first);
    region_add(&last);
}

static void print_rights(unsigned flags)
{
    verso_print("%c%c%c %s", flags & VERSO_READ ? 'R' : '-',
        flags & VERSO_WRITE ? 'W' : '-', flags & VERSO_EXEC ? 'X' : '-',
        (flags & VERSO_CACHE_MASK) == VERSO_CACHE_UC   ? "uncached, "
        : (flags & VERSO_CACHE_MASK) == VERSO_CACHE_WC ? "write-combining, "
        : (flags & VERSO_CACHE_MASK) == VERSO_CACHE_WT ? "write-through, "
                                                       : "");
}

/* Of an address, in hexadecimal. */
#define DIGITS ((int)(2 * sizeof(vaddr_t)))

static void print_rule(void)
{
    verso_print("  %*s +------------------------------------+\n", DIGITS, "");
}

static void print_region(const struct region *region, unsigned depth)
{
    char size[16];
    int indent = (int)depth * 2;

    verso_print("  %0*zx |%*s %-*s|", DIGITS, (size_t)region->start, indent, "",
        35 - indent, region->name);
    verso_print(" %9s  ",
        text_bytes(size, (uint64_t)(region->last - region->start) + 1));
    if (region->flags != 0)
        print_rights(region->flags);
    verso_print("%s\n", region->note);
}

static void print_gap(vaddr_t start, vaddr_t end)
{
    char size[16];
    verso_print("  %*s |            . . .                   | %9s\n", DIGITS,
        "", text_bytes(size, (uint64_t)(end - start)));
}

/* How many of the regions in `nest` the address lies in; the others are
 * dropped. */
static unsigned nest_depth(
    const struct region *const *nest, unsigned depth, vaddr_t va)
{
    while (depth > 0 && nest[depth - 1]->last < va)
        depth--;
    return depth;
}

static void print_address_space(const struct verso_boot *boot)
{
    const struct region *nest[NEST_MAX];
    unsigned depth = 0;
    vaddr_t next = 0; /* first address that is not drawn yet */

    summary.region_count = 0;
    regions_add_boot(boot);
    regions_add_heap(boot);
    regions_add_users(boot);
    regions_add_mirror();
    regions_add_edges();
    regions_sort();
    print_heading("Address space");
    for (size_t i = 0; i < summary.region_count; i++) {
        const struct region *region = &summary.regions[i];
        depth = nest_depth(nest, depth, region->start);
        if (depth == 0)
            print_rule();
        if (depth == 0 && region->start > next) {
            print_gap(next, region->start);
            print_rule();
        }
        print_region(region, depth);
        if (depth < NEST_MAX)
            nest[depth++] = region;
        if (region->last >= next)
            next = region->last + 1;
    }
    print_rule();
}

/* ---- the heap at its fullest ---- */

/* Called in the middle of a replay. */
static void print_snapshot(const char *name)
{
    struct verso_area_stats areas;
    struct verso_paging_stats paging;
    char size[16];

    (void)name;
    verso_report_slabs();
    verso_area_stats(&areas);
    verso_paging_stats(&paging);
    verso_print("\n  %s in %zu frames, replay's own tables included;\n"
                "  %zu areas, %zu descriptors, %zu page tables\n",
        text_bytes(size, (uint64_t)verso_frame_used() << VERSO_PAGE_SHIFT),
        verso_frame_used(), areas.used, areas.nodes, paging.tables);
}

/* The trace to be looked at: the kernel's, else the last one that is good. */
static void summary_visit(
    const struct archive_file *file, const struct replay_result *result)
{
    if (!result->ok || text_equal(summary.shown.name, "linux-boot"))
        return;
    summary.shown = *file;
    summary.shown_peak = result->peak_op;
}

/* Runs that trace again up to the operation where most bytes were in use. */
static int summary_show_peak(void)
{
    const struct replay_input input = {.name = summary.shown.name,
        .text = summary.shown.text,
        .bytes = summary.shown.bytes,
        .stop_at = summary.shown_peak,
        .stop = print_snapshot};
    struct replay_result result;
    char title[ARCHIVE_NAME_MAX + 48];

    if (summary.shown_peak == 0)
        return 0; /* no trace, or none that allocates */
    verso_format(title, sizeof(title),
        "Slabs of %s after %zu operations, its peak", input.name,
        input.stop_at);
    print_heading(title);
    replay_run(&input, &result);
    return result.ok ? 0 : 1;
}

int summary_run(void)
{
    const struct verso_boot *boot = machine_boot();
    size_t bytes = 0;
    int failed = 0;

    print_banner();
    print_memory_map(boot);
    print_address_space(boot);
    print_heading("Traces of real programs");
    if (machine_archive(&bytes) == NULL)
        verso_print("  none was given\n");
    else
        failed += replay_archive(NULL, summary_visit);
    failed += summary_show_peak();
    print_heading("Areas, now that all is freed");
    verso_report_areas();
    print_heading("Check");
    const char *broken = verso_check();
    if (broken != NULL)
        failed++;
    verso_print("  %s\n", broken != NULL ? broken : "every invariant holds");
    if (failed == 0)
        verso_print("\nverso: all went well\n");
    else
        verso_print("\nverso: %d FAILED, see above\n", failed);
    return failed;
}
