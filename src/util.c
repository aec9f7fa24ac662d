/* SPDX-License-Identifier: MIT */
/*
 * util - formatting, panics, the names of errors, locks that are taken.
 *
 * One formatter writes into a struct sink, a window of memory:
 *
 *     buffer [ text ......... | free ]      full and it is a log's: to the host
 *              0 .. used        .. room     full and it is a caller's: dropped
 *
 * Nothing is allocated, nothing is kept between calls, no lock is taken: any
 * context, a panic too. Numbers are divided by 10 in 16-bit limbs, since 64-bit
 * division on a 32-bit machine would need a library function.
 */
#include "util.h"

#define LOG_BYTES   128
#define PANIC_BYTES 256
#define DIGITS_MAX  20 /* of 2^64 - 1 in decimal */

/* Spins between two hints to the host that somebody else should run. */
#define SPINS_A_YIELD 1000
#define YIELDS_ALONE  100u

struct sink {
    char *buffer;
    size_t room;
    size_t used;
    size_t total; /* characters of the whole text so far */
    bool log;     /* goes to the host's log whenever it is full */
};

/* One conversion: %[-0][width][.precision][l|ll|z]kind. */
struct spec {
    bool left;
    bool zeros;
    bool prefixed; /* %#x */
    size_t width;
    size_t precision; /* characters of %s at the most */
    unsigned longs;   /* 0 int, 1 long, 2 long long, 3 size_t */
    char kind;
};

/* A va_list that can be passed by address everywhere (as a parameter it may be
 * an array). */
struct args {
    va_list list;
};

static void sink_flush(struct sink *sink)
{
    if (sink->used != 0)
        verso_host_log(sink->buffer, sink->used);
    sink->used = 0;
}

static void sink_put(struct sink *sink, char c)
{
    sink->total++;
    if (sink->used == sink->room && sink->log)
        sink_flush(sink);
    if (sink->used < sink->room)
        sink->buffer[sink->used++] = c;
}

static void sink_fill(struct sink *sink, char c, size_t count)
{
    while (count-- > 0)
        sink_put(sink, c);
}

/* A text padded to the width on the side that `spec` says. */
static void put_text(
    struct sink *sink, const struct spec *spec, const char *text, size_t length)
{
    size_t padding = spec->width > length ? spec->width - length : 0;
    if (!spec->left)
        sink_fill(sink, ' ', padding);
    for (size_t i = 0; i < length; i++)
        sink_put(sink, text[i]);
    if (spec->left)
        sink_fill(sink, ' ', padding);
}

static void put_string(
    struct sink *sink, const struct spec *spec, const char *text)
{
    size_t length = 0;
    if (text == NULL)
        text = "(null)";
    while (length < spec->precision && text[length] != '\0')
        length++;
    put_text(sink, spec, text, length);
}

/* *n /= 10, returns the remainder. A limb below 10 * 2^16 fits 32 bits. */
static unsigned divide_by_10(uint64_t *n)
{
    uint32_t high = (uint32_t)(*n >> 32);
    uint32_t low = (uint32_t)*n;
    uint32_t middle = (high % 10) << 16 | low >> 16;
    uint32_t last = (middle % 10) << 16 | (low & 0xffff);
    *n =
        (uint64_t)(high / 10) << 32 | (uint64_t)(middle / 10) << 16 | last / 10;
    return last % 10;
}

static unsigned divide_by_16(uint64_t *n)
{
    unsigned digit = (unsigned)(*n & 15);
    *n >>= 4;
    return digit;
}

/* Blanks, prefix ("-", "0x" or ""), zeros, digits, blanks. */
static void put_number(struct sink *sink, const struct spec *spec, uint64_t n,
    const char *prefix, bool hex)
{
    char text[DIGITS_MAX];
    size_t at = sizeof text;
    size_t length = prefix[0] == '\0' ? 0 : prefix[1] == '\0' ? 1 : 2;
    do {
        unsigned digit = hex ? divide_by_16(&n) : divide_by_10(&n);
        text[--at] = "0123456789abcdef"[digit];
    } while (n != 0);
    length += sizeof text - at;
    size_t padding = spec->width > length ? spec->width - length : 0;
    if (!spec->left && !spec->zeros)
        sink_fill(sink, ' ', padding);
    while (*prefix != '\0')
        sink_put(sink, *prefix++);
    if (!spec->left && spec->zeros)
        sink_fill(sink, '0', padding);
    while (at < sizeof text)
        sink_put(sink, text[at++]);
    if (spec->left)
        sink_fill(sink, ' ', padding);
}

static void put_signed(
    struct sink *sink, const struct spec *spec, struct args *args)
{
    long long n;
    if (spec->longs == 2)
        n = va_arg(args->list, long long);
    else if (spec->longs == 1)
        n = va_arg(args->list, long);
    else if (spec->longs == 3)
        n = va_arg(args->list, ptrdiff_t);
    else
        n = va_arg(args->list, int);
    /* The lowest number has no positive twin: negate as unsigned. */
    uint64_t size = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    put_number(sink, spec, size, n < 0 ? "-" : "", false);
}

static void put_unsigned(
    struct sink *sink, const struct spec *spec, struct args *args)
{
    uint64_t n;
    if (spec->longs == 2)
        n = va_arg(args->list, unsigned long long);
    else if (spec->longs == 1)
        n = va_arg(args->list, unsigned long);
    else if (spec->longs == 3)
        n = va_arg(args->list, size_t);
    else
        n = va_arg(args->list, unsigned);
    bool prefixed = spec->prefixed && spec->kind == 'x' && n != 0;
    put_number(sink, spec, n, prefixed ? "0x" : "", spec->kind == 'x');
}

