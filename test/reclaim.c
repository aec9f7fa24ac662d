/* SPDX-License-Identifier: MIT */
/*
 * reclaim.c - memory kept for later, given back: by whom, how often, and that
 * nobody is called with a lock held.
 */
#include <verso/alloc.h>
#include <verso/area.h>
#include <verso/check.h>
#include <verso/fault.h>
#include <verso/frame.h>
#include <verso/paging.h>
#include <verso/reclaim.h>
#include <verso/slab.h>

#include "../kernel/machine.h"
#include "inject.h"
#include "test.h"

/* A client: what it is asked, and what it does then. */
struct client {
    struct verso_reclaimer reclaimer;
    unsigned calls;
    unsigned inner; /* inner allocations when it was last called */
    bool progress;  /* its answer */
    bool opens;     /* ends the injection of failures */
    bool leaves;    /* takes itself off the list */
    void *object, *area;
};

static bool on_reclaim(void *context)
{
    struct client *client = context;
    client->calls++;
    client->inner = inject_calls();
    if (client->opens)
        inject_fail_at(0);
    /* Every lock there is, from the top: one that is held panics. */
    if (client->leaves)
        verso_reclaimer_remove(&client->reclaimer);
    if (client->object != NULL)
        verso_free(client->object);
    if (client->area != NULL)
        verso_area_free(client->area);
    client->object = client->area = NULL;
    return client->progress;
}

static void client_add(struct client *client, bool progress)
{
    *client = (struct client){.progress = progress};
    client->reclaimer.reclaim = on_reclaim;
    client->reclaimer.context = client;
    verso_reclaimer_add(&client->reclaimer);
}

static void client_remove(struct client *client)
{
    verso_reclaimer_remove(&client->reclaimer);
}

/* ---- clients ---- */

TEST(every_client_is_asked_and_the_answer_is_progress_of_any)
{
    struct client client[3];
    for (unsigned i = 0; i < 3; i++)
        client_add(&client[i], false);
    verso_trim();
    CHECK(!verso_reclaim());
    client[1].progress = true;
    CHECK(verso_reclaim());
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(client[i].calls, 2);
    for (unsigned i = 0; i < 3; i++)
        client_remove(&client[i]);
}

TEST(a_client_that_was_removed_is_not_asked_again)
{
    struct client client[3];
    static const unsigned order[] = {1, 2, 0}; /* middle, end, the last one */
    for (unsigned i = 0; i < 3; i++)
        client_add(&client[i], false);
    for (unsigned n = 0; n < 3; n++) {
        client_remove(&client[order[n]]);
        client_remove(&client[order[n]]); /* which was none: nothing */
        (void)verso_reclaim();
        CHECK_EQ(client[order[n]].calls, n);
    }
    CHECK_EQ(client[0].calls, 2);
    for (unsigned i = 0; i < 3; i++)
        client_add(&client[i], false);
    for (unsigned i = 0; i < 3; i++)
        client_remove(&client[i]);
}

TEST(a_client_may_take_itself_off)
{
    struct client client[3];
    for (unsigned i = 0; i < 3; i++)
        client_add(&client[i], false);
    client[1].leaves = true;
    (void)verso_reclaim();
    (void)verso_reclaim();
    CHECK_EQ(client[0].calls, 2);
    CHECK_EQ(client[1].calls, 1);
    CHECK_EQ(client[2].calls, 2);
    client_remove(&client[0]);
    client_remove(&client[2]);
}

TEST(trim_asks_no_client)
{
    struct client client;
    client_add(&client, true);
    verso_trim();
    CHECK_EQ(client.calls, 0);
    client_remove(&client);
}

TEST(nobody_is_asked_in_an_interrupt)
{
    struct client client;
    client_add(&client, true);
    machine_pretend_interrupt(true);
    CHECK(!verso_reclaim());
    CHECK(verso_alloc(100000) == NULL);
    machine_pretend_interrupt(false);
    CHECK_EQ(client.calls, 0);
    client_remove(&client);
}

