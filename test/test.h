/* SPDX-License-Identifier: MIT */
/*
 * test.h - how a test is written. The same file runs in a Linux process and
 * linked into the kernel: nothing of the C library is needed, output goes
 * through verso_print().
 *
 *     TEST(a_freed_frame_is_found_again)
 *     {
 *         pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
 *         if (!CHECK(!pfn_is_none(pfn)))
 *             return;
 *         verso_frame_free1(pfn);
 *         CHECK_EQ(verso_frame_owners(pfn), 0);
 *     }
 *
 *     SUITE(frame, a_freed_frame_is_found_again);
 *
 * and a line X(frame) in the list of main.c. Around each test the runner
 * demands, with the stocks trimmed, that the frames in use are what they were
 * and that verso_check() finds every invariant in place. A check that fails is
 * told with place and values, and the test goes on; each check is an
 * expression that says whether it held.
 */
#ifndef TEST_TEST_H
#define TEST_TEST_H

#include <verso/types.h>
#include <verso/util.h>

struct test_case {
    const char *name;
    void (*run)(void);
};

struct suite {
    const char *name;
    const struct test_case *const *tests; /* the last one is NULL */
};

/* A test is an array of one, so that its bare name is a pointer to it; one
 * that no SUITE lists is an unused variable, which does not compile. */
#define TEST(name)                                                             \
    static void name##_run(void);                                              \
    static const struct test_case name[1] = {{#name, name##_run}};             \
    static void name##_run(void)

#define SUITE(name, ...)                                                       \
    extern const struct suite suite_##name;                                    \
    const struct suite suite_##name = {                                        \
        #name, (const struct test_case *const[]){__VA_ARGS__, NULL}}

#define CHECK(condition) test_check((condition), #condition, __FILE__, __LINE__)

/* Integers of any type. Prints both; pfn_t and pointers want a conversion. */
#define CHECK_EQ(a, b)                                                         \
    test_check_eq(                                                             \
        (long long)(a), (long long)(b), #a " == " #b, __FILE__, __LINE__)

/* An int that is 0, or the name of an enum verso_err is printed. */
#define CHECK_OK(call) test_check_ok((call), #call, __FILE__, __LINE__)

/* Calls function() (or function(arg)); it must panic with a message that
 * contains `text`. The panic leaves everything as it stood: only misuse that
 * is found before anything is locked or changed can be tested so. */
#define CHECK_PANICS(function, text)                                           \
    test_check_panics(function, #function "()", text, __FILE__, __LINE__)
#define CHECK_PANICS_WITH(function, arg, text)                                 \
    test_check_panics_with(function, arg, text, __FILE__, __LINE__)

/* Ends the test that says it, which counts as skipped. */
#define SKIP(reason)                                                           \
    do {                                                                       \
        test_skip(reason);                                                     \
        return;                                                                \
    } while (0)

bool test_check(bool held, const char *text, const char *file, int line);
bool test_check_eq(
    long long a, long long b, const char *text, const char *file, int line);
bool test_check_ok(int err, const char *text, const char *file, int line);
bool test_check_panics(void (*run)(void), const char *name, const char *text,
    const char *file, int line);
bool test_check_panics_with(void (*run)(void *), void *arg, const char *text,
    const char *file, int line);
void test_skip(const char *reason);
/* Has a check of this test failed? (To stop a loop of thousands.) */
bool test_has_failed(void);
/* A diagnostic: "# " and a line; the newline is added. */
void test_note(const char *format, ...) VERSO_PRINTF(1, 2);

/* Repeatable: the sequence starts anew in each test, from test_seed and the
 * test's name. Set test_seed before test_main(); 0 stands for the default. */
extern uint64_t test_seed;
uint32_t test_random(void);
/* 0 .. n - 1; n > 0. */
uint32_t test_random_below(uint32_t n);

/* Runs a suite ("paging"), one test ("paging/first_words_of_it"), or all
 * (NULL). Prints TAP 13. Returns the number of tests that failed; running
 * nothing is a failure too. */
int test_main(const char *which);

/* Supplied by the glue (test/host/glue.c, the kernel): addresses outside the
 * heap that nobody uses, aligned, for tests of paging. */
vaddr_t test_window(size_t *pages);

/* Supplied where the machine can tell what it has cached (um); else NULL.
 * Prints each translation that should have been invalidated, returns their
 * number. The runner asks after every test; a test may. */
extern size_t test_audit(void) __attribute__((weak));

/* Entries of tables stored so far, where the machine counts them (um); else
 * NULL. */
extern size_t test_stores(void) __attribute__((weak));

/* Supplied where the machine can (um); else NULL. From now on an interrupt
 * comes wherever one may, before and after each store of an entry at least, and
 * calls this; NULL: none comes. */
extern void test_interrupt(void (*handler)(void)) __attribute__((weak));

/* Supplied where what is printed can be had back (um); else NULL. From now on
 * it goes into `text`, with a 0 at its end; what is too much is lost. NULL: to
 * the output again. */
extern void test_capture(char *text, size_t room) __attribute__((weak));

/* Does the machine set accessed and dirty without an access, as any CPU may?
 * NULL: no. */
extern bool test_use_is_random(void) __attribute__((weak));

/* Supplied where the machine may walk unasked (um); else NULL. From now on it
 * does nothing of the kind, for a test that damages tables; or again. */
extern void test_calm(bool calm) __attribute__((weak));

#endif
