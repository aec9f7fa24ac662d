/* SPDX-License-Identifier: MIT */
/*
 * harness.c - the tests' own tools: panics that are caught, faults that are
 * expected, random numbers that repeat, failures that are injected.
 */
#include <verso/frame.h>

#include "../kernel/machine.h"
#include "inject.h"
#include "test.h"

static void panic_plainly(void)
{
    verso_panic("harness: %u of %s", 7u, "nine");
}

static void panic_with(void *arg)
{
    verso_panic("harness: %u", *(unsigned *)arg);
}

static void return_quietly(void *arg)
{
    (void)arg;
}

TEST(a_panic_is_caught_with_its_message)
{
    unsigned number = 42;
    char message[8];
    CHECK_PANICS(panic_plainly, "harness: 7 of nine");
    CHECK_PANICS_WITH(panic_with, &number, ": 42");
    CHECK_PANICS(panic_plainly, ""); /* and again */
    CHECK(machine_catch_panic(panic_with, &number, message, sizeof(message)));
    CHECK_EQ(message[6], 's');
    CHECK_EQ(message[7], 0); /* cut to fit */
}

TEST(a_call_that_returns_is_no_panic)
{
    char message[8];
    CHECK(!machine_catch_panic(return_quietly, NULL, message, sizeof(message)));
}

TEST(a_page_that_is_there_is_probed_without_a_fault)
{
    static volatile unsigned word = 5;
    size_t pages;
    vaddr_t nothing = test_window(&pages);
    CHECK(!machine_probe(&word, false));
    CHECK(!machine_probe(&word, true));
    CHECK_EQ(word, 5);
    CHECK(machine_probe((const volatile void *)nothing, false));
    CHECK(machine_probe((const volatile void *)nothing, true));
}

TEST(random_numbers_stay_below_their_bound_and_reach_it)
{
    unsigned seen[7] = {0};
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t n = test_random_below(7);
        if (!CHECK(n < 7))
            return;
        seen[n]++;
    }
    for (unsigned i = 0; i < 7; i++)
        CHECK(seen[i] > 90);
    CHECK_EQ(test_random_below(1), 0);
}

static bool frame_is_had(void)
{
    pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
    if (pfn_is_none(pfn))
        return false;
    verso_frame_free1(pfn);
    return true;
}

TEST(the_chosen_allocation_fails_and_no_other)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    inject_fail_at(2);
    CHECK(frame_is_had());
    CHECK(!frame_is_had());
    CHECK(frame_is_had());
    CHECK_EQ(inject_calls(), 3);
    inject_fail_from(2);
    CHECK(frame_is_had());
    CHECK(!frame_is_had());
    CHECK(!frame_is_had());
    inject_fail_at(0);
    CHECK(frame_is_had());
}

TEST(the_state_hash_sees_a_frame_that_is_taken)
{
    uint64_t before = test_state_hash();
    pfn_t pfn = verso_frame_alloc1(VERSO_ZONE_ANY);
    CHECK(test_state_hash() != before);
    verso_frame_free1(pfn);
    CHECK(test_state_hash() == before);
}

SUITE(harness, a_panic_is_caught_with_its_message,
    a_call_that_returns_is_no_panic,
    a_page_that_is_there_is_probed_without_a_fault,
    random_numbers_stay_below_their_bound_and_reach_it,
    the_chosen_allocation_fails_and_no_other,
    the_state_hash_sees_a_frame_that_is_taken);