TEST(a_client_may_free_while_an_allocation_waits_for_it)
{
    struct client client;
    void *kept = verso_alloc(100);
    client_add(&client, true);
    client.object = verso_alloc(100);
    client.area = verso_area_alloc(3, VERSO_AREA_MAPPED);
    CHECK(verso_reclaim());
    CHECK(client.object == NULL);
    CHECK(verso_check() == NULL);
    if (inject_available()) { /* from inside of an allocation */
        client.object = verso_alloc(100000);
        client.area = verso_area_alloc(1, VERSO_AREA_LAZY);
        inject_fail_from(1);
        client.opens = true;
        void *object = verso_alloc(200000);
        inject_fail_at(0);
        CHECK(object != NULL);
        CHECK_EQ(client.calls, 2);
        verso_free(object);
    }
    client_remove(&client);
    verso_free(kept);
}

/* ---- how often ---- */

enum entry {
    ENTRY_ALLOC,
    ENTRY_ALIGNED,
    ENTRY_ZEROED,
    ENTRY_REALLOC,
    ENTRY_FAULT,
    ENTRIES
};

/* Asks for memory by one of the entry points that retry. */
static void *ask(enum entry entry, void *lazy)
{
    switch (entry) {
    case ENTRY_ALLOC:
        return verso_alloc(50000);
    case ENTRY_ALIGNED:
        return verso_alloc_aligned(8192, 50000);
    case ENTRY_ZEROED:
        return verso_alloc_zeroed(10, 5000);
    case ENTRY_REALLOC:
        return verso_realloc(NULL, 50000);
    default:
        return verso_fault((vaddr_t)lazy, VERSO_FAULT_WRITE) ==
                       VERSO_FAULT_HANDLED
                   ? lazy
                   : NULL;
    }
}

TEST(an_entry_point_tries_again_once_if_there_was_progress_else_not_at_all)
{
    struct client client;
    if (!inject_available())
        SKIP("no failure injection in this build");
    void *lazy = verso_area_alloc(1, VERSO_AREA_LAZY);
    for (enum entry entry = 0; entry < ENTRIES; entry++) {
        for (unsigned progress = 0; progress < 2; progress++) {
            client_add(&client, progress != 0);
            verso_trim();
            inject_fail_from(1);
            void *got = ask(entry, lazy);
            unsigned inner = inject_calls();
            inject_fail_at(0);
            CHECK(got == NULL);
            CHECK_EQ(client.calls, 1);
            CHECK(client.inner > 0);
            CHECK_EQ(inner > client.inner, progress != 0);
            CHECK(inner <= 2 * client.inner);
            client_remove(&client);
        }
        if (test_has_failed())
            test_note("entry point %u", entry);
    }
    verso_area_free(lazy);
}

TEST(the_second_try_succeeds_with_what_a_client_freed)
{
    struct client client;
    if (!inject_available())
        SKIP("no failure injection in this build");
    void *lazy = verso_area_alloc(1, VERSO_AREA_LAZY);
    for (enum entry entry = 0; entry < ENTRIES; entry++) {
        client_add(&client, true);
        client.opens = true;
        verso_trim();
        inject_fail_from(1);
        void *got = ask(entry, lazy);
        inject_fail_at(0);
        CHECK(got != NULL);
        CHECK_EQ(client.calls, 1);
        if (got != lazy)
            verso_free(got);
        client_remove(&client);
    }
    verso_area_free(lazy);
}

/* Lower storeys answer; who retries is the caller. */
TEST(areas_and_caches_do_not_reclaim_by_themselves)
{
    struct client client;
    struct verso_slab_params params = {.name = "mine", .size = 3000};
    if (!inject_available())
        SKIP("no failure injection in this build");
    struct slab_desc *cache = verso_slab_create(&params);
    client_add(&client, true);
    inject_fail_from(1);
    CHECK(verso_area_alloc(2, VERSO_AREA_MAPPED) == NULL);
    CHECK(verso_slab_alloc(cache) == NULL);
    inject_fail_at(0);
    CHECK_EQ(client.calls, 0);
    client_remove(&client);
    verso_slab_destroy(cache);
}

