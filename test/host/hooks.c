/* SPDX-License-Identifier: MIT */
/*
 * hooks.c - the other half of hooks.h: addresses whose memory goes away are
 * whoever's comes next. The hooks do not see that, so the call that every
 * storey makes for it is led through here by the linker.
 */
#include <verso/back.h>

#include "hooks.h"

extern __typeof__(verso_back_release) __wrap_verso_back_release;
extern __typeof__(verso_back_release) __real_verso_back_release;

uint32_t __wrap_verso_back_release(
    struct space *space, vaddr_t va, size_t pages)
{
#ifdef HOOKS_ASAN
    __asan_unpoison_memory_region((const void *)va, pages << VERSO_PAGE_SHIFT);
#endif
    return __real_verso_back_release(space, va, pages);
}
