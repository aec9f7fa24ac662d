/* SPDX-License-Identifier: MIT */
/* inject-none.c - for builds whose linker wraps nothing. */
#include "inject.h"

bool inject_available(void)
{
    return false;
}

void inject_fail_at(unsigned n)
{
    (void)n;
}

void inject_fail_from(unsigned n)
{
    (void)n;
}

unsigned inject_calls(void)
{
    return 0;
}

void inject_on_commit(void (*call)(vaddr_t va))
{
    (void)call;
}