/* ---- what is drained ---- */

TEST(what_is_kept_for_later_is_given_back)
{
    verso_trim();
    size_t used = verso_frame_used();
    void *object[100];
    for (unsigned i = 0; i < 100; i++)
        object[i] = verso_alloc(20 * i);
    for (unsigned i = 0; i < 100; i++)
        verso_free(object[i]);
    CHECK(verso_frame_used() > used); /* empty slabs, for one */
    CHECK(verso_reclaim());
    (void)verso_reclaim(); /* what the first round left: empty tables */
    CHECK_EQ(verso_frame_used(), used);
    CHECK(!verso_reclaim());
}

/* Half a history, backwards, and another order of it. */
static uint64_t state_after(bool backwards, unsigned extra)
{
    static void *object[60], *bare[300];
    void *area = verso_area_alloc(5, VERSO_AREA_MAPPED);
    for (unsigned i = 0; i < 60; i++)
        object[i] = verso_alloc(100 * (i % 6) + 10);
    for (unsigned i = 0; i < extra; i++) {
        void *more = verso_alloc(40 * i);
        void *lazy = verso_area_alloc(1 + i % 4, VERSO_AREA_LAZY);
        *(volatile char *)lazy = 1;
        verso_free(more);
        verso_area_free(lazy);
    }
    for (unsigned i = 0; i < extra; i++)
        CHECK((bare[i] = verso_area_alloc(1, VERSO_AREA_BARE)) != NULL);
    for (unsigned i = 0; i < extra; i++)
        verso_area_free(bare[i]);
    for (unsigned i = 0; i < 60; i++)
        verso_free(object[backwards ? 59 - i : i]);
    verso_area_free(area);
    return test_state_hash();
}

TEST(after_trim_states_that_were_reached_differently_are_equal)
{
    uint64_t before = test_state_hash();
    CHECK(state_after(false, 0) == before);
    CHECK(state_after(true, 0) == before);
    CHECK(state_after(true, 50) == before);
    CHECK(state_after(false, 300) == before);
    verso_trim();
    verso_trim();
    CHECK(test_state_hash() == before);
}

/* ---- what a reader found ---- */

static unsigned depth, deepest;

/* Against the rules, it allocates; and as many as 5 deep. */
static bool on_reclaim_alloc(void *context)
{
    (void)context;
    if (++depth > deepest)
        deepest = depth;
    if (depth < 5) {
        verso_free(verso_alloc(200000));
        CHECK(!verso_reclaim());
    }
    depth--;
    return false;
}

TEST(a_client_that_allocates_is_not_asked_again_meanwhile)
{
    struct verso_reclaimer client = {.reclaim = on_reclaim_alloc};
    if (!inject_available())
        SKIP("no failure injection in this build");
    depth = deepest = 0;
    verso_reclaimer_add(&client);
    inject_fail_from(1);
    CHECK(verso_alloc(100000) == NULL);
    inject_fail_at(0);
    CHECK_EQ(deepest, 1);
    CHECK_EQ(depth, 0);
    (void)verso_reclaim(); /* and is asked the next time */
    verso_reclaimer_remove(&client);
}

SUITE(reclaim, every_client_is_asked_and_the_answer_is_progress_of_any,
    a_client_that_was_removed_is_not_asked_again, a_client_may_take_itself_off,
    trim_asks_no_client, nobody_is_asked_in_an_interrupt,
    a_client_may_free_while_an_allocation_waits_for_it,
    an_entry_point_tries_again_once_if_there_was_progress_else_not_at_all,
    the_second_try_succeeds_with_what_a_client_freed,
    areas_and_caches_do_not_reclaim_by_themselves,
    what_is_kept_for_later_is_given_back,
    after_trim_states_that_were_reached_differently_are_equal,
    a_client_that_allocates_is_not_asked_again_meanwhile);
