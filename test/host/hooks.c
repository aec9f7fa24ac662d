/* SPDX-License-Identifier: MIT */
/*
 * hooks.c - the other half of hooks.h: addresses whose memory goes away are
 * whoever's comes next. The hooks do not see that, so the call that every
 * storey makes for it is led through here by the linker.
 *
 * So is the one that frees the frames behind them: nothing that the machine has
 * cached may lead to them by then (pitfall 15). Another CPU could have them at
 * once.
 */
#include <stdlib.h>

#include <machine/um.h>
#include <verso/back.h>
#include <verso/frame.h>

#include "../test.h"
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

extern __typeof__(verso_frame_free_bulk) __wrap_verso_frame_free_bulk;
extern __typeof__(verso_frame_free_bulk) __real_verso_frame_free_bulk;

void __wrap_verso_frame_free_bulk(struct verso_chain *chain)
{
    CHECK_EQ(um_audit(um_audit_print), 0);
    __real_verso_frame_free_bulk(chain);
}
