/* SPDX-License-Identifier: MIT */
/*
 * util.c - what all storeys lean on: text, names of errors, locks.
 */
#include <verso/init.h>

#include "../src/util.h"
#include "test.h"

/* Does the format make this text, and say its length? The compiler checks
 * formats; some here are wrong on purpose, and it shall not see them. */
#define CHECK_TEXT(expected, ...)                                              \
    do {                                                                       \
        char text[80];                                                         \
        size_t length = verso_format(text, sizeof(text), __VA_ARGS__);         \
        if (!CHECK(is_equal(text, expected)))                                  \
            test_note("\"%s\", not \"%s\"", text, expected);                   \
        CHECK_EQ(length, sizeof(expected) - 1);                                \
    } while (0)

static bool is_equal(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

TEST(numbers_of_every_width_are_printed)
{
    CHECK_TEXT("-1 -2 -3 -4", "%d %ld %lld %zd", -1, -2L, -3LL, (ptrdiff_t)-4);
    CHECK_TEXT("1 2 3 4", "%u %lu %llu %zu", 1u, 2ul, 3ull, (size_t)4);
    CHECK_TEXT("-9223372036854775808", "%lld", -0x7fffffffffffffffLL - 1);
    CHECK_TEXT("18446744073709551615", "%llu", ~0ull);
    CHECK_TEXT("0 0xff ff", "%#x %#x %lx", 0u, 255u, 255ul);
}

TEST(fields_are_filled_on_the_side_that_is_asked_for)
{
    CHECK_TEXT("[   7][7   ][0007]", "[%4d][%-4d][%04d]", 7, 7, 7);
    CHECK_TEXT("[  -7][-7  ][-007]", "[%4d][%-4d][%04d]", -7, -7, -7);
    CHECK_TEXT("[   7][7   ]", "[%*d][%*d]", 4, 7, -4, 7);
    CHECK_TEXT("[  ab][ab  ][c]", "[%4s][%-4s][%c]", "ab", "ab", 'c');
    CHECK_TEXT("[ab][a][abc][]", "[%.2s][%.*s][%.*s][%.0s]", "abc", 1, "abc",
        -1, "abc", "abc");
    CHECK_TEXT("12345", "%2d", 12345);
}

TEST(what_cannot_be_printed_shows_itself)
{
    const char *volatile null = NULL;
    const char *volatile odd = "%q%";
    char made[8];
    CHECK_TEXT("100%", "%d%%", 100);
    CHECK_TEXT("(null)", "%s", null);
    CHECK_EQ(verso_format(made, sizeof(made), odd, 0), 1);
    CHECK(is_equal(made, "q"));
}

TEST(a_text_that_does_not_fit_is_cut_and_its_length_told)
{
    char made[4] = "xyz";
    CHECK_EQ(verso_format(made, sizeof(made), "%d", 123456), 6);
    CHECK(is_equal(made, "123"));
    CHECK_EQ(verso_format(made, 0, "%d", 77), 2);
    CHECK(is_equal(made, "123"));
}

TEST(every_error_has_a_name_of_its_own)
{
    static const int errors[] = {VERSO_OK, VERSO_NO_MEMORY, VERSO_BAD_ARG,
        VERSO_EXISTS, VERSO_ABSENT, VERSO_DENIED, VERSO_BUSY, 1};
    for (size_t i = 0; i < ARRAY_COUNT(errors); i++)
        for (size_t k = 0; k < i; k++)
            CHECK(!is_equal(
                verso_err_name(errors[i]), verso_err_name(errors[k])));
    CHECK(is_equal(verso_err_name(VERSO_NO_MEMORY), "no memory"));
    CHECK(is_equal(verso_err_name(-4711), verso_err_name(4711)));
}

static void lock_twice(void *lock)
{
    lock_take(lock);
    lock_take(lock);
}

TEST(with_one_cpu_a_lock_that_is_taken_twice_is_a_panic)
{
    struct lock lock = {0, "mine"};
    if (CPU_COUNT_MAX > 1)
        SKIP("somebody else may drop it");
    CHECK_PANICS_WITH(lock_twice, &lock, "lock mine taken twice");
    lock_drop(&lock);
    lock_take(&lock);
    lock_drop(&lock);
}

TEST(the_lock_that_is_held_is_known_by_its_name)
{
    struct lock lock = {0, "mine"};
    CHECK(verso_i_lock_held() == NULL);
    verso_i_lock_note(&lock, 1);
    const char *name = verso_i_lock_held();
    verso_i_lock_note(&lock, -1);
    CHECK(name != NULL && is_equal(name, "mine"));
    CHECK(verso_i_lock_held() == NULL);
}

SUITE(util, numbers_of_every_width_are_printed,
    fields_are_filled_on_the_side_that_is_asked_for,
    what_cannot_be_printed_shows_itself,
    a_text_that_does_not_fit_is_cut_and_its_length_told,
    every_error_has_a_name_of_its_own,
    with_one_cpu_a_lock_that_is_taken_twice_is_a_panic,
    the_lock_that_is_held_is_known_by_its_name);
