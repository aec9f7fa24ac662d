/* SPDX-License-Identifier: MIT */
/*
 * glue.c - Verso in a Linux process, on the simulated machine (arch/um).
 *
 * This file is to that machine what kernel/x86 is to a PC: host.h's functions,
 * kernel/machine.h's functions, the page-fault handler, and the boot structure.
 * Environment: MEM=64M, ACCESSOR=mirror|direct, LARGE=0 (no large
 * pages; LARGE=1: none of 1 GiB), GLOBAL=0 (no global ones), NX=0 (where 64-bit
 * entries are, no bit that forbids execution), LEVELS=5,
 * CLASSES="16 64 4096" (alloc's), BOOT=name (a boot
 * structure that is not as it should be: boot_spoil). What it lays out:
 *
 *     32-bit      64-bit
 *     0x60000000  0x200000000000  test_window(), 64 MiB or 4 GiB
 *     0x98000000  0x200180000000  the pages through which paging reaches frames
 *     0x70000000  0x247ff0000000  heap, 512 MiB; in 64-bit under two entries of
 *                                 the root
 *     0x90000000  0x280000000000  user spaces, 128 MiB or 512 GiB; none with
 *                                 five levels, of which one entry is all
 *     0x9fc00000  0x300000000000  the mirror, of 4 MiB or 512 GiB
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <machine/um.h>
#include <verso/verso.h>

#include "../../kernel/machine.h"
#include "../../kernel/um/probe.h"
#include "../test.h"
#include "../adopt.h"
#include "glue.h"
#include "hooks.h"

#ifdef __x86_64__
#define TEST_BYTES    0x100000000u
#define HEAP_START    0x247ff0000000u
#define PAGING_WINDOW (um_window() + 0x180000000u)
#define USER_START    0x280000000000u
#define USER_BYTES    0x008000000000u
#else
#define TEST_BYTES    0x04000000u
#define HEAP_START    (UM_WINDOW + 0x10000000u)
#define PAGING_WINDOW (um_window() + 0x38000000u)
#define USER_START    0x90000000u
#define USER_BYTES    0x08000000u
#endif
#ifdef __x86_64__
#define ADOPT_EXTRA (um_window() + 0x200000000u)
#define ADOPT_SELF  200u
#else
#define ADOPT_EXTRA (um_window() + 0x3a000000u)
#define ADOPT_SELF  300u
#endif
#define ADOPT_FIXED_VA (PAGING_WINDOW + 0x100000u)
#define HEAP_PAGES     (512u << 20 >> VERSO_PAGE_SHIFT)

/* A part of the library without areas has no faults of its own. */
extern __typeof__(verso_fault) verso_fault __attribute__((weak));
/* The sanitizer's, where there is one. */
void __sanitizer_print_stack_trace(void) __attribute__((weak));

static struct {
    struct verso_boot boot;
    struct verso_range map[1];
    struct verso_fixed fixed[VERSO_CACHE_RANGES + 1];
    bool in_interrupt, quiet;
    struct verso_range pool; /* adopt.c's tables: */
    uint32_t pool_start, pool_pages;
    size_t ram_bytes;
    char *captured; /* NULL: what is printed goes to stdout */
    size_t captured_room;
} host;

VERSO_NORETURN static void bail_out(const char *what)
{
    printf("Bail out! %s\n", what);
    fflush(stdout);
    if (__sanitizer_print_stack_trace)
        __sanitizer_print_stack_trace();
    exit(70); /* not at once: a fuzzer keeps the input first */
}

/* ---- host.h ---- */

void verso_host_panic(const char *message)
{
    probe_panic(message);
    bail_out(message);
}

void test_capture(char *text, size_t room)
{
    host.captured = text;
    host.captured_room = room;
    if (text != NULL)
        text[0] = 0;
}

static void capture(const char *text, size_t bytes)
{
    while (bytes-- > 0 && host.captured_room > 1) {
        *host.captured++ = *text++;
        host.captured_room--;
    }
    *host.captured = 0;
}

