/* SPDX-License-Identifier: MIT */
/*
 * string.c - the four functions of the C library that the compiler calls, and
 * that host.h asks the kernel for. Words at a time by string instructions:
 * under icount each iteration counts as one, so a page costs 1,024.
 */
#include <stddef.h>
#include <stdint.h>

#include "string.h"

#ifdef __x86_64__
#define WORDS "q"
#else
#define WORDS "l"
#endif

void *memset(void *to, int byte, size_t bytes)
{
    uintptr_t word = (uint8_t)byte * (UINTPTR_MAX / 255);
    void *at = to;
    size_t words = bytes / sizeof(uintptr_t);
    __asm__ volatile("rep stos" WORDS
                     : "+D"(at), "+c"(words)
                     : "a"(word)
                     : "memory");
    bytes &= sizeof(uintptr_t) - 1;
    __asm__ volatile("rep stosb"
                     : "+D"(at), "+c"(bytes)
                     : "a"(word)
                     : "memory");
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    void *at = to;
    size_t words = bytes / sizeof(uintptr_t);
    __asm__ volatile("rep movs" WORDS
                     : "+D"(at), "+S"(from), "+c"(words)
                     :
                     : "memory");
    bytes &= sizeof(uintptr_t) - 1;
    __asm__ volatile("rep movsb"
                     : "+D"(at), "+S"(from), "+c"(bytes)
                     :
                     : "memory");
    return to;
}

static void copy_down(char *to, const char *from, size_t bytes)
{
    __asm__ volatile("std\n\trep movsb\n\tcld"
                     : "+D"(to), "+S"(from), "+c"(bytes)
                     :
                     : "memory", "cc");
}

void *memmove(void *to, const void *from, size_t bytes)
{
    if (bytes == 0 || (uintptr_t)to - (uintptr_t)from >= bytes)
        return memcpy(to, from, bytes);
    copy_down((char *)to + bytes - 1, (const char *)from + bytes - 1, bytes);
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < bytes; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}
