/* SPDX-License-Identifier: MIT */
/*
 * inject.c - the calls that can run out of memory, led through here by the
 * linker: it turns a call of X into one of __wrap_X, and __real_X into X. Only
 * calls from one object file to another are caught: those between storeys. The
 * heap alone has no frames.
 */
#include <verso/back.h>
#include <verso/frame.h>

#include "../src/node.h"

#include "inject.h"

#define WRAPPED(f)                                                             \
    extern __typeof__(f) __wrap_##f;                                           \
    extern __typeof__(f) __real_##f

#if VERSO_HAS_FRAMES
WRAPPED(verso_frame_alloc1);
WRAPPED(verso_frame_alloc);
WRAPPED(verso_frame_alloc_run);
WRAPPED(verso_frame_alloc_bulk);
#endif
WRAPPED(verso_back_commit);
WRAPPED(verso_i_node_alloc);

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

#if VERSO_HAS_FRAMES
pfn_t __wrap_verso_frame_alloc1(unsigned zone)
{
    return is_failing() ? PFN_NONE : __real_verso_frame_alloc1(zone);
}

pfn_t __wrap_verso_frame_alloc(unsigned order, unsigned zone)
{
    return is_failing() ? PFN_NONE : __real_verso_frame_alloc(order, zone);
}

pfn_t __wrap_verso_frame_alloc_run(size_t pages, unsigned zone)
{
    return is_failing() ? PFN_NONE : __real_verso_frame_alloc_run(pages, zone);
}

int __wrap_verso_frame_alloc_bulk(
    struct verso_chain *chain, size_t pages, unsigned zone)
{
    if (is_failing())
        return VERSO_NO_MEMORY;
    return __real_verso_frame_alloc_bulk(chain, pages, zone);
}
#endif

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
