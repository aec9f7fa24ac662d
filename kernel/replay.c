/* SPDX-License-Identifier: MIT */
/*
 * replay.c - runs traces of real programs against the heap, checks what comes
 * back, and says what it cost.
 *
 * Each object is filled with a pattern made of its id and the offset, and the
 * pattern is read again, whole, when the object is reallocated, freed, or left
 * over at the end. That is the check for overlap too: of two objects that
 * share a byte, the later one has written its own pattern over the other's,
 * which the reading of the other finds, at the latest at the end. An object of
 * size 0 has no byte of its own to show this: it is filled for one word, which
 * verso_usable_size() allows.
 *
 * 1. Every object is aligned to two words and has usable_size >= size.
 * 2. Every object holds its pattern until it is freed.
 * 3. After the last free and verso_trim(), as many frames are in use as before
 *    the first operation, and verso_check() holds.
 *
 * Memory: heap_peak is the peak of verso_frame_used(), less the frames that
 * replay's own tables took (objects and live bits, from machine_pages(): the
 * difference that taking them made). So it counts every frame handed out:
 * slabs, areas, nodes, the page map, all page tables, and the handful that
 * verso_init() took before there was an object. The frame array, the kernel's
 * image and the archive are reserved, not handed out, and not counted. Empty
 * slabs that are kept count as in use; the order-0 stock is free memory. It is
 * sampled after every operation that can raise it: what a realloc holds twice
 * for the time of its copying is not seen.
 *
 * Cost: insn_per_op is what the calls of the allocator execute, over all
 * operations of the trace. The counter is read around each call; what reading
 * it costs is measured on an empty pair of readings and subtracted.
 */
#include <verso/alloc.h>
#include <verso/check.h>
#include <verso/frame.h>
#include <verso/reclaim.h>

#include "kernel.h"
#include "machine.h"

struct object {
    unsigned char *start; /* NULL: does not exist */
    size_t size;          /* bytes asked for */
};

struct replay {
    const struct replay_input *input;
    struct replay_result *result;
    struct trace trace;
    struct object *objects; /* one an id */
    uint64_t payload;       /* bytes asked for, now */
    uint64_t windows;       /* pairs of readings */
    size_t used_peak;       /* frames */
    size_t table_pages;     /* of `objects` and the live bits behind it */
};

#define REPLAY_FAIL(replay, ...)                                               \
    (verso_format((replay)->result->reason, sizeof((replay)->result->reason),  \
         __VA_ARGS__),                                                         \
        false)

/* ---- the pattern ---- */

#define WORD         sizeof(uintptr_t)
#define PATTERN_STEP ((uintptr_t)0x01000193u)

static uintptr_t pattern_word(uint32_t id, size_t index)
{
    return (uintptr_t)(id + 1) * 0x9e3779b1u + index * PATTERN_STEP;
}

static unsigned char pattern_byte(uint32_t id, size_t offset)
{
    return (
        unsigned char)(pattern_word(id, offset / WORD) >> offset % WORD * 8);
}

/* Bytes that carry the pattern. */
static size_t pattern_size(const void *start, size_t size)
{
    if (size != 0 || start == NULL)
        return size;
    return verso_usable_size(start) >= WORD ? WORD : 0;
}

/* Writes the words [from, to). Traces ask for hundreds of MB in total: four
 * a round. */
static void pattern_fill_words(
    uintptr_t *words, uint32_t id, size_t from, size_t to)
{
    uintptr_t value = pattern_word(id, from);

    for (; to - from >= 4; from += 4) {
        words[from] = value;
        words[from + 1] = value + PATTERN_STEP;
        words[from + 2] = value + 2 * PATTERN_STEP;
        words[from + 3] = value + 3 * PATTERN_STEP;
        value += 4 * PATTERN_STEP;
    }
    for (; from < to; from++, value += PATTERN_STEP)
        words[from] = value;
}

/* Writes bytes [from, to). */
static void pattern_fill(
    unsigned char *start, uint32_t id, size_t from, size_t to)
{
    for (; from < to && from % WORD != 0; from++)
        start[from] = pattern_byte(id, from);
    pattern_fill_words((uintptr_t *)(void *)start, id, from / WORD, to / WORD);
    if (from < to / WORD * WORD)
        from = to / WORD * WORD;
    for (; from < to; from++)
        start[from] = pattern_byte(id, from);
}

