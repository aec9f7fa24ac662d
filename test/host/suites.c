/* SPDX-License-Identifier: MIT */
/*
 * suites.c - runs the suites. Environment: SEED=0x..., SUITE=name or name/test
 * (or the first argument), and what glue.c reads.
 */
#include <stdlib.h>

#include "../test.h"
#include "glue.h"

int main(int argc, char **argv)
{
    const char *seed = getenv("SEED"), *suite = getenv("SUITE");
    test_seed = seed ? strtoull(seed, NULL, 0) : 0;
    glue_start();
    return test_main(argc > 1 ? argv[1] : suite) == 0 ? 0 : 1;
}