/* The text may lie in the window, where a system call cannot read it. */
void verso_host_log(const char *text, size_t bytes)
{
    char copy[256];
    if (host.captured != NULL) {
        capture(text, bytes);
        return;
    }
    while (bytes > 0 && !host.quiet) {
        size_t part = bytes < sizeof(copy) ? bytes : sizeof(copy);
        memcpy(copy, text, part);
        fwrite(copy, 1, part, stdout);
        text += part;
        bytes -= part;
    }
}

void verso_host_yield(void)
{
}

bool verso_host_in_interrupt(void)
{
    return host.in_interrupt;
}

/* ---- machine.h ---- */

void machine_write(const char *text, size_t bytes)
{
    verso_host_log(text, bytes);
}

int machine_read(void)
{
    return getchar();
}

bool machine_in_interrupt(void)
{
    return host.in_interrupt;
}

void machine_pretend_interrupt(bool running)
{
    host.in_interrupt = running;
}

void machine_panic(const char *message)
{
    verso_host_panic(message);
}

/* With 5 levels it lies where no process has addresses. */
void machine_mirror(struct machine_mirror *mirror)
{
    const unsigned top = um_levels() - 1;
    const vaddr_t slot = host.boot.mirror_slot;
    *mirror = (struct machine_mirror){.slot = host.boot.mirror_slot};
    if (um_levels() > UM_LEVELS)
        return;
    mirror->tables = slot << um_shift(top);
    for (unsigned level = 0; level <= top; level++)
        mirror->directory += slot << um_shift(level);
    mirror->slots = UM_STARTS;
    mirror->bytes = um_span(top);
}

void machine_exit(int code)
{
    exit(code);
}

bool machine_counts(void)
{
    return false;
}

uint64_t machine_count(void)
{
    return 0;
}

const char *machine_option(const char *key)
{
    return getenv(key);
}

const void *machine_archive(size_t *bytes)
{
    *bytes = 0;
    return NULL;
}

const char *machine_symbol(vaddr_t address, size_t *offset)
{
    (void)address;
    *offset = 0;
    return NULL;
}