/* Index of a word at or before the first one that is wrong, `count` if none
 * is. */
static size_t pattern_check_words(
    const uintptr_t *words, uint32_t id, size_t count)
{
    uintptr_t value = pattern_word(id, 0);
    size_t at = 0;

    for (; count - at >= 4; at += 4) {
        uintptr_t wrong = (words[at] ^ value) |
                          (words[at + 1] ^ (value + PATTERN_STEP)) |
                          (words[at + 2] ^ (value + 2 * PATTERN_STEP)) |
                          (words[at + 3] ^ (value + 3 * PATTERN_STEP));
        if (wrong != 0)
            return at;
        value += 4 * PATTERN_STEP;
    }
    for (; at < count && words[at] == value; at++)
        value += PATTERN_STEP;
    return at;
}

/* Offset of the first byte that is wrong, `size` if none is. */
static size_t pattern_check(
    const unsigned char *start, uint32_t id, size_t size)
{
    const uintptr_t *words = (const uintptr_t *)(const void *)start;
    size_t offset = pattern_check_words(words, id, size / WORD) * WORD;

    while (offset < size && start[offset] == pattern_byte(id, offset))
        offset++;
    return offset;
}

/* ---- the calls, measured ---- */

/* What two readings of the counter with nothing between them differ by. */
static uint64_t replay_reading_cost(void)
{
    uint64_t cost = UINT64_MAX;

    for (unsigned i = 0; i < 64; i++) {
        uint64_t before = machine_count();
        uint64_t after = machine_count();
        if (after - before < cost)
            cost = after - before;
    }
    return cost;
}

static void replay_account(struct replay *replay, uint64_t before)
{
    replay->result->spent += machine_count() - before;
    replay->windows++;
}

static void *replay_call_alloc(struct replay *replay, size_t size)
{
    uint64_t before = machine_count();
    void *object = verso_alloc(size);
    replay_account(replay, before);
    return object;
}

static void *replay_call_realloc(struct replay *replay, void *old, size_t size)
{
    uint64_t before = machine_count();
    void *object = verso_realloc(old, size);
    replay_account(replay, before);
    return object;
}

static void replay_call_free(struct replay *replay, void *object)
{
    uint64_t before = machine_count();
    verso_free(object);
    replay_account(replay, before);
}

/* ---- the operations ---- */

static void replay_sample(struct replay *replay)
{
    struct replay_result *result = replay->result;
    size_t used = verso_frame_used();

    if (used > replay->used_peak)
        replay->used_peak = used;
    if (replay->payload > result->payload_peak) {
        result->payload_peak = replay->payload;
        result->peak_op = replay->trace.ops;
    }
}

/* Does the object hold what was written, up to `size`? */
static bool replay_verify(struct replay *replay, uint32_t id, size_t size)
{
    struct object *object = &replay->objects[id];
    size_t offset = pattern_check(object->start, id, size);

    if (offset == size)
        return true;
    return REPLAY_FAIL(replay,
        "line %zu: object %zu (%zu bytes at %p) was overwritten at byte %zu",
        replay->trace.line, (size_t)id, object->size, (void *)object->start,
        offset);
}

/* Takes over what the allocator returned. */
static bool replay_accept(
    struct replay *replay, uint32_t id, unsigned char *start, size_t size)
{
    struct object *object = &replay->objects[id];

    if (start == NULL)
        return REPLAY_FAIL(replay, "line %zu: no memory for %zu bytes",
            replay->trace.line, size);
    replay->payload += size;
    replay->payload -= object->size;
    *object = (struct object){.start = start, .size = size};
    if ((uintptr_t)start % (2 * WORD) != 0)
        return REPLAY_FAIL(replay, "line %zu: %p is not aligned to %zu bytes",
            replay->trace.line, (void *)start, 2 * WORD);
    if (verso_usable_size(start) < size)
        return REPLAY_FAIL(replay, "line %zu: %zu bytes usable of %zu at %p",
            replay->trace.line, verso_usable_size(start), size, (void *)start);
    replay_sample(replay);
    return true;
}

