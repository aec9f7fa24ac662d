/* SPDX-License-Identifier: MIT */
/*
 * trace.c - fuzz target: each input is a trace, or an archive of them, as the
 * reference kernel gets it from its boot loader.
 *
 *     first byte   even: the rest is the text of a trace
 *                  odd: an archive, whose checksums are mended first
 *
 * Read twice: by kernel/trace.c and replayed by kernel/replay.c, and by a
 * reader of its own here, made of the C library. They must agree on whether it
 * is a trace and on the number of operations, memory running out aside. A
 * failure has a reason. Whatever happens, all is as before.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <verso/verso.h>

#include "../../kernel/kernel.h"
#include "../host/glue.h"
#include "fuzz.h"

#define BLOCK   512u
#define IDS_MAX 4096u

/* ---- the other reader ---- */

struct reading {
    char *at; /* the rest of the text, terminated */
    size_t ids, promised, ops;
    bool live[IDS_MAX];
};

/* The next word of this line, or with `lines` of a later one; NULL: none. */
static char *word_next(struct reading *r, bool lines)
{
    static char word[8192]; /* a number may begin with many a 0 */
    r->at += strspn(r->at, lines ? " \t\r\n" : " \t\r");
    size_t length = strcspn(r->at, " \t\r\n");
    if (length == 0)
        return NULL;
    size_t kept = length < sizeof(word) ? length : sizeof(word) - 1;
    memcpy(word, r->at, kept);
    word[kept] = 0;
    if (length > kept)
        word[0] = '?'; /* too long for anything */
    r->at += length;
    return word;
}

static bool number_next(struct reading *r, bool lines, size_t *value)
{
    const char *word = word_next(r, lines);
    char *end;
    if (!word || !isdigit((unsigned char)*word))
        return false;
    errno = 0;
    unsigned long long n = strtoull(word, &end, 10);
    *value = (size_t)n;
    return *end == 0 && errno == 0 && n <= SIZE_MAX;
}

static bool op_next(struct reading *r, const char *verb)
{
    size_t id, size;
    if (strlen(verb) != 1 || !strchr("arf", *verb))
        return false;
    char letter = *verb;
    char *before = r->at;
    if (!number_next(r, false, &id)) {
        r->at = before;
        const char *word = word_next(r, false);
        /* -1, as a number: -01 too */
        return letter == 'f' && word && *word == '-' &&
               isdigit((unsigned char)word[1]) &&
               strspn(word + 1, "0") + 1 == strlen(word + 1) &&
               word[strlen(word) - 1] == '1';
    }
    if (id >= r->ids || (letter == 'a' && r->live[id]) ||
        (letter == 'f' && !r->live[id]))
        return false;
    if (letter != 'f' && !number_next(r, false, &size))
        return false;
    r->live[id] = letter != 'f';
    return true;
}

static bool is_trace(struct reading *r)
{
    size_t ignored;
    const char *verb;
    if (!number_next(r, true, &ignored) || !number_next(r, true, &r->ids) ||
        !number_next(r, true, &r->promised) ||
        !number_next(r, true, &ignored) || r->ids > IDS_MAX)
        return false;
    while ((verb = word_next(r, true)) != NULL) {
        if (!op_next(r, verb) || word_next(r, false) != NULL)
            return false;
        r->ops++;
    }
    return *r->at == 0 && r->ops >= r->promised;
}

/* ---- both ---- */

static bool starts(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static void trace_check(const char *text, size_t bytes)
{
    static struct reading reading;
    struct replay_result result;
    const struct replay_input input = {
        .name = "fuzz", .text = text, .bytes = bytes};
    replay_run(&input, &result);
    if (result.ok == (result.reason[0] != 0))
        fuzz_found("ok=%d, reason \"%s\"", result.ok, result.reason);
    if (memchr(text, 0, bytes))
        return; /* the C library would stop there */
    char *copy = strndup(text, bytes);
    if (!copy)
        fuzz_found("no memory");
    memset(&reading, 0, sizeof(reading));
    reading.at = copy;
    bool good = is_trace(&reading);
    free(copy);
    if (reading.ids > IDS_MAX || strstr(result.reason, "no memory"))
        return;
    if (good != result.ok || (good && reading.ops != result.ops))
        fuzz_found("%zu operations, good %d; replay: %zu, ok %d, \"%s\"",
            reading.ops, good, result.ops, result.ok, result.reason);
    if (!result.ok && !starts(result.reason, "line "))
        fuzz_found("a reason that names no line: %s", result.reason);
}

/* As `tar` would have written it: fuzzers do not guess sums. */
static void sum_mend(unsigned char *header)
{
    unsigned sum = 0;
    memset(header + 148, ' ', 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
}

static void archive_check(unsigned char *bytes, size_t size)
{
    struct archive archive;
    struct archive_file file;
    enum archive_step step;
    const char *last = (const char *)bytes;
    for (size_t at = 0; at + BLOCK <= size; at += BLOCK)
        if (bytes[at + 257] == 'u') /* "ustar": meant as a header */
            sum_mend(bytes + at);
    archive_open(&archive, bytes, size);
    while ((step = archive_next(&archive, &file)) == ARCHIVE_FILE) {
        if (file.text < last + BLOCK ||
            file.text + file.bytes > (const char *)bytes + size)
            fuzz_found("a file of %zu bytes that is not in it", file.bytes);
        last = file.text;
        trace_check(file.text, file.bytes);
    }
    if ((step == ARCHIVE_BROKEN) != (archive.error[0] != 0))
        fuzz_found("step %d, message \"%s\"", (int)step, archive.error);
}

void fuzz_start(void)
{
    setenv("MEM", "4M", 0);
    glue_start();
    verso_trim();
    state_save();
}

/* In memory of its own, exactly as long, so that ASan sees its ends. */
void fuzz_one(const uint8_t *bytes, size_t size)
{
    size_t used = verso_frame_used();
    if (size == 0)
        return;
    unsigned char *copy = malloc(size - 1);
    if (!copy)
        fuzz_found("no memory");
    memcpy(copy, bytes + 1, size - 1);
    if (bytes[0] % 2 == 0)
        trace_check((char *)copy, size - 1);
    else
        archive_check(copy, size - 1);
    free(copy);
    verso_trim();
    if (verso_frame_used() != used)
        fuzz_found("%zu frames in use, before: %zu", verso_frame_used(), used);
    state_restore();
}
