/* SPDX-License-Identifier: MIT */
/*
 * radix.c - words by number, against an array of all that were set.
 */
#include <verso/reclaim.h>

#include "../src/radix.h"
#include "inject.h"
#include "test.h"

#define WORDS 200u
/* Pages of 128 TiB, or of all addresses that have 32 bits. */
#define KEYS ((size_t)1 << (sizeof(size_t) > 4 ? 35 : 20))

static struct radix radix;
static struct {
    size_t key;
    uint32_t word;
} is[WORDS];
static size_t count;

static bool says(const char *broken, const char *text)
{
    size_t i = 0;
    while (broken != NULL && broken[i] == text[i] && text[i] != 0)
        i++;
    return broken != NULL && broken[i] == text[i];
}

static void open(void)
{
    verso_i_radix_init(&radix, KEYS);
    count = 0;
}

/* Anywhere, beside one that is there, or at an edge of nodes. */
static size_t any_key(void)
{
    size_t key = (size_t)((uint64_t)test_random() << 20 ^ test_random());
    if (count > 0 && test_random_below(3) == 0)
        key = is[test_random_below((uint32_t)count)].key + 1 -
              test_random_below(3);
    if (test_random_below(3) == 0)
        key &= ~(((size_t)1 << test_random_below(20)) - 1);
    return key & (KEYS - 1);
}

static size_t place_of(size_t key)
{
    size_t i = 0;
    while (i < count && is[i].key != key)
        i++;
    return i;
}

static bool set(size_t key, uint32_t word)
{
    size_t i = place_of(key);
    if (!CHECK_OK(verso_i_radix_prepare(&radix, key)))
        return false;
    verso_i_radix_set(&radix, key, word);
    is[i].key = key;
    is[i].word = word;
    count = i == count ? count + 1 : count;
    return true;
}

static void remove_at(size_t i)
{
    verso_i_radix_remove(&radix, is[i].key);
    is[i] = is[--count];
}

static bool agrees(size_t key)
{
    size_t best = count, found = 1;
    for (size_t i = 0; i < count; i++)
        if (is[i].key <= key && (best == count || is[i].key > is[best].key))
            best = i;
    bool exact = best < count && is[best].key == key;
    bool well =
        CHECK_EQ(verso_i_radix_get(&radix, key), exact ? is[best].word : 0) &&
        CHECK_EQ(verso_i_radix_find(&radix, key, &found),
            best < count ? is[best].word : 0) &&
        (best == count || CHECK_EQ(found, is[best].key));
    if (!well)
        test_note("key %zx of %zu", key, count);
    return well;
}

static void close_and_compare(size_t nodes)
{
    while (count > 0)
        remove_at(test_random_below((uint32_t)count));
    CHECK_EQ(radix.root, NODE_NONE);
    CHECK_EQ(radix.nodes, 0);
    CHECK_EQ(verso_i_node.used, nodes);
}

TEST(words_are_found_by_their_key_and_by_the_next)
{
    size_t nodes = verso_i_node.used;
    open();
    bool well = agrees(0) && agrees(KEYS - 1);
    for (unsigned i = 0; well && i < 3000; i++) {
        bool more = (i / 500) % 2 == 0 ? test_random_below(4) != 0
                                       : test_random_below(4) == 0;
        if (more && count < WORDS)
            well = set(any_key(), 1 + test_random_below(1u << 30));
        else if (count > 0)
            remove_at(test_random_below((uint32_t)count));
        for (unsigned k = 0; well && k < 6; k++)
            well = agrees(any_key());
        well = well && agrees(KEYS - 1);
        if (i % 50 == 0)
            CHECK(verso_i_radix_check(&radix) == NULL);
    }
    close_and_compare(nodes);
}

TEST(one_word_has_a_node_a_level_and_its_neighbours_none)
{
    size_t nodes = verso_i_node.used;
    open();
    const unsigned levels = radix.levels;
    CHECK_EQ(levels, sizeof(size_t) > 4 ? 9 : 7);
    if (set(KEYS - 1, 1))
        CHECK_EQ(radix.nodes, levels);
    if (set(KEYS - 2, 2))
        CHECK_EQ(radix.nodes, levels);
    if (set(0, 3))
        CHECK_EQ(radix.nodes, 2 * levels - 1);
    CHECK_EQ(verso_i_node.used, nodes + radix.nodes);
    remove_at(0);
    CHECK_EQ(radix.nodes, 2 * levels - 1);
    close_and_compare(nodes);
    verso_i_radix_init(&radix, 1);
    CHECK_EQ(radix.levels, 1);
    verso_i_radix_init(&radix, RADIX_SLOTS);
    CHECK_EQ(radix.levels, 1);
    verso_i_radix_init(&radix, RADIX_SLOTS + 1);
    CHECK_EQ(radix.levels, 2);
    verso_i_radix_init(&radix, SIZE_MAX >> VERSO_PAGE_SHIFT);
    CHECK(radix.levels <= RADIX_LEVELS_MAX);
}

TEST(a_path_that_finds_no_memory_is_not_there)
{
    if (!inject_available())
        SKIP("no failure injection in this build");
    size_t nodes = verso_i_node.used;
    open();
    bool well = set(12345, 1);
    for (unsigned n = 1; well; n++) {
        size_t before = radix.nodes;
        inject_fail_at(n);
        int err = verso_i_radix_prepare(&radix, KEYS - 9);
        inject_fail_at(0);
        if (err == 0) {
            CHECK_EQ(n, radix.levels); /* the root is there */
            break;
        }
        CHECK_EQ(err, VERSO_NO_MEMORY);
        CHECK_EQ(radix.nodes, before);
        CHECK(verso_i_radix_check(&radix) == NULL);
        well = agrees(KEYS - 1);
    }
    verso_i_radix_trim(&radix, KEYS - 9);
    CHECK_EQ(radix.nodes, radix.levels);
    CHECK(verso_i_radix_check(&radix) == NULL);
    close_and_compare(nodes);
}

TEST(radix_invariants_are_named_when_nodes_are_damaged)
{
    size_t nodes = verso_i_node.used;
    open();
    if (!set(7, 1) || !set(KEYS - 7, 2))
        return;
    radix.nodes++;
    CHECK(says(verso_i_radix_check(&radix), "radix.2: every node is counted"));
    radix.nodes -= 2;
    CHECK(says(verso_i_radix_check(&radix),
        "radix.2: every node is in use and counted"));
    radix.nodes++;
    CHECK_OK(verso_i_radix_prepare(&radix, KEYS / 2 + 1));
    CHECK(says(verso_i_radix_check(&radix), "radix.1: no node is empty"));
    verso_i_radix_trim(&radix, KEYS / 2 + 1);
    CHECK(verso_i_radix_check(&radix) == NULL);
    close_and_compare(nodes);
}

SUITE(radix, words_are_found_by_their_key_and_by_the_next,
    one_word_has_a_node_a_level_and_its_neighbours_none,
    a_path_that_finds_no_memory_is_not_there,
    radix_invariants_are_named_when_nodes_are_damaged);
