/* SPDX-License-Identifier: MIT */
/*
 * common.c - libFuzzer's side of a target, and the state between two inputs.
 *
 * An input must do the same whatever ran before it, or what it finds cannot be
 * found again. So all that Verso knows is saved once and copied back after each
 * input (which has freed everything by then, and was asked to prove it):
 *
 *     verso_state (section)  |  frame array  |  contents of the frames in use
 *
 * and the machine forgets what it has cached. Frames that are free are full of
 * something from the start, as RAM is.
 *
 * Cost: some 20 us an input, most of it the machine's forgetting.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <machine/um.h>
#include <verso/verso.h>

#include "../host/glue.h"
#include "fuzz.h"

#define FIRST     (UM_RAM_START >> VERSO_PAGE_SHIFT)
#define SAVED_MAX 64u /* frames in use when nothing is */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
const char *__asan_default_options(void);

/* ---- libFuzzer ---- */

const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* SIGSEGV is the machine's; what is not for it goes on to ASan, and from there
 * to libFuzzer. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static char no_segv[] = "-handle_segv=0";
    char **more = calloc((size_t)*argc + 2, sizeof(char *));
    if (!more)
        fuzz_found("no memory");
    memcpy(more, *argv, (size_t)*argc * sizeof(char *));
    more[(*argc)++] = no_segv;
    *argv = more;
    fuzz_start();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_one(bytes, size);
    return 0;
}

void fuzz_found(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "fuzz: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    abort();
}

/* ---- choices ---- */

static struct {
    const uint8_t *at, *end;
    uint32_t hash; /* of the bytes read */
    bool extend;
} choices;

void choices_open(const uint8_t *bytes, size_t size)
{
    choices.at = bytes;
    choices.end = bytes + size;
    choices.hash = 1;
    choices.extend = false;
}

void choices_extend(void)
{
    choices.extend = true;
}

bool choices_left(void)
{
    return choices.at < choices.end;
}

static uint32_t choice_byte(void)
{
    uint8_t byte = choices_left() ? *choices.at++ : 0;
    choices.hash = (choices.hash ^ byte) * 0x01000193u + 1;
    return choices_left() || !choices.extend ? byte : choices.hash >> 24;
}

uint32_t choice_below(uint32_t n)
{
    uint32_t value = 0;
    for (uint32_t range = n - 1; range > 0; range >>= 8)
        value = value << 8 | choice_byte();
    return value % n;
}

uint32_t choices_sum(void)
{
    return choices.hash >> 24;
}

/* ---- state ---- */

/* The linker's: where the section is. */
extern unsigned char __start_verso_state[], __stop_verso_state[];

static struct {
    unsigned char *state, *frames;
    uint32_t pfn[SAVED_MAX];
    unsigned char page[SAVED_MAX][VERSO_PAGE_SIZE];
    size_t pages;
} saved;

static unsigned char *copy_of(const void *bytes, size_t size)
{
    unsigned char *copy = malloc(size);
    if (!copy)
        fuzz_found("no memory");
    memcpy(copy, bytes, size);
    return copy;
}

static size_t state_bytes(void)
{
    return (size_t)(__stop_verso_state - __start_verso_state);
}

/* Those of RAM: the others never change. */
static size_t frames_bytes(void)
{
    return (glue_boot()->frame_count - FIRST) * sizeof(struct frame);
}

static unsigned char *frame_at(uint32_t pfn)
{
    return um_ram() + ((size_t)pfn << VERSO_PAGE_SHIFT) - UM_RAM_START;
}

void state_save(void)
{
    const struct verso_boot *boot = glue_boot();
    saved.state = copy_of(__start_verso_state, state_bytes());
    saved.frames = copy_of(&boot->frames[FIRST], frames_bytes());
    for (uint32_t pfn = 0; pfn < boot->frame_count; pfn++) {
        if (boot->frames[pfn].count == 0)
            continue;
        if (saved.pages == SAVED_MAX)
            fuzz_found("more frames in use than there is room to save");
        saved.pfn[saved.pages] = pfn;
        memcpy(saved.page[saved.pages++], frame_at(pfn), VERSO_PAGE_SIZE);
    }
}

void state_restore(void)
{
    const struct verso_boot *boot = glue_boot();
    memcpy(__start_verso_state, saved.state, state_bytes());
    memcpy(&boot->frames[FIRST], saved.frames, frames_bytes());
    for (size_t i = 0; i < saved.pages; i++)
        memcpy(frame_at(saved.pfn[i]), saved.page[i], VERSO_PAGE_SIZE);
    um_invalidate_all();
}

void state_clear(void)
{
    memset(__start_verso_state, 0, state_bytes());
}
