/* SPDX-License-Identifier: MIT */
/*
 * replay.c - traces against the real heap: what replay reports of good ones,
 * and that one that fails in the middle leaves nothing behind (which the
 * runner checks after each test, frame by frame).
 */
#include <verso/alloc.h>
#include <verso/frame.h>

#include "../kernel/kernel.h"

#include "test.h"

static void replay_text(const char *text, struct replay_result *result)
{
    const struct replay_input input = {
        .name = "test", .text = text, .bytes = text_length(text)};
    replay_run(&input, result);
}

TEST(a_good_trace_is_replayed_and_measured)
{
    struct replay_result result;

    replay_text("0\n3\n6\n1\n"
                "a 0 512\na 1 70000\nr 1 90000\nf 0\nf -1\nr 2 8\n",
        &result);
    if (!CHECK(result.ok))
        test_note("%s", result.reason);
    CHECK_EQ(result.ops, 6);
    CHECK_EQ(result.payload_peak, 90512);
    CHECK_EQ(result.peak_op, 3);
    CHECK(result.heap_peak >= 90512);
    CHECK_EQ(result.heap_peak % VERSO_PAGE_SIZE, 0);
    CHECK_EQ(result.extra_line, 0);
}

TEST(objects_of_no_bytes_are_objects)
{
    struct replay_result result;

    replay_text(
        "0\n3\n6\n1\na 0 0\na 1 0\nr 2 0\nr 0 100\nr 0 0\nf 1\n", &result);
    if (!CHECK(result.ok))
        test_note("%s", result.reason);
    CHECK_EQ(result.ops, 6);
    CHECK_EQ(result.payload_peak, 100);
}

TEST(operations_too_many_are_replayed_all_the_same)
{
    struct replay_result result;

    replay_text("0\n1\n1\n1\na 0 8\nf 0\na 0 9\n", &result);
    CHECK(result.ok);
    CHECK_EQ(result.ops, 3);
    CHECK_EQ(result.extra_line, 6);
    CHECK_EQ(result.promised, 1);
}

/* Whatever was live when it failed is freed. */
TEST(a_bad_trace_fails_with_its_line_and_leaves_nothing)
{
    struct replay_result result;

    replay_text("0\n4\n4\n1\na 0 64\na 1 20000\na 0 64\nf 1\n", &result);
    CHECK(!result.ok);
    CHECK_EQ(result.ops, 2);
    CHECK(text_equal(
        result.reason, "line 7: 'a' on id 0, which is allocated already"));
    replay_text("", &result);
    CHECK(!result.ok);
    CHECK(text_equal(result.reason, "line 1: the file is empty"));
}

TEST(no_memory_fails_the_trace_and_leaves_nothing)
{
    struct replay_result result;
    struct verso_frame_stats stats;

    verso_frame_stats(&stats);
    if (stats.free > 4294963200u >> VERSO_PAGE_SHIFT)
        SKIP("memory for the largest size that a trace can ask for");
    replay_text("0\n3\n3\n1\na 0 64\na 1 4294963200\nf 1\n", &result);
    CHECK(!result.ok);
    CHECK(text_equal(result.reason, "line 6: no memory for 4294963200 bytes"));
    replay_text("0\n3\n3\n1\na 0 64\nr 0 4294967295\nf 0\n", &result);
    CHECK(!result.ok);
    CHECK(text_equal(result.reason, "line 6: no memory for 4294967295 bytes"));
}

TEST(more_ids_than_tables_can_be_made_for_are_refused)
{
    struct replay_result result;

    replay_text("0\n4000000000\n1\n1\na 0 8\n", &result);
    CHECK(!result.ok);
    CHECK(text_equal(
        result.reason, "no memory for the tables of 4000000000 ids"));
}

static struct {
    unsigned calls;
    size_t used;
} stop;

static void on_stop(const char *name)
{
    CHECK(text_equal(name, "stopped"));
    stop.calls++;
    stop.used = verso_frame_used();
}

TEST(a_replay_stops_where_it_was_asked_to)
{
    static const char text[] = "0\n2\n4\n1\na 0 40960\na 1 8\nf 0\nf 1\n";
    const struct replay_input input = {.name = "stopped",
        .text = text,
        .bytes = sizeof(text) - 1,
        .stop_at = 2,
        .stop = on_stop};
    struct replay_result result;
    size_t before = verso_frame_used();

    stop.calls = 0;
    replay_run(&input, &result);
    CHECK(result.ok);
    CHECK_EQ(stop.calls, 1);
    CHECK(stop.used >= before + 10);
}

SUITE(replay, a_good_trace_is_replayed_and_measured,
    objects_of_no_bytes_are_objects,
    operations_too_many_are_replayed_all_the_same,
    a_bad_trace_fails_with_its_line_and_leaves_nothing,
    no_memory_fails_the_trace_and_leaves_nothing,
    more_ids_than_tables_can_be_made_for_are_refused,
    a_replay_stops_where_it_was_asked_to);
