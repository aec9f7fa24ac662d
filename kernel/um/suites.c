/* SPDX-License-Identifier: MIT */
/*
 * suites.c - what the suites of test/ may ask of a simulated machine and of no
 * other: what it should have forgotten, whether it sets accessed and dirty
 * unasked, and that it keep calm.
 */
#include <stdlib.h>

#include "../../test/test.h"
#include "um_kernel.h"

size_t test_audit(void)
{
    return um_audit(um_audit_print);
}

bool test_use_is_random(void)
{
    return um_sets_use();
}

void test_calm(bool calm)
{
    const char *words = getenv("UM");
    (void)um_misbehave(words && !calm ? words : "");
}