static bool replay_alloc(struct replay *replay, const struct trace_op *op)
{
    unsigned char *start = replay_call_alloc(replay, op->size);

    if (!replay_accept(replay, op->id, start, op->size))
        return false;
    pattern_fill(start, op->id, 0, pattern_size(start, op->size));
    return true;
}

static bool replay_realloc(struct replay *replay, const struct trace_op *op)
{
    struct object *object = &replay->objects[op->id];
    size_t filled = pattern_size(object->start, object->size);
    size_t kept = object->size < op->size ? object->size : op->size;

    /* The part that is cut off is not there to be read afterwards. */
    if (kept < filled && !replay_verify(replay, op->id, filled))
        return false;
    unsigned char *start = replay_call_realloc(replay, object->start, op->size);
    if (!replay_accept(replay, op->id, start, op->size) ||
        !replay_verify(replay, op->id, kept))
        return false;
    pattern_fill(start, op->id, kept, pattern_size(start, op->size));
    return true;
}

static bool replay_free(struct replay *replay, const struct trace_op *op)
{
    struct object *object = &replay->objects[op->id];
    size_t size = pattern_size(object->start, object->size);

    if (!replay_verify(replay, op->id, size))
        return false;
    replay_call_free(replay, object->start);
    replay->payload -= object->size;
    *object = (struct object){.start = NULL};
    return true;
}

static bool replay_execute(struct replay *replay, const struct trace_op *op)
{
    switch (op->verb) {
    case TRACE_ALLOC:
        return replay_alloc(replay, op);
    case TRACE_REALLOC:
        return replay_realloc(replay, op);
    case TRACE_FREE:
        return replay_free(replay, op);
    case TRACE_FREE_NULL:
        replay_call_free(replay, NULL);
        break;
    }
    return true;
}

static bool replay_all(struct replay *replay)
{
    const struct replay_input *input = replay->input;
    enum trace_step step;
    struct trace_op op;

    while ((step = trace_next(&replay->trace, &op)) == TRACE_OP) {
        if (!replay_execute(replay, &op))
            return false;
        replay->result->ops++;
        if (replay->trace.ops == input->stop_at)
            input->stop(input->name);
    }
    if (step == TRACE_BAD)
        return REPLAY_FAIL(replay, "%s", replay->trace.reason);
    return true;
}

/* ---- before and after ---- */

/* Frees every object, whatever happened before: `verify` says whether what it
 * holds is still of interest. */
static bool replay_free_rest(struct replay *replay, bool verify)
{
    bool intact = verify;

    for (size_t id = 0; id < replay->trace.ids; id++) {
        struct object *object = &replay->objects[id];
        if (object->start == NULL)
            continue;
        if (intact)
            intact = replay_verify(replay, (uint32_t)id,
                pattern_size(object->start, object->size));
        verso_free(object->start);
        *object = (struct object){.start = NULL};
    }
    return intact;
}

/* Is everything as it was when `used` frames were in use? */
static bool replay_nothing_left(struct replay *replay, size_t used)
{
    const char *broken;

    verso_trim();
    if (verso_frame_used() != used)
        return REPLAY_FAIL(replay,
            "frames in use after all was freed: %zu, before: %zu",
            verso_frame_used(), used);
    broken = verso_check();
    if (broken != NULL)
        return REPLAY_FAIL(replay, "check: %s", broken);
    return true;
}

static bool replay_take_tables(struct replay *replay)
{
    size_t ids = replay->trace.ids, bytes;
    const size_t each = sizeof(struct object) + sizeof(uint32_t);

    if (ids > SIZE_MAX / 2 / each)
        return REPLAY_FAIL(replay, "no memory for the tables of %zu ids", ids);
    bytes = ids * sizeof(struct object) +
            trace_live_words(&replay->trace) * sizeof(uint32_t);
    replay->table_pages = (bytes + VERSO_PAGE_SIZE - 1) >> VERSO_PAGE_SHIFT;
    if (replay->table_pages == 0)
        replay->table_pages = 1;
    replay->objects = machine_pages(replay->table_pages);
    if (replay->objects == NULL)
        return REPLAY_FAIL(replay, "no memory for the tables of %zu ids", ids);
    for (size_t id = 0; id < ids; id++)
        replay->objects[id] = (struct object){.start = NULL};
    trace_begin(&replay->trace, (uint32_t *)(void *)(replay->objects + ids));
    return true;
}