/* The host has more, but a kernel has not. */
void *machine_pages(size_t pages)
{
    if (pages > host.ram_bytes >> VERSO_PAGE_SHIFT)
        return NULL;
    void *at = mmap(NULL, pages << VERSO_PAGE_SHIFT, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

void machine_pages_free(void *address, size_t pages)
{
    munmap(address, pages << VERSO_PAGE_SHIFT);
}

const char *machine_name(void)
{
    static char name[40];
    snprintf(name, sizeof(name), "um, a simulated x86, %u levels", um_levels());
    return name;
}

const struct verso_boot *machine_boot(void)
{
    return &host.boot;
}

/* ---- the machine's ---- */

/* Run by the machine on the stack of the access; see um.h. */
static void on_fault(uintptr_t va, unsigned code)
{
    static uintptr_t last;
    static unsigned repeated;
    enum verso_fault owner = VERSO_FAULT_NOT_OURS;
    char text[80];
    if (verso_fault && !(code & MACHINE_RESERVED))
        owner = verso_fault(va, code);
    repeated = owner == VERSO_FAULT_SPURIOUS && va == last ? repeated + 1 : 0;
    last = va;
    if (owner == VERSO_FAULT_HANDLED ||
        (owner == VERSO_FAULT_SPURIOUS && repeated < 100))
        return;
    probe_fault(code);
    snprintf(text, sizeof(text), "page fault at 0x%lx, code %u, verdict %d",
        (unsigned long)va, code, (int)owner);
    bail_out(text);
}

static void on_machine_check(const char *what, uintptr_t va)
{
    char text[120];
    snprintf(text, sizeof(text), "machine check: %s (0x%lx)", what,
        (unsigned long)va);
    verso_host_panic(text);
}

/* Asked at each walk. */
static bool is_table(uint32_t pfn)
{
    return pfn < host.boot.frame_count &&
           (host.boot.frames[pfn].state == FRAME_TABLE ||
               pfn - host.pool_start < host.pool_pages);
}

bool test_use_is_random(void)
{
    return um_sets_use();
}

void test_calm(bool calm)
{
    const char *words = getenv("UM");
    (void)um_misbehave(words && !calm ? words : "");
}

void test_interrupt(void (*handler)(void))
{
    um_interrupt(handler);
}

size_t test_audit(void)
{
    return um_audit(um_audit_print);
}

size_t test_stores(void)
{
    return um_stats()->stores;
}

vaddr_t test_window(size_t *pages)
{
    *pages = TEST_BYTES >> VERSO_PAGE_SHIFT;
    return um_window();
}

/* "64M", "4096K", "1G", or bytes. */
static size_t parse_bytes(const char *text)
{
    char *end;
    size_t bytes = strtoul(text, &end, 0);
    if (*end == 'K')
        bytes <<= 10;
    if (*end == 'M')
        bytes <<= 20;
    if (*end == 'G')
        bytes <<= 30;
    return bytes & ~(size_t)(VERSO_PAGE_SIZE - 1);
}

static const char *option(const char *key, const char *otherwise)
{
    const char *value = getenv(key);
    return value && *value ? value : otherwise;
}

/* What nobody may touch: behind the last descriptor, and with the direct map
 * alone what it does not reach. */
static void boot_close(const struct verso_boot *boot, size_t ram_bytes)
{
    const struct frame *end = boot->frames + boot->frame_count;
    const size_t direct = (size_t)(boot->direct_bytes - UM_RAM_START);
    hooks_close(end, -(uintptr_t)end % VERSO_PAGE_SIZE);
    if (boot->use_direct)
        hooks_close(um_ram() + direct, ram_bytes - direct);
}

/* Half of RAM is zone 0, and 4 GiB the end of the last: beyond RAM. The mirror
 * build may not reach any frame directly
 * once paging is on; the frame array it always can, past the tables. */
static void boot_fill(size_t ram_bytes, bool direct)
{
    struct verso_boot *boot = &host.boot;
    host.map[0] = (struct verso_range){UM_RAM_START, ram_bytes, true};
    boot->map = host.map;
    boot->map_count = 1;
    boot->zone_limit[0] = UM_RAM_START + ram_bytes / 2;
    boot->zone_limit[VERSO_ZONES - 1] = (uint64_t)1 << 32;
    boot->mirror_slot = um_mirror_slot();
    boot->direct_offset = (vaddr_t)um_ram() - UM_RAM_START;
    boot->direct_bytes = direct ? boot->zone_limit[0] : 0;
    boot->use_direct = direct;
    boot->window = PAGING_WINDOW;
    if (um_levels() * UM_INDEX_BITS + UM_PAGE_SHIFT <= 48) {
        boot->user_start = USER_START;
        boot->user_pages = USER_BYTES >> VERSO_PAGE_SHIFT;
    }
    boot->heap_start = HEAP_START;
    boot->heap_pages = HEAP_PAGES;
    if (verso_frame_place(boot, UM_RAM_START) != 0)
        bail_out("no room for the frame array");
    /* as RAM is: full of something */
    memset(boot->frames, 0xa5, boot->frame_count * sizeof(struct frame));
}

/* What host-boot.t wants to be refused, or to work: of fixed mappings, */
static void boot_spoil_fixed(const char *how, size_t ram_bytes)
{
    struct verso_boot *boot = &host.boot;
    host.fixed[0] = (struct verso_fixed){um_window() - 0x10000000u,
        UM_RAM_START, 16 * VERSO_PAGE_SIZE, VERSO_RW | VERSO_CACHE_UC, "odd"};
    if (strstr(how, "fixed") != NULL) {
        boot->fixed = host.fixed;
        boot->fixed_count = 1;
    }
    if (strcmp(how, "fixed-in-heap") == 0)
        host.fixed[0].va = HEAP_START - VERSO_PAGE_SIZE;
    if (strcmp(how, "fixed-over-window") == 0)
        host.fixed[0].va = PAGING_WINDOW;
    if (strcmp(how, "fixed-too-high") == 0)
        host.fixed[0].pa = (uint64_t)1 << (sizeof(verso_phys_t) == 4 ? 32 : 44);
    if (strcmp(how, "fixed-device") == 0)
        host.fixed[0].pa = UM_RAM_START + 2 * ram_bytes;
    for (size_t i = 0; i <= VERSO_CACHE_RANGES; i++)
        if (strcmp(how, "fixed-devices") == 0) {
            host.fixed[i] = host.fixed[0];
            host.fixed[i].bytes = VERSO_PAGE_SIZE;
            host.fixed[i].va += i * VERSO_PAGE_SIZE;
            host.fixed[i].pa =
                UM_RAM_START + 2 * ram_bytes + 2 * i * VERSO_PAGE_SIZE;
            boot->fixed_count = i + 1;
        }
    if (strcmp(how, "fixed-too-long") == 0)
        host.fixed[0].bytes = UINT64_MAX - (VERSO_PAGE_SIZE - 1);
    if (strcmp(how, "fixed-cache-7") == 0)
        host.fixed[0].flags |= VERSO_CACHE_MASK;
    if (strcmp(how, "fixed-uncached-ram") == 0)
        host.fixed[0] = (struct verso_fixed){0x50000000, UM_RAM_START,
            ram_bytes, VERSO_RW | VERSO_CACHE_UC, "odd"};
    if (strcmp(how, "fixed-twice") == 0) {
        host.fixed[0].pa = 0; /* no RAM */
        host.fixed[0].flags = VERSO_RW;
        host.fixed[1] = (struct verso_fixed){0x50100000, 15 * VERSO_PAGE_SIZE,
            VERSO_PAGE_SIZE, VERSO_RW | VERSO_CACHE_UC, "even"};
        boot->fixed_count = 2;
    }
}

/* and of the rest. */
static void boot_spoil(const char *how, size_t ram_bytes)
{
    static const uint32_t no_classes[1];
    struct verso_boot *boot = &host.boot;
    boot_spoil_fixed(how, ram_bytes);
    if (strcmp(how, "window-in-heap") == 0)
        boot->window = HEAP_START + 5 * VERSO_PAGE_SIZE;
    if (strcmp(how, "no-window") == 0)
        boot->window = 0;
    if (strcmp(how, "heap-in-mirror") == 0)
        boot->heap_start =
            ((vaddr_t)um_mirror_slot() << um_shift(um_levels() - 1)) -
            VERSO_PAGE_SIZE;
    if (strcmp(how, "users-in-heap") == 0) {
        boot->user_start =
            HEAP_START & ~(((vaddr_t)1 << um_shift(um_levels() - 1)) - 1);
        boot->user_pages =
            ((vaddr_t)1 << um_shift(um_levels() - 1)) >> VERSO_PAGE_SHIFT;
    }
    if (strcmp(how, "heap-in-hole") == 0)
        boot->heap_start =
            ((vaddr_t)1 << (um_shift(um_levels()) - 1)) - 5 * VERSO_PAGE_SIZE;
    if (strcmp(how, "no-classes") == 0)
        boot->classes = no_classes;
    if (strcmp(how, "limit") == 0)
        for (unsigned z = 1; z < VERSO_ZONES; z++)
            boot->zone_limit[z] = UM_RAM_START + ram_bytes / 8 * (4 + z);
}

/* Starts Verso on tables that are there: adopt.c. The mirror is where it would
 * be anyway, or, for want of other windows, next to it. */
static void boot_adopt(const char *how, size_t ram_bytes)
{
    static const struct {
        const char *how;
        enum adopt_mistake mistake;
    } starts[] = {{"adopt", ADOPT_RIGHT}, {"adopt-mirror", ADOPT_MIRROR_TAKEN},
        {"adopt-heap", ADOPT_HEAP_TAKEN}, {"adopt-free", ADOPT_TABLE_FREE},
        {"adopt-far", ADOPT_TABLE_FAR}, {"adopt-levels", ADOPT_TWO_LEVELS},
        {"adopt-rights", ADOPT_TWO_RIGHTS}, {"adopt-fixed", ADOPT_FIXED}};
    struct verso_boot *boot = &host.boot;
    struct adopt_host made = {.boot = boot,
        .pages = 64,
        .free = UM_RAM_START + ram_bytes - VERSO_PAGE_SIZE,
        .levels = um_levels(),
        .large = um_has_large(1),
        .huge = um_has_large(2),
        .extra = ADOPT_EXTRA,
        .self_slot = ADOPT_SELF,
        .skip = "later"};
    size_t i = 0;
    while (i < sizeof(starts) / sizeof(starts[0]) &&
           strcmp(starts[i].how, how) != 0)
        i++;
    if (i == sizeof(starts) / sizeof(starts[0]))
        return;
    made.mistake = starts[i].mistake;
    made.pool = boot->frames_pa;
    host.pool_start = (uint32_t)(made.pool >> VERSO_PAGE_SHIFT);
    host.pool_pages = (uint32_t)made.pages;
    host.pool =
        (struct verso_range){made.pool, made.pages * VERSO_PAGE_SIZE, false};
    boot->reserved = &host.pool;
    boot->reserved_count = 1;
    if (sizeof(vaddr_t) == 4) {
        made.own_slot = boot->mirror_slot;
        boot->mirror_slot--;
    }
    for (unsigned f = 0; f < 2; f++)
        host.fixed[f] = (struct verso_fixed){
            ADOPT_FIXED_VA + f * 16 * VERSO_PAGE_SIZE, made.pool,
            16 * VERSO_PAGE_SIZE, VERSO_READ, f == 0 ? "there" : "later"};
    boot->fixed = host.fixed;
    boot->fixed_count = 2;
    if (verso_frame_place(boot, UM_RAM_START) != 0)
        bail_out("no room for the frame array");
    um_root_load(adopt_make(&made));
}

/* A kernel that goes wrong early asks before there is anything to tell. */
static void ask_early(void)
{
    verso_describe(NULL);
    verso_describe((void *)(uintptr_t)HEAP_START);
    verso_report_walk(HEAP_START);
    verso_report_tables(0);
}

/* Sizes for alloc instead of its own table. */
static void boot_classes(const char *text)
{
    static uint32_t classes[VERSO_CLASSES_MAX];
    char *end;
    while (text && host.boot.class_count < VERSO_CLASSES_MAX) {
        unsigned long size = strtoul(text, &end, 0);
        if (end == text)
            break;
        classes[host.boot.class_count++] = (uint32_t)size;
        host.boot.classes = classes;
        text = end;
    }
}

void glue_quiet(bool quiet)
{
    host.quiet = quiet;
}

/* The heap's addresses, where they are not in the machine's own window. */
static void config_windows(struct um_config *config)
{
    const uintptr_t slot = um_span(UM_LEVELS - 1);
    if (HEAP_START - UM_WINDOW < UM_WINDOW_BYTES)
        return;
    config->window[0] = (struct um_range){UM_WINDOW, UM_WINDOW_BYTES};
    config->window[1] =
        (struct um_range){HEAP_START, (size_t)HEAP_PAGES << VERSO_PAGE_SHIFT};
    config->window[2] = (struct um_range){UM_MIRROR_SLOT * slot, slot};
    config->window[3] = (struct um_range){USER_START, USER_BYTES};
}

void glue_start_machine(void)
{
    struct um_config config = {
        .levels = (unsigned)strtoul(option("LEVELS", "0"), NULL, 0),
        .no_large = strcmp(option("LARGE", "2"), "0") == 0,
        .no_huge = strcmp(option("LARGE", "2"), "1") == 0,
        .no_global = strcmp(option("GLOBAL", "1"), "0") == 0,
        .no_exec = strcmp(option("NX", "1"), "0") == 0,
        .fault = on_fault,
        .machine_check = on_machine_check,
        .is_table = is_table};
    host.ram_bytes = parse_bytes(option("MEM", "64M"));
    config.ram_bytes = host.ram_bytes;
    config_windows(&config);
    setvbuf(stdout, NULL, _IOLBF, 0);
    um_init(&config);
}

struct verso_boot *glue_boot(void)
{
    return &host.boot;
}

void glue_start(void)
{
    glue_start_machine();
    boot_fill(
        host.ram_bytes, strcmp(option("ACCESSOR", "mirror"), "direct") == 0);
    boot_classes(option("CLASSES", NULL));
    boot_spoil(option("BOOT", ""), host.ram_bytes);
    if (strcmp(option("BOOT", ""), "early") == 0)
        ask_early();
    boot_adopt(option("BOOT", ""), host.ram_bytes);
    boot_close(&host.boot, host.ram_bytes);
    int err = verso_init(&host.boot);
    if (err != 0)
        bail_out(verso_err_name(err));
}
