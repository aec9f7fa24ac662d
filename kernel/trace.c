/* SPDX-License-Identifier: MIT */
/*
 * trace.c - reads a malloc-lab trace (.rep), one operation at a time, and
 * refuses what makes no sense.
 *
 *     20000      suggested heap size: not used
 *     3          ids: objects are numbered 0 .. 2
 *     4          operations that follow
 *     1          weight: not used
 *     a 0 512    allocate object 0, 512 bytes
 *     r 0 640    make it 640; on an object that does not exist: allocate
 *     f 0        free it
 *     f -1       free(NULL)
 *
 * The text is read where it lies, once; nothing is allocated. A bit for each
 * id, memory of the caller, says whether the object exists: so an operation
 * that is handed out can be executed as it stands.
 *
 * 1. Whatever the bytes are, nothing outside [text, text + bytes) is read.
 * 2. An operation handed out has id < ids; TRACE_ALLOC names no live object,
 *    TRACE_FREE a live one.
 * 3. TRACE_BAD comes with a reason that names the line.
 *
 * Fewer operations than promised is an error (the file was cut off); more is a
 * header that somebody forgot to mend: they are handed out, and counted.
 * Cost: some ten instructions a character.
 */
#include "kernel.h"

/* The value of such an expression is TRACE_BAD; every format begins with
 * "line %zu: ". */
#define TRACE_FAIL(trace, ...)                                                 \
    (verso_format((trace)->reason, sizeof((trace)->reason), __VA_ARGS__),      \
        TRACE_BAD)

enum number {
    NUMBER_OK,
    NUMBER_NONE,
    NUMBER_NEGATIVE,
    NUMBER_BIG
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void trace_skip_blanks(struct trace *trace)
{
    while (trace->at < trace->end && is_blank(*trace->at))
        trace->at++;
}

static void trace_skip_lines(struct trace *trace)
{
    trace_skip_blanks(trace);
    while (trace->at < trace->end && *trace->at == '\n') {
        trace->at++;
        trace->line++;
        trace_skip_blanks(trace);
    }
}

/* Does a word end here? */
static bool trace_at_gap(const struct trace *trace)
{
    return trace->at == trace->end || is_blank(*trace->at) ||
           *trace->at == '\n';
}

/* Digits up to what is none; false if the value is more than SIZE_MAX. */
static bool trace_digits(struct trace *trace, size_t *value)
{
    const char *at = trace->at;
    const char *end = trace->end;
    bool fits = true;
    size_t n = 0;

    for (; at < end && is_digit(*at); at++) {
        size_t digit = (size_t)(*at - '0');
        if (n >= SIZE_MAX / 10 && (n > SIZE_MAX / 10 || digit > SIZE_MAX % 10))
            fits = false;
        n = n * 10 + digit;
    }
    trace->at = at;
    *value = n;
    return fits;
}

/* A decimal number up to SIZE_MAX that ends with its word. Of "-7" the 7 is
 * stored, and said to be negative. */
static enum number trace_number(struct trace *trace, size_t *value)
{
    bool negative = false;

    trace_skip_blanks(trace);
    if (trace->at < trace->end && *trace->at == '-') {
        negative = true;
        trace->at++;
    }
    if (trace->at == trace->end || !is_digit(*trace->at))
        return NUMBER_NONE;
    bool fits = trace_digits(trace, value);
    if (!trace_at_gap(trace))
        return NUMBER_NONE;
    if (negative)
        return NUMBER_NEGATIVE;
    return fits ? NUMBER_OK : NUMBER_BIG;
}

bool trace_open(struct trace *trace, const char *text, size_t bytes)
{
    size_t header[4];

    *trace = (struct trace){.at = text, .end = text + bytes, .line = 1};
    trace_skip_lines(trace);
    if (trace->at == trace->end) {
        trace->line = 1;
        (void)TRACE_FAIL(trace, "line %zu: the file is empty", trace->line);
        return false;
    }
    for (unsigned i = 0; i < 4; i++) {
        trace_skip_lines(trace);
        if (trace_number(trace, &header[i]) == NUMBER_OK)
            continue;
        (void)TRACE_FAIL(trace,
            "line %zu: number %u of the 4 in the header is missing or no "
            "number",
            trace->line, i + 1);
        return false;
    }
    trace->ids = header[1];
    trace->promised = header[2];
    return true;
}

size_t trace_live_words(const struct trace *trace)
{
    return trace->ids / 32 + (trace->ids % 32 != 0 ? 1 : 0);
}

void trace_begin(struct trace *trace, uint32_t *live)
{
    trace->live = live;
    for (size_t i = 0; i < trace_live_words(trace); i++)
        live[i] = 0;
}

static bool trace_is_live(const struct trace *trace, size_t id)
{
    return (trace->live[id / 32] >> id % 32 & 1) != 0;
}

/* Sets op->id; "-1" is an id for 'f' only. */
static enum trace_step trace_read_id(struct trace *trace, struct trace_op *op)
{
    size_t id = 0;
    enum number kind = trace_number(trace, &id);

