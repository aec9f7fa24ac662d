/* SPDX-License-Identifier: MIT */
/*
 * host.c - what this kernel supplies to Verso: host.h, line by line.
 */
#include <verso/host.h>

#include "machine.h"

void verso_host_panic(const char *message)
{
    machine_panic(message);
}

void verso_host_log(const char *text, size_t bytes)
{
    machine_write(text, bytes);
}

/* One CPU: whoever could drop the lock runs only when we return. */
void verso_host_yield(void)
{
}

bool verso_host_in_interrupt(void)
{
    return machine_in_interrupt();
}
