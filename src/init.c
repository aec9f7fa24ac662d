/* SPDX-License-Identifier: MIT */
/*
 * init - starts the storeys from the ground up. Each uses only those before
 * it, so the order is the proof that each finds what it needs.
 */
#include <verso/init.h>

#include "parts.h"
#include "util.h"

int verso_init(const struct verso_boot *boot)
{
    int err = 0;
#define INIT(storey)                                                           \
    if (err == 0)                                                              \
        err = verso_i_##storey##_init(boot);
    STOREYS(INIT)
#undef INIT
    return err;
}
