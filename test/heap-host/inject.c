/* SPDX-License-Identifier: MIT */
/*
 * inject.c - inject.h for the heap alone: the linker leads the two calls that
 * can run out of memory through here, as test/inject.c does for the whole.
 */
#include <verso/back.h>

#include "../../src/node.h"
#include "../inject.h"

int __real_verso_back_commit(
    struct space *space, vaddr_t va, size_t pages, unsigned flags);
int __wrap_verso_back_commit(
    struct space *space, vaddr_t va, size_t pages, unsigned flags);
uint32_t __real_verso_i_node_alloc(void);
uint32_t __wrap_verso_i_node_alloc(void);

static struct {
    unsigned calls;
    unsigned first; /* 0: none fails */
    bool later;     /* and all after it */
    void (*on_commit)(vaddr_t va);
} inject;

static bool is_failing(void)
{
    inject.calls++;
    if (inject.first == 0)
        return false;
    return inject.calls == inject.first ||
           (inject.later && inject.calls > inject.first);
}

bool inject_available(void)
{
    return true;
}

void inject_fail_at(unsigned n)
{
    inject.calls = 0;
    inject.first = n;
    inject.later = false;
}

void inject_fail_from(unsigned n)
{
    inject_fail_at(n);
    inject.later = true;
}

unsigned inject_calls(void)
{
    return inject.calls;
}

void inject_on_commit(void (*call)(vaddr_t va))
{
    inject.on_commit = call;
}

int __wrap_verso_back_commit(
    struct space *space, vaddr_t va, size_t pages, unsigned flags)
{
    if (inject.on_commit)
        inject.on_commit(va);
    if (is_failing())
        return VERSO_NO_MEMORY;
    return __real_verso_back_commit(space, va, pages, flags);
}

uint32_t __wrap_verso_i_node_alloc(void)
{
    return is_failing() ? NODE_NONE : __real_verso_i_node_alloc();
}
