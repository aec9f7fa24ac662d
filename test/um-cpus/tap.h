/* SPDX-License-Identifier: MIT */
/*
 * tap.h - what the programs of this directory report with: TAP 13, a line for
 * each test. A check that fails in one process of several ends it (CPU_CHECK),
 * and so the run.
 */
#ifndef TEST_UM_CPUS_TAP_H
#define TEST_UM_CPUS_TAP_H

#include <stdbool.h>
#include <stdio.h>

struct tap_test {
    const char *name;
    void (*run)(void);
};

/* Named by a sentence. */
#define TAP_TEST(run)                                                          \
    {                                                                          \
#run, run                                                              \
    }

static bool tap_failed;

#define CHECK(condition) tap_check((condition), #condition, __LINE__)

/* In the run() of a CPU, or what it calls that returns its int. */
#define CPU_CHECK(condition)                                                   \
    do {                                                                       \
        if (!CHECK(condition))                                                 \
            return 1;                                                          \
    } while (0)

static inline bool tap_check(bool held, const char *text, int line)
{
    if (!held)
        printf("# line %d: %s does not hold\n", line, text);
    tap_failed |= !held;
    return held;
}

static inline void tap_name_print(const char *name)
{
    for (; *name; name++)
        putchar(*name == '_' ? ' ' : *name);
    putchar('\n');
}

static inline int tap_main(
    const char *program, const struct tap_test *tests, size_t count)
{
    size_t failed = 0;
    printf("TAP version 13\n1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        tap_failed = false;
        tests[i].run();
        failed += tap_failed;
        printf("%s %zu - %s: ", tap_failed ? "not ok" : "ok", i + 1, program);
        tap_name_print(tests[i].name);
    }
    return failed == 0 ? 0 : 1;
}

#endif
