/* SPDX-License-Identifier: MIT */
/*
 * main.c - the runner: suites, checks, TAP 13. Test harness, the same on the
 * host and in the kernel.
 *
 *     TAP version 13
 *     1..N
 *     # seed 0x...
 *     # file.c:42: a == b: 1 (0x1), 2 (0x2)      what failed, before its line
 *     not ok 1 - paging: a sentence about the test
 *     ok 2 - paging: another # SKIP reason
 *
 * What each test must leave behind: as many frames in use as before (stocks
 * trimmed), no stale translation where the machine can tell, and no broken
 * invariant. A test that fails this is "not ok" though
 * each of its checks held.
 */
#include <verso/check.h>
#include <verso/frame.h>
#include <verso/reclaim.h>

#include "../kernel/machine.h"
#include "inject.h"
#include "test.h"

/* One line a suite, in the order of the storeys. One that is not linked (a
 * part of the library, a port without it) is passed over. */
#define SUITES(X)                                                              \
    X(harness)                                                                 \
    X(conformance)                                                             \
    X(adopt)                                                                   \
    X(x86)                                                                     \
    X(um)                                                                      \
    X(util)                                                                    \
    X(frame)                                                                   \
    X(paging)                                                                  \
    X(space)                                                                   \
    X(back)                                                                    \
    X(node)                                                                    \
    X(radix)                                                                   \
    X(pagemap)                                                                 \
    X(area)                                                                    \
    X(maps)                                                                    \
    X(limbo)                                                                   \
    X(slab)                                                                    \
    X(alloc)                                                                   \
    X(fault)                                                                   \
    X(reclaim)                                                                 \
    X(check)                                                                   \
    X(report)                                                                  \
    X(init)                                                                    \
    X(same)                                                                    \
    X(model)                                                                   \
    X(mutants)                                                                 \
    X(exhaust)                                                                 \
    X(reserve)                                                                 \
    X(trace)                                                                   \
    X(replay)                                                                  \
    X(kernel)

#define DECLARE(name)                                                          \
    extern const struct suite suite_##name __attribute__((weak));
#define ADDRESS(name) &suite_##name,
SUITES(DECLARE)
static const struct suite *const suites[] = {SUITES(ADDRESS) NULL};

/* A build of one part of the library has no storeys above it. */
extern __typeof__(verso_trim) verso_trim __attribute__((weak));
extern __typeof__(verso_check) verso_check __attribute__((weak));
extern __typeof__(verso_frame_stats) verso_frame_stats __attribute__((weak));

#define DEFAULT_SEED 0x5eed0badcafe0001ull

uint64_t test_seed;

/* The test that is running. */
static struct {
    bool failed;
    const char *skipped;
    uint64_t random;
} now;

void test_note(const char *format, ...)
{
    va_list args;
    verso_print("# ");
    va_start(args, format);
    verso_vprint(format, args);
    va_end(args);
    verso_print("\n");
}

bool test_has_failed(void)
{
    return now.failed;
}

void test_skip(const char *reason)
{
    now.skipped = reason;
}

bool test_check(bool held, const char *text, const char *file, int line)
{
    if (!held) {
        now.failed = true;
        test_note("%s:%d: does not hold: %s", file, line, text);
    }
    return held;
}

bool test_check_eq(
    long long a, long long b, const char *text, const char *file, int line)
{
    if (a != b) {
        now.failed = true;
        test_note("%s:%d: %s: %lld (0x%llx), %lld (0x%llx)", file, line, text,
            a, (unsigned long long)a, b, (unsigned long long)b);
    }
    return a == b;
}

bool test_check_ok(int err, const char *text, const char *file, int line)
{
    if (err != VERSO_OK) {
        now.failed = true;
        test_note(
            "%s:%d: %s: %s (%d)", file, line, text, verso_err_name(err), err);
    }
    return err == VERSO_OK;
}

static size_t text_length(const char *text)
{
    size_t n = 0;
    while (text[n])
        n++;
    return n;
}

static bool text_starts(const char *text, const char *start)
{
    while (*start)
        if (*text++ != *start++)
            return false;
    return true;
}

static bool text_contains(const char *text, const char *part)
{
    for (; *text; text++)
        if (text_starts(text, part))
            return true;
    return *part == 0;
}

static bool check_panics(void (*run)(void *), void *arg, const char *name,
    const char *place, const char *text)
{
    char message[256];
    message[0] = 0;
    if (!machine_catch_panic(run, arg, message, sizeof(message))) {
        now.failed = true;
        test_note("%s: %s did not panic (\"%s\")", place, name, text);
        return false;
    }
    if (!text_contains(message, text)) {
        now.failed = true;
        test_note("%s: %s panicked with \"%s\", not with \"%s\"", place, name,
            message, text);
        return false;
    }
    return true;
}

