/* SPDX-License-Identifier: MIT */
/*
 * loader.c - what the boot loader said, copied before the memory it lies in is
 * handed out: the memory map, the modules' places, the command line. The
 * loader's own format is read by 32/multiboot.c, 64/loaders.c.
 *
 * The map is taken as it is; Verso sorts out what overlaps. Only if there are
 * more ranges than fit, usable ones are dropped: that costs memory, while
 * dropping a reserved one would hand it out.
 */
#include "x86.h"

#define RANGES_MAX       64
#define MODULES_MAX      8
#define COMMAND_LINE_MAX 2048

static struct verso_range ranges[RANGES_MAX];
static size_t range_count;
static struct verso_range modules[MODULES_MAX];
static size_t module_count;
static char command_line[COMMAND_LINE_MAX];

void loader_add_range(uint64_t start, uint64_t bytes, bool usable)
{
    size_t at = range_count;
    if (at == RANGES_MAX) {
        verso_print("boot: the memory map is too long: memory is lost\n");
        for (at = 0; at < RANGES_MAX && !ranges[at].usable; at++)
            ;
        if (usable || at == RANGES_MAX)
            return;
    } else {
        range_count++;
    }
    ranges[at] = (struct verso_range){start, bytes, usable};
}

void loader_add_module(uint64_t start, uint64_t bytes)
{
    if (module_count == MODULES_MAX) {
        verso_print("boot: a module more than %d is not used\n", MODULES_MAX);
        return;
    }
    modules[module_count++] = (struct verso_range){start, bytes, false};
}

void loader_set_command_line(const char *text)
{
    size_t n = 0;
    while (n < COMMAND_LINE_MAX - 1 && text[n] != 0) {
        command_line[n] = text[n];
        n++;
    }
    if (text[n] != 0)
        verso_print("boot: the command line is cut after %zu characters\n", n);
}

const struct verso_range *loader_map(size_t *count)
{
    *count = range_count;
    return ranges;
}

const struct verso_range *loader_modules(size_t *count)
{
    *count = module_count;
    return modules;
}

const char *loader_command_line(void)
{
    return command_line;
}
