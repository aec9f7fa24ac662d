/* SPDX-License-Identifier: MIT */
/*
 * hooks.h - through config.h's hook door: what is free is closed to ASan, and
 * opened when it is handed out. Pages that leave the slabs or the heap are
 * opened as a whole, in hooks.c.
 */
#ifndef TEST_HOST_HOOKS_H
#define TEST_HOST_HOOKS_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define HOOKS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOOKS_ASAN 1
#endif
#endif

#ifdef HOOKS_ASAN
void __asan_poison_memory_region(const volatile void *at, size_t bytes);
void __asan_unpoison_memory_region(const volatile void *at, size_t bytes);

#define hooks_close(at, bytes) __asan_poison_memory_region(at, bytes)
#define verso_hook_alloc(object, bytes, caller)                                \
    __asan_unpoison_memory_region(object, bytes)
#define verso_hook_free(object, bytes, caller)                                 \
    __asan_poison_memory_region(object, bytes)
#else
#define hooks_close(at, bytes)                  ((void)(at), (void)(bytes))
#define verso_hook_alloc(object, bytes, caller) ((void)0)
#define verso_hook_free(object, bytes, caller)  ((void)0)
#endif

#endif
