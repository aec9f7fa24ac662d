/* SPDX-License-Identifier: MIT */
/*
 * start.c - from main() to kernel_main(): the arguments are the words of a
 * kernel's command line (../main.c), and these:
 *
 *     mem=64M         simulated RAM
 *     archive=FILE    the traces, as tools/pack.sh packs them
 *
 * and how this kernel divides the addresses that the machine translates; all
 * others are the process's own:
 *
 *     0x60000000      ../pages.c: the kernel's own tables (replay's)
 *     0x70000000      the tests' (../suites.c)
 *     0x80000000      Verso's heap, 504 MiB
 *     0x9f800000      the page through which Verso clears frames
 *     0x9fc00000      the mirror of the page tables
 *
 * As on a PC, but that the heap ends sooner. The kernel itself, its stack and
 * the archive lie outside the simulated RAM.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "um_kernel.h"

#define OWN_WINDOW  0x60000000u
#define TEST_WINDOW 0x70000000u
#define HEAP_START  0x80000000u
#define HEAP_END    0x9f800000u
#define WINDOW      HEAP_END
#define LINE_MAX    2048u /* what options.c keeps */
#define RAM_MAX     0x40000000u

static struct {
    struct verso_range map[1];
    struct verso_boot boot;
    void *archive;
    size_t archive_bytes;
    size_t ram_bytes;
    bool in_interrupt;
} machine;

static VERSO_NORETURN void refuse(const char *what, const char *why)
{
    fprintf(stderr, "um: %s: %s\n", what, why);
    exit(1);
}

/* ---- arguments ---- */

/* A shell has taken the quotes off KEY="A VALUE": they are put on again. */
static void line_add(char line[LINE_MAX], const char *word)
{
    const char *value = strchr(word, '=');
    size_t used = strlen(line);
    int more;

    if (value && strchr(value, ' ') && !strchr(value, '"'))
        more = snprintf(line + used, LINE_MAX - used, "%.*s\"%s\" ",
            (int)(value + 1 - word), word, value + 1);
    else
        more = snprintf(line + used, LINE_MAX - used, "%s ", word);
    if (more < 0 || (size_t)more >= LINE_MAX - used)
        refuse("arguments", "more than 2047 characters");
}

/* "64M", "4096K", "1G", or bytes; whole pages. */
static size_t memory_read(const char *text)
{
    static const char units[] = "KMG";
    char *end, what[80];
    errno = 0;
    unsigned long long bytes = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;

    snprintf(what, sizeof(what), "MEM=%s", text);
    if (text[0] < '0' || text[0] > '9' || errno != 0 ||
        (*end && (!unit || end[1])))
        refuse(what, "not a size, as 64M or 1G");
    for (long i = unit ? unit - units + 1 : 0; i > 0; i--)
        bytes = bytes > RAM_MAX ? bytes : bytes << 10;
    if (bytes > RAM_MAX)
        refuse(what, "a 32-bit process has room for 1G");
    if (bytes < VERSO_PAGE_SIZE)
        refuse(what, "less than a page");
    return (size_t)bytes & ~(size_t)(VERSO_PAGE_SIZE - 1);
}

/* All of a file that may be of any kind. */
static void archive_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t room = 0, got = 1;

    if (!file)
        refuse(path, strerror(errno));
    while (got > 0) {
        if (machine.archive_bytes == room) {
            room = room ? 2 * room : 1u << 20;
            machine.archive = realloc(machine.archive, room);
            if (!machine.archive)
                refuse(path, "no memory for it");
        }
        got = fread((char *)machine.archive + machine.archive_bytes, 1,
            room - machine.archive_bytes, file);
        machine.archive_bytes += got;
    }
    if (ferror(file))
        refuse(path, strerror(errno));
    fclose(file);
}

const void *machine_archive(size_t *bytes)
{
    *bytes = machine.archive_bytes;
    return machine.archive;
}

/* ---- what the machine is ---- */

/* Half of RAM is zone 0, which is reached directly with accessor=direct. The
 * frame array always is, past the tables. */
void machine_layout(void)
{
    const char *accessor = machine_option("accessor");
    struct verso_boot *boot = &machine.boot;
    machine.map[0] =
        (struct verso_range){UM_RAM_START, machine.ram_bytes, true};
    boot->map = machine.map;
    boot->map_count = ARRAY_COUNT(machine.map);
    boot->zone_limit[0] = UM_RAM_START + machine.ram_bytes / 2;
    boot->mirror_slot = um_mirror_slot();
    boot->use_direct = accessor != NULL && accessor[0] == 'd';
    boot->direct_offset = (vaddr_t)um_ram() - UM_RAM_START;
    boot->direct_bytes = boot->use_direct ? boot->zone_limit[0] : 0;
    boot->window = WINDOW;
    boot->heap_start = HEAP_START;
    boot->heap_pages = (HEAP_END - HEAP_START) >> VERSO_PAGE_SHIFT;
    if (verso_frame_place(boot, UM_RAM_START) != VERSO_OK)
        verso_panic("boot: no room in RAM (MEM) for the frame array");
}

void machine_started(void)
{
}

const char *machine_name(void)
{
    return "um, 32-bit, two levels: a simulated machine in a Linux process";
}

const struct verso_boot *machine_boot(void)
{
    return &machine.boot;
}

vaddr_t machine_own_window(void)
{
    return OWN_WINDOW;
}

vaddr_t machine_test_window(void)
{
    return TEST_WINDOW;
}

void machine_mirror(struct machine_mirror *mirror)
{
    mirror->slot = um_mirror_slot();
    mirror->slots = 1;
    mirror->bits = 10;
    mirror->tables = (vaddr_t)um_mirror_slot() << 22;
    mirror->directory =
        mirror->tables + ((vaddr_t)um_mirror_slot() << VERSO_PAGE_SHIFT);
    mirror->bytes = 1u << 22;
}

bool machine_counts(void)
{
    return false;
}

uint64_t machine_boot_count(void)
{
    return 0;
}

uint64_t machine_count(void)
{
    return 0;
}

size_t machine_count_toggles(void (*run)(void *arg), void *arg)
{
    run(arg);
    return 0;
}

bool machine_in_interrupt(void)
{
    return machine.in_interrupt;
}

void machine_pretend_interrupt(bool running)
{
    machine.in_interrupt = running;
}

int main(int argc, char **argv)
{
    char line[LINE_MAX] = "";
    struct um_config config = {
        .fault = fault_take, .machine_check = fault_machine_check};

    console_init();
    fault_init(__builtin_frame_address(0));
    for (int i = 1; i < argc; i++)
        line_add(line, argv[i]);
    options_parse(line);
    const char *memory = machine_option("mem");
    const char *archive = machine_option("archive");
    machine.ram_bytes = memory_read(memory ? memory : "64M");
    config.ram_bytes = machine.ram_bytes;
    um_init(&config);
    if (archive)
        archive_read(archive);
    kernel_main();
}
