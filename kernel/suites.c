/* SPDX-License-Identifier: MIT */
/*
 * suites.c - what the suites of test/ need of this kernel: a seed, and
 * addresses to map things at.
 */
#include "../test/test.h"
#include "kernel.h"
#include "machine.h"

vaddr_t test_window(size_t *pages)
{
    *pages = TEST_WINDOW_PAGES;
    return machine_test_window();
}

/* Decimal, or hexadecimal after 0x; other characters end it. */
static uint64_t number_of(const char *text)
{
    uint64_t value = 0;
    unsigned base = 10;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    }
    for (;; text++) {
        unsigned digit = (unsigned char)*text - (unsigned)'0';
        if (digit > 9)
            digit = ((unsigned char)*text | 0x20u) - (unsigned)'a' + 10;
        if (digit >= base)
            return value;
        value = value * base + digit;
    }
}

int suites_run(const char *suite_or_null)
{
    const char *seed = machine_option("seed");
    test_seed = seed ? number_of(seed) : 0;
    return test_main(suite_or_null);
}