/* A pointer to a function does not fit a void pointer in C. */
struct plain_call {
    void (*run)(void);
};

static void run_plain(void *arg)
{
    ((struct plain_call *)arg)->run();
}

bool test_check_panics(void (*run)(void), const char *name, const char *text,
    const char *file, int line)
{
    char place[80];
    struct plain_call call = {run};
    verso_format(place, sizeof(place), "%s:%d", file, line);
    return check_panics(run_plain, &call, name, place, text);
}

bool test_check_panics_with(void (*run)(void *), void *arg, const char *text,
    const char *file, int line)
{
    char place[80];
    verso_format(place, sizeof(place), "%s:%d", file, line);
    return check_panics(run, arg, "the call", place, text);
}

/* Marsaglia's xorshift, times an odd number (Vigna's xorshift64*): no
 * division, the same on every machine. */
uint32_t test_random(void)
{
    uint64_t x = now.random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    now.random = x;
    return (uint32_t)((x * 0x2545f4914f6cdd1dull) >> 32);
}

uint32_t test_random_below(uint32_t n)
{
    return (uint32_t)(((uint64_t)test_random() * n) >> 32);
}

static void random_start(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325ull ^ test_seed;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3ull;
    now.random = hash ? hash : 1;
    (void)test_random();
}

static size_t frames_used(void)
{
    struct verso_frame_stats stats = {.used = 0};
    if (verso_trim)
        verso_trim();
    if (verso_frame_stats)
        verso_frame_stats(&stats);
    return stats.used;
}

static void print_sentence(const char *name)
{
    char text[160];
    size_t n = 0;
    for (; n < sizeof(text) - 1 && name[n]; n++)
        text[n] = name[n] == '_' ? ' ' : name[n];
    text[n] = 0;
    verso_print("%s", text);
}

/* Does `which` ask for this test? NULL, "suite" or "suite/start of name". */
static bool is_chosen(
    const char *which, const char *suite, const struct test_case *test)
{
    size_t length = text_length(suite);
    if (!which || !*which)
        return true;
    if (!text_starts(which, suite))
        return false;
    if (which[length] == 0)
        return true;
    return which[length] == '/' && text_starts(test->name, which + length + 1);
}

static void after_test(size_t used_before)
{
    size_t used = frames_used();
    size_t stale = test_audit ? test_audit() : 0;
    const char *broken = verso_check ? verso_check() : NULL;
    if (stale != 0) {
        now.failed = true;
        test_note("leaves %zu stale translations", stale);
    }
    if (used != used_before) {
        now.failed = true;
        test_note("leaves %zu frames in use, not %zu", used, used_before);
    }
    if (broken) {
        now.failed = true;
        test_note("breaks an invariant: %s", broken);
    }
}

static bool run_test(
    unsigned number, const char *suite, const struct test_case *test)
{
    size_t used = frames_used();
    now.failed = false;
    now.skipped = NULL;
    random_start(test->name);
    test->run();
    if (inject_available())
        inject_fail_at(0);
    after_test(used);
    verso_print("%sok %u - %s: ", now.failed ? "not " : "", number, suite);
    print_sentence(test->name);
    if (now.skipped && !now.failed)
        verso_print(" # SKIP %s", now.skipped);
    verso_print("\n");
    return !now.failed;
}

static unsigned count_chosen(const char *which)
{
    unsigned count = 0;
    for (unsigned s = 0; s < sizeof(suites) / sizeof(suites[0]); s++)
        for (unsigned t = 0; suites[s] && suites[s]->tests[t]; t++)
            if (is_chosen(which, suites[s]->name, suites[s]->tests[t]))
                count++;
    return count;
}

int test_main(const char *which)
{
    unsigned number = 0;
    int failed = 0;
    if (test_seed == 0)
        test_seed = DEFAULT_SEED;
    verso_print("TAP version 13\n1..%u\n", count_chosen(which));
    test_note("seed 0x%llx", (unsigned long long)test_seed);
    if (!verso_check || !verso_trim || !verso_frame_stats)
        test_note("invariants or frames are not checked in this build");
    for (unsigned s = 0; s < sizeof(suites) / sizeof(suites[0]); s++)
        for (unsigned t = 0; suites[s] && suites[s]->tests[t]; t++)
            if (is_chosen(which, suites[s]->name, suites[s]->tests[t]) &&
                !run_test(++number, suites[s]->name, suites[s]->tests[t]))
                failed++;
    test_note("%u run, %d failed", number, failed);
    return number == 0 ? 1 : failed;
}