/* A pointer always shows all its digits. */
static void put_pointer(
    struct sink *sink, const struct spec *spec, const void *pointer)
{
    struct spec digits = *spec;
    digits.zeros = !spec->left;
    if (digits.width < 2 + 2 * sizeof pointer)
        digits.width = 2 + 2 * sizeof pointer;
    put_number(sink, &digits, (uintptr_t)pointer, "0x", true);
}

static const char *read_count(
    const char *format, size_t *count, struct args *args, bool *left)
{
    *count = 0;
    if (*format == '*') {
        int given = va_arg(args->list, int);
        if (given < 0)
            *left = true;
        *count = given < 0 ? 0u - (unsigned)given : (unsigned)given;
        return format + 1;
    }
    for (; *format >= '0' && *format <= '9'; format++)
        *count = *count * 10 + (unsigned)(*format - '0');
    return format;
}

/* Reads what stands between '%' and the kind; returns what follows the kind,
 * or the end of the text if it stops before. */
static const char *read_spec(
    const char *format, struct spec *spec, struct args *args)
{
    *spec = (struct spec){.precision = SIZE_MAX};
    for (; *format == '-' || *format == '0' || *format == '#'; format++) {
        spec->left |= *format == '-';
        spec->zeros |= *format == '0';
        spec->prefixed |= *format == '#';
    }
    format = read_count(format, &spec->width, args, &spec->left);
    if (*format == '.') {
        bool negative = false; /* a negative precision is none */
        format = read_count(format + 1, &spec->precision, args, &negative);
        if (negative)
            spec->precision = SIZE_MAX;
    }
    for (; *format == 'l'; format++)
        spec->longs++;
    if (*format == 'z') {
        spec->longs = 3;
        format++;
    }
    spec->kind = *format;
    return *format == '\0' ? format : format + 1;
}

static void put_one(
    struct sink *sink, const struct spec *spec, struct args *args)
{
    char c;
    switch (spec->kind) {
    case 'd':
    case 'i':
        put_signed(sink, spec, args);
        break;
    case 'u':
    case 'x':
        put_unsigned(sink, spec, args);
        break;
    case 's':
        put_string(sink, spec, va_arg(args->list, const char *));
        break;
    case 'c':
        c = (char)va_arg(args->list, int);
        put_text(sink, spec, &c, 1);
        break;
    case 'p':
        put_pointer(sink, spec, va_arg(args->list, const void *));
        break;
    case '\0':
        break;
    default: /* %% too; what is not known shows itself */
        sink_put(sink, spec->kind);
        break;
    }
}

static void sink_print(struct sink *sink, const char *format, va_list list)
{
    struct args args;
    struct spec spec;
    va_copy(args.list, list);
    while (*format != '\0') {
        if (*format != '%') {
            sink_put(sink, *format++);
            continue;
        }
        format = read_spec(format + 1, &spec, &args);
        put_one(sink, &spec, &args);
    }
    va_end(args.list);
}

void verso_vprint(const char *format, va_list args)
{
    char buffer[LOG_BYTES];
    struct sink sink = {.buffer = buffer, .room = sizeof buffer, .log = true};
    sink_print(&sink, format, args);
    sink_flush(&sink);
}

void verso_print(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    verso_vprint(format, args);
    va_end(args);
}

size_t verso_format(char *buffer, size_t room, const char *format, ...)
{
    struct sink sink = {.buffer = buffer, .room = room > 0 ? room - 1 : 0};
    va_list args;
    va_start(args, format);
    sink_print(&sink, format, args);
    va_end(args);
    if (room > 0)
        buffer[sink.used] = '\0';
    return sink.total;
}

void verso_panic(const char *format, ...)
{
    char message[PANIC_BYTES];
    struct sink sink = {.buffer = message, .room = sizeof message - 1};
    va_list args;
    va_start(args, format);
    sink_print(&sink, format, args);
    va_end(args);
    message[sink.used] = '\0';
    verso_host_panic(message);
}

const char *verso_err_name(int err)
{
    switch (err) {
    case VERSO_OK:
        return "ok";
    case VERSO_NO_MEMORY:
        return "no memory";
    case VERSO_BAD_ARG:
        return "bad argument";
    case VERSO_EXISTS:
        return "exists";
    case VERSO_ABSENT:
        return "absent";
    case VERSO_DENIED:
        return "denied";
    case VERSO_BUSY:
        return "busy";
    default:
        return "unknown error";
    }
}

/* With one CPU nobody could drop it while we spin. */
void verso_i_lock_contended(struct lock *lock)
{
    unsigned spins = 0;
    while (cpu_swap(&lock->held, 1) != 0) {
        cpu_relax();
        if (++spins % SPINS_A_YIELD == 0)
            verso_host_yield();
        /* alone, and nobody to yield to lets go of it: it is our own */
        if (CPU_COUNT_MAX == 1 && spins == SPINS_A_YIELD * YIELDS_ALONE)
            verso_panic("lock %s taken twice", lock->name);
    }
}

/* Of debug builds, one CPU. */
static struct {
    const struct lock *last;
    int held;
} locks VERSO_STATE;

void verso_i_lock_note(const struct lock *lock, int change)
{
    locks.held += change;
    if (change > 0)
        locks.last = lock;
}

const char *verso_i_lock_held(void)
{
    return locks.held > 0 ? locks.last->name : NULL;
}
