/* SPDX-License-Identifier: MIT */
/*
 * inject.h - the Nth inner allocation fails.
 *
 * The linker (--wrap, see test.mk) leads the calls between storeys that can
 * run out of memory through inject.c. A build without that links
 * inject-none.c, and the tests skip.
 */
#ifndef TEST_INJECT_H
#define TEST_INJECT_H

#include <verso/types.h>

bool inject_available(void);

/* The n-th wrapped call from now fails, only that one; 0: none does. */
void inject_fail_at(unsigned n);
/* The n-th wrapped call from now and all after it fail. */
void inject_fail_from(unsigned n);
/* Wrapped calls since the last inject_fail_at() or inject_fail_from(). */
unsigned inject_calls(void);
/* Called before memory is put behind `va`, as an interrupt might come there;
 * NULL: nothing is. */
void inject_on_commit(void (*call)(vaddr_t va));

/*
 * What can be observed of Verso's state, in one number, with the stocks
 * trimmed: frames in use, tables, areas, and every translation in the test
 * window (rights, cache type, frame, page size; not accessed and dirty).
 */
uint64_t test_state_hash(void);
/* Adds the translations of another range to a hash. */
uint64_t test_hash_range(uint64_t hash, vaddr_t va, size_t pages);

struct inject_operation {
    int (*run)(void *arg);   /* 0 or negative: failed */
    void (*undo)(void *arg); /* after success */
    void *arg;
    vaddr_t also_va; /* hashed too, beside the test window: also_pages > 0 */
    size_t also_pages;
};

/*
 * Runs the operation with its 1st, 2nd, ... inner allocation failing, each
 * alone and then with all later ones too, until it gets through untouched.
 * Wherever it fails, the state must be what it was. An operation may succeed
 * in spite of a failure; then it is undone, and the next is tried. Returns how
 * many allocations it makes; at most `limit` are tried.
 */
unsigned inject_each_failure(
    const struct inject_operation *operation, unsigned limit);

#endif