/* `empty`: frames in use before replay took its tables. */
static bool replay_with_tables(struct replay *replay, size_t empty)
{
    struct replay_result *result = replay->result;
    bool ok;

    verso_trim();
    size_t before = verso_frame_used();
    size_t own = before - empty;
    replay->used_peak = before;
    ok = replay_all(replay);
    ok = replay_free_rest(replay, ok) && ok;
    result->heap_peak = (uint64_t)(replay->used_peak - own) << VERSO_PAGE_SHIFT;
    if (!ok) {
        /* The first reason stands; what is left over is not hidden by it. */
        verso_trim();
        return false;
    }
    return replay_nothing_left(replay, before);
}

void replay_run(const struct replay_input *input, struct replay_result *result)
{
    struct replay replay = {.input = input, .result = result};

    *result = (struct replay_result){.counted = machine_counts()};
    if (!trace_open(&replay.trace, input->text, input->bytes)) {
        (void)REPLAY_FAIL(&replay, "%s", replay.trace.reason);
        return;
    }
    result->promised = replay.trace.promised;
    verso_trim();
    size_t empty = verso_frame_used();
    if (!replay_take_tables(&replay))
        return;
    result->ok = replay_with_tables(&replay, empty);
    machine_pages_free(replay.objects, replay.table_pages);
    result->extra_line = replay.trace.extra_line;
    result->spent -= replay.windows * replay_reading_cost();
}

/* ---- the line of a trace ---- */

uint32_t replay_utilisation(const struct replay_result *result)
{
    return (uint32_t)divide64(result->payload_peak * 1000, result->heap_peak);
}

uint32_t replay_tenths(const struct replay_result *result)
{
    return (uint32_t)divide64(result->spent * 10, result->ops);
}

void replay_print(const char *name, const struct replay_result *result)
{
    if (result->extra_line != 0)
        verso_print("replay %s: warning: line %zu: more operations than the "
                    "%zu of the header\n",
            name, result->extra_line, result->promised);
    if (!result->ok) {
        verso_print(
            "replay %s: result=FAILED reason=%s\n", name, result->reason);
        return;
    }
    uint32_t utilisation = replay_utilisation(result);
    verso_print("replay %s: ops=%zu result=ok payload_peak=%llu "
                "heap_peak=%llu utilisation=%u.%03u ",
        name, result->ops, (unsigned long long)result->payload_peak,
        (unsigned long long)result->heap_peak, utilisation / 1000,
        utilisation % 1000);
    if (result->counted)
        verso_print("insn_per_op=%u.%u\n", replay_tenths(result) / 10,
            replay_tenths(result) % 10);
    else
        verso_print("insn_per_op=n/a\n");
}

static int replay_file(const struct archive_file *file, replay_visit *visit)
{
    const struct replay_input input = {
        .name = file->name, .text = file->text, .bytes = file->bytes};
    struct replay_result result;

    replay_run(&input, &result);
    replay_print(file->name, &result);
    if (visit != NULL)
        visit(file, &result);
    return result.ok ? 0 : 1;
}

int replay_archive(const char *name_or_null, replay_visit *visit)
{
    struct archive archive;
    struct archive_file file;
    enum archive_step step;
    int failed = 0, found = 0;
    size_t bytes = 0;
    const void *start = machine_archive(&bytes);

    if (start == NULL) {
        verso_print("replay: no archive of traces was given\n");
        return 1;
    }
    archive_open(&archive, start, bytes);
    while ((step = archive_next(&archive, &file)) == ARCHIVE_FILE) {
        if (name_or_null != NULL && !text_equal(name_or_null, file.name))
            continue;
        found++;
        failed += replay_file(&file, visit);
    }
    if (step == ARCHIVE_BROKEN) {
        verso_print("replay: the archive is broken: %s\n", archive.error);
        return failed + 1;
    }
    if (found == 0) {
        verso_print("replay: no trace %s in the archive\n",
            name_or_null != NULL ? name_or_null : "at all");
        return 1;
    }
    return failed;
}