    if (kind == NUMBER_NONE)
        return TRACE_FAIL(trace, "line %zu: an id is missing", trace->line);
    if (kind == NUMBER_NEGATIVE && id == 1 && op->verb == TRACE_FREE) {
        op->verb = TRACE_FREE_NULL;
        return TRACE_OP;
    }
    if (kind != NUMBER_OK || id >= trace->ids || id > UINT32_MAX)
        return TRACE_FAIL(trace,
            "line %zu: id %s%zu is out of range, the header says %zu ids",
            trace->line, kind == NUMBER_NEGATIVE ? "-" : "", id, trace->ids);
    op->id = (uint32_t)id;
    return TRACE_OP;
}

static enum trace_step trace_read_size(struct trace *trace, struct trace_op *op)
{
    switch (trace_number(trace, &op->size)) {
    case NUMBER_OK:
        return TRACE_OP;
    case NUMBER_NEGATIVE:
        return TRACE_FAIL(
            trace, "line %zu: negative size -%zu", trace->line, op->size);
    case NUMBER_BIG:
        return TRACE_FAIL(trace,
            "line %zu: the size is more than this machine can address",
            trace->line);
    case NUMBER_NONE:
        break;
    }
    return TRACE_FAIL(trace, "line %zu: a size is missing", trace->line);
}

/* Does the operation fit what was done before? Keeps the books if so. */
static enum trace_step trace_account(struct trace *trace, struct trace_op *op)
{
    bool live = op->verb != TRACE_FREE_NULL && trace_is_live(trace, op->id);
    uint32_t bit = (uint32_t)1 << op->id % 32;

    if (op->verb == TRACE_ALLOC && live)
        return TRACE_FAIL(trace,
            "line %zu: 'a' on id %zu, which is allocated already", trace->line,
            (size_t)op->id);
    if (op->verb == TRACE_FREE && !live)
        return TRACE_FAIL(trace, "line %zu: 'f' on unknown id %zu", trace->line,
            (size_t)op->id);
    op->known = live;
    if (op->verb == TRACE_FREE)
        trace->live[op->id / 32] &= ~bit;
    else if (op->verb != TRACE_FREE_NULL)
        trace->live[op->id / 32] |= bit;
    return TRACE_OP;
}

static enum trace_step trace_read_verb(struct trace *trace, struct trace_op *op)
{
    char letter = *trace->at++;

    if (!trace_at_gap(trace))
        letter = '\0'; /* a longer word is no verb either */
    if (letter == 'a')
        op->verb = TRACE_ALLOC;
    else if (letter == 'r')
        op->verb = TRACE_REALLOC;
    else if (letter == 'f')
        op->verb = TRACE_FREE;
    else
        return TRACE_FAIL(trace,
            "line %zu: unknown operation '%c', not a, r or f", trace->line,
            trace->at[-1] > ' ' && trace->at[-1] <= '~' ? trace->at[-1] : '?');
    return TRACE_OP;
}

static enum trace_step trace_end(struct trace *trace)
{
    if (trace->ops >= trace->promised)
        return TRACE_END;
    return TRACE_FAIL(trace,
        "line %zu: the file ends after %zu operations, the header says %zu",
        trace->line, trace->ops, trace->promised);
}

enum trace_step trace_next(struct trace *trace, struct trace_op *op)
{
    enum trace_step step;

    trace_skip_lines(trace);
    if (trace->at == trace->end)
        return trace_end(trace);
    *op = (struct trace_op){.verb = TRACE_ALLOC};
    step = trace_read_verb(trace, op);
    if (step == TRACE_OP)
        step = trace_read_id(trace, op);
    if (step == TRACE_OP && op->verb != TRACE_FREE &&
        op->verb != TRACE_FREE_NULL)
        step = trace_read_size(trace, op);
    if (step != TRACE_OP)
        return step;
    trace_skip_blanks(trace);
    if (trace->at < trace->end && *trace->at != '\n')
        return TRACE_FAIL(
            trace, "line %zu: more on the line than expected", trace->line);
    step = trace_account(trace, op);
    if (step != TRACE_OP)
        return step;
    trace->ops++;
    if (trace->ops == trace->promised + 1)
        trace->extra_line = trace->line;
    return TRACE_OP;
}
